/* The URL policy: what is refused, by which code, and what a rule allows. No network is asked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/in.h>

#include "base/str.h"
#include "operator/egress/policy.h"

static const int own[] = {8000, 8020, 8011};

static struct egress_policy *policy_of(const char *const *allow, size_t n)
{
    struct egress_policy *p = NULL;
    struct error err = {0};
    if (egress_policy_create(allow, n, own, COUNT_OF(own), &p, &err) != 0)
        fail_msg("%s", err.text);
    return p;
}

static enum egress_code code_of(struct egress_policy *p, const char *url)
{
    struct egress_verdict v;
    struct egress_target t;
    bool fine = egress_url_check(p, url, false, &t, &v);
    assert_int_equal(fine, v.code == EGRESS_ALLOWED);
    assert_int_equal(v.text[0] == '\0', fine);
    return v.code;
}

static enum egress_code code_at(struct egress_policy *p, const char *url, const char *address)
{
    struct egress_verdict v;
    struct egress_target t;
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    if (!egress_url_check(p, url, true, &t, &v))
        return v.code;
    if (inet_pton(AF_INET, address, &in.sin_addr) == 1)
        (void)egress_address_check(p, &t, (const struct sockaddr *)(const void *)&in, &v);
    else if (inet_pton(AF_INET6, address, &in6.sin6_addr) == 1)
        (void)egress_address_check(p, &t, (const struct sockaddr *)(const void *)&in6, &v);
    else
        fail_msg("%s is no address", address);
    return v.code;
}

static void test_urls(void **state)
{
    static const struct {
        const char *url;
        enum egress_code code;
    } cases[] = {
        {"http://example.org/", EGRESS_ALLOWED},
        {"HTTPS://Example.org:8443/a?b#c", EGRESS_ALLOWED},
        {"https://example.org", EGRESS_ALLOWED},
        {"https://93.184.216.34/", EGRESS_ALLOWED},
        {"file:///etc/passwd", EGRESS_SCHEME},
        {"javascript:alert(1)", EGRESS_SCHEME},
        {"data:text/html,x", EGRESS_SCHEME},
        {"chrome://settings", EGRESS_SCHEME},
        {"ftp://example.org/", EGRESS_SCHEME},
        {"view-source:http://example.org/", EGRESS_SCHEME},
        {"ws://example.org/", EGRESS_SCHEME},
        {"http:/example.org", EGRESS_SCHEME},
        {"//example.org/", EGRESS_SCHEME},
        {"", EGRESS_SCHEME},
        {"http://", EGRESS_MALFORMED},
        {"http:///etc", EGRESS_MALFORMED},
        {"http://exa mple.org/", EGRESS_MALFORMED},
        {"http://example.org/\n", EGRESS_MALFORMED},
        {"http://example.org:0/", EGRESS_MALFORMED},
        {"http://example.org:99999/", EGRESS_MALFORMED},
        {"http://example.org:x/", EGRESS_MALFORMED},
        {"http://[::1/", EGRESS_MALFORMED},
        {"http://[fe80::1%25eth0]/", EGRESS_ADDRESS},
        {"http://example.org../", EGRESS_MALFORMED},
        {"http://.example.org/", EGRESS_MALFORMED},
        {"http://ex\xd9mple.org/", EGRESS_MALFORMED},
        {"http://user@example.org/", EGRESS_USERINFO},
        {"http://user:word@example.org/", EGRESS_USERINFO},
        {"http://good.org\\@evil.org/", EGRESS_ALLOWED}, /* "\" ends the host, as browsers have it */
        {"http://example.org:25/", EGRESS_PORT},
        {"http://example.org:6667/", EGRESS_PORT},
        {"http://127.0.0.1/", EGRESS_ADDRESS},
        {"http://127.9.9.9:81/", EGRESS_ADDRESS},
        {"http://0.0.0.0/", EGRESS_ADDRESS},
        {"http://10.1.2.3/", EGRESS_ADDRESS},
        {"http://192.168.0.1/", EGRESS_ADDRESS},
        {"http://172.16.0.1/", EGRESS_ADDRESS},
        {"http://100.64.0.1/", EGRESS_ADDRESS},
        {"http://224.0.0.1/", EGRESS_ADDRESS},
        {"http://255.255.255.255/", EGRESS_ADDRESS},
        {"http://[::1]/", EGRESS_ADDRESS},
        {"http://[::]/", EGRESS_ADDRESS},
        {"http://[fe80::1]/", EGRESS_ADDRESS},
        {"http://[fd12::1]/", EGRESS_ADDRESS},
        {"http://[ff02::1]/", EGRESS_ADDRESS},
        {"http://[::ffff:10.0.0.1]/", EGRESS_ADDRESS},
        {"http://[::ffff:127.0.0.1]/", EGRESS_ADDRESS},
        {"http://[64:ff9b::10.0.0.1]/", EGRESS_ADDRESS},
        {"http://[2002:0a00:0001::1]/", EGRESS_ADDRESS},
        {"http://169.254.169.254/latest/meta-data", EGRESS_METADATA},
        {"http://[::ffff:169.254.169.254]/", EGRESS_METADATA},
        {"http://[fd00:ec2::254]/", EGRESS_METADATA},
        {"http://metadata.google.internal/", EGRESS_METADATA},
        {"http://METADATA.google.internal./", EGRESS_METADATA},
        {"http://127.0.0.1:8000/", EGRESS_OWN},
        {"http://[::1]:8011/", EGRESS_OWN},
        {"http://0.0.0.0:8020/", EGRESS_OWN},
        {"http://[::ffff:127.0.0.1]:8000/", EGRESS_OWN},
    };
    struct egress_policy *p = policy_of(NULL, 0);
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        if (code_of(p, cases[i].url) != cases[i].code)
            fail_msg("%s: %s, not %s", cases[i].url, egress_code_names[code_of(p, cases[i].url)],
                     egress_code_names[cases[i].code]);
    egress_policy_free(p);
}

