/* Embeddings from the front door: through a provider that answers well or badly, and through the real engine
 * with a model that writes and one that only embeds. And what passes Switch unread: tools, thoughts, odd
 * fields. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <math.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/str.h"
#include "system.h"
#include "upstream.h"

#define PATH  "/v1/embeddings"
#define GUIDE "vx11-guide"

static struct system sys;
static struct upstream *up;

static int start(void **state)
{
    struct buf yaml = BUF_INIT;
    (void)state;
    up = upstream_start();
    buf_puts(&yaml, "switch:\n  breaker_threshold: 100\n  retries: 0\n  rest_most_ms: 0\n  chain: [vec, bad, "
                    "good, local, spare/m]\n  providers:\n"
                    "    - {name: local, kind: local}\n");
    upstream_yaml(up, &yaml, "vec", "m", NULL);
    upstream_yaml(up, &yaml, "spare", "m", NULL);
    upstream_yaml(up, &yaml, "bad", "duo", NULL);
    upstream_yaml(up, &yaml, "good", "duo", NULL);
    upstream_yaml(up, &yaml, "lone", "single", NULL);
    upstream_yaml(up, &yaml, "tools", "t", NULL);
    upstream_behave(up, "vec", UP_VECTORS);
    upstream_behave(up, "spare", UP_VECTORS);
    upstream_behave(up, "good", UP_VECTORS);
    upstream_behave(up, "bad", UP_500);
    upstream_behave(up, "tools", UP_TOOLS);
    system_init(&sys);
    system_config(&sys, yaml.data);
    buf_free(&yaml);
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

static void embed(struct http_reply *r, const char *body)
{
    struct http_at at = system_link(&sys);
    http(r, &at, "POST", PATH, body);
}

/* ---- a provider ---- */

static void passes_as_it_came(void **state)
{
    struct http_reply r;
    struct upstream_seen seen;
    static const char body[] = "{\"model\":\"m\",\"input\":[\"a\",\"b\"],\"encoding_format\":\"base64\","
                               "\"dimensions\":2,\"user\":\"u\",\"odd\":{\"x\":[1,2.50]}}";
    (void)state;
    embed(&r, body);
    assert_status(&r, 200);
    assert_string_equal(r.raw.body.data, upstream_vectors);
    assert_string_equal(http_header(&r, "X-VX11-Provider"), "vec");
    assert_true(
        str_starts(system_account(&sys, http_header(&r, "X-Request-Id")), "ok|200|vec|m|1|9|null|null|null"));
    http_free(&r);
    upstream_seen(up, "vec", &seen);
    assert_non_null(strstr(seen.head, "POST /vec/v1/embeddings "));
    assert_null(strstr(seen.head, "X-VX11-P")); /* who asks, and how urgently, stays here */
    assert_string_equal(seen.body, body);
    assert_int_equal(system_count(&sys, "SELECT count(*) FROM decision WHERE route = 'embeddings'"), 1);
    embed(&r, "{\"model\":\"vec/m\",\"input\":\"a\"}");
    assert_status(&r, 200);
    http_free(&r);
    upstream_seen(up, "vec", &seen);
    assert_non_null(strstr(seen.body, "\"model\":\"m\""));
}

static void faults(void **state)
{
    static const struct {
        enum behaviour behaviour;
        int status;
        const char *code;
    } some[] = {{UP_400, 400, "too_something"},        {UP_401, 502, "provider_refused_key"},
                {UP_429, 429, "rate_limited"},         {UP_503, 503, "upstream_unavailable"},
                {UP_GOOD, 502, "upstream_broken"}, /* choices and no vectors */
                {UP_BAD_JSON, 502, "upstream_broken"}, {UP_CLOSE, 502, "upstream_broken"}};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(some); i++) {
        struct http_reply r;
        upstream_behave(up, "lone", some[i].behaviour);
        embed(&r, "{\"model\":\"single\",\"input\":\"a\"}");
        assert_error(&r, some[i].status, some[i].code);
        if (some[i].status == 429)
            assert_string_equal(http_header(&r, "Retry-After"), "7");
        http_free(&r);
    }
    struct http_reply r;
    embed(&r, "{\"input\":\"a\",\"model\":\"nobody-has-it\"}");
    assert_error(&r, 404, "model_not_found");
    http_free(&r);
    embed(&r, "{\"model\":\"m\"}");
    assert_status(&r, 422);
    http_free(&r);
}

