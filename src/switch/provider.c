/* Provider: those who can answer, from the configuration, each with its breaker, its counters and the models
 * it is known to offer. */
#include "switch/switch_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"
#include "switch/presets.h"

static char *copy_or_null(const char *s)
{
    return s && s[0] ? strdup(s) : NULL;
}

static void models_drop(struct provider *p)
{
    for (size_t i = 0; i < p->model_count; i++)
        free(p->models[i]);
    free(p->models);
    free(p->models_can);
    p->models = NULL;
    p->models_can = NULL;
    p->model_count = 0;
}

static void settings_drop(struct provider *p)
{
    free(p->base_url);
    free(p->key_env);
    free(p->key_file);
    free(p->tool);
    free(p->module);
    p->base_url = p->key_env = p->key_file = p->tool = p->module = NULL;
    for (size_t i = 0; i < p->info_count; i++)
        free((char *)p->info[i].model);
    free(p->info);
    p->info = NULL;
    p->info_count = 0;
}

/* Copied: what Hermes tells of a provider is gone once it is read. */
static int info_copy(struct provider *p, const struct config_provider *c)
{
    p->stays = c->kind == CONFIG_PROVIDER_KIND_LOCAL || c->local;
    p->info = calloc(c->model_info_count + 1, sizeof *p->info);
    if (!p->info)
        return VX11_ENOMEM;
    for (size_t i = 0; i < c->model_info_count; i++) {
        p->info[i] = c->model_info[i];
        p->info[i].model = strdup(c->model_info[i].model);
        if (!p->info[i].model)
            return VX11_ENOMEM;
        p->info_count++;
    }
    return 0;
}

const struct config_model_info *provider_info(const struct provider *p, const char *model)
{
    const struct config_model_info *all = NULL;
    for (size_t i = 0; i < p->info_count; i++) {
        if (strcmp(p->info[i].model, model) == 0)
            return &p->info[i];
        if (strcmp(p->info[i].model, "*") == 0)
            all = &p->info[i];
    }
    return all;
}

static void provider_free(struct provider *p)
{
    free(p->waiters);
    models_drop(p);
    settings_drop(p);
    free(p);
}

static int models_copy(struct provider *p, const char *const *names, size_t n)
{
    models_drop(p);
    p->models = calloc(n + 1, sizeof *p->models);
    if (!p->models)
        return VX11_ENOMEM;
    for (size_t i = 0; i < n; i++) {
        p->models[i] = strdup(names[i]);
        if (!p->models[i])
            return VX11_ENOMEM;
        p->model_count++;
    }
    return 0;
}

static int provider_metrics(struct provider *p)
{
    struct metrics *m = module_metrics(p->sw->m);
    char labels[128];
    snprintf(labels, sizeof labels, "provider=\"%s\"", p->name);
    p->first_token = metrics_get(m, METRIC_HISTOGRAM, "vx11_first_token_seconds", labels,
                                 "From a request's arrival to its first token.");
    p->requests_metric = metrics_get(m, METRIC_COUNTER, "vx11_provider_requests_total", labels,
                                     "Requests sent to a provider.");
    p->failures_metric =
        metrics_get(m, METRIC_COUNTER, "vx11_provider_failures_total", labels, "Of those, failed.");
    return p->first_token && p->requests_metric && p->failures_metric ? 0 : VX11_ENOMEM;
}

static enum switch_provider_kind kind_of(int configured)
{
    switch ((enum config_provider_kind)configured) {
    case CONFIG_PROVIDER_KIND_LOCAL:
        return SWITCH_PROVIDER_KIND_LOCAL;
    case CONFIG_PROVIDER_KIND_ANTHROPIC:
        return SWITCH_PROVIDER_KIND_ANTHROPIC;
    case CONFIG_PROVIDER_KIND_TOOL:
        return SWITCH_PROVIDER_KIND_TOOL;
    case CONFIG_PROVIDER_KIND_MODULE:
        return SWITCH_PROVIDER_KIND_MODULE;
    case CONFIG_PROVIDER_KIND_OPENAI:
        break;
    }
    return SWITCH_PROVIDER_KIND_OPENAI;
}

