/* Models in memory: warming, pinning, and how one would be loaded. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "api/cli.h"
#include "api/hermes_client.h"
#include "base/str.h"
#include "cli/ask.h"

#define ASK_MS     10000
#define WARM_MS    660000
#define NAMES_MOST 64

struct pooling {
    struct cli *c;
    const char *names[NAMES_MOST];
    size_t count;
    bool json;
    int64_t tokens, timeout_ms;
};

/* ---- warm ---- */

static void warm_print(struct pooling *p, const struct hermes_warm_result *w)
{
    char load[24] = "-";
    if (w->has_load_ms)
        str_format_duration(w->load_ms, load);
    printf("%s: %s %s", terminal_line(p->c->arena, w->model),
           w->loaded_before ? "loaded already, ready in" : "loaded in", load);
    if (w->has_first_token_ms)
        printf(", first %s after %.1f ms", w->has_tokens ? "token" : "vector", w->first_token_ms);
    if (w->has_tokens)
        printf(", %" PRId64 " token%s", w->tokens, w->tokens == 1 ? "" : "s");
    if (w->has_tokens_per_s)
        printf(", %.1f tokens/s", w->tokens_per_s);
    puts("");
}

static int models_warm(struct pooling *p)
{
    struct hermes_warm_result *results = arena_array(p->c->arena, p->count, sizeof *results);
    int worst = CLI_OK;
    size_t n = 0;
    if (!results)
        return cli_fail(CLI_FAILED, "out of memory");
    for (size_t i = 0; i < p->count; i++) {
        const struct hermes_model_name params = {.name = p->names[i]};
        const struct hermes_warm_request body = {.tokens = p->tokens, .timeout_ms = p->timeout_ms};
        const struct client_call_options options = ask_within(WARM_MS);
        struct ask a;
        ask_begin(&a, p->c, &hermes_warm_result_message);
        if (!ask_wait(&a, hermes_models_warm_call(p->c->client, cli_target(p->c, "hermes"), &params, &body,
                                                  &options, ask_reply, &a, &a.call))) {
            const int code = ask_failed(&a, "hermes");
            worst = worst == CLI_OK ? code : worst;
            if (code == CLI_NOT_RUNNING)
                return code;
            continue;
        }
        results[n] = *(const struct hermes_warm_result *)a.message;
        if (!p->json)
            warm_print(p, &results[n]);
        n++;
    }
    if (p->json) {
        const struct cli_warm_list list = {.models = results, .models_count = n};
        const int code = cli_print_json(&cli_warm_list_message, &list);
        return worst != CLI_OK ? worst : code;
    }
    return worst;
}

/* ---- pin, unpin ---- */

static int models_pin(struct pooling *p, bool pin)
{
    for (size_t i = 0; i < p->count; i++) {
        const struct hermes_model_name params = {.name = p->names[i]};
        const struct client_call_options options = ask_within(ASK_MS);
        const struct client_target *hermes = cli_target(p->c, "hermes");
        struct ask a;
        ask_begin(&a, p->c, &hermes_model_message);
        if (!ask_wait(&a, pin ? hermes_models_pin_call(p->c->client, hermes, &params, &options, ask_reply, &a,
                                                       &a.call)
                              : hermes_models_unpin_call(p->c->client, hermes, &params, &options, ask_reply,
                                                         &a, &a.call)))
            return ask_failed(&a, "hermes");
        if (p->json)
            (void)cli_print_json(&hermes_model_message, a.message);
        else
            printf(pin ? "%s is pinned: once loaded it stays.\n" : "%s is not pinned.\n",
                   terminal_line(p->c->arena, p->names[i]));
    }
    return CLI_OK;
}

/* ---- plan ---- */

static void steps_print(struct pooling *p, const char *label, const struct hermes_plan_step *steps, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char bytes[24];
        printf("%-10s %s, which gives back %s; used %" PRId64 " times\n", label,
               terminal_line(p->c->arena, steps[i].model),
               str_format_bytes((uint64_t)steps[i].frees_bytes, bytes), steps[i].usage_count);
    }
}

static int models_plan(struct pooling *p)
{
    const struct hermes_plan_request body = {.model = p->names[0]};
    const struct client_call_options options = ask_within(ASK_MS);
    struct ask a;
    char need[24], used[24], budget[24];
    ask_begin(&a, p->c, &hermes_plan_message);
    if (!ask_wait(&a, hermes_plan_call(p->c->client, cli_target(p->c, "hermes"), &body, &options, ask_reply,
                                       &a, &a.call)))
        return ask_failed(&a, "hermes");
    const struct hermes_plan *plan = a.message;
    if (p->json)
        return cli_print_json(&hermes_plan_message, plan);
    printf("%s: %s\n", terminal_line(p->c->arena, plan->model), terminal_line(p->c->arena, plan->reason));
    printf("%-10s %s with a full context\n", "needs", str_format_bytes((uint64_t)plan->need_bytes, need));
    printf("%-10s %s", "in use", str_format_bytes((uint64_t)plan->used_bytes, used));
    if (plan->has_budget_bytes)
        printf(" of %s", str_format_bytes((uint64_t)plan->budget_bytes, budget));
    puts("");
    steps_print(p, "unload", plan->evict, plan->evict_count);
    steps_print(p, "wait for", plan->drain, plan->drain_count);
    return CLI_OK;
}

/* ---- the command ---- */

enum what { WARM, PIN, UNPIN, PLAN };
static const char *const words[] = {[WARM] = "warm", [PIN] = "pin", [UNPIN] = "unpin", [PLAN] = "plan"};

bool models_pool_takes(const char *word)
{
    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (strcmp(words[i], word) == 0)
            return true;
    return false;
}

static int number_option(int argc, char **argv, int *i, const char *name, int64_t max, int64_t *out)
{
    const char *text;
    const int is = cli_option("models", argc, argv, i, name, &text);
    if (is <= 0)
        return is;
    if (str_to_i64(text, 1, max, out) != 0) {
        cli_usage("models", "%s wants a number from 1 to %" PRId64, name, max);
        return -1;
    }
    return 1;
}

int command_models_pool(int argc, char **argv)
{
    struct cli c;
    struct pooling p = {.c = &c, .tokens = 1, .timeout_ms = 120000};
    enum what what = WARM;
    while (strcmp(words[what], argv[1]) != 0)
        what++;
    for (int i = 2; i < argc; i++) {
        int is = what == WARM ? number_option(argc, argv, &i, "--tokens", 256, &p.tokens) : 0;
        if (is == 0 && what == WARM)
            is = number_option(argc, argv, &i, "--timeout-ms", 600000, &p.timeout_ms);
        if (is < 0)
            return CLI_USAGE;
        if (is > 0)
            continue;
        if (strcmp(argv[i], "--json") == 0)
            p.json = true;
        else if (argv[i][0] == '-' || p.count == (what == PLAN ? 1 : NAMES_MOST))
            return cli_usage("models", "unknown argument %s", argv[i]);
        else
            p.names[p.count++] = argv[i];
    }
    if (p.count == 0)
        return cli_usage("models", "%s wants a name", words[what]);
    int code = cli_open_anyway(&c);
    if (code == 0)
        code = what == WARM ? models_warm(&p) : what == PLAN ? models_plan(&p) : models_pin(&p, what == PIN);
    cli_close(&c);
    return code;
}
