/* Contract: every module's interface as data, and what is made from it.
 *
 *   api/NAME.json --contractgen--> api/NAME.h, NAME.c      structs, enums, message and route tables
 *                                  api/NAME_client.h       typed calls for other modules (needs net)
 *        tables --contract.c-----> parse, validate, serialize, defaults
 *               --openapi.c, typescript.c, markdown.c-----> /openapi.json, web types, docs/API.md
 *
 * Parsing is zero-copy: strings and free JSON of a parsed message point into memory of the arena given to the
 * parser and live as long as that arena. Parsed strings are NUL-terminated and contain no embedded NUL. */
#ifndef VX11_CONTRACT_CONTRACT_H
#define VX11_CONTRACT_CONTRACT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <yyjson.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"

enum contract_type {
    CONTRACT_BOOL,      /* bool */
    CONTRACT_INTEGER,   /* int64_t */
    CONTRACT_NUMBER,    /* double, finite */
    CONTRACT_STRING,    /* const char *, NUL-terminated UTF-8 */
    CONTRACT_ENUM,      /* int: index into `values` */
    CONTRACT_TIMESTAMP, /* int64_t epoch ms */
    CONTRACT_ULID,      /* const char *, 26 characters */
    CONTRACT_JSON,      /* yyjson_val * : any JSON value; NULL when absent */
    CONTRACT_MESSAGE,   /* struct NAME *, NULL when absent or null */
    CONTRACT_ARRAY,     /* TYPE *name (pointer to elements) + size_t name_count; element type in `element` */
};

enum contract_scope { /* what a caller must be allowed to do; SCOPE_OPEN needs no token */
                      CONTRACT_SCOPE_OPEN,
                      CONTRACT_SCOPE_READ,
                      CONTRACT_SCOPE_CHAT,
                      CONTRACT_SCOPE_ACT,
                      CONTRACT_SCOPE_ADMIN,
                      CONTRACT_SCOPE_PUBLISH,
                      CONTRACT_SCOPE_COUNT
};
const char *contract_scope_name(enum contract_scope s);
int contract_scope_parse(const char *s, enum contract_scope *out);

enum contract_field_flag {
    CONTRACT_REQUIRED = 1,
    CONTRACT_NULLABLE = 2, /* null is accepted and means absent; serialized as null when absent */
    CONTRACT_HAS_DEFAULT = 4,
    CONTRACT_HAS_MIN = 8,
    CONTRACT_HAS_MAX = 16,
    CONTRACT_SECRET = 32,     /* never logged, shown as "[redacted]" by config show */
    CONTRACT_RESTART = 64,    /* configuration: a change needs a restart of the module */
    CONTRACT_OMIT_NULL = 128, /* with NULLABLE: null is accepted, but absent is left out when serialized */
};

struct contract_message;

struct contract_field {
    const char *name; /* JSON name */
    const char *doc;  /* one line, with the unit */
    const char *unit; /* "" or "ms", "bytes", "tokens", … */
    enum contract_type type;
    unsigned flags;
    size_t offset;     /* of the member in the struct */
    size_t has_offset; /* of `bool has_NAME`; SIZE_MAX for types whose absence is NULL or that have a default,
                          or that are required and not nullable */
    size_t count_offset;           /* arrays: of `size_t NAME_count` */
    double min, max;               /* integer, number, timestamp */
    size_t min_length, max_length; /* strings: code points; arrays: elements; max 0: the global bound */
    const char *pattern;           /* strings: POSIX extended regular expression, whole string; NULL: none */
    const char *const *values;     /* enums: names, values_count of them */
    size_t values_count;
    const struct contract_message *message; /* messages and arrays of messages */
    const struct contract_field *element;   /* arrays: describes one element (offset 0) */
    const char *default_json;               /* default as JSON text, NULL: none */
};

struct contract_message {
    const char *name; /* "ChatRequest" */
    const char *file; /* "openai": the table it is from */
    const char *doc;
    size_t size; /* sizeof the struct */
    const struct contract_field *fields;
    size_t field_count;
};

enum contract_stream { CONTRACT_STREAM_NONE, CONTRACT_STREAM_SSE, CONTRACT_STREAM_WS, CONTRACT_STREAM_BYTES };
enum contract_route_flag {
    CONTRACT_ROUTE_STANDBY = 1,     /* answered in standby too (health, metrics, control) */
    CONTRACT_ROUTE_RAW_BODY = 2,    /* the body is passed on unparsed (relay); `request` still documents it */
    CONTRACT_ROUTE_STREAM_BODY = 4, /* the handler takes the body in pieces */
    CONTRACT_ROUTE_JOB = 8,         /* creates a job: 202, honours Idempotency-Key */
    CONTRACT_ROUTE_MAYBE_STREAM = 16, /* streams only when the request says so ("stream": true) */
    CONTRACT_ROUTE_COOKIE = 32,       /* page routes: the session cookie is enough */
};

