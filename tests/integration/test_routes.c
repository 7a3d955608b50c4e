/* Every route of every contract, walked: no token, too small a token; and what each module says of its own
 * routes in openapi.json and /metrics. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "api/hermes.h"
#include "api/link.h"
#include "api/operator.h"
#include "api/switch.h"
#include "base/str.h"
#include "system.h"

static struct system sys;
static char publisher[128];

static int start(void **state)
{
    (void)state;
    system_start(&sys, NULL);
    /* publish is the one scope that no route but one takes. */
    system_token(&sys, "publisher", "publish", publisher);
    struct http_at at = system_hermes(&sys);
    at.token = publisher;
    eventually(8000, http_status(&at, "GET", "/hermes/models", NULL) == 403);
    at = system_link(&sys);
    at.token = publisher;
    eventually(8000, http_status(&at, "GET", "/v1/models", NULL) == 403);
    at = system_switch(&sys);
    at.token = publisher;
    eventually(8000, http_status(&at, "GET", "/v1/models", NULL) == 403);
    at = system_operator(&sys);
    at.token = publisher;
    eventually(8000, http_status(&at, "GET", "/operator/sessions", NULL) == 403);
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

struct walked {
    const struct contract_module *contract;
    struct http_at at;
};

/* Each module at its own port, then those that the front door offers too, there. */
#define MODULES 4
#define WALKED  7

static void walked_all(struct walked out[WALKED])
{
    out[0] = (struct walked){&link_module, system_link(&sys)};
    out[1] = (struct walked){&switch_module, system_switch(&sys)};
    out[2] = (struct walked){&hermes_module, system_hermes(&sys)};
    out[3] = (struct walked){&operator_module, system_operator(&sys)};
    for (size_t i = MODULES; i < WALKED; i++)
        out[i] = (struct walked){out[i - MODULES + 1].contract, system_link(&sys)};
}

/* The route's path with something in its placeholders. */
static const char *path_of(const struct contract_route *route)
{
    static char path[300];
    size_t n = 0;
    for (const char *p = route->path; *p && n < sizeof path - 8; p++) {
        if (*p == '{') {
            path[n++] = 'x';
            p = strchr(p, '}');
        } else {
            path[n++] = *p;
        }
    }
    path[n] = '\0';
    return path;
}

static void walk(void **state)
{
    struct walked modules[WALKED];
    size_t routes = 0, open = 0;
    (void)state;
    walked_all(modules);
    for (size_t m = 0; m < WALKED; m++) {
        for (size_t i = 0; i < modules[m].contract->route_count; i++) {
            const struct contract_route *route = &modules[m].contract->routes[i];
            struct http_at at = modules[m].at;
            const char *body = route->request ? "{}" : NULL;
            at.token = NULL;
            int none = http_status(&at, route->method, path_of(route), body);
            at.token = publisher;
            int small = http_status(&at, route->method, path_of(route), body);
            bool is_open = route->scope == CONTRACT_SCOPE_OPEN,
                 publishes = route->scope == CONTRACT_SCOPE_PUBLISH;
            if (is_open ? none == 401 || none == 403 || none == 0 || small == 403
                        : none != 401 || (publishes ? small != 422 : small != 403)) {
                print_error("%s %s: %d without a token, %d with too small a one\n", route->method,
                            route->path, none, small);
                fail();
            }
            routes++;
            open += is_open;
        }
    }
    assert_true(routes > 25);
    assert_int_equal(open, 6); /* page, its own addresses, asset, login, healthz, readyz */
}

static void health_is_open(void **state)
{
    struct walked modules[WALKED];
    (void)state;
    walked_all(modules);
    for (size_t m = 0; m < MODULES; m++) {
        struct http_reply r;
        struct http_at at = modules[m].at;
        at.token = NULL;
        http(&r, &at, "GET", "/health", NULL);
        assert_status(&r, 200);
        assert_string_equal(http_text(&r, "/status"), "ok");
        assert_string_equal(http_text(&r, "/module"), modules[m].contract->name);
        assert_string_equal(http_text(&r, "/state"), "active");
        http_free(&r);
        assert_int_equal(http_status(&at, "GET", "/metrics", NULL), 401);
        assert_int_equal(http_status(&at, "GET", "/openapi.json", NULL), 401);
        assert_int_equal(http_status(&at, "GET", "/nothing", NULL),
                         401); /* what there is, is not told either */
    }
}

static void no_such_thing(void **state)
{
    struct http_at at = system_link(&sys);
    struct http_reply r;
    (void)state;
    http(&r, &at, "GET", "/nothing", NULL);
    assert_error(&r, 404, "route_not_found");
    http_free(&r);
    http(&r, &at, "DELETE", "/v1/models", NULL);
    assert_error(&r, 405, "method_not_allowed");
    assert_non_null(strstr(http_header(&r, "Allow"), "GET"));
    http_free(&r);
    http(&r, &at, "GET", "/events?type=nonsense", NULL);
    assert_error(&r, 422, "invalid_value");
    assert_string_equal(http_text(&r, "/error/param"), "type");
    http_free(&r);
    http(&r, &at, "GET", "/assets/..%2f..%2fvx11.db", NULL);
    assert_status(&r, 404);
    http_free(&r);
}

static void lower(const char *s, char *out, size_t size)
{
    size_t n = 0;
    for (; s[n] && n + 1 < size; n++)
        out[n] = (char)(s[n] | 0x20);
    out[n] = '\0';
}

