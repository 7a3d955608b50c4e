/* The draft model's sequences and its greedy guesses. */
#include "engine/draft_model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"

enum {
    PIECE_MOST = 128,        /* tokens read in one call */
    SIZES_DIFFER_MOST = 128, /* vocabularies are filled up differently at their ends */
    TEXTS_FROM = 5,          /* the first few are control tokens, which fine-tuning renames */
};

struct draft_sequence {
    llama_token *tokens; /* what its cells hold */
    size_t held;
    size_t agreed; /* of these, those that are known to be the slot's */
};

struct draft_model {
    struct model *model;
    struct draft_sequence *sequences;
    int count;
    size_t context;
    int32_t vocabulary; /* tokens that both models know */
    struct llama_batch batch;
};

/* ---- making ---- */

static int vocabulary_differs(struct error *err, const char *how)
{
    return error_set(
        err, VX11_EINVALID,
        "the draft model's vocabulary is not the model's own: %s; guesses would not be tokens of it", how);
}

static int texts_compare(const struct model *target, const struct model *draft, struct error *err)
{
    const int32_t n = target->vocabulary < draft->vocabulary ? target->vocabulary : draft->vocabulary;
    for (llama_token t = TEXTS_FROM; t < n; t++) {
        const char *a = llama_vocab_get_text(target->vocab, t);
        const char *b = llama_vocab_get_text(draft->vocab, t);
        if (!a || !b || strcmp(a, b) != 0) {
            char how[64];
            (void)snprintf(how, sizeof how, "token %d is spelled differently", (int)t);
            return vocabulary_differs(err, how);
        }
    }
    return 0;
}

static int vocabulary_compare(const struct model *target, const struct model *draft, struct error *err)
{
    const struct llama_vocab *a = target->vocab, *b = draft->vocab;
    const int32_t differ = abs(target->vocabulary - draft->vocabulary);
    if (llama_vocab_type(a) != llama_vocab_type(b))
        return vocabulary_differs(err, "it is of another kind");
    if (llama_vocab_get_add_bos(a) != llama_vocab_get_add_bos(b) ||
        (llama_vocab_get_add_bos(a) && llama_vocab_bos(a) != llama_vocab_bos(b)))
        return vocabulary_differs(err, "its texts begin with another token");
    if (llama_vocab_get_add_eos(a) != llama_vocab_get_add_eos(b) ||
        (llama_vocab_get_add_eos(a) && llama_vocab_eos(a) != llama_vocab_eos(b)))
        return vocabulary_differs(err, "its texts end with another token");
    if (differ > SIZES_DIFFER_MOST) {
        char how[64];
        (void)snprintf(how, sizeof how, "%d tokens instead of %d", (int)draft->vocabulary,
                       (int)target->vocabulary);
        return vocabulary_differs(err, how);
    }
    return texts_compare(target, draft, err);
}

static int sequences_create(struct draft_model *d, const struct model *target)
{
    d->context = (size_t)d->model->context_length;
    d->vocabulary = target->vocabulary < d->model->vocabulary ? target->vocabulary : d->model->vocabulary;
    d->batch = llama_batch_init(PIECE_MOST, 0, 1);
    d->sequences = calloc((size_t)target->parallel, sizeof *d->sequences);
    if (!d->batch.token || !d->sequences)
        return VX11_ENOMEM;
    d->count = target->parallel;
    for (int i = 0; i < d->count; i++) {
        d->sequences[i].tokens = calloc(d->context, sizeof *d->sequences[i].tokens);
        if (!d->sequences[i].tokens)
            return VX11_ENOMEM;
    }
    return 0;
}

int draft_model_create(const struct drafter_options *o, const struct model *target, struct draft_model **out,
                       struct error *err)
{
    const struct model_options load = {.path = o->model_path,
                                       .context = target->context_length,
                                       .cells = target->cells,
                                       .parallel = target->parallel,
                                       .threads = o->threads,
                                       .batch = PIECE_MOST > target->parallel ? PIECE_MOST : target->parallel,
                                       .gpu_layers = o->gpu_layers};
    struct draft_model *d = calloc(1, sizeof *d);
    int rc = d ? model_load(&load, NULL, NULL, &d->model, err) : error_set(err, VX11_ENOMEM, "out of memory");
    if (rc == 0)
        rc = vocabulary_compare(target, d->model, err);
    if (rc == 0 && !d->model->can_trim)
        rc = error_set(err, VX11_EUNSUPPORTED, "a draft model must be able to drop the end of a sequence");
    if (rc == 0 && sequences_create(d, target) != 0)
        rc = error_set(err, VX11_ENOMEM, "out of memory");
    if (rc != 0) {
        draft_model_destroy(d);
        return rc;
    }
    log_info("draft", "draft model loaded", LOG_S("path", o->model_path),
             LOG_S("description", d->model->description), LOG_I("load_ms", d->model->load_ms));
    *out = d;
    return 0;
}

