/* vx11-engine: the one program that links libllama. `vx11 run engine` and Hermes start it, one process per
 * loaded model. */
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/crash.h"
#include "base/log.h"
#include "base/str.h"
#include "engine/engine.h"
#include "engine/scheduler.h"
#include "engine/template.h"
#include "version.h"

static const char usage[] =
    "usage: vx11-engine --model FILE --socket PATH [options]\n"
    "  --name NAME         what requests call the model (default: the file's name without .gguf)\n"
    "  --ctx N             tokens of the longest request with its answer (default 0: what the model was "
    "trained for)\n"
    "  --max-ctx N         bound on that default (default 8192)\n"
    "  --parallel N        sequences at a time (default 8)\n"
    "  --threads N         threads that compute (default 0: as many as measure fastest, up to the cores)\n"
    "  --batch N           most tokens of one step (default 512)\n"
    "  --cells N           tokens that all sequences together can hold (default 0: chosen to fit)\n"
    "  --gpu-layers N      layers on a graphics processor, where there is one (default -1: all that fit)\n"
    "  --kv-type TYPE      f16, q8_0 or auto: f16 where it fits (default auto)\n"
    "  --speculation MODE  guess ahead in answers: auto (while it measures faster), on or off (default "
    "auto)\n"
    "  --draft-most N      tokens of one guess (default 0: as many as measure fastest)\n"
    "  --draft-model FILE  a small model of the same vocabulary that guesses\n"
    "  --chat-template-file FILE  Jinja template for chats in place of the model's own\n"
    "  --memory N          bytes of memory that may be taken (default 0: what is free)\n"
    "  --max-queue N       requests that may wait (default 64)\n"
    "  --n-max N           most answers to one request (default 4)\n"
    "  --drain-ms N        how long running answers may go on after SIGTERM (default 10000)\n"
    "  --saved-dir DIR     keep conversations there, so that they go on after a restart (default: nowhere)\n"
    "  --saved-bytes N     bound on that folder (default 4294967296)\n"
    "  --saved-min-tokens N  shorter conversations are not kept (default 256)\n"
    "  --saved-idle-ms N   write them after so long without work (default 30000), and at the end\n"
    "  --saved-ms N        how long that may take (default 10000)\n"
    "  --model-sha256 HEX  hash of the model's file, compared with what conversations were made with\n"
    "  --log-level LEVEL   trace, debug, info, warn, error or off (default info)\n"
    "  --log-file PATH     write the log there and not to stderr\n"
    "  --forensic DIR      where crash reports go\n"
    "  --parent-pid PID    end when this process, our parent, does; tell it on descriptor 3 how the start "
    "went\n"
    "  --version\n"
    "Exit codes: 0 told to end; 1 could not start; 2 wrong usage; 3 the model could not be loaded (the last "
    "line on\n"
    "stderr is the error as JSON).\n";

enum option_id {
    MODEL = 256,
    SOCKET,
    NAME,
    CTX,
    MAX_CTX,
    PARALLEL,
    THREADS,
    BATCH,
    CELLS,
    GPU_LAYERS,
    KV_TYPE,
    SPECULATION,
    DRAFT_MOST_TOKENS,
    DRAFT_MODEL,
    CHAT_TEMPLATE_FILE,
    MEMORY,
    MAX_QUEUE,
    N_MAX,
    DRAIN_MS,
    SAVED_DIR,
    SAVED_BYTES,
    SAVED_MIN_TOKENS,
    SAVED_IDLE_MS,
    SAVED_MS,
    MODEL_SHA256,
    LOG_LEVEL,
    LOG_FILE,
    FORENSIC,
    PARENT_PID,
    VERSION,
    HELP
};

static const struct option options_known[] = {
    {"model", required_argument, NULL, MODEL},
    {"socket", required_argument, NULL, SOCKET},
    {"name", required_argument, NULL, NAME},
    {"ctx", required_argument, NULL, CTX},
    {"max-ctx", required_argument, NULL, MAX_CTX},
    {"parallel", required_argument, NULL, PARALLEL},
    {"threads", required_argument, NULL, THREADS},
    {"batch", required_argument, NULL, BATCH},
    {"cells", required_argument, NULL, CELLS},
    {"gpu-layers", required_argument, NULL, GPU_LAYERS},
    {"kv-type", required_argument, NULL, KV_TYPE},
    {"speculation", required_argument, NULL, SPECULATION},
    {"draft-most", required_argument, NULL, DRAFT_MOST_TOKENS},
    {"draft-model", required_argument, NULL, DRAFT_MODEL},
    {"chat-template-file", required_argument, NULL, CHAT_TEMPLATE_FILE},
    {"memory", required_argument, NULL, MEMORY},
    {"max-queue", required_argument, NULL, MAX_QUEUE},
    {"n-max", required_argument, NULL, N_MAX},
    {"drain-ms", required_argument, NULL, DRAIN_MS},
    {"saved-dir", required_argument, NULL, SAVED_DIR},
    {"saved-bytes", required_argument, NULL, SAVED_BYTES},
    {"saved-min-tokens", required_argument, NULL, SAVED_MIN_TOKENS},
    {"saved-idle-ms", required_argument, NULL, SAVED_IDLE_MS},
    {"saved-ms", required_argument, NULL, SAVED_MS},
    {"model-sha256", required_argument, NULL, MODEL_SHA256},
    {"log-level", required_argument, NULL, LOG_LEVEL},
    {"log-file", required_argument, NULL, LOG_FILE},
    {"forensic", required_argument, NULL, FORENSIC},
    {"parent-pid", required_argument, NULL, PARENT_PID},
    {"version", no_argument, NULL, VERSION},
    {"help", no_argument, NULL, HELP},
    {NULL, 0, NULL, 0},
};

