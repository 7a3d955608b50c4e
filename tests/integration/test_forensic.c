/* Forensics end to end: a module that crashes is listed and shown with its functions; a broken report is
 * there with its reason; the folder is kept within its bounds; and a bundle has everything but secrets, or is
 * not there at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <yyjson.h>
#include <zstd.h>

#include "base/fs.h"
#include "base/str.h"
#include "system.h"

/* Secrets that look like nothing, so that only who knows them can hide them; and some that look like one. */
static const char key_of_env[] = "correcthorsebattery", key_of_file[] = "staplesandpaperclips",
                  key_added[] = "umbrella-in-the-rain", key_by_name[] = "velvet.underground.68";
static const char in_log[] = "c2VjcmV0LWluLWEtbG9n", in_report[] = "sk-planted-in-a-report-123";

static struct system sys;
static char crash_id[128];

static void file_write(const char *name, const char *text)
{
    struct error err = {0};
    if (fs_write_file_atomic(system_path(&sys, name), text, strlen(text), 0600, &err) != 0)
        fail_msg("%s", err.text);
}

static int start(void **state)
{
    char yaml[800];
    (void)state;
    system_init(&sys);
    file_write("provider.key", key_of_file);
    file_write("added.key", key_added);
    snprintf(yaml, sizeof yaml,
             "switch:\n  providers:\n"
             "    - {name: first, kind: openai, base_url: 'http://127.0.0.1:9/v1', key_env: FIRST_WORD}\n"
             "    - {name: second, kind: openai, base_url: 'http://127.0.0.1:9/v1', key_file: %s}\n",
             system_path(&sys, "provider.key"));
    system_config(&sys, yaml);
    system_env(&sys, "FIRST_WORD=%s", key_of_env);
    system_env(&sys, "SOME_SERVICE_PASSWORD=%s", key_by_name);
    system_up(&sys);
    sys.rough = true;
    return 0;
}

static int stop(void **state)
{
    (void)state;
    system_remove(&sys);
    return 0;
}

static int run(struct buf *out, const char *const *args)
{
    buf_clear(out);
    return system_run(&sys, out, args);
}
#define RUN(out, ...) run(out, (const char *const[]){__VA_ARGS__, NULL})

static yyjson_doc *json_of(const struct buf *b)
{
    yyjson_doc *doc = yyjson_read(b->data, b->len, 0);
    if (!doc)
        fail_msg("no JSON: %s", b->data);
    return doc;
}

static const char *text_at(yyjson_doc *doc, const char *pointer)
{
    const char *s = yyjson_get_str(yyjson_doc_ptr_get(doc, pointer));
    return s ? s : "";
}

/* ---- list, show ---- */

static bool has_function(yyjson_val *frames, const char *name, bool with_line)
{
    yyjson_arr_iter it = yyjson_arr_iter_with(frames);
    for (yyjson_val *f; (f = yyjson_arr_iter_next(&it));)
        if (str_eq(yyjson_get_str(yyjson_obj_get(f, "function")), name))
            return !with_line || (yyjson_get_str(yyjson_obj_get(f, "source")) &&
                                  yyjson_get_int(yyjson_obj_get(f, "line")) > 0);
    return false;
}

