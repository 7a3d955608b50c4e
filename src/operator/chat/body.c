/* Body: the request to Switch. The question is the last message, as the person wrote it; what is known about
 * the session goes along as metadata and never in its place. */
#include "operator/chat/chat_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "operator/files/files.h"

/* ---- messages ---- */

static bool add_message(yyjson_mut_doc *doc, yyjson_mut_val *list, const char *role, yyjson_mut_val *content)
{
    yyjson_mut_val *m = yyjson_mut_arr_add_obj(doc, list);
    return m && content && yyjson_mut_obj_add_str(doc, m, "role", role) &&
           yyjson_mut_obj_add_val(doc, m, "content", content);
}

static int add_stored(struct chat_turn *t, yyjson_mut_doc *doc, yyjson_mut_val *list,
                      const struct operator_message *m, struct error *err)
{
    yyjson_mut_val *content = NULL;
    int rc = 0;
    if (m->attachments_count > 0)
        rc = files_content(t->c->o->files, doc, m->content, m->attachments, m->attachments_count, true,
                           &content, err);
    else
        content = yyjson_mut_str(doc, m->content);
    if (rc != 0)
        return rc;
    return add_message(doc, list, operator_message_role_names[m->role], content)
               ? 0
               : error_set(err, VX11_ENOMEM, "out of memory for the request");
}

static int add_messages(struct chat_turn *t, yyjson_mut_doc *doc, yyjson_mut_val *root, struct error *err)
{
    yyjson_mut_val *list = yyjson_mut_obj_add_arr(doc, root, "messages"), *round;
    size_t i, n;
    if (!list || (t->system && !add_message(doc, list, "system", yyjson_mut_str(doc, t->system))))
        return error_set(err, VX11_ENOMEM, "out of memory for the request");
    int rc = 0;
    for (size_t k = t->dropped; rc == 0 && k < t->history_count; k++)
        rc = add_stored(t, doc, list, &t->history[k], err);
    rc = rc ? rc : add_stored(t, doc, list, &t->question, err);
    if (rc == 0 && t->rounds) {
        yyjson_mut_arr_foreach(t->rounds, i, n, round)
        {
            if (!yyjson_mut_arr_append(list, yyjson_mut_val_mut_copy(doc, round)))
                rc = error_set(err, VX11_ENOMEM, "out of memory for the request");
        }
    }
    return rc;
}

static bool add_settings(struct chat_turn *t, yyjson_mut_doc *doc, yyjson_mut_val *root)
{
    yyjson_mut_val *options = yyjson_mut_obj(doc);
    bool ok = (!t->model || !t->model[0] || yyjson_mut_obj_add_str(doc, root, "model", t->model)) &&
              yyjson_mut_obj_add_bool(doc, root, "stream", true) &&
              yyjson_mut_obj_add_bool(doc, options, "include_usage", true) &&
              yyjson_mut_obj_add_val(doc, root, "stream_options", options);
    if (ok && t->temperature >= 0)
        ok = yyjson_mut_obj_add_real(doc, root, "temperature", t->temperature);
    if (ok && t->max_tokens > 0)
        ok = yyjson_mut_obj_add_int(doc, root, "max_tokens", t->max_tokens);
    if (ok && t->tools)
        ok = yyjson_mut_obj_add_val(doc, root, "tools", tools_offered(t->c->o, doc));
    return ok &&
           (!t->metadata || yyjson_mut_obj_add_val(doc, root, "metadata", yyjson_mut_raw(doc, t->metadata)));
}

int turn_body(struct chat_turn *t, struct buf *out, struct error *err)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = doc ? yyjson_mut_obj(doc) : NULL;
    if (!root) {
        yyjson_mut_doc_free(doc);
        return error_set(err, VX11_ENOMEM, "out of memory for the request");
    }
    yyjson_mut_doc_set_root(doc, root);
    int rc = add_messages(t, doc, root, err);
    if (rc == 0 && !add_settings(t, doc, root))
        rc = error_set(err, VX11_ENOMEM, "out of memory for the request");
    size_t len = 0;
    char *text = rc == 0 ? yyjson_mut_write(doc, 0, &len) : NULL;
    if (rc == 0 && (!text || buf_append(out, text, len) != 0))
        rc = error_set(err, VX11_ENOMEM, "out of memory for the request");
    free(text);
    yyjson_mut_doc_free(doc);
    return rc;
}

/* ---- metadata ---- */

static bool copy_missing(yyjson_mut_doc *doc, yyjson_mut_val *to, yyjson_val *from)
{
    yyjson_val *key, *value;
    size_t i, n;
    bool ok = true;
    yyjson_obj_foreach(from, i, n, key, value)
    {
        if (yyjson_mut_obj_get(to, yyjson_get_str(key)))
            continue;
        ok = ok && yyjson_mut_obj_add(to, yyjson_mut_strcpy(doc, yyjson_get_str(key)),
                                      yyjson_val_mut_copy(doc, value));
    }
    return ok;
}

static bool put_missing(yyjson_mut_doc *doc, yyjson_mut_val *to, const char *key, const char *text)
{
    return yyjson_mut_obj_get(to, key) || yyjson_mut_obj_add_str(doc, to, key, text);
}

/* The caller's own fields win; then what it says as a hint; then what the session tells. */
const char *turn_metadata(struct chat_turn *t, yyjson_val *own, const char *summary)
{
    struct buf context = BUF_INIT;
    struct error err = {0};
    yyjson_val *known = NULL;
    yyjson_alc alc;
    contract_json_allocator(t->a, &alc);
    yyjson_mut_doc *doc = yyjson_mut_doc_new(&alc);
    yyjson_mut_val *root = doc ? yyjson_mut_obj(doc) : NULL;
    if (root && session_context(t->c->o->sessions, t->session_id, t->question.seq, &context, &err) == 0) {
        const char *copy = arena_strndup(t->a, context.data, context.len);
        if (copy)
            (void)contract_json_parse(t->a, copy, context.len, NULL, &known, NULL);
    }
    buf_free(&context);
    bool ok = root && copy_missing(doc, root, own) &&
              (!summary || !summary[0] || put_missing(doc, root, "context_summary", summary)) &&
              copy_missing(doc, root, known) && put_missing(doc, root, "session_id", t->session_id) &&
              put_missing(doc, root, "source", "operator");
    if (!ok)
        return NULL;
    yyjson_mut_doc_set_root(doc, root);
    return yyjson_mut_write_opts(doc, 0, &alc, NULL, NULL);
}
