/* The search for the fastest number of threads: a step by step descent that is repeated for ever, for the
 * machine's load changes. On a quiet machine the first guess is right and every trial is lost time: so a
 * trial ends with its first step that cannot win, losing ones make the next wait twice as long, and a hundred
 * times what they lost; a step that has become much slower brings it forward. Only small batches are
 * compared, and only with batches of the same size: reading a prompt is another kind of work. */
#include "engine/threads.h"

#include <string.h>

#include "base/log.h"
#include "base/proc.h"

#define BETTER      0.9          /* of the mean: how much faster a number must be to be taken */
#define WAIT_MIN    250000000ull /* ns between trials */
#define WAIT_MAX    30000000000ull
#define HOPELESS    1.05 /* of the mean: a step of a trial that takes longer ends it */
#define STALLED     20   /* times as long as it should take, and at least STALLED_MIN: a step is given up */
#define STALLED_MIN 30000000ull
#define COST        100 /* of the time between trials, a lost one may take one part in so many */

enum { TRIAL_STEPS = 4, MEAN_STEPS = 8, TOKENS_COMPARED = 16, POLL = 1 };

/* Threads of a pool poll for work for some milliseconds after a step (that is what POLL means) and then
 * sleep, so that an idle worker costs nothing and a running one does not wait for them to wake. */
static struct ggml_threadpool *pool_of(struct threads *t, int choice)
{
    if (!t->pools[choice] && t->pool_new) {
        struct ggml_threadpool_params params = ggml_threadpool_params_default(t->counts[choice]);
        params.poll = POLL;
        t->pools[choice] = t->pool_new(&params);
    }
    /* cppcheck-suppress returnDanglingLifetime ; the pool copies its parameters */
    return t->pools[choice];
}

static void use(struct threads *t, int choice)
{
    struct ggml_threadpool *pool = pool_of(t, choice);
    if (pool)
        llama_attach_threadpool(t->context, pool, NULL);
    llama_set_n_threads(t->context, t->counts[choice], t->counts[choice]);
    atomic_store(&t->count, t->counts[choice]);
}

void threads_lend(struct threads *t, struct llama_context *to)
{
    const int choice = t->trial >= 0 ? t->trial : t->current;
    struct ggml_threadpool *pool = pool_of(t, choice);
    if (pool)
        llama_attach_threadpool(to, pool, NULL);
    llama_set_n_threads(to, t->counts[choice], t->counts[choice]);
}

/* The pool's functions are in the backend, which was loaded at run time. */
static void pool_functions(struct threads *t)
{
    ggml_backend_dev_t cpu = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
    ggml_backend_reg_t reg = ggml_backend_dev_backend_reg(cpu);
    void *create = ggml_backend_reg_get_proc_address(reg, "ggml_threadpool_new");
    void *release = ggml_backend_reg_get_proc_address(reg, "ggml_threadpool_free");
    if (!create || !release)
        return; /* then ggml starts threads for each step by itself */
    memcpy(&t->pool_new, &create, sizeof create);
    memcpy(&t->pool_free, &release, sizeof release);
}

/* Would that many threads, ours, have a core each? Unknown counts as yes: the measurement then decides. */
static bool cores_spare(const struct threads *t, int threads)
{
    const int others = t->running() - 1; /* we are running ourselves */
    return others < 0 || others + threads <= t->counts[0];
}

void threads_start(struct threads *t, struct llama_context *context, int most, bool fixed, bool small)
{
    *t = (struct threads){.context = context,
                          .trial = -1,
                          .direction = small ? -1 : 1,
                          .wait_ns = WAIT_MIN,
                          .running = proc_running};
    for (int n = most; n >= 1 && t->choices < THREADS_CHOICES; n /= 2) {
        t->counts[t->choices++] = n;
        if (fixed)
            break;
    }
    pool_functions(t);
    t->current = small ? t->choices - 1 : 0;
    while (t->current < t->choices - 1 && !cores_spare(t, t->counts[t->current]))
        t->current++; /* the first step must not hang: nothing is known yet that would end it */
    use(t, t->current);
}

void threads_stop(struct threads *t)
{
    llama_detach_threadpool(t->context);
    for (int i = 0; i < t->choices; i++) {
        if (t->pools[i])
            t->pool_free(t->pools[i]);
        t->pools[i] = NULL;
    }
}

/* ---- the search ---- */

static void mean_restart(struct threads *t, int32_t tokens, double seconds)
{
    t->mean = seconds;
    t->mean_tokens = tokens;
    t->mean_steps = 1;
}

