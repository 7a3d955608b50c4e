/* Maintenance: does it run, and are the files of the rows that it put away what they were? */
#include "cli/doctor/doctor.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/str.h"
#include "store/maintain/archive.h"

#define LATE_MS (72 * INT64_C(3600000)) /* three turns of its schedule */

static const char sql_last[] = "SELECT state, at, error FROM maintenance_run "
                               "WHERE state <> 'running' ORDER BY at DESC LIMIT 1";
static const char sql_age[] = "SELECT min(applied_at) FROM schema_migration";

struct last_run {
    char state[32], error[400];
    int64_t at; /* 0: there was none */
};

static int on_run(void *ctx, const struct store_row *row)
{
    struct last_run *l = ctx;
    row_copy(row, 0, l->state, sizeof l->state);
    l->at = row_int(row, 1);
    row_copy(row, 2, l->error, sizeof l->error);
    return 0;
}

static int on_age(void *ctx, const struct store_row *row)
{
    *(int64_t *)ctx = row_int(row, 0);
    return 0;
}

void check_maintenance(struct doctor_run *r)
{
    char age[24], most[24];
    struct doctor_result *x = doctor_result(r, NULL);
    struct last_run last = {0};
    int64_t born = 0;
    struct error err = {0};
    result_limit(r, x, "a run that went well within %s", str_format_duration(LATE_MS, most));
    struct store *store = doctor_store(r, x);
    if (!store)
        return;
    int rc = store_query(store, sql_last, NULL, 0, on_run, &last, &err);
    if (rc == 0)
        rc = store_query(store, sql_age, NULL, 0, on_age, &born, &err);
    store_close(store);
    if (rc != 0) {
        result_unknown(r, x, "%s", err.text);
        return;
    }
    const int64_t now = clock_wall_ms();
    const int64_t ms = now - (last.at ? last.at : born);
    str_format_duration(ms > 0 ? ms : 0, age);
    if (last.at)
        result_measured(r, x, "%s, %s ago", last.state, age);
    else
        result_measured(r, x, "none yet; the database is %s old", age);
    result_value(x, (double)ms, "ms");
    if (last.at && !str_eq(last.state, "done"))
        result_failed(r, x, "the last run %s: %s", str_eq(last.state, "failed") ? "failed" : "was cut off",
                      last.error[0] ? last.error : "it did not say why");
    else
        result_judge(r, x, ms < LATE_MS, "%s since the last run", age);
}

void check_archives(struct doctor_run *r)
{
    char folder[4200], bytes[24], most[24];
    struct doctor_result *x = doctor_result(r, NULL);
    struct maintenance_archive list = {0};
    struct error err = {0};
    const int64_t limit = r->d->config->store->archive->keep_bytes;
    if (fs_path(folder, sizeof folder, r->d->c->home, "archive") != 0) {
        result_unknown(r, x, "its path is too long");
        return;
    }
    result_limit(r, x, "whole, at most %s", str_format_bytes((uint64_t)limit, most));
    struct store *store = doctor_store(r, x);
    if (!store)
        return;
    int rc = archive_list(store, folder, NULL, r->arena, &list, &err);
    store_close(store);
    if (rc != 0) {
        result_unknown(r, x, "%s", err.text);
        return;
    }
    str_format_bytes((uint64_t)list.bytes, bytes);
    result_measured(r, x, "%zu files, %s, %lld rows", list.files_count, bytes, (long long)list.rows);
    result_value(x, (double)list.bytes, "bytes");
    for (size_t i = 0; i < list.files_count; i++) {
        if (list.files[i].problem) {
            result_failed(r, x, "%s: %s", list.files[i].path, list.files[i].problem);
            return;
        }
    }
    /* The newest part may pass the bound until the next pruning. */
    result_judge(r, x, list.bytes <= limit + limit / 10, "the files have %s", bytes);
}
