/* The local path with the real engine: killed in the middle, killed at rest, its keeper killed; models that
 * are not sound; contexts that overflow; states. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"
#include "system.h"

#define GUIDE "vx11-guide"

static struct system sys;

static int start(void **state)
{
    (void)state;
    system_start(&sys, NULL);
    sys.rough = true;
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
    system_stop(&sys);
}

static void answers(void)
{
    struct http_reply r;
    system_chat(&sys, &r, GUIDE, false);
    assert_status(&r, 200);
    assert_true(http_text(&r, "/choices/0/message/content")[0]);
    assert_true(http_int(&r, "/usage/completion_tokens") > 0);
    http_free(&r);
}

/* A stream that goes on for 1,900 tokens. */
static int long_stream(void)
{
    struct http_at at = system_link(&sys);
    return http_open(&at, "POST", "/v1/completions",
                     "{\"model\":\"" GUIDE
                     "\",\"stream\":true,\"prompt\":\"VX11\",\"max_tokens\":1900,\"ignore_eos\":true}");
}

static void answers_for_real(void **state)
{
    struct http_at at = system_link(&sys);
    struct http_reply r;
    char id[64];
    (void)state;
    http(&r, &at, "POST", "/v1/chat/completions",
         "{\"model\":\"" GUIDE
         "\",\"temperature\":0,\"messages\":[{\"role\":\"user\",\"content\":\"Which port is switch on?\"}]}");
    assert_status(&r, 200);
    assert_non_null(strstr(http_text(&r, "/choices/0/message/content"), "8002"));
    assert_string_equal(http_header(&r, "X-VX11-Provider"), "local");
    int64_t prompt = http_int(&r, "/usage/prompt_tokens"),
            completion = http_int(&r, "/usage/completion_tokens");
    snprintf(id, sizeof id, "%s", http_header(&r, "X-Request-Id"));
    http_free(&r);
    char want[100];
    snprintf(want, sizeof want, "ok|200|local|" GUIDE "|1|%d|%d|", (int)prompt, (int)completion);
    assert_true(str_starts(system_account(&sys, id), want));
    /* The same in a stream, by default: the guide is what there is. */
    http(&r, &at, "POST", "/v1/chat/completions",
         "{\"stream\":true,\"temperature\":0,\"messages\":[{\"role\":\"user\",\"content\":\"Which port is "
         "switch on?\"}]}");
    assert_status(&r, 200);
    assert_true(sse_done(r.raw.body.data));
    assert_true(sse_count(r.raw.body.data) > 3); /* token by token */
    snprintf(id, sizeof id, "%s", http_header(&r, "X-Request-Id"));
    http_free(&r);
    assert_true(str_starts(system_account(&sys, id), "ok|200|local|" GUIDE "|1|"));
    assert_null(strstr(system_account(&sys, id), "null|null"));
}

/* ---- killed ---- */

static void killed_in_mid_stream(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct http_reply r;
        answers();
        pid_t pid = system_engine_pid(&sys, GUIDE);
        assert_true(pid > 0);
        int first = long_stream(), second = long_stream();
        sleep_ms(300); /* both are writing */
        process_kill(pid, SIGKILL);
        for (int k = 0; k < 2; k++) {
            http_read(k ? second : first, &r);
            assert_status(&r, 200);
            assert_true(r.raw.complete); /* the body ends in order */
            assert_string_equal(sse_error(r.raw.body.data), "upstream_broken");
            assert_false(sse_done(r.raw.body.data));
            assert_true(sse_count(r.raw.body.data) > 1);
            /* What was read and written until then is estimated. */
            const char *row = system_account(&sys, http_header(&r, "X-Request-Id"));
            assert_true(str_starts(row, "failed|200|local|" GUIDE "|1|") && !strstr(row, "|1|null|"));
            http_free(&r);
            raw_close(k ? second : first);
        }
        answers(); /* at once: the next request starts another */
        assert_true(system_engine_pid(&sys, GUIDE) != pid);
    }
}

static void killed_at_rest(void **state)
{
    (void)state;
    answers();
    pid_t pid = system_engine_pid(&sys, GUIDE);
    process_kill(pid, SIGKILL);
    answers(); /* even if nobody has noticed yet */
    eventually(8000, system_engine_pid(&sys, GUIDE) != pid);
}

static int engines_running(void)
{
    char want[100];
    int n = 0;
    snprintf(want, sizeof want, "%s/run/engine-", sys.home);
    DIR *d = opendir("/proc");
    for (const struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d)) {
        char path[64];
        struct buf b = BUF_INIT;
        snprintf(path, sizeof path, "/proc/%.20s/cmdline", e->d_name);
        if (atoi(e->d_name) > 1 && fs_read_file(path, 65536, &b, NULL) == 0 && b.len)
            n += memmem(b.data, b.len, want, strlen(want)) != NULL;
        buf_free(&b);
    }
    if (d)
        closedir(d);
    return n;
}

