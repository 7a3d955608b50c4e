/* Rows of tools: the binding, its use, the day's quota; and the audit of what was run. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "hermes/tools/tools_internal.h"

#define DAY_MS INT64_C(86400000)

#define TOOL_BY_NAME_SQL                                                                                     \
    "SELECT path, real_path, version, size_bytes, mtime_ns, sha256, auth, auth_detail, enabled, "            \
    "detected_at, quota_day, quota_used, last_ok_at, last_fail_at, last_error FROM tool WHERE name = ?1"
#define TOOL_BIND_SQL                                                                                        \
    "INSERT INTO tool (name, path, real_path, version, size_bytes, mtime_ns, sha256, argv, auth, "           \
    "auth_detail, detected_at, created_at, updated_at) "                                                     \
    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?12) "                                       \
    "ON CONFLICT (name) DO UPDATE SET path = ?2, real_path = ?3, version = ?4, size_bytes = ?5, "            \
    "mtime_ns = ?6, sha256 = ?7, argv = ?8, auth = ?9, auth_detail = ?10, detected_at = ?11, updated_at = "  \
    "?12"
#define TOOL_TAKE_SQL                                                                                        \
    "UPDATE tool SET quota_used = CASE WHEN quota_day IS ?2 THEN quota_used + 1 ELSE 1 END, quota_day = ?2 " \
    "WHERE name = ?1 AND (?3 = 0 OR quota_day IS NOT ?2 OR quota_used < ?3)"
#define TOOL_GIVE_BACK_SQL                                                                                   \
    "UPDATE tool SET quota_used = quota_used - 1 WHERE name = ?1 AND quota_day = ?2 AND quota_used > 0"
#define TOOL_OK_SQL   "UPDATE tool SET last_ok_at = ?2 WHERE name = ?1"
#define TOOL_FAIL_SQL "UPDATE tool SET last_fail_at = ?2, last_error = ?3 WHERE name = ?1"
#define TOOL_LOGIN_SQL                                                                                       \
    "UPDATE tool SET auth = 'needs_login', auth_detail = ?2 WHERE name = ?1 AND auth <> 'needs_login'"
#define RUN_INSERT_SQL                                                                                       \
    "INSERT INTO tool_run (id, at, kind, name, program, principal_id, principal_name, request_id, outcome, " \
    "exit_code, signal, sandbox, input_bytes, output_bytes, duration_ms, error) "                            \
    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)"

int64_t day_of(int64_t epoch_ms)
{
    return epoch_ms / DAY_MS; /* nothing here is from before 1970 */
}

/* ---- reading ---- */

static int64_t number(const struct store_row *r, int column)
{
    return row_is_null(r, column) ? -1 : row_int(r, column);
}

static int auth_of(const char *text)
{
    for (size_t i = 0; i < COUNT_OF(hermes_tool_auth_names); i++)
        if (str_eq(hermes_tool_auth_names[i], text))
            return (int)i;
    return HERMES_TOOL_AUTH_UNKNOWN;
}

static int read_binding(void *ctx, const struct store_row *r)
{
    struct tool *tool = ctx;
    struct arena *a = tool->arena;
    tool->binding = (struct binding){
        .path = arena_strdup(a, row_text(r, 0)),
        .real_path = arena_strdup(a, row_text(r, 1)),
        .version = arena_strdup(a, row_text(r, 2)),
        .size_bytes = number(r, 3),
        .mtime_ns = number(r, 4),
        .sha256 = arena_strdup(a, row_text(r, 5)),
        .auth = auth_of(row_text(r, 6)),
        .auth_detail = arena_strdup(a, row_text(r, 7)),
        .enabled = row_int(r, 8) != 0,
        .row = true,
        .detected_at = number(r, 9),
        .quota_day = number(r, 10),
        .quota_used = row_int(r, 11),
        .last_ok_at = number(r, 12),
        .last_fail_at = number(r, 13),
        .last_error = arena_strdup(a, row_text(r, 14)),
    };
    return 0;
}

int binding_load(struct tool *tool, struct error *err)
{
    const struct store_value name = STORE_T(tool->name);
    if (tool->arena)
        arena_reset(tool->arena);
    else
        tool->arena = arena_create(0);
    tool->binding = (struct binding){.size_bytes = -1,
                                     .mtime_ns = -1,
                                     .auth = HERMES_TOOL_AUTH_UNKNOWN,
                                     .detected_at = -1,
                                     .last_ok_at = -1,
                                     .last_fail_at = -1,
                                     .quota_day = -1};
    if (!tool->arena)
        return error_set(err, VX11_ENOMEM, "out of memory");
    return store_query(tool->all->store, TOOL_BY_NAME_SQL, &name, 1, read_binding, tool, err);
}

/* ---- writing ---- */

static struct store_value known(int64_t n)
{
    return n >= 0 ? STORE_I(n) : STORE_N;
}

static int argv_json(const struct tool_def *def, struct buf *out)
{
    buf_putc(out, '[');
    for (size_t i = 0; def->args && def->args[i]; i++) {
        if (i > 0)
            buf_putc(out, ',');
        buf_put_json_string(out, def->args[i], strlen(def->args[i]));
    }
    buf_putc(out, ']');
    return out->failed ? VX11_ENOMEM : 0;
}

