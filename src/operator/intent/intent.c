/* Intent: takes one in, hands it to its target, writes its row. The row is written whatever came of it,
 * before the caller has the answer. */
#include "operator/intent/intent.h"

#include <stdlib.h>
#include <string.h>

#include "api/switch_client.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"
#include "base/ulid.h"
#include "operator/browser/browser.h"
#include "operator/rows.h"
#include "operator/sessions/sessions.h"

#define MESSAGE_KEPT 2000 /* characters of a text in its row */

struct intent {
    struct operator_ *o;
    struct request *r;
    struct arena *a;
    const struct operator_intent_request *body;
    struct client_call *call;
    char id[ULID_LEN + 1];
    const char *text, *type, *target;
    size_t len;
    struct detected found;
    struct operator_detected detected; /* the same, as callers see it */
    yyjson_val *metadata;              /* the caller's, with what was detected */
    int64_t at;
    uint64_t began_ns;
};

/* ---- the row ---- */

static int put_array(struct buf *out, const char *const *list, size_t n)
{
    int rc = buf_putc(out, '[');
    for (size_t i = 0; rc == 0 && i < n; i++) {
        rc = buf_puts(out, i > 0 ? "," : "");
        if (rc == 0)
            rc = buf_put_json_string(out, list[i], strlen(list[i]));
    }
    return rc == 0 ? buf_putc(out, ']') : rc;
}

static size_t cut_text(const char *text, size_t len)
{
    return utf8_valid_prefix(text, len < MESSAGE_KEPT ? len : MESSAGE_KEPT);
}

static void intent_record(const struct intent *x, int status, const char *error)
{
    struct buf ops = BUF_INIT, matched = BUF_INIT;
    const struct principal *p = request_principal(x->r);
    const char *session = x->body->session_id && ulid_valid(x->body->session_id) ? x->body->session_id : NULL;
    int rc = put_array(&ops, x->found.ops, x->found.op_count);
    if (rc == 0)
        rc = put_array(&matched, x->found.words, x->found.word_count);
    if (rc == 0) {
        struct store_value values[] = {
            STORE_T(x->id),
            STORE_I(x->at),
            STORE_T(session),
            STORE_T(p ? p->name : NULL),
            STORE_T(x->type),
            STORE_T(x->target),
            store_text_len(x->text, cut_text(x->text, x->len)),
            STORE_T(operator_intent_mode_names[x->found.mode]),
            store_text_len(ops.data, ops.len),
            store_text_len(matched.data, matched.len),
            STORE_D(x->found.confidence),
            STORE_T(operator_detected_language_names[x->found.language]),
            STORE_I(status),
            STORE_T(error),
            STORE_D((double)(clock_mono_ns() - x->began_ns) / 1e6),
        };
        rc = writer_push(
            module_writer(x->o->m),
            "INSERT INTO operator_intent (id, at, session_id, principal, intent_type, target, message, "
            "mode, ops, matched, confidence, language, status, error, total_ms) VALUES (?1, ?2, ?3, ?4, "
            "?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
            values, COUNT_OF(values));
    }
    if (rc != 0)
        log_error("intent", "a row was lost", LOG_S("id", x->id), LOG_S("error", error_describe(rc)));
    buf_free(&ops);
    buf_free(&matched);
}

/* ---- ends ---- */

static void intent_fail(struct intent *x, int status, const char *code, const char *param, const char *fmt,
                        ...) __attribute__((format(printf, 5, 6)));

static void intent_fail(struct intent *x, int status, const char *code, const char *param, const char *fmt,
                        ...)
{
    va_list args;
    va_start(args, fmt);
    const char *text = arena_vprintf(x->a, fmt, args);
    va_end(args);
    text = text ? text : code;
    intent_record(x, status, text);
    request_fail(x->r, status, code, param, "%s", text);
}

