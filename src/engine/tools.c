/* Tools of a request. The contract leaves them free JSON, since what they may hold depends on each other;
 * here every part is checked by name. */
#include "engine/tools.h"

#include <stdio.h>
#include <string.h>

#include "engine/messages.h"
#include "engine/schema.h"

enum { NAME_LONGEST = 64 };

static bool wrong(struct request_fault *fault, const char *code, size_t tool, const char *where,
                  const char *text)
{
    char param[96];
    (void)snprintf(param, sizeof param, "/tools/%zu%s", tool, where);
    fault_set(fault, code, param, "%s", text);
    return false;
}

static bool name_sound(const char *name)
{
    const size_t len = name ? strlen(name) : 0;
    return len > 0 && len <= NAME_LONGEST &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.") == len;
}

static const char *tool_name(yyjson_val *tool)
{
    return yyjson_get_str(yyjson_obj_get(yyjson_obj_get(tool, "function"), "name"));
}

static bool tool_check(yyjson_val *tools, yyjson_val *tool, size_t index, struct request_fault *fault)
{
    const char *type = yyjson_get_str(yyjson_obj_get(tool, "type"));
    if (!yyjson_is_obj(tool) || !type)
        return wrong(fault, "invalid_value", index, "", "must be {\"type\": \"function\", \"function\": …}");
    if (strcmp(type, "function") != 0)
        return wrong(fault, "unsupported", index, "/type", "only functions are supported as tools");
    yyjson_val *function = yyjson_obj_get(tool, "function");
    if (!yyjson_is_obj(function))
        return wrong(fault, "invalid_value", index, "/function", "must be an object");
    if (!name_sound(tool_name(tool)))
        return wrong(fault, "invalid_value", index, "/function/name",
                     "must be 1 to 64 letters, digits, underscores, hyphens or dots");
    yyjson_val *description = yyjson_obj_get(function, "description");
    if (description && !yyjson_is_null(description) && !yyjson_is_str(description))
        return wrong(fault, "invalid_value", index, "/function/description", "must be a string");
    yyjson_val *parameters = yyjson_obj_get(function, "parameters");
    if (parameters && !yyjson_is_null(parameters) && !yyjson_is_obj(parameters))
        return wrong(fault, "invalid_value", index, "/function/parameters", "must be a JSON schema");
    yyjson_val *strict = yyjson_obj_get(function, "strict");
    if (strict && !yyjson_is_null(strict) && !yyjson_is_bool(strict))
        return wrong(fault, "invalid_value", index, "/function/strict", "must be true or false");
    char where[64];
    (void)snprintf(where, sizeof where, "/tools/%zu/function/parameters", index);
    if (yyjson_is_true(strict) && yyjson_is_obj(parameters) && !schema_check(parameters, true, where, fault))
        return false;
    size_t i, max;
    yyjson_val *other;
    yyjson_arr_foreach(tools, i, max, other)
    {
        if (i == index)
            break;
        if (strcmp(tool_name(other), tool_name(tool)) == 0)
            return wrong(fault, "invalid_value", index, "/function/name", "another tool has the same name");
    }
    return true;
}

static bool tools_check(yyjson_val *tools, struct request_fault *fault)
{
    if (!yyjson_is_arr(tools)) {
        fault_set(fault, "invalid_value", "/tools", "must be an array");
        return false;
    }
    if (yyjson_arr_size(tools) > TOOLS_MOST) {
        fault_set(fault, "invalid_value", "/tools", "at most %d tools, not %zu", TOOLS_MOST,
                  yyjson_arr_size(tools));
        return false;
    }
    size_t i, max;
    yyjson_val *tool;
    yyjson_arr_foreach(tools, i, max, tool)
    {
        if (!tool_check(tools, tool, i, fault))
            return false;
    }
    return true;
}

/* ---- tool_choice ---- */

/* Which tools may be called: those set. */
struct allowed {
    bool all, is[TOOLS_MOST];
};

static bool allow(yyjson_val *tools, const char *name, const char *where, struct allowed *out,
                  struct request_fault *fault)
{
    size_t i, max;
    yyjson_val *tool;
    yyjson_arr_foreach(tools, i, max, tool)
    {
        if (name && strcmp(tool_name(tool), name) == 0) {
            out->is[i] = true;
            return true;
        }
    }
    fault_set(fault, "invalid_value", where, "no tool has the name %.64s", name ? name : "(none)");
    return false;
}

