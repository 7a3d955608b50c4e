/* The orderly end: what runs is finished within the limit, nothing new comes in, nothing that was answered is
 * missing from the accounts. */
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
#include "upstream.h"

static struct system sys;
static struct upstream *up;

static void start_with(int drain_ms)
{
    struct buf yaml = BUF_INIT;
    buf_printf(&yaml, "link:\n  drain_ms: %d\nswitch:\n  providers:\n", drain_ms);
    upstream_yaml(up, &yaml, "cloud", "cloud-model", NULL);
    system_start(&sys, yaml.data);
    buf_free(&yaml);
}

static int start(void **state)
{
    (void)state;
    up = upstream_start();
    return 0;
}

static int stop(void **state)
{
    (void)state;
    upstream_stop(up);
    return 0;
}

static int end(void **state)
{
    (void)state;
    system_remove(&sys);
    return 0;
}

static bool refused(int port)
{
    struct sockaddr_in in = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool is = connect(fd, (struct sockaddr *)&in, sizeof in) != 0;
    close(fd);
    return is;
}

static void running_stream_is_finished(void **state)
{
    struct http_reply r, whole;
    (void)state;
    start_with(8000);
    struct http_at at = system_link(&sys);
    upstream_behave(up, "cloud", UP_DRIP_SHORT);
    int fd = http_open(&at, "POST", "/v1/chat/completions", chat_body("cloud-model", true));
    int events = http_open(&at, "GET", "/events", NULL); /* has no end of its own */
    int idle = http_connect(&at);
    struct upstream_seen seen;
    eventually(8000, (upstream_seen(up, "cloud", &seen), seen.running == 1));
    upstream_behave(up, "cloud", UP_SLOW_HEADERS);
    int second = http_open(&at, "POST", "/v1/chat/completions", chat_body("cloud-model", false));
    eventually(8000, (upstream_seen(up, "cloud", &seen), seen.running == 2));
    kill(sys.pid, SIGTERM);
    eventually(10000, refused(sys.link_port) && refused(sys.page_port));
    assert_true(raw_closed(idle));
    http_read(events, &r);
    assert_true(r.raw.complete); /* ended in order, at once */
    http_free(&r);
    http_read(second, &whole);
    assert_status(&whole, 200);
    http_read(fd, &r);
    assert_status(&r, 200);
    assert_true(sse_done(r.raw.body.data));
    assert_int_equal(system_wait_exit(&sys, 8000), 0);
    system_check_gone(&sys);
    assert_string_equal(system_account(&sys, http_header(&r, "X-Request-Id")),
                        "ok|200|cloud|cloud-model|1|7|5|3|null");
    assert_string_equal(system_account(&sys, http_header(&whole, "X-Request-Id")),
                        "ok|200|cloud|cloud-model|1|7|5|3|null");
    http_free(&whole);
    http_free(&r);
    raw_close(fd);
    raw_close(second);
    raw_close(events);
    raw_close(idle);
}

/* One that does not end is cut at the limit; its row says so. */
static void endless_stream_is_cut(void **state)
{
    struct http_reply r;
    (void)state;
    start_with(700);
    struct http_at at = system_link(&sys);
    upstream_behave(up, "cloud", UP_DRIP);
    int fd = http_open(&at, "POST", "/v1/chat/completions", chat_body("cloud-model", true));
    struct upstream_seen seen;
    eventually(8000, (upstream_seen(up, "cloud", &seen), seen.running == 1));
    int64_t begun = clock_mono_ms();
    kill(sys.pid, SIGTERM);
    http_read(fd, &r);
    int64_t took = clock_mono_ms() - begun;
    assert_true(took > 500 && took < 3500);
    assert_false(sse_done(r.raw.body.data));
    assert_int_equal(system_wait_exit(&sys, 8000), 0);
    /* Switch ends it, or Link a moment before. What was read and sent is estimated. */
    const char *row = system_account(&sys, http_header(&r, "X-Request-Id"));
    assert_true(str_starts(row, "failed|503|cloud|cloud-model|1|5|") ||
                str_starts(row, "cancelled|499|cloud|cloud-model|1|5|"));
    http_free(&r);
    raw_close(fd);
    system_check_gone(&sys);
}

