/* Keys: what is remembered of each principal's id, so that no request costs a query. All of it is forgotten
 * when any token's limits change, and read again one by one. */
#include "switch/limits/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "store/tokens.h"

static unsigned bucket_of(const char *id)
{
    uint32_t h = 2166136261u;
    for (; *id; id++)
        h = (h ^ (unsigned char)*id) * 16777619u;
    return h % KEY_BUCKETS;
}

void key_drop(struct limits_key *k)
{
    if (k && --k->refs == 0)
        free(k);
}

void keys_forget(struct limits *l)
{
    for (size_t i = 0; i < KEY_BUCKETS; i++)
        while (l->keys[i]) {
            struct limits_key *k = l->keys[i];
            l->keys[i] = k->next;
            key_drop(k);
        }
    l->key_count = 0;
}

/* ---- patterns ---- */

/* * stands for any text. */
static bool pattern_fits(const char *pattern, const char *text)
{
    const char *star = NULL, *again = NULL;
    while (*text) {
        if (*pattern == '*') {
            star = pattern++;
            again = text;
        } else if (*pattern == *text) {
            pattern++;
            text++;
        } else if (star) {
            pattern = star + 1;
            text = ++again;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == '\0';
}

/* "PROVIDER/MODEL" without putting it together. */
static bool pattern_fits_both(const char *pattern, const char *provider, const char *model)
{
    char name[64 + 1 + 256 + 1];
    int n = snprintf(name, sizeof name, "%s/%s", provider, model);
    return n > 0 && (size_t)n < sizeof name && pattern_fits(pattern, name);
}

bool key_allows(const struct limits_key *k, const char *requested, const char *provider, const char *model)
{
    if (!k || k->model_count == 0)
        return true;
    for (size_t i = 0; i < k->model_count; i++) {
        const char *pattern = k->models[i];
        /* An alias, or auto, that is named in so many words leads wherever it leads. */
        if (requested && !strpbrk(pattern, "*/") && strcmp(pattern, requested) == 0)
            return true;
        /* With a slash it says whose model: a remote model that calls itself "local/…" is not one of local's.
         */
        if (strchr(pattern, '/') ? provider && pattern_fits_both(pattern, provider, model)
                                 : pattern_fits(pattern, model))
            return true;
    }
    return false;
}

/* ---- reading ---- */

static const struct limits_bounds *default_bounds(const struct limits *l, const char *name, bool token)
{
    const struct limits_default *any = NULL;
    for (size_t i = 0; i < l->default_count; i++) {
        if (strcmp(l->defaults[i].principal, name) == 0)
            return &l->defaults[i].bounds;
        if (token && strcmp(l->defaults[i].principal, "*") == 0)
            any = &l->defaults[i];
    }
    return any ? &any->bounds : NULL;
}

/* A bound of the token's own goes before the configuration's, one by one. */
static void bounds_set(const struct limits *l, struct limits_account *a, const struct token_limits *t,
                       bool token)
{
    const struct limits_bounds *defaults = default_bounds(l, a->name, token);
    struct limits_bounds own = {{0}};
    if (t)
        own = (struct limits_bounds){{t->requests_per_minute, t->concurrent, t->tokens_per_day,
                                      t->tokens_per_month, t->cost_micro_per_month}};
    for (size_t i = 0; i < LIMITS_BUDGETS; i++)
        a->bounds.of[i] = own.of[i] > 0 ? own.of[i] : defaults ? defaults->of[i] : 0;
}

static struct limits_key *key_make(const char *id, const char *models)
{
    size_t lines = 1, len = strlen(models);
    for (const char *at = models; *at; at++)
        lines += *at == '\n';
    struct limits_key *k = calloc(1, sizeof *k + lines * sizeof k->models[0] + len + 1);
    if (!k)
        return NULL;
    k->refs = 1;
    snprintf(k->id, sizeof k->id, "%s", id);
    char *text = (char *)&k->models[lines], *rest = NULL;
    memcpy(text, models, len + 1);
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        k->models[k->model_count++] = line;
    return k;
}

static int key_read(struct limits *l, const struct principal *p, struct limits_key **out, struct error *err)
{
    struct token_limits t = {.models = ""};
    bool token = false;
    const char *account = p->id;
    if (strcmp(p->id, "local") != 0) {
        int rc = token_limits_get(l->store, p->id, &t, err);
        if (rc != 0 && rc != VX11_ENOT_FOUND)
            return rc;
        token = rc == 0;
        account = token ? t.account : strcmp(p->name, "page") == 0 ? "page" : p->id;
    }
    struct limits_key *k = key_make(p->id, t.models);
    struct limits_account *a = k ? account_get(l, false, account) : NULL;
    if (!a) {
        free(k);
        return error_set(err, VX11_ENOMEM, "no memory for a token's limits");
    }
    snprintf(a->name, sizeof a->name, "%s", token ? p->name : account);
    bounds_set(l, a, token ? &t : NULL, token);
    k->account = a;
    k->local_only = t.local_only;
    snprintf(k->mode, sizeof k->mode, "%s", t.mode);
    *out = k;
    return 0;
}

int key_get(struct limits *l, const struct principal *p, struct limits_key **out, struct error *err)
{
    static const struct principal nobody = {.kind = AUTH_PEER, .id = "local", .name = "local"};
    if (!p || !p->id[0])
        p = &nobody;
    struct limits_key **bucket = &l->keys[bucket_of(p->id)];
    for (struct limits_key *k = *bucket; k; k = k->next)
        if (strcmp(k->id, p->id) == 0) {
            k->refs++;
            *out = k;
            return 0;
        }
    if (l->key_count >= KEYS_MAX)
        keys_forget(l);
    struct limits_key *k = NULL;
    int rc = key_read(l, p, &k, err);
    if (rc != 0)
        return rc;
    k->next = *bucket;
    *bucket = k;
    l->key_count++;
    k->refs++;
    *out = k;
    return 0;
}
