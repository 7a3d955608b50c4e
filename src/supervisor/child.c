/* Child: the life of one module's process (see the drawing in supervisor_internal.h). */
#include "supervisor/supervisor_internal.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "store/states.h"

/* How long a hung process has to write its crash report. */
#define CHILD_ABORT_LIMIT_MS 5000

static void backoff_begin(struct child *c);

bool child_is_alive(const struct child *c)
{
    return c->process_open;
}

static void on_timer_closed(uv_handle_t *h)
{
    struct child *c = h->data;
    c->s->open_handles--;
    supervisor_child_gone(c->s);
}

/* What the configuration says now is what the process listens on until it is started again. */
static void child_addresses(struct child *c)
{
    const struct config *config = module_config(c->s->m);
    const struct config_link *link = config->values->link;
    c->port = c->what->port(config);
    if (c == &c->s->children[0]) { /* the front door is the first */
        snprintf(c->s->host, sizeof c->s->host, "%s", link->host);
        c->s->api_port = (int)link->port;
        c->s->page_port = (int)link->page_port;
    }
}

void child_init(struct supervisor *s, struct child *c, const struct supervised *what,
                enum common_state wanted)
{
    memset(c, 0, sizeof *c);
    c->s = s;
    c->what = what;
    c->wanted = wanted;
    c->state = SUPERVISOR_PROCESS_STOPPED;
    c->health = -1;
    c->cpu_percent = -1;
    c->backoff_ms = supervisor_config(s)->backoff_min_ms;
    child_addresses(c);
    uv_timer_init(module_loop(s->m), &c->timer);
    c->timer.data = c;
    c->timer_open = true;
    s->open_handles++;
}

void child_close(struct child *c)
{
    if (c->timer_open)
        uv_close((uv_handle_t *)&c->timer, on_timer_closed);
    c->timer_open = false;
}

/* ---- what the child says on fd 3 ---- */

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
    struct child *c = h->data;
    (void)suggested;
    buf->base = c->words + c->words_len;
    buf->len = sizeof c->words - 1 - c->words_len;
}

static void on_notify_closed(uv_handle_t *h)
{
    struct child *c = h->data;
    c->s->open_handles--;
    supervisor_child_gone(c->s);
}

static void notify_close(struct child *c)
{
    if (c->notify_open)
        uv_close((uv_handle_t *)&c->notify, on_notify_closed);
    c->notify_open = false;
}

static void on_words(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct child *c = stream->data;
    (void)buf;
    if (n == 0)
        return;
    if (n < 0) {
        notify_close(c);
        return;
    }
    c->words_len += (size_t)n;
    c->words[c->words_len] = '\0';
    if (c->state == SUPERVISOR_PROCESS_STARTING && strstr(c->words, "ready\n")) {
        c->state = SUPERVISOR_PROCESS_RUNNING;
        c->got_ready = true;
        c->reason[0] = '\0';
        uv_timer_stop(&c->timer);
        c->answered_ms = clock_mono_ms();
        log_info("child", "module is ready", LOG_S("name", c->what->name), LOG_I("pid", c->process.pid),
                 LOG_I("start_ms", clock_mono_ms() - c->started_ms));
        tell_run(c, LINK_MODULE_RUN_EVENT_STARTED, NULL);
        notify_close(c);
        watch_probe(c->s, c);
        api_child_settled(c);
    } else if (c->words_len >= sizeof c->words - 1) {
        notify_close(c);
    }
}

/* ---- exit ---- */

static void child_record_exit(struct child *c, int64_t status, int sig, bool oom)
{
    struct error err = {0};
    char report[512];
    bool reported =
        exit_crash_report(module_home(c->s->m), c->what->name, c->process.pid, report, sizeof report);
    if (reported) {
        size_t used = strlen(c->last_exit);
        snprintf(c->last_exit + used, sizeof c->last_exit - used, "; report in %.190s", report);
    }
    struct module_run_end end = {.ended_at = clock_wall_ms(),
                                 .exit_code = sig ? -1 : (int)status,
                                 .signal = sig,
                                 .oom = oom,
                                 .reason = c->reason,
                                 .crash_report = reported ? report : NULL};
    if (c->run_id[0] && module_run_end(module_store(c->s->m), c->run_id, &end, &err) != 0)
        log_warn("child", "the exit could not be recorded", LOG_S("name", c->what->name),
                 LOG_S("reason", err.text));
    c->run_id[0] = '\0';
}

