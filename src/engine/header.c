/* The reader: one pass over the key-value pairs with a buffer of its own. Arrays of strings cost a read of
 * each length, everything else is jumped over. */
#include "engine/header.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/str.h"

enum { PAIRS_MOST = 65536, KEY_MOST = 256, BUFFER = 65536 };

enum value_type { /* of the GGUF specification */
                  V_U8,
                  V_I8,
                  V_U16,
                  V_I16,
                  V_U32,
                  V_I32,
                  V_F32,
                  V_BOOL,
                  V_STRING,
                  V_ARRAY,
                  V_U64,
                  V_I64,
                  V_F64,
                  V_COUNT
};
static const unsigned value_bytes[V_COUNT] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

struct source {
    int fd;
    uint64_t size, at; /* at: of the next byte that is taken */
    uint64_t start;    /* of the buffer in the file */
    size_t len;
    unsigned char data[BUFFER];
};

static int take(struct source *s, void *out, size_t n)
{
    if (n > s->size || s->at > s->size - n)
        return VX11_ECORRUPT;
    for (unsigned char *to = out; n > 0;) {
        if (s->at < s->start || s->at >= s->start + s->len) {
            const ssize_t got = pread(s->fd, s->data, sizeof s->data, (off_t)s->at);
            if (got <= 0)
                return VX11_EIO;
            s->start = s->at;
            s->len = (size_t)got;
        }
        const size_t from = (size_t)(s->at - s->start);
        const size_t part = s->len - from < n ? s->len - from : n;
        memcpy(to, s->data + from, part);
        to += part;
        s->at += part;
        n -= part;
    }
    return 0;
}

static int skip(struct source *s, uint64_t n)
{
    if (n > s->size || s->at > s->size - n)
        return VX11_ECORRUPT;
    s->at += n;
    return 0;
}

/* A string of at most size - 1 bytes into out; of a longer one its beginning. */
static int take_text(struct source *s, char *out, size_t size)
{
    uint64_t len;
    int rc = take(s, &len, sizeof len);
    const size_t kept = len < size ? (size_t)len : size - 1;
    if (rc == 0)
        rc = take(s, out, kept);
    out[rc == 0 ? kept : 0] = '\0';
    return rc == 0 ? skip(s, len - kept) : rc;
}

static int skip_array(struct source *s, uint64_t *count)
{
    uint32_t of;
    int rc = take(s, &of, sizeof of);
    if (rc == 0)
        rc = take(s, count, sizeof *count);
    if (rc == 0 && (of >= V_COUNT || of == V_ARRAY || *count > s->size))
        rc = VX11_ECORRUPT;
    if (rc != 0 || of != V_STRING)
        return rc != 0 ? rc : skip(s, *count * value_bytes[of]);
    for (uint64_t i = 0; rc == 0 && i < *count; i++) {
        uint64_t len;
        rc = take(s, &len, sizeof len);
        if (rc == 0)
            rc = skip(s, len);
    }
    return rc;
}

/* ---- values ---- */

struct value {
    uint32_t type;
    char text[64];
    int64_t number;
    double real;
};

static void number_read(struct value *v, const unsigned char *raw)
{
    uint64_t bits = 0;
    const unsigned n = value_bytes[v->type];
    memcpy(&bits, raw, n); /* little endian, as the file and all machines we run on */
    if (v->type == V_F32) {
        float f;
        memcpy(&f, raw, sizeof f);
        v->real = (double)f;
    } else if (v->type == V_F64) {
        memcpy(&v->real, raw, sizeof v->real);
    } else {
        const bool negative = (v->type == V_I8 || v->type == V_I16 || v->type == V_I32 || v->type == V_I64) &&
                              (bits >> (8 * n - 1) & 1) != 0;
        v->number = negative || bits > INT64_MAX ? 0 : (int64_t)bits;
        v->real = (double)v->number;
    }
    if (!isfinite(v->real) || v->real < 0)
        v->real = 0;
}

static int value_read(struct source *s, struct value *v)
{
    unsigned char raw[8];
    uint64_t count = 0;
    *v = (struct value){0};
    int rc = take(s, &v->type, sizeof v->type);
    if (rc != 0)
        return rc;
    if (v->type >= V_COUNT)
        return VX11_ECORRUPT;
    if (v->type == V_STRING)
        return take_text(s, v->text, sizeof v->text);
    if (v->type == V_ARRAY) {
        rc = skip_array(s, &count);
        v->number = (int64_t)count;
        return rc;
    }
    rc = take(s, raw, value_bytes[v->type]);
    if (rc == 0)
        number_read(v, raw);
    return rc;
}

