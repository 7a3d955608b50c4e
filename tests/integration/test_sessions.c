/* Sessions, files and intents of a whole VX11: who may do what, paging, search with hostile words, export,
 * branch, bounds and expiry, and what is left of an answer when the operator is killed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/str.h"
#include "base/ulid.h"
#include "store/store.h"
#include "system.h"
#include "upstream.h"

static struct system sys;
static struct upstream *up;
static char chatter[128], reader[128];

static int start(void **state)
{
    struct buf yaml = BUF_INIT;
    (void)state;
    up = upstream_start();
    buf_puts(&yaml, "operator:\n"
                    "  session_ttl_ms: 60000\n"
                    "  max_sessions: 12\n"
                    "  files: {max_bytes: 200000, total_bytes: 1048576}\n"
                    "switch:\n"
                    "  providers:\n");
    upstream_yaml(up, &yaml, "good", "good-model", "connect_timeout_ms: 1000");
    upstream_yaml(up, &yaml, "bad", "bad-model", "connect_timeout_ms: 1000");
    upstream_yaml(up, &yaml, "drip", "drip-model", "connect_timeout_ms: 1000");
    system_init(&sys);
    system_env(&sys, "VX11_SUPERVISOR__BACKOFF_MAX_MS=200");
    system_config(&sys, yaml.data);
    buf_free(&yaml);
    upstream_behave(up, "bad", UP_503);
    upstream_behave(up, "drip", UP_DRIP);
    system_up(&sys);
    system_token(&sys, "chatter", "chat,read", chatter);
    system_token(&sys, "reader", "read", reader);
    struct http_at at = system_link(&sys);
    at.token = chatter;
    eventually(8000, http_status(&at, "GET", "/operator/sessions", NULL) == 200);
    at = system_operator(&sys);
    at.token = reader;
    eventually(8000, http_status(&at, "GET", "/operator/sessions", NULL) == 200);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    system_remove(&sys);
    upstream_stop(up);
    return 0;
}

static void stops_clean(void **state)
{
    (void)state;
    system_stop(&sys);
}

/* ---- means ---- */

static struct http_at door(const char *token)
{
    struct http_at at = system_link(&sys);
    at.token = token;
    return at;
}

static char *encoded(const char *s, char *out, size_t size)
{
    size_t n = 0;
    for (; *s && n + 4 < size; s++)
        n += (size_t)snprintf(out + n, size - n, "%%%02X", (unsigned)(unsigned char)*s);
    return out;
}

