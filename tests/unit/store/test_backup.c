/* Backups: what is in one while writers write, what is found when one byte is wrong, what a kill or a full
 * disk leaves, and that the database comes back out of each form. */
#include "helper.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <dirent.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"
#include "embed/sql.h"
#include "store/backup/backup.h"
#include "store/store_internal.h"

#define BACKUPS 100
#define FORMS   4

struct world {
    struct backup_place place;
    struct arena *a;
    struct error err;
    char key[160], other_key[160];
};

static void world_open(struct world *w, const struct place *p)
{
    memset(w, 0, sizeof *w);
    w->a = arena_create(0);
    assert_non_null(w->a);
    assert_ok(backup_place_of(p->dir, p->path, &w->place, &w->err), w->err);
    snprintf(w->key, sizeof w->key, "%s/key", p->dir);
    snprintf(w->other_key, sizeof w->other_key, "%s/other", p->dir);
}

static void world_close(struct world *w)
{
    arena_destroy(w->a);
}

/* A database with a table of our own and some rows. */
static void database_fill(const struct place *p, int rows)
{
    char sql[256];
    store_close(open_store(p->path));
    snprintf(sql, sizeof sql,
             "CREATE TABLE t (n INTEGER PRIMARY KEY, who INTEGER, text TEXT);"
             "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < %d)"
             " INSERT INTO t SELECT n, 0, hex(randomblob(40)) FROM c",
             rows);
    raw_exec(p->path, sql);
}

static struct backup_options form_of(struct world *w, int form)
{
    return (struct backup_options){.compress = form & 1, .key_file = form & 2 ? w->key : NULL};
}

static struct backup_item make(struct world *w, const struct backup_options *o)
{
    struct backup_item item;
    assert_ok(backup_make(&w->place, o, w->a, &item, &w->err), w->err);
    assert_true(item.verified);
    return item;
}

static const char *file_of(const struct world *w, const char *name, const char *more)
{
    return arena_printf(w->a, "%s/%s%s", w->place.folder, name, more);
}

static size_t files_in(const char *dir)
{
    DIR *d = opendir(dir);
    size_t n = 0;
    for (struct dirent *e; d && (e = readdir(d));)
        n += e->d_name[0] != '.' || strncmp(e->d_name, ".vx11", 5) == 0;
    if (d)
        closedir(d);
    return n;
}

/* ---- round trip ---- */

