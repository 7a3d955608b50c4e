/* Jobs, in turn: claimed, run, ended, the next one. */
#include "hermes/exec/jobs_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "hermes/tools/tools_internal.h" /* working folders, audit, sandbox */

static void jobs_go_on(struct jobs *j);

static const struct config_hermes *settings(const struct jobs *j)
{
    return module_config(j->module)->values->hermes;
}

size_t jobs_running(const struct jobs *j)
{
    return j->running;
}

/* ---- who watches ---- */

static void send_event(struct job *job, struct watcher *w, const char *event, int status, const char *text,
                       const char *error)
{
    struct buf out = BUF_INIT;
    const struct hermes_exec_job_event e = {
        .job_id = job->id, .status = status, .text = text, .error = error};
    if (hermes_exec_job_event_serialize(&e, &out) == 0)
        (void)request_stream_event(w->request, event, NULL, out.data, out.len);
    buf_free(&out);
}

static void tell(struct job *job, const char *event, int status, const char *text, const char *error)
{
    for (struct watcher *w = job->watchers; w; w = w->next)
        send_event(job, w, event, status, text, error);
}

static void watcher_drop(struct watcher *w)
{
    struct watcher **at = &w->job->watchers;
    while (*at && *at != w)
        at = &(*at)->next;
    if (*at)
        *at = w->next;
    free(w);
}

static void watch_cancelled(struct request *r, void *ctx, int reason)
{
    (void)reason;
    watcher_drop(ctx);
    request_stream_abort(r);
}

static void watchers_end(struct job *job)
{
    while (job->watchers) {
        struct request *r = job->watchers->request;
        watcher_drop(job->watchers);
        request_stream_end(r);
    }
}

/* One that has ended, or waits: its state, and no more. */
static void watch_still(struct request *r, const struct hermes_exec_job *job)
{
    struct buf out = BUF_INIT;
    const struct hermes_exec_job_event e = {
        .job_id = job->job_id, .status = job->status, .error = job->error};
    if (request_stream_begin(r, 200, NULL) != 0) {
        request_stream_abort(r);
        return;
    }
    if (hermes_exec_job_event_serialize(&e, &out) == 0)
        (void)request_stream_event(r, "state", NULL, out.data, out.len);
    buf_free(&out);
    request_stream_end(r);
}

void jobs_watch(struct jobs *j, const char *id, struct request *r)
{
    struct hermes_exec_job row;
    struct error err = {0};
    struct job *job = j->list;
    while (job && strcmp(job->id, id) != 0)
        job = job->next;
    struct watcher *w = job ? calloc(1, sizeof *w) : NULL;
    if (job && w && request_stream_begin(r, 200, NULL) == 0) {
        *w = (struct watcher){.next = job->watchers, .job = job, .request = r};
        job->watchers = w;
        request_on_cancel(r, watch_cancelled, w);
        send_event(job, w, "state", HERMES_JOB_STATUS_RUNNING, NULL, NULL);
        return;
    }
    free(w);
    int rc = jobs_get(j, id, request_arena(r), &row, &err);
    if (rc == VX11_ENOT_FOUND)
        request_fail(r, 404, "job_not_found", "id", "%s", err.text);
    else if (rc != 0)
        request_fail_error(r, &err);
    else
        watch_still(r, &row);
}

/* ---- the end of one ---- */

static void job_free(struct job *job)
{
    struct job **at = &job->all->list;
    while (*at && *at != job)
        at = &(*at)->next;
    if (*at)
        *at = job->next;
    watchers_end(job);
    if (job->folder[0])
        work_folder_remove(job->all->home, job->folder);
    child_env_free(&job->env);
    buf_free(&job->out);
    buf_free(&job->err);
    arena_destroy(job->arena);
    free(job);
}

static void jobs_free_if_over(struct jobs *j)
{
    if (!j->closing || j->running > 0)
        return;
    void (*closed)(void *ctx) = j->closed;
    void *ctx = j->closed_ctx;
    free(j);
    closed(ctx);
}

