/* What the files of the learner share. */
#ifndef VX11_SWITCH_LEARNER_INTERNAL_H
#define VX11_SWITCH_LEARNER_INTERNAL_H

#include "switch/selection/learner.h"

struct mean { /* decayed */
    double weight, sum;
};

struct learner_row {
    char *task, *provider, *model;
    int64_t at;          /* epoch ms that the decayed sums are as of */
    struct mean success; /* sum of ones and zeros */
    struct mean first_token, token, total;
    int64_t requests, failures, ratings; /* all of them */
    uint32_t hash;
    int32_t next; /* of the same bucket; -1: none */
    bool dirty;
};

struct learner_gone { /* rows that the table still has */
    char *task, *provider, *model;
};

struct learner {
    double half_life_ms;
    size_t max_rows;
    struct learner_row *rows;
    size_t count, cap;
    int32_t *buckets; /* heads; a power of two of them, at least twice the rows */
    size_t bucket_count;
    struct learner_gone *gone;
    size_t gone_count;
};

/* The row; made when it is not there. NULL without memory. */
struct learner_row *learner_row(struct learner *l, const char *task, const char *provider, const char *model);
struct learner_row *learner_find(const struct learner *l, const char *task, const char *provider,
                                 const char *model);
void learner_clear(struct learner *l);

#endif
