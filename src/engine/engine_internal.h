/* Inside of the engine's HTTP side: engine.c, api_*.c, reply.c, request.c. All of it runs on the loop thread.
 */
#ifndef VX11_ENGINE_ENGINE_INTERNAL_H
#define VX11_ENGINE_ENGINE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <uv.h>

#include "api/engine.h"
#include "api/openai.h"
#include "engine/chat_format.h"
#include "engine/embed.h"
#include "engine/engine.h"
#include "engine/scheduler.h"
#include "engine/tokenize.h"
#include "net/metrics.h"
#include "net/server.h"

enum { ENGINE_GAUGES_MAX = 48 };

struct engine {
    struct engine_options options;
    uv_loop_t loop;
    uv_async_t wake;
    uv_signal_t terminate, interrupt;
    uv_timer_t linger;
    struct metrics *metrics;
    struct server *server;
    struct scheduler *scheduler;
    struct turn turn; /* at computing: the scheduler's or the embedder's */
    struct embedder *embedder;
    struct arena *scratch; /* for one event's chunk */
    struct buf chunk;
    int state;                        /* enum engine_state */
    int64_t requests;                 /* for answers, embeddings and tokens, since the start */
    _Atomic int64_t *requests_shared; /* the same, for the parent to see; NULL: nobody looks */
    struct model *model;              /* NULL until it is loaded */
    int64_t started_ms;               /* monotonic */
    int exit_code;
    bool ending;

    /* Shared with the decode thread. */
    pthread_t thread;
    _Atomic float progress;
    _Atomic uint64_t bytes_read, bytes_total; /* of the model's file */
    atomic_bool load_stop;                    /* the load is to be given up */
    atomic_bool load_ended;                   /* then load_model and load_error are set */
    bool load_model_seen;                     /* the loop thread's */
    struct model *load_model;
    _Atomic(struct saved *) saved; /* NULL: none, or not open yet */
    struct fit_plan plan;          /* of the model, or of the load that was refused */
    struct error load_error;

    struct metric *embedding_seconds, *first_token_seconds, *queue_seconds;
    struct metric *gauges[ENGINE_GAUGES_MAX], *step_sizes[STEP_SIZES];
};

/* api_status.c */
void engine_request_arrived(struct engine *e);
void api_status(struct request *r, void *module);
void api_models(struct request *r, void *module);
void api_tokenize(struct request *r, void *module);
void api_count(struct request *r, void *module); /* api_count.c */
void api_detokenize(struct request *r, void *module);
/* False, and the request was answered, when there is no model yet or its name is another. `name` may be NULL.
 */
bool api_model_ready(struct engine *e, struct request *r, const char *name);

/* engine_metrics.c */
void engine_metrics_register(struct engine *e);

/* status_parts.c */
enum { STATUS_DEVICES_MAX = 32 };
void status_load(const struct engine *e, struct engine_load *out);
bool status_memory(const struct engine *e, struct engine_memory *out); /* false: not known yet */
size_t status_devices(const struct engine *e, struct engine_device *out, size_t most);
void status_rope(const struct model *m, struct engine_rope *out);
struct engine_spread status_spread(const struct metric *histogram);

/* api_chat.c, api_completions.c */
void api_chat_completions(struct request *r, void *module);
void api_completions(struct request *r, void *module);

/* api_embeddings.c */
void api_embeddings(struct request *r, void *module);
/* False, and the request was answered, when the model only embeds; `code`: how that is called. */
bool api_model_generates(struct engine *e, struct request *r, const char *code);

/* ---- request.c: what chats and completions have in common ---- */

struct request_fault { /* why a request cannot be served: a 400 */
    const char *code;  /* NULL: nothing is wrong */
    char param[512];
    char text[384];
};
void fault_set(struct request_fault *f, const char *code, const char *param, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

struct request_options { /* the fields that both kinds of request have, by pointers: NULL where absent */
    const double *temperature, *top_p, *min_p, *presence_penalty, *frequency_penalty, *repeat_penalty;
    const int64_t *top_k, *repeat_last_n, *seed, *max_tokens;
    bool ignore_end;
    int64_t choices;
    yyjson_val *stop, *logit_bias;
};
/* Fills everything of out but the prompt and the log-probabilities; memory from the arena. False: see the
 * fault. */
bool request_options_read(const struct engine *e, const struct request_options *in, struct arena *a,
                          struct generation_options *out, struct request_fault *fault);
/* False when prompt and max_tokens do not fit the context. */
bool request_fits(const struct model *m, size_t prompt_tokens, int64_t max_tokens,
                  struct request_fault *fault);
enum { REQUEST_PRIORITY_DEFAULT = 4 };
/* 0 (first) … GENERATION_PRIORITY_MAX, as the header X-VX11-Priority says, or the default. False: the fault
 * says why. */
bool request_priority(const struct request *r, int *out, struct request_fault *fault);
/* False, before the text is tokenized, when so long a text cannot fit whatever its tokens are. */
bool request_text_fits(const struct model *m, size_t bytes, struct request_fault *fault);

/* ---- reply.c: from generations to one HTTP reply ---- */

struct reply;

struct context_shift { /* what was left out of a prompt */
    size_t messages, tokens;
};

struct reply_options {
    bool chat;                  /* else a completion */
    struct chat_prompt *format; /* of a chat: owned by the reply from reply_create on, also when that fails */
    struct context_shift shift;
    bool stream, include_usage;
    bool logprobs;
    size_t parts;     /* prompts */
    unsigned choices; /* of each */
};
/* Takes over the request: it ends when every part has. NULL (and the request was answered) without memory. */
struct reply *reply_create(struct engine *e, struct request *r, const struct reply_options *o);
/* Starts part `index`; `echo` (may be NULL) is put before each of its texts. False when it could not be: the
 * reply then ends by itself with the error, and must not be touched again. After the last part nothing more
 * is to be done. */
bool reply_start(struct reply *reply, size_t index, const struct generation_options *o, const char *echo);

#endif
