/* Life of one sidecar. The options folder is borrowed for as long as it lives. */
#include "operator/browser/sidecar.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"
#include "base/ulid.h"

#define BACKOFF_FIRST 500
#define BACKOFF_MOST  30000
#define GRACE_MS      1500
#define WORDS_MOST    2000

enum state { SIDECAR_OFF, SIDECAR_WAITING, SIDECAR_STARTING, SIDECAR_READY, SIDECAR_ENDING };

struct sidecar {
    struct sidecar_options options;
    char folder[PATH_MAX], name[24];
    enum state state;
    struct child *child;
    uv_timer_t timer; /* of the back-off, the start, or idleness */
    int port;
    char url[64], mark[ULID_LEN + 16];
    bool sandboxed;
    char words[WORDS_MOST]; /* the last of what it said */
    size_t words_len;
    unsigned failures;
    int64_t not_before; /* monotonic ms */
    void (*fn)(void *ctx, const struct error *err);
    void *fn_ctx;
    bool closing;
    void (*closed)(void *ctx);
    void *closed_ctx;
};

const char *sidecar_url(const struct sidecar *s)
{
    return s->url;
}

pid_t sidecar_pid(const struct sidecar *s)
{
    return s->child && s->state != SIDECAR_ENDING ? child_pid(s->child) : 0;
}

bool sidecar_sandboxed(const struct sidecar *s)
{
    return s->sandboxed;
}

static void tell(struct sidecar *s, const struct error *err)
{
    void (*fn)(void *ctx, const struct error *err) = s->fn;
    s->fn = NULL;
    if (fn)
        fn(s->fn_ctx, err);
}

/* ---- its folder ---- */

static void folder_remove(struct sidecar *s)
{
    struct error err = {0};
    int fd = open(s->options.folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return;
    int rc = fs_remove_tree(fd, s->name, &err);
    close(fd);
    if (rc != 0 && rc != VX11_ENOT_FOUND)
        log_warn("browser", "a sidecar's folder could not be emptied", LOG_S("reason", err.text));
}

static void put_key(struct buf *b, const char *key, const char *value)
{
    (void)buf_printf(b, "\"%s\":", key);
    (void)buf_put_json_string(b, value, strlen(value));
}

/* Chromium's own requests (autofill, updates, sign-in) are no page's: they are switched off as far as it
 * lets us, and the proxy refuses the rest for want of the password. Names are resolved by the proxy alone. */
static void put_launch(struct buf *b, const struct sidecar_settings *o)
{
    (void)buf_puts(b, "\"launchOptions\":{\"headless\":true,");
    put_key(b, "executablePath", o->programs.chromium);
    (void)buf_printf(b, ",\"chromiumSandbox\":%s,", geteuid() != 0 ? "true" : "false");
    (void)buf_puts(b, "\"proxy\":{");
    put_key(b, "server", o->proxy);
    (void)buf_putc(b, ',');
    put_key(b, "bypass", "<-loopback>");
    (void)buf_putc(b, ',');
    put_key(b, "username", o->proxy_user);
    (void)buf_putc(b, ',');
    put_key(b, "password", o->proxy_password);
    (void)buf_puts(b, "},\"args\":[\"--disable-quic\","
                      "\"--force-webrtc-ip-handling-policy=disable_non_proxied_udp\","
                      "\"--webrtc-ip-handling-policy=disable_non_proxied_udp\",\"--dns-prefetch-disable\","
                      "\"--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1\","
                      "\"--disable-domain-reliability\",\"--no-pings\",\"--autofill-server-url=about:blank\","
                      "\"--gaia-url=http://127.0.0.1:9/\"]},");
}

static int config_write(const struct sidecar *s, const struct sidecar_settings *o, const char *path,
                        struct error *err)
{
    struct buf b = BUF_INIT;
    (void)buf_puts(&b, "{\"browser\":{\"browserName\":\"chromium\",\"isolated\":true,");
    if (o->proxy)
        put_launch(&b, o);
    if (o->endpoint)
        put_key(&b, "remoteEndpoint", o->endpoint);
    else if (o->devtools)
        put_key(&b, "cdpEndpoint", o->devtools);
    if (o->endpoint || o->devtools)
        (void)buf_putc(&b, ',');
    (void)buf_puts(&b, "\"contextOptions\":{\"serviceWorkers\":\"block\",\"acceptDownloads\":false,"
                       "\"permissions\":[],\"viewport\":{\"width\":1280,\"height\":800}}},");
    (void)buf_printf(&b,
                     "\"server\":{\"host\":\"127.0.0.1\",\"port\":%d,\"allowedHosts\":[\"127.0.0.1:%d\"]},",
                     s->port, s->port);
    put_key(&b, "outputDir", s->folder);
    (void)buf_printf(&b,
                     ",\"outputMaxSize\":67108864,\"capabilities\":[\"core\"],\"saveSession\":false,"
                     "\"sharedBrowserContext\":false,\"webmcp\":false,\"codegen\":\"none\","
                     "\"imageResponses\":\"allow\",\"snapshot\":{\"mode\":\"none\"},"
                     "\"console\":{\"level\":\"error\"},\"timeouts\":{\"action\":%lld,\"navigation\":%lld,"
                     "\"expect\":%lld,\"settle\":300}}",
                     (long long)o->action_ms, (long long)o->navigation_ms, (long long)o->action_ms);
    int rc = b.failed ? error_set(err, VX11_ENOMEM, "out of memory")
                      : fs_write_file_atomic(path, b.data, b.len, 0600, err);
    if (b.data)
        explicit_bzero(b.data, b.len);
    buf_free(&b);
    return rc;
}

/* A port that is free now. Should another take it before the sidecar does, that one says so and ends. */
static int port_find(int *port, struct error *err)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) != 0 ||
        getsockname(fd, (struct sockaddr *)&at, &len) != 0) {
        int sys = errno;
        if (fd >= 0)
            close(fd);
        return error_set_errno(err, sys, "no free port for the browser's sidecar");
    }
    close(fd);
    *port = ntohs(at.sin_port);
    return 0;
}

