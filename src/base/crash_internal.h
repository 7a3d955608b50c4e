/* Crash, inside: async-signal-safe output and the map of the process. Not for use outside base. */
#ifndef VX11_BASE_CRASH_INTERNAL_H
#define VX11_BASE_CRASH_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Text gathered in the caller's buffer; written to fd when full or flushed. With fd -1 what does not fit is
 * dropped. */
struct crash_out {
    int fd;
    char *buffer;
    size_t cap, len;
};
void crash_write(int fd, const char *data, size_t len);
void crash_flush(struct crash_out *o);
void crash_put(struct crash_out *o, const char *text);
void crash_put_dec(struct crash_out *o, int64_t value);
void crash_put_hex(struct crash_out *o, uintptr_t value); /* without 0x */

enum { CRASH_MAP_MAX = 512 };
struct crash_map {
    size_t n;
    struct crash_area {
        uintptr_t start, end;
        uintptr_t base; /* where the file's first byte is mapped: what offsets count from */
        char name[48];  /* of the file, without its folders */
        char path[256]; /* the file; "" when it is longer */
        bool readable, wanted;
    } areas[CRASH_MAP_MAX];
};
/* Reads /proc/self/maps. Async-signal-safe. Empty when /proc is missing. */
void crash_map_read(struct crash_map *map);
/* "libc.so.6+0x1234", or "?" for an address outside of every file. */
void crash_put_place(struct crash_out *o, const struct crash_map *map, uintptr_t address);

/* Remembers that the file of this address is to be among crash_put_files. */
void crash_map_want(struct crash_map *map, uintptr_t address);
/* A line "  NAME BUILDID PATH" for each such file; "-" where it has no build id. Reads its first page in
 * memory. */
void crash_put_files(struct crash_out *o, const struct crash_map *map);

/* The executable's GNU build id in hex; "unknown" when the linker wrote none. Not async-signal-safe. */
void crash_build_id(char *out, size_t size);

#endif
