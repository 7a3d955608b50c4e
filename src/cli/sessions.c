/* Sessions: the operator's conversations, over its Unix socket: list, show, search, export, rename, delete.
 */
#include "cli/cli_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/operator_client.h"
#include "base/clock.h"
#include "base/str.h"
#include "base/ulid.h"
#include "cli/ask.h"

#define ASK_MS    30000
#define EXPORT_MS 600000

struct sessions_command {
    struct cli *c;
    bool json;
    const char *limit, *query, *topic, *output;
    char *words[64]; /* arguments that are no options */
    int count;
};

static const struct client_target *target_of(const struct sessions_command *s)
{
    return cli_target(s->c, "operator");
}

static char *time_text(int64_t ms, char out[32])
{
    clock_format(ms, out);
    out[10] = ' ';
    out[16] = '\0'; /* to the minute */
    return out;
}

/* Whole number of an option; -1 after having said what is wrong. */
static int64_t limit_of(const struct sessions_command *s, int64_t without, int64_t most)
{
    int64_t n = without;
    if (s->limit && str_to_i64(s->limit, 1, most, &n) != 0)
        return cli_usage("sessions", "--limit takes a number from 1 to %lld", (long long)most), -1;
    return n;
}

/* ---- which one ---- */

static const struct operator_session_list *fetch_list(struct sessions_command *s,
                                                      const struct operator_session_params *p, int *code)
{
    struct client_call_options options = ask_within(ASK_MS);
    struct ask a;
    ask_begin(&a, s->c, &operator_session_list_message);
    int rc = operator_sessions_list_call(s->c->client, target_of(s), p, &options, ask_reply, &a, &a.call);
    if (!ask_wait(&a, rc)) {
        *code = ask_failed(&a, "operator");
        return NULL;
    }
    return a.message;
}

/* An id, or `last`: the one that was used last. NULL after having said why there is none. */
static const char *which(struct sessions_command *s, const char *word, int *code)
{
    if (strcmp(word, "last") != 0) {
        if (ulid_valid(word))
            return word;
        *code = cli_usage("sessions", "%s is no session's id (26 characters; or last)", word);
        return NULL;
    }
    struct operator_session_params p = {.limit = 1};
    const struct operator_session_list *list = fetch_list(s, &p, code);
    if (list && list->sessions_count == 0)
        *code = cli_fail(CLI_FAILED, "there is no session");
    return list && list->sessions_count > 0 ? list->sessions[0].id : NULL;
}

/* ---- list, search, show ---- */

static void print_session(const struct sessions_command *s, const struct operator_session *x)
{
    char at[32];
    printf("%s  %s  %4lld  %-8s %s%s%s\n", x->id, time_text(x->updated_at, at), (long long)x->message_count,
           operator_topic_names[x->topic], x->running ? "(answering) " : "", x->pinned ? "(pinned) " : "",
           terminal_line(s->c->arena, x->title));
}

static int sessions_list(struct sessions_command *s)
{
    struct operator_session_params p = {.q = s->query, .limit = limit_of(s, 50, 200)};
    int code = 0;
    if (p.limit < 0)
        return CLI_USAGE;
    for (size_t i = 0; s->topic && i < COUNT_OF(operator_topic_names); i++)
        if (strcmp(s->topic, operator_topic_names[i]) == 0) {
            p.has_topic = true;
            p.topic = (int)i;
        }
    if (s->topic && !p.has_topic)
        return cli_usage("sessions", "there is no topic %s", s->topic);
    const struct operator_session_list *list = fetch_list(s, &p, &code);
    if (!list)
        return code;
    if (s->json)
        return cli_print_json(&operator_session_list_message, list);
    for (size_t i = 0; i < list->sessions_count; i++)
        print_session(s, &list->sessions[i]);
    if (list->next_cursor)
        fprintf(stderr, "vx11: %lld sessions in all; --limit shows more\n", (long long)list->total);
    return 0;
}

static int sessions_search(struct sessions_command *s)
{
    struct operator_search_params p = {.limit = limit_of(s, 30, 100)};
    struct client_call_options options = ask_within(ASK_MS);
    struct buf words = BUF_INIT;
    struct ask a;
    char at[32];
    if (p.limit < 0)
        return CLI_USAGE;
    for (int i = 0; i < s->count; i++)
        buf_printf(&words, "%s%s", i ? " " : "", s->words[i]);
    p.q = words.data;
    ask_begin(&a, s->c, &operator_search_reply_message);
    int rc = operator_search_call(s->c->client, target_of(s), &p, &options, ask_reply, &a, &a.call);
    bool ok = ask_wait(&a, rc);
    buf_free(&words);
    if (!ok)
        return ask_failed(&a, "operator");
    const struct operator_search_reply *found = a.message;
    if (s->json)
        return cli_print_json(&operator_search_reply_message, found);
    for (size_t i = 0; i < found->hits_count; i++) {
        const struct operator_search_hit *h = &found->hits[i];
        printf("%s  %s  %-9s %s\n    %s\n", h->session_id, time_text(h->timestamp, at),
               operator_message_role_names[h->role], terminal_line(s->c->arena, h->title),
               terminal_line(s->c->arena, h->snippet));
    }
    return 0;
}

