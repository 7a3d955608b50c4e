/* How far to guess.
 *
 * A step of r rows takes cost(r) seconds, which is measured row count by row count. With guesses whose
 * chances are p1, p2, … a sequence is expected to gain 1 + p1 + p1 p2 + … tokens, and the guess is cut where
 * tokens by seconds are most. On a machine that is busy with one row already (few cores, many sequences)
 * every further row costs its full price and nothing is guessed; where weights are read from slow memory,
 * further rows are nearly free and guesses grow long. No speed is assumed anywhere.
 *
 * Chances are learned by the kind of guess (how many tokens agreed before it, how certain the draft model
 * was), for each slot on top of what all slots have taught. A lookup's guess costs nothing, so it is also
 * made and checked against what was sampled while nobody wants it: a slot that begins to repeat itself is
 * noticed at once.
 *
 * What is not in that model (a cache too small for two batches' weights, a draft model that takes our cores)
 * shows in the ratio of real to expected speed; when guessing has not gained over some dozens of steps, it
 * pauses, each time for twice as long. Prices grow stale: now and then a step is made without guesses, or
 * with some where they seemed not to pay. */
#include "engine/draft.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "engine/draft_lookup.h"
#include "engine/draft_model.h"

enum {
    ROWS_MOST = 64,   /* rows of a batch that still has guesses */
    COST_STEPS = 3,   /* steps of a row count before its price is believed */
    COST_RECENT = 4,  /* its price is the mean of about so many */
    LOOKUP_KINDS = 5, /* of guesses by lookup */
    MODEL_KINDS = 4,  /* of guesses by the draft model */
    LOADS = 7,        /* powers of two of sequences */
    TRIAL_ROWS = 3,   /* guesses of a trial */
    TRIAL_MIN = 32,   /* steps between trials */
    TRIAL_MAX = 4096,
    PLAIN_EVERY = 48, /* guessing steps, then one without */
    GAIN_STEPS = 24,  /* guessing steps before the gain is judged */
    PAUSE_MIN = 64,   /* steps */
    PAUSE_MAX = 8192,
    ACTIVE_STEPS = 128, /* without a guess: no longer active */
};

#define MARGIN       1.03 /* a guess must promise that much more */
#define CHANCE_LEAST 0.3  /* of a whole guess coming true, when costs are not asked */
#define SURE_LEAST   0.3f /* certainty of the draft model below which it stops */

struct trust { /* how often guesses of one kind came true; older ones count less */
    double hits, tries;
};

struct cost {
    double seconds;
    unsigned steps;
};

struct load {                      /* with so many sequences */
    double plain_seconds, seconds; /* for the same tokens: without guesses as measured, and really */
    unsigned steps;
    unsigned since_plain;
    uint64_t pause_until, pause;
};

struct draft_slot {
    struct lookup lookup;
    struct trust trust[LOOKUP_KINDS + MODEL_KINDS];
    llama_token guess[DRAFT_MOST]; /* of tokens[at], tokens[at + 1], … */
    uint8_t kind[DRAFT_MOST];
    size_t count, at;
};

struct drafter {
    struct drafter_options options;
    struct draft_model *model; /* NULL: lookup only */
    int32_t context;
    struct draft_slot *slots;
    int count;
    struct trust trust[LOOKUP_KINDS + MODEL_KINDS];
    struct cost costs[ROWS_MOST + 1];
    struct load loads[LOADS];
    double each; /* seconds of one token that the draft model guesses; negative: unknown */
    uint64_t step, trial_at, trial_wait;
    unsigned trial_steps; /* of this trial */
    uint64_t guessed_at;  /* step of the last guess that was expected to gain */
    double gain;
    atomic_bool active;

    /* Of the step that is being made. */
    int sequences, rows;
    double expected, spent; /* tokens; seconds of guessing */
    bool quiet;             /* no guesses in earnest */
    bool trial;
};

/* ---- making ---- */

