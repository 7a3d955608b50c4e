/* Budgets, virtual keys, cost and the cache, over HTTP: through Link and on Switch's own port, with the
 * numbers that a provider reports, and after kill -9. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/str.h"
#include "system.h"
#include "upstream.h"

static struct system sys;
static struct upstream *up;

#define PRICED "model_info: [{model: m, input_price: 2.5, output_price: 10, cached_input_price: 1.25}]"

static int start(void **state)
{
    struct buf yaml = BUF_INIT;
    (void)state;
    up = upstream_start();
    buf_puts(&yaml, "link:\n  breaker_threshold: 1000\nswitch:\n  chain: [tight, wide]\n  retries: 0\n  "
                    "breaker_threshold: 1000\n  cache: "
                    "{enabled: true, ttl_ms: 60000}\n"
                    "  budgets:\n    - {principal: free, tokens_per_day: 20}\n"
                    "  providers:\n    - {name: local, kind: local}\n");
    upstream_yaml(up, &yaml, "good", "m, n", PRICED);
    upstream_yaml(up, &yaml, "tight", "duo, alone", "requests_per_minute: 1");
    upstream_yaml(up, &yaml, "wide", "duo", NULL);
    upstream_yaml(up, &yaml, "drip", "m", NULL);
    upstream_yaml(up, &yaml, "cached", "m, slow", NULL);
    upstream_behave(up, "drip", UP_DRIP);
    system_start(&sys, yaml.data);
    buf_free(&yaml);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    system_remove(&sys);
    upstream_stop(up);
    return 0;
}

/* `vx11 token create NAME …`; the token works once this returns. */
static void key_make(const char *name, char token[128], const char *a, const char *b, const char *c)
{
    struct buf out = BUF_INIT;
    const char *args[] = {"token", "create", name, a, b, c, NULL};
    assert_int_equal(system_run(&sys, &out, args), 0);
    const char *at = strstr(out.data, "vx11_");
    assert_non_null(at);
    snprintf(token, 128, "%.48s", at);
    buf_free(&out);
    struct http_at link = {.port = sys.link_port, .token = token};
    struct http_at own = {.port = sys.switch_port, .token = token};
    eventually(5000, http_status(&link, "GET", "/v1/models", NULL) == 200);
    eventually(5000, http_status(&own, "GET", "/v1/models", NULL) == 200);
}

static void limits_change(const char *name, const char *a, const char *b)
{
    struct buf out = BUF_INIT;
    const char *args[] = {"token", "limits", name, a, b, NULL};
    assert_int_equal(system_run(&sys, &out, args), 0);
    buf_free(&out);
}

static void ask_at(struct http_reply *r, int port, const char *token, const char *body, const char *headers)
{
    struct http_at at = {.port = port, .token = token, .headers = headers};
    http(r, &at, "POST", "/v1/chat/completions", body);
}

static void ask(struct http_reply *r, const char *token, const char *model)
{
    ask_at(r, sys.link_port, token, chat_body(model, false), NULL);
}

static int seen(const char *provider)
{
    struct upstream_seen s;
    upstream_seen(up, provider, &s);
    return s.requests;
}

static int64_t day_sum(const char *name, const char *what)
{
    char sql[300];
    snprintf(sql, sizeof sql,
             "SELECT coalesce(sum(%s), 0) FROM usage_day JOIN auth_token ON auth_token.id = principal_id"
             " WHERE name = '%s'",
             what, name);
    return system_count(&sys, sql);
}

