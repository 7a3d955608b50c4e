/* Db query: one statement that reads, and its rows as a table, JSON, JSON lines or CSV. Integers are written
 * whole, blobs as hexadecimal digits. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/str.h"
#include "cli/db.h"
#include "store/query/query.h"

#define SQL_MAX  (1 << 20)
#define CELL_MAX 64 /* characters of a value in a table */

enum format { TABLE, JSON, JSONL, CSV };
static const char *const format_names[] = {"table", "json", "jsonl", "csv"};

struct output {
    enum format format;
    struct arena *arena;
    const char **names; /* of columns; in JSON lines no two are alike */
    size_t count;
    int64_t rows;
    struct buf line;
    /* table: kept until the widths are known */
    const char **cells;
    size_t cell_count, cell_cap;
    bool *right;
};

/* ---- values ---- */

static void put_hex(struct buf *out, const struct store_value *v, size_t most)
{
    size_t n = v->v.b.len < most ? v->v.b.len : most;
    for (size_t i = 0; i < n; i++)
        buf_printf(out, "%02x", ((const unsigned char *)v->v.b.data)[i]);
}

/* The shortest text that reads back as the same number. */
static void put_real(struct buf *out, double d)
{
    char text[40];
    for (int digits = 15; digits <= 17; digits++) {
        (void)snprintf(text, sizeof text, "%.*g", digits, d);
        if (strtod(text, NULL) == d)
            break;
    }
    buf_puts(out, text);
    if (!strpbrk(text, ".en"))
        buf_puts(out, ".0");
}

static void put_json(struct buf *out, const struct store_value *v)
{
    switch (v->type) {
    case STORE_INT:
        buf_printf(out, "%" PRId64, v->v.i);
        break;
    case STORE_REAL:
        if (isfinite(v->v.d))
            put_real(out, v->v.d);
        else
            buf_puts(out, v->v.d > 0 ? "\"Infinity\"" : "\"-Infinity\"");
        break;
    case STORE_TEXT:
        buf_put_json_string(out, v->v.b.data, v->v.b.len);
        break;
    case STORE_BLOB:
        buf_puts(out, "{\"hex\":\"");
        put_hex(out, v, SIZE_MAX);
        buf_puts(out, "\"}");
        break;
    default:
        buf_puts(out, "null");
    }
}

/* RFC 4180; a text that is empty has quotes, so that it is told from NULL. */
static void put_csv(struct buf *out, const struct store_value *v)
{
    if (v->type == STORE_INT) {
        buf_printf(out, "%" PRId64, v->v.i);
    } else if (v->type == STORE_REAL) {
        put_real(out, v->v.d);
    } else if (v->type == STORE_BLOB) {
        put_hex(out, v, SIZE_MAX);
    } else if (v->type == STORE_TEXT) {
        const char *s = v->v.b.data;
        bool quotes = v->v.b.len == 0;
        for (size_t i = 0; i < v->v.b.len && !quotes; i++)
            quotes = strchr("\",\r\n", s[i]) != NULL; /* also a NUL */
        buf_puts(out, quotes ? "\"" : "");
        for (size_t i = 0; i < v->v.b.len; i++) {
            if (s[i] == '"')
                buf_putc(out, '"');
            buf_putc(out, s[i]);
        }
        buf_puts(out, quotes ? "\"" : "");
    }
}

