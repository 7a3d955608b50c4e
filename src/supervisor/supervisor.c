/* Supervisor: a module like the others (configuration, log, store, server on its Unix socket), whose work is
 * the other modules' processes. */
#include "supervisor/supervisor_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"
#include "store/states.h"

/* Between the two signals: the first must have been heard. */
#define HURRY_MS 100

static int port_link(const struct config *c)
{
    return (int)c->values->link->port;
}
static int port_switch(const struct config *c)
{
    return (int)c->values->switch_->port;
}
static int port_hermes(const struct config *c)
{
    return (int)c->values->hermes->port;
}
static int port_operator(const struct config *c)
{
    return (int)c->values->operator_->port;
}

const struct supervised supervisor_modules[] = {
    {"link", port_link},
    {"switch", port_switch},
    {"hermes", port_hermes},
    {"operator", port_operator},
};
const size_t supervisor_module_count = COUNT_OF(supervisor_modules);

const struct config_supervisor *supervisor_config(struct supervisor *s)
{
    return module_config(s->m)->values->supervisor;
}

/* ---- stop ---- */

static void on_timer_closed(uv_handle_t *h)
{
    struct supervisor *s = h->data;
    s->open_handles--;
    supervisor_child_gone(s);
}

/* Processes first, then the handles, then the module: each step asks here whether it was the last. */
void supervisor_child_gone(struct supervisor *s)
{
    if (!s->stopping)
        return;
    for (size_t i = 0; i < s->child_count; i++)
        if (child_is_alive(&s->children[i]))
            return;
    for (size_t i = 0; i < s->child_count; i++)
        child_close(&s->children[i]);
    retain_stop(s);
    chores_stop(s);
    if (s->health_open)
        uv_close((uv_handle_t *)&s->health, on_timer_closed);
    if (s->hurry_open)
        uv_close((uv_handle_t *)&s->hurry, on_timer_closed);
    s->health_open = s->hurry_open = false;
    if (s->open_handles > 0)
        return;
    void (*stopped)(struct module * m) = s->stopped;
    if (!stopped)
        return;
    s->stopped = NULL;
    stopped(s->m);
}

static void supervisor_free(void *context)
{
    if (context)
        chores_free(context);
    free(context);
}

static void on_hurry(uv_timer_t *timer)
{
    struct supervisor *s = timer->data;
    for (size_t i = 0; i < s->child_count; i++)
        child_hurry(&s->children[i]);
}

/* Asked to stop twice: the modules are told a second time too. */
static void supervisor_hurry(struct module *m, void *context)
{
    struct supervisor *s = context;
    (void)m;
    s->hurried = true;
    if (s->stopping && s->hurry_open)
        on_hurry(&s->hurry);
}

/* Front door first, so that nothing new comes in; the others drain behind it. */
static void supervisor_stop(struct module *m, void *context, void (*done)(struct module *m))
{
    struct supervisor *s = context;
    (void)m;
    s->stopping = true;
    s->stopped = done;
    __atomic_store_n(&s->stop_verifying, true, __ATOMIC_RELAXED);
    if (!s->stop_noted) /* SIGTERM, Ctrl-C */
        supervisor_note(s, "stop", "signal", NULL, NULL, NULL);
    chores_stop(s);
    for (size_t i = 0; i < s->child_count; i++)
        if (child_is_alive(&s->children[i]))
            child_stop(&s->children[i], false);
    int64_t limit = s->hurried ? HURRY_MS : s->stop_limit_ms;
    if (limit >= 0)
        uv_timer_start(&s->hurry, on_hurry, (uint64_t)(limit > HURRY_MS ? limit : HURRY_MS), 0);
    supervisor_child_gone(s);
}

/* ---- start ---- */

