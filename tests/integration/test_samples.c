/* Samples: the map's calls are those that were made, charts have gaps where nothing was measured, states and
 * runs are events, and the decision log tells each request's story. */
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

enum { CHATS = 7 };

static struct system sys;

static int start(void **state)
{
    (void)state;
    system_start(&sys, "operator:\n  samples:\n    interval_ms: 1000\nsupervisor:\n  backoff_min_ms: 3000\n");
    sys.rough = true; /* modules are killed */
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

static void ask(struct http_reply *r, const char *path, int want)
{
    struct http_at at = system_link(&sys);
    http(r, &at, "GET", path, NULL);
    assert_status(r, want);
}

/* ---- the map ---- */

static yyjson_val *find(const struct http_reply *r, const char *list, const char *key, const char *value,
                        const char *key2, const char *value2)
{
    yyjson_val *all = yyjson_ptr_get(yyjson_doc_get_root(r->json), list), *v;
    yyjson_arr_iter iter;
    yyjson_arr_iter_init(all, &iter);
    while ((v = yyjson_arr_iter_next(&iter))) {
        const char *a = yyjson_get_str(yyjson_obj_get(v, key));
        const char *b = key2 ? yyjson_get_str(yyjson_obj_get(v, key2)) : value2;
        if (a && b && strcmp(a, value) == 0 && strcmp(b, value2) == 0)
            return v;
    }
    return NULL;
}

static int64_t edge(const char *from, const char *to, const char *field)
{
    struct http_reply r;
    ask(&r, "/operator/map", 200);
    yyjson_val *e = find(&r, "/edges", "from", from, "to", to);
    int64_t n = e ? yyjson_get_sint(yyjson_obj_get(e, field)) : -1;
    http_free(&r);
    return n;
}

static void map_counts(void **state)
{
    struct http_reply r;
    (void)state;
    eventually(20000, edge("link", "switch", "calls") >= 0 || edge("programs", "link", "calls") >= 0);
    /* A look must have been before the first chat for all of them to count. */
    const int64_t chats = edge("link", "switch", "calls") > 0 ? edge("link", "switch", "calls") : 0;
    const int64_t loaded = edge("switch", "engine/vx11-guide", "calls");
    for (int i = 0; i < CHATS; i++) {
        system_chat(&sys, &r, "vx11-guide", i % 2 == 0);
        assert_status(&r, 200);
        http_free(&r);
    }
    eventually(10000, edge("link", "switch", "calls") == chats + CHATS);
    eventually(10000, edge("switch", "engine/vx11-guide", "calls") == (loaded > 0 ? loaded : 0) + CHATS);
    assert_true(edge("switch", "hermes", "calls") >= CHATS);
    assert_true(edge("programs", "link", "calls") >= CHATS);
    assert_int_equal(edge("link", "switch", "failures"), 0);
    assert_int_equal(edge("supervisor", "link", "failures") > 0, 0);
    ask(&r, "/operator/map", 200);
    yyjson_val *e = find(&r, "/edges", "from", "link", "to", "switch");
    assert_true(yyjson_is_num(yyjson_obj_get(e, "p50_ms")) &&
                yyjson_get_num(yyjson_obj_get(e, "p95_ms")) >= yyjson_get_num(yyjson_obj_get(e, "p50_ms")));
    static const char *const names[] = {"link",     "switch",     "hermes",
                                        "operator", "supervisor", "engine/vx11-guide"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        yyjson_val *n = find(&r, "/nodes", "id", names[i], NULL, "");
        if (!n)
            fail_msg("%s is not on the map: %s", names[i], r.raw.body.data);
        assert_true(yyjson_get_sint(yyjson_obj_get(n, "pid")) > 0);
        assert_true(yyjson_get_sint(yyjson_obj_get(n, "rss_bytes")) > 100000);
        assert_string_equal(yyjson_get_str(yyjson_obj_get(n, "health")), "ok");
    }
    assert_null(find(&r, "/edges", "from", "people", "to", "link")); /* nobody came through the page */
    assert_int_equal(yyjson_arr_size(yyjson_ptr_get(yyjson_doc_get_root(r.json), "/silent")), 0);
    http_free(&r);
}

/* ---- charts ---- */

/* Numbers and nulls of a series, since the test began. */
static void chart(const char *module, const char *name, int *numbers, int *nulls, double *sum)
{
    struct http_reply r;
    char path[200];
    yyjson_val *v;
    yyjson_arr_iter iter;
    *numbers = *nulls = 0;
    *sum = 0;
    snprintf(path, sizeof path, "/operator/metrics?names=%s&modules=%s&step=1000&since=%lld", name, module,
             (long long)clock_wall_ms() - 600000);
    ask(&r, path, 200);
    yyjson_val *s = find(&r, "/series", "module", module, "name", name);
    if (s) {
        yyjson_arr_iter_init(yyjson_obj_get(s, "values"), &iter);
        while ((v = yyjson_arr_iter_next(&iter))) {
            *numbers += yyjson_is_num(v);
            *nulls += yyjson_is_null(v);
            *sum += yyjson_is_num(v) ? yyjson_get_num(v) : 0;
        }
    }
    http_free(&r);
}

static void charts_are_measured(void **state)
{
    int numbers, nulls;
    double sum;
    (void)state;
    eventually(10000, (chart("link", "cpu", &numbers, &nulls, &sum), numbers > 2));
    assert_true(nulls > 2); /* ten minutes, of which VX11 ran for seconds */
    chart("switch", "llm_requests", &numbers, &nulls, &sum);
    assert_true(sum > CHATS / 4.0 && sum < CHATS * 4.0); /* a second is the step, more or less */
    chart("engine/vx11-guide", "tokens", &numbers, &nulls, &sum);
    assert_true(numbers > 0 && sum > 0);
    chart("engine/vx11-guide", "queue_depth", &numbers, &nulls, &sum);
    assert_true(numbers > 0 && sum == 0);
    chart("switch", "writer_queue", &numbers, &nulls, &sum);
    assert_true(numbers > 0);
    chart("engine/vx11-guide", "memory", &numbers, &nulls, &sum);
    assert_true(numbers > 0 && sum / numbers > 1e6);
    chart("switch", "nothing", &numbers, &nulls, &sum);
    assert_int_equal(numbers + nulls, 0);
    struct http_reply r;
    ask(&r, "/operator/metrics?since=5&until=4", 422);
    http_free(&r);
}

static int64_t first_sample_after(const char *module, int64_t at)
{
    char sql[300];
    snprintf(sql, sizeof sql,
             "SELECT min(at) FROM metric_sample WHERE at > %lld AND series = "
             "(SELECT id FROM metric_series WHERE module = '%s' AND name = 'memory')",
             (long long)at, module);
    return system_count(&sys, sql);
}

static void a_killed_module_is_a_gap(void **state)
{
    (void)state;
    const int64_t before = clock_wall_ms();
    process_kill(system_module_pid(&sys, "hermes"), SIGKILL);
    eventually(10000, system_module_pid(&sys, "hermes") == 0);
    const int64_t gone = clock_wall_ms();
    eventually(20000, first_sample_after("hermes", gone + 500) > 0);
    /* It was away for the back-off's three seconds: nothing was measured in them, not even a 0. */
    assert_true(first_sample_after("hermes", gone) - before > 2000);
    char sql[300];
    snprintf(sql, sizeof sql,
             "SELECT count(*) FROM metric_sample WHERE value = 0 AND at > %lld AND at < %lld AND series IN "
             "(SELECT id FROM metric_series WHERE module = 'hermes' AND name IN ('memory', 'requests'))",
             (long long)gone, (long long)(gone + 2000));
    assert_int_equal(system_count(&sys, sql), 0);
    struct http_reply r;
    eventually(5000, (ask(&r, "/vx11/events?type=module.run&q=crashed", 200),
                      yyjson_arr_size(yyjson_ptr_get(yyjson_doc_get_root(r.json), "/events")) == 1
                          ? (http_free(&r), true)
                          : (http_free(&r), false)));
    ask(&r, "/vx11/events?type=module.run&limit=1", 200);
    assert_string_equal(http_text(&r, "/events/0/payload/module"), "hermes");
    assert_string_equal(http_text(&r, "/events/0/payload/event"), "started");
    assert_int_equal(http_int(&r, "/events/0/payload/restarts"), 1);
    http_free(&r);
}

/* ---- states ---- */

static void states_are_told(void **state)
{
    struct http_at at = system_link(&sys);
    struct http_reply r;
    char sql[200];
    (void)state;
    system_wait_healthy(&sys);
    http(&r, &at, "POST", "/supervisor/modules/operator/state", "{\"state\":\"off\"}");
    assert_error(&r, 409, "confirmation_needed");
    http_free(&r);
    http(&r, &at, "POST", "/supervisor/modules/link/state",
         "{\"state\":\"standby\",\"confirm\":\"operator\"}");
    assert_error(&r, 409, "confirmation_needed");
    http_free(&r);
    http(&r, &at, "POST", "/supervisor/modules/hermes/state",
         "{\"state\":\"standby\",\"reason\":\"to see what happens\"}");
    assert_status(&r, 200);
    assert_string_equal(http_text(&r, "/state"), "standby");
    http_free(&r);
    assert_string_equal(system_row(&sys, "SELECT state, reason FROM module_state WHERE module = 'hermes'"),
                        "standby|to see what happens");
    const char *who = system_row(&sys, "SELECT changed_by FROM module_state WHERE module = 'hermes'");
    assert_string_not_equal(who, "local"); /* the token's name, not the door it came through */
    eventually(5000,
               system_count(&sys, "SELECT count(*) FROM event WHERE type = 'module.state.changed'") == 1);
    ask(&r, "/vx11/events?q=TO%20SEE%20what", 200);
    assert_string_equal(http_text(&r, "/events/0/payload/from"), "active");
    assert_string_equal(http_text(&r, "/events/0/payload/to"), "standby");
    assert_string_equal(http_text(&r, "/events/0/payload/by"), who);
    http_free(&r);
    http(&r, &at, "POST", "/supervisor/modules/hermes/state", "{\"state\":\"active\"}");
    assert_status(&r, 200);
    http_free(&r);
    snprintf(sql, sizeof sql, "SELECT state FROM module_state WHERE module = 'hermes'");
    assert_string_equal(system_row(&sys, sql), "active");
    /* The front door's own restart is answered before it goes. */
    http(&r, &at, "POST", "/supervisor/modules/link/restart", "{\"reason\":\"a test\"}");
    assert_status(&r, 200);
    http_free(&r);
    eventually(10000, strcmp(system_module(&sys, "link", "restarts"), "1") == 0);
    system_wait_healthy(&sys);
    eventually(10000, system_count(&sys, "SELECT count(*) FROM event WHERE type = 'module.run' AND payload "
                                         "LIKE '%\"stopped\"%a test%'") == 1);
}

static void history_pages(void **state)
{
    char before[64] = "", path[200], last[32] = "~";
    struct http_reply r;
    int pages = 0, events = 0;
    (void)state;
    do {
        snprintf(path, sizeof path, "/vx11/events?limit=3%s%s", before[0] ? "&before=" : "", before);
        ask(&r, path, 200);
        yyjson_val *list = yyjson_ptr_get(yyjson_doc_get_root(r.json), "/events");
        for (size_t i = 0; i < yyjson_arr_size(list); i++, events++) {
            const char *id = yyjson_get_str(yyjson_obj_get(yyjson_arr_get(list, i), "id"));
            assert_true(strcmp(id, last) < 0);
            snprintf(last, sizeof last, "%s", id);
        }
        snprintf(before, sizeof before, "%s", http_text(&r, "/next_before"));
        http_free(&r);
    } while (before[0] && ++pages < 100);
    assert_true(pages > 1 && events > 6);
    ask(&r, "/vx11/events?source=nobody", 200);
    assert_true(http_is_null(&r, "/next_before"));
    http_free(&r);
}

/* ---- the decision log ---- */

static void stories(void **state)
{
    struct http_reply r;
    char path[200], id[64];
    (void)state;
    ask(&r, "/switch/decisions?q=GUID&outcome=ok&route=chat_completions&limit=2", 200);
    assert_int_equal(yyjson_arr_size(yyjson_ptr_get(yyjson_doc_get_root(r.json), "/decisions")), 2);
    snprintf(id, sizeof id, "%s", http_text(&r, "/decisions/0/id"));
    assert_string_equal(http_text(&r, "/next_cursor"), http_text(&r, "/decisions/1/id"));
    http_free(&r);
    ask(&r, "/switch/decisions?q=100%25_no", 200);
    assert_int_equal(yyjson_arr_size(yyjson_ptr_get(yyjson_doc_get_root(r.json), "/decisions")), 0);
    assert_true(http_is_null(&r, "/next_cursor"));
    http_free(&r);
    ask(&r, "/switch/decisions?min_ms=3600000", 200);
    assert_int_equal(yyjson_arr_size(yyjson_ptr_get(yyjson_doc_get_root(r.json), "/decisions")), 0);
    http_free(&r);
    snprintf(path, sizeof path, "/switch/decisions/%s", id);
    ask(&r, path, 200);
    assert_int_equal(strlen(http_text(&r, "/story/trace_id")), 32);
    assert_string_equal(http_text(&r, "/story/candidates/0/model"), "vx11-guide");
    assert_string_equal(http_text(&r, "/story/attempts/0/provider"), "local");
    assert_string_equal(http_text(&r, "/story/attempts/0/kind"), "first");
    assert_string_equal(http_text(&r, "/story/attempts/0/outcome"), "ok");
    assert_int_equal(http_int(&r, "/story/attempts/0/status"), 200);
    static const char *const times[] = {"start_ms", "called_ms", "connected_ms", "headers_ms", "end_ms"};
    double at = 0;
    for (size_t i = 0; i < COUNT_OF(times); i++) {
        snprintf(path, sizeof path, "/story/attempts/0/%s", times[i]);
        yyjson_val *v = yyjson_ptr_get(yyjson_doc_get_root(r.json), path);
        if (!yyjson_is_num(v) || yyjson_get_num(v) < at)
            fail_msg("%s is not in order: %s", times[i], r.raw.body.data);
        at = yyjson_get_num(v);
    }
    http_free(&r);
}

static void statistics(void **state)
{
    struct http_reply r;
    (void)state;
    ask(&r, "/switch/stats?by=hour&group=model", 200);
    yyjson_val *row = find(&r, "/rows", "provider", "local", "model", "vx11-guide");
    assert_non_null(row);
    int64_t requests = 0;
    yyjson_arr_iter iter;
    yyjson_val *v;
    yyjson_arr_iter_init(yyjson_ptr_get(yyjson_doc_get_root(r.json), "/rows"), &iter);
    while ((v = yyjson_arr_iter_next(&iter))) /* the hour may have turned */
        requests += yyjson_get_sint(yyjson_obj_get(v, "requests"));
    assert_int_equal(requests, CHATS);
    assert_true(yyjson_get_sint(yyjson_obj_get(row, "completion_tokens")) > 0);
    assert_true(yyjson_get_num(yyjson_obj_get(row, "total_p95_ms")) >=
                yyjson_get_num(yyjson_obj_get(row, "total_p50_ms")));
    http_free(&r);
    ask(&r, "/switch/stats?by=day&provider=nobody", 200);
    assert_int_equal(yyjson_arr_size(yyjson_ptr_get(yyjson_doc_get_root(r.json), "/rows")), 0);
    http_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(map_counts),
        cmocka_unit_test(charts_are_measured),
        cmocka_unit_test(stories),
        cmocka_unit_test(statistics),
        cmocka_unit_test(a_killed_module_is_a_gap),
        cmocka_unit_test(states_are_told),
        cmocka_unit_test(history_pages),
        cmocka_unit_test(stops_clean),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
