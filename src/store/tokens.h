/* Tokens: the rows behind authentication (auth_token, auth_session, auth_login_code). Hashes come and go as
 * they are: hashing and comparing is net's. */
#ifndef VX11_STORE_TOKENS_H
#define VX11_STORE_TOKENS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/ulid.h"
#include "store/store.h"

#define TOKEN_HASH_LEN 32

/* ---- tokens: a name has a current one and, while it is being rotated, a next one; both are valid ---- */
struct token_row {
    char id[ULID_LEN + 1];
    char name[64];
    char scopes[128]; /* "read,chat" */
    unsigned char hash[TOKEN_HASH_LEN];
    bool next;            /* the next one of a rotation */
    int64_t created_at;   /* epoch ms */
    int64_t expires_at;   /* 0: never */
    int64_t revoked_at;   /* 0: valid */
    int64_t last_used_at; /* 0: never */
};
typedef int (*token_row_fn)(void *ctx, const struct token_row *t);

/* Oldest first; fn's non-zero stops and is returned. all: with revoked ones and those that expired before
 * now. */
int token_list(struct store *s, bool all, int64_t now, token_row_fn fn, void *ctx, struct error *err);
/* By ULID, or by name: then the valid current one (next: the valid next one). VX11_ENOT_FOUND. */
int token_find(struct store *s, const char *id_or_name, bool next, struct token_row *out, struct error *err);
/* What changes a token is noted in the ledger in the same transaction; by: who does it ("cli", the name of a
 * token or session). */
/* expires_at 0: never. id receives the new ULID. VX11_EEXISTS when the name has a valid token; an expired one
 * is revoked and makes room. */
int token_create(struct store *s, const char *by, const char *name, const char *scopes,
                 const unsigned char hash[TOKEN_HASH_LEN], int64_t expires_at, int64_t now,
                 char id[ULID_LEN + 1], struct error *err);
/* Makes `next` with the current one's scopes, expiry and limits; replaces a `next` that is there already,
 * which stops working. */
int token_rotate(struct store *s, const char *by, const char *name, const unsigned char hash[TOKEN_HASH_LEN],
                 int64_t now, char id[ULID_LEN + 1], struct error *err);
/* The current one stops working, next becomes current. VX11_ENOT_FOUND when there is no next. */
int token_promote(struct store *s, const char *by, const char *name, int64_t now, struct error *err);
/* ---- virtual keys: what a token may use (table token_limit) ---- */
#define TOKEN_MODELS_MAX 2047
struct token_limits {
    char account[ULID_LEN + 1];        /* whose use is counted; set by the store */
    char models[TOKEN_MODELS_MAX + 1]; /* patterns, one a line; "": all */
    int64_t requests_per_minute, concurrent, tokens_per_day, tokens_per_month; /* 0: no limit */
    int64_t cost_micro_per_month; /* millionths of the currency; 0: no limit */
    bool local_only;
    char mode[16]; /* "ECO" …; "": none */
};
/* As token_create, with limits from its first moment; limits may be NULL. */
int token_create_limited(struct store *s, const char *by, const char *name, const char *scopes,
                         const unsigned char hash[TOKEN_HASH_LEN], int64_t expires_at,
                         const struct token_limits *limits, int64_t now, char id[ULID_LEN + 1],
                         struct error *err);
/* Of a token by its id, or by the name of a valid one. Without any: zeros, and the token's own id as account.
 * VX11_ENOT_FOUND when there is no such token. */
int token_limits_get(struct store *s, const char *id_or_name, struct token_limits *out, struct error *err);
/* Of one token by its id, or by name of all valid ones. expires_at NULL: stays. VX11_ENOT_FOUND,
 * VX11_EINVALID. */
int token_limits_set(struct store *s, const char *by, const char *id_or_name,
                     const struct token_limits *limits, const int64_t *expires_at, int64_t now,
                     struct error *err);
/* Changes with every change of any token's limits. */
int token_limits_version(struct store *s, int64_t *out, struct error *err);

/* By ULID one token, by name both slots. VX11_ENOT_FOUND when nothing valid bears it. */
int token_revoke(struct store *s, const char *by, const char *id_or_name, int64_t now, struct error *err);
/* Queues last_used_at; written at most once a minute for each token, whoever asks. */
int token_touch(struct writer *w, const char *id, int64_t now);

/* ---- sessions of the page ---- */
struct session_row {
    char id[ULID_LEN + 1];
    char scopes[128];
    unsigned char hash[TOKEN_HASH_LEN];
    char user_agent[256]; /* "" when none; cut to 255 bytes on a character's boundary */
    int64_t created_at, last_seen_at, expires_at;
};
typedef int (*session_row_fn)(void *ctx, const struct session_row *t);

/* user_agent may be NULL. The ledger notes it. */
int session_create(struct store *s, const unsigned char hash[TOKEN_HASH_LEN], const char *scopes,
                   const char *user_agent, int64_t expires_at, int64_t now, char id[ULID_LEN + 1],
                   struct error *err);
/* VX11_ENOT_FOUND when there is none or it has expired. */
int session_find(struct store *s, const unsigned char hash[TOKEN_HASH_LEN], int64_t now,
                 struct session_row *out, struct error *err);
int session_list(struct store *s, int64_t now, session_row_fn fn, void *ctx,
                 struct error *err);                                    /* not expired */
int session_delete(struct store *s, const char *id, struct error *err); /* VX11_ENOT_FOUND */
int session_touch(struct writer *w, const char *id, int64_t now);       /* as token_touch */

/* ---- one-time login codes ---- */
/* by: as above; the ledger notes that there is one, never the code. */
int login_code_create(struct store *s, const char *by, const unsigned char hash[TOKEN_HASH_LEN],
                      int64_t expires_at, int64_t now, struct error *err);
/* Works once, for whoever is first. VX11_ENOT_FOUND, and a sentence: unknown, used already, or expired. */
int login_code_consume(struct store *s, const unsigned char hash[TOKEN_HASH_LEN], int64_t now,
                       struct error *err);

/* Deletes what has expired: sessions and codes at once, tokens a month after they were revoked or expired.
 * deleted may be NULL. */
int token_purge(struct store *s, int64_t now, uint64_t *deleted, struct error *err);

#endif
