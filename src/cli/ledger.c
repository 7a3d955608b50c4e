/* Ledger: what was decided and changed, and by whom. It reads the database itself, so that it works whether
 * VX11 runs or not; an export is verified without any database. */
#include "cli/cli_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"
#include "cli/db.h"
#include "module/ledger_message.h"
#include "store/ledger/ledger.h"

#define TAIL_ROWS   20
#define TAIL_MOST   10000
#define FOLLOW_MS   500
#define FOLLOW_ROWS 200
#define UNKNOWN     3 /* verify could not look */

struct ledger_command {
    const char *file, *head, *rows, *kind, *output, *format, *reason;
    bool json, follow, force;
};

static int arguments_read(struct ledger_command *c, int argc, char **argv)
{
    static const char *const names[] = {"--file",   "--head",   "-n",      "--kind",
                                        "--output", "--format", "--reason"};
    for (int i = 2; i < argc; i++) {
        const char **values[] = {&c->file, &c->head, &c->rows, &c->kind, &c->output, &c->format, &c->reason};
        int is = 0;
        for (size_t k = 0; is == 0 && k < COUNT_OF(names); k++)
            is = cli_option("ledger", argc, argv, &i, names[k], values[k]);
        if (is < 0)
            return CLI_USAGE;
        if (is > 0)
            continue;
        if (strcmp(argv[i], "--json") == 0)
            c->json = true;
        else if (strcmp(argv[i], "-f") == 0 || strcmp(argv[i], "--follow") == 0)
            c->follow = true;
        else if (strcmp(argv[i], "--force") == 0)
            c->force = true;
        else
            return cli_usage("ledger", "unknown argument %s", argv[i]);
    }
    return 0;
}

static int open_store(bool write, struct store **out)
{
    char path[4200];
    struct error err = {0};
    int code = db_file(NULL, path, sizeof path);
    if (code != 0)
        return code;
    const struct store_options options = {.path = path, .read_only = !write};
    int rc = store_open(&options, out, &err);
    return rc == 0 ? 0 : cli_fail(db_code_of(rc), "%s", err.text);
}

/* ---- verify ---- */

static int import_fd(int fd, const char *name, struct ledger_import *x, struct ledger_report *out,
                     struct error *err)
{
    char piece[65536];
    int rc = 0;
    while (rc == 0) {
        ssize_t n = read(fd, piece, sizeof piece);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_set_errno(err, errno, "%s cannot be read", name);
        if (n == 0)
            return ledger_import_end(x, out, err);
        rc = ledger_import_feed(x, piece, (size_t)n, err);
    }
    return rc;
}

