/* The set of tools: made from the known ones and the configuration, each with its row; and how they are
 * shown. */
#include "hermes/tools/tools.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "hermes/tools/tools_internal.h"

#define DAY_MS          INT64_C(86400000)

#define TOOL_ENABLE_SQL "UPDATE tool SET enabled = ?2, updated_at = ?3 WHERE name = ?1"

/* ---- the set ---- */

struct tool *tools_find(struct tools *t, const char *name)
{
    for (struct tool *tool = t->list; tool; tool = tool->next)
        if (tool->spec && strcmp(tool->name, name) == 0)
            return tool;
    return NULL;
}

const char *tool_name(const struct tool *tool)
{
    return tool->name;
}

bool tools_is_bound(struct tools *t, const char *name)
{
    const struct tool *tool = tools_find(t, name);
    return tool && tool->binding.path != NULL;
}

/* A tool outlives its definition: runs of it may still go on. */
static struct tool *tool_of(struct tools *t, const char *name)
{
    struct error err = {0};
    struct tool **at = &t->list;
    while (*at && strcmp((*at)->name, name) < 0)
        at = &(*at)->next;
    if (*at && strcmp((*at)->name, name) == 0)
        return *at;
    struct tool *tool = calloc(1, sizeof *tool);
    if (!tool)
        return NULL;
    tool->all = t;
    (void)snprintf(tool->name, sizeof tool->name, "%s", name);
    if (binding_load(tool, &err) != 0)
        log_error("tools", "a tool's row cannot be read", LOG_S("tool", name), LOG_S("reason", err.text));
    tool->next = *at;
    *at = tool;
    return tool;
}

static void define(struct tools *t, const char *name, const struct tool_def *known,
                   const struct config_tool *config, enum child_sandbox sandbox)
{
    struct tool *tool = tool_of(t, name);
    struct tool_spec *spec = tool ? tool_spec_create(known, config, sandbox) : NULL;
    if (!spec) {
        log_error("tools", "a tool is left out: out of memory", LOG_S("tool", name));
        return;
    }
    tool_spec_release(tool->spec);
    tool->spec = spec;
    if (spec->problem[0])
        log_warn("tools", "a tool's definition is wrong", LOG_S("tool", name),
                 LOG_S("reason", spec->problem));
}

static enum child_sandbox sandbox_of(const struct config *config)
{
    switch (config->values->hermes->tool_sandbox) {
    case CONFIG_HERMES_TOOL_SANDBOX_REQUIRED:
        return CHILD_SANDBOX_REQUIRED;
    case CONFIG_HERMES_TOOL_SANDBOX_OFF:
        return CHILD_SANDBOX_OFF;
    default:
        return CHILD_SANDBOX_PREFERRED;
    }
}

void tools_configure(struct tools *t, const struct config *config)
{
    const struct config_hermes *c = config->values->hermes;
    enum child_sandbox sandbox = sandbox_of(config);
    if (tools_dirs_fill(t, config) != 0)
        log_error("tools", "the folders of tools are not known: out of memory");
    for (struct tool *tool = t->list; tool; tool = tool->next) {
        tool_spec_release(tool->spec);
        tool->spec = NULL;
    }
    for (size_t i = 0; i < tools_known_count; i++)
        define(t, tools_known[i].name, &tools_known[i], NULL, sandbox);
    for (size_t i = 0; i < c->tools_count; i++) {
        const struct config_tool *own = &c->tools[i];
        const char *preset =
            own->preset == CONFIG_TOOL_PRESET_NONE ? own->name : config_tool_preset_names[own->preset];
        define(t, own->name, tool_known(preset), own, sandbox);
    }
}

int tools_create(const struct tools_options *options, struct tools **out, struct error *err)
{
    struct tools *t = calloc(1, sizeof *t);
    const char *home = getenv("HOME");
    if (!t)
        return error_set(err, VX11_ENOMEM, "out of memory");
    t->loop = options->loop;
    t->store = options->store;
    t->writer = options->writer;
    (void)snprintf(t->home, sizeof t->home, "%s", options->home);
    if (home && home[0] == '/')
        (void)snprintf(t->user_home, sizeof t->user_home, "%s", home);
    tools_configure(t, options->config);
    *out = t;
    return 0;
}

