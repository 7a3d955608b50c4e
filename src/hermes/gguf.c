/* The reader of GGUF headers. Two passes over what was read: first the bytes, each length checked before it
 * is used and each pair noted in a list; then the list, sorted by key, which finds duplicates and answers
 * look-ups
 * ("ARCH.context_length") whatever the order in the file was. */
#include "hermes/gguf.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "hermes/gguf_source.h"

enum value_type { /* numbers of the specification */
                  VALUE_U8,
                  VALUE_I8,
                  VALUE_U16,
                  VALUE_I16,
                  VALUE_U32,
                  VALUE_I32,
                  VALUE_F32,
                  VALUE_BOOL,
                  VALUE_STRING,
                  VALUE_ARRAY,
                  VALUE_U64,
                  VALUE_I64,
                  VALUE_F64,
                  VALUE_COUNT
};

static const unsigned value_bytes[VALUE_COUNT] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
static const bool value_signed[VALUE_COUNT] = {
    [VALUE_I8] = true, [VALUE_I16] = true, [VALUE_I32] = true, [VALUE_I64] = true};

#define KEPT_STRING  ((size_t)1024)  /* bytes kept of a value that is no chat template */
#define SUMMED_ARRAY UINT64_C(65536) /* arrays of numbers up to this length are looked into */

struct pair {
    const char *key;
    uint64_t at;      /* where the pair begins */
    uint32_t type;    /* enum value_type */
    uint32_t element; /* of an array */
    uint64_t count;   /* elements of an array, bytes of a string */
    const char *text; /* strings that are kept */
    int64_t number;   /* integers and bools; of an array of integers the largest; -1: none */
    int64_t sum;      /* of an array of integers; -1: none */
};

struct tensor {
    const char *name;
    uint64_t at, offset, bytes, elements;
};

struct reader {
    struct gguf_source src;
    struct arena *arena;
    struct gguf_info *info;
    struct pair *pairs;     /* info->pairs of them, sorted by key after read_pairs */
    struct tensor *tensors; /* info->tensors of them */
};

static int out_of_memory(struct reader *r)
{
    return gguf_source_fail(&r->src, VX11_ETOO_LARGE, "the header needs more memory than a header may");
}

/* ---- strings ---- */

static int read_length(struct reader *r, uint64_t max, const char *what, uint64_t *len)
{
    int rc = gguf_source_u64(&r->src, len);
    if (rc != 0)
        return rc;
    if (*len > max) {
        r->src.at -= 8;
        return gguf_source_fail(&r->src, VX11_ETOO_LARGE,
                                "the %s claims %" PRIu64 " bytes, more than the %" PRIu64 " allowed", what,
                                *len, max);
    }
    return gguf_source_need(&r->src, *len);
}

/* A name: printable UTF-8, not empty. */
static int read_name(struct reader *r, uint64_t max, const char *what, const char **out)
{
    uint64_t len;
    int rc = read_length(r, max, what, &len);
    if (rc != 0)
        return rc;
    if (len == 0)
        return gguf_source_fail(&r->src, VX11_ECORRUPT, "the %s is empty", what);
    char *text = arena_alloc(r->arena, (size_t)len + 1);
    if (!text)
        return out_of_memory(r);
    uint64_t start = r->src.at;
    rc = gguf_source_read(&r->src, text, (size_t)len);
    if (rc != 0)
        return rc;
    text[len] = '\0';
    size_t good = utf8_valid_prefix(text, (size_t)len);
    for (size_t i = 0; i < good; i++) {
        if (iscntrl((unsigned char)text[i]))
            good = i;
    }
    if (good < len) {
        r->src.at = start + good;
        return gguf_source_fail(&r->src, VX11_ECORRUPT, "the %s is not valid text", what);
    }
    *out = text;
    return 0;
}

/* Whether a string value of this key is worth keeping. The architecture may come late, so its own keys are
 * kept as well. */
static size_t kept_bytes(const char *key)
{
    if (strcmp(key, "tokenizer.chat_template") == 0)
        return GGUF_MAX_TEMPLATE;
    return str_starts(key, "general.") || strcmp(key, "tokenizer.ggml.model") == 0 ? KEPT_STRING : 0;
}

