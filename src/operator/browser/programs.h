/* Programs: what the local browser is made of (Node, the Playwright MCP server, Chromium), where each is, and
 * which version. Looking is cheap and done anew when asked; versions are asked of the programs once. */
#ifndef VX11_OPERATOR_BROWSER_PROGRAMS_H
#define VX11_OPERATOR_BROWSER_PROGRAMS_H

#include <limits.h>
#include <stdbool.h>
#include <uv.h>

#include "base/arena.h"
#include "base/error.h"
#include "contract/config.h"

struct programs {
    bool with_chromium; /* it is started here: not for a browser that runs elsewhere */
    char node[PATH_MAX], package[PATH_MAX] /* its folder @playwright/mcp */, chromium[PATH_MAX];
    const char *const *command; /* configured: in place of node and package; NULL: none */
    size_t command_count;
    char node_version[64], package_version[64], chromium_version[128]; /* "" unknown */
};

/* Fills the paths. VX11_EUNAVAILABLE: something is missing; the sentence says what, and what installs it. */
int programs_find(const struct config_operator_browser *config, bool with_chromium, struct programs *out,
                  struct error *err);
/* The MCP server's argv with --config FILE, in the arena, ended by NULL. */
const char **programs_argv(const struct programs *p, const char *config_file, struct arena *a);
/* Folders outside of the system's that it must be able to read, ended by NULL. */
const char **programs_readable(const struct programs *p, struct arena *a);

/* Asks Node and Chromium for their versions; fn runs once, later. Those of an earlier time are kept for the
 * same paths. */
struct versions;
int versions_create(uv_loop_t *loop, struct versions **out, struct error *err);
void versions_ask(struct versions *v, const struct programs *p, void (*fn)(void *ctx), void *ctx);
const char *versions_of(const struct versions *v, const char *path); /* NULL: not known */
void versions_close(struct versions *v);                             /* whoever waits is told now */

#endif