/* A budget of GET /switch/budgets, as "used of limit, reserved". Static. */
static const char *budget(const char *name, const char *which)
{
    static char text[80];
    struct http_at at = system_switch(&sys);
    struct http_reply r;
    size_t i, n, k, m;
    yyjson_val *holder, *b;
    text[0] = '\0';
    http(&r, &at, "GET", "/switch/budgets", NULL);
    assert_status(&r, 200);
    yyjson_arr_foreach(yyjson_obj_get(yyjson_doc_get_root(r.json), "holders"), i, n, holder)
    {
        if (!yyjson_equals_str(yyjson_obj_get(holder, "name"), name))
            continue;
        yyjson_arr_foreach(yyjson_obj_get(holder, "budgets"), k, m,
                           b) if (yyjson_equals_str(yyjson_obj_get(b, "budget"), which))
            snprintf(text, sizeof text, "%g of %g, %g", yyjson_get_num(yyjson_obj_get(b, "used")),
                     yyjson_get_num(yyjson_obj_get(b, "limit")),
                     yyjson_get_num(yyjson_obj_get(b, "reserved")));
    }
    http_free(&r);
    return text;
}

/* ---- tokens ---- */

static bool answers(const char *token)
{
    struct http_reply r;
    ask(&r, token, "good/m");
    int status = r.status;
    http_free(&r);
    return status == 200;
}

static void tokens_a_day_and_a_kill(void **state)
{
    char token[128];
    struct http_reply r;
    (void)state;
    key_make("daily", token, "--tokens-per-day=40", NULL, NULL);
    int before = seen("good");
    for (int i = 0; i < 3; i++) {
        ask(&r, token, "good/m");
        assert_status(&r, 200);
        assert_string_equal(http_header(&r, "x-ratelimit-limit-tokens"), "40");
        assert_non_null(http_header(&r, "x-ratelimit-reset-tokens"));
        http_free(&r);
    }
    eventually(5000, day_sum("daily", "prompt_tokens + completion_tokens") == 36);
    assert_string_equal(budget("daily", "tokens_per_day"), "36 of 40, 0");
    /* Through Link and on Switch's own port the same. */
    for (int i = 0; i < 2; i++) {
        int64_t now = clock_wall_ms();
        ask_at(&r, i ? sys.switch_port : sys.link_port, token, chat_body("good/m", i), NULL);
        assert_error(&r, 429, "budget_exceeded");
        assert_string_equal(http_text(&r, "/error/param"), "tokens_per_day");
        assert_non_null(strstr(http_text(&r, "/error/message"), "40 tokens a day"));
        assert_non_null(strstr(http_text(&r, "/error/message"), "36 used"));
        int64_t reset = 0, seconds = 0;
        reset = http_int(&r, "/error/reset_at");
        assert_int_equal(reset % 86400000, 0);
        assert_true(reset > now && reset <= now + 86400000);
        assert_int_equal(str_to_i64(http_header(&r, "Retry-After"), 1, 86401, &seconds), 0);
        assert_true(llabs(seconds * 1000 - (reset - now)) < 5000);
        http_free(&r);
    }
    assert_int_equal(seen("good"), before + 3); /* nobody was asked for those */
    /* What was used survives a kill. */
    pid_t pid = system_module_pid(&sys, "switch");
    sys.rough = true;
    process_kill(pid, SIGKILL);
    eventually(20000, system_module_pid(&sys, "switch") > 0 && system_module_pid(&sys, "switch") != pid);
    system_wait_healthy(&sys);
    assert_string_equal(budget("daily", "tokens_per_day"), "36 of 40, 0");
    ask(&r, token, "good/m");
    assert_error(&r, 429, "budget_exceeded");
    http_free(&r);
    /* More, from a second later on. */
    limits_change("daily", "--tokens-per-day=100", NULL);
    eventually(5000, answers(token));
    eventually(5000, day_sum("daily", "prompt_tokens + completion_tokens") == 48);
    assert_int_equal(system_count(&sys,
                                  "SELECT (SELECT sum(prompt_tokens) + sum(completion_tokens) FROM usage"
                                  " WHERE from_cache = 0) - (SELECT sum(prompt_tokens +"
                                  " completion_tokens) FROM usage_day)"),
                     0);
}

