/* Upstream: see upstream.h. */
#include "upstream.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "script_server.h"

#define NAMES 40

static const char stream_head[] =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";

struct named {
    char name[64];
    enum behaviour behaviour;
    struct upstream_seen seen;
};

struct upstream {
    struct script_server *server;
    pthread_mutex_t lock;
    struct named names[NAMES];
    size_t count;
};

/* The scripts have no context of their own: one upstream at a time. */
static struct upstream *only;

/* Call with the lock. */
static struct named *named_get(struct upstream *u, const char *name)
{
    for (size_t i = 0; i < u->count; i++)
        if (strcmp(u->names[i].name, name) == 0)
            return &u->names[i];
    assert_true(u->count < NAMES);
    struct named *n = &u->names[u->count++];
    snprintf(n->name, sizeof n->name, "%s", name);
    return n;
}

/* ---- pieces of answers ---- */

static bool chunk(struct script_conn *c, const char *text)
{
    size_t len = strlen(text);
    return script_printf(c, "%zx\r\n", len) && script_send(c, text, len) && script_puts(c, "\r\n");
}

static bool chunk_end(struct script_conn *c)
{
    return script_puts(c, "0\r\n\r\n");
}

static bool event(struct script_conn *c, const char *json)
{
    struct buf b = BUF_INIT;
    buf_printf(&b, "data: %s\n\n", json);
    bool ok = chunk(c, b.data);
    buf_free(&b);
    return ok;
}

static bool token(struct script_conn *c, int n)
{
    char json[256];
    snprintf(json, sizeof json,
             "{\"id\":\"x\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{"
             "\"index\":0,\"delta\":{\"content\":\"t%d \"},\"finish_reason\":null}]}",
             n);
    return event(c, json);
}

static bool tokens(struct script_conn *c, int n, int pause_ms)
{
    for (int i = 0; i < n; i++) {
        if (!token(c, i))
            return false;
        if (pause_ms && !script_sleep(c, pause_ms))
            return false;
    }
    return true;
}

static bool finish(struct script_conn *c, bool usage)
{
    return event(c, "{\"id\":\"x\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\","
                    "\"choices\":["
                    "{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}") &&
           (!usage ||
            event(c, "{\"id\":\"x\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\","
                     "\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":5,"
                     "\"total_tokens\":12,\"prompt_tokens_details\":{\"cached_tokens\":3}}}"));
}

static bool json(struct script_conn *c, int status, const char *headers, const char *body)
{
    return script_printf(c,
                         "HTTP/1.1 %d X\r\nContent-Type: application/json\r\n%sContent-Length: %zu\r\n\r\n",
                         status, headers, strlen(body)) &&
           script_send(c, body, strlen(body));
}

static bool good_json(struct script_conn *c, bool usage)
{
    char body[1024];
    snprintf(body, sizeof body,
             "{\"id\":\"x\",\"object\":\"chat.completion\",\"created\":1,\"model\":\"m\",\"choices\":[{"
             "\"index\":0,"
             "\"message\":{\"role\":\"assistant\",\"content\":\"hello\"},\"text\":\"hello\",\"finish_"
             "reason\":\"stop\"}]%s}",
             usage ? ",\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":5,\"total_tokens\":12,"
                     "\"prompt_tokens_details\":{\"cached_tokens\":3}}"
                   : "");
    return json(c, 200, "", body);
}

static bool good(struct script_conn *c, bool stream, bool usage)
{
    if (!stream)
        return good_json(c, usage);
    return script_puts(c, stream_head) && tokens(c, 5, 0) && finish(c, usage) && event(c, "[DONE]") &&
           chunk_end(c);
}

/* ---- behaviours ---- */

static bool drip(struct script_conn *c, int n)
{
    return script_puts(c, stream_head) && tokens(c, n, 50) && finish(c, true) && event(c, "[DONE]") &&
           chunk_end(c);
}

