/* System, asked: its routes, its rows, its files, its processes. */
#include "system.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <dirent.h>
#include <signal.h>
#include <sqlite3.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fs.h"
#include "base/proc.h"
#include "net/auth.h"
#include "store/tokens.h"

/* ---- where to ask ---- */

struct http_at system_link(const struct system *s)
{
    return (struct http_at){.port = s->link_port, .token = s->token};
}

struct http_at system_switch(const struct system *s)
{
    return (struct http_at){.port = s->switch_port, .token = s->token};
}

struct http_at system_hermes(const struct system *s)
{
    return (struct http_at){.port = s->hermes_port, .token = s->token};
}

struct http_at system_operator(const struct system *s)
{
    return (struct http_at){.port = s->operator_port, .token = s->token};
}

struct http_at system_supervisor(const struct system *s)
{
    return (struct http_at){.socket = system_path(s, "run/supervisor.sock")};
}

const char *chat_body(const char *model, bool stream)
{
    static char body[512];
    snprintf(body, sizeof body,
             "{\"model\":\"%s\",\"stream\":%s,\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}", model,
             stream ? "true" : "false");
    return body;
}

void system_chat(const struct system *s, struct http_reply *out, const char *model, bool stream)
{
    struct http_at at = system_link(s);
    http(out, &at, "POST", "/v1/chat/completions", chat_body(model, stream));
}

/* ---- the supervisor's view ---- */

void system_control(const struct system *s, struct http_reply *r, const char *path, const char *body)
{
    struct http_at at = system_supervisor(s);
    http(r, &at, "POST", path, body);
}

const char *system_module(const struct system *s, const char *module, const char *field)
{
    static char out[600];
    struct http_at at = system_supervisor(s);
    struct http_reply r;
    char pointer[100];
    out[0] = '\0';
    http(&r, &at, "GET", "/supervisor/status", NULL);
    for (int i = 0; i < 8; i++) {
        snprintf(pointer, sizeof pointer, "/modules/%d/name", i);
        if (strcmp(http_text(&r, pointer), module) != 0)
            continue;
        snprintf(pointer, sizeof pointer, "/modules/%d/%s", i, field);
        yyjson_val *v = yyjson_doc_ptr_get(r.json, pointer);
        if (yyjson_is_str(v))
            snprintf(out, sizeof out, "%s", yyjson_get_str(v));
        else if (yyjson_is_int(v))
            snprintf(out, sizeof out, "%lld", (long long)yyjson_get_sint(v));
    }
    http_free(&r);
    return out;
}

pid_t system_module_pid(const struct system *s, const char *module)
{
    return (pid_t)atoi(system_module(s, module, "pid"));
}

pid_t system_engine_pid(const struct system *s, const char *model)
{
    struct http_at at = system_hermes(s);
    struct http_reply r;
    pid_t pid = 0;
    http(&r, &at, "GET", "/hermes/engines", NULL);
    for (int i = 0; i < 8; i++) {
        char pointer[64];
        snprintf(pointer, sizeof pointer, "/engines/%d/model", i);
        if (strcmp(http_text(&r, pointer), model) != 0)
            continue;
        snprintf(pointer, sizeof pointer, "/engines/%d/pid", i);
        pid = (pid_t)(http_int(&r, pointer) > 0 ? http_int(&r, pointer) : 0);
    }
    http_free(&r);
    return pid;
}

/* ---- tokens ---- */

static struct store *open_store(const struct system *s)
{
    struct store *store = NULL;
    struct error err = {0};
    struct store_options options = {.path = system_path(s, "vx11.db"), .busy_timeout_ms = 5000};
    if (store_open(&options, &store, &err) != 0) {
        print_error("vx11.db: %s\n", err.text);
        fail();
    }
    return store;
}

void system_token(const struct system *s, const char *name, const char *scopes, char out[128])
{
    unsigned char hash[AUTH_HASH_LEN];
    char token[AUTH_TOKEN_LEN + 1], id[ULID_LEN + 1];
    struct error err = {0};
    struct store *store = open_store(s);
    auth_token_make(token);
    auth_hash(token, hash);
    assert_int_equal(token_create(store, "tests", name, scopes, hash, 0, clock_wall_ms(), id, &err), 0);
    store_close(store);
    snprintf(out, 128, "%s", token);
}

