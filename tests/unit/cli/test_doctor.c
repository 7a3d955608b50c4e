/* Doctor: the table of checks and its documentation, the arithmetic of the verdict, what is printed of
 * hostile words. What the checks find is in tests/integration/test_doctor.c. */
#include "cli_test.h"

#include "base/fs.h"
#include "base/str.h"
#include "cli/doctor/doctor.h"

/* ---- the table ---- */

static void test_table(void **state)
{
    (void)state;
    int group = -1;
    bool seen[COUNT_OF(supervisor_doctor_group_names)] = {0};
    assert_true(doctor_check_count > 40);
    for (size_t i = 0; i < doctor_check_count; i++) {
        const struct doctor_check *c = &doctor_checks[i];
        const char *name = supervisor_doctor_group_names[c->group];
        if (!str_starts(c->id, name) || c->id[strlen(name)] != '.')
            fail_msg("%s is not of group %s", c->id, name);
        assert_ptr_equal(doctor_check_find(c->id), c); /* its id is its own */
        assert_true(c->title && c->title[0] && c->run);
        assert_in_range(c->severity, DOCTOR_BLOCK, DOCTOR_INFO);
        if (c->group != group)
            assert_false(seen[c->group]); /* groups stand together */
        group = c->group;
        seen[group] = true;
    }
    for (size_t i = 0; i < COUNT_OF(seen); i++) {
        if (!seen[i])
            fail_msg("there is no check of group %s", supervisor_doctor_group_names[i]);
        assert_non_null(strstr(command_find("doctor")->help, supervisor_doctor_group_names[i]));
    }
    assert_null(doctor_check_find("modules"));
}

/* docs/doctor.md has each id with its severity, and no other. */
static void test_documentation(void **state)
{
    (void)state;
    const char *src = getenv("VX11_SRC");
    char path[4096], heading[128];
    struct buf text = BUF_INIT;
    size_t headings = 0;
    if (!src)
        skip();
    snprintf(path, sizeof path, "%s/docs/doctor.md", src);
    assert_int_equal(fs_read_file(path, 1 << 20, &text, NULL), 0);
    for (const char *s = text.data; (s = strstr(s, "\n#### `")) != NULL; s++)
        headings++;
    for (size_t i = 0; i < doctor_check_count; i++) {
        static const char *const severities[] = {"block", "warn", "info"};
        const struct doctor_check *c = &doctor_checks[i];
        snprintf(heading, sizeof heading, "\n#### `%s` (%s)\n", c->id, severities[c->severity]);
        const char *at = strstr(text.data, heading);
        if (!at)
            fail_msg("docs/doctor.md does not explain %s", c->id);
        const char *end = strstr(at + 1, "\n#### ");
        const char *limit = strstr(at, "- Limit: "), *mend = strstr(at, "- Mend: "),
                   *fix = strstr(at, "- `--fix`");
        if (!limit || !mend || (end && mend > end))
            fail_msg("docs/doctor.md does not say the limit of %s, or what mends it", c->id);
        if ((c->fix != NULL) != (fix && (!end || fix < end)))
            fail_msg("docs/doctor.md is wrong on whether --fix mends %s", c->id);
    }
    assert_int_equal(headings, doctor_check_count);
    buf_free(&text);
}

/* ---- the verdict ---- */

static struct supervisor_doctor_report judged(size_t count, const int (*pairs)[2])
{
    static struct supervisor_doctor_check list[8];
    memset(list, 0, sizeof list);
    for (size_t i = 0; i < count; i++) {
        list[i].severity = pairs[i][0];
        list[i].state = pairs[i][1];
    }
    struct supervisor_doctor_report r = {.checks = list, .checks_count = count};
    doctor_judge(&r);
    return r;
}

#define VERDICT(want, code, ...)                                                                             \
    do {                                                                                                     \
        const int pairs_[][2] = {__VA_ARGS__};                                                               \
        struct supervisor_doctor_report r_ = judged(COUNT_OF(pairs_), pairs_);                               \
        assert_int_equal(r_.verdict, SUPERVISOR_DOCTOR_VERDICT_##want);                                      \
        assert_int_equal(doctor_exit_code(r_.verdict), code);                                                \
    } while (0)

static void test_verdict(void **state)
{
    (void)state;
    const int B = DOCTOR_BLOCK, W = DOCTOR_WARN, I = DOCTOR_INFO;
    const int OK = DOCTOR_OK, NO = DOCTOR_FAILED, WHO = DOCTOR_UNKNOWN;
    VERDICT(READY, 0, {B, OK}, {W, OK}, {I, OK});
    VERDICT(READY, 0, {B, OK}, {I, NO}, {I, WHO});
    VERDICT(READY_WITH_WARNINGS, 2, {B, OK}, {W, NO});
    VERDICT(READY_WITH_WARNINGS, 2, {B, OK}, {W, WHO}); /* unknown is failed */
    VERDICT(NOT_READY, 1, {B, NO}, {W, OK});
    VERDICT(NOT_READY, 1, {B, WHO}, {W, OK});
    VERDICT(NOT_READY, 1, {B, OK}, {B, WHO}, {W, NO}, {I, NO});
    struct supervisor_doctor_report none = judged(0, NULL);
    assert_int_equal(none.verdict, SUPERVISOR_DOCTOR_VERDICT_NOT_READY); /* nothing was found out */

    const int mixed[][2] = {{B, NO}, {B, WHO}, {W, WHO}, {W, OK}, {I, WHO}, {I, OK}};
    struct supervisor_doctor_report r = judged(COUNT_OF(mixed), mixed);
    assert_int_equal(r.blocking, 2);
    assert_int_equal(r.warnings, 1);
    assert_int_equal(r.notes, 1);
    assert_int_equal(r.unknown, 3);
}

/* ---- what is printed ---- */

static void test_hostile_words(void **state)
{
    (void)state;
    struct supervisor_doctor_check check = {.id = "models.file",
                                            .subject = "a|b\n<script>\033]0;x\a",
                                            .group = SUPERVISOR_DOCTOR_GROUP_MODELS,
                                            .severity = DOCTOR_BLOCK,
                                            .state = DOCTOR_UNKNOWN,
                                            .title = "t",
                                            .reason = "no\033[31m `file`\r\n# heading",
                                            .mend = "vx11 models scan"};
    struct supervisor_doctor_report r = {
        .version = "1", .home = "/h", .checks = &check, .checks_count = 1, .not_kept = "a\033b"};
    struct buf text = BUF_INIT;
    doctor_judge(&r);
    doctor_text(&r, false, true, &text);
    assert_null(strchr(text.data, '\033'));
    assert_null(strchr(text.data, '\a'));
    assert_non_null(strstr(text.data, "unknown: no"));
    assert_non_null(strstr(text.data, "mend: vx11 models scan"));
    assert_non_null(strstr(text.data, "is not ready: 0 of 1 ok, 1 blocking (1 unknown)"));
    buf_clear(&text);
    doctor_markdown(&r, &text);
    assert_null(strchr(text.data, '\033'));
    assert_non_null(strstr(text.data, "a\\|b"));
    assert_non_null(strstr(text.data, "\\<script\\>"));
    assert_null(strstr(text.data, "\n# heading"));
    buf_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_documentation),
        cmocka_unit_test(test_verdict),
        cmocka_unit_test(test_hostile_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
