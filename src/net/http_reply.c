/* The states, one byte class each:
 *
 *   head ──┬─> length ───────────────────────────────────────────────────┐
 *          ├─> until close                                               ├─> end
 *          └─> chunk size ─> extension ─> chunk data ─> its line end ─┐  │
 *                 ^   └─ 0 ─> trailers ───────────────────────────────┼──┘
 *                 └───────────────────────────────────────────────────┘
 *
 * Of an interim reply (1xx) nothing is kept. When the head is complete its lines are ended by NUL in place,
 * so that a header's value is a string without a copy. */
#include "net/http_reply.h"

#include <string.h>
#include <strings.h>

enum state { HEAD, LENGTH, UNTIL_CLOSE, CHUNK_SIZE, CHUNK_EXTENSION, CHUNK_DATA, CHUNK_END, TRAILER, ENDED };

enum { CHUNK_DIGITS_MAX = 16, TRAILER_MAX = 16 * 1024 };

void http_reply_begin(struct http_reply *r, bool no_body, size_t head_max)
{
    struct buf head = r->head;
    buf_clear(&head);
    *r = (struct http_reply){.head = head, .no_body = no_body, .head_max = head_max, .state = HEAD};
}

void http_reply_free(struct http_reply *r)
{
    buf_free(&r->head);
}

bool http_reply_closed(const struct http_reply *r)
{
    return r->state == UNTIL_CLOSE;
}

bool http_reply_in_body(const struct http_reply *r)
{
    return r->state != HEAD;
}

/* ---- the head ---- */

/* "HTTP/1.1 200 OK"; the reason may be absent, with or without its space. */
static bool status_read(struct http_reply *r, const char *line, size_t len)
{
    if (len < 12 || memcmp(line, "HTTP/1.", 7) != 0 || line[7] < '0' || line[7] > '9' || line[8] != ' ')
        return false;
    for (size_t i = 9; i < 12; i++) {
        if (line[i] < '0' || line[i] > '9')
            return false;
        r->status = r->status * 10 + (line[i] - '0');
    }
    r->keep_alive = line[7] != '0';
    return (len == 12 || line[12] == ' ') && r->status >= 100;
}

/* Ends each line by NUL and takes the blanks off values. False: a line is no header. */
static bool lines_split(struct http_reply *r)
{
    char *at = r->head.data, *end = r->head.data + r->head.len;
    for (bool first = true; at < end; first = false) {
        char *nl = memchr(at, '\n', (size_t)(end - at));
        char *last = nl;
        while (last > at && (last[-1] == '\r' || last[-1] == ' ' || last[-1] == '\t'))
            last--;
        memset(last, 0, (size_t)(nl - last) + 1);
        const char *colon = strchr(at, ':');
        if (memchr(at, 0, (size_t)(last - at)) != NULL)
            return false;
        if (!first && last > at && (colon == NULL || colon == at || *at == ' ' || *at == '\t'))
            return false; /* a folded line, which RFC 9112 has done away with, is refused too */
        at = nl + 1;
    }
    return true;
}

/* From `from` (NULL: the start) the next value of that header; *from moves on. */
static const char *header_next(const struct http_reply *r, const char *name, const char **from)
{
    const size_t len = strlen(name);
    const char *at = *from ? *from : r->head.data, *end = r->head.data + r->head.len;
    while (at != NULL && at < end) {
        const char *line = at;
        at += strlen(at);
        while (at < end && *at == 0)
            at++;
        *from = at;
        if (strncasecmp(line, name, len) == 0 && line[len] == ':') {
            line += len + 1;
            return line + strspn(line, " \t");
        }
    }
    *from = end;
    return NULL;
}

const char *http_reply_header(const struct http_reply *r, const char *name)
{
    const char *from = NULL;
    return r->state == HEAD ? NULL : header_next(r, name, &from);
}

static bool list_has(const char *list, const char *word)
{
    const size_t len = strlen(word);
    while (*list) {
        list += strspn(list, ", \t");
        const size_t n = strcspn(list, ", \t");
        if (n == len && strncasecmp(list, word, len) == 0)
            return true;
        list += n;
    }
    return false;
}

