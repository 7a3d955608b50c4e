/* What the files of this room share.
 *
 *   request ──> chat.c, dialects/  OpenAI's words, VX11's own, Anthropic's: one request in OpenAI's words
 *           ──> select.c    which providers, in which order, why
 *           ──> dispatch.c  one after the other until one gives its first token; again after a while, or a
 *                           second one beside a slow one
 *           ──> attempt.c   one try: breaker, engine or URL (adapters.c), time limits
 *           ──> answer.c    its answer as it comes, reading tokens and errors, in the dialect of the caller
 *           ──> account.c   one decision row, one usage row
 *
 *   priority.c  how soon a local engine is to serve it
 *   provider.c  who they are, their breakers, their models (Hermes' registry, or GET /models)
 */
#ifndef VX11_SWITCH_INTERNAL_H
#define VX11_SWITCH_INTERNAL_H

#include "api/hermes.h"
#include "api/config.h"
#include "api/openai.h"
#include "api/switch.h"
#include "base/breaker.h"
#include "base/ulid.h"
#include "net/sse.h"
#include "switch/cache/routes.h"
#include "switch/limits/limits.h"
#include "switch/selection/choice.h"
#include "switch/switch.h"

struct dispatch;

#define SWITCH_PROVIDERS  128 /* the configuration takes 64; the rest is for those that a reload dropped */
#define SWITCH_CANDIDATES 16

struct switch_;
struct preset;
struct adapter;
struct dialect;

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
    bool registered;                     /* Hermes has told of it; else the configuration */
    bool gone;                           /* neither knows it any more: kept for requests that still run */
    char *base_url, *key_env, *key_file; /* of one that is outside; NULL: none */
    const struct preset *preset;         /* never NULL */
    char *tool, *module;                 /* of those kinds: whom to ask; NULL: its own name */
    int64_t connect_timeout_ms, first_token_timeout_ms, idle_timeout_ms;
    int64_t max_concurrency;        /* 0: no bound */
    bool stays;                     /* what it is sent does not leave this machine, says the configuration */
    struct config_model_info *info; /* what is said of its models */
    size_t info_count;
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
    int64_t rest_until; /* monotonic ms: it has asked to be left alone */
    /* counters since start */
    int64_t in_flight, requests, failures;
    struct metric *first_token, *requests_metric, *failures_metric;
};

struct switch_ {
    struct module *m;
    struct provider *providers[SWITCH_PROVIDERS];
    size_t provider_count;
    char default_model[256];     /* set by a person, over the configuration's; "": none (admin.h) */
    char active_model[256];      /* local model that answered last */
    int64_t registry_version;    /* of Hermes' registry as last read; -1: never */
    int64_t registry_at;         /* monotonic ms when it was asked for last */
    struct dispatch *dispatches; /* running ones, for time limits */
    int64_t in_flight;
    int64_t budgets_at; /* monotonic ms of their last tick */
    uv_timer_t limits;
    struct limits *budgets; /* what tokens and providers may use */
    struct cache *cache;
    struct cache_series cache_series;
    struct queue *queue;
    struct observe *observe;
    struct stats *stats;
    struct tension *tension;
    struct selector *selector;
    void (*stopped)(struct module *m);
};

/* provider.c */
int providers_load(struct switch_ *sw, const struct config *config,
                   struct error *err); /* keeps breaker and counters of those that stay */
/* Takes over the tools and providers that Hermes has registered; who is there no more is disabled. */
int providers_register(struct switch_ *sw, const struct hermes_registry *registry, struct error *err);
void providers_breakers(struct switch_ *sw, const struct config_switch *c); /* new limits; all begin closed */
void providers_free(struct switch_ *sw);
struct provider *provider_find(const struct switch_ *sw, const char *name);
bool provider_offers(const struct provider *p, const char *model);
unsigned provider_can(const struct provider *p, const char *model); /* CAN_… of a model that it offers */
/* What the configuration says of a model: its own entry, else that of *; NULL: nothing. Valid until the
 * configuration changes. */
const struct config_model_info *provider_info(const struct provider *p, const char *model);
bool provider_models_fresh(const struct provider *p, int64_t max_age_ms);
/* Asks Hermes again when the last time was a while ago; called every 50 ms. */
void registry_tick(struct switch_ *sw);
/* Lists the models now unless a listing runs already; fn runs once, later, whatever came of it. */
void provider_list(struct provider *p, void (*fn)(void *ctx), void *ctx);
/* Key for a request; NULL and no error when it needs none. The text is valid until the arena goes. */
int provider_key(const struct provider *p, struct arena *a, const char **key, struct error *err);
bool provider_key_present(const struct provider *p);