static void job_end(struct job *job, const struct job_end *end)
{
    struct jobs *j = job->all;
    struct error err = {0};
    if (job_row_end(j, job, end, &err) != 0)
        log_error("exec", "the end of a job could not be written", LOG_S("job", job->id),
                  LOG_S("reason", err.text));
    log_info("exec", "a job has ended", LOG_S("job", job->id), LOG_S("name", job->name),
             LOG_S("status", hermes_job_status_names[end->status]),
             LOG_S("reason", end->error ? end->error : ""));
    tell(job, "state", end->status, NULL, end->error);
    j->running--;
    job_free(job);
    if (j->closing)
        jobs_free_if_over(j);
    else
        jobs_go_on(j);
}

/* ---- its output ---- */

/* Keeps valid UTF-8 only: it goes into a text column and into JSON. */
static bool keep(struct buf *b, size_t most, const char *data, size_t len)
{
    size_t at = 0;
    while (at < len) {
        int n = utf8_next(data + at, len - at);
        const bool good = n > 0 && data[at] != '\0';
        const char *piece = good ? data + at : "\xef\xbf\xbd";
        const size_t take = good ? (size_t)n : 3;
        if (b->len + take > most || buf_append(b, piece, take) != 0)
            return false;
        at += n < 0 ? (size_t)-n : (size_t)n;
    }
    return true;
}

static void take_output(struct job *job, int fd, const char *data, size_t len)
{
    struct buf *b = fd == 1 ? &job->out : &job->err;
    bool *cut = fd == 1 ? &job->out_cut : &job->err_cut;
    const size_t before = b->len;
    if (!*cut)
        *cut = !keep(b, job->keep, data, len);
    if (job->watchers && b->len > before)
        tell(job, fd == 1 ? "stdout" : "stderr", HERMES_JOB_STATUS_RUNNING, b->data + before, NULL);
}

static void on_output(void *ctx, int fd, const char *data, size_t len)
{
    take_output(ctx, fd, data, len);
}

static void on_answer(void *ctx, const char *text, size_t len)
{
    take_output(ctx, 1, text, len);
}

/* ---- programs ---- */

static void audit_job(struct job *job, const char *program, const char *outcome, const char *error,
                      const struct child_result *r)
{
    const struct audit row = {.kind = "exec",
                              .name = job->name,
                              .program = program,
                              .request_id = job->id,
                              .outcome = outcome,
                              .error = error,
                              .principal = job->by.name[0] ? &job->by : NULL,
                              .result = r,
                              .input_bytes = job->request.input ? strlen(job->request.input) : 0,
                              .at = job->started_at};
    audit_write(job->all->writer, &row);
}

static void on_program_end(void *ctx, const struct child_result *r)
{
    struct job *job = ctx;
    char why[160] = "";
    struct job_end end = {.status = HERMES_JOB_STATUS_COMPLETED, .child = r};
    job->child = NULL;
    job->out_cut = job->out_cut || r->out_truncated;
    job->err_cut = job->err_cut || r->err_truncated;
    if (job->cancelled) {
        end.status = HERMES_JOB_STATUS_CANCELLED;
        (void)snprintf(why, sizeof why, "%s", job->all->closing ? "Hermes was stopped" : "cancelled");
    } else if (r->timed_out) {
        end.status = HERMES_JOB_STATUS_TIMEOUT;
        (void)snprintf(why, sizeof why, "it did not end in time");
    } else if (r->exit_code != 0) {
        end.status = HERMES_JOB_STATUS_FAILED;
        if (r->term_signal)
            (void)snprintf(why, sizeof why, "it was ended by signal %d (%s)", r->term_signal,
                           strsignal(r->term_signal));
        else
            (void)snprintf(why, sizeof why, "it exited with status %d", r->exit_code);
    }
    end.error = why[0] ? why : NULL;
    audit_job(job, NULL,
              job->cancelled                              ? "cancelled"
              : end.status == HERMES_JOB_STATUS_COMPLETED ? "ok"
              : r->timed_out                              ? "timeout"
                                                          : "failed",
              end.error, r);
    job_end(job, &end);
}

