/* Database: making the file, and telling a sound one of ours from anything else.
 *
 * A new file is written beside its place, synced, and given its name in one step that never replaces
 * anything: who opens vx11.db sees a whole database or none, also after a full disk or a kill, and two
 * processes that start at once end with one file. It is built in memory, so SQLite itself makes the bytes. */
#include "store/connection.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"

#define STRINGIFY_(x) #x
#define STRINGIFY(x)  STRINGIFY_(x)

/* Bytes of an empty database, to be freed with sqlite3_free. */
static int image_make(unsigned char **out, sqlite3_int64 *len, struct error *err)
{
    sqlite3 *db = NULL;
    *out = NULL;
    int rc = sqlite3_open_v2(":memory:", &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    int result = rc == SQLITE_OK ? 0 : sql_error(err, db, rc, "cannot make a database");
    if (result == 0)
        result = sql_run(db,
                         "PRAGMA page_size=4096; PRAGMA auto_vacuum=INCREMENTAL;"
                         "PRAGMA application_id=" STRINGIFY(STORE_APPLICATION_ID),
                         err);
    if (result == 0) {
        *out = sqlite3_serialize(db, "main", len, 0);
        if (!*out || *len < 4096)
            result = error_set(err, VX11_ENOMEM, "no memory to make a database");
    }
    sqlite3_close(db);
    if (result != 0 || !*out) {
        sqlite3_free(*out);
        *out = NULL;
        return result;
    }
    /* File format bytes 18 and 19: 2 means WAL from the start. No connection then has to switch modes, which
     * cannot wait for others. */
    (*out)[18] = (*out)[19] = 2;
    return 0;
}

static int write_synced(int fd, const unsigned char *data, sqlite3_int64 len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, (size_t)len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        data += n;
        len -= n;
    }
    return fsync(fd);
}

/* Gives `from` the name `to` unless that exists (errno EEXIST). */
static int rename_new(const char *from, const char *to)
{
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return -1;
    /* A file system without that flag: a second name does the same. */
    if (link(from, to) != 0)
        return -1;
    unlink(from);
    return 0;
}

static int sync_folder_of(const char *path)
{
    char dir[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t len = !slash ? 0 : slash == path ? 1 : (size_t)(slash - path);
    memcpy(dir, slash ? path : ".", slash ? len : 1);
    dir[slash ? len : 1] = '\0';
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    int rc = fsync(fd);
    /* Some file systems cannot sync a folder: then there is nothing to wait for. */
    if (rc != 0 && errno == EINVAL)
        rc = 0;
    close(fd);
    return rc;
}

/* A log without its database belongs to a file that was taken away: never replay it into a new one. */
static int check_no_orphan(const char *path, struct error *err)
{
    char wal[PATH_MAX];
    struct stat st;
    if (snprintf(wal, sizeof wal, "%s-wal", path) >= (int)sizeof wal)
        return error_set(err, VX11_ETOO_LARGE, "the path %s is too long", path);
    if (stat(wal, &st) != 0 || st.st_size == 0 || stat(path, &st) == 0)
        return 0;
    return error_set(
        err, VX11_ECORRUPT,
        "%s is there but %s is not: put the database back, or remove the -wal and -shm files to start anew",
        wal, path);
}

int database_create(const char *path, struct error *err)
{
    char temp[PATH_MAX];
    unsigned char *image = NULL;
    sqlite3_int64 len = 0;
    int fd = -1;
    temp[0] = '\0';
    int result = check_no_orphan(path, err);
    if (result != 0 || (result = image_make(&image, &len, err)) != 0)
        goto out;
    if (snprintf(temp, sizeof temp, "%s.XXXXXX", path) >= (int)sizeof temp) {
        temp[0] = '\0';
        result = error_set(err, VX11_ETOO_LARGE, "the path %s is too long", path);
        goto out;
    }
    fd = mkostemp(temp, O_CLOEXEC); /* mode 0600 */
    if (fd < 0) {
        temp[0] = '\0';
        result = error_set_errno(err, errno, "cannot create %s", path);
        goto out;
    }
    if (write_synced(fd, image, len) == 0) {
        if (rename_new(temp, path) == 0)
            temp[0] = '\0';
        else if (errno != EEXIST)
            result = error_set_errno(err, errno, "cannot create %s", path);
        if (result == 0 && sync_folder_of(path) != 0)
            result = error_set_errno(err, errno, "cannot sync the folder of %s", path);
    } else if (errno == EFBIG) {
        result = error_set(err, VX11_EFULL, "cannot create %s: the limit on file sizes is too low", path);
    } else {
        result = error_set_errno(err, errno, "cannot create %s", path);
    }
out:
    if (fd >= 0)
        close(fd);
    if (temp[0])
        unlink(temp); /* something failed, or somebody else was faster */
    sqlite3_free(image);
    return result;
}

int database_check_pages(sqlite3 *db, const char *path, struct error *err)
{
    sqlite3_stmt *stmt;
    int rc = sqlite3_prepare_v2(db, "PRAGMA quick_check(1)", -1, &stmt, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(stmt);
    int result = 0;
    if (rc == SQLITE_ROW) {
        const char *text = (const char *)sqlite3_column_text(stmt, 0);
        if (!str_eq(text, "ok"))
            result = error_damaged(err, path, text ? text : "no memory for the reason");
    } else {
        result = sql_error(err, db, rc, "%s cannot be checked", path);
        if (result == VX11_ECORRUPT)
            result = error_damaged(err, path, "its pages cannot be read");
    }
    sqlite3_finalize(stmt);
    return result;
}

int database_inspect(sqlite3 *db, const char *path, bool thorough, struct error *err)
{
    int64_t id = 0, tables = 0;
    int rc = sql_int(db, "PRAGMA application_id", &id, err);
    /* Counting the schema's rows makes SQLite read and parse all of it. */
    if (rc == 0)
        rc = sql_int(db, "SELECT count(*) FROM sqlite_schema", &tables, err);
    if (rc == VX11_ECORRUPT)
        return error_damaged(err, path, "its schema cannot be read");
    if (rc != 0)
        return error_prefix(err, rc, "%s", path);
    if (id != STORE_APPLICATION_ID)
        return error_set(err, VX11_EVERSION,
                         "%s is a database of another program (application id %lld), not VX11's", path,
                         (long long)id);
    return thorough ? database_check_pages(db, path, err) : 0;
}
