/* Inside of the embedder, shared by embed.c (jobs and their way in and out) and embed_run.c (the computing).
 * What is not marked "lock" or atomic is the embedder's thread's. */
#ifndef VX11_ENGINE_EMBED_INTERNAL_H
#define VX11_ENGINE_EMBED_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "engine/embed.h"

enum { EMBED_SEQUENCES = 64 }; /* inputs of one batch */

struct embed_job {
    struct embed_job *next;
    embed_fn fn;
    void *ctx;
    struct embed_input *inputs;
    size_t count;
    int priority;
    int32_t dimensions;
    enum embed_format format;
    atomic_bool cancelled;

    bool prepared;         /* every input is tokens now, and fits */
    size_t started, ended; /* inputs */
    float *vectors;
    struct buf text; /* all of them, one behind the other */
    const char **texts;
    size_t *lengths;
    int64_t tokens;
    uint64_t submitted_ns, started_ns, ended_ns;
    struct error error;
    size_t error_input;
};

struct embed_sequence {    /* an input that is being read */
    struct embed_job *job; /* NULL: free */
    size_t input;
    int32_t past;        /* tokens read */
    int32_t batch_count; /* of its tokens in the current batch */
};

struct embedder {
    struct embedder_options options;
    struct model *model;
    pthread_t thread;
    bool running; /* the loop thread's: the thread was started */

    pthread_mutex_t lock;
    pthread_cond_t work;
    struct embed_job *inbox, **inbox_end;   /* lock */
    struct embed_job *outbox, **outbox_end; /* lock */
    size_t queued;                          /* lock: jobs that have not had their callback's result made */
    struct embed_stats stats;               /* lock */
    bool stop;                              /* lock */
    atomic_bool stopping;                   /* the same, for the abort callback */

    struct embed_job *jobs; /* that are computed: the first is the next to give an input */
    struct embed_sequence sequences[EMBED_SEQUENCES];
    struct llama_context *context;
    struct llama_batch batch;
    bool whole;       /* each input must be in one batch */
    int32_t capacity; /* tokens of a batch */
    int32_t cells;    /* tokens that the context's memory holds; a causal model's */
    int sequence_count;
    double seconds_per_token; /* mean; 0: not measured yet */
    bool aborting;
};

/* embed.c */
void embed_job_finish(struct embedder *e, struct embed_job *job); /* to the outbox; not ours any more */

/* embed_run.c */
void *embed_thread(void *embedder);

#endif