/* select.c */
struct candidate {
    struct provider *provider;
    const char *model;     /* as the provider names it */
    const char *reason;    /* in a few words */
    struct choice *choice; /* what speaks for it */
};
struct selection {
    struct candidate list[SWITCH_CANDIDATES];
    size_t count;
    const char *model; /* wanted, after defaults; NULL: what scores best */
    /* how it came about: selection/selector.h tells it */
    struct wish wish;
    struct choice *choices; /* all that were looked at, the best first */
    size_t choice_count;
    enum switch_explanation_chosen_by chosen_by;
    enum choice_order order;
    enum switch_mode mode, mode_set; /* that applies, that was asked for */
    enum switch_fluzo_profile host;
    struct score_weights weights;
    bool free_choice; /* Switch chose the model too */
    struct {
        int status;
        const char *code, *param; /* param NULL: none */
    } refusal;                    /* of a selection that failed */
};
/* To candidates, in order. Strings live in the arena. 0, or an error with a sentence, and out->refusal:
 * VX11_ENOT_FOUND names the nearest models; VX11_EUNSUPPORTED when who offers the model knows that it cannot
 * do that; VX11_EPERMISSION when privacy or the caller's token forbids it; VX11_EUNAVAILABLE when nobody can
 * say. No side effect. */
int selection_make(const struct switch_ *sw, struct arena *a, const struct wish *wish, struct selection *out,
                   struct error *err);
const char *selection_default(const struct switch_ *sw, enum dispatch_kind kind);

/* account.c */
struct account {
    int64_t at; /* epoch ms */
    uint64_t began_ns;
    const char *route, *requested_model, *provider, *model, *reason;
    struct buf alternatives; /* JSON array, open */
    struct buf story;        /* the same: story.c */
    int told;                /* attempts in it */
    int attempts, retries;
    bool stream, hedged;
    bool estimated; /* the tokens: nobody counted them */
    bool from_cache;
    int64_t cost_micro; /* millionths of the currency; -1: not known */
    const char *payer;  /* whose use it is; NULL: the principal's */
    enum switch_outcome outcome;
    int status;
    char error[300];
    int64_t prompt_tokens, completion_tokens, cached_tokens; /* -1: not reported */
    double first_token_ms;                                   /* negative: none */
};
void account_begin(struct account *a, struct request *r, const char *requested_model, bool stream);
void account_candidate(struct account *a, const struct candidate *c); /* who is asked, or has answered */
/* Notes one who was asked in vain, for ms, or passed over (ms negative). */
void account_tried(struct account *a, const struct candidate *c, const char *result, double ms);
double account_elapsed_ms(const struct account *a);
void account_write(struct dispatch *d);

/* ---- one try of one candidate: attempt.c ---- */

enum dispatch_verdict { DISPATCH_GOOD, DISPATCH_BAD, DISPATCH_SILENT }; /* what the breaker learns */

/* Tokens as a provider reports them; -1: it did not. */
struct token_counts {
    int64_t prompt, completion, cached;
};

struct attempt {
    struct dispatch *d; /* NULL: given up; it goes when its call has ended */
    const struct candidate *candidate;
    struct provider *provider;
    const struct adapter *adapter;
    struct client_call *call;      /* to the provider */
    struct client_call *acquiring; /* to Hermes */
    struct client_target target;
    uint64_t began_ns;
    int64_t first_token_until; /* monotonic ms; 0: not waiting for it */
    int engine_tries;          /* engines that ended before they answered */
    int64_t engine_again_at;   /* monotonic ms when another is asked for; 0: not waiting for that */
    int64_t retry_after_ms;    /* -1: the provider did not say */
    const char *context_shift; /* its header of that name, for the caller; NULL: none */
    struct arena *scratch;     /* of one event */
    struct sse_parser sse;
    struct buf reply; /* an answer that is not streamed, or an error */
    struct buf held;  /* chunks before the first token, each behind its length (size_t) */
    struct token_counts tokens;
    size_t text_bytes;       /* of the answer, when it is streamed */
    struct limits_hold hold; /* reserved of the provider's budgets */
    struct price price;
    int upstream_status, own_end; /* own_end: why we ended the call ourselves, VX11_E… */
    const char *upstream_model;   /* what its engine calls the model; NULL: as we do */
    bool foreign;                 /* the engine is not our own */
    bool sse_open, complete, failed_midway, paused, hedge, learned;
    double first_token_ms; /* since its beginning; negative: none */
    enum switch_attempt_kind kind;
    bool noted;                    /* it is in the request's story */
    uint64_t called_ns;            /* monotonic; 0: not yet */
    double connected_s, headers_s; /* since then; negative: not reached */
    char failed_text[400];
    void *translation; /* the adapter's own, from its start to its free */
};

