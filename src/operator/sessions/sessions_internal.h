/* What the files of the sessions share.
 *
 *   sessions.c  who holds what; the clock that cleans
 *   session.c   rows of operator_session: new, get, list, change, remove, branch
 *   message.c   rows of operator_message, and what hangs on them
 *   turn.c      one turn as it is written down, and what goes to the model
 *   words.c     a person's words as a full-text query; marks of a snippet
 *   search.c, export.c, routes.c   what callers ask */
#ifndef VX11_OPERATOR_SESSIONS_INTERNAL_H
#define VX11_OPERATOR_SESSIONS_INTERNAL_H

#include <uv.h>

#include "operator/sessions/sessions.h"

#include "base/ulid.h"

struct sessions {
    struct operator_ *o;
    struct store *store;
    uv_timer_t timer;
    bool closing;
    char (*held)[ULID_LEN + 1];
    size_t held_count, held_size;
};

const struct config_operator *sessions_config(const struct sessions *s);

/* ---- session.c ---- */
struct session_facts { /* what a change of a session looks at */
    char id[ULID_LEN + 1];
    int64_t bytes, last_seq, message_count;
    bool titled, has_title, found;
};
int session_facts(struct store *store, const char *id, struct session_facts *out, struct error *err);

struct session_filter {
    const char *match; /* full-text query; NULL: all */
    int topic;         /* -1: all */
    int64_t before_at; /* only those used before this; INT64_MAX: all */
    const char *before_id;
    int64_t limit;
};
/* *out: at most limit of them, the latest first. */
int session_page(struct sessions *s, struct arena *a, const struct session_filter *f,
                 struct operator_session **out, size_t *count, struct error *err);
int session_total(struct sessions *s, const struct session_filter *f, int64_t *out, struct error *err);
struct session_change { /* NULL, NULL, -1: as it is */
    const char *title, *model;
    int pinned;
};
int session_change(struct sessions *s, const char *id, const struct session_change *change,
                   struct error *err);
/* VX11_EBUSY when it is held. Its files are swept later. */
int session_remove(struct sessions *s, const char *id, struct error *err);
/* The same in steps of about a megabyte of text, whoever holds it: until *done. bytes: what was taken out is
 * added. */
int session_remove_step(struct sessions *s, const char *id, bool *done, int64_t *bytes, struct error *err);
/* sessions.c: cleans at the loop's next turns. */
void sessions_clean_soon(struct sessions *s);
int session_branch(struct sessions *s, const char *id, const char *message_id, const char *title,
                   char out[ULID_LEN + 1], struct error *err);
/* Removes what expired or is too much, at most `most` of them; *more: there may be others. */
int session_clean(struct sessions *s, int64_t now, int most, bool *more, struct error *err);

/* Inside a transaction: title, topic and signature of a session after its messages changed. title: of the
 * first message where it has none, may be NULL. */
int session_refresh(struct sessions *s, const char *id, const char *title, int64_t now, struct error *err);

/* ---- message.c ---- */
#define MESSAGE_COLUMNS                                                                                      \
    "id, session_id, seq, role, content, reasoning, status, error, replaced_by, created_at, ended_at, "      \
    "requested_model, provider, model, reason, request_id, prompt_tokens, completion_tokens, "               \
    "cached_tokens, usage_estimated, first_token_ms, total_ms, tokens_per_second, cost, finish_reason, "     \
    "history_dropped, metadata"

struct message_list {
    struct arena *arena;
    struct operator_message *items;
    size_t count, size;
    size_t bytes, most_bytes; /* stops beyond; 0: no bound */
};
int message_take(void *ctx, const struct store_row *row); /* ctx: struct message_list */
void message_reverse(struct message_list *l);
/* Tool calls, attachments and feedback of messages of one session in rising order of seq. */
int message_parts(struct store *store, struct arena *a, struct operator_message *messages, size_t count,
                  struct error *err);
enum message_side { MESSAGES_LATEST, MESSAGES_BEFORE, MESSAGES_AFTER };
/* At most limit of them, the oldest first, with all that hangs on them. */
int message_page(struct sessions *s, struct arena *a, const char *session_id, enum message_side side,
                 int64_t seq, bool replaced, int64_t limit, struct message_list *out, struct error *err);
/* A file's row: n, id, session_id, message_id, name, kind, media_type, bytes, sha256, width, height,
 * created_at */
#define FILE_COLUMNS                                                                                         \
    "f.id, f.session_id, f.message_id, f.name, f.kind, f.media_type, f.bytes, f.sha256, f.width, f.height, " \
    "f.created_at"
int file_from_row(const struct store_row *row, int first, struct arena *a, struct operator_file *out);

/* ---- words.c ---- */
/* An FTS5 query of a person's words: all must occur, "quoted" ones as they stand, the last may be a
 * beginning. Nothing in q can make it a syntax error. out stays empty when there is no word in it. */
int words_query(const char *q, size_t len, struct buf *out);
#define WORDS_MARK_BEGIN '\x02'
#define WORDS_MARK_END   '\x03'
/* Takes the marks out of a snippet: plain text, and start and length of each in UTF-16 units. */
int words_marks(const char *snippet, struct arena *a, const char **text, int64_t **marks, size_t *count);

/* ---- export.c ---- */
void export_markdown_message(const struct operator_message *m, struct buf *out);
void export_markdown_head(const struct operator_session *s, int64_t now, struct buf *out);
/* ASCII name of a file made of a title. */
void export_file_name(const char *title, const char *end, char *out, size_t size);

#endif
