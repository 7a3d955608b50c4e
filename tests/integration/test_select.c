/* Who answers, in a whole system: by name, auto, aliases and what is built in; what must stay on the machine;
 * that header, row and dry run agree; that what was learned and the mode outlive a restart. */
#include <setjmp.h>
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

/* good: very good and dear. quick: quick (made so by what is recorded), middling. penny: cheap. hidden: lists
 * its models by itself. near: on this machine, says the configuration. */
static void configure(const char *profile)
{
    struct buf yaml = BUF_INIT;
    buf_printf(&yaml,
               "switch:\n  retries: 0\n  fluzo: {profile: %s, interval_ms: 300, keep_samples: true}\n"
               "  providers:\n    - {name: local, kind: local}\n",
               profile);
    upstream_yaml(
        up, &yaml, "good", "big",
        "model_info: [{model: big, quality: 0.98, input_price: 5, output_price: 9, context: 200000, "
        "tools: true, vision: true}]");
    upstream_yaml(up, &yaml, "quick", "flash",
                  "model_info: [{model: flash, quality: 0.5, input_price: 3, output_price: 3, context: 50, "
                  "tools: false}]");
    upstream_yaml(up, &yaml, "penny", "mini",
                  "model_info: [{model: mini, quality: 0.4, input_price: 0.05, output_price: 0.1, "
                  "vision: false}]");
    upstream_yaml(up, &yaml, "hidden", "", NULL);
    upstream_yaml(up, &yaml, "mute", "slow", NULL);
    upstream_yaml(up, &yaml, "left", "twin", NULL);
    upstream_yaml(up, &yaml, "right", "twin", NULL);
    upstream_yaml(up, &yaml, "near", "here",
                  "local: true, enabled: true, model_info: [{model: here, quality: 0.2, input_price: 9, "
                  "output_price: 9}]");
    buf_puts(&yaml, "  aliases:\n"
                    "    - {name: team, models: [penny/mini, big], prefer: quality}\n"
                    "    - {name: in-turn, models: [flash, big], prefer: order}\n"
                    "    - {name: ghost, models: [nobody-has-it]}\n"
                    "    - {name: vectors, models: [flash, mini], prefer: cost}\n"
                    "    - {name: patience, models: [slow, big], prefer: order, mode: ECO}\n"
                    "  privacy: {local_only_tokens: [diary]}\n");
    /* An engine of Hermes' that is somewhere else, as far as anybody knows. */
    buf_printf(&yaml,
               "hermes:\n  engines:\n    - {name: elsewhere, base_url: \"http://127.0.0.1:%d/elsewhere\", "
               "health: /v1/models, models: [far]}\n",
               upstream_port(up));
    system_config(&sys, yaml.data);
    buf_free(&yaml);
}

static int start(void **state)
{
    (void)state;
    up = upstream_start();
    system_init(&sys);
    configure("balanced");
    system_up(&sys);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    system_remove(&sys);
    upstream_stop(up);
    return 0;
}

static void stops_clean(void **state)
{
    (void)state;
    system_stop(&sys);
}

/* ---- asking ---- */

static void ask(struct http_reply *r, const char *model, const char *text, const char *more,
                const char *headers)
{
    struct http_at at = system_link(&sys);
    struct buf body = BUF_INIT;
    at.headers = headers;
    buf_printf(&body, "{\"model\":\"%s\",\"messages\":[{\"role\":\"user\",\"content\":\"%s\"}]%s}", model,
               text, more ? more : "");
    http(r, &at, "POST", "/v1/chat/completions", body.data);
    buf_free(&body);
}

static void answered_by(const char *model, const char *text, const char *more, const char *headers,
                        const char *provider)
{
    struct http_reply r;
    ask(&r, model, text, more, headers);
    const char *who = http_header(&r, "X-VX11-Provider");
    if (r.status != 200 || !who || strcmp(who, provider) != 0)
        fail_msg("%s: %d from %s instead of %s: %s; %s", model, r.status, who ? who : "nobody", provider,
                 http_header(&r, "X-VX11-Decision") ? http_header(&r, "X-VX11-Decision") : "",
                 r.raw.body.data);
    http_free(&r);
}