static void on_process_closed(uv_handle_t *h)
{
    struct child *c = h->data;
    struct supervisor *s = c->s;
    s->open_handles--;
    c->process_open = false;
    notify_close(c);
    if (s->stopping) {
        c->state = SUPERVISOR_PROCESS_STOPPED;
        supervisor_child_gone(s);
    } else if (c->state == SUPERVISOR_PROCESS_STOPPING && c->restart_after_exit) {
        c->restart_after_exit = false;
        c->restarts++;
        child_start(c);
    } else if (c->state == SUPERVISOR_PROCESS_STOPPING || c->wanted == COMMON_STATE_OFF) {
        c->state = SUPERVISOR_PROCESS_STOPPED;
        api_child_settled(c);
    } else {
        backoff_begin(c);
        tell_run(c, c->got_ready ? LINK_MODULE_RUN_EVENT_CRASHED : LINK_MODULE_RUN_EVENT_FAILED, c->reason);
        api_child_settled(c);
    }
}

static void on_exit_(uv_process_t *process, int64_t status, int sig)
{
    struct child *c = process->data;
    bool oom = sig == SIGKILL && !c->kill_sent && proc_oom_kills() > c->oom_before;
    uv_timer_stop(&c->timer);
    exit_describe(c, status, sig, oom, c->last_exit, sizeof c->last_exit);
    bool expected = c->s->stopping || c->state == SUPERVISOR_PROCESS_STOPPING;
    /* What it said on fd 3 may still be in the pipe; a start that failed has its reason there. */
    if (c->notify_open && c->words_len < sizeof c->words - 1) {
        int fd = -1;
        if (uv_fileno((uv_handle_t *)&c->notify, &fd) == 0) {
            ssize_t n = read(fd, c->words + c->words_len, sizeof c->words - 1 - c->words_len);
            if (n > 0)
                c->words[c->words_len += (size_t)n] = '\0';
        }
    }
    if (!expected) {
        if (c->state == SUPERVISOR_PROCESS_STARTING && c->words_len > 0 && !strstr(c->words, "ready\n"))
            snprintf(c->reason, sizeof c->reason, "%.*s", (int)strcspn(c->words, "\n"), c->words);
        else
            snprintf(c->reason, sizeof c->reason, "ended: %s", c->last_exit);
    }
    child_record_exit(c, status, sig, oom);
    if (expected) {
        log_info("child", "module stopped", LOG_S("name", c->what->name), LOG_S("exit", c->last_exit));
        tell_run(c, LINK_MODULE_RUN_EVENT_STOPPED, c->stop_reason[0] ? c->stop_reason : c->last_exit);
        c->stop_reason[0] = '\0';
    } else {
        log_error("child", "module ended", LOG_S("name", c->what->name), LOG_S("exit", c->last_exit),
                  LOG_S("reason", c->reason));
        module_alert(c->s->m, LINK_ALERT_SEVERITY_L3, "%s ended: %s", c->what->name, c->last_exit);
    }
    c->health = -1;
    c->cpu_percent = -1;
    c->cpu_at_ms = 0;
    uv_close((uv_handle_t *)process, on_process_closed);
}

/* ---- start ---- */

static void on_start_limit(uv_timer_t *timer)
{
    struct child *c = timer->data;
    log_error("child", "module did not get ready in time", LOG_S("name", c->what->name));
    c->kill_sent = true;
    snprintf(c->words, sizeof c->words, "did not get ready within %lld ms",
             (long long)supervisor_config(c->s)->start_timeout_ms);
    c->words_len = strlen(c->words);
    uv_process_kill(&c->process, SIGKILL);
}

static int child_stderr(struct child *c)
{
    char name[64], dir[4096], path[4096];
    snprintf(name, sizeof name, "%s.stderr", c->what->name);
    if (fs_path(dir, sizeof dir, module_home(c->s->m), "log") != 0 ||
        fs_path(path, sizeof path, dir, name) != 0)
        return -1;
    /* Only what escapes the log lands here (sanitizers, the loader): it starts empty with each process. */
    return open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
}

static int child_spawn(struct child *c, char *reason, size_t reason_size)
{
    char exe[4096];
    if (fs_self_exe(exe, sizeof exe) != 0) {
        snprintf(reason, reason_size, "the path of this program cannot be read");
        return VX11_EIO;
    }
    int err_fd = child_stderr(c);
    char name[64];
    snprintf(name, sizeof name, "%s", c->what->name);
    char run[] = "run";
    char *argv[] = {exe, run, name, NULL};
    uv_pipe_init(module_loop(c->s->m), &c->notify, 0);
    c->notify.data = c;
    c->notify_open = true;
    c->s->open_handles++;
    uv_stdio_container_t stdio[4] = {
        {.flags = UV_IGNORE},
        {.flags = UV_IGNORE},
        {.flags = err_fd >= 0 ? UV_INHERIT_FD : UV_IGNORE, .data.fd = err_fd},
        {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&c->notify},
    };
    uv_process_options_t options = {
        .exit_cb = on_exit_, .file = exe, .args = argv, .stdio_count = 4, .stdio = stdio};
    c->process.data = c;
    int rc = uv_spawn(module_loop(c->s->m), &c->process, &options);
    if (err_fd >= 0)
        close(err_fd);
    /* libuv opens the handle even when spawning fails, and wants it closed. */
    c->process_open = true;
    c->s->open_handles++;
    if (rc != 0) {
        snprintf(reason, reason_size, "cannot be started: %s", uv_strerror(rc));
        return VX11_EIO;
    }
    uv_read_start((uv_stream_t *)&c->notify, on_alloc, on_words);
    return 0;
}

