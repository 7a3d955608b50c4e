/* Query: a statement from outside, on a connection that can only read. */
#include "store/query/query.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "store/look.h"
#include "store/store_internal.h"

#define TIMEOUT_MS 10000
#define ROWS_MAX   1000
#define BYTES_MAX  (16ll << 20)
#define SQL_MAX    (1 << 20)
#define VALUE_MAX  (64 << 20)
#define HEAP_MAX   (512ll << 20)

struct query {
    const struct query_options *options;
    sqlite3 *db;
    int64_t deadline_ms;
    bool expired;
    char refused[200]; /* what the authorizer did not allow */
};

/* ---- what is allowed ---- */

/* Pragmas that only tell; named: they take the name of a table or index, the others no argument. */
static const struct {
    const char *name;
    bool named;
} pragmas[] = {
    {"table_info", true},       {"table_xinfo", true},       {"table_list", true},
    {"index_list", true},       {"index_info", true},        {"index_xinfo", true},
    {"foreign_key_list", true}, {"foreign_key_check", true}, {"quick_check", true},
    {"integrity_check", true},  {"page_count", false},       {"page_size", false},
    {"freelist_count", false},  {"user_version", false},     {"application_id", false},
    {"schema_version", false},  {"auto_vacuum", false},      {"encoding", false},
    {"compile_options", false}, {"collation_list", false},   {"function_list", false},
    {"module_list", false},     {"pragma_list", false},      {"data_version", false},
    {"foreign_keys", false},    {"query_only", false},
};

/* What stands for a secret. */
static const struct {
    const char *table, *column;
} secrets[] = {
    {"auth_token", "hash"},
    {"auth_session", "hash"},
    {"auth_login_code", "hash"},
    {"job", "lease_token"},
};

static int refuse(struct query *q, const char *what, const char *name)
{
    (void)snprintf(q->refused, sizeof q->refused, "%s%s%.100s", what, name ? " " : "", name ? name : "");
    return SQLITE_DENY;
}

static int allow_pragma(struct query *q, const char *name, const char *argument)
{
    for (size_t i = 0; name && i < COUNT_OF(pragmas); i++)
        if (sqlite3_stricmp(name, pragmas[i].name) == 0)
            return !argument || pragmas[i].named ? SQLITE_OK : refuse(q, "a value for PRAGMA", name);
    return refuse(q, "PRAGMA", name);
}

static int allow_read(struct query *q, const char *table, const char *column)
{
    /* Raw pages hold what must not be seen. */
    if (table && sqlite3_stricmp(table, "sqlite_dbpage") == 0)
        return refuse(q, "reading", table);
    for (size_t i = 0; table && column && i < COUNT_OF(secrets); i++)
        if (sqlite3_stricmp(table, secrets[i].table) == 0 && sqlite3_stricmp(column, secrets[i].column) == 0)
            return SQLITE_IGNORE;
    return SQLITE_OK;
}

static int on_authorize(void *ctx, int action, const char *a, const char *b, const char *database,
                        const char *trigger)
{
    struct query *q = ctx;
    (void)trigger;
    (void)database;
    switch (action) {
    case SQLITE_SELECT:
    case SQLITE_RECURSIVE:
        return SQLITE_OK;
    case SQLITE_READ:
        return allow_read(q, a, b);
    case SQLITE_FUNCTION:
        return b && sqlite3_stricmp(b, "load_extension") == 0 ? refuse(q, "the function", b) : SQLITE_OK;
    case SQLITE_PRAGMA:
        return allow_pragma(q, a, b);
    case SQLITE_ATTACH:
        return refuse(q, "ATTACH", NULL);
    default:
        return refuse(q, "a statement that does more than read", NULL);
    }
}

/* A virtual table declares itself when it is first used, which looks like CREATE TABLE to the authorizer. So
 * those that may be asked are used once before it is there; one that cannot be is none of this query's. */
static void touch(struct query *q, const char *format, const char *name)
{
    sqlite3_stmt *stmt = NULL;
    char *sql = sqlite3_mprintf(format, name);
    if (sql && sqlite3_prepare_v2(q->db, sql, -1, &stmt, NULL) == SQLITE_OK)
        sqlite3_finalize(stmt);
    sqlite3_free(sql);
}

