/* A machine without bubblewrap: said plainly, refused where it is required. In a program of its own, for a
 * process looks for it once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "module/child.h"

static uv_loop_t loop;
static struct child_result result;
static bool ended;

static void on_end(void *ctx, const struct child_result *r)
{
    (void)ctx;
    result = *r;
    ended = true;
}

static int begin(enum child_sandbox sandbox, struct error *err)
{
    static const char *const argv[] = {"/bin/true", NULL}, *const env[] = {"PATH=/bin", NULL};
    struct child *c;
    const struct child_options o = {.loop = &loop,
                                    .argv = argv,
                                    .env = env,
                                    .cwd = "/",
                                    .timeout_ms = 5000,
                                    .sandbox = sandbox,
                                    .on_end = on_end};
    return child_begin(&o, &c, err);
}

static void it_is_said(void **state)
{
    (void)state;
    assert_non_null(child_sandbox_problem());
    assert_non_null(strstr(child_sandbox_problem(), "not installed"));
}

static void required_is_refused(void **state)
{
    struct error err = {0};
    (void)state;
    assert_int_equal(begin(CHILD_SANDBOX_REQUIRED, &err), VX11_EUNSUPPORTED);
    assert_non_null(strstr(err.text, "required"));
    assert_non_null(strstr(err.text, "not installed"));
}

static void preferred_runs_and_tells(void **state)
{
    struct error err = {0};
    (void)state;
    assert_int_equal(begin(CHILD_SANDBOX_PREFERRED, &err), 0);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_true(ended);
    assert_false(result.sandboxed);
    assert_int_equal(result.exit_code, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_said),
        cmocka_unit_test(required_is_refused),
        cmocka_unit_test(preferred_runs_and_tells),
    };
    setenv("VX11_BWRAP", "/no/such/bwrap", 1);
    uv_loop_init(&loop);
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    return uv_loop_close(&loop) == 0 ? rc : 1;
}
