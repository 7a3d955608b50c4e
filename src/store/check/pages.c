/* Pages: the file itself, its pages, and how much room they have. */
#include "store/check/check_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/str.h"

#define WAL_WARN_BYTES (64ll << 20)
#define HEADER_LEN     100

/* ---- the file ---- */

static uint32_t header_u32(const unsigned char *h, size_t at)
{
    return (uint32_t)h[at] << 24 | (uint32_t)h[at + 1] << 16 | (uint32_t)h[at + 2] << 8 | h[at + 3];
}

static int64_t size_of(const char *path, const char *suffix)
{
    char name[4200];
    struct stat st;
    return snprintf(name, sizeof name, "%s%s", path, suffix) < (int)sizeof name && stat(name, &st) == 0
               ? (int64_t)st.st_size
               : 0;
}

/* The header says how many pages there are; a file that was cut off has fewer. */
static void length_of(struct check *c, sqlite3_file *file)
{
    unsigned char h[HEADER_LEN];
    sqlite3_int64 size = 0;
    if (file->pMethods->xFileSize(file, &size) != SQLITE_OK || size < HEADER_LEN ||
        file->pMethods->xRead(file, h, HEADER_LEN, 0) != SQLITE_OK || memcmp(h, "SQLite format 3", 16) != 0)
        return;
    int64_t page = (int64_t)h[16] << 8 | h[17];
    int64_t pages = header_u32(h, 28);
    page = page == 1 ? 65536 : page;
    /* The count holds only when both change counters agree; newer pages may still be in the log. */
    if (header_u32(h, 24) == header_u32(h, 92) && size < page * pages &&
        size_of(c->options->path, "-wal") == 0)
        check_found(c, (struct database_finding){
                           .severity = DATABASE_SEVERITY_PROBLEM,
                           .has_page = true,
                           .page = size / page + 1,
                           .text = check_text(c, "the file ends before page %lld of %lld: it was cut off",
                                              (long long)(size / page + 1), (long long)pages)});
    if (page > 0 && size % page != 0)
        check_found(
            c, (struct database_finding){.severity = DATABASE_SEVERITY_PROBLEM,
                                         .has_page = true,
                                         .page = size / page + 1,
                                         .text = check_text(c, "the file ends in the middle of page %lld",
                                                            (long long)(size / page + 1))});
}

static void check_length(struct check *c)
{
    sqlite3_file *file = NULL;
    if (sqlite3_file_control(c->db, "main", SQLITE_FCNTL_FILE_POINTER, &file) == SQLITE_OK && file &&
        file->pMethods)
        length_of(c, file);
}

/* Through SQLite's own way to files: closing a descriptor of ours would drop the locks of this process. */
void check_length_closed(struct check *c)
{
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
    sqlite3_file *file = vfs ? arena_zalloc(c->arena, (size_t)vfs->szOsFile) : NULL;
    char full[4200] = "";
    int flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_MAIN_DB;
    /* A VFS wants the full path, and the name followed by a second NUL. */
    if (!file || vfs->xFullPathname(vfs, c->options->path, (int)sizeof full - 2, full) != SQLITE_OK)
        return;
    full[strlen(full) + 1] = '\0';
    if (vfs->xOpen(vfs, full, file, flags, &flags) == SQLITE_OK)
        length_of(c, file);
    if (file->pMethods)
        file->pMethods->xClose(file);
}

void check_file(struct check *c)
{
    const char *path = c->options->path;
    struct stat st;
    int64_t wal = size_of(path, "-wal");
    if (c->look.unreadable)
        check_found(c, (struct database_finding){
                           .severity = DATABASE_SEVERITY_PROBLEM,
                           .has_page = true,
                           .page = 1,
                           .text = check_text(c, "the schema cannot be read: %s", c->look.why.text)});
    else if (!c->look.ours)
        check_found(c,
                    (struct database_finding){.severity = DATABASE_SEVERITY_INFO,
                                              .text = "this is a database of another program, not VX11's"});
    check_length(c);
    if (stat(path, &st) == 0 && c->look.ours && (st.st_mode & 077))
        check_found(
            c, (struct database_finding){
                   .severity = DATABASE_SEVERITY_WARNING,
                   .text = check_text(c, "others than its owner may use the file (mode %o): chmod 600 it",
                                      (unsigned)st.st_mode & 0777)});
    if (wal >= WAL_WARN_BYTES)
        check_found(c,
                    (struct database_finding){
                        .severity = DATABASE_SEVERITY_WARNING,
                        .text = check_text(c,
                                           "the write-ahead log has grown to %lld bytes: something reads for "
                                           "long, or nothing moves it into the file",
                                           (long long)wal)});
}

/* ---- pages ---- */

