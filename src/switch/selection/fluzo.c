/* Fluzo: the profile. Thresholds as the predecessor had them, with a share of the processors' time in place
 * of a load average, MemAvailable in place of MemFree, and memory stalls and heat besides. */
#include "switch/selection/fluzo.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define LOOKS       3
#define WIDER       5.0 /* points */
#define LOW_BATTERY 20.0
#define LOW_CPU     70.0
#define LOW_MEMORY  75.0
#define LOW_STALL   20.0 /* share of the time in which everything waits for memory */
#define LOW_HEAT    90.0 /* degrees */
#define PLENTY_CPU  30.0
#define PLENTY_MEM  40.0

void fluzo_init(struct fluzo *f)
{
    memset(f, 0, sizeof *f);
    f->profile = f->leaning = SWITCH_FLUZO_PROFILE_BALANCED;
    snprintf(f->reason, sizeof f->reason, "not looked yet");
    double *values[] = {&f->now.cpu_pct,          &f->now.load_1m,       &f->now.load_5m,
                        &f->now.load_15m,         &f->now.cpus,          &f->now.memory_pct,
                        &f->now.memory_available, &f->now.swap_pct,      &f->now.cpu_stall_pct,
                        &f->now.memory_stall_pct, &f->now.io_stall_pct,  &f->now.on_ac,
                        &f->now.battery_pct,      &f->now.temperature_c, &f->now.disk_pct,
                        &f->now.disk_free,        &f->now.cpu_busy,      &f->now.cpu_total};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        *values[i] = NAN;
}

void fluzo_override(struct fluzo *f, bool on, enum switch_fluzo_profile profile)
{
    f->overridden = on;
    f->override = profile;
}

enum switch_fluzo_profile fluzo_profile(const struct fluzo *f)
{
    return f->overridden ? f->override : f->profile;
}

double fluzo_pool_factor(enum switch_fluzo_profile p)
{
    return p == SWITCH_FLUZO_PROFILE_LOW_POWER ? 0.5 : 1.0;
}

/* A comparison with NAN is false: what is not known speaks for nothing. */
static bool strained(const struct fluzo_signals *s, double wider, char *reason, unsigned size)
{
    bool on_battery = s->on_ac == 0;
    if (on_battery && s->battery_pct <= LOW_BATTERY + wider)
        snprintf(reason, size, "on battery with %.0f %% left", s->battery_pct);
    else if (s->cpu_pct > LOW_CPU - wider && s->memory_pct > LOW_MEMORY - wider)
        snprintf(reason, size, "%.0f %% of the processors and %.0f %% of the memory are in use", s->cpu_pct,
                 s->memory_pct);
    else if (s->memory_stall_pct > LOW_STALL - wider)
        snprintf(reason, size, "everything waits for memory %.0f %% of the time", s->memory_stall_pct);
    else if (s->temperature_c > LOW_HEAT - wider)
        snprintf(reason, size, "it is %.0f degrees hot", s->temperature_c);
    else
        return false;
    return true;
}

enum switch_fluzo_profile fluzo_judge(const struct fluzo_signals *s, enum switch_fluzo_profile held,
                                      char *reason, unsigned size)
{
    double low = held == SWITCH_FLUZO_PROFILE_LOW_POWER ? WIDER : 0;
    double plenty = held == SWITCH_FLUZO_PROFILE_PERFORMANCE ? WIDER : 0;
    if (strained(s, low, reason, size))
        return SWITCH_FLUZO_PROFILE_LOW_POWER;
    /* What has no battery runs on mains, though nothing says so. */
    bool mains = s->on_ac == 1 || (isnan(s->on_ac) && isnan(s->battery_pct));
    if (mains && s->cpu_pct < PLENTY_CPU + plenty && s->memory_pct < PLENTY_MEM + plenty) {
        snprintf(reason, size, "on mains, %.0f %% of the processors and %.0f %% of the memory in use",
                 s->cpu_pct, s->memory_pct);
        return SWITCH_FLUZO_PROFILE_PERFORMANCE;
    }
    snprintf(reason, size, "neither short of power nor with plenty of it");
    return SWITCH_FLUZO_PROFILE_BALANCED;
}

void fluzo_take(struct fluzo *f, const struct fluzo_signals *look)
{
    struct fluzo_signals s = *look;
    char reason[sizeof f->reason];
    double total = s.cpu_total - f->now.cpu_total, busy = s.cpu_busy - f->now.cpu_busy;
    if (total > 0 && busy >= 0)
        s.cpu_pct = busy > total ? 100 : 100 * busy / total;
    f->now = s;
    enum switch_fluzo_profile p = fluzo_judge(&s, f->profile, reason, sizeof reason);
    f->looks = p == f->leaning ? f->looks + 1 : 1;
    f->leaning = p;
    if (p == f->profile || f->looks >= LOOKS) {
        f->profile = p;
        snprintf(f->reason, sizeof f->reason, "%s", reason);
    }
}

/* ---- as the contract has it ---- */

static bool number_put(double v, double *out)
{
    *out = isnan(v) ? 0 : v;
    return !isnan(v);
}

static bool whole_put(double v, int64_t *out)
{
    *out = isnan(v) ? 0 : (int64_t)v;
    return !isnan(v);
}

void fluzo_message(const struct fluzo_signals *s, struct switch_fluzo_signals *out)
{
    memset(out, 0, sizeof *out);
    out->has_timestamp = s->at > 0;
    out->timestamp = s->at;
    out->has_cpu_pct = number_put(s->cpu_pct, &out->cpu_pct);
    out->has_cpu_load_1m = number_put(s->load_1m, &out->cpu_load_1m);
    out->has_cpu_load_5m = number_put(s->load_5m, &out->cpu_load_5m);
    out->has_cpu_load_15m = number_put(s->load_15m, &out->cpu_load_15m);
    out->has_cpus = whole_put(s->cpus, &out->cpus);
    out->has_memory_pct = number_put(s->memory_pct, &out->memory_pct);
    out->has_memory_available_bytes = whole_put(s->memory_available, &out->memory_available_bytes);
    out->has_swap_pct = number_put(s->swap_pct, &out->swap_pct);
    out->has_cpu_stall_pct = number_put(s->cpu_stall_pct, &out->cpu_stall_pct);
    out->has_memory_stall_pct = number_put(s->memory_stall_pct, &out->memory_stall_pct);
    out->has_io_stall_pct = number_put(s->io_stall_pct, &out->io_stall_pct);
    out->has_on_ac = !isnan(s->on_ac);
    out->on_ac = s->on_ac == 1;
    out->has_battery_pct = number_put(s->battery_pct, &out->battery_pct);
    out->has_temperature_c = number_put(s->temperature_c, &out->temperature_c);
    out->has_disk_pct = number_put(s->disk_pct, &out->disk_pct);
    out->has_disk_free_bytes = whole_put(s->disk_free, &out->disk_free_bytes);
}
