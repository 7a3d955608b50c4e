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
    rc = rc != 0 ? rc : ports_check(v, err);
    rc = rc != 0 ? rc : log_check(v->log, err);
    if (rc == 0 && v->supervisor->backoff_min_ms > v->supervisor->backoff_max_ms) {
        const struct contract_path section = {.key = "supervisor"},
                                   at = {.up = &section, .key = "backoff_min_ms"};
        return contract_fail(err, &at, VX11_EINVALID, "must be at most supervisor.backoff_max_ms");
    }
    return rc;
}
