/* Soak: ten thousand short requests of every kind, many of them cancelled at some moment, and then nothing is
 * left over: no cell, no sequence, no event that came twice or never, no memory. Guesses are made throughout.
 */
#include "harness.h"

#include <stdlib.h>
#include <string.h>

#include "base/proc.h"
#include "base/str.h"
#include "engine/scheduler_internal.h"

#ifdef __SANITIZE_THREAD__
enum { REQUESTS = 1500 };
#else
enum { REQUESTS = 10000 };
#endif

enum { WIDTH = 24, PROMPTS = 40, WARM = REQUESTS / 10, GROWTH_MOST = 16 << 20 };

#ifdef __SANITIZE_ADDRESS__
/* Freed memory is kept aside to catch its use: here it would be taken for a leak. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "quarantine_size_mb=2:thread_local_quarantine_size_kb=64";
}
#endif

struct ask {                       /* one request in flight */
    struct generation *generation; /* NULL: free */
    unsigned choices, finished[3];
    unsigned events, cancel_after; /* 0: never */
    bool cancelled, too_long;
};

struct soak {
    struct harness *h;
    struct tokens prompts[PROMPTS];
    struct ask asks[WIDTH];
    unsigned submitted;
    uint64_t random;
    uint64_t rss;
};

static uint32_t dice(struct soak *s, uint32_t sides)
{
    s->random ^= s->random >> 12;
    s->random ^= s->random << 25;
    s->random ^= s->random >> 27;
    return (uint32_t)((s->random * 2685821657736338717u) >> 33) % sides;
}

static void on_event(struct generation *g, void *ctx, const struct generation_event *e)
{
    struct ask *a = ctx;
    assert_ptr_equal(a->generation, g);
    assert_true(e->choice < a->choices);
    assert_int_equal(strlen(e->text), e->len);
    if (e->len > 0 || e->finish != FINISH_NONE)
        assert_true(e->last || a->finished[e->choice] == 0); /* nothing after its end */
    if (e->finish != FINISH_NONE && !e->last)
        a->finished[e->choice]++;
    if (a->cancel_after && ++a->events == a->cancel_after) {
        generation_cancel(g);
        a->cancelled = true;
    }
    if (!e->last)
        return;
    assert_non_null(e->usage);
    assert_true(e->usage->accepted_tokens <= e->usage->drafted_tokens);
    if (a->too_long) {
        assert_int_equal(e->finish,
                         a->cancelled && e->finish == FINISH_CANCELLED ? FINISH_CANCELLED : FINISH_FAILED);
    } else if (e->finish == FINISH_NONE) {
        for (unsigned i = 0; i < a->choices; i++)
            assert_int_equal(a->finished[i], 1);
        assert_true(e->usage->completion_tokens >= a->choices);
    } else {
        if (e->finish == FINISH_FAILED)
            fail_msg("%s", e->error->text);
        assert_int_equal(e->finish, FINISH_CANCELLED);
        assert_true(a->cancelled);
    }
    generation_destroy(g);
    a->generation = NULL; /* an event after the last would not find it */
}

/* ---- requests ---- */

static void prompts_make(struct soak *s)
{
    static const char *const systems[] = {
        "", "You help people who run a small server at home. You answer in one short sentence. "};
    static const char *const questions[] = {"Which port is switch on?", "What does hermes do?",
                                            "Count from 3 to 9.", "What is 3 + 4?",
                                            "Repeat: apple river stone apple river stone"};
    for (size_t i = 0; i < PROMPTS; i++) {
        struct buf text = BUF_INIT;
        (void)buf_puts(&text, systems[i % 2]);
        (void)buf_puts(&text, questions[i / 2 % COUNT_OF(questions)]);
        for (size_t k = 0; k < i / 10; k++)
            (void)buf_puts(&text, " And which one is it then?");
        harness_chat(s->h->model, text.data, &s->prompts[i]);
        buf_free(&text);
    }
}

static const char *const stops[] = {"e", "9"};

static struct generation_options request_make(struct soak *s, struct ask *a)
{
    const struct tokens *p = &s->prompts[dice(s, PROMPTS)];
    struct generation_options o = harness_greedy(p);
    *a = (struct ask){.choices = dice(s, 5) == 0 ? 2 + dice(s, 2) : 1};
    o.choices = a->choices;
    o.max_tokens = 1 + dice(s, dice(s, 30) == 0 ? 60 : 5);
    o.priority = (int)dice(s, GENERATION_PRIORITY_MAX + 1);
    o.whole = dice(s, 5) == 0;
    o.logprobs = dice(s, 10) == 0;
    o.top_logprobs = o.logprobs ? 3 : 0;
    o.prompt_count -= dice(s, 4) == 0 ? dice(s, (uint32_t)p->len / 2) : 0; /* ends somewhere in between */
    if (dice(s, 5) == 0) {
        o.stops = stops;
        o.stop_count = COUNT_OF(stops);
    }
    if (dice(s, 3) == 0) {
        o.sampling.temperature = 1.0f;
        o.sampling.has_seed = true;
        o.sampling.seed = dice(s, 1000);
        o.sampling.repeat_penalty = 1.1f;
    }
    if (dice(s, 40) == 0)
        o.sampling.grammar.gbnf = "root ::= \"yes\" | \"no\" | [0-9]+ \".\"";
    if (dice(s, 5) == 0)
        a->cancel_after = 1 + dice(s, 3);
    return o;
}

