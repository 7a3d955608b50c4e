/* Server parse: request line and header values from outside. Everything here works on NUL-terminated text,
 * writes only inside it or into a buffer with its size, and says VX11_ESYNTAX rather than guess: a value that
 * two readers could understand differently is refused. */
#include "net/server_parse.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "base/str.h"
#include "base/ulid.h"

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

int parse_unescape(char *s, bool plus, size_t *len)
{
    char *out = s;
    bool plain = true;
    for (const char *in = s; *in; in++) {
        char c = *in;
        if (c == '%') {
            int high = hex_digit(in[1]), low = high < 0 ? -1 : hex_digit(in[2]);
            if (low < 0)
                return VX11_ESYNTAX;
            c = (char)(high << 4 | low);
            in += 2;
        } else if (c == '+' && plus) {
            c = ' ';
        }
        unsigned char u = (unsigned char)c;
        if (u == 0 || u == 0x7f || (u < 0x20 && !(plus && (u == '\t' || u == '\n' || u == '\r'))))
            return VX11_ESYNTAX;
        plain = plain && u < 0x80;
        *out++ = c;
    }
    *out = '\0';
    *len = (size_t)(out - s);
    return plain || utf8_valid(s, *len) ? 0 : VX11_ESYNTAX;
}

int parse_query_next(char **cursor, char **name, char **value)
{
    char *at = *cursor;
    while (*at == '&')
        at++;
    if (!*at) {
        *cursor = at;
        return 0;
    }
    char *end = strchr(at, '&');
    *cursor = end ? end + 1 : at + strlen(at);
    if (end)
        *end = '\0';
    char *equals = strchr(at, '=');
    if (equals)
        *equals = '\0';
    *name = at;
    *value = equals ? equals + 1 : at + strlen(at);
    size_t len;
    if (parse_unescape(*name, true, &len) != 0)
        return VX11_ESYNTAX;
    if (equals && parse_unescape(*value, true, &len) != 0)
        return VX11_ESYNTAX;
    if (!equals) /* the decoded name may have moved its end */
        *value = *name + len;
    return 1;
}

int parse_path(char *path, char **segments, size_t max)
{
    if (path[0] != '/')
        return VX11_ESYNTAX;
    size_t n = 0;
    char *at = path + 1;
    while (*at) {
        if (n == max)
            return VX11_ETOO_LARGE;
        char *end = strchr(at, '/');
        if (end)
            *end = '\0';
        size_t len;
        char *next = end ? end + 1 : at + strlen(at);
        if (parse_unescape(at, false, &len) != 0)
            return VX11_ESYNTAX;
        if (strcmp(at, ".") == 0 || strcmp(at, "..") == 0)
            return VX11_ESYNTAX;
        segments[n++] = at;
        at = next;
        if (end && !*at) { /* a trailing slash is a segment of its own */
            if (n == max)
                return VX11_ETOO_LARGE;
            segments[n++] = at;
        }
    }
    return (int)n;
}

bool parse_cookie(const char *header, const char *name, char *out, size_t size)
{
    size_t want = strlen(name);
    const char *at = header;
    while (*at) {
        while (*at == ' ' || *at == '\t' || *at == ';')
            at++;
        const char *end = at + strcspn(at, ";");
        if ((size_t)(end - at) > want && at[want] == '=' && strncmp(at, name, want) == 0) {
            const char *value = at + want + 1;
            const char *last = end;
            while (last > value && (last[-1] == ' ' || last[-1] == '\t'))
                last--;
            if (last - value >= 2 && *value == '"' && last[-1] == '"') {
                value++;
                last--;
            }
            size_t len = (size_t)(last - value);
            if (len == 0 || len >= size)
                return false;
            memcpy(out, value, len);
            out[len] = '\0';
            return true;
        }
        at = end;
    }
    return false;
}

/* How many lower-case hex digits s starts with, at most max; *zero when all of them are '0'. */
static size_t hex_run(const char *s, size_t max, bool *zero)
{
    size_t n = 0;
    *zero = true;
    while (n < max && ((s[n] >= '0' && s[n] <= '9') || (s[n] >= 'a' && s[n] <= 'f'))) {
        *zero = *zero && s[n] == '0';
        n++;
    }
    return n;
}

bool parse_traceparent(const char *header, char trace_id[33])
{
    bool zero;
    if (hex_run(header, 2, &zero) != 2 || header[2] != '-' || strncmp(header, "ff", 2) == 0)
        return false;
    if (hex_run(header + 3, 32, &zero) != 32 || zero || header[35] != '-')
        return false;
    if (hex_run(header + 36, 16, &zero) != 16 || zero || header[52] != '-')
        return false;
    if (hex_run(header + 53, 2, &zero) != 2)
        return false;
    bool version_zero = strncmp(header, "00", 2) == 0;
    if (header[55] != '\0' && (version_zero || header[55] != '-'))
        return false;
    memcpy(trace_id, header + 3, 32);
    trace_id[32] = '\0';
    return true;
}

