/* All places of one file at a time: the file is found and its build id compared, then one run of a tool reads
 * its debug information, and what is left is looked up in its table of symbols. */
#include "module/forensic/symbolize.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/elf_file.h"
#include "base/fs.h"
#include "base/str.h"
#include "module/child.h"

#define TOOL_MS       10000
#define ALL_TOOLS_MS  20000
#define OUTPUT_MAX    (512 * 1024)
#define TOOL_MEMORY   ((int64_t)4 << 30)
#define PLACES_OF_ONE (CRASH_FRAMES_MAX + 1)

struct work {
    const struct crash_report *report;
    const char *setting;
    struct arena *a;
    struct symbol_place *places;
    size_t count;
    const char *tool;
    int64_t until; /* monotonic ms: no tool is started after it */
};

/* One file and the places in it. */
struct object {
    const char *name;
    size_t places[PLACES_OF_ONE]; /* indices */
    uint64_t address[PLACES_OF_ONE];
    size_t count;
    char build_id[80]; /* wanted */
    struct elf_file file, debug;
    char file_path[4096], debug_path[256];
    bool has_file, has_debug;
    char why[700];
};

/* ---- tools ---- */

enum tool_style { TOOL_ADDR2LINE, TOOL_LLVM, TOOL_EU };

static enum tool_style style_of(const char *path)
{
    const char *name = strrchr(path, '/');
    name = name ? name + 1 : path;
    return str_starts(name, "llvm-symbolizer") ? TOOL_LLVM
           : str_starts(name, "eu-")           ? TOOL_EU
                                               : TOOL_ADDR2LINE;
}

/* The i-th tool to try, where it is installed; false: there is no i-th. path is "" when it is not there. */
static bool tool_at(const char *setting, size_t i, char *path, size_t size)
{
    static const char *const folders[] = {"/usr/bin", "/usr/local/bin"};
    static const char *const names[] = {"llvm-symbolizer",    "llvm-symbolizer-20", "llvm-symbolizer-19",
                                        "llvm-symbolizer-18", "llvm-symbolizer-17", "llvm-symbolizer-16",
                                        "llvm-symbolizer-15", "llvm-symbolizer-14", "addr2line",
                                        "eu-addr2line"};
    path[0] = '\0';
    if (str_eq(setting, "none"))
        return false;
    if (!str_eq(setting, "auto")) {
        snprintf(path, size, "%s", setting);
        return i == 0;
    }
    if (i >= COUNT_OF(names) * COUNT_OF(folders))
        return false;
    snprintf(path, size, "%s/%s", folders[i % COUNT_OF(folders)], names[i / COUNT_OF(folders)]);
    if (access(path, X_OK) != 0)
        path[0] = '\0';
    return true;
}

struct run {
    struct buf out;
    struct child_result result;
};

static void on_output(void *ctx, int fd, const char *data, size_t len)
{
    struct run *r = ctx;
    if (fd == 1)
        buf_append(&r->out, data, len);
}

static void on_end(void *ctx, const struct child_result *result)
{
    struct run *r = ctx;
    r->result = *result;
}

/* In a loop of its own, since the caller's thread has none. */
static int tool_wait(const char *const *argv, int64_t timeout_ms, struct run *run, struct error *err)
{
    uv_loop_t loop;
    struct child *child;
    struct child_env env = {0};
    if (uv_loop_init(&loop) != 0)
        return error_set(err, VX11_EUNAVAILABLE, "no event loop");
    int rc = child_env_init(&env, NULL); /* ours is not passed on: DEBUGINFOD_URLS would go to the network */
    const struct child_options options = {
        .loop = &loop,
        .argv = argv,
        .env = (const char *const *)env.list,
        .cwd = "/",
        .out_max = OUTPUT_MAX,
        .end_at_out_max = true,
        .timeout_ms = timeout_ms,
        .grace_ms = 200,
        .limits = {.cpu_s = 20, .memory_bytes = TOOL_MEMORY, .file_bytes = 1, .files = 64},
        .sandbox = CHILD_SANDBOX_OFF,
        .on_output = on_output,
        .on_end = on_end,
        .ctx = run,
    };
    rc = rc == 0 ? child_begin(&options, &child, err) : error_set(err, rc, "out of memory");
    (void)uv_run(&loop, UV_RUN_DEFAULT); /* a child that did not begin has handles to close too */
    (void)uv_loop_close(&loop);
    child_env_free(&env);
    return rc;
}

static size_t tool_arguments(struct work *w, const char *tool, const char *file, const struct object *o,
                             const char **argv)
{
    size_t n = 0;
    argv[n++] = tool;
    argv[n++] = "-a";
    argv[n++] = "-C";
    switch (style_of(tool)) {
    case TOOL_LLVM:
        argv[n++] = "--output-style=GNU";
        argv[n++] = "--functions=linkage";
        argv[n++] = "--inlines";
        argv[n++] = arena_printf(w->a, "--obj=%s", file);
        break;
    case TOOL_ADDR2LINE:
        argv[n++] = "-i";
        __attribute__((fallthrough));
    case TOOL_EU:
        argv[n++] = "-f";
        argv[n++] = "-e";
        argv[n++] = file;
        break;
    }
    for (size_t i = 0; i < o->count; i++)
        argv[n++] = arena_printf(w->a, "0x%llx", (unsigned long long)o->address[i]);
    argv[n] = NULL;
    for (size_t i = 0; i < n; i++)
        if (!argv[i])
            return 0; /* out of memory */
    return n;
}

