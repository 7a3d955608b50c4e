/* Embeddings: vectors as text, the pooling kinds against a plain loop over libllama, batches, cancelling,
 * bounds, and turns with the decode thread.
 *
 * What is compared: the same input computed in a batch with others and alone. Sums are then made in another
 * order, and the weights' and activations' rounding (8 bits, 16 bits) is met at other places, so the vectors
 * agree to a cosine of 0.999 for q8_0 weights and 0.99999 for f16, not bit for bit. */
#include "harness.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"
#include "engine/backend.h"
#include "engine/embed.h"
#include "random_model.h"
#include "worker.h"

#define MODEL(name, ...) random_model(name, (const char *const[]){__VA_ARGS__, NULL})

/* ---- a model and its embedder, with the test as the loop thread ---- */

struct bench {
    struct model *model;
    struct turn turn;
    struct embedder *embedder;
    sem_t woken;
};

static void wake(void *ctx)
{
    sem_post(&((struct bench *)ctx)->woken);
}

static struct model *load(const char *path, int64_t context)
{
    struct error err = {0};
    struct model *m = NULL;
    const struct model_options o = {
        .path = path, .context = context, .parallel = 2, .threads = 1, .batch = 256};
    model_log_start();
    if (backends_load(path, &err) != 0 || model_load(&o, NULL, NULL, &m, &err) != 0)
        fail_msg("%s", err.text);
    return m;
}

static void bench_start(struct bench *b, const char *path, size_t queue)
{
    sem_init(&b->woken, 0, 0);
    b->model = load(path, 0);
    turn_create(&b->turn);
    b->embedder = embedder_create(
        &(struct embedder_options){.turn = &b->turn, .queue_limit = queue, .wake = wake, .ctx = b});
    assert_non_null(b->embedder);
    embedder_model(b->embedder, b->model);
}

static void bench_stop(struct bench *b)
{
    embedder_stop(b->embedder);
    embed_dispatch(b->embedder);
    embedder_destroy(b->embedder);
    turn_destroy(&b->turn);
    model_free(b->model);
    sem_destroy(&b->woken);
}

struct outcome {
    bool done, cancelled;
    struct error error;
    size_t error_input, inputs;
    int32_t dimensions;
    int64_t tokens;
    float *vectors;
    char *text; /* of the first vector */
};

static void on_result(struct embed_job *job, void *ctx, const struct embed_result *r)
{
    struct outcome *o = ctx;
    (void)job;
    assert_false(o->done);
    *o = (struct outcome){.done = true,
                          .cancelled = r->cancelled,
                          .error_input = r->error_input,
                          .inputs = r->inputs,
                          .dimensions = r->dimensions,
                          .tokens = r->tokens};
    if (r->error)
        o->error = *r->error;
    if (r->error || r->cancelled)
        return;
    const size_t bytes = r->inputs * (size_t)r->dimensions * sizeof *r->vectors;
    o->vectors = malloc(bytes);
    assert_non_null(o->vectors);
    memcpy(o->vectors, r->vectors, bytes);
    if (r->texts)
        o->text = strndup(r->texts[0], r->lengths[0]);
}

static void outcome_free(struct outcome *o)
{
    free(o->vectors);
    free(o->text);
    *o = (struct outcome){0};
}

static void bench_wait(struct bench *b, const struct outcome *o)
{
    while (!o->done) {
        struct timespec deadline;
        clock_gettime(CLOCK_REALTIME, &deadline);
        deadline.tv_sec += 30;
        if (sem_timedwait(&b->woken, &deadline) != 0)
            fail_msg("the embedder was silent for 30 s");
        embed_dispatch(b->embedder);
    }
}

