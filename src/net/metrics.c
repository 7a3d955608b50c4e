/* Metrics: series in families, updated through pointers.
 *
 *   metrics ─> family "vx11_http_requests_total" ─> series route="chat",code="200" ─> value
 *                                                └> series route="chat",code="404" ─> value
 *
 * Registration searches, updates do not. A value is a double in an atomic 64-bit word: one thread pays little
 * for it, and counters may be bumped from the pool's threads. Histograms belong to one thread. */
#include "net/metrics.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/proc.h"
#include "base/str.h"

/* Upper bounds in seconds: three to a decade from 100 us, up to 600 s. The last bucket is +Inf. */
static const double bounds[] = {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
                                0.5,    1,       2.5,    5,     10,     25,    50,   100,   250,  600};
enum { BUCKETS = COUNT_OF(bounds) + 1, LAG_SAMPLES = 20, LAG_PERIOD_MS = 500 };

struct histogram {
    uint64_t counts[BUCKETS];
    uint64_t total;
};

struct metric {
    struct metric *next;
    _Atomic uint64_t bits; /* the value, or the sum of a histogram */
    struct histogram *histogram;
    char *labels; /* with the module's label in front */
};

struct family {
    struct family *next;
    enum metric_kind kind;
    char *name, *help;
    struct metric *series;
};

struct refresh {
    struct refresh *next;
    void (*fn)(void *ctx);
    void *ctx;
};

struct lag_probe { /* outlives the metrics until the loop has closed its timer */
    uv_timer_t timer;
    struct metrics *metrics;
    uint64_t due_ns;
};

struct metrics {
    char *module;
    struct family *families, **families_end;
    struct refresh *refreshes;
    struct lag_probe *probe;
    struct metric *lag, *rss;
    double lags[LAG_SAMPLES];
    size_t lag_count;
};

static void value_add(struct metric *x, double delta)
{
    uint64_t before = atomic_load_explicit(&x->bits, memory_order_relaxed), after;
    do {
        double v;
        memcpy(&v, &before, sizeof v);
        v += delta;
        memcpy(&after, &v, sizeof v);
    } while (!atomic_compare_exchange_weak_explicit(&x->bits, &before, after, memory_order_relaxed,
                                                    memory_order_relaxed));
}

void metric_add(struct metric *x, double value)
{
    value_add(x, value);
}

void metric_set(struct metric *x, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    atomic_store_explicit(&x->bits, bits, memory_order_relaxed);
}

