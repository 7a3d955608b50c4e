/* See fake_worker.h. */
#include "fake_worker.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>
#include <uv.h>

#include "api/engine.h"
#include "base/clock.h"
#include "base/str.h"
#include "net/server.h"

#define SLOW_MS 400
#define WORK_MS 200

struct fake {
    const char *name, *socket;
    int64_t started, requests, busy_until;
    struct metrics *metrics;
    struct server *server;
    uv_signal_t term;
    uv_timer_t silence;
};

static int64_t load_ms(const struct fake *f)
{
    return str_starts(f->name, "slow") ? SLOW_MS : 0;
}

static void on_silence(uv_timer_t *timer)
{
    (void)timer;
    (void)raise(SIGSTOP);
}

static void status(struct request *r, void *module)
{
    struct fake *f = module;
    int64_t age = clock_mono_ms() - f->started, load = load_ms(f);
    struct engine_load load_facts = {
        .bytes_read = age < load ? age : 1000, .bytes_total = 1000, .percent = age < load ? 50 : 100};
    struct engine_spread none = {0};
    const bool starved = str_starts(f->name, "starved"), large = strstr(f->name, "large") != NULL;
    struct engine_memory memory = {.need_bytes = starved ? INT64_C(1) << 50
                                                 : large ? INT64_C(100) << 20
                                                         : 1 << 20};
    struct engine_status s = {
        .state = age < load ? ENGINE_STATE_LOADING : ENGINE_STATE_READY,
        .progress = age < load ? (double)age / (double)load : 1,
        .load = &load_facts,
        .memory = age < load ? NULL : &memory,
        .queue_seconds = &none,
        .first_token_seconds = &none,
        .n_max = 4,
        .slots_total = 4,
        .requests = f->requests,
        .slots_busy = str_starts(f->name, "busy") || clock_mono_ms() < f->busy_until,
        .queue_limit = 64,
        .uptime_ms = age,
    };
    if (starved) {
        s.state = ENGINE_STATE_FAILED;
        s.failure = "insufficient_memory";
        s.reason = "it needs a petabyte";
    }
    request_reply(r, 200, &engine_status_message, &s);
    if (str_starts(f->name, "mute")) /* once the answer is on its way */
        uv_timer_start(&f->silence, on_silence, 50, 0);
}

static void nothing(struct request *r, void *module)
{
    struct fake *f = module;
    f->requests++;
    if (str_starts(f->name, "work"))
        f->busy_until = clock_mono_ms() + WORK_MS;
    request_fail(r, 501, "fake", NULL, "this is a stand-in for tests");
}

static void on_drained(void *ctx)
{
    struct fake *f = ctx;
    metrics_stop(f->metrics);
    uv_close((uv_handle_t *)&f->term, NULL);
    uv_close((uv_handle_t *)&f->silence, NULL);
}

static void on_term(uv_signal_t *signal, int number)
{
    struct fake *f = signal->data;
    (void)number;
    if (!str_starts(f->name, "deaf"))
        server_drain(f->server, 1000, on_drained, f);
}

static const char *option(int argc, char **argv, const char *name)
{
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], name) == 0)
            return argv[i + 1];
    }
    return "";
}

bool fake_worker_asked(int argc, char **argv)
{
    return argc > 2 && strcmp(argv[1], "--model") == 0;
}

static void say(int fd, const char *text)
{
    if (write(fd, text, strlen(text)) < 0)
        _exit(99);
}

static void misbehave(const struct fake *f)
{
    if (str_starts(f->name, "fail")) {
        say(3, "the model is of cheese\n");
        _exit(3);
    }
    if (str_starts(f->name, "mumble")) {
        say(2, "first line\nlast words");
        _exit(1);
    }
    if (str_starts(f->name, "clean") && (getenv("SECRET_OF_THE_PARENT") || !getenv("PATH")))
        _exit(9);
    while (str_starts(f->name, "hang"))
        (void)pause();
}

int fake_worker_main(int argc, char **argv)
{
    static request_handler handlers[ENGINE_ROUTE_COUNT];
    uv_loop_t loop;
    struct error err = {0};
    struct fake f = {.name = option(argc, argv, "--name"),
                     .socket = option(argc, argv, "--socket"),
                     .started = clock_mono_ms()};
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != atoi(option(argc, argv, "--parent-pid")))
        return 98;
    misbehave(&f);
    for (size_t i = 0; i < ENGINE_ROUTE_COUNT; i++)
        handlers[i] = nothing;
    handlers[ENGINE_ROUTE_STATUS] = status;
    (void)uv_loop_init(&loop);
    f.metrics = metrics_create(&loop, "fake");
    (void)uv_signal_init(&loop, &f.term);
    (void)uv_timer_init(&loop, &f.silence);
    f.term.data = &f;
    (void)uv_signal_start(&f.term, on_term, SIGTERM);
    struct server_listener listener = {.path = f.socket};
    struct server_options options = {.loop = &loop,
                                     .contract = &engine_module,
                                     .handlers = handlers,
                                     .module = &f,
                                     .listeners = &listener,
                                     .listener_count = 1,
                                     .metrics = f.metrics,
                                     .version = "fake"};
    if (server_start(&options, &f.server, &err) != 0) {
        say(2, err.text);
        return 97;
    }
    say(3, "ready\n");
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    server_destroy(f.server);
    metrics_destroy(f.metrics);
    (void)uv_loop_close(&loop);
    return 0;
}
