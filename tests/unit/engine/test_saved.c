/* Saved conversations, with libllama's context directly: what is written comes back token for token, and what
 * is damaged, foreign or too much is never used. */
#include "harness.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"
#include "base/ulid.h"
#include "engine/saved.h"
#include "engine/saved_file.h"

#define KEY_A  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define KEY_B  "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define PLENTY ((uint64_t)1 << 30)

enum { LONG = 400, CONTINUED = 24 };

struct fixture {
    struct model *model;
    char dir[64];
    struct tokens text;
};

static struct model *model; /* loaded once */

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct error err = {0};
    const struct log_options log = {.module = "engine", .level = LOG_ERROR};
    if (!model && log_open(&log, &err) != 0)
        fail_msg("%s", err.text);
    if (!model)
        model = harness_model(4, 1024, 512);
    f->model = model;
    (void)snprintf(f->dir, sizeof f->dir, "/tmp/vx11-saved-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    struct buf text = BUF_INIT;
    for (int i = 0; i < 60; i++)
        (void)buf_printf(&text, "Question %d: which port is module number %d on? It is %d. ", i, i, 8000 + i);
    assert_int_equal(tokenize(model, text.data, text.len, true, false, &f->text, &err), 0);
    assert_true(f->text.len > 2 * LONG);
    buf_free(&text);
    llama_memory_clear(llama_get_memory(model->context), true);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    (void)fs_remove_tree(AT_FDCWD, f->dir, NULL);
    tokens_free(&f->text);
    free(f);
    return 0;
}

static int unload(void **state)
{
    (void)state;
    model_free(model);
    log_close();
    return 0;
}

/* ---- the context ---- */

static llama_memory_t memory(void)
{
    return llama_get_memory(model->context);
}

static void decode(llama_seq_id sequence, const llama_token *tokens, int32_t from, int32_t n)
{
    struct llama_batch b = llama_batch_init(n, 0, 1);
    for (int32_t i = 0; i < n; i++) {
        b.token[i] = tokens[i];
        b.pos[i] = from + i;
        b.n_seq_id[i] = 1;
        b.seq_id[i][0] = sequence;
        b.logits[i] = i + 1 == n;
    }
    b.n_tokens = n;
    assert_int_equal(llama_decode(model->context, b), 0);
    llama_batch_free(b);
}

static llama_token likeliest(void)
{
    const float *logits = llama_get_logits_ith(model->context, -1);
    llama_token best = 0;
    for (llama_token t = 1; t < model->vocabulary; t++) {
        if (logits[t] > logits[best])
            best = t;
    }
    return best;
}

/* Greedy answer of a sequence that holds `past` tokens, after one more. */
static void answer(llama_seq_id sequence, int32_t past, llama_token next, llama_token out[CONTINUED])
{
    for (int32_t i = 0; i < CONTINUED; i++) {
        decode(sequence, &next, past + i, 1);
        out[i] = next = likeliest();
    }
}

static void forget(llama_seq_id sequence)
{
    (void)llama_memory_seq_rm(memory(), sequence, -1, -1);
}

/* ---- the folder ---- */

static struct saved *folder(const struct fixture *f, const char *key, uint64_t most)
{
    struct saved *s = NULL;
    struct error err = {0};
    const struct saved_options o = {.dir = f->dir, .key = key, .model_path = model->path, .most_bytes = most};
    if (saved_open(&o, &s, &err) != 0)
        fail_msg("%s", err.text);
    return s;
}

static void write_ok(struct saved *s, llama_seq_id sequence, const llama_token *tokens, size_t n)
{
    struct error err = {0};
    if (saved_write(s, model->context, sequence, tokens, n, clock_wall_ms(), &err) != 0)
        fail_msg("%s", err.text);
}

/* Paths of the files of a key; returns how many. */
static size_t files(const struct fixture *f, const char *key, const char *end, char out[][256])
{
    char path[256];
    size_t n = 0;
    (void)snprintf(path, sizeof path, "%s/%s", f->dir, key);
    DIR *dir = opendir(path);
    const struct dirent *e;
    while (dir && (e = readdir(dir)) != NULL) {
        if (str_ends(e->d_name, end)) {
            if (out)
                (void)snprintf(out[n], sizeof out[n], "%.100s/%.100s", path, e->d_name);
            n++;
        }
    }
    if (dir)
        (void)closedir(dir);
    return n;
}

