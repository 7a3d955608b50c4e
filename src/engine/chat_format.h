/* Chat format: how a model's template lays out a chat, its tools and its thinking, and how what the model
 * answers is read back. A C face of llama.cpp's chat code (libllama-common), which knows the formats.
 *
 *   messages, tools ── chat_format_apply ──> struct chat_prompt: text, grammar, triggers, stops, rules
 *   answer's text   ── chat_parser_feed  ──> struct chat_delta: thought, text, parts of tool calls
 *
 * Nothing of C++ comes out of here: every exception becomes an error, with the library's reason.
 * Threads: a chat_format is not changed after chat_format_create, and any thread may apply it; a chat_prompt
 * is not changed either; a chat_parser belongs to one thread at a time. */
#ifndef VX11_ENGINE_CHAT_FORMAT_H
#define VX11_ENGINE_CHAT_FORMAT_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#include "base/error.h"

struct chat_format;
struct chat_parser;
struct chat_rules; /* what an answer is read by */

struct chat_source {       /* all of it is copied; strings may be NULL for "" */
    const char *text;      /* the template, Jinja */
    const char *tool_text; /* another for chats with tools; NULL: the same */
    const char *bos, *eos; /* as the model spells them */
    bool add_bos, add_eos; /* the tokenizer adds them: the template's own are left out */
};

struct chat_call {
    const char *id, *name;
    const char *arguments; /* a JSON object, as text */
};

struct chat_message {
    const char *role;      /* "system", "user", "assistant", "tool" */
    const char *content;   /* never NULL */
    const char *reasoning; /* NULL: none */
    const char *name;      /* of the speaker, or of the function; NULL: none */
    const char *call_id;   /* of a tool message; NULL: none */
    const struct chat_call *calls;
    size_t call_count;
};

enum chat_tool_choice { CHAT_TOOLS_AUTO, CHAT_TOOLS_REQUIRED, CHAT_TOOLS_NONE };
enum chat_continue { CHAT_CONTINUE_NOT, CHAT_CONTINUE_CONTENT, CHAT_CONTINUE_REASONING };

struct chat_input {
    const struct chat_message *messages;
    size_t message_count;
    const char *tools;       /* JSON array as of OpenAI, for the model to read; NULL: none */
    const char *tools_exact; /* the same for grammar and parser, when `tools` holds marks; NULL: tools */
    enum chat_tool_choice tool_choice;
    bool parallel;         /* several calls in one answer */
    const char *variables; /* JSON object that the template sees besides; NULL: none */
    bool bound;    /* the answer's text follows a grammar of the caller's: say what a thought looks like */
    bool thinking; /* where the model can be told not to think */
    enum chat_continue go_on; /* the last message is the beginning of the answer */
};

struct chat_prompt { /* all owned by it; chat_prompt_free */
    const char *text;
    size_t len;
    const char *begun;                          /* the end of the text that is the answer's beginning; "" */
    const char *grammar;                        /* GBNF; NULL: none */
    bool grammar_lazy;                          /* from a trigger on */
    const char *const *words, *const *patterns; /* triggers: literal, and regular expressions */
    size_t word_count, pattern_count;
    const char *const *shown; /* control tokens that the parser must see */
    size_t shown_count;
    const char *const *stops; /* besides the caller's */
    size_t stop_count;
    bool thinking;            /* the answer may begin with a thought */
    bool thought_open;        /* it does: the text ends with the beginning of one */
    const char *thought_end;  /* what ends one; NULL: not known */
    const char *thought;      /* GBNF of a thought that may be there, its marks included; NULL: not known */
    bool plain;               /* the answer's text is its content: it needs no parser */
    struct chat_rules *rules; /* NULL when plain */
};

/* Reads the template, tries it with a few conversations and learns its formats (about 20 ms).
 * VX11_EUNSUPPORTED with the reason when it cannot be read or applied, VX11_ENOMEM. */
int chat_format_create(const struct chat_source *source, struct chat_format **out, struct error *err);
void chat_format_destroy(struct chat_format *f); /* NULL is fine */

struct chat_abilities {
    bool tools;    /* the template has a format for tools; else ours is used */
    bool thinking; /* it knows thoughts */
};
struct chat_abilities chat_format_abilities(const struct chat_format *f);

/* VX11_EINVALID when the template refuses these messages (its own reason), VX11_EUNSUPPORTED, VX11_ENOMEM. */
int chat_format_apply(const struct chat_format *f, const struct chat_input *in, struct chat_prompt **out,
                      struct error *err);
void chat_prompt_free(struct chat_prompt *p); /* NULL is fine */

struct chat_delta { /* valid during the callback; what is not added is NULL or, text, "" */
    const char *reasoning, *content;
    long call;                       /* index of the tool call; -1: none */
    const char *call_id, *call_name; /* in a call's first delta; the id may be "" */
    const char *arguments;
};
typedef int (*chat_delta_fn)(void *ctx, const struct chat_delta *delta); /* not 0: stop, and return that */

/* The rules are borrowed: the prompt must outlive its parsers. NULL without memory. */
struct chat_parser *chat_parser_create(const struct chat_prompt *p);
void chat_parser_destroy(struct chat_parser *parser); /* NULL is fine */
/* Takes a piece of the answer. Nothing is read while it would cost more than a small share of the time that
 * answering takes (the text is read anew each time); what is due then comes with a later piece. ended:
 * nothing follows; whole: and the model ended by itself, so that what follows the rules is complete. Returns
 * 0, fn's result, VX11_ESYNTAX when a whole answer does not follow the rules (its text was given as content
 * where that was possible), VX11_ENOMEM. */
int chat_parser_feed(struct chat_parser *parser, const char *text, size_t len, bool ended, bool whole,
                     chat_delta_fn fn, void *ctx, struct error *err);
/* Where the last reading stood: true while it was in a thought. */
bool chat_parser_thinking(const struct chat_parser *parser);

#ifdef __cplusplus
}
#endif

#endif
