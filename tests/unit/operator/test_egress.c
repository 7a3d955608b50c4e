/* The proxy, with real sockets: its loop runs in a thread of its own, the test is the client, and a second
 * thread is the web: it does what the path says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sodium.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/str.h"
#include "operator/egress/egress.h"

enum { BIG = 3 * 1024 * 1024 };

/* ---- the web ---- */

struct web {
    int fd, port;
    pthread_t thread;
    pthread_mutex_t lock;
    char head[16384]; /* of the last request */
    int connections;
};

static int listen_any(int *port)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof in;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (const struct sockaddr *)(const void *)&in, len) != 0 || listen(fd, 64) != 0 ||
        getsockname(fd, (struct sockaddr *)(void *)&in, &len) != 0)
        abort();
    *port = ntohs(in.sin_port);
    return fd;
}

static bool send_all(int fd, const void *data, size_t len)
{
    const char *at = data;
    while (len > 0) {
        ssize_t n = send(fd, at, len, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        at += n;
        len -= (size_t)n;
    }
    return true;
}

static bool puts_all(int fd, const char *text)
{
    return send_all(fd, text, strlen(text));
}

/* Up to the empty line, byte by byte: what follows stays in the socket. */
static size_t read_head(int fd, char *out, size_t size)
{
    size_t n = 0;
    while (n + 1 < size && recv(fd, out + n, 1, 0) == 1) {
        n++;
        if (n >= 4 && memcmp(out + n - 4, "\r\n\r\n", 4) == 0)
            break;
    }
    out[n] = '\0';
    return n;
}

static void web_echo(int fd)
{
    char piece[8192];
    ssize_t n;
    while ((n = recv(fd, piece, sizeof piece, 0)) > 0)
        if (!send_all(fd, piece, (size_t)n))
            return;
}

static void web_serve(struct web *w, int fd)
{
    char head[16384];
    char body[64] = "";
    if (read_head(fd, head, sizeof head) == 0)
        return;
    pthread_mutex_lock(&w->lock);
    memcpy(w->head, head, sizeof head);
    pthread_mutex_unlock(&w->lock);
    if (strncmp(head, "ECHO", 4) == 0) { /* what a tunnel's client asks for */
        web_echo(fd);
    } else if (strstr(head, "/dies")) {
        (void)puts_all(fd, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
        struct linger rude = {1, 0};
        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &rude, sizeof rude);
    } else if (strstr(head, "/big")) {
        char *much = calloc(1, BIG);
        (void)puts_all(fd, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
        (void)(much && send_all(fd, much, BIG));
        free(much);
    } else if (strstr(head, "/silent")) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        (void)poll(&p, 1, 5000);
    } else if (strstr(head, "POST")) {
        for (size_t n = 0; n < 10; n++)
            (void)recv(fd, body + n, 1, 0);
        (void)puts_all(fd, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n");
        (void)puts_all(fd, body);
    } else {
        (void)puts_all(fd, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello");
    }
}

static void *web_run(void *ctx)
{
    struct web *w = ctx;
    for (;;) {
        int fd = accept(w->fd, NULL, NULL);
        if (fd < 0)
            return NULL;
        pthread_mutex_lock(&w->lock);
        w->connections++;
        pthread_mutex_unlock(&w->lock);
        web_serve(w, fd);
        close(fd);
    }
}

/* ---- the proxy ---- */

struct proxy {
    uv_loop_t loop;
    uv_async_t stop;
    pthread_t thread;
    struct egress_policy *policy;
    struct egress *egress;
    int port;
    char auth[200];
    pthread_mutex_t lock;
    struct egress_refusal refusal;
    int refusals;
    struct egress_stats stats;
    bool closed;
};

static struct web web;

static void on_refusal(void *ctx, const struct egress_refusal *r)
{
    struct proxy *p = ctx;
    struct egress_refusal last;
    pthread_mutex_lock(&p->lock);
    p->refusal = *r;
    p->refusals++;
    pthread_mutex_unlock(&p->lock);
    if (!egress_refusal_last(p->egress, r->user, r->number - 1, &last) || last.number != r->number ||
        egress_refusal_last(p->egress, "nobody", 0, &last) || egress_refusal_count(p->egress) != r->number)
        abort();
}

static void on_closed(void *ctx)
{
    ((struct proxy *)ctx)->closed = true;
}

static void on_stop(uv_async_t *async)
{
    struct proxy *p = async->data;
    egress_stats(p->egress, &p->stats);
    egress_close(p->egress, on_closed, p);
    uv_close((uv_handle_t *)async, NULL);
}

static void *proxy_run(void *ctx)
{
    uv_run(&((struct proxy *)ctx)->loop, UV_RUN_DEFAULT);
    return NULL;
}

static void proxy_start(struct proxy *p, const struct egress_options *like)
{
    char allowed[40];
    const char *allow = allowed;
    struct egress_options o = *like;
    struct error err = {0};
    char pair[100];
    memset(p, 0, sizeof *p);
    pthread_mutex_init(&p->lock, NULL);
    (void)snprintf(allowed, sizeof allowed, "127.0.0.1:%d", web.port);
    assert_int_equal(egress_policy_create(&allow, 1, NULL, 0, &p->policy, &err), 0);
    assert_int_equal(uv_loop_init(&p->loop), 0);
    o.loop = &p->loop;
    o.policy = p->policy;
    o.on_refusal = on_refusal;
    o.ctx = p;
    assert_int_equal(egress_create(&o, &p->egress, &err), 0);
    p->port = egress_port(p->egress);
    (void)snprintf(pair, sizeof pair, "task-7:%s", egress_password(p->egress));
    memcpy(p->auth, "Proxy-Authorization: Basic ", 28);
    sodium_bin2base64(p->auth + 27, sizeof p->auth - 30, (const unsigned char *)pair, strlen(pair),
                      sodium_base64_VARIANT_ORIGINAL);
    strcat(p->auth, "\r\n");
    uv_async_init(&p->loop, &p->stop, on_stop);
    p->stop.data = p;
    assert_int_equal(pthread_create(&p->thread, NULL, proxy_run, p), 0);
}

static void proxy_stop(struct proxy *p)
{
    uv_async_send(&p->stop);
    pthread_join(p->thread, NULL);
    assert_true(p->closed);
    assert_int_equal(uv_loop_close(&p->loop), 0);
    egress_policy_free(p->policy);
    pthread_mutex_destroy(&p->lock);
}

/* ---- the client ---- */

static int dial(const struct proxy *p)
{
    struct sockaddr_in in = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)p->port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval wait = {10, 0};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    assert_int_equal(connect(fd, (const struct sockaddr *)(const void *)&in, sizeof in), 0);
    return fd;
}

/* All until the end; false: it did not end within 10 s. */
static bool drain(int fd, struct buf *out)
{
    char piece[65536];
    for (;;) {
        ssize_t n = recv(fd, piece, sizeof piece, 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return false;
        if (n <= 0)
            return true;
        buf_append(out, piece, (size_t)n);
    }
}

static void ask(const struct proxy *p, struct buf *out, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void ask(const struct proxy *p, struct buf *out, const char *fmt, ...)
{
    struct buf text = BUF_INIT;
    va_list args;
    int fd = dial(p);
    buf_clear(out);
    va_start(args, fmt);
    buf_vprintf(&text, fmt, args);
    va_end(args);
    (void)send_all(fd, text.data, text.len);
    assert_true(drain(fd, out));
    buf_free(&text);
    close(fd);
}

#define STATUS(out, code)                                                                                    \
    do {                                                                                                     \
        if (!(out).data || strncmp((out).data, "HTTP/1.1 " code, 12) != 0)                                   \
            fail_msg("not " code ": %.200s", (out).data ? (out).data : "nothing");                           \
    } while (0)

static void test_requests(void **state)
{
    struct proxy p;
    struct buf out = BUF_INIT;
    (void)state;
    proxy_start(&p, &(struct egress_options){0});
    ask(&p, &out, "GET http://127.0.0.1:%d/ HTTP/1.1\r\nHost: x\r\n\r\n", web.port);
    STATUS(out, "407");
    assert_non_null(strstr(out.data, "Proxy-Authenticate: Basic"));
    ask(&p, &out, "GET http://127.0.0.1:%d/ HTTP/1.1\r\nProxy-Authorization: Basic dGFzazp4\r\n\r\n",
        web.port);
    STATUS(out, "407");
    ask(&p, &out,
        "GET http://127.0.0.1:%d/a?b=c HTTP/1.1\r\nHost: elsewhere.example\r\nX-A: 1\r\nConnection: "
        "keep-alive, X-Hop\r\n"
        "X-Hop: 1\r\nProxy-Connection: keep-alive\r\nUpgrade: x\r\nTE: trailers\r\n%s\r\n",
        web.port, p.auth);
    STATUS(out, "200");
    assert_true(str_ends(out.data, "hello"));
    pthread_mutex_lock(&web.lock);
    char host[60];
    (void)snprintf(host, sizeof host, "\r\nHost: 127.0.0.1:%d\r\n", web.port);
    assert_true(str_starts(web.head, "GET /a?b=c HTTP/1.1\r\n"));
    assert_non_null(strstr(web.head, host));
    assert_non_null(strstr(web.head, "\r\nX-A: 1\r\n"));
    assert_non_null(strstr(web.head, "\r\nConnection: close\r\n"));
    assert_null(strstr(web.head, "elsewhere"));
    assert_null(strstr(web.head, "Proxy-"));
    assert_null(strstr(web.head, "keep-alive"));
    assert_null(strstr(web.head, "Upgrade"));
    assert_null(strstr(web.head, "X-Hop"));
    pthread_mutex_unlock(&web.lock);
    ask(&p, &out, "POST http://127.0.0.1:%d/ HTTP/1.1\r\nContent-Length: 10\r\n%s\r\n0123456789", web.port,
        p.auth);
    STATUS(out, "200");
    assert_true(str_ends(out.data, "0123456789"));
    ask(&p, &out, "GET http://127.0.0.1:%d/big HTTP/1.1\r\n%s\r\n", web.port, p.auth);
    STATUS(out, "200");
    assert_true(out.len > BIG);
    buf_free(&out);
    proxy_stop(&p);
    assert_int_equal(p.stats.unauthorized, 2);
    assert_int_equal(p.stats.requests, 3);
    assert_int_equal(p.refusals, 0);
}

static void test_unsound(void **state)
{
    struct proxy p;
    struct buf out = BUF_INIT;
    (void)state;
    proxy_start(&p, &(struct egress_options){0});
    int before = web.connections;
    static const struct {
        const char *text, *status;
    } cases[] = {
        {"\x16\x03\x01\x02\r\n\r\n", "400"},
        {"GET / HTTP/1.1\r\n\r\n", "403"},
        {"GET http://127.0.0.1:%d/ HTTP/2.0\r\n\r\n", "400"},
        {"GET http://127.0.0.1:%d/ x HTTP/1.1\r\n\r\n", "400"},
        {"GET http://127.0.0.1:%d/ HTTP/1.1\r\nno field\r\n\r\n", "400"},
        {"GET http://127.0.0.1:%d/ HTTP/1.1\r\nA : b\r\n\r\n", "400"},
        {"GET http://127.0.0.1:%d/ HTTP/1.1\r\nA: b\rContent-Length: 5\r\n\r\n", "400"},
        {"GET http://127.0.0.1:%d/ HTTP/1.1\r\nA: b\nContent-Length: 5\r\n\r\n", "400"},
        {"GET http://127.0.0.1:%d/ HTTP/1.1\r\n folded\r\n\r\n", "400"},
        {"POST http://127.0.0.1:%d/ HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", "400"},
        {"POST http://127.0.0.1:%d/ HTTP/1.1\r\nContent-Length: -5\r\n\r\n", "400"},
        {"POST http://127.0.0.1:%d/ HTTP/1.1\r\nContent-Length: 5, 5\r\n\r\n", "400"},
        {"POST http://127.0.0.1:%d/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", "411"},
        {"POST http://127.0.0.1:%d/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
         "411"},
        {"CONNECT 127.0.0.1:%d HTTP/1.1\r\nContent-Length: 5\r\n\r\n", "400"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char text[900], filled[500];
        const char *cut = strstr(cases[i].text, "\r\n") + 2;
        const char *mark = strstr(cases[i].text, "%d");
        (void)snprintf(filled, sizeof filled, "%.*s%d%.*s", (int)(mark ? mark - cases[i].text : 0),
                       cases[i].text, web.port, (int)(mark ? cut - mark - 2 : 0), mark ? mark + 2 : "");
        if (!mark)
            (void)snprintf(filled, sizeof filled, "%.*s", (int)(cut - cases[i].text), cases[i].text);
        (void)snprintf(text, sizeof text, "%s%s", filled, p.auth);
        ask(&p, &out, "%s%s", text, cut);
        if (!out.data || strncmp(out.data + 9, cases[i].status, 3) != 0)
            fail_msg("case %zu: not %s: %.100s", i, cases[i].status, out.data ? out.data : "");
    }
    struct buf huge = BUF_INIT;
    for (int i = 0; i < 5000; i++)
        buf_puts(&huge, "X-Long: 0123456\r\n");
    int fd = dial(&p);
    (void)puts_all(fd, "GET http://x/ HTTP/1.1\r\n");
    (void)send_all(fd, huge.data, huge.len);
    buf_clear(&out);
    assert_true(drain(fd, &out)); /* 431, or a reset before it was read: it ends */
    close(fd);
    assert_int_equal(web.connections, before);
    buf_free(&huge);
    buf_free(&out);
    proxy_stop(&p);
}

static void test_refusals(void **state)
{
    struct proxy p;
    struct buf out = BUF_INIT;
    (void)state;
    proxy_start(&p, &(struct egress_options){0});
    ask(&p, &out, "GET http://169.254.169.254/latest?secret=1 HTTP/1.1\r\n%s\r\n", p.auth);
    STATUS(out, "403");
    assert_non_null(strstr(out.data, "X-VX11-Refused: metadata_refused\r\n"));
    pthread_mutex_lock(&p.lock);
    assert_int_equal(p.refusals, 1);
    assert_string_equal(p.refusal.user, "task-7");
    assert_string_equal(p.refusal.url, "http://169.254.169.254/latest");
    assert_int_equal(p.refusal.code, EGRESS_METADATA);
    pthread_mutex_unlock(&p.lock);
    ask(&p, &out, "CONNECT 127.0.0.1:%d HTTP/1.1\r\n%s\r\n", p.port, p.auth); /* the proxy itself */
    STATUS(out, "403");
    assert_non_null(strstr(out.data, "own_port_refused"));
    char head[1024]; /* another name than the rule's, the same address */
    int fd = dial(&p);
    dprintf(fd, "CONNECT localhost:%d HTTP/1.1\r\n%s\r\n", web.port, p.auth);
    read_head(fd, head, sizeof head);
    assert_true(str_starts(head, "HTTP/1.1 200 "));
    close(fd);
    ask(&p, &out, "GET http://localhost:81/ HTTP/1.1\r\n%s\r\n", p.auth);
    STATUS(out, "403");
    assert_non_null(strstr(out.data, "address_refused"));
    ask(&p, &out, "GET http://no-such-name.invalid/ HTTP/1.1\r\n%s\r\n", p.auth);
    STATUS(out, "502");
    ask(&p, &out, "GET ftp://127.0.0.1/ HTTP/1.1\r\n%s\r\n", p.auth);
    STATUS(out, "403");
    buf_free(&out);
    proxy_stop(&p);
    assert_int_equal(p.refusals, 4);
    assert_int_equal(p.stats.refusals, 4);
}

static void *send_much(void *ctx)
{
    char *much = calloc(1, BIG);
    int fd = *(int *)ctx;
    (void)(much && send_all(fd, much, BIG));
    (void)shutdown(fd, SHUT_WR);
    free(much);
    return NULL;
}

static void test_tunnel(void **state)
{
    struct proxy p;
    struct buf out = BUF_INIT;
    char head[1024];
    pthread_t sender;
    (void)state;
    proxy_start(&p, &(struct egress_options){0});
    int fd = dial(&p);
    dprintf(fd, "CONNECT 127.0.0.1:%d HTTP/1.1\r\nHost: x\r\n%s\r\n", web.port, p.auth);
    read_head(fd, head, sizeof head);
    assert_true(str_starts(head, "HTTP/1.1 200 "));
    (void)puts_all(fd, "ECHO\r\n\r\n");
    assert_int_equal(pthread_create(&sender, NULL, send_much, &fd), 0);
    usleep(200000); /* nobody reads: the tunnel stands still, and holds no more than its buffers */
    assert_true(drain(fd, &out));
    pthread_join(sender, NULL);
    assert_int_equal(out.len, BIG);
    close(fd);
    fd = dial(&p); /* a client that leaves in the middle */
    dprintf(fd, "CONNECT 127.0.0.1:%d HTTP/1.1\r\n%s\r\n", web.port, p.auth);
    read_head(fd, head, sizeof head);
    (void)puts_all(fd, "ECHO\r\n\r\nabc");
    struct linger rude = {1, 0};
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &rude, sizeof rude);
    close(fd);
    buf_free(&out);
    proxy_stop(&p);
    assert_int_equal(p.stats.tunnels, 2);
    assert_true(p.stats.bytes_in >= BIG && p.stats.bytes_out >= BIG);
}

static void test_rude_peers(void **state)
{
    struct proxy p;
    struct buf out = BUF_INIT;
    int port, before;
    (void)state;
    proxy_start(&p, &(struct egress_options){.head_timeout_ms = 300, .idle_timeout_ms = 400});
    ask(&p, &out, "GET http://127.0.0.1:%d/dies HTTP/1.1\r\n%s\r\n", web.port, p.auth);
    assert_true(out.len == 0 || !strstr(out.data, "HTTP/1.1 502"));
    before = web.connections;
    ask(&p, &out,
        "GET http://127.0.0.1:%d/one HTTP/1.1\r\n%s\r\nGET http://127.0.0.1:%d/two HTTP/1.1\r\n\r\n",
        web.port, p.auth, web.port);
    assert_true(!out.data || !strstr(out.data, "hello")); /* two at once: neither */
    int64_t begun = clock_mono_ms();
    int fd = dial(&p);
    (void)puts_all(fd, "GET http://");
    buf_clear(&out);
    assert_true(drain(fd, &out));
    assert_true(clock_mono_ms() - begun < 5000);
    close(fd);
    begun = clock_mono_ms();
    ask(&p, &out, "GET http://127.0.0.1:%d/silent HTTP/1.1\r\n%s\r\n", web.port, p.auth);
    assert_true(clock_mono_ms() - begun < 4000);
    close(listen_any(&port)); /* nobody listens there */
    assert_true(web.connections >= before);
    buf_free(&out);
    proxy_stop(&p);
}

static void test_cap_and_close(void **state)
{
    struct proxy p;
    struct buf out = BUF_INIT;
    int fds[6];
    (void)state;
    proxy_start(&p, &(struct egress_options){.max_connections = 4});
    for (size_t i = 0; i < COUNT_OF(fds); i++) {
        fds[i] = dial(&p);
        (void)puts_all(fds[i], "GET ");
        usleep(20000);
    }
    for (size_t i = 4; i < COUNT_OF(fds); i++)
        assert_true(drain(fds[i], &out));
    assert_int_equal(out.len, 0);
    proxy_stop(&p); /* with four open */
    assert_int_equal(p.stats.turned_away, 2);
    for (size_t i = 0; i < COUNT_OF(fds); i++)
        close(fds[i]);
    buf_free(&out);
}

/* ---- a URL judged before it is asked for ---- */

struct judged {
    int calls;
    enum egress_code code;
};

static void on_judged(void *ctx, const struct egress_target *t, const struct egress_verdict *v)
{
    struct judged *j = ctx;
    (void)t;
    j->calls++;
    j->code = v->code;
}

static void test_check(void **state)
{
    static const struct {
        const char *url;
        enum egress_code code;
    } cases[] = {{"http://localhost/", EGRESS_ADDRESS},
                 {"http://127.0.0.1:9/", EGRESS_PORT},
                 {"file:///x", EGRESS_SCHEME},
                 {"http://no-such-name.invalid/", EGRESS_UNRESOLVED},
                 {"http://93.184.216.34/", EGRESS_ALLOWED}};
    struct egress_policy *policy = NULL;
    struct egress_check *check;
    uv_loop_t loop;
    (void)state;
    assert_int_equal(egress_policy_create(NULL, 0, NULL, 0, &policy, NULL), 0);
    uv_loop_init(&loop);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct judged j = {0};
        assert_int_equal(egress_check_start(&loop, policy, cases[i].url, on_judged, &j, &check), 0);
        assert_int_equal(j.calls, 0);
        uv_run(&loop, UV_RUN_DEFAULT);
        assert_int_equal(j.calls, 1);
        assert_int_equal(j.code, cases[i].code);
        assert_int_equal(egress_check_start(&loop, policy, cases[i].url, on_judged, &j, &check), 0);
        egress_check_cancel(check);
        uv_run(&loop, UV_RUN_DEFAULT);
        assert_int_equal(j.calls, 1);
    }
    assert_int_equal(uv_loop_close(&loop), 0);
    egress_policy_free(policy);
}

static int begin(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    web.fd = listen_any(&web.port);
    pthread_mutex_init(&web.lock, NULL);
    return pthread_create(&web.thread, NULL, web_run, &web);
}

static int end(void **state)
{
    (void)state;
    shutdown(web.fd, SHUT_RDWR);
    pthread_join(web.thread, NULL);
    close(web.fd);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),   cmocka_unit_test(test_unsound),
        cmocka_unit_test(test_refusals),   cmocka_unit_test(test_tunnel),
        cmocka_unit_test(test_rude_peers), cmocka_unit_test(test_cap_and_close),
        cmocka_unit_test(test_check),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
