/* Ledger: what was decided and changed, and by whom, as a chain of hashes (table `ledger`, sql/0016).
 *
 *   ledger_append ──> row n: prev = hash of row n-1, hash = SHA-256(prev, fields) ──COMMIT
 * (synchronous=FULL)──> anchor (NAME.ledger beside the database, 0600): n and hash of the last row
 *
 * What a look at the chain finds: any changed byte of any row, a row that is missing, added or moved, and the
 * loss of the last rows as long as the anchor, or a hash that was noted elsewhere, is there. What it cannot
 * find: that somebody who may write both the database and the anchor computed the whole chain anew; only a
 * head that was kept elsewhere (a manifest of a backup, an export) shows that. */
#ifndef VX11_STORE_LEDGER_H
#define VX11_STORE_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/ulid.h"
#include "store/store.h"

#define LEDGER_HASH_LEN    32
#define LEDGER_KIND_MAX    63
#define LEDGER_ACTOR_MAX   127
#define LEDGER_SUBJECT_MAX 255
#define LEDGER_DETAIL_MAX  65536

/* ---- write ---- */

struct ledger_entry {
    const char *kind;    /* "token.created": lower-case words, dots and low lines; must be valid */
    const char *actor;   /* who: name of the token or session, "cli", "supervisor", …; cut when too long */
    const char *subject; /* to what; NULL: to the system; cut when too long */
    const char *detail;  /* a JSON object as text, or NULL; at most LEDGER_DETAIL_MAX bytes. Never a secret:
                            one  that is recognised is replaced by "[redacted]" */
};

/* Appends one row. Outside a transaction: in one of its own, on the disk when this returns. Inside
 * store_transaction_durable: with it, or not at all. Inside a plain store_transaction it is refused, because
 * that may be lost with the power. VX11_EINVALID, or why it could not be written. */
int ledger_append(struct store *s, const struct ledger_entry *entry, struct error *err);

/* As ledger_append, with the detail as printf-like text made by the caller's contract: pairs of name and
 * text, ends with NULL: ledger_note(s, "restore", "cli", path, &err, "from", from, "sha256", sha, NULL). A
 * NULL value is JSON null. At most 16 pairs. */
int ledger_note(struct store *s, const char *kind, const char *actor, const char *subject, struct error *err,
                ...) __attribute__((sentinel));

/* After the file was put there by a restore: appends `kind` "restore" with the pairs, and what the anchor
 * said before (anchor_n, anchor_hash), then makes the anchor say what the chain says now. Until this is
 * called, ledger_verify rightly says that the end is missing. */
int ledger_note_restore(struct store *s, const char *actor, const char *subject, struct error *err, ...)
    __attribute__((sentinel));

/* A person looked at an anchor that knows more than the chain (a file copied back by hand), and accepts the
 * chain as it is: a row "ledger.accepted" with the reason and what the anchor said, then the anchor anew. It
 * mends nothing inside the chain. */
int ledger_accept(struct store *s, const char *actor, const char *reason, struct error *err);

/* ---- the end of the chain ---- */

struct ledger_head {
    int64_t n; /* 0: nothing yet, hash is what the first row's prev must be */
    unsigned char hash[LEDGER_HASH_LEN];
};
int ledger_head(struct store *s, struct ledger_head *out, struct error *err);
/* "N:HEX", as `vx11 ledger verify --head` takes it and manifests keep it. */
#define LEDGER_HEAD_TEXT 96
void ledger_head_format(const struct ledger_head *head, char out[LEDGER_HEAD_TEXT]);
int ledger_head_parse(const char *s, struct ledger_head *out, struct error *err); /* 0 or VX11_ESYNTAX */

/* ---- read ---- */

struct ledger_row {
    int64_t n, at;
    const char *id, *kind, *actor;
    const char *subject, *detail; /* NULL: none */
    unsigned char prev[LEDGER_HASH_LEN], hash[LEDGER_HASH_LEN];
};
/* Valid until it returns. Non-zero stops and is returned. */
typedef int (*ledger_row_fn)(void *ctx, const struct ledger_row *row);
/* Rows with n > after, oldest first, at most limit; kind: only those, or with "token." at its end those that
 * begin so; NULL: all. */
int ledger_list(struct store *s, int64_t after, const char *kind, unsigned limit, ledger_row_fn fn, void *ctx,
                struct error *err);
/* The newest rows with n < before (0: the newest), newest first. */
int ledger_list_last(struct store *s, int64_t before, const char *kind, unsigned limit, ledger_row_fn fn,
                     void *ctx, struct error *err);

/* ---- verify ---- */

enum ledger_fault {
    LEDGER_SOUND,
    LEDGER_CONTENTS,  /* a field of this row (id, at, kind, actor, subject, detail) is not what was hashed */
    LEDGER_HASH,      /* this row's own hash was changed: the next row knows another */
    LEDGER_PREV,      /* this row's prev is not the hash of the row before */
    LEDGER_MISSING,   /* rows between the one before and this one are not there */
    LEDGER_ORDER,     /* this row does not come after the one before it (files only) */
    LEDGER_SHAPE,     /* a field has another type or size than the table allows */
    LEDGER_END,       /* the anchor, the given head or the file's last line knows rows that are not there */
    LEDGER_HEAD,      /* the row that the anchor or the given head names has another hash */
    LEDGER_UNGUARDED, /* a trigger of the table is gone or is another */
};
const char *ledger_fault_name(enum ledger_fault fault); /* "contents", … */

struct ledger_report {
    int64_t rows;              /* that were looked at */
    int64_t bad;               /* of those, with a fault of their own */
    int64_t missing;           /* rows that are not there, as far as is known */
    enum ledger_fault fault;   /* the first one's */
    int64_t n;                 /* of the row where it shows; 0: of none */
    char id[ULID_LEN + 1];     /* its id as it stands; "": of none */
    char reason[256];          /* as a sentence; "" when all is sound */
    struct ledger_head head;   /* of the last row that was looked at */
    int64_t first_at, last_at; /* epoch ms; 0: no rows */
    bool anchored;             /* the anchor was there and could be read */
    struct ledger_head anchor;
    char anchor_reason[256]; /* why it could not be used; "" when anchored */
};
/* Walks the whole chain in bounded memory; long ones belong on a thread with a store of its own. expect (may
 * be NULL): a head that was kept elsewhere, which must be part of the chain. Returns 0 also when the chain is
 * broken: see out->fault. VX11_E… only when it could not be read. *stop (may be NULL) that becomes true ends
 * it with VX11_ECANCELLED. */
int ledger_verify(struct store *s, const struct ledger_head *expect, const volatile bool *stop,
                  struct ledger_report *out, struct error *err);

/* ---- export ---- */

/* JSON lines: a header, each row, and an end with the head; all that ledger_verify_file needs. json: the same
 * lines as one JSON object with an array. put: takes the bytes. */
typedef int (*ledger_put_fn)(void *ctx, const char *data, size_t len, struct error *err);
int ledger_export(struct store *s, bool json, ledger_put_fn put, void *ctx, int64_t *rows, struct error *err);

/* Feeds an export in pieces of any size. Memory is bounded by the longest line (at most 1 MiB). */
struct ledger_import;
struct ledger_import *ledger_import_new(const struct ledger_head *expect); /* NULL: no memory */
int ledger_import_feed(struct ledger_import *x, const char *data, size_t len,
                       struct error *err); /* VX11_ESYNTAX: no export of a ledger */
int ledger_import_end(struct ledger_import *x, struct ledger_report *out, struct error *err);
void ledger_import_free(struct ledger_import *x);

#endif
