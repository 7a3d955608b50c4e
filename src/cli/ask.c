/* See ask.h. */
#include "cli/ask.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"

struct client_call_options ask_within(int64_t ms)
{
    return (struct client_call_options){.deadline_ms = clock_mono_ms() + ms};
}

void ask_begin(struct ask *a, struct cli *c, const struct contract_message *type)
{
    *a = (struct ask){.c = c, .type = type};
}

/* A reply outlives its callback by being parsed again into the command's arena. */
void ask_reply(struct client_call *call, void *ctx, const struct client_reply *reply)
{
    struct ask *a = ctx;
    (void)call;
    a->done = true;
    a->result = reply->result;
    a->status = reply->status;
    (void)snprintf(a->code, sizeof a->code, "%s", reply->error_code);
    (void)snprintf(a->text, sizeof a->text, "%s", reply->error.text);
    if (!reply->message || !a->type)
        return;
    struct contract_error bad;
    void *out = arena_alloc(a->c->arena, a->type->size);
    char *text = arena_strndup(a->c->arena, reply->body, reply->body_len);
    if (out && text && contract_parse(a->type, a->c->arena, text, reply->body_len, NULL, out, &bad) == 0)
        a->message = out;
    else
        (void)snprintf(a->text, sizeof a->text, "out of memory");
}

bool ask_wait(struct ask *a, int started)
{
    if (started != 0) {
        a->result = started;
        (void)snprintf(a->text, sizeof a->text, "%s", error_describe(started));
        return false;
    }
    cli_wait(a->c, &a->done);
    if (a->result == 0 && a->status < 300 && (a->message || !a->type))
        return true;
    if (!a->text[0])
        (void)snprintf(a->text, sizeof a->text, "the answer could not be read");
    return false;
}

int ask_failed(const struct ask *a, const char *module)
{
    struct client_reply reply = {.result = a->result, .status = a->status};
    (void)snprintf(reply.error.text, sizeof reply.error.text, "%s", a->text);
    return cli_reply_failed(&reply, module);
}
