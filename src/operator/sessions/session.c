/* Session: rows of operator_session. Words of titles and messages are kept in the full-text tables here and
 * in turn.c, in the same transaction as the row. */
#include "operator/sessions/sessions_internal.h"

#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "operator/context/context.h"
#include "operator/files/files.h"
#include "operator/rows.h"

#define SESSION_COLUMNS                                                                                      \
    "id, title, source, user_id, topic, signature, model, pinned, branch_session, branch_message, "          \
    "message_count, bytes, created_at, updated_at"
#define TITLE_OUT_SQL                                                                                        \
    "INSERT INTO operator_session_words (operator_session_words, rowid, title) "                             \
    "SELECT 'delete', n, title FROM operator_session WHERE id = ?1"
#define TITLE_IN_SQL                                                                                         \
    "INSERT INTO operator_session_words (rowid, title) SELECT n, title FROM operator_session WHERE id = ?1"

/* ---- reading ---- */

struct session_list {
    const struct sessions *s;
    struct arena *arena;
    struct operator_session *items;
    size_t count, size;
};

static int branch_take(struct arena *a, const struct store_row *row, struct operator_session *x)
{
    struct operator_branch_point *b = arena_zalloc(a, sizeof *b);
    if (!b || row_text_copy(a, row, 8, &b->session_id) != 0 || row_text_copy(a, row, 9, &b->message_id) != 0)
        return VX11_ENOMEM;
    x->branched_from = b;
    return 0;
}

static int session_take(void *ctx, const struct store_row *row)
{
    struct session_list *l = ctx;
    const struct config_operator *c = sessions_config(l->s);
    if (l->count == l->size)
        return VX11_ERANGE;
    struct operator_session *x = &l->items[l->count++];
    memset(x, 0, sizeof *x);
    if (row_text_copy(l->arena, row, 0, &x->id) != 0 || row_text_copy(l->arena, row, 1, &x->title) != 0 ||
        row_text_copy(l->arena, row, 3, &x->user_id) != 0 ||
        row_text_copy(l->arena, row, 5, &x->signature) != 0 ||
        row_text_copy(l->arena, row, 6, &x->model) != 0)
        return VX11_ENOMEM;
    x->source =
        name_index(operator_session_source_names, COUNT_OF(operator_session_source_names), row_text(row, 2));
    x->topic = name_index(operator_topic_names, COUNT_OF(operator_topic_names), row_text(row, 4));
    x->pinned = row_int(row, 7) != 0;
    x->message_count = row_int(row, 10);
    x->bytes = row_int(row, 11);
    x->created_at = row_int(row, 12);
    x->updated_at = row_int(row, 13);
    x->running = sessions_held(l->s, x->id);
    x->has_expires_at = !x->pinned;
    x->expires_at = x->updated_at + c->session_ttl_ms;
    return row_is_null(row, 8) ? 0 : branch_take(l->arena, row, x);
}

int session_get(struct sessions *s, struct arena *a, const char *id, struct operator_session *out,
                struct error *err)
{
    struct session_list l = {.s = s, .arena = a, .items = out, .size = 1};
    int rc = store_query(s->store, "SELECT " SESSION_COLUMNS " FROM operator_session WHERE id = ?1",
                         (struct store_value[]){STORE_T(id)}, 1, session_take, &l, err);
    if (rc == 0 && l.count == 0)
        rc = error_set(err, VX11_ENOT_FOUND, "there is no session %.64s", id);
    return rc;
}

static int facts_take(void *ctx, const struct store_row *row)
{
    struct session_facts *f = ctx;
    row_copy(row, 0, f->id, sizeof f->id);
    f->bytes = row_int(row, 1);
    f->last_seq = row_int(row, 2);
    f->message_count = row_int(row, 3);
    f->titled = row_int(row, 4) != 0;
    f->has_title = row_int(row, 5) != 0;
    f->found = true;
    return 0;
}

