/* Fit: see fit.h. */
#include "operator/chat/fit.h"

#define ANSWER_MOST 2048

int64_t fit_tokens(const struct fit_message *m, size_t from, size_t n)
{
    int64_t sum = 0;
    for (size_t i = from; i < n; i++)
        sum += m[i].tokens;
    return sum;
}

size_t fit_drop(const struct fit_message *m, size_t n, int64_t room)
{
    int64_t left = fit_tokens(m, 0, n);
    size_t drop = 0;
    while (drop < n && (left > room || !m[drop].asks))
        left -= m[drop++].tokens;
    return drop;
}

int64_t fit_room(int64_t context, int64_t question, int64_t max_tokens)
{
    int64_t answer = context / 4 < ANSWER_MOST ? context / 4 : ANSWER_MOST;
    if (max_tokens > 0)
        answer = max_tokens < context / 2 ? max_tokens : context / 2;
    if (question >= context)
        return -1;
    return question + answer >= context ? 0 : context - question - answer;
}
