/* See admin.h. One call of Hermes', at most two, and its answer in the older words. */
#include "switch/admin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/hermes_client.h"
#include "base/clock.h"
#include "base/str.h"
#include "module/module.h"
#include "switch/switch_internal.h"

static const char default_key[] = "switch.default_model";
static const char sql_default_get[] = "SELECT value FROM setting WHERE key = ?1";
static const char sql_default_set[] =
    "INSERT INTO setting (key, value, updated_at) VALUES (?1, ?2, ?3) "
    "ON CONFLICT (key) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at";
static const char sql_default_drop[] = "DELETE FROM setting WHERE key = ?1";

/* ---- asking Hermes ---- */

struct asking {
    struct switch_ *sw;
    struct request *request; /* NULL: the caller has gone */
    struct client_call *call;
    void (*next)(struct asking *a, const struct client_reply *reply); /* answers, or asks again */
    const char *model;                                                /* in the request's arena */
    struct hermes_model_list *models;
};

static void fail_memory(struct request *r)
{
    request_fail(r, 500, "out_of_memory", NULL, "out of memory");
}

static void asking_cancelled(struct request *r, void *ctx, int reason)
{
    struct asking *a = ctx;
    a->request = NULL;
    client_cancel(a->call); /* on_reply frees */
    request_fail(r, reason == VX11_ETIMEOUT ? 504 : 503, "cancelled", NULL, "Hermes did not answer in time");
}

static struct asking *asking_create(struct request *r, void *module,
                                    void (*next)(struct asking *a, const struct client_reply *reply))
{
    struct asking *a = calloc(1, sizeof *a);
    if (!a) {
        fail_memory(r);
        return NULL;
    }
    *a = (struct asking){.sw = module, .request = r, .next = next};
    return a;
}

/* Ends the request; a is gone. */
static void asking_reply(struct asking *a, const struct contract_message *m, const void *message)
{
    request_reply(a->request, 200, m, message);
    free(a);
}

static void asking_failed(struct asking *a, const struct client_reply *reply)
{
    struct request *r = a->request;
    if (reply->retry_after_ms >= 0)
        request_retry_after(r, reply->retry_after_ms);
    if (reply->result != 0)
        request_fail(r, reply->result == VX11_ETIMEOUT ? 504 : 503, "hermes_unavailable", NULL, "Hermes: %s",
                     reply->error.text);
    else
        request_fail(r, reply->status >= 400 ? reply->status : 502,
                     reply->error_code[0] ? reply->error_code : "hermes_failed", NULL, "%s",
                     reply->error.text);
    free(a);
}

static void on_reply(struct client_call *call, void *ctx, const struct client_reply *reply)
{
    struct asking *a = ctx;
    (void)call;
    a->call = NULL;
    if (!a->request)
        free(a);
    else if (reply->result != 0 || reply->status >= 300 || !reply->message)
        asking_failed(a, reply);
    else
        a->next(a, reply);
}

/* started: what the typed call returned. */
static void asking_started(struct asking *a, int started, bool first)
{
    struct request *r = a->request;
    if (started == 0) {
        if (first)
            request_on_cancel(r, asking_cancelled, a);
        return;
    }
    free(a);
    request_fail(r, 503, "hermes_unavailable", NULL, "Hermes cannot be asked: %s", error_describe(started));
}

#define HERMES(a) module_client((a)->sw->m), module_peer((a)->sw->m, "hermes")

static struct client_call_options options_of(const struct asking *a)
{
    struct client_call_options options;
    module_call_options(a->request, &options);
    return options;
}

/* A reply outlives its callback by being parsed again into the request's arena. */
static struct hermes_model_list *keep_models(struct asking *a, const struct client_reply *reply)
{
    struct arena *arena = request_arena(a->request);
    struct contract_error bad;
    struct hermes_model_list *out = arena_alloc(arena, sizeof *out);
    char *text = arena_strndup(arena, reply->body, reply->body_len);
    return out && text &&
                   contract_parse(&hermes_model_list_message, arena, text, reply->body_len, NULL, out,
                                  &bad) == 0
               ? out
               : NULL;
}

