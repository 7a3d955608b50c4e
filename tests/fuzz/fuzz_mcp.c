/* What an MCP server sends: an event stream of messages, then one as a whole; and the Playwright server's
 * texts. */
#include <stdlib.h>
#include <string.h>

#include "net/sse.h"
#include "operator/browser/mcp_wire.h"
#include "operator/browser/page.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_text(struct arena *a, const char *text)
{
    struct operator_browser_request_log *requests;
    const char *json, **errors;
    struct page_facts facts;
    struct error err;
    size_t n;
    if (page_value(text, 4096, a, &json, &err) == 0)
        (void)page_facts(json, a, &facts, &err);
    (void)page_snapshot(text, 100, a);
    (void)page_error(text, a);
    (void)page_modal(text);
    (void)page_blocked(text);
    (void)page_requests(text, 20, a, &requests, &n);
    (void)page_errors(text, 20, a, &errors, &n);
}

static void read_message(const char *text, size_t len)
{
    struct arena *a = arena_create(0);
    struct mcp_message m;
    struct mcp_server server;
    struct mcp_tools tools = {0};
    struct mcp_result result;
    struct buf out = BUF_INIT;
    struct error err;
    const char *cursor;
    if (a && mcp_message_read(a, text, len, &m, &err) == 0) {
        if (m.kind == MCP_REQUEST)
            (void)mcp_answer_write(&out, &m);
        if (m.kind == MCP_RESULT) {
            (void)mcp_server_read(m.result, &server, &err);
            if (mcp_tools_read(a, m.result, &tools, &cursor, &err) == 0)
                (void)mcp_tools_have(&tools, "browser_click");
            if (mcp_result_read(a, m.result, 4096, &result, &err) == 0) {
                read_text(a, result.text);
                if (result.image)
                    (void)page_image_format(result.image, result.image_len);
            }
        }
    }
    buf_free(&out);
    arena_destroy(a);
}

static int on_event(void *ctx, const struct sse_event *e)
{
    (void)ctx;
    read_message(e->data, e->data_len);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sse_parser sse;
    struct arena *a = arena_create(0);
    char *text = a ? arena_strndup(a, (const char *)data, size) : NULL;
    sse_init(&sse, 65536);
    (void)sse_feed(&sse, (const char *)data, size, on_event, NULL);
    sse_free(&sse);
    read_message((const char *)data, size);
    if (text)
        read_text(a, text);
    arena_destroy(a);
    return 0;
}
