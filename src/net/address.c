/* The ranges are those of IANA's special-purpose registries (RFC 6890 and its successors) that are not
 * globally reachable. */
#include "net/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/str.h"

struct range4 {
    uint32_t base;
    unsigned bits;
};

static const struct range4 ranges4[] = {
    {0x00000000, 8},  /* this network */
    {0x0a000000, 8},  /* private */
    {0x64400000, 10}, /* shared, behind carriers */
    {0x7f000000, 8},  /* loopback */
    {0xa9fe0000, 16}, /* link-local: metadata of clouds */
    {0xac100000, 12}, /* private */
    {0xc0000000, 24}, /* protocol assignments */
    {0xc0000200, 24}, /* documentation */
    {0xc0586300, 24}, /* 6to4 relays */
    {0xc0a80000, 16}, /* private */
    {0xc6120000, 15}, /* benchmarks */
    {0xc6336400, 24}, /* documentation */
    {0xcb007100, 24}, /* documentation */
    {0xe0000000, 4},  /* multicast */
    {0xf0000000, 4},  /* reserved, broadcast */
};

static bool is_public4(uint32_t address)
{
    for (size_t i = 0; i < COUNT_OF(ranges4); i++)
        if ((address ^ ranges4[i].base) >> (32 - ranges4[i].bits) == 0)
            return false;
    return true;
}

static uint32_t read4(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Only 2000::/3 is given out; what carries an IPv4 address is as public as that is. */
static bool is_public6(const uint8_t *a)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    static const uint8_t nat64[12] = {0x00, 0x64, 0xff, 0x9b};
    if (memcmp(a, mapped, 12) == 0 || memcmp(a, nat64, 12) == 0)
        return is_public4(read4(a + 12));
    if ((a[0] & 0xe0) != 0x20)
        return false;
    if (a[0] == 0x20 && a[1] == 0x02) /* 6to4 */
        return is_public4(read4(a + 2));
    if (a[0] == 0x20 && a[1] == 0x01 && (a[2] & 0xfe) == 0) /* protocol assignments, Teredo among them */
        return false;
    return !(a[0] == 0x20 && a[1] == 0x01 && a[2] == 0x0d && a[3] == 0xb8); /* documentation */
}

bool address_is_public(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, address, sizeof in);
        return is_public4(ntohl(in.sin_addr.s_addr));
    }
    if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 in;
        memcpy(&in, address, sizeof in);
        return is_public6(in.sin6_addr.s6_addr);
    }
    return false;
}

bool address_text_is_public(const char *text, bool *numeric)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    char plain[64];
    size_t len = strcspn(text, "%"); /* without a zone */
    bool is4 = inet_pton(AF_INET, text, &in.sin_addr) == 1, is6 = false;
    if (!is4 && len < sizeof plain) {
        memcpy(plain, text, len);
        plain[len] = '\0';
        is6 = inet_pton(AF_INET6, plain, &in6.sin6_addr) == 1;
    }
    if (numeric)
        *numeric = is4 || is6;
    return is4   ? address_is_public((const struct sockaddr *)(const void *)&in)
           : is6 ? address_is_public((const struct sockaddr *)(const void *)&in6)
                 : false;
}