static void intent_done(struct intent *x, int status, yyjson_val *response)
{
    struct operator_intent_reply reply = {.status = status == 202 ? OPERATOR_INTENT_REPLY_STATUS_ACCEPTED
                                                                  : OPERATOR_INTENT_REPLY_STATUS_OK,
                                          .id = x->id,
                                          .intent_type = x->type,
                                          .target = x->target,
                                          .detected = &x->detected,
                                          .metadata = x->metadata,
                                          .response = response};
    intent_record(x, status, NULL);
    request_reply(x->r, status, &operator_intent_reply_message, &reply);
}

/* A JSON text that outlives its buffer, as a value; NULL: it is none. */
static yyjson_val *intent_value(struct intent *x, const char *text, size_t len)
{
    yyjson_val *value = NULL;
    const char *copy = arena_strndup(x->a, text, len);
    return copy && contract_json_parse(x->a, copy, len, NULL, &value, NULL) == 0 ? value : NULL;
}

/* ---- metadata ---- */

static int put_value(struct buf *out, const char *key, const char *json, size_t len)
{
    int rc = buf_puts(out, out->data[out->len - 1] == '{' ? "" : ",");
    if (rc == 0)
        rc = buf_put_json_string(out, key, strlen(key));
    if (rc == 0)
        rc = buf_putc(out, ':');
    return rc == 0 ? buf_append(out, json, len) : rc;
}

/* The caller's own fields; what is added beside them never has the name of one. */
static int put_own(struct intent *x, struct buf *out)
{
    size_t i, n;
    yyjson_val *key, *value;
    struct buf one = BUF_INIT;
    int rc = buf_putc(out, '{');
    yyjson_obj_foreach(x->body->metadata, i, n, key, value)
    {
        buf_clear(&one);
        if (rc == 0)
            rc = contract_json_write(value, &one);
        if (rc == 0)
            rc = put_value(out, yyjson_get_str(key), one.data, one.len);
    }
    buf_free(&one);
    return rc;
}

static bool has_own(const struct intent *x, const char *key)
{
    return yyjson_obj_get(x->body->metadata, key) != NULL;
}

static int put_beside(struct intent *x, struct buf *out, const char *key, const char *json, size_t len)
{
    return has_own(x, key) ? 0 : put_value(out, key, json, len);
}

static int put_text_beside(struct intent *x, struct buf *out, const char *key, const char *text)
{
    struct buf json = BUF_INIT;
    int rc = buf_put_json_string(&json, text, strlen(text));
    if (rc == 0)
        rc = put_beside(x, out, key, json.data, json.len);
    buf_free(&json);
    return rc;
}

static int metadata_make(struct intent *x)
{
    struct buf out = BUF_INIT, found = BUF_INIT;
    int rc = put_own(x, &out);
    if (rc == 0)
        rc = operator_detected_serialize(&x->detected, &found);
    if (rc == 0)
        rc = put_beside(x, &out, "detected", found.data, found.len);
    if (rc == 0)
        rc = buf_putc(&out, '}');
    x->metadata = rc == 0 ? intent_value(x, out.data, out.len) : NULL;
    buf_free(&out);
    buf_free(&found);
    return x->metadata ? 0 : VX11_ENOMEM;
}

/* Fields of the session's context go beside the others. */
static int put_context(struct intent *x, struct buf *out)
{
    struct buf json = BUF_INIT, one = BUF_INIT;
    size_t i, n;
    yyjson_val *key, *value;
    int rc = session_context(x->o->sessions, x->body->session_id, INT64_MAX, &json, NULL);
    yyjson_val *context = rc == 0 ? intent_value(x, json.data, json.len) : NULL;
    yyjson_obj_foreach(context, i, n, key, value)
    {
        buf_clear(&one);
        if (rc == 0)
            rc = contract_json_write(value, &one);
        if (rc == 0)
            rc = put_beside(x, out, yyjson_get_str(key), one.data, one.len);
    }
    buf_free(&json);
    buf_free(&one);
    return rc;
}

