/* Upstream: a scripted server that speaks OpenAI's API, well or badly. The first part of the path is a
 * provider's name (base_url http://127.0.0.1:PORT/NAME/v1); each name has a behaviour of its own, which can
 * change at any time. */
#ifndef VX11_ITEST_UPSTREAM_H
#define VX11_ITEST_UPSTREAM_H

#include <stdbool.h>

#include "base/buf.h"

enum behaviour {
    UP_GOOD,           /* JSON, or a stream of 5 tokens: 7 prompt, 5 completion, 3 cached */
    UP_NO_USAGE,       /* good, without usage */
    UP_SLOW_HEADERS,   /* good, after 600 ms of silence */
    UP_DRIP,           /* a token every 50 ms, until the caller leaves (at most 20 s) */
    UP_DRIP_SHORT,     /* 20 tokens, one every 50 ms */
    UP_STALL,          /* one token, then silence */
    UP_GARBAGE,        /* 200, of the right type, whose body is noise */
    UP_NO_HTTP,        /* noise instead of HTTP */
    UP_HALF_EARLY,     /* half of the first event, then the end of the connection */
    UP_HALF_LATE,      /* two tokens, half an event, then the end of the connection */
    UP_NO_DONE,        /* tokens and a clean end, without a finish_reason or [DONE] */
    UP_FINISH_NO_DONE, /* tokens with a finish_reason, without [DONE] */
    UP_429,            /* Retry-After: 7 */
    UP_500,
    UP_503,
    UP_401,
    UP_404,
    UP_400,         /* an error of the caller's, with code and param */
    UP_BAD_JSON,    /* 200 and half of an object */
    UP_NO_CHOICES,  /* 200 and an object that holds none */
    UP_ERROR_EARLY, /* an error event instead of a token */
    UP_ERROR_LATE,  /* two tokens, an error event, [DONE] */
    UP_SILENT,      /* never answers */
    UP_CLOSE,       /* closes at once */
    UP_HUGE,        /* 70 MB of JSON */
    UP_WIDE,        /* a stream of 12000 tokens of 2 kB each, as fast as it is read */
    UP_REASONING,   /* reasoning_content for 2 s, then good */
    UP_BIG_EVENT,   /* a stream whose first event never ends */
    UP_VECTORS,     /* two vectors: 9 prompt tokens */
    UP_TOOLS, /* thoughts, a call of a tool and no text, in its pieces when streamed; fields of its own */
};

struct upstream;

struct upstream_seen {
    int requests;                /* POSTs */
    int listings;                /* GET …/models */
    int left;                    /* callers that went away in mid-answer */
    int running;                 /* answers being written */
    char head[8192], body[4096]; /* of the last POST */
};

/* What UP_VECTORS and UP_TOOLS answer, byte by byte. */
enum { UPSTREAM_TOOL_EVENTS = 5 };
extern const char upstream_vectors[], upstream_tools[];
extern const char *const upstream_tool_events[UPSTREAM_TOOL_EVENTS];

struct upstream *upstream_start(void);
void upstream_stop(struct upstream *u);
int upstream_port(const struct upstream *u);
void upstream_behave(struct upstream *u, const char *name, enum behaviour b); /* UP_GOOD until then */
void upstream_seen(struct upstream *u, const char *name, struct upstream_seen *out);
/* Adds a provider to the YAML of switch.providers: "    - {name: …}". `more` may be NULL:
 * "connect_timeout_ms: 500". */
void upstream_yaml(const struct upstream *u, struct buf *yaml, const char *name, const char *models,
                   const char *more);

#endif
