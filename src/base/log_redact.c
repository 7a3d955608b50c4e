/* What must not be written to a log. Two ways to know a secret:
 *
 *   by its key   api_key, X-Api-Key, accessToken, password: the last word of the name says so. Plurals of
 * "token" and names that go on after it (token_count, key_path) are counters and places, and stay readable.
 *   by its look  "Bearer …", "sk-…", "vx11_…" and other well-known prefixes followed by enough characters;
 * name=value or "name": "value" inside a text, where name is such a key; the user:password of a URL.
 *
 * It errs on the side of hiding. */
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/log_internal.h"
#include "base/str.h"

static bool is_alnum(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_name_char(char c)
{
    return is_alnum(c) || c == '_' || c == '-';
}

/* token68 of RFC 7235, and the dot: what opaque tokens are made of. */
static bool is_token_char(char c)
{
    return is_name_char(c) || c == '.' || c == '~' || c == '+' || c == '/' || c == '=';
}

static bool is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

static bool ends_with(const char *s, size_t len, const char *word)
{
    size_t n = strlen(word);
    /* Nearly every name is told apart by its last letter already. */
    return len >= n && (s[len - 1] | 0x20) == word[n - 1] && strncasecmp(s + len - n, word, n) == 0;
}

bool log_key_is_secret(const char *key, size_t len)
{
    static const char *const endings[] = {"token",      "secret",        "password", "passwd",  "passphrase",
                                          "apikey",     "authorization", "cookie",   "secrets", "passwords",
                                          "credential", "credentials",   "cookies"};
    for (size_t i = 0; i < COUNT_OF(endings); i++) {
        if (ends_with(key, len, endings[i]))
            return true;
    }
    /* "key" only as a word of its own: not "monkey". "apiKey" has its own by the capital. */
    if (!ends_with(key, len, "key"))
        return false;
    if (len == 3)
        return true;
    char before = key[len - 4];
    return !is_alnum(before) || (is_upper(key[len - 3]) && !is_upper(before));
}

/* Well-known prefixes and how many token characters must follow to take it for a secret. Ours is also how
 * metrics begin (vx11_http_requests_total): there a digit or a capital must be among them, which 32 random
 * bytes never lack. */
static const struct {
    const char *text;
    size_t least;
    bool mixed;
} prefixes[] = {{"sk-", 8, false},   {"vx11_", 32, true},        {"hf_", 16, false},   {"gsk_", 16, false},
                {"ghp_", 16, false}, {"github_pat_", 16, false}, {"xoxb-", 10, false}, {"AIza", 30, false}};

static bool is_mixed(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (is_upper(s[i]) || (s[i] >= '0' && s[i] <= '9'))
            return true;
    }
    return false;
}

static size_t name_run(const char *s, size_t len)
{
    size_t n = 0;
    while (n < len && is_name_char(s[n]))
        n++;
    return n;
}

static size_t token_run(const char *s, size_t len)
{
    size_t n = 0;
    while (n < len && is_token_char(s[n]))
        n++;
    return n;
}

/* Length of the secret that begins at s, which is at the beginning of a word; 0: none. */
static size_t secret_by_prefix(const char *s, size_t len)
{
    for (size_t i = 0; i < COUNT_OF(prefixes); i++) {
        size_t n = strlen(prefixes[i].text);
        if (len < n || memcmp(s, prefixes[i].text, n) != 0)
            continue;
        size_t run = name_run(s + n, len - n);
        if (run >= prefixes[i].least && (!prefixes[i].mixed || is_mixed(s + n, run)))
            return n + run;
    }
    if (len > 7 && strncasecmp(s, "bearer", 6) == 0 && (s[6] == ' ' || s[6] == '\t')) {
        size_t at = 7;
        while (at < len && (s[at] == ' ' || s[at] == '\t'))
            at++;
        size_t run = token_run(s + at, len - at);
        if (run >= 6)
            return at + run;
    }
    return 0;
}

/* Where the value that begins at `from` ends. */
static size_t value_end(const char *s, size_t len, size_t from, bool whole_line)
{
    size_t to = from;
    while (to < len && s[to] != '\n' && s[to] != '"' && s[to] != '\\' &&
           (whole_line || !strchr(" \t&,;)]}'", s[to])))
        to++;
    return to;
}

