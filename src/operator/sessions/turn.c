/* Turn: how one turn of a chat is written down, so that what was said is on the disk before a model is asked,
 * and what a model said until a crash is not lost nor taken for an answer. */
#include "operator/sessions/sessions_internal.h"

#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "operator/context/context.h"
#include "operator/files/files.h"

#define HISTORY_BYTES (8u << 20) /* of one request to a model; Switch takes 16 MiB */

/* Words of the messages that ?1 and ?2 name go out of the index. */
#define REPLACED                                                                                             \
    "FROM operator_message WHERE session_id = ?1 AND seq >= ?2 AND replaced_by IS NULL AND status <> "       \
    "'streaming'"

struct turn {
    struct sessions *s;
    const struct turn_question *q; /* NULL: an answer again */
    const char *session_id, *message_id, *requested_model;
    char question[ULID_LEN + 1], answer[ULID_LEN + 1];
    char *title;
    int64_t now;
};

/* ---- replacing ---- */

/* Everything from this seq on is replaced by another message. */
static int replace_from(struct store *store, const char *session_id, int64_t seq, const char *by,
                        struct error *err)
{
    struct store_value values[] = {STORE_T(session_id), STORE_I(seq), STORE_T(by)};
    int rc = store_exec(store,
                        "INSERT INTO operator_message_words (operator_message_words, rowid, content) "
                        "SELECT 'delete', n, content " REPLACED " AND indexed = 1",
                        values, 2, NULL, err);
    if (rc == 0)
        rc = store_exec(store,
                        "UPDATE operator_message SET replaced_by = ?3, indexed = 0 WHERE session_id = ?1 AND "
                        "seq >= ?2 AND replaced_by IS NULL AND status <> 'streaming'",
                        values, COUNT_OF(values), NULL, err);
    return rc;
}

struct place {
    char id[ULID_LEN + 1];
    int64_t seq;
    bool found, user, replaced, streaming;
};

static int place_take(void *ctx, const struct store_row *row)
{
    struct place *p = ctx;
    row_copy(row, 0, p->id, sizeof p->id);
    p->seq = row_int(row, 1);
    p->user = str_eq(row_text(row, 2), "user");
    p->replaced = !row_is_null(row, 3);
    p->streaming = str_eq(row_text(row, 4), "streaming");
    p->found = true;
    return 0;
}

static int place_find(struct store *store, const char *session_id, const char *id, struct place *out,
                      struct error *err)
{
    *out = (struct place){.seq = 0};
    int rc = store_query(store,
                         "SELECT id, seq, role, replaced_by, status FROM operator_message WHERE id = ?2 AND "
                         "session_id = ?1",
                         (struct store_value[]){STORE_T(session_id), STORE_T(id)}, 2, place_take, out, err);
    if (rc != 0)
        return rc;
    if (!out->found)
        return error_set(err, VX11_ENOT_FOUND, "there is no message %.64s in session %.64s", id, session_id);
    if (out->replaced)
        return error_set(err, VX11_EINVALID, "message %s was replaced by another already", out->id);
    return 0;
}

/* The person's message that an answer answers. */
static int place_question(struct store *store, const char *session_id, const struct place *answer,
                          struct place *out, struct error *err)
{
    *out = (struct place){.seq = 0};
    int rc = store_query(
        store,
        "SELECT id, seq, role, replaced_by, status FROM operator_message WHERE session_id = ?1 AND "
        "seq < ?2 AND role = 'user' AND replaced_by IS NULL ORDER BY seq DESC LIMIT 1",
        (struct store_value[]){STORE_T(session_id), STORE_I(answer->seq)}, 2, place_take, out, err);
    if (rc == 0 && !out->found)
        rc = error_set(err, VX11_EINVALID, "message %s answers nothing that a person said", answer->id);
    return rc;
}

/* ---- beginning ---- */