static void the_file(const struct fixture *f, char out[256])
{
    char all[4][256];
    assert_int_equal(files(f, KEY_A, ".kv", all), 1);
    memcpy(out, all[0], sizeof all[0]);
}

static void age(const char *path, int64_t seconds)
{
    const struct timespec times[2] = {{.tv_sec = clock_wall_ms() / 1000 - seconds},
                                      {.tv_sec = clock_wall_ms() / 1000 - seconds}};
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static uint64_t size_of(const char *path)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return (uint64_t)st.st_size;
}

static int read_back(struct saved *s, llama_seq_id sequence, const struct fixture *f, size_t n)
{
    const llama_token *tokens = NULL;
    size_t count = 0;
    struct error err = {0};
    const int rc = saved_read(s, model->context, sequence, f->text.data, n, &tokens, &count, &err);
    assert_int_equal(rc, err.code);
    if (rc == 0) {
        assert_memory_equal(tokens, f->text.data, count * sizeof *tokens);
        assert_int_equal(llama_memory_seq_pos_max(memory(), sequence), count - 1);
    } else {
        assert_true(err.text[0] != '\0');
        assert_int_equal(llama_memory_seq_pos_max(memory(), sequence), -1);
    }
    return rc;
}

/* ---- there and back ---- */

static void test_there_and_back(void **state)
{
    const struct fixture *f = *state;
    llama_token whole[CONTINUED], part[CONTINUED], again[CONTINUED];
    struct saved_stats stats;
    struct saved *s = folder(f, KEY_A, PLENTY);
    decode(0, f->text.data, 0, LONG);
    write_ok(s, 0, f->text.data, LONG);
    saved_stats(s, &stats);
    assert_int_equal(stats.written, 1);
    assert_int_equal(stats.tokens_written, LONG);
    assert_int_equal(stats.files, 1);
    assert_true(stats.bytes > 0 && stats.bytes == stats.bytes_written && stats.write_seconds > 0);
    saved_close(s);
    /* What would come next, whole and after its first half. */
    llama_memory_seq_cp(memory(), 0, 1, 0, LONG / 2);
    answer(0, LONG, f->text.data[LONG], whole);
    answer(1, LONG / 2, f->text.data[LONG / 2], part);
    llama_memory_clear(memory(), true);

    s = folder(f, KEY_A, PLENTY);
    assert_int_equal(saved_match(s, f->text.data, f->text.len), LONG);
    assert_int_equal(saved_match(s, f->text.data, 10), 10);
    assert_int_equal(saved_length(s, f->text.data, 10), LONG);
    assert_int_equal(saved_match(s, f->text.data + 1, 10), 0);
    assert_int_equal(saved_length(s, f->text.data + 1, 10), 0);
    assert_int_equal(read_back(s, 2, f, f->text.len), 0);
    llama_memory_seq_cp(memory(), 2, 3, 0, LONG / 2);
    answer(2, LONG, f->text.data[LONG], again);
    assert_memory_equal(again, whole, sizeof again);
    answer(3, LONG / 2, f->text.data[LONG / 2], again);
    assert_memory_equal(again, part, sizeof again);
    saved_stats(s, &stats);
    assert_int_equal(stats.restored, 1);
    assert_int_equal(stats.tokens_restored, LONG);
    assert_true(stats.read_seconds > 0);
    saved_close(s);
}

static void test_nothing_there(void **state)
{
    const struct fixture *f = *state;
    struct saved *s = folder(f, KEY_A, PLENTY);
    struct error err = {0};
    assert_int_equal(read_back(s, 0, f, LONG), VX11_ENOT_FOUND);
    decode(0, f->text.data, 0, 20);
    assert_int_equal(saved_write(s, model->context, 0, f->text.data, 10, clock_wall_ms(), &err),
                     VX11_EINVALID);
    assert_int_equal(saved_write(s, model->context, 1, f->text.data, 10, clock_wall_ms(), &err),
                     VX11_EINVALID);
    assert_int_equal(saved_write(s, model->context, 0, f->text.data, 0, clock_wall_ms(), &err),
                     VX11_EINVALID);
    assert_int_equal(files(f, KEY_A, ".kv", NULL), 0);
    saved_close(s);
}