static void crash(void **state)
{
    struct buf out = BUF_INIT;
    struct http_reply r;
    struct http_at at = system_supervisor(&sys);
    char path[200];
    (void)state;
    pid_t pid = system_module_pid(&sys, "switch");
    assert_true(pid > 0);
    process_kill(pid, SIGSEGV);
    eventually(15000, system_module_pid(&sys, "switch") > 0 && system_module_pid(&sys, "switch") != pid);

    assert_int_equal(RUN(&out, "forensic", "list", "--json"), 0);
    yyjson_doc *doc = json_of(&out);
    assert_int_equal(yyjson_get_int(yyjson_doc_ptr_get(doc, "/total")), 1);
    snprintf(crash_id, sizeof crash_id, "%s", text_at(doc, "/reports/0/id"));
    assert_string_equal(text_at(doc, "/reports/0/module"), "switch");
    assert_string_equal(text_at(doc, "/reports/0/signal"), "SIGSEGV");
    assert_int_equal(yyjson_get_int(yyjson_doc_ptr_get(doc, "/reports/0/pid")), pid);
    assert_true(yyjson_get_bool(yyjson_doc_ptr_get(doc, "/reports/0/complete")));
    assert_int_equal(strlen(text_at(doc, "/reports/0/build_id")), 40);
    yyjson_doc_free(doc);

    /* The function's name is in the program's own table; its line wants a tool. */
    assert_int_equal(RUN(&out, "forensic", "show", crash_id, "--json"), 0);
    doc = json_of(&out);
    bool tool = text_at(doc, "/symbolizer")[0];
    assert_true(has_function(yyjson_doc_ptr_get(doc, "/frames"), "module_run", tool));
    assert_int_equal(strlen(text_at(doc, "/run/id")), 26);
    assert_int_equal(yyjson_get_int(yyjson_doc_ptr_get(doc, "/run/signal")), SIGSEGV);
    assert_non_null(strstr(text_at(doc, "/summary"), "switch crashed with SIGSEGV"));
    assert_true(yyjson_arr_size(yyjson_doc_ptr_get(doc, "/log")) > 0);
    yyjson_doc_free(doc);
    assert_int_equal(RUN(&out, "forensic", "show", "last"), 0);
    assert_non_null(strstr(out.data, "module_run"));

    /* The same over HTTP. */
    http(&r, &at, "GET", "/supervisor/forensic", NULL);
    assert_status(&r, 200);
    assert_string_equal(http_text(&r, "/reports/0/id"), crash_id);
    http_free(&r);
    snprintf(path, sizeof path, "/supervisor/forensic/%s", crash_id);
    http(&r, &at, "GET", path, NULL);
    assert_status(&r, 200);
    assert_true(has_function(yyjson_doc_ptr_get(r.json, "/frames"), "module_run", tool));
    http_free(&r);
    assert_int_equal(http_status(&at, "GET", "/supervisor/forensic/switch-1-1", NULL), 404);
    assert_int_equal(http_status(&at, "GET", "/supervisor/forensic/nonsense", NULL), 422);
    assert_int_equal(http_status(&at, "GET", "/supervisor/forensic/..%2Ftoken", NULL), 422);
    buf_free(&out);
}

static void corrupt(void **state)
{
    struct buf out = BUF_INIT;
    (void)state;
    file_write("forensic/crash-link-1000-7.txt",
               "vx11 crash report\nsignal: SIGSEGV (11), code 1\npid: many\n");
    assert_int_equal(RUN(&out, "forensic", "list", "--json"), 0);
    yyjson_doc *doc = json_of(&out);
    assert_int_equal(yyjson_get_int(yyjson_doc_ptr_get(doc, "/total")), 2);
    assert_false(yyjson_get_bool(yyjson_doc_ptr_get(doc, "/reports/1/readable")));
    assert_non_null(strstr(text_at(doc, "/reports/1/reason"), "line 3: pid"));
    yyjson_doc_free(doc);
    assert_int_equal(RUN(&out, "forensic", "show", "link-1000-7"), 1);
    assert_non_null(strstr(out.data, "line 3: pid"));
    assert_int_equal(RUN(&out, "forensic", "show", "link-1-1"), 1);
    assert_int_equal(RUN(&out, "forensic", "show", "../token"), 64);
    assert_int_equal(RUN(&out, "forensic", "shew"), 64);
    assert_int_equal(unlink(system_path(&sys, "forensic/crash-link-1000-7.txt")), 0);
    buf_free(&out);
}

/* ---- the bundle ---- */

struct unpacked {
    struct buf tar;
    char folder[200];
    size_t files;
};

