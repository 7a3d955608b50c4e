/* What the files of the chat share.
 *
 *   chat.c     a turn begins: session, question, history; routes; stop
 *   ask.c      one request to Switch and its answer as it comes
 *   body.c     the JSON of that request
 *   loop.c     calls of tools: rows, confirmations, results, the next round
 *   end.c      how a turn ends, what is stored and told
 *   stream.c, fit.c   pure parts */
#ifndef VX11_OPERATOR_CHAT_INTERNAL_H
#define VX11_OPERATOR_CHAT_INTERNAL_H

#include <uv.h>

#include "base/ulid.h"
#include "operator/chat/chat.h"
#include "operator/chat/fit.h"
#include "operator/chat/stream.h"
#include "operator/sessions/sessions.h"
#include "operator/tools/tools.h"

struct chat_known { /* a local model's context */
    char *model;
    int64_t context;
};

struct chat {
    struct operator_ *o;
    struct chat_turn *turns;
    struct chat_known *known; /* as Hermes said */
    size_t known_count;
    int64_t known_at;           /* monotonic ms; 0: never */
    struct metric *outcomes[4]; /* ok, failed, cancelled, refused before it began */
    struct metric *tool_outcomes[6];
    struct metric *first_token;
};

struct chat_call { /* of a tool */
    struct chat_turn *turn;
    const struct tool *tool; /* NULL: there is none of this name */
    struct tool_row row;
    yyjson_val *args;
    const char *told; /* what the model is told, once it has ended */
    struct tool_run *run;
    int64_t waits_until; /* monotonic ms */
    uint64_t began_ns;
};

struct chat_turn {
    struct chat *c;
    struct chat_turn *next;
    struct arena *a;
    struct request *r; /* NULL: it was answered */
    bool streams, tools, ended, whole, telling;
    char session_id[ULID_LEN + 1];
    struct operator_message question, answer;
    const char *model, *system;
    double temperature;   /* negative: not given */
    int64_t max_tokens;   /* 0: not given */
    const char *metadata; /* JSON of an object, as Switch gets it */
    struct operator_message *history;
    struct fit_message *fit;
    size_t history_count, dropped;
    int64_t own_tokens; /* of question and instructions */
    /* this round */
    struct client_call *call;
    bool lookup; /* call asks for models' contexts */
    int status;
    struct chat_stream in;
    bool reading;
    struct buf failure; /* body of an answer that is none */
    size_t told_text, told_reasoning;
    bool paused;
    /* all rounds */
    struct buf text, reasoning; /* of the rounds before */
    struct chat_call *calls;
    size_t call_count, call_size, round_first; /* calls of this round begin there */
    int64_t round;
    yyjson_mut_doc *doc;    /* holds `rounds` */
    yyjson_mut_val *rounds; /* messages of earlier rounds: calls and results */
    char request_id[96];
    const char *provider, *answered_model, *reason;
    struct operator_usage usage;
    bool has_usage;
    uint64_t began_ns, first_ns, last_ns;
    int64_t kept_at;
    double cost;
    int cost_tries;
    uv_timer_t timer;
    unsigned pending; /* the timer and a call hold it */
};

const struct config_operator_chat *chat_config(const struct chat *c);

/* ---- chat.c ---- */
struct chat_turn *chat_find(struct chat *c, const char *session_id);
void turn_release(struct chat_turn *t); /* one of `pending` is over */

/* ---- ask.c ---- */
void turn_ask(struct chat_turn *t);
void turn_tell(struct chat_turn *t); /* what came since it was last told, to the client */
/* What a client's header says goes along. 0 or VX11_ENOMEM. */
int turn_options(struct chat_turn *t, struct client_call_options *out);

/* ---- body.c ---- */
/* The request's body, on the heap of `out`. */
int turn_body(struct chat_turn *t, struct buf *out, struct error *err);
/* Metadata for Switch as JSON in the turn's arena; NULL: out of memory. */
const char *turn_metadata(struct chat_turn *t, yyjson_val *own, const char *summary);

/* ---- loop.c ---- */
void loop_begin(struct chat_turn *t); /* the model called tools */
void loop_cancel(struct chat_turn *t);
void loop_timer(struct chat_turn *t);

/* ---- end.c ---- */
void turn_done(struct chat_turn *t); /* the answer is whole */
void turn_cancel(struct chat_turn *t);
void turn_fail(struct chat_turn *t, int status, const char *code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void turn_cost_timer(struct chat_turn *t);
/* An event of the stream, when it is one. */
void turn_event(struct chat_turn *t, const char *event, const struct contract_message *m,
                const void *message);

#endif
