/* vx11: every module and the command line in one program. `vx11 run NAME` is a module's process; all else is
 * a client of one. */
#include "cli/cli.h"
#include "hermes/hermes.h"
#include "link/link.h"
#include "operator/operator.h"
#include "switch/switch.h"

const struct cli_module cli_modules[] = {
    {"link", &link_spec},
    {"switch", &switch_spec},
    {"hermes", &hermes_spec},
    {"operator", &operator_spec},
};
const size_t cli_module_count = sizeof cli_modules / sizeof cli_modules[0];

int main(int argc, char **argv)
{
    return cli_main(argc, argv);
}
