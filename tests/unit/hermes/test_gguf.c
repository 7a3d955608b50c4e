/* The GGUF reader: the sound files it must read, and every way we know to lie in a header. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <fcntl.h>
#include <unistd.h>

#include "base/fs.h"
#include "gguf_writer.h"
#include "hermes/gguf.h"

static int read_buf(const struct buf *b, uint64_t file_size, struct gguf_info *info, struct error *err)
{
    /* An exact copy, so that ASan sees a read past the end. */
    void *copy = malloc(b->len ? b->len : 1);
    struct arena *a = arena_create(GGUF_ARENA_LIMIT);
    assert_non_null(copy);
    assert_non_null(a);
    if (b->len)
        memcpy(copy, b->data, b->len);
    *err = (struct error){0};
    int rc = gguf_read_memory(copy, b->len, file_size, a, info, err);
    assert_int_equal(rc, err->code);
    assert_true((rc == 0) == (err->text[0] == '\0'));
    free(copy);
    arena_destroy(a);
    return rc;
}

/* Reads, expects this code, and a sentence that holds `needle`. Frees b. */
static void expect(struct buf *b, int code, const char *needle)
{
    struct gguf_info info;
    struct error err;
    assert_false(b->failed);
    int rc = read_buf(b, b->len, &info, &err);
    if (rc != code || !strstr(err.text, needle))
        fail_msg("got %d \"%s\", expected %d \"%s\"", rc, err.text, code, needle);
    buf_free(b);
}

static void test_model(void **state)
{
    (void)state;
    struct buf b = BUF_INIT;
    struct error err = {0};
    struct gguf_info info;
    struct arena *a = arena_create(0);
    gw_model(&b, "Tiny");
    assert_int_equal(gguf_read_memory(b.data, b.len, b.len, a, &info, &err), 0);
    assert_int_equal(gguf_check_model(&info, &err), 0);
    assert_string_equal(info.architecture, "llama");
    assert_string_equal(info.name, "Tiny");
    assert_null(info.licence);
    assert_string_equal(info.quantisation, "Q8_0");
    assert_string_equal(info.tokenizer, "llama");
    assert_int_equal(info.parameters, 64 * 4 + 64);
    assert_int_equal(info.context_length, 128);
    assert_int_equal(info.embedding_length, 64);
    assert_int_equal(info.layers, 2);
    assert_int_equal(info.heads, 4);
    assert_int_equal(info.heads_kv, 4);
    assert_int_equal(info.heads_kv_sum, 8);
    assert_int_equal(info.key_length, 16);
    assert_int_equal(info.vocabulary, 4);
    assert_true(info.has_chat_template);
    assert_string_equal(info.chat_template, "{{ messages }}");
    assert_int_equal(info.data_size, 288 + 256);
    assert_int_equal(info.data_offset + info.data_size, b.len);
    assert_int_equal(gguf_kv_bytes(&info, 100), 8u * (16 + 16) * 2 * 100);
    arena_destroy(a);
    buf_free(&b);
}

static const char *guide_path(void)
{
    static char path[4096];
    const char *src = getenv("VX11_SRC");
    if (!src || fs_path(path, sizeof path, src, "models/guide/guide.gguf") != 0 || !fs_exists(path))
        return NULL;
    return path;
}

static void test_guide_model(void **state)
{
    (void)state;
    const char *path = guide_path();
    if (!path)
        skip();
    struct arena *a = arena_create(GGUF_ARENA_LIMIT);
    struct error err = {0};
    struct gguf_info info;
    if (gguf_read_file(path, a, &info, &err) != 0)
        fail_msg("%s", err.text);
    assert_int_equal(gguf_check_model(&info, &err), 0);
    assert_string_equal(info.architecture, "llama");
    assert_string_equal(info.quantisation, "Q8_0");
    assert_string_equal(info.file_type, "Q8_0");
    assert_int_equal(info.parameters, 3475712);
    assert_int_equal(info.context_length, 2048);
    assert_int_equal(info.vocabulary, 2048);
    assert_int_equal(info.heads_kv, 4);
    assert_true(info.has_chat_template);
    assert_int_equal(info.data_offset + info.data_size, info.file_size);
    arena_destroy(a);
}

