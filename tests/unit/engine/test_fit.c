/* What a model takes before it is loaded: the header, the choice on made-up machines, and libllama's figures
 * against what the process then really takes. */
#include "harness.h"

#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/proc.h"
#include "engine/backend.h"
#include "engine/fit.h"
#include "synth.h"

#define MB (UINT64_C(1) << 20)

static const struct synth_shape shape = {
    .layers = 8, .width = 768, .feed_forward = 2304, .heads = 12, .heads_kv = 6, .context = 16384};

struct files {
    char folder[32], plain[64], yarn[64], linear[64];
};

static void scale_yarn(struct gguf_context *g)
{
    gguf_set_val_u32(g, "llama.context_length", 4096);
    gguf_set_val_str(g, "llama.rope.scaling.type", "yarn");
    gguf_set_val_f32(g, "llama.rope.scaling.factor", 4);
    gguf_set_val_u32(g, "llama.rope.scaling.original_context_length", 4096);
}

static void scale_unknown(struct gguf_context *g) /* a factor, but not of what */
{
    gguf_set_val_u32(g, "llama.context_length", 4096);
    gguf_set_val_str(g, "llama.rope.scaling.type", "linear");
    gguf_set_val_f32(g, "llama.rope.scaling.factor", 4);
}

static int start(void **state)
{
    static struct files f;
    struct error err = {0};
    (void)snprintf(f.folder, sizeof f.folder, "/tmp/vx11-fit-XXXXXX");
    assert_non_null(mkdtemp(f.folder));
    (void)snprintf(f.plain, sizeof f.plain, "%s/plain.gguf", f.folder);
    (void)snprintf(f.yarn, sizeof f.yarn, "%s/yarn.gguf", f.folder);
    (void)snprintf(f.linear, sizeof f.linear, "%s/linear.gguf", f.folder);
    const struct synth_shape small = {
        .layers = 1, .width = 64, .feed_forward = 128, .heads = 2, .heads_kv = 1, .context = 4096};
    model_log_start();
    assert_int_equal(backends_load(NULL, &err), 0);
    synth_model(f.plain, &shape, NULL);
    synth_model(f.yarn, &small, scale_yarn);
    synth_model(f.linear, &small, scale_unknown);
    *state = &f;
    return 0;
}

static int stop(void **state)
{
    const struct files *f = *state;
    (void)unlink(f->plain);
    (void)unlink(f->yarn);
    (void)unlink(f->linear);
    (void)rmdir(f->folder);
    return 0;
}

/* ---- the header ---- */

static void test_header(void **state)
{
    const struct files *f = *state;
    struct header h;
    assert_int_equal(header_read(harness_guide(), &h), 0);
    assert_string_equal(h.architecture, "llama");
    assert_int_equal(h.vocabulary, 2048);
    assert_int_equal(h.context, 2048);
    assert_int_equal(header_head_size(&h), 32);
    assert_int_equal(header_context_most(&h), 2048);
    assert_int_equal(header_read(f->plain, &h), 0);
    assert_int_equal(h.layers, shape.layers);
    assert_int_equal(header_head_size(&h), shape.width / shape.heads);
    assert_int_equal(header_read("/nowhere/at/all", &h), VX11_ENOT_FOUND);
    assert_int_equal(header_read("/dev/null", &h), VX11_ECORRUPT);
}

/* A longer context only when the metadata say what is scaled, and by how much. */
static void test_rope(void **state)
{
    const struct files *f = *state;
    struct header h;
    assert_int_equal(header_read(f->yarn, &h), 0);
    assert_string_equal(h.rope_scaling, "yarn");
    assert_int_equal(h.context, 4096);
    assert_int_equal(header_context_most(&h), 16384);
    assert_int_equal(header_read(f->linear, &h), 0);
    assert_string_equal(h.rope_scaling, "linear");
    assert_int_equal(header_context_most(&h), 4096);
    h = (struct header){.context = 4096, .rope_factor = 4, .rope_context = 4096};
    assert_int_equal(header_context_most(&h), 4096); /* no scaling is named */
    h = (struct header){.context = 131072, .rope_factor = 4, .rope_context = 8192, .rope_scaling = "yarn"};
    assert_int_equal(header_context_most(&h), 131072); /* the length is the scaled one already */
}

static void test_rope_loaded(void **state)
{
    const struct files *f = *state;
    struct error err = {0};
    struct model *m = NULL;
    struct model_options o = {.path = f->yarn, .parallel = 1, .batch = 64, .context = 100000, .threads = 1};
    assert_int_equal(model_load(&o, NULL, NULL, &m, &err), 0);
    assert_int_equal(m->context_trained, 4096);
    assert_int_equal(m->context_length, 16384);
    model_free(m);
    o.path = f->linear;
    assert_int_equal(model_load(&o, NULL, NULL, &m, &err), 0);
    assert_int_equal(m->context_length, 4096);
    model_free(m);
}

