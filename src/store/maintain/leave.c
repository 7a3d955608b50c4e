/* Leave: rows of one table go.
 *
 *   pick (reading connection): some thousand of the oldest ─> line and hash of each ─> archive
 *   hold (writing connection): is it what was archived? ─> delete; until the time is over; again
 *
 * Nothing is locked while lines are made and synced. A row that somebody changed meanwhile stays, and is
 * archived anew when its time comes. The cursor moves on in any case, so that such a row cannot stop it. */
#include "store/maintain/leave.h"

#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "base/str.h"
#include "store/maintain/line.h"

#define CHUNK_ROWS  10000
#define CHUNK_BYTES ((int64_t)16 << 20) /* of lines */

struct picked {
    int64_t rowid, at;
    unsigned char hash[crypto_shorthash_BYTES]; /* of its lines */
};
struct chunk {
    struct picked *list;
    size_t count;
    bool more; /* there may be */
    unsigned char key[crypto_shorthash_KEYBYTES];
    struct buf lines;
    struct archive_part part;
};

/* ---- what belongs together ---- */

static int take_int(void *ctx, const struct store_row *row)
{
    *(int64_t *)ctx = row_int(row, 0);
    return 0;
}

int leave_check(struct store *s, const char *table, const char *column, struct error *err)
{
    int64_t found = 0;
    int rc = store_query(s,
                         "SELECT count(*) FROM pragma_table_list AS t JOIN pragma_table_info(?1) AS c"
                         " WHERE t.schema = 'main' AND t.name = ?1 AND t.type = 'table' AND t.wr = 0"
                         " AND c.name = ?2 AND c.type = 'INTEGER'",
                         (struct store_value[]){STORE_T(table), STORE_T(column)}, 2, take_int, &found, err);
    if (rc == 0 && found != 1)
        rc = error_set(err, VX11_EINVALID,
                       "retention names %s.%s, which is no INTEGER column of a table with rowids", table,
                       column);
    return rc;
}

struct relating {
    struct leave *l;
    struct error *err;
};

static int on_relation(void *ctx, const struct store_row *row)
{
    struct relating *w = ctx;
    if (w->l->relation_count == LEAVE_RELATIONS)
        return error_set(w->err, VX11_ERANGE, "more than %d tables go with rows of %s", LEAVE_RELATIONS,
                         w->l->table);
    if (row_int(row, 4) > 0)
        return error_set(w->err, VX11_EUNSUPPORTED, "rows of %s go with rows of %s, and others with them",
                         row_text(row, 0), w->l->table);
    struct relation *r = &w->l->relations[w->l->relation_count++];
    *r = (struct relation){.parent_index = (int)row_int(row, 3)};
    row_copy(row, 0, r->child, sizeof r->child);
    row_copy(row, 1, r->column, sizeof r->column);
    row_copy(row, 2, r->parent, sizeof r->parent);
    return 0;
}

/* Tables whose rows go along: their foreign keys name us. NULL in "to" means our primary key. */
static int find_relations(struct leave *l, struct error *err)
{
    static const char sql[] =
        "WITH f AS (SELECT t.name AS child, k.\"from\" AS source, coalesce(k.\"to\","
        " (SELECT name FROM pragma_table_info(?1) WHERE pk = 1)) AS target FROM pragma_table_list AS t"
        " JOIN pragma_foreign_key_list(t.name) AS k WHERE t.schema = 'main' AND t.type = 'table'"
        " AND k.\"table\" = ?1 AND k.on_delete = 'CASCADE' AND t.name <> ?1)"
        "SELECT f.child, f.source, f.target, (SELECT cid FROM pragma_table_info(?1) WHERE name = f.target),"
        " (SELECT count(*) FROM pragma_table_list AS t2 JOIN pragma_foreign_key_list(t2.name) AS k2"
        " WHERE t2.schema = 'main' AND t2.type = 'table' AND k2.\"table\" = f.child"
        " AND k2.on_delete = 'CASCADE') FROM f ORDER BY f.child";
    struct relating w = {l, err};
    const struct store_value table = STORE_T(l->table);
    l->relation_count = 0;
    return store_query(l->s, sql, &table, 1, on_relation, &w, err);
}

