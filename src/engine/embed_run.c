/* The embedder's thread: an input of each job in turn, a batch, a turn at the cores, the vectors.
 *
 * libllama makes room for the logits of every token of a batch here, though nobody reads them: a batch is
 * kept so small that they stay within LOGITS_BYTES, unless one input alone is longer. While the decode thread
 * has work too, a batch takes about GAP_SECONDS by the speed measured so far, so that what streams goes on
 * streaming. */
#include "engine/embed_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "engine/fit.h"

#define LOGITS_BYTES (64ull << 20)
#define GAP_SECONDS  0.1
#define ACTIVE_NS    250000000ull /* the decode thread is taken to be busy that long after its last step */

enum { BATCH_LEAST = 32, BATCH_MOST = 512, BATCH_UNMEASURED = 64 };

static bool abort_now(void *embedder)
{
    struct embedder *e = embedder;
    if (e->aborting)
        return true;
    bool wanted = false;
    for (int i = 0; i < e->sequence_count; i++) {
        const struct embed_sequence *s = &e->sequences[i];
        wanted |=
            s->job && s->batch_count > 0 && !atomic_load_explicit(&s->job->cancelled, memory_order_relaxed);
    }
    if (wanted && !atomic_load_explicit(&e->stopping, memory_order_relaxed))
        return false;
    model_log_quiet(true); /* libllama calls an abort an error */
    e->aborting = true;
    return true;
}

/* ---- the context ---- */

static void context_free(struct embedder *e)
{
    if (!e->context)
        return;
    if (!e->model->context)
        threads_stop(&e->model->threads);
    llama_free(e->context);
    llama_batch_free(e->batch);
    e->context = NULL;
    pthread_mutex_lock(&e->lock);
    e->stats.context_bytes = 0;
    pthread_mutex_unlock(&e->lock);
}

static int32_t capacity_least(const struct model *m)
{
    const uint64_t fit = LOGITS_BYTES / ((uint64_t)m->vocabulary * sizeof(float));
    const int32_t n = fit > BATCH_MOST ? BATCH_MOST : fit < BATCH_LEAST ? BATCH_LEAST : (int32_t)fit;
    return n < m->context_length ? n : m->context_length;
}

/* What the context takes: the memory of keys and values, and the rows of logits and vectors, which are there
 * twice while a batch is computed. Its other intermediate values are smaller. */
static uint64_t context_bytes(const struct embedder *e, int32_t capacity, int32_t cells)
{
    const struct model *m = e->model;
    const int32_t heads = llama_model_n_head(m->llama);
    const uint64_t width = (uint64_t)llama_model_n_embd(m->llama);
    const uint64_t kv_width =
        heads > 0 ? width / (uint64_t)heads * (uint64_t)llama_model_n_head_kv(m->llama) : width;
    const uint64_t row = ((uint64_t)m->vocabulary + (uint64_t)m->can.embedding_length) * sizeof(float);
    const uint64_t kv = m->can.generates ? (uint64_t)cells * (uint64_t)llama_model_n_layer(m->llama) *
                                               kv_width * 2 * ggml_type_size(GGML_TYPE_F16)
                                         : 0;
    return kv + (uint64_t)capacity * row * 2;
}

static struct llama_context_params context_params(const struct embedder *e, int32_t capacity, int32_t cells)
{
    const struct model *m = e->model;
    struct llama_context_params p = llama_context_default_params();
    p.n_ctx = (uint32_t)cells;
    p.n_batch = p.n_ubatch = (uint32_t)capacity;
    p.n_seq_max = (uint32_t)e->sequence_count;
    p.n_threads = p.n_threads_batch = m->threads_most;
    p.embeddings = true;
    p.pooling_type = m->can.pooling;
    p.kv_unified = true;
    p.no_perf = true;
    return p;
}