static void dry(struct http_reply *r, const char *body)
{
    struct http_at at = system_switch(&sys);
    http(r, &at, "POST", "/switch/debug/select-provider", body);
    assert_status(r, 200);
}

/* Says of an engine that it answered in so many ms. */
static void record(const char *engine, bool ok, int ms, int times)
{
    struct http_at at = system_switch(&sys);
    char body[200];
    snprintf(body, sizeof body, "{\"engine\":\"%s\",\"success\":%s,\"latency_ms\":%d}", engine,
             ok ? "true" : "false", ms);
    for (int i = 0; i < times; i++)
        assert_int_equal(http_status(&at, "POST", "/switch/hermes/record_result", body), 200);
}

static void names_and_meanings(void **state)
{
    (void)state;
    record("good/big", true, 2500, 4);
    record("quick/flash", true, 40, 4);
    record("penny/mini", true, 1500, 4);
    record("near/here", true, 4000, 4);
    answered_by("big", "hi", NULL, NULL, "good");
    answered_by("smart", "hi", NULL, NULL, "good");
    answered_by("fast", "hi", NULL, NULL, "quick");
    answered_by("cheap", "hi", NULL, NULL, "penny");
    answered_by("team", "hi", NULL, NULL, "good");
    answered_by("in-turn", "hi", NULL, NULL, "quick");
    struct http_reply r;
    ask(&r, "auto", "hi", NULL, NULL);
    assert_status(&r, 200);
    http_free(&r);
    ask(&r, "ghost", "hi", NULL, NULL);
    assert_error(&r, 404, "model_not_found");
    http_free(&r);
}

/* A request names a mode for itself; what is set does not change by that. */
static void modes_of_a_request(void **state)
{
    (void)state;
    answered_by("auto", "hi", NULL, "X-VX11-Mode: CRITICAL\r\n", "good");
    answered_by("auto", "hi", ",\"metadata\":{\"mode\":\"critical\"}", NULL, "good");
    answered_by("auto", "hi", ",\"metadata\":{\"mode\":\"cli\"}", "X-VX11-Mode: CRITICAL\r\n", "good");
}

static void abilities(void **state)
{
    char body[3000];
    struct http_reply r;
    (void)state;
    answered_by("fast", "hi", ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]", NULL,
                "good");
    /* More than fits into fifty tokens. */
    snprintf(body, sizeof body, "%0400d", 7);
    dry(&r, "{\"model\":\"fast\",\"prompt\":\"hi\"}");
    assert_string_equal(http_text(&r, "/provider"), "quick");
    http_free(&r);
    char question[3200];
    snprintf(question, sizeof question, "{\"model\":\"fast\",\"prompt\":\"%s\"}", body);
    dry(&r, question);
    assert_string_not_equal(http_text(&r, "/provider"), "quick");
    assert_non_null(strstr(r.raw.body.data, "too short"));
    http_free(&r);
    /* Named, it cannot: the caller is told, and nobody else is asked. */
    ask(&r, "flash", "hi", ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]", NULL);
    assert_error(&r, 400, "model_unable");
    http_free(&r);
}

/* The vectors of two models cannot be compared: an alias means its first, and nobody stands in for it. */
static void embeddings_have_one_model(void **state)
{
    struct http_at at = system_link(&sys);
    struct http_reply r;
    static const char body[] = "{\"model\":\"vectors\",\"input\":\"hi\"}";
    (void)state;
    upstream_behave(up, "quick", UP_VECTORS);
    upstream_behave(up, "penny", UP_VECTORS);
    http(&r, &at, "POST", "/v1/embeddings", body);
    assert_status(&r, 200);
    assert_string_equal(http_header(&r, "X-VX11-Provider"), "quick");
    http_free(&r);
    upstream_behave(up, "quick", UP_500);
    http(&r, &at, "POST", "/v1/embeddings", body);
    assert_int_equal(r.status, 502);
    http_free(&r);
    upstream_behave(up, "quick", UP_GOOD);
    upstream_behave(up, "penny", UP_GOOD);
}

