/* Prices: what tokens cost. The configuration says it per million tokens (model_info of a provider); here it
 * is whole millionths of the currency ("micro"), so that sums do not drift. */
#ifndef VX11_SWITCH_PRICES_H
#define VX11_SWITCH_PRICES_H

#include <stdbool.h>
#include <stdint.h>

#include "contract/config.h"

struct price {
    bool known;
    int64_t input, output, cached; /* micro for a million tokens */
};

/* info: what the configuration says of the model, NULL: nothing. local: runs on this machine, and costs
 * nothing unless a price is given. A model that only reads (embeddings) needs no output price; without a
 * price of its own what came from the provider's cache costs as much as the rest. */
struct price price_of(const struct config_model_info *info, bool local);
/* Micro, rounded to the nearest; -1: the price, or how many tokens there were, is not known. Tokens below 0
 * are not known; cached are among prompt, and taken for 0 when not known. */
int64_t price_cost(const struct price *p, int64_t prompt, int64_t completion, int64_t cached);

#endif
