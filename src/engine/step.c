/* One step of the decode thread: a batch of one token of each running sequence and a share of the prompts
 * that are being read, one llama_decode, and a token drawn from each row of logits.
 *
 * While sequences run, the prompts' share is kept so small that a step takes about GAP_SECONDS by the speed
 * measured so far: a long prompt then makes the others slower, not silent. Prompts are read first come, first
 * served, which gives the earliest mean time to the first token. */
#include "engine/scheduler_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"

#define GAP_SECONDS 0.1

enum { CHUNK_SMALLEST = 16, CHUNK_UNMEASURED = 64 };

static bool abort_now(struct scheduler *s)
{
    if (!s->aborting)
        model_log_quiet(true);
    s->aborting = true;
    return true;
}

bool step_abort(void *scheduler)
{
    struct scheduler *s = scheduler;
    if (s->aborting || atomic_load_explicit(&s->stopping, memory_order_relaxed))
        return abort_now(s);
    unsigned waited_for = 0, in_batch = 0;
    for (int32_t i = 0; i < s->model->parallel; i++) {
        const struct slot *slot = &s->slots[i];
        if (slot->state == SLOT_IDLE || slot->batch_count == 0)
            continue;
        in_batch++;
        waited_for += !atomic_load_explicit(&slot->generation->cancelled, memory_order_relaxed);
    }
    return in_batch > 0 && waited_for == 0 ? abort_now(s) : false;
}

/* ---- the batch ---- */

static void batch_add(struct llama_batch *b, llama_token token, int32_t position, llama_seq_id sequence,
                      bool logits)
{
    const int32_t i = b->n_tokens++;
    b->token[i] = token;
    b->pos[i] = position;
    b->n_seq_id[i] = 1;
    b->seq_id[i][0] = sequence;
    b->logits[i] = logits;
}

static int32_t running_add(struct scheduler *s)
{
    int32_t running = 0;
    for (int32_t i = 0; i < s->model->parallel; i++) {
        struct slot *slot = &s->slots[i];
        slot->batch_count = 0;
        slot->row = -1;
        if (slot->state != SLOT_RUNNING)
            continue;
        slot->row = s->batch.n_tokens;
        slot->batch_count = 1;
        batch_add(&s->batch, slot->next, slot->past, slot->id, true);
        running++;
    }
    return running;
}

static struct slot *next_prompt(struct scheduler *s)
{
    struct slot *first = NULL;
    for (int32_t i = 0; i < s->model->parallel; i++) {
        struct slot *slot = &s->slots[i];
        if (slot->state == SLOT_PROMPT && slot->batch_count == 0 && (!first || slot->order < first->order))
            first = slot;
    }
    return first;
}

static double prompt_rate(struct scheduler *s)
{
    struct scheduler_stats stats;
    scheduler_stats(s, &stats);
    return stats.prompt_rate;
}

static int32_t prompt_share(struct scheduler *s, int32_t running)
{
    const int32_t room = s->model->batch - running;
    if (running == 0 || room <= CHUNK_SMALLEST)
        return room;
    const double rate = prompt_rate(s);
    const double tokens = rate < 0 ? CHUNK_UNMEASURED : rate * GAP_SECONDS;
    if (tokens >= room)
        return room;
    return tokens < CHUNK_SMALLEST ? CHUNK_SMALLEST : (int32_t)tokens;
}

/* Returns how many tokens of prompts the batch has. */
static int32_t prompts_add(struct scheduler *s, int32_t running)
{
    struct slot *slot = next_prompt(s);
    int32_t share = slot ? prompt_share(s, running) : 0;
    const int32_t before = s->batch.n_tokens;
    for (; slot && share > 0; slot = next_prompt(s)) {
        const int32_t left = (int32_t)slot->generation->prompt_count - slot->past;
        const int32_t n = left < share ? left : share;
        for (int32_t i = 0; i < n; i++)
            batch_add(&s->batch, slot->generation->prompt[slot->past + i], slot->past + i, slot->id,
                      i + 1 == left);
        slot->batch_count = n;
        slot->row = n == left ? s->batch.n_tokens - 1 : -1;
        share -= n;
    }
    return s->batch.n_tokens - before;
}

/* ---- after the decode ---- */