/* ---- privacy ---- */

static int seen_by_all(void)
{
    static const char *const names[] = {"good", "quick", "penny", "hidden", "mute", "elsewhere"};
    int n = 0;
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        struct upstream_seen seen;
        upstream_seen(up, names[i], &seen);
        n += seen.requests;
    }
    return n;
}

static void what_must_stay_stays(void **state)
{
    static const char *const meanings[] = {"auto", "smart", "fast", "cheap", "", "here"};
    struct http_reply r;
    char token[128];
    int before = seen_by_all();
    (void)state;
    for (size_t i = 0; i < COUNT_OF(meanings); i++) {
        ask(&r, meanings[i], "hi", ",\"metadata\":{\"privacy\":\"local_only\"}", NULL);
        assert_status(&r, 200);
        assert_true(str_eq(http_header(&r, "X-VX11-Provider"), "near") ||
                    str_eq(http_header(&r, "X-VX11-Provider"), "local"));
        http_free(&r);
        ask(&r, meanings[i], "hi", NULL, "X-VX11-Privacy: local_only\r\n");
        assert_status(&r, 200);
        http_free(&r);
    }
    ask(&r, "big", "hi", NULL, "X-VX11-Privacy: local_only\r\n");
    assert_error(&r, 403, "privacy_local_only");
    http_free(&r);
    ask(&r, "team", "hi", NULL, "X-VX11-Privacy: local_only\r\n");
    assert_error(&r, 403, "privacy_local_only");
    http_free(&r);
    /* Hermes' own, but its engine is an address. */
    dry(&r, "{\"model\":\"far\",\"prompt\":\"hi\"}");
    assert_string_equal(http_text(&r, "/provider"), "local");
    http_free(&r);
    ask(&r, "far", "hi", NULL, "X-VX11-Privacy: local_only\r\n");
    assert_error(&r, 403, "privacy_local_only");
    http_free(&r);
    /* Even when all that is here fails, nobody outside is asked. */
    upstream_behave(up, "near", UP_500);
    ask(&r, "here", "hi", NULL, "X-VX11-Privacy: local_only\r\n");
    assert_int_equal(r.status, 502);
    http_free(&r);
    upstream_behave(up, "near", UP_GOOD);
    /* What is not understood does not leave either. */
    ask(&r, "big", "hi", NULL, "X-VX11-Privacy: localonly\r\n");
    assert_error(&r, 400, "invalid_privacy");
    http_free(&r);
    ask(&r, "big", "hi", ",\"metadata\":{\"privacy\":true}", NULL);
    assert_error(&r, 400, "invalid_privacy");
    http_free(&r);
    /* A token's word cannot be taken back. */
    system_token(&sys, "diary", "read,chat", token);
    struct http_at at = system_link(&sys);
    at.token = token;
    at.headers = "X-VX11-Privacy: any\r\n";
    eventually(5000, http_status(&at, "GET", "/v1/models", NULL) == 200);
    http(&r, &at, "POST", "/v1/chat/completions", chat_body("big", false));
    assert_error(&r, 403, "privacy_local_only");
    http_free(&r);
    assert_int_equal(seen_by_all(), before);
    assert_int_equal(system_count(&sys,
                                  "SELECT count(*) FROM decision WHERE privacy = 'local_only' AND provider "
                                  "NOT IN ('local', 'near')"),
                     0);
}

/* ---- what is said of it ---- */

