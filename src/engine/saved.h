/* Saved: conversations' KV state on disk, so that coming back to a model costs a read and not a prefill.
 *
 *   DIR/KEY/ID.kv   header: magic, version, key, tokens, length, checksum | the tokens | libllama's state of
 *                   one sequence (llama_state_seq_get_data)
 *
 * KEY names what the state depends on: the model's hash, the libllama release, the KV type. A file of another
 * key, cut short or with a wrong checksum is deleted and counted, never used. The folder is bounded in bytes:
 * the least recently used files go. All calls are the decode thread's, but for saved_stats. */
#ifndef VX11_ENGINE_SAVED_H
#define VX11_ENGINE_SAVED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <llama.h>

#include "base/error.h"

struct saved;

struct saved_options {
    const char *dir;     /* made when it is missing, 0700 */
    const char *key;     /* hexadecimal */
    uint64_t most_bytes; /* of the files of all keys in dir together */
};

/* Opens the folder and reads what is there (headers and tokens only). VX11_EINVALID, VX11_EIO, VX11_ENOMEM.
 */
int saved_open(const struct saved_options *o, struct saved **out, struct error *err);
void saved_close(struct saved *s); /* NULL is fine */

/* Writes the first n tokens' state of a sequence: to a temporary file, fsync, rename. A file whose tokens are
 * a beginning of these is replaced. 0 also when a file already covers them; VX11_EFULL when it can never fit
 * into most_bytes or the disk is full, VX11_EIO, VX11_ENOMEM, VX11_EUNSUPPORTED when libllama cannot give the
 * state of this model. */
int saved_write(struct saved *s, struct llama_context *context, llama_seq_id sequence,
                const llama_token *tokens, size_t n, struct error *err);

/* How many tokens of the prompt's beginning the best file holds; 0: none. No I/O. */
size_t saved_match(const struct saved *s, const llama_token *prompt, size_t n);

/* Reads that file into an empty sequence (which then holds *tokens: all of the file's, which may go on past
 * the prompt's; the caller trims). *tokens is valid until the next call. VX11_ENOT_FOUND when there is none,
 * VX11_ECORRUPT (the file is deleted, the sequence is empty), VX11_EFULL when the cells do not suffice. */
int saved_read(struct saved *s, struct llama_context *context, llama_seq_id sequence,
               const llama_token *prompt, size_t n, const llama_token **tokens, size_t *count,
               struct error *err);
/* Tokens of the file that saved_read would read: cells that it needs. */
size_t saved_length(const struct saved *s, const llama_token *prompt, size_t n);

struct saved_stats {
    uint64_t files, bytes, most_bytes;
    uint64_t written, restored, dropped, corrupt; /* files, since saved_open */
    uint64_t tokens_restored;
    double write_seconds, read_seconds;
};
void saved_stats(const struct saved *s, struct saved_stats *out); /* any thread */

#endif
