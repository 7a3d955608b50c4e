/* Server fixture: contract, handlers and thread. The handlers are named after what they do to the server. */
#include "server_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"

/* ---- contract ---- */

struct echo {
    const char *text;
    int64_t n;
    bool has_n;
    yyjson_val *any;
};

static const struct contract_field echo_fields[] = {
    {.name = "text",
     .doc = "",
     .unit = "",
     .type = CONTRACT_STRING,
     .flags = CONTRACT_REQUIRED,
     .offset = offsetof(struct echo, text),
     .has_offset = SIZE_MAX,
     .max_length = 100000},
    {.name = "n",
     .doc = "",
     .unit = "",
     .type = CONTRACT_INTEGER,
     .flags = CONTRACT_HAS_MIN | CONTRACT_HAS_MAX,
     .offset = offsetof(struct echo, n),
     .has_offset = offsetof(struct echo, has_n),
     .min = 0,
     .max = 10},
    {.name = "any",
     .doc = "",
     .unit = "",
     .type = CONTRACT_JSON,
     .offset = offsetof(struct echo, any),
     .has_offset = SIZE_MAX},
};
static const struct contract_message echo_message = {.name = "Echo",
                                                     .file = "fixture",
                                                     .doc = "",
                                                     .size = sizeof(struct echo),
                                                     .fields = echo_fields,
                                                     .field_count = COUNT_OF(echo_fields)};

struct item {
    const char *id;
    int64_t limit;
};
static const struct contract_field item_fields[] = {
    {.name = "id",
     .doc = "",
     .unit = "",
     .type = CONTRACT_STRING,
     .flags = CONTRACT_REQUIRED,
     .offset = offsetof(struct item, id),
     .has_offset = SIZE_MAX},
    {.name = "limit",
     .doc = "",
     .unit = "",
     .type = CONTRACT_INTEGER,
     .flags = CONTRACT_HAS_DEFAULT | CONTRACT_HAS_MIN | CONTRACT_HAS_MAX,
     .offset = offsetof(struct item, limit),
     .has_offset = SIZE_MAX,
     .min = 1,
     .max = 100,
     .default_json = "10"},
};
static const struct contract_message item_message = {.name = "Item",
                                                     .file = "fixture",
                                                     .doc = "",
                                                     .size = sizeof(struct item),
                                                     .fields = item_fields,
                                                     .field_count = COUNT_OF(item_fields)};

#define OPEN                                                                                                 \
    .content_type = "application/json", .scope = CONTRACT_SCOPE_OPEN, .status = 200, .summary = "", .doc = ""
static const struct contract_route routes[] = {
    {.id = "echo",
     .method = "POST",
     .path = "/t/echo",
     .scope = CONTRACT_SCOPE_CHAT,
     .status = 200,
     .content_type = "application/json",
     .summary = "",
     .doc = "",
     .request = &echo_message,
     .response = &echo_message},
    {.id = "item",
     .method = "GET",
     .path = "/t/items/{id}",
     .scope = CONTRACT_SCOPE_READ,
     .status = 200,
     .content_type = "application/json",
     .summary = "",
     .doc = "",
     .params = &item_message,
     .response = &item_message},
    {.id = "later", .method = "POST", .path = "/t/later", OPEN, .max_body = 1 << 20},
    {.id = "hang", .method = "GET", .path = "/t/hang", OPEN},
    {.id = "stream",
     .method = "GET",
     .path = "/t/stream",
     OPEN,
     .stream = CONTRACT_STREAM_SSE,
     .timeout_ms = -1},
    {.id = "flood", .method = "GET", .path = "/t/flood", OPEN, .timeout_ms = -1},
    {.id = "raw",
     .method = "POST",
     .path = "/t/raw",
     OPEN,
     .flags = CONTRACT_ROUTE_RAW_BODY,
     .max_body = 1024},
    {.id = "upload",
     .method = "POST",
     .path = "/t/upload",
     OPEN,
     .flags = CONTRACT_ROUTE_STREAM_BODY,
     .max_body = 64 << 20},
    {.id = "socket", .method = "GET", .path = "/t/ws", OPEN, .stream = CONTRACT_STREAM_WS},
    {.id = "act",
     .method = "POST",
     .path = "/t/act",
     .scope = CONTRACT_SCOPE_ACT,
     .status = 204,
     .content_type = "application/json",
     .summary = "",
     .doc = ""},
    {.id = "page",
     .method = "GET",
     .path = "/t/page",
     .scope = CONTRACT_SCOPE_READ,
     .flags = CONTRACT_ROUTE_COOKIE,
     .status = 200,
     .content_type = "application/json",
     .summary = "",
     .doc = ""},
    {.id = "control", .method = "GET", .path = "/t/control", OPEN, .flags = CONTRACT_ROUTE_STANDBY},
    {.id = "files", .method = "GET", .path = "/t/files/{path*}", OPEN},
    {.id = "late", .method = "GET", .path = "/t/late", OPEN, .timeout_ms = 150},
    {.id = "relay", .method = "GET", .path = "/t/relay", OPEN, .timeout_ms = -1},
    {.id = "broken", .method = "GET", .path = "/t/broken", OPEN},
    {.id = "burst", .method = "GET", .path = "/t/burst", OPEN},
    {.id = "big", .method = "GET", .path = "/t/big", OPEN},
    {.id = "whoami",
     .method = "GET",
     .path = "/t/whoami",
     .scope = CONTRACT_SCOPE_READ,
     .status = 200,
     .content_type = "application/json",
     .summary = "",
     .doc = ""},
};

