/* Detect: see intent.h. Phrases are compared word by word, as base/task_type.h folds them. */
#include "operator/intent/intent.h"

#include <string.h>
#include <strings.h>

#include "base/str.h"
#include "base/task_type.h"

#define LOOK_BYTES 2000 /* what is wanted stands at the beginning */
#define LOOK_WORDS 200

struct words {
    char list[LOOK_WORDS][TASK_WORD_SIZE];
    size_t count;
};

static void words_read(const char *text, size_t len, struct words *w)
{
    struct task_words from = {text, len < LOOK_BYTES ? len : LOOK_BYTES, 0};
    w->count = 0;
    while (w->count < LOOK_WORDS && task_words_next(&from, w->list[w->count], TASK_WORD_SIZE) > 0)
        w->count++;
}

/* Whether the phrase stands at this word. */
static bool phrase_at(const struct words *w, size_t at, const char *phrase)
{
    for (; *phrase; at++) {
        size_t n = strcspn(phrase, " ");
        if (at >= w->count || strlen(w->list[at]) != n || memcmp(w->list[at], phrase, n) != 0)
            return false;
        phrase += n + (phrase[n] == ' ');
    }
    return true;
}

static const struct {
    const char *phrase;
    enum operator_intent_mode mode;
} phrases[] = {
    {"spawn", OPERATOR_INTENT_MODE_SPAWN},
    {"start a process", OPERATOR_INTENT_MODE_SPAWN},
    {"launch a process", OPERATOR_INTENT_MODE_SPAWN},
    {"launch a worker", OPERATOR_INTENT_MODE_SPAWN},
    {"start a worker", OPERATOR_INTENT_MODE_SPAWN},
    {"lanza un proceso", OPERATOR_INTENT_MODE_SPAWN},
    {"lanzar un proceso", OPERATOR_INTENT_MODE_SPAWN},
    {"crea un proceso", OPERATOR_INTENT_MODE_SPAWN},
    {"crear un proceso", OPERATOR_INTENT_MODE_SPAWN},
    {"inicia un proceso", OPERATOR_INTENT_MODE_SPAWN},
    {"create a task", OPERATOR_INTENT_MODE_TASK},
    {"add a task", OPERATOR_INTENT_MODE_TASK},
    {"new task", OPERATOR_INTENT_MODE_TASK},
    {"schedule a", OPERATOR_INTENT_MODE_TASK},
    {"remind me", OPERATOR_INTENT_MODE_TASK},
    {"crea una tarea", OPERATOR_INTENT_MODE_TASK},
    {"crear una tarea", OPERATOR_INTENT_MODE_TASK},
    {"anade una tarea", OPERATOR_INTENT_MODE_TASK},
    {"agrega una tarea", OPERATOR_INTENT_MODE_TASK},
    {"nueva tarea", OPERATOR_INTENT_MODE_TASK},
    {"programa una tarea", OPERATOR_INTENT_MODE_TASK},
    {"recuerdame", OPERATOR_INTENT_MODE_TASK},
};

static const char *const analysing[] = {"analyse",  "analyze",  "analysis",    "analiza", "analizar",
                                        "analisis", "diagnose", "diagnostica", "audita"};
static const char *const status[] = {"status", "estado"};
/* What may follow "mix" where nothing else says that it is about sound. */
static const char *const things[] = {"this", "it",   "these", "those", "them", "everything", "esto",
                                     "esta", "este", "estas", "estos", "todo", "lo",         "la"};

static bool listed(const char *const *list, size_t n, const char *word)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i], word) == 0)
            return true;
    return false;
}

static void say(struct detected *d, const char *word)
{
    for (size_t i = 0; i < d->word_count; i++)
        if (strcmp(d->words[i], word) == 0)
            return;
    if (d->word_count < DETECT_WORDS)
        d->words[d->word_count++] = word;
}

/* w / (w + a + 1) */
static double sure(double for_it, double against)
{
    return for_it / (for_it + against + 1);
}

/* ---- address, language ---- */

static void find_url(const char *text, size_t len, struct detected *d)
{
    for (size_t i = 0; i + 8 <= len; i++) {
        bool http = strncasecmp(text + i, "http://", 7) == 0 || strncasecmp(text + i, "https://", 8) == 0;
        if (!http)
            continue;
        size_t end = i;
        while (end < len && (unsigned char)text[end] > ' ' && !strchr("<>\"'`", text[end]))
            end++;
        while (end > i && strchr(".,;:!?)]}", text[end - 1])) /* of the sentence, not of the address */
            end--;
        if (end - i > 8 && end - i <= 2000) {
            d->url_at = i;
            d->url_len = end - i;
        }
        return;
    }
}

static enum operator_detected_language language_of(const struct words *w)
{
    static const char *const english[] = {
        "the", "a",  "an",     "of",   "to",  "this", "that", "is", "are", "and", "for", "with", "in",  "on",
        "my",  "it", "please", "what", "how", "do",   "does", "i",  "you", "we",  "can", "at",   "from"};
    static const char *const spanish[] = {"el",   "la",  "los",  "las",   "de",     "del",  "que",
                                          "un",   "una", "por",  "para",  "con",    "esto", "esta",
                                          "este", "en",  "y",    "mi",    "haz",    "es",   "lo",
                                          "al",   "se",  "como", "favor", "puedes", "su"};
    size_t en = 0, es = 0;
    for (size_t i = 0; i < w->count; i++) {
        en += listed(english, COUNT_OF(english), w->list[i]);
        es += listed(spanish, COUNT_OF(spanish), w->list[i]);
    }
    return en > es   ? OPERATOR_DETECTED_LANGUAGE_EN
           : es > en ? OPERATOR_DETECTED_LANGUAGE_ES
                     : OPERATOR_DETECTED_LANGUAGE_UNKNOWN;
}

