/* Field hash: fields into a SHA-256 so that no two lists of fields give the same bytes. Private to the room.
 */
#ifndef VX11_STORE_FIELD_HASH_H
#define VX11_STORE_FIELD_HASH_H

#include <stdint.h>

#include <sodium.h>

/* Each field after its length in 8 bytes, most significant first; an integer is 8 such bytes; NULL is the
 * length of 64 one-bits and nothing. sql/0016_ledger.sql has the rule: it cannot change. */
void field_hash_int(crypto_hash_sha256_state *state, int64_t n);
void field_hash_text(crypto_hash_sha256_state *state, const char *s);

#endif
