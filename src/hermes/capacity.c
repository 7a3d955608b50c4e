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

#define OVERHEAD_BYTES (INT64_C(64) << 20) /* a process with its libraries and compute buffers, roughly */
#define BUSY_FRESH_MS  250                 /* how old a measured load may be */

/* As the worker reckons: never more than the model was trained for. */
int64_t engine_params_tokens(const struct engine *e)
{
    const struct engine_params *p = &e->all->params;
    int64_t ctx = p->ctx > 0 ? p->ctx : p->max_ctx;
    if (e->context_length > 0 && e->context_length < ctx)
        ctx = e->context_length;
    return ctx * p->parallel;
}

static int64_t need_of(const struct engine *e)
{
    int64_t kv = 0;
    if (e->kv_bytes_per_token > 0 &&
        __builtin_mul_overflow(e->kv_bytes_per_token, engine_params_tokens(e), &kv))
        kv = INT64_MAX / 4;
    if (strcmp(e->all->params.kv_type, "q8_0") == 0)
        kv = kv / 64 * 34; /* 34 bytes for 32 numbers instead of 64 */
    if (kv > INT64_MAX / 4)
        kv = INT64_MAX / 4;
    return e->size_bytes + kv + OVERHEAD_BYTES;
}

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
                   e->name, str_format_bytes((uint64_t)e->need_bytes, need),
                   str_format_bytes((uint64_t)e->size_bytes, file), engine_params_tokens(e),
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
    e->need_bytes = need_of(e);
    bool full = room.processes >= all->params.max_loaded;
    bool tight = room.known && e->need_bytes > room.usable;
    if (!room.known)
        log_warn("engines", "free memory is unknown: loading without looking at it", LOG_S("model", e->name));
    if (!full && !tight)
        return CAPACITY_OK;
    if (tight)
        say_memory(e, room.usable, "are free now");
    else
        say_room(e);
    if (tight && e->need_bytes > room.with_all) {
        say_memory(e, room.with_all,
                   room.processes > 0 ? "would be free with every other model unloaded" : "are free");
        return CAPACITY_NEVER;
    }
    if (room.stopping > 0)
        return CAPACITY_WAIT; /* its memory comes back when it is gone */
    struct engine *victim = find_victim(all, &asked);
    if (victim) {
        char reason[256];
        (void)snprintf(reason, sizeof reason, "unloaded to make room for %.128s", e->name);
        if (all->evictions)
            metric_add(all->evictions, 1);
        engine_unload(victim, reason);
    }
    return CAPACITY_WAIT;
}
