/* Score: see the header. */
#include "switch/selection/score.h"

static double clamp01(double x)
{
    return x < 0 ? 0 : x > 1 ? 1 : x;
}

static double latency_of(const struct score_input *in, bool *guessed)
{
    double ms = in->first_token_ms, load = in->load_ms > 0 ? in->load_ms : 0;
    *guessed = ms < 0;
    if (ms < 0)
        return SCORE_LATENCY_NEUTRAL + load;
    double tokens = in->answer_tokens;
    if (tokens > SCORE_LATENCY_TOKENS)
        tokens = SCORE_LATENCY_TOKENS;
    if (in->token_ms > 0 && tokens > 1)
        ms += in->token_ms * (tokens - 1);
    return ms + load;
}

/* Price of a million tokens in the mix that the request has. */
static double price_of(const struct score_input *in, bool *guessed)
{
    double read = in->input_price, written = in->output_price;
    double tokens = in->prompt_tokens + in->answer_tokens;
    *guessed = read < 0 || written < 0;
    if (read < 0 && written < 0)
        return SCORE_PRICE_NEUTRAL;
    if (read < 0 || written < 0) /* one of the two: it stands for both */
        return read < 0 ? written : read;
    return tokens > 0 ? (read * in->prompt_tokens + written * in->answer_tokens) / tokens
                      : (read + written) / 2;
}

void score_make(const struct score_input *in, const struct score_weights *w, struct score *out)
{
    out->quality_guessed = in->quality < 0;
    out->quality = in->quality < 0 ? SCORE_QUALITY_NEUTRAL : clamp01(in->quality);
    out->latency_ms = latency_of(in, &out->latency_guessed);
    out->latency = 1 - clamp01(out->latency_ms / SCORE_LATENCY_MS);
    out->price = price_of(in, &out->cost_guessed);
    out->cost = 1 - clamp01(out->price / SCORE_PRICE);
    out->learned = clamp01(in->learned);
    double sum = w->quality * out->quality + w->latency * out->latency + w->cost * out->cost +
                 w->learned * out->learned;
    double total = sum + (in->preferred ? SCORE_PREFERRED : 0) - SCORE_UNKNOWN * in->unknown;
    if (in->strained)
        total *= SCORE_HOST_LOW_POWER;
    /* Quick and cheap is no merit of what fails: below even odds all of it counts less. */
    if (out->learned < SCORE_EVEN_ODDS)
        total *= out->learned / SCORE_EVEN_ODDS;
    out->total = total < 0 ? 0 : total;
    out->adjust = out->total - sum;
}
