/* The index of saved conversations, and the way from a sequence to a file and back.
 *
 * libllama writes and reads the file itself (llama_state_seq_save_file), piece by piece, so that no second
 * copy of the state is ever in memory; the checksum is made, and checked, in a pass of its own over the page
 * cache. It gets the file as /proc/self/fd/N: what we checked is what it reads, whatever others do to the
 * folder meanwhile. */
#include "engine/saved.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "engine/model.h"
#include "engine/saved_file.h"
#include "engine/saved_folder.h"

struct entry {
    char name[SAVED_NAME_SIZE];
    llama_token *tokens;
    uint32_t count;
};

struct saved {
    struct saved_folder folder;
    struct saved_foot identity; /* key and model of files that are ours */
    bool whole;
    struct entry *entries;
    size_t count, cap;
    llama_token *read_tokens; /* of the last saved_read */
    pthread_mutex_t lock;
    struct saved_stats stats; /* lock */
};

/* ---- the index ---- */

/* The analyzer does not see that the last one takes the place of the one that goes. */
// NOLINTBEGIN(clang-analyzer-unix.Malloc)
static void entry_remove(struct saved *s, size_t i)
{
    free(s->entries[i].tokens);
    s->entries[i] = s->entries[--s->count];
}
// NOLINTEND(clang-analyzer-unix.Malloc)

static void on_dropped(void *ctx, const char *name)
{
    struct saved *s = ctx;
    pthread_mutex_lock(&s->lock);
    s->stats.dropped++;
    pthread_mutex_unlock(&s->lock);
    for (size_t i = 0; i < s->count; i++) {
        if (strcmp(s->entries[i].name, name) == 0) {
            entry_remove(s, i);
            return;
        }
    }
}

static int entry_add(struct saved *s, const char *name, llama_token *tokens, uint32_t count)
{
    if (s->count == s->cap) {
        const size_t cap = s->cap ? s->cap * 2 : 16;
        struct entry *more = realloc(s->entries, cap * sizeof *more);
        if (!more)
            return VX11_ENOMEM;
        s->entries = more;
        s->cap = cap;
    }
    struct entry *e = &s->entries[s->count++];
    *e = (struct entry){.tokens = tokens, .count = count};
    (void)snprintf(e->name, sizeof e->name, "%s", name);
    return 0;
}

static size_t common(const struct entry *e, const llama_token *tokens, size_t n)
{
    const size_t most = n < e->count ? n : e->count;
    size_t i = 0;
    while (i < most && e->tokens[i] == tokens[i])
        i++;
    return i;
}

/* Index of the file that covers these tokens; -1: none. */
static ptrdiff_t find_cover(const struct saved *s, const llama_token *tokens, size_t n)
{
    for (size_t i = 0; i < s->count; i++) {
        const struct entry *e = &s->entries[i];
        if (e->count >= n && (!s->whole || e->count == n) && common(e, tokens, n) == n)
            return (ptrdiff_t)i;
    }
    return -1;
}

/* Index of the file that helps a prompt most, of equal ones the shortest; -1: none. */
static ptrdiff_t find_best(const struct saved *s, const llama_token *prompt, size_t n, size_t *match)
{
    ptrdiff_t best = -1;
    *match = 0;
    for (size_t i = 0; i < s->count; i++) {
        const struct entry *e = &s->entries[i];
        const size_t m = common(e, prompt, n);
        if (m == 0 || (s->whole && m < e->count))
            continue;
        if (m > *match || (m == *match && e->count < s->entries[best].count)) {
            best = (ptrdiff_t)i;
            *match = m;
        }
    }
    return best;
}

bool saved_covers(const struct saved *s, const llama_token *tokens, size_t n)
{
    return find_cover(s, tokens, n) >= 0;
}

size_t saved_match(const struct saved *s, const llama_token *prompt, size_t n)
{
    size_t match;
    (void)find_best(s, prompt, n, &match);
    return match;
}

size_t saved_length(const struct saved *s, const llama_token *prompt, size_t n)
{
    size_t match;
    const ptrdiff_t best = find_best(s, prompt, n, &match);
    return best < 0 ? 0 : s->entries[best].count;
}

/* ---- files ---- */

/* Whether the file is of our key and not known to be of another model. */
static bool foot_ours(const struct saved *s, const struct saved_foot *foot)
{
    static const uint8_t unknown[SAVED_HASH_BYTES];
    return memcmp(foot->key, s->identity.key, sizeof foot->key) == 0 &&
           (memcmp(foot->model, s->identity.model, sizeof foot->model) == 0 ||
            memcmp(foot->model, unknown, sizeof unknown) == 0 ||
            memcmp(s->identity.model, unknown, sizeof unknown) == 0);
}

