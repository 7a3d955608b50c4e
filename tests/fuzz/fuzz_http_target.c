/* Fuzz: everything of ours that reads a request line or a header value. The first byte says which; what comes
 * out must be what its header promises. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "net/router.h"
#include "net/server_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
    if (!ok)
        abort();
}

static void fuzz_path(char *text, struct arena *a)
{
    static const struct contract_route routes[] = {
        {.id = "a", .method = "GET", .path = "/"},
        {.id = "b", .method = "POST", .path = "/v1/chat/completions"},
        {.id = "c", .method = "GET", .path = "/m/{name}"},
        {.id = "d", .method = "GET", .path = "/m/{name}/tags/{tag}"},
        {.id = "e", .method = "DELETE", .path = "/m/all"},
        {.id = "f", .method = "GET", .path = "/files/{path*}"},
    };
    const struct contract_route *pointers[COUNT_OF(routes)];
    char *segments[ROUTER_MAX_SEGMENTS];
    struct router_match m;
    struct router *r;
    for (size_t i = 0; i < COUNT_OF(routes); i++)
        pointers[i] = &routes[i];
    int n = parse_path(text, segments, ROUTER_MAX_SEGMENTS);
    if (n < 0)
        return;
    for (int i = 0; i < n; i++)
        check(utf8_valid(segments[i], strlen(segments[i])) && strcmp(segments[i], "..") != 0);
    check(router_create(pointers, COUNT_OF(routes), &r, NULL) == 0);
    int rc = router_find(r, "GET", segments, (size_t)n, a, &m);
    check(rc != 0 || (m.index < COUNT_OF(routes) && m.param_count <= ROUTER_MAX_PARAMS));
    for (size_t i = 0; rc == 0 && i < m.param_count; i++)
        check(m.values[i] && strlen(m.values[i]) <= 100000);
    router_destroy(r);
}

static void fuzz_query(char *text)
{
    char *name, *value, *end = text + strlen(text);
    while (parse_query_next(&text, &name, &value) > 0) {
        check(name <= end && value <= end && text <= end);
        check(utf8_valid(name, strlen(name)) && utf8_valid(value, strlen(value)));
    }
}

static void fuzz_header(unsigned which, const char *text)
{
    char small[8], name[64], trace[33];
    struct principal p;
    int port;
    bool https;
    switch (which) {
    case 0:
        if (parse_cookie(text, AUTH_COOKIE, small, sizeof small))
            check(strlen(small) > 0 && strstr(text, small));
        break;
    case 1:
        if (parse_traceparent(text, trace))
            check(strlen(trace) == 32 && strstr(text, trace));
        break;
    case 2:
        if (parse_host(text, name, sizeof name, &port) == 0)
            check(*name && port >= -1 && port <= 65535);
        break;
    case 3:
        if (parse_origin(text, &https, name, sizeof name, &port) == 0)
            check(*name && port >= 0 && port <= 65535);
        break;
    case 4:
        if (parse_principal(text, &p) == 0)
            check(utf8_valid(p.name, strlen(p.name)));
        break;
    case 5:
        parse_content_type_is_json(text);
        break;
    case 6:
        check(!parse_bearer(text) || *parse_bearer(text));
        break;
    default:
        check(!parse_request_id(text) || (strlen(text) <= 64 && parse_header_value(text)));
        parse_header_name(text);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct arena *a = arena_create(0);
    char *text = malloc(size); /* exactly as long as it must be, for the sanitizer to see an overrun */
    size_t len = 0;
    check(a && text);
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    switch (data[0] % 11) {
    case 0:
        fuzz_path(text, a);
        break;
    case 1:
        fuzz_query(text);
        break;
    case 2:
        if (parse_unescape(text, data[0] & 16, &len) == 0)
            check(len == strlen(text) && utf8_valid(text, len));
        break;
    default:
        fuzz_header(data[0] % 11 - 3U, text);
        break;
    }
    free(text);
    arena_destroy(a);
    return 0;
}
