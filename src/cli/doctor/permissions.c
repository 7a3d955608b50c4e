/* Permissions: what is private is the owner's alone, the folders are there, and nothing lies about that a
 * dead process left behind. Each look and its mending go by the same list. */
#include "cli/doctor/doctor.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/str.h"

#define OLD_MS 3600000 /* a temporary file of a process that lives is younger */

static const char *const folders[] = {"run", "log", "forensic"};

/* ---- what is private ---- */

/* 0 it is private, 1 it is not (why: a sentence), -1 it is not there. */
static int exposed(const char *path, bool folder, char *why, size_t size)
{
    struct stat st;
    if (lstat(path, &st) != 0) {
        snprintf(why, size, "%.300s: %s", path, strerror(errno));
        return errno == ENOENT ? -1 : 1;
    }
    if (folder ? !S_ISDIR(st.st_mode) : !S_ISREG(st.st_mode))
        snprintf(why, size, "%.300s is no %s", path, folder ? "folder" : "regular file");
    else if (st.st_uid != geteuid() && st.st_uid != 0)
        snprintf(why, size, "%.300s belongs to user %u", path, (unsigned)st.st_uid);
    else if (st.st_mode & 077)
        snprintf(why, size, "%.300s has mode %04o: others can reach it", path, (unsigned)st.st_mode & 07777);
    else
        return 0;
    return 1;
}

static void judge_private(struct doctor_run *r, const char *subject, const char *path, bool folder, bool must)
{
    char why[512];
    struct doctor_result *x = doctor_result(r, subject);
    struct stat st;
    const int is = exposed(path, folder, why, sizeof why);
    result_limit(r, x, folder ? "0700" : "0600");
    result_mend(r, x, "chmod %s %s", folder ? "0700" : "0600", path);
    if (lstat(path, &st) == 0)
        result_measured(r, x, "%04o", (unsigned)st.st_mode & 07777);
    if (is == -1 && !must) {
        result_measured(r, x, "not there");
        result_ok(x);
        return;
    }
    if (is == -1) {
        result_mend(r, x, "vx11 up");
        x->v.fixable = x->v.fixable && folder && subject; /* a folder of the home can be made */
    }
    result_judge(r, x, is == 0, "%s", why);
}

void check_permission_home(struct doctor_run *r)
{
    judge_private(r, NULL, r->d->c->home, true, true);
}

static const char *const database_parts[] = {"", "-wal", "-shm"};

void check_permission_database(struct doctor_run *r)
{
    for (size_t i = 0; i < COUNT_OF(database_parts); i++) {
        char path[4300];
        snprintf(path, sizeof path, "%s%s", r->d->database, database_parts[i]);
        const char *name = strrchr(path, '/');
        judge_private(r, name ? name + 1 : path, path, false, i == 0);
    }
}

/* The token file and every file that the configuration takes a secret from. fn's path lives during the call.
 */
static void each_secret(const struct doctor *d,
                        void (*fn)(void *ctx, const char *subject, const char *path, bool must), void *ctx)
{
    char path[4200];
    const struct config_config *c = d->config;
    if (fs_path(path, sizeof path, d->c->home, "token") == 0)
        fn(ctx, "token", path, true);
    for (size_t i = 0; i < c->switch_->providers_count; i++)
        if (c->switch_->providers[i].key_file[0])
            fn(ctx, c->switch_->providers[i].name, c->switch_->providers[i].key_file, true);
    if (c->supervisor->backup->key_file[0])
        fn(ctx, "supervisor.backup", c->supervisor->backup->key_file, true);
    if (c->hermes->hub->token_file[0])
        fn(ctx, "hermes.hub", c->hermes->hub->token_file, true);
}

static void secret_judge(void *ctx, const char *subject, const char *path, bool must)
{
    judge_private(ctx, subject, path, false, must);
}

void check_permission_secrets(struct doctor_run *r)
{
    each_secret(r->d, secret_judge, r);
}

/* ---- folders ---- */

void check_permission_folders(struct doctor_run *r)
{
    for (size_t i = 0; i < COUNT_OF(folders); i++) {
        char path[4300];
        if (fs_path(path, sizeof path, r->d->c->home, folders[i]) == 0)
            judge_private(r, folders[i], path, true, true);
    }
}

static void chmod_if_exposed(struct doctor_fixing *f, const char *path, bool folder)
{
    char why[512];
    struct stat st;
    /* Nothing that belongs to others, and no link: only what is ours, and only narrower. */
    if (exposed(path, folder, why, sizeof why) != 1 || lstat(path, &st) != 0 || st.st_uid != geteuid() ||
        !(folder ? S_ISDIR(st.st_mode) : S_ISREG(st.st_mode)))
        return;
    const mode_t mode = st.st_mode & (folder ? 0700 : 0600);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | (folder ? O_DIRECTORY : 0));
    const bool done = fd >= 0 && fchmod(fd, mode) == 0;
    doctor_fixed(f, done ? NULL : strerror(errno), "chmod %04o %s", (unsigned)mode, path);
    if (fd >= 0)
        close(fd);
}