/* ---- what is loaded: the active one and the warm one ---- */

static bool is_ready(const struct hermes_model *m)
{
    return m->engine && m->engine->state == HERMES_ENGINE_STATE_READY;
}

static int64_t used_at(const struct hermes_model *m)
{
    return m->engine->has_last_used_at ? m->engine->last_used_at : 0;
}

/* active: the loaded one that answered last; warm: of the other loaded ones, the one used last. */
static void find_loaded(const struct switch_ *sw, const struct hermes_model_list *l, const char **active,
                        const char **warm)
{
    const struct hermes_model *first = NULL, *second = NULL;
    for (size_t i = 0; i < l->models_count; i++) {
        const struct hermes_model *m = &l->models[i];
        if (is_ready(m) && strcmp(m->name, sw->active_model) == 0)
            first = m;
    }
    for (size_t i = 0; !first && i < l->models_count; i++)
        if (is_ready(&l->models[i]) && l->models[i].engine->has_last_used_at)
            first = &l->models[i];
    for (size_t i = 0; first && strcmp(first->name, sw->active_model) != 0 && i < l->models_count; i++)
        if (is_ready(&l->models[i]) && used_at(&l->models[i]) > used_at(first))
            first = &l->models[i];
    for (size_t i = 0; i < l->models_count; i++) {
        const struct hermes_model *m = &l->models[i];
        if (is_ready(m) && m != first && (!second || used_at(m) > used_at(second)))
            second = m;
    }
    *active = first ? first->name : NULL;
    *warm = second ? second->name : NULL;
}

/* ---- warm-up ---- */

/* {"NAME": "ready" | "failed" | …} in the arena. */
static yyjson_val *health_of(const struct hermes_warmup_status *s, struct arena *a)
{
    struct buf text = BUF_INIT;
    yyjson_val *out = NULL;
    struct contract_error bad;
    int rc = buf_putc(&text, '{');
    for (size_t i = 0; rc == 0 && i < s->models_count; i++) {
        const struct hermes_warm_result *m = &s->models[i];
        rc = i > 0 ? buf_putc(&text, ',') : 0;
        if (rc == 0)
            rc = buf_put_json_string(&text, m->model, strlen(m->model));
        if (rc == 0)
            rc = buf_printf(&text, ":\"%s\"", hermes_warm_state_names[m->state]);
    }
    if (rc == 0)
        rc = buf_putc(&text, '}');
    char *copy = rc == 0 ? arena_strndup(a, text.data, text.len) : NULL;
    if (copy && contract_json_parse(a, copy, text.len, NULL, &out, &bad) != 0)
        out = NULL;
    buf_free(&text);
    return out;
}

static void on_warmup_status(struct asking *a, const struct client_reply *reply)
{
    const struct hermes_warmup_status *s = reply->message;
    const struct switch_warmup_status out = {
        .warmup_enabled = s->enabled,
        .has_last_warmup = s->has_last_at,
        .last_warmup = s->last_at,
        .models_health = health_of(s, request_arena(a->request)),
        .total_ready = s->total_ready,
        .total_failed = s->total_failed,
    };
    asking_reply(a, &switch_warmup_status_message, &out);
}

void admin_warmup_status(struct request *r, void *module)
{
    struct asking *a = asking_create(r, module, on_warmup_status);
    if (!a)
        return;
    const struct client_call_options options = options_of(a);
    asking_started(a, hermes_warmup_status_call(HERMES(a), &options, on_reply, a, &a->call), true);
}

