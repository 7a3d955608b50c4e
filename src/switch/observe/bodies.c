/* Bodies: see the header. Of a stream its text is kept, of a whole reply the reply as the provider gave it.
 * They are shown to who asked and to admin, with the decision they belong to. */
#include "switch/observe/bodies.h"

#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "switch/admin.h"
#include "switch/observe/observe.h"

static const char sql_insert[] =
    "INSERT INTO request_body (request_id, at, outcome, request, request_bytes, reply, reply_bytes) "
    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
static const char sql_get[] = "SELECT request, request_bytes, reply, reply_bytes FROM request_body "
                              "WHERE request_id = ?1 ORDER BY rowid DESC LIMIT 1";
static const char sql_principal[] = "SELECT request_id, principal_id FROM decision WHERE id = ?1";

enum { CUT_SLACK = 256 }; /* looked at beyond the cut, for a secret that it goes through */

static const struct config_switch *config_of(const struct dispatch *d)
{
    return module_config(d->sw->m)->values->switch_;
}

/* ---- gathering ---- */

static void keep(struct dispatch *d, const char *text, size_t len)
{
    size_t most = (size_t)config_of(d)->log_body_bytes + CUT_SLACK;
    d->kept_bytes += len;
    if (d->kept.len < most)
        buf_append(&d->kept, text, len < most - d->kept.len ? len : most - d->kept.len);
}

/* Are this attempt's words kept? */
static bool gathers(struct attempt *a)
{
    struct dispatch *d = a->d;
    if (config_of(d)->log_bodies == CONFIG_SWITCH_LOG_BODIES_OFF || (d->winner && d->winner != a))
        return false;
    if (d->kept_of != a) { /* another one's beginning, which nobody will see */
        buf_clear(&d->kept);
        d->kept_bytes = 0;
        d->kept_of = a;
    }
    return true;
}

void bodies_chunk(struct attempt *a, const struct switch_upstream *u)
{
    if (!gathers(a))
        return;
    for (size_t i = 0; i < u->choices_count; i++) {
        const struct switch_upstream_choice *choice = &u->choices[i];
        const char *text = choice->delta ? yyjson_get_str(choice->delta->content) : choice->text;
        if (text)
            keep(a->d, text, strlen(text));
    }
}

void bodies_whole(struct attempt *a, const char *data, size_t len)
{
    if (data && gathers(a))
        keep(a->d, data, len);
}

/* At most `most` bytes of it with secrets taken out, in the arena; NULL: there is nothing. */
static const char *redacted(struct arena *a, const char *text, size_t len, size_t most)
{
    struct buf out = BUF_INIT;
    if (!text || len == 0)
        return NULL;
    size_t some = len < most ? len : most;
    /* A secret that the cut goes through is looked for whole. */
    size_t look = len < some + CUT_SLACK ? len : some + CUT_SLACK;
    look = utf8_valid_prefix(text, look);
    if (log_redact(text, look, &out) != 0) {
        buf_free(&out);
        return NULL;
    }
    size_t end = utf8_valid_prefix(out.data, out.len < some ? out.len : some);
    const char *copy = arena_strndup(a, out.data, end);
    buf_free(&out);
    return copy;
}

void bodies_write(struct dispatch *d)
{
    const struct config_switch *c = config_of(d);
    const struct account *a = &d->account;
    bool wanted = c->log_bodies == CONFIG_SWITCH_LOG_BODIES_ALL ||
                  (c->log_bodies == CONFIG_SWITCH_LOG_BODIES_ERRORS && a->outcome != SWITCH_OUTCOME_OK);
    size_t most = (size_t)c->log_body_bytes;
    if (wanted) {
        struct arena *arena = request_arena(d->r);
        struct store_value row[] = {
            STORE_T(request_id(d->r)),
            STORE_I(a->at),
            STORE_T(switch_outcome_names[a->outcome]),
            STORE_T(redacted(arena, d->body, d->body_len, most)),
            STORE_I(d->body_len),
            STORE_T(redacted(arena, d->kept.data, d->kept.len, most)),
            STORE_I(d->kept_bytes),
        };
        int rc = writer_push(module_writer(d->sw->m), sql_insert, row, COUNT_OF(row));
        if (rc != 0)
            log_warn("bodies", "the bodies of a request are not kept", LOG_S("reason", error_describe(rc)));
    }
    buf_free(&d->kept);
}

/* ---- GET /switch/decisions/{id} ---- */

struct found {
    struct arena *a;
    struct switch_decision_bodies *out;
    const char *request_id, *principal_id;
};

static int take_owner(void *ctx, const struct store_row *row)
{
    struct found *f = ctx;
    f->request_id = arena_strdup(f->a, row_text(row, 0));
    f->principal_id = arena_strdup(f->a, row_text(row, 1));
    return f->request_id ? 0 : VX11_ENOMEM;
}

static int take_bodies(void *ctx, const struct store_row *row)
{
    struct found *f = ctx;
    f->out->kept = true;
    f->out->request = arena_strdup(f->a, row_text(row, 0));
    f->out->has_request_bytes = true;
    f->out->request_bytes = row_int(row, 1);
    f->out->reply = arena_strdup(f->a, row_text(row, 2));
    f->out->has_reply_bytes = true;
    f->out->reply_bytes = row_int(row, 3);
    return 0;
}

void observe_on_decision(struct request *r, void *module)
{
    struct switch_ *sw = module;
    const struct switch_decision_id *params = request_params(r);
    const struct principal *p = request_principal(r);
    struct store *s = module_store(sw->m);
    struct switch_decision decision;
    struct switch_decision_story story;
    struct switch_decision_bodies reply = {.decision = &decision, .story = &story};
    struct found f = {.a = request_arena(r), .out = &reply};
    struct error err = {0};
    struct store_value id = STORE_T(params->id);
    int rc = decision_read(sw, f.a, params->id, &decision, &err);
    if (rc == 0)
        rc = decision_story(sw, f.a, params->id, &story, &err);
    if (rc == 0)
        rc = store_query(s, sql_principal, &id, 1, take_owner, &f, &err);
    if (rc == 0 && (principal_allows(p, CONTRACT_SCOPE_ADMIN) || str_eq(p->id, f.principal_id)))
        rc = store_query(s, sql_get, (struct store_value[]){STORE_T(f.request_id)}, 1, take_bodies, &f, &err);
    if (rc == 0) {
        request_reply(r, 200, &switch_decision_bodies_message, &reply);
        return;
    }
    err.code = err.code ? err.code : rc;
    request_fail_error(r, &err);
}
