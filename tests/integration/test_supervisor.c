/* The supervisor and its modules' processes: killed, hung, unable to start, restarted, put in states, started
 * twice, and what is left when the supervisor itself is killed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/str.h"
#include "system.h"

static struct system sys;

static int start(void **state)
{
    (void)state;
    system_init(&sys);
    system_config(&sys, "supervisor:\n  hang_ms: 1500\n  health_interval_ms: 300\n");
    system_up(&sys);
    sys.rough = true;
    return 0;
}

static int stop(void **state)
{
    (void)state;
    system_remove(&sys);
    return 0;
}

static void stops_clean(void **state)
{
    (void)state;
    system_stop(&sys);
}

static bool is_other(const char *module, pid_t before)
{
    pid_t pid = system_module_pid(&sys, module);
    return pid > 0 && pid != before;
}

/* Waits for another process of this module than `before`, healthy. */
static pid_t wait_other(const char *module, pid_t before)
{
    eventually(15000, is_other(module, before));
    system_wait_healthy(&sys);
    return system_module_pid(&sys, module);
}

static void killed(void **state)
{
    static const char *const modules[] = {"link", "switch", "hermes"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(modules); i++) {
        char sql[300];
        pid_t pid = system_module_pid(&sys, modules[i]);
        process_kill(pid, SIGKILL);
        pid_t other = wait_other(modules[i], pid);
        assert_string_equal(system_module(&sys, modules[i], "restarts"), "1");
        assert_non_null(strstr(system_module(&sys, modules[i], "last_exit"), "signal 9"));
        snprintf(sql, sizeof sql,
                 "SELECT signal, exit_code, ended_at >= started_at, oom FROM module_run WHERE module = '%s' "
                 "AND pid = %d",
                 modules[i], (int)pid);
        assert_string_equal(system_row(&sys, sql), "9|null|1|0");
        snprintf(sql, sizeof sql, "SELECT ended_at IS NULL FROM module_run WHERE module = '%s' AND pid = %d",
                 modules[i], (int)other);
        assert_string_equal(system_row(&sys, sql), "1");
        /* Also when it was Link: the event waits for its return. */
        snprintf(sql, sizeof sql,
                 "SELECT count(*) FROM event WHERE type = 'system.alert' AND source = 'supervisor' AND "
                 "payload LIKE '%%%s ended%%'",
                 modules[i]);
        eventually(10000, system_count(&sys, sql) == 1);
    }
}

/* Each restart in a row waits twice as long. */
static void back_off(void **state)
{
    int64_t begun = clock_mono_ms();
    (void)state;
    for (int i = 0; i < 3; i++) {
        pid_t pid = system_module_pid(&sys, "switch");
        assert_true(pid > 0);
        process_kill(pid, SIGKILL);
        eventually(15000, is_other("switch", pid));
    }
    /* The one of the test before counted too: 0.2 + 0.4 + 0.8 s. */
    assert_true(clock_mono_ms() - begun >= 1400);
    system_wait_healthy(&sys);
}

/* A process that stands still is ended and leaves a report of where it stood. */
static void hung(void **state)
{
    char sql[300];
    pid_t pid = system_module_pid(&sys, "switch");
    (void)state;
    process_kill(pid, SIGSTOP);
    pid_t other = wait_other("switch", pid);
    assert_true(other > 0);
    assert_non_null(strstr(system_module(&sys, "switch", "last_exit"), "stopped answering"));
    assert_non_null(strstr(system_module(&sys, "switch", "last_exit"), "report in forensic/crash-switch-"));
    snprintf(sql, sizeof sql,
             "SELECT crash_report LIKE 'forensic/crash-switch-%%' FROM module_run WHERE module = 'switch' "
             "AND pid = %d",
             (int)pid);
    assert_int_equal(system_count(&sys, sql), 1);
}