const struct contract_module fixture_module = {.name = "fixture",
                                               .title = "Fixture",
                                               .doc = "For tests.",
                                               .routes = routes,
                                               .route_count = COUNT_OF(routes)};

/* ---- handlers ---- */

static void on_echo(struct request *r, void *module)
{
    (void)module;
    request_reply(r, 200, &echo_message, request_body(r));
}

static void on_item(struct request *r, void *module)
{
    (void)module;
    request_reply(r, 200, &item_message, request_params(r));
}

struct timer_job {
    uv_timer_t timer;
    struct request *r;
    struct fixture *f;
    int left, size, period;
    bool stop;
};

static void on_timer_closed(uv_handle_t *h)
{
    free(h->data);
}

static struct timer_job *job_make(struct request *r, struct fixture *f)
{
    struct timer_job *j = calloc(1, sizeof *j);
    assert_non_null(j);
    j->r = r;
    j->f = f;
    uv_timer_init(request_loop(r), &j->timer);
    j->timer.data = j;
    return j;
}

static void job_end(struct timer_job *j)
{
    uv_close((uv_handle_t *)&j->timer, on_timer_closed);
}

static int query_number(struct request *r, const char *name, int otherwise)
{
    const char *at = strstr(request_query(r), name);
    return at && at[strlen(name)] == '=' ? atoi(at + strlen(name) + 1) : otherwise;
}

static void note_cancel(struct fixture *f, int reason)
{
    atomic_fetch_add(&f->reasons[-reason], 1);
    atomic_fetch_add(&f->cancels, 1);
}

static void later_ring(uv_timer_t *t)
{
    struct timer_job *j = t->data;
    request_reply_bytes(j->r, 200, "text/plain", "later", 5, false);
    job_end(j);
}

static void later_cancel(struct request *r, void *ctx, int reason)
{
    struct timer_job *j = ctx;
    note_cancel(j->f, reason);
    request_fail(r, 504, "cancelled", NULL, "cancelled");
    job_end(j);
}

static void on_later(struct request *r, void *module)
{
    struct timer_job *j = job_make(r, module);
    request_on_cancel(r, later_cancel, j);
    uv_timer_start(&j->timer, later_ring, (uint64_t)query_number(r, "ms", 5), 0);
}

static void hang_cancel(struct request *r, void *ctx, int reason)
{
    note_cancel(ctx, reason);
    request_fail(r, 503, "gone", NULL, "gone");
}

static void on_hang(struct request *r, void *module)
{
    request_on_cancel(r, hang_cancel, module);
}

static void stream_ring(uv_timer_t *t)
{
    struct timer_job *j = t->data;
    char text[32];
    if (j->left-- <= 0) {
        request_stream_end(j->r);
        job_end(j);
        return;
    }
    snprintf(text, sizeof text, "tick %d\nline", j->left);
    request_stream_event(j->r, "tick", "7", text, strlen(text));
    uv_timer_start(t, stream_ring, (uint64_t)j->period, 0);
}

static void stream_cancel(struct request *r, void *ctx, int reason)
{
    struct timer_job *j = ctx;
    note_cancel(j->f, reason);
    request_stream_end(r);
    job_end(j);
}

/* A client may have left already: then there is nothing to begin. */
static bool begin(struct request *r, const char *content_type)
{
    int rc = request_stream_begin(r, 200, content_type);
    assert_true(rc == 0 || rc == VX11_ECLOSED);
    if (rc != 0)
        request_stream_abort(r);
    return rc == 0;
}

