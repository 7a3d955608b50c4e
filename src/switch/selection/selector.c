/* Selector: its life, its timers, the mode, the local models. */
#include "switch/selection/selector_internal.h"

#include <stdlib.h>
#include <string.h>

#include "api/hermes.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"

#define FLUSH_EVERY_MS 1000
#define MODE_KEY       "switch.mode"
#define EXTERNAL_ROWS  "/dev/null/" /* then ENGINE/MODEL: path of a model that has no file here */

static const char sql_mode_read[] = "SELECT value FROM setting WHERE key = '" MODE_KEY "'";
static const char sql_mode_write[] = "INSERT INTO setting (key, value, updated_at) VALUES ('" MODE_KEY
                                     "', ?1, ?2) ON CONFLICT (key) DO UPDATE SET value = ?1, updated_at = ?2";
static const char sql_queue_size[] = "SELECT count(*) FROM job WHERE state = 'queued'";
static const char sql_sample[] =
    "INSERT INTO fluzo_sample (at, profile, cpu_pct, memory_pct, swap_pct, memory_stall_pct, on_ac, "
    "battery_pct, temperature_c, disk_pct) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";

static const struct config_switch *settings(const struct selector *s)
{
    return module_config(s->sw->m)->values->switch_;
}

/* ---- the host ---- */

/* NaN is SQL's null. */
static struct store_value number_or_null(double v)
{
    return v == v ? STORE_D(v) : STORE_N;
}

static void sample_keep(struct selector *s)
{
    const struct fluzo_signals *g = &s->fluzo.now;
    struct store_value v[] = {
        STORE_I(g->at),
        store_text(switch_fluzo_profile_names[fluzo_profile(&s->fluzo)]),
        number_or_null(g->cpu_pct),
        number_or_null(g->memory_pct),
        number_or_null(g->swap_pct),
        number_or_null(g->memory_stall_pct),
        g->on_ac == g->on_ac ? STORE_I(g->on_ac == 1) : STORE_N,
        number_or_null(g->battery_pct),
        number_or_null(g->temperature_c),
        number_or_null(g->disk_pct),
    };
    if (writer_push(module_writer(s->sw->m), sql_sample, v, COUNT_OF(v)) != 0)
        log_debug("fluzo", "a sample could not be kept");
}

static void selector_maybe_stopped(struct selector *s)
{
    if (s->closing && s->open_handles == 0 && !s->looking)
        s->stopped(s->stopped_ctx);
}

static void on_look(uv_work_t *work) /* on a thread of the pool */
{
    struct selector *s = work->data;
    fluzo_read("", s->home, &s->seen);
}

static void mode_apply(struct selector *s)
{
    enum switch_mode mode = selector_mode(s);
    if (mode != s->applied) {
        log_info("selector", "the mode that applies has changed",
                 LOG_S("from", switch_mode_names[s->applied]), LOG_S("to", switch_mode_names[mode]),
                 LOG_S("set", switch_mode_names[s->mode]), LOG_S("host", s->fluzo.reason));
        s->applied = mode;
    }
    if (s->sw->queue)
        queue_set_mode_workers(s->sw->queue, mode_profile(mode)->workers);
}

static void on_looked(uv_work_t *work, int status)
{
    struct selector *s = work->data;
    s->looking = false;
    if (status == 0 && !s->closing) {
        fluzo_take(&s->fluzo, &s->seen);
        mode_apply(s);
        if (settings(s)->fluzo->keep_samples)
            sample_keep(s);
    }
    selector_maybe_stopped(s);
}

static void on_look_time(uv_timer_t *timer)
{
    struct selector *s = timer->data;
    if (s->looking)
        return; /* a sensor that takes its time */
    s->work.data = s;
    s->looking = uv_queue_work(module_loop(s->sw->m), &s->work, on_look, on_looked) == 0;
}

static void on_flush_time(uv_timer_t *timer)
{
    struct selector *s = timer->data;
    learner_flush(s->learner, module_writer(s->sw->m));
}

enum switch_fluzo_profile selector_host(const struct selector *s)
{
    return fluzo_profile(&s->fluzo);
}

const struct fluzo *selector_fluzo(const struct selector *s)
{
    return &s->fluzo;
}

struct learner *selector_learner(struct selector *s)
{
    return s->learner;
}

/* ---- the mode ---- */

enum switch_mode selector_mode(const struct selector *s)
{
    return mode_effective(s->mode, selector_host(s));
}

enum switch_mode selector_mode_set(const struct selector *s)
{
    return s->mode;
}

