/* Log lines as the page shows them: whatever a line holds, there is a record, and it is JSON that its own
 * contract takes. And places of records, which clients send back. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "operator/panel/log_records.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct log_place place = {.time_ms = 1, .module = "engine-x", .at = 7}, read;
    struct operator_log_record record, again;
    struct contract_error bad;
    struct buf json = BUF_INIT;
    struct arena *a = arena_create(0);
    char *text = malloc(size + 1);
    char format[112];
    if (!a || !text)
        abort();
    memcpy(text, data, size);
    text[size] = '\0';
    if (log_record_fill(a, &place, LOG_INFO, text, size, &record) != 0 ||
        operator_log_record_serialize(&record, &json) != 0)
        abort();
    if (operator_log_record_parse(a, json.data, json.len, &again, &bad) != 0 || !again.message ||
        strcmp(again.message, record.message) != 0)
        abort();
    if (log_place_parse(text, &read)) {
        struct log_place twice;
        if (!log_place_parse(log_place_format(&read, format), &twice) ||
            log_place_compare(&read, &twice) != 0)
            abort();
    }
    buf_free(&json);
    arena_destroy(a);
    free(text);
    return 0;
}
