/* One record as one line of logfmt or JSON. Everything from outside is escaped: quotes, backslashes, control
 * characters (also U+0080 to U+009F, which terminals obey, and U+2028/2029, which some readers take for line
 * ends), and invalid UTF-8 becomes U+FFFD. So a value can forge neither a record nor a field, nor play with
 * the terminal.
 *
 * The line has a fixed size. A value that does not fit is cut and ends in "…"; fields for which there is no
 * room are left out; either way the record says cut=true and is sound. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log_internal.h"
#include "base/str.h"

/* Kept free while values are written: the "…", the closing quote, the mark of a cut record, the end. */
enum { TAIL = 64, KEY_MAX = 64, VALUE_MAX = 4096 };

struct writer {
    struct log_line *line;
    enum log_format format;
};

static size_t room(const struct writer *w)
{
    return w->line->len + TAIL < LOG_LINE_MAX ? LOG_LINE_MAX - TAIL - w->line->len : 0;
}

/* Only for what is known to fit: TAIL covers it. */
static void put(struct writer *w, const char *s, size_t len)
{
    if (len > LOG_LINE_MAX - w->line->len)
        len = LOG_LINE_MAX - w->line->len;
    memcpy(w->line->text + w->line->len, s, len);
    w->line->len += len;
}

static void put_text(struct writer *w, const char *s)
{
    put(w, s, strlen(s));
}

/* The escape of a code point below U+10000 that must not be written as it is, else "". */
static const char *escape_of(unsigned code, char out[8])
{
    const char *shorts = "\"\"\\\\\nn\rr\tt";
    for (const char *p = shorts; *p; p += 2) {
        if ((unsigned char)*p == code) {
            snprintf(out, 8, "\\%c", p[1]);
            return out;
        }
    }
    bool bad = code < 0x20 || (code >= 0x7F && code < 0xA0) || code == 0x2028 || code == 0x2029;
    if (bad)
        snprintf(out, 8, "\\u%04x", code & 0xFFFF);
    return bad ? out : "";
}

static unsigned decode(const char *s, int len)
{
    const unsigned char *p = (const unsigned char *)s;
    if (len == 1)
        return p[0];
    if (len == 2)
        return (p[0] & 0x1Fu) << 6 | (p[1] & 0x3Fu);
    if (len == 3)
        return (p[0] & 0x0Fu) << 12 | (p[1] & 0x3Fu) << 6 | (p[2] & 0x3Fu);
    return 0x10000; /* past the ones that matter here */
}

/* Writes s escaped, without quotes, until the room ends; false when it was cut. */
static bool put_escaped(struct writer *w, const char *s, size_t len)
{
    while (len > 0) {
        char escape[8];
        int step = utf8_next(s, len);
        size_t used = (size_t)(step < 0 ? -step : step);
        const char *piece = step < 0 ? "\xEF\xBF\xBD" : escape_of(decode(s, step), escape);
        size_t n = strlen(piece);
        if (n == 0) {
            piece = s;
            n = used;
        }
        if (n > room(w)) {
            put_text(w, "…");
            w->line->cut = true;
            return false;
        }
        put(w, piece, n);
        s += used;
        len -= used;
    }
    return true;
}

static bool is_plain(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)s[i];
        if (c <= 0x20 || c >= 0x7F || c == '"' || c == '=' || c == '\\')
            return false;
    }
    return len > 0;
}

/* Most values are one word of letters, digits, '_' and '-', which no format quotes and which can only be a
 * secret as a whole. */
static bool is_word(const char *s, size_t *len)
{
    size_t n = 0;
    while ((s[n] >= 'a' && s[n] <= 'z') || (s[n] >= '0' && s[n] <= '9') || (s[n] >= 'A' && s[n] <= 'Z') ||
           s[n] == '_' || s[n] == '-')
        n++;
    *len = n;
    return n > 0 && s[n] == '\0';
}

