/* Chart: GET /operator/metrics. Rows of the grain that fits the span, the latest of finer ones, into steps.
 */
#include "operator/samples/samples_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"

enum { CHART_SERIES = 96, CHART_VALUES = 2000, CHART_USUAL = 300 };
#define HOUR_MS ((int64_t)3600000)
#define DAY_MS  (24 * HOUR_MS)

/* ?1 series ?2 from ?3 until ?4 what is added up by then. Each takes what its grain has, then the finer one.
 */
static const char sql_samples[] =
    "SELECT at, value, value, 1 FROM metric_sample WHERE series = ?1 AND at >= ?2 AND at < ?3";
static const char sql_minutes[] =
    "SELECT at, mean, most, n FROM metric_minute WHERE series = ?1 AND at >= ?2 AND at < min(?3, ?4) "
    "UNION ALL SELECT at, value, value, 1 FROM metric_sample "
    "WHERE series = ?1 AND at >= max(?2, ?4) AND at < ?3";
static const char sql_hours[] =
    "SELECT at, mean, most, n FROM metric_hour WHERE series = ?1 AND at >= ?2 AND at < min(?3, ?5) "
    "UNION ALL SELECT at, mean, most, n FROM metric_minute "
    "WHERE series = ?1 AND at >= max(?2, ?5) AND at < min(?3, ?4) "
    "UNION ALL SELECT at, value, value, 1 FROM metric_sample "
    "WHERE series = ?1 AND at >= max(?2, ?4) AND at < ?3";

struct value {
    double sum, n, most;
};
struct chart {
    struct samples *s;
    struct arena *a;
    int64_t since, until, step;
    enum operator_series_resolution resolution;
    size_t count; /* values */
    struct value *values;
};

/* ---- which ---- */

/* Whether a list with commas names it; NULL names everything. */
static bool names(const char *list, const char *name)
{
    const size_t len = strlen(name);
    if (!list)
        return true;
    for (const char *p = list; *p;) {
        const size_t n = strcspn(p, ",");
        if (n == len && memcmp(p, name, len) == 0)
            return true;
        p += n + (p[n] == ',');
    }
    return false;
}

static int64_t round_up(int64_t ms, int64_t to)
{
    return (ms + to - 1) / to * to;
}

/* False: the request makes no sense, told. */
static bool chart_span(struct chart *c, struct request *r, const struct operator_metrics_params *q)
{
    const int64_t interval = samples_interval(c->s);
    c->until = q->has_until ? q->until : clock_wall_ms();
    c->since = q->has_since ? q->since : c->until - HOUR_MS;
    const int64_t span = c->until - c->since;
    if (span <= 0 || c->since < 0 || span > 400 * DAY_MS) {
        request_fail(r, 422, "invalid_span", "since", "since must be before until, at most 400 days");
        return false;
    }
    c->step = q->has_step ? q->step : span / CHART_USUAL;
    if (c->step < (span + CHART_VALUES - 1) / CHART_VALUES)
        c->step = (span + CHART_VALUES - 1) / CHART_VALUES;
    /* The finest grain whose rows are few enough and still kept. */
    const int64_t kept = clock_wall_ms() - operator_config(c->s->o)->samples->keep_ms;
    if (span <= HOUR_MS * 3 / 2 && c->since >= kept) {
        c->resolution = OPERATOR_SERIES_RESOLUTION_SAMPLE;
        c->step = round_up(c->step > interval ? c->step : interval, interval < 1000 ? 1000 : interval);
    } else if (span <= DAY_MS * 3 / 2) {
        c->resolution = OPERATOR_SERIES_RESOLUTION_MINUTE;
        c->step = round_up(c->step, 60000);
    } else {
        c->resolution = OPERATOR_SERIES_RESOLUTION_HOUR;
        c->step = round_up(c->step, HOUR_MS);
    }
    c->since -= c->since % c->step;
    c->count = (size_t)((c->until - c->since + c->step - 1) / c->step);
    return true;
}

/* ---- values ---- */

static int on_row(void *ctx, const struct store_row *row)
{
    struct chart *c = ctx;
    const int64_t at = row_int(row, 0);
    const size_t i = at >= c->since ? (size_t)((at - c->since) / c->step) : c->count;
    if (i >= c->count)
        return 0;
    struct value *v = &c->values[i];
    const double n = (double)row_int(row, 3), most = row_real(row, 2);
    v->most = v->n == 0 || most > v->most ? most : v->most;
    v->sum += row_real(row, 1) * n;
    v->n += n;
    return 0;
}

