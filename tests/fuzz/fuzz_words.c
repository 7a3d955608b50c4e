/* Any text as what a person types: into the search box, where SQLite itself judges the query that is made of
 * it, and as a message whose intent, topic and title are told. Any bytes as a snippet with marks. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <sqlite3.h>

#include "base/str.h"
#include "operator/context/context.h"
#include "operator/intent/intent.h"
#include "operator/sessions/sessions_internal.h"

static sqlite3_stmt *matcher(void)
{
    static sqlite3_stmt *stmt;
    sqlite3 *db;
    if (stmt)
        return stmt;
    if (sqlite3_open(":memory:", &db) != SQLITE_OK ||
        sqlite3_exec(
            db,
            "CREATE VIRTUAL TABLE w USING fts5 (content, tokenize = 'unicode61 remove_diacritics 2');"
            "INSERT INTO w VALUES ('a lazy dog, NEAR and OR')",
            NULL, NULL, NULL) != SQLITE_OK ||
        sqlite3_prepare_v2(db, "SELECT rowid FROM w WHERE w MATCH ?1", -1, &stmt, NULL) != SQLITE_OK)
        abort();
    return stmt;
}

static void search(const char *text, size_t len)
{
    struct buf match = BUF_INIT;
    if (words_query(text, len, &match) != 0)
        abort();
    if (match.len > 0 && utf8_valid(match.data, match.len)) {
        sqlite3_stmt *stmt = matcher();
        sqlite3_bind_text(stmt, 1, match.data, (int)match.len, SQLITE_STATIC);
        int rc = sqlite3_step(stmt);
        if (rc != SQLITE_ROW && rc != SQLITE_DONE)
            abort(); /* an error of syntax came from outside */
        sqlite3_reset(stmt);
    }
    buf_free(&match);
}

static void marks(const char *text)
{
    struct arena *a = arena_create(0);
    const char *plain;
    int64_t *list, units = 0, last = 0;
    size_t n;
    if (words_marks(text, a, &plain, &list, &n) != 0 || n % 2 != 0)
        abort();
    for (const char *c = plain; *c; c++) /* never fewer units than marks need */
        units += ((unsigned char)*c & 0xC0) != 0x80 ? 1 + ((unsigned char)*c >= 0xF0) : 1;
    for (size_t i = 0; i < n; i += 2) {
        if (list[i] < last || list[i + 1] <= 0 || list[i] + list[i + 1] > units)
            abort();
        last = list[i] + list[i + 1];
    }
    arena_destroy(a);
}

static void said(const char *text, size_t len)
{
    struct context_message m[2] = {{OPERATOR_MESSAGE_ROLE_USER, text, len},
                                   {OPERATOR_MESSAGE_ROLE_ASSISTANT, text, len}};
    struct detected d;
    struct buf out = BUF_INIT;
    intent_detect(text, len, &d);
    if (d.confidence < 0 || d.confidence > 1 || d.url_at + d.url_len > len ||
        (d.confidence > 0) != (d.word_count > 0))
        abort();
    if (context_metadata(m, 2, 2, &out) != 0 || !utf8_valid(out.data, out.len))
        abort();
    buf_clear(&out);
    if (context_hint(m, 2, &out) != 0 || utf8_count(out.data ? out.data : "", out.len) > 257)
        abort();
    buf_clear(&out);
    if (context_title(text, len, &out) != 0 || utf8_count(out.data ? out.data : "", out.len) > 61)
        abort();
    buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    char *text = malloc(len + 1);
    if (!text)
        return 0;
    memcpy(text, data, len);
    text[len] = '\0';
    search(text, len);
    marks(text);
    said(text, len);
    free(text);
    return 0;
}
