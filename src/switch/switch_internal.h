/* What the files of this room share.
 *
 *   request ──> select.c   which providers, in which order, why
 *           ──> dispatch.c one after the other until one gives its first token: breaker, engine or URL, time
 * limits ──> answer.c   passes its answer on, reading tokens and errors as they go by ──> account.c  one
 * decision row, one usage row
 *
 *   priority.c  how soon a local engine is to serve it
 *   provider.c  who they are, their breakers, their models (Hermes' registry, or GET /models)
 */
#ifndef VX11_SWITCH_INTERNAL_H
#define VX11_SWITCH_INTERNAL_H

#include "api/openai.h"
#include "api/switch.h"
#include "base/breaker.h"
#include "base/ulid.h"
#include "net/sse.h"
#include "switch/switch.h"

#define SWITCH_PROVIDERS  128 /* the configuration takes 64; the rest is for those that a reload dropped */
#define SWITCH_CANDIDATES 16

struct switch_;

enum dispatch_kind { DISPATCH_CHAT, DISPATCH_COMPLETION, DISPATCH_EMBEDDING };

/* What a model can be asked for: bits of 1 << enum openai_capability. */
#define CAN_CHAT     (1u << OPENAI_CAPABILITY_CHAT)
#define CAN_COMPLETE (1u << OPENAI_CAPABILITY_COMPLETION)
#define CAN_EMBED    (1u << OPENAI_CAPABILITY_EMBEDDINGS)
#define CAN_UNKNOWN  (~0u) /* nobody has told: it is tried */

struct listing_waiter {
    void (*fn)(void *ctx);
    void *ctx;
};

struct provider {
    struct switch_ *sw;
    char name[64];
    enum switch_provider_kind kind;
    bool enabled;
    char *base_url, *key_env, *key_file; /* of an openai provider; NULL: none */
    int64_t connect_timeout_ms, first_token_timeout_ms, idle_timeout_ms;
    int64_t max_concurrency; /* 0: no bound */
    struct breaker breaker;
    /* models, from the configuration or as last listed */
    char **models;
    unsigned *models_can; /* of each, CAN_…; NULL: unknown */
    size_t model_count;
    size_t builtin; /* local: index of the built-in model, SIZE_MAX: none */
    bool models_fixed, listing;
    int64_t models_at; /* epoch ms, 0: never */
    char models_error[256];
    struct listing_waiter *waiters; /* for the listing that runs */
    size_t waiter_count, waiter_cap;
    /* counters since start */
    int64_t in_flight, requests, failures;
    struct metric *first_token, *requests_metric, *failures_metric;
};

struct switch_ {
    struct module *m;
    struct provider *providers[SWITCH_PROVIDERS];
    size_t provider_count;
    char active_model[256];      /* local model that answered last */
    struct dispatch *dispatches; /* running ones, for time limits */
    int64_t in_flight;
    uv_timer_t limits;
    void (*stopped)(struct module *m);
};

/* provider.c */
int providers_load(struct switch_ *sw, const struct config *config,
                   struct error *err); /* keeps breaker and counters of those that stay */
void providers_breakers(struct switch_ *sw, const struct config_switch *c); /* new limits; all begin closed */
void providers_free(struct switch_ *sw);
struct provider *provider_find(const struct switch_ *sw, const char *name);
bool provider_offers(const struct provider *p, const char *model);
unsigned provider_can(const struct provider *p, const char *model); /* CAN_… of a model that it offers */
bool provider_models_fresh(const struct provider *p, int64_t max_age_ms);
/* Lists the models now unless a listing runs already; fn runs once, later, whatever came of it. */
void provider_list(struct provider *p, void (*fn)(void *ctx), void *ctx);
/* Key for a request; NULL and no error when it needs none. The text is valid until the arena goes. */
int provider_key(const struct provider *p, struct arena *a, const char **key, struct error *err);
bool provider_key_present(const struct provider *p);

/* select.c */
struct candidate {
    struct provider *provider;
    const char *model;  /* as the provider names it */
    const char *reason; /* in a few words */
};
struct selection {
    struct candidate list[SWITCH_CANDIDATES];
    size_t count;
    const char *model; /* wanted, after defaults */
};
struct wish { /* what a caller wants to be answered by */
    enum dispatch_kind kind;
    const char *model;        /* NULL, "" or "auto": the default */
    const char *only, *first; /* names of providers; may be NULL */
};
/* To candidates, in order. Strings live in the arena. 0; VX11_ENOT_FOUND with a sentence that names the
 * nearest models; VX11_EUNSUPPORTED when who offers the model knows that it cannot do that; VX11_EUNAVAILABLE
 * when nobody can say. */
