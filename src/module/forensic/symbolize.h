/* Symbolize: places in programs and libraries to functions, source files and lines.
 *
 *   place ─> file on disk with the very build id ─┬─ debug information ─> llvm-symbolizer | addr2line |
 * eu-addr2line (or its separate debug file)         └─ else its table of symbols: a name, no line
 *
 * Symbols of another build are never given: a file without the build id that the report names counts as not
 * there. Blocks: for a thread of its own. */
#ifndef VX11_MODULE_FORENSIC_SYMBOLIZE_H
#define VX11_MODULE_FORENSIC_SYMBOLIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/crash_report.h"
#include "base/error.h"

enum symbol_known { SYMBOL_DEBUG, SYMBOL_TABLE, SYMBOL_OFFSET };

/* A line of source; what is not known is NULL or 0. */
struct symbol_line {
    const char *function, *source;
    int64_t line;
};

struct symbol_place {
    const struct crash_place *at; /* in */
    bool exact;                   /* in: not a return address, which points behind its call */
    struct symbol_line *lines;    /* out: inlined calls first, the function itself last; in the arena */
    size_t line_count;            /* out: 0 when nothing is known */
    enum symbol_known known;      /* out */
    const char *reason;           /* out: why it is not SYMBOL_DEBUG; NULL when it is */
};

/* setting: "auto", "none" or a program's path (supervisor.forensic.symbolizer). tool: the program that was
 * used, in the arena; NULL: none. What cannot be had is said in each place's reason; the only error is
 * VX11_ENOMEM. */
int symbolize(const struct crash_report *report, const char *setting, struct arena *a,
              struct symbol_place *places, size_t count, const char **tool, struct error *err);

/* What a tool said of n addresses, in their order (addr2line -a -f): each is its address on a line of its
 * own, then pairs of a function and "file:line". VX11_ESYNTAX when it is not like that; what was read until
 * then stays in lines and counts (n of each). */
int symbol_output_parse(struct arena *a, const char *text, size_t len, const uint64_t *addresses, size_t n,
                        struct symbol_line **lines, size_t *counts);

#endif
