/* Writer's end: what of the rows that the batched writer took in is in the database after its process has
 * gone.
 *
 *   bench_writer_end TERM|KILL [--seconds S] [--rows-per-s N] [--dir DIR]
 *
 * A child pushes numbered rows; the time of each push is noted in memory that both processes share. After S
 * seconds the child gets the signal. TERM: it stops taking rows in and drains; every row must be there. KILL:
 * it has no say; what was pushed is there but for the last moment, and how long that moment was is told. The
 * parent then opens the database anew and reads back every row: none may be missing in between, doubled or
 * changed. rows-per-s 0: as fast as the writer takes them. JSON on stdout. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/str.h"
#include "base/ulid.h"
#include "store/store.h"

#define ROWS_MOST                                                                                            \
    20000000 /* notes of their times: 160 MB that are mapped, and touched as far as they are used */

static const char insert_event[] =
    "INSERT INTO event (id, type, source, at, payload, size) VALUES (?1, 'usage', 'switch', ?2, ?3, ?4)";
static const char filler[] = "\"provider\":\"local\",\"model\":\"guide\",\"prompt_tokens\":512,"
                             "\"completion_tokens\":128,\"first_token_ms\":41.5,\"total_ms\":1800.25";

struct shared {
    _Atomic uint64_t pushed; /* rows that writer_push has taken in */
    _Atomic bool ready;
    uint64_t pushed_ns[ROWS_MOST];
};

static volatile sig_atomic_t asked_to_end;

static void on_term(int signal)
{
    (void)signal;
    asked_to_end = 1;
}

static int push_row(struct writer *w, uint64_t n)
{
    char id[ULID_LEN + 1], payload[256];
    int len = snprintf(payload, sizeof payload, "{\"n\":%llu,%s}", (unsigned long long)n, filler);
    return writer_push(w, insert_event,
                       (struct store_value[]){store_text_len(ulid_make(id), ULID_LEN),
                                              STORE_I(clock_wall_ms()), store_text_len(payload, (size_t)len),
                                              STORE_I(len)},
                       4);
}

static int child_run(const char *path, struct shared *sh, double rows_per_s)
{
    struct error err = {0};
    struct writer *w;
    signal(SIGTERM, on_term);
    if (writer_start(&(struct writer_options){.path = path}, &w, &err) != 0) {
        fprintf(stderr, "bench_writer_end: %s\n", err.text);
        return 1;
    }
    uint64_t start = clock_mono_ns(), n = 0;
    atomic_store(&sh->ready, true);
    while (!asked_to_end && n < ROWS_MOST) {
        if (rows_per_s > 0 && (double)n > (double)(clock_mono_ns() - start) / 1e9 * rows_per_s) {
            usleep(500);
            continue;
        }
        sh->pushed_ns[n] = clock_mono_ns();
        int rc = push_row(w, n);
        if (rc == VX11_EFULL) {
            usleep(500);
            continue;
        }
        if (rc != 0)
            return 1;
        atomic_store(&sh->pushed, ++n);
    }
    return writer_stop(w, 30000) == 0 ? 0 : 1;
}

/* ---- reading back ---- */

struct seen {
    unsigned char *rows; /* how often each number was read */
    uint64_t most, read, strange;
};

static int take_row(void *ctx, const struct store_row *row)
{
    struct seen *seen = ctx;
    const char *text = row_text(row, 0);
    char *end = NULL;
    uint64_t n = text && strncmp(text, "{\"n\":", 5) == 0 ? strtoull(text + 5, &end, 10) : UINT64_MAX;
    seen->read++;
    if (n >= seen->most || !end || end[0] != ',' || strncmp(end + 1, filler, sizeof filler - 1) != 0)
        seen->strange++;
    else if (seen->rows[n] < 255)
        seen->rows[n]++;
    return 0;
}

