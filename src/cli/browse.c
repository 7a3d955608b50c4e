/* Browse: has the operator's browser do something, tells the steps as they go, and gives what was found. The
 * task is the operator's job: a stream that breaks is taken up again; Ctrl-C cancels the task.
 *
 *   POST /operator/browser/task ─> id ─> GET …/events ─> steps on standard error, what was found on standard
 *   output ─> GET /operator/browser/screenshots/ID ─> file */
#include "cli/cli_internal.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/cli.h"
#include "api/operator_client.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/str.h"
#include "contract/yaml.h"
#include "net/sse.h"

#define ASK_MS     30000
#define AGAIN_MS   500
#define LOST_MS    30000 /* how long the operator may be away while we follow */
#define SCRIPT_MAX (1u << 20)

struct browser_words { /* what the command line says */
    const char *what, *id, *url, *screenshot, *script, *timeout, *limit;
    bool text, snapshot, json, no_wait;
};

struct browse {
    struct cli *c;
    struct browser_words w;
    bool done, over, interrupted, closed;
    int code;
    char id[27];
    struct client_call *call;
    struct sse_parser sse;
    struct arena *arena; /* of the newest state */
    struct operator_browser_task *task;
    size_t told; /* steps told of */
    int64_t seen_at;
    uv_signal_t interrupt;
    uv_timer_t pause;
    struct buf picture;
    struct error error;
};

static struct client_call_options options_for(int64_t ms)
{
    return (struct client_call_options){.deadline_ms = clock_mono_ms() + ms};
}

static const struct client_target *operator_target(struct browse *b)
{
    return cli_target(b->c, "operator");
}

/* ---- the script ---- */

