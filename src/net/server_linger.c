/* Server linger: the last seconds of a connection that was refused while the client was still sending.
 *
 * Closing a socket with unread data makes TCP send a reset, and a reset throws away what the client has not
 * read yet: the 413 that tells it why. So a duplicate of the descriptor outlives MHD's, the rest of the reply
 * goes out, and what still comes in is read and dropped for a short while. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "net/server_internal.h"

struct linger_conn { /* on the server's list until it is closed */
    struct server *server;
    struct linger_conn *prev, *next;
    int fd;
    bool shut;
    char *unsent;
    size_t len, sent;
    uint64_t until;
    uv_poll_t poll;
};

static void on_closed(uv_handle_t *handle)
{
    struct linger_conn *l = handle->data;
    struct server *s = l->server;
    free(l->unsent);
    free(l);
    s->handles--;
    server_finish_if_drained(s);
}

static void linger_end(struct linger_conn *l)
{
    struct server *s = l->server;
    if (l->prev)
        l->prev->next = l->next;
    else
        s->lingers = l->next;
    if (l->next)
        l->next->prev = l->prev;
    s->linger_count--;
    uv_close((uv_handle_t *)&l->poll, on_closed);
    close(l->fd);
}

/* false: the connection is of no more use. */
static bool send_rest(struct linger_conn *l)
{
    while (l->sent < l->len) {
        ssize_t n = send(l->fd, l->unsent + l->sent, l->len - l->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0)
            return errno == EAGAIN || errno == EINTR;
        l->sent += (size_t)n;
    }
    if (!l->shut) {
        l->shut = true;
        shutdown(l->fd, SHUT_WR); /* the client sees the end of the reply at once */
    }
    return true;
}

static bool drop_input(struct linger_conn *l)
{
    char waste[16 * 1024];
    for (int i = 0; i < 64; i++) { /* then the others get their turn */
        ssize_t n = recv(l->fd, waste, sizeof waste, MSG_DONTWAIT);
        if (n == 0)
            return false;
        if (n < 0)
            return errno == EAGAIN || errno == EINTR;
    }
    return true;
}

static void on_event(uv_poll_t *handle, int status, int events)
{
    struct linger_conn *l = handle->data;
    bool going = status == 0 && send_rest(l);
    if (going && (events & UV_READABLE))
        going = drop_input(l);
    if (going)
        going = uv_poll_start(&l->poll, UV_READABLE | (l->sent < l->len ? UV_WRITABLE : 0), on_event) == 0;
    if (!going)
        linger_end(l);
}

void linger_start(struct conn *c)
{
    struct server *s = c->server;
    if (s->linger_count >= LINGER_MAX || s->stopped || c->gone)
        return;
    struct linger_conn *l = calloc(1, sizeof *l);
    int fd = l ? fcntl(c->fd, F_DUPFD_CLOEXEC, 0) : -1;
    if (fd < 0 || uv_poll_init(s->loop, &l->poll, fd) != 0) {
        if (fd >= 0)
            close(fd);
        free(l);
        return; /* the client may get a reset instead of the reason: nothing better is left */
    }
    s->handles++;
    l->server = s;
    l->fd = fd;
    l->unsent = c->unsent;
    l->len = c->unsent_len;
    c->unsent = NULL;
    l->until = server_now(s) + LINGER_MS;
    l->poll.data = l;
    l->next = s->lingers;
    if (s->lingers)
        s->lingers->prev = l;
    s->lingers = l;
    s->linger_count++;
    server_tick_start(s);
    on_event(&l->poll, 0, 0);
}

void lingers_check(struct server *s, uint64_t now, bool all)
{
    for (struct linger_conn *l = s->lingers, *next; l; l = next) {
        next = l->next;
        if (all || now >= l->until)
            linger_end(l);
    }
}
