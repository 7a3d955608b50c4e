/* Key: when two requests are the same. Their JSON is written in one way only (members sorted by their bytes,
 * numbers by their value, strings with the escapes that must be), what says nothing of the answer is left
 * out, and the result is hashed. Text is compared as it is: two ways to write an accent are two prompts. */
#include "switch/cache/cache.h"

#include <inttypes.h>
#include <math.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"

/* Members of a request that do not change what the answer says. The model is hashed apart, as it was asked
 * for. */
static const char *const silent[] = {"model",
                                     "stream",
                                     "stream_options",
                                     "user",
                                     "metadata",
                                     "keep_alive",
                                     "store",
                                     "service_tier",
                                     "provider",
                                     "provider_hint",
                                     "safety_identifier",
                                     "prompt_cache_key",
                                     "prompt_cache_retention"};

/* Members whose value is what holds anyway. */
static bool is_default(const char *name, yyjson_val *v)
{
    static const struct {
        const char *name;
        double number;
    } numbers[] = {{"n", 1}, {"best_of", 1}, {"top_p", 1}, {"presence_penalty", 0}, {"frequency_penalty", 0}};
    static const char *const off[] = {"logprobs", "echo", "ignore_eos"};
    static const char *const empty[] = {"tools", "stop", "logit_bias", "functions"};
    if (yyjson_is_null(v))
        return true;
    for (size_t i = 0; i < COUNT_OF(numbers); i++)
        if (str_eq(name, numbers[i].name))
            return yyjson_is_num(v) && yyjson_get_num(v) == numbers[i].number;
    for (size_t i = 0; i < COUNT_OF(off); i++)
        if (str_eq(name, off[i]))
            return yyjson_is_false(v);
    for (size_t i = 0; i < COUNT_OF(empty); i++)
        if (str_eq(name, empty[i]))
            return (yyjson_is_arr(v) || yyjson_is_obj(v)) && yyjson_get_len(v) == 0;
    if (str_eq(name, "parallel_tool_calls"))
        return yyjson_is_true(v);
    if (str_eq(name, "tool_choice"))
        return yyjson_equals_str(v, "auto");
    if (str_eq(name, "encoding_format"))
        return yyjson_equals_str(v, "float");
    if (str_eq(name, "response_format"))
        return yyjson_obj_size(v) == 1 && yyjson_equals_str(yyjson_obj_get(v, "type"), "text");
    return false;
}

static bool left_out(yyjson_val *key, yyjson_val *value)
{
    const char *name = yyjson_get_str(key);
    for (size_t i = 0; i < COUNT_OF(silent); i++)
        if (str_eq(name, silent[i]))
            return true;
    return is_default(name, value);
}

static int by_name(const void *a, const void *b)
{
    yyjson_val *x = *(yyjson_val *const *)a, *y = *(yyjson_val *const *)b;
    size_t m = yyjson_get_len(x), n = yyjson_get_len(y);
    int order = memcmp(yyjson_get_str(x), yyjson_get_str(y), m < n ? m : n);
    return order ? order : (m > n) - (m < n);
}

static int put_object(yyjson_val *object, bool members, struct buf *out)
{
    size_t n = 0, i, count = yyjson_obj_size(object);
    yyjson_val **keys = calloc(count + 1, sizeof *keys), *key, *value;
    if (!keys)
        return VX11_ENOMEM;
    yyjson_obj_foreach(object, i, count, key, value) if (!members || !left_out(key, value)) keys[n++] = key;
    qsort(keys, n, sizeof *keys, by_name);
    int rc = buf_putc(out, '{');
    for (i = 0; i < n && rc == 0; i++) {
        if (i > 0)
            buf_putc(out, ',');
        buf_put_json_string(out, yyjson_get_str(keys[i]), yyjson_get_len(keys[i]));
        buf_putc(out, ':');
        rc = cache_canonical(yyjson_obj_iter_get_val(keys[i]), false, out);
    }
    free(keys);
    return rc ? rc : buf_putc(out, '}');
}

