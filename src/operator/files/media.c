/* Media: see the header. A reader that has run past its end gives zeros and says so: no check is forgotten.
 */
#include "operator/files/media.h"

#include <string.h>

struct bytes {
    const unsigned char *data;
    size_t len;
};

static unsigned at(const struct bytes *b, size_t i)
{
    return i < b->len ? b->data[i] : 0;
}

static bool is(const struct bytes *b, size_t i, const char *want, size_t n)
{
    return i <= b->len && n <= b->len - i && memcmp(b->data + i, want, n) == 0;
}

static uint32_t big16(const struct bytes *b, size_t i)
{
    return at(b, i) << 8 | at(b, i + 1);
}

static uint32_t big32(const struct bytes *b, size_t i)
{
    return big16(b, i) << 16 | big16(b, i + 2);
}

static uint32_t little16(const struct bytes *b, size_t i)
{
    return at(b, i) | at(b, i + 1) << 8;
}

static uint32_t little24(const struct bytes *b, size_t i)
{
    return little16(b, i) | at(b, i + 2) << 16;
}

static bool image(struct media *out, const char *type, uint32_t width, uint32_t height)
{
    bool sane = width > 0 && height > 0 && width <= INT32_MAX && height <= INT32_MAX;
    *out =
        (struct media){.image = true, .type = type, .width = sane ? width : 0, .height = sane ? height : 0};
    return true;
}

static bool sound(struct media *out, const char *type)
{
    *out = (struct media){.audio = true, .type = type};
    return true;
}

/* Segments up to the frame's header (SOF), which has the size. */
static bool jpeg(const struct bytes *b, struct media *out)
{
    size_t i = 2;
    uint32_t width = 0, height = 0;
    while (i + 4 <= b->len && at(b, i) == 0xff) {
        unsigned marker = at(b, i + 1);
        if (marker == 0xff) { /* filling */
            i++;
            continue;
        }
        bool alone = marker == 0x01 || (marker >= 0xd0 && marker <= 0xd8);
        bool frame = marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
        uint32_t length = alone ? 0 : big16(b, i + 2);
        if (marker == 0xda || marker == 0xd9 || (!alone && length < 2))
            break;
        if (frame && i + 9 <= b->len) {
            height = big16(b, i + 5);
            width = big16(b, i + 7);
            break;
        }
        i += 2 + length;
    }
    return image(out, "image/jpeg", width, height);
}

static bool webp(const struct bytes *b, struct media *out)
{
    static const char type[] = "image/webp";
    if (is(b, 12, "VP8X", 4))
        return image(out, type, little24(b, 24) + 1, little24(b, 27) + 1);
    if (is(b, 12, "VP8L", 4) && at(b, 20) == 0x2f) {
        uint32_t bits = little16(b, 21) | little16(b, 23) << 16;
        return image(out, type, (bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1);
    }
    if (is(b, 12, "VP8 ", 4) && is(b, 23, "\x9d\x01\x2a", 3))
        return image(out, type, little16(b, 26) & 0x3fff, little16(b, 28) & 0x3fff);
    return image(out, type, 0, 0);
}

/* A page of Ogg may hold pictures too: the first packet says. */
static bool ogg(const struct bytes *b, struct media *out)
{
    size_t packet = 27 + at(b, 26);
    if (is(b, packet, "OpusHead", 8) || is(b, packet, "\x01vorbis", 7) ||
        is(b, packet,
           "\x7f"
           "FLAC",
           5) ||
        is(b, packet, "Speex   ", 8))
        return sound(out, "audio/ogg");
    return false;
}

/* Bytes of the frame of MPEG layer III that begins here; 0: none does. */
static size_t mp3_frame(const struct bytes *b, size_t i)
{
    static const unsigned short rates1[15] = {0,   32,  40,  48,  56,  64,  80, 96,
                                              112, 128, 160, 192, 224, 256, 320};
    static const unsigned short rates2[15] = {0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160};
    static const unsigned samples[3] = {44100, 48000, 32000};
    unsigned second = at(b, i + 1), third = at(b, i + 2);
    unsigned version = second >> 3 & 3, layer = second >> 1 & 3, rate = third >> 4, sample = third >> 2 & 3;
    if (i + 4 > b->len || at(b, i) != 0xff || (second & 0xe0) != 0xe0 || version == 1 || layer != 1 ||
        rate == 0 || rate == 15 || sample == 3)
        return 0;
    unsigned per_second = samples[sample] >> (version == 3 ? 0 : version == 2 ? 1 : 2);
    unsigned kbits = version == 3 ? rates1[rate] : rates2[rate];
    return (version == 3 ? 144u : 72u) * kbits * 1000u / per_second + (third >> 1 & 1);
}

/* One frame's header is 11 bits that say little: the next must stand where the first one ends. */
static bool mp3(const struct bytes *b, struct media *out)
{
    if (is(b, 0, "ID3", 3) && at(b, 3) < 0xff && at(b, 4) < 0xff &&
        ((at(b, 6) | at(b, 7) | at(b, 8) | at(b, 9)) & 0x80) == 0 && b->len >= 10)
        return sound(out, "audio/mpeg");
    size_t first = mp3_frame(b, 0);
    return first > 0 && mp3_frame(b, first) > 0 && sound(out, "audio/mpeg");
}

/* An MP4 whose brands say that it is sound. */
static bool m4a(const struct bytes *b, struct media *out)
{
    uint32_t size = big32(b, 0);
    if (!is(b, 4, "ftyp", 4) || size < 16 || size > 4096)
        return false;
    for (size_t i = 8; i + 4 <= size && i + 4 <= b->len; i += i == 8 ? 8 : 4) /* past the minor version */
        if (is(b, i, "M4A ", 4) || is(b, i, "M4B ", 4))
            return sound(out, "audio/mp4");
    return false;
}

bool media_sniff(const unsigned char *head, size_t len, struct media *out)
{
    struct bytes b = {head, len};
    memset(out, 0, sizeof *out);
    if (is(&b, 0, "\x89PNG\r\n\x1a\n", 8) && is(&b, 12, "IHDR", 4))
        return image(out, "image/png", big32(&b, 16), big32(&b, 20));
    if (is(&b, 0, "\xff\xd8\xff", 3))
        return jpeg(&b, out);
    if (is(&b, 0, "GIF87a", 6) || is(&b, 0, "GIF89a", 6))
        return image(out, "image/gif", little16(&b, 6), little16(&b, 8));
    if (is(&b, 0, "RIFF", 4) && is(&b, 8, "WEBP", 4))
        return webp(&b, out);
    if (is(&b, 0, "RIFF", 4) && is(&b, 8, "WAVE", 4))
        return sound(out, "audio/wav");
    if (is(&b, 0, "fLaC", 4))
        return sound(out, "audio/flac");
    if (is(&b, 0, "OggS", 4))
        return ogg(&b, out);
    return m4a(&b, out) || mp3(&b, out);
}