/* How a kind of provider is spoken to. Everything but reach may be NULL: then it speaks OpenAI's API. */
struct adapter {
    const char *name;
    /* Finds out where it is: ends, now or later, in attempt_call or attempt_failed. */
    void (*reach)(struct attempt *a);
    /* Path below the base URL, and the body, from the caller's. Strings live in the request's arena. */
    int (*request)(struct attempt *a, const char **path, const char **body, size_t *len, struct error *err);
    /* Headers besides those that every module sends on. */
    int (*headers)(struct attempt *a, struct client_call_options *options);
    /* One event of its stream: hands OpenAI's chunks to answer_chunk, answer_finished at its end. */
    int (*event)(struct attempt *a, const struct sse_event *e);
    /* Its whole reply or error, turned into OpenAI's in place. */
    int (*whole)(struct attempt *a, int status, struct buf *reply, struct error *err);
    /* What translation holds. */
    void (*free)(struct attempt *a);
    bool outside; /* not ours: it is told nothing about who asks */
};
const struct adapter *adapter_of(const struct provider *p); /* adapters.c */

/* Begins; the attempt is d's from now on. False: it could not be, and has been told to the dispatch. */
void attempt_start(struct dispatch *d, const struct candidate *c, bool hedge);
void attempt_call(struct attempt *a); /* target is known */
/* Ends it: the dispatch goes on to the next candidate, or the caller gets status, code and text. */
void attempt_failed(struct attempt *a, enum dispatch_verdict verdict, int status, const char *code,
                    const char *text);
/* After a call to an engine ended with `result` before it answered: true when another engine is asked for
 * instead of failing. */
bool attempt_engine_again(struct attempt *a, int result);
void attempt_engine_retry(struct attempt *a); /* asks now */
/* Tells the learner how it went, once; attempt_end does too. Before the account is written, so that it holds
 * it. */
void attempt_learn(struct attempt *a, enum dispatch_verdict verdict);
/* Books it with its breaker and counters and takes it out of d. A call that still runs is cancelled, and the
 * attempt goes when that has ended; else at once. */
void attempt_end(struct attempt *a, enum dispatch_verdict verdict);
/* For callbacks of its calls, first: true when nobody cares any more (and a is gone, or d is ended). */
bool attempt_over(struct attempt *a);
double attempt_elapsed_ms(const struct attempt *a);

/* ---- how it went: observe/story.c ---- */
/* Notes an attempt that is over, once. status 0: no answer came; error may be NULL. */
void story_attempt(struct attempt *a, enum switch_attempt_end end, int status, const char *error);

/* ---- one request: dispatch.c ---- */

enum { DISPATCH_LIVE = 2 }; /* attempts at a time: one, and one that hedges */

struct dispatch {
    struct switch_ *sw;
    struct dispatch *next, *prev;
    struct request *r;
    struct wish wish;
    const char *source; /* who asks, as /switch/chat says it; NULL: not said */
    const char *body;   /* OpenAI's request, the caller's own where that is one */
    size_t body_len;
    bool stream, include_usage;    /* as the caller asked */
    const struct dialect *dialect; /* how the answer is told; NULL: as it comes */
    void *dialect_data;
    struct selection selection;
    size_t at; /* next candidate */
    struct account account;
    yyjson_val *root;     /* body, parsed */
    yyjson_val *metadata; /* as /switch/chat says it; NULL: the body's own */
    bool has_keep_alive;
    int64_t keep_alive_ms;   /* how long a local model stays loaded afterwards; -1: for ever */
    struct limits_want want; /* what it may use at most */
    struct limits_hold hold; /* reserved of the caller's budgets */
    struct price price;      /* of who answered */
    bool caches;             /* cache_key is set: a good answer is kept under it */
    unsigned char cache_key[CACHE_KEY_LEN];
    struct cache_gather *gather; /* of a stream that is to be kept */
    struct buf kept;             /* of a stream's text, for who asked for bodies in the log */
    size_t kept_bytes;           /* of all of it */
    const struct attempt *kept_of;
    struct attempt *live[DISPATCH_LIVE];
    struct attempt *winner;        /* whose answer the caller gets */
    const struct candidate *last;  /* the one that was asked last */
    const struct candidate *again; /* may be asked once more; NULL: none */
    int retries;                   /* done */
    int64_t again_at, hedge_at;    /* monotonic ms; 0: no */
    size_t listings;               /* listings of models that are waited for */
    bool relisted, local_relisted, begun;
    /* how the last attempt failed, for when none is left */
    int failed_status;
    char failed_code[64], failed_text[400];
    const char *failed_param;        /* static; NULL: none */
    int64_t retry_after_ms;          /* -1: nobody said */
    struct limits_refusal exhausted; /* the budget that was in the way last; status 0: none was */
    int cancel_reason;               /* 0: the caller is there */
};

