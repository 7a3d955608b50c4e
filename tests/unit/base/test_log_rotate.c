/* Log on disk: rotation and compression, the bound on all copies, what a crash left, a disk that is full,
 * many threads at once. */
#include "test.h"

#include <dirent.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <zstd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"

static char dir[64], path[128];

static int setup(void **state)
{
    (void)state;
    temp_make(dir);
    snprintf(path, sizeof path, "%s/m.log", dir);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    log_close();
    temp_remove(dir);
    return 0;
}

static void open_log(uint64_t rotate, uint64_t total)
{
    struct error err = {0};
    struct log_options o = {
        .module = "m", .path = path, .level = LOG_INFO, .rotate_bytes = rotate, .total_bytes = total};
    if (log_open(&o, &err) != 0)
        fail_msg("%s", err.text);
}

static struct buf read_copy(const char *file)
{
    struct buf raw = BUF_INIT, out = BUF_INIT;
    assert_int_equal(fs_read_file(file, 1 << 26, &raw, NULL), 0);
    if (!str_ends(file, ".zst"))
        return raw;
    unsigned long long size = 1 << 20;
    assert_int_equal(buf_reserve(&out, size), 0);
    size_t n = ZSTD_decompress(out.data, size, raw.data, raw.len);
    assert_false(ZSTD_isError(n));
    out.len = n;
    out.data[n] = '\0';
    buf_free(&raw);
    return out;
}

struct listing {
    unsigned raw, packed, other;
    uint64_t bytes, lowest, highest;
};

static struct listing list(void)
{
    struct listing l = {.lowest = UINT64_MAX};
    DIR *d = opendir(dir);
    assert_non_null(d);
    for (const struct dirent *e; (e = readdir(d));) {
        struct stat st;
        unsigned long long n;
        char rest[16] = "";
        if (!str_starts(e->d_name, "m.log") || fstatat(dirfd(d), e->d_name, &st, 0) != 0)
            continue;
        l.bytes += (uint64_t)st.st_size;
        int found = sscanf(e->d_name, "m.log.%llu%15s", &n, rest);
        if (found < 1)
            continue;
        if (found == 1)
            l.raw++;
        else if (str_eq(rest, ".zst"))
            l.packed++;
        else
            l.other++;
        l.lowest = n < l.lowest ? n : l.lowest;
        l.highest = n > l.highest ? n : l.highest;
    }
    closedir(d);
    return l;
}

