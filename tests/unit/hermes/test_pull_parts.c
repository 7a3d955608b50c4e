/* The parts of a pull that touch neither network nor loop: sources, choosing, the journal, rates, the
 * catalogue. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <fcntl.h>
#include <unistd.h>

#include "base/str.h"
#include "fixture.h"
#include "hermes/pull/bucket.h"
#include "hermes/pull/catalogue.h"
#include "hermes/pull/choose.h"
#include "hermes/pull/journal.h"
#include "hermes/pull/source.h"

static struct fixture *f;

static int open_fixture(void **state)
{
    int rc = fixture_open(state);
    f = rc == 0 ? *state : NULL;
    return rc;
}

static void test_sources(void **state)
{
    struct pull_source s;
    struct error err = {0};
    static const char hub[] = "https://huggingface.co";
    (void)state;
    assert_int_equal(pull_source_parse("smollm2-135m", hub, &s, &err), 0);
    assert_int_equal(s.kind, PULL_NAME);
    assert_int_equal(pull_source_parse("hf:a/b:Q5_K_M@v1.0", hub, &s, &err), 0);
    assert_int_equal(s.kind, PULL_HUB);
    assert_string_equal(s.repository, "a/b");
    assert_string_equal(s.which, "Q5_K_M");
    assert_string_equal(s.revision, "v1.0");
    assert_int_equal(
        pull_source_parse("https://huggingface.co/a/b/resolve/main/sub/x.gguf?download=true", hub, &s, &err),
        0);
    assert_int_equal(s.kind, PULL_HUB);
    assert_string_equal(s.which, "sub/x.gguf");
    assert_int_equal(pull_source_parse("https://huggingface.co/a/b", hub, &s, &err), 0);
    assert_string_equal(s.which, "");
    assert_int_equal(pull_source_parse("https://example.com/d/x.gguf?sig=1", hub, &s, &err), 0);
    assert_int_equal(s.kind, PULL_URL);
    char show[4200];
    pull_source_show(&s, show, sizeof show);
    assert_null(strstr(show, "sig"));
    assert_int_equal(pull_source_parse("file:///tmp/a%20b.gguf", hub, &s, &err), 0);
    assert_string_equal(s.path, "/tmp/a b.gguf");
    static const char *const bad[] = {"",
                                      "hf:a",
                                      "hf:../b",
                                      "hf:a/..",
                                      "hf:a/b:../../etc/passwd",
                                      "hf:a/b@../x",
                                      "hf:a/b:x\n.gguf",
                                      "https://example.com/x.html",
                                      "ftp://example.com/x.gguf",
                                      "https://u:p@example.com/x.gguf",
                                      "file://x.gguf",
                                      "file:///x%0.gguf",
                                      "file:///x%00.gguf",
                                      "a b",
                                      "/etc/passwd"};
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        if (pull_source_parse(bad[i], hub, &s, &err) == 0)
            fail_msg("accepted: %s", bad[i]);
}

static void test_choose(void **state)
{
    static const struct hub_entry entries[] = {
        {"README.md", 10, NULL},
        {"mmproj-F16.gguf", 5, NULL},
        {"x.Q8_0.gguf", 800, NULL},
        {"x.Q5_K_M.gguf", 500, NULL},
        {"big/x.Q4_K_M-00002-of-00002.gguf", 210, NULL},
        {"big/x.Q4_K_M-00001-of-00002.gguf", 200, NULL},
        {"x.IQ2_XXS.gguf", 100, NULL},
    };
    const size_t n = COUNT_OF(entries);
    struct hub_choice c;
    struct error err = {0};
    struct arena *a = f->arena;
    (void)state;
    assert_int_equal(hub_choose(entries, n, "", a, &c, &err), 0);
    assert_int_equal(c.count, 2);
    assert_int_equal(c.parts[0], 5);
    assert_int_equal(c.parts[1], 4);
    assert_int_equal(c.size, 410);
    assert_string_equal(c.quant, "Q4_K_M");
    assert_non_null(strstr(c.message, "Q4_K_M"));
    assert_int_equal(hub_choose(entries, n, "q5_k_m", a, &c, &err), 0);
    assert_int_equal(c.parts[0], 3);
    assert_int_equal(hub_choose(entries, n, "x.Q8_0.gguf", a, &c, &err), 0);
    assert_int_equal(c.parts[0], 2);
    assert_int_equal(hub_choose(entries, n, "x.Q4_K_M-00002-of-00002.gguf", a, &c, &err), 0);
    assert_int_equal(c.parts[0], 5);
    assert_int_equal(hub_choose(entries, 4, "", a, &c, &err), 0); /* no Q4: Q5_K_M before Q8_0 */
    assert_int_equal(c.parts[0], 3);
    assert_int_equal(hub_choose(entries, 5, "x.Q4_K_M-00002-of-00002.gguf", a, &c, &err), VX11_EINVALID);
    assert_int_equal(hub_choose(entries, n, "x.Q9.gguf", a, &c, &err), VX11_ENOT_FOUND);
    assert_int_equal(hub_choose(entries, 1, "", a, &c, &err), VX11_ENOT_FOUND);
}

