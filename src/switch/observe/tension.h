/* Tension: how loaded Switch is, from 0 (idle) to 100 (saturated), measured every few seconds.
 *
 *   value = ceil(100 (1 - (1 - .9 active)(1 - .7 queue)(1 - .5 waiting)(1 - .7 errors)(1 - .5 host)))
 *
 * Each part alone can raise it, several together raise it further, and none past 100. What is not known is
 * left out. 0 means that everything that is known was measured as nothing. */
#ifndef VX11_SWITCH_TENSION_H
#define VX11_SWITCH_TENSION_H

#include "net/server.h"
#include "switch/selection/fluzo.h"

struct switch_;
struct tension;

struct tension_load {          /* as measured; negative: not known */
    double running, capacity;  /* attempts at providers that have a bound, and those bounds */
    double queued, workers;    /* jobs that wait, that run at a time */
    double waiting;            /* requests that wait for an engine */
    double attempts, failures; /* of the last minute */
    struct fluzo_signals host; /* at 0: not looked yet */
};
enum tension_part {
    TENSION_ACTIVE,
    TENSION_QUEUE,
    TENSION_WAITING,
    TENSION_ERRORS,
    TENSION_HOST,
    TENSION_PARTS
};

/* Parts from 0 to 1, negative: not known. The value; -1: nothing is known. */
int tension_of(const struct tension_load *load, double parts[TENSION_PARTS]);
/* Whether a value is worth an event: it is new (before -1), has moved by three points or to or from 0; or a
 * minute has passed and it is not 0. */
bool tension_worth(int before, int now, int64_t since_ms);

int tension_start(struct switch_ *sw, struct tension **out, struct error *err);
void tension_tick(struct tension *t, int64_t now); /* every 50 ms; NULL is fine */
void tension_free(struct tension *t);              /* NULL is fine */
void tension_show(struct request *r, void *module);

#endif