static int input_read(struct browse *b, struct buf *out)
{
    struct error err = {0};
    char piece[65536];
    ssize_t n;
    if (strcmp(b->w.script, "-") != 0)
        return fs_read_file(b->w.script, SCRIPT_MAX, out, &err) == 0 ? 0
                                                                     : cli_fail(CLI_FAILED, "%s", err.text);
    while ((n = read(STDIN_FILENO, piece, sizeof piece)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return cli_fail(CLI_FAILED, "standard input cannot be read: %s", strerror(errno));
        if (out->len + (size_t)n > SCRIPT_MAX)
            return cli_fail(CLI_FAILED, "the script has more than %u bytes", SCRIPT_MAX);
        if (buf_append(out, piece, (size_t)n) != 0)
            return cli_fail(CLI_FAILED, "out of memory");
    }
    return 0;
}

/* A list of actions, or an object with them: JSON is YAML too. */
static bool is_bare_list(const char *text)
{
    for (;;) {
        text += strspn(text, " \t\r\n");
        if (*text != '#' && strncmp(text, "---", 3) != 0)
            return *text == '-' || *text == '[';
        text += strcspn(text, "\n");
    }
}

/* Says what is wrong with a script, in its own lines: `extra` were put before them. */
static int script_wrong(const char *name, const char *sentence, int extra)
{
    size_t n = strlen(name);
    int64_t line = 0;
    char digits[12];
    const char *rest = strncmp(sentence, name, n) == 0 && sentence[n] == ':' ? sentence + n + 1 : "";
    size_t len = strspn(rest, "0123456789");
    if (len == 0 || len >= sizeof digits)
        return cli_fail(CLI_FAILED, "%s", sentence);
    memcpy(digits, rest, len);
    digits[len] = '\0';
    if (str_to_i64(digits, 1, INT32_MAX, &line) != 0)
        line = 1;
    return cli_fail(CLI_FAILED, "%s:%lld%s", name, (long long)(line > extra ? line - extra : 1), rest + len);
}

static int script_read(struct browse *b, struct operator_browser_request *request)
{
    const char *name = strcmp(b->w.script, "-") == 0 ? "standard input" : b->w.script;
    struct cli_browse_script script = {0};
    struct buf text = BUF_INIT, whole = BUF_INIT;
    struct error err = {0};
    int code = input_read(b, &text);
    bool bare = code == 0 && text.len > 0 && is_bare_list(text.data);
    if (code == 0) {
        buf_puts(&whole, bare ? "actions:\n" : "");
        buf_append(&whole, text.data ? text.data : "", text.len);
        /* The arena of the command lives longer than the request. */
        int rc = whole.failed ? VX11_ENOMEM
                              : contract_yaml_parse(&cli_browse_script_message, b->c->arena, name,
                                                    whole.data ? whole.data : "", whole.len, &script, &err);
        if (rc != 0)
            code = script_wrong(name, err.text[0] ? err.text : error_describe(rc), bare);
    }
    if (code == 0) {
        request->actions = script.actions;
        request->actions_count = script.actions_count;
    }
    buf_free(&text);
    buf_free(&whole);
    return code;
}

/* ---- telling ---- */

static void steps_tell(struct browse *b)
{
    char took[24];
    if (b->w.json)
        return;
    for (; b->told < b->task->steps_count; b->told++) {
        const struct operator_browser_step *s = &b->task->steps[b->told];
        if (s->status == OPERATOR_BROWSER_STEP_STATUS_RUNNING)
            break;
        fprintf(stderr, "%-8s%-11s%s%s%s\n", operator_browser_step_status_names[s->status],
                terminal_line(b->arena, s->do_), s->target ? terminal_line(b->arena, s->target) : "",
                s->has_duration_ms ? "  " : "",
                s->has_duration_ms ? str_format_duration((int64_t)s->duration_ms, took) : "");
        if (s->error)
            fprintf(stderr, "        %s\n", terminal_line(b->arena, s->error));
    }
}

static void text_print(struct browse *b, const char *text)
{
    struct buf clean = BUF_INIT;
    if (isatty(STDOUT_FILENO) && terminal_clean(text, strlen(text), false, &clean) == 0)
        fwrite(clean.data ? clean.data : "", 1, clean.len, stdout);
    else
        fputs(text, stdout);
    putchar('\n');
    buf_free(&clean);
    (void)b;
}

/* What the script's own steps gave: values of evaluate, text. */
static void values_print(const struct browse *b)
{
    for (size_t i = 0; i < b->task->steps_count; i++) {
        const struct operator_browser_step *s = &b->task->steps[i];
        struct buf json = BUF_INIT;
        if (!s->result || yyjson_is_null(s->result) || contract_json_write(s->result, &json) != 0)
            continue;
        printf("step %zu: %s\n", i, json.data ? json.data : "");
        buf_free(&json);
    }
}

static void found_print(struct browse *b)
{
    const struct operator_browser_result *r = b->task->result;
    if (!r)
        return;
    if (!b->w.text && !b->w.snapshot) {
        printf("title   %s\n", terminal_line(b->arena, r->title));
        printf("url     %s\n", terminal_line(b->arena, r->final_url));
        if (r->has_http_status)
            printf("status  %lld\n", (long long)r->http_status);
        if (r->text_snippet && r->text_snippet[0])
            printf("text    %s\n", terminal_line(b->arena, r->text_snippet));
        values_print(b);
    }
    if (b->w.text && r->text)
        text_print(b, r->text);
    if (b->w.snapshot && r->snapshot)
        text_print(b, r->snapshot);
    for (size_t i = 0; i < r->console_errors_count; i++)
        fprintf(stderr, "console %s\n", terminal_line(b->arena, r->console_errors[i]));
}

/* ---- following ---- */

static void task_keep(struct browse *b, const char *text, size_t len)
{
    struct contract_error bad;
    arena_reset(b->arena);
    b->task = arena_alloc(b->arena, sizeof *b->task);
    char *copy = arena_strndup(b->arena, text, len);
    if (!b->task || !copy || operator_browser_task_parse(b->arena, copy, len, b->task, &bad) != 0) {
        b->task = NULL;
        return;
    }
    b->seen_at = clock_mono_ms();
    b->over = b->task->status != OPERATOR_BROWSER_STATUS_PENDING &&
              b->task->status != OPERATOR_BROWSER_STATUS_RUNNING;
    steps_tell(b);
}

static int on_event(void *ctx, const struct sse_event *e)
{
    if (strcmp(e->event, "task") == 0)
        task_keep(ctx, e->data, e->data_len);
    return 0;
}

static void stream_data(struct client_call *call, void *ctx, const char *data, size_t len)
{
    struct browse *b = ctx;
    if (client_call_status(call) == 200)
        (void)sse_feed(&b->sse, data, len, on_event, b);
}

static void stream_done(struct client_call *call, void *ctx, int result, const struct error *err)
{
    struct browse *b = ctx;
    (void)call, (void)result, (void)err;
    b->call = NULL;
    b->done = true;
}

static int follow_once(struct browse *b)
{
    static const struct client_events events = {.on_data = stream_data, .on_done = stream_done};
    const struct client_call_options options = {.first_byte_timeout_ms = ASK_MS};
    struct error err = {0};
    char path[100];
    (void)snprintf(path, sizeof path, "/operator/browser/task/%s/events", b->id);
    sse_init(&b->sse, 0);
    b->done = false;
    int rc = client_start(b->c->client, operator_target(b), "GET", path, NULL, NULL, 0, &options, &events, b,
                          &b->call, &err);
    if (rc == 0)
        cli_wait(b->c, &b->done);
    sse_free(&b->sse);
    return rc;
}

static void on_pause(uv_timer_t *timer)
{
    ((struct browse *)timer->data)->done = true;
}

static void on_interrupt(uv_signal_t *signal, int number)
{
    struct browse *b = signal->data;
    (void)number;
    b->interrupted = b->done = true;
    uv_timer_stop(&b->pause);
    if (b->call)
        client_cancel(b->call);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct browse *b = handle->data;
    b->done = b->closed;
    b->closed = true;
}

static void follow(struct browse *b)
{
    b->seen_at = clock_mono_ms();
    uv_signal_init(&b->c->loop, &b->interrupt);
    uv_timer_init(&b->c->loop, &b->pause);
    b->interrupt.data = b->pause.data = b;
    uv_signal_start(&b->interrupt, on_interrupt, SIGINT);
    while (!b->over && !b->interrupted && clock_mono_ms() - b->seen_at < LOST_MS) {
        if (follow_once(b) != 0 || b->over || b->interrupted)
            break;
        b->done = false;
        uv_timer_start(&b->pause, on_pause, AGAIN_MS, 0);
        cli_wait(b->c, &b->done);
    }
    b->done = b->closed = false;
    uv_close((uv_handle_t *)&b->interrupt, on_handle_closed);
    uv_close((uv_handle_t *)&b->pause, on_handle_closed);
    cli_wait(b->c, &b->done);
}

/* ---- the screenshot ---- */

static void picture_data(struct client_call *call, void *ctx, const char *data, size_t len)
{
    struct browse *b = ctx;
    if (client_call_status(call) == 200)
        buf_append(&b->picture, data, len);
}

static void picture_done(struct client_call *call, void *ctx, int result, const struct error *err)
{
    struct browse *b = ctx;
    if (result != 0)
        b->error = *err;
    else if (client_call_status(call) != 200)
        error_set(&b->error, VX11_ENOT_FOUND, "the screenshot is not there (%d)", client_call_status(call));
    b->done = true;
}

static int picture_save(struct browse *b)
{
    static const struct client_events events = {.on_data = picture_data, .on_done = picture_done};
    const struct client_call_options options = options_for(ASK_MS);
    const struct operator_browser_result *r = b->task->result;
    char path[100];
    if (!r || !r->screenshot)
        return cli_fail(CLI_FAILED, "there is no screenshot");
    (void)snprintf(path, sizeof path, "/operator/browser/screenshots/%s", r->screenshot);
    b->done = false;
    int rc = client_start(b->c->client, operator_target(b), "GET", path, NULL, NULL, 0, &options, &events, b,
                          &b->call, &b->error);
    if (rc == 0)
        cli_wait(b->c, &b->done);
    b->call = NULL;
    if (b->error.code == 0 && b->picture.failed)
        error_set(&b->error, VX11_ENOMEM, "out of memory");
    if (b->error.code == 0 && strcmp(b->w.screenshot, "-") == 0)
        fwrite(b->picture.data ? b->picture.data : "", 1, b->picture.len, stdout);
    else if (b->error.code == 0)
        (void)fs_write_file_atomic(b->w.screenshot, b->picture.data, b->picture.len, 0644, &b->error);
    if (b->error.code != 0)
        return cli_fail(CLI_FAILED, "%s", b->error.text);
    if (!b->w.json)
        fprintf(stderr, "saved   %s\n", b->w.screenshot);
    return 0;
}

/* ---- one task ---- */

static int code_of(const struct operator_browser_task *t)
{
    const char *code = t->error_code ? t->error_code : "";
    return t->status == OPERATOR_BROWSER_STATUS_DONE      ? CLI_OK
           : t->status == OPERATOR_BROWSER_STATUS_TIMEOUT ? CLI_TIMEOUT
           : strcmp(code, "url_refused") == 0             ? CLI_REFUSED
           : strcmp(code, "browser_unavailable") == 0     ? CLI_NOT_RUNNING
                                                          : CLI_FAILED;
}

static void on_task(struct client_call *call, void *ctx, const struct client_reply *reply)
{
    struct browse *b = ctx;
    (void)call;
    b->done = true;
    if (!reply->message) {
        bool unavailable = strcmp(reply->error_code, "browser_unavailable") == 0;
        b->code = cli_reply_failed(reply, "operator");
        b->code = unavailable                                     ? CLI_NOT_RUNNING
                  : strcmp(reply->error_code, "url_refused") == 0 ? CLI_REFUSED
                                                                  : b->code;
        return;
    }
    task_keep(b, reply->body, reply->body_len);
    if (b->task)
        (void)snprintf(b->id, sizeof b->id, "%s", b->task->id);
    else
        b->code = cli_fail(CLI_FAILED, "the answer could not be read");
}

static int task_cancel(struct browse *b, const char *id)
{
    struct client_call_options options = options_for(ASK_MS);
    struct operator_browser_task_id params = {.id = id};
    struct client_call *call;
    b->done = false;
    int rc =
        operator_browser_cancel_call(b->c->client, operator_target(b), &params, &options, on_task, b, &call);
    if (rc != 0)
        return cli_fail(CLI_FAILED, "%s",
                        rc == VX11_EINVALID ? "that is no id of a task" : error_describe(rc));
    cli_wait(b->c, &b->done);
    return b->code;
}

static int task_end(struct browse *b)
{
    if (b->interrupted && !b->over) {
        if (task_cancel(b, b->id) == 0)
            fprintf(stderr, "task %s is cancelled\n", b->id);
        return CLI_INTERRUPTED;
    }
    if (!b->over || !b->task)
        return cli_fail(CLI_NOT_RUNNING,
                        "the operator no longer answers; `vx11 browse show %s` will show the task", b->id);
    int code = code_of(b->task);
    if (b->w.json)
        cli_print_json(&operator_browser_task_message, b->task);
    else if (b->task->result)
        found_print(b);
    if (code == CLI_OK && b->w.screenshot)
        code = picture_save(b);
    if (code_of(b->task) != CLI_OK && !b->w.json)
        cli_fail(code, "the task %s: %s",
                 b->task->status == OPERATOR_BROWSER_STATUS_CANCELLED ? "was cancelled"
                 : b->task->status == OPERATOR_BROWSER_STATUS_TIMEOUT ? "ran out of time"
                                                                      : "failed",
                 b->task->error ? b->task->error : "no reason is known");
    return code;
}

static int task_run(struct browse *b)
{
    struct operator_browser_request request = {
        .url = b->w.url, .screenshot = b->w.screenshot != NULL, .snapshot = true};
    struct client_call_options options = options_for(ASK_MS);
    struct client_call *call;
    int code = b->w.script ? script_read(b, &request) : 0;
    if (code != 0)
        return code;
    if (b->w.timeout) {
        request.has_timeout_ms = true;
        if (str_to_duration_ms(b->w.timeout, &request.timeout_ms) != 0 || request.timeout_ms < 1000 ||
            request.timeout_ms > 600000)
            return cli_usage("browse", "--timeout is a time from 1s to 10m, not %s", b->w.timeout);
    }
    int rc =
        operator_browser_add_call(b->c->client, operator_target(b), &request, &options, on_task, b, &call);
    if (rc != 0)
        return cli_fail(CLI_FAILED, "%s",
                        rc == VX11_EINVALID ? "the URL or an action is not valid" : error_describe(rc));
    cli_wait(b->c, &b->done);
    if (b->code != 0)
        return b->code;
    if (b->w.no_wait) {
        if (b->w.json)
            return cli_print_json(&operator_browser_task_message, b->task);
        printf("%s\n", b->id);
        return CLI_OK;
    }
    if (!b->over)
        follow(b);
    return task_end(b);
}

/* ---- list, show, cancel ---- */

static void on_list(struct client_call *call, void *ctx, const struct client_reply *reply)
{
    struct browse *b = ctx;
    const struct operator_browser_task_list *list = reply->message;
    char when[32];
    (void)call;
    b->done = true;
    if (!list) {
        b->code = cli_reply_failed(reply, "operator");
        return;
    }
    if (b->w.json) {
        b->code = cli_print_json(&operator_browser_task_list_message, list);
        return;
    }
    printf("%-26s %-10s %-24s %s\n", "TASK", "STATE", "ASKED FOR", "URL");
    for (size_t i = 0; i < list->tasks_count; i++) {
        const struct operator_browser_task *t = &list->tasks[i];
        printf("%-26s %-10s %-24s %s\n", t->id, operator_browser_status_names[t->status],
               clock_format(t->created_at, when), terminal_line(b->c->arena, t->url));
        if (t->error)
            printf("  %s\n", terminal_line(b->c->arena, t->error));
    }
}

static int list_show(struct browse *b)
{
    struct client_call_options options = options_for(ASK_MS);
    struct operator_browser_list_params params = {.limit = 20};
    struct client_call *call;
    if (b->w.limit && str_to_i64(b->w.limit, 1, 200, &params.limit) != 0)
        return cli_usage("browse", "--limit is a number from 1 to 200, not %s", b->w.limit);
    int rc =
        operator_browser_list_call(b->c->client, operator_target(b), &params, &options, on_list, b, &call);
    if (rc != 0)
        return cli_fail(CLI_FAILED, "%s", error_describe(rc));
    cli_wait(b->c, &b->done);
    return b->code;
}

static int task_show(struct browse *b)
{
    struct client_call_options options = options_for(ASK_MS);
    struct operator_browser_task_id params = {.id = b->w.id};
    struct client_call *call;
    int rc =
        operator_browser_get_call(b->c->client, operator_target(b), &params, &options, on_task, b, &call);
    if (rc != 0)
        return cli_fail(CLI_FAILED, "%s",
                        rc == VX11_EINVALID ? "that is no id of a task" : error_describe(rc));
    cli_wait(b->c, &b->done);
    if (b->code != 0)
        return b->code;
    if (b->over)
        return task_end(b);
    if (b->w.json)
        return cli_print_json(&operator_browser_task_message, b->task);
    printf("the task is %s\n", operator_browser_status_names[b->task->status]);
    return CLI_OK;
}

/* ---- the command ---- */

static bool word_is(const char *word, const char *what)
{
    return word && strcmp(word, what) == 0;
}

static int option_read(struct browser_words *w, int argc, char **argv, int *i)
{
    const struct {
        const char *name;
        const char **value;
    } valued[] = {{"--screenshot", &w->screenshot},
                  {"--script", &w->script},
                  {"--timeout", &w->timeout},
                  {"--limit", &w->limit}};
    const struct {
        const char *name;
        bool *value;
    } flags[] = {
        {"--text", &w->text}, {"--snapshot", &w->snapshot}, {"--json", &w->json}, {"--no-wait", &w->no_wait}};
    for (size_t k = 0; k < COUNT_OF(valued); k++) {
        int is = cli_option("browse", argc, argv, i, valued[k].name, valued[k].value);
        if (is != 0)
            return is;
    }
    for (size_t k = 0; k < COUNT_OF(flags); k++)
        if (strcmp(argv[*i], flags[k].name) == 0) {
            *flags[k].value = true;
            return 1;
        }
    if (strcmp(argv[*i], "--wait") == 0) {
        w->no_wait = false;
        return 1;
    }
    return 0;
}

static int words_read(struct browser_words *w, int argc, char **argv)
{
    int i = 1;
    if (argc > 1 && (word_is(argv[1], "list") || word_is(argv[1], "show") || word_is(argv[1], "cancel")))
        w->what = argv[i++];
    for (; i < argc; i++) {
        int is = option_read(w, argc, argv, &i);
        const char **word = w->what ? &w->id : &w->url;
        if (is < 0)
            return CLI_USAGE;
        if (is > 0)
            continue;
        if (argv[i][0] == '-' || *word || word_is(w->what, "list"))
            return cli_usage("browse", "unknown argument %s", argv[i]);
        *word = argv[i];
    }
    if (!w->what && !w->url)
        return cli_usage("browse", "it wants a URL, or list, show ID, cancel ID");
    if (w->what && !word_is(w->what, "list") && !w->id)
        return cli_usage("browse", "%s wants the id of a task", w->what);
    return 0;
}

static int browse_do(struct browse *b)
{
    int code;
    if (word_is(b->w.what, "list"))
        return list_show(b);
    if (word_is(b->w.what, "show"))
        return task_show(b);
    if (!b->w.what)
        return task_run(b);
    code = task_cancel(b, b->w.id);
    if (code == 0 && b->w.json)
        return cli_print_json(&operator_browser_task_message, b->task);
    if (code == 0)
        printf("task %s: %s\n", b->id, operator_browser_status_names[b->task->status]);
    return code;
}

int command_browse(int argc, char **argv)
{
    struct cli c;
    struct browse b = {.c = &c};
    int code = words_read(&b.w, argc, argv);
    if (code != 0)
        return code;
    b.arena = arena_create(0);
    code = b.arena ? cli_open_anyway(&c) : cli_fail(CLI_FAILED, "out of memory");
    if (b.arena && code == 0)
        code = browse_do(&b);
    if (b.arena)
        cli_close(&c);
    arena_destroy(b.arena);
    buf_free(&b.picture);
    return cli_flushed(code);
}
