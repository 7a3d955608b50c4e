/* Store: vx11.db, one SQLite file. Opened in one place; every pragma is read back.
 *
 *   handlers ──store_query──────────> read-only connection (loop thread)
 *            ──store_exec───────────> read-write connection (loop thread; rare, small: admin writes)
 *            ──writer_push──queue───> writer thread: batches of a few ms or a few hundred rows */
#ifndef VX11_STORE_STORE_H
#define VX11_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct store;

struct store_options {
    const char *path;
    int64_t busy_timeout_ms; /* 0: 5000 */
    bool read_only;          /* no migration, no writes */
    bool migrate;            /* apply what is missing; else a schema that is not current is VX11_EVERSION */
};

/* Opens (creating when absent and migrate is set, mode 0600), checks the header and quick sanity, sets and
 * reads back WAL, synchronous=NORMAL, foreign_keys=ON, busy_timeout, trusted_schema=OFF. Errors, each with a
 * sentence that says what to do: VX11_ECORRUPT (the file is untouched), VX11_EVERSION (newer schema than this
 * program, or an edited migration), VX11_EPERMISSION (read-only folder), VX11_EFULL, VX11_EIO. */
int store_open(const struct store_options *options, struct store **out, struct error *err);
void store_close(struct store *s);
int store_schema_version(struct store *s); /* highest applied migration */
int store_schema_current(void);            /* highest embedded migration */
/* Changes when another connection (any process) has committed since last asked: PRAGMA data_version. */
int store_data_version(struct store *s, int64_t *out, struct error *err);

/* Values bound to ?1, ?2 … */
struct store_value {
    enum { STORE_NULL, STORE_INT, STORE_REAL, STORE_TEXT, STORE_BLOB } type;
    union {
        int64_t i;
        double d;
        struct {
            const void *data;
            size_t len;
        } b;
    } v;
};
#define STORE_I(x) ((struct store_value){.type = STORE_INT, .v.i = (int64_t)(x)})
#define STORE_D(x) ((struct store_value){.type = STORE_REAL, .v.d = (x)})
#define STORE_N    ((struct store_value){.type = STORE_NULL})
struct store_value store_text(const char *s); /* NULL -> SQL NULL; not copied until pushed/executed */
struct store_value store_text_len(const char *s, size_t len);
struct store_value store_blob(const void *data, size_t len);
#define STORE_T(s) store_text(s)

/* A row being read; columns from 0. Text is valid until the callback returns; NULL for SQL NULL. */
struct store_row;
int64_t row_int(const struct store_row *r, int column);
double row_real(const struct store_row *r, int column);
const char *row_text(const struct store_row *r, int column);
const void *row_blob(const struct store_row *r, int column, size_t *len);
bool row_is_null(const struct store_row *r, int column);
/* Text into a field of fixed size: cut on a character's boundary, "" for NULL. Returns its length. */
size_t row_copy(const struct store_row *r, int column, char *out, size_t size);

/* A store belongs to one thread at a time.
 * Runs a query on the read-only connection (inside store_transaction: on the writing one, so that it sees
 * what was written); fn for each row, non-zero stops (and is returned). `sql` must be a string literal or
 * otherwise live as long as the store: prepared statements are cached by its text. Only one statement;
 * parameters by `values`. */
int store_query(struct store *s, const char *sql, const struct store_value *values, size_t n,
                int (*fn)(void *ctx, const struct store_row *row), void *ctx, struct error *err);
/* One write in its own transaction on the read-write connection. changes (may be NULL): rows touched.
 * Constraint violations are VX11_EEXISTS (unique) or VX11_EINVALID. */
int store_exec(struct store *s, const char *sql, const struct store_value *values, size_t n, int64_t *changes,
               struct error *err);
/* Several writes in one BEGIN IMMEDIATE … COMMIT: fn makes them with store_exec; non-zero rolls back and is
 * returned. Does not nest. */
int store_transaction(struct store *s, int (*fn)(void *ctx, struct store *s, struct error *err), void *ctx,
                      struct error *err);
/* The same, and on the disk when it returns (synchronous=FULL): for what must outlast a loss of power. */
int store_transaction_durable(struct store *s, int (*fn)(void *ctx, struct store *s, struct error *err),
                              void *ctx, struct error *err);

/* ---- batched writer ---- */
struct writer;
struct writer_options {
    const char *path;
    int64_t busy_timeout_ms; /* 0: 5000 */
    size_t queue_rows;       /* most rows waiting; 0: 65536 */
    size_t queue_bytes;      /* most bytes that waiting rows take; 0: 64 MiB */
    unsigned batch_rows;     /* rows per transaction at most; 0: 512 */
    int64_t delay_ms;        /* longest a row waits for company; 0: 5 */
};
struct writer_stats {
    uint64_t pushed;   /* rows taken in; pushed == written + failed + queued */
    uint64_t written;  /* committed */
    uint64_t failed;   /* given up: broke a constraint, or could not be written while the queue was full */
    uint64_t rejected; /* not taken in: the queue was full */
    uint64_t transactions; /* committed */
    size_t queued;         /* waiting or being written */
    uint64_t last_batch_us;
};
/* Starts the thread with its own connection. The database must be there (store_open) and current. */
int writer_start(const struct writer_options *options, struct writer **out, struct error *err);
/* Queues one statement with values copied. sql must outlive the writer (a literal). 0, VX11_EFULL (counted),
 * VX11_ENOMEM. Any thread. A batch whose transaction fails (disk full, locked) is retried with back-off while
 * the queue has room; a row that breaks a constraint is dropped alone, counted in failed and logged. */
int writer_push(struct writer *w, const char *sql, const struct store_value *values, size_t n);
/* Several statements that belong together, count at most batch_rows (else VX11_ETOO_LARGE): taken in as one
 * or not at all, written in one transaction, and refused together when one of them breaks a constraint. As
 * writer_push in the rest. */
struct writer_row {
    const char *sql;
    const struct store_value *values;
    size_t n;
};
int writer_push_group(struct writer *w, const struct writer_row *rows, size_t count);
/* Blocks until everything pushed so far is committed or failed, or timeout_ms passed (VX11_ETIMEOUT). */
int writer_flush(struct writer *w, int64_t timeout_ms);
void writer_stats(struct writer *w, struct writer_stats *out);
/* Drains (at most timeout_ms), stops the thread, frees. Returns how many rows that were taken in were never
 * written (pushed - written). No other thread may use the writer any more. NULL is fine. */
uint64_t writer_stop(struct writer *w, int64_t timeout_ms);

/* ---- retention: declared for every growing table when it is created (table `retention`) ---- */
/* Deletes rows past their table's max age or max rows, in transactions of at most a few hundred rows.
 * deleted: sum. */
int store_retain(struct store *s, int64_t now_ms, uint64_t *deleted, struct error *err);

#endif
