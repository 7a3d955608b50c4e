/* Line: a row as a line of JSON, {"TABLE":{"column":value,…}}. What JSON cannot say is said so that nothing
 * is lost: bytes, and text that is no UTF-8, as {"base64":"…"} and {"text_base64":"…"}; what is no finite
 * number as {"real":"inf"}. Private to store/maintain. */
#ifndef VX11_STORE_MAINTAIN_LINE_H
#define VX11_STORE_MAINTAIN_LINE_H

#include <sqlite3.h>

#include "base/buf.h"

/* Appends the statement's row from column `first` on, with a line feed. 0 or VX11_ENOMEM. */
int line_put(struct buf *out, const char *table, sqlite3_stmt *row, int first);

#endif