/* ---- the choice, on made-up machines ---- */

struct machine {
    uint64_t weights, cell; /* bytes; of a cell as f16 */
    uint64_t device_free;   /* 0: no GPU */
    int layers;
    bool no_q8;
    unsigned measured;
};

static int measure(void *ctx, const struct fit_choice *c, struct fit_sizes *out, struct error *err)
{
    struct machine *m = ctx;
    (void)err;
    *out = (struct fit_sizes){.compute = 10 * MB};
    m->measured++;
    if (c->kv == MODEL_KV_Q8_0 && m->no_q8)
        return VX11_EUNSUPPORTED;
    assert_true(c->cells >= c->context);
    const uint64_t kv = m->cell * (uint64_t)c->cells / (c->kv == MODEL_KV_Q8_0 ? 2 : 1);
    const uint64_t share = m->device_free ? (uint64_t)c->gpu_layers : 0, layers = (uint64_t)m->layers;
    out->mapped = m->weights - (layers ? m->weights * share / layers : 0);
    out->kv = kv - (layers ? kv * share / layers : 0);
    if (m->device_free) {
        out->device_count = 1;
        out->devices[0] = (struct fit_device){.free = m->device_free,
                                              .total = m->device_free,
                                              .weights = m->weights * share / layers,
                                              .kv = kv * share / layers};
    }
    return 0;
}

static struct machine machine_of(uint64_t weights_mb, uint64_t cell_kb)
{
    return (struct machine){.weights = weights_mb * MB, .cell = cell_kb << 10};
}

static int choose(struct machine *m, const struct fit_want *w, uint64_t free_mb, struct fit_plan *p,
                  struct error *err)
{
    const struct fit_room room = {.known = true, .free_bytes = free_mb * MB, .bound = "are free"};
    *err = (struct error){0};
    const int rc = fit_choose("it", w, &room, measure, m, p, err);
    if (rc == 0)
        assert_true(fit_need(&p->sizes) <= room.free_bytes);
    return rc;
}

static void test_choice_order(void **state)
{
    (void)state;
    /* 1000 MB of weights, 64 KB a cell: 8192 tokens are 512 MB. */
    struct machine m = machine_of(1000, 64);
    struct fit_want w = {.context = 8192, .parallel = 4, .kv = MODEL_KV_AUTO};
    struct fit_plan p;
    struct error err;
    assert_int_equal(choose(&m, &w, 100000, &p, &err), 0); /* plenty: a quarter for each of the others */
    assert_true(p.choice.cells == 8192 + 3 * 2048 && p.choice.context == 8192 && !p.reduced);
    assert_int_equal(p.choice.kv, MODEL_KV_F16);
    assert_int_equal(choose(&m, &w, 1600, &p, &err), 0); /* one full context, and half of what is left */
    assert_true(p.choice.cells > 8192 && p.choice.cells < 9000 && p.choice.kv == MODEL_KV_F16 && !p.reduced);
    assert_int_equal(p.choice.cells % FIT_CELLS_STEP, 0);
    assert_int_equal(choose(&m, &w, 1522, &p, &err), 0);
    assert_true(p.choice.cells == 8192 && p.choice.kv == MODEL_KV_F16);
    assert_int_equal(choose(&m, &w, 1500, &p, &err), 0);
    assert_true(p.choice.context == 8192 && p.choice.kv == MODEL_KV_Q8_0 && p.reduced);
    assert_int_equal(choose(&m, &w, 1200, &p, &err), 0);
    assert_true(p.choice.kv == MODEL_KV_Q8_0 && p.choice.context >= 5600 && p.choice.context < 8192);
    assert_int_equal(choose(&m, &w, 1074, &p, &err), 0); /* the floor: 2048 tokens, 64 MB */
    assert_true(p.choice.context == FIT_CONTEXT_FLOOR && p.choice.kv == MODEL_KV_Q8_0);
    assert_int_equal(choose(&m, &w, 1073, &p, &err), VX11_ENOMEM);
    assert_non_null(
        strstr(err.text, "it needs 1.0 GB of memory (weights 1000.0 MB, 2048 tokens of context as q8_0"));
    assert_non_null(strstr(err.text, " and 1.0 GB are free; at most about 20"));
    assert_int_equal(choose(&m, &w, 900, &p, &err), VX11_ENOMEM);
    assert_non_null(strstr(err.text, "not even a context of no tokens would fit"));
}

