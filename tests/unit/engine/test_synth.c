/* Models that vx11-synth writes: they load, English is cut into tokens about as by real models, answers are
 * text that varies, and the same options give the same bytes. */
#include "harness.h"
#include "random_model.h"

#include "base/fs.h"
#include "engine/backend.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"

static const char english[] =
    "When a request comes in, the server looks for the model that was asked for. If it is not loaded yet, "
    "the "
    "engine starts and reads the file; this takes a few seconds the first time, and less when the file is "
    "still "
    "in memory. The answer is then written one word after another, and the person who waits can read it "
    "while "
    "it is being made. Other people may ask at the same time without having to wait for each other.";

static struct model *load(const char *path)
{
    struct model_options o = {.path = path, .parallel = 1, .threads = 1, .batch = 256, .context = 512};
    struct model *m = NULL;
    struct error err = {0};
    model_log_start();
    if (backends_load(path, &err) != 0 || model_load(&o, NULL, NULL, &m, &err) != 0)
        fail_msg("%s: %s", path, err.text);
    return m;
}

/* Greedy tokens of one answer; how many different ones. */
static size_t answer(struct model *m, const char *prompt, llama_token *out, int32_t count)
{
    llama_token tokens[256];
    size_t different = 0;
    int32_t n = llama_tokenize(m->vocab, prompt, (int32_t)strlen(prompt), tokens, 256, true, true);
    assert_true(n > 0);
    llama_memory_clear(llama_get_memory(m->context), true);
    assert_int_equal(llama_decode(m->context, llama_batch_get_one(tokens, n)), 0);
    for (int32_t i = 0; i < count; i++) {
        const float *logits = llama_get_logits_ith(m->context, -1);
        int32_t best = 0;
        for (int32_t t = 0; t < m->vocabulary; t++) {
            assert_true(logits[t] > -1000 && logits[t] < 1000); /* neither infinite nor NaN */
            best = logits[t] > logits[best] ? t : best;
        }
        out[i] = best;
        bool seen = false;
        for (int32_t before = 0; before < i; before++)
            seen = seen || out[before] == best;
        different += !seen;
        assert_int_equal(llama_decode(m->context, llama_batch_get_one(&out[i], 1)), 0);
    }
    return different;
}

static void check_decoder(const char *name, const char *const *options)
{
    enum { COUNT = 48 };
    struct model *m = load(random_model(name, options));
    llama_token first[COUNT], other[COUNT], tokens[256];
    int32_t n = llama_tokenize(m->vocab, english, (int32_t)strlen(english), tokens, 256, false, false);
    double rate = (double)strlen(english) / n;
    if (rate < 3.5 || rate > 6.5)
        fail_msg("%s: %.2f characters a token", name, rate);

    assert_true(answer(m, english, first, COUNT) > COUNT / 3);
    assert_true(answer(m, english + 1, other, COUNT) > COUNT / 3); /* one letter less at the start */
    assert_memory_not_equal(first, other, sizeof first);
    struct buf text = BUF_INIT;
    for (int32_t i = 0; i < COUNT; i++) {
        char piece[64];
        assert_false(llama_vocab_is_eog(m->vocab, first[i]) || llama_vocab_is_control(m->vocab, first[i]));
        int32_t len = llama_token_to_piece(m->vocab, first[i], piece, sizeof piece, 0, false);
        assert_true(len > 0);
        buf_append(&text, piece, (size_t)len);
    }
    assert_true(utf8_valid(text.data, text.len));
    assert_int_equal(m->template_state, MODEL_TEMPLATE_READY);
    buf_free(&text);
    model_free(m);
}

static void test_tiny(void **state)
{
    (void)state;
    check_decoder("tiny", NULL);
}

static void test_types(void **state)
{
    static const char *const types[] = {"f16", "q4_0", "q6_k", "q4_k_m"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(types); i++)
        check_decoder(types[i], (const char *const[]){"--type", types[i], "--layers", "2", NULL});
}

