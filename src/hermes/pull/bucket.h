/* Bucket: a limit on bytes a second. Bytes that have come are taken out, also below zero; who finds it empty
 * waits until it has filled up again. And the rate of what came, over the last seconds. */
#ifndef VX11_HERMES_PULL_BUCKET_H
#define VX11_HERMES_PULL_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

struct bucket {
    int64_t rate;   /* bytes a second; 0: no limit */
    int64_t level;  /* bytes that may still come */
    int64_t filled; /* monotonic ms when it was last filled */
};

void bucket_set(struct bucket *b, int64_t rate, int64_t now_ms);
void bucket_take(struct bucket *b, int64_t bytes);
/* Whether bytes may come now. */
bool bucket_open(struct bucket *b, int64_t now_ms);

enum { METER_SLOTS = 12, METER_SLOT_MS = 500 };

struct meter {
    int64_t at[METER_SLOTS], total[METER_SLOTS]; /* a ring of samples */
    unsigned next, count;
};

/* total: bytes so far. Called often; keeps a sample each METER_SLOT_MS. */
void meter_sample(struct meter *m, int64_t now_ms, int64_t total);
/* Bytes a second over the samples and now; negative: not known yet. */
double meter_rate(const struct meter *m, int64_t now_ms, int64_t total);
/* Time for what is left at a rate, ms; -1: not known. */
int64_t meter_eta_ms(double rate, int64_t left);

#endif