/* One line, without what a terminal would obey, cut at CELL_MAX characters. */
static const char *cell_of(struct arena *a, const struct store_value *v)
{
    struct buf text = BUF_INIT, clean = BUF_INIT;
    if (v->type == STORE_BLOB) {
        buf_puts(&text, "x'");
        put_hex(&text, v, CELL_MAX / 2 - 4);
        buf_puts(&text, v->v.b.len > CELL_MAX / 2 - 4 ? "…'" : "'");
    } else if (v->type == STORE_TEXT) {
        buf_append(&text, v->v.b.data, v->v.b.len < 8 * CELL_MAX ? v->v.b.len : 8 * CELL_MAX);
    } else if (v->type == STORE_INT) {
        buf_printf(&text, "%" PRId64, v->v.i);
    } else if (v->type == STORE_REAL) {
        put_real(&text, v->v.d);
    } else {
        buf_puts(&text, "NULL");
    }
    const char *cell = NULL;
    if (!text.failed && terminal_clean(text.data ? text.data : "", text.len, true, &clean) == 0) {
        size_t end = 0, n = 0;
        while (end < clean.len && n < CELL_MAX) {
            int step = utf8_next(clean.data + end, clean.len - end);
            end += (size_t)(step < 0 ? -step : step);
            n++;
        }
        cell = arena_printf(a, "%.*s%s", (int)end, clean.data ? clean.data : "", end < clean.len ? "…" : "");
    }
    buf_free(&text);
    buf_free(&clean);
    return cell;
}

/* ---- writing ---- */

static int line_out(struct output *o, const char *end)
{
    buf_puts(&o->line, end);
    if (o->line.failed)
        return VX11_ENOMEM;
    /* CSV carries values as they are: a terminal gets them without what it would obey. */
    if (o->format == CSV && isatty(STDOUT_FILENO)) {
        struct buf clean = BUF_INIT;
        if (terminal_clean(o->line.data, o->line.len, false, &clean) == 0)
            fwrite(clean.data, 1, clean.len, stdout);
        buf_free(&clean);
    } else {
        fwrite(o->line.data, 1, o->line.len, stdout);
    }
    buf_clear(&o->line);
    return ferror(stdout) ? VX11_EIO : 0;
}

/* In an object no two names may be alike: the second "a" becomes "a_2". */
static const char *unlike_name(struct output *o, const char *name, size_t n)
{
    const char *out = arena_strdup(o->arena, name);
    for (int k = 2; out && o->format == JSONL; k++) {
        size_t i = 0;
        while (i < n && strcmp(o->names[i], out) != 0)
            i++;
        if (i == n)
            break;
        out = arena_printf(o->arena, "%s_%d", name, k);
    }
    return out;
}

static int csv_head(struct output *o)
{
    for (size_t i = 0; i < o->count; i++) {
        const struct store_value name = store_text(o->names[i]);
        buf_puts(&o->line, i ? "," : "");
        put_csv(&o->line, &name);
    }
    return line_out(o, "\r\n");
}

static int json_head(struct output *o, const struct query_column *columns)
{
    buf_puts(&o->line, "{\"columns\":[");
    for (size_t i = 0; i < o->count; i++) {
        buf_puts(&o->line, i ? ",{\"name\":" : "{\"name\":");
        buf_put_json_string(&o->line, columns[i].name, strlen(columns[i].name));
        buf_puts(&o->line, ",\"type\":");
        if (columns[i].type)
            buf_put_json_string(&o->line, columns[i].type, strlen(columns[i].type));
        else
            buf_puts(&o->line, "null");
        buf_putc(&o->line, '}');
    }
    buf_puts(&o->line, "],\n\"rows\":[");
    return line_out(o, "");
}

static int on_columns(void *ctx, const struct query_column *columns, size_t n)
{
    struct output *o = ctx;
    o->names = arena_array(o->arena, n, sizeof *o->names);
    o->right = arena_zalloc(o->arena, n);
    o->count = n;
    if (!o->names || !o->right)
        return VX11_ENOMEM;
    for (size_t i = 0; i < n; i++)
        if (!(o->names[i] = unlike_name(o, columns[i].name, i)))
            return VX11_ENOMEM;
    return o->format == CSV ? csv_head(o) : o->format == JSON ? json_head(o, columns) : 0;
}