static bool huge(struct script_conn *c)
{
    static const size_t total = 70u << 20;
    char *block = malloc(1 << 20);
    assert_non_null(block);
    memset(block, 'x', 1 << 20);
    bool ok = script_printf(
        c, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n{\"a\":\"",
        total + 8);
    for (size_t i = 0; ok && i < total >> 20; i++)
        ok = script_send(c, block, 1 << 20);
    free(block);
    return ok && script_puts(c, "\"}");
}

static bool wide(struct script_conn *c)
{
    char text[2100], body[2300];
    memset(text, 'w', 2000);
    text[2000] = '\0';
    snprintf(body, sizeof body, "{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"%s\"}}]}", text);
    bool ok = script_puts(c, stream_head);
    for (int i = 0; ok && i < 12000; i++)
        ok = event(c, body);
    return ok && finish(c, true) && event(c, "[DONE]") && chunk_end(c);
}

static bool reasoning(struct script_conn *c)
{
    bool ok = script_puts(c, stream_head);
    for (int i = 0; ok && i < 20; i++)
        ok = event(c, "{\"choices\":[{\"index\":0,\"delta\":{\"reasoning_content\":\"hm\"},\"finish_reason\":"
                      "null}]}") &&
             script_sleep(c, 100);
    return ok && tokens(c, 5, 0) && finish(c, true) && event(c, "[DONE]") && chunk_end(c);
}

static bool big_event(struct script_conn *c)
{
    char text[4097];
    memset(text, 'y', 4096);
    text[4096] = '\0';
    bool ok = script_puts(c, stream_head) && chunk(c, "data: {\"choices\":\"");
    for (int i = 0; ok && i < 8192; i++)
        ok = chunk(c, text);
    return ok && script_wait_close(c);
}

static bool half(struct script_conn *c, int before)
{
    if (script_puts(c, stream_head) && tokens(c, before, 0))
        chunk(c, "data: {\"id\":\"x\",\"choices\":[{\"index\":0,\"delta\":{\"con");
    return false;
}

static bool error_event(struct script_conn *c, int before)
{
    return script_puts(c, stream_head) && tokens(c, before, 0) &&
           event(c, "{\"error\":{\"message\":\"the machine is on "
                    "fire\",\"type\":\"server_error\",\"code\":\"fire\"}}") &&
           event(c, "[DONE]") && chunk_end(c);
}

const char upstream_vectors[] =
    "{\"object\":\"list\",\"data\":[{\"object\":\"embedding\",\"index\":0,\"embedding\":[0.6,-0.8]},"
    "{\"object\":\"embedding\",\"index\":1,\"embedding\":\"mpkZP83MTL8=\"}],\"model\":\"m\",\"usage\":{"
    "\"prompt_tokens\":9,\"total_tokens\":9},\"odd\":[1e-7]}";

const char upstream_tools[] =
    "{\"id\":\"x\",\"object\":\"chat.completion\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,"
    "\"message\":{\"role\":\"assistant\",\"content\":null,\"reasoning_content\":\"hm\",\"tool_calls\":[{"
    "\"id\":\"call_1\",\"type\":\"function\",\"function\":{\"name\":\"port\",\"arguments\":\"{\\\"of\\\":"
    "\\\"switch\\\"}\"}}]},\"finish_reason\":\"tool_calls\"}],\"usage\":{\"prompt_tokens\":7,"
    "\"completion_tokens\":5,\"total_tokens\":12,\"odd_tokens\":1,\"completion_tokens_details\":{"
    "\"reasoning_tokens\":2}}}";

const char *const upstream_tool_events[UPSTREAM_TOOL_EVENTS] = {
    "{\"id\":\"x\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":null},"
    "\"finish_reason\":null}]}",
    "{\"id\":\"x\",\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"call_1\","
    "\"type\":\"function\",\"function\":{\"name\":\"port\",\"arguments\":\"\"}}]},\"finish_reason\":null}]}",
    "{\"id\":\"x\",\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{"
    "\"arguments\":\"{\\\"of\\\":1}\"}}]},\"finish_reason\":null}],\"odd\":{\"a\":1}}",
    "{\"id\":\"x\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"tool_calls\"}]}",
    "{\"id\":\"x\",\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":5,\"total_tokens\":12,"
    "\"context_shift\":{\"dropped_messages\":2,\"dropped_tokens\":40}}}",
};

static bool call_tools(struct script_conn *c, bool stream)
{
    static const char shift[] = "x-vx11-context-shift: dropped_messages=2\r\n";
    if (!stream)
        return json(c, 200, shift, upstream_tools);
    bool ok = script_printf(c,
                            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n%s"
                            "Transfer-Encoding: chunked\r\n\r\n",
                            shift);
    for (size_t i = 0; ok && i < UPSTREAM_TOOL_EVENTS; i++)
        ok = event(c, upstream_tool_events[i]);
    return ok && event(c, "[DONE]") && chunk_end(c);
}

static bool refuse(struct script_conn *c, int status)
{
    const char *body =
        "{\"error\":{\"message\":\"upstream says no\",\"type\":\"some_error\",\"param\":\"/messages\","
        "\"code\":\"too_something\"}}";
    return json(c, status, status == 429 ? "Retry-After: 7\r\n" : "", body);
}

