/* Select: from what a request wants to the providers that are asked, in order.
 *
 *   "PROVIDER/MODEL"     that provider only
 *   "MODEL"              every provider that offers it, the best score first (or in the order of
 * switch.chain)
 *   ""                   the default model, as above
 *   "auto", fast, smart, cheap, an alias    whatever scores best among what they stand for
 *
 * Then the chain's own models ("cloud/gpt-x") as a fallback; embeddings have none, since another model's
 * vectors would be wrong in silence. Here the facts are gathered; choice.c drops and orders. */
#include "switch/switch_internal.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "switch/admin.h"
#include "switch/limits/limits.h"
#include "switch/selection/selector.h"

#define NEAREST   3
#define FACTS_MAX 1024 /* candidates that are looked at */

static const unsigned needs[] = {
    [DISPATCH_CHAT] =
        CAN_CHAT | CAN_COMPLETE, /* a model without a template of its own is for its engine to judge */
    [DISPATCH_COMPLETION] = CAN_COMPLETE,
    [DISPATCH_EMBEDDING] = CAN_EMBED,
};

/* ---- the default ---- */

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
    const char *configured = admin_default_name(sw);
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

static const char *first_model(const struct provider *p, enum dispatch_kind kind)
{
    for (size_t i = 0; i < p->model_count; i++)
        if (model_can(p, i, kind))
            return p->models[i];
    return NULL;
}

/* ---- what a name stands for ---- */

static const struct { /* unless a model or an alias of the configuration is called so */
    const char *name;
    int prefer;
} built_in[] = {
    {"fast", CONFIG_ALIAS_PREFER_LATENCY},
    {"smart", CONFIG_ALIAS_PREFER_QUALITY},
    {"cheap", CONFIG_ALIAS_PREFER_COST},
};

struct meaning {
    enum switch_explanation_chosen_by by;
    const char *wanted;               /* a model's name; NULL: whatever scores best */
    const struct config_alias *alias; /* NULL: none of the configuration */
    int prefer;
};

static const struct config_alias *alias_find(const struct config_switch *c, const char *name)
{
    for (size_t i = 0; i < c->aliases_count; i++)
        if (strcmp(c->aliases[i].name, name) == 0)
            return &c->aliases[i];
    return NULL;
}

static bool offered(const struct switch_ *sw, const char *model)
{
    for (size_t i = 0; i < sw->provider_count; i++)
        if (sw->providers[i]->enabled && provider_offers(sw->providers[i], model))
            return true;
    return false;
}

/* auto, an alias, or one of those that are built in. false: a model's name. */
static bool meaning_open(const struct switch_ *sw, const char *name, struct meaning *m)
{
    const struct config_switch *c = module_config(sw->m)->values->switch_;
    m->alias = alias_find(c, name);
    if (m->alias) {
        m->by = SWITCH_EXPLANATION_CHOSEN_BY_ALIAS;
        m->prefer = m->alias->prefer;
        return true;
    }
    if (strcmp(name, "auto") == 0) {
        m->by = SWITCH_EXPLANATION_CHOSEN_BY_AUTO;
        return true;
    }
    for (size_t i = 0; i < COUNT_OF(built_in); i++)
        if (strcmp(name, built_in[i].name) == 0 && !offered(sw, name)) {
            m->by = SWITCH_EXPLANATION_CHOSEN_BY_ALIAS;
            m->prefer = built_in[i].prefer;
            return true;
        }
    return false;
}

static bool said(const char *name)
{
    return name && name[0];
}

static void meaning_of(const struct switch_ *sw, const struct wish *w, struct meaning *m)
{
    *m = (struct meaning){.by = SWITCH_EXPLANATION_CHOSEN_BY_NAME, .prefer = CONFIG_ALIAS_PREFER_MODE};
    const char *name = w->model;
    bool open = said(name) && meaning_open(sw, name, m);
    /* Vectors of whichever model scores best could not be compared with any others. */
    bool by_default = !said(name) || (open && !m->alias && w->kind == DISPATCH_EMBEDDING);
    if (by_default) {
        m->by = SWITCH_EXPLANATION_CHOSEN_BY_DEFAULT;
        const struct provider *only = w->only ? provider_find(sw, w->only) : NULL;
        name = only ? first_model(only, w->kind) : selection_default(sw, w->kind);
        /* What must stay looks for what is here, whatever the default is. */
        open = name && ((w->local_only && !only && w->kind != DISPATCH_EMBEDDING) ||
                        (w->kind != DISPATCH_EMBEDDING && meaning_open(sw, name, m)));
    }
    m->wanted = open ? NULL : name;
}

