/* Detection: which program is behind a tool's name, which version, logged in or not. Nothing is written but,
 * at the end and when it was asked for, the rows.
 *
 *   find (folders) ─> hash (pool) ─> version (child) ─> login (environment, files, child) ─> next tool
 *
 * Tools are looked at one after the other, so that seven programs do not start at once on a small machine. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "hermes/tools/tools_internal.h"

#define PROBE_MS      10000
#define HASH_MAX      (INT64_C(64) << 20)
#define LOOK_AGAIN_MS 2000 /* between two looks at a tool that nobody asked for */

struct detection {
    struct detection *next;
    struct tools *all;
    struct arena *arena;
    bool apply, cancelled;
    tools_detect_fn fn; /* NULL: forgotten */
    void *ctx;
    int64_t started_mono;
    struct tool **tools;
    struct binding *found;
    size_t count, at;
    /* of the tool that is looked at */
    uv_work_t work;
    struct child *child;
    struct surroundings around;
    struct buf said;
    const char *const *prefix;
    char hex[2 * crypto_hash_sha256_BYTES + 1];
    enum { STEP_FIND, STEP_HASH, STEP_VERSION, STEP_LOGIN } step;
};

static void detection_step(struct detection *d);

/* ---- the end ---- */

static void unlink_detection(struct detection *d)
{
    struct detection **at = &d->all->detections;
    while (*at && *at != d)
        at = &(*at)->next;
    if (*at)
        *at = d->next;
}

static int fill_found(struct detection *d, struct detected *out)
{
    struct hermes_tool *tools = arena_array(d->arena, d->count + 1, sizeof *tools);
    out->changed = arena_array(d->arena, d->count + 1, sizeof *out->changed);
    if (!tools || !out->changed)
        return VX11_ENOMEM;
    for (size_t i = 0; i < d->count; i++) {
        struct tool *tool = d->tools[i];
        if (!tool->spec) /* the configuration dropped it meanwhile */
            continue;
        if (!binding_same(&tool->binding, &d->found[i]))
            out->changed[out->changed_count++] = tool->name;
        int rc = tool_describe_as(tool, &d->found[i], d->arena, &tools[out->count++]);
        if (rc != 0)
            return rc;
    }
    out->tools = tools;
    out->duration_ms = clock_mono_ms() - d->started_mono;
    return 0;
}

/* A tool that was never bound and was not found leaves no row. */
static int write_rows(struct detection *d, struct error *err)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < d->count; i++) {
        struct tool *tool = d->tools[i];
        const struct binding *b = &d->found[i];
        if (!tool->spec || (!b->path && !tool->binding.row) ||
            (tool->binding.row && binding_same(&tool->binding, b)))
            continue;
        log_info("tools", b->path ? "a tool is bound" : "a tool's program has gone",
                 LOG_S("tool", tool->name), LOG_S("path", b->path ? b->path : ""),
                 LOG_S("version", b->version ? b->version : ""),
                 LOG_S("auth", hermes_tool_auth_names[b->auth]));
        rc = binding_store(tool, b, clock_wall_ms(), err);
    }
    return rc;
}

static void detection_end(struct detection *d)
{
    struct tools *all = d->all;
    struct detected out = {0};
    struct error err = {0};
    int rc = d->cancelled ? error_set(&err, VX11_ECANCELLED, "Hermes is stopping") : fill_found(d, &out);
    if (rc == VX11_ENOMEM)
        (void)error_set(&err, rc, "out of memory");
    if (rc == 0 && d->apply)
        rc = write_rows(d, &err);
    unlink_detection(d);
    if (d->fn)
        d->fn(d->ctx, rc == 0 ? &out : NULL, &err);
    buf_free(&d->said);
    arena_destroy(d->arena);
    free(d);
    tools_child_ended(all);
}

static struct binding *current(struct detection *d)
{
    return &d->found[d->at];
}

static void next_tool(struct detection *d)
{
    d->at++;
    d->step = STEP_FIND;
}

/* ---- find ---- */

static bool is_program(const char *path, struct stat *st)
{
    return stat(path, st) == 0 && S_ISREG(st->st_mode) && access(path, X_OK) == 0;
}

/* Why this program is not taken; NULL: it is. */
static const char *refusal(const char *path, const char *real, const struct stat *st)
{
    if (child_is_shell(path) || child_is_shell(real))
        return "it is a shell, and shells are never run";
    if (st->st_mode & S_IWOTH)
        return "everybody may write to its program";
    if (st->st_uid != 0 && st->st_uid != getuid())
        return "its program belongs to another user";
    return NULL;
}

