/* Anthropic: the adapter for servers that speak Anthropic's messages. The translation itself is in
 * anthropic_request.c, anthropic_reply.c and anthropic_stream.c.
 *
 * What a caller said in Anthropic's words goes there as it came, but for the model's name: nothing is lost on
 * the way through OpenAI's. */
#include "switch/anthropic.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "switch/selection/selector.h"
#include "switch/switch_internal.h"

struct translation {
    char *key;
    struct arena *scratch; /* of one event; the attempt's own is in use by whom we hand chunks to */
    struct anthropic_stream stream;
};

static int on_chunk(void *ctx, const char *data, size_t len)
{
    struct attempt *a = ctx;
    if (len == 6 && memcmp(data, "[DONE]", 6) == 0) {
        answer_finished(a);
        return 0;
    }
    return answer_chunk(a, data, len, NULL);
}

static void translation_free(struct attempt *a)
{
    struct translation *t = a->translation;
    if (!t)
        return;
    free(t->key);
    arena_destroy(t->scratch);
    free(t);
    a->translation = NULL;
}

static int translation_make(struct attempt *a, const char *key)
{
    struct translation *t = calloc(1, sizeof *t);
    if (!t)
        return VX11_ENOMEM;
    a->translation = t;
    t->key = key ? strdup(key) : NULL;
    t->scratch = arena_create(0);
    anthropic_stream_init(&t->stream, on_chunk, a);
    return t->scratch && (t->key || !key) ? 0 : VX11_ENOMEM;
}

static void reach(struct attempt *a)
{
    struct arena *arena = request_arena(a->d->r);
    struct error err = {0};
    const char *key = NULL;
    a->target = (struct client_target){.base_url = arena_strdup(arena, a->provider->base_url),
                                       .peer_kind = "provider",
                                       .peer = a->provider->name};
    if (provider_key(a->provider, arena, &key, &err) != 0)
        attempt_failed(a, DISPATCH_SILENT, 503, "provider_key_missing", err.text);
    else if (!a->target.base_url || translation_make(a, key) != 0)
        attempt_failed(a, DISPATCH_SILENT, 500, "out_of_memory", "out of memory");
    else
        attempt_call(a);
}

/* ---- the request ---- */

/* Thoughts that nobody signed are another model's, and are refused there. */
static void unsigned_remove(yyjson_mut_val *root)
{
    size_t i, n;
    yyjson_mut_val *message, *block;
    yyjson_mut_arr_foreach(yyjson_mut_obj_get(root, "messages"), i, n, message)
    {
        yyjson_mut_arr_iter iter;
        yyjson_mut_val *content = yyjson_mut_obj_get(message, "content");
        if (!yyjson_mut_is_arr(content))
            continue;
        yyjson_mut_arr_iter_init(content, &iter);
        while ((block = yyjson_mut_arr_iter_next(&iter)))
            if (yyjson_mut_equals_str(yyjson_mut_obj_get(block, "type"), "thinking") &&
                yyjson_mut_get_len(yyjson_mut_obj_get(block, "signature")) == 0)
                yyjson_mut_arr_iter_remove(&iter);
    }
}

/* The caller's own words with the provider's name of the model. */
static int body_own(struct attempt *a, const char **out, size_t *len, struct error *err)
{
    struct arena *arena = request_arena(a->d->r);
    yyjson_val *root = NULL;
    yyjson_alc alc;
    size_t own_len;
    const char *own = request_raw_body(a->d->r, &own_len);
    contract_json_allocator(arena, &alc);
    if (contract_json_parse(arena, own, own_len, NULL, &root, NULL) != 0)
        return error_set(err, VX11_ESYNTAX, "the request could not be read again");
    yyjson_mut_doc *doc = yyjson_mut_doc_new(&alc);
    yyjson_mut_val *copy = doc ? yyjson_val_mut_copy(doc, root) : NULL;
    *out = NULL;
    if (copy) {
        yyjson_mut_doc_set_root(doc, copy);
        yyjson_mut_obj_put(copy, yyjson_mut_str(doc, "model"), yyjson_mut_str(doc, a->candidate->model));
        unsigned_remove(copy);
        *out = yyjson_mut_write_opts(doc, 0, &alc, len, NULL);
    }
    return *out ? 0 : error_set(err, VX11_ENOMEM, "out of memory");
}

static int request_make(struct attempt *a, const char **path, const char **body, size_t *len,
                        struct error *err)
{
    struct dispatch *d = a->d;
    const struct config_model_info *info = provider_info(a->provider, a->candidate->model);
    *path = "/messages";
    if (d->wish.kind != DISPATCH_CHAT)
        return error_set(err, VX11_EUNSUPPORTED, "Anthropic's API answers chats only");
    if (d->dialect == &messages_dialect)
        return body_own(a, body, len, err);
    return anthropic_request(request_arena(d->r), d->body, d->body_len, a->candidate->model,
                             info && info->has_max_output ? info->max_output : 0, false, body, len, err);
}

int anthropic_key_headers(struct arena *a, const char *key, struct client_call_options *options)
{
    struct client_header *headers = arena_array(a, options->header_count + 2, sizeof *headers);
    if (!headers)
        return VX11_ENOMEM;
    if (options->header_count > 0)
        memcpy(headers, options->headers, options->header_count * sizeof *headers);
    headers[options->header_count++] = (struct client_header){"anthropic-version", ANTHROPIC_VERSION};
    if (key)
        headers[options->header_count++] = (struct client_header){"x-api-key", key};
    options->headers = headers;
    return 0;
}

/* A caller who speaks its language may use what it tries out. */
static int headers_make(struct attempt *a, struct client_call_options *options)
{
    const struct translation *t = a->translation;
    struct arena *arena = request_arena(a->d->r);
    const char *beta = a->d->dialect == &messages_dialect ? request_header(a->d->r, "anthropic-beta") : NULL;
    if (beta) {
        struct client_header *one = arena_array(arena, 1, sizeof *one);
        if (!one)
            return VX11_ENOMEM;
        *one = (struct client_header){"anthropic-beta", beta};
        options->headers = one;
        options->header_count = 1;
    }
    return anthropic_key_headers(arena, t->key, options);
}

/* ---- the answer ---- */

static int event_take(struct attempt *a, const struct sse_event *e)
{
    struct translation *t = a->translation;
    arena_reset(t->scratch);
    int rc = anthropic_stream_event(&t->stream, t->scratch, e->data, e->data_len);
    if (rc == VX11_ECORRUPT && !a->failed_midway) {
        snprintf(a->failed_text, sizeof a->failed_text,
                 "the provider sent an event that is none of Anthropic's");
        a->failed_midway = true;
    }
    return rc;
}

static int whole_take(struct attempt *a, int status, struct buf *reply, struct error *err)
{
    const char *out;
    size_t len;
    a->upstream_status = anthropic_status(status);
    if (status != 200) /* errors have the same shape */
        return 0;
    struct arena *scratch = arena_create(0);
    int rc = scratch ? anthropic_reply(scratch, reply->data ? reply->data : "", reply->len, &out, &len, err)
                     : error_set(err, VX11_ENOMEM, "out of memory");
    if (rc == 0) {
        buf_clear(reply);
        rc = buf_append(reply, out, len);
    }
    arena_destroy(scratch);
    return rc;
}

const struct adapter anthropic_adapter = {
    .name = "anthropic",
    .reach = reach,
    .request = request_make,
    .headers = headers_make,
    .event = event_take,
    .whole = whole_take,
    .free = translation_free,
    .outside = true,
};
