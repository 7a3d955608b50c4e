/* Server fixture: a server of a small hand-written contract in a thread of its own, so that tests may block.
 */
#ifndef SERVER_FIXTURE_H
#define SERVER_FIXTURE_H

#include <pthread.h>
#include <stdatomic.h>
#include <uv.h>

#include "net/server.h"
#include "net/websocket.h"

struct fixture {
    pthread_t thread;
    uv_loop_t loop;
    uv_async_t command;
    void (*run)(struct fixture *f); /* what the next command does, on the loop */
    _Atomic int pending;
    struct server *server;
    struct metrics *metrics;
    struct auth *auth;
    struct server_options options;
    struct error error;
    int start_result;
    int port;
    char socket_path[100], dir[64];
    char token_chat[64], token_admin[64], token_read[64], session[64], token_old[64];
    int64_t drain_ms;
    atomic_int drained;
    atomic_int cancels, reasons[64]; /* by -reason */
    atomic_int slow_ends;            /* how many hung handlers have ended late */
    atomic_int ws_open, ws_closed, ws_code;
    atomic_llong uploaded;
    atomic_int drains;
    bool stopped;
};

extern const struct contract_module fixture_module;
extern const request_handler fixture_handlers[];

/* Fills f with options that suit most tests; then change f->options and start. */
void fixture_prepare(struct fixture *f);
int fixture_start(struct fixture *f);                                   /* server_start's result */
void fixture_on_loop(struct fixture *f, void (*fn)(struct fixture *f)); /* and waits for it */
void fixture_drain(struct fixture *f); /* on the loop; then fixture_stop waits for its end */
void fixture_stop(struct fixture *f);  /* drains at once and checks that nothing is left */
bool fixture_eventually(atomic_int *value, int at_least); /* within 5 s */
double fixture_metric(struct fixture *f, enum metric_kind kind, const char *name, const char *labels);

#endif
