/* Tokens: the tables behind authentication. What must hold together happens in one transaction or one
 * statement: a login code is used by the UPDATE that finds it unused, so that of two who try at once one gets
 * in. */
#include "store/tokens.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "store/ledger/ledger.h"

#define TOUCH_MS      "60000"
#define TOKEN_KEPT_MS (30 * (int64_t)86400000) /* dead tokens stay listed for a month */

static void copy_hash(const struct store_row *row, int column, unsigned char out[TOKEN_HASH_LEN])
{
    size_t len;
    const void *data = row_blob(row, column, &len);
    memset(out, 0, TOKEN_HASH_LEN);
    if (data && len == TOKEN_HASH_LEN) /* the table's CHECK holds it to that */
        memcpy(out, data, len);
}

/* ---- tokens ---- */

#define TOKEN_COLUMNS                                                                                        \
    "id, name, scopes, hash, slot = 'next', created_at, expires_at, revoked_at, last_used_at"

static void token_take(const struct store_row *row, struct token_row *t)
{
    row_copy(row, 0, t->id, sizeof t->id);
    row_copy(row, 1, t->name, sizeof t->name);
    row_copy(row, 2, t->scopes, sizeof t->scopes);
    copy_hash(row, 3, t->hash);
    t->next = row_int(row, 4) != 0;
    t->created_at = row_int(row, 5);
    t->expires_at = row_int(row, 6); /* NULL reads as 0 */
    t->revoked_at = row_int(row, 7);
    t->last_used_at = row_int(row, 8);
}

struct token_walk {
    token_row_fn fn;
    void *ctx;
};

static int token_pass(void *ctx, const struct store_row *row)
{
    struct token_walk *walk = ctx;
    struct token_row t;
    token_take(row, &t);
    return walk->fn(walk->ctx, &t);
}

int token_list(struct store *s, bool all, int64_t now, token_row_fn fn, void *ctx, struct error *err)
{
    struct token_walk walk = {fn, ctx};
    return store_query(s,
                       "SELECT " TOKEN_COLUMNS " FROM auth_token WHERE ?1 OR (revoked_at IS NULL AND"
                       " (expires_at IS NULL OR expires_at > ?2)) ORDER BY id",
                       (struct store_value[]){STORE_I(all), STORE_I(now)}, 2, token_pass, &walk, err);
}

struct token_found {
    struct token_row *out;
    int count;
};

static int token_keep(void *ctx, const struct store_row *row)
{
    struct token_found *found = ctx;
    token_take(row, found->out);
    found->count++;
    return 0;
}

int token_find(struct store *s, const char *id_or_name, bool next, struct token_row *out, struct error *err)
{
    *out = (struct token_row){0};
    struct token_found found = {out, 0};
    int rc;
    if (ulid_valid(id_or_name))
        rc = store_query(s, "SELECT " TOKEN_COLUMNS " FROM auth_token WHERE id = ?1",
                         (struct store_value[]){STORE_T(id_or_name)}, 1, token_keep, &found, err);
    else
        rc = store_query(s,
                         "SELECT " TOKEN_COLUMNS
                         " FROM auth_token WHERE name = ?1 AND revoked_at IS NULL AND slot = ?2",
                         (struct store_value[]){STORE_T(id_or_name), STORE_T(next ? "next" : "current")}, 2,
                         token_keep, &found, err);
    if (rc == 0 && found.count == 0)
        rc = error_set(err, VX11_ENOT_FOUND, "there is no %stoken %s", next ? "next " : "", id_or_name);
    return rc;
}

struct token_change {
    const char *by, *name, *scopes;
    const unsigned char *hash;
    int64_t expires_at, now;
    char *id;
    const struct token_limits *limits; /* of a new one; NULL: none */
};

static struct store_value bound_or_null(int64_t n)
{
    return n > 0 ? STORE_I(n) : STORE_N;
}

/* The account stays when the token has one. */
static int limits_put(struct store *s, const char *id, const char *account, const struct token_limits *l,
                      int64_t now, struct error *err)
{
    return store_exec(
        s,
        "INSERT INTO token_limit (token_id, account, models, requests_per_minute, concurrent, tokens_per_day,"
        " tokens_per_month, cost_micro_per_month, local_only, mode, changed_at)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) ON CONFLICT (token_id) DO UPDATE SET"
        " models = ?3, requests_per_minute = ?4, concurrent = ?5, tokens_per_day = ?6, tokens_per_month = ?7,"
        " cost_micro_per_month = ?8, local_only = ?9, mode = ?10, changed_at = ?11",
        (struct store_value[]){STORE_T(id), STORE_T(account), STORE_T(l->models),
                               bound_or_null(l->requests_per_minute), bound_or_null(l->concurrent),
                               bound_or_null(l->tokens_per_day), bound_or_null(l->tokens_per_month),
                               bound_or_null(l->cost_micro_per_month), STORE_I(l->local_only),
                               l->mode[0] ? STORE_T(l->mode) : STORE_N, STORE_I(now)},
        11, NULL, err);
}