/* Another provider of the same model is tried; the chain's other models are not: their vectors are others. */
static void next_provider_same_model(void **state)
{
    struct http_reply r;
    struct upstream_seen before, after;
    (void)state;
    embed(&r, "{\"model\":\"duo\",\"input\":\"a\"}");
    assert_status(&r, 200);
    assert_string_equal(http_header(&r, "X-VX11-Provider"), "good");
    assert_true(str_starts(system_account(&sys, http_header(&r, "X-Request-Id")), "ok|200|good|duo|2|9|"));
    http_free(&r);
    upstream_behave(up, "good", UP_500);
    upstream_seen(up, "spare", &before);
    embed(&r, "{\"model\":\"duo\",\"input\":\"a\"}");
    assert_error(&r, 502, "upstream_error");
    http_free(&r);
    upstream_seen(up, "spare", &after);
    assert_int_equal(after.requests, before.requests);
}

/* ---- the engine ---- */

static double length(const struct http_reply *r, int input)
{
    char pointer[64];
    double sum = 0;
    size_t i, max;
    yyjson_val *v;
    snprintf(pointer, sizeof pointer, "/data/%d/embedding", input);
    yyjson_val *vector = yyjson_doc_ptr_get(r->json, pointer);
    yyjson_arr_foreach(vector, i, max, v) sum += yyjson_get_num(v) * yyjson_get_num(v);
    return sqrt(sum);
}

static void local_generative(void **state)
{
    struct http_reply r;
    (void)state;
    embed(&r, "{\"model\":\"" GUIDE "\",\"input\":[\"Which port is switch on?\",\"a\"]}");
    assert_status(&r, 200);
    assert_int_equal(yyjson_arr_size(yyjson_doc_ptr_get(r.json, "/data/1/embedding")), 256);
    assert_true(fabs(length(&r, 0) - 1) < 1e-4 && fabs(length(&r, 1) - 1) < 1e-4);
    assert_string_equal(http_header(&r, "X-VX11-Provider"), "local");
    assert_true(str_starts(system_account(&sys, http_header(&r, "X-Request-Id")),
                           "ok|200|local|" GUIDE "|1|9|null|"));
    http_free(&r);
    embed(&r, "{\"model\":\"" GUIDE "\",\"input\":\"\"}");
    assert_error(&r, 400, "invalid_value");
    assert_string_equal(http_text(&r, "/error/param"), "input");
    http_free(&r);
}

