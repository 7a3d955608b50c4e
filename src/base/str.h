/* Strings: checks and conversions on text from outside. */
#ifndef VX11_BASE_STR_H
#define VX11_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

bool str_eq(const char *a, const char *b); /* NULL equals only NULL */
bool str_starts(const char *s, const char *prefix);
bool str_ends(const char *s, const char *suffix);

/* Whole string must be a number in range. 0, VX11_ESYNTAX or VX11_ERANGE. */
int str_to_i64(const char *s, int64_t min, int64_t max, int64_t *out);
int str_to_f64(const char *s, double *out); /* finite only, locale-independent */
/* true/false/1/0/yes/no/on/off, any case: the one parser of truth values. */
int str_to_bool(const char *s, bool *out);
/* "4096", "64k", "8 MiB", "1.5GB" (powers of 1024 either way) -> bytes; "250ms", "30s", "5m", "2h", "7d" ->
 * milliseconds. */
int str_to_bytes(const char *s, uint64_t *out);
int str_to_duration_ms(const char *s, int64_t *out);

/* Length of the longest valid UTF-8 prefix of s (no overlongs, surrogates, > U+10FFFF); == len when all
 * valid. */
size_t utf8_valid_prefix(const char *s, size_t len);
bool utf8_valid(const char *s, size_t len);
/* How many trailing bytes of s belong to a character that is not complete yet (0-3); only meaningful for a
 * valid prefix. */
size_t utf8_incomplete_tail(const char *s, size_t len);
size_t utf8_count(const char *s, size_t len); /* code points in valid UTF-8 */
/* First character of s (len >= 1): its bytes (1-4), or minus the bytes (1-3) of the longest malformed piece,
 * which one U+FFFD replaces. */
int utf8_next(const char *s, size_t len);

/* Levenshtein distance, ASCII case-insensitive, bounded: returns limit + 1 as soon as it is larger. */
unsigned str_distance(const char *a, const char *b, unsigned limit);
/* Nearest names to `want` among `names` (n): by distance, substring matches count as near. Writes up to `max`
 * indices, returns how many. */
size_t str_nearest(const char *want, const char *const *names, size_t n, size_t *out, size_t max);

/* Human sizes and durations into out: "3.7 MB", "1.2 s". Return out. */
char *str_format_bytes(uint64_t bytes, char out[24]);
char *str_format_duration(int64_t ms, char out[24]);

/* Lower-case hex of data into out (2*len+1 bytes); and back (VX11_ESYNTAX). */
void hex_encode(const void *data, size_t len, char *out);
int hex_decode(const char *hex, void *out, size_t out_len);

#endif
