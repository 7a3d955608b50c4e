/* Warming: vx11 models warm, vx11 warmup and its exit codes, preloading, and the routes beside them. Real
 * engines with random models, and engines that are not VX11's own for what must go wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"
#include "fake_server.h"
#include "system.h"

#define GUIDE "vx11-guide"

extern char **environ;

static struct system sys;
static char self[1024];

static void model_make(const char *name, const char *seed)
{
    char path[200];
    pid_t pid;
    int status;
    const char *tool = getenv("VX11_SYNTH");
    (void)snprintf(path, sizeof path, "%s/models", sys.home);
    assert_int_equal(fs_mkdirs(path, 0700, NULL), 0);
    (void)snprintf(path, sizeof path, "%s/models/%s.gguf", sys.home, name);
    const char *const argv[] = {"vx11-synth", "--out", path, "--seed", seed, "--name", name, NULL};
    assert_non_null(tool);
    assert_int_equal(posix_spawn(&pid, tool, NULL, NULL, (char *const *)(uintptr_t)argv, environ), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* Exit status; what was said into text. */
static int run(char *text, size_t size, const char *const *args)
{
    struct buf out = BUF_INIT;
    const int status = system_run(&sys, &out, args);
    (void)snprintf(text, size, "%s", out.data ? out.data : "");
    buf_free(&out);
    return status;
}
#define RUN(text, ...) run(text, sizeof text, (const char *const[]){__VA_ARGS__, NULL})

static yyjson_doc *json_of(const char *text)
{
    const char *open = strchr(text, '{');
    yyjson_doc *doc = open ? yyjson_read(open, strlen(open), YYJSON_READ_STOP_WHEN_DONE) : NULL;
    if (!doc)
        fail_msg("no JSON: %s", text);
    return doc;
}

static const char *text_at(yyjson_doc *doc, const char *pointer)
{
    const char *s = yyjson_get_str(yyjson_doc_ptr_get(doc, pointer));
    return s ? s : "";
}

static int64_t number_at(yyjson_doc *doc, const char *pointer)
{
    return yyjson_get_sint(yyjson_doc_ptr_get(doc, pointer));
}

/* ---- without models, and not started ---- */

static void too_few(void **state)
{
    char text[8192];
    (void)state;
    system_init(&sys);
    assert_int_equal(RUN(text, "warmup"), 3); /* nothing runs */
    system_config(&sys, NULL);
    system_up(&sys);
    assert_int_equal(RUN(text, "warmup"), 1);
    assert_non_null(strstr(text, "1  models registered  FAILED  1 enabled model"));
    assert_non_null(strstr(text, "2  warm-up            not run"));
    assert_int_equal(RUN(text, "warmup", "nobody", GUIDE), 1);
    assert_non_null(strstr(text, "nobody is not registered"));
    assert_int_equal(RUN(text, "warmup", "--models", "1"), 64);
    system_stop(&sys);
    system_remove(&sys);
}

/* ---- with them ---- */

static int start(void **state)
{
    char yaml[8192];
    (void)state;
    system_init(&sys);
    model_make("alpha", "1");
    model_make("beta", "2");
    (void)snprintf(yaml, sizeof yaml,
                   "hermes:\n"
                   "  max_loaded: 1\n"
                   "  preload: [alpha, absent]\n"
                   "  warmup: {tokens: 3}\n"
                   "  engines:\n"
                   "    - name: quiet\n"
                   "      command: [%s, serve, --port, \"{port}\", --quiet]\n"
                   "      models: [says-nothing]\n"
                   "    - name: slow\n"
                   "      command: [%s, serve, --port, \"{port}\", --answer-ms, \"700\"]\n"
                   "      models: [takes-time]\n"
                   "      memory_bytes: 20 MiB\n",
                   self, self);
    system_config(&sys, yaml);
    system_up(&sys);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    system_remove(&sys);
    return 0;
}

static void stops_clean(void **state)
{
    (void)state;
    sys.rough = true; /* Switch was killed */
    system_stop(&sys);
}

