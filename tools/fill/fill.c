/* Fill: writes rows as a system of years has them into a migrated vx11.db that nobody has open: incidents and
 * jobs, for tests and measurements of maintenance, backups and checks.
 *
 *   vx11-fill FILE [INCIDENTS [JOBS [DECISIONS]]]      1200000, 300000, 0
 *
 * One transaction without syncs: a fill that is cut off leaves a file to throw away. The rows are the same
 * for the same counts, save that their times are counted back from now. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>
#include <sqlite3.h>

#include "base/clock.h"

#define DAY_MS INT64_C(86400000)

static uint64_t seed = 0x9e3779b97f4a7c15u;

static uint64_t draw(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

/* Like a ULID: the time, then what makes it the only one. */
static void make_id(char out[27], int64_t at, uint64_t kind, uint64_t n)
{
    static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    uint64_t time = (uint64_t)at, low = kind << 40 | n;
    for (int i = 9; i >= 0; i--, time >>= 5)
        out[i] = digits[time & 31];
    for (int i = 25; i >= 10; i--, low >>= 5)
        out[i] = digits[low & 31];
    out[26] = '\0';
}

static sqlite3 *db;

static void fail(const char *what)
{
    fprintf(stderr, "vx11-fill: %s: %s\n", what, sqlite3_errmsg(db));
    exit(1);
}

static void run(const char *sql)
{
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail(sql);
}

static sqlite3_stmt *prepare(const char *sql)
{
    sqlite3_stmt *stmt = NULL;
    if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK)
        fail(sql);
    return stmt;
}

static void put(sqlite3_stmt *stmt)
{
    if (sqlite3_step(stmt) != SQLITE_DONE)
        fail(sqlite3_sql(stmt));
    sqlite3_reset(stmt);
}

static void text(sqlite3_stmt *stmt, int i, const char *s)
{
    sqlite3_bind_text(stmt, i, s, -1, SQLITE_TRANSIENT);
}

/* Oldest first, as they came. */
static int64_t moment(int64_t now, int64_t days, int64_t n, int64_t of)
{
    return now - days * DAY_MS + (int64_t)((double)days * (double)DAY_MS * (double)n / (double)(of ? of : 1));
}

/* Over 400 days, each another place: what a scanner without fingerprints would have written. */
static void fill_incidents(int64_t count, int64_t now)
{
    static const char *const kinds[] = {"fs_drift", "orphan_import", "memory_leak", "slow_query", "blocked"};
    static const char *const severities[] = {"info", "warning", "error", "critical"};
    sqlite3_stmt *stmt =
        prepare("INSERT INTO incident (id, fingerprint, kind, severity, source, location,"
                " detail, state, count, first_seen_at, last_seen_at, updated_at, resolved_at)"
                " VALUES (?1, ?2, ?3, ?4, 'scanner', ?5, ?6, ?7, ?8, ?9, ?9, ?9, ?10)");
    for (int64_t i = 0; i < count; i++) {
        char id[27], place[128], detail[256];
        unsigned char print[32];
        const int64_t at = moment(now, 400, i, count);
        make_id(id, at, 1, (uint64_t)i);
        snprintf(place, sizeof place, "/srv/vx11/modules/part_%03" PRIu64 "/file_%07" PRId64 ".py",
                 draw() % 500, i);
        snprintf(detail, sizeof detail,
                 "{\"expected\":\"%016" PRIx64 "%016" PRIx64 "\",\"found\":\"%016" PRIx64 "%016" PRIx64
                 "\",\"seen_by\":\"ant %" PRId64
                 "\",\"advice\":\"compare it with the manifest, then put it back\"}",
                 draw(), draw(), draw(), draw(), i % 8);
        crypto_generichash(print, sizeof print, (const unsigned char *)place, strlen(place), NULL, 0);
        text(stmt, 1, id);
        sqlite3_bind_blob(stmt, 2, print, sizeof print, SQLITE_TRANSIENT);
        text(stmt, 3, kinds[i % 5]);
        text(stmt, 4, severities[i % 4]);
        text(stmt, 5, place);
        text(stmt, 6, detail);
        text(stmt, 7, i % 3 ? "open" : "resolved");
        sqlite3_bind_int64(stmt, 8, 1 + (int64_t)(draw() % 50));
        sqlite3_bind_int64(stmt, 9, at);
        i % 3 ? sqlite3_bind_null(stmt, 10) : sqlite3_bind_int64(stmt, 10, at);
        put(stmt);
    }
    sqlite3_finalize(stmt);
}

