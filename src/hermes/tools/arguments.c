/* One placeholder, one argument. Text is put in by copying, after the arguments have been told apart, so no
 * prompt can become two arguments, and none passes through a shell: there is none. */
#include "hermes/tools/arguments.h"

#include <stdio.h>
#include <string.h>

#define PROMPT "{prompt}"
#define MODEL  "{model}"
#define MODELS "{model_args}"

static size_t count_in(const char *text, const char *what)
{
    size_t n = 0;
    for (const char *p = strstr(text, what); p; p = strstr(p + strlen(what), what))
        n++;
    return n;
}

int tool_args_check(const struct tool_def *def, struct error *err)
{
    size_t prompts = 0, args = 0;
    for (; def->args && def->args[args]; args++)
        prompts += count_in(def->args[args], PROMPT);
    if (args > TOOL_ARGS_MAX / 2)
        return error_set(err, VX11_EINVALID, "too many arguments");
    for (size_t i = 0; def->model_args && def->model_args[i]; i++)
        if (count_in(def->model_args[i], PROMPT) > 0)
            return error_set(err, VX11_EINVALID, "model_args holds no {prompt}");
    if (def->prompt_by_stdin && prompts > 0)
        return error_set(err, VX11_EINVALID, "the prompt goes by stdin: no argument holds {prompt}");
    if (!def->prompt_by_stdin && prompts != 1)
        return error_set(err, VX11_EINVALID, "exactly one argument holds {prompt}, once; here there are %zu",
                         prompts);
    return 0;
}

bool tool_model_safe(const char *model)
{
    static const char fine[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:@/+-";
    return model[0] != '\0' && model[0] != '-' && strlen(model) <= 256 &&
           strspn(model, fine) == strlen(model);
}

/* arg with `what` replaced by the text, where it is first found; arg itself when it is not there. */
static const char *replaced(struct arena *a, const char *arg, const char *what, const char *text, size_t len)
{
    const char *at = strstr(arg, what);
    if (!at)
        return arg;
    size_t before = (size_t)(at - arg), after = strlen(at + strlen(what));
    char *out = arena_alloc(a, before + len + after + 1);
    if (!out)
        return NULL;
    memcpy(out, arg, before);
    memcpy(out + before, text, len);
    memcpy(out + before + len, at + strlen(what), after + 1);
    return out;
}

struct filling {
    const char **list;
    size_t count;
    bool failed;
};

static void add(struct filling *f, const char *arg)
{
    if (!arg || f->count + 1 >= TOOL_ARGS_MAX)
        f->failed = true;
    else
        f->list[f->count++] = arg;
}

int tool_args_fill(const struct tool_def *def, const char *program, const char *const *prefix,
                   const char *prompt, size_t prompt_len, const char *model, struct arena *a,
                   const char ***out, struct error *err)
{
    struct filling f = {.list = arena_array(a, TOOL_ARGS_MAX, sizeof *f.list)};
    bool with_model = model && model[0];
    if (!f.list)
        return error_set(err, VX11_ENOMEM, "out of memory");
    if (with_model && !tool_model_safe(model))
        return error_set(err, VX11_EINVALID, "\"%.100s\" is no name of a model that a tool could be given",
                         model);
    if (!with_model && def->model_required)
        return error_set(err, VX11_EINVALID, "%s wants to be told a model", def->name);
    if (memchr(prompt, '\0', prompt_len))
        return error_set(err, VX11_EINVALID, "the prompt holds a NUL character");
    if (!def->prompt_by_stdin && prompt_len >= TOOL_ARGUMENT_MAX)
        return error_set(err, VX11_ETOO_LARGE,
                         "the prompt is %zu bytes, and %s takes it as an argument of at most %zu", prompt_len,
                         def->name, TOOL_ARGUMENT_MAX - 1);
    add(&f, program);
    for (size_t i = 0; prefix && prefix[i]; i++)
        add(&f, prefix[i]);
    for (size_t i = 0; def->args[i]; i++) {
        const char *arg = def->args[i];
        if (strcmp(arg, MODELS) == 0) {
            for (size_t k = 0; with_model && def->model_args && def->model_args[k]; k++)
                add(&f, replaced(a, def->model_args[k], MODEL, model, strlen(model)));
            continue;
        }
        /* The prompt last: what it holds is not looked at again. */
        const char *filled = strstr(arg, PROMPT) ? arg
                                                 : replaced(a, arg, MODEL, with_model ? model : "",
                                                            with_model ? strlen(model) : 0);
        add(&f, filled && !def->prompt_by_stdin ? replaced(a, filled, PROMPT, prompt, prompt_len) : filled);
    }
    if (f.failed)
        return error_set(err, VX11_ENOMEM, "the command line cannot be made");
    f.list[f.count] = NULL;
    *out = f.list;
    return 0;
}
