/* Story: each attempt of a request as it went, for the row of its decision. Written when an attempt ends, as
 * whole microseconds: that costs a microsecond or two, and nothing while it runs. sql/0014 says the form. */
#include "switch/switch_internal.h"

#include <string.h>

#include "base/clock.h"
#include "base/str.h"

enum { STORY_ATTEMPTS = 16, STORY_ERROR = 300, STORY_MOST = 32768 };

static int64_t micro_since(const struct account *account, uint64_t ns)
{
    return ns >= account->began_ns ? (int64_t)((ns - account->began_ns) / 1000) : 0;
}

/* A moment `seconds` after another; negative: it was not reached. */
static int64_t micro_after(int64_t from, double seconds)
{
    return from < 0 || seconds < 0 ? -1 : from + (int64_t)(seconds * 1e6);
}

void story_attempt(struct attempt *a, enum switch_attempt_end end, int status, const char *error)
{
    struct account *account = &a->d->account;
    struct buf *b = &account->story;
    if (a->noted || account->told == STORY_ATTEMPTS || b->len > STORY_MOST)
        return;
    a->noted = true;
    account->told++;
    const int64_t start = micro_since(account, a->began_ns);
    const int64_t called = a->called_ns ? micro_since(account, a->called_ns) : -1;
    buf_puts(b, b->len ? ",{\"p\":" : "[{\"p\":");
    buf_put_json_string(b, a->provider->name, strlen(a->provider->name));
    buf_puts(b, ",\"m\":");
    buf_put_json_string(b, a->candidate->model, strlen(a->candidate->model));
    buf_printf(b, ",\"k\":%d,\"o\":%d,\"s\":%d,\"t\":[%lld,%lld,%lld,%lld,%lld,%lld]", (int)a->kind, (int)end,
               status, (long long)start, (long long)called, (long long)micro_after(called, a->connected_s),
               (long long)micro_after(called, a->headers_s),
               (long long)micro_after(start, a->first_token_ms / 1000),
               (long long)micro_since(account, clock_mono_ns()));
    if (error && error[0]) {
        const size_t len = strlen(error);
        buf_puts(b, ",\"e\":");
        buf_put_json_string(b, error, len > STORY_ERROR ? utf8_valid_prefix(error, STORY_ERROR) : len);
    }
    buf_putc(b, '}');
}