static int read_string_value(struct reader *r, struct pair *p)
{
    uint64_t len;
    int rc = read_length(r, GGUF_MAX_STRING, "value", &len);
    if (rc != 0)
        return rc;
    p->count = len;
    if (len > kept_bytes(p->key))
        return gguf_source_skip(&r->src, len);
    char *text = arena_alloc(r->arena, (size_t)len + 1);
    if (!text)
        return out_of_memory(r);
    rc = gguf_source_read(&r->src, text, (size_t)len);
    if (rc != 0)
        return rc;
    text[len] = '\0';
    /* A value that is not text says nothing; the facts that must be text are checked where they are used. */
    if (utf8_valid(text, (size_t)len) && memchr(text, '\0', (size_t)len) == NULL)
        p->text = text;
    return 0;
}

/* ---- numbers and arrays ---- */

/* An integer as a non-negative int64, or -1. */
static int read_integer(struct reader *r, uint32_t type, int64_t *out)
{
    uint64_t raw;
    unsigned bytes = value_bytes[type];
    int rc = gguf_source_uint(&r->src, bytes, &raw);
    if (rc != 0)
        return rc;
    bool negative = value_signed[type] && (raw >> (bytes * 8 - 1) & 1) != 0;
    *out = negative || raw > INT64_MAX ? -1 : (int64_t)raw;
    return 0;
}

static bool is_integer(uint32_t type)
{
    return type < VALUE_COUNT && type != VALUE_F32 && type != VALUE_F64 && value_bytes[type] != 0;
}

static int read_scalar(struct reader *r, struct pair *p)
{
    if (!is_integer(p->type))
        return gguf_source_skip(&r->src, value_bytes[p->type]);
    int rc = read_integer(r, p->type, &p->number);
    if (rc == 0 && p->type == VALUE_BOOL && p->number > 1) {
        r->src.at--;
        return gguf_source_fail(&r->src, VX11_ECORRUPT, "a truth value is %" PRId64 ", neither 0 nor 1",
                                p->number);
    }
    return rc;
}

static int read_array_strings(struct reader *r, uint64_t count)
{
    /* Each string has at least its length: refuse what cannot fit before looping over it. */
    int rc = gguf_source_need(&r->src, count * 8);
    for (uint64_t i = 0; rc == 0 && i < count; i++) {
        uint64_t len;
        rc = read_length(r, GGUF_MAX_STRING, "array's element", &len);
        if (rc == 0)
            rc = gguf_source_skip(&r->src, len);
    }
    return rc;
}

static int read_array_integers(struct reader *r, struct pair *p)
{
    int64_t sum = 0;
    int rc = 0;
    for (uint64_t i = 0; rc == 0 && i < p->count; i++) {
        int64_t n;
        rc = read_integer(r, p->element, &n);
        if (rc != 0)
            break;
        if (n > p->number)
            p->number = n;
        if (sum >= 0 && (n < 0 || __builtin_add_overflow(sum, n, &sum)))
            sum = -1;
    }
    p->sum = sum;
    return rc;
}

static int read_array(struct reader *r, struct pair *p)
{
    int rc = gguf_source_u32(&r->src, &p->element);
    if (rc == 0)
        rc = gguf_source_u64(&r->src, &p->count);
    if (rc != 0)
        return rc;
    r->src.at -= 12;
    if (p->element == VALUE_ARRAY)
        return gguf_source_fail(&r->src, VX11_EUNSUPPORTED,
                                "an array of arrays, which the engine does not read");
    if (p->element >= VALUE_COUNT)
        return gguf_source_fail(&r->src, VX11_ECORRUPT, "an array of unknown type %" PRIu32, p->element);
    if (p->count > GGUF_MAX_ARRAY)
        return gguf_source_fail(&r->src, VX11_ETOO_LARGE,
                                "an array claims %" PRIu64 " elements, more than the %" PRIu64 " allowed",
                                p->count, GGUF_MAX_ARRAY);
    r->src.at += 12;
    if (p->element == VALUE_STRING)
        return read_array_strings(r, p->count);
    rc = gguf_source_need(&r->src, p->count * value_bytes[p->element]);
    if (rc != 0)
        return rc;
    if (is_integer(p->element) && p->count <= SUMMED_ARRAY)
        return read_array_integers(r, p);
    return gguf_source_skip(&r->src, p->count * value_bytes[p->element]);
}

