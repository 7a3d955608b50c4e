/* Tentáculo Link: the front door. One public entry: the module's description for module_run. */
#ifndef VX11_LINK_LINK_H
#define VX11_LINK_LINK_H

#include "module/module.h"

extern const struct module_spec link_spec;

#endif