struct settings {
    struct engine_options engine;
    struct log_options log;
    const char *forensic;
    char *template; /* owned: engine.model.chat_template */
    int64_t parent_pid;
};

static int number(const char *name, const char *text, int64_t min, int64_t max, int64_t *out)
{
    if (str_to_i64(text, min, max, out) == 0)
        return 0;
    (void)fprintf(stderr, "vx11-engine: --%s must be a whole number from %lld to %lld, not %s\n", name,
                  (long long)min, (long long)max, text);
    return -1;
}

static int number_int(const char *name, const char *text, int min, int max, int *out)
{
    int64_t value;
    if (number(name, text, min, max, &value) != 0)
        return -1;
    *out = (int)value;
    return 0;
}

static int speculation(const char *text, enum draft_mode *out)
{
    static const char *const names[] = {[DRAFT_OFF] = "off", [DRAFT_AUTO] = "auto", [DRAFT_ON] = "on"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (strcmp(text, names[i]) == 0) {
            *out = (enum draft_mode)i;
            return 0;
        }
    }
    return fprintf(stderr, "vx11-engine: --speculation must be auto, on or off, not %s\n", text), -1;
}

static int kv_type(const char *text, enum model_kv_type *out)
{
    static const char *const names[] = {
        [MODEL_KV_F16] = "f16", [MODEL_KV_Q8_0] = "q8_0", [MODEL_KV_AUTO] = "auto"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (strcmp(text, names[i]) == 0) {
            *out = (enum model_kv_type)i;
            return 0;
        }
    }
    return fprintf(stderr, "vx11-engine: --kv-type must be f16, q8_0 or auto, not %s\n", text), -1;
}

static int level(const char *text, enum log_level *out)
{
    if (log_level_parse(text, out) == 0)
        return 0;
    (void)fprintf(stderr, "vx11-engine: --log-level must be trace, debug, info, warn, error or off, not %s\n",
                  text);
    return -1;
}

/* What is kept on disk. -2: not one of them. */
static int saving_take(int id, const char *text, struct engine_saving *s)
{
    int64_t value;
    int rc;
    switch (id) {
    case SAVED_DIR:
        s->dir = text;
        return 0;
    case SAVED_BYTES:
        rc = number("saved-bytes", text, 0, INT64_MAX, &value);
        s->most_bytes = rc == 0 ? (uint64_t)value : 0;
        return rc;
    case SAVED_MIN_TOKENS:
        return number_int("saved-min-tokens", text, 1, INT32_MAX, &s->min_tokens);
    case SAVED_IDLE_MS:
        return number("saved-idle-ms", text, 0, 86400000, &s->idle_ms);
    case SAVED_MS:
        return number("saved-ms", text, 0, 3600000, &s->end_ms);
    case MODEL_SHA256:
        s->model_sha256 = text;
        return 0;
    default:
        return -2;
    }
}

/* Counts of the engine. -2: not one of them. */
static int count_take(int id, const char *text, struct settings *s)
{
    struct model_options *m = &s->engine.model;
    int64_t value;
    int rc;
    switch (id) {
    case CTX:
        return number("ctx", text, 0, INT32_MAX, &m->context);
    case MAX_CTX:
        return number("max-ctx", text, 1, INT32_MAX, &m->context_most);
    case PARALLEL:
        return number_int("parallel", text, 1, MODEL_PARALLEL_MAX, &m->parallel);
    case THREADS:
        return number_int("threads", text, 0, 1024, &m->threads);
    case BATCH:
        return number_int("batch", text, 1, MODEL_BATCH_MAX, &m->batch);
    case CELLS:
        return number_int("cells", text, 0, INT_MAX, &m->cells);
    case MEMORY:
        rc = number("memory", text, 0, INT64_MAX, &value);
        m->memory_most = rc == 0 ? (uint64_t)value : 0;
        return rc;
    case DRAFT_MOST_TOKENS:
        return number_int("draft-most", text, 0, DRAFT_MOST, &s->engine.speculation.most);
    case GPU_LAYERS:
        return number_int("gpu-layers", text, -1, INT_MAX, &m->gpu_layers);
    case MAX_QUEUE:
        rc = number("max-queue", text, 0, 100000, &value);
        s->engine.queue_limit = rc == 0 ? (size_t)value : 0;
        return rc;
    case N_MAX:
        rc = number("n-max", text, 1, GENERATION_CHOICES_MAX, &value);
        s->engine.choices_most = rc == 0 ? (unsigned)value : 0;
        return rc;
    case DRAIN_MS:
        return number("drain-ms", text, 0, 3600000, &s->engine.drain_ms);
    case PARENT_PID:
        return number("parent-pid", text, 1, INT_MAX, &s->parent_pid);
    default:
        return -2;
    }
}