static int prepare(sqlite3 *db, char *sql, sqlite3_stmt **out, struct error *err)
{
    if (!sql)
        return error_set(err, VX11_ENOMEM, "out of memory");
    int rc = sqlite3_prepare_v2(db, sql, -1, out, NULL);
    int result = rc == SQLITE_OK ? 0 : sql_error(err, db, rc, "%.100s", sql);
    sqlite3_free(sql);
    return result;
}

static int prepare_relation(struct leave *l, struct relation *r, struct error *err)
{
    sqlite3 *dbs[] = {l->s->read, l->s->write};
    sqlite3_stmt **out[] = {&r->read, &r->write};
    int rc = 0;
    for (int i = 0; i < 2 && rc == 0; i++)
        rc = prepare(
            dbs[i],
            sqlite3_mprintf("SELECT * FROM \"%w\" WHERE \"%w\" = ?1 ORDER BY rowid", r->child, r->column),
            out[i], err);
    return rc;
}

static int prepare_all(struct leave *l, struct error *err)
{
    const char *t = l->table, *c = l->column;
    int rc = prepare(l->s->read,
                     sqlite3_mprintf("SELECT rowid, \"%w\"%s FROM \"%w\" WHERE \"%w\" < ?1"
                                     " AND (\"%w\", rowid) > (?2, ?3) ORDER BY \"%w\", rowid LIMIT ?4",
                                     c, l->archive ? ", *" : "", t, c, c, c),
                     &l->pick, err);
    if (rc == 0)
        rc =
            prepare(l->s->write, sqlite3_mprintf("DELETE FROM \"%w\" WHERE rowid = ?1 AND \"%w\" = ?2", t, c),
                    &l->drop, err);
    if (rc != 0 || !l->archive)
        return rc;
    rc = prepare(l->s->write, sqlite3_mprintf("SELECT * FROM \"%w\" WHERE rowid = ?1", t), &l->see, err);
    if (rc == 0)
        rc = prepare(l->s->write,
                     sqlite3_mprintf("UPDATE archive SET deleted_rows = deleted_rows + ?2,"
                                     " deleted_children = deleted_children + ?3 WHERE id = ?1"),
                     &l->count, err);
    if (rc == 0)
        rc = find_relations(l, err);
    for (size_t i = 0; rc == 0 && i < l->relation_count; i++)
        rc = prepare_relation(l, &l->relations[i], err);
    return rc;
}

static void finalize_all(struct leave *l)
{
    sqlite3_finalize(l->pick);
    sqlite3_finalize(l->see);
    sqlite3_finalize(l->drop);
    sqlite3_finalize(l->count);
    for (size_t i = 0; i < l->relation_count; i++) {
        sqlite3_finalize(l->relations[i].read);
        sqlite3_finalize(l->relations[i].write);
    }
    l->pick = l->see = l->drop = l->count = NULL;
    l->relation_count = 0;
}

/* ---- lines ---- */

/* Adds the lines of rows that go with `row`, whose columns begin at `first`. */
static int child_lines(struct leave *l, sqlite3_stmt *row, int first, bool write, struct buf *out,
                       int64_t *children, struct error *err)
{
    sqlite3 *db = write ? l->s->write : l->s->read;
    for (size_t i = 0; i < l->relation_count; i++) {
        const struct relation *r = &l->relations[i];
        sqlite3_stmt *stmt = write ? r->write : r->read;
        sqlite3_bind_value(stmt, 1, sqlite3_column_value(row, first + r->parent_index));
        int rc, put = 0;
        while ((rc = sqlite3_step(stmt)) == SQLITE_ROW && put == 0) {
            put = line_put(out, r->child, stmt, 0);
            (*children)++;
        }
        int result = put != 0            ? error_set(err, put, "out of memory")
                     : rc != SQLITE_DONE ? sql_error(err, db, rc, "rows of %s", r->child)
                                         : 0;
        sqlite3_reset(stmt);
        sqlite3_clear_bindings(stmt);
        if (result != 0)
            return result;
    }
    return 0;
}

