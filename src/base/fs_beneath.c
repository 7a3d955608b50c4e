/* Work below a root descriptor that what lies in the tree cannot lead out of: links, "..", or a folder
 * swapped for a link while we look. openat2(2) with RESOLVE_BENEATH has the kernel check every step; where it
 * is missing (before Linux 5.6, or a seccomp filter denies it) each component is opened by itself and links
 * are refused altogether. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"
#include "base/ulid.h"

/* Both ways refuse "..", although openat2 could allow it inside the root: what is accepted must not depend on
 * the kernel. */
static bool has_dotdot(const char *path)
{
    while (*path) {
        size_t n = strcspn(path, "/");
        if (n == 2 && path[0] == '.' && path[1] == '.')
            return true;
        path += n;
        path += strspn(path, "/");
    }
    return false;
}

static int open_kernel(int root_fd, const char *relative, int flags, mode_t mode)
{
    struct open_how how = {
        .flags = (uint64_t)(unsigned)flags,
        .mode = flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE ? mode & 07777 : 0,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
    };
    long fd;
    int tries = 0;
    do {
        fd = syscall(SYS_openat2, root_fd, relative, &how, sizeof how);
        /* EAGAIN: something in the tree was renamed meanwhile and the kernel could not be sure. */
    } while (fd < 0 && (errno == EINTR || (errno == EAGAIN && ++tries < 32)));
    return (int)fd;
}

