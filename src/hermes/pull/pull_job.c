/* One job's steps. Each begins something and returns; its callback takes the next. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "hermes/pull/pulls_internal.h"

static void next_part(struct pull *j);
static void resolve(struct pull *j);

static void fail(struct pull *j, const char *code, const char *text)
{
    pull_end(j, HERMES_PULL_STATE_FAILED, code, text);
}

/* Cancelled or stopping while something ran: nothing goes on. */
static bool leave(struct pull *j)
{
    bool closing = j->set->closing, cancelled = j->cancelled; /* j is gone afterwards */
    if (closing)
        pull_release(j);
    else if (cancelled)
        pull_end(j, HERMES_PULL_STATE_CANCELLED, "cancelled", "a person or program asked for it");
    return closing || cancelled;
}

/* The hub could not be asked: again later, or the end. */
static void problem(struct pull *j, const struct hub_problem *p)
{
    int64_t wait = j->set->params.retry_ms << (j->tries < 8 ? j->tries : 8);
    if (!p->again || ++j->tries > RESOLVE_TRIES) {
        fail(j, p->code, p->error.text);
        return;
    }
    if (p->retry_after_ms > wait)
        wait = p->retry_after_ms;
    if (wait > 300000)
        wait = 300000;
    pull_note(j, "%.300s: tried again in %lld ms", p->error.text, (long long)wait);
    j->retries++;
    j->retry_at = clock_mono_ms() + (wait > 0 ? wait : 1);
}

/* ---- which files ---- */

static bool part_set(struct pull *j, size_t i, const char *file, int64_t size, const char *sha256)
{
    struct pull_part *part = &j->parts[i];
    *part = (struct pull_part){.file = arena_strdup(j->arena, file), .size = size};
    part->sha256 = arena_strdup(j->arena, sha256);
    return part->file && (!sha256 || part->sha256) && pull_file_name(file, part->name, sizeof part->name);
}

static void on_list(void *ctx, const struct hub_listing *listing, const struct hub_problem *p)
{
    struct pull *j = ctx;
    struct hub_choice choice;
    struct error err = {0};
    j->asking = NULL;
    if (leave(j))
        return;
    if (p) {
        problem(j, p);
        return;
    }
    int rc = hub_choose(listing->entries, listing->count, j->source.which, j->arena, &choice, &err);
    if (rc != 0) {
        fail(j, rc == VX11_ENOT_FOUND ? "file_not_found" : "invalid_repository", err.text);
        return;
    }
    j->parts = arena_array(j->arena, choice.count, sizeof *j->parts);
    j->part_count = 0;
    for (size_t i = 0; j->parts && i < choice.count; i++) {
        const struct hub_entry *e = &listing->entries[choice.parts[i]];
        if (!part_set(j, i, e->path, e->size, e->sha256)) {
            fail(j, "invalid_repository", "a file of the repository has a name that no file may have here");
            return;
        }
    }
    j->part_count = j->parts ? choice.count : 0;
    j->at = 0;
    j->tries = 0;
    pull_note(j, "%s", choice.message);
    rows_parts(j);
    next_part(j);
}

static void list(struct pull *j)
{
    struct error err = {0};
    const char *revision = j->commit[0] ? j->commit : j->source.revision[0] ? j->source.revision : "main";
    if (hub_list(j->set->hub, j->source.repository, revision, j->arena, on_list, j, &j->asking, &err) != 0) {
        j->asking = NULL;
        fail(j, "hub_unavailable", err.text);
    }
}

/* A file of this machine, and the other parts when it is the first of several. */
static void local(struct pull *j)
{
    unsigned part, parts;
    size_t prefix;
    const char *path = j->source.path;
    bool split = split_name(path, &part, &parts, &prefix) && parts > 1 && parts <= PARTS_MAX, fine = true;
    j->part_count = split ? parts : 1;
    j->parts = arena_array(j->arena, j->part_count, sizeof *j->parts);
    for (size_t i = 0; j->parts && fine && i < j->part_count; i++) {
        struct stat st;
        const char *file = split ? arena_printf(j->arena, "%.*s-%05zu-of-%05u%s", (int)prefix, path, i + 1,
                                                parts, path + strlen(path) - 5)
                                 : path;
        fine = file && part_set(j, i, file, -1, j->entry ? j->entry->sha256 : NULL);
        if (fine && (stat(file, &st) != 0 || !S_ISREG(st.st_mode))) {
            char text[400];
            (void)snprintf(text, sizeof text, "%.300s is no file that can be read", file);
            fail(j, "file_not_found", text);
            return;
        }
        if (fine)
            j->parts[i].size = st.st_size;
    }
    if (!j->parts || !fine) {
        j->part_count = 0;
        fail(j, "invalid_source", "the file's name does not end in .gguf");
        return;
    }
    rows_parts(j);
    next_part(j);
}