static int put_question(struct turn *t, struct store *store, const struct session_facts *facts,
                        struct error *err)
{
    const struct turn_question *q = t->q;
    const struct config_operator *c = sessions_config(t->s);
    if (q->len > (size_t)c->max_message_bytes)
        return error_set(err, VX11_ETOO_LARGE,
                         "the message has %zu bytes, operator.max_message_bytes allows %lld", q->len,
                         (long long)c->max_message_bytes);
    if (facts->bytes + (int64_t)q->len > c->max_session_bytes)
        return error_set(
            err, VX11_ETOO_LARGE,
            "the session holds %lld bytes, and operator.max_session_bytes allows no more with this "
            "message; begin or branch another",
            (long long)facts->bytes);
    struct store_value values[] = {STORE_T(t->question),
                                   STORE_T(t->session_id),
                                   STORE_I(facts->last_seq + 1),
                                   store_text_len(q->text, q->len),
                                   STORE_I(q->len),
                                   STORE_T(q->metadata),
                                   STORE_I(t->now)};
    int rc = store_exec(
        store,
        "INSERT INTO operator_message (id, session_id, seq, role, content, bytes, status, metadata, "
        "created_at, ended_at, indexed) VALUES (?1, ?2, ?3, 'user', ?4, ?5, 'ok', ?6, ?7, ?7, 1)",
        values, COUNT_OF(values), NULL, err);
    if (rc == 0)
        rc = store_exec(
            store,
            "INSERT INTO operator_message_words (rowid, content) SELECT n, content FROM operator_message "
            "WHERE id = ?1",
            values, 1, NULL, err);
    struct files_owner owner = {t->session_id, t->question, t->now};
    for (size_t i = 0; rc == 0 && i < q->attachment_count; i++)
        rc = files_attach(store, &owner, q->attachments[i], i, err);
    return rc;
}

static int put_answer(struct turn *t, struct store *store, int64_t seq, struct error *err)
{
    struct store_value values[] = {STORE_T(t->answer), STORE_T(t->session_id), STORE_I(seq),
                                   STORE_T(t->requested_model), STORE_I(t->now)};
    return store_exec(
        store,
        "INSERT INTO operator_message (id, session_id, seq, role, content, bytes, status, "
        "requested_model, created_at) VALUES (?1, ?2, ?3, 'assistant', '', 0, 'streaming', ?4, ?5)",
        values, COUNT_OF(values), NULL, err);
}

static int begin_all(void *ctx, struct store *store, struct error *err)
{
    struct turn *t = ctx;
    struct session_facts facts;
    struct place replaced;
    int rc = session_facts(store, t->session_id, &facts, err);
    if (rc == 0 && t->q->replaces) {
        rc = place_find(store, t->session_id, t->q->replaces, &replaced, err);
        if (rc == 0 && !replaced.user)
            rc = error_set(err, VX11_EINVALID, "only a person's message can be replaced, %s is none",
                           replaced.id);
        if (rc == 0)
            rc = replace_from(store, t->session_id, replaced.seq, t->question, err);
    }
    if (rc == 0)
        rc = put_question(t, store, &facts, err);
    if (rc == 0)
        rc = put_answer(t, store, facts.last_seq + 2, err);
    return rc == 0 ? session_refresh(t->s, t->session_id, t->title, t->now, err) : rc;
}

static int again_all(void *ctx, struct store *store, struct error *err)
{
    struct turn *t = ctx;
    struct session_facts facts;
    struct place at, question;
    int rc = session_facts(store, t->session_id, &facts, err);
    if (rc == 0)
        rc = place_find(store, t->session_id, t->message_id, &at, err);
    if (rc != 0)
        return rc;
    question = at;
    if (!at.user)
        rc = place_question(store, t->session_id, &at, &question, err);
    if (rc == 0)
        rc = replace_from(store, t->session_id, question.seq + 1, t->answer, err);
    if (rc == 0)
        rc = put_answer(t, store, facts.last_seq + 1, err);
    memcpy(t->question, question.id, sizeof t->question);
    return rc == 0 ? session_refresh(t->s, t->session_id, NULL, t->now, err) : rc;
}

static int turn_read(struct turn *t, struct arena *a, struct operator_message *question,
                     struct operator_message *answer, struct error *err)
{
    int rc = message_get(t->s, a, t->session_id, t->question, question, err);
    return rc == 0 ? message_get(t->s, a, t->session_id, t->answer, answer, err) : rc;
}

int turn_begin(struct sessions *s, struct arena *a, const struct turn_question *q,
               struct operator_message *question, struct operator_message *answer, struct error *err)
{
    struct turn t = {.s = s,
                     .q = q,
                     .session_id = q->session_id,
                     .requested_model = q->requested_model,
                     .now = clock_wall_ms()};
    struct buf title = BUF_INIT;
    int rc = context_title(q->text, q->len, &title);
    t.title = title.data;
    ulid_make(t.question);
    ulid_make(t.answer);
    rc = rc == 0 ? store_transaction(s->store, begin_all, &t, err) : error_set(err, rc, "out of memory");
    buf_free(&title);
    return rc == 0 ? turn_read(&t, a, question, answer, err) : rc;
}

int turn_again(struct sessions *s, struct arena *a, const char *session_id, const char *message_id,
               const char *requested_model, struct operator_message *question,
               struct operator_message *answer, struct error *err)
{
    struct turn t = {.s = s,
                     .session_id = session_id,
                     .message_id = message_id,
                     .requested_model = requested_model,
                     .now = clock_wall_ms()};
    ulid_make(t.answer);
    int rc = store_transaction(s->store, again_all, &t, err);
    return rc == 0 ? turn_read(&t, a, question, answer, err) : rc;
}

