/* A model with a sliding window, whose memory forgets: what is shared must still be there. The model is the
 * guide with every other layer made to look at 48 tokens only (an architecture of libllama that has such
 * layers and else the guide's tensors). Its answers are odd, and the same whether its cache knows anything or
 * not. */
#include "harness.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ggml.h>
#include <gguf.h>

#include "base/str.h"
#include "engine/scheduler_internal.h"

enum { WINDOW = 48 };
static char path[] = "/tmp/vx11-window-XXXXXX";

static void key_copy(struct gguf_context *to, const struct gguf_context *from, int64_t i)
{
    static const char before[] = "llama.";
    char name[128];
    const char *key = gguf_get_key(from, i);
    if (strncmp(key, before, strlen(before)) != 0)
        return;
    (void)snprintf(name, sizeof name, "granite_swa.%s", key + strlen(before));
    if (gguf_get_kv_type(from, i) == GGUF_TYPE_UINT32)
        gguf_set_val_u32(to, name, gguf_get_val_u32(from, i));
    else if (gguf_get_kv_type(from, i) == GGUF_TYPE_FLOAT32)
        gguf_set_val_f32(to, name, gguf_get_val_f32(from, i));
}

static void write_model(void)
{
    struct ggml_context *data = NULL;
    struct gguf_context *guide =
        gguf_init_from_file(harness_guide(), (struct gguf_init_params){.no_alloc = false, .ctx = &data});
    struct gguf_context *out = gguf_init_empty();
    struct ggml_context *more = ggml_init((struct ggml_init_params){.mem_size = 1 << 20});
    assert_true(guide && out && more && data);
    const uint32_t layers = gguf_get_val_u32(guide, gguf_find_key(guide, "llama.block_count")),
                   heads = gguf_get_val_u32(guide, gguf_find_key(guide, "llama.attention.head_count"));
    bool windowed[64] = {0};
    int32_t no_images[64];
    assert_true(layers <= COUNT_OF(windowed));
    for (uint32_t i = 0; i < layers; i++) {
        windowed[i] = i % 2 == 0;
        no_images[i] = -1;
    }
    gguf_set_kv(out, guide);
    for (int64_t i = 0; i < gguf_get_n_kv(guide); i++)
        key_copy(out, guide, i);
    gguf_set_val_str(out, "general.architecture", "granite_swa");
    gguf_set_val_f32(out, "granite_swa.logit_scale", 1);
    gguf_set_val_u32(out, "granite_swa.attention.sliding_window", WINDOW);
    gguf_set_arr_data(out, "granite_swa.attention.sliding_window_pattern", GGUF_TYPE_BOOL, windowed, layers);
    gguf_set_arr_data(out, "granite_swa.deepstack_mapping", GGUF_TYPE_INT32, no_images, layers);
    for (struct ggml_tensor *t = ggml_get_first_tensor(data); t; t = ggml_get_next_tensor(data, t)) {
        if (gguf_find_tensor(guide, t->name) >= 0)
            gguf_add_tensor(out, t);
    }
    for (uint32_t i = 0; i < layers; i++) {
        struct ggml_tensor *sinks = ggml_new_tensor_1d(more, GGML_TYPE_F32, heads);
        for (uint32_t k = 0; k < heads; k++)
            ((float *)sinks->data)[k] = -1e30f; /* none */
        (void)ggml_format_name(sinks, "blk.%u.attn_sinks.weight", i);
        gguf_add_tensor(out, sinks);
    }
    const int fd = mkstemp(path);
    assert_true(fd >= 0 && close(fd) == 0);
    assert_true(gguf_write_to_file(out, path, false));
    gguf_free(out);
    gguf_free(guide);
    ggml_free(data);
    ggml_free(more);
}

static int start(void **state)
{
    (void)state;
    write_model();
    return 0;
}

static int stop(void **state)
{
    (void)state;
    return unlink(path);
}

static struct harness *open_window(int parallel, int32_t cells)
{
    return harness_open(&(struct harness_options){
        .path = path, .parallel = parallel, .batch = 64, .queue = 64, .context = 512, .cells = cells});
}

static void prompt_of(const struct model *m, int about, size_t len, struct tokens *out)
{
    struct error err = {0};
    struct buf text = BUF_INIT;
    (void)buf_puts(&text, "<|im_start|>user\nThe rules of the house are these. ");
    for (int i = 0; text.len < 6 * len; i++)
        (void)buf_printf(&text, "%s %d is number %d. ", i < 12 ? "Rule" : "Part", about * (i >= 12) + i, i);
    assert_int_equal(tokenize(m, text.data, text.len, false, true, out, &err), 0);
    assert_true(out->len >= len);
    out->len = len;
    buf_free(&text);
}

static void ask(struct harness *h, const struct tokens *prompt, int64_t tokens, struct answer *a)
{
    struct generation_options o = harness_greedy(prompt);
    o.sampling.ignore_end = true;
    o.max_tokens = tokens;
    o.logprobs = true;
    assert_int_equal(harness_submit(h, &o, a, NULL), 0);
    harness_wait(h, a, 1);
    assert_int_equal(a->end, FINISH_NONE);
}

static void audit(const struct harness *h)
{
    struct scheduler_stats stats;
    scheduler_stats(h->scheduler, &stats); /* orders this after what the decode thread did */
    const char *fault = cache_audit(h->scheduler->cache);
    if (fault)
        fail_msg("%s", fault);
}

/* Long sequences push each other's old positions out of the window's cells, and come back at other depths.
 * How a prompt is cut into batches moves logits in their last bits, and odd answers turn on that: so it is
 * the probability of the first token that is compared, which a window with holes moves by far more. */
static void test_same_with_and_without(void **state)
{
    (void)state;
    static const size_t lengths[] = {300, 120, 400, 90,  350, 120, 410, 60,  300, 250, 90,
                                     400, 399, 260, 100, 410, 150, 60,  110, 380, 200, 70};
    struct harness *h = open_window(2, 640), *fresh = NULL;
    assert_int_equal(llama_model_n_swa(h->model->llama), WINDOW);
    int64_t cached = 0;
    size_t warm_ones = 0;
    for (size_t i = 0; i < COUNT_OF(lengths); i++) {
        struct tokens prompt = TOKENS_INIT;
        struct answer warm = {0}, cold = {0};
        prompt_of(h->model, (int)(i % 3), lengths[i], &prompt);
        ask(h, &prompt, 30, &warm);
        audit(h);
        fresh = open_window(1, 512);
        ask(fresh, &prompt, 1, &cold);
        harness_stop(fresh);
        assert_int_equal(cold.usage.cached_tokens, 0);
        assert_true(fabs(warm.chosen_logprob - cold.chosen_logprob) < 0.05);
        cached += warm.usage.cached_tokens;
        warm_ones += warm.usage.cached_tokens > 0;
        answer_free(&warm);
        answer_free(&cold);
        tokens_free(&prompt);
    }
    assert_true(cached > 1000 && warm_ones > COUNT_OF(lengths) / 2); /* or else nothing was tested */
    harness_stop(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_with_and_without),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
