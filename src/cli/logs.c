/* Logs: prints records as they are, of one module or of all by time, and goes on with what comes. */
#include "cli/cli_internal.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/str.h"
#include "base/log_reader.h"

#define FOLLOW_LAST    10
#define FOLLOW_WAIT_MS 1000

static const char *color_of_level(enum log_level level)
{
    static const char *const colors[] = {
        [LOG_TRACE] = "\033[2m", [LOG_DEBUG] = "\033[2m",  [LOG_INFO] = "\033[32m",
        [LOG_WARN] = "\033[33m", [LOG_ERROR] = "\033[31m",
    };
    return (size_t)level < COUNT_OF(colors) ? colors[level] : "";
}

static void put_piece(const char *s, size_t len, bool terminal, struct buf *clean)
{
    buf_clear(clean);
    if (terminal && terminal_clean(s, len, true, clean) == 0)
        fwrite(clean->data ? clean->data : "", 1, clean->len, stdout);
    else if (!terminal)
        fwrite(s, 1, len, stdout);
}

static void record_print(const struct log_record *r, bool terminal, bool color, struct buf *clean)
{
    const struct log_head *h = &r->head;
    bool paint = color && h->has_level;
    size_t at = paint ? h->level_at : 0, len = paint ? h->level_len : 0;
    put_piece(r->line, at, terminal, clean);
    if (paint)
        fputs(color_of_level(h->level), stdout);
    put_piece(r->line + at, len, terminal, clean);
    if (paint)
        fputs("\033[0m", stdout);
    put_piece(r->line + at + len, r->len - at - len, terminal, clean);
    putchar('\n');
}

static int logs_print(struct log_reader *reader, bool follow)
{
    struct log_record record;
    struct buf clean = BUF_INIT;
    bool terminal = isatty(STDOUT_FILENO), color = cli_color();
    int rc;
    for (;;) {
        while ((rc = log_reader_next(reader, &record)) == 1)
            record_print(&record, terminal, color, &clean);
        if (rc < 0 || !follow || fflush(stdout) != 0)
            break;
        log_reader_wait(reader, FOLLOW_WAIT_MS);
    }
    buf_free(&clean);
    return rc < 0 ? cli_fail(CLI_FAILED, "the logs cannot be read on: %s", error_describe(rc)) : CLI_OK;
}

static int no_such_log(const char *dir, const char *module)
{
    struct buf names = BUF_INIT;
    int code;
    if (log_reader_names(dir, &names) != 0 || names.len == 0)
        code = cli_fail(CLI_FAILED, "there are no logs in %s yet", dir);
    else
        code = cli_fail(CLI_FAILED, "there is no log of %s; there are: %s", module, names.data);
    buf_free(&names);
    return code;
}

struct logs_arguments {
    const char *module, *since, *level, *last;
    bool follow;
};

static int arguments_read(int argc, char **argv, struct logs_arguments *a)
{
    static const char *const names[] = {"--since", "--level", "-n"};
    for (int i = 1; i < argc; i++) {
        const char **values[] = {&a->since, &a->level, &a->last};
        int is = 0;
        for (size_t k = 0; is == 0 && k < COUNT_OF(names); k++)
            is = cli_option("logs", argc, argv, &i, names[k], values[k]);
        if (is < 0)
            return CLI_USAGE;
        if (is > 0)
            continue;
        if (strcmp(argv[i], "-f") == 0 || strcmp(argv[i], "--follow") == 0)
            a->follow = true;
        else if (argv[i][0] != '-' && !a->module)
            a->module = argv[i];
        else
            return cli_usage("logs", "unknown argument %s", argv[i]);
    }
    return 0;
}

static int options_from(const struct logs_arguments *a, struct log_reader_options *o)
{
    int64_t last = 0;
    *o = (struct log_reader_options){
        .module = a->module, .level = LOG_TRACE, .last = a->follow && !a->since ? FOLLOW_LAST : 0};
    if (a->since && clock_parse(a->since, clock_wall_ms(), &o->since_ms) != 0)
        return cli_usage(
            "logs", "--since is a time ago (15m, 2h, 7d) or a date (2026-11-22T14:45:04Z), not %s", a->since);
    if (a->level && (log_level_parse(a->level, &o->level) != 0 || o->level == LOG_OFF))
        return cli_usage("logs", "a level is trace, debug, info, warn or error, not %s", a->level);
    if (a->last && str_to_i64(a->last, 1, INT64_MAX, &last) != 0)
        return cli_usage("logs", "-n is a number of records, not %s", a->last);
    if (a->last)
        o->last = (uint64_t)last;
    if (a->module && (strchr(a->module, '/') || strlen(a->module) > 60))
        return cli_usage("logs", "%s is no module", a->module);
    return 0;
}

int command_logs(int argc, char **argv)
{
    struct logs_arguments a = {0};
    struct log_reader_options options;
    struct log_reader *reader = NULL;
    struct error err = {0};
    char home[4000], folder[4096];
    int code = arguments_read(argc, argv, &a);
    if (code == 0)
        code = options_from(&a, &options);
    if (code != 0)
        return code;
    if (fs_home(home, sizeof home, &err) != 0 || fs_path(folder, sizeof folder, home, "log") != 0)
        return cli_fail(CLI_CONFIG, "%s", err.text);
    options.dir = folder;
    int rc = log_reader_open(&options, &reader, &err);
    if (rc == VX11_ENOT_FOUND)
        return no_such_log(folder, a.module ? a.module : "any module");
    if (rc != 0)
        return cli_fail(rc == VX11_EPERMISSION ? CLI_REFUSED : CLI_FAILED, "%s", err.text);
    code = logs_print(reader, a.follow);
    log_reader_close(reader);
    return code;
}
