/* Machine: disk, memory, file descriptors and the clock. */
#include "cli/doctor/doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/proc.h"
#include "base/str.h"

static void disk_against(struct doctor_run *r, int64_t least)
{
    char free_[24], limit[24];
    struct statvfs v;
    struct doctor_result *x = doctor_result(r, NULL);
    str_format_bytes((uint64_t)least, limit);
    result_limit(r, x, "at least %s", limit);
    if (statvfs(r->d->c->home, &v) != 0) {
        result_unknown(r, x, "%s: %s", r->d->c->home, strerror(errno));
        return;
    }
    const uint64_t bytes = (uint64_t)v.f_bavail * v.f_frsize;
    str_format_bytes(bytes, free_);
    result_measured(r, x, "%s free", free_);
    result_value(x, (double)bytes, "bytes");
    if (v.f_files > 0 && v.f_favail < 1000)
        result_failed(r, x, "only %llu more files can be made", (unsigned long long)v.f_favail);
    else
        result_judge(r, x, bytes >= (uint64_t)least, "%s are free at %s", free_, r->d->c->home);
}

void check_disk(struct doctor_run *r)
{
    disk_against(r, r->d->config->doctor->disk_min_bytes);
}

void check_disk_margin(struct doctor_run *r)
{
    disk_against(r, r->d->config->doctor->disk_warn_bytes);
}

void check_memory(struct doctor_run *r)
{
    char is[24], limit[24];
    struct proc_memory memory;
    struct doctor_result *x = doctor_result(r, NULL);
    const int64_t least = r->d->config->doctor->memory_warn_bytes;
    result_limit(r, x, "at least %s", str_format_bytes((uint64_t)least, limit));
    if (proc_memory(&memory) != 0) {
        result_unknown(r, x, "the kernel does not say");
        return;
    }
    str_format_bytes(memory.available_bytes, is);
    result_measured(r, x, "%s available", is);
    result_value(x, (double)memory.available_bytes, "bytes");
    result_judge(r, x, memory.available_bytes >= (uint64_t)least, "only %s are available", is);
}

/* ---- file descriptors ---- */

/* "Max open files            65536                65536                files"; -1: not known. */
static int64_t descriptors_limit(pid_t pid)
{
    char path[64], line[256];
    int64_t limit = -1;
    snprintf(path, sizeof path, "/proc/%d/limits", (int)pid);
    FILE *f = fopen(path, "re");
    if (!f)
        return -1;
    while (limit < 0 && fgets(line, sizeof line, f)) {
        static const char key[] = "Max open files";
        if (!str_starts(line, key))
            continue;
        char *words = line + sizeof key - 1, *rest;
        words += strspn(words, " ");
        const char *word = strtok_r(words, " ", &rest);
        if (!word || str_to_i64(word, 0, INT64_MAX, &limit) != 0)
            limit = -1;
    }
    fclose(f);
    return limit;
}

static void descriptors_of(struct doctor_run *r, const char *name, pid_t pid)
{
    struct proc_usage usage;
    struct doctor_result *x = doctor_result(r, name);
    const int64_t percent = r->d->config->doctor->descriptors_percent;
    result_limit(r, x, "below %lld %%", (long long)percent);
    result_mend(r, x, "raise LimitNOFILE or ulimit -n, then: vx11 restart %s", name);
    if (pid <= 0) {
        result_unknown(r, x, "it does not run");
        result_mend(r, x, "vx11 up");
        return;
    }
    const int64_t limit = descriptors_limit(pid);
    if (limit <= 0 || proc_usage(pid, &usage) != 0) {
        result_unknown(r, x, "process %d cannot be looked into", (int)pid);
        return;
    }
    result_measured(r, x, "%u of %lld", usage.fds, (long long)limit);
    result_value(x, 100.0 * (double)usage.fds / (double)limit, "%");
    result_judge(r, x, (int64_t)usage.fds * 100 < limit * percent, "it has %u of %lld file descriptors open",
                 usage.fds, (long long)limit);
}

void check_descriptors(struct doctor_run *r)
{
    descriptors_of(r, "supervisor", r->d->status ? (pid_t)r->d->status->pid : 0);
    for (size_t i = 0; i < r->d->module_count; i++)
        if (doctor_module_wanted(&r->d->modules[i]))
            descriptors_of(r, r->d->modules[i].name, r->d->modules[i].pid);
}

/* ---- clock ---- */

#define FIRST_YEAR 2024
#define LAST_YEAR  2100
#define STEP_MS    500   /* the two clocks may differ by this much over a check */
#define AHEAD_MS   60000 /* rows may be this much ahead of the clock */

static const char sql_newest[] = "SELECT max((SELECT coalesce(max(at), 0) FROM event),"
                                 " (SELECT coalesce(max(started_at), 0) FROM module_run))";

static int on_newest(void *ctx, const struct store_row *row)
{
    *(int64_t *)ctx = row_int(row, 0);
    return 0;
}

/* Time that goes back makes new rows older than old ones; tokens and backups expire late then. */
void check_clock(struct doctor_run *r)
{
    char text[32];
    struct tm tm;
    struct doctor_result *x = doctor_result(r, NULL);
    const int64_t now = clock_wall_ms();
    const time_t seconds = (time_t)(now / 1000);
    const double wall = (double)(now - r->d->wall_ms);
    const double mono = (double)(clock_mono_ns() - r->d->mono_ns) / 1e6;
    int64_t newest = 0;
    result_measured(r, x, "%s", clock_format(now, text));
    result_limit(r, x, "years %d to %d, no steps, not behind what is stored", FIRST_YEAR, LAST_YEAR);
    if (!gmtime_r(&seconds, &tm) || tm.tm_year + 1900 < FIRST_YEAR || tm.tm_year + 1900 > LAST_YEAR) {
        result_failed(r, x, "the year cannot be right");
        return;
    }
    if (wall - mono > STEP_MS || mono - wall > STEP_MS) {
        result_failed(r, x, "the wall clock was set by %.0f ms meanwhile", wall - mono);
        return;
    }
    struct store *store = doctor_store(r, x);
    if (!store)
        return;
    struct error err = {0};
    int rc = store_query(store, sql_newest, NULL, 0, on_newest, &newest, &err);
    store_close(store);
    if (rc != 0)
        result_unknown(r, x, "%s", err.text);
    else
        result_judge(r, x, newest <= now + AHEAD_MS, "the database has rows of %s, which is still to come",
                     clock_format(newest, text));
}

void check_clock_sync(struct doctor_run *r)
{
    struct doctor_result *x = doctor_result(r, NULL);
    struct timex t = {.modes = 0};
    int state = adjtimex(&t);
    if (state < 0) {
        result_unknown(r, x, "the kernel does not say: %s", strerror(errno));
        return;
    }
    const bool synced = state != TIME_ERROR && !(t.status & STA_UNSYNC);
    result_measured(r, x, "%s, error at most %.0f ms", synced ? "kept in step" : "on its own",
                    (double)t.maxerror / 1000.0);
    result_value(x, (double)t.maxerror / 1000.0, "ms");
    result_judge(r, x, synced, "nothing keeps the clock in step");
}
