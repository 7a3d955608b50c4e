/* Models: Hermes' registry and engines, over its Unix socket, and the names that other providers offer, from
 * Switch. */
#include "cli/cli_internal.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/cli.h"
#include "api/hermes_client.h"
#include "api/switch_client.h"
#include "base/clock.h"
#include "base/str.h"
#include "cli/pull.h"

#define ASK_MS  10000
#define WORK_MS 600000 /* a scan reads the heads of many files; unloading waits for running answers */

struct models {
    struct cli *c;
    bool done, json, names, delete_file;
    int code;
    struct hermes_model_list *local;
    struct openai_model_list *others;
};

static struct client_call_options options_for(int64_t ms)
{
    return (struct client_call_options){.deadline_ms = clock_mono_ms() + ms};
}

/* started: what the typed call returned. */
static int models_wait(struct models *m, int started)
{
    if (started != 0)
        return cli_fail(CLI_FAILED, "%s", error_describe(started));
    cli_wait(m->c, &m->done);
    m->done = false;
    return m->code;
}

/* A reply outlives its callback by being parsed again into the command's arena. */
static void *keep(struct models *m, const struct client_reply *reply, const struct contract_message *message)
{
    struct contract_error bad;
    void *out = arena_alloc(m->c->arena, message->size);
    char *text = arena_strndup(m->c->arena, reply->body, reply->body_len);
    if (out && text && contract_parse(message, m->c->arena, text, reply->body_len, NULL, out, &bad) == 0)
        return out;
    return NULL;
}

/* ---- list ---- */

static void on_local(struct client_call *call, void *ctx, const struct client_reply *reply)
{
    struct models *m = ctx;
    (void)call;
    m->done = true;
    if (reply->message)
        m->local = keep(m, reply, &hermes_model_list_message);
    m->code = !reply->message ? cli_reply_failed(reply, "hermes")
              : m->local      ? 0
                              : cli_fail(CLI_FAILED, "out of memory");
}

/* The other providers' models are an extra: without Switch the local ones are told all the same. */
static void on_others(struct client_call *call, void *ctx, const struct client_reply *reply)
{
    struct models *m = ctx;
    (void)call;
    m->done = true;
    if (reply->message)
        m->others = keep(m, reply, &openai_model_list_message);
    else if (!m->names)
        cli_reply_failed(reply, "switch");
}

static bool is_local(const struct models *m, const char *id)
{
    for (size_t i = 0; i < m->local->models_count; i++)
        if (strcmp(m->local->models[i].name, id) == 0)
            return true;
    return false;
}

/* PROVIDER/MODEL beside the bare MODEL of the same provider says nothing new. */
static bool is_repeated(const struct openai_model_list *all, const struct openai_model *model)
{
    size_t n = strlen(model->owned_by);
    if (n == 0 || strncmp(model->id, model->owned_by, n) != 0 || model->id[n] != '/')
        return false;
    for (size_t i = 0; i < all->data_count; i++)
        if (strcmp(all->data[i].owned_by, model->owned_by) == 0 &&
            strcmp(all->data[i].id, model->id + n + 1) == 0)
            return true;
    return false;
}

/* Leaves in the list only what other providers offer. */
static void others_filter(struct models *m)
{
    if (!m->others)
        return;
    bool *drop = arena_array(m->c->arena, m->others->data_count + 1, sizeof *drop);
    size_t n = 0;
    for (size_t i = 0; drop && i < m->others->data_count; i++)
        drop[i] = is_local(m, m->others->data[i].id) || is_repeated(m->others, &m->others->data[i]);
    for (size_t i = 0; drop && i < m->others->data_count; i++)
        if (!drop[i])
            m->others->data[n++] = m->others->data[i];
    if (drop)
        m->others->data_count = n;
}

/* 3508224 -> "3.5M". */
static const char *short_number(bool has, int64_t n, char out[24])
{
    static const struct {
        double of;
        const char *unit;
    } steps[] = {{1e12, "T"}, {1e9, "B"}, {1e6, "M"}, {1e3, "k"}};
    if (!has)
        return "-";
    for (size_t i = 0; i < COUNT_OF(steps); i++) {
        if ((double)n >= steps[i].of) {
            snprintf(out, 24, "%.1f%s", (double)n / steps[i].of, steps[i].unit);
            return out;
        }
    }
    snprintf(out, 24, "%lld", (long long)n);
    return out;
}

static const char *bytes(bool has, int64_t n, char out[24])
{
    return has && n >= 0 ? str_format_bytes((uint64_t)n, out) : "-";
}

