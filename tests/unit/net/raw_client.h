/* Raw client: sockets and bytes, for saying to a server what no decent client would. Blocking, every wait
 * bounded to 5 s. */
#ifndef RAW_CLIENT_H
#define RAW_CLIENT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

struct raw_reply {
    int status;       /* 0: none came */
    char head[16384]; /* status line and headers */
    struct buf body;  /* de-chunked */
    bool chunked, complete, closed;
};

int raw_tcp(int port);
int raw_unix(const char *path);
void raw_send(int fd, const void *data, size_t len); /* ignores a broken pipe */
void raw_printf(int fd, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* One reply; `head`: it answers a HEAD. Bytes after it stay in the socket or in the carry of this fd's next
 * call. */
void raw_read(int fd, bool head, struct raw_reply *out);
void raw_reply_free(struct raw_reply *r);
/* Value of a reply header into a static buffer, NULL: absent. */
const char *raw_header(const struct raw_reply *r, const char *name);
/* Reads until text was seen (true), or the other side closed or 5 s passed (false). */
bool raw_wait_for(int fd, const char *text, struct buf *seen);
bool raw_closed(int fd); /* within 5 s the other side closes (or resets) */
void raw_close(int fd);
/* Connect, send, read one reply, close. */
void raw_once(int port, struct raw_reply *out, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