static int on_mode_row(void *ctx, const struct store_row *row)
{
    struct selector *s = ctx;
    char text[64];
    /* A JSON string. */
    row_copy(row, 0, text, sizeof text);
    size_t len = strlen(text);
    if (len < 2 || text[0] != '"' || text[len - 1] != '"')
        return 0;
    text[len - 1] = '\0';
    s->mode_remembered = mode_parse(text + 1, &s->mode);
    return 0;
}

int selector_set_mode(struct selector *s, enum switch_mode mode, struct error *err)
{
    struct buf text = BUF_INIT;
    buf_printf(&text, "\"%s\"", switch_mode_names[mode]);
    struct store_value v[] = {store_text(text.data), STORE_I(clock_wall_ms())};
    int rc = text.failed ? error_set(err, VX11_ENOMEM, "out of memory")
                         : store_exec(module_store(s->sw->m), sql_mode_write, v, 2, NULL, err);
    buf_free(&text);
    if (rc != 0)
        return rc;
    log_info("selector", "the mode was set", LOG_S("from", switch_mode_names[s->mode]),
             LOG_S("to", switch_mode_names[mode]));
    s->mode = mode;
    s->mode_remembered = true;
    mode_apply(s);
    return 0;
}

/* ---- local models ---- */

static void locals_drop(struct selector *s)
{
    for (size_t i = 0; i < s->local_count; i++) {
        free(s->locals[i].name);
        free(s->locals[i].engine);
    }
    free(s->locals);
    s->locals = NULL;
    s->local_count = 0;
}

/* Name of the engine that is not VX11's own; NULL: its own, or no memory. The row of a model that only such
 * an engine has says so by its path. */
static char *engine_of(const struct hermes_model *m)
{
    if (m->engine && m->engine->engine)
        return strdup(m->engine->engine);
    if (!str_starts(m->path, EXTERNAL_ROWS))
        return NULL;
    const char *name = m->path + strlen(EXTERNAL_ROWS);
    return strndup(name, strcspn(name, "/"));
}

static bool engine_has(const struct config_external_engine *e, const char *model)
{
    for (size_t i = 0; i < e->models_count; i++)
        if (strcmp(e->models[i], model) == 0)
            return true;
    return false;
}

bool selector_stays(const struct selector *s, const char *model)
{
    const struct config_hermes *c = module_config(s->sw->m)->values->hermes;
    const struct local_fact *f = selector_local(s, model);
    const char *engine = f ? f->engine : NULL;
    bool known = false;
    for (size_t i = 0; i < c->engines_count; i++) {
        const struct config_external_engine *e = &c->engines[i];
        bool its = !f || str_eq(engine, e->name) || engine_has(e, model);
        bool address = e->base_url && e->base_url[0];
        if (its && address && !e->local)
            return false;
        known |= its;
    }
    /* An engine that the configuration does not know (any more): nobody can vouch for it. */
    return known || !f || (!engine && !f->external);
}

static int64_t or_unknown(bool has, int64_t value)
{
    return has ? value : -1;
}

static void local_fill(struct selector *s, struct local_fact *f, const struct hermes_model *m)
{
    const struct local_fact *before = selector_local(s, m->name);
    const struct hermes_engine *e = m->engine;
    f->context = or_unknown(m->has_context_length, m->context_length);
    f->parameters = or_unknown(m->has_parameters, m->parameters);
    f->size_bytes = or_unknown(m->has_size_bytes, m->size_bytes);
    f->last_used_at = or_unknown(m->has_last_used_at, m->last_used_at);
    f->ready = e && e->state == HERMES_ENGINE_STATE_READY;
    f->loading = e && (e->state == HERMES_ENGINE_STATE_LOADING || e->state == HERMES_ENGINE_STATE_STARTING);
    f->load_ms = e && e->has_load_ms ? e->load_ms : before ? before->load_ms : -1;
    f->external = str_starts(m->path, EXTERNAL_ROWS) || (e && e->engine);
    f->engine = engine_of(m);
}

void selector_models(struct selector *s, const struct hermes_model *models, size_t n)
{
    struct local_fact *facts = calloc(n + 1, sizeof *facts);
    size_t count = 0;
    for (size_t i = 0; facts && i < n; i++) {
        facts[count].name = strdup(models[i].name);
        if (facts[count].name)
            local_fill(s, &facts[count++], &models[i]);
    }
    if (!facts)
        return; /* what was known stays */
    locals_drop(s);
    s->locals = facts;
    s->local_count = count;
}

const struct local_fact *selector_local(const struct selector *s, const char *model)
{
    for (size_t i = 0; i < s->local_count; i++)
        if (strcmp(s->locals[i].name, model) == 0)
            return &s->locals[i];
    return NULL;
}