/* ---- while it runs, and its end ---- */

/* Cut at the bound, on a character's boundary. */
static size_t text_fits(const struct sessions *s, const char *text, size_t len)
{
    size_t most = (size_t)sessions_config(s)->max_message_bytes;
    size_t cut = len < most ? len : most;
    return text ? utf8_valid_prefix(text, cut) : 0;
}

static struct store_value text_value(const char *text, size_t len)
{
    return text ? store_text_len(text, len) : STORE_N;
}

int turn_keep(struct sessions *s, const char *answer_id, const char *text, size_t len, const char *reasoning,
              size_t reasoning_len, struct error *err)
{
    size_t n = text_fits(s, text, len), r = text_fits(s, reasoning, reasoning_len);
    struct store_value values[] = {STORE_T(answer_id), store_text_len(text ? text : "", n),
                                   text_value(reasoning, r), STORE_I(n + r)};
    int64_t changes = 0;
    int rc =
        store_exec(s->store,
                   "UPDATE operator_message SET content = ?2, reasoning = ?3, bytes = ?4 WHERE id = ?1 AND "
                   "status = 'streaming'",
                   values, COUNT_OF(values), &changes, err);
    if (rc == 0 && changes == 0)
        rc = error_set(err, VX11_ENOT_FOUND, "answer %.64s is not being written", answer_id);
    return rc;
}

struct ending {
    struct sessions *s;
    const char *answer_id;
    const struct turn_end *end;
    struct buf error;
    int64_t now;
    char session_id[ULID_LEN + 1];
};

static struct store_value number_or_null(double x)
{
    return x >= 0 ? STORE_D(x) : STORE_N;
}

static struct store_value integer_or_null(bool has, int64_t x)
{
    return has && x >= 0 ? STORE_I(x) : STORE_N;
}

static int take_session(void *ctx, const struct store_row *row)
{
    row_copy(row, 0, ctx, ULID_LEN + 1);
    return 0;
}

static int finish_row(struct ending *x, struct store *store, struct error *err)
{
    const struct turn_end *e = x->end;
    static const struct operator_usage none = {.estimated = false};
    const struct operator_usage *u = e->usage ? e->usage : &none;
    size_t n = text_fits(x->s, e->text, e->len), r = text_fits(x->s, e->reasoning, e->reasoning_len);
    bool index = e->status == OPERATOR_MESSAGE_STATUS_OK || e->status == OPERATOR_MESSAGE_STATUS_CANCELLED;
    struct store_value values[] = {
        STORE_T(x->answer_id),
        store_text_len(e->text ? e->text : "", n),
        text_value(e->reasoning, r),
        STORE_I(n + r),
        STORE_T(operator_message_status_names[e->status]),
        x->error.len ? store_text_len(x->error.data, x->error.len) : STORE_N,
        STORE_T(e->provider),
        STORE_T(e->model),
        STORE_T(e->reason),
        STORE_T(e->request_id),
        integer_or_null(u->has_prompt_tokens, u->prompt_tokens),
        integer_or_null(u->has_completion_tokens, u->completion_tokens),
        integer_or_null(u->has_cached_tokens, u->cached_tokens),
        e->usage ? STORE_I(u->estimated) : STORE_N,
        number_or_null(e->first_token_ms),
        number_or_null(e->total_ms),
        number_or_null(e->tokens_per_second),
        number_or_null(e->cost),
        STORE_T(e->finish_reason),
        integer_or_null(true, e->history_dropped),
        STORE_I(x->now),
        STORE_I(index),
    };
    int rc =
        store_exec(store,
                   "UPDATE operator_message SET content = ?2, reasoning = ?3, bytes = ?4, status = ?5, error "
                   "= ?6, provider = ?7, "
                   "model = ?8, reason = ?9, request_id = ?10, prompt_tokens = ?11, completion_tokens = ?12, "
                   "cached_tokens = ?13, usage_estimated = ?14, first_token_ms = ?15, total_ms = ?16, "
                   "tokens_per_second = ?17, "
                   "cost = ?18, finish_reason = ?19, history_dropped = ?20, ended_at = max(created_at, ?21), "
                   "indexed = ?22 "
                   "WHERE id = ?1 AND status = 'streaming'",
                   values, COUNT_OF(values), NULL, err);
    if (rc == 0 && index)
        rc = store_exec(
            store,
            "INSERT INTO operator_message_words (rowid, content) SELECT n, content FROM operator_message "
            "WHERE id = ?1",
            values, 1, NULL, err);
    return rc;
}

