/* Panel: what the panels keep between requests: followers of the logs, the last measurement. */
#include "operator/panel/panel.h"

#include <stdlib.h>

#include "operator/operator_internal.h"
#include "operator/panel/panel_internal.h"

int panel_create(struct operator_ *o, struct panel **out, struct error *err)
{
    struct panel *p = calloc(1, sizeof *p);
    if (!p)
        return error_set(err, VX11_ENOMEM, "out of memory");
    p->o = o;
    *out = p;
    return panel_database_create(p, err);
}

void panel_stopping(struct panel *p)
{
    panel_logs_end(p);
}

static void on_stopped(struct panel *p)
{
    operator_part_stopped(p->o);
}

void panel_stop(struct panel *p)
{
    panel_logs_end(p);
    panel_database_stop(p, on_stopped);
}

void panel_free(struct panel *p)
{
    if (!p)
        return;
    panel_database_free(p);
    free(p);
}
