/* Cache: entries in a table of chains, and in one list by last use. */
#include "switch/cache/cache.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"

#define BUCKETS 4096

const char *const cache_result_names[CACHE_RESULTS] = {"hit", "miss", "bypass"};

struct entry {
    struct entry *chain;         /* in its bucket */
    struct entry *newer, *older; /* by last use */
    unsigned char key[CACHE_KEY_LEN];
    size_t bytes;             /* of the whole block */
    int64_t kept_at;          /* monotonic ms */
    struct cache_reply reply; /* its texts lie behind */
    char texts[];
};

struct cache {
    struct cache_options o;
    struct entry *buckets[BUCKETS];
    struct entry *newest, *oldest;
    struct cache_stats stats;
};

struct cache *cache_create(const struct cache_options *o)
{
    struct cache *c = calloc(1, sizeof *c);
    if (c)
        c->o = *o;
    return c;
}

static struct entry **slot_of(struct cache *c, const unsigned char *key)
{
    uint32_t h;
    // NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): callers have an entry
    memcpy(&h, key, sizeof h); /* the key is a hash already */
    struct entry **slot = &c->buckets[h % BUCKETS];
    while (*slot && memcmp((*slot)->key, key, CACHE_KEY_LEN) != 0)
        slot = &(*slot)->chain;
    return slot;
}

static void list_take(struct cache *c, struct entry *e)
{
    *(e->newer ? &e->newer->older : &c->newest) = e->older;
    *(e->older ? &e->older->newer : &c->oldest) = e->newer;
    e->newer = e->older = NULL;
}

static void list_put(struct cache *c, struct entry *e)
{
    e->older = c->newest;
    *(c->newest ? &c->newest->newer : &c->oldest) = e;
    c->newest = e;
}

static void entry_drop(struct cache *c, struct entry **slot)
{
    struct entry *e = *slot;
    // NOLINTNEXTLINE(clang-analyzer-core.NullDereference): callers give the slot of an entry
    *slot = e->chain;
    list_take(c, e);
    c->stats.entries--;
    c->stats.bytes -= e->bytes;
    free(e);
}

void cache_clear(struct cache *c)
{
    while (c->oldest)
        entry_drop(c, slot_of(c, c->oldest->key));
}

void cache_destroy(struct cache *c)
{
    if (!c)
        return;
    cache_clear(c);
    free(c);
}

void cache_configure(struct cache *c, const struct cache_options *o)
{
    cache_clear(c);
    c->o = *o;
}

bool cache_enabled(const struct cache *c)
{
    return c && c->o.enabled;
}

bool cache_find(struct cache *c, const unsigned char key[CACHE_KEY_LEN], int64_t version, int64_t max_age_ms,
                int64_t now, struct cache_reply *out)
{
    struct entry **slot = slot_of(c, key), *e = *slot;
    if (!e)
        return false;
    int64_t age = now - e->kept_at;
    if (age > c->o.ttl_ms || (e->reply.local && e->reply.version != version)) {
        c->stats.expired++;
        entry_drop(c, slot);
        return false;
    }
    if (max_age_ms >= 0 && age > max_age_ms)
        return false;
    list_take(c, e);
    list_put(c, e);
    *out = e->reply;
    out->age_ms = age;
    return true;
}

/* ---- what is worth keeping ---- */

static bool says_nothing(yyjson_val *v)
{
    return !v || yyjson_is_null(v) || (yyjson_is_arr(v) && yyjson_arr_size(v) == 0) ||
           (yyjson_is_obj(v) && yyjson_obj_size(v) == 0);
}

/* Whole, by itself or by its bound, and no call of a tool: who asks again must not have it done again. */
static bool choice_is_good(yyjson_val *choice)
{
    const char *finish = yyjson_get_str(yyjson_obj_get(choice, "finish_reason"));
    yyjson_val *message = yyjson_obj_get(choice, "message");
    return finish && (strcmp(finish, "stop") == 0 || strcmp(finish, "length") == 0) &&
           says_nothing(yyjson_obj_get(message, "tool_calls")) &&
           says_nothing(yyjson_obj_get(message, "function_call"));
}

static bool reply_is_good(const char *body, size_t len)
{
    yyjson_doc *doc = yyjson_read(body, len, 0);
    yyjson_val *root = yyjson_doc_get_root(doc), *choices = yyjson_obj_get(root, "choices"), *choice;
    bool good = says_nothing(yyjson_obj_get(root, "error"));
    size_t i, n;
    if (yyjson_is_arr(choices)) {
        good = good && yyjson_arr_size(choices) > 0;
        yyjson_arr_foreach(choices, i, n, choice) good = good && choice_is_good(choice);
    } else {
        good = good && yyjson_arr_size(yyjson_obj_get(root, "data")) > 0;
    }
    yyjson_doc_free(doc);
    return good;
}

static char *text_put(char **at, const char *text, size_t len)
{
    char *start = *at;
    memcpy(start, text, len);
    start[len] = '\0';
    *at += len + 1;
    return start;
}

static struct entry *entry_make(const unsigned char *key, const struct cache_reply *r, int64_t now)
{
    size_t provider = strlen(r->provider), model = strlen(r->model);
    size_t bytes = sizeof(struct entry) + r->body_len + provider + model + 3;
    struct entry *e = calloc(1, bytes);
    if (!e)
        return NULL;
    char *at = e->texts;
    memcpy(e->key, key, CACHE_KEY_LEN);
    e->bytes = bytes;
    e->kept_at = now;
    e->reply = *r;
    e->reply.body = text_put(&at, r->body, r->body_len);
    e->reply.provider = text_put(&at, r->provider, provider);
    e->reply.model = text_put(&at, r->model, model);
    return e;
}

int cache_keep(struct cache *c, const unsigned char key[CACHE_KEY_LEN], const struct cache_reply *r,
               int64_t now)
{
    if (!c->o.enabled)
        return VX11_EUNSUPPORTED;
    if (r->body_len > c->o.max_entry_bytes)
        return VX11_ETOO_LARGE;
    if (!reply_is_good(r->body, r->body_len))
        return VX11_EUNSUPPORTED;
    struct entry *e = entry_make(key, r, now);
    if (!e)
        return VX11_ENOMEM;
    if (e->bytes > c->o.max_bytes) {
        free(e);
        return VX11_ETOO_LARGE;
    }
    struct entry **slot = slot_of(c, key);
    if (*slot)
        entry_drop(c, slot);
    while (c->stats.bytes + e->bytes > c->o.max_bytes) {
        c->stats.evicted++;
        entry_drop(c, slot_of(c, c->oldest->key));
    }
    slot = slot_of(c, key);
    e->chain = NULL;
    *slot = e;
    list_put(c, e);
    c->stats.entries++;
    c->stats.bytes += e->bytes;
    c->stats.kept++;
    return 0;
}

void cache_count(struct cache *c, enum cache_result result)
{
    c->stats.results[result]++;
}

void cache_stats(const struct cache *c, struct cache_stats *out)
{
    *out = c->stats;
}
