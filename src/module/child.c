/* Child: its life in the loop, from the fork to the last byte (see the drawing in child.h).
 *
 * It is over when the process has ended and both of its outputs have. Before its pid is given back to the
 * kernel its whole group is killed: until then no other group can have that number. */
#include "module/child_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/proc.h"

#define OUT_DEFAULT   ((size_t)1 << 20)
#define GRACE_DEFAULT 2000
#define PIPES_MS      500 /* for output that is still under way when the process has ended */

struct output {
    uv_pipe_t pipe;
    struct child *child;
    int fd; /* 1 or 2 */
    size_t max;
    uint64_t bytes;
    bool over;
};

struct child {
    uv_loop_t *loop;
    pid_t pid;
    int pidfd;
    uv_poll_t watch;
    uv_timer_t timer;
    uv_pipe_t input;
    struct output out, err;
    uv_write_t write;
    char *input_data;
    unsigned handles; /* open ones */
    bool end_at_out_max, exited, finished, terminated, paused;
    int64_t started_mono, grace_ms, deadline_mono;
    uint64_t oom_before;
    struct child_result result;
    void (*on_output)(void *ctx, int fd, const char *data, size_t len);
    void (*on_end)(void *ctx, const struct child_result *result);
    void *ctx;
    char chunk[16384];
};

/* ---- the end ---- */

static void child_release(struct child *c)
{
    if (--c->handles > 0)
        return;
    if (c->pidfd >= 0)
        close(c->pidfd);
    if (c->on_end)
        c->on_end(c->ctx, &c->result);
    free(c->input_data);
    free(c);
}

static void on_closed(uv_handle_t *h)
{
    child_release(h->data);
}

static void close_handle(uv_handle_t *h)
{
    if (!uv_is_closing(h))
        uv_close(h, on_closed);
}

static void child_finish(struct child *c)
{
    if (c->finished)
        return;
    c->finished = true;
    c->result.duration_ms = clock_mono_ms() - c->started_mono;
    c->result.out_bytes = c->out.bytes;
    c->result.err_bytes = c->err.bytes;
    c->result.out_truncated = c->out.bytes > c->out.max;
    c->result.err_truncated = c->err.bytes > c->err.max;
    close_handle((uv_handle_t *)&c->watch);
    close_handle((uv_handle_t *)&c->timer);
    close_handle((uv_handle_t *)&c->input);
    close_handle((uv_handle_t *)&c->out.pipe);
    close_handle((uv_handle_t *)&c->err.pipe);
}

static void finish_if_over(struct child *c)
{
    if (c->exited && c->out.over && c->err.over)
        child_finish(c);
}

static void group_signal(const struct child *c, int sig)
{
    if (c->exited)
        return;
    (void)kill(-c->pid, sig);
    (void)kill(c->pid, sig); /* between fork and setsid there is no group yet */
}

static void on_timer(uv_timer_t *timer);

static void child_terminate(struct child *c)
{
    if (c->exited)
        return;
    group_signal(c, c->terminated ? SIGKILL : SIGTERM);
    if (!c->terminated)
        uv_timer_start(&c->timer, on_timer, (uint64_t)c->grace_ms, 0);
    c->terminated = true;
}

static void on_timer(uv_timer_t *timer)
{
    struct child *c = timer->data;
    if (c->exited) { /* what holds its pipes open now is none of its group: it is not waited for */
        child_finish(c);
        return;
    }
    if (!c->terminated)
        c->result.timed_out = true;
    child_terminate(c);
}

