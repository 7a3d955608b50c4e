/* Media: what a file is, from its first bytes. Reads nothing past what it is given, whatever is in it. */
#ifndef VX11_OPERATOR_MEDIA_H
#define VX11_OPERATOR_MEDIA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MEDIA_HEAD 262144 /* bytes that media_sniff wants of a file, where it has so many */

struct media {
    bool image, audio;      /* one of them */
    const char *type;       /* "image/png" */
    uint32_t width, height; /* pixels of an image; 0: not found in these bytes */
};

/* PNG, JPEG, GIF, WebP; WAV, FLAC, Ogg (Vorbis, Opus, FLAC, Speex), MP3, M4A. false: none of them. */
bool media_sniff(const unsigned char *head, size_t len, struct media *out);

#endif
