/* See warmup.h. It uses the models as anybody does, so what it says is what others will see; other requests
 * at the same time are told apart by their decisions. */
#include "cli/warmup.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "api/hermes_client.h"
#include "api/switch_client.h"
#include "base/clock.h"
#include "base/str.h"
#include "net/sse.h"

#define ASK_MS   10000
#define CHAT_MS  600000
#define AGAIN_MS 50
#define TOKENS   8
#define NOT_RUN  3 /* exit code: it could not run */

/* ---- checks ---- */

static void __attribute__((format(printf, 4, 0)))
check_say(struct cli_warmup_check *check, struct cli *c, int state, const char *fmt, va_list args)
{
    check->state = state;
    check->detail = arena_vprintf(c->arena, fmt, args);
    if (!check->detail)
        check->detail = "out of memory";
}

void warmup_fail(struct cli_warmup_check *check, struct cli *c, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    check_say(check, c, CLI_WARMUP_CHECK_STATE_FAILED, fmt, args);
    va_end(args);
}

void warmup_good(struct cli_warmup_check *check, struct cli *c, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    check_say(check, c, CLI_WARMUP_CHECK_STATE_OK, fmt, args);
    va_end(args);
}

static void on_nap(uv_timer_t *timer)
{
    *(bool *)timer->data = true;
}

static void on_nap_closed(uv_handle_t *handle)
{
    *(bool *)handle->data = true;
}

void warmup_sleep(struct warmup *w, int64_t ms)
{
    uv_timer_t timer;
    bool done = false, closed = false;
    if (uv_timer_init(&w->c->loop, &timer) != 0)
        return;
    timer.data = &done;
    uv_timer_start(&timer, on_nap, (uint64_t)ms, 0);
    cli_wait(w->c, &done);
    timer.data = &closed;
    uv_close((uv_handle_t *)&timer, on_nap_closed);
    cli_wait(w->c, &closed);
}

/* ---- 1: the models ---- */

const struct hermes_model_list *warmup_models(struct warmup *w, struct cli_warmup_check *check)
{
    const struct client_call_options options = ask_within(ASK_MS);
    struct ask a;
    ask_begin(&a, w->c, &hermes_model_list_message);
    if (ask_wait(&a, hermes_models_list_call(w->c->client, cli_target(w->c, "hermes"), &options, ask_reply,
                                             &a, &a.call)))
        return a.message;
    w->lost = w->lost || a.result != 0;
    warmup_fail(check, w->c, "the models cannot be listed: %s", a.text);
    return NULL;
}

const struct hermes_model *warmup_find(const struct hermes_model_list *l, const char *name)
{
    for (size_t i = 0; i < l->models_count; i++)
        if (strcmp(l->models[i].name, name) == 0)
            return &l->models[i];
    return NULL;
}

static bool has(const struct hermes_model *m, int capability)
{
    for (size_t i = 0; i < m->capabilities_count; i++)
        if (m->capabilities[i] == capability)
            return true;
    return false;
}

static bool generates(const struct hermes_model *m)
{
    return m->enabled && m->status == HERMES_MODEL_STATUS_AVAILABLE &&
           (has(m, OPENAI_CAPABILITY_CHAT) || has(m, OPENAI_CAPABILITY_COMPLETION));
}

static void choose(struct warmup *w, const struct hermes_model *m)
{
    struct warmup_model *out = &w->models[w->count++];
    *out = (struct warmup_model){.name = m->name, .chat = has(m, OPENAI_CAPABILITY_CHAT)};
    out->view = (struct cli_warmup_model){.model = m->name, .usage_before = m->usage_count};
}