static int submit(struct bench *b, const char *const *texts, size_t n, int32_t dimensions,
                  enum embed_format format, struct outcome *o, struct embed_job **job)
{
    struct embed_input inputs[128] = {0};
    assert_true(n <= COUNT_OF(inputs));
    for (size_t i = 0; i < n; i++)
        inputs[i] = (struct embed_input){.text = texts[i], .len = strlen(texts[i])};
    *o = (struct outcome){0};
    const struct embed_job_options jo = {
        .inputs = inputs, .count = n, .dimensions = dimensions, .format = format};
    return embed_submit(b->embedder, &jo, on_result, o, job);
}

/* ---- the plain loop ---- */

static void alone(struct model *m, const char *text, enum llama_pooling_type pooling, float *out)
{
    struct tokens t = TOKENS_INIT;
    struct error err = {0};
    struct llama_context_params p = llama_context_default_params();
    p.n_ctx = p.n_batch = p.n_ubatch = 2048;
    p.n_threads = p.n_threads_batch = 1;
    p.embeddings = true;
    p.pooling_type = pooling;
    model_log_quiet(true);
    struct llama_context *c = llama_init_from_model(m->llama, p);
    model_log_quiet(false);
    assert_non_null(c);
    assert_int_equal(tokenize(m, text, strlen(text), true, true, &t, &err), 0);
    assert_int_equal(llama_decode(c, llama_batch_get_one(t.data, (int32_t)t.len)), 0);
    const float *v = llama_get_embeddings_seq(c, 0);
    assert_non_null(v);
    memcpy(out, v, (size_t)m->can.embedding_length * sizeof *out);
    llama_free(c);
    tokens_free(&t);
}

static double cosine(const float *a, const float *b, int32_t n)
{
    double ab = 0, aa = 0, bb = 0;
    for (int32_t i = 0; i < n; i++) {
        ab += (double)a[i] * (double)b[i];
        aa += (double)a[i] * (double)a[i];
        bb += (double)b[i] * (double)b[i];
    }
    return ab / sqrt(aa * bb);
}

static double length(const float *v, int32_t n)
{
    double sum = 0;
    for (int32_t i = 0; i < n; i++)
        sum += (double)v[i] * (double)v[i];
    return sqrt(sum);
}

static const char *const texts[] = {
    "Which port is switch on?",
    "a",
    "The front door authenticates every request and routes it to the right module.",
    "The front door authenticates every request and routes it to the right module. Then it carries the "
    "events "
    "and serves the page, and when a module fails it says so at once, for nobody wants to wait for an answer "
    "that does not come.",
    "a",
    "time after time the people of the town went down to the river",
};
enum { TEXTS = 6 };

/* Vectors of a batch are those of each text alone, in order. */
static void compare(const char *path, enum llama_pooling_type pooling, bool generates, double least)
{
    struct bench b;
    struct outcome o;
    bench_start(&b, path, 4);
    assert_int_equal(b.model->can.pooling, pooling);
    assert_int_equal(b.model->can.generates, generates);
    assert_int_equal(b.model->context != NULL, generates);
    const int32_t n = b.model->can.embedding_length;
    float *expected = calloc((size_t)n, sizeof *expected);
    assert_int_equal(submit(&b, texts, TEXTS, 0, EMBED_NUMBERS_ONLY, &o, NULL), 0);
    bench_wait(&b, &o);
    assert_int_equal(o.error.code, 0);
    assert_int_equal(o.inputs, TEXTS);
    assert_int_equal(o.dimensions, n);
    for (size_t i = 0; i < TEXTS; i++) {
        const float *v = o.vectors + i * (size_t)n;
        alone(b.model, texts[i], pooling, expected);
        const double c = cosine(v, expected, n);
        if (!(c >= least))
            fail_msg("text %zu: cosine %.9f", i, c);
        assert_true(fabs(length(v, n) - 1) < 1e-5);
        if (i == 3) /* and they tell texts apart */
            assert_true(cosine(v, o.vectors, n) < 0.9999);
    }
    free(expected);
    outcome_free(&o);
    bench_stop(&b);
}