static void unpack(const char *path, struct unpacked *u)
{
    struct buf packed = BUF_INIT;
    struct error err = {0};
    *u = (struct unpacked){.tar = BUF_INIT};
    if (fs_read_file(path, 64 << 20, &packed, &err) != 0)
        fail_msg("%s", err.text);
    ZSTD_DStream *z = ZSTD_createDStream();
    ZSTD_inBuffer in = {packed.data, packed.len, 0};
    size_t left = 1;
    while (in.pos < in.size || left > 0) {
        assert_int_equal(buf_reserve(&u->tar, 1 << 16), 0);
        ZSTD_outBuffer to = {u->tar.data + u->tar.len, 1 << 16, 0};
        left = ZSTD_decompressStream(z, &to, &in);
        assert_false(ZSTD_isError(left));
        u->tar.len += to.pos;
    }
    ZSTD_freeDStream(z);
    buf_free(&packed);
    assert_int_equal(u->tar.len % 512, 0);
}

/* A file of the archive: its content; NULL: there is none. Counts all of them on the way. */
static const char *member(struct unpacked *u, const char *name, size_t *len)
{
    const char *found = NULL;
    u->files = 0;
    for (size_t at = 0; at + 512 <= u->tar.len && u->tar.data[at];) {
        const char *h = u->tar.data + at;
        char full[300];
        unsigned sum = 0;
        unsigned long long size = strtoull(h + 124, NULL, 8);
        for (size_t i = 0; i < 512; i++)
            sum += i >= 148 && i < 156 ? ' ' : (unsigned char)h[i];
        assert_int_equal(sum, strtoul(h + 148, NULL, 8));
        assert_memory_equal(h + 257,
                            "ustar\0"
                            "00",
                            8);
        snprintf(full, sizeof full, "%.155s/%.100s", h + 345, h);
        assert_true(str_starts(full, "vx11-bundle-"));
        const char *inside = strchr(full, '/') + 1;
        if (str_eq(inside, name)) {
            found = h + 512;
            *len = (size_t)size;
        }
        u->files++;
        at += 512 + (size_t)(size + 511) / 512 * 512;
        assert_true(at + 1024 <= u->tar.len);
    }
    return found;
}

/* Every file is as the manifest says, and the manifest says every file. */
static void manifest_check(struct unpacked *u)
{
    size_t len;
    const char *text = member(u, "manifest.json", &len);
    assert_non_null(text);
    yyjson_doc *doc = yyjson_read(text, len, 0);
    assert_non_null(doc);
    yyjson_val *files = yyjson_doc_ptr_get(doc, "/files");
    assert_int_equal(yyjson_arr_size(files) + 1, u->files);
    yyjson_arr_iter it = yyjson_arr_iter_with(files);
    for (yyjson_val *f; (f = yyjson_arr_iter_next(&it));) {
        unsigned char hash[32];
        char hex[65];
        const char *content = member(u, yyjson_get_str(yyjson_obj_get(f, "name")), &len);
        assert_non_null(content);
        assert_int_equal(len, yyjson_get_int(yyjson_obj_get(f, "bytes")));
        crypto_hash_sha256(hash, (const unsigned char *)content, len);
        hex_encode(hash, sizeof hash, hex);
        assert_string_equal(hex, yyjson_get_str(yyjson_obj_get(f, "sha256")));
    }
    assert_true(yyjson_get_int(yyjson_doc_ptr_get(doc, "/redacted")) > 0);
    yyjson_doc_free(doc);
}

static void nothing_secret(const struct unpacked *u)
{
    const char *const secrets[] = {key_of_env, key_of_file, key_added, key_by_name,
                                   in_log,     in_report,   sys.token};
    for (size_t i = 0; i < COUNT_OF(secrets); i++)
        if (memmem(u->tar.data, u->tar.len, secrets[i], strlen(secrets[i])))
            fail_msg("the bundle holds %s", secrets[i]);
}