static void on_warmup(struct asking *a, const struct client_reply *reply)
{
    const struct hermes_warmup_status *s = reply->message;
    const struct switch_warmup_reply out = {
        .status = s->total_failed > 0 ? SWITCH_WARMUP_REPLY_STATUS_ERROR : SWITCH_WARMUP_REPLY_STATUS_OK,
        .results = s->models,
        .results_count = s->models_count,
        .health = health_of(s, request_arena(a->request)),
    };
    asking_reply(a, &switch_warmup_reply_message, &out);
}

void admin_warmup_manual(struct request *r, void *module)
{
    struct asking *a = asking_create(r, module, on_warmup);
    const struct hermes_warmup_request body = {.wait = true};
    if (!a)
        return;
    const struct client_call_options options = options_of(a);
    asking_started(a, hermes_warmup_call(HERMES(a), &body, &options, on_reply, a, &a->call), true);
}

/* ---- one model ---- */

/* NULL after having said that it is missing. */
static const char *named(struct request *r)
{
    const struct switch_admin_model *body = request_body(r);
    const char *name = body->model_name ? body->model_name : body->model_id;
    if (!name)
        request_fail(r, 422, "invalid_request", "/model_name", "model_name is required");
    return name;
}

static void on_preloaded(struct asking *a, const struct client_reply *reply)
{
    const struct hermes_warm_result *w = reply->message;
    const struct switch_admin_model_reply out = {
        .status = SWITCH_ADMIN_MODEL_REPLY_STATUS_OK,
        .active = a->sw->active_model[0] ? a->sw->active_model : NULL,
        .warm = w->model,
        .has_load_ms = w->has_load_ms,
        .load_ms = w->load_ms,
        .has_first_token_ms = w->has_first_token_ms,
        .first_token_ms = w->first_token_ms,
    };
    asking_reply(a, &switch_admin_model_reply_message, &out);
}

void admin_preload(struct request *r, void *module)
{
    const char *name = named(r);
    struct asking *a = name ? asking_create(r, module, on_preloaded) : NULL;
    if (!a)
        return;
    const struct hermes_model_name params = {.name = name};
    const struct hermes_warm_request body = {.tokens = 1, .timeout_ms = 600000};
    const struct client_call_options options = options_of(a);
    asking_started(a, hermes_models_warm_call(HERMES(a), &params, &body, &options, on_reply, a, &a->call),
                   true);
}

struct reading {
    char *out;
    size_t size;
};

/* The value is a JSON string. */
static int read_setting(void *ctx, const struct store_row *row)
{
    const struct reading *g = ctx;
    const char *text = row_text(row, 0);
    yyjson_doc *doc = text ? yyjson_read(text, strlen(text), 0) : NULL;
    const char *name = yyjson_get_str(yyjson_doc_get_root(doc));
    if (name)
        (void)snprintf(g->out, g->size, "%s", name);
    yyjson_doc_free(doc);
    return 0;
}

int admin_default_read(struct store *s, char *out, size_t size, struct error *err)
{
    struct store_value key = STORE_T(default_key);
    struct reading g = {.out = out, .size = size};
    out[0] = '\0';
    return store_query(s, sql_default_get, &key, 1, read_setting, &g, err);
}

const char *admin_default_name(const struct switch_ *sw)
{
    return sw->default_model[0] ? sw->default_model : module_config(sw->m)->values->switch_->default_model;
}

static int default_write(struct switch_ *sw, const char *name, struct error *err)
{
    struct buf value = BUF_INIT;
    int rc = buf_put_json_string(&value, name, strlen(name));
    if (rc == 0) {
        const struct store_value values[] = {STORE_T(default_key), store_text_len(value.data, value.len),
                                             STORE_I(clock_wall_ms())};
        rc = name[0] ? store_exec(module_store(sw->m), sql_default_set, values, COUNT_OF(values), NULL, err)
                     : store_exec(module_store(sw->m), sql_default_drop, values, 1, NULL, err);
    }
    buf_free(&value);
    if (rc == 0)
        (void)snprintf(sw->default_model, sizeof sw->default_model, "%s", name);
    return rc;
}

