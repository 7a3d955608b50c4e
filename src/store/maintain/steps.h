/* The steps of maintenance. Private to store/maintain. */
#ifndef VX11_STORE_MAINTAIN_STEPS_H
#define VX11_STORE_MAINTAIN_STEPS_H

#include "store/backup/backup.h"
#include "store/maintain/maintain.h"
#include "store/maintain/retain.h"
#include "store/store_internal.h"

struct maintaining {
    const struct maintain_options *o;
    struct arena *arena;
    struct maintenance_report *report;
    struct maintenance_lock *lock;
    struct store *store;
    char folder[4200]; /* of the archive */
    int64_t now_ms, begun_mono;
    bool damaged;       /* the file, as far as is known */
    bool backup_failed; /* and was wanted */
    bool stopped;
    bool noted; /* the run has a row */
};
struct step_words {
    char text[600]; /* what it did or found; "": nothing to say */
    double longest_hold_ms;
};

/* Each returns 0, or VX11_E… with the reason. VX11_ECORRUPT: the file is damaged. */
int step_quick_check(struct maintaining *m, struct step_words *w, struct error *err);
int step_backup(struct maintaining *m, struct step_words *w, struct error *err);
int step_retention(struct maintaining *m, struct step_words *w, struct error *err);
int step_rollup(struct maintaining *m, struct step_words *w, struct error *err);
int step_foreign_keys(struct maintaining *m, struct step_words *w, struct error *err);
int step_checkpoint(struct maintaining *m, struct step_words *w, struct error *err);
int step_vacuum(struct maintaining *m, struct step_words *w, struct error *err);
int step_compact(struct maintaining *m, struct step_words *w, struct error *err);
int step_optimize(struct maintaining *m, struct step_words *w, struct error *err);
int step_integrity(struct maintaining *m, struct step_words *w, struct error *err);
int step_archive(struct maintaining *m, struct step_words *w, struct error *err);

#endif
