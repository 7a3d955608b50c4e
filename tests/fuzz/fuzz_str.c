/* Text from outside through base's readers: UTF-8, numbers, sizes, durations, times, and what escapes text
 * for JSON and the log. Besides memory errors it checks what must hold between them. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log_internal.h"
#include "base/str.h"
#include "base/ulid.h"

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void fuzz_utf8(const char *s, size_t len)
{
    size_t valid = utf8_valid_prefix(s, len), at = 0;
    must(valid <= len && utf8_valid(s, valid) && utf8_valid(s, len) == (valid == len));
    while (at < len) {
        int step = utf8_next(s + at, len - at);
        must(step != 0 && step >= -3 && step <= 4);
        must(at >= valid ? true : step > 0);
        at += (size_t)abs(step);
    }
    must(at == len);
    size_t tail = utf8_incomplete_tail(s, len);
    must(tail <= 3 && tail <= len);
    must(tail == 0 || valid <= len - tail);
    must(utf8_count(s, len) <= len);

    struct buf b = BUF_INIT;
    must(buf_put_json_string(&b, s, len) == 0);
    must(utf8_valid(b.data, b.len) && b.len >= 2 && b.data[b.len - 1] == '"');
    for (size_t i = 0; i < b.len; i++)
        must((unsigned char)b.data[i] >= 0x20);
    buf_free(&b);
}

static void fuzz_numbers(const char *s)
{
    int64_t i = 0;
    uint64_t u;
    double d;
    bool t;
    char time[32];
    if (str_to_i64(s, -1000, 1000, &i) == 0)
        must(i >= -1000 && i <= 1000);
    (void)str_to_i64(s, INT64_MIN, INT64_MAX, &i);
    if (str_to_f64(s, &d) == 0)
        must(isfinite(d));
    (void)str_to_bool(s, &t);
    (void)str_to_bytes(s, &u);
    if (str_to_duration_ms(s, &i) == 0)
        must(i >= 0);
    (void)clock_parse(s, 1000, &i);
    if (clock_parse(s, -1, &i) == 0) { /* what is understood is written so that it is understood again */
        int64_t again;
        must(clock_parse(clock_format(i, time), -1, &again) == 0 || i < -62167219200000 ||
             i > 253402300799999);
        must(i < -62167219200000 || i > 253402300799999 || again == i);
    }
    must(ulid_valid(s) == (ulid_time_ms(s) >= 0));
}

static void fuzz_names(const char *s)
{
    const char *const names[] = {"temperature", "top_p", s, "max_tokens"};
    size_t out[4], n = str_nearest(s, names, COUNT_OF(names), out, COUNT_OF(out));
    must(n <= COUNT_OF(names));
    must(s[0] == '\0' || (n > 0 && str_distance(s, names[out[0]], 0) == 0));
    must(str_distance(s, "temperature", 5) == str_distance("temperature", s, 5));
}

static void fuzz_log(const char *s)
{
    static struct log_line line;
    size_t len = strlen(s), from = 0, start, end;
    while (log_find_secret(s, len, from, &start, &end)) {
        must(start >= from && end > start && end <= len);
        from = end;
    }
    const struct log_field fields[] = {LOG_S("value", s), LOG_S(s, "x"), LOG_S(s, s), LOG_I(s, 1)};
    const struct log_record r = {.module = "fuzz", .msg = s, .fields = fields, .n = COUNT_OF(fields)};
    for (int format = LOG_LOGFMT; format <= LOG_JSON; format++) {
        log_format(&line, (enum log_format)format, &r);
        must(line.len > 2 && line.len < LOG_LINE_MAX && utf8_valid(line.text, line.len));
        must(memchr(line.text + 1, '\n', line.len - 1) == line.text + line.len - 1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* Copies of the exact size, so that a byte too many is seen. */
    char *bytes = malloc(size ? size : 1), *text = malloc(size + 1);
    if (!bytes || !text)
        abort();
    if (size)
        memcpy(bytes, data, size);
    fuzz_utf8(bytes, size);
    if (size)
        memcpy(text, data, size);
    text[size] = '\0';
    fuzz_numbers(text);
    fuzz_names(text);
    fuzz_log(text);
    free(bytes);
    free(text);
    return 0;
}
