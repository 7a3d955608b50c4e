/* What POST /hermes/exec may run: entries of the configuration, nothing else. The caller names one, and may
 * add as many arguments as it allows; each stays one argument. */
#include <stdio.h>
#include <string.h>

#include "hermes/exec/jobs.h"

static void __attribute__((format(printf, 5, 6)))
refuse(struct job_refusal *why, int status, const char *code, const char *param, const char *fmt, ...)
{
    va_list args;
    *why = (struct job_refusal){.status = status, .code = code, .param = param};
    va_start(args, fmt);
    (void)vsnprintf(why->text, sizeof why->text, fmt, args);
    va_end(args);
}

/* The fixed arguments and the added ones make the command line together. */
static bool is_inline(const struct config_exec_allow *e, const struct hermes_exec_request *q)
{
    const char *all[160];
    size_t n = 0;
    for (size_t i = 0; i < e->args_count; i++)
        all[n++] = e->args[i];
    for (size_t i = 0; i < q->args_count; i++)
        all[n++] = q->args[i];
    return child_is_inline_program(e->command, all, n);
}

static bool sound(const struct config_exec_allow *e, const struct hermes_exec_request *q,
                  struct job_refusal *why)
{
    if ((e->tool[0] != '\0') == (e->command[0] != '\0'))
        refuse(why, 403, "exec_not_allowed", "/command",
               "the entry \"%s\" of hermes.exec_allow names a tool or a command, one of them", e->name);
    else if (e->command[0] && (child_is_shell(e->command) || is_inline(e, q)))
        refuse(why, 403, "exec_not_allowed", "/command",
               "%.200s is a shell, or takes its program as an argument: that is never run", e->command);
    else if (e->tool[0] && (!q->prompt || !q->prompt[0]))
        refuse(why, 422, "prompt_missing", "/prompt", "%s is a tool and wants a prompt", e->name);
    else if (e->tool[0] && q->args_count > 0)
        refuse(why, 422, "arguments_not_allowed", "/args", "%s is a tool: it takes a prompt, no arguments",
               e->name);
    else if ((int64_t)q->args_count > e->more_args)
        refuse(why, 422, "arguments_not_allowed", "/args", "%s takes at most %lld more arguments", e->name,
               (long long)e->more_args);
    else
        return true;
    return false;
}

const struct config_exec_allow *exec_allowed(const struct config *config, const struct hermes_exec_request *q,
                                             struct job_refusal *why)
{
    const struct config_hermes *c = config->values->hermes;
    for (size_t i = 0; i < c->exec_allow_count; i++)
        if (strcmp(c->exec_allow[i].name, q->command) == 0)
            return sound(&c->exec_allow[i], q, why) ? &c->exec_allow[i] : NULL;
    refuse(why, 403, "exec_not_allowed", "/command", "\"%.64s\" is not in hermes.exec_allow", q->command);
    return NULL;
}
