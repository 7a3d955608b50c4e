/* Task: from a job's type and payload to the request that does it.
 *
 * Everything is a chat: with whoever Switch picks, or, for what belongs to a module, with that module as a
 * provider. A module's task without words of its own is told in its payload's words. */
#include "switch/queue/queue_internal.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"

enum task_kind task_kind_of(const char *task_type)
{
    static const struct {
        const char *name;
        enum task_kind kind;
        bool prefix;
    } kinds[] = {{"audio", TASK_SHUB, true},          {"system", TASK_MADRE, false},
                 {"workflow", TASK_MADRE, false},     {"drift", TASK_MANIFESTATOR, false},
                 {"audit", TASK_MANIFESTATOR, false}, {"manifest", TASK_MANIFESTATOR, false},
                 {"spawn", TASK_SPAWNER, false}};
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        size_t n = strlen(kinds[i].name);
        if (strncasecmp(task_type, kinds[i].name, n) == 0 && (kinds[i].prefix || task_type[n] == '\0'))
            return kinds[i].kind;
    }
    return TASK_CHAT;
}

const char *task_module(enum task_kind kind)
{
    static const char *const names[] = {[TASK_SHUB] = "shub",
                                        [TASK_MADRE] = "madre",
                                        [TASK_MANIFESTATOR] = "manifestator",
                                        [TASK_SPAWNER] = "spawner"};
    return kind == TASK_CHAT ? NULL : names[kind];
}

const char *task_provider(const struct queue *q, const char *module)
{
    for (size_t i = 0; i < q->sw->provider_count; i++) {
        const struct provider *p = q->sw->providers[i];
        if (p->enabled && p->kind == SWITCH_PROVIDER_KIND_MODULE &&
            str_eq(p->module ? p->module : p->name, module))
            return p->name;
    }
    return NULL;
}

static int wrong(struct contract_error *err, const char *pointer, const char *text)
{
    *err = (struct contract_error){.code = VX11_EINVALID};
    memcpy(err->pointer, pointer, strlen(pointer) + 1);
    memcpy(err->text, text, strlen(text) + 1);
    return VX11_EINVALID;
}

static yyjson_mut_val *message_of(yyjson_mut_doc *doc, const char *text)
{
    yyjson_mut_val *list = yyjson_mut_arr(doc), *message = yyjson_mut_obj(doc);
    yyjson_mut_obj_add_str(doc, message, "role", "user");
    yyjson_mut_obj_add_str(doc, message, "content", text);
    yyjson_mut_arr_append(list, message);
    return list;
}

/* Who wants it and what for goes with the request, as a person's /switch/chat says it in metadata. */
static void add_metadata(yyjson_mut_doc *doc, yyjson_mut_val *root, const struct job *j)
{
    yyjson_mut_val *metadata = yyjson_mut_obj_get(root, "metadata");
    if (!yyjson_mut_is_obj(metadata)) {
        metadata = yyjson_mut_obj(doc);
        yyjson_mut_obj_put(root, yyjson_mut_str(doc, "metadata"), metadata);
    }
    if (!yyjson_mut_obj_get(metadata, "task_type"))
        yyjson_mut_obj_add_str(doc, metadata, "task_type", j->task_type);
    yyjson_mut_obj_put(metadata, yyjson_mut_str(doc, "source"), yyjson_mut_str(doc, j->source));
    yyjson_mut_obj_put(metadata, yyjson_mut_str(doc, "queue_id"), yyjson_mut_str(doc, j->id));
}

static int add_messages(yyjson_mut_doc *doc, yyjson_mut_val *root, const struct job *j, bool module,
                        struct contract_error *err)
{
    yyjson_mut_val *prompt = yyjson_mut_obj_remove_key(root, "prompt");
    if (yyjson_mut_obj_get(root, "messages"))
        return 0;
    const char *text = yyjson_mut_get_str(prompt);
    if (prompt && !text)
        return wrong(err, "/payload/prompt", "must be a string");
    if (!text && !module)
        return wrong(err, "/payload", "needs messages or prompt for this task_type");
    yyjson_mut_obj_add_val(doc, root, "messages", message_of(doc, text ? text : j->payload));
    return 0;
}

int task_request(struct queue *q, const struct job *j, struct arena *a, struct switch_chat_request *out,
                 struct contract_error *err)
{
    yyjson_alc alc;
    yyjson_val *payload = job_json(a, j->payload);
    const char *module = task_module(task_kind_of(j->task_type));
    contract_json_allocator(a, &alc);
    if (!yyjson_is_obj(payload))
        return wrong(err, "/payload", "must be an object");
    yyjson_mut_doc *doc = yyjson_mut_doc_new(&alc);
    yyjson_mut_val *root = doc ? yyjson_val_mut_copy(doc, payload) : NULL;
    if (!root)
        return wrong(err, "/payload", "does not fit in memory");
    int rc = add_messages(doc, root, j, module != NULL, err);
    if (rc != 0)
        return rc;
    add_metadata(doc, root, j);
    const char *provider = module ? task_provider(q, module) : NULL;
    if (module)
        yyjson_mut_obj_put(root, yyjson_mut_str(doc, "provider"),
                           yyjson_mut_str(doc, provider ? provider : module));
    else if (j->provider_hint && !yyjson_mut_obj_get(root, "provider_hint"))
        yyjson_mut_obj_add_str(doc, root, "provider_hint", j->provider_hint);
    yyjson_doc *whole = yyjson_mut_val_imut_copy(root, &alc);
    if (!whole)
        return wrong(err, "/payload", "does not fit in memory");
    rc = contract_parse_value(&switch_chat_request_message, a, yyjson_doc_get_root(whole), NULL, out, err);
    if (rc != 0) {
        char inner[sizeof err->pointer];
        memcpy(inner, err->pointer, sizeof inner);
        snprintf(err->pointer, sizeof err->pointer, "/payload%.240s", inner);
    }
    return rc;
}