static bool mode_read(const char *mode, const char *where, struct tools *out, struct request_fault *fault)
{
    if (mode && strcmp(mode, "auto") == 0)
        out->choice = CHAT_TOOLS_AUTO;
    else if (mode && strcmp(mode, "required") == 0)
        out->choice = CHAT_TOOLS_REQUIRED;
    else if (mode && strcmp(mode, "none") == 0)
        out->choice = CHAT_TOOLS_NONE;
    else
        fault_set(fault, "invalid_value", where, "must be none, auto, required or a tool, not %.64s",
                  mode ? mode : "that");
    return fault->code == NULL;
}

/* {"type": "allowed_tools", "allowed_tools": {"mode": …, "tools": [{"type": "function", "function": …}]}} */
static bool allowed_read(yyjson_val *choice, yyjson_val *tools, struct tools *out, struct allowed *allowed,
                         struct request_fault *fault)
{
    yyjson_val *inner = yyjson_obj_get(choice, "allowed_tools");
    yyjson_val *names = yyjson_obj_get(inner, "tools"), *item;
    size_t i, max;
    if (!yyjson_is_arr(names) || yyjson_arr_size(names) == 0) {
        fault_set(fault, "invalid_value", "/tool_choice/allowed_tools/tools", "must be an array of tools");
        return false;
    }
    allowed->all = false;
    yyjson_arr_foreach(names, i, max, item)
    {
        char where[64];
        (void)snprintf(where, sizeof where, "/tool_choice/allowed_tools/tools/%zu", i);
        const char *name = tool_name(item);
        if (!allow(tools, name ? name : yyjson_get_str(yyjson_obj_get(item, "name")), where, allowed, fault))
            return false;
    }
    return mode_read(yyjson_get_str(yyjson_obj_get(inner, "mode")), "/tool_choice/allowed_tools/mode", out,
                     fault);
}

static bool choice_read(yyjson_val *choice, yyjson_val *tools, struct tools *out, struct allowed *allowed,
                        struct request_fault *fault)
{
    allowed->all = true;
    if (!choice || yyjson_is_null(choice))
        return true;
    if (!yyjson_is_obj(choice))
        return mode_read(yyjson_get_str(choice), "/tool_choice", out, fault);
    const char *type = yyjson_get_str(yyjson_obj_get(choice, "type"));
    if (type && strcmp(type, "allowed_tools") == 0)
        return allowed_read(choice, tools, out, allowed, fault);
    if (!type || strcmp(type, "function") != 0) {
        fault_set(fault, "unsupported", "/tool_choice/type", "only function and allowed_tools are supported");
        return false;
    }
    const char *name = tool_name(choice);
    allowed->all = false;
    out->choice = CHAT_TOOLS_REQUIRED;
    return allow(tools, name ? name : yyjson_get_str(yyjson_obj_get(choice, "name")),
                 "/tool_choice/function/name", allowed, fault);
}

/* ---- all of it ---- */

static bool texts_write(yyjson_val *tools, const struct allowed *allowed, struct marks *marks,
                        struct arena *a, struct tools *out)
{
    const size_t before = marks->count;
    struct buf exact = BUF_INIT;
    bool first = true;
    size_t i, max;
    yyjson_val *tool;
    out->shown = json_protect(marks, tools, a);
    (void)buf_putc(&exact, '[');
    yyjson_arr_foreach(tools, i, max, tool)
    {
        if (!allowed->all && !allowed->is[i])
            continue;
        (void)buf_puts(&exact, first ? "" : ",");
        (void)contract_json_write(tool, &exact);
        first = false;
    }
    (void)buf_putc(&exact, ']');
    if (marks->count == before && allowed->all)
        out->exact = out->shown;
    else
        out->exact = exact.failed ? NULL : arena_strndup(a, exact.data, exact.len);
    buf_free(&exact);
    return out->shown && out->exact;
}

bool tools_read(const struct openai_chat_request *q, struct marks *marks, struct arena *a, struct tools *out,
                struct request_fault *fault)
{
    struct allowed allowed = {.all = true};
    yyjson_val *tools = q->tools && !yyjson_is_null(q->tools) ? q->tools : NULL;
    *out = (struct tools){.choice = CHAT_TOOLS_AUTO,
                          .parallel = !q->has_parallel_tool_calls || q->parallel_tool_calls};
    if (tools && !tools_check(tools, fault))
        return false;
    out->count = yyjson_arr_size(tools);
    if (!choice_read(q->tool_choice, tools, out, &allowed, fault))
        return false;
    if (out->count == 0) {
        if (out->choice == CHAT_TOOLS_REQUIRED) {
            fault_set(fault, "invalid_value", "/tool_choice", "needs tools");
            return false;
        }
        return true;
    }
    if (texts_write(tools, &allowed, marks, a, out))
        return true;
    fault_set(fault, "out_of_memory", NULL, "out of memory");
    return false;
}
