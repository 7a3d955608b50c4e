/* Replies: what generations say, as OpenAI's JSON, whole or as a stream of chunks.
 *
 *   request ── reply ─┬─ part (a prompt) ── generation ── choices
 *                     └─ part …
 *
 * The reply lives in the request's arena. It ends the request once, when the last event of every part has
 * come, whatever happened before: a client that left, a slow reader that was dropped or a part that failed
 * cancels the generations and waits for their last events, which come within one step. The first byte of a
 * stream is sent with the first token, so that whatever fails before it is still a plain HTTP error, which
 * Switch can answer by asking another provider. */
#include "engine/reply_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/ulid.h"

static void reply_cancel(struct reply *reply)
{
    for (size_t i = 0; i < reply->options.parts; i++) {
        struct reply_part *part = &reply->parts[i];
        if (part->generation && !part->ended)
            generation_cancel(part->generation);
    }
}

void reply_fault(struct reply *reply, int status, const char *code, const char *text)
{
    if (reply->fault_status == 0) {
        reply->fault_status = status;
        reply->fault_code = code;
        reply->fault_text = arena_strdup(request_arena(reply->request), text);
        if (!reply->fault_text)
            reply->fault_text = "out of memory";
    }
    reply_cancel(reply);
}

static void on_client_gone(struct request *r, void *ctx, int reason)
{
    struct reply *reply = ctx;
    (void)r;
    (void)reason;
    reply->abandoned = true;
    reply_cancel(reply);
}

/* ---- the end ---- */

static void usage_sum(struct reply *reply)
{
    struct usage *sum = &reply->usage;
    for (size_t i = 0; i < reply->options.parts; i++) {
        const struct usage *u = &reply->parts[i].usage;
        sum->prompt_tokens += u->prompt_tokens;
        sum->cached_tokens += u->cached_tokens;
        sum->restored_tokens += u->restored_tokens;
        sum->completion_tokens += u->completion_tokens;
        sum->shifted_tokens += u->shifted_tokens;
        sum->queue_ms = u->queue_ms > sum->queue_ms ? u->queue_ms : sum->queue_ms;
        sum->prompt_ms = u->prompt_ms > sum->prompt_ms ? u->prompt_ms : sum->prompt_ms;
        sum->decode_ms = u->decode_ms > sum->decode_ms ? u->decode_ms : sum->decode_ms;
    }
}

static void reply_account(const struct reply *reply)
{
    const struct engine *e = reply->engine;
    const struct usage *u = &reply->usage;
    metric_observe(e->queue_seconds, u->queue_ms / 1000);
    if (u->prompt_ms > 0)
        metric_observe(e->first_token_seconds, (u->queue_ms + u->prompt_ms) / 1000);
    log_debug("reply", "ended", LOG_S("request", request_id(reply->request)),
              LOG_I("prompt_tokens", u->prompt_tokens), LOG_I("cached_tokens", u->cached_tokens),
              LOG_I("completion_tokens", u->completion_tokens), LOG_D("queue_ms", u->queue_ms),
              LOG_D("prompt_ms", u->prompt_ms), LOG_D("decode_ms", u->decode_ms));
}

static void reply_finish(struct reply *reply)
{
    struct request *r = reply->request;
    usage_sum(reply);
    reply_account(reply);
    if (reply->fault_status != 0 && request_stream_started(r)) {
        reply_stream_error(reply);
        choices_free(reply);
        request_stream_end(r);
    } else if (reply->fault_status != 0) {
        const int status = reply->fault_status;
        const char *code = reply->fault_code, *text = reply->fault_text;
        choices_free(reply);
        if (status == 429)
            request_retry_after(r, scheduler_retry_ms(reply->engine->scheduler));
        request_fail(r, status, code, NULL, "%s", text);
    } else if (reply->abandoned || reply->cancelled) {
        choices_free(reply);
        if (request_stream_started(r))
            request_stream_abort(r);
        else
            request_fail(r, 503, "cancelled", NULL, "the engine is stopping");
    } else if (reply->options.stream) {
        reply_stream_finish(reply);
        choices_free(reply);
        request_stream_end(r);
    } else {
        reply_whole(reply); /* terminal */
    }
}

/* ---- events ---- */

static void choice_keep(struct reply_choice *choice, const struct generation_event *event)
{
    (void)buf_append(&choice->text, event->text, event->len);
    if (event->logprob_count == 0)
        return;
    struct token_logprobs *more =
        realloc(choice->logprobs, (choice->logprob_count + event->logprob_count) * sizeof *more);
    if (!more) {
        choice->text.failed = true;
        return;
    }
    memcpy(more + choice->logprob_count, event->logprobs, event->logprob_count * sizeof *more);
    choice->logprobs = more;
    choice->logprob_count += event->logprob_count;
}

