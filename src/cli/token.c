/* Token: the tokens in the database, and the owner's in its file. Works on the store directly, so it does not
 * matter whether VX11 runs; modules that run see the change within a second.
 *
 *   create ─> current ──rotate──> current + next (both work) ──promote──> next is current, the old one stops
 *                 └──revoke──> stops
 *
 * The owner's secret is in $VX11_HOME/token. Rotation puts the next one there, so that programs that read the
 * file move over while the old one still works. */
#include "cli/cli_internal.h"
#include "cli/token.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "api/cli.h"
#include "module/module.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/str.h"
#include "net/auth.h"
#include "store/tokens.h"

static const char owner[] = "owner";

int tokens_code_of(int rc)
{
    return rc == VX11_EPERMISSION ? CLI_REFUSED : CLI_FAILED;
}

int tokens_open(struct tokens *t, bool with_store)
{
    char home[4096], path[4200], config_file[4096];
    struct error err = {0};
    struct config *config = NULL;
    memset(t, 0, sizeof *t);
    int rc = fs_home(home, sizeof home, &err);
    if (rc == 0 && (rc = fs_path(t->file, sizeof t->file, home, "token")) != 0)
        error_set(&err, rc, "the path of the home is too long");
    if (rc != 0 || !with_store)
        return rc == 0 ? 0 : cli_fail(CLI_CONFIG, "%s", err.text);
    if (config_path(config_file, sizeof config_file, &err) != 0 ||
        config_load(config_file, &config, &err) != 0)
        return cli_fail(CLI_CONFIG, "%s", err.text);
    const struct config_store *c = config->values->store;
    rc = module_store_path(config, home, path, sizeof path);
    struct store_options options = {.path = path, .busy_timeout_ms = c->busy_timeout_ms, .migrate = true};
    rc = rc == 0 ? fs_mkdirs(home, 0700, &err) : error_set(&err, rc, "the path of the database is too long");
    if (rc == 0)
        rc = store_open(&options, &t->store, &err);
    snprintf(t->currency, sizeof t->currency, "%s", config->values->switch_->currency);
    config_free(config);
    if (rc != 0)
        return cli_fail(tokens_code_of(rc), "%s", err.text);
    t->arena = arena_create(0);
    return t->arena ? 0 : cli_fail(CLI_FAILED, "out of memory");
}

void tokens_close(struct tokens *t)
{
    if (t->store)
        store_close(t->store);
    arena_destroy(t->arena);
}

static bool name_fits(const char *name)
{
    size_t n = strlen(name);
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)name[i]) && !strchr("._-", name[i]))
            return false;
    return n >= 1 && n <= 63;
}

/* ---- show ---- */

static int token_show(struct tokens *t)
{
    char token[AUTH_TOKEN_LEN + 1];
    struct error err = {0};
    int rc = auth_token_file_read(t->file, token, &err);
    if (rc == VX11_ENOT_FOUND)
        return cli_fail(CLI_FAILED, "there is no token yet: `vx11 up` makes it, in %s", t->file);
    if (rc != 0)
        return cli_fail(tokens_code_of(rc), "%s", err.text);
    puts(token);
    memset(token, 0, sizeof token);
    return CLI_OK;
}

/* ---- list ---- */

struct listing {
    struct arena *arena;
    struct cli_token *list;
    size_t count, cap;
};

static int scopes_split(struct arena *a, const char *text, struct cli_token *out)
{
    char *words = arena_strdup(a, text), *rest = NULL;
    out->scopes = arena_array(a, strlen(text) + 1, sizeof *out->scopes);
    if (!words || !out->scopes)
        return VX11_ENOMEM;
    for (char *word = strtok_r(words, ",", &rest); word; word = strtok_r(NULL, ",", &rest))
        out->scopes[out->scopes_count++] = word;
    return 0;
}