static void secret_chmod(void *ctx, const char *subject, const char *path, bool must)
{
    (void)subject;
    (void)must;
    chmod_if_exposed(ctx, path, false);
}

void fix_permissions(struct doctor_fixing *f)
{
    const struct doctor *d = f->d;
    if (strcmp(f->check->id, "permissions.home") == 0)
        chmod_if_exposed(f, d->c->home, true);
    if (strcmp(f->check->id, "permissions.secrets") == 0)
        each_secret(d, secret_chmod, f);
    for (size_t i = 0; strcmp(f->check->id, "permissions.database") == 0 && i < COUNT_OF(database_parts);
         i++) {
        char path[4300];
        snprintf(path, sizeof path, "%s%s", d->database, database_parts[i]);
        chmod_if_exposed(f, path, false);
    }
}

void fix_folders(struct doctor_fixing *f)
{
    for (size_t i = 0; i < COUNT_OF(folders); i++) {
        char path[4300];
        struct error err = {0};
        if (fs_path(path, sizeof path, f->d->c->home, folders[i]) != 0)
            continue;
        if (fs_exists(path)) {
            chmod_if_exposed(f, path, true);
            continue;
        }
        int rc = fs_mkdirs(path, 0700, &err);
        doctor_fixed(f, rc == 0 ? NULL : err.text, "make the folder %s", path);
    }
}

/* ---- left behind ---- */

/* A socket on which nobody listens. */
static bool socket_dead(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof a.sun_path)
        return false;
    memcpy(a.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return false;
    const bool dead = connect(fd, (const struct sockaddr *)&a, sizeof a) != 0 && errno == ECONNREFUSED;
    close(fd);
    return dead;
}

/* "config.yaml.a1B2c3": what fs_write_file_atomic and the making of a database write beside their target. */
static bool temp_name(const char *name, const char *base)
{
    const size_t n = strlen(base);
    if (strncmp(name, base, n) != 0 || name[n] != '.' || strlen(name + n) != 7)
        return false;
    for (const char *s = name + n + 1; *s; s++)
        if (!((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || (*s >= '0' && *s <= '9')))
            return false;
    return true;
}

static bool temp_left(int dir, const char *name, int64_t now)
{
    static const char *const bases[] = {"token", "config.yaml", "vx11.db"};
    struct stat st;
    for (size_t i = 0; i < COUNT_OF(bases); i++)
        if (temp_name(name, bases[i]) && fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(st.st_mode) && st.st_uid == geteuid() && (int64_t)st.st_mtim.tv_sec * 1000 < now - OLD_MS)
            return true;
    return false;
}

/* Calls fn with each dead socket in run/ and each old temporary file in the home. */
static int each_leftover(const struct doctor *d, void (*fn)(void *ctx, const char *path), void *ctx)
{
    char path[4700], run[4200];
    const int64_t now = clock_wall_ms();
    DIR *dir = fs_path(run, sizeof run, d->c->home, "run") == 0 ? opendir(run) : NULL;
    if (!dir && errno != ENOENT)
        return errno;
    for (const struct dirent *e; dir && (e = readdir(dir));) {
        struct stat st;
        snprintf(path, sizeof path, "%.4100s/%.255s", run, e->d_name);
        if (str_ends(e->d_name, ".sock") && lstat(path, &st) == 0 && S_ISSOCK(st.st_mode) &&
            socket_dead(path))
            fn(ctx, path);
    }
    if (dir)
        closedir(dir);
    dir = opendir(d->c->home);
    if (!dir)
        return errno;
    for (const struct dirent *e; (e = readdir(dir));) {
        snprintf(path, sizeof path, "%.4096s/%.255s", d->c->home, e->d_name);
        if (temp_left(dirfd(dir), e->d_name, now))
            fn(ctx, path);
    }
    closedir(dir);
    return 0;
}

struct leftovers {
    size_t count;
    char first[512];
};

static void leftover_count(void *ctx, const char *path)
{
    struct leftovers *l = ctx;
    if (l->count++ == 0)
        snprintf(l->first, sizeof l->first, "%.500s", path);
}

void check_leftovers(struct doctor_run *r)
{
    struct leftovers l = {0};
    struct doctor_result *x = doctor_result(r, NULL);
    const int sys = each_leftover(r->d, leftover_count, &l);
    if (sys != 0) {
        result_unknown(r, x, "%s: %s", r->d->c->home, strerror(sys));
        return;
    }
    result_measured(r, x, "%zu", l.count);
    result_value(x, (double)l.count, "files");
    result_limit(r, x, "0");
    result_judge(r, x, l.count == 0, "left behind: %s%s", l.first, l.count > 1 ? " and more" : "");
}

static void leftover_remove(void *ctx, const char *path)
{
    struct doctor_fixing *f = ctx;
    const bool done = unlink(path) == 0;
    doctor_fixed(f, done ? NULL : strerror(errno), "remove %s", path);
}

void fix_leftovers(struct doctor_fixing *f)
{
    each_leftover(f->d, leftover_remove, f);
}
