/* contractgen: the tables below api/ -> C.
 *
 *   contractgen --out DIR api/common.json api/switch.json ...
 *
 * writes DIR/api/NAME.h, DIR/api/NAME.c and DIR/api/NAME_client.h for each file given. All files are given at
 * once, since they refer to each other. A file whose content would not change is not touched, so that nothing
 * is built again. Exit status: 0, 1 when a table is wrong (all errors are printed, nothing is written), 2 for
 * everything else. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "emit.h"

static bool same_content(const char *path, const char *text, size_t len)
{
    FILE *in = fopen(path, "rb");
    if (in == NULL) {
        return false;
    }
    char chunk[8192];
    size_t at = 0, n;
    bool same = true;
    while (same && (n = fread(chunk, 1, sizeof chunk, in)) > 0) {
        same = at + n <= len && memcmp(text + at, chunk, n) == 0;
        at += n;
    }
    same = same && !ferror(in) && at == len;
    fclose(in);
    return same;
}

/* Beside the target and renamed, so that a compiler beside us never reads half a file. */
static int write_if_changed(struct model *m, const char *path, const char *text, size_t len)
{
    if (same_content(path, text, len)) {
        return 0;
    }
    const char *temporary = model_printf(m, "%s.tmp", path);
    FILE *out = fopen(temporary, "wb");
    if (out == NULL) {
        fprintf(stderr, "contractgen: %s: %s\n", temporary, strerror(errno));
        return -1;
    }
    bool ok = fwrite(text, 1, len, out) == len;
    ok = fclose(out) == 0 && ok;
    if (!ok || rename(temporary, path) != 0) {
        fprintf(stderr, "contractgen: %s: %s\n", path, strerror(errno));
        remove(temporary);
        return -1;
    }
    return 0;
}

static int emit_to(struct model *m, const struct file *f, const char *path,
                   void (*emit)(struct model *, const struct file *, FILE *))
{
    char *text = NULL;
    size_t len = 0;
    FILE *memory = open_memstream(&text, &len);
    if (memory == NULL) {
        fprintf(stderr, "contractgen: %s\n", strerror(errno));
        return -1;
    }
    emit(m, f, memory);
    bool ok = !ferror(memory);
    ok = fclose(memory) == 0 && ok;
    int rc = ok ? write_if_changed(m, path, text, len) : -1;
    if (!ok) {
        fputs("contractgen: out of memory\n", stderr);
    }
    free(text);
    return rc;
}

static int write_all(struct model *m, const char *dir)
{
    const char *api = model_printf(m, "%s/api", dir);
    if ((mkdir(dir, 0777) != 0 && errno != EEXIST) || (mkdir(api, 0777) != 0 && errno != EEXIST)) {
        fprintf(stderr, "contractgen: %s: %s\n", api, strerror(errno));
        return -1;
    }
    for (size_t i = 0; i < m->file_count; i++) {
        const struct file *f = &m->files[i];
        if (emit_to(m, f, model_printf(m, "%s/%s.h", api, f->name), emit_header) != 0 ||
            emit_to(m, f, model_printf(m, "%s/%s.c", api, f->name), emit_source) != 0 ||
            emit_to(m, f, model_printf(m, "%s/%s_client.h", api, f->name), emit_client) != 0) {
            return -1;
        }
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc < 4 || strcmp(argv[1], "--out") != 0) {
        fputs("usage: contractgen --out DIR FILE.json...\n", stderr);
        return 2;
    }
    struct model m = {0};
    int status = 0;
    model_load(&m, argv + 3, (size_t)(argc - 3));
    if (m.errors > 0) {
        fprintf(stderr, "contractgen: %u error%s, nothing written\n", m.errors, m.errors == 1 ? "" : "s");
        status = 1;
    } else if (write_all(&m, argv[2]) != 0) {
        status = 2;
    }
    model_free(&m);
    return status;
}
