/* What the ledger's own files share: how a row is hashed, the walk along a chain, the anchor. */
#ifndef VX11_STORE_LEDGER_INTERNAL_H
#define VX11_STORE_LEDGER_INTERNAL_H

#include "store/ledger/ledger.h"
#include "store/store_internal.h"

#define LEDGER_COLUMNS "n, id, at, kind, actor, subject, detail, prev, hash"

/* ---- chain.c ---- */
/* What the first row's prev must be. */
void ledger_genesis(unsigned char out[LEDGER_HASH_LEN]);
/* SHA-256 of row->prev and the fields. row->hash is not looked at. */
void ledger_hash(const struct ledger_row *row, const unsigned char prev[LEDGER_HASH_LEN],
                 unsigned char out[LEDGER_HASH_LEN]);
/* A row of LEDGER_COLUMNS; false when a field has a type or a size that the table does not allow. What can be
 * read of it is in out all the same. */
bool ledger_row_take(const struct store_row *row, struct ledger_row *out);
/* A kind as ledger_list takes it, from a person. 0 or VX11_EINVALID. */
int ledger_kind_check(const char *kind, bool may_be_prefix, struct error *err);

/* ---- walk.c: along a chain, row by row, remembering only the one before ---- */
struct ledger_walk {
    struct ledger_report *report;
    const struct ledger_head *anchor, *expect; /* NULL: none */
    int64_t n;                                 /* of the row before; 0: none yet */
    unsigned char hash[LEDGER_HASH_LEN];       /* as that row says */
    /* That row's own hash is not that of its fields; which of them was changed shows at the next row. */
    bool suspect;
    char id[ULID_LEN + 1];
    unsigned char computed[LEDGER_HASH_LEN];
};
void ledger_walk_begin(struct ledger_walk *w, struct ledger_report *report, const struct ledger_head *anchor,
                       const struct ledger_head *expect);
/* sound: what ledger_row_take said. */
void ledger_walk_row(struct ledger_walk *w, const struct ledger_row *row, bool sound);
/* After the last one: what the heads know that was not there. */
void ledger_walk_end(struct ledger_walk *w);
/* The first fault is what the report tells. */
void ledger_walk_fault(struct ledger_walk *w, enum ledger_fault fault, int64_t n, const char *id,
                       const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* ---- anchor.c ---- */
/* VX11_ENOT_FOUND: there is none. */
int ledger_anchor_read(const char *path, struct ledger_head *out, struct error *err);
/* Whatever was there before. */
int ledger_anchor_write(const char *path, const struct ledger_head *head, struct error *err);

#endif
