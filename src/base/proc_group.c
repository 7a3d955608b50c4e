/* What a program and those that it started hold together: their memory, and the connections to a port. */
#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/proc.h"
#include "base/proc_internal.h"

/* The group in "PID (NAME) S PPID PGRP …"; NAME may hold anything. -1: unknown. */
static long group_of(const char *pid)
{
    char path[64], text[1024];
    int group;
    snprintf(path, sizeof path, "/proc/%.10s/stat", pid);
    if (proc_read_text(path, text, sizeof text) != 0)
        return -1;
    const char *after = strrchr(text, ')');
    return after && sscanf(after, ") %*c %*d %d", &group) == 1 ? group : -1;
}

static bool add_memory(const char *pid, uint64_t *resident, uint64_t *anonymous)
{
    char path[64], text[256];
    unsigned long long pages, shared;
    const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    snprintf(path, sizeof path, "/proc/%.10s/statm", pid);
    if (proc_read_text(path, text, sizeof text) != 0 || sscanf(text, "%*u %llu %llu", &pages, &shared) != 2)
        return false;
    *resident += pages * page;
    *anonymous += pages > shared ? (pages - shared) * page : 0;
    return true;
}

int proc_group_memory(pid_t group, uint64_t *resident_bytes, uint64_t *anonymous_bytes)
{
    DIR *dir = opendir("/proc");
    int rc = VX11_ENOT_FOUND;
    *resident_bytes = *anonymous_bytes = 0;
    if (!dir)
        return VX11_EIO;
    for (const struct dirent *e; (e = readdir(dir));) {
        if (isdigit((unsigned char)e->d_name[0]) && group_of(e->d_name) == group &&
            add_memory(e->d_name, resident_bytes, anonymous_bytes))
            rc = 0;
    }
    closedir(dir);
    return rc;
}

/* Lines as proc_port.c has them; 01 is ESTABLISHED. */
static int count_in(const char *path, unsigned port, int *count)
{
    FILE *f = fopen(path, "re");
    char line[512];
    if (!f)
        return VX11_EIO;
    while (fgets(line, sizeof line, f)) {
        unsigned local, state;
        if (sscanf(line, " %*u: %*32[0-9A-Fa-f]:%4x %*32[0-9A-Fa-f]:%*4x %2x", &local, &state) == 2 &&
            local == port && state == 0x01)
            ++*count;
    }
    fclose(f);
    return 0;
}

int proc_port_connections(int port)
{
    int count = 0;
    if (port < 1 || port > 65535)
        return VX11_EINVALID;
    const int four = count_in("/proc/net/tcp", (unsigned)port, &count);
    const int six = count_in("/proc/net/tcp6", (unsigned)port, &count);
    return four == 0 || six == 0 ? count : VX11_EIO;
}