static void test_bert_mean(void **state)
{
    (void)state;
    compare(MODEL("bert-mean", "--preset", "tiny-bert"), LLAMA_POOLING_TYPE_MEAN, false, 0.99999);
}

static void test_bert_cls(void **state)
{
    (void)state;
    compare(MODEL("bert-cls", "--preset", "tiny-bert", "--pooling", "cls"), LLAMA_POOLING_TYPE_CLS, false,
            0.99999);
}

static void test_nomic(void **state)
{
    (void)state;
    compare(MODEL("nomic", "--preset", "tiny-bert", "--arch", "nomic-bert"), LLAMA_POOLING_TYPE_MEAN, false,
            0.99999);
}

static void test_bert_without_pooling(void **state)
{
    (void)state;
    compare(MODEL("bert-none", "--preset", "tiny-bert", "--pooling", "none"), LLAMA_POOLING_TYPE_MEAN, false,
            0.99999);
}

static void test_generative(void **state)
{
    (void)state;
    compare(harness_guide(), LLAMA_POOLING_TYPE_LAST, true, 0.999);
}

static void test_generative_mean(void **state)
{
    (void)state;
    compare(MODEL("llama-mean", "--pooling", "mean"), LLAMA_POOLING_TYPE_MEAN, true, 0.999);
}

/* ---- long inputs ---- */

static char *words(size_t n)
{
    struct buf text = BUF_INIT;
    for (size_t i = 0; i < n; i++)
        (void)buf_puts(&text, i % 3 ? " time" : i % 2 ? " people" : " river");
    assert_false(text.failed);
    return text.data;
}

static void long_input(const char *path, size_t count, double least)
{
    struct bench b;
    struct outcome o;
    struct embed_stats before, after;
    char *long_text = words(count);
    const char *const some[] = {"a", long_text, "Which port is switch on?"};
    bench_start(&b, path, 4);
    const int32_t n = b.model->can.embedding_length;
    float *expected = calloc((size_t)n, sizeof *expected);
    assert_int_equal(submit(&b, some, 1, 0, EMBED_NUMBERS_ONLY, &o, NULL), 0);
    bench_wait(&b, &o);
    outcome_free(&o);
    embed_stats(b.embedder, &before);
    assert_true(before.context_bytes > 0 && before.jobs == 1 && before.inputs == 1);
    assert_int_equal(submit(&b, some, 3, 0, EMBED_NUMBERS_ONLY, &o, NULL), 0);
    bench_wait(&b, &o);
    assert_int_equal(o.error.code, 0);
    assert_true(o.tokens > 1000); /* more than one batch takes */
    embed_stats(b.embedder, &after);
    assert_int_equal(after.inputs, 4);
    if (b.model->can.generates) /* read in pieces */
        assert_int_equal(after.context_bytes, before.context_bytes);
    else
        assert_true(after.context_bytes > before.context_bytes);
    for (size_t i = 0; i < 3; i++) {
        alone(b.model, some[i], b.model->can.pooling, expected);
        const double c = cosine(o.vectors + i * (size_t)n, expected, n);
        if (!(c >= least))
            fail_msg("input %zu: cosine %.9f", i, c);
    }
    outcome_free(&o);
    free(expected);
    free(long_text);
    bench_stop(&b);
}

static void test_long_encoder(void **state)
{
    (void)state;
    long_input(MODEL("bert-long", "--preset", "tiny-bert", "--ctx-train", "2048"), 1400, 0.99999);
}

static void test_long_generative(void **state)
{
    (void)state;
    long_input(harness_guide(), 900, 0.995);
}

/* ---- what is refused ---- */

