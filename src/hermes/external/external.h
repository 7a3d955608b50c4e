/* External engines: those of hermes.engines, which are not VX11's own.
 *
 *   command   argv with placeholders ──> a process of ours for each model (worker.c starts, asks and ends it)
 *   address   somebody else keeps it running: it is asked every so often, and its models are listed
 *
 * The models that only such an engine has get rows in the registry like any other, and a row in
 * model_external that says whose they are. One set belongs to the loop; a `struct external` is never changed
 * once it is loaded, except for what was measured, and lives as long as somebody holds it. */
#ifndef VX11_HERMES_EXTERNAL_H
#define VX11_HERMES_EXTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "api/hermes.h"
#include "base/arena.h"
#include "base/error.h"
#include "contract/config.h"
#include "net/client.h"
#include "store/store.h"

struct externals;

struct external {
    unsigned refs;
    char *name;
    int kind; /* enum hermes_external_kind */
    /* command */
    char **argv; /* argv[0] is absolute; NULL-terminated */
    size_t argc;
    char **env; /* "NAME=value" */
    size_t env_count;
    bool by_socket, wants_file; /* its template has {socket}, {model} */
    int stop_signal;
    int64_t start_timeout_ms, stop_timeout_ms, memory_bytes; /* 0: hermes.load_timeout_ms; …; unknown */
    /* both */
    char *base_url;                  /* NULL: a port or socket that we choose */
    char *health, *slots, *upstream; /* the last two may be NULL */
    char **models;
    size_t model_count;
    char problem[256]; /* why it cannot be started at all; "" */
    /* address, as last seen */
    struct externals *all;
    bool listed; /* its models come from GET /v1/models */
    int state;   /* enum hermes_external_state */
    char reason[256];
    int64_t check_interval_ms, checked_at; /* epoch ms, 0: never */
    int64_t checked_mono;
    double latency_ms;
    bool checking;
};

struct external *external_ref(struct external *x);
void external_unref(struct external *x); /* NULL is fine */
/* What its model is called when it is asked. */
const char *external_upstream(const struct external *x, const char *model);

/* ---- template.c ---- */
struct external_values { /* what placeholders stand for; numbers below 0: not known */
    const char *model /* path; NULL: none */, *name, *socket;
    int64_t port, ctx, threads;
};
/* Checks the placeholders of a command. *by_socket, *wants_file: which ones it has. has_url: it needs neither
 * {port} nor {socket}. VX11_EINVALID with a sentence. */
int template_check(const char *const *command, size_t n, bool has_url, bool *by_socket, bool *wants_file,
                   struct error *err);
/* argv of n strings and a NULL, each one argument whatever the values hold; free with template_free.
 * VX11_EINVALID when a value is missing. */
int template_fill(char *const *command, size_t n, const struct external_values *values, char ***out,
                  struct error *err);
void template_free(char **argv);
/* Absolute path of a program: itself, or found in path ("/a:/b"). VX11_ENOT_FOUND or VX11_EPERMISSION with a
 * sentence. */
int template_program(const char *name, const char *path, char *out, size_t size, struct error *err);

/* ---- external.c: the set ---- */
struct externals_options {
    uv_loop_t *loop;
    struct client *client;
    struct store *store;
    /* A model's file has gone, or its engine has changed: what is loaded of it is to be unloaded. */
    void (*on_gone)(void *ctx, const char *model, const char *reason);
    void *ctx;
};
int externals_create(const struct externals_options *options, struct externals **out, struct error *err);
/* Takes the configuration over. Engines that stay the same keep what was measured of them. */
int externals_configure(struct externals *all, const struct config *config, struct error *err);
void externals_close(struct externals *all, void (*done)(void *ctx), void *ctx);
/* The engine that a model is configured for or listed by; NULL: our own worker. Borrowed. */
struct external *externals_of_model(struct externals *all, const char *model);
struct external *externals_find(struct externals *all, const char *name);
size_t externals_count(const struct externals *all);
struct external *externals_at(const struct externals *all, size_t i);
/* Of one kind (enum hermes_external_kind): commands that cannot be started, addresses that are down. The
 * first one's reason into out. */
size_t externals_down(const struct externals *all, int kind, char *out, size_t size);

/* ---- address.c ---- */
/* Asks an address now, unless it was asked within max_age_ms. fn runs once: at once (then *out is NULL), or
 * later. */
struct external_wait;
typedef void (*external_fn)(void *ctx, struct external *x);
int external_check(struct external *x, int64_t max_age_ms, external_fn fn, void *ctx,
                   struct external_wait **out);
void external_wait_cancel(struct external_wait *w); /* fn is not called */

#endif
