/* Import: an export of the ledger, checked without any database. It comes from outside: lines are bounded,
 * JSON is parsed with bounds, and nothing is taken for granted about order or number. Nothing is written
 * anywhere.
 *
 * Both formats have one row a line; the array's commas and the frame around it are the only difference. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"
#include "contract/contract.h"
#include "store/ledger/ledger_internal.h"

#define LINE_MAX_BYTES  (1024 * 1024)
#define LINE_ARENA      (16 * 1024 * 1024)
#define FORMAT_NAME     "vx11-ledger"
#define FRAME_HEAD      ",\"rows\":["
#define FRAME_END       "],\"end\":"
#define FRAME_END_LINES "{\"end\":"

struct ledger_import {
    struct ledger_walk walk;
    struct ledger_report report;
    struct ledger_head expect;
    struct arena *arena; /* of one line */
    struct buf line;
    int64_t lines;
    bool begun, ended, array;
};

struct ledger_import *ledger_import_new(const struct ledger_head *expect)
{
    struct ledger_import *x = calloc(1, sizeof *x);
    if (!x || !(x->arena = arena_create(LINE_ARENA))) {
        free(x);
        return NULL;
    }
    if (expect)
        x->expect = *expect;
    ledger_walk_begin(&x->walk, &x->report, NULL, expect ? &x->expect : NULL);
    snprintf(x->report.anchor_reason, sizeof x->report.anchor_reason,
             "an export has no anchor; its last line says where it ends");
    return x;
}

void ledger_import_free(struct ledger_import *x)
{
    if (!x)
        return;
    arena_destroy(x->arena);
    buf_free(&x->line);
    free(x);
}

static int malformed(struct ledger_import *x, const char *what, struct error *err)
{
    return error_set(err, VX11_ESYNTAX, "line %lld is not of an export of the ledger: %s",
                     (long long)x->lines, what);
}

static int parse(struct ledger_import *x, const char *text, size_t len, yyjson_val **out, struct error *err)
{
    struct contract_error why = {0};
    struct contract_limits limits = {.max_depth = 4, .max_bytes = LINE_MAX_BYTES + 16};
    int rc = contract_json_parse(x->arena, text, len, &limits, out, &why);
    if (rc == VX11_ENOMEM)
        return error_set(err, rc, "no memory for line %lld", (long long)x->lines);
    if (rc != 0)
        return malformed(x, why.text, err);
    return yyjson_is_obj(*out) ? 0 : malformed(x, "it is no object", err);
}

static bool hash_field(yyjson_val *object, const char *name, unsigned char out[LEDGER_HASH_LEN])
{
    yyjson_val *v = yyjson_obj_get(object, name);
    return yyjson_is_str(v) && yyjson_get_len(v) == (size_t)2 * LEDGER_HASH_LEN &&
           hex_decode(yyjson_get_str(v), out, LEDGER_HASH_LEN) == 0;
}

static bool int_field(yyjson_val *object, const char *name, int64_t *out)
{
    yyjson_val *v = yyjson_obj_get(object, name);
    *out = yyjson_is_int(v) ? yyjson_get_sint(v) : 0;
    return yyjson_is_int(v) && !(yyjson_is_uint(v) && yyjson_get_uint(v) > INT64_MAX);
}

/* A NUL in it (as \u0000) would hide what follows from the hash. */
static bool text_field(yyjson_val *object, const char *name, bool may_be_null, const char **out)
{
    yyjson_val *v = yyjson_obj_get(object, name);
    *out = yyjson_get_str(v);
    if (yyjson_is_null(v))
        return may_be_null;
    return yyjson_is_str(v) && yyjson_get_len(v) > 0 && strlen(*out) == yyjson_get_len(v);
}

/* ---- the lines ---- */

static int take_header(struct ledger_import *x, const char *text, size_t len, struct error *err)
{
    static const char frame[] = FRAME_HEAD;
    char *whole = NULL;
    if (len >= sizeof frame - 1 && memcmp(text + len - (sizeof frame - 1), frame, sizeof frame - 1) == 0) {
        x->array = true;
        whole = arena_printf(x->arena, "%.*s]}", (int)len, text);
        if (!whole)
            return error_set(err, VX11_ENOMEM, "no memory for the first line");
        len += 2;
    }
    yyjson_val *root;
    unsigned char genesis[LEDGER_HASH_LEN], said[LEDGER_HASH_LEN];
    int64_t version;
    int rc = parse(x, whole ? whole : text, len, &root, err);
    if (rc != 0)
        return rc;
    if (!yyjson_equals_str(yyjson_obj_get(root, "format"), FORMAT_NAME))
        return malformed(x, "it does not say that it is one", err);
    if (!int_field(root, "version", &version) || version != 1)
        return error_set(err, VX11_EVERSION, "this is an export of another version than 1");
    ledger_genesis(genesis);
    if (!hash_field(root, "genesis", said) || memcmp(said, genesis, sizeof said) != 0)
        ledger_walk_fault(&x->walk, LEDGER_PREV, 0, NULL, "the export does not begin as a ledger does");
    x->begun = true;
    return 0;
}

