/* The server's words are looked at here and nowhere else: when a new release changes them, this file does. */
#include "operator/browser/page.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/str.h"

#define URL_MOST  500
#define LINE_MOST 600

const char *const page_tools[] = {"browser_navigate",
                                  "browser_navigate_back",
                                  "browser_click",
                                  "browser_type",
                                  "browser_press_key",
                                  "browser_select_option",
                                  "browser_hover",
                                  "browser_wait_for",
                                  "browser_evaluate",
                                  "browser_snapshot",
                                  "browser_take_screenshot",
                                  "browser_handle_dialog",
                                  "browser_file_upload",
                                  "browser_network_requests",
                                  "browser_console_messages",
                                  NULL};

#define FACTS                                                                                                \
    "const n=performance.getEntriesByType('navigation')[0];const r={url:location.href,"                      \
    "title:document.title.slice(0,1000).toWellFormed(),status:n&&n.responseStatus||0};"
const char page_facts_call[] = "{\"function\":\"() => {" FACTS "return r;}\"}";
const char page_finish_call[] =
    "{\"function\":\"() => {" FACTS
    "r.text=(document.body?document.body.innerText:'').slice(0,32768).toWellFormed();return r;}\"}";

/* ---- sections ---- */

const char *page_section(const char *text, const char *heading, size_t *len)
{
    const size_t n = strlen(heading);
    for (const char *p = text; p && *p;) {
        if (strncmp(p, "### ", 4) == 0 && strncmp(p + 4, heading, n) == 0 &&
            (p[4 + n] == '\n' || p[4 + n] == 0)) {
            const char *from = p + 4 + n + (p[4 + n] == '\n');
            const char *to = strstr(from, "\n### ");
            *len = to ? (size_t)(to - from) : strlen(from);
            return from;
        }
        p = strchr(p, '\n');
        p = p ? p + 1 : NULL;
    }
    return NULL;
}

/* A value is written indented: no line of it begins with a heading's mark. */
int page_value(const char *text, size_t max, struct arena *a, const char **out, struct error *err)
{
    size_t len;
    const char *from = page_section(text, "Result", &len);
    struct contract_error bad;
    yyjson_val *value;
    struct buf b = BUF_INIT;
    if (!from)
        return error_set(err, VX11_ECORRUPT, "the browser gave no result");
    while (len > 0 && isspace((unsigned char)from[len - 1]))
        len--;
    if (len == 9 && memcmp(from, "undefined", 9) == 0) {
        *out = "null";
        return 0;
    }
    int rc = contract_json_parse(a, from, len, NULL, &value, &bad);
    if (rc != 0)
        return error_set(err, rc == VX11_ENOMEM || rc == VX11_ETOO_LARGE ? rc : VX11_ECORRUPT,
                         "the script's value is no JSON: %.200s", bad.text);
    rc = contract_json_write(value, &b);
    if (rc == 0 && b.len > max)
        rc = error_set(err, VX11_ETOO_LARGE, "the result is %zu bytes, more than %zu", b.len, max);
    else if (rc == 0)
        *out = arena_strndup(a, b.data, b.len);
    buf_free(&b);
    return rc == 0 && !*out ? error_set(err, VX11_ENOMEM, "out of memory") : rc;
}

const char *page_snapshot(const char *text, size_t max, struct arena *a)
{
    size_t len;
    const char *from = page_section(text, "Snapshot", &len);
    static const char fence[] = "```yaml\n";
    if (!from)
        return NULL;
    if (len >= sizeof fence - 1 && memcmp(from, fence, sizeof fence - 1) == 0) {
        from += sizeof fence - 1;
        len -= sizeof fence - 1;
    }
    while (len > 0 && from[len - 1] == '\n')
        len--;
    if (len >= 3 && memcmp(from + len - 3, "```", 3) == 0)
        len -= 3;
    while (len > 0 && from[len - 1] == '\n')
        len--;
    if (len > max) {
        len = max;
        while (len > 0 && from[len - 1] != '\n')
            len--;
    }
    return arena_strndup(a, from, len);
}

