/* Files: rows, the folder, and its cleaning. What is on the disk and no row knows goes, and a row's file is
 * there: the file is renamed into place before its row is made, and removed after its last row is gone. */
#include "operator/files/files_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"
#include "operator/sessions/sessions_internal.h"

#define CLEAN_EVERY_MS 60000
#define CLEAN_MORE_MS  10
#define STRANGE_AGE_S  3600 /* what no row knows may still be on its way */
#define SWEEP_MOST     64   /* rows or files in one step */

const struct config_operator_files *files_config(const struct files *f)
{
    return operator_config(f->o)->files;
}

/* ---- rows ---- */

static int take_text(void *ctx, const struct store_row *row)
{
    row_copy(row, 0, ctx, ULID_LEN + 1);
    return 0;
}

static int take_int(void *ctx, const struct store_row *row)
{
    *(int64_t *)ctx = row_int(row, 0);
    return 0;
}

struct found {
    struct arena *arena;
    struct operator_file *file;
    char *content_id;
    bool any;
};

static int take_file(void *ctx, const struct store_row *row)
{
    struct found *x = ctx;
    x->any = true;
    row_copy(row, 0, x->content_id, ULID_LEN + 1);
    return file_from_row(row, 1, x->arena, x->file);
}

int file_find(struct files *f, struct arena *a, const char *id, struct operator_file *out,
              char content_id[ULID_LEN + 1], struct error *err)
{
    struct found x = {a, out, content_id, false};
    int rc =
        store_query(f->store, "SELECT f.content_id, " FILE_COLUMNS " FROM operator_file AS f WHERE f.id = ?1",
                    (struct store_value[]){STORE_T(id)}, 1, take_file, &x, err);
    if (rc == 0 && !x.any)
        rc = error_set(err, VX11_ENOT_FOUND, "there is no file %.64s", id);
    return rc;
}

int files_total(struct files *f, int64_t *out, struct error *err)
{
    *out = 0;
    return store_query(f->store,
                       "SELECT coalesce(sum(bytes), 0) FROM (SELECT max(bytes) AS bytes FROM operator_file "
                       "GROUP BY content_id)",
                       NULL, 0, take_int, out, err);
}

struct owned {
    char content_id[ULID_LEN + 1];
    bool found, taken;
};

static int take_owned(void *ctx, const struct store_row *row)
{
    struct owned *x = ctx;
    row_copy(row, 0, x->content_id, sizeof x->content_id);
    x->taken = !row_is_null(row, 1);
    x->found = true;
    return 0;
}

#define COPY_FILE                                                                                            \
    "INSERT INTO operator_file (id, content_id, session_id, message_id, position, name, kind, media_type, "  \
    "bytes, sha256, width, height, created_at) SELECT ?1, content_id, ?2, ?3, "

static int copy_row(struct store *s, const struct files_owner *owner, const char *from, int64_t position,
                    struct error *err)
{
    char id[ULID_LEN + 1];
    ulid_make(id);
    struct store_value values[] = {STORE_T(id), STORE_T(owner->session_id), STORE_T(owner->message_id),
                                   STORE_I(position), STORE_T(from)};
    return store_exec(s,
                      COPY_FILE "?4, name, kind, media_type, bytes, sha256, width, height, created_at FROM "
                                "operator_file WHERE id = ?5",
                      values, COUNT_OF(values), NULL, err);
}

int files_attach(struct store *s, const struct files_owner *owner, const char *id, size_t position,
                 struct error *err)
{
    struct owned x = {.found = false};
    int rc = store_query(s, "SELECT content_id, message_id FROM operator_file WHERE id = ?1",
                         (struct store_value[]){STORE_T(id)}, 1, take_owned, &x, err);
    if (rc == 0 && !x.found)
        return error_set(err, VX11_ENOT_FOUND, "there is no file %.64s", id);
    if (rc == 0 && x.taken)
        return copy_row(s, owner, id, (int64_t)position, err);
    struct store_value values[] = {STORE_T(owner->session_id), STORE_T(owner->message_id), STORE_I(position),
                                   STORE_T(id)};
    if (rc == 0)
        rc = store_exec(
            s, "UPDATE operator_file SET session_id = ?1, message_id = ?2, position = ?3 WHERE id = ?4",
            values, COUNT_OF(values), NULL, err);
    return rc;
}

struct names {
    char ids[SWEEP_MOST][ULID_LEN + 1];
    size_t count;
};

static int take_name(void *ctx, const struct store_row *row)
{
    struct names *x = ctx;
    if (x->count < SWEEP_MOST)
        row_copy(row, 0, x->ids[x->count++], ULID_LEN + 1);
    return 0;
}

int files_share(struct store *s, const struct files_owner *owner, const char *from_message, struct error *err)
{
    struct names x = {.count = 0};
    int rc = store_query(s, "SELECT id FROM operator_file WHERE message_id = ?1 ORDER BY position, n",
                         (struct store_value[]){STORE_T(from_message)}, 1, take_name, &x, err);
    for (size_t i = 0; rc == 0 && i < x.count; i++)
        rc = copy_row(s, owner, x.ids[i], (int64_t)i, err);
    return rc;
}

