/* Screen: the lines of a look in a terminal, drawn by ncurses (the library of `vx11 status --watch`). Keys,
 * time and signals come through the command's loop. A crash leaves the terminal as it was found too: what
 * that takes is written down before the first drawing. */
#include "cli/top/top.h"

#include <curses.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "base/str.h"

enum { PAD_COLUMNS = 512, PAIR_OK = 1, PAIR_MIDDLE, PAIR_BAD };
#define EVERY_MIN 500
#define EVERY_MAX 60000

struct screen {
    struct cli *c;
    struct top_view v;
    WINDOW *pad;
    bool colors, help, typing, over;
    int code;
    size_t scroll, rows; /* rows: below the head, as last drawn */
    uv_timer_t timer;
    uv_poll_t keys;
    uv_signal_t signals[4];
    int open_handles;
    struct top_look *asking, *shown;
    char trouble[400];
};

/* ---- the terminal, when all else fails ---- */

/* For the handler of a crash, which can be given nothing. */
static struct {
    struct termios modes;
    char words[128]; /* leave the other screen, show the cursor, plain letters */
    size_t len;
} restore;

static void on_crash(int number)
{
    if (write(STDOUT_FILENO, restore.words, restore.len) >= 0)
        tcsetattr(STDIN_FILENO, TCSANOW, &restore.modes);
    raise(number); /* SA_RESETHAND: now as it would have been */
}

static void restore_word(const char *name)
{
    const char *word = tigetstr(name);
    if (!word || word == (const char *)-1)
        return;
    const size_t len = strlen(word);
    if (restore.len + len > sizeof restore.words)
        return;
    memcpy(restore.words + restore.len, word, len);
    restore.len += len;
}