static bool take_program(struct detection *d, const char *path)
{
    struct binding *b = current(d);
    struct stat st;
    char real[PATH_MAX];
    if (!path || !is_program(path, &st) || !realpath(path, real))
        return false;
    const char *why = refusal(path, real, &st);
    if (why) {
        b->refused = arena_printf(d->arena, "%s is not taken: %s", path, why);
        return false;
    }
    b->path = path;
    b->real_path = arena_strdup(d->arena, real);
    b->size_bytes = st.st_size;
    b->mtime_ns = st.st_mtim.tv_sec * INT64_C(1000000000) + st.st_mtim.tv_nsec;
    b->refused = NULL;
    return true;
}

static bool find_named(struct detection *d, const char *name)
{
    for (size_t i = 0; i < d->all->dir_count; i++)
        if (take_program(d, arena_printf(d->arena, "%s/%s", d->all->dirs[i], name)))
            return true;
    return false;
}

static bool has_below_home(const struct detection *d, const char *name)
{
    char path[PATH_MAX];
    return !name || (d->all->user_home[0] &&
                     snprintf(path, sizeof path, "%s/%s", d->all->user_home, name) < (int)sizeof path &&
                     access(path, F_OK) == 0);
}

static bool find_program(struct detection *d)
{
    const struct tool_spec *s = d->tools[d->at]->spec;
    d->prefix = NULL;
    if (s->command && s->command[0] == '/')
        return take_program(d, arena_strdup(d->arena, s->command));
    if (s->command && strchr(s->command, '/')) {
        current(d)->refused = "its command is neither an absolute path nor a plain name";
        return false;
    }
    if (s->command)
        return find_named(d, s->command);
    for (const struct tool_binary *b = s->def.binaries; b && b->name; b++) {
        d->prefix = b->prefix;
        if (has_below_home(d, b->wants) && find_named(d, b->name))
            return true;
    }
    return false;
}

/* ---- hash ---- */

static void hash_work(uv_work_t *work)
{
    struct detection *d = work->data;
    unsigned char hash[crypto_hash_sha256_BYTES], *piece = malloc(1 << 16);
    crypto_hash_sha256_state state;
    int fd = open(current(d)->path, O_RDONLY | O_CLOEXEC);
    ssize_t n = -1;
    crypto_hash_sha256_init(&state);
    while (piece && fd >= 0 && ((n = read(fd, piece, 1 << 16)) > 0 || (n < 0 && errno == EINTR)))
        if (n > 0)
            crypto_hash_sha256_update(&state, piece, (unsigned long long)n);
    crypto_hash_sha256_final(&state, hash);
    hex_encode(hash, sizeof hash, d->hex);
    if (n != 0)
        d->hex[0] = '\0';
    if (fd >= 0)
        close(fd);
    free(piece);
}

static void hash_done(uv_work_t *work, int status)
{
    struct detection *d = work->data;
    if (status == 0 && d->hex[0])
        current(d)->sha256 = arena_strdup(d->arena, d->hex);
    d->step = STEP_VERSION;
    detection_step(d);
}

/* ---- children ---- */

static void on_output(void *ctx, int fd, const char *data, size_t len)
{
    struct detection *d = ctx;
    (void)fd;
    (void)buf_append(&d->said, data, len < 4096 ? len : 4096); /* bounded by the child's caps */
}

static void first_line(struct detection *d, const char **out)
{
    char line[128];
    size_t n = 0;
    for (size_t i = 0; i < d->said.len && n < sizeof line - 1; i++) {
        char c = d->said.data[i];
        if (c == '\n' && n > 0)
            break;
        if ((unsigned char)c >= 0x20 && c != 0x7f)
            line[n++] = c;
    }
    n = utf8_valid_prefix(line, n);
    line[n] = '\0';
    *out = n > 0 ? arena_strdup(d->arena, line) : NULL;
}

static void login_known(struct detection *d, int auth, const char *detail)
{
    current(d)->auth = auth;
    current(d)->auth_detail = detail ? arena_strdup(d->arena, detail) : NULL;
}

