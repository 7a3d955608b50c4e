/* Job: putting, looking, cancelling. What has to do with leases is in lease.c.
 *
 * A claim is one UPDATE that names the row by a sub-select and its state once more: two workers that look at
 * the same moment cannot both have it, whichever process they are in. */
#include "switch/queue/job.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "switch/queue/job_internal.h"
#include "switch/queue/queries.h"

/* ---- rows ---- */

enum switch_job_state job_state_parse(const char *text)
{
    for (int i = 0; i <= SWITCH_JOB_STATE_CANCELLED; i++)
        if (str_eq(text, switch_job_state_names[i]))
            return (enum switch_job_state)i;
    return SWITCH_JOB_STATE_FAILED; /* the column's CHECK knows no other */
}

/* Columns in the order of JOB_COLUMNS; text as long as the row lives. */
static void job_from_row(const struct store_row *row, struct job *j)
{
    memset(j, 0, sizeof *j);
    row_copy(row, 0, j->id, sizeof j->id);
    j->state = job_state_parse(row_text(row, 1));
    j->priority = (int)row_int(row, 2);
    j->outside = row_int(row, 3) != 0;
    j->source = row_text(row, 4);
    j->task_type = row_text(row, 5);
    j->payload = row_text(row, 6);
    j->provider_hint = row_text(row, 7);
    j->lease_owner = row_text(row, 8);
    row_copy(row, 9, j->lease_token, sizeof j->lease_token);
    j->result = row_text(row, 10);
    j->error = row_text(row, 11);
    j->error_class = row_text(row, 12);
    j->error_status = (int)row_int(row, 13);
    j->idempotency_key = row_text(row, 14);
    j->principal_id = row_text(row, 15);
    j->principal_name = row_text(row, 16);
    j->principal_scopes = row_text(row, 17);
    j->trace = row_text(row, 18);
    j->attempts = row_int(row, 19);
    j->max_attempts = row_int(row, 20);
    j->ran_again = row_int(row, 21);
    j->run_timeout_ms = row_int(row, 22);
    j->not_before = row_int(row, 23);
    j->enqueued_at = row_int(row, 24);
    j->lease_until = row_int(row, 25);
    j->started_at = row_int(row, 26);
    j->finished_at = row_int(row, 27);
}

static int keep(struct arena *a, const char **text)
{
    if (!*text)
        return 0;
    *text = arena_strdup(a, *text);
    return *text ? 0 : VX11_ENOMEM;
}

int job_take(void *ctx, const struct store_row *row)
{
    struct job_taken *t = ctx;
    struct job *j = t->job;
    job_from_row(row, j);
    const char **texts[] = {&j->source,        &j->task_type,      &j->payload,
                            &j->provider_hint, &j->lease_owner,    &j->result,
                            &j->error,         &j->error_class,    &j->idempotency_key,
                            &j->principal_id,  &j->principal_name, &j->principal_scopes,
                            &j->trace};
    t->found = true;
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        if (keep(t->arena, texts[i]) != 0)
            return VX11_ENOMEM;
    return 0;
}

int job_get(struct store *s, const char *id, struct arena *a, struct job *out, struct error *err)
{
    struct job_taken t = {.arena = a, .job = out};
    int rc = store_query(s, JOB_GET_SQL, (struct store_value[]){STORE_T(id)}, 1, job_take, &t, err);
    if (rc == 0 && !t.found)
        rc = error_set(err, VX11_ENOT_FOUND, "there is no job %s", id);
    return rc;
}

int job_peek(struct store *s, int64_t now, struct arena *a, struct job *out, struct error *err)
{
    struct job_taken t = {.arena = a, .job = out};
    int rc = store_query(s, JOB_PEEK_SQL, (struct store_value[]){STORE_I(now)}, 1, job_take, &t, err);
    return rc != 0 ? rc : t.found;
}

struct each {
    job_fn fn;
    void *ctx;
};

static int on_row(void *ctx, const struct store_row *row)
{
    struct each *e = ctx;
    struct job j;
    job_from_row(row, &j);
    return e->fn(e->ctx, &j);
}

