/* Definitions: a known tool, changed or completed by the configuration, checked once. What is wrong with one
 * is said where the tool is listed, and keeps it from being run; it does not keep Hermes from starting. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "hermes/tools/arguments.h"
#include "hermes/tools/tools_internal.h"

#define TIMEOUT_DEFAULT     120000
#define CONCURRENCY_DEFAULT 2

void tool_spec_release(struct tool_spec *s)
{
    if (s && --s->refs == 0) {
        arena_destroy(s->arena);
        free(s);
    }
}

enum child_sandbox tool_sandbox_of(int value, enum child_sandbox otherwise)
{
    switch (value) {
    case CONFIG_TOOL_SANDBOX_REQUIRED:
        return CHILD_SANDBOX_REQUIRED;
    case CONFIG_TOOL_SANDBOX_PREFERRED:
        return CHILD_SANDBOX_PREFERRED;
    case CONFIG_TOOL_SANDBOX_OFF:
        return CHILD_SANDBOX_OFF;
    default:
        return otherwise;
    }
}

/* A copy that outlives the configuration, ended by NULL; `more` first, when not NULL. */
static const char *const *copy_list(struct arena *a, const char *const *more, const char *const *items,
                                    size_t n)
{
    size_t before = 0, count = 0;
    while (more && more[before])
        before++;
    const char **out = arena_array(a, before + n + 1, sizeof *out);
    if (!out)
        return NULL;
    for (size_t i = 0; i < before; i++)
        out[count++] = more[i];
    for (size_t i = 0; i < n; i++) {
        out[count] = arena_strdup(a, items[i]);
        if (!out[count++])
            return NULL;
    }
    out[count] = NULL;
    return out;
}

static bool add_rule(struct arena *a, struct tool_rule *rules, size_t *n, enum tool_field field,
                     const char *path)
{
    if (!path || !path[0])
        return true;
    rules[*n] = (struct tool_rule){.field = field, .path = arena_strdup(a, path)};
    return rules[(*n)++].path != NULL;
}

static bool take_rules(struct tool_spec *s, const struct config_tool *c)
{
    struct tool_rule *rules = arena_array(s->arena, 8, sizeof *rules);
    size_t n = 0;
    if (!rules)
        return false;
    memset(rules, 0, 8 * sizeof *rules);
    bool fine = add_rule(s->arena, rules, &n, TOOL_FIELD_DELTA, c->delta_path) &&
                add_rule(s->arena, rules, &n, TOOL_FIELD_TEXT, c->text_path) &&
                add_rule(s->arena, rules, &n, TOOL_FIELD_ERROR, c->error_path) &&
                add_rule(s->arena, rules, &n, TOOL_FIELD_PROMPT_TOKENS, c->prompt_tokens_path) &&
                add_rule(s->arena, rules, &n, TOOL_FIELD_COMPLETION_TOKENS, c->completion_tokens_path);
    if (n > 0)
        s->def.rules = rules;
    return fine;
}

static bool has_prompt(const char *const *args)
{
    for (size_t i = 0; args && args[i]; i++)
        if (strstr(args[i], "{prompt}"))
            return true;
    return false;
}

static bool take_output(struct tool_spec *s, const struct config_tool *c)
{
    struct tool_def *d = &s->def;
    switch (c->output) {
    case CONFIG_TOOL_OUTPUT_TEXT:
        d->output = TOOL_OUTPUT_TEXT;
        d->rules = NULL;
        break;
    case CONFIG_TOOL_OUTPUT_JSON:
        d->output = TOOL_OUTPUT_JSON;
        break;
    case CONFIG_TOOL_OUTPUT_JSONL:
        d->output = TOOL_OUTPUT_JSONL;
        break;
    default:
        break;
    }
    bool fine = take_rules(s, c);
    if (d->output == TOOL_OUTPUT_TEXT)
        d->streams = true;
    else if (d->output == TOOL_OUTPUT_JSON)
        d->streams = false;
    else if (c->output == CONFIG_TOOL_OUTPUT_JSONL)
        d->streams = c->delta_path[0] != '\0';
    return fine;
}

static bool take_arguments(struct tool_spec *s, const struct config_tool *c)
{
    struct tool_def *d = &s->def;
    if (c->args_count > 0)
        d->args = copy_list(s->arena, NULL, c->args, c->args_count);
    if (c->model_args_count > 0)
        d->model_args = copy_list(s->arena, NULL, c->model_args, c->model_args_count);
    if (!d->args)
        d->args = copy_list(s->arena, NULL, NULL, 0);
    if (c->prompt == CONFIG_TOOL_PROMPT_STDIN)
        d->prompt_by_stdin = true;
    else if (c->prompt == CONFIG_TOOL_PROMPT_ARGUMENT)
        d->prompt_by_stdin = false;
    else if (c->args_count > 0)
        d->prompt_by_stdin = !has_prompt(d->args);
    return d->args && (c->model_args_count == 0 || d->model_args);
}