bool selection_is_open(const struct switch_ *sw, const struct wish *w)
{
    struct meaning m;
    meaning_of(sw, w, &m);
    return m.by != SWITCH_EXPLANATION_CHOSEN_BY_NAME;
}

/* ---- facts ---- */

struct gather {
    const struct switch_ *sw;
    const struct config_switch *config;
    struct arena *a;
    const struct wish *wish;
    struct choice_fact *facts;
    size_t count, cap;
    int64_t wall, mono;
};

static signed char flag(bool has, bool value)
{
    return !has ? FACT_UNKNOWN : value ? FACT_YES : FACT_NO;
}

static void fact_info(struct choice_fact *f, const struct config_model_info *i)
{
    f->tools = flag(i->has_tools, i->tools);
    f->vision = flag(i->has_vision, i->vision);
    f->json_schema = flag(i->has_json_schema, i->json_schema);
    if (i->has_context)
        f->context = i->context;
    if (i->has_quality)
        f->quality = i->quality;
    if (i->has_input_price)
        f->input_price = i->input_price;
    if (i->has_output_price)
        f->output_price = i->output_price;
    if (i->has_embeddings && f->can == CAN_UNKNOWN)
        f->can = i->embeddings ? CAN_EMBED : CAN_CHAT | CAN_COMPLETE;
}

/* How good a model of so many weights is at most likely: 0.35 at a thousand million, 0.2 more for each ten
 * times. A stand-in for a judgement that nobody has given. */
static double quality_by_size(int64_t parameters)
{
    double q = 0.35 + 0.2 * log10((double)parameters / 1e9);
    return q < 0.05 ? 0.05 : q > 0.9 ? 0.9 : q;
}

#define LOAD_BYTES_PER_MS 300000.0 /* until a model's first load was measured */
#define LOAD_LEAST_MS     300.0

static void fact_local(struct choice_fact *f, const struct local_fact *local)
{
    bool own = !(local && local->external);
    /* VX11's own engines keep to a schema by their sampler, and read text only. */
    if (own && f->json_schema == FACT_UNKNOWN)
        f->json_schema = FACT_YES;
    if (own && f->vision == FACT_UNKNOWN)
        f->vision = FACT_NO;
    f->input_price = f->input_price < 0 ? 0 : f->input_price;
    f->output_price = f->output_price < 0 ? 0 : f->output_price;
    if (!local)
        return;
    if (f->context < 0)
        f->context = local->context;
    if (f->quality < 0 && local->parameters > 0) {
        f->quality = quality_by_size(local->parameters);
        f->quality_by_size = true;
    }
    if (local->ready) {
        f->load_ms = 0;
    } else if (local->load_ms >= 0) {
        f->load_ms = (double)local->load_ms;
    } else {
        f->load_by_size = true;
        f->load_ms =
            LOAD_LEAST_MS + (local->size_bytes > 0 ? (double)local->size_bytes / LOAD_BYTES_PER_MS : 0);
    }
}

static void fact_learned(const struct gather *g, struct choice_fact *f)
{
    struct learned l;
    f->learned = 0.5;
    f->first_token_ms = f->token_ms = -1;
    if (!g->sw->selector)
        return;
    learner_get(selector_learner(g->sw->selector), task_type_name(g->wish->task), f->provider, f->model,
                g->wall, &l);
    f->learned = l.learned;
    f->learned_any = l.any;
    f->first_token_ms = l.first_token_ms;
    f->token_ms = l.token_ms;
    if (f->first_token_ms < 0 && l.total_ms >= 0) { /* answers that came whole */
        f->first_token_ms = l.total_ms;
        f->token_ms = 0;
    }
}

