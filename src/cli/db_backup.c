/* Backups by hand and by schedule: make, list, verify, prune. The work is the store's, done in this process,
 * whether VX11 runs or not; the supervisor starts this very command when a backup is due. */
#include "cli/db.h"
#include "cli/db_backup.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"
#include "module/module.h"
#include "store/ledger/ledger.h"
#include "store/store.h"

#define LOCK_WAIT_MS           2000
#define LOCK_WAIT_SCHEDULED_MS 600000

/* ---- what the commands share ---- */

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

bool db_interrupted(void *ctx)
{
    (void)ctx;
    return interrupted != 0;
}

int db_work_open(struct db_work *w, const char *what, int64_t lock_wait_ms)
{
    char database[4096];
    struct error err = {0};
    memset(w, 0, sizeof *w);
    w->lock.fd = -1;
    int code = cli_open_anyway(&w->cli);
    if (code != 0)
        return code;
    w->config = w->cli.config->values->supervisor->backup;
    int rc = module_store_path(w->cli.config, w->cli.home, database, sizeof database);
    if (rc == 0)
        rc = backup_place_of(w->cli.home, database, &w->place, &err);
    else
        error_set(&err, rc, "the path of the database is too long");
    if (rc == 0 && what)
        rc = maintenance_lock(w->cli.home, what, lock_wait_ms, &w->lock, &err);
    if (rc != 0)
        return db_failed(rc, &err);
    const struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGXFSZ, SIG_IGN); /* a limit on the size of files is an error of who writes them */
    return 0;
}

void db_work_close(struct db_work *w)
{
    maintenance_unlock(&w->lock);
    cli_close(&w->cli);
}

int db_failed(int rc, const struct error *err)
{
    if (rc == VX11_ECANCELLED)
        return cli_fail(CLI_INTERRUPTED, "%s", err->text);
    return cli_fail(rc == VX11_EPERMISSION ? CLI_REFUSED : CLI_FAILED, "%s", err->text);
}

void db_ledger(const struct db_work *w, const char *kind, const char *subject, const char *name,
               const char *text)
{
    struct store *s = NULL;
    struct error err = {0};
    const struct store_options options = {.path = w->place.database};
    int rc = store_open(&options, &s, &err);
    if (rc == 0)
        rc = ledger_note(s, kind, w->by, subject, &err, name, text, NULL);
    if (rc != 0)
        cli_fail(CLI_FAILED, "this could not be noted in the ledger: %s", err.text);
    store_close(s);
}

/* ---- words ---- */

static void print_item(const struct backup_item *b)
{
    char size[24] = "?", database[24] = "?", at[32] = "?";
    if (b->has_bytes)
        str_format_bytes((uint64_t)b->bytes, size);
    if (b->has_database_bytes)
        str_format_bytes((uint64_t)b->database_bytes, database);
    if (b->has_made_at)
        clock_format(b->made_at, at);
    printf("%-20.19s  %-15s  %9s  %9s", at, b->has_kind ? backup_kind_names[b->kind] : "?", size, database);
    if (b->has_rows)
        printf("  %9lld", (long long)b->rows);
    else
        printf("  %9s", "?");
    printf("  %-8s  %s\n", b->verified ? "verified" : "BAD", b->name);
    if (b->problem)
        printf("%-20s  %s\n", "", b->problem);
}

static void print_items(const struct backup_item *items, size_t count)
{
    printf("%-20s  %-15s  %9s  %9s  %9s  %-8s  %s\n", "MADE (UTC)", "KIND", "FILE", "DATABASE", "ROWS",
           "STATE", "NAME");
    for (size_t i = 0; i < count; i++)
        print_item(&items[i]);
}

/* ---- backup ---- */

struct backup_arguments {
    struct backup_options o;
    const char *key_file, *new_key;
    bool encrypt, json, scheduled, configured;
};

