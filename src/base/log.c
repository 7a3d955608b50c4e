/* Log: the state of the process' one log and the way of a record through it.
 *
 *   log_write ── format (log_format.c, log_redact.c) ──> ring (log_ring.c)
 *                                                   └──> file, by one write(2), and stderr
 *                                                        └── full: log_rotate.c
 *
 * A record that cannot be written is counted, and the count is the first thing written when writing works
 * again. Nothing here ends the process or waits for anything but the disk. */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log_internal.h"
#include "base/str.h"

static struct {
    pthread_mutex_t lock;
    atomic_int level;
    char module[32];
    char path[PATH_MAX];
    enum log_format format;
    bool also_stderr;
    uint64_t rotate_bytes, total_bytes;

    int fd;                /* -1: stderr only */
    uint64_t size;         /* of the file */
    uint64_t rotate_at;    /* size at which to rotate; moved up when rotating failed */
    bool torn;             /* the file ends in half a record */
    uint64_t pending_lost; /* records lost and not told yet */
    uint64_t lost;
    struct log_rotator *rotator;
    struct log_line line;
} state = {
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .level = LOG_WARN,
    .module = "vx11",
    .also_stderr = true,
    .fd = -1,
};

static _Thread_local char current_request[64];

static const char *const level_names[] = {"trace", "debug", "info", "warn", "error", "off"};

const char *log_level_name(enum log_level level)
{
    return (unsigned)level < COUNT_OF(level_names) ? level_names[level] : "unknown";
}

int log_level_parse(const char *s, enum log_level *out)
{
    for (size_t i = 0; s && i < COUNT_OF(level_names); i++) {
        if (strcasecmp(s, level_names[i]) == 0) {
            *out = (enum log_level)i;
            return 0;
        }
    }
    if (s && strcasecmp(s, "warning") == 0) {
        *out = LOG_WARN;
        return 0;
    }
    return VX11_EINVALID;
}

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&state.level, (int)level, memory_order_relaxed);
}

bool log_enabled(enum log_level level)
{
    return level < LOG_OFF && (int)level >= atomic_load_explicit(&state.level, memory_order_relaxed);
}

void log_set_request(const char *request_id)
{
    snprintf(current_request, sizeof current_request, "%s", request_id ? request_id : "");
}

const char *log_current_request(void)
{
    return current_request;
}

uint64_t log_lost(void)
{
    pthread_mutex_lock(&state.lock);
    uint64_t n = state.lost;
    pthread_mutex_unlock(&state.lock);
    return n;
}

static int open_file(const char *path, int *fd, uint64_t *size)
{
    *fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600);
    if (*fd < 0)
        return -1;
    struct stat st;
    if (fstat(*fd, &st) == 0) {
        *size = st.st_size > 0 ? (uint64_t)st.st_size : 0;
        return 0;
    }
    int sys = errno;
    close(*fd);
    *fd = -1;
    errno = sys;
    return -1;
}

/* Under the lock. The file was renamed: go on in a new one, or in the old one as long as there can be no new
 * one. */
static void rotate(void)
{
    int fd;
    uint64_t size;
    if (log_rotator_rotate(state.rotator) != 0 || open_file(state.path, &fd, &size) != 0) {
        state.rotate_at = state.size + state.rotate_bytes / 8 + 1;
        return;
    }
    close(state.fd);
    state.fd = fd;
    state.size = size;
    state.torn = false;
    state.rotate_at = state.rotate_bytes;
}

/* Under the lock: the formatted line to stderr. */
static bool line_to_stderr(void)
{
    ssize_t n, len = (ssize_t)state.line.len - 1;
    do {
        n = write(STDERR_FILENO, state.line.text + 1, (size_t)len);
    } while (n < 0 && errno == EINTR);
    return n == len;
}

/* Under the lock: the formatted line to the file, by one write(2). False when the record was lost. */
static bool line_to_file(void)
{
    if (state.rotator && state.size > 0 && state.size + state.line.len > state.rotate_at)
        rotate();
    /* When rotating fails for long, the bound holds all the same. */
    if (state.total_bytes > 0 && state.size + state.line.len > state.total_bytes)
        return false;
    size_t from = state.torn ? 0 : 1, len = state.line.len - from;
    ssize_t n;
    do {
        n = write(state.fd, state.line.text + from, len);
    } while (n < 0 && errno == EINTR);
    if (n <= 0)
        return false;
    state.size += (uint64_t)n;
    state.torn = (size_t)n < len;
    return !state.torn;
}

