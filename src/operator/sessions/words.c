/* Words: what a person typed into a search box, as an FTS5 query, and the marks of a snippet.
 *
 * FTS5's own language (AND, NEAR, columns, parentheses) is not offered: each word becomes an FTS5 string, in
 * which only the double quote means something. Such strings beside each other must all occur. */
#include "operator/sessions/sessions_internal.h"

#include <string.h>

#include "base/str.h"

#define WORDS_MOST 32 /* of one query; what comes after is left out */

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\v' || c == '\f' || c == '\0';
}

/* Whether FTS5's tokenizer can find something in it; bytes past ASCII may be letters. */
static bool has_word(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)s[i];
        if (c >= 0x80 || (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z'))
            return true;
    }
    return false;
}

static int put_string(struct buf *out, const char *s, size_t len, bool prefix)
{
    int rc = buf_puts(out, out->len ? " \"" : "\"");
    for (size_t i = 0; rc == 0 && i < len; i++)
        rc = buf_putc(out, s[i] == '"' || s[i] == '\0' ? ' ' : s[i]);
    return rc == 0 ? buf_puts(out, prefix ? "\"*" : "\"") : rc;
}

int words_query(const char *q, size_t len, struct buf *out)
{
    size_t at = 0, words = 0;
    int rc = 0;
    while (rc == 0 && at < len && words < WORDS_MOST) {
        if (is_space(q[at])) {
            at++;
            continue;
        }
        bool quoted = q[at] == '"';
        size_t begin = at + quoted, end = begin;
        while (end < len && (quoted ? q[end] != '"' : !is_space(q[end]) && q[end] != '"'))
            end++;
        bool closed = quoted && end < len;
        at = end + closed;
        if (!has_word(q + begin, end - begin))
            continue;
        /* A word that ends where the text ends may still be in the typing. */
        rc = put_string(out, q + begin, end - begin, !closed && end == len);
        words++;
    }
    return rc;
}

int words_marks(const char *snippet, struct arena *a, const char **text, int64_t **marks, size_t *count)
{
    size_t len = strlen(snippet), most = 0, units = 0, n = 0, to = 0;
    for (size_t i = 0; i < len; i++)
        most += snippet[i] == WORDS_MARK_BEGIN;
    char *plain = arena_alloc(a, len + 1);
    int64_t *found = arena_array(a, 2 * most + 2, sizeof *found);
    bool open = false;
    if (!plain || !found)
        return VX11_ENOMEM;
    for (size_t i = 0; i < len;) {
        if (snippet[i] == WORDS_MARK_BEGIN || snippet[i] == WORDS_MARK_END) {
            bool begins = snippet[i++] == WORDS_MARK_BEGIN;
            if (begins && !open)
                found[2 * n] = (int64_t)units;
            else if (!begins && open)
                found[2 * n + 1] = (int64_t)units - found[2 * n];
            n += !begins && open && found[2 * n + 1] > 0;
            open = begins;
            continue;
        }
        int bytes = utf8_next(snippet + i, len - i);
        size_t step = bytes > 0 ? (size_t)bytes : 1;
        memcpy(plain + to, snippet + i, step);
        to += step;
        i += step;
        units += bytes == 4 ? 2 : 1; /* past U+FFFF: a pair of surrogates */
    }
    plain[to] = '\0';
    *text = plain;
    *marks = found;
    *count = 2 * n;
    return 0;
}
