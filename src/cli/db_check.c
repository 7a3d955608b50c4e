/* Db check: is the database sound, and how does it grow? It reads the file itself, so it does not matter
 * whether VX11 runs. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/fs.h"
#include "base/str.h"
#include "cli/db.h"
#include "store/check/check.h"

/* Exit codes of its own, beside CLI_OK and CLI_USAGE. */
enum { CHECK_PROBLEMS = 1, CHECK_WARNINGS = 2, CHECK_UNKNOWN = 3 };

static int verdict_code(int verdict)
{
    return verdict == DATABASE_VERDICT_SOUND      ? CLI_OK
           : verdict == DATABASE_VERDICT_PROBLEMS ? CHECK_PROBLEMS
           : verdict == DATABASE_VERDICT_WARNINGS ? CHECK_WARNINGS
                                                  : CHECK_UNKNOWN;
}

/* ---- for people ---- */

static void print_finding(struct arena *a, const struct database_finding *f)
{
    printf("%-8s %-10s %s", database_severity_names[f->severity], f->step, terminal_line(a, f->text));
    if (f->table && !strstr(f->text, f->table))
        printf("; table %s", terminal_line(a, f->table));
    if (f->column && !strstr(f->text, f->column))
        printf(", column %s", terminal_line(a, f->column));
    if (f->has_rowid)
        printf(", %srow %" PRId64, f->count > 1 ? "first " : "", f->rowid);
    if (f->has_page && !strstr(f->text, "page "))
        printf(", page %" PRId64, f->page);
    puts("");
}

static void print_statistics(const struct database_statistics *s)
{
    char size[24], wal[24], unused[24];
    printf("\n%s in %" PRId64 " pages, %" PRId64 " of them free; write-ahead log %s; journal mode %s\n",
           str_format_bytes((uint64_t)s->size_bytes, size), s->pages, s->free_pages,
           str_format_bytes((uint64_t)s->wal_bytes, wal), s->journal_mode);
    if (s->has_unused_bytes && s->has_fragmented_pct)
        printf("%s of room inside pages; %.1f %% of the pages out of order\n",
               str_format_bytes((uint64_t)s->unused_bytes, unused), s->fragmented_pct);
}

/* The five largest tables. */
static void print_tables(struct arena *a, const struct database_check *r)
{
    bool shown[1024] = {false};
    for (int k = 0; k < 5; k++) {
        const struct database_table_growth *best = NULL;
        size_t at = 0;
        for (size_t i = 0; i < r->tables_count && i < COUNT_OF(shown); i++)
            if (!shown[i] && r->tables[i].has_bytes &&
                (!best || r->tables[i].bytes + r->tables[i].index_bytes > best->bytes + best->index_bytes))
                best = &r->tables[at = i];
        if (!best)
            return;
        shown[at] = true;
        char bytes[24], index[24];
        printf("%s%-28s %10" PRId64 " rows  %10s, indices %10s", k ? "" : "\nLargest tables:\n",
               terminal_line(a, best->name), best->has_rows ? best->rows : 0,
               str_format_bytes((uint64_t)best->bytes, bytes),
               str_format_bytes((uint64_t)best->index_bytes, index));
        if (best->growth->has_rows_per_day)
            printf("  %+.0f rows a day", best->growth->rows_per_day);
        puts("");
    }
}

static void print_forecast(const struct database_forecast *f)
{
    char limit[24], rate[24];
    if (f->growth->has_bytes_per_day)
        printf("\nGrowth: %s%s a day", f->growth->bytes_per_day < 0 ? "-" : "",
               str_format_bytes((uint64_t)(f->growth->bytes_per_day < 0 ? -f->growth->bytes_per_day
                                                                        : f->growth->bytes_per_day),
                                rate));
    else
        printf("\nGrowth: not known: %s", f->growth->reason ? f->growth->reason : "too few samples");
    if (f->has_days_to_limit)
        printf("; %s are reached in %.0f days", str_format_bytes((uint64_t)f->limit_bytes, limit),
               f->days_to_limit);
    puts("");
}

