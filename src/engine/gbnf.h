/* GBNF: llama.cpp's grammar notation, from text to rules.
 *
 *   root  ::= "{" ws (pair ("," ws pair)*)? "}"      literals, references, groups
 *   pair  ::= [a-z]+ ":" [^"\n]{1,20}                classes, repetitions
 *   call  ::= <|tool|> !<[1234]>                     one token by its text or number; any token but that
 *
 * What llama.cpp reads is read here, by the same rules, with three differences: an error says where it is,
 * repetitions are never silently made endless, and left recursion is found wherever it hides. */
#ifndef VX11_ENGINE_GBNF_H
#define VX11_ENGINE_GBNF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/model.h"

enum {
    GBNF_TEXT_MOST = 1 << 20,     /* bytes */
    GBNF_ELEMENTS_MOST = 1 << 18, /* after repetitions were written out */
    GBNF_DEPTH_MOST = 64          /* of parentheses */
};

enum gbnf_kind {
    GBNF_END,       /* of an alternative */
    GBNF_ALT,       /* while parsing only */
    GBNF_RULE,      /* value: index of a rule */
    GBNF_CHAR,      /* a code point */
    GBNF_SET,       /* index of a set */
    GBNF_TOKEN,     /* that token */
    GBNF_TOKEN_NOT, /* any other */
};

struct gbnf_element {
    enum gbnf_kind kind;
    uint32_t value;
};

struct gbnf_range {
    uint32_t low, high; /* both in it */
};

struct gbnf_set { /* of code points: sorted ranges that do not touch */
    uint32_t first, count;
    uint64_t ascii[2]; /* the first 128, as bits */
};

struct gbnf_rule {
    uint32_t first, count; /* alternatives */
    bool defined;
    bool nullable; /* it may be nothing */
    uint32_t line;
    const char *name; /* within the text that was compiled; of a group: its rule's */
    uint32_t name_len;
};

struct gbnf {
    struct gbnf_element *elements;
    uint32_t *alternatives; /* where each begins in elements; it goes on to its GBNF_END */
    struct gbnf_rule *rules;
    struct gbnf_set *sets;
    struct gbnf_range *ranges;
    size_t element_count, alternative_count, rule_count, set_count, range_count;
    size_t element_cap, alternative_cap, rule_cap, set_cap, range_cap;
    uint32_t root;
    char *text; /* its own copy */
};

struct gbnf_fault {
    size_t line, column; /* from 1; 0: not at one place */
    char text[256];
};

/* m: whose tokens are meant; NULL: a grammar that names tokens is refused. 0, VX11_ESYNTAX or VX11_ETOO_LARGE
 * (see *fault) or VX11_ENOMEM. The caller owns *out: gbnf_free. Any thread. */
int gbnf_compile(const char *text, size_t len, const struct model *m, struct gbnf **out,
                 struct gbnf_fault *fault);
void gbnf_free(struct gbnf *g); /* NULL is fine */
bool gbnf_set_has(const struct gbnf *g, uint32_t set, uint32_t code_point);
/* Whether the set has any code point from low to high. */
bool gbnf_set_meets(const struct gbnf *g, uint32_t set, uint32_t low, uint32_t high);

#endif