static int table_row(struct output *o, const struct store_value *values)
{
    if (o->cell_count + o->count > o->cell_cap) {
        size_t cap = 2 * o->cell_cap + 64 * o->count;
        const char **cells = reallocarray(o->cells, cap, sizeof *cells);
        if (!cells)
            return VX11_ENOMEM;
        o->cells = cells;
        o->cell_cap = cap;
    }
    for (size_t i = 0; i < o->count; i++) {
        o->right[i] = o->right[i] || values[i].type == STORE_INT || values[i].type == STORE_REAL;
        if (!(o->cells[o->cell_count++] = cell_of(o->arena, &values[i])))
            return VX11_ENOMEM;
    }
    return 0;
}

static int on_row(void *ctx, const struct store_value *values, size_t n)
{
    struct output *o = ctx;
    o->rows++;
    if (o->format == TABLE)
        return table_row(o, values);
    buf_puts(&o->line, o->format == JSONL ? "{" : o->format == CSV ? "" : o->rows > 1 ? ",\n[" : "\n[");
    for (size_t i = 0; i < n; i++) {
        buf_puts(&o->line, i ? "," : "");
        if (o->format == JSONL) {
            buf_put_json_string(&o->line, o->names[i], strlen(o->names[i]));
            buf_putc(&o->line, ':');
        }
        if (o->format == CSV)
            put_csv(&o->line, &values[i]);
        else
            put_json(&o->line, &values[i]);
    }
    return line_out(o, o->format == JSONL ? "}\n" : o->format == CSV ? "\r\n" : "]");
}

static size_t width_of(const char *text)
{
    return utf8_count(text, strlen(text));
}

static void put_padded(const char *text, size_t width, bool right, bool last)
{
    size_t have = width_of(text), blank = width > have ? width - have : 0;
    printf("%*s%s%*s", right ? (int)blank : 0, "", text, right || last ? 0 : (int)blank, "");
    fputs(last ? "\n" : "  ", stdout);
}

static int table_print(struct output *o)
{
    size_t *widths = arena_array(o->arena, o->count + 1, sizeof *widths);
    if (!widths)
        return VX11_ENOMEM;
    for (size_t i = 0; i < o->count; i++)
        widths[i] = width_of(terminal_line(o->arena, o->names[i]));
    for (size_t i = 0; o->count > 0 && i < o->cell_count; i++) {
        size_t w = width_of(o->cells[i]);
        widths[i % o->count] = w > widths[i % o->count] ? w : widths[i % o->count];
    }
    for (size_t i = 0; i < o->count; i++)
        put_padded(terminal_line(o->arena, o->names[i]), widths[i], o->right[i], i + 1 == o->count);
    for (size_t i = 0; i < o->count; i++) {
        for (size_t k = 0; k < widths[i]; k++)
            fputs("─", stdout);
        fputs(i + 1 == o->count ? "\n" : "  ", stdout);
    }
    for (size_t i = 0; i < o->cell_count; i++)
        put_padded(o->cells[i], widths[i % o->count], o->right[i % o->count], (i + 1) % o->count == 0);
    return 0;
}

static void json_tail(const struct query_end *end)
{
    printf("%s],\n\"row_count\":%" PRId64 ",\"cut\":%s%s%s,\"duration_ms\":%.3f}\n", end->rows ? "\n" : "",
           end->rows, end->cut ? "\"" : "", end->cut ? end->cut : "null", end->cut ? "\"" : "",
           end->duration_ms);
}

/* ---- the command ---- */

static int query_code(int rc)
{
    return rc == VX11_EINVALID ? CLI_USAGE : db_code_of(rc);
}

static int query_print(struct query_options *q, struct output *o)
{
    struct query_end end;
    struct error err = {0};
    int rc = query_run(q, on_columns, on_row, o, &end, &err);
    if (rc != 0)
        return cli_fail(query_code(rc), "%s", err.text[0] ? err.text : error_describe(rc));
    if (o->format == TABLE && table_print(o) != 0)
        return cli_fail(CLI_FAILED, "out of memory");
    if (o->format == JSON)
        json_tail(&end);
    fflush(stdout);
    if (end.cut)
        fprintf(stderr,
                "vx11: there is more: cut after %" PRId64 " row%s, at the limit of %s (--limit, --bytes)\n",
                end.rows, end.rows == 1 ? "" : "s", end.cut);
    else if (o->format == TABLE && isatty(STDOUT_FILENO))
        fprintf(stderr, "%" PRId64 " row%s in %.1f ms\n", end.rows, end.rows == 1 ? "" : "s",
                end.duration_ms);
    return CLI_OK;
}

