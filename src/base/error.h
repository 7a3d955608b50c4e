/* Errors: one set of negative codes for the whole program, and a small struct that carries a sentence.
 *
 * Functions that can fail return 0 or a negative VX11_E… . Those that can say more than a code take a
 * `struct error *` as their last parameter; it may be NULL. */
#ifndef VX11_BASE_ERROR_H
#define VX11_BASE_ERROR_H

#include <stdarg.h>

#define VX11_ERRORS(X)                                                                                       \
    X(NOMEM, 1, "out of memory")                                                                             \
    X(INVALID, 2, "invalid value")                                                                           \
    X(NOT_FOUND, 3, "not found")                                                                             \
    X(EXISTS, 4, "already exists")                                                                           \
    X(IO, 5, "input/output error")                                                                           \
    X(PERMISSION, 6, "permission denied")                                                                    \
    X(TIMEOUT, 7, "timed out")                                                                               \
    X(CANCELLED, 8, "cancelled")                                                                             \
    X(BUSY, 9, "busy")                                                                                       \
    X(FULL, 10, "queue or disk full")                                                                        \
    X(TOO_LARGE, 11, "too large")                                                                            \
    X(SYNTAX, 12, "malformed")                                                                               \
    X(UNSUPPORTED, 13, "not supported")                                                                      \
    X(CORRUPT, 14, "corrupt data")                                                                           \
    X(VERSION, 15, "version mismatch")                                                                       \
    X(UNAVAILABLE, 16, "unavailable")                                                                        \
    X(CLOSED, 17, "closed by the other side")                                                                \
    X(RANGE, 18, "out of range")                                                                             \
    X(AGAIN, 19, "try again")                                                                                \
    X(INTERNAL, 20, "internal error")

enum {
#define VX11_ERROR_ENUM(name, number, text) VX11_E##name = -(number),
    VX11_ERRORS(VX11_ERROR_ENUM)
#undef VX11_ERROR_ENUM
};

struct error {
    int code;       /* 0 or VX11_E… */
    char text[512]; /* a sentence for a person, UTF-8, "" when code is 0 */
};

/* Short name of a code ("NOT_FOUND") and its plain description; never NULL. */
const char *error_name(int code);
const char *error_describe(int code);

/* Fills *err (may be NULL) with code and a formatted sentence (cut at the buffer's end on a UTF-8 boundary).
 * Returns code. */
int error_set(struct error *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
int error_setv(struct error *err, int code, const char *fmt, va_list args)
    __attribute__((format(printf, 3, 0)));

#ifdef __clang_analyzer__
/* The analyzer does not see into error.c and would follow paths on which an error is none. */
#define error_set(err, code, ...) (error_set((err), (code), __VA_ARGS__), (code))
#endif

/* As error_set, and appends ": " and the text of errno value `sys`. The code is derived from `sys`
 * (ENOENT -> NOT_FOUND, EACCES/EPERM/EROFS -> PERMISSION, ENOSPC/EDQUOT -> FULL, ENOMEM -> NOMEM, EEXIST ->
 * EXISTS, …, else IO). */
int error_set_errno(struct error *err, int sys, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Puts "prefix: " before the text already in *err. Returns err->code (or `code` when err is NULL). */
int error_prefix(struct error *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
