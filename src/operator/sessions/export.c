/* Export: a session as a document for people (Markdown) and as everything that is stored (JSON). Both are
 * sent page by page, as the reader takes them: a session may be larger than what one would hold in memory. */
#include "operator/sessions/sessions_internal.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "operator/rows.h"

#define EXPORT_PAGE 50

/* ---- Markdown ---- */

static int put_signs(struct buf *out, char sign, size_t n)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < n; i++)
        rc = buf_putc(out, sign);
    return rc;
}

/* A block that no text can leave: its fence is longer than any in it. */
static void put_block(struct buf *out, const char *language, const char *text)
{
    size_t fence = fence_length(text, strlen(text), '`');
    put_signs(out, '`', fence);
    buf_printf(out, "%s\n%s%s", language, text, text[0] && text[strlen(text) - 1] == '\n' ? "" : "\n");
    put_signs(out, '`', fence);
    buf_puts(out, "\n\n");
}

/* One line of the text; spaces before a fence count up to three (CommonMark). */
static const char *fence_of(const char *line, size_t len, char *sign, size_t *run)
{
    size_t i = 0;
    while (i < 4 && i < len && line[i] == ' ')
        i++;
    *run = 0;
    if (i == 4 || i == len || (line[i] != '`' && line[i] != '~'))
        return NULL;
    *sign = line[i];
    while (i < len && line[i] == *sign) {
        i++;
        ++*run;
    }
    return *run >= 3 ? line + i : NULL;
}

static bool only_space(const char *s, const char *end)
{
    while (s < end && (*s == ' ' || *s == '\t' || *s == '\r'))
        s++;
    return s == end;
}

/* What was said is Markdown itself and goes as it is; a fence that it leaves open is closed, or the rest of
 * the document would be code. */
static void put_said(struct buf *out, const char *text)
{
    char open = '\0';
    size_t open_run = 0;
    for (const char *line = text; *line;) {
        const char *end = strchr(line, '\n');
        size_t len = end ? (size_t)(end - line) : strlen(line), run;
        char sign = '\0';
        const char *rest = fence_of(line, len, &sign, &run);
        if (rest && !open && !(sign == '`' && memchr(rest, '`', (size_t)(line + len - rest)))) {
            open = sign;
            open_run = run;
        } else if (rest && sign == open && run >= open_run && only_space(rest, line + len)) {
            open = '\0';
        }
        line += len + (end != NULL);
    }
    buf_puts(out, text);
    if (text[0] && text[strlen(text) - 1] != '\n')
        buf_putc(out, '\n');
    if (open) {
        put_signs(out, open, open_run);
        buf_putc(out, '\n');
    }
    buf_putc(out, '\n');
}

/* A name or title on one line, where its signs are no Markdown. */
static void put_plain(struct buf *out, const char *s)
{
    for (; *s; s++) {
        if ((unsigned char)*s < ' ')
            buf_putc(out, ' ');
        else if (strchr("\\`*_[]<>#|!~", *s))
            buf_printf(out, "\\%c", *s);
        else
            buf_putc(out, *s);
    }
}

static const char *time_text(int64_t ms, char out[32])
{
    clock_format(ms, out);
    out[10] = ' ';
    memcpy(out + 19, " UTC", 5);
    return out;
}

void export_markdown_head(const struct operator_session *s, int64_t now, struct buf *out)
{
    char a[32], b[32];
    buf_puts(out, "# ");
    put_plain(out, s->title[0] ? s->title : "Conversation");
    buf_printf(out, "\n\n- Begun %s, last used %s\n", time_text(s->created_at, a),
               time_text(s->updated_at, b));
    buf_printf(out, "- %lld messages\n", (long long)s->message_count);
    if (s->model) {
        buf_puts(out, "- Model: ");
        put_plain(out, s->model);
        buf_putc(out, '\n');
    }
    if (s->branched_from)
        buf_printf(out, "- Branched from session %s after message %s\n", s->branched_from->session_id,
                   s->branched_from->message_id);
    buf_printf(out, "- Session %s, exported %s\n\n", s->id, time_text(now, a));
}

