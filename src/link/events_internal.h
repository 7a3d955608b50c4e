/* What events.c (the log) and streams.c (who listens) share. */
#ifndef VX11_LINK_EVENTS_INTERNAL_H
#define VX11_LINK_EVENTS_INTERNAL_H

#include "link/link_internal.h"
#include "net/websocket.h"

#define EVENTS_RING       1024
#define EVENTS_REPLAY_MAX 1000

struct ring_event {
    char id[ULID_LEN + 1];
    int type;
    char *text; /* link.Event as JSON */
    size_t len;
};

/* One open reader: an SSE request or a WebSocket. */
struct event_stream {
    struct link_events *e;
    struct event_stream *next, *prev;
    struct request *r;        /* SSE, else NULL */
    struct websocket *ws;     /* WebSocket, else NULL; NULL too before it is open */
    int type;                 /* only this type; -1: all */
    char after[ULID_LEN + 1]; /* WebSocket: replay from here once open */
    int64_t replay;
    bool replaying, left; /* a reader can be dropped in the middle of its replay: then it is freed after it */
};

struct link_events {
    struct link *l;
    struct ring_event ring[EVENTS_RING]; /* oldest at head */
    size_t ring_head, ring_count;
    struct event_stream *streams;
    size_t stream_count;
    struct metric *open, *stored, *refused;
};

void streams_send(struct link_events *e, const char *id, int type, const char *text, size_t len);

#endif
