/* Constraints. While one waits it collects the answer's text, with what control tokens spell, until a trigger
 * is found in it; the grammar then begins with the text from there on, even in the middle of a token. */
#include "engine/constraint.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "engine/grammar.h"
#include "engine/tokenize.h"
#include "engine/trigger.h"

struct constraint {
    const struct model *m;
    struct grammar *grammar;
    struct grammar_place place;
    bool waits, lazy, ended; /* lazy: for a trigger, not for the end of a thought alone */
    struct trigger **triggers;
    size_t trigger_count;
    char *after;
    llama_token *tokens, *shown;
    size_t token_count, shown_count;
    struct buf text; /* while it waits */
    uint64_t *mask;  /* with the shown tokens */
};

/* ---- life ---- */

static llama_token *tokens_copy(const llama_token *from, size_t n)
{
    llama_token *copy = malloc((n ? n : 1) * sizeof *copy);
    if (copy && n > 0)
        memcpy(copy, from, n * sizeof *copy);
    return copy;
}

static int parts_copy(struct constraint *c, const struct sampling_grammar *s, struct error *err)
{
    c->tokens = tokens_copy(s->trigger_tokens, s->trigger_token_count);
    c->shown = tokens_copy(s->shown, s->shown_count);
    c->triggers = calloc(s->trigger_pattern_count + 1, sizeof(struct trigger *));
    c->after = s->after ? strdup(s->after) : NULL;
    if (!c->tokens || !c->shown || !c->triggers || (s->after && !c->after))
        return error_set(err, VX11_ENOMEM, "out of memory");
    c->token_count = s->trigger_token_count;
    c->shown_count = s->shown_count;
    for (size_t i = 0; i < s->trigger_pattern_count; i++) {
        const int rc = trigger_create(s->trigger_patterns[i], &c->triggers[i], err);
        if (rc != 0)
            return rc;
        c->trigger_count++;
    }
    return 0;
}

static int token_text(const struct constraint *c, llama_token token, struct buf *out)
{
    return token_append_text(c->m, token, true, out);
}

/* The template has written the start of the answer: the grammar covers that too. */
static int begin(struct constraint *c, const char *begun, struct error *err)
{
    struct tokens tokens = TOKENS_INIT;
    struct buf piece = BUF_INIT;
    int rc = tokenize(c->m, begun, strlen(begun), false, true, &tokens, err);
    for (size_t i = 0; rc == 0 && i < tokens.len; i++) {
        buf_clear(&piece);
        rc = token_text(c, tokens.data[i], &piece);
        if (i == 0 && piece.len > 0 && piece.data[0] == ' ' && begun[0] != ' ')
            buf_consume(&piece, 1); /* some tokenizers put a space before a text */
        if (rc == 0 && piece.len > 0 &&
            !grammar_token(c->grammar, &c->place, tokens.data[i], piece.data, piece.len))
            rc = error_set(err, VX11_EINVALID, "the grammar does not cover the answer's beginning %.60s",
                           begun);
    }
    buf_free(&piece);
    tokens_free(&tokens);
    return rc;
}

int constraint_create(const struct model *m, const struct sampling_grammar *s, struct constraint **out,
                      struct error *err)
{
    struct constraint *c = calloc(1, sizeof *c);
    int rc = c ? 0 : error_set(err, VX11_ENOMEM, "out of memory");
    *out = NULL;
    if (rc == 0) {
        c->m = m;
        c->waits = s->lazy || s->after;
        c->lazy = s->lazy;
        rc = parts_copy(c, s, err);
    }
    if (rc == 0 && (rc = grammar_take(m->grammars, m, s->gbnf, &c->grammar, err)) == 0)
        c->place = grammar_start(c->grammar);
    if (rc == 0 && s->begun && *s->begun && !c->waits)
        rc = begin(c, s->begun, err);
    if (rc == 0)
        *out = c;
    else
        constraint_destroy(c);
    return rc;
}

struct constraint *constraint_clone(const struct constraint *c)
{
    struct constraint *copy = calloc(1, sizeof *copy);
    if (!copy)
        return NULL;
    *copy = *c;
    copy->grammar = grammar_again(c->grammar);
    copy->mask = NULL;
    copy->text = (struct buf)BUF_INIT;
    copy->after = c->after ? strdup(c->after) : NULL;
    copy->tokens = tokens_copy(c->tokens, c->token_count);
    copy->shown = tokens_copy(c->shown, c->shown_count);
    copy->triggers = calloc(c->trigger_count + 1, sizeof(struct trigger *));
    copy->trigger_count = 0;
    bool ok = copy->tokens && copy->shown && copy->triggers && (!c->after || copy->after) &&
              buf_append(&copy->text, c->text.data ? c->text.data : "", c->text.len) == 0;
    for (size_t i = 0; ok && i < c->trigger_count; i++) {
        copy->triggers[i] = trigger_clone(c->triggers[i]);
        ok = copy->triggers[i] != NULL;
        copy->trigger_count += ok;
    }
    if (!ok) {
        constraint_destroy(copy);
        return NULL;
    }
    return copy;
}