static bool behave(struct script_conn *c, enum behaviour b, bool stream)
{
    switch (b) {
    case UP_GOOD:
        return good(c, stream, true);
    case UP_NO_USAGE:
        return good(c, stream, false);
    case UP_SLOW_HEADERS:
        return script_sleep(c, 600) && good(c, stream, true);
    case UP_DRIP:
        return drip(c, 400);
    case UP_DRIP_SHORT:
        return drip(c, 20);
    case UP_STALL:
        return script_puts(c, stream_head) && tokens(c, 1, 0) && script_wait_close(c) && false;
    case UP_GARBAGE:
        return script_puts(c, stream_head) &&
               chunk(c, "data: \x01\x02{{{]\n\n\xff\xfe\n\ndata: nonsense\n\n") && chunk_end(c);
    case UP_NO_HTTP:
        return script_send(c, "\x16\x03\x01garbage\r\n\r\n\0\0\0", 17) && false;
    case UP_HALF_EARLY:
        return half(c, 0);
    case UP_HALF_LATE:
        return half(c, 2);
    case UP_NO_DONE:
        return script_puts(c, stream_head) && tokens(c, 3, 0) && chunk_end(c);
    case UP_FINISH_NO_DONE:
        return script_puts(c, stream_head) && tokens(c, 5, 0) && finish(c, true) && chunk_end(c);
    case UP_429:
        return refuse(c, 429);
    case UP_500:
        return refuse(c, 500);
    case UP_503:
        return refuse(c, 503);
    case UP_401:
        return refuse(c, 401);
    case UP_404:
        return refuse(c, 404);
    case UP_400:
        return refuse(c, 400);
    case UP_BAD_JSON:
        return json(c, 200, "", "{\"choices\":[{\"index\":0,");
    case UP_NO_CHOICES:
        return json(c, 200, "", "{\"id\":\"x\"}");
    case UP_ERROR_EARLY:
        return error_event(c, 0);
    case UP_ERROR_LATE:
        return error_event(c, 2);
    case UP_SILENT:
        script_wait_close(c);
        return false;
    case UP_CLOSE:
        return false;
    case UP_HUGE:
        return huge(c);
    case UP_WIDE:
        return wide(c);
    case UP_REASONING:
        return reasoning(c);
    case UP_BIG_EVENT:
        return big_event(c);
    case UP_VECTORS:
        return json(c, 200, "", upstream_vectors);
    case UP_TOOLS:
        return call_tools(c, stream);
    }
    return false;
}

/* ---- the server ---- */

static bool list_models(struct script_conn *c)
{
    return json(c, 200, "",
                "{\"object\":\"list\",\"data\":[{\"id\":\"listed-one\"},{\"id\":\"listed-two\"}]}");
}

static bool on_request(struct script_conn *c, const struct script_request *r)
{
    struct upstream *u = only;
    char name[64] = "";
    sscanf(r->path, "/%63[^/]", name);
    bool listing = strcmp(r->method, "GET") == 0;
    bool stream = r->body && strstr(r->body, "\"stream\":true") != NULL;
    pthread_mutex_lock(&u->lock);
    struct named *n = named_get(u, name);
    enum behaviour b = n->behaviour;
    if (listing) {
        n->seen.listings++;
    } else {
        n->seen.requests++;
        n->seen.running++;
        snprintf(n->seen.head, sizeof n->seen.head, "%.8000s", r->head);
        snprintf(n->seen.body, sizeof n->seen.body, "%.4000s", r->body ? r->body : "");
    }
    pthread_mutex_unlock(&u->lock);
    if (listing)
        return list_models(c);
    bool whole = behave(c, b, stream);
    pthread_mutex_lock(&u->lock);
    n->seen.running--;
    n->seen.left += !whole;
    pthread_mutex_unlock(&u->lock);
    return whole;
}

struct upstream *upstream_start(void)
{
    struct upstream *u = calloc(1, sizeof *u);
    assert_non_null(u);
    assert_null(only);
    only = u;
    pthread_mutex_init(&u->lock, NULL);
    u->server = script_server_start(NULL, on_request);
    return u;
}

void upstream_stop(struct upstream *u)
{
    script_server_stop(u->server);
    pthread_mutex_destroy(&u->lock);
    only = NULL;
    free(u);
}

int upstream_port(const struct upstream *u)
{
    return script_server_port(u->server);
}

void upstream_behave(struct upstream *u, const char *name, enum behaviour b)
{
    pthread_mutex_lock(&u->lock);
    named_get(u, name)->behaviour = b;
    pthread_mutex_unlock(&u->lock);
}

void upstream_seen(struct upstream *u, const char *name, struct upstream_seen *out)
{
    pthread_mutex_lock(&u->lock);
    *out = named_get(u, name)->seen;
    pthread_mutex_unlock(&u->lock);
}

void upstream_yaml(const struct upstream *u, struct buf *yaml, const char *name, const char *models,
                   const char *more)
{
    buf_printf(yaml,
               "    - {name: %s, kind: openai, base_url: \"http://127.0.0.1:%d/%s/v1\", models: [%s]%s%s}\n",
               name, upstream_port(u), name, models, more ? ", " : "", more ? more : "");
}
