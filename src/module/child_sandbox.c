/* Sandbox: bubblewrap's command line, whether it works here, and what must never be a child.
 *
 * The profile: an empty root with the system's folders read-only, a private /tmp, /dev and /proc, an empty
 * HOME, the working folder, and what the caller names. VX11's own home, other people's files and the rest of
 * HOME are not there at all. */
#include "module/child_internal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"

#define TRIAL_MS 3000

const char *child_sandbox_program(void)
{
    const char *given = getenv("VX11_BWRAP"); /* for tests, and for a bubblewrap of one's own */
    return given && given[0] == '/' ? given : "/usr/bin/bwrap";
}

/* ---- the command line ---- */

struct line {
    const char **list;
    size_t count, cap;
    bool failed;
};

static void put(struct line *l, const char *word)
{
    if (l->count + 1 >= l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 96;
        const char **grown = realloc(l->list, cap * sizeof *grown);
        if (!grown) {
            l->failed = true;
            return;
        }
        l->list = grown;
        l->cap = cap;
    }
    l->list[l->count++] = word;
    l->list[l->count] = NULL;
}

static void put3(struct line *l, const char *option, const char *a, const char *b)
{
    put(l, option);
    put(l, a);
    put(l, b);
}

static void put_all(struct line *l, const char *option, const char *const *paths)
{
    for (size_t i = 0; paths && paths[i]; i++)
        if (paths[i][0] == '/')
            put3(l, option, paths[i], paths[i]);
}

/* Folders of the system. In merged systems /bin is a link into /usr, and stays one. */
static void put_system(struct line *l)
{
    static const char *const places[] = {"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64",
                                         "/etc", "/opt", "/nix",  "/gnu", "/snap"};
    static const char *const links[] = {NULL, "usr/bin", "usr/sbin", "usr/lib", "usr/lib32", "usr/lib64"};
    for (size_t i = 0; i < COUNT_OF(places); i++) {
        struct stat st;
        if (lstat(places[i], &st) != 0)
            continue;
        if (S_ISLNK(st.st_mode) && i < COUNT_OF(links) && links[i])
            put3(l, "--symlink", links[i], places[i]);
        else
            put3(l, "--ro-bind", places[i], places[i]);
    }
    /* What /etc/resolv.conf may point to. */
    put3(l, "--ro-bind-try", "/run/systemd/resolve", "/run/systemd/resolve");
    put3(l, "--ro-bind-try", "/run/resolvconf", "/run/resolvconf");
    put3(l, "--ro-bind-try", "/run/NetworkManager/resolv.conf", "/run/NetworkManager/resolv.conf");
}

const char **child_sandbox_argv(const struct child_options *o)
{
    struct line l = {0};
    put(&l, child_sandbox_program());
    put(&l, "--die-with-parent");
    put(&l, "--new-session");
    put(&l, "--unshare-pid");
    put(&l, "--unshare-ipc");
    put(&l, "--unshare-uts");
    put(&l, "--unshare-cgroup-try");
    if (!o->network)
        put(&l, "--unshare-net");
    put(&l, "--cap-drop");
    put(&l, "ALL");
    put_system(&l);
    put(&l, "--proc");
    put(&l, "/proc");
    put(&l, "--dev");
    put(&l, "/dev");
    put(&l, "--tmpfs");
    put(&l, "/tmp");
    if (o->home && o->home[0] == '/' && o->home[1] != '\0') {
        put(&l, "--tmpfs");
        put(&l, o->home);
    }
    put_all(&l, "--ro-bind-try", o->readable);
    put_all(&l, "--bind-try", o->writable);
    put3(&l, "--bind", o->cwd, o->cwd);
    put(&l, "--remount-ro");
    put(&l, "/");
    put(&l, "--chdir");
    put(&l, o->cwd);
    put(&l, "--");
    for (size_t i = 0; o->argv[i]; i++)
        put(&l, o->argv[i]);
    if (l.failed) {
        free(l.list);
        return NULL;
    }
    return l.list;
}

/* ---- whether it works ---- */

static int trial_run(struct error *err)
{
    static const char *const program[] = {"/bin/true", NULL};
    static const char *const env[] = {"PATH=/usr/bin:/bin", NULL};
    const struct child_options o = {.argv = program, .env = env, .cwd = "/tmp"};
    const char **argv = child_sandbox_argv(&o);
    if (!argv)
        return error_set(err, VX11_ENOMEM, "out of memory");
    pid_t pid;
    int pidfd, status = 0, said[2];
    if (pipe(said) != 0) {
        free(argv);
        return error_set_errno(err, errno, "no pipe");
    }
    const struct child_spawn s = {
        .argv = argv, .env = env, .cwd = "/", .in = -1, .out = said[1], .err = said[1], .sandboxed = true};
    int rc = child_spawn(&s, &pid, &pidfd, err);
    free(argv);
    close(said[1]);
    if (rc == 0) {
        struct pollfd p = {.fd = pidfd, .events = POLLIN};
        if (poll(&p, 1, TRIAL_MS) != 1)
            (void)kill(-pid, SIGKILL);
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
            ;
        close(pidfd);
    }
    if (rc == 0 && !(WIFEXITED(status) && WEXITSTATUS(status) == 0)) {
        char text[300];
        ssize_t n = read(said[0], text, sizeof text - 1);
        text[n > 0 ? n : 0] = '\0';
        text[strcspn(text, "\n")] = '\0';
        rc =
            error_set(err, VX11_EUNSUPPORTED, "bubblewrap does not work here%s%s", text[0] ? ": " : "", text);
    }
    close(said[0]);
    return rc;
}

