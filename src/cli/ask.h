/* Ask: one typed call of a module's, waited for, its reply kept as long as the command. */
#ifndef VX11_CLI_ASK_H
#define VX11_CLI_ASK_H

#include "cli/cli_internal.h"

struct ask {
    struct cli *c;
    const struct contract_message *type; /* of the reply; NULL: none is expected */
    bool done;
    int result, status;  /* as in struct client_reply */
    const void *message; /* in the command's arena; NULL: failed, or none is expected */
    char code[64], text[512];
    struct client_call *call;
};

/* For (ask_begin(&a, c, &type), hermes_…_call(…, ask_reply, &a, &a.call)): pass the call's result on to
 * ask_wait. */
void ask_begin(struct ask *a, struct cli *c, const struct contract_message *type);
void ask_reply(struct client_call *call, void *ctx, const struct client_reply *reply);
/* true: a reply of status 2xx came, and it fits. Else text says why not. */
bool ask_wait(struct ask *a, int started);
/* Says on stderr why it failed, and gives the exit code. */
int ask_failed(const struct ask *a, const char *module);
struct client_call_options ask_within(int64_t ms);

#endif