static int tool_ask(struct work *w, const char *tool, const char *file, struct object *o, struct error *err)
{
    const char *argv[PLACES_OF_ONE + 12];
    struct symbol_line *lines[PLACES_OF_ONE];
    size_t counts[PLACES_OF_ONE];
    struct run run = {.out = BUF_INIT};
    int64_t left = w->until - clock_mono_ms();
    if (left <= 0)
        return error_set(err, VX11_ETIMEOUT, "the time for backtraces has run out");
    if (tool_arguments(w, tool, file, o, argv) == 0)
        return error_set(err, VX11_ENOMEM, "out of memory");
    int rc = tool_wait(argv, left < TOOL_MS ? left : TOOL_MS, &run, err);
    if (rc == 0 && run.result.timed_out)
        rc = error_set(err, VX11_ETIMEOUT, "%s took too long", tool);
    else if (rc == 0 && (run.result.exit_code != 0 || run.out.failed))
        rc = error_set(err, VX11_EUNAVAILABLE, "%s failed (exit status %d, signal %d)", tool,
                       run.result.exit_code, run.result.term_signal);
    if (rc == 0 && (rc = symbol_output_parse(w->a, run.out.data ? run.out.data : "", run.out.len, o->address,
                                             o->count, lines, counts)) != 0)
        (void)error_set(err, rc, "%s gave an answer that cannot be read", tool);
    for (size_t i = 0; rc == 0 && i < o->count; i++) {
        struct symbol_place *p = &w->places[o->places[i]];
        p->lines = lines[i];
        p->line_count = counts[i];
        /* Without a line it is from the table of symbols, which we read ourselves. */
        if (counts[i] > 0 && lines[i][counts[i] - 1].source)
            p->known = SYMBOL_DEBUG;
        else
            p->line_count = 0;
    }
    buf_free(&run.out);
    return rc;
}

/* The first tool that answers. */
static void debug_read(struct work *w, const char *file, struct object *o)
{
    char tool[4200];
    struct error err = {0};
    bool tried = false;
    for (size_t i = 0; tool_at(w->setting, i, tool, sizeof tool); i++) {
        if (!tool[0])
            continue;
        tried = true;
        if (tool_ask(w, tool, file, o, &err) == 0) {
            w->tool = arena_strdup(w->a, tool);
            snprintf(o->why, sizeof o->why, "the debug information of %.500s says nothing of it", o->name);
            return;
        }
    }
    if (tried)
        snprintf(o->why, sizeof o->why, "%.600s", err.text);
    else if (str_eq(w->setting, "none"))
        snprintf(o->why, sizeof o->why,
                 "reading debug information is switched off (supervisor.forensic.symbolizer)");
    else
        snprintf(o->why, sizeof o->why,
                 "no program that reads debug information is installed: llvm-symbolizer, addr2line or "
                 "eu-addr2line");
}

/* ---- files ---- */

/* Opens path when it is the very build. why is said otherwise. */
static bool build_open(const char *path, const char *build_id, struct elf_file *out, char *why, size_t size)
{
    struct error err = {0};
    if (elf_open(path, out, &err) != 0) {
        snprintf(why, size, "%.600s", err.text);
        return false;
    }
    if (str_eq(out->build_id, build_id))
        return true;
    snprintf(why, size, "%.300s is another build now: its build id is %.80s, and it was %.80s", path,
             out->build_id[0] ? out->build_id : "missing", build_id);
    elf_close(out);
    return false;
}

/* Where a program of ours may lie, when the report does not say: beside us, and in our private folder. */
static bool beside_us(struct object *o, const char *build_id)
{
    static const char *const folders[] = {"", "../lib/vx11/", "../../bin/"};
    char self[4096], path[4400], why[700];
    if (fs_self_exe(self, sizeof self) != 0 || !strrchr(self, '/'))
        return false;
    *strrchr(self, '/') = '\0';
    for (size_t i = 0; i < COUNT_OF(folders); i++) {
        int n = snprintf(path, sizeof path, "%s/%s%s", self, folders[i], o->name);
        if (n > 0 && (size_t)n < sizeof o->file_path &&
            build_open(path, build_id, &o->file, why, sizeof why)) {
            memcpy(o->file_path, path, (size_t)n + 1);
            snprintf(o->build_id, sizeof o->build_id, "%.79s", build_id);
            return true;
        }
    }
    return false;
}

