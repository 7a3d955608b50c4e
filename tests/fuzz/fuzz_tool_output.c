/* What a tool writes, by each way of reading: no crash, valid UTF-8 out, and the same however it is cut. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/str.h"
#include "hermes/tools/output.h"

static void on_text(void *ctx, const char *text, size_t len)
{
    if (!utf8_valid(text, len) || buf_append(ctx, text, len) != 0)
        abort();
}

static void read_all(const struct tool_def *def, const char *data, size_t len, size_t piece, struct buf *out,
                     char *error)
{
    struct output_reader r;
    output_begin(&r, def, on_text, out);
    for (size_t at = 0; at < len; at += piece)
        if (output_feed(&r, data + at, len - at < piece ? len - at : piece) != 0)
            abort();
    if (output_end(&r) != 0 || !utf8_valid(r.error, strlen(r.error)))
        abort();
    memcpy(error, r.error, sizeof r.error);
    output_free(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct tool_rule rules[] = {{.field = TOOL_FIELD_TEXT, .path = "/response"},
                                             {.field = TOOL_FIELD_ERROR, .path = "/error"},
                                             {.field = TOOL_FIELD_PROMPT_TOKENS, .path = "/n"},
                                             {.field = TOOL_FIELD_END}};
    static const struct tool_def json = {.name = "j", .output = TOOL_OUTPUT_JSON, .rules = rules},
                                 text = {.name = "t", .output = TOOL_OUTPUT_TEXT};
    if (size < 2)
        return 0;
    const struct tool_def *def = data[0] % 9 == 7   ? &json
                                 : data[0] % 9 == 8 ? &text
                                                    : &tools_known[data[0] % tools_known_count];
    const size_t piece = data[1] % 32 + 1;
    struct buf whole = BUF_INIT, pieces = BUF_INIT;
    char error_whole[512], error_pieces[512];
    read_all(def, (const char *)data + 2, size - 2, size, &whole, error_whole);
    read_all(def, (const char *)data + 2, size - 2, piece, &pieces, error_pieces);
    if (whole.len != pieces.len || (whole.len > 0 && memcmp(whole.data, pieces.data, whole.len) != 0) ||
        strcmp(error_whole, error_pieces) != 0)
        abort();
    buf_free(&whole);
    buf_free(&pieces);
    return 0;
}
