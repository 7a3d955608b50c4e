/* Pull: downloads by Hermes, followed here. The download is Hermes' job, not this command's: Ctrl-C leaves it
 * running and says how to cancel it.
 *
 *   POST /hermes/models/pull ─> id ─> GET /hermes/pulls/ID/events ─> a bar in a terminal, lines elsewhere */
#include "cli/pull.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "api/hermes_client.h"
#include "base/clock.h"
#include "base/str.h"
#include "net/sse.h"

#define ASK_MS   30000
#define AGAIN_MS 1000
#define LOST_MS  60000 /* how long Hermes may be away while we follow */
#define LINE_MS  5000  /* between two lines when it is no terminal */

struct puller {
    struct cli *c;
    bool json, wait, terminal, done, over, interrupted, stream_over, bar_shown, closed;
    int code;
    char id[27];
    struct client_call *call;
    struct sse_parser sse;
    struct arena *arena; /* of the newest state */
    struct hermes_pull *pull;
    size_t notes_told;
    int64_t line_at, seen_at;
    int percent;
    uv_signal_t interrupt;
    uv_timer_t pause;
};

static struct client_call_options options_for(int64_t ms)
{
    return (struct client_call_options){.deadline_ms = clock_mono_ms() + ms};
}

/* ---- showing ---- */

static void line_clear(struct puller *p)
{
    if (p->bar_shown)
        fputs("\r\033[K", stdout);
    p->bar_shown = false;
}

static void notes_tell(struct puller *p)
{
    for (; p->pull && p->notes_told < p->pull->notes_count; p->notes_told++) {
        line_clear(p);
        printf("%s\n", terminal_line(p->arena, p->pull->notes[p->notes_told]));
    }
}

static void numbers(const struct hermes_pull *x, char *out, size_t size)
{
    char done[24], all[24] = "?", rate[24], eta[24];
    size_t n = 0;
    if (x->has_total)
        str_format_bytes((uint64_t)x->total, all);
    n = (size_t)snprintf(out, size, "%s of %s", str_format_bytes((uint64_t)x->bytes, done), all);
    if (x->has_rate && n < size)
        n += (size_t)snprintf(out + n, size - n, ", %s/s", str_format_bytes((uint64_t)x->rate, rate));
    if (x->has_eta_ms && x->eta_ms > 0 && n < size)
        (void)snprintf(out + n, size - n, ", %s left", str_format_duration(x->eta_ms, eta));
}

static int percent_of(const struct hermes_pull *x)
{
    return x->has_total && x->total > 0 ? (int)(x->bytes * 100 / x->total) : -1;
}

static void bar_draw(struct puller *p)
{
    const struct hermes_pull *x = p->pull;
    struct winsize size = {0};
    char text[160], bar[41];
    int percent = percent_of(x), width = 30;
    numbers(x, text, sizeof text);
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_col < 90)
        width = size.ws_col > 70 ? 10 : 0;
    for (int i = 0; i < width; i++)
        bar[i] = percent >= 0 && i * 100 < percent * width ? '#' : '.';
    bar[width] = '\0';
    printf("\r\033[K%s%s%s%3d%%  %s%s", width ? "[" : "", bar, width ? "] " : "", percent < 0 ? 0 : percent,
           text, x->has_phase && x->phase == HERMES_PULL_PHASE_VERIFYING ? ", checking" : "");
    fflush(stdout);
    p->bar_shown = true;
}

static void line_draw(struct puller *p)
{
    char text[160];
    int64_t now = clock_mono_ms();
    int percent = percent_of(p->pull);
    if (p->line_at > 0 && now - p->line_at < LINE_MS && percent / 10 == p->percent / 10)
        return;
    numbers(p->pull, text, sizeof text);
    printf("%d%%  %s\n", percent < 0 ? 0 : percent, text);
    fflush(stdout);
    p->line_at = now;
    p->percent = percent;
}

static void progress_show(struct puller *p)
{
    if (p->json)
        return;
    notes_tell(p);
    if (p->pull->state != HERMES_PULL_STATE_RUNNING || p->pull->parts_count == 0)
        return;
    if (p->terminal)
        bar_draw(p);
    else
        line_draw(p);
}

/* ---- following ---- */

