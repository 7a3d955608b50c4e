/* Append: one row at the end of the chain. What it hangs on is read inside the transaction that writes it, so
 * two who append at once follow one another. */
#include "store/ledger/ledger_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <yyjson.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"

#define NOTE_PAIRS 16

struct append {
    const struct ledger_entry *entry;
    const char *detail; /* what is written of it */
};

/* Cut to so many characters, and to what is valid UTF-8. NULL when nothing is left. */
static char *cut(const char *s, size_t max, char *out, size_t size)
{
    size_t len = s ? strlen(s) : 0;
    if (len > max)
        len = max;
    len = s && len < size ? utf8_valid_prefix(s, len) : 0;
    if (len == 0)
        return NULL;
    memcpy(out, s, len);
    out[len] = '\0';
    return out;
}

static int append_row(struct store *s, const char *kind, const char *actor, const char *subject,
                      const char *detail, struct error *err)
{
    struct ledger_head head;
    char id[ULID_LEN + 1];
    char actor_cut[LEDGER_ACTOR_MAX + 1], subject_cut[LEDGER_SUBJECT_MAX + 1];
    int rc = ledger_head(s, &head, err);
    if (rc != 0)
        return rc;
    struct ledger_row row = {.n = head.n + 1,
                             .at = clock_wall_ms(),
                             .id = ulid_make(id),
                             .kind = kind,
                             .actor = cut(actor, LEDGER_ACTOR_MAX, actor_cut, sizeof actor_cut),
                             .subject = cut(subject, LEDGER_SUBJECT_MAX, subject_cut, sizeof subject_cut),
                             .detail = detail};
    if (!row.actor)
        return error_set(err, VX11_EINVALID, "the ledger wants to know who did %s", kind);
    memcpy(row.prev, head.hash, sizeof row.prev);
    ledger_hash(&row, row.prev, row.hash);
    rc = store_exec(s, "INSERT INTO ledger (" LEDGER_COLUMNS ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                    (struct store_value[]){STORE_I(row.n), STORE_T(row.id), STORE_I(row.at),
                                           STORE_T(row.kind), STORE_T(row.actor), STORE_T(row.subject),
                                           STORE_T(row.detail), store_blob(row.prev, sizeof row.prev),
                                           store_blob(row.hash, sizeof row.hash)},
                    9, NULL, err);
    if (rc == 0) {
        s->ledger.n = row.n;
        memcpy(s->ledger.hash, row.hash, sizeof row.hash);
    }
    return rc;
}

/* That the anchor was taken away, or damaged, is itself something to be told. It is made here, with what is
 * committed, and not only after the commit: who appends next must not take it for missing. */
static int note_anchor(struct store *s, struct error *err)
{
    struct ledger_head head, anchor;
    struct error why = {0};
    if (s->ledger.n > 0)
        return 0; /* looked at already in this transaction */
    int rc = ledger_head(s, &head, err);
    if (rc != 0)
        return rc;
    int found = ledger_anchor_read(s->path, &anchor, &why);
    if (found != VX11_ENOT_FOUND && found != VX11_ECORRUPT)
        return 0; /* there; or not to be read now, which the advance will say */
    if (head.n > 0)
        rc = append_row(s, found == VX11_ECORRUPT ? "ledger.anchor_damaged" : "ledger.anchor_missing",
                        "store", NULL, NULL, err);
    if (rc == 0 && ledger_anchor_write(s->path, &head, &why) != 0)
        log_error("store", "the ledger has no anchor", LOG_S("reason", why.text));
    return rc;
}

static int append_inside(void *ctx, struct store *s, struct error *err)
{
    struct append *a = ctx;
    const struct ledger_entry *e = a->entry;
    int rc = note_anchor(s, err);
    return rc != 0 ? rc : append_row(s, e->kind, e->actor, e->subject, a->detail, err);
}

static bool is_object(const char *text, size_t len)
{
    yyjson_doc *doc = yyjson_read(text, len, 0);
    bool object = yyjson_is_obj(yyjson_doc_get_root(doc));
    yyjson_doc_free(doc);
    return object;
}

