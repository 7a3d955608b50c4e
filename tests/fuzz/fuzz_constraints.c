/* Any text as a CREATE TABLE statement: each CHECK that is found lies in it, and is what stands between two
 * parentheses. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "store/check/check.h"

struct bounds {
    const char *text;
    size_t len;
};

static int inside(void *ctx, const char *column, size_t column_len, const char *text, size_t len)
{
    const struct bounds *b = ctx;
    if (text <= b->text || text + len >= b->text + b->len || text[-1] != '(' || text[len] != ')')
        abort();
    if (column && (column < b->text || column + column_len > b->text + b->len || column_len == 0))
        abort();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    char *text = malloc(len + 1);
    if (!text)
        abort();
    memcpy(text, data, len);
    text[len] = '\0';
    const struct bounds b = {text, strlen(text)};
    if (constraints_each(text, inside, (void *)(uintptr_t)&b) != 0)
        abort();
    free(text);
    return 0;
}
