/* Slots: what is being answered, each with a live sequence of the cache.
 *
 * A new sequence begins with the longest beginning of its prompt that any sequence holds, kept or live, and
 * when it ends, what it holds is kept for the next (cache.h). The last token of a prompt is always decoded,
 * for its logits are what the first token of the answer is drawn from. */
#include "engine/scheduler_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
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

static int32_t common_prefix(const struct slot *slot, const llama_token *tokens, int32_t n)
{
    const int32_t most = n < slot->past ? n : slot->past;
    int32_t common = 0;
    while (common < most && slot->tokens[common] == tokens[common])
        common++;
    return common;
}

/* Puts what live sequences hold of these tokens, past what is known already, where it is found. */
static void live_publish(struct scheduler *s, const llama_token *tokens, int32_t n)
{
    int32_t kept, known = cache_find(s->cache, tokens, n, &kept);
    for (int32_t i = 0; i < s->model->parallel; i++) {
        const struct slot *slot = &s->slots[i];
        const int32_t common = slot->state == SLOT_IDLE ? 0 : common_prefix(slot, tokens, n);
        if (common > known && cache_publish(s->cache, slot->id, slot->tokens, common) == 0)
            known = common;
    }
}

/* ---- a sequence's life ---- */

static int64_t answer_limit(const struct scheduler *s, const struct generation *g)
{
    const int64_t room = s->model->context_length - (int64_t)g->prompt_count;
    return g->max_tokens > 0 && g->max_tokens < room ? g->max_tokens : room;
}

static struct slot *slot_idle(struct scheduler *s)
{
    for (int32_t i = 0; i < s->model->parallel; i++) {
        if (s->slots[i].state == SLOT_IDLE)
            return &s->slots[i];
    }
    return NULL;
}

int slot_begin(struct scheduler *s, struct generation *g)
{
    const int32_t wanted = (int32_t)g->prompt_count - 1;
    struct slot *slot = slot_idle(s);
    if (!slot)
        return VX11_EAGAIN;
    struct sampler *sampler = sampler_create(s->model, &g->sampling, g->started);
    if (!sampler)
        return error_set(&g->error, VX11_ENOMEM, "out of memory");
    const size_t history = sampler_history(sampler);
    for (size_t i = g->prompt_count > history ? g->prompt_count - history : 0; i < g->prompt_count; i++)
        sampler_accept(sampler, g->prompt[i]);

    live_publish(s, g->prompt, wanted);
    const int32_t known = resume_read(s, g);
    slot->id = cache_open(s->cache, g->prompt, wanted, &slot->past);
    if (slot->id < 0) {
        sampler_destroy(sampler);
        return VX11_EAGAIN;
    }
    memcpy(slot->tokens, g->prompt, (size_t)slot->past * sizeof *slot->tokens);
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
        g->usage.restored_tokens = known >= 0 && slot->past > known ? slot->past - known : 0;
    }
    return 0;
}

void slot_release(struct scheduler *s, struct slot *slot)
{
    cache_close(s->cache, slot->id, slot->tokens, slot->past);
    sampler_destroy(slot->sampler);
    text_free(&slot->text);
    slot->sampler = NULL;
    slot->generation = NULL;
    slot->state = SLOT_IDLE;
    s->unsaved = true;
}
