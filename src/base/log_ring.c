/* The ring of the last records, for crash reports. A crash can come while another thread writes a record, and
 * its handler may take no lock, so each slot is a sequence lock: `seq` is 0 while the slot is being written
 * and the record's number afterwards. A reader copies and looks again; what changed meanwhile it leaves out.
 * The words are stored with release and loaded with acquire order: whoever sees a new word sees the 0 that
 * was stored before it. */
#include <stdatomic.h>
#include <string.h>

#include "base/log_internal.h"

enum { SLOTS = 64, WORDS = 128, SLOT_BYTES = WORDS * 8 };

struct slot {
    _Atomic uint64_t seq;
    _Atomic uint32_t len;
    _Atomic uint64_t words[WORDS];
};

static struct {
    _Atomic uint64_t newest; /* number of the newest record; the first is 1 */
    struct slot slots[SLOTS];
} ring;

void log_ring_put(const char *text, size_t len)
{
    uint64_t seq = atomic_load_explicit(&ring.newest, memory_order_relaxed) + 1;
    struct slot *s = &ring.slots[seq % SLOTS];
    bool cut = len > SLOT_BYTES;
    if (cut)
        len = SLOT_BYTES;
    atomic_store_explicit(&s->seq, 0, memory_order_relaxed);
    for (size_t at = 0, i = 0; at < len; at += 8, i++) {
        uint64_t word = 0;
        memcpy(&word, text + at, len - at < 8 ? len - at : 8);
        if (cut && at + 8 >= len) /* a record that is cut still ends its line */
            memcpy((char *)&word + 7, "\n", 1);
        atomic_store_explicit(&s->words[i], word, memory_order_release);
    }
    atomic_store_explicit(&s->len, (uint32_t)len, memory_order_release);
    atomic_store_explicit(&s->seq, seq, memory_order_release);
    atomic_store_explicit(&ring.newest, seq, memory_order_release);
}

/* Copies record `seq` to out when it is still there and fits. Returns its bytes, 0 when not. */
static size_t copy_record(uint64_t seq, char *out, size_t room)
{
    struct slot *s = &ring.slots[seq % SLOTS];
    if (atomic_load_explicit(&s->seq, memory_order_acquire) != seq)
        return 0;
    size_t len = atomic_load_explicit(&s->len, memory_order_acquire);
    if (len > room || len > SLOT_BYTES)
        return 0;
    for (size_t at = 0, i = 0; at < len; at += 8, i++) {
        uint64_t word = atomic_load_explicit(&s->words[i], memory_order_acquire);
        memcpy(out + at, &word, len - at < 8 ? len - at : 8);
    }
    return atomic_load_explicit(&s->seq, memory_order_relaxed) == seq ? len : 0;
}

size_t log_tail(char *out, size_t size)
{
    uint64_t newest = atomic_load_explicit(&ring.newest, memory_order_acquire);
    uint64_t first = newest, total = 0;
    /* From the newest back, as far as the room goes; then copied in order. */
    for (uint64_t i = 0; i < SLOTS && i < newest; i++) {
        struct slot *s = &ring.slots[(newest - i) % SLOTS];
        total += atomic_load_explicit(&s->len, memory_order_acquire);
        if (total > size)
            break;
        first = newest - i;
    }
    size_t len = 0;
    for (uint64_t seq = first; seq <= newest && seq > 0; seq++)
        len += copy_record(seq, out + len, size - len);
    return len;
}