/* The keeper of the engines dies: they go with it, and it starts others. */
static void hermes_killed(void **state)
{
    struct http_reply r;
    (void)state;
    answers();
    pid_t pid = system_module_pid(&sys, "hermes");
    process_kill(pid, SIGKILL);
    pid_t now;
    eventually(10000, (now = system_module_pid(&sys, "hermes")) > 0 && now != pid);
    system_wait_healthy(&sys);
    eventually(10000, (system_chat(&sys, &r, GUIDE, false), pid = r.status, http_free(&r), pid == 200));
    eventually(10000, engines_running() == 1);
}

/* ---- models that are not sound ---- */

static void write_model(const char *name, const void *data, size_t len)
{
    char path[300];
    snprintf(path, sizeof path, "%s/models/%s", sys.home, name);
    assert_int_equal(fs_write_file_atomic(path, data, len, 0600, NULL), 0);
}

/* Header of a GGUF: magic, version 3, tensors, pairs; then one key of this many bytes. */
static void write_hostile(const char *name, uint64_t tensors, uint64_t pairs, uint64_t key)
{
    unsigned char data[64] = "GGUF\3\0\0";
    memcpy(data + 8, &tensors, 8);
    memcpy(data + 16, &pairs, 8);
    memcpy(data + 24, &key, 8);
    write_model(name, data, sizeof data);
}

static void refused(const struct http_reply *scan, const char *name)
{
    for (int i = 0; i < 20; i++) {
        char pointer[64];
        snprintf(pointer, sizeof pointer, "/refused/%d/path", i);
        if (!strstr(http_text(scan, pointer), name))
            continue;
        snprintf(pointer, sizeof pointer, "/refused/%d/reason", i);
        assert_true(http_text(scan, pointer)[0]);
        return;
    }
    print_error("%s is not refused: %s\n", name, scan->raw.body.data);
    fail();
}

static void unsound_models(void **state)
{
    struct http_at at = system_hermes(&sys);
    struct http_reply r;
    struct buf guide = BUF_INIT;
    (void)state;
    assert_int_equal(
        fs_read_file(system_path(&sys, "models/builtin/vx11-guide.gguf"), 64 << 20, &guide, NULL), 0);
    write_model("cut.gguf", guide.data, guide.len / 2);
    write_model("cut-header.gguf", guide.data, 100);
    write_model("empty.gguf", "", 0);
    write_model("text.gguf", "this is no model at all", 23);
    write_hostile("tensors.gguf", UINT64_MAX, 1, 4);
    write_hostile("pairs.gguf", 1, UINT64_MAX, 4);
    write_hostile("key.gguf", 1, 1, UINT64_MAX - 8);
    write_hostile("key2.gguf", 1, 1, (uint64_t)1 << 62);
    assert_int_equal(mkfifo(system_path(&sys, "models/pipe.gguf"), 0600), 0);
    assert_int_equal(mkdir(system_path(&sys, "models/folder.gguf"), 0700), 0);
    assert_int_equal(symlink("/etc/passwd", system_path(&sys, "models/link.gguf")), 0);
    /* A cut model with bytes of nothing where its weights should be is as long as it should be. */
    write_model("twin.gguf", guide.data, guide.len);
    buf_free(&guide);
    http(&r, &at, "POST", "/hermes/scan", NULL);
    assert_status(&r, 200);
    static const char *const bad[] = {"/cut.gguf",     "/cut-header.gguf", "/empty.gguf", "/text.gguf",
                                      "/tensors.gguf", "/pairs.gguf",      "/key.gguf",   "/key2.gguf"};
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        refused(&r, bad[i]);
    assert_non_null(strstr(r.raw.body.data, "twin"));
    http_free(&r);
    http(&r, &at, "GET", "/hermes/models/cut", NULL);
    if (r.status == 200) /* it may be listed, as what it is */
        assert_string_equal(http_text(&r, "/status"), "invalid");
    http_free(&r);
    system_chat(&sys, &r, "cut", false);
    assert_error(&r, 404, "model_not_found");
    http_free(&r);
    struct buf body = BUF_INIT;
    buf_printf(&body, "{\"path\":\"%s\"}", system_path(&sys, "models/cut.gguf"));
    http(&r, &at, "POST", "/hermes/models", body.data);
    assert_status(&r, 422);
    http_free(&r);
    buf_free(&body);
    answers();
    system_chat(&sys, &r, "twin", false);
    assert_status(&r, 200);
    http_free(&r);
}

