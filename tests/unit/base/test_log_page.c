/* Pages of records: newest first over modules and files, without holes whatever the bounds, while files are
 * turned over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <unistd.h>
#include <zstd.h>

#include "base/clock.h"
#include "base/log_reader.h"
#include "base/str.h"

static char dir[64];

static void put(const char *name, const char *text, bool packed)
{
    char path[200];
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    if (packed) {
        size_t room = ZSTD_compressBound(strlen(text));
        char *out = malloc(room);
        assert_non_null(out);
        size_t n = ZSTD_compress(out, room, text, strlen(text), 3);
        assert_int_equal(fwrite(out, 1, n, f), n);
        free(out);
    } else {
        assert_true(fputs(text, f) >= 0);
    }
    assert_int_equal(fclose(f), 0);
}

/* Records number `from` to `to`, one each second, of a module; every third is a warning. */
static char *records(const char *module, int from, int to, int step)
{
    struct buf b = BUF_INIT;
    char when[32];
    for (int i = from; i < to; i += step)
        buf_printf(&b, "time=%s level=%s module=%s msg=\"word %d\"\n",
                   clock_format(1700000000000 + i * 1000LL, when), i % 3 == 0 ? "warn" : "info", module, i);
    return buf_detach(&b, NULL);
}

static void put_records(const char *file, const char *module, int from, int to, int step, bool packed)
{
    char *text = records(module, from, to, step);
    put(file, text, packed);
    free(text);
}

static int begin(void **state)
{
    (void)state;
    (void)snprintf(dir, sizeof dir, "/tmp/vx11-page-XXXXXX");
    assert_non_null(mkdtemp(dir));
    /* link has even seconds, switch odd ones */
    put_records("link.log.1.zst", "link", 0, 200, 2, true);
    put_records("link.log.2", "link", 200, 400, 2, false);
    put_records("link.log", "link", 400, 600, 2, false);
    put_records("switch.log.7.zst", "switch", 1, 500, 2, true);
    put_records("switch.log", "switch", 501, 600, 2, false);
    return 0;
}

static int end(void **state)
{
    static const char *const files[] = {"link.log.1.zst",   "link.log.2", "link.log",
                                        "switch.log.7.zst", "switch.log", "torn.log"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(files); i++) {
        char path[200];
        (void)snprintf(path, sizeof path, "%s/%s", dir, files[i]);
        (void)unlink(path);
    }
    return rmdir(dir);
}

/* Pages to the end; each record once, newest first. Returns how many, and how many pages were cut. */
static size_t walk(struct log_page_options o, int *cuts)
{
    struct log_place before, last = {.time_ms = INT64_MAX};
    size_t seen = 0;
    *cuts = 0;
    for (int page = 0; page < 2000; page++) {
        struct log_page p;
        o.before = page ? &before : NULL;
        o.dir = dir;
        assert_int_equal(log_page_read(&o, &p), 0);
        assert_true(p.count <= o.limit);
        for (size_t i = 0; i < p.count; i++) {
            assert_true(log_place_compare(&p.records[i].place, &last) < 0);
            last = p.records[i].place;
        }
        seen += p.count;
        *cuts += p.cut;
        bool more = p.more;
        before = p.next;
        log_page_free(&p);
        if (!more)
            return seen;
    }
    fail_msg("the pages do not end");
    return 0;
}

static void test_pages(void **state)
{
    int cuts;
    (void)state;
    for (size_t limit = 1; limit < 700; limit = limit * 3 + 1) {
        assert_int_equal(walk((struct log_page_options){.limit = limit, .most_bytes = 1 << 30}, &cuts), 600);
        assert_int_equal(cuts, 0);
        assert_int_equal(walk((struct log_page_options){.limit = limit, .most_bytes = 1}, &cuts), 600);
    }
}

static void test_filters(void **state)
{
    int cuts;
    (void)state;
    struct log_page_options o = {.limit = 50, .most_bytes = 1 << 30};
    o.module = "switch";
    assert_int_equal(walk(o, &cuts), 300);
    o.level = LOG_WARN;
    assert_int_equal(walk(o, &cuts), 100);
    o = (struct log_page_options){.limit = 50, .most_bytes = 1 << 30, .text = "WORD 59"};
    assert_int_equal(walk(o, &cuts), 11); /* 59, 590 … 599 */
    o.most_bytes = 1;
    assert_int_equal(walk(o, &cuts), 11); /* in more pages, some of them empty */
    o = (struct log_page_options){
        .limit = 7, .most_bytes = 1 << 30, .since_ms = 1700000100000, .until_ms = 1700000149999};
    assert_int_equal(walk(o, &cuts), 50);
    o = (struct log_page_options){.limit = 7, .most_bytes = 1, .module = "nobody"};
    assert_int_equal(walk(o, &cuts), 0);
}

/* Lines of no format belong to the moment of the line before. */
static void test_torn(void **state)
{
    struct log_page p;
    (void)state;
    put("torn.log",
        "no time yet\n\ntime=2023-11-14T22:13:21.000Z level=error module=torn msg=a\n  a stack's "
        "line\n\xff\xfe\n",
        false);
    struct log_page_options o = {.dir = dir, .module = "torn", .limit = 10, .most_bytes = 1};
    assert_int_equal(log_page_read(&o, &p), 0);
    assert_int_equal(p.count, 4);
    assert_false(p.more);
    assert_string_equal(p.records[1].line, "  a stack's line");
    assert_int_equal(p.records[1].level, LOG_ERROR);
    assert_int_equal(p.records[1].place.time_ms, p.records[2].place.time_ms);
    assert_int_equal(p.records[3].place.time_ms, 0);
    log_page_free(&p);
}

static void test_places(void **state)
{
    struct log_place p = {.time_ms = 1763, .module = "engine-a.b", .at = 99}, q;
    char text[112];
    (void)state;
    assert_string_equal(log_place_format(&p, text), "1763.99.engine-a.b");
    assert_true(log_place_parse(text, &q));
    assert_int_equal(log_place_compare(&p, &q), 0);
    static const char *const bad[] = {"",      ".",     "1",      "1.",     "1.2",
                                      "x.2.m", "1.x.m", "-1.2.m", "1.-2.m", "99999999999999999999999.1.m"};
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_false(log_place_parse(bad[i], &q));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pages),
        cmocka_unit_test(test_filters),
        cmocka_unit_test(test_torn),
        cmocka_unit_test(test_places),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
