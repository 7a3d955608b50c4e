/* From crash reports to the contract's messages. Texts of a report are redacted once more: the file lies in a
 * folder where others than the crash handler may have put it, or an older version that hid less. */
#include "module/forensic/forensic.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"
#include "module/forensic/symbolize.h"
#include "store/states.h"

enum { LOG_RECORDS_MAX = 1000 };

int forensic_options_fill(struct forensic_options *out, const char *home, const struct config *config)
{
    const struct config_supervisor_forensic *c = config->values->supervisor->forensic;
    *out = (struct forensic_options){
        .keep = {.count = (uint64_t)c->keep_count, .age_ms = c->keep_ms, .bytes = (uint64_t)c->keep_bytes}};
    int n = snprintf(out->symbolizer, sizeof out->symbolizer, "%s", c->symbolizer);
    if (n < 0 || (size_t)n >= sizeof out->symbolizer)
        return VX11_ETOO_LARGE;
    return fs_path(out->folder, sizeof out->folder, home, "forensic");
}

static const char *redacted(struct arena *a, const char *s, size_t len)
{
    struct buf clean = BUF_INIT;
    const char *copy = NULL;
    if (log_redact(s, len, &clean) == 0) /* what is no UTF-8 does not go into JSON */
        copy = arena_strndup(a, clean.data ? clean.data : "",
                             clean.data ? utf8_valid_prefix(clean.data, clean.len) : 0);
    buf_free(&clean);
    return copy;
}

static const char *text_or_null(struct arena *a, const char *s)
{
    return s[0] ? redacted(a, s, strlen(s)) : NULL;
}

static const char *hex(struct arena *a, uint64_t v)
{
    return arena_printf(a, "0x%" PRIx64, v);
}

static int head_fill(struct arena *a, const struct crash_file *f, const struct crash_report *r,
                     struct supervisor_forensic_report *out)
{
    char name[CRASH_FILE_NAME_MAX];
    memset(out, 0, sizeof *out);
    out->id = arena_strdup(a, f->id);
    out->file = arena_printf(a, "forensic/%s", crash_file_name(f->id, name));
    out->module = arena_strdup(a, f->module);
    out->bytes = (int64_t)f->bytes;
    out->at = f->time_ms;
    out->pid = f->pid;
    if (!out->id || !out->file || !out->module)
        return VX11_ENOMEM;
    if (!r)
        return 0;
    out->readable = true;
    out->complete = r->complete;
    out->reason = r->complete ? NULL : "it ends before its end: the process could not finish it";
    out->signal = text_or_null(a, r->signal);
    out->has_signal_number = true;
    out->signal_number = r->signal_number;
    out->address = r->has_address ? hex(a, r->address) : NULL;
    out->has_sent_by_pid = r->has_sender;
    out->sent_by_pid = r->sent_by_pid;
    out->has_thread = r->thread > 0;
    out->thread = r->thread;
    out->version = text_or_null(a, r->version);
    out->build_id = r->build_id[0] ? arena_strdup(a, r->build_id) : NULL;
    out->request_id = text_or_null(a, r->request_id);
    return 0;
}

/* Reads and parses; a report that cannot be read is out->readable = false, and r means nothing. */
static int report_read(const struct forensic_options *o, struct crash_file *f, struct buf *text,
                       struct crash_report *r, struct arena *a, struct supervisor_forensic_report *out,
                       struct error *err)
{
    struct error why = {0};
    int rc = crash_file_read(o->folder, f->id, text, &why);
    if (rc == VX11_ENOMEM || rc == VX11_ENOT_FOUND) {
        if (err)
            *err = why;
        return rc;
    }
    if (rc == 0)
        rc = crash_report_parse(text->data ? text->data : "", text->len, r, &why);
    if (head_fill(a, f, rc == 0 ? r : NULL, out) != 0)
        return error_set(err, VX11_ENOMEM, "out of memory");
    if (rc != 0 && !(out->reason = redacted(a, why.text, strlen(why.text))))
        return error_set(err, VX11_ENOMEM, "out of memory");
    return 0;
}

