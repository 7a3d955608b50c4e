/* Fault VFS: each call goes on to the real VFS unless its turn to fail has come. Counters are atomic, because
 * the writer's thread comes through here too. */
#include "fault_vfs.h"

#include <stdatomic.h>
#include <stdlib.h>

#include <sqlite3.h>

struct fault_file {
    sqlite3_file base;
    sqlite3_file *real; /* right behind this struct */
};

static sqlite3_vfs *real_vfs;
static sqlite3_vfs fault_vfs;
static atomic_uint fault_kinds;
static atomic_long fault_turn, fault_hits; /* turn: operations to go */
static atomic_int fault_code;
static atomic_bool fault_lasting;

void fault_arm(unsigned kinds, long nth, int code, bool lasting)
{
    fault_hits = 0;
    fault_turn = nth;
    fault_code = code;
    fault_lasting = lasting;
    fault_kinds = kinds;
}

long fault_disarm(void)
{
    fault_kinds = 0;
    return fault_hits;
}

/* SQLITE_OK, or the error to give. */
static int fault_due(unsigned kind)
{
    if (!(fault_kinds & kind))
        return SQLITE_OK;
    long left = atomic_fetch_sub(&fault_turn, 1) - 1;
    if (left > 0 || (left < 0 && !fault_lasting))
        return SQLITE_OK;
    fault_hits++;
    return fault_code;
}

static sqlite3_file *real_of(sqlite3_file *f)
{
    return ((struct fault_file *)f)->real;
}

static int file_close(sqlite3_file *f)
{
    return real_of(f)->pMethods->xClose(real_of(f));
}

static int file_read(sqlite3_file *f, void *to, int len, sqlite3_int64 at)
{
    int rc = fault_due(FAULT_READ);
    return rc ? SQLITE_IOERR_READ : real_of(f)->pMethods->xRead(real_of(f), to, len, at);
}

static int file_write(sqlite3_file *f, const void *from, int len, sqlite3_int64 at)
{
    int rc = fault_due(FAULT_WRITE);
    /* Half of it gets there, as on a real disk. */
    if (rc && len > 1)
        real_of(f)->pMethods->xWrite(real_of(f), from, len / 2, at);
    return rc ? rc : real_of(f)->pMethods->xWrite(real_of(f), from, len, at);
}

static int file_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    int rc = fault_due(FAULT_TRUNCATE);
    return rc ? SQLITE_IOERR_TRUNCATE : real_of(f)->pMethods->xTruncate(real_of(f), size);
}

static int file_sync(sqlite3_file *f, int flags)
{
    int rc = fault_due(FAULT_SYNC);
    return rc ? SQLITE_IOERR_FSYNC : real_of(f)->pMethods->xSync(real_of(f), flags);
}

static int file_file_size(sqlite3_file *f, sqlite3_int64 *size)
{
    return real_of(f)->pMethods->xFileSize(real_of(f), size);
}

static int file_lock(sqlite3_file *f, int level)
{
    return real_of(f)->pMethods->xLock(real_of(f), level);
}

static int file_unlock(sqlite3_file *f, int level)
{
    return real_of(f)->pMethods->xUnlock(real_of(f), level);
}

static int file_check_lock(sqlite3_file *f, int *out)
{
    return real_of(f)->pMethods->xCheckReservedLock(real_of(f), out);
}

static int file_control(sqlite3_file *f, int op, void *arg)
{
    return real_of(f)->pMethods->xFileControl(real_of(f), op, arg);
}

static int file_sector_size(sqlite3_file *f)
{
    return real_of(f)->pMethods->xSectorSize(real_of(f));
}

static int file_characteristics(sqlite3_file *f)
{
    return real_of(f)->pMethods->xDeviceCharacteristics(real_of(f));
}

static int file_shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **out)
{
    int rc = fault_due(FAULT_SHM);
    return rc ? SQLITE_IOERR_SHMMAP : real_of(f)->pMethods->xShmMap(real_of(f), page, size, extend, out);
}

static int file_shm_lock(sqlite3_file *f, int offset, int n, int flags)
{
    return real_of(f)->pMethods->xShmLock(real_of(f), offset, n, flags);
}

static void file_shm_barrier(sqlite3_file *f)
{
    real_of(f)->pMethods->xShmBarrier(real_of(f));
}

static int file_shm_unmap(sqlite3_file *f, int delete_it)
{
    return real_of(f)->pMethods->xShmUnmap(real_of(f), delete_it);
}

static const sqlite3_io_methods methods = {
    .iVersion = 2, /* no memory mapping of the file itself */
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_check_lock,
    .xFileControl = file_control,
    .xSectorSize = file_sector_size,
    .xDeviceCharacteristics = file_characteristics,
    .xShmMap = file_shm_map,
    .xShmLock = file_shm_lock,
    .xShmBarrier = file_shm_barrier,
    .xShmUnmap = file_shm_unmap,
};

static int vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *out_flags)
{
    (void)vfs;
    struct fault_file *file = (struct fault_file *)f;
    f->pMethods = NULL;
    if (fault_due(FAULT_OPEN))
        return SQLITE_CANTOPEN;
    file->real = (sqlite3_file *)(file + 1);
    int rc = real_vfs->xOpen(real_vfs, name, file->real, flags, out_flags);
    if (rc == SQLITE_OK)
        f->pMethods = &methods;
    return rc;
}

void fault_install(void)
{
    sqlite3_initialize();
    real_vfs = sqlite3_vfs_find(NULL);
    fault_vfs = *real_vfs;
    fault_vfs.zName = "fault";
    fault_vfs.pNext = NULL;
    fault_vfs.szOsFile = (int)sizeof(struct fault_file) + real_vfs->szOsFile;
    fault_vfs.xOpen = vfs_open;
    if (sqlite3_vfs_register(&fault_vfs, 1) != SQLITE_OK)
        abort();
}
