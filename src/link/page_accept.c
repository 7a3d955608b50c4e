/* Which form of a file a client takes: the weights of Accept and Accept-Encoding. */
#include "link/page_accept.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

static const char *space_skip(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\t'))
        p++;
    return p;
}

/* "1", "0.8", "0.125", "1.000": thousandths; -1 when it is none of these. */
static int weight_parse(const char *p, const char *end)
{
    int value, scale = 100;
    if (p == end || (*p != '0' && *p != '1'))
        return -1;
    value = (*p++ - '0') * 1000;
    if (p < end && *p == '.') {
        p++;
        for (; p < end && isdigit((unsigned char)*p) && scale > 0; scale /= 10)
            value += (*p++ - '0') * scale;
    }
    return space_skip(p, end) == end && value <= 1000 ? value : -1;
}

/* The weight among an item's parameters; 1000 when they name none. */
static int params_weight(const char *p, const char *end)
{
    while (p < end) {
        const char *stop = memchr(p, ';', (size_t)(end - p));
        stop = stop ? stop : end;
        p = space_skip(p, stop);
        if (stop - p >= 2 && (*p == 'q' || *p == 'Q') && p[1] == '=') {
            int weight = weight_parse(p + 2, stop);
            return weight < 0 ? 0 : weight;
        }
        p = stop < end ? stop + 1 : end;
    }
    return 1000;
}

int accept_weight(const char *list, const char *item)
{
    size_t len = strlen(item);
    if (!list)
        return -1;
    for (const char *p = list, *end; *p; p = *end ? end + 1 : end) {
        end = p + strcspn(p, ",");
        p = space_skip(p, end);
        const char *name = p;
        p += strcspn(p, "; \t,");
        if ((size_t)(p - name) != len || strncasecmp(name, item, len) != 0)
            continue;
        p = space_skip(p, end);
        return params_weight(p < end ? p + 1 : end, end);
    }
    return -1;
}

enum page_encoding accept_encoding(const char *list, bool has_br, bool has_gzip)
{
    int any = accept_weight(list, "*"), br = accept_weight(list, "br"), gzip = accept_weight(list, "gzip");
    int plain = accept_weight(list, "identity");
    enum page_encoding best = PAGE_ENCODING_IDENTITY;
    int weight = plain > 0 ? plain : 0;
    if (br < 0)
        br = any;
    if (gzip < 0)
        gzip = any;
    if (has_gzip && gzip > 0 && gzip >= weight) {
        best = PAGE_ENCODING_GZIP;
        weight = gzip;
    }
    if (has_br && br > 0 && br >= weight)
        best = PAGE_ENCODING_BR;
    return best;
}
