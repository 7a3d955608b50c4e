/* What the files of this part share. */
#ifndef VX11_OPERATOR_FILES_INTERNAL_H
#define VX11_OPERATOR_FILES_INTERNAL_H

#include <dirent.h>
#include <uv.h>

#include "base/ulid.h"
#include "operator/files/files.h"

struct upload;

struct files {
    struct operator_ *o;
    struct store *store;
    uv_timer_t timer;
    bool closing;
    int folder;             /* descriptor of the folder, which everything is opened beneath */
    DIR *sweep;             /* while the folder is being looked through */
    int64_t arriving;       /* bytes of bodies that are being written now */
    struct upload *uploads; /* that run */
};

const struct config_operator_files *files_config(const struct files *f);
/* upload.c: whether this file is being stored now: it has no row yet. */
bool upload_is(const struct files *f, const char *content_id);

/* A file's row by its id; VX11_ENOT_FOUND. content_id: its name on the disk. */
int file_find(struct files *f, struct arena *a, const char *id, struct operator_file *out,
              char content_id[ULID_LEN + 1], struct error *err);
/* Its content, at most `most` bytes of it; appends to out. */
int file_read(struct files *f, const char *content_id, size_t most, struct buf *out, struct error *err);
/* Bytes on the disk, each content once. */
int files_total(struct files *f, int64_t *out, struct error *err);

#endif
