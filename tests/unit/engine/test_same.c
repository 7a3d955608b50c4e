/* The same answer by every way: greedy answers of the engine, however they are computed, against a plain loop
 * over libllama (one sequence, one token at a time, nothing cached, nothing shared, nothing guessed).
 *
 * What is compared: tokens, one by one. Batches of other sizes go through other kernels, which sum in another
 * order; that moves logits in their last bits, and where the two likeliest tokens are as close as that,
 * either is right. How far they move on this machine is measured first, with the reference's own tokens: each
 * prompt is decoded once more in one batch. An answer may part from the reference only at a token whose lead
 * over the next was within four times what was measured, and only to that next one. */
#include "harness.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"
#include "engine/backend.h"
#include "engine/draft.h"

enum { ANSWER_MOST = 24, ANSWER_LONG = 120, PROMPTS = 6, CONTEXT = 1024 };

struct reference {
    struct tokens prompt;
    llama_token answer[ANSWER_LONG], second[ANSWER_LONG];
    float lead[ANSWER_LONG]; /* of the likeliest token over the second */
    size_t n;
    bool ended;   /* by an end token, which is not in the answer */
    bool endless; /* end tokens are not taken; the answer is long */
};

struct subject { /* one model, and what it says */
    char path[256];
    char other[256]; /* another of the same vocabulary, "": none */
    struct reference refs[PROMPTS], lengthy;
    float noise;
    unsigned parted; /* answers that went another way, at a tie */
    unsigned compared;
    bool rough; /* ties are frequent */
};

/* ---- the plain loop ---- */

static struct llama_context *plain_context(struct llama_model *m, uint32_t batch)
{
    struct llama_context_params p = llama_context_default_params();
    p.n_ctx = CONTEXT;
    p.n_batch = p.n_ubatch = batch;
    p.n_seq_max = 1;
    p.n_threads = p.n_threads_batch = 1;
    p.no_perf = true;
    struct llama_context *c = llama_init_from_model(m, p);
    assert_non_null(c);
    return c;
}

static void top_two(const struct llama_vocab *vocab, bool endless, const float *logits, llama_token *first,
                    llama_token *second)
{
    *first = *second = -1;
    for (llama_token t = 0; t < llama_vocab_n_tokens(vocab); t++) {
        if (endless && llama_vocab_is_eog(vocab, t))
            continue;
        if (*first < 0 || logits[t] > logits[*first]) {
            *second = *first;
            *first = t;
        } else if (*second < 0 || logits[t] > logits[*second]) {
            *second = t;
        }
    }
}

static void reference_make(struct llama_model *m, struct reference *r)
{
    const struct llama_vocab *vocab = llama_model_get_vocab(m);
    const size_t most = r->endless ? ANSWER_LONG : ANSWER_MOST;
    struct llama_context *c = plain_context(m, 1);
    assert_true(r->prompt.len + most < CONTEXT);
    for (size_t i = 0; i < r->prompt.len; i++)
        assert_int_equal(llama_decode(c, llama_batch_get_one(&r->prompt.data[i], 1)), 0);
    for (r->n = 0; r->n < most; r->n++) {
        const float *logits = llama_get_logits_ith(c, -1);
        const size_t i = r->n;
        top_two(vocab, r->endless, logits, &r->answer[i], &r->second[i]);
        r->lead[i] = logits[r->answer[i]] - logits[r->second[i]];
        if (llama_vocab_is_eog(vocab, r->answer[i])) {
            r->ended = true;
            break;
        }
        assert_int_equal(llama_decode(c, llama_batch_get_one(&r->answer[i], 1)), 0);
    }
    llama_free(c);
}

/* How far the lead of any token of the answer moves when all is decoded in one batch. */
static float noise_measure(struct llama_model *m, const struct reference *r)
{
    const size_t n = r->prompt.len + r->n;
    struct llama_context *c = plain_context(m, (uint32_t)n);
    struct llama_batch b = llama_batch_init((int32_t)n, 0, 1);
    float most = 0;
    b.n_tokens = (int32_t)n;
    for (size_t i = 0; i < n; i++) {
        b.token[i] = i < r->prompt.len ? r->prompt.data[i] : r->answer[i - r->prompt.len];
        b.pos[i] = (llama_pos)i;
        b.n_seq_id[i] = 1;
        b.seq_id[i][0] = 0;
        b.logits[i] = i + 1 >= r->prompt.len;
    }
    assert_int_equal(llama_decode(c, b), 0);
    for (size_t i = 0; i < r->n; i++) {
        const float *logits = llama_get_logits_ith(c, (int32_t)(r->prompt.len - 1 + i));
        const float moved = fabsf(logits[r->answer[i]] - logits[r->second[i]] - r->lead[i]);
        most = moved > most ? moved : most;
    }
    llama_batch_free(b);
    llama_free(c);
    return most;
}