static void resolve(struct pull *j)
{
    j->phase = HERMES_PULL_PHASE_RESOLVING;
    if (j->source.kind == PULL_HUB) {
        list(j);
    } else if (j->source.kind == PULL_FILE) {
        local(j);
    } else {
        char file[4097];
        (void)snprintf(file, sizeof file, "%.*s", (int)strcspn(j->source.url, "?"), j->source.url);
        j->parts = arena_array(j->arena, 1, sizeof *j->parts);
        if (!j->parts || !part_set(j, 0, file, -1, NULL)) {
            fail(j, "invalid_source", "the URL does not lead to a file that ends in .gguf");
            return;
        }
        j->part_count = 1;
        j->at = 0;
        next_part(j);
    }
}

/* ---- one file ---- */

static void on_note(void *ctx, const char *text)
{
    pull_note(ctx, "%s", text);
}

static void on_transferred(void *ctx, int result, const struct transfer_end *end, const struct error *err)
{
    struct pull *j = ctx;
    struct pull_part *part = &j->parts[j->at];
    j->transfer = NULL;
    j->retries += end->retries;
    j->had = result == 0 ? 0 : end->bytes;
    if (leave(j))
        return;
    if (result == 0) {
        part->done = true;
        (void)snprintf(part->got, sizeof part->got, "%s", end->sha256);
        j->at++;
        j->tries = 0;
        next_part(j);
    } else if (result == VX11_EAGAIN && ++j->changes <= CHANGES_MAX) {
        pull_note(j, "%s: it starts anew", err->text);
        j->commit[0] = '\0';
        resolve(j);
    } else {
        fail(j, end->code ? end->code : "source_failed", err->text);
    }
}

static void transfer(struct pull *j, int folder, const struct hub_url *location)
{
    struct pull_part *part = &j->parts[j->at];
    struct error err = {0};
    struct transfer_options o = {
        .loop = j->set->loop,
        .hub = j->set->hub,
        .shared = &j->set->bucket,
        .own = &j->bucket,
        .params = j->set->params,
        .repository = j->source.kind == PULL_HUB ? j->source.repository : NULL,
        .revision = j->commit[0]            ? j->commit
                    : j->source.revision[0] ? j->source.revision
                                            : "main",
        .file = part->file,
        .url = j->source.kind == PULL_URL ? j->source.url : NULL,
        .location = location,
        .local_fd = -1,
        .size = part->size,
        .sha256 = part->sha256,
        .etag = part->etag,
        .folder_fd = folder,
        .name = part->name,
        .split = j->part_count > 1,
        .note = on_note,
        .done = on_transferred,
        .ctx = j,
    };
    if (j->source.kind == PULL_FILE &&
        (o.local_fd = open(part->file, O_RDONLY | O_CLOEXEC | O_NONBLOCK)) < 0) {
        close(folder);
        error_set_errno(&err, errno, "%.300s cannot be opened", part->file);
        fail(j, "file_not_found", err.text);
        return;
    }
    j->phase = HERMES_PULL_PHASE_DOWNLOADING;
    j->meter = (struct meter){0};
    int rc = transfer_start(&o, &j->transfer, &err);
    if (rc != 0) {
        j->transfer = NULL;
        fail(j, rc == VX11_EFULL ? "disk_full" : "disk_error", err.text);
        return;
    }
    struct transfer_state now;
    transfer_state(j->transfer, &now);
    j->resumed_bytes += now.resumed;
    pull_tell(j, true);
}

/* What is at the place where the file goes? */
static void place(struct pull *j, const struct hub_url *location)
{
    struct pull_part *part = &j->parts[j->at];
    struct error err = {0};
    enum place_found found;
    char text[600];
    int folder;
    if (part->size <= 0) {
        fail(j, "size_unknown",
             part->size == 0 ? "the file is empty" : "the server does not say how large the file is");
        return;
    }
    int rc = place_open(j->set, pull_folder(&j->source, j->arena), true, &folder, &err);
    if (rc != 0) {
        fail(j, "disk_error", err.text);
        return;
    }
    rc = place_look(j, folder, &found, &err);
    if (rc == 0)
        rows_parts(j);
    if (rc == 0 && found == PLACE_FREE) {
        transfer(j, folder, location);
        return;
    }
    close(folder);
    if (rc != 0) {
        fail(j, "disk_error", err.text);
    } else if (found == PLACE_OURS) {
        pull_note(j, "%s is here already", part->name);
        part->done = true;
        j->at++;
        next_part(j);
    } else if (found == PLACE_LOOK) {
        j->phase = HERMES_PULL_PHASE_VERIFYING;
        place_hash(j);
    } else {
        (void)snprintf(text, sizeof text,
                       "%.400s is there already and is not what was asked for: move it away", j->path);
        fail(j, "file_exists", text);
    }
}