/* The row's line and those of its children, into c->lines; their hash. */
static int row_lines(struct leave *l, struct chunk *c, sqlite3_stmt *row, int first, bool write,
                     unsigned char hash[crypto_shorthash_BYTES], int64_t *children, struct error *err)
{
    buf_clear(&c->lines);
    *children = 0;
    int rc = line_put(&c->lines, l->table, row, first);
    if (rc != 0)
        return error_set(err, rc, "out of memory");
    rc = child_lines(l, row, first, write, &c->lines, children, err);
    if (rc == 0)
        crypto_shorthash(hash, (const unsigned char *)c->lines.data, c->lines.len, c->key);
    return rc;
}

/* ---- pick ---- */

static int pick_one(struct leave *l, struct chunk *c, struct error *err)
{
    struct picked *p = &c->list[c->count++];
    p->rowid = sqlite3_column_int64(l->pick, 0);
    p->at = sqlite3_column_int64(l->pick, 1);
    if (!l->archive)
        return 0;
    int64_t children;
    /* No part without a row. */
    int rc = c->count == 1 ? archive_begin(l->archive, l->s, l->table, l->now_ms, err) : 0;
    if (rc == 0)
        rc = row_lines(l, c, l->pick, 2, false, p->hash, &children, err);
    if (rc == 0)
        rc = archive_put(l->archive, c->lines.data, c->lines.len, 1, children, p->at, err);
    return rc;
}

/* Picks the next ones behind (at, rowid), which move on. */
static int pick_chunk(struct leave *l, struct chunk *c, int64_t before, int64_t *at, int64_t *rowid,
                      int64_t at_most, struct error *err)
{
    int rc = SQLITE_ROW, result = 0;
    const int64_t limit = at_most < CHUNK_ROWS ? at_most : CHUNK_ROWS;
    c->count = 0;
    sqlite3_bind_int64(l->pick, 1, before);
    sqlite3_bind_int64(l->pick, 2, *at);
    sqlite3_bind_int64(l->pick, 3, *rowid);
    sqlite3_bind_int64(l->pick, 4, limit);
    while (result == 0 && (rc = sqlite3_step(l->pick)) == SQLITE_ROW) {
        result = pick_one(l, c, err);
        if (result == 0 && hold_stopped(l->hold))
            result = error_set(err, VX11_ECANCELLED, "it was told to stop");
        if (l->archive && archive_content_bytes(l->archive) >= CHUNK_BYTES)
            break;
    }
    c->more = rc == SQLITE_ROW || (int64_t)c->count == limit;
    if (result == 0 && rc != SQLITE_ROW && rc != SQLITE_DONE)
        result = sql_error(err, l->s->read, rc, "rows of %s", l->table);
    sqlite3_reset(l->pick);
    if (c->count > 0) {
        *at = c->list[c->count - 1].at;
        *rowid = c->list[c->count - 1].rowid;
    }
    return result;
}

/* ---- delete ---- */

/* Still what was archived? */
static int see_same(struct leave *l, struct chunk *c, const struct picked *p, bool *same, int64_t *children,
                    struct error *err)
{
    unsigned char hash[crypto_shorthash_BYTES];
    *same = false;
    sqlite3_bind_int64(l->see, 1, p->rowid);
    int rc = sqlite3_step(l->see), result = 0;
    if (rc == SQLITE_ROW) {
        result = row_lines(l, c, l->see, 0, true, hash, children, err);
        *same = result == 0 && memcmp(hash, p->hash, sizeof hash) == 0;
    } else if (rc != SQLITE_DONE) {
        result = sql_error(err, l->s->write, rc, "rows of %s", l->table);
    }
    sqlite3_reset(l->see);
    return result;
}

