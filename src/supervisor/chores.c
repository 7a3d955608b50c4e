/* Chores: see the header. When one is due is judged by the rows of table chore, so what was missed while
 * nothing ran is made up for; a random part of up to a twentieth of the interval keeps machines that were
 * started together from working together. */
#include "supervisor/chores.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"

#define TICK_MS     2000
#define END_MS      10000 /* for its end after SIGTERM */
#define DRAIN_MS    1000  /* for the rest of its output after its end */
#define JITTER_PART 20

static void chore_next(struct chores *all);

/* ---- schedule ---- */

int64_t chore_every_ms(const struct chores *all, enum supervisor_chore_kind kind)
{
    const struct config_supervisor *c = supervisor_config(all->s);
    switch (kind) {
    case SUPERVISOR_CHORE_KIND_BACKUP:
        return c->backup->every_ms;
    case SUPERVISOR_CHORE_KIND_VERIFY:
        return c->chores->verify_every_ms;
    case SUPERVISOR_CHORE_KIND_MAINTAIN:
        return c->chores->maintain_every_ms;
    case SUPERVISOR_CHORE_KIND_CHECK:
        return c->chores->check_every_ms;
    case SUPERVISOR_CHORE_KIND_DOCTOR:
        return c->chores->doctor_every_ms;
    }
    return 0;
}

int64_t chore_due_at(const struct chores *all, enum supervisor_chore_kind kind)
{
    const struct config_supervisor_chores *c = supervisor_config(all->s)->chores;
    const struct chore_plan *p = &all->plans[kind];
    const int64_t every = chore_every_ms(all, kind), now = clock_wall_ms();
    if (every <= 0)
        return 0;
    /* Not before the system has settled; a time in the future is one of a clock that was wrong. */
    int64_t due = now + (all->s->begun_ms + c->settle_ms - clock_mono_ms());
    if (p->last_done_at > 0 && p->last_done_at <= now && p->last_done_at + every + p->jitter_ms > due)
        due = p->last_done_at + every + p->jitter_ms;
    if (p->last_failed_at > p->last_done_at && p->last_failed_at <= now &&
        p->last_failed_at + c->retry_ms > due)
        due = p->last_failed_at + c->retry_ms;
    return due > 0 ? due : 1;
}

static void on_tick(uv_timer_t *timer)
{
    struct chores *all = timer->data;
    const int64_t now = clock_wall_ms();
    for (size_t k = 0; k < CHORE_KINDS && !all->s->stopping; k++) {
        const int64_t due = chore_due_at(all, (enum supervisor_chore_kind)k);
        struct chore *c;
        struct error err = {0};
        if (due > 0 && due <= now &&
            chore_ask(all, (enum supervisor_chore_kind)k, NULL, false, "schedule", &c, &err) == VX11_ENOMEM)
            log_error("chores", "a chore cannot be begun", LOG_S("reason", err.text));
    }
}

/* ---- the queue ---- */

struct chore *chore_find(struct chores *all, const char *id)
{
    if (all->running && strcmp(all->running->id, id) == 0)
        return all->running;
    for (size_t i = 0; i < all->queued; i++)
        if (strcmp(all->queue[i]->id, id) == 0)
            return all->queue[i];
    return NULL;
}

static struct chore *chore_of_kind(struct chores *all, enum supervisor_chore_kind kind)
{
    if (all->running && all->running->kind == kind)
        return all->running;
    for (size_t i = 0; i < all->queued; i++)
        if (all->queue[i]->kind == kind)
            return all->queue[i];
    return NULL;
}

static void chore_free(struct chore *c)
{
    buf_free(&c->text);
    free(c);
}

