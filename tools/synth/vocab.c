/* Vocabulary: byte-pair merges, trained here on the commonest English words, so that English is cut into
 * tokens about as by a published model; the rest of the vocabulary is longer words, put together from those
 * parts. Byte-level BPE (as GPT-2's), SentencePiece and WordPiece are three ways to write down the same
 * pieces.
 *
 * A piece is its raw bytes; a space in front marks the start of a word. Pieces 0…255 are the bytes; piece
 * 256 + n came of merge n, so that the number is also the merge's rank. */
#include "synth.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { BYTES = 256, WORD_LENGTH = 24, PAIRS = 1 << 17, SLOTS = 1 << 18, NAMES = 1 << 21 };

struct piece {
    char *text;
    unsigned left, right; /* what it was merged of */
};

struct word {
    unsigned pieces[WORD_LENGTH];
    unsigned length;
    int64_t weight;
};

struct pair {
    unsigned left, right;
    int64_t weight;
};

struct trainer {
    struct piece *pieces;
    size_t count, most;
    struct word *words;
    size_t word_count;
    struct pair *pairs; /* that ever stood beside each other */
    size_t pair_count;
    unsigned *slots; /* open hash of the pairs: number + 1 */
    unsigned *names; /* open hash of the pieces' texts: number + 1 */
};

void fail(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fputs("vx11-synth: ", stderr);
    vfprintf(stderr, fmt, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

void *allocate(size_t count, size_t size)
{
    void *p = calloc(count ? count : 1, size);
    if (!p)
        fail("out of memory");
    return p;
}

static char *text_new(const char *text, size_t len)
{
    char *copy = allocate(len + 1, 1);
    memcpy(copy, text, len);
    return copy;
}

/* ---- training ---- */

static unsigned *name_find(struct trainer *t, const char *text, size_t len)
{
    uint64_t hash = 1469598103934665603u; /* FNV-1a */
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (unsigned char)text[i]) * 1099511628211u;
    for (size_t at = hash % NAMES;; at = (at + 1) % NAMES) {
        if (!t->names[at])
            return &t->names[at];
        const char *other = t->pieces[t->names[at] - 1].text;
        if (strlen(other) == len && memcmp(other, text, len) == 0)
            return &t->names[at];
    }
}

/* False when there is such a piece already (of other parts). */
static bool piece_add(struct trainer *t, unsigned left, unsigned right)
{
    char text[2 * WORD_LENGTH + 2];
    int len = snprintf(text, sizeof text, "%s%s", t->pieces[left].text, t->pieces[right].text);
    if (len >= WORD_LENGTH)
        return false;
    unsigned *name = name_find(t, text, (size_t)len);
    if (*name)
        return false;
    t->pieces[t->count] = (struct piece){text_new(text, (size_t)len), left, right};
    *name = (unsigned)++t->count;
    return true;
}

static void pairs_count(struct trainer *t, const struct word *w, int64_t weight)
{
    for (unsigned i = 0; i + 1 < w->length; i++) {
        unsigned left = w->pieces[i], right = w->pieces[i + 1];
        size_t at = (left * 2654435761u ^ right * 40503u) % SLOTS;
        while (t->slots[at] &&
               (t->pairs[t->slots[at] - 1].left != left || t->pairs[t->slots[at] - 1].right != right))
            at = (at + 1) % SLOTS;
        if (!t->slots[at]) {
            if (t->pair_count == PAIRS)
                fail("too many pairs");
            t->pairs[t->pair_count] = (struct pair){.left = left, .right = right};
            t->slots[at] = (unsigned)++t->pair_count;
        }
        t->pairs[t->slots[at] - 1].weight += weight;
    }
}

static void word_add(struct trainer *t, const char *before, const char *text, size_t len, bool capital,
                     int64_t weight)
{
    struct word *w = &t->words[t->word_count];
    for (; *before && w->length < WORD_LENGTH; before++)
        w->pieces[w->length++] = (unsigned char)*before;
    for (size_t i = 0; i < len && w->length < WORD_LENGTH; i++)
        w->pieces[w->length++] = (unsigned char)text[i] - (i == 0 && capital ? 32u : 0u);
    w->weight = weight;
    if (w->length > 1 && weight > 0)
        t->word_count++;
    else
        w->length = 0;
}

/* One word of the list: in the middle of a sentence, at its start, and at the start of a line. */
static void word_load(struct trainer *t, const char *text, size_t len, size_t rank)
{
    int64_t weight = (int64_t)(10000000 / rank);
    word_add(t, " ", text, len, false, weight);
    word_add(t, " ", text, len, true, weight / 12);
    word_add(t, "", text, len, true, weight / 20);
    word_add(t, "", text, len, false, weight / 40);
}

static void words_load(struct trainer *t)
{
    size_t rank = 10, bytes = 0; /* the very first words are less frequent than Zipf has them */
    for (const char *const *line = synth_words; *line; line++)
        bytes += strlen(*line);
    t->words = allocate(4 * bytes + 64, sizeof *t->words); /* four of each, at most */
    for (const char *const *line = synth_words; *line; line++) {
        for (const char *at = *line; *at; rank++) {
            size_t len = strcspn(at, " ");
            word_load(t, at, len, rank);
            at += len + (at[len] == ' ');
        }
    }
    static const char *const runs[] = {"\n\n", "  ", "    ", "        ", "...",
                                       "--",   "10", "20",   "\",",      "):"};
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++)
        word_add(t, "", runs[i], strlen(runs[i]), false, 20000);
    for (size_t i = 0; i < t->word_count; i++)
        pairs_count(t, &t->words[i], t->words[i].weight);
}