/* What comes in by standard input, as the statement. */
static int sql_read(struct buf *out)
{
    char piece[4096];
    size_t n;
    while ((n = fread(piece, 1, sizeof piece, stdin)) > 0)
        if (buf_append(out, piece, n) != 0 || out->len > SQL_MAX)
            return cli_fail(CLI_USAGE, "the statement is longer than 1 MiB");
    if (ferror(stdin))
        return cli_fail(CLI_FAILED, "standard input cannot be read: %s", strerrordesc_np(errno));
    if (!out->data || memchr(out->data, '\0', out->len))
        return cli_fail(CLI_USAGE, "standard input has no statement");
    return 0;
}

static int options_read(int argc, char **argv, struct query_options *q, struct output *o, const char **file)
{
    const char *format = NULL, *limit = NULL, *timeout = NULL, *bytes = NULL;
    uint64_t most = 0;
    for (int i = 1; i < argc; i++) {
        int is = cli_option("db query", argc, argv, &i, "--format", &format);
        if (is == 0)
            is = cli_option("db query", argc, argv, &i, "--limit", &limit);
        if (is == 0)
            is = cli_option("db query", argc, argv, &i, "--timeout", &timeout);
        if (is == 0)
            is = cli_option("db query", argc, argv, &i, "--bytes", &bytes);
        if (is == 0)
            is = cli_option("db query", argc, argv, &i, "--file", file);
        if (is < 0)
            return CLI_USAGE;
        if (is > 0)
            continue;
        if (strcmp(argv[i], "--json") == 0)
            format = format_names[JSON];
        else if (!q->sql && (argv[i][0] != '-' || argv[i][1] == '\0'))
            q->sql = argv[i];
        else
            return cli_usage("db query", "unknown argument %s", argv[i]);
    }
    while (format && strcmp(format_names[o->format], format) != 0)
        if (++o->format > CSV)
            return cli_usage("db query", "there is table, json, jsonl and csv, not %s", format);
    if (limit && str_to_i64(limit, 1, INT32_MAX, &q->rows_max) != 0)
        return cli_usage("db query", "--limit wants a number of rows, at least 1");
    if (timeout &&
        (str_to_duration_ms(timeout, &q->timeout_ms) != 0 || q->timeout_ms < 1 || q->timeout_ms > 3600000))
        return cli_usage("db query", "--timeout wants a time up to 1h, such as 30s, not %s", timeout);
    if (bytes && (str_to_bytes(bytes, &most) != 0 || most < 1 || most > 1ull << 40))
        return cli_usage("db query", "--bytes wants a size such as 16MiB, not %s", bytes);
    q->bytes_max = (int64_t)most;
    return q->sql ? 0 : cli_usage("db query", "which statement? (- reads it from standard input)");
}

int command_db_query(int argc, char **argv)
{
    struct query_options q = {.path = NULL};
    struct output o = {.line = BUF_INIT};
    struct buf sql = BUF_INIT;
    const char *file = NULL;
    char path[4200];
    int code = options_read(argc, argv, &q, &o, &file);
    if (code == 0 && str_eq(q.sql, "-") && (code = sql_read(&sql)) == 0)
        q.sql = sql.data;
    if (code == 0)
        code = db_file(file, path, sizeof path);
    if (code == 0 && !(o.arena = arena_create(0)))
        code = cli_fail(CLI_FAILED, "out of memory");
    q.path = path;
    q.still = file != NULL;
    if (code == 0)
        code = query_print(&q, &o);
    arena_destroy(o.arena);
    free(o.cells);
    buf_free(&o.line);
    buf_free(&sql);
    return code;
}
