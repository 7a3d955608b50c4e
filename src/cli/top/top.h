/* What the files of `vx11 top` share.
 *
 *   gather.c   one look: supervisor, operator and Hermes are asked, and a message is made of what they say
 *   draw.c     that message as lines of text, for a screen or a pipe
 *   screen.c   the screen: keys, time, signals, the terminal left as it was found
 *   top.c      the command */
#ifndef VX11_CLI_TOP_H
#define VX11_CLI_TOP_H

#include "api/cli.h"
#include "cli/cli_internal.h"

/* ---- a look ---- */
struct top_look;
/* Runs once, later. The look has what is known; where VX11 does not answer top_look_of is NULL. */
typedef void (*top_look_fn)(struct top_look *l, void *ctx);
/* say: that VX11 does not answer goes to stderr. NULL: out of memory. */
struct top_look *top_look_start(struct cli *c, bool say, top_look_fn fn, void *ctx);
const struct cli_top *top_look_of(const struct top_look *l);
int top_look_code(const struct top_look *l);            /* exit code, when there is nothing to see */
const char *top_look_trouble(const struct top_look *l); /* the same as a sentence */
struct arena *top_look_arena(struct top_look *l);
void top_look_cancel(struct top_look *l); /* fn runs soon */
void top_look_free(struct top_look *l);   /* after fn has run; NULL is fine */

/* ---- lines ---- */
enum top_column {
    TOP_NAME,
    TOP_STATE,
    TOP_HEALTH,
    TOP_CPU,
    TOP_MEMORY,
    TOP_REQUESTS,
    TOP_P50,
    TOP_P95,
    TOP_ERRORS,
    TOP_FLIGHT,
    TOP_QUEUE,
    TOP_TOKENS,
    TOP_COLUMNS,
};
enum top_history { TOP_OF_CPU, TOP_OF_REQUESTS, TOP_OF_LATENCY, TOP_OF_TOKENS, TOP_HISTORIES };

struct top_view {
    int width;             /* columns of the terminal; 0: as many as it takes */
    enum top_column sort;  /* TOP_COLUMNS: as they come */
    bool reverse;          /* the other way round */
    enum top_history line; /* what the small lines show */
    bool utf8, paused;
    char filter[64];  /* part of a name, "" for all */
    int64_t every_ms; /* 0: once */
};

enum top_tone { TOP_PLAIN, TOP_OK, TOP_MIDDLE, TOP_BAD, TOP_DIM, TOP_BOLD, TOP_REVERSE };
struct top_line {
    const char *text;
    enum top_tone tone;  /* of the line */
    size_t mark, marked; /* bytes with a tone of their own */
    enum top_tone mark_tone;
};
struct top_lines {
    struct top_line *list; /* in the arena */
    size_t count, cap;
    size_t head; /* the first lines, which stay when the rest is scrolled */
};
/* 0 or VX11_ENOMEM. */
int top_draw(struct arena *a, const struct cli_top *t, const struct top_view *v, struct top_lines *out);
/* By name or letter of a key; TOP_COLUMNS + 1: there is none. */
enum top_column top_column_named(const char *word);
enum top_column top_column_of_key(int key);
const char *top_column_name(enum top_column c); /* TOP_COLUMNS: "order" */

/* ---- the screen ---- */
/* An exit code; -1: there is no terminal to draw on. */
int top_screen(struct cli *c, const struct top_view *view);

#endif