static int length_read(struct http_reply *r, bool *known, struct error *err)
{
    const char *from = NULL, *value;
    *known = false;
    while ((value = header_next(r, "Content-Length", &from)) != NULL) {
        uint64_t n = 0;
        const size_t digits = strspn(value, "0123456789");
        if (digits == 0 || digits > 18 || value[digits] != 0)
            return error_set(err, VX11_ECORRUPT, "its Content-Length is no number");
        for (size_t i = 0; i < digits; i++)
            n = n * 10 + (uint64_t)(value[i] - '0');
        if (*known && n != r->left)
            return error_set(err, VX11_ECORRUPT, "it has two Content-Lengths that differ");
        r->left = n;
        *known = true;
    }
    return 0;
}

/* How the body is framed (RFC 9112, 6.3). */
static int framing_read(struct http_reply *r, struct error *err)
{
    const char *from = NULL, *value;
    bool known, chunked = false;
    int rc = length_read(r, &known, err);
    if (rc != 0)
        return rc;
    while ((value = header_next(r, "Transfer-Encoding", &from)) != NULL) {
        if (chunked || strcasecmp(value, "chunked") != 0)
            return error_set(err, VX11_ECORRUPT, "its Transfer-Encoding is not one that was asked for");
        chunked = true;
    }
    for (from = NULL; (value = header_next(r, "Connection", &from)) != NULL;) {
        if (list_has(value, "close"))
            r->keep_alive = false;
        else if (list_has(value, "keep-alive"))
            r->keep_alive = true;
    }
    if (chunked && known)
        r->keep_alive = false; /* somebody between may have read it otherwise */
    if (chunked)
        r->left = 0; /* the length does not count */
    if (r->no_body || r->status == 204 || r->status == 304)
        r->state = ENDED;
    else if (chunked)
        r->state = CHUNK_SIZE;
    else if (known)
        r->state = r->left > 0 ? LENGTH : ENDED;
    else
        r->state = UNTIL_CLOSE;
    if (r->state == UNTIL_CLOSE)
        r->keep_alive = false;
    return 0;
}

/* The blank line was seen. 1: it was an interim reply, and another head follows. */
static int head_end(struct http_reply *r, struct error *err)
{
    const char *nl = memchr(r->head.data, '\n', r->head.len);
    size_t len = (size_t)(nl - r->head.data);
    if (len > 0 && r->head.data[len - 1] == '\r')
        len--;
    r->status = 0;
    if (!status_read(r, r->head.data, len))
        return error_set(err, VX11_ECORRUPT, "its first line is no HTTP/1 status line");
    if (r->status == 101)
        return error_set(err, VX11_ECORRUPT, "it changes a protocol that nobody asked to change");
    if (r->status < 200) {
        buf_clear(&r->head);
        r->line_at = 0;
        return 1;
    }
    if (!lines_split(r))
        return error_set(err, VX11_ECORRUPT, "one of its header lines is malformed");
    return framing_read(r, err);
}

/* What cannot become a status line is not read on for: a peer that speaks another protocol may say nothing
 * more. */
static bool head_plausible(const struct http_reply *r)
{
    static const char start[] = "HTTP/1.";
    const size_t n = r->head.len < sizeof start - 1 ? r->head.len : sizeof start - 1;
    return memcmp(r->head.data, start, n) == 0;
}

static enum http_reply_event head_next(struct http_reply *r, const char **data, size_t *len,
                                       struct error *err)
{
    while (*len > 0) {
        const char *nl = memchr(*data, '\n', *len);
        const size_t n = nl ? (size_t)(nl - *data) + 1 : *len;
        r->head_seen += n;
        if (r->head_seen > r->head_max) {
            error_set(err, VX11_ETOO_LARGE, "the answer's headers are larger than %zu bytes", r->head_max);
            return HTTP_REPLY_FAILED;
        }
        if (buf_append(&r->head, *data, n) != 0) {
            error_set(err, VX11_ENOMEM, "out of memory");
            return HTTP_REPLY_FAILED;
        }
        *data += n;
        *len -= n;
        if (!head_plausible(r)) {
            error_set(err, VX11_ECORRUPT, "its first line is no HTTP/1 status line");
            return HTTP_REPLY_FAILED;
        }
        if (nl == NULL)
            break;
        const size_t line = r->head.len - r->line_at;
        const bool blank = line == 1 || (line == 2 && r->head.data[r->line_at] == '\r');
        r->line_at = r->head.len;
        if (!blank)
            continue;
        const int rc = head_end(r, err);
        if (rc < 0)
            return HTTP_REPLY_FAILED;
        if (rc == 0)
            return HTTP_REPLY_HEADERS;
    }
    return HTTP_REPLY_MORE;
}

