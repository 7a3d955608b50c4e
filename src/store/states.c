/* States: rows of module_state and module_run. */
#include "store/states.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "store/ledger/ledger.h"

static const char *const state_names[] = {"active", "standby", "off"};

const char *module_state_name(enum module_state state)
{
    return (size_t)state < COUNT_OF(state_names) ? state_names[state] : "unknown";
}

int module_state_parse(const char *s, enum module_state *out)
{
    for (size_t i = 0; i < COUNT_OF(state_names); i++) {
        if (!str_eq(s, state_names[i]))
            continue;
        *out = (enum module_state)i;
        return 0;
    }
    return VX11_EINVALID;
}

/* NULL and "" become SQL NULL. */
static struct store_value text_cut(const char *s, size_t max)
{
    size_t len = s ? strlen(s) : 0;
    if (len == 0)
        return STORE_N;
    return store_text_len(s, len > max ? utf8_valid_prefix(s, max) : len);
}

/* ---- states ---- */

struct state_walk {
    int (*fn)(void *ctx, const struct module_state_row *row);
    void *ctx;
};

static int state_pass(void *ctx, const struct store_row *row)
{
    struct state_walk *walk = ctx;
    struct module_state_row out = {0};
    row_copy(row, 0, out.module, sizeof out.module);
    if (module_state_parse(row_text(row, 1), &out.state) != 0)
        return VX11_ECORRUPT; /* the table's CHECK allows no other */
    out.changed_at = row_int(row, 2);
    row_copy(row, 3, out.changed_by, sizeof out.changed_by);
    row_copy(row, 4, out.reason, sizeof out.reason);
    return walk->fn(walk->ctx, &out);
}

static int state_keep(void *ctx, const struct module_state_row *row)
{
    *(struct module_state_row *)ctx = *row;
    return 0;
}

int module_state_get(struct store *s, const char *module, struct module_state_row *out, struct error *err)
{
    struct state_walk walk = {state_keep, out};
    *out = (struct module_state_row){.state = MODULE_STATE_ACTIVE};
    snprintf(out->module, sizeof out->module, "%s", module);
    return store_query(
        s, "SELECT module, state, changed_at, changed_by, reason FROM module_state WHERE module = ?1",
        (struct store_value[]){STORE_T(module)}, 1, state_pass, &walk, err);
}

int module_state_list(struct store *s, int (*fn)(void *ctx, const struct module_state_row *row), void *ctx,
                      struct error *err)
{
    struct state_walk walk = {fn, ctx};
    return store_query(
        s, "SELECT module, state, changed_at, changed_by, reason FROM module_state ORDER BY module", NULL, 0,
        state_pass, &walk, err);
}

struct state_change {
    const char *module, *by, *reason;
    enum module_state state;
    int64_t now;
};

static int state_inside(void *ctx, struct store *s, struct error *err)
{
    const struct state_change *c = ctx;
    struct module_state_row before;
    size_t by = utf8_valid_prefix(c->by, strlen(c->by) > 63 ? 63 : strlen(c->by));
    int rc = module_state_get(s, c->module, &before, err);
    if (rc == 0)
        rc = store_exec(
            s,
            "INSERT INTO module_state (module, state, changed_at, changed_by, reason)"
            " VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (module) DO UPDATE SET state = excluded.state,"
            " changed_at = excluded.changed_at, changed_by = excluded.changed_by, reason = excluded.reason",
            (struct store_value[]){STORE_T(c->module), STORE_T(module_state_name(c->state)), STORE_I(c->now),
                                   store_text_len(c->by, by), text_cut(c->reason, 255)},
            5, NULL, err);
    return rc != 0 ? rc
                   : ledger_note(s, "module.state", c->by, c->module, err, "from",
                                 module_state_name(before.state), "to", module_state_name(c->state), "reason",
                                 c->reason, NULL);
}

int module_state_set(struct store *s, const char *module, enum module_state state, const char *changed_by,
                     const char *reason, int64_t now, struct error *err)
{
    struct state_change c = {module, changed_by, reason, state, now};
    return store_transaction_durable(s, state_inside, &c, err);
}

/* ---- runs ---- */

