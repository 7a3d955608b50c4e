/* A file's header turned into a row. A file that cannot be used is no error here: it is a fact, with its
 * reason. */
#include "hermes/facts.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/str.h"
#include "hermes/gguf.h"
#include "hermes/pull/choose.h"

#define PARTS_MOST     1000 /* of a split model */
#define NAME_MAX_MADE  120
#define NAME_MAX_TAKEN 128

/* Path of part `part` of the split model that `path` is a part of, into out. */
static bool part_path(const char *path, unsigned part, unsigned parts, size_t prefix, char *out, size_t size)
{
    int n =
        snprintf(out, size, "%.*s-%05u-of-%05u%s", (int)prefix, path, part, parts, path + strlen(path) - 5);
    return n > 0 && (size_t)n < size;
}

static int stat_one(const char *path, int64_t *size, int64_t *mtime_ns, struct error *err)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return error_set_errno(err, errno, "cannot look at the file");
    if (!S_ISREG(st.st_mode))
        return error_set(err, VX11_EINVALID, "it is not a regular file");
    *size = st.st_size;
    *mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
    return 0;
}

/* A split model is its first part's path; its size is that of all, its time the newest. */
int model_facts_stat(const char *path, int64_t *size, int64_t *mtime_ns, struct error *err)
{
    unsigned part, parts;
    size_t prefix;
    char name[PATH_MAX];
    int rc = stat_one(path, size, mtime_ns, err);
    if (rc != 0 || !split_name(path, &part, &parts, &prefix) || part != 1)
        return rc;
    for (unsigned i = 2; i <= parts && i <= PARTS_MOST; i++) {
        int64_t more = 0, when = 0;
        struct error ignored = {0};
        if (!part_path(path, i, parts, prefix, name, sizeof name) ||
            stat_one(name, &more, &when, &ignored) != 0)
            continue; /* reading it will say so */
        *size += more;
        if (when > *mtime_ns)
            *mtime_ns = when;
    }
    return 0;
}

/* Adds the other parts to what the first one's header says. The loader finds them by their names, as we do.
 */
static int parts_read(const char *path, struct gguf_info *info, struct error *err)
{
    unsigned part, parts;
    size_t prefix;
    char name[PATH_MAX];
    if (!split_name(path, &part, &parts, &prefix) || parts != (uint64_t)info->split_count ||
        parts > PARTS_MOST)
        return 0; /* gguf_check_model refuses it */
    if (part != 1)
        return error_set(err, VX11_EUNSUPPORTED,
                         "it is part %u of %u of a split model: its first part stands for it", part, parts);
    for (unsigned i = 2; i <= parts; i++) {
        struct gguf_info more;
        struct arena *scratch = arena_create(GGUF_ARENA_LIMIT);
        int rc = !scratch ? VX11_ENOMEM
                 : part_path(path, i, parts, prefix, name, sizeof name)
                     ? gguf_read_file(name, scratch, &more, err)
                     : error_set(err, VX11_ETOO_LARGE, "its path is too long");
        if (rc == 0) {
            info->tensors += more.tensors;
            info->parameters += more.parameters;
            if (!info->quantisation)
                info->quantisation = more.quantisation;
        }
        arena_destroy(scratch);
        if (rc == VX11_ENOT_FOUND)
            return error_set(err, VX11_EUNSUPPORTED, "part %u of %u of the split model is missing", i, parts);
        if (rc != 0)
            return rc == VX11_ENOMEM ? rc : error_prefix(err, rc, "part %u of %u", i, parts);
    }
    info->split_count = -1;
    return 0;
}