static void test_covered_and_replaced(void **state)
{
    const struct fixture *f = *state;
    struct saved_stats stats;
    char path[256];
    struct saved *s = folder(f, KEY_A, PLENTY);
    decode(0, f->text.data, 0, 100);
    write_ok(s, 0, f->text.data, 100);
    assert_true(saved_covers(s, f->text.data, 50));
    assert_true(saved_covers(s, f->text.data, 100));
    assert_false(saved_covers(s, f->text.data, 101));
    the_file(f, path);
    age(path, 1000);
    write_ok(s, 0, f->text.data, 100); /* it is there: only its time changes */
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_true(clock_wall_ms() / 1000 - st.st_mtim.tv_sec < 100);
    decode(0, f->text.data + 100, 100, 50);
    write_ok(s, 0, f->text.data, 150);
    assert_int_equal(files(f, KEY_A, ".kv", NULL), 1);
    saved_stats(s, &stats);
    assert_int_equal(stats.written, 2);
    /* Another conversation with the same beginning stands beside it; the longer match is read. */
    llama_memory_seq_cp(memory(), 0, 1, 0, 90);
    decode(1, f->text.data, 90, 10);
    llama_token other[100];
    memcpy(other, f->text.data, 90 * sizeof *other);
    memcpy(other + 90, f->text.data, 10 * sizeof *other);
    write_ok(s, 1, other, 100);
    assert_int_equal(files(f, KEY_A, ".kv", NULL), 2);
    assert_int_equal(saved_match(s, other, 100), 100);
    assert_int_equal(saved_length(s, f->text.data, 120), 150);
    assert_int_equal(saved_length(s, f->text.data, 80), 100); /* both would do: the shorter takes less */
    saved_close(s);
}

static void test_whole(void **state)
{
    const struct fixture *f = *state;
    struct saved *s = NULL;
    struct error err = {0};
    const struct saved_options o = {.dir = f->dir, .key = KEY_A, .most_bytes = PLENTY, .whole = true};
    assert_int_equal(saved_open(&o, &s, &err), 0);
    decode(0, f->text.data, 0, 100);
    write_ok(s, 0, f->text.data, 100);
    assert_int_equal(saved_match(s, f->text.data, 99), 0);
    assert_int_equal(saved_match(s, f->text.data, 101), 100);
    assert_false(saved_covers(s, f->text.data, 99));
    assert_true(saved_covers(s, f->text.data, 100));
    saved_close(s);
}

/* ---- damage ---- */

static void flip(const char *path, uint64_t at)
{
    unsigned char c;
    const int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &c, 1, (off_t)at), 1);
    c ^= 0x10;
    assert_int_equal(pwrite(fd, &c, 1, (off_t)at), 1);
    (void)close(fd);
}

static void test_flipped(void **state)
{
    const struct fixture *f = *state;
    char path[256];
    struct saved *s = folder(f, KEY_A, PLENTY);
    decode(0, f->text.data, 0, 100);
    write_ok(s, 0, f->text.data, 100);
    the_file(f, path);
    const uint64_t size = size_of(path);
    const uint64_t places[] = {0, 5, 9, 12, 200, 412, 430, 5000, size / 2, size - 160, size - 153};
    for (size_t i = 0; i < COUNT_OF(places) + SAVED_FOOT_BYTES; i++) {
        struct saved_stats stats;
        const bool foot = i >= COUNT_OF(places);
        const uint64_t at = foot ? size - 1 - (i - COUNT_OF(places)) : places[i];
        const uint64_t in_foot = at - (size - SAVED_FOOT_BYTES);
        saved_close(s);
        s = folder(f, KEY_A, PLENTY);
        if (files(f, KEY_A, ".kv", NULL) == 0)
            write_ok(s, 0, f->text.data, 100);
        the_file(f, path);
        flip(path, at);
        /* Noticed by who has it in its index, and by who opens the folder; never used. */
        const bool version = (foot && in_foot >= 8 && in_foot < 12) || at == 5;
        if (i % 2 == 0) {
            saved_close(s);
            s = folder(f, KEY_A, PLENTY);
        }
        const int rc = read_back(s, 1, f, 100);
        assert_true(rc == VX11_ECORRUPT || rc == VX11_ENOT_FOUND || (version && rc == VX11_EVERSION));
        saved_stats(s, &stats);
        assert_int_equal(stats.corrupt, version ? 0 : 1);
        assert_int_equal(files(f, KEY_A, ".kv", NULL), version ? 1 : 0);
        assert_int_equal(stats.restored, 0);
        if (version) /* a later VX11 may know what to do with it */
            assert_int_equal(unlink(path), 0);
    }
    saved_close(s);
}