static void tools_free_if_over(struct tools *t)
{
    if (!t->closing || t->children > 0)
        return;
    void (*closed)(void *ctx) = t->closed;
    void *ctx = t->closed_ctx;
    while (t->list) {
        struct tool *tool = t->list;
        t->list = tool->next;
        tool_spec_release(tool->spec);
        arena_destroy(tool->arena);
        free(tool);
    }
    arena_destroy(t->dirs_arena);
    free(t);
    closed(ctx);
}

void tools_child_ended(struct tools *t)
{
    t->children--;
    tools_free_if_over(t);
}

/* ---- the person's word ---- */

bool tool_enabled_as(const struct tool *tool, const struct binding *b)
{
    return tool->spec->said >= 0 ? tool->spec->said == 1 : b->enabled;
}

int tools_enable(struct tools *t, struct tool *tool, bool enabled, struct error *err)
{
    const struct store_value values[] = {STORE_T(tool->name), STORE_I(enabled), STORE_I(clock_wall_ms())};
    if (tool->spec->said >= 0 && (tool->spec->said == 1) != enabled)
        return error_set(err, VX11_EPERMISSION, "the configuration says that %s is %s", tool->name,
                         enabled ? "not to be used" : "to be used");
    if (enabled && tool->spec->problem[0])
        return error_set(err, VX11_EINVALID, "%s cannot be used: %s", tool->name, tool->spec->problem);
    if (enabled && !tool->binding.path)
        return error_set(err, VX11_ENOT_FOUND, "no program was found for %s", tool->name);
    if (!tool->binding.row)
        return 0; /* never detected, so never enabled */
    int rc = store_exec(t->store, TOOL_ENABLE_SQL, values, COUNT_OF(values), NULL, err);
    return rc == 0 ? binding_load(tool, err) : rc;
}

/* ---- how they are shown ---- */

static const char *problem_as(struct tool *tool, const struct binding *b, struct arena *a)
{
    const struct tool_spec *s = tool->spec;
    if (s->problem[0])
        return arena_strdup(a, s->problem);
    if (b->refused)
        return b->refused;
    if (!tool_enabled_as(tool, b))
        return !b->path ? b->detected_at < 0 ? "it is not enabled, and its program was never looked for"
                                             : "its program was not found"
                        : "it is not enabled";
    if (!b->path)
        return b->detected_at < 0 ? "its program was never looked for" : "its program was not found";
    if (s->sandbox == CHILD_SANDBOX_REQUIRED && child_sandbox_problem())
        return arena_printf(a, "the sandbox is required, and %s", child_sandbox_problem());
    if (b->auth == HERMES_TOOL_AUTH_NEEDS_LOGIN)
        return arena_printf(a, "it needs a login%s%s", s->def.login_hint ? ": " : "",
                            s->def.login_hint ? s->def.login_hint : "");
    return NULL;
}

const char *tool_problem(struct tool *tool, struct arena *a)
{
    return problem_as(tool, &tool->binding, a);
}

static int count_list(const char *const *list)
{
    int n = 0;
    while (list && list[n])
        n++;
    return n;
}

static void describe_quota(const struct tool *tool, const struct binding *b, struct hermes_tool_quota *out)
{
    int64_t today = day_of(clock_wall_ms());
    *out = (struct hermes_tool_quota){
        .has_limit = tool->spec->quota_daily > 0,
        .limit = tool->spec->quota_daily,
        .used = b->quota_day == today ? b->quota_used : 0,
        .reset_at = (today + 1) * DAY_MS,
    };
}

static void describe_binding(const struct binding *b, struct arena *a, struct hermes_tool *out)
{
    out->path = arena_strdup(a, b->path);
    out->version = arena_strdup(a, b->version);
    out->has_size_bytes = b->size_bytes >= 0;
    out->size_bytes = b->size_bytes;
    out->has_mtime = b->mtime_ns >= 0;
    out->mtime = b->mtime_ns / 1000000;
    out->sha256 = arena_strdup(a, b->sha256);
    out->auth = b->auth;
    out->auth_detail = arena_strdup(a, b->auth_detail);
    out->has_last_ok_at = b->last_ok_at >= 0;
    out->last_ok_at = b->last_ok_at;
    out->has_last_fail_at = b->last_fail_at >= 0;
    out->last_fail_at = b->last_fail_at;
    out->last_error = arena_strdup(a, b->last_error);
    out->has_detected_at = b->detected_at >= 0;
    out->detected_at = b->detected_at;
}

