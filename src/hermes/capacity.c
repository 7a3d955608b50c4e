/* Room for one more engine: a bound on their number, and the machine's memory.
 *
 * The kernel's MemAvailable counts a loaded model's mapped file as free, since it could drop those pages; a
 * machine that is run that way thrashes. So what each running engine needs but does not hold as its own
 * (anonymous) memory is taken off first: for a mapped model its file, for one that is still loading what it
 * has not yet taken. */
#include "hermes/engines_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/proc.h"
#include "base/str.h"
#include "hermes/pool/pool.h"

#define BUSY_FRESH_MS 250 /* how old a measured load may be */
#define BUSY_AGAIN_MS 20  /* one that was busy is asked again */
#define SETTLES_MS    1000

/* ---- what an engine needs ---- */

/* Buffers of a step for each of its tokens: 2 bytes for a cell that it may look at, and what a layer
 * computes, as measured over models of several widths. The rest is the process, its vocabulary and its rows
 * of logits. */
#define CELL_BYTES  2
#define WIDTH_BYTES 52
#define REST_BYTES  (INT64_C(8) << 20)
#define TOKEN_BYTES 480 /* of the vocabulary: its tables, and 36 rows of numbers */

/* A context that a worker chooses by itself does not become shorter than this. */
#define CONTEXT_FLOOR 2048

#define NUMBER_MOST   (INT64_MAX / 8) /* sums of a few of these do not overflow */

static int64_t product(int64_t a, int64_t b)
{
    int64_t out;
    return a <= 0 || b <= 0 ? 0 : __builtin_mul_overflow(a, b, &out) || out > NUMBER_MOST ? NUMBER_MOST : out;
}

static int64_t tokens_for(const struct engine *e, int64_t context)
{
    const struct engine_params *p = &e->all->params;
    if (e->context_length > 0 && e->context_length < context)
        context = e->context_length;
    return p->kv_tokens > 0 ? p->kv_tokens : context;
}

/* One full context: more is taken only where it is free. */
int64_t engine_params_tokens(const struct engine *e)
{
    const struct engine_params *p = &e->all->params;
    return tokens_for(e, p->ctx > 0 ? p->ctx : p->max_ctx);
}

static int64_t estimate(const struct engine *e, int64_t tokens, bool small_cells)
{
    int64_t kv = product(e->kv_bytes_per_token, tokens);
    if (small_cells)
        kv = kv / 64 * 34; /* 34 bytes for 32 numbers instead of 64 */
    const int64_t step = product(CELL_BYTES, tokens) + product(WIDTH_BYTES, e->embedding_length);
    return e->size_bytes + kv + product(step, e->all->params.batch) + product(TOKEN_BYTES, e->vocabulary) +
           REST_BYTES;
}

/* What its worker said is worth more than any estimate. */
static void reckon(struct engine *e)
{
    const struct engine_params *p = &e->all->params;
    const bool small = strcmp(p->kv_type, "q8_0") == 0, free_choice = strcmp(p->kv_type, "auto") == 0;
    e->need_bytes = estimate(e, engine_params_tokens(e), small);
    e->least_bytes = estimate(e, p->ctx > 0 ? engine_params_tokens(e) : tokens_for(e, CONTEXT_FLOOR),
                              small || free_choice);
    if (e->external && e->external->memory_bytes > 0) { /* a person has said it */
        e->need_bytes = e->least_bytes = e->external->memory_bytes;
        return;
    }
    if (e->full_bytes > 0)
        e->need_bytes = e->full_bytes;
    if (e->least_bytes > e->need_bytes && e->full_bytes > 0)
        e->least_bytes = e->need_bytes;
    if (e->short_of_memory && e->stated_bytes > e->least_bytes)
        e->least_bytes = e->stated_bytes;
    if (e->least_bytes > e->need_bytes)
        e->need_bytes = e->least_bytes;
}

/* ---- what there is ---- */