static void test_forms(void **state)
{
    struct place *p = *state;
    struct world w;
    struct stat st;
    world_open(&w, p);
    database_fill(p, 2000);
    assert_ok(backup_key_new(w.key, &w.err), w.err);
    assert_code(VX11_EEXISTS, backup_key_new(w.key, &w.err), w.err);
    assert_int_equal(stat(w.key, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    for (int form = 0; form < FORMS; form++) {
        const struct backup_options o = form_of(&w, form);
        const struct backup_item item = make(&w, &o);
        struct backup_restore_reply reply;
        const struct backup_restore_options r = {.name = item.name, .key_file = w.key, .by = "test"};
        assert_int_equal(stat(file_of(&w, item.name, ""), &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
        assert_int_equal(item.encrypted, (form & 2) != 0);
        assert_ok(backup_verify(&w.place, item.name, w.key, NULL, w.a, NULL, &w.err), w.err);
        raw_exec(p->path, "DELETE FROM t WHERE n > 10");
        assert_ok(backup_restore(&w.place, &r, w.a, &reply, &w.err), w.err);
        assert_int_equal(raw_int(p->path, "SELECT count(*) FROM t"), 2000);
        assert_int_equal(raw_int(p->path, "SELECT count(*) FROM backup WHERE action = 'restore'"), form + 1);
        assert_sound(p->path);
        assert_non_null(reply.kept);
        assert_int_equal(raw_int(reply.kept, "SELECT count(*) FROM t"), 10);
        assert_int_equal(stat(p->path, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
    }
    struct backup_list list;
    assert_ok(backup_list(&w.place, w.a, &list, &w.err), w.err);
    assert_int_equal(list.backups_count, FORMS);
    assert_non_null(backup_newest_verified(&list));
    assert_int_equal(stat(w.place.folder, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    world_close(&w);
}

static void test_output_elsewhere(void **state)
{
    struct place *p = *state;
    struct world w;
    world_open(&w, p);
    database_fill(p, 100);
    const struct backup_options o = {.output = arena_printf(w.a, "%s/mine.db", p->dir)};
    const struct backup_item item = make(&w, &o);
    assert_string_equal(item.name, o.output);
    assert_ok(backup_verify(&w.place, o.output, NULL, NULL, w.a, NULL, &w.err), w.err);
    struct backup_item again;
    assert_code(VX11_EEXISTS, backup_make(&w.place, &o, w.a, &again, &w.err), w.err);
    assert_ok(backup_verify(&w.place, o.output, NULL, NULL, w.a, NULL, &w.err), w.err);
    world_close(&w);
}

/* ---- while others write ---- */

struct shared {
    atomic_llong acknowledged; /* by the other process */
    atomic_bool stop;
};

static struct shared *shared_new(void)
{
    struct shared *s = mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(s != MAP_FAILED);
    return s;
}

struct other {
    const char *path;
    struct shared *shared;
};

/* Another process: one row, one commit, acknowledged when it is through. */
static int other_writes(void *ctx)
{
    struct other *o = ctx;
    struct store *s = NULL;
    if (store_open(&(struct store_options){.path = o->path}, &s, NULL) != 0)
        return 2;
    for (long long n = 1; !atomic_load(&o->shared->stop); n++) {
        const struct store_value value = STORE_I(n);
        if (store_exec(s, "INSERT INTO t (who, text) VALUES (2, ?1)", &value, 1, NULL, NULL) != 0)
            return 3;
        atomic_store(&o->shared->acknowledged, n);
        usleep(500);
    }
    store_close(s);
    return 0;
}

struct pusher {
    struct writer *writer;
    atomic_llong acknowledged;
    atomic_bool stop;
    atomic_int failed;
};

/* The batched writer of this process: acknowledged is what a flush has seen through. */
static void *push_rows(void *ctx)
{
    struct pusher *p = ctx;
    for (long long n = 0; !atomic_load(&p->stop);) {
        for (int i = 0; i < 20; i++, n++)
            if (writer_push(p->writer, "INSERT INTO t (who, text) VALUES (1, 'x')", NULL, 0) != 0)
                atomic_fetch_add(&p->failed, 1);
        if (writer_flush(p->writer, 10000) != 0)
            atomic_fetch_add(&p->failed, 1);
        atomic_store(&p->acknowledged, n);
        usleep(2000);
    }
    return NULL;
}

static void check_copy(const char *file, long long batched, long long other)
{
    const char *copy = file;
    char sql[64] = "SELECT count(*) FROM t WHERE who = 1";
    assert_true(raw_int(copy, sql) >= batched);
    assert_true(raw_int(copy, "SELECT count(*) FROM t WHERE who = 2") >= other);
    /* the other process's rows are numbered: none is missing in between */
    assert_int_equal(
        raw_int(copy, "SELECT count(*) - coalesce(max(CAST(text AS INTEGER)), 0) FROM t WHERE who = 2"), 0);
}

static void test_writers(void **state)
{
    struct place *p = *state;
    struct world w;
    struct shared *shared = shared_new();
    struct other o = {p->path, shared};
    struct pusher pusher = {0};
    pthread_t thread;
    world_open(&w, p);
    database_fill(p, 500);
    int pid = start_process(other_writes, &o);
    pusher.writer = open_writer(p->path, NULL);
    assert_int_equal(pthread_create(&thread, NULL, push_rows, &pusher), 0);
    for (int i = 0; i < BACKUPS; i++) {
        const long long batched = atomic_load(&pusher.acknowledged),
                        other = atomic_load(&shared->acknowledged);
        const struct backup_options options = {.kind = BACKUP_KIND_MANUAL};
        const struct backup_item item = make(&w, &options);
        check_copy(file_of(&w, item.name, ""), batched, other);
        unlink(file_of(&w, item.name, ""));
        unlink(file_of(&w, item.name, ".json"));
        arena_reset(w.a);
    }
    atomic_store(&pusher.stop, true);
    atomic_store(&shared->stop, true);
    pthread_join(thread, NULL);
    assert_exit(wait_process(pid), 0);
    assert_int_equal(writer_stop(pusher.writer, 10000), 0);
    assert_int_equal(atomic_load(&pusher.failed), 0);
    assert_true(atomic_load(&pusher.acknowledged) > BACKUPS && atomic_load(&shared->acknowledged) > BACKUPS);
    munmap(shared, sizeof *shared);
    world_close(&w);
}

/* ---- damage ---- */

static void flip(const char *path, long at)
{
    unsigned char byte;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

static void test_flipped_file(void **state)
{
    struct place *p = *state;
    struct world w;
    world_open(&w, p);
    database_fill(p, 300);
    assert_ok(backup_key_new(w.key, &w.err), w.err);
    for (int form = 0; form < FORMS; form++) {
        const struct backup_options o = form_of(&w, form);
        const struct backup_item item = make(&w, &o);
        const char *file = file_of(&w, item.name, "");
        const long size = file_size(file);
        for (int i = 0; i < 12; i++) {
            const long at = i == 0 ? 0 : i == 1 ? size - 1 : (size * (long)i * 83) / 1000 % size;
            flip(file, at);
            assert_code(VX11_ECORRUPT, backup_verify(&w.place, item.name, w.key, NULL, w.a, NULL, &w.err),
                        w.err);
            flip(file, at);
        }
        struct backup_list list;
        assert_ok(backup_list(&w.place, w.a, &list, &w.err), w.err);
        assert_false(list.backups[0].verified); /* it is remembered, */
        assert_ok(backup_verify(&w.place, item.name, w.key, NULL, w.a, NULL, &w.err), w.err);
        assert_ok(backup_list(&w.place, w.a, &list, &w.err), w.err);
        assert_true(list.backups[0].verified); /* until it is found whole again */
        /* one byte less, one more */
        assert_int_equal(truncate(file, size - 1), 0);
        assert_code(VX11_ECORRUPT, backup_verify(&w.place, item.name, w.key, NULL, w.a, NULL, &w.err), w.err);
        unlink(file);
        unlink(file_of(&w, item.name, ".json"));
    }
    world_close(&w);
}

static void test_flipped_manifest(void **state)
{
    struct place *p = *state;
    struct world w;
    world_open(&w, p);
    database_fill(p, 10);
    const struct backup_options o = {.compress = true};
    const struct backup_item item = make(&w, &o);
    const char *manifest = file_of(&w, item.name, ".json");
    const long size = file_size(manifest);
    for (long at = 0; at < size; at += 7) {
        struct backup_list list;
        flip(manifest, at);
        assert_ok(backup_list(&w.place, w.a, &list, &w.err), w.err);
        assert_int_equal(list.backups_count, 1);
        assert_false(list.backups[0].verified);
        assert_non_null(list.backups[0].problem);
        flip(manifest, at);
    }
    world_close(&w);
}

static void test_keys(void **state)
{
    struct place *p = *state;
    struct world w;
    world_open(&w, p);
    database_fill(p, 300);
    assert_ok(backup_key_new(w.key, &w.err), w.err);
    assert_ok(backup_key_new(w.other_key, &w.err), w.err);
    const struct backup_options o = form_of(&w, 3);
    const struct backup_item item = make(&w, &o);
    struct backup_item seen;
    assert_code(VX11_EPERMISSION, backup_verify(&w.place, item.name, NULL, NULL, w.a, NULL, &w.err), w.err);
    assert_has(w.err.text, "say which file");
    assert_code(VX11_EPERMISSION, backup_verify(&w.place, item.name, w.other_key, NULL, w.a, &seen, &w.err),
                w.err);
    assert_has(w.err.text, "another one");
    /* that says nothing about the file */
    struct backup_list list;
    assert_ok(backup_list(&w.place, w.a, &list, &w.err), w.err);
    assert_true(list.backups[0].verified);
    /* others may read the key: it is not used */
    assert_int_equal(chmod(w.key, 0644), 0);
    assert_code(VX11_EPERMISSION, backup_verify(&w.place, item.name, w.key, NULL, w.a, NULL, &w.err), w.err);
    /* what is no key */
    file_patch(w.other_key, 0, "hello", 5);
    assert_code(VX11_EINVALID, backup_verify(&w.place, item.name, w.other_key, NULL, w.a, NULL, &w.err),
                w.err);
    world_close(&w);
}

/* ---- full ---- */

static int make_with_small_files(void *ctx)
{
    struct world *w = ctx;
    struct backup_item item;
    const struct rlimit limit = {200000, 200000};
    const struct backup_options plain = {0};
    signal(SIGXFSZ, SIG_IGN);
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
        return 2;
    return backup_make(&w->place, &plain, w->a, &item, &w->err) == VX11_EFULL ? 0 : 3;
}

static void test_full(void **state)
{
    struct place *p = *state;
    struct world w;
    world_open(&w, p);
    database_fill(p, 10000);
    const struct backup_options o = {0};
    make(&w, &o);
    const size_t files = files_in(w.place.folder);
    assert_exit(in_process(make_with_small_files, &w), 0);
    assert_int_equal(files_in(w.place.folder), files);
    assert_sound(p->path);
    /* a disk that is too small: looked at before anything is written */
    char disk[128];
    snprintf(disk, sizeof disk, "%s/disk", p->dir);
    assert_int_equal(mkdir(disk, 0700), 0);
    if (mount("none", disk, "tmpfs", 0, "size=4m") == 0) {
        struct backup_item item;
        snprintf(w.place.folder, sizeof w.place.folder, "%s", disk);
        int rc = backup_make(&w.place, &o, w.a, &item, &w.err);
        const size_t left = files_in(disk);
        umount2(disk, MNT_DETACH);
        assert_int_equal(rc, VX11_EFULL);
        assert_has(w.err.text, "not enough room");
        assert_int_equal(left, 0);
    } else {
        print_message("no tmpfs can be mounted here (%s): only the limit on file sizes is tested\n",
                      strerror(errno));
    }
    world_close(&w);
}

/* ---- prune ---- */

static void test_prune(void **state)
{
    struct place *p = *state;
    struct world w;
    struct backup_prune_reply reply;
    world_open(&w, p);
    database_fill(p, 10);
    for (int i = 0; i < 3; i++) {
        make(&w, &(struct backup_options){.kind = BACKUP_KIND_DAILY});
        make(&w, &(struct backup_options){.kind = BACKUP_KIND_MANUAL});
        make(&w, &(struct backup_options){.kind = BACKUP_KIND_BEFORE_MAINTAIN});
    }
    const struct backup_keep keep = {.daily = 2, .weekly = 1, .monthly = 1, .manual = 3, .before = 1};
    assert_ok(backup_prune(&w.place, &keep, true, w.a, &reply, &w.err), w.err);
    assert_int_equal(reply.removed_count, 3);
    assert_int_equal(files_in(w.place.folder), 18);
    /* an unfinished file of a dead process, and one of a living one */
    const char *dead = file_of(&w, ".vx11-unfinished-abcdef", "");
    file_patch(dead, 0, "x", 1);
    assert_ok(backup_prune(&w.place, &keep, false, w.a, &reply, &w.err), w.err);
    assert_int_equal(reply.removed_count, 3);
    assert_int_equal(reply.kept, 6);
    assert_int_equal(reply.unfinished_count, 1);
    assert_int_equal(files_in(w.place.folder), 12);
    /* only one is whole: it stays whatever the counts say */
    struct backup_list list;
    assert_ok(backup_list(&w.place, w.a, &list, &w.err), w.err);
    for (size_t i = 0; i < list.backups_count; i++)
        if (i != 4)
            assert_int_equal(truncate(file_of(&w, list.backups[i].name, ""), 100), 0);
    const struct backup_keep none = {0};
    assert_ok(backup_prune(&w.place, &none, false, w.a, &reply, &w.err), w.err);
    assert_ok(backup_list(&w.place, w.a, &list, &w.err), w.err);
    assert_int_equal(list.backups_count, 1);
    assert_true(list.backups[0].verified);
    world_close(&w);
}

static void test_kind_due(void **state)
{
    (void)state;
    const int64_t day = 86400000, monday = 1795392000000 - 1795392000000 % day; /* 2026-11-23, a Monday */
    struct backup_item items[3] = {0};
    struct backup_list list = {.backups = items};
    assert_int_equal(backup_kind_due(&list, monday), BACKUP_KIND_MONTHLY);
    items[0] = (struct backup_item){
        .verified = true, .has_kind = true, .kind = BACKUP_KIND_MONTHLY, .made_at = monday};
    list.backups_count = 1;
    assert_int_equal(backup_kind_due(&list, monday + 6 * day), BACKUP_KIND_DAILY);
    assert_int_equal(backup_kind_due(&list, monday + 7 * day), BACKUP_KIND_WEEKLY);
    assert_int_equal(backup_kind_due(&list, monday + 8 * day), BACKUP_KIND_MONTHLY); /* December */
    items[1] = items[0];
    items[1].kind = BACKUP_KIND_WEEKLY;
    items[1].made_at = monday + 7 * day;
    list.backups_count = 2;
    assert_int_equal(backup_kind_due(&list, monday + 7 * day + 1), BACKUP_KIND_DAILY);
    items[1].verified = false; /* a damaged one counts for nothing */
    assert_int_equal(backup_kind_due(&list, monday + 7 * day + 1), BACKUP_KIND_WEEKLY);
}

/* ---- kill -9 ---- */

struct victim {
    struct world *w;
    const char *name; /* restore this; NULL: make one */
    int steps;        /* until its end by SIGKILL */
};

static void die_in_time(void *ctx, const char *step, int64_t done, int64_t total)
{
    struct victim *v = ctx;
    (void)step, (void)done, (void)total;
    if (v->steps-- == 0)
        raise(SIGKILL);
}

static int victim_works(void *ctx)
{
    struct victim *v = ctx;
    struct error err = {0};
    struct backup_item item;
    struct backup_restore_reply reply;
    const struct backup_watch watch = {.progress = die_in_time, .ctx = v};
    if (v->name)
        return backup_restore(&v->w->place,
                              &(struct backup_restore_options){.name = v->name, .by = "test", .watch = watch},
                              v->w->a, &reply, &err) == 0
                   ? 0
                   : 1;
    return backup_make(&v->w->place, &(struct backup_options){.compress = true, .watch = watch}, v->w->a,
                       &item, &err) == 0
               ? 0
               : 1;
}

/* True: it was killed. False: it came to its end before. */
static bool killed_after(struct world *w, const char *name, int steps)
{
    struct victim v = {w, name, steps};
    const int status = in_process(victim_works, &v);
    if (WIFSIGNALED(status)) {
        assert_int_equal(WTERMSIG(status), SIGKILL);
        return true;
    }
    assert_exit(status, 0);
    return false;
}

static void test_killed_backup(void **state)
{
    struct place *p = *state;
    struct world w;
    struct backup_prune_reply reply;
    const struct backup_keep keep = {
        .daily = 1000, .weekly = 1000, .monthly = 1000, .manual = 1000, .before = 1000};
    world_open(&w, p);
    database_fill(p, 3000);
    const struct backup_options o = {0};
    make(&w, &o);
    int steps = 0;
    while (killed_after(&w, NULL, steps)) {
        struct backup_list list;
        assert_sound(p->path);
        assert_ok(backup_list(&w.place, w.a, &list, &w.err), w.err);
        for (size_t i = 0; i < list.backups_count; i++) /* a file is whole, or it is not there */
            assert_true(list.backups[i].verified || !list.backups[i].has_bytes);
        assert_ok(backup_prune(&w.place, &keep, false, w.a, &reply, &w.err), w.err);
        assert_int_equal(files_in(w.place.folder), 2);
        steps++;
    }
    assert_true(steps > 5);
    assert_int_equal(files_in(w.place.folder), 4);
    world_close(&w);
}

static void test_killed_restore(void **state)
{
    struct place *p = *state;
    struct world w;
    world_open(&w, p);
    database_fill(p, 3000);
    const struct backup_options o = {.compress = true};
    const struct backup_item item = make(&w, &o);
    raw_exec(p->path, "UPDATE t SET text = 'new'; DELETE FROM t WHERE n > 2000");
    int steps = 0, was_new = 0;
    while (killed_after(&w, item.name, steps)) {
        const int64_t rows = raw_int(p->path, "SELECT count(*) FROM t");
        assert_sound(p->path);
        assert_true(rows == 2000 || rows == 3000);
        if (rows == 2000)
            assert_int_equal(raw_int(p->path, "SELECT count(*) FROM t WHERE text = 'new'"), 2000);
        else
            was_new++;
        store_close(open_store(p->path)); /* as `up` would */
        steps++;
    }
    assert_true(steps > 8);
    assert_int_equal(was_new, 0); /* no step follows the swap */
    assert_int_equal(raw_int(p->path, "SELECT count(*) FROM t"), 3000);
    assert_sound(p->path);
    world_close(&w);
}

/* At any moment, not only between steps. */
static void test_killed_at_random(void **state)
{
    struct place *p = *state;
    struct world w;
    world_open(&w, p);
    database_fill(p, 3000);
    const struct backup_options o = {.compress = true};
    const struct backup_item item = make(&w, &o);
    raw_exec(p->path, "DELETE FROM t WHERE n > 2000");
    srand(7);
    for (int i = 0; i < 40; i++) {
        struct victim v = {&w, i % 2 ? item.name : NULL, -1};
        const int pid = start_process(victim_works, &v);
        usleep((useconds_t)(rand() % 60000));
        kill(pid, SIGKILL);
        wait_process(pid);
        const int64_t rows = raw_int(p->path, "SELECT count(*) FROM t");
        assert_sound(p->path);
        assert_true(rows == 2000 || rows == 3000);
        if (rows == 3000)
            raw_exec(p->path, "DELETE FROM t WHERE n > 2000");
        struct backup_list list;
        assert_ok(backup_list(&w.place, w.a, &list, &w.err), w.err);
        for (size_t k = 0; k < list.backups_count; k++)
            assert_true(list.backups[k].verified || !list.backups[k].has_bytes);
    }
    assert_ok(backup_verify(&w.place, item.name, NULL, NULL, w.a, NULL, &w.err), w.err);
    world_close(&w);
}

/* ---- restores that are refused, and of what is damaged ---- */

static int holds_open(void *ctx)
{
    const struct other *o = ctx;
    struct store *s = NULL;
    if (store_open(&(struct store_options){.path = o->path}, &s, NULL) != 0)
        return 2;
    (void)query_int(s, "SELECT count(*) FROM t");
    atomic_store(&o->shared->acknowledged, 1);
    while (!atomic_load(&o->shared->stop))
        usleep(1000);
    store_close(s);
    return 0;
}

static void test_restore_busy(void **state)
{
    struct place *p = *state;
    struct world w;
    struct shared *shared = shared_new();
    struct other o = {p->path, shared};
    struct backup_restore_reply reply;
    world_open(&w, p);
    database_fill(p, 50);
    const struct backup_options options = {0};
    const struct backup_item item = make(&w, &options);
    const struct backup_restore_options r = {.name = item.name, .by = "test"};
    raw_exec(p->path, "DELETE FROM t");
    int pid = start_process(holds_open, &o);
    while (!atomic_load(&shared->acknowledged))
        usleep(1000);
    assert_code(VX11_EBUSY, backup_restore(&w.place, &r, w.a, &reply, &w.err), w.err);
    assert_has(w.err.text, "another process");
    atomic_store(&shared->stop, true);
    assert_exit(wait_process(pid), 0);
    assert_int_equal(raw_int(p->path, "SELECT count(*) FROM t"), 0);
    assert_ok(backup_restore(&w.place, &r, w.a, &reply, &w.err), w.err);
    assert_int_equal(raw_int(p->path, "SELECT count(*) FROM t"), 50);
    munmap(shared, sizeof *shared);
    world_close(&w);
}

static void test_restore_over_damage(void **state)
{
    struct place *p = *state;
    struct world w;
    struct backup_restore_reply reply;
    char wal[160], kept[4200];
    world_open(&w, p);
    database_fill(p, 50);
    const struct backup_options options = {0};
    const struct backup_item item = make(&w, &options);
    const struct backup_restore_options r = {.name = item.name, .by = "test"};
    snprintf(wal, sizeof wal, "%s-wal", p->path);
    file_patch(p->path, 0, "this is no database any more....", 32);
    file_patch(wal, 0, "a log of it", 11);
    assert_ok(backup_restore(&w.place, &r, w.a, &reply, &w.err), w.err);
    assert_int_equal(raw_int(p->path, "SELECT count(*) FROM t"), 50);
    assert_sound(p->path);
    snprintf(kept, sizeof kept, "%s-wal", reply.kept);
    assert_int_equal(file_size(kept), 11);
    assert_true(file_size(reply.kept) > 0);
    /* and where there is none at all */
    assert_int_equal(unlink(p->path), 0);
    assert_ok(backup_restore(&w.place, &r, w.a, &reply, &w.err), w.err);
    assert_null(reply.kept);
    assert_int_equal(raw_int(p->path, "SELECT count(*) FROM t"), 50);
    assert_code(VX11_ENOT_FOUND,
                backup_restore(&w.place,
                               &(struct backup_restore_options){.name = "vx11-none.db", .by = "test"}, w.a,
                               &reply, &w.err),
                w.err);
    world_close(&w);
}

static void test_newer_is_refused(void **state)
{
    struct place *p = *state;
    struct world w;
    struct backup_restore_reply reply;
    world_open(&w, p);
    database_fill(p, 50);
    raw_exec(p->path, "INSERT INTO schema_migration VALUES (9000, 'later', printf('%064d', 0), 1, '9.9', 0)");
    const struct backup_options options = {0};
    const struct backup_item item = make(&w, &options);
    assert_code(VX11_EVERSION,
                backup_restore(&w.place, &(struct backup_restore_options){.name = item.name, .by = "test"},
                               w.a, &reply, &w.err),
                w.err);
    assert_has(w.err.text, "newer");
    assert_int_equal(raw_int(p->path, "SELECT count(*) FROM t"), 50);
    world_close(&w);
}

static void test_before_migrate(void **state)
{
    struct place *p = *state;
    struct world w;
    struct store *s = NULL;
    struct backup_list list;
    struct backup_restore_reply reply;
    bool made = true;
    const struct backup_options o = {.compress = true};
    const struct backup_keep keep = {.before = 1};
    world_open(&w, p);
    /* nothing there yet, then a database of an earlier version, then one of this */
    assert_ok(backup_before_migrate(p->dir, &w.place, &o, &keep, &made, &w.err), w.err);
    assert_false(made);
    const struct store_options old = {.path = p->path, .migrate = true};
    assert_ok(store_open_with(&old, embed_sql_files, 15, &s, &w.err), w.err);
    store_close(s);
    raw_exec(p->path, "CREATE TABLE t (n INTEGER PRIMARY KEY); INSERT INTO t VALUES (1), (2)");
    assert_ok(backup_before_migrate(p->dir, &w.place, &o, &keep, &made, &w.err), w.err);
    assert_true(made);
    store_close(open_store(p->path));
    assert_ok(backup_before_migrate(p->dir, &w.place, &o, &keep, &made, &w.err), w.err);
    assert_false(made);
    assert_ok(backup_list(&w.place, w.a, &list, &w.err), w.err);
    assert_int_equal(list.backups_count, 1);
    assert_int_equal(list.backups[0].kind, BACKUP_KIND_BEFORE_MIGRATE);
    assert_int_equal(list.backups[0].schema_version, 15);
    /* the way back brings it up again */
    raw_exec(p->path, "DELETE FROM t");
    const struct backup_restore_options r = {.name = list.backups[0].name, .by = "test"};
    assert_ok(backup_restore(&w.place, &r, w.a, &reply, &w.err), w.err);
    assert_int_equal(reply.schema_before, 15);
    assert_int_equal(reply.schema_version, store_schema_current());
    assert_int_equal(raw_int(p->path, "SELECT count(*) FROM t"), 2);
    assert_sound(p->path);
    world_close(&w);
}

static void test_lock(void **state)
{
    struct place *p = *state;
    struct maintenance_lock one, two;
    struct error err = {0};
    assert_ok(maintenance_lock(p->dir, "a test", 0, &one, &err), err);
    assert_code(VX11_EBUSY, maintenance_lock(p->dir, "another", 0, &two, &err), err);
    assert_has(err.text, "a test, process");
    maintenance_unlock(&two);
    maintenance_unlock(&one);
    assert_ok(maintenance_lock(p->dir, "another", 0, &two, &err), err);
    maintenance_unlock(&two);
}

static bool cancel_now(void *ctx)
{
    return --*(int *)ctx < 0;
}

static void test_cancelled(void **state)
{
    struct place *p = *state;
    struct world w;
    struct backup_item item;
    world_open(&w, p);
    database_fill(p, 3000);
    for (int after = 0; after < 8; after++) {
        int left = after;
        const struct backup_options o = {.compress = true, .watch = {.cancelled = cancel_now, .ctx = &left}};
        int rc = backup_make(&w.place, &o, w.a, &item, &w.err);
        if (rc == 0)
            break;
        assert_true(rc == VX11_ECANCELLED);
        assert_int_equal(files_in(w.place.folder), 0);
    }
    world_close(&w);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, place_setup_fast, place_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_forms),
        TEST(test_output_elsewhere),
        TEST(test_writers),
        TEST(test_flipped_file),
        TEST(test_flipped_manifest),
        TEST(test_keys),
        TEST(test_full),
        TEST(test_prune),
        TEST(test_kind_due),
        TEST(test_killed_backup),
        TEST(test_killed_restore),
        TEST(test_killed_at_random),
        TEST(test_restore_busy),
        TEST(test_restore_over_damage),
        TEST(test_newer_is_refused),
        TEST(test_before_migrate),
        TEST(test_lock),
        TEST(test_cancelled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
