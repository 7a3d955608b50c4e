/* Select: from the model a request names to the providers that are asked, in order.
 *
 *   "PROVIDER/MODEL"   that provider only
 *   "MODEL"            every provider that offers it, in the order of switch.chain, then the chain's own
 * models ("cloud/gpt-x") as a fallback
 *   "", "auto"         the default model, as above
 *
 * A model that is known not to do what is wanted is passed over. Embeddings have no fallback.
 */
#include "switch/switch_internal.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"

#define NEAREST 3

/* The model's name must live in the request's arena: the provider's list and the configuration may change
 * while the request runs. */
static void selection_add(struct selection *s, struct provider *p, const char *model, const char *reason)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->list[i].provider == p && strcmp(s->list[i].model, model) == 0)
            return;
    if (s->count < SWITCH_CANDIDATES)
        s->list[s->count++] = (struct candidate){p, model, reason};
}

static const unsigned needs[] = {
    [DISPATCH_CHAT] =
        CAN_CHAT | CAN_COMPLETE, /* a model without a template of its own is for its engine to judge */
    [DISPATCH_COMPLETION] = CAN_COMPLETE,
    [DISPATCH_EMBEDDING] = CAN_EMBED,
};

static bool model_can(const struct provider *p, size_t model, enum dispatch_kind kind)
{
    return !p->models_can || (p->models_can[model] & needs[kind]);
}

/* The first local model that does nothing but embed: it is there for that. */
static const char *embedding_default(const struct switch_ *sw)
{
    for (size_t i = 0; i < sw->provider_count; i++) {
        const struct provider *p = sw->providers[i];
        for (size_t k = 0; p->enabled && p->models_can && k < p->model_count; k++)
            if (p->models_can[k] == CAN_EMBED)
                return p->models[k];
    }
    return NULL;
}

const char *selection_default(const struct switch_ *sw, enum dispatch_kind kind)
{
    const char *configured = module_config(sw->m)->values->switch_->default_model;
    const char *embeds = kind == DISPATCH_EMBEDDING ? embedding_default(sw) : NULL;
    if (embeds)
        return embeds;
    if (configured && configured[0])
        return configured;
    const char *fallback = NULL;
    for (size_t i = 0; i < sw->provider_count; i++) {
        const struct provider *p = sw->providers[i];
        /* What names no model stays on this machine. */
        if (!p->enabled || p->kind != SWITCH_PROVIDER_KIND_LOCAL)
            continue;
        /* The guide answers when there is nothing better: it is a very small model. */
        for (size_t k = 0; k < p->model_count; k++) {
            if (!model_can(p, k, kind))
                continue;
            if (k != p->builtin)
                return p->models[k];
            if (!fallback)
                fallback = p->models[k];
        }
    }
    return fallback;
}

/* "provider/model": the provider, and *model behind the slash. NULL when the text before the slash is no
 * provider. */
static struct provider *split_name(const struct switch_ *sw, struct arena *a, const char *name,
                                   const char **model)
{
    const char *slash = strchr(name, '/');
    if (!slash || slash == name || !slash[1])
        return NULL;
    char *prefix = arena_strndup(a, name, (size_t)(slash - name));
    *model = arena_strdup(a, slash + 1);
    return prefix && *model ? provider_find(sw, prefix) : NULL;
}

static bool may_use(const struct provider *p, const char *only)
{
    return p->enabled && (!only || strcmp(p->name, only) == 0);
}

/* The provider that should know, but could not be asked; Hermes first. NULL: all were. */
static const struct provider *unlisted(const struct switch_ *sw, const char *only)
{
    const struct provider *found = NULL;
    for (size_t i = 0; i < sw->provider_count; i++) {
        const struct provider *p = sw->providers[i];
        if (!may_use(p, only) || p->models_fixed || !p->models_error[0])
            continue;
        if (p->kind == SWITCH_PROVIDER_KIND_LOCAL)
            return p;
        if (!found)
            found = p;
    }
    return found;
}

/* Says that nobody offers it, what is near, and who could not be asked. While that is Hermes, which is back
 * as soon as it has been started again, nobody can say that there is no such model. */
static int not_found(const struct switch_ *sw, struct arena *a, const char *wanted, const char *only,
                     struct error *err)
{
    size_t n = 0, near[NEAREST], total = 0;
    char text[400] = "; GET /v1/models lists what there is";
    for (size_t i = 0; i < sw->provider_count; i++)
        total += may_use(sw->providers[i], only) ? sw->providers[i]->model_count : 0;
    const char **names = arena_array(a, total + 1, sizeof *names);
    for (size_t i = 0; names && i < sw->provider_count; i++)
        for (size_t k = 0; may_use(sw->providers[i], only) && k < sw->providers[i]->model_count; k++)
            names[n++] = sw->providers[i]->models[k];
    size_t found = names ? str_nearest(wanted, names, n, near, NEAREST) : 0;
    if (found > 0)
        snprintf(text, sizeof text, "; the nearest: %.80s%s%.80s%s%.80s", names[near[0]],
                 found > 1 ? ", " : "", found > 1 ? names[near[1]] : "", found > 2 ? ", " : "",
                 found > 2 ? names[near[2]] : "");
    const struct provider *silent = unlisted(sw, only);
    if (!silent)
        return error_set(err, VX11_ENOT_FOUND, "there is no model %.120s%s", wanted, text);
    bool local = silent->kind == SWITCH_PROVIDER_KIND_LOCAL;
    return error_set(err, local ? VX11_EUNAVAILABLE : VX11_ENOT_FOUND,
                     "nobody who can be asked has a model %.120s%s (%s: %.120s)", wanted, text, silent->name,
                     silent->models_error);
}

