/* Renaming of a grammar's rules. Names are all the words outside of literals "…", classes […], repetitions
 * {…}, tokens <…> and comments. */
#include "engine/gbnf_join.h"

#include <string.h>

static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";

/* Length of what begins at p and has no names in it; 0: a name may begin there. */
static size_t opaque(const char *p)
{
    char close;
    switch (*p) {
    case '"':
        close = '"';
        break;
    case '[':
        close = ']';
        break;
    case '{':
        close = '}';
        break;
    case '<':
        close = '>';
        break;
    case '#':
        return strcspn(p, "\n");
    default:
        return 0;
    }
    size_t n = 1;
    while (p[n] && p[n] != close)
        n += p[n] == '\\' && p[n + 1] ? 2 : 1;
    return p[n] ? n + 1 : n;
}

int gbnf_rename(const char *gbnf, const char *prefix, struct buf *out)
{
    for (const char *p = gbnf; *p;) {
        const size_t skip = opaque(p), name = skip ? 0 : strspn(p, letters);
        if (name > 0)
            (void)buf_puts(out, prefix);
        const size_t n = skip ? skip : name ? name : 1;
        (void)buf_append(out, p, n);
        p += n;
    }
    return buf_putc(out, '\n');
}
