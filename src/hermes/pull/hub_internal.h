/* What the files of the hub share. */
#ifndef VX11_HERMES_PULL_HUB_INTERNAL_H
#define VX11_HERMES_PULL_HUB_INTERNAL_H

#include "hermes/pull/hub.h"
#include "net/url.h"

struct hub {
    uv_loop_t *loop;
    struct client *client;
    char endpoint[1025];
    struct url origin;
    char token[2049]; /* "": none */
    bool private_endpoint, allow_private, search;
    int64_t idle_ms;
};

#endif