static void test_choice_bounds(void **state)
{
    (void)state;
    struct machine m = machine_of(1000, 64);
    struct fit_want w = {.context = 8192, .context_fixed = true, .parallel = 4, .kv = MODEL_KV_F16};
    struct fit_plan p;
    struct error err;
    assert_int_equal(choose(&m, &w, 1500, &p, &err), VX11_ENOMEM); /* both were asked for */
    w.kv = MODEL_KV_AUTO;
    assert_int_equal(choose(&m, &w, 1500, &p, &err), 0);
    assert_int_equal(choose(&m, &w, 1200, &p, &err), VX11_ENOMEM); /* the context was */
    w = (struct fit_want){.context = 8192, .cells = 4096, .parallel = 4, .kv = MODEL_KV_AUTO};
    assert_int_equal(choose(&m, &w, 100000, &p, &err), 0);
    assert_true(p.choice.cells == 4096 && p.choice.context == 4096);
    m.no_q8 = true;
    w = (struct fit_want){.context = 8192, .parallel = 1, .kv = MODEL_KV_AUTO};
    assert_int_equal(choose(&m, &w, 1300, &p, &err), 0);
    assert_true(p.choice.kv == MODEL_KV_F16 && p.choice.context >= 4000 && p.choice.context < 8192);
    m = machine_of(10, 1); /* a small model: all that four full contexts can use */
    w.parallel = 4;
    assert_int_equal(choose(&m, &w, 1000, &p, &err), 0);
    assert_int_equal(p.choice.cells, 4 * 8192);
    const struct fit_room unknown = {.bound = "unknown"};
    assert_int_equal(fit_choose("it", &w, &unknown, measure, &m, &p, &err), 0);
    assert_int_equal(p.choice.cells, 4 * 8192);
}

static void test_choice_layers(void **state)
{
    (void)state;
    struct machine m = machine_of(4000, 64);
    struct fit_want w = {
        .context = 8192, .parallel = 1, .kv = MODEL_KV_AUTO, .gpu_layers = -1, .layers_most = 33};
    struct fit_plan p;
    struct error err;
    m.layers = 33;
    m.device_free = 8000 * MB;
    assert_int_equal(choose(&m, &w, 8000, &p, &err), 0);
    assert_true(p.choice.gpu_layers == 33 && !p.reduced);
    m.device_free = 2000 * MB; /* less 256: 1744 of 4512 MB */
    assert_int_equal(choose(&m, &w, 8000, &p, &err), 0);
    assert_true(p.choice.gpu_layers == 12 && p.reduced && p.choice.context == 8192);
    m.device_free = 100 * MB;
    assert_int_equal(choose(&m, &w, 8000, &p, &err), 0);
    assert_int_equal(p.choice.gpu_layers, 0);
    w.gpu_layers = 20; /* asked for: not to be reduced */
    assert_int_equal(choose(&m, &w, 8000, &p, &err), VX11_ENOMEM);
    assert_non_null(strstr(err.text, "20 layers"));
}

/* ---- libllama's figures against the process ---- */

/* The buffers for computing are touched as far as a step needs them: most by the last of a full pool. */
static void fill_cells(struct model *m)
{
    struct llama_batch batch = llama_batch_init(m->batch, 0, 1);
    for (int32_t at = 0; at < m->cells; at += m->batch) {
        batch.n_tokens = m->cells - at < m->batch ? m->cells - at : m->batch;
        for (int32_t i = 0; i < batch.n_tokens; i++) {
            batch.token[i] = 300 + (at + i) % 1000;
            batch.pos[i] = at + i;
            batch.n_seq_id[i] = 1;
            batch.seq_id[i][0] = 0;
            batch.logits[i] = i == batch.n_tokens - 1;
        }
        assert_int_equal(llama_decode(m->context, batch), 0);
    }
    llama_batch_free(batch);
}

static void check_rss(const char *path, int32_t cells)
{
    struct error err = {0};
    struct model *m = NULL;
    const struct model_options o = {
        .path = path, .parallel = 4, .batch = 512, .cells = cells, .threads = 1, .gpu_layers = -1};
    (void)malloc_trim(0); /* what earlier loads have freed would be taken again unseen */
    const uint64_t before = proc_self_rss();
    assert_int_equal(model_load(&o, NULL, NULL, &m, &err), 0);
    fill_cells(m);
    const uint64_t took = proc_self_rss() - before, need = fit_need(&m->plan.sizes);
    const uint64_t apart = took > need ? took - need : need - took;
    printf("need %.1f MB (mapped %.1f, copied %.1f, kv %.1f, compute %.1f, rest %.1f), took %.1f MB\n",
           (double)need / MB, (double)m->plan.sizes.mapped / MB, (double)m->plan.sizes.weights / MB,
           (double)m->plan.sizes.kv / MB, (double)m->plan.sizes.compute / MB, (double)m->plan.sizes.rest / MB,
           (double)took / MB);
    if (apart > 30 * MB && apart > took * 15 / 100)
        fail_msg("it took %llu bytes, not %llu", (unsigned long long)took, (unsigned long long)need);
    assert_true(m->plan.sizes.kv > 0 && m->plan.sizes.compute > 0);
    assert_true(m->plan.sizes.mapped + m->plan.sizes.weights >= m->size_bytes);
    model_free(m);
}

