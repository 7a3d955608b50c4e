/* Prune: each kind by its own count, newest first. What is damaged does not count among those to keep, and
 * goes once as many whole ones as asked for are there. The newest verified one stays, whatever the counts. */
#include "store/backup/backup_internal.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/str.h"

#define BEFORE_RESTORE ".before-restore-"

static int64_t keep_of(const struct backup_keep *keep, int kind)
{
    switch ((enum backup_kind)kind) {
    case BACKUP_KIND_DAILY:
        return keep->daily;
    case BACKUP_KIND_WEEKLY:
        return keep->weekly;
    case BACKUP_KIND_MONTHLY:
        return keep->monthly;
    case BACKUP_KIND_MANUAL:
        return keep->manual;
    case BACKUP_KIND_BEFORE_MAINTAIN:
    case BACKUP_KIND_BEFORE_MIGRATE:
        return keep->before;
    }
    return INT64_MAX;
}

/* The file first: a manifest without a file says what is missing, a file without a manifest says nothing. */
static int remove_one(const struct backup_place *place, const struct backup_item *item, struct error *err)
{
    char path[PATH_MAX], manifest[PATH_MAX + 8];
    int rc = backup_path(place, item->name, path, sizeof path, err);
    if (rc != 0)
        return rc;
    snprintf(manifest, sizeof manifest, "%s.json", path);
    if ((unlink(path) != 0 && errno != ENOENT) || (unlink(manifest) != 0 && errno != ENOENT))
        return error_set_errno(err, errno, "backup %s cannot be deleted", item->name);
    backup_note(place, "prune", item, clock_wall_ms(), 0, NULL);
    return 0;
}

/* A manifest whose file never came, or has gone. */
static bool is_remains(const struct backup_item *item)
{
    return !item->has_bytes;
}

static int prune_items(const struct backup_place *place, const struct backup_keep *keep, bool dry_run,
                       const struct backup_list *list, struct arena *a, struct backup_prune_reply *out,
                       struct error *err)
{
    int64_t seen[COUNT_OF(backup_kind_names)] = {0};
    const struct backup_item *last = backup_newest_verified(list);
    bool *go = arena_zalloc(a, list->backups_count + 1);
    out->removed = arena_array(a, list->backups_count + 1, sizeof *out->removed);
    if (!go || !out->removed)
        return error_set(err, VX11_ENOMEM, "out of memory");
    for (size_t i = 0; i < list->backups_count; i++) {
        const struct backup_item *b = &list->backups[i];
        if (!b->has_kind && !is_remains(b))
            continue; /* what cannot be read is for a person to look at */
        const int64_t limit = b->has_kind ? keep_of(keep, b->kind) : 0;
        go[i] = b != last && (is_remains(b) || seen[b->kind] >= limit);
        if (b->verified)
            seen[b->kind]++;
    }
    int rc = 0;
    for (size_t i = list->backups_count; rc == 0 && i-- > 0;) {
        if (!go[i]) {
            out->kept++;
            continue;
        }
        rc = dry_run ? 0 : remove_one(place, &list->backups[i], err);
        if (rc != 0)
            break;
        out->removed[out->removed_count++] = list->backups[i].name;
        out->bytes += list->backups[i].bytes;
    }
    return rc;
}

/* ---- databases that restores have put aside ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int list_aside(const char *dir, const char *prefix, struct arena *a, const char ***names,
                      size_t *count, struct error *err)
{
    DIR *d = opendir(dir);
    struct dirent *e;
    int rc = 0;
    if (!d)
        return error_set_errno(err, errno, "%s cannot be read", dir);
    while (rc == 0 && (e = readdir(d))) {
        if (!str_starts(e->d_name, prefix) || str_ends(e->d_name, "-wal") || *count >= 1000)
            continue;
        const char **more = arena_realloc(a, *names, *count * sizeof **names, (*count + 1) * sizeof **names);
        const char *name = arena_strdup(a, e->d_name);
        if (!more || !name) {
            rc = error_set(err, VX11_ENOMEM, "out of memory");
            break;
        }
        *names = more;
        more[(*count)++] = name;
    }
    closedir(d);
    if (rc == 0 && *count > 1)
        qsort(*names, *count, sizeof **names, by_name);
    return rc;
}

static int prune_aside(const struct backup_place *place, int64_t keep, bool dry_run, struct arena *a,
                       struct backup_prune_reply *out, struct error *err)
{
    char dir[PATH_MAX], prefix[PATH_MAX], path[2 * PATH_MAX];
    const char *slash = strrchr(place->database, '/');
    const char **names = NULL;
    size_t count = 0;
    struct stat st;
    if (folder_of(place->database, dir, sizeof dir) != 0 ||
        snprintf(prefix, sizeof prefix, "%s" BEFORE_RESTORE, slash ? slash + 1 : place->database) >=
            (int)sizeof prefix)
        return error_set(err, VX11_ETOO_LARGE, "the path of the database is too long");
    int rc = list_aside(dir, prefix, a, &names, &count, err);
    const size_t go = count > (size_t)keep ? count - (size_t)keep : 0;
    const char **removed =
        rc == 0 && go > 0 ? arena_array(a, out->removed_count + go, sizeof *removed) : NULL;
    if (rc != 0 || go == 0)
        return rc;
    if (!removed)
        return error_set(err, VX11_ENOMEM, "out of memory");
    memcpy(removed, out->removed, out->removed_count * sizeof *removed);
    out->removed = removed;
    for (size_t i = 0; i < go; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        const int64_t bytes = stat(path, &st) == 0 ? (int64_t)st.st_size : 0;
        if (!dry_run && unlink(path) != 0 && errno != ENOENT)
            return error_set_errno(err, errno, "%s cannot be deleted", path);
        snprintf(path, sizeof path, "%s/%s-wal", dir, names[i]);
        if (!dry_run && unlink(path) != 0 && errno != ENOENT)
            return error_set_errno(err, errno, "%s cannot be deleted", path);
        out->removed[out->removed_count++] = names[i];
        out->bytes += bytes;
    }
    return 0;
}

int backup_prune(const struct backup_place *place, const struct backup_keep *keep, bool dry_run,
                 struct arena *arena, struct backup_prune_reply *out, struct error *err)
{
    struct backup_list list;
    char dir[PATH_MAX];
    *out = (struct backup_prune_reply){.dry_run = dry_run};
    int rc = backup_list(place, arena, &list, err);
    if (rc == 0)
        rc = prune_items(place, keep, dry_run, &list, arena, out, err);
    if (rc == 0)
        rc = prune_aside(place, keep->before, dry_run, arena, out, err);
    if (rc == 0)
        rc = temp_clean(place->folder, BACKUP_TEMP, dry_run, arena, &out->unfinished, &out->unfinished_count,
                        err);
    if (rc == 0 && folder_of(place->database, dir, sizeof dir) == 0)
        rc = temp_clean(dir, BACKUP_TEMP, dry_run, arena, &out->unfinished, &out->unfinished_count, err);
    if (rc == 0 && !dry_run && out->removed_count > 0 && fs_exists(place->folder))
        rc = folder_sync(place->folder, err);
    return rc;
}
