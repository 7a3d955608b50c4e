/* Stream: reads OpenAI's chunks. A chunk that holds nothing we know is no error: providers add what they
 * like. */
#include "operator/chat/stream.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"

enum { EVENT_MAX = 4 << 20, ARGUMENTS_MAX = 256 << 10, NAME_MAX_ = 256 };

void chat_stream_init(struct chat_stream *s, size_t most)
{
    *s = (struct chat_stream){.most = most};
    sse_init(&s->sse, EVENT_MAX);
}

void chat_stream_free(struct chat_stream *s)
{
    sse_free(&s->sse);
    buf_free(&s->text);
    buf_free(&s->reasoning);
    for (size_t i = 0; i < s->call_count; i++) {
        buf_free(&s->calls[i].id);
        buf_free(&s->calls[i].name);
        buf_free(&s->calls[i].arguments);
    }
    s->call_count = 0;
}

bool chat_stream_begun(const struct chat_stream *s)
{
    return s->text.len > 0 || s->reasoning.len > 0 || s->call_count > 0;
}

const char *chat_decision_reason(const char *header)
{
    const char *at = header ? strstr(header, "reason=") : NULL;
    return at && at[7] ? at + 7 : NULL;
}

/* ---- pieces of a chunk ---- */

struct reading {
    struct chat_stream *s;
    struct error *err;
};

static int put(struct reading *r, struct buf *to, yyjson_val *piece, size_t most)
{
    size_t len = yyjson_get_len(piece);
    if (!yyjson_is_str(piece) || len == 0)
        return 0;
    if (to->len + len > most)
        return error_set(r->err, VX11_ETOO_LARGE, "the answer is longer than %zu bytes", most);
    return buf_append(to, yyjson_get_str(piece), len) == 0
               ? 0
               : error_set(r->err, VX11_ENOMEM, "out of memory for the answer");
}

static int put_text(struct reading *r, struct buf *to, yyjson_val *piece)
{
    struct chat_stream *s = r->s;
    size_t other = s->text.len + s->reasoning.len - to->len;
    return put(r, to, piece, s->most > other ? s->most - other : 0);
}

/* Pieces of a call name it by its index; some providers leave that out and send it whole, with an id. */
static int call_index(const struct chat_stream *s, yyjson_val *piece, size_t *out)
{
    yyjson_val *index = yyjson_obj_get(piece, "index"), *id = yyjson_obj_get(piece, "id");
    if (yyjson_is_int(index)) {
        *out = yyjson_is_sint(index) && yyjson_get_sint(index) < 0 ? STREAM_CALLS
                                                                   : (size_t)yyjson_get_uint(index);
        return *out <= s->call_count ? 0 : VX11_ETOO_LARGE;
    }
    bool new_one = yyjson_get_len(id) > 0 || s->call_count == 0;
    *out = new_one ? s->call_count : s->call_count - 1;
    return 0;
}

static int read_call(struct reading *r, yyjson_val *piece)
{
    struct chat_stream *s = r->s;
    yyjson_val *function = yyjson_obj_get(piece, "function");
    size_t at;
    if (call_index(s, piece, &at) != 0 || at >= STREAM_CALLS)
        return error_set(r->err, VX11_ETOO_LARGE, "the model called more than %d tools at once",
                         STREAM_CALLS);
    struct stream_call *c = &s->calls[at];
    if (at == s->call_count)
        s->call_count++;
    int rc = c->id.len == 0 ? put(r, &c->id, yyjson_obj_get(piece, "id"), NAME_MAX_) : 0;
    rc = rc ? rc : put(r, &c->name, yyjson_obj_get(function, "name"), NAME_MAX_);
    return rc ? rc : put(r, &c->arguments, yyjson_obj_get(function, "arguments"), ARGUMENTS_MAX);
}

static void read_count(yyjson_val *object, const char *name, bool *has, int64_t *out)
{
    yyjson_val *v = yyjson_obj_get(object, name);
    if (!yyjson_is_uint(v) || yyjson_get_uint(v) > INT64_MAX)
        return;
    *has = true;
    *out = (int64_t)yyjson_get_uint(v);
}