/* Over 30 days; one in a hundred still waits. */
static void fill_jobs(int64_t count, int64_t now)
{
    sqlite3_stmt *stmt = prepare(
        "INSERT INTO job (id, source, priority, task_type, payload, payload_bytes, state, attempts,"
        " max_attempts, not_before, enqueued_at, started_at, finished_at, run_timeout_ms, result, outside,"
        " principal_id, principal_name, principal_scopes)"
        " VALUES (?1, 'shub', ?2, 'analysis', ?3, length(?3), ?4, 1, 3, ?5, ?5, ?6, ?7, 60000, ?8, ?9,"
        " 'local', 'local', 'read,chat')");
    for (int64_t i = 0; i < count; i++) {
        char id[27], payload[256], result[256];
        const int64_t at = moment(now, 30, i, count);
        const int waits = i % 100 == 99;
        make_id(id, at, 2, (uint64_t)i);
        snprintf(payload, sizeof payload,
                 "{\"prompt\":\"Look at item %" PRId64 " of the list, and tell what it "
                 "is worth: %016" PRIx64 "\",\"item\":%" PRId64 "}",
                 i, draw(), i);
        snprintf(result, sizeof result, "{\"text\":\"It is worth %" PRIu64 ".\"}", draw() % 1000);
        text(stmt, 1, id);
        sqlite3_bind_int64(stmt, 2, i % 10);
        text(stmt, 3, payload);
        text(stmt, 4, waits ? "queued" : "done");
        sqlite3_bind_int64(stmt, 5, at);
        waits ? sqlite3_bind_null(stmt, 6) : sqlite3_bind_int64(stmt, 6, at + 10);
        waits ? sqlite3_bind_null(stmt, 7) : sqlite3_bind_int64(stmt, 7, at + 900);
        text(stmt, 8, waits ? NULL : result); /* NULL binds NULL */
        sqlite3_bind_int(stmt, 9, waits);     /* what waits is for others: no module of ours begins it */
        put(stmt);
    }
    sqlite3_finalize(stmt);
}

/* With a usage row each, which goes when the decision goes. */
static void fill_decisions(int64_t count, int64_t now)
{
    sqlite3_stmt *d =
        prepare("INSERT INTO decision (id, request_id, at, route, provider, model, reason, attempts,"
                " stream, outcome, status, prompt_tokens, completion_tokens, total_ms)"
                " VALUES (?1, ?1, ?2, 'chat', 'local', 'guide', 'the only one', 1, 0, 'ok', 200,"
                " ?3, ?4, ?5)");
    sqlite3_stmt *u =
        prepare("INSERT INTO usage (decision_id, at, provider, model, outcome, prompt_tokens,"
                " completion_tokens, total_ms) VALUES (?1, ?2, 'local', 'guide', 'ok', ?3, ?4, ?5)");
    for (int64_t i = 0; i < count; i++) {
        char id[27];
        const int64_t at = moment(now, 60, i, count);
        make_id(id, at, 3, (uint64_t)i);
        const int64_t read = (int64_t)(draw() % 2000), written = (int64_t)(draw() % 500);
        const double ms = (double)(draw() % 100000) / 7.0;
        sqlite3_stmt *both[] = {d, u};
        for (int k = 0; k < 2; k++) {
            text(both[k], 1, id);
            sqlite3_bind_int64(both[k], 2, at);
            sqlite3_bind_int64(both[k], 3, read);
            sqlite3_bind_int64(both[k], 4, written);
            sqlite3_bind_double(both[k], 5, ms);
            put(both[k]);
        }
    }
    sqlite3_finalize(d);
    sqlite3_finalize(u);
}

static int64_t number(int argc, char **argv, int i, int64_t otherwise)
{
    char *end = NULL;
    if (argc <= i)
        return otherwise;
    const long long n = strtoll(argv[i], &end, 10);
    if (*end || n < 0 || n > 100000000) {
        fprintf(stderr, "vx11-fill: %s is no count\n", argv[i]);
        exit(64);
    }
    return n;
}

int main(int argc, char **argv)
{
    if (argc < 2 || argc > 5) {
        fputs("usage: vx11-fill FILE [INCIDENTS [JOBS [DECISIONS]]]\n", stderr);
        return 64;
    }
    const int64_t now = clock_wall_ms();
    if (sodium_init() < 0)
        return 1;
    if (sqlite3_open_v2(argv[1], &db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK)
        fail(argv[1]);
    run("PRAGMA cache_size=-262144; PRAGMA synchronous=OFF; PRAGMA journal_mode=WAL; PRAGMA "
        "temp_store=MEMORY;"
        " BEGIN IMMEDIATE");
    fill_incidents(number(argc, argv, 2, 1200000), now);
    fill_jobs(number(argc, argv, 3, 300000), now);
    fill_decisions(number(argc, argv, 4, 0), now);
    run("COMMIT; PRAGMA wal_checkpoint(TRUNCATE)");
    sqlite3_close(db);
    return 0;
}