static void test_refused(void **state)
{
    struct bench *b = *state;
    struct outcome o;
    char *long_text = words(9000);
    const char *const some[] = {"a", long_text};
    const char *const empty[] = {"a", "b", ""};
    assert_int_equal(submit(b, some, 2, 0, EMBED_FLOAT, &o, NULL), 0);
    bench_wait(b, &o);
    assert_int_equal(o.error.code, VX11_ETOO_LARGE);
    assert_int_equal(o.error_input, 1);
    assert_non_null(strstr(o.error.text, "the most is 512"));
    outcome_free(&o);
    /* Of an empty text an encoder still has the tokens that it puts around each: the API refuses those. */
    assert_int_equal(submit(b, empty, 3, 0, EMBED_FLOAT, &o, NULL), 0);
    bench_wait(b, &o);
    assert_int_equal(o.error.code, 0);
    outcome_free(&o);
    struct embed_input none[1] = {0};
    const struct embed_job_options jo = {.inputs = none, .count = 1};
    assert_int_equal(embed_submit(b->embedder, &jo, on_result, &o, NULL), 0);
    bench_wait(b, &o);
    assert_int_equal(o.error.code, VX11_EINVALID);
    assert_non_null(strstr(o.error.text, "is empty"));
    outcome_free(&o);
    free(long_text);
}

static void test_dimensions_and_tokens(void **state)
{
    struct bench *b = *state;
    struct outcome whole, cut;
    struct embed_input input = {.tokens = TOKENS_INIT};
    struct error err = {0};
    assert_int_equal(submit(b, texts, 2, 0, EMBED_FLOAT, &whole, NULL), 0);
    bench_wait(b, &whole);
    assert_int_equal(tokenize(b->model, texts[0], strlen(texts[0]), true, true, &input.tokens, &err), 0);
    const struct embed_job_options jo = {
        .inputs = &input, .count = 1, .dimensions = 16, .format = EMBED_BASE64};
    cut = (struct outcome){0};
    assert_int_equal(embed_submit(b->embedder, &jo, on_result, &cut, NULL), 0);
    assert_null(input.tokens.data); /* the job's now */
    bench_wait(b, &cut);
    assert_int_equal(cut.dimensions, 16);
    assert_true(fabs(length(cut.vectors, 16) - 1) < 1e-5);
    assert_true(cosine(cut.vectors, whole.vectors, 16) > 0.99999);
    assert_int_equal(strlen(cut.text), 2 + (16 * 4 + 2) / 3 * 4);
    assert_int_equal(whole.text[0], '[');
    outcome_free(&whole);
    outcome_free(&cut);
}

/* ---- many at once ---- */

static void test_queue(void **state)
{
    struct bench *b = *state;
    enum { JOBS = 12 };
    struct outcome o[JOBS] = {0};
    const char *many[40];
    int taken = 0, refused = 0;
    for (size_t i = 0; i < COUNT_OF(many); i++)
        many[i] = texts[i % TEXTS];
    for (int i = 0; i < JOBS; i++) {
        const int rc = submit(b, many, COUNT_OF(many), 0, EMBED_FLOAT, &o[i], NULL);
        taken += rc == 0;
        refused += rc == VX11_EFULL;
        if (rc != 0)
            o[i].done = true;
    }
    assert_int_equal(taken + refused, JOBS);
    assert_true(taken >= 5 && refused >= 1); /* four wait, one is computed */
    assert_true(embed_retry_ms(b->embedder) >= 1000);
    for (int i = 0; i < JOBS; i++) {
        bench_wait(b, &o[i]);
        assert_int_equal(o[i].error.code, 0);
        if (o[i].vectors) /* the same text has the same vector, wherever it was in the batch */
            assert_true(cosine(o[i].vectors, o[i].vectors + (size_t)(6 * o[i].dimensions), o[i].dimensions) >
                        0.99999);
        outcome_free(&o[i]);
    }
}

