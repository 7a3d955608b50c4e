/* The hub's address and token, and where requests may go. The questions are in hub_ask.c. */
#include "hermes/pull/hub.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"
#include "hermes/pull/hub_internal.h"
#include "net/address.h"
#include "net/url.h"

#define DEFAULT_ENDPOINT "https://huggingface.co"
#define TOKEN_MAX        2048
#define CONNECT_MS       15000

static bool host_is_private(const char *host)
{
    bool numeric;
    bool open = address_text_is_public(host, &numeric);
    return strcmp(host, "localhost") == 0 || (numeric && !open);
}

static int endpoint_set(struct hub *h, const char *given, struct error *err)
{
    const char *env = getenv("HF_ENDPOINT");
    const char *text = given[0] ? given : env && env[0] ? env : DEFAULT_ENDPOINT;
    size_t len = strlen(text);
    while (len > 0 && text[len - 1] == '/')
        len--;
    if (len >= sizeof h->endpoint)
        return error_set(err, VX11_EINVALID, "the hub's address is too long");
    memcpy(h->endpoint, text, len);
    h->endpoint[len] = '\0';
    int rc = url_parse(h->endpoint, &h->origin, err);
    if (rc != 0)
        return error_prefix(err, rc, "the hub's address");
    if (h->origin.query[0])
        return error_set(err, VX11_EINVALID, "the hub's address must not have a query");
    h->private_endpoint = host_is_private(h->origin.host);
    return 0;
}

/* The token stays out of the log and of every structure but this one. */
static void token_set(struct hub *h, const struct config_hermes_hub *c)
{
    struct error err = {0};
    struct buf text = BUF_INIT;
    const char *env = c->token_env[0] ? getenv(c->token_env) : NULL;
    explicit_bzero(h->token, sizeof h->token);
    if (env && env[0]) {
        (void)snprintf(h->token, sizeof h->token, "%s", env);
    } else if (c->token_file[0]) {
        int rc = fs_check_private(c->token_file, &err);
        if (rc == 0)
            rc = fs_read_file(c->token_file, TOKEN_MAX, &text, &err);
        if (rc == 0)
            (void)snprintf(h->token, sizeof h->token, "%.*s",
                           (int)strcspn(text.data ? text.data : "", "\r\n"), text.data ? text.data : "");
        else
            log_warn("hub", "the file of the hub's access cannot be used", LOG_S("reason", err.text));
        if (text.data)
            explicit_bzero(text.data, text.len);
        buf_free(&text);
    }
    for (const char *p = h->token; *p; p++)
        if ((unsigned char)*p <= ' ' || (unsigned char)*p >= 0x7f) {
            log_warn("hub", "the hub's access token has characters that no token has: it is not used");
            explicit_bzero(h->token, sizeof h->token);
        }
}

void hub_configure(struct hub *h, const struct config_hermes *config)
{
    struct error err = {0};
    char before[sizeof h->endpoint];
    memcpy(before, h->endpoint, sizeof before);
    h->allow_private = config->pull->allow_private;
    h->search = config->hub->search;
    h->idle_ms = config->pull->idle_timeout_ms;
    token_set(h, config->hub);
    if (endpoint_set(h, config->hub->endpoint, &err) != 0) {
        log_error("hub", "the hub's address stays as it was", LOG_S("reason", err.text));
        memcpy(h->endpoint, before, sizeof before);
        (void)url_parse(h->endpoint, &h->origin, &err);
    }
}

int hub_create(uv_loop_t *loop, struct client *client, const struct config_hermes *config, struct hub **out,
               struct error *err)
{
    struct hub *h = calloc(1, sizeof *h);
    if (!h)
        return error_set(err, VX11_ENOMEM, "out of memory");
    h->loop = loop;
    h->client = client;
    (void)snprintf(h->endpoint, sizeof h->endpoint, "%s", DEFAULT_ENDPOINT);
    hub_configure(h, config);
    *out = h;
    return 0;
}

void hub_free(struct hub *h)
{
    if (h)
        explicit_bzero(h->token, sizeof h->token);
    free(h);
}

const char *hub_endpoint(const struct hub *h)
{
    return h->endpoint;
}

/* ---- redirects ---- */

static bool same_origin(const struct url *a, const struct url *b)
{
    return strcasecmp(a->scheme, b->scheme) == 0 && strcmp(a->host, b->host) == 0 && a->port == b->port;
}

char *hub_url_show(const char *url, char *out, size_t size)
{
    (void)snprintf(out, size, "%.*s", (int)strcspn(url, "?#"), url);
    return out;
}

