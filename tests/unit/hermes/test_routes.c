/* Hermes as a process, asked through its typed client: this program runs itself again as Hermes, which runs
 * it again as its workers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "api/hermes_client.h"
#include "base/clock.h"
#include "base/fs.h"
#include "fake_worker.h"
#include "fixture.h"
#include "hermes/hermes.h"
#include "hermes/registry.h"

struct bench {
    struct fixture *f;
    struct client *client;
    struct client_target target;
    uv_process_t process;
    uv_pipe_t notify;
    char said[512], piece[512];
    bool told, exited;
    int64_t status;
    const char *budget; /* NULL: none */
};

/* ---- the process ---- */

static int free_port(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) != 0 ||
        getsockname(fd, (struct sockaddr *)&at, &len) != 0)
        return -1;
    close(fd);
    return ntohs(at.sin_port);
}

static void on_exit_hermes(uv_process_t *process, int64_t status, int sig)
{
    struct bench *b = process->data;
    b->exited = true;
    b->status = sig ? -sig : status;
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    struct bench *b = handle->data;
    (void)suggested;
    *out = uv_buf_init(b->piece, sizeof b->piece);
}

static void on_told(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct bench *b = stream->data;
    if (n > 0)
        (void)snprintf(b->said + strlen(b->said), sizeof b->said - strlen(b->said), "%.*s", (int)n,
                       buf->base);
    b->told = b->told || n < 0 || strchr(b->said, '\n') != NULL;
    if (n < 0)
        uv_read_stop(stream);
}

static void start_hermes(struct bench *b)
{
    char self[4096], home[128], port[64], program[4200];
    assert_int_equal(fs_self_exe(self, sizeof self), 0);
    (void)snprintf(home, sizeof home, "VX11_HOME=%s", b->f->home);
    (void)snprintf(port, sizeof port, "VX11_HERMES__PORT=%d", free_port());
    (void)snprintf(program, sizeof program, "VX11_ENGINE_BIN=%s", self);
    char asan[512], lsan[512], budget[64];
    (void)snprintf(budget, sizeof budget, "VX11_HERMES__MEMORY_BUDGET_BYTES=%s", b->budget ? b->budget : "0");
    (void)snprintf(asan, sizeof asan, "ASAN_OPTIONS=%.400s",
                   getenv("ASAN_OPTIONS") ? getenv("ASAN_OPTIONS") : "");
    (void)snprintf(lsan, sizeof lsan, "LSAN_OPTIONS=%.400s",
                   getenv("LSAN_OPTIONS") ? getenv("LSAN_OPTIONS") : "");
    char *args[] = {self, (char *)(uintptr_t) "--run-hermes", NULL};
    char *env[] = {home,
                   port,
                   program,
                   asan,
                   lsan,
                   budget,
                   (char *)(uintptr_t) "VX11_HERMES__SCAN_INTERVAL_MS=60000",
                   (char *)(uintptr_t) "VX11_HERMES__MAX_LOADED=2",
                   NULL};
    uv_stdio_container_t stdio[4] = {
        {.flags = UV_IGNORE}, {.flags = UV_IGNORE}, {.flags = UV_INHERIT_FD, .data.fd = 2}};
    stdio[3].flags = (uv_stdio_flags)(UV_CREATE_PIPE | UV_WRITABLE_PIPE);
    stdio[3].data.stream = (uv_stream_t *)&b->notify;
    uv_process_options_t options = {
        .exit_cb = on_exit_hermes, .file = self, .args = args, .env = env, .stdio_count = 4, .stdio = stdio};
    b->told = b->exited = false;
    b->said[0] = '\0';
    uv_pipe_init(&b->f->loop, &b->notify, 0);
    b->notify.data = b->process.data = b;
    assert_int_equal(uv_spawn(&b->f->loop, &b->process, &options), 0);
    uv_read_start((uv_stream_t *)&b->notify, on_alloc, on_told);
    fixture_run(b->f, &b->told, 10000);
    assert_string_equal(b->said, "ready\n");
}

static void end_hermes(struct bench *b, int sig)
{
    uv_process_kill(&b->process, sig);
    fixture_run(b->f, &b->exited, 15000);
    uv_close((uv_handle_t *)&b->process, NULL);
    uv_close((uv_handle_t *)&b->notify, NULL);
    fixture_run_ms(b->f, 1);
}

