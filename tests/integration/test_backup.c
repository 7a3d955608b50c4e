/* Backups and chores on a real system: by schedule, by request, by command; what a failed one does to the
 * supervisor's health; and the way back from a backup. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "system.h"

static struct system sys;

#define CONFIG                                                                                               \
    "supervisor:\n"                                                                                          \
    "  chores: {settle_ms: 0, retry_ms: 3600000, verify_every_ms: 0, check_every_ms: 0, doctor_every_ms: 0," \
    " maintain_every_ms: 0}\n"

static int start(void **state)
{
    (void)state;
    system_start(&sys, CONFIG);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    system_remove(&sys);
    return 0;
}

/* ---- helpers ---- */

/* Starts a chore and waits for its end; how it ended. r keeps the reply. */
static const char *chore(struct http_reply *r, const char *body)
{
    static char state[32];
    char path[128];
    const struct http_at at = system_supervisor(&sys);
    http(r, &at, "POST", "/supervisor/chores", body);
    assert_status(r, 202);
    snprintf(path, sizeof path, "/supervisor/chores/%s", http_text(r, "/id"));
    for (int i = 0; i < 3000; i++) {
        http_free(r);
        http(r, &at, "GET", path, NULL);
        assert_status(r, 200);
        snprintf(state, sizeof state, "%s", http_text(r, "/state"));
        if (strcmp(state, "queued") != 0 && strcmp(state, "running") != 0)
            return state;
        sleep_ms(20);
    }
    fail_msg("%s does not end: %s", path, state);
    return NULL;
}

static int run(struct buf *out, const char *const *args)
{
    buf_clear(out);
    return system_run(&sys, out, args);
}
#define RUN(out, ...) run(out, (const char *const[]){__VA_ARGS__, NULL})

/* The newest backup's name. */
static const char *newest(void)
{
    static char name[256];
    struct http_reply r;
    const struct http_at at = system_supervisor(&sys);
    http(&r, &at, "GET", "/supervisor/backups", NULL);
    assert_status(&r, 200);
    snprintf(name, sizeof name, "%s", http_text(&r, "/backups/0/name"));
    http_free(&r);
    return name;
}

static bool supervisor_degraded(const char *why)
{
    struct http_reply r;
    const struct http_at at = system_supervisor(&sys);
    http(&r, &at, "GET", "/health", NULL);
    const bool is = r.raw.body.data && strstr(r.raw.body.data, why);
    http_free(&r);
    return is;
}

/* ---- tests ---- */

