/* MCP on the wire: one JSON-RPC message read, with suspicion, and the ones that we send. No input, no output.
 */
#ifndef VX11_OPERATOR_BROWSER_MCP_WIRE_H
#define VX11_OPERATOR_BROWSER_MCP_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "contract/contract.h"

#define MCP_VERSION "2025-11-25"

enum mcp_kind { MCP_RESULT, MCP_FAILURE, MCP_REQUEST, MCP_NOTIFICATION };

struct mcp_message {
    enum mcp_kind kind;
    int64_t id;         /* of a result or failure: that of our request, -1: not one of ours */
    yyjson_val *raw_id; /* of a request: to be sent back as it is */
    const char *method; /* of requests and notifications */
    yyjson_val *result; /* of a result: any value */
    int64_t code;       /* of a failure */
    const char *text;   /* of a failure: its sentence */
};
/* The values live in the arena. VX11_ESYNTAX: no JSON, VX11_ECORRUPT: no JSON-RPC 2.0, VX11_ENOMEM. */
int mcp_message_read(struct arena *a, const char *text, size_t len, struct mcp_message *out,
                     struct error *err);

/* The reply to initialize. VX11_EVERSION: a version that we do not speak. */
struct mcp_server {
    char version[16]; /* of the protocol */
    char name[64], release[64];
};
int mcp_server_read(yyjson_val *result, struct mcp_server *out, struct error *err);

/* A page of tools/list: appends names; cursor of the next page, NULL: this was the last. */
struct mcp_tools {
    const char **names;
    size_t count;
};
int mcp_tools_read(struct arena *a, yyjson_val *result, struct mcp_tools *tools, const char **cursor,
                   struct error *err);
bool mcp_tools_have(const struct mcp_tools *tools, const char *name);

/* What tools/call gave: its texts joined by newlines, and its first image. */
struct mcp_result {
    bool failed; /* isError: the tool says so itself */
    const char *text;
    size_t text_len;
    const char *image_type; /* "image/png"; NULL: no image */
    const unsigned char *image;
    size_t image_len;
};
/* max_image: bytes. VX11_ETOO_LARGE, VX11_ECORRUPT. */
int mcp_result_read(struct arena *a, yyjson_val *result, size_t max_image, struct mcp_result *out,
                    struct error *err);

/* params: JSON text, NULL: none. */
int mcp_request_write(struct buf *out, int64_t id, const char *method, const char *params);
int mcp_notification_write(struct buf *out, const char *method, const char *params);
/* The answer to a request of the server: ping gets {}, all else -32601. */
int mcp_answer_write(struct buf *out, const struct mcp_message *request);

#endif