int selection_make(const struct switch_ *sw, struct arena *a, const struct wish *wish, struct selection *out,
                   struct error *err);
const char *selection_default(const struct switch_ *sw, enum dispatch_kind kind);

/* account.c */
struct account {
    int64_t at; /* epoch ms */
    uint64_t began_ns;
    const char *route, *requested_model, *provider, *model, *reason;
    struct buf alternatives; /* JSON array, open */
    int attempts;
    bool stream;
    enum switch_outcome outcome;
    int status;
    char error[300];
    int64_t prompt_tokens, completion_tokens, cached_tokens; /* -1: not reported */
    double first_token_ms;                                   /* negative: none */
};
void account_begin(struct account *a, struct request *r, const char *requested_model, bool stream);
void account_alternative(struct account *a, const char *provider, const char *model, const char *result);
double account_elapsed_ms(const struct account *a);
void account_write(struct switch_ *sw, struct account *a, struct request *r);

/* dispatch.c */
struct dispatch {
    struct switch_ *sw;
    struct dispatch *next, *prev;
    struct request *r;
    struct wish wish;
    const char *source; /* who asks, as /switch/chat says it; NULL: not said */
    const char *body;   /* the caller's, as it came */
    size_t body_len;
    bool stream, include_usage; /* as the caller asked */
    struct selection selection;
    size_t at; /* candidate being tried */
    struct account account;
    struct client_call *call;      /* to the provider */
    struct client_call *acquiring; /* to Hermes */
    struct client_target target;
    int64_t first_token_until; /* monotonic ms; 0: not waiting for it */
    size_t listings;           /* listings of models that are waited for */
    bool relisted, local_relisted;
    int engine_tries;        /* engines that ended before they answered */
    int64_t engine_again_at; /* monotonic ms when another is asked for; 0: not waiting for that */
    /* how the last attempt failed, for when none is left */
    int failed_status;
    char failed_code[64], failed_text[400];
    int64_t retry_after_ms;    /* -1: the provider did not say */
    const char *context_shift; /* its header of that name, for the caller; NULL: none */
    /* the answer */
    struct arena *scratch; /* of one event */
    struct sse_parser sse;
    struct buf reply;             /* an answer that is not streamed, or an error */
    struct buf held;              /* events before the first token */
    int upstream_status, own_end; /* own_end: why we ended the call ourselves, VX11_E… */
    bool sse_open, begun, complete, failed_midway, attempt_open, paused;
    int cancel_reason; /* 0: the caller is there */
    void (*whole)(
        struct dispatch *d,
        const struct switch_upstream *reply); /* answers the caller itself; NULL: the reply is passed on */
};

enum dispatch_verdict { DISPATCH_GOOD, DISPATCH_BAD, DISPATCH_SILENT }; /* what the breaker learns */

/* Takes the request over, to its end. Strings live in the request's arena. whole is for answers that are not
 * streamed. */
void dispatch_run(struct switch_ *sw, struct request *r, const struct dispatch *wish);
void dispatch_limits(
    struct switch_ *sw); /* called every 50 ms: first tokens that are late, engines asked for again */
/* After a call to an engine ended with `result` before it answered: true when another engine is asked for
 * instead of failing. */
bool dispatch_engine_again(struct dispatch *d, int result);
/* Ends the attempt: the next candidate is tried, or, when none is left or the answer has begun, the caller
 * gets status, code and text. */
void dispatch_failed(struct dispatch *d, enum dispatch_verdict verdict, int status, const char *code,
                     const char *text);
/* Ends the attempt and the request's account; the caller of this ends the request itself, before or after. */
void dispatch_end(struct dispatch *d, enum dispatch_verdict verdict, enum switch_outcome outcome, int status,
                  const char *error);
/* Ends a request whose caller has gone or whose time is up. */
void dispatch_cancelled(struct dispatch *d);
void dispatch_headers(struct dispatch *d); /* X-VX11-Provider, X-VX11-Model */

/* priority.c */
/* 0 (first) … 9: how soon a local engine is to serve the request. source may be NULL. */
int priority_of(struct request *r, const char *source);

/* answer.c: the provider's reply as it comes. */
extern const struct client_events answer_events;

/* chat.c */
void chat_completions(struct request *r, void *module);
void chat_text_completions(struct request *r, void *module);
void chat_embeddings(struct request *r, void *module);
void chat_own(struct request *r, void *module);

/* models.c */
void models_list(struct request *r, void *module);
void models_get(struct request *r, void *module);

#endif
