/* Helper: see the header. */
#include "helper.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sodium.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/str.h"
#include "embed/sql.h"
#include "store/store_internal.h"

static int setup_in(const char *base, void **state)
{
    struct place *p = calloc(1, sizeof *p);
    if (!p)
        return -1;
    snprintf(p->base, sizeof p->base, "%s", base);
    snprintf(p->dir, sizeof p->dir, "%s/vx11-store-XXXXXX", base);
    if (!mkdtemp(p->dir)) {
        free(p);
        return -1;
    }
    snprintf(p->path, sizeof p->path, "%s/vx11.db", p->dir);
    *state = p;
    return 0;
}

int place_setup(void **state)
{
    return setup_in("/tmp", state);
}

int place_setup_fast(void **state)
{
    return setup_in(access("/dev/shm", W_OK | X_OK) == 0 ? "/dev/shm" : "/tmp", state);
}

int place_teardown(void **state)
{
    struct place *p = *state;
    chmod(p->dir, 0700);
    int base = open(p->base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = base < 0 ? -1 : fs_remove_tree(base, p->dir + strlen(p->base) + 1, NULL);
    close(base);
    free(p);
    return rc;
}

struct store *open_store(const char *path)
{
    struct error err = {0};
    struct store *s = NULL;
    struct store_options o = {.path = path, .migrate = true};
    assert_ok(store_open(&o, &s, &err), err);
    assert_non_null(s);
    return s;
}

struct writer *open_writer(const char *path, const struct writer_options *options)
{
    struct error err = {0};
    struct writer_options o = options ? *options : (struct writer_options){0};
    struct writer *w = NULL;
    o.path = path;
    assert_ok(writer_start(&o, &w, &err), err);
    return w;
}

int open_few(const char *path, int64_t busy_timeout_ms, struct store **out, struct error *err)
{
    const struct store_options options = {.path = path, .migrate = true, .busy_timeout_ms = busy_timeout_ms};
    return store_open_with(&options, embed_sql_files, 4, out, err);
}

int try_open(const char *path, struct error *err)
{
    struct store *s = NULL;
    *err = (struct error){0};
    int rc = store_open(&(struct store_options){.path = path, .migrate = true}, &s, err);
    if (rc != 0) {
        assert_null(s);
        assert_int_equal(err->code, rc);
        assert_true(strlen(err->text) > 0);
    }
    store_close(s);
    return rc;
}

static sqlite3 *raw_open(const char *path)
{
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 5000);
    return db;
}

void raw_exec(const char *path, const char *sql)
{
    sqlite3 *db = raw_open(path);
    char *message = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK)
        fail_msg("%s: %s", sql, message);
    sqlite3_close(db);
}

void raw_text(const char *path, const char *sql, char *out, size_t size)
{
    sqlite3 *db = raw_open(path);
    sqlite3_stmt *stmt;
    if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK || sqlite3_step(stmt) != SQLITE_ROW)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    const char *text = (const char *)sqlite3_column_text(stmt, 0);
    snprintf(out, size, "%s", text ? text : "");
    sqlite3_finalize(stmt);
    sqlite3_close(db);
}

int64_t raw_int(const char *path, const char *sql)
{
    char text[64];
    int64_t value = 0;
    raw_text(path, sql, text, sizeof text);
    assert_int_equal(str_to_i64(text, INT64_MIN, INT64_MAX, &value), 0);
    return value;
}

void assert_sound(const char *path)
{
    char text[256];
    raw_text(path, "PRAGMA integrity_check", text, sizeof text);
    assert_string_equal(text, "ok");
    assert_int_equal(raw_int(path, "SELECT count(*) FROM pragma_foreign_key_check"), 0);
}

static int take_int(void *ctx, const struct store_row *row)
{
    *(int64_t *)ctx = row_int(row, 0);
    return 0;
}

int64_t query_int(struct store *s, const char *sql)
{
    struct error err = {0};
    int64_t value = INT64_MIN;
    assert_ok(store_query(s, sql, NULL, 0, take_int, &value, &err), err);
    return value;
}

void file_hash(const char *path, char out[65])
{
    struct buf data = BUF_INIT;
    struct error err = {0};
    unsigned char hash[crypto_hash_sha256_BYTES];
    assert_ok(fs_read_file(path, (size_t)64 * 1024 * 1024, &data, &err), err);
    crypto_hash_sha256(hash, (const unsigned char *)(data.data ? data.data : ""), data.len);
    hex_encode(hash, sizeof hash, out);
    buf_free(&data);
}

void file_patch(const char *path, long at, const void *data, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, data, len, at), (ssize_t)len);
    close(fd);
}

long file_size(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? (long)st.st_size : -1;
}

int start_process(int (*fn)(void *ctx), void *ctx)
{
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(fn(ctx));
    return pid;
}

int wait_process(int pid)
{
    int status = 0;
    while (waitpid(pid, &status, 0) < 0)
        assert_int_equal(errno, EINTR);
    return status;
}

int in_process(int (*fn)(void *ctx), void *ctx)
{
    return wait_process(start_process(fn, ctx));
}

void assert_exit(int status, int code)
{
    if (WIFSIGNALED(status))
        fail_msg("the process died of signal %d", WTERMSIG(status));
    assert_int_equal(WEXITSTATUS(status), code);
}