static void test_cancel(void **state)
{
    struct bench *b = *state;
    struct outcome o[3];
    struct embed_job *job[3];
    const char *many[100];
    for (size_t i = 0; i < COUNT_OF(many); i++)
        many[i] = texts[3];
    for (int i = 0; i < 3; i++)
        assert_int_equal(submit(b, many, COUNT_OF(many), 0, EMBED_FLOAT, &o[i], &job[i]), 0);
    embed_cancel(job[0]);
    embed_cancel(job[2]);
    for (int i = 0; i < 3; i++)
        bench_wait(b, &o[i]);
    assert_false(o[1].cancelled);
    assert_int_equal(o[1].error.code, 0);
    assert_true(o[2].cancelled && !o[2].vectors);
    for (int i = 0; i < 3; i++)
        outcome_free(&o[i]);
    assert_int_equal(submit(b, texts, 2, 0, EMBED_FLOAT, &o[0], NULL), 0); /* and it goes on */
    bench_wait(b, &o[0]);
    assert_int_equal(o[0].error.code, 0);
    outcome_free(&o[0]);
}

static void test_stop(void **state)
{
    (void)state;
    struct bench b;
    struct outcome o[3];
    const char *many[100];
    for (size_t i = 0; i < COUNT_OF(many); i++)
        many[i] = texts[3];
    bench_start(&b, MODEL("bert-mean", "--preset", "tiny-bert"), 8);
    for (int i = 0; i < 3; i++)
        assert_int_equal(submit(&b, many, COUNT_OF(many), 0, EMBED_FLOAT, &o[i], NULL), 0);
    embedder_stop(b.embedder);
    embed_dispatch(b.embedder);
    for (int i = 0; i < 3; i++) {
        assert_true(o[i].done);
        assert_int_equal(o[i].error.code, 0);
        outcome_free(&o[i]);
    }
    assert_int_equal(submit(&b, many, 1, 0, EMBED_FLOAT, &o[0], NULL), VX11_ECLOSED);
    bench_stop(&b);
}

static int bert_start(void **state)
{
    struct bench *b = calloc(1, sizeof *b);
    bench_start(b, MODEL("bert-mean", "--preset", "tiny-bert", "--ctx-train", "512"), 4);
    *state = b;
    return 0;
}

static int bert_stop(void **state)
{
    bench_stop(*state);
    free(*state);
    return 0;
}

/* ---- turns ---- */

struct taker {
    struct turn *turn;
    enum turn_side side;
    pthread_t thread;
    int *inside, turns;
};

static void *take_turns(void *ctx)
{
    struct taker *t = ctx;
    for (int i = 0; i < t->turns; i++) {
        turn_take(t->turn, t->side);
        assert_int_equal((*t->inside)++, 0); /* plain memory: the lock is all that orders it */
        (*t->inside)--;
        turn_give(t->turn, t->side);
    }
    return NULL;
}

static void test_turns(void **state)
{
    (void)state;
    struct turn turn;
    int inside = 0;
    struct taker takers[2];
    turn_create(&turn);
    assert_false(turn_active(&turn, TURN_EMBED, UINT64_MAX));
    for (int i = 0; i < 2; i++) {
        takers[i] = (struct taker){
            .turn = &turn, .side = i ? TURN_EMBED : TURN_DECODE, .inside = &inside, .turns = 2000};
        assert_int_equal(pthread_create(&takers[i].thread, NULL, take_turns, &takers[i]), 0);
    }
    for (int i = 0; i < 2; i++)
        pthread_join(takers[i].thread, NULL);
    assert_false(turn_active(&turn, TURN_EMBED, 0));
    assert_true(turn_active(&turn, TURN_EMBED, UINT64_MAX));
    turn_destroy(&turn);
}

static void *take_one(void *ctx)
{
    struct taker *t = ctx;
    turn_take(t->turn, t->side);
    t->turns++;
    turn_give(t->turn, t->side);
    return NULL;
}

