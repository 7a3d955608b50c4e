/* Modes: the table. Timeouts, workers, preferred kinds, limits: of the predecessor's engine profiles.
 * Weights: its scorer's, made smaller by a fifth so that what was learned has that fifth and the sum is 1. */
#include "switch/selection/modes.h"

#include <ctype.h>
#include <string.h>

#define KIND(k)   (1u << SWITCH_PROVIDER_KIND_##k)
#define REMOTE    (KIND(OPENAI) | KIND(ANTHROPIC))
#define ALL_MODES (SWITCH_MODE_CRITICAL + 1)
#define LEARNED   0.2
#define W(q, l, c)                                                                                           \
    {                                                                                                        \
        (q) * (1 - LEARNED), (l) * (1 - LEARNED), (c) * (1 - LEARNED), LEARNED                               \
    }

static const struct mode_profile profiles[ALL_MODES] = {
    [SWITCH_MODE_ECO] = {0.2, 5, 5000, 2, KIND(LOCAL) | KIND(TOOL), W(0.3, 0.3, 0.4)},
    [SWITCH_MODE_BALANCED] = {0.5, 10, 8000, 4, KIND(LOCAL) | KIND(TOOL) | REMOTE, W(0.4, 0.3, 0.3)},
    [SWITCH_MODE_HIGH_PERF] = {0.9, 20, 15000, 8, REMOTE | KIND(TOOL), W(0.6, 0.2, 0.2)},
    [SWITCH_MODE_CRITICAL] = {1.0, 30, 30000, 16, REMOTE, W(0.7, 0.2, 0.1)},
};

const struct mode_profile *mode_profile(enum switch_mode m)
{
    return &profiles[(unsigned)m < ALL_MODES ? m : SWITCH_MODE_BALANCED];
}

bool mode_parse(const char *text, enum switch_mode *out)
{
    for (int m = 0; text && m < ALL_MODES; m++) {
        const char *name = switch_mode_names[m], *t = text;
        while (*name && (toupper((unsigned char)*t) == *name || (*t == '_' && *name == '-')))
            name++, t++;
        if (!*name && !*t) {
            *out = (enum switch_mode)m;
            return true;
        }
    }
    return false;
}

enum switch_mode mode_effective(enum switch_mode set, enum switch_fluzo_profile host)
{
    return host == SWITCH_FLUZO_PROFILE_LOW_POWER && set != SWITCH_MODE_CRITICAL ? SWITCH_MODE_ECO : set;
}

void mode_message(enum switch_mode m, int preferred[8], struct switch_weights *weights,
                  struct switch_mode_profile *out)
{
    const struct mode_profile *p = mode_profile(m);
    size_t n = 0;
    for (int k = 0; k < 8; k++)
        if (p->preferred & 1u << k)
            preferred[n++] = k;
    *weights = (struct switch_weights){.quality = p->weights.quality,
                                       .latency = p->weights.latency,
                                       .cost = p->weights.cost,
                                       .learned = p->weights.learned};
    *out = (struct switch_mode_profile){.mode = (int)m,
                                        .cpu_limit = p->cpu_limit,
                                        .max_models = p->max_models,
                                        .timeout_ms = p->timeout_ms,
                                        .max_workers = p->workers,
                                        .preferred = preferred,
                                        .preferred_count = n,
                                        .weights = weights};
}