/* NULL: the provider's own budgets have room. */
static const char *budget_left(const struct gather *g, const struct provider *p,
                               const struct config_model_info *info)
{
    struct limits_refusal why;
    const struct limits_want want = {.prompt_tokens = g->wish->prompt_tokens,
                                     .completion_tokens = g->wish->answer_tokens};
    const struct price price = price_of(info, p->kind == SWITCH_PROVIDER_KIND_LOCAL);
    if (!g->sw->budgets ||
        limits_provider_allows(g->sw->budgets, NULL, p->name, &price, &want, g->wall, &why))
        return NULL;
    const char *text = arena_strdup(g->a, why.text);
    return text ? text : "its budget is used up";
}

static const char *not_now(const struct gather *g, const struct provider *p,
                           const struct config_model_info *info)
{
    enum breaker_state state = breaker_peek(&p->breaker, g->mono);
    if (state == BREAKER_OPEN || (state == BREAKER_HALF_OPEN && p->breaker.probing))
        return "it has failed repeatedly and rests";
    if (p->rest_until > g->mono)
        return "it has asked to be left alone for a while";
    if (p->max_concurrency > 0 && p->in_flight >= p->max_concurrency)
        return "it answers as many requests as it may";
    return budget_left(g, p, info);
}

/* Place in the chain, or after it, in the order of the configuration. */
static size_t place_of(const struct gather *g, const struct provider *p, size_t index)
{
    for (size_t i = 0; i < g->config->chain_count; i++)
        if (strcmp(g->config->chain[i], p->name) == 0)
            return i;
    return g->config->chain_count + index;
}

static void fact_fill(const struct gather *g, struct provider *p, const char *model, struct choice_fact *f)
{
    const struct config_model_info *info = provider_info(p, model);
    *f = (struct choice_fact){
        .owner = p,
        .provider = p->name,
        .model = model,
        .kind = p->kind,
        .stays = p->stays,
        .unnamed = p->kind != SWITCH_PROVIDER_KIND_LOCAL && !p->models_fixed &&
                   !(info && strcmp(info->model, "*") != 0),
        .can = provider_can(p, model),
        .tools = FACT_UNKNOWN,
        .vision = FACT_UNKNOWN,
        .json_schema = FACT_UNKNOWN,
        .context = -1,
        .quality = -1,
        .input_price = -1,
        .output_price = -1,
    };
    if (info)
        fact_info(f, info);
    if (p->kind == SWITCH_PROVIDER_KIND_LOCAL)
        fact_local(f, g->sw->selector ? selector_local(g->sw->selector, model) : NULL);
    if (p->kind == SWITCH_PROVIDER_KIND_LOCAL)
        f->stays = g->sw->selector && selector_stays(g->sw->selector, model);
    fact_learned(g, f);
    f->not_now = not_now(g, p, info);
}

/* Adds one, once. The model's name is copied: the provider's list and the configuration may change while the
 * request runs. NULL: it is there already, there are too many, or no memory. */
static struct choice_fact *gather_add(struct gather *g, struct provider *p, const char *model, size_t order)
{
    for (size_t i = 0; i < g->count; i++)
        if (g->facts[i].owner == p && strcmp(g->facts[i].model, model) == 0)
            return NULL;
    if (g->count == g->cap) {
        size_t cap = g->cap ? g->cap * 4 : 4;
        struct choice_fact *facts =
            cap > FACTS_MAX ? NULL
                            : arena_realloc(g->a, g->facts, g->cap * sizeof *facts, cap * sizeof *facts);
        if (!facts)
            return NULL;
        g->facts = facts;
        g->cap = cap;
    }
    char *name = arena_strdup(g->a, model);
    if (!name)
        return NULL;
    struct choice_fact *f = &g->facts[g->count++];
    fact_fill(g, p, name, f);
    f->order = order;
    return f;
}

/* ---- candidates ---- */