static const char **program_argv(struct job *job, const struct config_exec_allow *e)
{
    const char **argv = arena_array(job->arena, e->args_count + job->request.args_count + 2, sizeof *argv);
    size_t n = 0;
    if (!argv)
        return NULL;
    argv[n++] = e->command;
    for (size_t i = 0; i < e->args_count; i++)
        argv[n++] = e->args[i];
    for (size_t i = 0; i < job->request.args_count; i++)
        argv[n++] = job->request.args[i];
    argv[n] = NULL;
    return argv;
}

static int program_env(struct job *job, const struct config_exec_allow *e)
{
    int rc = child_env_init(&job->env, NULL);
    if (rc == 0)
        rc = child_env_set(&job->env, "HOME", job->folder);
    if (rc == 0)
        rc = child_env_set(&job->env, "TMPDIR", job->folder);
    for (size_t i = 0; rc == 0 && i < e->env_count; i++)
        rc = child_env_pass(&job->env, e->env[i]);
    return rc;
}

static enum child_sandbox sandbox_of(const struct jobs *j, const struct config_exec_allow *e)
{
    const int all = (int)settings(j)->tool_sandbox;
    const enum child_sandbox otherwise = all == CONFIG_HERMES_TOOL_SANDBOX_REQUIRED ? CHILD_SANDBOX_REQUIRED
                                         : all == CONFIG_HERMES_TOOL_SANDBOX_OFF    ? CHILD_SANDBOX_OFF
                                                                                    : CHILD_SANDBOX_PREFERRED;
    return e->sandbox == CONFIG_EXEC_ALLOW_SANDBOX_REQUIRED    ? CHILD_SANDBOX_REQUIRED
           : e->sandbox == CONFIG_EXEC_ALLOW_SANDBOX_PREFERRED ? CHILD_SANDBOX_PREFERRED
           : e->sandbox == CONFIG_EXEC_ALLOW_SANDBOX_OFF       ? CHILD_SANDBOX_OFF
                                                               : otherwise;
}

/* The folder of a program that lies outside of the system's must be seen inside the sandbox. */
static const char **readable_of(struct job *job, const char *program)
{
    const char **list = arena_array(job->arena, 2, sizeof *list);
    char *folder = arena_strdup(job->arena, program);
    char *slash = folder ? strrchr(folder, '/') : NULL;
    if (!list || !slash)
        return NULL;
    *slash = '\0';
    list[0] = slash == folder || str_starts(program, "/usr/") || str_starts(program, "/bin/") ? NULL : folder;
    list[1] = NULL;
    return list;
}

static int start_program(struct job *job, const struct config_exec_allow *e, struct error *err)
{
    struct jobs *j = job->all;
    int rc = work_folder_make(j->home, job->folder, sizeof job->folder, err);
    if (rc != 0)
        return rc;
    const char **argv = program_argv(job, e);
    const char **writable = arena_array(job->arena, e->writable_count + 1, sizeof *writable);
    if (!argv || !writable || program_env(job, e) != 0)
        return error_set(err, VX11_ENOMEM, "out of memory");
    for (size_t i = 0; i < e->writable_count; i++)
        writable[i] = e->writable[i];
    writable[e->writable_count] = NULL;
    const int64_t asked = job->request.has_timeout_ms ? job->request.timeout_ms : e->timeout_ms;
    const struct child_options o = {
        .loop = j->loop,
        .argv = argv,
        .env = (const char *const *)job->env.list,
        .cwd = job->folder,
        .input = job->request.input,
        .input_len = job->request.input ? strlen(job->request.input) : 0,
        .out_max = job->keep,
        .err_max = job->keep,
        .timeout_ms = asked < e->timeout_ms ? asked : e->timeout_ms,
        .limits = {.cpu_s = e->timeout_ms / 1000 + 1,
                   .file_bytes = INT64_C(1) << 30,
                   .files = 1024,
                   .processes = 256},
        .sandbox = sandbox_of(j, e),
        .network = e->network,
        .readable = readable_of(job, e->command),
        .writable = writable,
        .on_output = on_output,
        .on_end = on_program_end,
        .ctx = job,
    };
    return child_begin(&o, &job->child, err);
}

