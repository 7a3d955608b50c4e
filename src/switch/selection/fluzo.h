/* Fluzo: how the host is off, from what its kernel says.
 *
 *   timer -> (thread of the pool) fluzo_read /proc, /sys -> fluzo_take: shares since the last look, profile
 *
 * A profile changes after the signals have spoken for another one three looks in a row, and the thresholds of
 * the one that holds are five points wider. What the host does not tell is NAN. It influences the score of
 * local engines and the share of the memory budget that the pool should take, nothing else. */
#ifndef VX11_SWITCH_FLUZO_H
#define VX11_SWITCH_FLUZO_H

#include <stdbool.h>
#include <stdint.h>

#include "api/switch.h"

struct fluzo_signals {                          /* NAN: the host does not tell */
    int64_t at;                                 /* epoch ms; 0: not looked yet */
    double cpu_pct, load_1m, load_5m, load_15m; /* loads: divided by the processors */
    double cpus;
    double memory_pct, memory_available; /* bytes */
    double swap_pct;
    double cpu_stall_pct, memory_stall_pct, io_stall_pct; /* of the last 10 s */
    double on_ac;                                         /* 1, 0 */
    double battery_pct, temperature_c;
    double disk_pct, disk_free; /* bytes */
    double cpu_busy, cpu_total; /* ticks since the start: cpu_pct is the share of two looks */
};

/* Looks at the host: files below root ("" is the real one), and the disk that holds home. Blocks for as long
 * as the kernel does: not on the loop. cpu_pct is left NAN. */
void fluzo_read(const char *root, const char *home, struct fluzo_signals *out);

struct fluzo {
    struct fluzo_signals now;
    enum switch_fluzo_profile profile; /* that the signals speak for, with hysteresis */
    enum switch_fluzo_profile leaning; /* what the last looks say */
    int looks;                         /* in a row that say so */
    char reason[200];
    bool overridden;
    enum switch_fluzo_profile override;
};

void fluzo_init(struct fluzo *f);
void fluzo_override(struct fluzo *f, bool on, enum switch_fluzo_profile profile);
/* Takes in a look. */
void fluzo_take(struct fluzo *f, const struct fluzo_signals *look);
enum switch_fluzo_profile fluzo_profile(const struct fluzo *f);
/* Which profile the signals speak for while `held` holds, and why (in words). */
enum switch_fluzo_profile fluzo_judge(const struct fluzo_signals *s, enum switch_fluzo_profile held,
                                      char *reason, unsigned size);
/* Share of the memory budget that loaded models should take: 0.5 when short of power, else 1. */
double fluzo_pool_factor(enum switch_fluzo_profile p);
void fluzo_message(const struct fluzo_signals *s, struct switch_fluzo_signals *out);

#endif
