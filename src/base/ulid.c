/* ULID: 48 bits of time and 80 random bits. Inside one millisecond (and when the clock steps back) the random
 * part is incremented instead of drawn anew, so that ids of one process strictly increase and sort by the
 * order of creation. A forked child draws anew: it must not continue its parent's sequence. */
#include "base/ulid.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/clock.h"

static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

static struct {
    pthread_mutex_t lock;
    pid_t pid;
    uint64_t ms;
    uint8_t random[10];
} ulid_state = {.lock = PTHREAD_MUTEX_INITIALIZER};

void random_bytes(void *out, unsigned len)
{
    unsigned char *p = out;
    while (len > 0) {
        ssize_t n = getrandom(p, len, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            static const char text[] = "vx11: the kernel gives no random bytes\n";
            (void)!write(STDERR_FILENO, text, sizeof text - 1);
            abort();
        }
        p += n;
        len -= (unsigned)n;
    }
}

/* Adds one to the 80-bit number; false when it wrapped around. */
static bool increment(uint8_t n[10])
{
    for (int i = 9; i >= 0; i--) {
        if (++n[i] != 0)
            return true;
    }
    return false;
}

static void encode(uint64_t ms, const uint8_t random[10], char out[ULID_LEN + 1])
{
    for (int i = 9; i >= 0; i--, ms >>= 5)
        out[i] = alphabet[ms & 31];
    /* 80 bits are two groups of 40, each of which is 8 characters. */
    for (int group = 0; group < 2; group++) {
        uint64_t bits = 0;
        for (int i = 0; i < 5; i++)
            bits = bits << 8 | random[group * 5 + i];
        for (int i = 7; i >= 0; i--, bits >>= 5)
            out[10 + group * 8 + i] = alphabet[bits & 31];
    }
    out[ULID_LEN] = '\0';
}

char *ulid_make(char out[ULID_LEN + 1])
{
    uint64_t now = (uint64_t)clock_wall_ms() & 0xFFFFFFFFFFFFu;
    uint8_t random[10];
    pid_t pid = getpid();

    pthread_mutex_lock(&ulid_state.lock);
    if (pid != ulid_state.pid || now > ulid_state.ms) {
        ulid_state.pid = pid;
        ulid_state.ms = now;
        random_bytes(ulid_state.random, sizeof ulid_state.random);
    } else if (!increment(ulid_state.random)) {
        ulid_state.ms++;
        random_bytes(ulid_state.random, sizeof ulid_state.random);
    }
    now = ulid_state.ms;
    memcpy(random, ulid_state.random, sizeof random);
    pthread_mutex_unlock(&ulid_state.lock);

    encode(now, random, out);
    return out;
}

bool ulid_valid(const char *s)
{
    if (!s || s[0] < '0' || s[0] > '7')
        return false;
    for (int i = 0; i < ULID_LEN; i++) {
        if (s[i] == '\0' || !strchr(alphabet, s[i]))
            return false;
    }
    return s[ULID_LEN] == '\0';
}

int64_t ulid_time_ms(const char *s)
{
    if (!ulid_valid(s))
        return -1;
    int64_t ms = 0;
    for (int i = 0; i < 10; i++)
        ms = ms << 5 | (int64_t)(strchr(alphabet, s[i]) - alphabet);
    return ms;
}
