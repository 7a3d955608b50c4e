/* Choice: from what is known of each candidate to the order in which they are asked. Pure: no clock, no
 * module, no side effect.
 *
 *   facts -> constraints (dropped, with the reason) -> rests, busy, used up (asked last) -> score -> order
 */
#ifndef VX11_SWITCH_CHOICE_H
#define VX11_SWITCH_CHOICE_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "switch/selection/modes.h"
#include "switch/selection/wish.h"

struct provider;

enum { FACT_NO = 0, FACT_YES = 1, FACT_UNKNOWN = -1 };

struct choice_fact {        /* one model of one provider; negative numbers: not known */
    struct provider *owner; /* not looked into */
    const char *provider, *model;
    enum switch_provider_kind kind;
    size_t order;  /* place in the chain or in the alias: smaller is first */
    bool pinned;   /* first whatever the score: the caller's hint, the configured default */
    bool stays;    /* what it is sent does not leave this machine */
    bool stand_in; /* after all others: the chain's own model, or the built-in one */
    bool builtin;  /* the built-in guide, which answers when there is nothing better */
    bool unnamed;  /* of a provider's list, but nobody put it into the configuration */
    unsigned can;  /* CAN_…; CAN_UNKNOWN */
    signed char tools, vision, json_schema; /* FACT_… */
    int64_t context;                        /* tokens */
    double quality;
    bool quality_by_size; /* from its number of weights, not from anybody's judgement */
    double input_price, output_price, first_token_ms, token_ms, load_ms;
    bool load_by_size; /* from the size of its file, not from an earlier load */
    double learned;
    bool learned_any;    /* something was learned at all */
    const char *not_now; /* it rests, is busy, has used up its budget: why; NULL: it may be asked */
};

struct choice_query {
    const struct wish *wish;
    enum choice_order { CHOICE_SCORE, CHOICE_CHAIN, CHOICE_LISTED } order;
    bool by_name;   /* the caller named the model: the context's length is for the model to judge */
    bool open;      /* anything may be chosen: what nobody named in the configuration is not */
    unsigned needs; /* CAN_…: any of these */
    enum switch_mode mode;
    enum switch_fluzo_profile host;
    struct score_weights weights;
};

#define CHOICE_OUTCOMES 4 /* of one candidate: the first try and those after it */

struct choice_outcomes {
    struct switch_attempt_outcome list[CHOICE_OUTCOMES];
    size_t count;
};

struct choice {
    const struct choice_fact *fact;
    enum switch_candidate_state state;
    const char *reason;
    struct score score;
    struct choice_outcomes *outcomes; /* NULL: it will not be asked */
};

/* Orders n facts into out (room for n). Reasons are literals or of the arena. How many may be asked (eligible
 * and not_now); they come first. */
size_t choice_make(struct arena *a, const struct choice_query *q, const struct choice_fact *facts, size_t n,
                   struct choice *out);

#endif
