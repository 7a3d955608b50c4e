/* Processes and memory, from /proc. CPUs are in proc_cpu.c, control groups in proc_cgroup.c, ports in
 * proc_port.c. */
#include "base/proc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fs.h"
#include "base/proc_internal.h"
#include "base/str.h"

int proc_read_text(const char *path, char *out, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR || errno == ESRCH ? VX11_ENOT_FOUND : VX11_EIO;
    size_t len = 0;
    int rc = 0;
    while (len + 1 < size) {
        ssize_t n = read(fd, out + len, size - 1 - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            rc = errno == ESRCH ? VX11_ENOT_FOUND : VX11_EIO; /* ESRCH: the process ended meanwhile */
        if (n <= 0)
            break;
        len += (size_t)n;
    }
    close(fd);
    out[len] = '\0';
    return rc;
}

static int read_of(pid_t pid, const char *name, char *out, size_t size)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    return proc_read_text(path, out, size);
}

/* The value of a "Key:   123 kB" line, in bytes. */
static int kb_line(const char *text, const char *key, uint64_t *bytes)
{
    size_t n = strlen(key);
    for (const char *line = text; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
        unsigned long long kb;
        if (strncmp(line, key, n) == 0 && line[n] == ':' && sscanf(line + n + 1, "%20llu kB", &kb) == 1) {
            return __builtin_mul_overflow((uint64_t)kb, 1024u, bytes) ? VX11_ERANGE : 0;
        }
    }
    return VX11_EIO;
}

/* utime, stime and threads: fields 14, 15 and 20 of stat(5). The name in field 2 may hold blanks and
 * parentheses, so counting begins after the last ')'. */
static int read_stat(pid_t pid, struct proc_usage *out)
{
    char text[1024];
    int rc = read_of(pid, "stat", text, sizeof text);
    if (rc)
        return rc;
    const char *p = strrchr(text, ')');
    unsigned long long user, kernel;
    long threads;
    if (!p ||
        sscanf(p + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %20llu %20llu %*d %*d %*d %*d %10ld",
               &user, &kernel, &threads) != 3 ||
        threads < 0)
        return VX11_EIO;
    long hz = sysconf(_SC_CLK_TCK);
    if (hz <= 0)
        return VX11_EIO;
    out->cpu_ms = (uint64_t)(user + kernel) * 1000 / (uint64_t)hz;
    out->threads = (unsigned)threads;
    return 0;
}

static int resident_bytes(const char *statm, uint64_t *out)
{
    unsigned long long pages;
    long page = sysconf(_SC_PAGESIZE);
    if (page <= 0 || sscanf(statm, "%*u %20llu", &pages) != 1)
        return VX11_EIO;
    return __builtin_mul_overflow((uint64_t)pages, (uint64_t)page, out) ? VX11_ERANGE : 0;
}

static int count_fds(pid_t pid, unsigned *out)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    DIR *dir = opendir(path);
    if (!dir)
        return errno == ENOENT || errno == ESRCH ? VX11_ENOT_FOUND : VX11_EIO;
    unsigned n = 0;
    for (const struct dirent *e; (e = readdir(dir));)
        n += e->d_name[0] != '.';
    /* Our own listing holds one more. */
    if (pid == getpid() && n > 0)
        n--;
    closedir(dir);
    *out = n;
    return 0;
}

int proc_usage(pid_t pid, struct proc_usage *out)
{
    char text[4096];
    *out = (struct proc_usage){0};
    if (pid <= 0)
        return VX11_ENOT_FOUND;
    int rc = read_stat(pid, out);
    if (rc == 0)
        rc = read_of(pid, "statm", text, sizeof text);
    if (rc == 0)
        rc = resident_bytes(text, &out->rss_bytes);
    if (rc == 0)
        rc = count_fds(pid, &out->fds);
    if (rc)
        return rc;
    out->has_pss =
        read_of(pid, "smaps_rollup", text, sizeof text) == 0 && kb_line(text, "Pss", &out->pss_bytes) == 0;
    return 0;
}

uint64_t proc_self_rss(void)
{
    char text[128];
    uint64_t bytes;
    if (proc_read_text("/proc/self/statm", text, sizeof text) != 0 || resident_bytes(text, &bytes) != 0)
        return 0;
    return bytes;
}

int proc_memory(struct proc_memory *out)
{
    char text[4096];
    int rc = proc_read_text("/proc/meminfo", text, sizeof text);
    if (rc == 0)
        rc = kb_line(text, "MemTotal", &out->total_bytes);
    if (rc == 0)
        rc = kb_line(text, "MemAvailable", &out->available_bytes);
    if (rc)
        return rc;
    struct cgroup_limits limits;
    if (proc_read_text("/proc/self/cgroup", text, sizeof text) != 0)
        return 0; /* a kernel without control groups */
    cgroup_read(text, "/sys/fs/cgroup", &limits);
    if (limits.has_memory) {
        if (limits.memory < out->total_bytes)
            out->total_bytes = limits.memory;
        if (limits.available < out->available_bytes)
            out->available_bytes = limits.available;
    }
    return 0;
}

uint64_t proc_oom_kills(void)
{
    struct buf text = BUF_INIT;
    uint64_t kills = 0;
    if (fs_read_file("/proc/vmstat", 65536, &text, NULL) == 0) {
        const char *line = strstr(text.data, "\noom_kill ");
        if (line)
            kills = strtoull(line + strlen("\noom_kill "), NULL, 10);
    }
    buf_free(&text);
    return kills;
}