static void pending_add(struct slot *slot, struct generation *g, const struct token_logprobs *value,
                        size_t start)
{
    if (slot->pending_count == slot->pending_cap) {
        const size_t cap = slot->pending_cap ? slot->pending_cap * 2 : 16;
        struct pending_logprob *more = realloc(slot->pending, cap * sizeof *more);
        if (!more) {
            error_set(&g->error, VX11_ENOMEM, "out of memory while answering");
            return;
        }
        slot->pending = more;
        slot->pending_cap = cap;
    }
    slot->pending[slot->pending_count++] = (struct pending_logprob){.value = *value, .start = start};
}

static void logprobs_note(struct scheduler *s, struct slot *slot, llama_token token)
{
    struct token_logprobs value = {.chosen.token = token};
    const float *logits = llama_get_logits_ith(s->model->context, slot->row);
    value.top_count = logits_probabilities(logits, s->model->vocabulary, token, &value.chosen.logprob,
                                           value.top, slot->generation->top_logprobs);
    pending_add(slot, slot->generation, &value, slot->text.total);
}

/* Sends text with the log-probabilities of the tokens that it ends; those of a stop string's tokens are
 * dropped with it. */
static void slot_emit(struct scheduler *s, struct slot *slot, enum finish finish)
{
    const struct buf *text = &slot->shown;
    const size_t shown = text_shown(&slot->text);
    struct token_logprobs *out = NULL;
    size_t n = 0;
    if (slot->generation->whole && finish == FINISH_NONE)
        return;
    while (n < slot->pending_count &&
           (slot->pending[n].start < shown || (finish != FINISH_NONE && !slot->text.stopped)))
        n++;
    if (text->len == 0 && n == 0 && finish == FINISH_NONE)
        return;
    if (n > 0) {
        out = calloc(n, sizeof *out);
        if (!out)
            error_set(&slot->generation->error, VX11_ENOMEM, "out of memory while answering");
        for (size_t i = 0; out && i < n; i++)
            out[i] = slot->pending[i].value;
        slot->pending_count -= n;
        memmove(slot->pending, slot->pending + n, slot->pending_count * sizeof *slot->pending);
    }
    generation_emit(s, slot->generation, slot->choice, text->data, text->len, out, out ? n : 0, finish);
    buf_clear(&slot->shown);
    free(out);
}

static enum finish token_take(struct scheduler *s, struct slot *slot, llama_token token)
{
    struct generation *g = slot->generation;
    struct buf piece = BUF_INIT;
    enum finish finish = FINISH_NONE;
    int rc = 0;
    slot->generated++;
    g->usage.completion_tokens++;
    if (llama_vocab_is_eog(s->model->vocab, token)) {
        finish = FINISH_STOP;
    } else {
        if (g->logprobs)
            logprobs_note(s, slot, token);
        rc = token_append_text(s->model, token, false, &piece);
        if (rc == 0)
            rc = text_feed(&slot->text, piece.data ? piece.data : "", piece.len, &slot->shown);
        if (slot->text.stopped)
            finish = FINISH_STOP;
        else if (slot->generated >= slot->limit)
            finish = FINISH_LENGTH;
    }
    if (finish != FINISH_NONE && rc == 0)
        rc = text_finish(&slot->text, &slot->shown);
    if (rc != 0)
        error_set(&g->error, rc, "out of memory while answering");
    buf_free(&piece);
    slot->next = token;
    slot->state = SLOT_RUNNING;
    return finish;
}

static void first_token(struct scheduler *s, struct slot *slot)
{
    struct generation *g = slot->generation;
    (void)cache_publish(s->cache, slot->id, slot->tokens, slot->past); /* others share it, or read it */
    if (slot->choice != 0)
        return;
    g->prompt_ready = true;
    g->first_token_ns = clock_mono_ns();
    g->usage.prompt_ms = (double)(g->first_token_ns - g->admitted_ns) / 1e6;
}

static void slot_sample(struct scheduler *s, struct slot *slot)
{
    struct generation *g = slot->generation;
    const llama_token token = sampler_sample(slot->sampler, s->model->context, slot->row);
    if (slot->state == SLOT_PROMPT)
        first_token(s, slot);
    const enum finish finish = token_take(s, slot, token);
    slot_emit(s, slot, finish);
    if (finish == FINISH_NONE)
        return;
    slot_release(s, slot);
    if (++g->ended == g->choices)
        generation_end(s, g, FINISH_NONE);
}