int drafter_create(const struct drafter_options *o, const struct model *model, struct drafter **out,
                   struct error *err)
{
    *out = NULL;
    if (o->most < 0 || o->most > DRAFT_MOST)
        return error_set(err, VX11_EINVALID, "a guess may have 1 to %d tokens", DRAFT_MOST);
    if (o->mode == DRAFT_OFF || !model->can_trim)
        return 0;
    struct drafter *d = calloc(1, sizeof *d);
    if (!d)
        return error_set(err, VX11_ENOMEM, "out of memory");
    d->options = *o;
    d->context = model->context_length;
    d->count = model->parallel;
    d->each = d->gain = -1;
    d->trial_wait = TRIAL_MIN;
    d->slots = calloc((size_t)d->count, sizeof *d->slots);
    int rc = d->slots ? 0 : error_set(err, VX11_ENOMEM, "out of memory");
    if (rc == 0 && o->model_path)
        rc = draft_model_create(o, model, &d->model, err);
    if (rc != 0) {
        drafter_destroy(d);
        return rc;
    }
    *out = d;
    return 0;
}

void drafter_destroy(struct drafter *d)
{
    if (!d)
        return;
    for (int i = 0; d->slots && i < d->count; i++)
        lookup_free(&d->slots[i].lookup);
    free(d->slots);
    draft_model_destroy(d->model);
    free(d);
}

/* ---- what is learned ---- */

static void trust_add(struct trust *t, bool hit, double fade)
{
    t->hits = t->hits * fade + hit;
    t->tries = t->tries * fade + 1;
}

/* The slot's own experience, on top of two tries' worth of everybody's. */
static double chance(const struct drafter *d, const struct draft_slot *q, unsigned kind)
{
    const struct trust *all = &d->trust[kind], *own = &q->trust[kind];
    const double general = (all->hits + 1) / (all->tries + 2);
    return (own->hits + 2 * general) / (own->tries + 2);
}

static void learn(struct drafter *d, struct draft_slot *q, const llama_token *tokens, size_t n)
{
    for (size_t i = 0; i < q->count && q->at + i < n; i++) {
        const bool hit = q->guess[i] == tokens[q->at + i];
        trust_add(&q->trust[q->kind[i]], hit, 0.94);
        trust_add(&d->trust[q->kind[i]], hit, 0.995);
        if (!hit)
            break;
    }
    q->count = 0;
}

static unsigned lookup_kind(size_t match)
{
    return match < 5 ? 0 : match < 8 ? 1 : match < 16 ? 2 : match < LOOKUP_MATCH ? 3 : 4;
}

static unsigned model_kind(float certainty)
{
    return LOOKUP_KINDS + (certainty < 0.5f ? 0u : certainty < 0.8f ? 1u : certainty < 0.95f ? 2u : 3u);
}

/* ---- what steps cost ---- */

static void cost_add(struct drafter *d, int rows, double seconds)
{
    if (rows < 1 || rows > ROWS_MOST)
        return;
    struct cost *c = &d->costs[rows];
    if (c->steps > COST_STEPS && seconds > 3 * c->seconds)
        seconds = 3 * c->seconds; /* something else had the processor */
    c->seconds += (seconds - c->seconds) / (c->steps < COST_RECENT ? ++c->steps : COST_RECENT);
}

static bool cost_known(const struct drafter *d, int rows)
{
    return d->costs[rows].steps >= COST_STEPS;
}

/* As measured, or on the line through the two nearest row counts that were; negative: fewer are known. */
static double cost(const struct drafter *d, int rows)
{
    int low = 0, lower = 0, high = 0;
    if (rows > ROWS_MOST)
        return -1;
    if (cost_known(d, rows))
        return d->costs[rows].seconds;
    for (int r = 1; r < rows; r++) {
        if (cost_known(d, r)) {
            lower = low;
            low = r;
        }
    }
    for (int r = ROWS_MOST; r > rows; r--) {
        if (cost_known(d, r))
            high = r;
    }
    const int a = high ? low : lower, b = high ? high : low;
    if (a == 0 || b == 0)
        return -1;
    const double slope = (d->costs[b].seconds - d->costs[a].seconds) / (b - a);
    return d->costs[a].seconds + (slope > 0 ? slope : 0) * (rows - a);
}

static struct load *load_of(struct drafter *d, int sequences)
{
    int i = 0;
    while (i < LOADS - 1 && sequences > 1 << i)
        i++;
    return &d->loads[i];
}

/* ---- how far ---- */

static size_t plan_on(const double *chances, size_t n)
{
    double all = 1;
    size_t k = 0;
    while (k < n && (all *= chances[k]) >= CHANCE_LEAST)
        k++;
    return k;
}

