/* Buf: a growable run of bytes. It doubles, so a chain of appends costs amortised one copy; the byte after
 * `len` is always NUL. The first append that finds no memory sets `failed` and all later ones do nothing, so
 * that what is in the buffer is never a text with a hole in it. */
#include "base/buf.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/str.h"

void buf_free(struct buf *b)
{
    free(b->data);
    *b = (struct buf)BUF_INIT;
}

void buf_clear(struct buf *b)
{
    b->len = 0;
    b->failed = false;
    if (b->data)
        b->data[0] = '\0';
}

int buf_reserve(struct buf *b, size_t extra)
{
    if (b->failed)
        return VX11_ENOMEM;
    if (b->data && extra < b->cap - b->len)
        return 0;
    if (extra > SIZE_MAX / 2 - b->len - 1) {
        b->failed = true;
        return VX11_ENOMEM;
    }
    size_t need = b->len + extra + 1;
    size_t cap = b->cap < 32 ? 64 : b->cap * 2;
    if (cap < need)
        cap = need;
    char *data = realloc(b->data, cap);
    if (!data) {
        b->failed = true;
        return VX11_ENOMEM;
    }
    b->data = data;
    b->cap = cap;
    b->data[b->len] = '\0';
    return 0;
}

int buf_append(struct buf *b, const void *data, size_t len)
{
    int rc = buf_reserve(b, len);
    if (rc)
        return rc;
    if (len)
        memcpy(b->data + b->len, data, len);
    b->len += len;
    b->data[b->len] = '\0';
    return 0;
}

int buf_puts(struct buf *b, const char *s)
{
    return buf_append(b, s, strlen(s));
}

int buf_putc(struct buf *b, char c)
{
    return buf_append(b, &c, 1);
}

int buf_vprintf(struct buf *b, const char *fmt, va_list args)
{
    va_list again;
    va_copy(again, args);
    int rc = buf_reserve(b, 63);
    if (rc)
        goto out;
    size_t room = b->cap - b->len;
    /* The analyzer of clang 14 loses sight of the caller's va_start. */
    int len = vsnprintf(b->data + b->len, room, fmt, args); // NOLINT(clang-analyzer-valist.Uninitialized)
    if (len < 0) {
        b->data[b->len] = '\0';
        b->failed = true;
        rc = VX11_ENOMEM;
        goto out;
    }
    if ((size_t)len >= room) {
        b->data[b->len] = '\0';
        rc = buf_reserve(b, (size_t)len);
        if (rc)
            goto out;
        vsnprintf(b->data + b->len, (size_t)len + 1, fmt, again);
    }
    b->len += (size_t)len;
out:
    va_end(again);
    return rc;
}

int buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int rc = buf_vprintf(b, fmt, args);
    va_end(args);
    return rc;
}

/* Bytes of s that go into a JSON string as they are: printable ASCII other than the quote and the backslash.
 */
static size_t plain_run(const char *s, size_t len)
{
    size_t n = 0;
    while (n < len) {
        unsigned char c = (unsigned char)s[n];
        if (c < 0x20 || c >= 0x80 || c == '"' || c == '\\')
            break;
        n++;
    }
    return n;
}

static void put_escape(struct buf *b, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
    char short_form = 0;
    switch (c) {
    case '"':
    case '\\':
        short_form = (char)c;
        break;
    case '\b':
        short_form = 'b';
        break;
    case '\f':
        short_form = 'f';
        break;
    case '\n':
        short_form = 'n';
        break;
    case '\r':
        short_form = 'r';
        break;
    case '\t':
        short_form = 't';
        break;
    default:
        break;
    }
    char text[6] = {'\\', short_form, '0', '0', hex[c >> 4], hex[c & 15]};
    if (short_form) {
        buf_append(b, text, 2);
    } else {
        text[1] = 'u';
        buf_append(b, text, sizeof text);
    }
}

int buf_put_json_string(struct buf *b, const char *s, size_t len)
{
    if (len < SIZE_MAX / 2)
        buf_reserve(b, len + 2);
    buf_putc(b, '"');
    while (len > 0 && !b->failed) {
        size_t used = plain_run(s, len);
        if (used > 0) {
            buf_append(b, s, used);
        } else if ((unsigned char)s[0] < 0x80) {
            put_escape(b, (unsigned char)s[0]);
            used = 1;
        } else {
            int step = utf8_next(s, len);
            used = (size_t)(step < 0 ? -step : step);
            buf_append(b, step < 0 ? "\xEF\xBF\xBD" : s, step < 0 ? 3 : used);
        }
        s += used;
        len -= used;
    }
    buf_putc(b, '"');
    return b->failed ? VX11_ENOMEM : 0;
}

void buf_consume(struct buf *b, size_t n)
{
    if (n > b->len)
        n = b->len;
    if (n == 0)
        return;
    b->len -= n;
    memmove(b->data, b->data + n, b->len + 1);
}

char *buf_detach(struct buf *b, size_t *len)
{
    char *data = b->data;
    if (len)
        *len = b->len;
    *b = (struct buf)BUF_INIT;
    return data;
}
