/* Symbolize: this program's own places, by a tool and without one; other builds; tools that fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/elf_file.h"
#include "base/fs.h"
#include "base/str.h"
#include "module/forensic/symbolize.h"

extern const char __ehdr_start[]; /* the linker's: where this program's first byte is in memory */

static struct crash_report report;
static struct crash_place place;
static struct arena *a;
static struct error err;

enum { LANDMARK_LINE = __LINE__ };
__attribute__((noinline)) static int landmark(volatile int *p)
{
    return *p + 40;
}

static int setup(void **state)
{
    struct elf_file f;
    (void)state;
    volatile int two = 2;
    assert_int_equal(landmark(&two), 42);
    a = arena_create(0);
    report = (struct crash_report){.object_count = 1};
    snprintf(report.objects[0].name, sizeof report.objects[0].name, "prog");
    assert_int_equal(fs_self_exe(report.objects[0].path, sizeof report.objects[0].path), 0);
    assert_int_equal(elf_open(report.objects[0].path, &f, &err), 0);
    memcpy(report.objects[0].build_id, f.build_id, sizeof f.build_id);
    elf_close(&f);
    place = (struct crash_place){.address = (uintptr_t)landmark,
                                 .object = "prog",
                                 .offset = (uint64_t)((uintptr_t)landmark - (uintptr_t)__ehdr_start)};
    return a ? 0 : 1;
}

static int teardown(void **state)
{
    (void)state;
    arena_destroy(a);
    return 0;
}

static struct symbol_place ask(const char *setting, const char **tool)
{
    struct symbol_place p = {.at = &place, .exact = true};
    assert_int_equal(symbolize(&report, setting, a, &p, 1, tool, &err), 0);
    return p;
}

/* With whatever of the tools is on this machine. */
static void by_tool(void **state)
{
    static const char *const tools[] = {"auto", "/usr/bin/addr2line", "/usr/bin/llvm-symbolizer",
                                        "/usr/bin/eu-addr2line"};
    const char *tool;
    int tried = 0;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(tools); i++) {
        if (i > 0 && access(tools[i], X_OK) != 0)
            continue;
        struct symbol_place p = ask(tools[i], &tool);
        if (i == 0 && !tool)
            continue; /* none is installed */
        tried++;
        assert_non_null(tool);
        assert_int_equal(p.known, SYMBOL_DEBUG);
        assert_null(p.reason);
        assert_int_equal(p.line_count, 1);
        assert_string_equal(p.lines[0].function, "landmark");
        assert_true(str_ends(p.lines[0].source, "tests/unit/module/test_symbolize.c"));
        assert_in_range(p.lines[0].line, LANDMARK_LINE, LANDMARK_LINE + 5);
    }
    if (tried == 0)
        skip();
}

static void by_table(void **state)
{
    const char *tool;
    (void)state;
    struct symbol_place p = ask("none", &tool);
    assert_null(tool);
    assert_int_equal(p.known, SYMBOL_TABLE);
    assert_string_equal(p.lines[0].function, "landmark");
    assert_null(p.lines[0].source);
    assert_non_null(strstr(p.reason, "switched off"));
}

/* Symbols of another build are never shown as true. */
static void other_build(void **state)
{
    const char *tool;
    (void)state;
    report.objects[0].build_id[0] = report.objects[0].build_id[0] == 'a' ? 'b' : 'a';
    struct symbol_place p = ask("auto", &tool);
    assert_int_equal(p.known, SYMBOL_OFFSET);
    assert_int_equal(p.line_count, 0);
    assert_non_null(strstr(p.reason, "another build"));

    snprintf(report.objects[0].path, sizeof report.objects[0].path, "/nowhere/prog");
    p = ask("auto", &tool);
    assert_int_equal(p.known, SYMBOL_OFFSET);
    assert_non_null(strstr(p.reason, "/nowhere/prog"));

    report.objects[0].build_id[0] = '\0';
    p = ask("auto", &tool);
    assert_int_equal(p.line_count, 0);
    assert_non_null(strstr(p.reason, "no build id"));

    report.object_count = 0; /* of a version that did not write files */
    snprintf(report.build_id, sizeof report.build_id, "0123456789abcdef");
    p = ask("auto", &tool);
    assert_int_equal(p.line_count, 0);
    assert_non_null(strstr(p.reason, "which build"));

    place.object[0] = '\0';
    p = ask("auto", &tool);
    assert_non_null(strstr(p.reason, "no file"));
}

