/* Maintain, with everything running: the file gets smaller, every row is either in its table or in the
 * archive, who writes meanwhile loses nothing; killed at any moment, no row is lost.
 * VX11_FILL_INCIDENTS and VX11_FILL_JOBS make it as large as is wanted; see docs/database.md. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/str.h"
#include "store/maintain/archive.h"
#include "store/store.h"
#include "system.h"

static struct system sys;

static const char *scale(const char *name, const char *usual)
{
    const char *value = getenv(name);
    return value && value[0] ? value : usual;
}

static void fill(const char *incidents, const char *jobs, const char *decisions)
{
    char database[200];
    int status = 0;
    snprintf(database, sizeof database, "%s", system_path(&sys, "vx11.db"));
    pid_t pid = fork();
    if (pid == 0) {
        execl(getenv("VX11_FILL"), "vx11-fill", database, incidents, jobs, decisions, (char *)NULL);
        _exit(127);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static int setup(void **state)
{
    (void)state;
    system_start(&sys, "store:\n  warn_bytes: 1048576\nswitch:\n  queue:\n    keep_finished: 10000000\n");
    system_stop(&sys);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    system_remove(&sys);
    return 0;
}

static int64_t size_of(const char *name)
{
    struct stat st;
    return stat(system_path(&sys, name), &st) == 0 ? (int64_t)st.st_size : -1;
}

/* ---- somebody who writes ---- */

/* A row every few ms, until it is told to stop; what it wrote, and the longest that it waited, through the
 * pipe. Its rows are young: none of them may leave. */
struct writer {
    pid_t pid;
    int out;
};
struct written {
    int64_t rows, longest_us, failed;
};
static volatile sig_atomic_t enough;
static void on_enough(int number)
{
    (void)number;
    enough = 1;
}

static void write_rows(const char *path, int out)
{
    static const char insert[] = "INSERT INTO tool_run (id, at, kind, name, outcome)"
                                 " VALUES (printf('W%025d', ?1), ?2, 'test', 'writer', 'ok')";
    struct store *s = NULL;
    struct written w = {0};
    struct error err = {0};
    const struct store_options options = {.path = path, .busy_timeout_ms = 10000};
    signal(SIGTERM, on_enough);
    if (store_open(&options, &s, &err) != 0)
        _exit(1);
    while (!enough) {
        const struct store_value row[] = {STORE_I(w.rows + 1), STORE_I(clock_wall_ms())};
        const uint64_t begun = clock_mono_ns();
        if (store_exec(s, insert, row, COUNT_OF(row), NULL, &err) == 0)
            w.rows++;
        else
            w.failed++;
        const int64_t took = (int64_t)(clock_mono_ns() - begun) / 1000;
        w.longest_us = took > w.longest_us ? took : w.longest_us;
        sleep_ms(3);
    }
    ssize_t n = write(out, &w, sizeof w);
    store_close(s);
    _exit(n == (ssize_t)sizeof w ? 0 : 3);
}

static struct writer writer_begin(void)
{
    int ends[2];
    char path[200];
    struct writer w = {0};
    snprintf(path, sizeof path, "%s", system_path(&sys, "vx11.db"));
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    w.pid = fork();
    if (w.pid == 0)
        write_rows(path, ends[1]);
    close(ends[1]);
    w.out = ends[0];
    return w;
}

static struct written writer_end(struct writer *w)
{
    struct written out = {0};
    int status = 0;
    process_kill(w->pid, SIGTERM);
    assert_int_equal(read(w->out, &out, sizeof out), sizeof out);
    assert_int_equal(waitpid(w->pid, &status, 0), w->pid);
    assert_int_equal(status, 0);
    close(w->out);
    return out;
}

/* ---- what a report says ---- */

static yyjson_doc *report_of(const struct buf *out)
{
    const char *json = strchr(out->data, '{');
    yyjson_doc *doc = json ? yyjson_read(json, strlen(json), YYJSON_READ_STOP_WHEN_DONE) : NULL;
    if (!doc)
        fail_msg("no report: %s", out->data);
    return doc;
}

static int64_t number(yyjson_doc *doc, const char *pointer)
{
    return yyjson_get_sint(yyjson_doc_ptr_get(doc, pointer));
}

#define COUNTED                                                                                              \
    "SELECT (SELECT count(*) FROM incident) + (SELECT count(*) FROM job) + (SELECT count(*) FROM decision)"
#define LEFT                                                                                                 \
    "SELECT coalesce(sum(deleted_rows), 0) FROM archive WHERE table_name IN ('incident', 'job', 'decision')"