static const char *skip_prefix(const char *s, const char *prefix)
{
    return str_starts(s, prefix) ? s + strlen(prefix) : s;
}

const char *page_error(const char *text, struct arena *a)
{
    size_t len, n = 0;
    const char *from = page_section(text, "Error", &len);
    if (!from) {
        from = text;
        len = strlen(text);
    }
    char *clean = arena_strndup(a, from, len < 4000 ? len : 4000);
    if (!clean)
        return "out of memory";
    char *log = strstr(clean, "\nCall log:");
    if (log)
        *log = '\0';
    for (const char *p = clean; *p; p++) {
        if (p[0] == '\x1b' && p[1] == '[') { /* a colour */
            const char *end = p + 2;
            while (*end && !isalpha((unsigned char)*end))
                end++;
            if (*end == '\0')
                break;
            p = end;
        } else {
            clean[n++] = (unsigned char)*p < ' ' ? ' ' : *p;
        }
    }
    while (n > 0 && clean[n - 1] == ' ')
        n--;
    clean[n < 600 ? n : 600] = '\0';
    clean[utf8_valid_prefix(clean, strlen(clean))] = '\0';
    const char *s = skip_prefix(clean, "Error: ");
    s = skip_prefix(s, "browserBackend.callTool: ");
    return *s ? s : "the browser did not say why";
}

enum page_modal page_modal(const char *text)
{
    size_t len;
    const char *from = page_section(text, "Modal state", &len);
    char line[400];
    if (!from)
        return PAGE_MODAL_NONE;
    (void)snprintf(line, sizeof line, "%.*s", (int)(len < 399 ? len : 399), from);
    line[strcspn(line, "\n")] = '\0';
    if (strstr(line, "[File chooser]"))
        return PAGE_MODAL_FILES;
    return str_starts(line, "- [\"alert\"") || str_starts(line, "- [\"beforeunload\"") ? PAGE_MODAL_ALERT
                                                                                       : PAGE_MODAL_ASK;
}

bool page_blocked(const char *text)
{
    return page_modal(text) != PAGE_MODAL_NONE && strstr(text, "does not handle the modal state") != NULL;
}

/* ---- lists ---- */

static const char *cut(struct arena *a, const char *s, size_t len, size_t most)
{
    if (len > most)
        len = most;
    return arena_strndup(a, s, utf8_valid_prefix(s, len));
}

/* "12. [GET] http://host/path => [200] OK" */
static bool request_read(const char *line, size_t len, struct arena *a,
                         struct operator_browser_request_log *out)
{
    size_t i = 0;
    while (i < len && isdigit((unsigned char)line[i]))
        i++;
    if (i == 0 || i + 4 > len || memcmp(line + i, ". [", 3) != 0)
        return false;
    const char *method = line + i + 3, *end = memchr(method, ']', len - i - 3);
    if (!end || end - method > 20 || (size_t)(end - line) + 2 >= len)
        return false;
    const char *url = end + 2, *stop = line + len;
    const char *arrow = memmem(url, (size_t)(stop - url), " => [", 5);
    *out = (struct operator_browser_request_log){
        .method = cut(a, method, (size_t)(end - method), 20),
        .url = cut(a, url, (size_t)((arrow ? arrow : stop) - url), URL_MOST)};
    if (arrow && stop - arrow >= 8 && isdigit((unsigned char)arrow[5]) && isdigit((unsigned char)arrow[6]) &&
        isdigit((unsigned char)arrow[7])) {
        out->has_status = true;
        out->status = (arrow[5] - '0') * 100 + (arrow[6] - '0') * 10 + (arrow[7] - '0');
    }
    return out->method && out->url && out->method[0] && out->url[0];
}

static const char *next_line(const char *p, const char *end, size_t *len)
{
    const char *nl = memchr(p, '\n', (size_t)(end - p));
    *len = (size_t)((nl ? nl : end) - p);
    return nl ? nl + 1 : end;
}

