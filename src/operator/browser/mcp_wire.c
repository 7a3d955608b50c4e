/* Reading is strict where something would be done with what is wrong, and lenient about what is passed over:
 * servers may add fields. */
#include "operator/browser/mcp_wire.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"

#define TOOLS_MOST 1000

/* ---- messages ---- */

static int64_t own_id(yyjson_val *v)
{
    if (yyjson_is_uint(v) && yyjson_get_uint(v) <= INT64_MAX)
        return (int64_t)yyjson_get_uint(v);
    return -1;
}

static int failure_read(yyjson_val *e, struct mcp_message *out, struct error *err)
{
    yyjson_val *code = yyjson_obj_get(e, "code");
    if (!yyjson_is_obj(e))
        return error_set(err, VX11_ECORRUPT, "the MCP server's error is no object");
    out->kind = MCP_FAILURE;
    out->code = yyjson_is_int(code) ? yyjson_get_sint(code) : 0;
    out->text = yyjson_get_str(yyjson_obj_get(e, "message"));
    if (!out->text)
        out->text = "no reason was given";
    return 0;
}

int mcp_message_read(struct arena *a, const char *text, size_t len, struct mcp_message *out,
                     struct error *err)
{
    struct contract_error bad = {0};
    const struct contract_limits limits = {.max_bytes = (size_t)1 << 27};
    yyjson_val *root;
    *out = (struct mcp_message){.id = -1};
    int rc = contract_json_parse(a, text, len, &limits, &root, &bad);
    if (rc != 0)
        return error_set(err, rc, "the MCP server's message is no sound JSON: %s", bad.text);
    if (!yyjson_is_obj(root) || !yyjson_equals_str(yyjson_obj_get(root, "jsonrpc"), "2.0"))
        return error_set(err, VX11_ECORRUPT, "the MCP server's message is not of JSON-RPC 2.0");
    yyjson_val *id = yyjson_obj_get(root, "id"), *method = yyjson_obj_get(root, "method"),
               *error = yyjson_obj_get(root, "error");
    if (method) {
        out->method = yyjson_get_str(method);
        out->raw_id = id;
        out->kind = id ? MCP_REQUEST : MCP_NOTIFICATION;
        if (!out->method || (id && !yyjson_is_str(id) && !yyjson_is_num(id)))
            return error_set(err, VX11_ECORRUPT, "the MCP server's request has no sound method or id");
        return 0;
    }
    out->id = own_id(id);
    if (error)
        return failure_read(error, out, err);
    out->kind = MCP_RESULT;
    out->result = yyjson_obj_get(root, "result");
    return out->result
               ? 0
               : error_set(err, VX11_ECORRUPT, "the MCP server's message is neither of the known ones");
}

static void copy(char *out, size_t size, const char *s)
{
    (void)snprintf(out, size, "%s", s ? s : "");
    out[utf8_valid_prefix(out, strlen(out))] = '\0';
}

int mcp_server_read(yyjson_val *result, struct mcp_server *out, struct error *err)
{
    static const char *const known[] = {MCP_VERSION, "2025-06-18", "2025-03-26"};
    const char *version = yyjson_get_str(yyjson_obj_get(result, "protocolVersion"));
    yyjson_val *info = yyjson_obj_get(result, "serverInfo");
    *out = (struct mcp_server){0};
    for (size_t i = 0; version && i < COUNT_OF(known); i++)
        if (str_eq(version, known[i])) {
            copy(out->version, sizeof out->version, version);
            copy(out->name, sizeof out->name, yyjson_get_str(yyjson_obj_get(info, "name")));
            copy(out->release, sizeof out->release, yyjson_get_str(yyjson_obj_get(info, "version")));
            return 0;
        }
    return error_set(err, VX11_EVERSION, "the MCP server speaks version \"%.40s\", which is not known here",
                     version ? version : "");
}

/* ---- tools ---- */

int mcp_tools_read(struct arena *a, yyjson_val *result, struct mcp_tools *tools, const char **cursor,
                   struct error *err)
{
    yyjson_val *list = yyjson_obj_get(result, "tools"), *v;
    size_t i, n;
    if (!yyjson_is_arr(list))
        return error_set(err, VX11_ECORRUPT, "the MCP server's list of tools is no list");
    if (tools->count + yyjson_arr_size(list) > TOOLS_MOST)
        return error_set(err, VX11_ETOO_LARGE, "the MCP server has more than %d tools", TOOLS_MOST);
    const size_t before = tools->count * sizeof *tools->names,
                 after = (tools->count + yyjson_arr_size(list) + 1) * sizeof *tools->names;
    const char **grown = arena_realloc(a, tools->names, before, after);
    if (!grown)
        return error_set(err, VX11_ENOMEM, "out of memory");
    tools->names = grown;
    yyjson_arr_foreach(list, i, n, v)
    {
        const char *name = yyjson_get_str(yyjson_obj_get(v, "name"));
        if (name)
            tools->names[tools->count++] = name;
    }
    *cursor = yyjson_get_str(yyjson_obj_get(result, "nextCursor"));
    return 0;
}

