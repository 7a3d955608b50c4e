/* Top: in a pipe one look as text or JSON; in a terminal a screen that follows keys, size and signals, and
 * leaves the terminal as it was, whatever ends it.
 *
 * The terminal is a pseudo terminal whose bytes a small interpreter turns into a screen of letters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "base/str.h"
#include "system.h"

static struct system sys;

static int start(void **state)
{
    (void)state;
    system_start(&sys, "operator:\n  samples:\n    interval_ms: 1000\n");
    return 0;
}

static int stop(void **state)
{
    (void)state;
    system_remove(&sys);
    return 0;
}

/* ---- a terminal ---- */

enum { ROWS = 60, COLUMNS = 200 };

struct tty {
    int fd;
    pid_t pid;
    struct termios before;
    struct buf bytes; /* all that came */
    size_t read;      /* of them, by the interpreter */
    int rows, columns, y, x;
    int top, bottom; /* scrolling region */
    char cell[ROWS][COLUMNS + 1];
    char last;
};

static void clear(struct tty *t, int y, int from, int to)
{
    for (int x = from; x < to && x < COLUMNS; x++)
        t->cell[y][x] = ' ';
}

static void scroll(struct tty *t, int top, int n)
{
    for (; n > 0; n--) {
        memmove(t->cell[top], t->cell[top + 1], (size_t)(t->bottom - top) * sizeof t->cell[0]);
        clear(t, t->bottom, 0, COLUMNS);
    }
    for (; n < 0; n++) {
        memmove(t->cell[top + 1], t->cell[top], (size_t)(t->bottom - top) * sizeof t->cell[0]);
        clear(t, top, 0, COLUMNS);
    }
}

static void letter(struct tty *t, char c)
{
    if (t->x < t->columns && t->y < ROWS)
        t->cell[t->y][t->x++] = c;
    t->last = c;
}

static int within(int v, int most)
{
    return v < 0 ? 0 : v > most ? most : v;
}

/* ESC [ numbers letter */
static void command(struct tty *t, const int *n, char c)
{
    const int one = n[0] ? n[0] : 1;
    switch (c) {
    case 'H':
        t->y = within(one - 1, t->rows - 1);
        t->x = within((n[1] ? n[1] : 1) - 1, t->columns - 1);
        break;
    case 'd':
        t->y = within(one - 1, t->rows - 1);
        break;
    case 'G':
        t->x = within(one - 1, t->columns - 1);
        break;
    case 'A':
        t->y = within(t->y - one, t->rows - 1);
        break;
    case 'B':
        t->y = within(t->y + one, t->rows - 1);
        break;
    case 'C':
        t->x = within(t->x + one, t->columns - 1);
        break;
    case 'D':
        t->x = within(t->x - one, t->columns - 1);
        break;
    case 'K':
        clear(t, t->y, n[0] == 0 ? t->x : 0, n[0] == 1 ? t->x + 1 : COLUMNS);
        break;
    case 'J':
        clear(t, t->y, n[0] == 2 ? 0 : t->x, COLUMNS);
        for (int y = n[0] == 2 ? 0 : t->y + 1; y < ROWS; y++)
            clear(t, y, 0, COLUMNS);
        break;
    case 'X':
        clear(t, t->y, t->x, t->x + one);
        break;
    case 'P':
        for (int x = t->x; x < COLUMNS; x++)
            t->cell[t->y][x] = x + one < COLUMNS ? t->cell[t->y][x + one] : ' ';
        break;
    case '@':
        for (int x = COLUMNS - 1; x >= t->x + one; x--)
            t->cell[t->y][x] = t->cell[t->y][x - one];
        clear(t, t->y, t->x, t->x + one);
        break;
    case 'L':
        scroll(t, t->y, -within(one, t->bottom));
        break;
    case 'M':
        scroll(t, t->y, within(one, t->bottom));
        break;
    case 'S':
        scroll(t, t->top, within(one, t->bottom));
        break;
    case 'T':
        scroll(t, t->top, -within(one, t->bottom));
        break;
    case 'r':
        t->top = n[0] ? within(n[0] - 1, t->rows - 1) : 0;
        t->bottom = n[1] ? within(n[1] - 1, t->rows - 1) : t->rows - 1;
        t->y = t->x = 0;
        break;
    case 'b':
        for (int i = 0; i < one; i++)
            letter(t, t->last);
        break;
    default: /* colours, modes */
        break;
    }
}

