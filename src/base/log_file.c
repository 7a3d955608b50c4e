/* File: lines of one log file, plain or compressed, with a bound on the length of each. A file that still
 * grows can be read on where it ended. */
#include "base/log_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "base/str.h"

#define CHUNK 65536

struct log_file {
    int fd;
    ino_t inode;
    uint64_t read;      /* bytes taken from the file */
    ZSTD_DStream *zstd; /* NULL: plain */
    char *raw;          /* compressed bytes (zstd only) */
    size_t raw_len, raw_at;
    char *text; /* bytes not yet given out as lines */
    size_t text_len, text_at;
    struct buf piece;  /* a line that is not complete yet */
    uint64_t at;       /* bytes of text taken so far */
    uint64_t piece_at; /* where the piece begins */
    uint64_t line_at;  /* where the last line that was given out begins */
};

void log_file_close(struct log_file *f)
{
    if (!f)
        return;
    if (f->fd >= 0)
        close(f->fd);
    ZSTD_freeDStream(f->zstd);
    buf_free(&f->piece);
    free(f->raw);
    free(f->text);
    free(f);
}

int log_file_open(int dir_fd, const char *name, struct log_file **out)
{
    struct stat st = {0};
    struct log_file *f = calloc(1, sizeof *f);
    if (!f)
        return VX11_ENOMEM;
    bool packed = str_ends(name, ".zst");
    f->fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    int rc = f->fd < 0 ? error_set_errno(NULL, errno, "%s", name) : 0;
    if (rc == 0 && fstat(f->fd, &st) != 0)
        rc = error_set_errno(NULL, errno, "%s", name);
    else if (rc == 0 && !S_ISREG(st.st_mode))
        rc = VX11_EINVALID;
    if (rc == 0) {
        f->inode = st.st_ino;
        f->text = malloc(CHUNK);
        f->raw = packed ? malloc(CHUNK) : NULL;
        f->zstd = packed ? ZSTD_createDStream() : NULL;
        if (!f->text || (packed && (!f->raw || !f->zstd)))
            rc = VX11_ENOMEM;
    }
    if (rc != 0) {
        log_file_close(f);
        return rc;
    }
    *out = f;
    return 0;
}

ino_t log_file_inode(const struct log_file *f)
{
    return f->inode;
}

uint64_t log_file_at(const struct log_file *f)
{
    return f->line_at;
}

bool log_file_was_cut(const struct log_file *f)
{
    struct stat st;
    return !f->zstd && fstat(f->fd, &st) == 0 && (uint64_t)st.st_size < f->read;
}

static ssize_t take(struct log_file *f, char *to)
{
    ssize_t n;
    do
        n = read(f->fd, to, CHUNK);
    while (n < 0 && errno == EINTR);
    if (n > 0)
        f->read += (uint64_t)n;
    return n;
}

/* More text: bytes of it, 0 at the end for now, negative. */
static ssize_t fill_plain(struct log_file *f)
{
    ssize_t n = take(f, f->text);
    return n < 0 ? VX11_EIO : n;
}

static ssize_t fill_packed(struct log_file *f)
{
    for (;;) {
        if (f->raw_at == f->raw_len) {
            ssize_t n = take(f, f->raw);
            if (n <= 0)
                return n < 0 ? VX11_EIO : 0;
            f->raw_len = (size_t)n;
            f->raw_at = 0;
        }
        ZSTD_inBuffer in = {.src = f->raw, .size = f->raw_len, .pos = f->raw_at};
        ZSTD_outBuffer out = {.dst = f->text, .size = CHUNK};
        size_t rc = ZSTD_decompressStream(f->zstd, &out, &in);
        f->raw_at = in.pos;
        if (ZSTD_isError(rc))
            return VX11_ECORRUPT;
        if (out.pos > 0)
            return (ssize_t)out.pos;
    }
}

/* Moves text up to its next line end into the piece. True when the line is complete. */
static bool line_grow(struct log_file *f)
{
    const char *from = f->text + f->text_at;
    size_t left = f->text_len - f->text_at;
    const char *end = memchr(from, '\n', left);
    size_t n = end ? (size_t)(end - from) : left;
    size_t room = LOG_FILE_LINE_MAX - f->piece.len;
    if (f->piece.len == 0)
        f->piece_at = f->at;
    f->at += n + (end ? 1 : 0);
    buf_append(&f->piece, from, n < room ? n : room);
    f->text_at += n + (end ? 1 : 0);
    return end != NULL;
}

int log_file_line(struct log_file *f, bool complete, struct buf *line)
{
    for (;;) {
        bool whole = f->text_at < f->text_len && line_grow(f);
        if (!whole && f->text_at == f->text_len) {
            ssize_t n = f->zstd ? fill_packed(f) : fill_plain(f);
            if (n < 0)
                return (int)n;
            f->text_len = (size_t)n;
            f->text_at = 0;
            if (n > 0)
                continue;
            if (complete || f->piece.len == 0)
                return 0;
            whole = true;
        }
        if (f->piece.failed)
            return VX11_ENOMEM;
        if (!whole || f->piece.len == 0)
            continue; /* empty lines are no records: the writer ends a torn line with one */
        f->line_at = f->piece_at;
        struct buf swap = *line;
        *line = f->piece;
        f->piece = swap;
        buf_clear(&f->piece);
        return 1;
    }
}