int chore_ask(struct chores *all, enum supervisor_chore_kind kind, const char *name, bool full,
              const char *by, struct chore **out, struct error *err)
{
    struct chore *c = chore_of_kind(all, kind);
    *out = c;
    if (c && (strcmp(c->name, name ? name : "") != 0 || c->full != full))
        return error_set(err, VX11_EEXISTS, "another %s is %s: %s", supervisor_chore_kind_names[kind],
                         supervisor_chore_state_names[c->state], c->id);
    if (c)
        return 0;
    if (all->queued == CHORES_QUEUE)
        return error_set(err, VX11_EFULL, "too many chores wait");
    c = *out = calloc(1, sizeof *c);
    if (!c)
        return error_set(err, VX11_ENOMEM, "out of memory");
    c->all = all;
    c->kind = kind;
    c->state = SUPERVISOR_CHORE_STATE_QUEUED;
    c->full = full;
    c->exit_code = -1;
    c->asked_at = clock_wall_ms();
    ulid_make(c->id);
    snprintf(c->name, sizeof c->name, "%s", name ? name : "");
    snprintf(c->asked_by, sizeof c->asked_by, "%s", by);
    c->asked_by[utf8_valid_prefix(c->asked_by, strlen(c->asked_by))] = '\0';
    all->queue[all->queued++] = c;
    chore_next(all);
    return 0;
}

/* ---- its end ---- */

/* The last line that it said on stderr, without our name before it. */
static void reason_of_tail(struct chore *c)
{
    size_t len = c->tail_len;
    while (len > 0 && (c->tail[len - 1] == '\n' || c->tail[len - 1] == ' '))
        len--;
    size_t begin = len;
    while (begin > 0 && c->tail[begin - 1] != '\n')
        begin--;
    const char *line = c->tail + begin;
    size_t n = len - begin;
    if (n > 6 && strncmp(line, "vx11: ", 6) == 0) {
        line += 6;
        n -= 6;
    }
    snprintf(c->reason, sizeof c->reason, "%.*s", (int)(n < sizeof c->reason ? n : sizeof c->reason - 1),
             line);
    c->reason[utf8_valid_prefix(c->reason, strlen(c->reason))] = '\0';
}

static bool exit_is_done(const struct chore *c)
{
    /* A doctor or a check that found something did its work: the report says what. */
    const bool reports = c->kind == SUPERVISOR_CHORE_KIND_DOCTOR || c->kind == SUPERVISOR_CHORE_KIND_CHECK;
    return c->exit_code == 0 || (reports && (c->exit_code == 1 || c->exit_code == 2));
}

static void chore_judge(struct chore *c)
{
    if (c->cancelled) {
        c->state = SUPERVISOR_CHORE_STATE_CANCELLED;
        return;
    }
    c->state = !c->overdue && exit_is_done(c) ? SUPERVISOR_CHORE_STATE_DONE : SUPERVISOR_CHORE_STATE_FAILED;
    if (c->state == SUPERVISOR_CHORE_STATE_DONE || c->reason[0])
        return;
    if (c->overdue)
        snprintf(c->reason, sizeof c->reason, "it took longer than supervisor.chores.limit_ms and was ended");
    else
        reason_of_tail(c);
    if (!c->reason[0] && c->signal)
        snprintf(c->reason, sizeof c->reason, "it was ended by signal %d (%s)", c->signal,
                 strsignal(c->signal));
    else if (!c->reason[0])
        snprintf(c->reason, sizeof c->reason, "it ended with exit code %d and did not say why", c->exit_code);
}

static void chore_note(struct chore *c)
{
    struct error err = {0};
    const bool output = c->text.len > 0 && !c->too_much && utf8_valid(c->text.data, c->text.len);
    const struct store_value values[] = {
        STORE_T(c->id),
        STORE_T(supervisor_chore_kind_names[c->kind]),
        STORE_T(c->asked_by),
        STORE_I(c->asked_at),
        c->started_at > 0 ? STORE_I(c->started_at) : STORE_N,
        STORE_I(c->ended_at),
        STORE_T(supervisor_chore_state_names[c->state]),
        c->exit_code >= 0 ? STORE_I(c->exit_code) : STORE_N,
        c->reason[0] ? STORE_T(c->reason) : STORE_N,
        output ? store_text_len(c->text.data, c->text.len) : STORE_N,
    };
    if (store_exec(module_store(c->all->s->m),
                   "INSERT INTO chore (id, kind, asked_by, asked_at, started_at, ended_at, state, exit_code,"
                   " reason, output) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
                   values, COUNT_OF(values), NULL, &err) != 0)
        log_error("chores", "the end of a chore could not be recorded", LOG_S("id", c->id),
                  LOG_S("reason", err.text));
}

