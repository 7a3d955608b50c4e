/* Doctor: the verdict on a system that is well, and on one that is broken in each of the ways that it is
 * there to find; what --fix mends; what is kept; liveness and readiness of the front door. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/supervisor.h"
#include "base/arena.h"
#include "base/fs.h"
#include "base/str.h"
#include "system.h"

static struct system sys;
static struct buf said = BUF_INIT;
static struct arena *arena;
static struct supervisor_doctor_report report;

/* Runs `vx11 doctor --json ARGUMENTS` and reads what it prints by the contract; its exit code. */
static int doctor_in(const char *const *arguments)
{
    const char *argv[16] = {"doctor", "--json"};
    struct contract_error bad;
    for (size_t i = 0; i < 12 && arguments[i]; i++)
        argv[i + 2] = arguments[i];
    buf_clear(&said);
    arena_reset(arena);
    int code = system_run(&sys, &said, argv);
    const char *json = said.data ? strchr(said.data, '{') : NULL;
    if (!json ||
        supervisor_doctor_report_parse(arena, arena_strdup(arena, json), strlen(json), &report, &bad) != 0)
        fail_msg("exit code %d, no report: %s", code, said.data ? said.data : "");
    static const int codes[] = {0, 2, 1};
    assert_int_equal(code, codes[report.verdict]);
    return code;
}
#define doctor(...) doctor_in((const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

/* The result of a check on a subject (NULL: the first one). */
static const struct supervisor_doctor_check *check(const char *id, const char *subject)
{
    for (size_t i = 0; i < report.checks_count; i++)
        if (str_eq(report.checks[i].id, id) && (!subject || str_eq(report.checks[i].subject, subject)))
            return &report.checks[i];
    fail_msg("there is no result of %s %s", id, subject ? subject : "");
    return NULL;
}

#define failed(id, subject) assert_int_equal(check(id, subject)->state, SUPERVISOR_DOCTOR_CHECK_STATE_FAILED)
#define passed(id, subject) assert_int_equal(check(id, subject)->state, SUPERVISOR_DOCTOR_CHECK_STATE_OK)

static void say_bad(void)
{
    for (size_t i = 0; i < report.checks_count; i++) {
        const struct supervisor_doctor_check *c = &report.checks[i];
        if (c->state != SUPERVISOR_DOCTOR_CHECK_STATE_OK)
            print_message("%s %s: %s\n", c->id, c->subject ? c->subject : "", c->reason);
    }
}

static int begin(void **state)
{
    (void)state;
    arena = arena_create(0);
    system_init(&sys);
    /* The machine that tests run on may be small. */
    system_env(&sys, "VX11_DOCTOR__DISK_WARN_BYTES=0");
    system_env(&sys, "VX11_DOCTOR__DISK_MIN_BYTES=0");
    system_env(&sys, "VX11_DOCTOR__MEMORY_WARN_BYTES=0");
    system_config(&sys, "operator:\n  browser:\n    mode: \"off\"\n");
    system_up(&sys);
    return 0;
}

static int end(void **state)
{
    (void)state;
    system_remove(&sys);
    buf_free(&said);
    arena_destroy(arena);
    return 0;
}

/* ---- a system that is well ---- */

