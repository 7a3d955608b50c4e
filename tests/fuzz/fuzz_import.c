/* Any bytes as a predecessor's database. What is wrong with them must be said, never done: no row without a
 * reason, nothing written but rows of ours. The database that it goes into is made once, in memory's file
 * system, and emptied each time. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "store/import/import.h"

static char folder[64], ours[128], old[128];
static struct store *store;

static void begin(void)
{
    struct error err = {0};
    log_set_level(LOG_OFF);
    snprintf(folder, sizeof folder, "%s/vx11-fuzz-import-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (!mkdtemp(folder))
        abort();
    snprintf(ours, sizeof ours, "%s/vx11.db", folder);
    snprintf(old, sizeof old, "%s/old.db", folder);
    if (store_open(&(struct store_options){.path = ours, .migrate = true}, &store, &err) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (!store)
        begin();
    const int fd = open(old, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, data, len) != (ssize_t)len)
        abort();
    close(fd);
    struct arena *a = arena_create(0);
    struct import_report report;
    struct error err = {0};
    const struct import_options o = {
        .path = old, .database = ours, .scratch = folder, .now_ms = 1790000000000, .dry_run = true};
    if (!a)
        abort();
    if (import_run(store, &o, a, &report, &err) == 0) {
        for (size_t i = 0; report.ok && i < report.tables_count; i++) {
            const struct import_table *t = &report.tables[i];
            if (t->rows != t->imported + t->merged + t->known + t->left)
                abort();
        }
    } else if (!err.text[0]) {
        abort(); /* without a reason */
    }
    arena_destroy(a);
    return 0;
}
