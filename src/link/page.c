/* Page: the embedded files, and the log-in by a one-time link.
 *
 *   vx11 up ─prints─> /login?code=… ──code consumed──> session row + cookie (HttpOnly, SameSite=Strict) ──> /
 *
 * The answer to /login is a page that goes on to / by itself, not a redirect: with SameSite=Strict a browser
 * that came from elsewhere would not send the new cookie along with a redirect. */
#include "link/link_internal.h"

#include <stdio.h>
#include <string.h>

#include <sodium.h>

#include "base/clock.h"
#include "base/embed.h"
#include "base/log.h"
#include "base/str.h"
#include "embed/web.h"
#include "link/page_accept.h"
#include "store/tokens.h"

enum {
    ASSET_NAME_MAX = 128,
    FILE_TAG_LEN = 2 * crypto_generichash_BYTES_MIN + 2,
};

static const char page_policy[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self' "
    "blob:; "
    "font-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'";
static const char session_scopes[] = "read,chat,act,admin";

static const struct {
    const char *suffix, *type;
} content_types[] = {
    {".html", "text/html; charset=utf-8"},
    {".js", "text/javascript; charset=utf-8"},
    {".css", "text/css; charset=utf-8"},
    {".txt", "text/plain; charset=utf-8"},
    {".json", "application/json"},
    {".svg", "image/svg+xml"},
    {".png", "image/png"},
    {".ico", "image/x-icon"},
    {".woff2", "font/woff2"},
};

static void page_headers(struct request *r, const char *cache)
{
    request_reply_header(r, "Content-Security-Policy", page_policy);
    request_reply_header(r, "X-Content-Type-Options", "nosniff");
    request_reply_header(r, "Referrer-Policy", "no-referrer");
    request_reply_header(r, "Cache-Control", cache);
}

/* ---- files ---- */

/* NULL: the page has none of that name. suffix: of the coding, "" for the file as it is. */
static const struct embed_file *file_find(const char *name, const char *suffix)
{
    size_t len = strlen(name);
    for (size_t i = 0; i < embed_web_count; i++) {
        const struct embed_file *f = &embed_web_files[i];
        if (strncmp(f->name, name, len) == 0 && strcmp(f->name + len, suffix) == 0)
            return f;
    }
    return NULL;
}

/* Vite's names carry a hash of the content between two dots: such a file never changes. */
static bool file_is_hashed(const char *name)
{
    const char *dot = strchr(name, '.');
    return dot && strchr(dot + 1, '.');
}

/* A strong tag, of the very bytes that are sent: each coding has its own. */
static void file_tag(const struct embed_file *f, char out[static FILE_TAG_LEN + 1])
{
    unsigned char hash[crypto_generichash_BYTES_MIN];
    crypto_generichash(hash, sizeof hash, f->data, f->size, NULL, 0);
    out[0] = '"';
    sodium_bin2hex(out + 1, 2 * sizeof hash + 1, hash, sizeof hash);
    out[FILE_TAG_LEN - 1] = '"';
    out[FILE_TAG_LEN] = '\0';
}

static void file_send(struct request *r, const char *name)
{
    const struct embed_file *f = file_find(name, "");
    if (!f || str_ends(name, ".br") || str_ends(name, ".gz")) {
        request_fail(r, 404, "file_not_found", "name", "the page has no file %s", name);
        return;
    }
    const char *type = "application/octet-stream";
    for (size_t k = 0; k < COUNT_OF(content_types); k++)
        if (str_ends(name, content_types[k].suffix))
            type = content_types[k].type;
    const struct embed_file *br = file_find(name, ".br"), *gz = file_find(name, ".gz");
    enum page_encoding coding = accept_encoding(request_header(r, "Accept-Encoding"), br != NULL, gz != NULL);
    bool hashed = file_is_hashed(name);
    page_headers(r, hashed ? "public, max-age=31536000, immutable" : "no-cache");
    if (br || gz)
        request_reply_header(r, "Vary", "Accept-Encoding");
    if (coding == PAGE_ENCODING_BR)
        f = br;
    else if (coding == PAGE_ENCODING_GZIP)
        f = gz;
    if (!hashed) {
        char tag[FILE_TAG_LEN + 1];
        const char *known = request_header(r, "If-None-Match");
        file_tag(f, tag);
        request_reply_header(r, "ETag", tag);
        if (known && strstr(known, tag)) {
            request_reply_empty(r, 304);
            return;
        }
    }
    if (coding != PAGE_ENCODING_IDENTITY)
        request_reply_header(r, "Content-Encoding", coding == PAGE_ENCODING_BR ? "br" : "gzip");
    request_reply_static(r, 200, type, f->data, f->size);
}

void page_index(struct request *r, void *module)
{
    (void)module;
    file_send(r, "index.html");
}

void page_path(struct request *r, void *module)
{
    (void)module;
    if (accept_weight(request_header(r, "Accept"), "text/html") <= 0) {
        request_fail(r, 404, "not_found", "path", "%s is an address of the page, for a browser",
                     request_path(r));
        return;
    }
    file_send(r, "index.html");
}

void page_asset(struct request *r, void *module)
{
    const struct link_asset_params *params = request_params(r);
    char name[sizeof "assets/" + ASSET_NAME_MAX];
    (void)module;
    if (snprintf(name, sizeof name, "assets/%s", params->name) >= (int)sizeof name) {
        request_fail(r, 404, "file_not_found", "name", "the page has no file of such a long name");
        return;
    }
    file_send(r, name);
}

/* ---- log in, log out ---- */

static void login_answer(struct request *r, int status, const char *cookie, const char *refresh,
                         const char *title, const char *text)
{
    struct buf page = BUF_INIT;
    size_t len;
    buf_printf(&page,
               "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" "
               "content=\"width=device-width, initial-scale=1\">%s"
               "<title>%s · VX11</title><link rel=\"icon\" href=\"/assets/icon.svg\"><link "
               "rel=\"stylesheet\" href=\"/assets/login.css\"><main><header><img src=\"/assets/icon.svg\" "
               "alt=\"\" width=\"24\" height=\"24\">VX11</header><h1>%s</h1><p>%s</p></main></html>",
               refresh, title, title, text);
    if (page.failed) {
        buf_free(&page);
        request_fail(r, 500, "out_of_memory", NULL, "out of memory");
        return;
    }
    page_headers(r, "no-store");
    if (cookie)
        request_reply_header(r, "Set-Cookie", cookie);
    char *data = buf_detach(&page, &len);
    request_reply_bytes(r, status, "text/html; charset=utf-8", data, len, true);
}

void page_login(struct request *r, void *module)
{
    struct link *l = module;
    const struct link_login_params *params = request_params(r);
    const struct config_link *config = module_config(l->m)->values->link;
    unsigned char hash[AUTH_HASH_LEN];
    char secret[AUTH_TOKEN_LEN + 1], cookie[256], id[ULID_LEN + 1];
    struct error err = {0};
    int64_t now = clock_wall_ms();
    auth_hash(params->code, hash);
    int rc = login_code_consume(module_store(l->m), hash, now, &err);
    if (rc == VX11_ENOT_FOUND) {
        login_answer(r, 403, NULL, "", "This link does not work any more",
                     "It was used already, has expired, or is not one of ours. Run <code>vx11 login</code> "
                     "for a new one.");
        return;
    }
    auth_token_make(secret);
    auth_hash(secret, hash);
    if (rc == 0)
        rc = session_create(module_store(l->m), hash, session_scopes, request_header(r, "User-Agent"),
                            now + config->session_ttl_ms, now, id, &err);
    if (rc == 0)
        rc = module_auth_refresh(l->m, &err);
    if (rc != 0) {
        request_fail_error(r, &err);
        return;
    }
    log_info("page", "logged in", LOG_S("session", id));
    snprintf(cookie, sizeof cookie, AUTH_COOKIE "=%s; Path=/; HttpOnly; SameSite=Strict; Max-Age=%lld",
             secret, (long long)(config->session_ttl_ms / 1000));
    login_answer(r, 200, cookie, "<meta http-equiv=\"refresh\" content=\"0;url=/\">", "Logged in",
                 "<a href=\"/\">Go on to the page</a>");
    memset(secret, 0, sizeof secret);
    memset(cookie, 0, sizeof cookie);
}

void page_logout(struct request *r, void *module)
{
    struct link *l = module;
    const struct principal *p = request_principal(r);
    struct error err = {0};
    if (p->kind != AUTH_SESSION) {
        request_fail(r, 409, "not_a_session", NULL,
                     "only a page's session can be ended this way; revoke a token with `vx11 token revoke`");
        return;
    }
    int rc = session_delete(module_store(l->m), p->id, &err);
    if (rc == 0 || rc == VX11_ENOT_FOUND)
        rc = module_auth_refresh(l->m, &err);
    if (rc != 0) {
        request_fail_error(r, &err);
        return;
    }
    request_reply_header(r, "Set-Cookie", AUTH_COOKIE "=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0");
    request_reply_empty(r, 204);
}

void page_session(struct request *r, void *module)
{
    const struct principal *p = request_principal(r);
    const char *scopes[CONTRACT_SCOPE_COUNT];
    struct link_session_reply reply = {.name = p->name, .scopes = scopes};
    (void)module;
    for (int s = CONTRACT_SCOPE_READ; s < CONTRACT_SCOPE_COUNT; s++)
        if (principal_allows(p, (enum contract_scope)s))
            scopes[reply.scopes_count++] = contract_scope_name((enum contract_scope)s);
    request_reply(r, 200, &link_session_reply_message, &reply);
}
