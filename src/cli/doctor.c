/* `vx11 doctor`: is this VX11 ready? Looks, says, keeps what it found, and mends what is safe to mend.
 * doctor/doctor.h draws how. */
#include "cli/doctor/doctor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/str.h"
#include "store/doctor/reports.h"
#include "version.h"

#define TIMEOUT_MIN_MS 500
#define TIMEOUT_MAX_MS 3600000
#define DEEP_MS        600000 /* loading and hashing models takes its time */
#define HISTORY        20
#define ONLY_MAX       64

struct words {
    enum { AS_TEXT, AS_JSON, AS_MARKDOWN } as;
    bool fix, history, scheduled, deep;
    const char *output, *only, *timeout;
    int64_t timeout_ms; /* 0: as configured */
    bool *want;         /* by index of doctor_checks */
    const char *only_list[ONLY_MAX];
    size_t only_count;
    char *only_text; /* what only_list points into */
};

/* ---- arguments ---- */

static bool group_is(const struct doctor_check *c, const char *name)
{
    return str_eq(supervisor_doctor_group_names[c->group], name);
}

/* A check by its id, or a group by its name. */
static int only_take(struct words *w, const char *name)
{
    size_t n = 0;
    for (size_t i = 0; i < doctor_check_count; i++) {
        const struct doctor_check *c = &doctor_checks[i];
        if (!str_eq(c->id, name) && !group_is(c, name))
            continue;
        /* Asked for by its own name, a deep one is meant. */
        w->want[i] = w->want[i] || w->deep || !c->deep || str_eq(c->id, name);
        w->deep = w->deep || (c->deep && str_eq(c->id, name));
        n++;
    }
    if (n == 0)
        return cli_usage("doctor", "there is no check and no group %s; docs/doctor.md lists them", name);
    if (w->only_count == ONLY_MAX)
        return cli_usage("doctor", "--only takes at most %d names", ONLY_MAX);
    w->only_list[w->only_count++] = name;
    return 0;
}

static int only_read(struct words *w)
{
    w->want = calloc(doctor_check_count, sizeof *w->want);
    w->only_text = w->only ? strdup(w->only) : NULL;
    if (!w->want || (w->only && !w->only_text))
        return cli_fail(DOCTOR_COULD_NOT_RUN, "out of memory");
    if (!w->only) {
        for (size_t i = 0; i < doctor_check_count; i++)
            w->want[i] = w->deep || !doctor_checks[i].deep;
        return 0;
    }
    char *rest = w->only_text;
    int code = 0;
    for (char *name; code == 0 && (name = strsep(&rest, ",")) != NULL;)
        code = only_take(w, name);
    return code; // NOLINT(clang-analyzer-unix.Malloc): only_list points into only_text, which is freed later
}

static int words_read(struct words *w, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        int took = cli_option("doctor", argc, argv, &i, "--output", &w->output);
        if (took == 0)
            took = cli_option("doctor", argc, argv, &i, "--only", &w->only);
        if (took == 0)
            took = cli_option("doctor", argc, argv, &i, "--timeout", &w->timeout);
        if (took < 0)
            return CLI_USAGE;
        if (took > 0)
            continue;
        if (str_eq(argv[i], "--json"))
            w->as = AS_JSON;
        else if (str_eq(argv[i], "--markdown"))
            w->as = AS_MARKDOWN;
        else if (str_eq(argv[i], "--fix"))
            w->fix = true;
        else if (str_eq(argv[i], "--history"))
            w->history = true;
        else if (str_eq(argv[i], "--scheduled"))
            w->scheduled = true;
        else if (str_eq(argv[i], "--deep"))
            w->deep = true;
        else
            return cli_usage("doctor", "unknown argument %s", argv[i]);
    }
    if (w->timeout && (str_to_duration_ms(w->timeout, &w->timeout_ms) != 0 ||
                       w->timeout_ms < TIMEOUT_MIN_MS || w->timeout_ms > TIMEOUT_MAX_MS))
        return cli_usage("doctor", "--timeout is a time from 500ms to 1h, such as 30s");
    if (w->history &&
        (w->fix || w->only || w->deep || w->scheduled || w->timeout || w->output || w->as == AS_MARKDOWN))
        return cli_usage("doctor", "--history goes with --json alone");
    return only_read(w);
}

/* ---- one look ---- */

struct look {
    struct doctor d;
    struct doctor_runs runs;
    struct supervisor_doctor_report report;
};

static void report_take(struct look *l, struct supervisor_doctor_check *list)
{
    size_t n = 0;
    for (size_t i = 0; i < l->runs.count; i++) {
        struct doctor_run *r = l->runs.list[i];
        for (struct doctor_result *x = r->first; x; x = x->next) {
            if (x->v.duration_ms <= 0)
                x->v.duration_ms = r->duration_ms;
            if (x->v.state == DOCTOR_OK)
                x->v.mend = NULL;
            x->v.fixable = x->v.fixable && x->v.state != DOCTOR_OK;
            if (list)
                list[n] = x->v;
            n++;
        }
    }
    l->report.checks = list;
    l->report.checks_count = n;
}

