/* Tools: the catalogue, and the check of arguments against their schema. The schemas use the few words of
 * JSON Schema that tool_check knows, and no others. */
#include "operator/tools/tools.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"

static const struct tool tools[] = {
    {.name = "system_status",
     .title = "System status",
     .description = "Health and state of every module of this VX11 system, as measured now.",
     .parameters = "{\"type\":\"object\",\"properties\":{},\"required\":[],\"additionalProperties\":false}"},
    {.name = "list_models",
     .title = "Models",
     .description = "Names of the models that can answer here, and which provider offers each.",
     .parameters = "{\"type\":\"object\",\"properties\":{},\"required\":[],\"additionalProperties\":false}"},
    {.name = "search_sessions",
     .title = "Search conversations",
     .description = "Search earlier conversations for words. Gives session ids, titles and the places found.",
     .parameters =
         "{\"type\":\"object\",\"properties\":{\"query\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":"
         "200,"
         "\"description\":\"Words that must all occur.\"},\"limit\":{\"type\":\"integer\",\"minimum\":1,"
         "\"maximum\":20,\"description\":\"Most places; 5 when absent.\"}},\"required\":[\"query\"],"
         "\"additionalProperties\":false}"},
    {.name = "read_session",
     .title = "Read a conversation",
     .description =
         "The latest messages of an earlier conversation, by the session id that search_sessions gave.",
     .parameters =
         "{\"type\":\"object\",\"properties\":{\"session_id\":{\"type\":\"string\",\"minLength\":26,"
         "\"maxLength\":26},\"limit\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":50,\"description\":"
         "\"Most messages; 20 when "
         "absent.\"}},\"required\":[\"session_id\"],\"additionalProperties\":false}"},
    {.name = "browser",
     .title = "Open a web page",
     .description = "Open a page in a real browser and read its title and text. A person confirms each call.",
     .parameters = "{\"type\":\"object\",\"properties\":{\"url\":{\"type\":\"string\",\"minLength\":8,"
                   "\"maxLength\":2000,"
                   "\"description\":\"http or https "
                   "address.\"}},\"required\":[\"url\"],\"additionalProperties\":false}",
     .mutating = true},
};

const struct tool *tool_find(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(tools); i++)
        if (str_eq(tools[i].name, name))
            return &tools[i];
    return NULL;
}

bool tool_available(const struct operator_ *o, const struct tool *t, char reason[400])
{
    reason[0] = '\0';
    if (strcmp(t->name, "browser") != 0)
        return true;
    if (operator_config(o)->browser->mode == CONFIG_OPERATOR_BROWSER_MODE_OFF)
        snprintf(reason, 400, "the browser is turned off (operator.browser.mode)");
    else if (!o->browser)
        snprintf(reason, 400, "there is no browser here");
    return reason[0] == '\0';
}

yyjson_mut_val *tools_offered(const struct operator_ *o, yyjson_mut_doc *doc)
{
    yyjson_mut_val *all = yyjson_mut_arr(doc);
    char reason[400];
    for (size_t i = 0; all && i < COUNT_OF(tools); i++) {
        if (!tool_available(o, &tools[i], reason))
            continue;
        yyjson_mut_val *tool = yyjson_mut_arr_add_obj(doc, all);
        yyjson_mut_val *function = yyjson_mut_obj(doc);
        bool ok =
            tool && function && yyjson_mut_obj_add_str(doc, tool, "type", "function") &&
            yyjson_mut_obj_add_val(doc, tool, "function", function) &&
            yyjson_mut_obj_add_str(doc, function, "name", tools[i].name) &&
            yyjson_mut_obj_add_str(doc, function, "description", tools[i].description) &&
            yyjson_mut_obj_add_val(doc, function, "parameters", yyjson_mut_raw(doc, tools[i].parameters));
        if (!ok)
            return NULL;
    }
    return all;
}

/* ---- check ---- */

