/* The queue under SIGKILL: two workers that put jobs, claim them and do them, killed 200 times at whatever
 * moment it is. Whatever was acknowledged is there in the end, has one end, and was begun more than once only
 * where it says that its lease had expired. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "switch/queue/job.h"

enum { CYCLES = 200, WORKERS = 2, LEASE_MS = 40, MOST_OPEN = 40, MOST_JOBS = 20000 };

static char dir[64], path[96], notes[96];

/* ---- a worker ---- */

/* One line, at once in the kernel: it stays when we are killed right after. */
static void note(int fd, char what, const char *id)
{
    char line[40];
    int n = snprintf(line, sizeof line, "%c %s\n", what, id);
    if (write(fd, line, (size_t)n) != n)
        _exit(3);
}

static void put_one(struct store *s, int fd)
{
    const struct job_new n = {.source = "operator",
                              .task_type = "chat",
                              .payload = "{\"prompt\":\"x\"}",
                              .principal_id = "local",
                              .principal_name = "local",
                              .principal_scopes = "read",
                              .priority = 1,
                              .max_attempts = 1000000,
                              .run_timeout_ms = 1000,
                              .max_jobs = MOST_OPEN,
                              .max_bytes = 1 << 20};
    char id[ULID_LEN + 1], token[ULID_LEN + 1];
    bool existing;
    int rc = job_put(s, &n, clock_wall_ms(), id, token, &existing, NULL);
    if (rc == 0)
        note(fd, 'A', id); /* acknowledged */
    else if (rc != VX11_EFULL)
        _exit(4);
}

/* Takes one and does it. False: there is none. */
static bool do_one(struct store *s, struct arena *a, int fd)
{
    struct job j;
    int rc = job_claim(s, JOB_POOL_OWN, NULL, "test", LEASE_MS, clock_wall_ms(), a, &j, NULL);
    if (rc <= 0) {
        if (rc < 0)
            _exit(5);
        return false;
    }
    note(fd, 'B', j.id); /* begun: what it does may be seen from here on */
    rc = job_done(s, j.id, j.lease_token, "1", clock_wall_ms(), NULL);
    if (rc == 0)
        note(fd, 'D', j.id);
    else if (rc != VX11_ECLOSED)
        _exit(6);
    return true;
}

static struct store *open_store(void)
{
    struct store *s = NULL;
    struct error err = {0};
    if (store_open(&(struct store_options){.path = path, .migrate = true}, &s, &err) != 0) {
        fprintf(stderr, "%s\n", err.text);
        _exit(7);
    }
    return s;
}

