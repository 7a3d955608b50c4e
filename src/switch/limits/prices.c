/* Prices: micro-units, whole numbers throughout: a sum over a month must not depend on the order of its
 * parts. */
#include "switch/limits/prices.h"

#include <math.h>

#define MILLION INT64_C(1000000)

__extension__ typedef __int128 wide; /* a provider may report any number of tokens */

static int64_t to_micro(double price)
{
    return (int64_t)llround(price * (double)MILLION); /* the configuration bounds it at 1e6 */
}

struct price price_of(const struct config_model_info *info, bool local)
{
    bool given = info && (info->has_input_price || info->has_output_price || info->has_cached_input_price);
    if (!given)
        return (struct price){.known = local};
    struct price p = {.known = info->has_input_price,
                      .input = info->has_input_price ? to_micro(info->input_price) : 0,
                      .output = info->has_output_price ? to_micro(info->output_price) : -1};
    p.cached = info->has_cached_input_price ? to_micro(info->cached_input_price) : p.input;
    return p;
}

int64_t price_cost(const struct price *p, int64_t prompt, int64_t completion, int64_t cached)
{
    if (!p->known || prompt < 0 || completion < 0 || (completion > 0 && p->output < 0))
        return -1;
    if (cached < 0)
        cached = 0;
    if (cached > prompt)
        cached = prompt;
    wide sum = (wide)(prompt - cached) * p->input + (wide)cached * p->cached +
               (completion > 0 ? (wide)completion * p->output : 0);
    sum = (sum + MILLION / 2) / MILLION;
    return sum > INT64_MAX ? INT64_MAX : (int64_t)sum;
}
