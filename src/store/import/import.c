/* Import: which predecessor wrote the file, then its tables in the order in which they need one another. */
#include "store/import/import.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "base/ulid.h"
#include "store/connection.h"
#include "store/import/import_internal.h"
#include "store/ledger/ledger.h"

#define KNOWN_LEAST 3 /* so many of a predecessor's tables make it one */

/* ---- which tables there are ---- */

static int tables_count(struct importing *x, const char *name, int64_t *rows, struct error *err)
{
    char *sql = sqlite3_mprintf("SELECT count(*) FROM main.\"%w\"", name);
    int rc = sql ? sql_int(x->src.db, sql, rows, err) : error_set(err, VX11_ENOMEM, "out of memory");
    sqlite3_free(sql);
    return rc;
}

static int tables_list(struct importing *x, struct error *err)
{
    struct import_report *r = x->report;
    sqlite3_stmt *stmt;
    int step = SQLITE_DONE;
    r->tables = arena_array(x->a, IMPORT_TABLES, sizeof *r->tables);
    int rc = r->tables
                 ? source_prepare(
                       &x->src,
                       "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%'"
                       " ESCAPE '\\' ORDER BY name",
                       &stmt, err)
                 : error_set(err, VX11_ENOMEM, "out of memory");
    if (rc != 0)
        return rc;
    while (r->tables_count < IMPORT_TABLES && (step = sqlite3_step(stmt)) == SQLITE_ROW) {
        const char *name = source_text(stmt, 0);
        if (!name)
            continue;
        struct import_table *t = &r->tables[r->tables_count++];
        *t = (struct import_table){.name = arena_strdup(x->a, name)};
        if (!t->name) {
            rc = error_set(err, VX11_ENOMEM, "out of memory");
            break;
        }
    }
    if (rc == 0 && step != SQLITE_DONE)
        rc = step == SQLITE_ROW ? error_set(err, VX11_ETOO_LARGE, "more than %d tables", IMPORT_TABLES)
                                : sql_error(err, x->src.db, step, "its list of tables");
    sqlite3_finalize(stmt);
    return rc;
}

static bool begins(const char *name, const char *const *prefixes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_starts(name, prefixes[i]))
            return true;
    return false;
}

/* The later schema has tables that the canonical one has not; the one before kept copies by module. */
static int shape_find(struct importing *x, struct error *err)
{
    static const char *const later[] = {"module_status", "cli_usage_stats", "routing_events", "canonical_",
                                        "rails_"};
    static const char *const older[] = {"madre_tasks", "hermes_tasks", "hive_tasks"};
    struct import_report *r = x->report;
    size_t known = 0, new_ones = 0, old_ones = 0;
    for (size_t i = 0; i < r->tables_count; i++) {
        known += verdict_of(r->tables[i].name) != NULL;
        new_ones += begins(r->tables[i].name, later, COUNT_OF(later));
        old_ones += begins(r->tables[i].name, older, COUNT_OF(older));
    }
    if (known < KNOWN_LEAST)
        return error_set(err, VX11_EVERSION,
                         "%s is no predecessor's database: of its %zu tables%s%s %zu are known", x->src.path,
                         r->tables_count, r->tables_count > 0 ? ", such as " : "",
                         r->tables_count > 0 ? r->tables[0].name : "", known);
    r->shape = new_ones > 0 ? "86" : old_ones > 0 ? "legacy" : known >= 45 ? "50" : "part";
    return 0;
}

/* ---- the work ---- */

static int table_run(struct importing *x, struct import_table *t, const struct verdict *v, struct error *err)
{
    int rc = tables_count(x, t->name, &t->rows, err);
    if (rc != 0)
        return rc;
    t->to = v ? v->to : NULL;
    if (v && v->take)
        return t->rows > 0 ? v->take(x, t, err) : 0;
    import_left(x, t, v ? v->reason : "no predecessor is known to have had this table", t->rows);
    return 0;
}

/* In the order of the verdicts, by name among equals. What fails does not keep others from it, for a page
 * that is damaged is one table's; *failed hears of the first. */
static int tables_run(struct importing *x, struct error *failed)
{
    struct import_report *r = x->report;
    int result = 0;
    for (int order = 0; order <= 9; order++) {
        for (size_t i = 0; i < r->tables_count; i++) {
            struct import_table *t = &r->tables[i];
            const struct verdict *v = verdict_of(t->name);
            struct error err = {0};
            if ((v ? v->order : 9) != order)
                continue;
            if (import_stopped(x))
                return error_set(failed, VX11_ECANCELLED,
                                 "it was asked to stop; what was taken over stays, and a"
                                 " second run goes on");
            int rc = table_run(x, t, v, &err);
            if (rc == 0)
                continue;
            const int64_t rest = t->rows - t->imported - t->merged - t->known - t->left;
            import_left(x, t, arena_printf(x->a, "it was not reached: %.200s", err.text),
                        rest > 0 ? rest : 0);
            if (result == 0)
                result = error_set(failed, rc, "%s: %.400s", t->name, err.text);
            if (rc == VX11_ECANCELLED || rc == VX11_EFULL || rc == VX11_ENOMEM)
                return result;
        }
    }
    return result;
}

static void sums_make(struct import_report *r)
{
    for (size_t i = 0; i < r->tables_count; i++) {
        r->imported += r->tables[i].imported;
        r->merged += r->tables[i].merged;
        r->known += r->tables[i].known;
        r->left += r->tables[i].left;
    }
}

/* ---- what is kept of it ---- */

