/* Which browser there is, by the configuration and the environment, and whether it can be had. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "operator/browser/browser_internal.h"

static int kind_of_url(struct browser *b, const char *url, const char *from, struct error *err)
{
    const char *rest = url;
    if (str_starts(url, "http://") || str_starts(url, "https://")) {
        b->kind = BROWSER_SERVER;
    } else if (str_starts(url, "ws://") || str_starts(url, "wss://")) {
        b->kind = BROWSER_ENDPOINT;
    } else if (str_starts(url, "cdp+http://") || str_starts(url, "cdp+https://") ||
               str_starts(url, "cdp+ws://") || str_starts(url, "cdp+wss://")) {
        b->kind = BROWSER_DEVTOOLS;
        rest = url + 4;
    } else {
        return error_set(
            err, VX11_EINVALID,
            "%s is no address of a browser: it is http(s)://HOST/mcp (an MCP server), ws(s)://… (a "
            "Playwright server) or cdp+http(s)://…, cdp+ws(s)://… (a browser's DevTools)",
            from);
    }
    if (strlen(rest) >= sizeof b->url)
        return error_set(err, VX11_EINVALID, "%s is too long", from);
    (void)snprintf(b->url, sizeof b->url, "%s", rest);
    return 0;
}

int browser_configure(struct browser *b, struct error *err)
{
    const struct config_operator_browser *c = browser_config(b);
    const char *env = getenv("PLAYWRIGHT_WS_URL");
    const char *url = c->url[0] ? c->url : env && env[0] ? env : NULL;
    const char *from = c->url[0] ? "operator.browser.url" : "PLAYWRIGHT_WS_URL";
    if (c->mode == CONFIG_OPERATOR_BROWSER_MODE_OFF) {
        b->kind = BROWSER_OFF;
        return 0;
    }
    if (c->mode == CONFIG_OPERATOR_BROWSER_MODE_LOCAL ||
        (c->mode == CONFIG_OPERATOR_BROWSER_MODE_AUTO && !url)) {
        b->kind = BROWSER_LOCAL;
        return 0;
    }
    if (!url)
        return error_set(
            err, VX11_EINVALID,
            "operator.browser.mode is remote, and neither operator.browser.url nor the environment's "
            "PLAYWRIGHT_WS_URL says where");
    return kind_of_url(b, url, from, err);
}

int browser_mode(const struct browser *b)
{
    return b->kind == BROWSER_OFF     ? OPERATOR_BROWSER_MODE_OFF
           : b->kind == BROWSER_LOCAL ? OPERATOR_BROWSER_MODE_LOCAL
                                      : OPERATOR_BROWSER_MODE_REMOTE;
}

int browser_available(const struct browser *b, struct programs *programs, struct error *err)
{
    if (b->kind == BROWSER_OFF)
        return error_set(err, VX11_EUNAVAILABLE,
                         "the browser is switched off (operator.browser.mode is off)");
    if (b->kind == BROWSER_SERVER)
        return 0;
    int rc = programs_find(browser_config(b), b->kind == BROWSER_LOCAL, programs, err);
    if (rc == 0 && browser_config(b)->sandbox == CONFIG_OPERATOR_BROWSER_SANDBOX_REQUIRED &&
        child_sandbox_problem())
        rc = error_set(err, VX11_EUNAVAILABLE, "operator.browser.sandbox is required, and %.300s",
                       child_sandbox_problem());
    return rc;
}

int browser_sidecar_settings(void *ctx, struct sidecar_settings *out, struct error *err)
{
    struct slot *s = ctx;
    struct browser *b = s->all;
    const struct config_operator_browser *c = browser_config(b);
    int rc = browser_available(b, &out->programs, err);
    if (rc != 0)
        return rc;
    if (b->kind == BROWSER_LOCAL) {
        out->proxy = egress_url(b->egress);
        out->proxy_user = s->name;
        out->proxy_password = egress_password(b->egress);
    }
    out->endpoint = b->kind == BROWSER_ENDPOINT ? b->url : NULL;
    out->devtools = b->kind == BROWSER_DEVTOOLS ? b->url : NULL;
    out->sandbox = c->sandbox == CONFIG_OPERATOR_BROWSER_SANDBOX_REQUIRED    ? CHILD_SANDBOX_REQUIRED
                   : c->sandbox == CONFIG_OPERATOR_BROWSER_SANDBOX_PREFERRED ? CHILD_SANDBOX_PREFERRED
                                                                             : CHILD_SANDBOX_OFF;
    out->navigation_ms = c->navigation_timeout_ms;
    out->action_ms = c->action_timeout_ms;
    out->start_ms = c->start_timeout_ms;
    return 0;
}
