/* Adjustment: mode and default model of Switch, changed through its own routes as the person who asks.
 *
 *   context (before) ─> control, set_default_model ─> context (after) ─> row
 *
 * Before and after are what Switch says, not what was hoped for. */
#include "operator/feedback/feedback.h"

#include <string.h>

#include "api/switch_client.h"
#include "base/clock.h"
#include "base/str.h"
#include "base/ulid.h"
#include "operator/sessions/sessions.h"

struct adjust {
    struct operator_ *o;
    struct request *r;
    struct arena *a;
    struct client_call *call;
    struct client_call_options options;
    const char *mode, *model;   /* NULL: stays */
    const char *before, *after; /* JSON */
    const char *error;
};

static void adjust_mode(struct adjust *x);
static void adjust_model(struct adjust *x);
static void adjust_after(struct adjust *x);

static void on_cancel(struct request *r, void *ctx, int reason)
{
    struct adjust *x = ctx;
    (void)r, (void)reason;
    if (x->call)
        client_cancel(x->call);
}

static yyjson_val *value_of(struct arena *a, const char *json)
{
    yyjson_val *value = NULL;
    const char *copy = json ? arena_strdup(a, json) : NULL;
    return copy && contract_json_parse(a, copy, strlen(copy), NULL, &value, NULL) == 0 ? value : NULL;
}

/* ---- the row ---- */

static void adjust_store(struct adjust *x)
{
    const struct operator_adjustment_new *q = request_body(x->r);
    const struct principal *p = request_principal(x->r);
    struct buf asked = BUF_INIT;
    struct error err = {0};
    char id[ULID_LEN + 1];
    bool applied = !x->error;
    if (!x->after && contract_json_write(q->after_config, &asked) == 0)
        x->after = arena_strndup(x->a, asked.data, asked.len);
    buf_free(&asked);
    const struct operator_adjustment reply = {
        .id = ulid_make(id),
        .adjustment_id = id,
        .session_id = q->session_id && q->session_id[0] ? q->session_id : NULL,
        .message_id = q->message_id && q->message_id[0] ? q->message_id : NULL,
        .before_config = value_of(x->a, x->before),
        .after_config = value_of(x->a, x->after),
        .reason = q->reason,
        .applied = applied,
        .error = x->error,
        .by = p && p->name[0] ? p->name : "local",
        .created_at = clock_wall_ms()};
    struct store_value values[] = {
        STORE_T(id),       STORE_T(reply.session_id), STORE_T(reply.message_id), STORE_T(x->before),
        STORE_T(x->after), STORE_T(reply.reason),     STORE_I(applied),          STORE_T(x->error),
        STORE_T(reply.by), STORE_I(reply.created_at)};
    int rc = store_exec(
        module_store(x->o->m),
        "INSERT INTO operator_switch_adjustment (id, session_id, message_id, before_config, "
        "after_config, reason, applied, error, by, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, "
        "?9, ?10)",
        values, COUNT_OF(values), NULL, &err);
    if (rc != 0)
        session_fail(x->r, &err);
    else
        request_reply(x->r, 201, &operator_adjustment_message, &reply);
}

/* ---- Switch ---- */

static const char *config_json(struct adjust *x, const struct switch_context *c)
{
    struct buf json = BUF_INIT;
    buf_printf(&json, "{\"mode\":\"%s\",\"default_model\":", switch_mode_names[c->mode]);
    if (c->default_model)
        buf_put_json_string(&json, c->default_model, strlen(c->default_model));
    else
        buf_puts(&json, "null");
    buf_putc(&json, '}');
    const char *copy = json.failed ? NULL : arena_strndup(x->a, json.data, json.len);
    buf_free(&json);
    return copy;
}

static const char *why(struct adjust *x, const struct client_reply *reply)
{
    const char *text = reply->error.text[0] ? reply->error.text : "Switch did not say why";
    return arena_strdup(x->a, text);
}

static void on_before(struct client_call *call, void *ctx, const struct client_reply *reply)
{
    struct adjust *x = ctx;
    (void)call;
    x->call = NULL;
    if (reply->message) {
        x->before = config_json(x, reply->message);
        adjust_mode(x);
        return;
    }
    request_fail(x->r,
                 reply->result == VX11_ETIMEOUT       ? 504
                 : reply->result == VX11_EUNAVAILABLE ? 503
                                                      : 502,
                 "switch_unavailable", NULL, "Switch could not be read: %s", reply->error.text);
}

static void on_mode(struct client_call *call, void *ctx, const struct client_reply *reply)
{
    struct adjust *x = ctx;
    (void)call;
    x->call = NULL;
    if (!reply->message)
        x->error = why(x, reply);
    if (x->error)
        adjust_after(x);
    else
        adjust_model(x);
}

static void on_model(struct client_call *call, void *ctx, const struct client_reply *reply)
{
    struct adjust *x = ctx;
    (void)call;
    x->call = NULL;
    if (!reply->message)
        x->error = why(x, reply);
    adjust_after(x);
}

static void on_after(struct client_call *call, void *ctx, const struct client_reply *reply)
{
    struct adjust *x = ctx;
    (void)call;
    x->call = NULL;
    if (reply->message && !x->error)
        x->after = config_json(x, reply->message);
    else if (!x->error)
        x->error = why(x, reply);
    adjust_store(x);
}

static bool sent(struct adjust *x, int rc)
{
    if (rc == 0)
        return true;
    x->error = arena_printf(x->a, "Switch could not be asked: %s", error_describe(rc));
    return false;
}