static void on_stream(struct request *r, void *module)
{
    if (!begin(r, NULL))
        return;
    struct timer_job *j = job_make(r, module);
    j->left = query_number(r, "count", 3);
    j->period = query_number(r, "period", 5);
    request_on_cancel(r, stream_cancel, j);
    uv_timer_start(&j->timer, stream_ring, (uint64_t)j->period, 0);
}

static void flood_ring(uv_timer_t *t)
{
    static char data[8192];
    struct timer_job *j = t->data;
    for (int i = 0; i < 64; i++) {
        if (request_stream_write(j->r, data, sizeof data) != 0) {
            request_stream_end(j->r);
            job_end(j);
            return;
        }
    }
}

static void flood_cancel(struct request *r, void *ctx, int reason)
{
    struct timer_job *j = ctx;
    note_cancel(j->f, reason);
    request_stream_end(r);
    job_end(j);
}

static void on_flood(struct request *r, void *module)
{
    if (!begin(r, "application/octet-stream"))
        return;
    struct timer_job *j = job_make(r, module);
    request_on_cancel(r, flood_cancel, j);
    uv_timer_start(&j->timer, flood_ring, 1, 1);
}

static void on_raw(struct request *r, void *module)
{
    size_t len;
    const char *data = request_raw_body(r, &len);
    (void)module;
    request_reply_bytes(r, 200, "application/octet-stream", data, len, false);
}

struct upload {
    struct fixture *f;
    struct timer_job *job;
    long long bytes;
    bool slow;
};

static void upload_ring(uv_timer_t *t)
{
    struct timer_job *j = t->data;
    request_body_resume(j->r);
}

static void on_upload_piece(struct request *r, void *ctx, const char *data, size_t len, bool last)
{
    struct upload *u = ctx;
    if (!data && !last) {
        note_cancel(u->f, VX11_ECLOSED);
        job_end(u->job);
        request_fail(r, 400, "gone", NULL, "gone");
        return;
    }
    u->bytes += (long long)len;
    atomic_store(&u->f->uploaded, u->bytes);
    if (last) {
        char text[32];
        int n = snprintf(text, sizeof text, "%lld", u->bytes);
        job_end(u->job);
        request_reply_bytes(r, 200, "text/plain", text, (size_t)n, false);
    } else if (u->slow) {
        request_body_pause(r);
        uv_timer_start(&u->job->timer, upload_ring, 3, 0);
    } else if (u->bytes > 1000 && strstr(request_query(r), "enough")) {
        job_end(u->job);
        request_fail(r, 409, "enough", NULL, "enough");
    }
}

static void on_upload(struct request *r, void *module)
{
    struct upload *u = arena_zalloc(request_arena(r), sizeof *u);
    if (strstr(request_query(r), "refuse")) {
        request_fail(r, 409, "refused", NULL, "not today");
        return;
    }
    u->f = module;
    u->slow = strstr(request_query(r), "slow") != NULL;
    u->job = job_make(r, module);
    request_on_body(r, on_upload_piece, u);
}

static void ws_message(struct websocket *ws, void *ctx, const char *data, size_t len, bool text)
{
    (void)ctx;
    (void)text;
    if (len == 5 && memcmp(data, "close", 5) == 0)
        websocket_close(ws, 4001, "asked");
    else if (len == 5 && memcmp(data, "flood", 5) == 0) {
        static char big[65536];
        memset(big, 'x', sizeof big);
        while (websocket_send(ws, big, sizeof big) == 0)
            ;
    } else
        websocket_send(ws, data, len);
}

static void ws_open(struct websocket *ws, void *ctx)
{
    struct fixture *f = ctx;
    atomic_fetch_add(&f->ws_open, 1);
    websocket_send(ws, "hello", 5);
}

static void ws_close(struct websocket *ws, void *ctx, int code)
{
    struct fixture *f = ctx;
    (void)ws;
    atomic_store(&f->ws_code, code);
    atomic_fetch_add(&f->ws_closed, 1);
}

static void on_socket(struct request *r, void *module)
{
    static const struct websocket_events events = {ws_open, ws_message, ws_close};
    websocket_accept(r, 70000, 1 << 20, &events, module);
}

static void on_act(struct request *r, void *module)
{
    (void)module;
    request_reply_bytes(r, 204, NULL, "", 0, false);
}

static void on_page(struct request *r, void *module)
{
    static const char page[] = "<!doctype html>";
    (void)module;
    request_reply_static(r, 200, "text/html", page, sizeof page - 1);
}

static void on_control(struct request *r, void *module)
{
    (void)module;
    request_reply_header(r, "X-Trace", request_trace(r));
    request_reply_bytes(r, 200, "text/plain", "ok", 2, false);
}

