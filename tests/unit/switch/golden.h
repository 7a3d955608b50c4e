/* Golden: files of pairs in tests/data/dialects. */
#ifndef VX11_TEST_SWITCH_GOLDEN_H
#define VX11_TEST_SWITCH_GOLDEN_H

#include <stddef.h>
#include <yyjson.h>

/* The array of a file; yyjson_doc_free. Fails the test when it is not there. */
yyjson_doc *golden_open(const char *name);
/* Fails the test unless actual is what is wanted; "*" stands for anything. */
void golden_check(const char *name, yyjson_val *want, yyjson_val *actual);
void golden_check_text(const char *name, yyjson_val *want, const char *actual, size_t len);
const char *golden_string(yyjson_val *item, const char *key); /* NULL: absent */

#endif
