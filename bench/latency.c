/* Latency: one connection to each target, asked in turn, so that what the machine does meanwhile falls on all
 * alike.
 *
 *   bench_latency --rounds R --block N NAME ADDRESS REQUEST-FILE [NAME ADDRESS REQUEST-FILE]...
 *
 * In each round each target answers N requests in a row; the first few of a block, which find caches and the
 * processor cold, are not counted. Prints one JSON object: name -> {n, p50_us, p90_us, p99_us, max_us}. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"
#include "common/http.h"

enum { TARGETS_MAX = 8, SKIPPED = 3 };

struct target {
    const char *name;
    int fd;
    struct buf request;
    double *us;
    size_t count;
};

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static int block(struct target *t, int64_t n)
{
    static struct reply r;
    for (int64_t i = 0; i < n; i++) {
        reply_start(&r, NULL, NULL);
        uint64_t start = clock_mono_ns();
        if (exchange(t->fd, t->request.data, t->request.len, &r) != 0 || r.status != 200) {
            fprintf(stderr, "bench_latency: %s answered with status %d\n", t->name, r.status);
            return -1;
        }
        if (i >= SKIPPED)
            t->us[t->count++] = (double)(clock_mono_ns() - start) / 1e3;
    }
    return 0;
}

static void print(struct target *t, bool first)
{
    qsort(t->us, t->count, sizeof *t->us, by_value);
    size_t n = t->count;
    printf("%s\"%s\":{\"n\":%zu,\"p50_us\":%.2f,\"p90_us\":%.2f,\"p99_us\":%.2f,\"max_us\":%.2f}",
           first ? "" : ",", t->name, n, t->us[n / 2], t->us[n * 9 / 10], t->us[n * 99 / 100], t->us[n - 1]);
}

static int targets_open(struct target *targets, size_t count, char **args, size_t samples)
{
    for (size_t i = 0; i < count; i++) {
        struct target *t = &targets[i];
        *t = (struct target){
            .name = args[i * 3], .fd = dial(args[i * 3 + 1]), .us = calloc(samples, sizeof(double))};
        if (t->fd < 0 || !t->us || request_read(args[i * 3 + 2], &t->request) != 0)
            return -1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    static struct target targets[TARGETS_MAX];
    int64_t rounds, n;
    if (argc < 8 || (argc - 5) % 3 != 0 || (argc - 5) / 3 > TARGETS_MAX || !str_eq(argv[1], "--rounds") ||
        str_to_i64(argv[2], 1, 100000, &rounds) != 0 || !str_eq(argv[3], "--block") ||
        str_to_i64(argv[4], SKIPPED + 1, 100000, &n) != 0) {
        fprintf(stderr, "usage: bench_latency --rounds R --block N NAME ADDRESS REQUEST-FILE...\n");
        return 2;
    }
    size_t count = (size_t)(argc - 5) / 3;
    if (targets_open(targets, count, argv + 5, (size_t)(rounds * n)) != 0)
        return 1;
    for (int64_t round = 0; round < rounds; round++)
        for (size_t i = 0; i < count; i++)
            if (block(&targets[i], n) != 0)
                return 1;
    putchar('{');
    for (size_t i = 0; i < count; i++) {
        print(&targets[i], i == 0);
        close(targets[i].fd);
        buf_free(&targets[i].request);
        free(targets[i].us);
    }
    puts("}");
    return 0;
}
