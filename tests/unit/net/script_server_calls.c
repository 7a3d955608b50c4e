/* See script_server_calls.h. */
#include "script_server_calls.h"

#include <dirent.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <cmocka.h>

static void seen_headers(struct client_call *call, void *ctx, int status)
{
    struct seen *s = ctx;
    assert_int_equal(s->done, 0);
    assert_int_equal(s->headers, 0);
    assert_int_equal(client_call_status(call), status);
    s->headers++;
    s->status = status;
    if (s->at_headers)
        s->at_headers(s);
}

static void seen_data(struct client_call *call, void *ctx, const char *data, size_t len)
{
    struct seen *s = ctx;
    (void)call;
    assert_int_equal(s->done, 0);
    assert_int_equal(s->headers, 1);
    s->pieces++;
    buf_append(&s->body, data, len);
    if (s->at_data)
        s->at_data(s);
}

static void seen_done(struct client_call *call, void *ctx, int result, const struct error *err)
{
    struct seen *s = ctx;
    assert_int_equal(s->done, 0);
    assert_int_equal(err->code, result);
    assert_true((err->text[0] == 0) == (result == 0));
    s->done = 1;
    s->code = result;
    snprintf(s->text, sizeof s->text, "%s", err->text);
    client_call_times(call, &s->connect_s, &s->first_byte_s, &s->total_s);
    const char *type = client_call_header(call, "content-type");
    snprintf(s->type, sizeof s->type, "%s", type ? type : "");
    if (s->at_done)
        s->at_done(s);
    s->call = NULL;
}

const struct client_events calls_events = {seen_headers, seen_data, seen_done};

static void on_guard(uv_timer_t *timer)
{
    (void)timer;
    fail_msg("the loop waited for 20 s");
}

const char *calls_host = "127.0.0.1";

void calls_open(struct calls *t, const char *socket, script_fn fn)
{
    struct error err;
    memset(t, 0, sizeof *t);
    assert_int_equal(uv_loop_init(&t->loop), 0);
    uv_timer_init(&t->loop, &t->guard);
    uv_unref((uv_handle_t *)&t->guard);
    assert_int_equal(client_create(&t->loop, &t->client, &err), 0);
    if (fn)
        t->server = script_server_start(socket, fn);
    if (socket)
        snprintf(t->base, sizeof t->base, "http://localhost");
    else if (fn)
        snprintf(t->base, sizeof t->base, "http://%s:%d", calls_host, script_server_port(t->server));
    t->target = (struct client_target){.base_url = t->base, .socket = socket};
}

static void on_client_closed(void *ctx)
{
    struct calls *t = ctx;
    t->closed++;
}

void calls_close(struct calls *t)
{
    if (t->client)
        client_close(t->client, on_client_closed, t);
    t->client = NULL;
    calls_wait(t, &t->closed);
    assert_int_equal(t->closed, 1);
    if (t->server)
        script_server_stop(t->server);
    uv_close((uv_handle_t *)&t->guard, NULL);
    uv_run(&t->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&t->loop), 0);
}

void calls_start(struct calls *t, struct seen *s, const char *method, const char *path, const char *body,
                 const struct client_call_options *options)
{
    struct error err = {0};
    s->calls = t;
    int rc = client_start(t->client, &t->target, method, path, body ? "application/json" : NULL, body,
                          body ? strlen(body) : 0, options, &calls_events, s, &s->call, &err);
    if (rc != 0)
        fail_msg("client_start: %s", err.text);
    assert_int_equal(s->done, 0);
}

void calls_wait(struct calls *t, const int *flag)
{
    uv_update_time(&t->loop);
    uv_timer_start(&t->guard, on_guard, 20000, 0);
    while (!*flag)
        uv_run(&t->loop, UV_RUN_ONCE);
    uv_timer_stop(&t->guard);
}

static void on_run_over(uv_timer_t *timer)
{
    int *over = timer->data;
    *over = 1;
}

void calls_run_ms(struct calls *t, int ms)
{
    uv_timer_t timer;
    int over = 0;
    uv_update_time(&t->loop);
    uv_timer_init(&t->loop, &timer);
    timer.data = &over;
    uv_timer_start(&timer, on_run_over, (uint64_t)ms, 0);
    calls_wait(t, &over);
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(&t->loop, UV_RUN_NOWAIT);
}

int calls_get(struct calls *t, struct seen *s, const char *path, const struct client_call_options *options)
{
    *s = (struct seen){0};
    calls_start(t, s, "GET", path, NULL, options);
    calls_wait(t, &s->done);
    return s->code;
}

int calls_count_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int count = 0;
    assert_non_null(dir);
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}
