/* Models: is there one, and is each one's file what was registered? Rows are Hermes' (table model); the files
 * are looked at here, so that a registry which no scan has brought up to date is found out. */
#include "cli/doctor/doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#include "api/hermes.h"
#include "base/clock.h"
#include "base/str.h"
#include "hermes/gguf.h"

struct model {
    struct model *next;
    const char *name, *path, *status, *reason, *sha256;
    int64_t size, mtime_ns; /* -1: not known */
};

struct models {
    struct doctor_run *run;
    struct model *first, **last;
    size_t count, available;
};

static const char sql_models[] =
    "SELECT name, path, status, reason, sha256, coalesce(size_bytes, -1), coalesce(mtime_ns, -1) FROM model "
    "WHERE enabled = 1 ORDER BY name";

static const char *keep(struct arena *a, const char *s)
{
    return s ? arena_strdup(a, s) : NULL;
}

static int on_model(void *ctx, const struct store_row *row)
{
    struct models *m = ctx;
    struct arena *a = m->run->arena;
    struct model *x = arena_zalloc(a, sizeof *x);
    if (!x)
        return VX11_ENOMEM;
    x->name = keep(a, row_text(row, 0));
    x->path = keep(a, row_text(row, 1));
    x->status = keep(a, row_text(row, 2));
    x->reason = keep(a, row_text(row, 3));
    x->sha256 = keep(a, row_text(row, 4));
    x->size = row_int(row, 5);
    x->mtime_ns = row_int(row, 6);
    if (!x->name || !x->path || !x->status)
        return VX11_ENOMEM;
    *m->last = x;
    m->last = &x->next;
    m->count++;
    m->available += str_eq(x->status, "available");
    return 0;
}

/* false after a result that says why they are not known, or that there is none to look at. */
static bool models_read(struct doctor_run *r, struct models *m)
{
    const struct store_options options = {.path = r->d->database, .read_only = true};
    struct store *store = NULL;
    struct error err = {0};
    *m = (struct models){.run = r, .last = &m->first};
    int rc = store_open(&options, &store, &err);
    if (rc == 0)
        rc = store_query(store, sql_models, NULL, 0, on_model, m, &err);
    if (store)
        store_close(store);
    if (rc != 0)
        result_unknown(r, doctor_result(r, NULL), "the models cannot be read: %s",
                       err.text[0] ? err.text : error_describe(rc));
    return rc == 0;
}

void check_models_any(struct doctor_run *r)
{
    struct models m;
    if (!models_read(r, &m))
        return;
    struct doctor_result *x = doctor_result(r, NULL);
    result_measured(r, x, "%zu of %zu enabled ones", m.available, m.count);
    result_value(x, (double)m.available, "models");
    result_limit(r, x, "at least 1");
    result_judge(r, x, m.available > 0, "no model can be used");
}

/* ---- files ---- */

