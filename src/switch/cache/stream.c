/* Stream: chunks put together into the whole reply that they are of, and a whole reply taken apart into
 * chunks. One form is kept for both, so that a question asked with "stream" and one without it share their
 * answer. What cannot be put together without loss (calls of tools, log probabilities, fields that are not
 * known) is not kept. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "switch/cache/cache.h"

#define CHOICES_MAX 16

/* Texts of a message that come in pieces. */
static const char *const piece_names[] = {"content", "reasoning_content", "reasoning", "refusal"};
#define PIECES (sizeof piece_names / sizeof piece_names[0])

struct choice {
    bool seen;
    bool has[PIECES];
    struct buf text[PIECES]; /* of completions: the first */
    char finish[32];
};

struct cache_gather {
    enum cache_kind kind;
    size_t max_bytes, bytes;
    bool useless;
    struct buf head;  /* members that all chunks share, as JSON text without braces */
    struct buf usage; /* as JSON; empty: none came */
    struct choice choices[CHOICES_MAX];
};

struct cache_gather *cache_gather_create(enum cache_kind kind, size_t max_bytes)
{
    struct cache_gather *g = calloc(1, sizeof *g);
    if (g) {
        g->kind = kind;
        g->max_bytes = max_bytes;
    }
    return g;
}

void cache_gather_free(struct cache_gather *g)
{
    if (!g)
        return;
    buf_free(&g->head);
    buf_free(&g->usage);
    for (size_t i = 0; i < CHOICES_MAX; i++)
        for (size_t k = 0; k < PIECES; k++)
            buf_free(&g->choices[i].text[k]);
    free(g);
}

static bool says_nothing(yyjson_val *v)
{
    return !v || yyjson_is_null(v) || ((yyjson_is_arr(v) || yyjson_is_obj(v)) && yyjson_get_len(v) == 0);
}

static void piece_take(struct cache_gather *g, struct choice *c, size_t which, yyjson_val *v)
{
    if (yyjson_is_null(v))
        return;
    if (!yyjson_is_str(v)) {
        g->useless = true;
        return;
    }
    size_t len = yyjson_get_len(v);
    g->bytes += len;
    c->has[which] = true;
    if (g->bytes > g->max_bytes || buf_append(&c->text[which], yyjson_get_str(v), len) != 0)
        g->useless = true;
}

static void delta_take(struct cache_gather *g, struct choice *c, yyjson_val *delta)
{
    size_t i, n;
    yyjson_val *key, *v;
    yyjson_obj_foreach(delta, i, n, key, v)
    {
        size_t which = 0;
        while (which < PIECES && !yyjson_equals_str(key, piece_names[which]))
            which++;
        if (which < PIECES)
            piece_take(g, c, which, v);
        else if (!yyjson_equals_str(key, "role") && !says_nothing(v))
            g->useless = true;
    }
}

static void choice_take(struct cache_gather *g, yyjson_val *choice)
{
    uint64_t index = yyjson_get_uint(yyjson_obj_get(choice, "index"));
    const char *finish = yyjson_get_str(yyjson_obj_get(choice, "finish_reason"));
    if (index >= CHOICES_MAX || !says_nothing(yyjson_obj_get(choice, "logprobs")) ||
        (finish && strlen(finish) >= sizeof g->choices[0].finish)) {
        g->useless = true;
        return;
    }
    struct choice *c = &g->choices[index];
    c->seen = true;
    yyjson_val *text = yyjson_obj_get(choice, "text");
    if (g->kind == CACHE_COMPLETION && text)
        piece_take(g, c, 0, text);
    delta_take(g, c, yyjson_obj_get(choice, "delta"));
    if (finish)
        snprintf(c->finish, sizeof c->finish, "%s", finish);
}

static void json_put(struct buf *out, yyjson_val *v)
{
    size_t len;
    char *text = yyjson_val_write(v, 0, &len);
    if (text)
        buf_append(out, text, len);
    else
        out->failed = true;
    free(text);
}

