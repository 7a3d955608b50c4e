/* Module: the life of a module's process, from its configuration to its last handle (see the drawing in
 * module.h).
 *
 * A start that fails says why in one sentence: in the log, on stderr, and on fd 3 for the supervisor. */
#include "module/module_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crash.h"
#include "base/fs.h"
#include "base/log.h"
#include "version.h"

#define NOTIFY_FD         3
#define WATCH_INTERVAL_MS 1000
#define WRITER_STOP_MS    10000
/* sun_path holds 108 bytes; "/run/engine-" and a model's name in short must fit behind the home. */
#define HOME_MAX 80

static void module_close_handles(struct module *m);

/* ---- accessors ---- */

void *module_context(struct module *m)
{
    return m->context;
}
const char *module_name(const struct module *m)
{
    return m->spec->contract->name;
}
uv_loop_t *module_loop(struct module *m)
{
    return &m->loop;
}
const struct config *module_config(struct module *m)
{
    return m->config;
}
struct store *module_store(struct module *m)
{
    return m->store;
}
struct writer *module_writer(struct module *m)
{
    return m->writer;
}
struct client *module_client(struct module *m)
{
    return m->client;
}
struct metrics *module_metrics(struct module *m)
{
    return m->metrics;
}
struct server *module_server(struct module *m)
{
    return m->server;
}
const char *module_home(struct module *m)
{
    return m->home;
}
const char *module_version(void)
{
    return VX11_VERSION;
}

double module_uptime_s(const struct module *m)
{
    return (double)(clock_mono_ms() - m->begun_ms) / 1000.0;
}
int module_auth_refresh(struct module *m, struct error *err)
{
    int rc = module_auth_load(m, err);
    if (rc == 0)
        server_recheck(m->server);
    return rc;
}

/* ---- the parent ---- */

/* Only a pipe is the supervisor's: a shell may have something else open there. */
static bool parent_listens(void)
{
    struct stat st;
    return fstat(NOTIFY_FD, &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode));
}

void module_tell_parent(const char *line)
{
    if (!parent_listens())
        return;
    char text[600];
    int n = snprintf(text, sizeof text, "%.590s\n", line);
    ssize_t written = write(NOTIFY_FD, text, (size_t)n);
    if (written < 0)
        log_warn("module", "the parent does not listen", LOG_I("errno", errno));
    close(NOTIFY_FD);
}

/* ---- configuration and log ---- */

/* The module's own level when log.modules names one. */
static enum log_level module_log_level(const struct config_log *log, const char *module)
{
    enum log_level level = LOG_INFO;
    const char *own = yyjson_get_str(yyjson_obj_get(log->modules, module));
    if ((own && log_level_parse(own, &level) == 0) ||
        log_level_parse(config_log_level_names[log->level], &level) == 0)
        return level;
    return LOG_INFO;
}

static void log_options_from(const struct module *m, char *path, size_t size, struct log_options *out)
{
    char dir[4096], file[64];
    const struct config_log *log = m->config->values->log;
    snprintf(file, sizeof file, "%s.log", m->spec->contract->name);
    bool fits = fs_path(dir, sizeof dir, m->home, "log") == 0 && fs_path(path, size, dir, file) == 0;
    *out = (struct log_options){
        .module = m->spec->contract->name,
        .path = fits ? path : NULL,
        .format = log->format == CONFIG_LOG_FORMAT_JSON ? LOG_JSON : LOG_LOGFMT,
        .level = module_log_level(log, m->spec->contract->name),
        .also_stderr = getenv("VX11_LOG_STDERR") != NULL,
        .rotate_bytes = (uint64_t)log->rotate_bytes,
        .total_bytes = (uint64_t)log->total_bytes,
    };
}

static int module_open_log(struct module *m, struct error *err)
{
    char path[4096];
    struct log_options options;
    log_options_from(m, path, sizeof path, &options);
    return log_open(&options, err);
}

