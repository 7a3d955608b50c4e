/* See swarm.h. */
#include "swarm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"

#define SAMPLE_MS 10

extern char **environ;

/* ---- processes ---- */

/* --name of a command line; false: it is no worker, or has ended. */
static bool worker_model(pid_t pid, char *out, size_t size)
{
    char path[64];
    struct buf b = BUF_INIT;
    bool found = false;
    (void)snprintf(path, sizeof path, "/proc/%d/cmdline", (int)pid);
    if (fs_read_file(path, 1 << 16, &b, NULL) == 0) {
        for (size_t i = 0; i + 7 < b.len && !found; i++) {
            if (memcmp(b.data + i, "--name", 7) != 0)
                continue;
            (void)snprintf(out, size, "%s", b.data + i + 7);
            found = true;
        }
    }
    buf_free(&b);
    return found;
}

static pid_t hermes_pid(const struct system *s)
{
    static pid_t pid;
    static char home[64];
    if (strcmp(home, s->home) != 0 || !process_lives(pid)) {
        pid = system_module_pid(s, "hermes");
        (void)snprintf(home, sizeof home, "%s", s->home);
    }
    return pid;
}

size_t swarm_workers(const struct system *s, struct swarm_worker *out, size_t most)
{
    char path[64];
    struct buf b = BUF_INIT;
    size_t n = 0;
    const pid_t hermes = hermes_pid(s);
    (void)snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)hermes, (int)hermes);
    if (fs_read_file(path, 1 << 16, &b, NULL) == 0) {
        char *save = NULL;
        for (char *p = strtok_r(b.data ? b.data : (char[]){""}, " ", &save); p && n < most;
             p = strtok_r(NULL, " ", &save)) {
            out[n].pid = (pid_t)atoi(p);
            n += worker_model(out[n].pid, out[n].model, sizeof out[n].model);
        }
    }
    buf_free(&b);
    return n;
}

int64_t swarm_workers_rss(const struct swarm_worker *w, size_t n)
{
    int64_t sum = 0;
    for (size_t i = 0; i < n; i++) {
        const int64_t kb = process_rss_kb(w[i].pid);
        sum += kb > 0 ? kb * 1024 : 0;
    }
    return sum;
}

static void sample(struct swarm *s)
{
    struct swarm_worker w[SWARM_WORKERS_MAX];
    const size_t n = swarm_workers(s->system, w, SWARM_WORKERS_MAX);
    const int64_t rss = swarm_workers_rss(w, n);
    s->samples++;
    s->most_rss = rss > s->most_rss ? rss : s->most_rss;
    s->most_processes = (int)n > s->most_processes ? (int)n : s->most_processes;
    for (size_t i = 0; i < n; i++) {
        int same = 0;
        for (size_t k = 0; k < n; k++)
            same += strcmp(w[i].model, w[k].model) == 0;
        s->most_of_one = same > s->most_of_one ? same : s->most_of_one;
    }
}

/* ---- clients ---- */

struct client {
    int fd, done; /* -1: none is open; requests that were answered */
    int64_t started;
    char model[64];
    struct buf in;
    bool struck; /* its engine was killed while it was open */
};

static void client_ask(struct swarm *s, struct client *c, int number)
{
    char body[512];
    struct http_at at = system_link(s->system);
    at.headers = "Connection: close\r\n";
    (void)snprintf(c->model, sizeof c->model, "%s", s->model(s->ctx, number, c->done));
    (void)snprintf(body, sizeof body,
                   "{\"model\":\"%s\",\"max_tokens\":%d,\"temperature\":0,\"messages\":[{\"role\":\"user\","
                   "\"content\":\"request %d of client %d\"}]}",
                   c->model, s->max_tokens, c->done, number);
    c->started = clock_mono_ms();
    c->struck = false;
    buf_clear(&c->in);
    c->fd = http_open(&at, "POST", "/v1/chat/completions", body);
}

static void client_answered(struct swarm *s, struct client *c)
{
    static char last[64];
    const int64_t took = clock_mono_ms() - c->started;
    const bool good = c->in.len > 12 && memcmp(c->in.data, "HTTP/1.1 200", 12) == 0 &&
                      memmem(c->in.data, c->in.len, "\"choices\"", 9) != NULL;
    s->longest_ms = took > s->longest_ms ? took : s->longest_ms;
    if (good) {
        s->served++;
    } else if (s->failed++ == 0) {
        (void)snprintf(s->failure, sizeof s->failure, "%s after %lld ms: %.*s", c->model, (long long)took,
                       (int)(c->in.len < 500 ? c->in.len : 500), c->in.data ? c->in.data : "");
    }
    s->runs += strcmp(last, c->model) != 0;
    (void)snprintf(last, sizeof last, "%s", c->model);
    close(c->fd);
    c->fd = -1;
    c->done++;
}