/* Nobody waited for it, and it is there. */
static void preloaded(void **state)
{
    struct http_at at = system_hermes(&sys);
    struct http_reply r;
    (void)state;
    eventually(30000,
               (http(&r, &at, "GET", "/hermes/warmup/status", NULL),
                http_int(&r, "/total_ready") + http_int(&r, "/total_failed") == 2 || (http_free(&r), false)));
    assert_int_equal(http_int(&r, "/total_ready"), 1);
    assert_string_equal(http_text(&r, "/models/0/model"), "absent");
    assert_string_equal(http_text(&r, "/models/0/state"), "failed");
    assert_string_equal(http_text(&r, "/models/0/code"), "model_not_found");
    assert_string_equal(http_text(&r, "/models/1/state"), "ready");
    assert_int_equal(http_int(&r, "/models/1/tokens"), 3);
    assert_true(http_int(&r, "/models/1/load_ms") > 0);
    http_free(&r);
    assert_true(system_engine_pid(&sys, "alpha") > 0);
    assert_int_equal(system_count(&sys, "SELECT usage_count FROM model WHERE name = 'alpha'"),
                     0); /* no use */
    struct http_at sw = system_switch(&sys);
    http(&r, &sw, "GET", "/switch/warmup/status", NULL);
    assert_status(&r, 200);
    assert_string_equal(http_text(&r, "/models_health/alpha"), "ready");
    assert_string_equal(http_text(&r, "/models_health/absent"), "failed");
    http_free(&r);
}

static void warm_command(void **state)
{
    char text[8192];
    (void)state;
    assert_int_equal(RUN(text, "models", "warm", "beta", "alpha", "--tokens", "5"), 0);
    assert_non_null(strstr(text, "beta: loaded in "));
    assert_non_null(strstr(text, "5 tokens"));
    assert_int_equal(RUN(text, "models", "warm", "alpha", "--json"), 0);
    yyjson_doc *doc = json_of(text);
    assert_string_equal(text_at(doc, "/models/0/state"), "ready");
    assert_int_equal(number_at(doc, "/models/0/tokens"), 1);
    yyjson_doc_free(doc);
    assert_int_equal(RUN(text, "models", "warm", "alhpa"), 1);
    assert_non_null(strstr(text, "alpha")); /* the nearest is named */
    assert_int_equal(RUN(text, "models", "warm", "says-nothing"), 1);
    assert_non_null(strstr(text, "generated nothing"));
    assert_int_equal(RUN(text, "models", "warm"), 64);
    assert_int_equal(RUN(text, "models", "plan", "beta"), 0);
    assert_non_null(strstr(text, "needs"));
    assert_int_equal(RUN(text, "models", "pin", "beta"), 0);
    assert_int_equal(RUN(text, "models", "unpin", "beta"), 0);
    assert_int_equal(RUN(text, "models", "unload", "beta"), 0);
}

static void five_checks(void **state)
{
    char text[16384], sql[128];
    (void)state;
    for (int round = 0; round < 2; round++) { /* again, and nothing is different */
        const int status = RUN(text, "warmup", "alpha", "beta", "--json");
        if (status != 0)
            fail_msg("exit %d: %s", status, text);
        yyjson_doc *doc = json_of(text);
        assert_true(yyjson_get_bool(yyjson_doc_ptr_get(doc, "/ok")));
        for (int i = 0; i < 5; i++) {
            char pointer[32];
            (void)snprintf(pointer, sizeof pointer, "/checks/%d/state", i);
            assert_string_equal(text_at(doc, pointer), "ok");
        }
        for (int i = 0; i < 2; i++) {
            char pointer[48];
            (void)snprintf(pointer, sizeof pointer, "/models/%d/usage_after", i);
            assert_int_equal(number_at(doc, pointer), round + 1);
            (void)snprintf(pointer, sizeof pointer, "/models/%d/decisions", i);
            assert_int_equal(number_at(doc, pointer), 1);
            (void)snprintf(pointer, sizeof pointer, "/models/%d/request_id", i);
            (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM decision WHERE request_id = '%s'",
                           text_at(doc, pointer));
            assert_int_equal(system_count(&sys, sql), 1);
        }
        /* One model fits: the pool made room, and the engines show it. */
        assert_string_equal(text_at(doc, "/rotation/how"), "pool");
        assert_int_equal(system_engine_pid(&sys, text_at(doc, "/rotation/unloaded")), 0);
        assert_true(system_engine_pid(&sys, text_at(doc, "/rotation/loaded")) > 0);
        yyjson_doc_free(doc);
    }
}

static const char *state_in(yyjson_doc *doc, const char *model)
{
    yyjson_val *list = yyjson_doc_ptr_get(doc, "/rotation/models"), *item;
    size_t i, n;
    yyjson_arr_foreach(list, i, n, item)
    {
        if (str_eq(yyjson_get_str(yyjson_obj_get(item, "model")), model))
            return yyjson_get_str(yyjson_obj_get(item, "state"));
    }
    return "";
}

