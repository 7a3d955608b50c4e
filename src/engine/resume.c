/* What is worth writing: conversations of at least min_tokens, of which at least WORTH tokens are not on disk
 * yet; while the engine runs on, a quarter of them, for each file is written whole: so a long conversation
 * with many pauses costs the disk a few times its size, and not as often as there are turns. What is worth
 * reading: a file that saves more prompt than it costs; both speeds are measured, and until they are, a file
 * of which at least a quarter is wanted. */
#include "engine/resume.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "engine/aside.h"
#include "engine/scheduler_internal.h"

enum { WORTH = 64, MEASURED_LEAST = 128 };

/* ---- reading ---- */

/* Seconds that reading so many tokens takes; negative: unknown. */
static double read_seconds(const struct scheduler *s, int32_t tokens)
{
    struct saved_stats stats;
    saved_stats(s->saving.saved, &stats);
    if (stats.tokens_restored < MEASURED_LEAST)
        return -1;
    return stats.read_seconds * tokens / (double)stats.tokens_restored;
}

static double prompt_seconds(struct scheduler *s, int32_t tokens)
{
    double seconds = -1;
    pthread_mutex_lock(&s->lock);
    if (s->stats.prompt_tokens >= MEASURED_LEAST)
        seconds = s->stats.prompt_seconds * tokens / (double)s->stats.prompt_tokens;
    pthread_mutex_unlock(&s->lock);
    return seconds;
}

/* length: tokens of the file; gain: of the prompt that only it knows. */
static bool worth_reading(struct scheduler *s, int32_t length, int32_t gain)
{
    const double costs = read_seconds(s, length), spares = prompt_seconds(s, gain);
    if (gain < WORTH)
        return false;
    return costs >= 0 && spares >= 0 ? costs < spares : length / 4 <= gain;
}

static bool read_into(struct scheduler *s, llama_seq_id id, const llama_token *prompt, int32_t wanted)
{
    const llama_token *tokens;
    size_t count;
    struct error err = {0};
    const int rc =
        saved_read(s->saving.saved, s->model->context, id, prompt, (size_t)wanted, &tokens, &count, &err);
    if (rc != 0) {
        cache_close(s->cache, id, NULL, 0);
        log_info("resume", "a saved conversation was not read", LOG_S("reason", err.text));
        return false;
    }
    cache_push(s->cache, id, (int32_t)count);
    cache_close(s->cache, id, tokens, (int32_t)count);
    log_debug("resume", "a saved conversation was read", LOG_I("tokens", (int64_t)count));
    return true;
}

int32_t resume_read(struct scheduler *s, struct generation *g)
{
    const int32_t wanted = (int32_t)g->prompt_count - 1;
    int32_t kept, held;
    if (!s->saving.saved || g->resumed || wanted < WORTH)
        return -1;
    g->resumed = true; /* tried: once is enough */
    const size_t match = saved_match(s->saving.saved, g->prompt, (size_t)wanted);
    const int32_t known = cache_find(s->cache, g->prompt, wanted, &kept);
    if (match <= (size_t)known)
        return -1;
    const size_t length = saved_length(s->saving.saved, g->prompt, (size_t)wanted);
    if (length > (size_t)s->model->cells || !worth_reading(s, (int32_t)length, (int32_t)match - known) ||
        !cache_room(s->cache, (int32_t)length))
        return -1;
    const llama_seq_id id = cache_open(s->cache, NULL, 0, &held);
    if (id < 0)
        return -1;
    return read_into(s, id, g->prompt, wanted) ? known : -1;
}

/* ---- writing ---- */

uint64_t resume_due(const struct scheduler *s)
{
    if (!s->saving.saved || !s->unsaved)
        return 0;
    return s->worked_ns + (uint64_t)s->saving.idle_ms * 1000000;
}

static bool wanted_elsewhere(struct scheduler *s)
{
    pthread_mutex_lock(&s->lock);
    const bool wanted = s->inbox || s->stop;
    pthread_mutex_unlock(&s->lock);
    return wanted;
}

/* 0, or why not. */
static int branch_write(struct scheduler *s, const struct cache_branch *b, size_t worth, int64_t used_ms)
{
    struct saved *saved = s->saving.saved;
    const size_t n = (size_t)b->length;
    struct error err = {0};
    llama_token *tokens = malloc(n * sizeof *tokens);
    if (!tokens)
        return VX11_ENOMEM;
    cache_branch_tokens(s->cache, b->id, tokens);
    int rc = 0;
    if (!saved_covers(saved, tokens, n) && n - saved_match(saved, tokens, n) >= worth) {
        rc = saved_write(saved, s->model->context, b->id, tokens, n, used_ms, &err);
        if (rc != 0)
            log_warn("resume", "a conversation was not saved", LOG_I("tokens", b->length),
                     LOG_S("reason", err.text));
    }
    free(tokens);
    return rc;
}

/* Writes what the cache keeps now. */
static void kept_write(struct scheduler *s, uint64_t until_ns, bool yield)
{
    const size_t most = (size_t)s->model->sequences;
    struct cache_branch *list = calloc(most, sizeof *list);
    const size_t n = list ? cache_branches(s->cache, list, most) : 0;
    const int64_t now_ms = clock_wall_ms();
    size_t i = 0;
    for (; i < n; i++) {
        if ((yield && wanted_elsewhere(s)) || clock_mono_ns() >= until_ns)
            break;
        if (list[i].length < s->saving.min_tokens)
            continue;
        const size_t worth = yield ? (size_t)list[i].length / 4 : (size_t)WORTH;
        /* They were used one before the other. */
        const int rc = branch_write(s, &list[i], worth, now_ms - (int64_t)i);
        if (rc == VX11_EUNSUPPORTED) {
            s->saving.saved = NULL;
            break;
        }
        if (rc == VX11_EBUSY)
            break;
    }
    if (list && i == n)
        s->unsaved = false;
    else if (!yield)
        log_info("resume", "not all conversations were saved", LOG_I("saved", (int64_t)i),
                 LOG_I("kept", (int64_t)n));
    s->worked_ns = clock_mono_ns();
    free(list);
}

void resume_write(struct scheduler *s, uint64_t until_ns, bool yield)
{
    if (!s->saving.saved || !s->unsaved)
        return;
    /* What is aside comes back as far as there are free cells for it: nobody else needs them now. */
    (void)aside_return(s);
    kept_write(s, until_ns, yield);
    while (!yield && s->saving.saved && clock_mono_ns() < until_ns) {
        cache_clear(s->cache);
        if (aside_return(s) == 0)
            break;
        kept_write(s, until_ns, yield);
    }
}
