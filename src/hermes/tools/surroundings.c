/* What a child gets around it: an empty working folder of its own below VX11's home, a clean environment,
 * and, inside bubblewrap, those parts of HOME that its login and its own program need. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"
#include "hermes/tools/tools_internal.h"

#define PATHS_MAX 64

/* Every tool gets these of ours: who and where it is, and how to reach the network here. */
static const char *const common_env[] = {
    "HOME",
    "USER",
    "LOGNAME",
    "TZ",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "NODE_EXTRA_CA_CERTS",
};

int work_folder_make(const char *home, char *out, size_t size, struct error *err)
{
    char id[ULID_LEN + 1];
    int n = snprintf(out, size, "%s/cache/work", home);
    if (n < 0 || (size_t)n + 2 + ULID_LEN >= size)
        return error_set(err, VX11_ETOO_LARGE, "the path of VX11's home is too long");
    int rc = fs_mkdirs(out, 0700, err);
    if (rc != 0)
        return rc;
    (void)snprintf(out + n, size - (size_t)n, "/%s", ulid_make(id));
    return fs_mkdirs(out, 0700, err);
}

void work_folder_remove(const char *home, const char *folder)
{
    char parent[PATH_MAX];
    struct error err = {0};
    const char *name = strrchr(folder, '/');
    if (!name || snprintf(parent, sizeof parent, "%s/cache/work", home) >= (int)sizeof parent)
        return;
    int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fs_remove_tree(fd, name + 1, &err) != 0)
        log_warn("tools", "a working folder stays behind", LOG_S("path", folder), LOG_S("reason", err.text));
    if (fd >= 0)
        close(fd);
}

struct paths {
    const char **list;
    size_t count;
};

static void add(struct paths *p, const char *path)
{
    if (path && p->count + 1 < PATHS_MAX)
        p->list[p->count++] = path;
    p->list[p->count] = NULL;
}

static void add_expanded(struct tools *t, struct surroundings *s, struct paths *p, const char *const *items)
{
    for (size_t i = 0; items && items[i]; i++) {
        if (str_starts(items[i], "~/") && t->user_home[0])
            add(p, arena_printf(s->arena, "%s/%s", t->user_home, items[i] + 2));
        else if (items[i][0] == '/')
            add(p, items[i]);
    }
}

/* The part of a tree that a program needs to run: outside of HOME its folder; below HOME the folder that it
 * was installed into, e.g. ~/.nvm, ~/.local/share/claude. */
static void add_program(struct tools *t, struct surroundings *s, struct paths *p, const char *program)
{
    size_t home = strlen(t->user_home);
    char *copy = arena_strdup(s->arena, program);
    if (!copy)
        return;
    if (home > 1 && strncmp(copy, t->user_home, home) == 0 && copy[home] == '/') {
        const char *below = copy + home + 1;
        size_t depth = str_starts(below, ".local/share/") || str_starts(below, ".local/lib/") ? 3
                       : str_starts(below, ".local/")                                         ? 2
                                                                                              : 1;
        char *cut = copy + home;
        for (size_t i = 0; i < depth && cut; i++)
            cut = strchr(cut + 1, '/');
        if (cut)
            *cut = '\0';
        add(p, copy);
        return;
    }
    char *slash = strrchr(copy, '/');
    if (slash && slash != copy) {
        *slash = '\0';
        if (strcmp(copy, "/usr/bin") != 0 && strcmp(copy, "/bin") != 0)
            add(p, copy);
    }
}

static int fill_env(struct surroundings *s, const struct tool_spec *spec, const char *path)
{
    char folder[PATH_MAX];
    (void)snprintf(folder, sizeof folder, "%s", path);
    char *slash = strrchr(folder, '/');
    if (slash)
        *slash = '\0';
    int rc = child_env_init(&s->env, folder); /* beside a script its interpreter may lie */
    for (size_t i = 0; rc == 0 && i < COUNT_OF(common_env); i++)
        rc = child_env_pass(&s->env, common_env[i]);
    for (size_t i = 0; rc == 0 && spec->def.env && spec->def.env[i]; i++)
        rc = child_env_pass(&s->env, spec->def.env[i]);
    return rc == 0 ? child_env_set(&s->env, "TMPDIR", s->folder) : rc;
}

int surroundings_make(struct tools *t, const struct tool_spec *spec, const char *path, const char *real_path,
                      struct surroundings *out, struct error *err)
{
    *out = (struct surroundings){.arena = arena_create(0)};
    struct paths readable = {0}, writable = {0};
    if (out->arena) {
        readable.list = arena_array(out->arena, PATHS_MAX, sizeof *readable.list);
        writable.list = arena_array(out->arena, PATHS_MAX, sizeof *writable.list);
    }
    if (!readable.list || !writable.list) {
        arena_destroy(out->arena);
        return error_set(err, VX11_ENOMEM, "out of memory");
    }
    int rc = work_folder_make(t->home, out->folder, sizeof out->folder, err);
    if (rc != 0) {
        arena_destroy(out->arena);
        return rc;
    }
    if (fill_env(out, spec, path) != 0) {
        surroundings_remove(t, out);
        return error_set(err, VX11_ENOMEM, "out of memory");
    }
    add(&readable, NULL);
    add(&writable, NULL);
    add_program(t, out, &readable, path);
    if (real_path)
        add_program(t, out, &readable, real_path);
    add_expanded(t, out, &readable, spec->def.readable);
    add_expanded(t, out, &writable, spec->def.writable);
    out->readable = readable.list;
    out->writable = writable.list;
    return 0;
}

void surroundings_remove(struct tools *t, struct surroundings *s)
{
    if (s->folder[0])
        work_folder_remove(t->home, s->folder);
    child_env_free(&s->env);
    arena_destroy(s->arena);
    *s = (struct surroundings){0};
}
