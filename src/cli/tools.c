/* Tools, discovery, providers: what Hermes has besides models, over its Unix socket. */
#include "cli/cli_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/config.h"
#include "api/hermes_client.h"
#include "base/clock.h"
#include "base/str.h"

#define ASK_MS  10000
#define WORK_MS 600000 /* programs are started, files are read */

struct ask {
    struct cli *c;
    bool done, json;
    int code;
    const char *name;
};

static struct client_call_options options_for(int64_t ms)
{
    return (struct client_call_options){.deadline_ms = clock_mono_ms() + ms};
}

static int ask_wait(struct ask *a, int started)
{
    if (started != 0)
        return cli_fail(CLI_FAILED, "%s", error_describe(started));
    cli_wait(a->c, &a->done);
    return a->code;
}

/* Whether there is a reply; else it is said why not. */
static bool has_reply(struct ask *a, const struct client_reply *reply)
{
    a->done = true;
    if (!reply->message)
        a->code = cli_reply_failed(reply, "hermes");
    return reply->message != NULL;
}

static int with_cli(int (*fn)(struct ask *a, int argc, char **argv), int argc, char **argv)
{
    struct cli c;
    struct ask a = {.c = &c};
    int code = cli_open(&c);
    int words = 0;
    for (int i = 0; i < argc; i++) { /* --json may stand anywhere */
        if (strcmp(argv[i], "--json") == 0)
            a.json = true;
        else
            argv[words++] = argv[i];
    }
    if (code == 0)
        code = fn(&a, words, argv);
    cli_close(&c);
    return code;
}

/* ---- tools ---- */

static const char *state_of(const struct hermes_tool *t)
{
    return t->usable ? "usable" : !t->path ? "absent" : !t->enabled ? "disabled" : "unusable";
}

static void tool_print(struct ask *a, const struct hermes_tool *t)
{
    char quota[48] = "-";
    if (t->quota->has_limit)
        snprintf(quota, sizeof quota, "%lld/%lld", (long long)t->quota->used, (long long)t->quota->limit);
    printf("%-14s %-9s %-12s %-9s %-9s %s\n", terminal_line(a->c->arena, t->name), state_of(t),
           hermes_tool_auth_names[t->auth], quota, t->running > 0 ? "running" : "-",
           t->path ? terminal_line(a->c->arena, t->path) : "-");
    if (t->version)
        printf("  %s\n", terminal_line(a->c->arena, t->version));
    if (t->reason && (t->path || t->enabled))
        printf("  %s\n", terminal_line(a->c->arena, t->reason));
    if (t->last_error)
        printf("  last failure: %s\n", terminal_line(a->c->arena, t->last_error));
}

static void tools_heading(void)
{
    printf("%-14s %-9s %-12s %-9s %-9s %s\n", "TOOL", "STATE", "LOGIN", "TODAY", "RUNS", "PROGRAM");
}

static void on_tools(struct client_call *call, void *ctx, const struct client_reply *reply)
{
    struct ask *a = ctx;
    const struct hermes_tool_list *list = reply->message;
    (void)call;
    if (!has_reply(a, reply))
        return;
    if (a->json) {
        a->code = cli_print_json(&hermes_tool_list_message, list);
        return;
    }
    tools_heading();
    for (size_t i = 0; i < list->tools_count; i++)
        tool_print(a, &list->tools[i]);
}

static void on_detected(struct client_call *call, void *ctx, const struct client_reply *reply)
{
    struct ask *a = ctx;
    const struct hermes_detect_reply *found = reply->message;
    (void)call;
    if (!has_reply(a, reply))
        return;
    if (a->json) {
        a->code = cli_print_json(&hermes_detect_reply_message, found);
        return;
    }
    tools_heading();
    for (size_t i = 0; i < found->tools_count; i++)
        tool_print(a, &found->tools[i]);
    if (found->changed_count == 0)
        puts("Nothing has changed.");
    else if (found->applied)
        printf("%zu bindings are written. vx11 tools enable NAME allows a tool's use.\n",
               found->changed_count);
    else
        printf("%zu would change; nothing is written. vx11 tools detect --apply writes it.\n",
               found->changed_count);
}

