/* Logs: reading the log files of several modules as one stream of records, in the order of their times.
 *
 *   link.log.1.zst  link.log.2.zst  link.log    \
 *                   switch.log.7    switch.log   >  one record of each held  ──oldest first──>
 * log_reader_next hermes.log  /
 *
 * Memory is one line, one buffer and one decompressor for each module, whatever the files' size. */
#ifndef VX11_BASE_LOG_READER_H
#define VX11_BASE_LOG_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/log.h"

/* ---- one record (log_record.c) ---- */

struct log_head {
    bool has_time, has_level;
    int64_t time_ms; /* epoch ms */
    enum log_level level;
    size_t level_at, level_len; /* where the level's word stands in the line */
};
/* Finds time and level in a line of logfmt or JSON; what it has not is not there, whatever the line holds. */
void log_head_parse(const char *line, size_t len, struct log_head *out);

/* ---- one file (log_file.c) ---- */

#define LOG_FILE_LINE_MAX 65536 /* a longer line is cut; the writer's own are an eighth of that */

struct log_file;
/* name below the folder dir_fd; ".zst" at its end: compressed. The caller owns *out: log_file_close. */
int log_file_open(int dir_fd, const char *name, struct log_file **out);
void log_file_close(struct log_file *f); /* NULL is fine */
/* The next line, without its end, into line (replaced). 1: a line. 0: nothing more for now. Negative: it
 * cannot be read on. complete: only lines that end; else an unfinished last piece counts as a line. */
int log_file_line(struct log_file *f, bool complete, struct buf *line);
/* Where the last line begins, in bytes of text: stays the same when the file is renamed and packed. */
uint64_t log_file_at(const struct log_file *f);
ino_t log_file_inode(const struct log_file *f);
/* The file became shorter than what was read of it: somebody emptied it. */
bool log_file_was_cut(const struct log_file *f);

/* ---- all of them (log_reader.c) ---- */

struct log_reader_options {
    const char *dir;      /* $VX11_HOME/log */
    const char *module;   /* NULL: every module that has a log */
    int64_t since_ms;     /* epoch ms; 0: from the beginning */
    enum log_level level; /* least level */
    uint64_t last;        /* only the last so many; 0: all */
};

struct log_record {
    const char *module;
    const char *line; /* valid until the next call */
    size_t len;
    uint64_t at;          /* where it stands in its file: log_file_at */
    struct log_head head; /* lines without a time or level have that of the line before */
};

struct log_reader;
/* VX11_ENOT_FOUND when there is no such log. Strings of options are copied. */
int log_reader_open(const struct log_reader_options *options, struct log_reader **out, struct error *err);
void log_reader_close(struct log_reader *r); /* NULL is fine */
/* 1: a record. 0: no more for now; call again after log_reader_wait. Negative: error. */
int log_reader_next(struct log_reader *r, struct log_record *out);
/* Waits until something was written, at most timeout_ms; also takes up modules that are new. */
void log_reader_wait(struct log_reader *r, int timeout_ms);
/* Names of modules that have a log, each with a blank behind it. */
int log_reader_names(const char *dir, struct buf *out);

/* MODULE.log, still being written. */
int log_live_open(int dir_fd, const char *module, struct log_file **out);
/* The newest turned-over file of it below *number, which becomes its number. VX11_ENOT_FOUND: none. */
int log_copy_open(int dir_fd, const char *module, uint64_t *number, struct log_file **out);

/* ---- newest first (log_page.c) ---- */

/* Where a record stands among all: by time, module, place in its file. */
struct log_place {
    int64_t time_ms;
    char module[64];
    uint64_t at;
};
int log_place_compare(const struct log_place *a, const struct log_place *b);
/* "TIME.AT.MODULE" and back; false: malformed. */
char *log_place_format(const struct log_place *p, char out[112]);
bool log_place_parse(const char *text, struct log_place *out);

struct log_page_options {
    const char *dir;
    const char *module;             /* NULL: all */
    enum log_level level;           /* least level */
    int64_t since_ms, until_ms;     /* epoch ms; until 0: no end */
    const char *text;               /* anywhere in the line, in any case of letters; NULL: all */
    const struct log_place *before; /* only older ones; NULL: from the newest */
    size_t limit;
    uint64_t most_bytes; /* of text to look through, beyond what is read of each module in any case */
};
struct log_page_record {
    struct log_place place;
    enum log_level level;
    char *line; /* NUL-terminated */
    size_t len;
};
struct log_page {
    struct log_page_record *records; /* newest first */
    size_t count;
    bool more; /* there may be older ones: before `next` */
    bool cut;  /* the bound of bytes ended the search */
    struct log_place next;
};
/* Touches no state but the files: any thread. 0 (also without any log) or VX11_E…. log_page_free either way.
 */
int log_page_read(const struct log_page_options *options, struct log_page *out);
void log_page_free(struct log_page *p);

#endif
