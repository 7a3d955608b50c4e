/* Config check: what no single key's bounds can say. Each failure points at the key to change. */
#include <string.h>

#include "base/str.h"
#include "contract/config_internal.h"

/* What a provider's kind needs besides its name. */
static int provider_kind_check(const struct config_provider *p, const struct contract_path *item,
                               struct contract_error *err)
{
    const struct contract_path url = {.up = item, .key = "base_url"}, preset = {.up = item, .key = "preset"},
                               tool = {.up = item, .key = "tool"}, module = {.up = item, .key = "module"};
    bool remote = p->kind == CONFIG_PROVIDER_KIND_OPENAI || p->kind == CONFIG_PROVIDER_KIND_ANTHROPIC;
    bool anthropic = p->preset == CONFIG_PROVIDER_PRESET_ANTHROPIC;
    if (p->kind == CONFIG_PROVIDER_KIND_OPENAI && *p->base_url == '\0' &&
        p->preset == CONFIG_PROVIDER_PRESET_NONE) {
        return contract_fail(err, &url, VX11_EINVALID, "is required for a provider of kind openai");
    }
    if (p->kind == CONFIG_PROVIDER_KIND_TOOL && *p->tool == '\0') {
        return contract_fail(err, &tool, VX11_EINVALID, "is required for a provider of kind tool");
    }
    if (p->kind == CONFIG_PROVIDER_KIND_MODULE && *p->module == '\0') {
        return contract_fail(err, &module, VX11_EINVALID, "is required for a provider of kind module");
    }
    if (p->preset == CONFIG_PROVIDER_PRESET_NONE) {
        return 0;
    }
    if (!remote || anthropic != (p->kind == CONFIG_PROVIDER_KIND_ANTHROPIC)) {
        return contract_fail(err, &preset, VX11_EINVALID, "is \"%s\", which a provider of kind %s cannot be",
                             config_provider_preset_names[p->preset], config_provider_kind_names[p->kind]);
    }
    return 0;
}

static int providers_check(const struct config_switch *s, struct contract_error *err)
{
    const struct contract_path up[] = {{.key = "switch"}, {.up = &up[0], .key = "providers"}};
    for (size_t i = 0; i < s->providers_count; i++) {
        const struct config_provider *p = &s->providers[i];
        const struct contract_path item = {.up = &up[1], .index = i};
        const struct contract_path name = {.up = &item, .key = "name"};
        for (size_t k = 0; k < i; k++) {
            if (str_eq(s->providers[k].name, p->name)) {
                return contract_fail(err, &name, VX11_EINVALID, "is \"%s\", as that of another provider",
                                     p->name);
            }
        }
        int rc = provider_kind_check(p, &item, err);
        if (rc != 0) {
            return rc;
        }
        if (*p->key_env != '\0' && *p->key_file != '\0') {
            const struct contract_path key = {.up = &item, .key = "key_file"};
            return contract_fail(err, &key, VX11_EINVALID, "and key_env cannot both be given");
        }
    }
    return 0;
}

static int chain_check(const struct config_switch *s, struct contract_error *err)
{
    const struct contract_path up[] = {{.key = "switch"}, {.up = &up[0], .key = "chain"}};
    for (size_t i = 0; i < s->chain_count; i++) {
        const struct contract_path item = {.up = &up[1], .index = i};
        size_t name = strcspn(s->chain[i], "/"); /* of PROVIDER/MODEL too */
        bool known = false;
        for (size_t k = 0; k < s->providers_count; k++) {
            known = known || (strlen(s->providers[k].name) == name &&
                              strncmp(s->providers[k].name, s->chain[i], name) == 0);
        }
        if (!known) {
            return contract_fail(err, &item, VX11_EINVALID, "is \"%s\", which no provider is named",
                                 s->chain[i]);
        }
        for (size_t k = 0; k < i; k++) {
            if (str_eq(s->chain[k], s->chain[i])) {
                return contract_fail(err, &item, VX11_EINVALID, "is \"%s\" a second time", s->chain[i]);
            }
        }
    }
    return 0;
}