/* Killed in the middle of answers, again and again: what a budget has used is what the rows say, and nothing
 * stays reserved for requests that are gone. */
static void sums_hold_through_kills(void **state)
{
    enum { ROUNDS = 4, OPEN = 5 };
    char token[128], want[80];
    struct http_at at = {.port = sys.link_port, .token = token};
    (void)state;
    key_make("killed", token, "--tokens-per-day=1000000", NULL, NULL);
    for (int round = 0; round < ROUNDS; round++) {
        int fds[OPEN];
        for (int i = 0; i < OPEN; i++)
            fds[i] = http_open(&at, "POST", "/v1/chat/completions", chat_body("drip/m", true));
        for (int i = 0; i < 4; i++)
            assert_true(answers(token));
        assert_true(raw_wait_for(fds[0], "t1 ", NULL));
        raw_close(fds[1]); /* one leaves by itself */
        pid_t pid = system_module_pid(&sys, "switch");
        sleep_ms(round * 3);
        process_kill(pid, SIGKILL);
        for (int i = 0; i < OPEN; i++)
            if (i != 1)
                raw_close(fds[i]);
        eventually(20000, system_module_pid(&sys, "switch") > 0 && system_module_pid(&sys, "switch") != pid);
        system_wait_healthy(&sys);
        snprintf(want, sizeof want, "%lld of 1e+06, 0",
                 (long long)day_sum("killed", "prompt_tokens + completion_tokens"));
        assert_string_equal(budget("killed", "tokens_per_day"), want);
        assert_string_equal(strchr(budget("killed", "concurrent"), ','), ", 0");
    }
    assert_true(day_sum("killed", "requests") >= 2); /* those that were written before a kill */
    assert_int_equal(
        system_count(&sys, "SELECT (SELECT count(*) FROM usage) - (SELECT sum(requests) FROM usage_day)"), 0);
    assert_int_equal(
        system_count(&sys, "SELECT (SELECT count(*) FROM decision) - (SELECT count(*) FROM usage)"), 0);
}

static void requests_a_minute(void **state)
{
    char token[128];
    struct http_reply r;
    int64_t seconds;
    (void)state;
    key_make("minute", token, "--requests-per-minute=3", NULL, NULL);
    for (int i = 0; i < 3; i++) {
        char left[8];
        snprintf(left, sizeof left, "%d", 2 - i);
        ask_at(&r, i % 2 ? sys.switch_port : sys.link_port, token, chat_body("good/m", i == 1), NULL);
        assert_status(&r, 200);
        assert_string_equal(http_header(&r, "x-ratelimit-limit-requests"), "3");
        assert_string_equal(http_header(&r, "x-ratelimit-remaining-requests"), left);
        http_free(&r);
    }
    ask(&r, token, "good/m");
    assert_error(&r, 429, "budget_exceeded");
    assert_string_equal(http_text(&r, "/error/param"), "requests_per_minute");
    assert_int_equal(str_to_i64(http_header(&r, "Retry-After"), 1, 61, &seconds), 0);
    http_free(&r);
}

/* A configured budget holds for a token that has none of its own. */
static void budgets_of_the_configuration(void **state)
{
    char token[128];
    struct http_reply r;
    (void)state;
    key_make("free", token, "--scope=chat,read", NULL, NULL);
    ask(&r, token, "good/m");
    assert_status(&r, 200);
    assert_string_equal(http_header(&r, "x-ratelimit-limit-tokens"), "20");
    http_free(&r);
    ask_at(&r, sys.link_port, token,
           "{\"model\":\"good/m\",\"max_tokens\":20,\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}",
           NULL);
    assert_error(&r, 429, "budget_exceeded");
    http_free(&r);
}

/* ---- what a caller that leaves has used ---- */

