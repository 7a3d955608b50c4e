/* Tokens, sessions and login codes. */
#include "helper.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/tokens.h"

#define NOW INT64_C(1700000000000)

static const unsigned char *hash_of(int n)
{
    static unsigned char hash[TOKEN_HASH_LEN];
    memset(hash, n, sizeof hash);
    return hash;
}

struct names {
    char text[256];
};

static int add_name(void *ctx, const struct token_row *t)
{
    struct names *names = ctx;
    size_t len = strlen(names->text);
    snprintf(names->text + len, sizeof names->text - len, "%s%s%s%s", len ? " " : "", t->name,
             t->next ? "+" : "", t->revoked_at ? "!" : "");
    return 0;
}

static void expect_names(struct store *s, bool all, int64_t now, const char *want)
{
    struct error err = {0};
    struct names names = {""};
    assert_ok(token_list(s, all, now, add_name, &names, &err), err);
    assert_string_equal(names.text, want);
}

static void test_create_and_find(void **state)
{
    struct place *p = *state;
    struct store *s = open_store(p->path);
    struct error err = {0};
    struct token_row t;
    char id[ULID_LEN + 1], other[ULID_LEN + 1];
    assert_ok(token_create(s, "tests", "first", "admin", hash_of(1), 0, NOW, id, &err), err);
    assert_true(ulid_valid(id));
    assert_ok(token_create(s, "tests", "second", "read,chat", hash_of(2), NOW + 1000, NOW, other, &err), err);
    assert_ok(token_find(s, id, false, &t, &err), err);
    assert_string_equal(t.id, id);
    assert_string_equal(t.name, "first");
    assert_string_equal(t.scopes, "admin");
    assert_memory_equal(t.hash, hash_of(1), TOKEN_HASH_LEN);
    assert_true(!t.next && t.created_at == NOW && t.expires_at == 0 && t.revoked_at == 0 &&
                t.last_used_at == 0);
    assert_ok(token_find(s, "second", false, &t, &err), err);
    assert_string_equal(t.id, other);
    assert_true(t.expires_at == NOW + 1000);
    assert_code(VX11_ENOT_FOUND, token_find(s, "third", false, &t, &err), err);
    assert_code(VX11_ENOT_FOUND, token_find(s, "first", true, &t, &err), err);
    expect_names(s, false, NOW, "first second");
    expect_names(s, false, NOW + 1000, "first");
    expect_names(s, true, NOW + 1000, "first second");
    store_close(s);
}

static void test_create_refuses(void **state)
{
    struct place *p = *state;
    struct store *s = open_store(p->path);
    struct error err = {0};
    char id[ULID_LEN + 1], again[ULID_LEN + 1], name[70];
    assert_ok(token_create(s, "tests", "name", "read", hash_of(1), NOW + 10, NOW, id, &err), err);
    assert_code(VX11_EEXISTS, token_create(s, "tests", "name", "read", hash_of(2), 0, NOW, again, &err), err);
    assert_code(VX11_EEXISTS, token_create(s, "tests", "other", "read", hash_of(1), 0, NOW, again, &err),
                err);
    assert_code(VX11_EINVALID, token_create(s, "tests", "", "read", hash_of(2), 0, NOW, again, &err), err);
    assert_code(VX11_EINVALID, token_create(s, "tests", id, "read", hash_of(2), 0, NOW, again, &err), err);
    assert_code(VX11_EINVALID, token_create(s, "tests", "\xff", "read", hash_of(2), 0, NOW, again, &err),
                err);
    assert_code(VX11_EINVALID, token_create(s, "tests", "scopeless", "", hash_of(2), 0, NOW, again, &err),
                err);
    memset(name, 'n', 64);
    name[64] = '\0';
    assert_code(VX11_EINVALID, token_create(s, "tests", name, "read", hash_of(2), 0, NOW, again, &err), err);
    /* An expired one makes room for its name. */
    assert_ok(token_create(s, "tests", "name", "read", hash_of(2), 0, NOW + 10, again, &err), err);
    expect_names(s, true, NOW + 10, "name! name");
    store_close(s);
}

