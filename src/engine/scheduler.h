/* Scheduler: one decode thread that serves many generations at a time.
 *
 *   loop thread                       decode thread
 *   generation_create                 ┌─> reap the cancelled ─> admit from the queue to free slots
 *   scheduler_submit ──> queue ──────>│   ─> build a batch: one token of each running slot, prompt tokens of
 * the others generation_cancel ─> flag ───────>│   ─> llama_decode ─> sample each row ─> text, stops ─>
 * events scheduler_dispatch <── outbox <───┴── wake (uv_async_send), once per step
 *
 * A generation is one prompt and its `choices` answers; each answer is a sequence in a slot of its own. It
 * begins with what any other sequence, finished or not, holds of its prompt (cache.h). */
#ifndef VX11_ENGINE_SCHEDULER_H
#define VX11_ENGINE_SCHEDULER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "engine/model.h"
#include "engine/sampler.h"
#include "engine/turn.h"

enum {
    GENERATION_TOP_MAX = 20,
    GENERATION_STOPS_MAX = 16,
    GENERATION_CHOICES_MAX = 128,
    GENERATION_PRIORITY_MAX = 9
};

enum finish {
    FINISH_NONE,
    FINISH_STOP,   /* the model ended, or a stop string came */
    FINISH_LENGTH, /* max_tokens or the context's end */
    FINISH_CANCELLED,
    FINISH_FAILED, /* see the event's error */
};

struct token_logprobs { /* of one token whose text was let out */
    struct token_probability chosen;
    size_t top_count;
    struct token_probability top[GENERATION_TOP_MAX];
};

struct usage {
    int64_t prompt_tokens,
        cached_tokens; /* cached: of the prompt's, those found in the KV cache (of the first choice) */
    int64_t completion_tokens;               /* sampled, of all choices, with the token that ended each */
    int64_t restored_tokens;                 /* of the cached ones, those read back from disk */
    int64_t drafted_tokens, accepted_tokens; /* speculated; of these, those the model agreed with */
    int64_t shifted_tokens;                  /* dropped from the context to go on past its end */
    double queue_ms, prompt_ms, decode_ms; /* waiting; from then to the first token; from then to the last */
};

struct generation;

struct generation_event { /* valid during the callback */
    unsigned choice;
    const char *text; /* whole characters without NUL, and a NUL after them; may be empty */
    size_t len;
    const struct token_logprobs *logprobs; /* of the tokens that text ends, when asked for */
    size_t logprob_count;
    enum finish finish; /* of this choice; FINISH_NONE: it goes on */
    const char *stop;   /* with FINISH_STOP: the caller's stop string that was met; NULL: none */
    bool last; /* nothing comes any more of any choice; usage is set; the generation may be destroyed */
    const struct usage *usage; /* NULL unless last */
    const struct error *error; /* with FINISH_FAILED */
};
typedef void (*generation_fn)(struct generation *g, void *ctx, const struct generation_event *event);

struct generation_options {
    const llama_token *prompt; /* copied; at least one */
    size_t prompt_count;
    unsigned choices;         /* 1 … GENERATION_CHOICES_MAX */
    int64_t max_tokens;       /* per choice; 0: until the context ends (with a shift: as much as it holds) */
    struct sampling sampling; /* bias is copied */
    const char *const *stops; /* copied */
    size_t stop_count;
    size_t stop_given; /* of these, the first ones are the caller's */
    bool logprobs;
    size_t top_logprobs;      /* at most GENERATION_TOP_MAX */
    int priority;             /* 0 is served first; at most GENERATION_PRIORITY_MAX */
    const llama_token *shown; /* copied: control tokens whose text is let out like any other's */
    size_t shown_count;
    bool shift;             /* at the context's end drop the older half of what follows `keep`, and go on */
    size_t keep;            /* tokens at the start of the prompt that a shift never drops */
    bool whole;             /* no event before a choice has ended: nobody reads along */
    const char *request_id; /* for the log, copied; may be NULL */
};

/* NULL without memory. The caller owns it until scheduler_submit; fn runs on the loop thread, from
 * scheduler_dispatch. */
