/* Manifest: what a backup is, beside it, in a form that has one spelling only. What is read is written again
 * and must come out the same, byte for byte: whatever was changed in the file shows. */
#include "store/backup/backup_internal.h"

#include <stdio.h>
#include <string.h>

#include <sodium.h>

#include "base/fs.h"
#include "base/str.h"

static const char no_check[] = "0000000000000000000000000000000000000000000000000000000000000000";

static int manifest_put(const struct backup_manifest *m, const char *check, struct buf *out)
{
    struct backup_manifest copy = *m;
    copy.check = check;
    buf_clear(out);
    int rc = contract_serialize_pretty(&backup_manifest_message, &copy, out);
    return rc == 0 ? buf_putc(out, '\n') : rc;
}

int manifest_text(const struct backup_manifest *m, struct buf *out, struct error *err)
{
    unsigned char hash[crypto_hash_sha256_BYTES];
    char hex[2 * sizeof hash + 1];
    int rc = manifest_put(m, no_check, out);
    if (rc == 0) {
        crypto_hash_sha256(hash, (const unsigned char *)out->data, out->len);
        hex_encode(hash, sizeof hash, hex);
        rc = manifest_put(m, hex, out);
    }
    if (rc == 0 && out->len > BACKUP_MANIFEST_MAX)
        rc = VX11_ETOO_LARGE;
    return rc == 0 ? 0 : error_set(err, rc, "the manifest cannot be written: %s", error_describe(rc));
}

int manifest_parse(const char *text, size_t len, struct arena *a, struct backup_manifest *out,
                   struct error *err)
{
    static const struct contract_limits limits = {
        .max_depth = 8, .max_bytes = BACKUP_MANIFEST_MAX, .strict = true};
    struct contract_error wrong = {0};
    struct buf again = BUF_INIT;
    int rc = contract_parse(&backup_manifest_message, a, text, len, &limits, out, &wrong);
    if (rc == VX11_ENOMEM)
        return error_set(err, rc, "out of memory");
    if (rc != 0)
        return error_set(err, VX11_ECORRUPT, "its manifest is damaged: %s%s%s", wrong.pointer,
                         wrong.pointer[0] ? " " : "", wrong.text);
    rc = manifest_text(out, &again, err);
    if (rc == 0 && (again.len != len || memcmp(again.data, text, len) != 0))
        rc = error_set(err, VX11_ECORRUPT, "its manifest is damaged: it is not what was written");
    buf_free(&again);
    return rc;
}

int manifest_read(const char *file, struct arena *a, struct backup_manifest *out, struct error *err)
{
    char path[4200];
    struct buf text = BUF_INIT;
    int n = snprintf(path, sizeof path, "%s.json", file);
    if (n < 0 || (size_t)n >= sizeof path)
        return error_set(err, VX11_ETOO_LARGE, "the path of %s is too long", file);
    int rc = fs_read_file(path, BACKUP_MANIFEST_MAX, &text, err);
    if (rc == VX11_ENOT_FOUND)
        rc = error_set(err, rc, "it has no manifest (%s)", path);
    else if (rc == 0)
        rc = manifest_parse(text.data ? text.data : "", text.len, a, out, err);
    buf_free(&text);
    return rc;
}

int manifest_write(const char *file, const struct backup_manifest *m, struct error *err)
{
    char path[4200];
    struct buf text = BUF_INIT;
    int n = snprintf(path, sizeof path, "%s.json", file);
    if (n < 0 || (size_t)n >= sizeof path)
        return error_set(err, VX11_ETOO_LARGE, "the path of %s is too long", file);
    int rc = manifest_text(m, &text, err);
    if (rc == 0)
        rc = fs_write_file_atomic(path, text.data, text.len, 0600, err);
    buf_free(&text);
    return rc;
}

void manifest_item(const struct backup_manifest *m, const char *name, struct backup_item *out)
{
    *out = (struct backup_item){
        .name = name,
        .has_kind = true,
        .kind = m->kind,
        .has_made_at = true,
        .made_at = m->made_at,
        .has_bytes = true,
        .bytes = m->bytes,
        .has_database_bytes = true,
        .database_bytes = m->database_bytes,
        .sha256 = m->sha256,
        .has_schema_version = true,
        .schema_version = m->schema_version,
        .has_rows = true,
        .rows = m->rows,
        .compressed = m->compressed,
        .encrypted = m->encrypted,
        .key_id = m->key_id,
        .program = m->program,
        .has_verified_at = true,
        .verified_at = m->verified_at,
        .verified = !m->has_failed_at,
        .problem = m->has_failed_at ? (m->failure ? m->failure : "it was found damaged") : NULL,
    };
}

static int compare_tables(const struct backup_manifest *m, const struct copy_facts *f, const char *name,
                          struct error *err)
{
    if (m->tables_count != f->tables_count)
        return error_set(err, VX11_ECORRUPT, "%s has %zu tables, its manifest says %zu", name,
                         f->tables_count, m->tables_count);
    for (size_t i = 0; i < f->tables_count; i++)
        if (!str_eq(m->tables[i].name, f->tables[i].name) || m->tables[i].rows != f->tables[i].rows)
            return error_set(err, VX11_ECORRUPT,
                             "%s has %lld rows in table %.60s, its manifest says %lld in %.60s", name,
                             (long long)f->tables[i].rows, f->tables[i].name, (long long)m->tables[i].rows,
                             m->tables[i].name);
    return 0;
}

int manifest_compare(const struct backup_manifest *m, const struct copy_facts *f, const char *name,
                     struct error *err)
{
    if (m->schema_version != f->schema_version || m->migrations_count != f->migrations_count)
        return error_set(err, VX11_ECORRUPT, "%s has schema %lld, its manifest says %lld", name,
                         (long long)f->schema_version, (long long)m->schema_version);
    for (size_t i = 0; i < f->migrations_count; i++)
        if (m->migrations[i].version != f->migrations[i].version ||
            !str_eq(m->migrations[i].sha256, f->migrations[i].sha256))
            return error_set(err, VX11_ECORRUPT, "migration %lld in %s is not the one its manifest names",
                             (long long)f->migrations[i].version, name);
    if (m->has_ledger_n != f->has_ledger ||
        (f->has_ledger && (m->ledger_n != f->ledger_n || !str_eq(m->ledger_hash, f->ledger_hash))))
        return error_set(err, VX11_ECORRUPT, "the ledger in %s does not end as its manifest says", name);
    return compare_tables(m, f, name, err);
}
