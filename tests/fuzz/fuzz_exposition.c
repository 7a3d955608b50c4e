/* The reader of metrics: whatever it takes out of a text are strings and numbers inside of it, and what is
 * written again from them reads the same. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "net/exposition.h"

static void put_quoted(struct buf *out, const char *s)
{
    buf_putc(out, '"');
    for (; *s; s++) {
        if (*s == '"' || *s == '\\')
            buf_putc(out, '\\');
        if (*s == '\n')
            buf_puts(out, "\\n");
        else
            buf_putc(out, *s);
    }
    buf_putc(out, '"');
}

static int write_down(void *ctx, const struct exposition_sample *s)
{
    struct buf *out = ctx;
    if (!s->name[0] || s->label_count > EXPOSITION_LABELS)
        abort();
    buf_printf(out, "%s{", s->name);
    for (size_t i = 0; i < s->label_count; i++) {
        buf_printf(out, "%s=", s->labels[i].name);
        put_quoted(out, s->labels[i].value);
        buf_putc(out, ',');
    }
    if (isnan(s->value))
        buf_puts(out, "} NaN\n");
    else if (isinf(s->value))
        buf_puts(out, s->value > 0 ? "} +Inf\n" : "} -Inf\n");
    else
        buf_printf(out, "} %.17g\n", s->value);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf once = BUF_INIT, twice = BUF_INIT;
    char *text = malloc(size ? size : 1);
    size_t line;
    if (!text)
        abort();
    memcpy(text, data, size);
    const int rc = exposition_read(text, size, write_down, &once, &line);
    if (rc != 0 && rc != VX11_ESYNTAX && rc != VX11_ETOO_LARGE)
        abort();
    if (once.len) {
        char *again = malloc(once.len);
        if (!again)
            abort();
        memcpy(again, once.data, once.len);
        /* Names that were long, written with their escapes, may pass the bound on a line. */
        const int second = exposition_read(again, once.len, write_down, &twice, &line);
        if (second == VX11_ESYNTAX ||
            (second == 0 && (once.len != twice.len || memcmp(once.data, twice.data, once.len) != 0)))
            abort();
        free(again);
    }
    free(text);
    buf_free(&once);
    buf_free(&twice);
    return 0;
}
