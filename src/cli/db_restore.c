/* Restore: nothing may run meanwhile. With --stop the command stops VX11 itself, and starts it again
 * afterwards, whether the restore went well (with the restored state) or not (with the one that was there).
 */
#include "cli/db.h"
#include "cli/db_backup.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/str.h"
#include "store/ledger/ledger.h"
#include "store/store.h"

#define LOCK_WAIT_MS 2000

struct restore_arguments {
    const char *name, *key_file;
    bool stop, yes, json, no_start;
};

static int restore_parse(int argc, char **argv, struct restore_arguments *a)
{
    memset(a, 0, sizeof *a);
    for (int i = 1; i < argc; i++) {
        int took = cli_option("db restore", argc, argv, &i, "--key-file", &a->key_file);
        if (took < 0)
            return CLI_USAGE;
        if (took > 0)
            continue;
        if (strcmp(argv[i], "--stop") == 0)
            a->stop = true;
        else if (strcmp(argv[i], "--no-start") == 0)
            a->no_start = true;
        else if (strcmp(argv[i], "--yes") == 0)
            a->yes = true;
        else if (strcmp(argv[i], "--json") == 0)
            a->json = true;
        else if (argv[i][0] == '-' || a->name)
            return cli_usage("db restore", "unknown argument %s", argv[i]);
        else
            a->name = argv[i];
    }
    return a->name ? 0 : cli_usage("db restore", "which backup? (vx11 db list)");
}

/* Typed out, because everything since the backup goes aside. */
static int restore_confirm(const struct restore_arguments *a)
{
    char line[64];
    if (a->yes)
        return 0;
    if (!isatty(STDIN_FILENO))
        return cli_usage("db restore", "this puts %s in the database's place: say --yes", a->name);
    fprintf(stderr,
            "This puts %s in the database's place; the present one is kept beside it.\nType yes: ", a->name);
    if (!fgets(line, sizeof line, stdin) || strcmp(line, "yes\n") != 0)
        return cli_fail(CLI_FAILED, "nothing was done");
    return 0;
}

int supervisor_keep_out(const struct cli *c, int *fd)
{
    char path[4200];
    snprintf(path, sizeof path, "%s/run/supervisor.lock", c->home);
    *fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (*fd < 0)
        return cli_fail(CLI_FAILED, "%s cannot be opened: %s", path, strerror(errno));
    if (flock(*fd, LOCK_EX | LOCK_NB) == 0)
        return 0;
    close(*fd);
    *fd = -1;
    return cli_fail(CLI_FAILED, "VX11 runs in this home: stop it first, or say --stop");
}

static int restore_verify(struct db_work *w, const struct restore_arguments *a)
{
    const struct backup_watch watch = {.cancelled = db_interrupted};
    const char *key_file = a->key_file ? a->key_file : w->config->key_file;
    struct error err = {0};
    int rc = backup_verify(&w->place, a->name, key_file, &watch, w->cli.arena, NULL, &err);
    return rc == 0 ? 0 : db_failed(rc, &err);
}

static int restore_note(struct db_work *w, const struct backup_restore_reply *r, struct error *err)
{
    struct store *s = NULL;
    char at[32];
    const struct store_options options = {.path = w->place.database};
    int rc = store_open(&options, &s, err);
    if (rc == 0)
        rc = ledger_note_restore(s, "cli", r->name, err, "made_at", clock_format(r->made_at, at), "kept",
                                 r->kept, NULL);
    store_close(s);
    return rc;
}

static int restore_run(struct db_work *w, const struct restore_arguments *a,
                       struct backup_restore_reply *reply)
{
    struct error err = {0};
    const struct backup_restore_options o = {
        .name = a->name,
        .key_file = a->key_file ? a->key_file : w->config->key_file,
        .by = "cli",
        .watch.cancelled = db_interrupted,
    };
    int rc = backup_restore(&w->place, &o, w->cli.arena, reply, &err);
    if (rc != 0)
        return db_failed(rc, &err);
    rc = restore_note(w, reply, &err);
    return rc == 0
               ? 0
               : cli_fail(CLI_FAILED, "the database is restored, but the ledger could not take it down: %s",
                          err.text);
}

int supervisor_start_again(void)
{
    char *argv[] = {(char[]){"up"}, (char[]){"--detach"}, NULL};
    signal(SIGXFSZ, SIG_DFL); /* not for those that are started here to inherit */
    /* What it says is for people, and must not get into what this command prints. */
    fflush(stdout);
    int out = dup(STDOUT_FILENO);
    dup2(STDERR_FILENO, STDOUT_FILENO);
    int code = command_up(2, argv);
    fflush(stdout);
    if (out >= 0) {
        dup2(out, STDOUT_FILENO);
        close(out);
    }
    return code;
}

static void print_restored(const struct backup_restore_reply *r)
{
    char at[32];
    printf("The database is that of %s: %lld rows, schema %lld", clock_format(r->made_at, at),
           (long long)r->rows, (long long)r->schema_before);
    if (r->schema_version != r->schema_before)
        printf(", now %lld", (long long)r->schema_version);
    puts(".");
    if (r->kept)
        printf("The earlier one is kept as %s\n", r->kept);
    if (!r->restarted)
        puts("Start VX11 with: vx11 up");
}

int command_db_restore(int argc, char **argv)
{
    struct restore_arguments a;
    struct db_work w;
    struct backup_restore_reply reply = {0};
    int fd = -1;
    int code = restore_parse(argc, argv, &a);
    if (code == 0)
        code = restore_confirm(&a);
    if (code != 0)
        return code;
    code = db_work_open(&w, "restore", LOCK_WAIT_MS);
    const bool ran = code == 0 && supervisor_lives(&w.cli);
    if (code == 0 && ran && a.stop) /* read to its end while everything still runs */
        code = restore_verify(&w, &a);
    if (code == 0 && ran && a.stop)
        code = down_wait(&w.cli, -1);
    const bool stopped = code == 0 && ran && a.stop;
    if (code == 0)
        code = supervisor_keep_out(&w.cli, &fd);
    if (code == 0)
        code = restore_run(&w, &a, &reply);
    if (fd >= 0)
        close(fd);
    if (stopped && !a.no_start) {
        maintenance_unlock(&w.lock);
        const int started = supervisor_start_again();
        reply.restarted = started == 0;
        code = code != 0 ? code : started;
    }
    if (code == 0 && a.json)
        code = cli_print_json(&backup_restore_reply_message, &reply);
    else if (code == 0)
        print_restored(&reply);
    db_work_close(&w);
    return code;
}
