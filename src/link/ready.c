/* Ready: two questions that programs ask of the front door without a token.
 *
 *   GET /healthz   is this process alive? Answered from nothing at all.
 *   GET /readyz    can it do its work? 200, or 503 with the reasons: names and plain words, no addresses,
 *                  no versions, nothing that a stranger could use.
 *
 * Readiness is measured when it is asked for: every module's /health at once, within PROBE_MS. Whoever asks
 * meanwhile waits for the same answer, and for FRESH_MS it is everybody's, so that no number of questions
 * makes more than one look. What did not answer in time is unknown, and so not ready. */
#include "link/link_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "store/states.h"

#define PROBE_MS    1500
#define FRESH_MS    2000
#define WAITING_MAX 64
#define REASONS_MAX (LINK_MODULES * 4 + 4)
#define REASON_SIZE 160

struct ready_peer {
    struct link_ready *ready;
    const char *name;
};

struct link_ready {
    struct link *l;
    int64_t measured_ms; /* monotonic; 0: never */
    int64_t measured_at; /* epoch ms */
    char modules[REASONS_MAX][32], reasons[REASONS_MAX][REASON_SIZE];
    size_t reason_count;
    char off[LINK_MODULES + 1][32];
    size_t off_count;
    struct ready_peer peers[LINK_MODULES];
    size_t probing; /* answers that are still to come, and one while they are asked for */
    struct request *waiting[WAITING_MAX];
    size_t waiting_count;
};

/* ---- what was found ---- */

static void ready_not(struct link_ready *y, const char *module, const char *reason)
{
    if (y->reason_count == REASONS_MAX)
        return;
    const size_t i = y->reason_count++;
    snprintf(y->modules[i], sizeof y->modules[i], "%.31s", module);
    snprintf(y->reasons[i], sizeof y->reasons[i], "%.*s", REASON_SIZE - 1, reason);
}

static void ready_reply(struct link_ready *y, struct request *r)
{
    struct arena *a = request_arena(r);
    struct link_ready_reason *reasons = arena_array(a, REASONS_MAX, sizeof *reasons);
    const char **off = arena_array(a, LINK_MODULES + 1, sizeof *off);
    if (!reasons || !off) {
        request_fail(r, 503, "out_of_memory", NULL, "out of memory");
        return;
    }
    for (size_t i = 0; i < y->reason_count; i++)
        reasons[i] = (struct link_ready_reason){.module = y->modules[i], .reason = y->reasons[i]};
    for (size_t i = 0; i < y->off_count; i++)
        off[i] = y->off[i];
    const struct link_ready_reply reply = {.ready = y->reason_count == 0,
                                           .measured_at = y->measured_at,
                                           .reasons = reasons,
                                           .reasons_count = y->reason_count,
                                           .off = off,
                                           .off_count = y->off_count};
    request_reply_header(r, "Cache-Control", "no-store");
    request_reply(r, reply.ready ? 200 : 503, &link_ready_reply_message, &reply);
}

static void ready_step(struct link_ready *y)
{
    if (--y->probing > 0)
        return;
    y->measured_ms = clock_mono_ms();
    y->measured_at = clock_wall_ms();
    while (y->waiting_count > 0)
        ready_reply(y, y->waiting[--y->waiting_count]);
}

/* ---- measuring ---- */

static void on_probe(void *ctx, const struct common_health_reply *reply, double latency_ms,
                     const struct error *err)
{
    struct ready_peer *p = ctx;
    struct link_ready *y = p->ready;
    (void)latency_ms;
    (void)err; /* it names paths */
    if (!reply)
        ready_not(y, p->name, "it does not answer");
    else if (reply->state != COMMON_STATE_ACTIVE)
        ready_not(y, p->name, "it is in standby");
    else if (reply->status == COMMON_HEALTH_DOWN)
        ready_not(y, p->name, "it is down");
    /* A module that is degraded serves; but who cannot write what happens is not ready. */
    for (size_t i = 0; reply && i < reply->checks_count; i++)
        if (str_eq(reply->checks[i].name, "database") && reply->checks[i].status != COMMON_HEALTH_OK)
            ready_not(y, p->name, "it cannot use the database");
    ready_step(y);
}

/* Link itself, and what it cannot do without. */
static bool needed(const char *name)
{
    return str_eq(name, "link") || str_eq(name, "switch");
}

/* Whether it is to be asked: what is off on purpose does not count, unless nothing is answered without it. */
static bool state_wanted(struct link_ready *y, const char *name)
{
    struct module_state_row row;
    struct error err = {0};
    if (module_state_get(module_store(y->l->m), name, &row, &err) != 0) {
        ready_not(y, name, "its state cannot be read");
        return false;
    }
    if (row.state == MODULE_STATE_ACTIVE)
        return true;
    if (row.state == MODULE_STATE_STANDBY)
        ready_not(y, name, "it is in standby");
    else if (needed(name))
        ready_not(y, name, "it is off");
    if (row.state == MODULE_STATE_OFF)
        snprintf(y->off[y->off_count++], sizeof y->off[0], "%.31s", name);
    return false;
}

static void ready_measure(struct link_ready *y)
{
    struct link *l = y->l;
    y->reason_count = y->off_count = 0;
    y->probing = 1;
    (void)state_wanted(y, "link");
    if (!module_can_write(l->m))
        ready_not(y, "link", "it cannot use the database");
    for (size_t i = 0; i < LINK_MODULES; i++) {
        const char *name = l->peers[i].name;
        y->peers[i] = (struct ready_peer){.ready = y, .name = name};
        if (!state_wanted(y, name))
            continue;
        y->probing++;
        if (module_probe(module_client(l->m), module_peer(l->m, name), PROBE_MS, on_probe, &y->peers[i]) !=
            0) {
            ready_not(y, name, "it could not be asked");
            y->probing--;
        }
    }
    ready_step(y);
}

/* ---- routes ---- */

void ready_alive(struct request *r, void *module)
{
    static const char body[] = "{\"ok\":true}";
    (void)module;
    request_reply_static(r, 200, "application/json", body, sizeof body - 1);
}

static void on_left(struct request *r, void *ctx, int reason)
{
    struct link_ready *y = ctx;
    (void)reason;
    for (size_t i = 0; i < y->waiting_count; i++) {
        if (y->waiting[i] == r) {
            y->waiting[i] = y->waiting[--y->waiting_count];
            break;
        }
    }
    request_fail(r, 503, "not_ready", NULL, "not measured in time");
}

void ready_get(struct request *r, void *module)
{
    struct link_ready *y = ((struct link *)module)->ready;
    if (y->measured_ms > 0 && y->probing == 0 && clock_mono_ms() - y->measured_ms < FRESH_MS) {
        ready_reply(y, r);
        return;
    }
    if (y->waiting_count == WAITING_MAX) {
        request_retry_after(r, 1000);
        request_fail(r, 503, "not_ready", NULL, "too many ask at once");
        return;
    }
    y->waiting[y->waiting_count++] = r;
    request_on_cancel(r, on_left, y);
    if (y->probing == 0)
        ready_measure(y);
}

struct link_ready *ready_create(struct link *l)
{
    struct link_ready *y = calloc(1, sizeof *y);
    if (y)
        y->l = l;
    return y;
}

void ready_destroy(struct link_ready *y)
{
    free(y);
}