int binding_store(struct tool *tool, const struct binding *b, int64_t now, struct error *err)
{
    struct buf argv = BUF_INIT;
    int rc = argv_json(&tool->spec->def, &argv);
    if (rc == 0) {
        const struct store_value values[] = {
            STORE_T(tool->name),     STORE_T(b->path),     STORE_T(b->real_path),
            STORE_T(b->version),     known(b->size_bytes), known(b->mtime_ns),
            STORE_T(b->sha256),      STORE_T(argv.data),   STORE_T(hermes_tool_auth_names[b->auth]),
            STORE_T(b->auth_detail), STORE_I(now),         STORE_I(now)};
        rc = store_exec(tool->all->store, TOOL_BIND_SQL, values, COUNT_OF(values), NULL, err);
    }
    buf_free(&argv);
    return rc == 0 ? binding_load(tool, err) : rc;
}

bool binding_same(const struct binding *a, const struct binding *b)
{
    return str_eq(a->path, b->path) && str_eq(a->real_path, b->real_path) && str_eq(a->version, b->version) &&
           a->size_bytes == b->size_bytes && a->mtime_ns == b->mtime_ns && str_eq(a->sha256, b->sha256) &&
           a->auth == b->auth && str_eq(a->auth_detail, b->auth_detail);
}

bool binding_holds(const struct binding *b)
{
    struct stat st;
    return b->path && stat(b->path, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == b->size_bytes &&
           st.st_mtim.tv_sec * INT64_C(1000000000) + st.st_mtim.tv_nsec == b->mtime_ns;
}

/* ---- the day's quota ---- */

int quota_take(struct tool *tool, int64_t now, struct error *err)
{
    const struct store_value values[] = {STORE_T(tool->name), STORE_I(day_of(now)),
                                         STORE_I(tool->spec->quota_daily)};
    int64_t changes = 0;
    int rc = store_exec(tool->all->store, TOOL_TAKE_SQL, values, COUNT_OF(values), &changes, err);
    if (rc != 0)
        return rc;
    if (changes == 0)
        return error_set(err, VX11_EFULL, "%s has had its %lld runs of the day (UTC)", tool->name,
                         (long long)tool->spec->quota_daily);
    struct binding *b = &tool->binding;
    b->quota_used = b->quota_day == day_of(now) ? b->quota_used + 1 : 1;
    b->quota_day = day_of(now);
    return 0;
}

void quota_give_back(struct tool *tool, int64_t now)
{
    const struct store_value values[] = {STORE_T(tool->name), STORE_I(day_of(now))};
    struct error err = {0};
    if (store_exec(tool->all->store, TOOL_GIVE_BACK_SQL, values, COUNT_OF(values), NULL, &err) != 0)
        log_warn("tools", "a run that did not begin stays counted", LOG_S("tool", tool->name),
                 LOG_S("reason", err.text));
    else if (tool->binding.quota_day == day_of(now) && tool->binding.quota_used > 0)
        tool->binding.quota_used--;
}

/* ---- what became of it ---- */

static void push(struct tool *tool, const char *sql, const struct store_value *values, size_t n)
{
    if (writer_push(tool->all->writer, sql, values, n) != 0)
        log_warn("tools", "a row is lost: the writer's queue is full", LOG_S("tool", tool->name));
}

void binding_note_ok(struct tool *tool, int64_t now)
{
    const struct store_value values[] = {STORE_T(tool->name), STORE_I(now)};
    tool->binding.last_ok_at = now;
    push(tool, TOOL_OK_SQL, values, COUNT_OF(values));
}

void binding_note_fail(struct tool *tool, const char *reason, bool needs_login, int64_t now)
{
    const struct store_value values[] = {STORE_T(tool->name), STORE_I(now), STORE_T(reason)};
    tool->binding.last_fail_at = now;
    tool->binding.last_error = arena_strdup(tool->arena, reason);
    push(tool, TOOL_FAIL_SQL, values, COUNT_OF(values));
    if (!needs_login)
        return;
    const struct store_value login[] = {STORE_T(tool->name), STORE_T(reason)};
    tool->binding.auth = HERMES_TOOL_AUTH_NEEDS_LOGIN;
    tool->binding.auth_detail = tool->binding.last_error;
    push(tool, TOOL_LOGIN_SQL, login, COUNT_OF(login));
}

void audit_write(struct writer *w, const struct audit *a)
{
    char id[ULID_LEN + 1];
    const struct child_result *r = a->result;
    const struct store_value values[] = {
        STORE_T(ulid_make(id)),
        STORE_I(a->at),
        STORE_T(a->kind),
        STORE_T(a->name),
        STORE_T(a->program),
        STORE_T(a->principal ? a->principal->id : NULL),
        STORE_T(a->principal ? a->principal->name : NULL),
        STORE_T(a->request_id),
        STORE_T(a->outcome),
        r && r->exit_code >= 0 ? STORE_I(r->exit_code) : STORE_N,
        r && r->term_signal > 0 ? STORE_I(r->term_signal) : STORE_N,
        STORE_T(r ? r->sandboxed ? "bubblewrap" : "limits" : NULL),
        STORE_I(a->input_bytes),
        STORE_I(r ? (int64_t)r->out_bytes : 0),
        STORE_I(r ? r->duration_ms : 0),
        STORE_T(a->error),
    };
    if (writer_push(w, RUN_INSERT_SQL, values, COUNT_OF(values)) != 0)
        log_error("tools", "an audit row is lost: the writer's queue is full", LOG_S("name", a->name));
}
