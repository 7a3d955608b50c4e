/* Pack: a .tar.zst that is written to its end or not at all. The file has no name until it is whole: what
 * breaks off (a full disk, a signal) leaves nothing behind.
 *
 * tar is POSIX ustar, which every tar reads: a block of 512 bytes before each file, its content padded to
 * blocks, two empty blocks at the end. */
#ifndef VX11_CLI_FORENSIC_PACK_H
#define VX11_CLI_FORENSIC_PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct pack;
/* path: where it will be, 0600; folder: every name in it begins with this. With replace a file of that name
 * goes; else it is VX11_EEXISTS. */
int pack_begin(const char *path, const char *folder, bool replace, int64_t now_ms, struct pack **out,
               struct error *err);
/* name: at most 155 - strlen(folder) characters, of them at most 99 after the last '/'. sha256 (hex) may be
 * NULL. VX11_EFULL, VX11_EIO. */
int pack_add(struct pack *p, const char *name, const void *data, size_t len, char sha256[65],
             struct error *err);
/* Ends the archive, makes it durable and gives it its name. */
int pack_finish(struct pack *p, uint64_t *bytes, char sha256[65], struct error *err);
void pack_free(struct pack *p); /* NULL is fine */

#endif