static int take_end(struct ledger_import *x, yyjson_val *end, struct error *err)
{
    int64_t rows;
    struct ledger_head head;
    if (!yyjson_is_obj(end) || !int_field(end, "rows", &rows) || !int_field(end, "n", &head.n) ||
        !hash_field(end, "hash", head.hash))
        return malformed(x, "the end does not say rows, n and hash", err);
    ledger_walk_end(&x->walk);
    const struct ledger_head *last = &x->report.head;
    if (head.n > x->walk.n &&
        __builtin_add_overflow(x->report.missing, head.n - x->walk.n, &x->report.missing))
        x->report.missing = INT64_MAX;
    if (head.n != last->n || rows != x->report.rows)
        ledger_walk_fault(&x->walk, LEDGER_END, last->n, NULL,
                          "the end says %lld rows up to row %lld; here are %lld up to row %lld",
                          (long long)rows, (long long)head.n, (long long)x->report.rows, (long long)last->n);
    else if (memcmp(head.hash, last->hash, sizeof head.hash) != 0)
        ledger_walk_fault(&x->walk, LEDGER_HEAD, last->n, NULL, "the end says another hash for row %lld",
                          (long long)last->n);
    x->ended = true;
    return 0;
}

static int take_row(struct ledger_import *x, yyjson_val *root)
{
    struct ledger_row row = {0};
    bool sound = int_field(root, "n", &row.n) && row.n > 0;
    sound &= text_field(root, "id", false, &row.id);
    sound &= int_field(root, "at", &row.at);
    sound &= text_field(root, "kind", false, &row.kind);
    sound &= text_field(root, "actor", false, &row.actor);
    sound &= text_field(root, "subject", true, &row.subject);
    sound &= text_field(root, "detail", true, &row.detail);
    sound &= hash_field(root, "prev", row.prev);
    sound &= hash_field(root, "hash", row.hash);
    ledger_walk_row(&x->walk, &row, sound);
    return 0;
}

static int take_line(struct ledger_import *x, const char *text, size_t len, struct error *err)
{
    while (len > 0 && (text[len - 1] == '\r' || text[len - 1] == ' '))
        len--;
    x->lines++;
    if (len == 0)
        return 0;
    if (memchr(text, '\0', len))
        return malformed(x, "it has a zero byte", err);
    if (!x->begun)
        return take_header(x, text, len, err);
    if (x->ended)
        return malformed(x, "something comes after the end", err);
    yyjson_val *root;
    char *frame = NULL;
    if (x->array && len > sizeof FRAME_END - 1 && memcmp(text, FRAME_END, sizeof FRAME_END - 1) == 0) {
        frame = arena_printf(x->arena, FRAME_END_LINES "%.*s", (int)(len - (sizeof FRAME_END - 1)),
                             text + sizeof FRAME_END - 1);
        if (!frame)
            return error_set(err, VX11_ENOMEM, "no memory for line %lld", (long long)x->lines);
    } else if (x->array && text[len - 1] == ',')
        len--;
    int rc = parse(x, frame ? frame : text, frame ? strlen(frame) : len, &root, err);
    if (rc != 0)
        return rc;
    yyjson_val *end = yyjson_obj_get(root, "end");
    return end ? take_end(x, end, err) : take_row(x, root);
}

static int end_line(struct ledger_import *x, struct error *err)
{
    int rc = take_line(x, x->line.data ? x->line.data : "", x->line.len, err);
    buf_clear(&x->line);
    arena_reset(x->arena);
    return rc;
}

int ledger_import_feed(struct ledger_import *x, const char *data, size_t len, struct error *err)
{
    int rc = 0;
    while (len > 0 && rc == 0) {
        const char *line_end = memchr(data, '\n', len);
        size_t piece = line_end ? (size_t)(line_end - data) : len;
        if (x->line.len + piece > LINE_MAX_BYTES)
            return error_set(err, VX11_ESYNTAX, "line %lld is longer than any of an export of the ledger",
                             (long long)(x->lines + 1));
        if (buf_append(&x->line, data, piece) != 0)
            return error_set(err, VX11_ENOMEM, "no memory for line %lld", (long long)(x->lines + 1));
        if (line_end)
            rc = end_line(x, err);
        piece += line_end != NULL;
        data += piece;
        len -= piece;
    }
    return rc;
}

int ledger_import_end(struct ledger_import *x, struct ledger_report *out, struct error *err)
{
    int rc = x->line.len > 0 ? end_line(x, err) : 0;
    if (rc == 0 && !x->begun)
        rc = error_set(err, VX11_ESYNTAX, "this is not an export of the ledger: it is empty");
    if (rc == 0 && !x->ended) {
        ledger_walk_end(&x->walk);
        ledger_walk_fault(&x->walk, LEDGER_END, x->report.head.n, NULL,
                          "the export ends after row %lld without its last line: it was cut off",
                          (long long)x->report.head.n);
    }
    *out = x->report;
    return rc;
}
