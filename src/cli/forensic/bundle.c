/* Bundle: one file for a bug report. Each part is gathered by itself, and one that cannot be had is named in
 * the manifest with its reason: after a crash something is always missing. Nothing goes in but through
 * bundle_add, which hides secrets. */
#include "cli/forensic/bundle.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "version.h"

enum { CRASHES = 5, CRASHES_MAX = 100, RECORDS = 2000, RECORDS_MAX = 100000 };

static const char readme[] =
    "What VX11 knows of itself, for a bug report: versions, configuration, the last records of each log, "
    "the\n"
    "database's schema (no rows but module runs and the last doctor report), health, crash reports.\n"
    "\n"
    "Secrets are replaced by [redacted]: the tokens and keys that this installation knows, and whatever "
    "looks\n"
    "like one. No prompts and answers are in it. Paths, host names in addresses and names of models are, "
    "and\n"
    "logs may quote a provider: look through it before you give it away.\n"
    "\n"
    "manifest.json lists every file with its SHA-256, and what could not be had.\n";

/* ---- adding ---- */

static void *grown(struct arena *a, void *list, size_t count, size_t *cap, size_t size)
{
    if (count < *cap)
        return list;
    size_t more = *cap ? *cap * 2 : 32;
    void *out = arena_realloc(a, list, *cap * size, more * size);
    *cap = out ? more : *cap;
    return out;
}

int bundle_add(struct bundle *b, const char *name, enum bundle_kind kind, const struct buf *content,
               const char *note, struct error *err)
{
    struct cli_forensic_bundle_manifest *m = &b->manifest;
    struct buf clean = BUF_INIT;
    char hash[65];
    const char *data = content->data ? content->data : "";
    int rc = content->failed       ? VX11_ENOMEM
             : kind == BUNDLE_JSON ? secrets_redact_json(b->secrets, data, content->len, &clean, &m->redacted)
                                   : secrets_redact(b->secrets, data, content->len, &clean, &m->redacted);
    if (rc != 0) {
        buf_free(&clean);
        return error_set(err, rc, "out of memory");
    }
    rc = pack_add(b->pack, name, clean.data ? clean.data : "", clean.len, hash, err);
    const int64_t bytes = (int64_t)clean.len;
    buf_free(&clean);
    if (rc != 0)
        return rc;
    m->files = grown(b->c->arena, m->files, m->files_count, &b->files_cap, sizeof *m->files);
    if (!m->files)
        return error_set(err, VX11_ENOMEM, "out of memory");
    m->files[m->files_count] = (struct cli_forensic_bundle_file){.name = arena_strdup(b->c->arena, name),
                                                                 .bytes = bytes,
                                                                 .sha256 = arena_strdup(b->c->arena, hash),
                                                                 .note = note};
    if (!m->files[m->files_count].name || !m->files[m->files_count].sha256)
        return error_set(err, VX11_ENOMEM, "out of memory");
    m->files_count++;
    return 0;
}

int bundle_missing(struct bundle *b, const char *name, const char *reason, struct error *err)
{
    struct cli_forensic_bundle_manifest *m = &b->manifest;
    struct buf clean = BUF_INIT;
    int rc = secrets_redact(b->secrets, reason, strlen(reason), &clean, &m->redacted);
    m->missing = grown(b->c->arena, m->missing, m->missing_count, &b->missing_cap, sizeof *m->missing);
    if (rc == 0 && m->missing) {
        struct cli_forensic_bundle_missing *x = &m->missing[m->missing_count++];
        x->name = arena_strdup(b->c->arena, name);
        x->reason = arena_strdup(b->c->arena, clean.data ? clean.data : "");
        rc = x->name && x->reason ? 0 : VX11_ENOMEM;
    }
    buf_free(&clean);
    return rc == 0 && m->missing ? 0 : error_set(err, VX11_ENOMEM, "out of memory");
}

/* ---- all of it ---- */

static int readme_add(struct bundle *b, struct error *err)
{
    struct buf text = BUF_INIT;
    buf_puts(&text, readme);
    int rc = bundle_add(b, "README.txt", BUNDLE_TEXT, &text, NULL, err);
    buf_free(&text);
    return rc;
}

static int manifest_add(struct bundle *b, struct error *err)
{
    struct buf json = BUF_INIT;
    int rc = contract_serialize_pretty(&cli_forensic_bundle_manifest_message, &b->manifest, &json);
    rc = rc == 0 ? pack_add(b->pack, "manifest.json", json.data, json.len, NULL, err)
                 : error_set(err, rc, "the manifest cannot be written");
    buf_free(&json);
    return rc;
}

static int parts_add(struct bundle *b, struct error *err)
{
    static int (*const parts[])(struct bundle * b, struct error * err) = {
        readme_add,    bundle_versions, bundle_machine, bundle_environment, bundle_config, bundle_status,
        bundle_schema, bundle_runs,     bundle_doctor,  bundle_crashes,     bundle_logs,   manifest_add};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < COUNT_OF(parts); i++)
        rc = parts[i](b, err);
    return rc;
}

/* The configuration that is in force; a broken one is not given away, since nobody knows what is secret in
 * it. */
static int open_all(struct bundle *b, struct error *err)
{
    struct cli *c = b->c;
    if (forensic_options_fill(&b->options, c->home, c->config) != 0)
        return error_set(err, VX11_ETOO_LARGE, "the path of the crash reports is too long");
    b->store = forensic_store(c, &b->store_error);
    return secrets_collect(c->home, c->config, b->store, &b->secrets) == 0
               ? 0
               : error_set(err, VX11_ENOMEM, "out of memory");
}

