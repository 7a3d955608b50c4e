/* Walk: along a chain, row by row. What a fault means is settled with one row of memory:
 *
 *   fields do not give the row's hash ─ next row's prev is that hash ──> the fields were changed
 *                                     └ next row's prev is what they give ──> the hash was
 *   prev is not the hash before ──> prev was changed, or the row before is another one */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "store/ledger/ledger_internal.h"

static const char *const fault_names[] = {"sound", "contents", "hash", "prev", "missing",
                                          "order", "shape",    "end",  "head", "unguarded"};

const char *ledger_fault_name(enum ledger_fault fault)
{
    return (size_t)fault < COUNT_OF(fault_names) ? fault_names[fault] : "unknown";
}

static bool same(const unsigned char a[LEDGER_HASH_LEN], const unsigned char b[LEDGER_HASH_LEN])
{
    return memcmp(a, b, LEDGER_HASH_LEN) == 0;
}

void ledger_walk_fault(struct ledger_walk *w, enum ledger_fault fault, int64_t n, const char *id,
                       const char *fmt, ...)
{
    struct ledger_report *r = w->report;
    if (r->fault != LEDGER_SOUND)
        return;
    r->fault = fault;
    r->n = n;
    if (id && ulid_valid(id))
        snprintf(r->id, sizeof r->id, "%s", id);
    va_list args;
    va_start(args, fmt);
    vsnprintf(r->reason, sizeof r->reason, fmt, args);
    va_end(args);
}

void ledger_walk_begin(struct ledger_walk *w, struct ledger_report *report, const struct ledger_head *anchor,
                       const struct ledger_head *expect)
{
    *w = (struct ledger_walk){.report = report, .anchor = anchor, .expect = expect};
    ledger_genesis(w->hash);
    ledger_genesis(report->head.hash);
}

/* The row before was suspect: now it shows what of it. next: the row after it, NULL at the end. */
static void settle(struct ledger_walk *w, const struct ledger_row *next)
{
    if (!w->suspect)
        return;
    w->suspect = false;
    bool hash_changed = next ? same(next->prev, w->computed)
                             : w->anchor && w->anchor->n == w->n && same(w->anchor->hash, w->computed);
    if (hash_changed) {
        ledger_walk_fault(w, LEDGER_HASH, w->n, w->id, "the hash of row %lld (%s) was changed",
                          (long long)w->n, w->id);
        memcpy(w->hash, w->computed, LEDGER_HASH_LEN);
    } else
        ledger_walk_fault(w, LEDGER_CONTENTS, w->n, w->id,
                          "the contents of row %lld (%s) are not those that its hash was made of",
                          (long long)w->n, w->id);
}

/* Numbers come from whoever changed the file: the sum stops at the largest. */
static void add_missing(struct ledger_report *r, int64_t n)
{
    if (__builtin_add_overflow(r->missing, n, &r->missing))
        r->missing = INT64_MAX;
}

/* Where the row stands. False: its prev has nothing to be compared with. */
static bool check_place(struct ledger_walk *w, const struct ledger_row *row, bool *bad)
{
    if (row->n <= w->n) {
        *bad = true;
        ledger_walk_fault(w, LEDGER_ORDER, row->n, row->id, "row %lld (%s) comes after row %lld",
                          (long long)row->n, row->id ? row->id : "", (long long)w->n);
        return false;
    }
    int64_t between = row->n - w->n - 1; /* w->n is never below 0 */
    if (between == 0)
        return true;
    add_missing(w->report, between);
    if (between == 1)
        ledger_walk_fault(w, LEDGER_MISSING, row->n, row->id, "row %lld is missing, before row %lld (%s)",
                          (long long)w->n + 1, (long long)row->n, row->id ? row->id : "");
    else
        ledger_walk_fault(w, LEDGER_MISSING, row->n, row->id,
                          "rows %lld to %lld are missing, before row %lld (%s)", (long long)w->n + 1,
                          (long long)row->n - 1, (long long)row->n, row->id ? row->id : "");
    return false;
}

static void check_head(struct ledger_walk *w, const struct ledger_head *head, const char *what,
                       const struct ledger_row *row, bool *bad)
{
    if (!head || head->n != row->n || same(head->hash, row->hash))
        return;
    *bad = true;
    ledger_walk_fault(w, LEDGER_HEAD, row->n, row->id,
                      "row %lld (%s) is another than the one that %s knows: the chain was made anew",
                      (long long)row->n, row->id ? row->id : "", what);
}

/* Whether the row's own hash is that of its fields; with a changed prev it is that of the prev it had. */
static void check_hash(struct ledger_walk *w, const struct ledger_row *row, bool follows, bool in_place,
                       bool *bad)
{
    unsigned char with_before[LEDGER_HASH_LEN];
    ledger_hash(row, row->prev, w->computed);
    if (same(w->computed, row->hash))
        return;
    *bad = true;
    if (in_place && !follows) {
        ledger_hash(row, w->hash, with_before);
        if (same(with_before, row->hash))
            return; /* told already: prev alone was changed */
    }
    w->suspect = true;
    snprintf(w->id, sizeof w->id, "%.*s", ULID_LEN, row->id ? row->id : "");
}

void ledger_walk_row(struct ledger_walk *w, const struct ledger_row *row, bool sound)
{
    struct ledger_report *r = w->report;
    bool bad = !sound;
    settle(w, row->n > w->n && row->n - w->n == 1 ? row : NULL);
    if (!sound)
        ledger_walk_fault(w, LEDGER_SHAPE, row->n, row->id,
                          "row %lld has a field of a type or size that the ledger does not have",
                          (long long)row->n);
    bool in_place = check_place(w, row, &bad);
    bool follows = in_place && same(row->prev, w->hash);
    if (in_place && !follows) {
        bad = true;
        ledger_walk_fault(w, LEDGER_PREV, row->n, row->id,
                          w->n == 0 ? "row %lld (%s) is the first and does not begin as a ledger does"
                                    : "row %lld (%s) does not carry the hash of the row before it",
                          (long long)row->n, row->id ? row->id : "");
    }
    check_hash(w, row, follows, in_place, &bad);
    if (!w->suspect) {
        check_head(w, w->anchor, "the anchor", row, &bad);
        check_head(w, w->expect, "the given head", row, &bad);
    }
    r->rows++;
    r->bad += bad;
    r->first_at = r->rows == 1 ? row->at : r->first_at;
    r->last_at = row->at;
    w->n = row->n > w->n ? row->n : w->n;
    memcpy(w->hash, row->hash, LEDGER_HASH_LEN);
    r->head.n = row->n;
    memcpy(r->head.hash, row->hash, LEDGER_HASH_LEN);
}

static void check_end(struct ledger_walk *w, const struct ledger_head *head, const char *what)
{
    if (!head || head->n <= w->n)
        return;
    int64_t lost = head->n - w->n;
    if (w->report->fault != LEDGER_END)
        add_missing(w->report, lost);
    ledger_walk_fault(w, LEDGER_END, w->n, NULL,
                      "the end is missing: %s knows row %lld, the last one here is %lld", what,
                      (long long)head->n, (long long)w->n);
}

void ledger_walk_end(struct ledger_walk *w)
{
    settle(w, NULL);
    check_end(w, w->anchor, "the anchor");
    check_end(w, w->expect, "the given head");
}
