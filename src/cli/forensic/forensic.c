/* Forensic: crash reports at the command line. It reads the folder itself: after a crash there is often
 * nobody to ask. */
#include "cli/forensic/forensic_cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "module/module.h"

enum { LIST_LIMIT = 100, LIST_MAX = 1000 };

struct store *forensic_store(struct cli *c, struct error *err)
{
    char path[4096];
    struct store *store = NULL;
    if (module_store_path(c->config, c->home, path, sizeof path) != 0) {
        error_set(err, VX11_ETOO_LARGE, "the path of the database is too long");
        return NULL;
    }
    const struct store_options options = {.path = path, .read_only = true};
    return store_open(&options, &store, err) == 0 ? store : NULL;
}

static int failed(const struct error *err)
{
    return cli_fail(err->code == VX11_EPERMISSION ? CLI_REFUSED : CLI_FAILED, "%s", err->text);
}

/* ---- list ---- */

static void list_print(struct arena *a, const struct supervisor_forensic_list *list)
{
    char time[32], size[24];
    if (list->total == 0) {
        puts("There are no crash reports.");
        return;
    }
    printf("%-40s %-24s %-10s %-8s %-18s %s\n", "ID", "TIME", "MODULE", "SIGNAL", "ADDRESS", "REQUEST");
    for (size_t i = 0; i < list->reports_count; i++) {
        const struct supervisor_forensic_report *r = &list->reports[i];
        printf("%-40s %-24s %-10s %-8s %-18s %s\n", terminal_line(a, r->id), clock_format(r->at, time),
               terminal_line(a, r->module), terminal_line(a, r->signal), terminal_line(a, r->address),
               terminal_line(a, r->request_id));
        if (r->reason)
            printf("    %s%s\n", r->readable ? "" : "unreadable: ", terminal_line(a, r->reason));
    }
    printf("%lld of %lld, %s in all. vx11 forensic show ID tells where each crashed.\n",
           (long long)list->reports_count, (long long)list->total,
           str_format_bytes((uint64_t)list->bytes, size));
}

static int list_run(struct cli *c, const struct forensic_options *o, size_t limit, bool json)
{
    struct supervisor_forensic_list list;
    struct error err = {0};
    if (forensic_list(o, limit, c->arena, &list, &err) != 0)
        return failed(&err);
    if (json)
        return cli_print_json(&supervisor_forensic_list_message, &list);
    list_print(c->arena, &list);
    return CLI_OK;
}

/* ---- show ---- */

static void head_print(struct arena *a, const struct supervisor_forensic_show *s)
{
    const struct supervisor_forensic_report *r = s->report;
    char time[32];
    printf("%s\n\n", terminal_line(a, s->summary));
    printf("file      %s\ntime      %s\nprocess   %lld", terminal_line(a, r->file), clock_format(r->at, time),
           (long long)r->pid);
    if (r->has_thread && r->thread != r->pid)
        printf(", thread %lld", (long long)r->thread);
    putchar('\n');
    if (!r->readable)
        return;
    printf("version   %s\nbuild     %s\nrequest   %s\n", terminal_line(a, r->version),
           terminal_line(a, r->build_id), terminal_line(a, r->request_id));
    if (s->run) {
        printf("run       %s, started %s", terminal_line(a, s->run->id),
               clock_format(s->run->started_at, time));
        if (s->run->has_ended_at)
            printf(", lived %s", str_format_duration(s->run->ended_at - s->run->started_at, (char[24]){0}));
        printf("%s%s\n", s->run->reason ? ": " : "", s->run->reason ? terminal_line(a, s->run->reason) : "");
    } else {
        printf("run       unknown: %s\n", terminal_line(a, s->run_reason));
    }
    if (!r->complete)
        printf("note      %s\n", terminal_line(a, r->reason));
}

