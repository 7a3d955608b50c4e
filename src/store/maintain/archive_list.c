/* Archive, lists: what the database knows of its files, whether they are as it says, and which go. */
#include "store/maintain/archive_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"

#define FILES_MOST   20000
#define FOLDERS_MOST 200

/* ---- list ---- */

struct listing {
    struct arena *arena;
    struct maintenance_archive *out;
    size_t cap;
    struct error *err;
};

static int grow(struct listing *l)
{
    struct maintenance_archive_file *more;
    if (l->out->files_count < l->cap)
        return 0;
    if (l->cap >= FILES_MOST)
        return error_set(l->err, VX11_ETOO_LARGE, "the archive has more than %d files", FILES_MOST);
    more = arena_array(l->arena, l->cap ? 2 * l->cap : 64, sizeof *more);
    if (!more)
        return error_set(l->err, VX11_ENOMEM, "out of memory");
    if (l->out->files_count > 0)
        memcpy(more, l->out->files, l->out->files_count * sizeof *more);
    l->out->files = more;
    l->cap = l->cap ? 2 * l->cap : 64;
    return 0;
}

static int on_file(void *ctx, const struct store_row *row)
{
    struct listing *l = ctx;
    int rc = grow(l);
    if (rc != 0)
        return rc;
    struct maintenance_archive_file *f = &l->out->files[l->out->files_count++];
    *f = (struct maintenance_archive_file){.table = arena_strdup(l->arena, row_text(row, 0)),
                                           .path = arena_strdup(l->arena, row_text(row, 1)),
                                           .parts = row_int(row, 2),
                                           .rows = row_int(row, 3),
                                           .children = row_int(row, 4),
                                           .deleted = row_int(row, 5),
                                           .bytes = row_int(row, 6),
                                           .content_bytes = row_int(row, 7),
                                           .has_first_at = !row_is_null(row, 8),
                                           .first_at = row_int(row, 8),
                                           .has_last_at = !row_is_null(row, 9),
                                           .last_at = row_int(row, 9),
                                           .created_at = row_int(row, 10)};
    l->out->bytes += f->bytes;
    l->out->rows += f->rows;
    return f->table && f->path ? 0 : error_set(l->err, VX11_ENOMEM, "out of memory");
}

static int list_rows(struct store *s, const char *folder, const char *table, struct arena *arena,
                     struct maintenance_archive *out, struct error *err)
{
    struct listing l = {.arena = arena, .out = out, .err = err};
    const struct store_value which = STORE_T(table);
    *out = (struct maintenance_archive){.folder = arena_strdup(arena, folder), .ok = true};
    if (!out->folder)
        return error_set(err, VX11_ENOMEM, "out of memory");
    return store_query(s,
                       "SELECT table_name, path, count(*), sum(row_count), sum(child_count),"
                       " sum(deleted_rows), sum(bytes), sum(content_bytes), min(first_at), max(last_at),"
                       " min(created_at) FROM archive WHERE ?1 IS NULL OR table_name = ?1"
                       " GROUP BY table_name, path ORDER BY table_name, path",
                       &which, 1, on_file, &l, err);
}

