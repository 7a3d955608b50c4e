/* Warm: trying models out by loading them and having them generate, for real.
 *
 *   trial.c    one model once: acquire ─> POST /v1/completions, streamed ─> first token, speed
 *   warmup.c   rounds over the preloaded models: at the start, on schedule, when asked; what came of it
 *   routes.c   their routes
 *
 * A trial is no use of the model: it is not counted. */
#ifndef VX11_HERMES_WARM_H
#define VX11_HERMES_WARM_H

#include "hermes/acquire.h"
#include "hermes/hermes_internal.h"

struct warm_result {
    char model[129];
    int state;  /* enum hermes_warm_state */
    int status; /* HTTP status that says why it failed */
    char code[64], reason[400];
    int64_t at; /* epoch ms, 0: never */
    bool loaded_before;
    int64_t load_ms;       /* -1: it was not loaded */
    double first_token_ms; /* negative: none came */
    int64_t tokens;        /* -1: none */
    double tokens_per_s;   /* negative: unknown */
    int64_t runs, failures;
};
void warm_result_init(struct warm_result *r, const char *model);
/* As the contract shows it; its strings are the result's. */
void warm_result_view(const struct warm_result *r, struct hermes_warm_result *out);

/* ---- trial.c ---- */
struct trial;
struct trial_options {
    const char *model;
    int64_t tokens, timeout_ms;
    bool load_only;
    int priority; /* 0 … 9; 4 as any other */
};
/* fn runs once, later or at once. result lives during the call. 0 or VX11_E…; then fn is not called. */
int trial_run(struct hermes *h, const struct trial_options *o,
              void (*fn)(void *ctx, const struct warm_result *result), void *ctx, struct trial **out,
              struct error *err);
void trial_cancel(struct trial *t); /* fn is not called; what is loaded stays */

/* ---- warmup.c ---- */
struct warmup;
int warmup_create(struct hermes *h, struct warmup **out, struct error *err);
/* The models are known now: the first round may begin. */
void warmup_begin(struct warmup *w);
void warmup_configure(struct warmup *w, const struct config *before, const struct config *now);
/* models NULL: those of the configuration; tokens, timeout_ms 0: as configured. fn (may be NULL) runs when
 * all were tried. VX11_EBUSY while a round goes on. */
int warmup_run(struct warmup *w, const char *const *models, size_t n, int64_t tokens, int64_t timeout_ms,
               void (*fn)(void *ctx), void *ctx, struct error *err);
void warmup_forget(struct warmup *w, void *ctx); /* fn of this ctx is not called */
int warmup_view(const struct warmup *w, struct arena *a, struct hermes_warmup_status *out);
/* Takes over what a trial outside of a round found. */
void warmup_note(struct warmup *w, const struct warm_result *r);
void warmup_close(struct warmup *w, void (*done)(void *ctx), void *ctx);

/* ---- routes.c ---- */
void warm_model(struct request *r, void *module);
void warm_status(struct request *r, void *module);
void warm_now(struct request *r, void *module);

#endif
