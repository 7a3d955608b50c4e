/* What the files of the pulls share.
 *
 *   pulls.c        the set of jobs: asking, joining, cancelling, the tick, events and streams
 *   pull_job.c     one job's steps
 *   pull_place.c   folders, what is there already, registration, deletion
 *   pull_rows.c    rows of the database, and a job as the API shows it */
#ifndef VX11_HERMES_PULL_PULLS_INTERNAL_H
#define VX11_HERMES_PULL_PULLS_INTERNAL_H

#include "base/ulid.h"
#include "hermes/facts.h"
#include "hermes/pull/pulls.h"
#include "hermes/pull/source.h"
#include "hermes/pull/transfer.h"

enum { NOTES_MAX = 32, RESOLVE_TRIES = 6, CHANGES_MAX = 3, PARTS_MAX = 1000, PULL_TICK_MS = 250 };

struct pull_part {
    const char *file;   /* at the source: path in the repository, or the local path */
    char name[256];     /* in our folder */
    int64_t size;       /* -1: not known */
    const char *sha256; /* what it must be; NULL: nobody says */
    const char *etag;
    char got[65]; /* its hash, once it is here */
    bool done;
};

struct pull_watch {
    struct pull_watch *next;
    struct request *request;
    struct pull *pull;
};

struct pull {
    struct pull *next;
    struct pulls *set;
    struct arena *arena;
    char id[ULID_LEN + 1];
    char show[4200]; /* the source as it is shown and stored */
    struct pull_source source;
    const struct hermes_catalogue_model *entry; /* copied; NULL: not by name */
    const char *name, *revision, *key, *asked_by;
    int state, phase; /* enum hermes_pull_state; enum hermes_pull_phase, -1: none */
    const char *reason, *code;
    char commit[129];
    int64_t rate_bytes, resumed, resumed_bytes, created_at, started_at, ended_at;
    uint64_t retries; /* of transfers that are over */
    int64_t had;      /* bytes of the part that was not finished */
    const char *path, *model;
    char *notes[NOTES_MAX];
    size_t note_count;
    struct pull_part *parts;
    size_t part_count, at; /* at: the part in work */
    struct hub_ask *asking;
    struct transfer *transfer;
    struct bucket bucket;
    struct meter meter;
    unsigned tries, changes;
    int64_t retry_at;                 /* monotonic ms; 0: none waits */
    bool cancelled, discard, working; /* working: in the thread pool */
    bool adopt;                       /* the last part was there already, and nobody knows it to be ours */
    struct pull_watch *watches;
    int64_t told_at, streamed_at; /* monotonic ms */
    /* the thread pool's */
    uv_work_t work;
    int work_result;
    struct error work_error;
    int work_fd;
    struct model_facts facts;
};

struct pulls {
    uv_loop_t *loop;
    struct store *store;
    struct hub *hub;
    struct catalogue *catalogue;
    char problem[512];
    char home[4096], models[4096];
    struct transfer_params params;
    struct bucket bucket;
    size_t jobs;
    bool enabled;
    struct pull *first; /* those that have not ended, oldest first */
    uv_timer_t tick;
    bool closing, tick_closed;
    void (*on_event)(void *ctx, const struct link_model_pull *event);
    void (*on_model)(void *ctx, const char *name, bool new_file);
    void *ctx;
    void (*closed)(void *ctx);
    void *closed_ctx;
};

/* pulls.c */
void pull_note(struct pull *j, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The job is over: into the database, told, freed (soon). state: done, failed, cancelled. */
void pull_end(struct pull *j, int state, const char *code, const char *reason);
void pull_tell(struct pull *j, bool now);
void pulls_schedule(struct pulls *p); /* starts what waits, as many as may run */
bool pull_quiet(const struct pull *j);
void pull_release(struct pull *j); /* while closing: takes it out once nothing of it runs */

/* pull_job.c */
void pull_begin(struct pull *j);
void pull_step(struct pull *j); /* after a wait */

/* pull_place.c */
const char *pull_folder(const struct pull_source *s, struct arena *a); /* below the models folder */
int place_open(const struct pulls *p, const char *folder, bool create, int *fd, struct error *err);
/* Is there a file already? Answers with place_seen later, or at once. */
enum place_found { PLACE_FREE, PLACE_OURS, PLACE_LOOK, PLACE_TAKEN };
int place_look(struct pull *j, int folder_fd, enum place_found *found, struct error *err);
void place_hash(struct pull *j);     /* hashes the file that is there, then pull_placed */
void pull_placed(struct pull *j);    /* pull_job.c: work_result 0: it is the right one */
void place_register(struct pull *j); /* reads the header, registers, ends the job */

/* pull_rows.c */
int rows_insert(struct pull *j, struct error *err);
void rows_update(struct pull *j); /* a failure is logged: the job goes on */
void rows_parts(struct pull *j);
int rows_resume(struct pulls *p, int (*fn)(void *ctx, const struct store_row *row), void *ctx,
                struct error *err);
void pull_show(const struct pull *j, struct arena *a, struct hermes_pull *out);
int rows_model_pulled(struct store *s, const struct pull *j, const char *model_id, struct error *err);
/* Whether a model's file was downloaded by us, and its hash then. */
int rows_is_pulled(struct store *s, const char *model_id, struct arena *a, bool *pulled, const char **sha256,
                   int64_t *parts, struct error *err);
#define RESUME_COLUMNS                                                                                       \
    "id, source, revision, name, commit_id, rate_bytes, resumed, idempotency_key, asked_by, created_at, "    \
    "started_at, state"

#endif
