/* Scan walk: looks through folders for model files and reads what is new. Touches files only, no database, so
 * it runs on a thread of the pool. */
#ifndef VX11_HERMES_SCAN_WALK_H
#define VX11_HERMES_SCAN_WALK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/arena.h"
#include "hermes/facts.h"
#include "hermes/registry.h"

#define SCAN_MAX_DEPTH   8       /* folders below a root */
#define SCAN_MAX_ENTRIES 200000u /* directory entries looked at in one scan */
#define SCAN_MAX_FILES   10000u  /* model files in one scan */

struct scan_file {
    const char *path;
    const struct registry_model *known; /* its row; NULL: a new file */
    bool read;                          /* facts were read: new, changed, back again, or not sound before */
    struct model_facts facts;           /* path and status only when not read */
    dev_t device;
    ino_t inode;
    bool link;
};

struct scan_problem { /* a folder that could not be looked through */
    const char *path, *reason;
};

struct scan_job {
    struct arena *arena; /* everything below lives in it */
    const char **roots;
    size_t root_count;
    struct registry_model *known; /* all rows; sorted by path by the walk */
    size_t known_count;
    const char **forgotten; /* sorted */
    size_t forgotten_count;
    atomic_bool cancel;

    /* what the walk finds: one entry for each file in the folders and for each row besides, sorted by path */
    struct scan_file *files;
    size_t file_count, file_cap;
    struct scan_problem *problems;
    size_t problem_count, problem_cap;
    size_t entries;
    int result; /* 0, VX11_ENOMEM or VX11_ECANCELLED */
};

void scan_walk(struct scan_job *job);

#endif
