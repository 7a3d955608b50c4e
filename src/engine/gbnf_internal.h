/* Inside of GBNF: gbnf.c reads the text, gbnf_check.c looks at the rules as a whole. */
#ifndef VX11_ENGINE_GBNF_INTERNAL_H
#define VX11_ENGINE_GBNF_INTERNAL_H

#include "engine/gbnf.h"

/* Undefined rules, and left recursion; fills `nullable`. 0, VX11_ESYNTAX or VX11_ENOMEM. */
int gbnf_check(struct gbnf *g, struct gbnf_fault *fault);

#endif
