/* On the configuration's reader, which wants something to keep the lines in: a configuration without values.
 */
#include "contract/yaml.h"

#include <string.h>

#include "contract/config_internal.h"

static int tell(const struct config *lines, const char *name, const struct contract_error *bad,
                struct error *err)
{
    char key[300];
    bool exact;
    const struct config_origin *o = config_origin_find(lines, bad->pointer, &exact);
    config_key_of_pointer(bad->pointer, key, sizeof key);
    return error_set(err, bad->code, "%s:%d: %s %s", name, o ? o->line : 1, *key ? key : "the file",
                     bad->text);
}

int contract_yaml_parse(const struct contract_message *m, struct arena *a, const char *name, const char *text,
                        size_t len, void *out, struct error *err)
{
    struct config lines = {.arena = a};
    struct contract_error bad = {0};
    const struct contract_limits limits = {.strict = true};
    yyjson_alc alc;
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    if (doc == NULL)
        return error_set(err, VX11_ENOMEM, "out of memory");
    int rc = config_yaml_read(&lines, m, name, text, len, doc, err);
    if (rc == 0) {
        contract_json_allocator(a, &alc);
        yyjson_doc *fixed = yyjson_mut_doc_imut_copy(doc, &alc);
        rc = fixed ? contract_parse_value(m, a, yyjson_doc_get_root(fixed), &limits, out, &bad)
                   : error_set(err, VX11_ENOMEM, "out of memory");
        if (fixed && rc != 0)
            rc = tell(&lines, name, &bad, err);
    }
    yyjson_mut_doc_free(doc);
    return rc;
}
