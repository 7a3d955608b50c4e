/* Command templates: placeholders stand inside arguments and each argument stays one, so that no path or name
 * can become an option or a command. A brace that opens no placeholder is itself: {"json": true} may stand in
 * an argument. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/str.h"
#include "hermes/external/external.h"

enum placeholder { MODEL, NAME, SOCKET, PORT, CTX, THREADS, PLACEHOLDERS };
static const char *const placeholder_names[PLACEHOLDERS] = {"model", "name", "socket",
                                                            "port",  "ctx",  "threads"};

/* "{word}" at s: its length with the braces, and which one it is (PLACEHOLDERS: none of ours). 0: a plain
 * character. */
static size_t placeholder_at(const char *s, enum placeholder *which)
{
    size_t n = 1;
    if (s[0] != '{')
        return 0;
    while (islower((unsigned char)s[n]) || s[n] == '_')
        n++;
    if (n == 1 || s[n] != '}')
        return 0;
    *which = PLACEHOLDERS;
    for (int i = 0; i < PLACEHOLDERS; i++)
        if (strlen(placeholder_names[i]) == n - 1 && strncmp(placeholder_names[i], s + 1, n - 1) == 0)
            *which = (enum placeholder)i;
    return n + 1;
}

static int unknown_placeholder(const char *at, size_t len, struct error *err)
{
    char word[64];
    size_t near;
    (void)snprintf(word, sizeof word, "%.*s", (int)(len - 2), at + 1);
    if (str_nearest(word, placeholder_names, PLACEHOLDERS, &near, 1) > 0)
        return error_set(err, VX11_EINVALID, "there is no placeholder {%s}; did you mean {%s}?", word,
                         placeholder_names[near]);
    return error_set(err, VX11_EINVALID,
                     "there is no placeholder {%s}; there are {model}, {name}, {port}, {socket}, {ctx} and "
                     "{threads}",
                     word);
}

int template_check(const char *const *command, size_t n, bool has_url, bool *by_socket, bool *wants_file,
                   struct error *err)
{
    size_t seen[PLACEHOLDERS] = {0};
    if (n == 0 || !command[0][0])
        return error_set(err, VX11_EINVALID, "the command has no program");
    for (size_t i = 0; i < n; i++) {
        for (const char *s = command[i]; *s;) {
            enum placeholder which;
            const size_t len = placeholder_at(s, &which);
            if (len > 0 && which == PLACEHOLDERS)
                return unknown_placeholder(s, len, err);
            if (len > 0 && i == 0)
                return error_set(err, VX11_EINVALID, "the program itself cannot hold a placeholder");
            if (len > 0)
                seen[which]++;
            s += len > 0 ? len : 1;
        }
    }
    if (seen[PORT] > 0 && seen[SOCKET] > 0)
        return error_set(err, VX11_EINVALID, "{port} and {socket} cannot both be in the command");
    if (seen[PORT] + seen[SOCKET] == 0 && !has_url)
        return error_set(err, VX11_EINVALID,
                         "the command must be told where to listen, by {port} or {socket}");
    *by_socket = seen[SOCKET] > 0;
    *wants_file = seen[MODEL] > 0;
    return 0;
}

static int put(struct buf *out, enum placeholder which, const struct external_values *v, struct error *err)
{
    const char *text = which == MODEL ? v->model : which == NAME ? v->name : v->socket;
    const int64_t number = which == PORT ? v->port : which == CTX ? v->ctx : v->threads;
    int rc;
    if (which <= SOCKET && !text)
        return error_set(err, VX11_EINVALID,
                         which == MODEL ? "the command wants a {model}, and %s has no file"
                                        : "the command wants a {socket}, and there is none for %s",
                         v->name ? v->name : "it");
    if (which > SOCKET && number < 0)
        return error_set(err, VX11_EINVALID, "the command wants {%s}, which is not known",
                         placeholder_names[which]);
    rc = which <= SOCKET ? buf_puts(out, text) : buf_printf(out, "%" PRId64, number);
    return rc == 0 ? 0 : error_set(err, VX11_ENOMEM, "out of memory");
}

static int fill_one(const char *s, const struct external_values *values, char **out, struct error *err)
{
    struct buf text = BUF_INIT;
    int rc = 0;
    while (rc == 0 && *s) {
        enum placeholder which;
        const size_t len = placeholder_at(s, &which);
        if (len > 0)
            rc = put(&text, which, values, err);
        else if (buf_putc(&text, *s) != 0)
            rc = error_set(err, VX11_ENOMEM, "out of memory");
        s += len > 0 ? len : 1;
    }
    if (rc == 0) {
        *out = strdup(text.data ? text.data : "");
        rc = *out ? 0 : error_set(err, VX11_ENOMEM, "out of memory");
    }
    buf_free(&text);
    return rc;
}

void template_free(char **argv)
{
    for (size_t i = 0; argv && argv[i]; i++)
        free(argv[i]);
    free(argv);
}

int template_fill(char *const *command, size_t n, const struct external_values *values, char ***out,
                  struct error *err)
{
    char **argv = calloc(n + 1, sizeof *argv);
    int rc = argv ? 0 : error_set(err, VX11_ENOMEM, "out of memory");
    for (size_t i = 0; rc == 0 && i < n; i++)
        rc = fill_one(command[i], values, &argv[i], err);
    if (rc != 0) {
        template_free(argv);
        return rc;
    }
    *out = argv;
    return 0;
}

/* ---- the program ---- */

static int runnable(const char *path, struct error *err)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return error_set_errno(err, errno, "%.300s cannot be run", path);
    if (!S_ISREG(st.st_mode))
        return error_set(err, VX11_EPERMISSION, "%.300s cannot be run: it is no file", path);
    if (access(path, X_OK) != 0)
        return error_set_errno(err, errno, "%.300s cannot be run", path);
    return 0;
}

int template_program(const char *name, const char *path, char *out, size_t size, struct error *err)
{
    if (name[0] == '/') {
        if ((size_t)snprintf(out, size, "%s", name) >= size)
            return error_set(err, VX11_ETOO_LARGE, "the path of the program is too long");
        return runnable(out, err);
    }
    if (strchr(name, '/'))
        return error_set(err, VX11_EINVALID,
                         "%.200s is neither an absolute path nor a name to be looked for in PATH", name);
    while (path && *path) {
        const size_t len = strcspn(path, ":");
        if (len > 0 && path[0] == '/' &&
            (size_t)snprintf(out, size, "%.*s/%s", (int)len, path, name) < size && runnable(out, NULL) == 0)
            return 0;
        path += len + (path[len] == ':');
    }
    return error_set(err, VX11_ENOT_FOUND, "there is no program %.200s in PATH", name);
}
