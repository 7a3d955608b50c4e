/* One run of a tool for one prompt: may it, with what, and what became of it.
 *
 *   gate (allowed, bound, free, quota) ─> arguments, surroundings ─> child ─> reader ─> on_text … on_done
 *
 * The quota is taken before the start and given back when nothing was started. Every run, and every refusal
 * after the tool's name was known, leaves an audit row. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "hermes/tools/arguments.h"
#include "hermes/tools/tools_internal.h"

#define DAY_MS     INT64_C(86400000)
#define STDOUT_MAX ((size_t)64 << 20)
#define STDERR_MAX ((size_t)256 << 10)
#define ERR_KEPT   8192

struct tool_run {
    struct tool_run *next;
    struct tools *all;
    struct tool *tool;
    struct tool_spec *spec;
    struct arena *arena;
    struct child *child;
    struct surroundings around;
    struct output_reader reader;
    struct tool_run_request request; /* its strings are ours */
    struct principal principal;
    bool has_principal, listed, out_of_memory;
    char err_text[ERR_KEPT];
    size_t err_len;
    int64_t started_at;
};

static const char *const kind_names[] = {"chat", "exec", "test"};

/* ---- refusals ---- */

static int __attribute__((format(printf, 5, 6)))
refuse(struct tool_outcome *out, int status, const char *code, int64_t retry_ms, const char *fmt, ...)
{
    va_list args;
    *out = (struct tool_outcome){.status = status,
                                 .retry_after_ms = retry_ms,
                                 .prompt_tokens = -1,
                                 .completion_tokens = -1,
                                 .cached_tokens = -1,
                                 .model = "",
                                 .err_text = "",
                                 .child = {.exit_code = -1}};
    (void)snprintf(out->code, sizeof out->code, "%s", code);
    va_start(args, fmt);
    (void)vsnprintf(out->text, sizeof out->text, fmt, args);
    va_end(args);
    return 1;
}

static int gate(struct tool *tool, struct arena *a, struct tool_outcome *out)
{
    const struct tool_spec *s = tool->spec;
    const struct binding *b = &tool->binding;
    if (tool->all->closing)
        return refuse(out, 503, "stopping", -1, "Hermes is stopping");
    if (!tool_enabled_as(tool, b))
        return refuse(out, 409, "tool_not_enabled", -1,
                      "%s is not enabled; a person allows its use with: vx11 tools enable %s", tool->name,
                      tool->name);
    if (s->problem[0])
        return refuse(out, 503, "tool_misconfigured", -1, "%s: %s", tool->name, s->problem);
    if (!b->path) {
        tool_look_again(tool);
        return refuse(out, 503, "tool_not_found_here", 2000, "no program was found for %s", tool->name);
    }
    if (!binding_holds(b)) {
        tool_look_again(tool);
        return refuse(out, 503, "tool_changed", 2000,
                      "the program of %s has changed since it was looked at; it is being looked at again",
                      tool->name);
    }
    if (b->auth == HERMES_TOOL_AUTH_NEEDS_LOGIN) {
        tool_look_again(tool); /* the person may have logged in */
        return refuse(out, 503, "needs_login", 2000, "%s needs a login: %s", tool->name,
                      s->def.login_hint ? s->def.login_hint
                      : b->auth_detail  ? b->auth_detail
                                        : "log in with it once");
    }
    const char *problem = tool_problem(tool, a);
    if (problem)
        return refuse(out, 503, child_sandbox_problem() ? "sandbox_missing" : "tool_not_usable", -1, "%s: %s",
                      tool->name, problem);
    if ((int64_t)tool->running >= s->def.max_concurrency)
        return refuse(out, 429, "tool_busy", 1000, "%s runs %u times already, which is the most", tool->name,
                      tool->running);
    return 0;
}

static int take_quota(struct tool *tool, int64_t now, struct tool_outcome *out)
{
    struct error err = {0};
    char until[32];
    int rc = quota_take(tool, now, &err);
    int64_t reset = (day_of(now) + 1) * DAY_MS;
    if (rc == VX11_EFULL)
        return refuse(out, 429, "quota_exceeded", reset - now, "%s; the next ones from %s", err.text,
                      clock_format(reset, until));
    return rc == 0 ? 0 : refuse(out, 500, "store_failed", -1, "%s", err.text);
}

/* ---- the end ---- */

