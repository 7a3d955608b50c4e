/* History: the stored events in pages, newest first. Only so many rows are looked through for one page, so
 * that a search for what is not there does not hold the loop up; the page then says where to go on. */
#include "link/events_internal.h"

#include <string.h>
#include <strings.h>

#include "base/str.h"

enum { HISTORY_LOOK = 5000 };

static const char sql_page[] =
    "SELECT id, type, source, at, payload FROM event WHERE (?1 IS NULL OR id < ?1) ORDER BY id DESC LIMIT ?2";

struct page {
    struct arena *a;
    const struct link_history_params *want;
    struct link_event *list;
    size_t count, looked;
    char last[ULID_LEN + 1]; /* looked at */
    bool more;               /* the page is full, or the look is over, before the table's end */
};

static bool fits(const struct link_history_params *w, const struct store_row *row, int type)
{
    if (type < 0 || (w->has_type && type != (int)w->type) ||
        (w->source && !str_eq(row_text(row, 2), w->source)))
        return false;
    return !w->q || strcasestr(row_text(row, 4), w->q) || strcasestr(row_text(row, 1), w->q) ||
           strcasestr(row_text(row, 2), w->q);
}

static int on_row(void *ctx, const struct store_row *row)
{
    struct page *p = ctx;
    const int type = event_type_parse(row_text(row, 1));
    struct contract_error bad;
    if (p->want->has_since && row_int(row, 3) < p->want->since)
        return 1; /* ids grow with the time */
    if (p->count == (size_t)p->want->limit || p->looked == HISTORY_LOOK) {
        p->more = true;
        return 1;
    }
    p->looked++;
    row_copy(row, 0, p->last, sizeof p->last);
    if (!fits(p->want, row, type))
        return 0;
    struct link_event *e = &p->list[p->count];
    const char *payload = arena_strdup(p->a, row_text(row, 4));
    *e = (struct link_event){.id = arena_strdup(p->a, row_text(row, 0)),
                             .type = type,
                             .source = arena_strdup(p->a, row_text(row, 2)),
                             .timestamp = row_int(row, 3)};
    if (!e->id || !e->source || !payload)
        return VX11_ENOMEM;
    if (contract_json_parse(p->a, payload, strlen(payload), NULL, &e->payload, &bad) != 0)
        return bad.code; /* events.c writes JSON */
    p->count++;
    return 0;
}

void history_list(struct request *r, void *module)
{
    struct link *l = module;
    struct page p = {.a = request_arena(r), .want = request_params(r)};
    struct error err = {0};
    p.list = arena_array(p.a, (size_t)p.want->limit, sizeof *p.list);
    if (!p.list) {
        request_fail(r, 500, "out_of_memory", NULL, "out of memory");
        return;
    }
    /* One more than is looked at tells whether that was all. */
    const struct store_value values[] = {STORE_T(p.want->before), STORE_I(HISTORY_LOOK + 1)};
    const int rc = store_query(module_store(l->m), sql_page, values, COUNT_OF(values), on_row, &p, &err);
    if (rc < 0) {
        if (err.code == 0)
            (void)error_set(&err, rc, "the events cannot be read: %s", error_describe(rc));
        request_fail_error(r, &err);
        return;
    }
    const struct link_event_history reply = {
        .events = p.list, .events_count = p.count, .next_before = p.more ? p.last : NULL};
    request_reply(r, 200, &link_event_history_message, &reply);
}
