/* Yaml: a YAML file that a message of the contract describes, read as the configuration is: values by the
 * table's types, unknown keys refused, the line named in errors. */
#ifndef VX11_CONTRACT_YAML_H
#define VX11_CONTRACT_YAML_H

#include "contract/contract.h"

/* name stands for the file in sentences. out: a struct of m, in the arena's memory. 0, or VX11_EINVALID,
 * VX11_ESYNTAX, VX11_ETOO_LARGE (above 1 MiB), VX11_ENOMEM. */
int contract_yaml_parse(const struct contract_message *m, struct arena *a, const char *name, const char *text,
                        size_t len, void *out, struct error *err);

#endif
