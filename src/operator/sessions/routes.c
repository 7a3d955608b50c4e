/* Routes: sessions as callers see them. Cursors are opaque to callers: of the list the time and id of the
 * last row, of messages a side and a seq. */
#include "operator/sessions/sessions_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "operator/context/context.h"

static struct sessions *sessions_of(void *module)
{
    return ((struct operator_ *)module)->sessions;
}

static void reply_session(struct request *r, struct sessions *s, int status, const char *id)
{
    struct operator_session out;
    struct error err = {0};
    if (session_get(s, request_arena(r), id, &out, &err) != 0)
        session_fail(r, &err);
    else
        request_reply(r, status, &operator_session_message, &out);
}

/* ---- list ---- */

/* "MS-ID". */
static bool parse_cursor(const char *cursor, struct session_filter *f)
{
    char at[24];
    const char *dash = cursor ? strchr(cursor, '-') : NULL;
    f->before_at = INT64_MAX;
    f->before_id = "";
    if (!cursor)
        return true;
    if (!dash || (size_t)(dash - cursor) >= sizeof at || !ulid_valid(dash + 1))
        return false;
    memcpy(at, cursor, (size_t)(dash - cursor));
    at[dash - cursor] = '\0';
    f->before_id = dash + 1;
    return str_to_i64(at, 0, INT64_MAX - 1, &f->before_at) == 0;
}

static int list_read(struct request *r, struct sessions *s, struct session_filter *f,
                     struct operator_session_list *out, struct error *err)
{
    int64_t wanted = f->limit++;
    int rc = session_page(s, request_arena(r), f, &out->sessions, &out->sessions_count, err);
    if (rc == 0)
        rc = session_total(s, f, &out->total, err);
    if (rc == 0 && out->sessions_count > (size_t)wanted) {
        out->sessions_count = (size_t)wanted;
        const struct operator_session *last = &out->sessions[wanted - 1];
        out->next_cursor = arena_printf(request_arena(r), "%lld-%s", (long long)last->updated_at, last->id);
    }
    return rc;
}

void sessions_on_list(struct request *r, void *module)
{
    const struct operator_session_params *p = request_params(r);
    struct session_filter f = {.topic = p->has_topic ? p->topic : -1, .limit = p->limit};
    struct operator_session_list reply = {.total = 0};
    struct error err = {0};
    struct buf match = BUF_INIT;
    int rc = 0;
    if (!parse_cursor(p->cursor, &f)) {
        request_fail(r, 422, "invalid_cursor", "cursor", "cursor is no next_cursor of a page before");
        return;
    }
    bool words = p->q && strspn(p->q, " \t\r\n") < strlen(p->q);
    if (words && words_query(p->q, strlen(p->q), &match) != 0)
        rc = error_set(&err, VX11_ENOMEM, "out of memory");
    f.match = match.data;
    if (rc == 0 && (!words || match.len > 0)) /* signs only: nothing has them */
        rc = list_read(r, sessions_of(module), &f, &reply, &err);
    buf_free(&match);
    if (rc != 0)
        session_fail(r, &err);
    else
        request_reply(r, 200, &operator_session_list_message, &reply);
}

/* ---- one ---- */

/* "b12": before 12; "a12": after 12. */
static bool parse_place(const char *cursor, enum message_side *side, int64_t *seq)
{
    *side = MESSAGES_LATEST;
    *seq = 0;
    if (!cursor)
        return true;
    *side = cursor[0] == 'a' ? MESSAGES_AFTER : MESSAGES_BEFORE;
    return (cursor[0] == 'a' || cursor[0] == 'b') && str_to_i64(cursor + 1, 0, INT64_MAX - 1, seq) == 0;
}

static int take_found(void *ctx, const struct store_row *row)
{
    (void)row;
    *(bool *)ctx = true;
    return 0;
}

static int exists_beside(struct sessions *s, const char *sql, const struct operator_session_detail_params *p,
                         int64_t seq, bool *out, struct error *err)
{
    struct store_value values[] = {STORE_T(p->id), STORE_I(seq), STORE_I(p->replaced)};
    *out = false;
    return store_query(s->store, sql, values, COUNT_OF(values), take_found, out, err);
}

#define BESIDE(where)                                                                                        \
    "SELECT 1 FROM operator_message WHERE session_id = ?1 AND seq " where                                    \
    " AND (?3 OR replaced_by IS NULL) LIMIT 1"

static int detail_cursors(struct request *r, struct sessions *s,
                          const struct operator_session_detail_params *p, struct operator_session_detail *out,
                          struct error *err)
{
    struct arena *a = request_arena(r);
    bool before = false, after = false;
    if (out->messages_count == 0)
        return 0;
    int64_t first = out->messages[0].seq, last = out->messages[out->messages_count - 1].seq;
    int rc = exists_beside(s, BESIDE("< ?2"), p, first, &before, err);
    if (rc == 0)
        rc = exists_beside(s, BESIDE("> ?2"), p, last, &after, err);
    if (before)
        out->prev_cursor = arena_printf(a, "b%lld", (long long)first);
    if (after)
        out->next_cursor = arena_printf(a, "a%lld", (long long)last);
    return rc;
}