static void run(const char *const *args, int want, struct buf *out)
{
    buf_clear(out);
    const int code = system_run(&sys, out, args);
    if (code != want)
        fail_msg("%s %s: exit %d: %.2000s", args[0], args[1], code, out->data ? out->data : "");
}

static pid_t maintain_begin(const char *option, const char *value)
{
    char bin[300], home[200], file[300];
    snprintf(bin, sizeof bin, "%s", getenv("VX11_BIN"));
    snprintf(home, sizeof home, "%s", sys.home);
    snprintf(file, sizeof file, "%s", value ? value : "");
    pid_t pid = fork();
    if (pid == 0) {
        int null = open("/dev/null", O_RDWR);
        dup2(null, 1);
        dup2(null, 2);
        setenv("VX11_HOME", home, 1);
        execl(bin, "vx11", "db", "maintain", option, value ? file : NULL, (char *)NULL);
        _exit(127);
    }
    return pid;
}

/* ---- tests ---- */

static void beside_everything(void **state)
{
    (void)state;
    struct buf out = BUF_INIT;
    struct http_reply r = {0};
    fill(scale("VX11_FILL_INCIDENTS", "24000"), scale("VX11_FILL_JOBS", "6000"), "2000");
    const int64_t before = system_count(&sys, COUNTED), bytes = size_of("vx11.db");
    system_up(&sys);
    struct writer w = writer_begin();
    int status = 0; /* it may take longer than system_run waits */
    const pid_t pid = maintain_begin("--report", system_path(&sys, "report.json"));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    const struct written written = writer_end(&w);
    system_read(&sys, "report.json", &out);
    yyjson_doc *report = report_of(&out);
    assert_int_equal(status, 0);
    assert_true(yyjson_get_bool(yyjson_doc_ptr_get(report, "/ok")));
    print_message(
        "[ %lld rows, %lld bytes -> %lld bytes; %lld left, %lld archived in %lld bytes; held %.1f ms; "
        "a writer of %lld rows waited %.1f ms at most; %lld ms ]\n",
        (long long)before, (long long)bytes, (long long)number(report, "/bytes_after"),
        (long long)number(report, "/deleted_rows"), (long long)number(report, "/archived_rows"),
        (long long)number(report, "/archive_bytes"),
        yyjson_get_num(yyjson_doc_ptr_get(report, "/longest_hold_ms")), (long long)written.rows,
        (double)written.longest_us / 1000, (long long)number(report, "/duration_ms"));
    assert_true(number(report, "/bytes_after") < bytes * 2 / 3);
    assert_int_equal(written.failed, 0);
    assert_true(written.rows > 0);
    assert_int_equal(system_count(&sys, "SELECT count(*) FROM tool_run WHERE name = 'writer'"), written.rows);
    assert_int_equal(system_count(&sys, COUNTED) + system_count(&sys, LEFT), before);
    assert_int_equal(system_count(&sys, "SELECT count(*) FROM job WHERE state = 'queued'"),
                     strtoll(scale("VX11_FILL_JOBS", "6000"), NULL, 10) / 100);
    run((const char *[]){"db", "archive", "verify", NULL}, 0, &out);
    run((const char *[]){"db", "maintain", "--last", NULL}, 0, &out);
    assert_non_null(strstr(out.data, "**Done**"));
    /* The page's way to it. */
    struct http_at at = system_link(&sys);
    char path[100];
    http(&r, &at, "GET", "/supervisor/maintenance", NULL);
    assert_status(&r, 200);
    snprintf(path, sizeof path, "/supervisor/maintenance/%s",
             yyjson_get_str(yyjson_doc_ptr_get(report, "/id")));
    assert_non_null(strstr(r.raw.body.data, path + 24));
    http_free(&r);
    http(&r, &at, "GET", path, NULL);
    assert_status(&r, 200);
    http_free(&r);
    http(&r, &at, "GET", "/supervisor/maintenance/01ARZ3NDEKTSV4RRFFQ69G5FAV", NULL);
    assert_status(&r, 404);
    /* The file is past its warning: the supervisor says so. */
    struct http_at supervisor = system_supervisor(&sys);
    http_free(&r);
    http(&r, &supervisor, "GET", "/health", NULL);
    assert_non_null(strstr(r.raw.body.data, "\"database\""));
    /* A full compaction is refused while others run. */
    run((const char *[]){"db", "maintain", "--compact", NULL}, 1, &out);
    assert_non_null(strstr(out.data, "--stop"));
    run((const char *[]){"db", "check", "--quick", NULL}, 2, &out); /* sound, and past its warning */
    http_free(&r);
    yyjson_doc_free(report);
    buf_free(&out);
    system_stop(&sys);
}