/* Who gives its turn back and wants the next at once does not get it before the one that waits. */
static void test_turns_alternate(void **state)
{
    (void)state;
    struct turn turn;
    struct taker other = {.turn = &turn, .side = TURN_EMBED};
    turn_create(&turn);
    for (int i = 0; i < 20; i++) {
        turn_take(&turn, TURN_DECODE);
        assert_int_equal(pthread_create(&other.thread, NULL, take_one, &other), 0);
        while (!turn_active(&turn, TURN_EMBED, 0))
            usleep(200);
        turn_give(&turn, TURN_DECODE);
        turn_take(&turn, TURN_DECODE);
        assert_int_equal(other.turns, i + 1);
        turn_give(&turn, TURN_DECODE);
        pthread_join(other.thread, NULL);
    }
    turn_destroy(&turn);
}

/* A chat and embeddings on one model: both end well, and the chat says what it says alone. */
static void test_beside_a_chat(void **state)
{
    (void)state;
    struct harness *h = harness_start(2, 0, 8);
    struct bench b = {.model = h->model};
    struct tokens prompt = TOKENS_INIT;
    struct answer quiet = {0}, busy = {0};
    struct outcome o;
    const char *many[30];
    for (size_t i = 0; i < COUNT_OF(many); i++)
        many[i] = texts[i % TEXTS];
    sem_init(&b.woken, 0, 0);
    b.embedder = embedder_create(
        &(struct embedder_options){.turn = &h->turn, .queue_limit = 4, .wake = wake, .ctx = &b});
    embedder_model(b.embedder, h->model);
    harness_chat(h->model, "Which port is switch on?", &prompt);
    const struct generation_options g = harness_greedy(&prompt);
    assert_int_equal(harness_submit(h, &g, &quiet, NULL), 0);
    harness_wait(h, &quiet, 1);
    assert_int_equal(submit(&b, many, COUNT_OF(many), 0, EMBED_FLOAT, &o, NULL), 0);
    assert_int_equal(harness_submit(h, &g, &busy, NULL), 0);
    harness_wait(h, &busy, 1);
    bench_wait(&b, &o);
    assert_string_equal(busy.text[0].data, quiet.text[0].data);
    assert_int_equal(o.error.code, 0);
    outcome_free(&o);
    answer_free(&quiet);
    answer_free(&busy);
    tokens_free(&prompt);
    embedder_stop(b.embedder);
    embed_dispatch(b.embedder);
    embedder_destroy(b.embedder);
    sem_destroy(&b.woken);
    harness_stop(h);
}

/* ---- over HTTP ---- */

#define ROUTE "/v1/embeddings"

static void end_worker(struct worker *w)
{
    assert_int_equal(kill(w->pid, SIGTERM), 0);
    assert_int_equal(worker_end(w), 0);
}

static size_t occurrences(const struct exchange *x, const char *text)
{
    size_t n = 0;
    for (const char *at = x->body.data; (at = strstr(at, text)); at += strlen(text))
        n++;
    return n;
}

static char *many_body(size_t n, const char *format)
{
    struct buf body = BUF_INIT;
    (void)buf_printf(&body, "{\"encoding_format\":\"%s\",\"input\":[", format);
    for (size_t i = 0; i < n; i++)
        (void)buf_printf(&body, "%s\"%s\"", i ? "," : "", texts[i % TEXTS]);
    (void)buf_puts(&body, "]}");
    assert_false(body.failed);
    return body.data;
}

static void test_worker_encoder(void **state)
{
    (void)state;
    struct worker w;
    struct exchange x;
    worker_start(&w, MODEL("bert-mean", "--preset", "tiny-bert", "--ctx-train", "512"), 2, 8);
    worker_wait_ready(&w);
    for (int i = 0; i < 2; i++) { /* whatever memory held before */
        char *body = many_body(70, i ? "float" : "base64");
        assert_int_equal(worker_ask(&w, ROUTE, body, &x), 200);
        assert_int_equal(occurrences(&x, "\"object\":\"embedding\""), 70);
        assert_int_equal(occurrences(&x, i ? "\"embedding\":[" : "\"embedding\":\""), 70);
        exchange_has(&x, "\"index\":69");
        exchange_free(&x);
        free(body);
    }
    assert_int_equal(
        worker_ask(&w, "/v1/chat/completions", "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]}", &x),
        400);
    exchange_has(&x, "\"code\":\"model_cannot_chat\"");
    exchange_free(&x);
    assert_int_equal(worker_ask(&w, "/v1/completions", "{\"prompt\":\"a\"}", &x), 400);
    exchange_has(&x, "\"code\":\"model_cannot_complete\"");
    exchange_free(&x);
    assert_int_equal(worker_ask(&w, "/engine/status", NULL, &x), 200);
    exchange_has(&x, "\"capabilities\":[\"embeddings\"],\"pooling\":\"mean\"");
    assert_int_equal(exchange_number(&x, "embedding_inputs"), 140);
    assert_int_equal(exchange_number(&x, "embedding_requests"), 2);
    assert_true(exchange_number(&x, "embedding_context_bytes") > 0);
    exchange_free(&x);
    end_worker(&w);
}

