/* Count: POST /v1/messages/count_tokens. The one who would answer is asked, if it can count; else, or when it
 * does not answer, the tokens are estimated, and the reply says so. Nothing is generated, so nothing is
 * accounted for; but a prompt that is asked about goes no further than one that is to be answered. */
#include <string.h>

#include "api/engine_client.h"
#include "api/hermes_client.h"
#include "base/clock.h"
#include "base/log.h"
#include "switch/anthropic.h"
#include "switch/dialects/messages.h"
#include "switch/switch_internal.h"
#include "switch/tokens.h"

#define FRESH_MS  20
#define REPLY_MAX (64u * 1024u)

struct count {
    struct switch_ *sw;
    struct request *r;
    struct dialect_request made;
    yyjson_val *root; /* of it */
    struct wish wish;
    struct limits_hold hold;
    struct selection selection;
    size_t listings;
    struct client_call *call;
    struct buf reply;
    bool relisted, cancelled;
};

static void count_select(struct count *c);

static void count_settle(struct count *c)
{
    const int64_t now = clock_wall_ms();
    const struct limits_spent nothing = {
        .at = now, .prompt_tokens = -1, .completion_tokens = -1, .cost_micro = -1};
    limits_settle(c->sw->budgets, &c->hold, &nothing, now);
}

static void count_fail(struct count *c, int status, const char *code, const char *param, const char *text)
{
    count_settle(c);
    request_fail(c->r, status, code, param, "%s", text);
}

static void count_reply(struct count *c, int64_t tokens)
{
    const struct anthropic_count_reply reply = {.input_tokens = tokens};
    const struct candidate *who = &c->selection.list[0];
    count_settle(c);
    request_reply_header(c->r, "X-VX11-Provider", who->provider->name);
    request_reply_header(c->r, "X-VX11-Model", who->model);
    request_reply(c->r, 200, &anthropic_count_reply_message, &reply);
}

static void count_estimate(struct count *c, const char *why)
{
    if (why)
        log_info("count", "tokens are estimated", LOG_S("provider", c->selection.list[0].provider->name),
                 LOG_S("reason", why));
    if (c->cancelled || request_reply_header(c->r, "X-VX11-Estimated", "true") != 0)
        count_fail(c, 503, "stopping", NULL, "the request was given up");
    else
        count_reply(c, tokens_estimate_request(c->root));
}

static void on_cancel(struct request *r, void *ctx, int reason)
{
    struct count *c = ctx;
    (void)r, (void)reason;
    c->cancelled = true;
    if (c->call)
        client_cancel(c->call);
}

/* ---- local ---- */

static void on_counted(struct client_call *call, void *ctx, const struct client_reply *reply)
{
    struct count *c = ctx;
    const struct engine_count_reply *m = reply->message;
    (void)call;
    c->call = NULL;
    if (m)
        count_reply(c, m->input_tokens);
    else
        count_estimate(c, reply->error.text);
}

static void on_acquired(struct client_call *call, void *ctx, const struct client_reply *reply)
{
    struct count *c = ctx;
    const struct hermes_engine *engine = reply->message;
    struct client_call_options options;
    struct openai_chat_request ask;
    (void)call;
    c->call = NULL;
    if (c->cancelled || !engine || !engine->socket) {
        count_estimate(c, engine ? "its engine is not our own" : reply->error.text);
        return;
    }
    struct arena *a = request_arena(c->r);
    struct client_target target = {.base_url = "http://localhost", .socket = arena_strdup(a, engine->socket)};
    int rc = openai_chat_request_parse(a, c->made.body, c->made.len, &ask, NULL);
    ask.model = c->selection.list[0].model;
    module_call_options(c->r, &options);
    rc = rc ? rc
            : engine_count_tokens_call(module_client(c->sw->m), &target, &ask, &options, on_counted, c,
                                       &c->call);
    if (rc != 0)
        count_estimate(c, error_describe(rc));
}

static void count_local(struct count *c)
{
    struct hermes_acquire_request ask;
    struct client_call_options options;
    module_call_options(c->r, &options);
    int rc = hermes_acquire_request_init(request_arena(c->r), &ask);
    ask.model = c->selection.list[0].model;
    ask.wait_ms = c->selection.list[0].provider->first_token_timeout_ms;
    rc = rc ? rc
            : hermes_engines_acquire_call(module_client(c->sw->m), module_peer(c->sw->m, "hermes"), &ask,
                                          &options, on_acquired, c, &c->call);
    if (rc != 0)
        count_estimate(c, error_describe(rc));
}

/* ---- Anthropic's ---- */

static void on_data(struct client_call *call, void *ctx, const char *data, size_t len)
{
    struct count *c = ctx;
    if (c->reply.len + len > REPLY_MAX || buf_append(&c->reply, data, len) != 0)
        client_cancel(call);
}

static void on_done(struct client_call *call, void *ctx, int result, const struct error *err)
{
    struct count *c = ctx;
    struct arena *a = request_arena(c->r);
    int status = result == 0 ? client_call_status(call) : 0;
    struct anthropic_count_reply reply;
    yyjson_val *root = NULL;
    c->call = NULL;
    bool good = status == 200 && anthropic_count_reply_parse(a, c->reply.data ? c->reply.data : "",
                                                             c->reply.len, &reply, NULL) == 0;
    if (!good && status >= 400)
        (void)contract_json_parse(a, c->reply.data ? c->reply.data : "", c->reply.len, NULL, &root, NULL);
    const char *text = yyjson_get_str(yyjson_obj_get(yyjson_obj_get(root, "error"), "message"));
    buf_free(&c->reply);
    if (good)
        count_reply(c, reply.input_tokens);
    else if (status == 400 && text)
        count_fail(c, 400, "upstream_rejected", NULL, text);
    else
        count_estimate(c, text ? text : err ? err->text : "it did not count");
}

