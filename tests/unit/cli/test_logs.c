/* Logs: what is found in a record, and several modules' files as one stream, while they are rotated, packed
 * and emptied. */
#include "cli_test.h"

#include <sys/stat.h>

#include "base/clock.h"
#include "base/log_reader.h"

static char dir[64];

static int setup(void **state)
{
    (void)state;
    temp_make(dir);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    temp_remove(dir);
    return 0;
}

/* ---- records ---- */

static void check_head(const char *line, const char *time, int level, const char *word)
{
    struct log_head h;
    int64_t at = 0;
    log_head_parse(line, strlen(line), &h);
    assert_int_equal(h.has_time, time != NULL);
    if (time) {
        assert_int_equal(clock_parse(time, -1, &at), 0);
        assert_int_equal(h.time_ms, at);
    }
    assert_int_equal(h.has_level, word != NULL);
    if (word) {
        assert_int_equal(h.level, level);
        assert_int_equal(h.level_len, strlen(word));
        assert_memory_equal(line + h.level_at, word, h.level_len);
    }
}

#define T1 "2026-11-22T14:45:04.123Z"

static void test_head(void **state)
{
    (void)state;
    check_head("time=" T1 " level=warn module=link msg=x", T1, LOG_WARN, "warn");
    check_head("level=error time=\"" T1 "\" msg=x", T1, LOG_ERROR, "error");
    check_head("module=a msg=\"time=2020-01-01T00:00:00.000Z level=error\" level=info time=" T1, T1, LOG_INFO,
               "info");
    check_head("msg=\"say \\\" level=error\" level=debug", NULL, LOG_DEBUG, "debug");
    check_head("{\"time\":\"" T1 "\",\"level\":\"trace\",\"msg\":\"x\"}", T1, LOG_TRACE, "trace");
    check_head("{\"a\":{\"level\":\"error\"},\"b\":[\"level\",\"warn\"],\"level\":\"info\"}", NULL, LOG_INFO,
               "info");
    check_head("{\"msg\":\"level\",\"x\":\"warn\"}", NULL, 0, NULL);
}

static void test_head_of_garbage(void **state)
{
    (void)state;
    check_head("", NULL, 0, NULL);
    check_head("no record at all", NULL, 0, NULL);
    check_head("time=yesterday level=loud", NULL, 0, NULL);
    check_head("time=", NULL, 0, NULL);
    check_head("time=\"", NULL, 0, NULL);
    check_head("level=\"warn\\", NULL, 0, NULL);
    check_head("{", NULL, 0, NULL);
    check_head("{\"level\":\"", NULL, 0, NULL);
    check_head("}}]]{\"level\":\"warn\"}", NULL, 0, NULL);
    check_head("= = =a level =warn", NULL, 0, NULL);
}

/* ---- streams ---- */

/* A record at a minute of one day. */
#define R(minute, level, msg) "time=2026-11-22T10:" minute ":00.000Z level=" level " msg=" msg "\n"

static struct log_reader *reader(const char *module, const char *since, enum log_level level, uint64_t last)
{
    struct log_reader *r = NULL;
    struct error err = {0};
    struct log_reader_options o = {.dir = dir, .module = module, .level = level, .last = last};
    if (since)
        assert_int_equal(clock_parse(since, -1, &o.since_ms), 0);
    if (log_reader_open(&o, &r, &err) != 0)
        fail_msg("%s", err.text);
    return r;
}

/* The msg values of all that is there now, each with a blank behind it. */
static const char *messages(struct log_reader *r)
{
    static char text[4096];
    struct log_record record;
    size_t n = 0;
    int rc;
    text[0] = '\0';
    while ((rc = log_reader_next(r, &record)) == 1) {
        const char *msg = strstr(record.line, "msg=");
        n += (size_t)snprintf(text + n, sizeof text - n, "%s ", msg ? msg + 4 : record.line);
        assert_true(n < sizeof text);
    }
    assert_int_equal(rc, 0);
    return text;
}

