/* Content: attachments as a model reads them, in OpenAI's parts. */
#include "operator/files/files_internal.h"

#include <string.h>

#include <sodium.h>

#include "base/str.h"
#include "operator/rows.h"

/* All files of one request: Switch takes 16 MiB, and base64 makes 4 bytes of 3. */
#define CONTENT_MOST (11u << 20)

bool files_have(const struct operator_file *files, size_t count, enum operator_file_kind kind)
{
    for (size_t i = 0; i < count; i++)
        if (files[i].kind == (int)kind)
            return true;
    return false;
}

struct content {
    struct files *f;
    yyjson_mut_doc *doc;
    yyjson_mut_val *parts;
    size_t left; /* bytes of files that may still come in */
    struct error *err;
};

static int no_memory(struct error *err)
{
    return error_set(err, VX11_ENOMEM, "no memory for the files of a message");
}

/* The file's bytes. */
static int load(struct content *c, const struct operator_file *file, size_t most, struct buf *out)
{
    struct operator_file row;
    struct arena *a = arena_create(0);
    char content_id[ULID_LEN + 1];
    int rc = a ? file_find(c->f, a, file->id, &row, content_id, c->err) : no_memory(c->err);
    if (rc == 0)
        rc = file_read(c->f, content_id, most, out, c->err);
    arena_destroy(a);
    if (rc == 0 && out->len > c->left)
        rc = error_set(c->err, VX11_ETOO_LARGE,
                       "the files of this message are too large for one request; %s is one of them",
                       file->name);
    if (rc == 0)
        c->left -= out->len;
    return rc;
}

static int put_fence(struct buf *b, size_t n)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < n; i++)
        rc = buf_putc(b, '`');
    return rc;
}

static int put_text_part(struct content *c, const char *text, size_t len)
{
    yyjson_mut_val *part = yyjson_mut_arr_add_obj(c->doc, c->parts);
    bool ok = part && yyjson_mut_obj_add_str(c->doc, part, "type", "text") &&
              yyjson_mut_obj_add_strncpy(c->doc, part, "text", text, len);
    return ok ? 0 : no_memory(c->err);
}

static int put_text(struct content *c, const struct operator_file *file)
{
    size_t most = (size_t)files_config(c->f)->inline_bytes;
    struct buf data = BUF_INIT, text = BUF_INIT;
    int rc = load(c, file, most, &data);
    if (rc == 0) {
        size_t len = utf8_valid_prefix(data.data ? data.data : "", data.len);
        size_t fence = fence_length(data.data ? data.data : "", len, '`');
        rc = buf_printf(&text, "File %s:\n", file->name);
        if (rc == 0)
            rc = put_fence(&text, fence);
        if (rc == 0)
            rc = buf_putc(&text, '\n');
        if (rc == 0)
            rc = buf_append(&text, data.data ? data.data : "", len);
        if (rc == 0 && (len == 0 || data.data[len - 1] != '\n'))
            rc = buf_putc(&text, '\n');
        if (rc == 0)
            rc = put_fence(&text, fence);
        if (rc == 0 && (int64_t)len < file->bytes)
            rc = buf_printf(&text, "\n(The first %zu of its %lld bytes; the rest was left out.)", len,
                            (long long)file->bytes);
        rc = rc == 0 ? put_text_part(c, text.data, text.len) : no_memory(c->err);
    }
    buf_free(&data);
    buf_free(&text);
    return rc;
}

/* Appends data as base64. */
static int put_base64(struct buf *out, const struct buf *data)
{
    size_t size = sodium_base64_ENCODED_LEN(data->len, sodium_base64_VARIANT_ORIGINAL);
    if (buf_reserve(out, size + 1) != 0)
        return VX11_ENOMEM;
    sodium_bin2base64(out->data + out->len, size, (const unsigned char *)data->data, data->len,
                      sodium_base64_VARIANT_ORIGINAL);
    out->len += size - 1;
    return 0;
}

static int put_image(struct content *c, const struct operator_file *file)
{
    struct buf data = BUF_INIT, url = BUF_INIT;
    int rc = load(c, file, c->left + 1, &data);
    if (rc == 0 &&
        (buf_printf(&url, "data:%s;base64,", file->media_type) != 0 || put_base64(&url, &data) != 0))
        rc = no_memory(c->err);
    if (rc == 0) {
        yyjson_mut_val *part = yyjson_mut_arr_add_obj(c->doc, c->parts);
        yyjson_mut_val *image = NULL;
        bool ok = part && yyjson_mut_obj_add_str(c->doc, part, "type", "image_url") &&
                  (image = yyjson_mut_obj_add_obj(c->doc, part, "image_url")) &&
                  yyjson_mut_obj_add_strncpy(c->doc, image, "url", url.data, url.len);
        rc = ok ? 0 : no_memory(c->err);
    }
    buf_free(&data);
    buf_free(&url);
    return rc;
}

static int put_sound(struct content *c, const struct operator_file *file, bool hears)
{
    bool wav = str_eq(file->media_type, "audio/wav"), mp3 = str_eq(file->media_type, "audio/mpeg");
    if (!hears)
        return error_set(
            c->err, VX11_EUNSUPPORTED,
            "nobody here can hear %s yet: no provider takes sound, and the module for it, Shub, does not "
            "exist; send the message without it",
            file->name);
    if (!wav && !mp3)
        return error_set(c->err, VX11_EUNSUPPORTED, "%s is %s; providers take WAV and MP3", file->name,
                         file->media_type);
    struct buf data = BUF_INIT, text = BUF_INIT;
    int rc = load(c, file, c->left + 1, &data);
    if (rc == 0 && put_base64(&text, &data) != 0)
        rc = no_memory(c->err);
    if (rc == 0) {
        yyjson_mut_val *part = yyjson_mut_arr_add_obj(c->doc, c->parts);
        yyjson_mut_val *audio = NULL;
        bool ok = part && yyjson_mut_obj_add_str(c->doc, part, "type", "input_audio") &&
                  (audio = yyjson_mut_obj_add_obj(c->doc, part, "input_audio")) &&
                  yyjson_mut_obj_add_strncpy(c->doc, audio, "data", text.data, text.len) &&
                  yyjson_mut_obj_add_str(c->doc, audio, "format", wav ? "wav" : "mp3");
        rc = ok ? 0 : no_memory(c->err);
    }
    buf_free(&data);
    buf_free(&text);
    return rc;
}

int files_content(struct files *f, yyjson_mut_doc *doc, const char *text, const struct operator_file *files,
                  size_t count, bool hears, yyjson_mut_val **out, struct error *err)
{
    struct content c = {f, doc, yyjson_mut_arr(doc), CONTENT_MOST, err};
    int rc = c.parts ? put_text_part(&c, text, strlen(text)) : no_memory(err);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        if (files[i].kind == OPERATOR_FILE_KIND_TEXT)
            rc = put_text(&c, &files[i]);
        else if (files[i].kind == OPERATOR_FILE_KIND_IMAGE)
            rc = put_image(&c, &files[i]);
        else
            rc = put_sound(&c, &files[i], hears);
    }
    *out = c.parts;
    return rc;
}