static int backup_parse(int argc, char **argv, struct backup_arguments *a)
{
    const char *level = NULL;
    memset(a, 0, sizeof *a);
    for (int i = 1; i < argc; i++) {
        int took = cli_option("db backup", argc, argv, &i, "--output", &a->o.output);
        if (took == 0)
            took = cli_option("db backup", argc, argv, &i, "--key-file", &a->key_file);
        if (took == 0)
            took = cli_option("db backup", argc, argv, &i, "--new-key", &a->new_key);
        if (took == 0)
            took = cli_option("db backup", argc, argv, &i, "--level", &level);
        if (took < 0)
            return CLI_USAGE;
        if (took > 0)
            continue;
        if (strcmp(argv[i], "--compress") == 0)
            a->o.compress = true;
        else if (strcmp(argv[i], "--long") == 0)
            a->o.compress = a->o.long_matches = true;
        else if (strcmp(argv[i], "--encrypt") == 0)
            a->encrypt = true;
        else if (strcmp(argv[i], "--scheduled") == 0)
            a->scheduled = true;
        else if (strcmp(argv[i], "--configured") == 0)
            a->configured = true;
        else if (strcmp(argv[i], "--json") == 0)
            a->json = true;
        else
            return cli_usage("db backup", "unknown argument %s", argv[i]);
    }
    int64_t n = 0;
    if (level && str_to_i64(level, 1, 19, &n) != 0)
        return cli_usage("db backup", "--level is 1 to 19, not %s", level);
    a->o.level = (int)n;
    a->o.compress |= level != NULL;
    a->encrypt |= a->key_file != NULL;
    if (a->new_key && argc > 3)
        return cli_usage("db backup", "--new-key stands alone");
    return a->scheduled && (a->o.output || a->new_key)
               ? cli_usage("db backup", "--scheduled goes by the configuration")
               : 0;
}

static void backup_configure(struct db_work *w, struct backup_arguments *a)
{
    a->o.compress = w->config->compress;
    a->o.level = (int)w->config->level;
    a->o.long_matches = w->config->long_;
    a->encrypt = w->config->key_file[0] != '\0';
}

static int backup_schedule(struct db_work *w, struct backup_arguments *a, struct error *err)
{
    struct backup_list list;
    int rc = backup_list(&w->place, w->cli.arena, &list, err);
    a->o.kind = rc == 0 ? backup_kind_due(&list, clock_wall_ms()) : BACKUP_KIND_DAILY;
    w->by = "schedule";
    return rc;
}

static int prune_by_config(struct db_work *w, bool dry_run, struct backup_prune_reply *out, struct error *err)
{
    const struct backup_keep keep = {.daily = w->config->keep_daily,
                                     .weekly = w->config->keep_weekly,
                                     .monthly = w->config->keep_monthly,
                                     .manual = w->config->keep_manual,
                                     .before = w->config->keep_before};
    return backup_prune(&w->place, &keep, dry_run, w->cli.arena, out, err);
}

static int backup_run(struct db_work *w, struct backup_arguments *a, struct backup_item *made)
{
    struct error err = {0};
    struct backup_prune_reply pruned;
    if (a->scheduled || a->configured)
        backup_configure(w, a);
    int rc = a->scheduled ? backup_schedule(w, a, &err) : 0;
    a->o.level = a->o.level ? a->o.level : (int)w->config->level;
    a->o.watch.cancelled = db_interrupted;
    if (rc == 0 && a->encrypt)
        a->o.key_file = a->key_file ? a->key_file : w->config->key_file;
    if (rc == 0 && a->o.key_file && !a->o.key_file[0])
        return cli_fail(CLI_CONFIG, "no key: set supervisor.backup.key_file or give --key-file FILE "
                                    "(`vx11 db backup --new-key FILE` makes one)");
    if (rc == 0)
        rc = backup_make(&w->place, &a->o, w->cli.arena, made, &err);
    if (rc != 0 && rc != VX11_ECANCELLED)
        db_ledger(w, "backup.failed", made->name, "reason", err.text);
    if (rc == 0 && a->scheduled)
        rc = prune_by_config(w, false, &pruned, &err);
    return rc == 0 ? 0 : db_failed(rc, &err);
}

int command_db_backup(int argc, char **argv)
{
    struct backup_arguments a;
    struct backup_item made = {0};
    struct db_work w;
    struct error err = {0};
    int code = backup_parse(argc, argv, &a);
    if (code != 0)
        return code;
    if (a.new_key) {
        int rc = backup_key_new(a.new_key, &err);
        if (rc != 0)
            return db_failed(rc, &err);
        printf(
            "%s holds a new key. Keep a copy of it apart from the backups: without it they cannot be read.\n",
            a.new_key);
        return 0;
    }
    code = db_work_open(&w, "backup", a.scheduled ? LOCK_WAIT_SCHEDULED_MS : LOCK_WAIT_MS);
    w.by = "cli";
    if (code == 0)
        code = backup_run(&w, &a, &made);
    if (code == 0 && a.json)
        code = cli_print_json(&backup_item_message, &made);
    else if (code == 0)
        print_items(&made, 1);
    db_work_close(&w);
    return code;
}

/* ---- list ---- */

