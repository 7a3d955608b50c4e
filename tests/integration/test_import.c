/* Import, as a person does it: `vx11 db import` of a predecessor's file while VX11 runs, killed half-way, run
 * once more, and once more; what came over is there for the operator, and the file is as it was. */
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
#include <sodium.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "system.h"

#define MESSAGES  6000 /* so many more than the script has, in 60 sessions */
#define INCIDENTS 20000

static struct system sys;
static char folder[100], old[128];

static void script_run(sqlite3 *db, const char *name)
{
    char path[512], *message = NULL;
    struct buf text = BUF_INIT;
    snprintf(path, sizeof path, "%s/tests/data/legacy/%s", getenv("VX11_SRC"), name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    for (;;) {
        char piece[8192];
        ssize_t n = read(fd, piece, sizeof piece);
        if (n <= 0)
            break;
        buf_append(&text, piece, (size_t)n);
    }
    close(fd);
    buf_append(&text, "", 0);
    if (sqlite3_exec(db, text.data, NULL, NULL, &message) != SQLITE_OK)
        fail_msg("%s: %s", name, message);
    buf_free(&text);
}

static void sql_run_in(const char *path, const char *sql)
{
    sqlite3 *db = NULL;
    char *message = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK)
        fail_msg("%s: %s", sql, message);
    sqlite3_close(db);
}

/* The later shape, with so many rows that an import takes a while. */
static void old_make(void)
{
    static const char *const scripts[] = {"canonical50.sql", "later86.sql", "rows50.sql"};
    char more[2000];
    sqlite3 *db = NULL;
    snprintf(folder, sizeof folder, "%s/old", sys.home);
    snprintf(old, sizeof old, "%s/vx11.db", folder);
    assert_int_equal(mkdir(folder, 0700), 0);
    assert_int_equal(sqlite3_open(old, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "PRAGMA synchronous = OFF; BEGIN", NULL, NULL, NULL), SQLITE_OK);
    for (size_t i = 0; i < sizeof scripts / sizeof scripts[0]; i++)
        script_run(db, scripts[i]);
    assert_int_equal(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    snprintf(more, sizeof more,
             "BEGIN;"
             "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 59)"
             " INSERT INTO operator_session (id, session_id, user_id, source, created_at)"
             " SELECT 100 + i, 'many-' || i, 'local', 'web', '2025-12-15 10:00:00.000000' FROM n;"
             "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
             " INSERT INTO operator_message (id, session_id, role, content, created_at)"
             " SELECT 100 + i, 'many-' || (i %% 60), iif(i / 60 %% 2 = 0, 'user', 'assistant'),"
             " 'Sentence number ' || i || ' of the colony', '2025-12-15T10:00:01.5Z' FROM n;"
             "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
             " INSERT INTO incidents (ant_id, incident_type, severity, location, status, detected_at)"
             " SELECT 'scanner_many', 'orphan_db', 'high', 'data/' || (i %% 700), 'open',"
             " strftime('%%Y-%%m-%%d %%H:%%M:%%S', 1765800000 + i, 'unixepoch') || '.250000' FROM n;"
             "COMMIT",
             MESSAGES - 1, INCIDENTS - 1);
    sql_run_in(old, more);
}

static int start(void **state)
{
    (void)state;
    system_start(&sys, NULL);
    old_make();
    return 0;
}

static int stop(void **state)
{
    (void)state;
    system_remove(&sys);
    return 0;
}

#define RUN(out, ...)                                                                                        \
    (buf_clear(out), system_run(&sys, out, (const char *const[]){"db", "import", __VA_ARGS__, NULL}))

/* A number of --json's, by its name; the first of that name that is not a table's. */
static int64_t number_of(const struct buf *out, const char *name)
{
    char want[64];
    snprintf(want, sizeof want, "\n  \"%s\": ", name);
    const char *at = strstr(out->data, want);
    if (!at)
        fail_msg("no %s in %.500s", name, out->data);
    return at ? strtoll(at + strlen(want), NULL, 10) : -1;
}

/* Bytes and time of the file, and the names beside it. */
static void folder_state(char out[400])
{
    crypto_generichash_state hash;
    unsigned char sum[16], piece[65536];
    struct stat st;
    crypto_generichash_init(&hash, NULL, 0, sizeof sum);
    int fd = open(old, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0 && fstat(fd, &st) == 0);
    for (ssize_t n; (n = read(fd, piece, sizeof piece)) > 0;)
        crypto_generichash_update(&hash, piece, (unsigned long long)n);
    close(fd);
    crypto_generichash_final(&hash, sum, sizeof sum);
    sodium_bin2hex(out, 33, sum, sizeof sum);
    int files = 0;
    DIR *d = opendir(folder);
    assert_non_null(d);
    while (readdir(d))
        files++;
    closedir(d);
    snprintf(out + 32, 300, " %lld %lld.%09ld %d", (long long)st.st_size, (long long)st.st_mtim.tv_sec,
             st.st_mtim.tv_nsec, files);
}

static void a_dry_run_writes_nothing(void **state)
{
    struct buf out = BUF_INIT;
    char before[400], after[400];
    (void)state;
    folder_state(before);
    assert_int_equal(RUN(&out, old, "--dry-run", "--json"), 0);
    assert_int_equal(number_of(&out, "imported"), 63 + 3 + MESSAGES + 2 + 22 + 700);
    assert_non_null(strstr(out.data, "\"shape\": \"86\""));
    assert_int_equal(system_count(&sys, "SELECT (SELECT count(*) FROM incident) + (SELECT count(*) FROM"
                                        " operator_message) + (SELECT count(*) FROM import_row) +"
                                        " (SELECT count(*) FROM import_run) + (SELECT count(*) FROM ledger"
                                        " WHERE kind = 'import')"),
                     0);
    folder_state(after);
    assert_string_equal(before, after);
    buf_free(&out);
}

/* Begun, and killed once some of the messages are there. */
static void kill_half_way(int64_t messages)
{
    int status;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        char *argv[] = {(char *)(uintptr_t)getenv("VX11_BIN"), (char *)(uintptr_t) "db",
                        (char *)(uintptr_t) "import", old, NULL};
        for (size_t i = 0; i < sys.env_count; i++)
            putenv(sys.env[i]);
        int null = open("/dev/null", O_RDWR);
        dup2(null, STDOUT_FILENO);
        dup2(null, STDERR_FILENO);
        execv(argv[0], argv);
        _exit(127);
    }
    while (system_count(&sys, "SELECT count(*) FROM operator_message") < messages &&
           waitpid(pid, &status, WNOHANG) == 0)
        sleep_ms(2);
    process_kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
}

