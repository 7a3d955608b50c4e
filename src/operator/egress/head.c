/* Heads of requests to a proxy. Strict: what a browser does not send is refused. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"
#include "operator/egress/egress_internal.h"

struct line {
    const char *name, *value;
    size_t name_len, value_len;
};

/* The next line of fields; false at the empty one. bad: it is no field. */
static bool next_field(const char **at, const char *end, struct line *out, bool *bad)
{
    const char *p = *at, *stop = memmem(p, (size_t)(end - p), "\r\n", 2);
    if (!stop || stop == p)
        return false;
    const char *colon = memchr(p, ':', (size_t)(stop - p));
    *bad = *bad || !colon || colon == p;
    *at = stop + 2;
    if (*bad)
        return false;
    *out = (struct line){.name = p, .name_len = (size_t)(colon - p), .value = colon + 1};
    while (out->value < stop && (*out->value == ' ' || *out->value == '\t'))
        out->value++;
    while (stop > out->value && (stop[-1] == ' ' || stop[-1] == '\t'))
        stop--;
    out->value_len = (size_t)(stop - out->value);
    for (const char *c = out->name; c < colon; c++)
        *bad = *bad || (unsigned char)*c <= ' ' || (unsigned char)*c >= 0x7f;
    for (const char *c = out->value; c < stop; c++)
        *bad = *bad || *c == '\r' || *c == '\n' || *c == '\0';
    return !*bad;
}

static bool is_name(const struct line *l, const char *name)
{
    return l->name_len == strlen(name) && strncasecmp(l->name, name, l->name_len) == 0;
}

static int base64_value(char c)
{
    return c >= 'A' && c <= 'Z'   ? c - 'A'
           : c >= 'a' && c <= 'z' ? c - 'a' + 26
           : c >= '0' && c <= '9' ? c - '0' + 52
           : c == '+'             ? 62
           : c == '/'             ? 63
                                  : -1;
}

/* "Basic dXNlcjpwYXNz" */
static void credentials_read(const struct line *l, struct head *out)
{
    char text[160];
    size_t n = 0;
    unsigned bits = 0, held = 0;
    if (l->value_len < 7 || l->value_len > 180 || strncasecmp(l->value, "Basic ", 6) != 0)
        return;
    for (size_t i = 6; i < l->value_len && l->value[i] != '='; i++) {
        const int v = base64_value(l->value[i]);
        if (v < 0)
            return;
        bits = (bits << 6 | (unsigned)v) & 0xffffffu;
        held += 6;
        if (held >= 8) {
            held -= 8;
            if (n + 1 >= sizeof text)
                return;
            text[n++] = (char)(bits >> held);
        }
    }
    text[n] = '\0';
    const char *colon = strchr(text, ':');
    if (!colon || strlen(text) != n || (size_t)(colon - text) >= sizeof out->user ||
        strlen(colon + 1) >= sizeof out->password)
        return;
    (void)snprintf(out->user, sizeof out->user, "%.*s", (int)(colon - text), text);
    (void)snprintf(out->password, sizeof out->password, "%.63s", colon + 1);
    out->user[utf8_valid_prefix(out->user, strlen(out->user))] = '\0';
    explicit_bzero(text, sizeof text);
}

static bool length_read(const struct line *l, bool *given, int64_t *out)
{
    char number[24];
    int64_t value;
    if (l->value_len == 0 || l->value_len >= sizeof number)
        return false;
    (void)snprintf(number, sizeof number, "%.*s", (int)l->value_len, l->value);
    if (!isdigit((unsigned char)number[0]) || str_to_i64(number, 0, INT64_MAX, &value) != 0 ||
        (*given && value != *out))
        return false;
    *given = true;
    *out = value;
    return true;
}

