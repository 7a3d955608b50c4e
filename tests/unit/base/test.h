/* What every unit test of base includes: cmocka and its prerequisites, and a folder of its own. */
#ifndef VX11_TEST_BASE_H
#define VX11_TEST_BASE_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"

/* A fresh folder, in memory where there is such a place: a busy disk takes seconds to confirm a write.
 * temp_remove removes it with all it holds. */
static inline void temp_make(char out[64])
{
    snprintf(out, 64, "%s/vx11-test-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(out));
}

static inline void temp_remove(const char *dir)
{
    char parent[64];
    snprintf(parent, sizeof parent, "%s", dir);
    char *slash = strrchr(parent, '/');
    *slash = '\0';
    int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(fs_remove_tree(fd, slash + 1, NULL), 0);
    close(fd);
}

/* A file, not synced. */
static inline void temp_put(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

#endif
