/* Routes of tools: what there is, looking for them, a person's word, and a trial. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "hermes/hermes_internal.h"
#include "hermes/tools/api.h"
#include "hermes/tools/tools.h"

#define TEST_PROMPT "Answer with the single word: ready"
#define TEST_TEXT   4096

static void fail_memory(struct request *r)
{
    request_fail(r, 500, "out_of_memory", NULL, "out of memory");
}

static void fail_unknown(struct request *r, const char *name)
{
    request_fail(r, 404, "tool_not_found", "name", "there is no tool \"%.64s\"", name);
}

static void reply_tool(struct request *r, struct tool *tool)
{
    struct hermes_tool reply;
    if (tool_describe(tool, request_arena(r), &reply) != 0)
        fail_memory(r);
    else
        request_reply(r, 200, &hermes_tool_message, &reply);
}

void tools_route_list(struct request *r, void *module)
{
    struct hermes *h = module;
    struct hermes_tool_list reply = {0};
    if (tools_list(h->tools, false, request_arena(r), &reply.tools, &reply.tools_count) != 0)
        fail_memory(r);
    else
        request_reply(r, 200, &hermes_tool_list_message, &reply);
}

void tools_route_get(struct request *r, void *module)
{
    struct hermes *h = module;
    const struct hermes_tool_name *p = request_params(r);
    struct tool *tool = tools_find(h->tools, p->name);
    if (tool)
        reply_tool(r, tool);
    else
        fail_unknown(r, p->name);
}

/* ---- looking ---- */

struct looking {
    struct hermes *hermes;
    struct request *request;
    struct tool *enable; /* NULL: nothing is enabled afterwards */
    bool apply;
};

static void looking_cancelled(struct request *r, void *ctx, int reason)
{
    struct looking *l = ctx;
    tools_detect_forget(l->hermes->tools, l);
    request_fail(r, reason == VX11_ETIMEOUT ? 504 : 503, "cancelled", NULL, "the look at the tools goes on");
    free(l);
}

static void enable_now(struct hermes *h, struct request *r, struct tool *tool, bool enabled)
{
    struct error err = {0};
    int rc = tools_enable(h->tools, tool, enabled, &err);
    if (rc == VX11_ENOT_FOUND)
        request_fail(r, 409, "tool_not_found_here", "name", "%s", err.text);
    else if (rc == VX11_EPERMISSION)
        request_fail(r, 409, "configured_otherwise", "name", "%s", err.text);
    else if (rc == VX11_EINVALID)
        request_fail(r, 409, "tool_misconfigured", "name", "%s", err.text);
    else if (rc != 0)
        request_fail_error(r, &err);
    else {
        log_info("tools", enabled ? "a tool is enabled" : "a tool is disabled",
                 LOG_S("tool", tool_name(tool)), LOG_S("by", request_principal(r)->name));
        reply_tool(r, tool);
    }
}

static void looked(void *ctx, const struct detected *found, const struct error *err)
{
    struct looking *l = ctx;
    struct request *r = l->request;
    struct hermes *h = l->hermes;
    struct tool *enable = l->enable;
    const bool apply = l->apply;
    free(l);
    if (!found) {
        request_fail_error(r, err);
    } else if (enable) {
        enable_now(h, r, enable, true);
    } else {
        const struct hermes_detect_reply reply = {.applied = apply,
                                                  .tools = (struct hermes_tool *)(uintptr_t)found->tools,
                                                  .tools_count = found->count,
                                                  .changed = found->changed,
                                                  .changed_count = found->changed_count,
                                                  .duration_ms = found->duration_ms};
        request_reply(r, 200, &hermes_detect_reply_message, &reply);
    }
}

static void look(struct hermes *h, struct request *r, const char *name, bool apply, struct tool *enable)
{
    struct error err = {0};
    struct looking *l = calloc(1, sizeof *l);
    if (!l) {
        fail_memory(r);
        return;
    }
    *l = (struct looking){.hermes = h, .request = r, .enable = enable, .apply = apply};
    int rc = tools_detect(h->tools, name, apply, looked, l, &err);
    if (rc == 0) {
        request_on_cancel(r, looking_cancelled, l);
        return;
    }
    free(l);
    if (rc == VX11_ENOT_FOUND)
        fail_unknown(r, name);
    else
        request_fail_error(r, &err);
}

