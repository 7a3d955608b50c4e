/* Embed: texts to vectors, on a thread and in a context of its own beside the one that generates.
 *
 *   loop thread                     embedder's thread
 *   embed_submit ──> queue ──────>  an input of each job in turn ─> a batch ─> turn ─> llama_decode ─> turn
 *   embed_cancel ──> flag             ^                                                     │
 *   embed_dispatch <── outbox <───────┴── job complete: its vectors as text <── lengths of 1 ┘
 *
 * Both contexts share the model's weights and its threads and take turns at them (turn.h). The context is
 * made at the first job. Inputs of several jobs go into one batch, each as a sequence. Where attention is
 * causal and the last token is what counts, a long input is read in pieces; else each must be in one batch as
 * a whole, and the context is made larger when a longer one comes. */
#ifndef VX11_ENGINE_EMBED_H
#define VX11_ENGINE_EMBED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "engine/model.h"
#include "engine/tokenize.h"
#include "engine/turn.h"

enum { EMBED_INPUTS_MAX = 2048, EMBED_TOKENS_MAX = 300000 /* of one job */ };

enum embed_format { EMBED_NUMBERS_ONLY /* no text */, EMBED_FLOAT, EMBED_BASE64 };

struct embedder;
struct embed_job;

struct embedder_options {
    struct turn *turn;
    size_t queue_limit;      /* jobs that may wait besides the one that is computed */
    void (*wake)(void *ctx); /* from the embedder's thread: there are results to dispatch */
    void *ctx;
};

struct embed_result {          /* valid during the callback */
    const struct error *error; /* NULL: all went well. VX11_EINVALID, VX11_ETOO_LARGE: the input's fault */
    size_t error_input;        /* which, then; SIZE_MAX: all together */
    bool cancelled;
    const float *vectors; /* inputs x dimensions, each of length 1 */
    size_t inputs;
    int32_t dimensions;
    const char *const *texts; /* each vector as JSON; NULL with EMBED_NUMBERS_ONLY */
    const size_t *lengths;    /* of the texts */
    int64_t tokens;           /* of all inputs */
    double queue_ms, compute_ms;
};
typedef void (*embed_fn)(struct embed_job *job, void *ctx, const struct embed_result *result);

struct embed_input {
    const char *text; /* borrowed until fn ran; NULL: tokens */
    size_t len;
    struct tokens tokens; /* valid ids; emptied when the job is taken: their memory becomes the job's */
};

struct embed_job_options {
    struct embed_input *inputs;
    size_t count;       /* 1 … EMBED_INPUTS_MAX */
    int priority;       /* 0 gives its inputs first; jobs of the same one take turns */
    int32_t dimensions; /* 1 … the model's; 0: all */
    enum embed_format format;
};

/* NULL without memory. */
struct embedder *embedder_create(const struct embedder_options *o);
/* The model that the jobs are for; it must outlive embedder_stop. Loop thread, before the first job. */
void embedder_model(struct embedder *e, struct model *m);
/* Loop thread: cancels what runs, waits for the thread, frees the context; dispatch once more afterwards. */
void embedder_stop(struct embedder *e);
void embedder_destroy(struct embedder *e); /* after embedder_stop and the last dispatch; NULL is fine */

/* Loop thread. 0; VX11_EFULL when too many wait, VX11_ECLOSED after embedder_stop, VX11_ENOMEM. fn runs once,
 * later, from embed_dispatch, and the job is gone after it. */
int embed_submit(struct embedder *e, const struct embed_job_options *o, embed_fn fn, void *ctx,
                 struct embed_job **out);
/* Loop thread, before fn ran: it is dropped within a batch; fn still runs. */
void embed_cancel(struct embed_job *job);
void embed_dispatch(struct embedder *e); /* loop thread */

/* Most tokens of one input. */
int32_t embed_input_max(const struct model *m);

struct embed_stats {
    size_t queued, queue_limit;             /* jobs that wait or are computed */
    uint64_t jobs, inputs, tokens, batches; /* ended; computed */
    double tokens_per_second;               /* mean of the last batches; negative: none yet */
    uint64_t context_bytes; /* of the context besides the weights, estimated; 0: not made yet */
};
void embed_stats(struct embedder *e, struct embed_stats *out); /* any thread */
int64_t embed_retry_ms(struct embedder *e); /* when a caller who found the queue full may try again */

/* ---- embed_text.c: vectors as JSON ---- */

/* Appends the shortest decimal that reads back as the same float, directly or by way of a double. The value
 * must be finite. */
int embed_put_float(struct buf *out, float value);
int embed_put_floats(struct buf *out, const float *values, size_t n); /* "[…]" */
int embed_put_base64(struct buf *out, const float *values, size_t n); /* "\"…\"": little-endian floats */

#endif