/* Whether we may go there; fills what goes along. from NULL: the first URL. */
static int url_admit(const struct hub *h, const struct url *u, const struct url *from, struct hub_url *out,
                     struct error *err)
{
    bool own = same_origin(u, &h->origin), free_way = h->allow_private || h->private_endpoint;
    bool numeric, open = address_text_is_public(u->host, &numeric);
    if (from && strcmp(from->scheme, "https") == 0 && strcmp(u->scheme, "http") == 0)
        return error_set(err, VX11_EPERMISSION, "a redirect from https:// to http:// on %s is not followed",
                         u->host);
    if (!own && !free_way && strcmp(u->scheme, "http") == 0)
        return error_set(err, VX11_EPERMISSION,
                         "http:// is not used (%s): what comes that way can be changed on its way", u->host);
    if (!own && !free_way && ((numeric && !open) || strcmp(u->host, "localhost") == 0))
        return error_set(err, VX11_EPERMISSION,
                         "%s is not a public address: a download must not reach into this machine or its "
                         "network (hermes.pull.allow_private allows it)",
                         u->host);
    out->token = own && h->token[0];
    out->public_only = !own && !free_way;
    return 0;
}

int hub_url_first(const struct hub *h, const char *url, struct hub_url *out, struct error *err)
{
    struct url u;
    int rc = url_parse(url, &u, err);
    if (rc != 0)
        return rc;
    if ((size_t)snprintf(out->url, sizeof out->url, "%s", url) >= sizeof out->url)
        return error_set(err, VX11_EINVALID, "the URL is too long");
    return url_admit(h, &u, NULL, out, err);
}

/* RFC 3986's resolution, as far as Location headers of servers need it. */
static int location_resolve(const struct url *from, const char *location, char *out, size_t size)
{
    bool six = strchr(from->host, ':') != NULL;
    int n;
    if (strncasecmp(location, "http://", 7) == 0 || strncasecmp(location, "https://", 8) == 0)
        n = snprintf(out, size, "%s", location);
    else if (location[0] == '/' && location[1] == '/')
        n = snprintf(out, size, "%s:%s", from->scheme, location);
    else if (location[0] == '/')
        n = snprintf(out, size, "%s://%s%s%s:%d%s", from->scheme, six ? "[" : "", from->host, six ? "]" : "",
                     from->port, location);
    else if (location[0] == '\0' || strstr(location, "://") || location[0] == '?' || location[0] == '#')
        return VX11_EINVALID;
    else
        n = snprintf(out, size, "%s://%s%s%s:%d%.*s%s", from->scheme, six ? "[" : "", from->host,
                     six ? "]" : "", from->port, (int)(strrchr(from->path, '/') - from->path + 1), from->path,
                     location);
    out[strcspn(out, "#")] = '\0'; /* a fragment is for the reader */
    return n > 0 && (size_t)n < size ? 0 : VX11_ETOO_LARGE;
}

int hub_url_next(const struct hub *h, const struct hub_url *from, const char *location, struct hub_url *out,
                 struct error *err)
{
    struct url before, u;
    char text[HUB_URL];
    int rc = url_parse(from->url, &before, err);
    if (rc != 0)
        return rc;
    rc = location_resolve(&before, location, text, sizeof text);
    if (rc != 0)
        return error_set(err, rc, "the server's redirect cannot be read");
    rc = url_parse(text, &u, err);
    if (rc != 0)
        return error_prefix(err, rc, "the server's redirect");
    memcpy(out->url, text, strlen(text) + 1);
    return url_admit(h, &u, &before, out, err);
}

int hub_request(struct hub *h, const struct hub_url *url, const char *method,
                const struct client_header *headers, size_t header_count, int64_t idle_ms,
                const struct client_events *events, void *ctx, struct client_call **out, struct error *err)
{
    char base[400], path[HUB_URL];
    const char *host = strstr(url->url, "://");
    if (!host)
        return error_set(err, VX11_EINVALID, "no URL");
    host += 3;
    size_t len = (size_t)(host - url->url) + strcspn(host, "/?");
    if (len >= sizeof base)
        return error_set(err, VX11_EINVALID, "the URL's host is too long");
    memcpy(base, url->url, len);
    base[len] = '\0';
    (void)snprintf(path, sizeof path, "%s%s", url->url[len] == '/' ? "" : "/", url->url + len);
    const struct client_target target = {.base_url = base, .token = url->token ? h->token : NULL};
    const struct client_call_options options = {
        .connect_timeout_ms = idle_ms < CONNECT_MS ? idle_ms : CONNECT_MS,
        .first_byte_timeout_ms = idle_ms,
        .idle_timeout_ms = idle_ms,
        .headers = headers,
        .header_count = header_count,
        .public_only = url->public_only,
    };
    return client_start(h->client, &target, method, path, NULL, NULL, 0, &options, events, ctx, out, err);
}
