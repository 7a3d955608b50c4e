/* Inside of the scheduler, shared by generation.c, scheduler.c, queue.c, slot.c, pace.c and step.c. What is
 * not marked "lock" or atomic belongs to the decode thread, once scheduler_submit has handed a generation
 * over. */
#ifndef VX11_ENGINE_SCHEDULER_INTERNAL_H
#define VX11_ENGINE_SCHEDULER_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/arena.h"
#include "engine/cache.h"
#include "engine/draft.h"
#include "engine/saved.h"
#include "engine/scheduler.h"
#include "engine/text.h"
#include "engine/tokenize.h"

struct event_node {
    struct event_node *next;
    struct generation *generation;
    struct generation_event event; /* its pointers are set when it is dispatched */
    char *text;
    struct token_logprobs *logprobs;
    bool embedded; /* a generation's last event, which must never lack memory */
};

struct generation {
    struct generation *next; /* in the queue */
    struct arena *arena;     /* holds it and all below */
    generation_fn fn;
    void *ctx;
    llama_token *prompt;
    size_t prompt_count;
    unsigned choices;
    int64_t max_tokens;
    struct sampling sampling;
    const char **stops;
    size_t stop_count, stop_given;
    bool logprobs;
    size_t top_logprobs;
    bool whole, shift;
    size_t keep;
    int priority;
    const llama_token *shown; /* control tokens whose text is let out */
    size_t shown_count;
    const char *request_id;
    atomic_bool cancelled;

    unsigned started, ended; /* choices */
    bool resumed;            /* what is on disk of it was looked for */
    bool prompt_ready;       /* the first choice has read the prompt: the others can share its cells */
    uint64_t submitted_ns, admitted_ns, first_token_ns;
    struct usage usage;
    struct event_node last;
    struct error error; /* why it failed */
};

enum slot_state {
    SLOT_IDLE,
    SLOT_FOLLOWING, /* another reads what its prompt begins with: it waits for that */
    SLOT_PROMPT,
    SLOT_RUNNING,
};

struct pending_logprob { /* waits until its token's text is let out */
    struct token_logprobs value;
    size_t start; /* where the token's text begins, in bytes of the sequence's text */
};

struct slot {
    int32_t index;
    llama_seq_id id; /* its live sequence, unless idle */
    enum slot_state state;
    llama_token *tokens;      /* what the sequence holds; room for context_length and one */
    int32_t past;             /* how many */
    const llama_token *input; /* what is to be read: the prompt, or `own` */
    int32_t input_count;
    llama_token *own;      /* after a preemption: prompt, answer so far, and the token sampled last */
    uint64_t order;        /* of its first admission */
    int32_t leader, until; /* following: whom, and how many tokens they have in common */
    uint64_t leader_order; /* to see whether that slot is another's now */
    int level;             /* reading: how urgent it is to those that wait for it */
    double left;

    struct generation *generation; /* NULL while idle */
    unsigned choice;
    struct sampler *sampler;
    struct text text;
    struct buf shown; /* text that was let out but not sent yet */
    struct pending_logprob *pending;
    size_t pending_count, pending_cap;
    llama_token next; /* sampled, not decoded yet */
    int64_t generated, limit;

    int32_t batch_count; /* of its tokens in the current batch */
    int32_t row;         /* index in the batch of the row of logits that is sampled next, -1: none */
    llama_token guess[DRAFT_MOST]; /* what may follow `next`: their rows come after its own */
    int32_t guess_count;
};

/* A slot's content while its sequence had to make room for others. */
struct parked {
    struct parked *next;
    struct slot slot; /* but for its sequence and its array of tokens */
};

enum { RATE_SECONDS = 8 };

struct rate_bucket {
    int64_t second;
    uint64_t prompt_tokens, decode_tokens;
    double prompt_seconds, decode_seconds;
};

struct scheduler {
    struct scheduler_options options;
    pthread_mutex_t lock;
    pthread_cond_t work;
    struct generation *inbox, **inbox_end;   /* lock */
    size_t queued;                           /* lock: in inbox, waiting and parked */
    bool stop;                               /* lock */
    atomic_bool stopping;                    /* the same, for the abort callback */
    struct event_node *outbox, **outbox_end; /* lock */
    struct scheduler_stats stats;            /* lock */
    struct rate_bucket rates[RATE_SECONDS];  /* lock */

