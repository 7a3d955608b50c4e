/* Operator: what people see. Sessions and their chat, intents, the browser, files, and what the page shows.
 * Its one public entry. */
#ifndef VX11_OPERATOR_OPERATOR_H
#define VX11_OPERATOR_OPERATOR_H

#include "module/module.h"

extern const struct module_spec operator_spec;

#endif
