/* Engine workers, with real processes: this program runs itself again as a fake worker. */
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
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "fake_worker.h"
#include "fixture.h"
#include "hermes/engines.h"

struct bench {
    struct fixture *f;
    struct client *client;
    struct engines *engines;
    struct engine_params params;
    int crashes;
    char crash[512];
    int told[8]; /* of each enum link_model_load_state */
    double told_percent;
    int64_t told_bytes;
};

static void on_crash(void *ctx, const char *model, const char *reason)
{
    struct bench *b = ctx;
    b->crashes++;
    (void)snprintf(b->crash, sizeof b->crash, "%s: %s", model, reason);
}

static void on_load(void *ctx, const struct link_model_load *load)
{
    struct bench *b = ctx;
    b->told[load->state]++;
    b->told_percent = load->percent;
    b->told_bytes = load->bytes_total;
}

static int bench_open(void **state)
{
    if (fixture_open(state) != 0)
        return -1;
    struct bench *b = calloc(1, sizeof *b);
    struct error err = {0};
    char self[4096];
    b->f = *state;
    b->params = (struct engine_params){.max_loaded = 2,
                                       .load_timeout_ms = 5000,
                                       .max_ctx = 1024,
                                       .parallel = 2,
                                       .batch = 64,
                                       .n_max = 1,
                                       .max_queue = 4,
                                       .kv_type = "f16",
                                       .log_level = "info",
                                       .health_interval_ms = 50,
                                       .stop_limit_ms = 2000,
                                       .lease_ms = 20};
    if (client_create(&b->f->loop, &b->client, &err) != 0 || fs_self_exe(self, sizeof self) != 0)
        return -1;
    (void)fixture_file(b->f, "run/engine-left-over.sock", "x", 1);
    struct engines_options options = {.loop = &b->f->loop,
                                      .client = b->client,
                                      .home = b->f->home,
                                      .program = self,
                                      .params = b->params,
                                      .on_crash = on_crash,
                                      .on_load = on_load,
                                      .ctx = b};
    *state = b;
    return engines_create(&options, &b->engines, &err);
}

static void on_true(void *ctx)
{
    *(bool *)ctx = true;
}

static int bench_close(void **state)
{
    struct bench *b = *state;
    bool closed = false, client_closed = false;
    if (b->engines) {
        engines_close(b->engines, 1000, on_true, &closed);
        fixture_run(b->f, &closed, 5000);
    }
    client_close(b->client, on_true, &client_closed);
    fixture_run(b->f, &client_closed, 5000);
    *state = b->f;
    free(b);
    return fixture_close(state);
}

struct answer {
    bool done, ready;
    int64_t pid, took, load_ms, restarts, retry_after_ms, asked_at;
    int status;
    char code[32], text[512], socket[128];
    struct engine_wait *wait;
};

static void on_acquired(void *ctx, const struct hermes_engine *ready, const struct engine_refusal *why)
{
    struct answer *a = ctx;
    assert_false(a->done);
    a->done = true;
    a->took = clock_mono_ms() - a->asked_at;
    a->ready = ready != NULL;
    if (ready) {
        assert_int_equal(ready->state, HERMES_ENGINE_STATE_READY);
        a->pid = ready->pid;
        a->load_ms = ready->load_ms;
        a->restarts = ready->restarts;
        (void)snprintf(a->socket, sizeof a->socket, "%s", ready->socket);
        return;
    }
    a->status = why->status;
    a->retry_after_ms = why->retry_after_ms;
    (void)snprintf(a->code, sizeof a->code, "%s", why->code);
    (void)snprintf(a->text, sizeof a->text, "%s", why->text);
}

static void ask(struct bench *b, const char *name, int64_t wait_ms, struct answer *a)
{
    struct error err = {0};
    struct engine_model model = {.id = "01ARZ3NDEKTSV4RRFFQ69G5FAV",
                                 .name = name,
                                 .path = "/nowhere.gguf",
                                 .size_bytes = 1 << 20,
                                 .kv_bytes_per_token = 1024,
                                 .context_length = 2048};
    *a = (struct answer){.asked_at = clock_mono_ms()};
    if (engines_acquire(b->engines, &model, &(struct engine_ask){.wait_ms = wait_ms}, on_acquired, a,
                        &a->wait, &err) != 0)
        fail_msg("%s", err.text);
}

