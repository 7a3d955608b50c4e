/* Schema: from a JSON schema to the grammar of the values that it allows.
 *
 * Whatever is accepted is enforced: a keyword that a grammar cannot keep is refused by its name and place,
 * never passed over. The grammar may allow less than the schema does (keys come in the schema's order,
 * numbers with bounds have no exponent), never more. docs/engine.md has the table of keywords. */
#ifndef VX11_ENGINE_SCHEMA_H
#define VX11_ENGINE_SCHEMA_H

#include <stdbool.h>
#include <yyjson.h>

#include "base/buf.h"

struct request_fault;

enum {
    SCHEMA_PROPERTIES_MOST = 5000, /* as of OpenAI: of all objects together */
    SCHEMA_NESTING_MOST = 10,      /* objects in objects, in strict mode */
    SCHEMA_TEXT_MOST = 120000,     /* bytes of names and of values to choose from */
    SCHEMA_ENUM_MOST = 1000,       /* values to choose from, together */
    SCHEMA_DEPTH_MOST = 64,        /* schemas in schemas */
    SCHEMA_REPEAT_MOST = 8192,     /* maxItems, maxLength and their like */
};

/* Appends GBNF whose root rule is "root". strict: the subset that OpenAI documents for strict mode; else what
 * can be enforced besides. pointer: of the schema in the request. False: see the fault (invalid_schema, at
 * the keyword that is wrong). */
bool schema_to_gbnf(yyjson_val *schema, bool strict, const char *pointer, struct buf *out,
                    struct request_fault *fault);
/* Appends the grammar of any JSON object, without bounds. */
bool schema_any_object(struct buf *out);
/* Whether a tool's strict schema can be kept: by the rules above, and by llama.cpp's own conversion, which is
 * what tool calls are held to. */
bool schema_check(yyjson_val *schema, bool strict, const char *pointer, struct request_fault *fault);

#endif
