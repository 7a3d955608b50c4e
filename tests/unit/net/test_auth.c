/* Auth: tokens, scopes, the token file. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "net/auth.h"

static void test_tokens(void **state)
{
    char a[AUTH_TOKEN_LEN + 1], b[AUTH_TOKEN_LEN + 1];
    (void)state;
    auth_token_make(a);
    auth_token_make(b);
    assert_int_equal(strlen(a), AUTH_TOKEN_LEN);
    assert_int_equal(strncmp(a, "vx11_", 5), 0);
    assert_string_not_equal(a, b);
}

static void test_check(void **state)
{
    struct auth_entry e[3] = {0};
    struct principal p;
    char text[3][AUTH_TOKEN_LEN + 1], longest[1000];
    (void)state;
    for (int i = 0; i < 3; i++) {
        auth_token_make(text[i]);
        auth_hash(text[i], e[i].hash);
        snprintf(e[i].principal.name, sizeof e[i].principal.name, "t%d", i);
    }
    e[1].expires_at = clock_wall_ms() - 1;
    e[2].expires_at = clock_wall_ms() + 100000;
    struct auth *a = auth_create();
    assert_non_null(a);
    assert_int_equal(auth_check(a, text[0], &p), VX11_ENOT_FOUND);
    assert_int_equal(auth_replace(a, e, 3), 0);
    assert_int_equal(auth_check(a, text[0], &p), 0);
    assert_string_equal(p.name, "t0");
    assert_int_equal(auth_check(a, text[1], &p), VX11_ENOT_FOUND);
    assert_int_equal(auth_check(a, text[2], &p), 0);
    assert_string_equal(p.name, "t2");
    assert_int_equal(auth_check(a, "", &p), VX11_ENOT_FOUND);
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    assert_int_equal(auth_check(a, longest, &p), VX11_ENOT_FOUND);
    assert_int_equal(auth_replace(a, NULL, 0), 0);
    assert_int_equal(auth_check(a, text[0], &p), VX11_ENOT_FOUND);
    auth_destroy(a);
}

static bool allows(const char *scopes, enum contract_scope wanted)
{
    struct principal p = {0};
    assert_int_equal(auth_scopes_parse(scopes, &p.scopes, NULL), 0);
    return principal_allows(&p, wanted);
}

static void test_scopes(void **state)
{
    struct error err;
    unsigned bits;
    char text[64];
    (void)state;
    assert_true(allows("admin", CONTRACT_SCOPE_PUBLISH));
    assert_true(allows("act", CONTRACT_SCOPE_READ));
    assert_true(allows("act", CONTRACT_SCOPE_CHAT));
    assert_false(allows("act", CONTRACT_SCOPE_PUBLISH));
    assert_false(allows("act", CONTRACT_SCOPE_ADMIN));
    assert_false(allows("chat", CONTRACT_SCOPE_READ));
    assert_false(allows("read", CONTRACT_SCOPE_CHAT));
    assert_false(allows("publish", CONTRACT_SCOPE_READ));
    assert_true(allows("publish", CONTRACT_SCOPE_OPEN));
    assert_int_equal(auth_scopes_parse(" chat, read", &bits, NULL), 0);
    assert_string_equal(auth_scopes_format(bits, text, sizeof text), "read,chat");
    assert_string_equal(auth_scopes_format(bits, text, 6), "read,");
    assert_int_equal(auth_scopes_parse("chat,root", &bits, &err), VX11_EINVALID);
    assert_non_null(strstr(err.text, "\"root\""));
    assert_int_equal(auth_scopes_parse("", &bits, &err), VX11_EINVALID);
    assert_int_equal(auth_scopes_parse("open", &bits, &err), VX11_EINVALID);
}

static void test_file(void **state)
{
    char dir[] = "/tmp/vx11-auth-XXXXXX", path[64], token[AUTH_TOKEN_LEN + 1], back[AUTH_TOKEN_LEN + 1];
    struct error err;
    struct stat st;
    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/token", dir);
    auth_token_make(token);
    assert_int_equal(auth_token_file_read(path, back, &err), VX11_ENOT_FOUND);
    assert_int_equal(auth_token_file_write(path, "not a token", &err), VX11_EINVALID);
    assert_int_equal(auth_token_file_write(path, token, &err), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(auth_token_file_read(path, back, &err), 0);
    assert_string_equal(back, token);
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(auth_token_file_read(path, back, &err), VX11_EPERMISSION);
    assert_non_null(strstr(err.text, "chmod 600 "));
    assert_int_equal(chmod(path, 0600), 0);
    int fd = open(path, O_WRONLY | O_TRUNC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "garbage\n", 8), 8);
    close(fd);
    assert_int_equal(auth_token_file_read(path, back, &err), VX11_ECORRUPT);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_scopes),
        cmocka_unit_test(test_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
