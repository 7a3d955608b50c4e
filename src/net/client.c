/* The client's loop: libcurl's multi handle driven by libuv.
 *
 *   client_start ──> work ──client_run──> libcurl ──on_socket──> uv_poll ──on_poll──> libcurl ──> on_data,
 * on_done
 *
 * A connection's uv_poll stays registered between requests: libcurl takes its interest back after each reply
 * and declares it again with the next request, which as such would cost two epoll_ctl per request. An event
 * on a connection nobody is interested in (the peer closed it, or a paused reader's data) stops the polling
 * then. This needs to know when the descriptor is closed, hence on_open_socket and on_close_socket.
 * Descriptors that libcurl makes for itself (its resolver's) are dropped at once. */
#include "net/client_internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

/* ---- sockets ---- */

static void on_socket_closed(uv_handle_t *handle);

static bool fd_identity(curl_socket_t fd, uint64_t *dev, uint64_t *ino)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return false;
    *dev = st.st_dev;
    *ino = st.st_ino;
    return true;
}

static struct client_fd *client_fd_get(struct client *c, curl_socket_t fd)
{
    size_t want = (size_t)fd + 1;
    if (want > c->fd_count) {
        size_t count = c->fd_count ? c->fd_count : 64;
        while (count < want)
            count *= 2;
        struct client_fd *fds = realloc(c->fds, count * sizeof *fds);
        if (fds == NULL)
            return NULL;
        memset(fds + c->fd_count, 0, (count - c->fd_count) * sizeof *fds);
        c->fds = fds;
        c->fd_count = count;
    }
    return &c->fds[fd];
}

static struct client_socket *client_socket_find(const struct client *c, curl_socket_t fd)
{
    return fd >= 0 && (size_t)fd < c->fd_count ? c->fds[fd].sock : NULL;
}

/* Is that number still the socket that on_open_socket made? libcurl closes one that never got connected
 * without a word (7.88, cf_socket_close), and libuv aborts over a poll that is yet to begin on it. */
static bool fd_is_ours(const struct client *c, curl_socket_t fd)
{
    uint64_t dev, ino;
    const struct client_fd *slot = &c->fds[fd];
    return slot->ino != 0 && fd_identity(fd, &dev, &ino) && dev == slot->dev && ino == slot->ino;
}

static struct client_socket *client_socket_create(struct client *c, curl_socket_t fd)
{
    struct client_fd *slot = client_fd_get(c, fd);
    struct client_socket *sock = slot ? calloc(1, sizeof *sock) : NULL;
    if (sock == NULL || uv_poll_init(c->loop, &sock->poll, fd) != 0) {
        free(sock);
        return NULL;
    }
    sock->client = c;
    sock->fd = fd;
    sock->kept = fd_is_ours(c, fd);
    sock->poll.data = sock;
    uv_unref((uv_handle_t *)&sock->poll);
    c->open_handles++;
    slot->sock = sock;
    return sock;
}

static void client_socket_drop(struct client_socket *sock)
{
    sock->client->fds[sock->fd].sock = NULL;
    sock->wanted = sock->polled = 0;
    uv_close((uv_handle_t *)&sock->poll, on_socket_closed);
}

void client_handle_closed(struct client *c)
{
    if (--c->open_handles > 0 || !c->torn_down)
        return;
    void (*on_closed)(void *ctx) = c->on_closed;
    void *ctx = c->closed_ctx;
    free(c->fds);
    free(c->heap);
    free(c->scratch);
    client_edges_free(c);
    free(c);
    curl_global_cleanup();
    if (on_closed)
        on_closed(ctx);
}

static void on_socket_closed(uv_handle_t *handle)
{
    struct client_socket *sock = handle->data;
    struct client *c = sock->client;
    free(sock);
    client_handle_closed(c);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct client_socket *sock = poll->data;
    struct client *c = sock->client;
    curl_socket_t fd = sock->fd;
    int action = 0;
    if (status < 0) { /* libuv has stopped polling */
        sock->polled = 0;
        action = CURL_CSELECT_IN | CURL_CSELECT_OUT | CURL_CSELECT_ERR;
    }
    if (sock->wanted == 0) {
        if (sock->polled != 0)
            uv_poll_stop(poll);
        sock->polled = 0;
        return;
    }
    if (events & UV_READABLE)
        action |= CURL_CSELECT_IN;
    if (events & UV_WRITABLE)
        action |= CURL_CSELECT_OUT;
    client_socket_action(c, fd, action);
    sock = client_socket_find(c, fd);
    if (sock != NULL && sock->wanted != 0 && sock->polled == 0 &&
        uv_poll_start(&sock->poll, sock->wanted, on_poll) == 0)
        sock->polled = sock->wanted;
}

