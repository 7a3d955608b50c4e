/* Outside: what VX11 is built on and works with: libraries and sidecars. */
#include "cli/doctor/doctor.h"

#include <sodium.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <yyjson.h>
#include <zstd.h>

#include "api/operator.h"
#include "base/str.h"
#include "net/libraries.h"
#include "store/states.h"

/* ---- libraries ---- */

/* "3.40.1" -> numbers that compare; what follows the third is left out. */
static int64_t version_number(const char *s)
{
    int parts[3] = {0};
    for (size_t i = 0; i < COUNT_OF(parts) && *s; i++) {
        while (*s >= '0' && *s <= '9' && parts[i] < 100000)
            parts[i] = parts[i] * 10 + (*s++ - '0');
        if (*s == '.')
            s++;
        else
            break;
    }
    return (int64_t)parts[0] * 1000000000000 + (int64_t)parts[1] * 1000000 + parts[2];
}

/* An older library than the one that this program was built with may lack what it calls; a newer one of the
 * same major version has it. */
static void library(struct doctor_run *r, const char *name, const char *built, const char *here)
{
    struct doctor_result *x = doctor_result(r, name);
    const int64_t b = version_number(built), h = version_number(here);
    result_measured(r, x, "%s", here);
    result_limit(r, x, "%s or newer, as it was built with", built);
    result_mend(r, x, "install VX11's package again, or its library %s", name);
    result_judge(r, x, h >= b && h / 1000000000000 == b / 1000000000000, "built with %s, runs with %s", built,
                 here);
}

void check_libraries(struct doctor_run *r)
{
    char built[32], here[32];
    struct net_libraries net;
    net_libraries(&net);
    library(r, "sqlite", SQLITE_VERSION, sqlite3_libversion());
    snprintf(built, sizeof built, "%d.%d.%d", UV_VERSION_MAJOR, UV_VERSION_MINOR, UV_VERSION_PATCH);
    library(r, "libuv", built, uv_version_string());
    library(r, "curl", net.curl_built, net.curl_run);
    library(r, "libmicrohttpd", net.http_built, net.http_run);
    const uint32_t yy = yyjson_version();
    snprintf(here, sizeof here, "%u.%u.%u", yy >> 16, (yy >> 8) & 0xff, yy & 0xff);
    library(r, "yyjson", YYJSON_VERSION_STRING, here);
    library(r, "libsodium", SODIUM_VERSION_STRING, sodium_version_string());
    library(r, "zstd", ZSTD_VERSION_STRING, ZSTD_versionString());
}

/* ---- the browser ---- */

static void on_browser(struct doctor_answer *a)
{
    struct doctor_run *r = a->run;
    struct doctor_result *x = a->result;
    struct operator_browser_status_reply reply;
    struct contract_error bad;
    if (a->status == 0) {
        result_unknown(r, x, "operator does not answer: %s", a->err.text);
        return;
    }
    if (a->status != 200 || operator_browser_status_reply_parse(r->arena, a->body.data ? a->body.data : "",
                                                                a->body.len, &reply, &bad) != 0) {
        result_unknown(r, x, "operator answered %d", a->status);
        return;
    }
    if (reply.available)
        result_measured(r, x, "Chromium %s, Playwright MCP %s", reply.chromium ? reply.chromium : "elsewhere",
                        reply.mcp ? reply.mcp : "elsewhere");
    result_judge(r, x, reply.available, "%s", reply.reason ? reply.reason : "it does not say why not");
}

/* Nobody asked for a browser in mode auto: then its absence is told, and no more. */
void check_browser(struct doctor_run *r)
{
    struct doctor_result *x = doctor_result(r, "browser");
    const int mode = r->d->config->operator_->browser->mode;
    const struct doctor_module *m = doctor_module_find(r->d, "operator");
    const struct doctor_question q = {.path = "/operator/browser/status", .module = "operator"};
    if (mode == CONFIG_OPERATOR_BROWSER_MODE_OFF) {
        result_measured(r, x, "off, as configured");
        result_ok(x);
        return;
    }
    if (mode == CONFIG_OPERATOR_BROWSER_MODE_AUTO)
        x->v.severity = DOCTOR_INFO;
    if (m && !doctor_module_wanted(m)) {
        result_measured(r, x, "operator is off");
        result_ok(x);
        return;
    }
    result_limit(r, x, "available");
    doctor_ask(r, x, &q, on_browser, NULL);
}
