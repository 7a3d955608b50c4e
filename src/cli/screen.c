/* Screen: the status again every second, with the latest warnings. In a terminal a screen of its own, drawn
 * by ncurses; else plain text (watching) or silence (the owner of a running system, whose standard output is
 * someone's log).
 *
 * Everything happens in the command's loop: a timer asks for the status, the terminal's descriptor brings
 * keys, signals bring the end. */
#include "cli/cli_internal.h"

#include <curses.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <term.h>
#include <unistd.h>

#include "api/supervisor_client.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/str.h"
#include "base/log_reader.h"

#define REFRESH_MS  1000
#define ASK_MS      3000
#define WARNINGS    64
#define PAD_COLUMNS 1024

enum { PAIR_OK = 1, PAIR_MIDDLE, PAIR_BAD };

struct screen {
    struct cli *c;
    bool owner, drawn, colors; /* drawn: by ncurses */
    WINDOW *pad;               /* drawn only */
    char link[600];
    uv_timer_t timer;
    uv_poll_t keys;
    uv_signal_t signals[5];
    int open_handles;
    bool over;
    int code;
    /* the supervisor, when it is our child */
    bool child_gone;
    int child_status;
    /* what is shown */
    struct client_call *asking; /* NULL: no question is open */
    struct arena *arena;        /* of status */
    struct supervisor_status *status;
    char trouble[600]; /* why there is no newer status; "" when there is */
    struct log_reader *logs;
    char *warnings[WARNINGS]; /* a ring; the newest before `warning_next` */
    size_t warning_next;
};

static void screen_draw(struct screen *s);

static void screen_leave(struct screen *s, int code)
{
    s->over = true;
    s->code = code;
}

/* ---- warnings ---- */

static void warnings_open(struct screen *s)
{
    char dir[4200];
    if (s->logs || fs_path(dir, sizeof dir, s->c->home, "log") != 0)
        return;
    /* Those of this run: the supervisor's age says since when. */
    int64_t age_ms = s->status ? (int64_t)(s->status->uptime_s * 1000) + 100 : 0;
    struct log_reader_options options = {.dir = dir, .level = LOG_WARN, .since_ms = clock_wall_ms() - age_ms};
    log_reader_open(&options, &s->logs, NULL);
}

/* "time=2026-11-22T14:45:04.123Z level=warn …" is shown from the level on, with the time of day before it. */
static void warning_take(struct screen *s, const struct log_record *r)
{
    char time[32];
    struct buf text = BUF_INIT;
    size_t at = r->head.has_level ? r->head.level_at : 0;
    buf_printf(&text, "%.8s ", clock_format(r->head.time_ms, time) + 11);
    if (terminal_clean(r->line + at, r->len - at, true, &text) == 0) {
        free(s->warnings[s->warning_next]);
        s->warnings[s->warning_next] = buf_detach(&text, NULL);
        s->warning_next = (s->warning_next + 1) % WARNINGS;
    }
    buf_free(&text);
}

static void warnings_read(struct screen *s)
{
    struct log_record r;
    warnings_open(s);
    if (!s->logs)
        return;
    log_reader_wait(s->logs, 0);
    for (int n = 0; n < 1000 && log_reader_next(s->logs, &r) == 1; n++)
        warning_take(s, &r);
}

/* ---- the status ---- */

static void status_keep(struct screen *s, const struct client_reply *reply)
{
    struct contract_error bad;
    arena_reset(s->arena);
    s->status = arena_alloc(s->arena, sizeof *s->status);
    char *text = arena_strndup(s->arena, reply->body, reply->body_len);
    if (!s->status || !text ||
        supervisor_status_parse(s->arena, text, reply->body_len, s->status, &bad) != 0) {
        s->status = NULL;
        snprintf(s->trouble, sizeof s->trouble, "the status cannot be read");
    }
}

