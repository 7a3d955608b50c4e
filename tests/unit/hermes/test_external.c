/* Engines that are not ours: templates, and real processes and addresses. This program runs itself again as
 * the guard and as the engine. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/guard.h"
#include "base/proc.h"
#include "base/str.h"
#include "contract/config.h"
#include "fake_server.h"
#include "fixture.h"
#include "hermes/engines.h"
#include "hermes/external/external.h"
#include "hermes/registry.h"

/* ---- templates ---- */

static int check(const char *const *command, size_t n, bool has_url, char *text)
{
    struct error err = {0};
    bool by_socket, wants_file;
    const int rc = template_check(command, n, has_url, &by_socket, &wants_file, &err);
    (void)snprintf(text, 512, "%s", err.text);
    return rc;
}

static void test_template_check(void **state)
{
    char text[512];
    (void)state;
    const char *good[] = {"server", "--model={model}", "--port", "{port}", "{\"json\": {}}", "{x", "{}"};
    const char *none[] = {"server", "{model}"}, *both[] = {"server", "{port}", "{socket}"};
    const char *odd[] = {"server", "{modle}", "{port}"}, *program[] = {"{model}", "{port}"}, *empty[] = {""};
    assert_int_equal(check(good, COUNT_OF(good), false, text), 0);
    assert_int_equal(check(none, COUNT_OF(none), false, text), VX11_EINVALID);
    assert_non_null(strstr(text, "{port} or {socket}"));
    assert_int_equal(check(none, COUNT_OF(none), true, text), 0); /* it listens where its URL says */
    assert_int_equal(check(both, COUNT_OF(both), false, text), VX11_EINVALID);
    assert_int_equal(check(odd, COUNT_OF(odd), false, text), VX11_EINVALID);
    assert_non_null(strstr(text, "did you mean {model}?"));
    assert_int_equal(check(program, COUNT_OF(program), false, text), VX11_EINVALID);
    assert_int_equal(check(empty, 1, false, text), VX11_EINVALID);
    assert_int_equal(check(empty, 0, false, text), VX11_EINVALID);
}

/* Whatever a value holds, it stays inside its argument. */
static void test_template_fill(void **state)
{
    char prog[] = "/bin/x", model[] = "-m={model}", mixed[] = "{name}:{port}/{ctx}/{threads}",
         json[] = "{\"a\": 1} {b", socket[] = "{socket}";
    char *command[] = {prog, model, mixed, json}, *wants[] = {prog, socket};
    const struct external_values v = {
        .model = "/m/a b; rm {port} $(x).gguf", .name = "n", .port = 8080, .ctx = 4096, .threads = 2};
    char **argv = NULL;
    struct error err = {0};
    (void)state;
    assert_int_equal(template_fill(command, COUNT_OF(command), &v, &argv, &err), 0);
    assert_string_equal(argv[1], "-m=/m/a b; rm {port} $(x).gguf");
    assert_string_equal(argv[2], "n:8080/4096/2");
    assert_string_equal(argv[3], json);
    assert_null(argv[4]);
    template_free(argv);
    assert_int_equal(template_fill(wants, COUNT_OF(wants), &v, &argv, &err), VX11_EINVALID);
    const struct external_values no_file = {.name = "n", .port = 1, .ctx = 1, .threads = 1};
    assert_int_equal(template_fill(command, COUNT_OF(command), &no_file, &argv, &err), VX11_EINVALID);
    assert_non_null(strstr(err.text, "n has no file"));
}

static void test_template_program(void **state)
{
    char out[4096];
    struct error err = {0};
    (void)state;
    assert_int_equal(template_program("sh", "/nowhere:/bin:/usr/bin", out, sizeof out, &err), 0);
    assert_string_equal(out, "/bin/sh");
    assert_int_equal(template_program("/bin/sh", NULL, out, sizeof out, &err), 0);
    assert_int_equal(template_program("sh", "bin:.", out, sizeof out, &err), VX11_ENOT_FOUND);
    assert_int_equal(template_program("./sh", "/bin", out, sizeof out, &err), VX11_EINVALID);
    assert_int_equal(template_program("/etc/passwd", NULL, out, sizeof out, &err), VX11_EPERMISSION);
    assert_int_equal(template_program("/tmp", NULL, out, sizeof out, &err), VX11_EPERMISSION);
    assert_int_equal(template_program("/nowhere/x", NULL, out, sizeof out, &err), VX11_ENOT_FOUND);
}