static int on_token(void *ctx, const struct token_row *row)
{
    struct listing *l = ctx;
    if (l->count == l->cap) {
        size_t cap = l->cap ? 2 * l->cap : 16;
        struct cli_token *list = arena_realloc(l->arena, l->list, l->cap * sizeof *list, cap * sizeof *list);
        if (!list)
            return VX11_ENOMEM;
        l->list = list;
        l->cap = cap;
    }
    struct cli_token *out = &l->list[l->count++];
    memset(out, 0, sizeof *out);
    out->id = arena_strdup(l->arena, row->id);
    out->name = arena_strdup(l->arena, row->name);
    out->slot = row->next ? CLI_TOKEN_SLOT_NEXT : CLI_TOKEN_SLOT_CURRENT;
    out->created_at = row->created_at;
    out->has_expires_at = row->expires_at > 0;
    out->expires_at = row->expires_at;
    out->has_last_used_at = row->last_used_at > 0;
    out->last_used_at = row->last_used_at;
    return out->id && out->name ? scopes_split(l->arena, row->scopes, out) : VX11_ENOMEM;
}

static const char *when(bool has, int64_t at, const char *never, char out[32])
{
    return has ? clock_format(at, out) : never;
}

static void token_print(const struct cli_token *t)
{
    char created[32], expires[32], used[32], scopes[128] = "";
    for (size_t i = 0, n = 0; i < t->scopes_count && n < sizeof scopes; i++)
        n += (size_t)snprintf(scopes + n, sizeof scopes - n, "%s%s", i ? "," : "", t->scopes[i]);
    printf("%-16s %-26s %-8s %-28s %-19.19s  %-19.19s  %-19.19s\n", t->name, t->id,
           cli_token_slot_names[t->slot], scopes, clock_format(t->created_at, created),
           when(t->has_expires_at, t->expires_at, "never", expires),
           when(t->has_last_used_at, t->last_used_at, "never", used));
}

static int token_print_list(struct tokens *t, bool json)
{
    struct listing l = {.arena = t->arena};
    struct error err = {0};
    int rc = token_list(t->store, false, clock_wall_ms(), on_token, &l, &err);
    if (rc != 0)
        return cli_fail(CLI_FAILED, "%s", err.text[0] ? err.text : error_describe(rc));
    struct cli_token_list list = {.tokens = l.list, .tokens_count = l.count};
    if (json)
        return cli_print_json(&cli_token_list_message, &list);
    if (l.count == 0) {
        puts("There are no tokens yet: `vx11 up` makes the owner's.");
        return CLI_OK;
    }
    printf("%-16s %-26s %-8s %-28s %-19s  %-19s  %s\n", "NAME", "ID", "SLOT", "SCOPES", "CREATED (UTC)",
           "EXPIRES", "LAST USED");
    for (size_t i = 0; i < l.count; i++)
        token_print(&l.list[i]);
    return CLI_OK;
}

/* ---- create ---- */

/* "read, chat" -> "read,chat", or an exit code. */
static int scopes_check(const char *text, char *out, size_t size)
{
    struct error err = {0};
    unsigned scopes = 0;
    if (auth_scopes_parse(text, &scopes, &err) != 0)
        return cli_usage("token", "%s", err.text);
    if (scopes == 0)
        return cli_usage("token", "--scope names at least one of read, chat, act, admin, publish");
    auth_scopes_format(scopes, out, size);
    return 0;
}

static int token_create_new(struct tokens *t, const char *name, const char *scopes, int64_t expires_at,
                            const struct token_limits *limits)
{
    char token[AUTH_TOKEN_LEN + 1], id[ULID_LEN + 1];
    unsigned char hash[AUTH_HASH_LEN];
    struct error err = {0};
    auth_token_make(token);
    auth_hash(token, hash);
    int rc = token_create_limited(t->store, "cli", name, scopes, hash, expires_at, limits, clock_wall_ms(),
                                  id, &err);
    if (rc == VX11_EEXISTS)
        return cli_fail(CLI_FAILED, "there is a token %s already: rotate or revoke it, or take another name",
                        name);
    if (rc != 0)
        return cli_fail(tokens_code_of(rc), "%s", err.text[0] ? err.text : error_describe(rc));
    puts(token);
    fflush(stdout);
    fprintf(stderr, "Token %s (%s) may: %s. It is shown this once; only its hash is kept.\n", name, id,
            scopes);
    memset(token, 0, sizeof token);
    return CLI_OK;
}