static void head_take(struct cache_gather *g, yyjson_val *chunk)
{
    static const char *const names[] = {"id", "created", "model", "system_fingerprint"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        yyjson_val *v = yyjson_obj_get(chunk, names[i]);
        if (!v)
            continue;
        buf_printf(&g->head, "%s\"%s\":", g->head.len ? "," : "", names[i]);
        json_put(&g->head, v);
    }
}

void cache_gather_chunk(struct cache_gather *g, yyjson_val *chunk)
{
    yyjson_val *choices = yyjson_obj_get(chunk, "choices"), *usage = yyjson_obj_get(chunk, "usage"), *choice;
    size_t i, n;
    if (g->useless)
        return;
    if (!says_nothing(yyjson_obj_get(chunk, "error"))) {
        g->useless = true;
        return;
    }
    if (g->head.len == 0)
        head_take(g, chunk);
    yyjson_arr_foreach(choices, i, n, choice) choice_take(g, choice);
    if (yyjson_is_obj(usage)) {
        buf_clear(&g->usage);
        json_put(&g->usage, usage);
    }
    if (g->head.failed || g->usage.failed)
        g->useless = true;
}

static void choice_put(const struct cache_gather *g, const struct choice *c, size_t index, struct buf *out)
{
    buf_printf(out, "{\"index\":%zu,", index);
    if (g->kind == CACHE_COMPLETION) {
        buf_puts(out, "\"text\":");
        buf_put_json_string(out, c->text[0].data ? c->text[0].data : "", c->text[0].len);
    } else {
        buf_puts(out, "\"message\":{\"role\":\"assistant\"");
        for (size_t k = 0; k < PIECES; k++) {
            if (!c->has[k] && k > 0)
                continue;
            buf_printf(out, ",\"%s\":", piece_names[k]);
            if (c->has[k])
                buf_put_json_string(out, c->text[k].data ? c->text[k].data : "", c->text[k].len);
            else
                buf_puts(out, "null");
        }
        buf_putc(out, '}');
    }
    buf_puts(out, ",\"logprobs\":null,\"finish_reason\":");
    buf_put_json_string(out, c->finish, strlen(c->finish));
    buf_putc(out, '}');
}

int cache_gather_whole(const struct cache_gather *g, struct buf *out)
{
    size_t count = 0;
    for (size_t i = 0; i < CHOICES_MAX; i++) {
        count += g->choices[i].seen;
        if (g->choices[i].seen && !g->choices[i].finish[0])
            return VX11_EUNSUPPORTED;
    }
    if (g->useless || count == 0)
        return VX11_EUNSUPPORTED;
    buf_printf(out, "{\"object\":\"%s\"",
               g->kind == CACHE_COMPLETION ? "text_completion" : "chat.completion");
    if (g->head.len)
        buf_printf(out, ",%s", g->head.data);
    buf_puts(out, ",\"choices\":[");
    for (size_t i = 0, put = 0; i < CHOICES_MAX; i++)
        if (g->choices[i].seen) {
            if (put++ > 0)
                buf_putc(out, ',');
            choice_put(g, &g->choices[i], i, out);
        }
    buf_putc(out, ']');
    if (g->usage.len)
        buf_printf(out, ",\"usage\":%s", g->usage.data);
    buf_putc(out, '}');
    return out->failed ? VX11_ENOMEM : 0;
}

/* ---- replay ---- */

struct replay {
    enum cache_kind kind;
    yyjson_val *reply;
    int (*fn)(void *ctx, const char *data, size_t len);
    void *ctx;
};

/* An empty chunk with the reply's own head; *choices is its array. NULL without memory. */
static yyjson_mut_doc *chunk_make(const struct replay *p, yyjson_mut_val **choices)
{
    static const char *const names[] = {"id", "created", "model", "system_fingerprint"};
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = doc ? yyjson_mut_obj(doc) : NULL;
    if (!root) {
        yyjson_mut_doc_free(doc);
        return NULL;
    }
    yyjson_mut_doc_set_root(doc, root);
    yyjson_mut_obj_add_str(doc, root, "object",
                           p->kind == CACHE_COMPLETION ? "text_completion" : "chat.completion.chunk");
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        yyjson_val *v = yyjson_obj_get(p->reply, names[i]);
        if (v)
            yyjson_mut_obj_add_val(doc, root, names[i], yyjson_val_mut_copy(doc, v));
    }
    *choices = yyjson_mut_obj_add_arr(doc, root, "choices");
    return doc;
}