/* Of the chain: there for a model that fails. */
static bool only_fallback(const struct choice_fact *f)
{
    return f->stand_in && !f->builtin;
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

/* A provider that could not list its models may still have this one; one that could does not. */
static bool may_offer(const struct provider *p, const char *model)
{
    return provider_offers(p, model) || (!p->models_fixed && p->models_at == 0);
}

/* Everybody who offers the model; else the one that the name names. */
static void gather_named(struct gather *g, const char *name, size_t order)
{
    size_t before = g->count;
    for (size_t i = 0; i < g->sw->provider_count; i++) {
        struct provider *p = g->sw->providers[i];
        if (may_use(p, g->wish->only) && provider_offers(p, name))
            gather_add(g, p, name, order == SIZE_MAX ? place_of(g, p, i) : order);
    }
    if (g->count > before)
        return;
    const char *model = NULL;
    struct provider *p = split_name(g->sw, g->a, name, &model);
    if (p && may_use(p, g->wish->only) && may_offer(p, model))
        gather_add(g, p, model, order == SIZE_MAX ? 0 : order);
}

static void gather_all(struct gather *g)
{
    for (size_t i = 0; i < g->sw->provider_count; i++) {
        struct provider *p = g->sw->providers[i];
        for (size_t k = 0; may_use(p, g->wish->only) && k < p->model_count; k++) {
            struct choice_fact *f = gather_add(g, p, p->models[k], place_of(g, p, i));
            if (!f || p->kind != SWITCH_PROVIDER_KIND_LOCAL || k != p->builtin)
                continue;
            /* The guide answers when there is nothing better. */
            f->builtin = f->stand_in = true;
            f->order = SIZE_MAX / 2;
        }
    }
}

static void gather_fallbacks(struct gather *g)
{
    for (size_t i = 0; i < g->config->chain_count; i++) {
        const char *model = NULL;
        struct provider *p = split_name(g->sw, g->a, g->config->chain[i], &model);
        struct choice_fact *f = p && may_use(p, g->wish->only) ? gather_add(g, p, model, i) : NULL;
        if (f)
            f->stand_in = true;
    }
}

/* What goes first whatever its score: the provider that the caller hints at, and the configured default. */
static void gather_pin(struct gather *g, const struct meaning *m)
{
    const char *fixed = admin_default_name(g->sw), *model = NULL;
    struct provider *p = said(fixed) ? split_name(g->sw, g->a, fixed, &model) : NULL;
    bool by_default = !m->wanted && !m->alias && m->prefer == CONFIG_ALIAS_PREFER_MODE && said(fixed);
    for (size_t i = 0; i < g->count; i++) {
        struct choice_fact *f = &g->facts[i];
        if (only_fallback(f))
            continue;
        if (g->wish->first)
            f->pinned = strcmp(f->provider, g->wish->first) == 0;
        else if (by_default)
            f->pinned =
                strcmp(f->model, fixed) == 0 || (f->owner == p && model && strcmp(f->model, model) == 0);
        f->stand_in = f->stand_in && !f->pinned;
    }
}

/* Of an alias's models embeddings have the first that anybody offers, and no other. */
static void gather_alias(struct gather *g, const struct config_alias *alias)
{
    for (size_t i = 0; i < alias->models_count; i++) {
        gather_named(g, alias->models[i], i);
        if (g->wish->kind == DISPATCH_EMBEDDING && g->count > 0)
            return;
    }
}

static void gather_run(struct gather *g, const struct meaning *m)
{
    if (m->wanted)
        gather_named(g, m->wanted, SIZE_MAX);
    else if (m->alias && m->alias->models_count > 0)
        gather_alias(g, m->alias);
    else
        gather_all(g);
    if (!m->wanted && !m->alias && said(admin_default_name(g->sw)) && !g->wish->only)
        gather_named(g, admin_default_name(g->sw),
                     0); /* of a provider that has not been asked for its models */
    if (g->count > 0 && g->wish->kind != DISPATCH_EMBEDDING)
        gather_fallbacks(g);
    gather_pin(g, m);
}

/* ---- nobody ---- */

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

static int refuse(struct selection *out, int status, const char *code, const char *param, int rc)
{
    out->refusal.status = status;
    out->refusal.code = code;
    out->refusal.param = param;
    return rc;
}

/* Says that nobody offers it, what is near, and who could not be asked. While that is Hermes, which is back
 * as soon as it has been started again, nobody can say that there is no such model. */
static int not_found(const struct switch_ *sw, struct arena *a, const char *wanted, const char *only,
                     struct selection *out, struct error *err)
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
    refuse(out, 404, "model_not_found", "model", 0);
    if (!silent)
        return error_set(err, VX11_ENOT_FOUND, "there is no model %.120s%s", wanted, text);
    bool local = silent->kind == SWITCH_PROVIDER_KIND_LOCAL;
    if (local)
        refuse(out, 503, "no_model", NULL, 0);
    return error_set(err, local ? VX11_EUNAVAILABLE : VX11_ENOT_FOUND,
                     "no provider is known to offer the model %.120s, and %.64s could not be asked for its "
                     "models: %.200s",
                     wanted, silent->name, silent->models_error);
}