static void ask(struct http_reply *r, const char *method, const char *body, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

static void ask(struct http_reply *r, const char *method, const char *body, const char *fmt, ...)
{
    char path[4096];
    struct http_at at = door(chatter);
    va_list args;
    va_start(args, fmt);
    vsnprintf(path, sizeof path, fmt, args);
    va_end(args);
    http(r, &at, method, path, body);
}

static char *new_session(const char *title, char id[ULID_LEN + 1])
{
    struct http_reply r;
    char body[300];
    snprintf(body, sizeof body, "{\"title\":\"%s\"}", title);
    ask(&r, "POST", body, "/operator/sessions");
    assert_status(&r, 201);
    snprintf(id, ULID_LEN + 1, "%s", http_text(&r, "/id"));
    http_free(&r);
    return id;
}

static struct store *database(void)
{
    struct store *s;
    struct error err;
    if (store_open(&(struct store_options){.path = system_path(&sys, "vx11.db")}, &s, &err) != 0)
        fail_msg("%s", err.text);
    return s;
}

static void change(struct store *s, const char *sql, const struct store_value *values, size_t n)
{
    struct error err;
    if (store_exec(s, sql, values, n, NULL, &err) != 0)
        fail_msg("%s: %s", sql, err.text);
}

/* As a turn of the chat writes it. */
static void put_message(struct store *s, const char *session, int64_t seq, const char *role, const char *text,
                        const char *status, char id[ULID_LEN + 1])
{
    bool indexed = strcmp(status, "ok") == 0;
    ulid_make(id);
    struct store_value values[] = {
        STORE_T(id),     STORE_T(session),      STORE_I(seq),    STORE_T(role),
        STORE_T(text),   STORE_I(strlen(text)), STORE_T(status), STORE_I(clock_wall_ms()),
        STORE_I(indexed)};
    change(
        s,
        strcmp(status, "streaming") == 0
            ? "INSERT INTO operator_message (id, session_id, seq, role, content, bytes, status, created_at, "
              "indexed) "
              "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"
            : "INSERT INTO operator_message (id, session_id, seq, role, content, bytes, status, created_at, "
              "ended_at, indexed) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8, ?9)",
        values, COUNT_OF(values));
    if (indexed)
        change(s,
               "INSERT INTO operator_message_words (rowid, content) SELECT n, content FROM operator_message "
               "WHERE id = ?1",
               values, 1);
}

/* ---- sessions ---- */

static void scopes(void **state)
{
    struct http_reply r;
    struct http_at at = door(NULL);
    char id[ULID_LEN + 1];
    (void)state;
    assert_int_equal(http_status(&at, "GET", "/operator/sessions", NULL), 401);
    assert_int_equal(http_status(&at, "GET", "/operator/search?q=a", NULL), 401);
    at = door(reader);
    assert_int_equal(http_status(&at, "POST", "/operator/sessions", "{}"), 403);
    assert_int_equal(http_status(&at, "POST", "/operator/files?name=a", "a"), 403);
    assert_int_equal(http_status(&at, "POST", "/intent", "{\"data\":{\"message\":\"hi\"}}"), 403);
    new_session("scopes", id);
    http(&r, &at, "GET", "/operator/sessions/01ARZ3NDEKTSV4RRFFQ69G5FAV", NULL);
    assert_error(&r, 404, "not_found");
    http_free(&r);
    ask(&r, "DELETE", NULL, "/operator/sessions/%s", id);
    assert_status(&r, 204);
    http_free(&r);
    ask(&r, "GET", NULL, "/operator/session/%s", id);
    assert_status(&r, 404);
    http_free(&r);
}

static void list_and_change(void **state)
{
    struct http_reply r;
    char ids[5][ULID_LEN + 1], cursor[80] = "";
    size_t seen = 0;
    (void)state;
    for (size_t i = 0; i < 5; i++) {
        char title[20];
        snprintf(title, sizeof title, "Canción %zu", i);
        new_session(title, ids[i]);
    }
    for (int page = 0; page < 10; page++) {
        ask(&r, "GET", NULL, "/operator/sessions?limit=2%s%s", cursor[0] ? "&cursor=" : "", cursor);
        assert_status(&r, 200);
        assert_int_equal(http_int(&r, "/total"), 5);
        for (int i = 0; i < 2; i++) {
            char at[40];
            snprintf(at, sizeof at, "/sessions/%d/id", i);
            if (http_text(&r, at)[0])
                assert_string_equal(http_text(&r, at), ids[4 - seen++]);
        }
        snprintf(cursor, sizeof cursor, "%s", http_text(&r, "/next_cursor"));
        http_free(&r);
        if (!cursor[0])
            break;
    }
    assert_int_equal(seen, 5);
    ask(&r, "GET", NULL, "/operator/sessions?cursor=12");
    assert_error(&r, 422, "invalid_cursor");
    http_free(&r);
    ask(&r, "GET", NULL, "/operator/sessions?q=cancion%%202");
    assert_int_equal(http_int(&r, "/total"), 1);
    assert_string_equal(http_text(&r, "/sessions/0/id"), ids[2]);
    http_free(&r);
    ask(&r, "PATCH", "{\"title\":\"Otra cosa\",\"pinned\":true,\"model\":\"good-model\"}",
        "/operator/sessions/%s", ids[2]);
    assert_status(&r, 200);
    assert_string_equal(http_text(&r, "/title"), "Otra cosa");
    assert_string_equal(http_text(&r, "/model"), "good-model");
    assert_true(http_is_null(&r, "/expires_at"));
    http_free(&r);
    ask(&r, "PATCH", "{\"model\":\"auto\",\"pinned\":false}", "/operator/sessions/%s", ids[2]);
    assert_true(http_is_null(&r, "/model"));
    assert_false(http_is_null(&r, "/expires_at"));
    http_free(&r);
    ask(&r, "GET", NULL, "/operator/sessions?q=cancion%%202");
    assert_int_equal(http_int(&r, "/total"), 0);
    http_free(&r);
    for (size_t i = 0; i < 5; i++) {
        ask(&r, "DELETE", NULL, "/operator/sessions/%s", ids[i]);
        assert_status(&r, 204);
        http_free(&r);
    }
}

static void messages_page_both_ways(void **state)
{
    struct http_reply r;
    struct store *s = database();
    char id[ULID_LEN + 1], m[ULID_LEN + 1], branch[ULID_LEN + 1], cursor[40], name[200];
    (void)state;
    new_session("Long talk", id);
    for (int i = 1; i <= 25; i++) {
        char text[64];
        snprintf(text, sizeof text, "message number %d ```", i);
        put_message(s, id, i, i % 2 ? "user" : "assistant", text, "ok", m);
    }
    store_close(s);
    ask(&r, "GET", NULL, "/operator/sessions/%s?limit=10", id);
    assert_int_equal(http_int(&r, "/messages/0/seq"), 16);
    assert_int_equal(http_int(&r, "/messages/9/seq"), 25);
    assert_true(http_is_null(&r, "/next_cursor"));
    assert_int_equal(http_int(&r, "/message_count"), 25);
    assert_non_null(strstr(http_text(&r, "/summary"), "assistant: message number 24"));
    snprintf(cursor, sizeof cursor, "%s", http_text(&r, "/prev_cursor"));
    http_free(&r);
    ask(&r, "GET", NULL, "/operator/sessions/%s?limit=10&cursor=%s", id, cursor);
    assert_int_equal(http_int(&r, "/messages/0/seq"), 6);
    assert_int_equal(http_int(&r, "/messages/9/seq"), 15);
    snprintf(cursor, sizeof cursor, "%s", http_text(&r, "/next_cursor"));
    http_free(&r);
    ask(&r, "GET", NULL, "/operator/sessions/%s?limit=10&cursor=%s", id, cursor);
    assert_int_equal(http_int(&r, "/messages/0/seq"), 16);
    http_free(&r);
    /* Export: the whole of it, through the front door, with a name. */
    ask(&r, "GET", NULL, "/operator/sessions/%s/export", id);
    assert_status(&r, 200);
    assert_string_equal(http_header(&r, "Content-Disposition"), "attachment; filename=\"Long-talk.md\"");
    assert_true(str_starts(http_header(&r, "Content-Type"), "text/markdown"));
    assert_non_null(strstr(r.raw.body.data, "# Long talk\n"));
    assert_non_null(strstr(r.raw.body.data, "message number 1 "));
    assert_non_null(strstr(r.raw.body.data, "message number 25 "));
    http_free(&r);
    ask(&r, "GET", NULL, "/operator/sessions/%s/export?format=json", id);
    assert_status(&r, 200);
    assert_string_equal(http_text(&r, "/format"), "vx11.session");
    assert_string_equal(http_text(&r, "/session/id"), id);
    assert_int_equal(http_int(&r, "/messages/24/seq"), 25);
    http_free(&r);
    /* Branch from the fourth. */
    ask(&r, "GET", NULL, "/operator/sessions/%s?limit=500", id);
    snprintf(name, sizeof name, "{\"message_id\":\"%s\",\"title\":\"Branch\"}",
             http_text(&r, "/messages/3/id"));
    http_free(&r);
    ask(&r, "POST", name, "/operator/sessions/%s/branch", id);
    assert_status(&r, 201);
    snprintf(branch, sizeof branch, "%s", http_text(&r, "/id"));
    assert_string_equal(http_text(&r, "/branched_from/session_id"), id);
    assert_int_equal(http_int(&r, "/message_count"), 4);
    http_free(&r);
    ask(&r, "GET", NULL, "/operator/search?q=number%%204");
    assert_status(&r, 200);
    assert_string_equal(http_text(&r, "/hits/0/snippet"), "message number 4 ```");
    assert_int_equal(http_int(&r, "/hits/0/marks/0"), 8);
    assert_int_equal(http_int(&r, "/hits/0/marks/1"), 6);
    assert_int_equal(http_int(&r, "/hits/0/marks/2"), 15);
    http_free(&r);
    ask(&r, "DELETE", NULL, "/operator/sessions/%s", id);
    http_free(&r);
    ask(&r, "GET", NULL, "/operator/search?q=number");
    assert_int_equal((int)yyjson_arr_size(yyjson_doc_ptr_get(r.json, "/hits")), 4); /* the branch's */
    http_free(&r);
    ask(&r, "DELETE", NULL, "/operator/sessions/%s", branch);
    http_free(&r);
}

static void search_takes_any_words(void **state)
{
    static const char *const words[] = {
        "\"",        "\"\"", "AND",      "NOT a", "a OR", "NEAR(a, 2)", "a*b*",
        "content:x", "(",    ")",        "^a",    "-",    "a\"b\"c\"",  "'; DROP TABLE operator_message; --",
        "😀",         "\\",   "{x y}: z", "*",     "+",    "a + + b",    "ñandú"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        struct http_reply r;
        char q[300];
        ask(&r, "GET", NULL, "/operator/search?q=%s", encoded(words[i], q, sizeof q));
        if (r.status != 200)
            fail_msg("%s: %d %s", words[i], r.status, r.raw.body.data);
        http_free(&r);
        ask(&r, "GET", NULL, "/operator/sessions?q=%s", encoded(words[i], q, sizeof q));
        if (r.status != 200)
            fail_msg("%s: %d %s", words[i], r.status, r.raw.body.data);
        http_free(&r);
    }
    struct http_reply r;
    ask(&r, "GET", NULL, "/operator/search?q=");
    assert_status(&r, 422);
    http_free(&r);
}

/* ---- files ---- */

static int upload(const char *name, const void *data, size_t len, char id[ULID_LEN + 1])
{
    char path[600], q[500];
    struct http_reply r;
    struct http_at at = door(chatter);
    snprintf(path, sizeof path, "/operator/files?name=%s", encoded(name, q, sizeof q));
    int fd = http_connect(&at);
    http_send(fd, &at, "POST", path, data, len);
    http_read(fd, &r);
    raw_close(fd);
    int status = r.status;
    snprintf(id, ULID_LEN + 1, "%s", status == 201 ? http_text(&r, "/id") : "");
    http_free(&r);
    return status;
}

static int files_on_disk(void)
{
    DIR *d = opendir(system_path(&sys, "files"));
    int n = 0;
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));)
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