static int64_t mtime_of(const struct stat *st)
{
    return (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

static void file_of(struct doctor_run *r, const struct model *m)
{
    char bytes[24];
    struct stat st;
    struct doctor_result *x = doctor_result(r, m->name);
    result_limit(r, x, "%s", m->path);
    x->v.fixable = false;
    result_mend(r, x, "put the file back, or: vx11 models remove %s", m->name);
    if (stat(m->path, &st) != 0) {
        result_failed(r, x, "%s: %s", m->path, strerror(errno));
        return;
    }
    result_measured(r, x, "%s", str_format_bytes((uint64_t)st.st_size, bytes));
    result_value(x, (double)st.st_size, "bytes");
    if (!S_ISREG(st.st_mode) || access(m->path, R_OK) != 0) {
        result_failed(r, x, "it is no file that can be read");
        return;
    }
    if (!str_eq(m->status, "available")) {
        result_failed(r, x, "it is %s: %s", m->status, m->reason ? m->reason : "nobody said why");
        x->v.fixable = true;
        result_mend(r, x, "vx11 models scan");
        return;
    }
    x->v.fixable = m->size != (int64_t)st.st_size;
    if (x->v.fixable)
        result_mend(r, x, "vx11 models scan");
    result_judge(r, x, !x->v.fixable, "it has %lld bytes, registered are %lld", (long long)st.st_size,
                 (long long)m->size);
}

static void each_model(struct doctor_run *r, void (*fn)(struct doctor_run *r, const struct model *m))
{
    struct models m;
    if (!models_read(r, &m))
        return;
    for (const struct model *x = m.first; x; x = x->next)
        fn(r, x);
    if (m.count == 0) {
        struct doctor_result *x = doctor_result(r, NULL);
        result_failed(r, x, "there is no enabled model");
        x->v.fixable = false;
    }
}

void check_model_file(struct doctor_run *r)
{
    each_model(r, file_of);
}

static void header_of(struct doctor_run *r, const struct model *m)
{
    struct doctor_result *x = doctor_result(r, m->name);
    struct arena *a = arena_create(GGUF_ARENA_LIMIT);
    struct gguf_info info;
    struct error err = {0};
    int rc = a ? gguf_read_file(m->path, a, &info, &err) : error_set(&err, VX11_ENOMEM, "out of memory");
    if (rc == 0)
        result_measured(r, x, "GGUF %u, %s, %s", info.version, info.architecture ? info.architecture : "?",
                        info.quantisation ? info.quantisation : "?");
    if (rc == 0)
        rc = gguf_check_model(&info, &err);
    if (rc == VX11_ENOMEM)
        result_unknown(r, x, "%s", err.text);
    else
        result_judge(r, x, rc == 0, "%s", err.text);
    arena_destroy(a);
}

void check_model_header(struct doctor_run *r)
{
    each_model(r, header_of);
}

/* ---- hash ---- */

static int hash_file(const char *path, char hex[2 * crypto_hash_sha256_BYTES + 1], struct error *err)
{
    enum { PIECE = 1 << 20 };
    unsigned char hash[crypto_hash_sha256_BYTES];
    crypto_hash_sha256_state state;
    unsigned char *piece = malloc(PIECE);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    int rc = !piece   ? error_set(err, VX11_ENOMEM, "out of memory")
             : fd < 0 ? error_set_errno(err, errno, "%s", path)
                      : 0;
    crypto_hash_sha256_init(&state);
    while (rc == 0) {
        ssize_t n = read(fd, piece, PIECE);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            rc = error_set_errno(err, errno, "%s", path);
        if (n <= 0)
            break;
        crypto_hash_sha256_update(&state, piece, (unsigned long long)n);
    }
    crypto_hash_sha256_final(&state, hash);
    hex_encode(hash, sizeof hash, hex);
    if (fd >= 0)
        close(fd);
    free(piece);
    return rc;
}

/* A file with the size and time of its last hash has not been written to: reading gigabytes again would tell
 * no more, unless somebody wants to know. */
static void hash_of(struct doctor_run *r, const struct model *m)
{
    char hex[2 * crypto_hash_sha256_BYTES + 1];
    struct stat st;
    struct error err = {0};
    struct doctor_result *x = doctor_result(r, m->name);
    if (!m->sha256) {
        result_unknown(r, x, "it was not hashed yet; Hermes does that on the side");
        return;
    }
    result_limit(r, x, "%s", m->sha256);
    if (stat(m->path, &st) != 0) {
        result_unknown(r, x, "%s: %s", m->path, strerror(errno));
        return;
    }
    const bool same = (int64_t)st.st_size == m->size && mtime_of(&st) == m->mtime_ns;
    if (!r->d->deep && !same) {
        result_unknown(r, x, "the file was written to after it had been hashed");
        return;
    }
    if (!r->d->deep) {
        result_measured(r, x, "not written to since it was hashed");
        result_ok(x);
        return;
    }
    if (hash_file(m->path, hex, &err) != 0) {
        result_unknown(r, x, "%s", err.text);
        return;
    }
    result_measured(r, x, "%s", hex);
    result_judge(r, x, str_eq(hex, m->sha256), "it is not the file that was registered");
}

void check_model_hash(struct doctor_run *r)
{
    each_model(r, hash_of);
}

/* ---- loaded by Hermes: one after the other, as memory has it ---- */

static void load_next(struct doctor_run *r, const struct model *m);

static void on_loaded(struct doctor_answer *a)
{
    struct doctor_run *r = a->run;
    struct doctor_result *x = a->result;
    const struct model *m = a->ctx;
    struct hermes_warm_result warm;
    struct contract_error bad;
    if (a->status == 0) {
        result_unknown(r, x, "Hermes does not answer: %s", a->err.text);
    } else if (a->status != 200 || hermes_warm_result_parse(r->arena, a->body.data ? a->body.data : "",
                                                            a->body.len, &warm, &bad) != 0) {
        result_failed(r, x, "Hermes answered %d: %.300s", a->status, a->body.data ? a->body.data : "");
    } else {
        result_measured(r, x, "%lld tokens after %.0f ms", (long long)warm.tokens, a->latency_ms);
        result_value(x, a->latency_ms, "ms");
        result_judge(r, x, warm.tokens > 0, "%s", warm.reason ? warm.reason : "it generated nothing");
    }
    load_next(r, m->next);
}

static void load_next(struct doctor_run *r, const struct model *m)
{
    while (m && !str_eq(m->status, "available"))
        m = m->next;
    if (!m)
        return;
    struct doctor_result *x = doctor_result(r, m->name);
    struct buf path = BUF_INIT;
    struct error err = {0};
    const struct hermes_model_name name = {.name = m->name};
    if (client_route_path(&hermes_routes[HERMES_ROUTE_MODELS_WARM], &name, &path, &err) != 0) {
        result_unknown(r, x, "%s", err.text);
    } else {
        const struct doctor_question q = {
            .method = "POST", .path = path.data, .module = "hermes", .body = "{\"tokens\":1}"};
        doctor_ask(r, x, &q, on_loaded, m);
    }
    buf_free(&path);
}

/* The rows are read on the loop: a few, from a file that is open all the time. */
void check_model_loads(struct doctor_run *r)
{
    struct models m;
    if (!models_read(r, &m))
        return;
    if (m.available == 0)
        result_failed(r, doctor_result(r, NULL), "there is no model to load");
    load_next(r, m.first);
}