static int take_count(void *ctx, const struct store_row *row)
{
    *(int64_t *)ctx = row_int(row, 0);
    return 0;
}

static int token_insert(struct store *s, const struct token_change *c, const char *slot, struct error *err)
{
    ulid_make(c->id);
    return store_exec(s,
                      "INSERT INTO auth_token (id, name, scopes, hash, slot, created_at, expires_at)"
                      " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                      (struct store_value[]){STORE_T(c->id), STORE_T(c->name), STORE_T(c->scopes),
                                             store_blob(c->hash, TOKEN_HASH_LEN), STORE_T(slot),
                                             STORE_I(c->now),
                                             c->expires_at > 0 ? STORE_I(c->expires_at) : STORE_N},
                      7, NULL, err);
}

/* When it ends, for a person; NULL: never. */
static const char *expiry(int64_t at, char out[32])
{
    return at > 0 ? clock_format(at, out) : NULL;
}

static int create_inside(void *ctx, struct store *s, struct error *err)
{
    struct token_change *c = ctx;
    int64_t valid = 0;
    int rc = store_exec(
        s,
        "UPDATE auth_token SET revoked_at = ?2 WHERE name = ?1 AND revoked_at IS NULL AND expires_at <= ?2",
        (struct store_value[]){STORE_T(c->name), STORE_I(c->now)}, 2, NULL, err);
    if (rc == 0)
        rc = store_query(s, "SELECT count(*) FROM auth_token WHERE name = ?1 AND revoked_at IS NULL",
                         (struct store_value[]){STORE_T(c->name)}, 1, take_count, &valid, err);
    if (rc == 0 && valid > 0)
        rc = error_set(err, VX11_EEXISTS,
                       "there is a valid token named %s already: rotate it, or revoke it first", c->name);
    if (rc == 0)
        rc = token_insert(s, c, "current", err);
    if (rc == 0 && c->limits)
        rc = limits_put(s, c->id, c->id, c->limits, c->now, err);
    char at[32];
    if (rc == 0)
        rc = ledger_note(s, "token.created", c->by, c->name, err, "id", c->id, "scopes", c->scopes, "expires",
                         expiry(c->expires_at, at), "limited", c->limits ? "yes" : "no", NULL);
    return rc;
}

int token_create(struct store *s, const char *by, const char *name, const char *scopes,
                 const unsigned char hash[TOKEN_HASH_LEN], int64_t expires_at, int64_t now,
                 char id[ULID_LEN + 1], struct error *err)
{
    return token_create_limited(s, by, name, scopes, hash, expires_at, NULL, now, id, err);
}

int token_create_limited(struct store *s, const char *by, const char *name, const char *scopes,
                         const unsigned char hash[TOKEN_HASH_LEN], int64_t expires_at,
                         const struct token_limits *limits, int64_t now, char id[ULID_LEN + 1],
                         struct error *err)
{
    struct token_change c = {by, name, scopes, hash, expires_at, now, id, limits};
    size_t len = strlen(name);
    if (len == 0 || len > 63 || !utf8_valid(name, len) || ulid_valid(name))
        return error_set(err, VX11_EINVALID,
                         "a token's name has 1 to 63 bytes of UTF-8 and does not look like an id");
    return store_transaction_durable(s, create_inside, &c, err);
}

