#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "engine/backend.h"
#include "engine/saved.h"
#include "engine/prompt.h"

const char *harness_guide(void)
{
    static char path[4096];
    const char *given = getenv("VX11_GUIDE");
    const char *source = getenv("VX11_SRC");
    if (given)
        return given;
    (void)snprintf(path, sizeof path, "%s/models/guide/guide.gguf", source ? source : ".");
    return path;
}

static struct model *harness_load(const char *path, int parallel, int64_t context, int batch, int32_t cells)
{
    struct error err = {0};
    struct model *m = NULL;
    const struct model_options o = {.path = path,
                                    .name = "guide",
                                    .context = context,
                                    .parallel = parallel,
                                    .threads = 1,
                                    .batch = batch,
                                    .cells = cells,
                                    .gpu_layers = 0};
    model_log_start();
    if (backends_load(o.path, &err) != 0 || model_load(&o, NULL, NULL, &m, &err) != 0)
        fail_msg("%s", err.text);
    return m;
}

struct model *harness_model(int parallel, int64_t context, int batch)
{
    return harness_load(harness_guide(), parallel, context, batch, 0);
}

static void *decode_thread(void *arg)
{
    struct harness *h = arg;
    return (void *)(intptr_t)scheduler_run(h->scheduler, h->model);
}

static void wake(void *ctx)
{
    struct harness *h = ctx;
    sem_post(&h->woken);
}

static void saving_open(struct harness *h, const struct harness_options *o)
{
    const struct llama_context_params p = llama_context_default_params();
    struct scheduler_saving saving = o->saving;
    struct error err = {0};
    char key[65];
    const struct saved_options saved = {
        .dir = o->saved_dir, .key = key, .model_path = h->model->path, .most_bytes = 1 << 30};
    if (saved_key(h->model, &p, key, &err) != 0 || saved_open(&saved, &h->saved, &err) != 0)
        fail_msg("%s", err.text);
    saving.saved = h->saved;
    scheduler_save(h->scheduler, &saving);
}

struct harness *harness_open(const struct harness_options *o)
{
    struct harness *h = calloc(1, sizeof *h);
    struct error err = {0};
    const struct drafter_options draft = {.mode = o->speculation, .model_path = o->draft_model, .threads = 1};
    assert_non_null(h);
    sem_init(&h->woken, 0, 0);
    h->model = harness_load(o->path ? o->path : harness_guide(), o->parallel, o->context, o->batch, o->cells);
    if (drafter_create(&draft, h->model, &h->drafter, &err) != 0)
        fail_msg("%s", err.text);
    turn_create(&h->turn);
    h->scheduler = scheduler_create(
        &(struct scheduler_options){.queue_limit = o->queue, .wake = wake, .ctx = h, .turn = &h->turn});
    assert_non_null(h->scheduler);
    scheduler_speculate(h->scheduler, h->drafter);
    if (o->saved_dir)
        saving_open(h, o);
    assert_int_equal(pthread_create(&h->thread, NULL, decode_thread, h), 0);
    return h;
}

struct harness *harness_start(int parallel, int64_t context, size_t queue)
{
    return harness_open(
        &(struct harness_options){.parallel = parallel, .context = context, .queue = queue, .batch = 512});
}

void harness_stop(struct harness *h)
{
    void *result = NULL;
    scheduler_stop(h->scheduler);
    pthread_join(h->thread, &result);
    scheduler_dispatch(h->scheduler);
    scheduler_destroy(h->scheduler);
    saved_close(h->saved);
    turn_destroy(&h->turn);
    drafter_destroy(h->drafter);
    model_free(h->model);
    sem_destroy(&h->woken);
    free(h);
    assert_null(result);
}

int harness_prompt(const struct model *m, const struct chat_message *messages, size_t n, struct tokens *out,
                   struct error *err)
{
    struct arena *a = arena_create(0);
    struct marks marks;
    struct chat_prompt *chat = NULL;
    struct chat_message *safe = arena_array(a, n, sizeof *safe);
    prompt_marks(m, &marks, a);
    for (size_t i = 0; i < n; i++) {
        safe[i] = messages[i];
        safe[i].content = marks_protect(&marks, messages[i].content);
    }
    const struct chat_input in = {.messages = safe, .message_count = n, .thinking = true};
    const int rc = prompt_make(m, &in, &marks, &chat, out, err);
    chat_prompt_free(chat);
    arena_destroy(a);
    return rc;
}

void harness_chat(const struct model *m, const char *question, struct tokens *out)
{
    struct error err = {0};
    const struct chat_message message = {.role = "user", .content = question};
    if (harness_prompt(m, &message, 1, out, &err) != 0)
        fail_msg("%s", err.text);
}

struct generation_options harness_greedy(const struct tokens *prompt)
{
    struct generation_options o = {
        .prompt = prompt->data, .prompt_count = prompt->len, .choices = 1, .sampling = SAMPLING_DEFAULT};
    o.sampling.temperature = 0;
    return o;
}

static void on_event(struct generation *g, void *ctx, const struct generation_event *e)
{
    struct answer *a = ctx;
    a->events++;
    (void)buf_append(&a->text[e->choice], e->text, e->len);
    if (e->finish != FINISH_NONE && !e->last)
        a->finish[e->choice] = e->finish;
    for (size_t i = 0; i < e->logprob_count && a->logprobs == 0 && i == 0; i++) {
        a->chosen_logprob = (double)e->logprobs[0].chosen.logprob;
        a->top = e->logprobs[0].top_count;
    }
    a->logprobs += e->logprob_count;
    if (a->cancel_after && a->events == a->cancel_after)
        generation_cancel(g);
    if (!e->last)
        return;
    a->end = e->finish;
    a->usage = *e->usage;
    if (e->error)
        a->error = *e->error;
    a->last = true;
    generation_destroy(g);
}

int harness_submit(struct harness *h, const struct generation_options *o, struct answer *answer,
                   struct generation **out)
{
    struct generation *g = generation_create(o, on_event, answer);
    assert_non_null(g);
    const int rc = scheduler_submit(h->scheduler, g);
    if (rc != 0) {
        generation_destroy(g);
        g = NULL;
    }
    if (out)
        *out = g;
    return rc;
}

void harness_wait(struct harness *h, struct answer *answers, size_t n)
{
    for (;;) {
        size_t done = 0;
        for (size_t i = 0; i < n; i++)
            done += answers[i].last;
        if (done == n)
            return;
        struct timespec deadline;
        clock_gettime(CLOCK_REALTIME, &deadline);
        deadline.tv_sec += 30;
        if (sem_timedwait(&h->woken, &deadline) != 0)
            fail_msg("the scheduler was silent for 30 s");
        scheduler_dispatch(h->scheduler);
    }
}

void answer_free(struct answer *a)
{
    for (size_t i = 0; i < COUNT_OF(a->text); i++)
        buf_free(&a->text[i]);
    *a = (struct answer){0};
}