double metric_value(const struct metric *x)
{
    uint64_t bits = atomic_load_explicit(&x->bits, memory_order_relaxed);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

void metric_observe(struct metric *x, double seconds)
{
    size_t i = 0;
    while (i < COUNT_OF(bounds) && seconds > bounds[i])
        i++;
    x->histogram->counts[i]++;
    x->histogram->total++;
    value_add(x, seconds);
}

double metric_quantile(const struct metric *x, double q)
{
    const struct histogram *h = x->histogram;
    if (!h || h->total == 0)
        return NAN;
    double want = q * (double)h->total, seen = 0;
    for (size_t i = 0; i < COUNT_OF(bounds); i++) {
        double in = (double)h->counts[i];
        if (in > 0 && seen + in >= want) {
            double low = i ? bounds[i - 1] : 0;
            return low + (bounds[i] - low) * (want - seen) / in;
        }
        seen += in;
    }
    return bounds[COUNT_OF(bounds) - 1]; /* beyond the last bound nothing finer is known */
}

/* ---- the loop's lag ---- */

static void on_lag_timer(uv_timer_t *timer)
{
    struct lag_probe *p = timer->data;
    struct metrics *m = p->metrics;
    uint64_t now = clock_mono_ns();
    double lag = now > p->due_ns ? (double)(now - p->due_ns) / 1e9 : 0;
    p->due_ns = now + (uint64_t)LAG_PERIOD_MS * 1000000;
    m->lags[m->lag_count++ % LAG_SAMPLES] = lag;
    metric_observe(m->lag, lag);
    uv_timer_start(timer, on_lag_timer, LAG_PERIOD_MS, 0);
}

double metrics_loop_lag(const struct metrics *m)
{
    if (m->lag_count == 0)
        return -1;
    double worst = 0;
    for (size_t i = 0; i < LAG_SAMPLES && i < m->lag_count; i++)
        worst = m->lags[i] > worst ? m->lags[i] : worst;
    return worst;
}

static int probe_start(struct metrics *m, uv_loop_t *loop)
{
    m->lag = metrics_get(m, METRIC_HISTOGRAM, "vx11_loop_lag_seconds", NULL,
                         "How late the event loop ran a timer, sampled twice a second.");
    struct lag_probe *p = calloc(1, sizeof *p);
    if (!p || !m->lag) {
        free(p);
        return VX11_ENOMEM;
    }
    p->metrics = m;
    uv_timer_init(loop, &p->timer);
    p->timer.data = p;
    uv_unref((uv_handle_t *)&p->timer);
    p->due_ns = clock_mono_ns() + (uint64_t)LAG_PERIOD_MS * 1000000;
    uv_update_time(loop);
    uv_timer_start(&p->timer, on_lag_timer, LAG_PERIOD_MS, 0);
    m->probe = p;
    return 0;
}

static void on_probe_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void metrics_stop(struct metrics *m)
{
    if (!m || !m->probe)
        return;
    uv_close((uv_handle_t *)&m->probe->timer, on_probe_closed);
    m->probe = NULL;
}

/* ---- life ---- */

struct metrics *metrics_create(uv_loop_t *loop, const char *module)
{
    struct metrics *m = calloc(1, sizeof *m);
    if (!m)
        return NULL;
    m->families_end = &m->families;
    m->module = strdup(module);
    if (!m->module)
        goto fail;
    m->rss =
        metrics_get(m, METRIC_GAUGE, "vx11_process_resident_bytes", NULL, "Resident memory of the process.");
    if (!m->rss || (loop && probe_start(m, loop) != 0))
        goto fail;
    return m;
fail:
    metrics_destroy(m);
    return NULL;
}

static void series_free(struct metric *x)
{
    while (x) {
        struct metric *next = x->next;
        free(x->histogram);
        free(x->labels);
        free(x);
        x = next;
    }
}

void metrics_destroy(struct metrics *m)
{
    if (!m)
        return;
    metrics_stop(m);
    for (struct family *f = m->families, *next; f; f = next) {
        next = f->next;
        series_free(f->series);
        free(f->name);
        free(f->help);
        free(f);
    }
    for (struct refresh *r = m->refreshes, *next; r; r = next) {
        next = r->next;
        free(r);
    }
    free(m->module);
    free(m);
}

/* ---- registration ---- */

static struct family *family_get(struct metrics *m, enum metric_kind kind, const char *name, const char *help)
{
    for (struct family *f = m->families; f; f = f->next) {
        if (strcmp(f->name, name) == 0)
            return f->kind == kind ? f : NULL;
    }
    struct family *f = calloc(1, sizeof *f);
    if (!f)
        return NULL;
    f->kind = kind;
    f->name = strdup(name);
    f->help = strdup(help ? help : "");
    if (!f->name || !f->help) {
        free(f->name);
        free(f->help);
        free(f);
        return NULL;
    }
    *m->families_end = f;
    m->families_end = &f->next;
    return f;
}

struct metric *metrics_get(struct metrics *m, enum metric_kind kind, const char *name, const char *labels,
                           const char *help)
{
    struct buf full = BUF_INIT;
    struct metric *x = NULL;
    struct family *f = family_get(m, kind, name, help);
    if (!f)
        return NULL;
    buf_printf(&full, "module=\"%s\"%s%s", m->module, labels && *labels ? "," : "", labels ? labels : "");
    if (full.failed)
        goto out;
    struct metric **end = &f->series;
    for (; *end; end = &(*end)->next) {
        if (strcmp((*end)->labels, full.data) == 0) {
            x = *end;
            goto out;
        }
    }
    x = calloc(1, sizeof *x);
    if (!x)
        goto out;
    if (kind == METRIC_HISTOGRAM) {
        x->histogram = calloc(1, sizeof *x->histogram);
        if (!x->histogram) {
            free(x);
            x = NULL;
            goto out;
        }
    }
    x->labels = buf_detach(&full, NULL);
    *end = x;
out:
    buf_free(&full);
    return x;
}

int metrics_on_render(struct metrics *m, void (*fn)(void *ctx), void *ctx)
{
    struct refresh *r = calloc(1, sizeof *r);
    if (!r)
        return VX11_ENOMEM;
    *r = (struct refresh){.next = m->refreshes, .fn = fn, .ctx = ctx};
    m->refreshes = r;
    return 0;
}

/* ---- Prometheus text ---- */

static void render_number(struct buf *out, double v)
{
    /* The format's own words, which are not those of printf. */
    if (isnan(v))
        buf_puts(out, "NaN");
    else if (isinf(v))
        buf_puts(out, v > 0 ? "+Inf" : "-Inf");
    else if (v > -1e15 && v < 1e15 && v == (double)(long long)v)
        buf_printf(out, "%lld", (long long)v);
    else
        buf_printf(out, "%.9g", v);
}

static void render_line(struct buf *out, const char *name, const char *suffix, const char *labels, double v)
{
    buf_printf(out, "%s%s{%s} ", name, suffix, labels);
    render_number(out, v);
    buf_putc(out, '\n');
}

static void render_histogram(struct buf *out, const char *name, const struct metric *x)
{
    uint64_t below = 0;
    for (size_t i = 0; i < BUCKETS; i++) {
        below += x->histogram->counts[i];
        buf_printf(out, "%s_bucket{%s,le=\"", name, x->labels);
        if (i < COUNT_OF(bounds))
            buf_printf(out, "%g", bounds[i]);
        else
            buf_puts(out, "+Inf");
        buf_printf(out, "\"} %llu\n", (unsigned long long)below);
    }
    render_line(out, name, "_sum", x->labels, metric_value(x));
    render_line(out, name, "_count", x->labels, (double)x->histogram->total);
}

int metrics_render(struct metrics *m, struct buf *out)
{
    static const char *const kinds[] = {"counter", "gauge", "histogram"};
    for (struct refresh *r = m->refreshes; r; r = r->next)
        r->fn(r->ctx);
    metric_set(m->rss, (double)proc_self_rss());
    for (const struct family *f = m->families; f; f = f->next) {
        buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", f->name, f->help, f->name, kinds[f->kind]);
        for (const struct metric *x = f->series; x; x = x->next) {
            if (f->kind == METRIC_HISTOGRAM)
                render_histogram(out, f->name, x);
            else
                render_line(out, f->name, "", x->labels, metric_value(x));
        }
    }
    return out->failed ? VX11_ENOMEM : 0;
}