/* s with its secrets masked, quoted as the format wants it. */
static void put_string(struct writer *w, const char *s)
{
    static const char mask[] = "[redacted]";
    size_t word;
    if (w->format == LOG_LOGFMT && is_word(s, &word) && word <= room(w) && word <= VALUE_MAX &&
        !log_word_is_secret(s, word)) {
        put(w, s, word);
        return;
    }
    /* Secrets are looked for a good way past the cut, so that half of one is not taken for harmless. */
    size_t seen = strnlen(s, VALUE_MAX + 1024), len = seen, from = 0, start = 0, end = 0;
    if (len > VALUE_MAX)
        len = VALUE_MAX - utf8_incomplete_tail(s, VALUE_MAX);
    bool longer = len < seen;
    bool found = log_find_secret(s, seen, 0, &start, &end);
    bool quoted = w->format == LOG_JSON || found || longer || !is_plain(s, len);
    if (quoted)
        put(w, "\"", 1);
    bool fits = true;
    for (; fits && found && start < len; found = log_find_secret(s, seen, from, &start, &end)) {
        fits = put_escaped(w, s + from, start - from) && put_escaped(w, mask, sizeof mask - 1);
        from = end;
    }
    fits = fits && (from >= len || put_escaped(w, s + from, len - from));
    if (fits && longer) {
        put_text(w, "…");
        w->line->cut = true;
    }
    if (quoted)
        put(w, "\"", 1);
}

static void put_key(struct writer *w, const char *key)
{
    bool json = w->format == LOG_JSON;
    size_t first = json ? 2 : 1; /* text[0] is free, JSON begins with a brace */
    if (w->line->len > first)
        put(w, json ? "," : " ", 1);
    if (json)
        put(w, "\"", 1);
    size_t n = 0;
    bool word = key && is_word(key, &n) && n <= KEY_MAX;
    if (word)
        put(w, key, n);
    size_t most = word || !key ? 0 : strnlen(key, KEY_MAX);
    for (n = word ? n : 0; n < most; n++) {
        char c = key[n];
        bool fine = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
                    c == '.' || c == '-';
        put(w, fine ? &c : "_", 1);
    }
    if (n == 0)
        put(w, "_", 1);
    put_text(w, json ? "\":" : "=");
}

static void put_string_field(struct writer *w, const char *key, const char *value, bool secret)
{
    if (room(w) < KEY_MAX + TAIL) {
        w->line->cut = true;
        return;
    }
    put_key(w, key);
    if (secret)
        put_text(w, w->format == LOG_JSON ? "\"[redacted]\"" : "[redacted]");
    else if (value)
        put_string(w, value);
    else
        put_text(w, "null");
}

static void put_number_field(struct writer *w, const struct log_field *f)
{
    char text[32] = "null"; /* not a number, or infinite */
    if (room(w) < KEY_MAX + TAIL) {
        w->line->cut = true;
        return;
    }
    put_key(w, f->key);
    if (f->type == LOG_FIELD_BOOL) {
        snprintf(text, sizeof text, "%s", f->v.i ? "true" : "false");
    } else if (f->type == LOG_FIELD_INT) {
        snprintf(text, sizeof text, "%lld", (long long)f->v.i);
    } else if (isfinite(f->v.d)) {
        snprintf(text, sizeof text, "%.9g", f->v.d);
        char *comma = strchr(text, ','); /* the locale's */
        if (comma)
            *comma = '.';
    }
    put_text(w, text);
}

static void put_field(struct writer *w, const struct log_field *f)
{
    bool secret = f->key && f->type != LOG_FIELD_BOOL && log_key_is_secret(f->key, strlen(f->key));
    if (f->type == LOG_FIELD_STRING)
        put_string_field(w, f->key, f->v.s, secret && f->v.s && f->v.s[0]);
    else if (secret)
        put_string_field(w, f->key, "", true);
    else
        put_number_field(w, f);
}

void log_format(struct log_line *line, enum log_format format, const struct log_record *record)
{
    struct writer w = {.line = line, .format = format};
    char time[32];
    line->len = 0;
    line->cut = false;
    put(&w, "\n", 1);
    if (format == LOG_JSON)
        put(&w, "{", 1);
    put_string_field(&w, "time", clock_format(record->time_ms, time), false);
    put_string_field(&w, "level", log_level_name(record->level), false);
    put_string_field(&w, "module", record->module, false);
    if (record->part && record->part[0])
        put_string_field(&w, "part", record->part, false);
    put_string_field(&w, "msg", record->msg ? record->msg : "", false);
    if (record->request && record->request[0])
        put_string_field(&w, "request_id", record->request, false);
    for (size_t i = 0; i < record->n; i++)
        put_field(&w, &record->fields[i]);
    if (line->cut) {
        put_key(&w, "cut");
        put_text(&w, "true");
    }
    put_text(&w, format == LOG_JSON ? "}\n" : "\n");
}