void pull_placed(struct pull *j)
{
    char text[600];
    if (leave(j))
        return;
    if (j->work_result == 0) {
        pull_note(j, "%s is here already, and its hash is right", j->parts[j->at].name);
        j->parts[j->at++].done = true;
        next_part(j);
        return;
    }
    (void)snprintf(text, sizeof text, "%.400s is there already and is not what was asked for: move it away",
                   j->path);
    fail(j, "file_exists", j->work_result == VX11_ECORRUPT ? text : j->work_error.text);
}

/* What is known of the file must agree with what the hub says of it now. */
static bool agrees(struct pull *j, struct pull_part *part, const struct hub_file *file)
{
    const char *want = j->entry && j->part_count == 1 ? j->entry->sha256 : NULL;
    if (want && file->sha256 && strcmp(want, file->sha256) != 0) {
        fail(j, "catalogue_mismatch",
             "the hub's file has another hash than the catalogue says: it is not downloaded");
        return false;
    }
    if (j->entry && j->part_count == 1 && j->entry->has_size_bytes && j->entry->size_bytes != file->size)
        pull_note(j, "the catalogue says %lld bytes, the hub %lld", (long long)j->entry->size_bytes,
                  (long long)file->size);
    part->size = file->size;
    part->etag = arena_strdup(j->arena, file->etag);
    if (file->sha256)
        part->sha256 = arena_strdup(j->arena, file->sha256);
    else if (want)
        part->sha256 = want;
    return true;
}

static void on_file(void *ctx, const struct hub_file *file, const struct hub_problem *p)
{
    struct pull *j = ctx;
    j->asking = NULL;
    if (leave(j))
        return;
    if (p) {
        problem(j, p);
        return;
    }
    if (!agrees(j, &j->parts[j->at], file))
        return;
    if (j->source.kind == PULL_HUB && file->commit && j->commit[0] == '\0') {
        (void)snprintf(j->commit, sizeof j->commit, "%s", file->commit);
        rows_update(j);
    }
    j->tries = 0;
    struct hub_url location = file->url;
    place(j, &location);
    explicit_bzero(&location, sizeof location);
}

static void next_part(struct pull *j)
{
    struct error err = {0};
    int rc;
    if (leave(j))
        return;
    if (j->at == j->part_count) {
        place_register(j);
        return;
    }
    const struct pull_part *part = &j->parts[j->at];
    if (j->source.kind == PULL_FILE) {
        place(j, NULL);
        return;
    }
    const char *revision = j->commit[0] ? j->commit : j->source.revision[0] ? j->source.revision : "main";
    rc = j->source.kind == PULL_HUB ? hub_resolve(j->set->hub, j->source.repository, revision, part->file,
                                                  on_file, j, &j->asking, &err)
                                    : hub_probe(j->set->hub, j->source.url, on_file, j, &j->asking, &err);
    if (rc != 0) {
        j->asking = NULL;
        fail(j, rc == VX11_EPERMISSION ? "not_allowed" : "hub_unavailable", err.text);
    }
}

void pull_begin(struct pull *j)
{
    j->state = HERMES_PULL_STATE_RUNNING;
    if (j->started_at < 0)
        j->started_at = clock_wall_ms();
    rows_update(j);
    log_info("pull", "a pull begins", LOG_S("pull", j->id), LOG_S("source", j->show));
    if (!j->set->enabled && j->source.kind != PULL_FILE) { /* switched off while it waited */
        fail(j, "hub_disabled", "pulling is switched off: hermes.hub.enabled is false");
        return;
    }
    if (j->source.kind == PULL_URL && str_ends(j->source.url, "?")) {
        fail(j, "url_not_kept",
             "the URL had a query, which is not kept over a restart because it may be a secret: ask with the "
             "whole URL again, what was downloaded is still there");
        return;
    }
    pull_tell(j, true);
    resolve(j);
}

void pull_step(struct pull *j)
{
    j->retry_at = 0;
    if (j->part_count == 0)
        resolve(j);
    else
        next_part(j);
}