static void crash_guard(bool on)
{
    static const int numbers[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    struct sigaction act = {.sa_handler = on ? on_crash : SIG_DFL, .sa_flags = on ? (int)SA_RESETHAND : 0};
    sigemptyset(&act.sa_mask);
    if (on) {
        restore.len = 0;
        restore_word("sgr0");
        restore_word("rmcup");
        restore_word("cnorm");
        restore_word("rmkx");
    }
    for (size_t i = 0; i < COUNT_OF(numbers); i++)
        sigaction(numbers[i], &act, NULL);
}

/* ---- drawing ---- */

static const char *const help_lines[] = {
    "c m r l e f u t  sort by processor, memory, requests, latency (p95), errors, in flight, queue, tokens",
    "n o              by name; in the order they come. The same key again turns it round",
    "g                what the small lines show: processor, requests, latency, tokens",
    "/                show only what has this in its name: Enter keeps it, Esc ends it",
    "space or p       hold; go on",
    "+ -              draw more often; less often",
    "arrows, PgUp, PgDn, Home   move",
    "Ctrl-L           look and draw again",
    "q                leave",
    "",
    "CPU is of one core. Requests, errors and tokens are a second, of the operator's latest sample, as are",
    "latency (until an answer begins), what is in flight and the queues. \"-\": not known, or there is none.",
};

static attr_t tone_of(const struct screen *s, enum top_tone tone)
{
    switch (tone) {
    case TOP_OK:
        return s->colors ? (attr_t)COLOR_PAIR(PAIR_OK) : A_NORMAL;
    case TOP_MIDDLE:
        return s->colors ? (attr_t)COLOR_PAIR(PAIR_MIDDLE) : A_BOLD;
    case TOP_BAD:
        return s->colors ? (attr_t)COLOR_PAIR(PAIR_BAD) : A_BOLD;
    case TOP_DIM:
        return A_DIM;
    case TOP_BOLD:
        return A_BOLD;
    case TOP_REVERSE:
        return A_REVERSE;
    default:
        return A_NORMAL;
    }
}

static void put(struct screen *s, int y, int x, const char *text, size_t len, enum top_tone tone)
{
    const attr_t attributes = tone_of(s, tone);
    wattron(s->pad, (int)attributes);
    if (x >= 0)
        mvwaddnstr(s->pad, y, x, text, (int)len);
    else
        waddnstr(s->pad, text, (int)len);
    wattroff(s->pad, (int)attributes);
}

static void put_line(struct screen *s, int y, const struct top_line *l)
{
    const size_t len = strlen(l->text);
    if (l->marked == 0 || l->mark + l->marked > len) {
        put(s, y, 0, l->text, len, l->tone);
        return;
    }
    put(s, y, 0, l->text, l->mark, l->tone);
    put(s, y, -1, l->text + l->mark, l->marked, l->mark_tone);
    put(s, y, -1, l->text + l->mark + l->marked, len - l->mark - l->marked, l->tone);
}

static int draw_look(struct screen *s)
{
    struct top_lines lines;
    const int room = LINES - 1;
    int y = 0;
    s->v.width = COLS;
    if (top_draw(top_look_arena(s->shown), top_look_of(s->shown), &s->v, &lines) != 0) {
        s->over = true;
        s->code = CLI_FAILED;
        snprintf(s->trouble, sizeof s->trouble, "out of memory");
        return 0;
    }
    s->rows = lines.count - lines.head;
    if (s->scroll > 0 && s->scroll >= s->rows)
        s->scroll = s->rows ? s->rows - 1 : 0;
    for (size_t i = 0; i < lines.head && y < room; i++)
        put_line(s, y++, &lines.list[i]);
    for (size_t i = lines.head + s->scroll; i < lines.count && y < room; i++)
        put_line(s, y++, &lines.list[i]);
    return y;
}

static void draw_foot(struct screen *s)
{
    char text[200];
    if (s->typing)
        snprintf(text, sizeof text, "show only: %s_", s->v.filter);
    else
        snprintf(text, sizeof text, "q quit  h help  c m r l e t n sort  g lines  / filter  space %s",
                 s->v.paused ? "go on" : "hold");
    put(s, LINES - 1, 0, text, strlen(text), s->typing ? TOP_REVERSE : TOP_DIM);
}

static void draw(struct screen *s)
{
    int y = 0;
    werase(s->pad);
    if (s->help)
        for (; y < (int)COUNT_OF(help_lines) && y < LINES - 1; y++)
            put(s, y, 0, help_lines[y], strlen(help_lines[y]), TOP_PLAIN);
    else if (s->shown && top_look_of(s->shown))
        y = draw_look(s);
    if (s->trouble[0] && y < LINES - 1)
        put(s, y, 0, s->trouble, strlen(s->trouble), TOP_REVERSE);
    draw_foot(s);
    pnoutrefresh(s->pad, 0, 0, 0, 0, LINES - 1, COLS - 1);
    doupdate();
}

static bool pad_open(struct screen *s)
{
    if (s->pad)
        delwin(s->pad);
    s->pad = newpad(LINES, PAD_COLUMNS);
    if (!s->pad)
        return false;
    nodelay(s->pad, TRUE);
    keypad(s->pad, TRUE);
    return true;
}

/* ---- looking ---- */

static void on_look(struct top_look *l, void *ctx)
{
    struct screen *s = ctx;
    s->asking = NULL;
    s->trouble[0] = '\0';
    if (!s->over && top_look_of(l)) {
        top_look_free(s->shown);
        s->shown = l;
    } else {
        /* What was shown is no longer known to be so. */
        snprintf(s->trouble, sizeof s->trouble, "%s", top_look_trouble(l));
        top_look_free(s->shown);
        top_look_free(l);
        s->shown = NULL;
    }
    if (!s->over)
        draw(s);
}

static void look(struct screen *s)
{
    if (!s->asking && !s->over)
        s->asking = top_look_start(s->c, false, on_look, s);
}

static void on_timer(uv_timer_t *timer)
{
    struct screen *s = timer->data;
    if (!s->v.paused)
        look(s);
}

/* ---- keys ---- */

static void every_set(struct screen *s, int64_t ms)
{
    s->v.every_ms = ms < EVERY_MIN ? EVERY_MIN : ms > EVERY_MAX ? EVERY_MAX : ms;
    uv_timer_start(&s->timer, on_timer, (uint64_t)s->v.every_ms, (uint64_t)s->v.every_ms);
}

static void key_typed(struct screen *s, int key)
{
    const size_t len = strlen(s->v.filter);
    if (key == '\n' || key == '\r' || key == KEY_ENTER) {
        s->typing = false;
    } else if (key == 27) {
        s->typing = false;
        s->v.filter[0] = '\0';
    } else if (key == KEY_BACKSPACE || key == 127 || key == 8) {
        if (len > 0)
            s->v.filter[len - 1] = '\0';
    } else if (key > ' ' && key < 127 && len + 1 < sizeof s->v.filter) {
        s->v.filter[len] = (char)key;
        s->v.filter[len + 1] = '\0';
    }
    s->scroll = 0;
}

static void key_move(struct screen *s, int key)
{
    const size_t page = LINES > 8 ? (size_t)LINES - 8 : 1;
    const size_t step = key == KEY_NPAGE || key == KEY_PPAGE ? page : 1;
    if (key == KEY_HOME)
        s->scroll = 0;
    else if (key == KEY_DOWN || key == KEY_NPAGE)
        s->scroll = s->scroll + step < s->rows ? s->scroll + step : s->rows ? s->rows - 1 : 0;
    else
        s->scroll = s->scroll > step ? s->scroll - step : 0;
}

static void key_sort(struct screen *s, int key)
{
    const enum top_column c = top_column_of_key(key);
    if (c > TOP_COLUMNS)
        return;
    s->v.reverse = c == s->v.sort && !s->v.reverse;
    s->v.sort = c;
}

static void key_plain(struct screen *s, int key)
{
    switch (key) {
    case 'q':
    case 'Q':
        s->over = true;
        break;
    case 'h':
    case '?':
        s->help = !s->help;
        break;
    case 27:
        s->help = false;
        s->v.filter[0] = '\0';
        break;
    case '/':
        s->typing = true;
        s->help = false;
        s->v.filter[0] = '\0';
        break;
    case ' ':
    case 'p':
        s->v.paused = !s->v.paused;
        if (!s->v.paused)
            look(s);
        break;
    case '+':
    case '-':
        every_set(s, key == '+' ? s->v.every_ms / 2 : s->v.every_ms * 2);
        break;
    case 'g':
        s->v.line = (enum top_history)((s->v.line + 1) % TOP_HISTORIES);
        break;
    case 12: /* Ctrl-L */
        clearok(curscr, TRUE);
        look(s);
        break;
    case KEY_UP:
    case KEY_DOWN:
    case KEY_PPAGE:
    case KEY_NPAGE:
    case KEY_HOME:
        key_move(s, key);
        break;
    default:
        key_sort(s, key);
    }
}

static void on_keys(uv_poll_t *poll, int status, int events)
{
    struct screen *s = poll->data;
    int key, n = 0, waiting = 0;
    (void)events;
    if (status < 0) {
        s->over = true;
        s->code = CLI_FAILED;
        return;
    }
    while (!s->over && (key = wgetch(s->pad)) != ERR) {
        n++;
        if (s->typing)
            key_typed(s, key);
        else
            key_plain(s, key);
    }
    if (n > 0 && !s->over)
        draw(s);
    /* The terminal may have gone: then it is readable for ever and has nothing. */
    if (n == 0 && (ioctl(STDIN_FILENO, FIONREAD, &waiting) != 0 || waiting == 0))
        s->over = true;
}

/* ---- signals, begin, end ---- */

static void on_signal(uv_signal_t *signal, int number)
{
    struct screen *s = signal->data;
    struct winsize size;
    if (number != SIGWINCH) {
        s->over = true;
        return;
    }
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0 || size.ws_col == 0)
        return;
    resizeterm(size.ws_row, size.ws_col);
    if (!pad_open(s)) {
        s->over = true;
        s->code = CLI_FAILED;
        snprintf(s->trouble, sizeof s->trouble, "out of memory");
        return;
    }
    clearok(curscr, TRUE);
    draw(s);
}

