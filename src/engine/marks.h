/* Marks: text of people that spells a control token of the model stays text.
 *
 * A template's text is tokenized with control tokens understood ("<|im_start|>" is one token), and a person
 * who writes such a token into a message, a tool's description or a tool's result could so speak as somebody
 * else. So wherever text from outside spells one, a mark takes its place before the template is applied, and
 * the tokenizer gets the marked text as plain text. A mark stands for the end of a text, too, when that
 * begins a control token: what the template puts after it must not complete it.
 *
 *   "a <|im_start|> b"  ──protect──>  "a ‹0› b"  ──template──>  …  ──tokenize──> pieces
 *
 * ‹0› is the number between two characters of Unicode's private use area: no template takes them for white
 * space, escapes them in JSON or splits at them, and where they come from outside they are marked as well. */
#ifndef VX11_ENGINE_MARKS_H
#define VX11_ENGINE_MARKS_H

#include "base/arena.h"
#include "engine/tokenize.h"

struct marks { /* of one request */
    struct arena *arena;
    const char *const *specials;
    size_t special_count, longest;
    bool first[256];    /* bytes that a special begins with */
    const char **texts; /* what each mark stands for */
    size_t count, cap;
};

/* specials: borrowed, of n non-empty strings. */
void marks_init(struct marks *m, const char *const *specials, size_t n, struct arena *a);
/* The text itself when nothing in it needs a mark, else a marked copy in the arena. NULL without memory. */
const char *marks_protect(struct marks *m, const char *text);
/* Appends rendered text with what the marks stand for. VX11_EINVALID when a mark was damaged, VX11_ENOMEM. */
int marks_restore(const struct marks *m, const char *rendered, size_t len, struct buf *out);
/* Appends the tokens of rendered text, as tokenize() with add_special and parse_special, but for what marks
 * stand for. VX11_EINVALID when the template damaged a mark, and tokenize's. */
int marks_tokenize(const struct marks *m, const struct model *model, const char *rendered, size_t len,
                   struct tokens *out, struct error *err);

#endif
