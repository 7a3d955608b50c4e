/* Files: reading with a bound, writing atomically, and the paths of $VX11_HOME. Opening and removing below a
 * root descriptor is in fs_beneath.c. */
#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"
#include "base/ulid.h"

static int read_all(int fd, const char *path, size_t max, struct buf *out, struct error *err)
{
    size_t total = 0;
    for (;;) {
        /* One byte more than allowed tells a file that is too large from one that just fits. */
        size_t want = max - total < 65536 ? max - total + 1 : 65536;
        if (buf_reserve(out, want))
            return error_set(err, VX11_ENOMEM, "no memory to read %s", path);
        ssize_t n = read(fd, out->data + out->len, want);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_set_errno(err, errno, "cannot read %s", path);
        if (n == 0)
            break;
        if ((size_t)n > max - total) {
            return error_set(err, VX11_ETOO_LARGE, "%s is larger than the %zu bytes allowed", path, max);
        }
        total += (size_t)n;
        out->len += (size_t)n;
    }
    out->data[out->len] = '\0';
    return 0;
}

int fs_read_file(const char *path, size_t max, struct buf *out, struct error *err)
{
    size_t before = out->len;
    /* O_NONBLOCK: a named pipe put in the file's place must not hang us. It changes nothing for regular
     * files. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return error_set_errno(err, errno, "cannot open %s", path);
    int rc;
    struct stat st;
    if (fstat(fd, &st) != 0) {
        rc = error_set_errno(err, errno, "cannot stat %s", path);
    } else if (!S_ISREG(st.st_mode)) {
        rc = error_set(err, VX11_EINVALID, "%s is not a regular file", path);
    } else {
        rc = read_all(fd, path, max, out, err);
    }
    close(fd);
    if (rc && out->data) {
        out->len = before;
        out->data[before] = '\0';
    }
    return rc;
}

static int write_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        data += n;
        len -= (size_t)n;
    }
    return 0;
}

/* Makes a rename in path's folder last through a power cut. */
static int sync_folder(const char *path, struct error *err)
{
    char dir[PATH_MAX];
    const char *slash = strrchr(path, '/');
    int n = snprintf(dir, sizeof dir, "%.*s", slash ? (int)(slash - path) + 1 : 1, slash ? path : ".");
    if (n < 0 || (size_t)n >= sizeof dir)
        return error_set(err, VX11_ETOO_LARGE, "path too long: %s", path);
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return error_set_errno(err, errno, "cannot open folder %s", dir);
    int rc = 0;
    /* EINVAL: a file system that cannot sync folders has nothing to sync. */
    if (fsync(fd) != 0 && errno != EINVAL)
        rc = error_set_errno(err, errno, "cannot sync folder %s", dir);
    close(fd);
    return rc;
}

int fs_write_file_atomic(const char *path, const void *data, size_t len, mode_t mode, struct error *err)
{
    char temp[PATH_MAX], suffix[17];
    unsigned char random[8];
    random_bytes(random, sizeof random);
    hex_encode(random, sizeof random, suffix);
    int n = snprintf(temp, sizeof temp, "%s.tmp-%s", path, suffix);
    if (n < 0 || (size_t)n >= sizeof temp)
        return error_set(err, VX11_ETOO_LARGE, "path too long: %s", path);

    int fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode & 0777);
    if (fd < 0)
        return error_set_errno(err, errno, "cannot write %s", path);
    int rc = 0;
    /* fchmod: the umask may have taken bits of mode away. */
    if (fchmod(fd, mode & 0777) != 0 || write_all(fd, data, len) != 0 || fsync(fd) != 0)
        rc = error_set_errno(err, errno, "cannot write %s", path);
    if (close(fd) != 0 && rc == 0)
        rc = error_set_errno(err, errno, "cannot write %s", path);
    if (rc == 0 && rename(temp, path) != 0)
        rc = error_set_errno(err, errno, "cannot replace %s", path);
    if (rc) {
        unlink(temp);
        return rc;
    }
    return sync_folder(path, err);
}

