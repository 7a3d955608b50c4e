/* Who holds a TCP port: the kernel lists listening sockets with their inode in /proc/net/tcp and tcp6, and
 * each process' descriptors as links "socket:[inode]". Processes of other users cannot be looked into. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/proc.h"
#include "base/proc_internal.h"
#include "base/str.h"

enum {
    INODES_MAX = 64
}; /* several sockets may share a port: IPv4 and IPv6, several addresses, SO_REUSEPORT */

struct inodes {
    unsigned long long id[INODES_MAX];
    size_t n;
};

/* "  0: 0100007F:1F40 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000  0 12345 …" : 0A is
 * LISTEN. */
static void collect(const char *path, unsigned port, struct inodes *found)
{
    FILE *f = fopen(path, "re");
    if (!f)
        return;
    char line[512];
    while (found->n < INODES_MAX && fgets(line, sizeof line, f)) {
        unsigned local, state;
        unsigned long long inode;
        if (sscanf(line, " %*u: %*32[0-9A-Fa-f]:%4x %*32[0-9A-Fa-f]:%*4x %2x %*s %*s %*s %*u %*d %20llu",
                   &local, &state, &inode) == 3 &&
            local == port && state == 0x0A)
            found->id[found->n++] = inode;
    }
    fclose(f);
}

static bool holds(const char *pid, const struct inodes *wanted)
{
    char path[64], target[64];
    snprintf(path, sizeof path, "/proc/%.10s/fd", pid);
    DIR *dir = opendir(path);
    if (!dir)
        return false;
    bool found = false;
    for (const struct dirent *e; !found && (e = readdir(dir));) {
        ssize_t n = readlinkat(dirfd(dir), e->d_name, target, sizeof target - 1);
        unsigned long long inode;
        if (n <= 0)
            continue;
        target[n] = '\0';
        if (sscanf(target, "socket:[%20llu]", &inode) != 1)
            continue;
        for (size_t i = 0; i < wanted->n; i++)
            found = found || wanted->id[i] == inode;
    }
    closedir(dir);
    return found;
}

int proc_port_holder(int port, pid_t *pid, char *name, unsigned name_size)
{
    if (port < 1 || port > 65535)
        return VX11_EINVALID;
    struct inodes wanted = {.n = 0};
    collect("/proc/net/tcp", (unsigned)port, &wanted);
    collect("/proc/net/tcp6", (unsigned)port, &wanted);
    if (wanted.n == 0)
        return VX11_ENOT_FOUND;

    DIR *dir = opendir("/proc");
    if (!dir)
        return VX11_EIO;
    int rc = VX11_ENOT_FOUND;
    for (const struct dirent *e; rc && (e = readdir(dir));) {
        int64_t id;
        if (str_to_i64(e->d_name, 1, INT32_MAX, &id) != 0 || !holds(e->d_name, &wanted))
            continue;
        *pid = (pid_t)id;
        rc = 0;
    }
    closedir(dir);
    if (rc == 0 && name_size > 0) {
        char path[64];
        snprintf(path, sizeof path, "/proc/%d/comm", (int)*pid);
        if (proc_read_text(path, name, name_size) != 0)
            return VX11_ENOT_FOUND; /* it ended between the two looks */
        name[strcspn(name, "\n")] = '\0';
    }
    return rc;
}
