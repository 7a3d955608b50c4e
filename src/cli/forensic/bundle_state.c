/* Bundle, the state: configuration, what runs, logs, crash reports. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/log_reader.h"
#include "base/str.h"
#include "cli/forensic/bundle.h"

enum { LOG_BYTES_MAX = 8 * 1024 * 1024 };

int bundle_config(struct bundle *b, struct error *err)
{
    struct buf text = BUF_INIT;
    if (b->config_reason)
        return bundle_missing(b, "config.yaml", b->config_reason, err);
    int rc = config_show(b->c->config, true, &text);
    rc = rc == 0 ? bundle_add(b, "config.yaml", BUNDLE_TEXT, &text, NULL, err)
                 : bundle_missing(b, "config.yaml", error_describe(rc), err);
    buf_free(&text);
    return rc;
}

int bundle_status(struct bundle *b, struct error *err)
{
    struct supervisor_status *s = NULL;
    struct buf json = BUF_INIT;
    if (status_fetch(b->c, &s, true) != 0 || !s)
        return bundle_missing(b, "status.json", "VX11 does not run, or its supervisor does not answer", err);
    int rc = contract_serialize_pretty(&supervisor_status_message, s, &json);
    rc = rc == 0 ? bundle_add(b, "status.json", BUNDLE_JSON, &json, NULL, err)
                 : bundle_missing(b, "status.json", error_describe(rc), err);
    buf_free(&json);
    return rc;
}

/* ---- logs ---- */

static int log_read(const struct log_reader_options *o, struct buf *text, const char **note,
                    struct error *why)
{
    struct log_reader *reader;
    struct log_record record;
    int rc = log_reader_open(o, &reader, why);
    if (rc != 0)
        return rc;
    while ((rc = log_reader_next(reader, &record)) > 0) {
        buf_append(text, record.line, record.len);
        buf_putc(text, '\n');
        while (text->len > LOG_BYTES_MAX) { /* the newest are what is wanted */
            const char *stop = memchr(text->data, '\n', text->len);
            buf_consume(text, stop ? (size_t)(stop - text->data) + 1 : text->len);
            *note = "cut to the last 8 MiB";
        }
    }
    log_reader_close(reader);
    return rc < 0 ? error_set(why, rc, "it cannot be read on: %s", error_describe(rc)) : 0;
}

static int log_add(struct bundle *b, const char *dir, const char *module, struct error *err)
{
    const struct log_reader_options o = {
        .dir = dir, .module = module, .level = LOG_TRACE, .last = b->log_records};
    struct buf text = BUF_INIT;
    struct error why = {0};
    char name[128];
    const char *note = NULL;
    snprintf(name, sizeof name, "logs/%.90s.log", module);
    int rc = log_read(&o, &text, &note, &why);
    rc =
        rc == 0 ? bundle_add(b, name, BUNDLE_TEXT, &text, note, err) : bundle_missing(b, name, why.text, err);
    buf_free(&text);
    return rc;
}

int bundle_logs(struct bundle *b, struct error *err)
{
    struct buf names = BUF_INIT;
    char dir[4096], *rest = NULL;
    int rc = fs_path(dir, sizeof dir, b->c->home, "log");
    if (b->log_records == 0)
        return bundle_missing(b, "logs", "not asked for", err);
    if (rc != 0 || log_reader_names(dir, &names) != 0 || names.len == 0) {
        buf_free(&names);
        return bundle_missing(b, "logs", "there are none", err);
    }
    for (char *word = strtok_r(names.data, " ", &rest); rc == 0 && word; word = strtok_r(NULL, " ", &rest))
        rc = log_add(b, dir, word, err);
    buf_free(&names);
    return rc;
}

/* ---- crash reports ---- */

/* The report itself, and what can be made of it here, where the program is that it is about. */
static int crash_add(struct bundle *b, const struct crash_file *file, struct error *err)
{
    struct supervisor_forensic_show show;
    struct buf text = BUF_INIT, json = BUF_INIT;
    struct error why = {0};
    char name[160];
    snprintf(name, sizeof name, "crashes/%s.txt", file->id);
    int rc = crash_file_read(b->options.folder, file->id, &text, &why);
    rc =
        rc == 0 ? bundle_add(b, name, BUNDLE_TEXT, &text, NULL, err) : bundle_missing(b, name, why.text, err);
    snprintf(name, sizeof name, "crashes/%s.json", file->id);
    if (rc == 0) {
        int shown =
            forensic_show(&b->options, file->id, b->store, b->store_error.text, b->c->arena, &show, &why);
        if (shown == 0)
            shown = contract_serialize_pretty(&supervisor_forensic_show_message, &show, &json);
        rc = shown == 0 ? bundle_add(b, name, BUNDLE_JSON, &json, NULL, err)
                        : bundle_missing(b, name, why.text[0] ? why.text : error_describe(shown), err);
    }
    buf_free(&text);
    buf_free(&json);
    return rc;
}

int bundle_crashes(struct bundle *b, struct error *err)
{
    struct crash_file *files = NULL;
    struct error why = {0};
    size_t n = 0;
    if (crash_file_list(b->options.folder, &files, &n, &why) != 0)
        return bundle_missing(b, "crashes", why.text, err);
    int rc = n == 0 ? bundle_missing(b, "crashes", "there are none", err) : 0;
    for (size_t i = 0; rc == 0 && i < n && i < b->crashes; i++)
        rc = crash_add(b, &files[i], err);
    if (rc == 0 && n > b->crashes) {
        char left[96];
        snprintf(left, sizeof left, "%zu older crash reports were left out (--include-crashes)",
                 n - b->crashes);
        rc = bundle_missing(b, "crashes", left, err);
    }
    free(files);
    return rc;
}