/* ---- an engine ---- */

struct heard { /* of one choice */
    llama_token tokens[ANSWER_LONG + 1];
    size_t n;
    enum finish finish;
};

struct call {
    struct heard choices[4];
    struct usage usage;
    struct error error;
    enum finish end;
    unsigned events, cancel_after;
    bool last;
};

static struct harness *rig_start(const struct subject *s, const struct harness_options *o)
{
    struct harness_options all = *o;
    all.path = s->path;
    all.context = o->context ? o->context : CONTEXT;
    all.queue = 64;
    return harness_open(&all);
}

static void on_event(struct generation *g, void *ctx, const struct generation_event *e)
{
    struct call *c = ctx;
    struct heard *h = &c->choices[e->choice];
    for (size_t i = 0; i < e->logprob_count && h->n < COUNT_OF(h->tokens); i++)
        h->tokens[h->n++] = e->logprobs[i].chosen.token;
    if (e->finish != FINISH_NONE && !e->last)
        h->finish = e->finish;
    if (c->cancel_after && ++c->events == c->cancel_after)
        generation_cancel(g);
    if (!e->last)
        return;
    c->end = e->finish;
    c->usage = *e->usage;
    if (e->error)
        c->error = *e->error;
    c->last = true;
    generation_destroy(g);
}

static struct generation_options greedy(const struct tokens *prompt)
{
    struct generation_options o = harness_greedy(prompt);
    o.max_tokens = ANSWER_MOST;
    o.logprobs = true; /* says which tokens they were */
    return o;
}

static void rig_submit(struct harness *rig, const struct generation_options *o, struct call *c)
{
    struct generation *g = generation_create(o, on_event, c);
    assert_non_null(g);
    assert_int_equal(scheduler_submit(rig->scheduler, g), 0);
}

static void rig_wait(struct harness *rig, const struct call *calls, size_t n)
{
    for (;;) {
        size_t done = 0;
        for (size_t i = 0; i < n; i++)
            done += calls[i].last;
        if (done == n)
            return;
        struct timespec deadline;
        clock_gettime(CLOCK_REALTIME, &deadline);
        deadline.tv_sec += 60;
        if (sem_timedwait(&rig->woken, &deadline) != 0)
            fail_msg("the scheduler was silent for a minute");
        scheduler_dispatch(rig->scheduler);
    }
}

/* ---- comparing ---- */

static void same(struct subject *s, const struct reference *r, const struct heard *h, const char *how)
{
    size_t i = 0;
    s->compared++;
    while (i < r->n && i < h->n && r->answer[i] == h->tokens[i])
        i++;
    if (i == r->n && i == h->n) {
        assert_int_equal(h->finish, r->ended ? FINISH_STOP : FINISH_LENGTH);
        return;
    }
    const float lead = i < r->n || r->ended ? r->lead[i] : INFINITY;
    if (lead > 4 * s->noise)
        fail_msg("%s: token %zu is %d and not %d, which leads by %g where batches move %g", how, i,
                 i < h->n ? (int)h->tokens[i] : -1, i < r->n ? (int)r->answer[i] : -1, (double)lead,
                 (double)s->noise);
    if (i < h->n)
        assert_int_equal(h->tokens[i], r->second[i]);
    s->parted++;
}

static void same_call(struct subject *s, const struct reference *r, const struct call *c, unsigned choices,
                      const char *how)
{
    if (c->end != FINISH_NONE)
        fail_msg("%s: ended with %d: %s", how, (int)c->end, c->error.text);
    for (unsigned i = 0; i < choices; i++)
        same(s, r, &c->choices[i], how);
}

/* ---- the ways ---- */

/* One after the other; `rounds` times over, so that the later find the earlier in the cache. */
static void in_turn(struct subject *s, const struct harness_options *o, unsigned rounds, const char *how)
{
    struct harness *rig;
    int64_t cached = 0;
    rig = rig_start(s, o);
    for (unsigned round = 0; round < rounds; round++) {
        for (size_t i = 0; i < PROMPTS; i++) {
            struct call c = {0};
            const struct generation_options g = greedy(&s->refs[i].prompt);
            rig_submit(rig, &g, &c);
            rig_wait(rig, &c, 1);
            same_call(s, &s->refs[i], &c, 1, how);
            cached += round > 0 ? c.usage.cached_tokens : 0;
        }
    }
    harness_stop(rig);
    if (rounds > 1)
        assert_true(cached > 0);
}