static void put_facts(struct buf *out, const struct operator_message *m)
{
    const char *between = "*";
    if (m->provider || m->model) {
        buf_puts(out, between);
        put_plain(out, m->provider ? m->provider : "");
        buf_puts(out, m->provider && m->model ? "/" : "");
        put_plain(out, m->model ? m->model : "");
        between = ", ";
    }
    if (m->usage && m->usage->has_prompt_tokens && m->usage->has_completion_tokens) {
        buf_printf(out, "%s%lld + %lld tokens%s", between, (long long)m->usage->prompt_tokens,
                   (long long)m->usage->completion_tokens, m->usage->estimated ? " (counted here)" : "");
        between = ", ";
    }
    if (m->has_total_ms) {
        buf_printf(out, "%s%.1f s", between, m->total_ms / 1000);
        between = ", ";
    }
    if (m->has_tokens_per_second) {
        buf_printf(out, "%s%.1f tokens/s", between, m->tokens_per_second);
        between = ", ";
    }
    if (between[0] == ',')
        buf_puts(out, "*\n\n");
}

static void put_call(struct buf *out, const struct operator_tool_call *c)
{
    struct buf json = BUF_INIT;
    buf_puts(out, "**Tool** ");
    put_plain(out, c->name);
    buf_printf(out, " — %s", operator_tool_call_status_names[c->status]);
    if (c->has_duration_ms)
        buf_printf(out, ", %.0f ms", c->duration_ms);
    if (c->error) {
        buf_puts(out, ": ");
        put_plain(out, c->error);
    }
    buf_puts(out, "\n\n");
    if (c->arguments && contract_json_write(c->arguments, &json) == 0)
        put_block(out, "json", json.data);
    buf_clear(&json);
    if (c->result && contract_json_write(c->result, &json) == 0)
        put_block(out, "json", json.data);
    buf_free(&json);
}

static void put_file(struct buf *out, const struct operator_file *f)
{
    char size[24];
    buf_puts(out, "- Attached: ");
    put_plain(out, f->name);
    buf_printf(out, " (%s, %s)\n", f->media_type, str_format_bytes((uint64_t)f->bytes, size));
}

void export_markdown_message(const struct operator_message *m, struct buf *out)
{
    static const char *const names[] = {"You", "Answer", "Tool", "System"};
    char at[32];
    buf_printf(out, "## %s — %s\n\n", names[m->role], time_text(m->timestamp, at));
    for (size_t i = 0; i < m->tool_calls_count; i++)
        put_call(out, &m->tool_calls[i]);
    if (m->status == OPERATOR_MESSAGE_STATUS_FAILED) {
        buf_puts(out, "**Failed:** ");
        put_plain(out, m->error ? m->error->message : "no reason is known");
        buf_puts(out, "\n\n");
        if (m->content[0]) {
            buf_puts(out, "What had come until then, no answer:\n\n");
            put_block(out, "", m->content);
        }
    } else {
        put_said(out, m->content);
        if (m->status == OPERATOR_MESSAGE_STATUS_CANCELLED)
            buf_puts(out, "*Stopped here: a part.*\n\n");
        if (m->status == OPERATOR_MESSAGE_STATUS_STREAMING)
            buf_puts(out, "*Still being generated.*\n\n");
    }
    for (size_t i = 0; i < m->attachments_count; i++)
        put_file(out, &m->attachments[i]);
    if (m->attachments_count > 0)
        buf_putc(out, '\n');
    if (m->role == OPERATOR_MESSAGE_ROLE_ASSISTANT)
        put_facts(out, m);
}

/* ---- JSON ---- */

static int json_head(const struct operator_session *s, int64_t now, struct buf *out)
{
    int rc = buf_printf(
        out, "{\"format\":\"vx11.session\",\"version\":1,\"exported_at\":%lld,\"session\":", (long long)now);
    if (rc == 0)
        rc = operator_session_serialize(s, out);
    return rc == 0 ? buf_puts(out, ",\"messages\":[") : rc;
}

/* ---- sending ---- */