/* The number behind `word` in a message; 0: none. */
static int64_t number_behind(const char *text, const char *word)
{
    const char *at = strstr(text, word);
    int64_t n = 0;
    if (!at)
        return 0;
    at += strlen(word);
    for (; *at >= '0' && *at <= '9' && n < INT64_MAX / 20; at++)
        n = n * 10 + (*at - '0');
    return n;
}

/* Whose page is it? Found by walking, which may stop at the damage: then nobody knows. */
static const char *page_owner(struct check *c, int64_t page)
{
    sqlite3_stmt *stmt = NULL;
    const char *name = NULL;
    static const char *const asks[] = {
        "SELECT tbl_name FROM sqlite_schema WHERE rootpage = ?1",
        "SELECT coalesce(m.tbl_name, d.name) FROM dbstat AS d LEFT JOIN sqlite_schema AS m ON m.name = d.name"
        " WHERE d.pageno = ?1 LIMIT 1"};
    for (size_t i = 0; page > 0 && i < COUNT_OF(asks) && !name && !(i == 1 && c->options->quick); i++) {
        if (sqlite3_prepare_v2(c->db, asks[i], -1, &stmt, NULL) == SQLITE_OK) {
            sqlite3_bind_int64(stmt, 1, page);
            if (sqlite3_step(stmt) == SQLITE_ROW)
                name = arena_strdup(c->arena, (const char *)sqlite3_column_text(stmt, 0));
        }
        sqlite3_finalize(stmt);
        stmt = NULL;
    }
    return name;
}

/* The table that a message names: "… in T", "… from index X", "NULL value in T.c". */
static const char *table_named_in(struct check *c, const char *text)
{
    static const char *const words[] = {"from index ", "in index ", "failed in ", "value in ",
                                        "missing from "};
    const char *at = NULL, *found = NULL;
    for (size_t i = 0; i < COUNT_OF(words) && !at; i++)
        if ((at = strstr(text, words[i])) != NULL)
            at += strlen(words[i]);
    size_t n = at ? strcspn(at, ".\n") : 0;
    const char *name = n ? arena_strndup(c->arena, at, n) : NULL;
    sqlite3_stmt *stmt = NULL;
    if (name && sqlite3_prepare_v2(c->db, "SELECT tbl_name FROM sqlite_schema WHERE name = ?1", -1, &stmt,
                                   NULL) == SQLITE_OK) {
        sqlite3_bind_text(stmt, 1, name, -1, SQLITE_STATIC);
        if (sqlite3_step(stmt) == SQLITE_ROW)
            found = arena_strdup(c->arena, (const char *)sqlite3_column_text(stmt, 0));
    }
    sqlite3_finalize(stmt);
    return found;
}

/* One line of what SQLite reports. */
static void page_finding(struct check *c, const char *line)
{
    /* The rows and the constraint are found by the step for values. */
    if (!c->options->quick && strstr(line, "CHECK constraint failed in "))
        return;
    int64_t page = number_behind(line, str_starts(line, "Page ") ? "Page " : "page ");
    int64_t row = str_starts(line, "row ") ? number_behind(line, "row ") : 0;
    const char *table = table_named_in(c, line);
    check_found(c, (struct database_finding){.severity = DATABASE_SEVERITY_PROBLEM,
                                             .table = table ? table : page_owner(c, page),
                                             .has_page = page > 0,
                                             .page = page,
                                             .has_rowid = row > 0,
                                             .rowid = row,
                                             .text = check_text(c, "%s", line)});
}

/* All pages, or those of one table (quoted). false: nothing was reported, not even that all is well. */
static bool pages_check(struct check *c, const struct check_table *t)
{
    const char *sql =
        t ? arena_printf(c->arena, "PRAGMA %s(%s)", c->options->quick ? "quick_check" : "integrity_check",
                         t->quoted)
          : arena_printf(c->arena, "PRAGMA %s(%zu)", c->options->quick ? "quick_check" : "integrity_check",
                         c->findings_max);
    /* The reports are kept first: looking for owners reads the same pages. */
    const char **lines = arena_array(c->arena, c->findings_max + 1, sizeof *lines);
    size_t n = 0;
    sqlite3_stmt *stmt = lines ? check_prepare(c, t ? t->name : NULL, sql) : NULL;
    while (stmt && n <= c->findings_max && check_step(c, t ? t->name : NULL, stmt)) {
        const char *text = (const char *)sqlite3_column_text(stmt, 0);
        if (text && (lines[n] = arena_strdup(c->arena, text)) != NULL)
            n++;
    }
    sqlite3_finalize(stmt);
    /* What was reported after the time was over is about the time. */
    for (size_t i = 0; i < n && !c->expired; i++) {
        char *rest = (char *)(uintptr_t)lines[i], *line;
        if (n == 1 && strcmp(lines[i], "ok") == 0)
            break;
        while ((line = strsep(&rest, "\n")) != NULL)
            if (*line && !str_starts(line, "*** in database"))
                page_finding(c, line);
    }
    return n > 0;
}