/* auto is Switch's own, and of two of one name nobody could say which is meant. */
static int aliases_check(const struct config_switch *s, struct contract_error *err)
{
    const struct contract_path up[] = {{.key = "switch"}, {.up = &up[0], .key = "aliases"}};
    for (size_t i = 0; i < s->aliases_count; i++) {
        const struct config_alias *alias = &s->aliases[i];
        const struct contract_path item = {.up = &up[1], .index = i}, name = {.up = &item, .key = "name"},
                                   models = {.up = &item, .key = "models"};
        if (str_eq(alias->name, "auto")) {
            return contract_fail(err, &name, VX11_EINVALID, "cannot be auto");
        }
        if (alias->prefer == CONFIG_ALIAS_PREFER_ORDER && alias->models_count == 0) {
            return contract_fail(err, &models, VX11_EINVALID, "are needed where their order is preferred");
        }
        for (size_t k = 0; k < i; k++) {
            if (str_eq(s->aliases[k].name, alias->name)) {
                return contract_fail(err, &name, VX11_EINVALID, "is \"%s\", as that of another alias",
                                     alias->name);
            }
        }
    }
    return 0;
}

/* Which engine runs a model must be plain: a name stands in one list only. */
static bool engine_model_taken(const struct config_hermes *h, size_t engine, size_t model)
{
    for (size_t i = 0; i <= engine; i++)
        for (size_t k = 0; k < (i == engine ? model : h->engines[i].models_count); k++)
            if (str_eq(h->engines[i].models[k], h->engines[engine].models[model]))
                return true;
    return false;
}

static int engine_env_check(const struct config_external_engine *e, const struct contract_path *item,
                            struct contract_error *err)
{
    const struct contract_path env = {.up = item, .key = "env"};
    size_t i, n;
    yyjson_val *key, *val;
    if (!yyjson_is_obj(e->env)) {
        return contract_fail(err, &env, VX11_EINVALID, "must be an object of name to text");
    }
    yyjson_obj_foreach(e->env, i, n, key, val)
    {
        const char *name = yyjson_get_str(key);
        const struct contract_path at = {.up = &env, .key = name};
        if (*name == '\0' || strchr(name, '=') || !yyjson_is_str(val)) {
            return contract_fail(err, &at, VX11_EINVALID, "must be a name without = and a text");
        }
    }
    return 0;
}