/* ---- as the supervisor does it ---- */

/* Niceness of each of a process's threads: of the first, and the greatest. false: it is gone. */
static bool niceness(int64_t pid, long *first, long *greatest)
{
    char path[100];
    struct dirent *e;
    snprintf(path, sizeof path, "/proc/%lld/task", (long long)pid);
    DIR *dir = opendir(path);
    if (!dir)
        return false;
    *first = *greatest = -100;
    while ((e = readdir(dir))) {
        if (e->d_name[0] == '.')
            continue;
        const long tid = strtol(e->d_name, NULL, 10), nice = getpriority(PRIO_PROCESS, (id_t)tid);
        if (tid == pid)
            *first = nice;
        *greatest = nice > *greatest ? nice : *greatest;
    }
    closedir(dir);
    return *first != -100;
}

static void chore_read(struct http_reply *r, const char *path)
{
    const struct http_at at = system_supervisor(&sys);
    http_free(r);
    http(r, &at, "GET", path, NULL);
    assert_status(r, 200);
}

/* Asks for a maintenance; its path, once its process runs. */
static int64_t chore_begin_maintain(struct http_reply *r, char path[128])
{
    const struct http_at at = system_supervisor(&sys);
    http_free(r);
    http(r, &at, "POST", "/supervisor/chores", "{\"kind\":\"maintain\"}");
    assert_status(r, 202);
    snprintf(path, 128, "/supervisor/chores/%s", http_text(r, "/id"));
    do
        chore_read(r, path);
    while (strcmp(http_text(r, "/state"), "queued") == 0);
    assert_string_equal(http_text(r, "/state"), "running");
    return http_int(r, "/pid");
}

static void chore_wait(struct http_reply *r, const char *path, const char *state)
{
    eventually(60000, (chore_read(r, path), strcmp(http_text(r, "/state"), "running") != 0));
    if (strcmp(http_text(r, "/state"), state) != 0)
        fail_msg("%s: %s", path, r->raw.body.data);
}

/* The thread that holds the lock keeps its priority; those that read long give way. */
static void as_a_chore(void **state)
{
    (void)state;
    struct http_reply r = {0};
    char path[128];
    const long own = getpriority(PRIO_PROCESS, 0), low = own > 10 ? own : 10;
    long first, greatest, seen = -100;
    fill("15000", "4000", "1000");
    const int64_t before = system_count(&sys, COUNTED);
    system_up(&sys);
    int64_t pid = chore_begin_maintain(&r, path);
    while (niceness(pid, &first, &greatest)) {
        assert_int_equal(first, own);
        seen = greatest > seen ? greatest : seen;
        sleep_ms(2);
    }
    assert_int_equal(seen, low);
    chore_wait(&r, path, "done");
    assert_int_equal(system_count(&sys, COUNTED) + system_count(&sys, LEFT), before);
    http_free(&r);
    system_stop(&sys);
}

/* Half of it done is no harm, and the next one does the rest. */
static void as_a_chore_cancelled(void **state)
{
    (void)state;
    struct http_reply r = {0};
    struct buf out = BUF_INIT;
    char path[128];
    fill("15000", "4000", "1000");
    const int64_t before = system_count(&sys, COUNTED);
    system_up(&sys);
    const struct http_at at = system_supervisor(&sys);
    chore_begin_maintain(&r, path);
    sleep_ms(200);
    http_free(&r);
    http(&r, &at, "DELETE", path, NULL);
    assert_status(&r, 202);
    chore_wait(&r, path, "cancelled");
    http_free(&r);
    http(&r, &at, "DELETE", path, NULL);
    assert_error(&r, 409, "chore_ended");
    assert_int_equal(system_count(&sys, "SELECT count(*) FROM chore WHERE state = 'cancelled'"), 1);
    assert_int_equal(system_count(&sys, COUNTED) + system_count(&sys, LEFT), before);
    chore_begin_maintain(&r, path);
    chore_wait(&r, path, "done");
    assert_int_equal(system_count(&sys, COUNTED) + system_count(&sys, LEFT), before);
    run((const char *[]){"db", "archive", "verify", NULL}, 0, &out);
    http_free(&r);
    buf_free(&out);
    system_stop(&sys);
}

/* ---- kill -9 ---- */

/* Puts the id of each line into a table of its own. */
struct taking {
    sqlite3 *db;
    sqlite3_stmt *stmt;
};

