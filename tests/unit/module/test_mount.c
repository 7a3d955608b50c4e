/* The table that a front door makes of its own routes and those of others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "api/hermes.h"
#include "api/link.h"
#include "api/operator.h"
#include "module/module_internal.h"

static void own(struct request *r, void *module)
{
    (void)r;
    (void)module;
}

static void other(struct request *r, void *module)
{
    (void)r;
    (void)module;
}

static bool no_lists(const struct contract_route *route)
{
    return strcmp(route->id, "models_list") != 0;
}

static const struct contract_route *find(const struct module_mount *m, const char *id, size_t *index)
{
    for (size_t i = 0; i < m->contract.route_count; i++)
        if (strcmp(m->contract.routes[i].id, id) == 0) {
            *index = i;
            return &m->contract.routes[i];
        }
    return NULL;
}

static void others_routes_come_after_own(void **state)
{
    (void)state;
    static request_handler handlers[LINK_ROUTE_COUNT];
    for (size_t i = 0; i < LINK_ROUTE_COUNT; i++)
        handlers[i] = own;
    const struct module_mounted mounts[] = {
        {.contract = &hermes_module, .handler = other, .wanted = no_lists},
        {.contract = &operator_module, .handler = other},
        {.contract = &link_module, .handler = other}, /* all of them exist already */
    };
    const struct module_spec spec = {
        .contract = &link_module, .handlers = handlers, .mounts = mounts, .mount_count = 3};
    struct module_mount *m = NULL;
    struct error err = {0};
    size_t at = 0;
    assert_int_equal(module_mount_create(&spec, &m, &err), 0);
    assert_int_equal(m->contract.route_count,
                     LINK_ROUTE_COUNT + HERMES_ROUTE_COUNT - 1 + OPERATOR_ROUTE_COUNT);
    assert_ptr_equal(m->handlers[0], own);
    assert_null(find(m, "hermes.models_list", &at));
    const struct contract_route *get = find(m, "hermes.models_get", &at);
    assert_non_null(get);
    assert_ptr_equal(m->handlers[at], other);
    assert_ptr_equal(get->params, hermes_routes[HERMES_ROUTE_MODELS_GET].params);
    assert_int_equal(get->flags & CONTRACT_ROUTE_RAW_BODY, 0);
    /* Bodies are left to the owner: parsed ones and those taken in pieces. */
    const struct contract_route *add = find(m, "operator.files_add", &at);
    assert_non_null(add);
    assert_int_equal(add->flags & (CONTRACT_ROUTE_RAW_BODY | CONTRACT_ROUTE_STREAM_BODY),
                     CONTRACT_ROUTE_RAW_BODY);
    assert_int_equal(add->scope, operator_routes[OPERATOR_ROUTE_FILES_ADD].scope);
    assert_int_equal(add->max_body, operator_routes[OPERATOR_ROUTE_FILES_ADD].max_body);
    module_mount_destroy(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(others_routes_come_after_own)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
