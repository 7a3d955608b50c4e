/* Chat: one question with its answer, or a conversation in a terminal (see chat.h). */
#include "cli/chat.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/link_client.h"
#include "api/operator_client.h"
#include "base/clock.h"
#include "base/str.h"
#include "base/ulid.h"
#include "cli/ask.h"

/* ---- the conversation so far ---- */

int conversation_add(struct conversation *v, int role, const char *text, size_t len)
{
    if (v->count == v->cap) {
        size_t cap = v->cap ? 2 * v->cap : 16;
        struct turn *turns = realloc(v->turns, cap * sizeof *turns);
        if (!turns)
            return VX11_ENOMEM;
        v->turns = turns;
        v->cap = cap;
    }
    char *copy = malloc(len + 1);
    if (!copy)
        return VX11_ENOMEM;
    if (len > 0)
        memcpy(copy, text, len);
    copy[len] = '\0';
    v->turns[v->count++] = (struct turn){.role = role, .text = copy, .len = len};
    return 0;
}

void conversation_cut(struct conversation *v, size_t count)
{
    while (v->count > count)
        free(v->turns[--v->count].text);
}

bool conversation_drop_oldest(struct conversation *v)
{
    if (v->count < 3)
        return false;
    free(v->turns[0].text);
    free(v->turns[1].text);
    v->count -= 2;
    memmove(v->turns, v->turns + 2, v->count * sizeof *v->turns);
    return true;
}

void conversation_free(struct conversation *v)
{
    conversation_cut(v, 0);
    free(v->turns);
    *v = (struct conversation){0};
}

/* ---- what a person sees around an answer ---- */

struct chat {
    struct cli *c;
    struct conversation talk;
    char *model, *system;       /* NULL: default, none */
    bool piped;                 /* "-": standard input is part of the question */
    bool kept;                  /* by the operator, as a session */
    char session[ULID_LEN + 1]; /* "": a new one */
};

static void dim(const char *text)
{
    struct buf clean = BUF_INIT;
    if (terminal_clean(text, strlen(text), true, &clean) == 0)
        printf(cli_color() ? "\033[2m%s\033[0m\n" : "%s\n", clean.data);
    buf_free(&clean);
}

/* "guide (local) · 23 + 41 tokens · 512 tokens/s · first after 12 ms": only what was measured. */
static void answer_sum(const struct answer *a)
{
    struct buf line = BUF_INIT;
    char first[24];
    buf_puts(&line, a->model[0] ? a->model : "unknown model");
    if (a->provider[0])
        buf_printf(&line, " (%s)", a->provider);
    if (a->has_usage)
        buf_printf(&line, " · %lld + %lld tokens", (long long)a->prompt_tokens,
                   (long long)a->completion_tokens);
    if (a->tokens_per_s >= 0)
        buf_printf(&line, a->tokens_per_s < 10 ? " · %.1f tokens/s" : " · %.0f tokens/s", a->tokens_per_s);
    if (a->first_token_s >= 0)
        buf_printf(&line, " · first after %s",
                   str_format_duration((int64_t)(a->first_token_s * 1000 + 0.5), first));
    if (a->cut)
        buf_puts(&line, " · cut at the token limit");
    if (a->stopped)
        buf_puts(&line, " · stopped, and left out of the conversation");
    if (!line.failed)
        dim(line.data);
    buf_free(&line);
}

static void answer_end_line(const struct answer *a)
{
    if (a->text.len > 0 && a->text.data[a->text.len - 1] != '\n')
        putchar('\n');
}

/* ---- a conversation ---- */

static void put_new(char **slot, const char *text)
{
    free(*slot);
    *slot = text && text[0] ? strdup(text) : NULL;
}

static void chat_say(struct chat *t, const char *text, size_t len)
{
    size_t before = t->talk.count;
    struct answer a;
    struct chat_asking asking = {
        .model = t->model, .system = t->system, .terminal = true, .session = t->kept ? t->session : NULL};
    if (conversation_add(&t->talk, OPENAI_ROLE_USER, text, len) != 0) {
        cli_fail(CLI_FAILED, "out of memory");
        return;
    }
    for (;;) {
        chat_answer(t->c, &t->talk, &asking, &a);
        /* A conversation grows past every context: its beginning is what can be missed. */
        if (t->kept || a.code != CLI_FAILED || strcmp(a.error_code, "context_length_exceeded") != 0 ||
            !conversation_drop_oldest(&t->talk))
            break;
        before -= 2;
        answer_free(&a);
        dim("(the model's context is full: the oldest question and its answer are left out from now on)");
    }
    answer_end_line(&a);
    if (a.stopped && a.text.len == 0)
        putchar('\n');
    bool whole = a.code == CLI_OK;
    if (!whole ||
        conversation_add(&t->talk, OPENAI_ROLE_ASSISTANT, a.text.data ? a.text.data : "", a.text.len) != 0)
        conversation_cut(&t->talk, before);
    if (whole || a.stopped)
        answer_sum(&a);
    else
        cli_fail(a.code, "%s", a.error);
    answer_free(&a);
}