static void encoder_make(char *path, size_t size)
{
    struct buf out = BUF_INIT;
    const char *tool = getenv("VX11_SYNTH");
    pid_t pid;
    int status;
    snprintf(path, size, "%s/encoder.gguf", sys.home);
    const char *const argv[] = {"vx11-synth", "--preset", "tiny-bert", "--out", path, NULL};
    assert_non_null(tool);
    assert_int_equal(posix_spawn(&pid, tool, NULL, NULL, (char *const *)(uintptr_t)argv, environ), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    const char *const add[] = {"models", "add", path, NULL};
    if (system_run(&sys, &out, add) != 0)
        fail_msg("%s", out.data);
    buf_free(&out);
}

static void local_encoder(void **state)
{
    struct http_at at = system_link(&sys);
    struct http_reply r;
    char path[200];
    (void)state;
    encoder_make(path, sizeof path);
    eventually(5000,
               (http(&r, &at, "GET", "/v1/models/encoder", NULL), r.status == 200 || (http_free(&r), false)));
    assert_non_null(strstr(r.raw.body.data, "\"capabilities\":[\"embeddings\"]"));
    http_free(&r);
    embed(&r, "{\"model\":\"encoder\",\"input\":[\"Which port is switch on?\",[5,6,7]],\"dimensions\":32}");
    assert_status(&r, 200);
    assert_int_equal(yyjson_arr_size(yyjson_doc_ptr_get(r.json, "/data/1/embedding")), 32);
    assert_true(fabs(length(&r, 0) - 1) < 1e-4 && fabs(length(&r, 1) - 1) < 1e-4);
    http_free(&r);
    embed(&r, "{\"input\":\"who embeds when nobody is named?\"}");
    assert_status(&r, 200);
    assert_string_equal(http_header(&r, "X-VX11-Model"), "encoder");
    http_free(&r);
    system_chat(&sys, &r, "encoder", false);
    assert_error(&r, 400, "model_cannot_chat");
    http_free(&r);
    http(&r, &at, "POST", "/v1/completions", "{\"model\":\"local/encoder\",\"prompt\":\"a\"}");
    assert_error(&r, 400, "model_cannot_complete");
    http_free(&r);
    /* And it is no default for chats. */
    http(&r, &at, "POST", "/v1/chat/completions", "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}");
    assert_status(&r, 200);
    assert_string_equal(http_header(&r, "X-VX11-Model"), GUIDE);
    http_free(&r);
}

static void command_line(void **state)
{
    struct buf out = BUF_INIT;
    const char *const lines[] = {"embed", "--model", GUIDE, "--dimensions", "3", "one", "--", "-two", NULL};
    const char *const whole[] = {"embed", "--json", "--model", GUIDE, "one", NULL};
    const char *const wrong[] = {"embed", "--model", GUIDE, "--dimensions", "9999", "one", NULL};
    (void)state;
    assert_int_equal(system_run(&sys, &out, lines), 0);
    const char *second = strchr(out.data, '\n') + 1;
    assert_true(out.data[0] == '[' && second[0] == '[' && str_ends(out.data, "]\n"));
    assert_int_equal(strchr(second, '\n') + 1 - out.data, out.len);
    buf_clear(&out);
    assert_int_equal(system_run(&sys, &out, whole), 0);
    assert_non_null(strstr(out.data, "\"object\": \"list\""));
    buf_clear(&out);
    assert_int_equal(system_run(&sys, &out, wrong), 1);
    assert_non_null(strstr(out.data, "256 numbers"));
    buf_free(&out);
}

/* ---- what passes unread ---- */

static const char tool_body[] =
    "{\"model\":\"t\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],%s\"tools\":[{\"type\":"
    "\"function\","
    "\"function\":{\"name\":\"port\",\"parameters\":{\"type\":\"object\"}}}],\"tool_choice\":\"required\","
    "\"parallel_tool_calls\":false,\"response_format\":{\"type\":\"json_object\"},\"grammar\":\"root ::= "
    "\\\"a\\\"\","
    "\"chat_template_kwargs\":{\"enable_thinking\":false},\"context_overflow\":\"shift\",\"reasoning_"
    "effort\":\"low\"}";

static void tools_pass(void **state)
{
    struct http_at at = system_link(&sys);
    struct http_reply r;
    struct upstream_seen seen;
    char body[1024];
    (void)state;
    snprintf(body, sizeof body, tool_body, "");
    http(&r, &at, "POST", "/v1/chat/completions", body);
    assert_status(&r, 200);
    assert_string_equal(r.raw.body.data, upstream_tools);
    assert_string_equal(http_header(&r, "X-VX11-Context-Shift"), "dropped_messages=2");
    http_free(&r);
    upstream_seen(up, "tools", &seen);
    assert_string_equal(seen.body, body);
}

/* Each event as it came, and the call of a tool counts as the first token. */
static void tool_deltas_pass(void **state)
{
    struct http_at at = system_link(&sys);
    struct http_reply r;
    char body[1024], sql[200];
    (void)state;
    snprintf(body, sizeof body, tool_body, "\"stream\":true,\"stream_options\":{\"include_usage\":true},");
    http(&r, &at, "POST", "/v1/chat/completions", body);
    assert_status(&r, 200);
    assert_true(sse_done(r.raw.body.data));
    assert_int_equal(sse_count(r.raw.body.data), UPSTREAM_TOOL_EVENTS + 1);
    for (size_t i = 0; i < UPSTREAM_TOOL_EVENTS; i++)
        assert_non_null(strstr(r.raw.body.data, upstream_tool_events[i]));
    assert_string_equal(http_header(&r, "X-VX11-Context-Shift"), "dropped_messages=2");
    const char *id = http_header(&r, "X-Request-Id");
    assert_true(str_starts(system_account(&sys, id), "ok|200|tools|t|1|7|5|"));
    snprintf(sql, sizeof sql,
             "SELECT count(*) FROM decision WHERE request_id = '%s' AND first_token_ms IS NOT NULL", id);
    assert_int_equal(system_count(&sys, sql), 1);
    http_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(passes_as_it_came),
        cmocka_unit_test(faults),
        cmocka_unit_test(next_provider_same_model),
        cmocka_unit_test(tools_pass),
        cmocka_unit_test(tool_deltas_pass),
        cmocka_unit_test(local_generative),
        cmocka_unit_test(local_encoder),
        cmocka_unit_test(command_line),
        cmocka_unit_test(stops_clean),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