/* A crash leaves a report: what ran, where, and what was said last. */
static void crashed(void **state)
{
    char name[200] = "", sql[300];
    struct buf report = BUF_INIT;
    struct http_at at = system_switch(&sys);
    pid_t pid = system_module_pid(&sys, "switch");
    (void)state;
    at.headers = "X-Request-Id: itest-last-words\r\n";
    assert_int_equal(http_status(&at, "GET", "/switch/context", NULL), 200);
    /* The record comes once the reply is gone, which its reader may be ahead of. */
    eventually(5000, system_has_text(&sys, "log/switch.log", "itest-last-words"));
    process_kill(pid, SIGSEGV);
    wait_other("switch", pid);
    const char *last = system_module(&sys, "switch", "last_exit");
    assert_non_null(strstr(last, "signal 11"));
    const char *file = strstr(last, "forensic/");
    assert_non_null(file);
    snprintf(name, sizeof name, "%.*s", (int)strcspn(file, " ;"), file);
    system_read(&sys, name, &report);
    assert_non_null(strstr(report.data, "SIGSEGV"));
    assert_non_null(strstr(report.data, "module: switch"));
    assert_non_null(strstr(report.data, "request_id:"));
    assert_non_null(strstr(report.data, "itest-last-words")); /* among the last records of the log */
    assert_non_null(strstr(report.data, "build_id"));
    assert_null(strstr(report.data, sys.token));
    buf_free(&report);
    snprintf(sql, sizeof sql,
             "SELECT signal, crash_report FROM module_run WHERE module = 'switch' AND pid = %d", (int)pid);
    char want[240];
    snprintf(want, sizeof want, "11|%s", name);
    assert_string_equal(system_row(&sys, sql), want);
    eventually(
        5000,
        system_count(
            &sys,
            "SELECT count(*) FROM event WHERE payload LIKE '%switch ended: signal 11%crash-switch-%'") == 1);
}

/* ---- restart, states ---- */

static void restart(void **state)
{
    struct http_reply r;
    pid_t pid = system_module_pid(&sys, "hermes");
    (void)state;
    system_control(&sys, &r, "/supervisor/modules/hermes/restart", "{}");
    assert_status(&r, 200);
    assert_string_equal(http_text(&r, "/process"), "running");
    assert_true(http_int(&r, "/pid") > 0 && http_int(&r, "/pid") != pid);
    assert_string_equal(http_text(&r, "/last_exit"), "exit status 0");
    http_free(&r);
    system_control(&sys, &r, "/supervisor/modules/madre/restart", "{}");
    assert_error(&r, 404, "module_not_found");
    assert_non_null(strstr(http_text(&r, "/error/message"), "hermes"));
    http_free(&r);
    system_control(&sys, &r, "/supervisor/modules/hermes/state", "{\"state\":\"asleep\"}");
    assert_status(&r, 422);
    assert_string_equal(http_text(&r, "/error/param"), "/state");
    http_free(&r);
}

static void set_state(const char *module, const char *word)
{
    struct http_reply r;
    char path[100], body[100];
    snprintf(path, sizeof path, "/supervisor/modules/%s/state", module);
    snprintf(body, sizeof body, "{\"state\":\"%s\",\"reason\":\"a test\"}", word);
    system_control(&sys, &r, path, body);
    assert_status(&r, 200);
    assert_string_equal(http_text(&r, "/state"), word);
    http_free(&r);
}