void draft_model_destroy(struct draft_model *d)
{
    if (!d)
        return;
    for (int i = 0; i < d->count; i++)
        free(d->sequences[i].tokens);
    free(d->sequences);
    if (d->batch.token)
        llama_batch_free(d->batch);
    model_free(d->model);
    free(d);
}

/* ---- the sequences ---- */

static void keep(struct draft_model *d, int slot, size_t n)
{
    struct draft_sequence *q = &d->sequences[slot];
    if (q->held > n)
        (void)llama_memory_seq_rm(llama_get_memory(d->model->context), slot, (llama_pos)n, -1);
    q->held = q->held < n ? q->held : n;
    q->agreed = q->agreed < q->held ? q->agreed : q->held;
}

void draft_model_forget(struct draft_model *d, int slot)
{
    d->sequences[slot].agreed = 0; /* what it holds may be the beginning of the next one */
}

static size_t common(const struct draft_sequence *q, const llama_token *tokens, size_t n)
{
    size_t i = q->agreed;
    while (i < q->held && i < n && q->tokens[i] == tokens[i])
        i++;
    return i;
}

/* A new sequence begins with the longest beginning that any slot's holds: its cells are shared. */
static void adopt(struct draft_model *d, int slot, const llama_token *tokens, size_t n)
{
    struct draft_sequence *q = &d->sequences[slot];
    size_t best = common(q, tokens, n);
    int from = slot;
    for (int i = 0; i < d->count; i++) {
        const struct draft_sequence fresh = {.tokens = d->sequences[i].tokens, .held = d->sequences[i].held};
        const size_t same = i == slot ? best : common(&fresh, tokens, n);
        if (same > best) {
            best = same;
            from = i;
        }
    }
    if (from == slot)
        return;
    keep(d, slot, 0);
    llama_memory_seq_cp(llama_get_memory(d->model->context), from, slot, 0, (llama_pos)best);
    memcpy(q->tokens, tokens, best * sizeof *tokens);
    q->held = q->agreed = best;
}

static int decode(struct draft_model *d, int slot, const llama_token *tokens, size_t n)
{
    struct draft_sequence *q = &d->sequences[slot];
    struct llama_batch *b = &d->batch;
    const uint64_t before = clock_mono_ns();
    b->n_tokens = (int32_t)n;
    for (size_t i = 0; i < n; i++) {
        b->token[i] = tokens[i];
        b->pos[i] = (llama_pos)(q->held + i);
        b->n_seq_id[i] = 1;
        b->seq_id[i][0] = slot;
        b->logits[i] = i + 1 == n;
    }
    const int32_t rc = llama_decode(d->model->context, *b);
    if (rc != 0) { /* no cells, or worse: begin again */
        log_debug("draft", "the draft model could not decode", LOG_I("code", rc));
        (void)llama_memory_seq_rm(llama_get_memory(d->model->context), slot, -1, -1);
        q->held = q->agreed = 0;
        return VX11_EFULL;
    }
    llama_synchronize(d->model->context);
    const uint64_t after = clock_mono_ns();
    threads_measured(&d->model->threads, (int32_t)n, (double)(after - before) / 1e9, after);
    memcpy(q->tokens + q->held, tokens, n * sizeof *tokens);
    q->held += n;
    return 0;
}

/* Brings the sequence to hold exactly the n tokens, the last of them just decoded. False: not yet. */
static bool catch_up(struct draft_model *d, int slot, const llama_token *tokens, size_t n)
{
    struct draft_sequence *q = &d->sequences[slot];
    if (q->agreed == 0)
        adopt(d, slot, tokens, n);
    q->agreed = common(q, tokens, n);
    keep(d, slot, q->agreed < n ? q->agreed : n - 1);
    const size_t missing = n - q->held;
    const size_t piece = missing < PIECE_MOST ? missing : PIECE_MOST;
    if (decode(d, slot, tokens + q->held, piece) != 0)
        return false;
    q->agreed = q->held;
    return piece == missing;
}

/* ---- guessing ---- */

static llama_token likeliest(const float *logits, int32_t n, float *certainty)
{
    llama_token best = 0;
    float sum = 0;
    for (llama_token t = 1; t < n; t++) {
        if (logits[t] > logits[best])
            best = t;
    }
    for (llama_token t = 0; t < n; t++)
        sum += expf(logits[t] - logits[best]);
    *certainty = 1.0f / sum;
    return best;
}

size_t draft_model_guess(struct draft_model *d, int slot, const llama_token *tokens, size_t n, size_t most,
                         float least, llama_token *out, float *certainty)
{
    size_t count = 0;
    if (most == 0 || n == 0 || n + most > d->context || !catch_up(d, slot, tokens, n))
        return 0;
    while (count < most) {
        const float *logits = llama_get_logits_ith(d->model->context, -1);
        out[count] = likeliest(logits, d->vocabulary, &certainty[count]);
        if (certainty[count] < least || llama_vocab_is_eog(d->model->vocab, out[count]))
            break;
        count++;
        if (count < most && decode(d, slot, &out[count - 1], 1) != 0)
            break;
    }
    return count;
}