static int rotate_inside(void *ctx, struct store *s, struct error *err)
{
    struct token_change *c = ctx;
    struct token_row current;
    int rc = token_find(s, c->name, false, &current, err);
    if (rc == 0 && current.expires_at > 0 && current.expires_at <= c->now)
        rc = error_set(err, VX11_ENOT_FOUND, "the token %s has expired: create it anew", c->name);
    if (rc == 0)
        rc = store_exec(
            s,
            "UPDATE auth_token SET revoked_at = ?2 WHERE name = ?1 AND slot = 'next' AND revoked_at IS NULL",
            (struct store_value[]){STORE_T(c->name), STORE_I(c->now)}, 2, NULL, err);
    if (rc != 0)
        return rc;
    c->scopes = current.scopes;
    c->expires_at = current.expires_at;
    rc = token_insert(s, c, "next", err);
    /* What it used goes on being counted in one account, whether it has limits of its own or not. */
    if (rc == 0)
        rc = store_exec(
            s,
            "INSERT INTO token_limit (token_id, account, models, requests_per_minute, concurrent,"
            " tokens_per_day, tokens_per_month, cost_micro_per_month, local_only, mode, changed_at)"
            " SELECT ?1, coalesce(l.account, t.id), coalesce(l.models, ''), l.requests_per_minute,"
            " l.concurrent, l.tokens_per_day, l.tokens_per_month, l.cost_micro_per_month,"
            " coalesce(l.local_only, 0), l.mode, ?3"
            " FROM auth_token AS t LEFT JOIN token_limit AS l ON l.token_id = t.id WHERE t.id = ?2",
            (struct store_value[]){STORE_T(c->id), STORE_T(current.id), STORE_I(c->now)}, 3, NULL, err);
    char at[32];
    if (rc == 0)
        rc = ledger_note(s, "token.rotated", c->by, c->name, err, "id", c->id, "beside", current.id,
                         "expires", expiry(c->expires_at, at), NULL);
    return rc;
}

int token_rotate(struct store *s, const char *by, const char *name, const unsigned char hash[TOKEN_HASH_LEN],
                 int64_t now, char id[ULID_LEN + 1], struct error *err)
{
    struct token_change c = {.by = by, .name = name, .hash = hash, .now = now, .id = id};
    return store_transaction_durable(s, rotate_inside, &c, err);
}

static int promote_inside(void *ctx, struct store *s, struct error *err)
{
    struct token_change *c = ctx;
    int64_t changes = 0;
    int rc = store_exec(
        s,
        "UPDATE auth_token SET revoked_at = ?2 WHERE name = ?1 AND slot = 'current' AND revoked_at IS NULL",
        (struct store_value[]){STORE_T(c->name), STORE_I(c->now)}, 2, NULL, err);
    if (rc == 0)
        rc = store_exec(
            s,
            "UPDATE auth_token SET slot = 'current' WHERE name = ?1 AND slot = 'next' AND revoked_at IS NULL",
            (struct store_value[]){STORE_T(c->name)}, 1, &changes, err);
    if (rc == 0 && changes == 0)
        rc = error_set(err, VX11_ENOT_FOUND, "the token %s has no next one: rotate it first", c->name);
    struct token_row now_current;
    if (rc == 0)
        rc = token_find(s, c->name, false, &now_current, err);
    if (rc == 0)
        rc = ledger_note(s, "token.promoted", c->by, c->name, err, "id", now_current.id, NULL);
    return rc;
}

int token_promote(struct store *s, const char *by, const char *name, int64_t now, struct error *err)
{
    struct token_change c = {.by = by, .name = name, .now = now};
    return store_transaction_durable(s, promote_inside, &c, err);
}

static int revoke_inside(void *ctx, struct store *s, struct error *err)
{
    const struct token_change *c = ctx;
    bool by_id = ulid_valid(c->name);
    int64_t changes = 0;
    struct token_row row = {0};
    struct store_value values[] = {STORE_T(c->name), STORE_I(c->now)};
    int rc =
        by_id ? store_exec(s, "UPDATE auth_token SET revoked_at = ?2 WHERE id = ?1 AND revoked_at IS NULL",
                           values, 2, &changes, err)
              : store_exec(s, "UPDATE auth_token SET revoked_at = ?2 WHERE name = ?1 AND revoked_at IS NULL",
                           values, 2, &changes, err);
    if (rc == 0 && changes == 0)
        rc = error_set(err, VX11_ENOT_FOUND, "there is no valid token %s", c->name);
    if (rc == 0 && by_id)
        rc = token_find(s, c->name, false, &row, err);
    if (rc == 0)
        rc = ledger_note(s, "token.revoked", c->by, by_id ? row.name : c->name, err, "id",
                         by_id ? c->name : NULL, "slots", changes > 1 ? "current, next" : "one", NULL);
    return rc;
}

int token_revoke(struct store *s, const char *by, const char *id_or_name, int64_t now, struct error *err)
{
    struct token_change c = {.by = by, .name = id_or_name, .now = now};
    return store_transaction_durable(s, revoke_inside, &c, err);
}

