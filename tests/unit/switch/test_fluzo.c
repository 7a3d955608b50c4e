/* The host's signals, from folders that stand for /proc and /sys, and the profiles. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/fs.h"
#include "switch/selection/fluzo.h"

#define LOW    SWITCH_FLUZO_PROFILE_LOW_POWER
#define MIDDLE SWITCH_FLUZO_PROFILE_BALANCED
#define PLENTY SWITCH_FLUZO_PROFILE_PERFORMANCE

static char root[64];

static int place(void **state)
{
    (void)state;
    snprintf(root, sizeof root, "/tmp/vx11-fluzo-XXXXXX");
    return mkdtemp(root) ? 0 : -1;
}

static int gone(void **state)
{
    int tmp = open("/tmp", O_RDONLY | O_DIRECTORY);
    (void)state;
    int rc = fs_remove_tree(tmp, root + 5, NULL);
    close(tmp);
    return rc;
}

static void put(const char *name, const char *text)
{
    char path[256], dir[256];
    snprintf(path, sizeof path, "%s%s", root, name);
    snprintf(dir, sizeof dir, "%s", path);
    *strrchr(dir, '/') = '\0';
    assert_int_equal(fs_mkdirs(dir, 0700, NULL), 0);
    assert_int_equal(fs_write_file_atomic(path, text, strlen(text), 0600, NULL), 0);
}

static void an_empty_host_tells_nothing(void **state)
{
    struct fluzo_signals s;
    struct switch_fluzo_signals m;
    (void)state;
    fluzo_read(root, "/nowhere/at/all", &s);
    fluzo_message(&s, &m);
    assert_true(m.has_timestamp);
    assert_false(m.has_cpu_pct || m.has_cpu_load_1m || m.has_cpus || m.has_memory_pct ||
                 m.has_memory_available_bytes || m.has_swap_pct || m.has_cpu_stall_pct ||
                 m.has_memory_stall_pct || m.has_io_stall_pct || m.has_on_ac || m.has_battery_pct ||
                 m.has_temperature_c || m.has_disk_pct || m.has_disk_free_bytes);
    char why[100];
    assert_int_equal(fluzo_judge(&s, MIDDLE, why, sizeof why), MIDDLE);
}

static void all_files_are_read(void **state)
{
    struct fluzo_signals s;
    struct fluzo f;
    (void)state;
    put("/proc/stat", "cpu  100 0 100 700 100 0 0 0 0 0\ncpu0 50 0 50 350 50 0 0 0\ncpu1 50 0 50 350 50 0 0 "
                      "0\nintr 1\n");
    put("/proc/loadavg", "3.67 2.00 1.00 2/345 6789\n");
    put("/proc/meminfo", "MemTotal:       1000 kB\nMemFree:         10 kB\nMemAvailable:    600 kB\n"
                         "SwapTotal:       200 kB\nSwapFree:        150 kB\n");
    put("/proc/pressure/cpu", "some avg10=12.50 avg60=0.00 avg300=0.00 total=1\n");
    put("/proc/pressure/memory",
        "some avg10=9.00 avg60=0.00 avg300=0.00 total=1\nfull avg10=3.25 avg60=0.00 avg300=0.00 total=1\n");
    put("/proc/pressure/io", "some avg10=9.00 avg60=0 total=1\nfull avg10=1.00 avg60=0.00 total=1\n");
    put("/sys/class/power_supply/AC/type", "Mains\n");
    put("/sys/class/power_supply/AC/online", "0\n");
    put("/sys/class/power_supply/BAT0/type", "Battery\n");
    put("/sys/class/power_supply/BAT0/capacity", "55\n");
    put("/sys/class/power_supply/BAT0/status", "Discharging\n");
    put("/sys/class/power_supply/mouse/type", "Battery\n");
    put("/sys/class/power_supply/mouse/scope", "Device\n");
    put("/sys/class/power_supply/mouse/capacity", "3\n");
    put("/sys/class/thermal/thermal_zone0/temp", "45000\n");
    put("/sys/class/thermal/thermal_zone1/temp", "61500\n");
    put("/sys/class/thermal/thermal_zone2/temp", "-274000\n");
    put("/sys/class/thermal/cooling_device0/temp", "99000\n");
    fluzo_init(&f);
    fluzo_read(root, root, &s);
    fluzo_take(&f, &s);
    assert_true(isnan(f.now.cpu_pct)); /* of one look there is no share */
    put("/proc/stat", "cpu  160 0 120 710 110 0 0 0 0 0\ncpu0 1\ncpu1 1\n");
    fluzo_read(root, root, &s);
    fluzo_take(&f, &s);
    assert_true(fabs(f.now.cpu_pct - 80) < 1e-9);
    assert_true(fabs(s.load_1m - 1.835) < 1e-9); /* of each processor */
    assert_true(fabs(s.memory_pct - 40) < 1e-9); /* what is available, not what is free */
    assert_true(s.memory_available == 600 * 1024);
    assert_true(fabs(s.swap_pct - 25) < 1e-9);
    assert_true(s.cpu_stall_pct == 12.5 && s.memory_stall_pct == 3.25 && s.io_stall_pct == 1);
    assert_true(s.on_ac == 0 && s.battery_pct == 55);
    assert_true(s.temperature_c == 61.5);
    assert_true(s.disk_pct > 0 && s.disk_pct < 100 && s.disk_free > 0);
}

