/* Taking sources apart. Everything that ends up in a URL or a path is checked here against a small alphabet,
 * so that what follows need not think of "..", "%2f" or line breaks. */
#include "hermes/pull/source.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/str.h"
#include "net/url.h"

static bool chars_are(const char *s, size_t len, const char *extra)
{
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)s[i]) && (s[i] == '\0' || strchr(extra, s[i]) == NULL))
            return false;
    return true;
}

static bool part_valid(const char *s, size_t len)
{
    return len > 0 && len <= 96 && chars_are(s, len, "._-") && s[0] != '.' && s[0] != '-' &&
           !(len >= 4 && memcmp(s + len - 4, ".git", 4) == 0);
}

bool pull_repository_valid(const char *s)
{
    const char *slash = strchr(s, '/');
    return slash && !strstr(s, "..") && part_valid(s, (size_t)(slash - s)) &&
           part_valid(slash + 1, strlen(slash + 1));
}

bool pull_revision_valid(const char *s)
{
    size_t len = strlen(s);
    return len > 0 && len <= 128 && chars_are(s, len, "._/-") && isalnum((unsigned char)s[0]) &&
           strstr(s, "..") == NULL && strstr(s, "//") == NULL && s[len - 1] != '/';
}

bool pull_file_valid(const char *s)
{
    size_t all = strlen(s);
    if (all == 0 || all > 512 || !utf8_valid(s, all))
        return false;
    while (*s) {
        size_t n = strcspn(s, "/");
        if (n == 0 || n > 200 || s[0] == '.')
            return false;
        for (size_t i = 0; i < n; i++)
            if ((unsigned char)s[i] < ' ' || s[i] == 0x7f || s[i] == '\\')
                return false;
        if (s[n] == '/' && s[n + 1] == '\0')
            return false;
        s += n + (s[n] == '/');
    }
    return true;
}

bool pull_file_name(const char *path, char *out, size_t size)
{
    size_t end = strcspn(path, "?#");
    size_t start = end;
    while (start > 0 && path[start - 1] != '/')
        start--;
    size_t len = end - start;
    if (len < 6 || len > 200 || len >= size)
        return false;
    for (size_t i = 0; i < len; i++) {
        char c = path[start + i];
        out[i] = isalnum((unsigned char)c) || strchr("._-+@", c) ? c : '-';
    }
    out[len] = '\0';
    if (out[0] == '.' || out[0] == '-')
        out[0] = '_';
    return strcasecmp(out + len - 5, ".gguf") == 0;
}

static int copy(char *out, size_t size, const char *s, size_t len, const char *what, struct error *err)
{
    if (len >= size)
        return error_set(err, VX11_EINVALID, "the %s is too long", what);
    memcpy(out, s, len);
    out[len] = '\0';
    return 0;
}

/* OWNER/REPO[:WHICH][@REVISION] */
static int hub_parse(const char *text, struct pull_source *out, struct error *err)
{
    size_t repo = strcspn(text, ":@");
    const char *rest = text + repo, *at = strrchr(rest, '@');
    out->kind = PULL_HUB;
    int rc = copy(out->repository, sizeof out->repository, text, repo, "repository's name", err);
    if (rc == 0 && !pull_repository_valid(out->repository))
        return error_set(err, VX11_EINVALID, "a repository of the hub is written hf:OWNER/REPO");
    if (rc == 0 && at)
        rc = copy(out->revision, sizeof out->revision, at + 1, strlen(at + 1), "revision", err);
    if (rc == 0 && at && !pull_revision_valid(out->revision))
        return error_set(err, VX11_EINVALID,
                         "what follows @ is no revision: a branch, a tag or a commit is meant");
    if (rc == 0 && *rest == ':') {
        size_t len = at ? (size_t)(at - rest) - 1 : strlen(rest + 1);
        rc = copy(out->which, sizeof out->which, rest + 1, len, "file's name", err);
        if (rc == 0 && !pull_file_valid(out->which))
            return error_set(err, VX11_EINVALID,
                             "what follows the repository is neither a file nor a quantisation");
    }
    return rc;
}