/* All at once: in batches of many sequences, and those that begin alike share what they begin with. */
static struct usage at_once(struct subject *s, const struct harness_options *o, unsigned choices,
                            const char *how)
{
    struct harness *rig;
    struct call calls[PROMPTS] = {0};
    struct usage sum = {0};
    rig = rig_start(s, o);
    for (size_t i = 0; i < PROMPTS; i++) {
        struct generation_options g = greedy(&s->refs[i].prompt);
        g.choices = choices;
        rig_submit(rig, &g, &calls[i]);
    }
    rig_wait(rig, calls, PROMPTS);
    for (size_t i = 0; i < PROMPTS; i++) {
        same_call(s, &s->refs[i], &calls[i], choices, how);
        sum.cached_tokens += calls[i].usage.cached_tokens;
        sum.drafted_tokens += calls[i].usage.drafted_tokens;
        sum.accepted_tokens += calls[i].usage.accepted_tokens;
    }
    harness_stop(rig);
    return sum;
}

static void test_alone_and_again(void **state)
{
    in_turn(*state, &(struct harness_options){.parallel = 1, .batch = 512}, 2, "alone, then cached");
    in_turn(*state, &(struct harness_options){.parallel = 4, .batch = 512}, 2,
            "one after the other, then cached");
}

static void test_chunked(void **state)
{
    in_turn(*state, &(struct harness_options){.parallel = 1, .batch = 7}, 1, "in pieces of 7");
    (void)at_once(*state, &(struct harness_options){.parallel = 3, .batch = 24}, 1, "in pieces, in company");
}

static void test_batched(void **state)
{
    const struct usage sum =
        at_once(*state, &(struct harness_options){.parallel = 8, .batch = 512}, 1, "in company");
    assert_true(sum.cached_tokens > 0); /* the shared beginning was computed once */
    (void)at_once(*state, &(struct harness_options){.parallel = 2, .batch = 512}, 1,
                  "in company and in a queue");
    (void)at_once(*state, &(struct harness_options){.parallel = 8, .batch = 512}, 3, "three choices of each");
}

/* Others come and are cancelled meanwhile. */
static void test_beside_the_cancelled(void **state)
{
    struct subject *s = *state;
    struct harness *rig;
    struct call calls[PROMPTS] = {0}, gone[PROMPTS] = {0};
    rig = rig_start(s, &(struct harness_options){.parallel = 4, .batch = 64, .speculation = DRAFT_ON});
    for (size_t i = 0; i < PROMPTS; i++) {
        const struct generation_options g = greedy(&s->refs[i].prompt);
        gone[i].cancel_after = 1 + (unsigned)i % 4;
        rig_submit(rig, &g, &gone[i]);
        rig_submit(rig, &g, &calls[i]);
    }
    rig_wait(rig, calls, PROMPTS);
    rig_wait(rig, gone, PROMPTS);
    for (size_t i = 0; i < PROMPTS; i++)
        same_call(s, &s->refs[i], &calls[i], 1, "beside the cancelled");
    harness_stop(rig);
}

/* There are not cells enough for all who write: some make room, and go on later. */
static void preempted(struct subject *s, enum draft_mode speculation, const char *how)
{
    const struct harness_options o = {
        .parallel = 8, .batch = 64, .context = 256, .cells = 256, .speculation = speculation};
    struct harness *rig = rig_start(s, &o);
    struct call c = {0};
    struct scheduler_stats stats;
    struct generation_options g = greedy(&s->lengthy.prompt);
    g.max_tokens = ANSWER_LONG;
    g.sampling.ignore_end = true;
    g.choices = 4;
    rig_submit(rig, &g, &c);
    rig_wait(rig, &c, 1);
    scheduler_stats(rig->scheduler, &stats);
    assert_true(stats.preemptions > 0);
    same_call(s, &s->lengthy, &c, 4, how);
    harness_stop(rig);
}

static void test_preempted(void **state)
{
    preempted(*state, DRAFT_OFF, "preempted");
    preempted(*state, DRAFT_ON, "preempted, with lookup");
}