/* Guesses that are not expected to gain, so that prices are known. */
static size_t plan_trial(struct drafter *d, const double *chances, size_t n)
{
    double all = 1, more = 0;
    const size_t k = n < TRIAL_ROWS ? n : TRIAL_ROWS;
    for (size_t i = 0; i < k; i++)
        more += all *= chances[i];
    if (d->step < d->trial_at || more < 0.5 || d->rows + (int)k > ROWS_MOST)
        return 0;
    d->trial = true;
    return k;
}

/* Of the first n guesses with these chances, how many make the most tokens by seconds. each: seconds that one
 * costs before the step. */
static size_t plan(struct drafter *d, const double *chances, size_t n, double each)
{
    if (d->options.mode == DRAFT_ON)
        return plan_on(chances, n);
    const double plain = cost(d, d->rows);
    if (d->quiet || plain < 0)
        return 0;
    double best = d->expected / (plain + d->spent) * MARGIN, all = 1, more = 0;
    size_t k = 0;
    for (size_t i = 0; i < n; i++) {
        const double seconds = cost(d, d->rows + (int)i + 1);
        more += all *= chances[i];
        if (seconds < 0)
            break;
        const double speed = (d->expected + more) / (seconds + d->spent + each * (double)(i + 1));
        if (speed > best) {
            best = speed;
            k = i + 1;
        }
    }
    if (k == 0)
        return plan_trial(d, chances, n);
    d->guessed_at = d->step;
    d->trial_wait = TRIAL_MIN;
    return k;
}

/* Counts the first k guesses of the slot into the step. */
static void commit(struct drafter *d, const double *chances, size_t k)
{
    double all = 1;
    for (size_t i = 0; i < k; i++)
        // NOLINTNEXTLINE(clang-analyzer-core.uninitialized.Assign): k of them are set
        d->expected += all *= chances[i];
    d->rows += (int)k;
}

/* ---- guessing ---- */

static size_t guess_lookup(struct draft_slot *q, const llama_token *tokens, size_t n, size_t most)
{
    size_t match;
    if (lookup_add(&q->lookup, tokens, n) != 0)
        return 0;
    const size_t from = lookup_find(&q->lookup, tokens, n, &match);
    if (from == 0)
        return 0;
    for (size_t i = 0; i < most; i++) { /* what follows may reach into the guess itself: a period repeats */
        q->guess[i] = from + i < n ? tokens[from + i] : q->guess[from + i - n];
        q->kind[i] = (uint8_t)lookup_kind(match + i);
    }
    return most;
}

static void chances_of(const struct drafter *d, const struct draft_slot *q, size_t n, double *chances)
{
    for (size_t i = 0; i < n; i++)
        chances[i] = chance(d, q, q->kind[i]);
}

/* How many the draft model is asked for: as many as would pay if it were as good as it was on the whole. */
static size_t model_wanted(struct drafter *d, const struct draft_slot *q, size_t most)
{
    double chances[DRAFT_MOST], hits = 0, tries = 0;
    for (unsigned k = LOOKUP_KINDS; k < LOOKUP_KINDS + MODEL_KINDS; k++) {
        hits += d->trust[k].hits + 4 * q->trust[k].hits;
        tries += d->trust[k].tries + 4 * q->trust[k].tries;
    }
    for (size_t i = 0; i < most; i++)
        chances[i] = (hits + 1) / (tries + 2);
    const size_t k = plan(d, chances, most, d->each > 0 ? d->each : 0);
    /* An answer that went astray may be on a road again: look now and then. */
    return k == 0 && d->options.mode == DRAFT_ON && d->step % TRIAL_MIN == 0 ? 1 : k;
}

static size_t guess_model(struct drafter *d, int slot, const llama_token *tokens, size_t n, size_t most)
{
    struct draft_slot *q = &d->slots[slot];
    float certainty[DRAFT_MOST] = {0};
    const size_t wanted = model_wanted(d, q, most);
    if (wanted == 0)
        return 0;
    const uint64_t before = clock_mono_ns();
    const size_t k = draft_model_guess(d->model, slot, tokens, n, wanted, SURE_LEAST, q->guess, certainty);
    const double seconds = (double)(clock_mono_ns() - before) / 1e9;
    for (size_t i = 0; i < k; i++)
        q->kind[i] = (uint8_t)model_kind(certainty[i]);
    d->spent += seconds;
    if (k > 0)
        d->each = d->each < 0 ? seconds / (double)k : d->each + (seconds / (double)k - d->each) / 8;
    return k;
}

