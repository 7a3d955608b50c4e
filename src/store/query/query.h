/* Query: one statement of somebody's own, which reads and does nothing else.
 *
 * Four things see to that, each by itself: the connection is read-only and query_only, an authorizer allows
 * reading and a few read-only pragmas only, the statement must be one that SQLite calls read-only, and the
 * time, the rows, the bytes and the memory that it may take are bounded. What stands for a secret (hashes of
 * tokens, cookies and login codes, a job's lease) reads as NULL. */
#ifndef VX11_STORE_QUERY_QUERY_H
#define VX11_STORE_QUERY_QUERY_H

#include "store/store.h"

struct query_column {
    const char *name;
    const char *type; /* as declared; NULL: an expression */
};

struct query_options {
    const char *path;
    bool still; /* as look_open's */
    const char *sql;
    int64_t timeout_ms; /* 0: 10 seconds */
    int64_t rows_max;   /* 0: 1000 */
    int64_t bytes_max;  /* of names and values; 0: 16 MiB */
};

struct query_end {
    int64_t rows, bytes;
    double duration_ms;
    const char *cut; /* "rows" or "bytes": there was more; NULL: that was all */
};

/* columns once, then row for each; a non-zero of theirs stops, and is returned. What they get is valid until
 * they return. VX11_EINVALID (not one statement, or malformed: err says where), VX11_EPERMISSION (it would do
 * more than read), VX11_ETIMEOUT, VX11_ENOMEM, what look_open gives. */
int query_run(const struct query_options *options,
              int (*columns)(void *ctx, const struct query_column *columns, size_t n),
              int (*row)(void *ctx, const struct store_value *values, size_t n), void *ctx,
              struct query_end *end, struct error *err);

#endif
