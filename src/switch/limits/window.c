/* Window: the last minute, and where UTC days and months begin. */
#define _GNU_SOURCE
#include "switch/limits/internal.h"

#include <string.h>
#include <time.h>

int64_t limits_day(int64_t now)
{
    return now - now % DAY_MS;
}

static int64_t month_plus(int64_t now, int months)
{
    time_t seconds = (time_t)(now / 1000);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    tm.tm_mon += months; /* timegm carries it over into the year */
    tm.tm_mday = 1;
    tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
    return (int64_t)timegm(&tm) * 1000;
}

int64_t limits_month(int64_t now)
{
    return month_plus(now, 0);
}

int64_t limits_next_month(int64_t now)
{
    return month_plus(now, 1);
}

/* Forgets what has left the window. A clock that was set back begins anew: what it says of the seconds before
 * cannot be compared. */
static void window_turn(struct limits_window *w, int64_t second)
{
    if (second < w->second || second - w->second >= WINDOW_SECONDS) {
        memset(w->counts, 0, sizeof w->counts);
        w->sum = 0;
        w->second = second;
        return;
    }
    while (w->second < second) {
        uint32_t *slot = &w->counts[++w->second % WINDOW_SECONDS];
        w->sum -= *slot;
        *slot = 0;
    }
}

int64_t window_count(struct limits_window *w, int64_t now)
{
    window_turn(w, now / 1000);
    return w->sum;
}

void window_add(struct limits_window *w, int64_t now)
{
    window_turn(w, now / 1000);
    w->counts[w->second % WINDOW_SECONDS]++;
    w->sum++;
}

void window_restore(struct limits_window *w, int64_t at, int64_t now)
{
    window_turn(w, now / 1000);
    int64_t second = at / 1000;
    if (second > w->second || w->second - second >= WINDOW_SECONDS)
        return;
    w->counts[second % WINDOW_SECONDS]++;
    w->sum++;
}

int64_t window_free_at(struct limits_window *w, int64_t limit, int64_t now)
{
    int64_t left = window_count(w, now);
    if (left < limit)
        return now;
    for (int64_t second = w->second - WINDOW_SECONDS + 1; second <= w->second; second++) {
        left -= w->counts[second % WINDOW_SECONDS];
        if (left < limit)
            return (second + WINDOW_SECONDS) * 1000;
    }
    return (w->second + WINDOW_SECONDS) * 1000;
}