/* What Switch is told: all of the metadata, where it comes from, what else stood in data. */
static yyjson_val *switch_metadata(struct intent *x)
{
    struct buf out = BUF_INIT, json = BUF_INIT;
    int rc = put_own(x, &out);
    if (rc == 0)
        rc = operator_detected_serialize(&x->detected, &json);
    if (rc == 0)
        rc = put_beside(x, &out, "detected", json.data, json.len);
    if (rc == 0)
        rc = put_text_beside(x, &out, "task_type", x->type);
    if (rc == 0)
        rc = put_text_beside(x, &out, "source", "operator");
    buf_clear(&json);
    if (rc == 0)
        rc = contract_json_write(x->body->data, &json);
    if (rc == 0)
        rc = put_beside(x, &out, "data", json.data, json.len);
    if (rc == 0 && x->body->session_id) {
        rc = put_text_beside(x, &out, "session_id", x->body->session_id);
        if (rc == 0)
            rc = put_context(x, &out);
    }
    if (rc == 0)
        rc = buf_putc(&out, '}');
    yyjson_val *value = rc == 0 ? intent_value(x, out.data, out.len) : NULL;
    buf_free(&out);
    buf_free(&json);
    return value;
}

/* ---- other modules ---- */

static void on_reply(struct client_call *call, void *ctx, const struct client_reply *reply)
{
    struct intent *x = ctx;
    (void)call;
    x->call = NULL;
    if (reply->retry_after_ms >= 0)
        request_retry_after(x->r, reply->retry_after_ms);
    if (reply->result == VX11_ETIMEOUT) {
        intent_fail(x, 504, "upstream_timeout", NULL, "%s did not answer in time", x->target);
    } else if (reply->result == VX11_EUNAVAILABLE) {
        intent_fail(x, 503, "target_unavailable", NULL, "%s cannot be reached: %s", x->target,
                    reply->error.text);
    } else if (reply->result != 0) {
        intent_fail(x, 502, "upstream_broken", NULL, "%s broke off: %s", x->target, reply->error.text);
    } else if (reply->status < 200 || reply->status > 299) {
        intent_fail(x, reply->status >= 400 ? reply->status : 502,
                    reply->error_code[0] ? arena_strdup(x->a, reply->error_code) : "upstream_failed", NULL,
                    "%s: %s", x->target, reply->error.text);
    } else {
        yyjson_val *response = intent_value(x, reply->body, reply->body_len);
        if (response)
            intent_done(x, reply->status == 202 ? 202 : 200, response);
        else
            intent_fail(x, 502, "upstream_broken", NULL, "%s answered with something that is no JSON",
                        x->target);
    }
}

static void on_cancel(struct request *r, void *ctx, int reason)
{
    struct intent *x = ctx;
    (void)r;
    (void)reason;
    if (x->call)
        client_cancel(x->call);
}

/* What the caller wants of a chat besides its body goes along: lost privacy would let it leave this machine.
 */
static int call_options(struct intent *x, struct client_call_options *options)
{
    static const char *const names[] = {"X-VX11-Priority", "X-VX11-Privacy", "X-VX11-Task-Type",
                                        "X-VX11-Mode", "Cache-Control"};
    module_call_options(x->r, options);
    struct client_header *headers =
        arena_array(x->a, options->header_count + COUNT_OF(names), sizeof *headers);
    if (!headers)
        return VX11_ENOMEM;
    if (options->header_count > 0)
        memcpy(headers, options->headers, options->header_count * sizeof *headers);
    options->headers = headers;
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        const char *value = request_header(x->r, names[i]);
        if (value)
            headers[options->header_count++] = (struct client_header){names[i], value};
    }
    return 0;
}

static void began(struct intent *x, int rc)
{
    if (rc != 0)
        intent_fail(x, rc == VX11_ENOMEM ? 503 : 500, "internal_error", NULL, "%s could not be asked: %s",
                    x->target, error_describe(rc));
    else
        request_on_cancel(x->r, on_cancel, x);
}

