/* Embed: texts to vectors, by the front door's /v1/embeddings; a vector on each line of standard output. */
#include "cli/cli_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/link_client.h"
#include "base/clock.h"
#include "base/str.h"

#define EMBED_MS        600000
#define EMBED_INPUT_MAX (8u << 20) /* bytes of standard input */
#define EMBED_REPLY_MAX (256u << 20)

enum { EMBED_TEXTS = 2048 };

struct embed {
    struct cli *c;
    const char *texts[EMBED_TEXTS];
    size_t count;
    const char *model;
    int64_t dimensions; /* 0: all */
    bool words, json;   /* words: behind -- everything is a text */
    struct buf input;   /* lines of standard input */
    bool done;
    int code;
};

static int text_add(struct embed *e, const char *text)
{
    if (e->count == EMBED_TEXTS)
        return cli_fail(CLI_FAILED, "at most %d texts at a time", EMBED_TEXTS);
    if (!utf8_valid(text, strlen(text)))
        return cli_fail(CLI_FAILED, "text %zu is not UTF-8", e->count + 1);
    e->texts[e->count++] = text;
    return 0;
}

/* Each line that is not empty is a text. */
static int lines_read(struct embed *e)
{
    char piece[65536], *rest = NULL;
    ssize_t n;
    int code = 0;
    while ((n = read(STDIN_FILENO, piece, sizeof piece)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return cli_fail(CLI_FAILED, "standard input cannot be read: %s", strerror(errno));
        if (e->input.len + (size_t)n > EMBED_INPUT_MAX)
            return cli_fail(CLI_FAILED, "standard input has more than %u bytes", EMBED_INPUT_MAX);
        if (buf_append(&e->input, piece, (size_t)n) != 0)
            return cli_fail(CLI_FAILED, "out of memory");
    }
    if (e->input.len > 0 && strlen(e->input.data) != e->input.len)
        return cli_fail(CLI_FAILED, "standard input is not text");
    for (char *line = e->input.len > 0 ? strtok_r(e->input.data, "\r\n", &rest) : NULL; line && code == 0;
         line = strtok_r(NULL, "\r\n", &rest))
        code = text_add(e, line);
    return code;
}

static int option_take(struct embed *e, int argc, char **argv, int *i)
{
    const char *value;
    int is = cli_option("embed", argc, argv, i, "--model", &value);
    if (is > 0)
        e->model = value;
    if (is != 0)
        return is;
    is = cli_option("embed", argc, argv, i, "--dimensions", &value);
    if (is > 0 && str_to_i64(value, 1, 1000000, &e->dimensions) != 0)
        return cli_usage("embed", "--dimensions must be a whole number from 1, not %s", value), -1;
    return is;
}

static int arguments_read(struct embed *e, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        int is = e->words ? 0 : option_take(e, argc, argv, &i);
        if (is < 0)
            return CLI_USAGE;
        if (is > 0)
            continue;
        if (!e->words && strcmp(argv[i], "--json") == 0)
            e->json = true;
        else if (!e->words && strcmp(argv[i], "--") == 0)
            e->words = true;
        else if (!e->words && argv[i][0] == '-')
            return cli_usage("embed", "unknown argument %s", argv[i]);
        else if ((is = text_add(e, argv[i])) != 0)
            return is;
    }
    if (e->model && !utf8_valid(e->model, strlen(e->model)))
        return cli_usage("embed", "the name of --model is not UTF-8");
    if (e->count == 0 && isatty(STDIN_FILENO))
        return cli_usage("embed", "there is no text: neither an argument nor standard input has one");
    return 0;
}

static int vectors_print(const struct openai_embedding_reply *reply)
{
    struct buf line = BUF_INIT;
    int rc = 0;
    for (size_t i = 0; i < reply->data_count && rc == 0; i++) {
        buf_clear(&line);
        rc = contract_json_write(reply->data[i].embedding, &line);
        if (rc == 0)
            puts(line.data);
    }
    buf_free(&line);
    return rc == 0 ? CLI_OK : cli_fail(CLI_FAILED, "a vector cannot be written: %s", error_describe(rc));
}

static void on_reply(struct client_call *call, void *ctx, const struct client_reply *reply)
{
    struct embed *e = ctx;
    (void)call;
    e->done = true;
    if (!reply->message)
        e->code = cli_reply_failed(reply, "the front door");
    else
        e->code = e->json ? cli_print_json(&openai_embedding_reply_message, reply->message)
                          : vectors_print(reply->message);
}

static int embed_ask(struct embed *e)
{
    struct buf texts = BUF_INIT;
    struct openai_embedding_request ask;
    struct client_call *call;
    const struct client_call_options options = {.deadline_ms = clock_mono_ms() + EMBED_MS,
                                                .max_reply = EMBED_REPLY_MAX};
    yyjson_val *input = NULL;
    int rc = openai_embedding_request_init(e->c->arena, &ask);
    for (size_t i = 0; i < e->count; i++) {
        buf_putc(&texts, i ? ',' : '[');
        buf_put_json_string(&texts, e->texts[i], strlen(e->texts[i]));
    }
    if (rc == 0 && buf_putc(&texts, ']') != 0)
        rc = VX11_ENOMEM;
    if (rc == 0)
        rc = contract_json_parse(e->c->arena, texts.data, texts.len, NULL, &input, NULL);
    ask.model = e->model;
    ask.input = input;
    ask.has_dimensions = e->dimensions > 0;
    ask.dimensions = e->dimensions;
    if (rc == 0)
        rc = link_embeddings_call(e->c->client, cli_front_door(e->c), &ask, &options, on_reply, e, &call);
    buf_free(&texts);
    if (rc != 0)
        return cli_fail(CLI_FAILED, "%s", error_describe(rc));
    cli_wait(e->c, &e->done);
    return e->code;
}

int command_embed(int argc, char **argv)
{
    struct cli c;
    struct embed *e = calloc(1, sizeof *e);
    if (!e)
        return cli_fail(CLI_FAILED, "out of memory");
    e->c = &c;
    int code = arguments_read(e, argc, argv);
    if (code == 0 && e->count == 0)
        code = lines_read(e);
    if (code == 0 && e->count == 0)
        code = cli_usage("embed", "there is no text: neither an argument nor standard input has one");
    if (code == 0) {
        code = cli_open_anyway(&c);
        if (code == 0)
            code = cli_flushed(embed_ask(e));
        cli_close(&c);
    }
    buf_free(&e->input);
    free(e);
    return code;
}