static void check(const char *module, const char *since, enum log_level level, uint64_t last,
                  const char *expected)
{
    struct log_reader *r = reader(module, since, level, last);
    assert_string_equal(messages(r), expected);
    log_reader_close(r);
}

static void put_three(void)
{
    file_put_packed(dir, "link.log.9.zst", R("01", "info", "a") R("04", "warn", "d"));
    file_put(dir, "link.log.10", R("06", "info", "f"));
    file_put(dir, "link.log", R("08", "error", "h"));
    file_put(dir, "switch.log.1", R("02", "info", "b") R("03", "debug", "c"));
    file_put(
        dir, "switch.log",
        "{\"time\":\"2026-11-22T10:05:00.000Z\",\"level\":\"warn\",\"x\":\"msg=e\"}\n" R("07", "info", "g"));
    /* Not logs of a module. */
    file_put(dir, "link.stderr", "msg=no\n");
    file_put(dir, "link.log.x", "msg=no\n");
    file_put(dir, "link.log.3.zst.tmp", "msg=no\n");
}

static void test_merge(void **state)
{
    (void)state;
    put_three();
    check(NULL, NULL, LOG_TRACE, 0, "a b c d e\"} f g h ");
    check("link", NULL, LOG_TRACE, 0, "a d f h ");
    check(NULL, NULL, LOG_WARN, 0, "d e\"} h ");
    check(NULL, "2026-11-22T10:06:00Z", LOG_TRACE, 0, "f g h ");
    check("switch", "2026-11-22T10:03:00Z", LOG_INFO, 0, "e\"} g ");
}

static void test_last(void **state)
{
    (void)state;
    put_three();
    check(NULL, NULL, LOG_TRACE, 1, "h ");
    check(NULL, NULL, LOG_TRACE, 3, "f g h ");
    check(NULL, NULL, LOG_TRACE, 7, "b c d e\"} f g h ");
    check(NULL, NULL, LOG_TRACE, 100, "a b c d e\"} f g h ");
    check("link", NULL, LOG_WARN, 2, "d h ");
    check(NULL, "2026-11-22T10:06:00Z", LOG_TRACE, 2, "g h ");
}

static void test_lines_without_time(void **state)
{
    (void)state;
    file_put(dir, "a.log",
             R("01", "info", "a") "\n torn msg=torn\n" R("03", "error", "c") "msg=under\nmsg=unended");
    file_put(dir, "b.log", R("02", "info", "b"));
    check(NULL, NULL, LOG_TRACE, 0, "a torn b c under ");
    check(NULL, NULL, LOG_ERROR, 0, "c under ");
}

static void test_long_line(void **state)
{
    (void)state;
    struct log_record record;
    char *line = malloc(200001);
    assert_non_null(line);
    memset(line, 'x', 200000);
    line[199999] = '\n';
    line[200000] = '\0';
    file_put(dir, "a.log", line);
    free(line);
    file_append(dir, "a.log", R("01", "info", "after"));
    struct log_reader *r = reader("a", NULL, LOG_TRACE, 0);
    assert_int_equal(log_reader_next(r, &record), 1);
    assert_int_equal(record.len, LOG_FILE_LINE_MAX);
    assert_int_equal(log_reader_next(r, &record), 1);
    assert_non_null(strstr(record.line, "msg=after"));
    assert_int_equal(log_reader_next(r, &record), 0);
    log_reader_close(r);
}

static void test_cut_copy(void **state)
{
    (void)state;
    char path[128];
    file_put_packed(dir, "a.log.1.zst", R("01", "info", "a") R("02", "info", "b"));
    snprintf(path, sizeof path, "%s/a.log.1.zst", dir);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(truncate(path, st.st_size - 5), 0);
    file_put(dir, "a.log.2.zst", "this was never packed");
    file_put(dir, "a.log", R("03", "info", "c"));
    struct log_reader *r = reader("a", NULL, LOG_TRACE, 0);
    assert_non_null(strstr(messages(r), "c "));
    log_reader_close(r);
}