static void states_outlive_a_restart(void **state)
{
    struct http_at at;
    struct http_reply r;
    (void)state;
    set_state("hermes", "off");
    set_state("switch", "standby");
    assert_string_equal(system_module(&sys, "hermes", "process"), "stopped");
    assert_string_equal(system_module(&sys, "hermes", "pid"), "");
    assert_string_equal(system_row(&sys, "SELECT state, reason FROM module_state WHERE module = 'hermes'"),
                        "off|a test");
    at = system_link(&sys);
    http(&r, &at, "GET", "/vx11/status", NULL);
    assert_string_equal(http_text(&r, "/modules/2/state"), "off");
    assert_string_equal(http_text(&r, "/modules/2/status"), "down");
    assert_true(yyjson_get_bool(yyjson_doc_ptr_get(r.json, "/ok"))); /* off is not unhealthy */
    http_free(&r);
    system_control(&sys, &r, "/supervisor/modules/hermes/restart", "{}");
    assert_error(&r, 409, "module_off");
    http_free(&r);
    system_stop(&sys);
    system_up(&sys);
    assert_string_equal(system_module(&sys, "hermes", "state"), "off");
    assert_string_equal(system_module(&sys, "hermes", "pid"), "");
    assert_string_equal(system_module(&sys, "switch", "state"), "standby");
    at = system_switch(&sys);
    assert_int_equal(http_status(&at, "GET", "/v1/models", NULL), 503);
    assert_int_equal(http_status(&at, "GET", "/health", NULL), 200);
    set_state("switch", "active");
    set_state("hermes", "active");
    system_wait_healthy(&sys);
    eventually(8000, http_status(&at, "GET", "/v1/models", NULL) == 200);
}

/* ---- start ---- */

static void twice(void **state)
{
    struct system other = sys;
    struct buf out = BUF_INIT;
    char pid[40];
    (void)state;
    snprintf(pid, sizeof pid, "(process %d", (int)sys.pid);
    assert_int_equal(system_run(&sys, &out, (const char *const[]){"up", "--detach", NULL}), 0);
    assert_non_null(strstr(out.data, "runs already"));
    assert_non_null(strstr(out.data, pid));
    buf_free(&out);
    assert_false(system_launch(&other)); /* past the command's own look */
    assert_non_null(strstr(other.words, "runs already"));
    assert_non_null(strstr(other.words, pid));
    assert_int_equal(system_wait_exit(&other, 5000), 2);
    system_wait_healthy(&sys); /* it has not hurt the one that runs */
}

static int listen_on(int port)
{
    struct sockaddr_in in = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof in), 0);
    assert_int_equal(listen(fd, 8), 0);
    return fd;
}

static void port_taken(void **state)
{
    struct buf out = BUF_INIT;
    char me[40];
    (void)state;
    system_stop(&sys);
    int fd = listen_on(sys.switch_port);
    snprintf(me, sizeof me, "%d", (int)getpid());
    assert_int_equal(system_run(&sys, &out, (const char *const[]){"up", "--detach", NULL}), 1);
    assert_non_null(strstr(out.data, "switch"));
    assert_non_null(strstr(out.data, me)); /* who holds it */
    assert_non_null(strstr(out.data, "itest"));
    buf_free(&out);
    system_check_gone(&sys); /* a start that failed leaves nothing running */
    /* The supervisor itself goes on trying, says why, and succeeds once the port is free. */
    assert_true(system_launch(&sys));
    eventually(10000, strstr(system_module(&sys, "switch", "reason"), me) != NULL);
    assert_true(strcmp(system_module(&sys, "switch", "process"), "running") != 0);
    assert_string_equal(system_module(&sys, "link", "process"), "running"); /* it costs that module only */
    close(fd);
    system_wait_healthy(&sys);
    assert_string_equal(system_module(&sys, "switch", "reason"), "");
}

/* ---- the supervisor's own end ---- */

static void supervisor_killed(void **state)
{
    (void)state;
    pid_t link = system_module_pid(&sys, "link");
    process_kill(sys.pid, SIGKILL);
    assert_int_equal(system_wait_exit(&sys, 5000), 1000 + SIGKILL);
    eventually(15000, !process_lives(link));
    system_up(&sys); /* nothing is in the way */
    struct http_at at = system_link(&sys);
    assert_int_equal(http_status(&at, "GET", "/v1/models", NULL), 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(killed),
        cmocka_unit_test(back_off),
        cmocka_unit_test(hung),
        cmocka_unit_test(crashed),
        cmocka_unit_test(restart),
        cmocka_unit_test(states_outlive_a_restart),
        cmocka_unit_test(twice),
        cmocka_unit_test(port_taken),
        cmocka_unit_test(supervisor_killed),
        cmocka_unit_test(stops_clean),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
