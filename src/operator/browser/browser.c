/* The set of tasks: those that wait, in the order in which they came, and those that run, one in each slot.
 */
#include "operator/browser/browser.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"
#include "operator/browser/browser_internal.h"
#include "operator/operator_internal.h"
#include "operator/samples/samples.h"

#define TIDY_MS 3600000

/* ---- tasks ---- */

struct task *browser_find(struct browser *b, const char *id)
{
    struct task *t = b->tasks;
    while (t && strcmp(t->api.id, id) != 0)
        t = t->next;
    return t;
}

void task_unlink(struct task *t)
{
    for (struct task **at = &t->all->tasks; *at; at = &(*at)->next)
        if (*at == t) {
            *at = t->next;
            return;
        }
}

static void watchers_end(struct task *t)
{
    while (t->watchers) {
        struct watcher *w = t->watchers;
        struct request *r = w->request;
        t->watchers = w->next;
        free(w);
        request_stream_end(r);
    }
}

void task_free(struct task *t)
{
    watchers_end(t);
    free(t->refusals);
    arena_destroy(t->arena);
    free(t);
}

void task_show(struct task *t, struct operator_browser_task *out)
{
    *out = t->api;
    out->has_queue_position = t->api.status == OPERATOR_BROWSER_STATUS_PENDING;
    out->queue_position = 0;
    for (const struct task *other = t->all->tasks; other && other != t && out->has_queue_position;
         other = other->next)
        out->queue_position += other->api.status == OPERATOR_BROWSER_STATUS_PENDING;
    if (out->has_started_at) {
        out->has_duration_ms = true;
        out->duration_ms = (double)((out->has_ended_at ? out->ended_at : clock_wall_ms()) - out->started_at);
    }
}

/* Each event says all: one that a slow reader misses is made good by the next. */
void task_tell(struct task *t)
{
    struct operator_browser_task show;
    struct buf text = BUF_INIT;
    if (!t->watchers)
        return;
    task_show(t, &show);
    if (operator_browser_task_serialize(&show, &text) == 0)
        for (struct watcher *w = t->watchers; w; w = w->next)
            if (t->ended || request_stream_queued(w->request) < 65536)
                (void)request_stream_event(w->request, "task", NULL, text.data, text.len);
    buf_free(&text);
}

/* ---- slots ---- */

static void browser_over(struct browser *b);

void slot_free(struct slot *s)
{
    struct browser *b = s->all;
    s->ending = false;
    if (b->closing) {
        browser_over(b);
        return;
    }
    if (s->sidecar)
        sidecar_idle(s->sidecar, browser_config(b)->idle_ms);
    browser_schedule(b);
}

static struct task *next_pending(struct browser *b)
{
    struct task *t = b->tasks;
    while (t && t->api.status != OPERATOR_BROWSER_STATUS_PENDING)
        t = t->next;
    return t;
}

/* One whose sidecar is there already comes first. */
static struct slot *next_slot(struct browser *b)
{
    struct slot *cold = NULL;
    for (size_t i = 0; i < b->slot_count; i++) {
        struct slot *s = &b->slots[i];
        if (s->task || s->ending)
            continue;
        if (s->sidecar && sidecar_pid(s->sidecar) > 0)
            return s;
        if (!cold)
            cold = s;
    }
    return cold;
}

void browser_schedule(struct browser *b)
{
    struct task *t;
    struct slot *s;
    if (b->scheduling || b->closing)
        return;
    b->scheduling = true;
    while ((t = next_pending(b)) != NULL && (s = next_slot(b)) != NULL)
        task_run(t, s);
    for (t = b->tasks; t; t = t->next)
        if (t->api.status == OPERATOR_BROWSER_STATUS_PENDING)
            task_tell(t); /* its place has changed */
    b->scheduling = false;
}

/* The map shows one node for all of them: the first that runs. */
static void map_tell(struct browser *b, const char *reason)
{
    const struct operator_ *o = module_context(b->module);
    pid_t pid = 0;
    for (size_t i = 0; i < b->slot_count && pid == 0; i++)
        pid = b->slots[i].sidecar ? sidecar_pid(b->slots[i].sidecar) : 0;
    if (o && o->samples && !b->closing)
        samples_sidecar(o->samples, "playwright", pid, pid > 0 ? NULL : reason);
}

