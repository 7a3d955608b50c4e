/* Bundle, the machine: versions of the program and of what it is built on, memory, disk, names of variables.
 */
#include <gnu/libc-version.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <yyjson.h>
#include <zstd.h>

#include "base/elf_file.h"
#include "base/fs.h"
#include "base/proc.h"
#include "base/str.h"
#include "cli/forensic/bundle.h"
#include "module/module.h"
#include "net/libraries.h"
#include "version.h"

/* Writes doc, frees it, adds it. */
static int doc_add(struct bundle *b, const char *name, yyjson_mut_doc *doc, struct error *err)
{
    size_t n = 0;
    char *json = yyjson_mut_write(doc, 0, &n);
    struct buf text = BUF_INIT;
    if (json)
        buf_append(&text, json, n);
    free(json);
    yyjson_mut_doc_free(doc);
    int rc = n > 0 ? bundle_add(b, name, BUNDLE_JSON, &text, NULL, err)
                   : error_set(err, VX11_ENOMEM, "out of memory");
    buf_free(&text);
    return rc;
}

static void put(yyjson_mut_doc *doc, yyjson_mut_val *o, const char *key, const char *value)
{
    if (value)
        yyjson_mut_obj_add_strcpy(doc, o, key, value);
    else
        yyjson_mut_obj_add_null(doc, o, key);
}

/* ---- versions ---- */

static int first_text(void *ctx, const struct store_row *row)
{
    row_copy(row, 0, ctx, 64);
    return 0;
}

static void libraries_put(struct bundle *b, yyjson_mut_doc *doc, yyjson_mut_val *o)
{
    char text[64] = "";
    const unsigned yy = yyjson_version();
    struct net_libraries net;
    net_libraries(&net);
    if (b->store)
        (void)store_query(b->store, "SELECT sqlite_version()", NULL, 0, first_text, text, NULL);
    put(doc, o, "sqlite", text[0] ? text : NULL);
    put(doc, o, "libuv", uv_version_string());
    put(doc, o, "libcurl", net.curl_whole);
    put(doc, o, "libmicrohttpd", net.http_run);
    put(doc, o, "libsodium", sodium_version_string());
    put(doc, o, "zstd", ZSTD_versionString());
    snprintf(text, sizeof text, "%u.%u.%u", yy >> 16, yy >> 8 & 0xff, yy & 0xff);
    put(doc, o, "yyjson", text);
    put(doc, o, "libc", gnu_get_libc_version());
}

/* PRETTY_NAME="Debian GNU/Linux 12 (bookworm)" */
static void os_put(yyjson_mut_doc *doc, yyjson_mut_val *o)
{
    struct buf b = BUF_INIT;
    char name[200] = "";
    if (fs_read_file("/etc/os-release", 64 * 1024, &b, NULL) == 0 && b.data) {
        const char *p = str_starts(b.data, "PRETTY_NAME=") ? b.data : strstr(b.data, "\nPRETTY_NAME=");
        p = p ? strchr(p, '=') + 1 : "";
        p += *p == '"';
        snprintf(name, sizeof name, "%.*s", (int)strcspn(p, "\"\n"), p);
    }
    put(doc, o, "os", name[0] && utf8_valid(name, strlen(name)) ? name : NULL);
    buf_free(&b);
}

int bundle_versions(struct bundle *b, struct error *err)
{
    struct utsname u;
    struct elf_file self;
    char path[4096];
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *o = yyjson_mut_obj(doc), *libraries = yyjson_mut_obj(doc);
    if (!o || !libraries)
        return error_set(err, VX11_ENOMEM, "out of memory");
    yyjson_mut_doc_set_root(doc, o);
    put(doc, o, "version", VX11_VERSION);
    put(doc, o, "commit", VX11_COMMIT[0] ? VX11_COMMIT : NULL);
    put(doc, o, "profile", VX11_PROFILE);
    const bool opened = fs_self_exe(path, sizeof path) == 0 && elf_open(path, &self, NULL) == 0;
    put(doc, o, "build_id", opened && self.build_id[0] ? self.build_id : NULL);
    if (opened)
        elf_close(&self);
    yyjson_mut_obj_add_val(doc, o, "libraries", libraries);
    libraries_put(b, doc, libraries);
    if (uname(&u) == 0) {
        put(doc, o, "kernel", u.release);
        put(doc, o, "kernel_version", u.version);
        put(doc, o, "machine", u.machine);
    }
    os_put(doc, o);
    return doc_add(b, "versions.json", doc, err);
}

