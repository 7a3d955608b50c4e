/* Crash capture. The handler may run with the heap broken, a lock held and the stack used up: it uses system
 * calls and this file's own static memory only, writes the report piece by piece, the surest first (what,
 * where, the last log records) and the unwinder's work last, and gives up after ten seconds. Addresses are
 * written as binary+0xoffset, which addr2line reads, from the process' own map at that moment (crash_map.c):
 * libraries may have been loaded since the start.
 *
 * The stack for the handler belongs to the thread that called crash_install; a stack overflow in another
 * thread leaves no report, only its signal. */
#include "base/crash.h"

#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crash_internal.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"

enum { STACK_BYTES = 128 * 1024, FRAMES_MAX = 64, GIVE_UP_SECONDS = 10 };

static const struct {
    int number;
    const char *name;
} signals[] = {
    {SIGSEGV, "SIGSEGV"}, {SIGABRT, "SIGABRT"}, {SIGBUS, "SIGBUS"}, {SIGFPE, "SIGFPE"}, {SIGILL, "SIGILL"}};

/* Written by crash_install, only read by the handler (but for reporter and what follows it). */
static struct {
    char dir[PATH_MAX];
    char module[32], version[64], build_id[80];
    void *stack;
    atomic_int reporter; /* thread that writes the report; 0: none yet */
    char path[PATH_MAX + 96];
    char tail[48 * 1024];
    void *frames[FRAMES_MAX];
    struct crash_map map;
} crash;

static const char *signal_name(int number)
{
    for (size_t i = 0; i < COUNT_OF(signals); i++) {
        if (signals[i].number == number)
            return signals[i].name;
    }
    return "signal";
}

struct named_register {
    const char *name;
    uintptr_t value;
};

/* What the processor was at; 0 entries where we do not know the machine. The first is the program counter. */
static size_t registers_of(const void *context, struct named_register *out, size_t max)
{
    const ucontext_t *uc = context;
    size_t n = 0;
#if defined(__x86_64__)
    static const struct {
        const char *name;
        int index;
    } regs[] = {{"rip", REG_RIP}, {"rsp", REG_RSP}, {"rbp", REG_RBP}, {"rax", REG_RAX}, {"rbx", REG_RBX},
                {"rcx", REG_RCX}, {"rdx", REG_RDX}, {"rsi", REG_RSI}, {"rdi", REG_RDI}, {"r8", REG_R8},
                {"r9", REG_R9},   {"r10", REG_R10}, {"r11", REG_R11}, {"r12", REG_R12}, {"r13", REG_R13},
                {"r14", REG_R14}, {"r15", REG_R15}};
    for (; n < COUNT_OF(regs) && n < max; n++)
        out[n] = (struct named_register){regs[n].name, (uintptr_t)uc->uc_mcontext.gregs[regs[n].index]};
#elif defined(__aarch64__)
    static const char *const names[] = {"x0",  "x1",  "x2",  "x3",  "x4",  "x5",  "x6",  "x7",
                                        "x8",  "x9",  "x10", "x11", "x12", "x13", "x14", "x15",
                                        "x16", "x17", "x18", "x19", "x20", "x21", "x22", "x23",
                                        "x24", "x25", "x26", "x27", "x28", "x29", "x30"};
    if (max > 2) {
        out[n++] = (struct named_register){"pc", (uintptr_t)uc->uc_mcontext.pc};
        out[n++] = (struct named_register){"sp", (uintptr_t)uc->uc_mcontext.sp};
    }
    for (size_t i = 0; i < COUNT_OF(names) && n < max; i++)
        out[n++] = (struct named_register){names[i], (uintptr_t)uc->uc_mcontext.regs[i]};
#else
    (void)uc;
    (void)out;
    (void)max;
#endif
    return n;
}

