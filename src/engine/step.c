/* One step of the decode thread: a batch of one token of each running sequence, with what is guessed to
 * follow it, and a share of the prompts that are being read (pace.c); one llama_decode; and tokens drawn from
 * the rows of logits.
 *
 * Cells for the batch are made free first: by evicting what is only kept, and when that does not suffice, by
 * parking the least urgent sequences, which go on later. One alone always fits, so this ends. */
#include "engine/scheduler_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"

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
    if (s->model->can_trim && s->model->threads.step_limit_ns > 0 &&
        threads_hang(&s->model->threads, clock_mono_ns())) {
        s->stalled = true;
        return abort_now(s);
    }
    unsigned waited_for = 0, in_batch = 0;
    for (int32_t i = 0; i < s->model->parallel; i++) {
        const struct slot *slot = &s->slots[i];
        if (slot->state == SLOT_IDLE || (slot->batch_count == 0 && slot->state != SLOT_FOLLOWING))
            continue; /* those that follow want what is read for them */
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

static int32_t running_count(const struct scheduler *s)
{
    int32_t running = 0;
    for (int32_t i = 0; i < s->model->parallel; i++)
        running += s->slots[i].state == SLOT_RUNNING;
    return running;
}

static int32_t cells_left(const struct scheduler *s)
{
    return cache_free(s->cache) + cache_evictable(s->cache) - s->batch.n_tokens;
}

/* Everyone who runs gets a cell; and when nobody runs, who reads. */
static void room_make(struct scheduler *s)
{
    for (;;) {
        const int32_t running = running_count(s), needed = running > 0 ? running : 1;
        if (cells_left(s) >= needed || slots_live(s) < 2)
            return;
        if (!slot_park(s, pace_victim(s)))
            return; /* its generation has failed: the next round ends it */
    }
}

/* Guesses of a slot that fit the batch, the cells and the context; the other running slots come first. */
static int32_t guesses_fit(const struct scheduler *s, const struct slot *slot, int32_t others)
{
    int32_t most = slot->guess_count;
    const int32_t batch = s->model->batch - s->batch.n_tokens - others, cells = cells_left(s) - others,
                  context = s->model->context_length - slot->past - 1;
    most = batch < most ? batch : most;
    most = cells < most ? cells : most;
    most = context < most ? context : most;
    return most > 0 ? most : 0;
}

static int32_t running_add(struct scheduler *s)
{
    int32_t others = running_count(s);
    for (int32_t i = 0; i < s->model->parallel; i++) {
        struct slot *slot = &s->slots[i];
        slot->batch_count = 0;
        slot->row = -1;
        if (slot->state != SLOT_RUNNING)
            continue;
        slot->row = s->batch.n_tokens;
        batch_add(&s->batch, slot->next, slot->past, slot->id, true);
        others--;
        if (slot->guess_count > 0)
            slot->guess_count = guesses_fit(s, slot, others);
        for (int32_t k = 0; k < slot->guess_count; k++)
            batch_add(&s->batch, slot->guess[k], slot->past + 1 + k, slot->id, true);
        slot->batch_count = 1 + slot->guess_count;
    }
    return s->batch.n_tokens;
}

/* Returns how many tokens of prompts the batch has. */
static int32_t prompts_add(struct scheduler *s, int32_t rows)
{
    pace_prepare(s);
    struct slot *slot = pace_next(s);
    int32_t share = slot ? pace_share(s, rows) : 0;
    const int32_t before = s->batch.n_tokens, cells = cells_left(s);
    share = share < cells ? share : cells;
    for (; slot && share > 0; slot = pace_next(s)) {
        const int32_t left = slot->input_count - slot->past;
        const int32_t n = left < share ? left : share;
        for (int32_t i = 0; i < n; i++)
            batch_add(&s->batch, slot->input[slot->past + i], slot->past + i, slot->id, i + 1 == left);
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
    generation_emit(s, slot->generation, slot->choice, text->data, text->len, out, out ? n : 0, finish,
                    finish == FINISH_STOP ? slot->text.met : NULL);
    buf_clear(&slot->shown);
    free(out);
}

static bool token_shown(const struct generation *g, llama_token token)
{
    for (size_t i = 0; i < g->shown_count; i++) {
        if (g->shown[i] == token)
            return true;
    }
    return false;
}

static enum finish token_take(struct scheduler *s, struct slot *slot, llama_token token)
{
    struct generation *g = slot->generation;
    struct buf piece = BUF_INIT;
    enum finish finish = FINISH_NONE;
    int rc = 0;
    slot->generated++;
    g->usage.completion_tokens++;
    if (token == SAMPLER_END || llama_vocab_is_eog(s->model->vocab, token)) {
        finish = FINISH_STOP;
    } else {
        if (g->logprobs)
            logprobs_note(s, slot, token);
        rc = token_append_text(s->model, token, token_shown(g, token), &piece);
        if (rc == 0)
            rc = text_feed(&slot->text, piece.data ? piece.data : "", piece.len, &slot->shown);
        if (slot->text.stopped || sampler_finished(slot->sampler))
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
    (void)cache_publish(s->cache, slot->id, slot->tokens, slot->past);
    if (slot->choice != 0 || g->first_token_ns != 0)
        return;
    g->prompt_ready = true;
    s->admit_due = true;
    g->first_token_ns = clock_mono_ns();
    g->usage.prompt_ms = (double)(g->first_token_ns - g->admitted_ns) / 1e6;
}

static void slot_finish(struct scheduler *s, struct slot *slot)
{
    struct generation *g = slot->generation;
    slot_release(s, slot);
    if (++g->ended == g->choices)
        generation_end(s, g, FINISH_NONE);
}

/* Draws from the slot's rows, of which each stands for a guess as long as the guesses come true: a row has
 * seen all before it. Returns how many tokens were drawn. */
static int32_t slot_sample(struct scheduler *s, struct slot *slot)
{
    const int32_t rows = slot->state == SLOT_PROMPT ? 1 : slot->batch_count;
    int32_t drawn = 0;
    if (slot->state == SLOT_PROMPT)
        first_token(s, slot);
    else
        slot_push(s, slot, slot->next);
    enum finish finish = FINISH_NONE;
    for (;;) {
        const llama_token token = sampler_sample(slot->sampler, s->model->context, slot->row);
        if (token == SAMPLER_FAILED) { /* the next round ends it */
            error_set(&slot->generation->error, VX11_EUNSUPPORTED, "%s", sampler_error(slot->sampler));
            break;
        }
        finish = token_take(s, slot, token);
        drawn++;
        slot_emit(s, slot, finish);
        if (finish != FINISH_NONE || drawn == rows || slot->guess[drawn - 1] != token)
            break;
        slot_push(s, slot, token);
        slot->row++;
    }
    if (rows > 1)
        verify_count(s, slot, drawn);
    if (drawn < rows)
        slot_rollback(s, slot);
    if (finish == FINISH_NONE && slot->generation->error.code == 0 &&
        slot->past >= s->model->context_length && !slot_shift(s, slot)) {
        finish = FINISH_LENGTH;
        if (text_finish(&slot->text, &slot->shown) != 0)
            error_set(&slot->generation->error, VX11_ENOMEM, "out of memory while answering");
        slot_emit(s, slot, finish);
    }
    if (finish != FINISH_NONE)
        slot_finish(s, slot);
    return drawn;
}

static void prompt_advance(struct scheduler *s, struct slot *slot)
{
    for (int32_t i = 0; i < slot->batch_count; i++)
        slot_push(s, slot, slot->input[slot->past]);
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
    if (rc == 1 && slots_live(s) > 1) { /* nothing was changed */
        (void)slot_park(s, newest_in_batch(s));
    } else if (rc == 1) {
        error_set(&newest_in_batch(s)->generation->error, VX11_EFULL, "the context memory is full");
    }
    for (int32_t i = 0; i < s->model->parallel && rc != 1; i++) {
        struct slot *slot = &s->slots[i];
        if (slot->state == SLOT_IDLE || slot->batch_count == 0)
            continue;
        if (rc == 2) { /* aborted: nobody waits for it */
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

/* The smallest i with n <= 2^i, or the last. */
static int size_class(int32_t n)
{
    int i = 0;
    while (i < STEP_SIZES - 1 && n > 1 << i)
        i++;
    return i;
}

static void step_account(struct scheduler *s, int32_t prompt_tokens, int32_t rows, double seconds)
{
    const int64_t second = clock_mono_ms() / 1000;
    pthread_mutex_lock(&s->lock);
    struct rate_bucket *b = &s->rates[second % RATE_SECONDS];
    if (b->second != second)
        *b = (struct rate_bucket){.second = second};
    s->stats.steps++;
    s->stats.last_step_tokens = s->batch.n_tokens;
    s->stats.step_tokens += (uint64_t)s->batch.n_tokens;
    s->stats.step_sizes[size_class(s->batch.n_tokens)]++;
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
    slots_follow(s);
    room_make(s);
    verify_guess(s);
    const int32_t prompt_tokens = prompts_add(s, running_add(s));
    if (s->batch.n_tokens == 0)
        return;
    const uint64_t before = clock_mono_ns();
    threads_begin(&s->model->threads, s->batch.n_tokens, before);
    s->stalled = false;
    const int32_t rc = decode(s);
    const uint64_t after = clock_mono_ns();
    if (rc == 2 && s->stalled) /* the next round does it again */
        threads_stalled(&s->model->threads, after);
    if (rc != 0) {
        decode_failed(s, rc);
        return;
    }
    if (s->batch.n_tokens == s->running + prompt_tokens) /* steps with guesses are each of another size */
        threads_measured(&s->model->threads, s->batch.n_tokens, (double)(after - before) / 1e9, after);
    int32_t drawn = 0;
    for (int32_t i = 0; i < s->model->parallel; i++) {
        struct slot *slot = &s->slots[i];
        if (slot->batch_count == 0 || slot->state == SLOT_IDLE)
            continue;
        if (slot->state == SLOT_PROMPT)
            prompt_advance(s, slot);
        if (slot->row >= 0)
            drawn += slot_sample(s, slot);
    }
    verify_measured(s, prompt_tokens > 0, (double)(clock_mono_ns() - before) / 1e9);
    const double seconds = (double)(clock_mono_ns() - started) / 1e9;
    if (prompt_tokens > 0)
        pace_measured(s, s->batch.n_tokens, seconds);
    step_account(s, prompt_tokens, drawn, seconds);
}