int command_db_list(int argc, char **argv)
{
    struct db_work w;
    struct backup_list list;
    struct error err = {0};
    const bool json = argc == 2 && strcmp(argv[1], "--json") == 0;
    if (argc > 2 || (argc == 2 && !json))
        return cli_usage("db list", "unknown argument %s", argv[argc - 1]);
    int code = db_work_open(&w, NULL, 0);
    int rc = code == 0 ? backup_list(&w.place, w.cli.arena, &list, &err) : 0;
    if (rc != 0)
        code = db_failed(rc, &err);
    if (code == 0 && json) {
        code = cli_print_json(&backup_list_message, &list);
    } else if (code == 0 && list.backups_count == 0) {
        printf("There are no backups in %s.\n", list.folder);
    } else if (code == 0) {
        char size[24];
        print_items(list.backups, list.backups_count);
        printf("%zu in %s, %s\n", list.backups_count, list.folder,
               str_format_bytes((uint64_t)list.bytes, size));
    }
    db_work_close(&w);
    return code;
}

/* ---- verify ---- */

static int verify_one(struct db_work *w, const char *name, const char *key_file, struct backup_item *out,
                      bool *ok)
{
    const struct backup_watch watch = {.cancelled = db_interrupted};
    struct error err = {0};
    int rc = backup_verify(&w->place, name, key_file, &watch, w->cli.arena, out, &err);
    if (rc == VX11_ECANCELLED || rc == VX11_ENOT_FOUND)
        return db_failed(rc, &err);
    if (rc != 0) {
        *ok = false;
        cli_fail(0, "%s", err.text);
    }
    return 0;
}

static int verify_all(struct db_work *w, const char *key_file, struct backup_verify_reply *reply)
{
    struct backup_list list;
    struct error err = {0};
    int rc = backup_list(&w->place, w->cli.arena, &list, &err);
    if (rc != 0)
        return db_failed(rc, &err);
    reply->backups = arena_array(w->cli.arena, list.backups_count + 1, sizeof *reply->backups);
    int code = reply->backups ? 0 : cli_fail(CLI_FAILED, "out of memory");
    for (size_t i = 0; code == 0 && i < list.backups_count; i++)
        code = verify_one(w, list.backups[i].name, key_file, &reply->backups[reply->backups_count++],
                          &reply->ok);
    return code;
}

int command_db_verify(int argc, char **argv)
{
    struct db_work w;
    struct backup_item one;
    struct backup_verify_reply reply = {.ok = true, .backups = &one};
    const char *name = NULL, *key_file = NULL;
    bool json = false, all = false;
    for (int i = 1; i < argc; i++) {
        int took = cli_option("db verify", argc, argv, &i, "--key-file", &key_file);
        if (took < 0)
            return CLI_USAGE;
        if (took > 0)
            continue;
        if (strcmp(argv[i], "--json") == 0)
            json = true;
        else if (strcmp(argv[i], "--all") == 0)
            all = true;
        else if (argv[i][0] == '-' || name)
            return cli_usage("db verify", "unknown argument %s", argv[i]);
        else
            name = argv[i];
    }
    if (all == (name != NULL))
        return cli_usage("db verify", "NAME or --all");
    int code = db_work_open(&w, NULL, 0);
    if (code == 0 && !key_file)
        key_file = w.config->key_file;
    if (code == 0 && all) {
        code = verify_all(&w, key_file, &reply);
    } else if (code == 0) {
        code = verify_one(&w, name, key_file, &one, &reply.ok);
        reply.backups_count = 1;
    }
    if (code == 0 && json)
        code = cli_print_json(&backup_verify_reply_message, &reply);
    else if (code == 0)
        print_items(reply.backups, reply.backups_count);
    db_work_close(&w);
    return code == 0 && !reply.ok ? CLI_FAILED : code;
}

/* ---- prune ---- */

static void print_pruned(const struct backup_prune_reply *r)
{
    char size[24];
    const char *verb = r->dry_run ? "would go" : "deleted";
    for (size_t i = 0; i < r->removed_count; i++)
        printf("%s  %s\n", verb, r->removed[i]);
    for (size_t i = 0; i < r->unfinished_count; i++)
        printf("%s  %s (unfinished)\n", verb, r->unfinished[i]);
    printf("%zu %s, %s; %lld stay\n", r->removed_count + r->unfinished_count, verb,
           str_format_bytes((uint64_t)r->bytes, size), (long long)r->kept);
}

int command_db_prune(int argc, char **argv)
{
    struct db_work w;
    struct backup_prune_reply reply;
    struct error err = {0};
    bool json = false, dry = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0)
            json = true;
        else if (strcmp(argv[i], "--dry-run") == 0)
            dry = true;
        else
            return cli_usage("db prune", "unknown argument %s", argv[i]);
    }
    int code = db_work_open(&w, "prune", LOCK_WAIT_MS);
    int rc = code == 0 ? prune_by_config(&w, dry, &reply, &err) : 0;
    if (rc != 0)
        code = db_failed(rc, &err);
    if (code == 0 && json)
        code = cli_print_json(&backup_prune_reply_message, &reply);
    else if (code == 0)
        print_pruned(&reply);
    db_work_close(&w);
    return code;
}
