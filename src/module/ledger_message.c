/* Ledger message: rows and reports in the contract's shape. */
#include "module/ledger_message.h"

#include <string.h>

#include "base/str.h"
#include "contract/contract.h"

_Static_assert(SUPERVISOR_LEDGER_REPORT_FAULT_UNGUARDED == (int)LEDGER_UNGUARDED, "the same order");

static const char *hex_text(struct arena *a, const unsigned char hash[LEDGER_HASH_LEN])
{
    char *out = arena_alloc(a, (size_t)2 * LEDGER_HASH_LEN + 1);
    if (out)
        hex_encode(hash, LEDGER_HASH_LEN, out);
    return out;
}

int ledger_row_message(struct arena *a, const struct ledger_row *row, struct supervisor_ledger_row *out)
{
    *out = (struct supervisor_ledger_row){.n = row->n,
                                          .id = arena_strdup(a, row->id),
                                          .at = row->at,
                                          .kind = arena_strdup(a, row->kind),
                                          .actor = arena_strdup(a, row->actor),
                                          .subject = arena_strdup(a, row->subject),
                                          .prev = hex_text(a, row->prev),
                                          .hash = hex_text(a, row->hash)};
    /* One that is no JSON was tampered with: the walk says so, this only shows what can be shown. */
    if (row->detail)
        (void)contract_json_parse(a, row->detail, strlen(row->detail), NULL, &out->detail, NULL);
    bool whole =
        out->id && out->kind && out->actor && out->prev && out->hash && (out->subject || !row->subject);
    return whole ? 0 : VX11_ENOMEM;
}

static const char *head_text(struct arena *a, const struct ledger_head *head)
{
    char text[LEDGER_HEAD_TEXT];
    ledger_head_format(head, text);
    return arena_strdup(a, text);
}

int ledger_report_message(struct arena *a, const struct ledger_report *f, double duration_ms,
                          struct supervisor_ledger_report *out)
{
    *out = (struct supervisor_ledger_report){
        .sound = f->fault == LEDGER_SOUND,
        .rows = f->rows,
        .bad = f->bad,
        .missing = f->missing,
        .fault = (int)f->fault,
        .has_n = f->n > 0,
        .n = f->n,
        .id = f->id[0] ? arena_strdup(a, f->id) : NULL,
        .reason = f->reason[0] ? arena_strdup(a, f->reason) : NULL,
        .head = head_text(a, &f->head),
        .has_first_at = f->rows > 0,
        .first_at = f->first_at,
        .has_last_at = f->rows > 0,
        .last_at = f->last_at,
        .anchored = f->anchored,
        .anchor = f->anchored ? head_text(a, &f->anchor) : NULL,
        .anchor_reason = f->anchored ? NULL : arena_strdup(a, f->anchor_reason),
        .duration_ms = duration_ms,
    };
    return out->head ? 0 : VX11_ENOMEM;
}
