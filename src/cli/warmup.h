/* Warmup: the five checks that this machine's models are ready for use, on a VX11 that runs. */
#ifndef VX11_CLI_WARMUP_H
#define VX11_CLI_WARMUP_H

#include "api/cli.h"
#include "api/hermes.h"
#include "cli/ask.h"

enum { WARMUP_CHECKS = 5, WARMUP_MOST = 16 };

struct warmup_model {
    const char *name;
    bool chat; /* it has a chat template; else it is asked to continue a text */
    struct cli_warmup_model view;
};

struct warmup {
    struct cli *c;
    int64_t want, within_ms, age_ms;
    bool json, strict;
    const char *names[WARMUP_MOST]; /* as asked for; none: chosen here */
    size_t name_count;
    int64_t began_at; /* epoch ms */
    struct warmup_model models[WARMUP_MOST];
    size_t count;
    struct cli_warmup_check checks[WARMUP_CHECKS];
    struct cli_warmup_rotation rotation;
    bool lost; /* VX11 does not answer (any more) */
};

/* ---- warmup_rotation.c ---- */

enum rotation_state { ROTATION_IN_USE, ROTATION_ELIGIBLE };
/* In use: used less than age_ms ago. Never used is eligible. */
enum rotation_state rotation_state_of(bool used, int64_t last_used_at, int64_t now, int64_t age_ms);
/* Which of two goes first: the one whose last use is older (never comes before all), then the one that was
 * used less, then by name. Below 0: a. */
int rotation_order(const struct hermes_model *a, const struct hermes_model *b);
/* Check 3: asserts who is eligible, performs a rotation, and sees it. */
void warmup_rotate(struct warmup *w, struct cli_warmup_check *check);

/* ---- warmup.c ---- */
void warmup_fail(struct cli_warmup_check *check, struct cli *c, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void warmup_good(struct cli_warmup_check *check, struct cli *c, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* All models now; NULL after having failed the check. */
const struct hermes_model_list *warmup_models(struct warmup *w, struct cli_warmup_check *check);
const struct hermes_model *warmup_find(const struct hermes_model_list *l, const char *name);
#define WARMUP_ROWS_MS 10000 /* for rows and counts to be written */
void warmup_sleep(struct warmup *w, int64_t ms);

#endif
