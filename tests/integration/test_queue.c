/* The queue of a whole VX11: jobs that are waited for, queued, cancelled, retried, followed; workers outside;
 * and what is left of it when Switch is killed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <signal.h>

#include "base/str.h"
#include "system.h"
#include "upstream.h"

static struct system sys;
static struct upstream *up;
static char chatter[128], reader[128];

#define LIMITS "first_token_timeout_ms: 3000, idle_timeout_ms: 3000, connect_timeout_ms: 1000"

static int start(void **state)
{
    struct buf yaml = BUF_INIT;
    (void)state;
    up = upstream_start();
    buf_puts(&yaml,
             "switch:\n"
             "  breaker_threshold: 1000\n"
             "  queue: {workers: 2, max_jobs: 20, lease_ms: 700, retry_base_ms: 100, retry_max_ms: 400,"
             " max_attempts: 3}\n"
             "  providers:\n");
    upstream_yaml(up, &yaml, "good", "good-model", LIMITS);
    upstream_yaml(up, &yaml, "slow", "slow-model", LIMITS);
    upstream_yaml(up, &yaml, "bad", "bad-model", LIMITS);
    upstream_yaml(up, &yaml, "silent", "silent-model", "first_token_timeout_ms: 60000");
    system_init(&sys);
    system_env(&sys, "VX11_SUPERVISOR__BACKOFF_MAX_MS=200");
    system_env(&sys, "VX11_LINK__DRAIN_MS=500");
    system_config(&sys, yaml.data);
    buf_free(&yaml);
    upstream_behave(up, "slow", UP_SLOW_HEADERS);
    upstream_behave(up, "bad", UP_503);
    upstream_behave(up, "silent", UP_SILENT);
    system_up(&sys);
    system_token(&sys, "chatter", "chat,read", chatter);
    system_token(&sys, "reader", "read", reader);
    struct http_at at = system_switch(&sys);
    at.token = chatter;
    eventually(8000, http_status(&at, "GET", "/switch/queue/status", NULL) == 200);
    at.token = reader;
    eventually(8000, http_status(&at, "GET", "/switch/queue/status", NULL) == 200);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    system_remove(&sys);
    upstream_stop(up);
    return 0;
}

static void stops_clean(void **state)
{
    (void)state;
    system_stop(&sys);
}

/* ---- words ---- */

static const char *task(const char *model, const char *more)
{
    static char text[600];
    snprintf(text, sizeof text, "{\"task_type\":\"chat\",\"payload\":{\"prompt\":\"hi\",\"model\":\"%s\"}%s}",
             model, more);
    return text;
}

static void post(struct http_reply *r, const char *path, const char *body, const char *headers)
{
    struct http_at at = system_switch(&sys);
    at.headers = headers;
    http(r, &at, "POST", path, body);
}

/* Queues a job and gives its id. Static, eight in turn. */
static const char *queued(const char *body)
{
    static char ids[8][27];
    static unsigned turn;
    struct http_reply r;
    char *id = ids[turn++ % 8];
    post(&r, "/switch/queue", body, NULL);
    assert_status(&r, 202);
    snprintf(id, 27, "%s", http_text(&r, "/id"));
    assert_int_equal(strlen(id), 26);
    http_free(&r);
    return id;
}

static const char *field(const char *id, const char *pointer)
{
    static char out[4][400];
    static unsigned turn;
    struct http_at at = system_switch(&sys);
    struct http_reply r;
    char path[80], *text = out[turn++ % 4];
    snprintf(path, sizeof path, "/switch/queue/%s", id);
    http(&r, &at, "GET", path, NULL);
    yyjson_val *v = r.json ? yyjson_doc_ptr_get(r.json, pointer) : NULL;
    if (yyjson_is_int(v))
        snprintf(text, sizeof out[0], "%lld", (long long)yyjson_get_sint(v));
    else
        snprintf(text, sizeof out[0], "%s", yyjson_is_str(v) ? yyjson_get_str(v) : "null");
    http_free(&r);
    return text;
}

