/* Groups: models that belong together, as the configuration has them. A model is in one at most. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hermes/pool/pool.h"

struct group {
    char name[65];
    char (*models)[129];
    size_t count;
};

void groups_free(struct engines *all)
{
    for (size_t i = 0; i < all->group_count; i++)
        free(all->groups[i].models);
    free(all->groups);
    all->groups = NULL;
    all->group_count = 0;
}

int group_of(const struct engines *all, const char *name)
{
    for (size_t i = 0; i < all->group_count; i++) {
        for (size_t k = 0; k < all->groups[i].count; k++) {
            if (strcmp(all->groups[i].models[k], name) == 0)
                return (int)i + 1;
        }
    }
    return 0;
}

const char *group_name(const struct engines *all, int group)
{
    return group > 0 && (size_t)group <= all->group_count ? all->groups[group - 1].name : NULL;
}

int engines_set_groups(struct engines *all, const struct engine_group *groups, size_t n)
{
    struct group *copy = calloc(n + 1, sizeof *copy);
    bool ok = copy != NULL;
    for (size_t i = 0; ok && i < n; i++) {
        copy[i].count = groups[i].count;
        copy[i].models = calloc(groups[i].count + 1, sizeof *copy[i].models);
        ok = copy[i].models != NULL;
        (void)snprintf(copy[i].name, sizeof copy[i].name, "%s", groups[i].name);
        for (size_t k = 0; ok && k < groups[i].count; k++)
            (void)snprintf(copy[i].models[k], sizeof copy[i].models[k], "%s", groups[i].models[k]);
    }
    for (size_t i = 0; copy && !ok && i < n; i++)
        free(copy[i].models);
    if (!ok) {
        free(copy);
        return VX11_ENOMEM;
    }
    groups_free(all);
    all->groups = copy;
    all->group_count = n;
    for (struct engine *e = all->first; e; e = e->next)
        e->group = group_of(all, e->name);
    return 0;
}