/* ---- processes that outlive it ---- */

static bool marked(const char *pid, const char *mark)
{
    char path[64], text[16384];
    (void)snprintf(path, sizeof path, "/proc/%.20s/environ", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, text, sizeof text);
    close(fd);
    return n > 0 && memmem(text, (size_t)n, mark, strlen(mark)) != NULL;
}

/* Chromium leads a session of its own, out of reach of the group's signal. */
static void sweep(const struct sidecar *s)
{
    DIR *dir = s->sandboxed ? NULL : opendir("/proc");
    const struct dirent *e;
    while (dir && (e = readdir(dir)) != NULL) {
        long pid = isdigit((unsigned char)e->d_name[0]) ? strtol(e->d_name, NULL, 10) : 0;
        if (pid > 1 && pid != (long)getpid() && marked(e->d_name, s->mark))
            (void)kill((pid_t)pid, SIGKILL);
    }
    if (dir)
        closedir(dir);
}

/* ---- its life ---- */

static void start(struct sidecar *s);

static void on_timer(uv_timer_t *timer)
{
    struct sidecar *s = timer->data;
    if (s->state == SIDECAR_WAITING)
        start(s);
    else if (s->state == SIDECAR_STARTING || s->state == SIDECAR_READY)
        sidecar_kill(s);
}

static void timer_set(struct sidecar *s, int64_t ms)
{
    uv_update_time(s->options.loop);
    uv_timer_start(&s->timer, on_timer, (uint64_t)(ms > 0 ? ms : 0), 0);
}

static void on_timer_closed(uv_handle_t *h)
{
    struct sidecar *s = h->data;
    void (*closed)(void *ctx) = s->closed;
    void *ctx = s->closed_ctx;
    folder_remove(s);
    free(s);
    closed(ctx);
}

static void failed(struct sidecar *s)
{
    int64_t wait = BACKOFF_FIRST;
    for (unsigned i = 0; i < s->failures && wait < BACKOFF_MOST; i++)
        wait *= 2;
    s->failures++;
    s->not_before = clock_mono_ms() + (wait < BACKOFF_MOST ? wait : BACKOFF_MOST);
}

void sidecar_good(struct sidecar *s)
{
    s->failures = 0;
    s->not_before = 0;
}

/* The last line that speaks of an error, for a person; "" : none does. */
static void last_words(const struct sidecar *s, char *out, size_t size)
{
    const char *best = "";
    size_t best_len = 0;
    for (const char *p = s->words; *p;) {
        const size_t n = strcspn(p, "\n");
        if (memmem(p, n, "rror", 4) || memmem(p, n, "bwrap:", 6) || memmem(p, n, "annot", 5)) {
            best = p;
            best_len = n;
        }
        p += n + (p[n] == '\n');
    }
    (void)snprintf(out, size, "%.*s", (int)(best_len < 300 ? best_len : 300), best);
    out[utf8_valid_prefix(out, strlen(out))] = '\0';
}

