/* The folder of crash reports: their names, the list, one's text, and which of them go. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crash_report.h"
#include "base/fs.h"
#include "base/str.h"

static const char prefix[] = "crash-", suffix[] = ".txt";

char *crash_file_name(const char *id, char out[CRASH_FILE_NAME_MAX])
{
    snprintf(out, CRASH_FILE_NAME_MAX, "%s%.100s%s", prefix, id, suffix);
    return out;
}

/* From the end: a module's name may have a dash. */
bool crash_file_parse_id(const char *id, struct crash_file *out)
{
    static const char sound[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    size_t len = strlen(id);
    *out = (struct crash_file){0};
    if (len == 0 || len >= sizeof out->id || strspn(id, sound) != len || id[0] == '.')
        return false;
    memcpy(out->id, id, len + 1);
    char *pid = strrchr(out->id, '-');
    if (!pid)
        return false;
    *pid = '\0';
    char *time = strrchr(out->id, '-');
    bool fine = time && time != out->id && (size_t)(time - out->id) < sizeof out->module && time[1] >= '0' &&
                time[1] <= '9' && pid[1] >= '0' && pid[1] <= '9' &&
                str_to_i64(time + 1, 0, INT64_MAX, &out->time_ms) == 0 &&
                str_to_i64(pid + 1, 1, INT32_MAX, &out->pid) == 0;
    if (fine) {
        memcpy(out->module, out->id, (size_t)(time - out->id));
        out->module[time - out->id] = '\0';
    }
    *pid = '-';
    return fine;
}

static int newest_first(const void *a, const void *b)
{
    const struct crash_file *x = a, *y = b;
    if (x->time_ms != y->time_ms)
        return x->time_ms < y->time_ms ? 1 : -1;
    return strcmp(x->id, y->id);
}

static bool file_of(int dir_fd, const char *name, struct crash_file *out)
{
    char id[CRASH_FILE_NAME_MAX];
    struct stat st;
    size_t n = strlen(name);
    if (!str_starts(name, prefix) || !str_ends(name, suffix) || n >= sizeof id ||
        n < sizeof prefix + sizeof suffix - 2)
        return false;
    snprintf(id, sizeof id, "%.*s", (int)(n - (sizeof prefix - 1) - (sizeof suffix - 1)),
             name + sizeof prefix - 1);
    if (!crash_file_parse_id(id, out) || fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
        !S_ISREG(st.st_mode))
        return false;
    out->bytes = (uint64_t)st.st_size;
    return true;
}

int crash_file_list(const char *dir, struct crash_file **out, size_t *count, struct error *err)
{
    struct crash_file *files = NULL, one;
    size_t n = 0, cap = 0;
    *out = NULL;
    *count = 0;
    DIR *d = opendir(dir);
    if (!d)
        return errno == ENOENT ? 0 : error_set_errno(err, errno, "%s cannot be read", dir);
    for (const struct dirent *e; (e = readdir(d));) {
        if (!file_of(dirfd(d), e->d_name, &one))
            continue;
        if (n == cap) {
            cap = cap ? cap * 2 : 32;
            struct crash_file *more = reallocarray(files, cap, sizeof *files);
            if (!more) {
                free(files);
                closedir(d);
                return error_set(err, VX11_ENOMEM, "out of memory");
            }
            files = more;
        }
        files[n++] = one;
    }
    closedir(d);
    if (n > 1)
        qsort(files, n, sizeof *files, newest_first);
    *out = files;
    *count = n;
    return 0;
}

static int fd_read(int fd, const char *id, struct buf *out, struct error *err)
{
    struct stat st;
    size_t before = out->len;
    if (fstat(fd, &st) != 0)
        return error_set_errno(err, errno, "the report %s cannot be read", id);
    if (!S_ISREG(st.st_mode))
        return error_set(err, VX11_EINVALID, "it is no regular file");
    if (st.st_size > CRASH_REPORT_MAX)
        return error_set(err, VX11_ETOO_LARGE, "it has more than %d bytes", CRASH_REPORT_MAX);
    while (out->len - before <= CRASH_REPORT_MAX) {
        if (buf_reserve(out, 8192) != 0)
            return error_set(err, VX11_ENOMEM, "out of memory");
        ssize_t n = read(fd, out->data + out->len, 8191);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_set_errno(err, errno, "it cannot be read");
        out->len += (size_t)n;
        out->data[out->len] = '\0';
        if (n == 0)
            return 0;
    }
    return error_set(err, VX11_ETOO_LARGE, "it has more than %d bytes", CRASH_REPORT_MAX);
}

int crash_file_read(const char *dir, const char *id, struct buf *out, struct error *err)
{
    struct crash_file file;
    char name[CRASH_FILE_NAME_MAX];
    if (!crash_file_parse_id(id, &file))
        return error_set(err, VX11_EINVALID, "%.100s is no crash report's id: MODULE-TIME-PID", id);
    int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd < 0)
        return error_set_errno(err, errno, "%s cannot be opened", dir);
    int fd = fs_open_beneath(dir_fd, crash_file_name(id, name),
                             O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0, err);
    close(dir_fd);
    if (fd < 0)
        return fd;
    int rc = fd_read(fd, id, out, err);
    close(fd);
    return rc;
}

size_t crash_keep_count(const struct crash_file *files, size_t count, const struct crash_keep *keep,
                        int64_t now_ms)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        bytes += files[i].bytes;
        if (i > 0 && (i >= keep->count || bytes > keep->bytes || files[i].time_ms < now_ms - keep->age_ms))
            return i;
    }
    return count;
}

int crash_prune(const char *dir, const struct crash_keep *keep, int64_t now_ms, size_t *removed,
                uint64_t *bytes, struct error *err)
{
    struct crash_file *files;
    size_t n, gone = 0;
    uint64_t sum = 0;
    int rc = crash_file_list(dir, &files, &n, err);
    if (rc != 0)
        return rc;
    size_t stay = crash_keep_count(files, n, keep, now_ms);
    int dir_fd = n > stay ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (n > stay && dir_fd < 0)
        rc = error_set_errno(err, errno, "%s cannot be opened", dir);
    for (size_t i = n; rc == 0 && i > stay; i--) {
        char name[CRASH_FILE_NAME_MAX];
        if (unlinkat(dir_fd, crash_file_name(files[i - 1].id, name), 0) != 0 && errno != ENOENT) {
            rc = error_set_errno(err, errno, "the crash report %s cannot be deleted", name);
        } else {
            gone++;
            sum += files[i - 1].bytes;
        }
    }
    if (dir_fd >= 0)
        close(dir_fd);
    free(files);
    if (removed)
        *removed = gone;
    if (bytes)
        *bytes = sum;
    return rc;
}
