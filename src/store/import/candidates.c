/* Candidates: models and providers that the predecessor knew. None is set up by itself: a model counts here
 * once its file was read, and a provider once a person named where its key is. */
#include <string.h>
#include <sys/stat.h>

#include "base/str.h"
#include "store/connection.h"
#include "store/import/import_internal.h"

static int each(struct importing *x, struct import_table *t, const char *const *columns, size_t n,
                void (*fn)(struct importing *x, sqlite3_stmt *row), struct error *err)
{
    sqlite3_stmt *stmt;
    char *sql = source_select(&x->src, t->name, columns, n, NULL);
    int rc = source_prepare(&x->src, sql, &stmt, err), step = SQLITE_DONE;
    /* A few dozen at most; a file that says otherwise need not fill the report. */
    for (int i = 0; rc == 0 && i < 1000 && (step = sqlite3_step(stmt)) == SQLITE_ROW; i++)
        fn(x, stmt);
    if (rc == 0 && step != SQLITE_DONE && step != SQLITE_ROW)
        rc = sql_error(err, x->src.db, step, "%s", t->name);
    sqlite3_finalize(stmt);
    sqlite3_free(sql);
    return rc;
}

static void model_one(struct importing *x, sqlite3_stmt *row)
{
    const char *name = source_text(row, 1), *path = source_text(row, 2);
    char command[700];
    struct stat st;
    if (!name || !*name || strlen(name) > 255 || (path && strlen(path) > 512))
        return;
    const bool there = path && path[0] == '/' && stat(path, &st) == 0 && S_ISREG(st.st_mode);
    snprintf(command, sizeof command, "vx11 models add %s", path ? path : "");
    import_candidate(x, "model", name, path, path ? there : -1, there ? command : NULL);
}

int import_models(struct importing *x, struct import_table *t, struct error *err)
{
    static const char *const columns[] = {"name", "path"};
    int rc = each(x, t, columns, COUNT_OF(columns), model_one, err);
    if (rc == 0)
        import_left(x, t, "a model counts here once its file was read: see the candidates", t->rows);
    return rc;
}

static void provider_one(struct importing *x, sqlite3_stmt *row)
{
    const char *name = source_text(row, 1), *url = source_text(row, 2);
    if (name && *name && strlen(name) <= 100 && (!url || strlen(url) <= 500))
        import_candidate(x, "provider", name, url, -1, "vx11 config path # switch.providers");
}

int import_providers(struct importing *x, struct import_table *t, struct error *err)
{
    /* Nothing that could hold a key is read. */
    static const char *const columns[] = {"name", "base_url"};
    int rc = each(x, t, columns, COUNT_OF(columns), provider_one, err);
    if (rc == 0)
        import_left(x, t, "providers are set up in config.yaml, with where their key is: see the candidates",
                    t->rows);
    return rc;
}
