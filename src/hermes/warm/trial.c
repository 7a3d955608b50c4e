/* One model tried once. A prompt of a few words is continued, greedily and streamed, so that the time to the
 * first token is measured where the token arrives. A model that only embeds embeds a word. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "hermes/warm/warm.h"
#include "net/sse.h"

#define PROMPT      "One, two, three,"
#define REPLY_BYTES (4u << 20)
#define TRIES       3 /* engines that end between being handed out and being asked */

struct trial {
    struct hermes *hermes;
    void (*fn)(void *ctx, const struct warm_result *result);
    void *ctx;
    struct acquire *acquire;
    struct client_call *call;
    struct client_target target;
    char *base_url, *socket, *upstream;
    struct warm_result result;
    struct sse_parser sse;
    struct buf body;
    int64_t tokens, until; /* monotonic ms */
    int64_t margin;        /* an engine knows our deadline, and cuts off so much before */
    int64_t began_ms;
    uint64_t asked_ns, first_ns, last_ns;
    int64_t pieces, counted; /* pieces of text; tokens as the engine says, -1: it does not */
    int tries, priority;
    bool load_only, embeds, own, cancelled, begun;
};

void warm_result_init(struct warm_result *r, const char *model)
{
    *r = (struct warm_result){.load_ms = -1, .first_token_ms = -1, .tokens = -1, .tokens_per_s = -1};
    (void)snprintf(r->model, sizeof r->model, "%s", model);
}

void warm_result_view(const struct warm_result *r, struct hermes_warm_result *out)
{
    *out = (struct hermes_warm_result){
        .model = r->model,
        .state = r->state,
        .code = r->code[0] ? r->code : NULL,
        .reason = r->reason[0] ? r->reason : NULL,
        .has_at = r->at > 0,
        .at = r->at,
        .has_loaded_before = r->runs > 0,
        .loaded_before = r->loaded_before,
        .has_load_ms = r->load_ms >= 0,
        .load_ms = r->load_ms,
        .has_first_token_ms = r->first_token_ms >= 0,
        .first_token_ms = r->first_token_ms,
        .has_tokens = r->tokens >= 0,
        .tokens = r->tokens,
        .has_tokens_per_s = r->tokens_per_s >= 0,
        .tokens_per_s = r->tokens_per_s,
        .runs = r->runs,
        .failures = r->failures,
    };
}

/* ---- the end ---- */

static void target_drop(struct trial *t)
{
    free(t->base_url);
    free(t->socket);
    free(t->upstream);
    t->base_url = t->socket = t->upstream = NULL;
}

static void trial_free(struct trial *t)
{
    sse_free(&t->sse);
    buf_free(&t->body);
    target_drop(t);
    free(t);
}

static void trial_end(struct trial *t)
{
    t->result.at = clock_wall_ms();
    t->result.runs = 1;
    t->result.failures = t->result.state == HERMES_WARM_STATE_FAILED;
    if (t->result.failures)
        log_warn("warm", "a model does not generate", LOG_S("model", t->result.model),
                 LOG_S("reason", t->result.reason));
    if (!t->cancelled)
        t->fn(t->ctx, &t->result);
    if (t->begun)
        trial_free(t);
    else
        t->fn = NULL; /* trial_run has not returned: it frees */
}

static void trial_fail(struct trial *t, int status, const char *code, const char *reason)
{
    t->result.state = HERMES_WARM_STATE_FAILED;
    t->result.status = status;
    (void)snprintf(t->result.code, sizeof t->result.code, "%s", code);
    (void)snprintf(t->result.reason, sizeof t->result.reason, "%.399s", reason);
    trial_end(t);
}

static void trial_good(struct trial *t)
{
    struct warm_result *r = &t->result;
    r->state = HERMES_WARM_STATE_READY;
    r->status = 200;
    if (!t->load_only)
        r->first_token_ms = (double)(t->first_ns - t->asked_ns) / 1e6;
    if (!t->load_only && !t->embeds) {
        r->tokens = t->counted >= 0 ? t->counted : t->pieces;
        if (r->tokens > 1 && t->last_ns > t->first_ns)
            r->tokens_per_s = (double)(r->tokens - 1) * 1e9 / (double)(t->last_ns - t->first_ns);
    }
    trial_end(t);
}

/* ---- what comes ---- */

static void note_piece(struct trial *t)
{
    t->last_ns = clock_mono_ns();
    if (t->first_ns == 0)
        t->first_ns = t->last_ns;
}

static const char *error_of(yyjson_val *root)
{
    yyjson_val *error = yyjson_obj_get(root, "error");
    const char *text =
        yyjson_is_obj(error) ? yyjson_get_str(yyjson_obj_get(error, "message")) : yyjson_get_str(error);
    return error ? text ? text : "an error without a message" : NULL;
}

