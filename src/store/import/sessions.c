/* Sessions: the operator's conversations, with what tools were called in them.
 *
 * A session that was taken over counts as used now, else its age would end it at once; its messages keep
 * their times. What a person deleted here since stays deleted. */
#include <string.h>

#include "base/str.h"
#include "base/ulid.h"
#include "store/connection.h"
#include "store/import/import_internal.h"

#define TIME_UNKNOWN "its time cannot be read"
#define NO_TEXT      "its text is missing, or is no UTF-8"

/* One batch of rows: `one` for each, in a transaction; t's counts only move when it was committed. */
struct batch {
    struct importing *x;
    struct import_table *t;
    sqlite3_stmt *rows;
    int (*one)(struct batch *b, struct store *s, struct error *err);
    int64_t imported, merged, known;
    const char *reasons[IMPORT_BATCH];
    size_t left;
    bool over;
};

static int batch_fill(void *ctx, struct store *s, struct error *err)
{
    struct batch *b = ctx;
    int rc = 0, step = SQLITE_ROW;
    for (int i = 0; rc == 0 && i < IMPORT_BATCH && (step = sqlite3_step(b->rows)) == SQLITE_ROW; i++)
        rc = b->one(b, s, err);
    b->over = step != SQLITE_ROW;
    if (rc == 0 && step != SQLITE_ROW && step != SQLITE_DONE)
        rc = sql_error(err, b->x->src.db, step, "%s", b->t->name);
    return rc;
}

static int batch_count(struct batch *b)
{
    b->t->imported += b->imported;
    b->t->merged += b->merged;
    b->t->known += b->known;
    for (size_t i = 0; i < b->left; i++)
        import_left(b->x, b->t, b->reasons[i], 1);
    return 0;
}

static int skip(struct batch *b, const char *reason)
{
    b->reasons[b->left++] = reason;
    return 0;
}

static int import_rows(struct importing *x, struct import_table *t, char *sql,
                       int (*one)(struct batch *b, struct store *s, struct error *err), struct error *err)
{
    sqlite3_stmt *rows;
    struct batch b = {.x = x, .t = t, .one = one};
    int rc = source_prepare(&x->src, sql, &rows, err);
    sqlite3_free(sql);
    b.rows = rows;
    while (rc == 0 && !b.over) {
        b.imported = b.merged = b.known = 0;
        b.left = 0;
        rc = import_stopped(x) ? error_set(err, VX11_ECANCELLED, "it was asked to stop")
             : x->o->dry_run   ? batch_fill(&b, x->store, err)
                               : store_transaction(x->store, batch_fill, &b, err);
        if (rc == 0)
            batch_count(&b);
    }
    sqlite3_finalize(rows);
    return rc;
}

static int take_count(void *ctx, const struct store_row *row)
{
    *(int64_t *)ctx = row_int(row, 0);
    return 0;
}

/* ---- sessions ---- */

static int session_one(struct batch *b, struct store *s, struct error *err)
{
    const char *name = source_text(b->rows, 1), *user = source_text(b->rows, 2),
               *from = source_text(b->rows, 3);
    int64_t created;
    unsigned char key[IMPORT_KEY];
    char id[ULID_LEN + 1];
    if (!name || !*name)
        return skip(b, "it has no session_id");
    if (!source_time(b->rows, 4, &created) && !source_time(b->rows, 5, &created))
        return skip(b, TIME_UNKNOWN);
    import_key("operator_session", (const char *const[]){name}, 1, key);
    int rc = import_seen(b->x, key, NULL, NULL, err);
    b->known += rc == 0;
    if (rc != VX11_ENOT_FOUND)
        return rc;
    b->imported++;
    if (b->x->o->dry_run)
        return import_would(b->x, key, err);
    ulid_make(id);
    const bool known_source = str_eq(from, "web") || str_eq(from, "cli");
    const struct store_value values[] = {STORE_T(id), STORE_T(known_source ? from : "api"),
                                         STORE_T(user && *user && strlen(user) <= 64 ? user : "local"),
                                         STORE_I(created), STORE_I(b->x->now)};
    rc = store_exec(s,
                    "INSERT INTO operator_session (id, title, source, user_id, created_at, updated_at)"
                    " VALUES (?1, '', ?2, ?3, ?4, ?5)",
                    values, COUNT_OF(values), NULL, err);
    return rc == 0 ? import_remember(s, key, b->x->now, id, NULL, err) : rc;
}

int import_sessions(struct importing *x, struct import_table *t, struct error *err)
{
    static const char *const columns[] = {"session_id", "user_id", "source", "created_at", "updated_at"};
    return import_rows(x, t, source_select(&x->src, t->name, columns, COUNT_OF(columns), NULL), session_one,
                       err);
}

/* ---- messages ---- */