/* The file that the report names, or a separate debug file of that build (as distributions have them). */
static void object_find(const struct crash_report *r, struct object *o)
{
    for (size_t i = 0; i < r->object_count; i++) {
        if (!str_eq(r->objects[i].name, o->name))
            continue;
        if (!r->objects[i].build_id[0]) {
            snprintf(o->why, sizeof o->why, "%.64s has no build id", o->name);
            return;
        }
        memcpy(o->build_id, r->objects[i].build_id, sizeof o->build_id);
        snprintf(o->file_path, sizeof o->file_path, "%s", r->objects[i].path);
        o->has_file = build_open(o->file_path, o->build_id, &o->file, o->why, sizeof o->why);
        break;
    }
    if (!o->build_id[0]) {
        o->has_file = r->build_id[0] && !str_eq(r->build_id, "unknown") && beside_us(o, r->build_id);
        if (!o->has_file)
            snprintf(o->why, sizeof o->why, "the report does not say which build of %.64s it was", o->name);
    }
    if (strlen(o->build_id) > 2 && (!o->has_file || !o->file.has_debug)) {
        char why[700];
        snprintf(o->debug_path, sizeof o->debug_path, "/usr/lib/debug/.build-id/%.2s/%.78s.debug",
                 o->build_id, o->build_id + 2);
        o->has_debug = access(o->debug_path, R_OK) == 0 &&
                       build_open(o->debug_path, o->build_id, &o->debug, why, sizeof why);
    }
}

/* ---- tables of symbols ---- */

static int table_take(struct work *w, struct object *o, const struct elf_file *f)
{
    struct elf_symbol symbols[PLACES_OF_ONE];
    size_t index[PLACES_OF_ONE], n = 0;
    struct error err = {0};
    for (size_t i = 0; i < o->count; i++) {
        if (w->places[o->places[i]].line_count > 0)
            continue;
        symbols[n] = (struct elf_symbol){.address = o->address[i]};
        index[n++] = o->places[i];
    }
    if (n == 0 || elf_symbols(f, symbols, n, &err) != 0)
        return 0;
    for (size_t i = 0; i < n; i++) {
        struct symbol_place *p = &w->places[index[i]];
        if (!symbols[i].found)
            continue;
        p->lines = arena_zalloc(w->a, sizeof *p->lines);
        if (!p->lines || !(p->lines->function = arena_strdup(w->a, symbols[i].name)))
            return VX11_ENOMEM;
        p->line_count = 1;
        p->known = SYMBOL_TABLE;
    }
    return 0;
}

/* ---- one file ---- */

static void addresses_fill(struct work *w, struct object *o, const struct elf_file *f)
{
    for (size_t i = 0; i < o->count; i++) {
        const struct symbol_place *p = &w->places[o->places[i]];
        o->address[i] = p->at->offset + f->vaddr_bias - (p->exact ? 0 : 1);
    }
}

static int object_read(struct work *w, struct object *o)
{
    int rc = 0;
    object_find(w->report, o);
    if (o->has_file || o->has_debug) {
        const bool separate = o->has_debug && o->debug.has_debug;
        addresses_fill(w, o, o->has_file ? &o->file : &o->debug);
        if (separate || (o->has_file && o->file.has_debug))
            debug_read(w, separate ? o->debug_path : o->file_path, o);
        else
            snprintf(o->why, sizeof o->why, "%.500s has no debug information", o->name);
        if (o->has_debug)
            rc = table_take(w, o, &o->debug);
        if (rc == 0 && o->has_file)
            rc = table_take(w, o, &o->file);
    }
    const char *why = arena_strdup(w->a, o->why);
    for (size_t i = 0; i < o->count; i++)
        if (w->places[o->places[i]].known != SYMBOL_DEBUG)
            w->places[o->places[i]].reason = why;
    if (o->has_file)
        elf_close(&o->file);
    if (o->has_debug)
        elf_close(&o->debug);
    return why ? rc : VX11_ENOMEM;
}

int symbolize(const struct crash_report *report, const char *setting, struct arena *a,
              struct symbol_place *places, size_t count, const char **tool, struct error *err)
{
    struct work w = {.report = report,
                     .setting = setting,
                     .a = a,
                     .places = places,
                     .count = count,
                     .until = clock_mono_ms() + ALL_TOOLS_MS};
    struct object *o = calloc(1, sizeof *o);
    int rc = o ? 0 : VX11_ENOMEM;
    for (size_t i = 0; i < count; i++) {
        places[i].lines = NULL;
        places[i].line_count = 0;
        places[i].known = SYMBOL_OFFSET;
        places[i].reason =
            places[i].at->object[0] ? NULL : "it is in no file: code made at run time, or no code";
    }
    for (size_t i = 0; rc == 0 && i < count; i++) {
        if (!places[i].at->object[0] || places[i].reason || places[i].known != SYMBOL_OFFSET)
            continue;
        *o = (struct object){.name = places[i].at->object};
        for (size_t k = i; k < count && o->count < PLACES_OF_ONE; k++)
            if (str_eq(places[k].at->object, o->name))
                o->places[o->count++] = k;
        rc = object_read(&w, o);
    }
    free(o);
    *tool = w.tool;
    return rc == 0 ? 0 : error_set(err, rc, "out of memory");
}