void constraint_destroy(struct constraint *c)
{
    if (!c)
        return;
    for (size_t i = 0; c->triggers && i < c->trigger_count; i++)
        trigger_destroy(c->triggers[i]);
    free(c->triggers);
    free(c->after);
    free(c->tokens);
    free(c->shown);
    free(c->mask);
    buf_free(&c->text);
    grammar_release(c->grammar);
    free(c);
}

/* ---- which fit ---- */

static bool has(const llama_token *tokens, size_t n, llama_token token)
{
    for (size_t i = 0; i < n; i++) {
        if (tokens[i] == token)
            return true;
    }
    return false;
}

bool constraint_waits(const struct constraint *c)
{
    return c->waits;
}

static bool place_after(struct constraint *c, llama_token token, struct grammar_place *out)
{
    const char *bytes = NULL;
    size_t len = 0;
    const bool counts =
        grammar_piece(c->grammar, token, &bytes, &len) || has(c->shown, c->shown_count, token);
    *out = c->place;
    return grammar_token(c->grammar, out, token, counts && len > 0 ? bytes : NULL, len);
}

bool constraint_allows(struct constraint *c, llama_token token)
{
    struct grammar_place ignored;
    if (c->waits)
        return true;
    if (llama_vocab_is_eog(c->m->vocab, token))
        return c->ended || grammar_may_end(c->grammar, &c->place);
    return !c->ended && place_after(c, token, &ignored);
}

const uint64_t *constraint_tokens(struct constraint *c, struct error *err)
{
    const size_t words = ((size_t)c->m->vocabulary + 63) / 64;
    const uint64_t *bits = grammar_tokens(c->grammar, &c->place);
    if (!bits) {
        (void)error_set(err, VX11_EINTERNAL, "%s", grammar_overflow(c->grammar));
        return NULL;
    }
    if (c->shown_count == 0)
        return bits;
    if (!c->mask && !(c->mask = malloc(words * sizeof *c->mask))) {
        (void)error_set(err, VX11_ENOMEM, "out of memory");
        return NULL;
    }
    memcpy(c->mask, bits, words * sizeof *c->mask);
    for (size_t i = 0; i < c->shown_count; i++) {
        const llama_token t = c->shown[i];
        if (constraint_allows(c, t))
            c->mask[t / 64] |= UINT64_C(1) << (t % 64);
    }
    return c->mask;
}

bool constraint_finished(const struct constraint *c)
{
    return !c->waits && (c->ended || grammar_must_end(c->grammar, &c->place));
}

/* ---- following ---- */

static int misfit(const struct constraint *c, struct error *err)
{
    const char *why = grammar_overflow(c->grammar);
    return error_set(err, why ? VX11_EINTERNAL : VX11_EINVALID, "%s",
                     why ? why : "a token does not fit the grammar");
}

static int start_from(struct constraint *c, size_t start, struct error *err)
{
    c->waits = false;
    const bool fits = start >= c->text.len ||
                      grammar_bytes(c->grammar, &c->place, c->text.data + start, c->text.len - start);
    buf_free(&c->text);
    return fits ? 0 : misfit(c, err);
}

/* The thought's end: what comes after it either begins the grammar, or waits on for its triggers. */
static bool thought_ended(struct constraint *c, size_t from, size_t *start)
{
    const size_t len = strlen(c->after), back = from > len ? from - len : 0;
    const char *at = memmem(c->text.data + back, c->text.len - back, c->after, len);
    if (!at)
        return false;
    *start = (size_t)(at - c->text.data) + len;
    free(c->after);
    c->after = NULL;
    return true;
}

static bool triggered(const struct constraint *c, size_t from, size_t *start)
{
    for (size_t i = 0; i < c->trigger_count; i++) {
        if (trigger_find(c->triggers[i], c->text.data, c->text.len, from, start))
            return true;
    }
    return false;
}

static int token_triggers(struct constraint *c, llama_token token, const char *text, size_t len,
                          struct error *err)
{
    const bool fits = grammar_token(c->grammar, &c->place, token, text, len);
    c->waits = false;
    buf_free(&c->text);
    return fits ? 0 : misfit(c, err);
}

static int wait_on(struct constraint *c, llama_token token, struct error *err)
{
    size_t from = c->text.len, start = 0;
    if (token_text(c, token, &c->text) != 0)
        return error_set(err, VX11_ENOMEM, "out of memory");
    if (c->text.len == from)
        return 0;
    if (c->after) {
        if (!thought_ended(c, from, &start))
            return 0;
        if (!c->lazy)
            return start_from(c, start, err);
        buf_consume(&c->text, start);
        from = 0;
    } else if (has(c->tokens, c->token_count, token)) {
        return token_triggers(c, token, c->text.data + from, c->text.len - from, err);
    }
    return triggered(c, from, &start) ? start_from(c, start, err) : 0;
}

int constraint_accept(struct constraint *c, llama_token token, struct error *err)
{
    struct grammar_place next;
    if (llama_vocab_is_eog(c->m->vocab, token)) {
        c->ended = true;
        return 0;
    }
    if (c->waits)
        return wait_on(c, token, err);
    if (!place_after(c, token, &next))
        return misfit(c, err);
    c->place = next;
    return 0;
}
