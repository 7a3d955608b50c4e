/* What is wrong with a grammar as a whole: a rule that is named and never defined, and left recursion.
 *
 * A rule is left-recursive when it can begin with itself: matching it would push on and on before it takes a
 * character. "Can begin with" passes over whatever may be nothing, so that is worked out first. An endless
 * repetition of something that may be nothing, A ::= S A |, also begins with itself, but at its very end,
 * where nothing is pushed: that does no harm and is let through. */
#include "engine/gbnf_internal.h"

#include <stdio.h>
#include <stdlib.h>

static int blame(const struct gbnf *g, uint32_t rule, const char *what, struct gbnf_fault *fault)
{
    const struct gbnf_rule *r = &g->rules[rule];
    fault->line = r->line;
    fault->column = 1;
    (void)snprintf(fault->text, sizeof fault->text, "rule %.*s is %s",
                   (int)(r->name_len > 64 ? 64 : r->name_len), r->name, what);
    return VX11_ESYNTAX;
}

/* ---- what may be nothing ---- */

struct nullable {
    uint32_t *missing;     /* of each alternative: references not known to be nullable; UINT32_MAX: never */
    uint32_t *owner;       /* rule of each alternative */
    uint32_t *used, *uses; /* of each rule: where its occurrences begin in uses, which has alternatives */
    uint32_t *todo;
    size_t todo_count;
};

static void found(struct gbnf *g, struct nullable *n, uint32_t rule)
{
    if (g->rules[rule].nullable)
        return;
    g->rules[rule].nullable = true;
    n->todo[n->todo_count++] = rule;
}

static void count_missing(const struct gbnf *g, struct nullable *n)
{
    for (uint32_t r = 0; r < g->rule_count; r++) {
        for (uint32_t a = g->rules[r].first; a < g->rules[r].first + g->rules[r].count; a++) {
            n->owner[a] = r;
            for (uint32_t e = g->alternatives[a]; g->elements[e].kind != GBNF_END; e++) {
                if (g->elements[e].kind != GBNF_RULE) {
                    n->missing[a] = UINT32_MAX;
                    break;
                }
                n->missing[a]++;
            }
            for (uint32_t e = g->alternatives[a]; g->elements[e].kind != GBNF_END; e++) {
                if (g->elements[e].kind == GBNF_RULE)
                    n->used[g->elements[e].value + 1]++;
            }
        }
    }
}

static void index_uses(const struct gbnf *g, struct nullable *n, uint32_t *next)
{
    for (size_t r = 0; r < g->rule_count; r++) {
        n->used[r + 1] += n->used[r];
        next[r] = n->used[r];
    }
    for (uint32_t a = 0; a < g->alternative_count; a++) {
        for (uint32_t e = g->alternatives[a]; g->elements[e].kind != GBNF_END; e++) {
            if (g->elements[e].kind == GBNF_RULE)
                n->uses[next[g->elements[e].value]++] = a;
        }
    }
}

static int nullable_find(struct gbnf *g)
{
    struct nullable n = {.missing = calloc(g->alternative_count + 1, sizeof(uint32_t)),
                         .owner = calloc(g->alternative_count + 1, sizeof(uint32_t)),
                         .used = calloc(g->rule_count + 2, sizeof(uint32_t)),
                         .uses = calloc(g->element_count + 1, sizeof(uint32_t)),
                         .todo = calloc(g->rule_count + 1, sizeof(uint32_t))};
    uint32_t *next = calloc(g->rule_count + 1, sizeof *next);
    int rc = n.missing && n.owner && n.used && n.uses && n.todo && next ? 0 : VX11_ENOMEM;
    if (rc == 0) {
        count_missing(g, &n);
        index_uses(g, &n, next);
        for (uint32_t a = 0; a < g->alternative_count; a++) {
            if (n.missing[a] == 0)
                found(g, &n, n.owner[a]);
        }
        while (n.todo_count > 0) {
            const uint32_t rule = n.todo[--n.todo_count];
            for (uint32_t i = n.used[rule]; i < n.used[rule + 1]; i++) {
                const uint32_t a = n.uses[i];
                if (n.missing[a] != UINT32_MAX && --n.missing[a] == 0)
                    found(g, &n, n.owner[a]);
            }
        }
    }
    free(n.missing);
    free(n.owner);
    free(n.used);
    free(n.uses);
    free(n.todo);
    free(next);
    return rc;
}

/* ---- who begins with whom: Tarjan's components, without recursion ---- */

struct visit {
    uint32_t rule, alternative, element;
};

