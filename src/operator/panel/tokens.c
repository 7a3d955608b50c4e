/* Tokens: as `vx11 token` has them, for the page. A secret is in one answer and nowhere else.
 *
 *   new ─> current ──rotate──> current + next (both work) ──promote──> next is current, the old one stops
 *              └──revoke──> stops
 *
 * The owner's is left to the command line: its secret lives in a file that a rotation has to write. */
#include "operator/panel/panel.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "net/auth.h"
#include "operator/operator_internal.h"
#include "store/tokens.h"

static const char owner[] = "owner";

struct listing {
    struct arena *arena;
    struct operator_token *list;
    size_t count, cap;
};

/* "read,chat" -> its words. 0 or VX11_ENOMEM. */
static int scopes_split(struct arena *a, const char *text, struct operator_token *out)
{
    char *words = arena_strdup(a, text), *rest = NULL;
    out->scopes = arena_array(a, strlen(text) + 1, sizeof *out->scopes);
    if (!words || !out->scopes)
        return VX11_ENOMEM;
    for (char *word = strtok_r(words, ",", &rest); word; word = strtok_r(NULL, ",", &rest))
        out->scopes[out->scopes_count++] = word;
    return 0;
}

static int token_fill(struct arena *a, const struct token_row *row, struct operator_token *out)
{
    *out = (struct operator_token){
        .id = arena_strdup(a, row->id),
        .name = arena_strdup(a, row->name),
        .slot = row->next ? OPERATOR_TOKEN_SLOT_NEXT : OPERATOR_TOKEN_SLOT_CURRENT,
        .owner = str_eq(row->name, owner),
        .created_at = row->created_at,
        .has_expires_at = row->expires_at > 0,
        .expires_at = row->expires_at,
        .has_last_used_at = row->last_used_at > 0,
        .last_used_at = row->last_used_at,
    };
    return out->id && out->name ? scopes_split(a, row->scopes, out) : VX11_ENOMEM;
}

static int on_token(void *ctx, const struct token_row *row)
{
    struct listing *l = ctx;
    if (l->count == l->cap) {
        size_t cap = l->cap ? 2 * l->cap : 16;
        struct operator_token *list =
            arena_realloc(l->arena, l->list, l->cap * sizeof *list, cap * sizeof *list);
        if (!list)
            return VX11_ENOMEM;
        l->list = list;
        l->cap = cap;
    }
    return token_fill(l->arena, row, &l->list[l->count++]);
}

void panel_tokens_list(struct request *r, void *module)
{
    struct operator_ *o = module;
    struct listing l = {.arena = request_arena(r)};
    struct error err = {0};
    int rc = token_list(module_store(o->m), false, clock_wall_ms(), on_token, &l, &err);
    if (rc != 0) {
        error_set(&err, rc, "%s", err.text[0] ? err.text : error_describe(rc));
        request_fail_error(r, &err);
        return;
    }
    struct operator_token_list reply = {.tokens = l.list, .tokens_count = l.count};
    request_reply(r, 200, &operator_token_list_message, &reply);
}

/* Answers with the token of this id and its secret, which is wiped. The other modules hear of it within a
 * second. */
static void made_reply(struct request *r, struct operator_ *o, const char *id, char *secret)
{
    struct arena *a = request_arena(r);
    struct token_row row;
    struct operator_token token;
    struct error err = {0};
    int rc = token_find(module_store(o->m), id, false, &row, &err);
    if (rc == 0 && token_fill(a, &row, &token) != 0)
        rc = error_set(&err, VX11_ENOMEM, "out of memory");
    if (rc == 0)
        rc = module_auth_refresh(o->m, &err);
    if (rc == 0) {
        struct operator_token_made reply = {.token = &token, .secret = secret};
        log_info("tokens", "a token was made", LOG_S("name", row.name), LOG_S("id", id));
        request_reply(r, 201, &operator_token_made_message, &reply);
    } else {
        request_fail_error(r, &err);
    }
    memset(secret, 0, AUTH_TOKEN_LEN + 1);
}

