/* What is different about a process of an external engine: its arguments come from a template, a guard stands
 * between us, it is asked by plain HTTP, and it does not tell how much it has to do.
 *
 * How busy it is: the slots that it lists, when the configuration says where; else the connections to its
 * port, of which ours are none, for we close them. Where neither can be seen (a Unix socket, a port inside a
 * container) it counts as busy for a while after each hand-out, since nobody can tell. */
#include "hermes/worker_external.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/guard.h"
#include "base/log.h"
#include "base/proc.h"
#include "base/str.h"

#define OUTPUT_BYTES    (4 << 20) /* of its output's file; one earlier file of that size is kept */
#define UNKNOWN_BUSY_MS 60000
#define SLOTS_BYTES     (1u << 20)
#define PROBE_LIMIT_MS  5000

/* ---- names, port, output ---- */

static int free_port(int *out, struct error *err)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int rc = 0;
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) != 0 ||
        getsockname(fd, (struct sockaddr *)&at, &len) != 0)
        rc = error_set_errno(err, errno, "there is no free port for the engine");
    else
        *out = ntohs(at.sin_port);
    if (fd >= 0)
        close(fd);
    return rc;
}

static void output_open(struct worker *w)
{
    struct stat st;
    char before[sizeof w->log + 2];
    if (w->output >= 0 || (stat(w->log, &st) == 0 && st.st_size >= OUTPUT_BYTES)) {
        (void)snprintf(before, sizeof before, "%s.1", w->log);
        (void)rename(w->log, before);
    }
    if (w->output >= 0)
        close(w->output);
    w->output = open(w->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    w->output_bytes = w->output >= 0 && fstat(w->output, &st) == 0 ? (int64_t)st.st_size : 0;
    if (w->output < 0)
        log_warn("engines", "the output of an engine is not kept", LOG_S("path", w->log),
                 LOG_S("reason", strerror(errno)));
}

void external_output(struct worker *w, const char *data, size_t len)
{
    if (w->output < 0)
        return;
    if (w->output_bytes + (int64_t)len > OUTPUT_BYTES)
        output_open(w);
    const ssize_t n = w->output >= 0 ? write(w->output, data, len) : -1;
    w->output_bytes += n > 0 ? n : 0;
}

void external_close(struct worker *w)
{
    if (w->output >= 0)
        close(w->output);
    w->output = -1;
    external_unref(w->external);
    w->external = NULL;
}

/* Names of models may hold what names of files cannot. */
static const char *file_name(const struct engine *e)
{
    return strpbrk(e->name, "/") ? e->id : e->name;
}

int external_prepare(struct engine *e, struct worker *w, struct error *err)
{
    const char *home = e->all->home;
    char folder[4096];
    struct external *x = e->external;
    int rc = x->problem[0] ? error_set(err, VX11_EUNAVAILABLE, "%s: %s", x->name, x->problem) : 0;
    w->output = -1;
    w->external = external_ref(x);
    if (rc == 0 && (x->by_socket && (size_t)snprintf(w->socket, sizeof w->socket, "%s/run/engine-%s.sock",
                                                     home, e->id + ULID_LEN - 10) >= sizeof w->socket))
        rc =
            error_set(err, VX11_ETOO_LARGE, "the path of VX11's home is too long for a Unix socket below it");
    if (rc == 0 && !x->by_socket && !x->base_url)
        rc = free_port(&w->port, err);
    if (rc == 0)
        rc = fs_path(folder, sizeof folder, home, "log");
    if (rc == 0)
        rc = fs_mkdirs(folder, 0700, err);
    if (rc != 0)
        return rc;
    if (w->port > 0)
        (void)snprintf(w->base_url, sizeof w->base_url, "http://127.0.0.1:%d", w->port);
    else
        (void)snprintf(w->base_url, sizeof w->base_url, "%s",
                       x->by_socket ? "http://localhost" : x->base_url);
    (void)snprintf(w->log, sizeof w->log, "%.3900s/log/external-%s.out", home, file_name(e));
    w->target = (struct client_target){.base_url = w->base_url, .socket = x->by_socket ? w->socket : NULL};
    if (x->by_socket)
        (void)unlink(w->socket);
    output_open(w);
    return 0;
}

/* ---- starting it ---- */

static int fill_values(const struct engine *e, const struct worker *w, struct external_values *out)
{
    const struct engine_params *p = &e->all->params;
    int64_t ctx = p->ctx > 0 ? p->ctx : p->max_ctx;
    if (e->context_length > 0 && e->context_length < ctx)
        ctx = e->context_length;
    *out = (struct external_values){
        .model = e->external->wants_file && e->path[0] && !str_starts(e->path, "/dev/null/") ? e->path : NULL,
        .name = e->name,
        .socket = w->external->by_socket ? w->socket : NULL,
        .port = w->port > 0 ? w->port : -1,
        .ctx = ctx,
        .threads = p->threads > 0 ? p->threads : (int64_t)proc_physical_cores(),
    };
    return 0;
}

int external_spawn(struct engine *e, struct worker *w, uv_exit_cb on_exit, struct error *err)
{
    struct external *x = w->external;
    struct external_values values;
    char self[4096], parent[24];
    char **argv = NULL, **whole = NULL;
    (void)fill_values(e, w, &values);
    int rc = template_fill(x->argv, x->argc, &values, &argv, err);
    if (rc != 0)
        return rc;
    rc = fs_self_exe(self, sizeof self);
    whole = rc == 0 ? calloc(x->argc + 5, sizeof *whole) : NULL;
    if (!whole) {
        template_free(argv);
        return error_set(err, rc != 0 ? rc : VX11_ENOMEM, "the engine cannot be started: %s",
                         error_describe(rc != 0 ? rc : VX11_ENOMEM));
    }
    (void)snprintf(parent, sizeof parent, "%d", (int)getpid());
    char command[] = GUARD_COMMAND, dashes[] = "--";
    char *first[] = {self, command, parent, dashes};
    memcpy(whole, first, sizeof first);
    memcpy(whole + COUNT_OF(first), argv, x->argc * sizeof *argv);
    uv_stdio_container_t stdio[3] = {{.flags = UV_IGNORE}, {.flags = UV_IGNORE}};
    stdio[2].flags = (uv_stdio_flags)(UV_CREATE_PIPE | UV_WRITABLE_PIPE);
    stdio[2].data.stream = (uv_stream_t *)&w->errors;
    const uv_process_options_t options = {
        .exit_cb = on_exit,
        .file = self,
        .args = whole,
        .env = x->env,
        .flags = UV_PROCESS_DETACHED, /* a session and group of its own, which ends as one */
        .stdio_count = 3,
        .stdio = stdio,
    };
    rc = uv_spawn(e->all->loop, &w->process, &options);
    free(whole);
    template_free(argv);
    w->notify_over = true;
    return rc == 0 ? 0
                   : error_set(err, VX11_EUNAVAILABLE, "%.300s cannot be started: %s", x->argv[0],
                               uv_strerror(rc));
}

int external_kill(struct worker *w, int sig)
{
    return kill(-w->pid, sig) == 0 ? 0 : VX11_ENOT_FOUND;
}

/* ---- asking how it is ---- */

struct asking {
    struct worker *w;
    struct buf body;
    bool slots;
    int64_t connections; /* below 0: cannot be seen */
};

static void ask(struct asking *a);

static void asking_over(struct asking *a, bool answered)
{
    struct worker *w = a->w;
    buf_free(&a->body);
    free(a);
    worker_probe_over(w, answered);
}

/* -1: the answer is none that we know. */
static int64_t count_slots(const struct buf *body)
{
    struct arena *a = arena_create(8u << 20);
    yyjson_val *root = NULL, *slot;
    struct contract_error bad;
    size_t i, n;
    int64_t busy = -1;
    if (a && body->len > 0 && contract_json_parse(a, body->data, body->len, NULL, &root, &bad) == 0 &&
        yyjson_is_arr(root)) {
        busy = 0;
        yyjson_arr_foreach(root, i, n, slot)
        {
            busy += yyjson_get_bool(yyjson_obj_get(slot, "is_processing"));
        }
    }
    arena_destroy(a);
    return busy;
}

static void take_busy(struct worker *w, int64_t busy)
{
    struct engine *e = w->engine;
    const int64_t now = clock_mono_ms();
    e->busy_at_mono = now;
    if (busy >= 0) {
        e->busy = busy;
        if (busy > 0)
            e->last_used_mono = now;
    } else {
        e->busy = now - e->last_used_mono < UNKNOWN_BUSY_MS;
    }
}

/* It answers on the port that we chose, but is it the one that we started? */
static bool port_is_ours(struct worker *w)
{
    char name[64], why[160];
    pid_t holder;
    if (w->port == 0 || proc_port_holder(w->port, &holder, name, sizeof name) != 0 ||
        getpgid(holder) == w->pid)
        return true; /* or cannot be seen: inside a container */
    (void)snprintf(why, sizeof why, "port %d was taken by %s (process %d)", w->port, name, (int)holder);
    worker_give_up(w, why);
    return false;
}

static void take_health(struct asking *a, int status)
{
    struct worker *w = a->w;
    struct engine *e = w->engine;
    w->unanswered = 0;
    if (e->state == HERMES_ENGINE_STATE_READY) {
        take_busy(w, a->connections);
        engine_on_status(e);
    } else if (status == 200 && port_is_ours(w)) {
        e->busy = 0;
        e->busy_at_mono = clock_mono_ms();
        engine_on_ready(e);
    } else if (status != 200) {
        e->state = HERMES_ENGINE_STATE_LOADING;
        engine_tell_load(e, LINK_MODEL_LOAD_STATE_LOADING, NULL);
    }
}

static void on_data(struct client_call *call, void *ctx, const char *data, size_t len)
{
    struct asking *a = ctx;
    if (a->slots && (a->body.len + len > SLOTS_BYTES || buf_append(&a->body, data, len) != 0))
        client_cancel(call);
}

static void on_done(struct client_call *call, void *ctx, int result, const struct error *err)
{
    struct asking *a = ctx;
    struct worker *w = a->w;
    struct engine *e = w->engine;
    const int status = result == 0 ? client_call_status(call) : 0;
    (void)err;
    w->probe = NULL;
    if (!e || w->exited || w->stop_asked || w->kill_at != 0) {
        asking_over(a, true);
        return;
    }
    const bool ready = e->state == HERMES_ENGINE_STATE_READY;
    if (a->slots) {
        const int64_t busy = status == 200 ? count_slots(&a->body) : -1;
        a->connections = busy >= 0 ? busy : a->connections;
        take_health(a, 200);
        asking_over(a, true);
    } else if (ready && status == 200 && w->external->slots) {
        a->slots = true;
        ask(a);
    } else if (status == 200 || (status > 0 && !ready)) {
        take_health(a, status);
        asking_over(a, true);
    } else {
        /* One that answers others may be too busy for us. */
        if (ready && a->connections > 0)
            take_busy(w, a->connections);
        asking_over(a, !ready || a->connections > 0);
    }
}

static const struct client_events asking_events = {.on_data = on_data, .on_done = on_done};

static void ask(struct asking *a)
{
    struct worker *w = a->w;
    const struct engines *all = w->engine->all;
    struct error err = {0};
    const int64_t limit = all->params.answer_limit_ms > 0 ? all->params.answer_limit_ms : PROBE_LIMIT_MS;
    const struct client_call_options options = {
        .deadline_ms = clock_mono_ms() + limit, .connect_timeout_ms = limit, .once = true, .poll = true};
    if (client_start(all->client, &w->target, "GET", a->slots ? w->external->slots : w->external->health,
                     NULL, NULL, 0, &options, &asking_events, a, &w->probe, &err) != 0) {
        w->probe = NULL;
        log_error("engines", "an engine cannot be asked", LOG_S("model", w->engine->name),
                  LOG_S("reason", err.text));
        asking_over(a, true);
    }
}

void external_probe(struct worker *w)
{
    struct asking *a = calloc(1, sizeof *a);
    w->open++; /* until worker_probe_over */
    if (!a) {
        worker_probe_over(w, true);
        return;
    }
    a->w = w;
    a->connections =
        w->port > 0 && w->engine->state == HERMES_ENGINE_STATE_READY ? proc_port_connections(w->port) : -1;
    ask(a);
}