int job_list(struct store *s, const struct job_filter *f, job_fn fn, void *ctx, struct error *err)
{
    struct each e = {fn, ctx};
    struct store_value values[] = {STORE_T(f->state), STORE_T(f->source), STORE_T(f->task_type),
                                   STORE_T(f->before), STORE_I(f->limit)};
    return store_query(s, JOB_LIST_SQL, values, COUNT_OF(values), on_row, &e, err);
}

int job_line(struct store *s, int64_t limit, job_fn fn, void *ctx, struct error *err)
{
    struct each e = {fn, ctx};
    return store_query(s, JOB_LINE_SQL, (struct store_value[]){STORE_I(limit)}, 1, on_row, &e, err);
}

/* ---- put ---- */

struct put {
    const struct job_new *n;
    int64_t now;
    char *id, *token;
    bool *existing;
    bool other_body;
};

static int take_existing(void *ctx, const struct store_row *row)
{
    struct put *p = ctx;
    *p->existing = true;
    row_copy(row, 0, p->id, ULID_LEN + 1);
    p->other_body = !str_eq(row_text(row, 1), p->n->body_hash);
    return 0;
}

struct open_jobs {
    int64_t jobs, bytes;
};

static int take_open(void *ctx, const struct store_row *row)
{
    struct open_jobs *o = ctx;
    o->jobs = row_int(row, 0);
    o->bytes = row_int(row, 1);
    return 0;
}

static int put_insert(struct store *s, const struct put *p, struct error *err)
{
    const struct job_new *n = p->n;
    bool born = n->owner != NULL;
    ulid_make(p->id);
    p->token[0] = '\0';
    if (born)
        ulid_make(p->token);
    struct store_value values[] = {
        STORE_T(p->id),
        STORE_T(n->source),
        STORE_I(n->priority),
        STORE_T(n->task_type),
        STORE_T(n->payload),
        STORE_I(strlen(n->payload)),
        STORE_T(n->provider_hint),
        STORE_I(n->outside),
        STORE_T(born ? "running" : "queued"),
        STORE_I(born ? 1 : 0),
        STORE_I(n->max_attempts),
        STORE_I(p->now + n->delay_ms),
        born ? STORE_I(p->now + n->lease_ms) : STORE_N,
        STORE_T(n->owner),
        born ? STORE_T(p->token) : STORE_N,
        STORE_I(p->now),
        born ? STORE_I(p->now) : STORE_N,
        STORE_I(n->run_timeout_ms),
        STORE_T(n->idempotency_key),
        STORE_T(n->idempotency_key ? n->body_hash : NULL),
        STORE_T(n->principal_id),
        STORE_T(n->principal_name),
        STORE_T(n->principal_scopes),
        STORE_T(n->trace),
    };
    return store_exec(s, JOB_INSERT_SQL, values, COUNT_OF(values), NULL, err);
}

static int check_room(struct store *s, const struct job_new *n, struct error *err)
{
    struct open_jobs open = {0};
    int rc = store_query(s, JOB_OPEN_SQL, NULL, 0, take_open, &open, err);
    if (rc != 0)
        return rc;
    if (open.jobs >= n->max_jobs)
        return error_set(err, VX11_EFULL, "the queue holds %lld jobs, its most", (long long)open.jobs);
    if (open.bytes + (int64_t)strlen(n->payload) > n->max_bytes)
        return error_set(err, VX11_EFULL, "the queue's payloads take %lld bytes, and with this one too many",
                         (long long)open.bytes);
    return 0;
}

static int put_all(void *ctx, struct store *s, struct error *err)
{
    struct put *p = ctx;
    const struct job_new *n = p->n;
    int rc = 0;
    if (n->idempotency_key) {
        struct store_value key[] = {STORE_T(n->principal_id), STORE_T(n->idempotency_key)};
        rc = store_query(s, JOB_BY_KEY_SQL, key, COUNT_OF(key), take_existing, p, err);
        if (rc == 0 && p->other_body)
            return error_set(err, VX11_EEXISTS, "this Idempotency-Key came before with another body: job %s",
                             p->id);
        if (rc != 0 || *p->existing)
            return rc;
    }
    rc = check_room(s, n, err);
    return rc != 0 ? rc : put_insert(s, p, err);
}

int job_put(struct store *s, const struct job_new *n, int64_t now, char id[ULID_LEN + 1],
            char token[ULID_LEN + 1], bool *existing, struct error *err)
{
    struct put p = {.n = n, .now = now, .id = id, .token = token, .existing = existing};
    *existing = false;
    token[0] = '\0';
    return store_transaction(s, put_all, &p, err);
}

