/* Auth and state: what the store says about who may ask and whether this module serves, kept in memory and
 * read again when the file changes. */
#include "module/module_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "store/states.h"
#include "store/tokens.h"

struct entries {
    struct auth_entry *list;
    size_t count, cap;
};

static struct auth_entry *entries_next(struct entries *e)
{
    if (e->count == e->cap) {
        size_t cap = e->cap ? e->cap * 2 : 16;
        struct auth_entry *list = realloc(e->list, cap * sizeof *list);
        if (!list)
            return NULL;
        e->list = list;
        e->cap = cap;
    }
    struct auth_entry *next = &e->list[e->count];
    memset(next, 0, sizeof *next);
    return next;
}

static void entry_scopes(struct auth_entry *entry, const char *scopes)
{
    struct error err = {0};
    if (auth_scopes_parse(scopes, &entry->principal.scopes, &err) != 0) {
        entry->principal.scopes = 0; /* such a token can do nothing: safer than guessing */
        log_error("auth", "a stored token has scopes that do not exist", LOG_S("name", entry->principal.name),
                  LOG_S("reason", err.text));
    }
}

static int on_token(void *ctx, const struct token_row *row)
{
    struct entries *e = ctx;
    struct auth_entry *entry = entries_next(e);
    if (!entry)
        return VX11_ENOMEM;
    entry->principal.kind = AUTH_TOKEN;
    memcpy(entry->principal.id, row->id, sizeof row->id);
    memcpy(entry->principal.name, row->name, sizeof entry->principal.name);
    entry_scopes(entry, row->scopes);
    memcpy(entry->hash, row->hash, sizeof entry->hash);
    entry->expires_at = row->expires_at;
    e->count++;
    return 0;
}

static int on_session(void *ctx, const struct session_row *row)
{
    struct entries *e = ctx;
    struct auth_entry *entry = entries_next(e);
    if (!entry)
        return VX11_ENOMEM;
    entry->principal.kind = AUTH_SESSION;
    memcpy(entry->principal.id, row->id, sizeof row->id);
    memcpy(entry->principal.name, "page", sizeof "page");
    entry_scopes(entry, row->scopes);
    memcpy(entry->hash, row->hash, sizeof entry->hash);
    entry->expires_at = row->expires_at;
    e->count++;
    return 0;
}

int module_auth_load(struct module *m, struct error *err)
{
    struct entries e = {0};
    int64_t now = clock_wall_ms();
    int rc = token_list(m->store, false, now, on_token, &e, err);
    if (rc == 0)
        rc = session_list(m->store, now, on_session, &e, err);
    if (rc == 0)
        rc = auth_replace(m->auth, e.list, e.count);
    free(e.list);
    return rc;
}

int module_state_load(struct module *m, struct error *err)
{
    struct module_state_row row;
    int rc = module_state_get(m->store, module_name(m), &row, err);
    if (rc != 0)
        return rc;
    /* `off` is the supervisor's to carry out; until it does, a module that is off refuses work. */
    enum server_state state = row.state == MODULE_STATE_ACTIVE ? SERVER_ACTIVE : SERVER_STANDBY;
    if (state == m->state && m->server)
        return 0;
    m->state = state;
    if (m->server) {
        server_set_state(m->server, state);
        log_info("module", "state", LOG_S("state", module_state_name(row.state)));
        if (m->spec->state)
            m->spec->state(m, m->context, state);
    }
    return 0;
}

/* When a token or session was last used is kept to the minute: a write for each request would cost more than
 * the request. */
void module_auth_used(void *ctx, const struct principal *p)
{
    struct module *m = ctx;
    int64_t now = clock_wall_ms();
    struct module_used *slot = &m->used[0];
    for (size_t i = 0; i < COUNT_OF(m->used); i++) {
        struct module_used *u = &m->used[i];
        if (strcmp(u->id, p->id) == 0) {
            if (now - u->at < MODULE_USED_MS)
                return;
            slot = u;
            break;
        }
        if (u->at < slot->at)
            slot = u; /* the one that has waited longest makes room */
    }
    memcpy(slot->id, p->id, sizeof slot->id);
    slot->at = now;
    int rc =
        p->kind == AUTH_TOKEN ? token_touch(m->writer, p->id, now) : session_touch(m->writer, p->id, now);
    if (rc != 0)
        log_warn("auth", "the last use could not be noted", LOG_S("name", p->name),
                 LOG_S("reason", error_describe(rc)));
}
