/* Module states and runs. */
#include "helper.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/states.h"

#define NOW INT64_C(1700000000000)

static void test_names(void **state)
{
    (void)state;
    enum module_state got;
    for (int i = MODULE_STATE_ACTIVE; i <= MODULE_STATE_OFF; i++) {
        assert_int_equal(module_state_parse(module_state_name((enum module_state)i), &got), 0);
        assert_int_equal(got, i);
    }
    assert_int_equal(module_state_parse("Active", &got), VX11_EINVALID);
    assert_int_equal(module_state_parse("", &got), VX11_EINVALID);
    assert_int_equal(module_state_parse(NULL, &got), VX11_EINVALID);
}

static int add_state(void *ctx, const struct module_state_row *row)
{
    char *text = ctx;
    size_t len = strlen(text);
    snprintf(text + len, 128 - len, "%s=%s ", row->module, module_state_name(row->state));
    return 0;
}

static void test_set_and_get(void **state)
{
    struct place *p = *state;
    struct store *s = open_store(p->path);
    struct error err = {0};
    struct module_state_row row;
    assert_ok(module_state_get(s, "switch", &row, &err), err);
    assert_string_equal(row.module, "switch");
    assert_true(row.state == MODULE_STATE_ACTIVE && row.changed_at == 0 && !row.changed_by[0] &&
                !row.reason[0]);
    assert_ok(module_state_set(s, "switch", MODULE_STATE_STANDBY, "root", "less load", NOW, &err), err);
    assert_ok(module_state_set(s, "hermes", MODULE_STATE_OFF, "root", NULL, NOW, &err), err);
    assert_ok(module_state_get(s, "switch", &row, &err), err);
    assert_true(row.state == MODULE_STATE_STANDBY && row.changed_at == NOW);
    assert_string_equal(row.changed_by, "root");
    assert_string_equal(row.reason, "less load");
    assert_ok(module_state_set(s, "switch", MODULE_STATE_ACTIVE, "somebody", NULL, NOW + 1, &err), err);
    assert_ok(module_state_get(s, "switch", &row, &err), err);
    assert_true(row.state == MODULE_STATE_ACTIVE && row.changed_at == NOW + 1);
    assert_string_equal(row.changed_by, "somebody");
    assert_string_equal(row.reason, "");
    char text[128] = "", reason[500];
    assert_ok(module_state_list(s, add_state, text, &err), err);
    assert_string_equal(text, "hermes=off switch=active ");
    memset(reason, 'r', sizeof reason - 1);
    reason[sizeof reason - 1] = '\0';
    assert_ok(module_state_set(s, "switch", MODULE_STATE_OFF, reason, reason, NOW, &err), err);
    assert_ok(module_state_get(s, "switch", &row, &err), err);
    assert_int_equal(strlen(row.changed_by), 63);
    assert_int_equal(strlen(row.reason), 255);
    assert_code(VX11_EINVALID, module_state_set(s, "", MODULE_STATE_OFF, "root", NULL, NOW, &err), err);
    assert_code(VX11_EINVALID, module_state_set(s, "x", (enum module_state)7, "root", NULL, NOW, &err), err);
    store_close(s);
}

struct runs {
    int count;
    struct module_run_row row[4];
};

static int keep_run(void *ctx, const struct module_run_row *row)
{
    struct runs *runs = ctx;
    assert_true(runs->count < 4);
    runs->row[runs->count++] = *row;
    return 0;
}

static void test_runs(void **state)
{
    struct place *p = *state;
    struct store *s = open_store(p->path);
    struct error err = {0};
    char link[ULID_LEN + 1], first[ULID_LEN + 1], second[ULID_LEN + 1];
    assert_ok(module_run_start(s, "link", 100, NOW, link, &err), err);
    assert_ok(module_run_start(s, "switch", 101, NOW + 1, first, &err), err);
    assert_ok(module_run_end(s, first,
                             &(struct module_run_end){.ended_at = NOW + 2,
                                                      .exit_code = -1,
                                                      .signal = 9,
                                                      .oom = true,
                                                      .reason = "killed",
                                                      .crash_report = "forensic/crash.txt"},
                             &err),
              err);
    assert_code(VX11_ENOT_FOUND, module_run_end(s, first, &(struct module_run_end){.ended_at = NOW}, &err),
                err);
    assert_ok(module_run_start(s, "switch", 102, NOW + 3, second, &err), err);
    assert_code(VX11_EINVALID, module_run_start(s, "switch", 0, NOW, link, &err), err);

    struct runs runs = {0};
    assert_ok(module_run_list_last(s, "switch", 5, keep_run, &runs, &err), err);
    assert_int_equal(runs.count, 2);
    assert_string_equal(runs.row[0].id, second);
    assert_true(runs.row[0].pid == 102 && runs.row[0].ended_at == 0 && runs.row[0].exit_code == -1 &&
                runs.row[0].signal == 0 && !runs.row[0].oom);
    struct module_run_row *r = &runs.row[1];
    assert_string_equal(r->module, "switch");
    assert_true(r->ended_at == NOW + 2 && r->exit_code == -1 && r->signal == 9 && r->oom);
    assert_string_equal(r->reason, "killed");
    assert_string_equal(r->crash_report, "forensic/crash.txt");

    assert_ok(module_run_end(s, second, &(struct module_run_end){.ended_at = NOW + 4, .exit_code = 0}, &err),
              err);
    runs.count = 0;
    assert_ok(module_run_list_last(s, NULL, 2, keep_run, &runs, &err), err);
    assert_int_equal(runs.count, 2);
    assert_string_equal(runs.row[0].id, second);
    assert_true(runs.row[0].exit_code == 0);
    store_close(s);
}

int main(void)
{
#define IN_PLACE(test) cmocka_unit_test_setup_teardown(test, place_setup_fast, place_teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        IN_PLACE(test_set_and_get),
        IN_PLACE(test_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
