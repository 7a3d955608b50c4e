/* Hold: transactions that others hardly notice. Each one stops its own work after a few milliseconds, the
 * next one is shorter when a commit took long, and between two of them the file is everybody's. The log is
 * moved into the file outside of them. Private to store/maintain. */
#ifndef VX11_STORE_MAINTAIN_HOLD_H
#define VX11_STORE_MAINTAIN_HOLD_H

#include <stdbool.h>
#include <stdint.h>

#include "store/store_internal.h"

#define HOLD_LIMIT_MS 50.0 /* what nobody may have to wait longer for */

struct hold {
    struct store *s;
    const volatile bool *stop; /* NULL: never */
    int64_t until_ms;          /* monotonic: no more work is begun after it; 0: no limit */
    double budget_ms;          /* of the work in one transaction, without its commit */
    double longest_ms;         /* of all of them, from the lock to its release */
    int64_t transactions;
    /* inside */
    uint64_t begun_ns;
    int log_pages;
    int64_t version;
};
/* From now on the store's log is only moved into the file by the hold. */
void hold_init(struct hold *h, struct store *s, const volatile bool *stop);
void hold_end(struct hold *h);
bool hold_stopped(const struct hold *h);
bool hold_late(const struct hold *h); /* until_ms is over */
/* VX11_ECANCELLED when it shall stop. */
int hold_begin(struct hold *h, struct error *err);
bool hold_over(const struct hold *h); /* it is time to commit */
/* Commits, notes how long it took, and gives way. */
int hold_commit(struct hold *h, struct error *err);
void hold_rollback(struct hold *h);

#endif
