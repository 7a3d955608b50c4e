/* First: what a first start makes, and the one-time links to the page.
 *
 * The owner's token lives in $VX11_HOME/token (0600) and, hashed, in the database under the name "owner" with
 * every scope. Nothing has a default: a home without a token file gets a new random one. */
#include "supervisor/supervisor_internal.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "store/tokens.h"

static const char owner_name[] = "owner";
static const char owner_scopes[] = "read,chat,act,admin,publish";

static int token_register(struct store *store, const char *token, struct error *err)
{
    unsigned char hash[AUTH_HASH_LEN];
    struct token_row row;
    char id[ULID_LEN + 1];
    auth_hash(token, hash);
    int rc = token_find(store, owner_name, false, &row, NULL);
    if (rc == 0 && memcmp(row.hash, hash, sizeof hash) == 0)
        return 0;
    if (rc == 0 && token_find(store, owner_name, true, &row, NULL) == 0 &&
        memcmp(row.hash, hash, sizeof hash) == 0)
        return 0; /* in the middle of a rotation: the file already holds the next one */
    if (rc == 0) {
        log_warn("first", "the token file holds another token than the database: the file's is taken, the "
                          "old one is revoked");
        rc = token_revoke(store, "supervisor", owner_name, clock_wall_ms(), err);
        if (rc != 0)
            return rc;
    } else if (rc != VX11_ENOT_FOUND) {
        return error_set(err, rc, "the tokens cannot be read");
    }
    return token_create(store, "supervisor", owner_name, owner_scopes, hash, 0, clock_wall_ms(), id, err);
}

int first_token(struct module *m, struct error *err)
{
    char path[4096], token[AUTH_TOKEN_LEN + 1];
    int rc = fs_path(path, sizeof path, module_home(m), "token");
    if (rc != 0)
        return error_set(err, rc, "the path of the home is too long");
    rc = auth_token_file_read(path, token, err);
    if (rc == VX11_ENOT_FOUND) {
        auth_token_make(token);
        rc = auth_token_file_write(path, token, err);
        if (rc == 0)
            log_info("first", "made the owner's token", LOG_S("file", path));
    }
    if (rc == 0)
        rc = token_register(module_store(m), token, err);
    memset(token, 0, sizeof token);
    return rc;
}

int first_login_link(struct supervisor *s, const char *by, char *url, size_t size, int64_t *expires_at,
                     struct error *err)
{
    char code[AUTH_TOKEN_LEN + 1];
    unsigned char hash[AUTH_HASH_LEN];
    int64_t now = clock_wall_ms();
    *expires_at = now + module_config(s->m)->values->security->login_link_ttl_ms;
    auth_token_make(code);
    auth_hash(code, hash);
    int rc = login_code_create(module_store(s->m), by, hash, *expires_at, now, err);
    if (rc != 0)
        return rc;
    int n = snprintf(url, size, "http://%s:%d/login?code=%s", s->host, s->page_port, code);
    return n > 0 && (size_t)n < size ? 0 : error_set(err, VX11_ETOO_LARGE, "the link does not fit");
}