void tools_route_detect(struct request *r, void *module)
{
    const struct hermes_detect_request *body = request_body(r);
    look(module, r, body->name, body->apply, NULL);
}

/* ---- a person's word ---- */

void tools_route_enable(struct request *r, void *module)
{
    struct hermes *h = module;
    const struct hermes_tool_name *p = request_params(r);
    struct tool *tool = tools_find(h->tools, p->name);
    if (tool)
        look(h, r, p->name, true, tool); /* the word is given for the program that is there now */
    else
        fail_unknown(r, p->name);
}

void tools_route_disable(struct request *r, void *module)
{
    struct hermes *h = module;
    const struct hermes_tool_name *p = request_params(r);
    struct tool *tool = tools_find(h->tools, p->name);
    if (tool)
        enable_now(h, r, tool, false);
    else
        fail_unknown(r, p->name);
}

/* ---- a trial ---- */

struct trial {
    struct request *request;
    struct tool_run *run;
    char name[65], text[TEST_TEXT];
    size_t len;
};

static void trial_text(void *ctx, const char *text, size_t len)
{
    struct trial *t = ctx;
    size_t room = sizeof t->text - 1 - t->len;
    size_t n = len < room ? len : room;
    memcpy(t->text + t->len, text, n);
    t->len += n;
    t->text[t->len] = '\0';
}

static void trial_reply(struct request *r, const char *name, const char *text, const struct tool_outcome *o,
                        bool ran)
{
    const bool ok = o->status == 200;
    const struct hermes_tool_test reply = {.name = name,
                                           .ok = ok,
                                           .content = ok ? text : NULL,
                                           .error = ok ? NULL : o->text,
                                           .has_sandbox = ran,
                                           .sandbox = o->child.sandboxed ? HERMES_SANDBOX_BUBBLEWRAP
                                                                         : HERMES_SANDBOX_LIMITS,
                                           .duration_ms = o->child.duration_ms};
    request_reply(r, 200, &hermes_tool_test_message, &reply);
}

static void trial_done(void *ctx, const struct tool_outcome *o)
{
    struct trial *t = ctx;
    t->text[utf8_valid_prefix(t->text, t->len)] = '\0';
    trial_reply(t->request, t->name, t->text, o, true);
    free(t);
}

static void trial_cancelled(struct request *r, void *ctx, int reason)
{
    struct trial *t = ctx;
    tool_run_cancel(t->run);
    free(t);
    request_fail(r, reason == VX11_ETIMEOUT ? 504 : 503, "cancelled", NULL, "the trial was broken off");
}

void tools_route_test(struct request *r, void *module)
{
    struct hermes *h = module;
    const struct hermes_tool_name *p = request_params(r);
    struct tool *tool = tools_find(h->tools, p->name);
    struct tool_outcome refusal;
    if (!tool) {
        fail_unknown(r, p->name);
        return;
    }
    struct trial *t = calloc(1, sizeof *t);
    if (!t) {
        fail_memory(r);
        return;
    }
    t->request = r;
    (void)snprintf(t->name, sizeof t->name, "%s", tool_name(tool));
    const struct tool_run_request run = {.kind = TOOL_RUN_TEST,
                                         .prompt = TEST_PROMPT,
                                         .prompt_len = strlen(TEST_PROMPT),
                                         .principal = request_principal(r),
                                         .request_id = request_id(r),
                                         .on_text = trial_text,
                                         .on_done = trial_done,
                                         .ctx = t};
    if (tool_run_start(h->tools, tool, &run, &t->run, &refusal) == 0) {
        request_on_cancel(r, trial_cancelled, t);
        return;
    }
    trial_reply(r, t->name, NULL, &refusal, false);
    free(t);
}