/* One piece; false: it is not whole yet. */
static bool step(struct tty *t)
{
    const char *p = t->bytes.data + t->read, *end = t->bytes.data + t->bytes.len, *at = p;
    int n[8] = {0}, count = 0;
    if (*p != 27) {
        if (*p == '\n')
            t->y == t->bottom ? scroll(t, t->top, 1) : (void)t->y++;
        else if (*p == '\r')
            t->x = 0;
        else if (*p == '\b')
            t->x -= t->x > 0;
        else if ((unsigned char)*p >= 0xC0)
            letter(t, '^'); /* a character of several bytes takes one place */
        else if (*p >= ' ')
            letter(t, *p);
        t->read++;
        return true;
    }
    if (end - p < 2)
        return false;
    if (p[1] != '[') { /* ESC ( B and the like; ESC M: one line up */
        if (p[1] == 'M')
            t->y == t->top ? scroll(t, t->top, -1) : (void)t->y--;
        t->read += p[1] == '(' || p[1] == ')' ? 3 : 2;
        return t->read <= t->bytes.len;
    }
    for (at = p + 2; at < end && (*at < '@' || *at > '~'); at++)
        if (*at >= '0' && *at <= '9')
            n[count] = 10 * n[count] + (*at - '0');
        else if (*at == ';' && count < 7)
            count++;
    if (at == end)
        return false;
    if (p[2] != '?' && p[2] != '>')
        command(t, n, *at);
    t->read += (size_t)(at - p) + 1;
    return true;
}

static void tty_read(struct tty *t, int ms)
{
    char text[8192];
    struct pollfd p = {.fd = t->fd, .events = POLLIN};
    if (poll(&p, 1, ms) <= 0)
        return;
    const ssize_t n = read(t->fd, text, sizeof text);
    if (n > 0)
        buf_append(&t->bytes, text, (size_t)n);
    while (t->read < t->bytes.len && step(t))
        ;
}

static void tty_size(struct tty *t, int rows, int columns)
{
    const struct winsize size = {.ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns};
    t->rows = rows;
    t->columns = columns;
    t->top = 0;
    t->bottom = rows - 1;
    if (t->fd >= 0)
        assert_int_equal(ioctl(t->fd, TIOCSWINSZ, &size), 0);
}

static void tty_start(struct tty *t, const char *locale, const char *const *args)
{
    struct winsize size = {.ws_row = 30, .ws_col = 140};
    const char *argv[16] = {getenv("VX11_BIN")};
    memset(t, 0, sizeof *t);
    t->fd = -1;
    tty_size(t, 30, 140);
    for (int y = 0; y < ROWS; y++)
        clear(t, y, 0, COLUMNS);
    for (size_t i = 0; args[i]; i++)
        argv[i + 1] = args[i];
    t->pid = forkpty(&t->fd, NULL, NULL, &size);
    assert_true(t->pid >= 0);
    if (t->pid == 0) {
        for (size_t i = 0; i < sys.env_count; i++)
            putenv(sys.env[i]);
        setenv("TERM", "xterm-256color", 1);
        setenv("LC_ALL", locale, 1);
        execv(argv[0], (char *const *)argv);
        _exit(127);
    }
    assert_int_equal(tcgetattr(t->fd, &t->before), 0);
}

/* The row with this text; -1: there is none. */
static int tty_find(struct tty *t, const char *text)
{
    for (int y = 0; y < t->rows; y++)
        if (strstr(t->cell[y], text))
            return y;
    return -1;
}

static bool tty_shows(struct tty *t, const char *text)
{
    tty_read(t, 20);
    return tty_find(t, text) >= 0;
}

static bool tty_above(struct tty *t, const char *upper, const char *lower)
{
    tty_read(t, 20);
    const int y = tty_find(t, upper);
    return y >= 0 && y < tty_find(t, lower);
}

static void tty_type(struct tty *t, const char *keys)
{
    assert_int_equal(write(t->fd, keys, strlen(keys)), strlen(keys));
}

static void tty_await(struct tty *t, const char *text, bool there)
{
    const int64_t until = clock_mono_ms() + 20000;
    while (tty_shows(t, text) != there) {
        if (clock_mono_ms() < until)
            continue;
        for (int y = 0; y < t->rows; y++)
            print_error("|%.*s\n", t->columns, t->cell[y]);
        fail_msg("\"%s\" is%s on the screen", text, there ? " not" : "");
    }
}