static void test_none(void **state)
{
    (void)state;
    struct log_reader *r = NULL;
    struct error err = {0};
    struct log_reader_options o = {.dir = dir, .module = "link"};
    assert_int_equal(log_reader_open(&o, &r, &err), VX11_ENOT_FOUND);
    o.dir = "/nonexistent/folder";
    assert_int_equal(log_reader_open(&o, &r, &err), VX11_ENOT_FOUND);
}

/* ---- following ---- */

static void rename_log(const char *from, const char *to)
{
    char a[128], b[128];
    snprintf(a, sizeof a, "%s/%s", dir, from);
    snprintf(b, sizeof b, "%s/%s", dir, to);
    assert_int_equal(rename(a, b), 0);
}

static void test_follow(void **state)
{
    (void)state;
    file_put(dir, "a.log", R("01", "info", "a"));
    struct log_reader *r = reader(NULL, NULL, LOG_TRACE, 0);
    assert_string_equal(messages(r), "a ");
    log_reader_wait(r, 0);
    assert_string_equal(messages(r), "");

    file_append(dir, "a.log", R("02", "info", "b"));
    file_append(dir, "a.log", "msg=half");
    log_reader_wait(r, 1000);
    assert_string_equal(messages(r), "b ");
    file_append(dir, "a.log", "-done\n");
    log_reader_wait(r, 1000);
    assert_string_equal(messages(r), "half-done ");

    /* A module that is new. */
    file_put(dir, "b.log", R("03", "info", "new"));
    log_reader_wait(r, 1000);
    assert_string_equal(messages(r), "new ");
    log_reader_close(r);
}

static void test_follow_rotation(void **state)
{
    (void)state;
    file_put(dir, "a.log", R("01", "info", "a"));
    struct log_reader *r = reader("a", NULL, LOG_TRACE, 0);
    assert_string_equal(messages(r), "a ");

    /* Written, rotated twice and packed before anyone looks. */
    file_append(dir, "a.log", R("02", "info", "b"));
    rename_log("a.log", "a.log.1");
    file_put_packed(dir, "a.log.2.zst", R("03", "info", "c"));
    file_put(dir, "a.log", R("04", "info", "d"));
    log_reader_wait(r, 1000);
    assert_string_equal(messages(r), "b c d ");

    /* Rotated, and the new one is not there yet. */
    rename_log("a.log", "a.log.3");
    log_reader_wait(r, 1000);
    assert_string_equal(messages(r), "");
    file_put(dir, "a.log", R("05", "info", "e"));
    log_reader_wait(r, 1000);
    assert_string_equal(messages(r), "e ");

    /* Emptied by a person. */
    file_put(dir, "a.log", "");
    log_reader_wait(r, 1000);
    assert_string_equal(messages(r), "");
    file_append(dir, "a.log", R("06", "info", "f"));
    log_reader_wait(r, 1000);
    assert_string_equal(messages(r), "f ");
    log_reader_close(r);
}

static void test_follow_after_last(void **state)
{
    (void)state;
    file_put(dir, "a.log", R("01", "info", "a") R("02", "info", "b"));
    struct log_reader *r = reader(NULL, NULL, LOG_TRACE, 1);
    assert_string_equal(messages(r), "b ");
    file_append(dir, "a.log", R("03", "info", "c"));
    log_reader_wait(r, 1000);
    assert_string_equal(messages(r), "c ");
    log_reader_close(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_head),
        cmocka_unit_test(test_head_of_garbage),
        cmocka_unit_test_setup_teardown(test_merge, setup, teardown),
        cmocka_unit_test_setup_teardown(test_last, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lines_without_time, setup, teardown),
        cmocka_unit_test_setup_teardown(test_long_line, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cut_copy, setup, teardown),
        cmocka_unit_test_setup_teardown(test_none, setup, teardown),
        cmocka_unit_test_setup_teardown(test_follow, setup, teardown),
        cmocka_unit_test_setup_teardown(test_follow_rotation, setup, teardown),
        cmocka_unit_test_setup_teardown(test_follow_after_last, setup, teardown),
    };
    return cmocka_run_group_tests_name("cli logs", tests, NULL, NULL);
}
