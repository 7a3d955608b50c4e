/* Model: one GGUF file in memory with the context that decodes it, through libllama.
 *
 * Loading takes seconds to minutes and is done on the decode thread; the loop thread only reads `struct
 * model` after the load has ended, and of it only what is set once (the names, sizes, the vocabulary:
 * libllama's tokenizer is thread-safe). The context is the decode thread's alone. */
#ifndef VX11_ENGINE_MODEL_H
#define VX11_ENGINE_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <llama.h>

#include "base/error.h"
#include "engine/ability.h"
#include "engine/fit.h"
#include "engine/threads.h"

enum {
    MODEL_CONTEXT_DEFAULT = 8192, /* tokens: most that a request may use when nothing was asked for */
    MODEL_PARALLEL_MAX = 256,
    MODEL_BATCH_MAX = 65536,
};

struct model_options {
    const char *path;
    const char *name; /* as requests call it; NULL: the file's name without ".gguf" */
    int64_t context;  /* tokens of the longest request with its answer; 0: what the model was trained for, up
                         to context_most */
    int64_t context_most; /* 0: MODEL_CONTEXT_DEFAULT */
    int parallel;         /* sequences at a time, 1 … MODEL_PARALLEL_MAX */
    int threads;          /* that many; 0: as many as measure fastest, up to one for each physical core */
    int batch;            /* tokens of one step, 1 … MODEL_BATCH_MAX */
    int32_t cells;        /* KV cells for all sequences together; 0: chosen, see fit.h */
    int gpu_layers; /* layers on a GPU where a backend for one is there; -1: as many as it has room for */
    enum model_kv_type kv_type;
    const char *chat_template; /* Jinja text in place of the file's own; NULL: that */
    uint64_t memory_most;      /* bytes of memory that may be taken; 0: what is free */
    struct fit_plan *planned;  /* NULL, or where the plan is put, that of a refused load too */
};

struct model_progress {
    float share;                      /* 0 … 1 of the load */
    uint64_t bytes_read, bytes_total; /* of the file */
};

struct model_times { /* ms */
    int64_t plan, weights, context, warm;
};

enum model_template_state {
    MODEL_TEMPLATE_ABSENT,      /* the file has none */
    MODEL_TEMPLATE_UNSUPPORTED, /* it has one that cannot be applied */
    MODEL_TEMPLATE_READY,
};

struct grammars;

struct model {
    struct llama_model *llama;
    struct llama_context *context; /* NULL when the model only embeds: see `can` */
    const struct llama_vocab *vocab;
    struct ability can;
    struct threads threads; /* the decode thread's, but for its count */
    int threads_most;       /* as many as may compute */
    bool threads_fixed;     /* always that many */

    char *name, *path;
    char description[128];    /* architecture, weights and quantisation: "llama 1.1B Q4_K - Medium" */
    struct chat_format *chat; /* NULL unless template_state is READY */
    enum model_template_state template_state;
    char *template_reason; /* why it is UNSUPPORTED; else NULL */
    uint64_t size_bytes;   /* of the weights */
    uint64_t parameters;
    int64_t created_s; /* the file's modification time, epoch seconds */
    int64_t load_ms;
    struct model_times times;
    struct fit_plan plan;                    /* what was chosen, and what it takes */
    uint64_t bytes_from_disk;                /* of the file that were not in the page cache yet */
    int32_t context_trained, context_length; /* tokens */
    int32_t cells;                           /* KV cells: one pool for all sequences */
    int32_t sequences; /* sequence ids: `parallel` that are served, the others hold what is kept (cache.h) */
    int32_t vocabulary, batch, parallel;
    size_t longest_piece; /* bytes of the longest token's text */
    bool can_trim; /* the tail of a sequence can be dropped and a prefix shared (not so for recurrent models)
                    */
    const char *
        *specials; /* texts of the tokens that users must not be able to write: owned by the vocabulary */
    size_t special_count;
    struct grammars *grammars; /* the decode thread's: what is known of grammars, see grammar.h */
};

/* false stops the load, which then fails with VX11_ECANCELLED. Called on the loading thread and on one that
 * reads the file, never at the same time. */
typedef bool (*model_progress_fn)(const struct model_progress *p, void *ctx);

/* Once per process, first of all: sends libllama's log to ours. */
void model_log_start(void);
/* While quiet, libllama's log goes to debug level: it calls an abort that we asked for an error. Any thread.
 */
void model_log_quiet(bool quiet);

/* What a load and its measuring (fit.h) have in common. */
struct llama_model_params model_params(int gpu_layers);
struct llama_context_params model_context_params(const struct llama_model *llama,
                                                 const struct model_options *o, int32_t cells,
                                                 enum model_kv_type kv);

/* Loads, makes the context and warms it up with one token. The caller owns *out: model_free. VX11_ENOT_FOUND,
 * VX11_ECORRUPT (not a sound GGUF file, with libllama's reason), VX11_EINVALID (options that do not fit the
 * model), VX11_ENOMEM, VX11_ECANCELLED. */
int model_load(const struct model_options *options, model_progress_fn progress, void *ctx, struct model **out,
               struct error *err);
void model_free(struct model *m); /* NULL is fine */

#endif
