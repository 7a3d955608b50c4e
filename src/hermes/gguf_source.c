/* Reads forwards through a window of 64 KiB: a header has hundreds of thousands of short strings (the
 * vocabulary), and one system call for each would take longer than all the rest. */
#include "hermes/gguf_source.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define WINDOW ((size_t)64 << 10)

int gguf_source_file(struct gguf_source *s, int fd, struct error *err)
{
    struct stat st;
    *s = (struct gguf_source){.fd = fd, .err = err};
    if (fstat(fd, &st) != 0)
        return error_set_errno(err, errno, "cannot look at the file");
    if (!S_ISREG(st.st_mode))
        return error_set(err, VX11_EINVALID, "it is not a regular file");
    s->size = (uint64_t)st.st_size;
    s->window = malloc(WINDOW);
    if (!s->window)
        return error_set(err, VX11_ENOMEM, "out of memory");
    s->data = s->window;
    return 0;
}

void gguf_source_memory(struct gguf_source *s, const void *data, size_t len, uint64_t size, struct error *err)
{
    *s = (struct gguf_source){.fd = -1, .data = data, .len = len, .size = size, .err = err};
}

void gguf_source_close(struct gguf_source *s)
{
    free(s->window);
    s->window = NULL;
}

void gguf_source_about(struct gguf_source *s, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(s->subject, sizeof s->subject, fmt, args); // NOLINT(clang-analyzer-valist.Uninitialized)
    va_end(args);
}

int gguf_source_fail(struct gguf_source *s, int code, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)error_setv(s->err, code, fmt, args);
    va_end(args);
    return error_prefix(s->err, code, "at byte %" PRIu64 ", %s", s->at, s->subject);
}

int gguf_source_need(struct gguf_source *s, uint64_t n)
{
    uint64_t left = s->size - s->at;
    if (n <= left)
        return 0;
    return gguf_source_fail(s, VX11_ECORRUPT,
                            "%" PRIu64 " bytes should follow but the file has %" PRIu64
                            " more: it is cut short by at least %" PRIu64 " bytes, or damaged",
                            n, left, n - left);
}

/* Moves the window so that it begins at s->at. */
static int source_fill(struct gguf_source *s)
{
    if (s->fd < 0)
        return gguf_source_fail(s, VX11_ECORRUPT, "the header is longer than the %zu bytes at hand", s->len);
    size_t got = 0;
    while (got < WINDOW) {
        ssize_t n = pread(s->fd, s->window + got, WINDOW - got, (off_t)(s->at + got));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            int code = error_set_errno(s->err, errno, "cannot read");
            return error_prefix(s->err, code, "at byte %" PRIu64 ", %s", s->at, s->subject);
        }
        if (n == 0)
            break;
        got += (size_t)n;
    }
    if (got == 0)
        return gguf_source_fail(s, VX11_ECORRUPT, "the file became shorter while it was read");
    s->base = s->at;
    s->len = got;
    return 0;
}

int gguf_source_read(struct gguf_source *s, void *out, size_t n)
{
    uint8_t *to = out;
    int rc = gguf_source_need(s, n);
    while (rc == 0 && n > 0) {
        uint64_t skip = s->at - s->base;
        if (s->at < s->base || skip >= s->len) {
            rc = source_fill(s);
            continue;
        }
        size_t have = s->len - (size_t)skip;
        size_t take = have < n ? have : n;
        memcpy(to, s->data + skip, take);
        to += take;
        n -= take;
        s->at += take;
    }
    return rc;
}

int gguf_source_skip(struct gguf_source *s, uint64_t n)
{
    int rc = gguf_source_need(s, n);
    if (rc == 0)
        s->at += n;
    return rc;
}

int gguf_source_uint(struct gguf_source *s, unsigned bytes, uint64_t *out)
{
    uint8_t raw[8];
    int rc = gguf_source_read(s, raw, bytes);
    if (rc != 0)
        return rc;
    uint64_t value = 0;
    for (unsigned i = bytes; i > 0; i--)
        value = value << 8 | raw[i - 1];
    *out = value;
    return 0;
}

int gguf_source_u32(struct gguf_source *s, uint32_t *out)
{
    uint64_t value;
    int rc = gguf_source_uint(s, 4, &value);
    if (rc == 0)
        *out = (uint32_t)value;
    return rc;
}

int gguf_source_u64(struct gguf_source *s, uint64_t *out)
{
    return gguf_source_uint(s, 8, out);
}
