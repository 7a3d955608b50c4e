/* Week: days of simulated traffic at an accelerated clock, with the work that keeps the file in bounds done
 * when it would be due: the supervisor's regular retention, and a maintenance each day.
 *
 *   vx11-week --home DIR [--days N] [--scale S] [--target BYTES] [--no-upkeep]
 *
 * The home must be new. Below scale 1 the bounds of tables shrink with the traffic. Scale 1 is a chat request
 * a second around the clock, and what goes with it. Without upkeep nothing is ever deleted, which shows what
 * the upkeep is for. JSON on stdout: sizes in bytes, largest_bytes the file's largest size at the end of any
 * hour; rows_written as pushed; lost: rows that are neither in the database nor were deleted, of tables that
 * only this program writes; it must be 0. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/str.h"
#include "store/maintain/archive.h"
#include "store/maintain/maintain.h"
#include "store/maintain/retain.h"
#include "traffic.h"

#define HOUR_MS INT64_C(3600000)
#define BEGIN   INT64_C(1780000000000) /* simulated clock at the start */

struct week {
    const char *home;
    char path[4200];
    double scale;
    int64_t days, target;
    bool upkeep;
    struct store *store;
    struct retain_result *retained;
    struct traffic traffic;
    /* what became of it */
    int64_t largest, end, used, archived, deleted, maintenances, failed, tier, archive_bytes;
    double longest_hold_ms;
};

static int64_t file_bytes(const struct week *w)
{
    struct stat st;
    return stat(w->path, &st) == 0 ? st.st_size : 0;
}

/* As the supervisor does it every ten minutes; here every hour, which is harder on the limit. */
static int upkeep_hourly(struct week *w, int64_t now, struct error *err)
{
    const struct retain_options options = {
        .now_ms = now, .target_bytes = w->target, .actor = "week", .lazy = true, .vacuum_pages = -1};
    int rc = retain_run(w->store, &options, w->retained, err);
    if (rc != 0)
        return rc;
    w->deleted += w->retained->rows + w->retained->children;
    w->archived += w->retained->archived;
    if (w->retained->tier > w->tier)
        w->tier = w->retained->tier;
    if (w->retained->longest_hold_ms > w->longest_hold_ms)
        w->longest_hold_ms = w->retained->longest_hold_ms;
    return 0;
}

/* Its backup would be the larger part of the time and is another line's business. */
static int upkeep_daily(struct week *w, int64_t now, struct error *err)
{
    struct arena *a = arena_create(0);
    struct maintenance_report report;
    const struct maintain_options options = {.home = w->home,
                                             .database = w->path,
                                             .actor = "week",
                                             .origin = MAINTENANCE_ORIGIN_SCHEDULED,
                                             .now_ms = now,
                                             .warn_bytes = w->target / 5 * 4,
                                             .target_bytes = w->target,
                                             .no_backup = true};
    int rc = a ? maintain_run(&options, a, &report, err) : error_set(err, VX11_ENOMEM, "out of memory");
    if (rc == 0) {
        w->maintenances++;
        w->failed += !report.ok;
    }
    arena_destroy(a);
    return rc;
}

static int day_run(struct week *w, int64_t from, struct error *err)
{
    int rc = 0;
    for (int hour = 0; rc == 0 && hour < 24; hour++) {
        rc = traffic_hour(&w->traffic, from + hour * HOUR_MS, err);
        if (rc == 0 && writer_flush(w->traffic.writer, 120000) != 0)
            rc = error_set(err, VX11_ETIMEOUT, "the writer did not write within two minutes");
        if (rc == 0 && w->upkeep)
            rc = upkeep_hourly(w, from + (hour + 1) * HOUR_MS, err);
        if (file_bytes(w) > w->largest)
            w->largest = file_bytes(w);
    }
    return rc == 0 && w->upkeep ? upkeep_daily(w, from + 24 * HOUR_MS, err) : rc;
}

static int take_int(void *ctx, const struct store_row *row)
{
    *(int64_t *)ctx = row_int(row, 0);
    return 0;
}

/* Requests that were made less those that are there or in an archive's count. */
static int lost_count(struct week *w, int64_t *lost, struct error *err)
{
    int64_t there = 0, gone = 0;
    int rc = store_query(w->store, "SELECT count(*) FROM decision", NULL, 0, take_int, &there, err);
    if (rc == 0)
        rc = store_query(w->store,
                         "SELECT coalesce(sum(deleted_rows), 0) FROM archive WHERE table_name = 'decision'",
                         NULL, 0, take_int, &gone, err);
    *lost = (int64_t)w->traffic.requests - there - gone;
    return rc;
}

