/* Auth file: the token of `vx11 up` on disk. It is the key to everything, so a file that anyone else could
 * have read is not used, and the refusal says which command makes it private again. */
#include <ctype.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "net/auth.h"

static bool token_sound(const char *s)
{
    if (strlen(s) != AUTH_TOKEN_LEN || strncmp(s, "vx11_", 5) != 0)
        return false;
    for (const char *c = s + 5; *c; c++) {
        if (!isalnum((unsigned char)*c) && *c != '-' && *c != '_')
            return false;
    }
    return true;
}

int auth_token_file_read(const char *path, char out[AUTH_TOKEN_LEN + 1], struct error *err)
{
    struct stat st;
    struct buf text = BUF_INIT;
    int rc = fs_check_private(path, err);
    if (rc == VX11_EPERMISSION && lstat(path, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 077) != 0)
        return error_set(err, rc, "%s can be read or written by others; run: chmod 600 %s", path, path);
    if (rc != 0)
        return rc;
    rc = fs_read_file(path, 256, &text, err);
    if (rc != 0)
        goto out;
    while (text.len > 0 && isspace((unsigned char)text.data[text.len - 1]))
        text.data[--text.len] = '\0';
    if (text.len == 0 || strlen(text.data) != text.len || !token_sound(text.data)) {
        rc = error_set(err, VX11_ECORRUPT, "%s does not hold a token (vx11_ and 43 characters)", path);
        goto out;
    }
    memcpy(out, text.data, AUTH_TOKEN_LEN + 1);
out:
    if (text.data)
        memset(text.data, 0, text.len);
    buf_free(&text);
    return rc;
}

int auth_token_file_write(const char *path, const char *token, struct error *err)
{
    char line[AUTH_TOKEN_LEN + 2];
    if (!token_sound(token))
        return error_set(err, VX11_EINVALID, "not a token: vx11_ and 43 characters are expected");
    memcpy(line, token, AUTH_TOKEN_LEN);
    line[AUTH_TOKEN_LEN] = '\n';
    return fs_write_file_atomic(path, line, AUTH_TOKEN_LEN + 1, 0600, err);
}