/* A file cut anywhere is refused, and says so. */
static void test_cut_everywhere(void **state)
{
    (void)state;
    struct buf b = BUF_INIT;
    struct gguf_info info;
    struct error err;
    gw_model(&b, "Tiny");
    size_t whole = b.len;
    for (size_t len = 0; len < whole; len++) {
        b.len = len;
        assert_int_equal(read_buf(&b, len, &info, &err), VX11_ECORRUPT);
        if (len >= 8)
            assert_non_null(strstr(err.text, "cut short"));
    }
    b.len = whole;
    assert_int_equal(read_buf(&b, whole, &info, &err), 0);
    buf_free(&b);
}

static void test_cut_guide(void **state)
{
    (void)state;
    const char *path = guide_path();
    if (!path)
        skip();
    struct buf b = BUF_INIT;
    struct error err;
    struct gguf_info info;
    assert_int_equal(fs_read_file(path, (size_t)8 << 20, &b, &err), 0);
    size_t whole = b.len;
    assert_int_equal(read_buf(&b, whole, &info, &err), 0);
    size_t header = (size_t)info.data_offset;
    for (size_t len = 0; len < header; len += len < 4096 ? 7 : 211) {
        b.len = len;
        assert_int_equal(read_buf(&b, len, &info, &err), VX11_ECORRUPT);
    }
    b.len = whole - 1000;
    assert_int_equal(read_buf(&b, b.len, &info, &err), VX11_ECORRUPT);
    assert_non_null(strstr(err.text, "1000 bytes are missing"));
    b.len = whole;
    buf_free(&b);
}

/* Each byte of the header set to a few values in turn: whatever comes out, it comes out soundly (the
 * sanitizers judge). */
static void test_flipped_bytes(void **state)
{
    (void)state;
    struct buf b = BUF_INIT;
    gw_model(&b, "Tiny");
    const unsigned char values[] = {0x00, 0x01, 0x7F, 0x80, 0xFF};
    for (size_t i = 0; i < b.len - 500; i++) {
        char was = b.data[i];
        for (size_t v = 0; v < sizeof values; v++) {
            struct gguf_info info;
            struct error err;
            b.data[i] = (char)values[v];
            (void)read_buf(&b, b.len, &info, &err);
        }
        b.data[i] = was;
    }
    buf_free(&b);
}

static void test_not_gguf(void **state)
{
    (void)state;
    struct buf b = BUF_INIT;
    expect(&b, VX11_ECORRUPT, "empty");
    buf_puts(&b, "GG");
    expect(&b, VX11_ECORRUPT, "cut short by at least 2 bytes");
    buf_puts(&b, "<!DOCTYPE html>");
    expect(&b, VX11_ECORRUPT, "a web page");
    buf_puts(&b, "version https://git-lfs");
    expect(&b, VX11_ECORRUPT, "LFS");
    buf_puts(&b, "tjggxxxx");
    expect(&b, VX11_ECORRUPT, "GGJT");
}

static void test_versions(void **state)
{
    (void)state;
    struct buf b = BUF_INIT;
    gw_begin(&b, 1, 0, 0);
    expect(&b, VX11_EUNSUPPORTED, "version 1");
    gw_begin(&b, 0x03000000, 0, 0);
    expect(&b, VX11_EUNSUPPORTED, "big-endian");
    gw_begin(&b, 4, 0, 0);
    expect(&b, VX11_EUNSUPPORTED, "version 4");
    gw_begin(&b, 0, 0, 0);
    expect(&b, VX11_EUNSUPPORTED, "version 0");
    gw_begin(&b, 2, 0, 0);
    expect(&b, 0, "");
}

static void test_counts(void **state)
{
    (void)state;
    struct buf b = BUF_INIT;
    gw_begin(&b, 3, UINT64_MAX, 0);
    expect(&b, VX11_ETOO_LARGE, "number of tensors");
    gw_begin(&b, 3, 0, UINT64_MAX);
    expect(&b, VX11_ETOO_LARGE, "number of keys");
    gw_begin(&b, 3, 0, 60000);
    expect(&b, VX11_ECORRUPT, "cut short");
    gw_begin(&b, 3, 100000, 0);
    expect(&b, VX11_ECORRUPT, "cut short");
}

