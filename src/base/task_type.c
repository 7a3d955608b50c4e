/* Task type: see the header. The table is in task_phrases.c. */
#include "base/task_type.h"

#include <string.h>
#include <strings.h>

#include "base/str.h"

#define HEAD_BYTES                                                                                           \
    480 /* what is wanted stands at the beginning or at the end; what lies between is material */
#define TAIL_BYTES 240
#define LONGEST    3 /* words of a phrase */
#define ENOUGH     2 /* weight below which nothing is said */

static const char *const names[TASK_TYPES] = {
    [TASK_TYPE_CHAT] = "chat",
    [TASK_TYPE_CODE] = "code",
    [TASK_TYPE_REASONING] = "reasoning",
    [TASK_TYPE_SUMMARY] = "summary",
    [TASK_TYPE_TRANSLATION] = "translation",
    [TASK_TYPE_WRITING] = "writing",
    [TASK_TYPE_DATA] = "data",
    [TASK_TYPE_VISION] = "vision",
    [TASK_TYPE_AUDIO] = "audio",
    [TASK_TYPE_BROWSE] = "browse",
    [TASK_TYPE_SYSTEM] = "system",
};

const char *task_type_name(enum task_type t)
{
    return (unsigned)t < TASK_TYPES ? names[t] : "chat";
}

static bool separates(char c)
{
    return c == '\0' || c == '-' || c == '_' || c == ' ' || c == '/' || c == '.';
}

bool task_type_parse(const char *name, enum task_type *out)
{
    static const struct {
        const char *name;
        enum task_type type;
    } known[] = {
        {"general", TASK_TYPE_CHAT},
        {"conversation", TASK_TYPE_CHAT},
        {"qa", TASK_TYPE_CHAT},
        {"coding", TASK_TYPE_CODE},
        {"programming", TASK_TYPE_CODE},
        {"codigo", TASK_TYPE_CODE},
        {"reason", TASK_TYPE_REASONING},
        {"math", TASK_TYPE_REASONING},
        {"planning", TASK_TYPE_REASONING},
        {"razonamiento", TASK_TYPE_REASONING},
        {"summarization", TASK_TYPE_SUMMARY},
        {"summarisation", TASK_TYPE_SUMMARY},
        {"resumen", TASK_TYPE_SUMMARY},
        {"translate", TASK_TYPE_TRANSLATION},
        {"traduccion", TASK_TYPE_TRANSLATION},
        {"creative", TASK_TYPE_WRITING},
        {"escritura", TASK_TYPE_WRITING},
        {"analysis", TASK_TYPE_DATA},
        {"analytics", TASK_TYPE_DATA},
        {"datos", TASK_TYPE_DATA},
        {"image", TASK_TYPE_VISION},
        {"music", TASK_TYPE_AUDIO},
        {"dsp", TASK_TYPE_AUDIO},
        {"shub", TASK_TYPE_AUDIO},
        {"web", TASK_TYPE_BROWSE},
        {"search", TASK_TYPE_BROWSE},
        {"ops", TASK_TYPE_SYSTEM},
        {"workflow", TASK_TYPE_SYSTEM},
        {"infrastructure", TASK_TYPE_SYSTEM},
    };
    for (int t = 0; name && t < TASK_TYPES; t++) {
        /* "audio-engineer", "code_review": the type, then what of it. */
        size_t n = strlen(names[t]);
        if (strncasecmp(name, names[t], n) == 0 && separates(name[n])) {
            *out = (enum task_type)t;
            return true;
        }
    }
    for (size_t i = 0; name && i < COUNT_OF(known); i++) {
        size_t n = strlen(known[i].name);
        if (strncasecmp(name, known[i].name, n) == 0 && separates(name[n])) {
            *out = known[i].type;
            return true;
        }
    }
    return false;
}

/* ---- words ---- */

/* Of the two bytes C3 80 to C3 BF, Latin-1's letters: the one without its accent; 0: none. */
static char latin_fold(unsigned char second)
{
    static const char fold[] = "aaaaaaaceeeeiiiidnooooo\0ouuuuytsaaaaaaaceeeeiiiidnooooo\0ouuuuyty";
    return second >= 0x80 && second <= 0xbf ? fold[second - 0x80] : '\0';
}

/* The character at s: its letter, digit or sign, folded, or 0 for one that separates. *len: its bytes. A
 * letter of another script is passed on as '\x01': it belongs to a word that the table does not have. */
static char fold(const char *s, size_t n, size_t *len)
{
    unsigned char c = (unsigned char)s[0];
    *len = 1;
    if (c < 0x80) {
        if (c >= 'A' && c <= 'Z')
            return (char)(c + 32);
        if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '+' || c == '#')
            return (char)c;
        return '\0';
    }
    int bytes = utf8_next(s, n);
    *len = (size_t)(bytes < 0 ? -bytes : bytes);
    if (bytes == 2 && c == 0xc3)
        return latin_fold((unsigned char)s[1]);
    if (bytes == 2 && c == 0xcc) /* an accent of its own: as if it were not there */
        return '\x02';
    /* General punctuation, the inverted marks and what is not UTF-8 separate. */
    return bytes < 0 || c == 0xc2 || (bytes == 3 && c == 0xe2) ? '\0' : '\x01';
}