/* What was shown is no longer known to be so. */
static void status_lose(struct screen *s, const struct client_reply *reply)
{
    s->status = NULL;
    snprintf(s->trouble, sizeof s->trouble, "%.590s",
             reply->result == VX11_EUNAVAILABLE ? "the supervisor does not answer" : reply->error.text);
}

static void on_status(struct client_call *call, void *ctx, const struct client_reply *reply)
{
    struct screen *s = ctx;
    (void)call;
    s->asking = NULL;
    if (s->over)
        return;
    s->trouble[0] = '\0';
    if (reply->message)
        status_keep(s, reply);
    else
        status_lose(s, reply);
    if (s->drawn)
        warnings_read(s);
    screen_draw(s);
}

/* The owner's supervisor has ended although nobody here asked for it. */
static void owner_check(struct screen *s)
{
    if (!s->child_gone || s->over)
        return;
    bool clean = WIFEXITED(s->child_status) && WEXITSTATUS(s->child_status) == 0;
    snprintf(s->trouble, sizeof s->trouble,
             clean ? "VX11 was stopped from elsewhere."
                   : "The supervisor has ended by itself; `vx11 logs supervisor` and the files in forensic/ "
                     "say more.");
    screen_leave(s, clean ? CLI_OK : CLI_FAILED);
}

static void screen_ask(struct screen *s)
{
    struct client_call_options options = {.deadline_ms = clock_mono_ms() + ASK_MS};
    owner_check(s);
    if (s->asking || s->over)
        return;
    if (supervisor_status_call(s->c->client, cli_target(s->c, "supervisor"), &options, on_status, s,
                               &s->asking) != 0)
        s->asking = NULL;
}

/* ---- drawing ---- */

static void put_health(struct screen *s, const char *word)
{
    bool ok = strcmp(word, "ok") == 0, bad = strcmp(word, "down") == 0 || strcmp(word, "failed") == 0;
    int pair = ok ? PAIR_OK : bad ? PAIR_BAD : PAIR_MIDDLE;
    attr_t attributes = s->colors ? (attr_t)COLOR_PAIR(pair) : ok ? A_NORMAL : A_BOLD;
    wattron(s->pad, (int)attributes);
    wprintw(s->pad, "%-9s", word);
    wattroff(s->pad, (int)attributes);
}

static int draw_module(struct screen *s, int y, const struct supervisor_module *m)
{
    struct status_cells cell;
    status_cells(m, &cell);
    mvwprintw(s->pad, y++, 0, "%-12s ", m->name);
    put_health(s, cell.health);
    wprintw(s->pad, " %-8s %7s %6s %9s %8s %7s %9s", cell.state, cell.pid, cell.port, cell.uptime,
            cell.restarts, cell.cpu, cell.memory);
    if (m->reason)
        mvwprintw(s->pad, y++, 13, "%s", terminal_line(s->arena, m->reason));
    if (m->has_next_start_ms)
        mvwprintw(s->pad, y++, 13, "starts again in %lld ms; last: %s", (long long)m->next_start_ms,
                  m->last_exit ? terminal_line(s->arena, m->last_exit) : "unknown");
    return y;
}

/* The one line that is of no use when it is cut: a narrow terminal gets it in pieces. */
static int draw_link(struct screen *s, int y)
{
    size_t width = COLS > 20 ? (size_t)COLS - 6 : 14;
    for (const char *at = s->link; *at; at += strnlen(at, width))
        mvwprintw(s->pad, y++, 0, "%-5s %.*s", at == s->link ? "login" : "", (int)width, at);
    return y;
}