static void state_keep(struct puller *p, const char *text, size_t len)
{
    struct contract_error bad;
    arena_reset(p->arena);
    p->pull = arena_alloc(p->arena, sizeof *p->pull);
    char *copy = arena_strndup(p->arena, text, len);
    if (!p->pull || !copy || hermes_pull_parse(p->arena, copy, len, p->pull, &bad) != 0) {
        p->pull = NULL;
        return;
    }
    p->seen_at = clock_mono_ms();
    p->over = p->pull->state != HERMES_PULL_STATE_QUEUED && p->pull->state != HERMES_PULL_STATE_RUNNING;
    progress_show(p);
}

static int on_event(void *ctx, const struct sse_event *e)
{
    state_keep(ctx, e->data, e->data_len);
    return 0;
}

static void stream_data(struct client_call *call, void *ctx, const char *data, size_t len)
{
    struct puller *p = ctx;
    if (client_call_status(call) == 200)
        (void)sse_feed(&p->sse, data, len, on_event, p);
}

static void stream_done(struct client_call *call, void *ctx, int result, const struct error *err)
{
    struct puller *p = ctx;
    (void)call, (void)result, (void)err;
    p->call = NULL;
    p->done = true;
}

static int follow_once(struct puller *p)
{
    static const struct client_events events = {.on_data = stream_data, .on_done = stream_done};
    const struct client_call_options options = {.first_byte_timeout_ms = ASK_MS};
    struct error err = {0};
    char path[80];
    (void)snprintf(path, sizeof path, "/hermes/pulls/%s/events", p->id);
    sse_init(&p->sse, 0);
    p->done = false;
    int rc = client_start(p->c->client, cli_target(p->c, "hermes"), "GET", path, NULL, NULL, 0, &options,
                          &events, p, &p->call, &err);
    if (rc == 0)
        cli_wait(p->c, &p->done);
    sse_free(&p->sse);
    return rc;
}

static void on_pause(uv_timer_t *timer)
{
    struct puller *p = timer->data;
    p->done = true;
}

static void on_interrupt(uv_signal_t *signal, int number)
{
    struct puller *p = signal->data;
    (void)number;
    p->interrupted = true;
    p->done = true;
    uv_timer_stop(&p->pause);
    if (p->call)
        client_cancel(p->call);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct puller *p = handle->data;
    p->done = p->closed;
    p->closed = true;
}

/* Hermes may be started again meanwhile, and goes on with the pull then. */
static void follow(struct puller *p)
{
    p->seen_at = clock_mono_ms();
    uv_signal_init(&p->c->loop, &p->interrupt);
    uv_timer_init(&p->c->loop, &p->pause);
    p->interrupt.data = p->pause.data = p;
    uv_signal_start(&p->interrupt, on_interrupt, SIGINT);
    while (!p->over && !p->interrupted && clock_mono_ms() - p->seen_at < LOST_MS) {
        if (follow_once(p) != 0)
            break;
        if (p->over || p->interrupted)
            break;
        p->done = false;
        uv_timer_start(&p->pause, on_pause, AGAIN_MS, 0);
        cli_wait(p->c, &p->done);
    }
    p->done = p->closed = false;
    uv_close((uv_handle_t *)&p->interrupt, on_handle_closed);
    uv_close((uv_handle_t *)&p->pause, on_handle_closed);
    cli_wait(p->c, &p->done);
}

static int end_tell(struct puller *p)
{
    char size[24];
    line_clear(p);
    if (p->json && p->pull)
        cli_print_json(&hermes_pull_message, p->pull);
    if (!p->over && p->interrupted) {
        fprintf(stderr,
                "The pull goes on without this command: `vx11 models pulls` shows it, "
                "`vx11 models pull --cancel %s` ends it.\n",
                p->id);
        return CLI_INTERRUPTED;
    }
    if (!p->over || !p->pull)
        return cli_fail(CLI_NOT_RUNNING, "Hermes no longer answers; `vx11 models pulls` will show pull %s",
                        p->id);
    if (p->pull->state == HERMES_PULL_STATE_DONE) {
        if (!p->json)
            printf("%s is here: %s, %s\n", terminal_line(p->arena, p->pull->model),
                   str_format_bytes((uint64_t)p->pull->bytes, size), terminal_line(p->arena, p->pull->path));
        return CLI_OK;
    }
    return cli_fail(CLI_FAILED, "the pull %s: %s",
                    p->pull->state == HERMES_PULL_STATE_FAILED ? "failed" : "was cancelled",
                    p->pull->reason ? p->pull->reason : "no reason is known");
}

