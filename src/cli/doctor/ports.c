/* Ports: each configured one is held by the process that it was configured for, and by nobody else. */
#include "cli/doctor/doctor.h"

#include <stdio.h>

#include "base/proc.h"
#include "base/str.h"

static void port_of(struct doctor_run *r, const struct doctor_module *m, int port)
{
    char subject[64], name[64] = "";
    pid_t holder = 0;
    snprintf(subject, sizeof subject, "%.40s:%d", m->name, port);
    struct doctor_result *x = doctor_result(r, subject);
    const bool wanted = doctor_module_wanted(m);
    const int rc = proc_port_holder(port, &holder, name, sizeof name);
    result_value(x, (double)port, NULL);
    if (m->pid > 0)
        result_limit(r, x, "%s (process %d)", m->name, (int)m->pid);
    else
        result_limit(r, x, wanted ? "%s" : "nobody: %s is off", m->name);
    if (rc == 0)
        result_measured(r, x, "%s (process %d)", name, (int)holder);
    else
        result_measured(r, x, "nobody, as far as can be seen");
    // NOLINTNEXTLINE(bugprone-branch-clone): the order of the questions counts
    if (rc != 0 && rc != VX11_ENOT_FOUND)
        result_unknown(r, x, "who holds it cannot be seen: %s", error_describe(rc));
    else if (rc != 0 && wanted)
        result_failed(r, x, "nobody listens there");
    else if (rc == 0 && m->pid > 0 && holder == m->pid)
        result_ok(x);
    else if (rc == 0) {
        result_failed(r, x, "%s (process %d) holds it, which is not %s", name, (int)holder, m->name);
        result_mend(r, x, "end process %d, or give %s another port in config.yaml", (int)holder, m->name);
        return;
    } else
        result_ok(x);
    if (x->v.state != DOCTOR_OK && r->d->status)
        result_mend(r, x, "vx11 restart %s", m->name);
    else if (x->v.state != DOCTOR_OK)
        result_mend(r, x, "vx11 up");
}

void check_ports(struct doctor_run *r)
{
    for (size_t i = 0; i < r->d->module_count; i++) {
        const struct doctor_module *m = &r->d->modules[i];
        port_of(r, m, m->port);
        if (m->page_port > 0)
            port_of(r, m, m->page_port);
    }
}
