/* Key: one line of text in a file that only its owner may read. Its id is a hash of it: it says which key a
 * backup needs, and nothing else. */
#include "store/backup/backup_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sodium.h>

#include "base/fs.h"
#include "base/str.h"

#define KEY_PREFIX "vx11-backup-key-1 "
#define KEY_LINE   (sizeof KEY_PREFIX - 1 + 2 * BACKUP_KEY_LEN)

void key_id_of(const unsigned char key[BACKUP_KEY_LEN], unsigned char id[BACKUP_KEY_ID_LEN])
{
    static const unsigned char context[] = "vx11 backup key id";
    unsigned char hash[32];
    crypto_generichash(hash, sizeof hash, key, BACKUP_KEY_LEN, context, sizeof context - 1);
    memcpy(id, hash, BACKUP_KEY_ID_LEN);
}

int key_read(const char *path, unsigned char key[BACKUP_KEY_LEN], struct error *err)
{
    struct buf text = BUF_INIT;
    if (sodium_init() < 0)
        return error_set(err, VX11_EINTERNAL, "libsodium cannot start");
    int rc = fs_check_private(path, err);
    if (rc == 0)
        rc = fs_read_file(path, 4096, &text, err);
    if (rc != 0)
        return error_prefix(err, rc, "the key cannot be used");
    if (text.len > 0 && text.data[text.len - 1] == '\n')
        text.data[--text.len] = '\0';
    if (text.len != KEY_LINE || !str_starts(text.data, KEY_PREFIX) ||
        hex_decode(text.data + sizeof KEY_PREFIX - 1, key, BACKUP_KEY_LEN) != 0)
        rc = error_set(err, VX11_EINVALID,
                       "%s is no key for backups: `vx11 db backup --new-key FILE` makes one", path);
    if (text.data)
        sodium_memzero(text.data, text.len);
    buf_free(&text);
    return rc;
}

int backup_key_new(const char *path, struct error *err)
{
    unsigned char key[BACKUP_KEY_LEN];
    char line[KEY_LINE + 2], dir[4096];
    if (sodium_init() < 0)
        return error_set(err, VX11_EINTERNAL, "libsodium cannot start");
    if (folder_of(path, dir, sizeof dir) != 0)
        return error_set(err, VX11_ETOO_LARGE, "the path %s is too long", path);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return errno == EEXIST
                   ? error_set(err, VX11_EEXISTS, "%s is there already: a key is never overwritten", path)
                   : error_set_errno(err, errno, "%s cannot be made", path);
    randombytes_buf(key, sizeof key);
    memcpy(line, KEY_PREFIX, sizeof KEY_PREFIX);
    hex_encode(key, sizeof key, line + sizeof KEY_PREFIX - 1);
    line[KEY_LINE] = '\n';
    int rc = file_write(fd, line, KEY_LINE + 1, path, err);
    if (rc == 0 && fsync(fd) != 0)
        rc = error_set_errno(err, errno, "%s cannot be synced", path);
    close(fd);
    sodium_memzero(key, sizeof key);
    sodium_memzero(line, sizeof line);
    if (rc != 0)
        unlink(path);
    return rc == 0 ? folder_sync(dir, err) : rc;
}
