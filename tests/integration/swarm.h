/* Swarm: many clients at once, each with one request after the other, and somebody who watches the engines'
 * processes meanwhile: what memory they hold together, how many there are of each model. One thread; the
 * clients are a poll loop. */
#ifndef VX11_ITEST_SWARM_H
#define VX11_ITEST_SWARM_H

#include "system.h"

enum { SWARM_CLIENTS_MAX = 64, SWARM_WORKERS_MAX = 32 };

struct swarm_worker { /* a process of Hermes' that has a model */
    pid_t pid;
    char model[64];
};
/* Those that run now, as the kernel lists Hermes' children; zombies are none. */
size_t swarm_workers(const struct system *s, struct swarm_worker *out, size_t most);
int64_t swarm_workers_rss(const struct swarm_worker *w, size_t n);

struct swarm {
    struct system *system;
    int clients, requests; /* at a time; in all */
    int max_tokens;
    int64_t limit_ms; /* for each request, from its start to its whole answer */
    int64_t kill_ms;  /* 0: nobody is killed; else about how often a worker gets SIGKILL */
    int64_t budget;   /* of all workers together; 0: not looked at */
    /* The model of request number `request` of a client. Static. */
    const char *(*model)(void *ctx, int client, int request);
    void *ctx;
    /* what came of it */
    int served, failed;
    char failure[600];               /* the first one */
    int64_t longest_ms, took_ms;     /* of a request; of all */
    int64_t most_rss;                /* of all workers together at any moment */
    int most_processes, most_of_one; /* of all models; of one model */
    int kills, runs;                 /* runs: how often the answers changed to another model */
    int struck;                      /* requests under which their engine was killed, at most */
    int samples;
};

/* Runs all requests and waits for their answers. Fails the test when one takes longer than the limit. */
void swarm_run(struct swarm *s);
/* Writes a model with vx11-synth into the home's folder of models; extra options end with NULL. */
void swarm_model(const struct system *s, const char *name, const char *const *options);

#endif
