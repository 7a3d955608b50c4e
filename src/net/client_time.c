/* Time limits. Each live call stands once in a binary heap, ordered by the moment when its next limit passes;
 * one uv_timer follows the top, and libcurl's own wish to be called. What only moves a limit away (data
 * arrived, the connection stands) does not touch the heap: the call is looked at again when its old moment
 * comes. So a call that goes well costs one insertion and one removal, and the timer is rarely set. */
#include "net/client_internal.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/str.h"

enum limit { LIMIT_NONE, LIMIT_DEADLINE, LIMIT_CONNECT, LIMIT_FIRST_BYTE, LIMIT_IDLE };

/* ---- heap ---- */

int client_time_reserve(struct client *c)
{
    size_t need = c->live_count + 1;
    if (need <= c->heap_cap)
        return 0;
    size_t cap = c->heap_cap ? c->heap_cap * 2 : 64;
    struct client_call **heap = realloc(c->heap, cap * sizeof(struct client_call *));
    if (heap == NULL)
        return VX11_ENOMEM;
    c->heap = heap;
    c->heap_cap = cap;
    return 0;
}

static void heap_place(struct client *c, size_t i, struct client_call *call)
{
    c->heap[i] = call;
    call->heap_index = i;
}

static void heap_up(struct client *c, size_t i, struct client_call *call)
{
    while (i > 0 && c->heap[(i - 1) / 2]->due > call->due) {
        heap_place(c, i, c->heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    heap_place(c, i, call);
}

static void heap_down(struct client *c, size_t i, struct client_call *call)
{
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= c->heap_len)
            break;
        if (child + 1 < c->heap_len && c->heap[child + 1]->due < c->heap[child]->due)
            child++;
        if (c->heap[child]->due >= call->due)
            break;
        heap_place(c, i, c->heap[child]);
        i = child;
    }
    heap_place(c, i, call);
}

void client_time_forget(struct client_call *call)
{
    struct client *c = call->client;
    size_t i = call->heap_index;
    if (i == SIZE_MAX)
        return;
    call->heap_index = SIZE_MAX;
    struct client_call *last = c->heap[--c->heap_len];
    if (last == call)
        return;
    if (i > 0 && c->heap[(i - 1) / 2]->due > last->due)
        heap_up(c, i, last);
    else
        heap_down(c, i, last);
}

/* ---- limits ---- */

static int64_t ns_to_ms(uint64_t ns)
{
    return (int64_t)(ns / 1000000u);
}

static void limit_earlier(int64_t due, enum limit which, int64_t *best, enum limit *best_which)
{
    if (*best_which != LIMIT_NONE && *best <= due)
        return;
    *best = due;
    *best_which = which;
}

/* The limit that passes next, and when. */
static enum limit limit_next(const struct client_call *call, int64_t *due)
{
    enum limit which = LIMIT_NONE;
    uint64_t since = call->last_data > call->connected ? call->last_data : call->connected;
    *due = 0;
    if (call->deadline_ms > 0)
        limit_earlier(call->deadline_ms, LIMIT_DEADLINE, due, &which);
    if (call->phase <= CALL_CONNECTING)
        limit_earlier(ns_to_ms(call->started) + call->connect_limit, LIMIT_CONNECT, due, &which);
    if (call->phase == CALL_WAITING && call->first_limit > 0 && !call->paused)
        limit_earlier(ns_to_ms(since) + call->first_limit, LIMIT_FIRST_BYTE, due, &which);
    if (call->phase == CALL_STREAMING && call->idle_limit > 0 && !call->paused)
        limit_earlier(ns_to_ms(since) + call->idle_limit, LIMIT_IDLE, due, &which);
    return which;
}

static void limit_fail(struct client_call *call, enum limit which)
{
    char peer[160], span[24];
    client_peer_name(call, peer, sizeof peer);
    switch (which) {
    case LIMIT_DEADLINE:
        if (call->phase == CALL_QUEUED) {
            client_fail(call, VX11_ETIMEOUT, "the deadline had passed before the request was sent");
            break;
        }
        str_format_duration(call->deadline_ms - ns_to_ms(call->started), span);
        client_fail(call, VX11_ETIMEOUT,
                    "%s did not finish its answer before the deadline, %s after the start", peer, span);
        break;
    case LIMIT_CONNECT:
        str_format_duration(call->connect_limit, span);
        client_fail(call, VX11_ETIMEOUT, "no connection to %s within %s (connect timeout)", peer, span);
        break;
    case LIMIT_FIRST_BYTE:
        str_format_duration(call->first_limit, span);
        client_fail(call, VX11_ETIMEOUT, "%s did not begin to answer within %s (first byte timeout)", peer,
                    span);
        break;
    case LIMIT_IDLE:
        str_format_duration(call->idle_limit, span);
        client_fail(call, VX11_ETIMEOUT, "%s fell silent in the middle of its answer for %s (idle timeout)",
                    peer, span);
        break;
    case LIMIT_NONE:
        break;
    }
}

void client_time_touch(struct client_call *call)
{
    struct client *c = call->client;
    int64_t due;
    if (limit_next(call, &due) == LIMIT_NONE)
        return;
    if (call->heap_index == SIZE_MAX) {
        call->due = due;
        heap_up(c, c->heap_len++, call);
    } else if (due < call->due) {
        call->due = due;
        heap_up(c, call->heap_index, call);
    } else {
        return;
    }
    client_time_arm(c);
}

/* ---- timer ---- */

void client_time_arm(struct client *c)
{
    int64_t due = c->curl_due;
    if (c->heap_len > 0 && (due < 0 || c->heap[0]->due < due))
        due = c->heap[0]->due;
    if (due < 0 || (c->timer_due >= 0 && c->timer_due <= due))
        return;
    int64_t delay = due - (int64_t)uv_now(c->loop);
    uv_timer_start(&c->timer, client_on_timer, delay > 0 ? (uint64_t)delay : 0, 0);
    c->timer_due = due;
}

void client_time_curl(struct client *c, long timeout_ms)
{
    c->curl_due = -1;
    if (timeout_ms < 0) {
        c->kick = false;
    } else if (timeout_ms == 0) {
        c->kick = true;
        client_wake(c);
    } else {
        c->kick = false;
        c->curl_due = clock_mono_ms() + timeout_ms;
        client_time_arm(c);
    }
}

void client_on_timer(uv_timer_t *timer)
{
    struct client *c = timer->data;
    int64_t now = clock_mono_ms();
    c->timer_due = -1;
    if (c->curl_due >= 0 && c->curl_due <= now) {
        c->curl_due = -1;
        c->kick = true;
    }
    while (c->heap_len > 0 && c->heap[0]->due <= now) {
        struct client_call *call = c->heap[0];
        int64_t due;
        enum limit which = limit_next(call, &due);
        client_time_forget(call);
        if (which != LIMIT_NONE && due <= now)
            limit_fail(call, which);
        else
            client_time_touch(call);
    }
    client_run(c);
    client_time_arm(c);
}
