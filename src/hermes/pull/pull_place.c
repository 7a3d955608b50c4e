/* Where files are put: models/OWNER/REPO/FILE for the hub's, models/pulled/FILE for others. Folders are
 * opened one by one without following links, so that nothing is written, renamed or deleted outside the
 * models folder. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"
#include "hermes/pull/pulls_internal.h"

#define PIECE ((size_t)1 << 20)

const char *pull_folder(const struct pull_source *s, struct arena *a)
{
    return s->kind == PULL_HUB ? arena_strdup(a, s->repository) : "pulled";
}

int place_open(const struct pulls *p, const char *folder, bool create, int *fd, struct error *err)
{
    int at = open(p->models, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (at < 0)
        return error_set_errno(err, errno, "%s cannot be opened", p->models);
    while (*folder) {
        char part[256];
        size_t n = strcspn(folder, "/");
        if (n == 0 || n >= sizeof part || folder[0] == '.') {
            close(at);
            return error_set(err, VX11_EINVALID, "the folder's name is not sound");
        }
        memcpy(part, folder, n);
        part[n] = '\0';
        if (create && mkdirat(at, part, 0700) != 0 && errno != EEXIST) {
            int sys = errno;
            close(at);
            return error_set_errno(err, sys, "the folder %s cannot be made", part);
        }
        int next = openat(at, part, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        int sys = errno;
        close(at);
        if (next < 0)
            return error_set_errno(err, sys, "the folder %s cannot be opened", part);
        at = next;
        folder += n + (folder[n] == '/');
    }
    *fd = at;
    return 0;
}

static const char *path_of(const struct pull *j, const struct pull_part *part)
{
    return arena_printf(j->arena, "%s/%s/%s", j->set->models, pull_folder(&j->source, j->arena), part->name);
}

int place_look(struct pull *j, int folder_fd, enum place_found *found, struct error *err)
{
    struct pull_part *part = &j->parts[j->at];
    struct stat st;
    struct registry_model row;
    const char *sha256 = NULL, *path = path_of(j, part), *first = path_of(j, &j->parts[0]);
    bool pulled = false, registered;
    *found = PLACE_FREE;
    j->adopt = false;
    if (!path || !first)
        return error_set(err, VX11_ENOMEM, "out of memory");
    j->path = first;
    if (fstatat(folder_fd, part->name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? 0 : error_set_errno(err, errno, "%s cannot be looked at", path);
    int rc = registry_by_path(j->set->store, first, j->arena, &row, err);
    registered = rc == 0;
    if (rc == 0)
        rc = rows_is_pulled(j->set->store, row.api.id, j->arena, &pulled, &sha256, NULL, err);
    if (rc != 0 && rc != VX11_ENOT_FOUND)
        return rc;
    if (!S_ISREG(st.st_mode)) { // NOLINT(bugprone-branch-clone): the order of the questions counts
        *found = PLACE_TAKEN;
    } else if (pulled && j->at == 0 && part->sha256 && str_eq(part->sha256, sha256) &&
               st.st_size == part->size) {
        memcpy(part->got, part->sha256, sizeof part->got);
        *found = PLACE_OURS;
    } else if (st.st_size == part->size && (part->sha256 || j->resumed > 0)) {
        j->adopt = !pulled && (registered ? row.api.source == HERMES_MODEL_SOURCE_ADDED : j->resumed == 0);
        *found = PLACE_LOOK;
    } else if (!pulled) {
        *found = PLACE_TAKEN;
    }
    return 0;
}

static void on_hash(uv_work_t *work)
{
    struct pull *j = work->data;
    struct pull_part *part = &j->parts[j->at];
    crypto_hash_sha256_state state;
    unsigned char hash[crypto_hash_sha256_BYTES], *piece = malloc(PIECE);
    j->work_result = piece ? 0 : error_set(&j->work_error, VX11_ENOMEM, "out of memory");
    crypto_hash_sha256_init(&state);
    while (j->work_result == 0) {
        ssize_t n = read(j->work_fd, piece, PIECE);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            j->work_result = error_set_errno(&j->work_error, errno, "the file that is there cannot be read");
        if (n <= 0)
            break;
        crypto_hash_sha256_update(&state, piece, (unsigned long long)n);
    }
    free(piece);
    close(j->work_fd);
    crypto_hash_sha256_final(&state, hash);
    hex_encode(hash, sizeof hash, part->got);
    if (j->work_result == 0 && part->sha256 && strcmp(part->sha256, part->got) != 0)
        j->work_result = VX11_ECORRUPT;
}

static void after_hash(uv_work_t *work, int status)
{
    struct pull *j = work->data;
    j->working = false;
    if (status != 0)
        j->work_result = error_set(&j->work_error, VX11_ECANCELLED, "stopped");
    pull_placed(j);
}

void place_hash(struct pull *j)
{
    int folder = -1;
    j->work_result = 0;
    j->work_error = (struct error){0};
    j->work_fd = -1;
    int rc = place_open(j->set, pull_folder(&j->source, j->arena), false, &folder, &j->work_error);
    if (rc == 0) {
        j->work_fd = openat(folder, j->parts[j->at].name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (j->work_fd < 0)
            rc = error_set_errno(&j->work_error, errno, "the file that is there cannot be opened");
        close(folder);
    }
    j->work.data = j;
    if (rc == 0 && uv_queue_work(j->set->loop, &j->work, on_hash, after_hash) != 0) {
        close(j->work_fd);
        rc = error_set(&j->work_error, VX11_ENOMEM, "out of memory");
    }
    if (rc == 0) {
        j->working = true;
        return;
    }
    pull_end(j, HERMES_PULL_STATE_FAILED, "disk_error", j->work_error.text);
}

/* ---- registration ---- */

