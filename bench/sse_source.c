/* SSE source: the mock provider of the stream line. Whatever is POSTed is answered with a stream of chat
 * completion chunks at a steady pace, each with its number and the moment it was sent (monotonic ns: one
 * machine, one clock).
 *
 *   bench_sse_source --events N --interval-ms MS        prints its port, serves until SIGTERM
 *
 * Streams are spread over the milliseconds of the interval: one timer walks the slots, so that a thousand
 * streams cost one wake-up and 20 writes a millisecond, and not a thousand timers. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <uv.h>

#include "base/clock.h"
#include "base/str.h"

enum { REQUEST_MAX = 65536, SLOTS_MAX = 1000, PORT_ANY = 0 };

static const char answer_head[] =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
    "Transfer-Encoding: chunked\r\n\r\n";
static const char answer_end[] =
    "data: "
    "{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":"
    "\"bench-model\","
    "\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
    "data: "
    "{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":"
    "\"bench-model\","
    "\"choices\":[],\"usage\":{\"prompt_tokens\":420,\"completion_tokens\":%lld,\"total_tokens\":%lld}}\n\n"
    "data: [DONE]\n\n";

struct source {
    uv_loop_t loop;
    uv_tcp_t listener;
    uv_timer_t tick;
    uv_signal_t stop;
    int64_t events, interval;
    uint64_t walked; /* ms up to which the slots have been served */
    size_t next_slot;
    struct stream *slots[SLOTS_MAX];
};

struct stream {
    uv_tcp_t tcp;
    struct source *source;
    struct stream *next, **at; /* in its slot while it streams */
    int64_t sent;
    char in[REQUEST_MAX];
    size_t in_len;
};

struct write {
    uv_write_t req;
    char data[];
};

