/* One worker process: starting it, listening to it, asking how it is, and ending it.
 *
 * It is over when the process is gone and both of its pipes have ended, so that its last words are never
 * missed; a grandchild that keeps a pipe open cannot hold us up for longer than PIPES_MS. */
#include "hermes/engines_internal.h"

#include <ctype.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "api/engine_client.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/proc.h"
#include "base/str.h"
#include "hermes/pool/pool.h"
#include "hermes/worker_external.h"

#define PIPES_MS        500
#define POLL_FIRST_MS   10
#define POLL_MOST_MS    250
#define PROBE_LIMIT_MS  5000
#define UNANSWERED_MOST 3
#define ABORT_MS        3000 /* from SIGABRT, for its crash report, to SIGKILL */

/* ---- freeing ---- */

static void worker_release(struct worker *w)
{
    if (--w->open > 0)
        return;
    struct engines *all = w->timer.data;
    if (w->external)
        external_close(w);
    if (w->requests)
        munmap((void *)w->requests, sizeof *w->requests);
    free(w);
    engines_release(all);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct worker *w = NULL;
    switch (handle->type) { /* timer.data is the set of engines, which the last release needs */
    case UV_TIMER:
        w = (struct worker *)((char *)handle - offsetof(struct worker, timer));
        break;
    default:
        w = handle->data;
    }
    worker_release(w);
}

static void close_handle(uv_handle_t *handle)
{
    if (!uv_is_closing(handle))
        uv_close(handle, on_handle_closed);
}

/* ---- the end ---- */

static void describe_end(const struct worker *w, char *out, size_t size)
{
    char how[128];
    if (w->exit_signal == SIGKILL && !w->killed)
        (void)snprintf(how, sizeof how, "the worker was killed%s",
                       proc_oom_kills() > w->oom_kills ? " by the kernel, which ran out of memory"
                                                       : " by someone else");
    else if (w->exit_signal != 0)
        (void)snprintf(how, sizeof how, "the worker ended by signal %d (%s)", w->exit_signal,
                       strsignal(w->exit_signal));
    else
        (void)snprintf(how, sizeof how, "the worker exited with status %" PRId64, w->exit_status);
    const char *said = w->words[0] ? w->words : w->said[0] ? w->said : w->line;
    (void)snprintf(out, size, "%s%s%.350s", how, said[0] ? ": " : "", said);
}

static void worker_finish(struct worker *w)
{
    char reason[512];
    if (w->finished)
        return;
    w->finished = true;
    if (w->probe)
        client_cancel(w->probe);
    if (w->socket[0])
        (void)unlink(w->socket);
    close_handle((uv_handle_t *)&w->process);
    close_handle((uv_handle_t *)&w->notify);
    close_handle((uv_handle_t *)&w->errors);
    close_handle((uv_handle_t *)&w->timer);
    struct engine *e = w->engine;
    if (!e)
        return;
    if (w->requests) /* those of its last moments too */
        engine_requests(e, atomic_load(w->requests));
    w->engine = NULL;
    e->worker = NULL;
    describe_end(w, reason, sizeof reason);
    e->outside = w->exit_signal == SIGKILL && !w->killed;
    engine_on_end(e, w->stop_asked, w->exit_signal != 0, reason);
}

static void finish_if_over(struct worker *w)
{
    if (w->exited && w->notify_over && w->errors_over)
        worker_finish(w);
}

static void on_timer(uv_timer_t *timer);

static void on_exit_process(uv_process_t *process, int64_t status, int sig)
{
    struct worker *w = process->data;
    w->exited = true;
    w->exit_status = status;
    w->exit_signal = sig;
    if (w->external)
        (void)external_kill(w, SIGKILL); /* what it left behind */
    uv_timer_start(&w->timer, on_timer, PIPES_MS, 0);
    finish_if_over(w);
}

/* ---- what it says ---- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    struct worker *w = handle->data;
    (void)suggested;
    *out = uv_buf_init(w->piece_buf, sizeof w->piece_buf);
}

static void on_notify(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct worker *w = stream->data;
    if (n < 0) {
        w->notify_over = true;
        uv_read_stop(stream);
        finish_if_over(w);
        return;
    }
    for (ssize_t i = 0; i < n && !w->finished; i++) {
        char c = buf->base[i];
        if (c == '\n' && strcmp(w->words, "ready") == 0) {
            w->words[0] = '\0';
            w->words_len = 0;
            worker_probe(w); /* it answers: no need to wait for the next poll */
        } else if (c != '\n' && w->words_len + 1 < sizeof w->words) {
            w->words[w->words_len++] = iscntrl((unsigned char)c) ? ' ' : c;
            w->words[w->words_len] = '\0';
        }
    }
}