/* ---- memory, disk ---- */

static void file_put(yyjson_mut_doc *doc, yyjson_mut_val *o, const char *key, const char *path)
{
    struct stat st;
    if (stat(path, &st) == 0)
        yyjson_mut_obj_add_int(doc, o, key, st.st_size);
    else
        yyjson_mut_obj_add_null(doc, o, key);
}

static void database_put(struct bundle *b, yyjson_mut_doc *doc, yyjson_mut_val *o)
{
    char path[4096], wal[4104];
    if (module_store_path(b->c->config, b->c->home, path, sizeof path) != 0)
        return;
    snprintf(wal, sizeof wal, "%s-wal", path);
    file_put(doc, o, "database_bytes", path);
    file_put(doc, o, "database_wal_bytes", wal);
}

int bundle_machine(struct bundle *b, struct error *err)
{
    struct proc_memory memory;
    struct statvfs disk;
    struct sysinfo info;
    struct rlimit files;
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *o = yyjson_mut_obj(doc);
    if (!o)
        return error_set(err, VX11_ENOMEM, "out of memory");
    yyjson_mut_doc_set_root(doc, o);
    if (proc_memory(&memory) == 0) {
        yyjson_mut_obj_add_uint(doc, o, "memory_bytes", memory.total_bytes);
        yyjson_mut_obj_add_uint(doc, o, "memory_available_bytes", memory.available_bytes);
    }
    yyjson_mut_obj_add_uint(doc, o, "cores", proc_physical_cores());
    yyjson_mut_obj_add_uint(doc, o, "oom_kills", proc_oom_kills());
    if (sysinfo(&info) == 0) {
        yyjson_mut_obj_add_int(doc, o, "uptime_s", info.uptime);
        yyjson_mut_obj_add_real(doc, o, "load_1m", (double)info.loads[0] / (1 << SI_LOAD_SHIFT));
    }
    if (getrlimit(RLIMIT_NOFILE, &files) == 0)
        yyjson_mut_obj_add_uint(doc, o, "open_files_limit", files.rlim_cur);
    if (statvfs(b->c->home, &disk) == 0) {
        yyjson_mut_obj_add_uint(doc, o, "disk_bytes", (uint64_t)disk.f_blocks * disk.f_frsize);
        yyjson_mut_obj_add_uint(doc, o, "disk_free_bytes", (uint64_t)disk.f_bavail * disk.f_frsize);
        yyjson_mut_obj_add_uint(doc, o, "disk_free_inodes", disk.f_favail);
    }
    put(doc, o, "home", b->c->home);
    database_put(b, doc, o);
    return doc_add(b, "machine.json", doc, err);
}

/* ---- environment ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Names only: what a variable holds may be anything. */
int bundle_environment(struct bundle *b, struct error *err)
{
    size_t n = 0;
    struct buf text = BUF_INIT;
    while (environ[n])
        n++;
    const char **names = arena_array(b->c->arena, n + 1, sizeof *names);
    if (!names)
        return error_set(err, VX11_ENOMEM, "out of memory");
    for (size_t i = 0; i < n; i++) {
        names[i] = arena_strndup(b->c->arena, environ[i], strcspn(environ[i], "="));
        if (!names[i])
            return error_set(err, VX11_ENOMEM, "out of memory");
    }
    if (n > 1)
        qsort(names, n, sizeof *names, by_name);
    for (size_t i = 0; i < n; i++)
        buf_printf(&text, "%s\n", names[i]);
    int rc = bundle_add(b, "environment.txt", BUNDLE_TEXT, &text,
                        "names of variables, without what they hold", err);
    buf_free(&text);
    return rc;
}