static void header_row_and_dry_run_agree(void **state)
{
    struct http_reply r, d;
    char sql[400], want[300];
    (void)state;
    dry(&d, "{\"model\":\"smart\",\"prompt\":\"Translate this letter into German\"}");
    assert_string_equal(http_text(&d, "/status"), "ok");
    assert_string_equal(http_text(&d, "/explanation/task_type"), "translation");
    assert_string_equal(http_text(&d, "/explanation/task_from"), "words");
    ask(&r, "smart", "Translate this letter into German", NULL, NULL);
    assert_status(&r, 200);
    const char *header = http_header(&r, "X-VX11-Decision");
    snprintf(want, sizeof want, "%s; mode=BALANCED; task=translation; score=0.", http_text(&d, "/engine"));
    if (!header || !str_starts(header, want))
        fail_msg("%s instead of %s", header ? header : "no header", want);
    system_account(&sys, http_header(&r, "X-Request-Id")); /* until it is written */
    snprintf(
        sql, sizeof sql,
        "SELECT provider || '/' || model, task_type, mode, privacy, fluzo, score BETWEEN 0 AND 2, candidates "
        "FROM decision WHERE request_id = '%s'",
        http_header(&r, "X-Request-Id"));
    const char *row = system_row(&sys, sql);
    snprintf(want, sizeof want, "%s|translation|BALANCED|any|balanced|1|{\"candidates\":[",
             http_text(&d, "/engine"));
    if (!str_starts(row, want))
        fail_msg("%s instead of %s", row, want);
    assert_non_null(strstr(row, "\"ok\":true")); /* how it went */
    assert_non_null(strstr(row, "\"provider\":\"penny\""));
    assert_non_null(strstr(row, "nobody named it") ? row : strstr(row, "\"penny\""));
    http_free(&r);
    http_free(&d);
}

static void a_dry_run_has_no_effect(void **state)
{
    struct http_reply r;
    struct http_at at = system_switch(&sys);
    static const char *const paths[] = {"/switch/debug/select-provider", "/switch/hermes/select_engine",
                                        "/switch/select_model"};
    (void)state;
    sleep_ms(300); /* what came before is written */
    int64_t rows = system_count(&sys, "SELECT count(*) FROM decision");
    int seen = seen_by_all();
    for (int i = 0; i < 30; i++) {
        http(&r, &at, "POST", paths[i % 3], "{\"prompt\":\"hi\",\"available_engines\":[\"penny\",\"big\"]}");
        assert_status(&r, 200);
        assert_true(str_starts(http_text(&r, "/engine"), "penny/") ||
                    str_starts(http_text(&r, "/engine"), "good/"));
        assert_string_equal(http_text(&r, "/profile/mode"), "BALANCED");
        assert_int_equal(http_int(&r, "/profile/timeout_ms"), 8000);
        http_free(&r);
    }
    dry(&r, "{\"model\":\"nobody-has-it\"}");
    assert_string_equal(http_text(&r, "/status"), "none");
    assert_non_null(strstr(http_text(&r, "/decision"), "there is no model"));
    http_free(&r);
    sleep_ms(300);
    assert_int_equal(seen_by_all(), seen);
    assert_int_equal(system_count(&sys, "SELECT count(*) FROM decision"), rows);
    assert_int_equal(system_count(&sys, "SELECT count(*) FROM job"), 0);
}

/* Headers of the caller's reach Switch through Link. */
static void what_headers_say(void **state)
{
    struct http_reply r;
    (void)state;
    ask(&r, "smart", "Translate this letter", NULL, "X-VX11-Task-Type: code-review\r\nX-VX11-Mode: eco\r\n");
    assert_status(&r, 200);
    assert_non_null(strstr(http_header(&r, "X-VX11-Decision"), "; mode=ECO; task=code;"));
    http_free(&r);
}

/* A provider's own list may be long and dear: Switch does not help itself to it. */
static void unnamed_models_are_not_chosen(void **state)
{
    struct http_reply r;
    (void)state;
    ask(&r, "hidden/listed-one", "hi", NULL, NULL);
    assert_status(&r, 200);
    http_free(&r);
    dry(&r, "{\"prompt\":\"hi\"}");
    assert_non_null(strstr(r.raw.body.data, "nobody named it"));
    http_free(&r);
}

/* One that Switch chose has the mode's time, not its provider's two minutes, while another is left. */
static void who_was_chosen_is_not_waited_for(void **state)
{
    struct http_at at = system_link(&sys);
    struct http_reply r;
    (void)state;
    upstream_behave(up, "mute", UP_SILENT);
    int64_t begun = clock_mono_ms();
    http(&r, &at, "POST", "/v1/chat/completions", chat_body("patience", true));
    int64_t took = clock_mono_ms() - begun;
    assert_status(&r, 200);
    assert_string_equal(http_header(&r, "X-VX11-Provider"), "good");
    assert_non_null(strstr(http_header(&r, "X-VX11-Decision"), "mode=ECO"));
    assert_true(took >= 4900 && took < 20000);
    http_free(&r);
}