/* ---- limits ---- */

struct limits_found {
    struct token_limits *out;
    int count;
};

static int limits_take(void *ctx, const struct store_row *row)
{
    struct limits_found *found = ctx;
    struct token_limits *l = found->out;
    row_copy(row, 0, l->account, sizeof l->account);
    row_copy(row, 1, l->models, sizeof l->models);
    l->requests_per_minute = row_int(row, 2); /* NULL reads as 0 */
    l->concurrent = row_int(row, 3);
    l->tokens_per_day = row_int(row, 4);
    l->tokens_per_month = row_int(row, 5);
    l->cost_micro_per_month = row_int(row, 6);
    l->local_only = row_int(row, 7) != 0;
    row_copy(row, 8, l->mode, sizeof l->mode);
    found->count++;
    return 0;
}

#define LIMITS_SELECT                                                                                        \
    "SELECT coalesce(l.account, t.id), l.models, l.requests_per_minute, l.concurrent, l.tokens_per_day,"     \
    " l.tokens_per_month, l.cost_micro_per_month, l.local_only, l.mode"                                      \
    " FROM auth_token AS t LEFT JOIN token_limit AS l ON l.token_id = t.id WHERE "

int token_limits_get(struct store *s, const char *id_or_name, struct token_limits *out, struct error *err)
{
    struct store_value who = STORE_T(id_or_name);
    *out = (struct token_limits){0};
    struct limits_found found = {out, 0};
    int rc = ulid_valid(id_or_name)
                 ? store_query(s, LIMITS_SELECT "t.id = ?1", &who, 1, limits_take, &found, err)
                 : store_query(s, LIMITS_SELECT "t.name = ?1 AND t.revoked_at IS NULL AND t.slot = 'current'",
                               &who, 1, limits_take, &found, err);
    if (rc == 0 && found.count == 0)
        rc = error_set(err, VX11_ENOT_FOUND, "there is no token %s", id_or_name);
    return rc;
}

struct limits_change {
    const char *by, *id_or_name;
    const struct token_limits *limits;
    const int64_t *expires_at;
    int64_t now;
};

struct token_ids {
    char id[2][ULID_LEN + 1];
    size_t count;
};

static int take_id(void *ctx, const struct store_row *row)
{
    struct token_ids *ids = ctx;
    if (ids->count < COUNT_OF(ids->id))
        row_copy(row, 0, ids->id[ids->count++], sizeof ids->id[0]);
    return 0;
}

static const char *bound_text(int64_t n, char out[24])
{
    snprintf(out, 24, "%lld", (long long)n);
    return n > 0 ? out : NULL;
}

static int limits_note(struct store *s, const struct limits_change *c, struct error *err)
{
    const struct token_limits *l = c->limits;
    char at[32], minute[24], concurrent[24], day[24], month[24], cost[24];
    const char *expires =
        c->expires_at ? (*c->expires_at > 0 ? clock_format(*c->expires_at, at) : "never") : "as before";
    return ledger_note(
        s, "token.limits", c->by, c->id_or_name, err, "models", l->models[0] ? l->models : NULL,
        "requests_per_minute", bound_text(l->requests_per_minute, minute), "concurrent",
        bound_text(l->concurrent, concurrent), "use_per_day", bound_text(l->tokens_per_day, day),
        "use_per_month", bound_text(l->tokens_per_month, month), "cost_micro_per_month",
        bound_text(l->cost_micro_per_month, cost), "local_only", l->local_only ? "yes" : "no", "mode",
        l->mode[0] ? l->mode : NULL, "expires", expires, NULL);
}

static int limits_inside(void *ctx, struct store *s, struct error *err)
{
    struct limits_change *c = ctx;
    struct token_limits before;
    struct token_ids ids = {.count = 0};
    struct store_value who = STORE_T(c->id_or_name);
    int rc = token_limits_get(s, c->id_or_name, &before, err); /* the account that both slots share */
    if (rc == 0)
        rc = ulid_valid(c->id_or_name)
                 ? store_query(s, "SELECT id FROM auth_token WHERE id = ?1 AND revoked_at IS NULL", &who, 1,
                               take_id, &ids, err)
                 : store_query(s, "SELECT id FROM auth_token WHERE name = ?1 AND revoked_at IS NULL", &who, 1,
                               take_id, &ids, err);
    if (rc == 0 && ids.count == 0)
        rc = error_set(err, VX11_ENOT_FOUND, "there is no valid token %s", c->id_or_name);
    for (size_t i = 0; i < ids.count && rc == 0; i++) {
        rc = limits_put(s, ids.id[i], before.account, c->limits, c->now, err);
        if (rc == 0 && c->expires_at)
            rc = store_exec(s, "UPDATE auth_token SET expires_at = ?2 WHERE id = ?1",
                            (struct store_value[]){STORE_T(ids.id[i]), bound_or_null(*c->expires_at)}, 2,
                            NULL, err);
    }
    return rc != 0 ? rc : limits_note(s, c, err);
}