static int command_create(int argc, char **argv)
{
    const char *scope = "read,chat", *name = NULL, *expires = NULL;
    struct token_wishes wishes = {.given = 0};
    struct token_limits limits = {.models = ""};
    char scopes[128];
    int64_t lifetime = 0;
    for (int i = 2; i < argc; i++) {
        int is = cli_option("token", argc, argv, &i, "--scope", &scope);
        if (is == 0)
            is = cli_option("token", argc, argv, &i, "--name", &name);
        if (is == 0)
            is = cli_option("token", argc, argv, &i, "--expires", &expires);
        if (is == 0)
            is = token_wish_option(argc, argv, &i, &wishes);
        if (is == 0 && !name && argv[i][0] != '-') {
            name = argv[i];
            is = 1;
        }
        if (is <= 0)
            return is == 0 ? cli_usage("token", "unknown argument %s", argv[i]) : CLI_USAGE;
    }
    if (!name)
        return cli_usage("token", "create wants the new token's name");
    if (!name_fits(name))
        return cli_usage("token", "a name has 1 to 63 letters, digits, dots, dashes or underscores");
    if (strcmp(name, owner) == 0)
        return cli_usage("token", "the owner's token is made by `vx11 up`; `vx11 token rotate` replaces it");
    if (expires && (str_to_duration_ms(expires, &lifetime) != 0 || lifetime <= 0))
        return cli_usage("token", "--expires is a time from now such as 12h or 30d, not %s", expires);
    token_wishes_apply(&wishes, &limits);
    int code = scopes_check(scope, scopes, sizeof scopes);
    struct tokens t = {0};
    if (code == 0)
        code = tokens_open(&t, true);
    if (code == 0)
        code = token_create_new(&t, name, scopes, lifetime ? clock_wall_ms() + lifetime : 0,
                                wishes.given ? &limits : NULL);
    tokens_close(&t);
    return code;
}

/* ---- rotate, promote, revoke ---- */

static int token_make_next(struct tokens *t, const char *name)
{
    char token[AUTH_TOKEN_LEN + 1], id[ULID_LEN + 1];
    unsigned char hash[AUTH_HASH_LEN];
    struct error err = {0};
    bool is_owner = strcmp(name, owner) == 0;
    auth_token_make(token);
    auth_hash(token, hash);
    int rc = token_rotate(t->store, "cli", name, hash, clock_wall_ms(), id, &err);
    if (rc == VX11_ENOT_FOUND)
        return is_owner ? cli_fail(CLI_FAILED, "there is no token yet: `vx11 up` makes it")
                        : cli_fail(CLI_FAILED, "there is no valid token %s", name);
    /* Only now: a file that holds a token which the database does not know would lock the owner out. */
    if (rc == 0 && is_owner)
        rc = auth_token_file_write(t->file, token, &err);
    if (rc != 0)
        return cli_fail(tokens_code_of(rc), "%s", err.text[0] ? err.text : error_describe(rc));
    if (is_owner) {
        printf("%s holds the next token now. Both work until `vx11 token promote`.\n", t->file);
    } else {
        puts(token);
        fflush(stdout);
        fprintf(stderr,
                "This is the next token of %s, shown this once. Both work until `vx11 token promote %s`.\n",
                name, name);
    }
    memset(token, 0, sizeof token);
    return CLI_OK;
}

