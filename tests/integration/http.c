/* Http: see http.h. */
#include "http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <cmocka.h>

#include "base/buf.h"

#define WAIT_S 40

int http_connect(const struct http_at *at)
{
    const struct timeval limit = {.tv_sec = WAIT_S};
    int fd = at->port ? raw_tcp(at->port) : raw_unix(at->socket);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    return fd;
}

void http_send(int fd, const struct http_at *at, const char *method, const char *path, const void *body,
               size_t len)
{
    struct buf head = BUF_INIT;
    buf_printf(&head, "%s %s HTTP/1.1\r\n", method, path);
    if (!at->headers || !strcasestr(at->headers, "Host:"))
        buf_puts(&head, "Host: localhost\r\n");
    if (at->token)
        buf_printf(&head, "Authorization: Bearer %s\r\n", at->token);
    if (at->headers)
        buf_puts(&head, at->headers);
    if (body)
        buf_printf(&head, "Content-Type: application/json\r\nContent-Length: %zu\r\n", len);
    buf_puts(&head, "\r\n");
    raw_send(fd, head.data, head.len);
    if (body)
        raw_send(fd, body, len);
    buf_free(&head);
}

void http_read(int fd, struct http_reply *out)
{
    memset(out, 0, sizeof *out);
    raw_read(fd, false, &out->raw);
    out->status = out->raw.status;
    if (out->raw.body.len)
        out->json = yyjson_read(out->raw.body.data, out->raw.body.len, 0);
}

int http_open(const struct http_at *at, const char *method, const char *path, const char *body)
{
    int fd = http_connect(at);
    http_send(fd, at, method, path, body, body ? strlen(body) : 0);
    return fd;
}

void http(struct http_reply *out, const struct http_at *at, const char *method, const char *path,
          const char *body)
{
    int fd = http_open(at, method, path, body);
    http_read(fd, out);
    raw_close(fd);
}

int http_status(const struct http_at *at, const char *method, const char *path, const char *body)
{
    struct http_reply r;
    http(&r, at, method, path, body);
    int status = r.status;
    http_free(&r);
    return status;
}

void http_free(struct http_reply *r)
{
    yyjson_doc_free(r->json);
    raw_reply_free(&r->raw);
    memset(r, 0, sizeof *r);
}

const char *http_text(const struct http_reply *r, const char *pointer)
{
    const char *s = yyjson_get_str(yyjson_doc_ptr_get(r->json, pointer));
    return s ? s : "";
}

int64_t http_int(const struct http_reply *r, const char *pointer)
{
    yyjson_val *v = yyjson_doc_ptr_get(r->json, pointer);
    return yyjson_is_int(v) ? yyjson_get_sint(v) : -1;
}

bool http_is_null(const struct http_reply *r, const char *pointer)
{
    return yyjson_is_null(yyjson_doc_ptr_get(r->json, pointer));
}

const char *http_header(const struct http_reply *r, const char *name)
{
    return raw_header(&r->raw, name);
}

void http_assert_status(const struct http_reply *r, int want, const char *file, int line)
{
    if (r->status == want)
        return;
    print_error("status %d instead of %d: %.600s\n", r->status, want,
                r->raw.body.data ? r->raw.body.data : "");
    _fail(file, line);
}

void http_assert_error(const struct http_reply *r, int want, const char *code, const char *file, int line)
{
    http_assert_status(r, want, file, line);
    if (strcmp(http_text(r, "/error/code"), code) == 0 && http_text(r, "/error/message")[0] &&
        http_text(r, "/error/type")[0] && http_text(r, "/error/request_id")[0])
        return;
    print_error("not the error %s: %.600s\n", code, r->raw.body.data ? r->raw.body.data : "");
    _fail(file, line);
}

/* ---- bodies of streams ---- */

/* The next "data:" line at or behind *at, behind the colon and the space; *at moves past it. NULL: none. By
 * memchr: a sanitizer reads a whole string for each strchr. */
static const char *data_line(const char **at, const char *end, size_t *len)
{
    while (*at < end) {
        const char *line = *at, *eol = memchr(line, '\n', (size_t)(end - line));
        *at = eol ? eol + 1 : end;
        if (end - line >= 5 && memcmp(line, "data:", 5) == 0) {
            line += end - line > 5 && line[5] == ' ' ? 6 : 5;
            *len = (size_t)((eol ? eol : end) - line);
            return line;
        }
    }
    return NULL;
}

size_t sse_count(const char *text)
{
    const char *end = text + strlen(text);
    size_t n = 0, len;
    while (data_line(&text, end, &len))
        n++;
    return n;
}

static const char *data_nth(const char *text, size_t n, size_t *len)
{
    const char *end = text + strlen(text), *line;
    do
        line = data_line(&text, end, len);
    while (line && n-- > 0);
    return line;
}

yyjson_doc *sse_json(const char *text, size_t n)
{
    size_t len = 0;
    const char *line = data_nth(text, n, &len);
    return line ? yyjson_read(line, len, 0) : NULL;
}

bool sse_done(const char *text)
{
    size_t len = 0, n = sse_count(text);
    const char *line = n ? data_nth(text, n - 1, &len) : NULL;
    return line && len == 6 && strncmp(line, "[DONE]", 6) == 0;
}

const char *sse_error(const char *text)
{
    static char code[128];
    size_t n = sse_count(text);
    yyjson_doc *doc = n ? sse_json(text, n - 1) : NULL;
    const char *s = yyjson_get_str(yyjson_doc_ptr_get(doc, "/error/code"));
    snprintf(code, sizeof code, "%s", s ? s : "");
    yyjson_doc_free(doc);
    return code;
}
