/* Exits: how a process ended, in words, and whether the kernel's out-of-memory killer did it. */
#include "supervisor/supervisor_internal.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/fs.h"
#include "base/str.h"

void exit_describe(const struct child *c, int64_t status, int sig, bool oom, char *out, size_t size)
{
    if (oom)
        snprintf(out, size, "killed by the kernel: out of memory");
    else if (sig != 0 && c->abort_sent)
        snprintf(out, size, "stopped answering and was ended (signal %d, %s)", sig, strsignal(sig));
    else if (sig != 0)
        snprintf(out, size, "signal %d (%s)", sig, strsignal(sig));
    else if (status == 78)
        snprintf(out, size, "exit status 78 (configuration error)");
    else
        snprintf(out, size, "exit status %lld", (long long)status);
}

bool exit_crash_report(const char *home, const char *module, int pid, char *out, size_t size)
{
    char dir[4096], prefix[80], suffix[32];
    if (fs_path(dir, sizeof dir, home, "forensic") != 0)
        return false;
    DIR *d = opendir(dir);
    if (!d)
        return false;
    snprintf(prefix, sizeof prefix, "crash-%s-", module);
    snprintf(suffix, sizeof suffix, "-%d.txt", pid);
    bool found = false;
    for (const struct dirent *e = readdir(d); e; e = readdir(d)) {
        if (str_starts(e->d_name, prefix) && str_ends(e->d_name, suffix)) {
            snprintf(out, size, "forensic/%s", e->d_name);
            found = true;
            break;
        }
    }
    closedir(d);
    return found;
}