static int check_string(const char *name, yyjson_val *schema, yyjson_val *value, struct error *err)
{
    yyjson_val *least = yyjson_obj_get(schema, "minLength"), *most = yyjson_obj_get(schema, "maxLength");
    if (!yyjson_is_str(value))
        return error_set(err, VX11_EINVALID, "%s must be a string", name);
    size_t n = utf8_count(yyjson_get_str(value), yyjson_get_len(value));
    if (least && n < yyjson_get_uint(least))
        return error_set(err, VX11_EINVALID, "%s must have at least %llu characters", name,
                         (unsigned long long)yyjson_get_uint(least));
    if (most && n > yyjson_get_uint(most))
        return error_set(err, VX11_EINVALID, "%s must have at most %llu characters", name,
                         (unsigned long long)yyjson_get_uint(most));
    if (strlen(yyjson_get_str(value)) != yyjson_get_len(value))
        return error_set(err, VX11_EINVALID, "%s must not hold a zero character", name);
    return 0;
}

static int check_integer(const char *name, yyjson_val *schema, yyjson_val *value, struct error *err)
{
    yyjson_val *least = yyjson_obj_get(schema, "minimum"), *most = yyjson_obj_get(schema, "maximum");
    if (!yyjson_is_int(value))
        return error_set(err, VX11_EINVALID, "%s must be an integer", name);
    double x = yyjson_get_num(value);
    if (least && x < yyjson_get_num(least))
        return error_set(err, VX11_EINVALID, "%s must be at least %.0f", name, yyjson_get_num(least));
    if (most && x > yyjson_get_num(most))
        return error_set(err, VX11_EINVALID, "%s must be at most %.0f", name, yyjson_get_num(most));
    return 0;
}

static int check_one(const struct tool *t, yyjson_val *properties, const char *name, yyjson_val *value,
                     struct error *err)
{
    yyjson_val *schema = yyjson_obj_get(properties, name);
    const char *type = yyjson_get_str(yyjson_obj_get(schema, "type"));
    if (!schema)
        return error_set(err, VX11_EINVALID, "%s takes no argument named %.64s", t->name, name);
    if (str_eq(type, "integer"))
        return check_integer(name, schema, value, err);
    return check_string(name, schema, value, err);
}

static int check_all(const struct tool *t, yyjson_val *schema, yyjson_val *args, struct error *err)
{
    yyjson_val *properties = yyjson_obj_get(schema, "properties"), *key, *value;
    size_t i, n;
    int rc = 0;
    yyjson_arr_foreach(yyjson_obj_get(schema, "required"), i, n, value)
    {
        if (rc == 0 && !yyjson_obj_get(args, yyjson_get_str(value)))
            rc = error_set(err, VX11_EINVALID, "the argument %s is missing", yyjson_get_str(value));
    }
    yyjson_obj_foreach(args, i, n, key, value)
    {
        if (rc == 0)
            rc = check_one(t, properties, yyjson_get_str(key), value, err);
    }
    return rc;
}

int tool_check(const struct tool *t, yyjson_val *args, struct error *err)
{
    if (!yyjson_is_obj(args))
        return error_set(err, VX11_EINVALID, "the arguments must be a JSON object");
    yyjson_doc *doc = yyjson_read(t->parameters, strlen(t->parameters), 0);
    if (!doc)
        return error_set(err, VX11_EINTERNAL, "the schema of %s cannot be read", t->name);
    int rc = check_all(t, yyjson_doc_get_root(doc), args, err);
    yyjson_doc_free(doc);
    return rc;
}

/* ---- list ---- */

void tools_on_list(struct request *r, void *module)
{
    const struct operator_ *o = module;
    struct arena *a = request_arena(r);
    struct operator_tool list[COUNT_OF(tools)];
    for (size_t i = 0; i < COUNT_OF(tools); i++) {
        const struct tool *t = &tools[i];
        char *reason = arena_alloc(a, 400);
        char *schema = arena_strdup(a, t->parameters);
        list[i] = (struct operator_tool){
            .name = t->name, .title = t->title, .description = t->description, .mutating = t->mutating};
        if (!reason || !schema ||
            contract_json_parse(a, schema, strlen(schema), NULL, &list[i].parameters, NULL) != 0) {
            request_fail(r, 503, "out_of_memory", NULL, "out of memory");
            return;
        }
        list[i].available = tool_available(o, t, reason);
        list[i].reason = list[i].available ? NULL : reason;
    }
    struct operator_tool_list reply = {.tools = list, .tools_count = COUNT_OF(tools)};
    request_reply(r, 200, &operator_tool_list_message, &reply);
}
