/* Fit: which earlier messages go along with a question. Pure arithmetic on counted messages. */
#ifndef VX11_OPERATOR_CHAT_FIT_H
#define VX11_OPERATOR_CHAT_FIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fit_message {
    int64_t tokens;
    bool asks; /* a person's message: a turn begins with it */
};

/* How many of the oldest messages go so that the rest has at most `room` tokens: whole turns, so that no
 * answer stays without its question. n: all of them. */
size_t fit_drop(const struct fit_message *m, size_t n, int64_t room);
/* Tokens of the messages from this one on. */
int64_t fit_tokens(const struct fit_message *m, size_t from, size_t n);
/* Room for history in a context: what question and instructions take, and room for the answer, come off. The
 * answer gets what the caller bounds it to, else a quarter of the context, at most 2048. Negative: the
 * question alone does not fit. */
int64_t fit_room(int64_t context, int64_t question, int64_t max_tokens);

#endif
