/* Conversations that outlive the process: through the scheduler, and through a worker over HTTP. */
#include "harness.h"
#include "worker.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/str.h"
#include "engine/saved.h"

struct place {
    char dir[64];
};

static int setup(void **state)
{
    struct place *p = calloc(1, sizeof *p);
    (void)snprintf(p->dir, sizeof p->dir, "/tmp/vx11-resume-XXXXXX");
    assert_non_null(mkdtemp(p->dir));
    *state = p;
    return 0;
}

static int teardown(void **state)
{
    struct place *p = *state;
    (void)fs_remove_tree(AT_FDCWD, p->dir, NULL);
    free(p);
    return 0;
}

/* Every file below the folder that ends so; returns how many. */
static size_t files(const char *dir, const char *end, char last[512])
{
    size_t n = 0;
    DIR *top = opendir(dir);
    const struct dirent *key, *file;
    while (top && (key = readdir(top)) != NULL) {
        char path[256];
        if (strlen(key->d_name) != 64)
            continue;
        (void)snprintf(path, sizeof path, "%.100s/%.64s", dir, key->d_name);
        DIR *below = opendir(path);
        while (below && (file = readdir(below)) != NULL) {
            if (!str_ends(file->d_name, end))
                continue;
            n++;
            if (last)
                (void)snprintf(last, 512, "%s/%.100s", path, file->d_name);
        }
        if (below)
            (void)closedir(below);
    }
    if (top)
        (void)closedir(top);
    return n;
}

static void numbers(struct buf *out, int from, int to)
{
    for (int i = from; i < to; i++)
        (void)buf_printf(out, "Question %d: which port is module number %d on? It is %d. ", i, i, 8000 + i);
}

static void tokens_of(const struct model *m, int from, int to, struct tokens *out)
{
    struct buf text = BUF_INIT;
    struct error err = {0};
    numbers(&text, from, to);
    assert_int_equal(tokenize(m, text.data, text.len, from == 0, false, out, &err), 0);
    buf_free(&text);
}

static struct harness *open_at(const struct place *p, int64_t idle_ms, int64_t end_ms, int32_t least)
{
    return harness_open(
        &(struct harness_options){.parallel = 2,
                                  .context = 1024,
                                  .queue = 8,
                                  .batch = 512,
                                  .saved_dir = p->dir,
                                  .saving = {.min_tokens = least, .idle_ms = idle_ms, .end_ms = end_ms}});
}

static void ask(struct harness *h, const struct tokens *prompt, struct answer *a)
{
    struct generation_options o = harness_greedy(prompt);
    o.max_tokens = 20;
    o.sampling.ignore_end = true;
    *a = (struct answer){0};
    assert_int_equal(harness_submit(h, &o, a, NULL), 0);
    harness_wait(h, a, 1);
    if (a->end != FINISH_NONE)
        fail_msg("%d %s", (int)a->end, a->error.text);
}

static void test_back_again(void **state)
{
    const struct place *p = *state;
    struct tokens first = TOKENS_INIT, other = TOKENS_INIT;
    struct answer cold, warm, more, branch;
    struct harness *h = open_at(p, 600000, 10000, 64);
    tokens_of(h->model, 0, 20, &first);
    ask(h, &first, &cold);
    assert_int_equal(cold.usage.cached_tokens, 0);
    assert_int_equal(cold.usage.restored_tokens, 0);
    harness_stop(h);
    assert_int_equal(files(p->dir, ".kv", NULL), 1);

    h = open_at(p, 600000, 10000, 64);
    ask(h, &first, &warm);
    assert_string_equal(warm.text[0].data, cold.text[0].data);
    assert_int_equal(warm.usage.cached_tokens, first.len - 1);
    assert_int_equal(warm.usage.restored_tokens, first.len - 1);
    /* Again: it is in memory now. */
    answer_free(&warm);
    ask(h, &first, &warm);
    assert_int_equal(warm.usage.cached_tokens, first.len - 1);
    assert_int_equal(warm.usage.restored_tokens, 0);
    /* Another conversation with the same beginning, and the first goes on. */
    tokens_of(h->model, 0, 10, &other);
    const size_t shared = other.len - 1;
    tokens_of(h->model, 30, 45, &other);
    ask(h, &other, &branch);
    assert_true(branch.usage.cached_tokens >= (int64_t)shared - 1);
    tokens_of(h->model, 20, 24, &first);
    ask(h, &first, &more);
    assert_true(more.usage.cached_tokens > 0);
    harness_stop(h);
    assert_int_equal(files(p->dir, ".kv", NULL), 3); /* the first with its answer, its going on, the other */

    /* Each comes back as itself, also at the same time. */
    h = open_at(p, 600000, 10000, 64);
    struct answer both[2] = {0};
    struct generation_options o[2] = {harness_greedy(&other), harness_greedy(&first)};
    for (int i = 0; i < 2; i++) {
        o[i].max_tokens = 20;
        o[i].sampling.ignore_end = true;
        assert_int_equal(harness_submit(h, &o[i], &both[i], NULL), 0);
    }
    harness_wait(h, both, 2);
    assert_true(both[0].usage.restored_tokens >= (int64_t)other.len - (int64_t)shared - 2);
    assert_int_equal(both[0].usage.cached_tokens, other.len - 1);
    assert_int_equal(both[1].usage.cached_tokens, first.len - 1);
    struct scheduler_stats stats;
    scheduler_stats(h->scheduler, &stats);
    assert_int_equal(stats.restored_tokens, both[0].usage.restored_tokens + both[1].usage.restored_tokens);
    harness_stop(h);
    answer_free(&both[0]);
    answer_free(&both[1]);
    answer_free(&cold);
    answer_free(&warm);
    answer_free(&more);
    answer_free(&branch);
    tokens_free(&first);
    tokens_free(&other);
}

