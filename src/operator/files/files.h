/* Files: what people attach to messages, under $VX11_HOME/files. A file's name on the disk is an id, never
 * what the caller calls it; what it is, its first bytes say (media.h).
 *
 *   POST body ──> files/ID.part ──(size, kind, room)──> fsync ──> files/ID ──> row in operator_file
 *
 * A branch of a session has rows of its own for the same file on the disk; the file goes with its last row.
 */
#ifndef VX11_OPERATOR_FILES_H
#define VX11_OPERATOR_FILES_H

#include "operator/operator_internal.h"

struct files;

/* Makes the folder, removes what no row knows. */
int files_create(struct operator_ *o, struct files **out, struct error *err);
void files_close(struct files *f); /* its timer; before the loop ends */
void files_free(struct files *f);  /* NULL is fine */

/* ---- for the chat ---- */
/* OpenAI's content of a message with files: an array of parts, text first. Text files come in a fence under
 * their name, cut at operator.files.inline_bytes; images as image_url with a data: URL; sound as input_audio
 * (WAV and MP3, as that API has it) when `hears`. VX11_EUNSUPPORTED with a sentence for sound otherwise,
 * VX11_ETOO_LARGE when all of them together pass what one request to Switch can hold. The value belongs to
 * doc. */
int files_content(struct files *f, yyjson_mut_doc *doc, const char *text, const struct operator_file *files,
                  size_t count, bool hears, yyjson_mut_val **out, struct error *err);
/* Whether any of them needs a model that sees; that hears. */
bool files_have(const struct operator_file *files, size_t count, enum operator_file_kind kind);

/* ---- for the sessions; inside store_transaction ---- */
struct files_owner {
    const char *session_id, *message_id;
    int64_t now;
};
/* The file with this id becomes the message's; one that belongs to another message is shared. */
int files_attach(struct store *s, const struct files_owner *owner, const char *id, size_t position,
                 struct error *err);
/* All files of a message for a copy of it. */
int files_share(struct store *s, const struct files_owner *owner, const char *from_message,
                struct error *err);
/* After rows are gone, outside of a transaction: removes what no row knows any more, at the loop's next turn.
 */
void files_sweep(struct files *f);

/* ---- routes ---- */
void files_on_add(struct request *r, void *module);
void files_on_list(struct request *r, void *module);
void files_on_get(struct request *r, void *module);
void files_on_content(struct request *r, void *module);
void files_on_delete(struct request *r, void *module);

#endif
