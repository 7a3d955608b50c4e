/* Commands: the program itself, in a home of its own: what it refuses, with which exit code, and the commands
 * that need nothing running. */
#include "cli_test.h"

#include <sys/stat.h>

#include "cli/cli.h"

static char home[64];
static struct buf out = BUF_INIT, err = BUF_INIT;

static int setup(void **state)
{
    (void)state;
    temp_make(home);
    setenv("VX11_HOME", home, 1);
    setenv("NO_COLOR", "1", 1);
    unsetenv("VX11_CONFIG");
    unsetenv("VX11_URL");
    unsetenv("VX11_TOKEN");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    buf_free(&out);
    buf_free(&err);
    temp_remove(home);
    return 0;
}

/* Up to six arguments, NULL after the last. */
static int vx11_in(const char *input, const char *const *arguments)
{
    const char *argv[24] = {program_vx11()};
    if (!argv[0])
        skip();
    for (size_t i = 0; i < 22 && arguments[i]; i++)
        argv[i + 1] = arguments[i];
    buf_clear(&out);
    buf_clear(&err);
    buf_puts(&out, "");
    buf_puts(&err, "");
    return program_run(argv, input, &out, &err);
}
#define vx11(...)     vx11_in(NULL, (const char *const[]){__VA_ARGS__, NULL})
#define said(text)    assert_non_null(strstr(err.data, text))
#define printed(text) assert_non_null(strstr(out.data, text))

