/* Status: every module as the supervisor measured it just now. */
#include "cli/cli_internal.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "api/supervisor_client.h"
#include "base/clock.h"
#include "base/str.h"

struct fetch {
    struct cli *c;
    struct supervisor_status *out;
    bool done, quiet, json;
    int code;
};

/* The message lives in the reply's arena: its text is parsed again into the command's, which is simpler than
 * copying every member. */
static void on_status(struct client_call *call, void *ctx, const struct client_reply *reply)
{
    struct fetch *f = ctx;
    struct contract_error bad;
    (void)call;
    f->done = true;
    if (!reply->message) {
        f->code = CLI_NOT_RUNNING;
        if (!f->quiet)
            f->code = cli_reply_failed(reply, "the supervisor");
        return;
    }
    f->out = arena_alloc(f->c->arena, sizeof *f->out);
    char *text = arena_strndup(f->c->arena, reply->body, reply->body_len);
    if (!f->out || !text || supervisor_status_parse(f->c->arena, text, reply->body_len, f->out, &bad) != 0)
        f->code = CLI_FAILED;
}

int status_fetch(struct cli *c, struct supervisor_status **out, bool quiet)
{
    struct fetch f = {.c = c, .quiet = quiet};
    struct client_call_options options = {.deadline_ms = clock_mono_ms() + 5000};
    struct client_call *call;
    if (supervisor_status_call(c->client, cli_target(c, "supervisor"), &options, on_status, &f, &call) != 0)
        return cli_fail(CLI_FAILED, "out of memory");
    cli_wait(c, &f.done);
    *out = f.out;
    return f.code;
}

static const char *color_of(const char *word)
{
    if (!cli_color())
        return "";
    if (strcmp(word, "ok") == 0)
        return "\033[32m";
    return strcmp(word, "degraded") == 0 || strcmp(word, "off") == 0 || strcmp(word, "standby") == 0
               ? "\033[33m"
               : "\033[31m";
}

void status_cells(const struct supervisor_module *m, struct status_cells *out)
{
    *out = (struct status_cells){.pid = "-", .port = "-", .uptime = "-", .cpu = "-", .memory = "-"};
    const char *health =
        m->has_health ? common_health_names[m->health] : supervisor_process_names[m->process];
    snprintf(out->health, sizeof out->health, "%s", health);
    snprintf(out->state, sizeof out->state, "%s", common_state_names[m->state]);
    snprintf(out->restarts, sizeof out->restarts, "%lld", (long long)m->restarts);
    if (m->has_uptime_s)
        str_format_duration((int64_t)(m->uptime_s * 1000), out->uptime);
    if (m->has_pss_bytes)
        str_format_bytes((uint64_t)m->pss_bytes, out->memory);
    if (m->has_cpu_percent)
        snprintf(out->cpu, sizeof out->cpu, "%.1f%%", m->cpu_percent);
    if (m->has_pid)
        snprintf(out->pid, sizeof out->pid, "%lld", (long long)m->pid);
    if (m->has_port)
        snprintf(out->port, sizeof out->port, "%lld", (long long)m->port);
}

/* A reason may quote a provider. */
static void print_words(const char *label, const char *words)
{
    struct buf clean = BUF_INIT;
    if (terminal_clean(words, strlen(words), true, &clean) == 0)
        printf("             %s%s\n", label, clean.data);
    buf_free(&clean);
}

static void print_module(const struct supervisor_module *m)
{
    struct status_cells cell;
    status_cells(m, &cell);
    printf("%-12s %s%-9s%s %-8s %7s %6s %9s %8s %7s %9s\n", m->name, color_of(cell.health), cell.health,
           cli_color() ? "\033[0m" : "", cell.state, cell.pid, cell.port, cell.uptime, cell.restarts,
           cell.cpu, cell.memory);
    if (m->reason)
        print_words("", m->reason);
    if (m->has_next_start_ms) {
        char when[64];
        snprintf(when, sizeof when, "starts again in %lld ms; last: ", (long long)m->next_start_ms);
        print_words(when, m->last_exit ? m->last_exit : "unknown");
    }
}

void status_print(const struct supervisor_status *s)
{
    char uptime[24];
    str_format_duration((int64_t)(s->uptime_s * 1000), uptime);
    printf("VX11 %s, %s%s%s, up %s\n", s->version, color_of(common_health_names[s->health]),
           common_health_names[s->health], cli_color() ? "\033[0m" : "", uptime);
    printf("page %s   api %s   home %s\n\n", s->page, s->api, s->home);
    printf("%-12s %-9s %-8s %7s %6s %9s %8s %7s %9s\n", "MODULE", "HEALTH", "STATE", "PID", "PORT", "UPTIME",
           "RESTARTS", "CPU", "MEMORY");
    for (size_t i = 0; i < s->modules_count; i++)
        print_module(&s->modules[i]);
}

int command_status(int argc, char **argv)
{
    bool json = false, watch = false;
    struct cli c;
    struct supervisor_status *s = NULL;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0)
            json = true;
        else if (strcmp(argv[i], "--watch") == 0)
            watch = true;
        else
            return cli_usage("status", "unknown argument %s", argv[i]);
    }
    int code = cli_open_anyway(&c);
    if (code == 0 && watch)
        code = screen_run(&c, false, NULL);
    else if (code == 0)
        code = status_fetch(&c, &s, false);
    if (code == 0 && s && json) {
        code = cli_print_json(&supervisor_status_message, s);
    } else if (code == 0 && s) {
        status_print(s);
    }
    if (code == 0 && s && s->health != COMMON_HEALTH_OK)
        code = CLI_FAILED;
    cli_close(&c);
    return code;
}
