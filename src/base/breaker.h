/* Breaker: the one circuit breaker. It opens after `threshold` consecutive failures, waits `open_ms` (plus up
 * to 10 % jitter), then lets exactly one probe through; that probe's result closes or reopens it.
 *
 *   closed ──threshold failures──> open ──open_ms──> half_open (one probe) ──success──> closed
 *                                   ^──────────────failure──────────┘
 *
 * Only transport errors, timeouts and 5xx are failures: a 4xx is the caller's. Monotonic time. Not
 * thread-safe. */
#ifndef VX11_BASE_BREAKER_H
#define VX11_BASE_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_HALF_OPEN };

struct breaker {
    unsigned threshold; /* >= 1 */
    int64_t open_ms;
    enum breaker_state state; /* read through breaker_peek */
    unsigned failures;        /* consecutive */
    int64_t opened_at;        /* monotonic ms, with jitter already added to open_until */
    int64_t open_until;
    bool probing;
    int64_t last_failure_wall; /* epoch ms, 0: never */
    uint64_t opened_total, rejected_total;
};

void breaker_init(struct breaker *b, unsigned threshold, int64_t open_ms);
/* May this call go ahead at `now` (monotonic ms)? Takes the probe slot when half open. Every true must be
 * followed by exactly one breaker_success, breaker_failure or breaker_abandon (the call was cancelled and
 * says nothing). */
bool breaker_allow(struct breaker *b, int64_t now);
/* Each returns true when the state changed, so that the caller can publish an event. */
bool breaker_success(struct breaker *b);
bool breaker_failure(struct breaker *b, int64_t now);
void breaker_abandon(struct breaker *b);
enum breaker_state breaker_peek(const struct breaker *b, int64_t now); /* no side effect */
int64_t breaker_retry_after_ms(const struct breaker *b, int64_t now);  /* 0 when closed */
const char *breaker_state_name(enum breaker_state s);

#endif