static void test_ready(void **state)
{
    (void)state;
    struct http_at at = system_link(&sys), nobody = at;
    struct http_reply r;
    char path[128];
    /* Hermes hashes the guide on the side; until then its hash is unknown, which is a warning. */
    eventually(30000, doctor() == 2 && report.warnings == 2);
    failed("backup.fresh", NULL);
    failed("backup.whole", NULL);
    assert_string_equal(check("backup.fresh", NULL)->mend, "vx11 db backup");
    assert_true(check("backup.fresh", NULL)->fixable);
    assert_int_equal(report.blocking, 0);
    passed("modules.refuses", "link");
    assert_string_equal(check("modules.refuses", "switch")->measured, "401");
    assert_string_equal(check("modules.accepts", "switch")->measured, "200");
    assert_string_equal(check("sidecars.browser", NULL)->measured, "off, as configured");
    for (size_t i = 0; i < report.checks_count; i++)
        assert_true(report.checks[i].duration_ms > 0);

    assert_int_equal(system_run(&sys, &said, (const char *const[]){"db", "backup", NULL}), 0);
    eventually(20000, doctor("--scheduled") == 0);
    assert_int_equal(report.origin, SUPERVISOR_DOCTOR_ORIGIN_SCHEDULED);
    assert_null(report.not_kept);
    assert_non_null(report.id);

    /* what was kept, by the command, by the front door, whole and in part */
    char id[32];
    snprintf(id, sizeof id, "%s", report.id);
    buf_clear(&said);
    assert_int_equal(system_run(&sys, &said, (const char *const[]){"doctor", "--history", NULL}), 0);
    assert_non_null(strstr(said.data, id));
    assert_non_null(strstr(said.data, "scheduled"));
    http(&r, &at, "GET", "/supervisor/doctor?limit=1", NULL);
    assert_status(&r, 200);
    assert_string_equal(http_text(&r, "/reports/0/id"), id);
    assert_string_equal(http_text(&r, "/reports/0/verdict"), "ready");
    assert_string_equal(http_text(&r, "/next_before"), id);
    http_free(&r);
    snprintf(path, sizeof path, "/supervisor/doctor/%s", id);
    http(&r, &at, "GET", path, NULL);
    assert_status(&r, 200);
    assert_string_equal(http_text(&r, "/id"), id);
    assert_string_equal(http_text(&r, "/checks/0/id"), "modules.supervisor");
    http_free(&r);
    http(&r, &at, "GET", "/supervisor/doctor/01ARZ3NDEKTSV4RRFFQ69G5FAV", NULL);
    assert_error(&r, 404, "report_not_found");
    http_free(&r);
    nobody.token = NULL;
    assert_int_equal(http_status(&nobody, "GET", path, NULL), 401);

    /* a part of it is judged alone, and not kept */
    const int64_t rows = system_count(&sys, "SELECT count(*) FROM doctor_report");
    assert_int_equal(doctor("--only", "libraries,database.write"), 0);
    assert_null(report.id);
    assert_non_null(report.not_kept);
    assert_int_equal(system_count(&sys, "SELECT count(*) FROM doctor_report"), rows);
    passed("database.write", NULL);

    snprintf(path, sizeof path, "%s", system_path(&sys, "report.md"));
    const char *const output[] = {"doctor", "--markdown", "--output", path, NULL};
    assert_int_equal(system_run(&sys, &said, output), 0);
    assert_true(system_has_text(&sys, "report.md", "# VX11 is ready"));
}

/* ---- what is broken ---- */

static mode_t mode_of(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? st.st_mode & 07777 : 0;
}

static void test_permissions(void **state)
{
    (void)state;
    assert_int_equal(chmod(system_path(&sys, "token"), 0644), 0);
    assert_int_equal(chmod(sys.home, 0755), 0);
    assert_int_equal(rmdir(system_path(&sys, "forensic")), 0);
    assert_int_equal(doctor("--only", "permissions,modules.accepts"), 1);
    failed("permissions.secrets", "token");
    failed("permissions.home", NULL);
    failed("permissions.folders", "forensic");
    assert_int_equal(check("modules.accepts", NULL)->state, SUPERVISOR_DOCTOR_CHECK_STATE_UNKNOWN);

    assert_int_equal(doctor("--fix", "--only", "permissions,modules.accepts"), 0);
    assert_int_equal(report.fixes_count, 3);
    for (size_t i = 0; i < report.fixes_count; i++)
        assert_true(report.fixes[i].ok && !report.fixes[i].reason);
    assert_int_equal(mode_of(system_path(&sys, "token")), 0600);
    assert_int_equal(mode_of(sys.home), 0700);
    assert_int_equal(mode_of(system_path(&sys, "forensic")), 0700);
    assert_int_equal(system_count(&sys, "SELECT count(*) FROM ledger WHERE kind = 'doctor.fix'"), 3);

    assert_int_equal(doctor("--fix", "--only", "permissions"), 0);
    assert_int_equal(report.fixes_count, 0);
}