/* From statm, which is kept by the kernel anyway: smaps walks every page of the model. */
bool process_memory(int pid, int64_t *resident, int64_t *anonymous)
{
    char path[64];
    long long size, pages, shared;
    struct buf b = BUF_INIT;
    (void)snprintf(path, sizeof path, "/proc/%d/statm", pid);
    bool known = fs_read_file(path, 4096, &b, NULL) == 0 &&
                 sscanf(b.data, "%lld %lld %lld", &size, &pages, &shared) == 3;
    if (known) {
        *resident = pages * sysconf(_SC_PAGESIZE);
        *anonymous = (pages - shared) * sysconf(_SC_PAGESIZE);
    }
    buf_free(&b);
    return known;
}

/* ---- what is loaded ---- */

/* Whether it may have a request that we cannot see: since its last word it was handed out, or that was long
 * ago. */
static bool unsure(const struct engine *e)
{
    const int64_t age = clock_mono_ms() - e->busy_at_mono;
    return e->handed_mono >= e->busy_at_mono || age > BUSY_FRESH_MS || (e->busy > 0 && age >= BUSY_AGAIN_MS);
}

static bool in_use(struct engine *e, bool ask)
{
    leases_expire(e);
    const bool doubt = ask && unsure(e);
    if (doubt)
        worker_probe(e->worker);
    return e->lease_count > 0 || e->held_until > clock_mono_ms() || e->busy > 0 || doubt;
}

/* *held: what of the machine's memory is its own. */
static void describe(struct engine *e, bool ask, struct plan_engine *out, int64_t *held)
{
    const struct engine_params *p = &e->all->params;
    int64_t resident = 0;
    *held = 0;
    *out = (struct plan_engine){
        .pinned = e->pinned,
        .group = e->group,
        .last_used =
            e->gated ? 0 : e->last_used_mono, /* what runs dry for somebody is not spared for another */
        .usage_count = e->usage_count,
        .reload_bytes = e->size_bytes,
    };
    if (e->worker->pid > 0 && !worker_memory(e->worker, &resident, held))
        resident = *held = 0; /* it ends at this moment */
    if (e->state == HERMES_ENGINE_STATE_STOPPING)
        out->state = PLAN_STOPPING;
    else if (e->state != HERMES_ENGINE_STATE_READY)
        out->state = PLAN_LOADING;
    else
        out->state = PLAN_READY;
    if (out->state == PLAN_READY) {
        out->busy = in_use(e, ask);
        out->kept = e->batch > 0 || clock_mono_ms() - e->ready_since < p->min_resident_ms;
    }
    const bool loading = out->state == PLAN_LOADING && e->budget_bytes > e->need_bytes;
    out->predicted.in[PLAN_BUDGET] = (loading ? e->budget_bytes : e->need_bytes) + e->process_bytes;
    out->measured.in[PLAN_BUDGET] = resident;
    out->predicted.in[PLAN_MACHINE] = e->need_bytes;
    out->measured.in[PLAN_MACHINE] = *held;
    for (size_t i = 0; i < e->all->device_count; i++)
        out->predicted.in[PLAN_DEVICE + i] = e->device_bytes[i];
}

/* The kernel's figure is what is left: the bound is that and what our engines hold. */
static void rules_of(const struct engines *all, int64_t held, struct capacity *c)
{
    struct proc_memory memory;
    c->rules.max_loaded = all->params.max_loaded;
    for (size_t d = 0; d < PLAN_DIMS; d++)
        c->rules.budget.in[d] = PLAN_NO_BOUND;
    if (all->params.memory_budget_bytes > 0)
        c->rules.budget.in[PLAN_BUDGET] = all->params.memory_budget_bytes;
    c->machine_known = proc_memory(&memory) == 0;
    if (c->machine_known)
        c->rules.budget.in[PLAN_MACHINE] = (int64_t)memory.available_bytes + held;
    for (size_t i = 0; i < all->device_count; i++)
        c->rules.budget.in[PLAN_DEVICE + i] = all->devices[i].capacity;
}

