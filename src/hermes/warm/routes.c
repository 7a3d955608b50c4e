/* The routes of warming. */
#include <stdlib.h>

#include "base/clock.h"
#include "hermes/warm/warm.h"

#define ANSWER_MARGIN_MS 100 /* taken off, so that the failure still reaches the caller */

struct warming {
    struct hermes *hermes;
    struct request *request;
    struct trial *trial;
};

static void on_warmed(void *ctx, const struct warm_result *result)
{
    struct warming *w = ctx;
    struct request *r = w->request;
    struct hermes_warm_result reply;
    warmup_note(w->hermes->warmup, result);
    warm_result_view(result, &reply);
    if (result->state == HERMES_WARM_STATE_READY)
        request_reply(r, 200, &hermes_warm_result_message, &reply);
    else
        request_fail(r, result->status, result->code, result->status == 404 ? "name" : NULL, "%s",
                     result->reason);
    free(w);
}

static void warming_cancelled(struct request *r, void *ctx, int reason)
{
    struct warming *w = ctx;
    trial_cancel(w->trial);
    free(w);
    request_fail(r, reason == VX11_ETIMEOUT ? 504 : 503,
                 reason == VX11_ETIMEOUT ? "warm_timeout" : "stopping", NULL, "the trial was broken off");
}

static int64_t within_deadline(struct request *r, int64_t ms)
{
    const int64_t deadline = request_deadline_ms(r);
    const int64_t left = deadline == INT64_MAX ? ms : deadline - clock_mono_ms() - ANSWER_MARGIN_MS;
    return left < ms ? left : ms;
}

void warm_model(struct request *r, void *module)
{
    struct hermes *h = module;
    const struct hermes_model_name *name = request_params(r);
    const struct hermes_warm_request *body = request_body(r);
    struct warming *w = calloc(1, sizeof *w);
    struct trial *trial = NULL;
    struct error err = {0};
    if (!w) {
        request_fail(r, 500, "out_of_memory", NULL, "out of memory");
        return;
    }
    *w = (struct warming){.hermes = h, .request = r};
    const struct trial_options options = {.model = name->name,
                                          .tokens = body->tokens,
                                          .timeout_ms = within_deadline(r, body->timeout_ms),
                                          .priority = 4};
    if (trial_run(h, &options, on_warmed, w, &trial, &err) != 0) {
        free(w);
        request_fail_error(r, &err);
    } else if (trial) { /* else answered; w and r are gone */
        w->trial = trial;
        request_on_cancel(r, warming_cancelled, w);
    }
}

/* ---- rounds ---- */

static void reply_status(struct hermes *h, struct request *r)
{
    struct hermes_warmup_status reply;
    if (warmup_view(h->warmup, request_arena(r), &reply) != 0)
        request_fail(r, 500, "out_of_memory", NULL, "out of memory");
    else
        request_reply(r, 200, &hermes_warmup_status_message, &reply);
}

void warm_status(struct request *r, void *module)
{
    reply_status(module, r);
}

static void on_round(void *ctx)
{
    struct warming *w = ctx;
    reply_status(w->hermes, w->request);
    free(w);
}

static void round_cancelled(struct request *r, void *ctx, int reason)
{
    struct warming *w = ctx;
    warmup_forget(w->hermes->warmup, w);
    free(w);
    request_fail(r, reason == VX11_ETIMEOUT ? 504 : 503, "warmup_running", NULL, "the round goes on");
}

void warm_now(struct request *r, void *module)
{
    struct hermes *h = module;
    const struct hermes_warmup_request *body = request_body(r);
    struct warming *w = body->wait ? calloc(1, sizeof *w) : NULL;
    struct error err = {0};
    if (body->wait && !w) {
        request_fail(r, 500, "out_of_memory", NULL, "out of memory");
        return;
    }
    if (w)
        *w = (struct warming){.hermes = h, .request = r};
    int rc = warmup_run(h->warmup, body->models_count > 0 ? body->models : NULL, body->models_count,
                        body->has_tokens ? body->tokens : 0, body->has_timeout_ms ? body->timeout_ms : 0,
                        w ? on_round : NULL, w, &err);
    if (rc != 0) {
        free(w);
        if (rc == VX11_EBUSY)
            request_fail(r, 409, "warmup_running", NULL, "%s", err.text);
        else
            request_fail_error(r, &err);
    } else if (w) {
        request_on_cancel(r, round_cancelled, w);
    } else {
        reply_status(h, r);
    }
}
