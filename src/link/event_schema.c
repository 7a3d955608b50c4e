/* Event schema: each type's payload is a message of the contract; this is the table from one to the other,
 * with its size. */
#include "link/link_internal.h"

#include <string.h>

#include "base/str.h"

static const struct {
    const struct contract_message *message;
    size_t max_bytes; /* of the serialized payload */
} schemas[COUNT_OF(link_event_type_names)] = {
    [LINK_EVENT_TYPE_SYSTEM_ALERT] = {&link_system_alert_message, 2048},
    [LINK_EVENT_TYPE_SYSTEM_CORRELATION_UPDATED] = {&link_correlation_updated_message, 2048},
    [LINK_EVENT_TYPE_FORENSIC_SNAPSHOT_CREATED] = {&link_snapshot_created_message, 1024},
    [LINK_EVENT_TYPE_MADRE_DECISION_EXPLAINED] = {&link_decision_explained_message, 3072},
    [LINK_EVENT_TYPE_SWITCH_TENSION_UPDATED] = {&link_tension_updated_message, 1024},
    [LINK_EVENT_TYPE_SHUB_ACTION_NARRATED] = {&link_action_narrated_message, 2048},
    [LINK_EVENT_TYPE_HERMES_MODEL_LOAD] = {&link_model_load_message, 2048},
    [LINK_EVENT_TYPE_HERMES_MODEL_PULL] = {&link_model_pull_message, 2048},
    [LINK_EVENT_TYPE_MODULE_STATE_CHANGED] = {&link_module_state_changed_message, 2048},
    [LINK_EVENT_TYPE_MODULE_RUN] = {&link_module_run_message, 2048},
};

int event_check(int type, yyjson_val *payload, struct arena *a, struct contract_error *bad)
{
    const struct contract_message *m = schemas[type].message;
    void *scratch = arena_zalloc(a, m->size);
    if (!scratch)
        return VX11_ENOMEM;
    int rc = contract_parse_value(m, a, payload, NULL, scratch, bad);
    if (rc == 0 && type == LINK_EVENT_TYPE_SWITCH_TENSION_UPDATED &&
        !yyjson_is_obj(yyjson_obj_get(payload, "components"))) {
        *bad = (struct contract_error){
            .code = VX11_EINVALID, .pointer = "/components", .text = "must be an object"};
        rc = VX11_EINVALID;
    }
    return rc;
}

size_t event_max_bytes(int type)
{
    return schemas[type].max_bytes;
}

int event_type_parse(const char *name)
{
    for (int i = 0; i < (int)COUNT_OF(link_event_type_names); i++)
        if (strcmp(link_event_type_names[i], name) == 0)
            return i;
    return -1;
}
