/* Look: opening for reading only, without asking what the schema is. store_open refuses what this program
 * does not know; here that is what somebody wants to see. */
#include "store/look.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "store/store_internal.h"

#define BUSY_MS 5000

static bool has_beside(const char *path, const char *suffix)
{
    char name[PATH_MAX + 8];
    return snprintf(name, sizeof name, "%s%s", path, suffix) < (int)sizeof name && fs_exists(name);
}

static int check_file(const char *path, struct error *err)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return errno == ENOENT ? error_set(err, VX11_ENOT_FOUND, "there is no %s", path)
                               : error_set_errno(err, errno, "cannot look at %s", path);
    if (!S_ISREG(st.st_mode))
        return error_set(err, VX11_EINVALID, "%s is not a regular file", path);
    return 0;
}

/* What the header and the schema say; a schema that cannot be read is no error here. */
static void look_read(sqlite3 *db, struct look *look)
{
    int64_t id = 0, n = 0, version = 0;
    struct error none = {0};
    if (sql_int(db, "PRAGMA application_id", &id, &look->why) != 0 ||
        sql_int(db, "SELECT count(*) FROM sqlite_schema", &n, &look->why) != 0) {
        look->unreadable = true;
        return;
    }
    look->ours = id == STORE_APPLICATION_ID;
    if (sql_int(db, "SELECT coalesce(max(version), 0) FROM schema_migration", &version, &none) == 0 &&
        version > 0 && version < INT_MAX)
        look->version = (int)version;
}

int look_open(const char *path, bool still, struct look *look, struct store **out, struct error *err)
{
    *out = NULL;
    *look = (struct look){.ours = false};
    int rc = check_file(path, err);
    if (rc != 0)
        return rc;
    still = still && !has_beside(path, "-wal") && !has_beside(path, "-shm") && !has_beside(path, "-journal");
    struct store *s = calloc(1, sizeof *s);
    if (!s || !(s->path = strdup(path))) {
        free(s);
        return error_set(err, VX11_ENOMEM, "no memory to open %s", path);
    }
    rc = connection_open(path, still ? CONNECTION_STILL : CONNECTION_READ, BUSY_MS, &s->read, err);
    statements_init(&s->reads, s->read);
    statements_init(&s->writes, NULL);
    if (rc != 0) {
        store_close(s);
        return rc;
    }
    look_read(s->read, look);
    s->version = look->version;
    *out = s;
    return 0;
}

int look_new(int (*fn)(void *ctx, struct store *s, struct error *err), void *ctx, struct error *err)
{
    const char *base = getenv("TMPDIR");
    char dir[PATH_MAX], path[PATH_MAX + 16];
    struct store *s = NULL;
    if (snprintf(dir, sizeof dir, "%s/vx11-new-XXXXXX", base && *base ? base : "/tmp") >= (int)sizeof dir)
        return error_set(err, VX11_ETOO_LARGE, "$TMPDIR is too long");
    if (!mkdtemp(dir))
        return error_set_errno(err, errno, "cannot make a temporary folder");
    (void)snprintf(path, sizeof path, "%s/vx11.db", dir);
    const struct store_options options = {.path = path, .migrate = true};
    int rc = store_open(&options, &s, err);
    if (rc == 0)
        rc = fn(ctx, s, err);
    store_close(s);
    char *slash = strrchr(dir, '/');
    *slash = '\0';
    int fd = open(dir[0] ? dir : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct error late = {0};
    int gone = fd >= 0 ? fs_remove_tree(fd, slash + 1, &late)
                       : error_set_errno(&late, errno, "cannot open the temporary folder");
    if (fd >= 0)
        close(fd);
    return rc == 0 && gone != 0 ? error_set(err, gone, "%s", late.text) : rc;
}

const char *look_quote(struct arena *a, const char *name)
{
    char *out = arena_alloc(a, 2 * strlen(name) + 3), *at = out;
    if (!out)
        return NULL;
    *at++ = '"';
    for (; *name; name++) {
        if (*name == '"')
            *at++ = '"';
        *at++ = *name;
    }
    *at++ = '"';
    *at = '\0';
    return out;
}