/* Those that were named; else a person's own before the built-in one, by name. */
static bool choose_all(struct warmup *w, struct cli_warmup_check *check, const struct hermes_model_list *l)
{
    for (size_t i = 0; i < w->name_count; i++) {
        const struct hermes_model *m = warmup_find(l, w->names[i]);
        if (!m || !generates(m)) {
            warmup_fail(check, w->c, "%s %s", w->names[i],
                        !m            ? "is not registered"
                        : !m->enabled ? "is switched off"
                        : m->reason   ? m->reason
                                      : "does not generate");
            return false;
        }
        choose(w, m);
    }
    for (int builtin = 0; builtin < 2; builtin++)
        for (size_t i = 0; w->name_count == 0 && i < l->models_count && (int64_t)w->count < w->want; i++)
            if (generates(&l->models[i]) &&
                (l->models[i].source == HERMES_MODEL_SOURCE_BUILTIN) == (builtin == 1))
                choose(w, &l->models[i]);
    return true;
}

static void check_registered(struct warmup *w, struct cli_warmup_check *check)
{
    const struct hermes_model_list *l = warmup_models(w, check);
    size_t sound = 0, other = 0;
    if (!l)
        return;
    for (size_t i = 0; i < l->models_count; i++) {
        sound += generates(&l->models[i]);
        other += !generates(&l->models[i]);
    }
    if (!choose_all(w, check, l))
        return;
    if (sound < 2)
        warmup_fail(check, w->c, "%zu enabled model%s with a sound file that generate%s; two are needed",
                    sound, sound == 1 ? "" : "s", sound == 1 ? "s" : "");
    else if (w->count < 2)
        warmup_fail(check, w->c, "two models are needed, and one was named");
    else
        warmup_good(check, w->c, "%zu enabled models with sound files%s", sound,
                    other > 0 ? ", others are disabled, broken or only embed" : "");
}

/* ---- 2: each generates through the front door ---- */

struct chatting {
    struct warmup *w;
    bool done, complete;
    int result, status;
    uint64_t began_ns, first_ns, end_ns;
    int64_t tokens, pieces;
    struct sse_parser sse;
    struct buf body;
    char request_id[80], provider[80], text[400];
};

static void take_chunk(struct chatting *t, yyjson_val *root)
{
    yyjson_val *choice = yyjson_arr_get_first(yyjson_obj_get(root, "choices"));
    yyjson_val *tokens = yyjson_obj_get(yyjson_obj_get(root, "usage"), "completion_tokens");
    yyjson_val *delta = yyjson_obj_get(choice, "delta");
    const char *text =
        yyjson_get_str(delta ? yyjson_obj_get(delta, "content") : yyjson_obj_get(choice, "text"));
    const char *thought = yyjson_get_str(yyjson_obj_get(delta, "reasoning_content"));
    const char *error = yyjson_get_str(yyjson_obj_get(yyjson_obj_get(root, "error"), "message"));
    if (error)
        (void)snprintf(t->text, sizeof t->text, "%.399s", error);
    if ((text && text[0]) || (thought && thought[0])) {
        t->pieces++;
        if (t->first_ns == 0)
            t->first_ns = clock_mono_ns();
    }
    if (yyjson_is_int(tokens))
        t->tokens = yyjson_get_sint(tokens);
}

static int on_event(void *ctx, const struct sse_event *event)
{
    struct chatting *t = ctx;
    struct contract_error bad;
    yyjson_val *root = NULL;
    if (strcmp(event->data, "[DONE]") == 0) {
        t->complete = true;
        return 0;
    }
    struct arena *a = arena_create(8u << 20);
    if (a && contract_json_parse(a, event->data, event->data_len, NULL, &root, &bad) == 0)
        take_chunk(t, root);
    arena_destroy(a);
    return 0;
}

static void on_data(struct client_call *call, void *ctx, const char *data, size_t len)
{
    struct chatting *t = ctx;
    if (client_call_status(call) == 200)
        (void)sse_feed(&t->sse, data, len, on_event, t);
    else if (t->body.len < 65536)
        (void)buf_append(&t->body, data, len);
}

static void copy_header(struct client_call *call, const char *name, char *out, size_t size)
{
    const char *value = client_call_header(call, name);
    if (value)
        (void)snprintf(out, size, "%s", value);
}