/* ---- the disk ---- */

int file_read(struct files *f, const char *content_id, size_t most, struct buf *out, struct error *err)
{
    int fd = fs_open_beneath(f->folder, content_id, O_RDONLY | O_CLOEXEC, 0, err);
    int rc = fd < 0 ? fd : 0;
    while (rc == 0 && most > 0) {
        size_t some = most < 65536 ? most : 65536;
        if (buf_reserve(out, some + 1) != 0) {
            rc = error_set(err, VX11_ENOMEM, "no memory for a file");
            break;
        }
        ssize_t n = read(fd, out->data + out->len, some);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            rc = error_set_errno(err, errno, "cannot read file %s", content_id);
        if (n <= 0)
            break;
        out->len += (size_t)n;
        out->data[out->len] = '\0';
        most -= (size_t)n;
    }
    if (fd >= 0)
        close(fd);
    return rc;
}

static bool row_knows(struct files *f, const char *content_id)
{
    char known[ULID_LEN + 1] = "";
    int rc = store_query(f->store, "SELECT content_id FROM operator_file WHERE content_id = ?1 LIMIT 1",
                         (struct store_value[]){STORE_T(content_id)}, 1, take_text, known, NULL);
    return rc != 0 || known[0]; /* when in doubt it stays */
}

/* Looks at the next few files of the folder and removes what no row knows: files of rows that are gone at
 * once, strange ones when they are old. True when there are more. */
static bool sweep_step(struct files *f)
{
    for (int looked = 0; looked < SWEEP_MOST; looked++) {
        struct stat st;
        struct dirent *e = readdir(f->sweep);
        if (!e)
            return false;
        if (e->d_name[0] == '.' || fstatat(f->folder, e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
            !S_ISREG(st.st_mode))
            continue;
        bool old = clock_wall_ms() / 1000 - st.st_mtime > STRANGE_AGE_S;
        bool ours = ulid_valid(e->d_name);
        if (ours ? !upload_is(f, e->d_name) && !row_knows(f, e->d_name) : old)
            unlinkat(f->folder, e->d_name, 0);
    }
    return true;
}

static bool sweep_folder(struct files *f)
{
    if (!f->sweep) {
        int fd = openat(f->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        f->sweep = fd < 0 ? NULL : fdopendir(fd);
        if (!f->sweep) {
            if (fd >= 0)
                close(fd);
            return false;
        }
    }
    if (sweep_step(f))
        return true;
    closedir(f->sweep);
    f->sweep = NULL;
    return false;
}

static int drop_loose(struct files *f, int64_t now, int64_t *dropped, struct error *err)
{
    return store_exec(
        f->store,
        "DELETE FROM operator_file WHERE n IN (SELECT n FROM operator_file WHERE message_id IS NULL AND "
        "created_at < ?1 ORDER BY created_at LIMIT ?2)",
        (struct store_value[]){STORE_I(now - files_config(f)->loose_ms), STORE_I(SWEEP_MOST)}, 2, dropped,
        err);
}

static void on_timer(uv_timer_t *timer)
{
    struct files *f = timer->data;
    struct error err = {0};
    int64_t dropped = 0;
    if (drop_loose(f, clock_wall_ms(), &dropped, &err) != 0)
        log_warn("files", "could not clean", LOG_S("error", err.text));
    bool more = sweep_folder(f) || dropped == SWEEP_MOST;
    if (!f->closing)
        uv_timer_start(timer, on_timer, more ? CLEAN_MORE_MS : CLEAN_EVERY_MS, 0);
}

void files_sweep(struct files *f)
{
    if (f->sweep) /* what it has passed already may be what is meant */
        rewinddir(f->sweep);
    if (!f->closing)
        uv_timer_start(&f->timer, on_timer, 0, 0);
}

/* ---- life ---- */

int files_create(struct operator_ *o, struct files **out, struct error *err)
{
    char path[4096];
    struct files *f = calloc(1, sizeof *f);
    int rc = f ? fs_path(path, sizeof path, module_home(o->m), "files") : VX11_ENOMEM;
    if (rc == 0)
        rc = fs_mkdirs(path, 0700, err);
    else
        error_set(err, rc, "no folder for files");
    if (rc == 0) {
        f->folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (f->folder < 0)
            rc = error_set_errno(err, errno, "cannot open %s", path);
    }
    if (rc != 0) {
        free(f);
        return rc;
    }
    f->o = o;
    f->store = module_store(o->m);
    uv_timer_init(module_loop(o->m), &f->timer);
    f->timer.data = f;
    uv_timer_start(&f->timer, on_timer, 1000, 0);
    *out = f;
    return 0;
}

void files_close(struct files *f)
{
    if (!f || f->closing)
        return;
    f->closing = true;
    uv_timer_stop(&f->timer);
    uv_close((uv_handle_t *)&f->timer, NULL);
}

void files_free(struct files *f)
{
    if (!f)
        return;
    if (f->sweep)
        closedir(f->sweep);
    close(f->folder);
    free(f);
}
