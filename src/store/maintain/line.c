/* Line: a row as a line of JSON from which the same row can be made again. */
#include "store/maintain/line.h"

#include <math.h>
#include <string.h>

#include <sodium.h>

#include "base/error.h"
#include "base/str.h"

static int put_bytes(struct buf *out, const char *name, const void *data, size_t len)
{
    const size_t room = sodium_base64_ENCODED_LEN(len, sodium_base64_VARIANT_ORIGINAL);
    int rc = buf_printf(out, "{\"%s\":\"", name);
    if (rc == 0)
        rc = buf_reserve(out, room + 4);
    if (rc != 0)
        return rc;
    sodium_bin2base64(out->data + out->len, room, data, len, sodium_base64_VARIANT_ORIGINAL);
    out->len += strlen(out->data + out->len);
    return buf_puts(out, "\"}");
}

static int put_real(struct buf *out, double value)
{
    if (!isfinite(value))
        return buf_printf(out, "{\"real\":\"%s\"}", value > 0 ? "inf" : value < 0 ? "-inf" : "nan");
    /* ".0" keeps a whole number real. */
    char text[40];
    int n = snprintf(text, sizeof text, "%.17g", value);
    return buf_printf(out, "%.*s%s", n, text, strpbrk(text, ".eE") ? "" : ".0");
}

static int put_value(struct buf *out, sqlite3_stmt *row, int i)
{
    switch (sqlite3_column_type(row, i)) {
    case SQLITE_INTEGER:
        return buf_printf(out, "%lld", (long long)sqlite3_column_int64(row, i));
    case SQLITE_FLOAT:
        return put_real(out, sqlite3_column_double(row, i));
    case SQLITE_NULL:
        return buf_puts(out, "null");
    case SQLITE_BLOB: {
        const void *data = sqlite3_column_blob(row, i);
        return put_bytes(out, "base64", data ? data : "", (size_t)sqlite3_column_bytes(row, i));
    }
    default: {
        const char *text = (const char *)sqlite3_column_text(row, i);
        const size_t len = (size_t)sqlite3_column_bytes(row, i);
        if (!text)
            return VX11_ENOMEM;
        if (utf8_valid_prefix(text, len) == len)
            return buf_put_json_string(out, text, len);
        return put_bytes(out, "text_base64", text, len);
    }
    }
}

int line_put(struct buf *out, const char *table, sqlite3_stmt *row, int first)
{
    const int columns = sqlite3_column_count(row);
    int rc = buf_putc(out, '{');
    if (rc == 0)
        rc = buf_put_json_string(out, table, strlen(table));
    for (int i = first; rc == 0 && i < columns; i++) {
        const char *name = sqlite3_column_name(row, i);
        if (!name)
            return VX11_ENOMEM;
        rc = buf_puts(out, i == first ? ":{" : ",");
        if (rc == 0)
            rc = buf_put_json_string(out, name, strlen(name));
        if (rc == 0)
            rc = buf_putc(out, ':');
        if (rc == 0)
            rc = put_value(out, row, i);
    }
    return rc == 0 ? buf_puts(out, "}}\n") : rc;
}
