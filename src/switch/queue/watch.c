/* Watch: requests that wait for a job's end, and streams that follow it. Whoever leaves takes nothing with
 * them: the job goes on. */
#include "switch/queue/queue_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"

static bool is_over(enum switch_job_state state)
{
    return state != SWITCH_JOB_STATE_QUEUED && state != SWITCH_JOB_STATE_RUNNING;
}

static void watch_free(struct watch *w)
{
    if (w->prev)
        w->prev->next = w->next;
    else
        w->q->watches = w->next;
    if (w->next)
        w->next->prev = w->prev;
    free(w);
}

/* Ends a waiting request with how far the job is. */
static void watch_answer(struct watch *w)
{
    struct request *r = w->r;
    struct job j;
    struct error err = {0};
    int rc = job_get(module_store(w->q->m), w->id, request_arena(r), &j, &err);
    watch_free(w);
    if (rc == 0)
        task_reply(r, &j);
    else
        queue_fail(r, &err);
}

static void on_cancel(struct request *r, void *ctx, int reason)
{
    struct watch *w = ctx;
    (void)reason;
    if (w->stream) {
        watch_free(w);
        request_stream_abort(r);
    } else {
        watch_answer(w); /* one who is still there learns the id */
    }
}

/* The job as it is now, as an event; false when the stream has ended. */
static bool watch_event(struct watch *w)
{
    struct request *r = w->r;
    struct arena *a = arena_create(0);
    struct buf text = BUF_INIT;
    struct job j;
    struct switch_job message;
    struct error err = {0};
    int rc = a ? job_get(module_store(w->q->m), w->id, a, &j, &err) : VX11_ENOMEM;
    bool over = rc != 0;
    if (rc == 0) {
        over = is_over(j.state);
        job_message(&j, a, job_is_theirs(&j, r), &message);
        rc = switch_job_serialize(&message, &text);
    }
    if (rc == 0)
        rc = request_stream_event(r, switch_job_state_names[j.state], NULL, text.data, text.len);
    buf_free(&text);
    arena_destroy(a);
    if (rc == 0 && !over)
        return true;
    watch_free(w);
    request_stream_end(r);
    return false;
}

void watch_tell(struct queue *q, const char *id)
{
    struct job j;
    bool read = false;
    for (struct watch *w = q->watches, *next; w; w = next) {
        struct error err = {0};
        next = w->next;
        if (strcmp(w->id, id) != 0)
            continue;
        if (w->stream) {
            watch_event(w);
            continue;
        }
        struct arena *a = arena_create(0);
        read = a && job_get(module_store(q->m), id, a, &j, &err) == 0;
        bool over = !read || is_over(j.state);
        arena_destroy(a);
        if (over)
            watch_answer(w);
    }
}

int watch_add(struct queue *q, struct request *r, const char *id, bool stream, int64_t wait_ms)
{
    struct watch *w = calloc(1, sizeof *w);
    if (!w)
        return VX11_ENOMEM;
    w->q = q;
    w->r = r;
    memcpy(w->id, id, sizeof w->id);
    w->stream = stream;
    w->until = wait_ms < 0 ? INT64_MAX : clock_mono_ms() + wait_ms;
    w->next = q->watches;
    if (w->next)
        w->next->prev = w;
    q->watches = w;
    request_on_cancel(r, on_cancel, w);
    if (!stream) {
        queue_wake(q);
        return 0;
    }
    if (request_stream_begin(r, 200, NULL) == 0) {
        watch_event(w);
        return 0;
    }
    watch_free(w);
    request_stream_abort(r);
    return 0;
}

int64_t watch_due(struct queue *q)
{
    int64_t now = clock_mono_ms(), next_due = INT64_MAX;
    for (struct watch *w = q->watches, *next; w; w = next) {
        next = w->next;
        if (w->until <= now)
            watch_answer(w);
        else if (w->until < next_due)
            next_due = w->until;
    }
    return next_due;
}

void watch_end_streams(struct queue *q)
{
    for (struct watch *w = q->watches, *next; w; w = next) {
        next = w->next;
        if (!w->stream)
            continue;
        struct request *r = w->r;
        watch_free(w);
        request_stream_end(r);
    }
}