/* True: it has ended. */
static bool client_read(struct client *c)
{
    char piece[8192];
    const ssize_t n = recv(c->fd, piece, sizeof piece, MSG_DONTWAIT);
    if (n > 0)
        buf_append(&c->in, piece, (size_t)n);
    return n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
}

/* ---- killing ---- */

static unsigned random_below(unsigned n)
{
    static uint64_t x = 88172645463325252u;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return (unsigned)(x % n);
}

/* Any worker, whatever it does. A request whose engine ended under it is tried once more only, for it may
 * have ended because of it; so nobody is killed while a request waits that has lost its engine once. */
static void kill_one(struct swarm *s, struct client *clients)
{
    struct swarm_worker w[SWARM_WORKERS_MAX];
    for (int i = 0; i < s->clients; i++) {
        if (clients[i].fd >= 0 && clients[i].struck)
            return;
    }
    const size_t n = swarm_workers(s->system, w, SWARM_WORKERS_MAX);
    if (n == 0)
        return;
    const struct swarm_worker *victim = &w[random_below((unsigned)n)];
    process_kill(victim->pid, SIGKILL);
    s->kills++;
    for (int i = 0; i < s->clients; i++) {
        clients[i].struck = clients[i].fd >= 0 && strcmp(clients[i].model, victim->model) == 0;
        s->struck += clients[i].struck;
    }
}

/* ---- all of it ---- */

static int next_requests(struct swarm *s, struct client *clients, int started)
{
    for (int i = 0; i < s->clients && started < s->requests; i++) {
        if (clients[i].fd < 0) {
            client_ask(s, &clients[i], i);
            started++;
        }
    }
    return started;
}

static void read_answers(struct swarm *s, struct client *clients)
{
    struct pollfd fds[SWARM_CLIENTS_MAX];
    for (int i = 0; i < s->clients; i++)
        fds[i] = (struct pollfd){.fd = clients[i].fd, .events = POLLIN};
    if (poll(fds, (nfds_t)s->clients, SAMPLE_MS) < 0)
        return;
    for (int i = 0; i < s->clients; i++) {
        struct client *c = &clients[i];
        if (c->fd >= 0 && (fds[i].revents & (POLLIN | POLLHUP | POLLERR)) && client_read(c))
            client_answered(s, c);
        else if (c->fd >= 0 && clock_mono_ms() - c->started > s->limit_ms)
            fail_msg("a request for %s has had no answer for %lld ms", c->model, (long long)s->limit_ms);
    }
}

void swarm_run(struct swarm *s)
{
    struct client clients[SWARM_CLIENTS_MAX];
    const int64_t began = clock_mono_ms();
    int64_t kill_at = began + s->kill_ms, sampled = 0;
    int started = 0;
    assert_true(s->clients <= SWARM_CLIENTS_MAX);
    for (int i = 0; i < s->clients; i++)
        clients[i] = (struct client){.fd = -1, .in = BUF_INIT};
    while (s->served + s->failed < s->requests) {
        started = next_requests(s, clients, started);
        read_answers(s, clients);
        const int64_t now = clock_mono_ms();
        if (now - sampled >= SAMPLE_MS) {
            sampled = now;
            sample(s);
        }
        if (s->kill_ms > 0 && now >= kill_at) {
            kill_one(s, clients);
            kill_at = now + s->kill_ms / 2 + (int64_t)random_below((unsigned)s->kill_ms);
        }
    }
    s->took_ms = clock_mono_ms() - began;
    for (int i = 0; i < s->clients; i++)
        buf_free(&clients[i].in);
}

void swarm_model(const struct system *s, const char *name, const char *const *options)
{
    char path[400], folder[200];
    const char *tool = getenv("VX11_SYNTH"), *argv[24] = {"vx11-synth", "--out", path};
    size_t n = 3;
    pid_t pid;
    int status;
    assert_non_null(tool);
    (void)snprintf(folder, sizeof folder, "%s/models", s->home);
    (void)snprintf(path, sizeof path, "%s/%s.gguf", folder, name);
    assert_int_equal(fs_mkdirs(folder, 0700, NULL), 0);
    for (size_t i = 0; options[i] && n < COUNT_OF(argv) - 1; i++)
        argv[n++] = options[i];
    assert_int_equal(posix_spawn(&pid, tool, NULL, NULL, (char *const *)(uintptr_t)argv, environ), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}