static void on_started(void *ctx, int port)
{
    struct slot *s = ctx;
    if (egress_policy_own(s->all->policy, port) != 0)
        log_warn("browser", "the sidecar's port could not be kept from its pages", LOG_I("port", port));
    map_tell(s->all, NULL);
}

static void on_ended(void *ctx, const char *reason)
{
    map_tell(((struct slot *)ctx)->all, reason);
}

static void on_crashed(void *ctx, const char *reason)
{
    struct slot *s = ctx;
    if (s->task)
        task_end(s->task, OPERATOR_BROWSER_STATUS_ERROR, "browser_crashed", reason);
}

static void on_refusal(void *ctx, const struct egress_refusal *refusal)
{
    struct browser *b = ctx;
    for (size_t i = 0; i < b->slot_count; i++) {
        struct task *t = b->slots[i].task;
        if (t && t->refusals && strcmp(b->slots[i].name, refusal->user) == 0 &&
            t->refusal_count < REFUSALS_MOST)
            t->refusals[t->refusal_count++] = *refusal;
    }
}

/* ---- asking ---- */

static int refuse(struct browser_refusal *why, int status, const char *code, const char *text)
{
    *why = (struct browser_refusal){.status = status, .code = code};
    (void)snprintf(why->text, sizeof why->text, "%s", text);
    why->text[utf8_valid_prefix(why->text, strlen(why->text))] = '\0';
    return 1;
}

static int earlier(struct browser *b, const struct browser_wish *w, const struct buf *request, char *id,
                   struct browser_refusal *why)
{
    struct buf before = BUF_INIT;
    struct error err = {0};
    int rc = task_row_by_key(b, w->by->id, w->key, id, &before, &err);
    if (rc == 0 && !(before.len == request->len && memcmp(before.data, request->data, before.len) == 0))
        rc = refuse(why, 409, "idempotency_key_reused",
                    "the Idempotency-Key was used for another browser task");
    else if (rc != 0 && rc != VX11_ENOT_FOUND)
        rc = refuse(why, 500, "store_failed", err.text);
    buf_free(&before);
    return rc;
}

static int judge(struct browser *b, const struct operator_browser_request *q, struct browser_refusal *why)
{
    struct error err = {0};
    struct egress_verdict v;
    struct programs *programs = malloc(sizeof *programs);
    int64_t pending = 0;
    int rc = programs ? browser_available(b, programs, &err) : error_set(&err, VX11_ENOMEM, "out of memory");
    free(programs);
    if (rc != 0)
        return refuse(why, 503, "browser_unavailable", err.text);
    if (q->session_id && !ulid_valid(q->session_id))
        return refuse(why, 422, "invalid_session_id", "session_id is no id of a session");
    if (!egress_url_check(b->policy, q->url, false, NULL, &v))
        return refuse(why, 403, "url_refused", v.text);
    for (size_t i = 0; i < q->actions_count; i++)
        if (q->actions[i].do_ == OPERATOR_BROWSER_ACTION_DO_NAVIGATE && q->actions[i].url &&
            !egress_url_check(b->policy, q->actions[i].url, false, NULL, &v))
            return refuse(why, 403, "url_refused", v.text);
    for (const struct task *t = b->tasks; t; t = t->next)
        pending += t->api.status == OPERATOR_BROWSER_STATUS_PENDING;
    if (pending >= browser_config(b)->max_pending && !(pending == 0 && next_slot(b)))
        return refuse(why, 429, "browser_queue_full",
                      "as many browser tasks wait as may (operator.browser.max_pending)");
    return 0;
}

