/* The selector's own. */
#ifndef VX11_SWITCH_SELECTOR_INTERNAL_H
#define VX11_SWITCH_SELECTOR_INTERNAL_H

#include "switch/queue/queue.h"
#include "switch/selection/selector.h"
#include "switch/switch_internal.h"

struct selector {
    struct switch_ *sw;
    struct learner *learner;
    struct fluzo fluzo;
    struct fluzo_signals seen; /* being looked at */
    const char *home;
    enum switch_mode mode;    /* set */
    enum switch_mode applied; /* as last told */
    bool mode_remembered;     /* set by a person, not by the configuration */
    struct local_fact *locals;
    size_t local_count;
    uv_timer_t flush, look;
    uv_work_t work;
    bool looking, closing;
    int open_handles;
    void (*stopped)(void *ctx);
    void *stopped_ctx;
};

#endif