static int bench_open(void **state)
{
    struct error err = {0};
    if (fixture_open(state) != 0)
        return -1;
    struct bench *b = calloc(1, sizeof *b);
    b->f = *state;
    b->target = (struct client_target){.base_url = "http://localhost",
                                       .socket = fixture_path(b->f, "run/hermes.sock")};
    *state = b;
    if (client_create(&b->f->loop, &b->client, &err) != 0)
        return -1;
    (void)fixture_model(b->f, "models/ok.gguf", "Ok");
    (void)fixture_model(b->f, "models/fail.gguf", "Fail");
    (void)fixture_file(b->f, "models/broken.gguf", "GGUF", 4);
    start_hermes(b);
    return 0;
}

static void on_true(void *ctx)
{
    *(bool *)ctx = true;
}

static int bench_close(void **state)
{
    struct bench *b = *state;
    bool closed = false;
    end_hermes(b, SIGTERM);
    int rc = b->status == 0 ? 0 : -1;
    if (rc != 0)
        print_error("hermes ended with %lld\n", (long long)b->status);
    client_close(b->client, on_true, &closed);
    fixture_run(b->f, &closed, 5000);
    *state = b->f;
    free(b);
    return fixture_close(state) == 0 ? rc : -1;
}

/* ---- asking ---- */

struct answer {
    bool done;
    int status;
    char code[64], text[600];
    char *body;
    const struct contract_message *shape;
    void *message;
    struct fixture *f;
};

static void on_reply(struct client_call *call, void *ctx, const struct client_reply *reply)
{
    struct answer *a = ctx;
    (void)call;
    a->done = true;
    a->status = reply->status;
    (void)snprintf(a->code, sizeof a->code, "%s", reply->error_code);
    (void)snprintf(a->text, sizeof a->text, "%s", reply->error.text);
    a->body = arena_strndup(a->f->arena, reply->body ? reply->body : "", reply->body_len);
    if (reply->message && a->shape) {
        a->message = arena_alloc(a->f->arena, a->shape->size);
        assert_int_equal(
            contract_parse(a->shape, a->f->arena, a->body, strlen(a->body), NULL, a->message, NULL), 0);
    }
}

static struct answer call(struct bench *b, int route, const void *params, const void *body)
{
    struct answer a = {.f = b->f, .shape = hermes_routes[route].response};
    struct client_call *pending;
    assert_int_equal(client_call_route(b->client, &b->target, &hermes_routes[route], params, body, NULL,
                                       on_reply, &a, &pending),
                     0);
    fixture_run(b->f, &a.done, 20000);
    return a;
}

static struct answer acquire(struct bench *b, const char *model)
{
    const struct hermes_acquire_request body = {.model = model, .wait_ms = 10000};
    return call(b, HERMES_ROUTE_ENGINES_ACQUIRE, NULL, &body);
}

static struct answer get(struct bench *b, const char *model)
{
    const struct hermes_model_name name = {.name = model};
    return call(b, HERMES_ROUTE_MODELS_GET, &name, NULL);
}

static void scan_now(struct bench *b)
{
    struct answer a = call(b, HERMES_ROUTE_SCAN, NULL, NULL);
    assert_int_equal(a.status, 200);
}

/* ---- the tests ---- */

static void test_models(void **state)
{
    struct bench *b = *state;
    scan_now(b);
    struct answer a = call(b, HERMES_ROUTE_MODELS_LIST, NULL, NULL);
    assert_int_equal(a.status, 200);
    const struct hermes_model_list *list = a.message;
    assert_true(list->version > 0);
    assert_true(list->models_count >= 3); /* and the guide, when this build carries one */
    assert_string_equal(list->models[0].name, "broken");
    assert_int_equal(list->models[0].status, HERMES_MODEL_STATUS_INVALID);
    assert_non_null(list->models[0].reason);
    a = get(b, "ok");
    assert_int_equal(a.status, 200);
    assert_string_equal(((struct hermes_model *)a.message)->title, "Ok");
    assert_null(((struct hermes_model *)a.message)->engine);
    a = get(b, "okk");
    assert_int_equal(a.status, 404);
    assert_string_equal(a.code, "model_not_found");
    assert_non_null(strstr(a.text, "ok"));
    a = call(b, HERMES_ROUTE_RESOURCES, NULL, NULL);
    assert_int_equal(a.status, 200);
    const struct hermes_system_resources *r = a.message;
    assert_true(r->has_memory_total_bytes && r->has_disk_free_bytes && r->physical_cores > 0);
    assert_int_equal(r->engines, 0);
}