int session_facts(struct store *store, const char *id, struct session_facts *out, struct error *err)
{
    memset(out, 0, sizeof *out);
    int rc =
        store_query(store,
                    "SELECT id, bytes, last_seq, message_count, titled, title <> '' FROM operator_session "
                    "WHERE id = ?1",
                    (struct store_value[]){STORE_T(id)}, 1, facts_take, out, err);
    if (rc == 0 && !out->found)
        rc = error_set(err, VX11_ENOT_FOUND, "there is no session %.64s", id);
    return rc;
}

/* Sessions whose title or messages have the words; of messages the latest few thousand that do. */
#define SESSION_MATCHES                                                                                      \
    "(n IN (SELECT rowid FROM operator_session_words WHERE operator_session_words MATCH ?1) OR "             \
    "id IN (SELECT session_id FROM operator_message WHERE n IN (SELECT rowid FROM operator_message_words "   \
    "WHERE operator_message_words MATCH ?1 ORDER BY rowid DESC LIMIT 5000)))"
#define SESSION_PAGE(where)                                                                                  \
    "SELECT " SESSION_COLUMNS " FROM operator_session WHERE (updated_at, id) < (?2, ?3) AND " where          \
    " ORDER BY updated_at DESC, id DESC LIMIT ?4"

int session_page(struct sessions *s, struct arena *a, const struct session_filter *f,
                 struct operator_session **out, size_t *count, struct error *err)
{
    struct session_list l = {.s = s, .arena = a, .size = (size_t)f->limit};
    const char *topic = f->topic < 0 ? NULL : operator_topic_names[f->topic];
    /* ?1: words, ?5: topic; each where it is asked for. */
    struct store_value values[] = {STORE_T(f->match), STORE_I(f->before_at), STORE_T(f->before_id),
                                   STORE_I(f->limit), STORE_T(topic)};
    l.items = arena_array(a, l.size, sizeof *l.items);
    if (!l.items)
        return error_set(err, VX11_ENOMEM, "out of memory");
    const char *sql = SESSION_PAGE("?1 IS NULL AND ?5 IS NULL");
    if (f->match)
        sql = SESSION_PAGE(SESSION_MATCHES " AND (?5 IS NULL OR topic = ?5)");
    else if (topic)
        sql = SESSION_PAGE("?1 IS NULL AND topic = ?5");
    int rc = store_query(s->store, sql, values, COUNT_OF(values), session_take, &l, err);
    *out = l.items;
    *count = l.count;
    return rc;
}

static int take_int(void *ctx, const struct store_row *row)
{
    *(int64_t *)ctx = row_int(row, 0);
    return 0;
}

int session_total(struct sessions *s, const struct session_filter *f, int64_t *out, struct error *err)
{
    const char *topic = f->topic < 0 ? NULL : operator_topic_names[f->topic];
    struct store_value values[] = {STORE_T(f->match), STORE_T(topic)};
    const char *sql = "SELECT count(*) FROM operator_session WHERE ?1 IS NULL AND ?2 IS NULL";
    if (f->match)
        sql =
            "SELECT count(*) FROM operator_session WHERE " SESSION_MATCHES " AND (?2 IS NULL OR topic = ?2)";
    else if (topic)
        sql = "SELECT count(*) FROM operator_session WHERE ?1 IS NULL AND topic = ?2";
    *out = 0;
    return store_query(s->store, sql, values, COUNT_OF(values), take_int, out, err);
}

/* ---- removing ---- */

/* Inside a transaction: the words first, while the texts that they were made of are there. */
static int remove_one(struct store *store, const char *id, struct error *err)
{
    struct store_value key[] = {STORE_T(id)};
    int64_t gone = 0;
    int rc =
        store_exec(store,
                   "INSERT INTO operator_message_words (operator_message_words, rowid, content) "
                   "SELECT 'delete', n, content FROM operator_message WHERE session_id = ?1 AND indexed = 1",
                   key, 1, NULL, err);
    if (rc == 0)
        rc = store_exec(store, TITLE_OUT_SQL, key, 1, NULL, err);
    if (rc == 0)
        rc = store_exec(store, "DELETE FROM operator_session WHERE id = ?1", key, 1, &gone, err);
    if (rc == 0 && gone == 0)
        rc = error_set(err, VX11_ENOT_FOUND, "there is no session %.64s", id);
    return rc;
}