size_t task_words_next(struct task_words *w, char *out, size_t size)
{
    size_t n = 0, step;
    while (w->at < w->len) {
        char c = fold(w->text + w->at, w->len - w->at, &step);
        w->at += step;
        if (c == '\x02')
            continue;
        if (c != '\0') {
            if (n + 1 < size)
                out[n++] = c;
        } else if (n > 0) {
            break;
        }
    }
    out[n] = '\0';
    return n;
}

/* ---- phrases ---- */

/* The first phrase that does not come before the words. */
static size_t phrase_bound(const char *words)
{
    size_t low = 0, high = task_phrase_count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        const char *there = task_phrases[mid].words;
        /* Mostly the first letter decides. */
        int order = (unsigned char)there[0] - (unsigned char)words[0];
        if (order < 0 || (order == 0 && strcmp(there, words) < 0))
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static const struct task_phrase *phrase_find(const char *words)
{
    size_t at = phrase_bound(words);
    return at < task_phrase_count && strcmp(task_phrases[at].words, words) == 0 ? &task_phrases[at] : NULL;
}

/* Whether any phrase begins with this word; most words of a text begin none. A space sorts before all that a
 * word is made of, so that such a phrase is where the word itself would be. */
static bool phrase_begins(const char *word)
{
    size_t at = phrase_bound(word), n = strlen(word);
    if (at == task_phrase_count || strncmp(task_phrases[at].words, word, n) != 0)
        return false;
    return task_phrases[at].words[n] == '\0' || task_phrases[at].words[n] == ' ';
}

struct tally {
    unsigned strong[TASK_TYPES], weak[TASK_TYPES]; /* weights */
    unsigned words[TASK_TYPES];
    const struct task_phrase *seen[64]; /* each counts once */
    size_t seen_count;
};

static void tally_add(struct tally *t, const struct task_phrase *p)
{
    if (p->type >= TASK_TYPES)
        return;
    for (size_t i = 0; i < t->seen_count; i++)
        if (t->seen[i] == p)
            return;
    if (t->seen_count == COUNT_OF(t->seen))
        return;
    t->seen[t->seen_count++] = p;
    t->words[p->type]++;
    if (p->weak)
        t->weak[p->type] += p->weight;
    else
        t->strong[p->type] += p->weight;
}

struct window { /* the words that have been read and not yet been looked at */
    char words[LONGEST][TASK_WORD_SIZE];
    size_t count;
};

/* The longest phrase that the window begins with; how many words it takes. */
static size_t window_match(const struct window *w, const struct task_phrase **found)
{
    char text[LONGEST * TASK_WORD_SIZE];
    *found = NULL;
    if (!phrase_begins(w->words[0]))
        return 1;
    for (size_t n = w->count; n > 0; n--) {
        size_t at = 0;
        for (size_t i = 0; i < n; i++) {
            size_t len = strlen(w->words[i]);
            if (i > 0)
                text[at++] = ' ';
            memcpy(text + at, w->words[i], len);
            at += len;
        }
        text[at] = '\0';
        *found = phrase_find(text);
        if (*found)
            return n;
    }
    return 1;
}

static void tally_text(struct tally *t, const char *text, size_t len)
{
    struct task_words words = {text, len, 0};
    struct window w = {.count = 0};
    bool more = true;
    for (;;) {
        while (more && w.count < LONGEST) {
            more = task_words_next(&words, w.words[w.count], TASK_WORD_SIZE) > 0;
            w.count += more;
        }
        if (w.count == 0)
            return;
        const struct task_phrase *p;
        size_t used = window_match(&w, &p);
        if (p)
            tally_add(t, p);
        w.count -= used;
        memmove(w.words, w.words + used, w.count * sizeof w.words[0]);
    }
}

/* What a type's words weigh together. Its weak ones count beside a clear one, or when there are two of them
 * and no type has a clear one. */
static unsigned tally_weight(const struct tally *t, int type, bool any_strong)
{
    unsigned weak = t->weak[type];
    if (t->strong[type] > 0)
        return t->strong[type] + weak;
    return !any_strong && t->words[type] >= 2 ? weak : 0;
}

static void guess_fill(const struct tally *t, struct task_guess *out)
{
    unsigned total = 0, best = 0;
    bool any_strong = false;
    for (int i = 0; i < TASK_TYPES; i++)
        any_strong |= t->strong[i] > 0;
    for (int i = 0; i < TASK_TYPES; i++) {
        unsigned weight = tally_weight(t, i, any_strong);
        total += weight;
        if (weight > best) { /* of equals the first of the list */
            best = weight;
            out->type = (enum task_type)i;
        }
    }
    if (best < ENOUGH) {
        out->type = TASK_TYPE_CHAT;
        return;
    }
    out->confidence = (double)best / (total + 1.0);
    out->matched = t->words[out->type];
    for (size_t i = 0, n = 0; i < t->seen_count && n < TASK_GUESS_WORDS; i++)
        if (t->seen[i]->type == out->type)
            out->words[n++] = t->seen[i]->words;
}

void task_guess(const char *text, size_t len, struct task_guess *out)
{
    struct tally t;
    memset(&t, 0, sizeof t);
    memset(out, 0, sizeof *out);
    out->type = TASK_TYPE_CHAT;
    if (len <= HEAD_BYTES + TAIL_BYTES) {
        tally_text(&t, text, len);
    } else {
        tally_text(&t, text, HEAD_BYTES);
        tally_text(&t, text + len - TAIL_BYTES, TAIL_BYTES);
    }
    guess_fill(&t, out);
}
