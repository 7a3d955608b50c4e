/* SSE in. Bytes are cut into lines at CR, LF or CRLF, lines are picked apart at the first colon, and an empty
 * line dispatches what was gathered:
 *
 *   bytes ──> line ──> "data: …"  appended to data      ──empty line──> fn(event)
 *              │       "event: …" replaces event
 *              │       "id: …"    replaces id (kept over events)
 *              └── only what a cut left unfinished is copied into `line`; whole lines are read where they lie
 *
 * Each byte is looked at a constant number of times, however the stream is cut. Malformed UTF-8 becomes
 * U+FFFD, as the standard says; a NUL in a field's value makes an id be ignored, as it says, and an event
 * name too, since it would be cut. */
#include "net/sse.h"

#include <string.h>

#include "base/error.h"
#include "base/str.h"

enum {
    SSE_BOM_MASK = 3, /* bytes of the byte order mark seen so far */
    SSE_STARTED = 4,  /* past the place where it may be */
    SSE_SKIP_LF = 8,  /* the last line ended with CR: an LF next belongs to it */
    SSE_FAILED = 16,
};

static const char sse_bom[3] = {'\xEF', '\xBB', '\xBF'};
static const size_t sse_default_max = 16u << 20;

void sse_init(struct sse_parser *p, size_t max_event)
{
    *p = (struct sse_parser){.max_event = max_event ? max_event : sse_default_max, .retry_ms = -1};
}

void sse_free(struct sse_parser *p)
{
    buf_free(&p->line);
    buf_free(&p->data);
    buf_free(&p->event);
    buf_free(&p->id);
}

static int sse_fail(struct sse_parser *p, int code)
{
    p->flags |= SSE_FAILED;
    return code;
}

/* Appends valid UTF-8, replacing each malformed piece. */
static void sse_append_utf8(struct buf *out, const char *s, size_t len)
{
    while (len > 0) {
        size_t good = utf8_valid_prefix(s, len);
        buf_append(out, s, good);
        s += good;
        len -= good;
        if (len == 0)
            break;
        int bad = utf8_next(s, len);
        size_t skip = bad < 0 ? (size_t)-bad : 1;
        buf_append(out, "\xEF\xBF\xBD", 3);
        s += skip;
        len -= skip;
    }
}

static void sse_retry(struct sse_parser *p, const char *value, size_t len)
{
    int64_t ms = 0;
    if (len == 0)
        return;
    for (size_t i = 0; i < len; i++) {
        if (value[i] < '0' || value[i] > '9')
            return;
        if (__builtin_mul_overflow(ms, 10, &ms) || __builtin_add_overflow(ms, value[i] - '0', &ms))
            ms = INT64_MAX;
    }
    p->retry_ms = ms;
}

static int sse_field(struct sse_parser *p, const char *name, size_t name_len, const char *value, size_t len)
{
    if (name_len == 4 && memcmp(name, "data", 4) == 0) {
        if (p->data.len + len >= p->max_event)
            return sse_fail(p, VX11_ETOO_LARGE);
        sse_append_utf8(&p->data, value, len);
        buf_putc(&p->data, '\n');
    } else if (name_len == 5 && memcmp(name, "event", 5) == 0) {
        if (memchr(value, 0, len) != NULL)
            return 0;
        buf_clear(&p->event);
        sse_append_utf8(&p->event, value, len);
    } else if (name_len == 2 && memcmp(name, "id", 2) == 0) {
        if (memchr(value, 0, len) != NULL)
            return 0;
        buf_clear(&p->id);
        sse_append_utf8(&p->id, value, len);
    } else if (name_len == 5 && memcmp(name, "retry", 5) == 0) {
        sse_retry(p, value, len);
    }
    return p->data.failed || p->event.failed || p->id.failed ? sse_fail(p, VX11_ENOMEM) : 0;
}

static int sse_dispatch(struct sse_parser *p, int (*fn)(void *ctx, const struct sse_event *e), void *ctx)
{
    int rc = 0;
    if (p->data.len > 0) {
        p->data.data[--p->data.len] = 0; /* the last line's \n */
        const struct sse_event e = {
            .event = p->event.len ? p->event.data : "message",
            .id = p->id.len ? p->id.data : "",
            .data = p->data.data,
            .data_len = p->data.len,
        };
        rc = fn(ctx, &e);
    }
    buf_clear(&p->data);
    buf_clear(&p->event);
    return rc;
}