static void refused(struct chatting *t)
{
    struct arena *a = arena_create(8u << 20);
    struct contract_error bad;
    yyjson_val *root = NULL;
    if (a && t->body.len > 0 && contract_json_parse(a, t->body.data, t->body.len, NULL, &root, &bad) == 0)
        take_chunk(t, root);
    if (!t->text[0])
        (void)snprintf(t->text, sizeof t->text, "status %d", t->status);
    arena_destroy(a);
}

static void on_done(struct client_call *call, void *ctx, int result, const struct error *err)
{
    struct chatting *t = ctx;
    t->done = true;
    t->end_ns = clock_mono_ns();
    t->result = result;
    t->status = client_call_status(call);
    copy_header(call, "X-Request-Id", t->request_id, sizeof t->request_id);
    copy_header(call, "X-VX11-Provider", t->provider, sizeof t->provider);
    if (result != 0)
        (void)snprintf(t->text, sizeof t->text, "%.399s", err->text);
    else if (t->status != 200)
        refused(t);
}

static const struct client_events chat_events = {.on_data = on_data, .on_done = on_done};

static int chat_body(const struct warmup_model *m, struct buf *out)
{
    int rc = buf_puts(out, "{\"model\":");
    if (rc == 0)
        rc = buf_put_json_string(out, m->name, strlen(m->name));
    if (rc == 0)
        rc = buf_puts(out, m->chat ? ",\"messages\":[{\"role\":\"user\",\"content\":\"Say hello.\"}]"
                                   : ",\"prompt\":\"Hello\"");
    if (rc == 0)
        rc = buf_printf(
            out,
            ",\"max_tokens\":%d,\"temperature\":0,\"stream\":true,\"stream_options\":{\"include_usage\":"
            "true}}",
            TOKENS);
    return rc;
}

/* One request through Link's public route. */
static void chat(struct warmup *w, const struct warmup_model *m, struct chatting *t)
{
    const struct client_call_options options = ask_within(CHAT_MS);
    struct buf body = BUF_INIT;
    struct error err = {0};
    struct client_call *call;
    *t = (struct chatting){.w = w};
    sse_init(&t->sse, 0);
    t->began_ns = clock_mono_ns();
    int rc = chat_body(m, &body);
    if (rc == 0)
        rc = client_start(w->c->client, cli_target(w->c, "link"), "POST",
                          m->chat ? "/v1/chat/completions" : "/v1/completions", "application/json", body.data,
                          body.len, &options, &chat_events, t, &call, &err);
    if (rc == 0) {
        cli_wait(w->c, &t->done);
    } else {
        t->result = rc;
        (void)snprintf(t->text, sizeof t->text, "%.399s", err.text[0] ? err.text : error_describe(rc));
    }
    buf_free(&body);
    buf_free(&t->body);
    sse_free(&t->sse);
}

/* The load apart from the answer, so that each can be told. */
static bool load(struct warmup *w, struct cli_warmup_check *check, struct warmup_model *m)
{
    const struct hermes_model_name params = {.name = m->name};
    const struct hermes_warm_request body = {.tokens = 1, .timeout_ms = CHAT_MS};
    const struct client_call_options options = ask_within(CHAT_MS + ASK_MS);
    struct ask a;
    ask_begin(&a, w->c, &hermes_warm_result_message);
    if (!ask_wait(&a, hermes_models_warm_call(w->c->client, cli_target(w->c, "hermes"), &params, &body,
                                              &options, ask_reply, &a, &a.call))) {
        w->lost = w->lost || a.result != 0;
        m->view.reason = arena_strdup(w->c->arena, a.text);
        warmup_fail(check, w->c, "%s cannot be loaded: %s", m->name, a.text);
        return false;
    }
    const struct hermes_warm_result *r = a.message;
    m->view.loaded_before = r->loaded_before;
    m->view.has_load_ms = r->has_load_ms;
    m->view.load_ms = r->load_ms;
    return true;
}

