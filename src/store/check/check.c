/* Check: the steps one after the other, the time that they may take, and what they found.
 *
 * SQLite asks its progress handler while it runs statements, but versions before 3.41 not while they walk
 * through pages for an integrity check. So the deadline is also looked at where pages are read from the file:
 * its methods are replaced by ones that refuse once the time is over. */
#include "store/check/check_internal.h"

#include <stdarg.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"

#define FINDINGS_MAX 200
#define TABLES_MAX   1024

/* ---- time ---- */

bool check_expired(struct check *c)
{
    if (c->deadline_ms != 0 && clock_mono_ms() >= c->deadline_ms)
        c->expired = true;
    return c->expired;
}

static int on_progress(void *ctx)
{
    return check_expired(ctx);
}

struct timed_methods {
    sqlite3_io_methods methods; /* first: SQLite has a pointer to it */
    const sqlite3_io_methods *real;
    struct check *check;
};

static int timed_read(sqlite3_file *file, void *data, int n, sqlite3_int64 at)
{
    const struct timed_methods *t = (const struct timed_methods *)(const void *)file->pMethods;
    return check_expired(t->check) ? SQLITE_IOERR_READ : t->real->xRead(file, data, n, at);
}

static sqlite3_file *main_file(struct check *c)
{
    sqlite3_file *file = NULL;
    return sqlite3_file_control(c->db, "main", SQLITE_FCNTL_FILE_POINTER, &file) == SQLITE_OK && file &&
                   file->pMethods
               ? file
               : NULL;
}

static void timed_begin(struct check *c, struct timed_methods *t)
{
    sqlite3_file *file = main_file(c);
    if (!file)
        return;
    *t = (struct timed_methods){.methods = *file->pMethods, .real = file->pMethods, .check = c};
    t->methods.xRead = timed_read;
    file->pMethods = &t->methods;
}

static void timed_end(struct check *c, struct timed_methods *t)
{
    sqlite3_file *file = main_file(c);
    if (file && file->pMethods == &t->methods)
        file->pMethods = t->real;
}

/* ---- findings ---- */

const char *check_text(struct check *c, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    const char *text = arena_vprintf(c->arena, fmt, args);
    va_end(args);
    return text ? text : "out of memory";
}

void check_found(struct check *c, struct database_finding f)
{
    struct database_check *out = c->out;
    f.step = c->step;
    f.count = f.count ? f.count : 1;
    out->problems += f.severity == DATABASE_SEVERITY_PROBLEM;
    out->warnings += f.severity == DATABASE_SEVERITY_WARNING;
    if (out->findings_count == c->findings_max)
        out->more = true;
    else
        out->findings[out->findings_count++] = f;
}

static void check_damaged(struct check *c, const char *table, int rc)
{
    struct error err = {0};
    if (c->expired)
        return;
    int code = sql_error(&err, c->db, rc, "%s", table ? table : "the database");
    if (code == VX11_ECORRUPT || code == VX11_EIO) {
        check_found(c, (struct database_finding){.severity = DATABASE_SEVERITY_PROBLEM,
                                                 .table = table,
                                                 .text = check_text(c, "cannot be read: %s", err.text)});
        return;
    }
    c->failed = true;
    c->detail = check_text(c, "%s", err.text);
}

sqlite3_stmt *check_prepare(struct check *c, const char *table, const char *sql)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sql ? sqlite3_prepare_v2(c->db, sql, -1, &stmt, NULL) : SQLITE_NOMEM;
    if (rc != SQLITE_OK)
        check_damaged(c, table, rc);
    return stmt;
}

bool check_step(struct check *c, const char *table, sqlite3_stmt *stmt)
{
    int rc = check_expired(c) ? SQLITE_DONE : sqlite3_step(stmt);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        check_damaged(c, table, rc);
    return rc == SQLITE_ROW;
}

const struct check_table *check_table_named(const struct check *c, const char *name)
{
    for (size_t i = 0; name && i < c->table_count; i++)
        if (strcmp(c->tables[i].name, name) == 0)
            return &c->tables[i];
    return NULL;
}

bool check_has_column(struct check *c, const char *table, const char *column)
{
    sqlite3_stmt *stmt = NULL;
    bool has = false;
    if (sqlite3_prepare_v2(c->db, "SELECT 1 FROM pragma_table_info(?1) WHERE name = ?2", -1, &stmt, NULL) ==
        SQLITE_OK) {
        sqlite3_bind_text(stmt, 1, table, -1, SQLITE_STATIC);
        sqlite3_bind_text(stmt, 2, column, -1, SQLITE_STATIC);
        has = sqlite3_step(stmt) == SQLITE_ROW;
    }
    sqlite3_finalize(stmt);
    return has;
}

/* ---- tables ---- */

static void tables_read(struct check *c)
{
    sqlite3_stmt *stmt = check_prepare(
        c, NULL,
        "SELECT l.name, s.sql, l.wr, l.type <> 'table' FROM pragma_table_list AS l JOIN sqlite_schema AS s"
        " ON s.name = l.name AND s.type = 'table' WHERE l.schema = 'main' AND l.name NOT LIKE"
        " 'sqlite\\_%' ESCAPE '\\' ORDER BY l.name");
    while (stmt && c->table_count < TABLES_MAX && check_step(c, NULL, stmt)) {
        struct check_table *t = &c->tables[c->table_count];
        const char *name = (const char *)sqlite3_column_text(stmt, 0);
        *t = (struct check_table){.name = arena_strdup(c->arena, name),
                                  .quoted = name ? look_quote(c->arena, name) : NULL,
                                  .sql = arena_strdup(c->arena, (const char *)sqlite3_column_text(stmt, 1)),
                                  .rowless = sqlite3_column_int(stmt, 2) != 0,
                                  .virtual_shadow = sqlite3_column_int(stmt, 3) != 0};
        if (t->name && t->quoted)
            c->table_count++;
    }
    sqlite3_finalize(stmt);
}