static void test_key_names(void **state)
{
    (void)state;
    struct buf b = BUF_INIT;
    gw_begin(&b, 3, 0, 1);
    gw_pair_u32(&b, "", 1);
    expect(&b, VX11_ECORRUPT, "name is empty");
    gw_begin(&b, 3, 0, 1);
    gw_pair_u32(&b, "bad\xC3(", 1);
    expect(&b, VX11_ECORRUPT, "not valid text");
    gw_begin(&b, 3, 0, 1);
    gw_pair_u32(&b, "line\nbreak", 1);
    expect(&b, VX11_ECORRUPT, "not valid text");
    gw_begin(&b, 3, 0, 1);
    gw_uint(&b, UINT64_MAX, 8);
    gw_zeros(&b, 64);
    expect(&b, VX11_ETOO_LARGE, "18446744073709551615");
    gw_begin(&b, 3, 0, 1);
    gw_uint(&b, 65535, 8);
    gw_zeros(&b, 64);
    expect(&b, VX11_ECORRUPT, "at least 65471 bytes");
    gw_begin(&b, 3, 0, 3);
    gw_pair_u32(&b, "a.b", 1);
    gw_pair_u32(&b, "a.c", 1);
    gw_pair_u32(&b, "a.b", 2);
    expect(&b, VX11_ECORRUPT, "there twice, first at byte 24");
}

static void test_values(void **state)
{
    (void)state;
    struct buf b = BUF_INIT;
    gw_begin(&b, 3, 0, 1);
    gw_key(&b, "k", 13);
    gw_zeros(&b, 8);
    expect(&b, VX11_ECORRUPT, "unknown value type 13");
    gw_begin(&b, 3, 0, 1);
    gw_key(&b, "k", GW_BOOL);
    gw_uint(&b, 7, 1);
    expect(&b, VX11_ECORRUPT, "neither 0 nor 1");
    gw_begin(&b, 3, 0, 1);
    gw_key(&b, "general.name", GW_STRING);
    gw_uint(&b, (uint64_t)1 << 62, 8);
    expect(&b, VX11_ETOO_LARGE, "value claims");
    gw_begin(&b, 3, 0, 1);
    gw_key(&b, "k", GW_STRING);
    gw_uint(&b, 1000000, 8);
    expect(&b, VX11_ECORRUPT, "cut short");
}

static void put_array(struct buf *b, uint32_t element, uint64_t count)
{
    gw_begin(b, 3, 0, 1);
    gw_key(b, "k", GW_ARRAY);
    gw_uint(b, element, 4);
    gw_uint(b, count, 8);
}

static void test_arrays(void **state)
{
    (void)state;
    struct buf b = BUF_INIT;
    put_array(&b, GW_ARRAY, 1);
    expect(&b, VX11_EUNSUPPORTED, "array of arrays");
    put_array(&b, 99, 1);
    expect(&b, VX11_ECORRUPT, "unknown type 99");
    put_array(&b, GW_F64, UINT64_MAX / 8 + 1);
    expect(&b, VX11_ETOO_LARGE, "elements");
    put_array(&b, GW_F64, 1 << 20);
    expect(&b, VX11_ECORRUPT, "cut short");
    put_array(&b, GW_STRING, 1 << 20);
    expect(&b, VX11_ECORRUPT, "cut short");
    put_array(&b, GW_STRING, 2);
    gw_string(&b, "a");
    gw_uint(&b, UINT64_MAX - 3, 8);
    expect(&b, VX11_ETOO_LARGE, "array's element");
    put_array(&b, GW_STRING, 0);
    expect(&b, 0, "");
}

static void test_alignment(void **state)
{
    (void)state;
    const uint32_t bad[] = {0, 3, 48, 0x80000000, UINT32_MAX};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct buf b = BUF_INIT;
        gw_begin(&b, 3, 0, 1);
        gw_pair_u32(&b, "general.alignment", bad[i]);
        expect(&b, VX11_ECORRUPT, "power of two");
    }
    struct buf b = BUF_INIT;
    gw_begin(&b, 3, 0, 1);
    gw_pair_string(&b, "general.alignment", "32");
    expect(&b, VX11_ECORRUPT, "power of two");
    gw_begin(&b, 3, 0, 1);
    gw_pair_u32(&b, "general.alignment", 64);
    expect(&b, 0, "");
}

static void put_tensor(struct buf *b, uint32_t dims, uint64_t x, uint64_t y, uint32_t type, uint64_t offset)
{
    const uint64_t extent[5] = {x, y, 1, 1, 1};
    gw_begin(b, 3, 1, 0);
    gw_tensor(b, "t", dims, extent, type, offset);
    gw_pad(b, 32);
    gw_zeros(b, 1024);
}

