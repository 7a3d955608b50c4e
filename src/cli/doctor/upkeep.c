/* Upkeep: logs, the queue of jobs, crashes. */
#include "cli/doctor/doctor.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/str.h"

/* ---- logs ---- */

/* A file is really written, because permissions and a full disk are told by nothing else. */
void check_log_folder(struct doctor_run *r)
{
    char folder[4200], path[4300];
    struct doctor_result *x = doctor_result(r, NULL);
    if (fs_path(folder, sizeof folder, r->d->c->home, "log") != 0) {
        result_unknown(r, x, "its path is too long");
        return;
    }
    result_measured(r, x, "%s", folder);
    snprintf(path, sizeof path, "%s/.doctor-%d", folder, (int)getpid());
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        result_failed(r, x, "%s: %s", folder, strerror(errno));
        return;
    }
    const bool written = write(fd, "x", 1) == 1 && fsync(fd) == 0;
    const int sys = errno;
    close(fd);
    unlink(path);
    result_judge(r, x, written, "%s cannot be written: %s", folder, strerror(sys));
}

/* A file that a module has open and nobody can find is no log. */
void check_log_files(struct doctor_run *r)
{
    size_t seen = 0;
    for (size_t i = 0; i < r->d->module_count; i++) {
        const struct doctor_module *m = &r->d->modules[i];
        char name[80], folder[4200], path[4300];
        struct stat st;
        if (!doctor_module_wanted(m))
            continue;
        seen++;
        struct doctor_result *x = doctor_result(r, m->name);
        snprintf(name, sizeof name, "%.60s.log", m->name);
        if (fs_path(folder, sizeof folder, r->d->c->home, "log") != 0 ||
            fs_path(path, sizeof path, folder, name) != 0) {
            result_unknown(r, x, "its path is too long");
            continue;
        }
        if (stat(path, &st) != 0) {
            result_failed(r, x, "%s: %s", path, strerror(errno));
            continue;
        }
        char bytes[24];
        result_measured(r, x, "%s", str_format_bytes((uint64_t)st.st_size, bytes));
        result_value(x, (double)st.st_size, "bytes");
        result_ok(x);
    }
    if (seen == 0)
        result_failed(r, doctor_result(r, NULL), "every module is switched off");
}

/* ---- the queue ---- */

static const char sql_queue[] = "SELECT count(*), min(not_before) FILTER (WHERE not_before <= ?1) FROM job "
                                "WHERE state = 'queued'";

struct queue {
    int64_t jobs, since;
};

static int on_queue(void *ctx, const struct store_row *row)
{
    struct queue *q = ctx;
    q->jobs = row_int(row, 0);
    q->since = row_is_null(row, 1) ? 0 : row_int(row, 1);
    return 0;
}

static bool queue_read(struct doctor_run *r, struct doctor_result *x, struct queue *q)
{
    const struct store_value now = STORE_I(clock_wall_ms());
    struct error err = {0};
    struct store *store = doctor_store(r, x);
    if (!store)
        return false;
    int rc = store_query(store, sql_queue, &now, 1, on_queue, q, &err);
    store_close(store);
    if (rc != 0)
        result_unknown(r, x, "%s", err.text);
    return rc == 0;
}

void check_queue_depth(struct doctor_run *r)
{
    struct doctor_result *x = doctor_result(r, NULL);
    struct queue q = {0};
    const int64_t most = r->d->config->doctor->queue_jobs;
    result_limit(r, x, "below %lld jobs", (long long)most);
    if (!queue_read(r, x, &q))
        return;
    result_measured(r, x, "%lld jobs wait", (long long)q.jobs);
    result_value(x, (double)q.jobs, "jobs");
    result_judge(r, x, q.jobs < most, "%lld jobs wait", (long long)q.jobs);
}

void check_queue_age(struct doctor_run *r)
{
    char age[24], most[24];
    struct doctor_result *x = doctor_result(r, NULL);
    struct queue q = {0};
    const int64_t limit = r->d->config->doctor->queue_age_ms;
    result_limit(r, x, "below %s", str_format_duration(limit, most));
    if (!queue_read(r, x, &q))
        return;
    const int64_t ms = q.since ? clock_wall_ms() - q.since : 0;
    str_format_duration(ms > 0 ? ms : 0, age);
    if (q.since)
        result_measured(r, x, "the oldest could have begun %s ago", age);
    else
        result_measured(r, x, "none waits");
    result_value(x, (double)ms, "ms");
    result_judge(r, x, ms < limit, "a job has waited for %s", age);
}

/* ---- crashes ---- */

static const char sql_crashes[] =
    "SELECT module, count(*), max(ended_at) FROM module_run WHERE ended_at >= ?1 AND"
    " (signal IS NOT NULL OR oom = 1 OR coalesce(exit_code, 0) <> 0) GROUP BY module ORDER BY module";

struct crashes {
    struct buf names;
    int64_t count;
};

static int on_crash(void *ctx, const struct store_row *row)
{
    struct crashes *c = ctx;
    const char *module = row_text(row, 0);
    c->count += row_int(row, 1);
    return buf_printf(&c->names, "%s%s %lld times", c->names.len ? ", " : "", module ? module : "?",
                      (long long)row_int(row, 1));
}

void check_crash_runs(struct doctor_run *r)
{
    char within[24];
    struct doctor_result *x = doctor_result(r, NULL);
    struct crashes c = {.names = BUF_INIT};
    struct error err = {0};
    const int64_t ms = r->d->config->doctor->crash_ms;
    const struct store_value since = STORE_I(clock_wall_ms() - ms);
    result_limit(r, x, "0 within %s", str_format_duration(ms, within));
    struct store *store = doctor_store(r, x);
    if (!store)
        return;
    int rc = store_query(store, sql_crashes, &since, 1, on_crash, &c, &err);
    store_close(store);
    if (rc != 0) {
        result_unknown(r, x, "%s", err.text[0] ? err.text : error_describe(rc));
    } else {
        result_measured(r, x, "%lld", (long long)c.count);
        result_value(x, (double)c.count, "processes");
        result_judge(r, x, c.count == 0, "ended badly: %s", c.names.data ? c.names.data : "");
    }
    buf_free(&c.names);
}

void check_crash_reports(struct doctor_run *r)
{
    char folder[4200], within[24], newest[256] = "";
    struct doctor_result *x = doctor_result(r, NULL);
    const int64_t ms = r->d->config->doctor->crash_ms, now = clock_wall_ms();
    size_t count = 0;
    result_limit(r, x, "0 within %s", str_format_duration(ms, within));
    if (fs_path(folder, sizeof folder, r->d->c->home, "forensic") != 0) {
        result_unknown(r, x, "its path is too long");
        return;
    }
    DIR *dir = opendir(folder);
    if (!dir && errno != ENOENT) {
        result_unknown(r, x, "%s: %s", folder, strerror(errno));
        return;
    }
    for (const struct dirent *e; dir && (e = readdir(dir));) {
        struct stat st;
        if (!str_starts(e->d_name, "crash-") ||
            fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
            (int64_t)st.st_mtim.tv_sec * 1000 < now - ms)
            continue;
        count++;
        snprintf(newest, sizeof newest, "%.250s", e->d_name);
    }
    if (dir)
        closedir(dir);
    result_measured(r, x, "%zu", count);
    result_value(x, (double)count, "reports");
    result_judge(r, x, count == 0, "%zu new crash reports, such as %s", count, newest);
}