static void leaving_is_not_free(void **state)
{
    char token[128];
    struct http_reply r;
    struct http_at at = {.port = sys.link_port, .token = token};
    (void)state;
    key_make("leaver", token, "--tokens-per-day=10000", NULL, NULL);
    int fd = http_open(&at, "POST", "/v1/chat/completions", chat_body("drip/m", true));
    assert_true(raw_wait_for(fd, "t5 ", NULL));
    assert_true(strstr(budget("leaver", "tokens_per_day"), ", 0") == NULL); /* still reserved */
    raw_close(fd);
    eventually(5000, day_sum("leaver", "cancelled") == 1);
    assert_true(day_sum("leaver", "completion_tokens") >= 3);
    assert_true(day_sum("leaver", "prompt_tokens") >= 1);
    assert_int_equal(day_sum("leaver", "estimated"), 1);
    eventually(5000, strstr(budget("leaver", "tokens_per_day"), ", 0") != NULL);
    ask(&r, token, "good/m");
    assert_status(&r, 200);
    http_free(&r);
}

/* ---- models, expiry ---- */

static void models_of_a_key(void **state)
{
    char token[128];
    struct http_reply r;
    struct http_at at = {.port = sys.link_port, .token = token};
    (void)state;
    key_make("narrow", token, "--models=good/m,wide/*", NULL, NULL);
    ask(&r, token, "good/m");
    assert_status(&r, 200);
    http_free(&r);
    ask(&r, token, "good/n");
    assert_error(&r, 403, "model_not_allowed");
    assert_string_equal(http_text(&r, "/error/param"), "model");
    http_free(&r);
    ask(&r, token, "tight/alone");
    assert_error(&r, 403, "model_not_allowed");
    http_free(&r);
    ask(&r, token, "duo"); /* tight comes first in the chain, and may not be asked */
    assert_status(&r, 200);
    assert_string_equal(http_header(&r, "X-VX11-Provider"), "wide");
    http_free(&r);
    http(&r, &at, "GET", "/v1/models", NULL);
    assert_status(&r, 200);
    assert_non_null(strstr(r.raw.body.data, "good/m"));
    assert_null(strstr(r.raw.body.data, "good/n"));
    assert_null(strstr(r.raw.body.data, "alone"));
    assert_null(strstr(r.raw.body.data, "drip"));
    http_free(&r);
    /* Nor does it see whose budgets there are besides its own. */
    struct http_at own = {.port = sys.switch_port, .token = token};
    http(&r, &own, "GET", "/switch/budgets", NULL);
    assert_status(&r, 200);
    assert_int_equal(yyjson_arr_size(yyjson_obj_get(yyjson_doc_get_root(r.json), "holders")), 1);
    assert_string_equal(http_text(&r, "/holders/0/name"), "narrow");
    http_free(&r);
    eventually(5000, day_sum("narrow", "requests") > 0);
    http(&r, &own, "GET", "/switch/usage?by=principal", NULL);
    assert_int_equal(yyjson_arr_size(yyjson_obj_get(yyjson_doc_get_root(r.json), "rows")), 1);
    assert_string_equal(http_text(&r, "/rows/0/principal"), "narrow");
    http_free(&r);
    http(&r, &own, "GET", "/switch/decisions", NULL);
    assert_status(&r, 200);
    assert_true(yyjson_arr_size(yyjson_obj_get(yyjson_doc_get_root(r.json), "decisions")) > 0);
    assert_null(strstr(r.raw.body.data, "\"principal\":\"owner\""));
    assert_null(strstr(r.raw.body.data, "\"principal\":\"daily\""));
    http_free(&r);
    assert_int_equal(http_status(&at, "GET", "/v1/models/good/m", NULL), 200);
    assert_int_equal(http_status(&at, "GET", "/v1/models/good/n", NULL), 404);
}

