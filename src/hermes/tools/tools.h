/* Tools: command-line tools as providers. A definition (known.h, or the configuration's), bound to a program
 * on this machine by detection, allowed by a person, and run as a child with limits. All on the loop thread.
 *
 *   definition ─ tools_configure     binding ─ tools_detect ─> row ─ tools_enable ─> usable ─> tool_run_start
 *
 * A binding holds as long as the program's file is the one that was looked at. When it has changed (an
 * update), the tool is looked at again before it is run. */
#ifndef VX11_HERMES_TOOLS_TOOLS_H
#define VX11_HERMES_TOOLS_TOOLS_H

#include <uv.h>

#include "api/hermes.h"
#include "base/arena.h"
#include "contract/config.h"
#include "module/child.h"
#include "net/auth.h"
#include "net/metrics.h"
#include "store/store.h"

struct tools;
struct tool;
struct tool_run;
struct tool_outcome;

struct tools_options {
    uv_loop_t *loop;
    struct store *store;
    struct writer *writer;
    const char *home; /* VX11's */
    const struct config *config;
};

int tools_create(const struct tools_options *options, struct tools **out, struct error *err);
void tools_configure(struct tools *t, const struct config *config);
/* Looks at tools that are allowed and not bound, or whose program has changed, and binds them. */
void tools_refresh(struct tools *t);
/* Ends all children, frees, then calls done. */
void tools_close(struct tools *t, void (*done)(void *ctx), void *ctx);

struct tool *tools_find(struct tools *t, const char *name); /* NULL: none */
const char *tool_name(const struct tool *tool);
bool tools_is_bound(struct tools *t, const char *name); /* a row names its program */
/* As the contract shows them, in the arena. 0 or VX11_ENOMEM. */
int tools_list(struct tools *t, bool enabled_only, struct arena *a, struct hermes_tool **out, size_t *n);
int tool_describe(struct tool *tool, struct arena *a, struct hermes_tool *out);
/* NULL: it can be run; else why not, in the arena. */
const char *tool_problem(struct tool *tool, struct arena *a);

/* The person's word. VX11_ENOT_FOUND: no program is bound; VX11_EPERMISSION: the configuration says
 * otherwise. */
int tools_enable(struct tools *t, struct tool *tool, bool enabled, struct error *err);

/* ---- detection ---- */
/* What was found; lives during the callback. NULL: it was broken off. */
struct detected {
    const struct hermes_tool *tools;
    size_t count;
    const char **changed;
    size_t changed_count;
    int64_t duration_ms;
};
typedef void (*tools_detect_fn)(void *ctx, const struct detected *found, const struct error *err);
/* name NULL: all. Programs are asked for their version and whether they are logged in, without network where
 * the sandbox allows that; the database is written with `apply` alone. fn runs once, later. */
int tools_detect(struct tools *t, const char *name, bool apply, tools_detect_fn fn, void *ctx,
                 struct error *err);
/* fn of the detections with this ctx will not run. */
void tools_detect_forget(struct tools *t, void *ctx);

/* ---- runs ---- */
enum tool_run_kind { TOOL_RUN_CHAT, TOOL_RUN_EXEC, TOOL_RUN_TEST };

struct tool_run_request {
    enum tool_run_kind kind;
    const char *prompt;
    size_t prompt_len;
    const char *model;                 /* NULL or "": its default */
    const struct principal *principal; /* NULL: VX11 itself */
    const char *request_id;
    int64_t timeout_ms; /* 0: the tool's; never longer than the tool's */
    /* Pieces of the answer. */
    void (*on_text)(void *ctx, const char *text, size_t len);
    /* Once, later, last. */
    void (*on_done)(void *ctx, const struct tool_outcome *outcome);
    void *ctx;
};

struct tool_outcome {
    int status; /* HTTP: 200, or of the refusal */
    char code[32], text[640];
    int64_t retry_after_ms;                                  /* -1: none */
    int64_t prompt_tokens, completion_tokens, cached_tokens; /* -1: not told */
    const char *model;                                       /* that was asked for; "" when it chose */
    struct child_result child;
    const char *err_text; /* what it wrote to stderr, its last part; "" when nothing */
};

/* 0; or 1 when it is refused: *outcome says why, nothing was started and on_done does not run. */
int tool_run_start(struct tools *t, struct tool *tool, const struct tool_run_request *request,
                   struct tool_run **out, struct tool_outcome *refusal);
/* The caller has gone: it is ended, neither callback runs any more. */
void tool_run_cancel(struct tool_run *run);
void tool_run_pause(struct tool_run *run);
void tool_run_resume(struct tool_run *run);

#endif
