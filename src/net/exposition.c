/* Exposition: see the header. A line is cut up in place: names and values become strings inside it.
 *
 *   name{label="value",…} value [timestamp]
 */
#include "net/exposition.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/str.h"

const char *exposition_label(const struct exposition_sample *s, const char *name)
{
    for (size_t i = 0; i < s->label_count; i++)
        if (strcmp(s->labels[i].name, name) == 0)
            return s->labels[i].value;
    return NULL;
}

static bool name_char(char c, bool first)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == ':' ||
           (!first && c >= '0' && c <= '9');
}

static char *skip_blank(char *p)
{
    while (*p == ' ' || *p == '\t')
        p++;
    return p;
}

/* The end of a name; NULL: there is none. */
static char *name_end(char *p)
{
    if (!name_char(*p, true))
        return NULL;
    while (name_char(*p, false))
        p++;
    return p;
}

/* "text" with its escapes taken out; the position behind the closing quote, or NULL. */
static char *read_quoted(char *p, const char **out)
{
    if (*p != '"')
        return NULL;
    char *to = ++p;
    *out = to;
    for (; *p && *p != '"'; p++) {
        if (*p == '\\' && (p[1] == '\\' || p[1] == '"' || p[1] == 'n')) {
            p++;
            *to++ = *p == 'n' ? '\n' : *p;
        } else {
            *to++ = *p;
        }
    }
    if (*p != '"')
        return NULL;
    *to = '\0'; /* at the closing quote at the latest */
    return p + 1;
}

/* Behind "{"; the position behind "}", or NULL. */
static char *read_labels(char *p, struct exposition_sample *s)
{
    p = skip_blank(p);
    while (*p != '}') {
        if (s->label_count == EXPOSITION_LABELS)
            return NULL;
        struct exposition_label *l = &s->labels[s->label_count++];
        char *end = name_end(p);
        if (!end)
            return NULL;
        l->name = p;
        p = skip_blank(end);
        if (*p != '=')
            return NULL;
        p = read_quoted(skip_blank(p + 1), &l->value);
        *end = '\0';
        if (!p)
            return NULL;
        p = skip_blank(p);
        if (*p == ',')
            p = skip_blank(p + 1);
        else if (*p != '}')
            return NULL;
    }
    return p + 1;
}

/* A number as Go writes it, and nothing that strtod takes besides (hexadecimal, "nan(…)", a locale's comma).
 */
static bool read_value(const char *p, double *out)
{
    const size_t len = strcspn(p, " \t");
    char text[64], *end;
    if (len == 0 || len >= sizeof text)
        return false;
    memcpy(text, p, len);
    text[len] = '\0';
    const char *bare = text[0] == '+' || text[0] == '-' ? text + 1 : text;
    if (strcmp(bare, "Inf") == 0)
        *out = text[0] == '-' ? -(double)INFINITY : (double)INFINITY;
    else if (strcmp(bare, "NaN") == 0)
        *out = (double)NAN;
    else if (bare[strspn(bare, "0123456789.eE+-")] == '\0') {
        *out = strtod(text, &end);
        if (*end || end == text)
            return false;
    } else
        return false;
    p += len;
    p += strspn(p, " \t");
    p += *p == '-';
    return p[strspn(p, "0123456789")] == '\0'; /* a time stamp */
}

/* 1: a sample, 0: nothing to tell, else VX11_E…. */
static int read_line(char *line, struct exposition_sample *s)
{
    char *p = skip_blank(line), *end;
    s->label_count = 0;
    if (*p == '\0' || *p == '#')
        return 0;
    s->name = p;
    end = name_end(p);
    if (!end)
        return VX11_ESYNTAX;
    p = skip_blank(end);
    if (*p == '{')
        p = read_labels(p + 1, s);
    else if (p == end)
        return VX11_ESYNTAX; /* a value must stand apart */
    if (!p)
        return VX11_ESYNTAX;
    p = skip_blank(p);
    const bool ok = read_value(p, &s->value);
    *end = '\0';
    return ok ? 1 : VX11_ESYNTAX;
}

int exposition_read(char *text, size_t len, int (*fn)(void *ctx, const struct exposition_sample *s),
                    void *ctx, size_t *line)
{
    char copy[EXPOSITION_LINE];
    struct exposition_sample sample = {0};
    size_t samples = 0, at = 0, number = 0;
    int rc = 0;
    while (at < len && rc == 0) {
        const char *newline = memchr(text + at, '\n', len - at);
        size_t n = newline ? (size_t)(newline - (text + at)) : len - at;
        char *use = text + at;
        number++;
        if (n >= EXPOSITION_LINE && use[0] != '#') {
            rc = VX11_ETOO_LARGE;
            break;
        }
        if (newline) {
            use[n] = '\0';
        } else if (n < EXPOSITION_LINE) { /* the last line has no room for its end */
            memcpy(copy, use, n);
            copy[n] = '\0';
            use = copy;
        }
        at += n + 1;
        if (n >= EXPOSITION_LINE)
            continue; /* a long comment */
        if (n > 0 && use[n - 1] == '\r')
            use[n - 1] = '\0';
        if (memchr(use, '\0', n) && strlen(use) + 1 < n) {
            rc = VX11_ESYNTAX; /* a NUL in the middle */
            break;
        }
        rc = read_line(use, &sample);
        if (rc == 1)
            rc = ++samples > EXPOSITION_SAMPLES ? VX11_ETOO_LARGE : fn(ctx, &sample);
    }
    if (line)
        *line = number;
    return rc;
}