int page_requests(const char *text, size_t max, struct arena *a, struct operator_browser_request_log **out,
                  size_t *n)
{
    size_t len, line_len;
    const char *p = page_section(text, "Result", &len);
    *n = 0;
    *out = arena_array(a, max + 1, sizeof **out);
    if (!*out)
        return VX11_ENOMEM;
    for (const char *end = p ? p + len : NULL; p && p < end && *n < max;) {
        const char *line = p;
        p = next_line(p, end, &line_len);
        if (request_read(line, line_len, a, &(*out)[*n]))
            (*n)++;
    }
    return 0;
}

int page_errors(const char *text, size_t max, struct arena *a, const char ***out, size_t *n)
{
    static const char mark[] = "[ERROR] ";
    size_t len, line_len;
    const char *p = page_section(text, "Result", &len);
    *n = 0;
    *out = arena_array(a, max + 1, sizeof **out);
    if (!*out)
        return VX11_ENOMEM;
    for (const char *end = p ? p + len : NULL; p && p < end && *n < max;) {
        const char *line = p;
        p = next_line(p, end, &line_len);
        if (line_len >= sizeof mark && memcmp(line, mark, sizeof mark - 1) == 0 &&
            ((*out)[*n] = cut(a, line + sizeof mark - 1, line_len - sizeof mark + 1, LINE_MOST)) != NULL)
            (*n)++;
    }
    return 0;
}

int page_facts(const char *json, struct arena *a, struct page_facts *out, struct error *err)
{
    struct contract_error bad;
    yyjson_val *root;
    *out = (struct page_facts){0};
    if (contract_json_parse(a, json, strlen(json), NULL, &root, &bad) != 0 || !yyjson_is_obj(root))
        return error_set(err, VX11_ECORRUPT, "the page did not say where it is");
    yyjson_val *status = yyjson_obj_get(root, "status");
    out->url = yyjson_get_str(yyjson_obj_get(root, "url"));
    out->title = yyjson_get_str(yyjson_obj_get(root, "title"));
    out->text = yyjson_get_str(yyjson_obj_get(root, "text"));
    if (yyjson_is_int(status) && yyjson_get_sint(status) >= 100 && yyjson_get_sint(status) <= 599)
        out->status = yyjson_get_sint(status);
    return 0;
}