static void on_end(void *ctx, const struct child_result *r)
{
    struct detection *d = ctx;
    const struct tool_def *def = d->tools[d->at]->spec ? &d->tools[d->at]->spec->def : NULL;
    d->child = NULL;
    surroundings_remove(d->all, &d->around);
    if (d->step == STEP_VERSION) {
        if (r->exit_code == 0)
            first_line(d, &current(d)->version);
        d->step = STEP_LOGIN;
    } else {
        if (r->timed_out || r->exit_code < 0)
            login_known(d, HERMES_TOOL_AUTH_UNKNOWN, "the tool did not say in time");
        else if (r->exit_code == 0)
            login_known(d, HERMES_TOOL_AUTH_OK, "the tool says so");
        else
            login_known(d, HERMES_TOOL_AUTH_NEEDS_LOGIN,
                        def && def->login_hint ? def->login_hint : "the tool says so");
        next_tool(d);
    }
    detection_step(d);
}

/* Whether a child runs now. */
static bool ask(struct detection *d, const char *const *args)
{
    const struct tool_spec *s = d->tools[d->at]->spec;
    const struct binding *b = current(d);
    struct error err = {0};
    const char *argv[40];
    size_t n = 0;
    argv[n++] = b->path;
    for (size_t i = 0; d->prefix && d->prefix[i] && n < 20; i++)
        argv[n++] = d->prefix[i];
    for (size_t i = 0; args[i] && n < 39; i++)
        argv[n++] = args[i];
    argv[n] = NULL;
    buf_clear(&d->said);
    if (surroundings_make(d->all, s, b->path, b->real_path, &d->around, &err) != 0) {
        log_warn("tools", "a tool could not be asked", LOG_S("tool", d->tools[d->at]->name),
                 LOG_S("reason", err.text));
        return false;
    }
    const struct child_options o = {
        .loop = d->all->loop,
        .argv = argv,
        .env = (const char *const *)d->around.env.list,
        .cwd = d->around.folder,
        .out_max = 4096,
        .err_max = 4096,
        .timeout_ms = PROBE_MS,
        .limits = {.cpu_s = 20, .file_bytes = 16 << 20, .files = 1024},
        .sandbox = s->sandbox,
        .network = false,
        .readable = d->around.readable,
        .writable = d->around.writable,
        .home = d->all->user_home,
        .on_output = on_output,
        .on_end = on_end,
        .ctx = d,
    };
    if (child_begin(&o, &d->child, &err) == 0)
        return true;
    log_warn("tools", "a tool could not be asked", LOG_S("tool", d->tools[d->at]->name),
             LOG_S("reason", err.text));
    surroundings_remove(d->all, &d->around);
    return false;
}

/* ---- login ---- */

/* Whether the environment or a file settles it. */
static bool login_evident(struct detection *d, const struct tool_def *def)
{
    char path[PATH_MAX];
    if (def->auth_none) {
        login_known(d, HERMES_TOOL_AUTH_OK, "it needs none");
        return true;
    }
    for (size_t i = 0; def->auth_env && def->auth_env[i]; i++) {
        const char *value = getenv(def->auth_env[i]);
        if (value && value[0]) {
            login_known(d, HERMES_TOOL_AUTH_OK, arena_printf(d->arena, "%s is set", def->auth_env[i]));
            return true;
        }
    }
    for (size_t i = 0; def->auth_files && def->auth_files[i]; i++) {
        if (snprintf(path, sizeof path, "%s/%s", d->all->user_home, def->auth_files[i]) < (int)sizeof path &&
            access(path, R_OK) == 0) {
            login_known(d, HERMES_TOOL_AUTH_OK, arena_printf(d->arena, "~/%s is there", def->auth_files[i]));
            return true;
        }
    }
    return false;
}

static bool step_login(struct detection *d)
{
    const struct tool_def *def = &d->tools[d->at]->spec->def;
    if (login_evident(d, def))
        return false;
    if (def->auth_args)
        return ask(d, def->auth_args);
    login_known(d, def->auth_certain ? HERMES_TOOL_AUTH_NEEDS_LOGIN : HERMES_TOOL_AUTH_UNKNOWN,
                def->login_hint);
    return false;
}

/* ---- the steps ---- */