#define state_is(id, want) str_eq(field(id, "/state"), want)

/* ---- waited for ---- */

static void waited_for(void **state)
{
    struct http_reply r;
    (void)state;
    post(&r, "/switch/task", task("good-model", ",\"source\":\"operator\""), NULL);
    assert_status(&r, 200);
    assert_string_equal(http_text(&r, "/status"), "ok");
    assert_string_equal(http_text(&r, "/task_type"), "chat");
    assert_string_equal(http_text(&r, "/provider"), "good");
    assert_string_equal(http_text(&r, "/result/content"), "hello");
    assert_int_equal(strlen(http_text(&r, "/queue_id")), 26);
    assert_true(http_text(&r, "/reasoning")[0]);
    assert_true(http_int(&r, "/latency_ms") >= 0);
    assert_int_equal(http_int(&r, "/attempts"), 1);
    assert_int_equal(http_int(&r, "/ran_again"), 0);
    /* It is there afterwards, and went through the accounts as a request of who asked. */
    const char *id = http_text(&r, "/queue_id");
    assert_string_equal(field(id, "/state"), "done");
    assert_string_equal(field(id, "/result/content"), "hello");
    assert_string_equal(field(id, "/priority"), "1");
    char request[64], sql[200];
    snprintf(request, sizeof request, "%s.1", id);
    assert_true(str_starts(system_account(&sys, request), "ok|200|good|good-model|1|7|5|3"));
    snprintf(sql, sizeof sql, "SELECT principal_name FROM decision WHERE request_id = '%s'", request);
    assert_string_equal(system_row(&sys, sql), "owner");
    http_free(&r);
}

static void what_went_wrong(void **state)
{
    struct http_reply r;
    (void)state;
    post(&r, "/switch/task", task("no-such-model", ""), NULL);
    assert_error(&r, 404, "model_not_found");
    assert_string_equal(http_text(&r, "/status"), "error");
    assert_string_equal(field(http_text(&r, "/queue_id"), "/state"), "failed");
    http_free(&r);
    /* Three attempts with waits between, then dead. */
    post(&r, "/switch/task", task("bad-model", ""), NULL);
    assert_error(&r, 503, "upstream_unavailable");
    assert_int_equal(http_int(&r, "/attempts"), 3);
    char id[27];
    snprintf(id, sizeof id, "%s", http_text(&r, "/queue_id"));
    http_free(&r);
    assert_string_equal(field(id, "/state"), "dead");
    /* Mended, it is taken up again. */
    upstream_behave(up, "bad", UP_GOOD);
    char path[80];
    snprintf(path, sizeof path, "/switch/queue/%s/retry", id);
    post(&r, path, NULL, NULL);
    assert_status(&r, 200);
    http_free(&r);
    eventually(8000, state_is(id, "done"));
    post(&r, path, NULL, NULL);
    assert_error(&r, 409, "job_done");
    http_free(&r);
    upstream_behave(up, "bad", UP_503);
}

static void not_waited_for(void **state)
{
    struct http_reply r;
    (void)state;
    post(&r, "/switch/task", task("slow-model", ",\"wait_ms\":0"), NULL);
    assert_status(&r, 202);
    assert_true(str_starts(http_header(&r, "Location"), "/switch/queue/"));
    char first[27], second[27];
    snprintf(first, sizeof first, "%s", http_text(&r, "/queue_id"));
    http_free(&r);
    post(&r, "/switch/task", task("good-model", ""), "Prefer: respond-async\r\n");
    assert_status(&r, 202);
    snprintf(second, sizeof second, "%s", http_text(&r, "/queue_id"));
    http_free(&r);
    /* One whose wait ends first goes on. */
    post(&r, "/switch/task", task("slow-model", ",\"wait_ms\":50"), NULL);
    assert_status(&r, 202);
    assert_string_equal(http_text(&r, "/status"), "running");
    eventually(8000, state_is(http_text(&r, "/queue_id"), "done"));
    http_free(&r);
    eventually(8000, state_is(first, "done") && state_is(second, "done"));
}