static bool warm_one(struct warmup *w, struct cli_warmup_check *check, struct warmup_model *m)
{
    struct chatting t;
    if (!load(w, check, m))
        return false;
    chat(w, m, &t);
    m->view.calls = 1;
    m->view.request_id = t.request_id[0] ? arena_strdup(w->c->arena, t.request_id) : NULL;
    m->view.has_generation_ms = t.end_ns > 0;
    m->view.generation_ms = (double)(t.end_ns - t.began_ns) / 1e6;
    m->view.has_first_token_ms = t.first_ns > 0;
    m->view.first_token_ms = (double)(t.first_ns - t.began_ns) / 1e6;
    m->view.has_tokens = t.tokens > 0;
    m->view.tokens = t.tokens;
    const double judged =
        m->view.generation_ms + (w->strict && m->view.has_load_ms ? (double)m->view.load_ms : 0);
    if (t.result != 0 || t.status != 200 || t.text[0] || !t.complete) {
        m->view.reason = arena_strdup(w->c->arena, t.text[0] ? t.text : "its answer broke off");
        warmup_fail(check, w->c, "%s did not answer: %s", m->name, m->view.reason ? m->view.reason : "");
    } else if (t.tokens < 1) {
        m->view.reason = "it generated no token";
        warmup_fail(check, w->c, "%s generated no token", m->name);
    } else if (judged >= (double)w->within_ms) {
        m->view.reason = "it took too long";
        warmup_fail(check, w->c, "%s took %.0f ms%s; the limit is %" PRId64 " ms", m->name, judged,
                    w->strict ? " with its load" : "", w->within_ms);
    } else {
        return true;
    }
    return false;
}

static void check_warm(struct warmup *w, struct cli_warmup_check *check)
{
    struct buf text = BUF_INIT;
    for (size_t i = 0; i < w->count; i++) {
        struct warmup_model *m = &w->models[i];
        if (!warm_one(w, check, m)) {
            buf_free(&text);
            return;
        }
        (void)buf_printf(&text, "%s%s: %s in %" PRId64 " ms, %" PRId64 " tokens in %.0f ms",
                         i > 0 ? "; " : "", m->name, m->view.loaded_before ? "was loaded, ready" : "loaded",
                         m->view.load_ms, m->view.tokens, m->view.generation_ms);
    }
    warmup_good(check, w->c, "%s (limit %" PRId64 " ms, %s)", text.data ? text.data : "", w->within_ms,
                w->strict ? "the load counted" : "the load apart");
    buf_free(&text);
}

/* ---- 4: a decision for each ---- */

static const struct switch_decision_list *decisions(struct warmup *w, struct cli_warmup_check *check,
                                                    const struct switch_decision_query *query)
{
    const struct client_call_options options = ask_within(ASK_MS);
    struct ask a;
    ask_begin(&a, w->c, &switch_decision_list_message);
    if (ask_wait(&a, switch_decisions_call(w->c->client, cli_target(w->c, "switch"), query, &options,
                                           ask_reply, &a, &a.call)))
        return a.message;
    w->lost = w->lost || a.result != 0;
    warmup_fail(check, w->c, "the decisions cannot be read: %s", a.text);
    return NULL;
}

static bool decision_found(struct warmup *w, struct cli_warmup_check *check, struct warmup_model *m)
{
    const struct switch_decision_query query = {.request_id = m->view.request_id, .limit = 50};
    const int64_t until = clock_mono_ms() + WARMUP_ROWS_MS;
    if (!m->view.request_id) {
        warmup_fail(check, w->c, "the answer of %s has no X-Request-Id", m->name);
        return false;
    }
    do {
        const struct switch_decision_list *l = decisions(w, check, &query);
        if (!l)
            return false;
        for (size_t i = 0; i < l->decisions_count; i++) {
            const struct switch_decision *d = &l->decisions[i];
            if (d->outcome != SWITCH_OUTCOME_OK || !str_eq(d->model, m->name))
                continue;
            m->view.decision_id = d->id;
            m->view.decisions++;
        }
        if (m->view.decisions > 0)
            return true;
        warmup_sleep(w, AGAIN_MS);
    } while (clock_mono_ms() < until);
    warmup_fail(check, w->c, "request %s of %s has no decision that says it was answered", m->view.request_id,
                m->name);
    return false;
}

