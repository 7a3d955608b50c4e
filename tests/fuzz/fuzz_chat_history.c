/* The history of a chat from its JSON to the text of a prompt: read, mended, marked, rendered by a template
 * and with tools by the generic format. Whatever comes in, the outcome is a fault with a code or a prompt in
 * which nothing but the template spells a control token. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/messages.h"
#include "engine/tools.h"

static const char template_text[] =
    "{% for m in messages %}<|a|>{{ m.role }}\n{{ m.content }}"
    "{% if m.tool_calls %}{% for c in m.tool_calls %}<|c|>{{ c.function.name }}{{ c.function.arguments | "
    "tojson }}"
    "{% endfor %}{% endif %}<|b|>{% endfor %}{% if add_generation_prompt %}<|a|>assistant\n{% endif %}";
static const char *const specials[] = {"<|a|>", "<|b|>", "<|c|>"};

static size_t count(const char *text, const char *what)
{
    size_t n = 0;
    for (const char *at = strstr(text, what); at; at = strstr(at + 1, what))
        n++;
    return n;
}

static void render(const struct chat_format *f, const struct history *h, const struct tools *tools)
{
    struct error err = {0};
    struct chat_prompt *p = NULL;
    size_t calls = 0;
    const struct chat_input in = {.messages = h->messages,
                                  .message_count = h->count,
                                  .tools = tools->shown,
                                  .tools_exact = tools->exact,
                                  .tool_choice = tools->choice,
                                  .parallel = tools->parallel,
                                  .thinking = true};
    for (size_t i = 0; i < h->count; i++)
        calls += h->messages[i].call_count;
    if (chat_format_apply(f, &in, &p, &err) != 0) {
        if (err.code != VX11_EINVALID && err.code != VX11_ENOMEM)
            abort();
        return;
    }
    const size_t begins = count(p->text, "<|a|>");
    if (begins > h->count + 2 || count(p->text, "<|b|>") + 1 != begins || count(p->text, "<|c|>") > calls)
        abort();
    chat_prompt_free(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct chat_format *format;
    if (!format) {
        const struct chat_source source = {.text = template_text};
        if (chat_format_create(&source, &format, NULL) != 0)
            abort();
    }
    struct arena *a = arena_create((size_t)64 << 20);
    struct openai_chat_request q;
    struct contract_error bad;
    struct request_fault fault = {0};
    struct marks marks;
    struct history h;
    struct tools tools;
    marks_init(&marks, specials, sizeof specials / sizeof *specials, a);
    if (contract_parse(&openai_chat_request_message, a, (const char *)data, size, NULL, &q, &bad) != 0)
        goto out;
    if (!tools_read(&q, &marks, a, &tools, &fault) ||
        !history_read(q.messages, q.messages_count, &marks, a, &h, &fault)) {
        if (!fault.code)
            abort();
        goto out;
    }
    render(format, &h, &tools);
out:
    arena_destroy(a);
    return 0;
}