/* Whether p offers the model for that. *unable: it does, but the model cannot do it. */
static bool offers(const struct provider *p, const char *model, const struct wish *wish, bool *unable)
{
    if (!may_use(p, wish->only) || !provider_offers(p, model))
        return false;
    bool able = provider_can(p, model) & needs[wish->kind];
    *unable |= !able;
    return able;
}

/* True: somebody has the model, but it cannot do that. */
static bool add_offering(const struct switch_ *sw, const char *model, const struct wish *wish,
                         struct selection *out)
{
    const struct config_switch *c = module_config(sw->m)->values->switch_;
    struct provider *hinted = wish->first ? provider_find(sw, wish->first) : NULL;
    bool unable = false;
    if (hinted && offers(hinted, model, wish, &unable))
        selection_add(out, hinted, model, "hinted by the caller");
    for (size_t i = 0; i < c->chain_count; i++) {
        struct provider *p = provider_find(sw, c->chain[i]);
        if (p && offers(p, model, wish, &unable))
            selection_add(out, p, model, "offers the model");
    }
    for (size_t i = 0; i < sw->provider_count; i++)
        if (offers(sw->providers[i], model, wish, &unable))
            selection_add(out, sw->providers[i], model, "offers the model");
    return unable;
}

static int unable_fail(const char *model, enum dispatch_kind kind, struct error *err)
{
    return error_set(err, VX11_EUNSUPPORTED,
                     kind == DISPATCH_EMBEDDING ? "model %.120s makes no embeddings"
                                                : "model %.120s only makes embeddings",
                     model);
}

static void add_fallbacks(const struct switch_ *sw, struct arena *a, const char *only, struct selection *out)
{
    const struct config_switch *c = module_config(sw->m)->values->switch_;
    for (size_t i = 0; i < c->chain_count; i++) {
        const char *model = NULL;
        struct provider *p = split_name(sw, a, c->chain[i], &model);
        if (p && may_use(p, only))
            selection_add(out, p, model, "fallback of the chain");
    }
}

static const char *first_model(const struct provider *p, enum dispatch_kind kind)
{
    for (size_t i = 0; i < p->model_count; i++)
        if (model_can(p, i, kind))
            return p->models[i];
    return NULL;
}

int selection_make(const struct switch_ *sw, struct arena *a, const struct wish *wish, struct selection *out,
                   struct error *err)
{
    const char *wanted = wish->model, *only = wish->only, *model = NULL;
    memset(out, 0, sizeof *out);
    if (only && (!provider_find(sw, only) || !provider_find(sw, only)->enabled))
        return error_set(err, VX11_ENOT_FOUND, "there is no provider %s", only);
    if (!wanted || !wanted[0] || strcmp(wanted, "auto") == 0)
        wanted = only ? first_model(provider_find(sw, only), wish->kind) : selection_default(sw, wish->kind);
    if (!wanted) {
        const struct provider *silent = unlisted(sw, only);
        return error_set(err, VX11_EUNAVAILABLE, "no provider offers any model now%s%s%s%.200s",
                         silent ? "; " : "", silent ? silent->name : "", silent ? ": " : "",
                         silent ? silent->models_error : "");
    }
    wanted = arena_strdup(a, wanted);
    if (!wanted)
        return error_set(err, VX11_ENOMEM, "out of memory");
    out->model = wanted;
    if (add_offering(sw, wanted, wish, out) && out->count == 0)
        return unable_fail(wanted, wish->kind, err);
    if (out->count == 0) {
        struct provider *p = split_name(sw, a, wanted, &model);
        if (p && provider_offers(p, model) && !(provider_can(p, model) & needs[wish->kind]))
            return unable_fail(wanted, wish->kind, err);
        /* A provider that could not list its models may still have this one; one that could does not. */
        if (p && may_use(p, only) && (provider_offers(p, model) || (!p->models_fixed && p->models_at == 0))) {
            selection_add(out, p, model, "named by the caller");
            return 0;
        }
        return not_found(sw, a, wanted, only, err);
    }
    if (wish->kind != DISPATCH_EMBEDDING) /* another model's vectors would be wrong in silence */
        add_fallbacks(sw, a, only, out);
    return 0;
}