/* The part of a key behind the architecture's name. */
static const char *suffix_of(const char *key)
{
    const char *dot = strchr(key, '.');
    return dot && !str_starts(key, "general.") && !str_starts(key, "tokenizer.") ? dot + 1 : "";
}

static void text_keep(char *out, size_t size, const struct value *v)
{
    const size_t len = strlen(v->text);
    if (v->type == V_STRING && len < size)
        memcpy(out, v->text, len + 1);
}

static void pair_keep(struct header *h, const char *key, const struct value *v)
{
    const struct {
        const char *suffix;
        int64_t *number;
    } numbers[] = {
        {"context_length", &h->context},          {"block_count", &h->layers},
        {"embedding_length", &h->embedding},      {"attention.head_count", &h->heads},
        {"attention.key_length", &h->key_length}, {"rope.scaling.original_context_length", &h->rope_context},
    };
    const char *suffix = suffix_of(key);
    for (size_t i = 0; v->type != V_ARRAY && v->type != V_STRING && i < COUNT_OF(numbers); i++) {
        if (strcmp(suffix, numbers[i].suffix) == 0)
            *numbers[i].number = v->number;
    }
    if (strcmp(key, "general.architecture") == 0)
        text_keep(h->architecture, sizeof h->architecture, v);
    else if (strcmp(key, "tokenizer.ggml.tokens") == 0 && v->type == V_ARRAY)
        h->vocabulary = v->number;
    else if (strcmp(suffix, "rope.scaling.type") == 0 && strcmp(v->text, "none") != 0)
        text_keep(h->rope_scaling, sizeof h->rope_scaling, v);
    else if (strcmp(suffix, "rope.scaling.factor") == 0)
        h->rope_factor = v->real;
    else if (strcmp(suffix, "rope.freq_base") == 0)
        h->rope_frequency = v->real;
}

static int pairs_read(struct source *s, struct header *out)
{
    unsigned char start[8];
    uint64_t tensors, pairs;
    int rc = take(s, start, sizeof start);
    if (rc == 0)
        rc = memcmp(start, "GGUF", 4) != 0 ? VX11_ECORRUPT : take(s, &tensors, sizeof tensors);
    if (rc == 0)
        rc = take(s, &pairs, sizeof pairs);
    if (rc == 0 && pairs > PAIRS_MOST)
        rc = VX11_ECORRUPT;
    for (uint64_t i = 0; rc == 0 && i < pairs; i++) {
        char key[KEY_MOST];
        struct value v;
        rc = take_text(s, key, sizeof key);
        if (rc == 0)
            rc = value_read(s, &v);
        if (rc == 0)
            pair_keep(out, key, &v);
    }
    out->data_at = s->at;
    return rc;
}

int header_read(const char *path, struct header *out)
{
    struct stat st;
    struct source s = {.fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)};
    *out = (struct header){0};
    if (s.fd < 0)
        return errno == ENOENT || errno == ENOTDIR ? VX11_ENOT_FOUND : VX11_EIO;
    int rc = fstat(s.fd, &st) != 0 ? VX11_EIO : !S_ISREG(st.st_mode) ? VX11_ECORRUPT : 0;
    if (rc == 0) {
        s.size = out->file_bytes = (uint64_t)st.st_size;
        rc = pairs_read(&s, out);
    }
    (void)close(s.fd);
    return rc;
}

/* ---- what follows from them ---- */

int64_t header_head_size(const struct header *h)
{
    if (h->key_length > 0)
        return h->key_length;
    return h->heads > 0 ? h->embedding / h->heads : 0;
}

int64_t header_context_most(const struct header *h)
{
    const bool scaled = h->rope_scaling[0] && h->rope_factor > 1 && h->rope_context > 0;
    const double reach = scaled ? h->rope_factor * (double)h->rope_context : 0;
    if (reach > (double)INT32_MAX)
        return INT32_MAX;
    return (int64_t)reach > h->context ? (int64_t)reach : h->context;
}
