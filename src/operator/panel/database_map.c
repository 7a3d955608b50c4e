/* Database map: what `vx11 db map` prints, for the page. Read in the thread pool with a store of its own;
 * counting reads the whole file, so one request at a time may ask for that. */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "operator/operator_internal.h"
#include "operator/panel/panel.h"
#include "operator/panel/panel_internal.h"
#include "store/look.h"
#include "store/map/map.h"

#define ARENA_MAX (256u << 20)

struct map_job {
    struct request *r;
    struct panel *panel;
    uv_work_t work;
    char path[4096];
    enum map_format format;
    bool sizes;
    struct buf text;
    struct error error;
};

static void map_work(uv_work_t *work)
{
    struct map_job *j = work->data;
    struct store *s = NULL;
    struct look look;
    struct schema schema;
    struct arena *a = arena_create(ARENA_MAX);
    int rc = a ? look_open(j->path, false, &look, &s, &j->error) : VX11_ENOMEM;
    if (rc == 0)
        rc = j->sizes ? schema_read(s, a, &schema, &j->error) : schema_read_shape(s, a, &schema, &j->error);
    if (rc == 0)
        rc = map_write(&schema, j->format, a, &j->text);
    if (rc != 0 && j->error.code == 0)
        error_set(&j->error, rc, "the schema cannot be read: %s", error_describe(rc));
    store_close(s);
    arena_destroy(a);
}

static void map_done(uv_work_t *work, int status)
{
    static const char *const types[] = {[MAP_MARKDOWN] = "text/markdown; charset=utf-8",
                                        [MAP_JSON] = "application/json",
                                        [MAP_MERMAID] = "text/plain; charset=utf-8"};
    struct map_job *j = work->data;
    size_t len = 0;
    char *text;
    if (j->sizes)
        j->panel->map_counting = false;
    if (status != 0 && j->error.code == 0)
        error_set(&j->error, VX11_ECANCELLED, "the map was cancelled");
    if (j->error.code != 0)
        request_fail_error(j->r, &j->error);
    else if ((text = buf_detach(&j->text, &len)) != NULL)
        request_reply_bytes(j->r, 200, types[j->format], text, len, true);
    else
        request_fail(j->r, 500, "internal", NULL, "the map is empty");
    buf_free(&j->text);
    free(j);
}

void panel_database_map(struct request *r, void *module)
{
    const struct operator_ *o = module;
    const struct operator_database_map_params *p = request_params(r);
    if (p->sizes && o->panel->map_counting) {
        request_fail(r, 503, "unavailable", NULL, "the database is being counted for somebody else");
        return;
    }
    struct map_job *j = calloc(1, sizeof *j);
    if (!j || module_store_path(module_config(o->m), module_home(o->m), j->path, sizeof j->path) != 0) {
        free(j);
        request_fail(r, 500, "internal", NULL, "the database cannot be read");
        return;
    }
    j->r = r;
    j->panel = o->panel;
    j->work.data = j;
    j->sizes = p->sizes;
    j->format = p->format == OPERATOR_DATABASE_MAP_PARAMS_FORMAT_MARKDOWN  ? MAP_MARKDOWN
                : p->format == OPERATOR_DATABASE_MAP_PARAMS_FORMAT_MERMAID ? MAP_MERMAID
                                                                           : MAP_JSON;
    if (uv_queue_work(request_loop(r), &j->work, map_work, map_done) != 0) {
        free(j);
        request_fail(r, 503, "unavailable", NULL, "no thread reads the schema");
        return;
    }
    if (p->sizes)
        o->panel->map_counting = true;
}