struct model_names {
    bool done;
    int code;
};

static void on_models(struct client_call *call, void *ctx, const struct client_reply *reply)
{
    struct model_names *w = ctx;
    const struct openai_model_list *list = reply->message;
    (void)call;
    w->done = true;
    if (!list) {
        w->code = cli_reply_failed(reply, "the front door");
        return;
    }
    for (size_t i = 0; i < list->data_count; i++) {
        printf("  %-40s ", terminal_line(reply->arena, list->data[i].id));
        dim(list->data[i].owned_by);
    }
}

static void chat_models(struct chat *t)
{
    struct model_names w = {0};
    struct client_call_options options = {.deadline_ms = clock_mono_ms() + 10000};
    struct client_call *call;
    if (link_models_call(t->c->client, cli_front_door(t->c), &options, on_models, &w, &call) == 0)
        cli_wait(t->c, &w.done);
    else
        cli_fail(CLI_FAILED, "out of memory");
}

/* The word behind a command; NULL when line is another command. "" when there is no word. */
static const char *after(const char *line, const char *command)
{
    size_t n = strlen(command);
    if (strncmp(line, command, n) != 0 || (line[n] != '\0' && line[n] != ' '))
        return NULL;
    return line + n + strspn(line + n, " ");
}

/* False: the person leaves. */
static bool chat_command(struct chat *t, const char *line)
{
    const char *word;
    if (after(line, "/quit") || after(line, "/exit"))
        return false;
    if (after(line, "/new")) {
        conversation_cut(&t->talk, 0);
        t->session[0] = '\0';
        dim("A new conversation.");
    } else if ((word = after(line, "/model"))) {
        put_new(&t->model, word);
        dim(t->model ? "The next answer comes from that model."
                     : "The next answer comes from the default model.");
    } else if (after(line, "/models")) {
        chat_models(t);
    } else if ((word = after(line, "/system"))) {
        put_new(&t->system, word);
        dim(t->system ? "These instructions come first from now on." : "No instructions.");
    } else if (after(line, "/help")) {
        puts("  /new           forget the conversation\n"
             "  /model NAME    ask another model; without a name the default one\n"
             "  /models        list the models\n"
             "  /system TEXT   instructions that come first; without text none\n"
             "  /quit          leave (so do Ctrl-D and Ctrl-C)\n"
             "  //text         say something that begins with a slash\n"
             "A backslash at the end of a line goes on in the next one. Ctrl-C stops an answer.");
    } else {
        cli_fail(CLI_USAGE, "there is no command %.40s; /help lists them", line);
    }
    return true;
}

static int chat_talk(struct chat *t)
{
    struct chat_line *line = NULL;
    struct buf text = BUF_INIT;
    int rc = chat_line_open(t->c->home, &line);
    if (rc != 0)
        return cli_fail(CLI_FAILED, "the line cannot be read: %s", error_describe(rc));
    dim("/help lists the commands, Ctrl-D leaves.");
    while ((rc = chat_line_read(line, &text)) > 0) {
        const char *said = text.data ? text.data : "";
        size_t len = text.len, blank = strspn(said, " \t\n");
        if (blank == len)
            continue;
        if (said[0] == '/' && said[1] != '/') {
            if (!chat_command(t, said))
                break;
            continue;
        }
        if (said[0] == '/')
            said++, len--;
        if (!utf8_valid(said, len))
            cli_fail(CLI_FAILED, "that is not UTF-8");
        else
            chat_say(t, said, len);
    }
    chat_line_close(line);
    buf_free(&text);
    return rc < 0
               ? cli_fail(CLI_FAILED, "%s", rc == VX11_ETOO_LARGE ? "that is too long" : error_describe(rc))
               : CLI_OK;
}

/* ---- one question ---- */