static int no_model(const struct switch_ *sw, const char *only, struct selection *out, struct error *err)
{
    const struct provider *silent = unlisted(sw, only);
    refuse(out, 503, "no_model", NULL, 0);
    return error_set(err, VX11_EUNAVAILABLE, "no provider offers any model now%s%s%s%.200s",
                     silent ? "; " : "", silent ? silent->name : "", silent ? ": " : "",
                     silent ? silent->models_error : "");
}

static int unable(const char *model, enum dispatch_kind kind, struct selection *out, struct error *err)
{
    static const char *const codes[] = {[DISPATCH_CHAT] = "model_cannot_chat",
                                        [DISPATCH_COMPLETION] = "model_cannot_complete",
                                        [DISPATCH_EMBEDDING] = "model_cannot_embed"};
    refuse(out, 400, codes[kind], "model", 0);
    return error_set(err, VX11_EUNSUPPORTED,
                     kind == DISPATCH_EMBEDDING ? "model %.120s makes no embeddings"
                                                : "model %.120s only makes embeddings",
                     model);
}

/* Stand-ins alone are not enough: they are for a model that fails, not for one that may not or cannot. */
static bool usable_own(const struct selection *out, size_t usable)
{
    for (size_t i = 0; i < usable; i++)
        if (!only_fallback(out->choices[i].fact))
            return true;
    return false;
}

/* All candidates were dropped: why, by the strictest reason among them. */
static int all_dropped(const struct meaning *m, struct selection *out, struct error *err)
{
    const struct wish *w = &out->wish;
    const char *name = m->wanted ? m->wanted : w->model && w->model[0] ? w->model : "auto";
    const struct choice *first = NULL;
    bool remote = false, forbidden = false, cannot = false;
    for (size_t i = 0; i < out->choice_count; i++) {
        const struct choice_fact *f = out->choices[i].fact;
        if (only_fallback(f))
            continue;
        first = first ? first : &out->choices[i];
        bool allowed = !w->allows || w->allows(w->allows_ctx, w->model, f->provider, f->model);
        remote |= w->local_only && !f->stays;
        forbidden |= !allowed;
        cannot |= !(f->can & needs[w->kind]);
    }
    if (remote) {
        refuse(out, 403, "privacy_local_only", "model", 0);
        return error_set(err, VX11_EPERMISSION,
                         "the request must not leave this machine, and nothing on it can answer for %.120s",
                         name);
    }
    if (forbidden) {
        refuse(out, 403, "model_not_allowed", "model", 0);
        return error_set(err, VX11_EPERMISSION, "this token may not use the model %.120s", name);
    }
    if (cannot && m->wanted)
        return unable(name, w->kind, out, err);
    if (!first)
        return refuse(out, 503, "no_model", NULL, error_set(err, VX11_EUNAVAILABLE, "no model is left"));
    if (m->wanted) {
        refuse(out, 400, "model_unable", "model", 0);
        return error_set(err, VX11_EUNSUPPORTED, "model %.120s cannot answer this: %.200s", name,
                         first->reason);
    }
    refuse(out, 503, "no_model", NULL, 0);
    return error_set(err, VX11_EUNAVAILABLE,
                     "no model that Switch may choose can answer this; %.64s/%.120s: %.200s",
                     first->fact->provider, first->fact->model, first->reason);
}

/* ---- all together ---- */

static const struct score_weights preferred[] = {
    [CONFIG_ALIAS_PREFER_QUALITY] = {0.7, 0.05, 0.05, 0.2},
    [CONFIG_ALIAS_PREFER_LATENCY] = {0.1, 0.65, 0.05, 0.2},
    [CONFIG_ALIAS_PREFER_COST] = {0.1, 0.05, 0.65, 0.2},
};