/* Takes over what the configuration says. Models listed from elsewhere survive unless the address changed. */
static int provider_apply(struct provider *p, const struct config_provider *c)
{
    const char *url = preset_base_url(c);
    bool moved = p->models_fixed || !str_eq(p->base_url, url);
    settings_drop(p);
    p->kind = kind_of(c->kind);
    p->enabled = c->enabled;
    p->gone = false;
    p->preset = preset_get((enum config_provider_preset)c->preset);
    p->base_url = copy_or_null(url);
    p->key_file = copy_or_null(c->key_file);
    p->key_env = p->key_file ? copy_or_null(c->key_env) : copy_or_null(preset_key_env(c));
    p->tool = copy_or_null(c->tool);
    p->module = copy_or_null(c->module);
    p->connect_timeout_ms = c->connect_timeout_ms;
    p->first_token_timeout_ms = c->first_token_timeout_ms;
    p->idle_timeout_ms = c->idle_timeout_ms;
    p->max_concurrency = c->max_concurrency;
    size_t n = p->base_url ? strlen(p->base_url) : 0;
    if (n > 0 && p->base_url[n - 1] == '/')
        p->base_url[n - 1] = '\0';
    p->models_fixed = c->models_count > 0;
    if (info_copy(p, c) != 0)
        return VX11_ENOMEM;
    if (p->models_fixed)
        return models_copy(p, c->models, c->models_count);
    if (p->kind == SWITCH_PROVIDER_KIND_TOOL || p->kind == SWITCH_PROVIDER_KIND_MODULE) {
        const char *only = p->tool ? p->tool : p->module ? p->module : p->name; /* it chooses for itself */
        p->models_fixed = true;
        return models_copy(p, &only, 1);
    }
    if (moved) {
        models_drop(p);
        p->models_at = 0;
    }
    return 0;
}

static struct provider *provider_create(struct switch_ *sw, const struct config_provider *c,
                                        const struct config_switch *config)
{
    struct provider *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->sw = sw;
    p->builtin = SIZE_MAX;
    snprintf(p->name, sizeof p->name, "%s", c->name);
    breaker_init(&p->breaker, (unsigned)config->breaker_threshold, config->breaker_open_ms);
    if (provider_metrics(p) != 0) {
        free(p);
        return NULL;
    }
    return p;
}

/* A provider with requests in flight must outlive them: the ones the configuration dropped are disabled and
 * kept until the process ends. */
int providers_load(struct switch_ *sw, const struct config *config, struct error *err)
{
    const struct config_switch *c = config->values->switch_;
    struct provider *order[SWITCH_PROVIDERS];
    size_t n = 0;
    for (size_t i = 0; i < c->providers_count; i++) {
        const struct config_provider *cp = &c->providers[i];
        struct provider *p = provider_find(sw, cp->name);
        if (n == SWITCH_PROVIDERS)
            return error_set(err, VX11_ETOO_LARGE, "more than %d providers", SWITCH_PROVIDERS);
        if (cp->kind == CONFIG_PROVIDER_KIND_OPENAI && !preset_base_url(cp))
            return error_set(err, VX11_EINVALID, "provider %s needs a base_url", cp->name);
        if (!p)
            p = provider_create(sw, cp, c);
        if (!p || provider_apply(p, cp) != 0)
            return error_set(err, VX11_ENOMEM, "out of memory");
        p->registered = false; /* of two of one name the configuration's is meant */
        order[n++] = p;
    }
    for (size_t i = 0; i < sw->provider_count; i++) {
        struct provider *old = sw->providers[i];
        bool kept = false;
        for (size_t k = 0; k < n; k++)
            kept |= order[k] == old;
        if (kept)
            continue;
        if (!old->registered) { /* Hermes' own are not the configuration's to drop */
            old->enabled = false;
            old->gone = true;
        }
        if (n == SWITCH_PROVIDERS)
            return error_set(err, VX11_ETOO_LARGE,
                             "too many providers were dropped since the start; restart switch");
        order[n++] = old;
    }
    memcpy(sw->providers, order, n * sizeof *order);
    sw->provider_count = n;
    return 0;
}

static int provider_register(struct switch_ *sw, const struct config_provider *c, bool *seen,
                             struct error *err)
{
    const struct config_switch *config = module_config(sw->m)->values->switch_;
    struct provider *p = provider_find(sw, c->name);
    if (p && !p->registered && p->enabled)
        return 0; /* the configuration has one of that name */
    if (!p && sw->provider_count == SWITCH_PROVIDERS)
        return error_set(err, VX11_ETOO_LARGE, "more than %d providers", SWITCH_PROVIDERS);
    if (!p) {
        p = provider_create(sw, c, config);
        if (!p)
            return error_set(err, VX11_ENOMEM, "out of memory");
        sw->providers[sw->provider_count++] = p;
    }
    p->registered = true;
    limits_provider(sw->budgets, c);
    for (size_t i = 0; i < sw->provider_count; i++)
        seen[i] |= sw->providers[i] == p;
    return provider_apply(p, c) != 0 ? error_set(err, VX11_ENOMEM, "out of memory") : 0;
}

