/* Fault VFS: SQLite's own file layer, with one operation that fails on request. */
#ifndef VX11_TESTS_STORE_FAULT_VFS_H
#define VX11_TESTS_STORE_FAULT_VFS_H

#include <stdbool.h>

#define FAULT_OPEN     1u
#define FAULT_WRITE    2u
#define FAULT_SYNC     4u
#define FAULT_TRUNCATE 8u
#define FAULT_SHM      16u /* mapping of the log's index */
#define FAULT_READ     32u
#define FAULT_ALL      63u

/* Becomes the default for every connection opened from now on. */
void fault_install(void);
/* The nth operation (from 1) of these kinds fails with `code` (SQLITE_IOERR_…, SQLITE_FULL); and all after it
 * when lasting. */
void fault_arm(unsigned kinds, long nth, int code, bool lasting);
/* Returns how many operations were failed. */
long fault_disarm(void);

#endif