/* A check that came back with nothing has measured nothing. */
static int runs_filled(struct look *l)
{
    for (size_t i = 0; i < l->runs.count; i++) {
        struct doctor_run *r = l->runs.list[i];
        if (r->no_memory)
            return cli_fail(DOCTOR_COULD_NOT_RUN, "out of memory");
        if (!r->first)
            result_unknown(r, doctor_result(r, NULL), "there was nothing to look at");
    }
    return 0;
}

static int look(struct look *l, struct cli *c, const struct words *w)
{
    const uint64_t began = clock_mono_ns();
    int code = doctor_begin(&l->d, c);
    if (code != 0)
        return code;
    l->d.deep = w->deep;
    // NOLINTNEXTLINE(clang-analyzer-core.NullDereference): doctor_begin has set it
    l->d.timeout_ms = w->timeout_ms > 0 ? w->timeout_ms : w->deep ? DEEP_MS : l->d.config->doctor->timeout_ms;
    if (doctor_run_all(&l->d, w->want, &l->runs) != 0)
        return cli_fail(DOCTOR_COULD_NOT_RUN, "out of memory");
    if ((code = runs_filled(l)) != 0)
        return code;
    report_take(l, NULL);
    struct supervisor_doctor_check *list = arena_array(c->arena, l->report.checks_count + 1, sizeof *list);
    if (!list)
        return cli_fail(DOCTOR_COULD_NOT_RUN, "out of memory");
    report_take(l, list);
    l->report.at = l->d.wall_ms;
    l->report.origin = w->scheduled ? SUPERVISOR_DOCTOR_ORIGIN_SCHEDULED : SUPERVISOR_DOCTOR_ORIGIN_MANUAL;
    l->report.version = VX11_VERSION;
    l->report.home = c->home;
    l->report.only = (const char **)(uintptr_t)w->only_list;
    l->report.only_count = w->only_count;
    l->report.duration_ms = (double)(clock_mono_ns() - began) / 1e6;
    doctor_judge(&l->report);
    return 0;
}

/* ---- keeping ---- */

/* With its id when it is kept, and else with the reason. The row's JSON is what --json prints. */
static void keep(struct look *l, struct cli *c)
{
    char id[ULID_LEN + 1];
    struct supervisor_doctor_report *r = &l->report;
    struct doctor_report_row row = {.at = r->at,
                                    .checks = (int64_t)r->checks_count,
                                    .blocking = r->blocking,
                                    .warnings = r->warnings,
                                    .notes = r->notes,
                                    .unknown = r->unknown,
                                    .duration_ms = (int64_t)r->duration_ms};
    if (r->only_count > 0) {
        r->not_kept = "only some checks were asked for";
        return;
    }
    const struct store_options options = {.path = l->d.database};
    struct buf json = BUF_INIT;
    struct store *store = NULL;
    struct error err = {0};
    r->id = arena_strdup(c->arena, ulid_make(id));
    snprintf(row.id, sizeof row.id, "%s", id);
    snprintf(row.origin, sizeof row.origin, "%s", supervisor_doctor_origin_names[r->origin]);
    snprintf(row.verdict, sizeof row.verdict, "%s", supervisor_doctor_verdict_names[r->verdict]);
    snprintf(row.version, sizeof row.version, "%s", r->version);
    int rc = contract_serialize_pretty(&supervisor_doctor_report_message, r, &json);
    if (rc == 0)
        rc = store_open(&options, &store, &err);
    if (rc == 0)
        rc = doctor_report_add(store, &row, &json, &err);
    if (store)
        store_close(store);
    buf_free(&json);
    if (rc == 0 && r->id)
        return;
    r->id = NULL;
    const char *why = arena_strdup(c->arena, err.text[0] ? err.text : error_describe(rc));
    r->not_kept = why ? why : "out of memory";
}

/* ---- saying ---- */

static int say(const struct look *l, const struct words *w)
{
    const struct supervisor_doctor_report *r = &l->report;
    struct buf out = BUF_INIT;
    struct error err = {0};
    int code = 0;
    if (w->as == AS_MARKDOWN)
        doctor_markdown(r, &out);
    else if (w->as == AS_TEXT)
        doctor_text(r, !w->output && cli_color(), true, &out);
    else if (contract_serialize_pretty(&supervisor_doctor_report_message, r, &out) == 0)
        buf_putc(&out, '\n');
    if (out.failed || !out.data)
        code = cli_fail(DOCTOR_COULD_NOT_RUN, "the report cannot be written: out of memory");
    else if (w->output && fs_write_file_atomic(w->output, out.data, out.len, 0600, &err) != 0)
        code = cli_fail(DOCTOR_COULD_NOT_RUN, "%s", err.text);
    else if (!w->output)
        fputs(out.data, stdout);
    buf_free(&out);
    if (code == 0 && w->output) {
        doctor_text(r, cli_color(), false, &out);
        fputs(out.data ? out.data : "", stdout);
        buf_free(&out);
    }
    if (code == 0 && cli_flushed(0) != 0)
        code = DOCTOR_COULD_NOT_RUN;
    return code;
}

