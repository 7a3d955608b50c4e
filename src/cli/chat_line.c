/* Line: libedit reads it, keeps the history, and gives ^C to us as a key: as a signal it would have to be
 * told apart from one that ends the program. */
#include "cli/chat.h"

#include <errno.h>
#include <fcntl.h>
#include <histedit.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"

#define HISTORY_LINES    1000
#define HISTORY_LINE_MAX 4096 /* a longer one is a pasted text: not worth its place */

struct chat_line {
    EditLine *edit;
    History *history;
    char path[4200];
    bool more; /* in a continued line */
};

static char *prompt(EditLine *edit)
{
    static char first[] = "\1\033[1m\1>\1\033[0m\1 ", more[] = "\1\033[2m\1.\1\033[0m\1 ";
    void *l = NULL;
    el_get(edit, EL_CLIENTDATA, &l);
    return ((struct chat_line *)l)->more ? more : first;
}

static unsigned char on_leave(EditLine *edit, int key)
{
    (void)edit;
    (void)key;
    return CC_EOF;
}

/* With ISIG off, ^Z is a key too. libedit restores the terminal around the stop. */
static unsigned char on_suspend(EditLine *edit, int key)
{
    (void)edit;
    (void)key;
    raise(SIGTSTP);
    return CC_REFRESH;
}

static void history_load(struct chat_line *l)
{
    HistEvent event;
    struct error err = {0};
    history(l->history, &event, H_SETSIZE, HISTORY_LINES);
    history(l->history, &event, H_SETUNIQUE, 1);
    if (!fs_exists(l->path))
        return;
    if (fs_check_private(l->path, &err) != 0)
        cli_fail(CLI_REFUSED, "%s; the history is not read", err.text);
    else
        history(l->history, &event, H_LOAD, l->path);
}

/* Kept after each line, so that a terminal that is closed loses nothing. */
static void history_keep(struct chat_line *l, const char *text, size_t len)
{
    HistEvent event;
    if (len == 0 || len > HISTORY_LINE_MAX || l->path[0] == '\0')
        return;
    history(l->history, &event, H_ENTER, text);
    mode_t before = umask(077);
    if (history(l->history, &event, H_SAVE, l->path) < 0) {
        cli_fail(CLI_FAILED, "%s cannot be written: the history is not kept", l->path);
        l->path[0] = '\0';
    }
    umask(before);
}

int chat_line_open(const char *home, struct chat_line **out)
{
    struct error err = {0};
    struct chat_line *l = calloc(1, sizeof *l);
    if (!l)
        return VX11_ENOMEM;
    l->history = history_init();
    l->edit = el_init("vx11", stdin, stdout, stderr);
    int rc = l->history && l->edit ? fs_path(l->path, sizeof l->path, home, "chat_history") : VX11_ENOMEM;
    if (rc == 0)
        rc = fs_mkdirs(home, 0700, &err);
    if (rc != 0) {
        chat_line_close(l);
        return rc;
    }
    history_load(l);
    el_set(l->edit, EL_CLIENTDATA, l);
    el_set(l->edit, EL_PROMPT_ESC, prompt, '\1');
    el_set(l->edit, EL_SIGNAL, 1);
    el_set(l->edit, EL_EDITOR, "emacs");
    el_set(l->edit, EL_HIST, history, l->history);
    el_set(l->edit, EL_SETTY, "-d", "-isig", NULL);
    /* Its narrow twin leaks copies of the names. */
    el_wset(l->edit, EL_ADDFN, L"vx11-leave", L"Leave the chat", on_leave);
    el_wset(l->edit, EL_ADDFN, L"vx11-suspend", L"Suspend the chat", on_suspend);
    el_set(l->edit, EL_BIND, "^C", "vx11-leave", NULL);
    el_set(l->edit, EL_BIND, "^Z", "vx11-suspend", NULL);
    el_set(l->edit, EL_BIND, "^R", "em-inc-search-prev", NULL);
    *out = l;
    return 0;
}

void chat_line_close(struct chat_line *l)
{
    if (!l)
        return;
    if (l->edit)
        el_end(l->edit);
    if (l->history)
        history_end(l->history);
    free(l);
}

int chat_line_read(struct chat_line *l, struct buf *out)
{
    buf_clear(out);
    l->more = false;
    for (;;) {
        int n = 0;
        const char *text = el_gets(l->edit, &n);
        if (!text || n <= 0) {
            putchar('\n');
            return 0;
        }
        size_t len = (size_t)n;
        while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r'))
            len--;
        l->more = len > 0 && text[len - 1] == '\\';
        if (out->len + len > CHAT_PROMPT_MAX)
            return VX11_ETOO_LARGE;
        buf_append(out, text, l->more ? len - 1 : len);
        if (l->more)
            buf_putc(out, '\n');
        if (out->failed)
            return VX11_ENOMEM;
        if (l->more)
            continue;
        history_keep(l, out->data ? out->data : "", out->len);
        return 1;
    }
}