static void word_merge(struct trainer *t, struct word *w, unsigned left, unsigned right, unsigned merged)
{
    unsigned to = 0;
    bool found = false;
    for (unsigned i = 0; i + 1 < w->length && !found; i++)
        found = w->pieces[i] == left && w->pieces[i + 1] == right;
    if (!found)
        return;
    pairs_count(t, w, -w->weight);
    for (unsigned i = 0; i < w->length; i++) {
        bool here = i + 1 < w->length && w->pieces[i] == left && w->pieces[i + 1] == right;
        w->pieces[to++] = here ? merged : w->pieces[i];
        i += here;
    }
    w->length = to;
    pairs_count(t, w, w->weight);
}

/* The most frequent pair becomes a piece, and so on, until every word is one or there are enough. */
static void train(struct trainer *t)
{
    while (t->count < t->most) {
        const struct pair *best = NULL;
        for (size_t i = 0; i < t->pair_count; i++)
            if (t->pairs[i].weight > 0 && (!best || t->pairs[i].weight > best->weight))
                best = &t->pairs[i];
        if (!best)
            return;
        unsigned left = best->left, right = best->right;
        if (!piece_add(t, left, right))
            fail("a word of the list is too long");
        for (size_t i = 0; i < t->word_count; i++)
            word_merge(t, &t->words[i], left, right, (unsigned)t->count - 1);
    }
}

/* Pieces that begin a word, continued by those that do not, until there are enough: " walk" "ing". */
static void fill_up(struct trainer *t)
{
    size_t trained = t->count;
    for (size_t end = BYTES; end < trained; end++) {
        const char *tail = t->pieces[end].text;
        if (tail[0] < 'a' || tail[0] > 'z')
            continue;
        for (size_t head = BYTES; head < trained; head++) {
            if (t->count == t->most)
                return;
            const char *text = t->pieces[head].text;
            if (text[0] == ' ' && strlen(text) > 3)
                piece_add(t, (unsigned)head, (unsigned)end);
        }
    }
    if (t->count < t->most)
        fail("so large a vocabulary cannot be filled");
}