static void test_add_and_remove(void **state)
{
    struct bench *b = *state;
    scan_now(b);
    const char *path = fixture_model(b->f, "elsewhere/mine.gguf", "Mine");
    struct hermes_add_model body = {.path = path, .name = "my-model"};
    struct answer a = call(b, HERMES_ROUTE_MODELS_ADD, NULL, &body);
    assert_int_equal(a.status, 201);
    assert_string_equal(((struct hermes_model *)a.message)->name, "my-model");
    a = call(b, HERMES_ROUTE_MODELS_ADD, NULL, &body);
    assert_int_equal(a.status, 409);
    body.path = fixture_model(b->f, "elsewhere/other.gguf", "Other");
    a = call(b, HERMES_ROUTE_MODELS_ADD, NULL, &body);
    assert_int_equal(a.status, 409);
    assert_non_null(strstr(a.text, "taken"));
    body = (struct hermes_add_model){.path = fixture_path(b->f, "nothing.gguf")};
    a = call(b, HERMES_ROUTE_MODELS_ADD, NULL, &body);
    assert_int_equal(a.status, 422);
    assert_string_equal(a.code, "invalid_model");
    body.path = "relative.gguf";
    assert_int_equal(call(b, HERMES_ROUTE_MODELS_ADD, NULL, &body).status, 422);

    struct hermes_model_remove_params name = {.name = "ok"};
    assert_int_equal(call(b, HERMES_ROUTE_MODELS_REMOVE, &name, NULL).status, 204);
    scan_now(b);
    assert_int_equal(get(b, "ok").status, 404); /* removed is removed, though its file lies there */
    assert_true(fs_exists(fixture_path(b->f, "models/ok.gguf")));
    assert_int_equal(call(b, HERMES_ROUTE_MODELS_REMOVE, &name, NULL).status, 404);
    name.name = REGISTRY_BUILTIN;
    if (get(b, REGISTRY_BUILTIN).status == 200) {
        a = call(b, HERMES_ROUTE_MODELS_REMOVE, &name, NULL);
        assert_int_equal(a.status, 409);
    }
}

static void test_engines(void **state)
{
    struct bench *b = *state;
    scan_now(b);
    struct answer a = acquire(b, "ok");
    if (a.status != 200)
        fail_msg("%s", a.text);
    const struct hermes_engine *e = a.message;
    assert_int_equal(e->state, HERMES_ENGINE_STATE_READY);
    int64_t pid = e->pid;
    a = acquire(b, "ok");
    assert_int_equal(((struct hermes_engine *)a.message)->pid, pid);
    a = get(b, "ok");
    assert_non_null(((struct hermes_model *)a.message)->engine);
    a = acquire(b, "fail");
    assert_int_equal(a.status, 503);
    assert_string_equal(a.code, "engine_failed");
    assert_non_null(strstr(a.text, "cheese"));
    a = acquire(b, "broken");
    assert_int_equal(a.status, 503);
    assert_string_equal(a.code, "model_invalid");
    a = acquire(b, "none");
    assert_int_equal(a.status, 404);
    a = call(b, HERMES_ROUTE_ENGINES_LIST, NULL, NULL);
    assert_int_equal(((struct hermes_engine_list *)a.message)->engines_count, 2);
    struct hermes_model_name name = {.name = "ok"};
    assert_int_equal(call(b, HERMES_ROUTE_ENGINES_STOP, &name, NULL).status, 204);
    assert_int_not_equal(kill((pid_t)pid, 0), 0);
    assert_int_equal(call(b, HERMES_ROUTE_ENGINES_STOP, &name, NULL).status, 204);
    name.name = "none";
    assert_int_equal(call(b, HERMES_ROUTE_ENGINES_STOP, &name, NULL).status, 404);
    fixture_run_ms(b->f, 100); /* uses are counted by the batched writer */
    a = get(b, "ok");
    /* Neither was followed by a request. */
    assert_int_equal(((struct hermes_model *)a.message)->usage_count, 0);
}

