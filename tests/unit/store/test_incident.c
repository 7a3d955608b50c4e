/* Incidents: the same thing seen again is the same row. */
#include "helper.h"

#include <string.h>

#include "store/incident.h"

#define NOW INT64_C(1700000000000)

static struct incident_sight sight_at(int64_t at)
{
    return (struct incident_sight){.kind = "fs_drift",
                                   .source = "scanner_fs",
                                   .location = "docs/a",
                                   .detail = "missing",
                                   .severity = INCIDENT_WARNING,
                                   .first_at = at,
                                   .last_at = at,
                                   .count = 1};
}

static void test_fingerprint(void **state)
{
    (void)state;
    unsigned char a[INCIDENT_FINGERPRINT], b[INCIDENT_FINGERPRINT];
    incident_fingerprint("ab", "c", "", a);
    incident_fingerprint("a", "bc", "", b);
    assert_memory_not_equal(a, b, sizeof a);
    incident_fingerprint("a", "bc", "", a);
    assert_memory_equal(a, b, sizeof a);
}

static void test_seen_again(void **state)
{
    struct place *p = *state;
    struct store *s = open_store(p->path);
    struct error err = {0};
    bool added = false;
    struct incident_sight one = sight_at(NOW);
    assert_ok(incident_see(s, &one, &added, &err), err);
    assert_true(added);
    one = sight_at(NOW + 5);
    one.severity = INCIDENT_CRITICAL;
    one.detail = NULL;
    assert_ok(incident_see(s, &one, &added, &err), err);
    assert_false(added);
    /* older: it counts and widens, and does not overwrite what is newer */
    one = sight_at(NOW - 5);
    one.count = 3;
    assert_ok(incident_see(s, &one, NULL, &err), err);
    one = sight_at(NOW);
    one.location = "docs/b";
    assert_ok(incident_see(s, &one, &added, &err), err);
    assert_true(added);
    assert_int_equal(query_int(s, "SELECT count(*) FROM incident"), 2);
    assert_int_equal(
        query_int(s, "SELECT count FROM incident WHERE location = 'docs/a' AND severity = 'critical'"
                     " AND detail IS NULL AND first_seen_at = 1699999999995"
                     " AND last_seen_at = 1700000000005"),
        5);
    store_close(s);
}

static void test_opens_again(void **state)
{
    struct place *p = *state;
    struct store *s = open_store(p->path);
    struct error err = {0};
    struct incident_sight one = sight_at(NOW);
    assert_ok(incident_see(s, &one, NULL, &err), err);
    assert_ok(store_exec(s, "UPDATE incident SET state = 'resolved', resolved_at = 1700000000100", NULL, 0,
                         NULL, &err),
              err);
    one = sight_at(NOW + 50); /* seen before it was resolved */
    assert_ok(incident_see(s, &one, NULL, &err), err);
    assert_int_equal(
        query_int(s, "SELECT count(*) FROM incident WHERE state = 'resolved' AND resolved_at > 0"), 1);
    one = sight_at(NOW + 200);
    assert_ok(incident_see(s, &one, NULL, &err), err);
    assert_int_equal(
        query_int(s, "SELECT count(*) FROM incident WHERE state = 'open' AND resolved_at IS NULL"), 1);
    assert_ok(store_exec(s, "UPDATE incident SET state = 'suppressed'", NULL, 0, NULL, &err), err);
    one = sight_at(NOW + 300);
    assert_ok(incident_see(s, &one, NULL, &err), err);
    assert_int_equal(query_int(s, "SELECT count(*) FROM incident WHERE state = 'suppressed' AND count = 4"),
                     1);
    store_close(s);
}

static void test_refuses(void **state)
{
    struct place *p = *state;
    struct store *s = open_store(p->path);
    struct error err = {0};
    struct incident_sight bad = sight_at(NOW);
    bad.kind = NULL;
    assert_code(VX11_EINVALID, incident_see(s, &bad, NULL, &err), err);
    bad = sight_at(NOW);
    bad.count = 0;
    assert_code(VX11_EINVALID, incident_see(s, &bad, NULL, &err), err);
    bad = sight_at(NOW);
    bad.first_at = NOW + 1;
    assert_code(VX11_EINVALID, incident_see(s, &bad, NULL, &err), err);
    bad = sight_at(NOW);
    bad.kind = "";
    assert_code(VX11_EINVALID, incident_see(s, &bad, NULL, &err), err);
    assert_int_equal(query_int(s, "SELECT count(*) FROM incident"), 0);
    store_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fingerprint),
        cmocka_unit_test_setup_teardown(test_seen_again, place_setup_fast, place_teardown),
        cmocka_unit_test_setup_teardown(test_opens_again, place_setup_fast, place_teardown),
        cmocka_unit_test_setup_teardown(test_refuses, place_setup_fast, place_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
