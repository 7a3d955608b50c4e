/* Chat: answers as they come from a front door that behaves, breaks off, lies or is not there. The other side
 * is a process that plays one reply for each connection, chosen by a word in the question. */
#include "cli_test.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "cli/chat.h"

#define CHUNK(delta, finish)                                                                                 \
    "data: {\"id\":\"x\",\"created\":1,\"model\":\"mock\",\"choices\":[{\"index\":0,\"delta\":{" delta       \
    "},\"finish_reason\":" finish "}]}\n\n"
#define TEXT(text) CHUNK("\"content\":\"" text "\"", "null")
#define USAGE                                                                                                \
    "data: "                                                                                                 \
    "{\"id\":\"x\",\"created\":1,\"model\":\"mock\",\"choices\":[],\"usage\":{\"prompt_tokens\":7,"          \
    "\"completion_tokens\":3},"                                                                              \
    "\"vx11\":{\"queue_ms\":0,\"prompt_ms\":1,\"decode_ms\":2,\"tokens_per_second\":123.5}}\n\n"
#define SSE                                                                                                  \
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nX-VX11-Provider: local\r\nConnection: "           \
    "close\r\n\r\n"
#define DONE         "data: [DONE]\n\n"
#define STATUS(line) "HTTP/1.1 " line "\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"

static const struct {
    const char *word, *reply;
} script[] = {
    {"say-well", SSE TEXT("Hello ") ": heartbeat\n\n" TEXT("world") CHUNK("", "\"stop\"") USAGE DONE},
    {"say-length", SSE TEXT("cut") CHUNK("", "\"length\"") DONE},
    {"say-other-choice", SSE
     "data: "
     "{\"id\":\"x\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":1,\"delta\":{\"content\":\"no\"}},"
     "{\"index\":0,\"delta\":{\"content\":\"yes\"},\"finish_reason\":\"stop\"}]}\n\n" DONE},
    {"say-thought", SSE CHUNK("\"reasoning_content\":\"hm\"", "null") TEXT("so") CHUNK("", "\"stop\"") DONE},
    {"say-half", SSE TEXT("half")},
    {"say-error",
     SSE TEXT("half") "data: {\"error\":{\"message\":\"engine ended\",\"code\":\"engine_failed\"}}\n\n" DONE},
    {"say-garbage", SSE TEXT("half") "data: {\"choices\":7}\n\n"},
    {"say-not-json", SSE "data: <html>\n\n"},
    {"say-whole", STATUS("200 OK") "{\"id\":\"x\",\"created\":1,\"model\":\"mock\",\"choices\":[{\"index\":0,"
                                   "\"message\":{\"role\":\"assistant\","
                                   "\"content\":\"in one piece\"},\"finish_reason\":\"stop\"}]}"},
    {"say-empty", STATUS("200 OK") "{}"},
    {"say-401",
     STATUS("401 Unauthorized") "{\"error\":{\"message\":\"who are "
                                "you?\",\"type\":\"authentication_error\",\"code\":\"no_token\"}}"},
    {"say-404",
     STATUS("404 Not Found") "{\"error\":{\"message\":\"no such "
                             "model\",\"type\":\"not_found_error\",\"code\":\"model_not_found\"}}"},
    {"say-502", STATUS("502 Bad Gateway") "<html>proxy</html>"},
    {"say-nothing", ""},
};

static pid_t server;
static char home[64];
static struct cli cli;

/* ---- the other side ---- */

static void play(int fd)
{
    static char request[65536];
    size_t n = 0;
    for (;;) {
        ssize_t got = read(fd, request + n, sizeof request - 1 - n);
        if (got <= 0)
            return;
        request[n += (size_t)got] = '\0';
        const char *body = strstr(request, "\r\n\r\n"), *length = strstr(request, "Content-Length: ");
        if (body && length && strlen(body + 4) >= strtoul(length + 16, NULL, 10))
            break;
    }
    if (strstr(request, "say-wait")) {
        if (write(fd, SSE TEXT("waiting"), strlen(SSE TEXT("waiting"))) > 0)
            sleep(30);
        return;
    }
    for (size_t i = 0; i < sizeof script / sizeof script[0]; i++) {
        if (!strstr(request, script[i].word))
            continue;
        /* In small pieces: no cut may matter. */
        for (const char *at = script[i].reply; *at;) {
            size_t piece = strnlen(at, 37);
            if (write(fd, at, piece) < 0)
                return;
            at += piece;
        }
        return;
    }
}

static void serve(int listener)
{
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        if (fd < 0)
            _exit(1);
        play(fd);
        shutdown(fd, SHUT_WR);
        close(fd);
    }
}

static int setup(void **state)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    char url[64];
    (void)state;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(listener, 8), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &len), 0);
    signal(SIGPIPE, SIG_IGN);
    server = fork();
    if (server == 0)
        serve(listener);
    close(listener);
    temp_make(home);
    setenv("VX11_HOME", home, 1);
    unsetenv("VX11_CONFIG");
    snprintf(url, sizeof url, "http://127.0.0.1:%d/v1/", ntohs(address.sin_port));
    setenv("VX11_URL", url, 1);
    return cli_open(&cli);
}

static int teardown(void **state)
{
    (void)state;
    cli_close(&cli);
    kill(server, SIGKILL);
    waitpid(server, NULL, 0);
    temp_remove(home);
    return 0;
}

/* ---- answers ---- */

static struct answer answer;
static const char *question;
static bool as_json;

static int ask_now(int argc, char **argv)
{
    struct conversation v = {0};
    struct chat_asking asking = {.model = "m", .system = "be brief", .json = as_json};
    (void)argc;
    (void)argv;
    assert_int_equal(conversation_add(&v, OPENAI_ROLE_USER, question, strlen(question)), 0);
    chat_answer(&cli, &v, &asking, &answer);
    conversation_free(&v);
    return answer.code;
}