static void say_end(const struct sidecar *s, const struct child_result *r, char *out, size_t size)
{
    char words[320];
    last_words(s, words, sizeof words);
    int n = r->oom ? snprintf(out, size, "the browser's sidecar was ended by the kernel for want of memory")
            : r->term_signal
                ? snprintf(out, size, "the browser's sidecar was ended by signal %d (%s)", r->term_signal,
                           strsignal(r->term_signal))
                : snprintf(out, size, "the browser's sidecar ended with status %d", r->exit_code);
    if (n > 0 && (size_t)n < size && words[0])
        (void)snprintf(out + n, size - (size_t)n, ": %s", words);
}

static void on_end(void *ctx, const struct child_result *r)
{
    struct sidecar *s = ctx;
    const enum state was = s->state;
    char reason[512];
    struct error err = {0};
    say_end(s, r, reason, sizeof reason);
    s->child = NULL;
    s->state = SIDECAR_OFF;
    s->url[0] = '\0';
    uv_timer_stop(&s->timer);
    sweep(s);
    if (s->closing) {
        uv_close((uv_handle_t *)&s->timer, on_timer_closed);
        return;
    }
    folder_remove(s);
    s->options.ended(s->options.ctx, was == SIDECAR_ENDING ? NULL : reason);
    if (was != SIDECAR_ENDING) {
        failed(s);
        log_warn("browser", "the sidecar ended", LOG_S("reason", reason), LOG_I("failures", s->failures));
        (void)error_set(&err, VX11_EUNAVAILABLE, "%s", reason);
        if (was == SIDECAR_READY)
            s->options.crashed(s->options.ctx, reason);
        else
            tell(s, &err);
    } else if (s->fn) { /* asked for while it was ending */
        start(s);
    }
}

static void ready(struct sidecar *s)
{
    s->state = SIDECAR_READY;
    (void)snprintf(s->url, sizeof s->url, "http://127.0.0.1:%d/mcp", s->port);
    uv_timer_stop(&s->timer);
    log_info("browser", "the sidecar is ready", LOG_I("port", s->port), LOG_I("pid", child_pid(s->child)),
             LOG_S("sandbox", s->sandboxed ? "bubblewrap" : "none"));
    tell(s, NULL);
}

static void on_output(void *ctx, int fd, const char *data, size_t len)
{
    struct sidecar *s = ctx;
    (void)fd;
    if (len >= WORDS_MOST) {
        data += len - WORDS_MOST + 1;
        len = WORDS_MOST - 1;
    }
    if (s->words_len + len >= WORDS_MOST) {
        size_t drop = s->words_len + len - WORDS_MOST + 1;
        memmove(s->words, s->words + drop, s->words_len - drop);
        s->words_len -= drop;
    }
    for (size_t i = 0; i < len; i++)
        s->words[s->words_len++] = data[i] ? data[i] : ' ';
    s->words[s->words_len] = '\0';
    if (s->state == SIDECAR_STARTING && strstr(s->words, "Listening on "))
        ready(s);
}

static int env_fill(const struct sidecar *s, struct child_env *env)
{
    int rc = child_env_init(env, NULL);
    if (rc == 0)
        rc = child_env_set(env, "HOME", s->folder);
    /* Chromium puts sockets there, whose paths are short. */
    if (rc == 0)
        rc = child_env_set(env, "TMPDIR", strlen(s->folder) < 48 ? s->folder : "/tmp");
    if (rc == 0)
        rc = child_env_set(env, "VX11_SIDECAR", s->mark + strlen("VX11_SIDECAR="));
    return rc;
}