static void on_choice(struct reply *reply, const struct reply_part *part,
                      const struct generation_event *event)
{
    struct reply_choice *choice = &reply->choices[part->first_choice + event->choice];
    if (reply->abandoned || reply->fault_status != 0)
        return;
    if (event->finish != FINISH_NONE) {
        choice->finish = event->finish;
        choice->stop = arena_strdup(request_arena(reply->request), event->stop);
        reply->unfinished--;
    }
    if (!reply->options.stream) {
        choice_keep(choice, event);
        if (choice->text.failed)
            reply_fault(reply, 500, "out_of_memory", "out of memory while answering");
        return;
    }
    if (reply_stream_event(reply, part, choice, event) != 0) {
        reply->abandoned = true; /* the reader has gone or was too slow */
        reply_cancel(reply);
    }
}

static void on_failed(struct reply *reply, const struct error *err)
{
    if (err->code == VX11_ETOO_LARGE)
        reply_fault(reply, 400, "context_length_exceeded", err->text);
    else if (err->code == VX11_EFULL)
        reply_fault(reply, 503, "context_memory_full", err->text);
    else
        reply_fault(reply, 500, "generation_failed", err->text);
}

static void on_event(struct generation *g, void *ctx, const struct generation_event *event)
{
    struct reply_part *part = ctx;
    struct reply *reply = part->reply;
    if (!event->last) {
        on_choice(reply, part, event);
        return;
    }
    if (event->finish == FINISH_FAILED)
        on_failed(reply, event->error);
    else if (event->finish == FINISH_CANCELLED)
        reply->cancelled = true;
    part->usage = *event->usage;
    part->ended = true;
    generation_destroy(g);
    if (++reply->parts_ended == reply->parts_started && reply->all_started)
        reply_finish(reply);
}

/* ---- the beginning ---- */

struct reply *reply_create(struct engine *e, struct request *r, const struct reply_options *o)
{
    struct arena *a = request_arena(r);
    const size_t choices = o->parts * o->choices;
    struct reply *reply = arena_zalloc(a, sizeof *reply);
    if (!reply)
        goto fail;
    *reply = (struct reply){.engine = e, .request = r, .options = *o, .unfinished = choices};
    reply->parts = arena_array(a, o->parts, sizeof *reply->parts);
    reply->choices = arena_array(a, choices, sizeof *reply->choices);
    if (!reply->parts || !reply->choices)
        goto fail;
    memset(reply->parts, 0, o->parts * sizeof *reply->parts);
    memset(reply->choices, 0, choices * sizeof *reply->choices);
    for (size_t i = 0; i < choices; i++)
        reply->choices[i].index = (int64_t)i;
    char ulid[ULID_LEN + 1];
    reply->id = arena_printf(a, "%s-%s", o->chat ? "chatcmpl" : "cmpl", ulid_make(ulid));
    reply->created = clock_wall_ms() / 1000;
    if (!reply->id)
        goto fail;
    request_on_cancel(r, on_client_gone, reply);
    return reply;
fail:
    chat_prompt_free(o->format);
    request_fail(r, 500, "out_of_memory", NULL, "out of memory");
    return NULL;
}

/* No further part is started; ends the reply when nothing runs. */
static bool start_failed(struct reply *reply, int status, const char *code, const char *text)
{
    reply->all_started = true;
    reply_fault(reply, status, code, text);
    if (reply->parts_ended == reply->parts_started)
        reply_finish(reply);
    return false;
}

bool reply_start(struct reply *reply, size_t index, const struct generation_options *o, const char *echo)
{
    struct reply_part *part = &reply->parts[index];
    *part = (struct reply_part){.reply = reply, .first_choice = index * reply->options.choices, .echo = echo};
    struct generation *g = generation_create(o, on_event, part);
    if (!g)
        return start_failed(reply, 500, "out_of_memory", "out of memory");
    const int rc = scheduler_submit(reply->engine->scheduler, g);
    if (rc != 0) {
        generation_destroy(g);
        if (rc == VX11_EFULL)
            return start_failed(reply, 429, "queue_full", "the model's queue is full");
        return start_failed(reply, 503, "stopping", "the engine is stopping");
    }
    part->generation = g;
    reply->parts_started++;
    reply->all_started = reply->parts_started == reply->options.parts;
    for (unsigned i = 0; echo && !reply->options.stream && i < reply->options.choices; i++)
        (void)buf_puts(&reply->choices[part->first_choice + i].text, echo);
    return true;
}