static void test_cut(void **state)
{
    const struct fixture *f = *state;
    char path[256];
    decode(0, f->text.data, 0, 100);
    for (int i = 0; i < 8; i++) {
        struct saved *s = folder(f, KEY_A, PLENTY);
        write_ok(s, 0, f->text.data, 100);
        the_file(f, path);
        const uint64_t size = size_of(path);
        const uint64_t cuts[] = {0, 8, 100, 1000, size / 2, size - SAVED_FOOT_BYTES, size - 1, size + 1};
        assert_int_equal(truncate(path, (off_t)cuts[i]), 0);
        assert_int_equal(read_back(s, 1, f, 100), VX11_ECORRUPT);
        assert_int_equal(files(f, KEY_A, ".kv", NULL), 0);
        assert_int_equal(saved_match(s, f->text.data, 100), 0);
        saved_close(s);
    }
}

static void test_foreign(void **state)
{
    const struct fixture *f = *state;
    static const char hash_1[] = KEY_A, hash_2[] = KEY_B;
    struct saved_options o = {.dir = f->dir, .key = KEY_A, .most_bytes = PLENTY, .model_sha256 = hash_1};
    struct saved *s = NULL;
    struct error err = {0};
    char path[256], other[256], all[4][256];
    decode(0, f->text.data, 0, 100);
    assert_int_equal(saved_open(&o, &s, &err), 0);
    write_ok(s, 0, f->text.data, 100);
    saved_close(s);
    /* The hash is not known this time, then the same, then another. */
    o.model_sha256 = NULL;
    assert_int_equal(saved_open(&o, &s, &err), 0);
    assert_int_equal(read_back(s, 1, f, 100), 0);
    saved_close(s);
    forget(1);
    o.model_sha256 = hash_1;
    assert_int_equal(saved_open(&o, &s, &err), 0);
    assert_int_equal(read_back(s, 1, f, 100), 0);
    saved_close(s);
    forget(1);
    o.model_sha256 = hash_2;
    assert_int_equal(saved_open(&o, &s, &err), 0);
    assert_int_equal(read_back(s, 1, f, 100), VX11_ENOT_FOUND);
    assert_int_equal(files(f, KEY_A, ".kv", NULL), 0);
    write_ok(s, 0, f->text.data, 100);
    saved_close(s);
    /* A file that got into another key's folder. */
    the_file(f, path);
    s = folder(f, KEY_B, PLENTY);
    saved_close(s);
    (void)snprintf(other, sizeof other, "%s/%s/%s", f->dir, KEY_B, strrchr(path, '/') + 1);
    assert_int_equal(rename(path, other), 0);
    s = folder(f, KEY_B, PLENTY);
    assert_int_equal(saved_match(s, f->text.data, 100), 0);
    assert_int_equal(files(f, KEY_B, ".kv", all), 0);
    saved_close(s);
    /* What is none of ours is left alone. */
    (void)snprintf(other, sizeof other, "%s/%s/readme.txt", f->dir, KEY_A);
    assert_int_equal(fs_write_file_atomic(other, "x", 1, 0600, NULL), 0);
    s = folder(f, KEY_A, 1);
    saved_close(s);
    assert_true(fs_exists(other));
}

