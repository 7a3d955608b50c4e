/* The rows of providers, and their routes. */
#include "hermes/providers.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"
#include "hermes/hermes_internal.h"
#include "hermes/registry.h"
#include "hermes/tools/api.h"

#define PROVIDERS_MAX      256

#define PROVIDER_LIST_SQL  "SELECT settings, name FROM provider ORDER BY name"
#define PROVIDER_COUNT_SQL "SELECT count(*) FROM provider"
#define PROVIDER_ADD_SQL                                                                                     \
    "INSERT INTO provider (name, settings, created_at, updated_at, changed_by) VALUES (?1, ?2, ?3, ?3, ?4)"
#define PROVIDER_SET_SQL    "UPDATE provider SET settings = ?2, updated_at = ?3, changed_by = ?4 WHERE name = ?1"
#define PROVIDER_REMOVE_SQL "DELETE FROM provider WHERE name = ?1"

/* ---- rows ---- */

struct rows {
    struct arena *arena;
    struct config_provider *items;
    size_t count, cap;
};

static int rows_add(void *ctx, const struct store_row *row)
{
    struct rows *r = ctx;
    struct contract_error bad;
    char *text = arena_strdup(r->arena, row_text(row, 0));
    if (r->count == r->cap) {
        size_t cap = r->cap ? r->cap * 2 : 16;
        void *grown = arena_realloc(r->arena, r->items, r->cap * sizeof *r->items, cap * sizeof *r->items);
        if (!grown)
            return VX11_ENOMEM;
        r->items = grown;
        r->cap = cap;
    }
    if (!text)
        return VX11_ENOMEM;
    /* A row that another version wrote and this one cannot read is said, and left alone. */
    if (config_provider_parse(r->arena, text, strlen(text), &r->items[r->count], &bad) == 0)
        r->count++;
    else
        log_error("providers", "the settings of a provider cannot be read",
                  LOG_S("provider", row_text(row, 1)));
    return 0;
}

int providers_list(struct store *s, struct arena *a, struct config_provider **out, size_t *n,
                   struct error *err)
{
    struct rows rows = {.arena = a};
    int rc = store_query(s, PROVIDER_LIST_SQL, NULL, 0, rows_add, &rows, err);
    *out = rows.items;
    *n = rows.count;
    return rc;
}

void providers_route_list(struct request *r, void *module)
{
    struct hermes *h = module;
    struct hermes_provider_list reply = {0};
    struct error err = {0};
    int rc = registry_version(h->store, &reply.version, &err);
    if (rc == 0)
        rc = providers_list(h->store, request_arena(r), &reply.providers, &reply.providers_count, &err);
    if (rc != 0)
        request_fail_error(r, &err);
    else
        request_reply(r, 200, &hermes_provider_list_message, &reply);
}

/* ---- checks ---- */

/* Answers when the settings make no sense. */
static bool sound(struct hermes *h, struct request *r, const struct config_provider *p)
{
    const struct config_switch *c = module_config(h->module)->values->switch_;
    struct error err = {0};
    for (size_t i = 0; i < c->providers_count; i++)
        if (strcmp(c->providers[i].name, p->name) == 0) {
            request_fail(r, 409, "provider_exists", "/name", "the configuration has a provider \"%s\"",
                         p->name);
            return false;
        }
    if (p->kind != CONFIG_PROVIDER_KIND_OPENAI && p->kind != CONFIG_PROVIDER_KIND_ANTHROPIC)
        request_fail(r, 422, "invalid_kind", "/kind",
                     "a provider that is added is of kind openai or anthropic");
    else if (p->preset != CONFIG_PROVIDER_PRESET_NONE &&
             (p->preset == CONFIG_PROVIDER_PRESET_ANTHROPIC) != (p->kind == CONFIG_PROVIDER_KIND_ANTHROPIC))
        request_fail(r, 422, "invalid_provider", "/preset", "a provider of kind %s cannot have the preset %s",
                     config_provider_kind_names[p->kind], config_provider_preset_names[p->preset]);
    else if (!p->base_url[0] && p->kind == CONFIG_PROVIDER_KIND_OPENAI &&
             p->preset == CONFIG_PROVIDER_PRESET_NONE)
        request_fail(r, 422, "invalid_provider", "/base_url", "where is it? It wants a base_url or a preset");
    else if (p->key_env[0] && p->key_file[0])
        request_fail(r, 422, "invalid_provider", "/key_file",
                     "its key is in key_env or in key_file, not in both");
    else if (p->key_file[0] && p->key_file[0] != '/')
        request_fail(r, 422, "invalid_provider", "/key_file", "the path of the key's file must be absolute");
    else if (p->key_file[0] && fs_check_private(p->key_file, &err) != 0)
        request_fail(r, 422, "invalid_provider", "/key_file", "%s", err.text);
    else
        return true;
    return false;
}