/* Into logs, a report's request, and the settings of a provider that was added. */
static void plant(void)
{
    char line[900], body[400];
    struct http_at at = system_hermes(&sys);
    int fd = open(system_path(&sys, "log/planted.log"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    snprintf(line, sizeof line,
             "time=2026-11-22T14:45:04.123Z level=info module=planted msg=\"Authorization: Basic %s\"\n"
             "time=2026-11-22T14:45:05.123Z level=info module=planted msg=\"%s %s, %s and %s; %s\"\n",
             in_log, key_of_env, key_of_file, key_by_name, key_added, sys.token);
    assert_int_equal(write(fd, line, strlen(line)), strlen(line));
    close(fd);
    snprintf(
        line, sizeof line,
        "vx11 crash report\nsignal: SIGABRT (6), code 0\nmodule: link\nrequest_id: %s\n\nlast log records:\n"
        "msg=asked authorization=\"Bearer %s\" token=%s\n\nbacktrace (cut",
        in_report, in_report, key_of_env);
    file_write("forensic/crash-link-2000-8.txt", line);
    snprintf(
        body, sizeof body,
        "{\"name\":\"added\",\"kind\":\"openai\",\"base_url\":\"http://127.0.0.1:9/v1\",\"key_file\":\"%s\"}",
        system_path(&sys, "added.key"));
    int status = http_status(&at, "POST", "/hermes/providers", body);
    assert_true(status == 200 || status == 201);
}

static void bundle(void **state)
{
    static const char *const names[] = {"README.txt",
                                        "versions.json",
                                        "machine.json",
                                        "environment.txt",
                                        "config.yaml",
                                        "status.json",
                                        "schema.sql",
                                        "migrations.json",
                                        "module_runs.json",
                                        "logs/switch.log",
                                        "logs/link.log",
                                        "logs/planted.log",
                                        "crashes/link-2000-8.txt",
                                        "crashes/link-2000-8.json"};
    struct buf out = BUF_INIT;
    struct unpacked u;
    struct stat st;
    size_t len;
    char path[300];
    (void)state;
    plant();
    snprintf(path, sizeof path, "%s", system_path(&sys, "bundle.tar.zst"));
    assert_int_equal(RUN(&out, "forensic", "bundle", "--output", path, "--json"), 0);
    yyjson_doc_free(json_of(&out));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    unpack(path, &u);
    nothing_secret(&u);
    manifest_check(&u);
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (!member(&u, names[i], &len))
            fail_msg("%s is missing", names[i]);
    const char *environment = member(&u, "environment.txt", &len);
    assert_non_null(memmem(environment, len, "FIRST_WORD\n", 11)); /* the name, and no more */
    const char *schema = member(&u, "schema.sql", &len);
    assert_non_null(memmem(schema, len, "CREATE TABLE module_run", 23));
    buf_free(&u.tar);

    /* A file that is there stays, unless one says so. */
    assert_int_equal(RUN(&out, "forensic", "bundle", "--output", path), 1);
    assert_non_null(strstr(out.data, "there already"));
    assert_int_equal(RUN(&out, "forensic", "bundle", "--output", path, "--force", "--include-crashes", "0"),
                     0);
    unpack(path, &u);
    assert_null(member(&u, "crashes/link-2000-8.txt", &len));
    buf_free(&u.tar);
    assert_int_equal(unlink(path), 0);
    buf_free(&out);
}

static size_t names_with(const char *dir, const char *part)
{
    size_t n = 0;
    DIR *d = opendir(dir);
    assert_non_null(d);
    for (const struct dirent *e; (e = readdir(d));)
        n += strstr(e->d_name, part) != NULL;
    closedir(d);
    return n;
}

/* A limit on file sizes, which the kernel enforces like a full disk. */
static void bundle_full(void **state)
{
    struct buf out = BUF_INIT;
    struct rlimit before, small;
    char path[300];
    (void)state;
    snprintf(path, sizeof path, "%s", system_path(&sys, "full.tar.zst"));
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = (struct rlimit){4096, before.rlim_max};
    signal(SIGXFSZ, SIG_IGN); /* inherited */
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    int code = RUN(&out, "forensic", "bundle", "--output", path);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, SIG_DFL);
    if (code != 1)
        fail_msg("exit %d: %s", code, out.data);
    assert_non_null(strstr(out.data, "cannot be written"));
    assert_int_equal(names_with(sys.home, "full.tar"), 0); /* no half of it */
    assert_int_equal(RUN(&out, "forensic", "bundle", "--output", "/nowhere/at/all.tar.zst"), 1);
    buf_free(&out);
}

/* ---- services down ---- */

static void down(void **state)
{
    struct buf out = BUF_INIT;
    struct unpacked u;
    size_t len;
    char path[300];
    (void)state;
    assert_int_equal(RUN(&out, "down"), 0);
    assert_int_equal(system_wait_exit(&sys, 20000), 0);
    assert_int_equal(RUN(&out, "forensic", "show", crash_id, "--json"), 0);
    assert_non_null(strstr(out.data, "module_run"));
    snprintf(path, sizeof path, "%s", system_path(&sys, "down.tar.zst"));
    assert_int_equal(RUN(&out, "forensic", "bundle", "--output", path), 0);
    assert_non_null(strstr(out.data, "missing: status.json"));
    unpack(path, &u);
    nothing_secret(&u);
    manifest_check(&u);
    buf_free(&u.tar);

    /* With a broken configuration and without a database too: then these are what is missing. */
    file_write("config.yaml", "switch: [this is no section\n");
    assert_int_equal(rename(system_path(&sys, "vx11.db"), system_path(&sys, "gone.db")), 0);
    assert_int_equal(RUN(&out, "forensic", "bundle", "--output", path, "--force"), 0);
    assert_non_null(strstr(out.data, "missing: config.yaml"));
    assert_non_null(strstr(out.data, "missing: schema.sql"));
    unpack(path, &u);
    assert_null(member(&u, "config.yaml", &len));
    manifest_check(&u);
    buf_free(&u.tar);
    assert_int_equal(rename(system_path(&sys, "gone.db"), system_path(&sys, "vx11.db")), 0);
    buf_free(&out);
}

/* Of reports of the past by each bound of the configuration. */
static void prune(void **state)
{
    struct buf out = BUF_INIT;
    char name[100], dir[200];
    (void)state;
    snprintf(dir, sizeof dir, "%s", system_path(&sys, "forensic"));
    for (int i = 0; i < 6; i++) {
        snprintf(name, sizeof name, "forensic/crash-link-%d-9.txt", 3000 + i);
        file_write(name, "vx11 crash report\n");
    }
    size_t before = names_with(dir, "crash-");
    file_write("config.yaml", "supervisor: {forensic: {keep_count: 4, keep_ms: 315360000000}}\n");
    /* They are of 1970: by age they are older than any bound allows, so only counting down from the newest
     * shows the bounds apart; unit tests of base do. Here: nothing goes in a dry run, and the newest always
     * stays. */
    assert_int_equal(RUN(&out, "forensic", "prune", "--dry-run", "--json"), 0);
    yyjson_doc *doc = json_of(&out);
    assert_true(yyjson_arr_size(yyjson_doc_ptr_get(doc, "/removed")) > 0);
    yyjson_doc_free(doc);
    assert_int_equal(names_with(dir, "crash-"), before);
    assert_int_equal(RUN(&out, "forensic", "prune"), 0);
    assert_int_equal(names_with(dir, "crash-"), 1);
    assert_int_equal(names_with(dir, crash_id), 1);
    file_write("config.yaml", "supervisor: {forensic: {keep_count: 0}}\n");
    assert_int_equal(RUN(&out, "forensic", "prune"), 78); /* not by defaults beside a broken file */
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crash),       cmocka_unit_test(corrupt), cmocka_unit_test(bundle),
        cmocka_unit_test(bundle_full), cmocka_unit_test(down),    cmocka_unit_test(prune),
    };
    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, start, stop);
}
