/* Markdown: the report of a run for people. Text from errors cannot break a table: bars and line ends are
 * replaced. */
#include "store/maintain/maintain.h"

#include "base/clock.h"

static void put_cell(struct buf *out, const char *text)
{
    for (const char *s = text ? text : ""; *s; s++)
        buf_putc(out, *s == '|' ? '/' : (unsigned char)*s < 0x20 ? ' ' : *s);
}

static void put_bytes(struct buf *out, int64_t bytes)
{
    if (bytes < 10000)
        buf_printf(out, "%lld B", (long long)bytes);
    else if (bytes < 10000000)
        buf_printf(out, "%.1f kB", (double)bytes / 1e3);
    else
        buf_printf(out, "%.1f MB", (double)bytes / 1e6);
}

static void put_size(struct buf *out, const char *what, int64_t before, int64_t after)
{
    buf_printf(out, "| %s | ", what);
    put_bytes(out, before);
    buf_puts(out, " | ");
    put_bytes(out, after);
    buf_puts(out, " |\n");
}

static void put_head(const struct maintenance_report *r, struct buf *out)
{
    char at[32];
    buf_printf(out, "# Maintenance of the database, %s\n\n", clock_format(r->at, at));
    buf_printf(out, "**%s**\n\n", !r->ok ? "Failed" : r->dry_run ? "Dry run" : "Done");
    if (r->error) {
        put_cell(out, r->error);
        buf_puts(out, "\n\n");
    }
    buf_printf(out, "- Run `%s`, %s, VX11 %s, %.1f s\n- File `", r->id, maintenance_origin_names[r->origin],
               r->version, (double)r->duration_ms / 1000);
    put_cell(out, r->database);
    buf_printf(out, "`\n- %lld rows %s, %lld archived", (long long)r->deleted_rows,
               r->dry_run ? "would leave" : "left", (long long)r->archived_rows);
    if (!r->dry_run)
        buf_printf(out, "; others waited at most %.1f ms at a stretch", r->longest_hold_ms);
    if (r->backup) {
        buf_puts(out, "\n- Backup `");
        put_cell(out, r->backup);
        buf_puts(out, "`");
    }
    if (r->tier > 0)
        buf_printf(out, "\n- The file was at its target size: tight bounds were applied (tier %lld of 4)",
                   (long long)r->tier);
    buf_puts(out, "\n\n| Size | Before | After |\n|---|---:|---:|\n");
    put_size(out, "File", r->bytes_before, r->bytes_after);
    put_size(out, "In use", r->used_before, r->used_after);
    put_size(out, "Log", r->wal_before, r->wal_after);
    buf_puts(out, "| Warning, target | ");
    put_bytes(out, r->warn_bytes);
    buf_puts(out, " | ");
    put_bytes(out, r->target_bytes);
    buf_puts(out, " |\n");
}

static void put_step(const struct maintenance_step *s, struct buf *out)
{
    buf_printf(out, "| %s | %s | %.1f s | ", s->name, maintenance_step_state_names[s->state],
               (double)s->duration_ms / 1000);
    if (s->has_longest_hold_ms)
        buf_printf(out, "%.1f ms", s->longest_hold_ms);
    buf_puts(out, " | ");
    put_cell(out, s->reason);
    if (s->reason && s->summary)
        buf_puts(out, "; ");
    put_cell(out, s->summary);
    buf_puts(out, " |\n");
}

static void put_table(const struct maintenance_table *t, struct buf *out)
{
    buf_puts(out, "| ");
    put_cell(out, t->name);
    buf_printf(out, " | %lld | %lld | ", (long long)t->rows, (long long)t->children);
    if (t->archives)
        buf_printf(out, "%lld", (long long)t->archived);
    else
        buf_puts(out, "not kept");
    buf_printf(out, " | %lld | %lld | %lld | %.1f ms | ", (long long)t->changed, (long long)t->tier,
               (long long)t->transactions, t->longest_hold_ms);
    put_cell(out, t->error);
    buf_puts(out, " |\n");
}

int maintain_markdown(const struct maintenance_report *r, struct buf *out)
{
    put_head(r, out);
    buf_puts(out, "\n## Steps\n\n| Step | State | Took | Held | What |\n|---|---|---:|---:|---|\n");
    for (size_t i = 0; i < r->steps_count; i++)
        put_step(&r->steps[i], out);
    if (r->tables_count > 0)
        buf_puts(out, "\n## Tables\n\n| Table | Rows | With them | Archived | Changed | Tier | Transactions |"
                      " Held | Error |\n|---|---:|---:|---:|---:|---:|---:|---:|---|\n");
    for (size_t i = 0; i < r->tables_count; i++)
        put_table(&r->tables[i], out);
    return out->failed ? VX11_ENOMEM : 0;
}
