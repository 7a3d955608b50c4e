/* Which addresses a download may lead to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/str.h"
#include "net/address.h"

static void test_public(void **state)
{
    static const char *const addresses[] = {
        "8.8.8.8",         "1.1.1.1",        "172.15.255.255",   "172.32.0.0",  "100.63.0.1",
        "100.128.0.1",     "169.253.1.1",    "192.169.0.1",      "223.255.1.1", "198.17.0.1",
        "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2a00:1450::1"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(addresses); i++) {
        bool numeric;
        if (!address_text_is_public(addresses[i], &numeric) || !numeric)
            fail_msg("%s", addresses[i]);
    }
}

static void test_not_public(void **state)
{
    static const char *const addresses[] = {"0.0.0.0",
                                            "10.1.2.3",
                                            "100.64.0.1",
                                            "127.0.0.1",
                                            "127.255.255.254",
                                            "169.254.169.254",
                                            "172.16.0.1",
                                            "172.31.255.255",
                                            "192.0.0.8",
                                            "192.0.2.1",
                                            "192.168.1.1",
                                            "198.18.0.1",
                                            "198.51.100.1",
                                            "203.0.113.1",
                                            "224.0.0.1",
                                            "255.255.255.255",
                                            "::",
                                            "::1",
                                            "fe80::1",
                                            "fe80::1%eth0",
                                            "fd00::1",
                                            "fc00::1",
                                            "ff02::1",
                                            "::ffff:127.0.0.1",
                                            "::ffff:10.0.0.1",
                                            "64:ff9b::7f00:1",
                                            "2002:7f00:1::",
                                            "2001:db8::1",
                                            "2001::1"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(addresses); i++) {
        bool numeric;
        if (address_text_is_public(addresses[i], &numeric) || !numeric)
            fail_msg("%s", addresses[i]);
    }
}

static void test_names(void **state)
{
    static const char *const names[] = {"", "localhost", "example.com", "1.2.3", "0x7f.1", "127.1"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        bool numeric = true;
        assert_false(address_text_is_public(names[i], &numeric));
        assert_false(numeric);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_public),
        cmocka_unit_test(test_not_public),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
