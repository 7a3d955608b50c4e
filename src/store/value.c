/* Value: what goes into a statement and what comes out of a row. */
#include "store/store.h"

#include <string.h>

#include "base/str.h"
#include "store/store_internal.h"

struct store_value store_text_len(const char *s, size_t len)
{
    if (!s)
        return STORE_N;
    return (struct store_value){.type = STORE_TEXT, .v.b = {s, len}};
}

struct store_value store_text(const char *s)
{
    return store_text_len(s, s ? strlen(s) : 0);
}

struct store_value store_blob(const void *data, size_t len)
{
    if (!data && len > 0)
        return STORE_N;
    return (struct store_value){.type = STORE_BLOB, .v.b = {data, len}};
}

int64_t row_int(const struct store_row *r, int column)
{
    return sqlite3_column_int64(r->stmt, column);
}

double row_real(const struct store_row *r, int column)
{
    return sqlite3_column_double(r->stmt, column);
}

const char *row_text(const struct store_row *r, int column)
{
    return (const char *)sqlite3_column_text(r->stmt, column);
}

const void *row_blob(const struct store_row *r, int column, size_t *len)
{
    const void *data = sqlite3_column_blob(r->stmt, column);
    *len = (size_t)sqlite3_column_bytes(r->stmt, column);
    return data;
}

bool row_is_null(const struct store_row *r, int column)
{
    return sqlite3_column_type(r->stmt, column) == SQLITE_NULL;
}

size_t row_copy(const struct store_row *r, int column, char *out, size_t size)
{
    const char *text = row_text(r, column);
    size_t len = 0;
    if (text) {
        len = strlen(text);
        if (len >= size)
            len = utf8_valid_prefix(text, size - 1);
        memcpy(out, text, len);
    }
    out[len] = '\0';
    return len;
}
