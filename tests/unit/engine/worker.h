/* Worker: engine_run in a process of its own, and one request at a time to it. */
#ifndef VX11_TEST_ENGINE_WORKER_H
#define VX11_TEST_ENGINE_WORKER_H

#include <stdbool.h>
#include <sys/types.h>
#include <uv.h>

#include "base/buf.h"
#include "engine/engine.h"
#include "net/client.h"

struct worker {
    pid_t pid;
    char folder[32], socket[64];
    uv_loop_t loop;
    struct client *client;
    int notify; /* read end of what it tells its parent */
};

struct exchange { /* one request and its reply */
    int result, status;
    struct buf body;
    char retry_after[32];
    bool done;
    size_t leave_after; /* bytes of the body: then the client leaves; 0: never */
    struct client_call *call;
    const char *priority; /* header of the request; NULL: none */
};

/* Starts a worker of the model and waits until it listens. */
void worker_start(struct worker *w, const char *model, int parallel, size_t queue);
/* The same with all options; those of the socket and the notify descriptor are set here. */
void worker_start_options(struct worker *w, const struct engine_options *options);
/* Waits for its end; returns its exit code, or minus the signal. Releases the rest. */
int worker_end(struct worker *w);
void worker_wait_ready(struct worker *w);

/* Starts a request; body NULL: GET. Run worker_run until x->done. */
void worker_send(struct worker *w, const char *path, const char *body, struct exchange *x);
void worker_run(struct worker *w, const bool *done);
/* Both in one, into a fresh exchange; returns the status. */
int worker_ask(struct worker *w, const char *path, const char *body, struct exchange *x);
void exchange_free(struct exchange *x);

/* Checks a reply's body for a piece of text. */
void exchange_has(const struct exchange *x, const char *text);
/* Integer after `"key":` in the body; fails when there is none. */
long exchange_number(const struct exchange *x, const char *key);

#endif
