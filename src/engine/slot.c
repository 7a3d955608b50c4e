/* Slots: one sequence of the context each, and what their cells hold.
 *
 * A new sequence starts from the longest beginning of its prompt that any slot, idle or busy, has in its
 * cells:
 *
 *   the slot is idle and most of what it holds is wanted ── its tail is dropped and it goes on (the next turn
 * of a conversation) else ── the least recently used idle slot is emptied and shares the cells of that
 * beginning (a common system prompt)
 *
 * Sharing costs nothing: in libllama's unified cache a cell can belong to several sequences. Models that
 * cannot drop the tail of a sequence (recurrent ones) go on only from a slot whose tokens are all wanted. The
 * last token of a prompt is always decoded, for its logits are what the first token of the answer is drawn
 * from. */
#include "engine/scheduler_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

/* ---- the ledger ---- */

static int ledger_create(struct ledger *l, uint32_t total)
{
    l->shares = calloc(total, sizeof *l->shares);
    l->free = calloc(total, sizeof *l->free);
    if (!l->shares || !l->free)
        return VX11_ENOMEM;
    for (uint32_t i = 0; i < total; i++)
        l->free[i] = total - 1 - i;
    l->free_count = l->total = total;
    return 0;
}

static void ledger_drop(struct ledger *l, uint32_t cell)
{
    if (--l->shares[cell] == 0)
        l->free[l->free_count++] = cell;
}

/* ---- making ---- */

int slots_create(struct scheduler *s)
{
    const struct model *m = s->model;
    const size_t n = (size_t)m->parallel, length = (size_t)m->context_length;
    s->slots = calloc(n, sizeof *s->slots);
    if (!s->slots || ledger_create(&s->ledger, (uint32_t)m->cells) != 0)
        return VX11_ENOMEM;
    for (size_t i = 0; i < n; i++) {
        struct slot *slot = &s->slots[i];
        slot->id = (llama_seq_id)i;
        slot->tokens = calloc(length, sizeof *slot->tokens);
        slot->cells = calloc(length, sizeof *slot->cells);
        if (!slot->tokens || !slot->cells)
            return VX11_ENOMEM;
    }
    return 0;
}

void slots_destroy(struct scheduler *s)
{
    for (int32_t i = 0; s->slots && i < s->model->parallel; i++) {
        free(s->slots[i].tokens);
        free(s->slots[i].cells);
        free(s->slots[i].pending);
        buf_free(&s->slots[i].shown);
    }
    free(s->slots);
    s->slots = NULL;
    free(s->ledger.shares);
    free(s->ledger.free);
    s->ledger = (struct ledger){0};
}

/* ---- what a slot holds ---- */

static void slot_cut(struct scheduler *s, struct slot *slot, int32_t keep)
{
    while (slot->past > keep)
        ledger_drop(&s->ledger, slot->cells[--slot->past]);
}

void slot_forget(struct scheduler *s, struct slot *slot)
{
    (void)llama_memory_seq_rm(llama_get_memory(s->model->context), slot->id, -1, -1);
    slot_cut(s, slot, 0);
}

/* Keeps the first `keep` tokens, or none when the memory cannot do that. */
static void slot_trim(struct scheduler *s, struct slot *slot, int32_t keep)
{
    if (keep > 0 && llama_memory_seq_rm(llama_get_memory(s->model->context), slot->id, keep, -1))
        slot_cut(s, slot, keep);
    else
        slot_forget(s, slot);
}

void slot_rollback(struct scheduler *s, struct slot *slot)
{
    slot_trim(s, slot, slot->past);
}

void slot_push(struct scheduler *s, struct slot *slot, llama_token token)
{
    const uint32_t cell = s->ledger.free[--s->ledger.free_count];
    s->ledger.shares[cell] = 1;
    slot->tokens[slot->past] = token;
    slot->cells[slot->past] = cell;
    slot->past++;
}

static void slot_share(struct scheduler *s, const struct slot *from, struct slot *to, int32_t n)
{
    llama_memory_seq_cp(llama_get_memory(s->model->context), from->id, to->id, 0, n);
    memcpy(to->tokens, from->tokens, (size_t)n * sizeof *to->tokens);
    memcpy(to->cells, from->cells, (size_t)n * sizeof *to->cells);
    for (int32_t i = 0; i < n; i++)
        s->ledger.shares[to->cells[i]]++;
    to->past = n;
}