/* The detail without secrets: a last net, the callers give none. */
static int clean(const char *detail, struct buf *out, struct error *err)
{
    size_t len = strlen(detail);
    if (len > LEDGER_DETAIL_MAX || !utf8_valid(detail, len) || !is_object(detail, len))
        return error_set(err, VX11_EINVALID, "a detail of the ledger is a JSON object of at most %d bytes",
                         LEDGER_DETAIL_MAX);
    if (log_redact(detail, len, out) != 0)
        return error_set(err, VX11_ENOMEM, "no memory for a row of the ledger");
    if (out->len > LEDGER_DETAIL_MAX || !out->data || !is_object(out->data, out->len)) {
        buf_clear(out);
        if (buf_puts(out, "{\"redacted\":true}") != 0)
            return error_set(err, VX11_ENOMEM, "no memory for a row of the ledger");
    }
    return 0;
}

int ledger_append(struct store *s, const struct ledger_entry *entry, struct error *err)
{
    struct buf detail = BUF_INIT;
    struct append a = {entry, NULL};
    int rc = ledger_kind_check(entry->kind, false, err);
    if (rc == 0 && s->in_transaction && !s->durable)
        rc = error_set(err, VX11_EINVALID,
                       "the ledger needs store_transaction_durable: what it says must be on the disk");
    if (rc == 0 && entry->detail) {
        rc = clean(entry->detail, &detail, err);
        a.detail = detail.data;
    }
    if (rc == 0)
        rc = s->in_transaction ? append_inside(&a, s, err)
                               : store_transaction_durable(s, append_inside, &a, err);
    buf_free(&detail);
    return rc != 0 ? error_prefix(err, rc, "the ledger does not take %s", entry->kind ? entry->kind : "this")
                   : 0;
}

/* ---- pairs ---- */

static void put_pair(struct buf *b, bool first, const char *name, const char *value)
{
    buf_puts(b, first ? "{" : ",");
    buf_put_json_string(b, name, strlen(name));
    buf_putc(b, ':');
    if (!value)
        buf_puts(b, "null");
    else if (log_is_secret(name, value))
        buf_puts(b, "\"[redacted]\"");
    else
        buf_put_json_string(b, value, strlen(value));
}

static void put_pairs(struct buf *b, va_list args)
{
    const char *name;
    for (int i = 0; i < NOTE_PAIRS && (name = va_arg(args, const char *)); i++)
        put_pair(b, i == 0, name, va_arg(args, const char *));
}

static int note(struct store *s, const char *kind, const char *actor, const char *subject, struct buf *detail,
                struct error *err)
{
    if (detail->len > 0)
        buf_putc(detail, '}');
    int rc =
        detail->failed
            ? error_set(err, VX11_ENOMEM, "no memory for a row of the ledger")
            : ledger_append(s,
                            &(struct ledger_entry){
                                .kind = kind, .actor = actor, .subject = subject, .detail = detail->data},
                            err);
    buf_free(detail);
    return rc;
}

int ledger_note(struct store *s, const char *kind, const char *actor, const char *subject, struct error *err,
                ...)
{
    struct buf detail = BUF_INIT;
    va_list args;
    va_start(args, err);
    put_pairs(&detail, args);
    va_end(args);
    return note(s, kind, actor, subject, &detail, err);
}

/* The row first: while only one of the two is done, verify still says that something is not as it was. */
static int anchor_anew(struct store *s, const char *kind, const char *actor, const char *subject,
                       struct buf *detail, struct error *err)
{
    struct ledger_head anchor, now;
    struct error why = {0};
    char text[LEDGER_HEAD_TEXT];
    if (ledger_anchor_read(s->path, &anchor, &why) == 0) {
        ledger_head_format(&anchor, text);
        put_pair(detail, detail->len == 0, "anchor", text);
    } else
        put_pair(detail, detail->len == 0, "anchor_error", why.text);
    s->anchor_waits = true;
    int rc = note(s, kind, actor, subject, detail, err);
    s->anchor_waits = false;
    if (rc == 0)
        rc = ledger_head(s, &now, err);
    return rc != 0 ? rc : ledger_anchor_write(s->path, &now, err);
}

int ledger_note_restore(struct store *s, const char *actor, const char *subject, struct error *err, ...)
{
    struct buf detail = BUF_INIT;
    va_list args;
    va_start(args, err);
    put_pairs(&detail, args);
    va_end(args);
    return anchor_anew(s, "restore", actor, subject, &detail, err);
}

int ledger_accept(struct store *s, const char *actor, const char *reason, struct error *err)
{
    struct buf detail = BUF_INIT;
    put_pair(&detail, true, "reason", reason);
    return anchor_anew(s, "ledger.accepted", actor, NULL, &detail, err);
}
