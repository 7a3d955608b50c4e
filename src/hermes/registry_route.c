/* GET /hermes/registry: everything that can answer, under one version.
 *
 * The version is the database's, which triggers count up, plus the changes of engines' states since the
 * start. At each start the database's is lifted to the clock, so that no version is ever told twice. */
#include "base/clock.h"
#include "base/log.h"
#include "hermes/hermes_internal.h"
#include "hermes/providers.h"
#include "hermes/registry.h"
#include "hermes/tools/api.h"
#include "hermes/tools/tools.h"

#define VERSION_LIFT_SQL "UPDATE model_registry SET version = max(version + 1, ?1)"

int registry_lift_version(struct store *s, struct error *err)
{
    const struct store_value now = STORE_I(clock_wall_ms());
    return store_exec(s, VERSION_LIFT_SQL, &now, 1, NULL, err);
}

static int fill_models(struct hermes *h, struct arena *a, struct hermes_registry *out, struct error *err)
{
    struct registry_model *rows;
    size_t n;
    int rc = registry_list(h->store, a, &rows, &n, err);
    if (rc != 0)
        return rc;
    out->models = arena_array(a, n + 1, sizeof *out->models);
    if (!out->models)
        return error_set(err, VX11_ENOMEM, "out of memory");
    for (size_t i = 0; i < n; i++) {
        out->models[i] = rows[i].api;
        out->models[i].engine = engines_get(h->engines, rows[i].api.name, a);
    }
    out->models_count = n;
    return 0;
}

static int fill(struct hermes *h, struct arena *a, struct hermes_registry *out, struct error *err)
{
    int rc = fill_models(h, a, out, err);
    if (rc == 0)
        rc = providers_list(h->store, a, &out->providers, &out->providers_count, err);
    if (rc != 0)
        return rc;
    if (tools_list(h->tools, true, a, &out->tools, &out->tools_count) != 0 ||
        engines_list(h->engines, a, &out->engines, &out->engines_count) != 0)
        return error_set(err, VX11_ENOMEM, "out of memory");
    /* Lists that are empty are there all the same. */
    if (!out->providers)
        out->providers = arena_array(a, 1, sizeof *out->providers);
    if (!out->engines)
        out->engines = arena_array(a, 1, sizeof *out->engines);
    return out->providers && out->engines ? 0 : error_set(err, VX11_ENOMEM, "out of memory");
}

void registry_route(struct request *r, void *module)
{
    struct hermes *h = module;
    const struct hermes_registry_since *p = request_params(r);
    struct hermes_registry reply = {0};
    struct error err = {0};
    int rc = registry_version(h->store, &reply.version, &err);
    reply.version += h->engine_changes;
    reply.changed = p->since != reply.version;
    if (rc == 0 && reply.changed)
        rc = fill(h, request_arena(r), &reply, &err);
    if (rc != 0)
        request_fail_error(r, &err);
    else
        request_reply(r, 200, &hermes_registry_message, &reply);
}