void check_pages(struct check *c)
{
    /* Damage that stops the walk is not located by SQLite: then table by table tells whose it is. */
    if (!pages_check(c, NULL) && !c->expired && !c->look.unreadable)
        for (size_t i = 0; i < c->table_count && !check_expired(c); i++)
            if (!c->tables[i].virtual_shadow)
                (void)pages_check(c, &c->tables[i]);
}

/* ---- room ---- */

static int64_t pragma_int(struct check *c, const char *sql)
{
    int64_t n = 0;
    struct error none = {0};
    return sql_int(c->db, sql, &n, &none) == 0 ? n : 0;
}

static const char *pragma_text(struct check *c, const char *sql)
{
    sqlite3_stmt *stmt = NULL;
    const char *out = NULL;
    if (sqlite3_prepare_v2(c->db, sql, -1, &stmt, NULL) == SQLITE_OK && sqlite3_step(stmt) == SQLITE_ROW)
        out = arena_strdup(c->arena, (const char *)sqlite3_column_text(stmt, 0));
    sqlite3_finalize(stmt);
    return out ? out : "unknown";
}

/* Each b-tree's pages in its order: those that do not follow the one before cost a seek. */
static void inside_pages(struct check *c, struct database_statistics *s)
{
    sqlite3_stmt *stmt = NULL;
    int64_t unused = 0, pages = 0, jumps = 0, last = 0;
    char name[128] = "";
    int rc = SQLITE_ERROR;
    if (sqlite3_prepare_v2(c->db, "SELECT name, pageno, unused FROM dbstat", -1, &stmt, NULL) == SQLITE_OK)
        while (!check_expired(c) && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
            const char *now = (const char *)sqlite3_column_text(stmt, 0);
            int64_t page = sqlite3_column_int64(stmt, 1);
            unused += sqlite3_column_int64(stmt, 2);
            pages++;
            jumps += now && strncmp(name, now, sizeof name - 1) == 0 && page != last + 1;
            (void)snprintf(name, sizeof name, "%s", now ? now : "");
            last = page;
        }
    sqlite3_finalize(stmt);
    if (rc != SQLITE_DONE) {
        if (!c->expired)
            c->detail = "this SQLite, or this file, does not tell what is inside its pages";
        return;
    }
    s->has_unused_bytes = s->has_fragmented_pct = true;
    s->unused_bytes = unused;
    s->fragmented_pct = pages ? 100.0 * (double)jumps / (double)pages : 0;
}

void check_statistics(struct check *c)
{
    struct database_statistics *s = arena_zalloc(c->arena, sizeof *s);
    struct stat st;
    if (!s || stat(c->options->path, &st) != 0) {
        c->failed = true;
        c->detail = s ? strerrordesc_np(errno) : "out of memory";
        return;
    }
    *s = (struct database_statistics){.size_bytes = (int64_t)st.st_size,
                                      .wal_bytes = size_of(c->options->path, "-wal"),
                                      .page_bytes = pragma_int(c, "PRAGMA page_size"),
                                      .pages = pragma_int(c, "PRAGMA page_count"),
                                      .free_pages = pragma_int(c, "PRAGMA freelist_count"),
                                      .journal_mode = pragma_text(c, "PRAGMA journal_mode"),
                                      .encoding = pragma_text(c, "PRAGMA encoding"),
                                      .application_id = pragma_int(c, "PRAGMA application_id"),
                                      .mode = check_text(c, "%04o", (unsigned)st.st_mode & 07777),
                                      .sqlite = sqlite3_libversion()};
    int64_t vacuum = pragma_int(c, "PRAGMA auto_vacuum");
    s->auto_vacuum = vacuum == 2   ? DATABASE_STATISTICS_AUTO_VACUUM_INCREMENTAL
                     : vacuum == 1 ? DATABASE_STATISTICS_AUTO_VACUUM_FULL
                                   : DATABASE_STATISTICS_AUTO_VACUUM_NONE;
    c->out->statistics = s;
    if (!c->options->quick)
        inside_pages(c, s);
    if (s->pages > 2560 && s->free_pages > s->pages / 4)
        check_found(
            c, (struct database_finding){
                   .severity = DATABASE_SEVERITY_INFO,
                   .text = check_text(c, "%lld of %lld pages hold nothing: vx11 db maintain gives them back",
                                      (long long)s->free_pages, (long long)s->pages)});
}