/* Whether the step goes on by itself later. */
static bool step(struct detection *d)
{
    struct tool *tool = d->tools[d->at];
    struct binding *b = current(d);
    switch (d->step) {
    case STEP_FIND:
        *b = tool->binding;
        b->path = b->real_path = b->version = b->sha256 = b->auth_detail = NULL;
        b->size_bytes = b->mtime_ns = -1;
        b->auth = HERMES_TOOL_AUTH_UNKNOWN;
        b->detected_at = clock_wall_ms();
        b->last_error = arena_strdup(d->arena, tool->binding.last_error);
        if (tool->spec->problem[0] || !find_program(d)) {
            next_tool(d);
            return false;
        }
        d->step = STEP_HASH;
        return false;
    case STEP_HASH:
        d->step = STEP_VERSION;
        return b->size_bytes <= HASH_MAX && uv_queue_work(d->all->loop, &d->work, hash_work, hash_done) == 0;
    case STEP_VERSION:
        if (ask(d, tool->spec->def.version_args))
            return true;
        d->step = STEP_LOGIN;
        return false;
    default:
        if (step_login(d))
            return true;
        next_tool(d);
        return false;
    }
}

static void detection_step(struct detection *d)
{
    while (!d->cancelled && d->at < d->count) {
        if (!d->tools[d->at]->spec) /* no longer defined */
            next_tool(d);
        else if (step(d))
            return;
    }
    detection_end(d);
}

static void on_begin(uv_work_t *work)
{
    (void)work;
}

static void on_begun(uv_work_t *work, int status)
{
    (void)status;
    detection_step(work->data);
}

static size_t pick(struct tools *t, const char *name, struct tool **out)
{
    size_t n = 0;
    for (struct tool *tool = t->list; tool; tool = tool->next)
        if (tool->spec && (!name || strcmp(tool->name, name) == 0)) {
            if (out)
                out[n] = tool;
            n++;
        }
    return n;
}

int tools_detect(struct tools *t, const char *name, bool apply, tools_detect_fn fn, void *ctx,
                 struct error *err)
{
    size_t n = pick(t, name, NULL);
    if (t->closing)
        return error_set(err, VX11_ECANCELLED, "Hermes is stopping");
    if (n == 0)
        return error_set(err, VX11_ENOT_FOUND, "there is no tool \"%.64s\"", name ? name : "");
    struct detection *d = calloc(1, sizeof *d);
    if (d)
        d->arena = arena_create(0);
    if (d && d->arena) {
        d->tools = arena_array(d->arena, n, sizeof *d->tools);
        d->found = arena_array(d->arena, n, sizeof *d->found);
    }
    if (!d || !d->arena || !d->tools || !d->found) {
        if (d)
            arena_destroy(d->arena);
        free(d);
        return error_set(err, VX11_ENOMEM, "out of memory");
    }
    memset(d->found, 0, n * sizeof *d->found);
    d->all = t;
    d->apply = apply;
    d->fn = fn;
    d->ctx = ctx;
    d->started_mono = clock_mono_ms();
    d->count = pick(t, name, d->tools);
    d->work.data = d;
    if (uv_queue_work(t->loop, &d->work, on_begin, on_begun) !=
        0) { /* so that fn never runs inside this call */
        arena_destroy(d->arena);
        free(d);
        return error_set(err, VX11_EUNAVAILABLE, "the thread pool does not take it");
    }
    d->next = t->detections;
    t->detections = d;
    t->children++;
    return 0;
}

void tools_detect_forget(struct tools *t, void *ctx)
{
    for (struct detection *d = t->detections; d; d = d->next)
        if (d->ctx == ctx)
            d->fn = NULL;
}

void detections_cancel(struct tools *t)
{
    for (struct detection *d = t->detections; d; d = d->next) {
        d->cancelled = true;
        if (d->child)
            child_kill(d->child);
    }
}

static void on_looked(void *ctx, const struct detected *found, const struct error *err)
{
    struct tool *tool = ctx;
    tool->looking = false;
    if (!found && err->code != VX11_ECANCELLED)
        log_warn("tools", "a tool could not be looked at", LOG_S("tool", tool->name),
                 LOG_S("reason", err->text));
}

void tool_look_again(struct tool *tool)
{
    struct error err = {0};
    int64_t now = clock_mono_ms();
    if (tool->looking || tool->all->closing ||
        (tool->looked_mono > 0 && now - tool->looked_mono < LOOK_AGAIN_MS))
        return;
    tool->looked_mono = now;
    tool->looking = tools_detect(tool->all, tool->name, true, on_looked, tool, &err) == 0;
    if (!tool->looking)
        log_warn("tools", "a tool cannot be looked at", LOG_S("tool", tool->name), LOG_S("reason", err.text));
}