struct walk {
    struct gbnf *g;
    uint32_t *order, *low, *component; /* of each rule; order 0: not seen, component 0: not settled */
    uint32_t *stack;
    struct visit *path;
    size_t stack_count, path_count;
    uint32_t orders, components;
};

/* The next rule that v's rule can begin with; false: none is left. */
static bool next_edge(const struct gbnf *g, struct visit *v, uint32_t *to, uint32_t *element)
{
    const struct gbnf_rule *r = &g->rules[v->rule];
    while (v->alternative < r->first + r->count) {
        const struct gbnf_element *e = &g->elements[v->element];
        if (e->kind == GBNF_RULE) {
            *to = e->value;
            *element = v->element;
            if (g->rules[e->value].nullable) {
                v->element++;
                return true;
            }
        }
        const bool edge = e->kind == GBNF_RULE;
        if (++v->alternative < r->first + r->count)
            v->element = g->alternatives[v->alternative];
        if (edge)
            return true;
    }
    return false;
}

static void enter(struct walk *w, uint32_t rule)
{
    w->order[rule] = w->low[rule] = ++w->orders;
    w->stack[w->stack_count++] = rule;
    const uint32_t first = w->g->rules[rule].first;
    w->path[w->path_count++] = (struct visit){rule, first, w->g->alternatives[first]};
}

static void leave(struct walk *w, uint32_t rule)
{
    w->path_count--;
    if (w->path_count > 0) {
        const uint32_t parent = w->path[w->path_count - 1].rule;
        if (w->low[rule] < w->low[parent])
            w->low[parent] = w->low[rule];
    }
    if (w->low[rule] != w->order[rule])
        return;
    w->components++;
    uint32_t member;
    do {
        member = w->stack[--w->stack_count];
        w->component[member] = w->components;
    } while (member != rule);
}

static void components_find(struct walk *w, uint32_t start)
{
    enter(w, start);
    while (w->path_count > 0) {
        struct visit *v = &w->path[w->path_count - 1];
        uint32_t to = 0, element = 0;
        if (!next_edge(w->g, v, &to, &element))
            leave(w, v->rule);
        else if (w->order[to] == 0)
            enter(w, to);
        else if (w->component[to] == 0 && w->order[to] < w->low[v->rule])
            w->low[v->rule] = w->order[to];
    }
}

static int recursion_check(struct walk *w, struct gbnf_fault *fault)
{
    const struct gbnf *g = w->g;
    for (uint32_t rule = 0; rule < g->rule_count; rule++) {
        struct visit v = {rule, g->rules[rule].first, g->alternatives[g->rules[rule].first]};
        uint32_t to = 0, element = 0;
        while (next_edge(g, &v, &to, &element)) {
            const bool first = element == 0 || g->elements[element - 1].kind == GBNF_END;
            const bool last = g->elements[element + 1].kind == GBNF_END;
            if (w->component[rule] == w->component[to] && (first || !last))
                return blame(g, rule, "left-recursive: it can begin with itself", fault);
        }
    }
    return 0;
}

static int left_recursion(struct gbnf *g, struct gbnf_fault *fault)
{
    if (g->rule_count == 0)
        return 0;
    struct walk w = {.g = g,
                     .order = calloc(g->rule_count, sizeof(uint32_t)),
                     .low = calloc(g->rule_count, sizeof(uint32_t)),
                     .component = calloc(g->rule_count, sizeof(uint32_t)),
                     .stack = calloc(g->rule_count, sizeof(uint32_t)),
                     .path = calloc(g->rule_count, sizeof(struct visit))};
    int rc = w.order && w.low && w.component && w.stack && w.path ? 0 : VX11_ENOMEM;
    for (uint32_t r = 0; rc == 0 && r < g->rule_count; r++) {
        if (w.order[r] == 0)
            components_find(&w, r);
    }
    if (rc == 0)
        rc = recursion_check(&w, fault);
    free(w.order);
    free(w.low);
    free(w.component);
    free(w.stack);
    free(w.path);
    return rc;
}

int gbnf_check(struct gbnf *g, struct gbnf_fault *fault)
{
    for (uint32_t r = 0; r < g->rule_count; r++) {
        if (!g->rules[r].defined)
            return blame(g, r, "used here and defined nowhere", fault);
    }
    int rc = nullable_find(g);
    if (rc == 0)
        rc = left_recursion(g, fault);
    if (rc == VX11_ENOMEM)
        (void)snprintf(fault->text, sizeof fault->text, "out of memory");
    return rc;
}