static void touch_virtual(struct query *q)
{
    static const char *const others[] = {"dbstat", "json_each", "json_tree"};
    sqlite3_stmt *stmt = NULL;
    for (size_t i = 0; i < COUNT_OF(pragmas); i++)
        touch(q, "SELECT 1 FROM \"pragma_%w\"", pragmas[i].name);
    for (size_t i = 0; i < COUNT_OF(others); i++)
        touch(q, "SELECT 1 FROM \"%w\"", others[i]);
    if (sqlite3_prepare_v2(
            q->db, "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'virtual' LIMIT 100",
            -1, &stmt, NULL) == SQLITE_OK)
        while (sqlite3_step(stmt) == SQLITE_ROW)
            touch(q, "SELECT 1 FROM main.\"%w\"", (const char *)sqlite3_column_text(stmt, 0));
    sqlite3_finalize(stmt);
}

static int on_progress(void *ctx)
{
    struct query *q = ctx;
    q->expired = q->expired || clock_mono_ms() >= q->deadline_ms;
    return q->expired;
}

/* ---- the statement ---- */

static int query_error(struct query *q, int rc, struct error *err)
{
    if (q->expired)
        return error_set(err, VX11_ETIMEOUT, "the query took longer than %lld ms",
                         (long long)(q->deadline_ms ? q->options->timeout_ms : 0));
    if (rc == SQLITE_AUTH || q->refused[0])
        return error_set(err, VX11_EPERMISSION, "not allowed: %s; a query only reads",
                         q->refused[0] ? q->refused : sqlite3_errmsg(q->db));
    if (rc == SQLITE_ERROR)
        return error_set(err, VX11_EINVALID, "%s", sqlite3_errmsg(q->db));
    return sql_error(err, q->db, rc, "the query failed");
}

static int prepare(struct query *q, sqlite3_stmt **out, struct error *err)
{
    const char *tail = "";
    sqlite3_stmt *second = NULL;
    int rc = sqlite3_prepare_v2(q->db, q->options->sql, -1, out, &tail);
    if (rc != SQLITE_OK)
        return query_error(q, rc, err);
    if (!*out)
        return error_set(err, VX11_EINVALID, "there is no statement");
    /* Blanks, comments and semicolons behind it are no second statement. */
    while (tail && *tail) {
        const char *rest = tail;
        rc = sqlite3_prepare_v2(q->db, rest, -1, &second, &tail);
        sqlite3_finalize(second);
        if (rc != SQLITE_OK || second || tail == rest)
            return error_set(err, VX11_EINVALID, "only one statement");
    }
    if (!sqlite3_stmt_readonly(*out))
        return error_set(err, VX11_EPERMISSION, "not allowed: a statement that does more than read");
    if (sqlite3_column_count(*out) == 0)
        return error_set(err, VX11_EINVALID, "the statement gives no columns");
    if (sqlite3_bind_parameter_count(*out) != 0)
        return error_set(err, VX11_EINVALID,
                         "the statement has parameters, and there are no values for them");
    return 0;
}

static int value_read(sqlite3_stmt *stmt, int i, struct store_value *out)
{
    switch (sqlite3_column_type(stmt, i)) {
    case SQLITE_INTEGER:
        *out = STORE_I(sqlite3_column_int64(stmt, i));
        return 8;
    case SQLITE_FLOAT:
        *out = STORE_D(sqlite3_column_double(stmt, i));
        return 8;
    case SQLITE_TEXT: {
        const char *text = (const char *)sqlite3_column_text(stmt, i);
        int len = sqlite3_column_bytes(stmt, i);
        *out = text ? store_text_len(text, (size_t)len) : STORE_N;
        return len;
    }
    case SQLITE_BLOB: {
        const void *data = sqlite3_column_blob(stmt, i);
        int len = sqlite3_column_bytes(stmt, i);
        *out = store_blob(len ? data : "", (size_t)len);
        return len;
    }
    default:
        *out = STORE_N;
        return 1;
    }
}

