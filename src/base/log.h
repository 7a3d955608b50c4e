/* Log: one record per line, logfmt or JSON, to one file per process with rotation, and optionally to stderr.
 *
 *   log_info("server", "listening", LOG_S("address", addr), LOG_I("port", port));
 *   time=2026-11-22T14:45:04.123Z level=info module=link part=server msg=listening address=127.0.0.1
 * port=8000
 *
 * Values are escaped (no record can forge another); values whose key names a secret (token, key, secret,
 * password, authorization, cookie) and values that look like one (Bearer …, sk-…, vx11_…) are written as
 * "[redacted]". A secret inside a longer text loses only its own piece. The last records are also kept in a
 * ring in memory for crash reports. Thread-safe. Before log_open, warnings and errors go to stderr. */
#ifndef VX11_BASE_LOG_H
#define VX11_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum log_level { LOG_TRACE, LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR, LOG_OFF };
enum log_format { LOG_LOGFMT, LOG_JSON };

struct log_options {
    const char *module; /* name written into each record */
    const char *path;   /* NULL: stderr only */
    enum log_format format;
    enum log_level level;
    bool also_stderr;
    uint64_t
        rotate_bytes; /* a file that would pass this is renamed to PATH.N (N counts up from 1: the highest is
                         the newest) and compressed to PATH.N.zst in the background; 0: never */
    uint64_t total_bytes; /* bound on the file and its rotated copies together; the oldest go first */
};

struct log_field {
    const char *key;
    enum { LOG_FIELD_STRING, LOG_FIELD_INT, LOG_FIELD_DOUBLE, LOG_FIELD_BOOL } type;
    union {
        const char *s;
        int64_t i;
        double d;
    } v;
};
#define LOG_S(k, val) ((struct log_field){.key = (k), .type = LOG_FIELD_STRING, .v.s = (val)})
#define LOG_I(k, val) ((struct log_field){.key = (k), .type = LOG_FIELD_INT, .v.i = (int64_t)(val)})
#define LOG_D(k, val) ((struct log_field){.key = (k), .type = LOG_FIELD_DOUBLE, .v.d = (val)})
#define LOG_B(k, val) ((struct log_field){.key = (k), .type = LOG_FIELD_BOOL, .v.i = (val)})

int log_open(const struct log_options *options,
             struct error *err); /* one per process; again: reopens with new options */
void log_set_level(enum log_level level);
void log_close(void);
int log_level_parse(const char *s, enum log_level *out);
const char *log_level_name(enum log_level level);

/* Records lost since log_open because they could not be written (a full disk); also told in the log once it
 * works again. */
uint64_t log_lost(void);

/* Request id put into every record of this thread until cleared with NULL; also shown in crash reports.
 * Copied. */
void log_set_request(const char *request_id);

void log_write(enum log_level level, const char *part, const char *msg, const struct log_field *fields,
               size_t n);
bool log_enabled(enum log_level level);

/* Fields are evaluated only when the level is on. The first variable argument is the message. */
#define LOG_FIRST_(first, ...) (first)
#define LOG_REST_(first, ...)  __VA_ARGS__
#define LOG_END_               ((struct log_field){.key = NULL})
#define LOG_AT(level, part, ...)                                                                             \
    do {                                                                                                     \
        if (log_enabled(level)) {                                                                            \
            const struct log_field log_fields_[] = {LOG_REST_(__VA_ARGS__, LOG_END_)};                       \
            log_write(level, part, LOG_FIRST_(__VA_ARGS__, 0), log_fields_,                                  \
                      sizeof log_fields_ / sizeof log_fields_[0] - 1);                                       \
        }                                                                                                    \
    } while (0)
#define log_trace(part, ...) LOG_AT(LOG_TRACE, part, __VA_ARGS__)
#define log_debug(part, ...) LOG_AT(LOG_DEBUG, part, __VA_ARGS__)
#define log_info(part, ...)  LOG_AT(LOG_INFO, part, __VA_ARGS__)
#define log_warn(part, ...)  LOG_AT(LOG_WARN, part, __VA_ARGS__)
#define log_error(part, ...) LOG_AT(LOG_ERROR, part, __VA_ARGS__)

/* For the crash handler: copies the last records (newest last) into out without locking or allocating.
 * Returns bytes. Async-signal-safe. */
size_t log_tail(char *out, size_t size);
const char *log_current_request(void); /* async-signal-safe; "" when none */
/* True when key or value should not be written anywhere. */
bool log_is_secret(const char *key, const char *value);
/* Appends the text with each secret in it replaced by "[redacted]". 0 or VX11_ENOMEM. */
struct buf;
int log_redact(const char *text, size_t len, struct buf *out);

#endif