/* ---- key-value pairs ---- */

static int read_pair(struct reader *r, uint64_t i)
{
    struct pair *p = &r->pairs[i];
    *p = (struct pair){.at = r->src.at, .number = -1, .sum = -1};
    gguf_source_about(&r->src, "key %" PRIu64 " of %" PRIu64, i + 1, r->info->pairs);
    int rc = read_name(r, GGUF_MAX_KEY, "key's name", &p->key);
    if (rc != 0)
        return rc;
    gguf_source_about(&r->src, "key %" PRIu64 " (%.48s)", i + 1, p->key);
    rc = gguf_source_u32(&r->src, &p->type);
    if (rc != 0)
        return rc;
    if (p->type >= VALUE_COUNT) {
        r->src.at -= 4;
        return gguf_source_fail(&r->src, VX11_ECORRUPT, "unknown value type %" PRIu32, p->type);
    }
    if (p->type == VALUE_STRING)
        return read_string_value(r, p);
    if (p->type == VALUE_ARRAY)
        return read_array(r, p);
    return read_scalar(r, p);
}

static int pair_compare(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;
    int order = strcmp(x->key, y->key);
    return order != 0 ? order : (x->at > y->at) - (x->at < y->at);
}

static int read_pairs(struct reader *r)
{
    uint64_t n = r->info->pairs;
    r->pairs = arena_array(r->arena, n ? (size_t)n : 1, sizeof *r->pairs);
    if (!r->pairs)
        return out_of_memory(r);
    for (uint64_t i = 0; i < n; i++) {
        int rc = read_pair(r, i);
        if (rc != 0)
            return rc;
    }
    uint64_t end = r->src.at;
    qsort(r->pairs, (size_t)n, sizeof *r->pairs, pair_compare);
    for (uint64_t i = 1; i < n; i++) {
        if (strcmp(r->pairs[i - 1].key, r->pairs[i].key) == 0) {
            r->src.at = r->pairs[i].at;
            gguf_source_about(&r->src, "key %.48s", r->pairs[i].key);
            return gguf_source_fail(&r->src, VX11_ECORRUPT, "it is there twice, first at byte %" PRIu64,
                                    r->pairs[i - 1].at);
        }
    }
    r->src.at = end;
    return 0;
}