static void test_rotate(void **state)
{
    struct place *p = *state;
    struct store *s = open_store(p->path);
    struct error err = {0};
    struct token_row t;
    char first[ULID_LEN + 1], second[ULID_LEN + 1], third[ULID_LEN + 1];
    assert_ok(token_create(s, "tests", "page", "read,act", hash_of(1), NOW + 5000, NOW, first, &err), err);
    assert_code(VX11_ENOT_FOUND, token_promote(s, "tests", "page", NOW, &err), err);
    assert_ok(token_find(s, "page", false, &t, &err), err); /* a promotion that fails takes nothing away */
    assert_code(VX11_ENOT_FOUND, token_rotate(s, "tests", "nobody", hash_of(9), NOW, second, &err), err);
    assert_code(VX11_ENOT_FOUND, token_rotate(s, "tests", "page", hash_of(9), NOW + 5000, second, &err), err);
    assert_ok(token_rotate(s, "tests", "page", hash_of(2), NOW + 1, second, &err), err);
    expect_names(s, false, NOW + 1, "page page+");
    assert_ok(token_find(s, "page", true, &t, &err), err);
    assert_string_equal(t.id, second);
    assert_string_equal(t.scopes, "read,act");
    assert_true(t.expires_at == NOW + 5000);
    assert_ok(token_rotate(s, "tests", "page", hash_of(3), NOW + 2, third, &err), err);
    expect_names(s, true, NOW + 2, "page page+! page+");
    assert_ok(token_promote(s, "tests", "page", NOW + 3, &err), err);
    expect_names(s, false, NOW + 3, "page");
    assert_ok(token_find(s, "page", false, &t, &err), err);
    assert_string_equal(t.id, third);
    assert_ok(token_find(s, first, false, &t, &err), err);
    assert_true(t.revoked_at == NOW + 3);
    store_close(s);
}

static void test_revoke(void **state)
{
    struct place *p = *state;
    struct store *s = open_store(p->path);
    struct error err = {0};
    char id[ULID_LEN + 1], next[ULID_LEN + 1];
    assert_ok(token_create(s, "tests", "a", "read", hash_of(1), 0, NOW, id, &err), err);
    assert_ok(token_rotate(s, "tests", "a", hash_of(2), NOW, next, &err), err);
    assert_ok(token_revoke(s, "tests", next, NOW, &err), err);
    expect_names(s, false, NOW, "a");
    assert_code(VX11_ENOT_FOUND, token_revoke(s, "tests", next, NOW, &err), err);
    assert_ok(token_rotate(s, "tests", "a", hash_of(3), NOW, next, &err), err);
    assert_ok(token_revoke(s, "tests", "a", NOW, &err), err);
    expect_names(s, false, NOW, "");
    assert_code(VX11_ENOT_FOUND, token_revoke(s, "tests", "a", NOW, &err), err);
    assert_ok(token_create(s, "tests", "a", "read", hash_of(4), 0, NOW, id, &err), err);
    store_close(s);
}

static void test_touch(void **state)
{
    struct place *p = *state;
    struct store *s = open_store(p->path);
    struct writer *w = open_writer(p->path, NULL);
    struct error err = {0};
    struct token_row t;
    struct session_row session;
    char id[ULID_LEN + 1], session_id[ULID_LEN + 1];
    assert_ok(token_create(s, "tests", "a", "read", hash_of(1), 0, NOW, id, &err), err);
    assert_ok(session_create(s, hash_of(1), "read", NULL, NOW + 1000000, NOW, session_id, &err), err);
    static const int64_t times[] = {5, 6, 60004, 60005, 60006};
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        assert_int_equal(token_touch(w, id, NOW + times[i]), 0);
        assert_int_equal(session_touch(w, session_id, NOW + times[i]), 0);
    }
    assert_int_equal(writer_flush(w, 5000), 0);
    assert_ok(token_find(s, id, false, &t, &err), err);
    assert_true(t.last_used_at == NOW + 60005);
    assert_ok(session_find(s, hash_of(1), NOW, &session, &err), err);
    assert_true(session.last_seen_at == NOW + 60004);
    assert_int_equal(writer_stop(w, 1000), 0);
    store_close(s);
}

static int count_session(void *ctx, const struct session_row *t)
{
    assert_true(ulid_valid(t->id));
    ++*(int *)ctx;
    return 0;
}

static void test_sessions(void **state)
{
    struct place *p = *state;
    struct store *s = open_store(p->path);
    struct error err = {0};
    struct session_row t;
    char id[ULID_LEN + 1], other[ULID_LEN + 1], agent[400];
    memset(agent, 'a', 254);
    memcpy(agent + 254, "\xc3\xb1 and more", 12);
    assert_ok(session_create(s, hash_of(1), "read,chat", agent, NOW + 1000, NOW, id, &err), err);
    assert_ok(session_create(s, hash_of(2), "read", "\xff", NOW + 2000, NOW, other, &err), err);
    assert_code(VX11_EEXISTS, session_create(s, hash_of(2), "read", "", NOW + 2000, NOW, other, &err), err);
    assert_ok(session_find(s, hash_of(1), NOW + 999, &t, &err), err);
    assert_string_equal(t.id, id);
    assert_string_equal(t.scopes, "read,chat");
    assert_int_equal(strlen(t.user_agent), 254);
    assert_true(t.created_at == NOW && t.last_seen_at == NOW && t.expires_at == NOW + 1000);
    assert_code(VX11_ENOT_FOUND, session_find(s, hash_of(1), NOW + 1000, &t, &err), err);
    assert_code(VX11_ENOT_FOUND, session_find(s, hash_of(3), NOW, &t, &err), err);
    assert_ok(session_find(s, hash_of(2), NOW, &t, &err), err);
    assert_string_equal(t.user_agent, "");
    int count = 0;
    assert_ok(session_list(s, NOW + 1000, count_session, &count, &err), err);
    assert_int_equal(count, 1);
    assert_ok(session_delete(s, id, &err), err);
    assert_code(VX11_ENOT_FOUND, session_delete(s, id, &err), err);
    store_close(s);
}