static void test_deleted_by_another(void **state)
{
    const struct fixture *f = *state;
    char path[256];
    struct saved *s = folder(f, KEY_A, PLENTY);
    decode(0, f->text.data, 0, 100);
    write_ok(s, 0, f->text.data, 100);
    the_file(f, path);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(read_back(s, 1, f, 100), VX11_ENOT_FOUND);
    assert_int_equal(saved_match(s, f->text.data, 100), 0);
    write_ok(s, 0, f->text.data, 100);
    the_file(f, path);
    assert_int_equal(unlink(path), 0);
    write_ok(s, 0, f->text.data, 100); /* it is not there to be touched: written again */
    assert_int_equal(files(f, KEY_A, ".kv", NULL), 1);
    saved_close(s);
}

static void test_no_cells(void **state)
{
    const struct fixture *f = *state;
    struct saved *s = folder(f, KEY_A, PLENTY);
    decode(0, f->text.data, 0, LONG);
    write_ok(s, 0, f->text.data, LONG);
    forget(0);
    const int32_t each = ((int32_t)llama_n_ctx(model->context) - LONG / 2) / 3;
    for (int32_t sequence = 0; sequence < 3; sequence++) {
        for (int32_t at = 0; at < each; at += 100)
            decode(sequence, f->text.data, at, each - at < 100 ? each - at : 100);
    }
    assert_int_equal(read_back(s, 3, f, LONG), VX11_EFULL);
    assert_int_equal(files(f, KEY_A, ".kv", NULL), 1); /* there is nothing wrong with it */
    saved_close(s);
}

/* ---- bounds ---- */

static void test_bound(void **state)
{
    const struct fixture *f = *state;
    struct saved_stats stats;
    struct error err = {0};
    char all[8][256];
    struct saved *a = folder(f, KEY_A, PLENTY), *b;
    decode(0, f->text.data, 0, 100);
    write_ok(a, 0, f->text.data, 100);
    the_file(f, all[0]);
    const uint64_t size = size_of(all[0]);
    age(all[0], 100);
    saved_close(a);
    /* Room for three and a half: the fourth costs the oldest, whosever it is. */
    b = folder(f, KEY_B, size * 7 / 2);
    for (int i = 0; i < 2; i++) {
        forget(0);
        decode(0, f->text.data + i + 1, 0, 100);
        write_ok(b, 0, f->text.data + i + 1, 100);
    }
    assert_int_equal(files(f, KEY_A, ".kv", NULL) + files(f, KEY_B, ".kv", NULL), 3);
    a = folder(f, KEY_A, size * 7 / 2);
    age(all[0], 0);
    const size_t n = files(f, KEY_B, ".kv", all);
    assert_int_equal(n, 2);
    age(all[1], 50);
    forget(0);
    decode(0, f->text.data + 3, 0, 100);
    write_ok(a, 0, f->text.data + 3, 100);
    assert_int_equal(files(f, KEY_A, ".kv", NULL), 2);
    assert_int_equal(files(f, KEY_B, ".kv", NULL), 1);
    assert_false(fs_exists(all[1]));
    saved_stats(a, &stats);
    assert_int_equal(stats.bytes, 3 * size);
    assert_int_equal(stats.files, 3);
    assert_int_equal(stats.dropped, 0); /* none of its own */
    saved_close(b);
    saved_close(a);
    /* What was used later makes no room for what was used before. */
    a = folder(f, KEY_A, size * 3);
    forget(0);
    decode(0, f->text.data + 5, 0, 100);
    assert_int_equal(
        saved_write(a, model->context, 0, f->text.data + 5, 100, clock_wall_ms() - 3600000, &err),
        VX11_EFULL);
    assert_int_equal(files(f, KEY_A, ".kv", NULL) + files(f, KEY_B, ".kv", NULL), 3);
    saved_close(a);
    /* Too small for any: what is there goes, and nothing is written. */
    a = folder(f, KEY_A, size - 1);
    assert_int_equal(files(f, KEY_A, ".kv", NULL) + files(f, KEY_B, ".kv", NULL), 0);
    assert_int_equal(saved_write(a, model->context, 0, f->text.data + 5, 100, clock_wall_ms(), &err),
                     VX11_EFULL);
    assert_int_equal(files(f, KEY_A, "", NULL), 3); /* ., .. and the note */
    saved_close(a);
}