const char *child_sandbox_problem(void)
{
    static char problem[512]; /* of this process: the system does not change under it */
    static bool tried;
    struct error err = {0};
    if (tried)
        return problem[0] ? problem : NULL;
    tried = true;
    if (access(child_sandbox_program(), X_OK) != 0)
        (void)snprintf(problem, sizeof problem, "bubblewrap (%.200s) is not installed",
                       child_sandbox_program());
    else if (trial_run(&err) != 0)
        (void)snprintf(problem, sizeof problem, "%s", err.text);
    return problem[0] ? problem : NULL;
}

/* ---- what must not be run ---- */

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* The name without a version: python3.11 -> python. */
static bool is_named(const char *name, const char *want)
{
    size_t n = strlen(want);
    return strncmp(name, want, n) == 0 && strspn(name + n, "0123456789.-") == strlen(name + n);
}

static bool among(const char *path, const char *const *names, size_t n)
{
    char real[4096];
    const char *name = last_part(path);
    const char *target = realpath(path, real) ? last_part(real) : name; /* /bin/sh under another name */
    for (size_t i = 0; i < n; i++)
        if (is_named(name, names[i]) || is_named(target, names[i]))
            return true;
    return false;
}

bool child_is_shell(const char *path)
{
    static const char *const shells[] = {
        "sh",     "bash",   "dash",   "zsh",  "fish",    "ksh",     "mksh",  "csh",
        "tcsh",   "ash",    "yash",   "pwsh", "busybox", "toybox",  "nu",    "rbash",
        "elvish", "xonsh",  "env",    "sudo", "doas",    "su",      "xargs", "nohup",
        "setsid", "script", "expect", "ssh",  "watch",   "timeout", "nice",  "stdbuf"};
    return among(path, shells, COUNT_OF(shells));
}

bool child_is_inline_program(const char *path, const char *const *args, size_t n)
{
    static const char *const interpreters[] = {"python", "pypy", "perl",  "ruby",    "node",   "nodejs",
                                               "deno",   "bun",  "php",   "lua",     "luajit", "awk",
                                               "gawk",   "mawk", "tclsh", "Rscript", "guile",  "osascript"};
    static const char *const flags[] = {"-c", "-e", "-E",   "--eval", "-p",  "--print",
                                        "-r", "-x", "eval", "-pe",    "-ne", "-"};
    if (!among(path, interpreters, COUNT_OF(interpreters)))
        return false;
    if (n == 0 || args[0][0] != '/') /* a script of its own must come first, and by its whole path */
        return true;
    for (size_t i = 0; i < n && args[i][0] == '-'; i++)
        for (size_t k = 0; k < COUNT_OF(flags); k++)
            if (strcmp(args[i], flags[k]) == 0)
                return true;
    return false;
}

/* ---- environments ---- */

static int env_put(struct child_env *env, char *entry)
{
    if (!entry)
        return VX11_ENOMEM;
    if (env->count + 1 >= env->cap) {
        size_t cap = env->cap ? env->cap * 2 : 16;
        char **grown = realloc(env->list, cap * sizeof *grown);
        if (!grown) {
            free(entry);
            return VX11_ENOMEM;
        }
        env->list = grown;
        env->cap = cap;
    }
    env->list[env->count++] = entry;
    env->list[env->count] = NULL;
    return 0;
}

int child_env_set(struct child_env *env, const char *name, const char *value)
{
    char *entry = NULL;
    size_t n = strlen(name);
    if (asprintf(&entry, "%s=%s", name, value) < 0)
        return VX11_ENOMEM;
    for (size_t i = 0; i < env->count; i++) {
        if (strncmp(env->list[i], name, n) == 0 && env->list[i][n] == '=') {
            free(env->list[i]);
            env->list[i] = entry;
            return 0;
        }
    }
    return env_put(env, entry);
}

int child_env_pass(struct child_env *env, const char *name)
{
    const char *value = getenv(name);
    return value ? child_env_set(env, name, value) : 0;
}

int child_env_init(struct child_env *env, const char *folder)
{
    char path[4400];
    *env = (struct child_env){0};
    (void)snprintf(path, sizeof path, "%s%s/usr/local/bin:/usr/bin:/bin", folder ? folder : "",
                   folder ? ":" : "");
    int rc = child_env_set(env, "PATH", path);
    if (rc == 0)
        rc = child_env_set(env, "LANG", "C.UTF-8");
    return rc == 0 ? child_env_set(env, "TERM", "dumb") : rc;
}

void child_env_free(struct child_env *env)
{
    for (size_t i = 0; i < env->count; i++)
        free(env->list[i]);
    free(env->list);
    *env = (struct child_env){0};
}
