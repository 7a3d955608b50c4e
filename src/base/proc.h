/* What the kernel says about processes and the machine, read from /proc. Unknown is reported as an error,
 * never as zero. */
#ifndef VX11_BASE_PROC_H
#define VX11_BASE_PROC_H

#include <stdint.h>
#include <sys/types.h>

struct proc_usage {
    uint64_t rss_bytes;
    uint64_t pss_bytes; /* 0 with has_pss = 0 when smaps_rollup cannot be read */
    int has_pss;
    uint64_t cpu_ms; /* user + system so far */
    unsigned threads, fds;
};
/* 0 or VX11_ENOT_FOUND / VX11_EIO. */
int proc_usage(pid_t pid, struct proc_usage *out);
uint64_t proc_self_rss(void); /* cheap: statm; 0 only when /proc is missing */

struct proc_memory {
    uint64_t total_bytes, available_bytes;
};
int proc_memory(struct proc_memory *out);
unsigned
proc_physical_cores(void); /* unique core ids, at least 1; respects the affinity mask and cgroup quota */
/* Threads of the whole machine that want a core at this moment, the caller among them. At least 1, or
 * VX11_E…. */
int proc_running(void);
/* How many processes the kernel has killed for want of memory since it started; 0 when it does not say. */
uint64_t proc_oom_kills(void);
/* Name and pid of the process that listens on a TCP port of this machine. VX11_ENOT_FOUND when it cannot be
 * seen. */
int proc_port_holder(int port, pid_t *pid, char *name, unsigned name_size);
/* Established connections to a TCP port on which this machine listens, as the listening side sees them. 0 or
 * more, or VX11_E…. */
int proc_port_connections(int port);
/* Memory of all processes of a process group: pages in memory, and of those the ones that no file backs. 0 or
 * VX11_ENOT_FOUND (no such group) / VX11_EIO. */
int proc_group_memory(pid_t group, uint64_t *resident_bytes, uint64_t *anonymous_bytes);

/* From here on the calling thread works when nobody else wants the machine, its processor and its disk; so do
 * threads that it begins later. There is no way back for most users: a thread that will hold a lock others
 * wait for must not do this. Not needed for any work to be right: a system that refuses it goes on as usual.
 */
void proc_lower_thread(void);

#endif
