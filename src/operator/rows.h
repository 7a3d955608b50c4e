/* Rows: what the parts share for reading their rows, and writing Markdown. */
#ifndef VX11_OPERATOR_ROWS_H
#define VX11_OPERATOR_ROWS_H

#include <stddef.h>

#include "base/arena.h"
#include "store/store.h"

/* A column's text, copied into the arena; NULL for NULL. 0 or VX11_ENOMEM. */
int row_text_copy(struct arena *a, const struct store_row *row, int column, const char **out);
/* Place of a name in a list, as the contract's enums have them; 0 when it is not there, which the CHECK of
 * its column rules out. */
int name_index(const char *const *names, size_t count, const char *name);
/* Length of a fence that no text between two of it can close: longer than any run of the sign in it, 3 at
 * least. */
size_t fence_length(const char *s, size_t len, char sign);

#endif
