/* Auth: the set of accepted secrets, as hashes. A secret is hashed first and the hash compared with every
 * entry in constant time and without an early end, so that neither its value nor its place in the set shows
 * in the time it takes. A plain hash is enough (no slow one): what is hashed are 256 random bits, which
 * nobody guesses. */
#include "net/auth.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "base/ulid.h"

enum { SECRET_MAX = 256 }; /* longer ones are not ours and not worth hashing */

struct auth {
    struct auth_entry *entries;
    size_t count;
};

struct auth *auth_create(void)
{
    if (sodium_init() < 0)
        return NULL;
    return calloc(1, sizeof(struct auth));
}

void auth_destroy(struct auth *a)
{
    if (!a)
        return;
    free(a->entries);
    free(a);
}

int auth_replace(struct auth *a, const struct auth_entry *entries, size_t n)
{
    struct auth_entry *copy = NULL;
    if (n > 0) {
        copy = calloc(n, sizeof *copy);
        if (!copy)
            return VX11_ENOMEM;
        memcpy(copy, entries, n * sizeof *copy);
    }
    free(a->entries);
    a->entries = copy;
    a->count = n;
    return 0;
}

/* All of it, always: no branch depends on where two hashes differ. (sodium_memcmp does the same byte by byte,
 * which shows when every request compares with every entry.) */
static bool hash_equal(const unsigned char *a, const unsigned char *b)
{
    uint64_t x[AUTH_HASH_LEN / 8], y[AUTH_HASH_LEN / 8], difference = 0;
    memcpy(x, a, sizeof x);
    memcpy(y, b, sizeof y);
    for (size_t i = 0; i < AUTH_HASH_LEN / 8; i++)
        difference |= x[i] ^ y[i];
    return difference == 0;
}

int auth_check(const struct auth *a, const char *secret, struct principal *out)
{
    if (strnlen(secret, SECRET_MAX + 1) > SECRET_MAX)
        return VX11_ENOT_FOUND;
    unsigned char hash[AUTH_HASH_LEN];
    auth_hash(secret, hash);
    const struct auth_entry *found = NULL;
    for (size_t i = 0; i < a->count; i++) {
        if (hash_equal(hash, a->entries[i].hash))
            found = &a->entries[i];
    }
    if (!found || (found->expires_at != 0 && found->expires_at <= clock_wall_ms()))
        return VX11_ENOT_FOUND;
    *out = found->principal;
    return 0;
}

bool auth_knows(const struct auth *a, const struct principal *p)
{
    if (p->kind == AUTH_PEER)
        return true;
    for (size_t i = 0; i < a->count; i++) {
        const struct auth_entry *e = &a->entries[i];
        if (e->principal.kind == p->kind && strcmp(e->principal.id, p->id) == 0)
            return e->expires_at == 0 || e->expires_at > clock_wall_ms();
    }
    return false;
}

bool principal_allows(const struct principal *p, enum contract_scope scope)
{
    if (scope == CONTRACT_SCOPE_OPEN)
        return true;
    unsigned has = p->scopes;
    if (has & 1U << CONTRACT_SCOPE_ADMIN)
        return true;
    if (has & 1U << CONTRACT_SCOPE_ACT)
        has |= 1U << CONTRACT_SCOPE_READ | 1U << CONTRACT_SCOPE_CHAT;
    return (has & 1U << scope) != 0;
}

void auth_token_make(char out[AUTH_TOKEN_LEN + 1])
{
    unsigned char bits[32];
    random_bytes(bits, sizeof bits);
    memcpy(out, "vx11_", sizeof "vx11_");
    sodium_bin2base64(out + 5, AUTH_TOKEN_LEN - 4, bits, sizeof bits,
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    sodium_memzero(bits, sizeof bits);
}

void auth_hash(const char *secret, unsigned char out[AUTH_HASH_LEN])
{
    crypto_generichash(out, AUTH_HASH_LEN, (const unsigned char *)secret, strlen(secret), NULL, 0);
}

int auth_scopes_parse(const char *text, unsigned *out, struct error *err)
{
    unsigned bits = 0;
    const char *at = text;
    while (*at) {
        at += strspn(at, " ,");
        size_t len = strcspn(at, " ,");
        if (len == 0)
            break;
        char name[32];
        enum contract_scope scope;
        if (len >= sizeof name)
            return error_set(err, VX11_EINVALID, "unknown scope");
        memcpy(name, at, len);
        name[len] = '\0';
        if (contract_scope_parse(name, &scope) != 0 || scope == CONTRACT_SCOPE_OPEN)
            return error_set(err, VX11_EINVALID, "unknown scope \"%s\": use read, chat, act, admin, publish",
                             name);
        bits |= 1U << scope;
        at += len;
    }
    if (bits == 0)
        return error_set(err, VX11_EINVALID, "no scope given: use read, chat, act, admin, publish");
    *out = bits;
    return 0;
}

char *auth_scopes_format(unsigned scopes, char *out, size_t size)
{
    size_t len = 0;
    out[0] = '\0';
    for (unsigned s = CONTRACT_SCOPE_READ; s < CONTRACT_SCOPE_COUNT && len < size; s++) {
        if (scopes & 1U << s) {
            int n = snprintf(out + len, size - len, "%s%s", len ? "," : "",
                             contract_scope_name((enum contract_scope)s));
            len += n < 0 ? 0 : (size_t)n;
        }
    }
    return out;
}
