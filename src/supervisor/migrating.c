/* Before the supervisor opens the database, which brings its schema up: the copy to go back to. */
#include "supervisor/supervisor_internal.h"

#include "store/backup/backup.h"

int chores_before_start(const struct config *config, const char *home, struct error *err)
{
    const struct config_supervisor_backup *c = config->values->supervisor->backup;
    const struct backup_keep keep = {.daily = c->keep_daily,
                                     .weekly = c->keep_weekly,
                                     .monthly = c->keep_monthly,
                                     .manual = c->keep_manual,
                                     .before = c->keep_before};
    const struct backup_options options = {.compress = c->compress,
                                           .level = (int)c->level,
                                           .long_matches = c->long_,
                                           .key_file = c->key_file[0] ? c->key_file : NULL};
    struct backup_place place;
    char database[4096];
    bool made;
    int rc = module_store_path(config, home, database, sizeof database);
    if (rc != 0)
        return error_set(err, rc, "the path of the database is too long");
    if ((rc = backup_place_of(home, database, &place, err)) == 0)
        rc = backup_before_migrate(home, &place, &options, &keep, &made, err);
    return rc == 0 ? 0 : error_prefix(err, rc, "before the database's schema is brought up");
}