static void child_reap(struct child *c)
{
    struct rusage usage;
    siginfo_t info = {0};
    int status = 0;
    if (waitid(P_PID, (id_t)c->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == 0)
        return;                   /* not yet, whatever woke us */
    (void)kill(-c->pid, SIGKILL); /* it is still a zombie, so the number is its own */
    pid_t got;
    do
        got = wait4(c->pid, &status, 0, &usage);
    while (got < 0 && errno == EINTR);
    c->exited = true;
    c->result.exit_code = got == c->pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    c->result.term_signal = got == c->pid && WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    if (got == c->pid)
        c->result.cpu_ms = (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000 +
                           (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000;
    bool sigkilled =
        c->result.term_signal == SIGKILL || (c->result.sandboxed && c->result.exit_code == 128 + SIGKILL);
    c->result.oom = sigkilled && !c->terminated && proc_oom_kills() > c->oom_before;
    uv_poll_stop(&c->watch);
    uv_timer_start(&c->timer, on_timer, PIPES_MS, 0);
    if (c->paused)
        child_resume(c);
    finish_if_over(c);
}

static void on_watch(uv_poll_t *watch, int status, int events)
{
    (void)status;
    (void)events;
    child_reap(watch->data);
}

/* ---- its output ---- */

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
    struct child *c = h->data;
    (void)suggested;
    *buf = uv_buf_init(c->chunk, sizeof c->chunk);
}

static void output_take(struct output *o, const char *data, size_t len)
{
    struct child *c = o->child;
    uint64_t before = o->bytes;
    o->bytes += len;
    if (before < o->max && c->on_output) {
        uint64_t room = o->max - before;
        c->on_output(c->ctx, o->fd, data, len < room ? len : (size_t)room);
    }
    if (o->bytes > o->max && o->fd == 1 && c->end_at_out_max && !c->terminated) {
        c->result.killed = true;
        child_terminate(c);
    }
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct child *c = stream->data;
    struct output *o = stream == (uv_stream_t *)&c->out.pipe ? &c->out : &c->err;
    if (n > 0)
        output_take(o, buf->base, (size_t)n);
    if (n >= 0)
        return;
    uv_read_stop(stream);
    o->over = true;
    finish_if_over(c);
}

void child_pause(struct child *c)
{
    if (!c->paused && !c->out.over && !c->exited && !c->finished) {
        uv_read_stop((uv_stream_t *)&c->out.pipe);
        c->paused = true;
    }
}

void child_resume(struct child *c)
{
    if (c->paused && !c->finished && !c->out.over)
        uv_read_start((uv_stream_t *)&c->out.pipe, on_alloc, on_read);
    c->paused = false;
}

/* ---- its input ---- */

static void on_written(uv_write_t *w, int status)
{
    struct child *c = w->data;
    (void)status; /* a program that does not read its input to the end is free to */
    if (!uv_is_closing((uv_handle_t *)&c->input))
        close_handle((uv_handle_t *)&c->input);
}

/* ---- the start ---- */

struct ends { /* the child's ends of the pipes */
    int in, out, err;
};

static void ends_close(struct ends *e)
{
    if (e->in >= 0)
        close(e->in);
    if (e->out >= 0)
        close(e->out);
    if (e->err >= 0)
        close(e->err);
    *e = (struct ends){-1, -1, -1};
}

/* ours: index of our end. Only ours must not block. */
static int pipe_open(uv_pipe_t *pipe, int ours, int *theirs)
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) != 0)
        return -errno;
    int rc = uv_pipe_open(pipe, fds[ours]);
    if (rc != 0) {
        close(fds[0]);
        close(fds[1]);
        return rc;
    }
    *theirs = fds[1 - ours];
    return 0;
}

static int open_pipes(struct child *c, bool input, struct ends *e)
{
    int rc = pipe_open(&c->out.pipe, 0, &e->out);
    if (rc == 0)
        rc = pipe_open(&c->err.pipe, 0, &e->err);
    if (rc == 0 && input)
        rc = pipe_open(&c->input, 1, &e->in);
    return rc;
}

static void init_handles(struct child *c, const struct child_options *o)
{
    c->out = (struct output){.child = c, .fd = 1, .max = o->out_max ? o->out_max : OUT_DEFAULT};
    c->err = (struct output){.child = c, .fd = 2, .max = o->err_max ? o->err_max : OUT_DEFAULT};
    uv_timer_init(c->loop, &c->timer);
    uv_pipe_init(c->loop, &c->input, 0);
    uv_pipe_init(c->loop, &c->out.pipe, 0);
    uv_pipe_init(c->loop, &c->err.pipe, 0);
    c->timer.data = c->input.data = c->out.pipe.data = c->err.pipe.data = c->watch.data = c->write.data = c;
    c->handles = 4;
}

/* A start that failed: nobody is told. */
static void init_undo(struct child *c)
{
    c->on_end = NULL;
    c->finished = true;
    close_handle((uv_handle_t *)&c->timer);
    close_handle((uv_handle_t *)&c->input);
    close_handle((uv_handle_t *)&c->out.pipe);
    close_handle((uv_handle_t *)&c->err.pipe);
}

