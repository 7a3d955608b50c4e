/* What the client's tests share: a loop with a client and a scripted server, and calls whose outcome is
 * written down. */
#ifndef VX11_TESTS_SCRIPT_SERVER_CALLS_H
#define VX11_TESTS_SCRIPT_SERVER_CALLS_H

#include "base/buf.h"
#include "net/client.h"
#include "script_server.h"

struct calls {
    uv_loop_t loop;
    uv_timer_t guard; /* fails the test instead of hanging */
    struct client *client;
    struct script_server *server;
    char base[64];
    struct client_target target;
    int closed;
};

struct seen { /* one call's outcome */
    struct calls *calls;
    struct client_call *call;
    int done, headers, status, pieces;
    int code;
    char text[512];
    struct buf body;
    double connect_s, first_byte_s, total_s;
    char type[64]; /* Content-Type of the reply, read in on_done */
    /* What a test wants to happen in the callbacks. */
    void (*at_headers)(struct seen *s);
    void (*at_data)(struct seen *s);
    void (*at_done)(struct seen *s);
    void *user;
};

void calls_open(struct calls *t, const char *socket, script_fn fn);
/* Closes the client and the loop; fails when either holds on to something. */
void calls_close(struct calls *t);
void calls_start(struct calls *t, struct seen *s, const char *method, const char *path, const char *body,
                 const struct client_call_options *options);
void calls_wait(struct calls *t, const int *flag); /* until *flag != 0, at most 20 s */
void calls_run_ms(struct calls *t, int ms);
/* Starts, waits, returns s->code. */
int calls_get(struct calls *t, struct seen *s, const char *path, const struct client_call_options *options);
int calls_count_fds(void);
extern const struct client_events calls_events;

/* How calls_open spells the server's host. A numeric one is called directly, a name through libcurl: what
 * callers see must be the same, so each test runs both ways. */
extern const char *calls_host;
#define CALLS_RETURN(tests)                                                                                  \
    do {                                                                                                     \
        calls_host = "127.0.0.1";                                                                            \
        int failed_ = cmocka_run_group_tests_name("direct", tests, NULL, NULL);                              \
        calls_host = "localhost";                                                                            \
        return failed_ + cmocka_run_group_tests_name("through libcurl", tests, NULL, NULL);                  \
    } while (0)

#endif