static int open_notes(void)
{
    return open(notes, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static _Noreturn void worker(int ready)
{
    struct store *s = open_store();
    struct arena *a = arena_create(0);
    int fd = open_notes();
    if (!a || fd < 0 || write(ready, "r", 1) != 1)
        _exit(8);
    for (;;) {
        put_one(s, fd);
        if (job_expire(s, clock_wall_ms(), NULL, NULL, NULL) != 0)
            _exit(9);
        do_one(s, a, fd);
        arena_reset(a);
    }
}

/* Starts the workers, lets them work for a while, kills them. */
static void cycle(unsigned *seed)
{
    pid_t pids[WORKERS];
    int pipes[2];
    char byte;
    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    for (int i = 0; i < WORKERS; i++) {
        pids[i] = fork();
        assert_true(pids[i] >= 0);
        if (pids[i] == 0)
            worker(pipes[1]);
    }
    assert_int_equal(read(pipes[0], &byte, 1), 1); /* one of them works; the other is somewhere before that */
    const struct timespec t = {.tv_nsec = (long)(rand_r(seed) % 8000) * 1000};
    nanosleep(&t, NULL);
    for (int i = 0; i < WORKERS; i++) {
        int status;
        kill(pids[i], SIGKILL);
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        if (!WIFSIGNALED(status))
            fail_msg("a worker ended by itself with %d", WEXITSTATUS(status));
    }
    close(pipes[0]);
    close(pipes[1]);
}

/* ---- what is left ---- */

struct seen {
    char id[ULID_LEN + 1];
    bool acknowledged;
    int begun, done;
};
static struct seen *seen;
static size_t seen_count;

static int by_id(const void *a, const void *b)
{
    return strcmp(((const struct seen *)a)->id, ((const struct seen *)b)->id);
}

/* The notes, each job once, in order of id. */
static void read_notes(void)
{
    FILE *f = fopen(notes, "r");
    char what, id[32];
    assert_non_null(f);
    seen = calloc(MOST_JOBS, sizeof *seen);
    assert_non_null(seen);
    size_t lines = 0;
    while (fscanf(f, " %c %26s", &what, id) == 2 && lines < MOST_JOBS) {
        struct seen *x = &seen[lines++];
        memcpy(x->id, id, ULID_LEN + 1);
        x->acknowledged = what == 'A';
        x->begun = what == 'B';
        x->done = what == 'D';
    }
    fclose(f);
    assert_true(lines < MOST_JOBS);
    qsort(seen, lines, sizeof *seen, by_id);
    for (size_t i = 0; i < lines; i++) {
        if (seen_count > 0 && strcmp(seen[seen_count - 1].id, seen[i].id) == 0) {
            struct seen *x = &seen[seen_count - 1];
            x->acknowledged = x->acknowledged || seen[i].acknowledged;
            x->begun += seen[i].begun;
            x->done += seen[i].done;
        } else {
            seen[seen_count++] = seen[i];
        }
    }
}

static void check_job(struct store *s, struct arena *a, const struct seen *x, int *again)
{
    struct job j;
    struct error err = {0};
    if (job_get(s, x->id, a, &j, &err) != 0)
        fail_msg("%s was acknowledged and is lost", x->id);
    if (j.state != SWITCH_JOB_STATE_DONE)
        fail_msg("%s is %s", x->id, switch_job_state_names[j.state]);
    assert_string_equal(j.result, "1");
    assert_true(x->done <= 1);
    /* Nothing failed here, so each attempt after the first is one after a lease that had expired. */
    assert_int_equal(j.attempts, 1 + j.ran_again);
    if (x->begun > 1 && j.ran_again < x->begun - 1)
        fail_msg("%s was begun %d times and says that it ran again %lld times", x->id, x->begun,
                 (long long)j.ran_again);
    *again += j.ran_again > 0;
}

static void two_hundred_kills(void **state)
{
    unsigned seed = 4711;
    int again = 0, acknowledged = 0;
    (void)state;
    store_close(open_store());
    for (int i = 0; i < CYCLES; i++)
        cycle(&seed);
    struct store *s = open_store();
    struct arena *a = arena_create(0);
    int fd = open_notes();
    struct job_stats st;
    struct error err = {0};
    int64_t until = clock_mono_ms() + 20000;
    do {
        assert_int_equal(job_expire(s, clock_wall_ms(), NULL, NULL, &err), 0);
        while (do_one(s, a, fd))
            arena_reset(a);
        assert_int_equal(job_stats(s, &st, &err), 0);
        assert_true(clock_mono_ms() < until);
    } while (st.by_state[SWITCH_JOB_STATE_QUEUED] + st.by_state[SWITCH_JOB_STATE_RUNNING] > 0);
    close(fd);
    read_notes();
    for (size_t i = 0; i < seen_count; i++) {
        acknowledged += seen[i].acknowledged;
        check_job(s, a, &seen[i], &again);
    }
    print_message("%d jobs acknowledged, %d ran again\n", acknowledged, again);
    assert_true(acknowledged > CYCLES / 2);
    assert_true(again > 0); /* else nobody was killed in the middle of one */
    free(seen);
    store_close(s);
    arena_destroy(a);
}

static int setup(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/vx11-kill-XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof path, "%s/vx11.db", dir);
    snprintf(notes, sizeof notes, "%s/notes", dir);
    return 0;
}

static int teardown(void **state)
{
    static const char *const ends[] = {"", "-wal", "-shm"};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        char name[128];
        snprintf(name, sizeof name, "%s%s", path, ends[i]);
        unlink(name);
    }
    unlink(notes);
    rmdir(dir);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(two_hundred_kills, setup, teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