static bool take_config(struct tool_spec *s, const struct config_tool *c)
{
    static const char *const version[] = {"--version", NULL};
    struct tool_def *d = &s->def;
    d->name = arena_strdup(s->arena, c->name);
    if (!d->title)
        d->title = d->name;
    if (!d->version_args)
        d->version_args = version;
    if (c->command[0])
        s->command = arena_strdup(s->arena, c->command);
    bool fine = d->name && (!c->command[0] || s->command) && take_arguments(s, c) && take_output(s, c);
    if (c->auth_args_count > 0)
        d->auth_args = copy_list(s->arena, NULL, c->auth_args, c->auth_args_count);
    if (c->auth_args_count > 0)
        d->auth_certain = true;
    d->env = copy_list(s->arena, d->env, c->env, c->env_count);
    d->writable = copy_list(s->arena, d->writable, c->writable, c->writable_count);
    s->models = copy_list(s->arena, NULL, c->models, c->models_count);
    s->model_count = c->models_count;
    if (c->timeout_ms > 0)
        d->timeout_ms = c->timeout_ms;
    if (c->max_concurrency > 0)
        d->max_concurrency = c->max_concurrency;
    if (c->memory_bytes > 0)
        d->memory_bytes = c->memory_bytes;
    s->quota_daily = c->quota_daily;
    s->network = c->network;
    s->sandbox = tool_sandbox_of((int)c->sandbox, s->sandbox);
    s->said = c->has_enabled ? c->enabled : -1;
    return fine && d->env && d->writable && s->models && (c->auth_args_count == 0 || d->auth_args);
}

/* What a person would otherwise learn at the first request. */
static void find_problem(struct tool_spec *s)
{
    struct error err = {0};
    const struct tool_def *d = &s->def;
    size_t args = 0;
    while (d->args && d->args[args])
        args++;
    if (!s->command && !d->binaries)
        (void)snprintf(s->problem, sizeof s->problem, "the configuration names no command for it");
    else if (s->command && (child_is_shell(s->command) || child_is_inline_program(s->command, d->args, args)))
        (void)snprintf(s->problem, sizeof s->problem,
                       "%.300s is a shell, or takes its program as an argument: that is never run",
                       s->command);
    else if (tool_args_check(d, &err) != 0)
        (void)snprintf(s->problem, sizeof s->problem, "%s", err.text);
    else if (d->output != TOOL_OUTPUT_TEXT && !d->rules)
        (void)snprintf(s->problem, sizeof s->problem, "its output wants text_path or delta_path");
}

struct tool_spec *tool_spec_create(const struct tool_def *known, const struct config_tool *config,
                                   enum child_sandbox sandbox)
{
    struct tool_spec *s = calloc(1, sizeof *s);
    if (!s || !(s->arena = arena_create(0))) {
        free(s);
        return NULL;
    }
    s->refs = 1;
    s->sandbox = sandbox;
    s->network = true;
    s->said = -1;
    if (known)
        s->def = *known;
    if (config && !take_config(s, config)) {
        tool_spec_release(s);
        return NULL;
    }
    if (s->def.timeout_ms == 0)
        s->def.timeout_ms = TIMEOUT_DEFAULT;
    if (s->def.max_concurrency == 0)
        s->def.max_concurrency = CONCURRENCY_DEFAULT;
    find_problem(s);
    return s;
}

/* ---- where programs are looked for ---- */

static void add_dir(struct tools *t, size_t cap, const char *dir)
{
    const char *copy;
    if (!dir || dir[0] != '/' || t->dir_count >= cap)
        return;
    for (size_t i = 0; i < t->dir_count; i++)
        if (strcmp(t->dirs[i], dir) == 0)
            return;
    copy = arena_strdup(t->dirs_arena, dir);
    if (copy)
        t->dirs[t->dir_count++] = copy;
}

int tools_dirs_fill(struct tools *t, const struct config *config)
{
    static const char *const below_home[] = {".local/bin", "bin",        ".npm-global/bin",
                                             ".bun/bin",   ".cargo/bin", ".volta/bin"};
    static const char *const system[] = {"/usr/local/bin", "/usr/bin", "/bin", "/snap/bin",
                                         "/opt/homebrew/bin"};
    const struct config_hermes *c = config->values->hermes;
    const size_t cap = 256;
    arena_destroy(t->dirs_arena);
    t->dirs = NULL;
    t->dir_count = 0;
    t->dirs_arena = arena_create(0);
    t->dirs = t->dirs_arena ? arena_array(t->dirs_arena, cap, sizeof *t->dirs) : NULL;
    if (!t->dirs)
        return VX11_ENOMEM;
    for (size_t i = 0; i < c->tool_dirs_count; i++)
        add_dir(t, cap,
                str_starts(c->tool_dirs[i], "~/")
                    ? arena_printf(t->dirs_arena, "%s/%s", t->user_home, c->tool_dirs[i] + 2)
                    : c->tool_dirs[i]);
    const char *path = getenv("PATH");
    char *copy = path ? arena_strdup(t->dirs_arena, path) : NULL, *rest = NULL;
    for (char *dir = copy ? strtok_r(copy, ":", &rest) : NULL; dir; dir = strtok_r(NULL, ":", &rest))
        add_dir(t, cap, dir);
    for (size_t i = 0; t->user_home[0] && i < COUNT_OF(below_home); i++)
        add_dir(t, cap, arena_printf(t->dirs_arena, "%s/%s", t->user_home, below_home[i]));
    for (size_t i = 0; i < COUNT_OF(system); i++)
        add_dir(t, cap, system[i]);
    return 0;
}
