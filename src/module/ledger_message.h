/* The ledger as messages of the supervisor's contract: for its routes and for the command line, which must
 * not tell it in two ways. */
#ifndef VX11_MODULE_LEDGER_MESSAGE_H
#define VX11_MODULE_LEDGER_MESSAGE_H

#include "api/supervisor.h"
#include "base/arena.h"
#include "store/ledger/ledger.h"

/* 0 or VX11_ENOMEM. What out points to is in the arena. */
int ledger_row_message(struct arena *a, const struct ledger_row *row, struct supervisor_ledger_row *out);
int ledger_report_message(struct arena *a, const struct ledger_report *report, double duration_ms,
                          struct supervisor_ledger_report *out);

#endif
