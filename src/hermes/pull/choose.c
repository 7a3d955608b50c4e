/* Files are told apart by their names, as every tool of this trade does: repositories have no other index. */
#include "hermes/pull/choose.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"

static const char *const preferred[] = {"Q4_K_M", "Q4_K_S", "Q4_0", "IQ4_XS", "IQ4_NL", "Q5_K_M",
                                        "Q5_K_S", "Q5_0",   "Q6_K", "Q8_0",   "Q3_K_M", "Q3_K_L",
                                        "Q3_K_S", "Q2_K",   "BF16", "F16",    "F32"};
/* Further tags, so that they are known when they are asked for. */
static const char *const others[] = {
    "Q4_1",   "Q5_1",     "Q4_K_L",   "Q5_K_L",   "Q6_K_L", "Q8_K",    "Q3_K_XL",   "Q2_K_L",
    "Q2_K_S", "IQ3_XXS",  "IQ3_XS",   "IQ3_S",    "IQ3_M",  "IQ2_XXS", "IQ2_XS",    "IQ2_S",
    "IQ2_M",  "IQ1_S",    "IQ1_M",    "TQ1_0",    "TQ2_0",  "MXFP4",   "MXFP4_MOE", "FP16",
    "FP32",   "Q4_0_4_4", "Q4_0_4_8", "Q4_0_8_8", "Q4_K",   "Q5_K",    "Q3_K"};

bool split_name(const char *path, unsigned *part, unsigned *parts, size_t *prefix_len)
{
    size_t len = strlen(path);
    static const char shape[] = "-ddddd-of-ddddd.gguf";
    const size_t tail = sizeof shape - 1;
    if (len <= tail)
        return false;
    const char *s = path + len - tail;
    for (size_t i = 0; i < tail; i++) {
        bool digit = shape[i] == 'd';
        if (digit ? !isdigit((unsigned char)s[i]) : tolower((unsigned char)s[i]) != shape[i])
            return false;
    }
    const unsigned number = (unsigned)strtoul(s + 1, NULL, 10), all = (unsigned)strtoul(s + 10, NULL, 10);
    if (number < 1 || number > all)
        return false;
    *part = number;
    *parts = all;
    *prefix_len = len - tail;
    return true;
}

static bool word_at(const char *name, size_t at, const char *word)
{
    size_t n = strlen(word);
    if (strncasecmp(name + at, word, n) != 0)
        return false;
    char before = at > 0 ? name[at - 1] : '.', after = name[at + n];
    return (before == '.' || before == '-' || before == '_' || before == '/') &&
           (after == '.' || after == '-' || after == '\0' || after == '/');
}

static bool name_has(const char *name, const char *word)
{
    for (size_t at = 0; name[at]; at++)
        if (word_at(name, at, word))
            return true;
    return false;
}

static const char *base_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* Longest tag wins: Q4_K_M before Q4_K. */
static void tag_try(const char *name, const char *const *tags, size_t n, char out[24])
{
    for (size_t i = 0; i < n; i++)
        if (strlen(tags[i]) > strlen(out) && name_has(name, tags[i]))
            (void)snprintf(out, 24, "%s", tags[i]);
}

bool quant_of_name(const char *path, char out[24])
{
    out[0] = '\0';
    tag_try(base_of(path), preferred, COUNT_OF(preferred), out);
    tag_try(base_of(path), others, COUNT_OF(others), out);
    if (out[0] == '\0') { /* Q4_K_M/model-00001-of-00002.gguf */
        tag_try(path, preferred, COUNT_OF(preferred), out);
        tag_try(path, others, COUNT_OF(others), out);
    }
    if (strcmp(out, "FP16") == 0 || strcmp(out, "FP32") == 0)
        memmove(out + 1, out + 2, 3);
    return out[0] != '\0';
}

static bool is_gguf(const char *path)
{
    return strlen(path) > 5 && strcasecmp(path + strlen(path) - 5, ".gguf") == 0;
}

/* What is no language model by itself. */
static bool is_aside(const char *path)
{
    const char *name = base_of(path);
    return strncasecmp(name, "mmproj", 6) == 0 || strcasestr(name, "-mmproj") ||
           strcasestr(name, ".mmproj") || strcasestr(name, "imatrix") || strcasestr(name, "-draft.") ||
           strncasecmp(name, "mtp-", 4) == 0;
}

/* A model: one file, or the first part of a split one. */
static bool is_head(const char *path)
{
    unsigned part, parts;
    size_t prefix;
    return is_gguf(path) && (!split_name(path, &part, &parts, &prefix) || part == 1);
}

/* The file with all parts that belong to it. */
static int gather(const struct hub_entry *entries, size_t n, size_t head, struct arena *a,
                  struct hub_choice *out, struct error *err)
{
    unsigned part, parts = 1;
    size_t prefix = 0;
    bool split = split_name(entries[head].path, &part, &parts, &prefix);
    if (parts > 1000)
        return error_set(err, VX11_EINVALID, "a model in %u parts is not believable", parts);
    out->parts = arena_array(a, parts, sizeof *out->parts);
    if (!out->parts)
        return error_set(err, VX11_ENOMEM, "out of memory");
    out->count = parts;
    out->size = 0;
    for (unsigned p = 1; p <= parts; p++) {
        size_t found = n;
        for (size_t i = 0; split && i < n && found == n; i++) {
            unsigned this_part, of;
            size_t len;
            if (split_name(entries[i].path, &this_part, &of, &len) && this_part == p && of == parts &&
                len == prefix && strncmp(entries[i].path, entries[head].path, prefix) == 0)
                found = i;
        }
        if (!split)
            found = head;
        if (found == n)
            return error_set(err, VX11_EINVALID,
                             "the model comes in %u parts, and the repository lacks number %u", parts, p);
        out->parts[p - 1] = found;
        out->size = out->size < 0 || entries[found].size < 0 ? -1 : out->size + entries[found].size;
    }
    return 0;
}

