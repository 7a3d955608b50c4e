/* Sessions: who holds which, and the clock that cleans. Rows are made and read in the other files.
 *
 * What is held lives in memory only: it is the turns that run in this process, and none outlives it. A crash
 * leaves their answers streaming in the database, which the next start marks as failed. */
#include "operator/sessions/sessions_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "operator/files/files.h"

#define CLEAN_FIRST_MS 1000 /* after the start */
#define CLEAN_EVERY_MS 15000
#define CLEAN_MORE_MS  50 /* between steps while there is more to do */
#define CLEAN_MOST     8  /* sessions in one step: requests wait no longer than for that */

const struct config_operator *sessions_config(const struct sessions *s)
{
    return operator_config(s->o);
}

/* ---- holding ---- */

bool sessions_held(const struct sessions *s, const char *session_id)
{
    for (size_t i = 0; i < s->held_count; i++)
        if (strcmp(s->held[i], session_id) == 0)
            return true;
    return false;
}

int sessions_hold(struct sessions *s, const char *session_id, struct error *err)
{
    if (!ulid_valid(session_id))
        return error_set(err, VX11_EINVALID, "a session's id has 26 characters");
    if (sessions_held(s, session_id))
        return error_set(err, VX11_EBUSY,
                         "an answer of this session is being generated; stop it or wait for it");
    if (s->held_count == s->held_size) {
        size_t size = s->held_size ? 2 * s->held_size : 16;
        void *grown = reallocarray(s->held, size, sizeof *s->held);
        if (!grown)
            return error_set(err, VX11_ENOMEM, "out of memory");
        s->held = grown;
        s->held_size = size;
    }
    memcpy(s->held[s->held_count++], session_id, ULID_LEN + 1);
    return 0;
}

void sessions_release(struct sessions *s, const char *session_id)
{
    for (size_t i = 0; i < s->held_count; i++)
        if (strcmp(s->held[i], session_id) == 0) {
            memmove(s->held + i, s->held + i + 1, (s->held_count - i - 1) * sizeof *s->held);
            s->held_count--;
            return;
        }
}

void session_fail(struct request *r, const struct error *err)
{
    if (err->code == VX11_EBUSY)
        request_fail(r, 409, "session_busy", NULL, "%s", err->text);
    else if (err->code == VX11_EFULL)
        request_fail(r, 507, "storage_full", NULL, "%s", err->text);
    else if (err->code == VX11_EUNSUPPORTED)
        request_fail(r, 422, "not_supported", NULL, "%s", err->text);
    else
        request_fail_error(r, err);
}

/* ---- cleaning ---- */

static void on_timer(uv_timer_t *timer)
{
    struct sessions *s = timer->data;
    struct error err = {0};
    bool more = false;
    int rc = session_clean(s, clock_wall_ms(), CLEAN_MOST, &more, &err);
    if (rc != 0)
        log_warn("sessions", "could not clean", LOG_S("error", err.text));
    if (!s->closing)
        uv_timer_start(timer, on_timer, rc == 0 && more ? CLEAN_MORE_MS : CLEAN_EVERY_MS, 0);
}

void sessions_clean_soon(struct sessions *s)
{
    if (!s->closing)
        uv_timer_start(&s->timer, on_timer, CLEAN_MORE_MS, 0);
}

/* ---- life ---- */

static int mark_all(void *ctx, struct store *store, struct error *err)
{
    static const char error[] =
        "{\"message\":\"The operator ended while this was being generated; what is here is a part.\","
        "\"type\":\"api_error\",\"code\":\"interrupted\",\"param\":null,\"request_id\":null}";
    int64_t now = clock_wall_ms();
    int rc = store_exec(
        store,
        "UPDATE operator_message SET status = 'failed', ended_at = max(created_at, ?1), error = ?2 "
        "WHERE status = 'streaming'",
        (struct store_value[]){STORE_I(now), STORE_T(error)}, 2, ctx, err);
    if (rc == 0)
        rc = store_exec(store,
                        "UPDATE operator_tool_call SET status = 'cancelled', ended_at = ?1, "
                        "error = 'the operator ended before it did' WHERE status IN ('waiting', 'running')",
                        (struct store_value[]){STORE_I(now)}, 1, NULL, err);
    return rc;
}

int sessions_create(struct operator_ *o, struct sessions **out, struct error *err)
{
    struct sessions *s = calloc(1, sizeof *s);
    int64_t interrupted = 0;
    if (!s)
        return error_set(err, VX11_ENOMEM, "out of memory");
    s->o = o;
    s->store = module_store(o->m);
    int rc = store_transaction(s->store, mark_all, &interrupted, err);
    if (rc != 0) {
        free(s);
        return error_prefix(err, rc, "sessions");
    }
    if (interrupted > 0)
        log_warn("sessions", "answers were cut off by the last end", LOG_I("answers", interrupted));
    uv_timer_init(module_loop(o->m), &s->timer);
    s->timer.data = s;
    uv_timer_start(&s->timer, on_timer, CLEAN_FIRST_MS, 0);
    *out = s;
    return 0;
}

void sessions_close(struct sessions *s)
{
    if (!s || s->closing)
        return;
    s->closing = true;
    uv_timer_stop(&s->timer);
    uv_close((uv_handle_t *)&s->timer, NULL);
}

void sessions_free(struct sessions *s)
{
    if (!s)
        return;
    free(s->held);
    free(s);
}