static int context_make(struct embedder *e, int32_t capacity, struct error *err)
{
    struct model *m = e->model;
    context_free(e);
    e->whole = !(m->can.causal && m->can.pooling == LLAMA_POOLING_TYPE_LAST && m->can.generates);
    const int32_t cells = e->whole ? capacity : m->context_length;
    e->sequence_count = capacity < EMBED_SEQUENCES ? capacity : EMBED_SEQUENCES;
    if (m->can.generates && !m->can_trim)
        e->sequence_count = 1; /* each sequence of a recurrent model costs a whole state */
    const uint64_t bytes = context_bytes(e, capacity, cells);
    struct fit_room room;
    fit_room_read(0, &room);
    if (room.known && bytes > room.free_bytes)
        return error_set(err, VX11_ENOMEM,
                         "the context for embeddings of %d tokens needs %llu MiB, and %llu MiB %s",
                         (int)capacity, (unsigned long long)(bytes >> 20),
                         (unsigned long long)(room.free_bytes >> 20), room.bound);
    e->batch = llama_batch_init(capacity, 0, 1);
    if (!e->batch.token)
        return error_set(err, VX11_ENOMEM, "out of memory");
    model_log_quiet(true); /* it warns that the context is not as long as the model was trained for */
    e->context = llama_init_from_model(m->llama, context_params(e, capacity, cells));
    model_log_quiet(false);
    if (!e->context) {
        llama_batch_free(e->batch);
        return error_set(
            err, VX11_ENOMEM,
            "the context for embeddings (about %llu MiB for inputs of %d tokens) could not be made",
            (unsigned long long)(bytes >> 20), (int)capacity);
    }
    e->capacity = capacity;
    e->cells = cells;
    llama_set_abort_callback(e->context, abort_now, e);
    if (!m->context)
        threads_start(&m->threads, e->context, m->threads_most, m->threads_fixed, false);
    pthread_mutex_lock(&e->lock);
    e->stats.context_bytes = bytes;
    pthread_mutex_unlock(&e->lock);
    log_info("embed", "context made", LOG_I("batch", capacity), LOG_I("cells", cells),
             LOG_I("sequences", e->sequence_count), LOG_I("bytes", (int64_t)bytes));
    return 0;
}

/* So that `tokens` go into one batch. */
static int context_grow(struct embedder *e, int32_t tokens, struct error *err)
{
    int32_t capacity = e->capacity;
    while (capacity < tokens)
        capacity = capacity <= e->model->context_length / 2 ? capacity * 2 : e->model->context_length;
    return context_make(e, capacity, err);
}

/* ---- jobs ---- */

static void sequence_end(struct embedder *e, struct embed_sequence *s)
{
    llama_memory_t memory = e->context ? llama_get_memory(e->context) : NULL;
    if (memory)
        (void)llama_memory_seq_rm(memory, (llama_seq_id)(s - e->sequences), -1, -1);
    *s = (struct embed_sequence){0};
}

static void job_text(struct embed_job *job)
{
    size_t *at = job->lengths;
    const size_t n = (size_t)job->dimensions;
    for (size_t i = 0; i < job->count; i++) {
        const size_t before = job->text.len;
        (void)(job->format == EMBED_BASE64 ? embed_put_base64(&job->text, job->vectors + i * n, n)
                                           : embed_put_floats(&job->text, job->vectors + i * n, n));
        at[i] = job->text.len - before;
    }
    if (job->text.failed) {
        error_set(&job->error, VX11_ENOMEM, "out of memory while writing the vectors");
        return;
    }
    const char *text = job->text.data;
    for (size_t i = 0; i < job->count; text += at[i++])
        job->texts[i] = text;
}

static void job_end(struct embedder *e, struct embed_job *job)
{
    for (int i = 0; i < EMBED_SEQUENCES; i++) {
        if (e->sequences[i].job == job)
            sequence_end(e, &e->sequences[i]);
    }
    if (job->error.code == 0 && job->ended == job->count && job->format != EMBED_NUMBERS_ONLY)
        job_text(job);
    embed_job_finish(e, job);
}

