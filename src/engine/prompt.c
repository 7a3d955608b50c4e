/* Prompts of chats.
 *
 * A template's text is tokenized with its control tokens understood ("<|im_start|>" is one token), and a
 * person who writes such a token into a message could so speak as somebody else. Messages that spell none,
 * nearly all, are rendered and tokenized in one go. When one does, the template is rendered with a mark in
 * place of each content, and the pieces are tokenized one by one: the template's with control tokens, the
 * contents without. */
#include "engine/prompt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"

size_t prompt_bytes(const struct template_message *messages, size_t n)
{
    size_t bytes = 0;
    for (size_t i = 0; i < n; i++)
        bytes += strlen(messages[i].content);
    return bytes;
}

/* A mark is "\2NUMBER\3": control characters that no template has, and none takes for white space. */

static bool spells_special(const struct model *m, const char *text)
{
    bool first[256] = {false};
    char set[257];
    size_t n = 0;
    for (size_t i = 0; i < m->special_count; i++) {
        const unsigned char c = (unsigned char)m->specials[i][0];
        if (!first[c])
            set[n++] = (char)c;
        first[c] = true;
    }
    set[n] = '\0';
    for (const char *at = text + strcspn(text, set); *at; at += 1 + strcspn(at + 1, set)) {
        for (size_t i = 0; i < m->special_count; i++) {
            if (strncmp(at, m->specials[i], strlen(m->specials[i])) == 0)
                return true;
        }
    }
    return false;
}

static int pieces_tokenize(const struct model *m, const struct template_message *messages, size_t n,
                           const char *rendered, struct tokens *out, struct error *err)
{
    bool start = true;
    while (*rendered) {
        const char *mark = strchr(rendered, '\2');
        const size_t len = mark ? (size_t)(mark - rendered) : strlen(rendered);
        int rc = len > 0 || start ? tokenize(m, rendered, len, start, true, out, err) : 0;
        start = false;
        if (rc != 0 || !mark)
            return rc;
        char *end = NULL;
        const unsigned long which = strtoul(mark + 1, &end, 10);
        if (*end != '\3' || which >= n)
            return error_set(err, VX11_EINTERNAL, "the chat template changed a mark");
        const char *content = messages[which].content;
        rc = tokenize(m, content, strlen(content), false, false, out, err);
        if (rc != 0)
            return rc;
        rendered = end + 1;
    }
    return 0;
}

static int prompt_in_pieces(const struct model *m, const struct template_message *messages, size_t n,
                            struct tokens *out, struct error *err)
{
    struct buf rendered = BUF_INIT;
    struct arena *a = arena_create(0);
    struct template_message *marked = a ? arena_array(a, n, sizeof *marked) : NULL;
    int rc = 0;
    for (size_t i = 0; marked && i < n; i++) {
        marked[i] = (struct template_message){messages[i].role, arena_printf(a, "\2%zu\3", i)};
        if (!marked[i].content)
            marked = NULL;
    }
    if (!marked) {
        rc = error_set(err, VX11_ENOMEM, "out of memory");
        goto out;
    }
    rc = template_apply(m, marked, n, &rendered, err);
    if (rc == 0)
        rc = pieces_tokenize(m, messages, n, rendered.data, out, err);
out:
    arena_destroy(a);
    buf_free(&rendered);
    return rc;
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

int prompt_chat(const struct model *m, const struct template_message *messages, size_t n, struct tokens *out,
                struct error *err)
{
    const size_t from = out->len;
    struct buf rendered = BUF_INIT;
    int rc = 0;
    bool special = false;
    for (size_t i = 0; i < n && !special; i++)
        special = spells_special(m, messages[i].content);
    if (special) {
        rc = prompt_in_pieces(m, messages, n, out, err);
    } else {
        rc = template_apply(m, messages, n, &rendered, err);
        if (rc == 0)
            rc = tokenize(m, rendered.data, rendered.len, true, true, out, err);
    }
    if (rc == 0)
        start_once(m, out, from);
    buf_free(&rendered);
    return rc;
}
