/* Turn: who of two computes now. The decode thread and the embedder have a context each on the same model and
 * share its threads; computing at the same time they would fight for the cores (see threads.h). So each takes
 * a turn for one step, first come, first served: while both have work they alternate. */
#ifndef VX11_ENGINE_TURN_H
#define VX11_ENGINE_TURN_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum turn_side { TURN_DECODE, TURN_EMBED, TURN_SIDES };

struct turn {
    pthread_mutex_t lock;
    pthread_cond_t given;
    uint64_t next, serving;        /* tickets */
    uint64_t given_ns[TURN_SIDES]; /* monotonic: when each side gave its turn back last; 0: never */
    unsigned waiting[TURN_SIDES];  /* threads that hold a ticket, the one that computes included */
};

void turn_create(struct turn *t);
void turn_destroy(struct turn *t); /* nobody takes part any more */
void turn_take(struct turn *t, enum turn_side side);
void turn_give(struct turn *t, enum turn_side side);
/* Whether that side computes, waits to, or did so within the last `within_ns`. Any thread. */
bool turn_active(struct turn *t, enum turn_side side, uint64_t within_ns);

#endif
