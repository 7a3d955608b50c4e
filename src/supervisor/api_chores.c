/* Api of the chores, and the list of backups. */
#include "supervisor/chores.h"

#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "contract/contract.h"
#include "store/backup/backup.h"

static void chore_fill(const struct chore *c, struct supervisor_chore *out)
{
    const bool alive = c->state == SUPERVISOR_CHORE_STATE_RUNNING && !c->exited;
    *out = (struct supervisor_chore){
        .id = c->id,
        .kind = (int)c->kind,
        .state = (int)c->state,
        .asked_by = c->asked_by,
        .asked_at = c->asked_at,
        .has_started_at = c->started_at > 0,
        .started_at = c->started_at,
        .has_ended_at = c->ended_at > 0,
        .ended_at = c->ended_at,
        .has_pid = alive,
        .pid = alive ? c->process.pid : 0,
        .reason = c->reason[0] ? c->reason : NULL,
    };
}

static void chore_reply(struct request *r, int status, const struct chore *c)
{
    struct supervisor_chore out;
    chore_fill(c, &out);
    request_reply(r, status, &supervisor_chore_message, &out);
}

/* ---- rows ---- */

#define CHORE_COLUMNS "id, kind, state, asked_by, asked_at, started_at, ended_at, exit_code, reason"

struct rows {
    struct arena *a;
    struct supervisor_chore *out;
    size_t count, room;
    bool with_output;
};

/* The table's CHECK holds rows to these names. */
static int index_of(const char *name, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (str_eq(name, names[i]))
            return (int)i;
    return 0;
}

static yyjson_val *output_of(struct arena *a, const struct store_row *row)
{
    const char *text = row_text(row, 9);
    yyjson_val *value = NULL;
    if (text && contract_json_parse(a, text, strlen(text), NULL, &value, NULL) != 0)
        return NULL;
    return value;
}

static int take_row(void *ctx, const struct store_row *row)
{
    struct rows *rows = ctx;
    if (rows->count == rows->room)
        return 0;
    struct supervisor_chore *c = &rows->out[rows->count++];
    *c = (struct supervisor_chore){
        .id = arena_strdup(rows->a, row_text(row, 0)),
        .kind = index_of(row_text(row, 1), supervisor_chore_kind_names, CHORE_KINDS),
        .state =
            index_of(row_text(row, 2), supervisor_chore_state_names, COUNT_OF(supervisor_chore_state_names)),
        .asked_by = arena_strdup(rows->a, row_text(row, 3)),
        .asked_at = row_int(row, 4),
        .has_started_at = !row_is_null(row, 5),
        .started_at = row_int(row, 5),
        .has_ended_at = true,
        .ended_at = row_int(row, 6),
        .has_exit_code = !row_is_null(row, 7),
        .exit_code = row_int(row, 7),
        .reason = arena_strdup(rows->a, row_text(row, 8)),
        .output = rows->with_output ? output_of(rows->a, row) : NULL,
    };
    return c->id && c->asked_by ? 0 : VX11_ENOMEM;
}

/* ---- list ---- */

static void fill_schedule(struct chores *all, struct supervisor_chore_schedule *out)
{
    for (size_t k = 0; k < CHORE_KINDS; k++) {
        const struct chore_plan *p = &all->plans[k];
        const int64_t due = chore_due_at(all, (enum supervisor_chore_kind)k);
        out[k] = (struct supervisor_chore_schedule){
            .kind = (int)k,
            .every_ms = chore_every_ms(all, (enum supervisor_chore_kind)k),
            .has_last_done_at = p->last_done_at > 0,
            .last_done_at = p->last_done_at,
            .has_next_at = due > 0,
            .next_at = due,
            .failing = p->failing[0] ? p->failing : NULL,
        };
    }
}

static void take_waiting(const struct chore *c, const struct supervisor_chore_list_params *p,
                         struct rows *rows)
{
    if (c && (!p->has_kind || p->kind == (int)c->kind))
        chore_fill(c, &rows->out[rows->count++]);
}

void api_chores_list(struct request *r, void *module)
{
    struct supervisor *s = module;
    const struct supervisor_chore_list_params *p = request_params(r);
    struct arena *a = request_arena(r);
    struct error err = {0};
    struct supervisor_chore_list reply = {.schedule_count = CHORE_KINDS};
    struct rows rows = {.a = a, .room = (size_t)p->limit + CHORES_QUEUE + 1};
    rows.out = arena_array(a, rows.room, sizeof *rows.out);
    reply.schedule = arena_array(a, CHORE_KINDS, sizeof *reply.schedule);
    int rc = rows.out && reply.schedule ? 0 : error_set(&err, VX11_ENOMEM, "out of memory");
    if (rc == 0) {
        fill_schedule(s->chores, reply.schedule);
        take_waiting(s->chores->running, p, &rows);
        for (size_t i = 0; i < s->chores->queued; i++)
            take_waiting(s->chores->queue[i], p, &rows);
        const struct store_value values[] = {
            p->has_kind ? STORE_T(supervisor_chore_kind_names[p->kind]) : STORE_N, STORE_I(p->limit)};
        rc = p->has_kind ? store_query(module_store(s->m),
                                       "SELECT " CHORE_COLUMNS
                                       " FROM chore WHERE kind = ?1 ORDER BY ended_at DESC LIMIT ?2",
                                       values, 2, take_row, &rows, &err)
                         : store_query(module_store(s->m),
                                       "SELECT " CHORE_COLUMNS
                                       " FROM chore WHERE ?1 IS NULL ORDER BY ended_at DESC LIMIT ?2",
                                       values, 2, take_row, &rows, &err);
    }
    if (rc != 0) {
        request_fail_error(r, &err);
        return;
    }
    reply.chores = rows.out;
    reply.chores_count = rows.count;
    request_reply(r, 200, &supervisor_chore_list_message, &reply);
}