/* Reasons repeat from frame to frame: each is said once, below. */
static void frames_print(struct arena *a, const struct supervisor_forensic_show *s)
{
    static const char *const how[] = {"", " (from the table of symbols)",
                                      " (nothing but the place is known)"};
    printf("\nbacktrace%s%s:\n", s->symbolizer ? ", read by " : "",
           s->symbolizer ? terminal_line(a, s->symbolizer) : "");
    for (size_t i = 0; i < s->frames_count; i++) {
        const struct supervisor_forensic_frame *f = &s->frames[i];
        printf("  #%-2lld %s", (long long)f->number,
               f->function ? terminal_line(a, f->function) : terminal_line(a, f->address));
        if (f->source)
            printf("  %s:%lld", terminal_line(a, f->source), (long long)f->line);
        else if (f->object)
            printf("  %s+%s", terminal_line(a, f->object), f->offset);
        printf("%s%s\n", f->inlined ? " (inlined)" : "", how[f->known_from]);
    }
    for (size_t i = 0; i < s->frames_count; i++) {
        bool said = !s->frames[i].reason;
        for (size_t k = 0; !said && k < i; k++)
            said = str_eq(s->frames[k].reason, s->frames[i].reason);
        if (!said)
            printf("  %s\n", terminal_line(a, s->frames[i].reason));
    }
}

static int show_run(struct cli *c, const struct forensic_options *o, const char *id, bool json)
{
    struct supervisor_forensic_show show;
    struct error err = {0}, why = {0};
    struct store *store = forensic_store(c, &why);
    int rc = forensic_show(o, id, store, why.text, c->arena, &show, &err);
    if (store)
        store_close(store);
    if (rc == VX11_EINVALID)
        return cli_fail(CLI_USAGE, "%s", err.text);
    if (rc != 0)
        return failed(&err);
    if (json) {
        int code = cli_print_json(&supervisor_forensic_show_message, &show);
        return code != 0 ? code : show.report->readable ? CLI_OK : CLI_FAILED;
    }
    head_print(c->arena, &show);
    if (!show.report->readable)
        return CLI_FAILED;
    frames_print(c->arena, &show);
    printf("\nregisters:\n");
    for (size_t i = 0; i < show.registers_count; i++)
        printf("  %-6s %-20s%s", terminal_line(c->arena, show.registers[i].name), show.registers[i].value,
               i % 3 == 2 || i + 1 == show.registers_count ? "\n" : "");
    printf("\nlast log records:\n");
    for (size_t i = 0; i < show.log_count; i++)
        printf("  %s\n", terminal_line(c->arena, show.log[i]));
    return CLI_OK;
}

/* ---- prune ---- */

static int prune_run(struct cli *c, const struct forensic_options *o, bool dry, bool json)
{
    struct crash_file *files = NULL;
    struct error err = {0};
    size_t n = 0, removed = 0;
    int64_t now = clock_wall_ms();
    struct cli_forensic_prune out = {.dry_run = dry};
    int rc = crash_file_list(o->folder, &files, &n, &err);
    size_t stay = rc == 0 ? crash_keep_count(files, n, &o->keep, now) : 0;
    if (rc == 0 && !(out.removed = arena_array(c->arena, n + 1, sizeof *out.removed)))
        rc = error_set(&err, VX11_ENOMEM, "out of memory");
    for (size_t i = n; rc == 0 && i > 0; i--) {
        if (i > stay) {
            out.removed[out.removed_count++] = arena_strdup(c->arena, files[i - 1].id);
            out.removed_bytes += (int64_t)files[i - 1].bytes;
        } else {
            out.kept_bytes += (int64_t)files[i - 1].bytes;
        }
    }
    out.kept = (int64_t)stay;
    if (rc == 0 && !dry)
        rc = crash_prune(o->folder, &o->keep, now, &removed, NULL, &err);
    free(files);
    if (rc != 0)
        return failed(&err);
    if (json)
        return cli_print_json(&cli_forensic_prune_message, &out);
    for (size_t i = 0; i < out.removed_count; i++)
        printf("%s %s\n", dry ? "would delete" : "deleted", terminal_line(c->arena, out.removed[i]));
    printf("%lld kept, %s.\n", (long long)out.kept,
           str_format_bytes((uint64_t)out.kept_bytes, (char[24]){0}));
    return CLI_OK;
}