static void check_decisions(struct warmup *w, struct cli_warmup_check *check)
{
    for (size_t i = 0; i < w->count; i++)
        if (!decision_found(w, check, &w->models[i]))
            return;
    warmup_good(check, w->c, "one for each of %zu requests, joined by request id", w->count);
}

/* ---- 5: use is counted ---- */

/* Requests of others for a model since we began, by their decisions. */
static int64_t others(struct warmup *w, struct cli_warmup_check *check, const struct warmup_model *m)
{
    const struct switch_decision_query query = {
        .model = m->name, .has_since = true, .since = w->began_at, .limit = 500};
    const struct switch_decision_list *l = decisions(w, check, &query);
    int64_t n = 0;
    for (size_t i = 0; l && i < l->decisions_count; i++)
        n += l->decisions[i].attempts > 0 && !str_eq(l->decisions[i].request_id, m->view.request_id);
    return l ? n : -1;
}

static bool counted(struct warmup *w, struct cli_warmup_check *check, struct warmup_model *m)
{
    const int64_t until = clock_mono_ms() + WARMUP_ROWS_MS;
    for (;;) {
        const struct hermes_model_list *l = warmup_models(w, check);
        const struct hermes_model *now = l ? warmup_find(l, m->name) : NULL;
        m->view.others = l ? others(w, check, m) : -1;
        if (!l || m->view.others < 0)
            return false;
        m->view.has_usage_after = now != NULL;
        m->view.usage_after = now ? now->usage_count : 0;
        if (now && m->view.usage_after - m->view.usage_before == m->view.calls + m->view.others)
            return true;
        if (clock_mono_ms() >= until)
            break;
        warmup_sleep(w, AGAIN_MS);
    }
    warmup_fail(check, w->c,
                "%s: the count grew by %" PRId64 ", after %" PRId64 " call%s of ours and %" PRId64
                " of others",
                m->name, m->view.usage_after - m->view.usage_before, m->view.calls,
                m->view.calls == 1 ? "" : "s", m->view.others);
    return false;
}

static void check_usage(struct warmup *w, struct cli_warmup_check *check)
{
    int64_t calls = 0, strangers = 0;
    for (size_t i = 0; i < w->count; i++) {
        if (!counted(w, check, &w->models[i]))
            return;
        calls += w->models[i].view.calls;
        strangers += w->models[i].view.others;
    }
    warmup_good(check, w->c, "the counts of %zu models grew by exactly the %" PRId64 " calls made%s",
                w->count, calls, strangers > 0 ? ", and those of others" : "");
}

/* ---- all of them ---- */

static const char *const check_names[WARMUP_CHECKS] = {"models registered", "warm-up", "rotation",
                                                       "decisions logged", "usage counted"};

static void checks_run(struct warmup *w)
{
    for (int i = 0; i < WARMUP_CHECKS; i++)
        w->checks[i] = (struct cli_warmup_check){.number = i + 1,
                                                 .name = check_names[i],
                                                 .state = CLI_WARMUP_CHECK_STATE_SKIPPED,
                                                 .detail = "not run"};
    check_registered(w, &w->checks[0]);
    if (w->checks[0].state != CLI_WARMUP_CHECK_STATE_OK)
        return;
    if (!w->json) {
        printf("This uses, loads and unloads models of the VX11 that runs:");
        for (size_t i = 0; i < w->count; i++)
            printf("%s %s", i > 0 ? "," : "", terminal_line(w->c->arena, w->models[i].name));
        puts("");
        fflush(stdout);
    }
    check_warm(w, &w->checks[1]);
    if (w->checks[1].state != CLI_WARMUP_CHECK_STATE_OK)
        return;
    check_decisions(w, &w->checks[3]);
    warmup_rotate(w, &w->checks[2]);
    check_usage(w, &w->checks[4]); /* last: the rotation is no use */
}