/* "METHOD target HTTP/1.x" */
static bool first_read(const char *text, const char *stop, struct head *out)
{
    const char *a = memchr(text, ' ', (size_t)(stop - text));
    const char *b = a ? memchr(a + 1, ' ', (size_t)(stop - a - 1)) : NULL;
    if (!b || a == text || (size_t)(a - text) >= sizeof out->method || (size_t)(b - a) > sizeof out->target ||
        stop - b != 9 || memcmp(b + 1, "HTTP/1.", 7) != 0 || (b[8] != '0' && b[8] != '1'))
        return false;
    (void)snprintf(out->method, sizeof out->method, "%.*s", (int)(a - text), text);
    (void)snprintf(out->target, sizeof out->target, "%.*s", (int)(b - a - 1), a + 1);
    for (const char *c = out->method; *c; c++)
        if (!isupper((unsigned char)*c) && *c != '-')
            return false;
    return strlen(out->method) == (size_t)(a - text) && strlen(out->target) == (size_t)(b - a - 1);
}

int head_read(const char *text, size_t len, struct head *out)
{
    const char *end = text + len, *at = memmem(text, len, "\r\n", 2);
    struct line l;
    bool bad = false, given = false, chunked = false;
    *out = (struct head){0};
    if (!at || !first_read(text, at, out))
        return VX11_EINVALID;
    at += 2;
    while (next_field(&at, end, &l, &bad)) {
        if (is_name(&l, "Proxy-Authorization"))
            credentials_read(&l, out);
        else if (is_name(&l, "Content-Length"))
            bad = !length_read(&l, &given, &out->body);
        else if (is_name(&l, "Transfer-Encoding"))
            chunked = true;
        if (bad)
            break;
    }
    out->tunnel = strcmp(out->method, "CONNECT") == 0;
    if (bad || (out->tunnel && out->body > 0))
        return VX11_EINVALID;
    return chunked ? VX11_EUNSUPPORTED : 0;
}

static bool between_us(const struct line *l)
{
    static const char *const names[] = {"Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authorization",
                                        "Upgrade",    "TE",         "Trailer",          "Host"};
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (is_name(l, names[i]))
            return true;
    return false;
}

/* Does a Connection field name this one? Then it is meant for us, not for the server. */
static bool is_listed(const char *fields, const char *end, const struct line *l)
{
    struct line c;
    bool bad = false;
    while (next_field(&fields, end, &c, &bad)) {
        const char *at = c.value, *stop = c.value + c.value_len;
        while (is_name(&c, "Connection") && at < stop) {
            const char *comma = memchr(at, ',', (size_t)(stop - at));
            const char *last = comma ? comma : stop;
            while (at < last && (*at == ' ' || *at == '\t'))
                at++;
            while (last > at && (last[-1] == ' ' || last[-1] == '\t'))
                last--;
            if ((size_t)(last - at) == l->name_len && strncasecmp(at, l->name, l->name_len) == 0)
                return true;
            at = comma ? comma + 1 : stop;
        }
    }
    return false;
}

int head_forward(const char *text, size_t len, const struct head *h, struct buf *out)
{
    const char *end = text + len, *at = memmem(text, len, "\r\n", 2);
    const char *host = strstr(h->target, "://");
    struct line l;
    bool bad = false;
    if (!at || !host)
        return VX11_EINVALID;
    host += 3;
    const size_t host_len = strcspn(host, "/?#");
    const char *path = host + host_len;
    (void)buf_printf(out, "%s %s%.*s HTTP/1.1\r\nHost: %.*s\r\n", h->method, *path == '/' ? "" : "/",
                     (int)strcspn(path, "#"), path, (int)host_len, host);
    const char *fields = at += 2;
    while (next_field(&at, end, &l, &bad))
        if (!between_us(&l) && !is_listed(fields, end, &l))
            (void)buf_printf(out, "%.*s: %.*s\r\n", (int)l.name_len, l.name, (int)l.value_len, l.value);
    (void)buf_puts(out, "Connection: close\r\n\r\n");
    return out->failed ? VX11_ENOMEM : 0;
}
