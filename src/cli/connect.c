/* Connect: what a command needs to ask a module: configuration, loop, client, sockets. */
#include "cli/cli_internal.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/log.h"

static int cli_load_config(struct cli *c, bool anyway)
{
    char path[4096];
    struct error err = {0};
    if (config_path(path, sizeof path, &err) == 0 && config_load(path, &c->config, &err) == 0)
        return 0;
    if (!anyway)
        return cli_fail(CLI_CONFIG, "%s", err.text);
    cli_fail(CLI_CONFIG, "%s", err.text);
    cli_fail(CLI_CONFIG, "going on with the defaults");
    if (config_load_text("defaults", "", 0, NULL, &c->config, &err) != 0)
        return cli_fail(CLI_CONFIG, "%s", err.text);
    return 0;
}

static int cli_open_with(struct cli *c, bool anyway)
{
    struct error err = {0};
    memset(c, 0, sizeof *c);
    signal(SIGPIPE, SIG_IGN);
    struct log_options quiet = {.module = "cli", .level = LOG_ERROR, .also_stderr = true};
    log_open(&quiet, NULL);
    if (fs_home(c->home, sizeof c->home, &err) != 0)
        return cli_fail(CLI_CONFIG, "%s", err.text);
    int code = cli_load_config(c, anyway);
    if (code != 0)
        return code;
    c->arena = arena_create(0);
    if (!c->arena || uv_loop_init(&c->loop) != 0)
        return cli_fail(CLI_FAILED, "out of memory");
    c->loop_ready = true;
    if (client_create(&c->loop, &c->client, &err) != 0)
        return cli_fail(CLI_FAILED, "%s", err.text);
    client_set_caller(c->client, "cli");
    return 0;
}

int cli_open(struct cli *c)
{
    return cli_open_with(c, false);
}

int cli_open_anyway(struct cli *c)
{
    return cli_open_with(c, true);
}

void cli_close(struct cli *c)
{
    if (c->client)
        client_close(c->client, NULL, NULL);
    if (c->loop_ready) {
        uv_run(&c->loop, UV_RUN_DEFAULT);
        uv_loop_close(&c->loop);
    }
    arena_destroy(c->arena);
    config_free(c->config);
    log_close();
}

const struct client_target *cli_target(struct cli *c, const char *module)
{
    for (size_t i = 0; i < c->peer_count; i++)
        if (strcmp(c->peers[i].name, module) == 0)
            return &c->peers[i].target;
    size_t i = c->peer_count < sizeof c->peers / sizeof c->peers[0] ? c->peer_count++ : c->peer_count - 1;
    snprintf(c->peers[i].name, sizeof c->peers[i].name, "%s", module);
    char socket[sizeof c->peers[i].socket];
    int n = snprintf(socket, sizeof socket, "%s/run/%.20s.sock", c->home, module);
    memcpy(c->peers[i].socket, socket, (size_t)n + 1);
    c->peers[i].target = (struct client_target){.base_url = "http://localhost", .socket = c->peers[i].socket};
    return &c->peers[i].target;
}

const struct client_target *cli_front_door(struct cli *c)
{
    const char *url = getenv("VX11_URL");
    if (!url || !url[0])
        return cli_target(c, "link");
    struct client_target *t = arena_zalloc(c->arena, sizeof *t);
    char *base = t ? arena_strdup(c->arena, url) : NULL;
    if (!base)
        return cli_target(c, "link");
    size_t n = strlen(base);
    while (n > 0 && base[n - 1] == '/')
        base[--n] = '\0';
    if (n > 3 && strcmp(base + n - 3, "/v1") == 0) /* as OpenAI clients have it */
        base[n - 3] = '\0';
    *t = (struct client_target){.base_url = base, .token = getenv("VX11_TOKEN")};
    return t;
}

void cli_wait(struct cli *c, const bool *done)
{
    while (!*done && uv_run(&c->loop, UV_RUN_ONCE) != 0)
        ;
}

int cli_reply_failed(const struct client_reply *reply, const char *module)
{
    if (reply->result == VX11_EUNAVAILABLE)
        return cli_fail(CLI_NOT_RUNNING, "%s does not answer; is VX11 running? (vx11 status, vx11 up)",
                        module);
    if (reply->result != 0)
        return cli_fail(CLI_NOT_RUNNING, "%s: %s", module, reply->error.text);
    if (reply->status == 401 || reply->status == 403)
        return cli_fail(CLI_REFUSED, "%s", reply->error.text);
    return cli_fail(CLI_FAILED, "%s",
                    reply->error.text[0] ? reply->error.text : "the answer could not be read");
}