/* Taking words out of the index reads every text again, about 10 MB in a second: what is larger than this
 * goes in steps, so that whoever streams an answer meanwhile does not wait. */
#define REMOVE_STEP (1 << 20)

struct removal {
    const char *id;
    bool done;
    int64_t bytes; /* that this step took out */
};

struct tail { /* the latest messages that together are one step */
    int64_t from, bytes, count;
    bool full;
};

static int take_tail(void *ctx, const struct store_row *row)
{
    struct tail *t = ctx;
    if (t->full)
        return 0;
    t->from = row_int(row, 0);
    t->bytes += row_int(row, 1);
    t->count += row_int(row, 2);
    t->full = t->bytes >= REMOVE_STEP;
    return 0;
}

static int remove_tail(struct store *store, struct removal *x, struct error *err)
{
    struct tail t = {.from = 0};
    int rc = store_query(store,
                         "SELECT seq, bytes, replaced_by IS NULL FROM operator_message WHERE session_id = ?1 "
                         "ORDER BY seq DESC LIMIT 500",
                         (struct store_value[]){STORE_T(x->id)}, 1, take_tail, &t, err);
    struct store_value values[] = {STORE_T(x->id), STORE_I(t.from), STORE_I(t.bytes), STORE_I(t.count)};
    if (rc == 0)
        rc = store_exec(
            store,
            "INSERT INTO operator_message_words (operator_message_words, rowid, content) "
            "SELECT 'delete', n, content FROM operator_message WHERE session_id = ?1 AND seq >= ?2 "
            "AND indexed = 1",
            values, 2, NULL, err);
    if (rc == 0)
        rc = store_exec(store, "DELETE FROM operator_message WHERE session_id = ?1 AND seq >= ?2", values, 2,
                        NULL, err);
    /* Counted down, should this be the last step that is made. */
    if (rc == 0)
        rc = store_exec(store,
                        "UPDATE operator_session SET bytes = max(0, bytes - ?3), message_count = "
                        "max(0, message_count - ?4) WHERE id = ?1 AND ?2 >= 0",
                        values, COUNT_OF(values), NULL, err);
    x->bytes = t.bytes;
    return rc;
}

static int remove_step(void *ctx, struct store *store, struct error *err)
{
    struct removal *x = ctx;
    struct session_facts facts;
    int rc = session_facts(store, x->id, &facts, err);
    if (rc != 0)
        return rc;
    x->done = facts.bytes <= REMOVE_STEP;
    x->bytes = facts.bytes;
    return x->done ? remove_one(store, x->id, err) : remove_tail(store, x, err);
}

int session_remove_step(struct sessions *s, const char *id, bool *done, int64_t *bytes, struct error *err)
{
    struct removal x = {.id = id};
    int rc = store_transaction(s->store, remove_step, &x, err);
    *done = x.done;
    *bytes += x.bytes;
    if (rc == 0 && x.done && s->o->files)
        files_sweep(s->o->files);
    return rc;
}

int session_remove(struct sessions *s, const char *id, struct error *err)
{
    int64_t bytes = 0;
    bool done = false;
    int rc = 0;
    if (sessions_held(s, id))
        return error_set(err, VX11_EBUSY, "an answer of this session is being generated; stop it first");
    while (rc == 0 && !done)
        rc = session_remove_step(s, id, &done, &bytes, err);
    return rc;
}

struct doomed {
    const struct sessions *s;
    char (*ids)[ULID_LEN + 1];
    size_t count, size;
};

static int take_doomed(void *ctx, const struct store_row *row)
{
    struct doomed *d = ctx;
    if (d->count < d->size && !sessions_held(d->s, row_text(row, 0)))
        row_copy(row, 0, d->ids[d->count++], ULID_LEN + 1);
    return 0;
}

