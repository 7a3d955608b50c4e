/* Report: what several modules say in the same words: an alert, and the state of a breaker. */
#include "module/module.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "base/ulid.h"

void module_alert(struct module *m, enum link_alert_severity severity, const char *fmt, ...)
{
    char message[800], id[ULID_LEN + 1];
    struct buf payload = BUF_INIT;
    va_list args;
    va_start(args, fmt);
    vsnprintf(message, sizeof message, fmt, args);
    va_end(args);
    message[utf8_valid_prefix(message, strlen(message))] = '\0'; /* the cut may have split a character */
    struct link_system_alert alert = {.timestamp = clock_wall_ms(),
                                      .alert_id = ulid_make(id),
                                      .severity = (int)severity,
                                      .message = message};
    int rc = link_system_alert_serialize(&alert, &payload);
    if (rc == 0)
        module_event(m, "system.alert", payload.data);
    else
        log_error("module", "an alert could not be written", LOG_S("alert", message),
                  LOG_S("reason", error_describe(rc)));
    buf_free(&payload);
}

void module_breaker_report(const struct breaker *b, struct switch_breaker *out)
{
    int64_t now = clock_mono_ms();
    enum breaker_state state = breaker_peek(b, now);
    *out = (struct switch_breaker){
        .state = (int)state, /* the contract lists them in the same order */
        .failures = b->failures,
        .threshold = b->threshold,
        .has_last_failure_at = b->last_failure_wall > 0,
        .last_failure_at = b->last_failure_wall,
        .has_retry_after_ms = state != BREAKER_CLOSED,
        .retry_after_ms = breaker_retry_after_ms(b, now),
        .opened_total = (int64_t)b->opened_total,
        .rejected_total = (int64_t)b->rejected_total,
    };
}