void child_start(struct child *c)
{
    if (c->process_open || c->s->stopping)
        return;
    struct error err = {0};
    uv_timer_stop(&c->timer);
    c->state = SUPERVISOR_PROCESS_STARTING;
    c->started_ms = clock_mono_ms();
    c->words_len = 0;
    c->words[0] = '\0';
    c->kill_sent = c->abort_sent = c->got_ready = false;
    c->oom_before = proc_oom_kills();
    c->next_start_ms = 0;
    child_addresses(c);
    if (child_spawn(c, c->reason, sizeof c->reason) != 0) {
        snprintf(c->last_exit, sizeof c->last_exit, "never started");
        log_error("child", "module cannot be started", LOG_S("name", c->what->name),
                  LOG_S("reason", c->reason));
        uv_close((uv_handle_t *)&c->process, on_process_closed);
        return;
    }
    if (module_run_start(module_store(c->s->m), c->what->name, c->process.pid, clock_wall_ms(), c->run_id,
                         &err) != 0) {
        c->run_id[0] = '\0';
        log_warn("child", "the start could not be recorded", LOG_S("name", c->what->name),
                 LOG_S("reason", err.text));
    }
    uv_timer_start(&c->timer, on_start_limit, (uint64_t)supervisor_config(c->s)->start_timeout_ms, 0);
}

/* ---- back-off ---- */

static void on_backoff_over(uv_timer_t *timer)
{
    struct child *c = timer->data;
    c->restarts++;
    child_start(c);
}

static void backoff_begin(struct child *c)
{
    const struct config_supervisor *config = supervisor_config(c->s);
    int64_t lived = clock_mono_ms() - c->started_ms;
    if (lived >= config->healthy_reset_ms)
        c->backoff_ms = config->backoff_min_ms;
    c->state =
        c->backoff_ms >= config->backoff_max_ms ? SUPERVISOR_PROCESS_FAILED : SUPERVISOR_PROCESS_BACKOFF;
    c->next_start_ms = clock_mono_ms() + c->backoff_ms;
    uv_timer_start(&c->timer, on_backoff_over, (uint64_t)c->backoff_ms, 0);
    c->backoff_ms *= 2;
    if (c->backoff_ms > config->backoff_max_ms)
        c->backoff_ms = config->backoff_max_ms;
}

/* ---- stop ---- */

static void on_stop_limit(uv_timer_t *timer)
{
    struct child *c = timer->data;
    log_warn("child", "module did not stop in time and is killed", LOG_S("name", c->what->name));
    c->kill_sent = true;
    uv_process_kill(&c->process, SIGKILL);
}

void child_abort(struct child *c)
{
    c->abort_sent = true;
    tell_run(c, LINK_MODULE_RUN_EVENT_HUNG, "it has stopped answering");
    uv_process_kill(&c->process, SIGABRT);
    uv_process_kill(&c->process, SIGCONT); /* one that was stopped could not write its report */
    uv_timer_start(&c->timer, on_stop_limit, CHILD_ABORT_LIMIT_MS, 0);
}

void child_stop(struct child *c, bool start_again)
{
    uv_timer_stop(&c->timer);
    c->restart_after_exit = start_again;
    if (!c->process_open) {
        c->state = SUPERVISOR_PROCESS_STOPPED;
        c->next_start_ms = 0;
        if (start_again) {
            c->restart_after_exit = false;
            child_start(c);
        } else {
            api_child_settled(c);
        }
        return;
    }
    c->state = SUPERVISOR_PROCESS_STOPPING;
    uv_process_kill(&c->process, SIGTERM);
    /* Behind the drain, so that a long one is not cut off by the limit for a module that hangs. */
    int64_t drain = module_config(c->s->m)->values->link->drain_ms;
    uv_timer_start(&c->timer, on_stop_limit, (uint64_t)(drain + supervisor_config(c->s)->stop_timeout_ms), 0);
}

void child_hurry(struct child *c)
{
    if (!c->process_open || c->kill_sent)
        return;
    uv_process_kill(&c->process, SIGTERM);
    uv_timer_start(&c->timer, on_stop_limit, (uint64_t)supervisor_config(c->s)->stop_timeout_ms, 0);
}