static llama_token long_prompt[600];

static void submit(struct soak *s, struct ask *a)
{
    struct generation_options o = request_make(s, a);
    if (dice(s, 200) == 0) {
        o.prompt = long_prompt;
        o.prompt_count = COUNT_OF(long_prompt);
        a->too_long = true;
    }
    a->generation = generation_create(&o, on_event, a);
    assert_non_null(a->generation);
    assert_int_equal(scheduler_submit(s->h->scheduler, a->generation), 0);
    s->submitted++;
    if (dice(s, 10) == 0) {
        generation_cancel(a->generation);
        a->cancelled = true;
    }
}

static size_t in_flight(const struct soak *s)
{
    size_t n = 0;
    for (size_t i = 0; i < WIDTH; i++)
        n += s->asks[i].generation != NULL;
    return n;
}

static void wait_a_step(struct soak *s)
{
    struct timespec deadline;
    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += 120;
    if (sem_timedwait(&s->h->woken, &deadline) != 0)
        fail_msg("the scheduler was silent for two minutes with %zu requests in it", in_flight(s));
    scheduler_dispatch(s->h->scheduler);
}

static void round_of(struct soak *s)
{
    for (size_t i = 0; i < WIDTH && s->submitted < REQUESTS; i++) {
        struct ask *a = &s->asks[i];
        if (!a->generation) {
            submit(s, a);
        } else if (dice(s, 40) == 0) {
            generation_cancel(a->generation);
            a->cancelled = true;
        }
    }
    wait_a_step(s);
    if (s->rss == 0 && s->submitted >= WARM)
        s->rss = proc_self_rss();
}

/* ---- what is left ---- */

/* The decode thread waits for work, and our lock keeps it there: what it holds can be looked at. */
static void nothing_left(struct soak *s)
{
    struct scheduler *scheduler = s->h->scheduler;
    const struct model *m = s->h->model;
    llama_memory_t memory = llama_get_memory(m->context);
    struct cache_stats stats;
    pthread_mutex_lock(&scheduler->lock);
    const char *wrong = cache_audit(scheduler->cache);
    cache_stats(scheduler->cache, &stats);
    for (int32_t i = 0; i < m->parallel; i++)
        assert_int_equal(scheduler->slots[i].state, SLOT_IDLE);
    assert_null(scheduler->parked);
    assert_null(scheduler->waiting);
    assert_int_equal(scheduler->queued, 0);
    const int32_t used = stats.cells_used, evictable = stats.cells_evictable;
    cache_clear(scheduler->cache);
    cache_stats(scheduler->cache, &stats);
    llama_pos last = -1;
    for (int32_t i = 0; i < m->sequences; i++) {
        const llama_pos end = llama_memory_seq_pos_max(memory, i);
        last = end > last ? end : last;
    }
    pthread_mutex_unlock(&scheduler->lock);
    if (wrong)
        fail_msg("%s", wrong);
    assert_true(used > 0);
    assert_int_equal(used, evictable); /* no branch is in use */
    assert_int_equal(stats.cells_used, 0);
    assert_int_equal(stats.branches, 0);
    assert_int_equal(stats.nodes, 0);
    assert_int_equal(last, -1); /* libllama agrees */
}

static void test_soak(void **state)
{
    struct soak *s = calloc(1, sizeof *s);
    struct scheduler_stats stats;
    (void)state;
    assert_non_null(s);
    s->random = 88172645463325252u;
    s->h = harness_open(&(struct harness_options){
        .parallel = 6, .batch = 64, .context = 256, .cells = 320, .queue = WIDTH, .speculation = DRAFT_ON});
    prompts_make(s);
    while (s->submitted < REQUESTS || in_flight(s) > 0)
        round_of(s);
    scheduler_stats(s->h->scheduler, &stats);
    assert_int_equal(stats.generations, REQUESTS);
    assert_int_equal(stats.slots_busy, 0);
    assert_true(stats.cached_tokens > stats.prompt_tokens / 2);
    assert_true(stats.accepted_tokens > 0 && stats.accepted_tokens < stats.drafted_tokens);
    nothing_left(s);
    const uint64_t rss = proc_self_rss();
#ifndef __SANITIZE_THREAD__
    if (rss > s->rss + GROWTH_MOST)
        fail_msg("resident memory grew from %llu to %llu bytes", (unsigned long long)s->rss,
                 (unsigned long long)rss);
#endif
    print_message(
        "%llu cancelled, %llu failed as they should, %llu preempted; %llu of %llu guessed tokens were "
        "right; resident memory %.1f MB after %d requests, %.1f MB at the end\n",
        (unsigned long long)stats.generations_cancelled, (unsigned long long)stats.generations_failed,
        (unsigned long long)stats.preemptions, (unsigned long long)stats.accepted_tokens,
        (unsigned long long)stats.drafted_tokens, (double)s->rss / 1e6, WARM, (double)rss / 1e6);
    harness_stop(s->h);
    for (size_t i = 0; i < PROMPTS; i++)
        tokens_free(&s->prompts[i]);
    free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_soak)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
