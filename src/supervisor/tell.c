/* Tell: what happens to modules, as events for the timeline. Alerts are for incidents; these are for
 * everything. While everything stops nobody is left to tell. */
#include "supervisor/supervisor_internal.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"

static void tell(struct child *c, const char *type, int rc, struct buf *payload)
{
    if (rc == 0)
        module_event(c->s->m, type, payload->data);
    else
        log_error("tell", "an event could not be written", LOG_S("type", type),
                  LOG_S("reason", error_describe(rc)));
    buf_free(payload);
}

void tell_state(struct child *c, enum common_state before, const char *by, const char *reason)
{
    struct buf payload = BUF_INIT;
    const struct link_module_state_changed e = {.timestamp = clock_wall_ms(),
                                                .module = c->what->name,
                                                .from = (int)before,
                                                .to = (int)c->wanted,
                                                .by = by,
                                                .reason = reason};
    if (!c->s->stopping)
        tell(c, "module.state.changed", link_module_state_changed_serialize(&e, &payload), &payload);
}

void tell_run(struct child *c, enum link_module_run_event event, const char *reason)
{
    struct buf payload = BUF_INIT;
    const int64_t now = clock_mono_ms();
    const bool started = event == LINK_MODULE_RUN_EVENT_STARTED, again = c->next_start_ms > now;
    const struct link_module_run e = {
        .timestamp = clock_wall_ms(),
        .module = c->what->name,
        .event = (int)event,
        .has_pid = c->process.pid > 0,
        .pid = c->process.pid > 0 ? c->process.pid : 0,
        .has_restarts = true,
        .restarts = c->restarts,
        .has_start_ms = started,
        .start_ms = started ? now - c->started_ms : 0,
        .has_next_start_ms = again,
        .next_start_ms = again ? c->next_start_ms - now : 0,
        .reason = reason,
    };
    if (!c->s->stopping)
        tell(c, "module.run", link_module_run_serialize(&e, &payload), &payload);
}
