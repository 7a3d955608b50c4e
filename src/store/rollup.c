/* Roll-up: samples to minutes, minutes to hours, one of them in each transaction, so that no other writer
 * waits long. What a run has done is what the tables hold: it goes on behind the latest row. */
#include "store/rollup.h"

enum { ROLLUP_STEPS = 1500 }; /* of one run: a day of minutes */
#define MINUTE_MS  ((int64_t)60000)
#define HOUR_MS    ((int64_t)3600000)
#define SETTLED_MS ((int64_t)5000) /* by then the batched writer has written */

struct grain {
    int64_t length;
    const char *sql_last, *sql_next, *sql_add;
};

static const struct grain grains[] = {
    {MINUTE_MS, "SELECT coalesce(max(at), 0) FROM metric_minute",
     "SELECT coalesce(min(at), 0) FROM metric_sample WHERE at >= ?1",
     "INSERT INTO metric_minute (series, at, mean, most, n) "
     "SELECT series, ?1, avg(value), max(value), count(*) FROM metric_sample "
     "WHERE at >= ?1 AND at < ?2 GROUP BY series ON CONFLICT (series, at) DO NOTHING"},
    {HOUR_MS, "SELECT coalesce(max(at), 0) FROM metric_hour",
     "SELECT coalesce(min(at), 0) FROM metric_minute WHERE at >= ?1",
     "INSERT INTO metric_hour (series, at, mean, most, n) "
     "SELECT series, ?1, sum(mean * n) / sum(n), max(most), sum(n) FROM metric_minute "
     "WHERE at >= ?1 AND at < ?2 GROUP BY series ON CONFLICT (series, at) DO NOTHING"},
};

static int on_number(void *ctx, const struct store_row *row)
{
    *(int64_t *)ctx = row_int(row, 0);
    return 0;
}

/* Everything before *until is added up afterwards, as far as one run gets. */
static int grain_work(struct store *store, const struct grain *g, int64_t end, int64_t *until, int64_t *added,
                      struct error *err)
{
    int64_t at = 0;
    int rc = store_query(store, g->sql_last, NULL, 0, on_number, &at, err);
    at = at > 0 ? at + g->length : 0;
    for (int i = 0; rc == 0 && i < ROLLUP_STEPS; i++) {
        const struct store_value from = STORE_I(at);
        int64_t next = 0;
        rc = store_query(store, g->sql_next, &from, 1, on_number, &next, err);
        at = next > 0 ? next - next % g->length : end;
        if (rc != 0 || at + g->length > end)
            break;
        const struct store_value span[] = {STORE_I(at), STORE_I(at + g->length)};
        rc = store_exec(store, g->sql_add, span, 2, NULL, err);
        at += g->length;
        *added += rc == 0;
    }
    if (rc == 0)
        *until = at < end ? at : end;
    return rc;
}

int store_rollup(struct store *store, int64_t now, struct rollup_until *out, struct error *err)
{
    const int64_t settled = now - SETTLED_MS;
    out->added = 0;
    int rc = grain_work(store, &grains[0], settled - settled % MINUTE_MS, &out->minutes, &out->added, err);
    /* An hour is complete when its minutes are. */
    if (rc == 0)
        rc = grain_work(store, &grains[1], out->minutes - out->minutes % HOUR_MS, &out->hours, &out->added,
                        err);
    return rc;
}
