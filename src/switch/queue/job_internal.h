/* What job.c and lease.c share. */
#ifndef VX11_SWITCH_JOB_INTERNAL_H
#define VX11_SWITCH_JOB_INTERNAL_H

#include "switch/queue/job.h"

struct job_taken {
    struct arena *arena;
    struct job *job;
    bool found;
};
int job_take(void *ctx, const struct store_row *row); /* one row of JOB_COLUMNS into a struct job_taken */
enum switch_job_state job_state_parse(const char *text);

#endif
