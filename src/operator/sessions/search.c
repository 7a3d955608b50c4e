/* Search: messages by their words, the best first. What matches is ranked among the latest 10,000 that do, so
 * that a word that is everywhere costs no more than that. */
#include "operator/sessions/sessions_internal.h"

#include <string.h>

#include "base/str.h"
#include "operator/rows.h"

#define SEARCH_DEEPEST 5000

struct search {
    struct arena *arena;
    struct operator_search_hit *hits;
    int64_t *rows;
    size_t count;
};

static int take_hit_row(void *ctx, const struct store_row *row)
{
    struct search *x = ctx;
    x->rows[x->count++] = row_int(row, 0);
    return 0;
}

static int take_hit(void *ctx, const struct store_row *row)
{
    struct search *x = ctx;
    struct operator_search_hit *h = &x->hits[x->count];
    memset(h, 0, sizeof *h);
    h->message_id = arena_strdup(x->arena, row_text(row, 0));
    h->session_id = arena_strdup(x->arena, row_text(row, 1));
    h->title = arena_strdup(x->arena, row_text(row, 2));
    h->role =
        name_index(operator_message_role_names, COUNT_OF(operator_message_role_names), row_text(row, 3));
    h->timestamp = row_int(row, 4);
    const char *snippet = row_text(row, 5);
    if (!h->message_id || !h->session_id || !h->title ||
        words_marks(snippet ? snippet : "", x->arena, &h->snippet, &h->marks, &h->marks_count) != 0)
        return VX11_ENOMEM;
    x->count++;
    return 0;
}

/* Snippets are made for the hits of this page only. */
static int search_page(struct store *store, const char *match, int64_t from, int64_t limit, struct search *x,
                       struct error *err)
{
    struct store_value page[] = {STORE_T(match), STORE_I(limit), STORE_I(from)};
    int rc = store_query(store,
                         "SELECT n FROM (SELECT rowid AS n, bm25(operator_message_words) AS score "
                         "FROM operator_message_words WHERE operator_message_words MATCH ?1 "
                         "ORDER BY rowid DESC LIMIT 10000) ORDER BY score, n DESC LIMIT ?2 OFFSET ?3",
                         page, COUNT_OF(page), take_hit_row, x, err);
    size_t found = x->count;
    x->count = 0;
    for (size_t i = 0; rc == 0 && i < found; i++)
        rc = store_query(
            store,
            "SELECT m.id, m.session_id, s.title, m.role, m.created_at, "
            "snippet(operator_message_words, 0, char(2), char(3), '…', 32) "
            "FROM operator_message_words JOIN operator_message AS m ON m.n = operator_message_words.rowid "
            "JOIN operator_session AS s ON s.id = m.session_id "
            "WHERE operator_message_words MATCH ?1 AND operator_message_words.rowid = ?2",
            (struct store_value[]){STORE_T(match), STORE_I(x->rows[i])}, 2, take_hit, x, err);
    return rc;
}

void sessions_on_search(struct request *r, void *module)
{
    struct sessions *s = ((struct operator_ *)module)->sessions;
    const struct operator_search_params *p = request_params(r);
    struct arena *a = request_arena(r);
    struct operator_search_reply reply = {.hits_count = 0};
    struct search x = {.arena = a};
    struct error err = {0};
    struct buf match = BUF_INIT;
    int64_t from = 0;
    if (p->cursor && str_to_i64(p->cursor, 0, SEARCH_DEEPEST, &from) != 0) {
        request_fail(r, 422, "invalid_cursor", "cursor", "cursor is no next_cursor of a page before");
        return;
    }
    x.hits = arena_array(a, (size_t)p->limit + 1, sizeof *x.hits);
    x.rows = arena_array(a, (size_t)p->limit + 1, sizeof *x.rows);
    int rc = x.hits && x.rows ? words_query(p->q, strlen(p->q), &match) : VX11_ENOMEM;
    if (rc != 0)
        error_set(&err, rc, "out of memory");
    else if (match.len > 0)
        rc = search_page(s->store, match.data, from, p->limit + 1, &x, &err);
    buf_free(&match);
    if (rc != 0) {
        session_fail(r, &err);
        return;
    }
    reply.hits = x.hits;
    reply.hits_count = x.count;
    if (x.count > (size_t)p->limit) {
        reply.hits_count = (size_t)p->limit;
        if (from + p->limit <= SEARCH_DEEPEST)
            reply.next_cursor = arena_printf(a, "%lld", (long long)from + (long long)p->limit);
    }
    request_reply(r, 200, &operator_search_reply_message, &reply);
}
