/* Chat templates by libllama's built-in list: it recognises a template by its characteristic pieces and
 * renders it by code of its own. What it does not recognise is refused, never guessed at. */
#include "engine/template.h"

#include <stdlib.h>
#include <string.h>

int template_detect(struct model *m, struct error *err)
{
    static const struct llama_chat_message probe[] = {{"user", "a"}, {"assistant", "b"}, {"user", "c"}};
    const char *text = llama_model_chat_template(m->llama, NULL);
    if (!text || !*text) {
        m->template_state = MODEL_TEMPLATE_ABSENT;
        return 0;
    }
    m->chat_template = strdup(text);
    if (!m->chat_template)
        return error_set(err, VX11_ENOMEM, "out of memory");
    const int32_t need =
        llama_chat_apply_template(text, probe, sizeof probe / sizeof probe[0], true, NULL, 0);
    m->template_state = need > 0 ? MODEL_TEMPLATE_READY : MODEL_TEMPLATE_UNSUPPORTED;
    return 0;
}

/* How many bytes to try first: libllama says how many it needed when that was too little. */
static size_t size_guess(const struct template_message *messages, size_t n)
{
    size_t bytes = 256;
    for (size_t i = 0; i < n; i++)
        bytes += strlen(messages[i].content) + strlen(messages[i].role) + 64;
    return bytes;
}

int template_apply(const struct model *m, const struct template_message *messages, size_t n, struct buf *out,
                   struct error *err)
{
    int rc = 0;
    struct llama_chat_message *chat = NULL;
    if (m->template_state == MODEL_TEMPLATE_ABSENT)
        return error_set(err, VX11_EUNSUPPORTED,
                         "model %s has no chat template: use completions with a prompt of your own", m->name);
    if (m->template_state == MODEL_TEMPLATE_UNSUPPORTED)
        return error_set(err, VX11_EUNSUPPORTED,
                         "the chat template of model %s is not one that can be applied: use completions with "
                         "a prompt of your own",
                         m->name);
    size_t size = size_guess(messages, n);
    if (size > INT32_MAX)
        return error_set(err, VX11_ETOO_LARGE, "the messages are too long");
    chat = calloc(n, sizeof *chat);
    if (!chat)
        return error_set(err, VX11_ENOMEM, "out of memory");
    for (size_t i = 0; i < n; i++)
        chat[i] = (struct llama_chat_message){.role = messages[i].role, .content = messages[i].content};
    for (int attempt = 0; attempt < 2; attempt++) {
        if (buf_reserve(out, size + 1) != 0) {
            rc = error_set(err, VX11_ENOMEM, "out of memory");
            goto out;
        }
        const int32_t need =
            llama_chat_apply_template(m->chat_template, chat, n, true, out->data + out->len, (int32_t)size);
        if (need < 0) {
            rc = error_set(err, VX11_EUNSUPPORTED,
                           "the chat template of model %s cannot be applied to these messages", m->name);
            goto out;
        }
        if ((size_t)need <= size) {
            out->len += (size_t)need;
            out->data[out->len] = '\0';
            goto out;
        }
        size = (size_t)need;
    }
    rc = error_set(err, VX11_EINTERNAL, "the chat template's length changed between two calls");
out:
    free(chat);
    return rc;
}