#define CLEAN_SIZE 16

int session_clean(struct sessions *s, int64_t now, int most, bool *more, struct error *err)
{
    const struct config_operator *c = sessions_config(s);
    char ids[CLEAN_SIZE][ULID_LEN + 1];
    struct doomed d = {s, ids, 0, (size_t)(most < CLEAN_SIZE ? most : CLEAN_SIZE)};
    int64_t total = 0;
    *more = false;
    /* Held ones are passed over, so a few more are looked at. */
    int64_t look = (int64_t)(d.size + s->held_count);
    int rc = store_query(s->store,
                         "SELECT id FROM operator_session WHERE pinned = 0 AND updated_at < ?1 "
                         "ORDER BY updated_at LIMIT ?2",
                         (struct store_value[]){STORE_I(now - c->session_ttl_ms), STORE_I(look)}, 2,
                         take_doomed, &d, err);
    if (rc == 0)
        rc = store_query(s->store, "SELECT count(*) FROM operator_session", NULL, 0, take_int, &total, err);
    total -= (int64_t)d.count;
    if (rc == 0 && d.count == 0 && total > c->max_sessions) {
        int64_t excess = total - c->max_sessions;
        d.size = excess < (int64_t)d.size ? (size_t)excess : d.size;
        rc = store_query(s->store,
                         "SELECT id FROM operator_session WHERE pinned = 0 ORDER BY updated_at LIMIT ?1",
                         (struct store_value[]){STORE_I(look)}, 1, take_doomed, &d, err);
    }
    int64_t bytes = 0;
    bool done = true;
    for (size_t i = 0; rc == 0 && i < d.count && done && bytes < REMOVE_STEP; i++)
        rc = session_remove_step(s, d.ids[i], &done, &bytes, err);
    *more = d.count > 0;
    return rc;
}

/* ---- making, changing ---- */

/* NULL for what means: choose the best each time. */
static const char *model_of(const char *model)
{
    return !model || !model[0] || str_eq(model, "auto") ? NULL : model;
}

struct making {
    const struct session_new *n;
    const struct config_operator *config;
    struct sessions *s;
    char *id;
    int64_t now;
};

/* Room for one more: the ones that were not used for the longest time go. */
static int make_room(struct making *m, struct store *store, struct error *err)
{
    char ids[2][ULID_LEN + 1];
    struct doomed d = {m->s, ids, 0, COUNT_OF(ids)};
    int64_t total = 0;
    int rc = store_query(store, "SELECT count(*) FROM operator_session", NULL, 0, take_int, &total, err);
    if (rc != 0 || total < m->config->max_sessions)
        return rc;
    rc = store_query(store, "SELECT id FROM operator_session WHERE pinned = 0 ORDER BY updated_at LIMIT ?1",
                     (struct store_value[]){STORE_I(COUNT_OF(ids) + m->s->held_count)}, 1, take_doomed, &d,
                     err);
    if (rc == 0 && d.count == 0)
        return error_set(err, VX11_ERANGE,
                         "there are %lld sessions, operator.max_sessions, and all are pinned",
                         (long long)total);
    /* One for the new one, one more while there are too many; large ones are the clock's, which goes in
     * steps. */
    size_t go = total > m->config->max_sessions ? d.count : 1;
    for (size_t i = 0; rc == 0 && i < go; i++) {
        struct session_facts facts;
        rc = session_facts(store, ids[i], &facts, err);
        if (rc == 0 && facts.bytes <= REMOVE_STEP)
            rc = remove_one(store, ids[i], err);
        else if (rc == 0)
            sessions_clean_soon(m->s);
    }
    return rc;
}

