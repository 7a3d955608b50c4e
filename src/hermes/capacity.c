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

#define BUSY_FRESH_MS 250 /* how old a measured load may be */

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

/* What its worker said, of a load like this one, is worth more than any estimate. */
static void reckon(struct engine *e)
{
    const struct engine_params *p = &e->all->params;
    const bool small = strcmp(p->kv_type, "q8_0") == 0, free_choice = strcmp(p->kv_type, "auto") == 0;
    e->need_bytes = estimate(e, engine_params_tokens(e), small);
    e->least_bytes = estimate(e, p->ctx > 0 ? engine_params_tokens(e) : tokens_for(e, CONTEXT_FLOOR),
                              small || free_choice);
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

struct room {
    bool known;
    int64_t usable;   /* now, after what running engines still need */
    int64_t with_all; /* if every engine were unloaded */
    int64_t processes, stopping;
};

static void measure(struct engines *all, struct room *out)
{
    struct proc_memory memory;
    *out = (struct room){.known = proc_memory(&memory) == 0};
    if (out->known)
        out->usable = out->with_all = (int64_t)memory.available_bytes;
    for (const struct engine *e = all->first; e; e = e->next) {
        if (!e->worker)
            continue;
        int64_t resident, held;
        out->processes++;
        out->stopping += e->state == HERMES_ENGINE_STATE_STOPPING;
        if (!process_memory(e->worker->pid, &resident, &held))
            continue;
        out->usable -= e->need_bytes > held ? e->need_bytes - held : 0;
        out->with_all += held;
    }
}

/* The engine unused for longest among those that do nothing. NULL: none; *asked: some still have to be asked.
 */
static struct engine *find_victim(struct engines *all, bool *asked)
{
    int64_t now = clock_mono_ms();
    int64_t grace = all->params.grace_ms > 0 ? all->params.grace_ms : 1000;
    struct engine *victim = NULL;
    *asked = false;
    for (struct engine *e = all->first; e; e = e->next) {
        if (e->state != HERMES_ENGINE_STATE_READY || e->waits || now - e->last_used_mono < grace)
            continue;
        if (now - e->busy_at_mono > BUSY_FRESH_MS) {
            *asked = true;
            worker_probe(e->worker);
        } else if (e->busy == 0 && (!victim || e->last_used_mono < victim->last_used_mono)) {
            victim = e;
        }
    }
    return *asked ? NULL : victim;
}

static void name_busy(const struct engines *all, char *out, size_t size)
{
    size_t len = 0;
    out[0] = '\0';
    for (const struct engine *e = all->first; e && len < size; e = e->next) {
        if (!e->worker)
            continue;
        const char *doing = e->state == HERMES_ENGINE_STATE_READY ? (e->busy > 0 ? "busy" : "just used")
                                                                  : hermes_engine_state_names[e->state];
        int n = snprintf(out + len, size - len, "%s%.60s (%s)", len ? ", " : "", e->name, doing);
        len += n > 0 ? (size_t)n : 0;
    }
}

static void say_memory(struct engine *e, int64_t bytes, const char *when)
{
    char need[24], free_bytes[24], file[24];
    e->block = BLOCK_MEMORY;
    (void)snprintf(e->block_text, sizeof e->block_text,
                   "%s needs about %s of memory (its file %s, the rest for %" PRId64
                   " tokens of context); %s %s",
                   e->name, str_format_bytes((uint64_t)e->least_bytes, need),
                   str_format_bytes((uint64_t)e->size_bytes, file), tokens_for(e, CONTEXT_FLOOR),
                   str_format_bytes(bytes > 0 ? (uint64_t)bytes : 0, free_bytes), when);
}

static void say_room(struct engine *e)
{
    char busy[300];
    name_busy(e->all, busy, sizeof busy);
    e->block = BLOCK_ROOM;
    (void)snprintf(e->block_text, sizeof e->block_text,
                   "%" PRId64 " models may be loaded at a time and none of these can be unloaded now: %s",
                   e->all->params.max_loaded, busy);
}

enum capacity capacity_check(struct engines *all, struct engine *e)
{
    struct room room;
    bool asked;
    measure(all, &room);
    reckon(e);
    e->budget_bytes = room.known && room.processes > 0 && room.usable > 0 ? room.usable : 0;
    bool full = room.processes >= all->params.max_loaded;
    bool tight = room.known && e->need_bytes > room.usable;
    bool possible = !room.known || e->least_bytes <= room.usable;
    if (!room.known)
        log_warn("engines", "free memory is unknown: loading without looking at it", LOG_S("model", e->name));
    if (!full && (!tight || (possible && e->need_bytes > room.with_all)))
        return CAPACITY_OK; /* in the second case no unloading would make room for all that it wants */
    if (tight)
        say_memory(e, room.usable, "are free now");
    else
        say_room(e);
    if (!possible && e->least_bytes > room.with_all) {
        say_memory(e, room.with_all,
                   room.processes > 0 ? "would be free with every other model unloaded" : "are free");
        return CAPACITY_NEVER;
    }
    if (room.stopping > 0)
        return CAPACITY_WAIT; /* its memory comes back when it is gone */
    struct engine *victim = find_victim(all, &asked);
    if (!victim && !asked && !full && possible)
        return CAPACITY_OK; /* with less context: nobody can go */
    if (victim) {
        char reason[256];
        (void)snprintf(reason, sizeof reason, "unloaded to make room for %.128s", e->name);
        if (all->evictions)
            metric_add(all->evictions, 1);
        engine_unload(victim, reason);
    }
    return CAPACITY_WAIT;
}
