/* Reading: what one module's /metrics said at one moment, as far as it is of use here. */
#ifndef VX11_OPERATOR_READING_H
#define VX11_OPERATOR_READING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { READING_STEPS = 24, READING_CALLS = 68, READING_PEER = 128 };

struct times { /* a histogram; steps[i]: those up to bound i and above the one before */
    double bounds[READING_STEPS], steps[READING_STEPS];
    size_t count; /* bounds; the last may be infinity */
};
/* Of the difference of two readings; false: there is nothing in it. In seconds. */
bool times_quantile(const struct times *t, double q, double *out);
void times_add(struct times *to, const struct times *more);
/* What came since `before` (NULL: since the beginning). Never negative. */
void times_since(const struct times *now, const struct times *before, struct times *out);

struct calls { /* to or from somebody */
    char peer[READING_PEER];
    double ok, failed, cancelled;
    struct times times; /* until the answer's headers */
};

struct reading {
    struct calls to[READING_CALLS]; /* whom this module called */
    size_t to_count;
    struct calls from[4]; /* people, programs, shell: by caller */
    size_t from_count;
    double requests, errors; /* answered; of those with a status of 500 and more */
    struct times latency;
    double lag_sum, lag_count; /* of the event loop, seconds */
    double prompt_tokens, completion_tokens, llm_requests, llm_failures;
    struct times first_token;
    double in_flight, queue_depth, tension, writer_queue; /* gauges */
    bool has_lag, has_in_flight, has_queue, has_tension, has_writer;
};

/* Reads a text, which is changed. 0, or VX11_E… with the line that is wrong. */
int reading_parse(char *text, size_t len, struct reading *out, size_t *line);
/* The calls with this peer; NULL: there were none. */
const struct calls *calls_find(const struct calls *list, size_t count, const char *peer);

#endif
