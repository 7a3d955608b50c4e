/* Chat: a conversation with a model through the front door.
 *
 *   chat.c         arguments, one question or a conversation, its commands
 *   chat_line.c    the line being typed, and the history of lines
 *   chat_stream.c  one answer: request, chunks as they come, what they cost */
#ifndef VX11_CLI_CHAT_H
#define VX11_CLI_CHAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/openai.h"
#include "cli/cli_internal.h"

#define CHAT_PROMPT_MAX (1u << 20)  /* bytes of one question */
#define CHAT_ANSWER_MAX (64u << 20) /* bytes of one answer */

/* ---- the conversation so far ---- */
struct turn {
    int role; /* enum openai_role */
    char *text;
    size_t len;
};
struct conversation {
    struct turn *turns;
    size_t count, cap;
};
int conversation_add(struct conversation *v, int role, const char *text,
                     size_t len);                            /* copies; 0 or VX11_ENOMEM */
void conversation_cut(struct conversation *v, size_t count); /* forgets all but the first `count` */
/* Forgets the oldest question and its answer; false when there is only the newest question. */
bool conversation_drop_oldest(struct conversation *v);
void conversation_free(struct conversation *v);

/* ---- one answer ---- */
struct answer {
    struct buf text;
    int code;     /* CLI_OK, or what went wrong; error says it */
    bool stopped; /* by Ctrl-C */
    bool cut;     /* finish_reason length */
    bool has_usage;
    int64_t prompt_tokens, completion_tokens;
    double first_token_s; /* from the request to the first piece of text; negative: none came */
    double tokens_per_s;  /* as the engine measured, else by our own clock; negative: not known */
    char model[256], provider[64];
    char error[600], error_code[64];
};
struct chat_asking {
    const char *model;  /* NULL: the default one */
    const char *system; /* NULL: none */
    bool json;          /* the whole reply at once, printed as it is */
    bool terminal;      /* stdout is one: text is cleaned, thoughts are shown */
    char *session; /* ULID_LEN + 1 bytes: the operator keeps the conversation in this session and only the
                      newest question goes out; "" until it has begun one. NULL: in none */
};
/* Asks and prints what comes as it comes. Ctrl-C cancels. Fills *out in any case: answer_free. */
void chat_answer(struct cli *c, const struct conversation *v, const struct chat_asking *asking,
                 struct answer *out);
void answer_free(struct answer *a);

/* ---- the line ---- */
struct chat_line;
int chat_line_open(const char *home, struct chat_line **out);
void chat_line_close(struct chat_line *l); /* NULL is fine */
/* What was typed, without its end; several lines where each but the last ended in a backslash. 1: a line in
 * out (replaced). 0: the person leaves. Negative: error. */
int chat_line_read(struct chat_line *l, struct buf *out);

#endif
