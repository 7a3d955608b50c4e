/* Modes: how much a request may cost in time and money, and what each stands for. */
#ifndef VX11_SWITCH_MODES_H
#define VX11_SWITCH_MODES_H

#include "api/switch.h"
#include "switch/selection/score.h"

struct mode_profile {
    double cpu_limit;   /* share of the processors that background work may take */
    int max_models;     /* candidates that a choice may try one after the other */
    int64_t timeout_ms; /* to the first token of one that Switch chose, while another is left */
    int workers;        /* of the queue */
    unsigned preferred; /* bits 1 << enum switch_provider_kind */
    struct score_weights weights;
};

const struct mode_profile *mode_profile(enum switch_mode m);
/* By name, in any case, with - or _: "eco", "high_perf". false: none of them. */
bool mode_parse(const char *text, enum switch_mode *out);
/* The mode that applies. A host that is short of power spends less, not more: then every mode is ECO but
 * CRITICAL, which says that a request matters, not that there is much to do. */
enum switch_mode mode_effective(enum switch_mode set, enum switch_fluzo_profile host);
/* As the contract shows it; preferred is an array of at least 8 for its list. */
void mode_message(enum switch_mode m, int preferred[8], struct switch_weights *weights,
                  struct switch_mode_profile *out);

#endif
