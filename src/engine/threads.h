/* Threads: how many of them compute. Either as many as were asked for, or as many as measure fastest.
 *
 * ggml's threads meet at a barrier after each operation and spin there. That is the fastest way on cores that
 * are ours alone, and a disaster on cores that are not: a thread that the kernel has put aside makes the
 * others burn their time slices, and a step of a millisecond takes a tenth of a second (measured: a small
 * model at 280 tokens/s with one thread and 13 with two, on two cores that a compiler kept busy). So the
 * speed is measured all the time, and now and then, for a few steps, another number is tried. More threads
 * are tried only while the machine has cores to spare, and a step that hangs at a barrier all the same is
 * given up and done again with fewer. */
#ifndef VX11_ENGINE_THREADS_H
#define VX11_ENGINE_THREADS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <llama.h>

enum { THREADS_CHOICES = 10 };

struct threads {
    struct llama_context *context;
    struct ggml_threadpool *(*pool_new)(struct ggml_threadpool_params *params);
    void (*pool_free)(struct ggml_threadpool *pool);
    struct ggml_threadpool *pools[THREADS_CHOICES]; /* made when first used */
    int counts[THREADS_CHOICES];                    /* falling: all, half, … 1 */
    int choices, current;
    atomic_int count; /* that compute now; any thread may read it */

    double mean; /* seconds of a step of mean_tokens tokens, with the current number */
    int32_t mean_tokens;
    unsigned mean_steps;
    double settled; /* the mean when the last trial ended */
    int trial;      /* choice that is being tried; -1: none */
    int direction;  /* of the next trial: 1 fewer, -1 more */
    double trial_seconds;
    unsigned trial_steps;
    uint64_t wait_ns, next_trial_ns;

    uint64_t step_limit_ns; /* moment from which on the running step counts as stalled; 0: never */
    unsigned stalls;
    int (*running)(void); /* proc_running; a test's own */
};

/* most: upper bound. fixed: always that many. small: starts with one thread, as fits a small model. */
void threads_start(struct threads *t, struct llama_context *context, int most, bool fixed, bool small);
void threads_stop(struct threads *t); /* before the context goes */
/* Another context's next step computes with the same threads. Not while ours computes: whoever calls has the
 * turn (turn.h). */
void threads_lend(struct threads *t, struct llama_context *to);
/* Before each step. */
void threads_begin(struct threads *t, int32_t tokens, uint64_t now_ns);
/* While a step computes, from the thread that asks for it: it takes so much longer than it should that its
 * threads must be waiting for cores. Then it is to be given up, and threads_stalled says so, for fewer
 * threads to do it. */
bool threads_hang(const struct threads *t, uint64_t now_ns);
void threads_stalled(struct threads *t, uint64_t now_ns);
/* After each step: tokens in its batch, and how long it took. May change the number for the next one. Decode
 * thread. */
void threads_measured(struct threads *t, int32_t tokens, double seconds, uint64_t now_ns);

#endif