static void comes_by_schedule(void **state)
{
    (void)state;
    eventually(20000, system_count(
                          &sys, "SELECT count(*) FROM chore WHERE kind = 'backup' AND state = 'done'") == 1);
    struct http_reply r;
    const struct http_at at = system_supervisor(&sys);
    http(&r, &at, "GET", "/supervisor/backups", NULL);
    assert_status(&r, 200);
    assert_string_equal(http_text(&r, "/backups/0/kind"), "monthly"); /* the first of all */
    assert_true(http_int(&r, "/backups/0/rows") > 0);
    http_free(&r);
    http(&r, &at, "GET", "/supervisor/chores", NULL);
    assert_status(&r, 200);
    assert_string_equal(http_text(&r, "/schedule/0/kind"), "backup");
    assert_true(http_int(&r, "/schedule/0/next_at") >
                http_int(&r, "/schedule/0/last_done_at") + http_int(&r, "/schedule/0/every_ms") - 1);
    assert_string_equal(http_text(&r, "/chores/0/asked_by"), "schedule");
    http_free(&r);
    /* it is not due again */
    sleep_ms(5000);
    assert_int_equal(system_count(&sys, "SELECT count(*) FROM chore WHERE kind = 'backup'"), 1);
    struct stat st;
    assert_int_equal(stat(system_path(&sys, "backups"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
}

static void comes_when_asked(void **state)
{
    (void)state;
    struct http_reply r;
    const struct http_at at = system_supervisor(&sys);
    assert_string_equal(chore(&r, "{\"kind\":\"backup\"}"), "done");
    assert_string_equal(http_text(&r, "/output/kind"), "manual");
    assert_int_equal(http_int(&r, "/exit_code"), 0);
    char path[128];
    snprintf(path, sizeof path, "/supervisor/chores/%s", http_text(&r, "/id"));
    http_free(&r);
    http(&r, &at, "DELETE", path, NULL);
    assert_error(&r, 409, "chore_ended");
    http_free(&r);
    assert_int_equal(http_status(&at, "GET", "/supervisor/chores/01ARZ3NDEKTSV4RRFFQ69G5FAV", NULL), 404);
    http(&r, &at, "POST", "/supervisor/chores", "{\"kind\":\"backup\",\"name\":\"x\"}");
    assert_status(&r, 400);
    http_free(&r);
    /* and through the front door, for those who may */
    const struct http_at link = system_link(&sys);
    assert_int_equal(http_status(&link, "GET", "/supervisor/backups", NULL), 200);
}

static void says_what_failed(void **state)
{
    (void)state;
    struct http_reply r;
    char file[512], body[400];
    snprintf(file, sizeof file, "%s/%s", system_path(&sys, "backups"), newest());
    FILE *f = fopen(file, "r+");
    assert_non_null(f);
    fseek(f, 3000, SEEK_SET);
    const int byte = fgetc(f);
    fseek(f, 3000, SEEK_SET);
    fputc(byte ^ 4, f);
    fclose(f);
    snprintf(body, sizeof body, "{\"kind\":\"verify\",\"name\":\"%s\"}", newest());
    assert_string_equal(chore(&r, body), "failed");
    assert_non_null(strstr(http_text(&r, "/reason"), "SHA-256"));
    http_free(&r);
    assert_true(supervisor_degraded("SHA-256"));
    f = fopen(file, "r+");
    fseek(f, 3000, SEEK_SET);
    fputc(byte, f);
    fclose(f);
    assert_string_equal(chore(&r, "{\"kind\":\"verify\"}"), "done");
    http_free(&r);
    assert_false(supervisor_degraded("SHA-256"));
}

static void commands(void **state)
{
    (void)state;
    struct buf out = BUF_INIT;
    char key[256], other[256];
    snprintf(key, sizeof key, "%s", system_path(&sys, "key"));
    snprintf(other, sizeof other, "%s", system_path(&sys, "other"));
    assert_int_equal(RUN(&out, "db", "backup", "--new-key", key), 0);
    assert_int_equal(RUN(&out, "db", "backup", "--new-key", key), 1);
    assert_int_equal(RUN(&out, "db", "backup", "--new-key", other), 0);
    assert_int_equal(RUN(&out, "db", "backup", "--encrypt"), 78); /* no key is configured */
    assert_int_equal(RUN(&out, "db", "backup", "--compress", "--key-file", key, "--json"), 0);
    assert_non_null(strstr(out.data, "\"encrypted\": true"));
    char sealed[256];
    snprintf(sealed, sizeof sealed, "%s", newest());
    assert_true(str_ends(sealed, ".db.zst.sealed"));
    assert_int_equal(RUN(&out, "db", "verify", sealed, "--key-file", key), 0);
    assert_int_equal(RUN(&out, "db", "verify", sealed, "--key-file", other), 1);
    assert_non_null(strstr(out.data, "another one"));
    assert_int_equal(RUN(&out, "db", "verify", "vx11-nothing.db"), 1);
    assert_int_equal(RUN(&out, "db", "verify"), 64);
    assert_int_equal(RUN(&out, "db", "list"), 0);
    assert_non_null(strstr(out.data, sealed));
    assert_int_equal(RUN(&out, "db", "prune", "--dry-run"), 0);
    assert_int_equal(RUN(&out, "db", "prune", "--json"), 0);
    assert_int_equal(RUN(&out, "db", "restore", sealed, "--yes"), 1);
    assert_non_null(strstr(out.data, "--stop"));
    assert_int_equal(RUN(&out, "db", "restore", sealed), 64);
    unlink(other);
    buf_free(&out);
}

static void comes_back(void **state)
{
    (void)state;
    struct buf out = BUF_INIT;
    char sealed[256], key[256], token[sizeof sys.token];
    snprintf(sealed, sizeof sealed, "%s", newest());
    snprintf(key, sizeof key, "%s", system_path(&sys, "key"));
    snprintf(token, sizeof token, "%s", sys.token);
    char later[128];
    system_token(&sys, "later", "read", later);
    system_stop(&sys);
    assert_int_equal(RUN(&out, "db", "restore", sealed, "--yes", "--key-file", key, "--json"), 0);
    assert_non_null(strstr(out.data, "before-restore"));
    assert_int_equal(RUN(&out, "ledger", "verify"), 0);
    system_up(&sys);
    assert_string_equal(sys.token, token);
    assert_int_equal(system_count(&sys, "SELECT count(*) FROM auth_token WHERE name = 'later'"), 0);
    assert_int_equal(system_count(&sys, "SELECT count(*) FROM ledger WHERE kind = 'restore'"), 1);
    assert_int_equal(system_count(&sys, "SELECT count(*) FROM backup WHERE action = 'restore' AND ok = 1"),
                     1);
    buf_free(&out);
}

static void stops_clean(void **state)
{
    (void)state;
    system_stop(&sys);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comes_by_schedule), cmocka_unit_test(comes_when_asked),
        cmocka_unit_test(says_what_failed),  cmocka_unit_test(commands),
        cmocka_unit_test(comes_back),        cmocka_unit_test(stops_clean),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