int module_reload(struct module *m, struct arena *a, struct config_change **changes, size_t *n,
                  struct error *err)
{
    struct config *next = NULL;
    int rc = config_load(m->config_path, &next, err);
    if (rc != 0) {
        log_error("module", "the configuration is wrong and stays as it was",
                  LOG_S("reason", err ? err->text : ""));
        return rc;
    }
    struct config *before = m->config;
    rc = config_diff(before, next, a, changes, n);
    if (rc != 0) {
        config_free(next);
        return error_set(err, rc, "the configurations cannot be compared");
    }
    if (*n == 0) { /* who points into the one we have may go on doing so */
        config_free(next);
        return 0;
    }
    m->config = next;
    if (module_open_log(m, err) != 0)
        log_warn("module", "the log could not be reopened", LOG_S("reason", err ? err->text : ""));
    telemetry_reload(m->telemetry);
    if (m->spec->reload && m->context_ready)
        m->spec->reload(m, m->context, before, next);
    for (size_t i = 0; i < *n; i++)
        log_info("module",
                 (*changes)[i].restart ? "configuration: needs a restart" : "configuration: changed",
                 LOG_S("option", (*changes)[i].key));
    config_free(before);
    return 0;
}

/* ---- signals, watch ---- */

static void module_refresh(struct module *m)
{
    struct error err = {0};
    if (module_auth_refresh(m, &err) != 0)
        log_error("module", "tokens cannot be read again; the earlier ones stay", LOG_S("reason", err.text));
    if (module_state_load(m, &err) != 0)
        log_error("module", "the state cannot be read again", LOG_S("reason", err.text));
}

static void on_watch(uv_timer_t *timer)
{
    struct module *m = timer->data;
    int64_t version;
    struct error err = {0};
    module_look(m);
    m->store_unreadable = store_data_version(m->store, &version, &err) != 0;
    if (m->store_unreadable) {
        log_error("module", "the database cannot be read", LOG_S("reason", err.text));
        return;
    }
    if (version == m->data_version)
        return;
    m->data_version = version;
    module_refresh(m);
}

static void on_hangup(uv_signal_t *signal, int number)
{
    struct module *m = signal->data;
    struct config_change *changes;
    struct error err = {0};
    size_t n = 0;
    (void)number;
    struct arena *a = arena_create(0);
    if (a)
        module_reload(m, a, &changes, &n, &err);
    arena_destroy(a);
    module_refresh(m);
}

/* A second signal says: now. */
static void on_terminate(uv_signal_t *signal, int number)
{
    struct module *m = signal->data;
    log_info("module", m->stopping ? "stopping at once" : "stopping", LOG_I("signal", number));
    if (!m->stopping) {
        module_stop(m);
        return;
    }
    server_drain(m->server, 0, NULL, NULL);
    if (m->spec->hurry && m->context_ready)
        m->spec->hurry(m, m->context);
}

/* ---- stop ---- */

static void on_client_closed(void *ctx)
{
    struct module *m = ctx;
    module_close_handles(m);
}

static void on_spans_sent(struct module *m)
{
    client_close(m->client, on_client_closed, m);
}

static void on_work_stopped(struct module *m)
{
    module_events_close(m->events);
    telemetry_stop(m->telemetry, on_spans_sent);
}

static void on_drained(void *ctx)
{
    struct module *m = ctx;
    if (m->spec->stop && m->context_ready)
        m->spec->stop(m, m->context, on_work_stopped);
    else
        on_work_stopped(m);
}

void module_set_drain_limit(struct module *m, int64_t limit_ms)
{
    m->drain_ms = limit_ms;
}

void module_stop(struct module *m)
{
    if (m->stopping)
        return;
    m->stopping = true;
    if (m->spec->stopping && m->context_ready)
        m->spec->stopping(m, m->context);
    int64_t limit = m->drain_ms >= 0 ? m->drain_ms : m->config->values->link->drain_ms;
    server_drain(m->server, limit, on_drained, m);
}

static void module_close_handles(struct module *m)
{
    if (!m->handles_ready)
        return;
    m->handles_ready = false;
    metrics_stop(m->metrics);
    telemetry_close(m->telemetry);
    uv_close((uv_handle_t *)&m->on_term, NULL);
    uv_close((uv_handle_t *)&m->on_int, NULL);
    uv_close((uv_handle_t *)&m->on_hup, NULL);
    uv_close((uv_handle_t *)&m->watch, NULL);
}

/* ---- start ---- */

static int module_open_home(struct module *m, struct error *err)
{
    static const char *const folders[] = {"run", "log", "forensic", "models", "backups"};
    int rc = fs_home(m->home, sizeof m->home, err);
    if (rc != 0)
        return rc;
    if (strlen(m->home) > HOME_MAX)
        return error_set(
            err, VX11_ETOO_LARGE,
            "VX11_HOME is longer than %d characters, which Unix sockets below it cannot bear: %s", HOME_MAX,
            m->home);
    rc = fs_mkdirs(m->home, 0700, err);
    for (size_t i = 0; rc == 0 && i < sizeof folders / sizeof folders[0]; i++) {
        char path[4096];
        rc = fs_path(path, sizeof path, m->home, folders[i]);
        if (rc == 0)
            rc = fs_mkdirs(path, 0700, err);
    }
    return rc;
}