static void test_model_file(void **state)
{
    (void)state;
    char path[512], aside[600];
    snprintf(path, sizeof path, "%s",
             system_row(&sys, "SELECT path FROM model WHERE enabled = 1 ORDER BY name LIMIT 1"));
    snprintf(aside, sizeof aside, "%s.aside", path);
    assert_int_equal(rename(path, aside), 0);
    assert_int_equal(doctor("--only", "models.file,models.header"), 1);
    failed("models.file", NULL);
    failed("models.header", NULL);
    assert_int_equal(fs_write_file_atomic(path, "GGUFnothing", 11, 0600, NULL), 0);
    assert_int_equal(doctor("--only", "models.file,models.header"), 1);
    failed("models.header", NULL);
    assert_int_equal(rename(aside, path), 0);
}

static void module_set(const char *name, const char *wanted)
{
    assert_int_equal(system_run(&sys, &said, (const char *const[]){"modules", "set", name, wanted, NULL}), 0);
}

static void test_modules(void **state)
{
    (void)state;
    module_set("operator", "off");
    assert_int_equal(doctor("--only", "modules,ports"), 2);
    failed("modules.off", NULL);
    passed("ports.held", NULL);
    module_set("operator", "standby");
    assert_int_equal(doctor("--only", "modules"), 1);
    failed("modules.serving", "operator");
    module_set("operator", "active");
    eventually(20000, doctor("--only", "modules") == 0);

    /* one that hangs, and one that is gone */
    const pid_t pid = system_module_pid(&sys, "operator");
    process_kill(pid, SIGSTOP);
    assert_int_equal(doctor("--only", "modules.health", "--timeout", "1s"), 1);
    failed("modules.health", "operator");
    passed("modules.health", "hermes");
    process_kill(pid, SIGCONT);
    sys.rough = true;
    process_kill(system_module_pid(&sys, "operator"), SIGKILL);
    eventually(20000, doctor("--only", "crashes.processes") == 2);
    failed("crashes.processes", NULL);
    eventually(20000, doctor("--only", "modules") == 0);
}

/* ---- liveness and readiness ---- */

static void test_healthz_readyz(void **state)
{
    (void)state;
    struct http_at at = system_link(&sys);
    struct http_reply r;
    at.token = NULL;
    http(&r, &at, "GET", "/healthz", NULL);
    assert_status(&r, 200);
    assert_true(strstr(r.raw.body.data, "\"ok\":true") != NULL);
    http_free(&r);
    eventually(20000, http_status(&at, "GET", "/readyz", NULL) == 200);

    module_set("hermes", "standby");
    eventually(10000, http_status(&at, "GET", "/readyz", NULL) == 503);
    http(&r, &at, "GET", "/readyz", NULL);
    assert_status(&r, 503);
    assert_string_equal(http_text(&r, "/reasons/0/module"), "hermes");
    assert_string_equal(http_text(&r, "/reasons/0/reason"), "it is in standby");
    http_free(&r);
    module_set("hermes", "off");
    eventually(10000, http_status(&at, "GET", "/readyz", NULL) == 200);
    http(&r, &at, "GET", "/readyz", NULL);
    assert_string_equal(http_text(&r, "/off/0"), "hermes");
    http_free(&r);
    module_set("hermes", "active");

    /* what does not answer in time is not ready; and nothing of the machine is told */
    const pid_t pid = system_module_pid(&sys, "switch");
    process_kill(pid, SIGSTOP);
    eventually(10000, http_status(&at, "GET", "/readyz", NULL) == 503);
    http(&r, &at, "GET", "/readyz", NULL);
    assert_null(strstr(r.raw.body.data, sys.home));
    http_free(&r);
    assert_int_equal(http_status(&at, "GET", "/healthz", NULL), 200);
    process_kill(pid, SIGCONT);
    eventually(20000, http_status(&at, "GET", "/readyz", NULL) == 200);

    module_set("switch", "off");
    eventually(10000, http_status(&at, "GET", "/readyz", NULL) == 503);
    assert_int_equal(doctor("--only", "modules.serving"), 1);
    failed("modules.serving", "switch");
    module_set("switch", "active");
    eventually(20000, http_status(&at, "GET", "/readyz", NULL) == 200);
}