static void query_fill(const struct switch_ *sw, const struct meaning *m, struct selection *out,
                       struct choice_query *q)
{
    const struct config_switch *c = module_config(sw->m)->values->switch_;
    const struct wish *w = &out->wish;
    bool chain = c->strategy == CONFIG_SWITCH_STRATEGY_CHAIN ||
                 (c->strategy == CONFIG_SWITCH_STRATEGY_AUTO && c->chain_count > 0);
    enum switch_mode set = sw->selector ? selector_mode_set(sw->selector) : SWITCH_MODE_BALANCED;
    mode_parse(w->mode, &set);
    if (m->alias && m->alias->mode != CONFIG_ALIAS_MODE_SAME)
        mode_parse(config_alias_mode_names[m->alias->mode], &set);
    out->chosen_by = m->by;
    out->free_choice = !m->wanted;
    out->mode_set = set;
    out->host = sw->selector ? selector_host(sw->selector) : SWITCH_FLUZO_PROFILE_BALANCED;
    out->mode = mode_effective(set, out->host);
    out->order = m->prefer == CONFIG_ALIAS_PREFER_ORDER ? CHOICE_LISTED
                 : m->wanted && chain                   ? CHOICE_CHAIN
                                                        : CHOICE_SCORE;
    bool own = m->prefer == CONFIG_ALIAS_PREFER_MODE || m->prefer == CONFIG_ALIAS_PREFER_ORDER;
    out->weights = own ? mode_profile(out->mode)->weights : preferred[m->prefer];
    *q = (struct choice_query){
        .wish = w,
        .order = out->order,
        .by_name = m->wanted != NULL,
        .open = !m->wanted && !w->only && !(m->alias && m->alias->models_count > 0),
        .needs = needs[w->kind],
        .mode = out->mode,
        .host = out->host,
        .weights = out->weights,
    };
}

static int list_fill(struct arena *a, struct selection *out, size_t usable, struct error *err)
{
    size_t most = out->free_choice ? (size_t)mode_profile(out->mode)->max_models : SWITCH_CANDIDATES;
    most = most < SWITCH_CANDIDATES ? most : SWITCH_CANDIDATES;
    for (size_t i = 0; i < usable && out->count < most; i++) {
        struct choice *c = &out->choices[i];
        c->outcomes = arena_zalloc(a, sizeof *c->outcomes);
        if (!c->outcomes)
            return error_set(err, VX11_ENOMEM, "out of memory");
        out->list[out->count++] = (struct candidate){c->fact->owner, c->fact->model, c->reason, c};
    }
    return 0;
}

int selection_make(const struct switch_ *sw, struct arena *a, const struct wish *wish, struct selection *out,
                   struct error *err)
{
    struct meaning m;
    struct choice_query q;
    struct gather g = {.sw = sw,
                       .config = module_config(sw->m)->values->switch_,
                       .a = a,
                       .wish = wish,
                       .wall = clock_wall_ms(),
                       .mono = clock_mono_ms()};
    memset(out, 0, sizeof *out);
    out->wish = *wish;
    refuse(out, 500, "internal", NULL, 0);
    if (wish->only && (!provider_find(sw, wish->only) || !provider_find(sw, wish->only)->enabled)) {
        refuse(out, 404, "model_not_found", "model", 0);
        return error_set(err, VX11_ENOT_FOUND, "there is no provider %s", wish->only);
    }
    meaning_of(sw, wish, &m);
    if (m.wanted && !(m.wanted = arena_strdup(a, m.wanted)))
        return error_set(err, VX11_ENOMEM, "out of memory");
    query_fill(sw, &m, out, &q);
    out->model = m.wanted;
    gather_run(&g, &m);
    if (g.count == 0 && m.wanted)
        return not_found(sw, a, m.wanted, wish->only, out, err);
    if (g.count == 0 && m.alias && m.alias->models_count > 0)
        return not_found(sw, a, m.alias->models[0], wish->only, out, err);
    if (g.count == 0)
        return no_model(sw, wish->only, out, err);
    out->choices = arena_array(a, g.count, sizeof *out->choices);
    if (!out->choices)
        return error_set(err, VX11_ENOMEM, "out of memory");
    size_t usable = choice_make(a, &q, g.facts, g.count, out->choices);
    out->choice_count = g.count;
    if (!usable_own(out, usable))
        return all_dropped(&m, out, err);
    return list_fill(a, out, usable, err);
}