static void facts_of_header(const struct gguf_info *info, struct arena *a, struct model_facts *f)
{
    uint64_t kv = gguf_kv_bytes(info, 1);
    f->architecture = arena_strdup(a, info->architecture);
    f->title = arena_strdup(a, info->name);
    f->licence = arena_strdup(a, info->licence);
    f->quantisation = info->quantisation;
    f->parameters = info->tensors > 0 ? (int64_t)info->parameters : -1;
    f->context_length = info->context_length;
    f->embedding_length = info->embedding_length;
    f->layers = info->layers;
    f->vocabulary = info->vocabulary;
    f->kv_bytes_per_token = kv > 0 && kv <= INT64_MAX ? (int64_t)kv : -1;
    f->has_chat_template = info->has_chat_template;
}

int model_facts_read(const char *path, struct arena *a, struct model_facts *out)
{
    struct error err = {0};
    struct gguf_info info;
    *out = (struct model_facts){
        .path = path,
        .status = HERMES_MODEL_STATUS_AVAILABLE,
        .size_bytes = -1,
        .mtime_ns = -1,
        .parameters = -1,
        .context_length = -1,
        .embedding_length = -1,
        .layers = -1,
        .vocabulary = -1,
        .kv_bytes_per_token = -1,
    };
    struct arena *scratch = arena_create(GGUF_ARENA_LIMIT);
    if (!scratch)
        return VX11_ENOMEM;
    int rc = model_facts_stat(path, &out->size_bytes, &out->mtime_ns, &err);
    if (rc == 0)
        rc = gguf_read_file(path, scratch, &info, &err);
    if (rc == 0 && info.split_count > 1)
        rc = parts_read(path, &info, &err);
    if (rc == 0) {
        facts_of_header(&info, a, out);
        rc = gguf_check_model(&info, &err);
    }
    if (rc != 0) {
        out->status = rc == VX11_ENOT_FOUND ? HERMES_MODEL_STATUS_MISSING : HERMES_MODEL_STATUS_INVALID;
        out->reason = arena_strdup(a, err.text);
    }
    arena_destroy(scratch);
    return rc == VX11_ENOMEM || (rc != 0 && !out->reason) ? VX11_ENOMEM : 0;
}

size_t model_capabilities(const char *architecture, bool has_chat_template, int *out)
{
    /* Encoders attend both ways: they cannot write. The engine has the same list (ability.c). */
    static const char *const encoders[] = {
        "bert",     "nomic-bert", "nomic-bert-moe", "jina-bert-v2",    "jina-bert-v3",
        "neo-bert", "eurobert",   "modern-bert",    "gemma-embedding", "t5encoder"};
    size_t n = 0;
    for (size_t i = 0; i < COUNT_OF(encoders); i++) {
        if (str_eq(architecture, encoders[i])) {
            out[n++] = OPENAI_CAPABILITY_EMBEDDINGS;
            return n;
        }
    }
    if (has_chat_template)
        out[n++] = OPENAI_CAPABILITY_CHAT;
    out[n++] = OPENAI_CAPABILITY_COMPLETION;
    out[n++] = OPENAI_CAPABILITY_EMBEDDINGS;
    return n;
}

static bool name_char(char c)
{
    return isalnum((unsigned char)c) || (c != '\0' && strchr("._:@-", c) != NULL);
}

bool model_name_valid(const char *name)
{
    size_t len = strlen(name);
    if (len == 0 || len > NAME_MAX_TAKEN || !isalnum((unsigned char)name[0]))
        return false;
    for (size_t i = 0; i < len; i++) {
        if (!name_char(name[i]))
            return false;
    }
    return true;
}

const char *model_name_from_path(const char *path, struct arena *a)
{
    const char *base = strrchr(path, '/');
    base = base ? base + 1 : path;
    size_t len = strlen(base);
    if (len >= 5 && strcasecmp(base + len - 5, ".gguf") == 0)
        len -= 5;
    while (len > 0 && !isalnum((unsigned char)*base)) {
        base++;
        len--;
    }
    if (len == 0)
        return arena_strdup(a, "model");
    char *name = arena_strndup(a, base, len < NAME_MAX_MADE ? len : NAME_MAX_MADE);
    for (char *c = name; c && *c; c++) {
        if (!name_char(*c))
            *c = '-';
    }
    return name;
}