/* ---- the command ---- */

struct arguments {
    const char *output, *crashes, *records;
    bool force, json;
    int64_t crash_count, record_count;
};

static int arguments_read(int argc, char **argv, struct arguments *a)
{
    const struct {
        const char *name;
        const char **value;
    } options[] = {
        {"--output", &a->output}, {"--include-crashes", &a->crashes}, {"--log-records", &a->records}};
    for (int i = 1; i < argc; i++) {
        int is = 0;
        for (size_t k = 0; is == 0 && k < COUNT_OF(options); k++)
            is = cli_option("forensic", argc, argv, &i, options[k].name, options[k].value);
        if (is < 0)
            return CLI_USAGE;
        if (is > 0)
            continue;
        if (str_eq(argv[i], "--json"))
            a->json = true;
        else if (str_eq(argv[i], "--force"))
            a->force = true;
        else
            return cli_usage("forensic", "unknown argument %s", argv[i]);
    }
    if (a->crashes && str_to_i64(a->crashes, 0, CRASHES_MAX, &a->crash_count) != 0)
        return cli_usage("forensic", "--include-crashes is a number from 0 to %d, not %s", CRASHES_MAX,
                         a->crashes);
    if (a->records && str_to_i64(a->records, 0, RECORDS_MAX, &a->record_count) != 0)
        return cli_usage("forensic", "--log-records is a number from 0 to %d, not %s", RECORDS_MAX,
                         a->records);
    return 0;
}

/* A bundle is made when something is wrong, and that may be the configuration. */
static int cli_open_broken(struct cli *c, char *reason, size_t size)
{
    char path[4096];
    struct error err = {0};
    struct config *config = NULL;
    reason[0] = '\0';
    if (config_path(path, sizeof path, &err) != 0 || config_load(path, &config, &err) != 0)
        snprintf(reason, size, "%s", err.text);
    config_free(config);
    return cli_open_anyway(c);
}

static int bundle_write(struct bundle *b, const struct arguments *a, int64_t now,
                        struct cli_forensic_bundle *out, struct error *err)
{
    char folder[64], stamp[32], path[4096];
    uint64_t bytes = 0;
    char hash[65];
    const time_t seconds = (time_t)(now / 1000);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%SZ", &tm);
    snprintf(folder, sizeof folder, "vx11-bundle-%s", stamp);
    if (a->output)
        snprintf(path, sizeof path, "%s", a->output);
    else
        snprintf(path, sizeof path, "%s.tar.zst", folder);
    if (a->output && strlen(a->output) >= sizeof path)
        return error_set(err, VX11_ETOO_LARGE, "the path is too long");
    int rc = pack_begin(path, folder, a->force, now, &b->pack, err);
    if (rc == 0)
        rc = open_all(b, err);
    if (rc == 0)
        rc = parts_add(b, err);
    if (rc == 0)
        rc = pack_finish(b->pack, &bytes, hash, err);
    if (rc != 0)
        return rc;
    out->path = arena_strdup(b->c->arena, path);
    out->bytes = (int64_t)bytes;
    out->sha256 = arena_strdup(b->c->arena, hash);
    out->manifest = &b->manifest;
    return out->path && out->sha256 ? 0 : error_set(err, VX11_ENOMEM, "out of memory");
}

static void bundle_print(struct arena *a, const struct cli_forensic_bundle *x)
{
    char size[24];
    // NOLINTNEXTLINE(clang-analyzer-core.NullDereference): who made it has set it
    printf("%s: %zu files, %s, %lld pieces hidden.\n", terminal_line(a, x->path),
           x->manifest->files_count + 1, str_format_bytes((uint64_t)x->bytes, size),
           (long long)x->manifest->redacted);
    for (size_t i = 0; i < x->manifest->missing_count; i++)
        printf("missing: %s: %s\n", terminal_line(a, x->manifest->missing[i].name),
               terminal_line(a, x->manifest->missing[i].reason));
    puts("Look through it before you give it away: names, paths and addresses are in it.");
}

int forensic_bundle(int argc, char **argv)
{
    struct arguments a = {.crash_count = CRASHES, .record_count = RECORDS};
    struct cli c;
    struct error err = {0};
    struct cli_forensic_bundle out = {0};
    char config_reason[512];
    int64_t now = clock_wall_ms();
    int code = arguments_read(argc, argv, &a);
    if (code != 0)
        return code;
    code = cli_open_broken(&c, config_reason, sizeof config_reason);
    struct bundle b = {.c = &c,
                       .config_reason = config_reason[0] ? config_reason : NULL,
                       .crashes = (size_t)a.crash_count,
                       .log_records = (size_t)a.record_count,
                       .manifest = {.format = 1, .version = VX11_VERSION, .created_at = now}};
    if (code == 0 && sodium_init() < 0)
        code = cli_fail(CLI_FAILED, "libsodium cannot be used");
    if (code == 0 && bundle_write(&b, &a, now, &out, &err) != 0)
        code = cli_fail(err.code == VX11_EPERMISSION ? CLI_REFUSED : CLI_FAILED, "%s%s", err.text,
                        err.code == VX11_EEXISTS ? " (--force replaces it)" : "");
    if (code == 0 && a.json)
        code = cli_print_json(&cli_forensic_bundle_message, &out);
    else if (code == 0)
        bundle_print(c.arena, &out);
    pack_free(b.pack);
    secrets_free(b.secrets);
    if (b.store)
        store_close(b.store);
    cli_close(&c);
    return code;
}
