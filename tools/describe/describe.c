/* vx11-describe: the pages and types that are written from the contract's tables.
 *
 *   vx11-describe api               docs/API.md
 *   vx11-describe config            docs/CONFIG.md
 *   vx11-describe types             the page's TypeScript types
 *   vx11-describe openapi MODULE    what GET /openapi.json of that module answers
 *
 * to standard output. `./dev docs` writes the files; tests/checks/describe.sh compares them with what is
 * committed, so that neither can drift from the code. */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "contract/config.h"
#include "contract/contract.h"
#include "modules.h"
#include "version.h"

static const struct contract_module *const modules[] = {VX11_MODULES};
enum { MODULE_COUNT = sizeof modules / sizeof modules[0] };

static int describe_openapi(const char *name, struct buf *out)
{
    for (size_t i = 0; i < MODULE_COUNT; i++) {
        if (strcmp(modules[i]->name, name) == 0)
            return contract_openapi(modules[i], VX11_VERSION, out);
    }
    return VX11_ENOT_FOUND;
}

static int describe(int argc, char **argv, struct buf *out)
{
    if (argc == 2 && strcmp(argv[1], "api") == 0)
        return contract_markdown(modules, MODULE_COUNT, out);
    if (argc == 2 && strcmp(argv[1], "types") == 0)
        return contract_typescript(modules, MODULE_COUNT, out);
    if (argc == 2 && strcmp(argv[1], "config") == 0)
        return config_markdown(out);
    if (argc == 3 && strcmp(argv[1], "openapi") == 0)
        return describe_openapi(argv[2], out);
    fputs("usage: vx11-describe api | config | types | openapi MODULE\n", stderr);
    return VX11_EINVALID;
}

int main(int argc, char **argv)
{
    struct buf out = BUF_INIT;
    int rc = describe(argc, argv, &out);
    if (rc != 0) {
        fprintf(stderr, "vx11-describe: %s\n", error_describe(rc));
    } else if (fwrite(out.data, 1, out.len, stdout) != out.len || fflush(stdout) != 0) {
        perror("vx11-describe");
        rc = VX11_EIO;
    }
    buf_free(&out);
    return rc != 0;
}