static void print_message(const struct operator_message *m)
{
    struct buf text = BUF_INIT;
    char at[32];
    printf("\n--- %s, %s%s%s%s\n", operator_message_role_names[m->role], time_text(m->timestamp, at),
           m->model ? ", " : "", m->model ? m->model : "",
           m->status == OPERATOR_MESSAGE_STATUS_OK ? "" : ", ");
    if (m->status != OPERATOR_MESSAGE_STATUS_OK)
        printf("    %s%s%s\n", operator_message_status_names[m->status], m->error ? ": " : "",
               m->error ? m->error->message : "");
    if (terminal_clean(m->content, strlen(m->content), false, &text) == 0 && text.len)
        puts(text.data);
    buf_free(&text);
}

static int sessions_show(struct sessions_command *s)
{
    int code = 0;
    const char *id = which(s, s->words[0], &code);
    struct operator_session_detail_params p = {.id = id, .limit = limit_of(s, 100, 500)};
    struct client_call_options options = ask_within(ASK_MS);
    struct ask a;
    if (!id || p.limit < 0)
        return id ? CLI_USAGE : code;
    ask_begin(&a, s->c, &operator_session_detail_message);
    int rc = operator_sessions_get_call(s->c->client, target_of(s), &p, &options, ask_reply, &a, &a.call);
    if (!ask_wait(&a, rc))
        return ask_failed(&a, "operator");
    const struct operator_session_detail *d = a.message;
    if (s->json)
        return cli_print_json(&operator_session_detail_message, d);
    print_session(s, d->session);
    if (d->prev_cursor)
        printf("    (its latest %zu messages; --limit shows more)\n", d->messages_count);
    for (size_t i = 0; i < d->messages_count; i++)
        print_message(&d->messages[i]);
    return 0;
}

/* ---- export ---- */

struct export
{
    FILE *to;
    struct buf error; /* body of a reply that is no success */
    int status, result;
    bool done, failed;
    char text[512];
};

static void on_headers(struct client_call *call, void *ctx, int status)
{
    (void)call;
    ((struct export *)ctx)->status = status;
}

static void on_data(struct client_call *call, void *ctx, const char *data, size_t len)
{
    struct export *x = ctx;
    if (x->status != 200)
        buf_append(&x->error, data, x->error.len < 65536 ? len : 0);
    else if (fwrite(data, 1, len, x->to) != len) {
        x->failed = true;
        client_cancel(call);
    }
}

static void on_done(struct client_call *call, void *ctx, int result, const struct error *err)
{
    struct export *x = ctx;
    (void)call;
    x->result = result;
    x->done = true;
    snprintf(x->text, sizeof x->text, "%s", err && err->text[0] ? err->text : error_describe(result));
}

static int export_ended(const struct sessions_command *s, struct export *x)
{
    struct common_error error;
    if (x->failed)
        return cli_fail(CLI_FAILED, "the file could not be written");
    if (x->result == VX11_EUNAVAILABLE)
        return cli_fail(CLI_NOT_RUNNING, "operator does not answer: %s", x->text);
    if (x->result != 0)
        return cli_fail(CLI_FAILED, "the session was cut off: %s", x->text);
    if (x->status == 200)
        return 0;
    bool said =
        x->error.len > 0 && common_error_parse(s->c->arena, x->error.data, x->error.len, &error, NULL) == 0;
    return cli_fail(CLI_FAILED, "%s", said ? error.error->message : "operator refused");
}

static int export_to(struct sessions_command *s, const char *id, FILE *to)
{
    static const struct client_events events = {
        .on_headers = on_headers, .on_data = on_data, .on_done = on_done};
    struct export x = {.to = to, .error = BUF_INIT};
    struct client_call_options options = ask_within(EXPORT_MS);
    struct client_call *call;
    struct error err = {0};
    char path[128];
    snprintf(path, sizeof path, "/operator/sessions/%s/export?format=%s", id, s->json ? "json" : "markdown");
    int rc = client_start(s->c->client, target_of(s), "GET", path, NULL, NULL, 0, &options, &events, &x,
                          &call, &err);
    if (rc != 0)
        return cli_fail(CLI_FAILED, "%s", err.text);
    cli_wait(s->c, &x.done);
    int code = export_ended(s, &x);
    buf_free(&x.error);
    return code;
}