static void slot_advance(struct scheduler *s, struct slot *slot)
{
    for (int32_t i = 0; i < slot->batch_count; i++)
        slot_push(s, slot, slot->state == SLOT_RUNNING ? slot->next : slot->generation->prompt[slot->past]);
}

/* ---- failures ---- */

static struct slot *newest_in_batch(struct scheduler *s)
{
    struct slot *newest = NULL;
    for (int32_t i = 0; i < s->model->parallel; i++) {
        struct slot *slot = &s->slots[i];
        if (slot->state != SLOT_IDLE && slot->batch_count > 0 && (!newest || slot->order > newest->order))
            newest = slot;
    }
    return newest;
}

/* rc as llama_decode returned it. The generations concerned are given an error; the next round ends them. */
static void decode_failed(struct scheduler *s, int32_t rc)
{
    if (rc == 1) { /* nothing was changed */
        error_set(&newest_in_batch(s)->generation->error, VX11_EFULL, "the context memory is full");
    }
    for (int32_t i = 0; i < s->model->parallel && rc != 1; i++) {
        struct slot *slot = &s->slots[i];
        if (slot->state == SLOT_IDLE || slot->batch_count == 0)
            continue;
        if (rc == 2) { /* aborted: all of them are cancelled */
            slot_rollback(s, slot);
            continue;
        }
        slot_forget(s, slot);
        error_set(&slot->generation->error, VX11_EINTERNAL, "the model could not decode (libllama says %d)",
                  (int)rc);
    }
    if (rc != 2)
        log_error("scheduler", "decode failed", LOG_I("code", rc), LOG_I("tokens", s->batch.n_tokens));
}

static int32_t decode(struct scheduler *s)
{
    int32_t rc = cache_room(s->cache, s->batch.n_tokens) ? llama_decode(s->model->context, s->batch) : 1;
    if (rc == 1) {
        cache_clear(s->cache);
        rc = llama_decode(s->model->context, s->batch);
    }
    if (rc == 0)
        llama_synchronize(s->model->context);
    if (s->aborting)
        model_log_quiet(false);
    s->aborting = false;
    return rc;
}

/* ---- accounting ---- */

static void step_account(struct scheduler *s, int32_t prompt_tokens, int32_t rows, double seconds)
{
    const int64_t second = clock_mono_ms() / 1000;
    pthread_mutex_lock(&s->lock);
    struct rate_bucket *b = &s->rates[second % RATE_SECONDS];
    if (b->second != second)
        *b = (struct rate_bucket){.second = second};
    s->stats.steps++;
    s->stats.last_step_tokens = s->batch.n_tokens;
    s->stats.prompt_tokens += (uint64_t)prompt_tokens;
    s->stats.completion_tokens += (uint64_t)rows;
    if (prompt_tokens > 0) {
        b->prompt_tokens += (uint64_t)prompt_tokens;
        b->prompt_seconds += seconds;
        s->stats.prompt_seconds += seconds;
    } else {
        b->decode_tokens += (uint64_t)rows;
        b->decode_seconds += seconds;
        s->stats.decode_seconds += seconds;
    }
    pthread_mutex_unlock(&s->lock);
}

void step_run(struct scheduler *s)
{
    const uint64_t started = clock_mono_ns();
    s->step++;
    s->batch.n_tokens = 0;
    const int32_t running = running_add(s);
    const int32_t prompt_tokens = prompts_add(s, running);
    if (s->batch.n_tokens == 0)
        return;
    const uint64_t before = clock_mono_ns();
    const int32_t rc = decode(s);
    const uint64_t after = clock_mono_ns();
    if (rc != 0) {
        decode_failed(s, rc);
        return;
    }
    threads_measured(&s->model->threads, s->batch.n_tokens, (double)(after - before) / 1e9, after);
    int32_t rows = 0;
    for (int32_t i = 0; i < s->model->parallel; i++) {
        struct slot *slot = &s->slots[i];
        if (slot->state == SLOT_IDLE || slot->batch_count == 0)
            continue;
        slot_advance(s, slot);
        if (slot->row < 0)
            continue;
        slot_sample(s, slot);
        rows++;
    }
    step_account(s, prompt_tokens, rows, (double)(clock_mono_ns() - started) / 1e9);
}
