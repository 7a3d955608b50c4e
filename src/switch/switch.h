/* Switch: the router. One public entry: the module's description for module_run. */
#ifndef VX11_SWITCH_SWITCH_H
#define VX11_SWITCH_SWITCH_H

#include "module/module.h"

extern const struct module_spec switch_spec;

#endif