static void files(void **state)
{
    static const char png[] = "\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x10\0\0\0\x08\x08\x06\0\0\0";
    static const char html[] = "<script>alert(1)</script>";
    static char big[250000];
    char id[ULID_LEN + 1], other[ULID_LEN + 1], first[ULID_LEN + 1] = "";
    struct http_reply r;
    (void)state;
    memset(big, 'x', sizeof big);
    assert_int_equal(upload("../../etc/pass\nwd", html, sizeof html - 1, id), 201);
    ask(&r, "GET", NULL, "/operator/files/%s", id);
    assert_string_equal(http_text(&r, "/name"), ".._.._etc_pass_wd");
    assert_string_equal(http_text(&r, "/kind"), "text");
    http_free(&r);
    ask(&r, "GET", NULL, "/operator/files/%s/content", id);
    assert_status(&r, 200);
    assert_string_equal(r.raw.body.data, html);
    assert_string_equal(http_header(&r, "Content-Type"), "text/plain; charset=utf-8");
    assert_string_equal(http_header(&r, "X-Content-Type-Options"), "nosniff");
    assert_true(str_starts(http_header(&r, "Content-Disposition"), "attachment; "));
    assert_non_null(strstr(http_header(&r, "Cache-Control"), "private"));
    assert_non_null(strstr(http_header(&r, "Content-Security-Policy"), "sandbox"));
    http_free(&r);
    assert_int_equal(upload("a.txt", png, sizeof png - 1, other), 201);
    ask(&r, "GET", NULL, "/operator/files/%s", other);
    assert_string_equal(http_text(&r, "/media_type"), "image/png");
    assert_int_equal(http_int(&r, "/width"), 16);
    assert_int_equal(http_int(&r, "/height"), 8);
    http_free(&r);
    assert_int_equal(upload("a.png", "%PDF-1.7\n\xff\xfe", 11, first), 415);
    assert_int_equal(upload("a.txt", "a\0b", 3, first), 415);
    assert_int_equal(upload("cut.txt", "caf\xc3", 4, first), 415);
    assert_int_equal(upload("empty.txt", "", 0, first), 422);
    assert_int_equal(upload("big.txt", big, sizeof big, first), 413);
    assert_int_equal(files_on_disk(), 2); /* nothing of those */
    /* Room for all of them: 1 MiB. */
    int stored = 0, status;
    while ((status = upload("some.txt", big, 200000, first)) == 201 && stored < 20)
        stored++;
    assert_int_equal(status, 507);
    assert_int_equal(stored, 5);
    assert_int_equal(files_on_disk(), 7);
    ask(&r, "GET", NULL, "/operator/files?limit=3");
    assert_int_equal(http_int(&r, "/bytes"), 5 * 200000 + (int)sizeof html - 1 + (int)sizeof png - 1);
    assert_string_not_equal(http_text(&r, "/next_cursor"), "");
    http_free(&r);
    ask(&r, "DELETE", NULL, "/operator/files/%s", id);
    assert_status(&r, 204);
    http_free(&r);
    eventually(3000, files_on_disk() == 6);
    ask(&r, "GET", NULL, "/operator/files/%s/content", id);
    assert_status(&r, 404);
    http_free(&r);
    /* What belongs to no message goes after a day. */
    struct store *s = database();
    change(s, "UPDATE operator_file SET created_at = created_at - 90000000", NULL, 0);
    store_close(s);
    ask(&r, "DELETE", NULL, "/operator/files/%s", other); /* and looks at once */
    http_free(&r);
    eventually(5000, files_on_disk() == 0);
}

