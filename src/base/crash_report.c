/* A crash report's text into a struct. The writer's format (crash.c) is lines: a head of "name: value", then
 * sections that begin with a line of their own. Whatever is not as the writer writes it is an error that
 * names the line; an end in mid-report is none. */
#include "base/crash_report.h"

#include <string.h>

#include "base/clock.h"
#include "base/str.h"

struct reader {
    const char *at, *end;
    size_t number; /* of the line that was read last */
    struct error *err;
};

/* A line without its end, as text of its own. 1; 0: there is no more; negative: it is wrong. A last line that
 * was not finished counts as none: half a number is not a number. */
static int line_next(struct reader *r, char *line, size_t size)
{
    if (r->at == r->end)
        return 0;
    const char *stop = memchr(r->at, '\n', (size_t)(r->end - r->at));
    if (!stop) {
        r->at = r->end;
        return 0;
    }
    size_t n = (size_t)(stop - r->at);
    r->number++;
    if (n >= size)
        return error_set(r->err, VX11_ESYNTAX, "line %zu is too long", r->number);
    memcpy(line, r->at, n);
    line[n] = '\0';
    r->at = stop + 1;
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
            return error_set(r->err, VX11_ESYNTAX, "line %zu has a control character", r->number);
    if (!utf8_valid(line, n))
        return error_set(r->err, VX11_ESYNTAX, "line %zu is no UTF-8", r->number);
    return 1;
}

static int wrong(const struct reader *r, const char *what)
{
    return error_set(r->err, VX11_ESYNTAX, "line %zu: %s", r->number, what);
}

static bool copy(char *out, size_t size, const char *s, size_t n)
{
    if (n >= size)
        return false;
    memcpy(out, s, n);
    out[n] = '\0';
    return true;
}