int fs_mkdirs(const char *path, mode_t mode, struct error *err)
{
    char part[PATH_MAX];
    size_t len = path ? strlen(path) : 0;
    if (len == 0)
        return error_set(err, VX11_EINVALID, "empty folder name");
    if (len >= sizeof part)
        return error_set(err, VX11_ETOO_LARGE, "path too long: %s", path);
    memcpy(part, path, len + 1);
    for (size_t i = 1; i <= len; i++) {
        if (part[i] != '/' && part[i] != '\0')
            continue;
        char kept = part[i];
        part[i] = '\0';
        if (mkdir(part, mode & 0777) != 0) {
            int sys = errno;
            struct stat st;
            /* mkdir of a folder that is there may also say EROFS or EACCES: what counts is that it is there.
             */
            if (stat(part, &st) != 0)
                return error_set_errno(err, sys, "cannot create folder %s", part);
            if (!S_ISDIR(st.st_mode))
                return error_set(err, VX11_EEXISTS, "%s is in the way: not a folder", part);
        }
        part[i] = kept;
    }
    return 0;
}

bool fs_exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0;
}

int fs_check_private(const char *path, struct error *err)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return error_set_errno(err, errno, "cannot stat %s", path);
    if (!S_ISREG(st.st_mode))
        return error_set(err, VX11_EINVALID, "%s is not a regular file", path);
    if (st.st_uid != geteuid() && st.st_uid != 0)
        return error_set(err, VX11_EPERMISSION, "%s belongs to user %u, not to us", path,
                         (unsigned)st.st_uid);
    if (st.st_mode & 077) {
        return error_set(err, VX11_EPERMISSION, "%s is open to others (mode %04o): chmod 600 it", path,
                         (unsigned)(st.st_mode & 07777));
    }
    return 0;
}

/* dir without its trailing slashes, then rest; the result must be absolute. */
static int home_join(char *out, size_t size, const char *dir, const char *rest, struct error *err)
{
    size_t len = strlen(dir);
    while (len > 1 && dir[len - 1] == '/')
        len--;
    if (len == 1 && dir[0] == '/' && rest[0])
        len = 0;
    int n = snprintf(out, size, "%.*s%s", (int)len, dir, rest);
    if (n < 0 || (size_t)n >= size)
        return error_set(err, VX11_ETOO_LARGE, "the home folder's path is too long");
    return 0;
}

int fs_home(char *out, size_t size, struct error *err)
{
    const char *own = getenv("VX11_HOME"), *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    if (own && own[0] == '/')
        return home_join(out, size, own, "", err);
    if (own && own[0]) {
        char cwd[PATH_MAX], full[2 * PATH_MAX];
        if (!getcwd(cwd, sizeof cwd))
            return error_set_errno(err, errno, "VX11_HOME is relative and the folder we are in is gone");
        int rc = fs_path(full, sizeof full, cwd, own);
        return rc ? error_set(err, rc, "VX11_HOME is too long") : home_join(out, size, full, "", err);
    }
    /* The XDG base directory specification says to ignore relative paths. */
    if (data && data[0] == '/')
        return home_join(out, size, data, "/vx11", err);
    if (home && home[0] == '/')
        return home_join(out, size, home, "/.local/share/vx11", err);
    return error_set(err, VX11_ENOT_FOUND, "neither VX11_HOME, XDG_DATA_HOME nor HOME names a folder");
}

int fs_path(char *out, size_t size, const char *dir, const char *name)
{
    bool slash = str_ends(dir, "/");
    int n = snprintf(out, size, "%s%s%s", dir, slash ? "" : "/", name);
    return n < 0 || (size_t)n >= size ? VX11_ETOO_LARGE : 0;
}

int fs_self_exe(char *out, size_t size)
{
    static const char deleted[] = " (deleted)";
    if (size == 0)
        return VX11_ETOO_LARGE;
    ssize_t n = readlink("/proc/self/exe", out, size);
    if (n < 0)
        return error_set_errno(NULL, errno, "/proc/self/exe");
    if ((size_t)n >= size)
        return VX11_ETOO_LARGE;
    out[n] = '\0';
    /* An upgrade replaced the file under us: the new one is at the same path, without the kernel's remark. */
    if (str_ends(out, deleted) && !fs_exists(out))
        out[(size_t)n - (sizeof deleted - 1)] = '\0';
    return 0;
}

#define LOCK_POLL_US 50000

int fs_lock(int fd, int64_t wait_ms)
{
    const int64_t until = clock_mono_ms() + wait_ms;
    while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return VX11_EIO;
        if (clock_mono_ms() >= until)
            return VX11_EBUSY;
        usleep(LOCK_POLL_US);
    }
    return 0;
}
