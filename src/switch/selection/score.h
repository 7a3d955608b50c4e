/* Score: the one formula.
 *
 *   score = w_q quality + w_l (1 - min(latency / 5000 ms, 1)) + w_c (1 - min(price / 10, 1)) + w_f learned
 *           + what the mode likes - what is not known,  made smaller for engines of a host short of power,
 *                                                              and for what fails more often than not
 *
 * Unknown values have neutral stand-ins, which are named as such and never shown as measured. */
#ifndef VX11_SWITCH_SCORE_H
#define VX11_SWITCH_SCORE_H

#include <stdbool.h>

struct score_weights {
    double quality, latency, cost, learned; /* sum 1 */
};

#define SCORE_LATENCY_MS      5000.0 /* from here on all are equally slow */
#define SCORE_PRICE           10.0   /* per million tokens: from here on all are equally dear */
#define SCORE_LATENCY_TOKENS  64     /* of the answer that count into its latency: what is read at first */
#define SCORE_PREFERRED       0.05   /* added for a kind that the mode likes */
#define SCORE_UNKNOWN         0.1    /* taken off for each ability that is wanted and not known */
#define SCORE_HOST_LOW_POWER  0.85   /* times, for local engines of a host that is short of power */
#define SCORE_EVEN_ODDS       0.5 /* what is learned below this makes the whole score smaller, in proportion */
#define SCORE_QUALITY_NEUTRAL 0.5
#define SCORE_LATENCY_NEUTRAL (SCORE_LATENCY_MS / 2)
#define SCORE_PRICE_NEUTRAL   (SCORE_PRICE / 2)

struct score_input {                     /* negative: not known */
    double quality;                      /* 0 to 1 */
    double first_token_ms;               /* measured, of a model that is loaded */
    double token_ms;                     /* each further token */
    double load_ms;                      /* until it is loaded; 0: it is */
    double input_price, output_price;    /* per million tokens */
    double prompt_tokens, answer_tokens; /* expected */
    double learned;                      /* 0 to 1, never unknown */
    bool preferred;                      /* by the mode */
    unsigned unknown;                    /* abilities that are wanted and not known */
    bool strained;                       /* a local engine of a host that is short of power */
};

struct score {
    double quality, latency, cost, learned; /* terms, 0 to 1 */
    double adjust;                          /* what is added to their weighted sum */
    double total;
    double latency_ms, price; /* what the terms were made of */
    bool quality_guessed, latency_guessed, cost_guessed;
};

void score_make(const struct score_input *in, const struct score_weights *w, struct score *out);

#endif
