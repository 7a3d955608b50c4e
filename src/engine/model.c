/* Loading of a model.
 *
 * libllama reports the reason of a failed load in its log alone: the first error line says what was wrong,
 * the next ones that therefore it failed. The sink below remembers the first; it is process-wide since
 * libllama's log is. */
#include "engine/model.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/proc.h"
#include "base/str.h"
#include "engine/chat_format.h"
#include "engine/draft.h"
#include "engine/grammar.h"
#include "engine/readahead.h"
#include "engine/template.h"

/* Weights that a core reads from its caches: below this, threads cost more than they give. */
#define MODEL_SMALL_BYTES (64ull << 20)

struct llama_sink {
    pthread_mutex_t lock;
    char line[1024]; /* pieces of a line that came without their newline */
    size_t len;
    enum log_level level;
    char first_error[400];
    bool quiet;
};

static struct llama_sink sink = {.lock = PTHREAD_MUTEX_INITIALIZER, .level = LOG_DEBUG};

static enum log_level sink_level(enum ggml_log_level level)
{
    switch (level) {
    case GGML_LOG_LEVEL_ERROR:
        return LOG_ERROR;
    case GGML_LOG_LEVEL_WARN:
        return LOG_WARN;
    default:
        return LOG_DEBUG; /* its "info" is dozens of lines per load */
    }
}

/* Without the names of libllama's functions, which mean nothing to who reads the reason. */
static void error_remember(struct llama_sink *s)
{
    static const char phrase[] = "error loading model: ";
    const char *text = s->line;
    const size_t name = strspn(text, "abcdefghijklmnopqrstuvwxyz_0123456789");
    if (name > 0 && strncmp(text + name, ": ", 2) == 0)
        text += name + 2;
    if (str_starts(text, phrase))
        text += sizeof phrase - 1;
    (void)snprintf(s->first_error, sizeof s->first_error, "%.*s", (int)utf8_valid_prefix(text, strlen(text)),
                   text);
}

static void sink_write(enum ggml_log_level level, const char *text, void *user)
{
    struct llama_sink *s = user;
    pthread_mutex_lock(&s->lock);
    if (level != GGML_LOG_LEVEL_CONT)
        s->level = sink_level(level);
    for (const char *p = text; *p; p++) {
        if (*p != '\n') {
            if (s->len < sizeof s->line - 1)
                s->line[s->len++] = *p;
            continue;
        }
        s->line[s->len] = '\0';
        if (s->len > 0)
            log_write(s->quiet ? LOG_DEBUG : s->level, "llama", s->line, NULL, 0);
        if (s->level == LOG_ERROR && s->len > 0 && !s->first_error[0])
            error_remember(s);
        s->len = 0;
    }
    pthread_mutex_unlock(&s->lock);
}

void model_log_quiet(bool quiet)
{
    pthread_mutex_lock(&sink.lock);
    sink.quiet = quiet;
    pthread_mutex_unlock(&sink.lock);
}

static void sink_forget_error(void)
{
    pthread_mutex_lock(&sink.lock);
    sink.first_error[0] = '\0';
    pthread_mutex_unlock(&sink.lock);
}

/* Sets err from what libllama said, or from `otherwise` when it said nothing. */
static int sink_fail(struct error *err, int code, const char *otherwise)
{
    char text[sizeof sink.first_error];
    pthread_mutex_lock(&sink.lock);
    memcpy(text, sink.first_error, sizeof text);
    pthread_mutex_unlock(&sink.lock);
    return error_set(err, code, "%s", text[0] ? text : otherwise);
}

void model_log_start(void)
{
    llama_log_set(sink_write, &sink);
}

/* ---- the file ---- */

static int file_check(const char *path, int64_t *modified_s, struct error *err)
{
    struct stat st;
    char magic[4];
    int rc = 0;
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return error_set_errno(err, errno, "cannot open %s", path);
    if (fstat(fd, &st) != 0)
        rc = error_set_errno(err, errno, "cannot look at %s", path);
    else if (!S_ISREG(st.st_mode))
        rc = error_set(err, VX11_EINVALID, "%s is not a regular file", path);
    else if (read(fd, magic, sizeof magic) != (ssize_t)sizeof magic ||
             memcmp(magic, "GGUF", sizeof magic) != 0)
        rc = error_set(err, VX11_ECORRUPT, "%s is not a GGUF file", path);
    else
        *modified_s = (int64_t)st.st_mtim.tv_sec;
    (void)close(fd);
    return rc;
}

static char *name_from_path(const char *path)
{
    const char *base = strrchr(path, '/');
    base = base ? base + 1 : path;
    const size_t len = strlen(base) - (str_ends(base, ".gguf") ? strlen(".gguf") : 0);
    return strndup(base, len);
}

