/* Auth: who is asking, and what they may do.
 *
 * A set of hashed tokens and page sessions, given by the caller (the store holds them), against which a
 * request's "Authorization: Bearer T", "X-VX11-Token: T", "X-Api-Key: T" or session cookie is compared in
 * constant time.
 * Tokens are 256 random bits, written "vx11_" + 43 base64url characters; what is kept is BLAKE2b-256 of the
 * text. */
#ifndef VX11_NET_AUTH_H
#define VX11_NET_AUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "contract/contract.h"

#define AUTH_HASH_LEN  32
#define AUTH_TOKEN_LEN 48 /* "vx11_" + 43 */

enum auth_kind { AUTH_TOKEN, AUTH_SESSION, AUTH_PEER };

/* Who asks. scopes: bit 1 << CONTRACT_SCOPE_…. */
struct principal {
    enum auth_kind kind;
    char id[27]; /* ULID of the token or session; "local" for a peer process of the same user on a Unix socket
                  */
    char name[64]; /* token's name, for accounting and logs */
    unsigned scopes;
};

struct auth_entry {
    struct principal principal;
    unsigned char hash[AUTH_HASH_LEN];
    int64_t expires_at; /* epoch ms, 0: never */
};

struct auth;
struct auth *auth_create(void);
void auth_destroy(struct auth *a);
/* Replaces the whole set (copied). Thread: the loop's. */
int auth_replace(struct auth *a, const struct auth_entry *entries, size_t n);
/* Secret text -> principal. Compares against every entry in constant time. VX11_ENOT_FOUND when none fits or
 * it has expired. */
int auth_check(const struct auth *a, const char *secret, struct principal *out);
/* Is the token or session this principal was known by still valid? Peers always are. */
bool auth_knows(const struct auth *a, const struct principal *p);
bool principal_allows(const struct principal *p,
                      enum contract_scope scope); /* admin allows all but nothing else implies another: act
                                                     includes read and chat */

void auth_token_make(char out[AUTH_TOKEN_LEN + 1]);
void auth_hash(const char *secret, unsigned char out[AUTH_HASH_LEN]);
/* "read,chat" <-> bits. */
int auth_scopes_parse(const char *text, unsigned *out, struct error *err);
char *auth_scopes_format(unsigned scopes, char *out, size_t size);
/* Reads the token file; refuses one that others can read (VX11_EPERMISSION with the chmod to run). */
int auth_token_file_read(const char *path, char out[AUTH_TOKEN_LEN + 1], struct error *err);
int auth_token_file_write(const char *path, const char *token, struct error *err);

#define AUTH_COOKIE "vx11_session"

#endif