static int launch(struct sidecar *s, const struct sidecar_settings *o, struct arena *a, struct error *err)
{
    char id[ULID_LEN + 1];
    const char *config = arena_printf(a, "%s/config.json", s->folder);
    const char **argv = config ? programs_argv(&o->programs, config, a) : NULL;
    const char **readable = programs_readable(&o->programs, a);
    struct child_env env = {0};
    (void)snprintf(s->mark, sizeof s->mark, "VX11_SIDECAR=%s", ulid_make(id));
    int rc = argv && readable && env_fill(s, &env) == 0 ? 0 : error_set(err, VX11_ENOMEM, "out of memory");
    if (rc == 0)
        rc = fs_mkdirs(s->folder, 0700, err);
    if (rc == 0)
        rc = port_find(&s->port, err);
    if (rc == 0)
        rc = config_write(s, o, config, err);
    if (rc == 0) {
        const struct child_options c = {.loop = s->options.loop,
                                        .argv = argv,
                                        .env = (const char *const *)env.list,
                                        .cwd = s->folder,
                                        .grace_ms = GRACE_MS,
                                        .out_max = (size_t)1 << 40,
                                        .err_max = (size_t)1 << 40,
                                        .sandbox = o->sandbox,
                                        .network = true,
                                        .readable = readable,
                                        .on_output = on_output,
                                        .on_end = on_end,
                                        .ctx = s};
        rc = child_begin(&c, &s->child, err);
    }
    s->sandboxed = o->sandbox != CHILD_SANDBOX_OFF && child_sandbox_problem() == NULL;
    child_env_free(&env);
    return rc;
}

static void start(struct sidecar *s)
{
    struct arena *a = arena_create(0);
    struct sidecar_settings *o = calloc(1, sizeof *o); /* it holds paths */
    struct error err = {0};
    s->words[0] = '\0';
    s->words_len = 0;
    folder_remove(s);
    int rc =
        a && o ? s->options.settings(s->options.ctx, o, &err) : error_set(&err, VX11_ENOMEM, "out of memory");
    if (rc == 0)
        rc = launch(s, o, a, &err);
    if (rc == 0) {
        s->state = SIDECAR_STARTING;
        s->options.started(s->options.ctx, s->port);
        timer_set(s, o->start_ms);
    }
    arena_destroy(a);
    free(o);
    if (rc != 0) {
        s->state = SIDECAR_OFF;
        folder_remove(s);
        tell(s, &err);
    }
}

void sidecar_need(struct sidecar *s, void (*fn)(void *ctx, const struct error *err), void *ctx)
{
    s->fn = fn;
    s->fn_ctx = ctx;
    if (s->state == SIDECAR_STARTING || s->state == SIDECAR_ENDING)
        return; /* the end of either says how it went */
    uv_timer_stop(&s->timer);
    if (s->state == SIDECAR_READY) {
        tell(s, NULL);
        return;
    }
    s->state = SIDECAR_WAITING;
    timer_set(s, s->not_before - clock_mono_ms());
}

void sidecar_forget(struct sidecar *s)
{
    s->fn = NULL;
    if (s->state == SIDECAR_WAITING) {
        s->state = SIDECAR_OFF;
        uv_timer_stop(&s->timer);
    }
}

void sidecar_idle(struct sidecar *s, int64_t ms)
{
    if (s->state == SIDECAR_READY)
        timer_set(s, ms);
}

void sidecar_kill(struct sidecar *s)
{
    if (!s->child || s->state == SIDECAR_ENDING)
        return;
    if (s->state == SIDECAR_STARTING && s->fn) {
        struct error err;
        failed(s);
        (void)error_set(&err, VX11_ETIMEOUT, "the browser's sidecar did not answer in time after its start");
        s->state = SIDECAR_ENDING;
        child_kill(s->child);
        tell(s, &err);
        return;
    }
    s->state = SIDECAR_ENDING;
    child_kill(s->child);
}

int sidecar_create(const struct sidecar_options *options, struct sidecar **out, struct error *err)
{
    struct sidecar *s = calloc(1, sizeof *s);
    if (!s)
        return error_set(err, VX11_ENOMEM, "out of memory");
    s->options = *options;
    (void)snprintf(s->name, sizeof s->name, "sidecar-%u", options->number);
    if (snprintf(s->folder, sizeof s->folder, "%s/%s", options->folder, s->name) >= (int)sizeof s->folder) {
        free(s);
        return error_set(err, VX11_ETOO_LARGE, "the path of VX11's home is too long");
    }
    uv_timer_init(options->loop, &s->timer);
    s->timer.data = s;
    *out = s;
    return 0;
}

void sidecar_close(struct sidecar *s, void (*done)(void *ctx), void *ctx)
{
    s->closing = true;
    s->fn = NULL;
    s->closed = done;
    s->closed_ctx = ctx;
    if (s->child && s->state != SIDECAR_ENDING)
        sidecar_kill(s);
    else if (s->child)
        child_kill(s->child); /* it has been asked before */
    else
        uv_close((uv_handle_t *)&s->timer, on_timer_closed);
}
