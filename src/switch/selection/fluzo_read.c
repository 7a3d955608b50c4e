/* Fluzo: the look at /proc and /sys. Each file may be absent or say something else: then what it would tell
 * is not known. */
#include "switch/selection/fluzo.h"

#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/proc.h"
#include "base/str.h"

/* The file's beginning; false: it cannot be read. */
static bool text_of(const char *root, const char *path, char *out, size_t size)
{
    char name[512];
    if (snprintf(name, sizeof name, "%s%s", root, path) >= (int)sizeof name)
        return false;
    int fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return false;
    size_t len = 0;
    ssize_t n;
    while (len + 1 < size && (n = read(fd, out + len, size - 1 - len)) > 0)
        len += (size_t)n;
    close(fd);
    out[len] = '\0';
    return len > 0;
}

static double number_of(const char *root, const char *path)
{
    char text[64];
    double v;
    if (!text_of(root, path, text, sizeof text))
        return NAN;
    text[strcspn(text, "\n ")] = '\0';
    return str_to_f64(text, &v) == 0 ? v : NAN;
}

/* ---- processors ---- */

static void cpu_read(const char *root, struct fluzo_signals *out)
{
    char text[8192];
    unsigned long long v[8] = {0};
    if (text_of(root, "/proc/stat", text, sizeof text) &&
        sscanf(text, "cpu %20llu %20llu %20llu %20llu %20llu %20llu %20llu %20llu", &v[0], &v[1], &v[2],
               &v[3], &v[4], &v[5], &v[6], &v[7]) >= 4) {
        double total = 0, idle = (double)v[3] + (double)v[4]; /* and waiting for a disk */
        for (int i = 0; i < 8; i++)
            total += (double)v[i];
        out->cpu_total = total;
        out->cpu_busy = total - idle;
        int cpus = 0;
        for (const char *s = text; (s = strstr(s, "\ncpu")); s += 4)
            cpus += s[4] >= '0' && s[4] <= '9';
        out->cpus = cpus > 0 ? (double)cpus : (double)NAN;
    }
    double load[3];
    if (text_of(root, "/proc/loadavg", text, sizeof text) &&
        sscanf(text, "%lf %lf %lf", &load[0], &load[1], &load[2]) == 3 && out->cpus > 0) {
        out->load_1m = load[0] / out->cpus;
        out->load_5m = load[1] / out->cpus;
        out->load_15m = load[2] / out->cpus;
    }
}

/* ---- memory ---- */

/* The value of a "Key:   123 kB" line, in bytes. */
static double kb_of(const char *text, const char *key)
{
    size_t n = strlen(key);
    for (const char *line = text; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
        double kb;
        if (strncmp(line, key, n) == 0 && line[n] == ':' && sscanf(line + n + 1, "%20lf", &kb) == 1)
            return kb * 1024;
    }
    return NAN;
}

static void memory_read(const char *root, struct fluzo_signals *out)
{
    char text[8192];
    struct proc_memory own;
    if (!text_of(root, "/proc/meminfo", text, sizeof text))
        return;
    double total = kb_of(text, "MemTotal"), available = kb_of(text, "MemAvailable");
    /* The real host: what a control group leaves of it. */
    if (root[0] == '\0' && proc_memory(&own) == 0 && own.total_bytes > 0) {
        total = (double)own.total_bytes;
        available = (double)own.available_bytes;
    }
    out->memory_available = available;
    if (total > 0)
        out->memory_pct = 100 * (1 - available / total);
    double swap = kb_of(text, "SwapTotal");
    if (swap > 0)
        out->swap_pct = 100 * (1 - kb_of(text, "SwapFree") / swap);
}

/* ---- stalls ---- */

/* avg10 of the line that begins with `who`. */
static double stall_of(const char *root, const char *path, const char *who)
{
    char text[512];
    double v;
    if (!text_of(root, path, text, sizeof text))
        return NAN;
    const char *line = strstr(text, who);
    return line && (line = strstr(line, "avg10=")) && sscanf(line + 6, "%20lf", &v) == 1 ? v : NAN;
}

/* ---- power, heat ---- */

static void supply_read(const char *root, const char *name, struct fluzo_signals *out)
{
    char path[300], type[32], status[32];
    snprintf(path, sizeof path, "/sys/class/power_supply/%.200s/type", name);
    if (!text_of(root, path, type, sizeof type))
        return;
    snprintf(path, sizeof path, "/sys/class/power_supply/%.200s/scope", name);
    if (text_of(root, path, status, sizeof status) && str_starts(status, "Device"))
        return; /* a mouse's battery is not the host's */
    if (str_starts(type, "Battery")) {
        snprintf(path, sizeof path, "/sys/class/power_supply/%.200s/capacity", name);
        double pct = number_of(root, path);
        if (!isnan(pct) && !(out->battery_pct <= pct)) /* the emptiest counts */
            out->battery_pct = pct;
        snprintf(path, sizeof path, "/sys/class/power_supply/%.200s/status", name);
        if (isnan(out->on_ac) && text_of(root, path, status, sizeof status))
            out->on_ac = str_starts(status, "Discharging") ? 0 : NAN;
    } else {
        snprintf(path, sizeof path, "/sys/class/power_supply/%.200s/online", name);
        double online = number_of(root, path);
        if (!isnan(online) && !(out->on_ac == 1)) /* any adapter that gives power is enough */
            out->on_ac = online > 0;
    }
}

static void heat_read(const char *root, const char *name, struct fluzo_signals *out)
{
    char path[300];
    if (!str_starts(name, "thermal_zone"))
        return;
    snprintf(path, sizeof path, "/sys/class/thermal/%.200s/temp", name);
    double c = number_of(root, path) / 1000;
    if (c > -50 && c < 200 && !(out->temperature_c >= c)) /* others are sensors that are not there */
        out->temperature_c = c;
}

static void folder_read(const char *root, const char *path, struct fluzo_signals *out,
                        void (*fn)(const char *root, const char *name, struct fluzo_signals *out))
{
    char name[512];
    if (snprintf(name, sizeof name, "%s%s", root, path) >= (int)sizeof name)
        return;
    DIR *dir = opendir(name);
    struct dirent *entry;
    for (int n = 0; dir && n < 64 && (entry = readdir(dir)); n++)
        if (entry->d_name[0] != '.')
            fn(root, entry->d_name, out);
    if (dir)
        closedir(dir);
}

static void disk_read(const char *home, struct fluzo_signals *out)
{
    struct statvfs disk;
    if (!home || statvfs(home, &disk) != 0 || disk.f_blocks == 0)
        return;
    out->disk_free = (double)disk.f_bavail * (double)disk.f_frsize;
    out->disk_pct = 100 * (1 - (double)disk.f_bavail / (double)disk.f_blocks);
}

void fluzo_read(const char *root, const char *home, struct fluzo_signals *out)
{
    struct fluzo empty;
    fluzo_init(&empty);
    *out = empty.now;
    out->at = clock_wall_ms();
    cpu_read(root, out);
    memory_read(root, out);
    out->cpu_stall_pct = stall_of(root, "/proc/pressure/cpu", "some");
    out->memory_stall_pct = stall_of(root, "/proc/pressure/memory", "full");
    out->io_stall_pct = stall_of(root, "/proc/pressure/io", "full");
    folder_read(root, "/sys/class/power_supply", out, supply_read);
    folder_read(root, "/sys/class/thermal", out, heat_read);
    disk_read(home, out);
}
