/* Database: can it be opened, is its schema this program's, does it take a write and give it back, is it
 * whole, and is there room left in it? */
#include "cli/doctor/doctor.h"

#include <inttypes.h>
#include <string.h>

#include "base/fs.h"
#include "base/str.h"
#include "store/doctor/probe.h"

/* What nothing works without. Each name is of a table that a released migration makes. */
static const char *const essential[] = {
    "schema_migration",
    "retention",
    "auth_token",
    "auth_session",
    "module_state",
    "module_run",
    "setting",
    "event",
    "model",
    "decision",
    "usage",
    "job",
    "operator_session",
    "operator_message",
    "metric_series",
    "metric_sample",
    "doctor_report",
};

void check_database_open(struct doctor_run *r)
{
    struct doctor_result *x = doctor_result(r, NULL);
    const struct store_options options = {.path = r->d->database, .read_only = true};
    struct store *store = NULL;
    struct error err = {0};
    result_measured(r, x, "%s", r->d->database);
    if (!fs_exists(r->d->database)) {
        result_failed(r, x, "there is no %s", r->d->database);
        result_mend(r, x, "vx11 up (makes it), or vx11 db restore NAME");
        return;
    }
    int rc = store_open(&options, &store, &err);
    if (rc == VX11_EVERSION)
        result_mend(r, x, "vx11 down && vx11 up");
    result_judge(r, x, rc == 0, "%s", err.text);
    if (store)
        store_close(store);
}

void check_database_schema(struct doctor_run *r)
{
    struct doctor_result *x = doctor_result(r, NULL);
    const int want = store_schema_current();
    result_limit(r, x, "%d", want);
    struct store *store = doctor_store(r, x);
    if (!store)
        return;
    const int is = store_schema_version(store);
    store_close(store);
    result_measured(r, x, "%d", is);
    result_value(x, is, NULL);
    result_judge(r, x, is == want, "the database has schema %d, this program %d", is, want);
}

struct names {
    bool there[COUNT_OF(essential)];
    size_t tables;
};

static int on_table(void *ctx, const struct store_row *row)
{
    struct names *n = ctx;
    const char *name = row_text(row, 0);
    n->tables++;
    for (size_t i = 0; name && i < COUNT_OF(essential); i++)
        if (str_eq(essential[i], name))
            n->there[i] = true;
    return 0;
}

void check_database_tables(struct doctor_run *r)
{
    struct doctor_result *x = doctor_result(r, NULL);
    struct names n = {0};
    struct error err = {0};
    struct buf missing = BUF_INIT;
    size_t there = 0;
    struct store *store = doctor_store(r, x);
    if (!store)
        return;
    int rc = store_query(store, "SELECT name FROM sqlite_schema WHERE type = 'table'", NULL, 0, on_table, &n,
                         &err);
    store_close(store);
    for (size_t i = 0; i < COUNT_OF(essential); i++) {
        there += n.there[i];
        if (!n.there[i])
            buf_printf(&missing, "%s%s", missing.len ? ", " : "", essential[i]);
    }
    result_limit(r, x, "%zu essential ones", COUNT_OF(essential));
    if (rc != 0) {
        result_unknown(r, x, "%s", err.text);
    } else {
        result_measured(r, x, "%zu of %zu, %zu in all", there, COUNT_OF(essential), n.tables);
        result_value(x, (double)there, "tables");
        result_judge(r, x, there == COUNT_OF(essential), "missing: %s", missing.data ? missing.data : "");
    }
    buf_free(&missing);
}

static int64_t share(const struct doctor *d, int64_t percent)
{
    const int64_t ms = d->timeout_ms * percent / 100;
    return ms > 0 ? ms : 1;
}

void check_database_write(struct doctor_run *r)
{
    struct doctor_result *x = doctor_result(r, NULL);
    struct error err = {0};
    if (!fs_exists(r->d->database)) {
        result_failed(r, x, "there is no %s", r->d->database);
        return;
    }
    int rc = store_probe_write(r->d->database, share(r->d, 50), &err);
    if (rc == 0)
        result_measured(r, x, "a row was written, found, and rolled back");
    result_judge(r, x, rc == 0, "%s", err.text);
}

void check_database_integrity(struct doctor_run *r)
{
    struct doctor_result *x = doctor_result(r, NULL);
    struct error err = {0};
    const int64_t budget = share(r->d, 80);
    result_limit(r, x, "every page sound, looked at within %lld ms", (long long)budget);
    if (!fs_exists(r->d->database)) {
        result_failed(r, x, "there is no %s", r->d->database);
        return;
    }
    int rc = store_probe_pages(r->d->database, budget, &err);
    if (rc == VX11_ETIMEOUT) {
        result_unknown(r, x, "%s", err.text);
        result_mend(r, x, "vx11 db check, or vx11 doctor --timeout 5m");
        return;
    }
    if (rc == 0)
        result_measured(r, x, "quick_check: ok");
    result_judge(r, x, rc == 0, "%s", err.text);
}

/* ---- sizes ---- */

static bool sizes(struct doctor_run *r, struct doctor_result *x, struct store_sizes *s)
{
    struct error err = {0};
    if (store_probe_sizes(r->d->database, s, &err) == 0)
        return true;
    result_unknown(r, x, "%s", err.text);
    return false;
}

static void size_against(struct doctor_run *r, int64_t bytes, int64_t limit, const char *what)
{
    char is[24], most[24];
    struct doctor_result *x = r->last == &r->first ? doctor_result(r, NULL) : r->first;
    str_format_bytes((uint64_t)bytes, is);
    str_format_bytes((uint64_t)limit, most);
    result_measured(r, x, "%s", is);
    result_value(x, (double)bytes, "bytes");
    result_limit(r, x, "below %s", most);
    result_judge(r, x, bytes < limit, "%s has %s", what, is);
}

void check_database_size(struct doctor_run *r)
{
    struct store_sizes s;
    if (sizes(r, doctor_result(r, NULL), &s))
        size_against(r, s.bytes, r->d->config->store->warn_bytes, "the database");
}

void check_database_limit(struct doctor_run *r)
{
    struct store_sizes s;
    if (sizes(r, doctor_result(r, NULL), &s))
        size_against(r, s.bytes, r->d->config->store->max_bytes, "the database");
}

void check_database_wal(struct doctor_run *r)
{
    struct store_sizes s;
    if (sizes(r, doctor_result(r, NULL), &s))
        size_against(r, s.wal_bytes, r->d->config->doctor->wal_bytes, "the write-ahead log");
}

void fix_wal(struct doctor_fixing *f)
{
    struct error err = {0};
    int rc = store_tidy(f->d->database, 5000, &err);
    doctor_fixed(f, rc == 0 ? NULL : err.text, "write the log into the database, renew its statistics");
}