/* "0x1f" and what follows it. */
static bool hex_take(const char **s, uint64_t *out)
{
    const char *p = *s;
    uint64_t v = 0;
    if (p[0] != '0' || p[1] != 'x')
        return false;
    size_t n = strspn(p + 2, "0123456789abcdef");
    if (n == 0 || n > 16)
        return false;
    for (size_t i = 0; i < n; i++) {
        char c = p[2 + i];
        v = v << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    *s = p + 2 + n;
    *out = v;
    return true;
}

/* "libc.so.6+0x1234" or "?". */
static bool place_read(const char *s, struct crash_place *out)
{
    const char *plus = strrchr(s, '+');
    if (str_eq(s, "?"))
        return true;
    if (!plus || plus == s || !copy(out->object, sizeof out->object, s, (size_t)(plus - s)))
        return false;
    s = plus + 1;
    return hex_take(&s, &out->offset) && *s == '\0';
}

/* ---- the head ---- */

static bool signal_read(const char *v, struct crash_report *out)
{
    char number[24];
    const char *open = strstr(v, " ("), *close = open ? strstr(open, "), code ") : NULL;
    return close && open != v && copy(out->signal, sizeof out->signal, v, (size_t)(open - v)) &&
           copy(number, sizeof number, open + 2, (size_t)(close - open - 2)) &&
           str_to_i64(number, 1, 1000, &out->signal_number) == 0 &&
           str_to_i64(close + 8, INT32_MIN, INT32_MAX, &out->code) == 0;
}

static bool head_value(const char *name, const char *v, struct crash_report *out)
{
    const struct {
        const char *name;
        char *text;
        size_t size;
    } texts[] = {{"module", out->module, sizeof out->module},
                 {"version", out->version, sizeof out->version},
                 {"build_id", out->build_id, sizeof out->build_id},
                 {"request_id", out->request_id, sizeof out->request_id}};
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        if (str_eq(name, texts[i].name))
            return copy(texts[i].text, texts[i].size, v, strlen(v));
    if (str_eq(name, "signal"))
        return signal_read(v, out);
    if (str_eq(name, "pid"))
        return str_to_i64(v, 1, INT32_MAX, &out->pid) == 0;
    if (str_eq(name, "thread"))
        return str_to_i64(v, 1, INT32_MAX, &out->thread) == 0;
    if (str_eq(name, "time"))
        return clock_parse(v, -1, &out->time_ms) == 0;
    if (str_eq(name, "address"))
        return out->has_address = hex_take(&v, &out->address) && *v == '\0';
    if (str_eq(name, "sent_by_pid"))
        return out->has_sender = str_to_i64(v, 0, INT32_MAX, &out->sent_by_pid) == 0;
    return true; /* of a later version */
}

/* Up to an empty line. */
static int head_read(struct reader *r, struct crash_report *out)
{
    char line[1024];
    int rc;
    while ((rc = line_next(r, line, sizeof line)) > 0 && line[0]) {
        char *colon = strstr(line, ": ");
        if (!colon)
            return wrong(r, "\"name: value\" was expected");
        *colon = '\0';
        if (!head_value(line, colon + 2, out)) {
            char what[128];
            *colon = ' ';
            copy(what, sizeof what, line, strlen(line) < 64 ? strcspn(line, " ") : 0);
            return error_set(r->err, VX11_ESYNTAX, "line %zu: %s is not as it should be", r->number, what);
        }
    }
    return rc;
}

/* ---- sections ---- */

static int register_read(struct reader *r, const char *line, struct crash_report *out)
{
    const char *colon = strstr(line, ": ");
    if (strncmp(line, "  ", 2) != 0 || !colon || out->register_count == COUNT_OF(out->registers))
        return wrong(r, "a register was expected");
    size_t i = out->register_count;
    const char *v = colon + 2;
    if (!copy(out->registers[i].name, sizeof out->registers[i].name, line + 2, (size_t)(colon - line - 2)) ||
        !hex_take(&v, &out->registers[i].value) || (*v && strncmp(v, "  ", 2) != 0))
        return wrong(r, "the register is not as it should be");
    if (i == 0 && *v) {
        out->pc.address = out->registers[0].value;
        out->has_pc = place_read(v + 2, &out->pc);
        if (!out->has_pc)
            return wrong(r, "the register's place is not as it should be");
    }
    out->register_count++;
    return 0;
}

static int frame_read(struct reader *r, const char *line, struct crash_report *out)
{
    const char *v = strncmp(line, "  #", 3) == 0 ? line + 3 + strspn(line + 3, "0123456789") : line;
    if (v == line || out->frame_count == COUNT_OF(out->frames))
        return wrong(r, "a frame was expected");
    struct crash_place *f = &out->frames[out->frame_count];
    if (*v++ != ' ' || !hex_take(&v, &f->address) || strncmp(v, "  ", 2) != 0 || !place_read(v + 2, f))
        return wrong(r, "the frame is not as it should be");
    out->frame_count++;
    return 0;
}

/* "  NAME BUILDID PATH"; "-" for a build id that is not there. */
static int object_read(struct reader *r, const char *line, struct crash_report *out)
{
    if (strncmp(line, "  ", 2) != 0 || out->object_count == COUNT_OF(out->objects))
        return wrong(r, "a file was expected");
    const char *name = line + 2, *id = strchr(name, ' '), *path = id ? strchr(id + 1, ' ') : NULL;
    if (!path || path[1] != '/')
        return wrong(r, "the file is not as it should be");
    size_t i = out->object_count, id_len = (size_t)(path - id - 1);
    if (!copy(out->objects[i].name, sizeof out->objects[i].name, name, (size_t)(id - name)) ||
        !copy(out->objects[i].build_id, sizeof out->objects[i].build_id, id + 1, id_len) ||
        !copy(out->objects[i].path, sizeof out->objects[i].path, path + 1, strlen(path + 1)))
        return wrong(r, "the file is not as it should be");
    if (str_eq(out->objects[i].build_id, "-"))
        out->objects[i].build_id[0] = '\0';
    out->object_count++;
    return 0;
}

static const char trace_head[] = "\nbacktrace (";

/* Records as they are: nobody else's lines are read into anything. They end where the last backtrace begins,
 * for no record can hold a line of its own that says so. */
static void log_take(struct reader *r, struct crash_report *out)
{
    const char *stop = NULL, *from = r->at > out->log ? r->at - 1 : r->at;
    out->log = r->at;
    for (const char *p = from; (p = memmem(p, (size_t)(r->end - p), trace_head, sizeof trace_head - 1)); p++)
        stop = p;
    out->log_len = stop ? (size_t)(stop + 1 - r->at) : (size_t)(r->end - r->at);
    if (stop && out->log_len > 0 && out->log[out->log_len - 1] == '\n' && *stop == '\n')
        out->log_len--; /* the empty line before the backtrace */
    if (!stop) {        /* cut: the last line may be half a record */
        while (out->log_len > 0 && out->log[out->log_len - 1] != '\n')
            out->log_len--;
    }
    for (size_t i = 0; i < out->log_len; i++)
        r->number += out->log[i] == '\n';
    r->number += stop ? 1 : 0;
    r->at = stop ? stop + 1 : r->end;
}

static int sections_read(struct reader *r, struct crash_report *out)
{
    enum { NONE, REGISTERS, FRAMES, OBJECTS } in = NONE;
    char line[1024];
    int rc;
    while ((rc = line_next(r, line, sizeof line)) > 0) {
        if (str_eq(line, "end of report")) {
            out->complete = true;
            return 0;
        }
        if (!line[0]) {
            in = NONE;
        } else if (str_eq(line, "registers:")) {
            in = REGISTERS;
        } else if (str_eq(line, "last log records:")) {
            log_take(r, out);
            in = NONE;
        } else if (str_starts(line, "backtrace (")) {
            in = FRAMES;
        } else if (str_eq(line, "files:")) {
            in = OBJECTS;
        } else {
            rc = in == REGISTERS ? register_read(r, line, out)
                 : in == FRAMES  ? frame_read(r, line, out)
                 : in == OBJECTS ? object_read(r, line, out)
                                 : wrong(r, "no section begins like this");
            if (rc != 0)
                return rc;
        }
    }
    return rc;
}

int crash_report_parse(const char *text, size_t len, struct crash_report *out, struct error *err)
{
    char line[1024];
    struct reader r = {.at = text, .end = text + len, .err = err};
    *out = (struct crash_report){.log = text};
    int rc = line_next(&r, line, sizeof line);
    if (rc < 0)
        return rc;
    if (rc == 0)
        return error_set(err, VX11_ESYNTAX, len == 0 ? "it is empty" : "it ends in its first line");
    if (!str_eq(line, "vx11 crash report"))
        return error_set(err, VX11_ESYNTAX, "it does not begin as a crash report does");
    rc = head_read(&r, out);
    if (rc == 1) /* the empty line after the head */
        rc = sections_read(&r, out);
    if (rc < 0)
        return rc;
    if (!out->signal[0])
        return error_set(err, VX11_ESYNTAX, "it names no signal");
    return 0;
}