static struct answer acquire(struct bench *b, const char *name, int64_t wait_ms)
{
    struct answer a;
    ask(b, name, wait_ms, &a);
    fixture_run(b->f, &a.done, (int)wait_ms + 3000);
    return a;
}

static int state_of(struct bench *b, const char *name)
{
    const struct hermes_engine *e = engines_get(b->engines, name, b->f->arena);
    return e ? e->state : HERMES_ENGINE_STATE_STOPPED;
}

static void run_until_crashes(struct bench *b, int n)
{
    for (int i = 0; i < 500 && b->crashes < n; i++)
        fixture_run_ms(b->f, 20);
    assert_int_equal(b->crashes, n);
}

static bool alive(int64_t pid)
{
    return kill((pid_t)pid, 0) == 0 || errno != ESRCH;
}

static void test_ready(void **state)
{
    struct bench *b = *state;
    assert_false(fs_exists(fixture_path(b->f, "run/engine-left-over.sock")));
    struct answer a = acquire(b, "ok", 5000);
    if (!a.ready)
        fail_msg("%s", a.text);
    assert_true(alive(a.pid));
    assert_non_null(strstr(a.socket, "/run/engine-ok.sock"));
    assert_true(a.load_ms >= 0 && a.load_ms < 3000);
    struct answer again = acquire(b, "ok", 5000);
    assert_true(again.ready);
    assert_null(again.wait); /* handed out at once */
    assert_int_equal(again.pid, a.pid);
    const struct hermes_engine *e = engines_get(b->engines, "ok", b->f->arena);
    assert_true(e->has_rss_bytes && e->rss_bytes > 0);
    assert_true(e->has_last_used_at);
    assert_int_equal(engines_running(b->engines), 1);
}

static void test_clean_environment(void **state)
{
    struct bench *b = *state;
    (void)setenv("SECRET_OF_THE_PARENT", "x", 1);
    struct answer a = acquire(b, "clean", 5000);
    (void)unsetenv("SECRET_OF_THE_PARENT");
    if (!a.ready)
        fail_msg("%s", a.text);
}

/* A dozen first requests at once: one process. */
static void test_single_flight(void **state)
{
    struct bench *b = *state;
    struct answer a[12];
    for (int i = 0; i < 12; i++)
        ask(b, "slow", 5000, &a[i]);
    engine_wait_cancel(a[3].wait); /* one leaves; the load goes on */
    for (int i = 0; i < 12; i++) {
        if (i != 3)
            fixture_run(b->f, &a[i].done, 5000);
    }
    assert_false(a[3].done);
    for (int i = 0; i < 12; i++) {
        if (i != 3) {
            assert_true(a[i].ready);
            assert_int_equal(a[i].pid, a[0].pid);
        }
    }
    assert_int_equal(engines_running(b->engines), 1);
}

static void test_progress_and_timeout(void **state)
{
    struct bench *b = *state;
    struct answer a = acquire(b, "slow", 200);
    assert_false(a.ready);
    assert_int_equal(a.status, 504);
    assert_string_equal(a.code, "engine_not_ready");
    assert_non_null(strstr(a.text, "loading"));
    const struct hermes_engine *e = engines_get(b->engines, "slow", b->f->arena);
    assert_int_equal(e->state, HERMES_ENGINE_STATE_LOADING);
    assert_true(e->has_progress && e->progress > 0 && e->progress < 1);
    a = acquire(b, "slow", 3000); /* it was not stopped */
    assert_true(a.ready);
    assert_int_equal(a.restarts, 0);
}

/* wait 0: starts the load, does not wait for it. */
static void test_no_wait(void **state)
{
    struct bench *b = *state;
    struct answer a = acquire(b, "ok", 0);
    assert_false(a.ready);
    assert_int_equal(a.status, 504);
    fixture_run_ms(b->f, 500);
    assert_int_equal(state_of(b, "ok"), HERMES_ENGINE_STATE_READY);
}