    struct model *model;
    struct slot *slots;
    struct cache *cache;
    struct aside *aside; /* kept conversations outside of the cells; NULL: none is */
    struct scheduler_saving saving;
    bool unsaved;                              /* something ended since all that is kept was on disk */
    uint64_t worked_ns;                        /* monotonic: when there was something to do last */
    struct generation *waiting, **waiting_end; /* queue of the decode thread, as they came */
    struct parked *parked;
    bool admit_due;       /* something has changed since the queue's first did not fit */
    int32_t reserve;      /* cells that are kept free for the going on of each answer */
    double token_seconds; /* of a token of steps that read prompts, of late; 0: not measured */
    struct event_node *fresh, **fresh_end; /* events of this step, not yet in the outbox */
    struct llama_batch batch;
    struct drafter *drafter;          /* borrowed; NULL: nothing is guessed */
    int32_t running, guessed, agreed; /* of this step: sequences that run, tokens guessed, and rightly */
    uint64_t step, admissions;
    bool aborting; /* the running decode was told to stop */
    bool stalled;  /* because its threads hang at a barrier */
};

/* generation.c */
/* Queues text (n bytes, copied) with logprobs (copied) of a choice; met: the stop string that ended it, of
 * the generation's own, NULL: none. When memory is lacking the generation's error is set. */
void generation_emit(struct scheduler *s, struct generation *g, unsigned choice, const char *text, size_t len,
                     const struct token_logprobs *logprobs, size_t logprob_count, enum finish finish,
                     const char *met);
/* Queues the last event; g must not be touched afterwards. */
void generation_end(struct scheduler *s, struct generation *g, enum finish finish);

/* queue.c */
void queue_take(struct scheduler *s, struct generation *list); /* new ones */
/* Gives idle slots to those that wait, as far as there are cells for them. */
void queue_admit(struct scheduler *s);
/* Ends a generation wherever it is. */
void generation_drop(struct scheduler *s, struct generation *g, enum finish finish);
/* Ends what was cancelled or has failed; with `all`, everything. */
void queue_reap(struct scheduler *s, bool all);
/* How urgent: its priority, and a level less for every few seconds since it came; 0 at best. */
int generation_level(const struct generation *g, uint64_t now_ns);

/* slot.c */
int slots_create(struct scheduler *s); /* 0 or VX11_ENOMEM */
void slots_destroy(struct scheduler *s);
struct slot *slot_idle(struct scheduler *s); /* NULL: none */
unsigned slots_live(const struct scheduler *s);
/* Puts the next choice of g into an idle slot. VX11_EAGAIN: none is idle. */
int slot_begin(struct scheduler *s, struct generation *g);
void slot_release(struct scheduler *s, struct slot *slot);  /* back to idle; what it holds is kept */
void slot_forget(struct scheduler *s, struct slot *slot);   /* what only it holds */
void slot_rollback(struct scheduler *s, struct slot *slot); /* drops what a step left beyond `past` */
void slot_push(struct scheduler *s, struct slot *slot, llama_token token); /* a token was decoded */
/* How many of these tokens live sequences begin with, read or to be read. */
int32_t slots_common(const struct scheduler *s, const llama_token *tokens, int32_t n);
void slots_follow(struct scheduler *s); /* those that follow take what was read for them */
/* Takes the sequence from it for others; it waits in `parked`. False without memory: its generation failed.
 */
bool slot_park(struct scheduler *s, struct slot *slot);
/* Into an idle slot, of which there must be one; what p holds is the slot's then. VX11_EAGAIN: nothing was
 * done. */
int slot_resume(struct scheduler *s, struct parked *p);
void parked_free(struct parked *p);
/* Makes room at the context's end by dropping older tokens. False when that cannot be. */
bool slot_shift(struct scheduler *s, struct slot *slot);

/* pace.c */
/* The prompt to be read next in this step; NULL: none that is not in the batch yet. */
struct slot *pace_next(struct scheduler *s);
void pace_prepare(struct scheduler *s); /* before the first pace_next of a step */
/* How many tokens of prompts this step may have beside so many rows. */
int32_t pace_share(const struct scheduler *s, int32_t rows);
void pace_measured(struct scheduler *s, int32_t tokens, double seconds); /* of a step with prompts */
/* The one that goes first when cells are short: the least urgent, of these the last to come. */
struct slot *pace_victim(struct scheduler *s);

/* verify.c: guesses, see draft.h */
void verify_guess(struct scheduler *s); /* what may follow in each running slot, before the batch is made */
/* `drawn` tokens came of a running slot's rows: all but the last were guessed. */
void verify_count(struct scheduler *s, const struct slot *slot, int32_t drawn);
void verify_measured(struct scheduler *s, bool prompts, double seconds); /* after each step */

/* step.c */
void step_run(struct scheduler *s);
bool step_abort(void *scheduler); /* ggml's abort callback: nobody waits for this batch any more */

#endif
