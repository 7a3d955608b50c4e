/* The search for the cheapest set: engines sorted from cheap to dear, then depth first, cut where a set that
 * is begun costs no less than the best one. Costs only grow with each engine that is added, so the first that
 * is not cut is the best; for the few engines that a machine holds that is quick, and a bound on the steps
 * keeps it so for many. */
#include "hermes/pool/plan.h"

#include <string.h>

#define STEPS_MOST 20000 /* a greedy set is known before the first of them */

int64_t plan_bytes_of(const struct plan_engine *e, size_t dim)
{
    return e->predicted.in[dim] > e->measured.in[dim] ? e->predicted.in[dim] : e->measured.in[dim];
}

/* ---- sets ---- */

typedef uint64_t set; /* of engines, by index */

static bool has(set s, size_t i)
{
    return (s >> i & 1) != 0;
}

struct problem {
    const struct plan_engine *engines;
    size_t n;
    const struct plan_want *want;
    const struct plan_rules *rules;
    struct plan_bytes target; /* what has to fit */
};

/* What is used in one kind of memory when these are gone. */
static int64_t used_without(const struct problem *p, set gone, size_t dim)
{
    int64_t sum = 0;
    for (size_t i = 0; i < p->n; i++) {
        if (!has(gone, i))
            sum += plan_bytes_of(&p->engines[i], dim);
    }
    return sum;
}

/* Engines that are left, with the wanted one, those of a group counted once. */
static int64_t number_without(const struct problem *p, set gone)
{
    int64_t count = p->want->nothing ? 0 : 1;
    for (size_t i = 0; i < p->n; i++) {
        const int group = p->engines[i].group;
        bool first = !has(gone, i) && (group == 0 || p->want->nothing || group != p->want->group);
        for (size_t k = 0; first && group != 0 && k < i; k++)
            first = has(gone, k) || p->engines[k].group != group;
        count += first;
    }
    return count;
}

static bool number_fits(const struct problem *p, set gone)
{
    return p->want->nothing || number_without(p, gone) <= p->rules->max_loaded;
}

static bool fits(const struct problem *p, set gone)
{
    for (size_t d = 0; d < PLAN_DIMS; d++) {
        const int64_t budget = p->rules->budget.in[d];
        if (budget != PLAN_NO_BOUND && p->target.in[d] > budget - used_without(p, gone, d))
            return false;
    }
    return number_fits(p, gone);
}

/* ---- costs ---- */

struct cost {
    int64_t of_group, bytes, last_used, uses, count;
};

static const struct cost nothing = {.last_used = INT64_MIN};

static struct cost cost_with(const struct problem *p, struct cost c, size_t i)
{
    const struct plan_engine *e = &p->engines[i];
    c.of_group += p->want->group != 0 && e->group == p->want->group;
    c.bytes += e->reload_bytes;
    c.last_used = e->last_used > c.last_used ? e->last_used : c.last_used;
    c.uses += e->usage_count;
    c.count++;
    return c;
}

