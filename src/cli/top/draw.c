/* Draw: a look as lines of text. Which columns there are depends on the room; what is unknown is "-". Nothing
 * here knows whether a terminal or a pipe gets the lines. */
#include "cli/top/top.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"

enum { NAME_WIDTH = 18, SPARK_MIN = 8, SPARK_MAX = 30 };

/* What goes first when there is little room: the largest. 0: stays. */
static const struct {
    const char *name, *title;
    int width, goes;
    char key;
    bool left, down; /* down: the largest first */
} columns[TOP_COLUMNS] = {
    [TOP_NAME] = {"name", "MODULE", NAME_WIDTH, 0, 'n', true, false},
    [TOP_STATE] = {"state", "STATE", 8, 6, 0, true, false},
    [TOP_HEALTH] = {"health", "HEALTH", 9, 0, 0, true, false},
    [TOP_CPU] = {"cpu", "CPU", 6, 0, 'c', false, true},
    [TOP_MEMORY] = {"memory", "MEMORY", 9, 0, 'm', false, true},
    [TOP_REQUESTS] = {"requests", "REQ/S", 7, 1, 'r', false, true},
    [TOP_P50] = {"p50", "P50", 8, 7, 0, false, true},
    [TOP_P95] = {"p95", "P95", 8, 2, 'l', false, true},
    [TOP_ERRORS] = {"errors", "ERR/S", 6, 4, 'e', false, true},
    [TOP_FLIGHT] = {"in-flight", "FLIGHT", 6, 8, 'f', false, true},
    [TOP_QUEUE] = {"queue", "QUEUE", 5, 5, 'u', false, true},
    [TOP_TOKENS] = {"tokens", "TOK/S", 7, 3, 't', false, true},
};
enum { SPARK_GOES = 9 };

enum top_column top_column_named(const char *word)
{
    if (str_eq(word, "order"))
        return TOP_COLUMNS;
    for (int i = 0; i < TOP_COLUMNS; i++)
        if (str_eq(word, columns[i].name))
            return (enum top_column)i;
    return (enum top_column)(TOP_COLUMNS + 1);
}

enum top_column top_column_of_key(int key)
{
    for (int i = 0; i < TOP_COLUMNS; i++)
        if (columns[i].key && key == columns[i].key)
            return (enum top_column)i;
    return (enum top_column)(key == 'o' ? TOP_COLUMNS : TOP_COLUMNS + 1);
}

const char *top_column_name(enum top_column c)
{
    return c < TOP_COLUMNS ? columns[c].name : "order";
}

/* ---- lines ---- */

struct draw {
    struct arena *a;
    const struct cli_top *top;
    const struct top_view *v;
    struct top_lines *out;
    bool shown[TOP_COLUMNS];
    int spark; /* width of the small lines; 0: none */
    bool failed;
};

/* ASCII alone where the terminal knows no more, and no control characters anywhere. */
static const char *fit_text(struct draw *d, const char *text)
{
    const char *line = terminal_line(d->a, text);
    char *copy = arena_strdup(d->a, line), *to = copy;
    if (d->v->utf8 || !copy)
        return copy ? copy : "";
    for (const char *p = line; *p; p++)
        if ((unsigned char)*p < 0x80)
            *to++ = *p;
        else if ((unsigned char)*p >= 0xC0)
            *to++ = '?';
    *to = '\0';
    return copy;
}

static struct top_line *line_add(struct draw *d, enum top_tone tone, const char *text)
{
    struct top_lines *o = d->out;
    static struct top_line nowhere;
    if (o->count == o->cap) {
        const size_t cap = o->cap ? 2 * o->cap : 64;
        struct top_line *list = arena_array(d->a, cap, sizeof *list);
        if (!list) {
            d->failed = true;
            return &nowhere;
        }
        if (o->count > 0)
            memcpy(list, o->list, o->count * sizeof *list);
        o->list = list;
        o->cap = cap;
    }
    o->list[o->count] = (struct top_line){.text = text, .tone = tone};
    if (!text)
        d->failed = true;
    return &o->list[o->count++];
}

