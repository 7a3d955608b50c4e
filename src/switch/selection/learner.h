/* Learner: how often each model answered well, and how fast, by type of task; what is old counts less.
 *
 *   attempt's end ─> observe ─> the row of (task, provider, model) and that of ("*", provider, model)
 *                                  decayed: half of it is left after half_life_ms
 *   score <─ learned = (success + 2 prior) / (weight + 2),  prior: the same over all tasks, at first 0.5
 *
 * Each sum carries the weight exp2(-age / half life), so the numbers do not depend on the order in which what
 * happened is told. Rows are written to the table `learned`; learner_rebuild makes them again from the rows
 * of decision, usage and feedback. One thread. */
#ifndef VX11_SWITCH_LEARNER_H
#define VX11_SWITCH_LEARNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "store/store.h"

#define LEARNER_ALL    "*"
#define LEARNER_PRIOR  2.0 /* requests that the prior counts for */
#define LEARNER_RATING 2.0 /* requests that a person's full rating counts for */

struct learner;

/* NULL without memory. max_rows: the one not seen for longest goes. */
struct learner *learner_create(int64_t half_life_ms, size_t max_rows);
void learner_destroy(struct learner *l); /* NULL is fine */
void learner_configure(struct learner *l, int64_t half_life_ms, size_t max_rows);
int64_t learner_half_life(const struct learner *l);

struct observation { /* negative: not known */
    int64_t at;      /* epoch ms of its end */
    bool ok;
    double first_token_ms, total_ms;
    int64_t tokens;
};
void learner_observe(struct learner *l, const char *task, const char *provider, const char *model,
                     const struct observation *o);
/* A person's rating, from -1 to 1. */
void learner_rate(struct learner *l, const char *task, const char *provider, const char *model, int64_t at,
                  double rating);

struct learned {    /* negative: nothing is known */
    double learned; /* 0 to 1; 0.5 where nothing is known */
    double success, weight;
    double first_token_ms, token_ms, total_ms;
    int64_t requests, failures, ratings, updated_at;
    bool any; /* something was learned of this model at all, in whichever task */
};
/* As of now. Times are those of the task where it has some, else those over all tasks. */
void learner_get(const struct learner *l, const char *task, const char *provider, const char *model,
                 int64_t now, struct learned *out);
/* Every row, by task, provider, model: fn's non-zero stops and is returned. Only the row's own figures. */
int learner_each(struct learner *l, int64_t now,
                 int (*fn)(void *ctx, const char *task, const char *provider, const char *model,
                           const struct learned *row),
                 void *ctx);
size_t learner_count(const struct learner *l);

/* Reads the table. */
int learner_load(struct learner *l, struct store *s, struct error *err);
/* Hands what has changed to the writer; what it cannot take is tried again next time. */
void learner_flush(struct learner *l, struct writer *w);
/* Forgets all and learns it again from the rows of decision and feedback. */
int learner_rebuild(struct learner *l, struct store *s, struct error *err);

#endif
