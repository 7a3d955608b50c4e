/* Sessions: conversations in the database, and how one turn of a chat is written down.
 *
 *   sessions_hold ─> turn_begin ─> turn_keep every few seconds ─> turn_finish ─> sessions_release
 *                    question and empty         the part that           ok, failed
 *                    answer are committed       a kill leaves           or cancelled
 *
 * All on the loop's thread. Strings of what is filled live in the given arena. Errors: VX11_ENOT_FOUND (no
 * such session or message), VX11_EBUSY (a turn runs), VX11_ETOO_LARGE (bounds of the configuration),
 * VX11_EINVALID. */
#ifndef VX11_OPERATOR_SESSIONS_H
#define VX11_OPERATOR_SESSIONS_H

#include "operator/operator_internal.h"

struct sessions;

/* Marks answers that a crash left streaming as failed (their part stays), and begins to clean. */
int sessions_create(struct operator_ *o, struct sessions **out, struct error *err);
void sessions_close(struct sessions *s); /* its timer; before the loop ends */
void sessions_free(struct sessions *s);  /* NULL is fine */

/* ---- one turn at a time ---- */
/* 0, VX11_EBUSY with a sentence (answer: 409 session_busy), VX11_ENOMEM. A held session is not deleted, not
 * evicted and its messages are not replaced by others. */
int sessions_hold(struct sessions *s, const char *session_id, struct error *err);
void sessions_release(struct sessions *s, const char *session_id);
bool sessions_held(const struct sessions *s, const char *session_id);

/* ---- sessions ---- */
struct session_new {
    const char *title;   /* NULL: made of the first message */
    const char *model;   /* NULL, "" or "auto": the best one each time */
    int source;          /* enum operator_session_source */
    const char *user_id; /* NULL: local */
};
int session_new(struct sessions *s, struct arena *a, const struct session_new *n,
                struct operator_session *out, struct error *err);
int session_get(struct sessions *s, struct arena *a, const char *id, struct operator_session *out,
                struct error *err);

/* ---- a turn ---- */
struct turn_question {
    const char *session_id;
    const char *text;
    size_t len;
    const char *const *attachments; /* ids of files; VX11_ENOT_FOUND names the one that is not there */
    size_t attachment_count;
    const char *metadata;        /* JSON of an object; NULL: none */
    const char *replaces;        /* a message of the person's: it and what follows are replaced; NULL: none */
    const char *requested_model; /* kept with the answer; NULL: auto */
};
/* Stores the person's message and an empty answer that streams, in one transaction. The caller holds the
 * session. */
int turn_begin(struct sessions *s, struct arena *a, const struct turn_question *q,
               struct operator_message *question, struct operator_message *answer, struct error *err);
/* The same for "answer again": message_id is the person's message or its answer. What came after the person's
 * message is replaced by the new answer. VX11_EINVALID when it is replaced already. */
int turn_again(struct sessions *s, struct arena *a, const char *session_id, const char *message_id,
               const char *requested_model, struct operator_message *question,
               struct operator_message *answer, struct error *err);
/* Keeps what there is of a streaming answer. reasoning may be NULL. */
int turn_keep(struct sessions *s, const char *answer_id, const char *text, size_t len, const char *reasoning,
              size_t reasoning_len, struct error *err);

struct turn_end {
    int status; /* enum operator_message_status: ok, failed, cancelled */
    const char *text;
    size_t len; /* cut at operator.max_message_bytes */
    const char *reasoning;
    size_t reasoning_len;
    const struct common_error_body *error;                              /* of a failed one */
    const char *provider, *model, *reason, *request_id, *finish_reason; /* NULL: not known */
    const struct operator_usage *usage;                                 /* NULL: none */
    double first_token_ms, total_ms, tokens_per_second, cost;           /* negative: not known */
    int64_t history_dropped;                                            /* negative: not known */
};
/* Ends a streaming answer and brings the session up to date (topic, signature, updated_at). VX11_ENOT_FOUND
 * when it has ended already or its session is gone. */
int turn_finish(struct sessions *s, const char *answer_id, const struct turn_end *end, struct error *err);

/* ---- messages ---- */
/* With its attachments, tool calls and feedback. session_id NULL: of whichever. */
int message_get(struct sessions *s, struct arena *a, const char *session_id, const char *message_id,
                struct operator_message *out, struct error *err);
/* What goes to the model before the message of this seq: at most `most` of the latest, the oldest first.
 * Questions that got an answer and their answers, also parts of stopped ones that have text; no failed turns,
 * nothing replaced. Attachments and tool calls are filled. */
int session_history(struct sessions *s, struct arena *a, const char *session_id, int64_t before_seq,
                    size_t most, struct operator_message **out, size_t *count, struct error *err);
/* CONTEXT-7 of the messages before this seq, as JSON of an object (context.h says what is in it). */
int session_context(struct sessions *s, const char *session_id, int64_t before_seq, struct buf *out,
                    struct error *err);

/* Terminal: the one error shape for what these functions say. */
void session_fail(struct request *r, const struct error *err);

/* ---- routes ---- */
void sessions_on_list(struct request *r, void *module);
void sessions_on_new(struct request *r, void *module);
void sessions_on_get(struct request *r, void *module);
void sessions_on_change(struct request *r, void *module);
void sessions_on_delete(struct request *r, void *module);
void sessions_on_branch(struct request *r, void *module);
void sessions_on_export(struct request *r, void *module);
void sessions_on_search(struct request *r, void *module);

#endif