int module_store_path(const struct config *config, const char *home, char *out, size_t size)
{
    const char *path = config->values->store->path;
    if (!path || !path[0])
        return fs_path(out, size, home, "vx11.db");
    int n = snprintf(out, size, "%s", path);
    return n > 0 && (size_t)n < size ? 0 : VX11_ETOO_LARGE;
}

static int module_open_store(struct module *m, struct error *err)
{
    char path[4096];
    const struct config_store *config = m->config->values->store;
    int rc = module_store_path(m->config, m->home, path, sizeof path);
    if (rc != 0)
        return error_set(err, rc, "the path of the database is too long");
    struct store_options store = {.path = path, .busy_timeout_ms = config->busy_timeout_ms, .migrate = true};
    rc = store_open(&store, &m->store, err);
    if (rc != 0)
        return rc;
    struct writer_options writer = {
        .path = path,
        .busy_timeout_ms = config->busy_timeout_ms,
        .queue_rows = (size_t)config->writer_queue,
        .batch_rows = (unsigned)config->writer_batch,
        .delay_ms = config->writer_delay_ms,
    };
    rc = writer_start(&writer, &m->writer, err);
    if (rc == 0)
        rc = store_data_version(m->store, &m->data_version, err);
    return rc;
}

static int module_open_loop(struct module *m, struct error *err)
{
    if (uv_loop_init(&m->loop) != 0)
        return error_set(err, VX11_ENOMEM, "no event loop");
    m->loop_ready = true;
    m->metrics = metrics_create(&m->loop, module_name(m));
    m->auth = auth_create();
    if (!m->metrics || !m->auth)
        return error_set(err, VX11_ENOMEM, "out of memory");
    m->writer_queued = metrics_get(m->metrics, METRIC_GAUGE, "vx11_writer_queued", NULL,
                                   "Rows waiting for the batched writer.");
    m->writer_lost = metrics_get(m->metrics, METRIC_GAUGE, "vx11_writer_lost_rows", NULL,
                                 "Rows the batched writer refused or gave up.");
    if (!m->writer_queued || !m->writer_lost)
        return error_set(err, VX11_ENOMEM, "out of memory");
    int rc = client_create(&m->loop, &m->client, err);
    if (rc == 0 && client_set_metrics(m->client, m->metrics) != 0)
        return error_set(err, VX11_ENOMEM, "out of memory");
    if (rc == 0)
        rc = telemetry_create(m, &m->telemetry, err);
    if (rc != 0)
        return rc;
    uv_signal_init(&m->loop, &m->on_term);
    uv_signal_init(&m->loop, &m->on_int);
    uv_signal_init(&m->loop, &m->on_hup);
    uv_timer_init(&m->loop, &m->watch);
    m->on_term.data = m->on_int.data = m->on_hup.data = m->watch.data = m;
    m->handles_ready = true;
    uv_signal_start(&m->on_hup, on_hangup, SIGHUP);
    return module_events_create(m, &m->events) == 0 ? 0 : error_set(err, VX11_ENOMEM, "out of memory");
}

static int module_listen(struct module *m, struct error *err)
{
    char socket[108];
    struct server_listener listeners[8];
    const struct config_link *limits = m->config->values->link;
    if (module_socket(m, module_name(m), socket, sizeof socket) != 0)
        return error_set(err, VX11_ETOO_LARGE, "the path of the Unix socket is too long");
    listeners[0] = (struct server_listener){.path = socket};
    size_t n = 1 + (m->spec->listen ? m->spec->listen(m->config, listeners + 1, 7) : 0);
    int rc = m->spec->mount_count > 0 ? module_mount_create(m->spec, &m->mount, err) : 0;
    if (rc != 0)
        return rc;
    struct server_options options = {
        .loop = &m->loop,
        .contract = m->mount ? &m->mount->contract : m->spec->contract,
        .handlers = m->mount ? m->mount->handlers : m->spec->handlers,
        .module = m->context,
        .listeners = listeners,
        .listener_count = n,
        .auth = m->auth,
        .metrics = m->metrics,
        .tracer = telemetry_tracer(m->telemetry),
        .version = VX11_VERSION,
        .request_timeout_ms = limits->request_timeout_ms,
        .max_body = (uint64_t)limits->max_body_bytes,
        .header_timeout_ms = limits->header_timeout_ms,
        .stream_queue = (size_t)limits->stream_queue_bytes,
        .health = module_health,
        .health_ctx = m,
        .identified = module_auth_used,
        .identified_ctx = m,
    };
    if (m->spec->server_options)
        m->spec->server_options(m->config, &options);
    rc = server_start(&options, &m->server, err);
    if (rc == 0)
        server_set_state(m->server, m->state);
    return rc;
}