/* Ends what is complete, has failed or was cancelled; with `all`, everything. */
static void reap(struct embedder *e, bool all)
{
    struct embed_job **at = &e->jobs;
    while (*at) {
        struct embed_job *job = *at;
        if (!all && job->error.code == 0 && job->ended < job->count && !atomic_load(&job->cancelled)) {
            at = &job->next;
            continue;
        }
        *at = job->next;
        job_end(e, job);
    }
}

/* ---- from texts to tokens ---- */

static int input_fail(struct embed_job *job, size_t i, int code, const char *text, int64_t has, int64_t most)
{
    job->error_input = i;
    return error_set(&job->error, code, "input %zu %s: it has%s %lld tokens, and the most is %lld", i, text,
                     code == VX11_ETOO_LARGE && job->inputs[i].tokens.len == 0 ? " at least" : "",
                     (long long)has, (long long)most);
}

static int input_prepare(const struct model *m, struct embed_job *job, size_t i)
{
    struct embed_input *in = &job->inputs[i];
    const int64_t most = embed_input_max(m);
    const int64_t least = in->text && m->longest_piece > 0 ? (int64_t)(in->len / m->longest_piece) : 0;
    if (least > most)
        return input_fail(job, i, VX11_ETOO_LARGE, "is too long", least, most);
    if (in->text && tokenize(m, in->text, in->len, true, true, &in->tokens, &job->error) != 0)
        return job->error.code;
    in->text = NULL;
    if (in->tokens.len == 0)
        return input_fail(job, i, VX11_EINVALID, "is empty", 0, most);
    if ((int64_t)in->tokens.len > most)
        return input_fail(job, i, VX11_ETOO_LARGE, "is too long", (int64_t)in->tokens.len, most);
    return 0;
}

static void job_prepare(struct embedder *e, struct embed_job *job)
{
    job->prepared = true;
    for (size_t i = 0; i < job->count && job->error.code == 0; i++) {
        if (atomic_load_explicit(&job->cancelled, memory_order_relaxed) ||
            input_prepare(e->model, job, i) != 0)
            return;
        job->tokens += (int64_t)job->inputs[i].tokens.len;
    }
    if (job->tokens <= EMBED_TOKENS_MAX)
        return;
    job->error_input = SIZE_MAX;
    error_set(&job->error, VX11_ETOO_LARGE, "the inputs have %lld tokens together, and the most is %d",
              (long long)job->tokens, EMBED_TOKENS_MAX);
}

/* ---- the batch ---- */

static int32_t batch_budget(struct embedder *e)
{
    if (!turn_active(e->options.turn, TURN_DECODE, ACTIVE_NS))
        return e->capacity;
    const double tokens = e->seconds_per_token > 0 ? GAP_SECONDS / e->seconds_per_token : BATCH_UNMEASURED;
    if (tokens >= e->capacity)
        return e->capacity;
    return tokens < BATCH_LEAST ? BATCH_LEAST : (int32_t)tokens;
}

static void batch_add(struct embedder *e, struct embed_sequence *s, int32_t n)
{
    struct llama_batch *b = &e->batch;
    const struct tokens *input = &s->job->inputs[s->input].tokens;
    for (int32_t k = 0; k < n; k++) {
        const int32_t i = b->n_tokens++;
        b->token[i] = input->data[s->past + k];
        b->pos[i] = s->past + k;
        b->n_seq_id[i] = 1;
        b->seq_id[i][0] = (llama_seq_id)(s - e->sequences);
        b->logits[i] = true;
    }
    s->batch_count = n;
}

static int32_t sequence_length(const struct embed_sequence *s)
{
    return s->job ? (int32_t)s->job->inputs[s->input].tokens.len : 0;
}

static struct embed_sequence *sequence_free(struct embedder *e)
{
    for (int i = 0; i < e->sequence_count; i++) {
        if (!e->sequences[i].job)
            return &e->sequences[i];
    }
    return NULL;
}