struct contract_route {
    const char *id;     /* "chat_completions" */
    const char *method; /* "GET", "POST", "PUT", "PATCH", "DELETE" */
    const char *path;   /* "/hermes/models/{name}"; a last segment "{name*}" takes the rest of the path */
    const char *summary, *doc;
    enum contract_scope scope;
    unsigned flags;
    enum contract_stream stream;
    int status;                              /* of success: 200, 201, 202, 204 */
    const char *content_type;                /* of the reply: "application/json" unless said */
    uint64_t max_body;                       /* bytes; 0: the server's default */
    int64_t timeout_ms;                      /* for the whole request; 0: the server's default; -1: none */
    const struct contract_message *params;   /* path placeholders and query parameters; NULL: none */
    const struct contract_message *request;  /* body; NULL: none */
    const struct contract_message *response; /* NULL: free-form or empty */
};

struct contract_module {
    const char *name; /* "switch" */
    const char *title, *doc;
    int port; /* default TCP port, 0: Unix socket only */
    const struct contract_route *routes;
    size_t route_count;
    const struct contract_message *const *messages; /* all of this file's messages, in order */
    size_t message_count;
};

/* What was wrong with a body, a query or a file. */
struct contract_error {
    int code; /* VX11_ESYNTAX (not JSON), VX11_EINVALID (does not fit), VX11_ETOO_LARGE, VX11_ENOMEM */
    char pointer[256]; /* JSON pointer to the value, "" for the whole document */
    char text[256];    /* a sentence: "must be at most 2" */
    size_t position;   /* byte offset of a syntax error, else 0 */
};

/* Bounds for untrusted JSON. Zeros mean the defaults: 64 levels, 16 MiB. */
struct contract_limits {
    size_t max_depth, max_bytes;
    bool strict; /* unknown fields are errors (configuration) */
};

/* Parses JSON text: UTF-8 checked, one document, no duplicate keys, bounded depth and size; the text may be
 * modified/copied into the arena. Returns 0 and *out (owned by the arena), or a VX11_E… with *err filled (err
 * may be NULL). */
int contract_json_parse(struct arena *a, const char *text, size_t len, const struct contract_limits *limits,
                        yyjson_val **out, struct contract_error *err);

/* JSON text -> struct (of m->size bytes, fully overwritten, absent fields get their defaults). */
int contract_parse(const struct contract_message *m, struct arena *a, const char *text, size_t len,
                   const struct contract_limits *limits, void *out, struct contract_error *err);
int contract_parse_value(const struct contract_message *m, struct arena *a, yyjson_val *value,
                         const struct contract_limits *limits, void *out, struct contract_error *err);

/* One name=value of a path or query into a field of m, converted from text by the field's type ("true", "5",
 * enum names; repeated names append to arrays). Call contract_init first, contract_params_finish last (checks
 * that required ones are there). Unknown names are ignored. */
int contract_param_set(const struct contract_message *m, struct arena *a, const char *name, const char *value,
                       void *out, struct contract_error *err);
int contract_params_finish(const struct contract_message *m, const void *out, struct contract_error *err);

/* Defaults into a struct. Array and nested defaults are allocated in the arena. */
int contract_init(const struct contract_message *m, struct arena *a, void *out);

/* struct -> JSON text, appended to out. Absent optional fields are left out (nullable ones: null). Never
 * emits invalid UTF-8. 0, VX11_ENOMEM, or VX11_EINVALID when the struct breaks its own contract (an enum out
 * of range, a required string that is NULL). */
int contract_serialize(const struct contract_message *m, const void *in, struct buf *out);
/* Indented, for people. */
int contract_serialize_pretty(const struct contract_message *m, const void *in, struct buf *out);
/* struct -> mutable JSON value inside doc, which owns all of it. NULL on failure. */
yyjson_mut_val *contract_to_value(const struct contract_message *m, const void *in, yyjson_mut_doc *doc);

/* Free JSON: writes any value compactly. */
int contract_json_write(const yyjson_val *value, struct buf *out);
/* An arena as yyjson's allocator (never frees). */
void contract_json_allocator(struct arena *a, yyjson_alc *out);

const struct contract_field *contract_field_find(const struct contract_message *m, const char *name);

/* Descriptions of one module: OpenAPI 3.1 JSON; of all modules: TypeScript types, Markdown. Appended to out.
 */
int contract_openapi(const struct contract_module *module, const char *version, struct buf *out);
int contract_typescript(const struct contract_module *const *modules, size_t n, struct buf *out);
int contract_markdown(const struct contract_module *const *modules, size_t n, struct buf *out);

#endif
