/* SSE load: opens many streams of bench_sse_source, directly or through what stands between, and looks at
 * each event: is its number the next one, how long was it on its way, how long was the stream silent before
 * it.
 *
 *   bench_sse_load --address HOST:PORT --request FILE --streams N --events N --limit-s S
 *
 * Prints "open" when every stream has had its first event (who measures CPU time starts then), and when all
 * have ended one JSON object. Silence counts from "open" on: opening a thousand streams at once is another
 * matter. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "base/clock.h"
#include "base/str.h"
#include "common/http.h"

enum { OPENING_MAX = 64 };

struct load {
    uv_loop_t loop;
    uv_timer_t limit;
    struct sockaddr_in to;
    struct buf request;
    struct stream *streams;
    int64_t count, events, started, opened, ended, broken;
    uint64_t all_open_ns;
    int64_t received, lost, reordered;
    float *delay_ms; /* of each event after "open" */
    size_t delays;
};

struct stream {
    uv_tcp_t tcp;
    uv_connect_t connecting;
    uv_write_t write;
    struct load *load;
    struct reply reply;
    struct lines lines;
    int64_t next;     /* number of the event that should come */
    uint64_t last_ns; /* when the last one came */
    double worst_gap_ms;
    bool end_seen, over;
};

static void stream_start(struct load *l);

static void stream_over(struct stream *s, const char *why)
{
    struct load *l = s->load;
    if (s->over)
        return;
    s->over = true;
    l->lost += l->events - s->next;
    if (why && l->broken++ < 3)
        fprintf(stderr, "bench_sse_load: a stream broke after %lld events (status %d): %s\n",
                (long long)s->next, s->reply.status, why);
    bool never_opened = s->next == 0;
    l->opened += never_opened; /* nor will it: do not wait for it */
    uv_close((uv_handle_t *)&s->tcp, NULL);
    if (++l->ended == l->count)
        uv_stop(&l->loop);
    else if (never_opened)
        stream_start(l);
}

static void event_arrived(struct stream *s, int64_t number, uint64_t sent_ns)
{
    struct load *l = s->load;
    uint64_t now = clock_mono_ns();
    if (number < s->next) {
        l->reordered++;
        return;
    }
    l->lost += number - s->next;
    s->next = number + 1;
    l->received++;
    if (number == 0 && ++l->opened == l->count) {
        l->all_open_ns = now;
        puts("open");
        fflush(stdout);
    }
    if (number == 0)
        stream_start(l);
    if (l->all_open_ns) {
        uint64_t from = s->last_ns > l->all_open_ns ? s->last_ns : l->all_open_ns;
        double gap = (double)(now - from) / 1e6;
        s->worst_gap_ms = gap > s->worst_gap_ms ? gap : s->worst_gap_ms;
        l->delay_ms[l->delays++] = (float)((double)(now - sent_ns) / 1e6);
    }
    s->last_ns = now;
}

static void on_line(void *ctx, char *line, size_t len)
{
    static const char mark[] = "\"content\":\"#";
    struct stream *s = ctx;
    char *at = strstr(line, mark);
    (void)len;
    if (str_eq(line, "data: [DONE]"))
        s->end_seen = true;
    if (!at || !str_starts(line, "data: "))
        return;
    long long number = strtoll(at + sizeof mark - 1, &at, 10);
    uint64_t sent = at[0] == ' ' && at[1] == '@' ? strtoull(at + 2, NULL, 10) : 0;
    event_arrived(s, number, sent);
}

static void on_body(void *ctx, const char *data, size_t len)
{
    struct stream *s = ctx;
    lines_feed(&s->lines, data, len);
}

static void on_alloc(uv_handle_t *handle, size_t size, uv_buf_t *out)
{
    static char shared[65536];
    (void)handle, (void)size;
    *out = uv_buf_init(shared, sizeof shared);
}

static void on_read(uv_stream_t *tcp, ssize_t n, const uv_buf_t *b)
{
    struct stream *s = tcp->data;
    if (n < 0)
        stream_over(s, uv_strerror((int)n));
    else if (reply_feed(&s->reply, b->base, (size_t)n) != 0)
        stream_over(s, "malformed");
    else if (s->reply.done)
        stream_over(s,
                    s->end_seen && s->next == s->load->events ? NULL : "ended without [DONE] or too early");
}

static void on_connect(uv_connect_t *req, int status)
{
    struct stream *s = req->handle->data;
    uv_buf_t b = uv_buf_init(s->load->request.data, (unsigned)s->load->request.len);
    if (status == 0)
        status = uv_write(&s->write, (uv_stream_t *)&s->tcp, &b, 1, NULL);
    if (status == 0)
        status = uv_read_start((uv_stream_t *)&s->tcp, on_alloc, on_read);
    if (status != 0)
        stream_over(s, uv_strerror(status));
}