struct registering {
    struct pull *j;
    struct registry_model row;
    const char *taken;
    bool known;
};

/* What the model is called: as asked for, as the catalogue says, or after its file. */
static const char *model_name(struct pull *j)
{
    unsigned part, parts;
    size_t prefix;
    const char *name = j->parts[0].name;
    if (j->name)
        return j->name;
    if (j->entry)
        return j->entry->name;
    if (split_name(name, &part, &parts, &prefix))
        name = arena_printf(j->arena, "%.*s.gguf", (int)prefix, name);
    return name ? model_name_from_path(name, j->arena) : NULL;
}

static int register_all(void *ctx, struct store *s, struct error *err)
{
    struct registering *r = ctx;
    struct pull *j = r->j;
    struct arena *a = j->arena;
    int64_t now = clock_wall_ms();
    const char *name = model_name(j);
    if (!name)
        return error_set(err, VX11_ENOMEM, "out of memory");
    int rc = registry_by_path(s, j->facts.path, a, &r->row, err);
    r->known = rc == 0;
    if (rc == 0)
        rc = registry_update(s, &r->row, r->row.api.source, &j->facts, now, err);
    else if (rc == VX11_ENOT_FOUND)
        rc = registry_add(s, HERMES_MODEL_SOURCE_PULLED, name, false, &j->facts, now, a, &r->taken, err);
    if (rc == 0)
        rc = registry_by_path(s, j->facts.path, a, &r->row, err);
    if (rc == 0 && j->parts[0].got[0])
        rc = registry_set_hash(s, &r->row, j->parts[0].got, now, err);
    if (rc == 0)
        rc = registry_remember(s, j->facts.path, err);
    if (rc == 0 && !j->adopt)
        rc = rows_model_pulled(s, j, r->row.api.id, err);
    return rc;
}

static void after_facts(uv_work_t *work, int status)
{
    struct pull *j = work->data;
    struct registering r = {.j = j};
    struct error err = {0};
    j->working = false;
    if (j->set->closing) { /* it is whole and in its place: the next start registers it */
        pull_release(j);
        return;
    }
    if (status != 0 || j->work_result != 0) {
        pull_end(j, HERMES_PULL_STATE_FAILED, "out_of_memory", "out of memory");
        return;
    }
    if (j->facts.status != HERMES_MODEL_STATUS_AVAILABLE) {
        pull_end(j, HERMES_PULL_STATE_FAILED, "invalid_model", j->facts.reason);
        return;
    }
    if (store_transaction(j->set->store, register_all, &r, &err) != 0) {
        pull_end(j, HERMES_PULL_STATE_FAILED, "not_registered", err.text);
        return;
    }
    j->model = arena_strdup(j->arena, r.row.api.name);
    if (j->name && strcmp(j->name, r.row.api.name) != 0)
        pull_note(j, "the model is registered as %s", r.row.api.name);
    if (j->adopt)
        pull_note(j, "the file was there already: it stays yours");
    log_info("pull", "a model was pulled", LOG_S("pull", j->id), LOG_S("model", r.row.api.name),
             LOG_S("source", j->show));
    j->set->on_model(j->set->ctx, r.row.api.name, r.known);
    pull_end(j, HERMES_PULL_STATE_DONE, NULL, NULL);
}

