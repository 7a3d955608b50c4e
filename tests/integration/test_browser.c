/* Browser tasks with a real Chromium, on pages that are served here: a form, screenshots, what the URL policy
 * refuses, time-outs, cancellation, a full queue, a sidecar and an operator that are killed, a browser that
 * is not there. Chromium and the Playwright MCP server must be installed: ./dev deps browser. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"
#include "system.h"

static struct system sys;

/* ---- the pages ---- */

static int page_fd, page_port;
static pthread_t page_thread;

static const char page_form[] =
    "<!doctype html><title>A form</title><h1>Order</h1><form action=/done><label>Name <input "
    "name=who></label>"
    "<select name=what><option>tea<option>coffee</select><button>Send</button></form>"
    "<img src=http://10.9.9.9/x.png><script>console.error('a broken thing')</script>";

static void page_answer(int fd, const char *request)
{
    char head[300];
    const char *body = page_form;
    if (str_starts(request, "GET /hang"))
        return; /* it never answers; the connection stays until the other side leaves */
    if (str_starts(request, "GET /away")) {
        int n = snprintf(head, sizeof head,
                         "HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/latest/meta-data/\r\n"
                         "Content-Length: 0\r\nConnection: close\r\n\r\n");
        (void)!write(fd, head, (size_t)n);
        close(fd);
        return;
    }
    char echo[600];
    if (str_starts(request, "GET /done")) {
        (void)snprintf(echo, sizeof echo,
                       "<!doctype html><title>Done</title><p id=said>You sent "
                       "%.200s</p><script>alert('thanks')</script>",
                       strchr(request, '?') ? strchr(request, '?') + 1 : "");
        echo[strcspn(echo, "\r\n")] = '\0';
        char *http = strstr(echo, " HTTP/1");
        if (http)
            (void)snprintf(http, sizeof echo - (size_t)(http - echo), "</p>");
        body = echo;
    }
    int n = snprintf(head, sizeof head,
                     "HTTP/1.1 %s\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: %zu\r\n"
                     "Connection: close\r\n\r\n",
                     str_starts(request, "GET /missing") ? "404 Not Found" : "200 OK", strlen(body));
    (void)!write(fd, head, (size_t)n);
    (void)!write(fd, body, strlen(body));
    close(fd);
}