static int read_back(const char *path, const struct shared *sh, uint64_t ended_ns, double seconds,
                     const char *how)
{
    struct error err = {0};
    struct store *s;
    uint64_t pushed = atomic_load(&sh->pushed), missing = 0, gaps = 0, doubled = 0, oldest_ns = 0;
    struct seen seen = {.most = pushed + 1, .rows = calloc(pushed + 1, 1)};
    int rc = seen.rows ? store_open(&(struct store_options){.path = path}, &s, &err)
                       : error_set(&err, VX11_ENOMEM, "no memory for %llu rows", (unsigned long long)pushed);
    if (rc == 0) {
        rc = store_query(s, "SELECT payload FROM event", NULL, 0, take_row, &seen, &err);
        store_close(s);
    }
    for (uint64_t n = 0; rc == 0 && n < pushed; n++) {
        doubled += seen.rows[n] > 1;
        if (seen.rows[n] == 0 && missing++ == 0)
            oldest_ns = sh->pushed_ns[n];
        gaps += seen.rows[n] > 0 && missing > 0; /* rows must be lost from the end only */
    }
    /* A row that was taken in just before the signal and not counted yet is no stranger. */
    if (rc == 0)
        printf("{\"how\":\"%s\",\"rows_per_s\":%.1f,\"pushed\":%llu,\"read\":%llu,\"missing\":%llu,"
               "\"window_ms\":%.3f,\"gaps\":%llu,\"doubled\":%llu,\"strange\":%llu}\n",
               how, (double)seen.read / seconds, (unsigned long long)pushed, (unsigned long long)seen.read,
               (unsigned long long)missing, missing ? (double)(ended_ns - oldest_ns) / 1e6 : 0.0,
               (unsigned long long)gaps, (unsigned long long)doubled, (unsigned long long)seen.strange);
    else
        fprintf(stderr, "bench_writer_end: %s\n", err.text);
    free(seen.rows);
    return rc == 0 ? 0 : 1;
}

static int bench(const char *path, bool kills, double seconds, double rows_per_s)
{
    struct error err = {0};
    struct store *s;
    struct shared *sh =
        mmap(NULL, sizeof *sh, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (sh == MAP_FAILED ||
        store_open(&(struct store_options){.path = path, .migrate = true}, &s, &err) != 0) {
        fprintf(stderr, "bench_writer_end: %s\n", err.text[0] ? err.text : strerror(errno));
        return 1;
    }
    store_close(s);
    pid_t pid = fork();
    if (pid < 0) {
        fprintf(stderr, "bench_writer_end: no process: %s\n", strerror(errno));
        return 1;
    }
    if (pid == 0)
        _exit(child_run(path, sh, rows_per_s));
    for (int i = 0; i < 10000 && !atomic_load(&sh->ready); i++)
        usleep(1000);
    usleep((useconds_t)(seconds * 1e6));
    uint64_t ended_ns = clock_mono_ns();
    int status = 0;
    if (kill(pid, kills ? SIGKILL : SIGTERM) != 0 || waitpid(pid, &status, 0) != pid) {
        fprintf(stderr, "bench_writer_end: %s\n", strerror(errno));
        return 1;
    }
    bool as_asked = kills ? WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL
                          : WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (!as_asked) {
        fprintf(stderr, "bench_writer_end: the writing process ended with status %x\n", (unsigned)status);
        return 1;
    }
    double took = kills ? seconds : (double)(clock_mono_ns() - ended_ns) / 1e9 + seconds;
    int rc = read_back(path, sh, ended_ns, took, kills ? "KILL" : "TERM");
    munmap(sh, sizeof *sh);
    return rc;
}

static int usage(void)
{
    fprintf(stderr, "usage: bench_writer_end TERM|KILL [--seconds S] [--rows-per-s N] [--dir DIR]\n");
    return 2;
}

int main(int argc, char **argv)
{
    double seconds = 2, rows_per_s = 0;
    const char *base = "/tmp";
    if (argc < 2 || !(str_eq(argv[1], "TERM") || str_eq(argv[1], "KILL")))
        return usage();
    for (int i = 2; i < argc; i += 2) {
        if (i + 1 >= argc)
            return usage();
        if (str_eq(argv[i], "--dir"))
            base = argv[i + 1];
        else if (!(str_eq(argv[i], "--seconds") && str_to_f64(argv[i + 1], &seconds) == 0 && seconds > 0 &&
                   seconds < 60) &&
                 !(str_eq(argv[i], "--rows-per-s") && str_to_f64(argv[i + 1], &rows_per_s) == 0 &&
                   rows_per_s >= 0))
            return usage();
    }
    char dir[512], path[600];
    snprintf(dir, sizeof dir, "%s/vx11-bench-XXXXXX", base);
    if (!mkdtemp(dir)) {
        fprintf(stderr, "bench_writer_end: cannot make a folder in %s: %s\n", base, strerror(errno));
        return 1;
    }
    snprintf(path, sizeof path, "%s/vx11.db", dir);
    int rc = bench(path, str_eq(argv[1], "KILL"), seconds, rows_per_s);
    int fd = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fs_remove_tree(fd, dir + strlen(base) + 1, NULL) != 0)
        fprintf(stderr, "bench_writer_end: %s could not be removed\n", dir);
    close(fd);
    return rc;
}