int module_run_start(struct store *s, const char *module, int64_t pid, int64_t now, char id[ULID_LEN + 1],
                     struct error *err)
{
    ulid_make(id);
    return store_exec(s, "INSERT INTO module_run (id, module, pid, started_at) VALUES (?1, ?2, ?3, ?4)",
                      (struct store_value[]){STORE_T(id), STORE_T(module), STORE_I(pid), STORE_I(now)}, 4,
                      NULL, err);
}

int module_run_end(struct store *s, const char *id, const struct module_run_end *end, struct error *err)
{
    int64_t changes = 0;
    int rc =
        store_exec(s,
                   "UPDATE module_run SET ended_at = ?2, exit_code = ?3, signal = ?4, oom = ?5, reason = ?6,"
                   " crash_report = ?7 WHERE id = ?1 AND ended_at IS NULL",
                   (struct store_value[]){STORE_T(id), STORE_I(end->ended_at),
                                          end->exit_code >= 0 ? STORE_I(end->exit_code) : STORE_N,
                                          end->signal > 0 ? STORE_I(end->signal) : STORE_N, STORE_I(end->oom),
                                          text_cut(end->reason, 255), text_cut(end->crash_report, 255)},
                   7, &changes, err);
    if (rc == 0 && changes == 0)
        rc = error_set(err, VX11_ENOT_FOUND, "there is no run %s that has not ended", id);
    return rc;
}

struct run_walk {
    int (*fn)(void *ctx, const struct module_run_row *row);
    void *ctx;
};

static int run_pass(void *ctx, const struct store_row *row)
{
    struct run_walk *walk = ctx;
    struct module_run_row out = {0};
    row_copy(row, 0, out.id, sizeof out.id);
    row_copy(row, 1, out.module, sizeof out.module);
    out.pid = row_int(row, 2);
    out.started_at = row_int(row, 3);
    out.ended_at = row_int(row, 4); /* NULL reads as 0 */
    out.exit_code = row_is_null(row, 5) ? -1 : (int)row_int(row, 5);
    out.signal = (int)row_int(row, 6);
    out.oom = row_int(row, 7) != 0;
    row_copy(row, 8, out.reason, sizeof out.reason);
    row_copy(row, 9, out.crash_report, sizeof out.crash_report);
    return walk->fn(walk->ctx, &out);
}

int module_run_list_last(struct store *s, const char *module, unsigned limit,
                         int (*fn)(void *ctx, const struct module_run_row *row), void *ctx, struct error *err)
{
    struct run_walk walk = {fn, ctx};
    struct store_value values[] = {STORE_I(limit), STORE_T(module)};
#define RUN_COLUMNS "id, module, pid, started_at, ended_at, exit_code, signal, oom, reason, crash_report"
    if (!module)
        return store_query(s, "SELECT " RUN_COLUMNS " FROM module_run ORDER BY id DESC LIMIT ?1", values, 1,
                           run_pass, &walk, err);
    return store_query(s,
                       "SELECT " RUN_COLUMNS
                       " FROM module_run WHERE module = ?2 ORDER BY started_at DESC, id DESC LIMIT ?1",
                       values, 2, run_pass, &walk, err);
}

struct run_found {
    struct module_run_row *out;
    bool found;
};

static int run_keep(void *ctx, const struct module_run_row *row)
{
    struct run_found *f = ctx;
    *f->out = *row;
    f->found = true;
    return 0;
}

int module_run_find(struct store *s, const char *module, int64_t pid, int64_t at, struct module_run_row *out,
                    struct error *err)
{
    struct run_found found = {.out = out};
    struct run_walk walk = {run_keep, &found};
    int rc = store_query(s,
                         "SELECT " RUN_COLUMNS " FROM module_run WHERE module = ?1 AND pid = ?2"
                         " AND started_at <= ?3 ORDER BY started_at DESC, id DESC LIMIT 1",
                         (struct store_value[]){STORE_T(module), STORE_I(pid), STORE_I(at)}, 3, run_pass,
                         &walk, err);
    if (rc == 0 && !found.found)
        rc = error_set(err, VX11_ENOT_FOUND, "there is no run of %s with process id %lld", module,
                       (long long)pid);
    return rc;
}
