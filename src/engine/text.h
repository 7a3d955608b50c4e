/* Text: what a sequence's tokens spell, let out in pieces that are safe to show.
 *
 *   token bytes ─> partial ─> held ─> out
 *                  a character  what may yet become
 *                  cut in half  a stop string
 *
 * No piece ends inside a character, bytes that are not UTF-8 become U+FFFD, and nothing of a stop string is
 * ever let out, however its characters are spread over tokens. */
#ifndef VX11_ENGINE_TEXT_H
#define VX11_ENGINE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

struct text {
    const char *const *stops; /* stop_count non-empty strings of valid UTF-8, borrowed */
    size_t stop_count;
    char partial[4];
    size_t partial_len;
    struct buf held;
    size_t total;    /* bytes of text so far, let out or held */
    bool stopped;    /* a stop string was found: nothing comes any more */
    const char *met; /* that one, of stops; NULL: none yet */
};

void text_init(struct text *t, const char *const *stops, size_t stop_count);
void text_free(struct text *t);
/* Takes the bytes of one token and appends to out what can be shown now. Returns 0 or VX11_ENOMEM; t->stopped
 * says whether a stop string was completed (what stood before it was appended). */
int text_feed(struct text *t, const char *bytes, size_t len, struct buf *out);
/* No more tokens come: appends what was held back, a character cut in half as U+FFFD. 0 or VX11_ENOMEM. */
int text_finish(struct text *t, struct buf *out);
/* Bytes of text that were let out so far. */
size_t text_shown(const struct text *t);

#endif
