/* Config internals: what config.c, config_yaml.c, config_env.c and config_show.c share. */
#ifndef VX11_CONTRACT_CONFIG_INTERNAL_H
#define VX11_CONTRACT_CONFIG_INTERNAL_H

#include "contract/config.h"
#include "contract/internal.h"

enum {
    CONFIG_FILE_MAX = 1 << 20, /* bytes */
    CONFIG_DEPTH = 32,         /* levels of YAML */
};
#define CONFIG_MEMORY ((size_t)256 << 20)

/* Where a value that is no default came from. */
struct config_origin {
    const char *pointer; /* JSON pointer */
    const char *env;     /* variable, or NULL: the file */
    int line;            /* of the file, from 1 */
    bool whole;          /* everything below comes from here too */
};

/* 0 or VX11_ENOMEM. Strings must live in the configuration's arena. */
int config_origin_add(struct config *cfg, const char *pointer, const char *env, int line, bool whole);
/* The nearest record at or above the pointer; *exact: it speaks for this very value. NULL: none. */
const struct config_origin *config_origin_find(const struct config *cfg, const char *pointer, bool *exact);
/* "/switch/providers/0/name" -> "switch.providers[0].name" */
void config_key_of_pointer(const char *pointer, char *out, size_t size);
/* pointer + "/" + key escaped, in the arena; NULL without memory. */
const char *config_pointer_join(struct arena *a, const char *pointer, const char *key);

/* Text of one scalar to a value, by the type of the field it is for (NULL: unknown key). What does not
 * convert stays a string, so that the contract's own check says what is wrong. Never NULL but without memory.
 */
yyjson_mut_val *config_scalar(yyjson_mut_doc *doc, const struct contract_field *f, const char *text);

/* Reads YAML into an object of `doc` (root set, an empty object for an empty file) and records lines. */
int config_yaml_read(struct config *cfg, const struct contract_message *m, const char *name, const char *text,
                     size_t len, yyjson_mut_doc *doc, struct error *err);
/* Puts the VX11_SECTION__KEY variables over the root object of doc. */
int config_env_apply(struct config *cfg, const struct contract_message *m, const char *const *env,
                     yyjson_mut_doc *doc, struct error *err);
/* What one key alone cannot say: providers named twice, ports used twice. */
int config_check(const struct config *cfg, struct contract_error *err);

/* YAML of one message's values, for config_show. */
int config_yaml_write(const struct config *cfg, const struct contract_message *m, yyjson_val *v,
                      bool with_origin, struct buf *out);

#endif