/* ---- intents ---- */

static void intents(void **state)
{
    struct http_reply r;
    char path[64];
    (void)state;
    ask(&r, "POST",
        "{\"data\":{\"message\":\"mix this song\",\"model\":\"good-model\"},\"target\":\"switch\","
        "\"metadata\":{\"mode\":\"mine\",\"deep\":{\"a\":[1]}}}",
        "/intent");
    assert_status(&r, 200);
    assert_string_equal(http_text(&r, "/status"), "ok");
    assert_string_equal(http_text(&r, "/detected/mode"), "mix");
    assert_string_equal(http_text(&r, "/detected/ops/0"), "normalize");
    assert_string_equal(http_text(&r, "/metadata/mode"), "mine");
    assert_string_equal(http_text(&r, "/metadata/detected/mode"), "mix");
    assert_int_equal(http_int(&r, "/metadata/deep/a/0"), 1);
    assert_string_equal(http_text(&r, "/response/provider"), "good");
    assert_true(http_text(&r, "/response/content")[0] != '\0');
    http_free(&r);
    ask(&r, "POST",
        "{\"data\":{\"message\":\"mix this\",\"model\":\"good-model\"},\"metadata\":{\"detected\":\"mine\"}}",
        "/intent/chat");
    assert_status(&r, 200);
    assert_string_equal(http_text(&r, "/metadata/detected"), "mine");
    assert_string_equal(http_text(&r, "/detected/mode"), "mix");
    http_free(&r);
    ask(&r, "POST", "{\"data\":{\"message\":\"mix this\"}}", "/intent");
    assert_error(&r, 501, "target_missing");
    assert_non_null(strstr(r.raw.body.data, "shub"));
    http_free(&r);
    static const char *const missing[] = {"madre", "shub", "manifestator", "hormiguero", "spawner"};
    for (size_t i = 0; i < COUNT_OF(missing); i++) {
        char body[200];
        snprintf(body, sizeof body, "{\"data\":{\"message\":\"hello\"},\"target\":\"%s\"}", missing[i]);
        ask(&r, "POST", body, "/intent");
        assert_error(&r, 501, "target_missing");
        assert_non_null(strstr(r.raw.body.data, missing[i]));
        http_free(&r);
    }
    ask(&r, "POST", "{\"data\":{\"message\":\"hello\"},\"target\":\"nobody\"}", "/intent");
    assert_error(&r, 400, "unknown_target");
    http_free(&r);
    ask(&r, "POST", "{\"data\":{\"message\":\"hello\",\"model\":\"bad-model\"},\"target\":\"switch\"}",
        "/intent");
    assert_true(r.status == 502 || r.status == 503);
    http_free(&r);
    ask(&r, "POST", "{\"data\":{\"message\":\"open http://example.com/\"}}", "/intent");
    assert_error(&r, 403, "scope_missing"); /* chat alone does not move the browser */
    http_free(&r);
    ask(&r, "POST", "{\"data\":{\"message\":5}}", "/intent");
    assert_error(&r, 422, "message_missing");
    http_free(&r);
    ask(&r, "POST", "{\"data\":{\"message\":\"a\"},\"metadata\":[1]}", "/intent");
    assert_status(&r, 422);
    http_free(&r);
    /* All of them are rows, those that failed too. */
    eventually(3000, system_count(&sys, "SELECT count(*) FROM operator_intent") == 13);
    ask(&r, "GET", NULL, "/operator/intents?limit=5");
    assert_status(&r, 200);
    assert_int_equal(http_int(&r, "/intents/0/status"), 422);
    assert_int_equal(http_int(&r, "/intents/2/status"), 403);
    assert_string_equal(http_text(&r, "/intents/2/detected/mode"), "browse");
    assert_string_equal(http_text(&r, "/intents/2/principal"), "chatter");
    snprintf(path, sizeof path, "%s", http_text(&r, "/next_cursor"));
    http_free(&r);
    ask(&r, "GET", NULL, "/operator/intents?cursor=%s", path);
    assert_int_equal((int)yyjson_arr_size(yyjson_doc_ptr_get(r.json, "/intents")), 8);
    http_free(&r);
}