/* What is known of the prompts was read back from disk. */
static void test_restored(void **state)
{
    struct subject *s = *state;
    char dir[] = "/tmp/vx11-same-XXXXXX";
    struct error err = {0};
    int64_t restored = 0;
    assert_non_null(mkdtemp(dir));
    const struct harness_options o = {.parallel = 4,
                                      .batch = 512,
                                      .speculation = DRAFT_ON,
                                      .saved_dir = dir,
                                      .saving = {.min_tokens = 8, .idle_ms = 600000, .end_ms = 60000}};
    in_turn(s, &o, 1, "to be saved");
    struct harness *rig = rig_start(s, &o);
    for (size_t i = 0; i < PROMPTS; i++) {
        struct call c = {0};
        const struct generation_options g = greedy(&s->refs[i].prompt);
        rig_submit(rig, &g, &c);
        rig_wait(rig, &c, 1);
        same_call(s, &s->refs[i], &c, 1, "restored");
        restored += c.usage.restored_tokens;
    }
    harness_stop(rig);
    assert_true(restored > 0);
    const int tmp = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(tmp >= 0);
    assert_int_equal(fs_remove_tree(tmp, dir + strlen("/tmp/"), &err), 0);
    (void)close(tmp);
}

static void test_speculated(void **state)
{
    struct subject *s = *state;
    struct usage sum;
    in_turn(s, &(struct harness_options){.parallel = 1, .batch = 512, .speculation = DRAFT_ON}, 2,
            "with lookup");
    sum = at_once(s, &(struct harness_options){.parallel = 8, .batch = 512, .speculation = DRAFT_ON}, 1,
                  "with lookup, in company");
    assert_true(sum.drafted_tokens > 0 && sum.accepted_tokens > 0);
    if (!s->other[0])
        assert_true(sum.accepted_tokens < sum.drafted_tokens); /* some was rolled back, too */
    (void)at_once(s, &(struct harness_options){.parallel = 3, .batch = 24, .speculation = DRAFT_ON}, 2,
                  "with lookup, in pieces");
    (void)at_once(s, &(struct harness_options){.parallel = 4, .batch = 512, .speculation = DRAFT_AUTO}, 1,
                  "with lookup where it pays");
}

static void test_draft_model(void **state)
{
    struct subject *s = *state;
    struct harness_options o = {.parallel = 4, .batch = 512, .speculation = DRAFT_ON, .draft_model = s->path};
    struct usage sum = at_once(s, &o, 1, "drafted by itself");
    assert_true(sum.accepted_tokens * 2 > sum.drafted_tokens);
    if (!s->other[0])
        return;
    o.draft_model = s->other;
    sum = at_once(s, &o, 2, "drafted by one that knows nothing");
    assert_true(sum.accepted_tokens < sum.drafted_tokens);
}

/* Drawn with a seed, with guesses and without: every token is drawn once, so the draws are the same. That
 * logits move in their last bits can turn a draw: not often. */
static void drawn(struct subject *s, enum draft_mode mode, uint32_t seed, struct call *c)
{
    struct harness *rig;
    struct generation_options g = greedy(&s->refs[seed % PROMPTS].prompt);
    rig = rig_start(s, &(struct harness_options){.parallel = 1, .batch = 512, .speculation = mode});
    g.sampling.temperature = 1.2f;
    g.sampling.has_seed = true;
    g.sampling.seed = seed;
    g.sampling.frequency_penalty = seed % 2 ? 0.3f : 0;
    rig_submit(rig, &g, c);
    rig_wait(rig, c, 1);
    harness_stop(rig);
}

static void test_seed(void **state)
{
    enum { SEEDS = 6 };
    unsigned equal = 0;
    int64_t accepted = 0;
    for (uint32_t seed = 1; seed <= SEEDS; seed++) {
        struct call plain = {0}, guessed = {0};
        drawn(*state, DRAFT_OFF, seed, &plain);
        drawn(*state, DRAFT_ON, seed, &guessed);
        equal += plain.choices[0].n == guessed.choices[0].n &&
                 memcmp(plain.choices[0].tokens, guessed.choices[0].tokens,
                        plain.choices[0].n * sizeof(llama_token)) == 0;
        accepted += guessed.usage.accepted_tokens;
    }
    assert_true(equal >= SEEDS - 1);
    assert_true(accepted > 0);
}

/* ---- the subjects ---- */

/* Half of them begin alike, with some hundred tokens; some have their answer in the prompt. */
static void prompts_make(struct subject *s, const struct model *m)
{
    static const char *const asked[PROMPTS] = {
        "Which port is switch on?",   "Repeat: apple river stone apple river stone apple river stone",
        "Count from 3 to 9.",         "What does hermes do?",
        "How do I start the system?", "¿Cómo puedo ver los logs?",
    };
    for (size_t i = 0; i < PROMPTS; i++) {
        struct buf text = BUF_INIT;
        for (int k = 0; k < 12 && i >= PROMPTS / 2; k++)
            (void)buf_puts(&text, "You help people who run a small server at home. ");
        (void)buf_puts(&text, asked[i]);
        harness_chat(m, text.data, &s->refs[i].prompt);
        buf_free(&text);
    }
}

