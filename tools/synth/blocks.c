/* Blocks: rows of random weights, written straight in the types' own layout: the quants are the random bits
 * themselves, the scales are chosen so that the weights get the wanted spread and the mean 0. That is as fast
 * as the disk, where making floats and quantising them would take minutes.
 *
 * Layouts: ggml-common.h of llama.cpp. */
#include "synth.h"

#include <math.h>
#include <string.h>

enum { SMALL = 32, SUPER = 256 };

uint64_t block_columns(int type)
{
    switch (type) {
    case WEIGHT_Q4_0:
    case WEIGHT_Q8_0:
        return SMALL;
    case WEIGHT_Q4_K:
    case WEIGHT_Q6_K:
        return SUPER;
    default:
        return 1;
    }
}

size_t row_bytes(int type, uint64_t columns)
{
    switch (type) {
    case WEIGHT_F32:
        return columns * 4;
    case WEIGHT_F16:
        return columns * 2;
    case WEIGHT_Q4_0:
        return columns / SMALL * (2 + SMALL / 2);
    case WEIGHT_Q8_0:
        return columns / SMALL * (2 + SMALL);
    case WEIGHT_Q4_K:
        return columns / SUPER * (4 + 12 + SUPER / 2);
    default: /* WEIGHT_Q6_K */
        return columns / SUPER * (SUPER / 2 + SUPER / 4 + SUPER / 16 + 2);
    }
}

/* splitmix64 (Steele, Lea, Flood 2014): any seed is good, also neighbours. */
static uint64_t mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

uint64_t random_seed(uint64_t seed, uint64_t stream, uint64_t row)
{
    uint64_t s = mix(mix(mix(seed) ^ stream) ^ row);
    return s ? s : 1;
}

/* xorshift64*: Marsaglia 2003, Vigna 2016. */
static uint64_t random_next(uint64_t *s)
{
    *s ^= *s >> 12;
    *s ^= *s << 25;
    *s ^= *s >> 27;
    return *s * 2685821657736338717u;
}

static void random_fill(uint64_t *s, unsigned char *out, size_t n)
{
    for (size_t at = 0; at < n; at += 8) {
        uint64_t r = random_next(s);
        memcpy(out + at, &r, n - at < 8 ? n - at : 8);
    }
}

/* A float as IEEE half precision, rounded down; too small ones become 0. */
static uint16_t half_of(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    uint32_t sign = bits >> 16 & 0x8000;
    int exponent = (int)(bits >> 23 & 0xff) - 127 + 15;
    if (exponent > 30)
        fail("a weight does not fit half precision");
    if (exponent < 1) /* subnormal */
        return (uint16_t)(sign | (exponent < -9 ? 0 : (0x400 | (bits >> 13 & 0x3ff)) >> (1 - exponent)));
    return (uint16_t)(sign | (uint32_t)exponent << 10 | (bits >> 13 & 0x3ff));
}

static void put_half(unsigned char *at, float f)
{
    uint16_t h = half_of(f);
    memcpy(at, &h, sizeof h);
}

/* Uniform in ±size·√3, which has the standard deviation `size`. */
static float uniform(uint64_t *s, float size)
{
    return ((float)(random_next(s) >> 40) / 8388608.0f - 1.0f) * size * 1.7320508f;
}

static void plain_fill(unsigned char *row, int type, uint64_t columns, float size, uint64_t *random)
{
    for (uint64_t i = 0; i < columns; i++) {
        float f = uniform(random, size);
        if (type == WEIGHT_F32)
            memcpy(row + i * 4, &f, sizeof f);
        else
            put_half(row + i * 2, f);
    }
}

/* weight = d·q, q signed and uniform: -8…7 (standard deviation 4.61) or -128…127 (73.9). The half too much
 * below 0 is a bias of a ninth and a hundred and fiftieth of it, against which d's sign alternates at
 * random. */
static void small_fill(unsigned char *row, int type, uint64_t columns, float size, uint64_t *random)
{
    size_t quants = type == WEIGHT_Q8_0 ? SMALL : SMALL / 2;
    uint16_t scale = half_of(size / (type == WEIGHT_Q8_0 ? 73.9f : 4.61f));
    for (uint64_t n = columns / SMALL; n > 0; n--, row += 2 + quants) {
        random_fill(random, row + 2, quants);
        uint16_t signed_scale = (uint16_t)(scale | (row[2] & 1) << 15);
        memcpy(row, &signed_scale, sizeof signed_scale);
    }
}

/* weight = d·s·q - m·t, q of 0…15, s and t of six bits for each 32 weights. All s are 48 and all t too, and m
 * is 7.5 d, the mean of q: twelve bytes that pack eight of each (get_scale_min_k4). */
static void q4_k_fill(unsigned char *row, uint64_t columns, float size, uint64_t *random)
{
    /* 0…3: low six bits s, top two of 4…7's; 4…7: the same of t; 8…11: low four of 4…7's s and t */
    static const unsigned char scales[12] = {0xf0, 0xf0, 0xf0, 0xf0, 0xf0, 0xf0, 0xf0, 0xf0, 0, 0, 0, 0};
    float d = size / 4.61f / 48;
    for (uint64_t n = columns / SUPER; n > 0; n--, row += 4 + 12 + SUPER / 2) {
        put_half(row, d);
        put_half(row + 2, d * 7.5f);
        memcpy(row + 4, scales, sizeof scales);
        random_fill(random, row + 16, SUPER / 2);
    }
}

/* weight = d·s·(q - 32), q of 0…63 (18.5), a signed s for each 16 weights. */
static void q6_k_fill(unsigned char *row, uint64_t columns, float size, uint64_t *random)
{
    float d = size / 18.5f / 64;
    enum { QUANTS = SUPER / 2 + SUPER / 4, SCALES = SUPER / 16 };
    for (uint64_t n = columns / SUPER; n > 0; n--, row += QUANTS + SCALES + 2) {
        random_fill(random, row, QUANTS);
        for (size_t i = 0; i < SCALES; i++) /* 64 or -64 */
            row[QUANTS + i] = i % 2 ? 64 : 192;
        put_half(row + QUANTS + SCALES, d);
    }
}

void row_fill(void *row, int type, uint64_t columns, float size, uint64_t random)
{
    switch (type) {
    case WEIGHT_Q4_0:
    case WEIGHT_Q8_0:
        small_fill(row, type, columns, size, &random);
        break;
    case WEIGHT_Q4_K:
        q4_k_fill(row, columns, size, &random);
        break;
    case WEIGHT_Q6_K:
        q6_k_fill(row, columns, size, &random);
        break;
    default:
        plain_fill(row, type, columns, size, &random);
        break;
    }
}