static struct embed_job *job_next(struct embedder *e)
{
    struct embed_job *next = NULL;
    for (struct embed_job *job = e->jobs; job; job = job->next) {
        if (!job->prepared)
            job_prepare(e, job);
        if (job->started < job->count && job->error.code == 0 && !atomic_load(&job->cancelled) &&
            (!next || job->priority < next->priority))
            next = job;
    }
    return next;
}

/* The others come first before it gives its next input. */
static void job_to_end(struct embedder *e, struct embed_job *job)
{
    struct embed_job **at = &e->jobs;
    while (*at != job)
        at = &(*at)->next;
    *at = job->next;
    while (*at)
        at = &(*at)->next;
    *at = job;
    job->next = NULL;
}

static bool input_fits(const struct embedder *e, int32_t n, int32_t left)
{
    int32_t used = 0;
    if (e->whole) /* the first one goes even when it is more than the budget */
        return n <= left || (e->batch.n_tokens == 0 && n <= e->capacity);
    for (int i = 0; i < e->sequence_count; i++)
        used += sequence_length(&e->sequences[i]);
    return n <= e->cells - used;
}

static void job_begin(struct embed_job *job)
{
    if (job->started > 0)
        return;
    job->started_ns = clock_mono_ns();
    job->vectors = calloc(job->count * (size_t)job->dimensions, sizeof *job->vectors);
    if (!job->vectors)
        error_set(&job->error, VX11_ENOMEM, "out of memory for the vectors");
}

/* New inputs into the batch, up to `left` tokens. */
static void inputs_add(struct embedder *e, int32_t left)
{
    struct embed_sequence *s;
    struct embed_job *job;
    while (left > 0 && (s = sequence_free(e)) && (job = job_next(e))) {
        const int32_t n = (int32_t)job->inputs[job->started].tokens.len;
        if (e->whole && n > e->capacity && e->batch.n_tokens == 0)
            (void)context_grow(e, n, &job->error);
        if (job->error.code != 0 || !e->context)
            return;
        if (!input_fits(e, n, left))
            return;
        job_begin(job);
        if (job->error.code != 0)
            return;
        *s = (struct embed_sequence){.job = job, .input = job->started++};
        const int32_t now = e->whole || n <= left ? n : left;
        batch_add(e, s, now);
        left -= now;
        job_to_end(e, job);
    }
}

static void batch_fill(struct embedder *e)
{
    int32_t left = batch_budget(e);
    e->batch.n_tokens = 0;
    for (int i = 0; i < e->sequence_count; i++) {
        struct embed_sequence *s = &e->sequences[i];
        const int32_t rest = sequence_length(s) - s->past;
        s->batch_count = 0;
        if (!s->job || left <= 0)
            continue;
        batch_add(e, s, rest < left ? rest : left);
        left -= s->batch_count;
    }
    inputs_add(e, left);
}

/* ---- after it was computed ---- */

/* Length 1, of the first `n` numbers. False when that cannot be: they are not finite. */
static bool normalise(const float *in, float *out, int32_t n)
{
    double sum = 0;
    for (int32_t i = 0; i < n; i++)
        sum += (double)in[i] * (double)in[i];
    if (!isfinite(sum))
        return false;
    const double scale = sum > 0 ? 1 / sqrt(sum) : 0;
    for (int32_t i = 0; i < n; i++)
        out[i] = (float)((double)in[i] * scale);
    return true;
}

static void vector_take(struct embedder *e, struct embed_sequence *s)
{
    struct embed_job *job = s->job;
    const float *vector = llama_get_embeddings_seq(e->context, (llama_seq_id)(s - e->sequences));
    if (!vector || !normalise(vector, job->vectors + s->input * (size_t)job->dimensions, job->dimensions))
        error_set(&job->error, VX11_EINTERNAL, "the model gave no vector for input %zu", s->input);
    job->ended++;
    sequence_end(e, s);
}