int forensic_list(const struct forensic_options *o, size_t limit, struct arena *a,
                  struct supervisor_forensic_list *out, struct error *err)
{
    struct crash_file *files = NULL;
    struct crash_report *r = malloc(sizeof *r);
    struct buf text = BUF_INIT;
    size_t n = 0;
    *out = (struct supervisor_forensic_list){.keep_count = (int64_t)o->keep.count,
                                             .keep_ms = o->keep.age_ms,
                                             .keep_bytes = (int64_t)o->keep.bytes};
    int rc = r ? crash_file_list(o->folder, &files, &n, err) : error_set(err, VX11_ENOMEM, "out of memory");
    for (size_t i = 0; i < n; i++)
        out->bytes += (int64_t)files[i].bytes;
    out->total = (int64_t)n;
    if (rc == 0 && !(out->reports = arena_array(a, (n < limit ? n : limit) + 1, sizeof *out->reports)))
        rc = error_set(err, VX11_ENOMEM, "out of memory");
    for (size_t i = 0; rc == 0 && i < n && i < limit; i++) {
        buf_clear(&text);
        rc = report_read(o, &files[i], &text, r, a, &out->reports[out->reports_count], err);
        out->reports_count += rc == 0;
        if (rc == VX11_ENOT_FOUND) /* gone since the folder was read */
            rc = 0;
    }
    buf_free(&text);
    free(files);
    free(r);
    return rc;
}

/* ---- the backtrace ---- */

/* Where it crashed, then its callers: the handler's own frames stand before the one of the program counter. A
 * jump to nowhere has no such frame: then all of them follow. */
static size_t places_fill(const struct crash_report *r, struct symbol_place *out)
{
    size_t n = 0, from = 0;
    bool found = false;
    for (size_t i = 0; r->has_pc && i < r->frame_count && !found; i++) {
        found = r->frames[i].address == r->pc.address;
        from = found ? i : 0;
    }
    if (r->has_pc && !found)
        out[n++] = (struct symbol_place){.at = &r->pc, .exact = true};
    for (size_t i = from; i < r->frame_count; i++)
        out[n++] = (struct symbol_place){.at = &r->frames[i], .exact = found && i == from};
    return n;
}

static const enum supervisor_forensic_frame_known_from known_from[] = {
    [SYMBOL_DEBUG] = SUPERVISOR_FORENSIC_FRAME_KNOWN_FROM_DEBUG,
    [SYMBOL_TABLE] = SUPERVISOR_FORENSIC_FRAME_KNOWN_FROM_SYMBOLS,
    [SYMBOL_OFFSET] = SUPERVISOR_FORENSIC_FRAME_KNOWN_FROM_OFFSET,
};

static int frames_fill(struct arena *a, const struct symbol_place *places, size_t n,
                       struct supervisor_forensic_show *out)
{
    size_t lines = 0;
    for (size_t i = 0; i < n; i++)
        lines += places[i].line_count > 0 ? places[i].line_count : 1;
    out->frames = arena_array(a, lines + 1, sizeof *out->frames);
    if (!out->frames)
        return VX11_ENOMEM;
    for (size_t i = 0; i < n; i++) {
        const struct symbol_place *p = &places[i];
        for (size_t k = 0; k < (p->line_count > 0 ? p->line_count : 1); k++) {
            struct supervisor_forensic_frame *f = &out->frames[out->frames_count++];
            const struct symbol_line none = {0}, *line = p->line_count > 0 ? &p->lines[k] : &none;
            *f = (struct supervisor_forensic_frame){
                .number = (int64_t)i,
                .address = hex(a, p->at->address),
                .object = text_or_null(a, p->at->object),
                .offset = p->at->object[0] ? hex(a, p->at->offset) : NULL,
                .function = line->function,
                .source = line->source,
                .has_line = line->line > 0,
                .line = line->line,
                .inlined = k + 1 < p->line_count,
                .known_from = (int)known_from[p->known],
                .reason = p->reason,
            };
            if (!f->address)
                return VX11_ENOMEM;
        }
    }
    return 0;
}

/* "switch crashed with SIGSEGV in pool_take (src/net/pool.c:12), called from uv_run". The first frame with a
 * line is ours more often than the first one, which may be libc's. */
static const char *summary_make(struct arena *a, const struct supervisor_forensic_show *s)
{
    struct buf b = BUF_INIT;
    const struct supervisor_forensic_frame *ours = NULL, *first = s->frames_count > 0 ? &s->frames[0] : NULL;
    for (size_t i = 0; !ours && i < s->frames_count; i++)
        if (s->frames[i].source)
            ours = &s->frames[i];
    if (!s->report->readable) {
        buf_printf(&b, "%s crashed; its report cannot be read: %s", s->report->module, s->report->reason);
    } else {
        buf_printf(&b, "%s crashed with %s", s->report->module, s->report->signal);
        if (s->report->has_sent_by_pid)
            buf_printf(&b, ", sent by process %" PRId64 ",", s->report->sent_by_pid);
        if (first && first->function)
            buf_printf(&b, " in %s", first->function);
        else if (first && first->object)
            buf_printf(&b, " at %s+%s", first->object, first->offset);
        else if (first)
            buf_printf(&b, " at %s", first->address);
        if (ours && ours != first)
            buf_printf(&b, ", called from %s", ours->function ? ours->function : "?");
        if (ours)
            buf_printf(&b, " (%s:%" PRId64 ")", ours->source, ours->line);
        if (s->report->address)
            buf_printf(&b, ", reaching for %s", s->report->address);
    }
    const char *out = b.failed ? NULL : arena_strdup(a, b.data);
    buf_free(&b);
    return out;
}