static void stderr_line(struct worker *w)
{
    w->piece[w->piece_len] = '\0';
    if (w->piece_len > 0) {
        memcpy(w->line, w->piece, w->piece_len + 1);
    }
    if (w->piece_len > 0 && !w->external) {
        log_info("worker", w->line, LOG_S("model", w->engine ? w->engine->name : ""), LOG_I("pid", w->pid));
    }
    w->piece_len = 0;
}

static void on_errors(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct worker *w = stream->data;
    if (n > 0 && w->external)
        external_output(w, buf->base, (size_t)n);
    for (ssize_t i = 0; i < n; i++) {
        char c = buf->base[i];
        if (c == '\n' || w->piece_len + 1 == sizeof w->piece)
            stderr_line(w);
        if (c != '\n')
            w->piece[w->piece_len++] = iscntrl((unsigned char)c) ? ' ' : c;
    }
    if (n < 0) {
        stderr_line(w);
        w->errors_over = true;
        uv_read_stop(stream);
        finish_if_over(w);
    }
}

/* ---- ending it ---- */

static void send_signal(struct worker *w, int sig)
{
    const int rc = w->exited ? -1 : w->external ? external_kill(w, sig) : uv_process_kill(&w->process, sig);
    if (rc == 0 && sig == SIGKILL)
        w->killed = true;
}

void worker_stop(struct worker *w, int64_t limit_ms)
{
    if (w->external && w->external->stop_timeout_ms < limit_ms)
        limit_ms = w->external->stop_timeout_ms;
    int64_t kill_at = clock_mono_ms() + limit_ms;
    if (!w->stop_asked)
        send_signal(w, w->external ? w->external->stop_signal : SIGTERM);
    w->stop_asked = true;
    if (w->kill_at == 0 || kill_at < w->kill_at)
        w->kill_at = kill_at;
    if (!w->exited)
        uv_timer_start(&w->timer, on_timer, (uint64_t)limit_ms, 0);
}

/* It hangs: ends it, so that it counts as failed. */
void worker_give_up(struct worker *w, const char *why)
{
    (void)snprintf(w->words, sizeof w->words, "%s", why);
    w->words_len = sizeof w->words - 1; /* nothing more is taken from its pipe */
    log_error("engines", "a worker is ended", LOG_S("model", w->engine->name), LOG_I("pid", w->pid),
              LOG_S("reason", why));
    send_signal(w, w->external ? w->external->stop_signal : SIGABRT);
    w->kill_at = clock_mono_ms() + ABORT_MS;
    uv_timer_start(&w->timer, on_timer, ABORT_MS, 0);
}

/* ---- asking how it is ---- */

static void poll_again(struct worker *w)
{
    const struct engine *e = w->engine;
    if (w->exited || w->kill_at != 0 || !e)
        return;
    int64_t ms = engine_poll_ms(e);
    if (e->state != HERMES_ENGINE_STATE_READY) {
        ms = w->poll_ms;
        w->poll_ms = w->poll_ms * 3 / 2 < POLL_MOST_MS ? w->poll_ms * 3 / 2 : POLL_MOST_MS;
    }
    uv_timer_start(&w->timer, on_timer, (uint64_t)ms, 0);
}

static void take_status(struct worker *w, const struct engine_status *s)
{
    struct engine *e = w->engine;
    w->unanswered = 0;
    engine_measured(e, s);
    e->has_progress = true;
    e->progress = s->progress;
    e->bytes_read = s->load->bytes_read;
    e->bytes_total = s->load->bytes_total;
    if (s->state == ENGINE_STATE_FAILED && s->failure && strcmp(s->failure, "insufficient_memory") == 0)
        e->short_of_memory = true;
    if (s->reason)
        (void)snprintf(w->said, sizeof w->said, "%s", s->reason);
    if (w->stop_asked || w->kill_at != 0)
        return;
    if (s->state == ENGINE_STATE_FAILED)
        send_signal(w, SIGTERM); /* nobody is served by its lingering */
    if (s->state == ENGINE_STATE_READY && e->state != HERMES_ENGINE_STATE_READY)
        engine_on_ready(e);
    else if (s->state == ENGINE_STATE_LOADING) {
        e->state = HERMES_ENGINE_STATE_LOADING;
        engine_tell_load(e, LINK_MODEL_LOAD_STATE_LOADING, NULL);
    }
    engine_on_status(e);
}