static int supervisor_start(struct module *m, void **context, struct error *err)
{
    struct supervisor *s = calloc(1, sizeof *s);
    if (!s)
        return error_set(err, VX11_ENOMEM, "out of memory");
    *context = s;
    s->m = m;
    s->begun_ms = clock_mono_ms();
    s->stop_limit_ms = -1;
    int rc = first_token(m, err);
    for (size_t i = 0; rc == 0 && i < supervisor_module_count; i++) {
        struct module_state_row row;
        rc = module_state_get(module_store(m), supervisor_modules[i].name, &row, err);
        if (rc != 0)
            break;
        child_init(s, &s->children[s->child_count], &supervisor_modules[i], (enum common_state)row.state);
        s->child_count++;
    }
    if (rc == 0)
        supervisor_note(s, "start", "supervisor", NULL, "version", module_version());
    if (rc == 0)
        rc = retain_start(s, err);
    if (rc == 0)
        rc = chores_start(s, err);
    if (rc != 0)
        return rc;
    uv_timer_init(module_loop(m), &s->hurry);
    s->hurry.data = s;
    s->hurry_open = true;
    s->open_handles++;
    watch_start(s);
    for (size_t i = 0; i < s->child_count; i++)
        if (s->children[i].wanted != COMMON_STATE_OFF)
            child_start(&s->children[i]);
    return 0;
}

/* However the reload was asked for (a command or SIGHUP), the modules follow. */
static void supervisor_reload(struct module *m, void *context, const struct config *before,
                              const struct config *now)
{
    struct supervisor *s = context;
    (void)m;
    if (!s->reload_noted)
        supervisor_note(s, "config.reload", "signal", NULL, NULL, NULL);
    if (before->values->supervisor->health_interval_ms != now->values->supervisor->health_interval_ms)
        watch_interval(s);
    for (size_t i = 0; i < s->child_count; i++)
        if (child_is_alive(&s->children[i]))
            uv_process_kill(&s->children[i].process, SIGHUP);
}

static void supervisor_health(void *context, struct health *h)
{
    const struct supervisor *s = context;
    for (size_t i = 0; i < s->child_count; i++) {
        const struct child *c = &s->children[i];
        if (c->wanted != COMMON_STATE_OFF && c->state != SUPERVISOR_PROCESS_RUNNING)
            health_add(h, c->what->name, 1, c->reason[0] ? c->reason : "not running");
    }
    retain_health(s, h);
    chores_health(s, h);
}

/* One supervisor for each home: the lock is held as long as the process lives. */
static int supervisor_lock(int *lock_fd, struct error *err)
{
    char home[3072], run[4096], path[4096], pid[32];
    int rc = fs_home(home, sizeof home, err);
    if (rc == 0)
        rc = fs_path(run, sizeof run, home, "run");
    if (rc == 0)
        rc = fs_mkdirs(run, 0700, err);
    if (rc == 0)
        rc = fs_path(path, sizeof path, run, "supervisor.lock");
    if (rc != 0)
        return rc;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_set_errno(err, errno, "%s cannot be opened", path);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        ssize_t n = read(fd, pid, sizeof pid - 1);
        pid[n > 0 ? n : 0] = '\0';
        close(fd);
        return error_set(err, VX11_EBUSY, "VX11 runs already in %s (process %.*s)", home,
                         (int)strcspn(pid, "\n"), pid);
    }
    int len = snprintf(pid, sizeof pid, "%d\n", (int)getpid());
    if (ftruncate(fd, 0) != 0 || pwrite(fd, pid, (size_t)len, 0) != len) {
        rc = error_set_errno(err, errno, "%s cannot be written", path);
        close(fd);
        return rc;
    }
    *lock_fd = fd;
    return 0;
}

int supervisor_run(void)
{
    static const struct module_spec spec = {
        .contract = &supervisor_module,
        .handlers = supervisor_handlers,
        .prepare = chores_before_start,
        .start = supervisor_start,
        .stop = supervisor_stop,
        .free = supervisor_free,
        .health = supervisor_health,
        .reload = supervisor_reload,
        .hurry = supervisor_hurry,
        .stays = true,
    };
    struct error err = {0};
    int lock_fd = -1;
    int rc = supervisor_lock(&lock_fd, &err);
    if (rc != 0) {
        module_tell_parent(err.text);
        fprintf(stderr, "vx11: %s\n", err.text);
        return rc == VX11_EBUSY ? 2 : 1;
    }
    int code = module_run(&spec);
    close(lock_fd);
    return code;
}
