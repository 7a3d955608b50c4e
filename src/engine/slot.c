/* Slots: what is being answered, each with a live sequence of the cache.
 *
 * A new sequence begins with the longest beginning of its prompt that any sequence holds, kept or live, and
 * when it ends, what it holds is kept for the next (cache.h). The last token of a prompt is always decoded,
 * for its logits are what the first token of the answer is drawn from. */
#include "engine/scheduler_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "engine/aside.h"
#include "engine/resume.h"

/* ---- making ---- */

int slots_create(struct scheduler *s)
{
    const struct model *m = s->model;
    const struct cache_options o = {.memory = llama_get_memory(m->context),
                                    .cells = m->cells,
                                    .sequences = m->sequences,
                                    .window = llama_model_n_swa(m->llama),
                                    .whole = !m->can_trim};
    s->slots = calloc((size_t)m->parallel, sizeof *s->slots);
    if (!s->slots || cache_create(&o, &s->cache) != 0)
        return VX11_ENOMEM;
    for (int32_t i = 0; i < m->parallel; i++) {
        struct slot *slot = &s->slots[i];
        slot->index = i;
        slot->tokens = calloc((size_t)m->context_length + 1, sizeof *slot->tokens);
        if (!slot->tokens)
            return VX11_ENOMEM;
    }
    return 0;
}

void slots_destroy(struct scheduler *s)
{
    for (int32_t i = 0; s->slots && i < s->model->parallel; i++) {
        free(s->slots[i].tokens);
        free(s->slots[i].pending);
        buf_free(&s->slots[i].shown);
    }
    free(s->slots);
    s->slots = NULL;
    cache_destroy(s->cache);
    s->cache = NULL;
}

/* ---- what a slot holds ---- */

void slot_rollback(struct scheduler *s, struct slot *slot)
{
    slot->past = cache_cut(s->cache, slot->id, slot->past);
}

void slot_forget(struct scheduler *s, struct slot *slot)
{
    slot->past = cache_cut(s->cache, slot->id, 0);
}

void slot_push(struct scheduler *s, struct slot *slot, llama_token token)
{
    slot->tokens[slot->past++] = token;
    cache_push(s->cache, slot->id, 1);
}

/* ---- what is known ---- */

static int32_t common_prefix(const llama_token *a, int32_t a_count, const llama_token *b, int32_t b_count)
{
    const int32_t most = a_count < b_count ? a_count : b_count;
    int32_t common = 0;
    while (common < most && a[common] == b[common])
        common++;
    return common;
}

int32_t slots_common(const struct scheduler *s, const llama_token *tokens, int32_t n)
{
    int32_t longest = 0;
    for (int32_t i = 0; i < s->model->parallel; i++) {
        const struct slot *slot = &s->slots[i];
        if (slot->state == SLOT_IDLE)
            continue;
        const bool running = slot->state == SLOT_RUNNING;
        const int32_t common = common_prefix(running ? slot->tokens : slot->input,
                                             running ? slot->past : slot->input_count, tokens, n);
        longest = common > longest ? common : longest;
    }
    return longest;
}

/* Puts what live sequences hold of these tokens, past what is known already, where it is found. */
static void live_publish(struct scheduler *s, const llama_token *tokens, int32_t n)
{
    int32_t kept, known = cache_find(s->cache, tokens, n, &kept);
    for (int32_t i = 0; i < s->model->parallel; i++) {
        const struct slot *slot = &s->slots[i];
        const int32_t common =
            slot->state == SLOT_IDLE ? 0 : common_prefix(slot->tokens, slot->past, tokens, n);
        if (common > known && cache_publish(s->cache, slot->id, slot->tokens, common) == 0)
            known = common;
    }
}

/* ---- following ---- */

/* The one admitted earlier with which it has most in common, when that is worth waiting for. */
static bool leader_find(struct scheduler *s, struct slot *slot)
{
    enum { WORTH_WAITING = 32 };
    const struct slot *leader = NULL;
    int32_t most = slot->past + WORTH_WAITING - 1;
    for (int32_t i = 0; i < s->model->parallel && s->model->can_trim; i++) {
        const struct slot *other = &s->slots[i];
        if ((other->state != SLOT_PROMPT && other->state != SLOT_FOLLOWING) || other->order >= slot->order)
            continue;
        const int32_t common =
            common_prefix(other->input, other->input_count, slot->input, slot->input_count - 1);
        if (common > most && other->past < common) {
            most = common;
            leader = other;
        }
    }
    if (!leader)
        return false;
    slot->leader = leader->index;
    slot->leader_order = leader->order;
    slot->until = most;
    return true;
}

static void cached_note(struct scheduler *s, struct slot *slot)
{
    struct generation *g = slot->generation;
    if (slot->choice != 0 || slot->own)
        return;
    g->usage.cached_tokens = slot->past;
    pthread_mutex_lock(&s->lock);
    s->stats.cached_tokens += (uint64_t)slot->past;
    pthread_mutex_unlock(&s->lock);
}

