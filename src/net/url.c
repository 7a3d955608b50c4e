/* URLs. Parsing is libcurl's, because two parsers that disagree about one URL are how requests end up at a
 * host that was never checked. The parts are copied into fixed arrays: callers keep them in their own
 * structs, and nothing needs freeing. */
#include "net/url.h"

#include <curl/curl.h>
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"

/* Copies one part into out; 0, VX11_ETOO_LARGE, or VX11_ENOT_FOUND when the URL lacks it. */
static int url_part(CURLU *u, CURLUPart what, unsigned flags, char *out, size_t size)
{
    char *part = NULL;
    if (curl_url_get(u, what, &part, flags) != CURLUE_OK)
        return VX11_ENOT_FOUND;
    size_t len = strlen(part);
    int rc = len < size ? 0 : VX11_ETOO_LARGE;
    if (rc == 0)
        memcpy(out, part, len + 1);
    curl_free(part);
    return rc;
}

static bool url_has(CURLU *u, CURLUPart what)
{
    char *part = NULL;
    bool has = curl_url_get(u, what, &part, 0) == CURLUE_OK;
    curl_free(part);
    return has;
}

static int url_fill(CURLU *u, struct url *out, struct error *err)
{
    char port[16];
    int64_t number;
    if (url_has(u, CURLUPART_USER) || url_has(u, CURLUPART_PASSWORD))
        return error_set(err, VX11_EINVALID, "a URL must not carry a user name or password");
    if (url_has(u, CURLUPART_FRAGMENT))
        return error_set(err, VX11_EINVALID, "a URL with a fragment (#…) cannot be requested");
    if (url_part(u, CURLUPART_SCHEME, 0, out->scheme, sizeof out->scheme) != 0)
        return error_set(err, VX11_EINVALID, "the URL has no scheme");
    int rc = url_part(u, CURLUPART_HOST, 0, out->host, sizeof out->host);
    if (rc != 0 || out->host[0] == 0)
        return error_set(err, rc == VX11_ETOO_LARGE ? rc : VX11_EINVALID,
                         "the URL's host is missing or too long");
    if (url_part(u, CURLUPART_PORT, CURLU_DEFAULT_PORT, port, sizeof port) != 0 ||
        str_to_i64(port, 1, 65535, &number) != 0)
        return error_set(err, VX11_EINVALID, "the URL's port is not between 1 and 65535");
    out->port = (int)number;
    if (url_part(u, CURLUPART_PATH, 0, out->path, sizeof out->path) != 0)
        return error_set(err, VX11_ETOO_LARGE, "the URL's path is longer than %zu bytes",
                         sizeof out->path - 1);
    rc = url_part(u, CURLUPART_QUERY, 0, out->query, sizeof out->query);
    if (rc == VX11_ETOO_LARGE)
        return error_set(err, rc, "the URL's query is longer than %zu bytes", sizeof out->query - 1);
    return 0;
}

static void url_tidy_host(struct url *out)
{
    size_t len = strlen(out->host);
    if (len >= 2 && out->host[0] == '[' && out->host[len - 1] == ']') {
        memmove(out->host, out->host + 1, len - 2);
        out->host[len - 2] = 0;
    }
    for (char *c = out->host; *c; c++)
        *c = (char)tolower((unsigned char)*c);
}

int url_parse(const char *text, struct url *out, struct error *err)
{
    memset(out, 0, sizeof *out);
    for (const unsigned char *c = (const unsigned char *)text; *c; c++)
        if (*c <= ' ' || *c == 0x7f)
            return error_set(err, VX11_EINVALID, "a URL must not contain spaces or control characters");
    /* Exactly two slashes: libcurl would also take one or three. */
    size_t skip = strncasecmp(text, "http://", 7) == 0 ? 7 : strncasecmp(text, "https://", 8) == 0 ? 8 : 0;
    if (skip == 0)
        return error_set(err, VX11_EINVALID, "only http:// and https:// URLs are allowed");
    if (text[skip] == 0 || strchr("/?#", text[skip]) != NULL)
        return error_set(err, VX11_EINVALID, "the URL names no host");
    CURLU *u = curl_url();
    if (u == NULL)
        return error_set(err, VX11_ENOMEM, "out of memory");
    int rc;
    CURLUcode code = curl_url_set(u, CURLUPART_URL, text, CURLU_PATH_AS_IS);
    if (code == CURLUE_OK)
        rc = url_fill(u, out, err);
    else if (code == CURLUE_OUT_OF_MEMORY)
        rc = error_set(err, VX11_ENOMEM, "out of memory");
    else
        rc = error_set(err, VX11_EINVALID, "not a URL: %s", curl_url_strerror(code));
    curl_url_cleanup(u);
    if (rc == 0)
        url_tidy_host(out);
    return rc;
}

static bool url_unreserved(unsigned char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

int url_encode(struct buf *out, const char *s, size_t len, bool keep_slash)
{
    static const char digits[] = "0123456789ABCDEF";
    if (buf_reserve(out, len) != 0)
        return VX11_ENOMEM;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)s[i];
        if (url_unreserved(c) || (keep_slash && c == '/')) {
            buf_putc(out, (char)c);
        } else {
            const char escape[3] = {'%', digits[c >> 4], digits[c & 15]};
            buf_append(out, escape, sizeof escape);
        }
    }
    return out->failed ? VX11_ENOMEM : 0;
}