/* ---- bounds, crash ---- */

static void room_is_made(void **state)
{
    struct http_reply r;
    char ids[14][ULID_LEN + 1];
    (void)state;
    new_session("kept", ids[0]);
    ask(&r, "PATCH", "{\"pinned\":true}", "/operator/sessions/%s", ids[0]);
    http_free(&r);
    for (size_t i = 1; i < 14; i++)
        new_session("one of many", ids[i]);
    ask(&r, "GET", NULL, "/operator/sessions?limit=200");
    assert_int_equal(http_int(&r, "/total"), 12);
    http_free(&r);
    ask(&r, "GET", NULL, "/operator/sessions/%s", ids[0]);
    assert_status(&r, 200);
    http_free(&r);
    ask(&r, "GET", NULL, "/operator/sessions/%s", ids[1]);
    assert_status(&r, 404);
    http_free(&r);
}

static void a_kill_leaves_a_part(void **state)
{
    struct http_reply r;
    char id[ULID_LEN + 1], old[ULID_LEN + 1], pinned[ULID_LEN + 1], m[ULID_LEN + 1];
    struct store *s = database();
    (void)state;
    sys.rough = true;
    new_session("killed", id);
    new_session("old", old);
    new_session("old and pinned", pinned);
    ask(&r, "PATCH", "{\"pinned\":true}", "/operator/sessions/%s", pinned);
    http_free(&r);
    put_message(s, id, 1, "user", "tell me", "ok", m);
    put_message(s, id, 2, "assistant", "Once upon a ti", "streaming", m);
    change(s, "UPDATE operator_session SET updated_at = updated_at - 61000 WHERE id IN (?1, ?2)",
           (struct store_value[]){STORE_T(old), STORE_T(pinned)}, 2);
    store_close(s);
    pid_t pid = system_module_pid(&sys, "operator");
    assert_true(pid > 0);
    process_kill(pid, SIGKILL);
    eventually(15000, system_module_pid(&sys, "operator") > 0 && system_module_pid(&sys, "operator") != pid);
    struct http_at at = door(chatter);
    char path[80];
    snprintf(path, sizeof path, "/operator/sessions/%s", id);
    eventually(15000, http_status(&at, "GET", path, NULL) == 200);
    ask(&r, "GET", NULL, "/operator/sessions/%s", id);
    assert_string_equal(http_text(&r, "/messages/1/status"), "failed");
    assert_string_equal(http_text(&r, "/messages/1/content"), "Once upon a ti");
    assert_string_equal(http_text(&r, "/messages/1/error/code"), "interrupted");
    assert_string_equal(http_text(&r, "/summary"), ""); /* a failed turn is no context */
    http_free(&r);
    ask(&r, "GET", NULL, "/operator/search?q=upon");
    assert_int_equal((int)yyjson_arr_size(yyjson_doc_ptr_get(r.json, "/hits")), 0);
    http_free(&r);
    /* What is too old goes, unless it is pinned. */
    snprintf(path, sizeof path, "/operator/sessions/%s", old);
    eventually(10000, http_status(&at, "GET", path, NULL) == 404);
    snprintf(path, sizeof path, "/operator/sessions/%s", pinned);
    assert_int_equal(http_status(&at, "GET", path, NULL), 200);
}