/* The first question is the title, as of any session here. */
static int title_write(struct store *s, const char *session, const char *text, struct error *err)
{
    const struct store_value values[] = {STORE_T(session), STORE_T(text)};
    int64_t changed = 0;
    int rc = store_exec(
        s,
        "UPDATE operator_session SET title = trim(substr(replace(replace(?2, char(10), ' '), char(13),"
        " ' '), 1, 80)) WHERE id = ?1 AND title = ''",
        values, 2, &changed, err);
    if (rc == 0 && changed > 0)
        rc = store_exec(
            s,
            "INSERT INTO operator_session_words (rowid, title) SELECT n, title FROM operator_session"
            " WHERE id = ?1 AND title <> ''",
            values, 1, NULL, err);
    return rc;
}

static int message_write(struct batch *b, struct store *s, const char *session, const char *role,
                         const char *content, int64_t at, const char *id, struct error *err)
{
    const char *metadata = source_text(b->rows, 5);
    const struct store_value values[] = {STORE_T(id),      STORE_T(session), STORE_T(role),
                                         STORE_T(content), STORE_I(at),      store_text(metadata)};
    int rc = store_exec(
        s,
        "INSERT INTO operator_message (id, session_id, seq, role, content, bytes, status, metadata,"
        " indexed, created_at, ended_at) SELECT ?1, ?2, last_seq + 1, ?3, ?4, length(CAST(?4 AS BLOB)),"
        " 'ok', iif(json_valid(?6) AND length(?6) > 1, ?6, NULL), ?3 IN ('user', 'assistant'), ?5, ?5"
        " FROM operator_session WHERE id = ?2",
        values, COUNT_OF(values), NULL, err);
    if (rc == 0 && (strcmp(role, "user") == 0 || strcmp(role, "assistant") == 0))
        rc = store_exec(
            s,
            "INSERT INTO operator_message_words (rowid, content) SELECT n, content FROM operator_message"
            " WHERE id = ?1",
            values, 1, NULL, err);
    if (rc == 0 && strcmp(role, "user") == 0)
        rc = title_write(s, session, content, err);
    return rc;
}

/* The session that a row belongs to, as it is called here; NULL: *reason says why there is none. */
static const char *session_of(struct batch *b, const char *name, char id[ULID_LEN + 1], const char **reason,
                              int *rc, struct error *err)
{
    unsigned char key[IMPORT_KEY];
    int64_t there = 0;
    *reason = "its session is not in the file";
    if (!name)
        return NULL;
    import_key("operator_session", (const char *const[]){name}, 1, key);
    *rc = import_seen(b->x, key, id, NULL, err);
    if (*rc != 0) {
        *rc = *rc == VX11_ENOT_FOUND ? 0 : *rc;
        return NULL;
    }
    if (!id[0])
        return id; /* it would be there */
    const struct store_value value = STORE_T(id);
    *rc = store_query(b->x->store, "SELECT count(*) FROM operator_session WHERE id = ?1", &value, 1,
                      take_count, &there, err);
    *reason = "its session was deleted here since";
    return *rc == 0 && there > 0 ? id : NULL;
}

static void message_key(const char *id, const char *session, const char *at, unsigned char key[IMPORT_KEY])
{
    import_key("operator_message", (const char *const[]){id, session, at}, 3, key);
}

static int message_one(struct batch *b, struct store *s, struct error *err)
{
    static const char *const roles[] = {"user", "assistant", "system", "tool"};
    const char *name = source_text(b->rows, 1), *role = source_text(b->rows, 2),
               *content = source_text(b->rows, 3);
    unsigned char key[IMPORT_KEY];
    char number[24], session[ULID_LEN + 1] = "", id[ULID_LEN + 1];
    bool known_role = false;
    int64_t at;
    const char *reason;
    int rc = 0;
    for (size_t i = 0; i < COUNT_OF(roles); i++)
        known_role = known_role || str_eq(role, roles[i]);
    if (!content)
        return skip(b, NO_TEXT);
    if (!known_role)
        return skip(b, "nobody that can speak here says it (role)");
    if (!source_time(b->rows, 4, &at))
        return skip(b, TIME_UNKNOWN);
    snprintf(number, sizeof number, "%lld", (long long)sqlite3_column_int64(b->rows, 0));
    message_key(number, name, source_text(b->rows, 4), key);
    rc = import_seen(b->x, key, NULL, NULL, err);
    b->known += rc == 0;
    if (rc != VX11_ENOT_FOUND)
        return rc;
    rc = 0;
    const char *owner = session_of(b, name, session, &reason, &rc, err);
    if (rc != 0 || !owner)
        return rc != 0 ? rc : skip(b, reason);
    b->imported++;
    if (b->x->o->dry_run)
        return import_would(b->x, key, err);
    rc = message_write(b, s, session, role, content, at, ulid_make(id), err);
    return rc == 0 ? import_remember(s, key, b->x->now, id, NULL, err) : rc;
}

