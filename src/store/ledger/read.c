/* Read: rows for people, the walk along all of them, and the export. A walk reads a few hundred rows at a
 * time: a statement that stayed open would keep the write-ahead log from being emptied. */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/str.h"
#include "embed/sql.h"
#include "store/ledger/ledger_internal.h"

#define READ_ROWS 500

struct reader {
    ledger_row_fn fn;
    void *ctx;
};

static int pass_row(void *ctx, const struct store_row *row)
{
    struct reader *r = ctx;
    struct ledger_row out = {0};
    if (!ledger_row_take(row, &out))
        return VX11_ECORRUPT;
    return r->fn(r->ctx, &out);
}

/* "token." stands for all kinds that begin so: from "token." to before "token/". */
struct kinds {
    char low[LEDGER_KIND_MAX + 2], high[LEDGER_KIND_MAX + 2];
    bool all;
};

static int kinds_of(const char *kind, struct kinds *out, struct error *err)
{
    *out = (struct kinds){.all = kind == NULL};
    if (!kind)
        return 0;
    int rc = ledger_kind_check(kind, true, err);
    if (rc != 0)
        return rc;
    size_t len = strlen(kind);
    memcpy(out->low, kind, len);
    memcpy(out->high, kind, len);
    if (kind[len - 1] == '.')
        out->high[len - 1] = '.' + 1;
    else
        out->high[len] = '\x01'; /* nothing that a kind may be lies between */
    return 0;
}

static int damaged(int rc, struct error *err)
{
    return rc == VX11_ECORRUPT ? error_set(err, rc, "a row of the ledger is damaged (vx11 ledger verify)")
                               : rc;
}

int ledger_list(struct store *s, int64_t after, const char *kind, unsigned limit, ledger_row_fn fn, void *ctx,
                struct error *err)
{
    struct reader r = {fn, ctx};
    struct kinds k;
    int rc = kinds_of(kind, &k, err);
    if (rc != 0)
        return rc;
    struct store_value values[] = {STORE_I(after), STORE_I(limit), STORE_T(k.low), STORE_T(k.high)};
    rc = k.all ? store_query(s, "SELECT " LEDGER_COLUMNS " FROM ledger WHERE n > ?1 ORDER BY n LIMIT ?2",
                             values, 2, pass_row, &r, err)
               : store_query(s,
                             "SELECT " LEDGER_COLUMNS
                             " FROM ledger WHERE n > ?1 AND kind >= ?3 AND kind < ?4 ORDER BY n LIMIT ?2",
                             values, 4, pass_row, &r, err);
    return damaged(rc, err);
}

int ledger_list_last(struct store *s, int64_t before, const char *kind, unsigned limit, ledger_row_fn fn,
                     void *ctx, struct error *err)
{
    struct reader r = {fn, ctx};
    struct kinds k;
    int rc = kinds_of(kind, &k, err);
    if (rc != 0)
        return rc;
    struct store_value values[] = {STORE_I(before > 0 ? before : INT64_MAX), STORE_I(limit), STORE_T(k.low),
                                   STORE_T(k.high)};
    rc = k.all
             ? store_query(s, "SELECT " LEDGER_COLUMNS " FROM ledger WHERE n < ?1 ORDER BY n DESC LIMIT ?2",
                           values, 2, pass_row, &r, err)
             : store_query(s,
                           "SELECT " LEDGER_COLUMNS
                           " FROM ledger WHERE n < ?1 AND kind >= ?3 AND kind < ?4 ORDER BY n DESC LIMIT ?2",
                           values, 4, pass_row, &r, err);
    return damaged(rc, err);
}

/* ---- verify ---- */

struct verify {
    struct ledger_walk walk;
    const volatile bool *stop;
    int64_t taken;
};

static int verify_row(void *ctx, const struct store_row *row)
{
    struct verify *v = ctx;
    struct ledger_row out = {0};
    bool sound = ledger_row_take(row, &out);
    ledger_walk_row(&v->walk, &out, sound);
    v->taken++;
    return v->stop && __atomic_load_n(v->stop, __ATOMIC_RELAXED) ? VX11_ECANCELLED : 0;
}

/* A trigger is ours when a migration has its text; any other one on this table is not. */
static int check_trigger(void *ctx, const struct store_row *row)
{
    int64_t *found = ctx;
    const char *sql = row_text(row, 0);
    bool ours = false;
    for (size_t i = 0; sql && i < embed_sql_count && !ours; i++)
        ours = strstr((const char *)embed_sql_files[i].data, sql) != NULL;
    if (!ours)
        return VX11_ECORRUPT;
    ++*found;
    return 0;
}

static int check_guards(struct verify *v, struct store *s, struct error *err)
{
    int64_t found = 0;
    int rc = store_query(s, "SELECT sql FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = 'ledger'",
                         NULL, 0, check_trigger, &found, err);
    if (rc != 0 && rc != VX11_ECORRUPT)
        return rc;
    if (rc != 0 || found != 3)
        ledger_walk_fault(&v->walk, LEDGER_UNGUARDED, 0, NULL,
                          "the triggers that keep the ledger append-only are gone, or are others");
    return 0;
}

