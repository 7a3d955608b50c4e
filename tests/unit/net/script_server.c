/* The scripted server: one thread accepts, each connection has its own. Plain blocking calls, so that a
 * script reads from top to bottom; `stopping` and a shutdown of every socket end them. */
#include "script_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <setjmp.h>
#include <cmocka.h>

enum { MAX_CONNECTIONS = 4096 };

struct script_server {
    int fd, port;
    char path[108];
    script_fn fn;
    pthread_t thread;
    pthread_mutex_t lock;
    int stop_pipe[2]; /* becomes readable when the server stops */
    int connections, requests;
    pthread_t threads[MAX_CONNECTIONS];
    int fds[MAX_CONNECTIONS]; /* -1: closed */
};

struct conn_start {
    struct script_server *server;
    int fd, number;
};

static bool wait_fd(struct script_conn *conn, short events, int ms)
{
    struct pollfd fds[2] = {{.fd = conn->server->stop_pipe[0], .events = POLLIN},
                            {.fd = conn->fd, .events = events}};
    int n = poll(fds, conn->fd >= 0 && events ? 2 : 1, ms);
    return n >= 0 && fds[0].revents == 0;
}

bool script_send(struct script_conn *conn, const void *data, size_t len)
{
    const char *p = data;
    while (len > 0) {
        if (!wait_fd(conn, POLLOUT, -1))
            return false;
        ssize_t n = send(conn->fd, p, len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0)
            return false;
        p += n;
        len -= (size_t)n;
    }
    return true;
}

bool script_puts(struct script_conn *conn, const char *text)
{
    return script_send(conn, text, strlen(text));
}

bool script_printf(struct script_conn *conn, const char *fmt, ...)
{
    char text[8192];
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return len >= 0 && (size_t)len < sizeof text && script_send(conn, text, (size_t)len);
}

bool script_sleep(struct script_conn *conn, int ms)
{
    return wait_fd(conn, 0, ms);
}

bool script_wait_close(struct script_conn *conn)
{
    char skip[4096];
    for (;;) {
        if (!wait_fd(conn, POLLIN, -1))
            return false;
        if (recv(conn->fd, skip, sizeof skip, 0) <= 0)
            return true;
    }
}

bool script_has(const struct script_request *request, const char *line)
{
    const char *at = strstr(request->head, line);
    size_t len = strlen(line);
    return at != NULL && at > request->head && at[-1] == '\n' && at[len] == '\r';
}

static bool read_body(struct script_conn *conn, struct script_request *r, const char *rest, size_t have)
{
    const char *length = strcasestr(r->head, "\r\nContent-Length:");
    size_t want = length ? (size_t)strtoull(length + strlen("\r\nContent-Length:"), NULL, 10) : 0;
    r->body = calloc(1, want + 1);
    if (r->body == NULL)
        return false;
    memcpy(r->body, rest, have < want ? have : want);
    r->body_len = have < want ? have : want;
    while (r->body_len < want) {
        if (!wait_fd(conn, POLLIN, -1))
            return false;
        ssize_t n = recv(conn->fd, r->body + r->body_len, want - r->body_len, 0);
        if (n <= 0)
            return false;
        r->body_len += (size_t)n;
    }
    return true;
}

static bool read_request(struct script_conn *conn, struct script_request *r)
{
    size_t len = 0;
    char *end;
    memset(r, 0, sizeof *r);
    do {
        if (len == sizeof r->head - 1 || !wait_fd(conn, POLLIN, -1))
            return false;
        ssize_t n = recv(conn->fd, r->head + len, sizeof r->head - 1 - len, 0);
        if (n <= 0)
            return false;
        len += (size_t)n;
        r->head[len] = 0;
        if (r->head[0] < 'A' || r->head[0] > 'Z')
            return false; /* no HTTP: TLS, say */
        end = strstr(r->head, "\r\n\r\n");
    } while (end == NULL);
    size_t head = (size_t)(end - r->head) + 4;
    char rest[sizeof r->head];
    memcpy(rest, r->head + head, len - head);
    r->head[head] = 0;
    return sscanf(r->head, "%15s %1023s", r->method, r->path) == 2 && read_body(conn, r, rest, len - head);
}