static void twice_means_now(void **state)
{
    (void)state;
    start_with(20000);
    struct http_at at = system_link(&sys);
    upstream_behave(up, "cloud", UP_DRIP);
    int fd = http_open(&at, "POST", "/v1/chat/completions", chat_body("cloud-model", true));
    struct upstream_seen seen;
    eventually(8000, (upstream_seen(up, "cloud", &seen), seen.running == 1));
    int64_t begun = clock_mono_ms();
    kill(sys.pid, SIGTERM);
    sleep_ms(500);
    assert_int_equal(system_wait_exit(&sys, 0), -1); /* it waits for the stream */
    kill(sys.pid, SIGTERM);
    assert_int_equal(system_wait_exit(&sys, 8000), 0);
    assert_true(clock_mono_ms() - begun < 6000);
    raw_close(fd);
    system_check_gone(&sys);
}

static void stop_with_a_limit(void **state)
{
    struct http_reply r;
    (void)state;
    start_with(20000);
    struct http_at at = system_link(&sys);
    upstream_behave(up, "cloud", UP_DRIP);
    int fd = http_open(&at, "POST", "/v1/chat/completions", chat_body("cloud-model", true));
    struct upstream_seen seen;
    eventually(8000, (upstream_seen(up, "cloud", &seen), seen.running == 1));
    int64_t begun = clock_mono_ms();
    system_control(&sys, &r, "/supervisor/stop", "{\"limit_ms\":300}");
    assert_status(&r, 202);
    http_free(&r);
    assert_int_equal(system_wait_exit(&sys, 8000), 0);
    assert_true(clock_mono_ms() - begun < 6000);
    raw_close(fd);
    system_check_gone(&sys);
}

/* ---- accounts ---- */

static void every_answer_is_accounted_for(void **state)
{
    enum { N = 400 };
    (void)state;
    start_with(5000);
    struct http_at at = system_link(&sys);
    upstream_behave(up, "cloud", UP_GOOD);
    pid_t sw = system_module_pid(&sys, "switch");
    int fds[4];
    for (int i = 0; i < 4; i++)
        fds[i] = http_connect(&at);
    for (int i = 0; i < N; i += 4) {
        for (int k = 0; k < 4; k++) {
            const char *body = chat_body("cloud-model", k % 2);
            http_send(fds[k], &at, "POST", "/v1/chat/completions", body, strlen(body));
        }
        for (int k = 0; k < 4; k++) {
            struct http_reply r;
            http_read(fds[k], &r);
            assert_status(&r, 200);
            http_free(&r);
        }
    }
    kill(sw, SIGTERM); /* the last rows are still on their way to the disk */
    sys.rough = true;
    eventually(10000, !process_lives(sw) || system_module_pid(&sys, "switch") != sw);
    assert_int_equal(system_count(&sys, "SELECT count(*) FROM decision"), N);
    assert_int_equal(
        system_count(&sys, "SELECT count(DISTINCT request_id) FROM decision WHERE outcome = 'ok'"), N);
    assert_int_equal(system_count(&sys, "SELECT count(*) FROM usage"), N);
    assert_int_equal(system_count(&sys, "SELECT count(DISTINCT decision_id) FROM usage"), N);
    assert_int_equal(system_count(&sys, "SELECT sum(prompt_tokens) FROM usage"), 7 * N);
    assert_int_equal(system_count(&sys, "SELECT sum(completion_tokens) FROM usage"), 5 * N);
    assert_int_equal(system_count(&sys, "SELECT sum(cached_tokens) FROM usage"), 3 * N);
    for (int i = 0; i < 4; i++)
        raw_close(fds[i]);
    struct http_reply r;
    system_wait_healthy(&sys);
    http(&r, &at, "GET", "/vx11/overview", NULL);
    assert_int_equal(http_int(&r, "/traffic/requests"), N);
    assert_int_equal(http_int(&r, "/traffic/prompt_tokens"), 7 * N);
    http_free(&r);
    system_stop(&sys);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(running_stream_is_finished, end),
        cmocka_unit_test_teardown(endless_stream_is_cut, end),
        cmocka_unit_test_teardown(twice_means_now, end),
        cmocka_unit_test_teardown(stop_with_a_limit, end),
        cmocka_unit_test_teardown(every_answer_is_accounted_for, end),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