int token_limits_set(struct store *s, const char *by, const char *id_or_name,
                     const struct token_limits *limits, const int64_t *expires_at, int64_t now,
                     struct error *err)
{
    struct limits_change c = {by, id_or_name, limits, expires_at, now};
    return store_transaction_durable(s, limits_inside, &c, err);
}

int token_limits_version(struct store *s, int64_t *out, struct error *err)
{
    *out = 0;
    return store_query(s, "SELECT version FROM token_limit_version", NULL, 0, take_count, out, err);
}

int token_touch(struct writer *w, const char *id, int64_t now)
{
    return writer_push(w,
                       "UPDATE auth_token SET last_used_at = ?2"
                       " WHERE id = ?1 AND (last_used_at IS NULL OR last_used_at <= ?2 - " TOUCH_MS ")",
                       (struct store_value[]){STORE_T(id), STORE_I(now)}, 2);
}

/* ---- sessions ---- */

#define SESSION_COLUMNS "id, scopes, hash, user_agent, created_at, last_seen_at, expires_at"

static void session_take(const struct store_row *row, struct session_row *out)
{
    row_copy(row, 0, out->id, sizeof out->id);
    row_copy(row, 1, out->scopes, sizeof out->scopes);
    copy_hash(row, 2, out->hash);
    row_copy(row, 3, out->user_agent, sizeof out->user_agent);
    out->created_at = row_int(row, 4);
    out->last_seen_at = row_int(row, 5);
    out->expires_at = row_int(row, 6);
}

struct session_walk {
    session_row_fn fn;
    void *ctx;
};

static int session_pass(void *ctx, const struct store_row *row)
{
    struct session_walk *walk = ctx;
    struct session_row t;
    session_take(row, &t);
    return walk->fn(walk->ctx, &t);
}

static int session_keep(void *ctx, const struct session_row *t)
{
    *(struct session_row *)ctx = *t;
    return 0;
}

struct session_new {
    const unsigned char *hash;
    const char *scopes;
    struct store_value user_agent;
    int64_t expires_at, now;
    const char *id;
};

static int session_inside(void *ctx, struct store *s, struct error *err)
{
    const struct session_new *n = ctx;
    char at[32];
    int rc = store_exec(
        s,
        "INSERT INTO auth_session (id, hash, scopes, created_at, last_seen_at, expires_at, user_agent)"
        " VALUES (?1, ?2, ?3, ?4, ?4, ?5, ?6)",
        (struct store_value[]){STORE_T(n->id), store_blob(n->hash, TOKEN_HASH_LEN), STORE_T(n->scopes),
                               STORE_I(n->now), STORE_I(n->expires_at), n->user_agent},
        6, NULL, err);
    return rc != 0 ? rc
                   : ledger_note(s, "login", "page", n->id, err, "scopes", n->scopes, "expires",
                                 expiry(n->expires_at, at), NULL);
}

int session_create(struct store *s, const unsigned char hash[TOKEN_HASH_LEN], const char *scopes,
                   const char *user_agent, int64_t expires_at, int64_t now, char id[ULID_LEN + 1],
                   struct error *err)
{
    size_t len = user_agent ? strlen(user_agent) : 0;
    len = utf8_valid_prefix(user_agent ? user_agent : "", len < 255 ? len : 255);
    struct session_new n = {hash,       scopes, len > 0 ? store_text_len(user_agent, len) : STORE_N,
                            expires_at, now,    ulid_make(id)};
    return store_transaction_durable(s, session_inside, &n, err);
}

int session_find(struct store *s, const unsigned char hash[TOKEN_HASH_LEN], int64_t now,
                 struct session_row *out, struct error *err)
{
    struct session_walk walk = {session_keep, out};
    memset(out, 0, sizeof *out);
    int rc = store_query(
        s, "SELECT " SESSION_COLUMNS " FROM auth_session WHERE hash = ?1 AND expires_at > ?2",
        (struct store_value[]){store_blob(hash, TOKEN_HASH_LEN), STORE_I(now)}, 2, session_pass, &walk, err);
    if (rc == 0 && !out->id[0])
        rc = error_set(err, VX11_ENOT_FOUND, "there is no such session, or it has expired");
    return rc;
}

