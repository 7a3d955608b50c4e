/* ULID: 48 bits of milliseconds and 80 random bits in 26 Crockford base32 characters; sorts by time, and
 * within one process strictly increases (the random part is incremented inside one millisecond). */
#ifndef VX11_BASE_ULID_H
#define VX11_BASE_ULID_H

#include <stdbool.h>
#include <stdint.h>

#define ULID_LEN 26

/* Writes 26 characters and NUL. Thread-safe. */
char *ulid_make(char out[ULID_LEN + 1]);
bool ulid_valid(const char *s);      /* exactly 26 upper-case Crockford characters, first <= '7' */
int64_t ulid_time_ms(const char *s); /* -1 when not valid */
/* Cryptographic random bytes (getrandom); aborts the process if the kernel cannot give any. */
void random_bytes(void *out, unsigned len);

#endif