/* ---- the steps ---- */

static const struct {
    const char *name;
    void (*run)(struct check *c);
    bool slow;   /* not of a quick check */
    bool schema; /* needs a schema that can be read */
    bool ours;   /* means something only for a database of VX11 */
} steps[] = {
    {"file", check_file, false, false, false},   {"pages", check_pages, false, false, false},
    {"keys", check_keys, false, true, false},    {"values", check_values, true, true, false},
    {"json", check_json, true, true, true},      {"orphans", check_orphans, true, true, true},
    {"schema", check_schema, false, true, true}, {"statistics", check_statistics, false, true, false},
    {"growth", check_growth, false, true, true},
};

static void step_run(struct check *c, size_t i)
{
    struct database_step *step = &c->out->steps[c->out->steps_count++];
    size_t before = c->out->findings_count;
    uint64_t began = clock_mono_ns();
    *step = (struct database_step){.name = steps[i].name};
    c->step = steps[i].name;
    c->detail = NULL;
    c->skipped = c->failed = false;
    if (check_expired(c)) {
        step->state = DATABASE_STEP_STATE_UNFINISHED;
        step->detail = "there was no time left";
        return;
    }
    if (steps[i].slow && c->options->quick) {
        c->skipped = true;
        c->detail = "a quick check leaves it out";
    } else if (steps[i].ours && !c->look.ours) {
        c->skipped = true;
        c->detail = "not a database of VX11";
    } else if (steps[i].schema && c->look.unreadable) {
        c->skipped = true;
        c->detail = "the schema cannot be read";
    } else {
        steps[i].run(c);
    }
    step->duration_ms = (double)(clock_mono_ns() - began) / 1e6;
    step->detail = c->detail;
    step->state = c->skipped                        ? DATABASE_STEP_STATE_SKIPPED
                  : c->expired                      ? DATABASE_STEP_STATE_UNFINISHED
                  : c->failed                       ? DATABASE_STEP_STATE_FAILED
                  : c->out->findings_count > before ? DATABASE_STEP_STATE_FOUND
                                                    : DATABASE_STEP_STATE_OK;
    if (c->expired && !c->skipped)
        step->detail = "its time ran out";
}

static int verdict_of(const struct database_check *out)
{
    bool whole = true;
    for (size_t i = 0; i < out->steps_count; i++)
        whole = whole && out->steps[i].state != DATABASE_STEP_STATE_UNFINISHED &&
                out->steps[i].state != DATABASE_STEP_STATE_FAILED;
    return out->problems > 0   ? DATABASE_VERDICT_PROBLEMS
           : !whole            ? DATABASE_VERDICT_UNKNOWN
           : out->warnings > 0 ? DATABASE_VERDICT_WARNINGS
                               : DATABASE_VERDICT_SOUND;
}

/* What SQLite does not even open is damaged, or no database: that is an answer too. */
static void check_closed(struct check *c, const struct error *why)
{
    c->step = "file";
    check_found(c, (struct database_finding){.severity = DATABASE_SEVERITY_PROBLEM,
                                             .text = check_text(c, "%s", why->text)});
    check_length_closed(c);
    for (size_t i = 0; i < COUNT_OF(steps); i++)
        c->out->steps[c->out->steps_count++] =
            (struct database_step){.name = steps[i].name,
                                   .state = i == 0 ? DATABASE_STEP_STATE_FOUND : DATABASE_STEP_STATE_SKIPPED,
                                   .detail = i == 0 ? NULL : "the file is no database that can be opened"};
}

int check_run(const struct check_options *options, struct arena *a, struct database_check *out,
              struct error *err)
{
    struct check c = {.options = options, .arena = a, .out = out, .started_ms = clock_mono_ms()};
    struct timed_methods timed = {.real = NULL};
    struct error why = {0};
    uint64_t began = clock_mono_ns();
    c.findings_max = options->findings_max ? options->findings_max : FINDINGS_MAX;
    c.deadline_ms = options->timeout_ms > 0 ? c.started_ms + options->timeout_ms : 0;
    *out = (struct database_check){
        .path = options->path, .quick = options->quick, .checked_at = clock_wall_ms()};
    out->findings = arena_array(a, c.findings_max, sizeof *out->findings);
    out->steps = arena_array(a, COUNT_OF(steps), sizeof *out->steps);
    c.tables = arena_array(a, TABLES_MAX, sizeof *c.tables);
    if (!out->findings || !out->steps || !c.tables)
        return error_set(err, VX11_ENOMEM, "no memory to check %s", options->path);
    int rc = look_open(options->path, options->still, &c.look, &c.store, &why);
    if (rc == VX11_ECORRUPT)
        check_closed(&c, &why); /* which is what there is to tell */
    else if (rc != 0)
        return error_set(err, rc, "%s", why.text);
    if (c.store) {
        c.db = c.store->read;
        out->ours = c.look.ours;
        out->has_schema_version = c.look.version > 0;
        out->schema_version = c.look.version;
        sqlite3_progress_handler(c.db, 2000, on_progress, &c);
        timed_begin(&c, &timed);
        if (!c.look.unreadable)
            tables_read(&c);
        for (size_t i = 0; i < COUNT_OF(steps); i++)
            step_run(&c, i);
        timed_end(&c, &timed);
        sqlite3_progress_handler(c.db, 0, NULL, NULL);
    }
    store_close(c.store);
    out->verdict = verdict_of(out);
    out->duration_ms = (double)(clock_mono_ns() - began) / 1e6;
    return 0;
}