/* Used a while ago, or never: eligible. Used just now: not. */
static void eligible_by_age(void **state)
{
    char text[16384];
    (void)state;
    struct http_reply r;
    system_chat(&sys, &r, GUIDE, false);
    assert_status(&r, 200);
    http_free(&r);
    sleep_ms(8100);
    const int status = RUN(text, "warmup", "alpha", "beta", "--age-ms", "8000", "--json");
    if (status != 0)
        fail_msg("%s", text);
    yyjson_doc *doc = json_of(text);
    assert_string_equal(state_in(doc, GUIDE), "eligible");
    assert_string_equal(state_in(doc, "says-nothing"), "eligible"); /* never used */
    assert_string_equal(state_in(doc, "alpha"), "in_use");
    assert_string_equal(state_in(doc, "beta"), "in_use");
    yyjson_doc_free(doc);
    /* What is in use must be seen to be: with an age of nothing it is not, and the check says so. */
    assert_int_equal(RUN(text, "warmup", "alpha", "beta", "--age-ms", "1"), 1);
    assert_non_null(strstr(text, "3  rotation           FAILED"));
}

static void failures(void **state)
{
    char text[8192];
    (void)state;
    assert_int_equal(RUN(text, "warmup", "alpha", "says-nothing"), 1);
    assert_non_null(strstr(text, "2  warm-up            FAILED  says-nothing"));
    assert_int_equal(RUN(text, "warmup", "alpha", "takes-time", "--within-ms", "300"), 1);
    assert_non_null(strstr(text, "takes-time took"));
    assert_non_null(strstr(text, "the limit is 300 ms"));
    /* The load counts only when that is asked for. */
    assert_int_equal(RUN(text, "models", "unload", "beta"), 0);
    assert_int_equal(RUN(text, "warmup", "beta", "alpha", "--within-ms", "2", "--strict"), 1);
    assert_non_null(strstr(text, "with its load"));
}

static void rounds(void **state)
{
    struct http_at at = system_hermes(&sys);
    struct http_reply r;
    (void)state;
    http(&r, &at, "POST", "/hermes/warmup",
         "{\"models\":[\"takes-time\",\"takes-time\"],\"wait\":false,\"tokens\":2}");
    assert_status(&r, 200);
    assert_true(yyjson_get_bool(yyjson_doc_ptr_get(r.json, "/running")));
    http_free(&r);
    http(&r, &at, "POST", "/hermes/warmup", "{\"models\":[\"alpha\"]}");
    assert_error(&r, 409, "warmup_running");
    http_free(&r);
    eventually(20000, (http(&r, &at, "GET", "/hermes/warmup/status", NULL),
                       !yyjson_get_bool(yyjson_doc_ptr_get(r.json, "/running")) || (http_free(&r), false)));
    http_free(&r);
    http(&r, &at, "POST", "/hermes/warmup", "{\"models\":[\"alpha\",\"says-nothing\"]}");
    assert_status(&r, 200);
    assert_non_null(strstr(r.raw.body.data, "generated nothing"));
    http_free(&r);
    struct http_at sw = system_switch(&sys);
    http(&r, &sw, "POST", "/switch/warmup/manual", NULL);
    assert_status(&r, 200);
    assert_string_equal(http_text(&r, "/status"), "error"); /* absent cannot be */
    assert_string_equal(http_text(&r, "/health/alpha"), "ready");
    http_free(&r);
    http(&r, &at, "POST", "/hermes/models/alpha/warm", "{\"timeout_ms\":100,\"tokens\":256}");
    if (r.status != 200 && r.status != 503 && r.status != 504) /* in time, no room in time, or not in time */
        fail_msg("%d: %s", r.status, r.raw.body.data);
    http_free(&r);
}

static void older_paths(void **state)
{
    struct http_at sw = system_switch(&sys);
    struct http_reply r;
    (void)state;
    http(&r, &sw, "POST", "/switch/admin/preload_model", "{\"model_name\":\"nobody\"}");
    assert_error(&r, 404, "model_not_found");
    http_free(&r);
    http(&r, &sw, "POST", "/switch/admin/preload_model", "{}");
    assert_error(&r, 422, "invalid_request");
    http_free(&r);
    http(&r, &sw, "POST", "/switch/admin/preload_model", "{\"model_id\":\"beta\"}");
    assert_status(&r, 200);
    assert_string_equal(http_text(&r, "/status"), "ok");
    assert_string_equal(http_text(&r, "/warm"), "beta");
    http_free(&r);
    assert_true(system_engine_pid(&sys, "beta") > 0);
    http(&r, &sw, "POST", "/switch/model/hot_reload", NULL);
    assert_status(&r, 200);
    assert_true(http_int(&r, "/models_loaded") >= 3);
    http_free(&r);
    http(&r, &sw, "GET", "/switch/models/available", NULL);
    assert_status(&r, 200);
    assert_string_equal(http_text(&r, "/models/0/name"), "alpha");
    assert_true(yyjson_arr_size(yyjson_doc_ptr_get(r.json, "/cli_registry")) > 0);
    http_free(&r);
}