static void test_idle(void **state)
{
    const struct place *p = *state;
    struct tokens prompt = TOKENS_INIT;
    struct answer a;
    struct saved_stats stats = {0};
    struct harness *h = open_at(p, 50, 0, 64); /* nothing is written at the end */
    tokens_of(h->model, 0, 20, &prompt);
    ask(h, &prompt, &a);
    answer_free(&a);
    for (int i = 0; i < 200 && stats.written == 0; i++) {
        (void)usleep(10000);
        saved_stats(h->saved, &stats);
    }
    assert_int_equal(stats.written, 1);
    assert_int_equal(files(p->dir, ".kv", NULL), 1);
    ask(h, &prompt, &a); /* and all goes on */
    assert_int_equal(a.usage.cached_tokens, prompt.len - 1);
    assert_int_equal(a.usage.restored_tokens, 0);
    answer_free(&a);
    (void)usleep(150000);
    saved_stats(h->saved, &stats);
    assert_int_equal(stats.written, 1); /* nothing new */
    harness_stop(h);
    tokens_free(&prompt);
}

static void test_not_worth_it(void **state)
{
    const struct place *p = *state;
    struct tokens prompt = TOKENS_INIT;
    struct answer a;
    struct harness *h = open_at(p, 600000, 10000, 900);
    tokens_of(h->model, 0, 20, &prompt);
    ask(h, &prompt, &a);
    answer_free(&a);
    harness_stop(h);
    assert_int_equal(files(p->dir, ".kv", NULL), 0); /* shorter than the least */
    h = open_at(p, 600000, 0, 64);
    ask(h, &prompt, &a);
    answer_free(&a);
    harness_stop(h);
    assert_int_equal(files(p->dir, ".kv", NULL), 0); /* no time to write */
    tokens_free(&prompt);
}

/* A conversation that the context has no room for, and one whose file is damaged, are read anew. */
static void test_read_anew(void **state)
{
    const struct place *p = *state;
    struct tokens prompt = TOKENS_INIT, beginning = TOKENS_INIT;
    struct answer cold, a;
    char path[512];
    struct harness *h = open_at(p, 600000, 10000, 64);
    tokens_of(h->model, 0, 30, &prompt);
    tokens_of(h->model, 0, 10, &beginning);
    ask(h, &beginning, &cold);
    ask(h, &prompt, &a);
    answer_free(&a);
    harness_stop(h);
    assert_true(files(p->dir, ".kv", path) > 0);
    h = harness_open(&(struct harness_options){.parallel = 1,
                                               .context = 400,
                                               .queue = 8,
                                               .batch = 256,
                                               .saved_dir = p->dir,
                                               .saving = {.min_tokens = 64, .end_ms = 10000}});
    ask(h, &beginning, &a);
    assert_string_equal(a.text[0].data, cold.text[0].data);
    answer_free(&a);
    harness_stop(h);
    while (files(p->dir, ".kv", path) > 0) {
        assert_int_equal(truncate(path, 5000), 0);
        h = open_at(p, 600000, 0, 64);
        ask(h, &beginning, &a);
        assert_string_equal(a.text[0].data, cold.text[0].data);
        answer_free(&a);
        harness_stop(h);
        assert_false(fs_exists(path));
    }
    answer_free(&cold);
    tokens_free(&prompt);
    tokens_free(&beginning);
}

/* ---- a worker ---- */

static void begin(struct worker *w, const struct place *p, int64_t idle_ms)
{
    worker_start_options(
        w,
        &(struct engine_options){
            .model = {.path = harness_guide(), .name = "guide", .parallel = 2, .threads = 1, .batch = 256},
            .saving =
                {.dir = p->dir, .most_bytes = 1 << 30, .min_tokens = 64, .idle_ms = idle_ms, .end_ms = 10000},
            .queue_limit = 8,
            .choices_most = 4,
            .drain_ms = 5000});
    worker_wait_ready(w);
}

static void chat(struct worker *w, const char *body, struct exchange *x)
{
    if (worker_ask(w, "/v1/chat/completions", body, x) != 200)
        fail_msg("%s", x->body.data);
}

