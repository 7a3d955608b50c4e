/* Config: the configuration as the program reads it, and applying a changed one. Only `reload` needs VX11 to
 * run. */
#include "cli/cli_internal.h"

#include <stdio.h>
#include <string.h>

#include "api/supervisor_client.h"
#include "base/clock.h"
#include "base/fs.h"

#define RELOAD_MS 10000

static int config_where(char *path, size_t size)
{
    struct error err = {0};
    return config_path(path, size, &err) == 0 ? 0 : cli_fail(CLI_CONFIG, "%s", err.text);
}

static int config_print_path(void)
{
    char path[4096];
    int code = config_where(path, sizeof path);
    if (code == 0)
        puts(path);
    return code;
}

static int config_read(struct config **out)
{
    char path[4096];
    struct error err = {0};
    int code = config_where(path, sizeof path);
    if (code != 0)
        return code;
    return config_load(path, out, &err) == 0 ? 0 : cli_fail(CLI_CONFIG, "%s", err.text);
}

static int config_check(void)
{
    char path[4096];
    struct config *config = NULL;
    int code = config_where(path, sizeof path);
    if (code == 0)
        code = config_read(&config);
    if (code == 0)
        printf(fs_exists(path) ? "%s is right.\n"
                               : "There is no %s: the defaults and the environment hold, and are right.\n",
               path);
    config_free(config);
    return code;
}

static int config_print(bool with_origin)
{
    struct config *config = NULL;
    struct buf out = BUF_INIT;
    int code = config_read(&config);
    if (code == 0 && config_show(config, with_origin, &out) != 0)
        code = cli_fail(CLI_FAILED, "the configuration cannot be written");
    if (code == 0)
        fputs(out.data, stdout);
    buf_free(&out);
    config_free(config);
    return code;
}

static int config_print_default(void)
{
    struct buf out = BUF_INIT;
    int rc = config_default_yaml(&out);
    if (rc == 0)
        fputs(out.data, stdout);
    buf_free(&out);
    return rc == 0 ? CLI_OK : cli_fail(CLI_FAILED, "the configuration cannot be written");
}

/* ---- reload ---- */

struct reload {
    bool done;
    int code;
};

static void on_reload(struct client_call *call, void *ctx, const struct client_reply *reply)
{
    struct reload *w = ctx;
    const struct supervisor_reload_reply *r = reply->message;
    (void)call;
    w->done = true;
    if (!r) {
        w->code = reply->status == 422 ? cli_fail(CLI_CONFIG, "%s", reply->error.text)
                                       : cli_reply_failed(reply, "the supervisor");
        return;
    }
    for (size_t i = 0; i < r->changed_count; i++)
        printf("changed: %s\n", r->changed[i]);
    for (size_t i = 0; i < r->needs_restart_count; i++)
        printf("needs a restart: %s\n", r->needs_restart[i]);
    if (r->changed_count + r->needs_restart_count == 0)
        puts("Nothing has changed.");
}

static int config_reload(void)
{
    struct cli c;
    struct reload w = {0};
    int code = cli_open(&c); /* a wrong file is told here already */
    if (code == 0) {
        struct client_call_options options = {.deadline_ms = clock_mono_ms() + RELOAD_MS};
        struct client_call *call;
        if (supervisor_reload_call(c.client, cli_target(&c, "supervisor"), &options, on_reload, &w, &call) ==
            0)
            cli_wait(&c, &w.done);
        else
            w.code = cli_fail(CLI_FAILED, "out of memory");
        code = w.code;
    }
    cli_close(&c);
    return code;
}

int command_config(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    bool origin = argc == 3 && strcmp(argv[2], "--origin") == 0 && strcmp(what, "show") == 0;
    if (argc > 2 && !origin)
        return cli_usage("config", "unknown argument %s", argv[2]);
    if (strcmp(what, "check") == 0)
        return config_check();
    if (strcmp(what, "show") == 0)
        return config_print(origin);
    if (strcmp(what, "path") == 0)
        return config_print_path();
    if (strcmp(what, "reload") == 0)
        return config_reload();
    if (strcmp(what, "default") == 0)
        return config_print_default();
    if (what[0])
        return cli_usage("config", "what is %s?", what);
    return cli_usage("config", "check, show, path, reload or default?");
}