static const char *chat_without_model(void)
{
    static char model[128];
    struct http_at at = system_link(&sys);
    struct http_reply r;
    http(&r, &at, "POST", "/v1/chat/completions",
         "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"max_tokens\":1}");
    const char *header = r.status == 200 ? http_header(&r, "X-VX11-Model") : NULL;
    (void)snprintf(model, sizeof model, "%s", header ? header : "");
    http_free(&r);
    return model;
}

static void default_model_is_kept(void **state)
{
    struct http_at sw = system_switch(&sys);
    struct http_reply r;
    (void)state;
    http(&r, &sw, "POST", "/switch/admin/set_default_model", "{\"model_name\":\"nobody\"}");
    assert_error(&r, 404, "model_not_found");
    http_free(&r);
    static const char *const bodies[] = {"{\"model_name\":\"beta\"}", "{\"model_name\":\"" GUIDE "\"}"};
    static const char *const names[] = {"beta", GUIDE};
    for (int i = 0; i < 2; i++) {
        http(&r, &sw, "POST", "/switch/admin/set_default_model", bodies[i]);
        assert_status(&r, 200);
        assert_string_equal(http_text(&r, "/active"), names[i]);
        http_free(&r);
        assert_string_equal(chat_without_model(), names[i]);
    }
    const pid_t before = system_module_pid(&sys, "switch");
    process_kill(before, SIGKILL);
    eventually(20000, system_module_pid(&sys, "switch") > 0 && system_module_pid(&sys, "switch") != before);
    eventually(20000, str_eq(chat_without_model(), GUIDE));
}

static void decisions_are_read(void **state)
{
    struct http_at sw = system_switch(&sys);
    struct http_reply r, page;
    char path[256], id[64];
    (void)state;
    system_chat(&sys, &r, "alpha", false);
    assert_status(&r, 200);
    (void)snprintf(id, sizeof id, "%s", http_header(&r, "X-Request-Id"));
    http_free(&r);
    (void)system_account(&sys, id); /* waits until it is written */
    (void)snprintf(path, sizeof path, "/switch/decisions?request_id=%s", id);
    http(&r, &sw, "GET", path, NULL);
    assert_status(&r, 200);
    assert_int_equal(yyjson_arr_size(yyjson_doc_ptr_get(r.json, "/decisions")), 1);
    assert_string_equal(http_text(&r, "/decisions/0/model"), "alpha");
    assert_string_equal(http_text(&r, "/decisions/0/outcome"), "ok");
    assert_true(http_int(&r, "/decisions/0/completion_tokens") > 0);
    http_free(&r);
    http(&r, &sw, "GET", "/switch/decisions?model=alpha&limit=1&outcome=ok", NULL);
    assert_string_equal(http_text(&r, "/decisions/0/request_id"), id); /* the newest */
    (void)snprintf(path, sizeof path, "/switch/decisions?model=alpha&limit=1&cursor=%s",
                   http_text(&r, "/next_cursor"));
    http(&page, &sw, "GET", path, NULL);
    assert_status(&page, 200);
    assert_string_not_equal(http_text(&page, "/decisions/0/id"), http_text(&r, "/decisions/0/id"));
    http_free(&page);
    http_free(&r);
    http(&r, &sw, "GET", "/switch/decisions?since=99999999999999", NULL);
    assert_status(&r, 200);
    assert_int_equal(yyjson_arr_size(yyjson_doc_ptr_get(r.json, "/decisions")), 0);
    http_free(&r);
    assert_int_equal(http_status(&sw, "GET", "/switch/decisions?outcome=perhaps", NULL), 422);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest alone[] = {cmocka_unit_test(too_few)};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(preloaded),          cmocka_unit_test(warm_command),
        cmocka_unit_test(five_checks),        cmocka_unit_test(eligible_by_age),
        cmocka_unit_test(failures),           cmocka_unit_test(rounds),
        cmocka_unit_test(older_paths),        cmocka_unit_test(default_model_is_kept),
        cmocka_unit_test(decisions_are_read), cmocka_unit_test(stops_clean),
    };
    if (fake_server_asked(argc, argv))
        return fake_server_main(argc, argv);
    if (fs_self_exe(self, sizeof self) != 0)
        return 1;
    const int first = cmocka_run_group_tests(alone, NULL, NULL);
    return first + cmocka_run_group_tests(tests, start, stop);
}