/* Takes the request over, to its end. Strings live in the request's arena. */
void dispatch_run(struct switch_ *sw, struct request *r, const struct dispatch *wish);
/* Called every 50 ms: first tokens that are late, engines asked for again, retries, hedges. */
void dispatch_limits(struct switch_ *sw);
/* a's answer is the one: the others are given up. */
void dispatch_wins(struct dispatch *d, struct attempt *a);
/* An attempt has failed and is out of d->live. retry: the same candidate may do better soon. */
void dispatch_attempt_failed(struct dispatch *d, const struct candidate *c, bool retry, int status,
                             const char *code, const char *text);
/* A budget is in the way of this candidate. */
void dispatch_exhausted(struct dispatch *d, const struct limits_refusal *why);
/* Ends the request's account; the caller of this ends the request itself, before or after. The winner, where
 * there is one, ends with the verdict. */
void dispatch_end(struct dispatch *d, enum dispatch_verdict verdict, enum switch_outcome outcome, int status,
                  const char *error);
/* Ends a request whose caller has gone or whose time is up, once nothing runs for it. */
void dispatch_cancelled(struct dispatch *d);
void dispatch_headers(struct dispatch *d); /* X-VX11-Provider, X-VX11-Model, what limits and selection say */

/* priority.c */
/* 0 (first) … 9: how soon a local engine is to serve the request. source may be NULL. */
int priority_of(struct request *r, const char *source);
/* The same for a wish that was said elsewhere than in a header; below 0: none. */
int priority_wanted(struct request *r, const char *source, int64_t wish);

/* answer.c: the provider's reply as it comes; the context is the attempt. */
extern const struct client_events answer_events;
/* One chunk as OpenAI has it. 0, or VX11_E… when the attempt must end. */
int answer_chunk(struct attempt *a, const char *data, size_t len, const char *event);
void answer_finished(struct attempt *a); /* the stream has come to its good end */

/* cached.c: replies of the cache */
/* Answers from the cache: true when the request is over. Else sets d->caches when the answer may be kept. */
bool cached_answer(struct dispatch *d);
void cached_keep(struct attempt *a, const char *body, size_t len); /* OpenAI's whole reply */
void cached_gather(struct attempt *a, const char *chunk, size_t len);
void cached_keep_stream(struct attempt *a); /* at a stream's good end */

/* estimate.c: usage that the provider did not give, counted here and marked. */
/* Of a whole reply: 1 when it has been written into a->reply, which is to be parsed again; 0; or VX11_E…. */
int estimate_reply(struct attempt *a, const struct switch_upstream *u);
void estimate_stream(struct attempt *a); /* before the stream's good end; sends it when it was asked for */
void estimate_cut(
    struct attempt *a); /* an answer that began and did not end well: what came of it was used */

/* chat.c */
void chat_completions(struct request *r, void *module);
void chat_text_completions(struct request *r, void *module);
void chat_embeddings(struct request *r, void *module);
void chat_own(struct request *r, void *module);

/* dialects/: other APIs' routes (routes.c, count.c) */
void dialect_messages(struct request *r, void *module);
void dialect_responses(struct request *r, void *module);
void dialect_response_get(struct request *r, void *module);
void dialect_count_tokens(struct request *r, void *module);
extern const struct dialect messages_dialect;

/* anthropic.c */
extern const struct adapter anthropic_adapter;
int anthropic_key_headers(struct arena *a, const char *key, struct client_call_options *options);

/* models.c */
void models_list(struct request *r, void *module);
void models_get(struct request *r, void *module);

#endif
