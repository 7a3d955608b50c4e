/* What the commands that write backups or databases share. */
#ifndef VX11_CLI_DB_BACKUP_H
#define VX11_CLI_DB_BACKUP_H

#include "cli/cli_internal.h"
#include "store/backup/backup.h"

struct db_work {
    struct cli cli;
    struct backup_place place;
    const struct config_supervisor_backup *config;
    struct maintenance_lock lock;
    const char *by; /* for the ledger: cli, schedule */
};
/* Home, configuration, place, and the maintenance lock when `what` says what for. SIGINT and SIGTERM then
 * only set what db_interrupted tells. 0 or an exit code after having said why; db_work_close either way. */
int db_work_open(struct db_work *w, const char *what, int64_t lock_wait_ms);
void db_work_close(struct db_work *w);
bool db_interrupted(void *ctx);
/* db_restore.c: takes the supervisor's own lock: while it is open nothing can be started in this home. 0, or
 * an exit code after having said why. */
int supervisor_keep_out(const struct cli *c, int *lock_fd);
/* `vx11 up --detach`; what it says goes to stderr. */
int supervisor_start_again(void);
/* Says it; the exit code for it. */
int db_failed(int rc, const struct error *err);
/* A row of the ledger with one pair; a ledger that cannot take it is said on stderr. */
void db_ledger(const struct db_work *w, const char *kind, const char *subject, const char *name,
               const char *text);

#endif
