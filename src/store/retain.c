/* Retain: keeps growing tables within what they declared in `retention`.
 *
 * Deletes run in transactions of a few hundred rows, so that no other writer waits long. The names come from
 * a table that only migrations fill, and are still looked up in the schema before they become part of a
 * statement. */
#include "store/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "store/connection.h"
#include "store/store_internal.h"

#define RETAIN_ROWS   500    /* per transaction */
#define RETAIN_TABLES 64     /* at most this many declarations */
#define RETAIN_PAGES  "1000" /* given back to the file system per run */

struct rule {
    char table[64], column[64];
    int64_t max_age_ms, max_rows; /* 0: no limit */
};
struct rules {
    struct rule list[RETAIN_TABLES];
    size_t count;
    struct error *err;
};

static int take_rule(void *ctx, const struct store_row *row)
{
    struct rules *rules = ctx;
    const char *table = row_text(row, 0), *column = row_text(row, 1);
    if (!table || !column || strlen(table) >= sizeof rules->list[0].table ||
        strlen(column) >= sizeof rules->list[0].column)
        return error_set(rules->err, VX11_EINVALID, "a table in retention has no usable name");
    if (rules->count == RETAIN_TABLES)
        return error_set(rules->err, VX11_ERANGE, "retention declares more than %d tables", RETAIN_TABLES);
    struct rule *r = &rules->list[rules->count++];
    snprintf(r->table, sizeof r->table, "%s", table);
    snprintf(r->column, sizeof r->column, "%s", column);
    r->max_age_ms = row_int(row, 2);
    r->max_rows = row_int(row, 3);
    return 0;
}

static int take_count(void *ctx, const struct store_row *row)
{
    *(int64_t *)ctx = row_int(row, 0);
    return 0;
}

/* The table exists, has rowids (to delete by) and the column, which holds integers. */
static int check_rule(struct store *s, const struct rule *r, struct error *err)
{
    int64_t found = 0;
    int rc = store_query(s,
                         "SELECT count(*) FROM pragma_table_list AS t JOIN pragma_table_info(?1) AS c"
                         " WHERE t.schema = 'main' AND t.name = ?1 AND t.type = 'table' AND t.wr = 0"
                         " AND c.name = ?2 AND c.type = 'INTEGER'",
                         (struct store_value[]){STORE_T(r->table), STORE_T(r->column)}, 2, take_count, &found,
                         err);
    if (rc == 0 && found != 1)
        rc = error_set(err, VX11_EINVALID,
                       "retention names %s.%s, which is no INTEGER column of a table with rowids", r->table,
                       r->column);
    return rc;
}

/* Runs the statement, which deletes at most ?2 rows, until nothing is left to delete (?1: oldest time kept;
 * -1 rows: no bound). */
static int delete_some(struct store *s, const char *sql, int64_t since, int64_t at_most, uint64_t *deleted,
                       struct error *err)
{
    sqlite3_stmt *stmt;
    int rc = sqlite3_prepare_v2(s->write, sql, -1, &stmt, NULL);
    if (rc != SQLITE_OK)
        return sql_error(err, s->write, rc, "%.100s", sql);
    int64_t left = at_most < 0 ? INT64_MAX : at_most;
    int result = 0;
    while (left > 0) {
        int64_t some = left < RETAIN_ROWS ? left : RETAIN_ROWS;
        sqlite3_bind_int64(stmt, 1, since);
        sqlite3_bind_int64(stmt, 2, some);
        rc = sqlite3_step(stmt);
        if (rc != SQLITE_DONE) {
            result = sql_error(err, s->write, rc, "%.100s", sql);
            break;
        }
        sqlite3_reset(stmt);
        int64_t gone = sqlite3_changes64(s->write);
        *deleted += (uint64_t)gone;
        left -= gone;
        if (gone < some)
            break;
    }
    sqlite3_finalize(stmt);
    return result;
}

static int retain_age(struct store *s, const struct rule *r, int64_t now_ms, uint64_t *deleted,
                      struct error *err)
{
    char *sql = sqlite3_mprintf("DELETE FROM \"%w\" WHERE rowid IN"
                                " (SELECT rowid FROM \"%w\" WHERE \"%w\" < ?1 ORDER BY \"%w\" LIMIT ?2)",
                                r->table, r->table, r->column, r->column);
    if (!sql)
        return error_set(err, VX11_ENOMEM, "no memory to retain %s", r->table);
    int rc = delete_some(s, sql, now_ms - r->max_age_ms, -1, deleted, err);
    sqlite3_free(sql);
    return rc;
}

static int retain_rows(struct store *s, const struct rule *r, uint64_t *deleted, struct error *err)
{
    int64_t rows = 0;
    char *count = sqlite3_mprintf("SELECT count(*) FROM \"%w\"", r->table);
    char *sql = sqlite3_mprintf("DELETE FROM \"%w\" WHERE rowid IN"
                                " (SELECT rowid FROM \"%w\" WHERE ?1 ORDER BY \"%w\" LIMIT ?2)",
                                r->table, r->table, r->column);
    int rc = count && sql ? sql_int(s->read, count, &rows, err)
                          : error_set(err, VX11_ENOMEM, "no memory to retain %s", r->table);
    if (rc == 0 && rows > r->max_rows)
        rc = delete_some(s, sql, 1, rows - r->max_rows, deleted, err);
    sqlite3_free(count);
    sqlite3_free(sql);
    return rc;
}

static int retain_table(struct store *s, const struct rule *r, int64_t now_ms, uint64_t *deleted,
                        struct error *err)
{
    int rc = check_rule(s, r, err);
    if (rc == 0 && r->max_age_ms > 0)
        rc = retain_age(s, r, now_ms, deleted, err);
    if (rc == 0 && r->max_rows > 0)
        rc = retain_rows(s, r, deleted, err);
    return rc;
}

int store_retain(struct store *s, int64_t now_ms, uint64_t *deleted, struct error *err)
{
    struct rules rules = {.err = err};
    *deleted = 0;
    if (!s->write || s->in_transaction)
        return error_set(err, VX11_EPERMISSION,
                         "retention needs a store that can write, outside transactions");
    int rc = store_query(
        s, "SELECT table_name, time_column, max_age_ms, max_rows FROM retention ORDER BY table_name", NULL, 0,
        take_rule, &rules, err);
    /* One table that cannot be cleaned does not keep the others from it; the first error is what the caller
     * hears. */
    for (size_t i = 0; i < rules.count; i++) {
        struct error one = {0};
        int result = retain_table(s, &rules.list[i], now_ms, deleted, &one);
        if (result == 0)
            continue;
        log_error("store", "a table cannot be kept within its bounds", LOG_S("table", rules.list[i].table),
                  LOG_S("reason", one.text));
        if (rc == 0)
            rc = error_set(err, result, "%s", one.text);
    }
    if (rc == 0 && *deleted > 0)
        rc = sql_run(s->write, "PRAGMA incremental_vacuum(" RETAIN_PAGES ")", err);
    return rc;
}