static void trainer_run(struct trainer *t, size_t most)
{
    t->most = most;
    t->pieces = allocate(most, sizeof *t->pieces);
    t->pairs = allocate(PAIRS, sizeof *t->pairs);
    t->slots = allocate(SLOTS, sizeof *t->slots);
    t->names = allocate(NAMES, sizeof *t->names);
    for (; t->count < BYTES; t->count++) {
        char byte = (char)t->count;
        t->pieces[t->count].text = text_new(&byte, 1);
        if (byte)
            *name_find(t, &byte, 1) = (unsigned)t->count + 1;
    }
    words_load(t);
    train(t);
    fill_up(t);
}

static void trainer_free(struct trainer *t)
{
    for (size_t i = 0; i < t->count; i++)
        free(t->pieces[i].text);
    free(t->pieces);
    free(t->words);
    free(t->pairs);
    free(t->slots);
    free(t->names);
}

/* ---- writing down ---- */

static int64_t token_add(struct vocabulary *v, const char *text, enum token_kind kind)
{
    struct token *token = &v->tokens[v->count];
    token->text = text_new(text, strlen(text));
    token->kind = kind;
    token->rare = kind != TOKEN_NORMAL;
    return (int64_t)v->count++;
}

/* GPT-2's names of bytes: printable Latin-1 is itself, the others are the characters from U+0100 on. */
static void byte_name(struct buf *out, unsigned char byte)
{
    unsigned code = byte, hidden = 0;
    for (unsigned b = 0; b <= byte; b++) {
        bool printable = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
        if (!printable)
            hidden++;
        if (b == byte && !printable)
            code = 256 + hidden - 1;
    }
    if (code < 0x80) {
        buf_putc(out, (char)code);
    } else {
        buf_putc(out, (char)(0xc0 | code >> 6));
        buf_putc(out, (char)(0x80 | (code & 0x3f)));
    }
}

/* Of every byte its name, or of every space U+2581. */
static char *name_of(const struct piece *p, bool bytes)
{
    struct buf out = BUF_INIT;
    size_t len = p->text[0] ? strlen(p->text) : 1; /* the byte 0 is a piece, too */
    for (size_t i = 0; i < len; i++) {
        if (bytes)
            byte_name(&out, (unsigned char)p->text[i]);
        else if (p->text[i] == ' ')
            buf_puts(&out, "\xe2\x96\x81");
        else
            buf_putc(&out, p->text[i]);
    }
    char *name = buf_detach(&out, NULL);
    if (!name)
        fail("out of memory");
    return name;
}

static void bpe_make(struct vocabulary *v, size_t count)
{
    static const char *const specials[] = {"<|endoftext|>", "<|im_start|>", "<|im_end|>"};
    enum { SPECIALS = sizeof specials / sizeof *specials };
    struct trainer t = {0};
    if (count < BYTES + SPECIALS)
        fail("--vocab must be at least %d", BYTES + SPECIALS);
    trainer_run(&t, count - SPECIALS);
    v->merges = allocate(t.count, sizeof *v->merges);
    for (size_t i = 0; i < t.count; i++) {
        char *name = name_of(&t.pieces[i], true);
        token_add(v, name, TOKEN_NORMAL);
        /* Alone neither control characters nor bytes of longer ones are text. */
        v->tokens[i].rare = i < BYTES && (i < ' ' || i >= 0x7f);
        free(name);
        if (i < BYTES)
            continue;
        char *left = name_of(&t.pieces[t.pieces[i].left], true);
        char *right = name_of(&t.pieces[t.pieces[i].right], true);
        struct buf merge = BUF_INIT;
        buf_printf(&merge, "%s %s", left, right);
        v->merges[v->merge_count++] = buf_detach(&merge, NULL);
        free(left);
        free(right);
    }
    v->padding = v->begin = token_add(v, specials[0], TOKEN_CONTROL);
    v->start = token_add(v, specials[1], TOKEN_CONTROL);
    v->end = token_add(v, specials[2], TOKEN_CONTROL);
    trainer_free(&t);
}

