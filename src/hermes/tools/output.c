/* Three ways of reading. Text is passed on as it comes: escape sequences of terminals are taken out, bytes
 * that are not UTF-8 become U+FFFD, and white space at the end is held back until something follows. JSON
 * waits for the end. JSON lines are looked at one by one by the tool's rules; lines that are no JSON are
 * passed over and counted, for tools mix warnings into them. */
#include "hermes/tools/output.h"

#include <stdio.h>
#include <string.h>

#include <yyjson.h>

#include "base/error.h"
#include "base/str.h"

enum { ESCAPE_NONE, ESCAPE_BEGUN, ESCAPE_CSI, ESCAPE_STRING, ESCAPE_STRING_END };

void output_begin(struct output_reader *r, const struct tool_def *def,
                  void (*on_text)(void *ctx, const char *text, size_t len), void *ctx)
{
    *r = (struct output_reader){.def = def,
                                .on_text = on_text,
                                .ctx = ctx,
                                .prompt_tokens = -1,
                                .completion_tokens = -1,
                                .cached_tokens = -1};
}

void output_free(struct output_reader *r)
{
    buf_free(&r->pending);
    buf_free(&r->whole);
}

static void tell(struct output_reader *r, const char *text, size_t len)
{
    if (len == 0)
        return;
    if (r->told + len > OUTPUT_TEXT_MAX) {
        r->overflow = true;
        return;
    }
    r->told += len;
    r->begun = true;
    r->on_text(r->ctx, text, len);
}

/* ---- text ---- */

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\v' || c == '\f';
}

/* Whether the byte belongs to the text, and not to an escape sequence or to nothing. */
static bool text_byte(struct output_reader *r, char c)
{
    switch (r->escape) {
    case ESCAPE_BEGUN:
        r->escape = c == '['                                       ? ESCAPE_CSI
                    : c == ']' || c == 'P' || c == '^' || c == '_' ? ESCAPE_STRING
                                                                   : ESCAPE_NONE;
        return false;
    case ESCAPE_CSI:
        if (c >= 0x40 && c <= 0x7e)
            r->escape = ESCAPE_NONE;
        return false;
    case ESCAPE_STRING:
        r->escape = c == '\a' ? ESCAPE_NONE : c == '\x1b' ? ESCAPE_STRING_END : ESCAPE_STRING;
        return false;
    case ESCAPE_STRING_END:
        r->escape = ESCAPE_NONE;
        return false;
    default:
        break;
    }
    if (c == '\x1b') {
        r->escape = ESCAPE_BEGUN;
        return false;
    }
    return c == '\n' || c == '\t' || (unsigned char)c >= 0x20;
}

/* Tells the first n bytes of what is pending, made valid. */
static void tell_pending(struct output_reader *r, size_t n)
{
    const char *s = r->pending.data;
    size_t at = 0;
    while (at < n) {
        size_t good = utf8_valid_prefix(s + at, n - at);
        tell(r, s + at, good);
        at += good;
        if (at < n) {
            int bad = utf8_next(s + at, n - at);
            tell(r, "\xef\xbf\xbd", 3);
            at += bad < 0 ? (size_t)-bad : 1;
        }
    }
    buf_consume(&r->pending, n);
}

static int text_feed(struct output_reader *r, const char *data, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (!text_byte(r, data[i]) || (!r->begun && r->pending.len == 0 && is_space(data[i])))
            continue;
        if (buf_putc(&r->pending, data[i]) != 0)
            return VX11_ENOMEM;
    }
    size_t n = r->pending.len;
    while (n > 0 && is_space(r->pending.data[n - 1]))
        n--;
    /* A character that is not complete yet waits too. */
    for (size_t back = 1; back <= 3 && back <= n; back++) {
        unsigned char c = (unsigned char)r->pending.data[n - back];
        if (c < 0x80)
            break;
        if (c >= 0xc0) {
            size_t want = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
            if (want > back && n == r->pending.len)
                n -= back;
            break;
        }
    }
    if (n > 0)
        tell_pending(r, n);
    return 0;
}

static int text_end(struct output_reader *r)
{
    size_t n = r->pending.len;
    while (n > 0 && is_space(r->pending.data[n - 1]))
        n--;
    if (n > 0)
        tell_pending(r, n);
    return 0;
}

/* ---- JSON ---- */

/* Whether the value at the path is the string, or the truth value of that name. */
static bool holds(yyjson_val *root, const char *path, const char *value)
{
    yyjson_val *v = yyjson_ptr_get(root, path);
    if (yyjson_is_bool(v))
        return strcmp(value, yyjson_get_bool(v) ? "true" : "false") == 0;
    return yyjson_is_str(v) && strcmp(yyjson_get_str(v), value) == 0;
}

static bool applies(yyjson_val *root, const struct tool_rule *rule)
{
    for (size_t i = 0; i < COUNT_OF(rule->when); i++)
        if (rule->when[i].path && !holds(root, rule->when[i].path, rule->when[i].value))
            return false;
    return true;
}