/* -1 and errno on failure. */
static int open_walk(int root_fd, const char *relative, int flags, mode_t mode)
{
    int dir = root_fd, fd = -1;
    char name[256];
    for (const char *p = relative; *p;) {
        size_t n = strcspn(p, "/");
        const char *next = p + n + strspn(p + n, "/");
        if (n >= sizeof name) {
            errno = ENAMETOOLONG;
            break;
        }
        memcpy(name, p, n);
        name[n] = '\0';
        bool last = *next == '\0';
        if (last) {
            int wanted = p[n] == '/' ? flags | O_DIRECTORY : flags;
            fd = openat(dir, name, wanted | O_NOFOLLOW, mode);
        } else {
            int sub = openat(dir, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
            if (sub < 0)
                break;
            if (dir != root_fd)
                close(dir);
            dir = sub;
        }
        p = next;
    }
    int sys = errno;
    if (dir != root_fd)
        close(dir);
    struct stat st;
    /* O_PATH | O_NOFOLLOW opens the link itself. */
    if (fd >= 0 && (flags & O_PATH) && (fstat(fd, &st) != 0 || S_ISLNK(st.st_mode))) {
        close(fd);
        fd = -1;
        sys = ELOOP;
    }
    errno = sys;
    return fd;
}

int fs_open_beneath(int root_fd, const char *relative, int flags, mode_t mode, struct error *err)
{
    if (!relative || !relative[0])
        return error_set(err, VX11_EINVALID, "empty file name");
    if (relative[0] == '/')
        return error_set(err, VX11_EPERMISSION, "%s: absolute paths are not allowed here", relative);
    if (has_dotdot(relative))
        return error_set(err, VX11_EPERMISSION, "%s: \"..\" is not allowed here", relative);
    flags |= O_CLOEXEC | O_NOCTTY;
    int fd = open_kernel(root_fd, relative, flags, mode);
    /* EPERM: older container run times answer it to system calls they do not know. */
    if (fd < 0 && (errno == ENOSYS || errno == EPERM))
        fd = open_walk(root_fd, relative, flags, mode);
    if (fd >= 0)
        return fd;
    if (errno == EXDEV || errno == ELOOP)
        return error_set(err, VX11_EPERMISSION, "%s: a link leads out of the folder", relative);
    return error_set_errno(err, errno, "cannot open %s", relative);
}

/* Removing a tree. Each level holds one descriptor; a tree deeper than this is cut and its lower part moved
 * to the top, to be removed in another pass, so that no depth can exhaust descriptors or the stack. */
enum { REMOVE_DEPTH = 32 };

struct removal {
    int top;
    bool moved; /* something was moved to the top: one pass more */
    struct error *err;
};

static int remove_entries(struct removal *r, int fd, int depth);

static int open_to_remove(struct removal *r, int parent, const char *name)
{
    int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    int fd = openat(parent, name, flags);
    if (fd < 0 && errno == EACCES && fchmodat(parent, name, 0700, AT_SYMLINK_NOFOLLOW) == 0)
        fd = openat(parent, name, flags);
    if (fd < 0)
        return error_set_errno(r->err, errno, "cannot open folder %s", name);
    struct stat st;
    /* A folder that lacks our own rights cannot be emptied; if it is not ours, unlinkat will say so. */
    if (fstat(fd, &st) == 0 && (st.st_mode & 0700) != 0700)
        (void)fchmod(fd, 0700);
    return fd;
}

static int remove_folder(struct removal *r, int parent, const char *name, int depth)
{
    if (depth >= REMOVE_DEPTH) {
        char id[ULID_LEN + 1], aside[ULID_LEN + 9];
        snprintf(aside, sizeof aside, ".remove-%s", ulid_make(id));
        bool done = renameat(parent, name, r->top, aside) == 0;
        /* Moving a folder writes its "..": it needs rights on the folder itself. */
        if (!done && errno == EACCES && fchmodat(parent, name, 0700, AT_SYMLINK_NOFOLLOW) == 0)
            done = renameat(parent, name, r->top, aside) == 0;
        if (!done)
            return error_set_errno(r->err, errno, "cannot move folder %s", name);
        r->moved = true;
        return 0;
    }
    int fd = open_to_remove(r, parent, name);
    if (fd < 0)
        return fd;
    int rc = remove_entries(r, fd, depth + 1);
    if (rc == 0 && unlinkat(parent, name, AT_REMOVEDIR) != 0)
        rc = error_set_errno(r->err, errno, "cannot remove folder %s", name);
    return rc;
}

static int remove_entry(struct removal *r, int fd, const struct dirent *e, int depth)
{
    if (e->d_type != DT_DIR) {
        if (unlinkat(fd, e->d_name, 0) == 0 || errno == ENOENT)
            return 0;
        if (errno != EISDIR)
            return error_set_errno(r->err, errno, "cannot remove %s", e->d_name);
    }
    return remove_folder(r, fd, e->d_name, depth);
}

/* Empties the folder; takes over fd. */
static int remove_entries(struct removal *r, int fd, int depth)
{
    DIR *dir = fdopendir(fd);
    if (!dir) {
        int rc = error_set_errno(r->err, errno, "cannot list a folder");
        close(fd);
        return rc;
    }
    int rc = 0;
    while (rc == 0) {
        errno = 0;
        const struct dirent *e = readdir(dir);
        if (!e) {
            if (errno)
                rc = error_set_errno(r->err, errno, "cannot list a folder");
            break;
        }
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        rc = remove_entry(r, dirfd(dir), e, depth);
    }
    closedir(dir);
    return rc;
}

int fs_remove_tree(int parent_fd, const char *name, struct error *err)
{
    if (!name || !name[0] || strchr(name, '/') || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return error_set(err, VX11_EINVALID, "not the name of an entry: \"%s\"", name ? name : "");
    if (unlinkat(parent_fd, name, 0) == 0)
        return 0;
    if (errno != EISDIR)
        return error_set_errno(err, errno, "cannot remove %s", name);

    struct removal r = {.err = err};
    r.top = open_to_remove(&r, parent_fd, name);
    if (r.top < 0)
        return r.top;
    int rc;
    do {
        r.moved = false;
        int fd = openat(r.top, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        rc = fd < 0 ? error_set_errno(err, errno, "cannot open folder %s", name) : remove_entries(&r, fd, 1);
    } while (rc == 0 && r.moved);
    close(r.top);
    if (rc == 0 && unlinkat(parent_fd, name, AT_REMOVEDIR) != 0)
        rc = error_set_errno(err, errno, "cannot remove folder %s", name);
    return rc;
}