/* libcurl says what it waits for on a socket. */
static int on_socket(CURL *easy, curl_socket_t fd, int what, void *client, void *unused)
{
    struct client *c = client;
    struct client_socket *sock = client_socket_find(c, fd);
    (void)unused;
    if (what == CURL_POLL_REMOVE) {
        if (sock != NULL)
            sock->wanted = 0;
        if (sock != NULL && !(sock->kept && fd_is_ours(c, fd)))
            client_socket_drop(sock);
        return 0;
    }
    if (sock == NULL)
        sock = client_socket_create(c, fd);
    int wanted = (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
    if (sock != NULL) {
        sock->wanted = wanted;
        if (sock->polled == wanted)
            return 0;
        if (uv_poll_start(&sock->poll, wanted, on_poll) == 0) {
            sock->polled = wanted;
            return 0;
        }
    }
    struct client_call *call = NULL;
    if (curl_easy_getinfo(easy, CURLINFO_PRIVATE, &call) == CURLE_OK && call != NULL)
        client_fail(call, VX11_EIO, "cannot watch the connection's socket");
    return 0;
}

static curl_socket_t on_open_socket(void *client, curlsocktype purpose, struct curl_sockaddr *address)
{
    (void)purpose;
    curl_socket_t fd =
        socket(address->family, address->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, address->protocol);
    if (fd < 0)
        return CURL_SOCKET_BAD;
    struct client_fd *slot = client_fd_get(client, fd);
    if (slot != NULL && slot->sock != NULL) /* whoever had this number was closed behind our back */
        client_socket_drop(slot->sock);
    if (slot != NULL && !fd_identity(fd, &slot->dev, &slot->ino))
        slot->ino = 0;
    return fd;
}

static int on_close_socket(void *client, curl_socket_t fd)
{
    struct client *c = client;
    struct client_socket *sock = client_socket_find(c, fd);
    if (sock != NULL)
        client_socket_drop(sock);
    if ((size_t)fd < c->fd_count)
        c->fds[fd].ino = 0;
    return close(fd);
}

/* ---- work ---- */

static int on_curl_timer(CURLM *multi, long timeout_ms, void *client)
{
    (void)multi;
    client_time_curl(client, timeout_ms);
    return 0;
}

static void on_idle(uv_idle_t *idle)
{
    (void)idle; /* its being active is what matters: see client_queue */
}

void client_wake(struct client *c)
{
    uv_idle_start(&c->idle, on_idle);
}

void client_queue(struct client_call *call, unsigned todo)
{
    if (call->todo == 0)
        list_push(&call->client->work, &call->work);
    call->todo |= todo;
    client_wake(call->client);
}

static void client_drain(struct client *c)
{
    CURLMsg *msg;
    int left;
    while ((msg = curl_multi_info_read(c->multi, &left)) != NULL) {
        struct client_call *call = NULL;
        if (msg->msg != CURLMSG_DONE)
            continue;
        CURLcode code = msg->data.result;
        if (curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &call) == CURLE_OK && call != NULL)
            client_finish(call, client_explain(call, code, &call->error));
    }
}

void client_socket_action(struct client *c, curl_socket_t fd, int events)
{
    bool outer = !c->running;
    int still;
    c->running = true;
    CURLMcode code = curl_multi_socket_action(c->multi, fd, events, &still);
    if (code != CURLM_OK)
        log_error("client", "libcurl failed", LOG_S("why", curl_multi_strerror(code)));
    client_drain(c);
    if (outer)
        c->running = false;
}

void client_finish(struct client_call *call, int code)
{
    struct client *c = call->client;
    if (call->in_multi)
        curl_multi_remove_handle(c->multi, call->easy);
    if (call->direct)
        client_direct_detach(call);
    call->in_multi = false;
    if (call->todo != 0)
        list_remove(&call->work);
    call->todo = 0;
    client_time_forget(call);
    call->ended = clock_mono_ns();
    call->phase = CALL_FREE;
    call->error.code = code;
    if (code == 0)
        call->error.text[0] = 0;
    if (call->edge)
        client_edge_count(call, code);
    call->events.on_done(call, call->ctx, code, &call->error);
    client_call_span_end(call, code);
    client_call_recycle(call);
    if (--c->live_count == 0)
        uv_unref((uv_handle_t *)&c->check);
}

static void client_work(struct client_call *call)
{
    unsigned todo = call->todo;
    call->todo = 0;
    list_remove(&call->work);
    if (todo & TODO_FINISH)
        client_finish(call, call->error.code);
    else if (todo & TODO_START)
        client_call_begin(call);
    else if (todo & TODO_RESUME)
        client_call_unpause(call);
}

static bool client_has_work(const struct client *c)
{
    return c->kick || !list_empty(&c->work);
}

static void on_handle_closed(uv_handle_t *handle)
{
    client_handle_closed(handle->data);
}

static void client_tear_down(struct client *c)
{
    c->torn_down = true;
    while (!list_empty(&c->pool)) {
        struct client_call *call = LIST_CALL(c->pool.next, all);
        list_remove(&call->all);
        client_call_destroy(call);
    }
    client_direct_close_all(c);
    uv_close((uv_handle_t *)&c->backlog_timer, on_handle_closed);
    curl_multi_cleanup(c->multi); /* closes the connections: on_close_socket */
    for (size_t fd = 0; fd < c->fd_count; fd++)
        if (c->fds[fd].sock != NULL)
            client_socket_drop(c->fds[fd].sock);
    uv_close((uv_handle_t *)&c->check, on_handle_closed);
    uv_close((uv_handle_t *)&c->prepare, on_handle_closed);
    uv_close((uv_handle_t *)&c->idle, on_handle_closed);
    uv_close((uv_handle_t *)&c->timer, on_handle_closed);
}

