/* Vacuum: free pages back to the file system, the log into the file, a file made anew. Private to
 * store/maintain. */
#ifndef VX11_STORE_MAINTAIN_VACUUM_H
#define VX11_STORE_MAINTAIN_VACUUM_H

#include "store/maintain/hold.h"

/* At most so many free pages (-1: all), in short transactions. The file gets shorter with the next
 * checkpoint. *freed: how many. */
int vacuum_pages(struct hold *h, int64_t at_most, int64_t *freed, struct error *err);

struct checkpoint_result {
    int64_t log_pages; /* that were in the log; -1: nobody knows */
    int64_t moved;     /* of these, that are in the file now */
    bool emptied;      /* the log has no length any more */
    double longest_ms; /* that others had to wait at a stretch */
};
/* Moves the log into the file and empties it. Readers that need it are waited for a little, and then left in
 * peace: that is no failure. */
int vacuum_checkpoint(struct store *s, const volatile bool *stop, struct checkpoint_result *out,
                      struct error *err);
/* VACUUM: everybody else must be away. folder: where its temporary file goes. */
int vacuum_whole(struct store *s, const char *folder, const volatile bool *stop, struct error *err);

#endif