static int engines_check(const struct config_hermes *h, struct contract_error *err)
{
    const struct contract_path up[] = {{.key = "hermes"}, {.up = &up[0], .key = "engines"}};
    for (size_t i = 0; i < h->engines_count; i++) {
        const struct config_external_engine *e = &h->engines[i];
        const struct contract_path item = {.up = &up[1], .index = i};
        const struct contract_path name = {.up = &item, .key = "name"},
                                   models = {.up = &item, .key = "models"},
                                   command = {.up = &item, .key = "command"};
        if (e->command_count == 0 && *e->base_url == '\0') {
            return contract_fail(err, &command, VX11_EINVALID, "or base_url is required");
        }
        if (e->command_count > 0 && e->models_count == 0) {
            return contract_fail(err, &models, VX11_EINVALID, "must name the models that the command runs");
        }
        for (size_t k = 0; k < i; k++) {
            if (str_eq(h->engines[k].name, e->name)) {
                return contract_fail(err, &name, VX11_EINVALID, "is \"%s\", as that of another engine",
                                     e->name);
            }
        }
        for (size_t k = 0; k < e->models_count; k++) {
            const struct contract_path model = {.up = &models, .index = k};
            if (engine_model_taken(h, i, k)) {
                return contract_fail(err, &model, VX11_EINVALID, "is \"%s\", which an engine runs already",
                                     e->models[k]);
            }
        }
        int rc = engine_env_check(e, &item, err);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

static bool group_model_taken(const struct config_hermes *h, size_t group, size_t model)
{
    for (size_t i = 0; i <= group; i++)
        for (size_t k = 0; k < (i == group ? model : h->groups[i].models_count); k++)
            if (str_eq(h->groups[i].models[k], h->groups[group].models[model]))
                return true;
    return false;
}

static int groups_check(const struct config_hermes *h, struct contract_error *err)
{
    const struct contract_path up[] = {{.key = "hermes"}, {.up = &up[0], .key = "groups"}};
    for (size_t i = 0; i < h->groups_count; i++) {
        const struct contract_path item = {.up = &up[1], .index = i};
        const struct contract_path name = {.up = &item, .key = "name"},
                                   models = {.up = &item, .key = "models"};
        for (size_t k = 0; k < i; k++) {
            if (str_eq(h->groups[k].name, h->groups[i].name)) {
                return contract_fail(err, &name, VX11_EINVALID, "is \"%s\", as that of another group",
                                     h->groups[i].name);
            }
        }
        for (size_t k = 0; k < h->groups[i].models_count; k++) {
            const struct contract_path model = {.up = &models, .index = k};
            if (group_model_taken(h, i, k)) {
                return contract_fail(err, &model, VX11_EINVALID, "is \"%s\", which is in a group already",
                                     h->groups[i].models[k]);
            }
        }
    }
    return 0;
}

/* Names that requests use are one thing's. */
static int tools_check(const struct config_hermes *h, struct contract_error *err)
{
    const struct contract_path up[] = {
        {.key = "hermes"}, {.up = &up[0], .key = "tools"}, {.up = &up[0], .key = "exec_allow"}};
    for (size_t i = 0; i < h->tools_count; i++) {
        const struct contract_path item = {.up = &up[1], .index = i}, name = {.up = &item, .key = "name"};
        for (size_t k = 0; k < i; k++) {
            if (str_eq(h->tools[k].name, h->tools[i].name)) {
                return contract_fail(err, &name, VX11_EINVALID, "is \"%s\", as that of another tool",
                                     h->tools[i].name);
            }
        }
    }
    for (size_t i = 0; i < h->exec_allow_count; i++) {
        const struct contract_path item = {.up = &up[2], .index = i}, name = {.up = &item, .key = "name"};
        for (size_t k = 0; k < i; k++) {
            if (str_eq(h->exec_allow[k].name, h->exec_allow[i].name)) {
                return contract_fail(err, &name, VX11_EINVALID, "is \"%s\", as that of another entry",
                                     h->exec_allow[i].name);
            }
        }
    }
    return 0;
}

static int ports_check(const struct config_config *v, struct contract_error *err)
{
    const struct {
        const char *section, *key;
        int64_t port;
    } ports[] = {
        {"link", "port", v->link->port},
        {"link", "page_port", v->link->page_port},
        {"switch", "port", v->switch_->port},
        {"hermes", "port", v->hermes->port},
    };
    for (size_t i = 1; i < COUNT_OF(ports); i++) {
        for (size_t k = 0; k < i; k++) {
            if (ports[i].port == ports[k].port) {
                const struct contract_path section = {.key = ports[i].section};
                const struct contract_path at = {.up = &section, .key = ports[i].key};
                return contract_fail(err, &at, VX11_EINVALID, "is %d, as %s.%s is", (int)ports[i].port,
                                     ports[k].section, ports[k].key);
            }
        }
    }
    return 0;
}

static int log_check(const struct config_log *log, struct contract_error *err)
{
    const struct contract_path section = {.key = "log"}, modules = {.up = &section, .key = "modules"};
    size_t i, n;
    yyjson_val *key, *val;
    if (!yyjson_is_obj(log->modules)) {
        return contract_fail(err, &modules, VX11_EINVALID, "must be an object of module name to level");
    }
    yyjson_obj_foreach(log->modules, i, n, key, val)
    {
        const struct contract_path at = {.up = &modules, .key = yyjson_get_str(key)};
        bool known = false;
        for (size_t k = 0; k < COUNT_OF(config_log_level_names); k++) {
            known = known || yyjson_equals_str(val, config_log_level_names[k]);
        }
        if (!known) {
            return contract_fail(err, &at, VX11_EINVALID,
                                 "must be one of: trace, debug, info, warn, error, off");
        }
    }
    if (log->rotate_bytes > log->total_bytes) {
        const struct contract_path at = {.up = &section, .key = "rotate_bytes"};
        return contract_fail(err, &at, VX11_EINVALID, "must be at most log.total_bytes");
    }
    return 0;
}

int config_check(const struct config *cfg, struct contract_error *err)
{
    const struct config_config *v = cfg->values;
    int rc = providers_check(v->switch_, err);
    rc = rc != 0 ? rc : chain_check(v->switch_, err);
    rc = rc != 0 ? rc : aliases_check(v->switch_, err);
    rc = rc != 0 ? rc : engines_check(v->hermes, err);
    rc = rc != 0 ? rc : groups_check(v->hermes, err);
    rc = rc != 0 ? rc : tools_check(v->hermes, err);
    rc = rc != 0 ? rc : ports_check(v, err);
    rc = rc != 0 ? rc : log_check(v->log, err);
    if (rc == 0 && v->supervisor->backoff_min_ms > v->supervisor->backoff_max_ms) {
        const struct contract_path section = {.key = "supervisor"},
                                   at = {.up = &section, .key = "backoff_min_ms"};
        return contract_fail(err, &at, VX11_EINVALID, "must be at most supervisor.backoff_max_ms");
    }
    return rc;
}