static void spm_make(struct vocabulary *v, size_t count)
{
    enum { SPECIALS = 5, LETTERS = 127 - ' ' };
    struct trainer t = {0};
    if (count < SPECIALS + BYTES + LETTERS)
        fail("--vocab must be at least %d", SPECIALS + BYTES + LETTERS);
    trainer_run(&t, count - SPECIALS - LETTERS);
    v->unknown = token_add(v, "<unk>", TOKEN_UNKNOWN);
    v->begin = token_add(v, "<s>", TOKEN_CONTROL);
    token_add(v, "</s>", TOKEN_CONTROL);
    v->start = token_add(v, "<|im_start|>", TOKEN_CONTROL);
    v->end = token_add(v, "<|im_end|>", TOKEN_CONTROL);
    for (unsigned byte = 0; byte < BYTES; byte++) {
        char name[8];
        snprintf(name, sizeof name, "<0x%02X>", byte);
        token_add(v, name, TOKEN_BYTE);
    }
    for (size_t i = BYTES; i < t.count; i++) {
        char *name = name_of(&t.pieces[i], false);
        token_add(v, name, TOKEN_NORMAL);
        free(name);
    }
    for (unsigned letter = ' '; letter < 127; letter++) {
        char *name = name_of(&t.pieces[letter], false);
        token_add(v, name, TOKEN_NORMAL);
        free(name);
    }
    trainer_free(&t);
}

/* Lower case only, and no spaces but the one in front, which U+2581 stands for. */
static bool wordpiece_fits(const char *text)
{
    for (size_t i = 0; text[i]; i++)
        if (!(text[i] >= 'a' && text[i] <= 'z') && !(i == 0 && text[i] == ' '))
            return false;
    return true;
}

static void wordpiece_make(struct vocabulary *v, size_t count)
{
    enum { SPECIALS = 5, LETTERS = 127 - '!' - 26 };
    struct trainer t = {0};
    if (count < SPECIALS + 2 * LETTERS + 2)
        fail("--vocab must be at least %d", SPECIALS + 2 * LETTERS + 2);
    trainer_run(&t, BYTES + 4 * count); /* more than are needed: those with capitals are left out */
    v->padding = token_add(v, "[PAD]", TOKEN_CONTROL);
    v->unknown = token_add(v, "[UNK]", TOKEN_UNKNOWN);
    v->begin = token_add(v, "[CLS]", TOKEN_CONTROL);
    v->separator = token_add(v, "[SEP]", TOKEN_CONTROL);
    v->mask = token_add(v, "[MASK]", TOKEN_CONTROL);
    for (unsigned letter = '!'; letter < 127; letter++) {
        char name[8];
        if (letter >= 'A' && letter <= 'Z')
            continue;
        snprintf(name, sizeof name, "\xe2\x96\x81%c", (int)letter);
        token_add(v, name, TOKEN_NORMAL);
        token_add(v, name + 3, TOKEN_NORMAL);
    }
    for (size_t i = BYTES; i < t.count && v->count < count; i++) {
        if (!wordpiece_fits(t.pieces[i].text) || (t.pieces[i].text[0] == ' ' && !t.pieces[i].text[2]))
            continue;
        char *name = name_of(&t.pieces[i], false);
        token_add(v, name, TOKEN_NORMAL);
        free(name);
    }
    trainer_free(&t);
}

void vocabulary_make(struct vocabulary *v, enum tokenizer tokenizer, size_t count)
{
    *v = (struct vocabulary){.tokenizer = tokenizer,
                             .tokens = allocate(count, sizeof *v->tokens),
                             .begin = -1,
                             .end = -1,
                             .start = -1,
                             .unknown = -1,
                             .separator = -1,
                             .padding = -1,
                             .mask = -1};
    if (tokenizer == TOKENIZER_BPE)
        bpe_make(v, count);
    else if (tokenizer == TOKENIZER_SPM)
        spm_make(v, count);
    else
        wordpiece_make(v, count);
    if (v->count != count)
        fail("so large a vocabulary cannot be filled");
}

void vocabulary_free(struct vocabulary *v)
{
    for (size_t i = 0; i < v->count; i++)
        free(v->tokens[i].text);
    for (size_t i = 0; i < v->merge_count; i++)
        free(v->merges[i]);
    free(v->tokens);
    free(v->merges);
}