void worker_probe_over(struct worker *w, bool answered)
{
    struct engine *e = w->engine;
    if (e && !w->exited) {
        if (!answered && e->state == HERMES_ENGINE_STATE_READY && w->kill_at == 0 &&
            ++w->unanswered >= UNANSWERED_MOST)
            worker_give_up(w, w->external ? "it no longer answered its health check"
                                          : "it no longer answered GET /engine/status");
        poll_again(w);
    }
    worker_release(w);
}

static void on_status(struct client_call *call, void *ctx, const struct client_reply *reply)
{
    struct worker *w = ctx;
    (void)call;
    w->probe = NULL;
    if (w->engine && !w->exited && reply->message)
        take_status(w, reply->message);
    worker_probe_over(w, reply->message != NULL);
}

void worker_probe(struct worker *w)
{
    if (w->probe || w->exited || w->finished || !w->engine)
        return;
    if (w->external) {
        external_probe(w);
        return;
    }
    int64_t limit =
        w->engine->all->params.answer_limit_ms > 0 ? w->engine->all->params.answer_limit_ms : PROBE_LIMIT_MS;
    struct client_call_options options = {
        .deadline_ms = clock_mono_ms() + limit,
        .connect_timeout_ms = limit,
        .max_reply = 1 << 20,
        .poll = true,
    };
    if (engine_status_call(w->engine->all->client, &w->target, &options, on_status, w, &w->probe) == 0)
        w->open++;
    else
        poll_again(w);
}

void worker_probe_within(struct worker *w, int64_t ms)
{
    if (!w->probe && !w->exited && w->kill_at == 0 && uv_timer_get_due_in(&w->timer) > (uint64_t)ms)
        uv_timer_start(&w->timer, on_timer, (uint64_t)ms, 0);
}

static void on_timer(uv_timer_t *timer)
{
    struct worker *w = (struct worker *)((char *)timer - offsetof(struct worker, timer));
    int64_t now = clock_mono_ms();
    if (w->exited) {
        worker_finish(w);
        return;
    }
    if (w->kill_at != 0) {
        send_signal(w, SIGKILL);
        return;
    }
    const struct engine *e = w->engine;
    if (!e)
        return;
    const int64_t most = w->external && w->external->start_timeout_ms > 0 ? w->external->start_timeout_ms
                                                                          : e->all->params.load_timeout_ms;
    if (e->state != HERMES_ENGINE_STATE_READY && now - w->started_mono >= most) {
        char why[128], limit[24];
        (void)snprintf(why, sizeof why, "it was not ready within %s", str_format_duration(most, limit));
        worker_give_up(w, why);
        return;
    }
    worker_probe(w);
}

/* ---- starting it ---- */

#define ARGS_MAX 64

static int64_t stop_limit(const struct engine_params *p)
{
    return p->stop_limit_ms > 0 ? p->stop_limit_ms : ENGINE_STOP_LIMIT_MS;
}

struct arguments {
    const char *list[ARGS_MAX];
    size_t count;
    char numbers[24][24];
    size_t number_count;
};

static void arg(struct arguments *a, const char *name, const char *value)
{
    a->list[a->count++] = name;
    a->list[a->count++] = value;
}

static void arg_number(struct arguments *a, const char *name, int64_t value)
{
    char *text = a->numbers[a->number_count++];
    (void)snprintf(text, sizeof a->numbers[0], "%" PRId64, value);
    arg(a, name, text);
}

