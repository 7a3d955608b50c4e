/* Output: reads what a tool writes, as it comes, and tells what of it is the answer. Any bytes may come:
 * nothing here trusts them. */
#ifndef VX11_HERMES_TOOLS_OUTPUT_H
#define VX11_HERMES_TOOLS_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "hermes/tools/known.h"

#define OUTPUT_LINE_MAX ((size_t)4 << 20) /* a longer line is passed over */
#define OUTPUT_TEXT_MAX ((size_t)16 << 20)

struct output_reader {
    const struct tool_def *def;
    /* Pieces of the answer, valid UTF-8, in order. */
    void (*on_text)(void *ctx, const char *text, size_t len);
    void *ctx;

    struct buf pending; /* a line, or a document, that is not complete; of text: bytes held back */
    bool skipping;      /* inside a line that is too long */
    bool begun;         /* some of the answer was told */
    bool overflow;      /* the answer passed OUTPUT_TEXT_MAX: the rest is dropped */
    int escape;         /* text: inside a terminal's escape sequence */
    size_t told;        /* bytes of the answer */
    struct buf whole;   /* TOOL_FIELD_TEXT */
    char error[512];    /* TOOL_FIELD_ERROR, the first */
    int64_t prompt_tokens, completion_tokens, cached_tokens; /* -1: not told */
    size_t lines_passed_over;                                /* that were no JSON, or too long */
};

void output_begin(struct output_reader *r, const struct tool_def *def,
                  void (*on_text)(void *ctx, const char *text, size_t len), void *ctx);
/* 0 or VX11_ENOMEM. */
int output_feed(struct output_reader *r, const char *data, size_t len);
/* The tool has ended: what is left is told. 0 or VX11_ENOMEM. */
int output_end(struct output_reader *r);
void output_free(struct output_reader *r);

#endif
