/* Pattern: regular expressions of the tables, compiled once each and kept.
 *
 * The patterns are constants of the program, so there is a bounded number of them, and the address of the
 * text names one. The table is a fixed array of slots, filled by compare-and-swap: no lock, and readers of a
 * filled slot only load. It stays reachable for the life of the process on purpose. */
#include <regex.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "contract/internal.h"

struct compiled {
    const char *pattern;
    regex_t re;
};

enum { SLOTS = 512 };
static _Atomic(struct compiled *) slots[SLOTS];

static struct compiled *pattern_compile(const char *pattern)
{
    size_t size = strlen(pattern) + 5;
    char *whole = malloc(size);
    struct compiled *c = malloc(sizeof *c);
    if (whole == NULL || c == NULL) {
        goto fail;
    }
    snprintf(whole, size, "^(%s)$", pattern);
    c->pattern = pattern;
    if (regcomp(&c->re, whole, REG_EXTENDED | REG_NOSUB) != 0) {
        goto fail;
    }
    free(whole);
    return c;
fail:
    free(whole);
    free(c);
    return NULL;
}

static void pattern_free(struct compiled *c)
{
    regfree(&c->re);
    free(c);
}

/* The kept one, compiling it at first use. *owned: the table is full, the caller frees it. */
static struct compiled *pattern_get(const char *pattern, bool *owned)
{
    *owned = false;
    size_t at = (size_t)(((uintptr_t)pattern * UINT64_C(0x9E3779B97F4A7C15)) >> 32) % SLOTS;
    for (size_t i = 0; i < SLOTS; i++, at = (at + 1) % SLOTS) {
        struct compiled *c = atomic_load_explicit(&slots[at], memory_order_acquire);
        if (c == NULL) {
            struct compiled *mine = pattern_compile(pattern);
            if (mine == NULL || atomic_compare_exchange_strong(&slots[at], &c, mine)) {
                return mine;
            }
            pattern_free(mine); /* another thread took the slot: c is now its entry */
        }
        if (c->pattern == pattern) {
            return c;
        }
    }
    *owned = true;
    return pattern_compile(pattern);
}

int contract_pattern_match(const char *pattern, const char *s, bool *matches)
{
    bool owned;
    struct compiled *c = pattern_get(pattern, &owned);
    if (c == NULL) {
        return VX11_EINTERNAL;
    }
    int rc = regexec(&c->re, s, 0, NULL, 0);
    if (owned) {
        pattern_free(c);
    }
    *matches = rc == 0;
    return rc == 0 || rc == REG_NOMATCH ? 0 : VX11_ENOMEM;
}
