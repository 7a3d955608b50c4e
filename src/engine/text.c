/* The assembler of characters and the matcher of stop strings. Stop strings are few and short and the held
 * text is at most as long as the longest of them plus one token, so a plain search of it costs less than an
 * automaton would to set up. */
#include "engine/text.h"

#include <string.h>

#include "base/error.h"
#include "base/str.h"

static const char replacement[] = "\xEF\xBF\xBD";

void text_init(struct text *t, const char *const *stops, size_t stop_count)
{
    *t = (struct text){.stops = stops, .stop_count = stop_count, .held = BUF_INIT};
}

void text_free(struct text *t)
{
    buf_free(&t->held);
}

size_t text_shown(const struct text *t)
{
    return t->total - t->held.len;
}

/* Appends the whole characters of partial + bytes to held; keeps a cut one as the new partial. */
static int characters_take(struct text *t, const char *bytes, size_t len)
{
    struct buf joined = BUF_INIT;
    int rc = 0;
    const size_t before = t->held.len;
    if (t->partial_len > 0) {
        if (buf_append(&joined, t->partial, t->partial_len) != 0 || buf_append(&joined, bytes, len) != 0) {
            rc = VX11_ENOMEM;
            goto out;
        }
        bytes = joined.data;
        len = joined.len;
        t->partial_len = 0;
    }
    while (len > 0) {
        /* NUL is a character too, but no string of ours can hold it: it is replaced like a wrong byte. */
        const char *nul = memchr(bytes, 0, len);
        const size_t sound = utf8_valid_prefix(bytes, nul ? (size_t)(nul - bytes) : len);
        (void)buf_append(&t->held, bytes, sound);
        bytes += sound;
        len -= sound;
        if (len == 0)
            break;
        if (len < 4 && utf8_incomplete_tail(bytes, len) == len) {
            memcpy(t->partial, bytes, len);
            t->partial_len = len;
            break;
        }
        const int step = utf8_next(bytes, len);
        const size_t bad = step < 0 ? (size_t)-step : 1; /* 1: NUL */
        (void)buf_append(&t->held, replacement, sizeof replacement - 1);
        bytes += bad;
        len -= bad;
    }
    t->total += t->held.len - before;
    if (t->held.failed)
        rc = VX11_ENOMEM;
out:
    buf_free(&joined);
    return rc;
}

/* Where the first stop string in held begins, or SIZE_MAX; notes which it is. */
static size_t stop_find(struct text *t)
{
    size_t first = SIZE_MAX;
    for (size_t i = 0; i < t->stop_count; i++) {
        const char *at =
            t->held.len ? memmem(t->held.data, t->held.len, t->stops[i], strlen(t->stops[i])) : NULL;
        if (at && (size_t)(at - t->held.data) < first) {
            first = (size_t)(at - t->held.data);
            t->met = t->stops[i];
        }
    }
    return first;
}

/* Length of held's longest end that begins a stop string. */
static size_t stop_beginning(const struct text *t)
{
    size_t longest = 0;
    for (size_t i = 0; i < t->stop_count; i++) {
        size_t n = strlen(t->stops[i]) - 1;
        if (n > t->held.len)
            n = t->held.len;
        for (; n > longest; n--) {
            if (memcmp(t->held.data + t->held.len - n, t->stops[i], n) == 0)
                longest = n;
        }
    }
    return longest;
}

static int release(struct text *t, size_t n, struct buf *out)
{
    if (n == 0)
        return 0;
    if (buf_append(out, t->held.data, n) != 0)
        return VX11_ENOMEM;
    buf_consume(&t->held, n);
    return 0;
}

int text_feed(struct text *t, const char *bytes, size_t len, struct buf *out)
{
    if (t->stopped)
        return 0;
    if (characters_take(t, bytes, len) != 0)
        return VX11_ENOMEM;
    const size_t stop = stop_find(t);
    if (stop == SIZE_MAX)
        return release(t, t->held.len - stop_beginning(t), out);
    t->stopped = true;
    return release(t, stop, out);
}

int text_finish(struct text *t, struct buf *out)
{
    if (t->stopped)
        return 0;
    if (t->partial_len > 0) {
        t->partial_len = 0;
        if (buf_append(&t->held, replacement, sizeof replacement - 1) != 0)
            return VX11_ENOMEM;
        t->total += sizeof replacement - 1;
    }
    return release(t, t->held.len, out);
}