/* ---- modes ---- */

static bool by_phrase(const struct words *w, const struct task_guess *g, struct detected *d)
{
    double weight[OPERATOR_INTENT_MODE_SYSTEM + 1] = {0};
    for (size_t i = 0; i < w->count; i++)
        for (size_t k = 0; k < COUNT_OF(phrases); k++)
            if (phrase_at(w, i, phrases[k].phrase)) {
                weight[phrases[k].mode] += 3;
                d->mode = weight[phrases[k].mode] >= weight[d->mode] ? phrases[k].mode : d->mode;
            }
    if (weight[d->mode] == 0)
        return false;
    for (size_t i = 0; i < w->count; i++)
        for (size_t k = 0; k < COUNT_OF(phrases); k++)
            if (phrases[k].mode == d->mode && phrase_at(w, i, phrases[k].phrase))
                say(d, phrases[k].phrase);
    d->confidence = sure(weight[d->mode], g->matched);
    return true;
}

/* The mix word, as a literal; NULL: none that counts. */
static const char *mix_word(const struct words *w, bool about_sound)
{
    for (size_t i = 0; i < w->count; i++) {
        const char *word = audio_word_mixes(w->list[i]);
        if (!word)
            continue;
        bool last = i + 1 == w->count && w->count <= 4;
        bool thing = i + 1 < w->count && listed(things, COUNT_OF(things), w->list[i + 1]);
        if (about_sound || last || thing)
            return word;
    }
    return NULL;
}

static bool by_mix(const char *text, size_t len, const struct words *w, const struct task_guess *g,
                   struct detected *d)
{
    bool sound = g->type == TASK_TYPE_AUDIO;
    const char *word = sound || g->type == TASK_TYPE_CHAT ? mix_word(w, sound) : NULL;
    const char *said[AUDIO_OPERATIONS];
    if (!word && !sound)
        return false;
    d->mode = word ? OPERATOR_INTENT_MODE_MIX : OPERATOR_INTENT_MODE_AUDIO;
    if (word)
        say(d, word);
    for (size_t i = 0; i < TASK_GUESS_WORDS && g->words[i]; i++)
        say(d, g->words[i]);
    d->op_count = audio_operations_read(text, len, d->ops, said, COUNT_OF(d->ops));
    for (size_t i = 0; i < d->op_count; i++)
        say(d, said[i]);
    if (word && d->op_count == 0) { /* a plain mix */
        static const char *const plain[] = {"normalize", "eq", "limiter"};
        memcpy(d->ops, plain, sizeof plain);
        d->op_count = COUNT_OF(plain);
    }
    d->confidence = sound ? g->confidence : sure(2, 0);
    return true;
}

static bool by_word(const struct words *w, const struct task_guess *g, struct detected *d)
{
    if (d->url_len > 0 && (g->type == TASK_TYPE_CHAT || g->type == TASK_TYPE_BROWSE)) {
        d->mode = OPERATOR_INTENT_MODE_BROWSE;
        say(d, "http");
        d->confidence = sure(3 + g->matched, 0);
        return true;
    }
    for (size_t i = 0; i < w->count; i++) {
        if (g->type == TASK_TYPE_CHAT && w->count <= 5 && listed(status, COUNT_OF(status), w->list[i])) {
            d->mode = OPERATOR_INTENT_MODE_SYSTEM;
            say(d, strcmp(w->list[i], "estado") == 0 ? "estado" : "status");
        } else if ((g->type == TASK_TYPE_CHAT || g->type == TASK_TYPE_REASONING) &&
                   listed(analysing, COUNT_OF(analysing), w->list[i])) {
            d->mode = OPERATOR_INTENT_MODE_ANALYSIS;
            for (size_t k = 0; k < COUNT_OF(analysing); k++)
                if (strcmp(analysing[k], w->list[i]) == 0)
                    say(d, analysing[k]);
        }
    }
    if (d->word_count == 0)
        return false;
    d->confidence = sure(2, g->type == TASK_TYPE_CHAT ? 0 : g->matched);
    return true;
}

static void by_guess(const struct task_guess *g, struct detected *d)
{
    static const int modes[TASK_TYPES] = {[TASK_TYPE_CODE] = OPERATOR_INTENT_MODE_CODE,
                                          [TASK_TYPE_DATA] = OPERATOR_INTENT_MODE_ANALYSIS,
                                          [TASK_TYPE_BROWSE] = OPERATOR_INTENT_MODE_BROWSE,
                                          [TASK_TYPE_SYSTEM] = OPERATOR_INTENT_MODE_SYSTEM};
    d->mode = (enum operator_intent_mode)modes[g->type]; /* chat for all others */
    d->confidence = g->confidence;
    for (size_t i = 0; i < TASK_GUESS_WORDS && g->words[i]; i++)
        say(d, g->words[i]);
}

void intent_detect(const char *text, size_t len, struct detected *out)
{
    struct words w;
    struct task_guess g;
    memset(out, 0, sizeof *out);
    out->mode = OPERATOR_INTENT_MODE_CHAT;
    words_read(text, len, &w);
    task_guess(text, len, &g);
    find_url(text, len, out);
    out->language = language_of(&w);
    if (!by_phrase(&w, &g, out) && !by_mix(text, len, &w, &g, out) && !by_word(&w, &g, out))
        by_guess(&g, out);
}