void system_token_revoke(const struct system *s, const char *name)
{
    struct error err = {0};
    struct store *store = open_store(s);
    assert_int_equal(token_revoke(store, "tests", name, clock_wall_ms(), &err), 0);
    store_close(store);
}

/* ---- rows ---- */

/* SQLite itself, without the store in between: what a person with the sqlite3 command sees. */
static bool first_row(const struct system *s, const char *sql, struct buf *out)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *st = NULL;
    bool row = false;
    assert_int_equal(sqlite3_open_v2(system_path(s, "vx11.db"), &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    sqlite3_busy_timeout(db, 5000);
    if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) != SQLITE_OK) {
        print_error("%s: %s\n", sql, sqlite3_errmsg(db));
        sqlite3_close(db);
        fail();
    }
    if (sqlite3_step(st) == SQLITE_ROW) {
        row = true;
        for (int i = 0; i < sqlite3_column_count(st); i++) {
            const char *text = (const char *)sqlite3_column_text(st, i);
            buf_printf(out, "%s%s", i ? "|" : "", text ? text : "null");
        }
    }
    sqlite3_finalize(st);
    sqlite3_close(db);
    return row;
}

int64_t system_count(const struct system *s, const char *sql)
{
    struct buf out = BUF_INIT;
    int64_t n = first_row(s, sql, &out) && out.data && strcmp(out.data, "null") != 0 ? atoll(out.data) : -1;
    buf_free(&out);
    return n;
}

const char *system_row(const struct system *s, const char *sql)
{
    static char texts[4][4096];
    static unsigned turn;
    char *text = texts[turn++ % 4];
    struct buf out = BUF_INIT;
    first_row(s, sql, &out);
    snprintf(text, sizeof texts[0], "%s", out.data ? out.data : "");
    buf_free(&out);
    return text;
}

const char *system_account(const struct system *s, const char *request_id)
{
    char sql[700];
    const char *row;
    snprintf(
        sql, sizeof sql,
        "SELECT d.outcome, d.status, d.provider, d.model, d.attempts, u.prompt_tokens, u.completion_tokens, "
        "u.cached_tokens, d.error FROM decision d JOIN usage u ON u.decision_id = d.id AND u.outcome = "
        "d.outcome "
        "AND u.prompt_tokens IS d.prompt_tokens AND u.completion_tokens IS d.completion_tokens "
        "AND u.provider IS d.provider WHERE d.request_id = '%.100s'",
        request_id);
    int64_t until = clock_mono_ms() + 5000;
    while (!(row = system_row(s, sql))[0] && clock_mono_ms() < until)
        sleep_ms(20);
    return row;
}

/* ---- files, processes ---- */

const char *system_path(const struct system *s, const char *name)
{
    static char paths[4][400];
    static unsigned turn;
    char *path = paths[turn++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", s->home, name);
    return path;
}

void system_read(const struct system *s, const char *name, struct buf *out)
{
    fs_read_file(system_path(s, name), 64 << 20, out, NULL);
    buf_append(out, "", 0);
}

bool system_has_text(const struct system *s, const char *name, const char *text)
{
    struct buf b = BUF_INIT;
    system_read(s, name, &b);
    bool has = strstr(b.data, text) != NULL;
    buf_free(&b);
    return has;
}

int process_fds(pid_t pid)
{
    char path[64];
    int n = 0;
    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    DIR *d = opendir(path);
    if (!d)
        return -1;
    for (const struct dirent *e = readdir(d); e; e = readdir(d))
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

int64_t process_rss_kb(pid_t pid)
{
    struct proc_usage usage;
    return proc_usage(pid, &usage) == 0 ? (int64_t)(usage.rss_bytes / 1024) : -1;
}

void process_kill(pid_t pid, int sig)
{
    assert_true(pid > 1);
    kill(pid, sig);
}

bool process_lives(pid_t pid)
{
    return pid > 0 && kill(pid, 0) == 0;
}

bool test_sanitized(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return true;
#else
    return false;
#endif
}
