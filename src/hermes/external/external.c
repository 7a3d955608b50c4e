/* The set of external engines: from the configuration, beside what was measured of those that stay the
 * same. */
#include "hermes/external/external.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "hermes/external/external_internal.h"

/* ---- one ---- */

static void strings_free(char **list, size_t n)
{
    for (size_t i = 0; list && i < n; i++)
        free(list[i]);
    free(list);
}

struct external *external_ref(struct external *x)
{
    if (x)
        x->refs++;
    return x;
}

void external_unref(struct external *x)
{
    if (!x || --x->refs > 0)
        return;
    strings_free(x->argv, x->argc);
    strings_free(x->env, x->env_count);
    strings_free(x->models, x->model_count);
    free(x->name);
    free(x->base_url);
    free(x->health);
    free(x->slots);
    free(x->upstream);
    free(x);
}

const char *external_upstream(const struct external *x, const char *model)
{
    return x->upstream ? x->upstream : model;
}

static char *copy_or_null(const char *s)
{
    return s && s[0] ? strdup(s) : NULL;
}

static int copy_strings(const char *const *from, size_t n, char ***out, size_t *count)
{
    *out = calloc(n + 1, sizeof **out);
    *count = 0;
    for (size_t i = 0; *out && i < n; i++) {
        (*out)[i] = strdup(from[i]);
        if (!(*out)[i])
            return VX11_ENOMEM;
        (*count)++;
    }
    return *out ? 0 : VX11_ENOMEM;
}

int external_set_models(struct external *x, const char *const *names, size_t n)
{
    char **list;
    size_t count;
    if (copy_strings(names, n, &list, &count) != 0) {
        strings_free(list, count);
        return VX11_ENOMEM;
    }
    strings_free(x->models, x->model_count);
    x->models = list;
    x->model_count = count;
    return 0;
}

/* Only what somebody else's engine has a use for; what the configuration says goes over it. */
static const char *const passed_on[] = {
    "HOME",
    "TMPDIR",
    "XDG_CACHE_HOME",
    "LD_LIBRARY_PATH",
    "CUDA_VISIBLE_DEVICES",
    "HIP_VISIBLE_DEVICES",
    "GGML_VK_VISIBLE_DEVICES",
    "TZ",
};

static int env_add(struct external *x, const char *name, const char *value, yyjson_val *own)
{
    if (!value || (own && yyjson_obj_get(own, name)))
        return 0;
    if (asprintf(&x->env[x->env_count], "%s=%s", name, value) < 0) {
        x->env[x->env_count] = NULL;
        return VX11_ENOMEM;
    }
    x->env_count++;
    return 0;
}

static int env_fill(struct external *x, yyjson_val *own)
{
    size_t i, n;
    yyjson_val *key, *value;
    x->env = calloc(COUNT_OF(passed_on) + 3 + yyjson_obj_size(own), sizeof *x->env);
    int rc = x->env ? env_add(x, "PATH", "/usr/local/bin:/usr/bin:/bin", own) : VX11_ENOMEM;
    if (rc == 0)
        rc = env_add(x, "LANG", "C.UTF-8", own);
    for (size_t k = 0; rc == 0 && k < COUNT_OF(passed_on); k++)
        rc = env_add(x, passed_on[k], getenv(passed_on[k]), own);
    yyjson_obj_foreach(own, i, n, key, value)
    {
        if (rc == 0)
            rc = env_add(x, yyjson_get_str(key), yyjson_get_str(value), NULL);
    }
    return rc;
}

static int signal_of(int configured)
{
    static const int signals[] = {[CONFIG_EXTERNAL_ENGINE_STOP_SIGNAL_TERM] = SIGTERM,
                                  [CONFIG_EXTERNAL_ENGINE_STOP_SIGNAL_INT] = SIGINT,
                                  [CONFIG_EXTERNAL_ENGINE_STOP_SIGNAL_QUIT] = SIGQUIT,
                                  [CONFIG_EXTERNAL_ENGINE_STOP_SIGNAL_HUP] = SIGHUP};
    return signals[configured];
}