static void refused(void **state)
{
    struct http_reply r;
    struct http_at at = system_switch(&sys);
    (void)state;
    post(&r, "/switch/task", "{\"task_type\":\"chat\",\"payload\":{}}", NULL);
    assert_error(&r, 422, "invalid_value");
    assert_string_equal(http_text(&r, "/error/param"), "/payload");
    http_free(&r);
    post(&r, "/switch/queue", "{\"task_type\":\"chat\",\"payload\":{\"messages\":[]}}", NULL);
    assert_error(&r, 422, "invalid_value");
    assert_string_equal(http_text(&r, "/error/param"), "/payload/messages");
    http_free(&r);
    at.token = reader;
    assert_int_equal(http_status(&at, "POST", "/switch/task", task("good-model", "")), 403);
    assert_int_equal(http_status(&at, "GET", "/switch/queue/01ARZ3NDEKTSV4RRFFQ69G5FAV", NULL), 404);
    assert_int_equal(http_status(&at, "GET", "/switch/queue/nonsense", NULL), 422);
    assert_int_equal(http_status(&at, "GET", "/switch/task/01ARZ3NDEKTSV4RRFFQ69G5FAV", NULL), 404);
}

/* A module that is not there: the job waits for it, and says why. */
static void module_not_there(void **state)
{
    struct http_reply r;
    (void)state;
    post(&r, "/switch/task",
         "{\"task_type\":\"audio-mix\",\"payload\":{\"file\":\"a.wav\"},\"max_attempts\":2,\"source\":"
         "\"shub\"}",
         NULL);
    assert_error(&r, 503, "module_not_there");
    assert_string_equal(http_text(&r, "/status"), "error");
    assert_int_equal(http_int(&r, "/attempts"), 2); /* it may have come meanwhile */
    http_free(&r);
}

/* ---- idempotency ---- */

static void same_key(void **state)
{
    struct http_reply r;
    char first[27];
    (void)state;
    post(&r, "/switch/queue", task("good-model", ""), "Idempotency-Key: abc\r\n");
    assert_status(&r, 202);
    assert_null(http_header(&r, "Idempotency-Replayed"));
    snprintf(first, sizeof first, "%s", http_text(&r, "/id"));
    http_free(&r);
    post(&r, "/switch/queue", task("good-model", ""), "Idempotency-Key: abc\r\n");
    assert_status(&r, 202);
    assert_string_equal(http_text(&r, "/id"), first);
    assert_string_equal(http_header(&r, "Idempotency-Replayed"), "true");
    http_free(&r);
    post(&r, "/switch/task", task("good-model", ""), "Idempotency-Key: abc\r\n"); /* waits for the same one */
    assert_status(&r, 200);
    assert_string_equal(http_text(&r, "/queue_id"), first);
    http_free(&r);
    post(&r, "/switch/queue", task("slow-model", ""), "Idempotency-Key: abc\r\n");
    assert_error(&r, 422, "idempotency_mismatch");
    http_free(&r);
}

/* ---- looking, cancelling, bounds ---- */

