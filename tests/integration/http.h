/* Http: one request, one reply, read whole and as JSON; and open streams. On raw_client.h, with longer waits:
 * a sanitized VX11 on a busy machine may take its time. */
#ifndef VX11_ITEST_HTTP_H
#define VX11_ITEST_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <yyjson.h>

#include "raw_client.h"

struct http_at { /* where to */
    int port;    /* 0: the socket */
    const char *socket;
    const char *token;   /* NULL: none */
    const char *headers; /* more, each ended by CR LF; NULL: none */
};

struct http_reply {
    int status; /* 0: none came */
    struct raw_reply raw;
    yyjson_doc *json; /* NULL: the body is none */
};

int http_connect(const struct http_at *at);
/* Sends a whole request on an open connection. body NULL: none. */
void http_send(int fd, const struct http_at *at, const char *method, const char *path, const void *body,
               size_t len);
void http_read(int fd, struct http_reply *out);
/* Connect, ask, read, close. */
void http(struct http_reply *out, const struct http_at *at, const char *method, const char *path,
          const char *body);
int http_status(const struct http_at *at, const char *method, const char *path,
                const char *body); /* only that */
void http_free(struct http_reply *r);
/* What a JSON pointer finds; "" and -1 when it is not there or of another type. */
const char *http_text(const struct http_reply *r, const char *pointer);
int64_t http_int(const struct http_reply *r, const char *pointer);
bool http_is_null(const struct http_reply *r, const char *pointer);    /* there, and null */
const char *http_header(const struct http_reply *r, const char *name); /* NULL: absent */

/* Asserts a status, saying what came instead. */
#define assert_status(r, want) http_assert_status(r, want, __FILE__, __LINE__)
void http_assert_status(const struct http_reply *r, int want, const char *file, int line);
/* The one error shape, with this status and code. */
#define assert_error(r, want, code) http_assert_error(r, want, code, __FILE__, __LINE__)
void http_assert_error(const struct http_reply *r, int want, const char *code, const char *file, int line);

/* Sends a request and leaves its answer to be read: raw_wait_for, raw_closed, http_read, raw_close. */
int http_open(const struct http_at *at, const char *method, const char *path, const char *body);

/* ---- bodies of streams ---- */
/* How many "data:" events the text holds. */
size_t sse_count(const char *text);
/* The data of event number n as JSON; NULL when it is none. Free it. */
yyjson_doc *sse_json(const char *text, size_t n);
bool sse_done(const char *text); /* ends with [DONE] */
/* Code of the last event's error, "" when it is none. Static. */
const char *sse_error(const char *text);

#endif