static void batch_take(struct embedder *e, size_t *inputs)
{
    for (int i = 0; i < e->sequence_count; i++) {
        struct embed_sequence *s = &e->sequences[i];
        s->past += s->batch_count;
        if (!s->job || s->past < sequence_length(s))
            continue;
        vector_take(e, s);
        (*inputs)++;
    }
}

static void batch_failed(struct embedder *e, int32_t rc)
{
    for (int i = 0; i < e->sequence_count; i++) {
        struct embed_sequence *s = &e->sequences[i];
        if (!s->job || s->batch_count == 0)
            continue;
        if (rc != 2) /* aborted: nobody waits for any of them */
            error_set(&s->job->error, VX11_EINTERNAL, "the model could not compute (libllama says %d)",
                      (int)rc);
        else if (!atomic_load(&s->job->cancelled))
            atomic_store(&s->job->cancelled, true); /* stopping */
    }
    if (rc != 2)
        log_error("embed", "a batch failed", LOG_I("code", rc), LOG_I("tokens", e->batch.n_tokens));
}

static int32_t compute(struct embedder *e, double *seconds)
{
    struct model *m = e->model;
    turn_take(e->options.turn, TURN_EMBED);
    if (m->context)
        threads_lend(&m->threads, e->context);
    const uint64_t before = clock_mono_ns();
    const int32_t rc = llama_model_has_encoder(m->llama) ? llama_encode(e->context, e->batch)
                                                         : llama_decode(e->context, e->batch);
    if (rc == 0)
        llama_synchronize(e->context);
    *seconds = (double)(clock_mono_ns() - before) / 1e9;
    if (e->aborting)
        model_log_quiet(false);
    e->aborting = false;
    turn_give(e->options.turn, TURN_EMBED);
    return rc;
}

static void step_account(struct embedder *e, size_t inputs, double seconds)
{
    const double per_token = seconds / e->batch.n_tokens;
    e->seconds_per_token =
        e->seconds_per_token > 0 ? e->seconds_per_token * 0.8 + per_token * 0.2 : per_token;
    pthread_mutex_lock(&e->lock);
    e->stats.batches++;
    e->stats.inputs += inputs;
    e->stats.tokens += (uint64_t)e->batch.n_tokens;
    e->stats.tokens_per_second = 1 / e->seconds_per_token;
    pthread_mutex_unlock(&e->lock);
}

static void step(struct embedder *e)
{
    size_t inputs = 0;
    double seconds;
    struct error err = {0};
    if (!e->context && context_make(e, capacity_least(e->model), &err) != 0) {
        for (struct embed_job *job = e->jobs; job; job = job->next)
            job->error = err;
        return;
    }
    batch_fill(e);
    if (!e->context || e->batch.n_tokens == 0)
        return;
    const int32_t rc = compute(e, &seconds);
    if (rc != 0) {
        batch_failed(e, rc);
        return;
    }
    batch_take(e, &inputs);
    step_account(e, inputs, seconds);
}

/* ---- the thread ---- */

/* Waits for work, and takes over what has come. False: it is time to end. */
static bool work_take(struct embedder *e)
{
    struct embed_job **end = &e->jobs;
    pthread_mutex_lock(&e->lock);
    while (!e->stop && !e->inbox && !e->jobs)
        pthread_cond_wait(&e->work, &e->lock);
    while (*end)
        end = &(*end)->next;
    *end = e->inbox;
    e->inbox = NULL;
    e->inbox_end = &e->inbox;
    const bool go_on = !e->stop;
    pthread_mutex_unlock(&e->lock);
    return go_on;
}

void *embed_thread(void *embedder)
{
    struct embedder *e = embedder;
    while (work_take(e)) {
        reap(e, false);
        if (e->jobs)
            step(e);
        reap(e, false);
    }
    reap(e, true);
    context_free(e);
    return NULL;
}