/* The same with an answer that was coming in. */
static void a_kill_in_mid_answer(void **state)
{
    struct http_reply r;
    char id[ULID_LEN + 1], body[300], sql[200], path[80];
    struct http_at at = door(chatter);
    (void)state;
    sys.rough = true;
    new_session("cut off", id);
    snprintf(body, sizeof body,
             "{\"session_id\":\"%s\",\"message\":\"go on\",\"model\":\"drip-model\",\"stream\":true}", id);
    int fd = http_open(&at, "POST", "/operator/chat", body);
    snprintf(sql, sizeof sql,
             "SELECT length(content) FROM operator_message WHERE session_id = '%s' AND status = 'streaming'",
             id);
    eventually(15000, system_count(&sys, sql) > 0); /* a part is on the disk */
    ask(&r, "DELETE", NULL, "/operator/sessions/%s", id);
    assert_error(&r, 409, "session_busy");
    http_free(&r);
    snprintf(body, sizeof body, "{\"session_id\":\"%s\",\"message\":\"me too\",\"model\":\"good-model\"}",
             id);
    ask(&r, "POST", body, "/operator/chat");
    assert_error(&r, 409, "session_busy");
    http_free(&r);
    pid_t pid = system_module_pid(&sys, "operator");
    assert_true(pid > 0);
    process_kill(pid, SIGKILL);
    raw_close(fd);
    eventually(15000, system_module_pid(&sys, "operator") > 0 && system_module_pid(&sys, "operator") != pid);
    snprintf(path, sizeof path, "/operator/sessions/%s", id);
    eventually(15000, http_status(&at, "GET", path, NULL) == 200);
    ask(&r, "GET", NULL, "/operator/sessions/%s", id);
    assert_string_equal(http_text(&r, "/messages/0/status"), "ok");
    assert_string_equal(http_text(&r, "/messages/1/status"), "failed");
    assert_true(http_text(&r, "/messages/1/content")[0] != '\0');
    assert_string_equal(http_text(&r, "/messages/1/error/code"), "interrupted");
    http_free(&r);
    /* It goes on from there, and the part is no part of what the model is told. */
    eventually(15000, http_status(&at, "POST", "/operator/chat", body) == 200);
    struct upstream_seen seen;
    upstream_seen(up, "good", &seen);
    assert_non_null(strstr(seen.body, "me too"));
    assert_null(strstr(seen.body, "go on"));
}