static void test_tensors(void **state)
{
    (void)state;
    struct buf b = BUF_INIT;
    put_tensor(&b, 0, 1, 1, 0, 0);
    expect(&b, VX11_ECORRUPT, "0 dimensions");
    put_tensor(&b, 5, 1, 1, 0, 0);
    expect(&b, VX11_ECORRUPT, "5 dimensions");
    put_tensor(&b, 4, 0, 1, 0, 0);
    expect(&b, VX11_ECORRUPT, "dimension 1 is 0");
    put_tensor(&b, 2, (uint64_t)1 << 40, (uint64_t)1 << 40, 0, 0);
    expect(&b, VX11_ECORRUPT, "dimension 2");
    put_tensor(&b, 1, UINT64_MAX, 1, 0, 0);
    expect(&b, VX11_ECORRUPT, "dimension 1");
    put_tensor(&b, 1, (uint64_t)1 << 62, 1, 0, 0);
    expect(&b, VX11_ECORRUPT, "size in bytes");
    put_tensor(&b, 1, 32, 1, 4, 0);
    expect(&b, VX11_EUNSUPPORTED, "tensor type 4");
    put_tensor(&b, 1, 32, 1, UINT32_MAX, 0);
    expect(&b, VX11_EUNSUPPORTED, "tensor type");
    put_tensor(&b, 1, 33, 1, 8, 0);
    expect(&b, VX11_ECORRUPT, "whole Q8_0 blocks of 32");
    put_tensor(&b, 1, 8, 1, 0, 33);
    expect(&b, VX11_ECORRUPT, "not a multiple of 32");
    put_tensor(&b, 1, 8, 1, 0, UINT64_MAX - 31);
    expect(&b, VX11_ECORRUPT, "out of all bounds");
    put_tensor(&b, 1, 8, 1, 0, (uint64_t)1 << 40);
    expect(&b, VX11_ECORRUPT, "bytes are missing");
    put_tensor(&b, 1, 256, 1, 0, 0);
    expect(&b, 0, "");
    put_tensor(&b, 1, 264, 1, 0, 0);
    expect(&b, VX11_ECORRUPT, "32 bytes are missing");
}

static void test_tensor_pairs(void **state)
{
    (void)state;
    const uint64_t extent[1] = {64};
    struct buf b = BUF_INIT;
    gw_begin(&b, 3, 2, 0);
    gw_tensor(&b, "a", 1, extent, 0, 0);
    gw_tensor(&b, "a", 1, extent, 0, 256);
    gw_zeros(&b, 4096);
    expect(&b, VX11_ECORRUPT, "there twice");
    gw_begin(&b, 3, 2, 0);
    gw_tensor(&b, "a", 1, extent, 0, 0);
    gw_tensor(&b, "b", 1, extent, 0, 224);
    gw_zeros(&b, 4096);
    expect(&b, VX11_ECORRUPT, "overlaps tensor a");
    gw_begin(&b, 3, 1, 0);
    gw_tensor(&b, "0123456789012345678901234567890123456789012345678901234567890123", 1, extent, 0, 0);
    gw_zeros(&b, 4096);
    expect(&b, VX11_ETOO_LARGE, "claims 64 bytes");
}

/* Sound files that are no language model, or not one we can load. */
static void test_check_model(void **state)
{
    (void)state;
    struct gguf_info model = {.architecture = "llama", .tokenizer = "gpt2", .tensors = 1, .split_count = -1};
    struct error err = {0};
    assert_int_equal(gguf_check_model(&model, &err), 0);
    model.split_count = 3;
    assert_int_equal(gguf_check_model(&model, &err), VX11_EUNSUPPORTED);
    assert_non_null(strstr(err.text, "3 parts"));
    model.split_count = 1;
    model.kind = "adapter";
    assert_int_equal(gguf_check_model(&model, &err), VX11_EUNSUPPORTED);
    model.kind = "model";
    assert_int_equal(gguf_check_model(&model, &err), 0);
    model.architecture = "clip";
    assert_int_equal(gguf_check_model(&model, &err), VX11_EUNSUPPORTED);
    model.architecture = "a b";
    assert_int_equal(gguf_check_model(&model, &err), VX11_ECORRUPT);
    model.architecture = NULL;
    assert_int_equal(gguf_check_model(&model, &err), VX11_EUNSUPPORTED);
    model.architecture = "llama";
    model.tokenizer = NULL;
    assert_int_equal(gguf_check_model(&model, &err), VX11_EUNSUPPORTED);
    model.tensors = 0;
    assert_int_equal(gguf_check_model(&model, &err), VX11_EUNSUPPORTED);
}