static void test_gone_first(void **state)
{
    const struct fixture *f = *state;
    char path[256], gone[256], all[4][256];
    (void)snprintf(gone, sizeof gone, "%s-model", f->dir);
    assert_int_equal(fs_write_file_atomic(gone, "x", 1, 0600, NULL), 0);
    struct saved *s = NULL;
    struct error err = {0};
    const struct saved_options o = {.dir = f->dir, .key = KEY_B, .model_path = gone, .most_bytes = PLENTY};
    assert_int_equal(saved_open(&o, &s, &err), 0);
    decode(0, f->text.data, 0, 100);
    write_ok(s, 0, f->text.data, 100);
    saved_close(s);
    s = folder(f, KEY_A, PLENTY);
    write_ok(s, 0, f->text.data, 100);
    saved_close(s);
    the_file(f, path);
    age(path, 1000);
    assert_int_equal(unlink(gone), 0);
    s = folder(f, KEY_A, size_of(path) * 3 / 2); /* room for one: the older, whose model is there, stays */
    assert_true(fs_exists(path));
    assert_int_equal(files(f, KEY_B, ".kv", all), 0);
    (void)snprintf(path, sizeof path, "%s/%s", f->dir, KEY_B);
    assert_false(fs_exists(path)); /* and nothing is left of the folder */
    saved_close(s);
}

static void test_file_limit(void **state)
{
    const struct fixture *f = *state;
    struct error err = {0};
    struct rlimit before, small;
    struct saved *s = folder(f, KEY_A, PLENTY);
    decode(0, f->text.data, 0, 100);
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    const rlim_t limits[] = {0, 100, 20000};
    for (size_t i = 0; i < COUNT_OF(limits); i++) {
        small = (struct rlimit){limits[i], before.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
        const int rc = saved_write(s, model->context, 0, f->text.data, 100, clock_wall_ms(), &err);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        assert_true(rc == VX11_EFULL || rc == VX11_EIO);
        assert_int_equal(files(f, KEY_A, ".kv", NULL), 0);
        assert_int_equal(files(f, KEY_A, ".new", NULL), 0);
    }
    write_ok(s, 0, f->text.data, 100); /* and goes on when there is room again */
    saved_close(s);
}

/* ---- others ---- */

static void test_orphans(void **state)
{
    const struct fixture *f = *state;
    char path[256], id[ULID_LEN + 1];
    saved_close(folder(f, KEY_A, PLENTY));
    (void)snprintf(path, sizeof path, "%s/%s/%s.kv.new", f->dir, KEY_A, ulid_make(id));
    const int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
    assert_true(fd >= 0);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    saved_close(folder(f, KEY_B, PLENTY)); /* somebody writes it */
    assert_true(fs_exists(path));
    (void)close(fd);
    saved_close(folder(f, KEY_B, PLENTY));
    assert_false(fs_exists(path));
}

static _Noreturn void write_for_ever(const struct fixture *f)
{
    struct saved *s = NULL;
    struct error err = {0};
    const struct saved_options o = {.dir = f->dir, .key = KEY_A, .most_bytes = PLENTY};
    if (saved_open(&o, &s, &err) != 0)
        _exit(1);
    for (;;) {
        char all[4][256];
        const size_t n = files(f, KEY_A, ".kv", all);
        for (size_t i = 0; i < n; i++)
            (void)unlink(all[i]);
        if (saved_write(s, model->context, 0, f->text.data, LONG, clock_wall_ms(), &err) != 0)
            _exit(2);
    }
}

static void test_killed(void **state)
{
    const struct fixture *f = *state;
    decode(0, f->text.data, 0, LONG);
    for (int i = 0; i < 20; i++) {
        const struct timespec moment = {.tv_nsec = 3000000 + i * 1370000};
        int status = 0;
        const pid_t pid = fork();
        if (pid == 0)
            write_for_ever(f);
        (void)nanosleep(&moment, NULL);
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status));
        struct saved *s = folder(f, KEY_A, PLENTY);
        struct saved_stats stats;
        saved_stats(s, &stats);
        assert_int_equal(files(f, KEY_A, ".new", NULL), 0);
        assert_int_equal(stats.corrupt, 0);
        if (saved_match(s, f->text.data, LONG) > 0)
            assert_int_equal(read_back(s, 1, f, LONG), 0);
        forget(1);
        saved_close(s);
    }
}

