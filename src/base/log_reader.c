/* Reader: each module's log files one after the other, and the modules merged by time.
 *
 * The writer renames MODULE.log to MODULE.log.N, N counting up, then packs it to MODULE.log.N.zst and removes
 * the oldest. So a stream knows which N it has read up to, and what comes next is the smallest N above that,
 * or MODULE.log itself when there is none: that stays right while files are renamed, packed and removed under
 * it. */
#include "base/log_reader.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"

#define STREAMS_MAX 64
#define RACES_MAX   16  /* files that may go while one looks for the next */
#define POLL_MS     200 /* without inotify */

struct log_stream {
    char module[64];
    struct log_file *file; /* NULL: none opened yet, or none there */
    bool live;             /* file is MODULE.log */
    uint64_t number;       /* copies up to this one have been read, or are being read */
    bool idle;             /* at its end: not looked at again before log_reader_wait */
    bool has_record;       /* line and head hold the next one */
    struct buf line;
    uint64_t line_at; /* where it stands in its file */
    struct log_head head;
    int64_t last_time_ms; /* for lines without their own */
    enum log_level last_level;
};

struct log_reader {
    char dir[4096];
    char module[64]; /* "": all */
    int dir_fd, notify_fd;
    int64_t since_ms;
    enum log_level level;
    uint64_t skip; /* records still to be passed over, so that only the last ones are left */
    struct log_stream *streams[STREAMS_MAX];
    size_t count;
    struct log_stream *given; /* whose record the caller has */
};

/* ---- the folder ---- */

/* MODULE.log -> MODULE. */
static bool live_name(const char *entry, char *module, size_t size)
{
    size_t n = strlen(entry);
    if (n < 5 || n - 4 >= size || !str_ends(entry, ".log") || entry[0] == '.')
        return false;
    memcpy(module, entry, n - 4);
    module[n - 4] = '\0';
    return true;
}

/* MODULE.log.N or MODULE.log.N.zst -> N; 0 when it is not one of this module's. */
static uint64_t copy_number(const char *module, const char *entry, bool *packed)
{
    char digits[24];
    size_t n = strlen(module);
    if (strncmp(entry, module, n) != 0 || strncmp(entry + n, ".log.", 5) != 0)
        return 0;
    const char *rest = entry + n + 5;
    size_t len = strspn(rest, "0123456789");
    int64_t number;
    if (len == 0 || len >= sizeof digits || (rest[len] != '\0' && strcmp(rest + len, ".zst") != 0))
        return 0;
    memcpy(digits, rest, len);
    digits[len] = '\0';
    *packed = rest[len] != '\0';
    return str_to_i64(digits, 1, INT64_MAX, &number) == 0 ? (uint64_t)number : 0;
}

static DIR *folder(int dir_fd)
{
    int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (fd >= 0 && !dir)
        close(fd);
    return dir;
}

struct copy {
    uint64_t number; /* 0: none */
    bool packed;
};

/* The nearest copy above `number` (or below it). A copy that is there both plain and packed counts as packed:
 * that is the one that stays. */
static struct copy copy_beside(int dir_fd, const char *module, uint64_t number, bool above)
{
    struct copy best = {0};
    DIR *dir = folder(dir_fd);
    for (const struct dirent *e; dir && (e = readdir(dir));) {
        bool packed = false;
        uint64_t n = copy_number(module, e->d_name, &packed);
        if (n == 0 || (above ? n <= number : n >= number))
            continue;
        bool nearer = best.number == 0 || (above ? n < best.number : n > best.number);
        if (nearer || (n == best.number && packed))
            best = (struct copy){.number = n, .packed = packed};
    }
    if (dir)
        closedir(dir);
    return best;
}

static int copy_open(int dir_fd, const char *module, struct copy copy, struct log_file **out)
{
    char name[128];
    snprintf(name, sizeof name, "%.63s.log.%llu%s", module, (unsigned long long)copy.number,
             copy.packed ? ".zst" : "");
    int rc = log_file_open(dir_fd, name, out);
    if (rc != VX11_ENOT_FOUND || copy.packed)
        return rc;
    strncat(name, ".zst", sizeof name - strlen(name) - 1); /* packed since it was listed */
    return log_file_open(dir_fd, name, out);
}