static void take_line(struct taking *t, const char *line)
{
    const char *id = strstr(line, "\"id\":\"");
    if (!id || strncmp(line, "{\"vx11_archive\"", 15) == 0)
        return;
    sqlite3_bind_text(t->stmt, 1, id + 6, 26, SQLITE_TRANSIENT);
    assert_int_equal(sqlite3_step(t->stmt), SQLITE_DONE);
    sqlite3_reset(t->stmt);
}

static int add_lines(void *ctx, const char *data, size_t len)
{
    return buf_append(ctx, data, len);
}

/* listed: bytes of lines that rows of `archive` know of. Behind them may lie what a run that was killed had
 * begun. */
static void take_file(struct taking *t, const char *path, int64_t listed)
{
    struct buf out = BUF_INIT;
    struct error err = {0};
    int rc = archive_show(system_path(&sys, "archive"), path, add_lines, &out, &err);
    assert_true(rc == 0 || rc == VX11_ECORRUPT);
    assert_true((int64_t)out.len >= listed);
    out.data[listed] = '\0';
    char *save = NULL;
    for (char *line = strtok_r(out.data, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
        take_line(t, line);
    buf_free(&out);
}

/* Every row that was there is in a table or in a listed file. */
static void assert_nothing_lost(int64_t before)
{
    struct taking t = {0};
    sqlite3_stmt *files = NULL;
    char sql[400];
    assert_int_equal(sqlite3_open(":memory:", &t.db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(t.db, "CREATE TABLE seen (id TEXT PRIMARY KEY)", NULL, NULL, NULL),
                     SQLITE_OK);
    snprintf(sql, sizeof sql, "ATTACH '%s' AS vx", system_path(&sys, "vx11.db"));
    assert_int_equal(sqlite3_exec(t.db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(t.db, "INSERT OR IGNORE INTO seen VALUES (?1)", -1, &t.stmt, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_exec(t.db,
                                  "INSERT INTO seen SELECT id FROM vx.incident UNION SELECT id FROM vx.job"
                                  " UNION SELECT id FROM vx.decision",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_prepare_v2(
        t.db,
        "SELECT path, sum(content_bytes) FROM vx.archive WHERE table_name IN ('incident', 'job', 'decision')"
        " GROUP BY path",
        -1, &files, NULL);
    while (sqlite3_step(files) == SQLITE_ROW)
        take_file(&t, (const char *)sqlite3_column_text(files, 0), sqlite3_column_int64(files, 1));
    sqlite3_finalize(files);
    sqlite3_finalize(t.stmt);
    sqlite3_prepare_v2(t.db, "SELECT count(*) FROM seen", -1, &files, NULL);
    assert_int_equal(sqlite3_step(files), SQLITE_ROW);
    assert_int_equal(sqlite3_column_int64(files, 0), before);
    sqlite3_finalize(files);
    sqlite3_close(t.db);
}

static void killed_at_any_moment(void **state)
{
    (void)state;
    struct buf out = BUF_INIT;
    fill("8000", "4000", "0");
    const int64_t before = system_count(&sys, COUNTED);
    unsigned seed = 4711;
    int cut = 0;
    for (int i = 0; i < 8; i++) {
        int status = 0;
        pid_t pid = maintain_begin("--no-backup", NULL);
        sleep_ms(30 + (int)(rand_r(&seed) % 350));
        process_kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        cut += WIFSIGNALED(status);
        assert_int_equal(system_count(&sys, COUNTED) + system_count(&sys, LEFT), before);
    }
    print_message("[ %d of 8 runs were cut off ]\n", cut);
    run((const char *[]){"db", "maintain", "--json", NULL}, 0, &out);
    assert_int_equal(system_count(&sys, COUNTED) + system_count(&sys, LEFT), before);
    assert_int_equal(system_count(&sys, "SELECT count(*) FROM maintenance_run WHERE state = 'running'"), 0);
    run((const char *[]){"db", "archive", "verify", NULL}, 0, &out);
    assert_nothing_lost(before);
    /* With nothing else running the file can be made anew as a whole. */
    run((const char *[]){"db", "maintain", "--compact", "--no-backup", NULL}, 0, &out);
    run((const char *[]){"db", "check", NULL}, 2, &out); /* the same */
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(beside_everything, setup, teardown),
        cmocka_unit_test_setup_teardown(as_a_chore, setup, teardown),
        cmocka_unit_test_setup_teardown(as_a_chore_cancelled, setup, teardown),
        cmocka_unit_test_setup_teardown(killed_at_any_moment, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