/* A tool in the words of the configuration; a tool without a list of models chooses for itself. */
static int tool_register(struct switch_ *sw, const struct hermes_tool *t, bool *seen, struct error *err)
{
    struct config_provider c;
    struct arena *a = arena_create(0);
    memset(&c, 0, sizeof c);
    int rc = a ? config_provider_init(a, &c) : VX11_ENOMEM;
    c.name = t->name;
    c.tool = t->name;
    c.kind = CONFIG_PROVIDER_KIND_TOOL;
    c.models = t->models;
    c.models_count = t->models_count;
    c.enabled = t->usable;
    c.first_token_timeout_ms = t->timeout_ms;
    c.idle_timeout_ms = t->timeout_ms;
    c.max_concurrency = t->max_concurrency;
    rc = rc == 0 ? provider_register(sw, &c, seen, err) : error_set(err, rc, "out of memory");
    arena_destroy(a);
    return rc;
}

int providers_register(struct switch_ *sw, const struct hermes_registry *registry, struct error *err)
{
    bool seen[SWITCH_PROVIDERS] = {false};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < registry->providers_count; i++)
        rc = provider_register(sw, &registry->providers[i], seen, err);
    for (size_t i = 0; rc == 0 && i < registry->tools_count; i++)
        rc = tool_register(sw, &registry->tools[i], seen, err);
    for (size_t i = 0; i < sw->provider_count; i++)
        if (sw->providers[i]->registered && !seen[i]) {
            sw->providers[i]->enabled = false;
            sw->providers[i]->gone = true;
        }
    return rc;
}

void providers_breakers(struct switch_ *sw, const struct config_switch *c)
{
    for (size_t i = 0; i < sw->provider_count; i++)
        breaker_init(&sw->providers[i]->breaker, (unsigned)c->breaker_threshold, c->breaker_open_ms);
}

void providers_free(struct switch_ *sw)
{
    for (size_t i = 0; i < sw->provider_count; i++)
        provider_free(sw->providers[i]);
    sw->provider_count = 0;
}

struct provider *provider_find(const struct switch_ *sw, const char *name)
{
    for (size_t i = 0; i < sw->provider_count; i++)
        if (strcmp(sw->providers[i]->name, name) == 0)
            return sw->providers[i];
    return NULL;
}

bool provider_offers(const struct provider *p, const char *model)
{
    for (size_t i = 0; i < p->model_count; i++)
        if (strcmp(p->models[i], model) == 0)
            return true;
    return false;
}

unsigned provider_can(const struct provider *p, const char *model)
{
    for (size_t i = 0; p->models_can && i < p->model_count; i++)
        if (strcmp(p->models[i], model) == 0)
            return p->models_can[i];
    return CAN_UNKNOWN;
}

bool provider_models_fresh(const struct provider *p, int64_t max_age_ms)
{
    return p->models_fixed || (p->models_at > 0 && clock_wall_ms() - p->models_at <= max_age_ms);
}

/* ---- keys ---- */

bool provider_key_present(const struct provider *p)
{
    const char *env = p->key_env ? getenv(p->key_env) : NULL;
    return (env && env[0]) || (p->key_file && fs_exists(p->key_file));
}

int provider_key(const struct provider *p, struct arena *a, const char **key, struct error *err)
{
    struct buf text = BUF_INIT;
    *key = NULL;
    if (p->key_env) {
        *key = getenv(p->key_env);
        if (*key && (*key)[0])
            return 0;
        if (!p->key_file)
            return error_set(
                err, VX11_EPERMISSION,
                "provider %s: the environment variable %s, which should hold its key, is not set", p->name,
                p->key_env);
    }
    if (!p->key_file)
        return 0;
    int rc = fs_check_private(p->key_file, err);
    if (rc == 0)
        rc = fs_read_file(p->key_file, 8192, &text, err);
    if (rc == 0) {
        *key = arena_strndup(a, text.data, strcspn(text.data, "\r\n"));
        rc = *key ? 0 : VX11_ENOMEM;
    }
    buf_free(&text);
    return rc;
}