static void ask_switch(struct intent *x)
{
    struct client_call_options options;
    yyjson_val *model = yyjson_obj_get(x->body->data, "model");
    struct openai_chat_message message = {.role = OPENAI_ROLE_USER,
                                          .content = yyjson_obj_get(x->body->data, "message")};
    struct switch_chat_request request = {.messages = &message,
                                          .messages_count = 1,
                                          .model = yyjson_get_str(model),
                                          .metadata = switch_metadata(x)};
    int rc = request.metadata ? call_options(x, &options) : VX11_ENOMEM;
    if (rc == 0)
        rc = switch_chat_call(module_client(x->o->m), module_peer(x->o->m, "switch"), &request, &options,
                              on_reply, x, &x->call);
    began(x, rc);
}

/* A module takes intents at POST /NAME/intent, in the words of this contract. */
static void ask_module(struct intent *x)
{
    const struct client_target *peer = module_peer(x->o->m, x->target);
    struct client_call_options options;
    if (!fs_exists(peer->socket)) {
        intent_fail(x, 501, "target_missing", "target", "%s does not exist here yet", x->target);
        return;
    }
    struct contract_route *route = arena_zalloc(x->a, sizeof *route);
    const char *path = arena_printf(x->a, "/%s/intent", x->target);
    int rc = route && path ? call_options(x, &options) : VX11_ENOMEM;
    if (rc == 0) {
        struct operator_intent_request request = *x->body;
        request.intent_type = x->type;
        request.target = x->target;
        request.metadata = x->metadata;
        *route = (struct contract_route){
            .id = "intent", .method = "POST", .path = path, .request = &operator_intent_request_message};
        rc = client_call_route(module_client(x->o->m), peer, route, NULL, &request, &options, on_reply, x,
                               &x->call);
    }
    began(x, rc);
}

/* ---- the browser ---- */

static void ask_browser(struct intent *x)
{
    const char *url =
        x->found.url_len ? arena_strndup(x->a, x->text + x->found.url_at, x->found.url_len) : NULL;
    const struct principal *p = request_principal(x->r);
    struct browser_refusal why;
    struct operator_browser_request request;
    struct operator_browser_task task;
    struct error err = {0};
    struct buf json = BUF_INIT;
    char id[ULID_LEN + 1];
    if (p && !principal_allows(p, CONTRACT_SCOPE_ACT)) {
        intent_fail(x, 403, "scope_missing", NULL, "the browser needs a token or session with the scope act");
        return;
    }
    if (!url) {
        intent_fail(x, 422, "url_missing", "data", "the text holds no http(s) address for the browser");
        return;
    }
    if (!x->o->browser) {
        intent_fail(x, 503, "browser_unavailable", NULL, "there is no browser here");
        return;
    }
    int rc = operator_browser_request_init(x->a, &request);
    request.url = url;
    request.session_id = x->body->session_id;
    if (rc == 0 &&
        browser_ask(x->o->browser,
                    &(struct browser_wish){
                        .request = &request, .key = request_header(x->r, "Idempotency-Key"), .by = p},
                    id, &why) != 0) {
        intent_fail(x, why.status, why.code, NULL, "%s", why.text);
        return;
    }
    if (rc == 0)
        rc = browser_get(x->o->browser, id, x->a, &task, &err);
    if (rc == 0)
        rc = operator_browser_task_serialize(&task, &json);
    yyjson_val *response = rc == 0 ? intent_value(x, json.data, json.len) : NULL;
    buf_free(&json);
    if (response)
        intent_done(x, 202, response);
    else
        intent_fail(x, 500, "internal_error", NULL, "the task was begun and cannot be shown: %s", err.text);
}

/* ---- taking it in ---- */

