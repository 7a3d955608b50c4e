/* The choice, over a function that measures one try, so that it can be tested with machines that are not
 * here (fit_measure.c has the real one). */
#include "engine/fit.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/proc.h"
#include "base/str.h"

#define POOL_SMALL  (UINT64_C(256) << 20) /* a pool up to this is not worth saving at */
#define DEVICE_KEPT (UINT64_C(256) << 20) /* of a device: its driver's, and what shows the desktop */

/* ---- room ---- */

/* Address space that may still be mapped, where a limit is set. */
static bool address_space_left(uint64_t *out)
{
    struct rlimit limit;
    struct buf statm = BUF_INIT;
    uint64_t pages = 0;
    if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        return false;
    if (fs_read_file("/proc/self/statm", 4096, &statm, NULL) == 0)
        pages = strtoull(statm.data, NULL, 10);
    buf_free(&statm);
    const uint64_t used = pages * (uint64_t)sysconf(_SC_PAGESIZE);
    *out = used < (uint64_t)limit.rlim_cur ? (uint64_t)limit.rlim_cur - used : 0;
    return true;
}

static void narrow(struct fit_room *r, uint64_t bytes, const char *bound)
{
    if (r->known && r->free_bytes <= bytes)
        return;
    *r = (struct fit_room){.known = true, .free_bytes = bytes, .bound = bound};
}

void fit_room_read(uint64_t most, struct fit_room *out)
{
    struct proc_memory memory;
    uint64_t left;
    *out = (struct fit_room){.bound = "unknown"};
    if (proc_memory(&memory) == 0)
        narrow(out, memory.available_bytes, "are free");
    if (address_space_left(&left))
        narrow(out, left, "are left of the limit on address space");
    if (most > 0)
        narrow(out, most, "may be used");
}

uint64_t fit_need(const struct fit_sizes *s)
{
    return s->mapped + s->weights + s->kv + s->compute + s->rest;
}

/* ---- one try ---- */

struct search {
    const struct fit_want *want;
    const struct fit_room *room;
    fit_measure_fn measure;
    void *ctx;
    struct fit_plan *best;
    struct error *err;
};

static bool device_fits(const struct fit_device *d)
{
    const uint64_t kept = d->total / 20 > DEVICE_KEPT ? d->total / 20 : DEVICE_KEPT;
    const uint64_t need = d->weights + d->kv + d->compute;
    return need == 0 || (d->free > kept && need <= d->free - kept);
}

static bool devices_fit(const struct fit_sizes *s)
{
    for (size_t i = 0; i < s->device_count; i++) {
        if (!device_fits(&s->devices[i]))
            return false;
    }
    return true;
}

static bool sizes_fit(const struct search *s, const struct fit_sizes *sizes)
{
    return devices_fit(sizes) && (!s->room->known || fit_need(sizes) <= s->room->free_bytes);
}

/* 1: it fits and is the best so far; 0: it does not. *sizes is set either way. */
static int try_choice(struct search *s, const struct fit_choice *c, struct fit_sizes *sizes)
{
    const int rc = s->measure(s->ctx, c, sizes, s->err);
    if (rc != 0)
        return rc;
    if (!sizes_fit(s, sizes))
        return 0;
    s->best->choice = *c;
    s->best->sizes = *sizes;
    return 1;
}

/* ---- GPU layers ---- */

/* The largest number of layers with which the devices have room; they hold what belongs to them. */
static int choose_layers(struct search *s, struct fit_choice *c)
{
    struct fit_sizes sizes;
    int low = 0, high = s->want->layers_most;
    c->gpu_layers = s->want->gpu_layers >= 0 ? s->want->gpu_layers : high;
    int rc = s->measure(s->ctx, c, &sizes, s->err);
    if (rc != 0 || s->want->gpu_layers >= 0 || devices_fit(&sizes))
        return rc;
    while (rc == 0 && low + 1 < high) {
        c->gpu_layers = low + (high - low) / 2;
        rc = s->measure(s->ctx, c, &sizes, s->err);
        if (devices_fit(&sizes))
            low = c->gpu_layers;
        else
            high = c->gpu_layers;
    }
    c->gpu_layers = low;
    return rc;
}

/* ---- cells ---- */

static int32_t cells_rounded(int64_t n, int32_t least)
{
    const int64_t down = n / FIT_CELLS_STEP * FIT_CELLS_STEP;
    return down > least ? (int32_t)down : least;
}

/* Between two measured choices need grows evenly with the cells. */
static int32_t cells_within(int32_t low, const struct fit_sizes *at_low, int32_t high,
                            const struct fit_sizes *at_high, uint64_t bytes)
{
    const uint64_t least = fit_need(at_low), most = fit_need(at_high);
    if (bytes >= most || most <= least)
        return high;
    if (bytes <= least)
        return low;
    const double share = (double)(bytes - least) / (double)(most - least);
    return cells_rounded(low + (int64_t)(share * (double)(high - low)), low);
}

/* How many cells are wanted when nobody said: all that `parallel` full contexts can use where that is
 * little; else a full context, and a quarter of one for each of the others; never more than half of what
 * would else be free. */