int log_live_open(int dir_fd, const char *module, struct log_file **out)
{
    char name[80];
    snprintf(name, sizeof name, "%.63s.log", module);
    return log_file_open(dir_fd, name, out);
}

int log_copy_open(int dir_fd, const char *module, uint64_t *number, struct log_file **out)
{
    for (int tries = 0; tries < RACES_MAX; tries++) {
        struct copy copy = copy_beside(dir_fd, module, *number, false);
        if (copy.number == 0)
            return VX11_ENOT_FOUND;
        *number = copy.number;
        int rc = copy_open(dir_fd, module, copy, out);
        if (rc != VX11_ENOT_FOUND) /* else: removed since, and so are those before it */
            return rc;
    }
    return VX11_ENOT_FOUND;
}

/* ---- one module ---- */

/* Opens what comes after the copies up to s->number. 0; VX11_ENOT_FOUND: nothing there now. */
static int stream_open_next(struct log_reader *r, struct log_stream *s)
{
    for (int tries = 0; tries < RACES_MAX; tries++) {
        /* The live file first: should it be rotated before the folder is looked through, its copy is seen
         * there. */
        struct log_file *live = NULL;
        int rc = log_live_open(r->dir_fd, s->module, &live);
        struct copy copy = copy_beside(r->dir_fd, s->module, s->number, true);
        if (copy.number == 0) {
            s->file = live;
            s->live = true;
            return rc;
        }
        log_file_close(live);
        s->number = copy.number;
        s->live = false;
        rc = copy_open(r->dir_fd, s->module, copy, &s->file);
        if (rc != VX11_ENOT_FOUND)
            return rc;
    }
    return VX11_ENOT_FOUND;
}

