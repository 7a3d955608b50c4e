/* Db map: every table, whose it is, what points where; as Markdown with a drawing, as JSON, or the drawing
 * alone. It reads the file itself, so it does not matter whether VX11 runs. */
#include <stdio.h>
#include <string.h>

#include "base/fs.h"
#include "cli/db.h"
#include "store/look.h"
#include "store/map/map.h"

struct mapping {
    struct arena *arena;
    struct schema schema;
    enum map_format format;
    bool sizes;
};

static int map_read(void *ctx, struct store *s, struct error *err)
{
    struct mapping *m = ctx;
    return m->sizes ? schema_read(s, m->arena, &m->schema, err)
                    : schema_read_shape(s, m->arena, &m->schema, err);
}

static int map_read_file(struct mapping *m, const char *file, struct error *err)
{
    char path[4200];
    struct look look;
    struct store *s = NULL;
    int code = db_file(file, path, sizeof path);
    if (code != 0)
        return code;
    int rc = look_open(path, file != NULL, &look, &s, err);
    if (rc == 0 && look.unreadable)
        rc = error_set(err, VX11_ECORRUPT,
                       "the schema of %s cannot be read (%.300s): vx11 db check tells more", path,
                       look.why.text);
    if (rc == 0)
        rc = map_read(m, s, err);
    store_close(s);
    return rc == 0 ? 0 : cli_fail(db_code_of(rc), "%s", err->text);
}

static int map_print(struct mapping *m, const char *output)
{
    struct buf out = BUF_INIT;
    struct error err = {0};
    int code = CLI_OK;
    if (map_write(&m->schema, m->format, m->arena, &out) != 0)
        code = cli_fail(CLI_FAILED, "out of memory");
    else if (!output || strcmp(output, "-") == 0)
        fwrite(out.data, 1, out.len, stdout);
    else if (fs_write_file_atomic(output, out.data, out.len, 0644, &err) != 0)
        code = cli_fail(CLI_FAILED, "%s", err.text);
    buf_free(&out);
    return code;
}

int command_db_map(int argc, char **argv)
{
    const char *format = NULL, *output = NULL, *file = NULL;
    struct mapping m = {.format = MAP_MARKDOWN};
    struct error err = {0};
    bool fresh = false;
    for (int i = 1; i < argc; i++) {
        int is = cli_option("db map", argc, argv, &i, "--format", &format);
        if (is == 0)
            is = cli_option("db map", argc, argv, &i, "--output", &output);
        if (is == 0)
            is = cli_option("db map", argc, argv, &i, "--file", &file);
        if (is < 0)
            return CLI_USAGE;
        if (is > 0)
            continue;
        if (strcmp(argv[i], "--sizes") == 0)
            m.sizes = true;
        else if (strcmp(argv[i], "--new") == 0)
            fresh = true;
        else if (strcmp(argv[i], "--json") == 0)
            format = map_format_names[MAP_JSON];
        else
            return cli_usage("db map", "unknown argument %s", argv[i]);
    }
    while (format && strcmp(map_format_names[m.format], format) != 0)
        if (++m.format > MAP_MERMAID)
            return cli_usage("db map", "there is markdown, json and mermaid, not %s", format);
    if (fresh && file)
        return cli_usage("db map", "--new is of no file");
    m.arena = arena_create(0);
    if (!m.arena)
        return cli_fail(CLI_FAILED, "out of memory");
    int code;
    if (fresh)
        code = look_new(map_read, &m, &err) == 0 ? 0 : cli_fail(CLI_FAILED, "%s", err.text);
    else
        code = map_read_file(&m, file, &err);
    if (code == 0)
        code = map_print(&m, output);
    arena_destroy(m.arena);
    return code;
}