/* ---- cancel, retry ---- */

struct change {
    const char *id, *sql;
    int64_t now, max_jobs; /* max_jobs 0: room does not matter */
    const char *refused;
};

static int take_state(void *ctx, const struct store_row *row)
{
    row_copy(row, 0, ctx, 16);
    return 0;
}

static int change_all(void *ctx, struct store *s, struct error *err)
{
    struct change *c = ctx;
    char state[16] = "";
    int64_t changed;
    int rc = store_query(s, JOB_STATE_SQL, (struct store_value[]){STORE_T(c->id)}, 1, take_state, state, err);
    if (rc == 0 && !state[0])
        return error_set(err, VX11_ENOT_FOUND, "there is no job %s", c->id);
    if (rc == 0 && c->max_jobs > 0) {
        struct open_jobs open = {0};
        rc = store_query(s, JOB_OPEN_SQL, NULL, 0, take_open, &open, err);
        if (rc == 0 && open.jobs >= c->max_jobs)
            return error_set(err, VX11_EFULL, "the queue holds %lld jobs, its most", (long long)open.jobs);
    }
    if (rc == 0)
        rc = store_exec(s, c->sql, (struct store_value[]){STORE_T(c->id), STORE_I(c->now)}, 2, &changed, err);
    if (rc == 0 && changed == 0)
        return error_set(err, VX11_EBUSY, "job %s is %s%s", c->id, state, c->refused);
    return rc;
}

int job_cancel(struct store *s, const char *id, int64_t now, struct error *err)
{
    struct change c = {.id = id, .sql = JOB_CANCEL_SQL, .now = now, .refused = " already"};
    return store_transaction(s, change_all, &c, err);
}

int job_retry(struct store *s, const char *id, int64_t max_jobs, int64_t now, struct error *err)
{
    struct change c = {.id = id,
                       .sql = JOB_RETRY_SQL,
                       .now = now,
                       .max_jobs = max_jobs,
                       .refused = ": only dead, failed and cancelled ones can be queued once more"};
    return store_transaction(s, change_all, &c, err);
}

/* ---- numbers ---- */

static int take_by_state(void *ctx, const struct store_row *row)
{
    struct job_stats *st = ctx;
    st->by_state[job_state_parse(row_text(row, 0))] = row_int(row, 1);
    return 0;
}

static int take_by_priority(void *ctx, const struct store_row *row)
{
    struct job_stats *st = ctx;
    int64_t priority = row_int(row, 0);
    if (priority >= 0 && priority < (int64_t)COUNT_OF(st->queued))
        st->queued[priority] = row_int(row, 1);
    return 0;
}

static int take_oldest(void *ctx, const struct store_row *row)
{
    ((struct job_stats *)ctx)->oldest_at = row_int(row, 0);
    return 0;
}

int job_stats(struct store *s, struct job_stats *out, struct error *err)
{
    struct open_jobs open = {0};
    memset(out, 0, sizeof *out);
    int rc = store_query(s, JOB_BY_STATE_SQL, NULL, 0, take_by_state, out, err);
    if (rc == 0)
        rc = store_query(s, JOB_BY_PRIORITY_SQL, NULL, 0, take_by_priority, out, err);
    if (rc == 0)
        rc = store_query(s, JOB_OLDEST_SQL, NULL, 0, take_oldest, out, err);
    if (rc == 0)
        rc = store_query(s, JOB_OPEN_SQL, NULL, 0, take_open, &open, err);
    out->bytes = open.bytes;
    return rc;
}

struct due {
    int64_t *not_before, *lease;
};

static int take_due(void *ctx, const struct store_row *row)
{
    struct due *d = ctx;
    if (!row_is_null(row, 0))
        *d->not_before = row_int(row, 0);
    if (!row_is_null(row, 1))
        *d->lease = row_int(row, 1);
    return 0;
}

int job_next_due(struct store *s, int64_t *not_before, int64_t *lease, struct error *err)
{
    struct due d = {not_before, lease};
    *not_before = *lease = INT64_MAX;
    return store_query(s, JOB_DUE_SQL, NULL, 0, take_due, &d, err);
}
