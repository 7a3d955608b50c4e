/* Log records as the contract has them, from lines of the log files. */
#ifndef VX11_OPERATOR_PANEL_LOG_RECORDS_H
#define VX11_OPERATOR_PANEL_LOG_RECORDS_H

#include "api/operator.h"
#include "base/log_reader.h"

/* Takes a line apart, logfmt or JSON; what is neither is a message as a whole. level is that of the place (a
 * line without one has that of the line before). All is in the arena; 0 or VX11_ENOMEM. */
int log_record_fill(struct arena *a, const struct log_place *place, enum log_level level, const char *line,
                    size_t len, struct operator_log_record *out);
/* "engine/NAME" is written to engine-NAME.log, and the other way round. NULL: out of memory. */
const char *log_module_file(struct arena *a, const char *module);
const char *log_module_name(struct arena *a, const char *file);

#endif