static void run_free(struct tool_run *run)
{
    struct tool_run **at = &run->all->runs;
    while (*at && *at != run)
        at = &(*at)->next;
    if (*at)
        *at = run->next;
    tool_spec_release(run->spec);
    output_free(&run->reader);
    arena_destroy(run->arena);
    free(run);
}

/* The last line of what it wrote to stderr. */
static void last_words(const struct tool_run *run, char *out, size_t size)
{
    size_t end = run->err_len;
    while (end > 0 && isspace((unsigned char)run->err_text[end - 1]))
        end--;
    size_t begin = end;
    while (begin > 0 && run->err_text[begin - 1] != '\n')
        begin--;
    size_t n = end - begin < size - 1 ? end - begin : size - 1;
    for (size_t i = 0; i < n; i++) {
        char c = run->err_text[begin + i];
        out[i] = (unsigned char)c < 0x20 ? ' ' : c;
    }
    out[utf8_valid_prefix(out, n)] = '\0';
}

static bool wants_login(const struct tool_run *run, const char *said)
{
    const char *const *words = run->spec->def.login_words;
    for (size_t i = 0; words && words[i]; i++)
        if (strstr(said, words[i]) || strstr(run->err_text, words[i]))
            return true;
    return false;
}

static void outcome_of(const struct tool_run *run, const struct child_result *r, struct tool_outcome *out)
{
    char words[300];
    const char *name = run->tool->name;
    last_words(run, words, sizeof words);
    const char *colon = words[0] ? ": " : "";
    (void)refuse(out, 200, "ok", -1, "%s", "");
    out->child = *r;
    if (r->timed_out)
        (void)refuse(out, 504, "tool_timeout", -1, "%s did not answer within %lld ms", name,
                     (long long)run->request.timeout_ms);
    else if (run->out_of_memory)
        (void)refuse(out, 500, "out_of_memory", -1, "out of memory");
    else if (r->killed)
        (void)refuse(out, 502, "tool_failed", -1, "%s wrote more than %zu bytes and was ended", name,
                     STDOUT_MAX);
    else if (r->oom)
        (void)refuse(out, 502, "tool_failed", -1, "%s was ended by the kernel, which ran out of memory",
                     name);
    else if (run->reader.error[0] || r->exit_code != 0) {
        const char *said = run->reader.error[0] ? run->reader.error : words;
        bool login = wants_login(run, said);
        if (r->term_signal)
            (void)refuse(out, 502, "tool_failed", -1, "%s was ended by signal %d (%s)%s%s", name,
                         r->term_signal, strsignal(r->term_signal), colon, words);
        else
            (void)refuse(out, login ? 503 : 502, login ? "needs_login" : "tool_failed", -1,
                         "%s exited with status %d%s%s", name, r->exit_code, said[0] ? ": " : "", said);
    } else if (run->reader.told == 0)
        (void)refuse(out, 502, "tool_failed", -1, "%s ended well but wrote no answer%s%s", name, colon,
                     words);
    else if (run->reader.overflow)
        (void)refuse(out, 502, "tool_failed", -1, "the answer of %s is larger than %zu bytes", name,
                     OUTPUT_TEXT_MAX);
    out->child = *r;
    out->prompt_tokens = run->reader.prompt_tokens;
    out->completion_tokens = run->reader.completion_tokens;
    out->cached_tokens = run->reader.cached_tokens;
    out->model = run->request.model ? run->request.model : "";
    out->err_text = run->err_text;
}

static void account(struct tool_run *run, const struct tool_outcome *out, bool cancelled)
{
    const bool ok = out->status == 200;
    const struct audit row = {
        .kind = kind_names[run->request.kind],
        .name = run->tool->name,
        .program = run->tool->binding.path,
        .request_id = run->request.request_id,
        .outcome = cancelled              ? "cancelled"
                   : ok                   ? "ok"
                   : out->child.timed_out ? "timeout"
                                          : "failed",
        .error = ok || cancelled ? NULL : out->text,
        .principal = run->has_principal ? &run->principal : NULL,
        .result = &out->child,
        .input_bytes = run->request.prompt_len,
        .at = run->started_at,
    };
    audit_write(run->all->writer, &row);
    int64_t now = clock_wall_ms();
    if (ok)
        binding_note_ok(run->tool, now);
    else if (!cancelled)
        binding_note_fail(run->tool, out->text, strcmp(out->code, "needs_login") == 0, now);
    log_info("tools", "a tool has run", LOG_S("tool", run->tool->name), LOG_S("outcome", row.outcome),
             LOG_I("exit", out->child.exit_code), LOG_I("ms", out->child.duration_ms),
             LOG_S("reason", row.error ? row.error : ""));
}

