/* Log, inside: what the log's files share. Not for use outside base. */
#ifndef VX11_BASE_LOG_INTERNAL_H
#define VX11_BASE_LOG_INTERNAL_H

#include "base/log.h"

/* One record on its way to the file. text[0] is kept free for a newline that closes a torn record before this
 * one. */
enum { LOG_LINE_MAX = 8192 };
struct log_line {
    size_t len;
    bool cut; /* something did not fit */
    char text[LOG_LINE_MAX];
};

struct log_record {
    int64_t time_ms;
    enum log_level level;
    const char *module, *part, *msg, *request; /* part and request may be NULL or "" */
    const struct log_field *fields;
    size_t n;
};
/* Fills line with one record and its newline; always a sound record, however long the values are. */
void log_format(struct log_line *line, enum log_format format, const struct log_record *record);

/* The next secret in s[from..len): its place, or false when there is none. */
bool log_find_secret(const char *s, size_t len, size_t from, size_t *start, size_t *end);
bool log_key_is_secret(const char *key, size_t len);
/* As log_find_secret for a text of letters, digits, '_' and '-' only. */
bool log_word_is_secret(const char *s, size_t len);

/* Adds a record to the ring. One writer at a time: under the log's lock. */
void log_ring_put(const char *text, size_t len);

/* Rotation of one file. keep_bytes bounds the rotated copies together (0: no bound). */
struct log_rotator;
int log_rotator_create(const char *path, uint64_t keep_bytes, bool bounded, struct log_rotator **out,
                       struct error *err);
/* Renames PATH away and has it compressed in the background. 0 or VX11_E…. */
int log_rotator_rotate(struct log_rotator *r);
/* Stops the background work (what is unfinished is taken up by the next process) and frees. NULL is fine. */
void log_rotator_destroy(struct log_rotator *r);

#endif
