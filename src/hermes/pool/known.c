/* Known: an engine is forgotten when its process has gone and nobody waits, but not what its worker said it
 * takes: the next load is planned with that. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hermes/pool/pool.h"

#define KNOWN_MAX 256

struct known {
    struct known *next;
    char name[129];
    int64_t size_bytes, stated_bytes, full_bytes, process_bytes, device_bytes[DEVICES_MAX];
    int64_t last_used_at;
};

static struct known **known_find(struct engines *all, const char *name)
{
    struct known **at = &all->known;
    while (*at && strcmp((*at)->name, name) != 0)
        at = &(*at)->next;
    return at;
}

/* Another file of that name is another model. */
void known_recall(struct engine *e)
{
    const struct known *k = *known_find(e->all, e->name);
    if (!k || k->size_bytes != e->size_bytes)
        return;
    e->stated_bytes = k->stated_bytes;
    e->full_bytes = k->full_bytes;
    e->process_bytes = k->process_bytes;
    e->last_used_at = k->last_used_at;
    memcpy(e->device_bytes, k->device_bytes, sizeof e->device_bytes);
}

/* The one that was kept longest ago is given up for a new one. */
static struct known *known_new(struct engines *all)
{
    struct known **last = &all->known;
    size_t n = 0;
    for (struct known **at = &all->known; *at; at = &(*at)->next, n++)
        last = at;
    if (n < KNOWN_MAX)
        return calloc(1, sizeof(struct known));
    struct known *k = *last;
    *last = NULL;
    return k;
}

void known_keep(const struct engine *e)
{
    struct engines *all = e->all;
    struct known **at = known_find(all, e->name), *k = *at;
    if (e->full_bytes == 0 && e->stated_bytes == 0)
        return;
    if (k)
        *at = k->next;
    else if (!(k = known_new(all)))
        return;
    *k = (struct known){.next = all->known,
                        .size_bytes = e->size_bytes,
                        .stated_bytes = e->stated_bytes,
                        .full_bytes = e->full_bytes,
                        .process_bytes = e->process_bytes,
                        .last_used_at = e->last_used_at};
    (void)snprintf(k->name, sizeof k->name, "%s", e->name);
    memcpy(k->device_bytes, e->device_bytes, sizeof k->device_bytes);
    all->known = k;
}

void known_free(struct engines *all)
{
    while (all->known) {
        struct known *k = all->known;
        all->known = k->next;
        free(k);
    }
}