/* What is wrong with the command is no reason not to start: it is said wherever the engine is shown. */
static int command_fill(struct external *x, const struct config_external_engine *c)
{
    struct error err = {0};
    char program[4096];
    int rc = copy_strings(c->command, c->command_count, &x->argv, &x->argc);
    if (rc != 0)
        return rc;
    rc = template_check(c->command, c->command_count, x->base_url != NULL, &x->by_socket, &x->wants_file,
                        &err);
    if (rc == 0)
        rc = template_program(c->command[0], getenv("PATH"), program, sizeof program, &err);
    if (rc == 0) {
        free(x->argv[0]);
        x->argv[0] = strdup(program);
        return x->argv[0] ? 0 : VX11_ENOMEM;
    }
    (void)snprintf(x->problem, sizeof x->problem, "%.255s", err.text);
    log_error("engines", "an external engine cannot be started", LOG_S("engine", x->name),
              LOG_S("reason", err.text));
    return 0;
}

static struct external *external_create(struct externals *all, const struct config_external_engine *c)
{
    struct external *x = calloc(1, sizeof *x);
    if (!x)
        return NULL;
    *x = (struct external){
        .refs = 1,
        .all = all,
        .kind = c->command_count > 0 ? HERMES_EXTERNAL_KIND_COMMAND : HERMES_EXTERNAL_KIND_ADDRESS,
        .name = strdup(c->name),
        .base_url = copy_or_null(c->base_url),
        .health = strdup(c->health),
        .slots = copy_or_null(c->slots),
        .upstream = copy_or_null(c->upstream_model),
        .stop_signal = signal_of(c->stop_signal),
        .start_timeout_ms = c->start_timeout_ms,
        .stop_timeout_ms = c->stop_timeout_ms,
        .memory_bytes = c->memory_bytes,
        .check_interval_ms = c->check_interval_ms,
    };
    x->listed = x->kind == HERMES_EXTERNAL_KIND_ADDRESS && c->models_count == 0;
    x->state =
        x->kind == HERMES_EXTERNAL_KIND_ADDRESS ? HERMES_EXTERNAL_STATE_UNKNOWN : HERMES_EXTERNAL_STATE_IDLE;
    const size_t n = x->base_url ? strlen(x->base_url) : 0;
    if (n > 0 && x->base_url[n - 1] == '/')
        x->base_url[n - 1] = '\0';
    int rc = x->name && x->health ? external_set_models(x, c->models, c->models_count) : VX11_ENOMEM;
    if (rc == 0)
        rc = env_fill(x, c->env);
    if (rc == 0 && x->kind == HERMES_EXTERNAL_KIND_COMMAND)
        rc = command_fill(x, c);
    if (rc == 0)
        return x;
    external_unref(x);
    return NULL;
}

/* ---- the set ---- */

int externals_create(const struct externals_options *o, struct externals **out, struct error *err)
{
    struct externals *all = calloc(1, sizeof *all);
    if (!all || uv_timer_init(o->loop, &all->timer) != 0) {
        free(all);
        return error_set(err, VX11_ENOMEM, "out of memory");
    }
    all->options = *o;
    all->timer.data = all;
    *out = all;
    return 0;
}

size_t externals_count(const struct externals *all)
{
    return all->count;
}

struct external *externals_at(const struct externals *all, size_t i)
{
    return all->list[i];
}

struct external *externals_find(struct externals *all, const char *name)
{
    for (size_t i = 0; i < all->count; i++)
        if (strcmp(all->list[i]->name, name) == 0)
            return all->list[i];
    return NULL;
}

static bool offers(const struct external *x, const char *model)
{
    for (size_t i = 0; i < x->model_count; i++)
        if (strcmp(x->models[i], model) == 0)
            return true;
    return false;
}

/* What is configured goes before what was listed, and what was listed never takes a registered model's place:
 * then the registry says whose it is. */
struct external *externals_of_model(struct externals *all, const char *model)
{
    for (size_t i = 0; i < all->count; i++)
        if (!all->list[i]->listed && offers(all->list[i], model))
            return all->list[i];
    char owner[EXTERNAL_NAME_MAX];
    if (!external_row_owner(all->options.store, model, owner, sizeof owner))
        return NULL;
    return externals_find(all, owner);
}