static int detail_hint(struct request *r, struct sessions *s, const char *id, const char **out,
                       struct error *err)
{
    struct operator_message *items = NULL;
    struct context_message m[CONTEXT_LOOK];
    struct buf hint = BUF_INIT;
    size_t count = 0, n = 0;
    int rc = session_history(s, request_arena(r), id, INT64_MAX, CONTEXT_LOOK, &items, &count, err);
    for (; rc == 0 && n < count; n++)
        m[n] = (struct context_message){items[n].role, items[n].content, strlen(items[n].content)};
    if (rc == 0 && context_hint(m, n, &hint) != 0)
        rc = error_set(err, VX11_ENOMEM, "out of memory");
    *out = arena_strdup(request_arena(r), hint.data ? hint.data : "");
    buf_free(&hint);
    return rc == 0 && !*out ? error_set(err, VX11_ENOMEM, "out of memory") : rc;
}

void sessions_on_get(struct request *r, void *module)
{
    struct sessions *s = sessions_of(module);
    const struct operator_session_detail_params *p = request_params(r);
    struct operator_session session;
    struct operator_session_detail reply = {.session = &session};
    struct message_list page = {.count = 0};
    struct error err = {0};
    enum message_side side;
    int64_t seq;
    if (!parse_place(p->cursor, &side, &seq)) {
        request_fail(r, 422, "invalid_cursor", "cursor", "cursor is no cursor of another page");
        return;
    }
    int rc = session_get(s, request_arena(r), p->id, &session, &err);
    if (rc == 0)
        rc = message_page(s, request_arena(r), p->id, side, seq, p->replaced, p->limit, &page, &err);
    reply.messages = page.items;
    reply.messages_count = page.count;
    if (rc == 0)
        rc = detail_cursors(r, s, p, &reply, &err);
    if (rc == 0)
        rc = detail_hint(r, s, p->id, &reply.summary, &err);
    if (rc != 0) {
        session_fail(r, &err);
        return;
    }
    reply.session_id = session.id;
    reply.user_id = session.user_id;
    reply.created_at = session.created_at;
    reply.message_count = session.message_count;
    request_reply(r, 200, &operator_session_detail_message, &reply);
}

/* ---- changing ---- */

void sessions_on_new(struct request *r, void *module)
{
    const struct operator_session_new *b = request_body(r);
    struct session_new n = {b->title, b->model, b->source, b->user_id};
    struct operator_session out;
    struct error err = {0};
    if (session_new(sessions_of(module), request_arena(r), &n, &out, &err) != 0)
        session_fail(r, &err);
    else
        request_reply(r, 201, &operator_session_message, &out);
}

void sessions_on_change(struct request *r, void *module)
{
    struct sessions *s = sessions_of(module);
    const struct operator_session_id *p = request_params(r);
    const struct operator_session_change *b = request_body(r);
    struct session_change c = {b->title, b->model, b->has_pinned ? b->pinned : -1};
    struct error err = {0};
    if (session_change(s, p->id, &c, &err) != 0)
        session_fail(r, &err);
    else
        reply_session(r, s, 200, p->id);
}

/* A removal, step by step; the loop serves others in between. The session is held meanwhile. */
struct removal {
    struct sessions *s;
    struct request *r;
    char id[ULID_LEN + 1];
    uv_timer_t timer;
};

static void removal_closed(uv_handle_t *h)
{
    free(h->data);
}

/* The request lives on and is to be ended by who calls. */
static struct request *removal_end(struct removal *x)
{
    struct request *r = x->r;
    sessions_release(x->s, x->id);
    uv_timer_stop(&x->timer);
    uv_close((uv_handle_t *)&x->timer, removal_closed);
    return r;
}

static void on_removal(uv_timer_t *timer)
{
    struct removal *x = timer->data;
    struct error err = {0};
    bool done = false;
    int64_t bytes = 0;
    int rc = session_remove_step(x->s, x->id, &done, &bytes, &err);
    if (rc == 0 && !done)
        return;
    struct request *r = removal_end(x);
    if (rc != 0)
        session_fail(r, &err);
    else
        request_reply_empty(r, 204);
}

/* Not all of it is gone: whoever asks again goes on from there. */
static void on_removal_cancelled(struct request *r, void *ctx, int reason)
{
    (void)reason;
    removal_end(ctx);
    request_fail(r, 503, "cancelled", NULL, "the removal was cut off; ask for it again");
}

void sessions_on_delete(struct request *r, void *module)
{
    struct sessions *s = sessions_of(module);
    const struct operator_session_id *p = request_params(r);
    struct session_facts facts;
    struct error err = {0};
    int rc = session_facts(s->store, p->id, &facts, &err);
    if (rc == 0)
        rc = sessions_hold(s, p->id, &err);
    struct removal *x = rc == 0 ? calloc(1, sizeof *x) : NULL;
    if (rc == 0 && !x) {
        sessions_release(s, p->id);
        rc = error_set(&err, VX11_ENOMEM, "out of memory");
    }
    if (rc != 0) {
        session_fail(r, &err);
        return;
    }
    x->s = s;
    x->r = r;
    memcpy(x->id, p->id, sizeof x->id);
    uv_timer_init(request_loop(r), &x->timer);
    x->timer.data = x;
    uv_timer_start(&x->timer, on_removal, 0, 1);
    request_on_cancel(r, on_removal_cancelled, x);
}

void sessions_on_branch(struct request *r, void *module)
{
    struct sessions *s = sessions_of(module);
    const struct operator_session_id *p = request_params(r);
    const struct operator_branch *b = request_body(r);
    struct error err = {0};
    char id[ULID_LEN + 1];
    if (session_branch(s, p->id, b->message_id, b->title, id, &err) != 0)
        session_fail(r, &err);
    else
        reply_session(r, s, 201, id);
}