static int module_open(struct module *m, struct error *err)
{
    char forensic[4096];
    int rc = module_open_log(m, err);
    if (rc != 0)
        return rc;
    rc = fs_path(forensic, sizeof forensic, m->home, "forensic");
    struct crash_options crash = {.dir = forensic, .module = module_name(m), .version = VX11_VERSION};
    if (rc == 0)
        rc = crash_install(&crash, err);
    if (rc == 0 && m->spec->prepare)
        rc = m->spec->prepare(m->config, m->home, err);
    if (rc == 0)
        rc = module_open_store(m, err);
    if (rc == 0)
        rc = module_open_loop(m, err);
    if (rc == 0)
        rc = m->spec->start ? m->spec->start(m, &m->context, err) : 0;
    m->context_ready = rc == 0;
    if (rc == 0)
        rc = module_auth_load(m, err);
    if (rc == 0)
        rc = module_state_load(m, err);
    if (rc == 0)
        rc = module_listen(m, err);
    return rc;
}

static void module_close(struct module *m)
{
    uint64_t lost = m->writer ? writer_stop(m->writer, WRITER_STOP_MS) : 0;
    if (lost > 0)
        log_error("module", "rows were lost on stopping", LOG_I("rows", lost));
    server_destroy(m->server);
    module_mount_destroy(m->mount);
    module_events_destroy(m->events);
    telemetry_destroy(m->telemetry);
    auth_destroy(m->auth);
    metrics_destroy(m->metrics);
    if (m->store)
        store_close(m->store);
    if (m->loop_ready && uv_loop_close(&m->loop) != 0)
        log_error("module", "the event loop still holds handles");
    log_info("module", "stopped");
    log_close();
    config_free(m->config);
}

/* Ends the process at once: the kernel takes back what half a start holds, better than code that never runs
 * otherwise would. */
static _Noreturn void module_fail(const struct module *m, const struct error *err, int code)
{
    log_error("module", "cannot start", LOG_S("reason", err->text));
    fprintf(stderr, "vx11 %s: %s\n", m->spec->contract->name, err->text);
    module_tell_parent(err->text);
    log_close();
    fflush(stderr);
    _exit(code);
}

/* A module that the supervisor started ends when the supervisor does, however that came about: without it
 * nobody would watch it or could stop it. False: the supervisor is gone already. */
static bool module_follow_parent(const struct module_spec *spec)
{
    struct pollfd parent = {.fd = NOTIFY_FD};
    if (spec->stays || !parent_listens())
        return true;
    return prctl(PR_SET_PDEATHSIG, SIGTERM) == 0 && poll(&parent, 1, 0) == 0;
}

int module_run(const struct module_spec *spec)
{
    struct error err = {0};
    struct module *m = calloc(1, sizeof *m);
    if (!m)
        return 1;
    m->spec = spec;
    m->drain_ms = -1;
    m->begun_ms = clock_mono_ms();
    signal(SIGPIPE, SIG_IGN);
    fcntl(NOTIFY_FD, F_SETFD, FD_CLOEXEC);
    if (!module_follow_parent(spec)) {
        free(m);
        return 1;
    }
    if (module_open_home(m, &err) != 0)
        module_fail(m, &err, 1);
    if (config_path(m->config_path, sizeof m->config_path, &err) != 0 ||
        config_load(m->config_path, &m->config, &err) != 0)
        module_fail(m, &err, 78);
    if (module_open(m, &err) != 0)
        module_fail(m, &err, 1);
    uv_signal_start(&m->on_term, on_terminate, SIGTERM);
    uv_signal_start(&m->on_int, on_terminate, SIGINT);
    uv_timer_start(&m->watch, on_watch, WATCH_INTERVAL_MS, WATCH_INTERVAL_MS);
    log_info("module", "ready", LOG_S("version", VX11_VERSION), LOG_I("pid", getpid()));
    module_tell_parent("ready");
    uv_run(&m->loop, UV_RUN_DEFAULT);
    if (spec->free)
        spec->free(m->context);
    module_close(m);
    free(m);
    return 0;
}
