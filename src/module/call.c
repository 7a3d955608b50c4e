/* Call: what a module passes on when a request of its own makes it call another module. */
#include "module/module_internal.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"

/* What each hop keeps back of the remaining time, so that the inner deadline passes before the outer one and
 * the inner error is seen. */
#define CALL_MARGIN_MS 50

void module_call_options(struct request *r, struct client_call_options *out)
{
    memset(out, 0, sizeof *out);
    out->request_id = request_id(r);
    out->trace = request_trace(r);
    int64_t deadline = request_deadline_ms(r);
    out->deadline_ms = deadline == INT64_MAX ? 0 : deadline - CALL_MARGIN_MS;
    const struct principal *p = request_principal(r);
    struct client_header *header = arena_zalloc(request_arena(r), sizeof *header);
    if (!p || !header)
        return;
    char scopes[128];
    header->name = "X-VX11-Principal";
    header->value = arena_printf(request_arena(r), "%s;%s;%s", p->id, p->name,
                                 auth_scopes_format(p->scopes, scopes, sizeof scopes));
    if (!header->value)
        return;
    out->headers = header;
    out->header_count = 1;
}

int module_socket(const struct module *m, const char *name, char *out, size_t size)
{
    int n = snprintf(out, size, "%s/run/%s.sock", m->home, name);
    return n > 0 && (size_t)n < size ? 0 : VX11_ETOO_LARGE;
}

const struct client_target *module_peer(struct module *m, const char *name)
{
    for (size_t i = 0; i < m->peer_count; i++)
        if (strcmp(m->peers[i].name, name) == 0)
            return &m->peers[i].target;
    if (m->peer_count == MODULE_PEERS) {
        log_error("module", "too many peers: raise MODULE_PEERS", LOG_S("name", name));
        return &m->peers[0].target;
    }
    struct module_peer *p = &m->peers[m->peer_count++];
    snprintf(p->name, sizeof p->name, "%s", name);
    /* module_run has checked that the home is short enough for this to fit. */
    if (module_socket(m, name, p->socket, sizeof p->socket) != 0)
        log_error("module", "the path of a socket is too long", LOG_S("name", name));
    p->target = (struct client_target){.base_url = "http://localhost", .socket = p->socket};
    return &p->target;
}