int ledger_verify(struct store *s, const struct ledger_head *expect, const volatile bool *stop,
                  struct ledger_report *out, struct error *err)
{
    struct verify v = {.stop = stop};
    struct error why = {0};
    *out = (struct ledger_report){0};
    /* The anchor is read first: what others append meanwhile is in the chain before it is in the anchor. */
    out->anchored = ledger_anchor_read(s->path, &out->anchor, &why) == 0;
    if (!out->anchored)
        snprintf(out->anchor_reason, sizeof out->anchor_reason, "%.255s", why.text);
    ledger_walk_begin(&v.walk, out, out->anchored ? &out->anchor : NULL, expect);
    int64_t after = INT64_MIN;
    int rc;
    do {
        v.taken = 0;
        rc = store_query(s,
                         "SELECT " LEDGER_COLUMNS " FROM ledger NOT INDEXED WHERE n > ?1 ORDER BY n LIMIT ?2",
                         (struct store_value[]){STORE_I(after), STORE_I(READ_ROWS)}, 2, verify_row, &v, err);
        after = v.walk.n;
    } while (rc == 0 && v.taken == READ_ROWS);
    if (rc == VX11_ECANCELLED)
        return error_set(err, rc, "stopped after %lld rows", (long long)out->rows);
    if (rc != 0)
        return rc;
    ledger_walk_end(&v.walk);
    return check_guards(&v, s, err);
}

/* ---- export ---- */

struct export
{
    bool json;
    ledger_put_fn put;
    void *ctx;
    struct buf line;
    int64_t rows, taken;
    struct ledger_head head;
    struct error *err;
};

static int flush(struct export *x)
{
    if (x->line.failed)
        return error_set(x->err, VX11_ENOMEM, "no memory for a row of the ledger");
    int rc = x->put(x->ctx, x->line.data, x->line.len, x->err);
    buf_clear(&x->line);
    return rc;
}

static void put_hex(struct buf *b, const char *name, const unsigned char hash[LEDGER_HASH_LEN])
{
    char hex[2 * LEDGER_HASH_LEN + 1];
    hex_encode(hash, LEDGER_HASH_LEN, hex);
    buf_printf(b, ",\"%s\":\"%s\"", name, hex);
}

static void put_field(struct buf *b, const char *name, const char *value)
{
    buf_printf(b, ",\"%s\":", name);
    if (value)
        buf_put_json_string(b, value, strlen(value));
    else
        buf_puts(b, "null");
}

static int export_row(void *ctx, const struct ledger_row *row)
{
    struct export *x = ctx;
    struct buf *b = &x->line;
    if (x->json && x->rows > 0)
        buf_puts(b, ",\n");
    buf_printf(b, "{\"n\":%lld", (long long)row->n);
    put_field(b, "id", row->id);
    buf_printf(b, ",\"at\":%lld", (long long)row->at);
    put_field(b, "kind", row->kind);
    put_field(b, "actor", row->actor);
    put_field(b, "subject", row->subject);
    put_field(b, "detail", row->detail);
    put_hex(b, "prev", row->prev);
    put_hex(b, "hash", row->hash);
    buf_puts(b, x->json ? "}" : "}\n");
    x->rows++;
    x->taken++;
    x->head.n = row->n;
    memcpy(x->head.hash, row->hash, sizeof x->head.hash);
    return flush(x);
}

static int export_all(struct export *x, struct store *s)
{
    unsigned char genesis[LEDGER_HASH_LEN];
    ledger_genesis(genesis);
    memcpy(x->head.hash, genesis, sizeof genesis);
    buf_printf(&x->line, "{\"format\":\"vx11-ledger\",\"version\":1,\"at\":%lld", (long long)clock_wall_ms());
    put_hex(&x->line, "genesis", genesis);
    buf_puts(&x->line, x->json ? ",\"rows\":[\n" : "}\n");
    int rc = flush(x);
    do {
        x->taken = 0;
        if (rc == 0)
            rc = ledger_list(s, x->head.n, NULL, READ_ROWS, export_row, x, x->err);
    } while (rc == 0 && x->taken == READ_ROWS);
    if (rc != 0)
        return rc;
    if (x->json)
        buf_puts(&x->line, x->rows > 0 ? "\n],\"end\":" : "],\"end\":");
    else
        buf_puts(&x->line, "{\"end\":");
    buf_printf(&x->line, "{\"rows\":%lld,\"n\":%lld", (long long)x->rows, (long long)x->head.n);
    put_hex(&x->line, "hash", x->head.hash);
    buf_puts(&x->line, "}}\n");
    return flush(x);
}

int ledger_export(struct store *s, bool json, ledger_put_fn put, void *ctx, int64_t *rows, struct error *err)
{
    struct export x = {.json = json, .put = put, .ctx = ctx, .line = BUF_INIT, .err = err};
    int rc = export_all(&x, s);
    buf_free(&x.line);
    *rows = x.rows;
    return rc;
}
