/* Doctor: the reports that `vx11 doctor` kept, for the page. To make one is a chore, not a route. */
#include "supervisor/supervisor_internal.h"

#include <string.h>

#include "base/str.h"
#include "store/doctor/reports.h"

struct listing {
    struct arena *arena;
    struct supervisor_doctor_summary *out;
    size_t count, limit;
    bool more, no_memory;
};

/* The table's CHECK holds rows to these names. */
static int name_index(const char *name, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return (int)i;
    return 0;
}

static int on_row(void *ctx, const struct doctor_report_row *row)
{
    struct listing *l = ctx;
    if (l->count == l->limit) {
        l->more = true;
        return 0;
    }
    struct supervisor_doctor_summary *out = &l->out[l->count];
    *out = (struct supervisor_doctor_summary){.id = arena_strdup(l->arena, row->id),
                                              .at = row->at,
                                              .checks = row->checks,
                                              .blocking = row->blocking,
                                              .warnings = row->warnings,
                                              .notes = row->notes,
                                              .unknown = row->unknown,
                                              .duration_ms = row->duration_ms,
                                              .version = arena_strdup(l->arena, row->version)};
    out->origin =
        name_index(row->origin, supervisor_doctor_origin_names, COUNT_OF(supervisor_doctor_origin_names));
    out->verdict =
        name_index(row->verdict, supervisor_doctor_verdict_names, COUNT_OF(supervisor_doctor_verdict_names));
    l->count++;
    return out->id && out->version ? 0 : VX11_ENOMEM;
}

void api_doctor_list(struct request *r, void *module)
{
    struct supervisor *s = module;
    const struct supervisor_doctor_list_params *p = request_params(r);
    struct error err = {0};
    struct listing l = {.arena = request_arena(r), .limit = (size_t)p->limit};
    l.out = arena_array(l.arena, l.limit, sizeof *l.out);
    int rc = l.out
                 ? doctor_report_list(module_store(s->m), p->before, (unsigned)l.limit + 1, on_row, &l, &err)
                 : error_set(&err, VX11_ENOMEM, "out of memory");
    if (rc != 0) {
        request_fail_error(r, &err);
        return;
    }
    struct supervisor_doctor_history reply = {
        .reports = l.out, .reports_count = l.count, .next_before = l.more ? l.out[l.count - 1].id : NULL};
    request_reply(r, 200, &supervisor_doctor_history_message, &reply);
}

void api_doctor_get(struct request *r, void *module)
{
    struct supervisor *s = module;
    const struct supervisor_doctor_id *p = request_params(r);
    struct error err = {0};
    struct contract_error bad;
    struct buf json = BUF_INIT;
    struct supervisor_doctor_report report;
    int rc = doctor_report_read(module_store(s->m), p->id, &json, &err);
    if (rc == VX11_ENOT_FOUND)
        request_fail(r, 404, "report_not_found", "id", "there is no report %s", p->id);
    else if (rc != 0)
        request_fail_error(r, &err);
    else if (supervisor_doctor_report_parse(request_arena(r), json.data, json.len, &report, &bad) != 0)
        request_fail(r, 500, "report_unreadable", NULL,
                     "the stored report %s does not fit the contract: %s %s", p->id, bad.pointer, bad.text);
    else
        request_reply(r, 200, &supervisor_doctor_report_message, &report);
    buf_free(&json);
}