static void fill_arguments(const struct engine *e, const struct worker *w, struct arguments *a)
{
    const struct engine_params *p = &e->all->params;
    *a = (struct arguments){.list = {e->all->program}, .count = 1};
    arg(a, "--model", e->path);
    arg(a, "--socket", w->socket);
    arg(a, "--name", e->name);
    arg_number(a, "--ctx", p->ctx);
    arg_number(a, "--max-ctx", p->max_ctx);
    arg_number(a, "--parallel", p->parallel);
    arg_number(a, "--cells", p->kv_tokens);
    arg_number(a, "--memory", e->budget_bytes);
    arg_number(a, "--threads", p->threads);
    arg_number(a, "--batch", p->batch);
    arg_number(a, "--n-max", p->n_max);
    arg_number(a, "--gpu-layers", p->gpu_layers);
    arg_number(a, "--max-queue", p->max_queue);
    arg(a, "--kv-type", p->kv_type);
    if (p->speculation)
        arg(a, "--speculation", p->speculation);
    arg_number(a, "--draft-most", p->draft_most);
    if (p->draft_model[0])
        arg(a, "--draft-model", p->draft_model);
    arg_number(a, "--drain-ms", stop_limit(p) * 3 / 4); /* the rest is for what comes after the answers */
    if (p->saved_bytes > 0) {
        arg(a, "--saved-dir", w->saved);
        arg_number(a, "--saved-bytes", p->saved_bytes);
        arg_number(a, "--saved-min-tokens", p->saved_min_tokens);
        arg_number(a, "--saved-ms", p->saved_ms);
        if (e->sha256[0])
            arg(a, "--model-sha256", e->sha256);
    }
    arg(a, "--log-level", p->log_level);
    arg(a, "--log-file", w->log);
    arg(a, "--forensic", w->forensic);
    arg_number(a, "--parent-pid", getpid());
    a->list[a->count] = NULL;
}

/* Only what a worker has a use for: its libraries, its graphics processors, its folders, the sanitizers'
 * options. */
static const char *const passed_on[] = {
    "HOME",
    "TMPDIR",
    "XDG_CACHE_HOME",
    "LD_LIBRARY_PATH",
    "CUDA_VISIBLE_DEVICES",
    "HIP_VISIBLE_DEVICES",
    "GGML_VK_VISIBLE_DEVICES",
    "VX11_HOME",
    "VX11_CONFIG",
    "ASAN_OPTIONS",
    "UBSAN_OPTIONS",
    "LSAN_OPTIONS",
    "TSAN_OPTIONS",
    "TZ",
};

struct environment {
    char *list[COUNT_OF(passed_on) + 3];
    size_t count;
};

static int fill_environment(struct environment *env)
{
    *env = (struct environment){.count = 0};
    env->list[env->count++] = strdup("PATH=/usr/bin:/bin");
    env->list[env->count++] = strdup("LANG=C.UTF-8");
    int rc = env->list[0] && env->list[1] ? 0 : VX11_ENOMEM;
    for (size_t i = 0; rc == 0 && i < COUNT_OF(passed_on); i++) {
        const char *value = getenv(passed_on[i]);
        if (value && asprintf(&env->list[env->count], "%s=%s", passed_on[i], value) < 0)
            rc = VX11_ENOMEM;
        else if (value)
            env->count++;
    }
    env->list[env->count] = NULL;
    return rc;
}

static void free_environment(struct environment *env)
{
    for (size_t i = 0; i < env->count; i++)
        free(env->list[i]);
}

/* HOME/run/engine-NAME.sock, or with the end of the model's id where the kernel's limit on the length forbids
 * it. */
static int fill_paths(const struct engine *e, struct worker *w, struct error *err)
{
    const char *home = e->all->home;
    int n = snprintf(w->socket, sizeof w->socket, "%s/run/engine-%s.sock", home, e->name);
    if (n < 0 || (size_t)n >= sizeof w->socket)
        n = snprintf(w->socket, sizeof w->socket, "%s/run/engine-%s.sock", home, e->id + ULID_LEN - 10);
    if (n < 0 || (size_t)n >= sizeof w->socket)
        return error_set(err, VX11_ETOO_LARGE,
                         "the path of VX11's home is too long for a Unix socket below it");
    /* Shorter than the socket's folder, so these fit. */
    (void)snprintf(w->log, sizeof w->log, "%s/log/engine-%s.log", home, e->name);
    (void)snprintf(w->forensic, sizeof w->forensic, "%s/forensic", home);
    (void)snprintf(w->saved, sizeof w->saved, "%s/cache/kv", home);
    w->target = (struct client_target){.base_url = "http://localhost", .socket = w->socket};
    (void)unlink(w->socket);
    return 0;
}