static bool strings_equal(char *const *a, size_t an, char *const *b, size_t bn)
{
    if (an != bn)
        return false;
    for (size_t i = 0; i < an; i++)
        if (strcmp(a[i], b[i]) != 0)
            return false;
    return true;
}

static bool same(const struct external *a, const struct external *b)
{
    return a->kind == b->kind && strcmp(a->name, b->name) == 0 && str_eq(a->base_url, b->base_url) &&
           strcmp(a->health, b->health) == 0 && str_eq(a->slots, b->slots) &&
           str_eq(a->upstream, b->upstream) && a->stop_signal == b->stop_signal &&
           a->start_timeout_ms == b->start_timeout_ms && a->stop_timeout_ms == b->stop_timeout_ms &&
           a->memory_bytes == b->memory_bytes && a->check_interval_ms == b->check_interval_ms &&
           a->listed == b->listed && strings_equal(a->argv, a->argc, b->argv, b->argc) &&
           strings_equal(a->env, a->env_count, b->env, b->env_count) &&
           (a->listed || strings_equal(a->models, a->model_count, b->models, b->model_count)) &&
           strcmp(a->problem, b->problem) == 0;
}

/* What runs of an engine that is another one now, or gone, is of no use any more. */
static void tell_gone(struct externals *all, const struct external *x)
{
    for (size_t i = 0; all->options.on_gone && i < x->model_count; i++)
        all->options.on_gone(all->options.ctx, x->models[i], "its engine's configuration has changed");
}

int externals_configure(struct externals *all, const struct config *config, struct error *err)
{
    const struct config_hermes *c = config->values->hermes;
    struct external *list[EXTERNALS_MAX];
    size_t n = 0;
    for (size_t i = 0; i < c->engines_count && n < EXTERNALS_MAX; i++) {
        struct external *x = external_create(all, &c->engines[i]);
        if (!x) {
            while (n > 0)
                external_unref(list[--n]);
            return error_set(err, VX11_ENOMEM, "out of memory");
        }
        struct external *before = externals_find(all, x->name);
        if (before && same(before, x)) {
            external_unref(x);
            x = external_ref(before);
        } else {
            tell_gone(all, x);
        }
        list[n++] = x;
    }
    for (size_t i = 0; i < all->count; i++) {
        struct external *old = all->list[i];
        bool stays = false;
        for (size_t k = 0; k < n; k++)
            stays = stays || list[k] == old;
        if (!stays)
            tell_gone(all, old);
        external_unref(old);
    }
    memcpy(all->list, list, n * sizeof *list);
    all->count = n;
    const int rc = external_rows_sync(all, err);
    externals_schedule(all);
    return rc;
}

size_t externals_down(const struct externals *all, int kind, char *out, size_t size)
{
    size_t n = 0;
    for (size_t i = 0; i < all->count; i++) {
        const struct external *x = all->list[i];
        const char *why = x->problem[0] ? x->problem : x->reason;
        if (x->kind != kind || (!x->problem[0] && x->state != HERMES_EXTERNAL_STATE_DOWN))
            continue;
        if (n++ == 0)
            (void)snprintf(out, size, "%s: %s", x->name, why);
    }
    return n;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct externals *all = handle->data;
    externals_release(all);
}

void externals_release(struct externals *all)
{
    if (--all->open > 0 || !all->closing)
        return;
    void (*closed)(void *ctx) = all->closed;
    void *ctx = all->closed_ctx;
    for (size_t i = 0; i < all->count; i++)
        external_unref(all->list[i]);
    free(all);
    if (closed)
        closed(ctx);
}

void externals_close(struct externals *all, void (*done)(void *ctx), void *ctx)
{
    all->closing = true;
    all->closed = done;
    all->closed_ctx = ctx;
    all->open++;
    uv_close((uv_handle_t *)&all->timer, on_timer_closed);
    externals_cancel(all);
}