/* A tool that fails, one that floods us, and one that answers rubbish: the table of symbols has to do. */
static void bad_tools(void **state)
{
    static const char *const scripts[] = {"#!/bin/sh\nexit 3\n", "#!/bin/sh\nexec yes\n",
                                          "#!/bin/sh\necho 0x0\necho hello\n", "#!/bin/sh\nkill -KILL $$\n",
                                          ""};
    static const char *const says[] = {"exit status 3", "", "cannot be read", "signal 9", "no program"};
    char path[] = "/tmp/vx11-symbolizer-XXXXXX";
    (void)state;
    for (size_t i = 0; i < COUNT_OF(scripts); i++) {
        const char *tool;
        memcpy(path + sizeof path - 7, "XXXXXX", 6);
        int fd = mkostemp(path, O_CLOEXEC);
        assert_true(fd >= 0 && fchmod(fd, 0700) == 0);
        assert_int_equal(write(fd, scripts[i], strlen(scripts[i])), strlen(scripts[i]));
        close(fd);
        struct symbol_place p = ask(path, &tool);
        unlink(path);
        assert_null(tool);
        assert_int_equal(p.known, SYMBOL_TABLE);
        if (!strstr(p.reason, says[i]))
            fail_msg("case %zu: %s", i, p.reason);
    }
    const char *tool;
    struct symbol_place p = ask("/nowhere/addr2line", &tool);
    assert_int_equal(p.known, SYMBOL_TABLE);
}

/* ---- what tools say ---- */

static void output(void **state)
{
    static const char text[] = "0x0000000000001001\n"
                               "inner\n"
                               "/src/a.c:12 (discriminator 3)\n"
                               "outer\n"
                               "/src/b.c:34:5\n"
                               "0x2002\n"
                               "??\n"
                               "??:0\n"
                               "0x3\n"
                               "f inlined at /src/x.c:9 in g\n"
                               "x.c:?\n";
    static const uint64_t addresses[] = {0x1001, 0x2002, 3};
    struct symbol_line *lines[3];
    size_t counts[3];
    (void)state;
    assert_int_equal(symbol_output_parse(a, text, strlen(text), addresses, 3, lines, counts), 0);
    assert_int_equal(counts[0], 2);
    assert_string_equal(lines[0][0].function, "inner");
    assert_string_equal(lines[0][0].source, "/src/a.c");
    assert_int_equal(lines[0][0].line, 12);
    assert_string_equal(lines[0][1].source, "/src/b.c");
    assert_int_equal(lines[0][1].line, 34);
    assert_int_equal(counts[1], 0);
    assert_int_equal(counts[2], 1);
    assert_string_equal(lines[2][0].function, "f");
    assert_string_equal(lines[2][0].source, "x.c");
    assert_int_equal(lines[2][0].line, 0);
    for (size_t n = 0; n < strlen(text); n++) { /* cut anywhere */
        char *part = malloc(n + 1);
        memcpy(part, text, n);
        int rc = symbol_output_parse(a, part, n, addresses, 3, lines, counts);
        assert_true(rc == 0 || rc == VX11_ESYNTAX);
        free(part);
    }
    assert_int_equal(symbol_output_parse(a, "0x5\nf\nx:1\n", 10, addresses, 1, lines, counts), VX11_ESYNTAX);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {TEST(by_tool), TEST(by_table), TEST(other_build), TEST(bad_tools),
                                       TEST(output)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