static void on_tool(struct client_call *call, void *ctx, const struct client_reply *reply)
{
    struct ask *a = ctx;
    const struct hermes_tool *t = reply->message;
    (void)call;
    if (!has_reply(a, reply))
        return;
    if (a->json)
        a->code = cli_print_json(&hermes_tool_message, t);
    else if (t->enabled && !t->usable)
        printf("%s is enabled, but cannot be used yet: %s\n", terminal_line(a->c->arena, t->name),
               terminal_line(a->c->arena, t->reason));
    else
        printf("%s is %s.\n", terminal_line(a->c->arena, t->name), t->enabled ? "enabled" : "disabled");
}

static void on_trial(struct client_call *call, void *ctx, const struct client_reply *reply)
{
    struct ask *a = ctx;
    const struct hermes_tool_test *t = reply->message;
    char took[24];
    (void)call;
    if (!has_reply(a, reply))
        return;
    if (a->json)
        a->code = cli_print_json(&hermes_tool_test_message, t);
    else if (t->ok)
        printf("%s answered in %s (%s): %s\n", terminal_line(a->c->arena, t->name),
               str_format_duration(t->duration_ms, took), hermes_sandbox_names[t->sandbox],
               terminal_line(a->c->arena, t->content));
    else
        a->code = cli_fail(CLI_FAILED, "%s", t->error ? t->error : "it did not answer");
    if (a->code == 0 && !t->ok)
        a->code = CLI_FAILED;
}

static int tools_detect_now(struct ask *a, int argc, char **argv)
{
    struct client_call_options options = options_for(WORK_MS);
    struct hermes_detect_request body = {0};
    struct client_call *call;
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--apply") == 0)
            body.apply = true;
        else if (argv[i][0] == '-' || body.name)
            return cli_usage("tools", "unknown argument %s", argv[i]);
        else
            body.name = argv[i];
    }
    return ask_wait(a, hermes_tools_detect_call(a->c->client, cli_target(a->c, "hermes"), &body, &options,
                                                on_detected, a, &call));
}

static int tools_run(struct ask *a, int argc, char **argv)
{
    const char *verb = argc > 1 ? argv[1] : "list";
    const struct client_target *hermes = cli_target(a->c, "hermes");
    struct client_call_options options = options_for(strcmp(verb, "list") == 0 ? ASK_MS : WORK_MS);
    struct client_call *call;
    if (strcmp(verb, "list") == 0 && argc <= 2)
        return ask_wait(a, hermes_tools_list_call(a->c->client, hermes, &options, on_tools, a, &call));
    if (strcmp(verb, "detect") == 0)
        return tools_detect_now(a, argc - 2, argv + 2);
    const bool enable = strcmp(verb, "enable") == 0, disable = strcmp(verb, "disable") == 0;
    if (!enable && !disable && strcmp(verb, "test") != 0)
        return cli_usage("tools", "there is no tools %s", verb);
    if (argc != 3)
        return cli_usage("tools", "which tool?");
    const struct hermes_tool_name name = {.name = argv[2]};
    if (enable)
        return ask_wait(a,
                        hermes_tools_enable_call(a->c->client, hermes, &name, &options, on_tool, a, &call));
    if (disable)
        return ask_wait(a,
                        hermes_tools_disable_call(a->c->client, hermes, &name, &options, on_tool, a, &call));
    return ask_wait(a, hermes_tools_test_call(a->c->client, hermes, &name, &options, on_trial, a, &call));
}

int command_tools(int argc, char **argv)
{
    return with_cli(tools_run, argc, argv);
}

/* ---- discovery ---- */