/* https://HUB/OWNER/REPO[/(resolve|blob|tree)/REVISION[/FILE]] */
static int hub_url_parse(const char *path, struct pull_source *out, struct error *err)
{
    char text[1024];
    int len = snprintf(text, sizeof text, "%s", path);
    if (len >= (int)sizeof text)
        return error_set(err, VX11_EINVALID, "the URL is too long");
    text[strcspn(text, "?#")] = '\0';
    char *owner = text, *slash = strchr(owner, '/'), *repo_end = slash ? strchr(slash + 1, '/') : NULL;
    if (repo_end)
        *repo_end = '\0';
    int rc = hub_parse(owner, out, err);
    if (rc != 0 || !repo_end || repo_end[1] == '\0')
        return rc;
    char *kind = repo_end + 1, *revision = strchr(kind, '/');
    if (!revision)
        return error_set(err, VX11_EINVALID, "that page of the hub is no file");
    *revision++ = '\0';
    char *file = strchr(revision, '/');
    if (strcmp(kind, "resolve") != 0 && strcmp(kind, "blob") != 0 && strcmp(kind, "tree") != 0)
        return error_set(err, VX11_EINVALID, "that page of the hub is no file");
    if (file)
        *file++ = '\0';
    rc = copy(out->revision, sizeof out->revision, revision, strlen(revision), "revision", err);
    if (rc == 0 && file)
        rc = copy(out->which, sizeof out->which, file, strlen(file), "file's name", err);
    if (rc == 0 && (!pull_revision_valid(out->revision) || (file && !pull_file_valid(out->which))))
        return error_set(err, VX11_EINVALID, "that page of the hub is no file");
    return rc;
}

static int hex(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static int file_parse(const char *path, struct pull_source *out, struct error *err)
{
    size_t n = 0;
    out->kind = PULL_FILE;
    if (str_starts(path, "localhost/"))
        path += 9;
    if (path[0] != '/')
        return error_set(err, VX11_EINVALID, "a file is written file:///ABSOLUTE/PATH");
    for (; *path; path++) {
        int c = (unsigned char)*path;
        if (c == '%') {
            int high = hex(path[1]), low = high >= 0 ? hex(path[2]) : -1;
            if (low < 0)
                return error_set(err, VX11_EINVALID, "a %% in the file's path is not followed by two digits");
            c = high * 16 + low;
            path += 2;
        }
        if (c == 0 || n + 1 >= sizeof out->path)
            return error_set(err, VX11_EINVALID, "the file's path is not sound");
        out->path[n++] = (char)c;
    }
    out->path[n] = '\0';
    return 0;
}

static int url_source_parse(const char *text, const char *hub, struct pull_source *out, struct error *err)
{
    struct url u;
    size_t n = strlen(hub);
    char file[256];
    if (strncmp(text, hub, n) == 0 && text[n] == '/')
        return hub_url_parse(text + n + 1, out, err);
    int rc = url_parse(text, &u, err);
    if (rc != 0)
        return rc;
    if (!pull_file_name(u.path, file, sizeof file))
        return error_set(err, VX11_EINVALID, "the URL does not lead to a file that ends in .gguf");
    out->kind = PULL_URL;
    return copy(out->url, sizeof out->url, text, strlen(text), "URL", err);
}

int pull_source_parse(const char *text, const char *hub, struct pull_source *out, struct error *err)
{
    memset(out, 0, sizeof *out);
    for (const unsigned char *c = (const unsigned char *)text; *c; c++)
        if (*c < ' ' || *c == 0x7f)
            return error_set(err, VX11_EINVALID, "a source must not contain control characters");
    if (str_starts(text, "hf:") || str_starts(text, "hf.co/")) {
        text += str_starts(text, "hf:") ? 3 : 6;
        while (*text == '/')
            text++;
        return hub_parse(text, out, err);
    }
    if (str_starts(text, "file://"))
        return file_parse(text + 7, out, err);
    if (strstr(text, "://"))
        return url_source_parse(text, hub, out, err);
    size_t len = strlen(text);
    if (len == 0 || len > 128 || !chars_are(text, len, "._:@-") || !isalnum((unsigned char)text[0]))
        return error_set(err, VX11_EINVALID,
                         "a source is a name of the catalogue, hf:OWNER/REPO, an https:// or a file:// URL");
    out->kind = PULL_NAME;
    return copy(out->name, sizeof out->name, text, len, "name", err);
}

void pull_source_show(const struct pull_source *s, char *out, size_t size)
{
    switch (s->kind) {
    case PULL_NAME:
        (void)snprintf(out, size, "%s", s->name);
        break;
    case PULL_HUB:
        (void)snprintf(out, size, "hf:%s%s%s%s%s", s->repository, s->which[0] ? ":" : "", s->which,
                       s->revision[0] ? "@" : "", s->revision);
        break;
    case PULL_URL:
        /* The mark stays, so that it is known that there was a query. */
        (void)snprintf(out, size, "%.*s%s", (int)strcspn(s->url, "?"), s->url,
                       strchr(s->url, '?') ? "?" : "");
        break;
    case PULL_FILE:
        (void)snprintf(out, size, "file://%s", s->path);
        break;
    }
}
