/* Tools, inside. */
#ifndef VX11_HERMES_TOOLS_INTERNAL_H
#define VX11_HERMES_TOOLS_INTERNAL_H

#include <limits.h>

#include "base/ulid.h"
#include "hermes/tools/known.h"
#include "hermes/tools/output.h"
#include "hermes/tools/tools.h"

/* A definition with what the configuration adds; shared by the tool and its runs. */
struct tool_spec {
    unsigned refs;
    struct arena *arena;
    struct tool_def def;
    const char *command; /* of the configuration; NULL: the definition's binaries */
    const char *const *models;
    size_t model_count;
    enum child_sandbox sandbox;
    bool network;
    int64_t quota_daily; /* 0: no limit */
    int said;            /* the configuration's word: -1 none, 0 off, 1 on */
    char problem[512];   /* "": the definition is sound */
};

/* The row, or what would become it. Strings in some arena. */
struct binding {
    const char *path, *real_path, *version, *sha256, *auth_detail, *last_error;
    int64_t size_bytes, mtime_ns;                  /* -1: unknown */
    int auth;                                      /* enum hermes_tool_auth */
    bool enabled, row;                             /* row: it is in the database */
    int64_t detected_at, last_ok_at, last_fail_at; /* -1: never */
    int64_t quota_day, quota_used;
    const char *refused; /* detection: why a program that was found is not taken */
};

struct tool {
    struct tools *all;
    struct tool *next;
    char name[65];
    struct tool_spec *spec; /* NULL: no longer defined */
    struct arena *arena;    /* of the binding */
    struct binding binding;
    unsigned running;
    bool looking; /* a detection of its own runs */
    int64_t looked_mono;
};

struct tools {
    uv_loop_t *loop;
    struct store *store;
    struct writer *writer;
    char home[PATH_MAX];      /* VX11's */
    char user_home[PATH_MAX]; /* HOME; "" when there is none */
    struct tool *list;        /* by name */
    struct arena *dirs_arena;
    const char **dirs; /* where programs are looked for */
    size_t dir_count;
    struct tool_run *runs;
    struct detection *detections;
    unsigned children; /* that have not ended */
    bool closing;
    void (*closed)(void *ctx);
    void *closed_ctx;
};

/* config.c */
struct tool_spec *tool_spec_create(const struct tool_def *known, const struct config_tool *config,
                                   enum child_sandbox sandbox);
void tool_spec_release(struct tool_spec *s);
enum child_sandbox tool_sandbox_of(int config_value, enum child_sandbox otherwise);
int tools_dirs_fill(struct tools *t, const struct config *config);

/* binding.c */
int binding_load(struct tool *tool, struct error *err);
int binding_store(struct tool *tool, const struct binding *b, int64_t now, struct error *err);
bool binding_same(const struct binding *a, const struct binding *b);
/* Whether the program is still the one that was looked at. */
bool binding_holds(const struct binding *b);
int64_t day_of(int64_t epoch_ms);
/* Counts a run of today. VX11_EFULL: the day's runs are used up. */
int quota_take(struct tool *tool, int64_t now, struct error *err);
void quota_give_back(struct tool *tool, int64_t now);
void binding_note_ok(struct tool *tool, int64_t now);
void binding_note_fail(struct tool *tool, const char *reason, bool needs_login, int64_t now);

struct audit {
    const char *kind, *name, *program, *request_id, *outcome, *error;
    const struct principal *principal;
    const struct child_result *result; /* NULL: not run */
    size_t input_bytes;
    int64_t at;
};
void audit_write(struct writer *w, const struct audit *a);

/* detect.c */
void detections_cancel(struct tools *t);
void tool_look_again(struct tool *tool);

/* tools.c */
int tool_describe_as(struct tool *tool, const struct binding *b, struct arena *a, struct hermes_tool *out);
bool tool_enabled_as(const struct tool *tool, const struct binding *b);
void tools_child_ended(struct tools *t);

/* surroundings.c: what a child of a tool gets around it. */
struct surroundings {
    struct child_env env;
    char folder[PATH_MAX]; /* its working folder, made for it */
    const char **readable, **writable;
    struct arena *arena;
};
int surroundings_make(struct tools *t, const struct tool_spec *spec, const char *path, const char *real_path,
                      struct surroundings *out, struct error *err);
void surroundings_remove(struct tools *t, struct surroundings *s);
int work_folder_make(const char *home, char *out, size_t size, struct error *err);
void work_folder_remove(const char *home, const char *folder);

#endif
