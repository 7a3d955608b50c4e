/* Top: what every module and engine does now, and did in the last minutes. In a terminal a screen, else, or
 * with
 * --once, one look as text. */
#include "cli/top/top.h"

#include <langinfo.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"

static void on_look(struct top_look *l, void *ctx)
{
    (void)l;
    *(bool *)ctx = true;
}

static const char *tone_begin(enum top_tone tone)
{
    static const char *const words[] = {
        [TOP_PLAIN] = "",      [TOP_OK] = "\033[32m",  [TOP_MIDDLE] = "\033[33m", [TOP_BAD] = "\033[31m",
        [TOP_DIM] = "\033[2m", [TOP_BOLD] = "\033[1m", [TOP_REVERSE] = "\033[7m"};
    return cli_color() ? words[tone] : "";
}

static void print_toned(const char *text, size_t len, enum top_tone tone)
{
    const char *begin = tone_begin(tone);
    if (len > 0)
        printf("%s%.*s%s", begin, (int)len, text, begin[0] ? "\033[0m" : "");
}

static void print_line(const struct top_line *l)
{
    const size_t len = strlen(l->text);
    const bool marked = l->marked > 0 && l->mark + l->marked <= len;
    print_toned(l->text, marked ? l->mark : len, l->tone);
    if (marked) {
        print_toned(l->text + l->mark, l->marked, l->mark_tone);
        print_toned(l->text + l->mark + l->marked, len - l->mark - l->marked, l->tone);
    }
    putchar('\n');
}

static int top_once(struct cli *c, const struct top_view *v, bool json)
{
    bool done = false;
    struct top_lines lines;
    struct top_look *l = top_look_start(c, true, on_look, &done);
    if (!l)
        return cli_fail(CLI_FAILED, "out of memory");
    cli_wait(c, &done);
    int code = top_look_code(l);
    const struct cli_top *top = top_look_of(l);
    if (top && json) {
        code = cli_print_json(&cli_top_message, top);
    } else if (top) {
        if (top_draw(top_look_arena(l), top, v, &lines) != 0)
            code = cli_fail(CLI_FAILED, "out of memory");
        for (size_t i = 0; i < lines.count && code == 0; i++)
            print_line(&lines.list[i]);
    }
    top_look_free(l);
    return cli_flushed(code);
}

/* "2", "0.5", "500ms", "5s" */
static int every_read(const char *text, int64_t *out)
{
    double seconds;
    if (str_to_f64(text, &seconds) == 0 && seconds >= 0 && seconds <= 60)
        *out = (int64_t)(seconds * 1000);
    else if (str_to_duration_ms(text, out) != 0)
        *out = 0;
    if (*out >= 500 && *out <= 60000)
        return 0;
    return cli_usage("top", "-d wants a time from 500ms to 60s, not %s", text);
}

static int sort_read(const char *text, struct top_view *v)
{
    v->sort = top_column_named(text);
    if (v->sort <= TOP_COLUMNS)
        return 0;
    return cli_usage("top",
                     "--sort wants order, name, state, health, cpu, memory, requests, p50, p95, errors, "
                     "in-flight, queue or tokens, not %s",
                     text);
}

struct wishes {
    struct top_view v;
    bool once, json, ascii;
};

/* 0, or an exit code after having said why. */
static int wish_read(struct wishes *w, int argc, char **argv, int *i)
{
    const char *value = NULL;
    int is = cli_option("top", argc, argv, i, "-d", &value);
    if (is != 0)
        return is < 0 ? CLI_USAGE : every_read(value, &w->v.every_ms);
    is = cli_option("top", argc, argv, i, "--sort", &value);
    if (is != 0)
        return is < 0 ? CLI_USAGE : sort_read(value, &w->v);
    is = cli_option("top", argc, argv, i, "--filter", &value);
    if (is != 0) {
        if (is > 0)
            snprintf(w->v.filter, sizeof w->v.filter, "%s", value);
        return is < 0 ? CLI_USAGE : 0;
    }
    if (strcmp(argv[*i], "--once") == 0)
        w->once = true;
    else if (strcmp(argv[*i], "--json") == 0)
        w->json = true;
    else if (strcmp(argv[*i], "--ascii") == 0)
        w->ascii = true;
    else if (strcmp(argv[*i], "--reverse") == 0)
        w->v.reverse = true;
    else
        return cli_usage("top", "unknown argument %s", argv[*i]);
    return 0;
}

int command_top(int argc, char **argv)
{
    struct wishes w = {.v = {.sort = TOP_COLUMNS, .every_ms = 2000}};
    struct cli c;
    for (int i = 1; i < argc; i++) {
        const int code = wish_read(&w, argc, argv, &i);
        if (code != 0)
            return code;
    }
    /* A terminal that does not say UTF-8 gets ASCII. */
    w.v.utf8 = !w.ascii && setlocale(LC_CTYPE, "") && strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    int code = cli_open_anyway(&c);
    const bool watch = !w.once && !w.json && isatty(STDOUT_FILENO);
    if (code == 0 && watch) {
        /* Watching what does not run is refused as everywhere else. */
        struct supervisor_status *first;
        code = status_fetch(&c, &first, false);
        if (code == 0 && (code = top_screen(&c, &w.v)) >= 0) {
            cli_close(&c);
            return code;
        }
    }
    if (code <= 0) {
        w.v.every_ms = 0;
        code = top_once(&c, &w.v, w.json);
    }
    cli_close(&c);
    return code;
}