static void test_load_fails(void **state)
{
    struct bench *b = *state;
    struct answer a = acquire(b, "fail", 5000);
    assert_false(a.ready);
    assert_int_equal(a.status, 503);
    assert_string_equal(a.code, "engine_failed");
    assert_non_null(strstr(a.text, "status 3: the model is of cheese"));
    assert_int_equal(b->crashes, 0); /* a model that cannot be loaded is no alert */
    const struct hermes_engine *e = engines_get(b->engines, "fail", b->f->arena);
    assert_int_equal(e->state, HERMES_ENGINE_STATE_FAILED);
    assert_non_null(strstr(e->reason, "cheese"));
    assert_false(e->has_pid);

    /* Asked again with no patience: the reason at once, and when to come back. */
    a = acquire(b, "fail", 0);
    assert_string_equal(a.code, "engine_failed");
    assert_true(a.retry_after_ms > 0 && a.retry_after_ms <= 100);
    /* With patience: it is tried again after the back-off. */
    a = acquire(b, "fail", 3000);
    assert_string_equal(a.code, "engine_failed");
    assert_true(a.took >= 50);
    e = engines_get(b->engines, "fail", b->f->arena);
    assert_int_equal(e->restarts, 1);
    a = acquire(b, "mumble", 5000);
    assert_non_null(strstr(a.text, "status 1: last words"));
}

static void test_program_missing(void **state)
{
    struct bench *b = *state;
    struct engines *other;
    struct error err = {0};
    bool closed = false;
    struct engines_options options = {.loop = &b->f->loop,
                                      .client = b->client,
                                      .home = b->f->home,
                                      .program = "/nowhere/vx11-engine",
                                      .params = b->params};
    assert_int_equal(engines_create(&options, &other, &err), 0);
    struct engines *own = b->engines;
    b->engines = other;
    struct answer a = acquire(b, "ok", 3000);
    b->engines = own;
    assert_string_equal(a.code, "engine_failed");
    assert_non_null(strstr(a.text, "/nowhere/vx11-engine cannot be started"));
    engines_close(other, 100, on_true, &closed);
    fixture_run(b->f, &closed, 3000);
}

static void test_crash_and_restart(void **state)
{
    struct bench *b = *state;
    struct answer a = acquire(b, "ok", 5000);
    assert_true(a.ready);
    assert_int_equal(kill((pid_t)a.pid, SIGABRT), 0);
    run_until_crashes(b, 1);
    assert_non_null(strstr(b->crash, "ok: the worker ended"));
    assert_int_equal(state_of(b, "ok"), HERMES_ENGINE_STATE_FAILED);
    struct answer again = acquire(b, "ok", 5000);
    if (!again.ready)
        fail_msg("%s", again.text);
    assert_int_not_equal(again.pid, a.pid);
    assert_int_equal(again.restarts, 1);
    assert_int_equal(kill((pid_t)again.pid, SIGKILL), 0);
    run_until_crashes(b, 2);
    assert_non_null(strstr(b->crash, "was killed"));
}

static void test_hangs_while_loading(void **state)
{
    struct bench *b = *state;
    b->params.load_timeout_ms = 300;
    engines_configure(b->engines, &b->params);
    struct answer a = acquire(b, "hang", 5000);
    assert_string_equal(a.code, "engine_failed");
    assert_non_null(strstr(a.text, "not ready within"));
}

/* A worker that is ready and then falls silent: it is ended, and that counts as a crash. */
static void test_falls_silent(void **state)
{
    struct bench *b = *state;
    b->params.answer_limit_ms = 300;
    engines_configure(b->engines, &b->params);
    struct answer a = acquire(b, "mute", 5000);
    assert_true(a.ready);
    run_until_crashes(b, 1);
    assert_non_null(strstr(b->crash, "no longer answered"));
    assert_false(alive(a.pid));
    assert_int_equal(state_of(b, "mute"), HERMES_ENGINE_STATE_FAILED);
}