/* Opens the next stream; each that has its first event opens another, so that a bounded number is on its way.
 */
static void stream_start(struct load *l)
{
    if (l->started == l->count)
        return;
    struct stream *s = &l->streams[l->started++];
    s->load = l;
    s->lines = (struct lines){.on_line = on_line, .ctx = s};
    reply_start(&s->reply, on_body, s);
    uv_tcp_init(&l->loop, &s->tcp);
    uv_tcp_nodelay(&s->tcp, 1);
    s->tcp.data = s;
    if (uv_tcp_connect(&s->connecting, &s->tcp, (const struct sockaddr *)&l->to, on_connect) != 0)
        stream_over(s, "cannot connect");
}

static void on_limit(uv_timer_t *timer)
{
    struct load *l = timer->data;
    fprintf(stderr, "bench_sse_load: time is up with %lld of %lld streams ended, %lld opened\n",
            (long long)l->ended, (long long)l->count, (long long)l->opened);
    for (int64_t i = 0; i < l->started; i++)
        stream_over(&l->streams[i], "time is up");
    uv_stop(&l->loop);
}

static int by_float(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return x < y ? -1 : x > y;
}

static void report(struct load *l)
{
    float *gaps = calloc((size_t)l->count, sizeof *gaps);
    if (!gaps)
        abort();
    for (int64_t i = 0; i < l->count; i++)
        gaps[i] = (float)l->streams[i].worst_gap_ms;
    qsort(gaps, (size_t)l->count, sizeof *gaps, by_float);
    qsort(l->delay_ms, l->delays, sizeof *l->delay_ms, by_float);
    size_t n = l->delays ? l->delays : 1;
    printf(
        "{\"streams\":%lld,\"events\":%lld,\"lost\":%lld,\"reordered\":%lld,\"broken\":%lld,\"worst_gap_ms\":"
        "%.2f,"
        "\"median_worst_gap_ms\":%.2f,\"delay_p50_ms\":%.3f,\"delay_p99_ms\":%.3f,\"delay_max_ms\":%.3f}\n",
        (long long)l->count, (long long)l->received, (long long)l->lost, (long long)l->reordered,
        (long long)l->broken, (double)gaps[l->count - 1], (double)gaps[l->count / 2],
        (double)l->delay_ms[n / 2], (double)l->delay_ms[n * 99 / 100], (double)l->delay_ms[n - 1]);
    free(gaps);
}

static int options(struct load *l, int argc, char **argv, int64_t *limit_s)
{
    char host[64];
    const char *colon = argc == 11 ? strrchr(argv[2], ':') : NULL;
    int64_t port;
    if (!colon || !str_eq(argv[1], "--address") || !str_eq(argv[3], "--request") ||
        !str_eq(argv[5], "--streams") || !str_eq(argv[7], "--events") || !str_eq(argv[9], "--limit-s") ||
        str_to_i64(argv[6], 1, 100000, &l->count) != 0 || str_to_i64(argv[8], 1, 100000, &l->events) != 0 ||
        str_to_i64(argv[10], 1, 3600, limit_s) != 0 || str_to_i64(colon + 1, 1, 65535, &port) != 0) {
        fprintf(
            stderr,
            "usage: bench_sse_load --address HOST:PORT --request FILE --streams N --events N --limit-s S\n");
        return 2;
    }
    snprintf(host, sizeof host, "%.*s", (int)(colon - argv[2]), argv[2]);
    if (uv_ip4_addr(host, (int)port, &l->to) != 0 || request_read(argv[4], &l->request) != 0)
        return 2;
    l->streams = calloc((size_t)l->count, sizeof *l->streams);
    l->delay_ms = calloc((size_t)(l->count * l->events) + 1, sizeof *l->delay_ms);
    return l->streams && l->delay_ms ? 0 : 1;
}

int main(int argc, char **argv)
{
    static struct load l;
    int64_t limit_s;
    int rc = options(&l, argc, argv, &limit_s);
    if (rc != 0)
        return rc;
    signal(SIGPIPE, SIG_IGN);
    uv_loop_init(&l.loop);
    uv_timer_init(&l.loop, &l.limit);
    l.limit.data = &l;
    uv_timer_start(&l.limit, on_limit, (uint64_t)limit_s * 1000, 0);
    for (int i = 0; i < OPENING_MAX; i++)
        stream_start(&l);
    uv_run(&l.loop, UV_RUN_DEFAULT);
    report(&l);
    return 0;
}
