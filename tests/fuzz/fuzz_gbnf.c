/* GBNF from its text to rules, and a text followed through them: the grammar, a NUL, the text. A grammar is
 * read or refused with a place; following it stays within its bounds. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/grammar_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    const uint8_t *nul = size > 0 ? memchr(data, 0, size) : NULL;
    const size_t len = nul ? (size_t)(nul - data) : size, rest = nul ? size - len - 1 : 0;
    struct gbnf *rules = NULL;
    struct gbnf_fault why;
    const int rc = gbnf_compile(text, len, NULL, &rules, &why);
    if (rc != 0) {
        if (rules || !why.text[0])
            abort();
        return 0;
    }
    struct grammar *g = grammar_new(rules, NULL);
    if (!g) {
        gbnf_free(rules);
        return 0;
    }
    struct grammar_place place = grammar_start(g);
    size_t n = 0;
    while (n < rest && n < 4096 && grammar_bytes(g, &place, text + len + 1 + n, 1))
        n++;
    (void)grammar_may_end(g, &place);
    grammar_free(g);
    return 0;
}