static int draw_status(struct screen *s)
{
    const struct supervisor_status *st = s->status;
    char uptime[24];
    int y = 0;
    mvwprintw(s->pad, y, 0, "VX11 %s  ", st->version);
    put_health(s, common_health_names[st->health]);
    wprintw(s->pad, " up %s", str_format_duration((int64_t)(st->uptime_s * 1000), uptime));
    y++;
    mvwprintw(s->pad, y++, 0, "page  %s", st->page);
    y = draw_link(s, y);
    mvwprintw(s->pad, y++, 0, "api   %s", st->api);
    mvwprintw(s->pad, y++, 0, "home  %s", st->home);
    y++;
    wattron(s->pad, A_BOLD);
    mvwprintw(s->pad, y++, 0, "%-12s %-9s %-8s %7s %6s %9s %8s %7s %9s", "MODULE", "HEALTH", "STATE", "PID",
              "PORT", "UPTIME", "RESTARTS", "CPU", "MEMORY");
    wattroff(s->pad, A_BOLD);
    for (size_t i = 0; i < st->modules_count; i++)
        y = draw_module(s, y, &st->modules[i]);
    return y + 1;
}

static void draw_warnings(struct screen *s, int y)
{
    int room = LINES - 1 - y - 1, n = 0;
    while (n < WARNINGS && s->warnings[(s->warning_next + WARNINGS - 1 - (size_t)n) % WARNINGS])
        n++;
    if (n == 0 || room < 1)
        return;
    wattron(s->pad, A_BOLD);
    mvwprintw(s->pad, y++, 0, "WARNINGS AND ERRORS (UTC)");
    wattroff(s->pad, A_BOLD);
    if (n > room)
        n = room;
    for (; n > 0; n--, y++)
        mvwaddnstr(s->pad, y, 0, s->warnings[(s->warning_next + WARNINGS - (size_t)n) % WARNINGS],
                   PAD_COLUMNS);
}

/* Drawn on a pad that is wider than any terminal: what does not fit is cut at the edge instead of running on
 * into the next line. */
static void draw_curses(struct screen *s)
{
    int y = 0;
    werase(s->pad);
    if (s->status)
        y = draw_status(s);
    if (s->trouble[0]) {
        wattron(s->pad, A_REVERSE);
        mvwprintw(s->pad, y++, 0, "%s", s->trouble);
        wattroff(s->pad, A_REVERSE);
        y++;
    }
    draw_warnings(s, y);
    wmove(s->pad, LINES - 1, 0);
    wclrtoeol(s->pad);
    wattron(s->pad, A_DIM);
    wprintw(s->pad, "%s",
            s->owner ? "q stop everything   r refresh   l login link" : "q quit   r refresh   l login link");
    wattroff(s->pad, A_DIM);
    pnoutrefresh(s->pad, 0, 0, 0, 0, LINES - 1, COLS - 1);
    doupdate();
}

/* A pad as high as the terminal is now. */
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

static void screen_draw(struct screen *s)
{
    if (s->drawn) {
        draw_curses(s);
    } else if (!s->owner) {
        if (s->trouble[0])
            printf("%s\n", s->trouble);
        else if (s->status)
            status_print(s->status);
        putchar('\n');
        if (fflush(stdout) != 0)
            screen_leave(s, CLI_FAILED);
    }
}

/* ---- keys, signals, time ---- */

static void on_timer(uv_timer_t *timer)
{
    screen_ask(timer->data);
}

static void screen_resize(struct screen *s)
{
    struct winsize size;
    if (!s->drawn || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0 || size.ws_col == 0)
        return;
    resizeterm(size.ws_row, size.ws_col);
    if (!pad_open(s)) {
        screen_leave(s, cli_fail(CLI_FAILED, "out of memory"));
        return;
    }
    clearok(curscr, TRUE);
    screen_draw(s);
}

static void on_keys(uv_poll_t *poll, int status, int events)
{
    struct screen *s = poll->data;
    (void)events;
    if (status < 0) {
        screen_leave(s, CLI_FAILED);
        return;
    }
    /* The terminal may have gone: then it is readable for ever and has nothing. */
    int key, n = 0;
    while (!s->over && (key = wgetch(s->pad)) != ERR) {
        n++;
        if (key == 'q' || key == 'Q') {
            screen_leave(s, CLI_OK);
        } else if (key == 'r' || key == 'R') {
            clearok(curscr, TRUE);
            screen_ask(s);
        } else if (key == 'l' || key == 'L') {
            login_link(s->c, s->link, sizeof s->link, true);
            screen_draw(s);
        }
    }
    int waiting = 0;
    if (n == 0 && (ioctl(STDIN_FILENO, FIONREAD, &waiting) != 0 || waiting == 0))
        uv_poll_stop(poll);
}