static void tier_print(struct ask *a, const char *title, const struct hermes_discovery_tier *t)
{
    if (!t->enabled) {
        printf("%s: not looked at%s%s\n", title, t->reason ? ": " : "",
               t->reason ? terminal_line(a->c->arena, t->reason) : "");
        return;
    }
    printf("%s: %lld%s%s\n", title, (long long)t->count, t->reason ? "; " : "",
           t->reason ? terminal_line(a->c->arena, t->reason) : "");
    for (size_t i = 0; i < t->items_count; i++) {
        const struct hermes_discovery_item *x = &t->items[i];
        char size[24];
        printf("  %-8s %-32s %9s  %s\n", hermes_discovery_action_names[x->action],
               terminal_line(a->c->arena, x->name),
               x->has_size_bytes ? str_format_bytes((uint64_t)x->size_bytes, size) : "-",
               x->detail   ? terminal_line(a->c->arena, x->detail)
               : x->path   ? terminal_line(a->c->arena, x->path)
               : x->source ? terminal_line(a->c->arena, x->source)
                           : "");
    }
}

static void on_discovered(struct client_call *call, void *ctx, const struct client_reply *reply)
{
    struct ask *a = ctx;
    const struct hermes_discover_reply *d = reply->message;
    (void)call;
    if (!has_reply(a, reply))
        return;
    if (a->json) {
        a->code = cli_print_json(&hermes_discover_reply_message, d);
        return;
    }
    tier_print(a, "Models in the folders", d->tiers->local);
    tier_print(a, "Catalogue, not here", d->tiers->catalog);
    tier_print(a, "Hub", d->tiers->web);
    tier_print(a, "Command-line tools", d->tiers->cli);
    puts(d->apply ? "It is written. vx11 tools enable NAME allows a tool's use; vx11 models pull NAME "
                    "fetches a model."
                  : "This is a plan: nothing is written. vx11 discover --apply writes it.");
}

static int discover_run(struct ask *a, int argc, char **argv)
{
    struct client_call_options options = options_for(WORK_MS);
    struct hermes_discover_request body = {0};
    struct client_call *call;
    for (int i = 1; i < argc; i++) {
        int is = cli_option("discover", argc, argv, &i, "--query", &body.query);
        if (is < 0)
            return CLI_USAGE;
        if (is > 0)
            continue;
        if (strcmp(argv[i], "--apply") == 0)
            body.apply = true;
        else if (strcmp(argv[i], "--web") == 0)
            body.allow_web = true;
        else
            return cli_usage("discover", "unknown argument %s", argv[i]);
    }
    return ask_wait(a, hermes_discover_call(a->c->client, cli_target(a->c, "hermes"), &body, &options,
                                            on_discovered, a, &call));
}

int command_discover(int argc, char **argv)
{
    return with_cli(discover_run, argc, argv);
}

/* ---- providers ---- */

static void on_providers(struct client_call *call, void *ctx, const struct client_reply *reply)
{
    struct ask *a = ctx;
    const struct hermes_provider_list *list = reply->message;
    (void)call;
    if (!has_reply(a, reply))
        return;
    if (a->json) {
        a->code = cli_print_json(&hermes_provider_list_message, list);
        return;
    }
    if (list->providers_count == 0) {
        puts("None were added. Those of the configuration: vx11 config show");
        return;
    }
    printf("%-20s %-10s %-12s %-8s %s\n", "PROVIDER", "KIND", "PRESET", "ENABLED", "WHERE");
    for (size_t i = 0; i < list->providers_count; i++) {
        const struct config_provider *p = &list->providers[i];
        printf("%-20s %-10s %-12s %-8s %s\n", terminal_line(a->c->arena, p->name),
               config_provider_kind_names[p->kind], config_provider_preset_names[p->preset],
               p->enabled ? "yes" : "no", p->base_url[0] ? terminal_line(a->c->arena, p->base_url) : "-");
    }
}

static void on_provider(struct client_call *call, void *ctx, const struct client_reply *reply)
{
    struct ask *a = ctx;
    (void)call;
    if (!has_reply(a, reply))
        return;
    if (a->json)
        a->code = cli_print_json(&config_provider_message, reply->message);
    else
        printf("%s is added.\n",
               terminal_line(a->c->arena, ((const struct config_provider *)reply->message)->name));
}