int session_list(struct store *s, int64_t now, session_row_fn fn, void *ctx, struct error *err)
{
    struct session_walk walk = {fn, ctx};
    return store_query(s, "SELECT " SESSION_COLUMNS " FROM auth_session WHERE expires_at > ?1 ORDER BY id",
                       (struct store_value[]){STORE_I(now)}, 1, session_pass, &walk, err);
}

int session_delete(struct store *s, const char *id, struct error *err)
{
    int64_t changes = 0;
    int rc = store_exec(s, "DELETE FROM auth_session WHERE id = ?1", (struct store_value[]){STORE_T(id)}, 1,
                        &changes, err);
    if (rc == 0 && changes == 0)
        rc = error_set(err, VX11_ENOT_FOUND, "there is no session %s", id);
    return rc;
}

int session_touch(struct writer *w, const char *id, int64_t now)
{
    return writer_push(
        w, "UPDATE auth_session SET last_seen_at = ?2 WHERE id = ?1 AND last_seen_at <= ?2 - " TOUCH_MS,
        (struct store_value[]){STORE_T(id), STORE_I(now)}, 2);
}

/* ---- login codes ---- */

static int code_inside(void *ctx, struct store *s, struct error *err)
{
    const struct token_change *c = ctx;
    char at[32];
    int rc = store_exec(
        s, "INSERT INTO auth_login_code (hash, created_at, expires_at) VALUES (?1, ?2, ?3)",
        (struct store_value[]){store_blob(c->hash, TOKEN_HASH_LEN), STORE_I(c->now), STORE_I(c->expires_at)},
        3, NULL, err);
    return rc != 0
               ? rc
               : ledger_note(s, "login.link", c->by, NULL, err, "expires", expiry(c->expires_at, at), NULL);
}

int login_code_create(struct store *s, const char *by, const unsigned char hash[TOKEN_HASH_LEN],
                      int64_t expires_at, int64_t now, struct error *err)
{
    struct token_change c = {.by = by, .hash = hash, .expires_at = expires_at, .now = now};
    return store_transaction_durable(s, code_inside, &c, err);
}

static int take_used(void *ctx, const struct store_row *row)
{
    *(int *)ctx = row_is_null(row, 0) ? 1 : 2;
    return 0;
}

int login_code_consume(struct store *s, const unsigned char hash[TOKEN_HASH_LEN], int64_t now,
                       struct error *err)
{
    int64_t changes = 0;
    int rc = store_exec(
        s, "UPDATE auth_login_code SET used_at = ?2 WHERE hash = ?1 AND used_at IS NULL AND expires_at > ?2",
        (struct store_value[]){store_blob(hash, TOKEN_HASH_LEN), STORE_I(now)}, 2, &changes, err);
    if (rc != 0 || changes > 0)
        return rc;
    int known = 0; /* 1: unused, 2: used */
    rc = store_query(s, "SELECT used_at FROM auth_login_code WHERE hash = ?1",
                     (struct store_value[]){store_blob(hash, TOKEN_HASH_LEN)}, 1, take_used, &known, err);
    if (rc != 0)
        return rc;
    return error_set(err, VX11_ENOT_FOUND, "%s",
                     known == 2   ? "this login link was used already: each works once"
                     : known == 1 ? "this login link has expired"
                                  : "there is no such login link");
}

/* ---- purge ---- */

int token_purge(struct store *s, int64_t now, uint64_t *deleted, struct error *err)
{
    static const char *const statements[] = {
        "DELETE FROM auth_session WHERE expires_at <= ?1 AND ?2",
        "DELETE FROM auth_login_code WHERE expires_at <= ?1 AND ?2",
        "DELETE FROM auth_token WHERE ?1 AND (revoked_at <= ?2 OR expires_at <= ?2)",
    };
    int rc = 0;
    uint64_t sum = 0;
    for (size_t i = 0; i < COUNT_OF(statements) && rc == 0; i++) {
        int64_t changes = 0;
        rc = store_exec(s, statements[i], (struct store_value[]){STORE_I(now), STORE_I(now - TOKEN_KEPT_MS)},
                        2, &changes, err);
        sum += (uint64_t)changes;
    }
    if (deleted)
        *deleted = sum;
    return rc;
}