static void restored_note(struct scheduler *s, struct generation *g, int32_t n)
{
    g->usage.restored_tokens = n;
    pthread_mutex_lock(&s->lock);
    s->stats.restored_tokens += (uint64_t)n;
    pthread_mutex_unlock(&s->lock);
}

/* Begins to read, or to wait for one who does. */
static void slot_read(struct scheduler *s, struct slot *slot)
{
    const bool following = leader_find(s, slot);
    slot->state = following ? SLOT_FOLLOWING : SLOT_PROMPT;
    if (!following)
        cached_note(s, slot);
}

static bool leader_reads_on(const struct scheduler *s, const struct slot *slot)
{
    const struct slot *leader = &s->slots[slot->leader];
    return leader->order == slot->leader_order && leader->past < slot->until &&
           (leader->state == SLOT_PROMPT || leader->state == SLOT_FOLLOWING);
}

void slots_follow(struct scheduler *s)
{
    for (int32_t i = 0; i < s->model->parallel; i++) {
        struct slot *slot = &s->slots[i];
        if (slot->state != SLOT_FOLLOWING || leader_reads_on(s, slot))
            continue;
        live_publish(s, slot->input, slot->input_count - 1);
        const int32_t held = cache_extend(s->cache, slot->id, slot->input, slot->input_count - 1);
        if (held > slot->past)
            memcpy(slot->tokens + slot->past, slot->input + slot->past,
                   (size_t)(held - slot->past) * sizeof *slot->tokens);
        slot->past = held;
        slot_read(s, slot);
    }
}

/* ---- a sequence's life ---- */

struct slot *slot_idle(struct scheduler *s)
{
    for (int32_t i = 0; i < s->model->parallel; i++) {
        if (s->slots[i].state == SLOT_IDLE)
            return &s->slots[i];
    }
    return NULL;
}

unsigned slots_live(const struct scheduler *s)
{
    unsigned live = 0;
    for (int32_t i = 0; i < s->model->parallel; i++)
        live += s->slots[i].state != SLOT_IDLE;
    return live;
}

/* Gives it a sequence that holds what is known of its input. VX11_EAGAIN: there is none. */
static int slot_place(struct scheduler *s, struct slot *slot)
{
    slot->state = SLOT_IDLE; /* it has no sequence to be looked at yet */
    live_publish(s, slot->input, slot->input_count - 1);
    aside_read(s, slot->input, slot->input_count - 1);
    const int32_t known = resume_read(s, slot->generation);
    slot->id = cache_open(s->cache, slot->input, slot->input_count - 1, &slot->past);
    if (slot->id < 0)
        return VX11_EAGAIN;
    aside_clear(s);
    if (known >= 0 && slot->past > known)
        restored_note(s, slot->generation, slot->past - known);
    memcpy(slot->tokens, slot->input, (size_t)slot->past * sizeof *slot->tokens);
    slot->guess_count = 0;
    slot->batch_count = 0;
    slot_read(s, slot);
    return 0;
}

/* With a shift an answer may go on past the context, but for one that was not told where to end: that gets as
 * much as a whole context. */
static int64_t answer_limit(const struct scheduler *s, const struct generation *g)
{
    const int64_t context = s->model->context_length, room = context - (int64_t)g->prompt_count;
    if (g->shift && llama_memory_can_shift(llama_get_memory(s->model->context)))
        return g->max_tokens > 0 ? g->max_tokens : context;
    return g->max_tokens > 0 && g->max_tokens < room ? g->max_tokens : room;
}

int slot_begin(struct scheduler *s, struct generation *g)
{
    struct slot *slot = slot_idle(s);
    if (!slot)
        return VX11_EAGAIN;
    struct sampler *sampler = sampler_create(s->model, &g->sampling, g->started);
    if (!sampler)
        return error_set(&g->error, VX11_ENOMEM, "out of memory");
    const size_t history = sampler_history(sampler);
    for (size_t i = g->prompt_count > history ? g->prompt_count - history : 0; i < g->prompt_count; i++)
        sampler_accept(sampler, g->prompt[i]);

    slot->order = s->admissions++;
    slot->generation = g;
    slot->choice = g->started;
    slot->input = g->prompt;
    slot->input_count = (int32_t)g->prompt_count;
    if (g->started == 0) {
        g->admitted_ns = clock_mono_ns();
        g->usage.queue_ms = (double)(g->admitted_ns - g->submitted_ns) / 1e6;
        g->usage.prompt_tokens = (int64_t)g->prompt_count + g->usage.shifted_tokens;
    }
    if (slot_place(s, slot) != 0) {
        sampler_destroy(sampler);
        slot->generation = NULL;
        return VX11_EAGAIN;
    }
    g->started++;
    slot->sampler = sampler;
    slot->generated = 0;
    slot->limit = answer_limit(s, g);
    slot->pending_count = 0;
    buf_clear(&slot->shown);
    text_init(&slot->text, g->stops, g->stop_count);
    return 0;
}