/* Is it there, and long enough? Its descriptor, or -1 with the problem set. */
static int open_listed(const char *folder, struct maintenance_archive_file *f, struct arena *arena)
{
    char path[PATH_MAX];
    struct stat st;
    struct error err = {0};
    if (archive_path(folder, f->path, path, sizeof path, &err) != 0) {
        f->problem = arena_strdup(arena, err.text);
        return -1;
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        f->problem = arena_printf(arena, "it cannot be opened: %s", strerrordesc_np(errno));
    else if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        f->problem = "it is no regular file";
    else if (st.st_size < f->bytes)
        f->problem =
            arena_printf(arena, "it has %lld bytes, not %lld", (long long)st.st_size, (long long)f->bytes);
    else if (st.st_size > f->bytes)
        f->note = arena_printf(
            arena, "%lld bytes at its end are not listed: a run was cut off, or a backup restored",
            (long long)(st.st_size - f->bytes));
    if (f->problem && fd >= 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

int archive_list(struct store *s, const char *folder, const char *table, struct arena *arena,
                 struct maintenance_archive *out, struct error *err)
{
    int rc = list_rows(s, folder, table, arena, out, err);
    for (size_t i = 0; rc == 0 && i < out->files_count; i++) {
        int fd = open_listed(folder, &out->files[i], arena);
        if (fd >= 0)
            close(fd);
        else
            out->ok = false;
    }
    return rc;
}

/* ---- verify ---- */

struct verifying {
    int fd;
    const volatile bool *stop;
    char problem[400];
    struct error *err;
};

static int on_part(void *ctx, const struct store_row *row)
{
    struct verifying *v = ctx;
    struct archive_sums sums;
    struct error err = {0};
    const int64_t offset = row_int(row, 0);
    int rc = archive_sum(v->fd, offset, row_int(row, 1), v->stop, &sums, &err);
    if (rc == VX11_ECANCELLED)
        return error_set(v->err, rc, "%s", err.text);
    if (rc != 0)
        snprintf(v->problem, sizeof v->problem, "the part at byte %lld: %.300s", (long long)offset, err.text);
    else if (!str_eq(sums.sha256, row_text(row, 2)) || !str_eq(sums.content_sha256, row_text(row, 4)) ||
             sums.content_bytes != row_int(row, 3))
        snprintf(v->problem, sizeof v->problem, "the part at byte %lld is not what was written",
                 (long long)offset);
    else if (sums.lines != row_int(row, 5) + 1)
        snprintf(v->problem, sizeof v->problem, "the part at byte %lld has %lld lines, not %lld",
                 (long long)offset, (long long)sums.lines, (long long)row_int(row, 5) + 1);
    return v->problem[0] ? 1 : 0;
}

static int verify_file(struct store *s, const char *folder, struct maintenance_archive_file *f,
                       const volatile bool *stop, struct arena *arena, struct error *err)
{
    struct verifying v = {.stop = stop, .err = err, .fd = open_listed(folder, f, arena)};
    const struct store_value path = STORE_T(f->path);
    if (v.fd < 0)
        return 0;
    int rc = store_query(s,
                         "SELECT offset, bytes, sha256, content_bytes, content_sha256,"
                         " row_count + child_count FROM archive WHERE path = ?1 ORDER BY offset",
                         &path, 1, on_part, &v, err);
    close(v.fd);
    if (v.problem[0])
        f->problem = arena_strdup(arena, v.problem);
    return rc == 1 ? 0 : rc;
}

/* ---- files that no row knows ---- */

struct found {
    char path[300];
    int64_t bytes, at;
};
typedef int (*found_fn)(void *ctx, const struct found *f);

static int each_in(int root, const char *table, found_fn fn, void *ctx)
{
    int rc = 0;
    int fd = openat(root, table, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir) {
        if (fd >= 0)
            close(fd);
        return 0;
    }
    struct dirent *e;
    for (int n = 0; rc == 0 && n < FILES_MOST && (e = readdir(dir)) != NULL; n++) {
        struct found f;
        struct stat st;
        if (e->d_name[0] == '.' || !str_ends(e->d_name, ARCHIVE_SUFFIX) ||
            snprintf(f.path, sizeof f.path, "%.100s/%.190s", table, e->d_name) >= (int)sizeof f.path ||
            fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode))
            continue;
        f.bytes = (int64_t)st.st_size;
        f.at = (int64_t)st.st_mtim.tv_sec * 1000;
        rc = fn(ctx, &f);
    }
    closedir(dir);
    return rc;
}

static int each_file(const char *folder, const char *only, found_fn fn, void *ctx)
{
    int rc = 0;
    DIR *dir = opendir(folder);
    if (!dir)
        return 0; /* nothing was archived yet */
    struct dirent *e;
    for (int n = 0; rc == 0 && n < FOLDERS_MOST && (e = readdir(dir)) != NULL; n++)
        if (e->d_name[0] != '.' && (!only || strcmp(e->d_name, only) == 0))
            rc = each_in(dirfd(dir), e->d_name, fn, ctx);
    closedir(dir);
    return rc;
}

static int take_count(void *ctx, const struct store_row *row)
{
    *(int64_t *)ctx = row_int(row, 0);
    return 0;
}

static int is_listed(struct store *s, const char *path, bool *out, struct error *err)
{
    int64_t n = 0;
    const struct store_value value = STORE_T(path);
    int rc = store_query(s, "SELECT EXISTS (SELECT 1 FROM archive WHERE path = ?1)", &value, 1, take_count,
                         &n, err);
    *out = n != 0;
    return rc;
}

struct unlisting {
    struct store *s;
    struct arena *arena;
    struct maintenance_archive *out;
    size_t cap;
    struct error *err;
};

static int on_maybe_unlisted(void *ctx, const struct found *f)
{
    struct unlisting *u = ctx;
    bool listed;
    int rc = is_listed(u->s, f->path, &listed, u->err);
    if (rc != 0 || listed)
        return rc;
    if (u->out->unlisted_count == u->cap) {
        const size_t cap = u->cap ? 2 * u->cap : 16;
        const char **more = arena_array(u->arena, cap, sizeof *more);
        if (!more)
            return error_set(u->err, VX11_ENOMEM, "out of memory");
        if (u->cap)
            memcpy(more, u->out->unlisted, u->cap * sizeof *more);
        u->out->unlisted = more;
        u->cap = cap;
    }
    const char *path = arena_strdup(u->arena, f->path);
    u->out->unlisted[u->out->unlisted_count++] = path;
    return path ? 0 : error_set(u->err, VX11_ENOMEM, "out of memory");
}

int archive_verify(struct store *s, const char *folder, const char *table, const volatile bool *stop,
                   struct arena *arena, struct maintenance_archive *out, struct error *err)
{
    struct unlisting u = {.s = s, .arena = arena, .out = out, .err = err};
    int rc = list_rows(s, folder, table, arena, out, err);
    for (size_t i = 0; rc == 0 && i < out->files_count; i++) {
        rc = verify_file(s, folder, &out->files[i], stop, arena, err);
        out->ok = out->ok && !out->files[i].problem;
    }
    if (rc == 0)
        rc = each_file(folder, table, on_maybe_unlisted, &u);
    out->verified = rc == 0;
    return rc;
}

/* ---- bounds ---- */

struct pruning {
    struct store *s;
    const char *folder;
    int64_t before; /* epoch ms; INT64_MIN: no bound */
    int64_t files, bytes;
    struct error *err;
};

/* Its rows first: a file that no row knows is left over, a row without a file is a loss. */
static int prune_file(struct pruning *p, const char *path, int64_t bytes, bool listed)
{
    char full[PATH_MAX];
    const struct store_value value = STORE_T(path);
    int rc = archive_path(p->folder, path, full, sizeof full, p->err);
    if (rc == 0 && listed)
        rc = store_exec(p->s, "DELETE FROM archive WHERE path = ?1", &value, 1, NULL, p->err);
    if (rc != 0)
        return rc;
    if (unlink(full) != 0 && errno != ENOENT)
        return error_set_errno(p->err, errno, "%s cannot be deleted", full);
    log_info("archive", "a file of the archive was deleted", LOG_S("path", path), LOG_I("bytes", bytes));
    p->files++;
    p->bytes += bytes;
    return 0;
}

static int on_old_unlisted(void *ctx, const struct found *f)
{
    struct pruning *p = ctx;
    bool listed;
    if (f->at >= p->before)
        return 0;
    int rc = is_listed(p->s, f->path, &listed, p->err);
    return rc != 0 || listed ? rc : prune_file(p, f->path, f->bytes, false);
}

struct oldest {
    char path[300];
    int64_t bytes, at, all;
};

static int on_oldest(void *ctx, const struct store_row *row)
{
    struct oldest *o = ctx;
    row_copy(row, 0, o->path, sizeof o->path);
    o->bytes = row_int(row, 1);
    o->at = row_int(row, 2);
    o->all = row_int(row, 3);
    return 0;
}

static int prune_oldest(struct pruning *p, int64_t keep_bytes, bool *more)
{
    struct oldest o = {.path = ""};
    *more = false;
    int rc = store_query(p->s,
                         "SELECT path, sum(bytes), max(created_at), (SELECT sum(bytes) FROM archive)"
                         " FROM archive GROUP BY path ORDER BY max(created_at), path LIMIT 1",
                         NULL, 0, on_oldest, &o, p->err);
    if (rc != 0 || !o.path[0] || (o.at >= p->before && (keep_bytes <= 0 || o.all <= keep_bytes)))
        return rc;
    *more = true;
    return prune_file(p, o.path, o.bytes, true);
}

int archive_prune(struct store *s, const char *folder, int64_t now_ms, int64_t keep_ms, int64_t keep_bytes,
                  int64_t *files, int64_t *bytes, struct error *err)
{
    struct pruning p = {
        .s = s, .folder = folder, .before = keep_ms > 0 ? now_ms - keep_ms : INT64_MIN, .err = err};
    bool more = true;
    int rc = 0;
    for (int i = 0; rc == 0 && more && i < FILES_MOST; i++)
        rc = prune_oldest(&p, keep_bytes, &more);
    if (rc == 0 && keep_ms > 0)
        rc = each_file(folder, NULL, on_old_unlisted, &p);
    *files = p.files;
    *bytes = p.bytes;
    return rc;
}
