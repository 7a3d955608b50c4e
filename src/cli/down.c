/* Down, restart, modules: what the command line asks of the supervisor. */
#include "cli/cli_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "api/supervisor_client.h"
#include "base/clock.h"
#include "base/str.h"

#define POLL_MS        20
#define STOP_MARGIN_MS 15000

struct wait {
    bool done;
    int code;
    bool print;
};

static void on_plain(struct client_call *call, void *ctx, const struct client_reply *reply)
{
    struct wait *w = ctx;
    (void)call;
    w->done = true;
    if (reply->result != 0 || reply->status >= 300)
        w->code = cli_reply_failed(reply, "the supervisor");
}

/* ---- down ---- */

/* The supervisor holds this lock as long as it lives: the one sign of its end that cannot lie. */
bool supervisor_lives(const struct cli *c)
{
    char path[4200];
    snprintf(path, sizeof path, "%s/run/supervisor.lock", c->home);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool lives = flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    close(fd);
    return lives;
}

int down_wait(struct cli *c, int64_t limit_ms)
{
    struct wait w = {0};
    struct supervisor_stop body;
    struct client_call *call;
    struct client_call_options options = {.deadline_ms = clock_mono_ms() + 5000};
    const struct config_config *config = c->config->values;
    memset(&body, 0, sizeof body);
    body.has_limit_ms = limit_ms >= 0;
    body.limit_ms = limit_ms;
    if (supervisor_stop_call(c->client, cli_target(c, "supervisor"), &body, &options, on_plain, &w, &call) !=
        0)
        return cli_fail(CLI_FAILED, "out of memory");
    cli_wait(c, &w.done);
    if (w.code != 0)
        return w.code;
    int64_t until =
        clock_mono_ms() + config->link->drain_ms + config->supervisor->stop_timeout_ms + STOP_MARGIN_MS;
    while (supervisor_lives(c) && clock_mono_ms() < until)
        usleep(POLL_MS * 1000);
    return supervisor_lives(c) ? cli_fail(CLI_FAILED, "the supervisor still runs; see `vx11 status`") : 0;
}

int command_down(int argc, char **argv)
{
    struct cli c;
    int64_t limit = -1;
    if (argc > 2 || (argc == 2 && strcmp(argv[1], "--now") != 0))
        return cli_usage("down", "unknown argument %s", argv[argc - 1]);
    if (argc == 2)
        limit = 0;
    int code = cli_open_anyway(&c);
    if (code == 0 && !supervisor_lives(&c))
        puts("VX11 does not run.");
    else if (code == 0 && (code = down_wait(&c, limit)) == 0)
        puts("VX11 has stopped.");
    cli_close(&c);
    return code;
}

/* ---- restart ---- */

static void on_module(struct client_call *call, void *ctx, const struct client_reply *reply)
{
    struct wait *w = ctx;
    const struct supervisor_module *m = reply->message;
    (void)call;
    w->done = true;
    if (!m) {
        w->code = cli_reply_failed(reply, "the supervisor");
        return;
    }
    printf("%s: %s, %s%s%s\n", m->name, common_state_names[m->state], supervisor_process_names[m->process],
           m->reason ? ": " : "", m->reason ? m->reason : "");
    bool wanted_down = m->state == COMMON_STATE_OFF;
    if (!wanted_down && m->process != SUPERVISOR_PROCESS_RUNNING && m->process != SUPERVISOR_PROCESS_STARTING)
        w->code = CLI_FAILED;
}

static int restart_one(struct cli *c, const char *name)
{
    struct wait w = {0};
    struct supervisor_module_name params = {.name = name};
    struct client_call_options options = {.deadline_ms = clock_mono_ms() + 120000};
    struct client_call *call;
    if (supervisor_restart_call(c->client, cli_target(c, "supervisor"), &params, NULL, &options, on_module,
                                &w, &call) != 0)
        return cli_fail(CLI_FAILED, "out of memory");
    cli_wait(c, &w.done);
    return w.code;
}

int command_restart(int argc, char **argv)
{
    struct cli c;
    if (argc > 2)
        return cli_usage("restart", "unknown argument %s", argv[2]);
    int code = cli_open_anyway(&c);
    if (code == 0 && argc == 2) {
        code = restart_one(&c, argv[1]);
    } else if (code == 0) {
        struct supervisor_status *s;
        code = status_fetch(&c, &s, false);
        for (size_t i = 0; code == 0 && i < s->modules_count; i++)
            if (s->modules[i].state != COMMON_STATE_OFF)
                code = restart_one(&c, s->modules[i].name);
    }
    cli_close(&c);
    return code;
}

/* ---- modules ---- */

static int modules_set(struct cli *c, const char *name, const char *state, const char *reason)
{
    struct wait w = {0};
    struct supervisor_module_name params = {.name = name};
    struct supervisor_set_state body = {.reason = reason, .confirm = name}; /* it was typed out */
    struct client_call_options options = {.deadline_ms = clock_mono_ms() + 120000};
    struct client_call *call;
    int index = -1;
    for (int i = 0; i < (int)COUNT_OF(common_state_names); i++)
        if (strcmp(common_state_names[i], state) == 0)
            index = i;
    if (index < 0)
        return cli_usage("modules", "a state is active, standby or off, not %s", state);
    body.state = index;
    if (supervisor_set_state_call(c->client, cli_target(c, "supervisor"), &params, &body, &options, on_module,
                                  &w, &call) != 0)
        return cli_fail(CLI_FAILED, "out of memory");
    cli_wait(c, &w.done);
    return w.code;
}

int command_modules(int argc, char **argv)
{
    struct cli c;
    const char *reason = NULL;
    bool set = argc >= 4 && strcmp(argv[1], "set") == 0;
    if (set && argc == 6 && strcmp(argv[4], "--reason") == 0)
        reason = argv[5];
    else if (argc > 1 && !(set && argc == 4) && !(argc == 2 && strcmp(argv[1], "list") == 0))
        return cli_usage("modules", "set NAME STATE, or nothing");
    int code = cli_open_anyway(&c);
    if (code == 0 && set) {
        code = modules_set(&c, argv[2], argv[3], reason);
    } else if (code == 0) {
        struct supervisor_status *s;
        code = status_fetch(&c, &s, false);
        for (size_t i = 0; code == 0 && i < s->modules_count; i++)
            printf("%-12s %s\n", s->modules[i].name, common_state_names[s->modules[i].state]);
    }
    cli_close(&c);
    return code;
}
