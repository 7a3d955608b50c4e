/* Import: a predecessor's database, table by table. It writes in small transactions, so VX11 may run. */
#include "cli/db.h"
#include "cli/db_backup.h"

#include <stdio.h>
#include <string.h>

#include "base/fs.h"
#include "base/str.h"
#include "store/import/import.h"

#define LOCK_WAIT_MS 5000

struct import_arguments {
    const char *file, *report;
    bool dry_run, json;
};

static int import_parse(int argc, char **argv, struct import_arguments *a)
{
    memset(a, 0, sizeof *a);
    for (int i = 1; i < argc; i++) {
        int took = cli_option("db import", argc, argv, &i, "--report", &a->report);
        if (took < 0)
            return CLI_USAGE;
        if (took > 0)
            continue;
        if (strcmp(argv[i], "--dry-run") == 0)
            a->dry_run = true;
        else if (strcmp(argv[i], "--json") == 0)
            a->json = true;
        else if (argv[i][0] == '-' || a->file)
            return cli_usage("db import", "unknown argument %s", argv[i]);
        else
            a->file = argv[i];
    }
    return a->file ? 0 : cli_usage("db import", "which file?");
}

static bool stopped(void *ctx)
{
    return db_interrupted(ctx);
}

/* ---- telling ---- */

static void print_table(struct arena *a, const struct import_table *t)
{
    printf("%-30s %9lld  ", terminal_line(a, t->name), (long long)t->rows);
    if (t->to)
        printf("-> %s: %lld imported, %lld merged, %lld known", t->to, (long long)t->imported,
               (long long)t->merged, (long long)t->known);
    if (t->to && t->left > 0)
        printf(", ");
    if (t->left > 0)
        printf("%lld left", (long long)t->left);
    printf("\n");
    for (size_t i = 0; i < t->reasons_count; i++)
        printf("%42s %lld: %s\n", "", (long long)t->reasons[i].rows, terminal_line(a, t->reasons[i].reason));
}

static void print_report(struct arena *a, const struct import_report *r)
{
    size_t empty = 0;
    char bytes[24];
    printf("%s: %s, shape %s%s\n", terminal_line(a, r->path), str_format_bytes((uint64_t)r->bytes, bytes),
           r->shape, r->dry_run ? "; nothing was written (--dry-run)" : "");
    for (size_t i = 0; i < r->tables_count; i++) {
        empty += r->tables[i].rows == 0;
        if (r->tables[i].rows > 0)
            print_table(a, &r->tables[i]);
    }
    if (empty > 0)
        printf("%zu tables are empty\n", empty);
    for (size_t i = 0; i < r->candidates_count; i++) {
        const struct import_candidate *c = &r->candidates[i];
        printf("%s %s%s%s%s%s%s\n", c->kind, terminal_line(a, c->name), c->detail ? ": " : "",
               c->detail ? terminal_line(a, c->detail) : "",
               c->has_there && !c->there ? " (its file is not there)" : "",
               c->command ? "; to set it up: " : "", c->command ? terminal_line(a, c->command) : "");
    }
    printf("%lld imported, %lld merged, %lld known from before, %lld left\n", (long long)r->imported,
           (long long)r->merged, (long long)r->known, (long long)r->left);
}

static int report_write(const char *path, const struct import_report *r)
{
    struct buf text = BUF_INIT;
    struct error err = {0};
    int rc = import_markdown(r, &text);
    if (rc == 0)
        rc = fs_write_file_atomic(path, text.data, text.len, 0644, &err);
    else
        error_set(&err, rc, "out of memory");
    buf_free(&text);
    return rc == 0 ? 0 : cli_fail(CLI_FAILED, "%s", err.text);
}

/* ---- the work ---- */

static int import_do(struct db_work *w, const struct import_arguments *a, struct import_report *report)
{
    struct store *s = NULL;
    struct error err = {0};
    const struct store_options open = {.path = w->place.database};
    const struct import_options o = {.path = a->file,
                                     .database = w->place.database,
                                     .scratch = w->cli.home,
                                     .actor = "cli",
                                     .dry_run = a->dry_run,
                                     .stopped = stopped};
    int rc = store_open(&open, &s, &err);
    if (rc == 0)
        rc = import_run(s, &o, w->cli.arena, report, &err);
    store_close(s);
    return rc == 0 ? 0 : db_failed(rc, &err);
}

int command_db_import(int argc, char **argv)
{
    struct import_arguments a;
    struct import_report report = {0};
    struct db_work w;
    int code = import_parse(argc, argv, &a);
    if (code != 0)
        return code;
    code = db_work_open(&w, "import", LOCK_WAIT_MS);
    if (code == 0)
        code = import_do(&w, &a, &report);
    if (code == 0 && a.json)
        code = cli_print_json(&import_report_message, &report);
    else if (code == 0)
        print_report(w.cli.arena, &report);
    if (code == 0 && a.report)
        code = report_write(a.report, &report);
    if (code == 0 && !report.ok)
        code = cli_fail(db_interrupted(NULL) ? CLI_INTERRUPTED : CLI_FAILED, "%s", report.error);
    db_work_close(&w);
    return code == 0 ? cli_flushed(CLI_OK) : code;
}
