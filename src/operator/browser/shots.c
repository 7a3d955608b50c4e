/* Screenshots: a row and a file each. Both go when their task does: past operator.browser.keep_tasks, keep_ms
 * or keep_bytes. A file without a row (a crash between the two) goes too. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"
#include "operator/browser/browser_internal.h"

#define ADD_SQL                                                                                              \
    "INSERT INTO operator_browser_shot (id, task_id, format, bytes, created_at) VALUES (?1, ?2, ?3, ?4, ?5)"
#define FIND_SQL "SELECT format FROM operator_browser_shot WHERE id = ?1"
/* Tasks that are over and past the bounds, and those whose screenshots lie beyond the sum of bytes. */
#define OLD_SQL                                                                                              \
    "DELETE FROM operator_browser_task WHERE ended_at IS NOT NULL AND (created_at < ?1 OR id IN (SELECT id " \
    "FROM operator_browser_task ORDER BY id DESC LIMIT 1000 OFFSET ?2))"
#define SUM_SQL "SELECT coalesce(sum(bytes), 0) FROM operator_browser_shot"
#define BIG_SQL                                                                                              \
    "DELETE FROM operator_browser_task WHERE ended_at IS NOT NULL AND id = (SELECT task_id FROM "            \
    "operator_browser_shot JOIN operator_browser_task t ON t.id = task_id WHERE t.ended_at IS NOT NULL "     \
    "ORDER "                                                                                                 \
    "BY operator_browser_shot.created_at LIMIT 1)"

static int shot_path(const struct browser *b, const char *id, const char *format, char *out, size_t size)
{
    int n = snprintf(out, size, "%s/%s.%s", b->folder, id, str_eq(format, "png") ? "png" : "jpg");
    return n > 0 && (size_t)n < size ? 0 : VX11_ETOO_LARGE;
}

int shot_add(struct task *t, const struct mcp_result *r, const char **id, struct error *err)
{
    char name[ULID_LEN + 1], path[PATH_MAX + 64];
    struct browser *b = t->all;
    const char *format = r->image ? page_image_format(r->image, r->image_len) : NULL;
    if (!format)
        return error_set(err, VX11_ECORRUPT, "the browser gave no PNG and no JPEG");
    if (t->found.screenshots_count >= SHOTS_MOST)
        return error_set(err, VX11_EFULL, "a task has at most %d screenshots", SHOTS_MOST);
    *id = arena_strdup(t->arena, ulid_make(name));
    int rc = *id ? shot_path(b, name, format, path, sizeof path) : VX11_ENOMEM;
    if (rc != 0)
        return error_set(err, rc, "%s", error_describe(rc));
    rc = fs_write_file_atomic(path, r->image, r->image_len, 0600, err);
    if (rc != 0)
        return rc;
    const struct store_value values[] = {STORE_T(name), STORE_T(t->api.id), STORE_T(format),
                                         STORE_I(r->image_len), STORE_I(clock_wall_ms())};
    rc = store_exec(b->store, ADD_SQL, values, COUNT_OF(values), NULL, err);
    if (rc != 0) {
        (void)unlink(path);
        *id = NULL;
        return rc;
    }
    t->found.screenshots[t->found.screenshots_count++] = *id;
    t->found.screenshot = *id;
    return 0;
}

static int read_format(void *ctx, const struct store_row *row)
{
    (void)row_copy(row, 0, ctx, 8);
    return 0;
}

int shot_find(struct browser *b, const char *id, char *path, size_t size, const char **type,
              struct error *err)
{
    const struct store_value value = STORE_T(id);
    char format[8] = "";
    int rc = store_query(b->store, FIND_SQL, &value, 1, read_format, format, err);
    if (rc != 0)
        return rc;
    if (!format[0] || shot_path(b, id, format, path, size) != 0)
        return error_set(err, VX11_ENOT_FOUND, "there is no screenshot %s", id);
    *type = str_eq(format, "png") ? "image/png" : "image/jpeg";
    return 0;
}

/* ---- what is kept ---- */

static int read_int(void *ctx, const struct store_row *row)
{
    *(int64_t *)ctx = row_int(row, 0);
    return 0;
}

static bool row_is_there(struct browser *b, const char *name)
{
    char id[ULID_LEN + 1], format[8] = "";
    (void)snprintf(id, sizeof id, "%.26s", name);
    const struct store_value value = STORE_T(id);
    return store_query(b->store, FIND_SQL, &value, 1, read_format, format, NULL) != 0 || format[0];
}

/* Files are looked through only when rows went, and at the start. */
static void files_tidy(struct browser *b)
{
    DIR *dir = opendir(b->folder);
    const struct dirent *e;
    while (dir && (e = readdir(dir)) != NULL) {
        const size_t n = strlen(e->d_name);
        if (n != ULID_LEN + 4 || (!str_ends(e->d_name, ".png") && !str_ends(e->d_name, ".jpg")))
            continue;
        if (!row_is_there(b, e->d_name))
            (void)unlinkat(dirfd(dir), e->d_name, 0);
    }
    if (dir)
        closedir(dir);
}

void shots_tidy(struct browser *b, bool files)
{
    const struct config_operator_browser *c = browser_config(b);
    const struct store_value bounds[] = {STORE_I(clock_wall_ms() - c->keep_ms), STORE_I(c->keep_tasks)};
    struct error err = {0};
    int64_t gone = 0, more = 1, bytes = 0;
    int rc = store_exec(b->store, OLD_SQL, bounds, COUNT_OF(bounds), &gone, &err);
    for (int i = 0; rc == 0 && i < 100 && more > 0; i++) {
        rc = store_query(b->store, SUM_SQL, NULL, 0, read_int, &bytes, &err);
        if (rc != 0 || bytes <= c->keep_bytes)
            break;
        rc = store_exec(b->store, BIG_SQL, NULL, 0, &more, &err);
        gone += more;
    }
    if (rc != 0)
        log_warn("browser", "old tasks could not be deleted", LOG_S("reason", err.text));
    if (gone > 0 || files)
        files_tidy(b);
}