static void on_asked(struct client_call *call, void *ctx, const struct client_reply *reply)
{
    struct puller *p = ctx;
    const struct hermes_pull *pull = reply->message;
    (void)call;
    p->done = true;
    if (!pull) {
        p->code = cli_reply_failed(reply, "hermes");
        return;
    }
    (void)snprintf(p->id, sizeof p->id, "%s", pull->id);
    if (p->wait)
        return;
    if (p->json)
        p->code = cli_print_json(&hermes_pull_message, pull);
    else
        printf("pull %s of %s has begun: `vx11 models pulls` shows it\n", pull->id,
               terminal_line(p->c->arena, pull->source));
}

static int pull_ask(struct puller *p, const struct hermes_pull_request *body)
{
    struct client_call_options options = options_for(ASK_MS);
    struct client_call *call;
    int rc =
        hermes_models_pull_call(p->c->client, cli_target(p->c, "hermes"), body, &options, on_asked, p, &call);
    if (rc != 0)
        return cli_fail(CLI_FAILED, "%s", error_describe(rc));
    cli_wait(p->c, &p->done);
    if (p->code != 0 || !p->wait)
        return p->code;
    follow(p);
    return end_tell(p);
}

/* ---- cancelling, listing ---- */

static void on_cancelled(struct client_call *call, void *ctx, const struct client_reply *reply)
{
    struct puller *p = ctx;
    const struct hermes_pull *pull = reply->message;
    (void)call;
    p->done = true;
    if (!pull)
        p->code = cli_reply_failed(reply, "hermes");
    else if (p->json)
        p->code = cli_print_json(&hermes_pull_message, pull);
    else
        printf("pull %s is cancelled%s.\n", pull->id,
               p->wait ? "; what was downloaded is kept for another try"
                       : ", and what it had downloaded is deleted");
}

static int pull_cancel(struct puller *p, const char *id, bool discard)
{
    struct client_call_options options = options_for(ASK_MS);
    struct hermes_pull_cancel_params params = {.id = id, .discard = discard};
    struct client_call *call;
    p->wait = !discard;
    int rc = hermes_pulls_cancel_call(p->c->client, cli_target(p->c, "hermes"), &params, &options,
                                      on_cancelled, p, &call);
    if (rc != 0)
        return cli_fail(CLI_FAILED, "%s",
                        rc == VX11_EINVALID ? "that is no id of a pull" : error_describe(rc));
    cli_wait(p->c, &p->done);
    return p->code;
}

static void on_list(struct client_call *call, void *ctx, const struct client_reply *reply)
{
    struct puller *p = ctx;
    const struct hermes_pull_list *list = reply->message;
    (void)call;
    p->done = true;
    if (!list) {
        p->code = cli_reply_failed(reply, "hermes");
        return;
    }
    if (p->json) {
        p->code = cli_print_json(&hermes_pull_list_message, list);
        return;
    }
    printf("%-26s %-9s %4s  %-22s %s\n", "PULL", "STATE", "", "DOWNLOADED", "SOURCE");
    for (size_t i = 0; i < list->pulls_count; i++) {
        const struct hermes_pull *x = &list->pulls[i];
        char text[160], percent[16] = "";
        numbers(x, text, sizeof text);
        if (percent_of(x) >= 0)
            (void)snprintf(percent, sizeof percent, "%d%%", percent_of(x));
        printf("%-26s %-9s %4s  %-22s %s\n", x->id, hermes_pull_state_names[x->state], percent, text,
               terminal_line(p->c->arena, x->source));
        if (x->reason)
            printf("  %s\n", terminal_line(p->c->arena, x->reason));
    }
}