static void write_head(struct crash_out *o, int sig, const siginfo_t *info)
{
    char time[32];
    int64_t now = clock_wall_ms();
    crash_put(o, "vx11 crash report\nsignal: ");
    crash_put(o, signal_name(sig));
    crash_put(o, " (");
    crash_put_dec(o, sig);
    crash_put(o, "), code ");
    crash_put_dec(o, info->si_code);
    if (info->si_code > 0) { /* from the kernel: there is an address */
        crash_put(o, "\naddress: 0x");
        crash_put_hex(o, (uintptr_t)info->si_addr);
    } else {
        crash_put(o, "\nsent_by_pid: ");
        crash_put_dec(o, info->si_pid);
    }
    crash_put(o, "\nmodule: ");
    crash_put(o, crash.module);
    crash_put(o, "\nversion: ");
    crash_put(o, crash.version);
    crash_put(o, "\nbuild_id: ");
    crash_put(o, crash.build_id);
    crash_put(o, "\npid: ");
    crash_put_dec(o, getpid());
    crash_put(o, "\nthread: ");
    crash_put_dec(o, gettid());
    crash_put(o, "\ntime: ");
    crash_put(o, clock_format(now, time));
    crash_put(o, "\nrequest_id: ");
    crash_put(o, log_current_request());
    crash_put(o, "\n");
    crash_flush(o);
}

static void write_registers(struct crash_out *o, const void *context)
{
    struct named_register regs[40];
    size_t n = registers_of(context, regs, COUNT_OF(regs));
    for (size_t i = 0; i < n; i++) {
        crash_put(o, i == 0 ? "\nregisters:\n  " : "\n  ");
        crash_put(o, regs[i].name);
        crash_put(o, ": 0x");
        crash_put_hex(o, regs[i].value);
        if (i == 0) {
            crash_put(o, "  ");
            crash_put_place(o, &crash.map, regs[i].value);
            crash_map_want(&crash.map, regs[i].value);
        }
    }
    crash_put(o, "\n");
    crash_flush(o);
}

static void write_log(struct crash_out *o)
{
    size_t n = log_tail(crash.tail, sizeof crash.tail);
    crash_put(o, "\nlast log records:\n");
    crash_flush(o);
    crash_write(o->fd, crash.tail, n);
}

static void write_backtrace(struct crash_out *o)
{
    crash_put(o, "\nbacktrace (the first frames are this handler's):\n");
    crash_flush(o);
    int n = backtrace(crash.frames, FRAMES_MAX);
    for (int i = 0; i < n; i++) {
        crash_put(o, "  #");
        crash_put_dec(o, i);
        crash_put(o, " 0x");
        crash_put_hex(o, (uintptr_t)crash.frames[i]);
        crash_put(o, "  ");
        crash_put_place(o, &crash.map, (uintptr_t)crash.frames[i]);
        crash_put(o, "\n");
        crash_map_want(&crash.map, (uintptr_t)crash.frames[i]);
    }
    crash_flush(o);
}

/* What the offsets count in, so that nobody takes them for another build's. */
static void write_files(struct crash_out *o)
{
    crash_put(o, "\nfiles:\n");
    crash_put_files(o, &crash.map);
    crash_put(o, "end of report\n");
    crash_flush(o);
}

