/* Page: what the Playwright MCP server says, read. Its answers are text with headings ("### Result"); what
 * lies below them comes from web pages and is not to be trusted. */
#ifndef VX11_OPERATOR_BROWSER_PAGE_H
#define VX11_OPERATOR_BROWSER_PAGE_H

#include "api/operator.h"
#include "base/arena.h"

/* What stands below a heading, up to the next one; NULL: no such heading. Not ended by NUL. */
const char *page_section(const char *text, const char *heading, size_t *len);
/* The value that a script gave, as JSON text in the arena; "null" for undefined. VX11_ECORRUPT: there is
 * none, VX11_ETOO_LARGE: more than max bytes. */
int page_value(const char *text, size_t max, struct arena *a, const char **out, struct error *err);
/* The snapshot's YAML, cut at max bytes on a line's boundary; NULL: none. */
const char *page_snapshot(const char *text, size_t max, struct arena *a);
/* A failure's sentence without colours, call log and inner names. */
const char *page_error(const char *text, struct arena *a);

enum page_modal {
    PAGE_MODAL_NONE,
    PAGE_MODAL_ALERT /* nothing to decide */,
    PAGE_MODAL_ASK,
    PAGE_MODAL_FILES
};
enum page_modal page_modal(const char *text);
/* Whether a call failed for no other reason than a dialog that stands open. */
bool page_blocked(const char *text);

/* Lines of the network log and of the console's errors, at most max of each; URLs and lines are cut. */
int page_requests(const char *text, size_t max, struct arena *a, struct operator_browser_request_log **out,
                  size_t *n);
int page_errors(const char *text, size_t max, struct arena *a, const char ***out, size_t *n);

/* Where the page is. */
struct page_facts {
    const char *url, *title, *text; /* NULL: not said */
    int64_t status;                 /* 0: not known */
};
int page_facts(const char *json, struct arena *a, struct page_facts *out, struct error *err);

/* "png", "jpeg" by the first bytes, NULL: neither. */
const char *page_image_format(const unsigned char *data, size_t len);

/* ---- what is asked for ---- */
struct page_call {
    const char *tool; /* a literal; NULL: none is needed */
    const char *args; /* JSON */
};
/* The call that does an action; not for waits. VX11_EINVALID: the action lacks something. */
int page_call(const struct operator_browser_action *action, struct arena *a, struct page_call *out,
              struct error *err);
/* "ref=e5" -> "e5"; all else as it is. */
const char *page_target(const char *target);
/* Tools that are used; ended by NULL. */
extern const char *const page_tools[];
extern const char page_facts_call[];  /* arguments of browser_evaluate */
extern const char page_finish_call[]; /* the same, with the page's text */

#define PAGE_TEXT_MOST 32768

#endif
