/* keep_alive in all forms that Ollama takes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/str.h"
#include "contract/keep_alive.h"

static int64_t read(const char *json, bool *has, int *rc)
{
    char doc[200];
    struct error err = {0};
    int64_t ms = -77;
    (void)snprintf(doc, sizeof doc, "{\"k\":%s}", json);
    yyjson_doc *d = yyjson_read(doc, strlen(doc), 0);
    assert_non_null(d);
    *rc = keep_alive_read(yyjson_obj_get(yyjson_doc_get_root(d), "k"), has, &ms, &err);
    yyjson_doc_free(d);
    return ms;
}

static void test_forms(void **state)
{
    static const struct {
        const char *json;
        int64_t ms;
    } good[] = {
        {"300", 300000},
        {"0", 0},
        {"0.25", 250},
        {"-1", KEEP_ALIVE_FOR_EVER},
        {"-0.5", KEEP_ALIVE_FOR_EVER},
        {"1e300", KEEP_ALIVE_FOR_EVER},
        {"\"10m\"", 600000},
        {"\"1h30m\"", 5400000},
        {"\"1.5h\"", 5400000},
        {"\"24h\"", 86400000},
        {"\"30s\"", 30000},
        {"\"250ms\"", 250},
        {"\"1500us\"", 1},
        {"\"0\"", 0},
        {"\"300\"", 300000},
        {"\"-1\"", KEEP_ALIVE_FOR_EVER},
        {"\"-1m\"", KEEP_ALIVE_FOR_EVER},
        {"\"+5s\"", 5000},
        {"\"0s\"", 0},
        {"\"99999999999h\"", KEEP_ALIVE_FOR_EVER},
    };
    bool has;
    int rc;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        const int64_t ms = read(good[i].json, &has, &rc);
        if (rc != 0 || !has || ms != good[i].ms)
            fail_msg("%s: %d, %lld", good[i].json, rc, (long long)ms);
    }
}

static void test_refused(void **state)
{
    static const char *const bad[] = {"\"\"",
                                      "\"m\"",
                                      "\"10 m\"",
                                      "\"10x\"",
                                      "\"5m3\"",
                                      "\"-\"",
                                      "\"1.m\"",
                                      "\".5h\"",
                                      "true",
                                      "[]",
                                      "{}",
                                      "\"1h-3m\"",
                                      "\"1111111111111111111111111111111111111111h\""};
    bool has;
    int rc;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        (void)read(bad[i], &has, &rc);
        if (rc != VX11_EINVALID)
            fail_msg("%s was taken", bad[i]);
    }
}

static void test_absent(void **state)
{
    bool has = true;
    int rc;
    int64_t ms;
    struct error err = {0};
    (void)state;
    (void)read("null", &has, &rc);
    assert_true(rc == 0 && !has);
    has = true;
    assert_int_equal(keep_alive_read(NULL, &has, &ms, &err), 0);
    assert_false(has);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_absent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
