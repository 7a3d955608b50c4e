/* A week of traffic at an accelerated clock, a hundredth of the size: the upkeep keeps the file at its target
 * size, and every row that left is in the archive. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <yyjson.h>

#include "base/fs.h"

#define SCALE  "0.01"
#define TARGET 6000000

static char home[64];

static int make_home(void **state)
{
    (void)state;
    snprintf(home, sizeof home, "/tmp/vx11-week-XXXXXX");
    return mkdtemp(home) ? 0 : -1;
}

static int remove_home(void **state)
{
    (void)state;
    int fd = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = fd < 0 ? -1 : fs_remove_tree(fd, home + strlen("/tmp/"), NULL);
    if (fd >= 0)
        close(fd);
    return rc;
}

/* Runs the program to its end; its JSON, to be freed. */
static yyjson_doc *week(const char *name, const char *more)
{
    char folder[128], target[24], out[4096];
    const char *program = getenv("VX11_WEEK");
    int ends[2];
    assert_non_null(program);
    snprintf(folder, sizeof folder, "%s/%s", home, name);
    snprintf(target, sizeof target, "%d", TARGET);
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        dup2(ends[1], STDOUT_FILENO);
        execl(program, program, "--home", folder, "--scale", SCALE, "--target", target, more, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    size_t len = 0;
    for (ssize_t n; len < sizeof out - 1 && (n = read(ends[0], out + len, sizeof out - 1 - len)) > 0;)
        len += (size_t)n;
    close(ends[0]);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail_msg("vx11-week ended with status %x", (unsigned)status);
    yyjson_doc *doc = yyjson_read(out, len, 0);
    assert_non_null(doc);
    return doc;
}

static int64_t number(yyjson_doc *doc, const char *name)
{
    yyjson_val *v = yyjson_obj_get(yyjson_doc_get_root(doc), name);
    if (!v)
        fail_msg("no %s", name);
    return yyjson_get_sint(v);
}

static void test_without_upkeep(void **state)
{
    (void)state;
    yyjson_doc *doc = week("without", "--no-upkeep");
    /* Else the next test would prove nothing. */
    assert_true(number(doc, "end_bytes") > TARGET * 3 / 2);
    assert_int_equal(number(doc, "deleted"), 0);
    assert_int_equal(number(doc, "lost"), 0);
    yyjson_doc_free(doc);
}

static void test_with_upkeep(void **state)
{
    (void)state;
    yyjson_doc *doc = week("with", NULL);
    assert_int_equal(number(doc, "maintenances"), 7);
    assert_int_equal(number(doc, "maintenances_failed"), 0);
    assert_true(number(doc, "end_bytes") <= TARGET);
    /* Between two looks an hour's traffic comes on top. */
    assert_true(number(doc, "largest_bytes") <= TARGET + TARGET / 20);
    assert_true(number(doc, "archived") > 0);
    assert_int_equal(number(doc, "requests"), 6048);
    assert_int_equal(number(doc, "lost"), 0);
    yyjson_doc_free(doc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_upkeep),
        cmocka_unit_test(test_with_upkeep),
    };
    return cmocka_run_group_tests(tests, make_home, remove_home);
}
