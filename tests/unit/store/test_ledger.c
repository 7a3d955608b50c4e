/* The ledger: appending, what keeps it append-only, and that a look at the chain finds and places whatever
 * was changed, taken away, added, moved or cut off; the same of its export. */
#include "helper.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/str.h"
#include "store/ledger/ledger.h"
#include "store/store_internal.h"

#define DROP_GUARDS                                                                                          \
    "DROP TRIGGER ledger_no_update; DROP TRIGGER ledger_no_delete; DROP TRIGGER ledger_only_at_end;"

static int group_setup(void **state)
{
    (void)state;
    log_set_level(LOG_OFF);
    return 0;
}

static void append_some(struct store *s, int rows)
{
    struct error err = {0};
    char n[16];
    for (int i = 1; i <= rows; i++) {
        snprintf(n, sizeof n, "%d", i);
        assert_ok(ledger_note(s, i % 2 ? "token.created" : "module.state", "ana", i % 3 ? "link" : NULL, &err,
                              "number", n, NULL),
                  err);
    }
}

static void fill(const char *path, int rows)
{
    struct store *s = open_store(path);
    append_some(s, rows);
    store_close(s);
}

static void verify(const char *path, struct ledger_report *out)
{
    struct error err = {0};
    struct store *s = open_store(path);
    assert_ok(ledger_verify(s, NULL, NULL, out, &err), err);
    store_close(s);
}

static void assert_found(const char *path, enum ledger_fault fault, int64_t n)
{
    struct ledger_report r;
    verify(path, &r);
    if (r.fault != fault || r.n != n)
        fail_msg("%s at row %lld instead of %s at %lld: %s", ledger_fault_name(r.fault), (long long)r.n,
                 ledger_fault_name(fault), (long long)n, r.reason);
    assert_true(fault == LEDGER_SOUND || r.reason[0]);
}

/* Where no trigger is in the way, and puts them back: what is found is found by the chain. */
static void tamper(const char *path, const char *sql)
{
    char guards[3][1000], all[8000];
    static const char *const names[] = {"ledger_no_update", "ledger_no_delete", "ledger_only_at_end"};
    for (int i = 0; i < 3; i++) {
        snprintf(all, sizeof all, "SELECT sql FROM sqlite_schema WHERE name = '%s'", names[i]);
        raw_text(path, all, guards[i], sizeof guards[i]);
    }
    snprintf(all, sizeof all,
             "PRAGMA ignore_check_constraints = 1; BEGIN; " DROP_GUARDS "%s; %s; %s; %s; COMMIT", sql,
             guards[0], guards[1], guards[2]);
    raw_exec(path, all);
}

/* ---- append ---- */

static int take_first(void *ctx, const struct ledger_row *row)
{
    char *text = ctx;
    snprintf(text, 300, "%lld %s %s %s %s", (long long)row->n, row->kind, row->actor,
             row->subject ? row->subject : "-", row->detail ? row->detail : "-");
    return 1;
}

