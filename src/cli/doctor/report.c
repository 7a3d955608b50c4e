/* Report: the verdict, and the report as text for a terminal and as Markdown. */
#include "cli/doctor/doctor.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"

/* What is not ok counts at its severity, measured or not. */
void doctor_judge(struct supervisor_doctor_report *report)
{
    report->blocking = report->warnings = report->notes = report->unknown = 0;
    for (size_t i = 0; i < report->checks_count; i++) {
        const struct supervisor_doctor_check *c = &report->checks[i];
        if (c->state == DOCTOR_OK)
            continue;
        report->blocking += c->severity == DOCTOR_BLOCK;
        report->warnings += c->severity == DOCTOR_WARN;
        report->notes += c->severity == DOCTOR_INFO;
        report->unknown += c->state == DOCTOR_UNKNOWN;
    }
    report->verdict = report->blocking   ? SUPERVISOR_DOCTOR_VERDICT_NOT_READY
                      : report->warnings ? SUPERVISOR_DOCTOR_VERDICT_READY_WITH_WARNINGS
                                         : SUPERVISOR_DOCTOR_VERDICT_READY;
    /* A look at nothing found nothing out. */
    if (report->checks_count == 0)
        report->verdict = SUPERVISOR_DOCTOR_VERDICT_NOT_READY;
}

int doctor_exit_code(int verdict)
{
    switch (verdict) {
    case SUPERVISOR_DOCTOR_VERDICT_READY:
        return DOCTOR_READY;
    case SUPERVISOR_DOCTOR_VERDICT_READY_WITH_WARNINGS:
        return DOCTOR_WARNINGS;
    case SUPERVISOR_DOCTOR_VERDICT_NOT_READY:
    default:
        return DOCTOR_NOT_READY;
    }
}

static const char *verdict_words(int verdict)
{
    static const char *const words[] = {"ready", "ready with warnings", "not ready"};
    return words[verdict];
}

static const char *state_word(const struct supervisor_doctor_check *c)
{
    static const char *const words[] = {"BLOCK", "warn", "info"};
    return c->state == DOCTOR_OK ? "ok" : words[c->severity];
}

static void counts(const struct supervisor_doctor_report *r, struct buf *out)
{
    size_t ok = 0;
    for (size_t i = 0; i < r->checks_count; i++)
        ok += r->checks[i].state == DOCTOR_OK;
    buf_printf(out, "%zu of %zu ok", ok, r->checks_count);
    if (r->blocking)
        buf_printf(out, ", %lld blocking", (long long)r->blocking);
    if (r->warnings)
        buf_printf(out, ", %lld %s", (long long)r->warnings, r->warnings == 1 ? "warning" : "warnings");
    if (r->notes)
        buf_printf(out, ", %lld %s", (long long)r->notes, r->notes == 1 ? "note" : "notes");
    if (r->unknown)
        buf_printf(out, " (%lld unknown)", (long long)r->unknown);
}

/* ---- for a terminal ---- */

/* Names and sentences may quote files and other programs. */
static void put_clean(struct buf *out, const char *s)
{
    if (s)
        terminal_clean(s, strlen(s), true, out);
}

static const char *color_of(const struct supervisor_doctor_check *c)
{
    if (c->state == DOCTOR_OK)
        return "\033[32m";
    return c->severity == DOCTOR_BLOCK ? "\033[31m" : c->severity == DOCTOR_WARN ? "\033[33m" : "\033[36m";
}

static void text_check(const struct supervisor_doctor_check *c, bool color, struct buf *out)
{
    char name[200];
    snprintf(name, sizeof name, "%s%s%.120s", c->id, c->subject ? " " : "", c->subject ? c->subject : "");
    buf_printf(out, "  %s%-5s%s ", color ? color_of(c) : "", state_word(c), color ? "\033[0m" : "");
    const size_t before = out->len;
    put_clean(out, name);
    for (size_t n = out->len - before; n < 34; n++)
        buf_putc(out, ' ');
    buf_putc(out, ' ');
    if (c->state == DOCTOR_OK) {
        put_clean(out, c->measured);
        buf_putc(out, '\n');
        return;
    }
    if (c->state == DOCTOR_UNKNOWN)
        buf_puts(out, "unknown: ");
    put_clean(out, c->reason);
    buf_putc(out, '\n');
    if (c->mend) {
        buf_puts(out, "        mend: ");
        put_clean(out, c->mend);
        buf_puts(out, c->fixable && !strstr(c->mend, "--fix") ? "   (or vx11 doctor --fix)\n" : "\n");
    }
}