static void on_files(struct request *r, void *module)
{
    (void)module;
    request_reply_bytes(r, 200, "text/plain", request_path(r), strlen(request_path(r)), false);
}

static void late_ring(uv_timer_t *t)
{
    struct timer_job *j = t->data;
    request_reply_bytes(j->r, 200, "text/plain", "too late", 8, false);
    atomic_fetch_add(&j->f->slow_ends, 1);
    job_end(j);
}

static void late_cancel(struct request *r, void *ctx, int reason)
{
    struct timer_job *j = ctx;
    (void)r;
    note_cancel(j->f, reason);
}

static void on_late(struct request *r, void *module)
{
    struct timer_job *j = job_make(r, module);
    request_on_cancel(r, late_cancel, j);
    uv_timer_start(&j->timer, late_ring, (uint64_t)query_number(r, "ms", 500), 0);
}

static void relay_fill(struct timer_job *j)
{
    static char data[16384];
    while (j->left > 0 && request_stream_queued(j->r) < 100000) {
        if (request_stream_write(j->r, data, sizeof data) != 0)
            return;
        j->left--;
    }
    if (j->left == 0 && !j->stop) {
        j->stop = true;
        request_stream_end(j->r);
        job_end(j);
    }
}

static void relay_drain(struct request *r, void *ctx)
{
    struct timer_job *j = ctx;
    (void)r;
    atomic_fetch_add(&j->f->drains, 1);
    relay_fill(j);
}

static void on_relay(struct request *r, void *module)
{
    if (!begin(r, "application/octet-stream"))
        return;
    struct timer_job *j = job_make(r, module);
    j->left = 1024; /* 16 MiB */
    request_on_cancel(r, stream_cancel, j);
    request_stream_backpressure(r);
    request_on_drain(r, relay_drain, j);
    relay_fill(j);
}

static void broken_ring(uv_timer_t *t)
{
    struct timer_job *j = t->data;
    request_stream_abort(j->r);
    job_end(j);
}

static void on_broken(struct request *r, void *module)
{
    if (!begin(r, "text/plain"))
        return;
    struct timer_job *j = job_make(r, module);
    request_on_cancel(r, stream_cancel, j);
    assert_int_equal(request_stream_write(r, "part", 4), 0);
    uv_timer_start(&j->timer, broken_ring, 20, 0);
}

/* Everything at once, before the headers have gone out. */
static void on_burst(struct request *r, void *module)
{
    static char data[200000];
    (void)module;
    memset(data, 'b', sizeof data);
    if (!begin(r, "text/plain"))
        return;
    assert_int_equal(request_stream_write(r, data, sizeof data), 0);
    assert_int_equal(request_stream_write(r, "end", 3), 0);
    request_stream_end(r);
}

static void on_big(struct request *r, void *module)
{
    static char data[32 << 20]; /* more than any socket's buffers hold */
    (void)module;
    request_reply_static(r, 200, "application/octet-stream", data, sizeof data);
}

static void on_whoami(struct request *r, void *module)
{
    const struct principal *p = request_principal(r);
    char text[200], scopes[100];
    (void)module;
    int n = snprintf(text, sizeof text, "%d %s %s %s", (int)p->kind, p->id, p->name,
                     auth_scopes_format(p->scopes, scopes, sizeof scopes));
    request_reply_bytes(r, 200, "text/plain", text, (size_t)n, false);
}

const request_handler fixture_handlers[] = {
    on_echo, on_item,    on_later, on_hang, on_stream, on_flood,  on_raw,   on_upload, on_socket, on_act,
    on_page, on_control, on_files, on_late, on_relay,  on_broken, on_burst, on_big,    on_whoami};

/* ---- life ---- */

static void add_token(struct auth_entry *e, const char *id, const char *name, enum auth_kind kind,
                      const char *scopes, char *out)
{
    auth_token_make(out);
    e->principal.kind = kind;
    snprintf(e->principal.id, sizeof e->principal.id, "%s", id);
    snprintf(e->principal.name, sizeof e->principal.name, "%s", name);
    assert_int_equal(auth_scopes_parse(scopes, &e->principal.scopes, NULL), 0);
    auth_hash(out, e->hash);
}

static const struct server_listener listeners[] = {{.host = "127.0.0.1", .port = 0}};

