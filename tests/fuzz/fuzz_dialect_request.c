/* Requests in other APIs' words: whatever comes, the outcome is a fault with a code, or a request that chat
 * takes. That request, and the input itself taken for one, is then put into Anthropic's words: an error with
 * a sentence, or a JSON object with messages. The first byte says whose words the rest is in. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "switch/anthropic.h"
#include "switch/dialects/messages.h"
#include "switch/dialects/responses.h"

static void to_anthropic(struct arena *a, const char *body, size_t len)
{
    struct error err = {0};
    yyjson_val *root = NULL;
    const char *out;
    size_t out_len;
    int rc = anthropic_request(a, body, len, "m", 5, false, &out, &out_len, &err);
    if (rc != 0 && !err.text[0])
        abort();
    if (rc == 0 && (contract_json_parse(a, out, out_len, NULL, &root, NULL) != 0 ||
                    yyjson_arr_size(yyjson_obj_get(root, "messages")) == 0))
        abort();
}

static void check(struct arena *a, bool ok, const struct dialect_request *out,
                  const struct dialect_fault *fault)
{
    struct openai_chat_request chat;
    struct contract_error bad = {0};
    if (!ok) {
        if (!fault->code || !fault->text[0])
            abort();
        return;
    }
    /* What chat bounds more tightly than they do. */
    if (openai_chat_request_parse(a, out->body, out->len, &chat, &bad) != 0 && bad.code == VX11_ESYNTAX)
        abort();
    to_anthropic(a, out->body, out->len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_create((size_t)64 << 20);
    struct dialect_request out;
    struct dialect_fault fault = {0};
    struct anthropic_messages_request messages;
    struct responses_request responses;
    struct responses_reply echo;
    const char *text = (const char *)data + 1;
    if (size == 0) {
        arena_destroy(a);
        return 0;
    }
    switch (data[0] % 3) {
    case 0:
        if (anthropic_messages_request_parse(a, text, size - 1, &messages, NULL) == 0)
            check(a, messages_request(a, &messages, &out, &fault), &out, &fault);
        break;
    case 1:
        if (responses_request_parse(a, text, size - 1, &responses, NULL) == 0) {
            check(a, responses_request(a, &responses, &out, &fault), &out, &fault);
            (void)responses_echo(a, &responses, &echo);
        }
        break;
    default:
        to_anthropic(a, text, size - 1);
    }
    arena_destroy(a);
    return 0;
}
