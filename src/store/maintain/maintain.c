/* Maintain: the order of the steps, which of them are safe after another failed, and the report. What each
 * one does is in steps.c. */
#include "store/maintain/steps.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/proc.h"
#include "base/str.h"
#include "base/ulid.h"
#include "store/ledger/ledger.h"
#include "store/maintain/runs.h"
#include "version.h"

/* ---- one step ---- */

struct step {
    const char *name;
    int (*run)(struct maintaining *m, struct step_words *w, struct error *err);
    bool needs_sound;  /* not in a file that is damaged */
    bool needs_backup; /* it deletes or moves things */
    bool writes;
    bool in_dry_run;
    bool long_read; /* reads much, and holds nothing that anybody waits for */
};
static const struct step steps[] = {
    {"quick_check", step_quick_check, false, false, false, true, true},
    {"backup", step_backup, true, false, false, false, true},
    {"retention", step_retention, true, true, true, true, false},
    {"rollup", step_rollup, true, false, true, false, false},
    {"foreign_keys", step_foreign_keys, true, false, false, true, true},
    {"checkpoint", step_checkpoint, true, false, true, false, false},
    {"vacuum", step_vacuum, true, true, true, false, false},
    {"compact", step_compact, true, true, true, false, false},
    {"optimize", step_optimize, true, false, true, false, false},
    {"integrity", step_integrity, false, false, false, false, true},
    {"archive", step_archive, true, true, false, false, false},
};

/* Why it is not run, or NULL. */
static const char *why_skip(const struct maintaining *m, const struct step *s)
{
    if (m->o->dry_run && !s->in_dry_run)
        return "a dry run changes nothing";
    if (m->stopped)
        return "it was told to stop";
    if (s->needs_sound && m->damaged)
        return "the file is damaged";
    if (s->needs_backup && m->backup_failed)
        return "there is no checked backup";
    if (s->run == step_backup && m->o->no_backup)
        return "no backup was asked for";
    if (s->run == step_vacuum && m->o->compact)
        return "the file is made anew as a whole";
    if (s->run == step_compact && !m->o->compact)
        return "it was not asked for";
    return NULL;
}

struct reading {
    struct maintaining *m;
    const struct step *step;
    struct step_words *words;
    struct error *err;
    int rc;
};

static void *on_reading(void *arg)
{
    struct reading *r = arg;
    proc_lower_thread();
    r->rc = r->step->run(r->m, r->words, r->err);
    return NULL;
}

/* In a thread that ends with the step: a lowered priority does not rise again, and the steps after this one
 * hold the lock that writers wait for. */
static int read_gently(struct maintaining *m, const struct step *s, struct step_words *words,
                       struct error *err)
{
    struct reading r = {.m = m, .step = s, .words = words, .err = err};
    pthread_t thread;
    if (pthread_create(&thread, NULL, on_reading, &r) != 0)
        return s->run(m, words, err); /* less gently, and done all the same */
    pthread_join(thread, NULL);
    return r.rc;
}

static void run_step(struct maintaining *m, const struct step *s)
{
    struct maintenance_report *r = m->report;
    struct maintenance_step *out = &r->steps[r->steps_count++];
    struct step_words words = {.text = ""};
    struct error err = {0};
    const int64_t begun = clock_mono_ms();
    *out = (struct maintenance_step){.name = s->name, .state = MAINTENANCE_STEP_STATE_SKIPPED};
    out->reason = why_skip(m, s);
    if (out->reason)
        return;
    if (m->o->progress)
        m->o->progress(m->o->ctx, s->name);
    int rc = m->o->gentle && s->long_read ? read_gently(m, s, &words, &err) : s->run(m, &words, &err);
    out->duration_ms = clock_mono_ms() - begun;
    out->has_longest_hold_ms = s->writes && !m->o->dry_run;
    out->longest_hold_ms = words.longest_hold_ms;
    if (words.longest_hold_ms > r->longest_hold_ms)
        r->longest_hold_ms = words.longest_hold_ms;
    out->summary = words.text[0] ? arena_strdup(m->arena, words.text) : NULL;
    out->state = rc == 0 ? MAINTENANCE_STEP_STATE_DONE : MAINTENANCE_STEP_STATE_FAILED;
    if (rc == 0) {
        log_info("maintain", "step done", LOG_S("step", s->name), LOG_I("ms", out->duration_ms),
                 LOG_S("summary", words.text));
        return;
    }
    m->stopped = m->stopped || rc == VX11_ECANCELLED;
    m->damaged = m->damaged || rc == VX11_ECORRUPT;
    m->backup_failed = m->backup_failed || s->run == step_backup;
    out->reason = arena_strdup(m->arena, err.text[0] ? err.text : error_describe(rc));
    log_error("maintain", "step failed", LOG_S("step", s->name), LOG_S("reason", err.text));
    if (r->ok)
        r->error = arena_printf(m->arena, "%s: %s", s->name, err.text);
    r->ok = false;
}

/* ---- report ---- */

static int64_t bytes_of(const char *path, const char *ending)
{
    char full[4200];
    struct stat st;
    if (snprintf(full, sizeof full, "%s%s", path, ending) >= (int)sizeof full || stat(full, &st) != 0)
        return 0; /* there is no log */
    return (int64_t)st.st_size;
}

