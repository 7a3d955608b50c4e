/* Fuzz: bytes as a message of one of several types. What parses must serialize, parse again, and give the
 * same text. The first byte picks the type, so that one corpus serves all. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "api/common.h"
#include "api/config.h"
#include "api/openai.h"
#include "base/log.h"
#include "base/str.h"

static const struct contract_message *const messages[] = {
    &openai_chat_request_message, &openai_chat_reply_message,
    &openai_chat_chunk_message,   &openai_completion_request_message,
    &openai_model_list_message,   &openai_completion_reply_message,
    &common_error_message,        &config_config_message,
};

static void text_check(const struct contract_error *err)
{
    if (!utf8_valid(err->text, strlen(err->text)) || !utf8_valid(err->pointer, strlen(err->pointer)) ||
        err->text[0] == '\0') {
        abort();
    }
}

static void message_check(const struct contract_message *m, struct arena *a, const char *text, size_t len,
                          bool strict)
{
    const struct contract_limits limits = {.strict = strict};
    struct contract_error err = {0};
    struct buf first = BUF_INIT, second = BUF_INIT;
    void *in = arena_alloc(a, m->size), *out = arena_alloc(a, m->size);
    if (contract_parse(m, a, text, len, &limits, in, &err) != 0) {
        text_check(&err);
        return;
    }
    if (contract_serialize(m, in, &first) != 0 ||
        contract_parse(m, a, first.data, first.len, &limits, out, &err) != 0 ||
        contract_serialize(m, out, &second) != 0 || first.len != second.len ||
        memcmp(first.data, second.data, first.len) != 0) {
        abort();
    }
    buf_free(&first);
    buf_free(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    log_set_level(LOG_OFF);
    struct arena *a = arena_create((size_t)64 << 20);
    const char *text = (const char *)data + 1;
    message_check(messages[data[0] % COUNT_OF(messages)], a, text, size - 1, (data[0] & 0x80) != 0);
    arena_destroy(a);
    return 0;
}
