/* Traffic: kinds of rows, how many of each come in an hour, and how one of each looks.
 *
 * Sizes are those of a real installation: a decision with its story has about 1.3 kB, a job's payload 2 kB.
 */
#include "traffic.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "base/ulid.h"
#include "store/incident.h"

#define HOUR_MS      3600000
#define SAMPLE_EVERY 10000
#define SERIES       60 /* five modules, a dozen things each */
#define WAIT_US      500
#define WAITS_MOST   240000 /* two minutes: the disk is gone */

static uint64_t draw(struct traffic *t, uint64_t below)
{
    t->random = t->random * 6364136223846793005u + 1442695040888963407u;
    return (t->random >> 33) % below;
}

static int push(struct traffic *t, const struct writer_row *rows, size_t count, struct error *err)
{
    int rc = VX11_EFULL;
    for (int i = 0; rc == VX11_EFULL && i < WAITS_MOST; i++)
        if ((rc = writer_push_group(t->writer, rows, count)) == VX11_EFULL)
            usleep(WAIT_US);
    if (rc != 0)
        return error_set(err, rc, "the writer takes no more rows");
    t->rows += count;
    return 0;
}

/* Text of that many letters, not the same twice. */
static const char *letters(struct traffic *t, size_t len, char *out)
{
    for (size_t i = 0; i < len; i++)
        out[i] = (char)('a' + draw(t, 26));
    out[len] = '\0';
    return out;
}

/* ---- one of each kind ---- */

static int add_request(struct traffic *t, int64_t at, struct error *err)
{
    static const char decision[] =
        "INSERT INTO decision (id, request_id, at, route, principal_id, principal_name, requested_model,"
        " provider, model, reason, attempts, stream, outcome, status, prompt_tokens, completion_tokens,"
        " first_token_ms, total_ms, task_type, mode, score, candidates, trace_id, story) VALUES (?1, ?2, ?3,"
        " 'chat_completions', '01PAGE00000000000000000000', 'page', 'auto', 'local', 'guide', 'best score of "
        "3', 1, 1, 'ok', 200, 812,"
        " 240, 180.5, 2210.25, 'chat', 'BALANCED', 0.71, ?4, ?5, ?6)";
    static const char usage[] =
        "INSERT INTO usage (decision_id, at, principal_id, provider, model, outcome, prompt_tokens,"
        " completion_tokens, cached_tokens, total_ms) VALUES (?1, ?2, '01PAGE00000000000000000000', 'local', "
        "'guide', 'ok', 812, 240, "
        "512,"
        " 2210.25)";
    char id[ULID_LEN + 1], request[ULID_LEN + 1], trace[33], candidates[700], story[400], noise[120];
    letters(t, 100, noise);
    snprintf(trace, sizeof trace, "%016llx%016llx", (unsigned long long)draw(t, UINT32_MAX),
             (unsigned long long)draw(t, UINT32_MAX));
    snprintf(candidates, sizeof candidates,
             "{\"candidates\":[{\"provider\":\"local\",\"model\":\"guide\",\"score\":0.71,\"terms\":{"
             "\"quality\":0.4,"
             "\"speed\":0.8,\"cost\":1,\"load\":0.9},\"outcome\":\"chosen\"},{\"provider\":\"cloud\","
             "\"model\":\"big\","
             "\"score\":0.66,\"terms\":{\"quality\":0.9,\"speed\":0.5,\"cost\":0.2,\"load\":1},\"outcome\":"
             "\"passed\"}],"
             "\"note\":\"%s\"}",
             noise);
    snprintf(story, sizeof story,
             "[{\"p\":\"local\",\"m\":\"guide\",\"k\":\"local\",\"o\":\"ok\",\"s\":200,\"t\":[%llu,212,640,"
             "1800,180500,2210250]}]",
             (unsigned long long)draw(t, 200));
    ulid_make(id);
    ulid_make(request);
    const struct store_value of_decision[] = {STORE_T(id),         STORE_T(request), STORE_I(at),
                                              STORE_T(candidates), STORE_T(trace),   STORE_T(story)};
    const struct store_value of_usage[] = {STORE_T(id), STORE_I(at)};
    const struct writer_row rows[] = {{decision, of_decision, 6}, {usage, of_usage, 2}};
    t->requests++;
    return push(t, rows, 2, err);
}

static int add_event(struct traffic *t, int64_t at, struct error *err)
{
    static const char sql[] = "INSERT INTO event (id, type, source, at, payload, size) VALUES (?1, "
                              "'switch.decision', 'switch', ?2, ?3,"
                              " length(?3))";
    char id[ULID_LEN + 1], payload[400], noise[220];
    snprintf(payload, sizeof payload, "{\"text\":\"%s\"}", letters(t, 200, noise));
    const struct store_value values[] = {STORE_T(ulid_make(id)), STORE_I(at), STORE_T(payload)};
    return push(t, &(struct writer_row){sql, values, 3}, 1, err);
}

static int add_job(struct traffic *t, int64_t at, struct error *err)
{
    static const char sql[] =
        "INSERT INTO job (id, source, priority, task_type, payload, payload_bytes, state, attempts, "
        "max_attempts,"
        " not_before, enqueued_at, started_at, finished_at, run_timeout_ms, result, principal_id,"
        " principal_name, principal_scopes) VALUES (?1, 'madre', ?4, 'analysis', ?3, length(?3), 'done', 1, "
        "3, ?2,"
        " ?2, ?2, ?2 + 1500, 60000, '{\"ok\":true}', ?1, 'madre', 'read,chat')";
    char id[ULID_LEN + 1], payload[2200], noise[2020];
    snprintf(payload, sizeof payload, "{\"prompt\":\"%s\"}", letters(t, 2000, noise));
    const struct store_value values[] = {STORE_T(ulid_make(id)), STORE_I(at), STORE_T(payload),
                                         STORE_I(draw(t, 10))};
    return push(t, &(struct writer_row){sql, values, 4}, 1, err);
}