static void slot_clear(struct scheduler *s, struct slot *slot)
{
    if (s->drafter)
        drafter_forget(s->drafter, slot->index);
    slot->own = NULL;
    slot->input = NULL;
    slot->sampler = NULL;
    slot->generation = NULL;
    slot->state = SLOT_IDLE;
    slot->batch_count = 0;
    s->admit_due = true;
}

void slot_release(struct scheduler *s, struct slot *slot)
{
    cache_close(s->cache, slot->id, slot->tokens, slot->past);
    sampler_destroy(slot->sampler);
    text_free(&slot->text);
    free(slot->own);
    slot_clear(s, slot);
    s->unsaved = true;
}

/* ---- making room ---- */

/* What must be read to go on: what it holds but for `drop` tokens after the first `keep`, and the token that
 * is next. NULL without memory. */
static llama_token *own_make(const struct slot *slot, int32_t keep, int32_t drop)
{
    const int32_t rest = slot->past - keep - drop;
    llama_token *own = malloc((size_t)(keep + rest + 1) * sizeof *own);
    if (!own)
        return NULL;
    memcpy(own, slot->tokens, (size_t)keep * sizeof *own);
    memcpy(own + keep, slot->tokens + keep + drop, (size_t)rest * sizeof *own);
    own[keep + rest] = slot->next;
    return own;
}

static void own_set(struct slot *slot, llama_token *own, int32_t n)
{
    free(slot->own);
    slot->own = own;
    slot->input = own;
    slot->input_count = n;
}

bool slot_park(struct scheduler *s, struct slot *slot)
{
    struct parked *p = calloc(1, sizeof *p);
    llama_token *own = slot->state == SLOT_RUNNING ? own_make(slot, slot->past, 0) : NULL;
    if (!p || (slot->state == SLOT_RUNNING && !own)) {
        free(p);
        free(own);
        error_set(&slot->generation->error, VX11_ENOMEM, "out of memory while making room for others");
        return false;
    }
    if (own)
        own_set(slot, own, slot->past + 1);
    cache_close(s->cache, slot->id, slot->tokens, slot->past);
    p->slot = *slot;
    p->slot.tokens = NULL;
    slot->pending = NULL; /* they go with it */
    slot->pending_count = slot->pending_cap = 0;
    slot->shown = (struct buf)BUF_INIT;
    slot_clear(s, slot);
    p->next = s->parked;
    s->parked = p;
    pthread_mutex_lock(&s->lock);
    s->queued++;
    s->stats.preemptions++;
    pthread_mutex_unlock(&s->lock);
    return true;
}

int slot_resume(struct scheduler *s, struct parked *p)
{
    struct slot *slot = slot_idle(s);
    llama_token *tokens = slot->tokens;
    const int32_t index = slot->index;
    free(slot->pending);
    buf_free(&slot->shown);
    *slot = p->slot;
    slot->tokens = tokens;
    slot->index = index;
    const int rc = slot_place(s, slot);
    if (rc != 0)
        *slot = (struct slot){.index = index, .tokens = tokens};
    return rc;
}

void parked_free(struct parked *p)
{
    sampler_destroy(p->slot.sampler);
    text_free(&p->slot.text);
    buf_free(&p->slot.shown);
    free(p->slot.pending);
    free(p->slot.own);
    free(p);
}

/* Cells that others share cannot move: the shortened text is read anew, in cells of its own. */
static bool shift_read(struct scheduler *s, struct slot *slot, int32_t keep, int32_t drop)
{
    llama_token *own = own_make(slot, keep, drop);
    if (!own)
        return false;
    own_set(slot, own, slot->past - drop + 1);
    cache_close(s->cache, slot->id, slot->tokens, slot->past);
    return slot_place(s, slot) == 0;
}

bool slot_shift(struct scheduler *s, struct slot *slot)
{
    struct generation *g = slot->generation;
    int32_t keep = (int32_t)(g->keep < (size_t)slot->past ? g->keep : (size_t)slot->past);
    if (keep == 0 && llama_vocab_get_add_bos(s->model->vocab))
        keep = 1;
    const int32_t drop = (slot->past - keep) / 2;
    if (!g->shift || drop < 1)
        return false;
    const int rc = cache_shift(s->cache, slot->id, keep, drop);
    if (rc == VX11_EBUSY) {
        if (!shift_read(s, slot, keep, drop))
            return false;
    } else if (rc != 0) {
        return false;
    } else {
        slot->past -= drop;
        memmove(slot->tokens + keep, slot->tokens + keep + drop,
                (size_t)(slot->past - keep) * sizeof *slot->tokens);
    }
    if (s->drafter)
        drafter_forget(s->drafter, slot->index);
    g->usage.shifted_tokens += drop;
    return true;
}