/* What Hermes tells of a local model: until it is loaded its load counts, and is a guess. */
static void local_models_are_known(void **state)
{
    static const char body[] = "{\"model\":\"vx11-guide\",\"prompt\":\"hi\"}";
    struct http_reply r;
    (void)state;
    answered_by("vx11-guide", "hi", NULL, NULL, "local");
    for (int i = 0;; i++) { /* Hermes is asked every now and then */
        dry(&r, body);
        assert_string_equal(http_text(&r, "/explanation/candidates/0/provider"), "local");
        if (!strstr(r.raw.body.data, "\"latency\",") && !strstr(r.raw.body.data, "\"load\""))
            break;
        http_free(&r);
        assert_true(i < 100);
        sleep_ms(50);
    }
    yyjson_val *price = yyjson_doc_ptr_get(r.json, "/explanation/candidates/0/price");
    assert_true(yyjson_get_num(price) == 0);
    assert_non_null(strstr(r.raw.body.data, "\"guessed\":[\"quality\"")); /* by its size */
    http_free(&r);
}

/* ---- the mode, the learner ---- */

static void control(const char *body, int status, const char *code)
{
    struct http_at at = system_switch(&sys);
    struct http_reply r;
    http(&r, &at, "POST", "/switch/control", body);
    if (code)
        assert_error(&r, status, code);
    else
        assert_status(&r, status);
    http_free(&r);
}

static void modes(void **state)
{
    struct http_at at = system_switch(&sys);
    struct http_reply r;
    (void)state;
    control("{}", 422, "action_required");
    control("{\"action\":\"explode\"}", 422, "unknown_action");
    control("{\"op\":\"set_mode\",\"mode\":\"MAD\"}", 422, "invalid_mode");
    control("{\"action\":\"set_mode\"}", 422, "invalid_mode");
    http(&r, &at, "POST", "/switch/control", "{\"op\":\"list_modes\"}");
    assert_status(&r, 200);
    assert_int_equal(yyjson_arr_size(yyjson_doc_ptr_get(r.json, "/modes")), 4);
    http_free(&r);
    control("{\"action_type\":\"set_mode\",\"mode\":\"critical\"}", 200, NULL);
    http(&r, &at, "POST", "/switch/control", "{\"action\":\"get_mode\"}");
    assert_string_equal(http_text(&r, "/mode"), "CRITICAL");
    http_free(&r);
    answered_by("auto", "hi", NULL, NULL, "good");
    http(&r, &at, "GET", "/switch/context", NULL);
    assert_string_equal(http_text(&r, "/mode"), "CRITICAL");
    assert_int_equal(http_int(&r, "/queue_size"), 0);
    http_free(&r);
}

/* Two equal providers: what was learned decides. */
static void failures_are_learned(void **state)
{
    struct http_at at = system_switch(&sys);
    struct http_reply r;
    (void)state;
    http(&r, &at, "GET", "/switch/learner", NULL);
    assert_status(&r, 200);
    assert_non_null(strstr(r.raw.body.data, "\"quick\""));
    http_free(&r);
    answered_by("fast", "hi", NULL, NULL, "quick");
    record("quick/flash", false, 0, 400);
    ask(&r, "fast", "hi", NULL, NULL);
    assert_status(&r, 200);
    assert_string_not_equal(http_header(&r, "X-VX11-Provider"), "quick");
    http_free(&r);
}

/* Of those who offer a model that was named too, where no chain is given. */
static void names_go_by_score(void **state)
{
    (void)state;
    answered_by("twin", "hi", NULL, NULL, "left"); /* equal: the order of the configuration */
    record("left/twin", false, 0, 50);
    answered_by("twin", "hi", NULL, NULL, "right");
    answered_by("left/twin", "hi", NULL, NULL, "left");
    upstream_behave(up, "right", UP_500);
    answered_by("twin", "hi", NULL, NULL, "left"); /* the other one is its fallback */
    upstream_behave(up, "right", UP_GOOD);
}