static void on_facts(uv_work_t *work)
{
    struct pull *j = work->data;
    j->work_result = model_facts_read(j->path, j->arena, &j->facts);
}

void place_register(struct pull *j)
{
    j->phase = HERMES_PULL_PHASE_REGISTERING;
    j->work.data = j;
    pull_tell(j, true);
    if (uv_queue_work(j->set->loop, &j->work, on_facts, after_facts) != 0)
        pull_end(j, HERMES_PULL_STATE_FAILED, "out_of_memory", "out of memory");
    else
        j->working = true;
}

/* ---- deletion ---- */

static int delete_one(int folder, const char *name, struct error *err)
{
    struct stat st;
    if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? 0 : error_set_errno(err, errno, "%s cannot be looked at", name);
    if (!S_ISREG(st.st_mode))
        return error_set(err, VX11_EPERMISSION, "%s is no regular file: it is left alone", name);
    return unlinkat(folder, name, 0) == 0 ? 0 : error_set_errno(err, errno, "%s cannot be deleted", name);
}

static int delete_parts(int folder, const char *name, int64_t parts, struct error *err)
{
    unsigned part, of;
    size_t prefix;
    int rc = 0;
    if (parts < 2 || !split_name(name, &part, &of, &prefix))
        return delete_one(folder, name, err);
    for (unsigned i = 1; rc == 0 && i <= of && i <= PARTS_MAX; i++) {
        char text[300];
        (void)snprintf(text, sizeof text, "%.*s-%05u-of-%05u%s", (int)prefix, name, i, of,
                       name + strlen(name) - 5);
        rc = delete_one(folder, text, err);
    }
    return rc;
}

int pulls_delete_files(struct pulls *p, const struct registry_model *row, struct error *err)
{
    struct arena *a = arena_create(0);
    const char *path = row->api.path;
    size_t n = strlen(p->models);
    bool pulled = false;
    int64_t parts = 1;
    int folder = -1, root = -1;
    int rc = a ? rows_is_pulled(p->store, row->api.id, a, &pulled, NULL, &parts, err)
               : error_set(err, VX11_ENOMEM, "out of memory");
    if (rc == 0 && (!pulled || strncmp(path, p->models, n) != 0 || path[n] != '/'))
        rc = error_set(err, VX11_EPERMISSION, "%s is not a file that VX11 downloaded: it is yours to delete",
                       path);
    if (rc == 0) {
        const char *inside = path + n + 1, *slash = strrchr(inside, '/');
        char *dir = slash ? arena_strndup(a, inside, (size_t)(slash - inside)) : arena_strdup(a, ".");
        root = open(p->models, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        folder = !dir       ? error_set(err, VX11_ENOMEM, "out of memory")
                 : root < 0 ? error_set_errno(err, errno, "%s cannot be opened", p->models)
                            : fs_open_beneath(root, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0, err);
        rc = folder < 0 ? folder : delete_parts(folder, slash ? slash + 1 : inside, parts, err);
        if (rc == 0 && slash) { /* the folders that were made for it, when they are empty now */
            while (unlinkat(root, dir, AT_REMOVEDIR) == 0) {
                char *end = strrchr(dir, '/');
                if (!end)
                    break;
                *end = '\0';
            }
        }
    }
    if (folder >= 0)
        close(folder);
    if (root >= 0)
        close(root);
    arena_destroy(a);
    return rc;
}

/* ---- the catalogue's view ---- */

static bool entry_name(const struct hermes_catalogue_model *m, char *out, size_t size)
{
    return pull_file_name(m->file, out, size);
}

const char *pulls_target(struct pulls *p, const struct hermes_catalogue_model *m, struct arena *a)
{
    char name[256];
    return entry_name(m, name, sizeof name) ? arena_printf(a, "%s/%s/%s", p->models, m->repository, name)
                                            : NULL;
}

int64_t pulls_partial(struct pulls *p, const struct hermes_catalogue_model *m)
{
    struct error err = {0};
    struct stat st;
    char name[256], part[300];
    int folder = -1;
    int64_t bytes = -1;
    if (!entry_name(m, name, sizeof name) || place_open(p, m->repository, false, &folder, &err) != 0)
        return -1;
    transfer_part_name(name, part, sizeof part);
    if (fstatat(folder, part, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
        bytes = (int64_t)st.st_blocks * 512 < st.st_size ? (int64_t)st.st_blocks * 512 : st.st_size;
    close(folder);
    return bytes;
}