static void on_child_end(void *ctx, const struct child_result *r)
{
    struct tool_run *run = ctx;
    struct tools *all = run->all;
    struct tool_outcome out;
    const bool cancelled = run->request.on_done == NULL;
    run->child = NULL;
    if (output_end(&run->reader) != 0)
        run->out_of_memory = true;
    outcome_of(run, r, &out);
    run->tool->running--;
    surroundings_remove(all, &run->around);
    account(run, &out, cancelled);
    if (run->request.on_done)
        run->request.on_done(run->request.ctx, &out);
    run_free(run);
    tools_child_ended(all);
}

/* ---- while it runs ---- */

static void on_answer(void *ctx, const char *text, size_t len)
{
    struct tool_run *run = ctx;
    if (run->request.on_text)
        run->request.on_text(run->request.ctx, text, len);
}

static void keep_err(struct tool_run *run, const char *data, size_t len)
{
    const size_t room = sizeof run->err_text - 1;
    if (len > room) {
        data += len - room;
        len = room;
    }
    if (run->err_len + len > room) { /* the last part counts */
        size_t drop = run->err_len + len - room;
        memmove(run->err_text, run->err_text + drop, run->err_len - drop);
        run->err_len -= drop;
    }
    for (size_t i = 0; i < len; i++)
        run->err_text[run->err_len++] = data[i] ? data[i] : ' ';
    run->err_text[run->err_len] = '\0';
}

static void on_child_output(void *ctx, int fd, const char *data, size_t len)
{
    struct tool_run *run = ctx;
    if (fd == 2)
        keep_err(run, data, len);
    else if (!run->out_of_memory && output_feed(&run->reader, data, len) != 0)
        run->out_of_memory = true;
}

void tool_run_cancel(struct tool_run *run)
{
    run->request.on_text = NULL;
    run->request.on_done = NULL;
    struct tool_run **at = &run->all->runs;
    while (*at && *at != run)
        at = &(*at)->next;
    if (*at)
        *at = run->next;
    if (run->child)
        child_kill(run->child);
}

void tool_run_pause(struct tool_run *run)
{
    if (run->child)
        child_pause(run->child);
}

void tool_run_resume(struct tool_run *run)
{
    if (run->child)
        child_resume(run->child);
}

/* ---- the start ---- */

static const char *model_of(const struct tool_spec *s, const char *asked)
{
    if (asked && asked[0])
        return asked;
    return s->model_count > 0 ? s->models[0] : NULL;
}

static bool offers(const struct tool_spec *s, const char *model)
{
    if (!model || s->model_count == 0)
        return true;
    for (size_t i = 0; i < s->model_count; i++)
        if (strcmp(s->models[i], model) == 0)
            return true;
    return false;
}

static const char *const *prefix_of(const struct tool_spec *s, const char *path)
{
    const char *name = strrchr(path, '/');
    for (const struct tool_binary *b = s->command ? NULL : s->def.binaries; b && b->name; b++)
        if (name && strcmp(name + 1, b->name) == 0)
            return b->prefix;
    return NULL;
}

static struct tool_run *run_create(struct tools *t, struct tool *tool, const struct tool_run_request *request)
{
    struct tool_run *run = calloc(1, sizeof *run);
    if (!run)
        return NULL;
    run->all = t;
    run->tool = tool;
    run->spec = tool->spec;
    run->spec->refs++;
    run->arena = arena_create(0);
    run->request = *request;
    run->started_at = clock_wall_ms();
    if (request->principal) {
        run->principal = *request->principal;
        run->has_principal = true;
    }
    int64_t most = run->spec->def.timeout_ms;
    run->request.timeout_ms =
        request->timeout_ms > 0 && request->timeout_ms < most ? request->timeout_ms : most;
    output_begin(&run->reader, &run->spec->def, on_answer, run);
    if (run->arena) {
        run->request.prompt = arena_strndup(run->arena, request->prompt, request->prompt_len);
        run->request.request_id = arena_strdup(run->arena, request->request_id);
        run->request.model = arena_strdup(run->arena, model_of(run->spec, request->model));
    }
    if (!run->arena || !run->request.prompt) {
        run_free(run);
        return NULL;
    }
    return run;
}

