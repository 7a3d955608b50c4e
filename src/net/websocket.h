/* WebSocket: server side, wslay framing on libmicrohttpd's upgraded socket, in the same loop. */
#ifndef VX11_NET_WEBSOCKET_H
#define VX11_NET_WEBSOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/server.h"

struct websocket;

struct websocket_events {
    void (*on_open)(struct websocket *ws, void *ctx);
    void (*on_message)(struct websocket *ws, void *ctx, const char *data, size_t len,
                       bool text); /* text is valid UTF-8 */
    void (*on_close)(struct websocket *ws, void *ctx,
                     int code); /* once, last; 1006 when the connection broke */
};

/* Terminal for the request (a route with stream "ws"; authentication, Host and Origin are already checked):
 * answers 101 and hands the socket over, or 400/426 when it is not an upgrade request. max_message: bytes
 * (1009 past it). A peer silent for 30 s is pinged, closed when it does not answer; queue bounds what waits
 * for a slow reader (cut off, on_close hears 1013, counted). on_close also runs when it came to nothing: with
 * ws NULL when it was refused here, with 1006 and no on_open before when the client left first. */
void websocket_accept(struct request *r, size_t max_message, size_t queue,
                      const struct websocket_events *events, void *ctx);
int websocket_send(struct websocket *ws, const char *text,
                   size_t len); /* copied; VX11_ECLOSED, VX11_EFULL (and closed) */
void websocket_close(struct websocket *ws, int code, const char *reason);

#endif