static void test_unload_for_room(void **state)
{
    struct bench *b = *state;
    struct answer one = acquire(b, "ok-1", 5000), two = acquire(b, "ok-2", 5000);
    assert_true(one.ready && two.ready);
    fixture_run_ms(b->f, 60);
    assert_true(acquire(b, "ok-1", 5000).ready); /* so ok-2 is the older one */
    fixture_run_ms(b->f, 60);
    struct answer three = acquire(b, "ok-3", 5000);
    if (!three.ready)
        fail_msg("%s", three.text);
    assert_false(alive(two.pid)); /* gone before the next began */
    assert_true(alive(one.pid));
    assert_int_equal(engines_running(b->engines), 2);
    assert_int_equal(state_of(b, "ok-2"), HERMES_ENGINE_STATE_STOPPED);
    assert_int_equal(b->crashes, 0);
}

static void test_no_room(void **state)
{
    struct bench *b = *state;
    struct answer one = acquire(b, "busy-1", 5000), two = acquire(b, "busy-2", 5000);
    assert_true(one.ready && two.ready);
    struct answer three = acquire(b, "ok-3", 600);
    assert_false(three.ready);
    assert_int_equal(three.status, 504); /* it could have been served, with more patience */
    assert_string_equal(three.code, "engine_not_ready");
    assert_non_null(strstr(three.text, "busy-1 (busy)"));
    assert_non_null(strstr(three.text, "busy-2 (busy)"));
    assert_true(alive(one.pid) && alive(two.pid));
    fixture_run_ms(b->f, 250);
    assert_int_equal(state_of(b, "ok-3"), HERMES_ENGINE_STATE_STOPPED); /* nobody waits: out of the line */
}

static void test_insufficient_memory(void **state)
{
    struct bench *b = *state;
    struct answer a = {.asked_at = clock_mono_ms()};
    struct error err = {0};
    struct engine_model model = {.id = "01ARZ3NDEKTSV4RRFFQ69G5FAV",
                                 .name = "huge",
                                 .path = "/nowhere.gguf",
                                 .size_bytes = INT64_C(1) << 50,
                                 .kv_bytes_per_token = -1,
                                 .context_length = -1};
    assert_int_equal(engines_acquire(b->engines, &model, &(struct engine_ask){.wait_ms = 5000}, on_acquired,
                                     &a, &a.wait, &err),
                     0);
    fixture_run(b->f, &a.done, 3000);
    assert_false(a.ready);
    assert_int_equal(a.status, 503);
    assert_string_equal(a.code, "insufficient_memory");
    assert_non_null(strstr(a.text, "huge needs about"));
    assert_true(a.took < 2000); /* at once: no waiting would help */
    assert_int_equal(engines_running(b->engines), 0);
}

/* A worker that finds too little memory knows more than Hermes estimated: the waiters get its numbers. */
static void test_worker_short_of_memory(void **state)
{
    struct bench *b = *state;
    struct answer a = acquire(b, "starved", 5000);
    assert_false(a.ready);
    assert_int_equal(a.status, 503);
    assert_string_equal(a.code, "insufficient_memory");
    assert_non_null(strstr(a.text, "starved needs about 1.0 PB of memory"));
    assert_int_equal(b->crashes, 0);
    assert_int_equal(engines_running(b->engines), 0);
}

static void test_load_is_told(void **state)
{
    struct bench *b = *state;
    struct answer a = acquire(b, "slow", 5000);
    bool gone = false;
    struct engine_stop_wait *w = NULL;
    assert_true(a.ready);
    assert_int_equal(b->told[LINK_MODEL_LOAD_STATE_LOADING], 1); /* 400 ms: not twice */
    assert_int_equal(b->told[LINK_MODEL_LOAD_STATE_READY], 1);
    assert_true(b->told_percent == 100 && b->told_bytes == 1000);
    const struct hermes_engine *e = engines_get(b->engines, "slow", b->f->arena);
    assert_true(e && e->has_bytes_total && e->bytes_total == 1000 && e->bytes_read == 1000);
    assert_true(e->has_need_bytes && e->need_bytes == 1 << 20); /* as its worker says */
    assert_int_equal(engines_stop(b->engines, "slow", "a test", on_true, &gone, &w), 1);
    fixture_run(b->f, &gone, 3000);
    assert_int_equal(b->told[LINK_MODEL_LOAD_STATE_STOPPED], 1);
}