/* A small week in a small file: bounds in rows shrink with the traffic, else none of them is ever reached. */
static int bounds_scale(struct week *w, struct error *err)
{
    const struct store_value scale = STORE_D(w->scale);
    if (w->scale >= 1)
        return 0;
    return store_exec(
        w->store,
        "UPDATE retention SET max_rows = max(1, CAST(max_rows * ?1 AS INTEGER)), tight_max_rows ="
        " max(1, CAST(tight_max_rows * ?1 AS INTEGER))",
        &scale, 1, NULL, err);
}

static int week_run(struct week *w, int64_t *lost, struct error *err)
{
    struct store_options options = {.path = w->path, .migrate = true};
    int rc = fs_path(w->path, sizeof w->path, w->home, "vx11.db");
    if (rc == 0 && fs_exists(w->path))
        return error_set(err, VX11_EEXISTS, "%s exists: give a new folder", w->path);
    if (rc == 0)
        rc = fs_mkdirs(w->home, 0700, err);
    if (rc == 0)
        rc = store_open(&options, &w->store, err);
    if (rc == 0)
        rc = traffic_prepare(w->store, BEGIN, err);
    if (rc == 0)
        rc = bounds_scale(w, err);
    if (rc == 0)
        rc = writer_start(&(struct writer_options){.path = w->path}, &w->traffic.writer, err);
    for (int64_t day = 0; rc == 0 && day < w->days; day++)
        rc = day_run(w, BEGIN + day * 24 * HOUR_MS, err);
    struct writer_stats stats = {0};
    if (w->traffic.writer) {
        writer_stats(w->traffic.writer, &stats);
        if (writer_stop(w->traffic.writer, 60000) > 0 && rc == 0)
            rc = error_set(err, VX11_ETIMEOUT, "rows were not written");
    }
    if (rc == 0 && stats.failed > 0)
        rc = error_set(err, VX11_EINVALID, "%llu rows were refused", (unsigned long long)stats.failed);
    if (rc == 0)
        rc = lost_count(w, lost, err);
    if (rc == 0) {
        int64_t all;
        rc = retain_size(w->store, &w->used, &all, err);
    }
    store_close(w->store);
    w->end = file_bytes(w);
    return rc;
}

static int usage(void)
{
    fprintf(stderr, "usage: vx11-week --home DIR [--days N] [--scale S] [--target BYTES] [--no-upkeep]\n");
    return 2;
}

int main(int argc, char **argv)
{
    struct week w = {.scale = 1, .days = 7, .target = 500000000, .upkeep = true};
    struct error err = {0};
    int64_t lost = 0;
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (str_eq(argv[i], "--no-upkeep"))
            w.upkeep = false;
        else if (str_eq(argv[i], "--home") && *value && ++i)
            w.home = value;
        else if (str_eq(argv[i], "--days") && str_to_i64(value, 1, 3660, &w.days) == 0)
            i++;
        else if (str_eq(argv[i], "--scale") && str_to_f64(value, &w.scale) == 0 && w.scale > 0 &&
                 w.scale <= 100)
            i++;
        else if (str_eq(argv[i], "--target") && str_to_i64(value, 1000000, INT64_MAX, &w.target) == 0)
            i++;
        else
            return usage();
    }
    if (!w.home)
        return usage();
    w.retained = malloc(sizeof *w.retained);
    w.traffic = (struct traffic){.scale = w.scale, .random = 11};
    const int64_t begun = clock_mono_ms();
    int rc = w.retained ? week_run(&w, &lost, &err) : error_set(&err, VX11_ENOMEM, "out of memory");
    free(w.retained);
    if (rc != 0) {
        fprintf(stderr, "vx11-week: %s\n", err.text);
        return 1;
    }
    printf("{\"days\":%lld,\"scale\":%g,\"target_bytes\":%lld,\"rows_written\":%llu,\"requests\":%llu,"
           "\"deleted\":%lld,\"archived\":%lld,\"lost\":%lld,\"largest_bytes\":%lld,\"end_bytes\":%lld,"
           "\"used_bytes\":%lld,"
           "\"tier\":%lld,\"maintenances\":%lld,\"maintenances_failed\":%lld,\"longest_hold_ms\":%.1f,\"took_"
           "ms\":%lld}\n",
           (long long)w.days, w.scale, (long long)w.target, (unsigned long long)w.traffic.rows,
           (unsigned long long)w.traffic.requests, (long long)w.deleted, (long long)w.archived,
           (long long)lost, (long long)w.largest, (long long)w.end, (long long)w.used, (long long)w.tier,
           (long long)w.maintenances, (long long)w.failed, w.longest_hold_ms,
           (long long)(clock_mono_ms() - begun));
    return 0;
}
