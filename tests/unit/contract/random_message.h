/* Random message: fills any message's struct with values that its table allows, and compares two structs by
 * the table. */
#ifndef VX11_TESTS_CONTRACT_RANDOM_MESSAGE_H
#define VX11_TESTS_CONTRACT_RANDOM_MESSAGE_H

#include "contract/contract.h"

struct random_source {
    uint64_t state;
    struct arena *arena;
};

uint64_t random_next(struct random_source *r);
/* Fills out; level bounds recursion (start with 0). */
void random_message_fill(struct random_source *r, const struct contract_message *m, void *out,
                         unsigned level);
/* NULL when equal, else the name of the first field that differs. */
const char *message_difference(const struct contract_message *m, const void *a, const void *b);

#endif