static int finish_all(void *ctx, struct store *store, struct error *err)
{
    struct ending *x = ctx;
    int rc =
        store_query(store, "SELECT session_id FROM operator_message WHERE id = ?1 AND status = 'streaming'",
                    (struct store_value[]){STORE_T(x->answer_id)}, 1, take_session, x->session_id, err);
    if (rc == 0 && !x->session_id[0])
        return error_set(err, VX11_ENOT_FOUND, "answer %.64s has ended already, or its session is gone",
                         x->answer_id);
    if (rc == 0)
        rc = finish_row(x, store, err);
    return rc == 0 ? session_refresh(x->s, x->session_id, NULL, x->now, err) : rc;
}

int turn_finish(struct sessions *s, const char *answer_id, const struct turn_end *end, struct error *err)
{
    struct ending x = {.s = s, .answer_id = answer_id, .end = end, .error = BUF_INIT, .now = clock_wall_ms()};
    int rc = 0;
    if (end->error)
        rc = common_error_body_serialize(end->error, &x.error);
    rc = rc == 0 ? store_transaction(s->store, finish_all, &x, err)
                 : error_set(err, rc, "the error of an answer");
    buf_free(&x.error);
    return rc;
}

/* ---- what goes to a model ---- */

struct history {
    struct message_list list; /* what is kept, the latest first */
    size_t most;
    bool answered; /* the message after this one is an answer that is kept */
    bool full;
};

/* From the latest on: an answer is kept when it is one, a question when its answer is. */
static int history_take(void *ctx, const struct store_row *row)
{
    struct history *h = ctx;
    bool user = str_eq(row_text(row, 3), "user"), assistant = str_eq(row_text(row, 3), "assistant");
    const char *text = row_text(row, 4);
    bool good = str_eq(row_text(row, 6), "ok") || (str_eq(row_text(row, 6), "cancelled") && text[0]);
    if (h->list.count >= h->most || h->list.bytes + strlen(text) > HISTORY_BYTES)
        h->full = true;
    if (h->full)
        return 0;
    bool keep = user ? h->answered : good;
    if (user)
        h->answered = false;
    else if (assistant)
        h->answered = good;
    return keep ? message_take(&h->list, row) : 0;
}

int session_history(struct sessions *s, struct arena *a, const char *session_id, int64_t before_seq,
                    size_t most, struct operator_message **out, size_t *count, struct error *err)
{
    struct history h = {.list = {.arena = a}, .most = most};
    struct store_value values[] = {STORE_T(session_id), STORE_I(before_seq), STORE_I(2 * most + 16)};
    int rc = store_query(
        s->store,
        "SELECT " MESSAGE_COLUMNS " FROM operator_message WHERE session_id = ?1 AND seq < ?2 AND "
        "replaced_by IS NULL AND role IN ('user', 'assistant', 'system') ORDER BY seq DESC LIMIT ?3",
        values, COUNT_OF(values), history_take, &h, err);
    if (rc != 0)
        return rc;
    message_reverse(&h.list);
    size_t from = 0; /* an answer whose question did not fit means nothing */
    while (from < h.list.count && h.list.items[from].role == OPERATOR_MESSAGE_ROLE_ASSISTANT)
        from++;
    *out = h.list.items ? h.list.items + from : NULL;
    *count = h.list.count - from;
    return *count > 0 ? message_parts(s->store, a, *out, *count, err) : 0;
}

static int take_count(void *ctx, const struct store_row *row)
{
    *(int64_t *)ctx = row_int(row, 0);
    return 0;
}

int session_context(struct sessions *s, const char *session_id, int64_t before_seq, struct buf *out,
                    struct error *err)
{
    struct arena *a = arena_create(0);
    struct operator_message *items = NULL;
    struct context_message m[CONTEXT_LOOK];
    struct session_facts facts;
    int64_t before = 0;
    size_t count = 0, n = 0;
    int rc =
        a ? session_facts(s->store, session_id, &facts, err) : error_set(err, VX11_ENOMEM, "out of memory");
    if (rc == 0)
        rc = store_query(s->store,
                         "SELECT count(*) FROM operator_message WHERE session_id = ?1 AND seq < ?2 AND "
                         "replaced_by IS NULL",
                         (struct store_value[]){STORE_T(session_id), STORE_I(before_seq)}, 2, take_count,
                         &before, err);
    if (rc == 0)
        rc = session_history(s, a, session_id, before_seq, CONTEXT_LOOK + 1, &items, &count, err);
    for (size_t i = count > CONTEXT_LOOK ? count - CONTEXT_LOOK : 0; rc == 0 && i < count; i++)
        m[n++] = (struct context_message){items[i].role, items[i].content, strlen(items[i].content)};
    if (rc == 0 && context_metadata(m, n, before, out) != 0)
        rc = error_set(err, VX11_ENOMEM, "out of memory");
    arena_destroy(a);
    return rc;
}