static int drop_one(struct leave *l, struct chunk *c, const struct picked *p, int64_t *rows,
                    int64_t *children, struct error *err)
{
    int64_t more = 0;
    bool same = true;
    int result = l->archive ? see_same(l, c, p, &same, &more, err) : 0;
    if (result != 0 || !same)
        return result;
    sqlite3_bind_int64(l->drop, 1, p->rowid);
    sqlite3_bind_int64(l->drop, 2, p->at);
    int rc = sqlite3_step(l->drop);
    if (rc != SQLITE_DONE)
        result = sql_error(err, l->s->write, rc, "rows of %s cannot be deleted", l->table);
    else if (sqlite3_changes64(l->s->write) > 0) {
        (*rows)++;
        *children += more;
    }
    sqlite3_reset(l->drop);
    return result;
}

static int note_dropped(struct leave *l, const struct chunk *c, int64_t rows, int64_t children,
                        struct error *err)
{
    if (!l->archive || rows == 0)
        return 0;
    sqlite3_bind_text(l->count, 1, c->part.id, -1, SQLITE_STATIC);
    sqlite3_bind_int64(l->count, 2, rows);
    sqlite3_bind_int64(l->count, 3, children);
    int rc = sqlite3_step(l->count);
    int result = rc == SQLITE_DONE ? 0 : sql_error(err, l->s->write, rc, "the archive's row");
    sqlite3_reset(l->count);
    return result;
}

/* One transaction, from *i on. */
static int drop_some(struct leave *l, struct chunk *c, size_t *i, struct error *err)
{
    int64_t rows = 0, children = 0;
    int rc = hold_begin(l->hold, err);
    if (rc != 0)
        return rc;
    do
        rc = drop_one(l, c, &c->list[(*i)++], &rows, &children, err);
    while (rc == 0 && *i < c->count && !hold_over(l->hold));
    if (rc == 0)
        rc = note_dropped(l, c, rows, children, err);
    if (rc != 0) {
        hold_rollback(l->hold);
        return rc;
    }
    rc = hold_commit(l->hold, err);
    if (rc == 0) {
        l->result->rows += rows;
        l->result->children += children;
    }
    return rc;
}

static int drop_chunk(struct leave *l, struct chunk *c, struct error *err)
{
    const int64_t before = l->result->rows;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < c->count;)
        rc = drop_some(l, c, &i, err);
    if (rc == 0 && l->archive)
        l->result->changed += (int64_t)c->count - (l->result->rows - before);
    return rc;
}

/* ---- all of it ---- */

/* What was picked is in the archive for good when this returns 0. */
static int settle_chunk(struct leave *l, struct chunk *c, struct error *err)
{
    if (!l->archive)
        return 0;
    int rc = archive_finish(l->archive, &c->part, err);
    if (rc == 0)
        rc = archive_note(l->s, &c->part, l->now_ms, err);
    if (rc == 0) {
        l->result->archived += c->part.rows + c->part.children;
        l->result->archive_bytes += c->part.bytes;
    }
    return rc;
}

static int leave_chunk(struct leave *l, struct chunk *c, int64_t before, int64_t *at, int64_t *rowid,
                       int64_t at_most, struct error *err)
{
    int rc = pick_chunk(l, c, before, at, rowid, at_most, err);
    if (rc == 0 && c->count > 0)
        rc = settle_chunk(l, c, err);
    if (rc != 0 && l->archive)
        archive_abandon(l->archive);
    return rc == 0 ? drop_chunk(l, c, err) : rc;
}

int leave_rows(struct leave *l, int64_t before, int64_t at_most, struct error *err)
{
    struct chunk c = {.list = calloc(CHUNK_ROWS, sizeof *c.list), .more = true};
    int64_t at = INT64_MIN, rowid = INT64_MIN, left = at_most;
    int rc = c.list ? prepare_all(l, err) : error_set(err, VX11_ENOMEM, "out of memory");
    crypto_shorthash_keygen(c.key);
    while (rc == 0 && c.more && left > 0 && !hold_late(l->hold)) {
        rc = leave_chunk(l, &c, before, &at, &rowid, left, err);
        left -= (int64_t)c.count;
    }
    finalize_all(l);
    buf_free(&c.lines);
    free(c.list);
    return rc;
}