static const struct {
    const char *name;
    void (*ask)(struct intent *x);
} targets[] = {
    {"switch", ask_switch},       {"browser", ask_browser},   {"madre", ask_module},   {"shub", ask_module},
    {"manifestator", ask_module}, {"hormiguero", ask_module}, {"spawner", ask_module},
};

/* By what is wanted, where the caller does not say who. */
static const char *target_of(enum operator_intent_mode mode)
{
    static const char *const by_mode[] = {
        [OPERATOR_INTENT_MODE_CHAT] = "switch",    [OPERATOR_INTENT_MODE_CODE] = "switch",
        [OPERATOR_INTENT_MODE_MIX] = "shub",       [OPERATOR_INTENT_MODE_AUDIO] = "shub",
        [OPERATOR_INTENT_MODE_ANALYSIS] = "madre", [OPERATOR_INTENT_MODE_TASK] = "madre",
        [OPERATOR_INTENT_MODE_BROWSE] = "browser", [OPERATOR_INTENT_MODE_SPAWN] = "spawner",
        [OPERATOR_INTENT_MODE_SYSTEM] = "switch",
    };
    return by_mode[mode];
}

static void describe(struct intent *x, bool chat)
{
    x->detected = (struct operator_detected){.mode = (int)x->found.mode,
                                             .ops = x->found.ops,
                                             .ops_count = x->found.op_count,
                                             .matched = x->found.words,
                                             .matched_count = x->found.word_count,
                                             .confidence = x->found.confidence,
                                             .language = (int)x->found.language};
    enum operator_intent_mode mode = x->found.mode;
    const char *given = x->body->intent_type;
    x->type = given && given[0] ? given : operator_intent_mode_names[mode];
    for (size_t i = 0; given && i < COUNT_OF(operator_intent_mode_names); i++)
        if (str_eq(given, operator_intent_mode_names[i]))
            mode = (enum operator_intent_mode)i;
    x->target = x->body->target && x->body->target[0] ? x->body->target : chat ? "switch" : target_of(mode);
}

static void intent_take(struct request *r, struct operator_ *o, bool chat)
{
    const struct operator_intent_request *body = request_body(r);
    yyjson_val *message = yyjson_obj_get(body->data, "message");
    struct intent *x = arena_zalloc(request_arena(r), sizeof *x);
    if (!x) {
        request_fail(r, 503, "out_of_memory", NULL, "out of memory");
        return;
    }
    *x = (struct intent){.o = o,
                         .r = r,
                         .a = request_arena(r),
                         .body = body,
                         .text = yyjson_is_str(message) ? yyjson_get_str(message) : "",
                         .len = yyjson_get_len(message),
                         .at = clock_wall_ms(),
                         .began_ns = clock_mono_ns()};
    if (!yyjson_is_str(message))
        x->len = 0;
    ulid_make(x->id);
    intent_detect(x->text, x->len, &x->found);
    describe(x, chat);
    struct operator_session session;
    struct error err = {0};
    if (x->len == 0 || strspn(x->text, " \t\r\n") == x->len)
        intent_fail(x, 422, "message_missing", "/data/message", "data.message must be a text");
    else if (body->metadata && !yyjson_is_obj(body->metadata))
        intent_fail(x, 422, "invalid_value", "/metadata", "metadata must be an object");
    else if (body->session_id && session_get(o->sessions, x->a, body->session_id, &session, &err) != 0)
        intent_fail(x, err.code == VX11_ENOT_FOUND ? 404 : 500, "not_found", "/session_id", "%s", err.text);
    else if (metadata_make(x) != 0)
        intent_fail(x, 503, "out_of_memory", NULL, "out of memory");
    else {
        for (size_t i = 0; i < COUNT_OF(targets); i++)
            if (strcmp(targets[i].name, x->target) == 0) {
                targets[i].ask(x);
                return;
            }
        intent_fail(x, 400, "unknown_target", "/target", "unknown target: %s", x->target);
    }
}

void intent_on_post(struct request *r, void *module)
{
    intent_take(r, module, false);
}

