/* Jobs of the embedder: how they come, wait, and go back to the loop thread. */
#include "engine/embed_internal.h"

#include <stdlib.h>

#include "base/clock.h"

int32_t embed_input_max(const struct model *m)
{
    return m->context_length;
}

static void job_free(struct embed_job *job)
{
    for (size_t i = 0; i < job->count; i++)
        tokens_free(&job->inputs[i].tokens);
    free(job->inputs);
    free(job->vectors);
    free(job->texts);
    free(job->lengths);
    buf_free(&job->text);
    free(job);
}

/* ---- the embedder's life ---- */

struct embedder *embedder_create(const struct embedder_options *o)
{
    struct embedder *e = calloc(1, sizeof *e);
    if (!e)
        return NULL;
    e->options = *o;
    e->inbox_end = &e->inbox;
    e->outbox_end = &e->outbox;
    e->stats = (struct embed_stats){.queue_limit = o->queue_limit, .tokens_per_second = -1};
    pthread_mutex_init(&e->lock, NULL);
    pthread_cond_init(&e->work, NULL);
    return e;
}

void embedder_model(struct embedder *e, struct model *m)
{
    e->model = m;
}

void embedder_stop(struct embedder *e)
{
    pthread_mutex_lock(&e->lock);
    e->stop = true;
    atomic_store(&e->stopping, true);
    pthread_cond_signal(&e->work);
    pthread_mutex_unlock(&e->lock);
    if (e->running)
        pthread_join(e->thread, NULL);
    e->running = false;
}

void embedder_destroy(struct embedder *e)
{
    if (!e)
        return;
    pthread_cond_destroy(&e->work);
    pthread_mutex_destroy(&e->lock);
    free(e);
}

/* ---- in ---- */

static struct embed_job *job_create(const struct embed_job_options *o, embed_fn fn, void *ctx)
{
    struct embed_job *job = calloc(1, sizeof *job);
    if (!job)
        return NULL;
    *job = (struct embed_job){
        .fn = fn, .ctx = ctx, .dimensions = o->dimensions, .priority = o->priority, .format = o->format};
    job->inputs = calloc(o->count, sizeof *job->inputs);
    job->texts = calloc(o->count, sizeof *job->texts);
    job->lengths = calloc(o->count, sizeof *job->lengths);
    if (!job->inputs || !job->texts || !job->lengths) {
        job_free(job);
        return NULL;
    }
    job->count = o->count;
    job->submitted_ns = clock_mono_ns();
    return job;
}

static void inputs_take(struct embed_job *job, struct embed_input *inputs)
{
    for (size_t i = 0; i < job->count; i++) {
        job->inputs[i] = inputs[i];
        inputs[i].tokens = (struct tokens)TOKENS_INIT;
    }
}

int embed_submit(struct embedder *e, const struct embed_job_options *o, embed_fn fn, void *ctx,
                 struct embed_job **out)
{
    struct embed_job *job = job_create(o, fn, ctx);
    if (!job)
        return VX11_ENOMEM;
    const int32_t all = e->model->can.embedding_length;
    if (job->dimensions <= 0 || job->dimensions > all)
        job->dimensions = all;
    pthread_mutex_lock(&e->lock);
    int rc = e->stop ? VX11_ECLOSED : e->queued > e->options.queue_limit ? VX11_EFULL : 0;
    if (rc == 0 && !e->running) {
        e->running = pthread_create(&e->thread, NULL, embed_thread, e) == 0;
        rc = e->running ? 0 : VX11_ENOMEM;
    }
    if (rc == 0) {
        inputs_take(job, o->inputs);
        *e->inbox_end = job;
        e->inbox_end = &job->next;
        e->queued++;
        pthread_cond_signal(&e->work);
    }
    pthread_mutex_unlock(&e->lock);
    if (rc != 0)
        job_free(job);
    else if (out)
        *out = job;
    return rc;
}

void embed_cancel(struct embed_job *job)
{
    atomic_store(&job->cancelled, true);
}

/* ---- out ---- */

void embed_job_finish(struct embedder *e, struct embed_job *job)
{
    job->next = NULL;
    job->ended_ns = clock_mono_ns();
    pthread_mutex_lock(&e->lock);
    *e->outbox_end = job;
    e->outbox_end = &job->next;
    e->queued--;
    e->stats.jobs++;
    pthread_mutex_unlock(&e->lock);
    e->options.wake(e->options.ctx);
}

static void job_tell(struct embed_job *job)
{
    const bool complete = job->ended == job->count && job->error.code == 0;
    const uint64_t began = job->started_ns ? job->started_ns : job->ended_ns;
    const struct embed_result result = {
        .error = job->error.code != 0 ? &job->error : NULL,
        .error_input = job->error_input,
        .cancelled = !complete && job->error.code == 0,
        .vectors = job->vectors,
        .inputs = job->count,
        .dimensions = job->dimensions,
        .texts = job->format == EMBED_NUMBERS_ONLY ? NULL : job->texts,
        .lengths = job->lengths,
        .tokens = job->tokens,
        .queue_ms = (double)(began - job->submitted_ns) / 1e6,
        .compute_ms = (double)(job->ended_ns - began) / 1e6,
    };
    job->fn(job, job->ctx, &result);
    job_free(job);
}

void embed_dispatch(struct embedder *e)
{
    pthread_mutex_lock(&e->lock);
    struct embed_job *job = e->outbox, *next;
    e->outbox = NULL;
    e->outbox_end = &e->outbox;
    pthread_mutex_unlock(&e->lock);
    for (; job; job = next) {
        next = job->next;
        job_tell(job);
    }
}

/* ---- what is known ---- */

void embed_stats(struct embedder *e, struct embed_stats *out)
{
    pthread_mutex_lock(&e->lock);
    *out = e->stats;
    out->queued = e->queued;
    pthread_mutex_unlock(&e->lock);
}

int64_t embed_retry_ms(struct embedder *e)
{
    pthread_mutex_lock(&e->lock);
    const double per_token = e->stats.tokens_per_second > 0 ? 1 / e->stats.tokens_per_second : 0;
    const double per_job =
        e->stats.jobs > 0 ? (double)e->stats.tokens / (double)e->stats.jobs * per_token * 1000 : 0;
    pthread_mutex_unlock(&e->lock);
    return per_job > 1000 ? (int64_t)per_job : 1000;
}
