/* Chain: what makes a row's hash, and what a row may look like. The rule is told in sql/0016_ledger.sql; an
 * export can be checked by it with any program that knows SHA-256. */
#include "store/ledger/ledger_internal.h"

#include <stdio.h>
#include <string.h>

#include <sodium.h>

#include "base/str.h"
#include "store/field_hash.h"

#define GENESIS_TEXT "VX11 ledger 1"

void ledger_genesis(unsigned char out[LEDGER_HASH_LEN])
{
    crypto_hash_sha256(out, (const unsigned char *)GENESIS_TEXT, sizeof GENESIS_TEXT - 1);
}

void ledger_hash(const struct ledger_row *row, const unsigned char prev[LEDGER_HASH_LEN],
                 unsigned char out[LEDGER_HASH_LEN])
{
    crypto_hash_sha256_state state;
    crypto_hash_sha256_init(&state);
    crypto_hash_sha256_update(&state, prev, LEDGER_HASH_LEN);
    field_hash_int(&state, row->n);
    field_hash_text(&state, row->id);
    field_hash_int(&state, row->at);
    field_hash_text(&state, row->kind);
    field_hash_text(&state, row->actor);
    field_hash_text(&state, row->subject);
    field_hash_text(&state, row->detail);
    crypto_hash_sha256_final(&state, out);
}

/* ---- rows ---- */

static bool take_hash(const struct store_row *row, int column, unsigned char out[LEDGER_HASH_LEN])
{
    size_t len = 0;
    bool blob = sqlite3_column_type(row->stmt, column) == SQLITE_BLOB;
    const void *data = row_blob(row, column, &len);
    memset(out, 0, LEDGER_HASH_LEN);
    if (!blob || !data || len != LEDGER_HASH_LEN)
        return false;
    memcpy(out, data, len);
    return true;
}

/* Text without a NUL in it: what comes after one would not be hashed. */
static bool take_text(const struct store_row *row, int column, bool may_be_null, size_t max, const char **out)
{
    int type = sqlite3_column_type(row->stmt, column);
    *out = row_text(row, column);
    if (type == SQLITE_NULL)
        return may_be_null;
    size_t len = (size_t)sqlite3_column_bytes(row->stmt, column);
    return type == SQLITE_TEXT && *out && len > 0 && len <= max && strlen(*out) == len;
}

static bool take_int(const struct store_row *row, int column, int64_t *out)
{
    bool integer = sqlite3_column_type(row->stmt, column) == SQLITE_INTEGER;
    *out = row_int(row, column);
    return integer;
}

bool ledger_row_take(const struct store_row *row, struct ledger_row *out)
{
    bool sound = take_int(row, 0, &out->n);
    sound &= take_text(row, 1, false, ULID_LEN, &out->id);
    sound &= take_int(row, 2, &out->at);
    sound &= take_text(row, 3, false, LEDGER_KIND_MAX, &out->kind);
    sound &= take_text(row, 4, false, LEDGER_ACTOR_MAX * 4, &out->actor);
    sound &= take_text(row, 5, true, LEDGER_SUBJECT_MAX * 4, &out->subject);
    sound &= take_text(row, 6, true, LEDGER_DETAIL_MAX * 4, &out->detail);
    sound &= take_hash(row, 7, out->prev);
    sound &= take_hash(row, 8, out->hash);
    return sound && out->n > 0;
}

int ledger_kind_check(const char *kind, bool may_be_prefix, struct error *err)
{
    size_t len = kind ? strlen(kind) : 0;
    bool good = len > 0 && len <= LEDGER_KIND_MAX && kind[0] >= 'a' && kind[0] <= 'z' &&
                (may_be_prefix || kind[len - 1] != '.');
    for (size_t i = 0; i < len && good; i++)
        good = (kind[i] >= 'a' && kind[i] <= 'z') || (kind[i] >= '0' && kind[i] <= '9') || kind[i] == '.' ||
               kind[i] == '_';
    return good ? 0
                : error_set(err, VX11_EINVALID,
                            "a kind of the ledger is lower-case words with dots, such as token.created");
}

/* ---- heads ---- */

void ledger_head_format(const struct ledger_head *head, char out[LEDGER_HEAD_TEXT])
{
    char hex[2 * LEDGER_HASH_LEN + 1];
    hex_encode(head->hash, LEDGER_HASH_LEN, hex);
    snprintf(out, LEDGER_HEAD_TEXT, "%lld:%s", (long long)head->n, hex);
}

int ledger_head_parse(const char *s, struct ledger_head *out, struct error *err)
{
    char number[24] = "";
    const char *colon = s ? strchr(s, ':') : NULL;
    size_t len = colon ? (size_t)(colon - s) : 0;
    *out = (struct ledger_head){0};
    if (len > 0 && len < sizeof number) {
        memcpy(number, s, len);
        if (str_to_i64(number, 0, INT64_MAX, &out->n) == 0 &&
            strlen(colon + 1) == (size_t)2 * LEDGER_HASH_LEN &&
            hex_decode(colon + 1, out->hash, LEDGER_HASH_LEN) == 0)
            return 0;
    }
    *out = (struct ledger_head){0};
    return error_set(err, VX11_ESYNTAX, "a head of the ledger is NUMBER:HASH, 64 hexadecimal digits");
}

static int take_head(void *ctx, const struct store_row *row)
{
    struct ledger_head *out = ctx;
    out->n = row_int(row, 0);
    return take_hash(row, 1, out->hash) ? 0 : VX11_ECORRUPT;
}

int ledger_head(struct store *s, struct ledger_head *out, struct error *err)
{
    out->n = 0;
    ledger_genesis(out->hash);
    int rc =
        store_query(s, "SELECT n, hash FROM ledger ORDER BY n DESC LIMIT 1", NULL, 0, take_head, out, err);
    if (rc == VX11_ECORRUPT)
        rc = error_set(err, rc, "the last row of the ledger (%lld) has no usable hash", (long long)out->n);
    return rc;
}