/* Asks; the answer's text and what was printed must be these. */
static int ask(const char *word, const char *text, const char *printed)
{
    struct buf out = BUF_INIT;
    question = word;
    int code = output_of(ask_now, 0, NULL, &out);
    assert_string_equal(answer.text.data ? answer.text.data : "", text);
    assert_string_equal(out.data ? out.data : "", printed);
    buf_free(&out);
    return code;
}

static void test_well(void **state)
{
    (void)state;
    assert_int_equal(ask("say-well", "Hello world", "Hello world"), CLI_OK);
    assert_string_equal(answer.model, "mock");
    assert_string_equal(answer.provider, "local");
    assert_true(answer.has_usage);
    assert_int_equal(answer.prompt_tokens, 7);
    assert_int_equal(answer.completion_tokens, 3);
    assert_float_equal(answer.tokens_per_s, 123.5, 0.001);
    assert_true(answer.first_token_s >= 0);
    assert_false(answer.cut);
    answer_free(&answer);
}

static void test_kinds(void **state)
{
    (void)state;
    assert_int_equal(ask("say-length", "cut", "cut"), CLI_OK);
    assert_true(answer.cut);
    assert_false(answer.has_usage);
    assert_true(answer.tokens_per_s < 0); /* nobody said, nothing is guessed */
    answer_free(&answer);
    assert_int_equal(ask("say-other-choice", "yes", "yes"), CLI_OK);
    answer_free(&answer);
    assert_int_equal(ask("say-thought", "so", "so"), CLI_OK);
    answer_free(&answer);
    assert_int_equal(ask("say-whole", "in one piece", "in one piece"), CLI_OK);
    answer_free(&answer);
}

static void test_json(void **state)
{
    (void)state;
    as_json = true;
    assert_int_equal(ask("say-empty", "", "{}\n"), CLI_OK);
    answer_free(&answer);
    assert_int_equal(ask("say-404", "", ""), CLI_FAILED);
    answer_free(&answer);
    as_json = false;
}

static void check_failure(const char *word, const char *text, int code, const char *error)
{
    assert_int_equal(ask(word, text, text), code);
    if (!strstr(answer.error, error))
        fail_msg("%s: \"%s\" is not in \"%s\"", word, error, answer.error);
    answer_free(&answer);
}

static void test_failures(void **state)
{
    (void)state;
    check_failure("say-half", "half", CLI_FAILED, "broke off");
    check_failure("say-error", "half", CLI_FAILED, "engine ended");
    check_failure("say-garbage", "half", CLI_FAILED, "not what it should be");
    check_failure("say-not-json", "", CLI_FAILED, "not valid JSON");
    check_failure("say-empty", "", CLI_FAILED, "no answer");
    check_failure("say-401", "", CLI_REFUSED, "who are you?");
    check_failure("say-404", "", CLI_FAILED, "no such model");
    check_failure("say-502", "", CLI_FAILED, "502");
    check_failure("say-nothing", "", CLI_NOT_RUNNING, "");
}

static void test_not_there(void **state)
{
    (void)state;
    setenv("VX11_URL", "http://127.0.0.1:1", 1);
    check_failure("anyone?", "", CLI_NOT_RUNNING, "is VX11 running?");
    unsetenv("VX11_URL");
    check_failure("anyone?", "", CLI_NOT_RUNNING, "is VX11 running?");
}

/* Ctrl-C once the answer has begun. */
static void on_soon(uv_timer_t *timer)
{
    if (answer.text.len == 0)
        return;
    uv_timer_stop(timer);
    raise(SIGINT);
}

static void test_interrupt(void **state)
{
    uv_timer_t timer;
    (void)state;
    uv_timer_init(&cli.loop, &timer);
    answer.text.len = 0;
    uv_timer_start(&timer, on_soon, 10, 10);
    assert_int_equal(ask("say-wait", "waiting", "waiting"), CLI_INTERRUPTED);
    assert_true(answer.stopped);
    answer_free(&answer);
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(&cli.loop, UV_RUN_NOWAIT);
}

/* ---- the conversation ---- */

static void test_conversation(void **state)
{
    struct conversation v = {0};
    (void)state;
    assert_false(conversation_drop_oldest(&v));
    for (int i = 0; i < 41; i++) {
        char text[16];
        int n = snprintf(text, sizeof text, "turn %d", i);
        assert_int_equal(
            conversation_add(&v, i % 2 ? OPENAI_ROLE_ASSISTANT : OPENAI_ROLE_USER, text, (size_t)n), 0);
    }
    assert_true(conversation_drop_oldest(&v));
    assert_int_equal(v.count, 39);
    assert_string_equal(v.turns[0].text, "turn 2");
    assert_int_equal(v.turns[0].role, OPENAI_ROLE_USER);
    while (conversation_drop_oldest(&v))
        ;
    assert_int_equal(v.count, 1);
    assert_string_equal(v.turns[0].text, "turn 40");
    conversation_cut(&v, 5);
    assert_int_equal(v.count, 1);
    conversation_free(&v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_well, setup, teardown),
        cmocka_unit_test_setup_teardown(test_kinds, setup, teardown),
        cmocka_unit_test_setup_teardown(test_json, setup, teardown),
        cmocka_unit_test_setup_teardown(test_failures, setup, teardown),
        cmocka_unit_test_setup_teardown(test_not_there, setup, teardown),
        cmocka_unit_test_setup_teardown(test_interrupt, setup, teardown),
        cmocka_unit_test(test_conversation),
    };
    return cmocka_run_group_tests_name("cli chat", tests, NULL, NULL);
}