static void stream_unlink(struct stream *s)
{
    if (!s->at)
        return;
    *s->at = s->next;
    if (s->next)
        s->next->at = s->at;
    s->at = NULL;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void stream_close(struct stream *s)
{
    stream_unlink(s);
    if (!uv_is_closing((uv_handle_t *)&s->tcp))
        uv_close((uv_handle_t *)&s->tcp, on_closed);
}

static void on_written(uv_write_t *req, int status)
{
    struct stream *s = req->handle->data;
    free(req->data);
    if (status < 0)
        stream_close(s);
}

static void stream_send(struct stream *s, const char *data, size_t len)
{
    uv_buf_t b = uv_buf_init((char *)(uintptr_t)data, (unsigned)len);
    int n = s->tcp.write_queue_size > 0 ? UV_EAGAIN : uv_try_write((uv_stream_t *)&s->tcp, &b, 1);
    if (n == (int)len)
        return;
    if (n < 0 && n != UV_EAGAIN) {
        stream_close(s);
        return;
    }
    size_t skip = n > 0 ? (size_t)n : 0;
    struct write *w = malloc(sizeof *w + len - skip);
    if (!w)
        abort();
    memcpy(w->data, data + skip, len - skip);
    w->req.data = w;
    b = uv_buf_init(w->data, (unsigned)(len - skip));
    if (uv_write(&w->req, (uv_stream_t *)&s->tcp, &b, 1, on_written) != 0) {
        free(w);
        stream_close(s);
    }
}

static void stream_event(struct stream *s)
{
    char text[1024], framed[1100];
    int64_t last = s->source->events;
    int n;
    if (s->sent < last)
        n = snprintf(text, sizeof text,
                     "data: "
                     "{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,"
                     "\"model\":\"bench-model\","
                     "\"choices\":[{\"index\":0,\"delta\":{\"content\":\"#%lld @%llu "
                     "\"},\"finish_reason\":null}]}\n\n",
                     (long long)s->sent, (unsigned long long)clock_mono_ns());
    else
        n = snprintf(text, sizeof text, answer_end, (long long)last, (long long)last + 420);
    bool over = s->sent++ == last;
    int len = snprintf(framed, sizeof framed, "%x\r\n%s\r\n%s", (unsigned)n, text, over ? "0\r\n\r\n" : "");
    if (over)
        stream_unlink(s);
    stream_send(s, framed, (size_t)len);
}

static void on_tick(uv_timer_t *timer)
{
    struct source *src = timer->data;
    uint64_t now = (uint64_t)clock_mono_ms();
    for (; src->walked < now; src->walked++)
        for (struct stream *s = src->slots[(src->walked + 1) % (uint64_t)src->interval], *next; s; s = next) {
            next = s->next;
            stream_event(s);
        }
}

/* ---- requests ---- */

/* Length of the request at the start of s->in, 0 while it is not complete. */
static size_t request_complete(struct stream *s)
{
    s->in[s->in_len] = '\0';
    const char *end = strstr(s->in, "\r\n\r\n");
    const char *length = end ? strcasestr(s->in, "\r\nContent-Length:") : NULL;
    if (!end)
        return 0;
    size_t need = (size_t)(end - s->in) + 4 + (length && length < end ? strtoul(length + 17, NULL, 10) : 0);
    return s->in_len >= need ? need : 0;
}

static void stream_begin(struct stream *s)
{
    struct source *src = s->source;
    struct stream **slot = &src->slots[src->next_slot++ % (size_t)src->interval];
    s->sent = 0;
    s->next = *slot;
    if (s->next)
        s->next->at = &s->next;
    s->at = slot;
    *slot = s;
    stream_send(s, answer_head, sizeof answer_head - 1);
}

static void on_alloc(uv_handle_t *handle, size_t size, uv_buf_t *out)
{
    struct stream *s = handle->data;
    (void)size;
    *out = uv_buf_init(s->in + s->in_len, (unsigned)(sizeof s->in - 1 - s->in_len));
}

static void on_read(uv_stream_t *tcp, ssize_t n, const uv_buf_t *b)
{
    struct stream *s = tcp->data;
    (void)b;
    if (n < 0) {
        stream_close(s);
        return;
    }
    s->in_len += (size_t)n;
    size_t taken = request_complete(s);
    if (taken == 0)
        return;
    memmove(s->in, s->in + taken, s->in_len - taken);
    s->in_len -= taken;
    if (s->at)
        stream_close(s); /* pipelined: nobody should */
    else
        stream_begin(s);
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct source *src = listener->data;
    struct stream *s = status == 0 ? malloc(sizeof *s) : NULL;
    if (!s)
        return;
    s->source = src;
    s->at = NULL;
    s->in_len = 0;
    uv_tcp_init(&src->loop, &s->tcp);
    s->tcp.data = s;
    if (uv_accept(listener, (uv_stream_t *)&s->tcp) != 0 || uv_tcp_nodelay(&s->tcp, 1) != 0 ||
        uv_read_start((uv_stream_t *)&s->tcp, on_alloc, on_read) != 0)
        stream_close(s);
}

static void on_stop(uv_signal_t *handle, int signal)
{
    (void)signal;
    uv_stop(handle->loop);
}

static int source_listen(struct source *src)
{
    struct sockaddr_in at;
    int len = sizeof at;
    uv_loop_init(&src->loop);
    uv_tcp_init(&src->loop, &src->listener);
    uv_timer_init(&src->loop, &src->tick);
    uv_signal_init(&src->loop, &src->stop);
    src->listener.data = src->tick.data = src;
    int rc = uv_ip4_addr("127.0.0.1", PORT_ANY, &at);
    if (rc == 0)
        rc = uv_tcp_bind(&src->listener, (const struct sockaddr *)&at, 0);
    if (rc == 0)
        rc = uv_listen((uv_stream_t *)&src->listener, 1024, on_connection);
    if (rc == 0)
        rc = uv_tcp_getsockname(&src->listener, (struct sockaddr *)&at, &len);
    if (rc != 0) {
        fprintf(stderr, "bench_sse_source: %s\n", uv_strerror(rc));
        return rc;
    }
    src->walked = (uint64_t)clock_mono_ms();
    uv_timer_start(&src->tick, on_tick, 1, 1);
    uv_signal_start(&src->stop, on_stop, SIGTERM);
    printf("%d\n", ntohs(at.sin_port));
    fflush(stdout);
    return 0;
}

int main(int argc, char **argv)
{
    static struct source src;
    if (argc != 5 || !str_eq(argv[1], "--events") || str_to_i64(argv[2], 1, 1000000, &src.events) != 0 ||
        !str_eq(argv[3], "--interval-ms") || str_to_i64(argv[4], 1, SLOTS_MAX, &src.interval) != 0) {
        fprintf(stderr, "usage: bench_sse_source --events N --interval-ms MS\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    if (source_listen(&src) != 0)
        return 1;
    uv_run(&src.loop, UV_RUN_DEFAULT);
    return 0; /* the kernel closes the streams: nothing of them is worth keeping */
}
