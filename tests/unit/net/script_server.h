/* A raw HTTP server for tests, in threads of its own: the test's function gets each request and writes
 * whatever bytes it likes, right or wrong. */
#ifndef VX11_TESTS_SCRIPT_SERVER_H
#define VX11_TESTS_SCRIPT_SERVER_H

#include <stdbool.h>
#include <stddef.h>

struct script_server;

struct script_request {
    char method[16], path[1024];
    char head[16384]; /* request line and headers as they came */
    char *body;       /* NUL-terminated */
    size_t body_len;
};

struct script_conn {
    struct script_server *server;
    int fd;
    int number;   /* of the connection, from 0 */
    int requests; /* on this connection before this one */
};

/* Returns false to close the connection. */
typedef bool (*script_fn)(struct script_conn *conn, const struct script_request *request);

/* On 127.0.0.1 with a free port, or on a Unix socket when path is not NULL. Fails the test when it cannot. */
struct script_server *script_server_start(const char *path, script_fn fn);
void script_server_stop(struct script_server *s);
int script_server_port(const struct script_server *s);
int script_server_connections(struct script_server *s); /* accepted so far */
int script_server_requests(struct script_server *s);

bool script_send(struct script_conn *conn, const void *data,
                 size_t len); /* all of it; false: the peer left */
bool script_puts(struct script_conn *conn, const char *text);
bool script_printf(struct script_conn *conn, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Sleeps; false when the server is being stopped. */
bool script_sleep(struct script_conn *conn, int ms);
/* Waits until the peer closed the connection; false when the server is being stopped. */
bool script_wait_close(struct script_conn *conn);
bool script_has(const struct script_request *request, const char *line); /* a header line, exactly */

#endif
