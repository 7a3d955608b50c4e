/* Sidecar: one Playwright MCP server with its Chromium, started when it is needed.
 *
 *   off ── sidecar_need ──> starting ──(it listens)──> ready ──(idle)──> ending ──> off
 *    └──────── waits after failures: 0.5 s, doubling to 30 s ─── ended by itself ────┘
 *
 * It has a work folder of its own (configuration with the proxy's password, HOME, profile), emptied before
 * each start and after each end. All of its processes go with it: inside bubblewrap the kernel ends them with
 * the first one; without it they are found by a mark in their environment. */
#ifndef VX11_OPERATOR_BROWSER_SIDECAR_H
#define VX11_OPERATOR_BROWSER_SIDECAR_H

#include <stdbool.h>
#include <uv.h>

#include "base/error.h"
#include "module/child.h"
#include "operator/browser/programs.h"

struct sidecar;

struct sidecar_settings { /* what it is started with, read at each start */
    struct programs programs;
    const char *proxy, *proxy_user, *proxy_password; /* proxy NULL: the browser runs elsewhere */
    const char *endpoint;                            /* of a Playwright server, or NULL */
    const char *devtools;                            /* or of a browser's DevTools, or NULL */
    enum child_sandbox sandbox;
    int64_t navigation_ms, action_ms, start_ms;
};

struct sidecar_options {
    uv_loop_t *loop;
    const char *folder; /* absolute; it makes and empties "sidecar-NUMBER" there */
    unsigned number;
    /* Fills the settings; a failure is that of the start. The strings live as long as the sidecar. */
    int (*settings)(void *ctx, struct sidecar_settings *out, struct error *err);
    /* It has a port now: 127.0.0.1:port. */
    void (*started)(void *ctx, int port);
    /* It ended by itself while ready; the reason is a sentence. */
    void (*crashed)(void *ctx, const char *reason);
    /* It is gone; reason NULL: it was ended. Before crashed, and not while it is being closed. */
    void (*ended)(void *ctx, const char *reason);
    void *ctx;
};

int sidecar_create(const struct sidecar_options *options, struct sidecar **out, struct error *err);
/* fn runs once, later: err NULL when it is ready. One at a time. */
void sidecar_need(struct sidecar *s, void (*fn)(void *ctx, const struct error *err), void *ctx);
void sidecar_forget(struct sidecar *s);           /* the fn of sidecar_need will not run */
const char *sidecar_url(const struct sidecar *s); /* of its MCP endpoint, while ready */
pid_t sidecar_pid(const struct sidecar *s);       /* 0: none */
bool sidecar_sandboxed(const struct sidecar *s);
/* Nothing needs it: it ends after ms. sidecar_need takes that back. */
void sidecar_idle(struct sidecar *s, int64_t ms);
/* A task of it ended well: failures are forgotten. */
void sidecar_good(struct sidecar *s);
/* Ends it now, by force, with everything that it runs; crashed does not run. */
void sidecar_kill(struct sidecar *s);
/* The same, and frees; done runs when it is gone. */
void sidecar_close(struct sidecar *s, void (*done)(void *ctx), void *ctx);

#endif