static void test_qwen2(void **state)
{
    (void)state;
    check_decoder("qwen2", (const char *const[]){"--arch", "qwen2", NULL});
}

static void test_spm(void **state)
{
    (void)state;
    check_decoder("spm", (const char *const[]){"--tokenizer", "spm", NULL});
}

static void test_yarn(void **state)
{
    (void)state;
    struct model *m = load(
        random_model("yarn", (const char *const[]){"--rope-scaling", "yarn:4:1024", "--seed", "5", NULL}));
    char value[64];
    assert_true(llama_model_meta_val_str(m->llama, "llama.rope.scaling.type", value, sizeof value) > 0);
    assert_string_equal(value, "yarn");
    llama_token out[16];
    assert_true(answer(m, english, out, 16) > 4);
    model_free(m);
}

static void test_repeat(void **state)
{
    (void)state;
    enum { COUNT = 120, PERIOD = 20 };
    struct model *m = load(random_model("repeat", (const char *const[]){"--repeat", "20", NULL}));
    llama_token out[COUNT];
    answer(m, english, out, COUNT);
    int same = 0;
    for (int i = PERIOD; i < COUNT; i++)
        same += out[i] == out[i - PERIOD];
    assert_true(same > (COUNT - PERIOD) / 2);
    model_free(m);
}

/* The lines of an encoder's tokenizer; that it computes is the embedding tests' matter. */
static void check_encoder(const char *name, const char *const *options, enum llama_pooling_type pooling)
{
    const char *path = random_model(name, options);
    struct llama_model_params params = llama_model_default_params();
    params.vocab_only = true;
    struct llama_model *m = llama_model_load_from_file(path, params);
    assert_non_null(m);
    char value[16];
    const char *key = pooling == LLAMA_POOLING_TYPE_CLS ? "nomic-bert.pooling_type" : "bert.pooling_type";
    assert_true(llama_model_meta_val_str(m, key, value, sizeof value) > 0);
    assert_int_equal(atoi(value), pooling);
    const struct llama_vocab *vocab = llama_model_get_vocab(m);
    assert_int_equal(llama_vocab_type(vocab), LLAMA_VOCAB_TYPE_WPM);
    llama_token tokens[256];
    int32_t n = llama_tokenize(vocab, english, (int32_t)strlen(english), tokens, 256, true, true);
    assert_true((double)strlen(english) / n > 3.5);
    for (int32_t i = 0; i < n; i++)
        assert_int_not_equal(tokens[i], 1); /* [UNK] */
    llama_model_free(m);
}

static void test_encoders(void **state)
{
    (void)state;
    check_encoder("bert", (const char *const[]){"--preset", "tiny-bert", NULL}, LLAMA_POOLING_TYPE_MEAN);
    check_encoder(
        "nomic",
        (const char *const[]){"--preset", "tiny-bert", "--arch", "nomic-bert", "--pooling", "cls", NULL},
        LLAMA_POOLING_TYPE_CLS);
}

static void test_same_bytes(void **state)
{
    (void)state;
    struct buf a = BUF_INIT, b = BUF_INIT, c = BUF_INIT;
    struct error err = {0};
    assert_int_equal(fs_read_file(random_model("same", NULL), 1u << 25, &a, &err), 0);
    assert_int_equal(fs_read_file(random_model("same", NULL), 1u << 25, &b, &err), 0);
    const char *const seeded[] = {"--seed", "2", NULL};
    assert_int_equal(fs_read_file(random_model("same", seeded), 1u << 25, &c, &err), 0);
    assert_int_equal(a.len, b.len);
    assert_memory_equal(a.data, b.data, a.len);
    assert_int_equal(a.len, c.len);
    assert_memory_not_equal(a.data, c.data, a.len);
    buf_free(&a);
    buf_free(&b);
    buf_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tiny),     cmocka_unit_test(test_types),      cmocka_unit_test(test_qwen2),
        cmocka_unit_test(test_spm),      cmocka_unit_test(test_yarn),       cmocka_unit_test(test_repeat),
        cmocka_unit_test(test_encoders), cmocka_unit_test(test_same_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