/* Ends as `how` says (a signal, or 0: by itself); its status as waitpid has it. The terminal is as before. */
static int tty_end(struct tty *t, int how)
{
    struct termios after;
    int status = 0;
    const int64_t until = clock_mono_ms() + 20000;
    if (how != 0)
        process_kill(t->pid, how);
    while (waitpid(t->pid, &status, WNOHANG) == 0) {
        tty_read(t, 20);
        if (clock_mono_ms() > until)
            fail_msg("top does not end");
    }
    tty_read(t, 100);
    assert_int_equal(tcgetattr(t->fd, &after), 0);
    assert_int_equal(after.c_lflag, t->before.c_lflag);
    assert_int_equal(after.c_iflag, t->before.c_iflag);
    buf_append(&t->bytes, "", 1);
    /* Out of the other screen, and the cursor is there. */
    const char *out = strstr(t->bytes.data, "\033[?1049l");
    assert_non_null(out);
    assert_non_null(strstr(t->bytes.data, "\033[?1049h"));
    const char *shown = NULL;
    for (const char *p = t->bytes.data; (p = strstr(p, "\033[?25")); p += 5)
        shown = p;
    if (shown)
        assert_int_equal(shown[5], 'h');
    buf_free(&t->bytes);
    close(t->fd);
    return status;
}

/* ---- in a pipe ---- */

static bool look(struct buf *out, const char *const *args, int want)
{
    buf_free(out);
    assert_int_equal(system_run(&sys, out, args), want);
    return out->data != NULL;
}

static void once(void **state)
{
    struct buf out = BUF_INIT;
    struct http_reply r;
    (void)state;
    for (int i = 0; i < 3; i++) {
        system_chat(&sys, &r, "vx11-guide", false);
        assert_status(&r, 200);
        http_free(&r);
    }
    static const char *const args[] = {"top", "--once", NULL};
    eventually(10000,
               look(&out, args, 0) && strstr(out.data, "vx11-guide") && !strstr(out.data, "no samples"));
    static const char *const words[] = {"VX11 ",   "  ok  up ", "database ", "MODULE",      "link ",
                                        "switch ", "hermes ",   "operator ", "supervisor ", "ENGINE",
                                        "ready",   "requests ", "active"};
    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (!strstr(out.data, words[i]))
            fail_msg("%s is not in %s", words[i], out.data);
    assert_null(strchr(out.data, 27)); /* plain in a pipe */
    static const char *const only[] = {"top", "--filter", "herm", "--ascii", NULL};
    look(&out, only, 0);
    assert_true(strstr(out.data, "\nhermes ") && !strstr(out.data, "\nlink ") &&
                !strstr(out.data, "\nswitch "));
    for (const char *p = out.data; *p; p++)
        assert_true((unsigned char)*p < 0x80);
    static const char *const wrong[] = {"top", "--sort", "beauty", NULL}, *const slow[] = {"top", "-d", "1h",
                                                                                           NULL};
    look(&out, wrong, 64);
    assert_non_null(strstr(out.data, "not beauty"));
    look(&out, slow, 64);
    buf_free(&out);
}

static yyjson_val *row(yyjson_doc *doc, const char *name)
{
    size_t i, n;
    yyjson_val *v;
    yyjson_arr_foreach(yyjson_ptr_get(yyjson_doc_get_root(doc), "/rows"), i, n, v)
    {
        if (str_eq(yyjson_get_str(yyjson_obj_get(v, "name")), name))
            return v;
    }
    return NULL;
}

/* Chats until the engine's tokens are in the line of its last minutes. */
static bool tokens_told(struct buf *out, const char *const *args)
{
    struct http_reply r;
    double tokens = 0;
    size_t i, n;
    yyjson_val *v;
    system_chat(&sys, &r, "vx11-guide", false);
    assert_status(&r, 200);
    http_free(&r);
    look(out, args, 0);
    yyjson_doc *doc = yyjson_read(out->data, strlen(out->data), 0);
    assert_non_null(doc);
    yyjson_arr_foreach(yyjson_obj_get(row(doc, "vx11-guide"), "tokens_history"), i, n, v) tokens +=
        yyjson_get_num(v);
    yyjson_doc_free(doc);
    return tokens > 0;
}

