/* List: what lies in the folder of backups, from manifests and sizes alone: quick enough to be asked often.
 */
#include "store/backup/backup_internal.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/str.h"

#define LIST_MAX 10000

static int newest_first(const void *a, const void *b)
{
    const struct backup_item *x = a, *y = b;
    if (x->made_at != y->made_at)
        return x->made_at < y->made_at ? 1 : -1;
    return strcmp(y->name, x->name);
}

/* What does not come from the manifest: the file itself. */
static int item_fill(const struct backup_place *place, const char *name, struct arena *a,
                     struct backup_item *out, struct error *err)
{
    char path[PATH_MAX];
    struct stat st;
    struct backup_manifest m;
    struct error why = {0};
    int rc = backup_path(place, name, path, sizeof path, err);
    if (rc != 0)
        return rc;
    rc = manifest_read(path, a, &m, &why);
    if (rc == VX11_ENOMEM)
        return error_set(err, rc, "%s", why.text);
    if (rc == 0)
        manifest_item(&m, name, out);
    else
        *out = (struct backup_item){.name = name,
                                    .compressed = strstr(name, ".zst") != NULL,
                                    .encrypted = str_ends(name, ".sealed"),
                                    .problem = arena_strdup(a, why.text)};
    const bool there = stat(path, &st) == 0 && S_ISREG(st.st_mode);
    const int64_t want = out->bytes;
    out->has_bytes = there;
    out->bytes = there ? (int64_t)st.st_size : 0;
    if (!there)
        out->problem = "its file is missing";
    else if (rc == 0 && want != st.st_size && !out->problem)
        out->problem = arena_printf(a, "its file has %lld bytes, its manifest says %lld",
                                    (long long)st.st_size, (long long)want);
    out->verified = rc == 0 && !out->problem;
    return 0;
}

/* The name of the backup that an entry of the folder belongs to; NULL: none, or it comes again as the file.
 */
static const char *entry_name(int dir, const char *entry, struct arena *a)
{
    struct stat st;
    if (backup_name_valid(entry))
        return arena_strdup(a, entry);
    if (!str_ends(entry, ".json"))
        return NULL;
    char *name = arena_strndup(a, entry, strlen(entry) - 5);
    return name && backup_name_valid(name) && fstatat(dir, name, &st, 0) != 0 ? name : NULL;
}

static int list_read(DIR *d, const struct backup_place *place, struct arena *a, struct backup_list *out,
                     struct error *err)
{
    size_t room = 0;
    struct dirent *e;
    int rc = 0;
    while (rc == 0 && (e = readdir(d))) {
        const char *name = entry_name(dirfd(d), e->d_name, a);
        if (!name)
            continue;
        if (out->backups_count == LIST_MAX)
            return error_set(err, VX11_ETOO_LARGE, "there are more than %d backups in %s", LIST_MAX,
                             place->folder);
        if (out->backups_count == room) {
            struct backup_item *more =
                arena_realloc(a, out->backups, room * sizeof *more, (room + 64) * sizeof *more);
            if (!more)
                return error_set(err, VX11_ENOMEM, "out of memory");
            out->backups = more;
            room += 64;
        }
        struct backup_item *item = &out->backups[out->backups_count++];
        rc = item_fill(place, name, a, item, err);
        out->bytes += item->bytes;
    }
    return rc;
}

int backup_list(const struct backup_place *place, struct arena *arena, struct backup_list *out,
                struct error *err)
{
    *out = (struct backup_list){.folder = arena_strdup(arena, place->folder)};
    if (!out->folder)
        return error_set(err, VX11_ENOMEM, "out of memory");
    DIR *d = opendir(place->folder);
    if (!d)
        return errno == ENOENT ? 0 : error_set_errno(err, errno, "%s cannot be read", place->folder);
    const int64_t free_bytes = room_free(place->folder);
    out->has_free_bytes = free_bytes >= 0;
    out->free_bytes = free_bytes >= 0 ? free_bytes : 0;
    int rc = list_read(d, place, arena, out, err);
    closedir(d);
    if (rc == 0 && out->backups_count > 1)
        qsort(out->backups, out->backups_count, sizeof *out->backups, newest_first);
    return rc;
}

const struct backup_item *backup_newest_verified(const struct backup_list *list)
{
    for (size_t i = 0; i < list->backups_count; i++)
        if (list->backups[i].verified)
            return &list->backups[i];
    return NULL;
}

/* ---- rotation ---- */

struct calendar {
    int month; /* months since year 0 */
    int week;  /* weeks since Monday, 1969-12-29 */
};

static struct calendar calendar_of(int64_t ms)
{
    const int64_t day = ms / 86400000;
    const time_t seconds = (time_t)(ms / 1000);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    return (struct calendar){.month = (tm.tm_year + 1900) * 12 + tm.tm_mon, .week = (int)((day + 3) / 7)};
}

enum backup_kind backup_kind_due(const struct backup_list *list, int64_t now_ms)
{
    const struct calendar now = calendar_of(now_ms);
    bool month = false, week = false;
    for (size_t i = 0; i < list->backups_count; i++) {
        const struct backup_item *b = &list->backups[i];
        if (!b->verified || !b->has_kind)
            continue;
        const struct calendar then = calendar_of(b->made_at);
        month |= b->kind == BACKUP_KIND_MONTHLY && then.month == now.month;
        week |= (b->kind == BACKUP_KIND_MONTHLY || b->kind == BACKUP_KIND_WEEKLY) && then.week == now.week;
    }
    return !month ? BACKUP_KIND_MONTHLY : !week ? BACKUP_KIND_WEEKLY : BACKUP_KIND_DAILY;
}