static void default_set(struct asking *a, const char *warm)
{
    struct error err = {0};
    struct request *r = a->request;
    if (default_write(a->sw, a->model, &err) != 0) {
        free(a);
        request_fail_error(r, &err);
        return;
    }
    const struct switch_admin_model_reply out = {
        .status = SWITCH_ADMIN_MODEL_REPLY_STATUS_OK,
        .active = a->model[0]              ? a->model
                  : a->sw->active_model[0] ? a->sw->active_model
                                           : NULL,
        .warm = warm,
    };
    asking_reply(a, &switch_admin_model_reply_message, &out);
}

/* A name that Hermes has, or that another provider offers, or an alias that the selection knows. */
static bool known_elsewhere(const struct switch_ *sw, const char *name)
{
    const char *slash = strchr(name, '/');
    for (size_t i = 0; i < sw->provider_count; i++) {
        const struct provider *p = sw->providers[i];
        const size_t n = strlen(p->name);
        if (!p->enabled)
            continue;
        if (provider_offers(p, name) || (slash && (size_t)(slash - name) == n &&
                                         strncmp(p->name, name, n) == 0 && provider_offers(p, slash + 1)))
            return true;
    }
    return false;
}

static void on_default_models(struct asking *a, const struct client_reply *reply)
{
    const struct hermes_model_list *l = reply->message;
    struct request *r = a->request;
    const char *active, *warm;
    bool known = a->model[0] == '\0' || known_elsewhere(a->sw, a->model);
    for (size_t i = 0; !known && i < l->models_count; i++)
        known = strcmp(l->models[i].name, a->model) == 0;
    if (!known) {
        const char *model = a->model;
        free(a);
        request_fail(r, 404, "model_not_found", "/model_name", "there is no model %s", model);
        return;
    }
    find_loaded(a->sw, l, &active, &warm);
    default_set(a, warm);
}

void admin_default_model(struct request *r, void *module)
{
    const char *name = named(r);
    struct asking *a = name ? asking_create(r, module, on_default_models) : NULL;
    if (!a)
        return;
    a->model = name;
    const struct client_call_options options = options_of(a);
    asking_started(a, hermes_models_list_call(HERMES(a), &options, on_reply, a, &a->call), true);
}

/* ---- all models ---- */

static int64_t usable_count(const struct hermes_model_list *l)
{
    int64_t n = 0;
    for (size_t i = 0; i < l->models_count; i++)
        n += l->models[i].enabled && l->models[i].status == HERMES_MODEL_STATUS_AVAILABLE;
    return n;
}

static void on_reloaded_models(struct asking *a, const struct client_reply *reply)
{
    const struct hermes_model_list *l = reply->message;
    struct switch_hot_reload out = {.status = SWITCH_HOT_RELOAD_STATUS_OK, .models_loaded = usable_count(l)};
    find_loaded(a->sw, l, &out.active, &out.warm);
    asking_reply(a, &switch_hot_reload_message, &out);
}

static void on_scanned(struct asking *a, const struct client_reply *reply)
{
    const struct client_call_options options = options_of(a);
    (void)reply;
    a->next = on_reloaded_models;
    for (size_t i = 0; i < a->sw->provider_count; i++)
        if (a->sw->providers[i]->kind == SWITCH_PROVIDER_KIND_LOCAL)
            a->sw->providers[i]->models_at = 0; /* listed anew with the next request */
    asking_started(a, hermes_models_list_call(HERMES(a), &options, on_reply, a, &a->call), false);
}

void admin_hot_reload(struct request *r, void *module)
{
    struct asking *a = asking_create(r, module, on_scanned);
    if (!a)
        return;
    const struct client_call_options options = options_of(a);
    asking_started(a, hermes_scan_call(HERMES(a), &options, on_reply, a, &a->call), true);
}