static const struct pair *pair_find(const struct reader *r, const char *key)
{
    const struct pair want = {.key = key};
    uint64_t low = 0, high = r->info->pairs;
    while (low < high) {
        uint64_t mid = low + (high - low) / 2;
        int order = strcmp(r->pairs[mid].key, want.key);
        if (order == 0)
            return &r->pairs[mid];
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

/* ---- tensors ---- */

static int tensor_shape(struct reader *r, struct tensor *t, const struct gguf_tensor_type **type_out,
                        uint32_t *number)
{
    uint32_t dims;
    uint64_t extent[4] = {1, 1, 1, 1};
    int rc = gguf_source_u32(&r->src, &dims);
    if (rc != 0)
        return rc;
    if (dims < 1 || dims > 4) {
        r->src.at -= 4;
        return gguf_source_fail(&r->src, VX11_ECORRUPT, "%" PRIu32 " dimensions, where 1 to 4 are possible",
                                dims);
    }
    t->elements = 1;
    for (uint32_t i = 0; i < dims; i++) {
        rc = gguf_source_u64(&r->src, &extent[i]);
        if (rc != 0)
            return rc;
        if (extent[i] == 0 || extent[i] > INT64_MAX ||
            __builtin_mul_overflow(t->elements, extent[i], &t->elements) || t->elements > INT64_MAX)
            return gguf_source_fail(&r->src, VX11_ECORRUPT,
                                    "dimension %" PRIu32 " is %" PRIu64 ", which cannot be", i + 1,
                                    extent[i]);
    }
    rc = gguf_source_u32(&r->src, number);
    if (rc != 0)
        return rc;
    const struct gguf_tensor_type *type = gguf_tensor_type(*number);
    if (!type)
        return gguf_source_fail(&r->src, VX11_EUNSUPPORTED, "unknown or withdrawn tensor type %" PRIu32,
                                *number);
    if (extent[0] % type->block != 0)
        return gguf_source_fail(&r->src, VX11_ECORRUPT,
                                "a row of %" PRIu64 " weights is not made of whole %s blocks of %" PRIu32,
                                extent[0], type->name, type->block);
    *type_out = type;
    return 0;
}

static int read_tensor(struct reader *r, uint64_t i)
{
    struct tensor *t = &r->tensors[i];
    const struct gguf_tensor_type *type = NULL;
    uint32_t number = 0;
    *t = (struct tensor){.at = r->src.at};
    gguf_source_about(&r->src, "tensor %" PRIu64 " of %" PRIu64, i + 1, r->info->tensors);
    int rc = read_name(r, GGUF_MAX_TENSOR_NAME, "tensor's name", &t->name);
    if (rc != 0)
        return rc;
    gguf_source_about(&r->src, "tensor %" PRIu64 " (%s)", i + 1, t->name);
    rc = tensor_shape(r, t, &type, &number);
    if (rc == 0)
        rc = gguf_source_u64(&r->src, &t->offset);
    if (rc != 0)
        return rc;
    if (__builtin_mul_overflow(t->elements / type->block, (uint64_t)type->bytes, &t->bytes) ||
        t->bytes > INT64_MAX)
        return gguf_source_fail(&r->src, VX11_ECORRUPT, "its size in bytes is out of all bounds");
    if (t->offset % r->info->alignment != 0)
        return gguf_source_fail(&r->src, VX11_ECORRUPT,
                                "its data offset %" PRIu64 " is not a multiple of %" PRIu32, t->offset,
                                r->info->alignment);
    if (__builtin_add_overflow(r->info->parameters, t->elements, &r->info->parameters) ||
        r->info->parameters > INT64_MAX)
        return gguf_source_fail(&r->src, VX11_ECORRUPT, "the number of weights is out of all bounds");
    r->info->type_weights[number] += t->elements;
    return 0;
}

static int tensor_compare_offset(const void *a, const void *b)
{
    const struct tensor *x = a, *y = b;
    if (x->offset != y->offset)
        return x->offset < y->offset ? -1 : 1;
    return (x->at > y->at) - (x->at < y->at);
}

static int tensor_compare_name(const void *a, const void *b)
{
    const struct tensor *x = a, *y = b;
    int order = strcmp(x->name, y->name);
    return order != 0 ? order : (x->at > y->at) - (x->at < y->at);
}

static int tensor_fail(struct reader *r, const struct tensor *t)
{
    r->src.at = t->at;
    gguf_source_about(&r->src, "tensor %s", t->name);
    return VX11_ECORRUPT;
}

static int check_tensor_names(struct reader *r)
{
    uint64_t n = r->info->tensors;
    qsort(r->tensors, (size_t)n, sizeof *r->tensors, tensor_compare_name);
    for (uint64_t i = 1; i < n; i++) {
        if (strcmp(r->tensors[i - 1].name, r->tensors[i].name) == 0)
            return gguf_source_fail(&r->src, tensor_fail(r, &r->tensors[i]),
                                    "it is there twice, first at byte %" PRIu64, r->tensors[i - 1].at);
    }
    return 0;
}

/* The tensors lie inside the file and do not overlap. */
static int check_tensor_places(struct reader *r)
{
    struct gguf_info *info = r->info;
    uint64_t end = 0, n = info->tensors;
    qsort(r->tensors, (size_t)n, sizeof *r->tensors, tensor_compare_offset);
    for (uint64_t i = 0; i < n; i++) {
        const struct tensor *t = &r->tensors[i];
        if (t->offset < end)
            return gguf_source_fail(&r->src, tensor_fail(r, t),
                                    "its data at offset %" PRIu64 " overlaps tensor %s", t->offset,
                                    r->tensors[i - 1].name);
        if (__builtin_add_overflow(t->offset, t->bytes, &end) || end > INT64_MAX - info->data_offset)
            return gguf_source_fail(&r->src, tensor_fail(r, t),
                                    "its data offset %" PRIu64 " is out of all bounds", t->offset);
    }
    info->data_size = end;
    if (n == 0 || info->data_offset + end <= info->file_size)
        return 0;
    return error_set(r->src.err, VX11_ECORRUPT,
                     "the file is cut short: its tensors end at byte %" PRIu64 " but it has %" PRIu64
                     ", %" PRIu64 " bytes are missing",
                     info->data_offset + end, info->file_size, info->data_offset + end - info->file_size);
}

static int read_tensors(struct reader *r)
{
    struct gguf_info *info = r->info;
    r->tensors = arena_array(r->arena, info->tensors ? (size_t)info->tensors : 1, sizeof *r->tensors);
    if (!r->tensors)
        return out_of_memory(r);
    for (uint64_t i = 0; i < info->tensors; i++) {
        int rc = read_tensor(r, i);
        if (rc != 0)
            return rc;
    }
    info->data_offset = (r->src.at + info->alignment - 1) / info->alignment * info->alignment;
    int rc = check_tensor_names(r);
    return rc != 0 ? rc : check_tensor_places(r);
}

/* ---- the start of the file ---- */

/* What people often have instead of a model, by its first bytes. */
static const struct {
    const char *start, *what;
} mistaken[] = {
    {"<!DO", "a web page"},
    {"<htm", "a web page"},
    {"vers", "perhaps a Git LFS pointer instead of the file"},
    {"PK\x03\x04", "a zip archive or a PyTorch file"},
    {"ggml", "the old GGML format"},
    {"lmgg", "the old GGML format"},
    {"tjgg", "the old GGJT format"},
    {"algg", "the old GGLA format"},
    {"FUGG", "a GGUF file with its bytes in reverse"},
};

static int read_magic(struct reader *r)
{
    char magic[5] = "";
    gguf_source_about(&r->src, "the magic");
    if (r->src.size == 0)
        return error_set(r->src.err, VX11_ECORRUPT, "the file is empty");
    int rc = gguf_source_read(&r->src, magic, 4);
    if (rc != 0)
        return rc;
    if (memcmp(magic, "GGUF", 4) == 0)
        return 0;
    const char *what = "something else";
    for (size_t i = 0; i < COUNT_OF(mistaken); i++) {
        if (memcmp(magic, mistaken[i].start, 4) == 0)
            what = mistaken[i].what;
    }
    return error_set(r->src.err, VX11_ECORRUPT,
                     "it is not a GGUF file: it begins with bytes %02x %02x %02x %02x, %s",
                     (unsigned char)magic[0], (unsigned char)magic[1], (unsigned char)magic[2],
                     (unsigned char)magic[3], what);
}

static int read_version(struct reader *r)
{
    uint32_t version;
    gguf_source_about(&r->src, "the version");
    int rc = gguf_source_u32(&r->src, &version);
    if (rc != 0)
        return rc;
    r->info->version = version;
    if (version == 2 || version == 3)
        return 0;
    if (version != 0 && (version & 0xFFFF) == 0)
        return error_set(r->src.err, VX11_EUNSUPPORTED,
                         "it is a big-endian GGUF file; this machine needs the little-endian one");
    if (version == 1)
        return error_set(r->src.err, VX11_EUNSUPPORTED,
                         "it is GGUF version 1, which is no longer read; convert it again");
    return error_set(r->src.err, VX11_EUNSUPPORTED,
                     "it is GGUF version %" PRIu32 "; versions 2 and 3 are known", version);
}

static int read_count(struct reader *r, const char *what, uint64_t max, uint64_t smallest, uint64_t *out)
{
    gguf_source_about(&r->src, "the number of %s", what);
    int rc = gguf_source_u64(&r->src, out);
    if (rc != 0)
        return rc;
    if (*out > max) {
        r->src.at -= 8;
        return gguf_source_fail(&r->src, VX11_ETOO_LARGE,
                                "it claims %" PRIu64 ", more than the %" PRIu64 " allowed", *out, max);
    }
    return gguf_source_need(&r->src, *out * smallest);
}

static int read_alignment(struct reader *r)
{
    const struct pair *p = pair_find(r, "general.alignment");
    r->info->alignment = 32;
    if (!p)
        return 0;
    if (p->type != VALUE_U32 || p->number < 1 || p->number > (int64_t)GGUF_MAX_ALIGNMENT ||
        (p->number & (p->number - 1)) != 0) {
        r->src.at = p->at;
        gguf_source_about(&r->src, "key general.alignment");
        return gguf_source_fail(&r->src, VX11_ECORRUPT, "it must be a power of two of at most %" PRIu64,
                                GGUF_MAX_ALIGNMENT);
    }
    r->info->alignment = (uint32_t)p->number;
    return 0;
}

/* ---- facts ---- */

static const char *fact_text(const struct reader *r, const char *key)
{
    const struct pair *p = pair_find(r, key);
    return p && p->type == VALUE_STRING && p->text && p->text[0] ? p->text : NULL;
}

static const struct pair *fact_of_architecture(const struct reader *r, const char *suffix)
{
    if (!r->info->architecture)
        return NULL;
    char *key = arena_printf(r->arena, "%s.%s", r->info->architecture, suffix);
    return key ? pair_find(r, key) : NULL;
}

static int64_t fact_number(const struct reader *r, const char *suffix)
{
    const struct pair *p = fact_of_architecture(r, suffix);
    return p ? p->number : -1;
}

static void collect_heads(const struct reader *r)
{
    struct gguf_info *info = r->info;
    const struct pair *kv = fact_of_architecture(r, "attention.head_count_kv");
    info->heads = fact_number(r, "attention.head_count");
    info->heads_kv = kv ? kv->number : info->heads;
    info->heads_kv_sum = kv && kv->type == VALUE_ARRAY ? kv->sum : -1;
    if ((!kv || kv->type != VALUE_ARRAY) && info->heads_kv >= 0 && info->layers >= 0 &&
        __builtin_mul_overflow(info->heads_kv, info->layers, &info->heads_kv_sum))
        info->heads_kv_sum = -1;
    int64_t each = info->heads > 0 && info->embedding_length > 0 ? info->embedding_length / info->heads : -1;
    info->key_length = fact_number(r, "attention.key_length");
    info->value_length = fact_number(r, "attention.value_length");
    if (info->key_length < 0)
        info->key_length = each;
    if (info->value_length < 0)
        info->value_length = each;
}

static void collect_quantisation(struct gguf_info *info)
{
    uint64_t most = 0;
    for (uint32_t i = 0; i < GGUF_TYPE_MAX; i++) {
        if (info->type_weights[i] > most) {
            most = info->type_weights[i];
            info->quantisation = gguf_tensor_type(i)->name;
        }
    }
}

static void collect_facts(const struct reader *r)
{
    struct gguf_info *info = r->info;
    info->architecture = fact_text(r, "general.architecture");
    info->kind = fact_text(r, "general.type");
    info->name = fact_text(r, "general.name");
    info->licence = fact_text(r, "general.license");
    info->tokenizer = fact_text(r, "tokenizer.ggml.model");
    info->context_length = fact_number(r, "context_length");
    info->embedding_length = fact_number(r, "embedding_length");
    info->layers = fact_number(r, "block_count");
    collect_heads(r);
    collect_quantisation(info);

    const struct pair *tokens = pair_find(r, "tokenizer.ggml.tokens");
    info->vocabulary =
        tokens && tokens->type == VALUE_ARRAY ? (int64_t)tokens->count : fact_number(r, "vocab_size");
    const struct pair *file_type = pair_find(r, "general.file_type");
    info->file_type = file_type ? gguf_file_type_name(file_type->number) : NULL;
    const struct pair *split = pair_find(r, "split.count");
    info->split_count = split ? split->number : -1;
    const struct pair *chat = pair_find(r, "tokenizer.chat_template");
    info->has_chat_template = chat && chat->type == VALUE_STRING && chat->count > 0;
    info->chat_template = chat ? chat->text : NULL;
}

static int read_header(struct reader *r)
{
    struct gguf_info *info = r->info;
    info->file_size = r->src.size;
    int rc = read_magic(r);
    if (rc == 0)
        rc = read_version(r);
    if (rc == 0)
        rc = read_count(r, "tensors", GGUF_MAX_TENSORS, 8 + 1 + 4 + 8 + 4 + 8, &info->tensors);
    if (rc == 0)
        rc = read_count(r, "keys", GGUF_MAX_PAIRS, 8 + 1 + 4 + 1, &info->pairs);
    if (rc == 0)
        rc = read_pairs(r);
    if (rc == 0)
        rc = read_alignment(r);
    if (rc == 0)
        rc = read_tensors(r);
    if (rc == 0)
        collect_facts(r);
    return rc;
}

int gguf_read_memory(const void *data, size_t len, uint64_t file_size, struct arena *a, struct gguf_info *out,
                     struct error *err)
{
    struct reader r = {.arena = a, .info = out};
    memset(out, 0, sizeof *out);
    gguf_source_memory(&r.src, data, len, file_size, err);
    return read_header(&r);
}

int gguf_read_fd(int fd, struct arena *a, struct gguf_info *out, struct error *err)
{
    struct reader r = {.arena = a, .info = out};
    memset(out, 0, sizeof *out);
    int rc = gguf_source_file(&r.src, fd, err);
    if (rc == 0)
        rc = read_header(&r);
    gguf_source_close(&r.src);
    return rc;
}

int gguf_read_file(const char *path, struct arena *a, struct gguf_info *out, struct error *err)
{
    /* O_NONBLOCK: a FIFO under this name must not hold us up; it is refused once its kind is known. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return error_set_errno(err, errno, "cannot open the file");
    int rc = gguf_read_fd(fd, a, out, err);
    close(fd);
    return rc;
}

int gguf_check_model(const struct gguf_info *info, struct error *err)
{
    if (info->kind && strcmp(info->kind, "model") != 0)
        return error_set(err, VX11_EUNSUPPORTED,
                         "it holds no model of its own but a part for one (general.type is %.32s)",
                         info->kind);
    if (!info->architecture)
        return error_set(err, VX11_EUNSUPPORTED, "it does not say its architecture (general.architecture)");
    for (const char *c = info->architecture; *c; c++) {
        if (!isalnum((unsigned char)*c) && *c != '-' && *c != '_' && *c != '.')
            return error_set(err, VX11_ECORRUPT, "general.architecture is no sound name");
    }
    if (strcmp(info->architecture, "clip") == 0)
        return error_set(err, VX11_EUNSUPPORTED,
                         "it is the eye of a model (architecture clip), not a language model");
    if (info->split_count > 1)
        return error_set(
            err, VX11_EUNSUPPORTED,
            "it is one of %" PRId64
            " parts of a split model, and its name does not say which (NAME-00001-of-0000N.gguf)",
            info->split_count);
    if (info->tensors == 0)
        return error_set(err, VX11_EUNSUPPORTED, "it has no tensors, only a header");
    if (!info->tokenizer)
        return error_set(err, VX11_EUNSUPPORTED,
                         "it has no tokenizer (tokenizer.ggml.model), so it cannot read text");
    return 0;
}

uint64_t gguf_kv_bytes(const struct gguf_info *info, uint64_t tokens)
{
    uint64_t bytes;
    if (info->heads_kv_sum <= 0 || info->key_length <= 0 || info->value_length <= 0)
        return 0;
    if (__builtin_mul_overflow((uint64_t)info->heads_kv_sum,
                               (uint64_t)info->key_length + (uint64_t)info->value_length, &bytes) ||
        __builtin_mul_overflow(bytes, 2, &bytes) || __builtin_mul_overflow(bytes, tokens, &bytes))
        return 0;
    return bytes;
}
