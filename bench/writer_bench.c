/* Writer bench: rows a second through the batched writer, into a real file with WAL and synchronous=NORMAL.
 *
 *   bench_writer [--seconds S] [--rows-per-request N] [--dir DIR] [--json]
 *
 * Each request pushes N rows (3: decision, usage, event of a chat) of the size that a chat's accounting has.
 * The producer waits when the queue is full, so the number is what the writer sustains, not what the queue
 * swallows; the time ends when everything is committed. Beside it, in the same run: the same rows each in a
 * transaction of its own. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/str.h"
#include "base/ulid.h"
#include "store/store.h"

static const char insert_event[] =
    "INSERT INTO event (id, type, source, at, payload, size) VALUES (?1, ?2, 'switch', ?3, ?4, ?5)";
static const char payload[] =
    "{\"provider\":\"local\",\"model\":\"guide\",\"why\":\"named by the request\",\"alternatives\":[],"
    "\"prompt_tokens\":512,\"completion_tokens\":128,\"first_token_ms\":41.5,\"total_ms\":1800.25,"
    "\"outcome\":\"ok\"}";

static void fill(struct store_value values[5], char id[ULID_LEN + 1], int row)
{
    values[0] = store_text_len(ulid_make(id), ULID_LEN);
    values[1] = STORE_T(row % 3 == 0 ? "decision" : row % 3 == 1 ? "usage" : "event");
    values[2] = STORE_I(clock_wall_ms());
    values[3] = store_text_len(payload, sizeof payload - 1);
    values[4] = STORE_I(sizeof payload - 1);
}

struct result {
    double rows_per_s;
    uint64_t rows, transactions, waits;
    double push_us; /* mean time of a push, waits not counted */
};

static int run_batched(const char *path, double seconds, int per_request, struct result *out)
{
    struct error err = {0};
    struct writer *w;
    if (writer_start(&(struct writer_options){.path = path}, &w, &err) != 0) {
        fprintf(stderr, "bench_writer: %s\n", err.text);
        return 1;
    }
    char id[ULID_LEN + 1];
    struct store_value values[5];
    int rc = 0;
    uint64_t start = clock_mono_ns(), end = start + (uint64_t)(seconds * 1e9), waited = 0, rows = 0;
    while (rc == 0 && clock_mono_ns() < end) {
        for (int i = 0; i < per_request && rc == 0; i++, rows++) {
            fill(values, id, i);
            while ((rc = writer_push(w, insert_event, values, 5)) == VX11_EFULL) {
                uint64_t before = clock_mono_ns();
                usleep(500);
                waited += clock_mono_ns() - before;
                out->waits++;
            }
        }
    }
    uint64_t pushed = clock_mono_ns();
    if (rc != 0 || writer_flush(w, 60000) != 0) {
        fprintf(stderr, "bench_writer: rows could not be pushed or flushed\n");
        writer_stop(w, 0);
        return 1;
    }
    double took = (double)(clock_mono_ns() - start) / 1e9;
    struct writer_stats st;
    writer_stats(w, &st);
    uint64_t lost = writer_stop(w, 10000);
    out->rows = st.written;
    out->transactions = st.transactions;
    out->rows_per_s = (double)st.written / took;
    out->push_us = (double)(pushed - start - waited) / 1e3 / (double)rows;
    if (lost > 0 || st.written != rows)
        fprintf(stderr, "bench_writer: %llu rows are lost\n", (unsigned long long)(rows - st.written));
    return lost > 0 || st.written != rows;
}

/* What the batching is for: the same rows by store_exec. */
static int run_singly(const char *path, double seconds, struct result *out)
{
    struct error err = {0};
    struct store *s;
    int rc = store_open(&(struct store_options){.path = path}, &s, &err);
    char id[ULID_LEN + 1];
    struct store_value values[5];
    uint64_t start = clock_mono_ns(), end = start + (uint64_t)(seconds * 1e9);
    while (rc == 0 && clock_mono_ns() < end) {
        fill(values, id, (int)(out->rows % 3));
        rc = store_exec(s, insert_event, values, 5, NULL, &err);
        out->rows++;
    }
    out->rows_per_s = (double)out->rows / ((double)(clock_mono_ns() - start) / 1e9);
    store_close(rc == 0 || s ? s : NULL);
    if (rc != 0)
        fprintf(stderr, "bench_writer: %s\n", err.text);
    return rc != 0;
}

static int bench(const char *path, double seconds, int per_request, bool json)
{
    struct error err = {0};
    struct store *s;
    if (store_open(&(struct store_options){.path = path, .migrate = true}, &s, &err) != 0) {
        fprintf(stderr, "bench_writer: %s\n", err.text);
        return 1;
    }
    store_close(s);
    struct result batched = {0}, singly = {0};
    if (run_batched(path, seconds, per_request, &batched) != 0 || run_singly(path, seconds / 4, &singly) != 0)
        return 1;
    if (json) {
        printf(
            "{\"rows_per_request\":%d,\"requests_per_s\":%.1f,\"rows_per_transaction\":%.1f,\"push_us\":%.3f,"
            "\"queue_full\":%llu,\"single_rows_per_s\":%.1f}\n",
            per_request, batched.rows_per_s / per_request,
            (double)batched.rows / (double)batched.transactions, batched.push_us,
            (unsigned long long)batched.waits, singly.rows_per_s);
        return 0;
    }
    printf("writer: %.0f rows/s = %.0f requests/s of %d rows (%llu rows, %.0f per transaction, push %.2f us, "
           "queue full"
           " %llu times), %.1fx one transaction per row (%.0f rows/s)\n",
           batched.rows_per_s, batched.rows_per_s / per_request, per_request,
           (unsigned long long)batched.rows, (double)batched.rows / (double)batched.transactions,
           batched.push_us, (unsigned long long)batched.waits, batched.rows_per_s / singly.rows_per_s,
           singly.rows_per_s);
    return 0;
}

static int usage(void)
{
    fprintf(stderr, "usage: bench_writer [--seconds S] [--rows-per-request N] [--dir DIR] [--json]\n");
    return 2;
}

int main(int argc, char **argv)
{
    double seconds = 4;
    int64_t per_request = 3;
    const char *base = "/tmp";
    bool json = argc > 1 && str_eq(argv[argc - 1], "--json");
    argc -= json;
    for (int i = 1; i < argc; i += 2) {
        if (i + 1 >= argc)
            return usage();
        if (str_eq(argv[i], "--dir"))
            base = argv[i + 1];
        else if (!(str_eq(argv[i], "--seconds") && str_to_f64(argv[i + 1], &seconds) == 0 && seconds > 0) &&
                 !(str_eq(argv[i], "--rows-per-request") &&
                   str_to_i64(argv[i + 1], 1, 1000, &per_request) == 0))
            return usage();
    }
    char dir[512], path[600];
    snprintf(dir, sizeof dir, "%s/vx11-bench-XXXXXX", base);
    if (!mkdtemp(dir)) {
        fprintf(stderr, "bench_writer: cannot make a folder in %s: %s\n", base, strerror(errno));
        return 1;
    }
    snprintf(path, sizeof path, "%s/vx11.db", dir);
    int rc = bench(path, seconds, (int)per_request, json);
    int fd = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fs_remove_tree(fd, dir + strlen(base) + 1, NULL) != 0)
        fprintf(stderr, "bench_writer: %s could not be removed\n", dir);
    close(fd);
    return rc;
}