static void model_print(struct models *m, const struct hermes_model *model)
{
    char parameters[24], context[24] = "-", size[24];
    if (model->has_context_length)
        snprintf(context, sizeof context, "%lld", (long long)model->context_length);
    printf("%-28s %-8s %-10s %10s %-8s %8s %9s  %s\n", terminal_line(m->c->arena, model->name),
           hermes_model_source_names[model->source],
           model->enabled ? hermes_model_status_names[model->status] : "disabled",
           short_number(model->has_parameters, model->parameters, parameters),
           terminal_line(m->c->arena, model->quantisation), context,
           bytes(model->has_size_bytes, model->size_bytes, size),
           model->engine ? hermes_engine_state_names[model->engine->state] : "-");
    if (model->reason)
        printf("  %s\n", terminal_line(m->c->arena, model->reason));
}

static void table_print(struct models *m)
{
    printf("%-28s %-8s %-10s %10s %-8s %8s %9s  %s\n", "LOCAL MODEL", "SOURCE", "STATUS", "PARAMETERS",
           "QUANT", "CONTEXT", "SIZE", "ENGINE");
    for (size_t i = 0; i < m->local->models_count; i++)
        model_print(m, &m->local->models[i]);
    if (!m->others || m->others->data_count == 0)
        return;
    printf("\n%-52s %s\n", "MODEL OF ANOTHER PROVIDER", "PROVIDER");
    for (size_t i = 0; i < m->others->data_count; i++)
        printf("%-52s %s\n", terminal_line(m->c->arena, m->others->data[i].id),
               terminal_line(m->c->arena, m->others->data[i].owned_by));
}

