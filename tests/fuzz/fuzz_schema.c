/* A JSON schema from its text to its grammar, and a walk through that. Whatever comes in, the outcome is a
 * fault that says where, or a grammar that can be read; what ends along the walk is JSON. The first byte
 * chooses strict mode and the walk. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/engine_internal.h"
#include "engine/grammar_internal.h"
#include "engine/schema.h"

static void walk(struct grammar *g, uint32_t seed)
{
    struct buf text = BUF_INIT;
    struct grammar_place place = grammar_start(g);
    for (int step = 0; step < 200 && !grammar_must_end(g, &place); step++) {
        bool any = false;
        for (int i = 0; i < 128 && !any; i++) {
            seed = seed * 1664525 + 1013904223;
            const char c = (char)((seed >> 20) % 95 + 32);
            any = grammar_bytes(g, &place, &c, 1);
            if (any)
                (void)buf_putc(&text, c);
        }
        if (!any)
            break;
    }
    if (grammar_must_end(g, &place)) {
        yyjson_doc *doc = yyjson_read(text.data, text.len, 0);
        if (!doc)
            abort();
        yyjson_doc_free(doc);
    }
    buf_free(&text);
}

static void follow(const struct buf *gbnf, uint32_t seed)
{
    struct gbnf *rules = NULL;
    struct gbnf_fault why;
    const int rc = gbnf_compile(gbnf->data, gbnf->len, NULL, &rules, &why);
    if (rc != 0)
        abort();
    struct grammar *g = grammar_new(rules, NULL);
    if (g)
        walk(g, seed);
    else
        gbnf_free(rules);
    grammar_free(g);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf gbnf = BUF_INIT;
    struct request_fault fault = {0};
    if (size == 0)
        return 0;
    yyjson_doc *doc = yyjson_read((const char *)data + 1, size - 1, 0);
    if (!doc)
        return 0;
    yyjson_val *root = yyjson_doc_get_root(doc);
    if (schema_to_gbnf(root, data[0] & 1, "/s", &gbnf, &fault))
        follow(&gbnf, data[0]);
    else if (!fault.code || !fault.param[0] || !fault.text[0])
        abort();
    buf_free(&gbnf);
    fault = (struct request_fault){0};
    (void)schema_check(root, data[0] & 1, "/s", &fault);
    yyjson_doc_free(doc);
    return 0;
}
