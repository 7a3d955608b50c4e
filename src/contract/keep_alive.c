/* A model that is to stay for longer than a thousand years stays for ever: so sums do not overflow. */
#include "contract/keep_alive.h"

#include <string.h>

#include "base/str.h"

#define MS_MOST 31536000000000.0 /* a thousand years */

static int64_t in_ms(double ms)
{
    return ms < 0 || ms > MS_MOST ? KEEP_ALIVE_FOR_EVER : (int64_t)ms;
}

static const struct {
    const char *name;
    double ms;
} units[] = {
    /* the longer name first where one begins another */
    {"ns", 1e-6}, {"us", 1e-3}, {"\xc2\xb5s", 1e-3}, {"\xce\xbcs", 1e-3},
    {"ms", 1},    {"s", 1e3},   {"m", 6e4},          {"h", 3.6e6},
};

/* "1.5h" at *text; moves it behind. False: there is none. */
static bool piece(const char **text, double *ms)
{
    char number[32];
    const size_t len = strspn(*text, "0123456789.");
    double value;
    if (len == 0 || len >= sizeof number)
        return false;
    memcpy(number, *text, len);
    number[len] = '\0';
    if (number[0] == '.' || number[len - 1] == '.' || str_to_f64(number, &value) != 0)
        return false;
    for (size_t i = 0; i < COUNT_OF(units); i++) {
        if (!str_starts(*text + len, units[i].name))
            continue;
        *text += len + strlen(units[i].name);
        *ms += value * units[i].ms;
        return true;
    }
    return false;
}

int keep_alive_parse(const char *text, int64_t *ms, struct error *err)
{
    const char *at = text;
    double seconds, sum = 0;
    const bool negative = *at == '-';
    if (str_to_f64(text, &seconds) == 0) {
        *ms = in_ms(seconds * 1000);
        return 0;
    }
    at += *at == '-' || *at == '+';
    if (*at == '\0')
        goto bad;
    while (*at) {
        if (!piece(&at, &sum))
            goto bad;
    }
    *ms = in_ms(negative ? -sum : sum);
    return 0;
bad:
    return error_set(err, VX11_EINVALID,
                     "\"%.40s\" is no duration: write seconds, or \"10m\", \"1h30m\", \"-1\"", text);
}

int keep_alive_read(yyjson_val *value, bool *has, int64_t *ms, struct error *err)
{
    *has = value && !yyjson_is_null(value);
    if (!*has)
        return 0;
    if (yyjson_is_num(value)) {
        *ms = in_ms(yyjson_get_num(value) * 1000);
        return 0;
    }
    if (yyjson_is_str(value))
        return keep_alive_parse(yyjson_get_str(value), ms, err);
    *has = false;
    return error_set(err, VX11_EINVALID, "keep_alive must be a number of seconds or a text like \"10m\"");
}