/* ---- real ones ---- */

struct bench {
    struct fixture *f;
    struct client *client;
    struct engines *engines;
    struct externals *externals;
    struct config *config;
    char self[4096];
    int crashes, gone, used;
    char crash[512];
};

static void on_crash(void *ctx, const char *model, const char *reason)
{
    struct bench *b = ctx;
    b->crashes++;
    (void)snprintf(b->crash, sizeof b->crash, "%.100s: %.400s", model, reason);
}

static void on_used(void *ctx, const char *id, const char *model, int64_t n, int64_t at)
{
    struct bench *b = ctx;
    (void)id, (void)model, (void)at;
    b->used += (int)n;
}

static void on_gone(void *ctx, const char *model, const char *reason)
{
    struct bench *b = ctx;
    b->gone++;
    (void)engines_stop(b->engines, model, reason, NULL, NULL, NULL);
}

static void on_true(void *ctx)
{
    *(bool *)ctx = true;
}

static int bench_open(void **state)
{
    struct error err = {0};
    struct bench *b = calloc(1, sizeof *b);
    if (!b || fixture_open(state) != 0)
        return -1;
    b->f = *state;
    *state = b;
    if (client_create(&b->f->loop, &b->client, &err) != 0 || fs_self_exe(b->self, sizeof b->self) != 0)
        return -1;
    const struct engines_options options = {.loop = &b->f->loop,
                                            .client = b->client,
                                            .home = b->f->home,
                                            .program = "/nowhere/vx11-engine",
                                            .params = {.max_loaded = 2,
                                                       .load_timeout_ms = 5000,
                                                       .max_ctx = 1024,
                                                       .kv_type = "f16",
                                                       .log_level = "info",
                                                       .health_interval_ms = 50,
                                                       .lease_ms = 100,
                                                       .stop_limit_ms = 2000},
                                            .on_crash = on_crash,
                                            .on_used = on_used,
                                            .ctx = b};
    const struct externals_options externals = {
        .loop = &b->f->loop, .client = b->client, .store = b->f->store, .on_gone = on_gone, .ctx = b};
    if (engines_create(&options, &b->engines, &err) != 0 ||
        externals_create(&externals, &b->externals, &err) != 0)
        return -1;
    return 0;
}

static int bench_close(void **state)
{
    struct bench *b = *state;
    bool engines = false, externals = false, client = false;
    engines_close(b->engines, 1000, on_true, &engines);
    externals_close(b->externals, on_true, &externals);
    fixture_run(b->f, &engines, 5000);
    fixture_run(b->f, &externals, 5000);
    client_close(b->client, on_true, &client);
    fixture_run(b->f, &client, 5000);
    config_free(b->config);
    *state = b->f;
    free(b);
    return fixture_close(state);
}

/* One engine "x": `more` is YAML of its own lines, arguments follow "serve". */
static void configure(struct bench *b, const char *arguments, const char *more)
{
    char yaml[8192];
    struct error err = {0};
    int n = snprintf(yaml, sizeof yaml, "hermes:\n  engines:\n    - name: x\n");
    if (arguments)
        n += snprintf(yaml + n, sizeof yaml - (size_t)n,
                      "      command: [%s, serve, %s]\n      models: [m, n]\n", b->self, arguments);
    (void)snprintf(yaml + n, sizeof yaml - (size_t)n, "%s", more ? more : "");
    struct config *config;
    if (config_load_text("test", yaml, strlen(yaml), NULL, &config, &err) != 0)
        fail_msg("%s", err.text);
    if (externals_configure(b->externals, config, &err) != 0)
        fail_msg("%s", err.text);
    config_free(b->config);
    b->config = config;
}

struct answer {
    bool done, ready;
    int64_t pid, load_ms;
    int status;
    char code[64], text[512], url[256], upstream[64];
};

static void on_acquired(void *ctx, const struct hermes_engine *ready, const struct engine_refusal *why)
{
    struct answer *a = ctx;
    a->done = true;
    a->ready = ready != NULL;
    if (ready) {
        a->pid = ready->pid;
        a->load_ms = ready->load_ms;
        (void)snprintf(a->url, sizeof a->url, "%s", ready->base_url ? ready->base_url : ready->socket);
        (void)snprintf(a->upstream, sizeof a->upstream, "%s", ready->upstream_model);
        assert_string_equal(ready->engine, "x");
    } else {
        a->status = why->status;
        (void)snprintf(a->code, sizeof a->code, "%s", why->code);
        (void)snprintf(a->text, sizeof a->text, "%s", why->text);
    }
}