static void test_sizes_are_true(void **state)
{
    const struct files *f = *state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip(); /* its shadow and its quarantine are no memory of the model's */
#endif
    check_rss(harness_guide(), 2048);
    check_rss(f->plain, 1024);
}

/* ---- a load bounded by memory ---- */

static void test_load_refused(void **state)
{
    const struct files *f = *state;
    struct error err = {0};
    struct model *m = NULL;
    struct model_options o = {.path = f->plain,
                              .parallel = 2,
                              .batch = 64,
                              .threads = 1,
                              .gpu_layers = -1,
                              .kv_type = MODEL_KV_AUTO,
                              .memory_most = 20 * MB};
    assert_int_equal(model_load(&o, NULL, NULL, &m, &err), VX11_ENOMEM);
    assert_null(m);
    assert_non_null(strstr(err.text, "plain needs "));
    assert_non_null(strstr(err.text, " and 20.0 MB may be used; "));
}

static void test_load_reduced(void **state)
{
    const struct files *f = *state;
    struct error err = {0};
    struct model *m = NULL;
    struct model_options o = {.path = f->plain,
                              .parallel = 2,
                              .batch = 64,
                              .threads = 1,
                              .gpu_layers = -1,
                              .kv_type = MODEL_KV_AUTO};
    assert_int_equal(model_load(&o, NULL, NULL, &m, &err), 0);
    assert_int_equal(m->context_length, MODEL_CONTEXT_DEFAULT);
    assert_true(m->cells == 2 * MODEL_CONTEXT_DEFAULT && m->plan.choice.kv == MODEL_KV_F16);
    const uint64_t fixed = fit_need(&m->plan.sizes) - m->plan.sizes.kv, kv = m->plan.sizes.kv / 2;
    model_free(m);
    o.memory_most = fixed + kv * 3 / 4;
    assert_int_equal(model_load(&o, NULL, NULL, &m, &err), 0);
    assert_true(m->plan.choice.kv == MODEL_KV_Q8_0 && m->context_length == MODEL_CONTEXT_DEFAULT);
    assert_true(m->cells >= m->context_length && m->plan.reduced);
    model_free(m);
    o.memory_most = fixed + kv / 4;
    assert_int_equal(model_load(&o, NULL, NULL, &m, &err), 0);
    assert_true(m->plan.choice.kv == MODEL_KV_Q8_0 && m->context_length >= FIT_CONTEXT_FLOOR &&
                m->context_length < MODEL_CONTEXT_DEFAULT);
    model_free(m);
}

/* ---- reading ---- */

struct told {
    struct model_progress last;
    unsigned calls;
};

static bool progress(const struct model_progress *p, void *ctx)
{
    struct told *t = ctx;
    assert_true(p->share >= t->last.share && p->bytes_read >= t->last.bytes_read);
    t->last = *p;
    t->calls++;
    return true;
}

static uint64_t load_once(const char *path)
{
    struct error err = {0};
    struct model *m = NULL;
    struct told told = {0};
    const struct model_options o = {.path = path, .parallel = 1, .batch = 64, .cells = 256, .threads = 1};
    assert_int_equal(model_load(&o, progress, &told, &m, &err), 0);
    struct header h;
    assert_int_equal(header_read(path, &h), 0);
    assert_true(told.calls > 10 && told.last.bytes_total == h.file_bytes);
    assert_true(told.last.bytes_read == h.file_bytes && told.last.share == 1);
    const uint64_t from_disk = m->bytes_from_disk;
    assert_true(from_disk <= told.last.bytes_total);
    model_free(m);
    return from_disk;
}

static void test_reading(void **state)
{
    const struct files *f = *state;
    const int fd = open(f->plain, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0 && fsync(fd) == 0);
    assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
    (void)close(fd);
    const uint64_t cold = load_once(f->plain), warm = load_once(f->plain);
    if (cold == 0 || cold == warm)
        skip(); /* a file system without a cache of its own, or that cannot say what is in it */
    assert_true(cold > 30 * MB && warm < cold / 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_header),         cmocka_unit_test(test_rope),
        cmocka_unit_test(test_rope_loaded),    cmocka_unit_test(test_choice_order),
        cmocka_unit_test(test_choice_bounds),  cmocka_unit_test(test_choice_layers),
        cmocka_unit_test(test_sizes_are_true), cmocka_unit_test(test_load_refused),
        cmocka_unit_test(test_load_reduced),   cmocka_unit_test(test_reading),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