static void command_line(void **state)
{
    struct buf out = BUF_INIT;
    char id[ULID_LEN + 1];
    (void)state;
    new_session("From the shell", id);
    assert_int_equal(system_run(&sys, &out, (const char *const[]){"sessions", NULL}), 0);
    assert_non_null(strstr(out.data, "From the shell"));
    buf_clear(&out);
    assert_int_equal(
        system_run(&sys, &out, (const char *const[]){"sessions", "rename", "last", "Another", "name", NULL}),
        0);
    assert_non_null(strstr(out.data, "Another name"));
    buf_clear(&out);
    assert_int_equal(system_run(&sys, &out, (const char *const[]){"sessions", "show", id, NULL}), 0);
    assert_non_null(strstr(out.data, "Another name"));
    buf_clear(&out);
    assert_int_equal(system_run(&sys, &out, (const char *const[]){"sessions", "export", "last", NULL}), 0);
    assert_non_null(strstr(out.data, "# Another name"));
    buf_clear(&out);
    assert_int_equal(system_run(&sys, &out, (const char *const[]){"sessions", "search", "\"", NULL}), 0);
    assert_int_equal(system_run(&sys, &out, (const char *const[]){"sessions", "delete", id, NULL}), 0);
    assert_int_equal(system_run(&sys, &out, (const char *const[]){"sessions", "show", id, NULL}), 1);
    assert_int_equal(system_run(&sys, &out, (const char *const[]){"sessions", "export", id, NULL}), 1);
    assert_int_equal(system_run(&sys, &out, (const char *const[]){"sessions", "show", "x", NULL}), 64);
    /* A conversation that the operator keeps. */
    struct upstream_seen seen;
    struct http_reply r;
    buf_clear(&out);
    assert_int_equal(system_run(&sys, &out,
                                (const char *const[]){"chat", "--session", "new", "--model", "good-model",
                                                      "remember the word plum", NULL}),
                     0);
    assert_true(out.len > 1);
    assert_int_equal(system_run(&sys, &out,
                                (const char *const[]){"chat", "--session=last", "--model", "good-model",
                                                      "which word?", NULL}),
                     0);
    upstream_seen(up, "good", &seen);
    assert_non_null(strstr(seen.body, "plum"));
    assert_non_null(strstr(seen.body, "which word?"));
    ask(&r, "GET", NULL, "/operator/sessions?limit=1");
    assert_int_equal(http_int(&r, "/sessions/0/message_count"), 4);
    assert_string_equal(http_text(&r, "/sessions/0/source"), "cli");
    assert_string_equal(http_text(&r, "/sessions/0/title"), "remember the word plum");
    http_free(&r);
    assert_int_equal(system_run(&sys, &out, (const char *const[]){"chat", "--session", "x", "hi", NULL}), 64);
    assert_int_equal(
        system_run(&sys, &out,
                   (const char *const[]){"chat", "--session", "01ARZ3NDEKTSV4RRFFQ69G5FAV", "hi", NULL}),
        1);
    assert_int_equal(
        system_run(&sys, &out,
                   (const char *const[]){"chat", "--session", "last", "--model", "bad-model", "hi", NULL}),
        1);
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scopes),
        cmocka_unit_test(list_and_change),
        cmocka_unit_test(messages_page_both_ways),
        cmocka_unit_test(search_takes_any_words),
        cmocka_unit_test(files),
        cmocka_unit_test(intents),
        cmocka_unit_test(command_line),
        cmocka_unit_test(room_is_made),
        cmocka_unit_test(a_kill_leaves_a_part),
        cmocka_unit_test(a_kill_in_mid_answer),
        cmocka_unit_test(stops_clean),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