static void ask(struct bench *b, const char *name, int64_t wait_ms, struct answer *a)
{
    struct error err = {0};
    struct engine_wait *wait;
    const struct engine_model model = {.id = "01ARZ3NDEKTSV4RRFFQ69G5FAV",
                                       .name = name,
                                       .path = "/models/file.gguf",
                                       .size_bytes = 1 << 20,
                                       .kv_bytes_per_token = 64,
                                       .context_length = 512,
                                       .external = externals_of_model(b->externals, name)};
    *a = (struct answer){0};
    assert_non_null(model.external);
    if (engines_acquire(b->engines, &model, &(struct engine_ask){.wait_ms = wait_ms}, on_acquired, a, &wait,
                        &err) != 0)
        fail_msg("%s", err.text);
}

static struct answer acquire(struct bench *b, const char *name, int64_t wait_ms)
{
    struct answer a;
    ask(b, name, wait_ms, &a);
    fixture_run(b->f, &a.done, (int)wait_ms + 3000);
    return a;
}

static bool alive(int64_t pid)
{
    return kill((pid_t)pid, 0) == 0 || errno != ESRCH;
}

struct got {
    bool done;
    int status;
    char body[4096];
    size_t len;
};

static void got_data(struct client_call *call, void *ctx, const char *data, size_t len)
{
    struct got *g = ctx;
    (void)call;
    if (g->len + len < sizeof g->body) {
        memcpy(g->body + g->len, data, len);
        g->len += len;
    }
}

static void got_done(struct client_call *call, void *ctx, int result, const struct error *err)
{
    struct got *g = ctx;
    (void)err;
    g->status = result == 0 ? client_call_status(call) : result;
    g->done = true;
}

static const struct client_events got_events = {.on_data = got_data, .on_done = got_done};

static void send_to(struct bench *b, const char *url, const char *method, const char *path, const char *body,
                    struct got *g)
{
    const struct client_target target = {.base_url = url};
    const struct client_call_options options = {.deadline_ms = clock_mono_ms() + 10000, .once = true};
    struct client_call *call;
    struct error err = {0};
    *g = (struct got){0};
    assert_int_equal(client_start(b->client, &target, method, path, body ? "application/json" : NULL, body,
                                  body ? strlen(body) : 0, &options, &got_events, g, &call, &err),
                     0);
}

static struct got get(struct bench *b, const char *url, const char *path)
{
    struct got g;
    send_to(b, url, "GET", path, NULL, &g);
    fixture_run(b->f, &g.done, 10000);
    return g;
}

static void test_command(void **state)
{
    struct bench *b = *state;
    char text[8192];
    configure(b, "--port, \"{port}\", --model, \"{model}\", --ready-ms, \"150\"",
              "      upstream_model: theirs\n");
    struct answer a = acquire(b, "m", 5000);
    if (!a.ready)
        fail_msg("%s", a.text);
    assert_true(str_starts(a.url, "http://127.0.0.1:"));
    assert_string_equal(a.upstream, "theirs");
    assert_true(a.load_ms >= 100);
    const struct got g = get(b, a.url, "/seen");
    assert_non_null(strstr(g.body, "/models/file.gguf"));
    const struct hermes_engine *e = engines_get(b->engines, "m", b->f->arena);
    assert_true(e->has_rss_bytes && e->rss_bytes > 100000);
    struct answer again = acquire(b, "m", 5000);
    assert_int_equal(again.pid, a.pid);
    struct buf listing = BUF_INIT;
    (void)snprintf(text, sizeof text, "/proc/%d/cmdline", (int)a.pid);
    assert_int_equal(fs_read_file(text, 8192, &listing, NULL), 0);
    assert_string_equal(listing.data + strlen(listing.data) + 1, GUARD_COMMAND);
    buf_free(&listing);
}

static void test_socket(void **state)
{
    struct bench *b = *state;
    configure(b, "--socket, \"{socket}\"", NULL);
    const struct answer a = acquire(b, "m", 5000);
    if (!a.ready)
        fail_msg("%s", a.text);
    assert_true(fs_exists(a.url));
    assert_true(str_ends(a.url, ".sock"));
}

