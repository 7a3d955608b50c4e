/* Inside of reply.c (life of a reply) and reply_json.c (its JSON). */
#ifndef VX11_ENGINE_REPLY_INTERNAL_H
#define VX11_ENGINE_REPLY_INTERNAL_H

#include "engine/engine_internal.h"

struct reply_choice {
    int64_t index;
    struct buf text; /* of a reply that is not streamed */
    struct token_logprobs *logprobs;
    size_t logprob_count;
    size_t characters; /* of its text so far: where the next token of a completion's logprobs begins */
    enum finish finish;
    bool begun; /* its first chunk was sent */
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

/* reply_json.c */
void choices_free(struct reply *reply);
/* Sends what an event adds. 0, or VX11_E… when the reader has gone. */
int reply_stream_event(struct reply *reply, const struct reply_part *part, struct reply_choice *choice,
                       const struct generation_event *event);
void reply_stream_finish(struct reply *reply); /* the last chunks and [DONE] */
void reply_stream_error(struct reply *reply);  /* the fault as an event */
void reply_whole(struct reply *reply);         /* terminal; frees the reply's own memory */

#endif