/* Until everything is packed, half a minute at most. */
static struct listing wait_packed(void)
{
    struct listing l;
    for (int i = 0; i < 3000; i++) {
        l = list();
        if (l.raw == 0 && l.other == 0 && l.packed > 0)
            return l;
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    fail_msg("%u raw, %u packed, %u other after half a minute", l.raw, l.packed, l.other);
    return l;
}

/* All records of all copies and the file, oldest first. */
static struct buf read_all(const struct listing *l)
{
    struct buf all = BUF_INIT;
    for (uint64_t n = l->lowest; n <= l->highest; n++) {
        char file[160];
        snprintf(file, sizeof file, "%s.%llu.zst", path, (unsigned long long)n);
        struct buf b = read_copy(file);
        buf_append(&all, b.data, b.len);
        buf_free(&b);
    }
    struct buf b = read_copy(path);
    buf_append(&all, b.data, b.len);
    buf_free(&b);
    assert_false(all.failed);
    return all;
}

static void keeps_every_record(void **state)
{
    (void)state;
    enum { RECORDS = 500 };
    open_log(4000, 0);
    for (int i = 0; i < RECORDS; i++)
        log_info("x", "a record of some length", LOG_I("number", i));
    struct listing l = wait_packed();
    assert_int_equal(l.lowest, 1);
    assert_true(l.highest >= 10);
    assert_int_equal(l.packed, l.highest);
    struct buf all = read_all(&l);
    int next = 0;
    for (char *line = all.data, *save = NULL; (line = strtok_r(line, "\n", &save)); line = NULL, next++) {
        char want[32];
        snprintf(want, sizeof want, " number=%d", next);
        assert_true(str_starts(line, "time=") && str_ends(line, want));
    }
    assert_int_equal(next, RECORDS);
    buf_free(&all);
    struct stat st;
    char first[160];
    snprintf(first, sizeof first, "%s.1.zst", path);
    assert_int_equal(stat(first, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_true(st.st_size <= 4000);
}

static void bound_holds(void **state)
{
    (void)state;
    open_log(4000, 12000);
    unsigned seed = 1;
    char noise[200];
    for (int i = 0; i < 2000; i++) {
        for (size_t k = 0; k + 1 < sizeof noise; k++) /* so that it does not compress to nothing */
            noise[k] = (char)('a' + (seed = seed * 1103515245 + 12345) / 65536 % 26);
        noise[sizeof noise - 1] = '\0';
        log_info("x", noise, LOG_I("number", i));
    }
    struct listing l = wait_packed();
    for (int i = 0; i < 3000 && l.bytes > 12000; i++) { /* the thread prunes after packing */
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
        l = list();
    }
    assert_true(l.bytes <= 12000);
    assert_true(l.lowest > 50); /* the oldest went */
    assert_true(l.highest >= l.lowest);
    /* The newest record is there. */
    struct buf b = read_copy(path);
    assert_true(str_ends(b.data, " number=1999\n"));
    buf_free(&b);
}

/* A process ended while it packed: its copies are packed by the next, numbers go on, strangers are left
 * alone. */
static void takes_over(void **state)
{
    (void)state;
    static const char *const files[] = {"m.log.3", "m.log.7",   "m.log.7.zst.tmp", "m.log.2.zst.tmp",
                                        "m.log.x", "m.log.007", "m.log.9.bak",     "other.log.1"};
    char file[160];
    for (size_t i = 0; i < COUNT_OF(files); i++) {
        snprintf(file, sizeof file, "%s/%s", dir, files[i]);
        temp_put(file, "an old record\n");
    }
    open_log(500, 0);
    for (int i = 0; i < 10; i++)
        log_info("x", "a record of some length, to make it rotate", LOG_I("number", i));
    for (int i = 0; i < 3000; i++) {
        snprintf(file, sizeof file, "%s.8.zst", path);
        if (fs_exists(file))
            break;
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    static const char *const there[] = {"m.log.3.zst", "m.log.7.zst", "m.log.8.zst", "m.log.x",
                                        "m.log.007",   "m.log.9.bak", "other.log.1"};
    static const char *const gone[] = {"m.log.3", "m.log.7", "m.log.7.zst.tmp", "m.log.2.zst.tmp"};
    for (size_t i = 0; i < COUNT_OF(there); i++) {
        snprintf(file, sizeof file, "%s/%s", dir, there[i]);
        if (!fs_exists(file))
            fail_msg("%s is missing", there[i]);
    }
    for (size_t i = 0; i < COUNT_OF(gone); i++) {
        snprintf(file, sizeof file, "%s/%s", dir, gone[i]);
        if (fs_exists(file))
            fail_msg("%s is still there", gone[i]);
    }
    snprintf(file, sizeof file, "%s.3.zst", path);
    struct buf b = read_copy(file);
    assert_string_equal(b.data, "an old record\n");
    buf_free(&b);
}

static void limit_file_size(rlim_t bytes)
{
    struct rlimit r;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &r), 0);
    r.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &r), 0);
}

/* A limit on the file's size stands for a full disk: the last write is cut in two, the others fail. */
static void full_disk(void **state)
{
    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    open_log(0, 0);
    for (int i = 0; i < 5; i++)
        log_info("x", "before", LOG_I("number", i));
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    limit_file_size((rlim_t)st.st_size + 20); /* room for half a record */
    for (int i = 0; i < 7; i++)
        log_info("x", "lost", LOG_I("number", i));
    assert_int_equal(log_lost(), 7);
    limit_file_size(RLIM_INFINITY);
    log_info("x", "after");
    log_info("x", "after");
    assert_int_equal(log_lost(), 7);

    struct buf b = read_copy(path);
    unsigned before = 0, lost = 0, told = 0, after = 0, torn = 0;
    for (char *line = b.data, *save = NULL; (line = strtok_r(line, "\n", &save)); line = NULL) {
        before += strstr(line, "msg=before") != NULL;
        lost += strstr(line, "msg=lost") != NULL;
        told += str_ends(line, " lost=7");
        after += strstr(line, "msg=after") != NULL;
        torn += strlen(line) == 20;
    }
    assert_int_equal(before, 5);
    assert_int_equal(lost, 0);
    assert_int_equal(told, 1);
    assert_int_equal(after, 2);
    assert_int_equal(torn, 1); /* on a line of its own */
    buf_free(&b);
}