static void test_login_codes(void **state)
{
    struct place *p = *state;
    struct store *s = open_store(p->path);
    struct error err = {0};
    assert_ok(login_code_create(s, "tests", hash_of(1), NOW + 1000, NOW, &err), err);
    assert_ok(login_code_create(s, "tests", hash_of(2), NOW + 1000, NOW, &err), err);
    assert_code(VX11_EEXISTS, login_code_create(s, "tests", hash_of(1), NOW + 1000, NOW, &err), err);
    assert_ok(login_code_consume(s, hash_of(1), NOW + 999, &err), err);
    assert_code(VX11_ENOT_FOUND, login_code_consume(s, hash_of(1), NOW + 999, &err), err);
    assert_has(err.text, "used already");
    assert_code(VX11_ENOT_FOUND, login_code_consume(s, hash_of(2), NOW + 1000, &err), err);
    assert_has(err.text, "expired");
    assert_code(VX11_ENOT_FOUND, login_code_consume(s, hash_of(3), NOW, &err), err);
    assert_has(err.text, "no such");
    store_close(s);
}

static int consume(void *ctx)
{
    struct error err = {0};
    struct store *s = open_store(ctx);
    int rc = login_code_consume(s, hash_of(7), NOW, &err);
    store_close(s);
    return rc == 0 ? 0 : rc == VX11_ENOT_FOUND ? 1 : 2;
}

static void test_one_of_many_gets_in(void **state)
{
    struct place *p = *state;
    struct error err = {0};
    struct store *s = open_store(p->path);
    assert_ok(login_code_create(s, "tests", hash_of(7), NOW + 1000, NOW, &err), err);
    store_close(s);
    int pids[5], in = 0;
    for (int i = 0; i < 5; i++)
        pids[i] = start_process(consume, p->path);
    for (int i = 0; i < 5; i++) {
        int status = wait_process(pids[i]);
        if (status == 0)
            in++;
        else
            assert_exit(status, 1);
    }
    assert_int_equal(in, 1);
}

static void test_purge(void **state)
{
    struct place *p = *state;
    struct store *s = open_store(p->path);
    struct error err = {0};
    char id[ULID_LEN + 1];
    const int64_t month = INT64_C(2592000000);
    uint64_t deleted = 0;
    assert_ok(token_create(s, "tests", "stays", "read", hash_of(1), 0, NOW, id, &err), err);
    assert_ok(token_create(s, "tests", "expires", "read", hash_of(2), NOW + 10, NOW, id, &err), err);
    assert_ok(token_create(s, "tests", "revoked", "read", hash_of(3), 0, NOW, id, &err), err);
    assert_ok(token_revoke(s, "tests", "revoked", NOW + 20, &err), err);
    assert_ok(session_create(s, hash_of(1), "read", NULL, NOW + 10, NOW, id, &err), err);
    assert_ok(login_code_create(s, "tests", hash_of(1), NOW + 10, NOW, &err), err);
    assert_ok(token_purge(s, NOW + 9, &deleted, &err), err);
    assert_int_equal(deleted, 0);
    assert_ok(token_purge(s, NOW + 10, &deleted, &err), err);
    assert_int_equal(deleted, 2);
    assert_ok(token_purge(s, NOW + 10 + month, NULL, &err), err);
    expect_names(s, true, NOW, "stays revoked!");
    assert_ok(token_purge(s, NOW + 20 + month, &deleted, &err), err);
    expect_names(s, true, NOW, "stays");
    store_close(s);
}

int main(void)
{
#define IN_PLACE(test) cmocka_unit_test_setup_teardown(test, place_setup_fast, place_teardown)
    const struct CMUnitTest tests[] = {
        IN_PLACE(test_create_and_find), IN_PLACE(test_create_refuses),
        IN_PLACE(test_rotate),          IN_PLACE(test_revoke),
        IN_PLACE(test_touch),           IN_PLACE(test_sessions),
        IN_PLACE(test_login_codes),     IN_PLACE(test_one_of_many_gets_in),
        IN_PLACE(test_purge),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