static void local_only_key(void **state)
{
    char token[128];
    struct http_reply r;
    (void)state;
    key_make("inside", token, "--local-only", NULL, NULL);
    int before = seen("good");
    ask(&r, token, "good/m");
    assert_true(r.status >= 400);
    http_free(&r);
    assert_int_equal(seen("good"), before);
    /* Nor past Switch. */
    struct http_at hermes = {.port = sys.hermes_port, .token = token};
    http(&r, &hermes, "POST", "/hermes/execute", "{\"engine\":\"x\",\"prompt\":\"hi\"}");
    assert_error(&r, 403, "ask_switch");
    http_free(&r);
    http(&r, &hermes, "POST", "/hermes/tools/x/v1/chat/completions", chat_body("x", false));
    assert_error(&r, 403, "ask_switch");
    http_free(&r);
}

static void expired(void **state)
{
    char token[128];
    struct http_at at = {.port = sys.link_port, .token = token};
    (void)state;
    key_make("brief", token, "--expires=8s", NULL, NULL);
    eventually(15000, http_status(&at, "GET", "/v1/models", NULL) == 401);
}

/* ---- cost ---- */

static void cost(void **state)
{
    char token[128];
    struct http_reply r;
    struct http_at owner = system_switch(&sys);
    (void)state;
    key_make("payer", token, "--cost-per-month=0.0001", NULL, NULL); /* 100 micro; a request costs 64 */
    ask(&r, token, "good/m");
    assert_status(&r, 200);
    /* 4 at 2.5, 3 cached at 1.25, 5 at 10: 63.75 */
    char sql[200];
    snprintf(sql, sizeof sql, "SELECT cost_micro FROM decision WHERE request_id = '%s'",
             http_header(&r, "X-Request-Id"));
    eventually(5000, system_count(&sys, sql) == 64);
    http_free(&r);
    ask_at(&r, sys.link_port, token,
           "{\"model\":\"good/m\",\"max_tokens\":5,\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}",
           NULL);
    assert_error(&r, 429, "budget_exceeded");
    assert_string_equal(http_text(&r, "/error/param"), "cost_per_month");
    http_free(&r);
    ask(&r, token, "wide/duo"); /* has no price: nobody could say when the budget is used up */
    assert_error(&r, 403, "price_unknown");
    http_free(&r);
    http(&r, &owner, "GET", "/switch/usage?by=principal", NULL);
    assert_status(&r, 200);
    assert_non_null(strstr(r.raw.body.data, "\"principal\":\"payer\""));
    http_free(&r);
    http(&r, &owner, "GET", "/switch/decisions?limit=50", NULL);
    assert_non_null(strstr(r.raw.body.data, "\"cost\":0.000064"));
    http_free(&r);
    http(&r, &owner, "GET", "/switch/usage?by=model", NULL);
    assert_non_null(strstr(r.raw.body.data, "\"provider\":\"good\",\"model\":\"m\""));
    http_free(&r);
    http(&r, &owner, "GET", "/switch/usage", NULL);
    assert_true(http_int(&r, "/rows/0/requests") > 5);
    http_free(&r);
    http(&r, &owner, "GET", "/switch/usage?by=hour", NULL);
    assert_int_equal(r.status, 422);
    http_free(&r);
}

static void a_provider_without_budget_is_passed_over(void **state)
{
    struct http_reply r;
    (void)state;
    ask(&r, sys.token, "tight/duo");
    assert_status(&r, 200);
    http_free(&r);
    ask(&r, sys.token, "duo");
    assert_status(&r, 200);
    assert_string_equal(http_header(&r, "X-VX11-Provider"), "wide");
    const char *id = http_header(&r, "X-Request-Id");
    char sql[200];
    snprintf(sql, sizeof sql,
             "SELECT count(*) FROM decision WHERE request_id = '%s' AND coalesce(candidates, '') || "
             "alternatives LIKE '%%used up%%'",
             id);
    eventually(5000, system_count(&sys, sql) == 1);
    http_free(&r);
    ask(&r, sys.token, "tight/alone");
    assert_error(&r, 429, "budget_exceeded");
    assert_non_null(strstr(http_text(&r, "/error/message"), "provider tight"));
    assert_non_null(http_header(&r, "Retry-After"));
    assert_true(http_int(&r, "/error/reset_at") > clock_wall_ms());
    http_free(&r);
}