static void chore_tell(struct chore *c)
{
    struct chore_plan *p = &c->all->plans[c->kind];
    const char *kind = supervisor_chore_kind_names[c->kind];
    if (c->state == SUPERVISOR_CHORE_STATE_DONE) {
        p->last_done_at = c->ended_at;
        p->failing[0] = '\0';
        log_info("chores", "chore done", LOG_S("kind", kind), LOG_S("id", c->id),
                 LOG_I("duration_ms", c->ended_at - c->started_at));
    } else if (c->state == SUPERVISOR_CHORE_STATE_FAILED) {
        p->last_failed_at = c->ended_at;
        snprintf(p->failing, sizeof p->failing, "%s", c->reason);
        log_error("chores", "chore failed", LOG_S("kind", kind), LOG_S("id", c->id),
                  LOG_S("reason", c->reason));
        if (!c->all->s->stopping)
            module_alert(c->all->s->m, LINK_ALERT_SEVERITY_L3, "%s failed: %s", kind, c->reason);
    } else {
        log_info("chores", "chore cancelled", LOG_S("kind", kind), LOG_S("id", c->id));
    }
}

static void chore_end(struct chore *c)
{
    struct chores *all = c->all;
    c->ended_at = clock_wall_ms();
    chore_judge(c);
    chore_note(c);
    chore_tell(c);
    if (all->running == c)
        all->running = NULL;
    chore_free(c);
}

static void on_closed(uv_handle_t *handle)
{
    struct chore *c = handle->data;
    struct chores *all = c->all;
    all->s->open_handles--;
    if (--c->open > 0)
        return;
    chore_end(c);
    if (all->s->stopping)
        supervisor_child_gone(all->s);
    else
        chore_next(all);
}

static void pipe_close(uv_pipe_t *pipe, bool *open)
{
    if (*open)
        uv_close((uv_handle_t *)pipe, on_closed);
    *open = false;
}

static void chore_settle(struct chore *c)
{
    if (!c->exited || c->output_open || c->errors_open || !c->timer_open)
        return;
    c->timer_open = false;
    uv_close((uv_handle_t *)&c->timer, on_closed);
}

static void chore_kill(struct chore *c, int number)
{
    if (!c->exited)
        uv_process_kill(&c->process, number);
}

static void on_limit(uv_timer_t *timer)
{
    struct chore *c = timer->data;
    if (c->exited) { /* somebody else holds its pipes */
        pipe_close(&c->output, &c->output_open);
        pipe_close(&c->errors, &c->errors_open);
        chore_settle(c);
    } else if (c->cancelled || c->overdue) {
        chore_kill(c, SIGKILL);
    } else {
        c->overdue = true;
        chore_kill(c, SIGTERM);
        uv_timer_start(timer, on_limit, END_MS, 0);
    }
}

static void on_exit_(uv_process_t *process, int64_t status, int number)
{
    struct chore *c = process->data;
    c->exited = true;
    c->signal = number;
    c->exit_code = number ? -1 : (int)status;
    uv_close((uv_handle_t *)process, on_closed);
    uv_timer_start(&c->timer, on_limit, DRAIN_MS, 0);
    chore_settle(c);
}

/* ---- what it prints ---- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct chore *c = handle->data;
    (void)suggested;
    *buf = uv_buf_init(c->piece, sizeof c->piece);
}

static void on_output(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct chore *c = stream->data;
    if (n < 0) {
        pipe_close(&c->output, &c->output_open);
        chore_settle(c);
    } else if (n > 0 && (c->too_much || c->text.len + (size_t)n > CHORE_OUTPUT_MAX ||
                         buf_append(&c->text, buf->base, (size_t)n) != 0)) {
        c->too_much = true;
        buf_free(&c->text);
    }
}

static void on_errors(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct chore *c = stream->data;
    if (n < 0) {
        pipe_close(&c->errors, &c->errors_open);
        chore_settle(c);
        return;
    }
    const size_t len = (size_t)n < sizeof c->tail ? (size_t)n : sizeof c->tail;
    const size_t keep = c->tail_len + len > sizeof c->tail ? sizeof c->tail - len : c->tail_len;
    memmove(c->tail, c->tail + c->tail_len - keep, keep);
    memcpy(c->tail + keep, buf->base + (size_t)n - len, len);
    c->tail_len = keep + len;
}

/* ---- its process ---- */

