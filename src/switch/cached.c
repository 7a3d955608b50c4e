/* Cached: a request that was answered before, answered with the same words, and good answers kept for the
 * next time. What is kept is OpenAI's whole reply; streams are gathered into one, and one is told as a
 * stream. */
#include "switch/switch_internal.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "switch/dialect.h"

static enum cache_kind kind_of(const struct dispatch *d)
{
    return d->wish.kind == DISPATCH_CHAT         ? CACHE_CHAT
           : d->wish.kind == DISPATCH_COMPLETION ? CACHE_COMPLETION
                                                 : CACHE_EMBEDDING;
}

static void header(struct dispatch *d, enum cache_result result)
{
    cache_count(d->sw->cache, result);
    request_reply_header(d->r, "X-VX11-Cache", cache_result_names[result]);
}

/* ---- a hit ---- */

static int on_chunk(void *ctx, const char *data, size_t len)
{
    struct dispatch *d = ctx;
    struct switch_upstream u;
    struct arena *scratch;
    if (!d->dialect) {
        request_stream_event(d->r, NULL, NULL, data, len);
        return 0;
    }
    scratch = arena_create(0);
    int rc = scratch ? switch_upstream_parse(scratch, data, len, &u, NULL) : VX11_ENOMEM;
    if (rc == 0)
        d->dialect->chunk(d, data, len, &u);
    arena_destroy(scratch);
    return rc;
}

static void hit_stream(struct dispatch *d, const char *body, size_t len)
{
    struct request *r = d->r;
    d->begun = true;
    request_stream_backpressure(r);
    request_stream_begin(r, 200, NULL);
    int rc = cache_replay(kind_of(d), body, len, d->include_usage || d->dialect, on_chunk, d);
    if (rc != 0 && d->dialect)
        d->dialect->broken(d, "internal", error_describe(rc));
    else if (d->dialect)
        d->dialect->end(d);
    else
        request_stream_event(r, NULL, NULL, "[DONE]", 6);
    dispatch_end(d, DISPATCH_SILENT, rc == 0 ? SWITCH_OUTCOME_OK : SWITCH_OUTCOME_FAILED, 200,
                 rc == 0 ? NULL : error_describe(rc));
    request_stream_end(r);
}

static int hit_render(struct dispatch *d, const char *body, size_t len, struct buf *out, struct error *err)
{
    struct switch_upstream u;
    struct contract_error bad = {0};
    if (!d->dialect || !d->dialect->whole)
        return buf_append(out, body, len);
    int rc = switch_upstream_parse(request_arena(d->r), body, len, &u, &bad);
    return rc != 0 ? error_set(err, rc, "%s", bad.text) : d->dialect->whole(d, body, len, &u, out, err);
}

static void hit_whole(struct dispatch *d, const char *body, size_t len)
{
    struct request *r = d->r;
    struct buf out = BUF_INIT;
    struct error err = {0};
    int rc = hit_render(d, body, len, &out, &err);
    dispatch_end(d, DISPATCH_SILENT, rc == 0 ? SWITCH_OUTCOME_OK : SWITCH_OUTCOME_FAILED, rc == 0 ? 200 : 500,
                 rc == 0 ? NULL : err.text);
    if (rc == 0) {
        size_t n;
        char *data = buf_detach(&out, &n);
        request_reply_bytes(r, 200, "application/json", data, n, true);
        return;
    }
    buf_free(&out);
    request_fail(r, 500, "internal", NULL, "%s", err.text);
}

