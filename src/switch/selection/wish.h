/* Wish: what a request wants, read once from its body and headers. */
#ifndef VX11_SWITCH_WISH_H
#define VX11_SWITCH_WISH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/openai.h"
#include "api/switch.h"
#include "base/error.h"
#include "base/task_type.h"

struct config_switch;
struct request;

enum dispatch_kind { DISPATCH_CHAT, DISPATCH_COMPLETION, DISPATCH_EMBEDDING };

#define WISH_ANSWER_TOKENS 256 /* expected of an answer when the request does not say less */

struct wish { /* what a caller wants to be answered by; all zero but kind: nothing in particular */
    enum dispatch_kind kind;
    const char *model;        /* NULL or "": the default; "auto"; an alias; a name */
    const char *only, *first; /* names of providers; may be NULL */
    /* what wish_read found */
    bool read;
    enum task_type task;
    enum switch_task_source task_from;
    double task_confidence;
    const char *task_words[TASK_GUESS_WORDS]; /* NULL: no more */
    bool tools, vision, json_schema;          /* needed */
    int64_t prompt_tokens;                    /* estimate, as tokens.h makes it */
    int64_t answer_tokens;                    /* expected */
    bool local_only; /* may not leave the machine; set before reading: the token says so */
    enum switch_explanation_privacy_from privacy_from;
    const char *mode; /* that choosing goes by, as named by the caller or its token; NULL: neither */
    /* May the caller's token be answered by that? NULL: it may by all. */
    bool (*allows)(const void *ctx, const char *requested, const char *provider, const char *model);
    const void *allows_ctx;
};

struct wish_source {      /* what it is read from; NULL: not there */
    yyjson_val *root;     /* the request in OpenAI's shape */
    yyjson_val *metadata; /* goes before the request's own */
    const char *text;     /* to be classified where root holds none */
    const char *task_header, *privacy_header, *mode_header, *task_field, *token_name;
};

/* Fills the rest of *w, whose kind, model, only, first, allows, and maybe local_only, mode and prompt_tokens
 * are there. VX11_EINVALID with a sentence when the privacy that is asked for is none: a request that meant
 * to stay must not leave for a typing error. */
int wish_read(struct wish *w, const struct wish_source *from, const struct config_switch *config,
              struct error *err);
/* The same with a request's headers and principal. metadata may be NULL. */
int wish_of_request(struct wish *w, struct request *r, yyjson_val *root, yyjson_val *metadata,
                    const struct config_switch *config, struct error *err);

#endif