/* ---- limits over the API ---- */

static void set_over_the_api(void **state)
{
    char token[128];
    struct http_reply r;
    struct http_at owner = system_switch(&sys);
    (void)state;
    key_make("api", token, NULL, NULL, NULL);
    http(&r, &owner, "PUT", "/switch/budgets/api",
         "{\"models\":[\"good/*\"],\"tokens_per_month\":500,\"cost_per_month\":1.5,\"mode\":\"ECO\"}");
    assert_status(&r, 200);
    assert_string_equal(http_text(&r, "/name"), "api");
    assert_string_equal(http_text(&r, "/models/0"), "good/*");
    assert_int_equal(http_int(&r, "/budgets/3/limit"), 500);
    http_free(&r);
    ask(&r, token, "wide/duo");
    assert_error(&r, 403, "model_not_allowed");
    http_free(&r);
    http(&r, &owner, "PUT", "/switch/budgets/nobody", "{}");
    assert_status(&r, 404);
    http_free(&r);
    owner.token = token;
    assert_int_equal(http_status(&owner, "PUT", "/switch/budgets/api", "{}"), 403);
}

/* ---- cache ---- */

#define COLD(text, stream)                                                                                   \
    "{\"model\":\"cached/m\",\"temperature\":0," stream                                                      \
    "\"messages\":[{\"role\":\"user\",\"content\":\"" text "\"}]}"

static const char *cache_word(const struct http_reply *r)
{
    const char *word = http_header(r, "X-VX11-Cache");
    return word ? word : "none";
}

static void replies_are_given_again(void **state)
{
    struct http_reply r, first;
    struct http_at owner = system_switch(&sys);
    char sql[300], other[128];
    (void)state;
    int before = seen("cached");
    ask_at(&first, sys.link_port, sys.token, COLD("same", ""), NULL);
    assert_status(&first, 200);
    assert_string_equal(cache_word(&first), "miss");
    /* The same, written otherwise. */
    ask_at(&r, sys.link_port, sys.token,
           "{\"messages\":[{\"content\":\"s\\u0061me\",\"role\":\"user\"}],\"user\":\"x\",\"n\":1,"
           "\"temperature\":0.0,\"model\":\"cached/m\"}",
           NULL);
    assert_status(&r, 200);
    assert_string_equal(cache_word(&r), "hit");
    assert_non_null(http_header(&r, "Age"));
    assert_string_equal(http_header(&r, "X-VX11-Provider"), "cached");
    assert_string_equal(r.raw.body.data, first.raw.body.data);
    assert_int_equal(seen("cached"), before + 1);
    snprintf(
        sql, sizeof sql,
        "SELECT count(*) FROM decision JOIN usage ON decision_id = id WHERE request_id = '%s' AND reason ="
        " 'cache' AND attempts = 0 AND usage.cost_micro = 0 AND from_cache = 1 AND usage.prompt_tokens = 7"
        " AND usage.outcome = 'ok'",
        http_header(&r, "X-Request-Id"));
    eventually(5000, system_count(&sys, sql) == 1);
    http_free(&r);
    http_free(&first);
    /* As a stream. */
    ask_at(&r, sys.link_port, sys.token,
           COLD("same", "\"stream\":true,\"stream_options\":{\"include_usage\":true},"), NULL);
    assert_status(&r, 200);
    assert_string_equal(cache_word(&r), "hit");
    assert_true(sse_done(r.raw.body.data));
    assert_non_null(strstr(r.raw.body.data, "hello"));
    assert_non_null(strstr(r.raw.body.data, "\"prompt_tokens\":7"));
    http_free(&r);
    assert_int_equal(seen("cached"), before + 1);
    /* Not by whoever asks for a new one, nor for another token, nor at another temperature. */
    ask_at(&r, sys.link_port, sys.token, COLD("same", ""), "Cache-Control: no-cache\r\n");
    assert_string_equal(cache_word(&r), "bypass");
    http_free(&r);
    ask_at(&r, sys.link_port, sys.token, chat_body("cached/m", false), NULL);
    assert_string_equal(cache_word(&r), "bypass");
    http_free(&r);
    key_make("other", other, NULL, NULL, NULL);
    ask_at(&r, sys.link_port, other, COLD("same", ""), NULL);
    assert_string_equal(cache_word(&r), "miss");
    http_free(&r);
    assert_int_equal(seen("cached"), before + 4);
    http(&r, &owner, "GET", "/switch/cache", NULL);
    assert_int_equal(http_int(&r, "/hits"), 2);
    assert_int_equal(http_int(&r, "/entries"), 2);
    http_free(&r);
    http(&r, &owner, "DELETE", "/switch/cache", NULL);
    assert_int_equal(http_int(&r, "/entries"), 0);
    http_free(&r);
    ask_at(&r, sys.link_port, sys.token, COLD("same", ""), NULL);
    assert_string_equal(cache_word(&r), "miss");
    http_free(&r);
}