/* -1: no sound number. */
static int64_t number_of(yyjson_val *v)
{
    if (yyjson_is_int(v) && (yyjson_is_uint(v) ? yyjson_get_uint(v) <= INT32_MAX : false))
        return (int64_t)yyjson_get_uint(v);
    return -1;
}

static void count(int64_t *total, bool *fresh, yyjson_val *v)
{
    int64_t n = number_of(v);
    if (n < 0)
        return;
    *total = *fresh || *total < 0 ? n : *total + n;
    *fresh = false;
}

static int apply_text(struct output_reader *r, enum tool_field field, yyjson_val *v)
{
    const char *s = yyjson_get_str(v);
    size_t len = yyjson_get_len(v);
    switch (field) {
    case TOOL_FIELD_DELTA:
        tell(r, s, len);
        break;
    case TOOL_FIELD_MESSAGE:
        if (r->begun && len > 0)
            tell(r, "\n\n", 2);
        tell(r, s, len);
        break;
    case TOOL_FIELD_TEXT:
        buf_clear(&r->whole);
        return len <= OUTPUT_TEXT_MAX ? buf_append(&r->whole, s, len) : 0;
    case TOOL_FIELD_ERROR:
        if (r->error[0] == '\0') {
            size_t cut = len < sizeof r->error - 1 ? len : sizeof r->error - 1;
            cut = utf8_valid_prefix(s, cut);
            memcpy(r->error, s, cut);
            r->error[cut] = '\0';
            if (cut == 0)
                (void)snprintf(r->error, sizeof r->error, "it failed and did not say why");
        }
        break;
    default:
        break;
    }
    return 0;
}

static int apply_rules(struct output_reader *r, yyjson_val *root)
{
    bool fresh_prompt = true, fresh_completion = true, fresh_cached = true;
    int rc = 0;
    for (const struct tool_rule *rule = r->def->rules; rc == 0 && rule && rule->field != TOOL_FIELD_END;
         rule++) {
        if (!applies(root, rule))
            continue;
        yyjson_val *v = yyjson_ptr_get(root, rule->path);
        if (rule->field == TOOL_FIELD_PROMPT_TOKENS)
            count(&r->prompt_tokens, &fresh_prompt, v);
        else if (rule->field == TOOL_FIELD_COMPLETION_TOKENS)
            count(&r->completion_tokens, &fresh_completion, v);
        else if (rule->field == TOOL_FIELD_CACHED_TOKENS)
            count(&r->cached_tokens, &fresh_cached, v);
        else if (yyjson_is_str(v))
            rc = apply_text(r, rule->field, v);
    }
    return rc;
}

/* One line, or a whole document. */
static int document(struct output_reader *r, const char *s, size_t len)
{
    yyjson_doc *doc = yyjson_read(s, len, 0);
    if (!doc) {
        r->lines_passed_over++;
        return 0;
    }
    int rc = apply_rules(r, yyjson_doc_get_root(doc));
    yyjson_doc_free(doc);
    return rc;
}

static bool blank(const char *s, size_t len)
{
    while (len > 0 && is_space(s[len - 1]))
        len--;
    return len == 0;
}

static int line_take(struct output_reader *r)
{
    int rc = 0;
    if (r->skipping)
        r->lines_passed_over++;
    else if (r->pending.len > 0 && !blank(r->pending.data, r->pending.len))
        rc = document(r, r->pending.data, r->pending.len);
    buf_clear(&r->pending);
    r->skipping = false;
    return rc;
}

static int jsonl_feed(struct output_reader *r, const char *data, size_t len)
{
    while (len > 0) {
        const char *end = memchr(data, '\n', len);
        size_t n = end ? (size_t)(end - data) : len;
        if (r->pending.len + n > OUTPUT_LINE_MAX)
            r->skipping = true;
        if (r->skipping)
            buf_clear(&r->pending);
        else if (buf_append(&r->pending, data, n) != 0)
            return VX11_ENOMEM;
        if (!end)
            return 0;
        int rc = line_take(r);
        if (rc != 0)
            return rc;
        data = end + 1;
        len -= n + 1;
    }
    return 0;
}

static int json_feed(struct output_reader *r, const char *data, size_t len)
{
    if (r->pending.len + len > OUTPUT_TEXT_MAX) {
        r->skipping = true;
        buf_clear(&r->pending);
    }
    return r->skipping ? 0 : buf_append(&r->pending, data, len);
}

int output_feed(struct output_reader *r, const char *data, size_t len)
{
    switch (r->def->output) {
    case TOOL_OUTPUT_JSON:
        return json_feed(r, data, len);
    case TOOL_OUTPUT_JSONL:
        return jsonl_feed(r, data, len);
    default:
        return text_feed(r, data, len);
    }
}

int output_end(struct output_reader *r)
{
    int rc = r->def->output == TOOL_OUTPUT_TEXT ? text_end(r) : line_take(r);
    /* The whole answer counts where no piece of it came. */
    if (rc == 0 && !r->begun && r->whole.len > 0)
        tell(r, r->whole.data, r->whole.len);
    return rc;
}
