/* Page: the embedded files, and the log-in by a one-time link.
 *
 *   vx11 up ─prints─> /login?code=… ──code consumed──> session row + cookie (HttpOnly, SameSite=Strict) ──> /
 *
 * The answer to /login is a page that goes on to / by itself, not a redirect: with SameSite=Strict a browser
 * that came from elsewhere would not send the new cookie along with a redirect. */
#include "link/link_internal.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/embed.h"
#include "base/log.h"
#include "base/str.h"
#include "embed/web.h"
#include "store/tokens.h"

static const char page_policy[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
static const char session_scopes[] = "read,chat,act,admin";

static const struct {
    const char *suffix, *type;
} content_types[] = {
    {".html", "text/html; charset=utf-8"},
    {".js", "text/javascript; charset=utf-8"},
    {".css", "text/css; charset=utf-8"},
    {".svg", "image/svg+xml"},
    {".png", "image/png"},
    {".ico", "image/x-icon"},
};

static void page_headers(struct request *r)
{
    request_reply_header(r, "Content-Security-Policy", page_policy);
    request_reply_header(r, "X-Content-Type-Options", "nosniff");
    request_reply_header(r, "Referrer-Policy", "no-referrer");
    request_reply_header(r, "Cache-Control", "no-cache");
}

static void page_file(struct request *r, const char *name)
{
    for (size_t i = 0; i < embed_web_count; i++) {
        const struct embed_file *f = &embed_web_files[i];
        if (strcmp(f->name, name) != 0)
            continue;
        const char *type = "application/octet-stream";
        for (size_t k = 0; k < COUNT_OF(content_types); k++)
            if (str_ends(name, content_types[k].suffix))
                type = content_types[k].type;
        page_headers(r);
        request_reply_static(r, 200, type, f->data, f->size);
        return;
    }
    request_fail(r, 404, "file_not_found", "name", "the page has no file %s", name);
}

void page_index(struct request *r, void *module)
{
    (void)module;
    page_file(r, "index.html");
}

void page_asset(struct request *r, void *module)
{
    const struct link_asset_params *params = request_params(r);
    (void)module;
    page_file(r, params->name);
}

/* ---- log in, log out ---- */

static void login_answer(struct request *r, int status, const char *cookie, const char *refresh,
                         const char *title, const char *text)
{
    struct buf page = BUF_INIT;
    size_t len;
    buf_printf(&page,
               "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" "
               "content=\"width=device-width\">%s"
               "<title>%s</title><link rel=\"icon\" href=\"/assets/icon.svg\"><link rel=\"stylesheet\" "
               "href=\"/assets/style.css\"><main "
               "class=\"note\"><h1>%s</h1><p>%s</p></main></html>",
               refresh, title, title, text);
    if (page.failed) {
        buf_free(&page);
        request_fail(r, 500, "out_of_memory", NULL, "out of memory");
        return;
    }
    page_headers(r);
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
