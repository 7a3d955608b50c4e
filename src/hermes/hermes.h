/* Hermes: the registry of models and the keeper of engines. Its one public entry. */
#ifndef VX11_HERMES_HERMES_H
#define VX11_HERMES_HERMES_H

#include "module/module.h"

extern const struct module_spec hermes_spec;

#endif