/* A page that both see. Its descriptor; -1: then its status alone says what has arrived. */
static int share_requests(struct worker *w)
{
    const int fd = memfd_create("vx11-requests", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, (off_t)sizeof *w->requests) != 0)
        return fd;
    void *page = mmap(NULL, sizeof *w->requests, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (page != MAP_FAILED)
        w->requests = page;
    return fd;
}

static int spawn_process(struct engine *e, struct worker *w, struct error *err)
{
    struct arguments args;
    struct environment env;
    if (w->external)
        return external_spawn(e, w, on_exit_process, err);
    int rc = fill_environment(&env);
    if (rc != 0) {
        free_environment(&env);
        return error_set(err, rc, "out of memory");
    }
    fill_arguments(e, w, &args);
    uv_stdio_container_t stdio[5] = {{.flags = UV_IGNORE}, {.flags = UV_IGNORE}};
    stdio[4].data.fd = share_requests(w);
    stdio[4].flags = w->requests ? UV_INHERIT_FD : UV_IGNORE;
    stdio[2].flags = stdio[3].flags = (uv_stdio_flags)(UV_CREATE_PIPE | UV_WRITABLE_PIPE);
    stdio[2].data.stream = (uv_stream_t *)&w->errors;
    stdio[3].data.stream = (uv_stream_t *)&w->notify;
    uv_process_options_t options = {
        .exit_cb = on_exit_process,
        .file = e->all->program,
        .args = (char **)(uintptr_t)args.list,
        .env = env.list,
        /* A session of its own: Ctrl-C in a terminal is for the supervisor, which stops us in order. The
           worker watches --parent-pid. */
        .flags = UV_PROCESS_DETACHED,
        .stdio_count = 5,
        .stdio = stdio,
    };
    rc = uv_spawn(e->all->loop, &w->process, &options);
    free_environment(&env);
    if (stdio[4].data.fd >= 0)
        close(stdio[4].data.fd);
    if (rc != 0)
        return error_set(err, VX11_EUNAVAILABLE, "%.300s cannot be started: %s", e->all->program,
                         uv_strerror(rc));
    return 0;
}

int worker_spawn(struct engine *e, struct error *err)
{
    struct engines *all = e->all;
    struct worker *w = calloc(1, sizeof *w);
    if (!w)
        return error_set(err, VX11_ENOMEM, "out of memory");
    int rc = e->external ? external_prepare(e, w, err) : fill_paths(e, w, err);
    if (rc != 0) {
        if (w->external)
            external_close(w);
        free(w);
        return rc;
    }
    uv_timer_init(all->loop, &w->timer);
    uv_pipe_init(all->loop, &w->notify, 0);
    uv_pipe_init(all->loop, &w->errors, 0);
    w->timer.data = all;
    w->process.data = w->notify.data = w->errors.data = w;
    w->open = 4;
    all->open++;
    w->poll_ms = POLL_FIRST_MS;
    w->started_mono = clock_mono_ms();
    w->oom_kills = proc_oom_kills();
    rc = spawn_process(e, w, err);
    if (rc != 0) { /* libuv has the process handle initialised even then */
        w->finished = true;
        close_handle((uv_handle_t *)&w->process);
        close_handle((uv_handle_t *)&w->notify);
        close_handle((uv_handle_t *)&w->errors);
        close_handle((uv_handle_t *)&w->timer);
        return rc;
    }
    w->pid = w->process.pid;
    w->engine = e;
    e->worker = w;
    if (!w->external)
        uv_read_start((uv_stream_t *)&w->notify, on_alloc, on_notify);
    uv_read_start((uv_stream_t *)&w->errors, on_alloc, on_errors);
    uv_timer_start(&w->timer, on_timer, POLL_FIRST_MS, 0);
    return 0;
}

bool worker_memory(const struct worker *w, int64_t *resident, int64_t *anonymous)
{
    uint64_t all, own;
    if (!w->external)
        return process_memory(w->pid, resident, anonymous);
    if (proc_group_memory(w->pid, &all, &own) != 0)
        return false;
    *resident = (int64_t)all;
    *anonymous = (int64_t)own;
    return true;
}