static int values_write(const struct chart *c, enum operator_series_kind kind, yyjson_val **out)
{
    struct buf text = BUF_INIT;
    struct contract_error bad;
    buf_putc(&text, '[');
    for (size_t i = 0; i < c->count; i++) {
        const struct value *v = &c->values[i];
        if (i)
            buf_putc(&text, ',');
        if (v->n == 0)
            buf_puts(&text, "null");
        else
            buf_printf(&text, "%.6g", kind == OPERATOR_SERIES_KIND_QUANTILE ? v->most : v->sum / v->n);
    }
    buf_putc(&text, ']');
    /* The values live on in the arena, and with them their text. */
    const char *copy = text.failed ? NULL : arena_strndup(c->a, text.data, text.len);
    const int rc = copy ? contract_json_parse(c->a, copy, text.len, NULL, out, &bad) : VX11_ENOMEM;
    buf_free(&text);
    return rc;
}

static int series_read(struct chart *c, const struct series *x, struct operator_metric_series *out,
                       struct error *err)
{
    static const char *const sql[] = {[OPERATOR_SERIES_RESOLUTION_SAMPLE] = sql_samples,
                                      [OPERATOR_SERIES_RESOLUTION_MINUTE] = sql_minutes,
                                      [OPERATOR_SERIES_RESOLUTION_HOUR] = sql_hours};
    static const size_t bound[] = {[OPERATOR_SERIES_RESOLUTION_SAMPLE] = 3,
                                   [OPERATOR_SERIES_RESOLUTION_MINUTE] = 4,
                                   [OPERATOR_SERIES_RESOLUTION_HOUR] = 5};
    const struct store_value values[] = {STORE_I(x->id), STORE_I(c->since), STORE_I(c->until),
                                         STORE_I(c->s->rollup.minutes_until),
                                         STORE_I(c->s->rollup.hours_until)};
    memset(c->values, 0, c->count * sizeof *c->values);
    int rc = store_query(module_store(c->s->o->m), sql[c->resolution], values, bound[c->resolution], on_row,
                         c, err);
    *out = (struct operator_metric_series){.module = arena_strdup(c->a, x->module),
                                           .name = arena_strdup(c->a, x->name),
                                           .unit = arena_strdup(c->a, x->unit),
                                           .kind = (int)x->kind};
    if (rc == 0)
        rc = out->module && out->name && out->unit ? values_write(c, x->kind, &out->values) : VX11_ENOMEM;
    return rc;
}

static int series_order(const void *a, const void *b)
{
    const struct operator_metric_series *x = a, *y = b;
    const int module = strcmp(x->module, y->module);
    return module ? module : strcmp(x->name, y->name);
}

void samples_chart(struct request *r, void *module)
{
    struct samples *s = ((struct operator_ *)module)->samples;
    const struct operator_metrics_params *q = request_params(r);
    struct chart c = {.s = s, .a = request_arena(r)};
    struct operator_metric_series *out = arena_array(c.a, CHART_SERIES, sizeof *out);
    struct error err = {0};
    size_t count = 0;
    int rc = 0;
    if (!chart_span(&c, r, q))
        return;
    c.values = arena_array(c.a, c.count + 1, sizeof *c.values);
    if (!out || !c.values)
        rc = VX11_ENOMEM;
    for (size_t i = 0; i < s->series.count && rc == 0; i++) {
        const struct series *x = &s->series.list[i];
        if (!names(q->names, x->name) || !names(q->modules, x->module))
            continue;
        if (count == CHART_SERIES) {
            request_fail(r, 422, "too_many_series", "names",
                         "that names more than %d series; fewer names or modules", CHART_SERIES);
            return;
        }
        rc = series_read(&c, x, &out[count++], &err);
    }
    if (rc != 0) {
        if (err.code == 0)
            (void)error_set(&err, rc, "the samples cannot be read: %s", error_describe(rc));
        request_fail_error(r, &err);
        return;
    }
    qsort(out, count, sizeof *out, series_order);
    const struct operator_metrics_reply reply = {.since = c.since,
                                                 .until = c.since + (int64_t)c.count * c.step,
                                                 .step_ms = c.step,
                                                 .resolution = (int)c.resolution,
                                                 .series = out,
                                                 .series_count = count};
    request_reply(r, 200, &operator_metrics_reply_message, &reply);
}