static void test_append(void **state)
{
    struct place *p = *state;
    struct store *s = open_store(p->path);
    struct error err = {0};
    struct ledger_report r;
    struct ledger_head head;
    char text[300];
    assert_ok(ledger_verify(s, NULL, NULL, &r, &err), err);
    assert_int_equal(r.fault, LEDGER_SOUND);
    assert_int_equal(r.rows, 0);
    append_some(s, 1);
    assert_ok(ledger_append(s, &(struct ledger_entry){.kind = "start", .actor = "supervisor"}, &err), err);
    assert_ok(ledger_head(s, &head, &err), err);
    assert_int_equal(head.n, 2);
    assert_ok(ledger_verify(s, NULL, NULL, &r, &err), err);
    assert_int_equal(r.fault, LEDGER_SOUND);
    assert_int_equal(r.rows, 2);
    assert_true(r.anchored && r.anchor.n == 2 && r.first_at > 0 && r.last_at >= r.first_at);
    assert_memory_equal(r.anchor.hash, head.hash, sizeof head.hash);
    assert_int_equal(ledger_list(s, 0, NULL, 10, take_first, text, &err), 1);
    assert_string_equal(text, "1 token.created ana link {\"number\":\"1\"}");
    assert_int_equal(ledger_list_last(s, 0, NULL, 10, take_first, text, &err), 1);
    assert_string_equal(text, "2 start supervisor - -");
    assert_int_equal(ledger_list_last(s, 0, "token.", 10, take_first, text, &err), 1);
    assert_string_equal(text, "1 token.created ana link {\"number\":\"1\"}");
    assert_int_equal(ledger_list(s, 0, "tok", 10, take_first, text, &err), 0);
    assert_int_equal(ledger_list(s, 0, "start", 10, take_first, text, &err), 1);
    store_close(s);
    struct stat st;
    char anchor[200];
    snprintf(anchor, sizeof anchor, "%s.ledger", p->path);
    assert_int_equal(stat(anchor, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static int note_twice(void *ctx, struct store *s, struct error *err)
{
    int *rc = ctx;
    int done = ledger_note(s, "patch", "me", NULL, err, "a", "b", NULL);
    if (done == 0)
        done = ledger_note(s, "patch", "me", NULL, err, "a", NULL, "c", "d", NULL);
    return done != 0 ? done : *rc;
}

static void test_in_transactions(void **state)
{
    struct place *p = *state;
    struct store *s = open_store(p->path);
    struct error err = {0};
    struct ledger_report r;
    int rc = 0;
    assert_code(VX11_EINVALID, store_transaction(s, note_twice, &rc, &err), err);
    assert_has(err.text, "store_transaction_durable");
    assert_ok(store_transaction_durable(s, note_twice, &rc, &err), err);
    rc = 7;
    assert_int_equal(store_transaction_durable(s, note_twice, &rc, &err), 7);
    assert_int_equal(query_int(s, "SELECT count(*) FROM ledger"), 2);
    assert_ok(ledger_verify(s, NULL, NULL, &r, &err), err);
    assert_int_equal(r.fault, LEDGER_SOUND);
    assert_int_equal(r.anchor.n, 2);
    /* The connection is as quick as before afterwards. */
    int64_t level = 9;
    assert_ok(sql_int(s->write, "PRAGMA synchronous", &level, &err), err);
    assert_int_equal(level, 1);
    store_close(s);
}

static void test_refuses(void **state)
{
    struct place *p = *state;
    struct store *s = open_store(p->path);
    struct error err = {0};
    static const struct ledger_entry bad[] = {
        {.kind = NULL, .actor = "me"},
        {.kind = "", .actor = "me"},
        {.kind = "Token", .actor = "me"},
        {.kind = "token.", .actor = "me"},
        {.kind = "token created", .actor = "me"},
        {.kind = "start", .actor = NULL},
        {.kind = "start", .actor = ""},
        {.kind = "start", .actor = "me", .detail = ""},
        {.kind = "start", .actor = "me", .detail = "[1]"},
        {.kind = "start", .actor = "me", .detail = "{"},
        {.kind = "start", .actor = "me", .detail = "{\"a\":\"\xff\"}"},
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_code(VX11_EINVALID, ledger_append(s, &bad[i], &err), err);
    char *large = malloc(LEDGER_DETAIL_MAX + 20);
    memset(large, ' ', LEDGER_DETAIL_MAX + 10);
    memcpy(large, "{\"a\":1", 6);
    memcpy(large + LEDGER_DETAIL_MAX + 9, "}", 2);
    assert_code(VX11_EINVALID,
                ledger_append(s, &(struct ledger_entry){.kind = "x", .actor = "me", .detail = large}, &err),
                err);
    free(large);
    assert_int_equal(query_int(s, "SELECT count(*) FROM ledger"), 0);
    /* Too long is cut, on a character's boundary. */
    char name[600];
    for (int i = 0; i < 298; i += 2)
        memcpy(name + i, "ñ", 3);
    assert_ok(ledger_note(s, "start", name, name, &err, NULL), err);
    assert_int_equal(query_int(s, "SELECT length(CAST(actor AS BLOB)) FROM ledger"), 126);
    assert_int_equal(query_int(s, "SELECT length(CAST(subject AS BLOB)) FROM ledger"), 254);
    store_close(s);
}

/* No secret gets in, however it comes. */
static void test_secrets(void **state)
{
    struct place *p = *state;
    struct store *s = open_store(p->path);
    struct error err = {0};
    static const char secret[] = "vx11_Abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG";
    char detail[200], text[300];
    assert_ok(ledger_note(s, "patch", "me", NULL, &err, "value", secret, "password", "hunter2", NULL), err);
    assert_int_equal(ledger_list_last(s, 0, NULL, 1, take_first, text, &err), 1);
    assert_null(strstr(text, "Abcdef"));
    assert_null(strstr(text, "hunter2"));
    snprintf(detail, sizeof detail, "{\"value\":\"said %s twice\",\"api_key\":\"abc\"}", secret);
    assert_ok(
        ledger_append(s, &(struct ledger_entry){.kind = "patch", .actor = "me", .detail = detail}, &err),
        err);
    assert_int_equal(ledger_list_last(s, 0, NULL, 1, take_first, text, &err), 1);
    assert_null(strstr(text, "Abcdef"));
    assert_has(text, "redacted");
    store_close(s);
}

/* ---- the table ---- */

static void test_triggers_refuse(void **state)
{
    struct place *p = *state;
    struct store *s = open_store(p->path);
    struct error err = {0};
    append_some(s, 5);
    static const char *const bad[] = {
        "UPDATE ledger SET actor = 'eve' WHERE n = 2",
        "UPDATE OR REPLACE ledger SET n = 3 WHERE n = 2",
        "DELETE FROM ledger",
        "DELETE FROM ledger WHERE n = 5",
        "INSERT INTO ledger SELECT 7, '01ARZ3NDEKTSV4RRFFQ69G5FAV', 1, 'a', 'b', NULL, NULL, hash, "
        "zeroblob(32) FROM ledger WHERE n = 5",
        "INSERT INTO ledger VALUES (6, '01ARZ3NDEKTSV4RRFFQ69G5FAV', 1, 'a', 'b', NULL, NULL, zeroblob(32),"
        " zeroblob(32))",
        "INSERT OR REPLACE INTO ledger SELECT 3, id, at, kind, 'eve', subject, detail, prev, hash FROM "
        "ledger "
        "WHERE n = 3",
        "INSERT OR REPLACE INTO ledger SELECT 6, id, at, kind, 'eve', subject, detail, hash, zeroblob(32) "
        "FROM"
        " ledger WHERE n = 5",
        "INSERT OR REPLACE INTO ledger SELECT 6, '01ARZ3NDEKTSV4RRFFQ69G5FAV', at, kind, 'eve', subject, "
        "detail, hash, hash FROM ledger WHERE n = 5",
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        int rc = store_exec(s, bad[i], NULL, 0, NULL, &err);
        if (rc == 0)
            fail_msg("the ledger allows %s", bad[i]);
        assert_has(err.text, "ledger");
    }
    store_close(s);
    assert_found(p->path, LEDGER_SOUND, 0);
    assert_int_equal(raw_int(p->path, "SELECT count(*) FROM ledger"), 5);
    raw_exec(p->path, "DROP TRIGGER ledger_no_delete");
    assert_found(p->path, LEDGER_UNGUARDED, 0);
    raw_exec(
        p->path,
        "CREATE TRIGGER ledger_no_delete BEFORE DELETE ON ledger WHEN 0 BEGIN SELECT raise(ABORT, ''); END");
    assert_found(p->path, LEDGER_UNGUARDED, 0);
}

/* ---- what is found ---- */

static void test_one_byte_of_each_column(void **state)
{
    struct place *p = *state;
    static const struct {
        const char *set;
        enum ledger_fault fault;
    } cases[] = {
        {"id = 'Z' || substr(id, 2)", LEDGER_CONTENTS},
        /* Not its last character: ids of one millisecond count up there, and the next row's may be met. */
        {"id = substr(id, 1, 11) || iif(substr(id, 12, 1) = 'Z', 'Y', 'Z') || substr(id, 13)",
         LEDGER_CONTENTS},
        {"at = at + 1", LEDGER_CONTENTS},
        {"kind = 'tokem.created'", LEDGER_CONTENTS},
        {"actor = 'anb'", LEDGER_CONTENTS},
        {"subject = 'lynk'", LEDGER_CONTENTS},
        {"subject = NULL", LEDGER_CONTENTS},
        {"subject = ''", LEDGER_SHAPE},
        {"detail = replace(detail, '5', '6')", LEDGER_CONTENTS},
        {"detail = detail || ' '", LEDGER_CONTENTS},
        {"detail = NULL", LEDGER_CONTENTS},
        {"actor = 'ana' || char(0) || 'x'", LEDGER_SHAPE},
        {"prev = CAST(X'00' || substr(prev, 2) AS BLOB)", LEDGER_PREV},
        {"prev = substr(prev, 1, 31)", LEDGER_SHAPE},
        {"hash = CAST(substr(hash, 1, 31) || X'07' AS BLOB)", LEDGER_HASH},
    };
    fill(p->path, 9);
    char sql[1000];
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        snprintf(sql, sizeof sql,
                 "CREATE TABLE kept AS SELECT * FROM ledger WHERE n = 5; UPDATE ledger SET %s WHERE n = 5",
                 cases[i].set);
        tamper(p->path, sql);
        struct ledger_report r;
        verify(p->path, &r);
        if (r.fault != cases[i].fault || r.n != 5 || r.bad != 1)
            fail_msg("%s: %s at %lld, %lld bad: %s", cases[i].set, ledger_fault_name(r.fault), (long long)r.n,
                     (long long)r.bad, r.reason);
        if (strncmp(cases[i].set, "id = 'Z'", 8) != 0)
            assert_int_equal(strlen(r.id), ULID_LEN);
        tamper(p->path,
               "DELETE FROM ledger WHERE n = 5; INSERT INTO ledger SELECT * FROM kept; DROP TABLE kept");
        assert_found(p->path, LEDGER_SOUND, 0);
    }
}

static void test_first_and_last(void **state)
{
    struct place *p = *state;
    fill(p->path, 4);
    tamper(p->path, "UPDATE ledger SET actor = 'eve' WHERE n = 1");
    assert_found(p->path, LEDGER_CONTENTS, 1);
    tamper(p->path,
           "UPDATE ledger SET actor = 'ana' WHERE n = 1; UPDATE ledger SET prev = zeroblob(32) WHERE n = 1");
    assert_found(p->path, LEDGER_PREV, 1);
    tamper(p->path, "DELETE FROM ledger WHERE n = 1");
    assert_found(p->path, LEDGER_MISSING, 2);
}

static void test_last_changed(void **state)
{
    struct place *p = *state;
    fill(p->path, 4);
    tamper(p->path, "UPDATE ledger SET hash = zeroblob(32) WHERE n = 4");
    assert_found(p->path, LEDGER_HASH, 4); /* the anchor knows the hash */
}

static void test_last_contents(void **state)
{
    struct place *p = *state;
    fill(p->path, 4);
    tamper(p->path, "UPDATE ledger SET detail = '{}' WHERE n = 4");
    assert_found(p->path, LEDGER_CONTENTS, 4);
}

static void test_deleted(void **state)
{
    struct place *p = *state;
    struct ledger_report r;
    fill(p->path, 9);
    tamper(p->path, "DELETE FROM ledger WHERE n IN (3, 6, 7)");
    verify(p->path, &r);
    assert_int_equal(r.fault, LEDGER_MISSING);
    assert_int_equal(r.n, 4);
    assert_int_equal(r.missing, 3);
    assert_int_equal(r.rows, 6);
    assert_has(r.reason, "row 3 is missing");
}

/* The gap closed by giving later rows other numbers. */
static void test_deleted_and_renumbered(void **state)
{
    struct place *p = *state;
    fill(p->path, 9);
    tamper(p->path, "DELETE FROM ledger WHERE n = 4; UPDATE ledger SET n = n - 1 WHERE n > 4");
    assert_found(p->path, LEDGER_PREV, 4);
}

static void test_reordered(void **state)
{
    struct place *p = *state;
    fill(p->path, 9);
    tamper(p->path,
           "UPDATE ledger SET n = 100 WHERE n = 4; UPDATE ledger SET n = 4 WHERE n = 5; UPDATE ledger SET n "
           "= 5 WHERE n = 100");
    assert_found(p->path, LEDGER_PREV, 4);
}

static void test_other_number(void **state)
{
    struct place *p = *state;
    fill(p->path, 5);
    tamper(p->path, "UPDATE ledger SET n = 50 WHERE n = 3");
    assert_found(p->path, LEDGER_MISSING, 4);
}

/* The end cut off: the anchor knows. Appending goes on, and does not cover it up. */
static void test_cut_off(void **state)
{
    struct place *p = *state;
    struct ledger_report r;
    fill(p->path, 9);
    tamper(p->path, "DELETE FROM ledger WHERE n > 6");
    verify(p->path, &r);
    assert_int_equal(r.fault, LEDGER_END);
    assert_int_equal(r.n, 6);
    assert_int_equal(r.missing, 3);
    assert_has(r.reason, "row 9");
    fill(p->path, 1);
    assert_found(p->path, LEDGER_END, 7);
    fill(p->path, 4);
    assert_found(p->path, LEDGER_HEAD, 9);
    struct store *s = open_store(p->path);
    struct error err = {0};
    assert_ok(ledger_note_restore(s, "cli", "a.backup", &err, "sha256", "00", NULL), err);
    char text[600];
    raw_text(p->path, "SELECT detail FROM ledger ORDER BY n DESC LIMIT 1", text, sizeof text);
    assert_has(text, "\"anchor\":\"9:");
    store_close(s);
    assert_found(p->path, LEDGER_SOUND, 0);
}

/* A file that was copied back by hand, and a person who says so. */
static void test_accepted(void **state)
{
    struct place *p = *state;
    struct error err = {0};
    char text[600];
    fill(p->path, 5);
    tamper(p->path, "DELETE FROM ledger WHERE n > 3");
    struct store *s = open_store(p->path);
    assert_ok(ledger_accept(s, "cli", "copied back", &err), err);
    store_close(s);
    raw_text(p->path, "SELECT kind || detail FROM ledger WHERE n = 4", text, sizeof text);
    assert_has(text, "ledger.accepted{\"reason\":\"copied back\",\"anchor\":\"5:");
    assert_found(p->path, LEDGER_SOUND, 0);
    tamper(p->path, "UPDATE ledger SET actor = 'eve' WHERE n = 2");
    s = open_store(p->path);
    assert_ok(ledger_accept(s, "cli", "no", &err), err);
    store_close(s);
    assert_found(p->path, LEDGER_CONTENTS, 2); /* that is not to be accepted away */
}

/* All of it gone, and the file as new. */
static void test_emptied(void **state)
{
    struct place *p = *state;
    fill(p->path, 3);
    tamper(p->path, "DELETE FROM ledger");
    assert_found(p->path, LEDGER_END, 0);
}

static void test_anchor_gone(void **state)
{
    struct place *p = *state;
    struct ledger_report r;
    char anchor[200], kind[80];
    snprintf(anchor, sizeof anchor, "%s.ledger", p->path);
    fill(p->path, 3);
    assert_int_equal(unlink(anchor), 0);
    verify(p->path, &r);
    assert_int_equal(r.fault, LEDGER_SOUND);
    assert_false(r.anchored);
    assert_has(r.anchor_reason, "No such file");
    fill(p->path, 1);
    raw_text(p->path, "SELECT kind FROM ledger WHERE n = 4", kind, sizeof kind);
    assert_string_equal(kind, "ledger.anchor_missing");
    verify(p->path, &r);
    assert_true(r.fault == LEDGER_SOUND && r.anchored && r.anchor.n == 5);
    file_patch(anchor, 40, "x", 1);
    verify(p->path, &r);
    assert_false(r.anchored);
    assert_has(r.anchor_reason, "damaged");
    fill(p->path, 1);
    raw_text(p->path, "SELECT kind FROM ledger WHERE n = 6", kind, sizeof kind);
    assert_string_equal(kind, "ledger.anchor_damaged");
    assert_found(p->path, LEDGER_SOUND, 0);
}

/* A head kept elsewhere finds a chain that was made anew together with its anchor. */
static void test_expected_head(void **state)
{
    struct place *p = *state;
    struct error err = {0};
    struct ledger_head head, parsed;
    struct ledger_report r;
    char text[LEDGER_HEAD_TEXT], anchor[200];
    fill(p->path, 5);
    struct store *s = open_store(p->path);
    assert_ok(ledger_head(s, &head, &err), err);
    ledger_head_format(&head, text);
    assert_ok(ledger_head_parse(text, &parsed, &err), err);
    assert_memory_equal(&parsed.hash, &head.hash, sizeof head.hash);
    assert_int_equal(parsed.n, 5);
    static const char *const bad[] = {"", ":", "5", "5:00", "x:00", "-1:00", "5:zz"};
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_code(VX11_ESYNTAX, ledger_head_parse(bad[i], &parsed, &err), err);
    append_some(s, 2);
    assert_ok(ledger_verify(s, &head, NULL, &r, &err), err);
    assert_int_equal(r.fault, LEDGER_SOUND);
    store_close(s);
    tamper(p->path, "DELETE FROM ledger");
    snprintf(anchor, sizeof anchor, "%s.ledger", p->path);
    unlink(anchor);
    fill(p->path, 7);
    s = open_store(p->path);
    assert_ok(ledger_verify(s, NULL, NULL, &r, &err), err);
    assert_int_equal(r.fault, LEDGER_SOUND); /* by itself it looks well */
    assert_ok(ledger_verify(s, &head, NULL, &r, &err), err);
    assert_int_equal(r.fault, LEDGER_HEAD);
    assert_int_equal(r.n, 5);
    store_close(s);
}

/* ---- many at once, and kills ---- */

#define EACH 60

static int append_each(void *ctx)
{
    struct store *s = open_store(ctx);
    struct error err = {0};
    int rc = 0;
    for (int i = 0; i < EACH && rc == 0; i++)
        rc = ledger_note(s, "patch", "one of many", NULL, &err, "text", "x", NULL);
    if (rc != 0)
        fprintf(stderr, "%s\n", err.text);
    store_close(s);
    return rc == 0 ? 0 : 1;
}

static void *append_thread(void *ctx)
{
    return append_each(ctx) == 0 ? NULL : ctx;
}

static void test_at_once(void **state)
{
    struct place *p = *state;
    struct ledger_report r;
    fill(p->path, 1);
    int a = start_process(append_each, p->path), b = start_process(append_each, p->path);
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, append_thread, p->path), 0);
    for (int i = 0; i < 5; i++) { /* what is looked at meanwhile is sound too */
        verify(p->path, &r);
        assert_int_equal(r.fault, LEDGER_SOUND);
    }
    for (int i = 0; i < 2; i++) {
        void *failed = p;
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    assert_exit(wait_process(a), 0);
    assert_exit(wait_process(b), 0);
    verify(p->path, &r);
    assert_int_equal(r.fault, LEDGER_SOUND);
    assert_int_equal(r.rows, 4 * EACH + 1);
    assert_int_equal(r.anchor.n, r.rows);
}

struct endless {
    const char *path;
    int fd;
};

static int append_without_end(void *ctx)
{
    struct endless *e = ctx;
    struct store *s = open_store(e->path);
    struct error err = {0};
    for (int64_t i = 1;; i++) {
        struct ledger_head head;
        if (ledger_note(s, "patch", "killed", NULL, &err, "text", "x", NULL) != 0 ||
            ledger_head(s, &head, &err) != 0)
            return 1;
        if (write(e->fd, &head.n, sizeof head.n) != sizeof head.n)
            return 2;
    }
}

static void test_killed(void **state)
{
    struct place *p = *state;
    struct ledger_report r;
    for (int round = 0; round < 12; round++) {
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        struct endless e = {p->path, ends[1]};
        int pid = start_process(append_without_end, &e);
        close(ends[1]);
        int64_t told = 0, n;
        for (int i = 0; i < 3 + round && read(ends[0], &n, sizeof n) == sizeof n; i++)
            told = n;
        usleep((useconds_t)(round * 131));
        kill(pid, SIGKILL);
        assert_true(WIFSIGNALED(wait_process(pid)));
        while (read(ends[0], &n, sizeof n) == sizeof n)
            told = n;
        close(ends[0]);
        verify(p->path, &r);
        if (r.fault != LEDGER_SOUND || !r.anchored)
            fail_msg("after a kill: %s %s", r.reason, r.anchor_reason);
        assert_true(r.rows >= told && told > 0);
        assert_true(r.anchor.n <= r.rows && r.anchor.n >= told);
    }
}

/* ---- export ---- */

static int put_buf(void *ctx, const char *data, size_t len, struct error *err)
{
    return buf_append(ctx, data, len) == 0 ? 0 : error_set(err, VX11_ENOMEM, "no memory");
}

static int import(const struct buf *b, const struct ledger_head *expect, struct ledger_report *out)
{
    struct error err = {0};
    struct ledger_import *x = ledger_import_new(expect);
    int rc = 0;
    for (size_t i = 0; i < b->len && rc == 0; i += 100)
        rc = ledger_import_feed(x, b->data + i, b->len - i < 100 ? b->len - i : 100, &err);
    if (rc == 0)
        rc = ledger_import_end(x, out, &err);
    ledger_import_free(x);
    return rc;
}

static void replace_once(struct buf *b, const char *from, const char *to)
{
    char *at = strstr(b->data, from);
    assert_non_null(at);
    struct buf out = BUF_INIT;
    buf_append(&out, b->data, (size_t)(at - b->data));
    buf_puts(&out, to);
    buf_puts(&out, at + strlen(from));
    buf_free(b);
    *b = out;
}

static void remove_line(struct buf *b, int line)
{
    char *at = b->data;
    while (line-- > 0)
        at = strchr(at, '\n') + 1;
    char *next = strchr(at, '\n') + 1;
    memmove(at, next, strlen(next) + 1);
    b->len -= (size_t)(next - at);
}

static void export_from(const char *path, bool json, struct buf *out)
{
    struct error err = {0};
    struct store *s = open_store(path);
    int64_t rows = 0;
    buf_free(out);
    assert_ok(ledger_export(s, json, put_buf, out, &rows, &err), err);
    assert_int_equal(rows, 9);
    store_close(s);
}

static void test_export(void **state)
{
    struct place *p = *state;
    struct buf b = BUF_INIT;
    struct ledger_report r;
    fill(p->path, 9);
    for (int json = 0; json < 2; json++) {
        export_from(p->path, json, &b);
        assert_int_equal(import(&b, NULL, &r), 0);
        assert_string_equal(r.reason, "");
        assert_int_equal(r.rows, 9);
        replace_once(&b, "\\\"5\\\"", "\\\"6\\\""); /* inside detail */
        assert_int_equal(import(&b, NULL, &r), 0);
        assert_true(r.fault == LEDGER_CONTENTS && r.n == 5 && r.bad == 1 && strlen(r.id) == ULID_LEN);
        export_from(p->path, json, &b);
        remove_line(&b, 4);
        assert_int_equal(import(&b, NULL, &r), 0);
        assert_true(r.fault == LEDGER_MISSING && r.n == 5 && r.missing == 1);
        export_from(p->path, json, &b);
        remove_line(&b, 9); /* the last row: the end knows it */
        assert_int_equal(import(&b, NULL, &r), 0);
        assert_true(r.fault == LEDGER_END && r.missing == 1);
        export_from(p->path, json, &b);
        replace_once(&b, "\"n\":4,", "\"n\":\"4\",");
        assert_int_equal(import(&b, NULL, &r), 0);
        assert_int_equal(r.fault, LEDGER_SHAPE);
        export_from(p->path, json, &b);
        *(strstr(b.data, "\"n\":7")) = '\0'; /* cut off in the middle of a line */
        b.len = strlen(b.data);
        assert_int_equal(import(&b, NULL, &r), VX11_ESYNTAX);
        export_from(p->path, json, &b);
        *(strstr(b.data, "{\"n\":7")) = '\0'; /* between two lines */
        b.len = strlen(b.data);
        assert_int_equal(import(&b, NULL, &r), 0);
        assert_true(r.fault == LEDGER_END && r.n == 6);
    }
    buf_clear(&b);
    assert_int_equal(import(&b, NULL, &r), VX11_ESYNTAX);
    buf_append(&b, "{\"format\":\"vx11-ledger\"}\0,\"rows\":[\n", 36);
    assert_int_equal(import(&b, NULL, &r), VX11_ESYNTAX);
    buf_clear(&b);
    buf_puts(&b, "{\"format\":\"other\"}\n");
    assert_int_equal(import(&b, NULL, &r), VX11_ESYNTAX);
    buf_free(&b);
}

/* Twice READ_ROWS and some: no piece is lost between two reads. */
static void test_long(void **state)
{
    struct place *p = *state;
    struct ledger_report r;
    fill(p->path, 1001);
    verify(p->path, &r);
    assert_int_equal(r.fault, LEDGER_SOUND);
    assert_int_equal(r.rows, 1001);
    tamper(p->path, "UPDATE ledger SET at = at - 1 WHERE n IN (500, 501, 1000)");
    verify(p->path, &r);
    assert_true(r.fault == LEDGER_CONTENTS && r.n == 500 && r.bad == 3);
}

int main(void)
{
#define IN_PLACE(test) cmocka_unit_test_setup_teardown(test, place_setup_fast, place_teardown)
    const struct CMUnitTest tests[] = {
        IN_PLACE(test_append),
        IN_PLACE(test_in_transactions),
        IN_PLACE(test_refuses),
        IN_PLACE(test_secrets),
        IN_PLACE(test_triggers_refuse),
        IN_PLACE(test_one_byte_of_each_column),
        IN_PLACE(test_first_and_last),
        IN_PLACE(test_last_changed),
        IN_PLACE(test_last_contents),
        IN_PLACE(test_deleted),
        IN_PLACE(test_deleted_and_renumbered),
        IN_PLACE(test_reordered),
        IN_PLACE(test_other_number),
        IN_PLACE(test_cut_off),
        IN_PLACE(test_accepted),
        IN_PLACE(test_emptied),
        IN_PLACE(test_anchor_gone),
        IN_PLACE(test_expected_head),
        IN_PLACE(test_at_once),
        IN_PLACE(test_killed),
        IN_PLACE(test_export),
        IN_PLACE(test_long),
    };
    return cmocka_run_group_tests(tests, group_setup, NULL);
}
