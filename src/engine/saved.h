/* Saved: conversations' KV state on disk, so that coming back to a model costs a read and not a prefill.
 *
 *   DIR/KEY/ULID.kv   libllama's file of one sequence (llama_state_seq_save_file): magic, version, tokens,
 *                     state │ our foot: version, length, key, model's hash, checksum
 *   DIR/KEY/model     which model file the key was made for
 *   DIR/lock          held while files are made, counted or deleted: several workers share DIR
 *
 * KEY stands for all that the state depends on: the model's file, libllama's release, the KV types, RoPE (see
 * saved_key). A file of another key or another model hash, cut short, or with a wrong checksum is deleted and
 * counted, never used; one of a later version than ours is left alone. The folder is bounded in bytes: files
 * of models that are gone go first, then the least recently used (by their modification time). Files are not
 * synced to the disk: a power cut costs what the checksum finds damaged, and giving a model up for another
 * stays quick. All calls are the decode thread's, but for saved_stats. */
#ifndef VX11_ENGINE_SAVED_H
#define VX11_ENGINE_SAVED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <llama.h>

#include "base/error.h"

struct saved;

struct saved_options {
    const char *dir; /* made when it is missing, 0700 */
    const char *key; /* 64 hexadecimal digits: see saved_key */
    const char
        *model_sha256; /* 64 hexadecimal digits; NULL: not known. A file that knows another is not used */
    const char *model_path; /* noted, so that files of models that are gone can be told; may be NULL */
    uint64_t most_bytes;    /* of the files of all keys in dir together */
    bool whole;             /* sequences of this model cannot be cut: a file serves only prompts that begin
                               with all of its tokens */
};

/* Opens the folder, removes what unfinished writes left, and reads what is there (feet and tokens only).
 * VX11_EINVALID, VX11_EPERMISSION (others may write into dir), VX11_EIO, VX11_ENOMEM. */
int saved_open(const struct saved_options *o, struct saved **out, struct error *err);
void saved_close(struct saved *s); /* NULL is fine */

/* Writes a sequence, which must hold these n tokens and no more, through a temporary file. Files whose tokens
 * are a beginning of these are replaced, and what was used before it makes room for it. used_ms: when it was
 * used last (epoch), which is its place in line. 0 also when a file already covers them (it then counts as
 * used). VX11_EFULL when it does not fit into most_bytes or onto the disk, VX11_EIO, VX11_ENOMEM, VX11_EBUSY
 * (another process holds the lock), VX11_EINVALID (the sequence holds something else), VX11_EUNSUPPORTED when
 * libllama cannot give the state of this model. */
int saved_write(struct saved *s, struct llama_context *context, llama_seq_id sequence,
                const llama_token *tokens, size_t n, int64_t used_ms, struct error *err);
/* Whether a file covers these tokens already. No I/O. */
bool saved_covers(const struct saved *s, const llama_token *tokens, size_t n);

/* How many tokens of the prompt's beginning the best file holds; 0: none. No I/O. */
size_t saved_match(const struct saved *s, const llama_token *prompt, size_t n);
/* Tokens of the file that saved_read would read: cells that it needs. */
size_t saved_length(const struct saved *s, const llama_token *prompt, size_t n);
/* Reads that file into an empty sequence (which then holds *tokens: all of the file's, which may go on past
 * the prompt's; the caller trims). *tokens is valid until the next call. VX11_ENOT_FOUND when there is none
 * (any more), VX11_ECORRUPT (the file is deleted), VX11_EFULL when libllama did not take it, for want of
 * cells as a rule; the sequence is empty then. */
int saved_read(struct saved *s, struct llama_context *context, llama_seq_id sequence,
               const llama_token *prompt, size_t n, const llama_token **tokens, size_t *count,
               struct error *err);

struct saved_stats {
    uint64_t files, bytes, most_bytes;            /* in the folder, of all keys, when it was last looked at */
    uint64_t written, restored, dropped, corrupt; /* files, since saved_open; dropped: for want of room */
    uint64_t tokens_written, tokens_restored, bytes_written, bytes_restored;
    double write_seconds, read_seconds;
};
void saved_stats(const struct saved *s, struct saved_stats *out); /* any thread */

/* ---- saved_key.c ---- */

struct model;
/* Hexadecimal name of all that a state of this model in the context with these parameters depends on. Of the
 * file: its size, its modification time, and a hash of its first 16 MiB (header, vocabulary), of its end and
 * of blocks spread between. VX11_EIO, VX11_ENOT_FOUND, VX11_ENOMEM. */
int saved_key(const struct model *m, const struct llama_context_params *p, char out[65], struct error *err);

#endif