static void on_removed(struct client_call *call, void *ctx, const struct client_reply *reply)
{
    struct ask *a = ctx;
    (void)call;
    a->done = true;
    if (reply->result != 0 || reply->status >= 300)
        a->code = cli_reply_failed(reply, "hermes");
    else
        printf("%s is removed.\n", a->name);
}

static bool value_of(const char *const *names, size_t n, const char *want, int *out)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(names[i], want) == 0) {
            *out = (int)i;
            return true;
        }
    return false;
}

/* NAME --preset P | --url URL [--kind K] [--key-env NAME | --key-file FILE] [--model M]... */
static int providers_add(struct ask *a, int argc, char **argv)
{
    const char *kind = NULL, *preset = NULL, *models[64], *model;
    struct client_call_options options = options_for(ASK_MS);
    struct config_provider p;
    struct client_call *call;
    if (config_provider_init(a->c->arena, &p) != 0)
        return cli_fail(CLI_FAILED, "out of memory");
    p.models = models;
    p.models_count = 0;
    p.kind = CONFIG_PROVIDER_KIND_OPENAI;
    for (int i = 0; i < argc; i++) {
        int is = cli_option("providers", argc, argv, &i, "--preset", &preset);
        is = is ? is : cli_option("providers", argc, argv, &i, "--kind", &kind);
        is = is ? is : cli_option("providers", argc, argv, &i, "--url", &p.base_url);
        is = is ? is : cli_option("providers", argc, argv, &i, "--key-env", &p.key_env);
        is = is ? is : cli_option("providers", argc, argv, &i, "--key-file", &p.key_file);
        if (is == 0 && (is = cli_option("providers", argc, argv, &i, "--model", &model)) > 0) {
            if (p.models_count == COUNT_OF(models))
                return cli_usage("providers", "too many models");
            models[p.models_count++] = model;
        }
        if (is < 0)
            return CLI_USAGE;
        if (is > 0)
            continue;
        if (argv[i][0] == '-' || p.name)
            return cli_usage("providers", "unknown argument %s", argv[i]);
        p.name = argv[i];
    }
    if (!p.name)
        return cli_usage("providers", "which name?");
    if (preset &&
        !value_of(config_provider_preset_names, COUNT_OF(config_provider_preset_names), preset, &p.preset))
        return cli_usage("providers", "there is no preset %s", preset);
    if (preset && strcmp(preset, "anthropic") == 0)
        p.kind = CONFIG_PROVIDER_KIND_ANTHROPIC;
    if (kind && !value_of(config_provider_kind_names, COUNT_OF(config_provider_kind_names), kind, &p.kind))
        return cli_usage("providers", "there is no kind %s", kind);
    return ask_wait(a, hermes_providers_add_call(a->c->client, cli_target(a->c, "hermes"), &p, &options,
                                                 on_provider, a, &call));
}

static int providers_run(struct ask *a, int argc, char **argv)
{
    const char *verb = argc > 1 ? argv[1] : "list";
    struct client_call_options options = options_for(ASK_MS);
    struct client_call *call;
    if (strcmp(verb, "list") == 0 && argc <= 2)
        return ask_wait(a, hermes_providers_list_call(a->c->client, cli_target(a->c, "hermes"), &options,
                                                      on_providers, a, &call));
    if (strcmp(verb, "add") == 0)
        return providers_add(a, argc - 2, argv + 2);
    if (strcmp(verb, "remove") != 0 || argc != 3)
        return cli_usage("providers", "list, add NAME, or remove NAME");
    const struct hermes_provider_name name = {.name = a->name = argv[2]};
    return ask_wait(a, hermes_providers_remove_call(a->c->client, cli_target(a->c, "hermes"), &name, &options,
                                                    on_removed, a, &call));
}

int command_providers(int argc, char **argv)
{
    return with_cli(providers_run, argc, argv);
}
