/* Exposition: reads what metrics_render writes (Prometheus text, version 0.0.4), from wherever it comes. */
#ifndef VX11_NET_EXPOSITION_H
#define VX11_NET_EXPOSITION_H

#include <stddef.h>

enum { EXPOSITION_LABELS = 16, EXPOSITION_LINE = 8192, EXPOSITION_SAMPLES = 100000 };

struct exposition_label {
    const char *name, *value;
};
struct exposition_sample { /* valid during the call */
    const char *name;
    struct exposition_label labels[EXPOSITION_LABELS];
    size_t label_count;
    double value; /* NaN and the infinities are values too */
};
/* The value of a label; NULL: it has none of that name. */
const char *exposition_label(const struct exposition_sample *s, const char *name);

/* fn for each sample, in order; its non-zero ends the reading and is returned. Comments, types and time
 * stamps are passed over. VX11_ESYNTAX for a line that is no sample (*line says which, from 1; may be NULL),
 * VX11_ETOO_LARGE past the bounds above. text is changed while it is read and need not end in NUL. */
int exposition_read(char *text, size_t len, int (*fn)(void *ctx, const struct exposition_sample *s),
                    void *ctx, size_t *line);

#endif