/* ---- tools ---- */

static void on_tool_done(void *ctx, const struct tool_outcome *o)
{
    struct job *job = ctx;
    struct job_end end = {.status = o->status == 200     ? HERMES_JOB_STATUS_COMPLETED
                                    : o->child.timed_out ? HERMES_JOB_STATUS_TIMEOUT
                                                         : HERMES_JOB_STATUS_FAILED,
                          .error = o->status == 200 ? NULL : o->text,
                          .child = &o->child};
    job->run = NULL;
    job->err_cut = job->err_cut || !keep(&job->err, job->keep, o->err_text, strlen(o->err_text));
    job_end(job, &end);
}

static int start_tool(struct job *job, const struct config_exec_allow *e, struct error *err)
{
    struct tool *tool = tools_find(job->all->tools, e->tool);
    struct tool_outcome refusal;
    if (!tool)
        return error_set(err, VX11_ENOT_FOUND, "there is no tool \"%s\"", e->tool);
    const char *prompt = job->request.prompt ? job->request.prompt : "";
    const struct tool_run_request q = {.kind = TOOL_RUN_EXEC,
                                       .prompt = prompt,
                                       .prompt_len = strlen(prompt),
                                       .model = job->request.model,
                                       .principal = job->by.name[0] ? &job->by : NULL,
                                       .request_id = job->id,
                                       .timeout_ms =
                                           job->request.has_timeout_ms ? job->request.timeout_ms : 0,
                                       .on_text = on_answer,
                                       .on_done = on_tool_done,
                                       .ctx = job};
    if (tool_run_start(job->all->tools, tool, &q, &job->run, &refusal) == 0)
        return 0;
    return error_set(err, VX11_EUNAVAILABLE, "%s", refusal.text);
}

/* ---- in turn ---- */

static struct job *job_create(struct jobs *j)
{
    struct job *job = calloc(1, sizeof *job);
    if (!job)
        return NULL;
    job->all = j;
    job->started_at = clock_wall_ms();
    job->keep = (size_t)settings(j)->exec_output_bytes;
    job->arena = arena_create(0);
    if (!job->arena) {
        free(job);
        return NULL;
    }
    return job;
}

static void job_start(struct jobs *j, struct job *job)
{
    struct job_refusal why;
    struct error err = {0};
    job->next = j->list;
    j->list = job;
    j->running++;
    const struct config_exec_allow *e = exec_allowed(module_config(j->module), &job->request, &why);
    if (!e)
        (void)error_set(&err, VX11_EPERMISSION, "%s", why.text); /* the list is another one by now */
    int rc = !e ? VX11_EPERMISSION : e->tool[0] ? start_tool(job, e, &err) : start_program(job, e, &err);
    if (rc == 0)
        return;
    audit_job(job, e && e->command[0] ? e->command : NULL, "refused", err.text, NULL);
    job_end(job, &(struct job_end){.status = HERMES_JOB_STATUS_FAILED, .error = err.text});
}

/* Not by recursion through job_end: a hundred jobs that cannot start would nest a hundred deep. */
static void jobs_go_on(struct jobs *j)
{
    if (j->starting)
        return;
    j->starting = true;
    while (!j->closing && (int64_t)j->running < settings(j)->exec_max_running) {
        struct error err = {0};
        struct job *job = job_create(j);
        int rc = job ? job_row_claim(j, job, &err) : VX11_ENOMEM;
        if (rc != 0) {
            if (rc != VX11_ENOT_FOUND)
                log_error("exec", "jobs do not go on",
                          LOG_S("reason", err.text[0] ? err.text : error_describe(rc)));
            if (job) {
                arena_destroy(job->arena);
                free(job);
            }
            break;
        }
        job_start(j, job);
    }
    j->starting = false;
}

