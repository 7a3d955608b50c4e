/* The ledger of a real system: what is decided and changed gets a row, each change to the chain is found, and
 * an export is verified without any database. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <signal.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include "system.h"

static struct system sys;

static int start(void **state)
{
    (void)state;
    system_start(&sys, "switch:\n  breaker_open_ms: 800\n");
    return 0;
}

static int stop(void **state)
{
    (void)state;
    system_remove(&sys);
    return 0;
}

#define RUN(out, ...) system_run(&sys, out, (const char *const[]){__VA_ARGS__, NULL})

static void run_fine(struct buf *out, const char *const *args)
{
    buf_clear(out);
    int code = system_run(&sys, out, args);
    if (code != 0)
        fail_msg("vx11 %s %s: exit %d: %s", args[0], args[1], code, out->data);
}
#define FINE(out, ...) run_fine(out, (const char *const[]){__VA_ARGS__, NULL})

static int64_t rows_of(const char *kind, const char *more)
{
    char sql[300];
    snprintf(sql, sizeof sql, "SELECT count(*) FROM ledger WHERE kind = '%s' %s", kind, more);
    return system_count(&sys, sql);
}

static void edit(const char *sql)
{
    sqlite3 *db = NULL;
    char *message = NULL;
    assert_int_equal(sqlite3_open(system_path(&sys, "vx11.db"), &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 5000);
    if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK)
        fail_msg("%s: %s", sql, message);
    sqlite3_close(db);
}

/* Each kind of thing, once, and by whom. */
static void what_happens_is_noted(void **state)
{
    struct buf out = BUF_INIT;
    struct http_reply r;
    struct stat st;
    (void)state;
    assert_int_equal(rows_of("start", ""), 1);
    assert_int_equal(rows_of("token.created", "AND subject = 'owner' AND actor = 'supervisor'"), 1);
    FINE(&out, "token", "create", "laptop", "--scope", "read");
    assert_int_equal(rows_of("token.created", "AND subject = 'laptop' AND actor = 'cli'"), 1);
    FINE(&out, "token", "rotate", "laptop");
    FINE(&out, "token", "limits", "laptop", "--concurrent", "2");
    FINE(&out, "token", "promote", "laptop");
    FINE(&out, "token", "revoke", "laptop");
    static const char *const kinds[] = {"token.rotated", "token.limits", "token.promoted", "token.revoked"};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        assert_int_equal(rows_of(kinds[i], "AND subject = 'laptop'"), 1);
    FINE(&out, "login");
    assert_int_equal(rows_of("login.link", ""), 1);
    FINE(&out, "modules", "set", "switch", "standby");
    FINE(&out, "modules", "set", "switch", "active");
    assert_int_equal(rows_of("module.state", "AND subject = 'switch' AND detail LIKE '%\"to\":\"standby\"%'"),
                     1);
    assert_int_equal(rows_of("module.state", "AND subject = 'switch'"), 2);
    system_config(&sys, "switch:\n  breaker_open_ms: 900\n");
    FINE(&out, "config", "reload");
    assert_int_equal(rows_of("config.reload", "AND detail LIKE '%switch.breaker_open_ms%'"), 1);
    system_control(&sys, &r, "/supervisor/modules/switch/restart", "{\"reason\":\"for the test\"}");
    assert_status(&r, 200);
    http_free(&r);
    assert_int_equal(rows_of("module.restart", "AND detail LIKE '%for the test%'"), 1);
    system_control(&sys, &r, "/supervisor/modules/operator/state",
                   "{\"state\":\"standby\",\"confirm\":\"operator\"}");
    assert_status(&r, 200);
    http_free(&r);
    assert_int_equal(rows_of("confirmation.given", "AND subject = 'operator'"), 1);
    FINE(&out, "modules", "set", "operator", "active");
    FINE(&out, "ledger", "verify");
    assert_non_null(strstr(out.data, "is sound"));
    assert_int_equal(stat(system_path(&sys, "vx11.db.ledger"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    /* No secret is in it. */
    FINE(&out, "ledger", "export");
    assert_null(strstr(out.data, sys.token));
    assert_null(strstr(out.data, "vx11_"));
    buf_free(&out);
}

static void over_http(void **state)
{
    struct http_reply r;
    char token[128];
    struct http_at link = system_link(&sys), socket = system_supervisor(&sys);
    (void)state;
    http(&r, &link, "GET", "/supervisor/ledger?limit=3", NULL);
    assert_status(&r, 200);
    int64_t n = http_int(&r, "/rows/0/n");
    assert_true(n > 3);
    assert_int_equal(http_int(&r, "/rows/2/n"), n - 2);
    assert_int_equal(http_int(&r, "/next_before"), n - 2);
    assert_int_equal(strlen(http_text(&r, "/rows/0/hash")), 64);
    assert_string_equal(http_text(&r, "/rows/0/prev"), http_text(&r, "/rows/1/hash"));
    assert_non_null(strchr(http_text(&r, "/head"), ':'));
    http_free(&r);
    http(&r, &socket, "GET", "/supervisor/ledger?kind=token.&after=0&limit=2", NULL);
    assert_status(&r, 200);
    assert_string_equal(http_text(&r, "/rows/0/kind"), "token.created");
    assert_string_equal(http_text(&r, "/rows/0/subject"), "owner");
    assert_int_equal(strlen(http_text(&r, "/rows/0/detail/id")), 26);
    http_free(&r);
    http(&r, &socket, "GET", "/supervisor/ledger?kind=No", NULL);
    assert_error(&r, 400, "bad_kind");
    http_free(&r);
    http(&r, &link, "GET", "/supervisor/ledger/verify", NULL);
    assert_status(&r, 200);
    assert_string_equal(http_text(&r, "/fault"), "sound");
    assert_int_equal(http_int(&r, "/rows"), n);
    http_free(&r);
    system_token(&sys, "reader", "read,chat", token);
    link.token = token;
    /* once the modules have heard of it */
    eventually(10000, http_status(&link, "GET", "/supervisor/ledger", NULL) == 403);
    assert_int_equal(http_status(&link, "GET", "/supervisor/ledger/verify", NULL), 403);
}

static void exports(void **state)
{
    struct buf out = BUF_INIT, text = BUF_INIT;
    char file[200], kept[100];
    static const char *const formats[] = {"jsonl", "json"};
    (void)state;
    snprintf(file, sizeof file, "%s/export", sys.home);
    for (int i = 0; i < 2; i++) {
        FINE(&out, "ledger", "export", "--output", file, "--format", formats[i], "--force");
        FINE(&out, "ledger", "verify", "--file", file);
        assert_non_null(strstr(out.data, "is sound"));
        buf_clear(&text);
        system_read(&sys, "export", &text);
        char *at = strstr(text.data, "\"cli\"");
        assert_non_null(at);
        at[1] = 'C'; /* one byte */
        FILE *f = fopen(file, "w");
        assert_true(f && fwrite(text.data, 1, text.len, f) == text.len && fclose(f) == 0);
        buf_clear(&out);
        assert_int_equal(RUN(&out, "ledger", "verify", "--file", file), 1);
        assert_non_null(strstr(out.data, "NOT sound (contents)"));
    }
    buf_clear(&out);
    assert_int_equal(RUN(&out, "ledger", "export", "--output", file), 1);
    assert_non_null(strstr(out.data, "--force"));
    buf_clear(&out);
    assert_int_equal(RUN(&out, "ledger", "verify", "--file", "/nowhere"), 3);
    snprintf(kept, sizeof kept, "%s",
             system_row(&sys, "SELECT n || ':' || lower(hex(hash)) FROM ledger WHERE n = 2"));
    FINE(&out, "ledger", "verify", "--head", kept);
    kept[strlen(kept) - 1] = kept[strlen(kept) - 1] == '0' ? '1' : '0';
    buf_clear(&out);
    assert_int_equal(RUN(&out, "ledger", "verify", "--head", kept), 1);
    assert_non_null(strstr(out.data, "(head)"));
    FINE(&out, "ledger", "tail", "-n", "1", "--json");
    assert_non_null(strstr(out.data, "\"hash\""));
    buf_clear(&out);
    assert_int_equal(RUN(&out, "ledger", "nothing"), 64);
    assert_int_equal(RUN(&out, "ledger", "tail", "-n", "0"), 64);
    assert_int_equal(RUN(&out, "ledger", "tail", "--kind", "A"), 64);
    buf_free(&out);
    buf_free(&text);
}

/* While it runs, by somebody who may write the file. */
static void tampering_is_found(void **state)
{
    struct buf out = BUF_INIT;
    struct http_reply r;
    struct http_at socket = system_supervisor(&sys);
    char guard[600], sql[900], line[100];
    (void)state;
    snprintf(guard, sizeof guard, "%s",
             system_row(&sys, "SELECT sql FROM sqlite_schema WHERE name = 'ledger_no_update'"));
    snprintf(sql, sizeof sql,
             "DROP TRIGGER ledger_no_update; UPDATE ledger SET actor = 'evy' WHERE n = 3; %s", guard);
    edit(sql);
    buf_clear(&out);
    assert_int_equal(RUN(&out, "ledger", "verify"), 1);
    snprintf(line, sizeof line, "the contents of row 3 (%s)",
             system_row(&sys, "SELECT id FROM ledger WHERE n = 3"));
    assert_non_null(strstr(out.data, line));
    http(&r, &socket, "GET", "/supervisor/ledger/verify", NULL);
    assert_status(&r, 200);
    assert_string_equal(http_text(&r, "/fault"), "contents");
    assert_int_equal(http_int(&r, "/n"), 3);
    assert_int_equal(http_int(&r, "/bad"), 1);
    http_free(&r);
    /* Without touching the trigger's definition by SQL: the schema's own rows. */
    edit("PRAGMA writable_schema = 1; DELETE FROM sqlite_schema WHERE name = 'ledger_no_delete';");
    edit("DELETE FROM ledger WHERE n > (SELECT max(n) - 2 FROM ledger)");
    buf_clear(&out);
    assert_int_equal(RUN(&out, "ledger", "verify", "--json"), 1);
    assert_non_null(strstr(out.data, "\"missing\": 2"));
    assert_non_null(strstr(out.data, "\"n\": 3")); /* the first one is what is told */
    buf_free(&out);
}

static void stop_is_noted(void **state)
{
    (void)state;
    system_stop(&sys);
    assert_int_equal(rows_of("stop", "AND actor = 'signal'"), 1);
    assert_string_equal(system_row(&sys, "SELECT kind FROM ledger ORDER BY n DESC LIMIT 1"), "stop");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_happens_is_noted), cmocka_unit_test(over_http),     cmocka_unit_test(exports),
        cmocka_unit_test(tampering_is_found),    cmocka_unit_test(stop_is_noted),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
