/* Begin: what every check goes by, measured once: the configuration, what the supervisor says, the states in
 * the database, the owner's token. None of it has to be there. */
#include "cli/doctor/doctor.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/str.h"
#include "module/module.h"
#include "store/states.h"
#include "supervisor/supervisor.h"

/* Why the configuration is wrong, if it is; cli_open_anyway goes on with the defaults then. */
static void begin_config(struct doctor *d)
{
    char path[4096];
    struct error err = {0};
    struct config *config = NULL;
    if (config_path(path, sizeof path, &err) != 0 || config_load(path, &config, &err) != 0)
        snprintf(d->config_error, sizeof d->config_error, "%s", err.text[0] ? err.text : "it cannot be read");
    config_free(config);
}

static void begin_modules(struct doctor *d)
{
    const struct config_config *c = d->config;
    for (size_t i = 0; i < supervisor_module_count && d->module_count < DOCTOR_MODULES; i++) {
        struct doctor_module *m = &d->modules[d->module_count++];
        *m = (struct doctor_module){.name = supervisor_modules[i].name,
                                    .port = supervisor_modules[i].port(d->c->config),
                                    .host = "127.0.0.1",
                                    .state = -1};
        if (str_eq(m->name, "link")) {
            m->host = c->link->host;
            m->page_port = (int)c->link->page_port;
        } else if (str_eq(m->name, "switch")) {
            m->host = c->switch_->host;
        } else if (str_eq(m->name, "hermes")) {
            m->host = c->hermes->host;
        } else if (str_eq(m->name, "operator")) {
            m->host = c->operator_->host;
        }
        /* Everywhere is nowhere to connect to. */
        if (str_eq(m->host, "0.0.0.0"))
            m->host = "127.0.0.1";
        else if (str_eq(m->host, "::"))
            m->host = "::1";
    }
}

static void begin_status(struct doctor *d)
{
    struct supervisor_status *status = NULL;
    if (!fs_exists(cli_target(d->c, "supervisor")->socket) || status_fetch(d->c, &status, true) != 0)
        return;
    d->status = status;
    for (size_t i = 0; status && i < status->modules_count; i++) {
        for (size_t j = 0; j < d->module_count; j++) {
            struct doctor_module *m = &d->modules[j];
            const struct supervisor_module *seen = &status->modules[i];
            if (!str_eq(m->name, seen->name))
                continue;
            m->seen = seen;
            m->state = seen->state;
            m->pid = seen->has_pid ? (pid_t)seen->pid : 0;
        }
    }
}

/* The supervisor's word goes first: it is what holds now. */
static void begin_states(struct doctor *d)
{
    const struct store_options options = {.path = d->database, .read_only = true};
    struct store *store = NULL;
    struct error err = {0};
    if (d->status)
        return;
    int rc = store_open(&options, &store, &err);
    for (size_t i = 0; rc == 0 && i < d->module_count; i++) {
        struct module_state_row row;
        rc = module_state_get(store, d->modules[i].name, &row, &err);
        if (rc == 0)
            d->modules[i].state = (int)row.state;
    }
    if (rc != 0)
        snprintf(d->states_error, sizeof d->states_error, "%s", err.text);
    if (store)
        store_close(store);
}

static void begin_token(struct doctor *d)
{
    char path[4200];
    struct error err = {0};
    int rc = fs_path(path, sizeof path, d->c->home, "token");
    if (rc == 0)
        rc = auth_token_file_read(path, d->token, &err);
    if (rc == 0)
        return;
    d->token[0] = '\0';
    snprintf(d->token_error, sizeof d->token_error, "%s",
             rc == VX11_ENOT_FOUND ? "there is no token file yet"
             : err.text[0]         ? err.text
                                   : "it is too long");
}

static uint64_t boot_ms(void)
{
    struct timespec t = {0};
    clock_gettime(CLOCK_BOOTTIME, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

int doctor_begin(struct doctor *d, struct cli *c)
{
    d->c = c;
    d->config = c->config->values;
    d->wall_ms = clock_wall_ms();
    d->mono_ns = clock_mono_ns();
    d->boot_ms = boot_ms();
    if (fs_self_exe(d->exe, sizeof d->exe) != 0)
        d->exe[0] = '\0';
    if (module_store_path(c->config, c->home, d->database, sizeof d->database) != 0)
        return cli_fail(DOCTOR_COULD_NOT_RUN, "the path of the database is too long");
    begin_config(d);
    begin_modules(d);
    begin_status(d);
    begin_states(d);
    begin_token(d);
    return 0;
}

const struct doctor_module *doctor_module_find(const struct doctor *d, const char *name)
{
    for (size_t i = 0; i < d->module_count; i++)
        if (str_eq(d->modules[i].name, name))
            return &d->modules[i];
    return NULL;
}

bool doctor_module_wanted(const struct doctor_module *m)
{
    return m->state != MODULE_STATE_OFF;
}