/* Other spellings of an IPv4 address are read as the address, or are left to the resolution and judged then:
 * never let through as a name. */
static void test_odd_numbers(void **state)
{
    static const char *const urls[] = {"http://2130706433/", "http://0x7f000001/", "http://0177.0.0.1/",
                                       "http://127.1/", "http://127.0.0.1./"};
    struct egress_policy *p = policy_of(NULL, 0);
    (void)state;
    for (size_t i = 0; i < COUNT_OF(urls); i++)
        if (code_at(p, urls[i], "127.0.0.1") != EGRESS_ADDRESS)
            fail_msg("%s went through", urls[i]);
    egress_policy_free(p);
}

static void test_resolved(void **state)
{
    struct egress_policy *p = policy_of(NULL, 0);
    (void)state;
    assert_int_equal(code_at(p, "http://example.org/", "93.184.216.34"), EGRESS_ALLOWED);
    assert_int_equal(code_at(p, "wss://example.org/", "2606:4700::1"), EGRESS_ALLOWED);
    assert_int_equal(code_at(p, "http://rebind.example/", "127.0.0.1"), EGRESS_ADDRESS);
    assert_int_equal(code_at(p, "http://rebind.example:8000/", "127.0.0.1"), EGRESS_OWN);
    assert_int_equal(code_at(p, "http://rebind.example/", "169.254.169.254"), EGRESS_METADATA);
    assert_int_equal(code_at(p, "http://rebind.example/", "::ffff:192.168.1.1"), EGRESS_ADDRESS);
    assert_int_equal(code_at(p, "http://localhost/", "::1"), EGRESS_ADDRESS);
    egress_policy_free(p);
}