static void test_journal(void **state)
{
    struct journal j;
    struct error err = {0};
    uint8_t key[JOURNAL_KEY], other[JOURNAL_KEY], digest[JOURNAL_DIGEST];
    const char *path = fixture_path(f, "j.journal");
    (void)state;
    journal_key("00", NULL, 1000000, key);
    journal_key(NULL, "00", 1000000, other);
    assert_memory_not_equal(key, other, sizeof key);
    journal_digest("abc", 3, digest);
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    assert_int_equal(journal_open(&j, fd, 1000000, 65536, key, &err), 0);
    assert_true(j.fresh);
    assert_int_equal(j.chunks, 16);
    assert_int_equal(journal_write(j.fd, 3, digest, &err), 0);
    assert_int_equal(journal_write(j.fd, 15, digest, &err), 0);
    assert_int_equal(journal_write(j.fd, 4, digest, &err), 0);
    assert_int_equal(journal_write(j.fd, 4, NULL, &err), 0);
    assert_int_equal(write(j.fd, "torn", 4), 4);
    journal_close(&j);
    fd = open(path, O_RDWR);
    assert_int_equal(journal_open(&j, fd, 1000000, 131072, key, &err), 0); /* its own chunk size stays */
    assert_false(j.fresh);
    assert_int_equal(j.chunk_bytes, 65536);
    assert_true(journal_has(&j, 3) && journal_has(&j, 15) && !journal_has(&j, 4) && !journal_has(&j, 0));
    assert_int_equal(journal_bytes(&j), 65536 + 1000000 - 15 * 65536);
    assert_int_equal(journal_write(j.fd, 0, digest, &err), 0);
    journal_close(&j);
    fd = open(path, O_RDWR);
    assert_int_equal(journal_open(&j, fd, 1000000, 65536, key, &err), 0); /* behind the torn one */
    assert_true(journal_has(&j, 0));
    journal_close(&j);
    fd = open(path, O_RDWR);
    assert_int_equal(journal_open(&j, fd, 1000000, 65536, other, &err), 0);
    assert_true(j.fresh && j.replaced);
    assert_int_equal(j.done_count, 0);
    journal_close(&j);
}

static void test_bucket(void **state)
{
    struct bucket b = {0};
    struct meter m = {0};
    (void)state;
    assert_true(bucket_open(&b, 5));
    bucket_set(&b, 100000, 0);
    assert_true(bucket_open(&b, 100));
    int64_t taken = 0;
    for (int64_t ms = 100; ms <= 10100; ms += 10)
        while (bucket_open(&b, ms)) {
            bucket_take(&b, 4096);
            taken += 4096;
        }
    assert_in_range(taken, 990000, 1040000);
    assert_true(meter_rate(&m, 0, 0) < 0);
    for (int64_t ms = 0; ms <= 5000; ms += 250)
        meter_sample(&m, ms, ms * 10);
    assert_true(meter_rate(&m, 5000, 50000) > 9900 && meter_rate(&m, 5000, 50000) < 10100);
    assert_int_equal(meter_eta_ms(10000, 100000), 10000);
    assert_int_equal(meter_eta_ms(0, 100000), -1);
    assert_int_equal(meter_eta_ms(10, 0), 0);
}

static void test_catalogue(void **state)
{
    struct catalogue *c;
    struct error err = {0};
    const struct hermes_catalogue_model *m;
    size_t n;
    (void)state;
    assert_int_equal(catalogue_load("", &c, &err), 0);
    const struct hermes_catalogue_model *models = catalogue_models(c, &n);
    assert_true(n >= 1);
    for (size_t i = 0; i < n; i++)
        assert_true(models[i].capabilities_count > 0 && models[i].licence);
    assert_int_equal(catalogue_find(c, "smollm2-135m-instruct", &m, &err), 0);
    assert_int_equal(catalogue_find(c, "smolm2-135m-instruct", &m, &err), VX11_ENOT_FOUND);
    assert_non_null(strstr(err.text, "smollm2-135m-instruct"));
    catalogue_free(c);
    static const char bad[] = "models:\n  - name: x\n    titel: X\n";
    const char *path = fixture_file(f, "bad.yaml", bad, sizeof bad - 1);
    assert_int_not_equal(catalogue_load(path, &c, &err), 0);
    assert_non_null(strstr(err.text, ":3"));
}

/* A part 1 of 0 is no part: it once made a choice of no files. */
static void test_choose_nothing(void **state)
{
    static const struct hub_entry entries[] = {{"x-00001-of-00000.gguf", 5, NULL}};
    struct hub_choice c;
    struct error err = {0};
    (void)state;
    assert_int_equal(hub_choose(entries, 1, "", f->arena, &c, &err), 0);
    assert_int_equal(c.count, 1);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, open_fixture, fixture_close)
    const struct CMUnitTest tests[] = {T(test_sources), T(test_choose), T(test_choose_nothing),
                                       T(test_journal), T(test_bucket), T(test_catalogue)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