static struct task *task_make(struct browser *b, const struct browser_wish *w, const struct buf *request)
{
    struct task *t = calloc(1, sizeof *t);
    struct contract_error bad;
    char id[ULID_LEN + 1];
    if (!t || !(t->arena = arena_create(0)) ||
        operator_browser_request_parse(t->arena, request->data, request->len, &t->request, &bad) != 0) {
        if (t)
            arena_destroy(t->arena);
        free(t);
        return NULL;
    }
    const char *own = arena_strdup(t->arena, ulid_make(id));
    t->all = b;
    t->done = w->done;
    t->done_ctx = w->ctx;
    if (w->by)
        (void)snprintf(t->principal_id, sizeof t->principal_id, "%s", w->by->id);
    t->api = (struct operator_browser_task){
        .id = own,
        .task_id = own,
        .session_id = t->request.session_id,
        .principal = w->by ? arena_strdup(t->arena, w->by->name) : NULL,
        .url = t->request.url,
        .status = OPERATOR_BROWSER_STATUS_PENDING,
        .mode = browser_mode(b),
        .actions = t->request.actions,
        .actions_count = t->request.actions_count,
        .steps = arena_array(t->arena, t->request.actions_count + 1, sizeof *t->api.steps),
        .created_at = clock_wall_ms(),
        .timeout_ms = t->request.has_timeout_ms ? t->request.timeout_ms : browser_config(b)->timeout_ms,
    };
    t->found.screenshots = arena_array(t->arena, SHOTS_MOST, sizeof *t->found.screenshots);
    if (!own || !t->api.steps || !t->found.screenshots) {
        arena_destroy(t->arena);
        free(t);
        return NULL;
    }
    return t;
}

static int ask(struct browser *b, const struct browser_wish *w, const struct buf *request, char *id,
               struct browser_refusal *why)
{
    struct error err = {0};
    if (w->key && w->by) {
        int rc = earlier(b, w, request, id, why);
        if (rc != VX11_ENOT_FOUND)
            return rc;
    }
    if (judge(b, w->request, why) != 0)
        return 1;
    struct task *t = task_make(b, w, request);
    if (!t)
        return refuse(why, 500, "out_of_memory", "out of memory");
    if (task_row_add(t, w->by ? w->key : NULL, &err) != 0) {
        task_free(t);
        return refuse(why, 500, "store_failed", err.text);
    }
    struct task **end = &b->tasks;
    while (*end)
        end = &(*end)->next;
    *end = t;
    memcpy(id, t->api.id, ULID_LEN + 1);
    browser_schedule(b);
    return 0;
}

int browser_ask(struct browser *b, const struct browser_wish *w, char id[ULID_LEN + 1],
                struct browser_refusal *why)
{
    struct buf request = BUF_INIT;
    int rc = operator_browser_request_serialize(w->request, &request) == 0
                 ? ask(b, w, &request, id, why)
                 : refuse(why, 500, "out_of_memory", "out of memory");
    buf_free(&request);
    return rc;
}

void browser_forget(struct browser *b, const char *id)
{
    struct task *t = browser_find(b, id);
    if (t)
        t->done = NULL;
}

int browser_cancel(struct browser *b, const char *id, struct error *err)
{
    struct task *t = browser_find(b, id);
    if (t) {
        task_end(t, OPERATOR_BROWSER_STATUS_CANCELLED, "cancelled", "cancelled");
        return 0;
    }
    struct arena *a = arena_create(0);
    struct operator_browser_task row;
    int rc = a ? task_row_get(b, id, a, &row, err) : error_set(err, VX11_ENOMEM, "out of memory");
    arena_destroy(a);
    return rc != 0 ? rc : error_set(err, VX11_EBUSY, "the browser task %s has ended", id);
}

int browser_get(struct browser *b, const char *id, struct arena *a, struct operator_browser_task *out,
                struct error *err)
{
    struct task *t = browser_find(b, id);
    if (!t)
        return task_row_get(b, id, a, out, err);
    task_show(t, out);
    return 0;
}

/* ---- life ---- */

void browser_end_streams(struct browser *b)
{
    for (struct task *t = b->tasks; t; t = t->next)
        watchers_end(t);
}

void browser_health(struct browser *b, struct health *h)
{
    struct error err = {0};
    struct programs *programs = malloc(sizeof *programs);
    /* It is not needed for the rest: where it is missing, that is said, and nothing is ill. */
    if (programs && browser_available(b, programs, &err) == 0)
        health_add(h, "browser", 0, NULL);
    else
        health_add(h, "browser", 0, err.text);
    free(programs);
}

static void on_tidy(uv_timer_t *timer)
{
    shots_tidy(timer->data, false);
}