/* ---- the context ---- */

/* The load is reading the file, which a thread of its own does, and what libllama makes of it; which of them
 * takes longer depends on the disk, so each counts for half. */
struct progress {
    model_progress_fn fn;
    void *ctx;
    pthread_mutex_t lock;
    struct model_progress now; /* lock */
    float read, made;          /* lock: shares */
    bool stopped;              /* lock */
    const char *copied;   /* the file, when its weights are copied; NULL: they are used where it is mapped */
    float step, released; /* shares: how much is copied before its pages are let go, and up to where */
};

/* Pages that have been copied are let go as the load goes on: else it would hold file and copies at its end,
 * twice what the model takes, and run out of memory that is enough for the model. */
#define RELEASE_BYTES (UINT64_C(64) << 20)

static bool progress_tell(struct progress *p)
{
    p->now.share = (p->read + p->made) / 2;
    if (p->fn && !p->fn(&p->now, p->ctx))
        p->stopped = true;
    return !p->stopped;
}

static bool progress_made(float share, void *user)
{
    struct progress *p = user;
    pthread_mutex_lock(&p->lock);
    p->made = share;
    const bool go_on = progress_tell(p);
    pthread_mutex_unlock(&p->lock);
    if (p->copied && share - p->released >= p->step) {
        mapping_release(p->copied);
        p->released = share;
    }
    return go_on;
}

static bool progress_read(uint64_t done, uint64_t total, void *user)
{
    struct progress *p = user;
    pthread_mutex_lock(&p->lock);
    p->read = (float)((double)done / (double)total);
    p->now.bytes_read = done;
    p->now.bytes_total = total;
    const bool go_on = progress_tell(p);
    pthread_mutex_unlock(&p->lock);
    return go_on;
}

static bool progress_stopped(struct progress *p)
{
    pthread_mutex_lock(&p->lock);
    const bool stopped = p->stopped;
    pthread_mutex_unlock(&p->lock);
    return stopped;
}

/* ---- the plan ---- */

/* The context that the plan chose is bounded by what the model's positions reach to. */
static int context_check(struct model *m, const struct model_options *o, struct error *err)
{
    const struct fit_choice *c = &m->plan.choice;
    const int64_t vouched = header_context_most(&m->plan.header);
    m->context_trained = llama_model_n_ctx_train(m->llama);
    const int64_t most = vouched > m->context_trained ? vouched : m->context_trained;
    if (o->context > most)
        log_warn("model", "the context asked for is larger than the model was made for",
                 LOG_I("asked", o->context), LOG_I("made_for", most));
    m->context_length = c->context < most ? c->context : (int32_t)most;
    m->cells = c->cells;
    if (m->cells < m->context_length)
        return error_set(err, VX11_EINVALID, "%d cells do not hold %d tokens", m->cells, m->context_length);
    m->parallel = o->parallel;
    m->batch = o->batch < m->cells ? o->batch : m->cells;
    return 0;
}

/* What a model takes is found out before it is loaded. That it cannot be is no reason not to try: a file that
 * is not sound gets libllama's reason. */
static int plan_make(struct model *m, const struct model_options *o, struct error *err)
{
    struct error why = {0};
    const int rc = fit_plan(o, m->name, &m->plan, &why);
    const struct fit_plan *p = &m->plan;
    if (o->planned)
        *o->planned = *p;
    if (rc == VX11_ENOMEM)
        return error_set(err, rc, "%s", why.text);
    if (rc != 0)
        log_warn("model", "what it will take is not known: loading without looking at the memory",
                 LOG_S("model", m->name), LOG_S("reason", why.text));
    else
        log_info("model", p->reduced ? "planned with less than was wanted" : "planned",
                 LOG_S("model", m->name), LOG_I("need", (int64_t)fit_need(&p->sizes)),
                 LOG_I("free", (int64_t)p->room.free_bytes), LOG_I("context", p->choice.context),
                 LOG_I("cells", p->choice.cells),
                 LOG_S("kv_type", p->choice.kv == MODEL_KV_Q8_0 ? "q8_0" : "f16"),
                 LOG_I("gpu_layers", p->choice.gpu_layers));
    return 0;
}

struct llama_model_params model_params(int gpu_layers)
{
    struct llama_model_params p = llama_model_default_params();
    p.n_gpu_layers = gpu_layers;
    return p;
}

/* Those that are served, and about as many again that hold what is kept. Each costs a row in the buffer of
 * logits (a megabyte for every two where the vocabulary is large); a recurrent model has a whole state for
 * each.
 */