static int sessions_export(struct sessions_command *s)
{
    int code = 0;
    const char *id = which(s, s->words[0], &code);
    if (!id)
        return code;
    if (!s->output)
        return export_to(s, id, stdout);
    /* Never over a file that is there. */
    int fd = open(s->output, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    FILE *to = fd < 0 ? NULL : fdopen(fd, "w");
    if (!to) {
        int sys = errno;
        if (fd >= 0)
            close(fd);
        return cli_fail(CLI_FAILED, "%s: %s", s->output, strerror(sys));
    }
    code = export_to(s, id, to);
    if (fclose(to) != 0 && code == 0)
        code = cli_fail(CLI_FAILED, "%s: %s", s->output, strerror(errno));
    if (code != 0)
        unlink(s->output);
    return code;
}

/* ---- rename, delete ---- */

static int sessions_rename(struct sessions_command *s)
{
    int code = 0;
    const char *id = which(s, s->words[0], &code);
    struct buf title = BUF_INIT;
    struct client_call_options options = ask_within(ASK_MS);
    struct ask a;
    if (!id)
        return code;
    for (int i = 1; i < s->count; i++)
        buf_printf(&title, "%s%s", i > 1 ? " " : "", s->words[i]);
    struct operator_session_id p = {.id = id};
    struct operator_session_change change = {.title = title.data};
    ask_begin(&a, s->c, &operator_session_message);
    int rc = operator_sessions_change_call(s->c->client, target_of(s), &p, &change, &options, ask_reply, &a,
                                           &a.call);
    bool ok = ask_wait(&a, rc);
    buf_free(&title);
    if (!ok)
        return ask_failed(&a, "operator");
    if (s->json)
        return cli_print_json(&operator_session_message, a.message);
    print_session(s, a.message);
    return 0;
}

static int sessions_delete(struct sessions_command *s)
{
    for (int i = 0; i < s->count; i++) {
        struct operator_session_id p = {.id = s->words[i]};
        struct client_call_options options = ask_within(ASK_MS);
        struct ask a;
        if (!ulid_valid(p.id))
            return cli_usage("sessions", "%s is no session's id", p.id);
        ask_begin(&a, s->c, NULL);
        int rc =
            operator_sessions_delete_call(s->c->client, target_of(s), &p, &options, ask_reply, &a, &a.call);
        if (!ask_wait(&a, rc))
            return ask_failed(&a, "operator");
        if (!s->json)
            printf("%s is deleted.\n", p.id);
    }
    return 0;
}

/* ---- arguments ---- */

static int read_options(struct sessions_command *s, int argc, char **argv)
{
    const struct {
        const char *name;
        const char **value;
    } options[] = {{"--limit", &s->limit},
                   {"--query", &s->query},
                   {"--topic", &s->topic},
                   {"--output", &s->output},
                   {"-o", &s->output}};
    for (int i = 0; i < argc; i++) {
        int found = 0;
        if (strcmp(argv[i], "--json") == 0) {
            s->json = true;
            continue;
        }
        for (size_t k = 0; found == 0 && k < COUNT_OF(options); k++)
            found = cli_option("sessions", argc, argv, &i, options[k].name, options[k].value);
        if (found < 0)
            return CLI_USAGE;
        if (found == 0 && argv[i][0] == '-' && argv[i][1])
            return cli_usage("sessions", "unknown argument %s", argv[i]);
        if (found == 0 && s->count == (int)COUNT_OF(s->words))
            return cli_usage("sessions", "too many arguments");
        if (found == 0)
            s->words[s->count++] = argv[i];
    }
    return 0;
}

int command_sessions(int argc, char **argv)
{
    static const struct {
        const char *name;
        int least, most;
        int (*run)(struct sessions_command *s);
    } verbs[] = {
        {"list", 0, 0, sessions_list},      {"show", 1, 1, sessions_show},
        {"search", 1, 64, sessions_search}, {"export", 1, 1, sessions_export},
        {"rename", 2, 64, sessions_rename}, {"delete", 1, 64, sessions_delete},
    };
    const char *verb = argc > 1 ? argv[1] : "list";
    struct cli c;
    struct sessions_command s = {.c = &c};
    for (size_t i = 0; i < COUNT_OF(verbs); i++) {
        if (strcmp(verbs[i].name, verb) != 0)
            continue;
        int code = read_options(&s, argc > 2 ? argc - 2 : 0, argv + 2);
        if (code == 0 && s.count < verbs[i].least)
            code = cli_usage("sessions", "%s wants %s", verb,
                             verbs[i].least == 2 ? "a session and a title" : "an argument");
        if (code == 0 && s.count > verbs[i].most)
            code = cli_usage("sessions", "unknown argument %s", s.words[verbs[i].most]);
        if (code != 0)
            return code;
        code = cli_open(&c);
        if (code == 0)
            code = verbs[i].run(&s);
        cli_close(&c);
        return cli_flushed(code);
    }
    return cli_usage("sessions", "there is no sessions %s", verb);
}