static int slots_make(struct browser *b, struct error *err)
{
    b->slot_count = (size_t)browser_config(b)->max_running;
    if (b->slot_count > SLOTS_MOST)
        b->slot_count = SLOTS_MOST;
    for (size_t i = 0; i < b->slot_count; i++) {
        struct slot *s = &b->slots[i];
        s->all = b;
        (void)snprintf(s->name, sizeof s->name, "sidecar-%zu", i);
        if (!browser_has_sidecars(b))
            continue;
        const struct sidecar_options o = {.loop = b->loop,
                                          .folder = b->folder,
                                          .number = (unsigned)i,
                                          .settings = browser_sidecar_settings,
                                          .started = on_started,
                                          .crashed = on_crashed,
                                          .ended = on_ended,
                                          .ctx = s};
        int rc = sidecar_create(&o, &s->sidecar, err);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static int policy_make(struct browser *b, struct error *err)
{
    const struct config_config *c = module_config(b->module)->values;
    const int own[] = {(int)c->link->port, (int)c->link->page_port, (int)c->switch_->port,
                       (int)c->hermes->port, (int)c->operator_->port};
    const struct config_operator_browser *o = browser_config(b);
    int rc = egress_policy_create((const char *const *)o->allow, o->allow_count, own, COUNT_OF(own),
                                  &b->policy, err);
    return rc == 0 ? 0 : error_prefix(err, rc, "operator.browser.allow");
}

static int parts_make(struct browser *b, struct error *err)
{
    int rc = browser_configure(b, err);
    if (rc == 0)
        rc = policy_make(b, err);
    if (rc == 0)
        rc = fs_path(b->folder, sizeof b->folder, module_home(b->module), "browser") == 0
                 ? fs_mkdirs(b->folder, 0700, err)
                 : error_set(err, VX11_ETOO_LARGE, "the path of VX11's home is too long");
    if (rc == 0)
        rc = versions_create(b->loop, &b->versions, err);
    if (rc == 0 && b->kind == BROWSER_LOCAL) {
        const struct egress_options o = {
            .loop = b->loop, .policy = b->policy, .on_refusal = on_refusal, .ctx = b};
        rc = egress_create(&o, &b->egress, err);
    }
    if (rc == 0)
        rc = slots_make(b, err);
    return rc == 0 ? task_rows_recover(b, "operator ended while it ran, or before it began", err) : rc;
}

int browser_create(struct module *m, struct browser **out, struct error *err)
{
    struct browser *b = calloc(1, sizeof *b);
    if (!b)
        return error_set(err, VX11_ENOMEM, "out of memory");
    b->module = m;
    b->loop = module_loop(m);
    b->store = module_store(m);
    int rc = parts_make(b, err);
    if (rc == 0 && !(b->tidy = malloc(sizeof *b->tidy)))
        rc = error_set(err, VX11_ENOMEM, "out of memory");
    if (rc != 0) { /* the process ends: handles that are open go with it */
        egress_policy_free(b->policy);
        free(b);
        return rc;
    }
    uv_timer_init(b->loop, b->tidy);
    b->tidy->data = b;
    uv_timer_start(b->tidy, on_tidy, TIDY_MS, TIDY_MS);
    uv_unref((uv_handle_t *)b->tidy);
    shots_tidy(b, true);
    *out = b;
    return 0;
}

static void tidy_closed(uv_handle_t *h)
{
    free(h);
}

static void browser_over(struct browser *b)
{
    if (--b->parts > 0)
        return;
    void (*closed)(void *ctx) = b->closed;
    void *ctx = b->closed_ctx;
    if (b->versions)
        versions_close(b->versions);
    egress_policy_free(b->policy);
    free(b);
    closed(ctx);
}

static void part_over(void *ctx)
{
    browser_over(ctx);
}

void browser_close(struct browser *b, void (*done)(void *ctx), void *ctx)
{
    b->closing = true;
    b->closed = done;
    b->closed_ctx = ctx;
    b->parts = 1;
    for (size_t i = 0; i < b->slot_count; i++)
        b->parts += (b->slots[i].task != NULL || b->slots[i].ending) + (b->slots[i].sidecar != NULL);
    b->parts += b->egress != NULL;
    while (b->tasks)
        task_end(b->tasks, OPERATOR_BROWSER_STATUS_ERROR, "restarted", "operator was stopped");
    for (size_t i = 0; i < b->slot_count; i++)
        if (b->slots[i].sidecar)
            sidecar_close(b->slots[i].sidecar, part_over, b);
    if (b->egress)
        egress_close(b->egress, part_over, b);
    uv_close((uv_handle_t *)b->tidy, tidy_closed);
    browser_over(b);
}