static void hit(struct dispatch *d, const struct cache_reply *kept)
{
    struct arena *a = request_arena(d->r);
    char age[24];
    /* The entry is the cache's until it is next used. */
    const char *body = arena_strndup(a, kept->body, kept->body_len);
    d->account.provider = arena_strdup(a, kept->provider);
    d->account.model = arena_strdup(a, kept->model);
    d->account.reason = "cache";
    d->account.from_cache = true;
    d->account.cost_micro = 0;
    d->account.prompt_tokens = kept->prompt_tokens;
    d->account.completion_tokens = kept->completion_tokens;
    d->account.cached_tokens = kept->cached_tokens;
    snprintf(age, sizeof age, "%lld", (long long)(kept->age_ms / 1000));
    header(d, CACHE_HIT);
    request_reply_header(d->r, "Age", age);
    request_reply_header(d->r, "X-VX11-Provider", d->account.provider);
    request_reply_header(d->r, "X-VX11-Model", d->account.model);
    if (d->stream)
        hit_stream(d, body, kept->body_len);
    else
        hit_whole(d, body, kept->body_len);
}

bool cached_answer(struct dispatch *d)
{
    struct switch_ *sw = d->sw;
    struct cache_control control;
    struct cache_reply kept;
    if (!cache_enabled(sw->cache))
        return false;
    const struct config_switch *c = module_config(sw->m)->values->switch_;
    const struct cache_ask ask = {
        .kind = kind_of(d),
        .scope = c->cache->scope == CONFIG_CACHE_SCOPE_SHARED ? "" : limits_account_id(&d->hold),
        .model = d->wish.model,
        .only = d->wish.only,
        .hint = d->wish.first,
        .mode = d->wish.mode,
        .local_only = d->wish.local_only,
        .body = d->root,
    };
    cache_control_parse(request_header(d->r, "Cache-Control"), &control);
    d->caches = d->root && !control.no_store && cache_key(&ask, d->cache_key) == 0;
    if (!d->caches || control.no_cache) {
        header(d, CACHE_BYPASS);
        return false;
    }
    if (!cache_find(sw->cache, d->cache_key, sw->registry_version, control.max_age_ms, clock_mono_ms(),
                    &kept) ||
        !limits_model_allowed(&d->hold, d->wish.model, kept.provider, kept.model) ||
        (d->wish.local_only && !kept.local)) {
        header(d, CACHE_MISS);
        return false;
    }
    hit(d, &kept);
    return true;
}

/* ---- keeping ---- */

static bool worth_keeping(const struct attempt *a)
{
    return a->d->caches && a->provider->kind != SWITCH_PROVIDER_KIND_TOOL &&
           a->provider->kind != SWITCH_PROVIDER_KIND_MODULE;
}

void cached_keep(struct attempt *a, const char *body, size_t len)
{
    struct dispatch *d = a->d;
    if (!worth_keeping(a))
        return;
    const struct cache_reply reply = {
        .body = body,
        .body_len = len,
        .provider = a->provider->name,
        .model = a->candidate->model,
        .local = a->provider->kind == SWITCH_PROVIDER_KIND_LOCAL,
        .version = d->sw->registry_version,
        .prompt_tokens = a->tokens.prompt,
        .completion_tokens = a->tokens.completion,
        .cached_tokens = a->tokens.cached,
    };
    (void)cache_keep(d->sw->cache, d->cache_key, &reply,
                     clock_mono_ms()); /* too large, say: then it is not */
}

void cached_gather(struct attempt *a, const char *chunk, size_t len)
{
    struct dispatch *d = a->d;
    const struct config_switch *c = module_config(d->sw->m)->values->switch_;
    yyjson_val *root = NULL;
    if (!worth_keeping(a))
        return;
    if (!d->gather)
        d->gather = cache_gather_create(kind_of(d), (size_t)c->cache->max_entry_bytes);
    struct arena *scratch = d->gather ? arena_create(0) : NULL;
    if (scratch && contract_json_parse(scratch, chunk, len, NULL, &root, NULL) == 0)
        cache_gather_chunk(d->gather, root);
    arena_destroy(scratch);
}

void cached_keep_stream(struct attempt *a)
{
    struct buf whole = BUF_INIT;
    if (a->d->gather && cache_gather_whole(a->d->gather, &whole) == 0)
        cached_keep(a, whole.data, whole.len);
    buf_free(&whole);
}
