/* Anchor: the chain's last row, noted in a file beside the database. A chain alone does not tell that its
 * last rows were cut off; who cuts them must also change this file.
 *
 *   NAME.ledger: "VX11 ledger 1 NUMBER HASH SUM\n", always the same length
 *
 * It is written in place, under a lock, after the row is committed: a process that dies in between leaves an
 * anchor that is behind, which is no fault. The sum (first digits of the line's own hash) tells a line that
 * was half written from one that knows something. Its lock is the file's own, so nothing of SQLite's is
 * touched. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#include "base/log.h"
#include "base/str.h"
#include "store/ledger/ledger_internal.h"

#define ANCHOR_WORDS "VX11 ledger 1"
#define SUM_DIGITS   8
#define ANCHOR_LEN   (sizeof ANCHOR_WORDS + 19 + 1 + (size_t)2 * LEDGER_HASH_LEN + 1 + SUM_DIGITS + 1)

static int anchor_path(const char *path, char out[PATH_MAX], struct error *err)
{
    int n = snprintf(out, PATH_MAX, "%s.ledger", path);
    return n > 0 && n < PATH_MAX ? 0 : error_set(err, VX11_ETOO_LARGE, "the path %.100s… is too long", path);
}

static void anchor_format(const struct ledger_head *head, char out[ANCHOR_LEN + 1])
{
    char hex[2 * LEDGER_HASH_LEN + 1], sum_hex[2 * LEDGER_HASH_LEN + 1];
    unsigned char sum[LEDGER_HASH_LEN];
    hex_encode(head->hash, LEDGER_HASH_LEN, hex);
    int len = snprintf(out, ANCHOR_LEN + 1, "%s %019lld %s ", ANCHOR_WORDS, (long long)head->n, hex);
    crypto_hash_sha256(sum, (const unsigned char *)out, (unsigned long long)len);
    hex_encode(sum, sizeof sum, sum_hex);
    snprintf(out + len, ANCHOR_LEN + 1 - (size_t)len, "%.*s\n", SUM_DIGITS, sum_hex);
}

/* It is what it says when it can be written again from what was read. */
static int anchor_parse(const char *text, struct ledger_head *out)
{
    char again[ANCHOR_LEN + 1], number[20];
    memcpy(number, text + sizeof ANCHOR_WORDS, 19);
    number[19] = '\0';
    const char *digits = number;
    while (*digits == '0' && digits[1])
        digits++;
    char hex[2 * LEDGER_HASH_LEN + 1];
    memcpy(hex, text + sizeof ANCHOR_WORDS + 20, sizeof hex - 1);
    hex[sizeof hex - 1] = '\0';
    if (str_to_i64(digits, 0, INT64_MAX, &out->n) != 0 || hex_decode(hex, out->hash, LEDGER_HASH_LEN) != 0)
        return VX11_ECORRUPT;
    anchor_format(out, again);
    return memcmp(text, again, ANCHOR_LEN) == 0 ? 0 : VX11_ECORRUPT;
}

static int anchor_get(int fd, const char *name, struct ledger_head *out, struct error *err)
{
    char text[ANCHOR_LEN + 2] = "";
    ssize_t n;
    *out = (struct ledger_head){0};
    do
        n = pread(fd, text, ANCHOR_LEN + 1, 0);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return error_set_errno(err, errno, "cannot read %s", name);
    if (n == 0)
        return error_set(err, VX11_ENOT_FOUND, "%s is empty", name);
    if (n != (ssize_t)ANCHOR_LEN || anchor_parse(text, out) != 0) {
        *out = (struct ledger_head){0};
        return error_set(err, VX11_ECORRUPT, "%s is damaged", name);
    }
    return 0;
}

