/* Control groups: what CPU time and memory this process may really use, which in a container is less than the
 * machine has. Version 2 has one hierarchy ("0::/path"), version 1 one for each controller
 * ("3:cpu,cpuacct:/path"). A limit may stand at any level, so each is asked, from our group up to the root.
 * Inside a container the path may name a folder that is not mounted there; the levels above, down to the
 * mount point itself, still are. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/proc_internal.h"
#include "base/str.h"

enum { GROUP_PATH_MAX = 1024 };

static int read_value(const char *dir, const char *file, char *out, size_t size)
{
    char path[GROUP_PATH_MAX + 64];
    int n = snprintf(path, sizeof path, "%s/%s", dir, file);
    if (n < 0 || (size_t)n >= sizeof path)
        return VX11_ETOO_LARGE;
    int rc = proc_read_text(path, out, size);
    if (rc == 0)
        out[strcspn(out, "\n")] = '\0';
    return rc;
}

/* A number of bytes; "max" and absence are no value. */
static bool read_number(const char *dir, const char *file, int64_t *out)
{
    char text[64];
    return read_value(dir, file, text, sizeof text) == 0 && str_to_i64(text, INT64_MIN, INT64_MAX, out) == 0;
}

static void narrow_cpus(struct cgroup_limits *l, int64_t quota, int64_t period)
{
    if (quota <= 0 || period <= 0)
        return;
    double cpus = (double)quota / (double)period;
    if (!l->has_cpus || cpus < l->cpus)
        l->cpus = cpus;
    l->has_cpus = true;
}

/* "200000 100000" or "max 100000". */
static void cpu_v2(const char *dir, struct cgroup_limits *l)
{
    char text[64];
    if (read_value(dir, "cpu.max", text, sizeof text) != 0)
        return;
    char *space = strchr(text, ' ');
    if (!space)
        return;
    *space = '\0';
    int64_t quota, period;
    if (str_to_i64(text, 1, INT64_MAX, &quota) == 0 && str_to_i64(space + 1, 1, INT64_MAX, &period) == 0)
        narrow_cpus(l, quota, period);
}

static void cpu_v1(const char *dir, struct cgroup_limits *l)
{
    int64_t quota, period;
    if (read_number(dir, "cpu.cfs_quota_us", &quota) && read_number(dir, "cpu.cfs_period_us", &period))
        narrow_cpus(l, quota, period);
}

/* File pages that were not used lately are given back under pressure: they count as available. */
static int64_t inactive_file(const char *dir, const char *key)
{
    char text[8192], path[GROUP_PATH_MAX + 64];
    int len = snprintf(path, sizeof path, "%s/memory.stat", dir);
    if (len < 0 || (size_t)len >= sizeof path || proc_read_text(path, text, sizeof text) != 0)
        return 0;
    size_t n = strlen(key);
    for (char *line = text, *save = NULL; (line = strtok_r(line, "\n", &save)); line = NULL) {
        int64_t value;
        if (strncmp(line, key, n) == 0 && line[n] == ' ' &&
            str_to_i64(line + n + 1, 0, INT64_MAX, &value) == 0)
            return value;
    }
    return 0;
}

static void narrow_memory(struct cgroup_limits *l, const char *dir, const char *limit_file,
                          const char *usage_file, const char *key)
{
    int64_t limit, usage;
    /* Version 1 says "no limit" with a number near 2^63. */
    if (!read_number(dir, limit_file, &limit) || limit < 0 || limit > INT64_MAX / 2)
        return;
    if (!read_number(dir, usage_file, &usage))
        return;
    usage -= inactive_file(dir, key);
    if (usage < 0)
        usage = 0;
    uint64_t left = usage < limit ? (uint64_t)(limit - usage) : 0;
    if (!l->has_memory || (uint64_t)limit < l->memory)
        l->memory = (uint64_t)limit;
    if (!l->has_memory || left < l->available)
        l->available = left;
    l->has_memory = true;
}

static void memory_v2(const char *dir, struct cgroup_limits *l)
{
    narrow_memory(l, dir, "memory.max", "memory.current", "inactive_file");
}

static void memory_v1(const char *dir, struct cgroup_limits *l)
{
    narrow_memory(l, dir, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file");
}

/* Calls visit for root + path and each folder above it, root included. */
static void walk_up(const char *root, const char *path, void (*visit)(const char *, struct cgroup_limits *),
                    struct cgroup_limits *l)
{
    char dir[GROUP_PATH_MAX];
    size_t base = strlen(root);
    int n = snprintf(dir, sizeof dir, "%s%s", root, path);
    if (n < 0 || (size_t)n >= sizeof dir)
        return;
    for (size_t len = (size_t)n; len >= base; len--) {
        if (len != base && dir[len] != '/' && dir[len] != '\0')
            continue;
        dir[len] = '\0';
        if (len == base || dir[len - 1] != '/')
            visit(dir, l);
        if (len == 0)
            break;
    }
}

static bool has_word(const char *list, const char *word)
{
    size_t n = strlen(word);
    for (const char *p = list; *p;) {
        size_t len = strcspn(p, ",");
        if (len == n && memcmp(p, word, n) == 0)
            return true;
        p += len + (p[len] == ',');
    }
    return false;
}

static void walk_v1(const char *mount, const char *controller, const char *path,
                    void (*visit)(const char *, struct cgroup_limits *), struct cgroup_limits *l)
{
    char root[GROUP_PATH_MAX];
    int n = snprintf(root, sizeof root, "%s/%s", mount, controller);
    if (n > 0 && (size_t)n < sizeof root)
        walk_up(root, path, visit, l);
}

void cgroup_read(const char *self, const char *mount, struct cgroup_limits *out)
{
    *out = (struct cgroup_limits){0};
    char line[GROUP_PATH_MAX];
    for (const char *p = self; *p;) {
        size_t len = strcspn(p, "\n");
        if (len < sizeof line) {
            memcpy(line, p, len);
            line[len] = '\0';
            char *list = strchr(line, ':'), *path = list ? strchr(list + 1, ':') : NULL;
            if (path && !strstr(path, "/..")) {
                *list++ = '\0';
                *path++ = '\0';
                if (!list[0]) {
                    walk_up(mount, path, cpu_v2, out);
                    walk_up(mount, path, memory_v2, out);
                }
                if (has_word(list, "cpu"))
                    walk_v1(mount, "cpu", path, cpu_v1, out);
                if (has_word(list, "memory"))
                    walk_v1(mount, "memory", path, memory_v1, out);
            }
        }
        p += len + (p[len] == '\n');
    }
}