/* As value_end, for a quoted value: up to the same quote, over escaped characters. A value in JSON inside
 * JSON opens with \" and closes with it. */
static size_t quoted_end(const char *s, size_t len, size_t from, char quote, bool escaped)
{
    size_t to = from;
    while (to < len && s[to] != quote) {
        if (s[to] == '\\' && escaped)
            break;
        to += s[to] == '\\' && to + 1 < len ? 2 : 1;
    }
    return to;
}

/* s[at] is '=' or ':'. When the name before it is a secret's, finds the value behind it. */
static bool secret_by_name(const char *s, size_t len, size_t at, size_t *start, size_t *end)
{
    size_t stop = at;
    bool quoted = at > 0 && (s[at - 1] == '"' || s[at - 1] == '\'');
    if (quoted)
        stop--;
    if (quoted && stop > 0 && s[stop - 1] == '\\')
        stop--;
    size_t begin = stop;
    while (begin > 0 && is_name_char(s[begin - 1]))
        begin--;
    const char *name = s + begin;
    size_t n = stop - begin, from = at + 1;
    if (n == 0 || !log_key_is_secret(name, n))
        return false;
    /* "unknown key: temprature" is a sentence. */
    bool bare = (n == 3 && ends_with(name, n, "key")) || (n == 5 && ends_with(name, n, "token"));
    if (s[at] == ':' && !quoted && bare)
        return false;

    while (from < len && s[from] == ' ')
        from++;
    bool escaped = from + 1 < len && s[from] == '\\' && s[from + 1] == '"';
    from += escaped;
    if (from < len && (s[from] == '"' || s[from] == '\'')) {
        *start = from + 1;
        *end = quoted_end(s, len, from + 1, s[from], escaped);
    } else {
        /* Headers have values of several words: "Authorization: Basic dXNlcjpwYXNz". */
        bool header = ends_with(name, n, "authorization") || ends_with(name, n, "cookie");
        *start = from;
        *end = value_end(s, len, from, header);
    }
    return *end > *start;
}

/* s begins with "://". The user information of a URL when it holds a password. */
static bool secret_in_url(const char *s, size_t len, size_t at, size_t *start, size_t *end)
{
    bool colon = false;
    for (size_t i = at + 3; i < len; i++) {
        if (s[i] == '@') {
            *start = at + 3;
            *end = i;
            return colon;
        }
        if (s[i] == ':')
            colon = true;
        if (s[i] == '/' || s[i] == '?' || s[i] == '#' || s[i] == ' ' || s[i] == '"')
            return false;
    }
    return false;
}

bool log_find_secret(const char *s, size_t len, size_t from, size_t *start, size_t *end)
{
    for (size_t i = from; i < len; i++) {
        if (s[i] == '=' || s[i] == ':') {
            if (secret_by_name(s, len, i, start, end))
                return true;
            if (len - i > 3 && memcmp(s + i, "://", 3) == 0 && secret_in_url(s, len, i, start, end))
                return true;
            continue;
        }
        if (!is_alnum(s[i]) || (i > 0 && is_name_char(s[i - 1])))
            continue;
        size_t n = secret_by_prefix(s + i, len - i);
        if (n > 0) {
            *start = i;
            *end = i + n;
            return true;
        }
    }
    return false;
}

bool log_word_is_secret(const char *s, size_t len)
{
    /* A prefix counts where a word of letters and digits begins; behind a '_' or '-' none does. */
    return len > 0 && is_alnum(s[0]) && secret_by_prefix(s, len) > 0;
}

bool log_is_secret(const char *key, const char *value)
{
    size_t start, end;
    if (key && log_key_is_secret(key, strlen(key)))
        return true;
    return value && log_find_secret(value, strlen(value), 0, &start, &end);
}

int log_redact(const char *text, size_t len, struct buf *out)
{
    size_t at = 0, start, end;
    while (log_find_secret(text, len, at, &start, &end)) {
        buf_append(out, text + at, start - at);
        buf_puts(out, "[redacted]");
        at = end;
    }
    buf_append(out, text + at, len - at);
    return out->failed ? VX11_ENOMEM : 0;
}