/* DIR/crash-MODULE-EPOCHMS-PID.txt; stderr when it cannot be created. */
static int open_report(void)
{
    struct crash_out name = {.fd = -1, .buffer = crash.path, .cap = sizeof crash.path - 1};
    crash_put(&name, crash.dir);
    crash_put(&name, "/crash-");
    crash_put(&name, crash.module);
    crash_put(&name, "-");
    crash_put_dec(&name, clock_wall_ms());
    crash_put(&name, "-");
    crash_put_dec(&name, getpid());
    crash_put(&name, ".txt");
    crash.path[name.len] = '\0';
    return open(crash.path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
}

static void tell_stderr(int sig, bool file)
{
    char text[PATH_MAX + 256];
    struct crash_out o = {.fd = STDERR_FILENO, .buffer = text, .cap = sizeof text};
    crash_put(&o, "vx11 ");
    crash_put(&o, crash.module);
    crash_put(&o, ": crashed with ");
    crash_put(&o, signal_name(sig));
    crash_put(&o, file ? "; report in " : "; no report file can be written in ");
    crash_put(&o, file ? crash.path : crash.dir);
    crash_put(&o, "\n");
    crash_flush(&o);
}

static void report(int sig, const siginfo_t *info, const void *context)
{
    static char buffer[4096];
    int fd = open_report();
    struct crash_out out = {.fd = fd >= 0 ? fd : STDERR_FILENO, .buffer = buffer, .cap = sizeof buffer};
    tell_stderr(sig, fd >= 0);
    write_head(&out, sig, info);
    crash_map_read(&crash.map);
    write_registers(&out, context);
    write_log(&out);
    write_backtrace(&out);
    write_files(&out);
    if (fd >= 0)
        close(fd);
}

/* The signal's default action, so that the parent sees the true status and the system may dump core. */
static void die(int sig)
{
    sigset_t set;
    signal(sig, SIG_DFL);
    sigemptyset(&set);
    sigaddset(&set, sig);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    raise(sig);
    _exit(128 + sig);
}

static void give_up_after(unsigned seconds)
{
    sigset_t set;
    signal(SIGALRM, SIG_DFL);
    sigemptyset(&set);
    sigaddset(&set, SIGALRM);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    alarm(seconds);
}

static void on_signal(int sig, siginfo_t *info, void *context)
{
    int me = gettid(), none = 0;
    if (!atomic_compare_exchange_strong(&crash.reporter, &none, me)) {
        if (none == me)
            die(sig); /* a fault in this handler: what is written so far has to do */
        for (;;)      /* another thread reports already and will end the process */
            pause();
    }
    give_up_after(GIVE_UP_SECONDS);
    report(sig, info, context);
    die(sig);
}

/* A stack of its own, between two pages that fault. */
static int make_stack(struct error *err)
{
    if (crash.stack)
        return 0;
    long page = sysconf(_SC_PAGESIZE);
    size_t guard = page > 0 ? (size_t)page : 4096;
    unsigned char *p =
        mmap(NULL, STACK_BYTES + 2 * guard, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (p == MAP_FAILED)
        return error_set_errno(err, errno, "no memory for the crash handler's stack");
    stack_t stack = {.ss_sp = p + guard, .ss_size = STACK_BYTES};
    if (mprotect(p + guard, STACK_BYTES, PROT_READ | PROT_WRITE) != 0 || sigaltstack(&stack, NULL) != 0) {
        int sys = errno;
        munmap(p, STACK_BYTES + 2 * guard);
        return error_set_errno(err, sys, "cannot set the crash handler's stack");
    }
    crash.stack = p;
    return 0;
}

static int set_handlers(struct error *err)
{
    struct sigaction sa = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    sigemptyset(&sa.sa_mask);
    for (size_t i = 0; i < COUNT_OF(signals); i++) {
        if (sigaction(signals[i].number, &sa, NULL) != 0)
            return error_set_errno(err, errno, "cannot handle %s", signals[i].name);
    }
    return 0;
}

int crash_install(const struct crash_options *options, struct error *err)
{
    int rc = fs_mkdirs(options->dir, 0700, err);
    if (rc)
        return error_prefix(err, rc, "crash reports");
    char resolved[PATH_MAX]; /* absolute: the process may change its folder later */
    if (!realpath(options->dir, resolved))
        return error_set_errno(err, errno, "cannot resolve %s", options->dir);
    memcpy(crash.dir, resolved, strlen(resolved) + 1);
    snprintf(crash.module, sizeof crash.module, "%s", options->module ? options->module : "vx11");
    snprintf(crash.version, sizeof crash.version, "%s", options->version ? options->version : "");
    if (options->build_id)
        snprintf(crash.build_id, sizeof crash.build_id, "%s", options->build_id);
    else
        crash_build_id(crash.build_id, sizeof crash.build_id);

    rc = make_stack(err);
    if (rc)
        return rc;
    /* The first backtrace loads libgcc, which takes memory and locks: now, not in the handler. */
    (void)backtrace(crash.frames, 4);
    return set_handlers(err);
}