static int32_t cells_wanted(const struct search *s, int32_t low, const struct fit_sizes *at_low, int32_t high,
                            const struct fit_sizes *at_high)
{
    int32_t cells = high;
    const uint64_t pool = fit_need(at_high) - at_high->mapped - at_high->weights;
    if (at_high->kv > POOL_SMALL) {
        const int32_t small =
            cells_within(low, at_low, high, at_high, fit_need(at_high) - at_high->kv + POOL_SMALL);
        const int64_t quarter = low + (int64_t)(s->want->parallel - 1) * (low / 4);
        cells = quarter > small ? cells_rounded(quarter, low) : small;
    }
    if (s->room->known && pool > 0) {
        const uint64_t least = fit_need(at_low), room = s->room->free_bytes;
        const int32_t share =
            cells_within(low, at_low, high, at_high, room > least ? least + (room - least) / 2 : least);
        cells = cells < share ? cells : share;
    }
    return cells;
}

/* One kind of cells with one length of context. 1: something fits. */
static int choose_cells(struct search *s, struct fit_choice c)
{
    struct fit_sizes at_low, at_high;
    const int64_t all = (int64_t)c.context * s->want->parallel;
    const int32_t most = all < INT32_MAX - FIT_CELLS_STEP ? (int32_t)all : INT32_MAX - FIT_CELLS_STEP;
    c.cells = s->want->cells > 0 ? s->want->cells : c.context;
    const int fits = try_choice(s, &c, &at_low);
    if (fits != 1 || s->want->cells > 0 || c.cells == most)
        return fits;
    const int32_t low = c.cells;
    c.cells = most;
    int rc = s->measure(s->ctx, &c, &at_high, s->err);
    if (rc != 0)
        return rc;
    c.cells = cells_wanted(s, low, &at_low, most, &at_high);
    if (c.cells > low && (rc = try_choice(s, &c, &at_high)) < 0)
        return rc;
    return 1;
}

/* The longest context that fits, when the wanted one does not. */
static int choose_context(struct search *s, struct fit_choice c)
{
    struct fit_sizes sizes;
    int32_t high = c.context, low = FIT_CONTEXT_FLOOR;
    if (s->want->context_fixed || s->want->cells > 0 || low >= high)
        return 0;
    c.context = c.cells = low;
    int fits = try_choice(s, &c, &sizes);
    while (fits >= 0 && s->best->choice.context > 0 && high - low > FIT_CELLS_STEP) {
        c.context = c.cells = cells_rounded(low + (high - low) / 2, low + FIT_CELLS_STEP);
        fits = try_choice(s, &c, &sizes);
        if (fits == 1)
            low = c.context;
        else
            high = c.context;
    }
    return fits < 0 ? fits : s->best->choice.context > 0;
}

/* ---- all together ---- */

static int refuse(const char *name, const struct search *s, const struct fit_choice *c)
{
    char need[24], weights[24], kv[24], compute[24], free_bytes[24], hint[160] = "";
    struct fit_sizes z;
    const int rc = s->measure(s->ctx, c, &z, s->err);
    if (rc != 0)
        return rc;
    s->best->sizes = z;
    const uint64_t others = fit_need(&z) - z.kv, room = s->room->free_bytes;
    if (!devices_fit(&z) && fit_need(&z) <= room)
        return error_set(s->err, VX11_ENOMEM,
                         "%.128s does not fit with %d layers on the graphics processor; fewer, or -1, would",
                         name, c->gpu_layers);
    if (others >= room)
        (void)snprintf(hint, sizeof hint, "not even a context of no tokens would fit");
    else if (z.kv > 0)
        (void)snprintf(hint, sizeof hint, "at most about %" PRIu64 " tokens of context would fit",
                       (uint64_t)((double)(room - others) / (double)z.kv * c->cells));
    return error_set(s->err, VX11_ENOMEM,
                     "%.128s needs %s of memory (weights %s, %d tokens of context as %s %s, computing %s) "
                     "and %s %s; %s",
                     name, str_format_bytes(fit_need(&z), need),
                     str_format_bytes(z.mapped + z.weights, weights), c->cells,
                     c->kv == MODEL_KV_Q8_0 ? "q8_0" : "f16", str_format_bytes(z.kv, kv),
                     str_format_bytes(z.compute + z.rest, compute), str_format_bytes(room, free_bytes),
                     s->room->bound, hint);
}

int fit_choose(const char *name, const struct fit_want *want, const struct fit_room *room,
               fit_measure_fn measure, void *ctx, struct fit_plan *out, struct error *err)
{
    struct search s = {.want = want, .room = room, .measure = measure, .ctx = ctx, .best = out, .err = err};
    const enum model_kv_type first = want->kv == MODEL_KV_Q8_0 ? MODEL_KV_Q8_0 : MODEL_KV_F16;
    struct fit_choice c = {.context = want->context, .kv = first};
    *out = (struct fit_plan){.room = *room};
    if (want->cells > 0 && c.context > want->cells)
        c.context = want->cells;
    c.cells = want->cells > 0 ? want->cells : c.context;
    int rc = choose_layers(&s, &c);
    if (rc == 0)
        rc = choose_cells(&s, c);
    if (rc == 0 && want->kv == MODEL_KV_AUTO) {
        c.kv = MODEL_KV_Q8_0;
        rc = choose_cells(&s, c);
        if (rc == VX11_EUNSUPPORTED) {
            c.kv = MODEL_KV_F16;
            rc = 0;
        }
    }
    if (rc == 0)
        rc = choose_context(&s, c);
    if (rc == 0) {
        c.context = want->context_fixed || c.context < FIT_CONTEXT_FLOOR ? c.context : FIT_CONTEXT_FLOOR;
        c.cells = want->cells > 0 ? want->cells : c.context;
        return refuse(name, &s, &c);
    }
    out->reduced = rc == 1 && (out->choice.kv != first || out->choice.context < want->context ||
                               (want->gpu_layers < 0 && out->choice.gpu_layers < want->layers_most));
    return rc < 0 ? rc : 0;
}