/* Is MODULE.log another file now than the one that is open? */
static bool stream_was_rotated(const struct log_reader *r, const struct log_stream *s)
{
    char name[80];
    struct stat st;
    snprintf(name, sizeof name, "%.63s.log", s->module);
    if (fstatat(r->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return true;
    return st.st_ino != log_file_inode(s->file);
}

/* At the end of MODULE.log: 1 a line that was still to come, 0 nothing now, VX11_EAGAIN: go on with the next
 * file. */
static int stream_at_end(struct log_reader *r, struct log_stream *s)
{
    if (log_file_was_cut(s->file))
        return VX11_EAGAIN; /* emptied: it is read from its beginning again */
    if (!stream_was_rotated(r, s))
        return 0;
    /* Written between the last look and the renaming; the last line may lack its end for good. */
    int rc = log_file_line(s->file, false, &s->line);
    if (rc != 0)
        return rc;
    /* It is a copy now: the one after those read so far. */
    struct copy became = copy_beside(r->dir_fd, s->module, s->number, true);
    s->number = became.number ? became.number : s->number;
    return VX11_EAGAIN;
}

/* The next line of the stream, over as many files as it takes: 1, 0 nothing now, negative. */
static int stream_line(struct log_reader *r, struct log_stream *s)
{
    for (;;) {
        int rc = s->file ? 0 : stream_open_next(r, s);
        if (rc != 0)
            return rc == VX11_ENOT_FOUND ? 0 : rc;
        rc = log_file_line(s->file, s->live, &s->line);
        if (rc == VX11_ECORRUPT && !s->live)
            rc = 0; /* a copy cut short: what follows is in the next one */
        if (rc == 0 && s->live)
            rc = stream_at_end(r, s);
        else if (rc == 0)
            rc = VX11_EAGAIN;
        if (rc != VX11_EAGAIN)
            return rc;
        log_file_close(s->file);
        s->file = NULL;
    }
}

static bool record_fits(const struct log_reader *r, const struct log_head *h)
{
    return h->level >= r->level && (r->since_ms == 0 || h->time_ms >= r->since_ms);
}

/* Fills what the line does not say from the one before it. */
static void head_read(struct log_stream *s)
{
    log_head_parse(s->line.data, s->line.len, &s->head);
    s->last_time_ms = s->head.has_time ? s->head.time_ms : s->last_time_ms;
    s->last_level = s->head.has_level ? s->head.level : s->last_level;
    s->head.time_ms = s->last_time_ms;
    s->head.level = s->last_level;
}

static int stream_fill(struct log_reader *r, struct log_stream *s)
{
    if (s->idle)
        return 0;
    while (!s->has_record) {
        int rc = stream_line(r, s);
        s->idle = rc == 0;
        if (rc <= 0)
            return rc;
        head_read(s);
        s->line_at = s->file ? log_file_at(s->file) : 0;
        s->has_record = record_fits(r, &s->head);
    }
    return 1;
}

/* ---- where to begin ---- */

/* Copies whose last write was before `since` need not be read. */
static void stream_skip_old(struct log_reader *r, struct log_stream *s)
{
    for (struct copy c; (c = copy_beside(r->dir_fd, s->module, s->number, true)).number;) {
        char name[128];
        struct stat st;
        snprintf(name, sizeof name, "%.63s.log.%llu%s", s->module, (unsigned long long)c.number,
                 c.packed ? ".zst" : "");
        if (fstatat(r->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
            return;
        /* A packed copy was written after its last record: it may be read for nothing, never missed. */
        if ((int64_t)st.st_mtime * 1000 + 999 >= r->since_ms)
            return;
        s->number = c.number;
    }
}

static uint64_t file_count(struct log_reader *r, struct log_file *f)
{
    struct log_stream s = {.file = f, .last_level = LOG_INFO};
    uint64_t n = 0;
    while (log_file_line(f, false, &s.line) == 1) {
        head_read(&s);
        n += record_fits(r, &s.head);
    }
    buf_free(&s.line);
    return n;
}

/* Goes back from the newest file until `last` records are behind, and begins there; returns how many there
 * are from there on. */
static uint64_t stream_seek_last(struct log_reader *r, struct log_stream *s, uint64_t last)
{
    struct log_file *f = NULL;
    struct copy copy = copy_beside(r->dir_fd, s->module, UINT64_MAX, false);
    uint64_t floor = s->number, n = 0;
    if (log_live_open(r->dir_fd, s->module, &f) == 0)
        n = file_count(r, f);
    log_file_close(f);
    while (n < last && copy.number > floor) {
        f = NULL;
        if (copy_open(r->dir_fd, s->module, copy, &f) == 0)
            n += file_count(r, f);
        log_file_close(f);
        copy = copy_beside(r->dir_fd, s->module, copy.number, false);
    }
    s->number = copy.number > floor ? copy.number : floor;
    return n;
}

/* ---- all modules ---- */

static int reader_add(struct log_reader *r, const char *module, struct log_stream **out)
{
    for (size_t i = 0; i < r->count; i++)
        if (strcmp(r->streams[i]->module, module) == 0)
            return VX11_EEXISTS;
    if (r->count == STREAMS_MAX)
        return VX11_EFULL;
    struct log_stream *s = calloc(1, sizeof *s);
    if (!s)
        return VX11_ENOMEM;
    snprintf(s->module, sizeof s->module, "%s", module);
    s->last_level = LOG_INFO;
    r->streams[r->count++] = s;
    *out = s;
    return 0;
}

/* Takes up every module that has a log and is not known yet. */
static int reader_look(struct log_reader *r)
{
    DIR *dir = folder(r->dir_fd);
    int rc = 0;
    for (const struct dirent *e; dir && rc == 0 && (e = readdir(dir));) {
        char module[64];
        struct log_stream *s;
        if (!live_name(e->d_name, module, sizeof module) || (r->module[0] && strcmp(module, r->module) != 0))
            continue;
        rc = reader_add(r, module, &s);
        if (rc == 0 && r->since_ms)
            stream_skip_old(r, s);
        rc = rc == VX11_EEXISTS || rc == VX11_EFULL ? 0 : rc;
    }
    if (dir)
        closedir(dir);
    return rc;
}

int log_reader_names(const char *dir, struct buf *out)
{
    DIR *d = opendir(dir);
    for (const struct dirent *e; d && (e = readdir(d));) {
        char module[64];
        if (live_name(e->d_name, module, sizeof module))
            buf_printf(out, "%s ", module);
    }
    if (d)
        closedir(d);
    return out->failed ? VX11_ENOMEM : 0;
}

int log_reader_open(const struct log_reader_options *o, struct log_reader **out, struct error *err)
{
    struct log_reader *r = calloc(1, sizeof *r);
    if (!r)
        return error_set(err, VX11_ENOMEM, "out of memory");
    snprintf(r->dir, sizeof r->dir, "%s", o->dir);
    snprintf(r->module, sizeof r->module, "%s", o->module ? o->module : "");
    r->since_ms = o->since_ms;
    r->level = o->level;
    r->notify_fd = -1;
    r->dir_fd = open(o->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = r->dir_fd < 0 ? error_set_errno(err, errno, "%s", o->dir) : reader_look(r);
    if (rc == 0 && r->count == 0)
        rc = error_set(err, VX11_ENOT_FOUND, "there is no log in %s", o->dir);
    if (rc != 0) {
        log_reader_close(r);
        return rc;
    }
    uint64_t total = 0;
    for (size_t i = 0; o->last && i < r->count; i++)
        total += stream_seek_last(r, r->streams[i], o->last);
    r->skip = total > o->last ? total - o->last : 0;
    *out = r;
    return 0;
}

void log_reader_close(struct log_reader *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->count; i++) {
        log_file_close(r->streams[i]->file);
        buf_free(&r->streams[i]->line);
        free(r->streams[i]);
    }
    if (r->dir_fd >= 0)
        close(r->dir_fd);
    if (r->notify_fd >= 0)
        close(r->notify_fd);
    free(r);
}

static int reader_oldest(struct log_reader *r, struct log_stream **out)
{
    struct log_stream *oldest = NULL;
    for (size_t i = 0; i < r->count; i++) {
        struct log_stream *s = r->streams[i];
        int rc = stream_fill(r, s);
        if (rc < 0)
            return rc;
        if (rc == 1 && (!oldest || s->head.time_ms < oldest->head.time_ms))
            oldest = s;
    }
    *out = oldest;
    return oldest != NULL;
}

int log_reader_next(struct log_reader *r, struct log_record *out)
{
    if (r->given)
        r->given->has_record = false;
    r->given = NULL;
    for (;;) {
        struct log_stream *s;
        int rc = reader_oldest(r, &s);
        if (rc <= 0)
            return rc;
        if (r->skip > 0) {
            r->skip--;
            s->has_record = false;
            continue;
        }
        r->given = s;
        *out = (struct log_record){
            .module = s->module, .line = s->line.data, .len = s->line.len, .at = s->line_at, .head = s->head};
        return 1;
    }
}

/* ---- waiting ---- */

/* Empties the queue of events; true when a file came. */
static bool notify_drain(int fd)
{
    char events[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
    bool came = false;
    for (ssize_t n; (n = read(fd, events, sizeof events)) > 0;) {
        for (ssize_t at = 0; at < n;) {
            const struct inotify_event *e = (const void *)(events + at);
            came = came || (e->mask & (IN_CREATE | IN_MOVED_TO | IN_Q_OVERFLOW));
            at += (ssize_t)(sizeof *e + e->len);
        }
    }
    return came;
}

/* True when the watch is new: something may have been written before it was there. */
static bool notify_open(struct log_reader *r)
{
    if (r->notify_fd >= 0)
        return false;
    r->notify_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (r->notify_fd >= 0 &&
        inotify_add_watch(r->notify_fd, r->dir, IN_MODIFY | IN_CREATE | IN_MOVED_TO) >= 0)
        return true;
    if (r->notify_fd >= 0)
        close(r->notify_fd);
    r->notify_fd = -1;
    return false;
}

void log_reader_wait(struct log_reader *r, int timeout_ms)
{
    bool look = true;
    r->skip = 0; /* what is written from now on is wanted in any case */
    if (!notify_open(r)) {
        bool told = r->notify_fd >= 0;
        struct pollfd p = {.fd = r->notify_fd, .events = POLLIN};
        poll(&p, told ? 1 : 0, told || timeout_ms < POLL_MS ? timeout_ms : POLL_MS);
        look = !told || notify_drain(r->notify_fd);
    }
    if (look)
        reader_look(r);
    for (size_t i = 0; i < r->count; i++)
        r->streams[i]->idle = false;
}