static void refuses(struct worker *w, const char *body, const char *code, const char *text)
{
    struct exchange x;
    assert_int_equal(worker_ask(w, ROUTE, body, &x), 400);
    exchange_has(&x, code);
    exchange_has(&x, text);
    exchange_free(&x);
}

static void test_worker_refuses(void **state)
{
    (void)state;
    struct worker w;
    struct exchange x;
    struct buf body = BUF_INIT;
    worker_start(&w, harness_guide(), 2, 8);
    worker_wait_ready(&w);
    refuses(&w, "{\"input\":\"\"}", "invalid_value", "input 0 is empty");
    refuses(&w, "{\"input\":[]}", "invalid_value", "must not be empty");
    refuses(&w, "{\"input\":[\"a\",[]]}", "invalid_value", "input 1 is empty");
    refuses(&w, "{\"input\":[\"a\",{}]}", "invalid_value", "must be text, token ids");
    refuses(&w, "{\"input\":[[1,2],[3,2048]]}", "invalid_value", "token 1 of input 1 is no token id");
    refuses(&w, "{\"input\":\"a\",\"dimensions\":257}", "\"param\":\"dimensions\"", "256 numbers, not 257");
    (void)buf_puts(&body, "{\"input\":[\"a\",[5");
    for (int i = 0; i < 2048; i++)
        (void)buf_puts(&body, ",5");
    (void)buf_puts(&body, "]]}");
    refuses(&w, body.data, "context_length_exceeded",
            "input 1 is too long: it has 2049 tokens, and the most is 2048");
    buf_free(&body);
    assert_int_equal(worker_ask(&w, ROUTE, "{\"input\":\"a\",\"model\":\"other\"}", &x), 404);
    exchange_free(&x);
    assert_int_equal(worker_ask(&w, ROUTE, "{\"input\":\"a\"}", &x), 200); /* and it goes on */
    exchange_free(&x);
    end_worker(&w);
}

/* Who leaves is not computed for, and who comes too late is told when to come again. */
static void test_worker_queue(void **state)
{
    (void)state;
    enum { REQUESTS = 6 };
    struct worker w;
    struct exchange x[REQUESTS] = {0}, status;
    int full = 0, good = 0;
    char *body = many_body(40, "base64");
    worker_start(&w, harness_guide(), 2, 1);
    worker_wait_ready(&w);
    for (int i = 0; i < REQUESTS; i++)
        worker_send(&w, ROUTE, body, &x[i]);
    for (int i = 0; i < REQUESTS; i++) {
        worker_run(&w, &x[i].done);
        full += x[i].status == 429 && x[i].retry_after[0];
        good += x[i].status == 200;
        exchange_free(&x[i]);
    }
    assert_true(full >= 1 && good >= 2);
    assert_int_equal(full + good, REQUESTS);
    worker_send(&w, ROUTE, body, &x[0]);
    assert_int_equal(worker_ask(&w, ROUTE, "{\"input\":\"a\"}", &x[1]), 200);
    client_cancel(x[0].call);
    worker_run(&w, &x[0].done);
    do { /* the job that nobody waits for is gone soon */
        assert_int_equal(worker_ask(&w, "/engine/status", NULL, &status), 200);
        full = (int)exchange_number(&status, "embedding_queue_length");
        exchange_free(&status);
    } while (full > 0);
    exchange_free(&x[0]);
    exchange_free(&x[1]);
    free(body);
    end_worker(&w);
}

