/* Message: rows of operator_message as the contract has them, with the tool calls, files and feedback that
 * hang on them. Those are read for a whole page at once, not message by message. */
#include "operator/sessions/sessions_internal.h"

#include <string.h>

#include "base/str.h"
#include "operator/rows.h"

/* JSON that this module wrote; one that cannot be read any more is left out. */
static yyjson_val *copy_json(struct arena *a, const struct store_row *row, int column)
{
    const char *text = row_text(row, column);
    yyjson_val *value = NULL;
    if (text && contract_json_parse(a, text, strlen(text), NULL, &value, NULL) != 0)
        return NULL;
    return value;
}

static void take_number(const struct store_row *row, int column, bool *has, double *out)
{
    *has = !row_is_null(row, column);
    *out = *has ? row_real(row, column) : 0;
}

static void take_integer(const struct store_row *row, int column, bool *has, int64_t *out)
{
    *has = !row_is_null(row, column);
    *out = *has ? row_int(row, column) : 0;
}

/* ---- a message ---- */

static int take_usage(struct arena *a, const struct store_row *row, struct operator_message *m)
{
    if (row_is_null(row, 19))
        return 0;
    struct operator_usage *u = arena_zalloc(a, sizeof *u);
    if (!u)
        return VX11_ENOMEM;
    take_integer(row, 16, &u->has_prompt_tokens, &u->prompt_tokens);
    take_integer(row, 17, &u->has_completion_tokens, &u->completion_tokens);
    take_integer(row, 18, &u->has_cached_tokens, &u->cached_tokens);
    u->estimated = row_int(row, 19) != 0;
    m->usage = u;
    return 0;
}

static int take_error(struct arena *a, const struct store_row *row, struct operator_message *m)
{
    const char *text = row_text(row, 7);
    if (!text)
        return 0;
    m->error = arena_zalloc(a, sizeof *m->error);
    const char *copy = arena_strdup(a, text);
    if (!m->error || !copy)
        return VX11_ENOMEM;
    if (common_error_body_parse(a, copy, strlen(copy), m->error, NULL) != 0)
        m->error = NULL;
    return 0;
}

static int message_from_row(struct arena *a, const struct store_row *row, struct operator_message *m)
{
    const struct {
        int column;
        const char **to;
    } texts[] = {{0, &m->id},          {1, &m->session_id},       {4, &m->content},       {5, &m->reasoning},
                 {8, &m->replaced_by}, {11, &m->requested_model}, {12, &m->provider},     {13, &m->model},
                 {14, &m->reason},     {15, &m->request_id},      {24, &m->finish_reason}};
    memset(m, 0, sizeof *m);
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        if (row_text_copy(a, row, texts[i].column, texts[i].to) != 0)
            return VX11_ENOMEM;
    m->seq = row_int(row, 2);
    m->role =
        name_index(operator_message_role_names, COUNT_OF(operator_message_role_names), row_text(row, 3));
    m->status =
        name_index(operator_message_status_names, COUNT_OF(operator_message_status_names), row_text(row, 6));
    m->timestamp = row_int(row, 9);
    take_integer(row, 10, &m->has_ended_at, &m->ended_at);
    take_number(row, 20, &m->has_first_token_ms, &m->first_token_ms);
    take_number(row, 21, &m->has_total_ms, &m->total_ms);
    take_number(row, 22, &m->has_tokens_per_second, &m->tokens_per_second);
    take_number(row, 23, &m->has_cost, &m->cost);
    take_integer(row, 25, &m->has_history_dropped, &m->history_dropped);
    m->metadata = copy_json(a, row, 26);
    int rc = take_error(a, row, m);
    return rc == 0 ? take_usage(a, row, m) : rc;
}

int message_take(void *ctx, const struct store_row *row)
{
    struct message_list *l = ctx;
    if (l->count == l->size) {
        size_t size = l->size ? 2 * l->size : 32;
        void *grown = arena_realloc(l->arena, l->items, l->size * sizeof *l->items, size * sizeof *l->items);
        if (!grown)
            return VX11_ENOMEM;
        l->items = grown;
        l->size = size;
    }
    if (!l->items && !(l->items = arena_array(l->arena, l->size, sizeof *l->items)))
        return VX11_ENOMEM;
    struct operator_message *m = &l->items[l->count];
    int rc = message_from_row(l->arena, row, m);
    if (rc != 0)
        return rc;
    l->bytes += strlen(m->content);
    l->count++;
    return 0;
}