/* ---- nothing runs ---- */

static int port_take(int port)
{
    const int one = 1;
    struct sockaddr_in in = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof in), 0);
    assert_int_equal(listen(fd, 1), 0);
    return fd;
}

/* Every page but the first, so that the file still looks like a database. */
static void pages_spoil(const char *path)
{
    struct stat st;
    char noise[4096];
    memset(noise, 0xa5, sizeof noise);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0 && fstat(fd, &st) == 0);
    for (off_t at = 40 * 4096; at + 4096 <= st.st_size; at += 4096)
        assert_int_equal(pwrite(fd, noise, sizeof noise, at), sizeof noise);
    close(fd);
}

static void test_down(void **state)
{
    (void)state;
    system_stop(&sys);
    assert_int_equal(doctor(), 1);
    failed("modules.supervisor", NULL);
    assert_string_equal(check("modules.supervisor", NULL)->mend, "vx11 up");
    failed("modules.health", "link");
    assert_string_equal(check("modules.health", "link")->mend, "vx11 up");
    failed("ports.held", NULL);
    passed("database.open", NULL);
    passed("database.integrity", NULL);
    assert_non_null(report.id); /* the database is there: it is kept */

    int fd = port_take(sys.operator_port);
    char subject[64], me[32];
    snprintf(subject, sizeof subject, "operator:%d", sys.operator_port);
    snprintf(me, sizeof me, "(process %d)", (int)getpid());
    assert_int_equal(doctor("--only", "ports"), 1);
    failed("ports.held", subject);
    assert_non_null(strstr(check("ports.held", subject)->reason, me));
    close(fd);

    system_config(&sys, "link:\n  prot: 1\n");
    assert_int_equal(doctor("--only", "config"), 1);
    assert_non_null(strstr(check("config.valid", NULL)->reason, "prot"));
    system_config(&sys, NULL);

    pages_spoil(system_path(&sys, "vx11.db"));
    assert_int_equal(doctor(), 1);
    assert_true(check("database.integrity", NULL)->state != SUPERVISOR_DOCTOR_CHECK_STATE_OK);
    unlink(system_path(&sys, "vx11.db"));
    unlink(system_path(&sys, "vx11.db-wal"));
    unlink(system_path(&sys, "vx11.db-shm"));
    assert_int_equal(doctor(), 1);
    failed("database.open", NULL);
    assert_null(report.id);
    assert_non_null(report.not_kept);
    assert_false(fs_exists(system_path(&sys, "vx11.db"))); /* to look at it makes none */
}

static void test_words(void **state)
{
    (void)state;
    static const char *const wrong[][4] = {{"doctor", "--only", "nothing", NULL},
                                           {"doctor", "--timeout", "1ms", NULL},
                                           {"doctor", "--history", "--fix", NULL},
                                           {"doctor", "--output", NULL},
                                           {"doctor", "now", NULL}};
    for (size_t i = 0; i < COUNT_OF(wrong); i++)
        assert_int_equal(system_run(&sys, &said, wrong[i]), 64);
    const char *const nowhere[] = {"doctor", "--only", "libraries", "--output", "/nowhere/at/all", NULL};
    assert_int_equal(system_run(&sys, &said, nowhere), 3);
}

static int on_failure(void **state)
{
    (void)state;
    say_bad();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_ready, on_failure),
        cmocka_unit_test(test_permissions),
        cmocka_unit_test(test_model_file),
        cmocka_unit_test(test_modules),
        cmocka_unit_test(test_healthz_readyz),
        cmocka_unit_test(test_down),
        cmocka_unit_test(test_words),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