static int tell(const struct hub_entry *entries, size_t n, size_t head, const char *quant, struct arena *a,
                struct hub_choice *out, struct error *err)
{
    size_t models = 0;
    char size[24] = "size not known";
    for (size_t i = 0; i < n; i++)
        models += is_head(entries[i].path) && !is_aside(entries[i].path);
    if (out->size >= 0)
        str_format_bytes((uint64_t)out->size, size);
    out->quant = quant && quant[0] ? arena_strdup(a, quant) : NULL;
    out->message = out->count > 1
                       ? arena_printf(a, "chose %s (%s, %zu parts) among %zu models of the repository",
                                      entries[head].path, size, out->count, models)
                       : arena_printf(a, "chose %s (%s) among %zu models of the repository",
                                      entries[head].path, size, models);
    return out->message ? 0 : error_set(err, VX11_ENOMEM, "out of memory");
}

static int chosen(const struct hub_entry *entries, size_t n, size_t head, const char *quant, struct arena *a,
                  struct hub_choice *out, struct error *err)
{
    int rc = gather(entries, n, head, a, out, err);
    return rc != 0 ? rc : tell(entries, n, head, quant, a, out, err);
}

/* Of several files with one tag: not split, then the shorter name, then by name. */
static bool better(const char *x, const char *y)
{
    size_t lx = strlen(x), ly = strlen(y);
    return lx != ly ? lx < ly : strcmp(x, y) < 0;
}

static size_t find_quant(const struct hub_entry *entries, size_t n, const char *quant)
{
    char tag[24];
    size_t best = n;
    for (size_t i = 0; i < n; i++)
        if (is_head(entries[i].path) && !is_aside(entries[i].path) && quant_of_name(entries[i].path, tag) &&
            strcasecmp(tag, quant) == 0 && (best == n || better(entries[i].path, entries[best].path)))
            best = i;
    return best;
}

static size_t find_named(const struct hub_entry *entries, size_t n, const char *which)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(entries[i].path, which) == 0)
            return i;
    for (size_t i = 0; i < n; i++)
        if (strcmp(base_of(entries[i].path), which) == 0)
            return i;
    return n;
}

/* A later part stands for the whole. */
static size_t head_of(const struct hub_entry *entries, size_t n, size_t i)
{
    unsigned part, parts, p, of;
    size_t prefix, len;
    if (!split_name(entries[i].path, &part, &parts, &prefix) || part == 1)
        return i;
    for (size_t k = 0; k < n; k++)
        if (split_name(entries[k].path, &p, &of, &len) && p == 1 && of == parts && len == prefix &&
            strncmp(entries[k].path, entries[i].path, prefix) == 0)
            return k;
    return i;
}

static int none_there(const struct hub_entry *entries, size_t n, const char *which, struct arena *a,
                      struct error *err)
{
    const char **names = arena_array(a, n + 1, sizeof *names);
    size_t count = 0, near[5], found;
    if (!names)
        return error_set(err, VX11_ENOMEM, "out of memory");
    for (size_t i = 0; i < n; i++)
        if (is_head(entries[i].path))
            names[count++] = entries[i].path;
    if (count == 0)
        return error_set(err, VX11_ENOT_FOUND,
                         "the repository holds no GGUF file (%zu files of other kinds): look for one whose "
                         "name ends in -GGUF",
                         n);
    found = str_nearest(which, names, count, near, COUNT_OF(near));
    if (found == 0)
        for (found = 0; found < count && found < COUNT_OF(near); found++)
            near[found] = found;
    error_set(err, VX11_ENOT_FOUND, "the repository has no \"%.100s\"; it has", which);
    for (size_t i = 0; i < found; i++) {
        size_t len = strlen(err->text);
        (void)snprintf(err->text + len, sizeof err->text - len, "%s %.90s", i ? "," : "", names[near[i]]);
    }
    return VX11_ENOT_FOUND;
}

static size_t find_default(const struct hub_entry *entries, size_t n, const char **quant)
{
    size_t best = n;
    for (size_t q = 0; q < COUNT_OF(preferred); q++) {
        size_t i = find_quant(entries, n, preferred[q]);
        if (i < n) {
            *quant = preferred[q];
            return i;
        }
    }
    for (size_t i = 0; i < n; i++)
        if (is_head(entries[i].path) && !is_aside(entries[i].path) &&
            (best == n || (entries[i].size >= 0 && entries[i].size < entries[best].size)))
            best = i;
    return best;
}

int hub_choose(const struct hub_entry *entries, size_t n, const char *which, struct arena *a,
               struct hub_choice *out, struct error *err)
{
    struct error scratch = {0};
    const char *quant = NULL;
    size_t at;
    if (!err)
        err = &scratch;
    *out = (struct hub_choice){.size = -1};
    if (which[0] == '\0') {
        at = find_default(entries, n, &quant);
    } else {
        at = find_named(entries, n, which);
        if (at < n && !is_gguf(entries[at].path))
            return error_set(err, VX11_EINVALID, "%.200s is no GGUF file", which);
        if (at < n)
            at = head_of(entries, n, at);
        else if ((at = find_quant(entries, n, which)) < n)
            quant = which;
    }
    if (at == n)
        return none_there(entries, n, which[0] ? which : "model.gguf", a, err);
    return chosen(entries, n, at, quant, a, out, err);
}
