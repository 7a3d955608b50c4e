/* Rows: see the header. */
#include "operator/rows.h"

#include "base/error.h"
#include "base/str.h"

int row_text_copy(struct arena *a, const struct store_row *row, int column, const char **out)
{
    const char *text = row_text(row, column);
    *out = text ? arena_strdup(a, text) : NULL;
    return text && !*out ? VX11_ENOMEM : 0;
}

int name_index(const char *const *names, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (str_eq(names[i], name))
            return (int)i;
    return 0;
}

size_t fence_length(const char *s, size_t len, char sign)
{
    size_t longest = 2, run = 0;
    for (size_t i = 0; i < len; i++) {
        run = s[i] == sign ? run + 1 : 0;
        longest = run > longest ? run : longest;
    }
    return longest + 1;
}