static void openapi_lists_every_route(void **state)
{
    struct walked modules[WALKED];
    (void)state;
    walked_all(modules);
    for (size_t m = 0; m < WALKED; m++) {
        struct http_reply r;
        http(&r, &modules[m].at, "GET", "/openapi.json", NULL);
        assert_status(&r, 200);
        assert_non_null(r.json);
        assert_true(str_starts(http_text(&r, "/openapi"), "3.1"));
        yyjson_val *paths = yyjson_doc_ptr_get(r.json, "/paths");
        for (size_t i = 0; i < modules[m].contract->route_count; i++) {
            const struct contract_route *route = &modules[m].contract->routes[i];
            char path[200], method[16];
            size_t n = 0;
            for (const char *p = route->path; *p; p++) /* OpenAPI knows no {name*} */
                if (*p != '*')
                    path[n++] = *p;
            path[n] = '\0';
            lower(route->method, method, sizeof method);
            yyjson_val *operation = yyjson_obj_get(yyjson_obj_get(paths, path), method);
            if (!yyjson_is_obj(operation)) {
                print_error("%s %s is not in openapi.json\n", route->method, path);
                fail();
            }
            assert_non_null(yyjson_obj_get(operation, "responses"));
        }
        http_free(&r);
    }
}

/* ---- what Link hands on to Hermes ---- */

static void pulls_by_link(void **state)
{
    static const char none[] = "/hermes/pulls/01ARZ3NDEKTSV4RRFFQ69G5FAV";
    struct http_at at = system_link(&sys);
    struct http_reply r;
    char reader[128];
    (void)state;
    http(&r, &at, "GET", "/hermes/pulls", NULL);
    assert_status(&r, 200);
    assert_true(yyjson_is_arr(yyjson_doc_ptr_get(r.json, "/pulls")));
    http_free(&r);
    http(&r, &at, "DELETE", none, NULL);
    assert_error(&r, 404, "pull_not_found");
    http_free(&r);
    at.headers = "Origin: http://evil.example\r\n";
    http(&r, &at, "DELETE", none, NULL);
    assert_error(&r, 403, "origin_not_allowed");
    http_free(&r);
    at.headers = NULL;
    system_token(&sys, "reader", "read", reader);
    at.token = reader;
    eventually(8000, http_status(&at, "GET", "/hermes/pulls", NULL) == 200);
    assert_int_equal(http_status(&at, "DELETE", none, NULL), 403);
}

/* ---- metrics ---- */

/* Value of a line that begins with this series, -1: no such line. */
static double series(const char *text, const char *name)
{
    size_t len = strlen(name);
    for (const char *line = text; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
        if (strncmp(line, name, len) == 0 && line[len] == ' ')
            return strtod(line + len, NULL);
    return -1;
}

static void metrics_count(void **state)
{
    struct http_at at = system_link(&sys);
    struct http_reply r;
    (void)state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(http_status(&at, "GET", "/vx11/session", NULL), 200);
    assert_int_equal(http_status(&at, "GET", "/v1/models/no-such-model", NULL), 404);
    http(&r, &at, "GET", "/metrics", NULL);
    assert_status(&r, 200);
    const char *text = r.raw.body.data;
    double ok = series(text, "vx11_http_requests_total{module=\"link\",route=\"session\",code=\"200\"}");
    if (ok < 0)
        ok = series(text, "vx11_http_requests_total{route=\"session\",code=\"200\"}");
    if (ok != 3) {
        print_error("%s\n", text);
        fail();
    }
    assert_non_null(strstr(text, "route=\"model\",code=\"404\""));
    assert_non_null(strstr(text, "# TYPE vx11_http_request_seconds histogram"));
    assert_non_null(strstr(text, "vx11_http_request_seconds_bucket{"));
    assert_non_null(strstr(text, "vx11_loop_lag_seconds"));
    assert_non_null(strstr(text, "vx11_process_resident_bytes"));
    assert_non_null(strstr(text, "vx11_http_connections"));
    http_free(&r);
}

/* ---- status ---- */

static void status_measures(void **state)
{
    struct http_at at = system_link(&sys);
    struct http_reply r;
    (void)state;
    http(&r, &at, "GET", "/vx11/status", NULL);
    assert_status(&r, 200);
    assert_true(yyjson_get_bool(yyjson_doc_ptr_get(r.json, "/ok")));
    assert_string_equal(http_text(&r, "/modules/0/name"), "link");
    assert_string_equal(http_text(&r, "/modules/1/name"), "switch");
    assert_string_equal(http_text(&r, "/modules/2/name"), "hermes");
    assert_int_equal(http_int(&r, "/modules/2/port"), sys.hermes_port);
    assert_int_equal(http_int(&r, "/summary/healthy_modules"), 4);
    assert_true(yyjson_get_num(yyjson_doc_ptr_get(r.json, "/modules/1/latency_ms")) > 0);
    http_free(&r);
    http(&r, &at, "GET", "/vx11/overview", NULL);
    assert_status(&r, 200);
    assert_int_equal(http_int(&r, "/traffic/requests"), 0);
    assert_true(http_is_null(&r, "/traffic/prompt_tokens")); /* none reported is not 0 */
    assert_true(http_is_null(&r, "/traffic/first_token_avg_ms"));
    http_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(walk),
        cmocka_unit_test(health_is_open),
        cmocka_unit_test(no_such_thing),
        cmocka_unit_test(openapi_lists_every_route),
        cmocka_unit_test(pulls_by_link),
        cmocka_unit_test(metrics_count),
        cmocka_unit_test(status_measures),
        cmocka_unit_test(stops_clean),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