/* A pin is kept, shows, and must fit the budget with the others; a plan does nothing. */
static void test_pins_and_plans(void **state)
{
    struct bench *b = *state;
    const struct hermes_plan_request ask = {.model = "ok"}, nobody = {.model = "none"};
    struct hermes_model_name ok = {.name = "ok"}, none = {.name = "none"};
    scan_now(b);
    struct answer a = call(b, HERMES_ROUTE_PLAN, NULL, &ask);
    assert_int_equal(a.status, 200);
    const struct hermes_plan *plan = a.message;
    assert_int_equal(plan->verdict, HERMES_PLAN_VERDICT_START);
    assert_true(plan->need_bytes >= plan->least_bytes && plan->least_bytes > 0);
    assert_int_equal(call(b, HERMES_ROUTE_PLAN, NULL, &nobody).status, 404);
    a = call(b, HERMES_ROUTE_ENGINES_LIST, NULL, NULL);
    assert_int_equal(((struct hermes_engine_list *)a.message)->engines_count, 0);

    a = call(b, HERMES_ROUTE_MODELS_LIST, NULL, NULL);
    const int64_t version = ((struct hermes_model_list *)a.message)->version;
    a = call(b, HERMES_ROUTE_MODELS_PIN, &ok, NULL);
    assert_int_equal(a.status, 200);
    assert_true(((struct hermes_model *)a.message)->pinned);
    assert_int_equal(call(b, HERMES_ROUTE_MODELS_PIN, &ok, NULL).status, 200); /* again */
    assert_int_equal(call(b, HERMES_ROUTE_MODELS_PIN, &none, NULL).status, 404);
    a = call(b, HERMES_ROUTE_MODELS_LIST, NULL, NULL);
    assert_true(((struct hermes_model_list *)a.message)->version > version);
    a = acquire(b, "ok");
    assert_true(((struct hermes_engine *)a.message)->pinned);

    end_hermes(b, SIGTERM);
    b->budget = "40MiB"; /* one of them, not two */
    start_hermes(b);
    a = get(b, "ok");
    assert_true(((struct hermes_model *)a.message)->pinned);
    struct hermes_model_name fails = {.name = "fail"};
    a = call(b, HERMES_ROUTE_MODELS_PIN, &fails, NULL);
    assert_int_equal(a.status, 409);
    assert_string_equal(a.code, "over_budget");
    assert_non_null(strstr(a.text, "bytes)"));
    a = call(b, HERMES_ROUTE_RESOURCES, NULL, NULL);
    const struct hermes_system_resources *r = a.message;
    assert_true(r->has_memory_budget_bytes && r->memory_budget_bytes == 40 << 20);
    assert_true(r->has_engines_free_bytes && r->engines_free_bytes == 40 << 20);
    a = call(b, HERMES_ROUTE_MODELS_UNPIN, &ok, NULL);
    assert_true(a.status == 200 && !((struct hermes_model *)a.message)->pinned);
    assert_int_equal(call(b, HERMES_ROUTE_MODELS_PIN, &fails, NULL).status, 200);
}

/* A file that is replaced under a loaded engine: the next request gets the new one. */
static void test_replaced_file(void **state)
{
    struct bench *b = *state;
    scan_now(b);
    struct answer a = acquire(b, "ok");
    int64_t pid = ((struct hermes_engine *)a.message)->pid;
    (void)fixture_model(b->f, "models/ok.gguf", "A new version");
    scan_now(b);
    a = acquire(b, "ok");
    assert_int_equal(a.status, 200);
    assert_int_not_equal(((struct hermes_engine *)a.message)->pid, pid);
}

/* Killed with workers running: they end, and the next Hermes starts clean. */
static void test_killed(void **state)
{
    struct bench *b = *state;
    scan_now(b);
    struct answer a = acquire(b, "ok");
    int64_t pid = ((struct hermes_engine *)a.message)->pid;
    end_hermes(b, SIGKILL);
    for (int i = 0; i < 100 && kill((pid_t)pid, 0) == 0; i++)
        fixture_run_ms(b->f, 20);
    assert_int_not_equal(kill((pid_t)pid, 0), 0);
    start_hermes(b);
    assert_false(fs_exists(fixture_path(b->f, "run/engine-ok.sock")));
    a = acquire(b, "ok");
    assert_int_equal(a.status, 200);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, bench_open, bench_close)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(test_models),        TEST(test_add_and_remove), TEST(test_engines),
        TEST(test_replaced_file), TEST(test_killed),         TEST(test_pins_and_plans),
    };
    if (fake_worker_asked(argc, argv))
        return fake_worker_main(argc, argv);
    if (argc == 2 && strcmp(argv[1], "--run-hermes") == 0)
        return module_run(&hermes_spec);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