static void test_clean_environment(void **state)
{
    struct bench *b = *state;
    (void)setenv("SECRET_OF_THE_PARENT", "x", 1);
    configure(b, "--port, \"{port}\", --want-env, WANTED", "      env: {WANTED: \"yes\"}\n");
    const struct answer a = acquire(b, "m", 5000);
    (void)unsetenv("SECRET_OF_THE_PARENT");
    if (!a.ready)
        fail_msg("%s", a.text);
}

static void test_exits(void **state)
{
    struct bench *b = *state;
    configure(b, "--say, nothing to do", NULL);
    configure(b, "--port, \"{port}\", --want-env, NOT_THERE, --say, \"out of cheese\"", NULL);
    struct answer a = acquire(b, "m", 5000);
    assert_false(a.ready);
    assert_int_equal(a.status, 503);
    assert_string_equal(a.code, "engine_failed");
    assert_non_null(strstr(a.text, "status 9: out of cheese"));
    struct buf out = BUF_INIT;
    assert_int_equal(fs_read_file(fixture_path(b->f, "log/external-m.out"), 4096, &out, NULL), 0);
    assert_non_null(strstr(out.data, "out of cheese"));
    buf_free(&out);
    const struct hermes_engine *e = engines_get(b->engines, "m", b->f->arena);
    assert_int_equal(e->state, HERMES_ENGINE_STATE_FAILED);
}

static void test_crash_and_restart(void **state)
{
    struct bench *b = *state;
    configure(b, "--port, \"{port}\", --exit-ms, \"400\"", NULL);
    struct answer a = acquire(b, "m", 5000);
    assert_true(a.ready);
    for (int i = 0; i < 200 && b->crashes == 0; i++)
        fixture_run_ms(b->f, 20);
    assert_int_equal(b->crashes, 1);
    assert_non_null(strstr(b->crash, "status 7: the fake server has had enough"));
    struct answer again = acquire(b, "m", 5000); /* after the back-off */
    assert_true(again.ready);
    assert_int_not_equal(again.pid, a.pid);
}

static void test_never_ready(void **state)
{
    struct bench *b = *state;
    configure(b, "--port, \"{port}\", --ready-ms, \"60000\"", "      start_timeout_ms: 300\n");
    const struct answer a = acquire(b, "m", 5000);
    assert_false(a.ready);
    assert_non_null(strstr(a.text, "not ready within 300 ms"));
}

static void test_no_program(void **state)
{
    struct bench *b = *state;
    configure(b, NULL, "      command: [vx11-no-such-program, \"{port}\"]\n      models: [m]\n");
    const struct external *x = externals_find(b->externals, "x");
    assert_non_null(strstr(x->problem, "no program vx11-no-such-program"));
    const struct answer a = acquire(b, "m", 1000);
    assert_false(a.ready);
    assert_non_null(strstr(a.text, "no program"));
    char why[256];
    assert_int_equal(externals_down(b->externals, HERMES_EXTERNAL_KIND_COMMAND, why, sizeof why), 1);
}

static int64_t child_of(struct bench *b)
{
    struct buf text = BUF_INIT;
    int64_t pid = 0;
    for (int i = 0; i < 100 && pid == 0; i++) {
        buf_clear(&text);
        if (fs_read_file(fixture_path(b->f, "child"), 64, &text, NULL) == 0 && text.len > 0)
            pid = atoi(text.data);
        fixture_run_ms(b->f, 10);
    }
    buf_free(&text);
    return pid;
}

/* Whatever it started goes with it, when it is asked to stop, when it does not heed that, and when it dies.
 */
static void test_group_ends(void **state)
{
    struct bench *b = *state;
    char arguments[8192];
    for (int how = 0; how < 3; how++) {
        bool stopped = false;
        struct engine_stop_wait *wait;
        (void)unlink(fixture_path(b->f, "child"));
        (void)snprintf(arguments, sizeof arguments, "--port, \"{port}\", --child, %s%s",
                       fixture_path(b->f, "child"), how == 1 ? ", --deaf" : "");
        configure(b, arguments, how == 1 ? "      stop_timeout_ms: 200\n" : NULL);
        const struct answer a = acquire(b, "m", 5000);
        if (!a.ready)
            fail_msg("%s", a.text);
        const int64_t child = child_of(b);
        assert_true(child > 0 && alive(child));
        uint64_t all, own;
        assert_int_equal(proc_group_memory((pid_t)a.pid, &all, &own), 0);
        if (how < 2) {
            assert_int_equal(engines_stop(b->engines, "m", "test", on_true, &stopped, &wait), 1);
            fixture_run(b->f, &stopped, 5000);
        } else {
            assert_int_equal(kill((pid_t)a.pid, SIGKILL), 0); /* the guard alone */
            for (int i = 0; i < 200 && b->crashes == 0; i++)
                fixture_run_ms(b->f, 20);
            assert_int_equal(b->crashes, 1);
        }
        for (int i = 0; i < 100 && alive(child); i++)
            fixture_run_ms(b->f, 20);
        assert_false(alive(child));
        assert_false(alive(a.pid));
    }
}