static int make_all(void *ctx, struct store *store, struct error *err)
{
    struct making *m = ctx;
    const struct session_new *n = m->n;
    ulid_make(m->id);
    const char *title = n->title ? n->title : "";
    struct store_value values[] = {
        STORE_T(m->id),
        STORE_T(title),
        STORE_I(title[0] != '\0'),
        STORE_T(operator_session_source_names[n->source]),
        STORE_T(n->user_id && n->user_id[0] ? n->user_id : "local"),
        STORE_T(model_of(n->model)),
        STORE_I(m->now),
    };
    int rc = make_room(m, store, err);
    if (rc == 0)
        rc =
            store_exec(store,
                       "INSERT INTO operator_session (id, title, titled, source, user_id, model, created_at, "
                       "updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7)",
                       values, COUNT_OF(values), NULL, err);
    return rc == 0 ? store_exec(store, TITLE_IN_SQL, values, 1, NULL, err) : rc;
}

int session_new(struct sessions *s, struct arena *a, const struct session_new *n,
                struct operator_session *out, struct error *err)
{
    char id[ULID_LEN + 1];
    struct making m = {n, sessions_config(s), s, id, clock_wall_ms()};
    int rc = store_transaction(s->store, make_all, &m, err);
    return rc == 0 ? session_get(s, a, id, out, err) : rc;
}

struct changing {
    const char *id;
    const struct session_change *c;
    int64_t now;
};

static int change_all(void *ctx, struct store *store, struct error *err)
{
    const struct changing *x = ctx;
    struct store_value key[] = {STORE_T(x->id)};
    struct session_facts facts;
    int rc = session_facts(store, x->id, &facts, err);
    if (rc == 0 && x->c->title) {
        rc = store_exec(store, TITLE_OUT_SQL, key, 1, NULL, err);
        if (rc == 0)
            rc = store_exec(store, "UPDATE operator_session SET title = ?2, titled = 1 WHERE id = ?1",
                            (struct store_value[]){STORE_T(x->id), STORE_T(x->c->title)}, 2, NULL, err);
        if (rc == 0)
            rc = store_exec(store, TITLE_IN_SQL, key, 1, NULL, err);
    }
    if (rc == 0 && x->c->model)
        rc = store_exec(store, "UPDATE operator_session SET model = ?2 WHERE id = ?1",
                        (struct store_value[]){STORE_T(x->id), STORE_T(model_of(x->c->model))}, 2, NULL, err);
    if (rc == 0 && x->c->pinned >= 0)
        rc = store_exec(store, "UPDATE operator_session SET pinned = ?2 WHERE id = ?1",
                        (struct store_value[]){STORE_T(x->id), STORE_I(x->c->pinned)}, 2, NULL, err);
    if (rc == 0)
        rc = store_exec(store, "UPDATE operator_session SET updated_at = max(updated_at, ?2) WHERE id = ?1",
                        (struct store_value[]){STORE_T(x->id), STORE_I(x->now)}, 2, NULL, err);
    return rc;
}

int session_change(struct sessions *s, const char *id, const struct session_change *change, struct error *err)
{
    struct changing x = {id, change, clock_wall_ms()};
    return store_transaction(s->store, change_all, &x, err);
}

int session_refresh(struct sessions *s, const char *id, const char *title, int64_t now, struct error *err)
{
    struct session_facts facts;
    struct arena *a = arena_create(0);
    struct message_list l = {.arena = a, .size = CONTEXT_LOOK, .most_bytes = 1 << 20};
    struct context_message m[CONTEXT_LOOK];
    struct buf signature = BUF_INIT;
    struct store_value key[] = {STORE_T(id), STORE_I(CONTEXT_LOOK)};
    int rc = a ? session_facts(s->store, id, &facts, err) : error_set(err, VX11_ENOMEM, "out of memory");
    if (rc == 0)
        rc = store_query(
            s->store,
            "SELECT " MESSAGE_COLUMNS " FROM operator_message WHERE session_id = ?1 AND status = 'ok' "
            "AND replaced_by IS NULL AND role IN ('user', 'assistant') ORDER BY seq DESC LIMIT ?2",
            key, 2, message_take, &l, err);
    if (rc == 0) {
        message_reverse(&l);
        for (size_t i = 0; i < l.count; i++)
            m[i] = (struct context_message){l.items[i].role, l.items[i].content, strlen(l.items[i].content)};
        rc = context_signature(m, l.count, facts.message_count, &signature);
    }
    if (rc == 0) {
        struct store_value values[] = {STORE_T(id), STORE_T(operator_topic_names[context_topic(m, l.count)]),
                                       STORE_T(signature.data), STORE_I(now)};
        rc = store_exec(
            s->store,
            "UPDATE operator_session SET topic = ?2, signature = ?3, updated_at = max(updated_at, ?4) "
            "WHERE id = ?1",
            values, COUNT_OF(values), NULL, err);
    }
    if (rc == 0 && title && title[0] && !facts.titled && !facts.has_title) {
        rc = store_exec(s->store, TITLE_OUT_SQL, key, 1, NULL, err);
        if (rc == 0)
            rc = store_exec(s->store, "UPDATE operator_session SET title = ?2 WHERE id = ?1",
                            (struct store_value[]){STORE_T(id), STORE_T(title)}, 2, NULL, err);
        if (rc == 0)
            rc = store_exec(s->store, TITLE_IN_SQL, key, 1, NULL, err);
    }
    buf_free(&signature);
    arena_destroy(a);
    return rc;
}

