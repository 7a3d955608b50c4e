/* Routes of jobs. */
#include "hermes/exec/jobs.h"
#include "hermes/hermes_internal.h"
#include "hermes/tools/api.h"

static void reply_job(struct hermes *h, struct request *r, const char *id, int status)
{
    struct hermes_exec_job reply;
    struct error err = {0};
    int rc = jobs_get(h->jobs, id, request_arena(r), &reply, &err);
    if (rc == VX11_ENOT_FOUND)
        request_fail(r, 404, "job_not_found", "id", "%s", err.text);
    else if (rc != 0)
        request_fail_error(r, &err);
    else
        request_reply(r, status, &hermes_exec_job_message, &reply);
}

void exec_route(struct request *r, void *module)
{
    struct hermes *h = module;
    struct job_refusal why;
    char id[27];
    if (jobs_ask(h->jobs, request_body(r), request_principal(r), request_id(r), id, &why) == 0)
        reply_job(h, r, id, 202);
    else
        request_fail(r, why.status, why.code, why.param, "%s", why.text);
}

void jobs_route_list(struct request *r, void *module)
{
    struct hermes *h = module;
    struct hermes_exec_job_list reply = {0};
    struct error err = {0};
    if (jobs_list(h->jobs, request_params(r), request_arena(r), &reply.jobs, &reply.jobs_count, &err) != 0)
        request_fail_error(r, &err);
    else
        request_reply(r, 200, &hermes_exec_job_list_message, &reply);
}

void jobs_route_get(struct request *r, void *module)
{
    const struct hermes_exec_job_id *p = request_params(r);
    reply_job(module, r, p->id, 200);
}

void jobs_route_events(struct request *r, void *module)
{
    struct hermes *h = module;
    const struct hermes_exec_job_id *p = request_params(r);
    jobs_watch(h->jobs, p->id, r);
}

void jobs_route_cancel(struct request *r, void *module)
{
    struct hermes *h = module;
    const struct hermes_exec_job_id *p = request_params(r);
    struct error err = {0};
    int rc = jobs_cancel(h->jobs, p->id, &err);
    if (rc == VX11_ENOT_FOUND)
        request_fail(r, 404, "job_not_found", "id", "%s", err.text);
    else if (rc == VX11_EBUSY)
        request_fail(r, 409, "job_finished", "id", "%s", err.text);
    else if (rc != 0)
        request_fail_error(r, &err);
    else
        request_reply_empty(r, 204);
}