static void as_json(void **state)
{
    struct buf out = BUF_INIT;
    static const char *const args[] = {"top", "--json", NULL};
    (void)state;
    eventually(15000, tokens_told(&out, args));
    yyjson_doc *doc = yyjson_read(out.data, strlen(out.data), 0);
    assert_non_null(doc);
    yyjson_val *root = yyjson_doc_get_root(doc), *engine = row(doc, "vx11-guide"), *sw = row(doc, "switch");
    assert_true(yyjson_get_sint(yyjson_obj_get(root, "database_bytes")) > 0);
    assert_true(yyjson_get_sint(yyjson_obj_get(root, "sample_ms")) == 1000);
    assert_int_equal(yyjson_arr_size(yyjson_obj_get(root, "unknown")), 0);
    assert_true(engine && sw);
    assert_string_equal(yyjson_get_str(yyjson_obj_get(engine, "kind")), "engine");
    assert_true(yyjson_get_sint(yyjson_obj_get(engine, "memory_bytes")) > 1000000);
    assert_true(yyjson_is_num(yyjson_obj_get(engine, "queue")) && yyjson_is_num(yyjson_obj_get(sw, "queue")));
    assert_true(yyjson_is_null(yyjson_obj_get(row(doc, "link"), "queue"))); /* it has none */
    yyjson_doc_free(doc);
    buf_free(&out);
}

/* ---- in a terminal ---- */

static void screen(void **state)
{
    static struct tty t;
    static const char *const args[] = {"top", "-d", "0.5", NULL};
    (void)state;
    tty_start(&t, "C.UTF-8", args);
    tty_await(&t, "vx11-guide", true);
    tty_await(&t, "MODULE", true);
    tty_await(&t, "by order", true);
    eventually(5000, tty_above(&t, "link ", "switch ") && tty_above(&t, "hermes ", "operator "));
    /* by name, and the other way round */
    tty_type(&t, "n");
    tty_await(&t, "by name", true);
    eventually(5000, tty_above(&t, "hermes ", "link "));
    tty_type(&t, "n");
    tty_await(&t, "reversed", true);
    eventually(5000, tty_above(&t, "link ", "hermes "));
    /* only some */
    tty_type(&t, "/oper");
    tty_await(&t, "show only: oper_", true);
    tty_type(&t, "\r");
    tty_await(&t, "hermes ", false);
    tty_await(&t, "operator ", true);
    tty_type(&t, "\033");
    tty_await(&t, "hermes ", true);
    /* held, help, what the lines show */
    tty_type(&t, " ");
    tty_await(&t, "PAUSED", true);
    tty_type(&t, "g");
    tty_await(&t, "REQ/S, ", true);
    tty_type(&t, "h");
    tty_await(&t, "Ctrl-L", true);
    tty_type(&t, "h ");
    tty_await(&t, "PAUSED", false);
    /* A narrow terminal has fewer columns, and the names and the health at least. */
    tty_await(&t, "FLIGHT", true);
    tty_size(&t, 20, 60);
    tty_await(&t, "FLIGHT", false);
    tty_await(&t, "HEALTH", true);
    tty_size(&t, 30, 140);
    tty_await(&t, "FLIGHT", true);
    tty_type(&t, "q");
    const int status = tty_end(&t, 0);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void left_as_found(void **state)
{
    static struct tty t;
    static const char *const args[] = {"top", NULL};
    (void)state;
    tty_start(&t, "C", args); /* and in ASCII */
    tty_await(&t, "vx11-guide", true);
    for (size_t i = 0; i < t.bytes.len; i++)
        assert_true((unsigned char)t.bytes.data[i] < 0x80);
    int status = tty_end(&t, SIGTERM);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    tty_start(&t, "C.UTF-8", args);
    tty_await(&t, "vx11-guide", true);
    status = tty_end(&t, SIGSEGV);
    assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) != 0);
}

static void nothing_runs(void **state)
{
    struct buf out = BUF_INIT;
    static const char *const args[] = {"top", "--once", NULL}, *const json[] = {"top", "--json", NULL};
    (void)state;
    system_stop(&sys);
    look(&out, args, 69);
    assert_non_null(strstr(out.data, "is VX11 running?"));
    look(&out, json, 69);
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(once),          cmocka_unit_test(as_json),      cmocka_unit_test(screen),
        cmocka_unit_test(left_as_found), cmocka_unit_test(nothing_runs),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
