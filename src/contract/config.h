/* Config: one YAML file, checked by the table api/config.json, with the environment over it.
 *
 *   defaults of the table  <  config.yaml  <  VX11_SECTION__KEY
 *
 * A loaded configuration never changes: a reload loads another one, and config_diff says what differs. */
#ifndef VX11_CONTRACT_CONFIG_H
#define VX11_CONTRACT_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "api/config.h"
#include "base/buf.h"
#include "base/error.h"

struct config_origin;

struct config {
    const struct config_config *values; /* every section is there: cfg->values->link->port */
    const char *path;                   /* the file it was read from; NULL: there was none */
    /* private */
    struct arena *arena;
    yyjson_val *effective; /* values as JSON, defaults filled in */
    struct config_origin *origins;
    size_t origin_count, origin_cap;
};

/* Loads path (NULL or a file that does not exist: defaults) and the environment. The caller owns *out:
 * config_free. VX11_EINVALID with a sentence that names the line or the variable and the key: config.yaml:12:
 * unknown key switch.defualt_model; did you mean default_model? */
int config_load(const char *path, struct config **out, struct error *err);
/* The same from text; name stands for the file in sentences. env: NULL-terminated "NAME=value" strings, or
 * NULL for none. */
int config_load_text(const char *name, const char *text, size_t len, const char *const *env,
                     struct config **out, struct error *err);
void config_free(struct config *cfg); /* NULL is fine */

/* $VX11_CONFIG, else config.yaml in VX11's home. */
int config_path(char *out, size_t size, struct error *err);

/* Effective configuration as YAML that loads again; secrets are masked. with_origin: each value's origin as a
 * comment (default, FILE:LINE or the variable's name). */
int config_show(const struct config *cfg, bool with_origin, struct buf *out);
/* Origin of one value, e.g. "link.port" or "switch.providers[0].name", into out. VX11_ENOT_FOUND for an
 * unknown key. */
int config_origin_of(const struct config *cfg, const char *key, char *out, size_t size);

enum config_from { CONFIG_FROM_DEFAULT, CONFIG_FROM_FILE, CONFIG_FROM_ENVIRONMENT };
struct config_value {
    const char *key;   /* "switch.providers[0].name" */
    yyjson_val *value; /* the configuration's own; NULL: a secret, or not set */
    const struct contract_field *field;
    enum config_from from;
    const char *source; /* "FILE:LINE" or the variable; NULL: default */
};
/* Every key with what holds, in the table's order; the list is allocated in a. 0 or VX11_ENOMEM. */
int config_values(const struct config *cfg, struct arena *a, struct config_value **out, size_t *count);

struct config_change {
    const char *key; /* "switch.providers[0].base_url"; "switch.providers" when elements came or went */
    const char *before, *after; /* as JSON text, secrets masked; cut to a sane length */
    bool restart;               /* takes effect only when its module is restarted */
};
/* What differs, in the table's order; everything is allocated in a. */
int config_diff(const struct config *before, const struct config *after, struct arena *a,
                struct config_change **out, size_t *count);

/* A file with every key, its description, unit, bounds and default, all commented out. It loads as all
 * defaults. */
int config_default_yaml(struct buf *out);
/* The same as a page of documentation. */
int config_markdown(struct buf *out);

#endif
