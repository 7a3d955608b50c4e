/* Context: what a conversation's latest messages say about it, for Switch and for the list of sessions. Pure
 * functions of texts; nothing of it ever stands in place of the question.
 *
 *   hint        the last 3 messages, each "role: " and its first 100 characters, at most 256, … where it was
 * cut signature   "Msgs:12 Last:first 30 characters…", "Empty" without any topic       of the last 3 messages
 * by whole words, English and Spanish: see context_topic compressed  first 20 characters of the last 5, " | "
 * between
 *
 * Who calls passes only what was said: no failed answers, no parts, not the question that is being asked. */
#ifndef VX11_OPERATOR_CONTEXT_H
#define VX11_OPERATOR_CONTEXT_H

#include <stddef.h>
#include <stdint.h>

#include "api/operator.h"
#include "base/buf.h"

#define CONTEXT_LAST 4 /* messages in last_messages */
#define CONTEXT_LOOK 5 /* most messages that any of these functions looks at */

struct context_message {
    int role; /* enum operator_message_role */
    const char *text;
    size_t len;
};

/* Each appends to out; m: the oldest first. 0 or VX11_ENOMEM. */
int context_hint(const struct context_message *m, size_t n, struct buf *out);
int context_compressed(const struct context_message *m, size_t n, struct buf *out);
/* count: all messages of the session, of which m are the latest. */
int context_signature(const struct context_message *m, size_t n, int64_t count, struct buf *out);

/* The rule: each of the last 3 messages votes for what base/task_type.h, by whole words of both languages,
 * says that it asks for, where that is code, audio, browser (browse) or system: with 3 the latest, 2 the one
 * before, 1 the first, times its confidence. The topic with the most wins; of equals the first of that order.
 * Without a vote it is chat when one of them greets, thanks or takes leave, else general: "this is something"
 * holds no "hi". */
enum operator_topic context_topic(const struct context_message *m, size_t n);

/* An object as JSON for Switch's metadata: context_summary, session_signature, topic_cluster,
 * compressed_context, last_messages ([{role, content}], at most 4, cut at 500 characters), message_count. */
int context_metadata(const struct context_message *m, size_t n, int64_t count, struct buf *out);

/* Title of a session that nobody named: the first line with words in it, at most 60 characters. */
int context_title(const char *text, size_t len, struct buf *out);

#endif