/* One name a line, for completion: only names that no shell reads anything into. */
static void names_print(const struct models *m)
{
    static const char fine[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:@/+-";
    for (size_t i = 0; i < m->local->models_count; i++)
        if (strspn(m->local->models[i].name, fine) == strlen(m->local->models[i].name))
            puts(m->local->models[i].name);
    for (size_t i = 0; m->others && i < m->others->data_count; i++)
        if (strspn(m->others->data[i].id, fine) == strlen(m->others->data[i].id))
            puts(m->others->data[i].id);
}

static int models_list(struct models *m)
{
    struct client_call_options options = options_for(ASK_MS);
    struct client_call *call;
    int code = models_wait(
        m, hermes_models_list_call(m->c->client, cli_target(m->c, "hermes"), &options, on_local, m, &call));
    if (code != 0)
        return code;
    code = models_wait(
        m, switch_models_call(m->c->client, cli_target(m->c, "switch"), &options, on_others, m, &call));
    if (code != 0)
        return code;
    others_filter(m);
    if (m->names) {
        names_print(m);
        return CLI_OK;
    }
    if (m->json) {
        struct cli_model_table table = {.local = m->local->models, .local_count = m->local->models_count};
        if (m->others) {
            table.others = m->others->data;
            table.others_count = m->others->data_count;
        }
        return cli_print_json(&cli_model_table_message, &table);
    }
    table_print(m);
    return CLI_OK;
}

/* ---- one model ---- */

static void show_text(struct models *m, const char *label, const char *value)
{
    if (value)
        printf("%-14s %s\n", label, terminal_line(m->c->arena, value));
}

static void show_number(const char *label, bool has, int64_t value, const char *unit)
{
    if (has)
        printf("%-14s %lld%s%s\n", label, (long long)value, unit[0] ? " " : "", unit);
}

static void show_time(const char *label, bool has, int64_t at)
{
    char text[32];
    if (has)
        printf("%-14s %s\n", label, clock_format(at, text));
}

static void engine_show(struct models *m, const struct hermes_engine *e)
{
    printf("%-14s %s", "engine", hermes_engine_state_names[e->state]);
    if (e->has_progress && e->state == HERMES_ENGINE_STATE_LOADING)
        printf(" %.0f%%", e->progress * 100);
    if (e->has_bytes_total && e->state == HERMES_ENGINE_STATE_LOADING) {
        char read[24], total[24];
        printf(" (%s of %s)", str_format_bytes((uint64_t)e->bytes_read, read),
               str_format_bytes((uint64_t)e->bytes_total, total));
    }
    if (e->has_pid)
        printf(", process %lld", (long long)e->pid);
    if (e->has_rss_bytes) {
        char memory[24];
        printf(", %s", str_format_bytes((uint64_t)e->rss_bytes, memory));
    }
    printf("%s%s\n", e->reason ? ": " : "", e->reason ? terminal_line(m->c->arena, e->reason) : "");
}

static void model_show(struct models *m, const struct hermes_model *x)
{
    char size[24];
    show_text(m, "name", x->name);
    show_text(m, "title", x->title);
    show_text(m, "source", hermes_model_source_names[x->source]);
    show_text(m, "status", hermes_model_status_names[x->status]);
    show_text(m, "reason", x->reason);
    show_text(m, "enabled", x->enabled ? "yes" : "no");
    show_text(m, "path", x->path);
    show_text(m, "size", x->has_size_bytes ? bytes(true, x->size_bytes, size) : NULL);
    show_text(m, "sha256", x->sha256);
    show_text(m, "architecture", x->architecture);
    show_number("parameters", x->has_parameters, x->parameters, "");
    show_text(m, "quantisation", x->quantisation);
    show_number("context", x->has_context_length, x->context_length, "tokens");
    show_number("width", x->has_embedding_length, x->embedding_length, "");
    show_number("layers", x->has_layers, x->layers, "");
    show_number("vocabulary", x->has_vocabulary, x->vocabulary, "tokens");
    show_text(m, "chat template", x->has_chat_template ? "in the file" : "none");
    show_text(m, "licence", x->licence);
    show_number("handed out", true, x->usage_count, "times");
    show_time("last used", x->has_last_used_at, x->last_used_at);
    show_time("registered", true, x->created_at);
    if (x->engine)
        engine_show(m, x->engine);
}

static void on_model(struct client_call *call, void *ctx, const struct client_reply *reply)
{
    struct models *m = ctx;
    (void)call;
    m->done = true;
    if (!reply->message)
        m->code = cli_reply_failed(reply, "hermes");
    else if (m->json)
        m->code = cli_print_json(&hermes_model_message, reply->message);
    else
        model_show(m, reply->message);
}

static int models_show(struct models *m, const char *name)
{
    struct client_call_options options = options_for(ASK_MS);
    struct hermes_model_name params = {.name = name};
    struct client_call *call;
    return models_wait(m, hermes_models_get_call(m->c->client, cli_target(m->c, "hermes"), &params, &options,
                                                 on_model, m, &call));
}

static int models_add(struct models *m, const char *file, const char *name)
{
    struct client_call_options options = options_for(WORK_MS);
    struct client_call *call;
    char *path = realpath(file, NULL);
    if (!path)
        return cli_fail(CLI_FAILED, "%s: %s", file, strerror(errno));
    struct hermes_add_model body = {.path = path, .name = name};
    int started =
        hermes_models_add_call(m->c->client, cli_target(m->c, "hermes"), &body, &options, on_model, m, &call);
    free(path);
    return models_wait(m, started);
}

/* ---- remove, unload ---- */

static void on_plain(struct client_call *call, void *ctx, const struct client_reply *reply)
{
    struct models *m = ctx;
    (void)call;
    m->done = true;
    if (reply->result != 0 || reply->status >= 300)
        m->code = cli_reply_failed(reply, "hermes");
}

static int models_remove(struct models *m, const char *name)
{
    struct client_call_options options = options_for(WORK_MS);
    struct hermes_model_remove_params params = {.name = name, .delete_file = m->delete_file};
    struct client_call *call;
    int code = models_wait(m, hermes_models_remove_call(m->c->client, cli_target(m->c, "hermes"), &params,
                                                        &options, on_plain, m, &call));
    if (code == 0)
        printf("%s is forgotten; its file %s.\n", name, m->delete_file ? "is deleted" : "stays where it is");
    return code;
}

static int models_unload(struct models *m, const char *name)
{
    struct client_call_options options = options_for(WORK_MS);
    struct hermes_model_name params = {.name = name};
    struct client_call *call;
    int code = models_wait(m, hermes_engines_stop_call(m->c->client, cli_target(m->c, "hermes"), &params,
                                                       &options, on_plain, m, &call));
    if (code == 0)
        printf("%s is unloaded.\n", name);
    return code;
}

/* ---- scan, engines ---- */

static void scan_words(struct models *m, const char *label, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        printf("%-8s %s\n", label, terminal_line(m->c->arena, names[i]));
}

static void on_scan(struct client_call *call, void *ctx, const struct client_reply *reply)
{
    struct models *m = ctx;
    const struct hermes_scan_reply *r = reply->message;
    (void)call;
    m->done = true;
    if (!r) {
        m->code = cli_reply_failed(reply, "hermes");
        return;
    }
    if (m->json) {
        m->code = cli_print_json(&hermes_scan_reply_message, r);
        return;
    }
    scan_words(m, "added", r->added, r->added_count);
    scan_words(m, "changed", r->changed, r->changed_count);
    scan_words(m, "missing", r->missing, r->missing_count);
    for (size_t i = 0; i < r->refused_count; i++)
        printf("refused  %s: %s\n", terminal_line(m->c->arena, r->refused[i].path),
               terminal_line(m->c->arena, r->refused[i].reason));
    if (r->added_count + r->changed_count + r->missing_count + r->refused_count == 0)
        puts("Nothing has changed.");
}

static int models_scan(struct models *m)
{
    struct client_call_options options = options_for(WORK_MS);
    struct client_call *call;
    return models_wait(
        m, hermes_scan_call(m->c->client, cli_target(m->c, "hermes"), &options, on_scan, m, &call));
}

static void engine_print(struct models *m, const struct hermes_engine *e)
{
    char pid[24] = "-", memory[24], load[24] = "-";
    if (e->has_pid)
        snprintf(pid, sizeof pid, "%lld", (long long)e->pid);
    if (e->has_load_ms)
        str_format_duration(e->load_ms, load);
    printf("%-28s %-9s %8s %10s %9s %8lld\n", terminal_line(m->c->arena, e->model),
           hermes_engine_state_names[e->state], pid, bytes(e->has_rss_bytes, e->rss_bytes, memory), load,
           (long long)e->restarts);
    if (e->reason)
        printf("  %s\n", terminal_line(m->c->arena, e->reason));
}

static void on_engines(struct client_call *call, void *ctx, const struct client_reply *reply)
{
    struct models *m = ctx;
    const struct hermes_engine_list *list = reply->message;
    (void)call;
    m->done = true;
    if (!list) {
        m->code = cli_reply_failed(reply, "hermes");
    } else if (m->json) {
        m->code = cli_print_json(&hermes_engine_list_message, list);
    } else if (list->engines_count == 0) {
        puts("No engine runs: one starts with the first request for its model.");
    } else {
        printf("%-28s %-9s %8s %10s %9s %8s\n", "MODEL", "STATE", "PID", "MEMORY", "LOADED IN", "RESTARTS");
        for (size_t i = 0; i < list->engines_count; i++)
            engine_print(m, &list->engines[i]);
    }
}

static int models_engines(struct models *m)
{
    struct client_call_options options = options_for(ASK_MS);
    struct client_call *call;
    return models_wait(m, hermes_engines_list_call(m->c->client, cli_target(m->c, "hermes"), &options,
                                                   on_engines, m, &call));
}

/* ---- the command ---- */

enum what { LIST, SHOW, ADD, REMOVE, SCAN, ENGINES, UNLOAD };
static const struct {
    const char *name;
    bool takes_name;
} subcommands[] = {
    [LIST] = {"list", false},    [SHOW] = {"show", true},  [ADD] = {"add", true},
    [REMOVE] = {"remove", true}, [SCAN] = {"scan", false}, [ENGINES] = {"engines", false},
    [UNLOAD] = {"unload", true},
};

static int models_do(struct models *m, enum what what, const char *argument, const char *name)
{
    switch (what) {
    case LIST:
        return models_list(m);
    case SHOW:
        return models_show(m, argument);
    case ADD:
        return models_add(m, argument, name);
    case REMOVE:
        return models_remove(m, argument);
    case SCAN:
        return models_scan(m);
    case ENGINES:
        return models_engines(m);
    case UNLOAD:
        return models_unload(m, argument);
    }
    return CLI_FAILED;
}

int command_models(int argc, char **argv)
{
    struct cli c;
    struct models m = {.c = &c};
    const char *argument = NULL, *name = NULL;
    size_t what = COUNT_OF(subcommands);
    for (size_t i = 0; i < COUNT_OF(subcommands); i++)
        if (argc > 1 && strcmp(subcommands[i].name, argv[1]) == 0)
            what = i;
    if (argc > 1 && pull_is_command(argv[1]))
        return pull_command(argc, argv);
    if (argc > 1 && models_pool_takes(argv[1]))
        return command_models_pool(argc, argv);
    if (argc < 2)
        return cli_usage("models",
                         "list, show, add, pull, pulls, catalogue, remove, scan, engines or unload?");
    if (what == COUNT_OF(subcommands))
        return cli_usage("models", "what is %s?", argv[1]);
    for (int i = 2; i < argc; i++) {
        int is = what == ADD ? cli_option("models", argc, argv, &i, "--name", &name) : 0;
        if (is < 0)
            return CLI_USAGE;
        if (is > 0)
            continue;
        if (strcmp(argv[i], "--json") == 0)
            m.json = true;
        else if (what == LIST && strcmp(argv[i], "--names") == 0)
            m.names = true;
        else if (what == REMOVE && strcmp(argv[i], "--delete-file") == 0)
            m.delete_file = true;
        else if (subcommands[what].takes_name && !argument && argv[i][0] != '-')
            argument = argv[i];
        else
            return cli_usage("models", "unknown argument %s", argv[i]);
    }
    if (subcommands[what].takes_name && !argument)
        return cli_usage("models", "%s wants a %s", subcommands[what].name, what == ADD ? "file" : "name");
    int code = cli_open_anyway(&c);
    if (code == 0)
        code = models_do(&m, (enum what)what, argument, name);
    cli_close(&c);
    return code;
}
