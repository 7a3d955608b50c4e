/* Tokens: how many a text has, when nobody who knows can be asked.
 *
 * An estimate, never an exact number, and whoever passes one on marks it as such. The rule, by what the
 * byte-pair vocabularies in use make of a text:
 *
 *   Latin letters, digits, spaces      a token for every 4 characters, and at least one for every word
 *   other ASCII (punctuation)          a token for every 2 characters
 *   letters beyond ASCII               a token for every 2 characters
 *   Chinese, Japanese, Korean, emoji   a token for every character
 *   each message                       4 more; each image 1600
 *
 * It errs a little on the high side, so that what is reserved by it suffices. */
#ifndef VX11_BASE_TOKENS_H
#define VX11_BASE_TOKENS_H

#include <stddef.h>
#include <stdint.h>

enum { TOKENS_OF_MESSAGE = 4, TOKENS_OF_IMAGE = 1600 };

int64_t tokens_estimate_text(const char *text, size_t len);

#endif
