/* A ticket lock. A plain mutex would not do: who gives it back and takes it again at once, as a decode loop
 * does, gets it before those who wait have woken up. */
#include "engine/turn.h"

#include "base/clock.h"

void turn_create(struct turn *t)
{
    *t = (struct turn){.next = 0};
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->given, NULL);
}

void turn_destroy(struct turn *t)
{
    pthread_cond_destroy(&t->given);
    pthread_mutex_destroy(&t->lock);
}

void turn_take(struct turn *t, enum turn_side side)
{
    pthread_mutex_lock(&t->lock);
    const uint64_t ticket = t->next++;
    t->waiting[side]++;
    while (t->serving != ticket)
        pthread_cond_wait(&t->given, &t->lock);
    pthread_mutex_unlock(&t->lock);
}

void turn_give(struct turn *t, enum turn_side side)
{
    pthread_mutex_lock(&t->lock);
    t->serving++;
    t->waiting[side]--;
    t->given_ns[side] = clock_mono_ns();
    pthread_cond_broadcast(&t->given);
    pthread_mutex_unlock(&t->lock);
}

bool turn_active(struct turn *t, enum turn_side side, uint64_t within_ns)
{
    pthread_mutex_lock(&t->lock);
    const uint64_t given = t->given_ns[side];
    const bool active = t->waiting[side] > 0 || (given > 0 && clock_mono_ns() - given < within_ns);
    pthread_mutex_unlock(&t->lock);
    return active;
}
