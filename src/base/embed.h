/* One file that travels inside the binary. The tables of them are generated:
 * "embed/sql.h" and "embed/web.h" (see cmake/Embed.cmake). */
#ifndef VX11_BASE_EMBED_H
#define VX11_BASE_EMBED_H

#include <stddef.h>

struct embed_file {
    const char *name;          /* path below the embedded directory, '/' between parts */
    const unsigned char *data; /* size bytes, then one zero byte that size does not count */
    size_t size;
};

#endif
