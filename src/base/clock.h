/* Time: wall clock in epoch milliseconds for data, monotonic nanoseconds for durations. One text format: RFC
 * 3339 UTC with milliseconds. */
#ifndef VX11_BASE_CLOCK_H
#define VX11_BASE_CLOCK_H

#include <stdint.h>

int64_t clock_wall_ms(void);
uint64_t clock_mono_ns(void);
int64_t clock_mono_ms(void);
/* "2026-11-22T14:45:04.123Z" (25 bytes with NUL). Returns out. Async-signal-safe. */
char *clock_format(int64_t epoch_ms, char out[32]);
/* RFC 3339 in, epoch ms out; 0 or VX11_ESYNTAX. Also accepts "15m", "2h", "7d" meaning that long ago when
 * `relative_to` >= 0. */
int clock_parse(const char *s, int64_t relative_to, int64_t *out);

#endif
