/* Tokens: see tokens.h for the rule. */
#include "switch/tokens.h"

#include <stdbool.h>
#include <string.h>

#include "base/buf.h"
#include "base/str.h"
#include "contract/contract.h"

enum { MESSAGE_TOKENS = 4, IMAGE_TOKENS = 1600, PAGE_BYTES = 64 * 1024 };

/* ---- text ---- */

struct runs {
    int64_t words, latin, half, whole; /* words and characters by how many make a token */
};

static bool is_latin(unsigned char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == ' ';
}

/* First byte of a character of four bytes, or of three that is at U+2E80 or above: what is written there
 * mostly has a token of its own. */
static bool is_wide(const unsigned char *s, int bytes)
{
    return bytes == 4 || (bytes == 3 && (s[0] > 0xE2 || (s[0] == 0xE2 && s[1] >= 0xBA)));
}

static void run_add(struct runs *r, const char *text, size_t len)
{
    bool in_word = false;
    for (size_t i = 0; i < len;) {
        unsigned char c = (unsigned char)text[i];
        if (is_latin(c)) { /* nearly all of most texts */
            bool letter = c != ' ';
            r->words += letter && !in_word;
            in_word = letter;
            r->latin++;
            i++;
            continue;
        }
        int n = c < 0x80 ? 1 : utf8_next(text + i, len - i);
        int bytes = n < 0 ? -n : n;
        in_word = false;
        if (is_wide((const unsigned char *)text + i, bytes))
            r->whole++;
        else
            r->half++;
        i += (size_t)bytes;
    }
}

int64_t tokens_estimate_text(const char *text, size_t len)
{
    struct runs r = {0};
    if (!text || len == 0)
        return 0;
    run_add(&r, text, len);
    int64_t latin = (r.latin + 3) / 4;
    return (latin > r.words ? latin : r.words) + (r.half + 1) / 2 + r.whole;
}

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
        return IMAGE_TOKENS;
    if (file) {
        size_t bytes = yyjson_get_len(yyjson_obj_get(file, "file_data")) / 4 * 3;
        return (int64_t)(bytes / PAGE_BYTES + 1) * IMAGE_TOKENS;
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
    return MESSAGE_TOKENS + content_tokens(yyjson_obj_get(message, "content")) +
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
