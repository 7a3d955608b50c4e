/* Secrets: what must not leave the machine in a bundle. Two nets, one behind the other: what looks like a
 * secret (log_redact), and the very values that this installation knows: the owner's token, the keys that the
 * configuration and the added providers name by file or variable, and every variable whose name says so. */
#ifndef VX11_CLI_FORENSIC_SECRETS_H
#define VX11_CLI_FORENSIC_SECRETS_H

#include "base/buf.h"
#include "contract/config.h"
#include "store/store.h"

struct secrets;
/* config and store may be NULL: then theirs are not known. VX11_ENOMEM. */
int secrets_collect(const char *home, const struct config *config, struct store *store, struct secrets **out);
void secrets_free(struct secrets *s); /* overwrites them; NULL is fine */

/* Appends text with what is secret hidden. hidden counts. VX11_ENOMEM. */
int secrets_redact(const struct secrets *s, const char *text, size_t len, struct buf *out, int64_t *hidden);
/* The same for JSON: member by member, so that it stays JSON. What is no JSON is treated as text. */
int secrets_redact_json(const struct secrets *s, const char *text, size_t len, struct buf *out,
                        int64_t *hidden);

#endif