void intent_on_chat(struct request *r, void *module)
{
    intent_take(r, module, true);
}

/* ---- list ---- */

struct intent_list {
    struct arena *a;
    struct operator_intent *items;
    size_t count;
};

static int take_texts(struct arena *a, const struct store_row *row, int column, const char ***out,
                      size_t *count)
{
    const char *text = NULL;
    yyjson_val *array = NULL, *value;
    size_t i, n;
    if (row_text_copy(a, row, column, &text) != 0 ||
        contract_json_parse(a, text, strlen(text), NULL, &array, NULL) != 0)
        return VX11_ENOMEM;
    *out = arena_array(a, yyjson_arr_size(array) + 1, sizeof **out);
    if (!*out)
        return VX11_ENOMEM;
    yyjson_arr_foreach(array, i, n, value)(*out)[(*count)++] = yyjson_get_str(value);
    return 0;
}

static int take_intent(void *ctx, const struct store_row *row)
{
    struct intent_list *l = ctx;
    struct operator_intent *x = &l->items[l->count];
    struct operator_detected *d = arena_zalloc(l->a, sizeof *d);
    memset(x, 0, sizeof *x);
    if (!d || row_text_copy(l->a, row, 0, &x->id) != 0 || row_text_copy(l->a, row, 2, &x->session_id) != 0 ||
        row_text_copy(l->a, row, 3, &x->principal) != 0 ||
        row_text_copy(l->a, row, 4, &x->intent_type) != 0 || row_text_copy(l->a, row, 5, &x->target) != 0 ||
        row_text_copy(l->a, row, 6, &x->message) != 0 || row_text_copy(l->a, row, 13, &x->error) != 0 ||
        take_texts(l->a, row, 8, &d->ops, &d->ops_count) != 0 ||
        take_texts(l->a, row, 9, &d->matched, &d->matched_count) != 0)
        return VX11_ENOMEM;
    x->at = row_int(row, 1);
    d->mode = name_index(operator_intent_mode_names, COUNT_OF(operator_intent_mode_names), row_text(row, 7));
    d->confidence = row_real(row, 10);
    d->language = name_index(operator_detected_language_names, COUNT_OF(operator_detected_language_names),
                             row_text(row, 11));
    x->detected = d;
    x->status = row_int(row, 12);
    x->has_total_ms = !row_is_null(row, 14);
    x->total_ms = row_real(row, 14);
    l->count++;
    return 0;
}

void intent_on_list(struct request *r, void *module)
{
    const struct operator_page_params *p = request_params(r);
    struct intent_list l = {.a = request_arena(r)};
    struct error err = {0};
    if (p->cursor && !ulid_valid(p->cursor)) {
        request_fail(r, 422, "invalid_cursor", "cursor", "cursor is no next_cursor of a page before");
        return;
    }
    l.items = arena_array(l.a, (size_t)p->limit + 1, sizeof *l.items);
    int rc =
        l.items
            ? store_query(module_store(((struct operator_ *)module)->m),
                          "SELECT id, at, session_id, principal, intent_type, target, message, mode, ops, "
                          "matched, confidence, language, status, error, total_ms FROM operator_intent "
                          "WHERE id < ?1 ORDER BY id DESC LIMIT ?2",
                          (struct store_value[]){STORE_T(p->cursor ? p->cursor : "~"), STORE_I(p->limit + 1)},
                          2, take_intent, &l, &err)
            : error_set(&err, VX11_ENOMEM, "out of memory");
    if (rc != 0) {
        err.code = rc;
        request_fail_error(r, &err);
        return;
    }
    struct operator_intent_list reply = {.intents = l.items, .intents_count = l.count};
    if (l.count > (size_t)p->limit) {
        reply.intents_count = (size_t)p->limit;
        reply.next_cursor = l.items[p->limit - 1].id;
    }
    request_reply(r, 200, &operator_intent_list_message, &reply);
}
