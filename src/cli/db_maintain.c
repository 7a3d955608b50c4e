/* Maintain: looks after the database, by hand and by schedule. The work is the store's, done in this process;
 * it runs beside everything else, save for a full compaction, for which nothing else may run. */
#include "cli/db.h"
#include "cli/db_backup.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/str.h"
#include "store/maintain/archive.h"
#include "store/maintain/maintain.h"
#include "store/maintain/runs.h"

#define LOCK_WAIT_MS           2000
#define LOCK_WAIT_SCHEDULED_MS 600000

struct maintain_arguments {
    const char *report, *key_file;
    bool compact, stop, no_start, dry_run, no_backup, last, scheduled, json;
};

static volatile sig_atomic_t told_to_stop;
static volatile bool stopping; /* the same, as the store asks */

static void on_stop_signal(int number)
{
    (void)number;
    told_to_stop = 1;
    stopping = true;
}

static void take_signals(void)
{
    const struct sigaction action = {.sa_handler = on_stop_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

static int maintain_parse(int argc, char **argv, struct maintain_arguments *a)
{
    const struct {
        const char *name;
        bool *value;
    } flags[] = {{"--compact", &a->compact}, {"--stop", &a->stop},           {"--no-start", &a->no_start},
                 {"--dry-run", &a->dry_run}, {"--no-backup", &a->no_backup}, {"--last", &a->last},
                 {"--json", &a->json},       {"--scheduled", &a->scheduled}};
    memset(a, 0, sizeof *a);
    for (int i = 1; i < argc; i++) {
        int took = cli_option("db maintain", argc, argv, &i, "--report", &a->report);
        if (took == 0)
            took = cli_option("db maintain", argc, argv, &i, "--key-file", &a->key_file);
        for (size_t k = 0; took == 0 && k < COUNT_OF(flags); k++)
            if (strcmp(argv[i], flags[k].name) == 0) {
                *flags[k].value = true;
                took = 1;
            }
        if (took < 0)
            return CLI_USAGE;
        if (took == 0)
            return cli_usage("db maintain", "unknown argument %s", argv[i]);
    }
    if (a->stop && !a->compact)
        return cli_usage("db maintain", "--stop is for --compact: all else runs beside VX11");
    return a->compact && a->dry_run ? cli_usage("db maintain", "a dry run compacts nothing") : 0;
}

/* ---- output ---- */

static void on_step(void *ctx, const char *step)
{
    (void)ctx;
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "%s …\n", step);
}

/* NAME.json as JSON, all others as Markdown. */
static int write_report(const struct maintenance_report *r, const char *path)
{
    struct buf out = BUF_INIT;
    struct error err = {0};
    int rc = str_ends(path, ".json") ? contract_serialize_pretty(&maintenance_report_message, r, &out)
                                     : maintain_markdown(r, &out);
    if (rc != 0)
        error_set(&err, rc, "out of memory");
    else
        rc = fs_write_file_atomic(path, out.data, out.len, 0600, &err);
    buf_free(&out);
    return rc == 0 ? 0 : cli_fail(CLI_FAILED, "the report cannot be written: %s", err.text);
}

static int show_report(const struct maintenance_report *r, const struct maintain_arguments *a)
{
    struct buf text = BUF_INIT;
    int code = a->report ? write_report(r, a->report) : 0;
    if (a->json) {
        const int printed = cli_print_json(&maintenance_report_message, r);
        return code ? code : cli_flushed(printed);
    }
    if (maintain_markdown(r, &text) != 0) {
        buf_free(&text);
        return cli_fail(CLI_FAILED, "out of memory");
    }
    fputs(text.data, stdout);
    buf_free(&text);
    return cli_flushed(code);
}

/* ---- run ---- */

static int may_compact(struct db_work *w, const struct maintain_arguments *a, int *lock_fd, bool *stopped)
{
    if (!a->compact)
        return 0;
    const bool ran = supervisor_lives(&w->cli);
    int code = 0;
    if (ran && !a->stop)
        return cli_fail(CLI_FAILED,
                        "VX11 runs, and a full compaction makes every other process wait until it is "
                        "done: stop it first (vx11 down), or say --stop");
    if (ran)
        code = down_wait(&w->cli, -1);
    *stopped = ran && code == 0;
    return code ? code : supervisor_keep_out(&w->cli, lock_fd);
}

static int maintain_now(struct db_work *w, const struct maintain_arguments *a)
{
    const struct config_store *store = w->cli.config->values->store;
    struct maintenance_report *report = arena_array(w->cli.arena, 1, sizeof *report);
    struct error err = {0};
    const struct maintain_options o = {.home = w->cli.home,
                                       .database = w->place.database,
                                       .actor = a->scheduled ? "schedule" : "cli",
                                       .origin = a->scheduled ? MAINTENANCE_ORIGIN_SCHEDULED
                                                              : MAINTENANCE_ORIGIN_MANUAL,
                                       .warn_bytes = store->warn_bytes,
                                       .target_bytes = store->max_bytes,
                                       .archive_keep_ms = store->archive->keep_ms,
                                       .archive_keep_bytes = store->archive->keep_bytes,
                                       .lock_wait_ms = a->scheduled ? LOCK_WAIT_SCHEDULED_MS : LOCK_WAIT_MS,
                                       .gentle = a->scheduled,
                                       .no_backup = a->no_backup,
                                       .compress_backup = w->config->compress,
                                       .key_file = a->key_file              ? a->key_file
                                                   : w->config->key_file[0] ? w->config->key_file
                                                                            : NULL,
                                       .compact = a->compact,
                                       .dry_run = a->dry_run,
                                       .stop = &stopping,
                                       .progress = a->json ? NULL : on_step};
    if (!report)
        return cli_fail(CLI_FAILED, "out of memory");
    int rc = maintain_run(&o, w->cli.arena, report, &err);
    if (rc != 0)
        return db_failed(rc, &err);
    int code = show_report(report, a);
    if (!report->ok)
        return cli_fail(told_to_stop ? CLI_INTERRUPTED : CLI_FAILED, "%s", report->error);
    if (!a->dry_run && o.warn_bytes > 0 && report->used_after >= o.warn_bytes)
        fprintf(stderr, "vx11: warning: the database holds %lld bytes, and store.warn_bytes is %lld\n",
                (long long)report->used_after, (long long)o.warn_bytes);
    return code;
}

static int maintain_last(struct db_work *w, const struct maintain_arguments *a)
{
    struct store *s = NULL;
    struct buf json = BUF_INIT;
    struct error err = {0};
    struct contract_error bad;
    struct maintenance_report report;
    const struct store_options options = {.path = w->place.database, .read_only = true};
    int rc = store_open(&options, &s, &err);
    if (rc == 0)
        rc = maintenance_run_read(s, NULL, &json, &err);
    if (rc == 0 && maintenance_report_parse(w->cli.arena, json.data, json.len, &report, &bad) != 0)
        rc = error_set(&err, VX11_ECORRUPT, "the stored report does not fit the contract: %s %s", bad.pointer,
                       bad.text);
    int code = rc == 0 ? show_report(&report, a) : db_failed(rc, &err);
    store_close(s);
    buf_free(&json);
    return code;
}

int command_db_maintain(int argc, char **argv)
{
    struct maintain_arguments a;
    struct db_work w;
    bool stopped = false;
    int lock_fd = -1;
    int code = maintain_parse(argc, argv, &a);
    if (code != 0)
        return code;
    code = db_work_open(&w, NULL, 0);
    take_signals();
    if (code == 0 && a.last) {
        code = maintain_last(&w, &a);
    } else if (code == 0) {
        code = may_compact(&w, &a, &lock_fd, &stopped);
        if (code == 0)
            code = maintain_now(&w, &a);
    }
    if (lock_fd >= 0)
        close(lock_fd);
    if (stopped && !a.no_start) {
        const int started = supervisor_start_again();
        code = code ? code : started;
    }
    db_work_close(&w);
    return code;
}

/* ---- archive ---- */

static void print_archive(const struct maintenance_archive *l)
{
    char from[32], to[32];
    for (size_t i = 0; i < l->files_count; i++) {
        const struct maintenance_archive_file *f = &l->files[i];
        printf("%s  %lld rows", f->path, (long long)f->rows);
        if (f->children)
            printf(" and %lld with them", (long long)f->children);
        if (f->deleted != f->rows)
            printf(" (%lld left the table)", (long long)f->deleted);
        printf(", %lld bytes", (long long)f->bytes);
        if (f->has_first_at && f->has_last_at)
            printf(", %s to %s", clock_format(f->first_at, from), clock_format(f->last_at, to));
        puts("");
        if (f->problem)
            printf("  PROBLEM: %s\n", f->problem);
        if (f->note)
            printf("  note: %s\n", f->note);
    }
    for (size_t i = 0; i < l->unlisted_count; i++)
        printf("%s  not listed in the database\n", l->unlisted[i]);
    printf("%zu files, %lld rows, %lld bytes in %s%s\n", l->files_count, (long long)l->rows,
           (long long)l->bytes, l->folder,
           !l->ok        ? ": there are problems"
           : l->verified ? ": all is as it was written"
                         : "");
}

static int archive_look(struct db_work *w, const char *folder, const char *table, bool verify, bool json)
{
    struct store *s = NULL;
    struct error err = {0};
    struct maintenance_archive list;
    const struct store_options options = {.path = w->place.database, .read_only = true};
    int rc = store_open(&options, &s, &err);
    if (rc == 0)
        rc = verify ? archive_verify(s, folder, table, &stopping, w->cli.arena, &list, &err)
                    : archive_list(s, folder, table, w->cli.arena, &list, &err);
    store_close(s);
    if (rc != 0)
        return db_failed(rc, &err);
    int code = 0;
    if (json)
        code = cli_print_json(&maintenance_archive_message, &list);
    else
        print_archive(&list);
    code = cli_flushed(code);
    return code ? code : list.ok ? 0 : cli_fail(CLI_FAILED, "the archive is not as it was written");
}

static int on_lines(void *ctx, const char *data, size_t len)
{
    (void)ctx;
    return fwrite(data, 1, len, stdout) == len ? 0 : VX11_EIO;
}

int command_db_archive(int argc, char **argv)
{
    struct db_work w;
    char folder[4200];
    struct error err = {0};
    const char *what = argc > 1 ? argv[1] : "list", *name = NULL;
    bool json = false;
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0)
            json = true;
        else if (argv[i][0] == '-' || name)
            return cli_usage("db archive", "unknown argument %s", argv[i]);
        else
            name = argv[i];
    }
    const bool show = strcmp(what, "show") == 0, verify = strcmp(what, "verify") == 0;
    if (!show && !verify && strcmp(what, "list") != 0)
        return cli_usage("db archive", "list, verify or show, not %s", what);
    if (show && (!name || json))
        return cli_usage("db archive", "show wants a file; its lines are JSON");
    int code = db_work_open(&w, NULL, 0);
    take_signals();
    if (code == 0 && fs_path(folder, sizeof folder, w.cli.home, "archive") != 0)
        code = cli_fail(CLI_FAILED, "the path of the home is too long");
    if (code == 0 && show) {
        int rc = archive_show(folder, name, on_lines, NULL, &err);
        code = rc == VX11_EIO && !err.text[0] ? 0 : rc != 0 ? db_failed(rc, &err) : 0;
        code = cli_flushed(code);
    } else if (code == 0) {
        code = archive_look(&w, folder, name, verify, json);
    }
    db_work_close(&w);
    return code;
}