static void on_closed(uv_handle_t *h)
{
    struct screen *s = h->data;
    s->open_handles--;
}

static void handles_open(struct screen *s)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGWINCH};
    uv_loop_t *loop = &s->c->loop;
    uv_timer_init(loop, &s->timer);
    s->timer.data = s;
    s->open_handles = 1;
    every_set(s, s->v.every_ms);
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        uv_signal_init(loop, &s->signals[i]);
        s->signals[i].data = s;
        s->open_handles++;
        uv_signal_start(&s->signals[i], on_signal, numbers[i]);
    }
    if (uv_poll_init(loop, &s->keys, STDIN_FILENO) == 0) {
        s->keys.data = s;
        s->open_handles++;
        uv_poll_start(&s->keys, UV_READABLE, on_keys);
    }
}

static void handles_close(struct screen *s)
{
    uv_close((uv_handle_t *)&s->timer, on_closed);
    for (size_t i = 0; i < COUNT_OF(s->signals); i++)
        uv_close((uv_handle_t *)&s->signals[i], on_closed);
    if (s->keys.data)
        uv_close((uv_handle_t *)&s->keys, on_closed);
    if (s->asking)
        top_look_cancel(s->asking);
    while (s->open_handles > 0 || s->asking)
        uv_run(&s->c->loop, UV_RUN_ONCE);
}

static void curses_end(struct screen *s)
{
    if (s->pad)
        delwin(s->pad);
    s->pad = NULL;
    endwin();
    crash_guard(false);
    delscreen(set_term(NULL));
}

static bool curses_begin(struct screen *s)
{
    if (!isatty(STDOUT_FILENO) || !isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &restore.modes) != 0 ||
        !newterm(NULL, stdout, stdin))
        return false;
    crash_guard(true);
    cbreak();
    noecho();
    curs_set(0);
    set_escdelay(25);
    refresh();
    s->colors = cli_color() && has_colors() && start_color() == OK && use_default_colors() == OK;
    if (s->colors) {
        init_pair(PAIR_OK, COLOR_GREEN, -1);
        init_pair(PAIR_MIDDLE, COLOR_YELLOW, -1);
        init_pair(PAIR_BAD, COLOR_RED, -1);
    }
    if (pad_open(s))
        return true;
    curses_end(s);
    return false;
}

int top_screen(struct cli *c, const struct top_view *view)
{
    struct screen s = {.c = c, .v = *view};
    if (!curses_begin(&s))
        return -1;
    handles_open(&s);
    look(&s);
    draw(&s);
    while (!s.over)
        uv_run(&c->loop, UV_RUN_ONCE);
    curses_end(&s);
    if (s.code != 0)
        cli_fail(s.code, "%s", s.trouble[0] ? s.trouble : "the terminal has gone");
    handles_close(&s);
    top_look_free(s.shown);
    return s.code;
}