size_t drafter_guess(struct drafter *d, int slot, const llama_token *tokens, size_t n, size_t most,
                     llama_token *out)
{
    struct draft_slot *q = &d->slots[slot];
    const size_t bound = d->options.most > 0 ? (size_t)d->options.most : DRAFT_MOST;
    const size_t left = (size_t)(DRAFT_STEP_MOST - (d->rows - d->sequences));
    double chances[DRAFT_MOST];
    learn(d, q, tokens, n);
    most = most < bound ? most : bound;
    most = most < left ? most : left;
    size_t found = guess_lookup(q, tokens, n, most > 0 ? most : 1);
    chances_of(d, q, found, chances);
    size_t k = plan(d, chances, found < most ? found : most, 0);
    if (k == 0 && d->model && most > 0 && !d->quiet) {
        const size_t written = guess_model(d, slot, tokens, n, most);
        if (written > 0) {
            found = k = written;
            chances_of(d, q, found, chances);
        }
    }
    commit(d, chances, k);
    q->count = found;
    q->at = n;
    memcpy(out, q->guess, k * sizeof *out);
    return k;
}

void drafter_forget(struct drafter *d, int slot)
{
    struct draft_slot *q = &d->slots[slot];
    lookup_reset(&q->lookup);
    memset(q->trust, 0, sizeof q->trust);
    q->count = 0;
    if (d->model)
        draft_model_forget(d->model, slot);
}

/* ---- a step ---- */

void drafter_begin(struct drafter *d, int sequences, bool prompts)
{
    const struct load *load = load_of(d, sequences);
    d->step++;
    d->sequences = d->rows = sequences;
    d->expected = sequences;
    d->spent = 0;
    d->trial = false;
    d->quiet = d->options.mode == DRAFT_AUTO &&
               (prompts || load->since_plain >= PLAIN_EVERY || d->step < load->pause_until);
}

/* plain: seconds that the same tokens would have taken without guesses. */
static void gain_add(struct drafter *d, struct load *load, double plain, double seconds)
{
    load->plain_seconds = load->plain_seconds * 0.97 + plain;
    load->seconds = load->seconds * 0.97 + seconds;
    if (++load->steps < GAIN_STEPS)
        return;
    d->gain = load->plain_seconds / load->seconds;
    if (d->gain > MARGIN)
        load->pause = 0;
    if (d->gain >= 1)
        return;
    load->pause = load->pause == 0 ? PAUSE_MIN : load->pause < PAUSE_MAX ? load->pause * 2 : PAUSE_MAX;
    load->pause_until = d->step + load->pause;
    log_debug("draft", "guessing pauses", LOG_I("sequences", d->sequences), LOG_D("gain", d->gain),
              LOG_I("steps", (int64_t)load->pause));
    load->plain_seconds = load->seconds = 0;
    load->steps = 0;
}

static void trial_count(struct drafter *d)
{
    if (++d->trial_steps < COST_STEPS)
        return;
    d->trial_steps = 0;
    d->trial_at = d->step + d->trial_wait;
    d->trial_wait = d->trial_wait < TRIAL_MAX ? d->trial_wait * 2 : TRIAL_MAX;
}

void drafter_measured(struct drafter *d, int sequences, int drafted, int accepted, double seconds)
{
    struct load *load = load_of(d, sequences);
    const double plain =
        sequences <= ROWS_MOST && cost_known(d, sequences) ? d->costs[sequences].seconds : -1;
    cost_add(d, sequences + drafted, seconds);
    load->since_plain = drafted > 0 ? load->since_plain + 1 : 0;
    if (d->trial)
        trial_count(d);
    else if (plain > 0 && (drafted > 0 || d->spent > 0))
        gain_add(d, load, plain * (sequences + accepted) / sequences, seconds + d->spent);
    atomic_store(&d->active, d->options.mode == DRAFT_ON ||
                                 (d->guessed_at > 0 && d->step - d->guessed_at < ACTIVE_STEPS));
}

bool drafter_active(const struct drafter *d)
{
    return d && atomic_load(&d->active);
}

double drafter_gain(const struct drafter *d)
{
    return d ? d->gain : -1;
}
