/* Processes and the machine: our own numbers are plausible, described machines are counted right. */
#include "test.h"

#include <arpa/inet.h>
#include <limits.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/error.h"
#include "base/proc.h"
#include "base/proc_internal.h"
#include "base/str.h"

static void usage(void **state)
{
    (void)state;
    struct proc_usage a, b;
    volatile unsigned work = 0;
    assert_int_equal(proc_usage(getpid(), &a), 0);
    assert_true(a.rss_bytes > 100000 && a.rss_bytes < (uint64_t)1 << 40);
    assert_true(a.threads >= 1);
    assert_true(a.fds >= 3);
    if (a.has_pss)
        assert_true(a.pss_bytes > 0 && a.pss_bytes <= a.rss_bytes * 2);
    int fd = open("/dev/null", O_RDONLY);
    while (b.cpu_ms = 0, proc_usage(getpid(), &b) == 0 && b.cpu_ms < a.cpu_ms + 10)
        work++;
    assert_int_equal(b.fds, a.fds + 1);
    close(fd);
    assert_true(proc_self_rss() > 100000);
    assert_int_equal(proc_usage(0, &a), VX11_ENOT_FOUND);
    assert_int_equal(proc_usage(-1, &a), VX11_ENOT_FOUND);
}

static void ended_process(void **state)
{
    (void)state;
    struct proc_usage u;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(0);
    waitpid(pid, NULL, 0);
    assert_int_equal(proc_usage(pid, &u), VX11_ENOT_FOUND);
}

static void memory(void **state)
{
    (void)state;
    struct proc_memory m;
    assert_int_equal(proc_memory(&m), 0);
    assert_true(m.total_bytes > 1 << 20);
    assert_true(m.available_bytes > 0 && m.available_bytes <= m.total_bytes);
}

static void port_holder(void **state)
{
    (void)state;
    pid_t pid = 0;
    char name[32] = "", comm[32] = "";
    static const int families[] = {AF_INET, AF_INET6};
    for (size_t i = 0; i < COUNT_OF(families); i++) {
        struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
        struct sockaddr_in four = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        bool is4 = families[i] == AF_INET;
        socklen_t len = is4 ? sizeof four : sizeof six;
        void *address = is4 ? (void *)&four : (void *)&six;
        int s = socket(families[i], SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (s < 0 || bind(s, address, len) != 0) { /* a machine without IPv6 */
            close(s);
            continue;
        }
        assert_int_equal(getsockname(s, address, &len), 0);
        int port = ntohs(is4 ? four.sin_port : six.sin6_port);
        assert_int_equal(proc_port_holder(port, &pid, name, sizeof name), VX11_ENOT_FOUND); /* bound only */
        assert_int_equal(listen(s, 1), 0);
        assert_int_equal(proc_port_holder(port, &pid, name, sizeof name), 0);
        assert_int_equal(pid, getpid());
        assert_int_equal(proc_read_text("/proc/self/comm", comm, sizeof comm), 0);
        comm[strcspn(comm, "\n")] = '\0';
        assert_string_equal(name, comm);
        close(s);
        assert_int_equal(proc_port_holder(port, &pid, name, sizeof name), VX11_ENOT_FOUND);
    }
    assert_int_equal(proc_port_holder(0, &pid, name, sizeof name), VX11_EINVALID);
    assert_int_equal(proc_port_holder(65536, &pid, name, sizeof name), VX11_EINVALID);
}

static char dir[64];

static void put(const char *path, const char *text)
{
    char full[PATH_MAX], folder[PATH_MAX];
    snprintf(full, sizeof full, "%s/%s", dir, path);
    memcpy(folder, full, sizeof folder);
    *strrchr(folder, '/') = '\0';
    assert_int_equal(fs_mkdirs(folder, 0700, NULL), 0);
    temp_put(full, text);
}

static void put_cpu(int cpu, const char *package, const char *die, const char *core)
{
    static const char *const names[] = {"physical_package_id", "die_id", "core_id"};
    const char *const values[] = {package, die, core};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        char path[128];
        snprintf(path, sizeof path, "cpu%d/topology/%s", cpu, names[i]);
        if (values[i])
            put(path, values[i]);
    }
}

