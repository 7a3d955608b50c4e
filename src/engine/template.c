/* Chat formats of models. A template that cannot be read or applied is found out here, while the model loads,
 * and its reason kept: completions still work, chats are refused with it. Nothing is guessed at. */
#include "engine/template.h"

#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"
#include "engine/chat_format.h"

static const char *token_spelled(const struct model *m, llama_token token)
{
    return token == LLAMA_TOKEN_NULL ? "" : llama_vocab_get_text(m->vocab, token);
}

int template_detect(struct model *m, const char *text, struct error *err)
{
    struct error why = {0};
    const char *own = text ? text : llama_model_chat_template(m->llama, NULL);
    const char *tools = text ? NULL : llama_model_chat_template(m->llama, "tool_use");
    if (!own || !*own)
        own = tools;
    if (!own || !*own) {
        m->template_state = MODEL_TEMPLATE_ABSENT;
        return 0;
    }
    const struct chat_source source = {.text = own,
                                       .tool_text = tools,
                                       .bos = token_spelled(m, llama_vocab_bos(m->vocab)),
                                       .eos = token_spelled(m, llama_vocab_eos(m->vocab)),
                                       .add_bos = llama_vocab_get_add_bos(m->vocab),
                                       .add_eos = llama_vocab_get_add_eos(m->vocab)};
    const int rc = chat_format_create(&source, &m->chat, &why);
    if (rc == VX11_ENOMEM)
        return error_set(err, rc, "%s", why.text);
    m->template_state = rc == 0 ? MODEL_TEMPLATE_READY : MODEL_TEMPLATE_UNSUPPORTED;
    if (rc == 0)
        return 0;
    log_error("model", "the chat template cannot be applied: chats will be refused",
              LOG_S("reason", why.text));
    m->template_reason = strdup(why.text);
    return m->template_reason ? 0 : error_set(err, VX11_ENOMEM, "out of memory");
}

int template_ready(const struct model *m, struct error *err)
{
    if (m->template_state == MODEL_TEMPLATE_ABSENT)
        return error_set(err, VX11_EUNSUPPORTED,
                         "model %s has no chat template: use completions with a prompt of your own", m->name);
    if (m->template_state == MODEL_TEMPLATE_UNSUPPORTED)
        return error_set(err, VX11_EUNSUPPORTED, "model %s: %s: use completions with a prompt of your own",
                         m->name, m->template_reason ? m->template_reason : "no usable template");
    return 0;
}

int template_file_read(const char *path, char **out, struct error *err)
{
    struct buf text = BUF_INIT;
    int rc = fs_read_file(path, TEMPLATE_MOST, &text, err);
    if (rc == 0 && (text.len == 0 || memchr(text.data, 0, text.len) || !utf8_valid(text.data, text.len)))
        rc = error_set(err, VX11_EINVALID, "%s is no text", path);
    if (rc == 0)
        *out = buf_detach(&text, NULL);
    buf_free(&text);
    return rc;
}