/* What models may keep that nobody asks for: less than the budget when the host is short of power. */
static void idle_budget(const struct engines *all, struct plan_rules *rules)
{
    struct proc_memory memory;
    int64_t *budget = &rules->budget.in[PLAN_BUDGET];
    if (all->pool_factor >= 1)
        return;
    if (*budget == PLAN_NO_BOUND && proc_memory(&memory) == 0)
        *budget = (int64_t)memory.total_bytes;
    if (*budget != PLAN_NO_BOUND)
        *budget = (int64_t)((double)*budget * all->pool_factor);
}

static void want_of(struct engine *e, struct plan_want *w)
{
    const int64_t waited = clock_mono_ms() - e->line_since;
    reckon(e);
    *w = (struct plan_want){.group = e->group,
                            .settles = e->line && waited > SETTLES_MS + 2 * e->all->params.swap_after_ms};
    for (size_t d = PLAN_BUDGET; d <= PLAN_MACHINE; d++) {
        const int64_t process = d == PLAN_BUDGET ? e->process_bytes : 0;
        w->need.in[d] = e->need_bytes + process;
        w->least.in[d] = e->least_bytes + process;
    }
    /* A worker puts fewer layers on a processor that has little room left. */
    for (size_t i = 0; i < e->all->device_count; i++)
        w->need.in[PLAN_DEVICE + i] = e->device_bytes[i];
}

void capacity_plan(struct engines *all, struct engine *e, bool ask, struct capacity *out)
{
    int64_t held = 0, all_held = 0;
    *out = (struct capacity){.n = 0};
    for (struct engine *x = all->first; x && out->n < PLAN_ENGINES_MAX; x = x->next) {
        if (!x->worker || x == e)
            continue;
        out->of[out->n] = x;
        describe(x, ask, &out->engines[out->n++], &held);
        all_held += held;
    }
    rules_of(all, all_held, out);
    if (e) {
        want_of(e, &out->want);
        if (!out->machine_known)
            log_warn("engines", "free memory is unknown: loading without looking at it",
                     LOG_S("model", e->name));
    } else { /* the machine's memory is others' too: only what was promised is kept */
        out->want.nothing = true;
        out->rules.budget.in[PLAN_MACHINE] = PLAN_NO_BOUND;
        idle_budget(all, &out->rules);
    }
    plan_make(out->engines, out->n, &out->want, &out->rules, &out->plan);
}

int64_t capacity_need(struct engine *e)
{
    const int64_t need = e->need_bytes, least = e->least_bytes;
    reckon(e);
    const int64_t out = e->need_bytes;
    e->need_bytes = need;
    e->least_bytes = least;
    return out;
}

void capacity_room(struct engines *all, bool *known, int64_t *usable)
{
    struct capacity c;
    int64_t held = 0, all_held = 0;
    capacity_plan(all, NULL, false, &c);
    for (size_t i = 0; i < c.n; i++) {
        held = c.engines[i].measured.in[PLAN_MACHINE];
        all_held += held;
    }
    rules_of(all, all_held, &c);
    *known = false;
    *usable = INT64_MAX;
    for (size_t d = PLAN_BUDGET; d <= PLAN_MACHINE; d++) {
        int64_t left = c.rules.budget.in[d];
        if (left == PLAN_NO_BOUND)
            continue;
        for (size_t i = 0; i < c.n; i++)
            left -= plan_bytes_of(&c.engines[i], d);
        *known = true;
        *usable = left < *usable ? left : *usable;
    }
    if (!*known || *usable < 0)
        *usable = 0;
}

/* As much as it needs, or its share where that is more; without a budget all that is free, since a worker
 * leaves half of what it could do without. */