bool parse_request_id(const char *id)
{
    size_t n = 0;
    for (; id[n]; n++) {
        if (n == 64 || !(isalnum((unsigned char)id[n]) || id[n] == '.' || id[n] == '_' || id[n] == '-'))
            return false;
    }
    return n > 0;
}

static int parse_port(const char *s, int *port)
{
    int64_t value;
    if (!isdigit((unsigned char)s[0]) || str_to_i64(s, 0, 65535, &value) != 0)
        return VX11_ESYNTAX;
    *port = (int)value;
    return 0;
}

int parse_host(const char *host, char *name, size_t size, int *port)
{
    const char *end;
    if (host[0] == '[') {
        end = strchr(host, ']');
        if (!end)
            return VX11_ESYNTAX;
        end++;
    } else {
        end = host + strcspn(host, ":");
    }
    size_t len = (size_t)(end - host);
    if (len == 0 || len >= size)
        return VX11_ESYNTAX;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)host[i];
        bool bracketed = host[0] == '[' && (c == '[' || c == ']' || c == ':');
        if (!isalnum(c) && c != '.' && c != '-' && c != '_' && !bracketed)
            return VX11_ESYNTAX;
        name[i] = (char)tolower(c);
    }
    name[len] = '\0';
    *port = -1;
    if (*end == '\0')
        return 0;
    return *end == ':' ? parse_port(end + 1, port) : VX11_ESYNTAX;
}

int parse_origin(const char *origin, bool *https, char *name, size_t size, int *port)
{
    if (strncmp(origin, "http://", 7) == 0)
        *https = false;
    else if (strncmp(origin, "https://", 8) == 0)
        *https = true;
    else
        return VX11_ESYNTAX;
    int rc = parse_host(origin + (*https ? 8 : 7), name, size, port);
    if (rc == 0 && *port < 0)
        *port = *https ? 443 : 80;
    return rc;
}

int parse_principal(const char *text, struct principal *out)
{
    const char *first = strchr(text, ';');
    const char *second = first ? strchr(first + 1, ';') : NULL;
    if (!second || strchr(second + 1, ';'))
        return VX11_ESYNTAX;
    size_t id_len = (size_t)(first - text), name_len = (size_t)(second - first - 1);
    char name[3 * sizeof out->name];
    if (id_len == 0 || id_len >= sizeof out->id || name_len >= sizeof name)
        return VX11_ESYNTAX;
    *out = (struct principal){.kind = AUTH_PEER};
    memcpy(out->id, text, id_len);
    if (strcmp(out->id, "local") != 0 && !ulid_valid(out->id))
        return VX11_ESYNTAX;
    memcpy(name, first + 1, name_len);
    name[name_len] = '\0';
    if (parse_unescape(name, false, &name_len) != 0 || name_len >= sizeof out->name)
        return VX11_ESYNTAX;
    memcpy(out->name, name, name_len + 1);
    if (second[1] != '\0' && auth_scopes_parse(second + 1, &out->scopes, NULL) != 0)
        return VX11_ESYNTAX;
    return 0;
}

bool parse_content_type_is_json(const char *content_type)
{
    static const char json[] = "application/json";
    if (!content_type || !*content_type)
        return true;
    if (strncasecmp(content_type, json, sizeof json - 1) != 0)
        return false;
    const char *at = content_type + sizeof json - 1;
    at += strspn(at, " \t");
    if (*at == '\0')
        return true;
    if (*at != ';')
        return false;
    const char *charset = strcasestr(at, "charset=");
    if (!charset)
        return true;
    charset += strlen("charset=");
    charset += *charset == '"';
    size_t n = strncasecmp(charset, "utf-8", 5) == 0 ? 5 : strncasecmp(charset, "utf8", 4) == 0 ? 4 : 0;
    return n > 0 && (charset[n] == '\0' || strchr("\"; \t", charset[n]) != NULL);
}

const char *parse_bearer(const char *authorization)
{
    if (strncasecmp(authorization, "Bearer ", 7) != 0)
        return NULL;
    const char *token = authorization + 7;
    token += strspn(token, " ");
    return *token && !strpbrk(token, " \t,") ? token : NULL;
}

bool parse_header_name(const char *name)
{
    size_t n = 0;
    for (; name[n]; n++) {
        if (!isalnum((unsigned char)name[n]) && !strchr("!#$%&'*+-.^_`|~", name[n]))
            return false;
    }
    return n > 0;
}

bool parse_header_value(const char *value)
{
    for (; *value; value++) {
        unsigned char c = (unsigned char)*value;
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}