static int verify_file(const char *name, const struct ledger_head *expect, struct ledger_report *out,
                       struct error *err)
{
    const bool input = strcmp(name, "-") == 0;
    int fd = input ? STDIN_FILENO : open(name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_set_errno(err, errno, "%s cannot be opened", name);
    struct ledger_import *x = ledger_import_new(expect);
    int rc = x ? import_fd(fd, name, x, out, err) : error_set(err, VX11_ENOMEM, "out of memory");
    if (rc == VX11_ESYNTAX || rc == VX11_EVERSION)
        rc = error_prefix(err, rc, "%s", name);
    ledger_import_free(x);
    if (!input)
        close(fd);
    return rc;
}

static void verify_print(const struct ledger_report *r, bool file)
{
    char first[32], last[32], head[LEDGER_HEAD_TEXT];
    if (r->fault == LEDGER_SOUND && r->rows > 0)
        printf("The ledger is sound: %lld row%s, %s to %s.\n", (long long)r->rows, r->rows == 1 ? "" : "s",
               clock_format(r->first_at, first), clock_format(r->last_at, last));
    else if (r->fault == LEDGER_SOUND)
        printf("The ledger is sound: it is empty.\n");
    else
        printf("The ledger is NOT sound (%s): %s.\nOf %lld rows %lld are bad; %lld missing.\n",
               ledger_fault_name(r->fault), r->reason, (long long)r->rows, (long long)r->bad,
               (long long)r->missing);
    ledger_head_format(&r->head, head);
    printf("Head: %s\n", head);
    if (!r->anchored && !file && r->rows > 0)
        fprintf(stderr, "vx11: without its anchor a cut end cannot be seen: %s\n", r->anchor_reason);
}

static int verify_json(const struct ledger_report *r, double duration_ms)
{
    struct arena *a = arena_create(0);
    struct supervisor_ledger_report message;
    int code = a && ledger_report_message(a, r, duration_ms, &message) == 0
                   ? cli_print_json(&supervisor_ledger_report_message, &message)
                   : cli_fail(UNKNOWN, "out of memory");
    arena_destroy(a);
    return code;
}

static int ledger_verify_command(struct ledger_command *c)
{
    struct ledger_head head;
    struct ledger_report report = {0};
    struct store *store = NULL;
    struct error err = {0};
    if (c->head && ledger_head_parse(c->head, &head, &err) != 0)
        return cli_usage("ledger", "--head: %s", err.text);
    const uint64_t begun = clock_mono_ns();
    int rc = 0;
    if (c->file) {
        rc = verify_file(c->file, c->head ? &head : NULL, &report, &err);
    } else {
        if (open_store(false, &store) != 0)
            return UNKNOWN; /* said already */
        rc = ledger_verify(store, c->head ? &head : NULL, NULL, &report, &err);
        store_close(store);
    }
    if (rc != 0)
        return cli_fail(UNKNOWN, "%s", err.text);
    int code = 0;
    if (c->json)
        code = verify_json(&report, (double)(clock_mono_ns() - begun) / 1e6);
    else
        verify_print(&report, c->file != NULL);
    if (code == 0)
        code = report.fault == LEDGER_SOUND ? CLI_OK : CLI_FAILED;
    return cli_flushed(code);
}

/* ---- tail ---- */

struct tail {
    struct arena *arena;
    const struct ledger_command *c;
    struct buf lines; /* the newest first, each before the one that was read before it */
    int64_t last;
    size_t count, starts[TAIL_MOST];
};

static int row_line(struct tail *t, const struct ledger_row *row, struct buf *out)
{
    char at[32];
    int rc = 0;
    if (t->c->json) {
        struct supervisor_ledger_row message;
        rc = ledger_row_message(t->arena, row, &message);
        if (rc == 0)
            rc = contract_serialize(&supervisor_ledger_row_message, &message, out);
    } else {
        clock_format(row->at, at);
        at[10] = ' ';
        at[19] = '\0';
        buf_printf(out, "%6lld  %s  %-20s %s", (long long)row->n, at, row->kind,
                   terminal_line(t->arena, row->actor));
        if (row->subject)
            buf_printf(out, " -> %s", terminal_line(t->arena, row->subject));
        if (row->detail)
            buf_printf(out, "  %s", terminal_line(t->arena, row->detail));
    }
    buf_putc(out, '\n');
    arena_reset(t->arena);
    t->last = row->n > t->last ? row->n : t->last;
    return rc != 0 || out->failed ? VX11_ENOMEM : 0;
}

static int keep_row(void *ctx, const struct ledger_row *row)
{
    struct tail *t = ctx;
    t->starts[t->count++] = t->lines.len;
    return row_line(t, row, &t->lines);
}

static int print_row(void *ctx, const struct ledger_row *row)
{
    struct tail *t = ctx;
    buf_clear(&t->lines);
    int rc = row_line(t, row, &t->lines);
    if (rc == 0)
        fwrite(t->lines.data, 1, t->lines.len, stdout);
    return rc;
}

/* They were read newest first and are shown oldest first. */
static void print_kept(const struct tail *t)
{
    size_t end = t->lines.len;
    for (size_t i = t->count; i-- > 0; end = t->starts[i])
        fwrite(t->lines.data + t->starts[i], 1, end - t->starts[i], stdout);
}

static int tail_follow(struct tail *t, struct store *store, struct error *err)
{
    const struct timespec pause = {.tv_nsec = FOLLOW_MS * 1000000L};
    int rc = 0;
    while (rc == 0 && fflush(stdout) == 0 && !ferror(stdout)) {
        nanosleep(&pause, NULL);
        rc = ledger_list(store, t->last, t->c->kind, FOLLOW_ROWS, print_row, t, err);
    }
    return rc;
}

static int ledger_tail_command(struct ledger_command *c)
{
    int64_t n = TAIL_ROWS;
    struct store *store = NULL;
    struct error err = {0};
    if (c->rows && str_to_i64(c->rows, 1, TAIL_MOST, &n) != 0)
        return cli_usage("ledger", "-n takes a number from 1 to %d", TAIL_MOST);
    int code = open_store(false, &store);
    if (code != 0)
        return code;
    struct tail *t = calloc(1, sizeof *t);
    if (t)
        t->arena = arena_create(0);
    int rc = t && t->arena ? 0 : error_set(&err, VX11_ENOMEM, "out of memory");
    if (rc == 0) {
        t->c = c;
        rc = ledger_list_last(store, 0, c->kind, (unsigned)n, keep_row, t, &err);
        print_kept(t); /* also when one of them cannot be read: those after it can */
    }
    if (rc == 0 && c->follow)
        rc = tail_follow(t, store, &err);
    if (t) {
        arena_destroy(t->arena);
        buf_free(&t->lines);
    }
    free(t);
    store_close(store);
    if (rc == VX11_EINVALID)
        return cli_usage("ledger", "--kind: %s", err.text);
    return cli_flushed(rc == 0 ? CLI_OK
                               : cli_fail(db_code_of(rc), "%s", err.text[0] ? err.text : error_describe(rc)));
}

/* ---- export ---- */

static int put_file(void *ctx, const char *data, size_t len, struct error *err)
{
    FILE *f = ctx;
    return fwrite(data, 1, len, f) == len ? 0 : error_set_errno(err, errno, "the export cannot be written");
}

/* To a name beside it first: what is there under the name is whole. */
static int export_to(struct store *store, const struct ledger_command *c, bool json, int64_t *rows,
                     struct error *err)
{
    char temporary[4300];
    if (!c->output)
        return ledger_export(store, json, put_file, stdout, rows, err);
    int n = snprintf(temporary, sizeof temporary, "%s.part", c->output);
    if (n < 0 || (size_t)n >= sizeof temporary)
        return error_set(err, VX11_ETOO_LARGE, "the name is too long");
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (!f) {
        int sys = errno;
        if (fd >= 0)
            close(fd);
        return error_set_errno(err, sys, "%s cannot be written", temporary);
    }
    int rc = ledger_export(store, json, put_file, f, rows, err);
    if (rc == 0 && (fflush(f) != 0 || fsync(fd) != 0))
        rc = error_set_errno(err, errno, "%s cannot be written", temporary);
    if (fclose(f) != 0 && rc == 0)
        rc = error_set_errno(err, errno, "%s cannot be written", temporary);
    if (rc == 0 && renameat2(AT_FDCWD, temporary, AT_FDCWD, c->output, c->force ? 0 : RENAME_NOREPLACE) != 0)
        rc = errno == EEXIST ? error_set(err, VX11_EEXISTS, "%s is there already (--force)", c->output)
                             : error_set_errno(err, errno, "%s cannot be written", c->output);
    if (rc != 0)
        unlink(temporary);
    return rc;
}

static int ledger_export_command(struct ledger_command *c)
{
    struct store *store = NULL;
    struct error err = {0};
    int64_t rows = 0;
    const bool json = c->json || str_eq(c->format, "json");
    if (c->format && !str_eq(c->format, "json") && !str_eq(c->format, "jsonl"))
        return cli_usage("ledger", "--format is jsonl or json, not %s", c->format);
    int code = open_store(false, &store);
    if (code != 0)
        return code;
    int rc = export_to(store, c, json, &rows, &err);
    store_close(store);
    if (rc != 0)
        return cli_fail(db_code_of(rc), "%s", err.text);
    if (c->output)
        fprintf(stderr, "%lld rows are in %s; `vx11 ledger verify --file` checks it anywhere.\n",
                (long long)rows, c->output);
    return cli_flushed(CLI_OK);
}

/* ---- accept ---- */

static int ledger_accept_command(struct ledger_command *c)
{
    struct store *store = NULL;
    struct error err = {0};
    if (!c->reason || !c->reason[0])
        return cli_usage("ledger", "accept wants to know why: --reason TEXT");
    int code = open_store(true, &store);
    if (code != 0)
        return code;
    int rc = ledger_accept(store, "cli", c->reason, &err);
    store_close(store);
    if (rc != 0)
        return cli_fail(db_code_of(rc), "%s", err.text);
    printf("The anchor says what the ledger says now; that it was made to is in the ledger.\n");
    return cli_flushed(CLI_OK);
}

int command_ledger(int argc, char **argv)
{
    static const struct {
        const char *word;
        int (*run)(struct ledger_command *c);
    } words[] = {{"verify", ledger_verify_command},
                 {"tail", ledger_tail_command},
                 {"export", ledger_export_command},
                 {"accept", ledger_accept_command}};
    struct ledger_command c = {0};
    if (argc < 2)
        return cli_usage("ledger", "verify, tail, export or accept?");
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        if (strcmp(argv[1], words[i].word) != 0)
            continue;
        int code = arguments_read(&c, argc, argv);
        return code != 0 ? code : words[i].run(&c);
    }
    return cli_usage("ledger", "there is no ledger %s: verify, tail, export or accept", argv[1]);
}