static void test_idle_unload(void **state)
{
    struct bench *b = *state;
    b->params.idle_unload_ms = 200;
    engines_configure(b->engines, &b->params);
    struct answer a = acquire(b, "ok", 5000), busy = acquire(b, "busy", 5000);
    assert_true(a.ready && busy.ready);
    fixture_run_ms(b->f, 800);
    assert_false(alive(a.pid));
    assert_true(alive(busy.pid));
    assert_int_equal(state_of(b, "ok"), HERMES_ENGINE_STATE_STOPPED);
    assert_false(fs_exists(fixture_path(b->f, "run/engine-ok.sock")));
}

static void test_stop(void **state)
{
    struct bench *b = *state;
    struct engine_stop_wait *wait;
    bool stopped = false;
    assert_int_equal(engines_stop(b->engines, "ok", "test", on_true, &stopped, &wait), 0);
    struct answer a = acquire(b, "ok", 5000);
    assert_int_equal(engines_stop(b->engines, "ok", "test", on_true, &stopped, &wait), 1);
    assert_int_equal(state_of(b, "ok"), HERMES_ENGINE_STATE_STOPPING);
    /* Asked for again while it ends: it waits for that, and starts anew. */
    struct answer again = acquire(b, "ok", 5000);
    assert_true(stopped);
    assert_true(again.ready);
    assert_int_not_equal(again.pid, a.pid);
    assert_false(alive(a.pid));
    assert_int_equal(again.restarts, 0);
}

static void test_deaf_is_killed(void **state)
{
    struct bench *b = *state;
    struct engine_stop_wait *wait;
    bool stopped = false;
    b->params.stop_limit_ms = 200;
    engines_configure(b->engines, &b->params);
    struct answer a = acquire(b, "deaf", 5000);
    assert_int_equal(engines_stop(b->engines, "deaf", "test", on_true, &stopped, &wait), 1);
    fixture_run(b->f, &stopped, 5000);
    assert_false(alive(a.pid));
    assert_int_equal(b->crashes, 0);
}

static void test_close_with_everything_going_on(void **state)
{
    struct bench *b = *state;
    struct answer a = acquire(b, "deaf", 5000), slow, waiting;
    struct error err = {0};
    bool closed = false;
    ask(b, "slow", 5000, &slow);
    fixture_run_ms(b->f, 100);
    ask(b, "ok", 5000, &waiting);
    engines_refuse_waits(b->engines);
    assert_true(slow.done && waiting.done);
    assert_string_equal(slow.code, "stopping");
    struct engine_model model = {.id = "01ARZ3NDEKTSV4RRFFQ69G5FAV", .name = "x", .path = "/x"};
    struct engine_wait *wait;
    assert_int_equal(engines_acquire(b->engines, &model, &(struct engine_ask){.wait_ms = 1}, on_acquired,
                                     NULL, &wait, &err),
                     VX11_ECANCELLED);
    engines_close(b->engines, 300, on_true, &closed);
    fixture_run(b->f, &closed, 5000);
    b->engines = NULL;
    assert_false(alive(a.pid));
}

static void test_long_names(void **state)
{
    struct bench *b = *state;
    char name[129] = "ok";
    memset(name + 2, 'x', 126);
    name[128] = '\0';
    struct answer a = acquire(b, name, 5000);
    if (!a.ready)
        fail_msg("%s", a.text);
    assert_non_null(strstr(a.socket, "/run/engine-FFQ69G5FAV.sock"));
    assert_true(strlen(a.socket) < 108);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, bench_open, bench_close)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(test_ready),
        TEST(test_clean_environment),
        TEST(test_single_flight),
        TEST(test_progress_and_timeout),
        TEST(test_no_wait),
        TEST(test_load_fails),
        TEST(test_program_missing),
        TEST(test_crash_and_restart),
        TEST(test_hangs_while_loading),
        TEST(test_falls_silent),
        TEST(test_unload_for_room),
        TEST(test_no_room),
        TEST(test_insufficient_memory),
        TEST(test_worker_short_of_memory),
        TEST(test_load_is_told),
        TEST(test_idle_unload),
        TEST(test_stop),
        TEST(test_deaf_is_killed),
        TEST(test_close_with_everything_going_on),
        TEST(test_long_names),
    };
    if (fake_worker_asked(argc, argv))
        return fake_worker_main(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