static size_t chore_arguments(const struct chore *c, const char *exe, const char *parent, const char **out)
{
    size_t n = 0;
    out[n++] = exe;
    out[n++] = CHORE_COMMAND;
    out[n++] = parent;
    /* Maintenance keeps writers out for moments, which must not become long because its process waits for a
     * busy machine: it lowers the threads of its long readings itself. */
    out[n++] = c->kind == SUPERVISOR_CHORE_KIND_MAINTAIN ? CHORE_USUAL : CHORE_LOW;
    if (c->kind != SUPERVISOR_CHORE_KIND_DOCTOR)
        out[n++] = "db";
    out[n++] = supervisor_chore_kind_names[c->kind];
    if (c->kind == SUPERVISOR_CHORE_KIND_VERIFY)
        out[n++] = c->name[0] ? c->name : "--all";
    /* What was asked for by a person is kept among the ones that people make. */
    const bool scheduled = strcmp(c->asked_by, "schedule") == 0;
    if (c->kind == SUPERVISOR_CHORE_KIND_BACKUP)
        out[n++] = scheduled ? "--scheduled" : "--configured";
    if (c->kind == SUPERVISOR_CHORE_KIND_MAINTAIN || (c->kind == SUPERVISOR_CHORE_KIND_DOCTOR && scheduled))
        out[n++] = "--scheduled";
    if (c->full)
        out[n++] = "--compact";
    out[n++] = "--json";
    out[n] = NULL;
    return n;
}

static void handle_open(struct chore *c, uv_handle_t *handle)
{
    handle->data = c;
    c->open++;
    c->all->s->open_handles++;
}

static int chore_spawn(struct chore *c)
{
    uv_loop_t *loop = module_loop(c->all->s->m);
    char exe[4096], parent[24];
    const char *arguments[16];
    if (fs_self_exe(exe, sizeof exe) != 0)
        return UV_ENOENT;
    snprintf(parent, sizeof parent, "%d", (int)uv_os_getpid());
    chore_arguments(c, exe, parent, arguments);
    uv_timer_init(loop, &c->timer);
    uv_pipe_init(loop, &c->output, 0);
    uv_pipe_init(loop, &c->errors, 0);
    handle_open(c, (uv_handle_t *)&c->timer);
    handle_open(c, (uv_handle_t *)&c->output);
    handle_open(c, (uv_handle_t *)&c->errors);
    handle_open(c, (uv_handle_t *)&c->process);
    c->timer_open = c->output_open = c->errors_open = true;
    uv_stdio_container_t stdio[3] = {{.flags = UV_IGNORE},
                                     {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE},
                                     {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE}};
    stdio[1].data.stream = (uv_stream_t *)&c->output;
    stdio[2].data.stream = (uv_stream_t *)&c->errors;
    const uv_process_options_t options = {
        .exit_cb = on_exit_,
        .file = exe,
        .args = (char **)(uintptr_t)arguments,
        .stdio_count = 3,
        .stdio = stdio,
    };
    return uv_spawn(loop, &c->process, &options);
}

static void chore_run(struct chore *c)
{
    c->state = SUPERVISOR_CHORE_STATE_RUNNING;
    c->started_at = clock_wall_ms();
    int rc = chore_spawn(c);
    if (rc == 0) {
        log_info("chores", "chore begins", LOG_S("kind", supervisor_chore_kind_names[c->kind]),
                 LOG_S("id", c->id), LOG_S("asked_by", c->asked_by), LOG_I("pid", c->process.pid));
        uv_read_start((uv_stream_t *)&c->output, on_alloc, on_output);
        uv_read_start((uv_stream_t *)&c->errors, on_alloc, on_errors);
        uv_timer_start(&c->timer, on_limit, (uint64_t)supervisor_config(c->all->s)->chores->limit_ms, 0);
        return;
    }
    snprintf(c->reason, sizeof c->reason, "its process cannot be started: %s", uv_strerror(rc));
    if (c->open == 0) { /* not even the handles */
        chore_end(c);
        return;
    }
    c->exited = true;
    uv_close((uv_handle_t *)&c->process, on_closed);
    pipe_close(&c->output, &c->output_open);
    pipe_close(&c->errors, &c->errors_open);
    chore_settle(c);
}

static void chore_next(struct chores *all)
{
    while (!all->running && all->queued > 0 && !all->s->stopping) {
        struct chore *c = all->queue[0];
        memmove(all->queue, all->queue + 1, --all->queued * sizeof *all->queue);
        all->running = c;
        chore_run(c);
    }
}

