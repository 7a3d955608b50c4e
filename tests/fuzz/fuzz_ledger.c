/* Any bytes as an export of the ledger, in one piece and byte by byte: both must come to the same end, and
 * what is not sound must say why. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "store/ledger/ledger.h"

static int feed(const uint8_t *data, size_t len, size_t step, struct ledger_report *out)
{
    struct error err = {0};
    struct ledger_import *x = ledger_import_new(NULL);
    if (!x)
        abort();
    int rc = 0;
    for (size_t i = 0; i < len && rc == 0; i += step)
        rc = ledger_import_feed(x, (const char *)data + i, len - i < step ? len - i : step, &err);
    if (rc == 0)
        rc = ledger_import_end(x, out, &err);
    if (rc != err.code || (rc != 0 && !err.text[0]))
        abort();
    ledger_import_free(x);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct ledger_report whole = {0}, bytes = {0};
    int a = feed(data, len, len > 0 ? len : 1, &whole), b = feed(data, len, len > 4096 ? 977 : 1, &bytes);
    if (a != b)
        abort();
    if (a != 0)
        return 0;
    if (whole.fault != bytes.fault || whole.rows != bytes.rows || whole.bad != bytes.bad)
        abort();
    if ((whole.fault != LEDGER_SOUND) != (whole.reason[0] != '\0') || whole.bad > whole.rows)
        abort();
    return 0;
}
