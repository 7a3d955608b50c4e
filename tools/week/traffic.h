/* Traffic: the rows that an ordinary day of one person's VX11 leaves behind, made up, at a clock of the
 * caller's. The same seed gives the same rows. */
#ifndef VX11_WEEK_TRAFFIC_H
#define VX11_WEEK_TRAFFIC_H

#include <stdint.h>

#include "store/store.h"

struct traffic {
    struct writer *writer;
    double scale;            /* 1: one chat request a second, around the clock, and what goes with it */
    uint64_t random;         /* state of the generator; any number to begin with */
    uint64_t rows, requests; /* pushed so far; of them, chat requests */
    double owed[8];          /* parts of rows that earlier hours left over, by kind */
};

/* The names that metric samples and messages refer to. */
int traffic_prepare(struct store *s, int64_t now_ms, struct error *err);
/* One hour that begins at from_ms: requests with decision and usage, events, jobs, metric samples every ten
 * seconds, messages, intents, incidents (most of them seen before), starts of modules. Waits while the
 * writer's queue is full. */
int traffic_hour(struct traffic *t, int64_t from_ms, struct error *err);

#endif