/* A request in flight keeps it; a connection is how we know. */
static void test_busy(void **state)
{
    struct bench *b = *state;
    struct got slow;
    for (int how = 0; how < 2; how++) {
        configure(b, "--port, \"{port}\", --answer-ms, \"700\"", how ? "      slots: /slots\n" : NULL);
        const struct answer a = acquire(b, "m", 5000);
        assert_true(a.ready);
        fixture_run_ms(b->f, 300); /* past the lease */
        const struct hermes_engine *e = engines_get(b->engines, "m", b->f->arena);
        assert_true(e->has_busy && e->busy == 0);
        send_to(b, a.url, "POST", "/v1/completions", "{\"model\":\"m\",\"max_tokens\":1}", &slow);
        fixture_run_ms(b->f, 300);
        assert_false(slow.done);
        e = engines_get(b->engines, "m", b->f->arena);
        assert_int_equal(e->busy, 1);
        fixture_run(b->f, &slow.done, 5000);
        assert_int_equal(slow.status, 200);
        fixture_run_ms(b->f, 200);
        e = engines_get(b->engines, "m", b->f->arena);
        assert_int_equal(e->busy, 0);
    }
    assert_int_equal(b->used, 2); /* each hand-out is a use */
}

/* Its guard ends it when we are killed. */
static void test_dies_with_us(void **state)
{
    struct bench *b = *state;
    int ends[2];
    char parent[32], port[] = "0";
    assert_int_equal(pipe(ends), 0);
    const pid_t middle = fork();
    if (middle == 0) {
        (void)snprintf(parent, sizeof parent, "%d", (int)getpid());
        const pid_t guard = fork();
        if (guard == 0) {
            char guard_word[] = GUARD_COMMAND, dashes[] = "--", serve[] = "serve", word[] = "--port";
            char *argv[] = {b->self, guard_word, parent, dashes, b->self, serve, word, port, NULL};
            (void)setsid();
            execv(b->self, argv);
            _exit(99);
        }
        if (write(ends[1], &guard, sizeof guard) < 0)
            _exit(98);
        for (;;)
            (void)pause();
    }
    pid_t guard = 0;
    assert_int_equal(read(ends[0], &guard, sizeof guard), sizeof guard);
    close(ends[0]);
    close(ends[1]);
    fixture_run_ms(b->f, 300);
    assert_true(alive(guard));
    assert_int_equal(kill(middle, SIGKILL), 0);
    (void)waitpid(middle, NULL, 0);
    for (int i = 0; i < 200 && alive(guard); i++)
        fixture_run_ms(b->f, 20);
    assert_false(alive(guard));
}

/* ---- addresses ---- */

static pid_t start_server(struct bench *b, int port, const char *offers)
{
    char text[16];
    (void)snprintf(text, sizeof text, "%d", port);
    const pid_t pid = fork();
    if (pid == 0) {
        execl(b->self, b->self, "serve", "--port", text, "--offers", offers, (char *)NULL);
        _exit(99);
    }
    return pid;
}

static void stop_server(pid_t pid)
{
    assert_int_equal(kill(pid, SIGKILL), 0);
    (void)waitpid(pid, NULL, 0);
}

static bool eventually_state(struct bench *b, int want)
{
    for (int i = 0; i < 250; i++) {
        if (externals_find(b->externals, "x")->state == want)
            return true;
        fixture_run_ms(b->f, 20);
    }
    return false;
}

static int row(struct bench *b, const char *name, struct registry_model *out)
{
    struct error err = {0};
    return registry_get(b->f->store, name, b->f->arena, out, &err);
}

