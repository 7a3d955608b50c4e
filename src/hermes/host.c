/* Host: how the machine is off, as Switch measures it (fluzo). Hermes heeds one number of it: the share of
 * the memory that models may keep while nobody asks for them. When Switch cannot be asked, that is all of it.
 */
#include "api/switch_client.h"
#include "base/clock.h"
#include "hermes/hermes_internal.h"

#define HOST_EVERY_MS 15000
#define HOST_WAIT_MS  2000

static void on_fluzo(struct client_call *call, void *ctx, const struct client_reply *reply)
{
    struct hermes *h = ctx;
    const struct switch_fluzo_reply *fluzo = reply->message;
    (void)call;
    h->host_call = NULL;
    if (!h->stopped) /* else the engines may be gone */
        engines_set_pool_factor(h->engines, fluzo && fluzo->profile ? fluzo->profile->pool_factor : 1);
}

static void on_host_timer(uv_timer_t *timer)
{
    struct hermes *h = timer->data;
    const struct client_call_options options = {.deadline_ms = clock_mono_ms() + HOST_WAIT_MS};
    if (!h->host_call)
        (void)switch_fluzo_call(module_client(h->module), module_peer(h->module, "switch"), &options,
                                on_fluzo, h, &h->host_call);
}

void host_start(struct hermes *h)
{
    uv_timer_init(module_loop(h->module), &h->host_timer);
    h->host_timer.data = h;
    uv_timer_start(&h->host_timer, on_host_timer, HOST_EVERY_MS, HOST_EVERY_MS);
}

void host_stop(struct hermes *h)
{
    uv_timer_stop(&h->host_timer);
    if (h->host_call)
        client_cancel(h->host_call);
}