static void measure(struct maintaining *m, int64_t *bytes, int64_t *used, int64_t *wal)
{
    int64_t all = 0;
    struct error ignored = {0};
    *bytes = bytes_of(m->o->database, "");
    *wal = bytes_of(m->o->database, "-wal");
    if (retain_size(m->store, used, &all, &ignored) != 0) /* quick_check says what is wrong */
        *used = *bytes;
}

static int begin_report(struct maintaining *m, struct error *err)
{
    char id[ULID_LEN + 1];
    struct maintenance_report *r = m->report;
    *r = (struct maintenance_report){.id = arena_strdup(m->arena, ulid_make(id)),
                                     .at = clock_wall_ms(),
                                     .origin = (int)m->o->origin,
                                     .version = VX11_VERSION,
                                     .database = arena_strdup(m->arena, m->o->database),
                                     .dry_run = m->o->dry_run,
                                     .compact = m->o->compact,
                                     .ok = true,
                                     .warn_bytes = m->o->warn_bytes,
                                     .target_bytes = m->o->target_bytes};
    r->steps = arena_array(m->arena, COUNT_OF(steps), sizeof *r->steps);
    if (!r->id || !r->database || !r->steps)
        return error_set(err, VX11_ENOMEM, "out of memory");
    measure(m, &r->bytes_before, &r->used_before, &r->wal_before);
    return 0;
}

/* What cannot be kept is said, and is a failure of its own: a history with gaps is none. */
static void failed_to_keep(struct maintaining *m, const char *what, const struct error *err)
{
    struct maintenance_report *r = m->report;
    log_error("maintain", what, LOG_S("reason", err->text));
    if (r->ok)
        r->error = arena_printf(m->arena, "%s: %s", what, err->text);
    r->ok = false;
}

static void keep_report(struct maintaining *m)
{
    struct maintenance_report *r = m->report;
    struct error err = {0};
    char deleted[32], before[32], after[32];
    if (!m->noted)
        return;
    snprintf(deleted, sizeof deleted, "%lld", (long long)r->deleted_rows);
    snprintf(before, sizeof before, "%lld", (long long)r->bytes_before);
    snprintf(after, sizeof after, "%lld", (long long)r->bytes_after);
    if (ledger_note(m->store, "maintenance", m->o->actor, "database", &err, "run", r->id, "result",
                    r->ok ? "done" : "failed", "deleted_rows", deleted, "bytes_before", before, "bytes_after",
                    after, NULL) != 0)
        failed_to_keep(m, "the run cannot be noted in the ledger", &err);
    if (maintenance_run_end(m->store, r, &err) != 0)
        failed_to_keep(m, "the report cannot be kept", &err);
}

static void end_report(struct maintaining *m)
{
    struct maintenance_report *r = m->report;
    measure(m, &r->bytes_after, &r->used_after, &r->wal_after);
    r->ended_at = clock_wall_ms();
    r->duration_ms = clock_mono_ms() - m->begun_mono;
    keep_report(m);
}

/* ---- run ---- */

static int on_busy_progress(void *ctx)
{
    const volatile bool *stop = ctx;
    return *stop;
}

/* Long checks end when it is told to stop. */
static void watch_stop(struct maintaining *m)
{
    if (m->o->stop)
        sqlite3_progress_handler(m->store->read, 20000, on_busy_progress, (void *)(uintptr_t)m->o->stop);
}

static int run_locked(struct maintaining *m, struct error *err)
{
    struct store_options so = {.path = m->o->database};
    int rc = store_open(&so, &m->store, err);
    if (rc == 0)
        rc = begin_report(m, err);
    if (rc != 0)
        return rc;
    struct error noting = {0};
    if (!m->o->dry_run) {
        m->noted = maintenance_run_begin(m->store, m->report->id, m->report->at, m->o->origin,
                                         m->report->bytes_before, &noting) == 0;
        if (!m->noted)
            failed_to_keep(m, "the run cannot be noted in the database", &noting);
    }
    watch_stop(m);
    for (size_t i = 0; i < COUNT_OF(steps); i++)
        run_step(m, &steps[i]);
    sqlite3_progress_handler(m->store->read, 0, NULL, NULL);
    end_report(m);
    return 0;
}

int maintain_run(const struct maintain_options *options, struct arena *arena, struct maintenance_report *out,
                 struct error *err)
{
    struct maintaining *m = calloc(1, sizeof *m);
    struct maintenance_lock lock = {.fd = -1};
    if (!m)
        return error_set(err, VX11_ENOMEM, "out of memory");
    *m = (struct maintaining){
        .o = options, .arena = arena, .report = out, .begun_mono = clock_mono_ms(), .lock = &lock};
    m->now_ms = options->now_ms ? options->now_ms : clock_wall_ms();
    int rc = fs_path(m->folder, sizeof m->folder, options->home, "archive");
    if (rc != 0)
        rc = error_set(err, rc, "the path of the home is too long");
    if (rc == 0)
        rc = maintenance_lock(options->home, "maintenance", options->lock_wait_ms, &lock, err);
    if (rc == 0)
        rc = run_locked(m, err);
    store_close(m->store);
    maintenance_unlock(&lock);
    free(m);
    return rc;
}
