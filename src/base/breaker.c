/* Breaker: three states in one struct, no timer: that the open time is over is found out by looking at the
 * clock.
 *
 * A call may end long after the breaker changed its state under it. While open, such late results change
 * nothing: only a probe's result may close the breaker. While half open they cannot be told from the probe's
 * and count like it, which errs by at most one round. */
#include "base/breaker.h"

#include <stddef.h>

#include "base/clock.h"
#include "base/ulid.h"

void breaker_init(struct breaker *b, unsigned threshold, int64_t open_ms)
{
    *b = (struct breaker){
        .threshold = threshold > 0 ? threshold : 1,
        .open_ms = open_ms > 0 ? open_ms : 0,
        .state = BREAKER_CLOSED,
    };
}

/* Up to a tenth of ms, so that the breakers of many processes do not all probe a recovering peer at once. */
static int64_t jitter(int64_t ms)
{
    uint64_t r;
    random_bytes(&r, sizeof r);
    return (int64_t)(r % ((uint64_t)ms / 10 + 1));
}

static void open_at(struct breaker *b, int64_t now)
{
    b->state = BREAKER_OPEN;
    b->probing = false;
    b->opened_at = now;
    b->opened_total++;
    int64_t wait;
    if (__builtin_add_overflow(b->open_ms, jitter(b->open_ms), &wait) ||
        __builtin_add_overflow(now, wait, &b->open_until))
        b->open_until = INT64_MAX;
}

bool breaker_allow(struct breaker *b, int64_t now)
{
    if (b->state == BREAKER_CLOSED)
        return true;
    if (b->state == BREAKER_OPEN && now >= b->open_until) {
        b->state = BREAKER_HALF_OPEN;
        b->probing = false;
    }
    if (b->state == BREAKER_HALF_OPEN && !b->probing) {
        b->probing = true;
        return true;
    }
    b->rejected_total++;
    return false;
}

bool breaker_success(struct breaker *b)
{
    if (b->state == BREAKER_OPEN)
        return false;
    bool changed = b->state == BREAKER_HALF_OPEN;
    b->state = BREAKER_CLOSED;
    b->failures = 0;
    b->probing = false;
    return changed;
}

bool breaker_failure(struct breaker *b, int64_t now)
{
    b->last_failure_wall = clock_wall_ms();
    if (b->failures < UINT32_MAX)
        b->failures++;
    if (b->state == BREAKER_OPEN)
        return false;
    if (b->state == BREAKER_CLOSED && b->failures < b->threshold)
        return false;
    open_at(b, now);
    return true;
}

void breaker_abandon(struct breaker *b)
{
    b->probing = false;
}

enum breaker_state breaker_peek(const struct breaker *b, int64_t now)
{
    return b->state == BREAKER_OPEN && now >= b->open_until ? BREAKER_HALF_OPEN : b->state;
}

int64_t breaker_retry_after_ms(const struct breaker *b, int64_t now)
{
    if (b->state == BREAKER_CLOSED)
        return 0;
    /* Half open: the probe may end at any moment. */
    return b->state == BREAKER_OPEN && now < b->open_until ? b->open_until - now : 1;
}

const char *breaker_state_name(enum breaker_state s)
{
    switch (s) {
    case BREAKER_CLOSED:
        return "closed";
    case BREAKER_OPEN:
        return "open";
    case BREAKER_HALF_OPEN:
        return "half_open";
    }
    return "unknown";
}