static void looked_at(void **state)
{
    struct http_at at = system_switch(&sys);
    struct http_reply r;
    (void)state;
    const char *late = queued(task("good-model", ",\"source\":\"discovery\",\"delay_ms\":600000"));
    const char *soon = queued(task("good-model", ",\"source\":\"shub\",\"delay_ms\":600000"));
    http(&r, &at, "GET", "/switch/queue/status", NULL);
    assert_status(&r, 200);
    assert_int_equal(http_int(&r, "/size"), 2);
    assert_int_equal(http_int(&r, "/queue_size"), 2);
    assert_string_equal(http_text(&r, "/items/0/task_id"), soon); /* the owner may go first */
    assert_int_equal(http_int(&r, "/items/0/priority"), 0);
    assert_string_equal(http_text(&r, "/items/0/payload/prompt"), "hi");
    assert_int_equal(http_int(&r, "/items/1/priority"), 5);
    assert_int_equal(http_int(&r, "/workers"), 2);
    http_free(&r);
    /* What others wrote is not theirs to read. */
    at.token = reader;
    http(&r, &at, "GET", "/switch/queue/status", NULL);
    assert_true(http_is_null(&r, "/items/0/payload"));
    http_free(&r);
    char path[100];
    snprintf(path, sizeof path, "/switch/queue/%s", soon);
    http(&r, &at, "GET", path, NULL);
    assert_status(&r, 200);
    assert_true(http_is_null(&r, "/payload"));
    http_free(&r);
    at.token = chatter;
    assert_int_equal(http_status(&at, "DELETE", path, NULL), 403);
    /* Somebody's own word for a better place does not count. */
    http(&r, &at, "POST", "/switch/queue", task("good-model", ",\"source\":\"shub\",\"delay_ms\":600000"));
    assert_status(&r, 202);
    assert_int_equal(http_int(&r, "/priority"), 1);
    snprintf(path, sizeof path, "/switch/queue/%s", http_text(&r, "/id"));
    http_free(&r);
    assert_int_equal(http_status(&at, "DELETE", path, NULL), 200); /* their own */
    at = system_switch(&sys);
    http(&r, &at, "GET", "/switch/queue/next", NULL); /* none may be begun yet */
    assert_string_equal(http_text(&r, "/status"), "empty");
    http_free(&r);
    http(&r, &at, "GET", "/switch/queue?state=queued&limit=1", NULL);
    assert_status(&r, 200);
    assert_string_equal(http_text(&r, "/jobs/0/id"), soon);
    assert_string_equal(http_text(&r, "/next"), soon);
    http_free(&r);
    snprintf(path, sizeof path, "/switch/queue?state=queued&limit=1&before=%s", soon);
    http(&r, &at, "GET", path, NULL);
    assert_string_equal(http_text(&r, "/jobs/0/id"), late);
    assert_true(http_is_null(&r, "/next"));
    http_free(&r);
    http(&r, &at, "GET", "/metrics", NULL);
    assert_non_null(strstr(r.raw.body.data, "vx11_queue_depth{module=\"switch\",priority=\"5\"} 1"));
    assert_non_null(strstr(r.raw.body.data, "vx11_queue_wait_seconds_count"));
    http_free(&r);
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "/switch/queue/%s", i ? soon : late);
        assert_int_equal(http_status(&at, "DELETE", path, NULL), 200);
        assert_int_equal(http_status(&at, "DELETE", path, NULL), 409);
    }
}

static void full(void **state)
{
    struct http_at at = system_switch(&sys);
    struct http_reply r;
    char ids[20][27];
    (void)state;
    for (int i = 0; i < 20; i++)
        snprintf(ids[i], 27, "%s", queued(task("good-model", ",\"delay_ms\":600000")));
    post(&r, "/switch/task", task("good-model", ""), NULL);
    assert_error(&r, 429, "queue_full");
    assert_non_null(http_header(&r, "Retry-After"));
    http_free(&r);
    for (int i = 0; i < 20; i++) {
        char path[80];
        snprintf(path, sizeof path, "/switch/queue/%.26s", ids[i]);
        assert_int_equal(http_status(&at, "DELETE", path, NULL), 200);
    }
}

