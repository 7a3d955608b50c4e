/* The bench's own HTTP client. Blocking where one connection is measured; the parser alone serves the
 * programs that hold many connections in a libuv loop. */
#include "common/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"

/* ---- answers ---- */

void reply_start(struct reply *r, void (*on_body)(void *ctx, const char *data, size_t len), void *ctx)
{
    r->on_body = on_body;
    r->ctx = ctx;
    r->status = 0;
    r->id[0] = '\0';
    r->done = false;
    r->head_len = 0;
    r->state = REPLY_HEAD;
    r->left = 0;
    r->matched = 0;
}

static const char *header_value(const char *line, const char *name)
{
    size_t n = strlen(name);
    if (strncasecmp(line, name, n) != 0 || line[n] != ':')
        return NULL;
    line += n + 1;
    while (*line == ' ')
        line++;
    return line;
}

static void header_take(struct reply *r, const char *line, bool *chunked)
{
    const char *value;
    if ((value = header_value(line, "Content-Length")) != NULL)
        r->left = strtoull(value, NULL, 10);
    else if ((value = header_value(line, "Transfer-Encoding")) != NULL)
        *chunked = strcasecmp(value, "chunked") == 0;
    else if ((value = header_value(line, "X-Request-Id")) != NULL)
        snprintf(r->id, sizeof r->id, "%s", value);
}

/* The headers are complete in r->head. */
static int head_parse(struct reply *r)
{
    bool chunked = false;
    char *line = r->head, *end;
    if (!str_starts(line, "HTTP/1.1 ")) {
        fprintf(stderr, "bench: no HTTP/1.1 answer: %.60s\n", line);
        return -1;
    }
    r->status = atoi(line + 9);
    while ((end = strstr(line, "\r\n")) != NULL && end != line) {
        *end = '\0';
        header_take(r, line, &chunked);
        line = end + 2;
    }
    r->state = chunked ? REPLY_CHUNK_SIZE : REPLY_LENGTH;
    if (chunked)
        r->left = 0;
    r->done = !chunked && r->left == 0;
    return 0;
}

static int head_feed(struct reply *r, char c)
{
    if (r->head_len == sizeof r->head - 1) {
        fprintf(stderr, "bench: an answer's headers are too long\n");
        return -1;
    }
    r->head[r->head_len++] = c;
    if (c != '\n' || r->head_len < 4 || memcmp(r->head + r->head_len - 4, "\r\n\r\n", 4) != 0)
        return 0;
    r->head[r->head_len] = '\0';
    return head_parse(r);
}

static size_t body_feed(struct reply *r, const char *data, size_t len)
{
    size_t n = len < r->left ? len : (size_t)r->left;
    if (r->on_body)
        r->on_body(r->ctx, data, n);
    r->left -= n;
    if (r->left == 0 && r->state == REPLY_LENGTH)
        r->done = true;
    else if (r->left == 0)
        r->state = REPLY_CHUNK_END;
    return n;
}

/* The frames around chunks, a character at a time. */
static int frame_feed(struct reply *r, char c)
{
    if (c == '\r')
        return 0;
    if (r->state == REPLY_CHUNK_END && c == '\n') {
        r->state = REPLY_CHUNK_SIZE;
        r->matched = 0;
    } else if (r->state == REPLY_CHUNK_SIZE && c == '\n' && r->matched > 0) {
        r->state = r->left > 0 ? REPLY_CHUNK : REPLY_TRAILER;
        r->matched = 0;
    } else if (r->state == REPLY_CHUNK_SIZE) {
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0 || ++r->matched > 15) {
            fprintf(stderr, "bench: a malformed chunk\n");
            return -1;
        }
        r->left = r->left * 16 + (uint64_t)digit;
    } else if (r->state == REPLY_TRAILER && c == '\n') {
        r->done = true;
    } else {
        fprintf(stderr, "bench: a malformed chunk\n");
        return -1;
    }
    return 0;
}

int reply_feed(struct reply *r, const char *data, size_t len)
{
    while (len > 0) {
        size_t n = 1;
        int rc = 0;
        if (r->done) {
            fprintf(stderr, "bench: bytes after an answer's end\n");
            return -1;
        }
        if (r->state == REPLY_HEAD)
            rc = head_feed(r, *data);
        else if (r->state == REPLY_LENGTH || r->state == REPLY_CHUNK)
            n = body_feed(r, data, len);
        else
            rc = frame_feed(r, *data);
        if (rc != 0)
            return rc;
        data += n;
        len -= n;
    }
    return 0;
}

/* ---- lines ---- */

void lines_feed(struct lines *l, const char *data, size_t len)
{
    const char *end = data + len;
    while (data < end) {
        const char *stop = memchr(data, '\n', (size_t)(end - data));
        size_t n = (size_t)((stop ? stop : end) - data);
        if (l->held.len + n > REPLY_LINE_MAX || buf_append(&l->held, data, n) != 0) {
            fprintf(stderr, "bench: a line is too long\n");
            exit(1);
        }
        if (!stop)
            return;
        if (l->held.len > 0 && l->held.data[l->held.len - 1] == '\r')
            l->held.data[--l->held.len] = '\0';
        l->on_line(l->ctx, l->held.data, l->held.len);
        buf_clear(&l->held);
        data = stop + 1;
    }
}

/* ---- connections ---- */

static int dial_unix(const char *path)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if ((size_t)snprintf(to.sun_path, sizeof to.sun_path, "%s", path) >= sizeof to.sun_path)
        errno = ENAMETOOLONG;
    else if (fd >= 0 && connect(fd, (const struct sockaddr *)&to, sizeof to) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

static int dial_tcp(const char *address)
{
    struct sockaddr_in to = {.sin_family = AF_INET};
    char host[64];
    int64_t port;
    const char *colon = strrchr(address, ':');
    if (!colon || (size_t)(colon - address) >= sizeof host || str_to_i64(colon + 1, 1, 65535, &port) != 0) {
        errno = EINVAL;
        return -1;
    }
    memcpy(host, address, (size_t)(colon - address));
    host[colon - address] = '\0';
    to.sin_port = htons((uint16_t)port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
    if (inet_pton(AF_INET, host, &to.sin_addr) != 1)
        errno = EINVAL;
    else if (fd >= 0 && connect(fd, (const struct sockaddr *)&to, sizeof to) == 0 &&
             setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

int dial(const char *address)
{
    int fd = address[0] == '/' ? dial_unix(address) : dial_tcp(address);
    if (fd < 0)
        fprintf(stderr, "bench: cannot connect to %s: %s\n", address, strerror(errno));
    return fd;
}

int send_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, data, len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            fprintf(stderr, "bench: cannot send: %s\n", strerror(errno));
            return -1;
        }
        data += n;
        len -= (size_t)n;
    }
    return 0;
}

int exchange(int fd, const char *request, size_t len, struct reply *r)
{
    char piece[65536];
    if (send_all(fd, request, len) != 0)
        return -1;
    while (!r->done) {
        ssize_t n = recv(fd, piece, sizeof piece, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            fprintf(stderr, "bench: the answer broke off: %s\n", n == 0 ? "closed" : strerror(errno));
            return -1;
        }
        if (reply_feed(r, piece, (size_t)n) != 0)
            return -1;
    }
    return 0;
}

int request_read(const char *path, struct buf *out)
{
    struct error err = {0};
    if (fs_read_file(path, 1 << 20, out, &err) == 0)
        return 0;
    fprintf(stderr, "bench: %s\n", err.text);
    return -1;
}
