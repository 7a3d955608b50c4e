/* Completion: each shell's script names every command, and the shell itself can read it, where it is
 * installed. */
#include "cli_test.h"

#include "cli/cli_internal.h"

static void script(const char *shell, struct buf *out)
{
    char name[16];
    char command[] = "completion";
    snprintf(name, sizeof name, "%s", shell);
    char *argv[] = {command, name, NULL};
    assert_int_equal(output_of(command_completion, 2, argv, out), CLI_OK);
}

static void test_every_command(void **state)
{
    static const char *const shells[] = {"bash", "zsh", "fish"};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct buf out = BUF_INIT;
        script(shells[i], &out);
        for (size_t k = 0; k < cli_command_count; k++)
            if (!strstr(out.data, cli_commands[k].name))
                fail_msg("%s: %s is missing", shells[i], cli_commands[k].name);
        assert_null(strchr(out.data, '@')); /* every @word stands for something */
        buf_free(&out);
    }
}

static void read_by(const char *shell)
{
    struct buf out = BUF_INIT, err = BUF_INIT;
    char dir[64], file[80];
    const char *const argv[] = {shell, "-n", file, NULL};
    temp_make(dir);
    snprintf(file, sizeof file, "%s/script", dir);
    script(shell, &out);
    file_put(dir, "script", out.data);
    int code = program_run(argv, NULL, NULL, &err);
    temp_remove(dir);
    if (code == 127) {
        buf_free(&out);
        buf_free(&err);
        skip();
    }
    if (code != 0)
        fail_msg("%s -n: %s", shell, err.data);
    buf_free(&out);
    buf_free(&err);
}

static void test_bash(void **state)
{
    (void)state;
    read_by("bash");
}

static void test_zsh(void **state)
{
    (void)state;
    read_by("zsh");
}

static void test_fish(void **state)
{
    (void)state;
    read_by("fish");
}

/* What bash offers for a line, by the script's own function. */
static void offered(const char *words, const char *cword, struct buf *out)
{
    struct buf text = BUF_INIT;
    script("bash", &text);
    buf_printf(&text, "\nCOMP_WORDS=(%s)\nCOMP_CWORD=%s\n_vx11\nprintf '%%s ' \"${COMPREPLY[@]}\"\n", words,
               cword);
    const char *const argv[] = {"bash", "--norc", "-s", NULL};
    int code = program_run(argv, text.data, out, NULL);
    buf_free(&text);
    if (code == 127)
        skip();
    assert_int_equal(code, 0);
}

static void test_bash_offers(void **state)
{
    struct buf out = BUF_INIT;
    (void)state;
    offered("vx11 sta", "1", &out);
    assert_string_equal(out.data, "status ");
    buf_clear(&out);
    offered("vx11 restart s", "2", &out);
    assert_string_equal(out.data, "switch ");
    buf_clear(&out);
    offered("vx11 config sh", "2", &out);
    assert_string_equal(out.data, "show ");
    buf_free(&out);
}

static void test_wrong_arguments(void **state)
{
    char command[] = "completion", shell[] = "csh";
    char *argv[] = {command, shell, NULL};
    struct buf out = BUF_INIT;
    (void)state;
    assert_int_equal(output_of(command_completion, 2, argv, &out), CLI_USAGE);
    assert_int_equal(out.len, 0);
    assert_int_equal(output_of(command_completion, 1, argv, &out), CLI_USAGE);
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_command), cmocka_unit_test(test_bash),
        cmocka_unit_test(test_zsh),           cmocka_unit_test(test_fish),
        cmocka_unit_test(test_bash_offers),   cmocka_unit_test(test_wrong_arguments),
    };
    return cmocka_run_group_tests_name("cli completion", tests, NULL, NULL);
}