const char *selector_warm_model(const struct selector *s, const char *active)
{
    const struct local_fact *warm = NULL;
    for (size_t i = 0; i < s->local_count; i++) {
        const struct local_fact *f = &s->locals[i];
        if (f->ready && !str_eq(f->name, active) && (!warm || f->last_used_at > warm->last_used_at))
            warm = f;
    }
    return warm ? warm->name : NULL;
}

/* ---- GET /switch/context ---- */

static int on_size(void *ctx, const struct store_row *row)
{
    *(int64_t *)ctx = row_int(row, 0);
    return 0;
}

int64_t selector_queue_size(struct selector *s)
{
    int64_t n = -1;
    struct error err = {0};
    if (store_query(module_store(s->sw->m), sql_queue_size, NULL, 0, on_size, &n, &err) != 0)
        log_warn("selector", "the queue could not be counted", LOG_S("reason", err.text));
    return n;
}

void selector_context(struct switch_ *sw, struct switch_context *out)
{
    int64_t waiting = selector_queue_size(sw->selector);
    out->mode = (int)selector_mode(sw->selector);
    out->warm_model = selector_warm_model(sw->selector, out->active_model);
    out->has_queue_size = waiting >= 0;
    out->queue_size = waiting;
}

/* ---- life ---- */

static void configure(struct selector *s)
{
    const struct config_switch *c = settings(s);
    learner_configure(s->learner, c->learner->half_life_ms, (size_t)c->learner->max_rows);
    static const enum switch_fluzo_profile profiles[] = {
        [CONFIG_FLUZO_PROFILE_AUTO] = SWITCH_FLUZO_PROFILE_BALANCED,
        [CONFIG_FLUZO_PROFILE_LOW_POWER] = SWITCH_FLUZO_PROFILE_LOW_POWER,
        [CONFIG_FLUZO_PROFILE_BALANCED] = SWITCH_FLUZO_PROFILE_BALANCED,
        [CONFIG_FLUZO_PROFILE_PERFORMANCE] = SWITCH_FLUZO_PROFILE_PERFORMANCE,
    };
    fluzo_override(&s->fluzo, c->fluzo->profile != CONFIG_FLUZO_PROFILE_AUTO, profiles[c->fluzo->profile]);
    if (!s->mode_remembered)
        mode_parse(config_switch_mode_names[c->mode], &s->mode);
}

static void looks_start(struct selector *s)
{
    uint64_t every = (uint64_t)settings(s)->fluzo->interval_ms;
    uv_timer_start(&s->look, on_look_time, 1, every);
}

int selector_start(struct switch_ *sw, struct selector **out, struct error *err)
{
    struct selector *s = calloc(1, sizeof *s);
    *out = s;
    if (!s)
        return error_set(err, VX11_ENOMEM, "out of memory");
    s->sw = sw;
    s->home = module_home(sw->m);
    s->learner = learner_create(1, 1);
    if (!s->learner)
        return error_set(err, VX11_ENOMEM, "out of memory");
    fluzo_init(&s->fluzo);
    int rc = store_query(module_store(sw->m), sql_mode_read, NULL, 0, on_mode_row, s, err);
    configure(s);
    s->applied = selector_mode(s);
    if (rc == 0)
        rc = learner_load(s->learner, module_store(sw->m), err);
    if (rc != 0)
        return rc;
    uv_timer_init(module_loop(sw->m), &s->flush);
    uv_timer_init(module_loop(sw->m), &s->look);
    s->open_handles = 2;
    s->flush.data = s->look.data = s;
    uv_timer_start(&s->flush, on_flush_time, FLUSH_EVERY_MS, FLUSH_EVERY_MS);
    looks_start(s);
    return 0;
}

void selector_reload(struct selector *s)
{
    configure(s);
    looks_start(s);
    mode_apply(s);
}

static void on_closed(uv_handle_t *handle)
{
    struct selector *s = handle->data;
    s->open_handles--;
    selector_maybe_stopped(s);
}

void selector_stop(struct selector *s, void (*done)(void *ctx), void *ctx)
{
    s->stopped = done;
    s->stopped_ctx = ctx;
    s->closing = true;
    learner_flush(s->learner, module_writer(s->sw->m));
    uv_close((uv_handle_t *)&s->flush, on_closed);
    uv_close((uv_handle_t *)&s->look, on_closed);
}

void selector_free(struct selector *s)
{
    if (!s)
        return;
    locals_drop(s);
    learner_destroy(s->learner);
    free(s);
}