/* Sessions that came without a question. One that was begun here meanwhile has no title yet, and gets its
 * own. */
static int titles_end(void *ctx, struct store *s, struct error *err)
{
    (void)ctx;
    int rc =
        store_exec(s,
                   "INSERT INTO operator_session_words (rowid, title) SELECT n, 'Imported conversation' FROM"
                   " operator_session WHERE title = '' AND id IN (SELECT id FROM import_row)",
                   NULL, 0, NULL, err);
    return rc == 0 ? store_exec(s,
                                "UPDATE operator_session SET title = 'Imported conversation' WHERE title = ''"
                                " AND id IN (SELECT id FROM import_row)",
                                NULL, 0, NULL, err)
                   : rc;
}

int import_messages(struct importing *x, struct import_table *t, struct error *err)
{
    static const char *const columns[] = {"session_id", "role", "content", "created_at", "message_metadata"};
    int rc = import_rows(x, t, source_select(&x->src, t->name, columns, COUNT_OF(columns), NULL), message_one,
                         err);
    return rc == 0 && !x->o->dry_run ? store_transaction(x->store, titles_end, NULL, err) : rc;
}

/* ---- tool calls ---- */

static int tool_call_one(struct batch *b, struct store *s, struct error *err)
{
    unsigned char key[IMPORT_KEY], of_message[IMPORT_KEY];
    char number[24], message[ULID_LEN + 1] = "", id[ULID_LEN + 1], parent[24];
    const char *tool = source_text(b->rows, 2), *status = source_text(b->rows, 3),
               *at_text = source_text(b->rows, 7);
    const char *session = source_text(b->rows, 8), *message_at = source_text(b->rows, 9);
    int64_t at;
    if (!tool || !*tool || strlen(tool) > 64)
        return skip(b, "it names no tool");
    if (!source_time(b->rows, 7, &at))
        return skip(b, TIME_UNKNOWN);
    snprintf(number, sizeof number, "%lld", (long long)sqlite3_column_int64(b->rows, 0));
    snprintf(parent, sizeof parent, "%lld", (long long)sqlite3_column_int64(b->rows, 1));
    import_key("operator_tool_call", (const char *const[]){number, parent, tool, at_text}, 4, key);
    int rc = import_seen(b->x, key, NULL, NULL, err);
    b->known += rc == 0;
    if (rc != VX11_ENOT_FOUND)
        return rc;
    message_key(parent, session, message_at, of_message);
    rc = import_seen(b->x, of_message, message, NULL, err);
    if (rc != 0)
        return rc == VX11_ENOT_FOUND ? skip(b, "its message was not taken over") : rc;
    b->imported++;
    if (b->x->o->dry_run)
        return import_would(b->x, key, err);
    const bool failed =
        str_eq(status, "error") || str_eq(status, "failed") || sqlite3_column_type(b->rows, 6) != SQLITE_NULL;
    const struct store_value values[] = {STORE_T(ulid_make(id)),
                                         STORE_T(message),
                                         STORE_T(tool),
                                         STORE_T(failed ? "failed" : "done"),
                                         store_text(source_text(b->rows, 5)),
                                         store_text(source_text(b->rows, 6)),
                                         STORE_I(at),
                                         sqlite3_column_type(b->rows, 4) == SQLITE_INTEGER
                                             ? STORE_D(sqlite3_column_double(b->rows, 4))
                                             : STORE_N};
    int64_t added = 0;
    rc = store_exec(
        s,
        "INSERT INTO operator_tool_call (id, message_id, name, mutating, status, result, error, created_at,"
        " started_at, ended_at, duration_ms) SELECT ?1, id, ?3, 0, ?4, CASE WHEN coalesce(length(?5), 0) = 0 "
        "THEN NULL"
        " WHEN json_valid(?5) THEN ?5 ELSE json_quote(?5) END, ?6, ?7, ?7, ?7, iif(?8 >= 0, ?8, NULL)"
        " FROM operator_message WHERE id = ?2",
        values, COUNT_OF(values), &added, err);
    if (rc == 0 && added == 0) {
        b->imported--;
        return skip(b, "its message was deleted here since");
    }
    return rc == 0 ? import_remember(s, key, b->x->now, id, NULL, err) : rc;
}

int import_tool_calls(struct importing *x, struct import_table *t, struct error *err)
{
    if (!source_has(&x->src, "operator_message")) {
        import_left(x, t, "its message was not taken over", t->rows);
        return 0;
    }
    char *sql = sqlite3_mprintf(
        "SELECT c.rowid, c.message_id, c.tool_name, c.status, c.duration_ms, c.result, c.error,"
        " c.created_at, m.session_id, m.created_at FROM main.operator_tool_call AS c"
        " LEFT JOIN main.operator_message AS m ON m.rowid = c.message_id ORDER BY c.rowid");
    return import_rows(x, t, sql, tool_call_one, err);
}