/* The file must hold what is about to become the only token of the owner. */
static int owner_file_holds_next(struct tokens *t)
{
    char token[AUTH_TOKEN_LEN + 1];
    unsigned char hash[AUTH_HASH_LEN];
    struct token_row next;
    struct error err = {0};
    if (token_find(t->store, owner, true, &next, &err) != 0)
        return cli_fail(CLI_FAILED, "there is no next token: `vx11 token rotate` makes one");
    int rc = auth_token_file_read(t->file, token, &err);
    if (rc != 0)
        return cli_fail(tokens_code_of(rc), "%s", err.text);
    auth_hash(token, hash);
    memset(token, 0, sizeof token);
    if (memcmp(hash, next.hash, sizeof hash) != 0)
        return cli_fail(
            CLI_FAILED,
            "%s does not hold the next token, which would then be lost: run `vx11 token rotate` again",
            t->file);
    return 0;
}

static int token_make_current(struct tokens *t, const char *name)
{
    struct error err = {0};
    int code = strcmp(name, owner) == 0 ? owner_file_holds_next(t) : 0;
    if (code != 0)
        return code;
    int rc = token_promote(t->store, "cli", name, clock_wall_ms(), &err);
    if (rc != 0)
        return cli_fail(tokens_code_of(rc), "%s", err.text[0] ? err.text : error_describe(rc));
    printf("The next token of %s is the current one; the one before has stopped working.\n", name);
    return CLI_OK;
}

static int token_end(struct tokens *t, const char *id_or_name)
{
    struct token_row row;
    struct error err = {0};
    /* `vx11 up` would register the file's token again: revoking it would only seem to work. */
    if (token_find(t->store, id_or_name, false, &row, NULL) == 0 && strcmp(row.name, owner) == 0)
        return cli_fail(
            CLI_FAILED,
            "the owner's token is not revoked but replaced: `vx11 token rotate`, then `vx11 token promote`");
    int rc = token_revoke(t->store, "cli", id_or_name, clock_wall_ms(), &err);
    if (rc == VX11_ENOT_FOUND)
        return cli_fail(CLI_FAILED, "there is no valid token %s", id_or_name);
    if (rc != 0)
        return cli_fail(tokens_code_of(rc), "%s", err.text[0] ? err.text : error_describe(rc));
    printf("%s has stopped working.\n", id_or_name);
    return CLI_OK;
}

/* ---- the command ---- */

static int on_named(const char *what, const char *name)
{
    struct tokens t;
    int code = tokens_open(&t, true);
    if (code == 0 && strcmp(what, "rotate") == 0)
        code = token_make_next(&t, name);
    else if (code == 0 && strcmp(what, "promote") == 0)
        code = token_make_current(&t, name);
    else if (code == 0)
        code = token_end(&t, name);
    tokens_close(&t);
    return code;
}

int command_token(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    bool json = argc == 3 && strcmp(argv[2], "--json") == 0;
    struct tokens t;
    int code;
    if (strcmp(what, "create") == 0)
        return command_create(argc, argv);
    if (strcmp(what, "limits") == 0)
        return token_command_limits(argc, argv);
    if ((strcmp(what, "rotate") == 0 || strcmp(what, "promote") == 0) && argc <= 3)
        return on_named(what, argc == 3 ? argv[2] : owner);
    if (strcmp(what, "revoke") == 0 && argc == 3)
        return on_named(what, argv[2]);
    if (strcmp(what, "show") == 0 && argc == 2) {
        code = tokens_open(&t, false);
        if (code == 0)
            code = token_show(&t);
    } else if (strcmp(what, "list") == 0 && (argc == 2 || json)) {
        code = tokens_open(&t, true);
        if (code == 0)
            code = token_print_list(&t, json);
    } else if (what[0]) {
        return cli_usage("token", "%s: wrong or missing arguments", what);
    } else {
        return cli_usage("token", "show, list, create, limits, rotate, promote or revoke?");
    }
    tokens_close(&t);
    return code;
}
