/* Model: the contract's tables as contractgen holds them in memory, names resolved and checked.
 *
 *   struct model ── files ── enums, messages ── fields (── element), routes
 *
 * Everything is allocated from the model's pool and lives until model_free. */
#ifndef CONTRACTGEN_MODEL_H
#define CONTRACTGEN_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <yyjson.h>

struct pool_block;

enum type {
    T_BOOL,
    T_INTEGER,
    T_NUMBER,
    T_STRING,
    T_ENUM,
    T_TIMESTAMP,
    T_ULID,
    T_JSON,
    T_MESSAGE,
    T_ARRAY,
    T_COUNT
};

struct enumeration {
    const char *name;  /* "Outcome", or "" for one written inside a field */
    const char *cname; /* "switch_outcome" */
    const char *doc;
    const char **values;
    const char **constants; /* "SWITCH_OUTCOME_OK" */
    size_t value_count;
};

struct message;

struct field {
    const char *name;  /* JSON name */
    const char *cname; /* C member */
    const char *path;  /* "messages.X.fields.y", for errors */
    const char *doc, *unit, *pattern;
    enum type type;
    bool required, nullable, omit_null, secret, restart, has_min, has_max, has_member;
    double min, max;
    size_t min_length, max_length;
    const struct enumeration *enumeration;
    const char *message_ref; /* as written */
    struct message *message;
    struct field *element;
    yyjson_val *default_value;
};

struct message {
    const char *name, *cname, *doc;
    struct field *fields;
    size_t field_count;
    struct file *file;
    bool is_params; /* some route takes its path and query parameters through it */
};

struct route {
    const char *id, *path_in_file;
    const char *method, *path, *scope, *summary, *doc, *stream, *content_type;
    struct message *params, *request, *response;
    int status;
    bool maybe_stream, raw_body, stream_body, job, standby, cookie;
    double max_body, timeout_ms;
};

struct file {
    const char *name;   /* "switch": the file's name without .json */
    const char *source; /* "api/switch.json", for errors and comments */
    yyjson_doc *doc_json;
    yyjson_val *root;
    const char *module, *title, *doc;
    int port;
    const char **uses;
    size_t use_count;
    struct enumeration **enums; /* named ones in order, then those written inside fields */
    size_t enum_count, named_enum_count;
    struct message **messages;
    size_t message_count;
    struct route *routes;
    size_t route_count;
};

struct model {
    struct file *files;
    size_t file_count;
    unsigned errors;
    struct pool_block *blocks;
};

/* Reads and checks the files. Every error is printed; the count is in model->errors. */
void model_load(struct model *m, char **paths, size_t n);
void model_free(struct model *m);

/* One error at a place of a file, printed to stderr and counted. */
void model_error(struct model *m, const struct file *f, const char *where, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

void *model_alloc(struct model *m, size_t n, size_t size); /* zeroed; exits without memory */
char *model_printf(struct model *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* load.c uses these of resolve.c: cross references, defaults, C name clashes, routes against their messages.
 */
void model_resolve(struct model *m);

extern const char *const type_names[T_COUNT];
bool name_is_c_keyword(const char *s);
char *name_snake(struct model *m, const char *s); /* ChatReply -> chat_reply; other characters become _ */
char *name_upper(struct model *m, const char *s);

#endif