static void take_chunk(struct trial *t, yyjson_val *root)
{
    yyjson_val *choice = yyjson_arr_get_first(yyjson_obj_get(root, "choices"));
    yyjson_val *count = yyjson_obj_get(yyjson_obj_get(root, "usage"), "completion_tokens");
    const char *text = yyjson_get_str(yyjson_obj_get(choice, "text"));
    const char *error = error_of(root);
    if (error)
        (void)snprintf(t->result.reason, sizeof t->result.reason, "%.399s", error);
    if (choice && (text ? text[0] != '\0' || !yyjson_get_str(yyjson_obj_get(choice, "finish_reason")) : true))
        note_piece(t);
    t->pieces += text && text[0];
    if (yyjson_is_int(count))
        t->counted = yyjson_get_sint(count);
}

static int on_event(void *ctx, const struct sse_event *event)
{
    struct trial *t = ctx;
    struct contract_error bad;
    yyjson_val *root = NULL;
    if (strcmp(event->data, "[DONE]") == 0)
        return 0;
    struct arena *a = arena_create(8u << 20);
    int rc = a ? contract_json_parse(a, event->data, event->data_len, NULL, &root, &bad) : VX11_ENOMEM;
    if (rc == 0)
        take_chunk(t, root);
    arena_destroy(a);
    return rc;
}

static void on_data(struct client_call *call, void *ctx, const char *data, size_t len)
{
    struct trial *t = ctx;
    const bool whole = t->embeds || client_call_status(call) != 200;
    if (whole ? t->body.len + len > REPLY_BYTES || buf_append(&t->body, data, len) != 0
              : sse_feed(&t->sse, data, len, on_event, t) != 0)
        client_cancel(call);
}

/* The vector, or an error's text and code. false: neither. */
static bool take_body(struct trial *t, char *code, size_t size, bool *vector)
{
    struct arena *a = arena_create(64u << 20);
    struct contract_error bad;
    yyjson_val *root = NULL;
    *vector = false;
    code[0] = '\0';
    if (!a || t->body.len == 0 || contract_json_parse(a, t->body.data, t->body.len, NULL, &root, &bad) != 0) {
        arena_destroy(a);
        return false;
    }
    yyjson_val *item = yyjson_arr_get_first(yyjson_obj_get(root, "data"));
    *vector = yyjson_arr_size(yyjson_obj_get(item, "embedding")) > 0;
    const char *text = error_of(root),
               *name = yyjson_get_str(yyjson_obj_get(yyjson_obj_get(root, "error"), "code"));
    if (text)
        (void)snprintf(t->result.reason, sizeof t->result.reason, "%.399s", text);
    if (name)
        (void)snprintf(code, size, "%s", name);
    arena_destroy(a);
    return text || *vector;
}

static void trial_acquire(struct trial *t);
static void trial_ask(struct trial *t);

static void take_refusal(struct trial *t, int status)
{
    char code[64], text[400];
    bool vector;
    if (!take_body(t, code, sizeof code, &vector))
        (void)snprintf(t->result.reason, sizeof t->result.reason, "the engine answered with status %d",
                       status);
    if (!t->embeds && strcmp(code, "model_cannot_complete") == 0) {
        t->embeds = true;
        trial_ask(t);
        return;
    }
    (void)snprintf(text, sizeof text, "%s", t->result.reason);
    trial_fail(t, status == 429 || status == 503 ? 503 : 502, code[0] ? code : "warm_failed", text);
}

static void take_end(struct trial *t)
{
    char code[64], text[400];
    bool vector = false;
    if (t->embeds) {
        (void)take_body(t, code, sizeof code, &vector);
        if (vector)
            note_piece(t);
    }
    if (vector || (!t->embeds && t->first_ns > 0 && !t->result.reason[0] &&
                   (t->counted > 0 || (t->counted < 0 && t->pieces > 0)))) {
        trial_good(t);
        return;
    }
    (void)snprintf(text, sizeof text, "%s",
                   t->result.reason[0] ? t->result.reason
                   : t->embeds         ? "the engine gave no vector"
                                       : "the engine answered, and generated nothing");
    trial_fail(t, 502, "warm_failed", text);
}

static void on_done(struct client_call *call, void *ctx, int result, const struct error *err)
{
    struct trial *t = ctx;
    const int status = client_call_status(call);
    t->call = NULL;
    if (t->cancelled) {
        trial_free(t);
    } else if (result == VX11_ETIMEOUT || (result != 0 && clock_mono_ms() + t->margin >= t->until)) {
        trial_fail(t, 504, "warm_timeout", "it did not generate in time");
    } else if (result != 0 && t->first_ns == 0 && status == 0 && ++t->tries < TRIES) {
        target_drop(t);
        trial_acquire(t); /* unloaded, or ended, before it was asked */
    } else if (result != 0) {
        trial_fail(t, 502, "warm_failed",
                   result == VX11_ECANCELLED ? "its answer cannot be read" : err->text);
    } else if (status != 200) {
        take_refusal(t, status);
    } else {
        take_end(t);
    }
}

static const struct client_events trial_events = {.on_data = on_data, .on_done = on_done};

/* ---- asking ---- */