/* Renaming fails because the folder takes no more entries: the log goes on in the file, up to the bound. */
static void cannot_rotate(void **state)
{
    (void)state;
    if (geteuid() == 0)
        skip(); /* permissions do not hold root */
    open_log(1000, 5000);
    assert_int_equal(chmod(dir, 0500), 0);
    for (int i = 0; i < 200; i++)
        log_info("x", "a record of some length", LOG_I("number", i));
    struct listing l = list();
    assert_int_equal(chmod(dir, 0700), 0);
    assert_true(l.bytes <= 5000 && l.bytes > 3000);
    assert_int_equal(l.raw + l.packed, 0);
    assert_true(log_lost() > 0);
}

enum { THREADS = 4, EACH = 1000 };
static atomic_bool stop_reader;

static void *write_many(void *arg)
{
    int me = *(const int *)arg;
    char request[16];
    snprintf(request, sizeof request, "request-%d", me);
    log_set_request(request);
    for (int i = 0; i < EACH; i++)
        log_info("thread", "a record", LOG_I("writer", me), LOG_I("number", i));
    return NULL;
}

/* What a crash handler does, while all the others write. */
static void *read_tail(void *arg)
{
    static char tail[64 * 1024];
    (void)arg;
    while (!atomic_load(&stop_reader)) {
        size_t n = log_tail(tail, sizeof tail - 1);
        tail[n] = '\0';
        if (n > 0 && (!str_starts(tail, "time=") || tail[n - 1] != '\n'))
            return tail;
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    return NULL;
}

static void threads(void **state)
{
    (void)state;
    pthread_t t[THREADS], reader;
    int number[THREADS];
    void *torn = NULL;
    open_log(50000, 0);
    assert_int_equal(pthread_create(&reader, NULL, read_tail, NULL), 0);
    for (int i = 0; i < THREADS; i++) {
        number[i] = i;
        assert_int_equal(pthread_create(&t[i], NULL, write_many, &number[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(t[i], NULL);
    atomic_store(&stop_reader, true);
    pthread_join(reader, &torn);
    assert_null(torn);
    struct listing l = wait_packed();
    struct buf all = read_all(&l);
    int next[THREADS] = {0};
    for (char *line = all.data, *save = NULL; (line = strtok_r(line, "\n", &save)); line = NULL) {
        int writer, n, request;
        const char *rest = strstr(line, "request_id=");
        assert_non_null(rest);
        assert_int_equal(sscanf(rest, "request_id=request-%d writer=%d number=%d", &request, &writer, &n), 3);
        assert_in_range(writer, 0, THREADS - 1);
        assert_int_equal(request, writer);
        assert_int_equal(n, next[writer]++);
    }
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(next[i], EACH);
    buf_free(&all);
    assert_string_equal(log_current_request(), ""); /* each thread has its own */
}

/* Closing while copies wait to be packed neither hangs nor loses them. */
static void close_at_once(void **state)
{
    (void)state;
    for (int round = 0; round < 5; round++) {
        open_log(2000, 0);
        for (int i = 0; i < 100; i++)
            log_info("x", "a record of some length", LOG_I("number", i));
        log_close();
    }
    open_log(100000, 0);
    struct listing l = wait_packed();
    struct buf all = read_all(&l);
    unsigned lines = 0;
    for (size_t i = 0; i < all.len; i++)
        lines += all.data[i] == '\n';
    assert_int_equal(lines, 500);
    buf_free(&all);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(keeps_every_record), TEST(bound_holds), TEST(takes_over),    TEST(full_disk),
        TEST(cannot_rotate),      TEST(threads),     TEST(close_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
