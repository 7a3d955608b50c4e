/* Crash reports: reading what crash.c wrote, finding them in their folder, and keeping the folder small.
 *
 * A report may be cut anywhere (its writer was dying) and the folder is the operator's: nothing in a report
 * is trusted. */
#ifndef VX11_BASE_CRASH_REPORT_H
#define VX11_BASE_CRASH_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"

enum {
    CRASH_REPORT_MAX = 1 << 20, /* bytes of a report; the writer's own end at about 64 KiB */
    CRASH_FRAMES_MAX = 64,
    CRASH_REGISTERS_MAX = 40,
    CRASH_OBJECTS_MAX = 32,
};

/* A place in the code: "libc.so.6+0x1234". object "": outside of every file. */
struct crash_place {
    uint64_t address;
    char object[64];
    uint64_t offset; /* from the file's first byte in memory */
};

struct crash_report {
    char signal[16];
    int64_t signal_number, code;
    bool has_address, has_sender; /* at most one of them */
    uint64_t address;
    int64_t sent_by_pid;
    char module[32], version[64], build_id[80], request_id[64]; /* "": it does not say */
    int64_t pid, thread;                                        /* 0: it does not say */
    int64_t time_ms;                                            /* epoch ms; 0: it does not say */
    struct {
        char name[8];
        uint64_t value;
    } registers[CRASH_REGISTERS_MAX];
    size_t register_count;
    bool has_pc; /* where it crashed: the first register */
    struct crash_place pc;
    const char *log; /* in the text that was parsed; whole lines */
    size_t log_len;
    struct crash_place frames[CRASH_FRAMES_MAX]; /* innermost first, the handler's own among them */
    size_t frame_count;
    struct {
        char name[64], build_id[80], path[512]; /* build_id "": it has none */
    } objects[CRASH_OBJECTS_MAX];               /* files that frames are in */
    size_t object_count;
    bool complete; /* it was written to its end */
};

/* VX11_ESYNTAX when it is no report or a line of it is wrong: the sentence names the line. A report that ends
 * early is fine: complete is false. */
int crash_report_parse(const char *text, size_t len, struct crash_report *out, struct error *err);

/* ---- the folder ---- */

/* A report by its name: crash-ID.txt, where ID is MODULE-EPOCHMS-PID. */
struct crash_file {
    char id[96];
    char module[48];
    int64_t time_ms, pid;
    uint64_t bytes;
};
/* False when it is no report's id; bytes is left 0. */
bool crash_file_parse_id(const char *id, struct crash_file *out);
#define CRASH_FILE_NAME_MAX 128
char *crash_file_name(const char *id, char out[CRASH_FILE_NAME_MAX]); /* "crash-ID.txt" */

/* All reports of dir, newest first; the caller free()s *out. A folder that is not there has none. */
int crash_file_list(const char *dir, struct crash_file **out, size_t *count, struct error *err);
/* Appends the text of a report; links are not followed, and what is no regular file is refused. */
int crash_file_read(const char *dir, const char *id, struct buf *out, struct error *err);

struct crash_keep {
    uint64_t count;
    int64_t age_ms;
    uint64_t bytes;
};
/* How many of files (newest first) are within the bounds; the newest is in any case. The rest is to go. */
size_t crash_keep_count(const struct crash_file *files, size_t count, const struct crash_keep *keep,
                        int64_t now_ms);
/* Deletes what is beyond the bounds, the oldest first. removed, bytes (may be NULL): how many, and their
 * size. One that cannot be deleted ends it with an error. */
int crash_prune(const char *dir, const struct crash_keep *keep, int64_t now_ms, size_t *removed,
                uint64_t *bytes, struct error *err);

#endif