/* A running one is cancelled down to the provider; who waits and who follows are told. */
static void cancelled_while_it_runs(void **state)
{
    struct http_at at = system_switch(&sys);
    struct http_reply r;
    struct upstream_seen seen;
    char id[27], path[80];
    (void)state;
    snprintf(id, sizeof id, "%s", queued(task("silent-model", "")));
    eventually(5000, state_is(id, "running"));
    eventually(5000, (upstream_seen(up, "silent", &seen), seen.running == 1));
    snprintf(path, sizeof path, "/switch/queue/%s/events", id);
    int fd = http_open(&at, "GET", path, NULL);
    snprintf(path, sizeof path, "/switch/queue/%s", id);
    sleep_ms(100);
    assert_int_equal(http_status(&at, "DELETE", path, NULL), 200);
    memset(&r, 0, sizeof r);
    http_read(fd, &r); /* to its end */
    assert_true(r.raw.complete);
    assert_non_null(strstr(r.raw.body.data, "event: running"));
    assert_non_null(strstr(r.raw.body.data, "event: cancelled"));
    http_free(&r);
    raw_close(fd);
    eventually(5000, (upstream_seen(up, "silent", &seen), seen.running == 0));
    assert_string_equal(field(id, "/state"), "cancelled");
}

/* ---- workers outside ---- */

static void outside(void **state)
{
    struct http_reply r;
    char id[27], body[300], token[27];
    (void)state;
    snprintf(id, sizeof id, "%s",
             queued("{\"task_type\":\"render\",\"payload\":{\"n\":1},\"provider_hint\":\"worker\"}"));
    post(&r, "/switch/queue/claim", "{\"worker\":\"w1\",\"lease_ms\":200}", NULL);
    assert_status(&r, 200);
    assert_string_equal(http_text(&r, "/job/id"), id);
    assert_int_equal(http_int(&r, "/job/payload/n"), 1);
    snprintf(token, sizeof token, "%s", http_text(&r, "/lease_token"));
    http_free(&r);
    post(&r, "/switch/queue/claim", "{\"worker\":\"w2\"}", NULL);
    assert_string_equal(http_text(&r, "/status"), "empty");
    http_free(&r);
    snprintf(body, sizeof body, "{\"id\":\"%s\",\"lease_token\":\"%s\",\"lease_ms\":200}", id, token);
    post(&r, "/switch/queue/renew", body, NULL);
    assert_status(&r, 200);
    http_free(&r);
    /* Not heard of: another has it, and it says so. */
    eventually(5000, state_is(id, "queued"));
    assert_string_equal(field(id, "/error_class"), "lease_expired");
    post(&r, "/switch/queue/claim", "{\"worker\":\"w2\",\"task_type\":\"render\"}", NULL);
    assert_int_equal(http_int(&r, "/job/ran_again"), 1);
    char second[27];
    snprintf(second, sizeof second, "%s", http_text(&r, "/lease_token"));
    http_free(&r);
    snprintf(body, sizeof body, "{\"id\":\"%s\",\"lease_token\":\"%s\",\"status\":\"ok\",\"result\":1}", id,
             token);
    post(&r, "/switch/queue/complete", body, NULL);
    assert_error(&r, 409, "lease_lost");
    http_free(&r);
    snprintf(body, sizeof body,
             "{\"id\":\"%s\",\"lease_token\":\"%s\",\"status\":\"ok\",\"result\":{\"n\":2}}", id, second);
    post(&r, "/switch/queue/complete", body, NULL);
    assert_status(&r, 200);
    assert_string_equal(http_text(&r, "/state"), "done");
    assert_int_equal(http_int(&r, "/result/n"), 2);
    http_free(&r);
}

/* ---- who asked ---- */

