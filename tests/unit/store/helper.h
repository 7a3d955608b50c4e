/* Helper: a folder of its own for each test, raw looks at the file beside the store, and real processes. */
#ifndef VX11_TESTS_STORE_HELPER_H
#define VX11_TESTS_STORE_HELPER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "base/error.h"
#include "store/store.h"

struct place {
    char base[16];  /* /tmp, or what place_setup_fast chose */
    char dir[64];   /* a new folder in base */
    char path[128]; /* dir/vx11.db: not there yet */
};

/* cmocka setup and teardown: *state is a struct place. */
int place_setup(void **state);
int place_setup_fast(
    void **state); /* in memory when there is /dev/shm: for tests whose point is not the disk's speed */
int place_teardown(void **state);

/* Opens with migrations, and fails the test when that fails. */
struct store *open_store(const char *path);
struct writer *open_writer(const char *path, const struct writer_options *options);
/* store_open with the first few migrations only: where everything is made to fail in turn, all of them would
 * take minutes and show nothing more. */
int open_few(const char *path, int64_t busy_timeout_ms, struct store **out, struct error *err);
/* Tries to open with migrations; closes at once when it works. Returns the code. */
int try_open(const char *path, struct error *err);

/* By a connection of SQLite's own, apart from the store. */
void raw_exec(const char *path, const char *sql);
int64_t raw_int(const char *path, const char *sql);
void raw_text(const char *path, const char *sql, char *out, size_t size);
void assert_sound(const char *path); /* integrity_check and foreign_key_check */

int64_t query_int(struct store *s, const char *sql);

/* Lower-case hex of the file's SHA-256. */
void file_hash(const char *path, char out[65]);
void file_patch(const char *path, long at, const void *data, size_t len);
long file_size(const char *path);

/* Runs fn in a forked process and returns its wait status. fn's return value is the exit code. */
int in_process(int (*fn)(void *ctx), void *ctx);
/* Starts it; the caller waits. */
int start_process(int (*fn)(void *ctx), void *ctx);
int wait_process(int pid); /* wait status */
void assert_exit(int status, int code);

#define assert_ok(call, err)                                                                                 \
    do {                                                                                                     \
        int rc_ = (call);                                                                                    \
        if (rc_ != 0)                                                                                        \
            fail_msg("%s: %s: %s", #call, error_name(rc_), (err).text);                                      \
    } while (0)
#define assert_code(code, call, err)                                                                         \
    do {                                                                                                     \
        int rc_ = (call);                                                                                    \
        if (rc_ != (code))                                                                                   \
            fail_msg("%s: %s instead of %s: %s", #call, error_name(rc_), error_name(code), (err).text);      \
    } while (0)
#define assert_has(text, part)                                                                               \
    do {                                                                                                     \
        if (!strstr((text), (part)))                                                                         \
            fail_msg("\"%s\" does not say \"%s\"", (text), (part));                                          \
    } while (0)

#endif