/* ---- numbers as text ---- */

static void float_is(float value, const char *text)
{
    struct buf out = BUF_INIT;
    assert_int_equal(embed_put_float(&out, value), 0);
    assert_string_equal(out.data, text);
    buf_free(&out);
}

static void test_float_text(void **state)
{
    (void)state;
    float_is(0, "0");
    float_is(1, "1");
    float_is(-1, "-1");
    float_is(0.5f, "0.5");
    float_is(0.1f, "0.1");
    float_is(-0.0123f, "-0.0123");
    float_is(0.00001234f, "0.00001234");
    float_is(0.000001234f, "1.234e-6");
    float_is(123456.0f, "123456");
    float_is(12.5f, "12.5");
    float_is(0.33333334f, "0.33333334");
    float_is(16777216.0f, "16777216");
}

/* Reads back as the same float, by a float parser and by a double's, and never with more than 9 digits. */
static void test_float_round_trip(void **state)
{
    (void)state;
    struct buf out = BUF_INIT;
    uint32_t bits = 12345;
    for (int i = 0; i < 300000; i++) {
        float value;
        bits = bits * 1664525u + 1013904223u;
        uint32_t some = bits;
        if (i % 4) /* mostly what vectors are made of: 2^-20 … 1 */
            some = (bits & 0x807fffffu) | ((127u - 20u + (bits >> 8) % 21u) << 23);
        memcpy(&value, &some, sizeof value);
        if (!isfinite(value))
            continue;
        buf_clear(&out);
        assert_int_equal(embed_put_float(&out, value), 0);
        if (strtof(out.data, NULL) != value || (float)strtod(out.data, NULL) != value || out.len > 16)
            fail_msg("%.9g became %s", (double)value, out.data);
    }
    buf_free(&out);
}

static void test_vector_text(void **state)
{
    (void)state;
    const float v[] = {0.5f, -1, 0};
    struct buf out = BUF_INIT;
    assert_int_equal(embed_put_floats(&out, v, 3), 0);
    assert_string_equal(out.data, "[0.5,-1,0]");
    buf_clear(&out);
    assert_int_equal(embed_put_base64(&out, v, 3), 0);
    assert_string_equal(out.data, "\"AAAAPwAAgL8AAAAA\"");
    assert_int_equal(out.len, strlen(out.data));
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_float_text),
        cmocka_unit_test(test_float_round_trip),
        cmocka_unit_test(test_vector_text),
        cmocka_unit_test(test_turns),
        cmocka_unit_test(test_turns_alternate),
        cmocka_unit_test(test_bert_mean),
        cmocka_unit_test(test_bert_cls),
        cmocka_unit_test(test_nomic),
        cmocka_unit_test(test_bert_without_pooling),
        cmocka_unit_test(test_generative),
        cmocka_unit_test(test_generative_mean),
        cmocka_unit_test(test_long_encoder),
        cmocka_unit_test(test_long_generative),
        cmocka_unit_test_setup_teardown(test_refused, bert_start, bert_stop),
        cmocka_unit_test_setup_teardown(test_dimensions_and_tokens, bert_start, bert_stop),
        cmocka_unit_test_setup_teardown(test_queue, bert_start, bert_stop),
        cmocka_unit_test_setup_teardown(test_cancel, bert_start, bert_stop),
        cmocka_unit_test(test_stop),
        cmocka_unit_test(test_beside_a_chat),
        cmocka_unit_test(test_worker_encoder),
        cmocka_unit_test(test_worker_refuses),
        cmocka_unit_test(test_worker_queue),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