void capacity_reserve(struct engine *e, const struct capacity *c)
{
    const struct engine_params *p = &e->all->params;
    const struct plan_bytes *usable = &c->plan.usable;
    const int64_t machine =
        c->n > 0 && usable->in[PLAN_MACHINE] != PLAN_NO_BOUND ? usable->in[PLAN_MACHINE] : 0;
    e->budget_bytes = machine > 0 ? machine : 0;
    if (p->memory_budget_bytes > 0) {
        const int64_t share = p->memory_budget_bytes / (p->max_loaded > 0 ? p->max_loaded : 1);
        int64_t bytes = c->want.need.in[PLAN_BUDGET] > share ? c->want.need.in[PLAN_BUDGET] : share;
        if (bytes > usable->in[PLAN_BUDGET])
            bytes = usable->in[PLAN_BUDGET];
        bytes -= e->process_bytes;
        if (machine <= 0 || bytes < machine)
            e->budget_bytes = bytes;
    }
}

/* ---- why not ---- */

static void name_engines(const struct capacity *c, bool all, char *out, size_t size)
{
    size_t len = 0;
    out[0] = '\0';
    for (size_t i = 0; i < c->n && len < size; i++) {
        const struct engine *e = c->of[i];
        const char *doing = hermes_engine_state_names[e->state];
        if (!all && !e->pinned)
            continue;
        if (e->state == HERMES_ENGINE_STATE_READY)
            doing = e->pinned                            ? "pinned"
                    : c->engines[i].busy && e->busy == 0 ? "just used"
                    : c->engines[i].busy                 ? "busy"
                    : c->engines[i].kept                 ? "just loaded"
                                                         : "idle";
        int n = snprintf(out + len, size - len, "%s%.60s (%s)", len ? ", " : "", e->name, doing);
        len += n > 0 ? (size_t)n : 0;
    }
}

static const char *bound_name(const struct engine *e, size_t dim)
{
    return dim == PLAN_BUDGET    ? "of the memory budget"
           : dim == PLAN_MACHINE ? "of memory"
                                 : e->all->devices[dim - PLAN_DEVICE].name;
}

/* "X needs about 3.0 GB of memory (its file 2.0 GB, the rest for 2048 tokens of context); 2.5 GB of memory
 * would be free with every other model unloaded: 0.5 GB are missing (536870912 bytes)" */
static void say_memory(struct engine *e, const struct capacity *c, bool never)
{
    char need[24], room[24], file[24], missing[24], names[200], held[240] = "";
    const struct plan *p = &c->plan;
    const bool least = never || p->reduced;
    const int64_t want = (least ? &c->want.least : &c->want.need)->in[p->dim];
    const int64_t free_bytes = want - p->missing;
    name_engines(c, !never, names, sizeof names);
    if (names[0])
        (void)snprintf(held, sizeof held, "; loaded: %s", names);
    e->block = BLOCK_MEMORY;
    (void)snprintf(e->block_text, sizeof e->block_text,
                   "%.100s needs about %s of memory (its file %s, the rest for %" PRId64
                   " tokens of context); %s %s %s: %s are missing (%" PRId64 " bytes)%s",
                   e->name, str_format_bytes((uint64_t)want, need),
                   str_format_bytes((uint64_t)e->size_bytes, file),
                   least ? tokens_for(e, CONTEXT_FLOOR) : engine_params_tokens(e),
                   str_format_bytes(free_bytes > 0 ? (uint64_t)free_bytes : 0, room), bound_name(e, p->dim),
                   !never     ? "are free now"
                   : names[0] ? "would be free with all unloaded that is not pinned"
                   : c->n > 0 ? "would be free with every other model unloaded"
                              : "are free",
                   str_format_bytes((uint64_t)p->missing, missing), p->missing, held);
}

static void say_room(struct engine *e, const struct capacity *c)
{
    char names[300];
    name_engines(c, true, names, sizeof names);
    e->block = BLOCK_ROOM;
    (void)snprintf(e->block_text, sizeof e->block_text, "%" PRId64 " models may be loaded at a time: %s",
                   e->all->params.max_loaded, names);
}

void capacity_say(struct engine *e, const struct capacity *c)
{
    const struct plan *p = &c->plan;
    if (p->verdict == PLAN_START)
        e->block = BLOCK_NONE;
    else if (p->missing > 0)
        say_memory(e, c, p->verdict == PLAN_NEVER);
    else
        say_room(e, c);
}