static int stdin_read(struct buf *out)
{
    char piece[65536];
    ssize_t n;
    while ((n = read(STDIN_FILENO, piece, sizeof piece)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return cli_fail(CLI_FAILED, "standard input cannot be read: %s", strerror(errno));
        if (out->len + (size_t)n > CHAT_PROMPT_MAX)
            return cli_fail(CLI_FAILED, "standard input has more than %u bytes", CHAT_PROMPT_MAX);
        if (buf_append(out, piece, (size_t)n) != 0)
            return cli_fail(CLI_FAILED, "out of memory");
    }
    while (out->len > 0 && (out->data[out->len - 1] == '\n' || out->data[out->len - 1] == '\r'))
        out->data[--out->len] = '\0';
    return 0;
}

/* The prompt, and below it what comes in by standard input: when there is no prompt, or when "-" asks for it.
 * Only then: a script's standard input may be a pipe that nobody ever closes. */
static int question_read(const char *prompt, bool piped, struct buf *out)
{
    struct buf input = BUF_INIT;
    int code = !prompt || piped ? stdin_read(&input) : 0;
    if (code == 0 && prompt)
        buf_puts(out, prompt);
    if (code == 0 && input.len > 0)
        buf_printf(out, "%s%s", prompt ? "\n\n" : "", input.data);
    if (code == 0 && (out->failed || input.failed))
        code = cli_fail(CLI_FAILED, "out of memory");
    else if (code == 0 && (out->len == 0 || strspn(out->data, " \t\r\n") == out->len))
        code = cli_usage("chat", "there is no question: neither an argument nor standard input has one");
    else if (code == 0 && (strlen(out->data) != out->len || !utf8_valid(out->data, out->len)))
        code = cli_fail(CLI_FAILED, "the question is not UTF-8 text");
    buf_free(&input);
    return code;
}

static int chat_once(struct chat *t, const char *prompt, bool json)
{
    struct buf question = BUF_INIT;
    struct answer a;
    struct chat_asking asking = {.model = t->model,
                                 .system = t->system,
                                 .json = json,
                                 .terminal = isatty(STDOUT_FILENO),
                                 .session = t->kept ? t->session : NULL};
    int code = question_read(prompt, t->piped, &question);
    if (code == 0 && conversation_add(&t->talk, OPENAI_ROLE_USER, question.data, question.len) != 0)
        code = cli_fail(CLI_FAILED, "out of memory");
    buf_free(&question);
    if (code != 0)
        return code;
    chat_answer(t->c, &t->talk, &asking, &a);
    answer_end_line(&a);
    if (a.code == CLI_OK && asking.terminal && !json)
        answer_sum(&a);
    else if (a.code != CLI_OK && !a.stopped)
        cli_fail(a.code, "%s", a.error);
    code = a.code;
    answer_free(&a);
    return code;
}

/* ---- the command ---- */

/* "new", "last", or an id. `last` is looked up; there must be one. */
static int session_choose(struct chat *t, const char *word)
{
    struct operator_session_params p = {.limit = 1};
    struct client_call_options options = ask_within(10000);
    struct ask a;
    if (!t->kept || strcmp(word, "new") == 0)
        return 0;
    if (strcmp(word, "last") != 0) {
        memcpy(t->session, word, sizeof t->session); /* its form was looked at with the arguments */
        return 0;
    }
    ask_begin(&a, t->c, &operator_session_list_message);
    int rc =
        operator_sessions_list_call(t->c->client, cli_front_door(t->c), &p, &options, ask_reply, &a, &a.call);
    if (!ask_wait(&a, rc))
        return ask_failed(&a, "the front door");
    const struct operator_session_list *list = a.message;
    if (list->sessions_count == 0)
        return cli_fail(CLI_FAILED, "there is no session yet; --session new begins one");
    snprintf(t->session, sizeof t->session, "%s", list->sessions[0].id);
    return 0;
}

static int arguments_read(int argc, char **argv, struct chat *t, struct buf *prompt, bool *json,
                          const char **session)
{
    bool words = false; /* behind -- everything is the prompt */
    for (int i = 1; i < argc; i++) {
        const char *value;
        int is = words ? 0 : cli_option("chat", argc, argv, &i, "--model", &value);
        if (is > 0)
            put_new(&t->model, value);
        if (is == 0 && !words && (is = cli_option("chat", argc, argv, &i, "--system", &value)) > 0)
            put_new(&t->system, value);
        if (is == 0 && !words)
            is = cli_option("chat", argc, argv, &i, "--session", session);
        if (is < 0)
            return CLI_USAGE;
        if (is > 0)
            continue;
        if (!words && strcmp(argv[i], "--json") == 0)
            *json = true;
        else if (!words && strcmp(argv[i], "--") == 0)
            words = true;
        else if (!words && strcmp(argv[i], "-") == 0)
            t->piped = true;
        else if (!words && argv[i][0] == '-')
            return cli_usage("chat", "unknown argument %s", argv[i]);
        else
            buf_printf(prompt, "%s%s", prompt->len ? " " : "", argv[i]);
    }
    if (t->system && !utf8_valid(t->system, strlen(t->system)))
        return cli_usage("chat", "the text of --system is not UTF-8");
    if (t->model && !utf8_valid(t->model, strlen(t->model)))
        return cli_usage("chat", "the name of --model is not UTF-8");
    t->kept = *session != NULL;
    if (t->kept && strcmp(*session, "new") != 0 && strcmp(*session, "last") != 0 && !ulid_valid(*session))
        return cli_usage("chat", "--session takes new, last or a session's id (vx11 sessions)");
    return prompt->failed ? cli_fail(CLI_FAILED, "out of memory") : 0;
}

int command_chat(int argc, char **argv)
{
    struct cli c;
    struct chat t = {.c = &c};
    struct buf prompt = BUF_INIT;
    const char *session = NULL;
    bool json = false;
    int code = arguments_read(argc, argv, &t, &prompt, &json, &session);
    bool talk = prompt.len == 0 && !json && !t.piped && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
    if (code == 0) {
        terminal_locale();
        code = cli_open_anyway(&c);
        if (code == 0)
            code = session_choose(&t, session);
        if (code == 0)
            code = talk ? chat_talk(&t) : chat_once(&t, prompt.len ? prompt.data : NULL, json);
        cli_close(&c);
    }
    conversation_free(&t.talk);
    free(t.model);
    free(t.system);
    buf_free(&prompt);
    return code;
}
