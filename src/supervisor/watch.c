/* Watch: asks every running module for its health every few seconds, and ends one that has stopped answering
 * (with SIGABRT, so that its crash report says where it hung). */
#include "supervisor/supervisor_internal.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"

#define PROBE_TIMEOUT_MS 2000

static void watch_all_healthy(struct supervisor *s)
{
    if (s->all_healthy_ms)
        return;
    for (size_t i = 0; i < s->child_count; i++) {
        const struct child *c = &s->children[i];
        if (c->wanted != COMMON_STATE_OFF &&
            (c->state != SUPERVISOR_PROCESS_RUNNING || c->health != COMMON_HEALTH_OK))
            return;
    }
    s->all_healthy_ms = clock_mono_ms();
    log_info("watch", "every module is healthy", LOG_I("startup_ms", s->all_healthy_ms - s->begun_ms));
}

void watch_take(struct child *c, const struct common_health_reply *reply, const struct error *err)
{
    if (c->state != SUPERVISOR_PROCESS_RUNNING)
        return;
    if (!reply) {
        c->health = -1;
        snprintf(c->reason, sizeof c->reason, "does not answer: %.400s", err->text);
        return;
    }
    const struct config_supervisor *config = supervisor_config(c->s);
    c->answered_ms = clock_mono_ms();
    c->health = (int)reply->status;
    c->reason[0] = '\0';
    for (size_t i = 0; i < reply->checks_count; i++) {
        if (reply->checks[i].status != COMMON_HEALTH_OK) {
            snprintf(c->reason, sizeof c->reason, "%.100s: %.380s", reply->checks[i].name,
                     reply->checks[i].detail ? reply->checks[i].detail : "not ok");
            break;
        }
    }
    if (c->health == COMMON_HEALTH_OK && clock_mono_ms() - c->started_ms >= config->healthy_reset_ms)
        c->backoff_ms = config->backoff_min_ms;
    watch_all_healthy(c->s);
}

static void on_probe(void *ctx, const struct common_health_reply *reply, double latency_ms,
                     const struct error *err)
{
    struct child *c = ctx;
    (void)latency_ms;
    c->probing = false;
    watch_take(c, reply, err);
}

void watch_probe(struct supervisor *s, struct child *c)
{
    if (c->probing || c->state != SUPERVISOR_PROCESS_RUNNING)
        return;
    if (module_probe(module_client(s->m), module_peer(s->m, c->what->name), PROBE_TIMEOUT_MS, on_probe, c) ==
        0)
        c->probing = true;
}

static void on_health_timer(uv_timer_t *timer)
{
    struct supervisor *s = timer->data;
    const struct config_supervisor *config = supervisor_config(s);
    for (size_t i = 0; i < s->child_count; i++) {
        struct child *c = &s->children[i];
        if (c->state != SUPERVISOR_PROCESS_RUNNING)
            continue;
        if (clock_mono_ms() - c->answered_ms > config->hang_ms && !c->abort_sent) {
            log_error("watch", "module has stopped answering and is ended", LOG_S("name", c->what->name),
                      LOG_I("silent_ms", clock_mono_ms() - c->answered_ms));
            child_abort(c);
            continue;
        }
        watch_probe(s, c);
    }
}

void watch_start(struct supervisor *s)
{
    uv_timer_init(module_loop(s->m), &s->health);
    s->health.data = s;
    s->health_open = true;
    s->open_handles++;
    watch_interval(s);
}

void watch_interval(struct supervisor *s)
{
    uint64_t every = (uint64_t)supervisor_config(s)->health_interval_ms;
    uv_timer_start(&s->health, on_health_timer, every, every);
}