static void test_folder(void **state)
{
    const struct fixture *f = *state;
    struct saved *s = NULL;
    struct error err = {0};
    struct stat st;
    char path[256];
    struct saved_options o = {.dir = f->dir, .key = "../../etc", .most_bytes = PLENTY};
    assert_int_equal(saved_open(&o, &s, &err), VX11_EINVALID);
    o.key = KEY_A;
    o.model_sha256 = "abc";
    assert_int_equal(saved_open(&o, &s, &err), VX11_EINVALID);
    o.model_sha256 = NULL;
    assert_int_equal(chmod(f->dir, 0777), 0);
    assert_int_equal(saved_open(&o, &s, &err), VX11_EPERMISSION);
    assert_int_equal(chmod(f->dir, 0755), 0);
    assert_int_equal(saved_open(&o, &s, &err), 0);
    decode(0, f->text.data, 0, 100);
    write_ok(s, 0, f->text.data, 100);
    saved_close(s);
    the_file(f, path);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    (void)snprintf(path, sizeof path, "%s/%s", f->dir, KEY_A);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
}

/* ---- the key ---- */

static void test_key(void **state)
{
    (void)state;
    char a[65], b[65];
    struct error err = {0};
    struct llama_context_params p = llama_context_default_params();
    assert_int_equal(saved_key(model, &p, a, &err), 0);
    assert_int_equal(saved_key(model, &p, b, &err), 0);
    assert_string_equal(a, b);
    assert_int_equal(strlen(a), 64);
    p.type_k = GGML_TYPE_Q8_0;
    assert_int_equal(saved_key(model, &p, b, &err), 0);
    assert_string_not_equal(a, b);
    p = llama_context_default_params();
    p.rope_freq_base = 10001;
    assert_int_equal(saved_key(model, &p, b, &err), 0);
    assert_string_not_equal(a, b);
    /* The same bytes at another time are another file, as far as can be told without reading all of it. */
    struct buf bytes = BUF_INIT;
    char path[] = "/tmp/vx11-saved-model-XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    (void)close(fd);
    assert_int_equal(fs_read_file(model->path, 64 << 20, &bytes, &err), 0);
    assert_int_equal(fs_write_file_atomic(path, bytes.data, bytes.len, 0600, &err), 0);
    struct model copy = *model;
    copy.path = path;
    p = llama_context_default_params();
    assert_int_equal(saved_key(&copy, &p, a, &err), 0);
    age(path, 10);
    assert_int_equal(saved_key(&copy, &p, b, &err), 0);
    assert_string_not_equal(a, b);
    age(path, 10);
    bytes.data[bytes.len - 1] ^= 1;
    assert_int_equal(fs_write_file_atomic(path, bytes.data, bytes.len, 0600, &err), 0);
    age(path, 10);
    assert_int_equal(saved_key(&copy, &p, a, &err), 0);
    assert_string_not_equal(a, b);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(saved_key(&copy, &p, b, &err), VX11_ENOT_FOUND);
    buf_free(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_there_and_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nothing_there, setup, teardown),
        cmocka_unit_test_setup_teardown(test_covered_and_replaced, setup, teardown),
        cmocka_unit_test_setup_teardown(test_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(test_flipped, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(test_foreign, setup, teardown),
        cmocka_unit_test_setup_teardown(test_deleted_by_another, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_cells, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bound, setup, teardown),
        cmocka_unit_test_setup_teardown(test_gone_first, setup, teardown),
        cmocka_unit_test_setup_teardown(test_file_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_orphans, setup, teardown),
        cmocka_unit_test_setup_teardown(test_killed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_folder, setup, teardown),
        cmocka_unit_test_setup_teardown(test_key, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, unload);
}
