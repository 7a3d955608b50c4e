/* Internal: what the files of this room share. Nothing outside src/contract includes it. */
#ifndef VX11_CONTRACT_INTERNAL_H
#define VX11_CONTRACT_INTERNAL_H

#include "contract/contract.h"

enum {
    CONTRACT_DEPTH = 64,         /* levels, when the limits say nothing */
    CONTRACT_DEPTH_MOST = 512,   /* whatever the limits say: parsing and writing recurse */
    CONTRACT_ARRAY_MOST = 65536, /* elements of an array without max_length */
    CONTRACT_FIELDS_MOST = 256,  /* of one message */
};
#define CONTRACT_BYTES ((size_t)16 << 20)

/* Where the parser is: a chain on the stack, written out as a JSON pointer only when something is wrong. */
struct contract_path {
    const struct contract_path *up;
    const char *key; /* NULL: an array element */
    size_t index;
};

struct contract_parser {
    struct arena *arena;
    struct contract_error *err;
    size_t depth; /* most levels */
    bool strict;
};

/* Fills err (may be NULL) and returns code. */
int contract_fail(struct contract_error *err, const struct contract_path *at, int code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* One value of a field (or element) into *slot; arrays also write *count. Nulls are the caller's. */
int contract_value_read(const struct contract_parser *p, const struct contract_field *f, yyjson_val *v,
                        void *slot, size_t *count, const struct contract_path *at, size_t level);
/* A field's default, which must have one, into the struct. */
int contract_default_read(const struct contract_parser *p, const struct contract_field *f, void *base,
                          const struct contract_path *at, size_t level);
/* Bounds of a number or string that was converted already. */
int contract_number_check(const struct contract_parser *p, const struct contract_field *f, double v,
                          const struct contract_path *at);
int contract_string_check(const struct contract_parser *p, const struct contract_field *f, const char *s,
                          size_t len, const struct contract_path *at);
/* sizeof of one element of an array whose elements are f. */
size_t contract_element_size(const struct contract_field *f);
/* An empty array is not an absent one: it points here. Nothing is ever read from it. */
void *contract_empty_array(void);
/* "one of: a, b, c" */
int contract_enum_fail(const struct contract_parser *p, const struct contract_field *f,
                       const struct contract_path *at);

/* pattern.c: true when the whole of s matches the POSIX extended expression. VX11_E… when it does not
 * compile. */
int contract_pattern_match(const char *pattern, const char *s, bool *matches);

static inline bool contract_is_scalar(enum contract_type t)
{
    return t == CONTRACT_BOOL || t == CONTRACT_INTEGER || t == CONTRACT_NUMBER || t == CONTRACT_ENUM ||
           t == CONTRACT_TIMESTAMP;
}

#endif
