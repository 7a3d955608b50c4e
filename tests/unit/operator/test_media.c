/* Media: what files are by their first bytes, and that no header makes the reader leave them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/str.h"
#include "operator/files/media.h"

#define BYTES(s) s, sizeof(s) - 1

static const struct {
    const char *data;
    size_t len;
    const char *type; /* NULL: neither image nor sound */
    uint32_t width, height;
} files[] = {
    {BYTES("\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\x01\x40\0\0\0\xf0\x08\x06\0\0\0"), "image/png", 320, 240},
    {BYTES("GIF89a\x10\0\x20\0\0\0\0"), "image/gif", 16, 32},
    {BYTES("\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0\xff\xc0\0\x11\x08\x00\x64\x00\xc8\x03\1\x22\0"),
     "image/jpeg", 200, 100},
    {BYTES("\xff\xd8\xff\xe0\0\x10JFIF\0"), "image/jpeg", 0, 0}, /* cut before its size */
    {BYTES("\xff\xd8\xff\xe0\0\0\0\0\0\0"), "image/jpeg", 0, 0}, /* a segment of no length */
    {BYTES("RIFF\x24\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\x7f\x02\0\xdf\x01\0"), "image/webp", 640, 480},
    {BYTES("RIFF\x24\0\0\0WEBPVP8L\x0a\0\0\0\x2f\x3f\xc1\x18\0\0"), "image/webp", 320, 100},
    {BYTES("RIFF\x24\0\0\0WEBPVP8 \x0a\0\0\0\x30\1\0\x9d\x01\x2a\x40\x01\xf0\0"), "image/webp", 320, 240},
    {BYTES("RIFF\x24\0\0\0WAVEfmt "), "audio/wav", 0, 0},
    {BYTES("RIFF\x24\0\0\0AVI LIST"), NULL, 0, 0},
    {BYTES("fLaC\0\0\0\x22"), "audio/flac", 0, 0},
    {BYTES("OggS\0\2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\x13OpusHead"), "audio/ogg", 0, 0},
    {BYTES("OggS\0\2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\x2a\x80theora"), NULL, 0, 0},
    {BYTES("ID3\x04\0\0\0\0\0\x0a"), "audio/mpeg", 0, 0},
    {BYTES("\0\0\0\x20"
           "ftypM4A \0\0\0\0M4A mp42isom\0\0\0\0"),
     "audio/mp4", 0, 0},
    {BYTES("\0\0\0\x20"
           "ftypisom\0\0\2\0isomiso2mp41\0\0\0\0"),
     NULL, 0, 0}, /* a film */
    {BYTES("\xff\xfb\x90\0 one frame only"), NULL, 0, 0},
    {BYTES("\x7f"
           "ELF\2\1\1"),
     NULL, 0, 0},
    {BYTES("%PDF-1.7"), NULL, 0, 0},
    {BYTES("<svg xmlns='http://www.w3.org/2000/svg'/>"), NULL, 0, 0},
    {BYTES(""), NULL, 0, 0},
};

static void known_headers(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(files); i++) {
        struct media m;
        bool found = media_sniff((const unsigned char *)files[i].data, files[i].len, &m);
        if (found != (files[i].type != NULL))
            fail_msg("file %zu: %s", i, found ? m.type : "nothing");
        if (!found)
            continue;
        assert_string_equal(m.type, files[i].type);
        assert_int_equal(m.width, files[i].width);
        assert_int_equal(m.height, files[i].height);
        assert_true(m.image != m.audio);
    }
}

/* Each beginning of each header, in memory that ends where it ends. */
static void cut_headers(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(files); i++)
        for (size_t len = 0; len <= files[i].len; len++) {
            unsigned char *copy = malloc(len ? len : 1);
            struct media m;
            assert_non_null(copy);
            memcpy(copy, files[i].data, len);
            media_sniff(copy, len, &m);
            free(copy);
        }
}

static void mp3_frames(void **state)
{
    unsigned char data[1000] = {0};
    struct media m;
    (void)state;
    memcpy(data, "\xff\xfb\x90\x00", 4); /* MPEG-1 layer III, 128 kbit/s, 44.1 kHz: 417 bytes */
    assert_false(media_sniff(data, sizeof data, &m));
    memcpy(data + 417, "\xff\xfb\x90\x00", 4);
    assert_true(media_sniff(data, sizeof data, &m));
    assert_string_equal(m.type, "audio/mpeg");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_headers),
        cmocka_unit_test(cut_headers),
        cmocka_unit_test(mp3_frames),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