static unsigned count_cores(uint64_t cpus)
{
    cpu_set_t mask;
    CPU_ZERO(&mask);
    for (size_t i = 0; i < 64; i++) {
        if (cpus >> i & 1)
            CPU_SET(i, &mask);
    }
    return proc_count_cores(dir, &mask, CPU_SETSIZE);
}

static void cores(void **state)
{
    (void)state;
    temp_make(dir);
    /* Two packages of two cores of two threads; the second numbers its cores alike. */
    for (int cpu = 0; cpu < 8; cpu++)
        put_cpu(cpu, cpu / 2 % 2 ? "1\n" : "0\n", cpu < 6 ? "0\n" : NULL, cpu < 4 ? "0\n" : "1\n");
    assert_int_equal(count_cores(0xFF), 4);
    assert_int_equal(count_cores(0x03), 1); /* two threads of one core */
    assert_int_equal(count_cores(0x05), 2); /* the same core of two packages */
    assert_int_equal(count_cores(0), 0);
    put_cpu(8, "0\n", "1\n", "0\n"); /* the same core on another die */
    assert_int_equal(count_cores(0x101), 2);
    assert_int_equal(count_cores(0x301), 3); /* one CPU is not described: each counts */
    temp_remove(dir);

    unsigned n = proc_physical_cores();
    cpu_set_t mine;
    assert_int_equal(sched_getaffinity(0, sizeof mine, &mine), 0);
    assert_true(n >= 1 && n <= (unsigned)CPU_COUNT(&mine));
    assert_true(proc_running() >= 1); /* we are */
}

static void near(double a, double b)
{
    assert_true(a > b - 1e-9 && a < b + 1e-9);
}

static void cgroup2(void **state)
{
    (void)state;
    struct cgroup_limits l;
    temp_make(dir);
    put("a/b/cpu.max", "max 100000\n");
    cgroup_read("0::/a/b\n", dir, &l);
    assert_false(l.has_cpus || l.has_memory);
    put("a/cpu.max", "150000 100000\n");
    put("cpu.max", "400000 100000\n");
    put("a/b/memory.max", "1000000\n");
    put("a/b/memory.current", "900000\n");
    put("a/b/memory.stat", "anon 1\nfile 2\ninactive_file 300000\n");
    put("a/memory.max", "max\n");
    put("a/memory.current", "5\n");
    cgroup_read("1:name=systemd:/x\n0::/a/b\n", dir, &l);
    assert_true(l.has_cpus && l.has_memory);
    near(l.cpus, 1.5);
    assert_int_equal(l.memory, 1000000);
    assert_int_equal(l.available, 400000);
    cgroup_read("0::/not/mounted/here\n", dir, &l);
    near(l.cpus, 4);
    cgroup_read("0::/../../a\n", dir, &l); /* a name that leads out is not followed */
    assert_false(l.has_cpus);
    cgroup_read("garbage\n\n:\n", dir, &l);
    assert_false(l.has_cpus || l.has_memory);
    put("cpu.max", "0 0\n");
    cgroup_read("0::/\n", dir, &l);
    assert_false(l.has_cpus);
    temp_remove(dir);
}

static void cgroup1(void **state)
{
    (void)state;
    struct cgroup_limits l;
    temp_make(dir);
    put("cpu/box/cpu.cfs_quota_us", "-1\n");
    put("cpu/box/cpu.cfs_period_us", "100000\n");
    put("memory/box/memory.limit_in_bytes", "9223372036854771712\n");
    put("memory/box/memory.usage_in_bytes", "1\n");
    static const char self[] = "5:memory:/box\n4:cpu,cpuacct:/box\n3:cpuset:/box\n";
    cgroup_read(self, dir, &l);
    assert_false(l.has_cpus || l.has_memory);
    put("cpu/box/cpu.cfs_quota_us", "250000\n");
    put("memory/box/memory.limit_in_bytes", "1000\n");
    put("memory/box/memory.usage_in_bytes", "5000\n");
    cgroup_read(self, dir, &l);
    near(l.cpus, 2.5);
    assert_int_equal(l.memory, 1000);
    assert_int_equal(l.available, 0);
    temp_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(usage),       cmocka_unit_test(ended_process), cmocka_unit_test(memory),
        cmocka_unit_test(port_holder), cmocka_unit_test(cores),         cmocka_unit_test(cgroup2),
        cmocka_unit_test(cgroup1),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
