/* Browser: tasks that a real Chromium does for a program, a person or the chat's model.
 *
 *   POST task ──> pending ──> running: sidecar ──> MCP session ──> navigate, steps, result ──> done
 *                    │            │                                                            │
 *                    └─ cancelled └─ error, timeout, cancelled <────── row, events, callback <─┘
 *
 * One task at a time in one sidecar, which serves the next one with a browser context of its own. All on the
 * loop thread. */
#ifndef VX11_OPERATOR_BROWSER_BROWSER_H
#define VX11_OPERATOR_BROWSER_BROWSER_H

#include "api/operator.h"
#include "base/ulid.h"
#include "module/module.h"

struct browser;

/* Reads its configuration; marks tasks that ran when operator ended. VX11_EINVALID: the configuration is
 * wrong, the sentence says where. */
int browser_create(struct module *m, struct browser **out, struct error *err);
void browser_end_streams(struct browser *b); /* before a stop */
/* Ends what runs and every process of it, frees, then calls done, once. */
void browser_close(struct browser *b, void (*done)(void *ctx), void *ctx);
void browser_health(struct browser *b, struct health *h);

/* Why a request is refused: an HTTP answer. */
struct browser_refusal {
    int status;
    const char *code;
    char text[400];
};

struct browser_wish {
    const struct operator_browser_request *request;
    const char *key;            /* Idempotency-Key; NULL: none */
    const struct principal *by; /* NULL: VX11 itself */
    /* Runs once, when the task has ended and its row is written; task is valid during the call. Not for a
     * task that an earlier request with the same key began. May be NULL. */
    void (*done)(void *ctx, const struct operator_browser_task *task);
    void *ctx;
};
/* 0 and the task's id; 1: refused, and done never runs. The wish is copied. */
int browser_ask(struct browser *b, const struct browser_wish *wish, char id[ULID_LEN + 1],
                struct browser_refusal *why);
/* Nobody waits for its end any more: done will not run. */
void browser_forget(struct browser *b, const char *id);
/* VX11_ENOT_FOUND; VX11_EBUSY: it has ended. Its end comes at once, or soon after. */
int browser_cancel(struct browser *b, const char *id, struct error *err);
/* One that runs, as it is now, or the row of one that has ended. VX11_ENOT_FOUND. */
int browser_get(struct browser *b, const char *id, struct arena *a, struct operator_browser_task *out,
                struct error *err);

/* Routes; the module is struct operator_. */
void browser_route_status(struct request *r, void *module);
void browser_route_add(struct request *r, void *module);
void browser_route_list(struct request *r, void *module);
void browser_route_get(struct request *r, void *module);
void browser_route_cancel(struct request *r, void *module);
void browser_route_events(struct request *r, void *module);
void browser_route_screenshot(struct request *r, void *module);

#endif