/* A per-layer array of KV heads: the largest and the sum. */
static void test_heads_by_layer(void **state)
{
    (void)state;
    struct buf b = BUF_INIT;
    struct gguf_info info;
    struct error err;
    gw_begin(&b, 3, 0, 3);
    gw_pair_string(&b, "general.architecture", "gemma3n");
    gw_pair_u32(&b, "gemma3n.attention.key_length", 256);
    gw_key(&b, "gemma3n.attention.head_count_kv", GW_ARRAY);
    gw_uint(&b, GW_I32, 4);
    gw_uint(&b, 3, 8);
    gw_uint(&b, 2, 4);
    gw_uint(&b, 8, 4);
    gw_uint(&b, 0, 4);
    assert_int_equal(read_buf(&b, b.len, &info, &err), 0);
    assert_int_equal(info.heads_kv, 8);
    assert_int_equal(info.heads_kv_sum, 10);
    assert_int_equal(info.key_length, 256);
    assert_int_equal(info.value_length, -1);
    assert_int_equal(gguf_kv_bytes(&info, 10), 0);
    buf_free(&b);
}

/* Keys that take more memory together than a header may. */
static void test_memory_bound(void **state)
{
    (void)state;
    struct buf b = BUF_INIT;
    struct gguf_info info;
    struct error err = {0};
    gw_begin(&b, 3, 0, 1);
    gw_uint(&b, 20000, 8);
    for (int i = 0; i < 20000; i++)
        buf_putc(&b, 'k');
    gw_uint(&b, GW_U8, 4);
    gw_zeros(&b, 1);
    struct arena *a = arena_create(16384);
    assert_int_equal(gguf_read_memory(b.data, b.len, b.len, a, &info, &err), VX11_ETOO_LARGE);
    assert_non_null(strstr(err.text, "memory"));
    arena_destroy(a);
    expect(&b, 0, "");
}

static void test_files(void **state)
{
    (void)state;
    char dir[] = "/tmp/vx11-gguf-XXXXXX";
    char path[128];
    struct arena *a = arena_create(0);
    struct gguf_info info;
    struct error err = {0};
    assert_non_null(mkdtemp(dir));
    assert_int_equal(gguf_read_file(dir, a, &info, &err), VX11_EINVALID);
    (void)snprintf(path, sizeof path, "%s/none.gguf", dir);
    assert_int_equal(gguf_read_file(path, a, &info, &err), VX11_ENOT_FOUND);
    (void)snprintf(path, sizeof path, "%s/m.gguf", dir);

    struct buf b = BUF_INIT;
    gw_model(&b, "On disk");
    assert_int_equal(fs_write_file_atomic(path, b.data, b.len, 0600, &err), 0);
    assert_int_equal(gguf_read_file(path, a, &info, &err), 0);
    assert_string_equal(info.name, "On disk");
    assert_int_equal(truncate(path, 700), 0);
    assert_int_equal(gguf_read_file(path, a, &info, &err), VX11_ECORRUPT);
    buf_free(&b);
    arena_destroy(a);
    unlink(path);
    rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model),          cmocka_unit_test(test_guide_model),
        cmocka_unit_test(test_cut_everywhere), cmocka_unit_test(test_cut_guide),
        cmocka_unit_test(test_flipped_bytes),  cmocka_unit_test(test_not_gguf),
        cmocka_unit_test(test_versions),       cmocka_unit_test(test_counts),
        cmocka_unit_test(test_key_names),      cmocka_unit_test(test_values),
        cmocka_unit_test(test_arrays),         cmocka_unit_test(test_alignment),
        cmocka_unit_test(test_tensors),        cmocka_unit_test(test_tensor_pairs),
        cmocka_unit_test(test_check_model),    cmocka_unit_test(test_heads_by_layer),
        cmocka_unit_test(test_memory_bound),   cmocka_unit_test(test_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