void slots_drop_idle(struct scheduler *s)
{
    for (int32_t i = 0; i < s->model->parallel; i++) {
        if (s->slots[i].state == SLOT_IDLE)
            slot_forget(s, &s->slots[i]);
    }
}

/* ---- choosing ---- */

static int32_t common_prefix(const struct slot *slot, const struct generation *g)
{
    const int32_t most = g->prompt_count - 1 < (size_t)slot->past ? (int32_t)g->prompt_count - 1 : slot->past;
    int32_t n = 0;
    while (n < most && slot->tokens[n] == g->prompt[n])
        n++;
    return n;
}

/* A slot for models that cannot trim: one whose tokens all begin the prompt, else the least recently used,
 * emptied. */
static struct slot *slot_choose_whole(struct scheduler *s, const struct generation *g)
{
    struct slot *best = NULL, *oldest = NULL;
    for (int32_t i = 0; i < s->model->parallel; i++) {
        struct slot *slot = &s->slots[i];
        if (slot->state != SLOT_IDLE)
            continue;
        if (slot->past > 0 && common_prefix(slot, g) == slot->past && (!best || slot->past > best->past))
            best = slot;
        if (!oldest || slot->used_at < oldest->used_at)
            oldest = slot;
    }
    if (!best && oldest)
        slot_forget(s, oldest);
    return best ? best : oldest;
}

static struct slot *slot_choose(struct scheduler *s, const struct generation *g)
{
    struct slot *source = NULL, *oldest = NULL;
    int32_t longest = 0;
    for (int32_t i = 0; i < s->model->parallel; i++) {
        struct slot *slot = &s->slots[i];
        const int32_t n = common_prefix(slot, g);
        if (n > longest ||
            (source && n == longest && slot->state == SLOT_IDLE && slot->past < source->past)) {
            longest = n;
            source = slot;
        }
        if (slot->state == SLOT_IDLE && (!oldest || slot->used_at < oldest->used_at))
            oldest = slot;
    }
    if (!oldest)
        return NULL;
    if (source && source->state == SLOT_IDLE && longest >= source->past / 2) {
        slot_trim(s, source, longest);
        return source;
    }
    if (source == oldest) {
        slot_trim(s, oldest, longest);
        return oldest;
    }
    slot_forget(s, oldest);
    if (source && longest > 0)
        slot_share(s, source, oldest, longest);
    return oldest;
}

/* ---- a sequence's life ---- */

static int64_t answer_limit(const struct scheduler *s, const struct generation *g)
{
    const int64_t room = s->model->context_length - (int64_t)g->prompt_count;
    return g->max_tokens > 0 && g->max_tokens < room ? g->max_tokens : room;
}

int slot_begin(struct scheduler *s, struct generation *g)
{
    struct slot *slot = s->model->can_trim ? slot_choose(s, g) : slot_choose_whole(s, g);
    if (!slot)
        return VX11_EAGAIN;
    struct sampler *sampler = sampler_create(s->model, &g->sampling, g->started);
    if (!sampler)
        return error_set(&g->error, VX11_ENOMEM, "out of memory");
    const size_t history = sampler_history(sampler);
    for (size_t i = g->prompt_count > history ? g->prompt_count - history : 0; i < g->prompt_count; i++)
        sampler_accept(sampler, g->prompt[i]);

    slot->state = SLOT_PROMPT;
    slot->order = s->admissions++;
    slot->generation = g;
    slot->choice = g->started++;
    slot->sampler = sampler;
    slot->generated = 0;
    slot->limit = answer_limit(s, g);
    slot->pending_count = 0;
    buf_clear(&slot->shown);
    text_init(&slot->text, g->stops, g->stop_count);
    if (slot->choice == 0) {
        g->admitted_ns = clock_mono_ns();
        g->usage.queue_ms = (double)(g->admitted_ns - g->submitted_ns) / 1e6;
        g->usage.prompt_tokens = (int64_t)g->prompt_count;
        g->usage.cached_tokens = slot->past;
    }
    return 0;
}

void slot_release(struct scheduler *s, struct slot *slot)
{
    sampler_destroy(slot->sampler);
    text_free(&slot->text);
    slot->sampler = NULL;
    slot->generation = NULL;
    slot->state = SLOT_IDLE;
    slot->used_at = s->step;
}
