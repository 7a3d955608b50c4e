/* Priority: how soon a local engine is to serve a request: 0 first, 9 last, in the order of who asks.
 *
 *   Shub 0, a person at the front door or the operator 1, Madre 2, her daughters 3, everything else 4,
 *   discovery 5
 *
 * A caller may ask for another one with X-VX11-Priority: for a later place anybody, for an earlier one those
 * who may do everything, and VX11's own modules, which come over the Unix socket on nobody's behalf. */
#include "switch/switch_internal.h"

#include "base/str.h"

enum { PRIORITY_PERSON = 1, PRIORITY_OTHER = 4, PRIORITY_LAST = 9 };

static int of_source(const char *source)
{
    static const struct {
        const char *name;
        int priority;
    } sources[] = {{"shub", 0},  {"operator", 1}, {"tentaculo_link", 1}, {"link", 1},
                   {"madre", 2}, {"hijas", 3},    {"hija", 3},           {"discovery", 5}};
    for (size_t i = 0; i < COUNT_OF(sources); i++)
        if (str_eq(source, sources[i].name))
            return sources[i].priority;
    return PRIORITY_OTHER;
}

int priority_wanted(struct request *r, const char *source, int64_t wish)
{
    const struct principal *p = request_principal(r);
    /* A module that passes a caller on says whom. */
    const bool module = p && p->kind == AUTH_PEER && !request_header(r, "X-VX11-Principal");
    const bool trusted = module || (p && principal_allows(p, CONTRACT_SCOPE_ADMIN));
    int own = module ? PRIORITY_OTHER : PRIORITY_PERSON;
    if (wish < 0 && source)
        wish = of_source(source);
    return wish < 0 || (wish < own && !trusted) ? own : (int)wish;
}

int priority_of(struct request *r, const char *source)
{
    const char *header = request_header(r, "X-VX11-Priority");
    int64_t wish = -1;
    if (header && str_to_i64(header, 0, PRIORITY_LAST, &wish) != 0)
        wish = -1; /* not a priority: as if it had not been said */
    return priority_wanted(r, header && wish < 0 ? NULL : source, wish);
}
