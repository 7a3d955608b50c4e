/* The output of addr2line and its kin. It is another program's: bounded, and nothing of it is believed to be
 * text before it was looked at. */
#include <string.h>

#include "base/str.h"
#include "module/forensic/symbolize.h"

enum { LINES_MAX = 32, WORD_MAX = 1024 }; /* inlined calls of one place; a name, or a path */

static const char *word_copy(struct arena *a, const char *s, size_t n)
{
    if (n > WORD_MAX)
        n = utf8_valid_prefix(s, WORD_MAX);
    if (n == 0 || !utf8_valid(s, n))
        return NULL;
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)s[i] < ' ' || s[i] == 0x7f)
            return NULL;
    return n == 2 && memcmp(s, "??", 2) == 0 ? NULL : arena_strndup(a, s, n);
}

/* "uv_run", or "uv_run inlined at core.c:2 in main" as eu-addr2line has it. */
static const char *function_read(struct arena *a, const char *s, size_t n)
{
    const char *more = memmem(s, n, " inlined at ", 12);
    return word_copy(a, s, more ? (size_t)(more - s) : n);
}

/* The text is not a string: it ends where its line does. */
static bool all_digits(const char *s, size_t n)
{
    size_t i = 0;
    while (i < n && s[i] >= '0' && s[i] <= '9')
        i++;
    return i == n;
}

/* "file.c:12", "file.c:12:3", "file.c:12 (discriminator 2)", "??:0", "file.c:?". */
static void source_read(struct arena *a, const char *s, size_t n, struct symbol_line *out)
{
    char number[16];
    const char *paren = memmem(s, n, " (discriminator ", 16);
    if (paren)
        n = (size_t)(paren - s);
    for (int tries = 0; tries < 2; tries++) {
        const char *colon = memrchr(s, ':', n);
        if (!colon)
            return;
        size_t digits = n - (size_t)(colon - s) - 1;
        if (digits >= sizeof number)
            return;
        memcpy(number, colon + 1, digits);
        number[digits] = '\0';
        n = (size_t)(colon - s);
        int64_t line = 0;
        if (str_to_i64(number, 1, 100000000, &line) == 0)
            out->line = line;
        const char *before = memrchr(s, ':', n);
        if (!before || (size_t)(before - s) + 1 == n || !all_digits(before + 1, n - (size_t)(before - s) - 1))
            break; /* no column */
    }
    out->source = word_copy(a, s, n);
    if (!out->source)
        out->line = 0;
}

struct output {
    const char *at, *end;
};

static bool next(struct output *o, const char **line, size_t *len)
{
    const char *stop = o->at < o->end ? memchr(o->at, '\n', (size_t)(o->end - o->at)) : NULL;
    if (!stop)
        return false;
    *line = o->at;
    *len = (size_t)(stop - o->at);
    o->at = stop + 1;
    return true;
}

static bool is_address(const char *s, size_t n, uint64_t want)
{
    uint64_t v = 0;
    if (n < 3 || n > 18 || s[0] != '0' || s[1] != 'x')
        return false;
    for (size_t i = 2; i < n; i++) {
        char c = s[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return false;
        v = v << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    return v == want;
}

int symbol_output_parse(struct arena *a, const char *text, size_t len, const uint64_t *addresses, size_t n,
                        struct symbol_line **lines, size_t *counts)
{
    struct output o = {text, text + len};
    struct symbol_line found[LINES_MAX];
    const char *line;
    size_t line_len;
    memset(counts, 0, n * sizeof *counts);
    bool more = next(&o, &line, &line_len);
    for (size_t i = 0; i < n; i++) {
        size_t count = 0;
        if (!more || !is_address(line, line_len, addresses[i]))
            return VX11_ESYNTAX;
        while ((more = next(&o, &line, &line_len)) &&
               !(i + 1 < n && is_address(line, line_len, addresses[i + 1]))) {
            struct symbol_line one = {.function = function_read(a, line, line_len)};
            if (line_len == 0) /* llvm-symbolizer ends each with an empty line in some styles */
                continue;
            if (!next(&o, &line, &line_len))
                return VX11_ESYNTAX;
            source_read(a, line, line_len, &one);
            if (count < COUNT_OF(found) && (one.function || one.source))
                found[count++] = one;
        }
        lines[i] = arena_array(a, count + 1, sizeof **lines);
        if (!lines[i])
            return VX11_ENOMEM;
        memcpy(lines[i], found, count * sizeof *found);
        counts[i] = count;
    }
    return 0;
}