static int add_intent(struct traffic *t, int64_t at, struct error *err)
{
    static const char sql[] =
        "INSERT INTO operator_intent (id, at, principal, intent_type, target, message, mode, ops, matched,"
        " confidence, language, status, total_ms) VALUES (?1, ?2, 'page', 'chat', 'switch', ?3, 'chat', '[]',"
        " '[]', 0.6, 'en', 200, 1200)";
    char id[ULID_LEN + 1], noise[160];
    const struct store_value values[] = {STORE_T(ulid_make(id)), STORE_I(at),
                                         STORE_T(letters(t, 140, noise))};
    return push(t, &(struct writer_row){sql, values, 3}, 1, err);
}

static int add_run(struct traffic *t, int64_t at, struct error *err)
{
    static const char sql[] = "INSERT INTO module_run (id, module, pid, started_at, ended_at, exit_code) "
                              "VALUES (?1, 'switch', ?3, ?2,"
                              " ?2 + 60000, 0)";
    char id[ULID_LEN + 1];
    const struct store_value values[] = {STORE_T(ulid_make(id)), STORE_I(at), STORE_I(1 + draw(t, 30000))};
    return push(t, &(struct writer_row){sql, values, 3}, 1, err);
}

/* Nine of ten have been seen before: the same few hundred places that fail again and again. */
static int add_incident(struct traffic *t, int64_t at, struct error *err)
{
    char id[ULID_LEN + 1], location[64];
    unsigned char fingerprint[INCIDENT_FINGERPRINT];
    const bool known = draw(t, 10) > 0;
    snprintf(location, sizeof location, "docs/%s%llu", known ? "" : "new/",
             (unsigned long long)draw(t, known ? 300 : UINT32_MAX));
    const struct incident_sight sight = {.kind = "fs_drift",
                                         .source = "scanner_fs",
                                         .location = location,
                                         .detail = "{\"missing\":true,\"expected\":\"as the baseline says\"}",
                                         .severity = INCIDENT_WARNING,
                                         .first_at = at,
                                         .last_at = at,
                                         .count = 1};
    struct store_value values[INCIDENT_VALUES];
    incident_fingerprint(sight.kind, sight.source, sight.location, fingerprint);
    incident_values(&sight, ulid_make(id), fingerprint, values);
    return push(t, &(struct writer_row){incident_sql, values, INCIDENT_VALUES}, 1, err);
}

/* All series at one moment. */
static int add_samples(struct traffic *t, int64_t at, struct error *err)
{
    static const char sql[] = "INSERT INTO metric_sample (series, at, value) VALUES (?1, ?2, ?3)";
    struct store_value values[SERIES][3];
    struct writer_row rows[SERIES];
    for (int i = 0; i < SERIES; i++) {
        values[i][0] = STORE_I(i + 1);
        values[i][1] = STORE_I(at);
        values[i][2] = STORE_D((double)draw(t, 100000) / 100.0);
        rows[i] = (struct writer_row){sql, values[i], 3};
    }
    return push(t, rows, SERIES, err);
}

/* ---- an hour ---- */

static const struct kind {
    double a_day;
    int (*add)(struct traffic *t, int64_t at, struct error *err);
} kinds[] = {
    {86400, add_request}, {20000, add_event}, {5000, add_job},
    {2000, add_intent},   {40, add_run},      {50000, add_incident},
};
_Static_assert(COUNT_OF(kinds) <= COUNT_OF(((struct traffic *)0)->owed),
               "a place for what each kind is owed");

int traffic_prepare(struct store *s, int64_t now_ms, struct error *err)
{
    char module[32], name[32];
    int rc = 0;
    for (int i = 0; rc == 0 && i < SERIES; i++) {
        snprintf(module, sizeof module, "module%d", i / 12);
        snprintf(name, sizeof name, "value%d", i % 12);
        const struct store_value values[] = {STORE_I(i + 1), STORE_T(module), STORE_T(name), STORE_I(now_ms)};
        rc = store_exec(s,
                        "INSERT OR IGNORE INTO metric_series (id, module, name, kind, unit, seen_at)"
                        " VALUES (?1, ?2, ?3, 'gauge', 'ms', ?4)",
                        values, COUNT_OF(values), NULL, err);
    }
    return rc;
}

/* Requests and what goes with them are scaled; samples come every ten seconds whoever asks what. */
int traffic_hour(struct traffic *t, int64_t from_ms, struct error *err)
{
    int rc = 0;
    for (size_t k = 0; rc == 0 && k < COUNT_OF(kinds); k++) {
        t->owed[k] += kinds[k].a_day / 24 * t->scale;
        const int64_t count = (int64_t)t->owed[k];
        t->owed[k] -= (double)count;
        for (int64_t i = 0; rc == 0 && i < count; i++)
            rc = kinds[k].add(t, from_ms + HOUR_MS * i / count, err);
    }
    const double every = SAMPLE_EVERY / (t->scale < 1 ? t->scale : 1);
    for (double at = 0; rc == 0 && at < HOUR_MS; at += every)
        rc = add_samples(t, from_ms + (int64_t)at, err);
    return rc;
}
