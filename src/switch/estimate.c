/* Estimate: usage where a provider gives none. It is counted by the rule of tokens.h, told to the caller as
 * "estimated": true, and marked so in the rows. */
#include "switch/switch_internal.h"

#include <string.h>

#include "switch/tokens.h"

/* Of a streamed answer only the number of its bytes is kept: a token for every four of them. */
#define BYTES_PER_TOKEN 4

/* As it was reckoned when the request was admitted. */
static int64_t prompt_estimate(const struct dispatch *d)
{
    return d->root ? d->want.prompt_tokens : -1;
}

static int64_t answer_estimate(const struct switch_upstream *u)
{
    int64_t n = 0;
    for (size_t i = 0; i < u->choices_count; i++) {
        const struct switch_upstream_choice *c = &u->choices[i];
        if (!c->message) {
            n += c->text ? tokens_estimate_text(c->text, strlen(c->text)) : 0;
            continue;
        }
        n += tokens_estimate_value(c->message->content) + tokens_estimate_value(c->message->tool_calls) +
             tokens_estimate_value(c->message->reasoning_content);
    }
    return n;
}

static bool counted(const struct attempt *a)
{
    return a->tokens.prompt >= 0 && a->tokens.completion >= 0;
}

static void tokens_fill(struct attempt *a, int64_t completion)
{
    if (a->tokens.prompt < 0)
        a->tokens.prompt = prompt_estimate(a->d);
    if (a->tokens.completion < 0)
        a->tokens.completion = completion;
    a->d->account.estimated = true;
}

static void usage_write(const struct attempt *a, struct buf *out)
{
    buf_printf(out,
               "{\"prompt_tokens\":%lld,\"completion_tokens\":%lld,\"total_tokens\":%lld,\"estimated\":true}",
               (long long)a->tokens.prompt, (long long)a->tokens.completion,
               (long long)a->tokens.prompt + (long long)a->tokens.completion);
}

/* The reply is an object: its first brace is followed by what we add. */
static int usage_insert(struct attempt *a)
{
    struct buf out = BUF_INIT;
    const char *brace = memchr(a->reply.data, '{', a->reply.len);
    if (!brace || a->tokens.prompt < 0)
        return 0;
    size_t head = (size_t)(brace - a->reply.data) + 1;
    buf_append(&out, a->reply.data, head);
    buf_puts(&out, "\"usage\":");
    usage_write(a, &out);
    buf_putc(&out, ',');
    if (buf_append(&out, a->reply.data + head, a->reply.len - head) != 0) {
        buf_free(&out);
        return VX11_ENOMEM;
    }
    buf_free(&a->reply);
    a->reply = out;
    return 1;
}

int estimate_reply(struct attempt *a, const struct switch_upstream *u)
{
    if (a->d->wish.kind == DISPATCH_EMBEDDING && a->tokens.prompt >= 0)
        return 0;
    if (counted(a))
        return 0;
    tokens_fill(a, a->d->wish.kind == DISPATCH_EMBEDDING ? 0 : answer_estimate(u));
    return u->usage ? 0 : usage_insert(a); /* a usage of its own that is not whole stays as it came */
}

void estimate_cut(struct attempt *a)
{
    if (!counted(a))
        tokens_fill(a, (int64_t)((a->text_bytes + BYTES_PER_TOKEN - 1) / BYTES_PER_TOKEN));
}

void estimate_stream(struct attempt *a)
{
    struct dispatch *d = a->d;
    struct buf chunk = BUF_INIT;
    if (counted(a))
        return;
    tokens_fill(a, (int64_t)((a->text_bytes + BYTES_PER_TOKEN - 1) / BYTES_PER_TOKEN));
    if (a->tokens.prompt < 0 || !(d->include_usage || d->dialect))
        return;
    buf_printf(&chunk, "{\"id\":\"%s\",\"object\":\"chat.completion.chunk\",\"created\":%lld,\"model\":",
               request_id(d->r), (long long)(d->account.at / 1000));
    buf_put_json_string(&chunk, a->candidate->model, strlen(a->candidate->model));
    buf_puts(&chunk, ",\"choices\":[],\"usage\":");
    usage_write(a, &chunk);
    if (buf_putc(&chunk, '}') == 0)
        (void)answer_chunk(a, chunk.data, chunk.len, NULL);
    buf_free(&chunk);
}
