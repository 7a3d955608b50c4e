/* Physical cores: how many threads of dense arithmetic this process can run at full speed. Two hyper-threads
 * share one core's units, so the CPUs of the affinity mask are counted by their unique (package, die, core),
 * and a control group's CPU quota bounds the count. */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/proc.h"
#include "base/proc_internal.h"
#include "base/str.h"

struct core {
    int64_t package, die, core;
};

/* VX11_ENOT_FOUND where the file is missing; other trouble likewise means that we do not know. */
static int read_id(const char *sysfs_cpu, size_t cpu, const char *name, int64_t *out)
{
    char path[512], text[32];
    int n = snprintf(path, sizeof path, "%s/cpu%zu/topology/%s", sysfs_cpu, cpu, name);
    if (n < 0 || (size_t)n >= sizeof path)
        return VX11_ETOO_LARGE;
    int rc = proc_read_text(path, text, sizeof text);
    if (rc)
        return rc;
    for (char *p = text; *p; p++) {
        if (*p == '\n')
            *p = '\0';
    }
    return str_to_i64(text, -1, INT64_MAX, out);
}

static bool same(const struct core *a, const struct core *b)
{
    return a->package == b->package && a->die == b->die && a->core == b->core;
}

unsigned proc_count_cores(const char *sysfs_cpu, const cpu_set_t *mask, size_t count)
{
    size_t set_size = CPU_ALLOC_SIZE(count);
    unsigned logical = (unsigned)CPU_COUNT_S(set_size, mask), n = 0;
    struct core *seen = logical ? calloc(logical, sizeof *seen) : NULL;
    if (!seen)
        return logical;
    for (size_t cpu = 0; cpu < count; cpu++) {
        if (!CPU_ISSET_S(cpu, set_size, mask))
            continue;
        struct core c;
        if (read_id(sysfs_cpu, cpu, "physical_package_id", &c.package) != 0 ||
            read_id(sysfs_cpu, cpu, "core_id", &c.core) != 0) {
            n = logical; /* the kernel does not say which CPUs share a core: take each for one */
            break;
        }
        if (read_id(sysfs_cpu, cpu, "die_id", &c.die) != 0)
            c.die = 0; /* older kernels: one die in each package */
        unsigned i = 0;
        while (i < n && !same(&seen[i], &c))
            i++;
        if (i == n)
            seen[n++] = c;
    }
    free(seen);
    return n;
}

static unsigned cores_of_mask(void)
{
    for (size_t count = 1024; count <= 65536; count *= 2) {
        cpu_set_t *mask = CPU_ALLOC(count);
        if (!mask)
            return 1;
        int rc = sched_getaffinity(0, CPU_ALLOC_SIZE(count), mask), sys = errno;
        unsigned n = rc == 0 ? proc_count_cores("/sys/devices/system/cpu", mask, count) : 0;
        CPU_FREE(mask);
        if (rc == 0)
            return n > 0 ? n : 1;
        if (sys != EINVAL)
            return 1; /* EINVAL: the machine has more CPUs than the mask has bits */
    }
    return 1;
}

unsigned proc_physical_cores(void)
{
    unsigned n = cores_of_mask();
    char self[4096];
    struct cgroup_limits limits;
    if (proc_read_text("/proc/self/cgroup", self, sizeof self) != 0)
        return n;
    cgroup_read(self, "/sys/fs/cgroup", &limits);
    /* Rounded down: a thread more than the quota feeds makes all of them wait for the one that is throttled.
     */
    if (limits.has_cpus && limits.cpus < (double)n)
        n = limits.cpus < 1 ? 1 : (unsigned)limits.cpus;
    return n;
}

int proc_running(void)
{
    char text[128];
    int rc = proc_read_text("/proc/loadavg", text, sizeof text); /* "0.20 0.18 0.12 1/80 11206" */
    if (rc != 0)
        return rc;
    const char *at = text;
    for (int field = 0; field < 3; field++) {
        at = strchr(at, ' ');
        if (at == NULL)
            return VX11_EIO;
        at++;
    }
    char *end;
    const long n = strtol(at, &end, 10);
    if (end == at || *end != '/' || n < 0 || n > 1000000)
        return VX11_EIO;
    return n < 1 ? 1 : (int)n;
}
