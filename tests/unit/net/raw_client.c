/* Raw client: see raw_client.h. Bytes that were read past a reply are kept per descriptor, for pipelining. */
#include "raw_client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

enum { MAX_FD = 4096 };
static struct buf carries[MAX_FD];

static int ready(int fd)
{
    const struct timeval limit = {.tv_sec = 5};
    const int on = 1;
    assert_in_range(fd, 0, MAX_FD - 1);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    buf_clear(&carries[fd]);
    return fd;
}

int raw_tcp(int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    return ready(fd);
}

int raw_unix(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    return ready(fd);
}

void raw_send(int fd, const void *data, size_t len)
{
    const char *at = data;
    while (len > 0) {
        ssize_t n = send(fd, at, len, MSG_NOSIGNAL);
        if (n <= 0)
            return; /* the server has had enough: what it said is read next */
        at += n;
        len -= (size_t)n;
    }
}

void raw_printf(int fd, const char *fmt, ...)
{
    struct buf b = BUF_INIT;
    va_list args;
    va_start(args, fmt);
    buf_vprintf(&b, fmt, args);
    va_end(args);
    raw_send(fd, b.data, b.len);
    buf_free(&b);
}

/* More bytes into the carry: > 0, 0 at the end, < 0 on an error or a timeout. */
static ssize_t more(int fd)
{
    char data[16384];
    ssize_t n = recv(fd, data, sizeof data, 0);
    if (n > 0)
        buf_append(&carries[fd], data, (size_t)n);
    return n;
}

const char *raw_header(const struct raw_reply *r, const char *name)
{
    static char value[4096];
    size_t len = strlen(name);
    for (const char *line = strchr(r->head, '\n'); line; line = strchr(line + 1, '\n')) {
        if (strncasecmp(line + 1, name, len) == 0 && line[1 + len] == ':') {
            const char *at = line + 2 + len;
            at += strspn(at, " ");
            size_t n = strcspn(at, "\r\n");
            snprintf(value, sizeof value, "%.*s", (int)n, at);
            return value;
        }
    }
    return NULL;
}

static bool read_head(int fd, struct raw_reply *out)
{
    struct buf *c = &carries[fd];
    char *end;
    do {
        while (!c->data || !(end = strstr(c->data, "\r\n\r\n"))) {
            ssize_t n = more(fd);
            if (n <= 0) {
                out->closed = n == 0 || errno == ECONNRESET;
                return false;
            }
        }
        size_t len = (size_t)(end - c->data) + 2;
        assert_true(len < sizeof out->head);
        memcpy(out->head, c->data, len);
        out->head[len] = '\0';
        buf_consume(c, len + 2);
        assert_int_equal(sscanf(out->head, "HTTP/1.1 %d", &out->status), 1);
    } while (out->status == 100);
    return true;
}

static bool read_sized(int fd, struct raw_reply *out, size_t len)
{
    struct buf *c = &carries[fd];
    while (c->len < len) {
        ssize_t n = more(fd);
        if (n <= 0) {
            out->closed = true;
            len = c->len;
            break;
        }
    }
    buf_append(&out->body, c->data ? c->data : "", len);
    buf_consume(c, len);
    return !out->closed;
}

static bool read_chunks(int fd, struct raw_reply *out)
{
    struct buf *c = &carries[fd];
    for (;;) {
        char *end;
        while (!c->data || !(end = strstr(c->data, "\r\n"))) {
            if (more(fd) <= 0) {
                out->closed = true;
                return false;
            }
        }
        size_t size = strtoul(c->data, NULL, 16);
        buf_consume(c, (size_t)(end - c->data) + 2);
        if (!read_sized(fd, out, size) || c->len + 2 == 0)
            return false;
        while (c->len < 2) {
            if (more(fd) <= 0)
                return false;
        }
        assert_memory_equal(c->data, "\r\n", 2);
        buf_consume(c, 2);
        if (size == 0)
            return true;
    }
}

void raw_read(int fd, bool head, struct raw_reply *out)
{
    memset(out, 0, sizeof *out);
    buf_append(&out->body, "", 0);
    if (!read_head(fd, out))
        return;
    const char *length = raw_header(out, "Content-Length");
    size_t len = length ? strtoul(length, NULL, 10) : 0;
    const char *coding = raw_header(out, "Transfer-Encoding");
    out->chunked = coding && strcmp(coding, "chunked") == 0;
    if (head || out->status == 204 || out->status == 101)
        out->complete = true;
    else if (out->chunked)
        out->complete = read_chunks(fd, out);
    else if (length)
        out->complete = read_sized(fd, out, len);
    else { /* up to the end of the connection */
        while (more(fd) > 0)
            ;
        buf_append(&out->body, carries[fd].data ? carries[fd].data : "", carries[fd].len);
        out->complete = out->closed = true;
    }
}

void raw_reply_free(struct raw_reply *r)
{
    buf_free(&r->body);
}

/* The frames of a WebSocket hold zero bytes: no string functions here. */
static char *carried(int fd, const char *text)
{
    struct buf *c = &carries[fd];
    return c->data ? memmem(c->data, c->len, text, strlen(text)) : NULL;
}

bool raw_wait_for(int fd, const char *text, struct buf *seen)
{
    struct buf *c = &carries[fd];
    char *at;
    while (!(at = carried(fd, text))) {
        if (more(fd) <= 0)
            break;
    }
    if (seen)
        buf_append(seen, c->data ? c->data : "", c->len);
    if (at)
        buf_consume(c, (size_t)(at - c->data) + strlen(text));
    return at != NULL;
}

bool raw_closed(int fd)
{
    ssize_t n;
    while ((n = more(fd)) > 0)
        ;
    return n == 0 || errno == ECONNRESET || errno == EPIPE;
}

void raw_close(int fd)
{
    buf_free(&carries[fd]);
    close(fd);
}

void raw_once(int port, struct raw_reply *out, const char *fmt, ...)
{
    struct buf b = BUF_INIT;
    va_list args;
    va_start(args, fmt);
    buf_vprintf(&b, fmt, args);
    va_end(args);
    int fd = raw_tcp(port);
    raw_send(fd, b.data, b.len);
    raw_read(fd, strncmp(b.data, "HEAD", 4) == 0, out);
    raw_close(fd);
    buf_free(&b);
}