static void test_usage(void **state)
{
    (void)state;
    assert_int_equal(vx11(NULL), CLI_USAGE);
    said("usage: vx11 COMMAND");
    assert_int_equal(vx11("stats"), CLI_USAGE);
    said("did you mean status?");
    assert_int_equal(vx11("\033]0;x"), CLI_USAGE);
    assert_null(strchr(err.data, 033));
    static const char *const wrong[][3] = {
        {"up", "--now"},
        {"down", "--detach"},
        {"restart", "a", "b"},
        {"status", "x"},
        {"logs", "--level", "loud"},
        {"logs", "--since"},
        {"logs", "-n", "0"},
        {"logs", "--since", "soon"},
        {"logs", "../x"},
        {"chat", "--modle"},
        {"chat", "--model"},
        {"embed", "--modle"},
        {"embed", "--dimensions", "0"},
        {"models"},
        {"models", "dance"},
        {"models", "show"},
        {"models", "list", "x"},
        {"modules", "set"},
        {"token"},
        {"token", "revoke"},
        {"token", "create"},
        {"token", "dance"},
        {"config"},
        {"config", "dance"},
        {"config", "path", "x"},
        {"run"},
        {"run", "dance"},
        {"run", "link", "x"},
        {"completion"},
        {"completion", "csh"},
        {"version", "x"},
        {"login", "x"},
        {"help", "dance"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        const char *const argv[] = {wrong[i][0], wrong[i][1], wrong[i][2], NULL};
        int code = vx11_in(NULL, argv);
        if (code != CLI_USAGE)
            fail_msg("vx11 %s %s: exit code %d", argv[0], argv[1] ? argv[1] : "", code);
        assert_int_equal(out.len, 0);
        said("vx11: ");
    }
}

static void test_help(void **state)
{
    (void)state;
    assert_int_equal(vx11("help"), CLI_OK);
    printed("Exit codes");
    assert_int_equal(vx11("--help"), CLI_OK);
    assert_int_equal(vx11("logs", "--help"), CLI_OK);
    printed("--since");
    assert_int_equal(vx11("help", "token"), CLI_OK);
    printed("promote");
    assert_int_equal(vx11("version"), CLI_OK);
    printed("vx11 ");
    assert_int_equal(vx11("version", "--json"), CLI_OK);
    printed("\"version\"");
}

static void test_nothing_runs(void **state)
{
    (void)state;
    assert_int_equal(vx11("status"), CLI_NOT_RUNNING);
    said("is VX11 running?");
    assert_int_equal(vx11("status", "--watch"), CLI_NOT_RUNNING);
    assert_int_equal(vx11("models", "list"), CLI_NOT_RUNNING);
    assert_int_equal(vx11("models", "list", "--names"), CLI_NOT_RUNNING);
    assert_int_equal(vx11("chat", "hello"), CLI_NOT_RUNNING);
    assert_int_equal(vx11("embed", "hello"), CLI_NOT_RUNNING);
    assert_int_equal(vx11("restart"), CLI_NOT_RUNNING);
    assert_int_equal(vx11("login"), CLI_NOT_RUNNING);
    assert_int_equal(vx11("config", "reload"), CLI_NOT_RUNNING);
    assert_int_equal(vx11("down"), CLI_OK);
    printed("does not run");
    assert_int_equal(vx11("logs"), CLI_FAILED);
    said("no logs");
    assert_int_equal(vx11("models", "add", "/nonexistent.gguf"), CLI_FAILED);
    said("/nonexistent.gguf");
}

static void test_config(void **state)
{
    (void)state;
    assert_int_equal(vx11("config", "path"), CLI_OK);
    printed("/config.yaml");
    assert_int_equal(vx11("config", "check"), CLI_OK);
    assert_int_equal(vx11("config", "show", "--origin"), CLI_OK);
    printed("port: 8000");
    assert_int_equal(vx11("config", "default"), CLI_OK);
    file_put(home, "config.yaml", out.data); /* what it prints, it reads */
    assert_int_equal(vx11("config", "check"), CLI_OK);
    file_put(home, "config.yaml", "link:\n  prot: 8000\n");
    assert_int_equal(vx11("config", "check"), CLI_CONFIG);
    said("config.yaml:2");
    said("did you mean port?");
    assert_int_equal(vx11("up", "--detach"), CLI_CONFIG);
    assert_int_equal(vx11("token", "list"), CLI_CONFIG);
    /* A broken file does not keep anyone from looking and stopping. */
    assert_int_equal(vx11("status"), CLI_NOT_RUNNING);
    said("going on with the defaults");
    assert_int_equal(vx11("down"), CLI_OK);
}

/* The token printed last, without its line end. */
static void token_take(char token[64])
{
    snprintf(token, 64, "%.*s", (int)strcspn(out.data, "\n"), out.data);
    assert_int_equal(strlen(token), 48);
    assert_memory_equal(token, "vx11_", 5);
}

static void test_token_life(void **state)
{
    char first[64], next[64];
    (void)state;
    assert_int_equal(vx11("token", "list"), CLI_OK);
    printed("no tokens yet");
    assert_int_equal(vx11("token", "create", "--scope", "chat,read", "--name", "ci", "--expires=2h"), CLI_OK);
    token_take(first);
    assert_int_equal(vx11("token", "create", "--scope", "chat", "--name", "ci"), CLI_FAILED);
    assert_int_equal(vx11("token", "list", "--json"), CLI_OK);
    printed("\"name\": \"ci\"");
    assert_null(strstr(out.data, first));
    assert_int_equal(vx11("token", "rotate", "ci"), CLI_OK);
    token_take(next);
    assert_string_not_equal(first, next);
    assert_int_equal(vx11("token", "list"), CLI_OK);
    printed("next");
    assert_int_equal(vx11("token", "promote", "ci"), CLI_OK);
    assert_int_equal(vx11("token", "promote", "ci"), CLI_FAILED);
    assert_int_equal(vx11("token", "revoke", "ci"), CLI_OK);
    assert_int_equal(vx11("token", "revoke", "ci"), CLI_FAILED);
    assert_int_equal(vx11("token", "rotate", "nobody"), CLI_FAILED);
}

/* A virtual key: limits from its first moment, shown, changed one by one, and kept over a rotation. */
static void test_token_limits(void **state)
{
    (void)state;
    assert_int_equal(vx11("token", "create", "key", "--models", "local/*,fast", "--requests-per-minute", "20",
                          "--tokens-per-day=1000", "--tokens-per-month", "5000", "--cost-per-month", "12.5",
                          "--expires", "30d", "--local-only", "--mode", "ECO"),
                     CLI_OK);
    assert_int_equal(vx11("token", "limits", "key", "--json"), CLI_OK);
    printed("\"models\": [\n    \"local/*\",\n    \"fast\"\n  ]");
    printed("\"requests_per_minute\": 20");
    printed("\"concurrent\": null");
    printed("\"tokens_per_day\": 1000");
    printed("\"cost_per_month\": 12.5");
    printed("\"local_only\": true");
    printed("\"mode\": \"ECO\"");
    printed("\"used_this_month\": 0");
    assert_int_equal(vx11("token", "limits", "key", "--tokens-per-day", "none", "--concurrent", "2",
                          "--no-local-only", "--expires", "never"),
                     CLI_OK);
    printed("no limit         0 used today");
    printed("local/*, fast");
    printed("may");
    assert_int_equal(vx11("token", "rotate", "key"), CLI_OK);
    assert_int_equal(vx11("token", "promote", "key"), CLI_OK);
    assert_int_equal(vx11("token", "limits", "key", "--json"), CLI_OK);
    printed("\"tokens_per_month\": 5000");
    printed("\"concurrent\": 2");
    printed("\"expires_at\": null");
    assert_int_equal(vx11("token", "limits", "key", "--unlimited"), CLI_OK);
    printed("all");
    assert_int_equal(vx11("token", "limits"), CLI_USAGE);
    assert_int_equal(vx11("token", "limits", "nobody"), CLI_FAILED);
    assert_int_equal(vx11("token", "limits", "key", "--tokens-per-day", "-1"), CLI_USAGE);
    assert_int_equal(vx11("token", "limits", "key", "--cost-per-month", "x"), CLI_USAGE);
    assert_int_equal(vx11("token", "limits", "key", "--mode", "eco"), CLI_USAGE);
    assert_int_equal(vx11("token", "limits", "key", "--models", ","), CLI_USAGE);
    assert_int_equal(vx11("token", "limits", "key", "--expires", "-1h"), CLI_USAGE);
}

static void test_token_refused(void **state)
{
    (void)state;
    assert_int_equal(vx11("token", "create", "--scope", "fly", "--name", "a"), CLI_USAGE);
    assert_int_equal(vx11("token", "create", "--scope", "chat", "--name", "a b"), CLI_USAGE);
    assert_int_equal(vx11("token", "create", "--scope", "chat", "--name", "../a"), CLI_USAGE);
    assert_int_equal(vx11("token", "create", "--scope", "chat", "--name", ""), CLI_USAGE);
    assert_int_equal(vx11("token", "create", "--scope", "chat", "--name", "owner"), CLI_USAGE);
    assert_int_equal(vx11("token", "create", "--scope", "chat", "--name", "a", "--expires", "-1h"),
                     CLI_USAGE);
    assert_int_equal(vx11("token", "create", "--scope", "", "--name", "a"), CLI_USAGE);
}

static void test_token_file(void **state)
{
    char path[80];
    (void)state;
    assert_int_equal(vx11("token", "show"), CLI_FAILED);
    said("vx11 up");
    file_put(home, "token", "vx11_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n");
    assert_int_equal(vx11("token", "show"), CLI_OK);
    printed("vx11_AAAA");
    snprintf(path, sizeof path, "%s/token", home);
    chmod(path, 0644);
    assert_int_equal(vx11("token", "show"), CLI_REFUSED);
    said("chmod 600");
    assert_int_equal(out.len, 0);
    chmod(path, 0600);
    file_put(home, "token", "hunter2\n");
    assert_int_equal(vx11("token", "show"), CLI_FAILED);
    assert_null(strstr(err.data, "hunter2"));
}

static void test_chat_input(void **state)
{
    static const char *const chat[] = {"chat", NULL};
    (void)state;
    assert_int_equal(vx11_in("", chat), CLI_USAGE);
    assert_int_equal(vx11_in(" \n\t\n", chat), CLI_USAGE);
    assert_int_equal(vx11_in("a\xFF", chat), CLI_FAILED);
    said("UTF-8");
    size_t n = (1u << 20) + 2;
    char *big = malloc(n + 1);
    assert_non_null(big);
    memset(big, 'a', n);
    big[n] = '\0';
    int code = vx11_in(big, chat);
    free(big);
    assert_int_equal(code, CLI_FAILED);
    said("1048576 bytes");
}

static void test_logs(void **state)
{
    char log[80];
    (void)state;
    snprintf(log, sizeof log, "%s/log", home);
    assert_int_equal(mkdir(log, 0700), 0);
    file_put(log, "link.log",
             "time=2026-11-22T10:00:00.000Z level=info msg=one\ntime=2026-11-22T10:00:02.000Z level=warn "
             "msg=three\n");
    file_put(log, "switch.log",
             "{\"time\":\"2026-11-22T10:00:01.000Z\",\"level\":\"info\",\"msg\":\"two\"}\n");
    assert_int_equal(vx11("logs"), CLI_OK);
    assert_string_equal(out.data,
                        "time=2026-11-22T10:00:00.000Z level=info msg=one\n"
                        "{\"time\":\"2026-11-22T10:00:01.000Z\",\"level\":\"info\",\"msg\":\"two\"}\n"
                        "time=2026-11-22T10:00:02.000Z level=warn msg=three\n");
    assert_int_equal(vx11("logs", "link", "--level", "warn"), CLI_OK);
    assert_string_equal(out.data, "time=2026-11-22T10:00:02.000Z level=warn msg=three\n");
    assert_int_equal(vx11("logs", "-n", "2", "--since", "2026-11-22T10:00:01Z"), CLI_OK);
    assert_null(strstr(out.data, "one"));
    assert_int_equal(vx11("logs", "hermes"), CLI_FAILED);
    said("there are: ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_usage, setup, teardown),
        cmocka_unit_test_setup_teardown(test_help, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nothing_runs, setup, teardown),
        cmocka_unit_test_setup_teardown(test_config, setup, teardown),
        cmocka_unit_test_setup_teardown(test_token_life, setup, teardown),
        cmocka_unit_test_setup_teardown(test_token_limits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_token_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_token_file, setup, teardown),
        cmocka_unit_test_setup_teardown(test_chat_input, setup, teardown),
        cmocka_unit_test_setup_teardown(test_logs, setup, teardown),
    };
    return cmocka_run_group_tests_name("cli commands", tests, NULL, NULL);
}
