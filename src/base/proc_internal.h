/* Proc, inside: the parts that read the machine's description from a folder given by the caller, so that
 * tests can describe machines that they do not run on. Not for use outside base. */
#ifndef VX11_BASE_PROC_INTERNAL_H
#define VX11_BASE_PROC_INTERNAL_H

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Reads a small file of the kernel's as a string, cut at size - 1. 0, VX11_ENOT_FOUND (no such file or
 * process) or VX11_EIO. */
int proc_read_text(const char *path, char *out, size_t size);

/* Physical cores among the CPUs of mask (`count` CPUs wide), from SYSFS_CPU/cpuN/topology. 0 when the mask is
 * empty. */
unsigned proc_count_cores(const char *sysfs_cpu, const cpu_set_t *mask, size_t count);

/* The narrowest limits from our control group up to the root of the hierarchy. */
struct cgroup_limits {
    double cpus; /* valid when has_cpus */
    uint64_t memory,
        available; /* bytes, valid when has_memory: the limit, and the least that is left below one */
    bool has_cpus, has_memory;
};
/* self: text of /proc/self/cgroup; mount: where the hierarchies are mounted ("/sys/fs/cgroup"). */
void cgroup_read(const char *self, const char *mount, struct cgroup_limits *out);

#endif