static double learned_of(const char *provider)
{
    struct http_at at = system_switch(&sys);
    struct http_reply r;
    double v = -1;
    http(&r, &at, "GET", "/switch/learner", NULL);
    yyjson_val *rows = yyjson_doc_ptr_get(r.json, "/rows"), *row;
    size_t i, n;
    yyjson_arr_foreach(rows, i, n, row)
    {
        if (str_eq(yyjson_get_str(yyjson_obj_get(row, "task_type")), "chat") &&
            str_eq(yyjson_get_str(yyjson_obj_get(row, "provider")), provider))
            v = yyjson_get_num(yyjson_obj_get(row, "learned"));
    }
    http_free(&r);
    return v;
}

static void people_are_heard(void **state)
{
    struct http_at at = system_switch(&sys);
    struct http_reply r, f;
    char body[300], token[128];
    (void)state;
    ask(&r, "big", "hi", NULL, NULL);
    assert_status(&r, 200);
    system_account(&sys, http_header(&r, "X-Request-Id"));
    double before = learned_of("good");
    snprintf(body, sizeof body, "{\"request_id\":\"%s\",\"rating\":-1,\"note\":\"no\"}",
             http_header(&r, "X-Request-Id"));
    system_token(&sys, "stranger", "read,chat", token);
    struct http_at other = at;
    other.token = token;
    eventually(5000, http_status(&other, "GET", "/switch/learner", NULL) == 200);
    assert_int_equal(http_status(&other, "POST", "/switch/feedback", body), 404);
    http(&f, &at, "POST", "/switch/feedback", body);
    assert_status(&f, 200);
    assert_string_equal(http_text(&f, "/provider"), "good");
    http_free(&f);
    assert_true(learned_of("good") < before);
    http(&f, &at, "POST", "/switch/feedback", body);
    assert_error(&f, 409, "already_rated");
    http_free(&f);
    http_free(&r);
    assert_int_equal(http_status(&at, "POST", "/switch/feedback", "{\"request_id\":\"x\",\"rating\":1}"),
                     404);
    assert_int_equal(http_status(&at, "POST", "/switch/hermes/record_result", "{\"engine\":\"what\"}"), 404);
}

static void it_survives_a_restart(void **state)
{
    double before = learned_of("quick");
    (void)state;
    assert_true(before >= 0 && before < 0.2);
    process_kill(system_module_pid(&sys, "switch"), 15);
    sleep_ms(200);
    system_wait_healthy(&sys);
    double after = learned_of("quick");
    assert_true(after > before - 0.001 && after < before + 0.001);
    struct http_at at = system_switch(&sys);
    struct http_reply r;
    http(&r, &at, "POST", "/switch/control", "{\"action\":\"get_mode\"}");
    assert_string_equal(http_text(&r, "/mode"), "CRITICAL");
    http_free(&r);
    control("{\"action\":\"set_mode\",\"mode\":\"BALANCED\"}", 200, NULL);
}

/* ---- the host, Hermes ---- */

