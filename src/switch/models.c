/* Models: what can be asked for, of all providers. The lists are read anew when they are older than a few
 * seconds, so that a model that was just added is there. */
#include "switch/switch_internal.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"

#define LOCAL_AGE_MS  1000
#define REMOTE_AGE_MS (5 * 60 * 1000)

enum { CAPABILITIES = OPENAI_CAPABILITY_EMBEDDINGS + 1 };

struct models_work {
    struct switch_ *sw;
    struct request *r;
    size_t waiting;
    void (*done)(struct models_work *w);
};

static void on_listed(void *ctx)
{
    struct models_work *w = ctx;
    if (--w->waiting == 0)
        w->done(w);
}

static void models_refresh(struct request *r, struct switch_ *sw, void (*done)(struct models_work *w))
{
    struct models_work *w = arena_zalloc(request_arena(r), sizeof *w);
    if (!w) {
        request_fail(r, 500, "out_of_memory", NULL, "out of memory");
        return;
    }
    *w = (struct models_work){.sw = sw, .r = r, .waiting = 1, .done = done};
    for (size_t i = 0; i < sw->provider_count; i++) {
        struct provider *p = sw->providers[i];
        bool local = p->kind == SWITCH_PROVIDER_KIND_LOCAL;
        if (!p->enabled || provider_models_fresh(p, local ? LOCAL_AGE_MS : REMOTE_AGE_MS))
            continue;
        w->waiting++;
        provider_list(p, on_listed, w);
    }
    on_listed(w);
}

/* How many enabled providers offer this name. */
static size_t offering(const struct switch_ *sw, const char *model)
{
    size_t n = 0;
    for (size_t i = 0; i < sw->provider_count; i++)
        n += sw->providers[i]->enabled && provider_offers(sw->providers[i], model);
    return n;
}

static int model_fill(struct arena *a, const struct provider *p, const char *model, bool prefixed,
                      struct openai_model *out)
{
    memset(out, 0, sizeof *out);
    int rc = openai_model_init(a, out);
    out->id = prefixed ? arena_printf(a, "%s/%s", p->name, model) : model;
    out->created = p->models_at / 1000;
    out->owned_by = p->name;
    out->capabilities = p->models_can ? arena_array(a, CAPABILITIES, sizeof *out->capabilities) : NULL;
    for (int i = 0; out->capabilities && i < CAPABILITIES; i++)
        if (provider_can(p, model) & 1u << i)
            out->capabilities[out->capabilities_count++] = i;
    return rc != 0 ? rc : out->id ? 0 : VX11_ENOMEM;
}

/* Every name under which something can be asked for: local and unique names bare, all that are not local with
 * their provider too. */
static struct openai_model *models_all(struct models_work *w, size_t *count)
{
    struct arena *a = request_arena(w->r);
    const struct principal *who = request_principal(w->r);
    size_t most = 0, n = 0;
    for (size_t i = 0; i < w->sw->provider_count; i++)
        most += 2 * w->sw->providers[i]->model_count;
    struct openai_model *out = arena_array(a, most + 1, sizeof *out);
    for (size_t i = 0; out && i < w->sw->provider_count; i++) {
        const struct provider *p = w->sw->providers[i];
        bool local = p->kind == SWITCH_PROVIDER_KIND_LOCAL;
        for (size_t k = 0; p->enabled && k < p->model_count; k++) {
            if (!limits_principal_allows(w->sw->budgets, who, p->name, p->models[k]))
                continue;
            if (local || offering(w->sw, p->models[k]) == 1)
                if (model_fill(a, p, p->models[k], false, &out[n]) == 0)
                    n++;
            if (!local && model_fill(a, p, p->models[k], true, &out[n]) == 0)
                n++;
        }
    }
    *count = n;
    return out;
}

static const struct provider *models_unlisted(const struct switch_ *sw)
{
    for (size_t i = 0; i < sw->provider_count; i++)
        if (sw->providers[i]->enabled && sw->providers[i]->models_error[0])
            return sw->providers[i];
    return NULL;
}

static void list_done(struct models_work *w)
{
    struct openai_model_list list;
    memset(&list, 0, sizeof list);
    if (openai_model_list_init(request_arena(w->r), &list) != 0 ||
        !(list.data = models_all(w, &list.data_count))) {
        request_fail(w->r, 500, "out_of_memory", NULL, "out of memory");
        return;
    }
    const struct provider *silent = list.data_count == 0 ? models_unlisted(w->sw) : NULL;
    if (silent) { /* an empty list would say that there is nothing */
        request_retry_after(w->r, 1000);
        request_fail(w->r, 503, "models_unknown", NULL, "%s could not be asked for its models: %s",
                     silent->name, silent->models_error);
        return;
    }
    request_reply(w->r, 200, &openai_model_list_message, &list);
}

void models_list(struct request *r, void *module)
{
    models_refresh(r, module, list_done);
}

static void get_done(struct models_work *w)
{
    const struct switch_model_id *params = request_params(w->r);
    struct selection s;
    struct error err = {0};
    size_t n = 0;
    struct openai_model *all = models_all(w, &n);
    for (size_t i = 0; all && i < n; i++) {
        if (strcmp(all[i].id, params->id) == 0) {
            request_reply(w->r, 200, &openai_model_message, &all[i]);
            return;
        }
    }
    /* PROVIDER/MODEL of what is listed bare; else for its sentence with the nearest names. */
    struct openai_model model;
    const struct wish wish = {.kind = DISPATCH_COMPLETION, .model = params->id};
    int rc = selection_make(w->sw, request_arena(w->r), &wish, &s, &err);
    if (rc == 0 && provider_offers(s.list[0].provider, s.list[0].model) &&
        limits_principal_allows(w->sw->budgets, request_principal(w->r), s.list[0].provider->name,
                                s.list[0].model) &&
        model_fill(request_arena(w->r), s.list[0].provider, s.list[0].model, false, &model) == 0) {
        model.id = params->id;
        request_reply(w->r, 200, &openai_model_message, &model);
        return;
    }
    if (rc == 0)
        error_set(&err, VX11_ENOT_FOUND, "there is no model %s", params->id);
    bool unknown = err.code == VX11_ENOT_FOUND;
    if (!unknown)
        request_retry_after(w->r, 1000);
    request_fail(w->r, unknown ? 404 : 503, unknown ? "model_not_found" : "models_unknown",
                 unknown ? "id" : NULL, "%s", err.text);
}

void models_get(struct request *r, void *module)
{
    models_refresh(r, module, get_done);
}