static void read_usage(struct chat_stream *s, yyjson_val *usage)
{
    struct operator_usage *u = &s->usage;
    if (!yyjson_is_obj(usage))
        return;
    s->has_usage = true;
    read_count(usage, "prompt_tokens", &u->has_prompt_tokens, &u->prompt_tokens);
    read_count(usage, "completion_tokens", &u->has_completion_tokens, &u->completion_tokens);
    read_count(yyjson_obj_get(usage, "prompt_tokens_details"), "cached_tokens", &u->has_cached_tokens,
               &u->cached_tokens);
    u->estimated = yyjson_get_bool(yyjson_obj_get(usage, "estimated"));
}

static void read_error(struct chat_stream *s, yyjson_val *error)
{
    const char *text =
        yyjson_is_str(error) ? yyjson_get_str(error) : yyjson_get_str(yyjson_obj_get(error, "message"));
    const char *code = yyjson_get_str(yyjson_obj_get(error, "code"));
    s->failed = true;
    snprintf(s->error_text, sizeof s->error_text, "%.*s", (int)sizeof s->error_text - 1,
             text ? text : "the provider reported an error without words");
    s->error_text[utf8_valid_prefix(s->error_text, strlen(s->error_text))] = '\0';
    snprintf(s->error_code, sizeof s->error_code, "%.63s", code ? code : "");
    s->error_code[utf8_valid_prefix(s->error_code, strlen(s->error_code))] = '\0';
}

static int read_choice(struct reading *r, yyjson_val *choice)
{
    struct chat_stream *s = r->s;
    yyjson_val *delta = yyjson_obj_get(choice, "delta"), *call;
    yyjson_val *thought = yyjson_obj_get(delta, "reasoning_content");
    const char *finish = yyjson_get_str(yyjson_obj_get(choice, "finish_reason"));
    yyjson_arr_iter iter;
    int rc = put_text(r, &s->reasoning, thought ? thought : yyjson_obj_get(delta, "reasoning"));
    rc = rc ? rc : put_text(r, &s->text, yyjson_obj_get(delta, "content"));
    yyjson_arr_iter_init(yyjson_obj_get(delta, "tool_calls"), &iter);
    while (rc == 0 && (call = yyjson_arr_iter_next(&iter)))
        rc = read_call(r, call);
    if (finish)
        snprintf(s->finish_reason, sizeof s->finish_reason, "%.63s", finish);
    return rc;
}

static int on_event(void *ctx, const struct sse_event *e)
{
    struct reading *r = ctx;
    struct chat_stream *s = r->s;
    if (s->done || e->data_len == 0)
        return 0;
    if (strcmp(e->data, "[DONE]") == 0) {
        s->done = true;
        return 0;
    }
    yyjson_doc *doc = yyjson_read(e->data, e->data_len, 0);
    yyjson_val *root = yyjson_doc_get_root(doc);
    if (!yyjson_is_obj(root)) {
        yyjson_doc_free(doc);
        return error_set(r->err, VX11_ECORRUPT, "an event of the answer is no JSON object");
    }
    yyjson_val *error = yyjson_obj_get(root, "error");
    if (error && !yyjson_is_null(error))
        read_error(s, error);
    int rc = read_choice(r, yyjson_arr_get_first(yyjson_obj_get(root, "choices")));
    read_usage(s, yyjson_obj_get(root, "usage"));
    yyjson_doc_free(doc);
    return rc;
}

int chat_stream_feed(struct chat_stream *s, const char *data, size_t len, struct error *err)
{
    struct error mine = {0};
    struct reading r = {.s = s, .err = &mine};
    int rc = sse_feed(&s->sse, data, len, on_event, &r);
    if (rc != 0 && mine.code == 0)
        error_set(&mine, rc,
                  rc == VX11_ETOO_LARGE ? "an event of the answer is too large"
                                        : "the answer cannot be read");
    if (rc != 0 && err)
        *err = mine;
    return rc;
}