static void on_catalogue(struct client_call *call, void *ctx, const struct client_reply *reply)
{
    struct puller *p = ctx;
    const struct hermes_catalog *c = reply->message;
    (void)call;
    p->done = true;
    if (!c) {
        p->code = cli_reply_failed(reply, "hermes");
        return;
    }
    if (p->json) {
        p->code = cli_print_json(&hermes_catalog_message, c);
        return;
    }
    printf("%-30s %-10s %9s %9s %-5s %-14s %s\n", "NAME", "STATE", "SIZE", "MEMORY", "FITS", "LICENCE",
           "MODEL");
    for (size_t i = 0; i < c->models_count; i++) {
        const struct hermes_catalog_entry *m = &c->models[i];
        char size[24] = "-", ram[24] = "-";
        if (m->has_size_bytes)
            str_format_bytes((uint64_t)m->size_bytes, size);
        if (m->has_ram_bytes)
            str_format_bytes((uint64_t)m->ram_bytes, ram);
        printf("%-30s %-10s %9s %9s %-5s %-14s %s\n", terminal_line(p->c->arena, m->name),
               hermes_catalog_state_names[m->state], size, ram,
               !m->has_fits ? "-"
               : m->fits    ? "yes"
                            : "no",
               terminal_line(p->c->arena, m->licence), terminal_line(p->c->arena, m->title));
    }
}

static int show_list(struct puller *p, bool catalogue)
{
    struct client_call_options options = options_for(ASK_MS);
    const struct client_target *hermes = cli_target(p->c, "hermes");
    struct client_call *call;
    int rc = catalogue ? hermes_catalog_call(p->c->client, hermes, &options, on_catalogue, p, &call)
                       : hermes_pulls_list_call(p->c->client, hermes, &options, on_list, p, &call);
    if (rc != 0)
        return cli_fail(CLI_FAILED, "%s", error_describe(rc));
    cli_wait(p->c, &p->done);
    return p->code;
}

/* ---- the command ---- */

struct arguments {
    const char *source, *name, *revision, *rate, *cancel;
    bool discard;
};

static int arguments_read(struct puller *p, struct arguments *a, int argc, char **argv, bool pull)
{
    const struct {
        const char *name, **value;
    } valued[] = {
        {"--name", &a->name}, {"--revision", &a->revision}, {"--rate", &a->rate}, {"--cancel", &a->cancel}};
    for (int i = 2; i < argc; i++) {
        int is = 0;
        for (size_t k = 0; pull && is == 0 && k < COUNT_OF(valued); k++)
            is = cli_option("models", argc, argv, &i, valued[k].name, valued[k].value);
        if (is < 0)
            return CLI_USAGE;
        if (is > 0)
            continue;
        if (strcmp(argv[i], "--json") == 0)
            p->json = true;
        else if (pull && strcmp(argv[i], "--no-wait") == 0)
            p->wait = false;
        else if (pull && strcmp(argv[i], "--discard") == 0)
            a->discard = true;
        else if (pull && !a->source && argv[i][0] != '-')
            a->source = argv[i];
        else
            return cli_usage("models", "unknown argument %s", argv[i]);
    }
    if (pull && !a->source == !a->cancel)
        return cli_usage("models", "pull wants a source, or --cancel and an id");
    if (a->discard && !a->cancel)
        return cli_usage("models", "--discard goes with --cancel");
    return 0;
}

static int pull_do(struct puller *p, const struct arguments *a)
{
    struct hermes_pull_request body = {.source = a->source, .name = a->name, .revision = a->revision};
    uint64_t rate = 0;
    if (a->cancel)
        return pull_cancel(p, a->cancel, a->discard);
    if (a->rate && (str_to_bytes(a->rate, &rate) != 0 || rate > (UINT64_C(1) << 40)))
        return cli_usage("models", "--rate wants bytes a second, such as 5MiB");
    body.rate_bytes = (int64_t)rate;
    return pull_ask(p, &body);
}

int pull_command(int argc, char **argv)
{
    struct cli c;
    struct puller p = {.c = &c, .wait = true, .terminal = isatty(STDOUT_FILENO) != 0, .percent = -10};
    struct arguments a = {0};
    bool pull = strcmp(argv[1], "pull") == 0;
    int code = arguments_read(&p, &a, argc, argv, pull);
    if (code != 0)
        return code;
    p.arena = arena_create(0);
    code = p.arena ? cli_open_anyway(&c) : cli_fail(CLI_FAILED, "out of memory");
    if (p.arena && code == 0)
        code = pull ? pull_do(&p, &a) : show_list(&p, strcmp(argv[1], "catalogue") == 0);
    if (p.arena)
        cli_close(&c);
    arena_destroy(p.arena);
    return code;
}

bool pull_is_command(const char *name)
{
    return strcmp(name, "pull") == 0 || strcmp(name, "pulls") == 0 || strcmp(name, "catalogue") == 0;
}
