/* The generator: refuses wrong tables with a sentence that names the place, writes nothing then, and touches
 * no file whose content would stay the same. That its code compiles and works, every other test shows. */
#include <fcntl.h>
#include <setjmp.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/str.h"

static char tool[512], dir[64];

static int generator_find(void **state)
{
    (void)state;
    const char *build = getenv("VX11_BUILD");
    snprintf(tool, sizeof tool, "%s/contractgen", build ? build : "..");
    snprintf(dir, sizeof dir, "/tmp/vx11-gen-XXXXXX");
    return fs_exists(tool) && mkdtemp(dir) != NULL ? 0 : -1;
}

static int folder_remove(void **state)
{
    (void)state;
    int tmp = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = tmp >= 0 ? fs_remove_tree(tmp, dir + sizeof "/tmp/" - 1, NULL) : -1;
    close(tmp);
    return rc;
}

/* Runs the generator on files of the folder; what it said goes to *said. Returns its exit status. */
static int generate(const char *const *names, size_t n, struct buf *said)
{
    char paths[4][128], out[128], log[128], *argv[8] = {tool, (char[]){"--out"}, out};
    snprintf(out, sizeof out, "%s/out", dir);
    snprintf(log, sizeof log, "%s/log", dir);
    for (size_t i = 0; i < n; i++) {
        snprintf(paths[i], sizeof paths[i], "%s/%s", dir, names[i]);
        argv[3 + i] = paths[i];
    }
    posix_spawn_file_actions_t actions;
    pid_t pid;
    int status = -1;
    assert_int_equal(posix_spawn_file_actions_init(&actions), 0);
    assert_int_equal(posix_spawn_file_actions_addopen(&actions, 2, log, O_WRONLY | O_CREAT | O_TRUNC, 0600),
                     0);
    assert_int_equal(posix_spawn(&pid, tool, &actions, NULL, argv, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    buf_clear(said);
    assert_int_equal(fs_read_file(log, 1 << 20, said, NULL), 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void table_write(const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    assert_int_equal(fs_write_file_atomic(path, text, strlen(text), 0600, NULL), 0);
}

#define FIELD(f) "{\"doc\":\"d\",\"messages\":{\"M\":{\"doc\":\"d\",\"fields\":{\"x\":" f "}}}}"
#define ROUTE(r)                                                                                             \
    "{\"module\":\"t\",\"title\":\"T\",\"doc\":\"d\",\"messages\":{\"M\":{\"doc\":\"d\",\"fields\":{\"id\":" \
    "{\"type\":\"string\","                                                                                  \
    "\"required\":true,\"doc\":\"d\"}}}},\"routes\":[{\"id\":\"r\",\"method\":\"GET\",\"scope\":\"read\","   \
    "\"summary\":\"s\"," r "}]}"

static const char *const wrong[][2] = {
    {"{", "api/t.json: "},
    {"[]", "must be an object"},
    {"{}", "missing \"doc\""},
    {"{\"doc\":\"d\",\"massages\":{}}", "unknown key \"massages\""},
    {"{\"doc\":\"d\",\"doc\":\"e\"}", "\"doc\" is there twice"},
    {"{\"doc\":\"d\",\"routes\":[]}", "a file with routes needs \"module\""},
    {"{\"module\":\"u\",\"title\":\"T\",\"doc\":\"d\"}", "must be the file's name, \"t\""},
    {"{\"doc\":\"d\",\"messages\":{\"M\":{\"fields\":{}}}}", "messages.M: missing \"doc\""},
    {"{\"doc\":\"d\",\"messages\":{\"m\":{\"doc\":\"d\",\"fields\":{}}}}", "CamelCase"},
    {"{\"doc\":\"d\",\"messages\":{\"M\":{\"doc\":\"d\",\"fields\":{}},\"M\":{\"doc\":\"d\",\"fields\":{}}}}",
     "\"M\" is there twice"},
    {"{\"doc\":\"d\",\"enums\":{\"E\":{\"doc\":\"d\",\"values\":[\"a-b\",\"a.b\"]}}}",
     "becomes \"T_E_A_B\" in C"},
    {"{\"doc\":\"d\",\"enums\":{\"E\":{\"doc\":\"d\",\"values\":[]}}}", "must be an array of names"},
    {FIELD("{\"type\":\"string\"}"), "messages.M.fields.x: missing \"doc\""},
    {FIELD("{\"doc\":\"d\"}"), "missing \"type\""},
    {FIELD("{\"type\":\"text\",\"doc\":\"d\"}"), "unknown type \"text\""},
    {FIELD("{\"type\":\"string\",\"doc\":\"d\",\"requierd\":true}"), "unknown key \"requierd\""},
    {FIELD("{\"type\":\"string\",\"doc\":\"d\",\"required\":1}"), "must be true or false"},
    {FIELD("{\"type\":\"string\",\"doc\":\"d\",\"min\":1}"), "\"min\" does not fit type \"string\""},
    {FIELD("{\"type\":\"integer\",\"doc\":\"d\",\"min\":2,\"max\":1}"), "\"min\" is more than \"max\""},
    {FIELD("{\"type\":\"integer\",\"doc\":\"d\",\"max\":1,\"default\":2}"), "out of its own bounds"},
    {FIELD("{\"type\":\"integer\",\"doc\":\"d\",\"default\":1.5}"), "must be a whole number"},
    {FIELD("{\"type\":\"integer\",\"doc\":\"d\",\"default\":1,\"required\":true}"),
     "a required field has no default"},
    {FIELD("{\"type\":\"enum\",\"doc\":\"d\",\"values\":[\"a\"],\"default\":\"b\"}"),
     "none of the enum's values"},
    {FIELD("{\"type\":\"enum\",\"doc\":\"d\"}"), "either \"enum\" or \"values\""},
    {FIELD("{\"type\":\"enum\",\"doc\":\"d\",\"enum\":\"Nope\"}"), "unknown enum \"Nope\""},
    {FIELD("{\"type\":\"message\",\"doc\":\"d\",\"message\":\"Nope\"}"), "unknown message \"Nope\""},
    {FIELD("{\"type\":\"message\",\"doc\":\"d\",\"message\":\"other.Nope\"}"), "not listed in \"use\""},
    {FIELD("{\"type\":\"message\",\"doc\":\"d\",\"message\":\"M\",\"default\":{}}"),
     "contain the message itself"},
    {FIELD("{\"type\":\"array\",\"doc\":\"d\"}"), "missing \"of\""},
    {FIELD("{\"type\":\"array\",\"doc\":\"d\",\"of\":{\"type\":\"array\"}}"), "array of arrays"},
    {FIELD("{\"type\":\"string\",\"doc\":\"d\",\"pattern\":\"(\",\"max_length\":5}"), "not a POSIX extended"},
    {FIELD("{\"type\":\"string\",\"doc\":\"d\",\"pattern\":\"a\"}"), "needs a \"max_length\""},
    {FIELD("{\"type\":\"string\",\"doc\":\"d\",\"nullable\":\"yes\"}"), "true, false or \"accept\""},
    {"{\"doc\":\"d\",\"messages\":{\"M\":{\"doc\":\"d\",\"fields\":{\"x-y\":{\"type\":\"bool\",\"doc\":\"d\"}"
     ",\"x_y\":{\"type\":\"bool\","
     "\"doc\":\"d\"}}}}}",
     "becomes \"x_y\" in C"},
    {"{\"doc\":\"d\",\"use\":[\"nope\"]}", "is not among those given"},
    {ROUTE("\"path\":\"x\""), "\"path\" must begin with '/'"},
    {ROUTE("\"path\":\"/x/{id}\""), "placeholder \"id\" needs a required"},
    {ROUTE("\"path\":\"/x/{id*}/y\",\"params\":\"M\""), "must be the last segment"},
    {ROUTE("\"path\":\"/x/a{id}\",\"params\":\"M\""), "a whole path segment"},
    {ROUTE("\"path\":\"/x\",\"request\":\"M\""), "a GET has no \"request\" body"},
    {ROUTE("\"path\":\"/x\",\"response\":\"Nope\""), "unknown message \"Nope\""},
    {ROUTE("\"path\":\"/x\",\"maybe_stream\":true"), "\"maybe_stream\" needs \"stream\""},
    {ROUTE("\"path\":\"/x\",\"stream\":\"tcp\""), "unknown stream \"tcp\""},
    {ROUTE("\"path\":\"/x\",\"status\":404"), "that of success"},
    {ROUTE("\"path\":\"/"
           "x\"},{\"id\":\"r\",\"method\":\"GET\",\"scope\":\"root\",\"summary\":\"s\",\"path\":\"/x\""),
     "unknown scope \"root\""},
    {ROUTE("\"path\":\"/"
           "x\"},{\"id\":\"r\",\"method\":\"GET\",\"scope\":\"read\",\"summary\":\"s\",\"path\":\"/x\""),
     "is there twice"},
};

static void wrong_tables_are_refused(void **state)
{
    (void)state;
    struct buf said = BUF_INIT;
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        table_write("t.json", wrong[i][0]);
        int status = generate((const char *const[]){"t.json"}, 1, &said);
        if (status != 1 || strstr(said.data, wrong[i][1]) == NULL) {
            fail_msg("%s\n  gave %d %s\n  not %s", wrong[i][0], status, said.data, wrong[i][1]);
        }
    }
    char out[128];
    snprintf(out, sizeof out, "%s/out", dir);
    assert_false(fs_exists(out));
    buf_free(&said);
}

static void all_errors_are_told_at_once(void **state)
{
    (void)state;
    struct buf said = BUF_INIT;
    table_write("t.json", FIELD("{\"type\":\"text\",\"nope\":1}"));
    table_write("u.json", "{\"doc\":5}");
    assert_int_equal(generate((const char *const[]){"t.json", "u.json"}, 2, &said), 1);
    assert_non_null(strstr(said.data, "unknown type"));
    assert_non_null(strstr(said.data, "unknown key"));
    assert_non_null(strstr(said.data, "api/u.json: \"doc\" must be a string"));
    assert_non_null(strstr(said.data, "nothing written"));
    buf_free(&said);
}

/* Names that C has taken, docs that would end a comment, files that use each other, messages in any order. */
static void strange_tables_become_code_once(void **state)
{
    (void)state;
    struct buf said = BUF_INIT, text = BUF_INIT;
    char path[128];
    struct stat before, after;
    table_write(
        "a.json",
        "{\"doc\":\"d */ int x; /*\",\"use\":[\"b\"],\"messages\":{"
        "\"First\":{\"doc\":\"d\",\"fields\":{\"switch\":{\"type\":\"message\",\"message\":\"Second\","
        "\"doc\":\"a\\\"b\\\\c? */\"},"
        "\"far\":{\"type\":\"array\",\"of\":{\"type\":\"message\",\"message\":\"b.Thing\"},\"doc\":\"d\"}}},"
        "\"Second\":{\"doc\":\"d\",\"fields\":{}}}}");
    table_write("b.json", "{\"doc\":\"d\",\"use\":[\"a\"],\"messages\":{\"Thing\":{\"doc\":\"d\",\"fields\":{"
                          "\"back\":{\"type\":\"message\","
                          "\"message\":\"a.First\",\"doc\":\"d\"}}}}}");
    const char *const names[] = {"a.json", "b.json"};
    int status = generate(names, 2, &said);
    if (status != 0) {
        fail_msg("%d %s", status, said.data);
    }
    snprintf(path, sizeof path, "%s/out/api/a.h", dir);
    assert_int_equal(fs_read_file(path, 1 << 20, &text, NULL), 0);
    assert_non_null(strstr(text.data, "struct a_second *switch_;"));
    assert_non_null(strstr(text.data, "struct b_thing;"));
    assert_null(strstr(text.data, "*/ int x"));
    assert_int_equal(stat(path, &before), 0);
    assert_int_equal(generate(names, 2, &said), 0);
    assert_int_equal(stat(path, &after), 0);
    assert_true(before.st_ino == after.st_ino && before.st_mtim.tv_nsec == after.st_mtim.tv_nsec);
    buf_free(&text);
    buf_free(&said);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_tables_are_refused),
        cmocka_unit_test(all_errors_are_told_at_once),
        cmocka_unit_test(strange_tables_become_code_once),
    };
    return cmocka_run_group_tests(tests, generator_find, folder_remove);
}
