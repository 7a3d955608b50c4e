/* Record: time and level of one line of a log, in either format. Both are read leniently and never beyond the
 * line: a log may hold anything, half a line of a process that was killed among it. */
#include "base/log_reader.h"

#include <string.h>

#include "base/clock.h"

struct scan {
    const char *s;
    size_t len, at;
};

/* A value in quotes from at (behind the first quote) to before the last one; escapes are skipped, not
 * decoded: times and levels have none. */
static void scan_quoted(struct scan *x, size_t *start, size_t *n)
{
    *start = x->at;
    while (x->at < x->len && x->s[x->at] != '"')
        x->at += x->s[x->at] == '\\' && x->at + 1 < x->len ? 2 : 1;
    *n = x->at - *start;
    if (x->at < x->len)
        x->at++;
}

static void head_take(struct log_head *out, const char *line, const char *key, size_t key_len, size_t at,
                      size_t n)
{
    char word[40];
    if (n == 0 || n >= sizeof word)
        return;
    memcpy(word, line + at, n);
    word[n] = '\0';
    if (!out->has_time && key_len == 4 && memcmp(key, "time", 4) == 0)
        out->has_time = clock_parse(word, -1, &out->time_ms) == 0;
    if (!out->has_level && key_len == 5 && memcmp(key, "level", 5) == 0 &&
        log_level_parse(word, &out->level) == 0) {
        out->has_level = true;
        out->level_at = at;
        out->level_len = n;
    }
}

static void parse_logfmt(struct scan *x, struct log_head *out)
{
    while (x->at < x->len && !(out->has_time && out->has_level)) {
        while (x->at < x->len && x->s[x->at] == ' ')
            x->at++;
        size_t key = x->at, value, n;
        while (x->at < x->len && x->s[x->at] != '=' && x->s[x->at] != ' ')
            x->at++;
        size_t key_len = x->at - key;
        if (x->at >= x->len || x->s[x->at] != '=')
            continue;
        x->at++;
        if (x->at < x->len && x->s[x->at] == '"') {
            x->at++;
            scan_quoted(x, &value, &n);
        } else {
            value = x->at;
            while (x->at < x->len && x->s[x->at] != ' ')
                x->at++;
            n = x->at - value;
        }
        head_take(out, x->s, x->s + key, key_len, value, n);
    }
}

/* Members of the outermost object that are strings; others are passed over by their quotes and brackets. */
static void parse_json(struct scan *x, struct log_head *out)
{
    unsigned depth = 0;
    size_t key = 0, key_len = 0;
    bool is_value = false;
    for (; x->at < x->len && !(out->has_time && out->has_level);) {
        char c = x->s[x->at++];
        if (c == '{' || c == '[') {
            depth++;
        } else if (c == '}' || c == ']') {
            depth = depth ? depth - 1 : 0;
        } else if (c == ':') {
            is_value = true;
        } else if (c == ',') {
            is_value = false;
        } else if (c == '"') {
            size_t start, n;
            scan_quoted(x, &start, &n);
            if (depth == 1 && is_value)
                head_take(out, x->s, x->s + key, key_len, start, n);
            key = start;
            key_len = n;
        }
    }
}

void log_head_parse(const char *line, size_t len, struct log_head *out)
{
    struct scan x = {.s = line, .len = len};
    *out = (struct log_head){.level = LOG_INFO};
    if (len > 0 && line[0] == '{')
        parse_json(&x, out);
    else
        parse_logfmt(&x, out);
}
