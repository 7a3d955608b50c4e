/* Chromium is run by itself, not by the script that Debian puts before it; the MCP server by Node, from the
 * folder where tools/deps/browser.sh or the package put it. */
#include "operator/browser/programs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"
#include "contract/contract.h"
#include "module/child.h"

#define INSTALL_CHROMIUM "apt-get install --no-install-recommends chromium"
#define INSTALL_NODE     "apt-get install --no-install-recommends nodejs npm"
#define INSTALL_PACKAGE  "./dev deps browser"
#define VERSION_MS       10000

/* ---- where they are ---- */

static bool runs(const char *path)
{
    return access(path, X_OK) == 0;
}

static bool find_chromium(const struct config_operator_browser *config, char *out)
{
    static const char *const places[] = {"/usr/lib/chromium/chromium", "/usr/lib64/chromium/chromium",
                                         "/usr/bin/chromium",          "/usr/bin/chromium-browser",
                                         "/opt/google/chrome/chrome",  "/usr/bin/google-chrome-stable",
                                         "/usr/local/bin/chromium"};
    if (config->chromium[0])
        return snprintf(out, PATH_MAX, "%s", config->chromium) < PATH_MAX && runs(out);
    for (size_t i = 0; i < COUNT_OF(places); i++)
        if (runs(places[i]))
            return snprintf(out, PATH_MAX, "%s", places[i]) > 0;
    return false;
}

static bool find_node(char *out)
{
    const char *path = getenv("PATH");
    for (const char *p = path && path[0] ? path : "/usr/local/bin:/usr/bin:/bin"; *p;) {
        const size_t n = strcspn(p, ":");
        if (p[0] == '/' && snprintf(out, PATH_MAX, "%.*s/node", (int)n, p) < PATH_MAX && runs(out))
            return true;
        p += n + (p[n] == ':');
    }
    out[0] = '\0';
    return false;
}

/* Its folder, and its version as its own description says. */
static bool package_at(const char *folder, struct programs *out)
{
    char file[PATH_MAX];
    struct buf text = BUF_INIT;
    struct contract_error bad;
    yyjson_val *root;
    if (snprintf(file, sizeof file, "%s/package.json", folder) >= (int)sizeof file ||
        fs_read_file(file, 65536, &text, NULL) != 0) {
        buf_free(&text);
        return false;
    }
    struct arena *a = arena_create(0);
    if (a && contract_json_parse(a, text.data, text.len, NULL, &root, &bad) == 0) {
        const char *version = yyjson_get_str(yyjson_obj_get(root, "version"));
        (void)snprintf(out->package_version, sizeof out->package_version, "%s", version ? version : "");
    }
    arena_destroy(a);
    buf_free(&text);
    return snprintf(out->package, sizeof out->package, "%s", folder) < (int)sizeof out->package;
}

static bool find_package(struct programs *out)
{
    static const char *const places[] = {"../share/vx11/browser", "../../.deps/browser"};
    char self[PATH_MAX], path[PATH_MAX + 80], real[PATH_MAX];
    if (fs_self_exe(self, sizeof self) != 0)
        return false;
    char *slash = strrchr(self, '/');
    if (slash)
        *slash = '\0';
    for (size_t i = 0; i < COUNT_OF(places); i++) {
        int n = snprintf(path, sizeof path, "%s/%s/node_modules/@playwright/mcp", self, places[i]);
        if (n > 0 && (size_t)n < sizeof path && realpath(path, real) && package_at(real, out))
            return true;
    }
    return false;
}

static int command_check(const struct programs *p, struct error *err)
{
    if (p->command[0][0] != '/' || !runs(p->command[0]))
        return error_set(
            err, VX11_EUNAVAILABLE,
            "operator.browser.command names %.200s, which cannot be run; correct it, or leave it out "
            "and run: " INSTALL_PACKAGE,
            p->command[0]);
    for (size_t i = 1; i < p->command_count; i++)
        if (p->command[i][0] == '/' && !fs_exists(p->command[i]))
            return error_set(
                err, VX11_EUNAVAILABLE,
                "operator.browser.command names %.200s, which does not exist; correct it, or leave it "
                "out and run: " INSTALL_PACKAGE,
                p->command[i]);
    return 0;
}

int programs_find(const struct config_operator_browser *config, bool with_chromium, struct programs *out,
                  struct error *err)
{
    *out = (struct programs){.with_chromium = with_chromium};
    const bool chromium = !with_chromium || find_chromium(config, out->chromium);
    const bool node = find_node(out->node);
    if (config->command_count > 0) {
        out->command = config->command;
        out->command_count = config->command_count;
    }
    const bool package = out->command || find_package(out);
    if (!chromium && config->chromium[0])
        return error_set(
            err, VX11_EUNAVAILABLE,
            "operator.browser.chromium names %.200s, which cannot be run; correct it, or leave it out "
            "and run: " INSTALL_CHROMIUM,
            config->chromium);
    if (!chromium)
        return error_set(err, VX11_EUNAVAILABLE, "Chromium is not installed; run: " INSTALL_CHROMIUM);
    if (out->command)
        return command_check(out, err);
    if (!node)
        return error_set(err, VX11_EUNAVAILABLE, "Node is not installed; run: " INSTALL_NODE);
    if (!package)
        return error_set(err, VX11_EUNAVAILABLE,
                         "the Playwright MCP server is not installed; run: " INSTALL_PACKAGE);
    return 0;
}

/* ---- how it is run ---- */