void message_reverse(struct message_list *l)
{
    for (size_t i = 0; i < l->count / 2; i++) {
        struct operator_message m = l->items[i];
        l->items[i] = l->items[l->count - 1 - i];
        l->items[l->count - 1 - i] = m;
    }
}

/* ---- what hangs on it ---- */

struct parts { /* rows come in the order of the messages, so each message's are beside each other */
    struct arena *arena;
    struct operator_message *messages;
    size_t count, at;
    size_t size; /* of the array being filled */
};

/* The message of this seq; they rise. NULL: it is not on the page. */
static struct operator_message *parts_at(struct parts *p, int64_t seq)
{
    while (p->at < p->count && p->messages[p->at].seq < seq) {
        p->at++;
        p->size = 0;
    }
    return p->at < p->count && p->messages[p->at].seq == seq ? &p->messages[p->at] : NULL;
}

/* One more place at the end of *items, which has `count`. */
static void *parts_grow(struct parts *p, void *items, size_t count, size_t each)
{
    if (count < p->size)
        return items;
    size_t size = p->size ? 2 * p->size : 4;
    void *grown = arena_realloc(p->arena, items, count * each, size * each);
    if (grown)
        p->size = size;
    return grown;
}

static int call_take(void *ctx, const struct store_row *row)
{
    struct parts *p = ctx;
    struct operator_message *m = parts_at(p, row_int(row, 0));
    if (!m)
        return 0;
    struct operator_tool_call *calls = parts_grow(p, m->tool_calls, m->tool_calls_count, sizeof *calls);
    if (!calls)
        return VX11_ENOMEM;
    m->tool_calls = calls;
    struct operator_tool_call *c = &calls[m->tool_calls_count++];
    memset(c, 0, sizeof *c);
    c->session_id = m->session_id;
    c->message_id = m->id;
    if (row_text_copy(p->arena, row, 1, &c->id) != 0 || row_text_copy(p->arena, row, 2, &c->name) != 0 ||
        row_text_copy(p->arena, row, 7, &c->error) != 0 ||
        row_text_copy(p->arena, row, 8, &c->confirmed_by) != 0)
        return VX11_ENOMEM;
    c->arguments = copy_json(p->arena, row, 3);
    c->mutating = row_int(row, 4) != 0;
    c->status = name_index(operator_tool_call_status_names, COUNT_OF(operator_tool_call_status_names),
                           row_text(row, 5));
    c->result = copy_json(p->arena, row, 6);
    c->created_at = row_int(row, 9);
    take_integer(row, 10, &c->has_started_at, &c->started_at);
    take_integer(row, 11, &c->has_ended_at, &c->ended_at);
    take_number(row, 12, &c->has_duration_ms, &c->duration_ms);
    return 0;
}

int file_from_row(const struct store_row *row, int first, struct arena *a, struct operator_file *f)
{
    memset(f, 0, sizeof *f);
    if (row_text_copy(a, row, first, &f->id) != 0 || row_text_copy(a, row, first + 1, &f->session_id) != 0 ||
        row_text_copy(a, row, first + 2, &f->message_id) != 0 ||
        row_text_copy(a, row, first + 3, &f->name) != 0 ||
        row_text_copy(a, row, first + 5, &f->media_type) != 0 ||
        row_text_copy(a, row, first + 7, &f->sha256) != 0)
        return VX11_ENOMEM;
    f->kind =
        name_index(operator_file_kind_names, COUNT_OF(operator_file_kind_names), row_text(row, first + 4));
    f->bytes = row_int(row, first + 6);
    take_integer(row, first + 8, &f->has_width, &f->width);
    take_integer(row, first + 9, &f->has_height, &f->height);
    f->created_at = row_int(row, first + 10);
    return 0;
}

static int file_take(void *ctx, const struct store_row *row)
{
    struct parts *p = ctx;
    struct operator_message *m = parts_at(p, row_int(row, 0));
    if (!m)
        return 0;
    struct operator_file *files = parts_grow(p, m->attachments, m->attachments_count, sizeof *files);
    if (!files)
        return VX11_ENOMEM;
    m->attachments = files;
    return file_from_row(row, 1, p->arena, &files[m->attachments_count++]);
}