static int template_take(const char *path, struct settings *s)
{
    struct error err = {0};
    free(s->template);
    s->template = NULL;
    if (template_file_read(path, &s->template, &err) != 0) {
        (void)fprintf(stderr, "vx11-engine: --chat-template-file: %s\n", err.text);
        return -1;
    }
    s->engine.model.chat_template = s->template;
    return 0;
}

static int option_take(int id, const char *text, struct settings *s)
{
    int rc;
    switch (id) {
    case MODEL:
        s->engine.model.path = text;
        return 0;
    case SOCKET:
        s->engine.socket = text;
        return 0;
    case NAME:
        s->engine.model.name = text;
        return 0;
    case KV_TYPE:
        return kv_type(text, &s->engine.model.kv_type);
    case SPECULATION:
        return speculation(text, &s->engine.speculation.mode);
    case DRAFT_MODEL:
        s->engine.speculation.model_path = text;
        return 0;
    case CHAT_TEMPLATE_FILE:
        return template_take(text, s);
    case LOG_LEVEL:
        return level(text, &s->log.level);
    case LOG_FILE:
        s->log.path = text;
        return 0;
    case FORENSIC:
        s->forensic = text;
        return 0;
    default:
        rc = saving_take(id, text, &s->engine.saving);
        return rc != -2 ? rc : count_take(id, text, s);
    }
}

/* 0, or an exit code in *code. */
static int settings_read(int argc, char **argv, struct settings *s, int *code)
{
    int id;
    *code = ENGINE_EXIT_USAGE;
    while ((id = getopt_long(argc, argv, "", options_known, NULL)) != -1) {
        if (id == VERSION || id == HELP) {
            (void)(id == HELP ? fputs(usage, stdout) : puts(VX11_VERSION));
            *code = ENGINE_EXIT_OK;
            return -1;
        }
        if (id == '?') {
            (void)fputs(usage, stderr);
            return -1;
        }
        if (option_take(id, optarg, s) != 0)
            return -1;
    }
    if (!s->engine.model.path || !s->engine.socket || optind < argc) {
        (void)fputs(usage, stderr);
        return -1;
    }
    return 0;
}

/* The kernel sends us SIGTERM when the parent dies; it may have died before we asked for that. */
static bool parent_watch(int64_t parent)
{
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) != 0)
        return false;
    return getppid() == (pid_t)parent;
}

int main(int argc, char **argv)
{
    struct error err = {0};
    int code;
    struct settings s = {
        .engine = {.model = {.parallel = 8, .batch = 512, .gpu_layers = -1, .kv_type = MODEL_KV_AUTO},
                   .speculation = {.mode = DRAFT_AUTO},
                   .queue_limit = 64,
                   .choices_most = 4,
                   .drain_ms = 10000,
                   .saving = {.most_bytes = (uint64_t)4 << 30,
                              .min_tokens = 256,
                              .idle_ms = 30000,
                              .end_ms = 10000}},
        .log = {.module = "engine", .level = LOG_INFO, .rotate_bytes = 16 << 20, .total_bytes = 64 << 20},
    };
    if (settings_read(argc, argv, &s, &code) != 0)
        return code;
    if (s.parent_pid && !parent_watch(s.parent_pid)) {
        (void)fprintf(stderr, "vx11-engine: process %lld is not our parent any more\n",
                      (long long)s.parent_pid);
        return ENGINE_EXIT_ERROR;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN); /* a limit on the size of files is an error of who writes them */
    const struct crash_options crash = {.dir = s.forensic, .module = "engine", .version = VX11_VERSION};
    if (log_open(&s.log, &err) != 0 || (s.forensic && crash_install(&crash, &err) != 0)) {
        (void)fprintf(stderr, "vx11-engine: %s\n", err.text);
        return ENGINE_EXIT_ERROR;
    }
    s.engine.count_fd =
        s.parent_pid && fcntl(4, F_GET_SEALS) >= 0 ? 4 : -1; /* memory, as only it has seals */
    s.engine.notify_fd = s.parent_pid && fcntl(3, F_SETFD, FD_CLOEXEC) == 0 ? 3 : -1;
    code = engine_run(&s.engine);
    free(s.template);
    log_close();
    return code;
}
