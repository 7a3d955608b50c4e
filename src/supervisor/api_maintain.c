/* Maintain: the runs of `vx11 db maintain`, for the page. To make one is a chore, not a route. */
#include "supervisor/supervisor_internal.h"

#include "store/maintain/runs.h"

void api_maintenance_list(struct request *r, void *module)
{
    struct supervisor *s = module;
    const struct supervisor_maintenance_list_params *p = request_params(r);
    struct error err = {0};
    struct maintenance_runs reply;
    if (maintenance_run_list(module_store(s->m), p->before, (unsigned)p->limit, request_arena(r), &reply,
                             &err) != 0)
        request_fail_error(r, &err);
    else
        request_reply(r, 200, &maintenance_runs_message, &reply);
}

void api_maintenance_get(struct request *r, void *module)
{
    struct supervisor *s = module;
    const struct supervisor_maintenance_id *p = request_params(r);
    struct error err = {0};
    struct contract_error bad;
    struct buf json = BUF_INIT;
    struct maintenance_report report;
    int rc = maintenance_run_read(module_store(s->m), p->id, &json, &err);
    if (rc == VX11_ENOT_FOUND)
        request_fail(r, 404, "report_not_found", "id", "%s", err.text);
    else if (rc != 0)
        request_fail_error(r, &err);
    else if (maintenance_report_parse(request_arena(r), json.data, json.len, &report, &bad) != 0)
        request_fail(r, 500, "report_unreadable", NULL,
                     "the stored report %s does not fit the contract: %s %s", p->id, bad.pointer, bad.text);
    else
        request_reply(r, 200, &maintenance_report_message, &report);
    buf_free(&json);
}