void doctor_text(const struct supervisor_doctor_report *r, bool color, bool all, struct buf *out)
{
    char at[32];
    int group = -1;
    for (size_t i = 0; i < r->fixes_count; i++) {
        buf_puts(out, r->fixes[i].ok ? "fixed: " : "not fixed: ");
        put_clean(out, r->fixes[i].action);
        if (r->fixes[i].reason) {
            buf_puts(out, ": ");
            put_clean(out, r->fixes[i].reason);
        }
        buf_putc(out, '\n');
    }
    for (size_t i = 0; i < r->checks_count; i++) {
        const struct supervisor_doctor_check *c = &r->checks[i];
        if (!all && c->state == DOCTOR_OK)
            continue;
        if (c->group != group)
            buf_printf(out, "%s\n", supervisor_doctor_group_names[c->group]);
        group = c->group;
        text_check(c, color, out);
    }
    buf_printf(out, "VX11 %s is %s: ", r->version, verdict_words(r->verdict));
    counts(r, out);
    buf_printf(out, "; %.0f ms, %s\n", r->duration_ms, clock_format(r->at, at));
    if (r->not_kept) {
        buf_puts(out, "not kept in the history: ");
        put_clean(out, r->not_kept);
        buf_putc(out, '\n');
    }
}

/* ---- Markdown ---- */

/* A cell of a table: no line ends, no bars, nothing that begins markup. */
static void cell(struct buf *out, const char *s)
{
    struct buf clean = BUF_INIT;
    if (s && terminal_clean(s, strlen(s), true, &clean) == 0)
        for (size_t i = 0; i < clean.len; i++) {
            if (strchr("|`*_<>[]\\", clean.data[i]))
                buf_putc(out, '\\');
            buf_putc(out, clean.data[i]);
        }
    buf_free(&clean);
}

static void markdown_rows(const struct supervisor_doctor_report *r, bool ok, struct buf *out)
{
    for (size_t i = 0; i < r->checks_count; i++) {
        const struct supervisor_doctor_check *c = &r->checks[i];
        if ((c->state == DOCTOR_OK) != ok)
            continue;
        buf_printf(out, "| %s | ", state_word(c));
        cell(out, c->id);
        buf_puts(out, c->subject ? " " : "");
        cell(out, c->subject);
        buf_puts(out, " | ");
        cell(out, c->measured ? c->measured : "-");
        buf_puts(out, " | ");
        cell(out, c->limit ? c->limit : "-");
        if (!ok) {
            buf_puts(out, c->state == DOCTOR_UNKNOWN ? " | unknown: " : " | ");
            cell(out, c->reason);
            buf_puts(out, " | ");
            cell(out, c->mend ? c->mend : "-");
        }
        buf_printf(out, " | %.1f |\n", c->duration_ms);
    }
}

void doctor_markdown(const struct supervisor_doctor_report *r, struct buf *out)
{
    char at[32];
    buf_printf(out, "# VX11 is %s\n\n", verdict_words(r->verdict));
    counts(r, out);
    buf_printf(out, ". VX11 %s, %s, %.0f ms, %s.\n", r->version, clock_format(r->at, at), r->duration_ms,
               supervisor_doctor_origin_names[r->origin]);
    if (r->not_kept) {
        buf_puts(out, "\nNot kept in the history: ");
        cell(out, r->not_kept);
        buf_puts(out, "\n");
    }
    if (r->fixes_count) {
        buf_puts(out, "\n## Mended\n\n| Result | Check | What | Why not |\n|---|---|---|---|\n");
        for (size_t i = 0; i < r->fixes_count; i++) {
            buf_printf(out, "| %s | %s | ", r->fixes[i].ok ? "done" : "failed", r->fixes[i].check);
            cell(out, r->fixes[i].action);
            buf_puts(out, " | ");
            cell(out, r->fixes[i].reason ? r->fixes[i].reason : "-");
            buf_puts(out, " |\n");
        }
    }
    if (r->blocking + r->warnings + r->notes > 0) {
        buf_puts(out, "\n## Not ok\n\n| | Check | Measured | Limit | Why | What mends it | ms |\n"
                      "|---|---|---|---|---|---|---:|\n");
        markdown_rows(r, false, out);
    }
    buf_puts(out, "\n## Ok\n\n| | Check | Measured | Limit | ms |\n|---|---|---|---|---:|\n");
    markdown_rows(r, true, out);
}
