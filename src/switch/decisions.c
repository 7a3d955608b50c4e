/* The decisions as they are in the database, newest first. Prompts and answers are not among them. */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "module/module.h"
#include "switch/admin.h"
#include "switch/switch_internal.h"

#define COLUMNS                                                                                              \
    "d.id, d.request_id, d.at, d.route, d.principal_name, d.requested_model, d.provider, d.model, "          \
    "d.reason, "                                                                                             \
    "d.alternatives, d.attempts, d.stream, d.outcome, d.status, d.error, d.prompt_tokens, "                  \
    "d.completion_tokens, u.cached_tokens, d.first_token_ms, d.total_ms, d.cost_micro, "                     \
    "coalesce(u.estimated, 0), coalesce(u.from_cache, 0)"
#define FILTER                                                                                               \
    "(?2 IS NULL OR d.model = ?2) AND (?3 IS NULL OR d.provider = ?3) AND (?4 IS NULL OR d.outcome = ?4) "   \
    "AND (?5 IS NULL OR d.at >= ?5) AND (?6 IS NULL OR d.id < ?6) "                                          \
    "AND (?8 IS NULL OR d.principal_id = ?8) AND (?9 IS NULL OR d.principal_name = ?9) "                     \
    "AND (?10 IS NULL OR d.route = ?10) AND (?11 IS NULL OR d.at < ?11) "                                    \
    "AND (?12 IS NULL OR d.total_ms >= ?12) "                                                                \
    "AND (?13 IS NULL OR d.model LIKE ?13 ESCAPE '!' OR d.requested_model LIKE ?13 ESCAPE '!' "              \
    "OR d.provider LIKE ?13 ESCAPE '!' OR d.reason LIKE ?13 ESCAPE '!' OR d.error LIKE ?13 ESCAPE '!' "      \
    "OR d.request_id LIKE ?13 ESCAPE '!') ORDER BY d.id DESC LIMIT ?7"

/* So many rows are looked through for a page at most: a search for what is not there does not hold the loop
 * up. SQLite looks at what the first of these leaves, so it reads the columns of no more rows than that. */
#define DECISIONS_LOOK 10000
#define LOOKED         "SELECT id FROM decision WHERE ?6 IS NULL OR id < ?6 ORDER BY id DESC LIMIT 10000"

static const char sql_all[] =
    "SELECT " COLUMNS " FROM (" LOOKED ") AS l CROSS JOIN decision d ON d.id = l.id "
    "LEFT JOIN usage u ON u.decision_id = d.id "
    "WHERE ?1 IS NULL AND " FILTER;
/* Where the look ended, when it ended before the table did. */
static const char sql_looked[] = "SELECT min(id), count(*) FROM (SELECT id FROM decision "
                                 "WHERE ?1 IS NULL OR id < ?1 ORDER BY id DESC LIMIT 10000)";
static const char sql_request[] =
    "SELECT " COLUMNS " FROM decision d LEFT JOIN usage u ON u.decision_id = d.id "
    "WHERE d.request_id = ?1 AND " FILTER;

static const char sql_one[] = "SELECT " COLUMNS " FROM decision d LEFT JOIN usage u ON u.decision_id = d.id "
                              "WHERE d.id = ?1";

struct listing {
    struct arena *arena;
    struct switch_decision *rows;
    size_t count, most;
};

static bool optional(const struct store_row *row, int column, int64_t *out)
{
    const bool there = !row_is_null(row, column);
    *out = there ? row_int(row, column) : 0;
    return there;
}

static int outcome_of(const char *name)
{
    for (int i = 0; i < (int)COUNT_OF(switch_outcome_names); i++)
        if (str_eq(switch_outcome_names[i], name))
            return i;
    return 0; /* the table's CHECK allows no other */
}

static int read_decision(void *ctx, const struct store_row *row)
{
    struct listing *l = ctx;
    struct arena *a = l->arena;
    struct switch_decision *d = &l->rows[l->count];
    struct contract_error bad;
    *d = (struct switch_decision){
        .id = arena_strdup(a, row_text(row, 0)),
        .request_id = arena_strdup(a, row_text(row, 1)),
        .at = row_int(row, 2),
        .route = arena_strdup(a, row_text(row, 3)),
        .principal = arena_strdup(a, row_text(row, 4)),
        .requested_model = arena_strdup(a, row_text(row, 5)),
        .provider = arena_strdup(a, row_text(row, 6)),
        .model = arena_strdup(a, row_text(row, 7)),
        .reason = arena_strdup(a, row_text(row, 8)),
        .attempts = row_int(row, 10),
        .stream = row_int(row, 11) != 0,
        .outcome = outcome_of(row_text(row, 12)),
        .status = row_int(row, 13),
        .error = arena_strdup(a, row_text(row, 14)),
        .total_ms = row_real(row, 19),
    };
    const char *text = arena_strdup(a, row_text(row, 9));
    if (!d->id || !d->request_id || !d->route || !d->reason || !text)
        return VX11_ENOMEM;
    if (contract_json_parse(a, text, strlen(text), NULL, &d->alternatives, &bad) != 0)
        return bad.code; /* account.c writes JSON */
    d->has_prompt_tokens = optional(row, 15, &d->prompt_tokens);
    d->has_completion_tokens = optional(row, 16, &d->completion_tokens);
    d->has_cached_tokens = optional(row, 17, &d->cached_tokens);
    d->has_first_token_ms = !row_is_null(row, 18);
    d->first_token_ms = d->has_first_token_ms ? row_real(row, 18) : 0;
    d->has_cost = !row_is_null(row, 20);
    d->cost = d->has_cost ? (double)row_int(row, 20) / 1e6 : 0;
    d->estimated = row_int(row, 21) != 0;
    d->from_cache = row_int(row, 22) != 0;
    return ++l->count < l->most ? 0 : 1;
}