static int chunk_send(const struct replay *p, yyjson_mut_doc *doc)
{
    size_t len;
    char *text = yyjson_mut_write(doc, 0, &len);
    int rc = text ? p->fn(p->ctx, text, len) : VX11_ENOMEM;
    free(text);
    yyjson_mut_doc_free(doc);
    return rc;
}

static yyjson_mut_val *choice_add(yyjson_mut_doc *doc, yyjson_mut_val *choices, yyjson_val *choice)
{
    yyjson_mut_val *out = yyjson_mut_arr_add_obj(doc, choices);
    yyjson_val *index = yyjson_obj_get(choice, "index");
    yyjson_mut_obj_add_val(doc, out, "index",
                           index ? yyjson_val_mut_copy(doc, index) : yyjson_mut_int(doc, 0));
    return out;
}

static int replay_text(const struct replay *p, yyjson_val *choice)
{
    yyjson_mut_val *choices;
    yyjson_mut_doc *doc = chunk_make(p, &choices);
    if (!doc)
        return VX11_ENOMEM;
    yyjson_mut_val *out = choice_add(doc, choices, choice);
    yyjson_val *said = yyjson_obj_get(choice, p->kind == CACHE_COMPLETION ? "text" : "message");
    yyjson_val *logprobs = yyjson_obj_get(choice, "logprobs");
    if (said)
        yyjson_mut_obj_add_val(doc, out, p->kind == CACHE_COMPLETION ? "text" : "delta",
                               yyjson_val_mut_copy(doc, said));
    if (logprobs && !yyjson_is_null(logprobs))
        yyjson_mut_obj_add_val(doc, out, "logprobs", yyjson_val_mut_copy(doc, logprobs));
    yyjson_mut_obj_add_null(doc, out, "finish_reason");
    return chunk_send(p, doc);
}

static int replay_finish(const struct replay *p, yyjson_val *choice)
{
    yyjson_mut_val *choices;
    yyjson_mut_doc *doc = chunk_make(p, &choices);
    if (!doc)
        return VX11_ENOMEM;
    yyjson_mut_val *out = choice_add(doc, choices, choice);
    if (p->kind == CACHE_COMPLETION)
        yyjson_mut_obj_add_str(doc, out, "text", "");
    else
        yyjson_mut_obj_add_obj(doc, out, "delta");
    yyjson_mut_obj_add_val(doc, out, "finish_reason",
                           yyjson_val_mut_copy(doc, yyjson_obj_get(choice, "finish_reason")));
    return chunk_send(p, doc);
}

static int replay_usage(const struct replay *p, yyjson_val *usage)
{
    yyjson_mut_val *choices;
    yyjson_mut_doc *doc = chunk_make(p, &choices);
    if (!doc)
        return VX11_ENOMEM;
    yyjson_mut_obj_add_val(doc, yyjson_mut_doc_get_root(doc), "usage", yyjson_val_mut_copy(doc, usage));
    return chunk_send(p, doc);
}

int cache_replay(enum cache_kind kind, const char *body, size_t len, bool usage,
                 int (*fn)(void *ctx, const char *data, size_t len), void *ctx)
{
    yyjson_doc *doc = yyjson_read(body, len, 0);
    struct replay p = {kind, yyjson_doc_get_root(doc), fn, ctx};
    yyjson_val *choices = yyjson_obj_get(p.reply, "choices"), *choice;
    yyjson_val *counts = yyjson_obj_get(p.reply, "usage");
    size_t i, n;
    int rc = yyjson_arr_size(choices) > 0 ? 0 : VX11_ECORRUPT;
    yyjson_arr_foreach(choices, i, n, choice)
    {
        if (rc == 0)
            rc = replay_text(&p, choice);
        if (rc == 0)
            rc = replay_finish(&p, choice);
    }
    if (rc == 0 && usage && yyjson_is_obj(counts))
        rc = replay_usage(&p, counts);
    yyjson_doc_free(doc);
    return rc;
}
