/* The pool, with fake workers: whose turn it is, what is never unloaded, what is counted. */
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
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/str.h"
#include "fake_worker.h"
#include "fixture.h"
#include "hermes/engines.h"

#define MB (INT64_C(1) << 20)

struct bench {
    struct fixture *f;
    struct client *client;
    struct metrics *metrics;
    struct engines *engines;
    struct engine_params params;
    int crashes;
    int64_t used;   /* as told */
    char order[64]; /* first letters after the "-" of names, in the order of hand-outs */
    bool sends;     /* each hand-out is followed by its request */
};

static void on_crash(void *ctx, const char *model, const char *reason)
{
    struct bench *b = ctx;
    (void)model;
    (void)reason;
    b->crashes++;
}

static void on_used(void *ctx, const char *id, const char *model, int64_t n, int64_t at)
{
    struct bench *b = ctx;
    assert_int_equal(strlen(id), 26);
    assert_true(model[0] && n > 0 && at > 0);
    b->used += n;
}

static int bench_open(void **state)
{
    if (fixture_open(state) != 0)
        return -1;
    struct bench *b = calloc(1, sizeof *b);
    struct error err = {0};
    char self[4096];
    b->f = *state;
    b->params = (struct engine_params){.max_loaded = 1,
                                       .load_timeout_ms = 5000,
                                       .max_ctx = 1024,
                                       .parallel = 2,
                                       .batch = 64,
                                       .n_max = 1,
                                       .max_queue = 4,
                                       .kv_type = "f16",
                                       .log_level = "info",
                                       .health_interval_ms = 100,
                                       .stop_limit_ms = 2000,
                                       .lease_ms = 400,
                                       .swap_after_ms = 300};
    if (client_create(&b->f->loop, &b->client, &err) != 0 || fs_self_exe(self, sizeof self) != 0)
        return -1;
    b->metrics = metrics_create(&b->f->loop, "hermes");
    struct engines_options options = {.loop = &b->f->loop,
                                      .client = b->client,
                                      .home = b->f->home,
                                      .program = self,
                                      .metrics = b->metrics,
                                      .params = b->params,
                                      .on_crash = on_crash,
                                      .on_used = on_used,
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
    metrics_stop(b->metrics);
    engines_close(b->engines, 1000, on_true, &closed);
    fixture_run(b->f, &closed, 5000);
    client_close(b->client, on_true, &client_closed);
    fixture_run(b->f, &client_closed, 5000);
    metrics_destroy(b->metrics);
    *state = b->f;
    free(b);
    return fixture_close(state);
}

static void configure(struct bench *b)
{
    engines_configure(b->engines, &b->params);
}

/* ---- asking ---- */

struct answer {
    struct bench *b;
    bool done, ready;
    int64_t pid, took, asked_at, answered_at;
    int status;
    char name[64], code[32], text[512], socket[128];
    struct engine_wait *wait;
};

/* A request as Switch sends it: what matters is that the worker counts it. */
static void send_request(const char *path)
{
    static const char text[] = "POST /engine/tokenize HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
                               "application/json\r\nContent-Length: 15\r\nConnection: close\r\n\r\n"
                               "{\"content\":\"x\"}";
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    char reply[64];
    (void)snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    if (connect(fd, (const struct sockaddr *)&a, sizeof a) == 0) {
        assert_int_equal(send(fd, text, sizeof text - 1, MSG_NOSIGNAL), sizeof text - 1);
        assert_true(recv(fd, reply, sizeof reply, 0) > 0);
    }
    close(fd);
}

static void on_acquired(void *ctx, const struct hermes_engine *ready, const struct engine_refusal *why)
{
    struct answer *a = ctx;
    struct bench *b = a->b;
    const size_t len = strlen(b->order);
    assert_false(a->done);
    a->done = true;
    a->answered_at = clock_mono_ms();
    a->took = a->answered_at - a->asked_at;
    a->ready = ready != NULL;
    if (ready) {
        a->pid = ready->pid;
        (void)snprintf(a->socket, sizeof a->socket, "%s", ready->socket);
        if (len + 1 < sizeof b->order)
            b->order[len] = strchr(a->name, '-')[1];
        if (b->sends)
            send_request(a->socket);
        return;
    }
    a->status = why->status;
    (void)snprintf(a->code, sizeof a->code, "%s", why->code);
    (void)snprintf(a->text, sizeof a->text, "%s", why->text);
}

static void ask_as(struct bench *b, const char *name, struct engine_model model, struct engine_ask how,
                   struct answer *a)
{
    struct error err = {0};
    model.id = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
    model.name = name;
    model.path = "/nowhere.gguf";
    model.size_bytes = model.size_bytes ? model.size_bytes : MB;
    model.kv_bytes_per_token = 1024;
    model.context_length = 2048;
    *a = (struct answer){.b = b, .asked_at = clock_mono_ms()};
    (void)snprintf(a->name, sizeof a->name, "%s", name);
    if (engines_acquire(b->engines, &model, &how, on_acquired, a, &a->wait, &err) != 0)
        fail_msg("%s", err.text);
}

static void ask(struct bench *b, const char *name, struct answer *a)
{
    ask_as(b, name, (struct engine_model){0}, (struct engine_ask){.wait_ms = 5000}, a);
}

static struct answer acquire_as(struct bench *b, const char *name, struct engine_model model,
                                struct engine_ask how)
{
    struct answer a;
    ask_as(b, name, model, how, &a);
    fixture_run(b->f, &a.done, (int)how.wait_ms + 3000);
    if (!a.ready)
        print_message("%s: %s\n", name, a.text);
    return a;
}

static struct answer acquire(struct bench *b, const char *name)
{
    return acquire_as(b, name, (struct engine_model){0}, (struct engine_ask){.wait_ms = 5000});
}

static const struct hermes_engine *view(struct bench *b, const char *name)
{
    return engines_get(b->engines, name, b->f->arena);
}

static bool alive(int64_t pid)
{
    return kill((pid_t)pid, 0) == 0 || errno != ESRCH;
}

static void wait_gone(struct bench *b, int64_t pid, int ms)
{
    for (int i = 0; i < ms / 20 && alive(pid); i++)
        fixture_run_ms(b->f, 20);
    assert_false(alive(pid));
}

static double metric(struct bench *b, const char *name)
{
    struct buf text = BUF_INIT;
    assert_int_equal(metrics_render(b->metrics, &text), 0);
    const char *at = strstr(text.data, name);
    const char *space = at ? strchr(at, ' ') : NULL;
    const double value = space ? strtod(space, NULL) : -1;
    buf_free(&text);
    return value;
}

/* ---- leases ---- */

/* Nothing is unloaded between its being handed out and the request's arrival, nor while that is answered. */
static void test_lease_protects(void **state)
{
    struct bench *b = *state;
    b->params.lease_ms = 3000;
    b->params.swap_after_ms = 0;
    configure(b);
    struct answer a = acquire(b, "work-a"), other;
    assert_true(a.ready);
    assert_int_equal(view(b, "work-a")->expected, 1);
    ask(b, "ok-b", &other);
    fixture_run_ms(b->f, 500);
    assert_false(other.done);
    assert_true(alive(a.pid)); /* idle for all that can be seen, and not touched */
    send_request(a.socket);
    const int64_t sent = clock_mono_ms();
    fixture_run(b->f, &other.done, 5000);
    assert_true(other.ready);
    assert_true(other.answered_at - sent >= 200); /* it was answered first */
    assert_false(alive(a.pid));
    assert_int_equal(b->used, 1);
}

/* One whose request never comes does not stand in the way for ever, and is no use. */
static void test_lease_lapses(void **state)
{
    struct bench *b = *state;
    struct answer a = acquire(b, "ok-a"), other;
    ask(b, "ok-b", &other);
    fixture_run(b->f, &other.done, 5000);
    assert_true(other.ready && !alive(a.pid));
    assert_true(other.took >= 300 && other.took < 2500);
    assert_int_equal(b->used, 0);
}

static void test_uses_are_exact(void **state)
{
    struct bench *b = *state;
    struct answer a = acquire(b, "ok-a"), last = a;
    b->sends = true;
    send_request(a.socket);
    for (int i = 0; i < 9; i++)
        last = acquire(b, "ok-a");
    assert_int_equal(last.pid, a.pid);
    struct answer warm =
        acquire_as(b, "ok-a", (struct engine_model){0}, (struct engine_ask){.no_request = true});
    assert_true(warm.ready); /* and its request is a stranger's: */
    fixture_run_ms(b->f, 400);
    assert_int_equal(b->used, 10);
    assert_int_equal(view(b, "ok-a")->expected, 0);
}

/* ---- turns ---- */

/* A B A B becomes A A B B: while B waits, A goes on for swap_after_ms at most. */
static void test_turns(void **state)
{
    struct bench *b = *state;
    struct answer a[12], other[2];
    int n = 0;
    b->sends = true;
    struct answer first = acquire(b, "work-a");
    assert_true(first.ready);
    ask(b, "work-b", &other[0]);
    for (; n < 8; n++) { /* a stream of requests for A: busy all the time */
        ask(b, "work-a", &a[n]);
        fixture_run_ms(b->f, 60);
    }
    ask(b, "work-b", &other[1]);
    for (int i = 0; i < n; i++)
        fixture_run(b->f, &a[i].done, 5000);
    fixture_run(b->f, &other[1].done, 5000);
    assert_true(other[0].ready && other[1].ready);
    assert_true(other[0].took >= 250 && other[0].took < 2000);
    assert_int_equal(other[0].pid, other[1].pid);
    for (int i = 0; i < n; i++)
        assert_true(a[i].ready);
    /* some of A, both of B in one run, the rest of A in one run */
    char *run = strstr(b->order, "bb");
    if (!run || strchr(run + 2, 'b') || strchr(b->order, 'b') != run || run[2] != 'a')
        fail_msg("%s", b->order);
    assert_int_equal(strlen(b->order), 11);
    assert_int_equal((int)metric(b, "\nvx11_engine_swaps_total"), 2);
    assert_int_equal((int)metric(b, "reason=\"room\"}"), 2);
}

/* Four models, room for two, everybody asks all the time: each is served, and nobody waits for long. */
static void test_fair(void **state)
{
    static const char *const names[] = {"work-a", "work-b", "work-c", "work-d"};
    struct bench *b = *state;
    struct answer a[16];
    int served[4] = {0};
    int64_t longest = 0, until = clock_mono_ms() + 6000;
    b->params.max_loaded = 2;
    b->params.swap_after_ms = 200;
    configure(b);
    b->sends = true;
    for (int i = 0; i < 16; i++)
        ask_as(b, names[i % 4], (struct engine_model){0}, (struct engine_ask){.wait_ms = 10000}, &a[i]);
    while (clock_mono_ms() < until) {
        fixture_run_ms(b->f, 10);
        for (int i = 0; i < 16; i++) {
            if (!a[i].done)
                continue;
            assert_true(a[i].ready);
            served[i % 4]++;
            longest = a[i].took > longest ? a[i].took : longest;
            memset(b->order, 0, sizeof b->order);
            ask_as(b, names[i % 4], (struct engine_model){0}, (struct engine_ask){.wait_ms = 10000}, &a[i]);
        }
    }
    for (int i = 0; i < 16; i++) {
        if (!a[i].done)
            engine_wait_cancel(a[i].wait);
    }
    print_message("served %d %d %d %d, longest %lld ms\n", served[0], served[1], served[2], served[3],
                  (long long)longest);
    for (int i = 0; i < 4; i++)
        assert_true(served[i] >= 8);
    assert_true(longest < 4000);
    assert_true(engines_running(b->engines) <= 2);
}

/* It was loaded for many: all are served before it goes, however long somebody else has waited. */
static void test_batch_first(void **state)
{
    struct bench *b = *state;
    struct answer a[20], other;
    b->sends = true;
    b->params.swap_after_ms = 0;
    configure(b);
    for (int i = 0; i < 20; i++)
        ask(b, "slow-a", &a[i]);
    fixture_run_ms(b->f, 100);
    ask(b, "ok-b", &other);
    for (int i = 0; i < 20; i++)
        fixture_run(b->f, &a[i].done, 8000);
    for (int i = 0; i < 20; i++) {
        assert_true(a[i].ready);
        assert_int_equal(a[i].pid, a[0].pid);
    }
    fixture_run(b->f, &other.done, 5000);
    assert_true(other.ready);
    assert_string_equal(b->order, "aaaaaaaaaaaaaaaaaaaab");
    fixture_run_ms(b->f, 200);
    assert_int_equal(b->used, 21);
}

static void test_min_resident(void **state)
{
    struct bench *b = *state;
    b->sends = true;
    b->params.swap_after_ms = 0;
    b->params.min_resident_ms = 700;
    configure(b);
    struct answer a = acquire(b, "ok-a"), other = acquire(b, "ok-b");
    assert_true(other.ready && !alive(a.pid));
    assert_true(other.answered_at - a.answered_at >= 690);
}

/* Who waits for a model whose worker is killed has done nothing to it. */
static void test_killed_while_loading(void **state)
{
    struct bench *b = *state;
    struct answer a[3];
    for (int i = 0; i < 3; i++)
        ask(b, "slow-a", &a[i]);
    for (int kills = 0; kills < 5; kills++) {
        for (int i = 0; i < 200 && !(view(b, "slow-a") && view(b, "slow-a")->has_pid); i++)
            fixture_run_ms(b->f, 10);
        const struct hermes_engine *e = view(b, "slow-a");
        assert_true(e && e->has_pid);
        assert_int_equal(kill((pid_t)e->pid, SIGKILL), 0);
        wait_gone(b, e->pid, 2000);
    }
    for (int i = 0; i < 3; i++) {
        fixture_run(b->f, &a[i].done, 5000);
        assert_true(a[i].ready);
        assert_int_equal(a[i].pid, a[0].pid);
    }
    assert_int_equal(b->crashes, 5);
}

/* ---- bytes ---- */

/* A budget counts what workers say they take, not how many there are. */
static void test_budget(void **state)
{
    struct bench *b = *state;
    struct hermes_plan plan;
    b->sends = true;
    b->params.max_loaded = 8;
    b->params.swap_after_ms = 0;
    b->params.memory_budget_bytes = 300 * MB;
    configure(b);
    const struct engine_model size = {.size_bytes = 90 * MB};
    const struct engine_ask how = {.wait_ms = 5000};
    struct answer one = acquire_as(b, "ok-1-large", size, how), two = acquire_as(b, "ok-2-large", size, how);
    assert_true(one.ready && two.ready && alive(one.pid));
    fixture_run_ms(b->f, 150);
    struct engines_memory memory;
    engines_memory(b->engines, &memory);
    assert_int_equal(memory.budget, 300 * MB);
    assert_int_equal(memory.predicted, 2 * (100 + 16) * MB);
    assert_true(memory.measured > 0 && memory.known && memory.usable <= 68 * MB);
    const struct engine_model third = {.id = "01ARZ3NDEKTSV4RRFFQ69G5FAV",
                                       .name = "ok-3-large",
                                       .path = "/nowhere.gguf",
                                       .size_bytes = 90 * MB,
                                       .kv_bytes_per_token = 1024,
                                       .context_length = 2048};
    assert_int_equal(engines_plan(b->engines, &third, b->f->arena, &plan), 0);
    assert_int_equal(plan.verdict, HERMES_PLAN_VERDICT_EVICT);
    assert_int_equal(plan.evict_count, 1);
    assert_string_equal(plan.evict[0].model, "ok-1-large");
    assert_int_equal(plan.missing_bytes, plan.need_bytes - (plan.budget_bytes - plan.used_bytes));
    assert_true(alive(one.pid)); /* it was only asked */
    struct answer three = acquire_as(b, "ok-3-large", size, how);
    assert_true(three.ready && !alive(one.pid) && alive(two.pid));
    /* A smaller budget: the one used longest ago goes by itself. */
    fixture_run_ms(b->f, 100);
    b->params.memory_budget_bytes = 150 * MB;
    configure(b);
    wait_gone(b, two.pid, 2000);
    assert_true(alive(three.pid));
}

/* A host that is short of power keeps fewer idle ones, and still loads what is asked for. */
static void test_pool_factor(void **state)
{
    struct bench *b = *state;
    b->sends = true;
    b->params.max_loaded = 8;
    b->params.memory_budget_bytes = 400 * MB;
    configure(b);
    const struct engine_model size = {.size_bytes = 90 * MB};
    const struct engine_ask how = {.wait_ms = 5000};
    struct answer one = acquire_as(b, "ok-1-large", size, how), two = acquire_as(b, "ok-2-large", size, how);
    assert_true(one.ready && two.ready);
    fixture_run_ms(b->f, 150);
    assert_true(alive(one.pid) && alive(two.pid));
    engines_set_pool_factor(b->engines, 0.5);
    wait_gone(b, one.pid, 2000);
    assert_true(alive(two.pid));
    struct answer again = acquire_as(b, "ok-1-large", size, how);
    assert_true(again.ready);
    engines_set_pool_factor(b->engines, 1);
}

/* The numbers of a refusal add up. */
static void test_never(void **state)
{
    struct bench *b = *state;
    long long missing = 0;
    b->params.max_loaded = 8;
    b->params.memory_budget_bytes = 200 * MB;
    configure(b);
    struct answer a =
        acquire_as(b, "ok-1-large", (struct engine_model){.size_bytes = 90 * MB, .pinned = true},
                   (struct engine_ask){.wait_ms = 5000});
    assert_true(a.ready);
    fixture_run_ms(b->f, 600);
    const int64_t began = clock_mono_ms();
    struct answer no = acquire_as(b, "ok-2", (struct engine_model){.size_bytes = 190 * MB},
                                  (struct engine_ask){.wait_ms = 5000});
    assert_false(no.ready);
    assert_int_equal(no.status, 503);
    assert_string_equal(no.code, "insufficient_memory");
    assert_true(clock_mono_ms() - began < 1000);
    assert_true(alive(a.pid));
    assert_non_null(strstr(no.text, "ok-1-large (pinned)"));
    const char *bytes = strrchr(no.text, '(');
    bytes = strstr(no.text, "are missing (");
    assert_non_null(bytes);
    assert_int_equal(sscanf(bytes, "are missing (%lld bytes)", &missing), 1);
    const struct engine_model model = {.id = "01ARZ3NDEKTSV4RRFFQ69G5FAV",
                                       .name = "ok-2",
                                       .path = "/nowhere.gguf",
                                       .size_bytes = 190 * MB,
                                       .kv_bytes_per_token = 1024,
                                       .context_length = 2048};
    struct hermes_plan plan;
    assert_int_equal(engines_plan(b->engines, &model, b->f->arena, &plan), 0);
    assert_int_equal(plan.verdict, HERMES_PLAN_VERDICT_NEVER);
    assert_int_equal(plan.missing_bytes, missing);
    assert_int_equal(missing, plan.least_bytes - (plan.budget_bytes - plan.used_bytes));
    /* Unpinned, it makes room. */
    engines_pin(b->engines, "ok-1-large", false);
    struct answer yes = acquire_as(b, "ok-2-large", (struct engine_model){.size_bytes = 90 * MB},
                                   (struct engine_ask){.wait_ms = 5000});
    assert_true(yes.ready && !alive(a.pid));
}

static void test_groups(void **state)
{
    static const char *const models[] = {"ok-a", "ok-b"};
    const struct engine_group group = {.name = "pair", .models = models, .count = 2};
    struct bench *b = *state;
    b->sends = true;
    b->params.swap_after_ms = 0;
    configure(b);
    assert_int_equal(engines_set_groups(b->engines, &group, 1), 0);
    struct answer one = acquire(b, "ok-a"), two = acquire(b, "ok-b");
    assert_true(one.ready && two.ready);
    assert_true(alive(one.pid)); /* max_loaded is 1, and they count as one */
    assert_string_equal(view(b, "ok-a")->group, "pair");
    struct answer three = acquire(b, "ok-c");
    assert_true(three.ready && !alive(one.pid) && !alive(two.pid));
}

/* ---- how long it stays ---- */

static void test_keep_alive(void **state)
{
    struct bench *b = *state;
    struct engine_ask how = {.wait_ms = 5000, .has_keep_alive = true, .keep_alive_ms = 0};
    b->params.idle_unload_ms = 500;
    configure(b);
    /* 0: right after the request, not before. */
    struct answer a = acquire_as(b, "work-a", (struct engine_model){0}, how);
    fixture_run_ms(b->f, 250);
    assert_true(alive(a.pid));
    send_request(a.socket);
    fixture_run_ms(b->f, 100);
    assert_true(alive(a.pid));
    wait_gone(b, a.pid, 600);
    /* Negative: it stays; without: as it was said before. */
    b->sends = true;
    how.keep_alive_ms = -1;
    a = acquire_as(b, "ok-a", (struct engine_model){0}, how);
    assert_int_equal(acquire(b, "ok-a").pid, a.pid);
    fixture_run_ms(b->f, 900);
    assert_true(alive(a.pid));
    assert_false(view(b, "ok-a")->has_expires_at);
    /* A length of its own. */
    how.keep_alive_ms = 200;
    assert_int_equal(acquire_as(b, "ok-a", (struct engine_model){0}, how).pid, a.pid);
    fixture_run_ms(b->f, 60);
    assert_true(view(b, "ok-a")->has_expires_at);
    wait_gone(b, a.pid, 600);
    /* A new load starts with what is configured, and a pin outlasts that. */
    a = acquire(b, "ok-a");
    wait_gone(b, a.pid, 1500);
    a = acquire_as(b, "ok-a", (struct engine_model){.pinned = true}, (struct engine_ask){.wait_ms = 5000});
    fixture_run_ms(b->f, 900);
    assert_true(alive(a.pid));
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, bench_open, bench_close)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(test_lease_protects), TEST(test_lease_lapses),
        TEST(test_uses_are_exact), TEST(test_turns),
        TEST(test_fair),           TEST(test_batch_first),
        TEST(test_min_resident),   TEST(test_killed_while_loading),
        TEST(test_budget),         TEST(test_never),
        TEST(test_pool_factor),    TEST(test_groups),
        TEST(test_keep_alive),
    };
    if (fake_worker_asked(argc, argv))
        return fake_worker_main(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