static int feedback_take(void *ctx, const struct store_row *row)
{
    struct parts *p = ctx;
    struct operator_message *m = parts_at(p, row_int(row, 0));
    struct operator_feedback *f = m ? arena_zalloc(p->arena, sizeof *f) : NULL;
    if (!m)
        return 0;
    if (!f || row_text_copy(p->arena, row, 2, &f->note) != 0 ||
        row_text_copy(p->arena, row, 5, &f->reason) != 0)
        return VX11_ENOMEM;
    f->rating = row_real(row, 1);
    f->at = row_int(row, 3);
    f->learned = row_int(row, 4) != 0;
    m->feedback = f;
    return 0;
}

#define OF_PAGE "m.session_id = ?1 AND m.seq BETWEEN ?2 AND ?3"

int message_parts(struct store *store, struct arena *a, struct operator_message *messages, size_t count,
                  struct error *err)
{
    static const struct {
        const char *sql;
        int (*take)(void *ctx, const struct store_row *row);
    } kinds[] = {
        {"SELECT m.seq, t.id, t.name, t.arguments, t.mutating, t.status, t.result, t.error, t.confirmed_by, "
         "t.created_at, t.started_at, t.ended_at, t.duration_ms FROM operator_message AS m "
         "JOIN operator_tool_call AS t ON t.message_id = m.id WHERE " OF_PAGE " ORDER BY m.seq, t.n",
         call_take},
        {"SELECT m.seq, " FILE_COLUMNS
         " FROM operator_message AS m JOIN operator_file AS f ON f.message_id = m.id "
         "WHERE " OF_PAGE " ORDER BY m.seq, f.position, f.n",
         file_take},
        {"SELECT m.seq, b.rating, b.note, b.at, b.learned, b.reason FROM operator_message AS m "
         "JOIN operator_feedback AS b ON b.message_id = m.id WHERE " OF_PAGE " ORDER BY m.seq",
         feedback_take},
    };
    if (count == 0)
        return 0;
    struct store_value page[] = {STORE_T(messages[0].session_id), STORE_I(messages[0].seq),
                                 STORE_I(messages[count - 1].seq)};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < COUNT_OF(kinds); i++) {
        struct parts p = {.arena = a, .messages = messages, .count = count};
        rc = store_query(store, kinds[i].sql, page, COUNT_OF(page), kinds[i].take, &p, err);
    }
    return rc;
}

/* ---- one, a page ---- */

int message_get(struct sessions *s, struct arena *a, const char *session_id, const char *message_id,
                struct operator_message *out, struct error *err)
{
    struct message_list l = {.arena = a, .items = out, .size = 1};
    int rc = store_query(s->store,
                         "SELECT " MESSAGE_COLUMNS " FROM operator_message WHERE id = ?1 AND "
                         "(?2 IS NULL OR session_id = ?2)",
                         (struct store_value[]){STORE_T(message_id), STORE_T(session_id)}, 2, message_take,
                         &l, err);
    if (rc == 0 && l.count == 0)
        return error_set(err, VX11_ENOT_FOUND, "there is no message %.64s%s%.64s", message_id,
                         session_id ? " in session " : "", session_id ? session_id : "");
    return rc == 0 ? message_parts(s->store, a, out, 1, err) : rc;
}

#define PAGE(where, order)                                                                                   \
    "SELECT " MESSAGE_COLUMNS " FROM operator_message WHERE session_id = ?1 AND seq " where                  \
    " AND (?3 OR replaced_by IS NULL) ORDER BY seq " order " LIMIT ?4"

int message_page(struct sessions *s, struct arena *a, const char *session_id, enum message_side side,
                 int64_t seq, bool replaced, int64_t limit, struct message_list *out, struct error *err)
{
    struct store_value values[] = {STORE_T(session_id), STORE_I(side == MESSAGES_LATEST ? INT64_MAX : seq),
                                   STORE_I(replaced), STORE_I(limit)};
    *out = (struct message_list){.arena = a};
    int rc = store_query(s->store, side == MESSAGES_AFTER ? PAGE("> ?2", "ASC") : PAGE("< ?2", "DESC"),
                         values, COUNT_OF(values), message_take, out, err);
    if (rc != 0)
        return rc;
    if (side != MESSAGES_AFTER)
        message_reverse(out);
    return message_parts(s->store, a, out->items, out->count, err);
}
