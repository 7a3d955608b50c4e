/* Harness: the guide model behind a real scheduler, with the test as the loop thread. */
#ifndef VX11_TEST_ENGINE_HARNESS_H
#define VX11_TEST_ENGINE_HARNESS_H

#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "engine/draft.h"
#include "engine/chat_format.h"
#include "engine/model.h"
#include "engine/scheduler.h"
#include "engine/tokenize.h"

struct harness {
    struct model *model;
    struct drafter *drafter;
    struct saved *saved;
    struct scheduler *scheduler;
    struct turn turn;
    pthread_t thread;
    sem_t woken;
};

struct answer { /* what came of one generation */
    struct buf text[8];
    enum finish finish[8];
    enum finish end; /* of the last event */
    struct usage usage;
    struct error error;
    unsigned events;
    bool last;
    double probability;    /* sum over the top list of the first token */
    size_t logprobs, top;  /* tokens with log-probabilities; entries of the first one's top list */
    double chosen_logprob; /* of the first token */
    unsigned cancel_after; /* events: then the test's callback cancels; 0: never */
};

/* $VX11_GUIDE, else $VX11_SRC/models/guide/guide.gguf. */
const char *harness_guide(void);
struct model *harness_model(int parallel, int64_t context, int batch);
struct harness_options {
    const char *path; /* NULL: the guide */
    int parallel, batch;
    int64_t context; /* 0: the model's own */
    int32_t cells;   /* 0: as many as full contexts need */
    size_t queue;
    enum draft_mode speculation;
    const char *draft_model;
    const char *saved_dir; /* conversations are kept there; NULL: nowhere */
    struct scheduler_saving saving;
};
struct harness *harness_open(const struct harness_options *o);
/* context 0: the model's own. */
struct harness *harness_start(int parallel, int64_t context, size_t queue);
void harness_stop(struct harness *h);

/* Tokens of a chat through the model's template, safe against texts that spell control tokens. */
int harness_prompt(const struct model *m, const struct chat_message *messages, size_t n, struct tokens *out,
                   struct error *err);
/* Tokens of a one-question chat, through the model's template. */
void harness_chat(const struct model *m, const char *question, struct tokens *out);
struct generation_options harness_greedy(const struct tokens *prompt);
/* Submits; the answer is filled by harness_wait. Returns scheduler_submit's result; *out may be NULL. */
int harness_submit(struct harness *h, const struct generation_options *o, struct answer *answer,
                   struct generation **out);
void harness_wait(struct harness *h, struct answer *answers, size_t n);
void answer_free(struct answer *a);

#endif