static const char **copy_strings(struct arena *a, const char *const *items, size_t n)
{
    const char **out = arena_array(a, n + 1, sizeof *out);
    for (size_t i = 0; out && i < n; i++)
        out[i] = arena_strdup(a, items[i]);
    return out;
}

/* Copies all: the definition may be another one by the time the reply is written. */
int tool_describe_as(struct tool *tool, const struct binding *b, struct arena *a, struct hermes_tool *out)
{
    const struct tool_spec *s = tool->spec;
    const struct tool_def *d = &s->def;
    bool boxed = s->sandbox != CHILD_SANDBOX_OFF && !child_sandbox_problem();
    *out = (struct hermes_tool){
        .name = arena_strdup(a, tool->name),
        .title = arena_strdup(a, d->title ? d->title : tool->name),
        .enabled = tool_enabled_as(tool, b),
        .reason = problem_as(tool, b, a),
        .argv_count = (size_t)count_list(d->args),
        .prompt_by = d->prompt_by_stdin ? HERMES_TOOL_PROMPT_BY_STDIN : HERMES_TOOL_PROMPT_BY_ARGUMENT,
        .output = d->output == TOOL_OUTPUT_JSON    ? HERMES_TOOL_OUTPUT_JSON
                  : d->output == TOOL_OUTPUT_JSONL ? HERMES_TOOL_OUTPUT_JSONL
                                                   : HERMES_TOOL_OUTPUT_TEXT,
        .streams = d->streams,
        .models_count = s->model_count,
        .timeout_ms = d->timeout_ms,
        .max_concurrency = d->max_concurrency,
        .running = tool->running,
        .has_sandbox = boxed || s->sandbox != CHILD_SANDBOX_REQUIRED,
        .sandbox = boxed ? HERMES_SANDBOX_BUBBLEWRAP : HERMES_SANDBOX_LIMITS,
    };
    out->usable = out->reason == NULL;
    out->argv = copy_strings(a, d->args, out->argv_count);
    out->models = copy_strings(a, s->models, s->model_count);
    out->quota = arena_zalloc(a, sizeof *out->quota);
    if (!out->quota || !out->name || !out->title || !out->argv || !out->models)
        return VX11_ENOMEM;
    describe_quota(tool, b, out->quota);
    describe_binding(b, a, out);
    return 0;
}

int tool_describe(struct tool *tool, struct arena *a, struct hermes_tool *out)
{
    return tool_describe_as(tool, &tool->binding, a, out);
}

int tools_list(struct tools *t, bool enabled_only, struct arena *a, struct hermes_tool **out, size_t *n)
{
    size_t count = 0;
    for (struct tool *tool = t->list; tool; tool = tool->next)
        count++;
    *n = 0;
    *out = arena_array(a, count + 1, sizeof **out);
    if (!*out)
        return VX11_ENOMEM;
    for (struct tool *tool = t->list; tool; tool = tool->next) {
        if (!tool->spec || (enabled_only && !tool_enabled_as(tool, &tool->binding)))
            continue;
        int rc = tool_describe(tool, a, &(*out)[(*n)++]);
        if (rc != 0)
            return rc;
    }
    return 0;
}

/* ---- keeping bindings true ---- */

void tools_refresh(struct tools *t)
{
    for (struct tool *tool = t->list; tool; tool = tool->next)
        if (tool->spec && !tool->spec->problem[0] && tool_enabled_as(tool, &tool->binding) &&
            !binding_holds(&tool->binding))
            tool_look_again(tool);
}

void tools_close(struct tools *t, void (*done)(void *ctx), void *ctx)
{
    t->closing = true;
    t->closed = done;
    t->closed_ctx = ctx;
    t->children++; /* until everything has been told to end */
    detections_cancel(t);
    while (t->runs)
        tool_run_cancel(t->runs);
    tools_child_ended(t);
}