void client_run(struct client *c)
{
    enum {
        ROUNDS = 8
    }; /* then others get their turn: calls started by on_done go on in the loop's next one */
    if (c->running || c->torn_down)
        return;
    c->running = true;
    for (int round = 0; round < ROUNDS && client_has_work(c); round++) {
        for (size_t n = c->live_count; n > 0 && !list_empty(&c->work); n--)
            client_work(LIST_CALL(c->work.next, work));
        if (c->kick) {
            c->kick = false;
            client_socket_action(c, CURL_SOCKET_TIMEOUT, 0);
        }
    }
    c->running = false;
    if (c->closing && c->live_count == 0)
        client_tear_down(c);
    else if (!client_has_work(c))
        uv_idle_stop(&c->idle);
}

static void on_check(uv_check_t *check)
{
    struct client *c = check->data;
    if (client_has_work(c) || c->closing)
        client_run(c);
}

static void on_prepare(uv_prepare_t *prepare)
{
    struct client *c = prepare->data;
    if (client_has_work(c) || c->closing)
        client_run(c);
}

/* ---- creation, closing ---- */

int client_easy_defaults(struct client *c, CURL *easy)
{
    bool ok = curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket) == CURLE_OK;
    ok = ok && curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, c) == CURLE_OK;
    ok = ok && curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, on_close_socket) == CURLE_OK;
    ok = ok && curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, c) == CURLE_OK;
    return ok ? 0 : VX11_EINTERNAL;
}

static bool client_multi_setup(struct client *c)
{
    enum { KEPT_CONNECTIONS = 512 };
    CURLM *m = c->multi = curl_multi_init();
    return m != NULL && curl_multi_setopt(m, CURLMOPT_SOCKETFUNCTION, on_socket) == CURLM_OK &&
           curl_multi_setopt(m, CURLMOPT_SOCKETDATA, c) == CURLM_OK &&
           curl_multi_setopt(m, CURLMOPT_TIMERFUNCTION, on_curl_timer) == CURLM_OK &&
           curl_multi_setopt(m, CURLMOPT_TIMERDATA, c) == CURLM_OK &&
           curl_multi_setopt(m, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING) == CURLM_OK &&
           curl_multi_setopt(m, CURLMOPT_MAXCONNECTS, (long)KEPT_CONNECTIONS) == CURLM_OK;
}

static void client_handles_init(struct client *c)
{
    uv_check_init(c->loop, &c->check);
    uv_prepare_init(c->loop, &c->prepare);
    uv_idle_init(c->loop, &c->idle);
    uv_timer_init(c->loop, &c->timer);
    uv_timer_init(c->loop, &c->backlog_timer);
    uv_handle_t *const handles[] = {(uv_handle_t *)&c->check, (uv_handle_t *)&c->prepare,
                                    (uv_handle_t *)&c->idle, (uv_handle_t *)&c->timer,
                                    (uv_handle_t *)&c->backlog_timer};
    for (size_t i = 0; i < sizeof handles / sizeof handles[0]; i++) {
        handles[i]->data = c;
        c->open_handles++;
    }
    uv_check_start(&c->check, on_check);
    uv_prepare_start(&c->prepare, on_prepare);
    uv_unref((uv_handle_t *)&c->check);
    uv_unref((uv_handle_t *)&c->prepare);
    uv_unref((uv_handle_t *)&c->timer);
    uv_unref((uv_handle_t *)&c->backlog_timer);
}

int client_create(uv_loop_t *loop, struct client **out, struct error *err)
{
    *out = NULL;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return error_set(err, VX11_EINTERNAL, "libcurl cannot start");
    struct client *c = calloc(1, sizeof *c);
    if (c != NULL)
        *c = (struct client){.loop = loop, .curl_due = -1, .timer_due = -1};
    if (c == NULL || client_direct_init(c) != 0 || !client_multi_setup(c)) {
        if (c != NULL && c->multi != NULL)
            curl_multi_cleanup(c->multi);
        if (c != NULL)
            free(c->scratch);
        free(c);
        curl_global_cleanup();
        return error_set(err, VX11_ENOMEM, "out of memory for the HTTP client");
    }
    list_init(&c->live);
    list_init(&c->pool);
    list_init(&c->work);
    client_handles_init(c);
    *out = c;
    return 0;
}

void client_close(struct client *c, void (*done)(void *ctx), void *ctx)
{
    if (c->closing)
        return;
    c->closing = true;
    c->on_closed = done;
    c->closed_ctx = ctx;
    for (struct client_list *l = c->live.next; l != &c->live; l = l->next)
        client_fail(LIST_CALL(l, all), VX11_ECANCELLED, "cancelled: the client is closing");
    client_wake(c);
}
