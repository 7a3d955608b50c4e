/* Known: the command-line tools that VX11 knows, as data. A tool of the configuration becomes the same
 * struct. */
#ifndef VX11_HERMES_TOOLS_KNOWN_H
#define VX11_HERMES_TOOLS_KNOWN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a field in a tool's JSON means. */
enum tool_field {
    TOOL_FIELD_END,
    TOOL_FIELD_DELTA,         /* a piece of the answer */
    TOOL_FIELD_MESSAGE,       /* a whole message; several make the answer, with an empty line between them */
    TOOL_FIELD_TEXT,          /* the whole answer, again, at the end */
    TOOL_FIELD_ERROR,         /* why there is none */
    TOOL_FIELD_PROMPT_TOKENS, /* several in one object are added up */
    TOOL_FIELD_COMPLETION_TOKENS, /* the same */
    TOOL_FIELD_CACHED_TOKENS,     /* of the prompt */
};

struct tool_rule { /* where both conditions hold, `path` is such a field. Paths are JSON pointers. */
    enum tool_field field;
    const char *path;
    struct {
        const char *path, *value; /* a string's text, or "true"; NULL: no condition */
    } when[2];
};

enum tool_output { TOOL_OUTPUT_TEXT, TOOL_OUTPUT_JSON, TOOL_OUTPUT_JSONL };

struct tool_binary { /* a program that the tool may be */
    const char *name;
    const char *const *prefix; /* arguments that come first when it is this one; NULL: none */
    const char *wants;         /* below HOME: only where this is there; NULL: nothing */
};

struct tool_def {
    const char *name, *title;
    const struct tool_binary *binaries; /* ended by a NULL name; the first that is there */
    const char *const *args;            /* ended by NULL */
    const char *const *model_args;      /* in place of "{model_args}"; ended by NULL */
    bool prompt_by_stdin;
    bool model_required; /* it does not choose by itself */
    enum tool_output output;
    bool streams;
    const struct tool_rule *rules; /* ended by TOOL_FIELD_END */
    const char *const *version_args;
    const char *const *auth_args;  /* exit status 0: logged in; NULL: there is no such command */
    const char *const *auth_env;   /* one of these is enough */
    const char *const *auth_files; /* or one of these files, below HOME */
    bool auth_none;                /* needs no login */
    bool auth_certain;             /* none of the above: it surely needs a login */
    const char *login_hint;
    const char *const *login_words; /* in what it says when it wants a login; NULL: not known */
    const char *const *env;         /* variables that it gets besides those that every tool gets */
    const char *const *writable;    /* below HOME, when they begin with "~/" */
    const char *const *readable;
    int64_t timeout_ms, memory_bytes, max_concurrency;
};

extern const struct tool_def tools_known[];
extern const size_t tools_known_count;
const struct tool_def *tool_known(const char *name); /* NULL: none */

#endif
