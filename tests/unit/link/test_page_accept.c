/* Weights of Accept and Accept-Encoding, and what they choose. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "link/page_accept.h"

static void weights_are_read(void **state)
{
    (void)state;
    assert_int_equal(accept_weight(NULL, "br"), -1);
    assert_int_equal(accept_weight("", "br"), -1);
    assert_int_equal(accept_weight("gzip, deflate, br", "br"), 1000);
    assert_int_equal(accept_weight("gzip;q=0.8,br;q=0.125", "br"), 125);
    assert_int_equal(accept_weight(" GZIP ; Q=0.5 ", "gzip"), 500);
    assert_int_equal(accept_weight("br;q=0", "br"), 0);
    assert_int_equal(accept_weight("br;q=0.000", "br"), 0);
    assert_int_equal(accept_weight("br;q=1.000", "br"), 1000);
    assert_int_equal(accept_weight("text/html;level=1;q=0.3, */*", "text/html"), 300);
    assert_int_equal(accept_weight("x-br, brotli", "br"), -1);
    assert_int_equal(accept_weight(",,br", "br"), 1000);
    assert_int_equal(accept_weight("br;", "br"), 1000);
}

static void nonsense_is_not_wanted(void **state)
{
    (void)state;
    assert_int_equal(accept_weight("br;q=", "br"), 0);
    assert_int_equal(accept_weight("br;q=2", "br"), 0);
    assert_int_equal(accept_weight("br;q=1.5", "br"), 0);
    assert_int_equal(accept_weight("br;q=-1", "br"), 0);
    assert_int_equal(accept_weight("br;q=0.12345", "br"), 0);
    assert_int_equal(accept_weight("br;q=high", "br"), 0);
}

static void the_best_coding_is_chosen(void **state)
{
    (void)state;
    assert_int_equal(accept_encoding("gzip, deflate, br, zstd", true, true), PAGE_ENCODING_BR);
    assert_int_equal(accept_encoding("gzip, deflate", true, true), PAGE_ENCODING_GZIP);
    assert_int_equal(accept_encoding("br", false, true), PAGE_ENCODING_IDENTITY);
    assert_int_equal(accept_encoding("br;q=0.5, gzip", true, true), PAGE_ENCODING_GZIP);
    assert_int_equal(accept_encoding("br;q=0, gzip;q=0.1", true, true), PAGE_ENCODING_GZIP);
    assert_int_equal(accept_encoding("*", true, true), PAGE_ENCODING_BR);
    assert_int_equal(accept_encoding("*;q=0", true, true), PAGE_ENCODING_IDENTITY);
    assert_int_equal(accept_encoding("br;q=0, *", true, true), PAGE_ENCODING_GZIP);
    assert_int_equal(accept_encoding("identity, gzip;q=0.5, br;q=0.5", true, true), PAGE_ENCODING_IDENTITY);
    assert_int_equal(accept_encoding("identity;q=0", false, false), PAGE_ENCODING_IDENTITY);
    assert_int_equal(accept_encoding(NULL, true, true), PAGE_ENCODING_IDENTITY);
    assert_int_equal(accept_encoding("", true, true), PAGE_ENCODING_IDENTITY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_are_read),
        cmocka_unit_test(nonsense_is_not_wanted),
        cmocka_unit_test(the_best_coding_is_chosen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
