/* Declared: what the schema's SQL cannot say of a column: that it holds JSON, or the id of a row elsewhere.
 * The schema stays free of JSON functions, and such an id must not be a foreign key where the row it names
 * may go first. A test holds this against the comments of the migrations. */
#ifndef VX11_STORE_CHECK_DECLARED_H
#define VX11_STORE_CHECK_DECLARED_H

#include <stdbool.h>
#include <stddef.h>

enum declared_kind {
    DECLARED_JSON,   /* any JSON value, or NULL */
    DECLARED_OBJECT, /* a JSON object, or NULL */
    DECLARED_ARRAY,  /* a JSON array, or NULL */
    DECLARED_FREE,   /* its comment says JSON, but it may be anything: `why` */
};
struct declared_json {
    const char *table, *column;
    enum declared_kind kind;
    const char *why; /* of DECLARED_FREE */
};
extern const struct declared_json declared_json[];
extern const size_t declared_json_count;

/* table.column is to.key of some row, or NULL. */
struct declared_reference {
    const char *table, *column, *to, *key;
    /* The row may have gone by its own retention: an id that leads nowhere is no fault, and is not counted.
     */
    bool may_be_gone;
    const char *unless; /* SQL: rows that are left out; NULL: none */
};
extern const struct declared_reference declared_references[];
extern const size_t declared_reference_count;

#endif