static void test_rules(void **state)
{
    static const char *const allow[] = {"localhost",       "127.0.0.1:9000", "10.0.0.0/8",
                                        "*.intra.example", "[::1]:7000",     "[fd00::/8]:443",
                                        "wiki:8080",       "Exact.Example.", "127.0.0.1:8020"};
    struct egress_policy *p = policy_of(allow, COUNT_OF(allow));
    (void)state;
    assert_int_equal(code_at(p, "http://localhost:3000/", "127.0.0.1"), EGRESS_ALLOWED);
    assert_int_equal(code_at(p, "http://localhost:8000/", "127.0.0.1"), EGRESS_OWN);
    assert_int_equal(code_at(p, "http://localhost:8020/", "127.0.0.1"), EGRESS_ALLOWED);
    assert_int_equal(code_at(p, "http://127.0.0.1:8011/", "127.0.0.1"), EGRESS_OWN);
    assert_int_equal(code_at(p, "http://127.0.0.1:9000/", "127.0.0.1"), EGRESS_ALLOWED);
    assert_int_equal(code_at(p, "http://127.0.0.1:9001/", "127.0.0.1"), EGRESS_ADDRESS);
    assert_int_equal(code_at(p, "http://other.example/", "10.200.0.1"), EGRESS_ALLOWED);
    assert_int_equal(code_at(p, "http://other.example/", "11.0.0.1"), EGRESS_ALLOWED); /* public */
    assert_int_equal(code_at(p, "http://a.intra.example/", "192.168.3.4"), EGRESS_ALLOWED);
    assert_int_equal(code_at(p, "http://intra.example/", "192.168.3.4"), EGRESS_ADDRESS);
    assert_int_equal(code_at(p, "http://notintra.example/", "192.168.3.4"), EGRESS_ADDRESS);
    assert_int_equal(code_at(p, "http://[::1]:7000/", "::1"), EGRESS_ALLOWED);
    assert_int_equal(code_at(p, "http://[::1]:7001/", "::1"), EGRESS_ADDRESS);
    assert_int_equal(code_at(p, "https://u.example/", "fd01::5"), EGRESS_ALLOWED);
    assert_int_equal(code_at(p, "http://u.example/", "fd01::5"), EGRESS_ADDRESS);
    assert_int_equal(code_at(p, "http://wiki:8080/", "172.20.0.3"), EGRESS_ALLOWED);
    assert_int_equal(code_at(p, "http://wiki/", "172.20.0.3"), EGRESS_ADDRESS);
    assert_int_equal(code_at(p, "http://exact.example/", "192.168.0.9"), EGRESS_ALLOWED);
    egress_policy_free(p);
}

static void test_bad_rules(void **state)
{
    static const char *const bad[] = {"",     "a b", "http://x", "10.0.0.0/33", "host:0", "host:70000",
                                      "[::1", "a/8", "*.",       "..",          "-x",     "[::1]x"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct egress_policy *p = NULL;
        struct error err = {0};
        if (egress_policy_create(&bad[i], 1, NULL, 0, &p, &err) != VX11_EINVALID)
            fail_msg("\"%s\" is taken for a rule", bad[i]);
        assert_non_null(strstr(err.text, "operator.browser.allow"));
    }
}

static void test_tunnels(void **state)
{
    struct egress_policy *p = policy_of(NULL, 0);
    struct egress_target t;
    struct egress_verdict v;
    (void)state;
    assert_true(egress_authority_check(p, "Example.org:443", &t, &v));
    assert_string_equal(t.host, "example.org");
    assert_int_equal(t.port, 443);
    assert_true(egress_authority_check(p, "[2606:4700::1]:443", &t, &v));
    assert_string_equal(t.host, "2606:4700::1");
    static const char *const bad[] = {"example.org", "example.org:", "a@b:443", "a/b:443",
                                      "[::1]",       ":443",         ""};
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        if (egress_authority_check(p, bad[i], &t, &v))
            fail_msg("\"%s\" is taken for a tunnel's target", bad[i]);
    assert_false(egress_authority_check(p, "127.0.0.1:443", &t, &v));
    assert_int_equal(v.code, EGRESS_ADDRESS);
    assert_int_equal(egress_policy_own(p, 5555), 0);
    assert_false(egress_authority_check(p, "127.0.0.1:5555", &t, &v));
    assert_int_equal(v.code, EGRESS_OWN);
    egress_policy_disown(p, 5555);
    assert_false(egress_authority_check(p, "127.0.0.1:5555", &t, &v));
    assert_int_equal(v.code, EGRESS_ADDRESS);
    egress_policy_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_urls),  cmocka_unit_test(test_odd_numbers), cmocka_unit_test(test_resolved),
        cmocka_unit_test(test_rules), cmocka_unit_test(test_bad_rules),   cmocka_unit_test(test_tunnels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
