/* Marks in place of control tokens that people spell. Nearly all text needs none: it is scanned once and used
 * as it is. */
#include "engine/marks.h"

#include <stdint.h>
#include <string.h>

static const char mark_open[] = "\xEE\x83\xB0"; /* U+E0F0 */
static const char mark_close[] = "\xEE\x83\xB1";
enum { MARK_LEN = sizeof mark_open - 1 };

void marks_init(struct marks *m, const char *const *specials, size_t n, struct arena *a)
{
    *m = (struct marks){.arena = a, .specials = specials, .special_count = n, .longest = MARK_LEN};
    for (size_t i = 0; i < n; i++) {
        const size_t len = strlen(specials[i]);
        m->first[(unsigned char)specials[i][0]] = true;
        if (len > m->longest)
            m->longest = len;
    }
    m->first[(unsigned char)mark_open[0]] = true;
}

/* How many bytes at `at` (len of them follow) need a mark: a special, the longest that fits; the beginning of
 * one at the text's end; a mark of somebody else's. 0: none. */
static size_t needs_mark(const struct marks *m, const char *at, size_t len)
{
    size_t most = 0;
    if (len >= MARK_LEN && (memcmp(at, mark_open, MARK_LEN) == 0 || memcmp(at, mark_close, MARK_LEN) == 0))
        most = MARK_LEN;
    for (size_t i = 0; i < m->special_count; i++) {
        const char *special = m->specials[i];
        if (special[0] != at[0])
            continue;
        const size_t special_len = strlen(special);
        const size_t n = special_len < len ? special_len : len;
        if (n > most && memcmp(at, special, n) == 0)
            most = n;
    }
    return most;
}

/* The number of the mark for a text: one text, one mark, so that marked texts are equal when the texts are.
 * SIZE_MAX without memory. */
static size_t mark_number(struct marks *m, const char *text, size_t len)
{
    for (size_t i = 0; i < m->count; i++) {
        if (strncmp(m->texts[i], text, len) == 0 && m->texts[i][len] == '\0')
            return i;
    }
    if (m->count == m->cap) {
        const size_t cap = m->cap ? m->cap * 2 : 8;
        const char **more = arena_realloc(m->arena, m->texts, m->cap * sizeof *more, cap * sizeof *more);
        if (!more)
            return SIZE_MAX;
        m->texts = more;
        m->cap = cap;
    }
    const char *copy = arena_strndup(m->arena, text, len);
    if (!copy)
        return SIZE_MAX;
    m->texts[m->count] = copy;
    return m->count++;
}

static bool mark_add(struct marks *m, const char *text, size_t len, struct buf *out)
{
    const size_t number = mark_number(m, text, len);
    return number != SIZE_MAX && buf_printf(out, "%s%zu%s", mark_open, number, mark_close) == 0;
}

/* The first place at or after `from` that needs a mark; *len of it. */
static size_t place_find(const struct marks *m, const char *text, size_t size, size_t from, size_t *len)
{
    for (size_t i = from; i < size; i++) {
        if (m->first[(unsigned char)text[i]] && (*len = needs_mark(m, text + i, size - i)) > 0)
            return i;
    }
    return size;
}

const char *marks_protect(struct marks *m, const char *text)
{
    const size_t size = strlen(text);
    size_t len = 0, from = 0, at = place_find(m, text, size, 0, &len);
    if (at == size)
        return text;
    struct buf out = BUF_INIT;
    const char *marked = NULL;
    for (; at < size; at = place_find(m, text, size, from, &len)) {
        if (buf_append(&out, text + from, at - from) != 0 || !mark_add(m, text + at, len, &out))
            goto out;
        from = at + len;
    }
    if (buf_append(&out, text + from, size - from) == 0)
        marked = arena_strndup(m->arena, out.data, out.len);
out:
    buf_free(&out);
    return marked;
}

struct piece {                  /* rendered text up to a mark, and what the mark stands for */
    const char *text, *literal; /* literal NULL: there is no mark any more */
    size_t len, taken;
};

static bool piece_next(const struct marks *m, const char *text, size_t len, struct piece *out)
{
    const char *mark = m->count > 0 && len > 0 ? memmem(text, len, mark_open, MARK_LEN) : NULL;
    *out = (struct piece){.text = text, .len = len, .taken = len};
    if (!mark)
        return m->count == 0 || !memmem(text, len, mark_close, MARK_LEN);
    const char *end = text + len;
    size_t which = 0;
    const char *p = mark + MARK_LEN;
    for (; p < end && *p >= '0' && *p <= '9' && which < m->count; p++)
        which = which * 10 + (size_t)(*p - '0');
    if (p == mark + MARK_LEN || which >= m->count || (size_t)(end - p) < MARK_LEN ||
        memcmp(p, mark_close, MARK_LEN) != 0)
        return false;
    out->len = (size_t)(mark - text);
    out->literal = m->texts[which];
    out->taken = (size_t)(p - text) + MARK_LEN;
    return true;
}

int marks_restore(const struct marks *m, const char *rendered, size_t len, struct buf *out)
{
    while (len > 0) {
        struct piece piece;
        if (!piece_next(m, rendered, len, &piece))
            return VX11_EINVALID;
        (void)buf_append(out, piece.text, piece.len);
        if (piece.literal)
            (void)buf_puts(out, piece.literal);
        rendered += piece.taken;
        len -= piece.taken;
    }
    return out->failed ? VX11_ENOMEM : 0;
}

int marks_tokenize(const struct marks *m, const struct model *model, const char *rendered, size_t len,
                   struct tokens *out, struct error *err)
{
    bool start = true;
    do {
        struct piece piece;
        if (!piece_next(m, rendered, len, &piece))
            return error_set(err, VX11_EINVALID,
                             "the chat template changes texts that spell control tokens of the model");
        int rc = piece.len > 0 || start ? tokenize(model, piece.text, piece.len, start, true, out, err) : 0;
        if (rc == 0 && piece.literal)
            rc = tokenize(model, piece.literal, strlen(piece.literal), false, false, out, err);
        if (rc != 0)
            return rc;
        start = false;
        rendered += piece.taken;
        len -= piece.taken;
    } while (len > 0);
    return 0;
}
