/* Errors: names, derivation from errno, cutting on a character's boundary. */
#include "test.h"

#include <errno.h>

#include "base/error.h"
#include "base/str.h"

static void names(void **state)
{
    (void)state;
    assert_string_equal(error_name(0), "OK");
    assert_string_equal(error_name(VX11_ENOT_FOUND), "NOT_FOUND");
    assert_string_equal(error_describe(VX11_ENOMEM), "out of memory");
    assert_string_equal(error_name(-999), "UNKNOWN");
    assert_non_null(error_describe(-999));
}

static void set_and_prefix(void **state)
{
    (void)state;
    struct error err = {0};
    assert_int_equal(error_set(&err, VX11_EINVALID, "port %d", 99), VX11_EINVALID);
    assert_string_equal(err.text, "port 99");
    assert_int_equal(error_set(&err, VX11_EINVALID, "again: %s", err.text), VX11_EINVALID);
    assert_string_equal(err.text, "again: port 99");
    assert_int_equal(error_prefix(&err, VX11_EIO, "file %s", "a.yaml"), VX11_EINVALID);
    assert_string_equal(err.text, "file a.yaml: again: port 99");
    assert_int_equal(error_set(NULL, VX11_EIO, "nobody listens"), VX11_EIO);
    assert_int_equal(error_prefix(NULL, VX11_EIO, "nobody listens"), VX11_EIO);
}

static void from_errno(void **state)
{
    (void)state;
    static const struct {
        int sys, code;
    } cases[] = {{ENOENT, VX11_ENOT_FOUND}, {EACCES, VX11_EPERMISSION},
                 {EROFS, VX11_EPERMISSION}, {ENOSPC, VX11_EFULL},
                 {EDQUOT, VX11_EFULL},      {ENOMEM, VX11_ENOMEM},
                 {EEXIST, VX11_EEXISTS},    {EIO, VX11_EIO},
                 {12345, VX11_EIO}};
    struct error err;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_int_equal(error_set_errno(&err, cases[i].sys, "x"), cases[i].code);
        assert_int_equal(err.code, cases[i].code);
        assert_int_equal(error_set_errno(NULL, cases[i].sys, "x"), cases[i].code);
    }
    assert_string_equal(err.text, "x: errno 12345");
    error_set_errno(&err, ENOENT, "cannot open %s", "f");
    assert_string_equal(err.text, "cannot open f: No such file or directory");
}

/* Every length around the buffer's end, with characters of each size across it. */
static void cut_on_boundary(void **state)
{
    (void)state;
    static const char *const characters[] = {"a", "é", "€", "😀"};
    for (size_t c = 0; c < COUNT_OF(characters); c++) {
        for (size_t shift = 0; shift < 8; shift++) {
            char text[2048] = "";
            memset(text, 'x', shift);
            for (size_t n = strlen(characters[c]), at = shift; at < 1000; at += n)
                memcpy(text + at, characters[c], n);
            struct error err;
            error_set(&err, VX11_EIO, "%s", text);
            assert_true(utf8_valid(err.text, strlen(err.text)));
            assert_true(strlen(err.text) >= sizeof err.text - 4);
            error_prefix(&err, VX11_EIO, "prefix");
            assert_true(utf8_valid(err.text, strlen(err.text)));
            error_set_errno(&err, ENOENT, "%s", text);
            assert_true(utf8_valid(err.text, strlen(err.text)));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
        cmocka_unit_test(set_and_prefix),
        cmocka_unit_test(from_errno),
        cmocka_unit_test(cut_on_boundary),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
