/* Inside of schema.c (what holds schemas together), schema_object.c (objects and arrays), schema_string.c,
 * schema_pattern.c and schema_number.c. */
#ifndef VX11_ENGINE_SCHEMA_INTERNAL_H
#define VX11_ENGINE_SCHEMA_INTERNAL_H

#include "engine/engine_internal.h"
#include "engine/schema.h"

/* yyjson's own loop steps off a NULL when there is nothing in the object. */
#define OBJECT_EACH(object, i, max, key, value)                                                              \
    if (yyjson_obj_size(object) > 0)                                                                         \
    yyjson_obj_foreach(object, i, max, key, value)

struct schema_ref { /* a schema with a rule of its own */
    yyjson_val *target;
    unsigned rule;
    char *path; /* of it */
};

struct schema {
    struct buf out; /* rules so far */
    unsigned rules; /* their numbers given out: rule 7 is named s7 */
    bool strict;
    yyjson_val *root;
    const char *pointer; /* of the root */
    struct buf path;     /* from there to what is looked at */
    struct request_fault *fault;
    struct schema_ref *refs;
    size_t ref_count, ref_cap, ref_done;
    unsigned depth, nesting;
    size_t properties, text, values;
};

/* schema.c */
/* Names what is wrong; keyword (may be NULL) is that of the schema which is looked at. Always false. */
bool schema_refuse(struct schema *s, const char *keyword, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
bool schema_no_memory(struct schema *s);
/* Goes to a part of the schema that is looked at (one or two steps; NULL: none), and back. */
size_t schema_enter(struct schema *s, const char *step, const char *further);
size_t schema_enter_index(struct schema *s, const char *step, size_t index);
void schema_leave(struct schema *s, size_t mark);
/* A rule of the expression, whose memory is released. */
unsigned schema_rule_new(struct schema *s);
bool schema_rule_write(struct schema *s, unsigned rule, struct buf *expression);
/* The rule of a schema in a schema. */
bool schema_rule(struct schema *s, yyjson_val *node, unsigned *rule);
void schema_put_literal(struct buf *out, const char *text, size_t len); /* as GBNF */
/* A whole number of at least 0 and at most `most`; absent: *out is left. */
bool schema_count(struct schema *s, yyjson_val *node, const char *keyword, size_t most, size_t *out);
bool schema_add_text(struct schema *s, const char *keyword, size_t len);

/* Each appends the expression of its kind of value. */
bool schema_object(struct schema *s, yyjson_val *node, struct buf *out);
bool schema_array(struct schema *s, yyjson_val *node, struct buf *out);
bool schema_string(struct schema *s, yyjson_val *node, struct buf *out);
bool schema_number(struct schema *s, yyjson_val *node, bool integer, struct buf *out);

/* schema_pattern.c */
struct pattern_length {   /* code points of what a pattern matches */
    uint64_t least, most; /* UINT64_MAX: no bound */
};
/* Appends the JSON string's inside for a regular expression of ECMA-262. False: *why says why not. */
bool pattern_write(const char *pattern, size_t len, struct buf *out, struct pattern_length *length,
                   const char **why);

#endif
