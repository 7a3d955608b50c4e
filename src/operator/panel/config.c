/* Config: the effective configuration of this process, key by key, each with who set it. Secrets stay here.
 */
#include "operator/panel/panel.h"

#include "contract/config.h"
#include "operator/operator_internal.h"

static const int origins[] = {
    [CONFIG_FROM_DEFAULT] = OPERATOR_CONFIG_VALUE_ORIGIN_DEFAULT,
    [CONFIG_FROM_FILE] = OPERATOR_CONFIG_VALUE_ORIGIN_FILE,
    [CONFIG_FROM_ENVIRONMENT] = OPERATOR_CONFIG_VALUE_ORIGIN_ENVIRONMENT,
};

/* 0 or VX11_ENOMEM. */
static int default_of(struct arena *a, const char *text, yyjson_val **out)
{
    struct contract_error bad;
    return text ? contract_json_parse(a, text, strlen(text), NULL, out, &bad) : 0;
}

void panel_config(struct request *r, void *module)
{
    struct operator_ *o = module;
    struct arena *a = request_arena(r);
    const struct config *cfg = module_config(o->m);
    struct config_value *values;
    size_t count;
    int rc = config_values(cfg, a, &values, &count);
    struct operator_config_value *list = arena_array(a, count + 1, sizeof *list);
    for (size_t i = 0; rc == 0 && list && i < count; i++) {
        const struct config_value *v = &values[i];
        list[i] = (struct operator_config_value){
            .key = v->key,
            .value = v->value,
            .origin = origins[v->from],
            .source = v->source,
            .doc = v->field->doc,
            .unit = v->field->unit[0] ? v->field->unit : NULL,
            .restart = (v->field->flags & CONTRACT_RESTART) != 0,
            .secret = (v->field->flags & CONTRACT_SECRET) != 0,
        };
        rc = default_of(a, v->field->default_json, &list[i].default_);
    }
    if (rc != 0 || !list) {
        request_fail(r, 500, "out_of_memory", NULL, "out of memory");
        return;
    }
    struct operator_config_reply reply = {.path = cfg->path, .values = list, .values_count = count};
    request_reply(r, 200, &operator_config_reply_message, &reply);
}
