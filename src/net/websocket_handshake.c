/* WebSocket handshake: the one place that needs SHA-1 (RFC 6455 fixes it; it proves nothing secret, only that
 * the server speaks WebSocket). libsodium has no SHA-1 and a whole TLS library would be a dependency for 80
 * lines, so here they are: FIPS 180-4, section 6.1.2, for messages that fit two blocks. */
#include <sodium.h>
#include <string.h>

#include "net/server_internal.h"

static uint32_t rotate(uint32_t x, int by)
{
    return x << by | x >> (32 - by);
}

static void sha1_block(uint32_t h[5], const unsigned char *p)
{
    uint32_t w[80];
    for (int t = 0; t < 16; t++)
        w[t] = (uint32_t)p[4 * t] << 24 | (uint32_t)p[4 * t + 1] << 16 | (uint32_t)p[4 * t + 2] << 8 |
               p[4 * t + 3];
    for (int t = 16; t < 80; t++)
        w[t] = rotate(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1);
    uint32_t a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
    for (int t = 0; t < 80; t++) {
        uint32_t f, k;
        if (t < 20) {
            f = (b & c) | (~b & d);
            k = 0x5a827999;
        } else if (t < 40) {
            f = b ^ c ^ d;
            k = 0x6ed9eba1;
        } else if (t < 60) {
            f = (b & c) | (b & d) | (c & d);
            k = 0x8f1bbcdc;
        } else {
            f = b ^ c ^ d;
            k = 0xca62c1d6;
        }
        uint32_t next = rotate(a, 5) + f + e + k + w[t];
        e = d;
        d = c;
        c = rotate(b, 30);
        b = a;
        a = next;
    }
    h[0] += a;
    h[1] += b;
    h[2] += c;
    h[3] += d;
    h[4] += e;
}

/* len <= 119: with its padding it fits two blocks. */
static void sha1_short(const char *text, size_t len, unsigned char out[20])
{
    unsigned char block[128] = {0};
    uint32_t h[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    size_t total = len + 9 <= 64 ? 64 : 128;
    memcpy(block, text, len);
    block[len] = 0x80;
    block[total - 2] = (unsigned char)(len * 8 >> 8);
    block[total - 1] = (unsigned char)(len * 8);
    for (size_t i = 0; i < total; i += 64)
        sha1_block(h, block + i);
    for (int i = 0; i < 20; i++)
        out[i] = (unsigned char)(h[i / 4] >> (24 - 8 * (i % 4)));
}

bool websocket_accept_key(const char *key, char out[29])
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    unsigned char nonce[16], digest[20];
    char text[24 + sizeof guid];
    size_t len;
    if (strlen(key) != 24 ||
        sodium_base642bin(nonce, sizeof nonce, key, 24, NULL, &len, NULL, sodium_base64_VARIANT_ORIGINAL) !=
            0 ||
        len != sizeof nonce)
        return false;
    memcpy(text, key, 24);
    memcpy(text + 24, guid, sizeof guid);
    sha1_short(text, sizeof text - 1, digest);
    sodium_bin2base64(out, 29, digest, sizeof digest, sodium_base64_VARIANT_ORIGINAL);
    return true;
}
