#include "hermes/tools/prompt.h"

#include <string.h>

/* The text of a message, in pieces. */
static int put_content(yyjson_val *content, struct buf *out, struct error *err)
{
    size_t i, n;
    yyjson_val *part;
    if (!content || yyjson_is_null(content))
        return 0;
    if (yyjson_is_str(content))
        return buf_append(out, yyjson_get_str(content), yyjson_get_len(content));
    if (!yyjson_is_arr(content))
        return error_set(err, VX11_EINVALID, "a message's content is a string or an array of parts");
    yyjson_arr_foreach(content, i, n, part)
    {
        yyjson_val *text = yyjson_obj_get(part, "text");
        if (!yyjson_is_str(text))
            return error_set(err, VX11_EUNSUPPORTED, "a command-line tool takes text alone, no other parts");
        if (buf_append(out, yyjson_get_str(text), yyjson_get_len(text)) != 0)
            return VX11_ENOMEM;
    }
    return 0;
}

static bool instructs(const struct openai_chat_message *m)
{
    return m->role == OPENAI_ROLE_SYSTEM || m->role == OPENAI_ROLE_DEVELOPER;
}

static const char *speaker(int role)
{
    switch (role) {
    case OPENAI_ROLE_ASSISTANT:
        return "Assistant: ";
    case OPENAI_ROLE_TOOL:
    case OPENAI_ROLE_FUNCTION:
        return "Tool: ";
    default:
        return "User: ";
    }
}

static int put_message(const struct openai_chat_message *m, const char *heading, struct buf *out,
                       struct error *err)
{
    size_t before = out->len;
    if (out->len > 0)
        buf_puts(out, "\n\n");
    buf_puts(out, heading);
    size_t empty = out->len;
    int rc = put_content(m->content, out, err);
    if (rc == 0 && out->len == empty) { /* nothing was said */
        out->len = before;
        if (out->data)
            out->data[before] = '\0';
    }
    if (rc == 0 && out->len > PROMPT_MAX)
        rc = error_set(err, VX11_ETOO_LARGE, "the conversation is larger than %zu bytes", PROMPT_MAX);
    return rc;
}

int prompt_render(const struct openai_chat_message *messages, size_t n, struct buf *out, struct error *err)
{
    int rc = 0;
    if (n == 1 && messages[0].role == OPENAI_ROLE_USER)
        rc = put_message(&messages[0], "", out, err);
    else {
        for (size_t i = 0; rc == 0 && i < n; i++)
            if (instructs(&messages[i]))
                rc = put_message(&messages[i], "", out, err);
        for (size_t i = 0; rc == 0 && i < n; i++)
            if (!instructs(&messages[i]))
                rc = put_message(&messages[i], speaker(messages[i].role), out, err);
    }
    if (rc == 0 && out->failed)
        rc = VX11_ENOMEM;
    if (rc == VX11_ENOMEM)
        return error_set(err, rc, "out of memory");
    return rc != 0 || out->len > 0 ? rc : error_set(err, VX11_EINVALID, "the conversation holds no text");
}
