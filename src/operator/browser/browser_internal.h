/* Browser, inside.
 *
 *   browser.c  the set: asked for, waiting, started in turn, ended
 *   task.c     one that runs: sidecar, session, steps, what was found
 *   tool.c     one call of a tool, dialogs that stand in its way
 *   rows.c     the table      shots.c  screenshots and what is kept
 *   routes.c   HTTP           settings.c  configuration, modes, programs */
#ifndef VX11_OPERATOR_BROWSER_INTERNAL_H
#define VX11_OPERATOR_BROWSER_INTERNAL_H

#include <limits.h>

#include "operator/browser/browser.h"
#include "operator/browser/mcp.h"
#include "operator/browser/page.h"
#include "operator/browser/sidecar.h"
#include "operator/egress/egress.h"

#define SLOTS_MOST     16
#define STEP_BYTES     32768  /* of one step's result */
#define STEPS_BYTES    196608 /* of all of them */
#define SNAPSHOT_BYTES 65536
#define REQUESTS_MOST  200
#define ERRORS_MOST    50
#define SHOTS_MOST     60
#define REFUSALS_MOST  32

enum browser_kind {
    BROWSER_OFF,
    BROWSER_LOCAL,
    BROWSER_SERVER /* an MCP server's URL */,
    BROWSER_ENDPOINT,
    BROWSER_DEVTOOLS
};

struct task;

struct slot { /* what one task at a time runs in */
    struct browser *all;
    char name[24];           /* the user name for the proxy */
    struct sidecar *sidecar; /* NULL: BROWSER_SERVER */
    struct task *task;
    bool ending; /* its last session is being closed */
};

struct watcher {
    struct watcher *next;
    struct task *task;
    struct request *request;
};

struct task {
    struct task *next;
    struct browser *all;
    struct arena *arena;
    struct operator_browser_task api; /* strings in the arena; steps and result as they are so far */
    struct operator_browser_result found;
    struct operator_browser_request request;
    char principal_id[ULID_LEN + 1];
    struct slot *slot; /* NULL: it waits */
    struct mcp *mcp;
    struct mcp_call *call;
    struct egress_check *check;
    uv_timer_t *deadline, *pause; /* NULL: not running */
    size_t at;                    /* step that runs */
    size_t result_bytes;
    int64_t step_from, wait_until; /* monotonic ms */
    uint64_t refusals_before;
    struct egress_refusal *refusals; /* of this task, REFUSALS_MOST at most */
    size_t refusal_count;
    const char *failure, *failure_code; /* of the step; the result is still collected */
    /* the call under way */
    struct page_call tool;
    int64_t tool_ms;
    void (*then)(struct task *t, const struct mcp_result *r, const struct error *err);
    enum page_modal modal; /* a dialog that stands open */
    bool retried, hung;    /* hung: a call was not answered in time */
    bool ended;
    struct watcher *watchers;
    void (*done)(void *ctx, const struct operator_browser_task *task);
    void *done_ctx;
};

struct browser {
    struct module *module;
    uv_loop_t *loop;
    struct store *store;
    enum browser_kind kind;
    char url[2048]; /* of remote */
    char folder[PATH_MAX];
    struct egress_policy *policy;
    struct egress *egress; /* NULL: not local */
    struct versions *versions;
    struct slot slots[SLOTS_MOST];
    size_t slot_count;
    struct task *tasks; /* those that wait or run, the oldest first */
    bool scheduling, closing;
    int parts; /* that are still closing */
    void (*closed)(void *ctx);
    void *closed_ctx;
    uv_timer_t *tidy;
};

static inline const struct config_operator_browser *browser_config(const struct browser *b)
{
    return module_config(b->module)->values->operator_->browser;
}
static inline bool browser_has_sidecars(const struct browser *b)
{
    return b->kind == BROWSER_LOCAL || b->kind == BROWSER_ENDPOINT || b->kind == BROWSER_DEVTOOLS;
}

/* settings.c */
int browser_configure(struct browser *b, struct error *err);
int browser_sidecar_settings(void *ctx, struct sidecar_settings *out, struct error *err); /* ctx: the slot */
int browser_mode(const struct browser *b); /* enum operator_browser_mode */
/* NULL-text: a task would run. VX11_EUNAVAILABLE: why not. */
int browser_available(const struct browser *b, struct programs *programs, struct error *err);

/* browser.c */
struct task *browser_find(struct browser *b, const char *id);
void browser_schedule(struct browser *b);
void task_tell(struct task *t); /* its watchers: how it is now */
void task_show(struct task *t, struct operator_browser_task *out);
void task_free(struct task *t);
void slot_free(struct slot *s); /* its task is over */
void task_unlink(struct task *t);

/* task.c */
void task_run(struct task *t, struct slot *slot);
void task_end(struct task *t, int status, const char *code, const char *reason);
void task_step_done(struct task *t, const char *error); /* tool.c: of a wait */

/* tool.c */
void task_tool(struct task *t, const char *tool, const char *args, int64_t ms,
               void (*then)(struct task *t, const struct mcp_result *r, const struct error *err));
void task_wait(struct task *t, int64_t ms, uv_timer_cb fn);

/* rows.c */
int task_row_add(struct task *t, const char *key, struct error *err);
void task_row_update(struct task *t);
int task_row_by_key(struct browser *b, const char *principal, const char *key, char id[ULID_LEN + 1],
                    struct buf *request, struct error *err);
int task_rows_recover(struct browser *b, const char *reason, struct error *err);
int task_row_get(struct browser *b, const char *id, struct arena *a, struct operator_browser_task *out,
                 struct error *err);
int task_rows_list(struct browser *b, const struct operator_browser_list_params *p, struct arena *a,
                   struct operator_browser_task_list *out, struct error *err);

/* shots.c */
int shot_add(struct task *t, const struct mcp_result *r, const char **id, struct error *err);
/* Format and file of a screenshot. VX11_ENOT_FOUND. */
int shot_find(struct browser *b, const char *id, char *path, size_t size, const char **type,
              struct error *err);
/* What is past its bounds goes; files: those without a row too. */
void shots_tidy(struct browser *b, bool files);

#endif
