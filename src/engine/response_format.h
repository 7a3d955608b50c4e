/* Response format: what an answer must look like, as the request says it: response_format, or a grammar. */
#ifndef VX11_ENGINE_RESPONSE_FORMAT_H
#define VX11_ENGINE_RESPONSE_FORMAT_H

#include <stdbool.h>
#include <yyjson.h>

#include "base/arena.h"
#include "engine/model.h"

struct request_fault;

struct response_format {
    const char *gbnf;   /* NULL: anything goes; its root rule is "root" */
    const char *schema; /* the JSON schema as text, when there is one, for templates that show it */
};

/* response_format and grammar are the request's fields; NULL where absent. Memory from the arena. False: see
 * the fault. */
bool response_format_read(const struct model *m, yyjson_val *response_format, const char *grammar,
                          struct arena *a, struct response_format *out, struct request_fault *fault);

#endif
