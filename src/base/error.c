/* Errors: names and sentences of the codes, and the filling of struct error.
 *
 * Every sentence is first formatted beside the struct and then copied, so that a caller may use the old
 * err->text as an argument of the new one. */
#include "base/error.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define ERROR_TEXT_SIZE (sizeof((struct error *)0)->text)

const char *error_name(int code)
{
    switch (code) {
    case 0:
        return "OK";
#define ERROR_CASE(name, number, text)                                                                       \
    case -(number):                                                                                          \
        return #name;
        VX11_ERRORS(ERROR_CASE)
#undef ERROR_CASE
    default:
        return "UNKNOWN";
    }
}

const char *error_describe(int code)
{
    switch (code) {
    case 0:
        return "no error";
#define ERROR_CASE(name, number, text)                                                                       \
    case -(number):                                                                                          \
        return text;
        VX11_ERRORS(ERROR_CASE)
#undef ERROR_CASE
    default:
        return "unknown error";
    }
}

/* Drops the bytes of a character that the buffer's end cut in two. */
static void trim_cut_character(char *text, size_t len)
{
    size_t back = 0;
    while (back < 3 && back < len && ((unsigned char)text[len - 1 - back] & 0xC0) == 0x80)
        back++;
    if (back == len)
        return;
    unsigned char lead = (unsigned char)text[len - 1 - back];
    size_t need = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
    if (need > back + 1)
        text[len - 1 - back] = '\0';
}

static void format_text(char out[ERROR_TEXT_SIZE], const char *fmt, va_list args)
    __attribute__((format(printf, 2, 0)));

static void format_text(char out[ERROR_TEXT_SIZE], const char *fmt, va_list args)
{
    /* The analyzer of clang 14 loses sight of the caller's va_start. */
    int len = vsnprintf(out, ERROR_TEXT_SIZE, fmt, args); // NOLINT(clang-analyzer-valist.Uninitialized)
    if (len < 0) {
        out[0] = '\0';
    } else if ((size_t)len >= ERROR_TEXT_SIZE) {
        trim_cut_character(out, ERROR_TEXT_SIZE - 1);
    }
}

/* Appends to a text of ERROR_TEXT_SIZE, cutting on a character's boundary. */
static void append_text(char text[ERROR_TEXT_SIZE], const char *more)
{
    size_t len = strlen(text), room = ERROR_TEXT_SIZE - 1 - len, add = strlen(more);
    bool cut = add > room;
    if (cut)
        add = room;
    memcpy(text + len, more, add);
    text[len + add] = '\0';
    if (cut)
        trim_cut_character(text, len + add);
}

int error_setv(struct error *err, int code, const char *fmt, va_list args)
{
    if (!err)
        return code;
    char text[ERROR_TEXT_SIZE];
    format_text(text, fmt, args);
    err->code = code;
    memcpy(err->text, text, strlen(text) + 1);
    if (code == 0)
        err->text[0] = '\0';
    return code;
}

#undef error_set /* see error.h: the analyzer has a macro of this name */
int error_set(struct error *err, int code, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    error_setv(err, code, fmt, args);
    va_end(args);
    return code;
}

static int code_of_errno(int sys)
{
    switch (sys) {
    case ENOENT:
    case ENOTDIR:
    case ESRCH:
    case ENODEV:
    case ENXIO:
        return VX11_ENOT_FOUND;
    case EACCES:
    case EPERM:
    case EROFS:
        return VX11_EPERMISSION;
    case ENOSPC:
    case EDQUOT:
        return VX11_EFULL;
    case ENOMEM:
        return VX11_ENOMEM;
    case EEXIST:
    case ENOTEMPTY:
        return VX11_EEXISTS;
    case EBUSY:
    case ETXTBSY:
    case EADDRINUSE:
        return VX11_EBUSY;
    case EAGAIN:
    case EINTR:
        return VX11_EAGAIN;
    case ETIMEDOUT:
        return VX11_ETIMEOUT;
    case ECANCELED:
        return VX11_ECANCELLED;
    case EFBIG:
    case E2BIG:
    case ENAMETOOLONG:
    case EOVERFLOW:
    case EMSGSIZE:
        return VX11_ETOO_LARGE;
    case EINVAL:
    case EBADF:
    case ELOOP:
    case EXDEV:
    case EISDIR:
        return VX11_EINVALID;
    case ERANGE:
    case EDOM:
        return VX11_ERANGE;
    case EILSEQ:
        return VX11_ESYNTAX;
    case ENOSYS:
    case EOPNOTSUPP:
    case EAFNOSUPPORT:
    case EPROTONOSUPPORT:
        return VX11_EUNSUPPORTED;
    case ECONNREFUSED:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EHOSTDOWN:
    case ENETDOWN:
    case EMFILE:
    case ENFILE:
        return VX11_EUNAVAILABLE;
    case EPIPE:
    case ECONNRESET:
    case ECONNABORTED:
    case ENOTCONN:
        return VX11_ECLOSED;
    default:
        return VX11_EIO;
    }
}

int error_set_errno(struct error *err, int sys, const char *fmt, ...)
{
    int code = code_of_errno(sys);
    if (!err)
        return code;
    va_list args;
    va_start(args, fmt);
    error_setv(err, code, fmt, args);
    va_end(args);
    const char *what = strerrordesc_np(sys);
    char number[32];
    if (!what) {
        snprintf(number, sizeof number, "errno %d", sys);
        what = number;
    }
    append_text(err->text, ": ");
    append_text(err->text, what);
    return code;
}

int error_prefix(struct error *err, int code, const char *fmt, ...)
{
    if (!err)
        return code;
    char text[ERROR_TEXT_SIZE];
    va_list args;
    va_start(args, fmt);
    format_text(text, fmt, args);
    va_end(args);
    append_text(text, ": ");
    append_text(text, err->text);
    memcpy(err->text, text, strlen(text) + 1);
    if (err->code == 0)
        err->code = code;
    return err->code;
}