static void mean_add(struct threads *t, double seconds)
{
    const double weight = t->mean_steps < MEAN_STEPS ? 1.0 / ++t->mean_steps : 0.2;
    t->mean += (seconds - t->mean) * weight;
}

static void trial_begin(struct threads *t, uint64_t now_ns)
{
    int choice = t->current + t->direction;
    if (choice < 0 || choice >= t->choices) {
        t->direction = -t->direction;
        choice = t->current + t->direction;
    }
    if (choice < t->current && !cores_spare(t, t->counts[choice])) {
        t->next_trial_ns = now_ns + WAIT_MIN;
        t->settled = t->mean;
        return;
    }
    t->trial = choice;
    t->trial_seconds = 0;
    t->trial_steps = 0;
    use(t, choice);
}

static void trial_end(struct threads *t, bool won, uint64_t now_ns)
{
    if (won) {
        log_debug("threads", "another number is faster", LOG_I("threads", t->counts[t->trial]),
                  LOG_I("before", t->counts[t->current]),
                  LOG_D("step_ms", t->trial_seconds / t->trial_steps * 1000),
                  LOG_D("before_ms", t->mean * 1000));
        t->current = t->trial;
        t->mean = t->trial_seconds / t->trial_steps;
        t->wait_ns = WAIT_MIN;
    } else {
        const double lost = t->trial_seconds - t->trial_steps * t->mean;
        const uint64_t fair_ns = lost > 0 ? (uint64_t)(lost * COST * 1e9) : 0;
        use(t, t->current);
        t->direction = -t->direction;
        t->wait_ns = t->wait_ns * 2 > fair_ns ? t->wait_ns * 2 : fair_ns;
        t->wait_ns = t->wait_ns < WAIT_MAX ? t->wait_ns : WAIT_MAX;
    }
    t->trial = -1;
    t->settled = t->mean;
    t->next_trial_ns = now_ns + t->wait_ns;
}

static void trial_measured(struct threads *t, int32_t tokens, double seconds, uint64_t now_ns)
{
    if (tokens != t->mean_tokens) { /* not comparable any more: as if it had not begun */
        t->trial = -1;
        use(t, t->current);
        return;
    }
    t->trial_seconds += seconds;
    t->trial_steps++;
    if (seconds > HOPELESS * t->mean)
        trial_end(t, false, now_ns);
    else if (t->trial_steps == TRIAL_STEPS)
        trial_end(t, t->trial_seconds / TRIAL_STEPS < t->mean * BETTER, now_ns);
}

void threads_measured(struct threads *t, int32_t tokens, double seconds, uint64_t now_ns)
{
    if (t->choices < 2 || tokens > TOKENS_COMPARED)
        return;
    if (t->trial >= 0) {
        trial_measured(t, tokens, seconds, now_ns);
        return;
    }
    if (tokens != t->mean_tokens) {
        mean_restart(t, tokens, seconds);
        t->settled = 0;
        return;
    }
    mean_add(t, seconds);
    if (t->mean_steps < MEAN_STEPS)
        return;
    if (!(t->settled > 0))
        t->settled = t->mean;
    if (now_ns >= t->next_trial_ns || t->mean > 2 * t->settled)
        trial_begin(t, now_ns);
}

/* ---- stalls ---- */

void threads_begin(struct threads *t, int32_t tokens, uint64_t now_ns)
{
    const int choice = t->trial >= 0 ? t->trial : t->current;
    t->step_limit_ns = 0;
    if (choice == t->choices - 1 || !(t->mean > 0)) /* it cannot do with less, or nothing is known yet */
        return;
    /* A batch takes at most as long as its tokens one by one. */
    const double share = tokens > t->mean_tokens ? (double)tokens / t->mean_tokens : 1;
    const uint64_t limit = (uint64_t)(t->mean * share * STALLED * 1e9);
    t->step_limit_ns = now_ns + (limit > STALLED_MIN ? limit : STALLED_MIN);
}

bool threads_hang(const struct threads *t, uint64_t now_ns)
{
    return t->step_limit_ns > 0 && now_ns > t->step_limit_ns;
}

void threads_stalled(struct threads *t, uint64_t now_ns)
{
    t->stalls++;
    if (t->trial < 0 && t->current < t->choices - 1)
        t->current++;
    t->trial = -1;
    t->step_limit_ns = 0;
    t->mean = t->settled = 0;
    t->mean_steps = 0;
    t->direction = -1;
    t->wait_ns = t->wait_ns * 4 < WAIT_MAX ? t->wait_ns * 4 : WAIT_MAX;
    t->next_trial_ns = now_ns + t->wait_ns;
    use(t, t->current);
}
