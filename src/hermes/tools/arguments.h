/* Arguments: a tool's arguments with the prompt and the model in their places. */
#ifndef VX11_HERMES_TOOLS_ARGUMENTS_H
#define VX11_HERMES_TOOLS_ARGUMENTS_H

#include "base/arena.h"
#include "base/error.h"
#include "hermes/tools/known.h"

#define TOOL_ARGS_MAX 128
/* The kernel takes 128 KiB in one argument, its ending NUL included. */
#define TOOL_ARGUMENT_MAX ((size_t)131071)

/* Whether the arguments make sense: with the prompt as an argument exactly one {prompt} in exactly one of
 * them; by stdin none. VX11_EINVALID with a sentence. */
int tool_args_check(const struct tool_def *def, struct error *err);

/* The command line: program, prefix, arguments; ended by NULL, in the arena. The prompt's text is put into
 * its one argument as it is: no character of it means anything. model NULL or "": "{model_args}" vanishes.
 * VX11_ETOO_LARGE: the prompt does not fit into an argument. VX11_EINVALID: a NUL in the prompt, an unsafe
 * model. */
int tool_args_fill(const struct tool_def *def, const char *program, const char *const *prefix,
                   const char *prompt, size_t prompt_len, const char *model, struct arena *a,
                   const char ***out, struct error *err);

/* A model's name as an argument: it may not begin with a dash, nor hold anything but [A-Za-z0-9._:@/+-]. */
bool tool_model_safe(const char *model);

#endif
