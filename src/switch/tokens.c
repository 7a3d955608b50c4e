/* Tokens: see tokens.h and base/tokens.h for the rule. */
#include "switch/tokens.h"

#include <stdbool.h>
#include <string.h>

#include "base/buf.h"
#include "contract/contract.h"

enum { PAGE_BYTES = 64 * 1024 };

int64_t tokens_estimate_value(yyjson_val *value)
{
    struct buf text = BUF_INIT;
    if (!value || yyjson_is_null(value))
        return 0;
    if (yyjson_is_str(value))
        return tokens_estimate_text(yyjson_get_str(value), yyjson_get_len(value));
    int64_t n = contract_json_write(value, &text) == 0 ? tokens_estimate_text(text.data, text.len) : 0;
    buf_free(&text);
    return n;
}

/* ---- requests ---- */

/* One part of a content: a text, a picture, a file. */
static int64_t part_tokens(yyjson_val *part)
{
    const char *type = yyjson_get_str(yyjson_obj_get(part, "type"));
    yyjson_val *file = yyjson_obj_get(part, "file");
    if (yyjson_is_str(part))
        return tokens_estimate_value(part);
    if (type && strcmp(type, "image_url") == 0)
        return TOKENS_OF_IMAGE;
    if (file) {
        size_t bytes = yyjson_get_len(yyjson_obj_get(file, "file_data")) / 4 * 3;
        return (int64_t)(bytes / PAGE_BYTES + 1) * TOKENS_OF_IMAGE;
    }
    return tokens_estimate_value(yyjson_obj_get(part, "text"));
}

static int64_t content_tokens(yyjson_val *content)
{
    size_t i, n;
    yyjson_val *part;
    int64_t sum = 0;
    if (!yyjson_is_arr(content))
        return tokens_estimate_value(content);
    yyjson_arr_foreach(content, i, n, part)
    {
        sum += part_tokens(part);
    }
    return sum;
}

static int64_t message_tokens(yyjson_val *message)
{
    return TOKENS_OF_MESSAGE + content_tokens(yyjson_obj_get(message, "content")) +
           tokens_estimate_value(yyjson_obj_get(message, "reasoning_content")) +
           tokens_estimate_value(yyjson_obj_get(message, "tool_calls"));
}

/* A string, strings, token ids, or arrays of those. */
static int64_t input_tokens(yyjson_val *input)
{
    size_t i, n;
    yyjson_val *item;
    int64_t sum = 0;
    if (!yyjson_is_arr(input))
        return tokens_estimate_value(input);
    yyjson_arr_foreach(input, i, n, item)
    {
        sum += yyjson_is_num(item)   ? 1
               : yyjson_is_arr(item) ? (int64_t)yyjson_arr_size(item)
                                     : tokens_estimate_value(item);
    }
    return sum;
}

int64_t tokens_estimate_request(yyjson_val *root)
{
    size_t i, n;
    yyjson_val *message, *messages = yyjson_obj_get(root, "messages");
    int64_t sum = 0;
    yyjson_arr_foreach(messages, i, n, message)
    {
        sum += message_tokens(message);
    }
    return sum + tokens_estimate_value(yyjson_obj_get(root, "tools")) +
           tokens_estimate_value(yyjson_obj_get(root, "response_format")) +
           input_tokens(yyjson_obj_get(root, "prompt")) + input_tokens(yyjson_obj_get(root, "input"));
}
