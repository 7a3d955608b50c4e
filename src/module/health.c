/* Health: what every module says of itself besides its own checks. A row that waits or is lost does not keep
 * a request from being answered, so nobody would hear of it otherwise. */
#include "module/module_internal.h"

#include <stdio.h>

#include "base/clock.h"

/* Rows wait this long only when the database cannot be written. */
#define STUCK_MS 1000
/* How long lost rows are news. */
#define LOST_MS (60 * 1000)

void module_look(struct module *m)
{
    struct writer_stats now;
    writer_stats(m->writer, &now);
    bool moved = now.written + now.failed != m->writes.written + m->writes.failed;
    if (now.queued == 0 || moved)
        m->writes_stuck_since = 0;
    else if (!m->writes_stuck_since)
        m->writes_stuck_since = clock_mono_ms();
    if (now.failed + now.rejected > m->writes.failed + m->writes.rejected)
        m->rows_lost_at = clock_mono_ms();
    m->writes = now;
    metric_set(m->writer_queued, (double)now.queued);
    metric_set(m->writer_lost, (double)(now.failed + now.rejected));
}

bool module_can_write(const struct module *m)
{
    const int64_t now = clock_mono_ms();
    return !m->store_unreadable && !(m->writes_stuck_since && now - m->writes_stuck_since >= STUCK_MS) &&
           !(m->rows_lost_at && now - m->rows_lost_at < LOST_MS);
}

void module_health(void *module, struct health *h)
{
    struct module *m = module;
    char detail[160];
    int64_t now = clock_mono_ms();
    bool stuck = m->writes_stuck_since && now - m->writes_stuck_since >= STUCK_MS;
    bool lost = m->rows_lost_at && now - m->rows_lost_at < LOST_MS;
    if (m->store_unreadable)
        snprintf(detail, sizeof detail, "cannot be read; see the log");
    else if (stuck)
        snprintf(detail, sizeof detail, "%zu rows have waited for %lld s to be written; see the log",
                 m->writes.queued, (long long)((now - m->writes_stuck_since) / 1000));
    else if (lost)
        snprintf(detail, sizeof detail, "%llu rows were lost since the start, the last %lld s ago",
                 (unsigned long long)m->writes.failed + m->writes.rejected,
                 (long long)((now - m->rows_lost_at) / 1000));
    bool bad = m->store_unreadable || stuck || lost;
    health_add(h, "database", bad, bad ? detail : NULL);
    if (m->spec->health)
        m->spec->health(m->context, h);
}