/* ---- the command ---- */

static int examine(struct cli *c, const struct words *w, struct look *first, struct look *second)
{
    struct look *last = first;
    int code = look(first, c, w);
    if (code == 0 && w->fix) {
        struct doctor_fixing f = {.d = &first->d, .arena = c->arena};
        doctor_fix_all(&f, &first->report);
        if (f.count > 0) {
            last = second;
            code = look(second, c, w);
            second->report.fixes = f.list;
            second->report.fixes_count = f.count;
        }
    }
    if (code != 0)
        return code;
    keep(last, c);
    code = say(last, w);
    return code != 0 ? code : doctor_exit_code(last->report.verdict);
}

/* ---- history ---- */

struct listing {
    struct cli *c;
    struct supervisor_doctor_summary list[HISTORY];
    size_t count;
};

static int name_index(const char *name, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (str_eq(names[i], name))
            return (int)i;
    return 0;
}

static int on_report(void *ctx, const struct doctor_report_row *row)
{
    struct listing *l = ctx;
    if (l->count == HISTORY)
        return 0;
    struct supervisor_doctor_summary *x = &l->list[l->count++];
    *x = (struct supervisor_doctor_summary){
        .id = arena_strdup(l->c->arena, row->id),
        .at = row->at,
        .origin =
            name_index(row->origin, supervisor_doctor_origin_names, COUNT_OF(supervisor_doctor_origin_names)),
        .verdict = name_index(row->verdict, supervisor_doctor_verdict_names,
                              COUNT_OF(supervisor_doctor_verdict_names)),
        .checks = row->checks,
        .blocking = row->blocking,
        .warnings = row->warnings,
        .notes = row->notes,
        .unknown = row->unknown,
        .duration_ms = row->duration_ms,
        .version = arena_strdup(l->c->arena, row->version)};
    return x->id && x->version ? 0 : VX11_ENOMEM;
}

static int history(struct cli *c, const struct words *w)
{
    static struct doctor d;
    struct listing l = {.c = c};
    struct store *store = NULL;
    struct error err = {0};
    int code = doctor_begin(&d, c);
    if (code != 0)
        return code;
    const struct store_options options = {.path = d.database, .read_only = true};
    int rc = store_open(&options, &store, &err);
    if (rc == 0)
        rc = doctor_report_list(store, NULL, HISTORY, on_report, &l, &err);
    if (store)
        store_close(store);
    if (rc != 0)
        return cli_fail(DOCTOR_COULD_NOT_RUN, "%s", err.text[0] ? err.text : error_describe(rc));
    const struct supervisor_doctor_history reply = {.reports = l.list,
                                                    .reports_count = l.count,
                                                    .next_before =
                                                        l.count == HISTORY ? l.list[HISTORY - 1].id : NULL};
    if (w->as == AS_JSON)
        return cli_print_json(&supervisor_doctor_history_message, &reply) == 0 ? 0 : DOCTOR_COULD_NOT_RUN;
    if (l.count == 0)
        puts("Nothing was looked at yet: vx11 doctor does.");
    for (size_t i = 0; i < l.count; i++) {
        char at[32];
        const struct supervisor_doctor_summary *x = &l.list[i];
        printf("%s  %-19s  %3lld checks, %lld blocking, %lld warnings  %5lld ms  %-9s  %s\n",
               clock_format(x->at, at), supervisor_doctor_verdict_names[x->verdict], (long long)x->checks,
               (long long)x->blocking, (long long)x->warnings, (long long)x->duration_ms,
               supervisor_doctor_origin_names[x->origin], x->id);
    }
    return 0;
}

int command_doctor(int argc, char **argv)
{
    struct words w = {0};
    struct look *looks = calloc(2, sizeof *looks);
    struct cli c;
    int code = looks ? words_read(&w, argc, argv) : cli_fail(DOCTOR_COULD_NOT_RUN, "out of memory");
    if (looks && code == 0) {
        code = cli_open_anyway(&c);
        if (code != 0)
            code = DOCTOR_COULD_NOT_RUN; /* which was said */
        else if (w.history)
            code = history(&c, &w);
        else
            code = examine(&c, &w, &looks[0], &looks[1]);
        if (looks[0].runs.stuck || looks[1].runs.stuck) {
            /* A thread hangs in the kernel (a disk that does not answer): to wait for it is to hang too. */
            fflush(NULL);
            _exit(code);
        }
        cli_close(&c);
        doctor_runs_free(&looks[0].runs);
        doctor_runs_free(&looks[1].runs);
    }
    free(w.want);
    free(w.only_text);
    free(looks);
    return code;
}