void export_file_name(const char *title, const char *end, char *out, size_t size)
{
    size_t n = 0, room = size - strlen(end) - 1;
    room = room < 60 ? room : 60;
    for (const char *c = title; *c && n < room; c++) {
        bool plain = (*c >= '0' && *c <= '9') || ((*c | 32) >= 'a' && (*c | 32) <= 'z');
        if (plain)
            out[n++] = *c;
        else if (n > 0 && out[n - 1] != '-')
            out[n++] = '-';
    }
    while (n > 0 && out[n - 1] == '-')
        n--;
    if (n == 0) {
        memcpy(out, "session", sizeof "session");
        n = 7;
    }
    snprintf(out + n, size - n, "%s", end);
}

struct export
{
    struct sessions *s;
    char id[ULID_LEN + 1];
    bool json;
    int64_t after; /* seq of the last message that was sent */
    bool any;
};

/* The next page of messages into out; *count: how many. */
static int export_page(struct export *x, struct buf *out, size_t *count)
{
    struct arena *a = arena_create(0);
    struct message_list page = {.count = 0};
    struct error err;
    int rc = a ? message_page(x->s, a, x->id, MESSAGES_AFTER, x->after, x->json, EXPORT_PAGE, &page, &err)
               : VX11_ENOMEM;
    for (size_t i = 0; rc == 0 && i < page.count; i++) {
        if (x->json) {
            rc = buf_puts(out, x->any ? "," : "");
            if (rc == 0)
                rc = operator_message_serialize(&page.items[i], out);
        } else {
            export_markdown_message(&page.items[i], out);
        }
        x->any = true;
        x->after = page.items[i].seq;
    }
    *count = page.count;
    arena_destroy(a);
    return rc != 0 ? rc : out->failed ? VX11_ENOMEM : 0;
}

static void export_more(struct request *r, void *ctx)
{
    struct export *x = ctx;
    while (request_stream_queued(r) < 65536) {
        struct buf out = BUF_INIT;
        size_t count = 0;
        int rc = export_page(x, &out, &count);
        if (rc == 0 && count < EXPORT_PAGE && x->json)
            rc = buf_puts(&out, "]}\n");
        if (rc == 0 && out.len > 0)
            rc = request_stream_write(r, out.data, out.len);
        buf_free(&out);
        if (rc != 0) {
            request_stream_abort(r);
            return;
        }
        if (count < EXPORT_PAGE) {
            request_stream_end(r);
            return;
        }
    }
}

static void export_cancelled(struct request *r, void *ctx, int reason)
{
    (void)ctx;
    (void)reason;
    request_stream_abort(r);
}

void sessions_on_export(struct request *r, void *module)
{
    struct sessions *s = ((struct operator_ *)module)->sessions;
    const struct operator_export_params *p = request_params(r);
    struct export *x = arena_zalloc(request_arena(r), sizeof *x);
    struct operator_session session;
    struct error err = {0};
    struct buf head = BUF_INIT;
    char name[96], disposition[128];
    int rc = x ? session_get(s, request_arena(r), p->id, &session, &err)
               : error_set(&err, VX11_ENOMEM, "out of memory");
    if (rc != 0) {
        session_fail(r, &err);
        return;
    }
    x->s = s;
    x->json = p->format == OPERATOR_EXPORT_PARAMS_FORMAT_JSON;
    memcpy(x->id, session.id, sizeof x->id);
    export_file_name(session.title, x->json ? ".json" : ".md", name, sizeof name);
    snprintf(disposition, sizeof disposition, "attachment; filename=\"%s\"", name);
    if (x->json)
        json_head(&session, clock_wall_ms(), &head);
    else
        export_markdown_head(&session, clock_wall_ms(), &head);
    request_reply_header(r, "Content-Disposition", disposition);
    request_reply_header(r, "X-Content-Type-Options", "nosniff");
    request_reply_header(r, "Cache-Control", "no-store");
    request_stream_backpressure(r);
    /* Not application/json, which the front door would gather whole. */
    rc = head.failed
             ? VX11_ENOMEM
             : request_stream_begin(
                   r, 200, x->json ? "application/vnd.vx11.session+json" : "text/markdown; charset=utf-8");
    if (rc == 0)
        rc = request_stream_write(r, head.data, head.len);
    buf_free(&head);
    if (rc != 0) {
        request_stream_abort(r);
        return;
    }
    request_on_cancel(r, export_cancelled, x);
    request_on_drain(r, export_more, x);
    export_more(r, x);
}