static void all_is_there_once(void)
{
    assert_int_equal(system_count(&sys, "SELECT count(*) FROM operator_session"), 63);
    assert_int_equal(system_count(&sys, "SELECT count(*) FROM operator_message"), MESSAGES + 3);
    assert_int_equal(system_count(&sys, "SELECT sum(message_count) FROM operator_session"), MESSAGES + 3);
    assert_int_equal(system_count(&sys, "SELECT count(*) FROM operator_message_words WHERE"
                                        " operator_message_words MATCH 'colony'"),
                     MESSAGES);
    assert_int_equal(system_count(&sys, "SELECT count(*) FROM operator_tool_call"), 2);
    assert_int_equal(system_count(&sys, "SELECT sum(count) FROM incident"), INCIDENTS + 3000 + 1 + 1);
    assert_int_equal(system_count(&sys, "SELECT count(*) FROM incident"), 700 + 20 + 1 + 1);
    assert_int_equal(system_count(&sys, "SELECT count(*) FROM incident WHERE source = 'scanner_many' AND"
                                        " severity = 'error' AND last_seen_at - first_seen_at >= 18900000"
                                        " AND first_seen_at % 1000 = 250"),
                     700);
}

static void killed_and_run_again(void **state)
{
    struct buf out = BUF_INIT;
    char before[400], after[400];
    (void)state;
    folder_state(before);
    kill_half_way(1);
    kill_half_way(2500);
    assert_int_equal(RUN(&out, old, "--json"), 0);
    all_is_there_once();
    assert_true(number_of(&out, "known") > 0);
    assert_true(system_count(&sys, "SELECT count(*) FROM import_run WHERE ended_at IS NULL") > 0);
    assert_int_equal(RUN(&out, old, "--json"), 0);
    assert_int_equal(number_of(&out, "imported") + number_of(&out, "merged"), 0);
    all_is_there_once();
    folder_state(after);
    assert_string_equal(before, after);
    buf_free(&out);
}

