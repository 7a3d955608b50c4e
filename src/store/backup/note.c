/* Note: what was tried, as rows of table backup. The files and their manifests are the truth; these rows are
 * their history, which also remembers what failed and what was deleted. */
#include "store/backup/backup_internal.h"

#include "base/log.h"
#include "base/ulid.h"
#include "store/store.h"

int backup_note_in(struct store *s, const char *action, const struct backup_item *item, int64_t at,
                   int64_t duration_ms, const char *problem, struct error *err)
{
    char id[ULID_LEN + 1];
    const struct store_value values[] = {
        STORE_T(ulid_make(id)),
        STORE_I(at),
        STORE_T(action),
        STORE_T(item->has_kind ? backup_kind_names[item->kind] : NULL),
        STORE_T(item->name),
        item->has_bytes ? STORE_I(item->bytes) : STORE_N,
        STORE_T(item->sha256),
        item->has_schema_version ? STORE_I(item->schema_version) : STORE_N,
        item->has_rows ? STORE_I(item->rows) : STORE_N,
        STORE_I(duration_ms < 0 ? 0 : duration_ms),
        STORE_I(problem ? 0 : 1),
        STORE_T(problem),
    };
    return store_exec(
        s,
        "INSERT INTO backup (id, at, action, kind, path, bytes, sha256, schema_version, row_count,"
        " duration_ms, ok, error) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        values, sizeof values / sizeof values[0], NULL, err);
}

void backup_note(const struct backup_place *place, const char *action, const struct backup_item *item,
                 int64_t at, int64_t duration_ms, const char *problem)
{
    struct store *s = NULL;
    struct error err = {0};
    const struct store_options options = {.path = place->database};
    int rc = store_open(&options, &s, &err);
    if (rc == 0)
        rc = backup_note_in(s, action, item, at, duration_ms, problem, &err);
    if (rc != 0)
        log_warn("backup", "what was done could not be noted in the database", LOG_S("action", action),
                 LOG_S("backup", item->name), LOG_S("reason", err.text));
    store_close(s);
}