static void a_revoked_token_takes_its_jobs_along(void **state)
{
    struct http_at at = system_switch(&sys);
    struct http_reply r;
    char token[128], id[27];
    (void)state;
    system_token(&sys, "leaver", "chat,read", token);
    at.token = token;
    eventually(8000, http_status(&at, "GET", "/switch/queue/status", NULL) == 200);
    http(&r, &at, "POST", "/switch/queue", task("good-model", ",\"delay_ms\":1500"));
    assert_status(&r, 202);
    snprintf(id, sizeof id, "%s", http_text(&r, "/id"));
    http_free(&r);
    system_token_revoke(&sys, "leaver");
    eventually(8000, state_is(id, "failed"));
    assert_string_equal(field(id, "/error_class"), "principal_gone");
}

/* ---- a stop, and kill -9 of Switch, under the supervisor ---- */

/* A job that runs when Switch is told to stop is given back, and taken up by the next one. */
static void given_back_on_stop(void **state)
{
    char id[27];
    (void)state;
    upstream_behave(up, "silent", UP_SILENT);
    snprintf(id, sizeof id, "%.26s", queued(task("silent-model", "")));
    eventually(5000, state_is(id, "running"));
    pid_t pid = system_module_pid(&sys, "switch");
    upstream_behave(up, "silent", UP_GOOD);
    process_kill(pid, SIGTERM);
    eventually(20000, system_module_pid(&sys, "switch") != pid && system_module_pid(&sys, "switch") > 0);
    system_wait_healthy(&sys);
    eventually(10000, state_is(id, "done"));
    assert_string_equal(field(id, "/attempts"), "2");
    assert_string_equal(field(id, "/ran_again"), "0"); /* it was told, not lost */
}

enum { KILLS = 10, PER_KILL = 3 };

static void survives_kills(void **state)
{
    char ids[KILLS * PER_KILL][27];
    int n = 0;
    (void)state;
    sys.rough = true;
    struct http_at at = system_switch(&sys);
    for (int kill = 0; kill < KILLS; kill++) {
        for (int i = 0; i < PER_KILL; i++) {
            struct http_reply r;
            post(&r, "/switch/queue", task(i % 2 ? "good-model" : "slow-model", ",\"max_attempts\":50"),
                 NULL);
            if (r.status == 202) /* acknowledged: from here on it must not be lost */
                snprintf(ids[n++], 27, "%s", http_text(&r, "/id"));
            http_free(&r);
        }
        sleep_ms(37 * (kill % 5));
        pid_t pid = system_module_pid(&sys, "switch");
        assert_true(pid > 0);
        process_kill(pid, SIGKILL);
        eventually(20000, system_module_pid(&sys, "switch") != pid && system_module_pid(&sys, "switch") > 0);
        system_wait_healthy(&sys);
        eventually(20000, http_status(&at, "GET", "/switch/queue/status", NULL) == 200);
        eventually(20000, system_count(&sys, "SELECT count(*) FROM job WHERE state = 'queued'") < 12);
    }
    assert_true(n > KILLS);
    for (int i = 0; i < n; i++) {
        eventually(30000, state_is(ids[i], "done"));
        int attempts = atoi(field(ids[i], "/attempts")), again = atoi(field(ids[i], "/ran_again"));
        assert_int_equal(attempts, 1 + again); /* begun more than once only for a lease that ended */
    }
    assert_true(system_count(&sys, "SELECT count(*) FROM job WHERE ran_again > 0") >
                0); /* the test has teeth */
    assert_int_equal(system_count(&sys, "SELECT count(*) FROM job WHERE state IN ('running', 'queued')"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waited_for),
        cmocka_unit_test(what_went_wrong),
        cmocka_unit_test(not_waited_for),
        cmocka_unit_test(refused),
        cmocka_unit_test(module_not_there),
        cmocka_unit_test(same_key),
        cmocka_unit_test(looked_at),
        cmocka_unit_test(full),
        cmocka_unit_test(cancelled_while_it_runs),
        cmocka_unit_test(outside),
        cmocka_unit_test(a_revoked_token_takes_its_jobs_along),
        cmocka_unit_test(given_back_on_stop),
        cmocka_unit_test(survives_kills),
        cmocka_unit_test(stops_clean),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
