/* Task type: what a text asks for, told from its words; the one classifier of all modules.
 *
 *   text -> words (lower case, accents folded) -> phrases of the table, the longest first -> weights by type
 *
 * Whole words only, English and Spanish. A word that can mean many things ("mix", "track", "restore") counts
 * only beside another of its type, and not at all where a clear word of another type stands: "restore the
 * database" is not about sound. What a caller says explicitly goes before: task_type_parse. */
#ifndef VX11_BASE_TASK_TYPE_H
#define VX11_BASE_TASK_TYPE_H

#include <stdbool.h>
#include <stddef.h>

enum task_type {
    TASK_TYPE_CHAT,
    TASK_TYPE_CODE,
    TASK_TYPE_REASONING,
    TASK_TYPE_SUMMARY,
    TASK_TYPE_TRANSLATION,
    TASK_TYPE_WRITING,
    TASK_TYPE_DATA,
    TASK_TYPE_VISION,
    TASK_TYPE_AUDIO,
    TASK_TYPE_BROWSE,
    TASK_TYPE_SYSTEM,
    TASK_TYPES, /* how many; in the table of words: of no type, the phrase is taken out of the text */
};

const char *task_type_name(enum task_type t); /* "chat" */
/* A type by its name or by another word for it ("coding", "ops", "audio-engineer", "resumen"), in any case.
 * false: not known. */
bool task_type_parse(const char *name, enum task_type *out);

#define TASK_GUESS_WORDS 4
#define TASK_WORD_SIZE   32 /* longest word or phrase of the table, with its NUL */

struct task_guess {
    enum task_type type;                 /* chat when nothing else is clear */
    double confidence;                   /* 0: no word of the table was met; below 1 */
    unsigned matched;                    /* words that speak for it */
    const char *words[TASK_GUESS_WORDS]; /* the first of them, as the table has them */
};

/* Looks at the beginning and the end of a long text. Invalid UTF-8 separates words. */
void task_guess(const char *text, size_t len, struct task_guess *out);

/* ---- the words of a text, for other matchers ---- */
struct task_words {
    const char *text;
    size_t len, at;
};
/* Next word into out (cut at size), lower case, accents folded: letters, digits, and + # _ within it. 0: no
 * more. */
size_t task_words_next(struct task_words *w, char *out, size_t size);

/* One phrase of the table: at most three words of it, separated by one space; sorted by strcmp. */
struct task_phrase {
    const char *words;
    unsigned char type;   /* enum task_type */
    unsigned char weight; /* 1 to 6: what is to be done weighs more than what it is about */
    bool weak;            /* counts only beside others of its type */
};
extern const struct task_phrase task_phrases[];
extern const size_t task_phrase_count;

#endif