/* ---- one ---- */

/* 404 after having said so. */
static bool ended_find(struct supervisor *s, struct request *r, const char *id, struct supervisor_chore *out)
{
    struct error err = {0};
    struct rows rows = {.a = request_arena(r), .out = out, .room = 1, .with_output = true};
    const struct store_value value = STORE_T(id);
    if (store_query(module_store(s->m), "SELECT " CHORE_COLUMNS ", output FROM chore WHERE id = ?1", &value,
                    1, take_row, &rows, &err) != 0)
        request_fail_error(r, &err);
    else if (rows.count == 0)
        request_fail(r, 404, "chore_not_found", "id", "there is no chore %s", id);
    else
        return true;
    return false;
}

void api_chore_get(struct request *r, void *module)
{
    struct supervisor *s = module;
    const struct supervisor_chore_id *p = request_params(r);
    const struct chore *c = chore_find(s->chores, p->id);
    struct supervisor_chore ended;
    if (c)
        chore_reply(r, 200, c);
    else if (ended_find(s, r, p->id, &ended))
        request_reply(r, 200, &supervisor_chore_message, &ended);
}

void api_chore_start(struct request *r, void *module)
{
    struct supervisor *s = module;
    const struct supervisor_chore_request *b = request_body(r);
    struct error err = {0};
    struct chore *c = NULL;
    if (b->name && b->kind != SUPERVISOR_CHORE_KIND_VERIFY) {
        request_fail(r, 400, "invalid_value", "name", "only verify takes the name of a backup");
        return;
    }
    if (b->full && b->kind != SUPERVISOR_CHORE_KIND_MAINTAIN) {
        request_fail(r, 400, "invalid_value", "full", "only maintain can be full");
        return;
    }
    if (b->full) {
        request_fail(r, 409, "needs_stop", "full",
                     "a full compaction needs everything else stopped: vx11 db maintain --compact --stop");
        return;
    }
    if (s->stopping) {
        request_fail(r, 503, "stopping", NULL, "VX11 is being stopped");
        return;
    }
    int rc = chore_ask(s->chores, (enum supervisor_chore_kind)b->kind, b->name, b->full,
                       request_principal(r)->name, &c, &err);
    if (rc == VX11_EEXISTS)
        request_fail(r, 409, "chore_pending", NULL, "%s", err.text);
    else if (rc == VX11_EFULL)
        request_fail(r, 429, "too_many_chores", NULL, "%s", err.text);
    else if (rc != 0)
        request_fail_error(r, &err);
    else
        chore_reply(r, 202, c);
}

void api_chore_cancel(struct request *r, void *module)
{
    struct supervisor *s = module;
    const struct supervisor_chore_id *p = request_params(r);
    struct chore *c = chore_find(s->chores, p->id);
    struct supervisor_chore out;
    if (!c) {
        if (ended_find(s, r, p->id, &out))
            request_fail(r, 409, "chore_ended", NULL, "chore %s has ended: %s", p->id,
                         supervisor_chore_state_names[out.state]);
        return;
    }
    const bool waits = c->state == SUPERVISOR_CHORE_STATE_QUEUED;
    if (!waits) {
        chore_cancel(c);
        chore_reply(r, 202, c);
        return;
    }
    chore_cancel(c); /* it is gone: its row tells */
    if (ended_find(s, r, p->id, &out))
        request_reply(r, 202, &supervisor_chore_message, &out);
}

/* ---- backups ---- */

void api_backups(struct request *r, void *module)
{
    struct supervisor *s = module;
    struct backup_place place;
    struct backup_list list;
    struct error err = {0};
    char database[4096];
    int rc = module_store_path(module_config(s->m), module_home(s->m), database, sizeof database);
    if (rc == 0)
        rc = backup_place_of(module_home(s->m), database, &place, &err);
    else
        error_set(&err, rc, "the path of the database is too long");
    if (rc == 0)
        rc = backup_list(&place, request_arena(r), &list, &err);
    if (rc != 0)
        request_fail_error(r, &err);
    else
        request_reply(r, 200, &backup_list_message, &list);
}