static void on_signal(uv_signal_t *signal, int number)
{
    struct screen *s = signal->data;
    if (number == SIGWINCH) {
        screen_resize(s);
    } else if (number == SIGCHLD) {
        int st;
        while (waitpid(-1, &st, WNOHANG) > 0) {
            s->child_gone = true;
            s->child_status = st;
        }
        owner_check(s);
    } else {
        /* Leaving is how the owner stops everything; a watcher was interrupted in nothing. */
        screen_leave(s, CLI_OK);
    }
}

/* ---- begin, end ---- */

static void on_closed(uv_handle_t *h)
{
    struct screen *s = h->data;
    s->open_handles--;
}

static void handle_added(struct screen *s, uv_handle_t *h)
{
    h->data = s;
    s->open_handles++;
}

static void handles_open(struct screen *s)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGWINCH, SIGCHLD};
    uv_loop_t *loop = &s->c->loop;
    uv_timer_init(loop, &s->timer);
    handle_added(s, (uv_handle_t *)&s->timer);
    uv_timer_start(&s->timer, on_timer, 0, REFRESH_MS);
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        uv_signal_init(loop, &s->signals[i]);
        handle_added(s, (uv_handle_t *)&s->signals[i]);
        uv_signal_start(&s->signals[i], on_signal, numbers[i]);
    }
    if (s->drawn && uv_poll_init(loop, &s->keys, STDIN_FILENO) == 0) {
        handle_added(s, (uv_handle_t *)&s->keys);
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
        client_cancel(s->asking);
    while (s->open_handles > 0 || s->asking)
        uv_run(&s->c->loop, UV_RUN_ONCE);
}

static void curses_end(struct screen *s)
{
    if (s->pad)
        delwin(s->pad);
    s->pad = NULL;
    endwin();
    delscreen(set_term(NULL));
}

/* False: not a terminal that can be drawn on. */
static bool curses_begin(struct screen *s)
{
    if (!isatty(STDOUT_FILENO) || !isatty(STDIN_FILENO))
        return false;
    terminal_locale();
    if (!newterm(NULL, stdout, stdin))
        return false;
    cbreak();
    noecho();
    curs_set(0);
    set_escdelay(25);
    refresh(); /* the empty screen once: what stood there goes */
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

static int owner_stop(struct screen *s)
{
    if (s->child_gone)
        return s->code;
    puts("stopping");
    fflush(stdout);
    int code = down_wait(s->c, -1);
    return code != 0 ? code : s->code;
}

int screen_run(struct cli *c, bool owner, const char *link)
{
    struct screen s = {.c = c, .owner = owner, .arena = arena_create(0)};
    struct supervisor_status *first = NULL;
    if (!s.arena)
        return cli_fail(CLI_FAILED, "out of memory");
    snprintf(s.link, sizeof s.link, "%s", link ? link : "");
    /* Watching what does not run is refused as everywhere else; an owner has just started it. */
    int code = owner ? 0 : status_fetch(c, &first, false);
    if (code != 0) {
        arena_destroy(s.arena);
        return code;
    }
    s.drawn = curses_begin(&s);
    handles_open(&s);
    while (!s.over)
        uv_run(&c->loop, UV_RUN_ONCE);
    if (s.drawn)
        curses_end(&s);
    if (s.trouble[0])
        fprintf(s.code ? stderr : stdout, "%s\n", s.trouble);
    if (owner)
        s.code = owner_stop(&s);
    handles_close(&s);
    log_reader_close(s.logs);
    for (size_t i = 0; i < WARNINGS; i++)
        free(s.warnings[i]);
    arena_destroy(s.arena);
    return s.code;
}