/* Sound when it was registered, cut since: the load fails with a reason, and nothing else does. */
static void cut_after_registration(void **state)
{
    struct http_at at = system_hermes(&sys);
    struct http_reply r;
    (void)state;
    assert_int_equal(http_status(&at, "DELETE", "/hermes/engines/twin", NULL), 204);
    assert_int_equal(truncate(system_path(&sys, "models/twin.gguf"), 1000000), 0);
    system_chat(&sys, &r, "twin", true);
    assert_true(r.status == 502 || r.status == 503 || r.status == 404);
    assert_true(strlen(http_text(&r, "/error/message")) > 10);
    http_free(&r);
    answers();
    unlink(system_path(&sys, "models/twin.gguf"));
    http(&r, &at, "POST", "/hermes/scan", NULL);
    assert_status(&r, 200);
    http_free(&r);
    system_chat(&sys, &r, "twin", true);
    assert_error(&r, 503, "model_missing"); /* known, but gone */
    http_free(&r);
}

/* A model that is unloaded and comes back goes on where it was. */
static void comes_back(void **state)
{
    struct http_at link = system_link(&sys), hermes = system_hermes(&sys);
    struct http_reply r;
    struct buf body = BUF_INIT;
    char cold[2048];
    (void)state;
    buf_puts(&body,
             "{\"model\":\"" GUIDE "\",\"temperature\":0,\"max_tokens\":16,\"messages\":[{\"role\":\"user\","
             "\"content\":\"");
    for (int i = 0; i < 30; i++)
        buf_printf(&body, "Door %d leads to room %d. ", i, 100 + i);
    buf_puts(&body, "\"}]}");
    assert_int_equal(http_status(&hermes, "DELETE", "/hermes/engines/" GUIDE, NULL), 204);
    for (int i = 0; i < 2; i++) {
        http(&r, &link, "POST", "/v1/chat/completions", body.data);
        assert_status(&r, 200);
        const int64_t prompt = http_int(&r, "/usage/prompt_tokens");
        assert_true(prompt > 300);
        if (i == 0) {
            assert_int_equal(http_int(&r, "/usage/prompt_tokens_details/restored_tokens"), 0);
            (void)snprintf(cold, sizeof cold, "%s", http_text(&r, "/choices/0/message/content"));
        } else {
            assert_int_equal(http_int(&r, "/usage/prompt_tokens_details/restored_tokens"), prompt - 1);
            assert_int_equal(http_int(&r, "/usage/prompt_tokens_details/cached_tokens"), prompt - 1);
            assert_string_equal(http_text(&r, "/choices/0/message/content"), cold);
        }
        http_free(&r);
        assert_int_equal(http_status(&hermes, "DELETE", "/hermes/engines/" GUIDE, NULL), 204);
    }
    assert_true(fs_exists(system_path(&sys, "cache/kv")));
    buf_free(&body);
}

/* ---- the context ---- */

static void overflow(void **state)
{
    struct http_at at = system_link(&sys);
    struct http_reply r;
    struct buf body = BUF_INIT;
    (void)state;
    for (int stream = 0; stream < 2; stream++) {
        http(&r, &at, "POST", "/v1/completions",
             stream ? "{\"model\":\"" GUIDE "\",\"prompt\":\"VX11 is\",\"max_tokens\":3000,\"stream\":true}"
                    : "{\"model\":\"" GUIDE "\",\"prompt\":\"VX11 is\",\"max_tokens\":3000}");
        assert_error(&r, 400, "context_length_exceeded");
        assert_non_null(strstr(http_text(&r, "/error/message"), "2048"));
        assert_non_null(strstr(http_text(&r, "/error/message"), "3000"));
        assert_true(str_starts(system_account(&sys, http_header(&r, "X-Request-Id")),
                               "failed|400|local|" GUIDE "|1|null|null|null|"));
        http_free(&r);
    }
    buf_puts(&body, "{\"model\":\"" GUIDE "\",\"messages\":[{\"role\":\"user\",\"content\":\"");
    for (int i = 0; i < 5000; i++)
        buf_puts(&body, "word ");
    buf_puts(&body, "\"}]}");
    http(&r, &at, "POST", "/v1/chat/completions", body.data);
    assert_error(&r, 400, "context_length_exceeded");
    assert_non_null(strstr(http_text(&r, "/error/message"), "2048"));
    http_free(&r);
    buf_free(&body);
    answers();
}

