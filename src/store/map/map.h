/* Map: the schema for people and programs: every table, whose it is, what it is for, what points where. The
 * same input gives the same bytes; docs/DB_MAP.md and docs/DB_SCHEMA.json are these of a new database. */
#ifndef VX11_STORE_MAP_MAP_H
#define VX11_STORE_MAP_MAP_H

#include "base/arena.h"
#include "base/buf.h"
#include "store/schema.h"

enum map_format { MAP_MARKDOWN, MAP_JSON, MAP_MERMAID };
extern const char *const map_format_names[3]; /* "markdown", "json", "mermaid" */

/* Appends it. Sizes appear where the schema was counted (schema_read; not schema_read_shape). The arena is
 * for the JSON's structs. 0 or VX11_ENOMEM. */
int map_write(const struct schema *s, enum map_format format, struct arena *a, struct buf *out);

#endif