static void adjust_mode(struct adjust *x)
{
    const struct switch_control_request ask = {.action = "set_mode", .mode = x->mode};
    if (!x->mode)
        adjust_model(x);
    else if (!sent(x, switch_control_call(module_client(x->o->m), module_peer(x->o->m, "switch"), &ask,
                                          &x->options, on_mode, x, &x->call)))
        adjust_store(x);
}

static void adjust_model(struct adjust *x)
{
    const struct switch_admin_model ask = {.model_name = x->model};
    if (!x->model)
        adjust_after(x);
    else if (!sent(x,
                   switch_admin_set_default_model_call(module_client(x->o->m), module_peer(x->o->m, "switch"),
                                                       &ask, &x->options, on_model, x, &x->call)))
        adjust_store(x);
}

static void adjust_after(struct adjust *x)
{
    if (!sent(x, switch_context_call(module_client(x->o->m), module_peer(x->o->m, "switch"), &x->options,
                                     on_after, x, &x->call)))
        adjust_store(x);
}

/* ---- routes ---- */

static bool read_wanted(struct adjust *x, yyjson_val *wanted)
{
    yyjson_val *key, *value;
    size_t i, n;
    bool known = yyjson_is_obj(wanted) && yyjson_obj_size(wanted) > 0;
    yyjson_obj_foreach(wanted, i, n, key, value)
    {
        if (str_eq(yyjson_get_str(key), "mode") && yyjson_is_str(value))
            x->mode = yyjson_get_str(value);
        else if (str_eq(yyjson_get_str(key), "default_model") &&
                 (yyjson_is_str(value) || yyjson_is_null(value)))
            x->model = yyjson_is_str(value) ? yyjson_get_str(value) : "";
        else
            known = false;
    }
    return known;
}

void adjustment_on_new(struct request *r, void *module)
{
    struct operator_ *o = module;
    const struct operator_adjustment_new *q = request_body(r);
    struct adjust *x = arena_zalloc(request_arena(r), sizeof *x);
    if (!x) {
        request_fail(r, 503, "out_of_memory", NULL, "out of memory");
        return;
    }
    *x = (struct adjust){.o = o, .r = r, .a = request_arena(r)};
    bool ids = (!q->session_id || !q->session_id[0] || ulid_valid(q->session_id)) &&
               (!q->message_id || !q->message_id[0] || ulid_valid(q->message_id));
    if (!ids || !read_wanted(x, q->after_config)) {
        request_fail(r, 422, "invalid_value", ids ? "/after_config" : "/session_id",
                     ids ? "after_config must be an object with mode, default_model or both, and nothing else"
                         : "session_id and message_id must be ids");
        return;
    }
    module_call_options(r, &x->options);
    x->options.request_id = NULL;
    int rc = switch_context_call(module_client(o->m), module_peer(o->m, "switch"), &x->options, on_before, x,
                                 &x->call);
    if (rc != 0)
        request_fail(r, 503, "switch_unavailable", NULL, "Switch could not be asked: %s", error_describe(rc));
    else
        request_on_cancel(r, on_cancel, x);
}

struct adjustment_list {
    struct arena *a;
    struct operator_adjustment *items;
    size_t count;
};

static int copy_text(struct arena *a, const struct store_row *row, int column, const char **out)
{
    const char *text = row_text(row, column);
    *out = text ? arena_strdup(a, text) : NULL;
    return text && !*out ? VX11_ENOMEM : 0;
}

static int take(void *ctx, const struct store_row *row)
{
    struct adjustment_list *l = ctx;
    struct operator_adjustment *x = &l->items[l->count];
    memset(x, 0, sizeof *x);
    if (copy_text(l->a, row, 0, &x->id) != 0 || copy_text(l->a, row, 1, &x->session_id) != 0 ||
        copy_text(l->a, row, 2, &x->message_id) != 0 || copy_text(l->a, row, 5, &x->reason) != 0 ||
        copy_text(l->a, row, 7, &x->error) != 0 || copy_text(l->a, row, 8, &x->by) != 0)
        return VX11_ENOMEM;
    x->adjustment_id = x->id;
    x->before_config = value_of(l->a, row_text(row, 3));
    x->after_config = value_of(l->a, row_text(row, 4));
    x->applied = row_int(row, 6) != 0;
    x->created_at = row_int(row, 9);
    l->count++;
    return 0;
}

void adjustment_on_list(struct request *r, void *module)
{
    const struct operator_page_params *p = request_params(r);
    struct adjustment_list l = {.a = request_arena(r)};
    struct error err = {0};
    if (p->cursor && !ulid_valid(p->cursor)) {
        request_fail(r, 422, "invalid_cursor", "cursor", "cursor is no next_cursor of a page before");
        return;
    }
    l.items = arena_array(l.a, (size_t)p->limit + 1, sizeof *l.items);
    int rc = l.items
                 ? store_query(
                       module_store(((struct operator_ *)module)->m),
                       "SELECT id, session_id, message_id, before_config, after_config, reason, applied, "
                       "error, by, created_at FROM operator_switch_adjustment WHERE id < ?1 ORDER BY id DESC "
                       "LIMIT ?2",
                       (struct store_value[]){STORE_T(p->cursor ? p->cursor : "~"), STORE_I(p->limit + 1)}, 2,
                       take, &l, &err)
                 : error_set(&err, VX11_ENOMEM, "out of memory");
    if (rc != 0) {
        session_fail(r, &err);
        return;
    }
    struct operator_adjustment_list reply = {.adjustments = l.items, .adjustments_count = l.count};
    if (l.count > (size_t)p->limit) {
        reply.adjustments_count = (size_t)p->limit;
        reply.next_cursor = l.items[p->limit - 1].id;
    }
    request_reply(r, 200, &operator_adjustment_list_message, &reply);
}
