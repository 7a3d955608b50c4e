/* Inside of reply.c (life of a reply) and reply_json.c (its JSON). */
#ifndef VX11_ENGINE_REPLY_INTERNAL_H
#define VX11_ENGINE_REPLY_INTERNAL_H

#include "engine/engine_internal.h"

struct reply_call {        /* a call of a tool */
    const char *id, *name; /* in the request's arena */
    struct buf arguments;  /* of a reply that is not streamed */
};

struct reply_answer { /* of a choice whose text must be read by its format's rules */
    struct chat_parser *parser;
    struct buf content, thought; /* content: of a reply that is not streamed */
    struct reply_call *calls;
    size_t call_count, call_cap;
};

struct reply_choice {
    int64_t index;
    struct reply_answer answer;
    struct buf text; /* of a reply that is not streamed */
    struct token_logprobs *logprobs;
    size_t logprob_count;
    size_t characters; /* of its text so far: where the next token of a completion's logprobs begins */
    enum finish finish;
    const char *stop; /* string that ended it; NULL: none */
    bool begun;       /* its first chunk was sent */
};

struct reply_part {
    struct reply *reply;
    struct generation *generation;
    size_t first_choice;
    const char *echo;
    struct usage usage;
    bool ended;
};

struct reply {
    struct engine *engine;
    struct request *request;
    struct reply_options options;
    const char *id;
    int64_t created; /* epoch seconds */
    struct reply_part *parts;
    struct reply_choice *choices;
    size_t parts_started, parts_ended, unfinished; /* unfinished: choices */
    bool all_started;
    bool abandoned;   /* nobody reads any more */
    bool cancelled;   /* by us: the engine is stopping */
    int fault_status; /* 0: none */
    const char *fault_code, *fault_text;
    struct usage usage;
    struct reply_choice *held; /* the choice that finished last: its last chunk waits for the times */
};

void reply_fault(struct reply *reply, int status, const char *code, const char *text);

/* reply_chat.c: answers that call tools or think */
bool reply_parsed(const struct reply *reply); /* whether this reply's are */
/* Reads what an event adds and sends what it means. 0, or VX11_E… when the reader has gone. */
int reply_answer_event(struct reply *reply, struct reply_choice *choice,
                       const struct generation_event *event);
/* Reads a whole text and fills message; memory from the arena. False without memory. */
bool reply_answer_whole(struct reply *reply, struct reply_choice *choice, struct arena *a,
                        struct openai_reply_message *message);
void reply_answer_free(struct reply_answer *answer);
/* Tokens of the thoughts of all choices, as the model's tokenizer counts their text; -1: not known. */
int64_t reply_thought_tokens(const struct reply *reply);

/* reply_json.c */
/* One chunk of either kind. choice NULL: none. text NULL: nothing is added. */
struct chunk {
    struct reply_choice *choice;
    const char *text, *thought;
    const struct openai_tool_call_delta *call; /* NULL: none */
    const struct token_logprobs *logprobs;
    size_t logprob_count;
    bool with_role, with_finish, with_usage, with_times;
};
int chat_chunk_send(struct reply *reply, const struct chunk *c);
void choices_free(struct reply *reply);
/* Sends what an event adds. 0, or VX11_E… when the reader has gone. */
int reply_stream_event(struct reply *reply, const struct reply_part *part, struct reply_choice *choice,
                       const struct generation_event *event);
void reply_stream_finish(struct reply *reply); /* the last chunks and [DONE] */
void reply_stream_error(struct reply *reply);  /* the fault as an event */
void reply_whole(struct reply *reply);         /* terminal; frees the reply's own memory */

#endif