static void test_address(void **state)
{
    struct bench *b = *state;
    struct registry_model m;
    char more[256];
    const int port = 20000 + (int)(getpid() % 6000);
    (void)snprintf(more, sizeof more, "      base_url: http://127.0.0.1:%d/\n      check_interval_ms: 100\n",
                   port);
    configure(b, NULL, more);
    assert_int_equal(externals_find(b->externals, "x")->state, HERMES_EXTERNAL_STATE_UNKNOWN);
    assert_true(eventually_state(b, HERMES_EXTERNAL_STATE_DOWN));
    pid_t pid = start_server(b, port, "one,org/two,bad name");
    assert_true(eventually_state(b, HERMES_EXTERNAL_STATE_UP));
    assert_int_equal(row(b, "one", &m), 0);
    assert_int_equal(m.api.status, HERMES_MODEL_STATUS_AVAILABLE);
    assert_int_equal(m.api.source, HERMES_MODEL_SOURCE_ENGINE);
    assert_string_equal(m.api.path, "engine:x");
    assert_int_equal(row(b, "org/two", &m), 0);
    assert_int_equal(row(b, "bad name", &m), VX11_ENOT_FOUND);
    assert_ptr_equal(externals_of_model(b->externals, "org/two"), externals_find(b->externals, "x"));
    stop_server(pid);
    assert_true(eventually_state(b, HERMES_EXTERNAL_STATE_DOWN));
    assert_int_equal(row(b, "one", &m), 0);
    assert_int_equal(m.api.status, HERMES_MODEL_STATUS_MISSING);
    assert_non_null(strstr(m.api.reason, "x is down"));
    pid = start_server(b, port, "one,three"); /* it comes back with other models */
    assert_true(eventually_state(b, HERMES_EXTERNAL_STATE_UP));
    assert_int_equal(row(b, "org/two", &m), VX11_ENOT_FOUND);
    assert_int_equal(row(b, "three", &m), 0);
    configure(b, "--port, \"{port}\"", NULL); /* another engine altogether */
    assert_int_equal(row(b, "three", &m), VX11_ENOT_FOUND);
    assert_int_equal(row(b, "m", &m), 0);
    stop_server(pid);
}

/* A name that is registered with a file stays that file's, unless the configuration says otherwise. */
static void test_registered_names(void **state)
{
    struct bench *b = *state;
    struct registry_model m;
    struct model_facts facts = {.path = "/models/one.gguf", .size_bytes = 1, .mtime_ns = 1};
    struct error err = {0};
    char more[256];
    const int port = 26000 + (int)(getpid() % 6000);
    assert_int_equal(
        registry_add(b->f->store, HERMES_MODEL_SOURCE_ADDED, "one", true, &facts, 1, b->f->arena, NULL, &err),
        0);
    const pid_t pid = start_server(b, port, "one,two");
    (void)snprintf(more, sizeof more, "      base_url: http://127.0.0.1:%d\n      check_interval_ms: 100\n",
                   port);
    configure(b, NULL, more);
    assert_true(eventually_state(b, HERMES_EXTERNAL_STATE_UP));
    assert_int_equal(row(b, "one", &m), 0);
    assert_int_equal(m.api.source, HERMES_MODEL_SOURCE_ADDED);
    assert_null(externals_of_model(b->externals, "one"));
    assert_non_null(externals_of_model(b->externals, "two"));
    (void)snprintf(more + strlen(more), sizeof more - strlen(more), "      models: [one]\n");
    configure(b, NULL, more);
    assert_non_null(externals_of_model(b->externals, "one"));
    assert_int_equal(row(b, "one", &m), 0);
    assert_string_equal(m.api.path, "/models/one.gguf");
    assert_int_equal(row(b, "two", &m), VX11_ENOT_FOUND);
    stop_server(pid);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, bench_open, bench_close)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_template_check),
        cmocka_unit_test(test_template_fill),
        cmocka_unit_test(test_template_program),
        TEST(test_command),
        TEST(test_socket),
        TEST(test_clean_environment),
        TEST(test_exits),
        TEST(test_crash_and_restart),
        TEST(test_never_ready),
        TEST(test_no_program),
        TEST(test_group_ends),
        TEST(test_busy),
        TEST(test_dies_with_us),
        TEST(test_address),
        TEST(test_registered_names),
    };
    if (argc > 1 && strcmp(argv[1], GUARD_COMMAND) == 0)
        return guard_main(argc - 1, argv + 1);
    if (fake_server_asked(argc, argv))
        return fake_server_main(argc, argv);
    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
