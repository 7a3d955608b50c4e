/* What would be chosen: a request is thought through, nothing is sent, counted or changed. */
#include "switch/selection/routes.h"
#include "switch/selection/selector_internal.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/audio_task.h"
#include "base/str.h"
#include "switch/limits/limits.h"

struct bounds { /* what may be considered */
    struct switch_ *sw;
    const struct principal *principal;
    const struct switch_select_request *body;
};

static bool listed(const struct switch_select_request *body, const char *provider, const char *model)
{
    if (body->available_engines_count == 0)
        return true;
    size_t n = strlen(provider);
    for (size_t i = 0; i < body->available_engines_count; i++) {
        const char *e = body->available_engines[i];
        if (strcmp(e, model) == 0 || strcmp(e, provider) == 0 ||
            (strncmp(e, provider, n) == 0 && e[n] == '/' && strcmp(e + n + 1, model) == 0))
            return true;
    }
    return false;
}

static bool may_be(const void *ctx, const char *requested, const char *provider, const char *model)
{
    const struct bounds *b = ctx;
    (void)requested;
    return listed(b->body, provider, model) &&
           (!b->sw->budgets || limits_principal_allows(b->sw->budgets, b->principal, provider, model));
}

static enum dispatch_kind kind_of(const struct switch_select_request *body)
{
    return body->kind == SWITCH_SELECT_REQUEST_KIND_EMBEDDING    ? DISPATCH_EMBEDDING
           : body->kind == SWITCH_SELECT_REQUEST_KIND_COMPLETION ? DISPATCH_COMPLETION
                                                                 : DISPATCH_CHAT;
}

static int wish_fill(struct request *r, struct bounds *b, struct wish *w, struct error *err)
{
    const struct switch_select_request *body = b->body;
    size_t len;
    const char *raw = request_raw_body(r, &len);
    yyjson_val *root = NULL;
    *w = (struct wish){.kind = kind_of(body),
                       .model = body->model && body->model[0] ? body->model : "auto",
                       .only = body->provider,
                       .first = body->provider_hint,
                       .allows = may_be,
                       .allows_ctx = b};
    if (contract_json_parse(request_arena(r), raw, len, NULL, &root, NULL) != 0)
        return error_set(err, VX11_ESYNTAX, "the body is no JSON");
    const struct wish_source from = {
        .root = root,
        .text = body->query,
        .task_field = body->task_type,
        .task_header = request_header(r, "X-VX11-Task-Type"),
        .privacy_header = request_header(r, "X-VX11-Privacy"),
        .mode_header = request_header(r, "X-VX11-Mode"),
        .token_name = b->principal ? b->principal->name : NULL,
    };
    return wish_read(w, &from, module_config(b->sw->m)->values->switch_, err);
}

/* {"local/guide": 0.61, …} of all that may be asked. */
static yyjson_val *scores(struct arena *a, const struct selection *s)
{
    struct buf text = BUF_INIT;
    yyjson_val *out = NULL;
    buf_putc(&text, '{');
    for (size_t i = 0; i < s->count; i++) {
        const struct candidate *c = &s->list[i];
        const char *name = arena_printf(a, "%s/%s", c->provider->name, c->model);
        if (!name)
            continue;
        buf_puts(&text, i ? "," : "");
        buf_put_json_string(&text, name, strlen(name));
        buf_printf(&text, ":%.6f", c->choice->score.total);
    }
    buf_putc(&text, '}');
    if (!text.failed)
        contract_json_parse(a, text.data, text.len, NULL, &out, NULL);
    buf_free(&text);
    return out;
}

static void reply(struct request *r, const struct selection *s, const struct error *err)
{
    struct arena *a = request_arena(r);
    struct switch_explanation explanation;
    struct switch_mode_profile profile;
    struct switch_weights weights;
    int preferred[8];
    if (selection_explain(a, s, &explanation) != 0) {
        request_fail(r, 500, "out_of_memory", NULL, "out of memory");
        return;
    }
    mode_message(s->mode, preferred, &weights, &profile);
    struct switch_select_reply out = {
        .status = SWITCH_SELECT_REPLY_STATUS_NONE,
        .decision = err->text,
        .mode = (int)s->mode,
        .profile = &profile,
        .explanation = &explanation,
    };
    if (s->count > 0) {
        const struct candidate *c = &s->list[0];
        out.status = SWITCH_SELECT_REPLY_STATUS_OK;
        out.provider = c->provider->name;
        out.model = c->model;
        out.engine = out.engine_selected = arena_printf(a, "%s/%s", c->provider->name, c->model);
        out.decision = c->reason;
        out.has_score = true;
        out.score = c->choice->score.total;
        out.scores_per_engine = scores(a, s);
    }
    request_reply(r, 200, &switch_select_reply_message, &out);
}

void select_explain(struct request *r, void *module)
{
    struct bounds b = {.sw = module, .principal = request_principal(r), .body = request_body(r)};
    struct selection *s = arena_zalloc(request_arena(r), sizeof *s);
    struct wish w;
    struct error err = {0};
    if (!s) {
        request_fail(r, 500, "out_of_memory", NULL, "out of memory");
        return;
    }
    if (wish_fill(r, &b, &w, &err) != 0) {
        request_fail(r, 400, "invalid_privacy", "metadata.privacy", "%s", err.text);
        return;
    }
    selection_make(b.sw, request_arena(r), &w, s, &err);
    reply(r, s, &err);
}

/* ---- /switch/shub/detect ---- */

static bool sound_format(const char *format)
{
    static const char *const formats[] = {"wav", "mp3", "flac", "ogg", "aiff"};
    for (size_t i = 0; format && i < COUNT_OF(formats); i++)
        if (strcasecmp(format, formats[i]) == 0)
            return true;
    return false;
}

void select_shub(struct request *r, void *module)
{
    const struct switch_select_request *body = request_body(r);
    struct bounds b = {.sw = module, .principal = request_principal(r), .body = body};
    const char *text = body->prompt ? body->prompt : body->query ? body->query : "";
    struct audio_task audio;
    struct wish w;
    struct error err = {0};
    char reason[200];
    if (wish_fill(r, &b, &w, &err) != 0) {
        request_fail(r, 400, "invalid_privacy", "metadata.privacy", "%s", err.text);
        return;
    }
    bool file = yyjson_get_str(yyjson_obj_get(body->metadata, "audio_file")) ||
                yyjson_get_bool(yyjson_obj_get(body->metadata, "is_audio_task")) ||
                sound_format(yyjson_get_str(yyjson_obj_get(body->metadata, "format")));
    bool said = w.task_from == SWITCH_TASK_SOURCE_EXPLICIT;
    bool yes = said ? w.task == TASK_TYPE_AUDIO : file || w.task == TASK_TYPE_AUDIO;
    snprintf(reason, sizeof reason, "%s",
             said   ? "the task's type was said"
             : file ? "the metadata names sound"
             : yes  ? "the words are about sound"
                    : "the words are not about sound");
    struct switch_shub_detect out = {
        .should_route_to_shub = yes, .reason = reason, .task_type = task_type_name(w.task)};
    audio_task_read(text, strlen(text), &audio);
    if (yes) {
        out.domain = audio_domain_name(audio.domain);
        out.operation = audio.operation;
        out.quality = audio.quality;
        out.intensity = audio.intensity;
        out.has_target_loudness = audio.has_loudness;
        out.target_loudness = audio.loudness;
    }
    request_reply(r, 200, &switch_shub_detect_message, &out);
}
