/* Describe: what openapi.c, typescript.c and markdown.c share: the messages that routes reach, and their
 * names outside C. */
#ifndef VX11_CONTRACT_DESCRIBE_H
#define VX11_CONTRACT_DESCRIBE_H

#include "contract/contract.h"

/* Messages in the order in which they were first met. Freed with message_set_free. */
struct message_set {
    const struct contract_message **items;
    size_t count, cap;
    bool failed; /* out of memory: sticky */
};

/* Adds m and everything its fields reach; NULL is fine. */
void message_set_add(struct message_set *s, const struct contract_message *m);
bool message_set_has(const struct message_set *s, const struct contract_message *m);
/* The bodies of a module's routes, or only what goes in: requests and parameters. */
void message_set_add_routes(struct message_set *s, const struct contract_module *module, bool only_input);
void message_set_free(struct message_set *s);

/* "OpenaiChatRequest": the table's name and the message's, unique over all tables. */
void describe_type_name(const struct contract_message *m, struct buf *out);
/* "A sentence. [ms]" */
void describe_field_doc(const struct contract_field *f, struct buf *out);
/* True when the route's path holds {name} or {name*}. */
bool describe_is_placeholder(const struct contract_route *r, const char *name);

#endif
