#include "worker.h"
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"

static _Noreturn void child(const struct worker *w, const struct engine_options *options, int notify)
{
    const struct log_options log = {.module = "engine", .level = LOG_ERROR};
    struct engine_options o = *options;
    o.socket = w->socket;
    o.notify_fd = notify;
    if (log_open(&log, NULL) != 0)
        _exit(99);
    const int code = engine_run(&o);
    log_close();
    exit(code); /* not _exit: the leak checker runs at exit */
}

static void wait_for_line(const struct worker *w)
{
    char c = 0;
    while (c != '\n') {
        const ssize_t n = read(w->notify, &c, 1);
        if (n == 0 || (n < 0 && errno != EINTR))
            fail_msg("the worker said nothing");
    }
}

void worker_start(struct worker *w, const char *model, int parallel, size_t queue)
{
    worker_start_options(
        w, &(struct engine_options){
               .model = {.path = model, .name = "guide", .parallel = parallel, .threads = 1, .batch = 256},
               .queue_limit = queue,
               .choices_most = 4,
               .drain_ms = 5000});
}

void worker_start_options(struct worker *w, const struct engine_options *options)
{
    int ends[2];
    *w = (struct worker){.folder = "/tmp/vx11-engine-XXXXXX"};
    assert_non_null(mkdtemp(w->folder));
    (void)snprintf(w->socket, sizeof w->socket, "%s/engine.sock", w->folder);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    w->pid = fork();
    assert_true(w->pid >= 0);
    if (w->pid == 0) {
        (void)close(ends[0]);
        child(w, options, ends[1]);
    }
    (void)close(ends[1]);
    w->notify = ends[0];
    wait_for_line(w);
    assert_int_equal(uv_loop_init(&w->loop), 0);
    assert_int_equal(client_create(&w->loop, &w->client, NULL), 0);
}

int worker_end(struct worker *w)
{
    int status = 0;
    client_close(w->client, NULL, NULL);
    (void)uv_run(&w->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&w->loop), 0);
    while (waitpid(w->pid, &status, 0) < 0)
        assert_int_equal(errno, EINTR);
    assert_int_not_equal(access(w->socket, F_OK), 0); /* it leaves no socket behind */
    assert_int_equal(rmdir(w->folder), 0);
    (void)close(w->notify);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void on_data(struct client_call *call, void *ctx, const char *data, size_t len)
{
    struct exchange *x = ctx;
    (void)buf_append(&x->body, data, len);
    if (x->leave_after && x->body.len >= x->leave_after) {
        x->leave_after = 0;
        client_cancel(call);
    }
}

static void on_headers(struct client_call *call, void *ctx, int status)
{
    struct exchange *x = ctx;
    const char *retry = client_call_header(call, "Retry-After");
    x->status = status;
    if (retry)
        (void)snprintf(x->retry_after, sizeof x->retry_after, "%s", retry);
}

static void on_done(struct client_call *call, void *ctx, int result, const struct error *err)
{
    struct exchange *x = ctx;
    (void)call;
    (void)err;
    x->result = result;
    x->done = true;
}

void worker_send(struct worker *w, const char *path, const char *body, struct exchange *x)
{
    static const struct client_events events = {on_headers, on_data, on_done};
    const struct client_target target = {.base_url = "http://localhost", .socket = w->socket};
    const struct client_header priority = {"X-VX11-Priority", x->priority};
    const struct client_call_options options = {.headers = &priority, .header_count = x->priority != NULL};
    struct error err = {0};
    if (client_start(w->client, &target, body ? "POST" : "GET", path, body ? "application/json" : NULL, body,
                     body ? strlen(body) : 0, &options, &events, x, &x->call, &err) != 0)
        fail_msg("%s", err.text);
}

void worker_run(struct worker *w, const bool *done)
{
    while (!*done && uv_run(&w->loop, UV_RUN_ONCE) != 0)
        ;
    assert_true(*done);
}

int worker_ask(struct worker *w, const char *path, const char *body, struct exchange *x)
{
    *x = (struct exchange){0};
    worker_send(w, path, body, x);
    worker_run(w, &x->done);
    return x->status;
}

void worker_wait_ready(struct worker *w)
{
    wait_for_line(w);
    struct exchange x;
    assert_int_equal(worker_ask(w, "/engine/status", NULL, &x), 200);
    exchange_has(&x, "\"state\":\"ready\"");
    exchange_free(&x);
}

void exchange_free(struct exchange *x)
{
    buf_free(&x->body);
    *x = (struct exchange){0};
}

void exchange_has(const struct exchange *x, const char *text)
{
    if (!x->body.data || !strstr(x->body.data, text))
        fail_msg("%d %s does not contain %s", x->status, x->body.data ? x->body.data : "(nothing)", text);
}

long exchange_number(const struct exchange *x, const char *key)
{
    char quoted[64];
    (void)snprintf(quoted, sizeof quoted, "\"%s\":", key);
    exchange_has(x, quoted);
    return strtol(strstr(x->body.data, quoted) + strlen(quoted), NULL, 10);
}