static int anchor_put(int fd, const char *name, const struct ledger_head *head, struct error *err)
{
    char text[ANCHOR_LEN + 1];
    ssize_t n;
    anchor_format(head, text);
    do
        n = pwrite(fd, text, ANCHOR_LEN, 0);
    while (n < 0 && errno == EINTR);
    if (n != (ssize_t)ANCHOR_LEN)
        return error_set_errno(err, n < 0 ? errno : ENOSPC, "cannot write %s", name);
    if (ftruncate(fd, (off_t)ANCHOR_LEN) != 0 || fdatasync(fd) != 0)
        return error_set_errno(err, errno, "cannot write %s", name);
    return 0;
}

/* Opens it, made when absent and wanted, and waits for its lock. The caller closes. */
static int anchor_open(const char *path, bool write, char name[PATH_MAX], struct error *err)
{
    int rc = anchor_path(path, name, err);
    if (rc != 0)
        return rc;
    int fd = open(name, (write ? O_RDWR | O_CREAT : O_RDONLY) | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return error_set_errno(err, errno, "cannot open %s", name);
    struct stat st;
    do
        rc = flock(fd, write ? LOCK_EX : LOCK_SH);
    while (rc != 0 && errno == EINTR);
    if (rc == 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
        return fd;
    rc = error_set_errno(err, rc != 0 ? errno : EINVAL, "cannot use %s", name);
    close(fd);
    return rc;
}

int ledger_anchor_read(const char *path, struct ledger_head *out, struct error *err)
{
    char name[PATH_MAX];
    *out = (struct ledger_head){0};
    int fd = anchor_open(path, false, name, err);
    if (fd < 0)
        return fd;
    int rc = anchor_get(fd, name, out, err);
    close(fd);
    return rc;
}

int ledger_anchor_write(const char *path, const struct ledger_head *head, struct error *err)
{
    char name[PATH_MAX];
    int fd = anchor_open(path, true, name, err);
    if (fd < 0)
        return fd;
    int rc = anchor_put(fd, name, head, err);
    close(fd);
    return rc;
}

struct known {
    const struct ledger_head *head;
    bool same;
};

static int take_known(void *ctx, const struct store_row *row)
{
    struct known *k = ctx;
    size_t len;
    const void *hash = row_blob(row, 0, &len);
    k->same = hash && len == LEDGER_HASH_LEN && memcmp(hash, k->head->hash, len) == 0;
    return 0;
}

/* An anchor that knows rows which are not in this chain is evidence: it stays until somebody looks. */
static int advance(struct store *s, int fd, const char *name, const struct ledger_head *tail,
                   struct error *err)
{
    struct ledger_head old;
    int rc = anchor_get(fd, name, &old, err);
    if (rc == VX11_ENOT_FOUND || rc == VX11_ECORRUPT) /* ledger_append has noted it in the chain */
        return anchor_put(fd, name, tail, err);
    if (rc != 0)
        return rc;
    if (old.n > 0) {
        struct known k = {&old, false};
        rc = store_query(s, "SELECT hash FROM ledger WHERE n = ?1", (struct store_value[]){STORE_I(old.n)}, 1,
                         take_known, &k, err);
        if (rc == 0 && !k.same)
            rc = error_set(err, VX11_ECORRUPT,
                           "%s knows row %lld, which is not in the ledger: rows of it were cut off or made "
                           "anew (vx11 ledger verify)",
                           name, (long long)old.n);
    }
    if (rc == 0 && old.n < tail->n)
        rc = anchor_put(fd, name, tail, err);
    return rc;
}

void ledger_anchor_advance(struct store *s, const struct ledger_tail *tail)
{
    struct error err = {0};
    struct ledger_head head = {.n = tail->n};
    char name[PATH_MAX];
    memcpy(head.hash, tail->hash, sizeof head.hash);
    int fd = anchor_open(s->path, true, name, &err);
    int rc = fd < 0 ? fd : advance(s, fd, name, &head, &err);
    if (fd >= 0)
        close(fd);
    if (rc != 0)
        log_error("store", "the ledger's anchor stays behind", LOG_I("row", tail->n),
                  LOG_S("reason", err.text));
}
