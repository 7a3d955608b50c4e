/* Tools: what the model may call in a chat, how a call is checked and carried out, and its row.
 *
 *   arguments ──tool_check──> tool_start ──> HTTP to a module, or a browser task ──> result, bounded JSON
 *
 * A tool that changes something, or reaches out of this machine, is `mutating`: a person confirms each call.
 * What a tool gives back is text of others: it goes to the model as a tool's message and nowhere else. */
#ifndef VX11_OPERATOR_TOOLS_TOOLS_H
#define VX11_OPERATOR_TOOLS_TOOLS_H

#include "operator/operator_internal.h"

struct tool {
    const char *name, *title, *description;
    const char *parameters; /* JSON Schema of the arguments */
    bool mutating;
};

const struct tool *tool_find(const char *name); /* NULL: there is none */
/* Whether it can be called now; else reason says why not. */
bool tool_available(const struct operator_ *o, const struct tool *t, char reason[400]);
/* OpenAI's `tools` of those that can be called now; NULL: out of memory. */
yyjson_mut_val *tools_offered(const struct operator_ *o, yyjson_mut_doc *doc);
/* Arguments against the schema: type, required, unknown names, bounds, enum. VX11_EINVALID with a sentence
 * that the model can mend its call by. */
int tool_check(const struct tool *t, yyjson_val *args, struct error *err);

/* ---- carrying it out ---- */
struct tool_run;
/* result: JSON text, NULL when it failed (err says why). Runs once, later. */
typedef void (*tool_done_fn)(void *ctx, const char *result, size_t len, const struct error *err);
struct tool_wish {
    struct operator_ *o;
    const struct tool *tool;
    yyjson_val *args;       /* checked */
    struct request *r;      /* on whose behalf; alive during the call of tool_start */
    const char *session_id; /* of the chat */
    int64_t timeout_ms;
    size_t most; /* bytes of the result */
    tool_done_fn fn;
    void *ctx;
};
int tool_start(const struct tool_wish *wish, struct tool_run **out, struct error *err);
void tool_cancel(struct tool_run *run); /* fn does not run any more */

/* ---- rows of operator_tool_call ---- */
struct tool_row {
    const char *id, *message_id, *call_id, *name;
    int64_t round;
    const char *arguments; /* JSON; NULL: none */
    bool mutating;
    int status; /* enum operator_tool_call_status */
    const char *result;
    const char *error, *confirmed_by;
    int64_t created_at, started_at, ended_at; /* 0: not yet */
    double duration_ms;                       /* negative: not known */
};
int tool_row_add(struct operator_ *o, const struct tool_row *row, struct error *err);
int tool_row_change(struct operator_ *o, const struct tool_row *row, struct error *err);
/* VX11_ENOT_FOUND. */
int tool_row_get(struct operator_ *o, struct arena *a, const char *id, struct operator_tool_call *out,
                 struct error *err);
/* Calls that a crash left open are cancelled. */
int tool_rows_recover(struct operator_ *o, struct error *err);

/* ---- routes ---- */
void tools_on_list(struct request *r, void *module);
void tools_on_get(struct request *r, void *module);
void tools_on_record(struct request *r, void *module);

#endif