int decision_read(struct switch_ *sw, struct arena *a, const char *id, struct switch_decision *out,
                  struct error *err)
{
    struct listing l = {.arena = a, .rows = out, .most = 1};
    const struct store_value value = STORE_T(id);
    const int rc = store_query(module_store(sw->m), sql_one, &value, 1, read_decision, &l, err);
    if (rc < 0)
        return rc;
    return l.count > 0 ? 0 : error_set(err, VX11_ENOT_FOUND, "there is no decision %s", id);
}

/* What LIKE takes for a text, which may hold its signs. */
static const char *like_pattern(struct arena *a, const char *text)
{
    char *out = text ? arena_alloc(a, 2 * strlen(text) + 3) : NULL, *to = out;
    if (!out)
        return NULL;
    *to++ = '%';
    for (; *text; text++) {
        if (*text == '%' || *text == '_' || *text == '!')
            *to++ = '!';
        *to++ = *text;
    }
    *to++ = '%';
    *to = '\0';
    return out;
}

struct look {
    char id[ULID_LEN + 1];
    int64_t rows;
};

static int read_look(void *ctx, const struct store_row *row)
{
    struct look *l = ctx;
    row_copy(row, 0, l->id, sizeof l->id);
    l->rows = row_int(row, 1);
    return 0;
}

/* Where the next page begins; NULL: this was the last. */
static int next_page(struct switch_ *sw, const struct switch_decision_query *q, const struct listing *l,
                     const char **next, struct error *err)
{
    struct look look = {.rows = 0};
    *next = NULL;
    if (l->count == l->most)
        *next = l->rows[l->count - 1].id;
    if (*next || q->request_id)
        return 0;
    const struct store_value cursor = STORE_T(q->cursor);
    const int rc = store_query(module_store(sw->m), sql_looked, &cursor, 1, read_look, &look, err);
    if (rc == 0 && look.rows == DECISIONS_LOOK) {
        *next = arena_strdup(l->arena, look.id);
        return *next ? 0 : VX11_ENOMEM;
    }
    return rc;
}

void decisions_list(struct request *r, void *module)
{
    struct switch_ *sw = module;
    const struct switch_decision_query *q = request_params(r);
    struct error err = {0};
    struct listing l = {.arena = request_arena(r), .most = (size_t)q->limit};
    l.rows = arena_array(l.arena, l.most, sizeof *l.rows);
    const char *like = like_pattern(l.arena, q->q), *next = NULL;
    if (!l.rows || (q->q && !like)) {
        request_fail(r, 500, "out_of_memory", NULL, "out of memory");
        return;
    }
    const struct store_value values[] = {
        STORE_T(q->request_id),
        STORE_T(q->model),
        STORE_T(q->provider),
        STORE_T(q->has_outcome ? switch_outcome_names[q->outcome] : NULL),
        q->has_since ? STORE_I(q->since) : STORE_N,
        STORE_T(q->cursor),
        STORE_I(q->limit),
        /* Others' requests are for those who may do everything. */
        STORE_T(principal_allows(request_principal(r), CONTRACT_SCOPE_ADMIN) ? NULL
                                                                             : request_principal(r)->id),
        STORE_T(q->principal),
        STORE_T(q->route),
        q->has_until ? STORE_I(q->until) : STORE_N,
        q->has_min_ms ? STORE_D(q->min_ms) : STORE_N,
        STORE_T(like),
    };
    int rc = store_query(module_store(sw->m), q->request_id ? sql_request : sql_all, values, COUNT_OF(values),
                         read_decision, &l, &err);
    if (rc >= 0)
        rc = next_page(sw, q, &l, &next, &err);
    if (rc < 0) {
        if (err.code == 0)
            (void)error_set(&err, rc, "the decisions cannot be read: %s", error_describe(rc));
        request_fail_error(r, &err);
        return;
    }
    const struct switch_decision_list reply = {
        .decisions = l.rows, .decisions_count = l.count, .next_cursor = next};
    request_reply(r, 200, &switch_decision_list_message, &reply);
}