static void garbage_is_nothing(void **state)
{
    struct fluzo_signals s;
    (void)state;
    put("/proc/stat", "cpu x y\n");
    put("/proc/loadavg", "");
    put("/proc/meminfo", "MemTotal: none\n");
    put("/proc/pressure/memory", "full\n");
    put("/sys/class/power_supply/AC/online", "1\n"); /* no type */
    put("/sys/class/power_supply/BAT0/type", "Battery\n");
    put("/sys/class/power_supply/BAT0/capacity", "full\n");
    put("/sys/class/thermal/thermal_zone0/temp", "hot\n");
    fluzo_read(root, root, &s);
    assert_true(isnan(s.cpu_total) && isnan(s.load_1m) && isnan(s.memory_pct) && isnan(s.memory_stall_pct) &&
                isnan(s.on_ac) && isnan(s.battery_pct) && isnan(s.temperature_c));
}

static struct fluzo_signals host(double cpu, double memory)
{
    struct fluzo f;
    fluzo_init(&f);
    f.now.cpu_pct = cpu;
    f.now.memory_pct = memory;
    return f.now;
}

static enum switch_fluzo_profile judge(const struct fluzo_signals *s, enum switch_fluzo_profile held)
{
    char why[200] = "";
    enum switch_fluzo_profile p = fluzo_judge(s, held, why, sizeof why);
    assert_true(why[0] != '\0');
    return p;
}

static void thresholds(void **state)
{
    struct fluzo_signals s = host(71, 76);
    (void)state;
    assert_int_equal(judge(&s, MIDDLE), LOW);
    s = host(71, 74);
    assert_int_equal(judge(&s, MIDDLE), MIDDLE);
    assert_int_equal(judge(&s, LOW), LOW); /* five points wider for the one that holds */
    s = host(29, 39);
    assert_int_equal(judge(&s, MIDDLE), PLENTY); /* no battery: mains */
    s.on_ac = 0;
    s.battery_pct = 80;
    assert_int_equal(judge(&s, MIDDLE), MIDDLE);
    s.battery_pct = 20;
    assert_int_equal(judge(&s, MIDDLE), LOW);
    s.on_ac = 1;
    assert_int_equal(judge(&s, MIDDLE), PLENTY);
    s = host(31, 39);
    assert_int_equal(judge(&s, MIDDLE), MIDDLE);
    assert_int_equal(judge(&s, PLENTY), PLENTY);
    s = host(NAN, 20);
    assert_int_equal(judge(&s, MIDDLE), MIDDLE); /* nobody says that it is idle */
    s = host(10, 20);
    s.memory_stall_pct = 21;
    assert_int_equal(judge(&s, MIDDLE), LOW);
    s = host(10, 20);
    s.temperature_c = 95;
    assert_int_equal(judge(&s, MIDDLE), LOW);
}

static void it_does_not_flap(void **state)
{
    struct fluzo f;
    struct fluzo_signals busy = host(90, 90), idle = host(5, 5);
    (void)state;
    fluzo_init(&f);
    for (int i = 0; i < 20; i++) {
        fluzo_take(&f, i % 3 == 2 ? &idle : &busy); /* never three times in a row */
        assert_int_equal(fluzo_profile(&f), MIDDLE);
    }
    fluzo_init(&f);
    fluzo_take(&f, &busy);
    fluzo_take(&f, &busy);
    assert_int_equal(fluzo_profile(&f), MIDDLE);
    fluzo_take(&f, &busy);
    assert_int_equal(fluzo_profile(&f), LOW);
    assert_true(fluzo_pool_factor(fluzo_profile(&f)) == 0.5);
    fluzo_take(&f, &idle);
    fluzo_take(&f, &idle);
    assert_int_equal(fluzo_profile(&f), LOW);
    fluzo_take(&f, &idle);
    assert_int_equal(fluzo_profile(&f), PLENTY);
    assert_true(fluzo_pool_factor(fluzo_profile(&f)) == 1);
    fluzo_override(&f, true, LOW);
    assert_int_equal(fluzo_profile(&f), LOW);
    fluzo_override(&f, false, LOW);
    assert_int_equal(fluzo_profile(&f), PLENTY);
}

static void this_host(void **state)
{
    struct fluzo_signals s;
    (void)state;
    fluzo_read("", "/tmp", &s);
    assert_true(s.cpus >= 1 && s.memory_pct > 0 && s.memory_pct <= 100 && s.cpu_total > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_empty_host_tells_nothing, place, gone),
        cmocka_unit_test_setup_teardown(all_files_are_read, place, gone),
        cmocka_unit_test_setup_teardown(garbage_is_nothing, place, gone),
        cmocka_unit_test(thresholds),
        cmocka_unit_test(it_does_not_flap),
        cmocka_unit_test(this_host),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