static int rows_read(struct query *q, sqlite3_stmt *stmt,
                     int (*row)(void *ctx, const struct store_value *values, size_t n), void *ctx,
                     struct query_end *end, struct error *err)
{
    const int n = sqlite3_column_count(stmt);
    const int64_t rows_max = q->options->rows_max > 0 ? q->options->rows_max : ROWS_MAX;
    const int64_t bytes_max = q->options->bytes_max > 0 ? q->options->bytes_max : BYTES_MAX;
    struct store_value *values = calloc((size_t)n, sizeof *values);
    int result = values ? 0 : error_set(err, VX11_ENOMEM, "no memory for a row"), rc = SQLITE_DONE;
    while (result == 0 && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        int64_t bytes = 0;
        if (end->rows == rows_max) {
            end->cut = "rows";
            break;
        }
        for (int i = 0; i < n; i++)
            bytes += value_read(stmt, i, &values[i]);
        if (sqlite3_errcode(q->db) == SQLITE_NOMEM) {
            rc = SQLITE_NOMEM;
            break;
        }
        if (end->bytes + bytes > bytes_max) {
            end->cut = "bytes";
            break;
        }
        end->rows++;
        end->bytes += bytes;
        result = row(ctx, values, (size_t)n);
    }
    free(values);
    if (result == 0 && rc != SQLITE_ROW && rc != SQLITE_DONE)
        result = query_error(q, rc, err);
    return result;
}

static int columns_tell(sqlite3_stmt *stmt, int (*columns)(void *ctx, const struct query_column *c, size_t n),
                        void *ctx, struct error *err)
{
    const int n = sqlite3_column_count(stmt);
    struct query_column *out = calloc((size_t)n, sizeof *out);
    if (!out)
        return error_set(err, VX11_ENOMEM, "no memory for the columns");
    for (int i = 0; i < n; i++) {
        const char *name = sqlite3_column_name(stmt, i);
        out[i] = (struct query_column){.name = name ? name : "", .type = sqlite3_column_decltype(stmt, i)};
    }
    int rc = columns(ctx, out, (size_t)n);
    free(out);
    return rc;
}

static void limit(sqlite3 *db)
{
    sqlite3_limit(db, SQLITE_LIMIT_SQL_LENGTH, SQL_MAX);
    sqlite3_limit(db, SQLITE_LIMIT_LENGTH, VALUE_MAX);
    sqlite3_limit(db, SQLITE_LIMIT_ATTACHED, 0);
    sqlite3_limit(db, SQLITE_LIMIT_WORKER_THREADS, 0);
}

int query_run(const struct query_options *options,
              int (*columns)(void *ctx, const struct query_column *columns, size_t n),
              int (*row)(void *ctx, const struct store_value *values, size_t n), void *ctx,
              struct query_end *end, struct error *err)
{
    struct query_options o = *options;
    struct query q = {.options = &o};
    struct look look;
    struct store *s = NULL;
    sqlite3_stmt *stmt = NULL;
    uint64_t began = clock_mono_ns();
    *end = (struct query_end){.rows = 0};
    o.timeout_ms = o.timeout_ms > 0 ? o.timeout_ms : TIMEOUT_MS;
    int rc = look_open(o.path, o.still, &look, &s, err);
    if (rc != 0)
        return rc;
    q.db = s->read;
    q.deadline_ms = clock_mono_ms() + o.timeout_ms;
    int64_t heap = sqlite3_hard_heap_limit64(HEAP_MAX);
    limit(q.db);
    sqlite3_progress_handler(q.db, 1000, on_progress, &q);
    touch_virtual(&q);
    sqlite3_set_authorizer(q.db, on_authorize, &q);
    rc = prepare(&q, &stmt, err);
    if (rc == 0)
        rc = columns_tell(stmt, columns, ctx, err);
    if (rc == 0)
        rc = rows_read(&q, stmt, row, ctx, end, err);
    sqlite3_finalize(stmt);
    sqlite3_set_authorizer(q.db, NULL, NULL);
    sqlite3_progress_handler(q.db, 0, NULL, NULL);
    sqlite3_hard_heap_limit64(heap);
    store_close(s);
    end->duration_ms = (double)(clock_mono_ns() - began) / 1e6;
    return rc;
}