const char **programs_argv(const struct programs *p, const char *config_file, struct arena *a)
{
    const char **argv = arena_array(a, p->command_count + 5, sizeof *argv);
    size_t n = 0;
    if (!argv)
        return NULL;
    if (p->command) {
        for (size_t i = 0; i < p->command_count; i++)
            argv[n++] = p->command[i];
    } else {
        argv[n++] = p->node;
        argv[n++] = arena_printf(a, "%s/cli.js", p->package);
        if (!argv[n - 1])
            return NULL;
    }
    argv[n++] = "--config";
    argv[n++] = config_file;
    argv[n] = NULL;
    return argv;
}

/* The folder that must be there for a file to be of use: all packages beside it, else the one it lies in. */
static const char *folder_of(const char *file, struct arena *a)
{
    static const char modules[] = "/node_modules/";
    const char *at = strstr(file, modules);
    char *folder =
        at ? arena_strndup(a, file, (size_t)(at - file) + sizeof modules - 2) : arena_strdup(a, file);
    char *slash = folder && !at ? strrchr(folder, '/') : NULL;
    if (slash && slash > folder)
        *slash = '\0';
    if (!folder || str_starts(folder, "/usr/") || str_starts(folder, "/bin") || folder[1] == '\0')
        return NULL;
    return folder;
}

const char **programs_readable(const struct programs *p, struct arena *a)
{
    const char **list = arena_array(a, p->command_count + 4, sizeof *list);
    size_t n = 0;
    if (!list)
        return NULL;
    const char *const own[] = {p->command ? NULL : p->node, p->command ? NULL : p->package,
                               p->with_chromium ? p->chromium : NULL};
    for (size_t i = 0; i < COUNT_OF(own); i++)
        if (own[i] && own[i][0] == '/' && (list[n] = folder_of(own[i], a)) != NULL)
            n++;
    for (size_t i = 0; p->command && i < p->command_count; i++)
        if (p->command[i][0] == '/' && (list[n] = folder_of(p->command[i], a)) != NULL)
            n++;
    list[n] = NULL;
    return list;
}

/* ---- versions ---- */

struct asker {
    struct versions *all;
    struct child *child;
    char path[PATH_MAX], text[160];
    size_t len;
    bool known;
};

struct versions {
    uv_loop_t *loop;
    struct asker node, chromium;
    struct waiter {
        struct waiter *next;
        void (*fn)(void *ctx);
        void *ctx;
    } * waiters;
};

static void versions_tell(struct versions *v)
{
    while (v->waiters && !v->node.child && !v->chromium.child) {
        struct waiter *w = v->waiters;
        v->waiters = w->next;
        w->fn(w->ctx);
        free(w);
    }
}

static void on_output(void *ctx, int fd, const char *data, size_t len)
{
    struct asker *k = ctx;
    const size_t room = sizeof k->text - 1 - k->len;
    if (fd != 1)
        return;
    if (len > room)
        len = room;
    memcpy(k->text + k->len, data, len);
    k->len += len;
}

static void on_end(void *ctx, const struct child_result *r)
{
    struct asker *k = ctx;
    k->child = NULL;
    k->text[r->exit_code == 0 ? k->len : 0] = '\0';
    k->text[strcspn(k->text, "\r\n")] = '\0';
    k->text[utf8_valid_prefix(k->text, strlen(k->text))] = '\0';
    for (size_t n = strlen(k->text); n > 0 && k->text[n - 1] == ' '; n--)
        k->text[n - 1] = '\0';
    k->known = true;
    versions_tell(k->all);
}

static void ask_one(struct versions *v, struct asker *k, const char *path)
{
    const char *const argv[] = {path, "--version", NULL};
    struct child_env env;
    struct error err = {0};
    if (!path || !path[0] || k->child || (k->known && str_eq(k->path, path)))
        return;
    k->all = v;
    k->known = false;
    k->len = 0;
    k->text[0] = '\0';
    (void)snprintf(k->path, sizeof k->path, "%s", path);
    if (child_env_init(&env, NULL) == 0 && child_env_set(&env, "HOME", "/tmp") == 0) {
        const struct child_options o = {.loop = v->loop,
                                        .argv = argv,
                                        .env = (const char *const *)env.list,
                                        .cwd = "/tmp",
                                        .out_max = sizeof k->text,
                                        .err_max = 1,
                                        .timeout_ms = VERSION_MS,
                                        .sandbox = CHILD_SANDBOX_OFF,
                                        .on_output = on_output,
                                        .on_end = on_end,
                                        .ctx = k};
        if (child_begin(&o, &k->child, &err) != 0)
            log_warn("browser", "a program's version is not known", LOG_S("program", path),
                     LOG_S("reason", err.text));
    }
    child_env_free(&env);
}

void versions_ask(struct versions *v, const struct programs *p, void (*fn)(void *ctx), void *ctx)
{
    struct waiter *w = calloc(1, sizeof *w);
    ask_one(v, &v->node, p->command ? NULL : p->node);
    ask_one(v, &v->chromium, p->with_chromium ? p->chromium : NULL);
    if (!w) {
        fn(ctx);
        return;
    }
    *w = (struct waiter){.next = v->waiters, .fn = fn, .ctx = ctx};
    v->waiters = w;
    versions_tell(v);
}

const char *versions_of(const struct versions *v, const char *path)
{
    const struct asker *k = str_eq(v->node.path, path) ? &v->node : &v->chromium;
    return path[0] && k->known && str_eq(k->path, path) && k->text[0] ? k->text : NULL;
}

int versions_create(uv_loop_t *loop, struct versions **out, struct error *err)
{
    *out = calloc(1, sizeof **out);
    if (!*out)
        return error_set(err, VX11_ENOMEM, "out of memory");
    (*out)->loop = loop;
    return 0;
}

void versions_close(struct versions *v)
{
    if (v->node.child)
        child_abandon(v->node.child);
    if (v->chromium.child)
        child_abandon(v->chromium.child);
    v->node.child = v->chromium.child = NULL;
    versions_tell(v);
    free(v);
}