/* Through the front door, as any session that was held here. */
static void the_operator_sees_it(void **state)
{
    struct http_reply r;
    struct http_at link = system_link(&sys);
    char path[200];
    (void)state;
    http(&r, &link, "GET", "/operator/search?q=kitchen", NULL);
    assert_status(&r, 200);
    snprintf(path, sizeof path, "/operator/sessions/%s", http_text(&r, "/hits/0/session_id"));
    http_free(&r);
    http(&r, &link, "GET", path, NULL);
    assert_status(&r, 200);
    assert_non_null(strstr(r.raw.body.data, "How do ants find the kitchen?"));
    assert_non_null(strstr(r.raw.body.data, "By pheromones, mostly."));
    assert_non_null(strstr(r.raw.body.data, "no network"));
    http_free(&r);
    http(&r, &link, "GET", "/operator/sessions?limit=100", NULL);
    assert_status(&r, 200);
    http_free(&r);
}

static void the_database_is_sound_after(void **state)
{
    struct buf out = BUF_INIT;
    (void)state;
    int code = system_run(&sys, &out, (const char *const[]){"db", "check", NULL});
    if (code != 0 && code != 2)
        fail_msg("db check: exit %d: %s", code, out.data);
    buf_clear(&out);
    if (system_run(&sys, &out, (const char *const[]){"ledger", "verify", NULL}) != 0)
        fail_msg("ledger verify: %s", out.data);
    assert_int_equal(system_count(&sys, "SELECT count(*) FROM ledger WHERE kind = 'import'"),
                     system_count(&sys, "SELECT count(*) FROM import_run WHERE ended_at > 0"));
    buf_free(&out);
}

/* A file whose log holds rows, behind a link; a damaged one; one of another program; our own; none. */
static void other_files(void **state)
{
    struct buf out = BUF_INIT;
    char link[140], path[140], report[140];
    sqlite3 *db = NULL;
    (void)state;
    sql_run_in(old, "PRAGMA journal_mode = WAL");
    assert_int_equal(sqlite3_open(old, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db,
                                  "INSERT INTO operator_session (session_id, user_id, source, created_at)"
                                  " VALUES ('in-the-log', 'local', 'web', '2025-12-20 00:00:00')",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    snprintf(link, sizeof link, "%s/link.db", sys.home);
    snprintf(report, sizeof report, "%s/report.md", sys.home);
    assert_int_equal(symlink(old, link), 0);
    assert_int_equal(RUN(&out, link, "--json", "--report", report), 0);
    assert_int_equal(number_of(&out, "imported"), 1);
    assert_true(system_has_text(&sys, "report.md", "| switch_queue_v2 | 2 | - | 0 | 0 | 0 | 2 |"));
    assert_true(system_has_text(&sys, "report.md", "nobody_knows_this_one"));
    sqlite3_close(db);
    snprintf(path, sizeof path, "%s/other.db", sys.home);
    sql_run_in(path, "CREATE TABLE songs (id INTEGER PRIMARY KEY)");
    assert_int_equal(RUN(&out, path), 1);
    assert_non_null(strstr(out.data, "no predecessor's database"));
    assert_non_null(strstr(out.data, "songs"));
    int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
    assert_true(fd >= 0 && write(fd, "this is no database at all", 26) == 26 && close(fd) == 0);
    assert_int_equal(RUN(&out, path), 1);
    assert_int_equal(RUN(&out, system_path(&sys, "vx11.db")), 1);
    assert_int_equal(RUN(&out, "/nonexistent/vx11.db"), 1);
    assert_int_equal(RUN(&out, "--dry-run"), 64);
    buf_free(&out);
}

static void stops_well(void **state)
{
    (void)state;
    system_stop(&sys);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_dry_run_writes_nothing),
        cmocka_unit_test(killed_and_run_again),
        cmocka_unit_test(the_operator_sees_it),
        cmocka_unit_test(the_database_is_sound_after),
        cmocka_unit_test(other_files),
        cmocka_unit_test(stops_well),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