static void content_of(const struct exchange *x, char out[512])
{
    const char *at = strstr(x->body.data, "\"content\":");
    const char *end = at ? strstr(at, "\"logprobs\"") : NULL;
    assert_non_null(end);
    (void)snprintf(out, 512, "%.*s", (int)(end - at), at);
}

static void test_worker(void **state)
{
    const struct place *p = *state;
    struct worker w;
    struct exchange x;
    struct buf body = BUF_INIT;
    char cold[512], back[512];
    (void)buf_puts(&body,
                   "{\"temperature\":0,\"max_tokens\":24,\"messages\":[{\"role\":\"user\",\"content\":\"");
    numbers(&body, 0, 20);
    (void)buf_puts(&body, "\"}]}");
    begin(&w, p, 600000);
    chat(&w, body.data, &x);
    content_of(&x, cold);
    assert_int_equal(exchange_number(&x, "cached_tokens"), 0);
    const long prompt = exchange_number(&x, "prompt_tokens");
    exchange_free(&x);
    assert_int_equal(kill(w.pid, SIGTERM), 0);
    assert_int_equal(worker_end(&w), 0);

    begin(&w, p, 600000);
    chat(&w, body.data, &x);
    content_of(&x, back);
    assert_string_equal(back, cold);
    assert_int_equal(exchange_number(&x, "cached_tokens"), prompt - 1);
    assert_int_equal(exchange_number(&x, "restored_tokens"), prompt - 1);
    exchange_free(&x);
    assert_int_equal(worker_ask(&w, "/engine/status", NULL, &x), 200);
    exchange_has(&x, "\"saved\":{\"files\":1,");
    assert_int_equal(exchange_number(&x, "restored_tokens"), prompt - 1);
    assert_int_equal(exchange_number(&x, "damaged"), 0);
    exchange_free(&x);
    assert_int_equal(kill(w.pid, SIGTERM), 0);
    assert_int_equal(worker_end(&w), 0);
    buf_free(&body);
}

/* Killed, it leaves what it wrote while idle. */
static void test_worker_killed(void **state)
{
    const struct place *p = *state;
    struct worker w;
    struct exchange x;
    struct buf body = BUF_INIT;
    (void)buf_puts(&body,
                   "{\"temperature\":0,\"max_tokens\":4,\"messages\":[{\"role\":\"user\",\"content\":\"");
    numbers(&body, 0, 20);
    (void)buf_puts(&body, "\"}]}");
    begin(&w, p, 30);
    chat(&w, body.data, &x);
    exchange_free(&x);
    for (int i = 0; i < 200 && files(p->dir, ".kv", NULL) == 0; i++)
        (void)usleep(10000);
    assert_int_equal(files(p->dir, ".kv", NULL), 1);
    assert_int_equal(kill(w.pid, SIGKILL), 0);
    (void)unlink(w.socket);
    assert_int_equal(worker_end(&w), -SIGKILL);
    begin(&w, p, 600000);
    chat(&w, body.data, &x);
    assert_true(exchange_number(&x, "restored_tokens") > 300);
    exchange_free(&x);
    assert_int_equal(kill(w.pid, SIGTERM), 0);
    assert_int_equal(worker_end(&w), 0);
    assert_int_equal(files(p->dir, ".new", NULL), 0);
    buf_free(&body);
}

/* A folder that cannot be used is no reason not to serve. */
static void test_worker_without(void **state)
{
    const struct place *p = *state;
    struct worker w;
    struct exchange x;
    char path[128];
    (void)snprintf(path, sizeof path, "%s/file", p->dir);
    assert_int_equal(fs_write_file_atomic(path, "x", 1, 0600, NULL), 0);
    struct place bad;
    (void)snprintf(bad.dir, sizeof bad.dir, "%.40s/file", p->dir);
    begin(&w, &bad, 600000);
    chat(&w, "{\"temperature\":0,\"max_tokens\":4,\"messages\":[{\"role\":\"user\",\"content\":\"Hello\"}]}",
         &x);
    exchange_free(&x);
    assert_int_equal(worker_ask(&w, "/engine/status", NULL, &x), 200);
    exchange_has(&x, "\"saved\":null");
    exchange_free(&x);
    assert_int_equal(kill(w.pid, SIGTERM), 0);
    assert_int_equal(worker_end(&w), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* Workers first: they are forks, of a process without threads yet. */
        cmocka_unit_test_setup_teardown(test_worker, setup, teardown),
        cmocka_unit_test_setup_teardown(test_worker_killed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_worker_without, setup, teardown),
        cmocka_unit_test_setup_teardown(test_back_again, setup, teardown),
        cmocka_unit_test_setup_teardown(test_idle, setup, teardown),
        cmocka_unit_test_setup_teardown(test_not_worth_it, setup, teardown),
        cmocka_unit_test_setup_teardown(test_read_anew, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