static void check_print(struct arena *a, const struct database_check *r)
{
    printf("%s%s%s\n\n", terminal_line(a, r->path), r->ours ? "" : " (not a database of VX11)",
           r->quick ? ", quick check" : "");
    for (size_t i = 0; i < r->steps_count; i++) {
        const struct database_step *s = &r->steps[i];
        printf("%-11s %-10s %8.1f ms  %s\n", s->name, database_step_state_names[s->state], s->duration_ms,
               s->detail ? terminal_line(a, s->detail) : "");
    }
    for (size_t i = 0; i < r->findings_count; i++) {
        if (i == 0)
            puts("");
        print_finding(a, &r->findings[i]);
    }
    if (r->more)
        puts("… and more, which are counted but not listed");
    if (r->statistics)
        print_statistics(r->statistics);
    print_tables(a, r);
    if (r->forecast)
        print_forecast(r->forecast);
    printf("\n%s: %" PRId64 " problem%s, %" PRId64 " warning%s\n",
           r->verdict == DATABASE_VERDICT_SOUND      ? "Sound"
           : r->verdict == DATABASE_VERDICT_WARNINGS ? "Sound, with warnings"
           : r->verdict == DATABASE_VERDICT_PROBLEMS ? "Not sound"
                                                     : "Not known: it could not be checked to its end",
           r->problems, r->problems == 1 ? "" : "s", r->warnings, r->warnings == 1 ? "" : "s");
}

/* ---- the command ---- */

/* The sizes that the configuration says; a wrong configuration keeps nobody from checking. */
static void limits_read(struct check_options *o)
{
    char path[4096];
    struct config *config = NULL;
    struct error err = {0};
    o->warn_bytes = 419430400;
    o->limit_bytes = 524288000;
    if (config_path(path, sizeof path, &err) == 0 && config_load(path, &config, &err) == 0) {
        o->warn_bytes = config->values->store->warn_bytes;
        o->limit_bytes = config->values->store->max_bytes;
    }
    config_free(config);
}

static int number_option(const char *text, int64_t max, const char *name, size_t *out)
{
    int64_t n = 0;
    if (str_to_i64(text, 1, max, &n) != 0) {
        cli_usage("db check", "%s wants a number from 1 to %" PRId64, name, max);
        return CLI_USAGE;
    }
    *out = (size_t)n;
    return 0;
}

int command_db_check(int argc, char **argv)
{
    const char *file = NULL, *timeout = NULL, *limit = NULL;
    char path[4200];
    struct check_options o = {.findings_max = 200};
    struct database_check report;
    struct error err = {0};
    bool json = false;
    for (int i = 1; i < argc; i++) {
        int is = cli_option("db check", argc, argv, &i, "--file", &file);
        if (is == 0)
            is = cli_option("db check", argc, argv, &i, "--timeout", &timeout);
        if (is == 0)
            is = cli_option("db check", argc, argv, &i, "--limit", &limit);
        if (is < 0)
            return CLI_USAGE;
        if (is > 0)
            continue;
        if (strcmp(argv[i], "--quick") == 0)
            o.quick = true;
        else if (strcmp(argv[i], "--json") == 0)
            json = true;
        else
            return cli_usage("db check", "unknown argument %s", argv[i]);
    }
    if (timeout && (str_to_duration_ms(timeout, &o.timeout_ms) != 0 || o.timeout_ms < 1))
        return cli_usage("db check", "--timeout wants a time such as 30s, not %s", timeout);
    if (limit && number_option(limit, 100000, "--limit", &o.findings_max) != 0)
        return CLI_USAGE;
    int code = db_file(file, path, sizeof path);
    if (code != 0)
        return code == CLI_USAGE ? code : CHECK_UNKNOWN;
    o.path = path;
    o.still = file != NULL;
    limits_read(&o);
    struct arena *a = arena_create(0);
    if (!a)
        return cli_fail(CHECK_UNKNOWN, "out of memory");
    if (check_run(&o, a, &report, &err) != 0)
        code = cli_fail(CHECK_UNKNOWN, "%s", err.text);
    else if (json)
        code = cli_print_json(&database_check_message, &report) == 0 ? verdict_code(report.verdict)
                                                                     : CHECK_UNKNOWN;
    else
        check_print(a, &report);
    if (code == 0 && !json)
        code = verdict_code(report.verdict);
    arena_destroy(a);
    return code;
}
