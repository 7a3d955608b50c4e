/* Check: is this database sound, and how does it grow? Reads only; works on any SQLite file, in use or not.
 *
 *   file ─> pages ─> keys ─> values ─> json ─> orphans ─> schema ─> statistics ─> growth
 *
 * Each step is made as far as it can be, whatever the ones before found. */
#ifndef VX11_STORE_CHECK_CHECK_H
#define VX11_STORE_CHECK_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/database.h"
#include "base/arena.h"
#include "base/error.h"

struct check_options {
    const char *path;
    bool still;         /* as look_open's */
    bool quick;         /* without the steps that read every row: values, json, orphans, inside of pages */
    int64_t timeout_ms; /* 0: no limit */
    int64_t warn_bytes, limit_bytes; /* sizes that the forecast is about */
    size_t findings_max;             /* 0: 200 */
};

/* Fills *out, in the arena. 0 also when there is something wrong: out->verdict says so. A VX11_E…: nothing
 * could be checked (no such file, not allowed to read it, no memory). */
int check_run(const struct check_options *options, struct arena *a, struct database_check *out,
              struct error *err);

/* constraints.c: calls fn for each CHECK of a CREATE TABLE statement as SQLite keeps it: the column whose it
 * is (NULL: the table's) and the text between its parentheses. Non-zero of fn stops and is returned.
 * Malformed text gives what is whole in it. */
int constraints_each(const char *sql,
                     int (*fn)(void *ctx, const char *column, size_t column_len, const char *text,
                               size_t len),
                     void *ctx);

#endif