static int compare(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

static int cost_compare(const struct cost *a, const struct cost *b)
{
    int c = compare(a->of_group, b->of_group);
    c = c ? c : compare(a->bytes, b->bytes);
    c = c ? c : compare(a->last_used, b->last_used);
    c = c ? c : compare(a->uses, b->uses);
    return c ? c : compare(a->count, b->count);
}

/* ---- the search ---- */

struct search {
    const struct problem *problem;
    size_t order[PLAN_ENGINES_MAX], count; /* candidates, cheap ones first */
    set ending;                            /* what is gone in any case */
    set best;
    struct cost best_cost;
    bool found;
    unsigned steps;
};

static void sort_candidates(struct search *s)
{
    for (size_t i = 1; i < s->count; i++) {
        const size_t moved = s->order[i];
        const struct cost c = cost_with(s->problem, nothing, moved);
        size_t k = i;
        for (; k > 0; k--) {
            const struct cost other = cost_with(s->problem, nothing, s->order[k - 1]);
            if (cost_compare(&other, &c) <= 0)
                break;
            s->order[k] = s->order[k - 1];
        }
        s->order[k] = moved;
    }
}

static void found(struct search *s, set chosen, const struct cost *c)
{
    if (s->found && cost_compare(c, &s->best_cost) >= 0)
        return;
    s->found = true;
    s->best = chosen;
    s->best_cost = *c;
}

/* Cheap ones until it fits, then without those that were not needed: an answer, if there is one at all. */
static void search_greedy(struct search *s)
{
    set chosen = 0;
    size_t taken = 0;
    while (!fits(s->problem, s->ending | chosen) && taken < s->count)
        chosen |= (set)1 << s->order[taken++];
    if (!fits(s->problem, s->ending | chosen))
        return;
    while (taken-- > 0) {
        const set fewer = chosen & ~((set)1 << s->order[taken]);
        if (fits(s->problem, s->ending | fewer))
            chosen = fewer;
    }
    struct cost c = nothing;
    for (size_t i = 0; i < s->problem->n; i++)
        c = has(chosen, i) ? cost_with(s->problem, c, i) : c;
    found(s, chosen, &c);
}

static void search_from(struct search *s, size_t at, set chosen, struct cost c)
{
    if (s->steps++ > STEPS_MOST || (s->found && cost_compare(&c, &s->best_cost) >= 0))
        return;
    if (fits(s->problem, s->ending | chosen)) {
        found(s, chosen, &c);
        return;
    }
    for (; at < s->count; at++) {
        const size_t i = s->order[at];
        search_from(s, at + 1, chosen | (set)1 << i, cost_with(s->problem, c, i));
    }
}

/* The cheapest set of these candidates without which it fits; false: there is none. */
static bool search_make(const struct problem *p, set candidates, set ending, set *out)
{
    struct search s = {.problem = p, .ending = ending};
    for (size_t i = 0; i < p->n; i++) {
        if (has(candidates, i))
            s.order[s.count++] = i;
    }
    sort_candidates(&s);
    search_greedy(&s);
    if (s.found)
        search_from(&s, 0, 0, nothing);
    *out = s.best;
    return s.found;
}

/* ---- the plan ---- */

/* In the order in which they are unloaded: used longest ago first, then used least. */
static void list_set(const struct problem *p, set chosen, struct plan *out)
{
    for (size_t i = 0; i < p->n; i++) {
        if (!has(chosen, i))
            continue;
        size_t k = out->count++;
        for (; k > 0; k--) {
            const struct plan_engine *a = &p->engines[out->engines[k - 1]], *b = &p->engines[i];
            if (a->last_used < b->last_used ||
                (a->last_used == b->last_used && a->usage_count <= b->usage_count))
                break;
            out->engines[k] = out->engines[k - 1];
        }
        out->engines[k] = i;
    }
}

/* Which memory is shortest of what has to fit, when these are gone. */
static void note_missing(const struct problem *p, set gone, struct plan *out)
{
    out->missing = 0;
    for (size_t d = 0; d < PLAN_DIMS; d++) {
        const int64_t budget = p->rules->budget.in[d];
        const int64_t missing =
            budget == PLAN_NO_BOUND ? 0 : p->target.in[d] - (budget - used_without(p, gone, d));
        if (missing > out->missing) {
            out->missing = missing;
            out->dim = d;
        }
    }
    out->by_number = out->missing == 0 && !number_fits(p, gone);
}

static void note_room(const struct problem *p, set all, struct plan *out)
{
    for (size_t d = 0; d < PLAN_DIMS; d++) {
        const int64_t budget = p->rules->budget.in[d];
        const bool bound = budget != PLAN_NO_BOUND;
        out->usable.in[d] = bound ? budget - used_without(p, 0, d) : PLAN_NO_BOUND;
        out->most.in[d] = bound ? budget - used_without(p, all, d) : PLAN_NO_BOUND;
    }
}

void plan_make(const struct plan_engine *engines, size_t n, const struct plan_want *want,
               const struct plan_rules *rules, struct plan *out)
{
    struct problem p = {.engines = engines, .n = n, .want = want, .rules = rules, .target = want->need};
    set ending = 0, idle = 0, in_the_end = 0, chosen;
    *out = (struct plan){.verdict = PLAN_START};
    for (size_t i = 0; i < n; i++) {
        const struct plan_engine *e = &engines[i];
        const set one = (set)1 << i;
        if (e->state == PLAN_STOPPING)
            ending |= one;
        else if (!e->pinned)
            in_the_end |= one;
        if (e->state == PLAN_READY && !e->pinned && !e->busy && !e->kept)
            idle |= one;
    }
    note_room(&p, ending | in_the_end, out);
    if (!fits(&p, ending | in_the_end)) {
        p.target = want->least;
        out->reduced = true;
        if (!fits(&p, ending | in_the_end)) {
            note_missing(&p, ending | in_the_end, out);
            out->verdict = PLAN_NEVER;
            return;
        }
    }
    if (fits(&p, 0))
        return;
    note_missing(&p, 0, out);
    out->verdict = PLAN_WAIT;
    if (fits(&p, ending))
        return;
    if (search_make(&p, idle, ending, &chosen)) {
        out->verdict = PLAN_EVICT;
        list_set(&p, chosen, out);
        return;
    }
    const struct plan_bytes target = p.target;
    p.target = want->least;
    if (want->settles && fits(&p, 0)) {
        out->verdict = PLAN_START;
        out->reduced = true;
        return;
    }
    p.target = target;
    if (search_make(&p, in_the_end, ending, &chosen))
        list_set(&p, chosen, out);
}
