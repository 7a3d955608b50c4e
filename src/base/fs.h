/* Files: whole reads with a bound, atomic writes, and opening below a root directory without following links
 * out of it. */
#ifndef VX11_BASE_FS_H
#define VX11_BASE_FS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/error.h"

/* Reads at most max bytes (VX11_ETOO_LARGE when the file has more). Appends to out. */
int fs_read_file(const char *path, size_t max, struct buf *out, struct error *err);
/* Writes beside the target, fsyncs, renames, fsyncs the folder. mode e.g. 0600. */
int fs_write_file_atomic(const char *path, const void *data, size_t len, mode_t mode, struct error *err);
int fs_mkdirs(const char *path, mode_t mode, struct error *err); /* as mkdir -p; an existing folder is fine */
/* openat2 RESOLVE_BENEATH|RESOLVE_NO_MAGICLINKS where the kernel has it; falls back to a component walk with
 * O_NOFOLLOW. Returns fd >= 0 or VX11_E…. */
int fs_open_beneath(int root_fd, const char *relative, int flags, mode_t mode, struct error *err);
bool fs_exists(const char *path);
/* Waits at most wait_ms (0: not at all) for the exclusive flock(2) of an open file. 0, VX11_EBUSY or
 * VX11_EIO. */
int fs_lock(int fd, int64_t wait_ms);
int fs_remove_tree(int parent_fd, const char *name, struct error *err); /* does not follow links */
/* Checks that path is a regular file owned by us (or root) and gives group and others no rights. */
int fs_check_private(const char *path, struct error *err);

/* $VX11_HOME: VX11_HOME, else $XDG_DATA_HOME/vx11, else $HOME/.local/share/vx11. Absolute. 0 or VX11_E…. */
int fs_home(char *out, size_t size, struct error *err);
/* Joins home and parts with '/', e.g. fs_path(out, size, home, "log/link.log"). 0 or VX11_ETOO_LARGE. */
int fs_path(char *out, size_t size, const char *dir, const char *name);
/* Absolute path of the running executable. */
int fs_self_exe(char *out, size_t size);

#endif