static int32_t sequences_for(const struct llama_model *llama, int parallel)
{
    enum { LEAST = 32, MOST = 256 };
    if (llama_model_is_recurrent(llama) || llama_model_is_hybrid(llama))
        return parallel;
    const int32_t wanted = parallel * 3 > LEAST ? parallel * 3 : LEAST;
    return wanted < MOST ? wanted : MOST;
}

struct llama_context_params model_context_params(const struct llama_model *llama,
                                                 const struct model_options *o, int32_t cells,
                                                 enum model_kv_type kv)
{
    struct llama_context_params p = llama_context_default_params();
    p.n_ctx = (uint32_t)cells;
    p.n_batch = p.n_ubatch = (uint32_t)(o->batch < cells ? o->batch : cells);
    p.n_seq_max = (uint32_t)sequences_for(llama, o->parallel);
    p.n_outputs_max = (uint32_t)o->parallel + DRAFT_STEP_MOST; /* rows of logits in a step */
    if (p.n_outputs_max > p.n_batch)
        p.n_outputs_max = p.n_batch;
    if (p.n_outputs_max < p.n_seq_max)
        p.n_outputs_max = p.n_seq_max; /* libllama wants that */
    p.type_k = p.type_v = kv == MODEL_KV_Q8_0 ? GGML_TYPE_Q8_0 : GGML_TYPE_F16;
    p.kv_unified = true; /* one pool of cells: sequences share the cells of a common prefix */
    p.no_perf = true;
    return p;
}

static int context_create(struct model *m, const struct model_options *o, struct error *err)
{
    const int most = m->threads_most;
    struct llama_context_params p = model_context_params(m->llama, o, m->cells, m->plan.choice.kv);
    p.n_threads = p.n_threads_batch = most;
    model_log_quiet(
        true); /* it warns that the pool of cells is larger than the trained context: no sequence is */
    m->context = llama_init_from_model(m->llama, p);
    model_log_quiet(false);
    if (!m->context)
        return sink_fail(err, VX11_ENOMEM, "the context could not be made");
    m->cells = (int32_t)llama_n_ctx(m->context);
    m->sequences = (int32_t)llama_n_seq_max(m->context);
    threads_start(&m->threads, m->context, most, m->threads_fixed, m->size_bytes < MODEL_SMALL_BYTES);
    return 0;
}

/* Runs one token through everything, so that the first request finds pages and buffers in place. */
static int context_warm(struct model *m, struct error *err)
{
    llama_token token = llama_vocab_bos(m->vocab);
    if (token == LLAMA_TOKEN_NULL)
        token = 0;
    const int32_t rc = llama_decode(m->context, llama_batch_get_one(&token, 1));
    if (rc != 0)
        return sink_fail(err, VX11_ECORRUPT, "the model could not decode a first token");
    llama_synchronize(m->context);
    llama_memory_clear(llama_get_memory(m->context), false);
    return 0;
}

/* ---- the vocabulary ---- */

static int vocabulary_read(struct model *m, struct error *err)
{
    m->vocab = llama_model_get_vocab(m->llama);
    m->vocabulary = llama_vocab_n_tokens(m->vocab);
    if (llama_vocab_type(m->vocab) == LLAMA_VOCAB_TYPE_NONE || m->vocabulary <= 0)
        return error_set(err, VX11_EUNSUPPORTED, "the model has no tokenizer");
    m->specials = calloc((size_t)m->vocabulary, sizeof *m->specials);
    if (!m->specials)
        return error_set(err, VX11_ENOMEM, "out of memory");
    for (llama_token t = 0; t < m->vocabulary; t++) {
        const char *text = llama_vocab_get_text(m->vocab, t);
        const size_t len = text ? strlen(text) : 0;
        if (len > m->longest_piece)
            m->longest_piece = len;
        if (len > 1 && llama_vocab_is_control(m->vocab, t))
            m->specials[m->special_count++] = text;
    }
    return 0;
}

/* libllama's own description guesses a size class from the number of layers. */
static void describe(struct model *m)
{
    char architecture[48];
    const double n = (double)m->parameters;
    if (llama_model_meta_val_str(m->llama, "general.architecture", architecture, sizeof architecture) < 0)
        (void)snprintf(architecture, sizeof architecture, "unknown");
    (void)snprintf(m->description, sizeof m->description, "%s %.1f%c %s", architecture,
                   n >= 1e9 ? n / 1e9 : n / 1e6, n >= 1e9 ? 'B' : 'M',
                   llama_ftype_name(llama_model_ftype(m->llama)));
}