/* ---- the body ---- */

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool chunk_fail(struct error *err, const char *why)
{
    error_set(err, VX11_ECORRUPT, "its chunked body is malformed: %s", why);
    return false;
}

static bool chunk_size_end(struct http_reply *r, struct error *err)
{
    if (r->digits == 0)
        return chunk_fail(err, "a chunk has no size");
    r->digits = 0;
    r->line_len = 0;
    r->state = r->left > 0 ? CHUNK_DATA : TRAILER;
    return true;
}

/* One byte between the pieces of a chunked body. */
static bool chunk_byte(struct http_reply *r, char c, struct error *err)
{
    switch (r->state) {
    case CHUNK_SIZE:
        if (hex_value(c) >= 0) {
            if (++r->digits > CHUNK_DIGITS_MAX - 1)
                return chunk_fail(err, "a chunk's size is too large");
            r->left = r->left * 16 + (uint64_t)hex_value(c);
            return true;
        }
        if (c == '\n')
            return chunk_size_end(r, err);
        if (c != '\r' && c != ';' && c != ' ' && c != '\t')
            return chunk_fail(err, "a chunk's size is no number");
        if (r->digits == 0)
            return chunk_fail(err, "a chunk has no size");
        r->state = CHUNK_EXTENSION;
        return true;
    case CHUNK_EXTENSION:
        if (c == '\n')
            return chunk_size_end(r, err);
        return ++r->line_len <= TRAILER_MAX || chunk_fail(err, "a chunk's extension is too long");
    case CHUNK_END:
        if (c == '\r' && r->line_len == 0) {
            r->line_len = 1;
            return true;
        }
        if (c != '\n')
            return chunk_fail(err, "a chunk is longer than its size");
        r->line_len = 0;
        r->state = CHUNK_SIZE;
        return true;
    default: /* TRAILER: lines up to an empty one; left counts all of them */
        if (++r->left > TRAILER_MAX)
            return chunk_fail(err, "its trailers are too long");
        if (c == '\n') {
            if (r->line_len == 0)
                r->state = ENDED;
            r->line_len = 0;
        } else if (c != '\r') {
            r->line_len++;
        }
        return true;
    }
}

static enum http_reply_event piece_take(struct http_reply *r, const char **data, size_t *len,
                                        const char **piece, size_t *piece_len)
{
    size_t n = *len;
    if (r->state != UNTIL_CLOSE) {
        n = r->left < n ? (size_t)r->left : n;
        r->left -= n;
        if (r->left == 0)
            r->state = r->state == LENGTH ? ENDED : CHUNK_END;
    }
    *piece = *data;
    *piece_len = n;
    *data += n;
    *len -= n;
    r->body_bytes += n;
    return HTTP_REPLY_BODY;
}

enum http_reply_event http_reply_next(struct http_reply *r, const char **data, size_t *len,
                                      const char **piece, size_t *piece_len, struct error *err)
{
    if (r->state == HEAD)
        return head_next(r, data, len, err);
    while (r->state != ENDED && *len > 0) {
        if (r->state == LENGTH || r->state == UNTIL_CLOSE || r->state == CHUNK_DATA)
            return piece_take(r, data, len, piece, piece_len);
        const char c = *(*data)++;
        (*len)--;
        if (!chunk_byte(r, c, err))
            return HTTP_REPLY_FAILED;
    }
    return r->state == ENDED ? HTTP_REPLY_END : HTTP_REPLY_MORE;
}