void fixture_prepare(struct fixture *f)
{
    struct auth_entry entries[5] = {0};
    memset(f, 0, sizeof *f);
    log_set_level(LOG_OFF);
    assert_int_equal(uv_loop_init(&f->loop), 0);
    f->metrics = metrics_create(&f->loop, "fixture");
    f->auth = auth_create();
    add_token(&entries[0], "01ARZ3NDEKTSV4RRFFQ69G5FAV", "chatter", AUTH_TOKEN, "chat", f->token_chat);
    add_token(&entries[1], "01ARZ3NDEKTSV4RRFFQ69G5FAW", "boss", AUTH_TOKEN, "admin", f->token_admin);
    add_token(&entries[2], "01ARZ3NDEKTSV4RRFFQ69G5FAX", "reader", AUTH_TOKEN, "read", f->token_read);
    add_token(&entries[3], "01ARZ3NDEKTSV4RRFFQ69G5FAY", "page", AUTH_SESSION, "act", f->session);
    add_token(&entries[4], "01ARZ3NDEKTSV4RRFFQ69G5FAZ", "old", AUTH_TOKEN, "admin", f->token_old);
    entries[4].expires_at = 1;
    assert_int_equal(auth_replace(f->auth, entries, COUNT_OF(entries)), 0);
    f->options = (struct server_options){.loop = &f->loop,
                                         .contract = &fixture_module,
                                         .handlers = fixture_handlers,
                                         .module = f,
                                         .listeners = listeners,
                                         .listener_count = 1,
                                         .auth = f->auth,
                                         .metrics = f->metrics,
                                         .version = "1.2.3",
                                         .header_timeout_ms = 5000};
}

static void on_command(uv_async_t *a)
{
    struct fixture *f = a->data;
    if (f->run)
        f->run(f);
    f->run = NULL;
    atomic_store(&f->pending, 0);
}

static void *thread_main(void *arg)
{
    struct fixture *f = arg;
    uv_run(&f->loop, UV_RUN_DEFAULT);
    return NULL;
}

int fixture_start(struct fixture *f)
{
    uv_async_init(&f->loop, &f->command, on_command);
    f->command.data = f;
    f->start_result = server_start(&f->options, &f->server, &f->error);
    if (f->start_result != 0) {
        assert_null(f->server);
        uv_close((uv_handle_t *)&f->command, NULL);
        metrics_stop(f->metrics);
        uv_run(&f->loop, UV_RUN_DEFAULT);
        assert_int_equal(uv_loop_close(&f->loop), 0);
        metrics_destroy(f->metrics);
        auth_destroy(f->auth);
        return f->start_result;
    }
    f->port = server_port(f->server, 0);
    assert_int_equal(pthread_create(&f->thread, NULL, thread_main, f), 0);
    return 0;
}

void fixture_on_loop(struct fixture *f, void (*fn)(struct fixture *f))
{
    f->run = fn;
    atomic_store(&f->pending, 1);
    uv_async_send(&f->command);
    for (int i = 0; i < 5000 && atomic_load(&f->pending); i++)
        usleep(1000);
    assert_int_equal(atomic_load(&f->pending), 0);
}

static void on_drained(void *ctx)
{
    struct fixture *f = ctx;
    assert_int_equal(server_connections(f->server), 0);
    assert_int_equal(server_requests_in_flight(f->server), 0);
    server_destroy(f->server);
    metrics_stop(f->metrics);
    uv_close((uv_handle_t *)&f->command, NULL);
    atomic_store(&f->drained, 1);
}

void fixture_drain(struct fixture *f)
{
    server_drain(f->server, f->drain_ms, on_drained, f);
}

void fixture_stop(struct fixture *f)
{
    if (!f->stopped) {
        f->stopped = true;
        f->run = fixture_drain;
        uv_async_send(&f->command);
    }
    pthread_join(f->thread, NULL);
    assert_int_equal(atomic_load(&f->drained), 1);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    metrics_destroy(f->metrics);
    auth_destroy(f->auth);
}

bool fixture_eventually(atomic_int *value, int at_least)
{
    for (int i = 0; i < 5000; i++) {
        if (atomic_load(value) >= at_least)
            return true;
        usleep(1000);
    }
    return false;
}

struct metric_question {
    enum metric_kind kind;
    const char *name, *labels;
    double value;
};
static struct metric_question question;

static void ask_metric(struct fixture *f)
{
    struct metric *m = metrics_get(f->metrics, question.kind, question.name, question.labels, "");
    question.value = m ? metric_value(m) : -1;
}

double fixture_metric(struct fixture *f, enum metric_kind kind, const char *name, const char *labels)
{
    question = (struct metric_question){.kind = kind, .name = name, .labels = labels};
    fixture_on_loop(f, ask_metric);
    return question.value;
}