static void streams_are_kept(void **state)
{
    struct http_reply r;
    (void)state;
    int before = seen("cached");
    ask_at(&r, sys.link_port, sys.token, COLD("streamed", "\"stream\":true,"), NULL);
    assert_status(&r, 200);
    assert_string_equal(cache_word(&r), "miss");
    http_free(&r);
    ask_at(&r, sys.link_port, sys.token, COLD("streamed", ""), NULL);
    assert_string_equal(cache_word(&r), "hit");
    assert_string_equal(http_text(&r, "/choices/0/message/content"), "t0 t1 t2 t3 t4 ");
    assert_int_equal(http_int(&r, "/usage/completion_tokens"), 5);
    http_free(&r);
    assert_int_equal(seen("cached"), before + 1);
}

/* Errors and what was cut off are asked for again. */
static void failures_are_not_kept(void **state)
{
    static const enum behaviour bad[] = {UP_400, UP_NO_CHOICES, UP_TOOLS};
    struct http_reply r;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        int before = seen("cached");
        upstream_behave(up, "cached", bad[i]);
        for (int k = 0; k < 2; k++) {
            ask_at(&r, sys.link_port, sys.token, COLD("bad", ""), NULL);
            assert_string_equal(cache_word(&r), "miss");
            http_free(&r);
        }
        assert_int_equal(seen("cached"), before + 2);
    }
    upstream_behave(up, "cached", UP_HALF_LATE);
    ask_at(&r, sys.link_port, sys.token, COLD("cut", "\"stream\":true,"), NULL);
    http_free(&r);
    upstream_behave(up, "cached", UP_GOOD);
    ask_at(&r, sys.link_port, sys.token, COLD("cut", ""), NULL);
    assert_string_equal(cache_word(&r), "miss");
    http_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens_a_day_and_a_kill),
        cmocka_unit_test(requests_a_minute),
        cmocka_unit_test(budgets_of_the_configuration),
        cmocka_unit_test(leaving_is_not_free),
        cmocka_unit_test(models_of_a_key),
        cmocka_unit_test(local_only_key),
        cmocka_unit_test(expired),
        cmocka_unit_test(cost),
        cmocka_unit_test(a_provider_without_budget_is_passed_over),
        cmocka_unit_test(set_over_the_api),
        cmocka_unit_test(replies_are_given_again),
        cmocka_unit_test(streams_are_kept),
        cmocka_unit_test(failures_are_not_kept),
        cmocka_unit_test(sums_hold_through_kills),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