struct generation *generation_create(const struct generation_options *o, generation_fn fn, void *ctx);
/* Before it was submitted, or in or after its last event. */
void generation_destroy(struct generation *g);
/* From the loop thread, between submit and the last event: the decode thread drops it before its next token.
 * The last event still comes (at the latest when the scheduler ends). */
void generation_cancel(struct generation *g);

struct scheduler;

struct scheduler_options {
    size_t queue_limit;      /* generations that may wait, besides those for which a slot is free */
    void (*wake)(void *ctx); /* from the decode thread: there are events to dispatch */
    void *ctx;
    struct turn *turn; /* taken for each step; NULL: nobody else computes */
};

/* NULL without memory. */
struct scheduler *scheduler_create(const struct scheduler_options *o);
struct drafter;
/* Before scheduler_run: guesses by it. It must outlive the run; NULL: none. */
void scheduler_speculate(struct scheduler *s, struct drafter *d);
struct saved;
struct scheduler_saving {
    struct saved *saved; /* NULL: conversations are not saved */
    int32_t min_tokens;  /* shorter ones are not */
    int64_t idle_ms;     /* they are written after so long without work; */
    int64_t end_ms;      /* and when the run ends, for at most so long */
};
/* Before scheduler_run, on the same thread. It must outlive the run. */
void scheduler_save(struct scheduler *s, const struct scheduler_saving *o);
/* On the thread that becomes the decode thread: serves until scheduler_stop; then every generation left has
 * had its last event (dispatch once more). 0 or VX11_ENOMEM. The model must outlive the call. */
int scheduler_run(struct scheduler *s, struct model *m);
void scheduler_stop(struct scheduler *s);    /* from any thread; cancels what runs */
void scheduler_destroy(struct scheduler *s); /* after scheduler_run returned and the last dispatch */

/* Loop thread. 0, or VX11_EFULL when the queue is full, VX11_ECLOSED after scheduler_stop. On success the
 * generation is ours until its last event. */
int scheduler_submit(struct scheduler *s, struct generation *g);
/* Loop thread: runs the callbacks of what happened since. A callback may submit, cancel and, at its last
 * event, destroy. */
void scheduler_dispatch(struct scheduler *s);

enum { STEP_SIZES = 14 };

struct scheduler_stats {
    unsigned slots_busy, slots_total;
    size_t queued, queue_limit;
    int32_t cells_used, cells_total;     /* KV cells that hold a token, shared ones counted once */
    int32_t cells_evictable;             /* of those used, the ones that are only kept */
    unsigned branches, nodes;            /* of the cache: sequences that are kept; nodes of its tree */
    uint64_t prefix_hits, prefix_misses; /* sequences that began with something known, with nothing */
    uint64_t evicted_tokens, evicted_branches;
    size_t aside_branches; /* kept conversations that were moved out of the cells, */
    uint64_t aside_bytes;  /* and their memory */
    uint64_t generations, generations_failed, generations_cancelled; /* ended */
    uint64_t preemptions; /* of answers that made room for others and went on later */
    uint64_t prompt_tokens, cached_tokens, restored_tokens, completion_tokens, steps;
    uint64_t drafted_tokens, accepted_tokens; /* guessed, and rightly */
    bool speculating;                         /* guessing is worth it at the moment */
    double speculation_gain; /* tokens/s with guesses against without, as measured; negative: unknown */
    uint64_t step_tokens;    /* of all steps together */
    uint64_t step_sizes[STEP_SIZES]; /* steps of at most 1, 2, 4, … tokens; the last: all that are larger */
    double prompt_seconds,
        decode_seconds; /* busy time of steps that read prompts, and of those that did not */
    double prompt_rate,
        decode_rate; /* tokens/s of busy time over the last seconds; negative: nothing was measured */
    double generation_seconds; /* mean length of the last generations, in a slot; negative: unknown */
    double last_step_tokens;   /* tokens in the last batch; negative: none yet */
};
void scheduler_stats(struct scheduler *s, struct scheduler_stats *out); /* any thread */
/* When a caller who found the queue full may try again: measured, or 1 s while nothing was. */
int64_t scheduler_retry_ms(struct scheduler *s);

#endif