static void *serve(void *arg)
{
    struct conn_start *start = arg;
    struct script_server *s = start->server;
    struct script_conn conn = {.server = s, .fd = start->fd, .number = start->number};
    struct script_request *r = malloc(sizeof *r);
    bool more = r != NULL;
    free(start);
    while (more && read_request(&conn, r)) {
        pthread_mutex_lock(&s->lock);
        s->requests++;
        pthread_mutex_unlock(&s->lock);
        more = s->fn(&conn, r);
        conn.requests++;
        free(r->body);
        r->body = NULL;
    }
    free(r ? r->body : NULL);
    free(r);
    pthread_mutex_lock(&s->lock);
    close(conn.fd);
    s->fds[conn.number] = -1;
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

static void accept_one(struct script_server *s, int fd)
{
    struct conn_start *start = malloc(sizeof *start);
    pthread_mutex_lock(&s->lock);
    int number = s->connections;
    if (start == NULL || number == MAX_CONNECTIONS) {
        free(start);
        close(fd);
    } else {
        *start = (struct conn_start){.server = s, .fd = fd, .number = number};
        s->fds[number] = fd;
        if (pthread_create(&s->threads[number], NULL, serve, start) == 0) {
            s->connections++;
        } else {
            free(start);
            close(fd);
        }
    }
    pthread_mutex_unlock(&s->lock);
}

static void *accept_all(void *arg)
{
    struct script_server *s = arg;
    for (;;) {
        struct pollfd fds[2] = {{.fd = s->stop_pipe[0], .events = POLLIN}, {.fd = s->fd, .events = POLLIN}};
        if (poll(fds, 2, -1) < 0 || fds[0].revents != 0)
            return NULL;
        int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC), one = 1;
        if (fd >= 0 && !s->path[0]) /* a script's small writes must not wait for acknowledgements */
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (fd >= 0)
            accept_one(s, fd);
    }
}

static void listen_tcp(struct script_server *s)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof in;
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(s->fd, (struct sockaddr *)&in, sizeof in), 0);
    assert_int_equal(getsockname(s->fd, (struct sockaddr *)&in, &len), 0);
    s->port = ntohs(in.sin_port);
}

static void listen_unix(struct script_server *s, const char *path)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    snprintf(un.sun_path, sizeof un.sun_path, "%s", path);
    snprintf(s->path, sizeof s->path, "%s", path);
    unlink(path);
    s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(s->fd, (struct sockaddr *)&un, sizeof un), 0);
}

struct script_server *script_server_start(const char *path, script_fn fn)
{
    struct script_server *s = calloc(1, sizeof *s);
    assert_non_null(s);
    s->fn = fn;
    pthread_mutex_init(&s->lock, NULL);
    assert_int_equal(pipe2(s->stop_pipe, O_CLOEXEC), 0);
    if (path)
        listen_unix(s, path);
    else
        listen_tcp(s);
    assert_int_equal(listen(s->fd, 512), 0);
    assert_int_equal(pthread_create(&s->thread, NULL, accept_all, s), 0);
    return s;
}

void script_server_stop(struct script_server *s)
{
    assert_int_equal(write(s->stop_pipe[1], "x", 1), 1);
    pthread_join(s->thread, NULL);
    for (int i = 0; i < s->connections; i++)
        pthread_join(s->threads[i], NULL);
    close(s->fd);
    close(s->stop_pipe[0]);
    close(s->stop_pipe[1]);
    if (s->path[0])
        unlink(s->path);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

int script_server_port(const struct script_server *s)
{
    return s->port;
}

int script_server_connections(struct script_server *s)
{
    pthread_mutex_lock(&s->lock);
    int n = s->connections;
    pthread_mutex_unlock(&s->lock);
    return n;
}

int script_server_requests(struct script_server *s)
{
    pthread_mutex_lock(&s->lock);
    int n = s->requests;
    pthread_mutex_unlock(&s->lock);
    return n;
}