static void scopes_join(const struct operator_token_new *want, char *out, size_t size)
{
    unsigned scopes = 0;
    struct error err;
    for (size_t i = 0; i < want->scopes_count; i++) {
        unsigned one = 0;
        if (auth_scopes_parse(operator_token_new_scopes_names[want->scopes[i]], &one, &err) == 0)
            scopes |= one;
    }
    auth_scopes_format(scopes, out, size);
}

void panel_tokens_new(struct request *r, void *module)
{
    struct operator_ *o = module;
    const struct operator_token_new *want = request_body(r);
    char secret[AUTH_TOKEN_LEN + 1], id[ULID_LEN + 1], scopes[128];
    unsigned char hash[AUTH_HASH_LEN];
    struct error err = {0};
    int64_t now = clock_wall_ms();
    scopes_join(want, scopes, sizeof scopes);
    auth_token_make(secret);
    auth_hash(secret, hash);
    int rc = str_eq(want->name, owner)
                 ? VX11_EEXISTS
                 : token_create(module_store(o->m), request_principal(r)->name, want->name, scopes, hash,
                                want->has_expires_in_ms ? now + want->expires_in_ms : 0, now, id, &err);
    if (rc == 0) {
        made_reply(r, o, id, secret);
    } else if (rc == VX11_EEXISTS) {
        request_fail(r, 409, "token_exists", "name",
                     "there is a token %s already: rotate or revoke it, or take another name", want->name);
    } else {
        error_set(&err, rc, "%s", err.text[0] ? err.text : error_describe(rc));
        request_fail_error(r, &err);
    }
}

/* The valid token of the path that is not the owner's, or the request has been answered. */
static bool token_of(struct request *r, struct operator_ *o, struct token_row *out)
{
    const struct operator_token_id *params = request_params(r);
    struct error err = {0};
    int rc = token_find(module_store(o->m), params->id, false, out, &err);
    if (rc == VX11_ENOT_FOUND || (rc == 0 && out->revoked_at > 0)) {
        request_fail(r, 404, "token_not_found", "id", "there is no valid token %s", params->id);
        return false;
    }
    if (rc != 0) {
        request_fail_error(r, &err);
        return false;
    }
    if (str_eq(out->name, owner)) {
        request_fail(r, 409, "owner_token", "id",
                     "the owner's token is in a file that only the command line writes: `vx11 token rotate`, "
                     "then `vx11 token promote`");
        return false;
    }
    return true;
}

void panel_tokens_rotate(struct request *r, void *module)
{
    struct operator_ *o = module;
    char secret[AUTH_TOKEN_LEN + 1], id[ULID_LEN + 1];
    unsigned char hash[AUTH_HASH_LEN];
    struct token_row row;
    struct error err = {0};
    if (!token_of(r, o, &row))
        return;
    auth_token_make(secret);
    auth_hash(secret, hash);
    int rc = token_rotate(module_store(o->m), request_principal(r)->name, row.name, hash, clock_wall_ms(), id,
                          &err);
    if (rc == 0)
        made_reply(r, o, id, secret);
    else
        request_fail_error(r, &err);
}

/* 204 when it was done and every module knows. */
static void done_reply(struct request *r, struct operator_ *o, int rc, struct error *err)
{
    if (rc == 0)
        rc = module_auth_refresh(o->m, err);
    if (rc == 0)
        request_reply_empty(r, 204);
    else
        request_fail_error(r, err);
}

void panel_tokens_promote(struct request *r, void *module)
{
    struct operator_ *o = module;
    struct token_row row;
    struct error err = {0};
    if (!token_of(r, o, &row))
        return;
    int rc = token_promote(module_store(o->m), request_principal(r)->name, row.name, clock_wall_ms(), &err);
    if (rc == VX11_ENOT_FOUND) {
        request_fail(r, 409, "no_next_token", "id", "token %s has no next one", row.name);
        return;
    }
    done_reply(r, o, rc, &err);
}

void panel_tokens_revoke(struct request *r, void *module)
{
    struct operator_ *o = module;
    struct token_row row;
    struct error err = {0};
    if (!token_of(r, o, &row))
        return;
    log_info("tokens", "a token is revoked", LOG_S("name", row.name), LOG_S("id", row.id));
    done_reply(r, o,
               token_revoke(module_store(o->m), request_principal(r)->name, row.id, clock_wall_ms(), &err),
               &err);
}