static const char *category_of(const struct hermes_model *m)
{
    for (size_t i = 0; i < m->capabilities_count; i++)
        if (m->capabilities[i] != OPENAI_CAPABILITY_EMBEDDINGS)
            return "general";
    return m->capabilities_count > 0 ? "embeddings" : "general";
}

static bool available_fill(const struct switch_ *sw, const struct hermes_model *m, struct arena *a,
                           const char *active, struct switch_available_model *out)
{
    const char **tags = arena_array(a, m->capabilities_count + 2, sizeof *tags);
    size_t n = 0;
    if (!tags)
        return false;
    for (size_t i = 0; i < m->capabilities_count; i++)
        tags[n++] = openai_capability_names[m->capabilities[i]];
    if (m->quantisation)
        tags[n++] = m->quantisation;
    const bool is_active = active && strcmp(active, m->name) == 0;
    const bool usable = m->enabled && m->status == HERMES_MODEL_STATUS_AVAILABLE;
    *out = (struct switch_available_model){
        .name = m->name,
        .category = category_of(m),
        .has_size_mb = m->has_size_bytes,
        .size_mb = (double)m->size_bytes / 1e6,
        .status = !usable       ? SWITCH_AVAILABLE_MODEL_STATUS_DEPRECATED
                  : is_active   ? SWITCH_AVAILABLE_MODEL_STATUS_ACTIVE
                  : is_ready(m) ? SWITCH_AVAILABLE_MODEL_STATUS_WARM
                                : SWITCH_AVAILABLE_MODEL_STATUS_AVAILABLE,
        .reason = m->reason,
        .warm = is_ready(m),
        .has_last_used = m->has_last_used_at,
        .last_used = m->last_used_at,
        .tags = tags,
        .tags_count = n,
        .kind = SWITCH_AVAILABLE_MODEL_KIND_LOCAL,
    };
    (void)sw;
    return true;
}

static void on_tools(struct asking *a, const struct client_reply *reply)
{
    const struct hermes_tool_list *tools = reply->message;
    const struct hermes_model_list *l = a->models;
    struct arena *arena = request_arena(a->request);
    struct switch_available_models out = {
        .models = arena_array(arena, l->models_count + 1, sizeof *out.models),
        .cli_registry = arena_array(arena, tools->tools_count + 1, sizeof *out.cli_registry),
    };
    bool ok = out.models && out.cli_registry;
    find_loaded(a->sw, l, &out.active, &out.warm);
    for (size_t i = 0; ok && i < l->models_count; i++)
        ok = available_fill(a->sw, &l->models[i], arena, out.active, &out.models[out.models_count++]);
    for (size_t i = 0; ok && i < tools->tools_count; i++) {
        const struct hermes_tool *t = &tools->tools[i];
        out.cli_registry[out.cli_registry_count++] = (struct switch_cli_entry){
            .name = t->name,
            .bin_path = t->path,
            .available = t->usable,
            .has_updated_at = t->has_detected_at,
            .updated_at = t->detected_at,
            .cli_type = SWITCH_CLI_ENTRY_CLI_TYPE_TOOL,
        };
    }
    if (ok) {
        asking_reply(a, &switch_available_models_message, &out);
        return;
    }
    fail_memory(a->request);
    free(a);
}

static void on_models(struct asking *a, const struct client_reply *reply)
{
    const struct client_call_options options = options_of(a);
    a->models = keep_models(a, reply);
    a->next = on_tools;
    if (!a->models) {
        fail_memory(a->request);
        free(a);
        return;
    }
    asking_started(a, hermes_tools_list_call(HERMES(a), &options, on_reply, a, &a->call), false);
}

void admin_models_available(struct request *r, void *module)
{
    struct asking *a = asking_create(r, module, on_models);
    if (!a)
        return;
    const struct client_call_options options = options_of(a);
    asking_started(a, hermes_models_list_call(HERMES(a), &options, on_reply, a, &a->call), true);
}