static void the_host_is_looked_at(void **state)
{
    struct http_at at = system_switch(&sys);
    struct http_reply r;
    (void)state;
    http(&r, &at, "GET", "/switch/fluzo", NULL);
    assert_status(&r, 200);
    assert_string_equal(http_text(&r, "/profile/mode"), "balanced"); /* the configuration says so */
    assert_true(yyjson_get_bool(yyjson_doc_ptr_get(r.json, "/profile/overridden")));
    assert_true(http_int(&r, "/profile/signals/cpus") >= 1);
    http_free(&r);
    eventually(5000, system_count(&sys, "SELECT count(*) FROM fluzo_sample WHERE profile = 'balanced' AND "
                                        "memory_pct > 0 AND cpu_pct IS NOT NULL") > 1);
    http(&r, &at, "GET", "/switch/fluzo/signals", NULL);
    assert_status(&r, 200);
    assert_true(http_int(&r, "/signals/memory_available_bytes") > 0);
    http_free(&r);
    http(&r, &at, "GET", "/switch/hermes/status", NULL);
    assert_status(&r, 200);
    assert_string_equal(http_text(&r, "/hermes"), "available");
    assert_non_null(strstr(r.raw.body.data, "\"vx11-guide\""));
    assert_int_equal(http_int(&r, "/metrics/queue_size"), 0);
    http_free(&r);
    http(&r, &at, "POST", "/switch/shub/detect", "{\"prompt\":\"restore the database\"}");
    assert_false(yyjson_get_bool(yyjson_doc_ptr_get(r.json, "/should_route_to_shub")));
    http_free(&r);
    http(&r, &at, "POST", "/switch/shub/detect", "{\"prompt\":\"denoise the vocals\"}");
    assert_true(yyjson_get_bool(yyjson_doc_ptr_get(r.json, "/should_route_to_shub")));
    assert_string_equal(http_text(&r, "/domain"), "restoration");
    http_free(&r);
}

static bool applies(const char *mode)
{
    struct http_at at = system_switch(&sys);
    struct http_reply r;
    http(&r, &at, "POST", "/switch/control", "{\"action\":\"get_mode\"}");
    bool is = r.status == 200 && str_eq(http_text(&r, "/effective_mode"), mode);
    http_free(&r);
    return is;
}

/* A host that is short of power spends less, whatever mode is set, unless it is the one for what matters. */
static void a_strained_host_spends_less(void **state)
{
    struct http_at at = system_switch(&sys);
    struct http_reply r;
    (void)state;
    control("{\"action\":\"set_mode\",\"mode\":\"HIGH-PERF\"}", 200, NULL);
    assert_true(applies("HIGH-PERF"));
    configure("low_power");
    process_kill(sys.pid, 1);
    eventually(8000, applies("ECO"));
    http(&r, &at, "POST", "/switch/control", "{\"action\":\"get_mode\"}");
    assert_string_equal(http_text(&r, "/mode"), "HIGH-PERF"); /* is set, and comes back */
    http_free(&r);
    http(&r, &at, "GET", "/switch/fluzo", NULL);
    assert_true(yyjson_get_num(yyjson_doc_ptr_get(r.json, "/profile/pool_factor")) == 0.5);
    http_free(&r);
    ask(&r, "smart", "hi", NULL, NULL);
    assert_non_null(strstr(http_header(&r, "X-VX11-Decision"), "mode=ECO"));
    http_free(&r);
    control("{\"action\":\"set_mode\",\"mode\":\"CRITICAL\"}", 200, NULL);
    assert_true(applies("CRITICAL"));
    configure("performance");
    process_kill(sys.pid, 1);
    eventually(8000, http_status(&at, "GET", "/switch/fluzo", NULL) == 200 && applies("CRITICAL"));
    control("{\"action\":\"set_mode\",\"mode\":\"ECO\"}", 200, NULL);
    assert_true(applies("ECO")); /* plenty of power is no reason to spend more */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_meanings),
        cmocka_unit_test(modes_of_a_request),
        cmocka_unit_test(abilities),
        cmocka_unit_test(embeddings_have_one_model),
        cmocka_unit_test(what_must_stay_stays),
        cmocka_unit_test(header_row_and_dry_run_agree),
        cmocka_unit_test(what_headers_say),
        cmocka_unit_test(a_dry_run_has_no_effect),
        cmocka_unit_test(unnamed_models_are_not_chosen),
        cmocka_unit_test(local_models_are_known),
        cmocka_unit_test(failures_are_learned),
        cmocka_unit_test(names_go_by_score),
        cmocka_unit_test(people_are_heard),
        cmocka_unit_test(modes),
        cmocka_unit_test(it_survives_a_restart),
        cmocka_unit_test(who_was_chosen_is_not_waited_for),
        cmocka_unit_test(the_host_is_looked_at),
        cmocka_unit_test(a_strained_host_spends_less),
        cmocka_unit_test(stops_clean),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