int jobs_ask(struct jobs *j, const struct hermes_exec_request *q, const struct principal *by,
             const char *request_id, char id[27], struct job_refusal *why)
{
    struct error err = {0};
    int64_t queued = 0;
    if (!exec_allowed(module_config(j->module), q, why)) {
        const struct audit row = {.kind = "exec",
                                  .name = q->command,
                                  .request_id = request_id,
                                  .outcome = "refused",
                                  .error = why->text,
                                  .principal = by,
                                  .at = clock_wall_ms()};
        audit_write(j->writer, &row);
        return 1;
    }
    int rc = job_rows_queued(j, &queued, &err);
    if (rc == 0 && queued >= settings(j)->exec_max_queued) {
        *why = (struct job_refusal){.status = 429, .code = "too_many_jobs"};
        (void)snprintf(why->text, sizeof why->text, "%lld jobs wait already, which is the most",
                       (long long)queued);
        return 1;
    }
    if (rc == 0)
        rc = job_row_add(j, ulid_make(id), q, by, &err);
    if (rc != 0) {
        *why = (struct job_refusal){.status = 500, .code = "store_failed"};
        (void)snprintf(why->text, sizeof why->text, "%.280s", err.text);
        return 1;
    }
    jobs_go_on(j);
    return 0;
}

/* One that runs: its end follows, now or soon. */
static void job_cancel(struct job *job)
{
    static const struct child_result ended = {.exit_code = -1, .killed = true, .term_signal = 15};
    job->cancelled = true;
    if (job->child) {
        child_kill(job->child);
    } else if (job->run) {
        tool_run_cancel(job->run);
        job->run = NULL;
        job_end(job, &(struct job_end){
                         .status = HERMES_JOB_STATUS_CANCELLED, .error = "cancelled", .child = &ended});
    }
}

int jobs_cancel(struct jobs *j, const char *id, struct error *err)
{
    struct hermes_exec_job row;
    struct job *job = j->list;
    while (job && strcmp(job->id, id) != 0)
        job = job->next;
    if (job) {
        job_cancel(job);
        return 0;
    }
    int rc = job_row_cancel(j, id, err);
    if (rc != 0)
        return rc > 0 ? 0 : rc;
    struct arena *a = arena_create(0);
    rc = a ? jobs_get(j, id, a, &row, err) : error_set(err, VX11_ENOMEM, "out of memory");
    arena_destroy(a);
    return rc != 0 ? rc : error_set(err, VX11_EBUSY, "the job %s has ended", id);
}

/* ---- life ---- */

int jobs_create(const struct jobs_options *options, struct jobs **out, struct error *err)
{
    struct jobs *j = calloc(1, sizeof *j);
    if (!j)
        return error_set(err, VX11_ENOMEM, "out of memory");
    j->loop = options->loop;
    j->store = options->store;
    j->writer = options->writer;
    j->tools = options->tools;
    j->module = options->module;
    (void)snprintf(j->home, sizeof j->home, "%s", options->home);
    int rc = job_rows_recover(j, err);
    if (rc != 0) {
        free(j);
        return rc;
    }
    *out = j;
    return 0;
}

void jobs_resume(struct jobs *j)
{
    jobs_go_on(j);
}

void jobs_end_streams(struct jobs *j)
{
    for (struct job *job = j->list; job; job = job->next)
        watchers_end(job);
}

void jobs_close(struct jobs *j, void (*done)(void *ctx), void *ctx)
{
    j->closing = true;
    j->closed = done;
    j->closed_ctx = ctx;
    j->running++; /* until all have been told */
    for (struct job *job = j->list, *next; job; job = next) {
        next = job->next;
        job_cancel(job);
    }
    j->running--;
    jobs_free_if_over(j);
}
