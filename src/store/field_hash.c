/* Field hash: what the ledger's rows, the fingerprints of incidents and the keys of imported rows are made
 * by. */
#include "store/field_hash.h"

#include <string.h>

static void put_length(crypto_hash_sha256_state *state, uint64_t n)
{
    unsigned char bytes[8];
    for (int i = 7; i >= 0; i--, n >>= 8)
        bytes[i] = (unsigned char)n;
    crypto_hash_sha256_update(state, bytes, sizeof bytes);
}

void field_hash_int(crypto_hash_sha256_state *state, int64_t n)
{
    put_length(state, 8);
    put_length(state, (uint64_t)n);
}

void field_hash_text(crypto_hash_sha256_state *state, const char *s)
{
    put_length(state, s ? strlen(s) : UINT64_MAX);
    if (s)
        crypto_hash_sha256_update(state, (const unsigned char *)s, strlen(s));
}