static int sse_line(struct sse_parser *p, const char *line, size_t len,
                    int (*fn)(void *ctx, const struct sse_event *e), void *ctx)
{
    if (len == 0)
        return sse_dispatch(p, fn, ctx);
    const char *colon = memchr(line, ':', len);
    if (colon == line)
        return 0; /* a comment */
    if (colon == NULL)
        return sse_field(p, line, len, "", 0);
    size_t name_len = (size_t)(colon - line);
    const char *value = colon + 1;
    size_t value_len = len - name_len - 1;
    if (value_len > 0 && value[0] == ' ') {
        value++;
        value_len--;
    }
    return sse_field(p, line, name_len, value, value_len);
}

/* Drops a byte order mark from the stream's start, even one cut in two. Returns the bytes to skip; bytes that
 * looked like a mark and were none go back into `line`. */
static size_t sse_skip_bom(struct sse_parser *p, const char *data, size_t len)
{
    size_t seen = p->flags & SSE_BOM_MASK, i = 0;
    while (i < len && seen < sizeof sse_bom && data[i] == sse_bom[seen]) {
        i++;
        seen++;
    }
    p->flags &= (unsigned char)~SSE_BOM_MASK;
    if (seen == sizeof sse_bom) {
        p->flags |= SSE_STARTED;
    } else if (i < len) {
        buf_append(&p->line, sse_bom, seen);
        p->flags |= SSE_STARTED;
    } else {
        p->flags |= (unsigned char)seen;
    }
    return i;
}

/* Where the line that starts at `from` ends. The last places found are kept by the caller, so that a stream
 * with only one kind of line end is not searched for the other again and again. */
static const char *sse_line_end(const char *from, const char *end, const char **lf, const char **cr)
{
    if (*lf == NULL || *lf < from) {
        *lf = memchr(from, '\n', (size_t)(end - from));
        if (*lf == NULL)
            *lf = end;
    }
    if (*cr == NULL || *cr < from) {
        *cr = memchr(from, '\r', (size_t)(end - from));
        if (*cr == NULL)
            *cr = end;
    }
    return *lf < *cr ? *lf : *cr;
}

/* One line that ended: what earlier pieces left of it, if anything, and this piece. */
static int sse_end_line(struct sse_parser *p, const char *piece, size_t len,
                        int (*fn)(void *ctx, const struct sse_event *e), void *ctx)
{
    if (p->line.len + len > p->max_event)
        return sse_fail(p, VX11_ETOO_LARGE);
    if (p->line.len == 0)
        return sse_line(p, piece, len, fn, ctx);
    if (buf_append(&p->line, piece, len) != 0)
        return sse_fail(p, VX11_ENOMEM);
    int rc = sse_line(p, p->line.data, p->line.len, fn, ctx);
    buf_clear(&p->line);
    return rc;
}

int sse_feed(struct sse_parser *p, const char *data, size_t len,
             int (*fn)(void *ctx, const struct sse_event *e), void *ctx)
{
    if (p->flags & SSE_FAILED)
        return VX11_ETOO_LARGE;
    if (len == 0)
        return 0;
    const char *at = data, *end = data + len, *lf = NULL, *cr = NULL;
    if (!(p->flags & SSE_STARTED))
        at += sse_skip_bom(p, data, len);
    while (at < end) {
        if (p->flags & SSE_SKIP_LF) {
            p->flags &= (unsigned char)~SSE_SKIP_LF;
            if (*at == '\n') {
                at++;
                continue;
            }
        }
        const char *stop = sse_line_end(at, end, &lf, &cr);
        size_t piece = (size_t)(stop - at);
        if (stop == end) {
            if (p->line.len + piece > p->max_event)
                return sse_fail(p, VX11_ETOO_LARGE);
            return buf_append(&p->line, at, piece) != 0 ? sse_fail(p, VX11_ENOMEM) : 0;
        }
        if (*stop == '\r')
            p->flags |= SSE_SKIP_LF;
        int rc = sse_end_line(p, at, piece, fn, ctx);
        if (rc != 0)
            return rc;
        at = stop + 1;
    }
    return p->line.failed ? sse_fail(p, VX11_ENOMEM) : 0;
}

size_t sse_pending(const struct sse_parser *p)
{
    size_t line = p->line.len > 0 && p->line.data[0] == ':' ? 0 : p->line.len;
    return line + p->data.len + p->event.len + (p->flags & SSE_BOM_MASK);
}
