/* Arithmetic on times that the caller gives: nothing here looks at a clock. */
#include "hermes/pull/bucket.h"

#define LONGEST_ETA_MS (INT64_C(365) * 24 * 3600 * 1000)

static int64_t burst(const struct bucket *b)
{
    return b->rate / 5 > 16384 ? b->rate / 5 : 16384;
}

void bucket_set(struct bucket *b, int64_t rate, int64_t now_ms)
{
    b->rate = rate;
    b->level = b->level > 0 ? 0 : b->level;
    b->filled = now_ms;
}

void bucket_take(struct bucket *b, int64_t bytes)
{
    if (b->rate > 0)
        b->level -= bytes;
}

bool bucket_open(struct bucket *b, int64_t now_ms)
{
    if (b->rate <= 0)
        return true;
    int64_t passed = now_ms - b->filled;
    if (passed > 60000)
        passed = 60000;
    int64_t more = passed > 0 ? (int64_t)((double)b->rate * (double)passed / 1000) : 0;
    if (more > 0) { /* else the time is kept for later: a slow rate gives no whole byte at once */
        b->filled = now_ms;
        b->level += more;
        if (b->level > burst(b))
            b->level = burst(b);
    }
    return b->level > 0;
}

void meter_sample(struct meter *m, int64_t now_ms, int64_t total)
{
    unsigned last = (m->next + METER_SLOTS - 1) % METER_SLOTS;
    if (m->count > 0 && now_ms - m->at[last] < METER_SLOT_MS)
        return;
    m->at[m->next] = now_ms;
    m->total[m->next] = total;
    m->next = (m->next + 1) % METER_SLOTS;
    m->count += m->count < METER_SLOTS;
}

double meter_rate(const struct meter *m, int64_t now_ms, int64_t total)
{
    if (m->count == 0)
        return -1;
    unsigned first = (m->next + METER_SLOTS - m->count) % METER_SLOTS;
    int64_t ms = now_ms - m->at[first], bytes = total - m->total[first];
    if (ms < METER_SLOT_MS / 2 || bytes < 0)
        return -1;
    return (double)bytes * 1000 / (double)ms;
}

int64_t meter_eta_ms(double rate, int64_t left)
{
    if (left <= 0)
        return 0;
    if (!(rate > 0))
        return -1;
    double ms = (double)left / rate * 1000;
    return ms > (double)LONGEST_ETA_MS ? -1 : (int64_t)ms;
}