static void *page_serve(void *ctx)
{
    (void)ctx;
    for (;;) {
        char request[4096];
        int fd = accept4(page_fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            return NULL;
        ssize_t n = read(fd, request, sizeof request - 1);
        request[n > 0 ? n : 0] = '\0';
        page_answer(fd, request);
    }
}

static void pages_begin(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    page_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(page_fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(page_fd, 32), 0);
    assert_int_equal(getsockname(page_fd, (struct sockaddr *)&at, &len), 0);
    page_port = ntohs(at.sin_port);
    assert_int_equal(pthread_create(&page_thread, NULL, page_serve, NULL), 0);
}

static void pages_end(void)
{
    (void)shutdown(page_fd, SHUT_RDWR);
    (void)pthread_join(page_thread, NULL);
    close(page_fd);
}

/* ---- the system ---- */

static bool find_node(char *out, size_t size)
{
    const char *path = getenv("PATH");
    for (const char *p = path ? path : ""; *p;) {
        size_t n = strcspn(p, ":");
        (void)snprintf(out, size, "%.*s/node", (int)n, p);
        if (access(out, X_OK) == 0)
            return true;
        p += n + (p[n] == ':');
    }
    return false;
}

static void begin(const char *more)
{
    char node[300], server[300];
    struct buf yaml = BUF_INIT;
    (void)snprintf(server, sizeof server, "%s/.deps/browser/node_modules/@playwright/mcp/cli.js",
                   getenv("VX11_SRC"));
    if (!find_node(node, sizeof node) || access(server, R_OK) != 0)
        fail_msg("Node or the Playwright MCP server (%s) is missing: ./dev deps browser", server);
    system_init(&sys);
    (void)buf_printf(&yaml,
                     "operator:\n  browser:\n    command: [\"%s\", \"%s\"]\n    allow: [\"127.0.0.1:%d\"]\n"
                     "    max_running: 1\n    max_pending: 1\n    action_timeout_ms: 5000\n%s",
                     node, server, page_port, more);
    system_config(&sys, yaml.data);
    system_up(&sys);
    buf_free(&yaml);
}

static int setup(void **state)
{
    (void)state;
    pages_begin();
    begin("");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    system_remove(&sys);
    pages_end();
    return 0;
}

/* ---- asking ---- */

static void ask(struct http_reply *r, const char *path, const char *rest)
{
    char body[1500];
    const struct http_at at = system_operator(&sys);
    (void)snprintf(body, sizeof body, "{\"url\":\"http://127.0.0.1:%d%s\"%s}", page_port, path, rest);
    http(r, &at, "POST", "/operator/browser/task", body);
}

static void begun(char id[32], const char *path, const char *rest)
{
    struct http_reply r;
    ask(&r, path, rest);
    assert_status(&r, 202);
    (void)snprintf(id, 32, "%s", http_text(&r, "/id"));
    http_free(&r);
}

static void get(struct http_reply *r, const char *id)
{
    char path[100];
    const struct http_at at = system_operator(&sys);
    (void)snprintf(path, sizeof path, "/operator/browser/task/%s", id);
    http(r, &at, "GET", path, NULL);
    assert_status(r, 200);
}

static bool is_over(const char *id)
{
    struct http_reply r;
    get(&r, id);
    const bool over =
        !str_eq(http_text(&r, "/status"), "pending") && !str_eq(http_text(&r, "/status"), "running");
    http_free(&r);
    return over;
}

static bool step_runs(const char *id, int index)
{
    struct http_reply r;
    char pointer[40];
    get(&r, id);
    (void)snprintf(pointer, sizeof pointer, "/steps/%d/status", index);
    const bool runs = str_eq(http_text(&r, pointer), "running");
    http_free(&r);
    return runs;
}

static void ended(struct http_reply *r, const char *id, const char *status, const char *code)
{
    eventually(40000, is_over(id));
    get(r, id);
    if (!str_eq(http_text(r, "/status"), status) || !str_eq(http_text(r, "/error_code"), code))
        fail_msg("the task is not %s (%s) but: %s", status, code, r->raw.body.data);
}

static pid_t sidecar(void)
{
    struct http_reply r;
    const struct http_at at = system_operator(&sys);
    http(&r, &at, "GET", "/operator/browser/status", NULL);
    assert_status(&r, 200);
    pid_t pid = (pid_t)http_int(&r, "/sidecar_pid");
    http_free(&r);
    return pid;
}

/* Processes whose command line or environment names this home: Node and Chromium. */
static int browsers(void)
{
    int n = 0;
    DIR *dir = opendir("/proc");
    const struct dirent *e;
    while (dir && (e = readdir(dir)) != NULL) {
        static const char *const files[] = {"cmdline", "environ"};
        static char text[65536];
        bool ours = false, browser = false;
        if (e->d_name[0] < '1' || e->d_name[0] > '9')
            continue;
        for (size_t i = 0; i < 2; i++) {
            char path[300];
            (void)snprintf(path, sizeof path, "/proc/%.20s/%s", e->d_name, files[i]);
            int fd = open(path, O_RDONLY | O_CLOEXEC);
            ssize_t len = fd >= 0 ? read(fd, text, sizeof text) : 0;
            if (fd >= 0)
                close(fd);
            ours = ours || (len > 0 && memmem(text, (size_t)len, sys.home, strlen(sys.home)));
            browser =
                browser || (i == 0 && len > 0 &&
                            (memmem(text, (size_t)len, "chrom", 5) || memmem(text, (size_t)len, "/node", 5)));
        }
        n += ours && browser;
    }
    if (dir)
        closedir(dir);
    return n;
}

/* ---- tests ---- */

static void screenshot_is_served(const char *id)
{
    char path[100];
    struct http_reply r;
    struct http_at at = system_operator(&sys);
    (void)snprintf(path, sizeof path, "/operator/browser/screenshots/%s", id);
    http(&r, &at, "GET", path, NULL);
    assert_status(&r, 200);
    assert_string_equal(http_header(&r, "Content-Type"), "image/png");
    assert_string_equal(http_header(&r, "X-Content-Type-Options"), "nosniff");
    assert_memory_equal(r.raw.body.data, "\x89PNG\r\n\x1a\n", 8);
    http_free(&r);
    at.token = NULL;
    assert_int_equal(http_status(&at, "GET", path, NULL), 401);
    at = system_operator(&sys);
    assert_int_equal(
        http_status(&at, "GET", "/operator/browser/screenshots/01ARZ3NDEKTSV4RRFFQ69G5FAV", NULL), 404);
}

static bool some_request_refused(const struct http_reply *r)
{
    char pointer[60];
    for (int i = 0; i < 20; i++) {
        (void)snprintf(pointer, sizeof pointer, "/result/requests/%d/refused", i);
        if (strstr(http_text(r, pointer), "10.9.9.9"))
            return true;
    }
    return false;
}

static void test_form(void **state)
{
    char id[32];
    struct http_reply r;
    (void)state;
    begun(
        id, "/form",
        ",\"timeout_ms\":60000,\"actions\":[{\"do\":\"fill\",\"target\":\"input[name=who]\",\"text\":\"Ada\"}"
        ","
        "{\"do\":\"select\",\"target\":\"select\",\"text\":\"coffee\"},{\"do\":\"screenshot\",\"full_page\":"
        "true},"
        "{\"do\":\"click\",\"target\":\"#nowhere\",\"optional\":true},"
        "{\"do\":\"click\",\"target\":\"role=button[name=\\\"Send\\\"]\"},"
        "{\"do\":\"wait\",\"text\":\"You sent\",\"ms\":5000},{\"do\":\"text\",\"target\":\"#said\"},"
        "{\"do\":\"evaluate\",\"script\":\"() => ({n: 41 + 1})\"},{\"do\":\"back\"},{\"do\":\"snapshot\"}]");
    ended(&r, id, "done", "");
    assert_string_equal(http_text(&r, "/steps/4/status"), "error");
    assert_string_equal(http_text(&r, "/steps/7/result"), "You sent who=Ada&what=coffee");
    assert_int_equal(http_int(&r, "/steps/8/result/n"), 42);
    assert_non_null(strstr(http_text(&r, "/steps/10/result"), "heading \"Order\""));
    assert_string_equal(http_text(&r, "/result/title"), "A form");
    assert_int_equal(http_int(&r, "/result/http_status"), 200);
    assert_non_null(strstr(http_text(&r, "/result/final_url"), "/form"));
    assert_non_null(strstr(http_text(&r, "/result/text_snippet"), "Order"));
    assert_non_null(strstr(http_text(&r, "/result/snapshot"), "button \"Send\""));
    assert_non_null(strstr(http_text(&r, "/result/console_errors/0"), "a broken thing"));
    assert_true(some_request_refused(&r));
    assert_string_equal(http_text(&r, "/result/screenshots/0"), http_text(&r, "/steps/3/screenshot"));
    screenshot_is_served(http_text(&r, "/steps/3/screenshot"));
    screenshot_is_served(http_text(&r, "/result/screenshot"));
    http_free(&r);
}

/* The sidecar of the task before is used again, and knows nothing of it. */
static void test_missing_page_in_a_new_context(void **state)
{
    char id[32];
    struct http_reply r;
    pid_t before = sidecar();
    (void)state;
    assert_true(before > 0);
    begun(id, "/missing",
          ",\"screenshot\":false,\"actions\":[{\"do\":\"click\",\"target\":\"#nowhere\"},{\"do\":\"back\"}]");
    ended(&r, id, "error", "step_failed");
    assert_int_equal(http_int(&r, "/result/http_status"), 404);
    assert_string_equal(http_text(&r, "/steps/1/status"), "error");
    assert_string_equal(http_text(&r, "/steps/2/status"), "skipped");
    assert_non_null(strstr(http_text(&r, "/error"), "#nowhere"));
    http_free(&r);
    assert_int_equal(sidecar(), before);
}

static void test_refused(void **state)
{
    char id[32], body[200];
    struct http_reply r;
    const struct http_at at = system_operator(&sys);
    (void)state;
    begun(id, "/away", "");
    ended(&r, id, "error", "url_refused");
    assert_non_null(strstr(http_text(&r, "/error"), "169.254.169.254"));
    assert_string_equal(http_text(&r, "/steps/0/status"), "error");
    http_free(&r);
    /* where the page goes by itself, through a tunnel */
    begun(id, "/form",
          ",\"actions\":[{\"do\":\"evaluate\",\"script\":\"() => { location.href = 'https://10.8.8.8/'; }\"},"
          "{\"do\":\"wait\",\"ms\":1500}]");
    ended(&r, id, "error", "url_refused");
    assert_non_null(strstr(http_text(&r, "/error"), "10.8.8.8"));
    http_free(&r);
    (void)snprintf(body, sizeof body, "{\"url\":\"http://127.0.0.1:%d/health\"}", sys.operator_port);
    const char *const bodies[] = {body, "{\"url\":\"http://10.0.0.1/\"}", "{\"url\":\"file:///etc/passwd\"}",
                                  "{\"url\":\"http://a:b@127.0.0.1/\"}",
                                  "{\"url\":\"http://169.254.169.254/\"}"};
    for (size_t i = 0; i < COUNT_OF(bodies); i++) {
        http(&r, &at, "POST", "/operator/browser/task", bodies[i]);
        assert_error(&r, 403, "url_refused");
        http_free(&r);
    }
}

static void test_timeout(void **state)
{
    char id[32];
    struct http_reply r;
    (void)state;
    begun(id, "/hang", ",\"timeout_ms\":2500");
    ended(&r, id, "timeout", "timeout");
    http_free(&r);
}

static void test_crash(void **state)
{
    char id[32];
    struct http_reply r;
    (void)state;
    begun(id, "/form", ",\"actions\":[{\"do\":\"wait\",\"ms\":30000}]");
    eventually(30000, step_runs(id, 1));
    process_kill(sidecar(), SIGKILL);
    ended(&r, id, "error", "browser_crashed");
    assert_non_null(strstr(http_text(&r, "/error"), "signal 9"));
    http_free(&r);
    eventually(5000, browsers() == 0);
}

static void test_queue_events_cancel(void **state)
{
    char first[32], second[32], path[120];
    struct http_reply r;
    struct http_at at = system_operator(&sys);
    (void)state;
    begun(first, "/form", ",\"actions\":[{\"do\":\"evaluate\",\"script\":\"() => { for (;;); }\"}]");
    at.headers = "Idempotency-Key: same\r\n";
    char body[200];
    (void)snprintf(body, sizeof body, "{\"url\":\"http://127.0.0.1:%d/form\"}", page_port);
    http(&r, &at, "POST", "/operator/browser/task", body);
    assert_status(&r, 202);
    assert_string_equal(http_text(&r, "/status"), "pending");
    (void)snprintf(second, sizeof second, "%s", http_text(&r, "/id"));
    http_free(&r);
    http(&r, &at, "POST", "/operator/browser/task", body);
    assert_status(&r, 202);
    assert_string_equal(http_text(&r, "/id"), second);
    http_free(&r);
    http(&r, &at, "POST", "/operator/browser/task", "{\"url\":\"http://example.com/\"}");
    assert_error(&r, 409, "idempotency_key_reused");
    http_free(&r);
    ask(&r, "/form", "");
    assert_error(&r, 429, "browser_queue_full");
    http_free(&r);
    at.headers = NULL;
    eventually(30000, step_runs(first, 1));
    (void)snprintf(path, sizeof path, "/operator/browser/task/%s", first);
    http(&r, &at, "DELETE", path, NULL);
    assert_status(&r, 200);
    assert_string_equal(http_text(&r, "/status"), "cancelled");
    http_free(&r);
    assert_int_equal(http_status(&at, "DELETE", path, NULL), 409);
    (void)snprintf(path, sizeof path, "/operator/browser/task/%s/events", second);
    http(&r, &at, "GET", path, NULL); /* until it has ended */
    assert_status(&r, 200);
    assert_true(sse_count(r.raw.body.data) >= 3);
    yyjson_doc *last = sse_json(r.raw.body.data, sse_count(r.raw.body.data) - 1);
    assert_non_null(last);
    assert_string_equal(yyjson_get_str(yyjson_obj_get(yyjson_doc_get_root(last), "status")), "done");
    yyjson_doc_free(last);
    http_free(&r);
    http(&r, &at, "GET", "/operator/browser/tasks?limit=2", NULL);
    assert_status(&r, 200);
    assert_string_equal(http_text(&r, "/tasks/0/id"), second);
    assert_string_equal(http_text(&r, "/tasks/1/id"), first);
    assert_string_equal(http_text(&r, "/next_cursor"), first);
    http_free(&r);
}

static void test_stop(void **state)
{
    (void)state;
    system_stop(&sys);
    assert_int_equal(browsers(), 0);
}

/* Operator is killed in the middle: the row says so afterwards, and no browser is left. */
static int setup_again(void **state)
{
    (void)state;
    system_remove(&sys);
    begin("");
    return 0;
}

static void test_operator_killed(void **state)
{
    char id[32];
    struct http_reply r;
    (void)state;
    sys.rough = true;
    begun(id, "/form", ",\"actions\":[{\"do\":\"wait\",\"ms\":30000}]");
    eventually(30000, step_runs(id, 1));
    pid_t pid = system_module_pid(&sys, "operator");
    process_kill(pid, SIGKILL);
    eventually(5000, browsers() == 0);
    eventually(20000, system_module_pid(&sys, "operator") > 0 && system_module_pid(&sys, "operator") != pid);
    system_wait_healthy(&sys);
    ended(&r, id, "error", "restarted");
    http_free(&r);
    system_stop(&sys);
}

static void refused_with(const char *more, const char *what)
{
    struct http_reply r;
    system_remove(&sys);
    begin(more);
    ask(&r, "/form", "");
    assert_error(&r, 503, "browser_unavailable");
    assert_non_null(strstr(http_text(&r, "/error/message"), what));
    http_free(&r);
    const struct http_at now = system_operator(&sys);
    http(&r, &now, "GET", "/operator/browser/status", NULL);
    assert_status(&r, 200);
    assert_non_null(strstr(r.raw.body.data, "\"available\":false"));
    http_free(&r);
    system_stop(&sys);
}

static void test_not_there(void **state)
{
    (void)state;
    refused_with("    chromium: /no/such/chromium\n", "apt-get install");
    refused_with("    mode: off\n", "switched off");
}

static int nothing(void **state)
{
    (void)state;
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_form),
        cmocka_unit_test(test_missing_page_in_a_new_context),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_timeout),
        cmocka_unit_test(test_crash),
        cmocka_unit_test(test_queue_events_cancel),
        cmocka_unit_test(test_stop),
        cmocka_unit_test_setup_teardown(test_operator_killed, setup_again, nothing),
        cmocka_unit_test(test_not_there),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