static int report(struct warmup *w)
{
    struct cli_warmup_report out = {.ok = true,
                                    .strict = w->strict,
                                    .within_ms = w->within_ms,
                                    .checks = w->checks,
                                    .checks_count = WARMUP_CHECKS,
                                    .rotation = w->rotation.unloaded ? &w->rotation : NULL};
    out.models = arena_array(w->c->arena, w->count + 1, sizeof *out.models);
    if (!out.models)
        return cli_fail(CLI_FAILED, "out of memory");
    for (size_t i = 0; i < w->count; i++)
        out.models[out.models_count++] = w->models[i].view;
    for (int i = 0; i < WARMUP_CHECKS; i++) {
        static const char *const words[] = {[CLI_WARMUP_CHECK_STATE_OK] = "ok",
                                            [CLI_WARMUP_CHECK_STATE_FAILED] = "FAILED",
                                            [CLI_WARMUP_CHECK_STATE_SKIPPED] = "not run"};
        const struct cli_warmup_check *k = &w->checks[i];
        out.ok = out.ok && k->state == CLI_WARMUP_CHECK_STATE_OK;
        if (!w->json)
            printf("%d  %-18s %-7s %s\n", (int)k->number, k->name, words[k->state],
                   k->state == CLI_WARMUP_CHECK_STATE_SKIPPED ? "" : terminal_line(w->c->arena, k->detail));
    }
    const int code = w->json ? cli_print_json(&cli_warmup_report_message, &out) : 0;
    if (w->lost)
        return NOT_RUN;
    return code != 0 ? code : out.ok ? CLI_OK : CLI_FAILED;
}

static int number_option(int argc, char **argv, int *i, const char *name, int64_t min, int64_t max,
                         int64_t *out)
{
    const char *text;
    const int is = cli_option("warmup", argc, argv, i, name, &text);
    if (is <= 0)
        return is;
    if (str_to_i64(text, min, max, out) == 0)
        return 1;
    cli_usage("warmup", "%s wants a number from %" PRId64 " to %" PRId64, name, min, max);
    return -1;
}

int command_warmup(int argc, char **argv)
{
    struct cli c;
    struct warmup w = {.c = &c, .want = 2, .within_ms = 5000, .age_ms = 300000};
    for (int i = 1; i < argc; i++) {
        int is = number_option(argc, argv, &i, "--models", 2, WARMUP_MOST, &w.want);
        if (is == 0)
            is = number_option(argc, argv, &i, "--within-ms", 1, 600000, &w.within_ms);
        if (is == 0)
            is = number_option(argc, argv, &i, "--age-ms", 1, 86400000, &w.age_ms);
        if (is < 0)
            return CLI_USAGE;
        if (is > 0)
            continue;
        if (strcmp(argv[i], "--json") == 0)
            w.json = true;
        else if (strcmp(argv[i], "--strict") == 0)
            w.strict = true;
        else if (argv[i][0] == '-' || w.name_count == WARMUP_MOST)
            return cli_usage("warmup", "unknown argument %s", argv[i]);
        else
            w.names[w.name_count++] = argv[i];
    }
    int code = cli_open_anyway(&c);
    w.began_at = clock_wall_ms();
    if (code == 0) {
        checks_run(&w);
        code = report(&w);
        if (w.lost)
            (void)cli_fail(NOT_RUN, "VX11 does not answer; is it running? (vx11 status, vx11 up)");
    }
    cli_close(&c);
    return code;
}
