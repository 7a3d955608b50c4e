/* Server listen: the listening sockets. They are made here and given to MHD, because it neither makes Unix
 * sockets nor says who holds a taken port. */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/proc.h"
#include "base/str.h"
#include "net/server_internal.h"

enum { BACKLOG = 1024, SOCKET_FLAGS = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC };

static int tell_taken(const char *host, int port, struct error *err)
{
    pid_t pid;
    char name[64];
    if (proc_port_holder(port, &pid, name, sizeof name) == 0)
        return error_set(err, VX11_EBUSY, "port %d on %s is taken by %s (pid %d)", port, host, name,
                         (int)pid);
    return error_set(err, VX11_EBUSY, "port %d on %s is taken by a process of another user", port, host);
}

static int bound_port(int fd)
{
    struct sockaddr_storage address;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    socklen_t len = sizeof address;
    memset(&address, 0, sizeof address);
    if (getsockname(fd, (struct sockaddr *)&address, &len) != 0)
        return -1;
    memcpy(&v4, &address, sizeof v4);
    memcpy(&v6, &address, sizeof v6);
    return ntohs(address.ss_family == AF_INET6 ? v6.sin6_port : v4.sin_port);
}

static int tcp_bind(struct listener *l, const struct addrinfo *address, const char *host, int port,
                    struct error *err)
{
    const int on = 1;
    int fd = socket(address->ai_family, SOCKET_FLAGS, 0);
    if (fd < 0)
        return error_set_errno(err, errno, "cannot make a socket for %s:%d", host, port);
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0) /* connections inherit it */
        log_warn("server", "a socket option was refused", LOG_S("error", strerror(errno)));
    if (address->ai_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) != 0)
        log_warn("server", "a socket option was refused", LOG_S("error", strerror(errno)));
    if (bind(fd, address->ai_addr, address->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0) {
        int sys = errno;
        close(fd);
        if (sys == EADDRINUSE)
            return tell_taken(host, port, err);
        return error_set_errno(err, sys, "cannot listen on %s:%d", host, port);
    }
    l->fd = fd;
    l->port = bound_port(fd);
    return 0;
}

static int tcp_open(struct listener *l, const char *host, int port, struct error *err)
{
    if (port < 0 || port > 65535)
        return error_set(err, VX11_EINVALID, "%d is not a port", port);
    char service[8];
    snprintf(service, sizeof service, "%d", port);
    struct addrinfo *found = NULL,
                    hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
    int rc = getaddrinfo(host, service, &hints, &found);
    if (rc != 0 || !found)
        return error_set(err, VX11_EINVALID, "cannot listen on %s: %s", host, gai_strerror(rc));
    l->host = strdup(host);
    rc = l->host ? tcp_bind(l, found, host, port, err) : error_set(err, VX11_ENOMEM, "out of memory");
    freeaddrinfo(found);
    return rc;
}

/* Whoever crashed left its socket file: nobody answers there. A file that somebody answers on, or that is no
 * socket, stays. */
static int remove_stale(const struct sockaddr_un *address, struct error *err)
{
    const char *path = address->sun_path;
    struct stat st;
    if (lstat(path, &st) != 0)
        return errno == ENOENT ? 0 : error_set_errno(err, errno, "cannot look at %s", path);
    if (!S_ISSOCK(st.st_mode))
        return error_set(err, VX11_EEXISTS, "%s exists and is not a socket", path);
    int fd = socket(AF_UNIX, SOCKET_FLAGS, 0);
    if (fd < 0)
        return error_set_errno(err, errno, "cannot make a socket for %s", path);
    int rc = connect(fd, (const struct sockaddr *)address, sizeof *address), sys = errno;
    close(fd);
    if (rc == 0 || sys == EAGAIN)
        return error_set(err, VX11_EBUSY, "another process listens on %s", path);
    if (sys != ECONNREFUSED && sys != ENOENT)
        return error_set_errno(err, sys, "cannot tell whether %s is in use", path);
    if (unlink(path) != 0 && errno != ENOENT)
        return error_set_errno(err, errno, "cannot remove the stale socket %s", path);
    return 0;
}

static int folder_make(const char *path, struct error *err)
{
    char folder[sizeof(((struct sockaddr_un *)0)->sun_path)];
    const char *slash = strrchr(path, '/');
    if (!slash || slash == path)
        return 0;
    memcpy(folder, path, (size_t)(slash - path));
    folder[slash - path] = '\0';
    return fs_mkdirs(folder, 0700, err);
}

static int unix_open(struct listener *l, const char *path, struct error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = strlen(path);
    if (len == 0 || len >= sizeof address.sun_path)
        return error_set(err, VX11_ETOO_LARGE, "socket path %s is longer than %zu bytes", path,
                         sizeof address.sun_path - 1);
    memcpy(address.sun_path, path, len + 1);
    int rc = folder_make(path, err);
    if (rc == 0)
        rc = remove_stale(&address, err);
    if (rc != 0)
        return rc;
    int fd = socket(AF_UNIX, SOCKET_FLAGS, 0);
    struct stat st;
    if (fd < 0)
        return error_set_errno(err, errno, "cannot make a socket for %s", path);
    /* The file gets the descriptor's mode: there is no moment in which others could connect. */
    if (fchmod(fd, 0600) != 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        chmod(path, 0600) != 0 || stat(path, &st) != 0 || listen(fd, BACKLOG) != 0) {
        int sys = errno;
        close(fd);
        return error_set_errno(err, sys, "cannot listen on %s", path);
    }
    l->fd = fd;
    l->device = st.st_dev;
    l->inode = st.st_ino;
    l->path = strdup(path);
    return l->path ? 0 : error_set(err, VX11_ENOMEM, "out of memory");
}

int listener_open(struct listener *l, const struct server_listener *options, struct error *err)
{
    if ((options->host != NULL) == (options->path != NULL))
        return error_set(err, VX11_EINVALID, "a listener needs either a host or a path");
    return options->path ? unix_open(l, options->path, err) : tcp_open(l, options->host, options->port, err);
}

void listener_close_socket(struct listener *l)
{
    if (l->fd < 0)
        return;
    struct stat st;
    if (l->path && lstat(l->path, &st) == 0 && st.st_dev == l->device && st.st_ino == l->inode &&
        unlink(l->path) != 0)
        log_warn("server", "the socket file stays behind", LOG_S("path", l->path),
                 LOG_S("error", strerror(errno)));
    if (close(l->fd) != 0)
        log_warn("server", "closing the listening socket failed", LOG_S("error", strerror(errno)));
    l->fd = -1;
}