/* ---- branching ---- */

struct branching {
    struct sessions *s;
    const char *from, *message_id, *title;
    char *id;
    int64_t now;
    struct message_list messages; /* ids, seqs and contents of what is copied */
};

static int branch_calls(struct store *store, struct arena *a, const char *from, const char *to,
                        struct error *err);

static int branch_message(struct branching *b, struct store *store, const struct operator_message *m,
                          int64_t seq, struct error *err)
{
    char id[ULID_LEN + 1];
    ulid_make(id);
    struct store_value values[] = {STORE_T(id), STORE_T(b->id), STORE_I(seq), STORE_T(m->id)};
    int rc = store_exec(
        store,
        "INSERT INTO operator_message (id, session_id, seq, role, content, reasoning, bytes, status, error, "
        "requested_model, provider, model, reason, request_id, prompt_tokens, completion_tokens, "
        "cached_tokens, "
        "usage_estimated, first_token_ms, total_ms, tokens_per_second, cost, finish_reason, history_dropped, "
        "metadata, created_at, ended_at, indexed) "
        "SELECT ?1, ?2, ?3, role, content, reasoning, bytes, status, error, requested_model, provider, "
        "model, "
        "reason, request_id, prompt_tokens, completion_tokens, cached_tokens, usage_estimated, "
        "first_token_ms, "
        "total_ms, tokens_per_second, cost, finish_reason, history_dropped, metadata, created_at, ended_at, "
        "indexed "
        "FROM operator_message WHERE id = ?4",
        values, COUNT_OF(values), NULL, err);
    if (rc == 0)
        rc = files_share(store, &(struct files_owner){b->id, id, b->now}, m->id, err);
    return rc == 0 ? branch_calls(store, b->messages.arena, m->id, id, err) : rc;
}

struct id_list {
    struct arena *a;
    const char *ids[256];
    size_t count;
};

static int take_id(void *ctx, const struct store_row *row)
{
    struct id_list *l = ctx;
    if (l->count == COUNT_OF(l->ids))
        return 0;
    l->ids[l->count] = arena_strdup(l->a, row_text(row, 0));
    return l->ids[l->count++] ? 0 : VX11_ENOMEM;
}

static int branch_calls(struct store *store, struct arena *a, const char *from, const char *to,
                        struct error *err)
{
    struct id_list l = {.a = a};
    int rc = store_query(store, "SELECT id FROM operator_tool_call WHERE message_id = ?1 ORDER BY n",
                         (struct store_value[]){STORE_T(from)}, 1, take_id, &l, err);
    for (size_t i = 0; rc == 0 && i < l.count; i++) {
        char id[ULID_LEN + 1];
        ulid_make(id);
        struct store_value values[] = {STORE_T(id), STORE_T(to), STORE_T(l.ids[i])};
        rc = store_exec(
            store,
            "INSERT INTO operator_tool_call (id, message_id, call_id, round, name, arguments, mutating, "
            "status, result, error, confirmed_by, created_at, started_at, ended_at, duration_ms) "
            "SELECT ?1, ?2, call_id, round, name, arguments, mutating, status, result, error, "
            "confirmed_by, created_at, started_at, ended_at, duration_ms FROM operator_tool_call "
            "WHERE id = ?3",
            values, COUNT_OF(values), NULL, err);
    }
    return rc;
}

