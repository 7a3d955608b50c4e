/* Prompts of chats. */
#include "engine/prompt.h"

#include <string.h>

#include "engine/template.h"

void prompt_marks(const struct model *m, struct marks *marks, struct arena *a)
{
    marks_init(marks, m->specials, m->special_count, a);
}

/* Some templates write the start token that the tokenizer adds as well. */
static void start_once(const struct model *m, struct tokens *t, size_t from)
{
    const llama_token bos = llama_vocab_bos(m->vocab);
    if (t->len - from < 2 || t->data[from] != bos || t->data[from + 1] != bos)
        return;
    memmove(t->data + from, t->data + from + 1, (t->len - from - 1) * sizeof *t->data);
    t->len--;
}

int prompt_make(const struct model *m, const struct chat_input *in, const struct marks *marks,
                struct chat_prompt **chat, struct tokens *out, struct error *err)
{
    const size_t from = out->len;
    int rc = template_ready(m, err);
    if (rc == 0)
        rc = chat_format_apply(m->chat, in, chat, err);
    if (rc != 0)
        return rc;
    rc = marks_tokenize(marks, m, (*chat)->text, (*chat)->len, out, err);
    if (rc == 0) {
        start_once(m, out, from);
        return 0;
    }
    chat_prompt_free(*chat);
    *chat = NULL;
    return rc;
}