void chore_cancel(struct chore *c)
{
    struct chores *all = c->all;
    c->cancelled = true;
    if (c == all->running) {
        chore_kill(c, SIGTERM);
        if (!c->exited)
            uv_timer_start(&c->timer, on_limit, END_MS, 0);
        return;
    }
    for (size_t i = 0; i < all->queued; i++)
        if (all->queue[i] == c) {
            memmove(all->queue + i, all->queue + i + 1, (--all->queued - i) * sizeof *all->queue);
            break;
        }
    chore_end(c);
}

/* ---- start and stop ---- */

struct plan_row {
    int64_t at;
    bool failed;
    char reason[CHORE_REASON_MAX];
};

static int take_plan_row(void *ctx, const struct store_row *row)
{
    struct plan_row *p = ctx;
    p->at = row_int(row, 0);
    p->failed = str_eq(row_text(row, 1), "failed");
    row_copy(row, 2, p->reason, sizeof p->reason);
    return 0;
}

static int plan_read(struct chores *all, size_t kind, struct error *err)
{
    struct chore_plan *p = &all->plans[kind];
    struct plan_row done = {0}, last = {0};
    const struct store_value value = STORE_T(supervisor_chore_kind_names[kind]);
    struct store *store = module_store(all->s->m);
    int rc = store_query(store,
                         "SELECT ended_at, state, reason FROM chore WHERE kind = ?1 AND state = 'done'"
                         " ORDER BY ended_at DESC LIMIT 1",
                         &value, 1, take_plan_row, &done, err);
    if (rc == 0)
        rc = store_query(store,
                         "SELECT ended_at, state, reason FROM chore WHERE kind = ?1 AND state <> 'cancelled'"
                         " ORDER BY ended_at DESC LIMIT 1",
                         &value, 1, take_plan_row, &last, err);
    uint64_t random = 0;
    random_bytes(&random, sizeof random);
    const int64_t every = chore_every_ms(all, (enum supervisor_chore_kind)kind);
    p->jitter_ms = every >= JITTER_PART ? (int64_t)(random % (uint64_t)(every / JITTER_PART)) : 0;
    p->last_done_at = done.at;
    p->last_failed_at = last.failed ? last.at : 0;
    snprintf(p->failing, sizeof p->failing, "%s", last.failed ? last.reason : "");
    return rc;
}

int chores_start(struct supervisor *s, struct error *err)
{
    struct chores *all = calloc(1, sizeof *all);
    if (!all)
        return error_set(err, VX11_ENOMEM, "out of memory");
    all->s = s;
    s->chores = all;
    int rc = 0;
    for (size_t k = 0; rc == 0 && k < CHORE_KINDS; k++)
        rc = plan_read(all, k, err);
    if (rc != 0)
        return rc;
    uv_timer_init(module_loop(s->m), &all->tick);
    all->tick.data = all;
    all->tick_open = true;
    s->open_handles++;
    uv_timer_start(&all->tick, on_tick, TICK_MS, TICK_MS);
    return 0;
}

static void on_tick_closed(uv_handle_t *handle)
{
    struct chores *all = handle->data;
    all->s->open_handles--;
    supervisor_child_gone(all->s);
}

void chores_stop(struct supervisor *s)
{
    struct chores *all = s->chores;
    if (!all)
        return;
    while (all->queued > 0)
        chore_cancel(all->queue[0]); // NOLINT(clang-analyzer-unix.Malloc): it takes it out of the queue
    if (all->running && !all->running->cancelled)
        chore_cancel(all->running);
    if (all->tick_open)
        uv_close((uv_handle_t *)&all->tick, on_tick_closed);
    all->tick_open = false;
}

void chores_free(struct supervisor *s)
{
    free(s->chores);
    s->chores = NULL;
}

void chores_health(const struct supervisor *s, struct health *h)
{
    char text[CHORE_REASON_MAX + 64];
    for (size_t k = 0; s->chores && k < CHORE_KINDS; k++) {
        const struct chore_plan *p = &s->chores->plans[k];
        if (!p->failing[0])
            continue;
        snprintf(text, sizeof text, "the last one failed: %s", p->failing);
        health_add(h, supervisor_chore_kind_names[k], 1, text);
    }
}