#define BRANCH_SOURCE                                                                                        \
    "FROM operator_message WHERE session_id = ?1 AND replaced_by IS NULL AND status <> 'streaming' "         \
    "AND seq <= (SELECT seq FROM operator_message WHERE id = ?2 AND session_id = ?1 AND replaced_by IS "     \
    "NULL)"

static int branch_all(void *ctx, struct store *store, struct error *err)
{
    struct branching *b = ctx;
    struct making making = {&(struct session_new){0}, sessions_config(b->s), b->s, b->id, b->now};
    struct store_value from[] = {STORE_T(b->from), STORE_T(b->message_id)};
    struct session_facts facts;
    int64_t last = 0;
    int rc = session_facts(store, b->from, &facts, err);
    if (rc == 0)
        rc = store_query(store, "SELECT max(seq) " BRANCH_SOURCE, from, 2, take_int, &last, err);
    if (rc == 0 && last == 0)
        return error_set(err, VX11_ENOT_FOUND, "session %.64s has no message %.64s that can be branched from",
                         b->from, b->message_id);
    if (rc == 0)
        rc = make_room(&making, store, err);
    ulid_make(b->id);
    struct store_value values[] = {STORE_T(b->id), STORE_T(b->from), STORE_T(b->message_id),
                                   STORE_T(b->title), STORE_I(b->now)};
    if (rc == 0)
        rc = store_exec(
            store,
            "INSERT INTO operator_session (id, title, titled, source, user_id, model, branch_session, "
            "branch_message, created_at, updated_at) SELECT ?1, coalesce(?4, title), ?4 IS NOT NULL OR "
            "titled, source, user_id, model, ?2, ?3, ?5, ?5 FROM operator_session WHERE id = ?2",
            values, COUNT_OF(values), NULL, err);
    if (rc == 0)
        rc = store_exec(store, TITLE_IN_SQL, values, 1, NULL, err);
    if (rc == 0) /* ids only: texts are copied by the database */
        rc = store_query(
            store,
            "SELECT id, session_id, seq, role, '', NULL, status, NULL, NULL, created_at, ended_at, NULL, "
            "NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, "
            "NULL " BRANCH_SOURCE " ORDER BY seq",
            from, 2, message_take, &b->messages, err);
    for (size_t i = 0; rc == 0 && i < b->messages.count; i++)
        rc = branch_message(b, store, &b->messages.items[i], (int64_t)i + 1, err);
    if (rc == 0)
        rc = store_exec(
            store,
            "INSERT INTO operator_message_words (rowid, content) SELECT n, content FROM operator_message "
            "WHERE session_id = ?1 AND indexed = 1",
            values, 1, NULL, err);
    return rc == 0 ? session_refresh(b->s, b->id, NULL, b->now, err) : rc;
}

int session_branch(struct sessions *s, const char *id, const char *message_id, const char *title,
                   char out[ULID_LEN + 1], struct error *err)
{
    struct arena *a = arena_create(0);
    struct branching b = {.s = s,
                          .from = id,
                          .message_id = message_id,
                          .title = title && title[0] ? title : NULL,
                          .id = out,
                          .now = clock_wall_ms(),
                          .messages = {.arena = a}};
    /* Held meanwhile, so that it is not the one that makes room. */
    bool hold = ulid_valid(id) && sessions_hold(s, id, NULL) == 0;
    int rc =
        a ? store_transaction(s->store, branch_all, &b, err) : error_set(err, VX11_ENOMEM, "out of memory");
    if (hold)
        sessions_release(s, id);
    arena_destroy(a);
    return rc;
}