static int foot_read(const struct saved *s, int fd, struct saved_foot *foot, llama_token **tokens,
                     struct error *err)
{
    const int rc = saved_file_read(fd, foot, tokens, err);
    if (rc == 0 && !foot_ours(s, foot)) {
        free(*tokens);
        *tokens = NULL;
        return error_set(err, VX11_ECORRUPT, "it belongs to another model");
    }
    return rc;
}

static int file_open(const struct saved *s, const char *name)
{
    return openat(s->folder.own, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
}

static void file_delete(struct saved *s, const char *name, const struct error *why)
{
    log_warn("saved", "a saved conversation cannot be used and is deleted", LOG_S("file", name),
             LOG_S("reason", why->text));
    if (unlinkat(s->folder.own, name, 0) != 0 && errno != ENOENT)
        log_warn("saved", "a file cannot be deleted", LOG_S("file", name), LOG_I("errno", errno));
    pthread_mutex_lock(&s->lock);
    s->stats.corrupt++;
    pthread_mutex_unlock(&s->lock);
}

static void folder_count(struct saved *s)
{
    pthread_mutex_lock(&s->lock);
    s->stats.files = s->folder.files;
    s->stats.bytes = s->folder.bytes;
    pthread_mutex_unlock(&s->lock);
}

/* ---- opening ---- */

static int index_file(struct saved *s, const char *name, struct error *err)
{
    struct saved_foot foot;
    struct error why = {0};
    llama_token *tokens;
    const int fd = file_open(s, name);
    if (fd < 0)
        return 0; /* another process was quicker */
    int rc = foot_read(s, fd, &foot, &tokens, &why);
    (void)close(fd);
    if (rc == 0 && (rc = entry_add(s, name, tokens, foot.tokens)) != 0)
        free(tokens);
    if (rc == VX11_ENOMEM)
        return error_set(err, rc, "out of memory");
    if (rc == VX11_ECORRUPT)
        file_delete(s, name, &why);
    else if (rc != 0)
        log_info("saved", "a saved conversation is passed over", LOG_S("file", name),
                 LOG_S("reason", why.text));
    return 0;
}

static int index_read(struct saved *s, struct error *err)
{
    const int fd = openat(s->folder.own, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        const int rc = error_set_errno(err, errno, "the saved conversations cannot be read");
        if (fd >= 0)
            (void)close(fd);
        return rc;
    }
    int rc = 0;
    const struct dirent *e;
    while (rc == 0 && s->count < SAVED_FILES_MOST && (e = readdir(dir)) != NULL) {
        bool writing;
        if (saved_folder_name(e->d_name, &writing) && !writing)
            rc = index_file(s, e->d_name, err);
    }
    (void)closedir(dir);
    return rc;
}

static int identity_read(struct saved *s, const struct saved_options *o, struct error *err)
{
    if (strlen(o->key) != SAVED_KEY_LEN || hex_decode(o->key, s->identity.key, SAVED_HASH_BYTES) != 0)
        return error_set(err, VX11_EINVALID, "a key of saved conversations is 64 hexadecimal digits");
    if (o->model_sha256 && (strlen(o->model_sha256) != 2 * SAVED_HASH_BYTES ||
                            hex_decode(o->model_sha256, s->identity.model, SAVED_HASH_BYTES) != 0))
        return error_set(err, VX11_EINVALID, "the model's SHA-256 is 64 hexadecimal digits");
    hex_encode(s->identity.key, SAVED_HASH_BYTES, s->folder.key);
    return 0;
}

int saved_open(const struct saved_options *o, struct saved **out, struct error *err)
{
    struct saved *s = calloc(1, sizeof *s);
    if (!s)
        return error_set(err, VX11_ENOMEM, "out of memory");
    s->folder.dir = s->folder.own = -1;
    s->folder.most_bytes = s->stats.most_bytes = o->most_bytes;
    s->folder.dropped = on_dropped;
    s->folder.ctx = s;
    s->whole = o->whole;
    int rc = pthread_mutex_init(&s->lock, NULL) == 0 && sodium_init() >= 0 ? 0 : VX11_ENOMEM;
    if (rc != 0)
        error_set(err, rc, "libsodium could not be started");
    if (rc == 0)
        rc = identity_read(s, o, err);
    if (rc == 0)
        rc = saved_folder_open(&s->folder, o->dir, o->model_path, err);
    if (rc == 0)
        rc = index_read(s, err);
    if (rc != 0) {
        saved_close(s);
        return rc;
    }
    folder_count(s);
    *out = s;
    return 0;
}

void saved_close(struct saved *s)
{
    if (!s)
        return;
    while (s->count > 0)
        entry_remove(s, s->count - 1);
    free(s->entries);
    free(s->read_tokens);
    saved_folder_close(&s->folder);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

/* ---- writing ---- */

static void path_of(int fd, char out[32])
{
    (void)snprintf(out, 32, "/proc/self/fd/%d", fd);
}

/* Lets libllama write the sequence into the file. */
static int state_write(int fd, struct llama_context *context, llama_seq_id sequence,
                       const llama_token *tokens, size_t n, struct error *err)
{
    char path[32];
    struct stat st;
    path_of(fd, path);
    model_log_quiet(true);
    errno = 0;
    const size_t written = llama_state_seq_save_file(context, path, sequence, tokens, n);
    const int why = errno;
    model_log_quiet(false);
    if (written == 0)
        return error_set(err, why == ENOSPC || why == EDQUOT || why == EFBIG ? VX11_EFULL : VX11_EIO,
                         "a conversation cannot be saved: %s", why ? strerror(why) : "libllama says no more");
    if (fstat(fd, &st) != 0 || (uint64_t)st.st_size != written)
        return error_set(err, VX11_EFULL,
                         "a conversation cannot be saved: %zu bytes were written, %jd arrived", written,
                         (intmax_t)st.st_size);
    return 0;
}

/* The file is of use now and stays longest. False: it is there no more. */
static bool entry_touch(const struct saved *s, const struct entry *e, int64_t used_ms)
{
    const struct timespec at = {.tv_sec = used_ms / 1000, .tv_nsec = used_ms % 1000 * 1000000};
    const struct timespec times[2] = {at, at};
    return utimensat(s->folder.own, e->name, times, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Files whose tokens begin these ones, which another file now covers. */
static void covered_delete(struct saved *s, const llama_token *tokens, size_t n)
{
    for (size_t i = s->count; i-- > 0;) {
        const struct entry *e = &s->entries[i];
        if (e->count >= n || common(e, tokens, n) != e->count)
            continue;
        if (unlinkat(s->folder.own, e->name, 0) != 0 && errno != ENOENT)
            log_warn("saved", "a file cannot be deleted", LOG_S("file", e->name), LOG_I("errno", errno));
        entry_remove(s, i);
    }
}

static int write_file(struct saved *s, struct llama_context *context, llama_seq_id sequence,
                      const llama_token *tokens, size_t n, int64_t used_ms, uint64_t *bytes,
                      struct error *err)
{
    char name[SAVED_NAME_SIZE];
    struct saved_foot foot = s->identity;
    const int fd = saved_folder_create(&s->folder, name, err);
    if (fd < 0)
        return fd;
    foot.tokens = (uint32_t)n;
    int rc = state_write(fd, context, sequence, tokens, n, err);
    if (rc == 0)
        rc = saved_file_seal(fd, &foot, err);
    if (rc == 0)
        rc = saved_folder_keep(&s->folder, name, fd, used_ms, err);
    (void)close(fd); /* the lock of the file goes with it, so after the rename */
    if (rc != 0) {
        saved_folder_discard(&s->folder, name);
        return rc;
    }
    *bytes = foot.length + SAVED_FOOT_BYTES;
    covered_delete(s, tokens, n);
    llama_token *copy = malloc(n * sizeof *copy);
    if (copy)
        memcpy(copy, tokens, n * sizeof *copy);
    if (!copy || entry_add(s, name, copy, (uint32_t)n) != 0) {
        free(copy); /* the file is good: the next saved_open finds it */
        return error_set(err, VX11_ENOMEM, "out of memory");
    }
    return 0;
}

int saved_write(struct saved *s, struct llama_context *context, llama_seq_id sequence,
                const llama_token *tokens, size_t n, int64_t used_ms, struct error *err)
{
    const uint64_t started = clock_mono_ns();
    if (n == 0 || n > SAVED_TOKENS_MOST ||
        llama_memory_seq_pos_max(llama_get_memory(context), sequence) != (llama_pos)n - 1)
        return error_set(err, VX11_EINVALID, "the sequence does not hold these %zu tokens", n);
    for (ptrdiff_t at; (at = find_cover(s, tokens, n)) >= 0;) {
        if (entry_touch(s, &s->entries[at], used_ms))
            return 0;
        entry_remove(s, (size_t)at);
    }
    const size_t state = llama_state_seq_get_size(context, sequence);
    if (state <= 2 * sizeof(uint32_t)) /* no more than its head */
        return error_set(err, VX11_EUNSUPPORTED, "libllama gives no state of this model");
    uint64_t bytes = state + (3 + n) * sizeof(llama_token) + SAVED_FOOT_BYTES;
    int rc = saved_folder_room(&s->folder, bytes, used_ms, err);
    if (rc == 0)
        rc = write_file(s, context, sequence, tokens, n, used_ms, &bytes, err);
    pthread_mutex_lock(&s->lock);
    s->stats.write_seconds += (double)(clock_mono_ns() - started) / 1e9;
    if (rc == 0) {
        s->stats.written++;
        s->stats.tokens_written += n;
        s->stats.bytes_written += bytes;
    }
    pthread_mutex_unlock(&s->lock);
    folder_count(s);
    return rc;
}

/* ---- reading ---- */

/* Lets libllama read the file, which was checked, into the sequence. Whatever goes wrong leaves it empty. */
static int state_read(struct saved *s, int fd, const struct entry *e, struct llama_context *context,
                      llama_seq_id sequence, struct error *err)
{
    char path[32];
    size_t count = 0;
    llama_memory_t memory = llama_get_memory(context);
    // NOLINTNEXTLINE(clang-analyzer-optin.portability.UnixAPI): it is never 0
    llama_token *tokens = malloc((e->count > 0 ? e->count : 1) * sizeof *tokens);
    if (!tokens)
        return error_set(err, VX11_ENOMEM, "out of memory");
    free(s->read_tokens);
    s->read_tokens = tokens;
    path_of(fd, path);
    model_log_quiet(true);
    const size_t read = llama_state_seq_load_file(context, path, sequence, tokens, e->count, &count);
    model_log_quiet(false);
    int rc = 0;
    if (read == 0)
        rc = error_set(err, VX11_EFULL, "libllama did not take a saved conversation of %u tokens", e->count);
    else if (count != e->count || memcmp(tokens, e->tokens, count * sizeof *tokens) != 0 ||
             llama_memory_seq_pos_max(memory, sequence) != (llama_pos)count - 1)
        rc = error_set(err, VX11_ECORRUPT, "it holds other tokens than it said");
    if (rc != 0)
        (void)llama_memory_seq_rm(memory, sequence, -1, -1);
    return rc;
}

static int read_file(struct saved *s, const struct entry *e, struct llama_context *context,
                     llama_seq_id sequence, uint64_t *bytes, struct error *err)
{
    struct saved_foot foot;
    llama_token *tokens = NULL;
    const int fd = file_open(s, e->name);
    if (fd < 0)
        return error_set_errno(err, errno, "a saved conversation cannot be opened");
    int rc = foot_read(s, fd, &foot, &tokens, err);
    if (rc == 0 && (foot.tokens != e->count || memcmp(tokens, e->tokens, e->count * sizeof *tokens) != 0))
        rc = error_set(err, VX11_ECORRUPT, "it holds other tokens than it did");
    if (rc == 0)
        rc = saved_file_check(fd, &foot, err);
    if (rc == 0)
        rc = state_read(s, fd, e, context, sequence, err);
    if (rc == 0 && !entry_touch(s, e, clock_wall_ms()))
        log_debug("saved", "a file that was used is gone", LOG_S("file", e->name));
    *bytes = foot.length + SAVED_FOOT_BYTES;
    (void)close(fd);
    free(tokens);
    return rc;
}

int saved_read(struct saved *s, struct llama_context *context, llama_seq_id sequence,
               const llama_token *prompt, size_t n, const llama_token **tokens, size_t *count,
               struct error *err)
{
    const uint64_t started = clock_mono_ns();
    struct error why = {0};
    size_t match;
    uint64_t bytes = 0;
    const ptrdiff_t at = find_best(s, prompt, n, &match);
    if (at < 0)
        return error_set(err, VX11_ENOT_FOUND, "no saved conversation begins like this one");
    const struct entry *e = &s->entries[at];
    const uint32_t length = e->count;
    const int rc = read_file(s, e, context, sequence, &bytes, &why);
    if (rc == VX11_ECORRUPT)
        file_delete(s, e->name, &why);
    if (rc != 0 && rc != VX11_ENOMEM) /* not to be tried again */
        entry_remove(s, (size_t)at);
    pthread_mutex_lock(&s->lock);
    s->stats.read_seconds += (double)(clock_mono_ns() - started) / 1e9;
    if (rc == 0) {
        s->stats.restored++;
        s->stats.tokens_restored += length;
        s->stats.bytes_restored += bytes;
    }
    pthread_mutex_unlock(&s->lock);
    if (rc != 0)
        return error_set(err, rc, "%s", why.text);
    *tokens = s->read_tokens;
    *count = length;
    return 0;
}

void saved_stats(const struct saved *s, struct saved_stats *out)
{
    struct saved *open = (struct saved *)(uintptr_t)s; /* the lock is no part of what const promises */
    pthread_mutex_lock(&open->lock);
    *out = open->stats;
    pthread_mutex_unlock(&open->lock);
}