static int run_begin(struct importing *x, struct error *err)
{
    const struct store_value values[] = {STORE_T(x->report->id), STORE_I(x->now), STORE_T(x->report->path),
                                         STORE_T(x->report->shape)};
    return store_exec(x->store, "INSERT INTO import_run (id, at, path, shape) VALUES (?1, ?2, ?3, ?4)",
                      values, COUNT_OF(values), NULL, err);
}

static int run_end(struct importing *x, struct error *err)
{
    const struct import_report *r = x->report;
    struct buf text = BUF_INIT;
    char imported[24], merged[24], left[24];
    int rc = import_report_serialize(r, &text);
    if (rc == 0) {
        const struct store_value values[] = {STORE_T(r->id),       STORE_I(x->now + r->duration_ms),
                                             STORE_I(r->imported), STORE_I(r->merged),
                                             STORE_I(r->known),    STORE_I(r->left),
                                             store_text(r->error), store_text_len(text.data, text.len)};
        rc = store_exec(
            x->store,
            "UPDATE import_run SET ended_at = ?2, imported = ?3, merged = ?4, known = ?5, left_out = ?6,"
            " error = ?7, report = ?8 WHERE id = ?1",
            values, COUNT_OF(values), NULL, err);
    } else {
        error_set(err, rc, "the report cannot be written");
    }
    buf_free(&text);
    snprintf(imported, sizeof imported, "%lld", (long long)r->imported);
    snprintf(merged, sizeof merged, "%lld", (long long)r->merged);
    snprintf(left, sizeof left, "%lld", (long long)r->left);
    if (rc == 0)
        rc = ledger_note(x->store, "import", x->o->actor ? x->o->actor : "cli", r->path, err, "run", r->id,
                         "shape", r->shape, "imported", imported, "merged", merged, "left", left, "error",
                         r->error, NULL);
    return rc;
}

static int same_file(const char *a, const char *b)
{
    struct stat one, two;
    return a && b && stat(a, &one) == 0 && stat(b, &two) == 0 && one.st_dev == two.st_dev &&
           one.st_ino == two.st_ino;
}

int import_run(struct store *s, const struct import_options *options, struct arena *arena,
               struct import_report *out, struct error *err)
{
    const int64_t begun = clock_mono_ms();
    struct importing x = {.store = s,
                          .o = options,
                          .a = arena,
                          .report = out,
                          .now = options->now_ms > 0 ? options->now_ms : clock_wall_ms()};
    struct error failed = {0};
    char id[ULID_LEN + 1];
    int rc = import_report_init(arena, out);
    if (rc != 0)
        return error_set(err, rc, "out of memory");
    if (same_file(options->path, options->database))
        return error_set(err, VX11_EINVALID, "%s is the database that is imported into", options->path);
    rc = source_open(options->path, options->scratch, &x.src, err);
    if (rc != 0)
        return rc;
    out->id = arena_strdup(arena, ulid_make(id));
    out->at = x.now;
    out->path = arena_strdup(arena, options->path);
    out->bytes = x.src.bytes;
    out->dry_run = options->dry_run;
    rc = tables_list(&x, err);
    if (rc == 0)
        rc = shape_find(&x, err);
    if (rc == 0 && !options->dry_run)
        rc = run_begin(&x, err);
    if (rc == 0) {
        int result = tables_run(&x, &failed);
        if (result == 0)
            result = source_unchanged(&x.src, &failed);
        out->ok = result == 0;
        out->error = result == 0 ? NULL : arena_strdup(arena, failed.text);
        out->duration_ms = clock_mono_ms() - begun;
        sums_make(out);
        if (!options->dry_run)
            rc = run_end(&x, err);
    }
    source_close(&x.src);
    free(x.would);
    return rc;
}

/* ---- Markdown ---- */

int import_markdown(const struct import_report *r, struct buf *out)
{
    char at[32], bytes[24];
    clock_format(r->at, at);
    str_format_bytes((uint64_t)r->bytes, bytes);
    buf_printf(out, "# Import of %s\n\n%s, %s, shape %s%s\n\n", r->path, at, bytes, r->shape,
               r->dry_run ? ", **dry run: nothing was written**" : "");
    if (r->error)
        buf_printf(out, "**It did not go through: %s**\n\n", r->error);
    buf_printf(out,
               "%lld rows imported, %lld merged into others, %lld known from before, %lld left.\n\n"
               "| table | rows | to | imported | merged | known | left | why "
               "|\n|---|---:|---|---:|---:|---:|---:|---|\n",
               (long long)r->imported, (long long)r->merged, (long long)r->known, (long long)r->left);
    for (size_t i = 0; i < r->tables_count; i++) {
        const struct import_table *t = &r->tables[i];
        buf_printf(out, "| %s | %lld | %s | %lld | %lld | %lld | %lld |", t->name, (long long)t->rows,
                   t->to ? t->to : "-", (long long)t->imported, (long long)t->merged, (long long)t->known,
                   (long long)t->left);
        for (size_t k = 0; k < t->reasons_count; k++)
            buf_printf(out, "%s %s", k > 0 ? ";" : "", t->reasons[k].reason);
        buf_puts(out, " |\n");
    }
    if (r->candidates_count > 0)
        buf_puts(out, "\n## What you may want to set up\n\n");
    for (size_t i = 0; i < r->candidates_count; i++) {
        const struct import_candidate *c = &r->candidates[i];
        buf_printf(out, "- %s %s%s%s%s%s%s\n", c->kind, c->name, c->detail ? ": " : "",
                   c->detail ? c->detail : "", c->has_there && !c->there ? " (its file is not there)" : "",
                   c->command ? "; " : "", c->command ? c->command : "");
    }
    return out->failed ? VX11_ENOMEM : 0;
}
