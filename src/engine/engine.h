/* Engine: the worker process that serves one model. It listens at once, loads the model on the decode thread,
 * and ends on SIGTERM (what runs is finished first, within drain_ms), when its parent dies, or when the model
 * cannot be loaded. */
#ifndef VX11_ENGINE_ENGINE_H
#define VX11_ENGINE_ENGINE_H

#include <stddef.h>
#include <stdint.h>

#include "engine/draft.h"
#include "engine/model.h"

enum {
    ENGINE_EXIT_OK = 0,
    ENGINE_EXIT_ERROR = 1, /* could not listen, or lacked memory */
    ENGINE_EXIT_USAGE = 2,
    ENGINE_EXIT_LOAD = 3, /* the model could not be loaded: the last line on stderr is the error as JSON */
};

struct engine_saving {
    const char *dir;          /* of conversations that outlive the process; NULL: they do not */
    uint64_t most_bytes;      /* of all models' together */
    const char *model_sha256; /* 64 hexadecimal digits; NULL: not known */
    int32_t min_tokens;       /* shorter ones are not kept */
    int64_t idle_ms, end_ms; /* they are written after so long without work; at the end for at most so long */
};

struct engine_options {
    struct model_options model;
    struct engine_saving saving;
    struct drafter_options speculation; /* threads and GPU layers are taken from `model` */
    const char *socket;                 /* Unix socket to listen on */
    size_t queue_limit;                 /* requests that may wait */
    unsigned choices_most;              /* most answers to one request, 1 … GENERATION_CHOICES_MAX */
    int64_t drain_ms;
    int count_fd;  /* of a page shared with the parent: how many requests have arrived, as its first number,
                      for  it to know even when we are killed; 0, -1: none */
    int notify_fd; /* "ready\n" goes there when we listen and again when the model is loaded, or one line that
                      says why it could not be; -1: nowhere */
};

/* Serves until told to end. Returns the exit code. The log must be open. */
int engine_run(const struct engine_options *options);

#endif