static int write_body(const struct trial *t, struct buf *out)
{
    int rc = buf_puts(out, "{\"model\":");
    if (rc == 0)
        rc = buf_put_json_string(out, t->upstream, strlen(t->upstream));
    if (rc == 0 && t->embeds)
        return buf_puts(out, ",\"input\":\"" PROMPT "\"}");
    if (rc == 0)
        rc = buf_printf(out,
                        ",\"prompt\":\"" PROMPT "\",\"max_tokens\":%d,\"temperature\":0,\"stream\":true,"
                        "\"stream_options\":{\"include_usage\":true}%s}",
                        (int)t->tokens, t->own ? ",\"ignore_eos\":true" : "");
    return rc;
}

static void trial_ask(struct trial *t)
{
    struct buf body = BUF_INIT;
    struct error err = {0};
    char priority[8];
    (void)snprintf(priority, sizeof priority, "%d", t->priority);
    const struct client_header header = {"X-VX11-Priority", priority};
    const struct client_call_options options = {
        .deadline_ms = t->until, .headers = &header, .header_count = 1, .once = !t->own};
    sse_free(&t->sse);
    sse_init(&t->sse, 1u << 20);
    buf_clear(&t->body);
    t->result.reason[0] = '\0';
    t->first_ns = t->last_ns = 0;
    t->pieces = 0;
    t->counted = -1;
    t->asked_ns = clock_mono_ns();
    int rc = write_body(t, &body);
    if (rc == 0)
        rc = client_start(module_client(t->hermes->module), &t->target, "POST",
                          t->embeds ? "/v1/embeddings" : "/v1/completions", "application/json", body.data,
                          body.len, &options, &trial_events, t, &t->call, &err);
    buf_free(&body);
    if (rc != 0)
        trial_fail(t, 503, "warm_failed", err.text[0] ? err.text : error_describe(rc));
}

static void on_acquired(void *ctx, const struct hermes_engine *ready, const struct engine_refusal *why)
{
    struct trial *t = ctx;
    t->acquire = NULL;
    if (why) {
        trial_fail(t, why->status, why->code, why->text);
        return;
    }
    t->result.load_ms = clock_mono_ms() - t->began_ms;
    if (t->load_only) {
        trial_good(t);
        return;
    }
    t->own = ready->engine == NULL;
    t->base_url = strdup(ready->base_url ? ready->base_url : "http://localhost");
    t->socket = ready->base_url || !ready->socket ? NULL : strdup(ready->socket);
    t->upstream = strdup(ready->upstream_model ? ready->upstream_model : ready->model);
    if (!t->base_url || !t->upstream || (!ready->base_url && !t->socket)) {
        trial_fail(t, 500, "out_of_memory", "out of memory");
        return;
    }
    t->target = (struct client_target){.base_url = t->base_url, .socket = t->socket};
    trial_ask(t);
}

static void trial_acquire(struct trial *t)
{
    struct error err = {0};
    const int64_t left = t->until - clock_mono_ms();
    const struct engine_ask ask = {.wait_ms = left > 0 ? left : 0, .no_request = true};
    int rc = hermes_acquire(t->hermes, t->result.model, &ask, on_acquired, t, &t->acquire, &err);
    if (rc != 0)
        trial_fail(t, 503, rc == VX11_ECANCELLED ? "stopping" : "warm_failed",
                   err.text[0] ? err.text : error_describe(rc));
}

int trial_run(struct hermes *h, const struct trial_options *o,
              void (*fn)(void *ctx, const struct warm_result *result), void *ctx, struct trial **out,
              struct error *err)
{
    struct trial *t = calloc(1, sizeof *t);
    struct arena *a = arena_create(0);
    *out = NULL;
    if (!t || !a) {
        free(t);
        arena_destroy(a);
        return error_set(err, VX11_ENOMEM, "out of memory");
    }
    *t = (struct trial){.hermes = h,
                        .fn = fn,
                        .ctx = ctx,
                        .tokens = o->tokens,
                        .load_only = o->load_only,
                        .priority = o->priority,
                        .began_ms = clock_mono_ms(),
                        .counted = -1};
    t->until = t->began_ms + o->timeout_ms;
    t->margin = 10 + (o->timeout_ms < 2000 ? o->timeout_ms / 20 : 100);
    sse_init(&t->sse, 1u << 20);
    warm_result_init(&t->result, o->model);
    const struct hermes_engine *now = engines_get(h->engines, o->model, a);
    const struct external *x = externals_of_model(h->externals, o->model);
    t->result.loaded_before =
        (now && now->state == HERMES_ENGINE_STATE_READY) || (x && x->state == HERMES_EXTERNAL_STATE_UP);
    arena_destroy(a);
    trial_acquire(t);
    // NOLINTNEXTLINE(clang-analyzer-unix.Malloc): it frees itself only once it has begun
    if (!t->fn) { /* over already */
        trial_free(t);
        return 0;
    }
    t->begun = true;
    *out = t;
    return 0;
}

void trial_cancel(struct trial *t)
{
    t->cancelled = true;
    if (t->acquire)
        acquire_cancel(t->acquire);
    if (t->call)
        client_cancel(t->call); /* on_done frees */
    else
        trial_free(t);
}
