/* JSON check: whether a value is one that a JSON schema allows. Written from the specification, apart from
 * the engine's own reading of schemas, so that one can test the other. */
#ifndef VX11_TEST_ENGINE_JSON_CHECK_H
#define VX11_TEST_ENGINE_JSON_CHECK_H

#include <stdbool.h>
#include <yyjson.h>

/* On false *why names the keyword. Knows what the engine accepts; fails the test at any other keyword. */
bool json_check(yyjson_val *root, yyjson_val *schema, yyjson_val *value, const char **why);

#endif