static int put_array(yyjson_val *array, struct buf *out)
{
    size_t i, n;
    yyjson_val *value;
    int rc = buf_putc(out, '[');
    yyjson_arr_foreach(array, i, n, value)
    {
        if (i > 0)
            buf_putc(out, ',');
        if (rc == 0)
            rc = cache_canonical(value, false, out);
    }
    return rc ? rc : buf_putc(out, ']');
}

/* 1, 1.0 and 1e0 are one number. */
static int put_number(yyjson_val *v, struct buf *out)
{
    if (yyjson_is_uint(v))
        return buf_printf(out, "%" PRIu64, yyjson_get_uint(v));
    if (yyjson_is_sint(v))
        return buf_printf(out, "%" PRId64, yyjson_get_sint(v));
    double d = yyjson_get_real(v);
    if (d == trunc(d) && fabs(d) < 9223372036854775808.0)
        return buf_printf(out, "%" PRId64, (int64_t)d);
    return buf_printf(out, "%.17g", d);
}

int cache_canonical(yyjson_val *value, bool members, struct buf *out)
{
    switch (yyjson_get_type(value)) {
    case YYJSON_TYPE_OBJ:
        return put_object(value, members, out);
    case YYJSON_TYPE_ARR:
        return put_array(value, out);
    case YYJSON_TYPE_STR:
        return buf_put_json_string(out, yyjson_get_str(value), yyjson_get_len(value));
    case YYJSON_TYPE_NUM:
        return put_number(value, out);
    case YYJSON_TYPE_BOOL:
        return buf_puts(out, yyjson_get_bool(value) ? "true" : "false");
    default:
        return buf_puts(out, "null");
    }
}

static void hash_text(crypto_generichash_state *h, const char *text)
{
    char head[32];
    size_t len = text ? strlen(text) : 0;
    snprintf(head, sizeof head, "%s%zu:", text ? "+" : "-", len); /* where each ends is part of it */
    crypto_generichash_update(h, (const unsigned char *)head, strlen(head));
    if (len > 0)
        crypto_generichash_update(h, (const unsigned char *)text, len);
}

int cache_key(const struct cache_ask *ask, unsigned char out[CACHE_KEY_LEN])
{
    static const char *const kinds[] = {"chat", "completion", "embedding"};
    yyjson_val *temperature = yyjson_obj_get(ask->body, "temperature");
    if (!yyjson_is_obj(ask->body) ||
        (ask->kind != CACHE_EMBEDDING && !(yyjson_is_num(temperature) && yyjson_get_num(temperature) == 0)))
        return VX11_EUNSUPPORTED;
    struct buf text = BUF_INIT;
    int rc = cache_canonical(ask->body, true, &text);
    if (rc == 0 && (text.failed || sodium_init() < 0))
        rc = VX11_ENOMEM;
    if (rc == 0) {
        crypto_generichash_state h;
        crypto_generichash_init(&h, NULL, 0, CACHE_KEY_LEN);
        const char *parts[] = {"1",       kinds[ask->kind], ask->scope, ask->model,
                               ask->only, ask->hint,        ask->mode,  ask->local_only ? "local" : "any"};
        for (size_t i = 0; i < COUNT_OF(parts); i++)
            hash_text(&h, parts[i]);
        crypto_generichash_update(&h, (const unsigned char *)text.data, text.len);
        crypto_generichash_final(&h, out, CACHE_KEY_LEN);
    }
    buf_free(&text);
    return rc;
}

void cache_control_parse(const char *header, struct cache_control *out)
{
    *out = (struct cache_control){.max_age_ms = -1};
    for (const char *at = header; at && *at;) {
        at += strspn(at, " \t,");
        size_t len = strcspn(at, ",");
        size_t word = strcspn(at, " \t,");
        int64_t seconds;
        char age[24];
        if (word == 8 && strncasecmp(at, "no-cache", 8) == 0)
            out->no_cache = true;
        else if (word == 8 && strncasecmp(at, "no-store", 8) == 0)
            out->no_store = true;
        else if (word > 8 && word < 8 + sizeof age && strncasecmp(at, "max-age=", 8) == 0) {
            memcpy(age, at + 8, word - 8);
            age[word - 8] = '\0';
            if (str_to_i64(age, 0, INT64_MAX / 1000, &seconds) == 0)
                out->max_age_ms = seconds * 1000;
        }
        at += len;
    }
}