const char *page_image_format(const unsigned char *data, size_t len)
{
    static const unsigned char png[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'},
                               jpeg[] = {0xff, 0xd8, 0xff};
    if (len > 32 && memcmp(data, png, sizeof png) == 0)
        return "png";
    return len > 32 && memcmp(data, jpeg, sizeof jpeg) == 0 ? "jpeg" : NULL;
}

/* ---- calls ---- */

const char *page_target(const char *target)
{
    return str_starts(target, "ref=") ? target + 4 : target;
}

static void put(struct buf *b, const char *key, const char *value)
{
    (void)buf_putc(b, b->len > 1 ? ',' : ' ');
    (void)buf_put_json_string(b, key, strlen(key));
    (void)buf_putc(b, ':');
    (void)buf_put_json_string(b, value, strlen(value));
}

static const char *needs(const struct operator_browser_action *x)
{
    switch (x->do_) {
    case OPERATOR_BROWSER_ACTION_DO_NAVIGATE:
        return x->url ? NULL : "url";
    case OPERATOR_BROWSER_ACTION_DO_CLICK:
    case OPERATOR_BROWSER_ACTION_DO_HOVER:
        return x->target ? NULL : "target";
    case OPERATOR_BROWSER_ACTION_DO_TYPE:
    case OPERATOR_BROWSER_ACTION_DO_FILL:
    case OPERATOR_BROWSER_ACTION_DO_SELECT:
        return !x->target ? "target" : x->text ? NULL : "text";
    case OPERATOR_BROWSER_ACTION_DO_PRESS:
        return x->text ? NULL : "text";
    case OPERATOR_BROWSER_ACTION_DO_EVALUATE:
        return x->script ? NULL : "script";
    case OPERATOR_BROWSER_ACTION_DO_WAIT:
        return x->text || x->target || x->has_ms ? NULL : "text, target or ms";
    default:
        return NULL;
    }
}

static const char *scroll_script(const struct operator_browser_action *x)
{
    if (x->target)
        return "(el) => { el.scrollIntoView({block:'center'}); }";
    if (str_eq(x->text, "top"))
        return "() => { window.scrollTo(0, 0); }";
    if (str_eq(x->text, "bottom"))
        return "() => { window.scrollTo(0, document.documentElement.scrollHeight); }";
    if (str_eq(x->text, "up"))
        return "() => { window.scrollBy(0, -0.9 * window.innerHeight); }";
    return "() => { window.scrollBy(0, 0.9 * window.innerHeight); }";
}

static const char *call_fill(const struct operator_browser_action *x, struct buf *b)
{
    switch (x->do_) {
    case OPERATOR_BROWSER_ACTION_DO_NAVIGATE:
        put(b, "url", x->url);
        return "browser_navigate";
    case OPERATOR_BROWSER_ACTION_DO_CLICK:
        return "browser_click";
    case OPERATOR_BROWSER_ACTION_DO_HOVER:
        return "browser_hover";
    case OPERATOR_BROWSER_ACTION_DO_TYPE: /* key by key, unless that would take long */
    case OPERATOR_BROWSER_ACTION_DO_FILL:
        put(b, "text", x->text);
        (void)buf_printf(b, ",\"submit\":%s,\"slowly\":%s", x->submit ? "true" : "false",
                         x->do_ == OPERATOR_BROWSER_ACTION_DO_TYPE && strlen(x->text) <= 200 ? "true"
                                                                                             : "false");
        return "browser_type";
    case OPERATOR_BROWSER_ACTION_DO_PRESS:
        put(b, "key", x->text);
        return "browser_press_key";
    case OPERATOR_BROWSER_ACTION_DO_SELECT:
        (void)buf_puts(b, " \"values\":[");
        (void)buf_put_json_string(b, x->text, strlen(x->text));
        (void)buf_putc(b, ']');
        return "browser_select_option";
    case OPERATOR_BROWSER_ACTION_DO_SCROLL:
        put(b, "function", scroll_script(x));
        return "browser_evaluate";
    case OPERATOR_BROWSER_ACTION_DO_SCREENSHOT:
        (void)buf_printf(b, " \"type\":\"png\",\"scale\":\"css\",\"fullPage\":%s",
                         x->full_page && !x->target ? "true" : "false");
        return "browser_take_screenshot";
    case OPERATOR_BROWSER_ACTION_DO_EVALUATE:
        put(b, "function", x->script);
        return "browser_evaluate";
    case OPERATOR_BROWSER_ACTION_DO_SNAPSHOT:
        return "browser_snapshot";
    case OPERATOR_BROWSER_ACTION_DO_TEXT:
        put(b, "function",
            x->target
                ? "(el) => el.innerText.slice(0, 32768).toWellFormed()"
                : "() => (document.body ? document.body.innerText : '').slice(0, 32768).toWellFormed()");
        return "browser_evaluate";
    case OPERATOR_BROWSER_ACTION_DO_BACK:
        return "browser_navigate_back";
    default:
        return NULL;
    }
}

int page_call(const struct operator_browser_action *x, struct arena *a, struct page_call *out,
              struct error *err)
{
    const char *missing = needs(x);
    struct buf b = BUF_INIT;
    const bool targeted = x->target && x->do_ != OPERATOR_BROWSER_ACTION_DO_NAVIGATE &&
                          x->do_ != OPERATOR_BROWSER_ACTION_DO_PRESS &&
                          x->do_ != OPERATOR_BROWSER_ACTION_DO_BACK;
    if (missing)
        return error_set(err, VX11_EINVALID, "%s needs %s", operator_browser_action_do_names[x->do_],
                         missing);
    (void)buf_putc(&b, '{');
    out->tool = call_fill(x, &b);
    if (targeted)
        put(&b, "target", page_target(x->target));
    (void)buf_putc(&b, '}');
    out->args = b.failed ? NULL : arena_strndup(a, b.data, b.len);
    buf_free(&b);
    return out->args ? 0 : error_set(err, VX11_ENOMEM, "out of memory");
}