static bool line_out(void)
{
    return state.fd >= 0 ? line_to_file() : line_to_stderr();
}

static void format_line(enum log_level level, const char *part, const char *msg,
                        const struct log_field *fields, size_t n)
{
    const struct log_record record = {
        .time_ms = clock_wall_ms(),
        .level = level,
        .module = state.module,
        .part = part,
        .msg = msg,
        .request = current_request,
        .fields = fields,
        .n = n,
    };
    log_format(&state.line, state.format, &record);
}

/* Under the lock. Tells of lost records as soon as that can be written; false while it cannot. */
static bool report_lost(void)
{
    if (state.pending_lost == 0)
        return true;
    const struct log_field lost = LOG_I("lost", state.pending_lost);
    format_line(LOG_WARN, "log", "records were lost because they could not be written", &lost, 1);
    if (!line_out())
        return false;
    state.pending_lost = 0;
    return true;
}

void log_write(enum log_level level, const char *part, const char *msg, const struct log_field *fields,
               size_t n)
{
    if (!log_enabled(level))
        return;
    pthread_mutex_lock(&state.lock);
    bool works = report_lost();
    format_line(level, part, msg, fields, n);
    log_ring_put(state.line.text + 1, state.line.len - 1);
    if (!works || !line_out()) {
        state.pending_lost++;
        state.lost++;
    }
    if (state.fd >= 0 && state.also_stderr)
        (void)line_to_stderr(); /* the file is what counts */
    pthread_mutex_unlock(&state.lock);
}

/* Room for rotated copies beside a full current file. */
static int make_rotator(const struct log_options *o, uint64_t rotate_bytes, struct log_rotator **out,
                        struct error *err)
{
    *out = NULL;
    if (!o->path || rotate_bytes == 0)
        return 0;
    bool bounded = o->total_bytes > 0;
    uint64_t keep = bounded ? o->total_bytes - rotate_bytes : 0;
    return log_rotator_create(o->path, keep, bounded, out, err);
}

int log_open(const struct log_options *o, struct error *err)
{
    int fd = -1, old_fd;
    uint64_t size = 0, rotate_bytes = o->rotate_bytes;
    struct log_rotator *rotator, *old_rotator;
    if (o->path && strlen(o->path) >= sizeof state.path)
        return error_set(err, VX11_ETOO_LARGE, "the log's path is too long");
    if (o->path && open_file(o->path, &fd, &size) != 0)
        return error_set_errno(err, errno, "cannot open the log %s", o->path);
    if (o->total_bytes > 0 && rotate_bytes > o->total_bytes)
        rotate_bytes = o->total_bytes;

    /* The old rotator is stopped first, two on one path would compete for the same copies; and without the
     * lock, since its thread may log. */
    pthread_mutex_lock(&state.lock);
    old_rotator = state.rotator;
    state.rotator = NULL;
    pthread_mutex_unlock(&state.lock);
    log_rotator_destroy(old_rotator);
    int rc = make_rotator(o, rotate_bytes, &rotator, err);
    if (rc) {
        if (fd >= 0)
            close(fd);
        return rc;
    }

    pthread_mutex_lock(&state.lock);
    old_fd = state.fd;
    snprintf(state.module, sizeof state.module, "%s", o->module ? o->module : "vx11");
    snprintf(state.path, sizeof state.path, "%s", o->path ? o->path : "");
    state.format = o->format;
    state.also_stderr = o->also_stderr;
    state.rotate_bytes = rotate_bytes;
    state.rotate_at = rotate_bytes;
    state.total_bytes = o->total_bytes;
    state.fd = fd;
    state.size = size;
    state.torn = false;
    state.lost = state.pending_lost = 0;
    state.rotator = rotator;
    log_set_level(o->level);
    pthread_mutex_unlock(&state.lock);
    if (old_fd >= 0)
        close(old_fd);
    return 0;
}

void log_close(void)
{
    int fd;
    struct log_rotator *rotator;
    pthread_mutex_lock(&state.lock);
    report_lost();
    rotator = state.rotator;
    state.rotator = NULL;
    pthread_mutex_unlock(&state.lock);
    log_rotator_destroy(rotator);

    pthread_mutex_lock(&state.lock);
    fd = state.fd;
    state.fd = -1;
    state.also_stderr = true;
    state.format = LOG_LOGFMT;
    log_set_level(LOG_WARN);
    pthread_mutex_unlock(&state.lock);
    if (fd >= 0)
        close(fd);
}
