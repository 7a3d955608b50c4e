/* Memory through Hermes: what a load takes is what was said, unloading gives it back, a model that cannot fit
 * is refused with the numbers, and the load is told as it goes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <unistd.h>

#include "base/fs.h"
#include "base/proc.h"
#include "base/str.h"
#include "system.h"

#define GUIDE "vx11-guide"
#define MB    (INT64_C(1) << 20)

static struct system sys;

static int start(void **state)
{
    (void)state;
    system_start(&sys, NULL);
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

/* Shared pages counted in parts: what all our processes together take of the machine. */
static int64_t pss(void)
{
    static const char *const modules[] = {"link", "switch", "hermes"};
    struct proc_usage u;
    int64_t sum = proc_usage(sys.pid, &u) == 0 && u.has_pss ? (int64_t)u.pss_bytes : -1;
    assert_true(sum > 0);
    for (size_t i = 0; i < COUNT_OF(modules); i++) {
        assert_int_equal(proc_usage(system_module_pid(&sys, modules[i]), &u), 0);
        sum += (int64_t)u.pss_bytes;
    }
    const pid_t engine = system_engine_pid(&sys, GUIDE);
    if (engine > 0 && proc_usage(engine, &u) == 0)
        sum += (int64_t)u.pss_bytes;
    return sum;
}

static void load(struct http_reply *r)
{
    struct http_at at = system_hermes(&sys);
    http(r, &at, "POST", "/hermes/engines/acquire", "{\"model\":\"" GUIDE "\",\"wait_ms\":60000}");
    assert_status(r, 200);
}

static void unload(pid_t pid)
{
    struct http_at at = system_hermes(&sys);
    struct http_reply r;
    http(&r, &at, "DELETE", "/hermes/engines/" GUIDE, NULL);
    assert_status(&r, 204);
    http_free(&r);
    assert_false(process_lives(pid)); /* the answer comes when it is gone */
}

static void one_chat(void)
{
    struct http_reply r;
    system_chat(&sys, &r, GUIDE, false);
    assert_status(&r, 200);
    http_free(&r);
}

static void unloading_gives_everything_back(void **state)
{
    struct http_reply r;
    (void)state;
    load(&r); /* once before: the modules' own buffers for this path are made */
    http_free(&r);
    one_chat();
    unload(system_engine_pid(&sys, GUIDE));
    const int64_t before = pss();
    for (int i = 0; i < 3; i++) {
        load(&r);
        const pid_t pid = (pid_t)http_int(&r, "/pid");
        const int64_t need = http_int(&r, "/need_bytes");
        assert_int_equal(http_int(&r, "/bytes_read"), http_int(&r, "/bytes_total"));
        assert_true(http_int(&r, "/bytes_total") > 3 * MB);
        http_free(&r);
        one_chat();
        const int64_t loaded = pss();
        unload(pid);
        const int64_t after = pss();
        print_message("pss %.1f MB, loaded %.1f MB (said to need %.1f MB), after %.1f MB\n",
                      (double)before / MB, (double)loaded / MB, (double)need / MB, (double)after / MB);
        if (test_sanitized())
            continue;
        assert_true(loaded - before > 20 * MB);
        assert_true(loaded - before < need + 30 * MB && need < loaded - before + 40 * MB);
        assert_true(after - before < 4 * MB);
    }
    assert_false(fs_exists(system_path(&sys, "run/engine-" GUIDE ".sock")));
}

static void loads_are_told(void **state)
{
    (void)state;
    const char *told = "SELECT count(*) FROM event WHERE type = 'hermes.model.load' AND payload LIKE '%\"";
    char sql[256];
    (void)snprintf(sql, sizeof sql, "%sready\"%%'", told);
    eventually(5000, system_count(&sys, sql) >= 4);
    (void)snprintf(sql, sizeof sql, "%sstopped\"%%'", told);
    eventually(5000, system_count(&sys, sql) >= 4);
}

/* A hundred million cells of the guide's are more than any machine that runs tests has. */
static void what_cannot_fit_is_refused(void **state)
{
    struct http_at at = system_hermes(&sys);
    struct http_reply r;
    (void)state;
    http(&r, &at, "POST", "/hermes/engines/acquire", "{\"model\":\"" GUIDE "\",\"wait_ms\":60000}");
    assert_status(&r, 503);
    assert_string_equal(http_text(&r, "/error/code"), "insufficient_memory");
    const char *said = http_text(&r, "/error/message");
    assert_non_null(strstr(said, GUIDE " needs about "));
    assert_non_null(strstr(said, " are free"));
    http_free(&r);
    assert_int_equal(system_engine_pid(&sys, GUIDE), 0);
}

static int start_greedy(void **state)
{
    (void)state;
    system_start(&sys, "engine:\n  kv_tokens: 100000000\n");
    return 0;
}

int main(void)
{
    const struct CMUnitTest greedy[] = {
        cmocka_unit_test(what_cannot_fit_is_refused),
        cmocka_unit_test(stops_clean),
    };
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unloading_gives_everything_back),
        cmocka_unit_test(loads_are_told),
        cmocka_unit_test(stops_clean),
    };
    const int failed = cmocka_run_group_tests(tests, start, stop);
    return cmocka_run_group_tests(greedy, start_greedy, stop) + failed;
}
