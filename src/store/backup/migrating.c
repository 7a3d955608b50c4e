/* Migrating: a program that is newer than the database makes a backup before it changes the schema. A
 * migration runs in transactions and is checked, but what it means to change is not undone by a rollback. */
#include "store/backup/backup_internal.h"

#include "base/fs.h"
#include "base/log.h"
#include "store/store.h"

#define LOCK_WAIT_MS 60000

/* Looks only; what is wrong with the file is told by who opens it for use. */
static bool is_older(const struct backup_place *place)
{
    sqlite3 *db = NULL;
    int64_t there = 0, version = 0;
    if (!fs_exists(place->database) || connection_open(place->database, CONNECTION_READ, 0, &db, NULL) != 0)
        return false;
    int rc = database_inspect(db, place->database, false, NULL);
    if (rc == 0)
        rc = sql_int(db,
                     "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'schema_migration'",
                     &there, NULL);
    if (rc == 0 && there)
        rc = sql_int(db, "SELECT coalesce(max(version), 0) FROM schema_migration", &version, NULL);
    connection_close(db);
    return rc == 0 && version > 0 && version < store_schema_current();
}

int backup_before_migrate(const char *home, const struct backup_place *place,
                          const struct backup_options *options, const struct backup_keep *keep, bool *made,
                          struct error *err)
{
    struct backup_item item;
    struct backup_prune_reply pruned;
    struct maintenance_lock lock = {-1};
    struct backup_options o = *options;
    *made = false;
    if (!is_older(place))
        return 0;
    struct arena *a = arena_create(0);
    if (!a)
        return error_set(err, VX11_ENOMEM, "out of memory");
    o.kind = BACKUP_KIND_BEFORE_MIGRATE;
    int rc = maintenance_lock(home, "backup before a migration", LOCK_WAIT_MS, &lock, err);
    if (rc == 0)
        rc = backup_make(place, &o, a, &item, err);
    if (rc == 0) {
        *made = true;
        log_info("backup", "a backup was made before the schema changes", LOG_S("backup", item.name),
                 LOG_I("schema", item.schema_version), LOG_I("to", store_schema_current()));
        rc = backup_prune(place, keep, false, a, &pruned, err);
    }
    maintenance_unlock(&lock);
    arena_destroy(a);
    return rc;
}