static int model_read(struct model *m, const struct model_options *o, struct progress *progress,
                      struct error *err)
{
    struct llama_model_params p = model_params(m->plan.choice.gpu_layers);
    p.progress_callback = progress_made;
    p.progress_callback_user_data = progress;
    const struct fit_sizes *sizes = &m->plan.sizes;
    if (sizes->weights > RELEASE_BYTES) {
        progress->copied = m->path;
        progress->step = (float)RELEASE_BYTES / (float)(sizes->weights + sizes->mapped);
        progress->released = -1; /* what is mapped ahead goes at once */
    }
    sink_forget_error();
    m->llama = llama_model_load_from_file(o->path, p);
    if (progress_stopped(progress))
        return error_set(err, VX11_ECANCELLED, "the load was stopped");
    if (!m->llama)
        return sink_fail(err, VX11_ECORRUPT, "the model could not be loaded");
    const int rc = ability_read(m->llama, &m->can, err);
    if (rc != 0)
        return rc;
    m->size_bytes = llama_model_size(m->llama);
    m->parameters = llama_model_n_params(m->llama);
    describe(m);
    m->can_trim = !llama_model_is_recurrent(m->llama) && !llama_model_is_hybrid(m->llama);
    return 0;
}

static int options_check(const struct model_options *o, struct error *err)
{
    if (o->parallel < 1 || o->parallel > MODEL_PARALLEL_MAX ||
        (size_t)o->parallel > llama_max_parallel_sequences())
        return error_set(err, VX11_EINVALID, "parallel must be 1 to %d", MODEL_PARALLEL_MAX);
    if (o->batch < o->parallel || o->batch > MODEL_BATCH_MAX)
        return error_set(err, VX11_EINVALID, "batch must be %d (parallel) to %d", o->parallel,
                         MODEL_BATCH_MAX);
    if (o->context < 0 || o->threads < 0 || o->cells < 0 || o->gpu_layers < -1)
        return error_set(err, VX11_EINVALID, "context, cells, threads and GPU layers must not be negative");
    return 0;
}

static int64_t lap(uint64_t *since)
{
    const uint64_t now = clock_mono_ns(), ms = (now - *since) / 1000000;
    *since = now;
    return (int64_t)ms;
}

/* All that takes time. */
static int model_make(struct model *m, const struct model_options *o, struct progress *progress,
                      struct error *err)
{
    uint64_t since = clock_mono_ns();
    int rc = plan_make(m, o, err);
    m->times.plan = lap(&since);
    if (rc != 0 || (rc = model_read(m, o, progress, err)) != 0 || (rc = vocabulary_read(m, err)) != 0 ||
        (rc = context_check(m, o, err)) != 0)
        return rc;
    m->times.weights = lap(&since);
    if (m->plan.sizes.weights > 0)
        mapping_release(m->path);
    /* A model that only embeds needs no context until it is asked: embed_run.c makes it. */
    if (m->can.generates && (rc = context_create(m, o, err)) != 0)
        return rc;
    m->times.context = lap(&since);
    if (m->can.generates && (rc = context_warm(m, err)) != 0)
        return rc;
    m->times.warm = lap(&since);
    return template_detect(m, o->chat_template, err);
}

int model_load(const struct model_options *options, model_progress_fn fn, void *ctx, struct model **out,
               struct error *err)
{
    const uint64_t started = clock_mono_ns();
    struct progress progress = {.fn = fn, .ctx = ctx, .lock = PTHREAD_MUTEX_INITIALIZER};
    struct readahead *reader = NULL;
    struct model *m = NULL;
    int64_t modified_s = 0;
    int rc = options_check(options, err);
    if (rc == 0)
        rc = file_check(options->path, &modified_s, err);
    if (rc != 0)
        goto out;
    m = calloc(1, sizeof *m);
    if (!m || !(m->path = strdup(options->path)) || !(m->grammars = grammars_create()) ||
        !(m->name = options->name ? strdup(options->name) : name_from_path(options->path))) {
        rc = error_set(err, VX11_ENOMEM, "out of memory");
        goto out;
    }
    m->created_s = modified_s;
    m->threads_most = options->threads > 0 ? options->threads : (int)proc_physical_cores();
    m->threads_fixed = options->threads > 0;
    if ((rc = readahead_start(m->path, progress_read, &progress, &reader, err)) != 0)
        goto out;
    rc = model_make(m, options, &progress, err);
    m->bytes_from_disk = readahead_end(reader, rc != 0);
    if (rc != 0)
        goto out;
    m->load_ms = (int64_t)((clock_mono_ns() - started) / 1000000);
    *out = m;
    m = NULL;
out:
    model_free(m);
    return rc;
}

void model_free(struct model *m)
{
    if (!m)
        return;
    if (m->context) {
        threads_stop(&m->threads);
        llama_free(m->context);
    }
    llama_model_free(m->llama);
    grammars_destroy(m->grammars);
    free(m->specials);
    chat_format_destroy(m->chat);
    free(m->template_reason);
    free(m->name);
    free(m->path);
    free(m);
}
