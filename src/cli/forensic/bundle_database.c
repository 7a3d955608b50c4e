/* Bundle, the database: its schema, the migrations that were applied, the processes that ran, and the
 * doctor's last report. No other rows: they are the operator's. */
#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

#include "base/str.h"
#include "cli/forensic/bundle.h"
#include "store/states.h"

enum { RUNS = 200 };

/* ---- schema ---- */

static int schema_put(void *ctx, const struct store_row *row)
{
    return buf_printf(ctx, "%s;\n\n", row_text(row, 0));
}

static int migration_put(void *ctx, const struct store_row *row)
{
    static const char *const keys[] = {"name", "sha256", "program_version"};
    struct buf *b = ctx;
    buf_printf(b, "%s{\"version\":%lld,\"applied_at\":%lld", b->len > 1 ? "," : "",
               (long long)row_int(row, 0), (long long)row_int(row, 1));
    for (int i = 0; i < (int)COUNT_OF(keys); i++) {
        const char *text = row_text(row, i + 2);
        buf_printf(b, ",\"%s\":", keys[i]);
        buf_put_json_string(b, text ? text : "", text ? strlen(text) : 0);
    }
    return buf_putc(b, '}');
}

int bundle_schema(struct bundle *b, struct error *err)
{
    struct buf sql = BUF_INIT, json = BUF_INIT;
    struct error why = b->store_error;
    int rc = VX11_EUNAVAILABLE;
    buf_putc(&json, '[');
    if (b->store)
        rc = store_query(b->store,
                         "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY type = 'trigger',"
                         " tbl_name, type <> 'table', name",
                         NULL, 0, schema_put, &sql, &why);
    if (rc == 0)
        rc = store_query(b->store,
                         "SELECT version, applied_at, name, sha256, program_version FROM schema_migration"
                         " ORDER BY version",
                         NULL, 0, migration_put, &json, &why);
    buf_putc(&json, ']');
    if (rc == 0) {
        rc = bundle_add(b, "schema.sql", BUNDLE_TEXT, &sql, NULL, err);
        if (rc == 0)
            rc = bundle_add(b, "migrations.json", BUNDLE_JSON, &json, NULL, err);
    } else {
        rc = bundle_missing(b, "schema.sql", why.text, err);
        if (rc == 0)
            rc = bundle_missing(b, "migrations.json", why.text, err);
    }
    buf_free(&sql);
    buf_free(&json);
    return rc;
}

/* ---- runs ---- */

struct runs {
    yyjson_mut_doc *doc;
    yyjson_mut_val *list;
};

static void put_text(yyjson_mut_doc *doc, yyjson_mut_val *o, const char *key, const char *value)
{
    if (value[0])
        yyjson_mut_obj_add_strcpy(doc, o, key, value);
    else
        yyjson_mut_obj_add_null(doc, o, key);
}

static void put_int(yyjson_mut_doc *doc, yyjson_mut_val *o, const char *key, int64_t value, bool has)
{
    if (has)
        yyjson_mut_obj_add_int(doc, o, key, value);
    else
        yyjson_mut_obj_add_null(doc, o, key);
}

static int run_put(void *ctx, const struct module_run_row *r)
{
    struct runs *x = ctx;
    yyjson_mut_val *o = yyjson_mut_obj(x->doc);
    if (!yyjson_mut_arr_add_val(x->list, o))
        return VX11_ENOMEM;
    put_text(x->doc, o, "id", r->id);
    put_text(x->doc, o, "module", r->module);
    put_int(x->doc, o, "pid", r->pid, true);
    put_int(x->doc, o, "started_at", r->started_at, true);
    put_int(x->doc, o, "ended_at", r->ended_at, r->ended_at > 0);
    put_int(x->doc, o, "exit_code", r->exit_code, r->exit_code >= 0);
    put_int(x->doc, o, "signal", r->signal, r->signal > 0);
    yyjson_mut_obj_add_bool(x->doc, o, "oom", r->oom);
    put_text(x->doc, o, "reason", r->reason);
    put_text(x->doc, o, "crash_report", r->crash_report);
    return 0;
}

int bundle_runs(struct bundle *b, struct error *err)
{
    struct error why = b->store_error;
    struct buf text = BUF_INIT;
    struct runs x = {.doc = yyjson_mut_doc_new(NULL)};
    size_t n = 0;
    x.list = yyjson_mut_arr(x.doc);
    if (!x.list)
        return error_set(err, VX11_ENOMEM, "out of memory");
    yyjson_mut_doc_set_root(x.doc, x.list);
    int rc = b->store ? module_run_list_last(b->store, NULL, RUNS, run_put, &x, &why) : VX11_EUNAVAILABLE;
    char *json = rc == 0 ? yyjson_mut_write(x.doc, 0, &n) : NULL;
    if (json)
        buf_append(&text, json, n);
    rc = json
             ? bundle_add(b, "module_runs.json", BUNDLE_JSON, &text, "the last 200 processes of modules", err)
             : bundle_missing(b, "module_runs.json", rc == 0 ? "out of memory" : why.text, err);
    free(json);
    buf_free(&text);
    yyjson_mut_doc_free(x.doc);
    return rc;
}

/* ---- the doctor ---- */

static int report_put(void *ctx, const struct store_row *row)
{
    const char *text = row_text(row, 0);
    return text ? buf_puts(ctx, text) : 0;
}

int bundle_doctor(struct bundle *b, struct error *err)
{
    struct buf json = BUF_INIT;
    struct error why = b->store_error;
    int rc = b->store ? store_query(b->store, "SELECT report FROM doctor_report ORDER BY id DESC LIMIT 1",
                                    NULL, 0, report_put, &json, &why)
                      : VX11_EUNAVAILABLE;
    rc = rc == 0 && json.len > 0
             ? bundle_add(b, "doctor.json", BUNDLE_JSON, &json, NULL, err)
             : bundle_missing(b, "doctor.json", rc == 0 ? "vx11 doctor has not been asked yet" : why.text,
                              err);
    buf_free(&json);
    return rc;
}