static struct top_line *line_print(struct draw *d, enum top_tone tone, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static struct top_line *line_print(struct draw *d, enum top_tone tone, const char *fmt, ...)
{
    struct buf text = BUF_INIT;
    va_list args;
    va_start(args, fmt);
    buf_vprintf(&text, fmt, args);
    va_end(args);
    const char *copy = text.failed ? NULL : arena_strndup(d->a, text.data ? text.data : "", text.len);
    buf_free(&text);
    return line_add(d, tone, copy);
}

/* ---- cells ---- */

static bool cell_value(const struct cli_top_row *r, enum top_column c, double *out)
{
    const struct {
        bool known;
        double value;
    } cells[TOP_COLUMNS] = {
        [TOP_CPU] = {r->has_cpu_percent, r->cpu_percent},
        [TOP_MEMORY] = {r->has_memory_bytes, (double)r->memory_bytes},
        [TOP_REQUESTS] = {r->has_requests, r->requests},
        [TOP_P50] = {r->has_latency_p50_ms, r->latency_p50_ms},
        [TOP_P95] = {r->has_latency_p95_ms, r->latency_p95_ms},
        [TOP_ERRORS] = {r->has_errors, r->errors},
        [TOP_FLIGHT] = {r->has_in_flight, (double)r->in_flight},
        [TOP_QUEUE] = {r->has_queue, (double)r->queue},
        [TOP_TOKENS] = {r->has_tokens, r->tokens},
    };
    *out = cells[c].value;
    return cells[c].known;
}

static void put_rate(char *out, size_t size, double v)
{
    snprintf(out, size, v == 0 ? "%.0f" : v < 10 ? "%.2f" : v < 100 ? "%.1f" : "%.0f", v);
}

static void put_ms(char *out, size_t size, double v)
{
    if (v < 1000)
        snprintf(out, size, v < 10 ? "%.1f ms" : "%.0f ms", v);
    else
        snprintf(out, size, v < 100000 ? "%.1f s" : "%.0f s", v / 1000);
}

static void cell_text(const struct cli_top_row *r, enum top_column c, char *out, size_t size)
{
    double v;
    char bytes[24];
    const bool known = cell_value(r, c, &v);
    if (c == TOP_STATE || c == TOP_HEALTH) {
        const char *word = c == TOP_STATE ? r->state : r->health;
        snprintf(out, size, "%s", word ? word : "-");
    } else if (!known) {
        snprintf(out, size, "-");
    } else if (c == TOP_CPU) {
        snprintf(out, size, "%.1f%%", v);
    } else if (c == TOP_MEMORY) {
        snprintf(out, size, "%s", str_format_bytes((uint64_t)v, bytes));
    } else if (c == TOP_P50 || c == TOP_P95) {
        put_ms(out, size, v);
    } else if (c == TOP_FLIGHT || c == TOP_QUEUE) {
        snprintf(out, size, "%.0f", v);
    } else {
        put_rate(out, size, v);
    }
}

/* ---- small lines ---- */

static yyjson_val *row_history(const struct cli_top_row *r, enum top_history h)
{
    yyjson_val *const all[TOP_HISTORIES] = {[TOP_OF_CPU] = r->cpu_history,
                                            [TOP_OF_REQUESTS] = r->requests_history,
                                            [TOP_OF_LATENCY] = r->latency_history,
                                            [TOP_OF_TOKENS] = r->tokens_history};
    return all[h];
}

/* The last values that there is room for, the largest of them as high as it goes. */
static void put_spark(struct draw *d, struct buf *out, yyjson_val *values)
{
    static const char *const blocks[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    static const char *const letters[] = {"_", ".", ":", "-", "=", "+", "*", "#"};
    const size_t n = yyjson_arr_size(values), room = (size_t)d->spark;
    const size_t from = n > room ? n - room : 0;
    double most = 0;
    for (size_t i = from; i < n; i++) {
        const double v = yyjson_get_num(yyjson_arr_get(values, i));
        most = v > most ? v : most;
    }
    for (size_t i = from; i < n; i++) {
        yyjson_val *v = yyjson_arr_get(values, i);
        const double share = most > 0 ? yyjson_get_num(v) / most : 0;
        const int step = share >= 1 ? 7 : share > 0 ? (int)(share * 7.999) : 0;
        if (!yyjson_is_num(v))
            buf_putc(out, ' ');
        else
            buf_puts(out, (d->v->utf8 ? blocks : letters)[step]);
    }
}

/* ---- the table ---- */

static void columns_choose(struct draw *d)
{
    int width = 0, goes;
    for (int i = 0; i < TOP_COLUMNS; i++) {
        d->shown[i] = true;
        width += columns[i].width + (i > 0);
    }
    d->spark = SPARK_MAX;
    if (d->v->width == 0)
        return;
    for (goes = SPARK_GOES; goes > 0 && width + (d->spark ? 1 + SPARK_MIN : 0) > d->v->width; goes--) {
        if (goes == SPARK_GOES)
            continue; /* it goes only where a column would not help */
        for (int i = 0; i < TOP_COLUMNS; i++)
            if (columns[i].goes == goes && d->shown[i] && (enum top_column)i != d->v->sort) {
                d->shown[i] = false;
                width -= columns[i].width + 1;
            }
    }
    const int room = d->v->width - width - 1;
    d->spark = room < SPARK_MIN ? 0 : room < SPARK_MAX ? room : SPARK_MAX;
}

static void pad(struct buf *out, int n)
{
    for (; n > 0; n--)
        buf_putc(out, ' ');
}

static void put_cell(struct buf *out, enum top_column c, const char *text)
{
    const int room = columns[c].width - (int)utf8_count(text, strlen(text));
    if (c > 0)
        buf_putc(out, ' ');
    if (!columns[c].left)
        pad(out, room);
    buf_puts(out, text);
    if (columns[c].left)
        pad(out, room);
}

/* A name that is too long keeps its beginning. */
static const char *short_name(struct draw *d, const char *name)
{
    const char *text = fit_text(d, name);
    size_t len = strlen(text), keep = 0;
    if (utf8_count(text, len) <= NAME_WIDTH)
        return text;
    for (int n = 0; n < NAME_WIDTH - 1 && keep < len; n++) {
        const int step = utf8_next(text + keep, len - keep);
        keep += (size_t)(step < 0 ? -step : step);
    }
    const char *cut = arena_printf(d->a, "%.*s%s", (int)keep, text, d->v->utf8 ? "…" : "~");
    return cut ? cut : "";
}

static enum top_tone health_tone(const char *word)
{
    if (!word || !word[0])
        return TOP_PLAIN;
    if (str_eq(word, "ok"))
        return TOP_OK;
    return str_eq(word, "down") || str_eq(word, "failed") || str_eq(word, "backoff") ? TOP_BAD : TOP_MIDDLE;
}

static struct top_line *line_of(struct draw *d, enum top_tone tone, struct buf *text)
{
    while (text->len > 0 && text->data[text->len - 1] == ' ')
        text->len--;
    const char *copy = text->failed ? NULL : arena_strndup(d->a, text->data ? text->data : "", text->len);
    buf_free(text);
    return line_add(d, tone, copy);
}

static void draw_row(struct draw *d, const struct cli_top_row *r)
{
    struct buf text = BUF_INIT;
    char cell[48];
    size_t mark = 0, marked = 0;
    for (int i = 0; i < TOP_COLUMNS; i++) {
        const enum top_column c = (enum top_column)i;
        if (!d->shown[i])
            continue;
        if (c != TOP_NAME)
            cell_text(r, c, cell, sizeof cell);
        if (c == TOP_HEALTH) {
            mark = text.len + 1;
            marked = strlen(cell);
        }
        put_cell(&text, c, c == TOP_NAME ? short_name(d, r->name) : cell);
    }
    if (d->spark > 0 && row_history(r, d->v->line)) {
        buf_putc(&text, ' ');
        put_spark(d, &text, row_history(r, d->v->line));
    }
    struct top_line *line = line_of(d, TOP_PLAIN, &text);
    line->mark = mark;
    line->marked = marked;
    line->mark_tone = health_tone(r->health);
    if (r->reason)
        line_print(d, TOP_DIM, "  %s", fit_text(d, r->reason));
}

static void draw_titles(struct draw *d, const char *first)
{
    static const char *const names[TOP_HISTORIES] = {"CPU", "REQ/S", "P95", "TOK/S"};
    const int64_t minutes =
        d->top->has_history_since ? (d->top->at - d->top->history_since + 30000) / 60000 : 0;
    struct buf text = BUF_INIT;
    for (int i = 0; i < TOP_COLUMNS; i++)
        if (d->shown[i])
            put_cell(&text, (enum top_column)i, i == TOP_NAME ? first : columns[i].title);
    if (d->spark > 0 && minutes > 0) {
        const int64_t fits = d->spark * d->top->history_step_ms / 60000;
        buf_printf(&text, " %s, %lld MIN", names[d->v->line], (long long)(fits < minutes ? fits : minutes));
    }
    line_of(d, TOP_BOLD, &text);
}

/* ---- order ---- */

static int row_order(const struct cli_top_row *x, const struct cli_top_row *y, const struct top_view *v)
{
    double a = 0, b = 0;
    int order;
    if (v->sort == TOP_NAME || v->sort == TOP_STATE || v->sort == TOP_HEALTH) {
        const char *p = v->sort == TOP_NAME ? x->name : v->sort == TOP_STATE ? x->state : x->health;
        const char *q = v->sort == TOP_NAME ? y->name : v->sort == TOP_STATE ? y->state : y->health;
        order = strcmp(p ? p : "~", q ? q : "~");
    } else {
        const bool known = cell_value(x, v->sort, &a), other = cell_value(y, v->sort, &b);
        if (known != other)
            return known ? -1 : 1; /* the unknown last, either way round */
        order = a > b ? 1 : a < b ? -1 : 0;
    }
    return v->reverse != columns[v->sort].down ? -order : order;
}

static bool row_shown(const struct draw *d, const struct cli_top_row *r, bool engines)
{
    return (r->kind == CLI_TOP_ROW_KIND_ENGINE) == engines && strstr(r->name, d->v->filter) != NULL;
}

static void draw_table(struct draw *d, bool engines)
{
    const struct cli_top *t = d->top;
    const struct cli_top_row **rows = arena_array(d->a, t->rows_count + 1, sizeof(struct cli_top_row *));
    size_t n = 0;
    if (!rows) {
        d->failed = true;
        return;
    }
    for (size_t i = 0; i < t->rows_count; i++) {
        if (!row_shown(d, &t->rows[i], engines))
            continue;
        /* Few rows: each goes to its place, behind those that are as large. */
        size_t at = n++;
        for (; at > 0 && d->v->sort != TOP_COLUMNS && row_order(&t->rows[i], rows[at - 1], d->v) < 0; at--)
            rows[at] = rows[at - 1];
        rows[at] = &t->rows[i];
    }
    if (n == 0 && engines)
        return;
    if (engines)
        line_add(d, TOP_PLAIN, "");
    draw_titles(d, engines ? "ENGINE" : "MODULE");
    for (size_t i = 0; i < n; i++)
        draw_row(d, rows[i]);
    if (n == 0)
        line_print(d, TOP_DIM, "no module has \"%s\" in its name", d->v->filter);
}

/* ---- the head ---- */

static const struct cli_top_row *row_named(const struct cli_top *t, const char *name)
{
    static const struct cli_top_row none;
    for (size_t i = 0; i < t->rows_count; i++)
        if (t->rows[i].kind != CLI_TOP_ROW_KIND_ENGINE && str_eq(t->rows[i].name, name))
            return &t->rows[i];
    return &none;
}

static void draw_totals(struct draw *d)
{
    const struct cli_top *t = d->top;
    const struct cli_top_row *link = row_named(t, "link"), *sw = row_named(t, "switch");
    char requests[24], flight[24], queue[24], file[24] = "-", wal[24] = "-";
    char tokens[24] = "-", prompt[24] = "-";
    cell_text(link, TOP_REQUESTS, requests, sizeof requests);
    cell_text(link, TOP_FLIGHT, flight, sizeof flight);
    cell_text(sw, TOP_QUEUE, queue, sizeof queue);
    if (sw->has_tokens)
        put_rate(tokens, sizeof tokens, sw->tokens);
    if (sw->has_prompt_tokens)
        put_rate(prompt, sizeof prompt, sw->prompt_tokens);
    if (t->has_database_bytes)
        str_format_bytes((uint64_t)t->database_bytes, file);
    if (t->has_wal_bytes)
        str_format_bytes((uint64_t)t->wal_bytes, wal);
    line_print(d, TOP_PLAIN, "requests %s/s, in flight %s, queue %s   tokens %s/s out, %s/s in", requests,
               flight, queue, tokens, prompt);
    line_print(d, TOP_PLAIN, "database %s, its log %s", file, wal);
}

static void draw_head(struct draw *d)
{
    const struct cli_top *t = d->top;
    const struct top_view *v = d->v;
    char up[24], time[32], every[24], sampled[64] = "no samples";
    const char *word = t->health;
    str_format_duration((int64_t)(t->uptime_s * 1000), up);
    struct top_line *line = line_print(d, TOP_PLAIN, "VX11 %s  %s  up %s  %.8s UTC", t->version, word, up,
                                       clock_format(t->at, time) + 11);
    line->mark = strlen("VX11 ") + strlen(t->version) + 2;
    line->marked = strlen(word);
    line->mark_tone = health_tone(word);
    draw_totals(d);
    if (t->has_sampled_at)
        snprintf(sampled, sizeof sampled, "sampled %.0f s ago", (double)(t->at - t->sampled_at) / 1000);
    if (v->every_ms == 0) {
        line_print(d, TOP_PLAIN, "%s", sampled);
        return;
    }
    str_format_duration(v->every_ms, every);
    line_print(d, TOP_PLAIN, "%s, drawn every %s%s   by %s%s%s%s%s", sampled, every,
               v->paused ? ", PAUSED" : "", top_column_name(v->sort), v->reverse ? ", reversed" : "",
               v->filter[0] ? ", only \"" : "", v->filter, v->filter[0] ? "\"" : "");
}

int top_draw(struct arena *a, const struct cli_top *t, const struct top_view *v, struct top_lines *out)
{
    struct draw d = {.a = a, .top = t, .v = v, .out = out};
    *out = (struct top_lines){0};
    columns_choose(&d);
    draw_head(&d);
    for (size_t i = 0; i < t->unknown_count; i++)
        line_print(&d, TOP_BAD, "%s", fit_text(&d, t->unknown[i]));
    line_add(&d, TOP_PLAIN, "");
    out->head = out->count;
    draw_table(&d, false);
    draw_table(&d, true);
    return d.failed ? VX11_ENOMEM : 0;
}