static int run_child(struct tool_run *run, const char **argv, struct error *err)
{
    const struct tool_spec *s = run->spec;
    const struct child_options o = {
        .loop = run->all->loop,
        .argv = argv,
        .env = (const char *const *)run->around.env.list,
        .cwd = run->around.folder,
        .input = s->def.prompt_by_stdin ? run->request.prompt : NULL,
        .input_len = s->def.prompt_by_stdin ? run->request.prompt_len : 0,
        .out_max = STDOUT_MAX,
        .err_max = STDERR_MAX,
        .end_at_out_max = true,
        .timeout_ms = run->request.timeout_ms,
        .limits = {.cpu_s = run->spec->def.timeout_ms / 1000 + 1,
                   .memory_bytes = s->def.memory_bytes,
                   .file_bytes = INT64_C(1) << 30,
                   .files = 4096,
                   .processes = 512},
        .sandbox = s->sandbox,
        .network = s->network,
        .readable = run->around.readable,
        .writable = run->around.writable,
        .home = run->all->user_home,
        .on_output = on_child_output,
        .on_end = on_child_end,
        .ctx = run,
    };
    return child_begin(&o, &run->child, err);
}

static int refused_by(struct tool_outcome *out, const struct error *err, const char *name)
{
    switch (err->code) {
    case VX11_ETOO_LARGE:
        return refuse(out, 413, "prompt_too_large", -1, "%s", err->text);
    case VX11_EINVALID:
        return refuse(out, 422, "invalid_request", -1, "%s", err->text);
    case VX11_EUNSUPPORTED:
        return refuse(out, 503, "sandbox_missing", -1, "%s", err->text);
    case VX11_ENOMEM:
        return refuse(out, 500, "out_of_memory", -1, "out of memory");
    default:
        return refuse(out, 502, "tool_failed", -1, "%s cannot be run: %s", name, err->text);
    }
}

/* The quota is the last gate: what is refused before costs none. */
static int run_begin(struct tool_run *run, struct tool_outcome *out)
{
    struct tool *tool = run->tool;
    struct error err = {0};
    const char **argv;
    const char *path = tool->binding.path;
    if (!offers(run->spec, run->request.model))
        return refuse(out, 404, "model_not_found", -1, "%s does not offer %.200s", tool->name,
                      run->request.model);
    int rc = tool_args_fill(&run->spec->def, path, prefix_of(run->spec, path), run->request.prompt,
                            run->request.prompt_len, run->request.model, run->arena, &argv, &err);
    if (rc != 0)
        return refused_by(out, &err, tool->name);
    if (take_quota(tool, run->started_at, out) != 0)
        return 1;
    rc = surroundings_make(run->all, run->spec, path, tool->binding.real_path, &run->around, &err);
    if (rc == 0 && (rc = run_child(run, argv, &err)) != 0)
        surroundings_remove(run->all, &run->around);
    if (rc != 0) {
        quota_give_back(tool, run->started_at);
        return refused_by(out, &err, tool->name);
    }
    return 0;
}

static void audit_refusal(struct tools *t, const struct tool *tool, const struct tool_run_request *q,
                          const struct tool_outcome *why)
{
    const struct audit row = {.kind = kind_names[q->kind],
                              .name = tool->name,
                              .program = tool->binding.path,
                              .request_id = q->request_id,
                              .outcome = "refused",
                              .error = why->text,
                              .principal = q->principal,
                              .input_bytes = q->prompt_len,
                              .at = clock_wall_ms()};
    audit_write(t->writer, &row);
}

int tool_run_start(struct tools *t, struct tool *tool, const struct tool_run_request *request,
                   struct tool_run **out, struct tool_outcome *refusal)
{
    struct arena *scratch = arena_create(0);
    int rc =
        scratch ? gate(tool, scratch, refusal) : refuse(refusal, 500, "out_of_memory", -1, "out of memory");
    arena_destroy(scratch);
    struct tool_run *run = rc == 0 ? run_create(t, tool, request) : NULL;
    if (rc == 0)
        rc = run ? run_begin(run, refusal) : refuse(refusal, 500, "out_of_memory", -1, "out of memory");
    if (rc != 0) {
        audit_refusal(t, tool, request, refusal);
        if (run)
            run_free(run);
        return 1;
    }
    tool->running++;
    t->children++;
    run->next = t->runs;
    t->runs = run;
    *out = run;
    return 0;
}