static void count_anthropic(struct count *c)
{
    static const struct client_events events = {.on_data = on_data, .on_done = on_done};
    const struct candidate *who = &c->selection.list[0];
    struct arena *a = request_arena(c->r);
    struct client_call_options options;
    struct client_target target = {.base_url = arena_strdup(a, who->provider->base_url)};
    struct error err = {0};
    const char *key = NULL, *body;
    size_t len;
    module_call_options(c->r, &options);
    options.header_count = 0;
    options.connect_timeout_ms = who->provider->connect_timeout_ms;
    int rc = provider_key(who->provider, a, &key, &err);
    rc = rc ? rc : anthropic_request(a, c->made.body, c->made.len, who->model, 0, true, &body, &len, &err);
    rc = rc ? rc : anthropic_key_headers(a, key, &options);
    rc = rc ? rc
            : client_start(module_client(c->sw->m), &target, "POST", "/messages/count_tokens",
                           "application/json", body, len, &options, &events, c, &c->call, &err);
    if (rc != 0)
        count_estimate(c, err.text[0] ? err.text : error_describe(rc));
}

/* ---- who ---- */

static void on_listed(void *ctx)
{
    struct count *c = ctx;
    if (--c->listings == 0)
        count_select(c);
}

static void count_relist(struct count *c)
{
    c->relisted = true;
    c->listings = 1;
    for (size_t i = 0; i < c->sw->provider_count; i++) {
        struct provider *p = c->sw->providers[i];
        if (!p->enabled || provider_models_fresh(p, FRESH_MS))
            continue;
        c->listings++;
        provider_list(p, on_listed, c);
    }
    on_listed(c);
}

static void count_select(struct count *c)
{
    struct error err = {0};
    if (c->cancelled) {
        count_fail(c, 503, "stopping", NULL, "the request was given up");
        return;
    }
    int rc = selection_make(c->sw, request_arena(c->r), &c->wish, &c->selection, &err);
    if (rc != 0 && !c->relisted) {
        count_relist(c);
        return;
    }
    if (rc != 0) {
        count_fail(c, c->selection.refusal.status, c->selection.refusal.code, c->selection.refusal.param,
                   err.text);
        return;
    }
    switch (c->selection.list[0].provider->kind) {
    case SWITCH_PROVIDER_KIND_LOCAL:
        count_local(c);
        break;
    case SWITCH_PROVIDER_KIND_ANTHROPIC:
        count_anthropic(c);
        break;
    default:
        count_estimate(c, NULL);
    }
}

static bool hold_allows(const void *ctx, const char *requested, const char *provider, const char *model)
{
    return limits_model_allowed(ctx, requested, provider, model);
}

/* What the token and the request's headers allow. False: refused, and over. */
static bool count_admit(struct count *c)
{
    const struct anthropic_count_request *q = request_body(c->r);
    const struct limits_want nothing = {0};
    struct limits_refusal why = {0};
    struct error err = {0};
    const int64_t now = clock_wall_ms();
    int rc = contract_json_parse(request_arena(c->r), c->made.body, c->made.len, NULL, &c->root, NULL);
    rc = rc ? rc : limits_admit(c->sw->budgets, request_principal(c->r), &nothing, now, &c->hold, &why, &err);
    if (rc == VX11_EFULL) {
        limits_refusal_headers(&c->hold, &why, now, c->r);
        count_fail(c, why.status, why.code, why.param, why.text);
        return false;
    }
    if (rc != 0) {
        request_fail(c->r, 500, "limits_unknown", NULL, "%s", err.text[0] ? err.text : error_describe(rc));
        return false;
    }
    c->wish = (struct wish){.kind = DISPATCH_CHAT,
                            .model = q->model,
                            .local_only = limits_local_only(&c->hold),
                            .mode = limits_mode(&c->hold),
                            .allows = hold_allows,
                            .allows_ctx = &c->hold};
    const struct config_switch *config = module_config(c->sw->m)->values->switch_;
    if (wish_of_request(&c->wish, c->r, c->root, NULL, config, &err) == 0)
        return true;
    count_fail(c, 400, "invalid_privacy", NULL, err.text);
    return false;
}

void dialect_count_tokens(struct request *r, void *module)
{
    struct count *c = arena_zalloc(request_arena(r), sizeof *c);
    struct dialect_fault fault = {0};
    if (!c) {
        request_fail(r, 500, "out_of_memory", NULL, "out of memory");
        return;
    }
    *c = (struct count){.sw = module, .r = r, .reply = BUF_INIT};
    if (!messages_count_request(request_arena(r), request_body(r), &c->made, &fault)) {
        request_fail(r, 400, fault.code, fault.param[0] ? fault.param : NULL, "%s", fault.text);
        return;
    }
    request_on_cancel(r, on_cancel, c);
    if (count_admit(c))
        count_select(c);
}
