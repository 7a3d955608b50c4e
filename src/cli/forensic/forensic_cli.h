/* What the files of `vx11 forensic` share. */
#ifndef VX11_CLI_FORENSIC_H
#define VX11_CLI_FORENSIC_H

#include "api/cli.h"
#include "cli/cli_internal.h"
#include "module/forensic/forensic.h"
#include "store/store.h"

/* The database, for reading. NULL when it cannot be read; err says why. */
struct store *forensic_store(struct cli *c, struct error *err);

int forensic_bundle(int argc, char **argv); /* argv[0] is "bundle" */

#endif