static void reference_add(struct subject *s, struct llama_model *m, struct reference *r)
{
    reference_make(m, r);
    const float moved = noise_measure(m, r);
    s->noise = moved > s->noise ? moved : s->noise;
}

static void subject_start(struct subject *s)
{
    const struct model_options load = {
        .path = s->path, .context = CONTEXT, .parallel = 1, .threads = 1, .batch = 64};
    struct error err = {0};
    struct model *m = NULL;
    model_log_start();
    if (backends_load(s->path, &err) != 0 || model_load(&load, NULL, NULL, &m, &err) != 0)
        fail_msg("%s", err.text);
    prompts_make(s, m);
    for (size_t i = 0; i < PROMPTS; i++)
        reference_add(s, m->llama, &s->refs[i]);
    s->lengthy.endless = true;
    harness_chat(m, "Write a poem about stones.", &s->lengthy.prompt);
    reference_add(s, m->llama, &s->lengthy);
    model_free(m);
}

static int subject_end(void **state)
{
    struct subject *s = *state;
    print_message("%u answers compared, %u parted at a tie; batches move a lead by up to %g\n", s->compared,
                  s->parted, (double)s->noise);
    assert_true(s->parted * (s->rough ? 3 : 20) <= s->compared); /* else too little was compared */
    for (size_t i = 0; i < PROMPTS; i++)
        tokens_free(&s->refs[i].prompt);
    tokens_free(&s->lengthy.prompt);
    if (s->other[0]) { /* then both were written for this */
        (void)unlink(s->path);
        (void)unlink(s->other);
    }
    free(s);
    return 0;
}

static int guide_start(void **state)
{
    struct subject *s = *state = calloc(1, sizeof *s);
    assert_non_null(s);
    (void)snprintf(s->path, sizeof s->path, "%s", harness_guide());
    subject_start(s);
    return 0;
}

/* A model of another shape and other weights, of which each seed is another. */
static void synth_write(char *path, size_t room, const char *type, const char *seed, const char *period)
{
    const char *tool = getenv("VX11_SYNTH");
    int status = -1;
    if (!tool)
        fail_msg("VX11_SYNTH does not say where vx11-synth is");
    (void)snprintf(path, room, "/tmp/vx11-same-%d-%s.gguf", (int)getpid(), seed);
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        execl(tool, tool, "--out", path, "--seed", seed, "--layers", "6", "--embd", "384", "--heads", "6",
              "--kv-heads", "2", "--ff", "1024", "--vocab", "6000", "--type", type, "--repeat", period,
              (char *)NULL);
        _exit(127);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static int synth_start(void **state, const char *type)
{
    struct subject *s = *state = calloc(1, sizeof *s);
    assert_non_null(s);
    synth_write(s->path, sizeof s->path, type, "1", "7");
    synth_write(s->other, sizeof s->other, type, "2", "5");
    subject_start(s);
    return 0;
}

static int f16_start(void **state)
{
    return synth_start(state, "f16");
}

/* Here matrices are multiplied with activations of 8 bits: what moves a logit in its last bits then moves it
 * by a step of those, and random weights lead by little. */
static int q4_k_start(void **state)
{
    const int rc = synth_start(state, "q4_k_m");
    ((struct subject *)*state)->rough = true;
    return rc;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alone_and_again),
        cmocka_unit_test(test_chunked),
        cmocka_unit_test(test_batched),
        cmocka_unit_test(test_beside_the_cancelled),
        cmocka_unit_test(test_speculated),
        cmocka_unit_test(test_draft_model),
        cmocka_unit_test(test_preempted),
        cmocka_unit_test(test_restored),
        cmocka_unit_test(test_seed),
    };
    const struct CMUnitTest rough[] = {
        cmocka_unit_test(test_alone_and_again),
        cmocka_unit_test(test_batched),
        cmocka_unit_test(test_speculated),
    };
    const int guide = cmocka_run_group_tests_name("guide", tests, guide_start, subject_end);
    const int f16 = cmocka_run_group_tests_name("synthetic, f16", tests, f16_start, subject_end);
    const int q4_k = cmocka_run_group_tests_name("synthetic, q4_k_m", rough, q4_k_start, subject_end);
    return guide + f16 + q4_k;
}