static int launch(struct child *c, const struct child_options *o, const char *const *argv, struct error *err)
{
    struct ends ends = {-1, -1, -1};
    int rc = open_pipes(c, c->input_data != NULL, &ends);
    if (rc != 0) {
        ends_close(&ends);
        return error_set(err, VX11_EUNAVAILABLE, "no pipes for a program: %s", uv_strerror(rc));
    }
    const struct child_spawn s = {.argv = argv,
                                  .env = o->env,
                                  .cwd = o->cwd,
                                  .in = ends.in,
                                  .out = ends.out,
                                  .err = ends.err,
                                  .limits = o->limits,
                                  .sandboxed = c->result.sandboxed};
    rc = child_spawn(&s, &c->pid, &c->pidfd, err);
    ends_close(&ends);
    if (rc != 0)
        return rc;
    (void)uv_poll_init(c->loop, &c->watch,
                       c->pidfd); /* a descriptor that epoll takes, by the kernel's word */
    c->handles++;
    uv_poll_start(&c->watch, UV_READABLE, on_watch);
    return 0;
}

static void begin(struct child *c, const struct child_options *o)
{
    uv_read_start((uv_stream_t *)&c->out.pipe, on_alloc, on_read);
    uv_read_start((uv_stream_t *)&c->err.pipe, on_alloc, on_read);
    uv_update_time(c->loop); /* the fork took its time, and what ran before us may have */
    if (o->timeout_ms > 0)
        uv_timer_start(&c->timer, on_timer, (uint64_t)o->timeout_ms, 0);
    if (!c->input_data)
        return;
    uv_buf_t buf = uv_buf_init(c->input_data, (unsigned)o->input_len);
    if (uv_write(&c->write, (uv_stream_t *)&c->input, &buf, 1, on_written) != 0)
        close_handle((uv_handle_t *)&c->input);
}

/* Whether it goes into bubblewrap; an error when it must and cannot. */
static int choose_sandbox(const struct child_options *o, bool *sandboxed, struct error *err)
{
    *sandboxed = false;
    if (o->sandbox == CHILD_SANDBOX_OFF)
        return 0;
    const char *problem = child_sandbox_problem();
    *sandboxed = problem == NULL;
    if (problem && o->sandbox == CHILD_SANDBOX_REQUIRED)
        return error_set(err, VX11_EUNSUPPORTED, "the sandbox is required, and %.400s", problem);
    return 0;
}

static int check(const struct child_options *o, struct error *err)
{
    if (!o->argv || !o->argv[0] || o->argv[0][0] != '/')
        return error_set(err, VX11_EINVALID, "a program is named by its absolute path");
    if (!o->cwd || o->cwd[0] != '/')
        return error_set(err, VX11_EINVALID, "a working folder is named by its absolute path");
    if (o->input_len > UINT32_MAX)
        return error_set(err, VX11_ETOO_LARGE, "the input is too large");
    if (access(o->argv[0], X_OK) != 0)
        return error_set_errno(err, errno, "%.300s cannot be run", o->argv[0]);
    return 0;
}

int child_begin(const struct child_options *o, struct child **out, struct error *err)
{
    bool sandboxed;
    int rc = check(o, err);
    if (rc == 0)
        rc = choose_sandbox(o, &sandboxed, err);
    if (rc != 0)
        return rc;
    struct child *c = calloc(1, sizeof *c);
    const char **argv = c && sandboxed ? child_sandbox_argv(o) : NULL;
    if (c && o->input) {
        c->input_data = malloc(o->input_len + 1);
        if (c->input_data)
            memcpy(c->input_data, o->input, o->input_len);
    }
    if (!c || (sandboxed && !argv) || (o->input && !c->input_data)) {
        if (c)
            free(c->input_data);
        free(c);
        free(argv);
        return error_set(err, VX11_ENOMEM, "out of memory");
    }
    c->loop = o->loop;
    c->pidfd = -1;
    c->end_at_out_max = o->end_at_out_max;
    c->grace_ms = o->grace_ms > 0 ? o->grace_ms : GRACE_DEFAULT;
    c->on_output = o->on_output;
    c->on_end = o->on_end;
    c->ctx = o->ctx;
    c->result = (struct child_result){.exit_code = -1, .sandboxed = sandboxed};
    c->started_mono = clock_mono_ms();
    c->oom_before = proc_oom_kills();
    init_handles(c, o);
    rc = launch(c, o, argv ? argv : o->argv, err);
    free(argv);
    if (rc != 0) {
        init_undo(c);
        return rc;
    }
    begin(c, o);
    *out = c;
    return 0;
}

void child_kill(struct child *c)
{
    if (c->exited || c->finished)
        return;
    if (!c->result.timed_out)
        c->result.killed = true;
    child_terminate(c);
}

void child_abandon(struct child *c)
{
    c->on_output = NULL;
    c->on_end = NULL;
    child_kill(c);
}

pid_t child_pid(const struct child *c)
{
    return c->pid;
}