/* ---- registers, log, run ---- */

static int registers_fill(struct arena *a, const struct crash_report *r, struct supervisor_forensic_show *out)
{
    out->registers = arena_array(a, r->register_count + 1, sizeof *out->registers);
    if (!out->registers)
        return VX11_ENOMEM;
    for (size_t i = 0; i < r->register_count; i++) {
        out->registers[i] = (struct supervisor_forensic_register){
            .name = arena_strdup(a, r->registers[i].name), .value = hex(a, r->registers[i].value)};
        if (!out->registers[i].name || !out->registers[i].value)
            return VX11_ENOMEM;
    }
    out->registers_count = r->register_count;
    return 0;
}

static int log_fill(struct arena *a, const struct crash_report *r, struct supervisor_forensic_show *out)
{
    out->log = arena_array(a, LOG_RECORDS_MAX, sizeof *out->log);
    if (!out->log)
        return VX11_ENOMEM;
    const char *at = r->log, *end = r->log + r->log_len;
    while (at < end && out->log_count < LOG_RECORDS_MAX) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        size_t n = stop ? (size_t)(stop - at) : (size_t)(end - at);
        const char *nul = memchr(at, '\0', n);
        if (!(out->log[out->log_count] = redacted(a, at, nul ? (size_t)(nul - at) : n)))
            return VX11_ENOMEM;
        out->log_count++;
        at += n + 1;
    }
    return 0;
}

static int run_fill(struct arena *a, struct store *store, const char *store_reason,
                    struct supervisor_forensic_show *out)
{
    const struct supervisor_forensic_report *r = out->report;
    struct module_run_row row;
    struct error err = {0};
    if (!store) {
        out->run_reason = redacted(a, store_reason, strlen(store_reason));
        return out->run_reason ? 0 : VX11_ENOMEM;
    }
    int rc = module_run_find(store, r->module, r->pid, r->at, &row, &err);
    if (rc != 0) {
        out->run_reason = rc != VX11_ENOT_FOUND         ? redacted(a, err.text, strlen(err.text))
                          : str_eq(r->module, "engine") ? "an engine worker has no run: Hermes starts it"
                                                        : "no run of that process is recorded (any more)";
        return out->run_reason ? 0 : VX11_ENOMEM;
    }
    struct supervisor_forensic_run *run = arena_zalloc(a, sizeof *run);
    if (!run || !(run->id = arena_strdup(a, row.id)))
        return VX11_ENOMEM;
    run->started_at = row.started_at;
    run->has_ended_at = row.ended_at > 0;
    run->ended_at = row.ended_at;
    run->has_signal = row.signal > 0;
    run->signal = row.signal;
    run->has_exit_code = row.exit_code >= 0;
    run->exit_code = row.exit_code;
    run->oom = row.oom;
    run->reason = text_or_null(a, row.reason);
    out->run = run;
    return 0;
}

int forensic_show(const struct forensic_options *o, const char *id, struct store *store,
                  const char *store_reason, struct arena *a, struct supervisor_forensic_show *out,
                  struct error *err)
{
    struct symbol_place places[CRASH_FRAMES_MAX + 1];
    struct crash_report *r = calloc(1, sizeof *r);
    struct buf text = BUF_INIT;
    struct crash_file file;
    *out = (struct supervisor_forensic_show){.report = arena_zalloc(a, sizeof *out->report)};
    int rc = r && out->report ? 0 : error_set(err, VX11_ENOMEM, "out of memory");
    if (rc == 0 && !crash_file_parse_id(id, &file))
        rc = error_set(err, VX11_EINVALID, "%.100s is no crash report's id: MODULE-TIME-PID", id);
    if (rc == 0)
        rc = report_read(o, &file, &text, r, a, out->report, err);
    if (rc == VX11_ENOT_FOUND)
        (void)error_set(err, rc, "there is no crash report %s", id);
    if (rc == 0) {
        out->report->bytes = (int64_t)text.len;
        if (!out->report->readable)
            *r = (struct crash_report){.log = ""};
        size_t n = places_fill(r, places);
        rc = symbolize(r, o->symbolizer, a, places, n, &out->symbolizer, err);
        if (rc == 0 && (frames_fill(a, places, n, out) != 0 || registers_fill(a, r, out) != 0 ||
                        log_fill(a, r, out) != 0 || run_fill(a, store, store_reason, out) != 0 ||
                        !(out->summary = summary_make(a, out))))
            rc = error_set(err, VX11_ENOMEM, "out of memory");
    }
    buf_free(&text);
    free(r);
    return rc;
}