static int read_int(void *ctx, const struct store_row *row)
{
    *(int64_t *)ctx = row_int(row, 0);
    return 0;
}

/* ---- changes ---- */

static void store(struct hermes *h, struct request *r, const struct config_provider *p, bool fresh)
{
    struct buf settings = BUF_INIT;
    struct error err = {0};
    int64_t changes = 0, count = 0;
    int rc = config_provider_serialize(p, &settings);
    if (rc == 0 && fresh)
        rc = store_query(h->store, PROVIDER_COUNT_SQL, NULL, 0, read_int, &count, &err);
    if (rc == 0 && count >= PROVIDERS_MAX)
        rc = error_set(&err, VX11_EFULL, "there are %d providers already, which is the most", PROVIDERS_MAX);
    if (rc == 0) {
        const struct store_value values[] = {STORE_T(p->name), STORE_T(settings.data),
                                             STORE_I(clock_wall_ms()), STORE_T(request_principal(r)->name)};
        rc = store_exec(h->store, fresh ? PROVIDER_ADD_SQL : PROVIDER_SET_SQL, values, COUNT_OF(values),
                        &changes, &err);
    }
    buf_free(&settings);
    if (rc == VX11_EEXISTS)
        request_fail(r, 409, "provider_exists", "/name", "there is a provider \"%s\"", p->name);
    else if (rc != 0)
        request_fail_error(r, &err);
    else if (changes == 0)
        request_fail(r, 404, "provider_not_found", "name", "no provider \"%s\" was added", p->name);
    else {
        log_info("providers", fresh ? "a provider was added" : "a provider was changed",
                 LOG_S("provider", p->name), LOG_S("by", request_principal(r)->name));
        request_reply(r, fresh ? 201 : 200, &config_provider_message, p);
    }
}

void providers_route_add(struct request *r, void *module)
{
    const struct config_provider *p = request_body(r);
    if (sound(module, r, p))
        store(module, r, p, true);
}

void providers_route_set(struct request *r, void *module)
{
    const struct hermes_provider_name *name = request_params(r);
    struct config_provider p = *(const struct config_provider *)request_body(r);
    if (strcmp(p.name, name->name) != 0) {
        request_fail(r, 422, "invalid_name", "/name", "the name of a provider stays as it is");
        return;
    }
    if (sound(module, r, &p))
        store(module, r, &p, false);
}

void providers_route_remove(struct request *r, void *module)
{
    struct hermes *h = module;
    const struct hermes_provider_name *p = request_params(r);
    const struct store_value name = STORE_T(p->name);
    struct error err = {0};
    int64_t changes = 0;
    if (store_exec(h->store, PROVIDER_REMOVE_SQL, &name, 1, &changes, &err) != 0)
        request_fail_error(r, &err);
    else if (changes == 0)
        request_fail(r, 404, "provider_not_found", "name", "no provider \"%.64s\" was added", p->name);
    else {
        log_info("providers", "a provider was removed", LOG_S("provider", p->name),
                 LOG_S("by", request_principal(r)->name));
        request_reply_empty(r, 204);
    }
}
