/* keep_alive: how long a model stays loaded after a request, as Ollama has it. */
#ifndef VX11_CONTRACT_KEEP_ALIVE_H
#define VX11_CONTRACT_KEEP_ALIVE_H

#include <stdbool.h>
#include <stdint.h>
#include <yyjson.h>

#include "base/error.h"

#define KEEP_ALIVE_FOR_EVER (-1)

/* A number of seconds, or a text of numbers and units as Go writes durations: "10m", "1h30m", "1.5h", "-1s";
 * a text that is a number alone is seconds. Anything negative: KEEP_ALIVE_FOR_EVER. NULL and null: *has is
 * false. VX11_EINVALID with a sentence. */
int keep_alive_read(yyjson_val *value, bool *has, int64_t *ms, struct error *err);
/* The same of a text. */
int keep_alive_parse(const char *text, int64_t *ms, struct error *err);

#endif