bool mcp_tools_have(const struct mcp_tools *tools, const char *name)
{
    for (size_t i = 0; i < tools->count; i++)
        if (str_eq(tools->names[i], name))
            return true;
    return false;
}

/* ---- results ---- */

static int base64_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Whole text, padded or not. */
static int base64_read(struct arena *a, const char *s, size_t len, size_t max, struct mcp_result *out,
                       struct error *err)
{
    while (len > 0 && s[len - 1] == '=')
        len--;
    if (len / 4 * 3 > max)
        return error_set(err, VX11_ETOO_LARGE, "the image is larger than %zu bytes", max);
    unsigned char *data = arena_alloc(a, len / 4 * 3 + 4);
    size_t n = 0;
    unsigned bits = 0, held = 0;
    if (!data)
        return error_set(err, VX11_ENOMEM, "out of memory");
    for (size_t i = 0; i < len; i++) {
        const int v = base64_value(s[i]);
        if (v < 0)
            return error_set(err, VX11_ECORRUPT, "the image is not sound base64");
        bits = (bits << 6 | (unsigned)v) & 0xffffffu;
        held += 6;
        if (held >= 8) {
            held -= 8;
            data[n++] = (unsigned char)(bits >> held);
        }
    }
    out->image = data;
    out->image_len = n;
    return 0;
}

static int text_add(struct arena *a, struct mcp_result *out, yyjson_val *v)
{
    const size_t len = yyjson_get_len(v), gap = out->text_len > 0;
    char *joined = arena_alloc(a, out->text_len + gap + len + 1);
    if (!joined)
        return VX11_ENOMEM;
    memcpy(joined, out->text, out->text_len);
    if (gap)
        joined[out->text_len] = '\n';
    memcpy(joined + out->text_len + gap, yyjson_get_str(v), len);
    out->text_len += gap + len;
    joined[out->text_len] = '\0';
    out->text = joined;
    return 0;
}

int mcp_result_read(struct arena *a, yyjson_val *result, size_t max_image, struct mcp_result *out,
                    struct error *err)
{
    yyjson_val *list = yyjson_obj_get(result, "content"), *v;
    size_t i, n, texts = 0;
    *out = (struct mcp_result){.text = "", .failed = yyjson_get_bool(yyjson_obj_get(result, "isError"))};
    if (!yyjson_is_arr(list))
        return error_set(err, VX11_ECORRUPT, "the result of a tool has no content");
    yyjson_arr_foreach(list, i, n, v)
    {
        const char *type = yyjson_get_str(yyjson_obj_get(v, "type"));
        yyjson_val *text = yyjson_obj_get(v, "text"), *data = yyjson_obj_get(v, "data");
        int rc = 0;
        if (str_eq(type, "text") && yyjson_is_str(text) && texts++ < 64) {
            rc = text_add(a, out, text);
        } else if (str_eq(type, "image") && yyjson_is_str(data) && !out->image) {
            out->image_type = yyjson_get_str(yyjson_obj_get(v, "mimeType"));
            rc = base64_read(a, yyjson_get_str(data), yyjson_get_len(data), max_image, out, err);
        }
        if (rc != 0)
            return rc == VX11_ENOMEM ? error_set(err, rc, "out of memory") : rc;
    }
    return 0;
}

/* ---- what we send ---- */

int mcp_request_write(struct buf *out, int64_t id, const char *method, const char *params)
{
    (void)buf_printf(out, "{\"jsonrpc\":\"2.0\",\"id\":%lld,\"method\":\"%s\"", (long long)id, method);
    if (params)
        (void)buf_printf(out, ",\"params\":%s", params);
    (void)buf_putc(out, '}');
    return out->failed ? VX11_ENOMEM : 0;
}

int mcp_notification_write(struct buf *out, const char *method, const char *params)
{
    (void)buf_printf(out, "{\"jsonrpc\":\"2.0\",\"method\":\"%s\"", method);
    if (params)
        (void)buf_printf(out, ",\"params\":%s", params);
    (void)buf_putc(out, '}');
    return out->failed ? VX11_ENOMEM : 0;
}

int mcp_answer_write(struct buf *out, const struct mcp_message *request)
{
    (void)buf_puts(out, "{\"jsonrpc\":\"2.0\",\"id\":");
    (void)contract_json_write(request->raw_id, out);
    (void)buf_puts(out, str_eq(request->method, "ping")
                            ? ",\"result\":{}}"
                            : ",\"error\":{\"code\":-32601,\"message\":\"Method not found\"}}");
    return out->failed ? VX11_ENOMEM : 0;
}
