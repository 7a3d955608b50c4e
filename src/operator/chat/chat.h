/* Chat: one turn of a conversation, from a person's words to the answer that is stored.
 *
 *   question committed ─> history that fits ─> Switch ─stream─> page ─┬─> answer stored ─> event message
 *                                                ^                    │
 *                                                └── tools' results <─┘ calls of tools (tools/)
 *
 * One turn at a time for each session. It ends with its client, or by a stop: then the model is cancelled
 * down to the token and the part is stored as cancelled. All on the loop thread. */
#ifndef VX11_OPERATOR_CHAT_CHAT_H
#define VX11_OPERATOR_CHAT_CHAT_H

#include "operator/operator_internal.h"

struct chat;

int chat_create(struct operator_ *o, struct chat **out, struct error *err);
void chat_stopping(struct chat *c); /* the stop has begun: turns that run end as cancelled */
void chat_free(struct chat *c);     /* after the client's calls have ended; NULL is fine */

/* ---- routes ---- */
void chat_on_post(struct request *r, void *module);
void chat_on_retry(struct request *r, void *module);
void chat_on_stop(struct request *r, void *module);
void chat_on_decision(struct request *r, void *module);

#endif