/* Several at a time, correctly: the same question at temperature 0 gets the same answer. */
static void several_at_a_time(void **state)
{
    enum { N = 6 };
    struct http_at at = system_link(&sys);
    struct http_reply r[N];
    int fds[N];
    (void)state;
    for (int i = 0; i < N; i++)
        fds[i] = http_open(&at, "POST", "/v1/chat/completions",
                           i % 2 ? "{\"temperature\":0,\"messages\":[{\"role\":\"user\",\"content\":\"Which "
                                   "port is switch on?\"}]}"
                                 : "{\"temperature\":0,\"messages\":[{\"role\":\"user\",\"content\":\"Which "
                                   "port is hermes on?\"}]}");
    for (int i = 0; i < N; i++) {
        http_read(fds[i], &r[i]);
        assert_status(&r[i], 200);
        assert_non_null(strstr(http_text(&r[i], "/choices/0/message/content"), i % 2 ? "8002" : "8003"));
        http_free(&r[i]);
        raw_close(fds[i]);
    }
}

/* ---- states ---- */

static void set_state(const char *module, const char *word)
{
    struct http_at at = system_supervisor(&sys);
    struct http_reply r;
    char path[100], body[100];
    snprintf(path, sizeof path, "/supervisor/modules/%s/state", module);
    snprintf(body, sizeof body, "{\"state\":\"%s\"}", word);
    http(&r, &at, "POST", path, body);
    assert_status(&r, 200);
    assert_string_equal(http_text(&r, "/state"), word);
    http_free(&r);
}

static void standby(void **state)
{
    struct http_reply r;
    struct http_at at = system_hermes(&sys);
    int status;
    (void)state;
    set_state("hermes", "standby");
    eventually(8000, http_status(&at, "GET", "/hermes/models", NULL) == 503);
    assert_int_equal(http_status(&at, "GET", "/health", NULL), 200);
    assert_int_equal(http_status(&at, "GET", "/metrics", NULL), 200);
    system_chat(&sys, &r, GUIDE, false);
    assert_error(&r, 503, "module_standby");
    http_free(&r);
    set_state("hermes", "active");
    eventually(8000, http_status(&at, "GET", "/hermes/models", NULL) == 200);
    answers();
    set_state("switch", "standby");
    eventually(8000, (system_chat(&sys, &r, GUIDE, false), status = r.status, http_free(&r), status == 503));
    system_chat(&sys, &r, GUIDE, false);
    assert_error(&r, 503, "module_standby");
    http_free(&r);
    set_state("switch", "active");
    eventually(8000, (system_chat(&sys, &r, GUIDE, false), status = r.status, http_free(&r), status == 200));
}

/* While Hermes is away nobody can say that there is no such model; an unknown one is unknown once it is back.
 */
static void hermes_away(void **state)
{
    struct http_at at = system_link(&sys);
    struct http_reply r;
    int status;
    (void)state;
    set_state("hermes", "off");
    system_control(&sys, &r, "/supervisor/modules/switch/restart", "{}"); /* it forgets what it knew */
    assert_status(&r, 200);
    http_free(&r);
    system_chat(&sys, &r, GUIDE, false);
    assert_error(&r, 503, "no_model");
    assert_non_null(http_header(&r, "Retry-After"));
    assert_true(
        str_starts(system_account(&sys, http_header(&r, "X-Request-Id")), "refused|503|null|null|0|"));
    http_free(&r);
    http(&r, &at, "GET", "/v1/models", NULL);
    assert_error(&r, 503, "models_unknown");
    http_free(&r);
    http(&r, &at, "GET", "/v1/models/" GUIDE, NULL);
    assert_error(&r, 503, "models_unknown");
    http_free(&r);
    set_state("hermes", "active");
    eventually(10000, (system_chat(&sys, &r, GUIDE, false), status = r.status, http_free(&r), status == 200));
    http(&r, &at, "GET", "/v1/models/local%2F" GUIDE, NULL);
    assert_status(&r, 200);
    assert_string_equal(http_text(&r, "/id"), "local/" GUIDE);
    http_free(&r);
    http(&r, &at, "GET", "/v1/models/none", NULL);
    assert_error(&r, 404, "model_not_found");
    http_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_for_real),
        cmocka_unit_test(several_at_a_time),
        cmocka_unit_test(comes_back),
        cmocka_unit_test(overflow),
        cmocka_unit_test(killed_in_mid_stream),
        cmocka_unit_test(killed_at_rest),
        cmocka_unit_test(hermes_killed),
        cmocka_unit_test(unsound_models),
        cmocka_unit_test(cut_after_registration),
        cmocka_unit_test(standby),
        cmocka_unit_test(hermes_away),
        cmocka_unit_test(stops_clean),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
