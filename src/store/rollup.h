/* Roll-up: samples of metrics to minutes, minutes to hours. The operator does it as it measures; retention
 * does it before samples leave; both with these statements. */
#ifndef VX11_STORE_ROLLUP_H
#define VX11_STORE_ROLLUP_H

#include <stdint.h>

#include "store/store.h"

struct rollup_until {
    int64_t minutes, hours; /* epoch ms: everything before is added up */
    int64_t added;          /* minutes and hours that this call added up */
};
/* Adds up what is complete at `now`, one minute or hour in each transaction, at most a day of minutes; goes
 * on behind the latest row that is there. */
int store_rollup(struct store *store, int64_t now, struct rollup_until *out, struct error *err);

#endif