/* ---- words ---- */

struct arguments {
    const char *id, *limit;
    bool json, dry;
};

static int arguments_read(int argc, char **argv, struct arguments *a)
{
    const char *what = argv[0];
    for (int i = 1; i < argc; i++) {
        int is = str_eq(what, "list") ? cli_option("forensic", argc, argv, &i, "--limit", &a->limit) : 0;
        if (is < 0)
            return CLI_USAGE;
        if (is > 0)
            continue;
        if (str_eq(argv[i], "--json"))
            a->json = true;
        else if (str_eq(argv[i], "--dry-run") && str_eq(what, "prune"))
            a->dry = true;
        else if (argv[i][0] != '-' && str_eq(what, "show") && !a->id)
            a->id = argv[i];
        else
            return cli_usage("forensic", "unknown argument %s", argv[i]);
    }
    return 0;
}

/* "last", a report's id, or its file's name. */
static int id_of(const struct forensic_options *o, const char *given, char *out, size_t size)
{
    struct crash_file *files = NULL;
    struct error err = {0};
    size_t n = 0;
    int code = 0;
    if (given && !str_eq(given, "last")) {
        const char *slash = strrchr(given, '/');
        snprintf(out, size, "%s", slash ? slash + 1 : given);
        size_t len = strlen(out);
        if (len > 10 && str_starts(out, "crash-") && str_ends(out, ".txt")) {
            memmove(out, out + 6, len - 10);
            out[len - 10] = '\0';
        }
        return 0;
    }
    if (crash_file_list(o->folder, &files, &n, &err) != 0)
        code = failed(&err);
    else if (n == 0)
        code = cli_fail(CLI_FAILED, "there are no crash reports");
    else
        snprintf(out, size, "%s", files[0].id);
    free(files);
    return code;
}

static int command_run_word(struct cli *c, const char *what, const struct arguments *a)
{
    struct forensic_options o;
    int64_t limit = LIST_LIMIT;
    char id[256];
    if (forensic_options_fill(&o, c->home, c->config) != 0)
        return cli_fail(CLI_FAILED, "the path of the crash reports is too long");
    if (str_eq(what, "prune"))
        return prune_run(c, &o, a->dry, a->json);
    if (str_eq(what, "show")) {
        int code = id_of(&o, a->id, id, sizeof id);
        return code != 0 ? code : show_run(c, &o, id, a->json);
    }
    if (a->limit && str_to_i64(a->limit, 1, LIST_MAX, &limit) != 0)
        return cli_usage("forensic", "--limit is a number from 1 to %d, not %s", LIST_MAX, a->limit);
    return list_run(c, &o, (size_t)limit, a->json);
}

int command_forensic(int argc, char **argv)
{
    struct arguments a = {0};
    struct cli c;
    if (argc < 2)
        return cli_usage("forensic", "list, show ID, bundle or prune?");
    const char *what = argv[1];
    if (str_eq(what, "bundle"))
        return forensic_bundle(argc - 1, argv + 1);
    if (!str_eq(what, "list") && !str_eq(what, "show") && !str_eq(what, "prune"))
        return cli_usage("forensic", "what is %s?", what);
    int code = arguments_read(argc - 1, argv + 1, &a);
    if (code == 0 && str_eq(what, "show") && !a.id)
        code =
            cli_usage("forensic", "show which one? vx11 forensic list has their ids; `last` is the newest");
    if (code != 0)
        return code;
    /* What is deleted goes by the configuration: not by defaults beside a broken one. */
    code = str_eq(what, "prune") ? cli_open(&c) : cli_open_anyway(&c);
    if (code == 0)
        code = command_run_word(&c, what, &a);
    cli_close(&c);
    return code;
}
